//! Many tasks, awaited together.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use biotope_runtime::time::Sleep;
use biotope_runtime::{DEFAULT_CALL_TIMEOUT, ExitReason, node};
use futures_util::Stream;
use futures_util::stream::FuturesUnordered;

use super::handle::Task;
use super::place::Outcome;

/// All of some tasks, awaited; made by [`Task::await_many`].
///
/// # Cancel safety
/// Dropped before it is done, it gives up the outcomes of all, and the tasks go on.
#[must_use = "tasks are not awaited until this is"]
pub struct AwaitMany<T> {
    /// Those that are not done.
    waiting: FuturesUnordered<Numbered<T>>,
    values: Vec<Option<T>>,
    timeout: Duration,
    sleep: Option<Sleep>,
}

// Nothing in it is pinned: tasks can be moved.
impl<T> Unpin for AwaitMany<T> {}

impl<T: Send + 'static> AwaitMany<T> {
    pub(super) fn new(tasks: impl IntoIterator<Item = Task<T>>) -> Self {
        let waiting: FuturesUnordered<_> =
            tasks.into_iter().enumerate().map(|(number, task)| Numbered { number, task }).collect();
        let values = waiting.iter().map(|_| None).collect();
        Self { waiting, values, timeout: DEFAULT_CALL_TIMEOUT, sleep: None }
    }
}

impl<T> AwaitMany<T> {
    /// Waits for at most `timeout`, for all of them together; without this, for 5 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl<T> Future for AwaitMany<T> {
    type Output = Result<Vec<T>, ExitReason>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match Pin::new(&mut this.waiting).poll_next(cx) {
                Poll::Ready(Some((number, outcome))) => this.values[number] = Some(outcome?),
                Poll::Ready(None) => return Poll::Ready(Ok(this.values.drain(..).flatten().collect())),
                Poll::Pending => break,
            }
        }
        let timeout = this.timeout;
        let sleep = this.sleep.get_or_insert_with(|| node().runtime().sleep(timeout));
        Pin::new(sleep).poll(cx).map(|()| Err(ExitReason::Timeout))
    }
}

/// What has come of each of `tasks` within `timeout`.
pub(super) async fn yield_many<T>(tasks: &mut [Task<T>], timeout: Duration) -> Vec<Option<Outcome<T>>> {
    let mut waiting: FuturesUnordered<_> = tasks.iter().filter(|task| !task.is_given()).map(Done).collect();
    let mut sleep = node().runtime().sleep(timeout);
    poll_fn(|cx| {
        loop {
            match Pin::new(&mut waiting).poll_next(cx) {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Pin::new(&mut sleep).poll(cx),
            }
        }
    })
    .await;
    drop(waiting);
    // Not before: whoever does not wait to the end loses nothing.
    tasks.iter_mut().map(Task::take_outcome).collect()
}

/// One of many that are awaited for their values, with its number.
struct Numbered<T> {
    number: usize,
    task: Task<T>,
}

impl<T> Future for Numbered<T> {
    type Output = (usize, Outcome<T>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.task.assert_awaitable();
        let outcome = ready!(self.task.poll_outcome(cx));
        Poll::Ready((self.number, outcome))
    }
}

/// The end of one of many.
struct Done<'a, T>(&'a Task<T>);

impl<T> Future for Done<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.assert_awaitable();
        self.0.poll_done(cx)
    }
}

impl<T> fmt::Debug for AwaitMany<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.waiting.iter().map(|one| &one.task)).finish()
    }
}
