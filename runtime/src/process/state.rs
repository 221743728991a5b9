//! The lifecycle word: who owes a process its next turn. Nobody else knows the bits.

use std::sync::atomic::{AtomicU32, Ordering};

/// A message was pushed.
const MESSAGE: u32 = 1;
/// A waker of the body was woken.
const WAKE: u32 = 1 << 1;
/// A signal was pushed.
const SIGNAL: u32 = 1 << 2;
/// The process is on a run queue.
const QUEUED: u32 = 1 << 3;
/// A worker has its turn.
const RUNNING: u32 = 1 << 4;
/// The body awaits something of its own: messages do not concern it until that is done.
const PARKED: u32 = 1 << 5;
/// It has ended.
const ENDED: u32 = 1 << 6;

pub(crate) struct State(AtomicU32);

/// Why a process is to have a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Message,
    Wake,
    Signal,
}

/// What a turn has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) signals: bool,
    pub(crate) body: bool,
}

/// What is seen of a process from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// A worker is running it.
    Running,
    /// It waits for a worker.
    Runnable,
    /// It waits for a message.
    Waiting,
    /// Its handler awaits something.
    Awaiting,
    /// It has ended.
    Ended,
}

impl State {
    pub(crate) fn idle() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Notes `cause`. Returns whether the caller must submit the process: exactly one of many does.
    #[must_use = "an idle process stays idle unless it is submitted"]
    pub(crate) fn notify(&self, cause: Cause) -> bool {
        let bit = match cause {
            Cause::Message => MESSAGE,
            Cause::Wake => WAKE,
            Cause::Signal => SIGNAL,
        };
        let mut owes = false;
        // AcqRel: pairs with `start_turn` and `end_turn`, so that the worker that takes the turn sees
        // what was pushed before the bit was set.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let concerned = cause != Cause::Message || word & PARKED == 0;
            owes = word & (QUEUED | RUNNING | ENDED) == 0 && concerned;
            (word & ENDED == 0).then_some(word | bit | if owes { QUEUED } else { 0 })
        });
        owes
    }

    /// The worker takes the turn.
    pub(crate) fn start_turn(&self) -> Due {
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            debug_assert_eq!(word & (QUEUED | RUNNING), QUEUED, "only a queued process has a turn, and one at a time");
            let kept = if word & PARKED != 0 && word & WAKE == 0 { PARKED | (word & MESSAGE) } else { 0 };
            Some(RUNNING | kept)
        });
        let word = before.unwrap_or_default();
        Due { signals: word & SIGNAL != 0, body: word & WAKE != 0 || (word & PARKED == 0 && word & MESSAGE != 0) }
    }

    /// The worker gives the turn back; `parked` as the body now stands, `None` if it was not polled.
    /// Returns whether the process must be submitted again.
    #[must_use = "a process that has something to do must be submitted again"]
    pub(crate) fn end_turn(&self, parked: Option<bool>) -> bool {
        let mut again = false;
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            let parked = parked.unwrap_or(word & PARKED != 0);
            let concerning = if parked { WAKE | SIGNAL } else { WAKE | SIGNAL | MESSAGE };
            again = word & concerning != 0;
            let pending = word & (MESSAGE | WAKE | SIGNAL);
            Some(pending | if parked { PARKED } else { 0 } | if again { QUEUED } else { 0 })
        });
        again
    }

    pub(crate) fn end(&self) {
        self.0.store(ENDED, Ordering::Release);
    }

    pub(crate) fn status(&self) -> Status {
        let word = self.0.load(Ordering::Relaxed);
        match word {
            _ if word & ENDED != 0 => Status::Ended,
            _ if word & RUNNING != 0 => Status::Running,
            _ if word & QUEUED != 0 => Status::Runnable,
            _ if word & PARKED != 0 => Status::Awaiting,
            _ => Status::Waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_push_owes_a_submit() {
        let state = State::idle();
        assert!(state.notify(Cause::Message));
        assert!(!state.notify(Cause::Message));
        assert!(!state.notify(Cause::Signal));
        assert_eq!(state.start_turn(), Due { signals: true, body: true });
        assert!(!state.end_turn(Some(false)));
        assert_eq!(state.status(), Status::Waiting);
    }

    #[test]
    fn a_message_does_not_concern_a_parked_body_but_a_wake_and_a_signal_do() {
        let state = State::idle();
        assert!(state.notify(Cause::Wake));
        state.start_turn();
        assert!(!state.end_turn(Some(true)));
        assert!(!state.notify(Cause::Message));
        assert_eq!(state.status(), Status::Awaiting);
        assert!(state.notify(Cause::Signal));
        assert_eq!(state.start_turn(), Due { signals: true, body: false });
        assert!(!state.end_turn(None));
        assert!(state.notify(Cause::Wake));
        assert_eq!(state.start_turn(), Due { signals: false, body: true });
        // The message that came meanwhile is found by the body when it asks for one.
        assert!(!state.end_turn(Some(false)));
    }

    #[test]
    fn what_comes_during_a_turn_is_not_lost() {
        let state = State::idle();
        assert!(state.notify(Cause::Message));
        state.start_turn();
        assert!(!state.notify(Cause::Message));
        assert!(state.end_turn(Some(false)));
        assert_eq!(state.start_turn(), Due { signals: false, body: true });
    }

    #[test]
    fn a_process_that_has_ended_owes_nothing() {
        let state = State::idle();
        state.end();
        assert!(!state.notify(Cause::Wake));
        assert_eq!(state.status(), Status::Ended);
    }
}
