//! How many may be inside, how many are, and who waits until one leaves.
//!
//! ```text
//!   admit ──▶ inside ──▶ leave, which wakes the first in the line
//!     │ no                   ▲
//!     ▼                      └─ who is woken admits itself, or finds that another was quicker and waits again in its old
//!   wait: in the line           place, or gives its place up: that wakes the next, if there is room
//! ```
//!
//! Nobody is let in by another. So who does not come, though it was woken, keeps nobody else out but the one that it was
//! woken before; and that one is woken when it gives its place up.

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
    /// By place: who came first is woken first.
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
    /// any more, those who wait are woken.
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

    /// Whoever had this place does not wait any more. If it was woken for room, the next is.
    pub(super) fn give_up(&self, place: u64) {
        let waiter = self.change(|line| line.remove(&place));
        drop(waiter);
        self.offer(self.word.load(Ordering::Acquire));
    }

    /// All who wait look again.
    pub(super) fn wake_all(&self) {
        self.change(std::mem::take).into_values().for_each(W::wake);
    }

    /// Wakes the first in the line, if there is room as `word` says.
    fn offer(&self, word: u64) {
        if word & AWAITED != 0
            && word / ONE < self.limit
            && let Some((_, first)) = self.change(BTreeMap::pop_first)
        {
            first.wake();
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

    /// A thousand wait for one place: each that leaves wakes one, and one that gives up without need wakes nobody.
    #[test]
    fn room_for_one_wakes_one() {
        let (quota, woken) = (Quota::new(1), Arc::new(AtomicUsize::new(0)));
        let woken_so_far = || woken.load(Ordering::Relaxed);
        assert_eq!(quota.admit(1), Some(0));
        let places: Vec<u64> = (0..1_000).map(|_| quota.place()).collect();
        for &place in &places {
            assert_eq!(quota.admit(1), None);
            quota.wait(place, Bell(woken.clone()), || false);
        }
        for (woken_before, &place) in places[..900].iter().enumerate() {
            assert_eq!(woken_so_far(), woken_before);
            quota.leave();
            assert_eq!(woken_so_far(), woken_before + 1);
            assert_eq!(quota.admit(1), Some(0));
            quota.give_up(place);
        }
        quota.give_up(places[950]);
        assert_eq!(woken_so_far(), 900);
        quota.wake_all();
        assert_eq!(woken_so_far(), 999);
        quota.leave();
        assert_eq!(woken_so_far(), 999, "nobody waits any more");
    }
}
