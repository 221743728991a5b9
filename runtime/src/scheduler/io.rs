//! Sockets and tokio's timers, in any process.
//!
//! The runtime has a current-thread tokio runtime of its own, which no thread owns. Whichever worker has
//! nothing to do leads (`park.rs`): it waits inside. While all are busy, they look in from time to time.
//! So a worker that is stuck in a handler keeps nobody's socket silent, and the worker that hears of a
//! socket has the process in its own run queue.

use std::future::{Future, poll_fn};
use std::task::Poll;

use crate::sync::{AtomicU32, Ordering};

/// Where sockets and tokio's timers live.
pub(crate) struct Io {
    handle: tokio::runtime::Handle,
    /// `None` if it is somebody else's, who drives it.
    own: Option<tokio::runtime::Runtime>,
    /// 1 while a worker is inside.
    taken: AtomicU32,
}

impl Io {
    /// A tokio runtime of our own.
    pub(crate) fn own(blocking_threads: usize) -> std::io::Result<Self> {
        let own = tokio::runtime::Builder::new_current_thread()
            .thread_name("biotope-blocking")
            .max_blocking_threads(blocking_threads)
            .enable_all()
            .build()?;
        Ok(Self { handle: own.handle().clone(), own: Some(own), taken: AtomicU32::new(0) })
    }

    /// Somebody else's.
    pub(crate) fn foreign(handle: tokio::runtime::Handle) -> Self {
        Self { handle, own: None, taken: AtomicU32::new(0) }
    }

    pub(crate) fn handle(&self) -> &tokio::runtime::Handle {
        &self.handle
    }

    /// Tries to become the one that is inside.
    pub(crate) fn try_take(&self) -> bool {
        self.own.is_some() && self.taken.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Lets another in.
    pub(crate) fn release(&self) {
        self.taken.store(0, Ordering::Release);
    }

    /// Whether a worker is inside.
    pub(crate) fn is_taken(&self) -> bool {
        self.own.is_none() || self.taken.load(Ordering::Relaxed) != 0
    }

    /// Hears of what has happened, without waiting, if nobody else is inside.
    pub(crate) fn look_in(&self) {
        if self.try_take() {
            self.wait(once_around());
            self.release();
        }
    }

    /// Waits inside for `until`. Only for whoever has taken it.
    pub(super) fn wait(&self, until: impl Future<Output = ()>) {
        if let Some(own) = &self.own {
            own.block_on(until);
        }
    }
}

/// Is done when tokio has looked at its sockets. Its own `yield_now` would take memory for that each time.
fn once_around() -> impl Future<Output = ()> {
    let mut is_around = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut is_around, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

impl Drop for Io {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            // What runs in its blocking pool is not waited for, and whoever is last may be a task of its own.
            own.shutdown_background();
        }
    }
}
