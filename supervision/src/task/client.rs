//! What a running task supervisor can be asked, and what it answers.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use biotope_runtime::{
    Address, Call, CallError, Client, ExitReason, Node, Pid, Process, ReplyTo, Restart, Shutdown, SpawnOptions,
    StartError, with_me,
};
use futures_util::future::BoxFuture;
use futures_util::{Stream, stream};

use super::begin::{self, Tie};
use super::handle::{Task, owner};
use super::place::Outcome;
use super::stream::TaskStream;
use crate::child_spec::Child;
use crate::dynamic::{AtOnce, DynamicRequest, Refusal, TerminateDynamicChildCall};

/// The methods of a [`TaskSupervisorRef`](super::TaskSupervisorRef).
///
/// The tasks are children of the supervisor and linked to it. None of their code runs there, so nothing of it holds the
/// supervisor up.
///
/// # Examples
/// The failure of a task is its owner's to see, and nobody's end:
///
/// ```
/// use biotope::prelude::*;
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let tasks = TaskSupervisor::new().start_link().await?;
///     let good = tasks.spawn_nolink(async { 6 * 7 }).await?;
///     let bad = tasks.spawn_nolink(async { exit_now(ExitReason::value("no time")) }).await?;
///     let _: Result<(), _> = bad.await.map_err(|reason| assert_eq!(reason, ExitReason::value("no time")));
///     assert_eq!(good.await?, 42);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct TaskSupervisorClient {
    address: Address<DynamicRequest>,
    shutdown: Option<Shutdown>,
}

/// The call of [`TaskSupervisorClient::spawn`].
pub type StartTaskCall<'a, T> =
    Call<'a, DynamicRequest, Result<Task<T>, StartTaskError>, Task<T>, CallError<StartTaskError>>;
/// The call of [`TaskSupervisorClient::start_child`].
pub type StartTaskChildCall<'a> = Call<'a, DynamicRequest, Result<Pid, StartTaskError>, Pid, CallError<StartTaskError>>;

/// Why a task was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartTaskError {
    /// The supervisor has as many children as it may. When one has ended there is room for another.
    #[error("max_children: the supervisor has {0} children already, and may have no more")]
    MaxChildren(usize),
    /// The supervisor is about to end.
    #[error("the supervisor is stopping and begins nothing")]
    Stopping,
    /// Whoever asks is a process of another node than the supervisor's. A task's code does not travel.
    #[error("the supervisor is one of another node: a task lives on the node of its owner")]
    OtherNode,
}

impl From<Refusal> for StartTaskError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::MaxChildren(limit) => Self::MaxChildren(limit),
            Refusal::Stopping => Self::Stopping,
        }
    }
}

impl StartTaskError {
    /// Whether the same task may be begun if this is asked again.
    pub fn can_retry(&self) -> bool {
        matches!(self, Self::MaxChildren(_))
    }
}

impl TaskSupervisorClient {
    /// Begins a task of the running process, linked to that and to the supervisor. Elixir's `Task.Supervisor.async`.
    ///
    /// # Errors
    /// [`StartTaskError`]; then none was begun.
    ///
    /// # Panics
    /// Outside a process.
    ///
    /// # Cancel safety
    /// Dropped before it is answered, it begins none as a rule; if one was begun just then, it goes on as if it had been
    /// dropped.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> StartTaskCall<'_, F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.call(true, future)
    }

    /// As [`spawn`](Self::spawn); not linked to the running process, which its failure does not end. Nor does the end of the
    /// process end the task. Elixir's `Task.Supervisor.async_nolink`.
    ///
    /// # Errors
    /// [`StartTaskError`]; then none was begun.
    ///
    /// # Panics
    /// Outside a process.
    ///
    /// # Cancel safety
    /// As that of [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_nolink<F>(&self, future: F) -> StartTaskCall<'_, F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.call(false, future)
    }

    /// Begins a task that nobody awaits; it is temporary, which is never begun again. Elixir's
    /// `Task.Supervisor.start_child`.
    ///
    /// # Errors
    /// [`StartTaskError`]; then none was begun.
    #[track_caller]
    pub fn start_child<F>(&self, future: F) -> StartTaskChildCall<'_>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (caller, place) = (asker(), Location::caller());
        let begin = move |node: &Node, supervisor: Pid| begin::alone(node, &options(caller, supervisor, place), future);
        self.start(caller, Restart::Temporary, None, begin)
    }

    /// Begins a task that nobody awaits, and that is begun again when it ends, as `restart` says, with a future that `make`
    /// makes anew: `tasks.start_child_with(Transient, || async { … })`. Too many restarts end the supervisor
    /// ([`TaskSupervisor::intensity`](super::TaskSupervisor::intensity)).
    ///
    /// # Errors
    /// [`StartTaskError`]; then none was begun.
    #[track_caller]
    pub fn start_child_with<W, F>(&self, restart: Restart, make: W) -> StartTaskChildCall<'_>
    where
        W: Fn() -> F + Send + Sync + 'static,
        F: Future<Output: Send> + Send + 'static,
    {
        let (caller, place, make) = (asker(), Location::caller(), Arc::new(make));
        let run = move |node: &Node, supervisor: Pid, restarts| {
            let make = make.clone();
            // In the task: what makes its future is the user's, too.
            let options = SpawnOptions { restarts, ..options(caller, supervisor, place) };
            begin::alone(node, &options, async move { make().await })
        };
        let first = run.clone();
        let first = move |node: &Node, supervisor: Pid| first(node, supervisor, 0);
        let again = Child::with("task", move |node, options| {
            let begun = options.link.map(|supervisor| run(&node, supervisor, options.restarts));
            std::future::ready(begun.ok_or(StartError::Ignored))
        });
        self.start(caller, restart, Some(again), first)
    }

    /// As [`Task::async_stream`], with tasks that are the supervisor's children too. One that the supervisor does not begin
    /// has the error as its outcome.
    #[track_caller]
    pub fn async_stream<I, W, F>(&self, items: I, work: W) -> TaskStream<stream::Iter<I::IntoIter>, W, F::Output>
    where
        I: IntoIterator,
        W: FnMut(I::Item) -> F,
        F: Future<Output: Send> + Send + 'static,
    {
        TaskStream::new(stream::iter(items), work, Location::caller()).under(self.clone())
    }

    /// As [`Task::async_stream_of`], with tasks that are the supervisor's children too.
    #[track_caller]
    pub fn async_stream_of<S, W, F>(&self, items: S, work: W) -> TaskStream<S, W, F::Output>
    where
        S: Stream + Unpin,
        W: FnMut(S::Item) -> F,
        F: Future<Output: Send> + Send + 'static,
    {
        TaskStream::new(items, work, Location::caller()).under(self.clone())
    }

    /// The same supervisor, which is to stop the tasks that are begun by way of this in another way than usual:
    /// `tasks.with_shutdown(Shutdown::BrutalKill).spawn(work)`.
    pub fn with_shutdown(&self, how: impl Into<Shutdown>) -> Self {
        Self { address: self.address.clone(), shutdown: Some(how.into()) }
    }

    /// The tasks that run, in the order in which they were begun.
    pub fn children(&self) -> Call<'_, DynamicRequest, Vec<Pid>> {
        Call::new(&self.address, DynamicRequest::Children)
    }

    /// Stops a task, which is not begun again, and waits until it has ended.
    ///
    /// # Errors
    /// [`NoSuchChild`](crate::dynamic::NoSuchChild); then nothing was stopped.
    pub fn terminate_child(&self, task: impl Into<Pid>) -> TerminateDynamicChildCall<'_> {
        let task = task.into();
        Call::fallible(&self.address, |reply| DynamicRequest::Terminate(task, reply))
    }

    #[track_caller]
    fn call<F>(&self, link: bool, future: F) -> StartTaskCall<'_, F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (_, owner) = owner("TaskSupervisorRef::spawn");
        let place = Location::caller();
        Call::fallible(&self.address, |reply| self.awaited(owner, link, place, future, |task| task, reply))
    }

    /// As [`spawn`](Self::spawn), for a stream, which keeps this while it waits.
    pub(super) fn begin<F>(
        &self,
        future: F,
        link: bool,
        place: &'static Location<'static>,
    ) -> BoxFuture<'static, Outcome<Task<F::Output>>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (client, (_, owner)) = (self.clone(), owner("a stream of tasks"));
        Box::pin(async move {
            // A task that is begun while nobody waits any more goes with the stream, as one that runs.
            let begin = |reply| client.awaited(owner, link, place, future, Task::kill_on_drop, reply);
            Call::fallible(&client.address, begin).await.map_err(|error| match error {
                CallError::Failed(failed) => failed.into_reason(),
                CallError::Reply(error) => ExitReason::error(error),
            })
        })
    }

    /// The request for a task whose value goes to `owner`.
    fn awaited<F>(
        &self,
        owner: Pid,
        link: bool,
        place: &'static Location<'static>,
        future: F,
        mind: fn(Task<F::Output>) -> Task<F::Output>,
        reply: ReplyTo<Result<Task<F::Output>, StartTaskError>>,
    ) -> DynamicRequest
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let begin = move |node: &Node, supervisor: Pid| {
            let tie = Tie { owner, link, supervisor: Some(supervisor), place };
            mind(Task::of(begin::awaited(node, &tie, |_: Process<()>| future)))
        };
        self.request(Some(owner), Restart::Temporary, None, reply, begin, Task::pid)
    }

    fn start(
        &self,
        caller: Option<Pid>,
        restart: Restart,
        again: Option<Child>,
        begin: impl FnOnce(&Node, Pid) -> Pid + Send + 'static,
    ) -> StartTaskChildCall<'_> {
        Call::fallible(&self.address, |reply| self.request(caller, restart, again, reply, begin, |pid| *pid))
    }

    fn request<R: Send + 'static>(
        &self,
        caller: Option<Pid>,
        restart: Restart,
        again: Option<Child>,
        reply: ReplyTo<Result<R, StartTaskError>>,
        begin: impl FnOnce(&Node, Pid) -> R + Send + 'static,
        pid_of: fn(&R) -> Pid,
    ) -> DynamicRequest {
        let begin = Box::new(move |admitted: Result<(&Node, Pid), Refusal>| match admitted {
            Ok((node, _)) if caller.is_some_and(|caller| caller.node() != node.id()) => {
                reply.send(Err(StartTaskError::OtherNode));
                None
            }
            // Whoever asked has given up, or has ended.
            Ok(_) if reply.is_abandoned() => None,
            Ok((node, supervisor)) => {
                let begun = begin(node, supervisor);
                let pid = pid_of(&begun);
                reply.send(Ok(begun));
                Some(pid)
            }
            Err(refusal) => {
                reply.send(Err(refusal.into()));
                None
            }
        });
        DynamicRequest::Begin(AtOnce { restart, shutdown: self.shutdown, again, begin })
    }
}

/// Who asks, if it is a process.
fn asker() -> Option<Pid> {
    with_me(|me| me.pid())
}

/// How a task begins that nobody awaits.
fn options(caller: Option<Pid>, supervisor: Pid, place: &'static Location<'static>) -> SpawnOptions {
    match caller {
        Some(owner) => Tie { owner, link: false, supervisor: Some(supervisor), place }.options(None),
        None => SpawnOptions::linked_to(supervisor),
    }
}

impl Client for TaskSupervisorClient {
    type Msg = DynamicRequest;

    fn from_address(address: Address<DynamicRequest>) -> Self {
        Self { address, shutdown: None }
    }

    fn address(&self) -> &Address<DynamicRequest> {
        &self.address
    }
}
