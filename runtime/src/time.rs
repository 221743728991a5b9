//! Waiting, by the clock of the runtime: real, or virtual in a seeded run.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::ambient;
use crate::runtime::Runtime;
use crate::timer::TimerKey;

/// The current instant, by the clock of the process that asks.
///
/// # Panics
/// Outside a process. There, ask [`Runtime::now`].
pub fn now() -> Instant {
    runtime("time::now").now()
}

/// Waits for `duration`. Only the process that awaits it waits.
///
/// # Panics
/// Outside a process. There, use [`Runtime::sleep`].
pub fn sleep(duration: Duration) -> Sleep {
    let runtime = runtime("time::sleep");
    sleep_on(&runtime, runtime.now() + duration)
}

/// Waits for `future`, for at most `duration`.
///
/// # Errors
/// [`Elapsed`]; the future is dropped.
///
/// # Panics
/// Outside a process.
pub async fn timeout<T>(duration: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut future = std::pin::pin!(future);
    let mut sleep = sleep(duration);
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(value));
        }
        Pin::new(&mut sleep).poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// The time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time was up")]
pub struct Elapsed;

/// A future that is done at an instant.
#[must_use = "a sleep does nothing until it is awaited"]
pub struct Sleep {
    runtime: Runtime,
    deadline: Instant,
    waker: Arc<Mutex<Option<Waker>>>,
    timer: Option<TimerKey>,
}

pub(crate) fn sleep_on(runtime: &Runtime, deadline: Instant) -> Sleep {
    Sleep { runtime: runtime.clone(), deadline, waker: Arc::default(), timer: None }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        // Before the look at the clock: a timer that fires in between must find this waker.
        *self.waker.lock() = Some(cx.waker().clone());
        if self.runtime.now() >= self.deadline {
            self.timer = None;
            return Poll::Ready(());
        }
        if self.timer.is_none() {
            let waker = self.waker.clone();
            let timer = self.runtime.timers().at(self.deadline, move || {
                let waker = waker.lock().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
            });
            self.timer = Some(timer);
        }
        Poll::Pending
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sleep until {:?}", self.deadline)
    }
}

fn runtime(what: &str) -> Runtime {
    match ambient::current() {
        Some((node, _)) => node.runtime().clone(),
        None => panic!("`{what}` works in processes only; outside, use the methods of `Runtime`"),
    }
}
