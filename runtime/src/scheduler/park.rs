//! Sleeping: on a condition variable, or in the wait for sockets and tokio's timers.
//!
//! One of the sleeping workers leads: it waits where the operating system tells of sockets, so that an
//! idle runtime needs no thread for that, and a worker that is stuck in a handler does not keep others
//! from hearing of theirs. All are woken by the same means.

use std::task::{Poll, Waker};

use parking_lot::Mutex as PlainMutex;

use super::io::Io;
use crate::sync::{AtomicU32, Condvar, Mutex, Ordering};

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
const LEADING: u32 = 2;
const NOTIFIED: u32 = 3;

/// Where one worker sleeps.
pub(crate) struct Parker {
    state: AtomicU32,
    lock: Mutex<()>,
    notified: Condvar,
    /// Ends the wait of a worker that leads.
    leader: PlainMutex<Option<Waker>>,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU32::new(AWAKE),
            lock: Mutex::new(()),
            notified: Condvar::new(),
            leader: PlainMutex::new(None),
        }
    }

    /// Sleeps until [`unpark`](Self::unpark), also if that came before.
    pub(crate) fn park(&self) {
        let mut guard = self.lock.lock();
        if self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // Notified already.
            self.state.store(AWAKE, Ordering::Release);
            return;
        }
        while self.state.compare_exchange(NOTIFIED, AWAKE, Ordering::AcqRel, Ordering::Acquire).is_err() {
            self.notified.wait(&mut guard);
        }
    }

    /// Leads until [`unpark`](Self::unpark), also if that came before.
    pub(crate) fn lead(&self, io: &Io) {
        if self.state.compare_exchange(AWAKE, LEADING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            io.wait(std::future::poll_fn(|cx| {
                if self.is_notified() {
                    return Poll::Ready(());
                }
                *self.leader.lock() = Some(cx.waker().clone());
                // Looked at again: who notified meanwhile may have found no waker.
                if self.is_notified() { Poll::Ready(()) } else { Poll::Pending }
            }));
            self.leader.lock().take();
        }
        self.state.store(AWAKE, Ordering::Release);
    }

    /// Ends the sleep, or the next one.
    pub(crate) fn unpark(&self) {
        match self.state.swap(NOTIFIED, Ordering::AcqRel) {
            ASLEEP => {
                // Under the lock, so that the sleeper is either not asleep yet and sees the state, or hears.
                drop(self.lock.lock());
                self.notified.notify_one();
            }
            LEADING => {
                let waker = self.leader.lock().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            _ => {}
        }
    }

    fn is_notified(&self) -> bool {
        self.state.load(Ordering::Acquire) == NOTIFIED
    }
}
