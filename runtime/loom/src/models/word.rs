//! The reply word, with a place as calls use it.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::explore;
use crate::word::{Claim, GaveUp, ReplyWord};

struct Caller {
    word: ReplyWord,
    place: UnsafeCell<Option<u32>>,
}

// SAFETY: the word says whose the place is; loom checks that it is so.
unsafe impl Send for Caller {}
// SAFETY: as above.
unsafe impl Sync for Caller {}

impl Caller {
    fn new() -> Arc<Self> {
        Arc::new(Self { word: ReplyWord::new(), place: UnsafeCell::new(None) })
    }

    fn reply(&self, claim: Claim, value: u32) -> bool {
        let Some(_) = self.word.begin_write(claim) else { return false };
        self.place.with_mut(|place| unsafe { *place = Some(value) });
        self.word.end_write(claim);
        true
    }

    fn take(&self) -> Option<u32> {
        self.place.with_mut(|place| unsafe { (*place).take() })
    }
}

/// A caller that gives up either has the reply or will never have it, and whoever replies knows which.
#[test]
fn giving_up_and_replying_agree() {
    explore(3, || {
        let caller = Caller::new();
        let claim = caller.word.claim().unwrap();
        let replier = {
            let caller = caller.clone();
            thread::spawn(move || caller.reply(claim, 1))
        };
        let found = match caller.word.give_up(claim) {
            GaveUp::Answered => caller.take(),
            GaveUp::Unanswered => None,
        };
        assert_eq!(replier.join().unwrap(), found.is_some());
        assert_eq!(caller.take(), None, "nothing is written afterwards");
    });
}

/// A late reply does not reach the next call.
#[test]
fn a_late_reply_does_not_reach_the_next_call() {
    explore(3, || {
        let caller = Caller::new();
        let first = caller.word.claim().unwrap();
        let late = {
            let caller = caller.clone();
            thread::spawn(move || caller.reply(first, 1))
        };
        let gave_up = caller.word.give_up(first);
        if gave_up == GaveUp::Answered {
            assert_eq!(caller.take(), Some(1));
        }
        let second = caller.word.claim().unwrap();
        let in_time = {
            let caller = caller.clone();
            thread::spawn(move || caller.reply(second, 2))
        };
        assert_eq!(late.join().unwrap(), gave_up == GaveUp::Answered);
        assert!(in_time.join().unwrap());
        assert!(caller.word.is_written(second));
        assert_eq!(caller.take(), Some(2));
        caller.word.take(second);
    });
}

/// Of two that reply to one call, one does.
#[test]
fn one_of_two_replies_is_written() {
    explore(3, || {
        let caller = Caller::new();
        let claim = caller.word.claim().unwrap();
        let replier = |value| {
            let caller = caller.clone();
            thread::spawn(move || caller.reply(claim, value))
        };
        let (left, right) = (replier(1), replier(2));
        let (left, right) = (left.join().unwrap(), right.join().unwrap());
        assert!(left != right);
        assert_eq!(caller.take(), Some(if left { 1 } else { 2 }));
    });
}

/// Somebody else who waits is known to whoever replies, or sees that it is too late to wait.
#[test]
fn a_watcher_is_seen_or_sees() {
    explore(3, || {
        let caller = Caller::new();
        let claim = caller.word.claim().unwrap();
        let replier = {
            let caller = caller.clone();
            thread::spawn(move || {
                let writing = caller.word.begin_write(claim).unwrap();
                caller.place.with_mut(|place| unsafe { *place = Some(1) });
                caller.word.end_write(claim);
                writing.is_watched
            })
        };
        let waits = caller.word.watch(claim);
        assert_eq!(replier.join().unwrap(), waits);
        assert!(caller.word.is_written(claim));
    });
}
