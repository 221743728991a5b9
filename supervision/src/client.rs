//! What a running supervisor can be asked, and what it answers.

use std::sync::Arc;

use biotope_runtime::{Address, Call, CallError, Client, Pid, ReplyTo, Restart, Shutdown, StartError};

use crate::child_spec::{Child, IntoChild, Kind};
use crate::config::DEFAULT_CHILD_CALL_TIMEOUT;
use crate::strategy::SpecError;

/// The methods of a [`SupervisorRef`](crate::SupervisorRef).
///
/// A supervisor answers also while a child starts or stops slowly. The calls that start or stop a child
/// are answered when that is done; they wait for 30 seconds if not told otherwise.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor, Default)]
/// struct Cart;
///
/// #[handlers]
/// impl Cart {}
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let shop = Supervisor::one_for_one().start_link().await?;
///     shop.start_child(Cart::spec().id("first")).await?;
///     assert_eq!(shop.count_children().await?.active, 1);
///     shop.terminate_child("first").await?;
///     assert_eq!(shop.which_children().await?[0].pid(), None);
///     shop.delete_child("first").await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SupervisorClient(Address<Request>);

impl SupervisorClient {
    /// The children, in start order.
    pub fn which_children(&self) -> Call<'_, Request, Vec<ChildInfo>> {
        Call::new(&self.0, Request::Which)
    }

    /// How many children there are, and of which kind.
    pub fn count_children(&self) -> Call<'_, Request, ChildCounts> {
        Call::new(&self.0, Request::Count)
    }

    /// Adds a child, as the last, and starts it. Gives `None` if it had nothing to do.
    ///
    /// # Errors
    /// [`StartChildError`]; then the child was not added.
    pub fn start_child(&self, child: impl IntoChild) -> StartChildCall<'_> {
        let child = child.into_child();
        Call::fallible(&self.0, |reply| Request::Start(child, reply)).timeout(DEFAULT_CHILD_CALL_TIMEOUT)
    }

    /// Stops a child, which stays listed unless it is temporary. To stop one that is stopped is no error.
    ///
    /// # Errors
    /// [`TerminateChildError`].
    pub fn terminate_child(&self, id: impl Into<Arc<str>>) -> TerminateChildCall<'_> {
        let id = id.into();
        Call::fallible(&self.0, |reply| Request::Terminate(id, reply)).timeout(DEFAULT_CHILD_CALL_TIMEOUT)
    }

    /// Starts a child that was stopped or ended. Gives `None` if it had nothing to do.
    ///
    /// # Errors
    /// [`RestartChildError`].
    pub fn restart_child(&self, id: impl Into<Arc<str>>) -> RestartChildCall<'_> {
        let id = id.into();
        Call::fallible(&self.0, |reply| Request::Restart(id, reply)).timeout(DEFAULT_CHILD_CALL_TIMEOUT)
    }

    /// Removes a child that was stopped or ended.
    ///
    /// # Errors
    /// [`DeleteChildError`]; then it is still there.
    pub fn delete_child(&self, id: impl Into<Arc<str>>) -> DeleteChildCall<'_> {
        let id = id.into();
        Call::fallible(&self.0, |reply| Request::Delete(id, reply))
    }

    /// The specification of a child, if there is one with this id.
    pub fn child_spec(&self, id: impl Into<Arc<str>>) -> Call<'_, Request, Option<Child>> {
        let id = id.into();
        Call::new(&self.0, |reply| Request::Spec(id, reply))
    }

    /// Puts `child` in the place of the specification with the same id, and gives back that one. How the child is stopped and
    /// whether it is started again goes by the new one from now on, and so does how it is started; the process that there is
    /// stays. In OTP, that is what a code change of a supervisor does.
    ///
    /// # Errors
    /// [`ChangeChildError`]; then nothing has changed.
    pub fn change_child(&self, child: impl IntoChild) -> ChangeChildCall<'_> {
        let child = child.into_child();
        Call::fallible(&self.0, |reply| Request::Change(child, reply))
    }
}

impl Client for SupervisorClient {
    type Msg = Request;

    fn from_address(address: Address<Request>) -> Self {
        Self(address)
    }

    fn address(&self) -> &Address<Request> {
        &self.0
    }
}

type FallibleCall<'a, T, E> = Call<'a, Request, Result<T, E>, T, CallError<E>>;

/// The call of [`SupervisorClient::start_child`].
pub type StartChildCall<'a> = FallibleCall<'a, Option<Pid>, StartChildError>;
/// The call of [`SupervisorClient::terminate_child`].
pub type TerminateChildCall<'a> = FallibleCall<'a, (), TerminateChildError>;
/// The call of [`SupervisorClient::restart_child`].
pub type RestartChildCall<'a> = FallibleCall<'a, Option<Pid>, RestartChildError>;
/// The call of [`SupervisorClient::delete_child`].
pub type DeleteChildCall<'a> = FallibleCall<'a, (), DeleteChildError>;
/// The call of [`SupervisorClient::change_child`].
pub type ChangeChildCall<'a> = FallibleCall<'a, Child, ChangeChildError>;

/// The messages of a supervisor. [`SupervisorClient`] sends them.
#[derive(Debug)]
#[non_exhaustive]
pub enum Request {
    /// See [`SupervisorClient::which_children`].
    Which(ReplyTo<Vec<ChildInfo>>),
    /// See [`SupervisorClient::count_children`].
    Count(ReplyTo<ChildCounts>),
    /// See [`SupervisorClient::start_child`].
    Start(Child, ReplyTo<Result<Option<Pid>, StartChildError>>),
    /// See [`SupervisorClient::terminate_child`].
    Terminate(Arc<str>, ReplyTo<Result<(), TerminateChildError>>),
    /// See [`SupervisorClient::restart_child`].
    Restart(Arc<str>, ReplyTo<Result<Option<Pid>, RestartChildError>>),
    /// See [`SupervisorClient::delete_child`].
    Delete(Arc<str>, ReplyTo<Result<(), DeleteChildError>>),
    /// See [`SupervisorClient::child_spec`].
    Spec(Arc<str>, ReplyTo<Option<Child>>),
    /// See [`SupervisorClient::change_child`].
    Change(Child, ReplyTo<Result<Child, ChangeChildError>>),
}

/// One child, as it is at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildInfo {
    /// What it is called within its supervisor.
    pub id: Arc<str>,
    /// Whether it has a process.
    pub status: ChildStatus,
    /// How often it has been started again, by itself or with its siblings.
    pub restarts: u64,
    /// Whether it has children of its own.
    pub kind: Kind,
    /// When it is started again.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
}

impl ChildInfo {
    /// The pid of its process, if it has one.
    pub fn pid(&self) -> Option<Pid> {
        match self.status {
            ChildStatus::Running(pid) => Some(pid),
            ChildStatus::Restarting | ChildStatus::Stopped => None,
        }
    }
}

/// Whether a child has a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildStatus {
    /// It has this one.
    Running(Pid),
    /// It is being started, or waits for that: its turn, the end of its back-off, that what it needs is up, or that the children
    /// are gone which it has left.
    Restarting,
    /// It has none: it was stopped, has done its work, or had nothing to do.
    Stopped,
}

/// How many children a supervisor has, and of which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildCounts {
    /// All that are listed, with a process or without.
    pub specs: usize,
    /// Those with a process.
    pub active: usize,
    /// Those listed that have children of their own.
    pub supervisors: usize,
    /// Those listed that have not.
    pub workers: usize,
}

/// Why a child was not added.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartChildError {
    /// A child of this id runs, or is being started if no pid is given.
    #[error("already started: the supervisor has a running child `{id}`; give the new one another id with `.id(…)`")]
    AlreadyStarted {
        /// The id.
        id: Arc<str>,
        /// The process of the child that has it.
        pid: Option<Pid>,
    },
    /// A child of this id is listed without a process.
    #[error("already present: the supervisor has a stopped child `{0}`; start it with `restart_child`")]
    AlreadyPresent(Arc<str>),
    /// Its specification does not fit its supervisor.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// It did not start.
    #[error("the child did not start: {0}")]
    Failed(StartError),
    /// It was terminated before it had started.
    #[error("the child was terminated before it had started")]
    Terminated,
    /// The supervisor is about to end.
    #[error("the supervisor is stopping and starts nothing")]
    Stopping,
}

/// Why a child was not stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TerminateChildError {
    /// There is no such child.
    #[error("not found: the supervisor has no child `{0}`")]
    NotFound(Arc<str>),
    /// The supervisor is about to end, and stops all of its children.
    #[error("the supervisor is stopping, with all of its children")]
    Stopping,
}

/// Why a child was not started again.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RestartChildError {
    /// There is no such child.
    #[error("not found: the supervisor has no child `{0}`")]
    NotFound(Arc<str>),
    /// It runs.
    #[error("running: child `{0}` has a process; terminate it first")]
    Running(Arc<str>),
    /// The supervisor is starting it already.
    #[error("restarting: child `{0}` is being started")]
    Restarting(Arc<str>),
    /// It did not start, and is listed without a process.
    #[error("the child did not start: {0}")]
    Failed(StartError),
    /// It was terminated before it had started.
    #[error("the child was terminated before it had started")]
    Terminated,
    /// The supervisor is about to end.
    #[error("the supervisor is stopping and starts nothing")]
    Stopping,
}

/// Why a child was not removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteChildError {
    /// There is no such child.
    #[error("not found: the supervisor has no child `{0}`")]
    NotFound(Arc<str>),
    /// It runs.
    #[error("running: child `{0}` has a process; terminate it first")]
    Running(Arc<str>),
    /// The supervisor is starting it.
    #[error("restarting: child `{0}` is being started; terminate it first")]
    Restarting(Arc<str>),
    /// The supervisor is about to end.
    #[error("the supervisor is stopping")]
    Stopping,
}

/// Why the specification of a child was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeChildError {
    /// There is no child with this id.
    #[error("not found: the supervisor has no child `{0}`; start it with `start_child`")]
    NotFound(Arc<str>),
    /// The new one does not fit the supervisor.
    #[error(transparent)]
    Spec(#[from] SpecError),
}
