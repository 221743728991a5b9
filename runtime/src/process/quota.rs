//! How many may be inside, how many are, and who waits until one leaves.
//!
//! ```text
//!   admit ──▶ inside ──▶ leave, which wakes all in the line
//!     │ no                   ▲
//!     ▼                      └─ who is woken admits itself, or finds that others were quicker and waits again in its old
//!   wait: in the line           place, or is gone
//! ```
//!
//! Why all, and not the first: nobody knows whether who is woken comes. Its task may poll something else first, or nothing
//! at all for a while; its process may be stalled by a third mailbox. Whoever stands behind it would wait before a mailbox
//! that has room, and the owner may be waiting for just that one.

use std::collections::BTreeMap;

use crate::sync::{AtomicU64, Mutex, Ordering};

/// Who waits in a line.
pub(super) trait Waiting {
    /// It is to look again.
    fn wake(self);
}

/// Somebody is in the line. Above this bit of the word is how many are inside.
const AWAITED: u64 = 1;
const ONE: u64 = 2;

/// A number of places, and a line of who waits for one.
pub(super) struct Quota<W> {
    limit: u64,
    /// In one word: who enters the line learns of what room there was, and who leaves after that learns of the line.
    word: AtomicU64,
    /// The place in the line of the next who waits.
    next: AtomicU64,
    /// By place: who came first looks first.
    line: Mutex<BTreeMap<u64, W>>,
}

impl<W: Waiting> Quota<W> {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, word: AtomicU64::new(0), next: AtomicU64::new(0), line: Mutex::new(BTreeMap::new()) }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn has_room(&self) -> bool {
        self.word.load(Ordering::Acquire) / ONE < self.limit
    }

    /// Lets one more in, if there are fewer than `most`. Returns how many were inside before.
    pub(super) fn admit(&self, most: u64) -> Option<u64> {
        let more = |word: u64| (word / ONE < most).then(|| word + ONE);
        self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).ok().map(|word| word / ONE)
    }

    /// One less is inside.
    pub(super) fn leave(&self) {
        let before = self.word.fetch_sub(ONE, Ordering::AcqRel);
        self.offer(before - ONE);
    }

    /// A place in the line, for `wait`, which is to be given up in the end: behind all that there are.
    pub(super) fn place(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Lets `waiter` wait at `place`, instead of whoever waits there already. If there is room by now, or no reason to wait
    /// any more, all who wait are woken.
    pub(super) fn wait(&self, place: u64, waiter: W, is_in_vain: impl FnOnce() -> bool) {
        let (before, word) = {
            let mut line = self.line.lock();
            (line.insert(place, waiter), self.word.fetch_or(AWAITED, Ordering::AcqRel) | AWAITED)
        };
        drop(before);
        if is_in_vain() {
            self.wake_all();
        } else {
            self.offer(word);
        }
    }

    /// Whoever had this place does not wait any more.
    pub(super) fn give_up(&self, place: u64) {
        let waiter = self.change(|line| line.remove(&place));
        drop(waiter);
    }

    /// All who wait look again.
    pub(super) fn wake_all(&self) {
        self.change(std::mem::take).into_values().for_each(W::wake);
    }

    /// Wakes all who wait, if there are any and there is room, as `word` says.
    fn offer(&self, word: u64) {
        if word & AWAITED != 0 && word / ONE < self.limit {
            self.wake_all();
        }
    }

    /// Changes the line. What is taken out of it is to be dropped and woken by the caller: not under the lock.
    fn change<R>(&self, change: impl FnOnce(&mut BTreeMap<u64, W>) -> R) -> R {
        let mut line = self.line.lock();
        let taken = change(&mut line);
        if line.is_empty() {
            self.word.fetch_and(!AWAITED, Ordering::AcqRel);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Counts how often anybody was woken.
    struct Bell(Arc<AtomicUsize>);

    impl Waiting for Bell {
        fn wake(self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Who does not come although it was woken keeps nobody else out.
    #[test]
    fn room_wakes_all_who_wait_once_and_nobody_who_has_given_up() {
        let (quota, woken) = (Quota::new(2), Arc::new(AtomicUsize::new(0)));
        let woken_so_far = || woken.load(Ordering::Relaxed);
        assert_eq!((quota.admit(2), quota.admit(2), quota.admit(2)), (Some(0), Some(1), None));
        let places: Vec<u64> = (0..10).map(|_| quota.place()).collect();
        for &place in &places {
            quota.wait(place, Bell(woken.clone()), || false);
        }
        quota.give_up(places[3]);
        assert_eq!(woken_so_far(), 0);
        quota.leave();
        assert_eq!(woken_so_far(), 9);
        quota.leave();
        assert_eq!(woken_so_far(), 9, "nobody waits any more");
        quota.wait(places[0], Bell(woken.clone()), || false);
        assert_eq!(woken_so_far(), 10, "there is room");
    }
}
