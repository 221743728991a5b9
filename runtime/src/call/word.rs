//! The reply word: one place for a reply, without a lock and without memory of its own.
//!
//! A process that awaits a call lends the place where the reply goes to whoever replies. The word says
//! whose that place is:
//!
//! ```text
//!            claim                begin_write              end_write
//!   FREE ───────────▶ AWAITED ───────────────▶ WRITING ───────────────▶ WRITTEN
//!    ▲                  │ give_up                                          │ take
//!    └──────────────────┴──────────────────────────────────────────────────┘
//! ```
//!
//! Each claim has a number of its own, so that a late reply finds another number and is dropped: it cannot
//! be taken for the reply to the next call.
//!
//! Whoever replies wakes the process that the word belongs to. If somebody else awaits the reply, that is
//! noted in the word while it is awaited, and found by whoever replies.

use crate::sync::{AtomicU64, Ordering, spin_loop, yield_thread};

const FREE: u64 = 0;
const AWAITED: u64 = 1;
const WRITING: u64 = 2;
const WRITTEN: u64 = 3;
const STATE: u64 = 3;
/// Somebody else than the process itself waits.
const WATCHED: u64 = 4;
/// The least significant bit of the claim's number.
const NUMBER: u64 = 8;

/// Whose a place for a reply is.
#[derive(Debug)]
pub(crate) struct ReplyWord(AtomicU64);

/// One claim of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim(u64);

impl Claim {
    /// Grows from claim to claim of a word.
    pub(super) fn number(self) -> u64 {
        self.0
    }
}

/// The right to write a reply.
#[must_use = "a reply that was begun must be written"]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Writing {
    /// Somebody else than the process itself waits.
    pub(crate) is_watched: bool,
}

/// What giving up found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GaveUp {
    /// No reply has come, and none will be written.
    Unanswered,
    /// The reply is in its place, and is the caller's.
    Answered,
}

impl Default for ReplyWord {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplyWord {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(FREE))
    }

    /// Claims the word, if it is free. Only the process that it belongs to may.
    #[inline]
    pub(crate) fn claim(&self) -> Option<Claim> {
        let word = self.0.load(Ordering::Relaxed);
        if word & STATE != FREE {
            return None;
        }
        let number = (word & !(STATE | WATCHED)).wrapping_add(NUMBER);
        // Nobody changes a free word but the process that it belongs to. What the claim protects is
        // published by the message that carries the claim.
        self.0.store(number | AWAITED, Ordering::Relaxed);
        Some(Claim(number))
    }

    /// Whether nobody replies to the process: it awaits no call.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        self.0.load(Ordering::Relaxed) & STATE == FREE
    }

    /// The call that is awaited, if one is.
    pub(crate) fn awaited(&self) -> Option<Claim> {
        let word = self.0.load(Ordering::Relaxed);
        (word & STATE == AWAITED).then_some(Claim(word & !(STATE | WATCHED)))
    }

    /// Whether the reply may be written into the place: the claim still stands, and nobody else writes.
    #[inline]
    pub(crate) fn begin_write(&self, claim: Claim) -> Option<Writing> {
        let mut awaited = claim.0 | AWAITED;
        loop {
            // Acquire: the place is written after this.
            match self.0.compare_exchange(awaited, claim.0 | WRITING, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Writing { is_watched: awaited & WATCHED != 0 }),
                Err(word) if word == claim.0 | AWAITED | WATCHED => awaited = word,
                Err(_) => return None,
            }
        }
    }

    /// Notes that somebody else than the process itself waits, who has left a waker where whoever replies
    /// finds it. Returns false if it is too late for that: the reply is there, or is about to be.
    pub(crate) fn watch(&self, claim: Claim) -> bool {
        let (plain, watched) = (claim.0 | AWAITED, claim.0 | AWAITED | WATCHED);
        match self.0.compare_exchange(plain, watched, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(word) => word == watched,
        }
    }

    /// The reply is in its place.
    #[inline]
    pub(crate) fn end_write(&self, claim: Claim) {
        // Release: pairs with `is_written` and `give_up`, which read the place.
        self.0.store(claim.0 | WRITTEN, Ordering::Release);
    }

    /// Whether the reply is in its place.
    #[inline]
    pub(crate) fn is_written(&self, claim: Claim) -> bool {
        self.0.load(Ordering::Acquire) == claim.0 | WRITTEN
    }

    /// Whether somebody still waits for this reply.
    pub(crate) fn is_awaited(&self, claim: Claim) -> bool {
        self.0.load(Ordering::Relaxed) & !WATCHED == claim.0 | AWAITED
    }

    /// Frees the word after the reply was taken from its place.
    #[inline]
    pub(crate) fn take(&self, claim: Claim) {
        debug_assert!(self.is_written(claim), "only a reply that was written is taken");
        self.0.store(claim.0 | FREE, Ordering::Release);
    }

    /// Frees the word. Whoever is writing is waited for: it is moving bytes, and nothing else.
    #[inline]
    pub(crate) fn give_up(&self, claim: Claim) -> GaveUp {
        for awaited in [claim.0 | AWAITED, claim.0 | AWAITED | WATCHED] {
            if self.0.compare_exchange(awaited, claim.0 | FREE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return GaveUp::Unanswered;
            }
        }
        let mut tries = 0_u32;
        while !self.is_written(claim) {
            tries += 1;
            if tries.is_multiple_of(64) { yield_thread() } else { spin_loop() }
        }
        self.0.store(claim.0 | FREE, Ordering::Release);
        GaveUp::Answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_reply_does_not_find_the_next_claim() {
        let word = ReplyWord::new();
        let first = word.claim().expect("the word is free");
        assert_eq!(word.claim(), None);
        assert_eq!(word.give_up(first), GaveUp::Unanswered);
        let second = word.claim().expect("the word is free again");
        assert_eq!(word.begin_write(first), None);
        assert_eq!(word.begin_write(second), Some(Writing { is_watched: false }));
        word.end_write(second);
        assert!(word.is_written(second) && !word.is_written(first));
        word.take(second);
        assert_eq!(word.begin_write(second), None);
    }

    #[test]
    fn who_replies_learns_that_somebody_else_waits() {
        let word = ReplyWord::new();
        let claim = word.claim().expect("the word is free");
        assert!(word.watch(claim) && word.watch(claim));
        assert_eq!(word.begin_write(claim), Some(Writing { is_watched: true }));
        assert!(!word.watch(claim), "too late: it is being written");
        word.end_write(claim);
        word.take(claim);
        let next = word.claim().expect("the word is free again");
        assert!(word.is_awaited(next));
        assert!(word.watch(next));
        assert_eq!(word.give_up(next), GaveUp::Unanswered);
    }

    #[test]
    fn who_gives_up_too_late_has_the_reply() {
        let word = ReplyWord::new();
        let claim = word.claim().expect("the word is free");
        assert!(word.begin_write(claim).is_some());
        assert!(!word.is_awaited(claim));
        word.end_write(claim);
        assert_eq!(word.give_up(claim), GaveUp::Answered);
        assert!(word.claim().is_some());
    }
}
