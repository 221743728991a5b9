use std::collections::BTreeMap;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const NANOSECOND: Duration = Duration::from_nanos(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// An origin with a past that can be expressed on every platform.
fn origin() -> Instant {
    Instant::now() + DAY
}

fn drain<T>(wheel: &mut Wheel<T>, now: Instant) -> Vec<T> {
    std::iter::from_fn(|| wheel.pop_due(now)).map(|(_, _, value)| value).collect()
}

/// Makes the wheel forget which timer is first and look for it.
fn open_first_list(wheel: &mut Wheel<()>, before: Instant) -> Option<Instant> {
    let key = wheel.insert(before - NANOSECOND, ());
    wheel.cancel(key);
    wheel.next_deadline()
}

#[test]
fn timers_come_out_by_deadline_and_never_early() {
    let start = origin();
    let mut wheel = Wheel::new(start);
    for ms in [30, 10, 20, 5000, 10] {
        wheel.insert(start + Duration::from_millis(ms), ms);
    }

    assert_eq!(drain(&mut wheel, start + Duration::from_millis(10) - NANOSECOND), []);
    assert_eq!(drain(&mut wheel, start + Duration::from_millis(20)), [10, 10, 20]);
    assert_eq!(wheel.next_deadline(), Some(start + Duration::from_millis(30)));
    assert_eq!(wheel.len(), 2);
}

#[test]
fn timers_of_one_instant_come_out_in_the_order_of_insertion() {
    let start = origin();
    let mut wheel = Wheel::new(start);
    let at = start + DAY;
    for number in 0..500 {
        wheel.insert(at, number);
        // Looking opens the list between the insertions, which must not change the order.
        if number % 100 == 99 {
            let first = wheel.insert(start, 1000);
            assert_eq!(wheel.cancel(first), Some((start, 1000)));
            assert_eq!(wheel.next_deadline(), Some(at));
        }
    }

    assert_eq!(drain(&mut wheel, at), (0..500).collect::<Vec<_>>());
}

#[test]
fn deadlines_a_nanosecond_apart_are_told_apart() {
    let start = origin();
    let mut wheel = Wheel::new(start);
    for nanos in (0..200).rev() {
        wheel.insert(start + YEAR + Duration::from_nanos(nanos), nanos);
    }

    for nanos in 0..200 {
        let at = start + YEAR + Duration::from_nanos(nanos);
        assert_eq!(wheel.next_deadline(), Some(at));
        assert!(wheel.pop_due(at - NANOSECOND).is_none());
        assert_eq!(drain(&mut wheel, at), [nanos]);
    }
}

#[test]
fn a_deadline_in_the_past_is_due_at_once_and_in_its_order() {
    let start = origin();
    let mut wheel = Wheel::new(start);
    wheel.insert(start, "start");
    wheel.insert(start - Duration::from_secs(1), "late");
    wheel.insert(start - Duration::from_secs(2), "later");

    assert_eq!(drain(&mut wheel, start), ["later", "late", "start"]);
}

#[test]
fn a_thousand_years_are_not_too_far() {
    let start = origin();
    let mut wheel = Wheel::new(start);
    for years in (1..=1000).rev() {
        wheel.insert(start + years * YEAR + years * NANOSECOND, years);
    }

    assert_eq!(wheel.next_deadline(), Some(start + YEAR + NANOSECOND));
    assert_eq!(drain(&mut wheel, start + 1000 * YEAR), (1..=999).collect::<Vec<_>>());
    assert_eq!(wheel.next_deadline(), Some(start + 1000 * YEAR + 1000 * NANOSECOND));
}

#[test]
fn a_timer_before_one_that_was_seen_to_be_first_comes_out_first() {
    let start = origin();
    let mut wheel = Wheel::new(start);
    wheel.insert(start + DAY, "tomorrow");
    assert_eq!(wheel.next_deadline(), Some(start + DAY));

    let soon = start + Duration::from_millis(3);
    wheel.insert(soon, "soon");

    assert_eq!(wheel.next_deadline(), Some(soon));
    assert_eq!(drain(&mut wheel, start + DAY), ["soon", "tomorrow"]);
}

#[test]
fn cancelling_the_first_makes_the_second_first() {
    let start = origin();
    let mut wheel = Wheel::new(start);
    let keys: Vec<_> = (0..100).map(|ms| wheel.insert(start + Duration::from_millis(ms), ms)).collect();

    for (ms, key) in (0..).zip(&keys) {
        assert_eq!(wheel.next_deadline(), Some(start + Duration::from_millis(ms)));
        assert_eq!(wheel.cancel(*key), Some((start + Duration::from_millis(ms), ms)));
    }
    assert_eq!(wheel.next_deadline(), None);
}

#[test]
fn cancelling_frees_the_value_at_once() {
    let start = origin();
    let mut wheel = Wheel::new(start);
    let value = Rc::new(());
    let key = wheel.insert(start + YEAR, Rc::clone(&value));
    assert_eq!(Rc::strong_count(&value), 2);

    drop(wheel.cancel(key));

    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
fn a_key_that_was_used_up_names_nothing() {
    let start = origin();
    let mut wheel = Wheel::new(start);
    let cancelled = wheel.insert(start + DAY, 1);
    wheel.cancel(cancelled);
    let fired = wheel.insert(start, 2);
    assert_eq!(wheel.pop_due(start), Some((fired, start, 2)));
    let waiting = wheel.insert(start + DAY, 3);
    assert_eq!(waiting.slot, cancelled.slot, "the slot is used again");

    assert_eq!(wheel.cancel(cancelled), None);
    assert_eq!(wheel.cancel(fired), None);
    assert_eq!(wheel.deadline(fired), None);
    assert_eq!(wheel.deadline(waiting), Some(start + DAY));
}

#[test]
fn a_key_survives_being_a_number() {
    let key = Key { slot: 7, generation: u32::MAX - 1 };

    assert_eq!(Key::from_bits(key.to_bits()), key);
    assert_eq!(Wheel::<()>::new(origin()).deadline(Key::from_bits(u64::MAX)), None);
}

#[test]
fn a_slot_without_generations_is_retired_for_good() {
    let start = origin();
    let mut wheel = Wheel::new(start);
    let first = wheel.insert(start, ());
    wheel.cancel(first);
    wheel.timers[0].generation = RETIRED - 1;
    let last = wheel.insert(start, ());
    assert_eq!(last, Key { slot: 0, generation: RETIRED - 1 });
    wheel.cancel(last);

    let other = wheel.insert(start, ());
    assert_eq!(other.slot, 1);
    wheel.cancel(other);
    wheel.give_back();
    assert_eq!(wheel.insert(start, ()), Key { slot: 1, generation: 1 });
}

#[test]
fn a_large_wheel_that_becomes_empty_gives_its_storage_back_and_old_keys_stay_stale() {
    let start = origin();
    let mut wheel = Wheel::new(start);
    let mut seen = HashSet::new();
    for size in [10_000, 5_000, 20_000] {
        let keys: Vec<_> = (0..size).map(|ms| wheel.insert(start + Duration::from_millis(ms), ms)).collect();
        assert!(keys.iter().all(|key| seen.insert(*key)), "no key is given out twice");
        assert_eq!(wheel.next_deadline(), Some(start));
        for key in &keys {
            assert!(wheel.cancel(*key).is_some());
        }

        assert_eq!(wheel.timers.capacity(), 0);
        assert_eq!(wheel.rings.capacity(), 1);
        assert!(keys.iter().all(|key| wheel.deadline(*key).is_none()));
    }
}

/// Goal: looking for the first costs nothing that looking before has paid for.
/// Method: a first timer is set, seen and cancelled over and over before many later ones; none of those moves.
#[test]
fn a_first_timer_that_comes_and_goes_does_not_move_the_others() {
    let start = origin();
    let mut wheel = Wheel::new(start);
    for us in 0..1000 {
        wheel.insert(start + DAY + Duration::from_micros(us), ());
    }
    let second = open_first_list(&mut wheel, start);
    let homes = |wheel: &Wheel<()>| wheel.timers[..1000].iter().map(|timer| timer.ring).collect::<Vec<_>>();
    let before = homes(&wheel);

    for delay in [NANOSECOND, Duration::from_secs(1), DAY - NANOSECOND].repeat(10) {
        let key = wheel.insert(start + delay, ());
        assert_eq!(wheel.next_deadline(), Some(start + delay));
        wheel.cancel(key);
        assert_eq!(wheel.next_deadline(), second);
    }

    assert_eq!(homes(&wheel), before);
}

/// Goal: no call has to deal more than `LONG` timers, however they lie.
/// Method: many are inserted without anybody looking: spread, close together, and all at once.
#[test]
fn a_list_is_opened_before_it_is_too_long() {
    let start = origin();
    for step in [Duration::from_millis(7), NANOSECOND, Duration::ZERO] {
        let mut wheel = Wheel::new(start);
        for number in 0..3 * LONG {
            wheel.insert(start + step * number, number);
        }
        wheel.check();

        assert_eq!(drain(&mut wheel, start + YEAR), (0..3 * LONG).collect::<Vec<_>>());
    }
}

/// Goal: a level that tells nothing apart costs nothing.
/// Method: whatever was split off again leaves no ring behind.
#[test]
fn rings_that_tell_nothing_apart_are_freed() {
    let start = origin();
    let mut wheel = Wheel::new(start);
    for us in 0..1000 {
        wheel.insert(start + Duration::from_micros(us), ());
    }
    open_first_list(&mut wheel, start);
    let rings = wheel.rings.len() - wheel.free_rings.len();

    let keys = [DAY, YEAR, 50 * YEAR].map(|delay| wheel.insert(start + delay, ()));
    assert!(wheel.rings.len() - wheel.free_rings.len() > rings);
    for key in keys {
        wheel.cancel(key);
    }

    assert_eq!(wheel.rings.len() - wheel.free_rings.len(), rings);
}

impl<T> Wheel<T> {
    /// The laws that hold between any two calls.
    fn check(&self) {
        let mut timers = 0;
        let mut rings = 0;
        let mut ways = vec![ROOT];
        while let Some(at) = ways.pop() {
            rings += 1;
            let ring = &self.rings[at as usize];
            assert!(
                at == ROOT
                    || ring.occupied.count_ones() > 1
                    || ring.slots.iter().any(|slot| matches!(slot, Slot::List { .. })),
                "a ring that tells nothing apart is freed"
            );
            for digit in 0..SLOTS {
                let slot = ring.slots[digit];
                assert_eq!(ring.occupied >> digit & 1 == 0, matches!(slot, Slot::Empty), "the bits tell the truth");
                match slot {
                    Slot::Empty => {}
                    Slot::Ring(below) => {
                        let lower = &self.rings[below as usize];
                        assert_eq!(lower.parent, at);
                        assert!(lower.level < ring.level, "rings get finer on the way down");
                        assert_eq!(ring.digit(lower.place), digit);
                        ways.push(below);
                    }
                    Slot::List { head, tail, len } => {
                        let (mut prev, mut next, before) = (NIL, head, timers);
                        while next != NIL {
                            let timer = &self.timers[next as usize];
                            assert!(timer.value.is_some(), "only timers that wait are in lists");
                            assert_eq!((timer.ring, timer.prev), (at, prev));
                            assert_eq!(ring.digit(self.place_of(next)), digit);
                            assert!(level_of(ring.place ^ self.place_of(next)) <= ring.level);
                            timers += 1;
                            (prev, next) = (next, timer.next);
                        }
                        assert_eq!((prev, timers - before), (tail, len as usize));
                        assert!(len <= LONG || ring.level == 0, "a list that can be opened is never very long");
                    }
                }
            }
        }
        assert_eq!(timers, self.len, "every timer is in a list");
        assert_eq!(rings, self.rings.len() - self.free_rings.len(), "every ring is reached or free");
    }
}

#[derive(Clone, Debug)]
enum Op {
    Insert(Duration),
    InsertLate(Duration),
    /// As many timers, each that much later than the one before.
    InsertMany(u32, Duration, Duration),
    /// At a deadline that is taken already.
    InsertTwin(prop::sample::Index),
    Cancel(prop::sample::Index),
    CancelFirst,
    CancelStale(prop::sample::Index),
    CancelAll,
    NextDeadline,
    Advance(Duration),
    AdvanceToNext,
    PopOne,
}

/// From nothing to centuries, each magnitude as likely as the other.
fn delay() -> impl Strategy<Value = Duration> {
    let units = [
        Duration::ZERO,
        NANOSECOND,
        Duration::from_micros(1),
        Duration::from_millis(1),
        Duration::from_secs(1),
        Duration::from_secs(60),
        DAY,
        YEAR,
    ];
    (prop::sample::select(units.to_vec()), 0..100u32, 0..100u64)
        .prop_map(|(unit, count, nanos)| unit * count + Duration::from_nanos(nanos / 50 * nanos))
}

fn op() -> impl Strategy<Value = Op> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        8 => delay().prop_map(Op::Insert),
        1 => delay().prop_map(|late| Op::InsertLate(late / 10_000)),
        3 => (1..80u32, delay(), delay()).prop_map(|(count, delay, step)| Op::InsertMany(count, delay, step / 100)),
        2 => index().prop_map(Op::InsertTwin),
        6 => index().prop_map(Op::Cancel),
        3 => Just(Op::CancelFirst),
        1 => index().prop_map(Op::CancelStale),
        1 => Just(Op::CancelAll),
        6 => Just(Op::NextDeadline),
        4 => delay().prop_map(|delay| Op::Advance(delay / 50)),
        3 => Just(Op::AdvanceToNext),
        2 => Just(Op::PopOne),
    ]
}

/// A wheel beside a map that is obviously right.
struct Pair {
    wheel: Wheel<u64>,
    model: BTreeMap<(Instant, u64), Key>,
    stale: Vec<Key>,
    given: HashSet<Key>,
    inserted: u64,
    now: Instant,
}

impl Pair {
    fn new() -> Self {
        let now = origin();
        Self {
            wheel: Wheel::new(now),
            model: BTreeMap::new(),
            stale: Vec::new(),
            given: HashSet::new(),
            inserted: 0,
            now,
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Insert(delay) => self.insert(self.now + delay),
            Op::InsertLate(late) => self.insert(self.now - late),
            Op::InsertMany(count, delay, step) => {
                (0..count).for_each(|number| self.insert(self.now + delay + step * number));
            }
            Op::InsertTwin(index) => {
                if let Some(((deadline, _), _)) = self.pick(index) {
                    self.insert(deadline);
                }
            }
            Op::Cancel(index) => {
                if let Some((place, key)) = self.pick(index) {
                    self.cancel(place, key);
                }
            }
            Op::CancelFirst => {
                if let Some((&place, &key)) = self.model.first_key_value() {
                    self.cancel(place, key);
                }
            }
            Op::CancelStale(index) => {
                if !self.stale.is_empty() {
                    let key = *index.get(&self.stale);
                    assert_eq!(self.wheel.deadline(key), None);
                    assert_eq!(self.wheel.cancel(key), None);
                }
            }
            Op::CancelAll => {
                for (place, key) in self.model.clone() {
                    self.cancel(place, key);
                }
            }
            Op::NextDeadline => assert_eq!(self.wheel.next_deadline(), self.next()),
            Op::Advance(by) => self.advance(self.now + by),
            Op::AdvanceToNext => {
                if let Some(next) = self.next().filter(|next| *next > self.now) {
                    self.advance(next - NANOSECOND);
                    self.advance(next);
                }
            }
            Op::PopOne => {
                self.pop();
            }
        }
        assert_eq!(self.wheel.len(), self.model.len());
        self.wheel.check();
    }

    fn insert(&mut self, deadline: Instant) {
        let key = self.wheel.insert(deadline, self.inserted);
        assert!(self.given.insert(key), "no key is given out twice");
        assert_eq!(self.wheel.deadline(key), Some(deadline));
        self.model.insert((deadline, self.inserted), key);
        self.inserted += 1;
    }

    fn cancel(&mut self, place: (Instant, u64), key: Key) {
        assert_eq!(self.wheel.deadline(key), Some(place.0));
        assert_eq!(self.wheel.cancel(key), Some(place));
        assert_eq!(self.wheel.cancel(key), None);
        self.model.remove(&place);
        self.stale.push(key);
    }

    fn advance(&mut self, now: Instant) {
        self.now = now;
        while self.pop() {}
    }

    fn pop(&mut self) -> bool {
        let due = self.model.first_entry().filter(|first| first.key().0 <= self.now);
        let expected = due.map(|first| first.remove_entry()).map(|((at, number), key)| (key, at, number));
        assert_eq!(self.wheel.pop_due(self.now), expected);
        self.stale.extend(expected.map(|(key, ..)| key));
        expected.is_some()
    }

    fn next(&self) -> Option<Instant> {
        self.model.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    fn pick(&self, index: prop::sample::Index) -> Option<((Instant, u64), Key)> {
        (!self.model.is_empty()).then(|| index.index(self.model.len())).map(|nth| {
            let (place, key) = self.model.iter().nth(nth).expect("the index is within the model");
            (*place, *key)
        })
    }
}

proptest! {
    #[test]
    fn the_wheel_does_what_an_ordered_map_does(ops in prop::collection::vec(op(), 1..100)) {
        let mut pair = Pair::new();
        ops.into_iter().for_each(|op| pair.run(op));
        // What is left comes out too.
        pair.advance(pair.now + 10_000 * YEAR);
        assert_eq!(pair.wheel.len(), 0);
        pair.wheel.check();
    }
}
