//! Which timeouts of a state machine run, and which of them have come.
//!
//! Of each kind there is one at a time, and the last that was set counts. Each has a number, so that what a timer says of a
//! timeout that was cancelled or set again is known to be stale. A timeout of nothing has no timer: it comes when all
//! events are handled that are ahead of the mailbox, in the order in which they were set.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use crate::timer::TimerRef;

/// Which timeout it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Ends with the state.
    State,
    /// Ends with the next event.
    Event,
    /// Ends when it is cancelled.
    Named(Cow<'static, str>),
}

/// What a timer says when it fires.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeout {
    pub(super) kind: Kind,
    pub(super) number: u64,
}

/// The timeouts of a machine, with what each is to do.
pub(super) struct Timeouts<A> {
    running: BTreeMap<Kind, Running<A>>,
    /// Those that are to come without waiting.
    zero: VecDeque<Kind>,
    numbers: u64,
}

struct Running<A> {
    number: u64,
    action: A,
    timer: Option<TimerRef>,
}

impl<A> Default for Timeouts<A> {
    fn default() -> Self {
        Self { running: BTreeMap::new(), zero: VecDeque::new(), numbers: 0 }
    }
}

impl<A> Timeouts<A> {
    /// One more, to be told of by a timer, in the place of the one of its kind. Returns what the timer is to say.
    #[must_use = "a timeout without a timer never comes"]
    pub(super) fn set(&mut self, kind: Kind, action: A) -> Timeout {
        self.numbers += 1;
        let number = self.numbers;
        self.running.insert(kind.clone(), Running { number, action, timer: None });
        Timeout { kind, number }
    }

    /// This one has this timer.
    pub(super) fn started(&mut self, kind: &Kind, timer: TimerRef) {
        if let Some(running) = self.running.get_mut(kind) {
            running.timer = Some(timer);
        }
    }

    /// One more, which comes without waiting.
    pub(super) fn set_zero(&mut self, kind: Kind, action: A) {
        let timeout = self.set(kind, action);
        self.zero.push_back(timeout.kind);
    }

    /// Takes one back. Returns the timer to be cancelled, if it has one.
    pub(super) fn cancel(&mut self, kind: &Kind) -> Option<TimerRef> {
        let running = self.running.remove(kind)?;
        if running.timer.is_none() {
            self.zero.retain(|zero| zero != kind);
        }
        running.timer
    }

    /// A timer says this. Returns what is to be done, unless it is stale.
    pub(super) fn on_timer(&mut self, timeout: &Timeout) -> Option<A> {
        let running = self.running.get(&timeout.kind)?;
        if running.number != timeout.number {
            return None;
        }
        self.running.remove(&timeout.kind).map(|running| running.action)
    }

    /// Takes the first of those that come without waiting.
    pub(super) fn take_zero(&mut self) -> Option<A> {
        let kind = self.zero.pop_front()?;
        self.running.remove(&kind).map(|running| running.action)
    }

    /// Whether none is to come without waiting.
    pub(super) fn has_no_zero(&self) -> bool {
        self.zero.is_empty()
    }

    /// Whether none is set.
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &'static str) -> Kind {
        Kind::Named(name.into())
    }

    #[test]
    fn what_a_timer_says_of_a_timeout_that_was_set_again_or_cancelled_is_stale() {
        let mut timeouts = Timeouts::default();
        let one = timeouts.set(Kind::State, "one");
        assert_eq!(timeouts.cancel(&Kind::State), None);
        let two = timeouts.set(Kind::State, "two");
        assert_eq!(timeouts.on_timer(&one), None);
        assert_eq!(timeouts.on_timer(&two), Some("two"));
        assert_eq!(timeouts.on_timer(&two), None);
        let three = timeouts.set(Kind::State, "three");
        let _ = timeouts.cancel(&Kind::State);
        assert_eq!(timeouts.on_timer(&three), None);
        assert!(timeouts.is_empty());
    }

    #[test]
    fn kinds_and_names_do_not_meet() {
        let mut timeouts = Timeouts::default();
        let all = [Kind::State, Kind::Event, named("x"), named("y")];
        let set: Vec<_> = all.iter().map(|kind| timeouts.set(kind.clone(), kind.clone())).collect();
        for (timeout, kind) in set.iter().zip(all) {
            assert_eq!(timeouts.on_timer(timeout), Some(kind));
        }
    }

    #[test]
    fn those_of_nothing_come_in_the_order_in_which_they_were_set_unless_they_are_taken_back() {
        let mut timeouts = Timeouts::default();
        timeouts.set_zero(named("x"), 1);
        timeouts.set_zero(Kind::State, 2);
        timeouts.set_zero(Kind::Event, 3);
        assert_eq!(timeouts.cancel(&Kind::State), None);
        // Set again, it is the last.
        assert_eq!(timeouts.cancel(&named("x")), None);
        timeouts.set_zero(named("x"), 4);
        assert_eq!((timeouts.take_zero(), timeouts.take_zero(), timeouts.take_zero()), (Some(3), Some(4), None));
        assert!(timeouts.has_no_zero() && timeouts.is_empty());
    }
}
