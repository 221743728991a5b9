//! Things that happen at an instant: delayed messages, deadlines of calls, wakers of sleeping futures.
//!
//! One wheel ([`wheel`]) for each runtime. On the real clock the ticker asks it once a millisecond, and
//! sleeps until the next deadline when all workers sleep; in a seeded run the scheduler moves the clock to
//! the earliest deadline whenever nothing can run. Timers never fire early.
//!
//! A delayed message belongs to the process that it is for: the timer ends with that process, and not with
//! the one that set it.

mod wheel;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wheel::{Key, Wheel};

use crate::ambient;
use crate::clock::Moment;
use crate::process::{AnyRef, Header};

/// One timer; made by [`Me::send_after`](crate::Me::send_after) and its siblings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerRef(Repr);

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Repr {
    /// The bits of a key of the wheel.
    Once(u64),
    /// The number of an interval, whose key changes.
    Every(u64),
    /// A timer that was never set: what it was for had ended.
    Never,
}

/// What a timer does.
pub(crate) enum Action {
    /// Wakes a future.
    Wake(Waker),
    /// Lets the process see to its deadlines.
    Alarm(AnyRef),
    /// Runs this, for the process that the timer belongs to, if it belongs to one.
    Fire(Option<AnyRef>, Box<dyn FnOnce(TimerRef) + Send>),
    /// Runs this again and again, for the process that the timer belongs to.
    Every(u64, AnyRef, Duration, Box<dyn FnMut() + Send>),
}

/// All timers of one runtime.
pub(crate) struct Timers {
    state: Mutex<State>,
    /// Called after each new timer.
    added: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

struct State {
    wheel: Wheel<Action>,
    /// The keys of intervals by number; `None` while one fires.
    intervals: BTreeMap<u64, Option<Key>>,
    numbers: u64,
}

impl Timers {
    pub(crate) fn new(start: Instant) -> Self {
        let state = State { wheel: Wheel::new(start), intervals: BTreeMap::new(), numbers: 0 };
        Self { state: Mutex::new(state), added: OnceLock::new() }
    }

    /// Has `added` called after each new timer.
    pub(crate) fn on_added(&self, added: impl Fn() + Send + Sync + 'static) {
        // There is one scheduler for each runtime.
        let _ = self.added.set(Box::new(added));
    }

    /// How many are set. An interval counts once.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().wheel.len()
    }

    /// Sets a timer that belongs to nobody.
    pub(crate) fn at(&self, deadline: Instant, action: Action) -> TimerRef {
        let key = self.state.lock().wheel.insert(deadline, action);
        if let Some(added) = self.added.get() {
            added();
        }
        TimerRef(Repr::Once(key.to_bits()))
    }

    /// Runs `fire` at `deadline`, unless the process at `to` has ended by then.
    pub(crate) fn fire_at(
        &self,
        deadline: Instant,
        to: &Header,
        fire: impl FnOnce(TimerRef) + Send + 'static,
    ) -> TimerRef {
        self.belonging_to(to, |timers| timers.at(deadline, Action::Fire(Some(AnyRef::of(to)), Box::new(fire))))
    }

    /// Runs `fire` every `period` from `now`, until the process at `to` has ended.
    pub(crate) fn fire_every(
        &self,
        now: Instant,
        period: Duration,
        to: &Header,
        fire: impl FnMut() + Send + 'static,
    ) -> TimerRef {
        // A period of nothing would fire without end at one instant.
        let period = period.max(Duration::from_nanos(1));
        self.belonging_to(to, |timers| {
            let mut state = timers.state.lock();
            state.numbers += 1;
            let number = state.numbers;
            let key = state.wheel.insert(now + period, Action::Every(number, AnyRef::of(to), period, Box::new(fire)));
            state.intervals.insert(number, Some(key));
            drop(state);
            if let Some(added) = timers.added.get() {
                added();
            }
            TimerRef(Repr::Every(number))
        })
    }

    /// Keeps the timer that `set` sets with the process at `to`, if that lives. The lock is held meanwhile:
    /// a timer that is due at once waits for it, and finds itself.
    fn belonging_to(&self, to: &Header, set: impl FnOnce(&Self) -> TimerRef) -> TimerRef {
        let mut control = to.extra().control.lock();
        if to.has_ended() {
            return TimerRef(Repr::Never);
        }
        let timer = set(self);
        control.rare_mut().timers.insert(timer);
        timer
    }

    /// Cancels a timer. Returns when it would have fired.
    pub(crate) fn cancel(&self, timer: TimerRef) -> Option<Instant> {
        let mut state = self.state.lock();
        let key = match timer.0 {
            Repr::Once(bits) => Key::from_bits(bits),
            Repr::Every(number) => state.intervals.remove(&number)??,
            Repr::Never => return None,
        };
        let (deadline, action) = state.wheel.cancel(key)?;
        // What the action holds is dropped after the lock is released.
        drop(state);
        action.forget(timer);
        Some(deadline)
    }

    /// When a timer fires next.
    pub(crate) fn deadline(&self, timer: TimerRef) -> Option<Instant> {
        let state = self.state.lock();
        match timer.0 {
            Repr::Once(bits) => state.wheel.deadline(Key::from_bits(bits)),
            Repr::Every(number) => state.wheel.deadline((*state.intervals.get(&number)?)?),
            Repr::Never => None,
        }
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.state.lock().wheel.next_deadline()
    }

    /// Fires everything that is due at `now`.
    pub(crate) fn fire_until(&self, now: Instant) {
        loop {
            // Firing may wake a process, which may set a timer: not under the lock.
            let due = self.state.lock().wheel.pop_due(now);
            let Some((key, deadline, action)) = due else { return };
            self.fire(TimerRef(Repr::Once(key.to_bits())), deadline, action);
        }
    }

    fn fire(&self, timer: TimerRef, deadline: Instant, action: Action) {
        match action {
            Action::Wake(waker) => waker.wake(),
            Action::Alarm(process) => process.ring(),
            Action::Fire(to, fire) => {
                if let Some(to) = &to {
                    forget(to, timer);
                }
                let _ = acted(|| fire(timer));
            }
            Action::Every(number, to, period, mut fire) => {
                if let Some(key) = self.state.lock().intervals.get_mut(&number) {
                    *key = None;
                }
                let goes_on = acted(&mut fire);
                let mut state = self.state.lock();
                // It may have been cancelled, or its process have ended, meanwhile.
                if !goes_on || to.has_ended() {
                    state.intervals.remove(&number);
                } else if state.intervals.contains_key(&number) {
                    let key = state.wheel.insert(deadline + period, Action::Every(number, to, period, fire));
                    state.intervals.insert(number, Some(key));
                }
            }
        }
    }

    /// Forgets all timers.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        let abandoned = std::mem::replace(&mut state.wheel, Wheel::new(Instant::now()));
        state.intervals.clear();
        drop(state);
        drop(abandoned);
    }
}

impl Action {
    /// The process that the timer belongs to forgets it.
    fn forget(&self, timer: TimerRef) {
        if let Self::Fire(Some(to), _) | Self::Every(_, to, ..) = self {
            forget(to, timer);
        }
    }
}

/// Runs what a timer is to do, which is the user's; it runs on the ticker's thread, and its panic ends nothing else.
/// Returns whether it came to its end.
fn acted(act: impl FnOnce()) -> bool {
    let done = catch_unwind(AssertUnwindSafe(|| ambient::coming_through(act))).is_ok();
    if !done {
        tracing::error!("what a timer was to do panicked; it is given up");
    }
    done
}

fn forget(of: &Header, timer: TimerRef) {
    if let Some(rare) = of.extra().control.lock().rare_if_any() {
        rare.timers.remove(&timer);
    }
}

impl Header {
    /// Sees to it that the process is woken at `deadline`, or before.
    #[inline]
    pub(crate) fn set_alarm(&self, deadline: Moment) {
        if self.extra().alarm.get() > deadline {
            self.set_earlier_alarm(deadline);
        }
    }

    #[cold]
    fn set_earlier_alarm(&self, deadline: Moment) {
        let runtime = self.node().runtime();
        self.extra().alarm.set(deadline);
        let timer = runtime.timers().at(runtime.clock().instant(deadline), Action::Alarm(AnyRef::of(self)));
        let before = self.exchange_alarm(Some(timer));
        if let Some(before) = before {
            runtime.timers().cancel(before);
        }
    }

    /// The alarm has gone off.
    fn ring(&self) {
        self.extra().alarm.set(Moment::NEVER);
        self.note_wake();
    }
}

impl fmt::Debug for TimerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Repr::Once(bits) => write!(f, "TimerRef({bits:x})"),
            Repr::Every(number) => write!(f, "TimerRef(every #{number})"),
            Repr::Never => f.write_str("TimerRef(never)"),
        }
    }
}
