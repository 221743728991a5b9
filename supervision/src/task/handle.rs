//! A task, in the hands of its owner.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use biotope_runtime::time::Sleep;
use biotope_runtime::{DEFAULT_CALL_TIMEOUT, ExitReason, MonitorRef, Node, Pid, Process, Shutdown, node, with_me};

use futures_util::{Stream, stream};

use super::begin::{self, Begun, Tie};
use super::many::AwaitMany;
use super::place::{Outcome, Place};
use super::stream::TaskStream;

/// A process that computes one value for the process that began it, its owner. Elixir's `Task`.
///
/// Awaiting it gives the value, or why there is none:
///
/// - The task is linked to its owner. If it fails (a panic, an [`exit_now`](biotope_runtime::exit_now), an exit signal),
///   the owner ends with the same reason, unless it traps exits: then the await fails with the reason, and the
///   [`Exit`](biotope_runtime::Exit) is in the mailbox by then. If the owner ends, however, the task ends with that reason;
///   with `Normal` it goes on.
/// - A task that gives its value ends without a trace: link and monitor are gone before the value is there, and neither an
///   `Exit` nor a `Down` nor the value ever comes into the mailbox.
/// - Tasks of a [`TaskSupervisor`](crate::TaskSupervisor) may be [not linked](super::TaskSupervisorClient::spawn_nolink) to
///   their owner: their failure is the await's, and nobody else's.
///
/// Only the owner awaits it, and once. It may be kept in an actor's state from one handler to the next.
///
/// **Dropping it gives up its outcome, and not the task**: that goes on, still linked if it was. What ends it is the end of
/// its owner, [`shutdown`](Self::shutdown), or a drop after [`kill_on_drop`](Self::kill_on_drop).
///
/// A handler that awaits a task handles nothing else meanwhile. An actor that wants to go on and hear of the value as a
/// message has [`Context::pipe`](biotope_runtime::Context::pipe).
///
/// # What it inherits
/// What any child does: its parent, through that the group leader, and nothing else. It names its owner as its
/// [caller](biotope_runtime::ProcessInfo::caller), and a report of its crash says whose task it was, and where that was
/// begun.
///
/// # Errors
/// Why it ended, if it has given no value; [`ExitReason::Timeout`] if it took longer than 5 seconds from the first poll of
/// the await on, or as long as [`timeout`](Self::timeout) or [`deadline`](Self::deadline) said. Who must tell the two
/// apart, or wants to go on waiting, asks by [`yield_for`](Self::yield_for).
///
/// # Panics
/// If another process awaits it, or none; and if its outcome was given before.
///
/// # Cancel safety
/// Awaited by reference (`&mut task`), it can be awaited again if the future was dropped, or has given
/// `ExitReason::Timeout` because the time was up; that begins anew then.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// fn fib(n: u64) -> u64 {
///     if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let tasks = [Task::spawn(async { fib(20) }), Task::spawn(async { fib(21) })];
///     assert_eq!(Task::await_many(tasks).await?, [6765, 10946]);
///     Ok(())
/// }
/// ```
#[must_use = "dropping a task gives up what comes of it; `Task::start` begins one that nobody awaits"]
pub struct Task<T> {
    pid: Pid,
    owner: Pid,
    /// There as long as the owner may be told of the task's end.
    monitor: Option<MonitorRef>,
    place: Arc<Place<T>>,
    limit: Limit,
    /// Set while it is awaited.
    sleep: Option<Sleep>,
    is_given: bool,
    kills_on_drop: bool,
}

/// For how long an await waits.
#[derive(Clone, Copy)]
enum Limit {
    In(Duration),
    At(Instant),
}

impl<T: Send + 'static> Task<T> {
    /// Begins a task of the running process, linked to it: Elixir's `Task.async`.
    ///
    /// # Panics
    /// Outside a process.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let slow = Task::spawn(async {
    ///         time::sleep(millis(20)).await;
    ///         "done"
    ///     });
    ///     assert_eq!(slow.timeout(secs(1)).await?, "done");
    ///     Ok(())
    /// }
    /// ```
    #[track_caller]
    pub fn spawn<F>(future: F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        Self::process(move |_: Process<()>| future)
    }

    /// As [`spawn`](Self::spawn), for code that is given its process: to receive, to trap exits.
    ///
    /// # Panics
    /// Outside a process.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let sum = Task::process(async |mut me: Process<u32>| {
    ///         let address = me.address();
    ///         (1..=3).for_each(|n| address.cast(n));
    ///         let mut sum = 0;
    ///         for _ in 0..3 {
    ///             sum += me.receive().await.unwrap_or_default();
    ///         }
    ///         sum
    ///     });
    ///     assert_eq!(sum.await?, 6);
    ///     Ok(())
    /// }
    /// ```
    #[track_caller]
    pub fn process<M, B, F>(body: B) -> Self
    where
        M: Send + 'static,
        B: FnOnce(Process<M>) -> F + Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (node, owner) = owner("Task::spawn");
        Self::of(begin::awaited(&node, &Tie::own(owner, Location::caller()), body))
    }

    /// Begins a task that nobody awaits, as a child of the running process and not linked to it. Elixir's `Task.start`.
    ///
    /// # Panics
    /// Outside a process.
    #[track_caller]
    pub fn start<F>(future: F) -> Pid
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (node, owner) = owner("Task::start");
        begin::alone(&node, &Tie { link: false, ..Tie::own(owner, Location::caller()) }.options(None), future)
    }

    /// Begins a task that nobody awaits, linked to the running process. Elixir's `Task.start_link`.
    ///
    /// # Panics
    /// Outside a process.
    #[track_caller]
    pub fn start_link<F>(future: F) -> Pid
    where
        F: Future<Output = T> + Send + 'static,
    {
        let (node, owner) = owner("Task::start_link");
        begin::alone(&node, &Tie::own(owner, Location::caller()).options(None), future)
    }

    /// Runs a task for each of `items`, as many at once as there are workers, and gives their outcomes as a stream: see
    /// [`TaskStream`].
    ///
    /// `work` makes the future of a task, and is called in the consumer's own code; what it makes runs in the task.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let mut squares = Task::async_stream(1..=4, async |n: u32| n * n).max_concurrency(2);
    ///     let mut sum = 0;
    ///     while let Some(square) = squares.next().await {
    ///         sum += square?;
    ///     }
    ///     assert_eq!(sum, 30);
    ///     Ok(())
    /// }
    /// ```
    #[track_caller]
    pub fn async_stream<I, W, F>(items: I, work: W) -> TaskStream<stream::Iter<I::IntoIter>, W, T>
    where
        I: IntoIterator,
        W: FnMut(I::Item) -> F,
        F: Future<Output = T> + Send + 'static,
    {
        TaskStream::new(stream::iter(items), work, Location::caller())
    }

    /// As [`async_stream`](Self::async_stream), for items that come by a stream themselves. One that is not `Unpin` goes
    /// into a
    /// `Box::pin`.
    #[track_caller]
    pub fn async_stream_of<S, W, F>(items: S, work: W) -> TaskStream<S, W, T>
    where
        S: Stream + Unpin,
        W: FnMut(S::Item) -> F,
        F: Future<Output = T> + Send + 'static,
    {
        TaskStream::new(items, work, Location::caller())
    }

    /// Waits for all of `tasks`, for 5 seconds if [not told otherwise](AwaitMany::timeout), and gives their values in the
    /// order of the tasks. Elixir's `Task.await_many`.
    ///
    /// # Errors
    /// Of the first that fails, why; [`ExitReason::Timeout`] if not all of them are done in time. The others go on, and
    /// their outcomes are given up.
    ///
    /// # Panics
    /// As the await of each.
    pub fn await_many(tasks: impl IntoIterator<Item = Self>) -> AwaitMany<T> {
        AwaitMany::new(tasks)
    }

    /// Waits for all of `tasks`, for `timeout` at most, and gives what has come of each by then, in the order of the tasks:
    /// `None` of those that are not done, which go on and can be awaited, yielded for or [shut down](Self::shutdown).
    /// Elixir's
    /// `Task.yield_many`.
    ///
    /// A task whose outcome was given before is passed over, with `None`.
    ///
    /// # Panics
    /// If one of them is another process's.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has taken nothing.
    ///
    /// # Examples
    /// What is not done in time is ended:
    ///
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let mut tasks: Vec<Task<u64>> = [1, 600]
    ///         .map(|s| {
    ///             Task::spawn(async move {
    ///                 time::sleep(millis(s * 100)).await;
    ///                 s
    ///             })
    ///         })
    ///         .into();
    ///     let outcomes = Task::yield_many(&mut tasks, secs(2)).await;
    ///     for (task, outcome) in tasks.into_iter().zip(&outcomes) {
    ///         if outcome.is_none() {
    ///             task.shutdown(Shutdown::BrutalKill).await;
    ///         }
    ///     }
    ///     assert_eq!(outcomes, [Some(Ok(1)), None]);
    ///     Ok(())
    /// }
    /// ```
    pub async fn yield_many(tasks: &mut [Self], timeout: Duration) -> Vec<Option<Result<T, ExitReason>>> {
        super::many::yield_many(tasks, timeout).await
    }

    /// Lets an await wait for at most `timeout`, from its first poll on; without this, for 5 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.limit = Limit::In(timeout);
        self
    }

    /// Lets an await wait until `deadline`.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.limit = Limit::At(deadline);
        self
    }

    /// Lets the drop of this, in the owner's code, end the task by a kill: for work that is worth nothing without whoever
    /// awaits it. The owner does not hear of it. The owner's end drops it, too, whatever the reason.
    pub fn kill_on_drop(mut self) -> Self {
        self.kills_on_drop = true;
        self
    }

    /// Waits for what comes of the task, for `timeout` at most. `None` if it is not done by then: it goes on, and can be
    /// awaited. Elixir's `Task.yield`.
    ///
    /// # Panics
    /// As the await does.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has taken nothing.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let mut task = Task::spawn(async {
    ///         time::sleep(millis(50)).await;
    ///         7
    ///     });
    ///     while task.yield_for(millis(20)).await.is_none_or(|outcome| outcome != Ok(7)) {
    ///         println!("still at it");
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn yield_for(&mut self, timeout: Duration) -> Option<Result<T, ExitReason>> {
        self.assert_awaitable();
        let mut sleep = node().runtime().sleep(timeout);
        poll_fn(|cx| match self.poll_outcome(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => Pin::new(&mut sleep).poll(cx).map(|()| None),
        })
        .await
    }

    /// Ends the task, waits until it has ended, and gives what had come of it before, if anything. Elixir's `Task.shutdown`.
    ///
    /// It is unlinked first: its end is nothing to the owner. `how` is a time, within which it is to end by an exit with
    /// `Shutdown` before it is killed, or a [`Shutdown`].
    ///
    /// | the task | gives |
    /// |---|---|
    /// | had given its value, or gives it before it ends | `Some(Ok(value))` |
    /// | ends because of this | `None` |
    /// | had ended otherwise, or ends with another reason | `Some(Err(reason))` |
    /// | had to be killed, because its time was over | `Some(Err(Killed))` |
    ///
    /// # Panics
    /// In another process than the owner.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has asked the task to end, and will not kill it.
    pub async fn shutdown(mut self, how: impl Into<Shutdown>) -> Option<Result<T, ExitReason>> {
        self.assert_owner();
        if self.is_given {
            return None;
        }
        let how = how.into();
        let expected = if how == Shutdown::BrutalKill { ExitReason::Killed } else { ExitReason::Shutdown };
        let asked = if how == Shutdown::BrutalKill { ExitReason::Kill } else { ExitReason::Shutdown };
        self.send_away(asked);
        let outcome = match how {
            Shutdown::Timeout(time) => self.yield_for(time).await,
            Shutdown::BrutalKill | Shutdown::Infinity => None,
        };
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => {
                if let Shutdown::Timeout(_) = how {
                    self.send_away(ExitReason::Kill);
                }
                poll_fn(|cx| self.poll_outcome(cx)).await
            }
        };
        Some(outcome).filter(|outcome| outcome.as_ref().err() != Some(&expected))
    }

    /// Lets the task go on as if it had never been the owner's: unlinked and unheard. Gives what has come of it, if it is
    /// done. Elixir's `Task.ignore`.
    ///
    /// # Panics
    /// In another process than the owner.
    pub fn ignore(mut self) -> Option<Result<T, ExitReason>> {
        self.assert_owner();
        with_me(|me| me.unlink(self.pid));
        self.kills_on_drop = false;
        self.take_outcome()
    }
}

impl<T> Task<T> {
    /// Its process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The process that began it, and that alone may await it.
    pub fn owner(&self) -> Pid {
        self.owner
    }

    pub(super) fn of(begun: Begun<T>) -> Self {
        let Begun { pid, owner, monitor, place } = begun;
        let limit = Limit::In(DEFAULT_CALL_TIMEOUT);
        Self { pid, owner, monitor, place, limit, sleep: None, is_given: false, kills_on_drop: false }
    }

    pub(super) fn is_given(&self) -> bool {
        self.is_given
    }

    /// What has come of it. Its caller has seen that the owner asks.
    pub(super) fn poll_outcome(&mut self, cx: &Context<'_>) -> Poll<Outcome<T>> {
        let outcome = std::task::ready!(self.place.poll(cx));
        // Whoever is done, or has been heard of, is monitored no more.
        (self.is_given, self.monitor, self.sleep) = (true, None, None);
        Poll::Ready(outcome)
    }

    /// Whether it is done. Its caller has seen that the owner asks.
    pub(super) fn poll_done(&self, cx: &Context<'_>) -> Poll<()> {
        self.place.poll_there(cx)
    }

    /// What has come of it, if it is done and was not given before.
    pub(super) fn take_outcome(&mut self) -> Option<Outcome<T>> {
        let outcome = self.place.take()?;
        (self.is_given, self.monitor, self.sleep) = (true, None, None);
        Some(outcome)
    }

    /// Sends the task an exit signal that the owner does not hear of.
    pub(super) fn send_away(&self, reason: ExitReason) {
        with_me(|me| {
            me.unlink(self.pid);
            me.exit(self.pid, reason);
        });
    }

    fn is_owner_here(&self) -> bool {
        with_me(|me| me.pid() == self.owner).unwrap_or(false)
    }

    fn assert_owner(&self) {
        assert!(self.is_owner_here(), "a task is awaited by its owner, {}, and by nobody else", self.owner);
    }

    pub(super) fn assert_awaitable(&self) {
        self.assert_owner();
        assert!(!self.is_given, "a task was awaited after its outcome had been given");
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, ExitReason>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.assert_awaitable();
        if let Poll::Ready(outcome) = this.poll_outcome(cx) {
            return Poll::Ready(outcome);
        }
        let sleep = this.sleep.get_or_insert_with(|| {
            let runtime = node().runtime().clone();
            match this.limit {
                Limit::In(timeout) => runtime.sleep(timeout),
                Limit::At(deadline) => runtime.sleep(deadline.saturating_duration_since(runtime.now())),
            }
        });
        std::task::ready!(Pin::new(sleep).poll(cx));
        this.sleep = None;
        Poll::Ready(Err(ExitReason::Timeout))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if self.is_given {
            return;
        }
        // Elsewhere than in the owner its ties are left alone: the monitor stays until the task ends, and tells a place
        // that is closed.
        let is_owner = self.is_owner_here();
        if self.kills_on_drop {
            // Its supervisor drops it if whoever asked for it has given up in that moment.
            match is_owner {
                true => self.send_away(ExitReason::Kill),
                false => with_me(|me| me.exit(self.pid, ExitReason::Kill)).unwrap_or_default(),
            }
        }
        if is_owner && let Some(monitor) = self.monitor.take() {
            with_me(|me| me.demonitor(monitor));
        }
        self.place.close();
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({} of {})", self.pid, self.owner)
    }
}

/// The running process, which is to be the owner of a task, and its node.
#[track_caller]
pub(super) fn owner(what: &str) -> (Node, Pid) {
    match with_me(|me| (me.node().clone(), me.pid())) {
        Some(owner) => owner,
        None => panic!("`{what}` works in processes only: a task belongs to the process that begins it"),
    }
}
