//! The state word: who owes a parked process its next turn. Nobody else knows the bits.
//!
//! ```text
//!                    ┌────────────── wake, receive ──────────────┐ (submits)
//!                    ▼                                           │
//!   submitted ──▶ running ── park, if nothing came meanwhile ──▶ PARKED
//!                    │ ▲
//!                    ▼ │ push (submits)
//!                 waiting for its mailbox: said in the mailbox's own word, not here
//! ```
//!
//! A process that is not parked and not waiting has a turn, or is on a run queue. What comes meanwhile is
//! noted here and found by the turn.

use crate::sync::{AtomicU32, Ordering};

/// The process awaits something of its own. Whoever wakes it, or sends it something that must be received,
/// submits it.
const PARKED: u32 = 1;
/// A waker was woken: what the process awaits may be ready.
const WOKEN: u32 = 1 << 1;
/// Something that must be received is in the mailbox.
const RECEIVE: u32 = 1 << 2;
/// The process is not to run its code until there is room for what it has sent.
const STALLED: u32 = 1 << 3;

/// The state word of one process.
pub(crate) struct State(AtomicU32);

/// What is noted for a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A waker was woken.
    Wake,
    /// Something that must be received was pushed.
    Receive,
    /// Both.
    WakeToReceive,
}

impl State {
    /// The state of a process that is about to be submitted for the first time. It was not woken: what is new
    /// needs no waker to begin.
    pub(crate) fn submitted() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Notes `cause`. Returns whether the process was parked, so that the caller must submit it: exactly
    /// one of many does.
    #[must_use = "a parked process stays parked unless it is submitted"]
    pub(crate) fn note(&self, cause: Cause) -> bool {
        let bits = match cause {
            Cause::Wake => WOKEN,
            Cause::Receive => RECEIVE,
            Cause::WakeToReceive => WOKEN | RECEIVE,
        };
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            // AcqRel, also where nothing changes: the turn that finds the bit must see what was done before
            // it was noted again, and who submits must see what the last turn did.
            match self.0.compare_exchange_weak(word, (word | bits) & !PARKED, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return word & PARKED != 0,
                Err(now) => word = now,
            }
        }
    }

    /// Whether something must be received. The bit is taken back before the mailbox is looked through, so
    /// that what comes later is noted again.
    #[inline]
    pub(crate) fn take_receive(&self) -> bool {
        self.take(RECEIVE)
    }

    /// Whether a waker was woken since the last time.
    #[inline]
    pub(crate) fn take_woken(&self) -> bool {
        self.take(WOKEN)
    }

    /// The code of the process is not to run, until [`release`](Self::release). For the owner, as are all of these.
    #[cold]
    pub(crate) fn stall(&self) {
        self.0.fetch_or(STALLED, Ordering::Relaxed);
    }

    #[cold]
    pub(crate) fn release(&self) {
        self.0.fetch_and(!STALLED, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_stalled(&self) -> bool {
        self.0.load(Ordering::Relaxed) & STALLED != 0
    }

    /// Whether anything was noted.
    #[inline]
    pub(crate) fn has_notes(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Parks the process, if nothing was noted. From the moment this returns true, it may be running
    /// elsewhere.
    #[must_use = "what was noted must be seen to"]
    pub(crate) fn park(&self) -> bool {
        let stalled = self.0.load(Ordering::Relaxed) & STALLED;
        // Release: whoever submits it next sees all that this turn did.
        self.0.compare_exchange(stalled, stalled | PARKED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Whether it is parked.
    pub(crate) fn is_parked(&self) -> bool {
        self.0.load(Ordering::Relaxed) & PARKED != 0
    }

    #[inline]
    fn take(&self, bit: u32) -> bool {
        if self.0.load(Ordering::Relaxed) & bit == 0 {
            return false;
        }
        self.0.fetch_and(!bit, Ordering::AcqRel);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_that_wake_a_parked_process_one_must_submit_it() {
        let state = State::submitted();
        assert!(!state.take_woken());
        assert!(state.park());
        assert!(state.note(Cause::Wake));
        assert!(!state.note(Cause::Wake));
        assert!(!state.note(Cause::Receive));
        assert!(state.take_receive() && state.take_woken());
    }

    #[test]
    fn what_comes_during_a_turn_keeps_the_process_from_parking() {
        let state = State::submitted();
        assert!(!state.note(Cause::Receive), "it is running: nobody submits it");
        assert!(!state.park());
        assert!(state.take_receive());
        assert!(state.park());
        assert!(state.is_parked());
    }

    #[test]
    fn a_process_that_is_stalled_parks_and_is_woken_like_others() {
        let state = State::submitted();
        state.stall();
        assert!(state.is_stalled());
        assert!(state.park());
        assert!(state.note(Cause::Wake), "who wakes it submits it");
        assert!(!state.park(), "it was woken");
        assert!(state.take_woken());
        assert!(state.is_stalled(), "until it is released");
        state.release();
        assert!(!state.is_stalled() && state.park());
    }

    #[test]
    fn what_must_be_received_does_not_count_as_a_wake() {
        let state = State::submitted();
        assert!(state.park());
        assert!(state.note(Cause::Receive));
        assert!(state.take_receive());
        assert!(!state.take_woken());
        assert!(state.park());
        assert!(state.note(Cause::WakeToReceive));
        assert!(state.take_woken());
    }
}
