//! A stream of tasks: one for each item, so many at a time.
//!
//! [`window`](super::window) decides how many run and which outcome is next; this begins tasks and awaits them. It is
//! polled by one process, which owns its tasks.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use biotope_runtime::{DEFAULT_CALL_TIMEOUT, ExitReason, Process, exit_now, node};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};

use super::begin::{self, Tie};
use super::client::TaskSupervisorClient;
use super::handle::{Task, owner};
use super::place::Outcome;
use super::window::Window;

/// The outcomes of tasks, one for each item; made by [`Task::async_stream`] and its siblings. Elixir's `Task.async_stream`.
///
/// Nothing is begun before it is polled. Then items are taken from where they come, as many as may run at once, and another
/// when one is done; while nobody polls, nothing more is begun. Each task belongs to the process that polls, and is tied to
/// it as any [`Task`]: if one fails, so does a consumer that does not trap exits. Outcomes of failures are for those that
/// do, and for streams that are [`nolink`](Self::nolink).
///
/// Dropping it, also by the end of the consumer, kills what still runs.
///
/// # Panics
/// Polled outside a process, or by two. The panic of what makes the futures is the consumer's own.
///
/// # Cancel safety
/// [`next`](Self::next) dropped before it is done takes nothing.
///
/// # Examples
/// Pages that are not there in time are left out:
///
/// ```
/// use biotope::prelude::*;
/// use biotope::task::OnTimeout;
///
/// async fn fetch(page: u64) -> String {
///     time::sleep(millis(if page == 2 { 60_000 } else { page })).await;
///     format!("page {page}")
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let mut pages = Task::async_stream([1, 2, 3], fetch).timeout(millis(300)).on_timeout(OnTimeout::Kill);
///     let mut there = Vec::new();
///     while let Some(page) = pages.next().await {
///         match page {
///             Ok(page) => there.push(page),
///             Err(reason) => assert_eq!(reason, ExitReason::Timeout),
///         }
///     }
///     assert_eq!(there, ["page 1", "page 3"]);
///     Ok(())
/// }
/// ```
#[must_use = "a stream of tasks begins none before it is polled"]
pub struct TaskStream<S, W, T> {
    /// Where items come from; `None` when there are no more.
    items: Option<S>,
    work: W,
    by: By,
    place: &'static Location<'static>,
    concurrency: Option<usize>,
    is_ordered: bool,
    timeout: Duration,
    on_timeout: OnTimeout,
    /// Made when it is first polled.
    window: Option<Window<Outcome<T>>>,
    running: FuturesUnordered<Running<T>>,
    /// The time of one is up, and the consumer is to end when all are gone.
    is_over: bool,
}

/// Who begins the tasks.
enum By {
    /// The consumer itself. Whether they are linked to it.
    Consumer { link: bool },
    /// A supervisor, for the consumer.
    Supervisor { tasks: TaskSupervisorClient, link: bool },
}

/// What a stream of tasks does when one takes longer than it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnTimeout {
    /// Kills all tasks, and ends the consumer with [`ExitReason::Timeout`].
    #[default]
    Exit,
    /// Kills that task, whose outcome is `Err(ExitReason::Timeout)`, and goes on.
    Kill,
}

// Nothing in it is pinned, nor in what runs: tasks can be moved.
impl<S, W, T> Unpin for TaskStream<S, W, T> {}
impl<T> Unpin for Running<T> {}

impl<S, W, T> TaskStream<S, W, T> {
    pub(super) fn new(items: S, work: W, place: &'static Location<'static>) -> Self {
        Self {
            items: Some(items),
            work,
            by: By::Consumer { link: true },
            place,
            concurrency: None,
            is_ordered: true,
            timeout: DEFAULT_CALL_TIMEOUT,
            on_timeout: OnTimeout::Exit,
            window: None,
            running: FuturesUnordered::new(),
            is_over: false,
        }
    }

    /// The same, whose tasks a supervisor begins.
    pub(super) fn under(self, tasks: TaskSupervisorClient) -> Self {
        Self { by: By::Supervisor { tasks, link: true }, ..self }
    }

    /// Runs at most `tasks` at once; without this, as many as the runtime has workers.
    ///
    /// # Panics
    /// If `tasks` is 0.
    pub fn max_concurrency(mut self, tasks: usize) -> Self {
        assert!(tasks > 0, "a stream of tasks runs at least one at a time");
        self.concurrency = Some(tasks);
        self
    }

    /// Gives outcomes in the order of the items, as it does without this, or, with `false`, in the order in which they come.
    ///
    /// In order, as many outcomes as may run at once are kept while one before them is still awaited.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.is_ordered = ordered;
        self
    }

    /// For how long each task may run; without this, 5 seconds. `Duration::MAX` is for ever.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What happens when one runs longer; without this, the consumer ends.
    pub fn on_timeout(mut self, on_timeout: OnTimeout) -> Self {
        self.on_timeout = on_timeout;
        self
    }

    /// Links no task to the consumer: the failure of one is its outcome, and nothing else. Elixir's `async_stream_nolink`.
    pub fn nolink(mut self) -> Self {
        let (By::Consumer { link } | By::Supervisor { link, .. }) = &mut self.by;
        *link = false;
        self
    }

    /// Waits for the next outcome. `None` when all were given.
    pub async fn next(&mut self) -> Option<Result<T, ExitReason>>
    where
        Self: Stream<Item = Result<T, ExitReason>>,
    {
        StreamExt::next(self).await
    }
}

impl<S, W, F, T> TaskStream<S, W, T>
where
    S: Stream + Unpin,
    W: FnMut(S::Item) -> F,
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    /// Takes items and begins their tasks, as many as may be.
    fn begin(&mut self, cx: &mut Context<'_>) {
        let window = self.window.get_or_insert_with(|| {
            let concurrency = self.concurrency.unwrap_or_else(|| node().runtime().worker_count());
            Window::new(concurrency, self.is_ordered)
        });
        while window.has_room()
            && let Some(items) = &mut self.items
        {
            let item = match Pin::new(items).poll_next(cx) {
                Poll::Ready(Some(item)) => item,
                Poll::Ready(None) => {
                    self.items = None;
                    break;
                }
                Poll::Pending => break,
            };
            let future = (self.work)(item);
            let number = window.on_begun();
            let phase = match &self.by {
                By::Consumer { link } => {
                    let (node, owner) = owner("a stream of tasks");
                    let tie = Tie { link: *link, ..Tie::own(owner, self.place) };
                    Phase::awaited(Task::of(begin::awaited(&node, &tie, |_: Process<()>| future)), self.timeout)
                }
                By::Supervisor { tasks, link } => Phase::Beginning(tasks.begin(future, *link, self.place)),
            };
            self.running.push(Running { number, phase, timeout: self.timeout, on_timeout: self.on_timeout });
        }
    }

    /// The time of one is up, which was killed: so are all others, and nothing is begun any more.
    fn end_all(&mut self, number: u64, late: Task<T>) {
        (self.is_over, self.items) = (true, None);
        self.running.iter_mut().for_each(Running::kill);
        let (timeout, on_timeout) = (self.timeout, self.on_timeout);
        self.running.push(Running { number, phase: Phase::Killed(late), timeout, on_timeout });
    }
}

/// One task of a stream. Dropped, it kills it.
struct Running<T> {
    number: u64,
    phase: Phase<T>,
    timeout: Duration,
    on_timeout: OnTimeout,
}

enum Phase<T> {
    /// A supervisor is asked for it.
    Beginning(BoxFuture<'static, Outcome<Task<T>>>),
    Awaited(Task<T>),
    /// Its time, or that of another, is up.
    Killed(Task<T>),
    Gone,
}

/// What one has come to.
enum Done<T> {
    With(Outcome<T>),
    /// Its time is up, and so is that of all: it was killed, and the stream ends.
    Late(Task<T>),
}

impl<T: Send + 'static> Phase<T> {
    fn awaited(task: Task<T>, timeout: Duration) -> Self {
        Self::Awaited(task.timeout(timeout).kill_on_drop())
    }
}

impl<T: Send + 'static> Running<T> {
    /// Kills it, or will when it has begun.
    fn kill(&mut self) {
        self.on_timeout = OnTimeout::Kill;
        self.timeout = Duration::ZERO;
        self.phase = match std::mem::replace(&mut self.phase, Phase::Gone) {
            Phase::Awaited(task) => {
                task.send_away(ExitReason::Kill);
                Phase::Killed(task)
            }
            other => other,
        };
    }
}

impl<T: Send + 'static> Future for Running<T> {
    type Output = (u64, Done<T>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let number = self.number;
        loop {
            match &mut self.phase {
                Phase::Beginning(begin) => match ready!(begin.as_mut().poll(cx)) {
                    Ok(task) => self.phase = Phase::awaited(task, self.timeout),
                    Err(reason) => return Poll::Ready((number, Done::With(Err(reason)))),
                },
                Phase::Awaited(task) => {
                    let outcome = ready!(Pin::new(&mut *task).poll(cx));
                    if task.is_given() {
                        return Poll::Ready((number, Done::With(outcome)));
                    }
                    let ends_all = self.on_timeout == OnTimeout::Exit;
                    self.kill();
                    if ends_all && let Phase::Killed(task) = std::mem::replace(&mut self.phase, Phase::Gone) {
                        return Poll::Ready((number, Done::Late(task)));
                    }
                }
                Phase::Killed(task) => {
                    // It may have been done in the last moment.
                    let outcome = ready!(task.poll_outcome(cx)).or(Err(ExitReason::Timeout));
                    return Poll::Ready((number, Done::With(outcome)));
                }
                Phase::Gone => return Poll::Pending,
            }
        }
    }
}

impl<S, W, F, T> Stream for TaskStream<S, W, T>
where
    S: Stream + Unpin,
    W: FnMut(S::Item) -> F,
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    type Item = Result<T, ExitReason>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if !this.is_over {
                this.begin(cx);
                if let Some(outcome) = this.window.as_mut().and_then(Window::give) {
                    return Poll::Ready(Some(outcome));
                }
            }
            match Pin::new(&mut this.running).poll_next(cx) {
                Poll::Ready(Some((number, Done::With(outcome)))) => {
                    if let Some(window) = &mut this.window {
                        window.on_done(number, outcome);
                    }
                }
                Poll::Ready(Some((number, Done::Late(task)))) => this.end_all(number, task),
                Poll::Ready(None) if this.is_over => exit_now(ExitReason::Timeout),
                Poll::Ready(None) if this.items.is_none() => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S, W, T> fmt::Debug for TaskStream<S, W, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskStream").field("running", &self.running.len()).finish_non_exhaustive()
    }
}
