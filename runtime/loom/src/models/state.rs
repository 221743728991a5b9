//! The state word.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::explore;
use crate::state::{Cause, State};

/// A process that awaits two things is polled after each has come, whoever submits it.
#[test]
fn no_wake_is_lost_and_nobody_runs_twice() {
    explore(3, || {
        struct Shared {
            state: State,
            ready: AtomicUsize,
            running: AtomicUsize,
            seen: AtomicUsize,
        }
        impl Shared {
            /// A turn, on whatever thread submitted the process.
            fn turn(&self) {
                assert_eq!(self.running.fetch_add(1, Ordering::AcqRel), 0, "two turns at once");
                loop {
                    if self.state.take_woken() {
                        self.seen.store(self.ready.load(Ordering::Acquire), Ordering::Relaxed);
                    }
                    self.running.fetch_sub(1, Ordering::AcqRel);
                    if self.state.park() {
                        return;
                    }
                    self.running.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
        let shared = Arc::new(Shared {
            state: State::submitted(),
            ready: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            seen: AtomicUsize::new(0),
        });
        let waker = || {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.ready.fetch_add(1, Ordering::AcqRel);
                if shared.state.note(Cause::Wake) {
                    shared.turn();
                }
            })
        };
        let wakers = [waker(), waker()];
        shared.turn();
        for waker in wakers {
            waker.join().unwrap();
        }
        assert!(shared.state.is_parked());
        assert_eq!(shared.seen.load(Ordering::Relaxed), 2, "a wake was lost");
    });
}

/// What must be received keeps a process from parking, or submits it.
#[test]
fn what_must_be_received_is_not_slept_over() {
    explore(3, || {
        let state = Arc::new(State::submitted());
        let sender = {
            let state = state.clone();
            thread::spawn(move || state.note(Cause::Receive))
        };
        let parked = state.park();
        let submitted = sender.join().unwrap();
        assert_eq!(parked, submitted, "parked and not submitted, or running and submitted");
        assert!(state.take_receive());
        assert!(!state.take_woken(), "nothing woke it");
    });
}
