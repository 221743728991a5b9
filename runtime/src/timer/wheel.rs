//! A hierarchical timer wheel: what waits for an instant, by the million.
//!
//! It is a value like any other: it reads no clock, starts no thread and takes no lock. The caller says what
//! time it is, and a timer never comes out before its deadline.
//!
//! ```text
//!   key.slot ──▶ slab   [timer][timer][ free ][timer] …     each timer: deadline, generation, value,
//!                          ▲                                its neighbours in the list, its ring
//!   root ring              │
//!   ┌──┬──┬──┬─ … ─┐       │ a slot is empty, or
//!   │  │▒▒│  │     │       │  · a list of timers in the order of insertion, or
//!   └──┴─┬┴──┴─ … ─┘       │  · a ring of the next finer level that is needed
//!        ▼                 │
//!   level 5: 1.07 s a slot │
//!   ┌──┬──┬──┬─ … ─┐       │
//!   │▒▒│ ●│  │  ●  │ ●─────┘  lists of later timers
//!   └┬─┴──┴──┴─ … ─┘
//!    ▼
//!   level 3: 262 µs a slot       level 4 was skipped: all timers below lie in one of its slots
//!   ┌──┬──┬──┬─ … ─┐
//!   │  │● │  │ ●   │             the earliest timer is in the first occupied slot of the last ring
//!   └──┴──┴──┴─ … ─┘
//! ```
//!
//! A deadline is a number of nanoseconds, written in base 64. A ring of level `n` has 64 slots, one for each
//! value of digit `n`, so a slot of level 0 is one nanosecond wide, of level 4 about 17 ms, of level 7 over an
//! hour, and of level 10 more than 36 years. The root looks at the topmost digit of any `Instant` that can
//! exist, so no deadline is too far away, and there is no overflow list.
//!
//! # How it works
//! - A new timer goes down the rings that exist and joins the list it meets. Nothing is sorted.
//! - Whoever looks for the first timer looks into the earliest list. If it is short, it is scanned for its exact
//!   minimum. If not, it is *opened*: its timers are dealt to the slots of a finer ring, and the search goes
//!   on there.
//! - A list that has become very long is opened by the next insertion, so that no call ever has to deal more
//!   than a few thousand timers at a time.
//! - There is no hand that ticks. The earliest slot is found by the occupancy bits of each ring, so a jump
//!   over years costs what a jump over a nanosecond costs. And because looking ahead moves no hand, a timer that is
//!   set before the earliest one is nothing special.
//! - A timer only ever moves to a finer ring. This is what makes the costs below hold for every sequence of
//!   calls, and it is why a ring left with one list is not folded back into that list: whoever sets and
//!   cancels a first timer again and again would pay for opening the same list every time.
//! - Timers of the same instant always share a list, and every list is in the order of insertion.
//!
//! # What it costs
//! | call | cost |
//! |---|---|
//! | `insert`, `cancel` | constant: at most one step for each level, one to four in practice |
//! | `deadline`, `len` | constant |
//! | `next_deadline`, `pop_due` | constant while the earliest is known, else a scan of a short list |
//!
//! To this come openings. They are paid for by insertion: each timer takes part in at most one for each level, in
//! practice in two or three before it is due, and in none when it is cancelled before it comes near the front.
//!
//! # Memory
//! Timers live in a slab with a free list. When a wheel that was large becomes empty it gives its storage
//! back (one walk through the slab) and keeps four bytes for each slot it ever had: the generation, without which an old key could name
//! a new timer. A slot that has used all its generations is retired.
//!
//! # Source
//! George Varghese and Tony Lauck, "Hashed and Hierarchical Timing Wheels: Data Structures for the Efficient
//! Implementation of a Timer Facility", SOSP 1987; this is a relative of their scheme 7. They migrate timers
//! to finer wheels when the hand comes by; here a slot becomes a ring when somebody has to know what is in it.
//!
//! # Not here
//! Waiting, waking and firing: those are the caller's.

use std::time::Instant;

/// One digit of a deadline.
const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;

/// The place of `start` on the line of nanoseconds, with room on both sides: an `Instant` lies fewer than 2^64
/// seconds from another, which is less than 2^94 nanoseconds, so every place has sixteen digits.
const START: u128 = 1 << 95;
const TOP_LEVEL: u32 = 15;

/// The ring that is always there.
const ROOT: u32 = 0;

/// No timer, no ring.
const NIL: u32 = u32::MAX;

/// The generation of a slot that must not be used again.
const RETIRED: u32 = u32::MAX;

/// A list up to this long is scanned for its first timer, a longer one is opened.
const SHORT: u32 = 16;

/// A list of this length is opened before another timer joins it. That bounds the longest pause; shorter
/// lists would mean more rings, which then fall out of the cache.
const LONG: u32 = 4096;

/// An empty wheel keeps storage for this many timers and rings. To outgrow it takes as many insertions, which
/// pay for giving it back.
const KEPT_TIMERS: usize = 4096;
const KEPT_RINGS: usize = 64;

/// Names one timer; a key that was used up never names another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    slot: u32,
    generation: u32,
}

impl Key {
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self { slot: (bits >> 32) as u32, generation: bits as u32 }
    }

    pub(crate) fn to_bits(self) -> u64 {
        (u64::from(self.slot) << 32) | u64::from(self.generation)
    }
}

/// Timers with their values, in the order of their deadlines. See the [module](self) for how.
pub(crate) struct Wheel<T> {
    start: Instant,
    timers: Vec<Timer<T>>,
    /// The first free place of `timers`; the others follow by `next`.
    free: u32,
    len: usize,
    /// What the slots of a slab that was given back had for generations. A slot that is made again goes on
    /// from there.
    generations: Vec<u32>,
    rings: Vec<Ring>,
    free_rings: Vec<u32>,
    /// The timer that is first, if it is known. `None` says only that somebody has to look.
    earliest: Option<u32>,
}

struct Timer<T> {
    deadline: Instant,
    generation: u32,
    /// The ring whose slot holds the list that this timer is in.
    ring: u32,
    prev: u32,
    next: u32,
    /// `None` while the place is free or retired.
    value: Option<T>,
}

struct Ring {
    level: u32,
    /// Any place within this ring. All places in it agree in the digits above `level`.
    place: u128,
    parent: u32,
    /// One bit for each slot that is not empty.
    occupied: u64,
    slots: [Slot; SLOTS],
}

#[derive(Clone, Copy)]
enum Slot {
    Empty,
    List { head: u32, tail: u32, len: u32 },
    Ring(u32),
}

impl<T> Wheel<T> {
    /// A wheel without timers. `start` is where its time line is fastened; deadlines may lie on both sides of it.
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            timers: Vec::new(),
            free: NIL,
            len: 0,
            generations: Vec::new(),
            rings: vec![Ring::new(TOP_LEVEL, START, NIL)],
            free_rings: Vec::new(),
            earliest: None,
        }
    }

    /// Adds a timer. One whose deadline has passed is due at once.
    ///
    /// # Panics
    /// If there are 2^32 - 1 timers, or as many slots that were retired.
    pub(crate) fn insert(&mut self, deadline: Instant, value: T) -> Key {
        let slot = self.allocate();
        let timer = &mut self.timers[slot as usize];
        timer.deadline = deadline;
        timer.value = Some(value);
        let key = Key { slot, generation: timer.generation };
        self.place(ROOT, slot);
        self.len += 1;
        match self.earliest {
            // Of two with the same deadline the older one stays first.
            Some(earliest) if self.timers[earliest as usize].deadline <= deadline => {}
            Some(_) => self.earliest = Some(slot),
            None if self.len == 1 => self.earliest = Some(slot),
            None => {}
        }
        key
    }

    /// Removes a timer before it is due. `None` if it was cancelled or came out before.
    pub(crate) fn cancel(&mut self, key: Key) -> Option<(Instant, T)> {
        self.deadline(key)?;
        let (_, deadline, value) = self.remove(key.slot);
        Some((deadline, value))
    }

    /// Removes the first timer, if it is due at `now`. First is the one with the earliest deadline, and among
    /// those the one that was inserted first.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Key, Instant, T)> {
        let earliest = self.earliest()?;
        (self.timers[earliest as usize].deadline <= now).then(|| self.remove(earliest))
    }

    /// The exact deadline of the first timer.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        self.earliest().map(|earliest| self.timers[earliest as usize].deadline)
    }

    /// When the timer is due. `None` if it was cancelled or came out.
    pub(crate) fn deadline(&self, key: Key) -> Option<Instant> {
        let timer = self.timers.get(key.slot as usize)?;
        (timer.generation == key.generation && timer.value.is_some()).then_some(timer.deadline)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where the deadline of a timer lies on the line of nanoseconds. Earlier deadlines have smaller places, and
    /// different deadlines have different places.
    fn place_of(&self, slot: u32) -> u128 {
        let deadline = self.timers[slot as usize].deadline;
        match deadline.checked_duration_since(self.start) {
            Some(after) => START + after.as_nanos(),
            None => START - self.start.duration_since(deadline).as_nanos(),
        }
    }

    /// Puts a timer at the end of the list for its deadline, below `ring`.
    fn place(&mut self, mut ring: u32, slot: u32) {
        let place = self.place_of(slot);
        loop {
            let digit = self.rings[ring as usize].digit(place);
            match self.rings[ring as usize].slots[digit] {
                Slot::Empty => {
                    let new = &mut self.timers[slot as usize];
                    (new.ring, new.prev, new.next) = (ring, NIL, NIL);
                    self.rings[ring as usize].set(digit, Slot::List { head: slot, tail: slot, len: 1 });
                    return;
                }
                // One nanosecond wide: there is nothing left to tell apart.
                Slot::List { head, len: LONG.., .. } if self.rings[ring as usize].level > 0 => {
                    self.open(ring, digit, head);
                    // The ring may be gone.
                    ring = ROOT;
                }
                Slot::List { head, tail, len } => {
                    let new = &mut self.timers[slot as usize];
                    (new.ring, new.prev, new.next) = (ring, tail, NIL);
                    self.timers[tail as usize].next = slot;
                    self.rings[ring as usize].set(digit, Slot::List { head, tail: slot, len: len + 1 });
                    return;
                }
                Slot::Ring(below) => {
                    let level = level_of(place ^ self.rings[below as usize].place);
                    if level <= self.rings[below as usize].level {
                        ring = below;
                    } else {
                        // The level where they part was skipped until now; it is needed between the two.
                        ring = self.insert_ring(ring, digit, level, below);
                    }
                }
            }
        }
    }

    /// Takes a timer out of its list.
    fn unlink(&mut self, slot: u32) {
        let Timer { ring, prev, next, .. } = self.timers[slot as usize];
        if prev != NIL {
            self.timers[prev as usize].next = next;
        }
        if next != NIL {
            self.timers[next as usize].prev = prev;
        }
        let digit = self.rings[ring as usize].digit(self.place_of(slot));
        let Slot::List { head, tail, len } = self.rings[ring as usize].slots[digit] else {
            unreachable!("a timer that waits is in the list of its slot");
        };
        if len == 1 {
            self.clear(ring, digit);
        } else {
            let head = if prev == NIL { next } else { head };
            let tail = if next == NIL { prev } else { tail };
            self.rings[ring as usize].set(digit, Slot::List { head, tail, len: len - 1 });
        }
    }

    /// Empties a slot, and frees the rings that have nothing to tell any more.
    fn clear(&mut self, mut ring: u32, mut digit: usize) {
        loop {
            let this = &mut self.rings[ring as usize];
            this.set(digit, Slot::Empty);
            if ring == ROOT {
                return;
            }
            if this.occupied != 0 {
                return self.skip_if_needless(ring);
            }
            let (parent, place) = (this.parent, this.place);
            self.free_rings.push(ring);
            (ring, digit) = (parent, self.rings[parent as usize].digit(place));
        }
    }

    /// Takes a ring out if all it holds is one other ring: nothing parts on its level.
    ///
    /// No timer moves to a coarser ring by this. That would not be so for a ring that holds one list.
    fn skip_if_needless(&mut self, ring: u32) {
        let Ring { occupied, parent, place, slots, .. } = &self.rings[ring as usize];
        if ring != ROOT
            && occupied.is_power_of_two()
            && let Slot::Ring(below) = slots[occupied.trailing_zeros() as usize]
        {
            let (parent, place) = (*parent, *place);
            let digit = self.rings[parent as usize].digit(place);
            self.rings[parent as usize].set(digit, Slot::Ring(below));
            self.rings[below as usize].parent = parent;
            self.free_rings.push(ring);
        }
    }

    /// The first timer, and from now on it is known.
    fn earliest(&mut self) -> Option<u32> {
        if self.earliest.is_none() && self.len > 0 {
            self.earliest = Some(self.find_earliest());
        }
        self.earliest
    }

    fn find_earliest(&mut self) -> u32 {
        let mut ring = ROOT;
        loop {
            let Ring { level, occupied, .. } = self.rings[ring as usize];
            let digit = occupied.trailing_zeros() as usize;
            match self.rings[ring as usize].slots[digit] {
                Slot::Empty => unreachable!("a ring with timers below it has an occupied slot"),
                Slot::Ring(below) => ring = below,
                // One nanosecond wide: all have the same deadline, and the head was first.
                Slot::List { head, .. } if level == 0 => return head,
                Slot::List { head, len: ..=SHORT, .. } => return self.first_of(head),
                Slot::List { head, .. } => ring = self.open(ring, digit, head),
            }
        }
    }

    /// The first timer of the list from `head` on.
    fn first_of(&self, head: u32) -> u32 {
        let mut first = head;
        let mut slot = self.timers[head as usize].next;
        while slot != NIL {
            let timer = &self.timers[slot as usize];
            // The list is in the order of insertion, so of two with the same deadline the one found first stays.
            if timer.deadline < self.timers[first as usize].deadline {
                first = slot;
            }
            slot = timer.next;
        }
        first
    }

    /// Deals the list in a slot to a ring that takes its place: that of the coarsest level where they part. The
    /// ring above is freed if it is needless then.
    fn open(&mut self, ring: u32, digit: usize, head: u32) -> u32 {
        let place = self.place_of(head);
        let mut differ = 0;
        let mut slot = head;
        while slot != NIL {
            differ |= place ^ self.place_of(slot);
            slot = self.timers[slot as usize].next;
        }
        let finer = self.new_ring(level_of(differ), place, ring);
        self.rings[ring as usize].set(digit, Slot::Ring(finer));
        let mut slot = head;
        while slot != NIL {
            let next = self.timers[slot as usize].next;
            self.place(finer, slot);
            slot = next;
        }
        self.skip_if_needless(ring);
        finer
    }

    /// Puts a ring between a slot and the ring `below` it.
    fn insert_ring(&mut self, parent: u32, digit: usize, level: u32, below: u32) -> u32 {
        let place = self.rings[below as usize].place;
        let between = self.new_ring(level, place, parent);
        self.rings[parent as usize].set(digit, Slot::Ring(between));
        self.rings[below as usize].parent = between;
        let between_digit = self.rings[between as usize].digit(place);
        self.rings[between as usize].set(between_digit, Slot::Ring(below));
        between
    }

    fn new_ring(&mut self, level: u32, place: u128, parent: u32) -> u32 {
        let ring = Ring::new(level, place, parent);
        if let Some(free) = self.free_rings.pop() {
            self.rings[free as usize] = ring;
            return free;
        }
        // Every ring but the root holds a list or parts two rings, so there are at most twice as many rings as lists.
        // In practice there are a few hundred for a million timers.
        let new = u32::try_from(self.rings.len()).expect("there are fewer than 2^32 rings");
        self.rings.push(ring);
        new
    }

    /// A free place in the slab.
    fn allocate(&mut self) -> u32 {
        if self.free != NIL {
            let slot = self.free;
            self.free = self.timers[slot as usize].next;
            return slot;
        }
        loop {
            let slot = u32::try_from(self.timers.len()).unwrap_or(NIL);
            assert!(slot != NIL, "a wheel has fewer than 2^32 - 1 timers");
            let generation = self.generations.get(slot as usize).copied().unwrap_or(0);
            let deadline = self.start;
            self.timers.push(Timer { deadline, generation, ring: NIL, prev: NIL, next: NIL, value: None });
            if generation != RETIRED {
                return slot;
            }
        }
    }

    /// Takes a timer that waits out of the wheel and uses up its key.
    fn remove(&mut self, slot: u32) -> (Key, Instant, T) {
        self.unlink(slot);
        let timer = &mut self.timers[slot as usize];
        let value = timer.value.take().expect("a timer that waits has a value");
        let (key, deadline) = (Key { slot, generation: timer.generation }, timer.deadline);
        timer.generation += 1;
        if timer.generation != RETIRED {
            timer.next = self.free;
            self.free = slot;
        }
        if self.earliest == Some(slot) {
            self.earliest = None;
        }
        self.len -= 1;
        if self.len == 0 && (self.timers.capacity() > KEPT_TIMERS || self.rings.capacity() > KEPT_RINGS) {
            self.give_back();
        }
        (key, deadline, value)
    }

    /// Gives back the storage of a wheel that is empty.
    fn give_back(&mut self) {
        let known = self.generations.len().min(self.timers.len());
        let (again, new) = self.timers.split_at(known);
        for (generation, timer) in self.generations.iter_mut().zip(again) {
            *generation = timer.generation;
        }
        self.generations.reserve_exact(new.len());
        self.generations.extend(new.iter().map(|timer| timer.generation));
        self.timers = Vec::new();
        self.free = NIL;
        // All but the root are free.
        self.rings.truncate(1);
        self.rings.shrink_to_fit();
        self.free_rings = Vec::new();
    }
}

impl Ring {
    fn new(level: u32, place: u128, parent: u32) -> Self {
        Self { level, place, parent, occupied: 0, slots: [Slot::Empty; SLOTS] }
    }

    fn set(&mut self, digit: usize, slot: Slot) {
        let bit = 1 << digit;
        match slot {
            Slot::Empty => self.occupied &= !bit,
            Slot::List { .. } | Slot::Ring(_) => self.occupied |= bit,
        }
        self.slots[digit] = slot;
    }

    /// The slot for `place`.
    fn digit(&self, place: u128) -> usize {
        (place >> (DIGIT_BITS * self.level)) as usize % SLOTS
    }
}

/// The level of the highest digit that is not zero: where two places part, given their exclusive or.
fn level_of(differ: u128) -> u32 {
    differ.checked_ilog2().unwrap_or(0) / DIGIT_BITS
}

#[cfg(test)]
mod tests;
