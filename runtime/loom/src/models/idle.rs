//! Falling asleep against bringing work. The run queue stands in as a counter: what matters is what the
//! fences order.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::explore;
use crate::idle::Idle;

struct Shared {
    idle: Idle,
    /// What is in the injector.
    work: AtomicUsize,
    /// Whether the worker was unparked.
    unparked: AtomicUsize,
    done: AtomicUsize,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            idle: Idle::new(),
            work: AtomicUsize::new(0),
            unparked: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
        })
    }

    fn bring(&self) {
        self.work.fetch_add(1, Ordering::Relaxed);
        if let Some(woken) = self.idle.whom_to_wake() {
            assert_eq!(woken, 0);
            // As the parker does.
            self.unparked.swap(1, Ordering::AcqRel);
        }
    }

    fn take(&self) -> bool {
        let taken = self.work.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |work| work.checked_sub(1));
        if taken.is_ok() {
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    /// A worker, until it has really fallen asleep: it is parked and nobody has unparked it. Whoever brings
    /// work after that must wake it.
    fn until_asleep(&self, mut searching: bool) {
        loop {
            while self.take() {
                if std::mem::take(&mut searching) {
                    let _ = self.idle.found();
                }
            }
            if !searching {
                searching = self.idle.begin_search(2);
            }
            self.idle.lie_down(0, std::mem::take(&mut searching));
            if self.work.load(Ordering::Relaxed) != 0 {
                self.idle.get_up_to_search(0);
                searching = true;
                continue;
            }
            if self.unparked.swap(0, Ordering::AcqRel) == 0 {
                return;
            }
            searching = self.idle.get_up(0);
        }
    }
}

/// Work that comes while a worker falls asleep is found by it, or wakes it.
#[test]
fn work_is_not_slept_over() {
    explore(3, || {
        let shared = Shared::new();
        let bringer = {
            let shared = shared.clone();
            thread::spawn(move || shared.bring())
        };
        shared.until_asleep(false);
        bringer.join().unwrap();
        if shared.unparked.swap(0, Ordering::AcqRel) != 0 {
            let searching = shared.idle.get_up(0);
            shared.until_asleep(searching);
        }
        assert_eq!(shared.done.load(Ordering::Relaxed), 1, "work was slept over");
    });
}

/// Two that bring work at once, to a worker that sleeps, wake it.
#[test]
fn two_that_bring_work_wake_a_sleeper() {
    explore(3, || {
        let shared = Shared::new();
        shared.until_asleep(false);
        let bringer = || {
            let shared = shared.clone();
            thread::spawn(move || shared.bring())
        };
        let bringers = [bringer(), bringer()];
        for bringer in bringers {
            bringer.join().unwrap();
        }
        assert_eq!(shared.unparked.swap(0, Ordering::AcqRel), 1);
        let searching = shared.idle.get_up(0);
        assert!(searching, "who was woken searches");
        shared.until_asleep(searching);
        assert_eq!(shared.done.load(Ordering::Relaxed), 2);
    });
}
