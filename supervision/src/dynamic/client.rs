//! What a running dynamic supervisor can be asked, and what it answers.

use std::fmt;

use biotope_runtime::{Address, Call, CallError, Client, Node, Pid, ReplyTo, Restart, Shutdown, StartError};

use crate::child_spec::{Child, IntoChild};
use crate::client::{ChildCounts, ChildInfo};
use crate::config::DEFAULT_CHILD_CALL_TIMEOUT;
use crate::strategy::SpecError;

/// The methods of a [`DynamicSupervisorRef`](crate::DynamicSupervisorRef).
///
/// A dynamic supervisor answers also while children start or stop slowly. The calls that start or stop a child are answered
/// when that is done; they wait for 30 seconds if not told otherwise.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor)]
/// struct Session {
///     user: &'static str,
/// }
///
/// #[handlers]
/// impl Session {
///     #[start]
///     fn start(user: &'static str) -> Self {
///         Self { user }
///     }
///     fn user(&self) -> &'static str {
///         self.user
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let sessions = DynamicSupervisor::new().start_link().await?;
///     let pid = sessions.start_child(Session::spec_with(|| "ann").restart(Transient)).await?;
///     let session = pid.and_then(|pid| node().actor::<Session>(pid)).expect("it runs");
///     assert_eq!(session.user().await?, "ann");
///
///     sessions.terminate_child(&session).await?;
///     assert_eq!(sessions.count_children().await?.specs, 0);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct DynamicSupervisorClient(Address<DynamicRequest>);

impl DynamicSupervisorClient {
    /// Starts a child and gives its pid when it is ready; `None` if it had nothing to do, and then it is not kept. Other starts
    /// are under way at the same time, and nobody waits for this one but the caller.
    ///
    /// What a child is to be told each time that it starts, its specification captures:
    /// `Session::spec_with(move || user.clone())`.
    ///
    /// # Errors
    /// [`StartDynamicChildError`]; then it was not added.
    ///
    /// # Cancel safety
    /// Dropped before the supervisor has come to it, it starts nothing. Later, the start goes on.
    pub fn start_child(&self, child: impl IntoChild) -> StartDynamicChildCall<'_> {
        let child = child.into_child();
        Call::fallible(&self.0, |reply| DynamicRequest::Start(child, reply)).timeout(DEFAULT_CHILD_CALL_TIMEOUT)
    }

    /// Stops a child, which is not started again, and waits until it has ended. A child that is being started again is known by
    /// the pid that it had.
    ///
    /// # Errors
    /// [`NoSuchChild`]; then nothing was stopped.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the request back.
    pub fn terminate_child(&self, child: impl Into<Pid>) -> TerminateDynamicChildCall<'_> {
        let child = child.into();
        Call::fallible(&self.0, |reply| DynamicRequest::Terminate(child, reply)).timeout(DEFAULT_CHILD_CALL_TIMEOUT)
    }

    /// The children, in the order in which they were asked for. One that is being started is
    /// [`Restarting`](crate::ChildStatus::Restarting).
    pub fn which_children(&self) -> Call<'_, DynamicRequest, Vec<ChildInfo>> {
        Call::new(&self.0, DynamicRequest::Which)
    }

    /// How many children there are, and of which kind. It takes as long with many as with few.
    pub fn count_children(&self) -> Call<'_, DynamicRequest, ChildCounts> {
        Call::new(&self.0, DynamicRequest::Count)
    }
}

impl Client for DynamicSupervisorClient {
    type Msg = DynamicRequest;

    fn from_address(address: Address<DynamicRequest>) -> Self {
        Self(address)
    }

    fn address(&self) -> &Address<DynamicRequest> {
        &self.0
    }
}

/// The call of [`DynamicSupervisorClient::start_child`].
pub type StartDynamicChildCall<'a> = Call<
    'a,
    DynamicRequest,
    Result<Option<Pid>, StartDynamicChildError>,
    Option<Pid>,
    CallError<StartDynamicChildError>,
>;
/// The call of [`DynamicSupervisorClient::terminate_child`].
pub type TerminateDynamicChildCall<'a> = Call<'a, DynamicRequest, Result<(), NoSuchChild>, (), CallError<NoSuchChild>>;

/// Why a child of a dynamic supervisor was not added.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartDynamicChildError {
    /// The supervisor has as many children as it may, with those that are being started. When one has ended there is room for
    /// another.
    #[error("max_children: the supervisor has {0} children already, and may have no more")]
    MaxChildren(usize),
    /// Its specification does not fit: no child of a dynamic supervisor is significant.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// It did not start.
    #[error("the child did not start: {0}")]
    Failed(StartError),
    /// The supervisor is about to end; the child was not started, or was stopped with all others.
    #[error("the supervisor is stopping and starts nothing")]
    Stopping,
}

impl StartDynamicChildError {
    /// Whether the same child may start if this is asked again.
    pub fn can_retry(&self) -> bool {
        match self {
            Self::MaxChildren(_) => true,
            Self::Failed(error) => error.can_retry(),
            Self::Spec(_) | Self::Stopping => false,
        }
    }
}

/// There is no such child: it has ended for good, was terminated, or is none of this supervisor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not found: the supervisor has no child {0}")]
pub struct NoSuchChild(pub Pid);

/// The messages of a dynamic supervisor, and of one for tasks. [`DynamicSupervisorClient`] and
/// [`TaskSupervisorClient`](crate::task::TaskSupervisorClient) send them.
#[derive(Debug)]
#[non_exhaustive]
pub enum DynamicRequest {
    /// See [`DynamicSupervisorClient::start_child`].
    Start(Child, ReplyTo<Result<Option<Pid>, StartDynamicChildError>>),
    /// See [`TaskSupervisorClient::spawn`](crate::task::TaskSupervisorClient::spawn) and its siblings.
    Begin(AtOnce),
    /// See [`DynamicSupervisorClient::terminate_child`].
    Terminate(Pid, ReplyTo<Result<(), NoSuchChild>>),
    /// See [`DynamicSupervisorClient::which_children`].
    Which(ReplyTo<Vec<ChildInfo>>),
    /// See [`DynamicSupervisorClient::count_children`].
    Count(ReplyTo<ChildCounts>),
    /// See [`TaskSupervisorClient::children`](crate::task::TaskSupervisorClient::children).
    Children(ReplyTo<Vec<Pid>>),
}

/// A child that is there as soon as it is begun, by code that runs once; with whoever asks for it. A task is one.
pub struct AtOnce {
    pub(crate) restart: Restart,
    /// How it is stopped, if not as such children of the supervisor are.
    pub(crate) shutdown: Option<Shutdown>,
    /// What starts it again, if it is ever to be.
    pub(crate) again: Option<Child>,
    /// Begins it, or does not, and tells who asked. Returns its process.
    pub(crate) begin: Box<Begin>,
}

/// Begins a child under a supervisor of a node, if it is admitted.
pub(crate) type Begin = dyn FnOnce(Result<(&Node, Pid), Refusal>) -> Option<Pid> + Send;

/// Why a child is not begun at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    MaxChildren(usize),
    Stopping,
}

impl From<Refusal> for StartDynamicChildError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::MaxChildren(limit) => Self::MaxChildren(limit),
            Refusal::Stopping => Self::Stopping,
        }
    }
}

impl fmt::Debug for AtOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtOnce").field("restart", &self.restart).finish_non_exhaustive()
    }
}
