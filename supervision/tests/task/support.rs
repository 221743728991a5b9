//! Ways to run a test, and to see what becomes of an owner and its tasks.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{Exit, Info, Pid, Process, ProcessInfo, ReceiveError, Received, Result, node, time};
use biotope_supervision::Task;
use parking_lot::Mutex;

pub(crate) use crate::runs::*;

/// What becomes of an owner is seen when it does not trap exits.
pub(crate) const TRAPS: bool = false;

/// A task that never ends by itself.
pub(crate) fn endless() -> Task<()> {
    Task::spawn(pending())
}

/// A task that takes so long, and gives this.
pub(crate) fn lasting<T: Send + 'static>(duration: Duration, value: T) -> Task<T> {
    Task::spawn(async move {
        time::sleep(duration).await;
        value
    })
}

/// A process as others see it. It is there.
pub(crate) fn seen(pid: Pid) -> ProcessInfo {
    node().peek(pid).expect("it lives")
}

/// Whether there is anything in the mailbox. On the real scheduler, of what was sent before this.
pub(crate) async fn nothing_in(me: &mut Process<()>) -> Result<()> {
    match me.receive_any().timeout(Duration::ZERO).await {
        Err(ReceiveError::Timeout) => Ok(()),
        Err(stopped) => Err(stopped.into()),
        Ok(received) => panic!("unexpected: {received:?}"),
    }
}

/// The exit that is in the mailbox now, before anything else.
pub(crate) async fn exit_in(me: &mut Process<()>) -> Result<Exit> {
    match me.receive_any().timeout(Duration::ZERO).await? {
        Received::Info(Info::Exit(exit)) => Ok(exit),
        other => panic!("unexpected: {other:?}"),
    }
}

/// Waits until `is_so`, letting all others run meanwhile. For what is promised to happen, but of which nobody is told.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let mut tries = 0;
    while !is_so() {
        tries += 1;
        assert!(tries < 100_000 || !node().runtime().is_seeded(), "it did not come about");
        time::yield_now().await;
    }
}

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn push(&self, what: impl Into<String>) {
        self.0.lock().push(what.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

/// Counts how many are here at once.
#[derive(Clone, Default)]
pub(crate) struct Crowd(Arc<Mutex<(usize, usize)>>);

/// One of a [`Crowd`], until it is dropped.
pub(crate) struct One(Crowd);

impl Crowd {
    pub(crate) fn enter(&self) -> One {
        let mut counts = self.0.lock();
        counts.0 += 1;
        counts.1 = counts.1.max(counts.0);
        One(self.clone())
    }

    /// How many there are now, and how many there were at most.
    pub(crate) fn now_and_at_most(&self) -> (usize, usize) {
        *self.0.lock()
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.lock().0 -= 1;
    }
}
