//! Who sleeps, who searches, who must be woken.
//!
//! A worker that finds no work sleeps; whoever brings work wakes one, unless one is searching already: it
//! will find the work, or look once more after it has stopped searching.
//!
//! ```text
//!   brings work:            push ── fence ── is somebody searching? asleep? ── wake one, which searches
//!   finds none:             stop searching, be asleep ── fence ── look once more ── park
//! ```
//!
//! Of the two fences one is first: either who brings work sees that nobody searches, or who goes to sleep
//! sees the work.

use crate::sync::{AtomicUsize, Mutex, Ordering, fence};

/// The workers that have nothing to do.
pub(crate) struct Idle {
    /// Their numbers; the last to fall asleep is the first to be woken, as its cache is warm.
    sleepers: Mutex<Vec<usize>>,
    sleeping: AtomicUsize,
    searching: AtomicUsize,
}

impl Idle {
    pub(crate) fn new() -> Self {
        Self { sleepers: Mutex::new(Vec::new()), sleeping: AtomicUsize::new(0), searching: AtomicUsize::new(0) }
    }

    /// Whom to wake for work that was just made visible. The one that is returned counts as searching.
    #[must_use = "the worker that is returned counts as searching and must be unparked"]
    pub(crate) fn whom_to_wake(&self) -> Option<usize> {
        fence(Ordering::SeqCst);
        self.whom_to_wake_if_seen()
    }

    /// As [`whom_to_wake`](Self::whom_to_wake), without the fence: a worker that is just falling asleep may
    /// be missed. For work that the caller will do itself if nobody else does.
    #[must_use = "the worker that is returned counts as searching and must be unparked"]
    #[inline]
    pub(crate) fn whom_to_wake_if_seen(&self) -> Option<usize> {
        if self.sleeping.load(Ordering::SeqCst) == 0 || self.searching.load(Ordering::SeqCst) > 0 {
            return None;
        }
        self.wake()
    }

    #[cold]
    fn wake(&self) -> Option<usize> {
        let mut sleepers = self.sleepers.lock();
        let woken = sleepers.pop()?;
        self.sleeping.store(sleepers.len(), Ordering::SeqCst);
        self.searching.fetch_add(1, Ordering::SeqCst);
        Some(woken)
    }

    /// A worker that is awake has run out of work and searches. Returns false if enough others do.
    pub(crate) fn begin_search(&self, workers: usize) -> bool {
        if 2 * self.searching.load(Ordering::SeqCst) >= workers {
            return false;
        }
        self.searching.fetch_add(1, Ordering::SeqCst);
        true
    }

    /// A worker that was searching has found work. Returns whether it was the last to search: then it sees
    /// to it that another is woken if there is more.
    #[must_use = "the last that stops searching must see whether there is more"]
    pub(crate) fn found(&self) -> bool {
        self.searching.fetch_sub(1, Ordering::SeqCst) == 1
    }

    /// Worker `number` falls asleep; `searching` as it was. Then it must look for work once more, and
    /// [`get_up`](Self::get_up) if there is some.
    pub(crate) fn lie_down(&self, number: usize, searching: bool) {
        let mut sleepers = self.sleepers.lock();
        sleepers.push(number);
        self.sleeping.store(sleepers.len(), Ordering::SeqCst);
        if searching {
            self.searching.fetch_sub(1, Ordering::SeqCst);
        }
        drop(sleepers);
        fence(Ordering::SeqCst);
    }

    /// Worker `number` is awake. Returns whether somebody woke it, so that it counts as searching.
    pub(crate) fn get_up(&self, number: usize) -> bool {
        let mut sleepers = self.sleepers.lock();
        let Some(at) = sleepers.iter().position(|sleeper| *sleeper == number) else { return true };
        sleepers.remove(at);
        self.sleeping.store(sleepers.len(), Ordering::SeqCst);
        false
    }

    /// Worker `number` is awake, because it has seen work. It counts as searching, however many do already:
    /// those may have no core to search on.
    pub(crate) fn get_up_to_search(&self, number: usize) {
        if !self.get_up(number) {
            self.searching.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// How many sleep.
    pub(crate) fn sleeping(&self) -> usize {
        self.sleeping.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_woken_while_none_searches() {
        let idle = Idle::new();
        assert_eq!(idle.whom_to_wake(), None);
        idle.lie_down(0, false);
        idle.lie_down(1, false);
        assert_eq!(idle.whom_to_wake(), Some(1));
        assert_eq!(idle.whom_to_wake(), None, "one searches already");
        assert!(idle.get_up(1), "it was woken");
        assert!(idle.found(), "it was the last to search");
        assert_eq!(idle.whom_to_wake(), Some(0));
    }

    #[test]
    fn who_has_seen_work_searches_though_enough_others_do() {
        let idle = Idle::new();
        assert!(idle.begin_search(2));
        idle.lie_down(1, false);
        assert!(!idle.begin_search(2));
        idle.get_up_to_search(1);
        assert!(!idle.found(), "another searches still");
        assert!(idle.found());
    }

    #[test]
    fn who_gets_up_by_itself_does_not_search() {
        let idle = Idle::new();
        assert!(idle.begin_search(2));
        idle.lie_down(0, true);
        assert!(!idle.get_up(0));
        assert_eq!(idle.sleeping(), 0);
        assert!(idle.begin_search(2));
        assert!(!idle.begin_search(2), "half of the workers search");
    }
}
