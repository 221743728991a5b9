//! Waiting, by the clock of the runtime: real, or virtual in a seeded run.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use crate::ambient;
use crate::process::turn;
use crate::runtime::Runtime;
use crate::timer::{Action, TimerRef};

/// The current instant, by the clock of the process that asks.
///
/// # Panics
/// Outside a process. There, ask [`Runtime::now`].
#[track_caller]
pub fn now() -> Instant {
    runtime("time::now").now()
}

/// Waits for `duration`. Only the process that awaits it waits.
///
/// # Panics
/// Outside a process. There, use [`Runtime::sleep`].
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    let runtime = runtime("time::sleep");
    sleep_on(&runtime, runtime.now_and(duration))
}

/// Waits for `future`, for at most `duration`.
///
/// # Errors
/// [`Elapsed`]; the future is dropped.
///
/// # Panics
/// Outside a process.
pub async fn timeout<T>(duration: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    unless_over(sleep(duration), future).await
}

/// Waits for `future`, or for `sleep` to be over. If both are done, it is the future that counts.
pub(crate) async fn unless_over<T>(mut sleep: Sleep, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut future = std::pin::pin!(future);
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

/// Lets all others that are ready have a turn first.
///
/// # Panics
/// Outside a process.
pub async fn yield_now() {
    turn::with_current(|turn| match turn {
        Some(turn) if turn.process().is_some() => turn.end(),
        _ => panic!("`yield_now` works in processes only"),
    });
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Counts `n` units of work, for loops that await nothing else: if the turn's budget is used up, lets all
/// others that are ready have a turn first.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
/// use biotope::time::reduce;
///
/// # #[biotope::main]
/// # async fn main() -> biotope::Result<()> {
/// let mut sum = 0_u64;
/// for n in 0..10_000 {
///     sum += n;
///     reduce(1).await;
/// }
/// assert_eq!(sum, 49_995_000);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// Outside a process.
pub async fn reduce(n: u32) {
    let is_over = turn::with_current(|turn| match turn {
        Some(turn) if turn.process().is_some() => {
            turn.charge(n);
            turn.is_over()
        }
        _ => panic!("`reduce` works in processes only"),
    });
    if is_over {
        yield_now().await;
    }
}

/// As [`reduce`], and outside a process nothing: for what works there as well.
pub(crate) async fn reduce_if_process(n: u32) {
    let is_process = turn::with_current(|turn| turn.is_some_and(|turn| turn.process().is_some()));
    if is_process {
        reduce(n).await;
    }
}

/// A future that is done at an instant.
#[must_use = "a sleep does nothing until it is awaited"]
pub struct Sleep {
    runtime: Runtime,
    deadline: Instant,
    timer: Option<(TimerRef, Waker)>,
}

pub(crate) fn sleep_on(runtime: &Runtime, deadline: Instant) -> Sleep {
    Sleep { runtime: runtime.clone(), deadline, timer: None }
}

impl Sleep {
    fn cancel(&mut self) {
        if let Some((timer, _)) = self.timer.take() {
            self.runtime.timers().cancel(timer);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        if self.runtime.now() >= self.deadline {
            self.cancel();
            return Poll::Ready(());
        }
        let is_set = self.timer.as_ref().is_some_and(|(_, waker)| waker.will_wake(cx.waker()));
        if !is_set {
            self.cancel();
            let timer = self.runtime.timers().at(self.deadline, Action::Wake(cx.waker().clone()));
            self.timer = Some((timer, cx.waker().clone()));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sleep until {:?}", self.deadline)
    }
}

#[track_caller]
fn runtime(what: &str) -> Runtime {
    match ambient::current() {
        Some((node, _)) => node.runtime().clone(),
        None => panic!("`{what}` works in processes only; outside, use the methods of `Runtime`"),
    }
}
