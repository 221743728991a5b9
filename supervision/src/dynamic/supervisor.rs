//! A dynamic supervisor, written down and started.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{Actor, ActorRef, ExitReason, Node, SpawnOptions, StartError, node, this_pid};
use tokio::sync::oneshot;

use super::client::{DynamicRequest, DynamicSupervisorClient};
use super::core::{Core, Policy};
use super::driver;
use crate::backoff::Backoff;
use crate::child_spec::{Child, IntoChild};
use crate::config::{DEFAULT_INTENSITY, DEFAULT_PERIOD};
use crate::intensity::Intensity;
use crate::tree::Declared;

/// A process whose children are begun while it runs, one by one, each from a full specification: sessions, connections, jobs.
/// Elixir's `DynamicSupervisor`, OTP's `simple_one_for_one`.
///
/// They are independent of each other. Starts are under way side by side: one that takes long holds up nobody. A child that
/// ends is started again as its [`Restart`](crate::Restart) says, or is gone. When the supervisor stops it tells all of them
/// at once, waits for them, each for as long as its [`Shutdown`](crate::Shutdown) allows, and kills those that are not done by
/// then; starts that are under way end likewise.
///
/// This is its specification: cheap to clone, and startable more than once, also as the child of a
/// [`Supervisor`](crate::Supervisor). It is also the actor that a [`DynamicSupervisorRef`] refers to, so that
/// `node.lookup::<DynamicSupervisor>("sessions")` finds a named one.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor, Default)]
/// struct Session;
///
/// #[handlers]
/// impl Session {}
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let _shop = Supervisor::one_for_one()
///         .child(DynamicSupervisor::new().named("sessions").max_children(10_000))
///         .start_link()
///         .await?;
///     let sessions = node().lookup::<DynamicSupervisor>("sessions").ok_or(ExitReason::NoProc)?;
///     let session = sessions.start_child(Session::spec().restart(Temporary)).await?;
///     assert_eq!(sessions.which_children().await?[0].pid(), session);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a dynamic supervisor does nothing until it is started"]
pub struct DynamicSupervisor {
    max_children: Option<usize>,
    restarts: u32,
    period: Duration,
    backoff: Option<Backoff>,
    name: Option<Arc<str>>,
}

/// A reference to a running dynamic supervisor; its methods are those of [`DynamicSupervisorClient`].
pub type DynamicSupervisorRef = ActorRef<DynamicSupervisor>;

impl DynamicSupervisor {
    /// One without a limit, which allows one restart within 5 seconds.
    pub fn new() -> Self {
        Self { max_children: None, restarts: DEFAULT_INTENSITY, period: DEFAULT_PERIOD, backoff: None, name: None }
    }

    /// How many children it may have at once, with those that are being started. More are refused with
    /// [`MaxChildren`](super::StartDynamicChildError::MaxChildren).
    pub fn max_children(mut self, children: usize) -> Self {
        self.max_children = Some(children);
        self
    }

    /// How many restarts are allowed within `period`, of all children together; without this, as for any
    /// [`Supervisor`](crate::Supervisor). At one more, it stops its children and ends with `Shutdown`. A restart that fails
    /// is tried again, and counts each time.
    ///
    /// With many children that crash by themselves now and then, one restart in 5 seconds is soon too few.
    ///
    /// # Panics
    /// If `period` is zero.
    #[track_caller]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        assert!(!period.is_zero(), "the period of the restart intensity is zero");
        (self.restarts, self.period) = (restarts, period);
        self
    }

    /// How long its children stay down before they are started again, if they do not say so themselves; without this, they
    /// are started again at once. One that waits keeps its place, and is known by the pid that it had.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Registers it under `name` on its node.
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name that it is registered under.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Starts it, linked to the running process, which is its parent: it ends when that ends.
    ///
    /// # Errors
    /// [`StartError::AlreadyStarted`] if another process has its name; nothing is left.
    ///
    /// # Panics
    /// Outside a process. There, use [`start_on`](Self::start_on).
    #[track_caller]
    pub fn start_link(&self) -> impl Future<Output = Result<DynamicSupervisorRef, StartError>> + Send + use<> {
        let me = this_pid();
        self.start_on(&node(), SpawnOptions::linked_to(me))
    }

    /// Starts it on `node`.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    pub fn start_on(
        &self,
        node: &Node,
        options: SpawnOptions,
    ) -> impl Future<Output = Result<DynamicSupervisorRef, StartError>> + Send + use<> {
        let nothing = Child::with("child", |_, _| async { Err(StartError::Ignored) });
        self.launch(node, options, nothing)
    }

    /// Starts one whose children that are [begun at once](super::AtOnce) are as `at_once`, unless they say otherwise.
    pub(crate) fn launch<A: Actor<Msg = DynamicRequest>>(
        &self,
        node: &Node,
        options: SpawnOptions,
        at_once: Child,
    ) -> impl Future<Output = Result<ActorRef<A>, StartError>> + Send + use<A> {
        let (sender, ready) = oneshot::channel();
        let runtime = node.runtime().clone();
        let core = Core::new(Policy {
            max_children: self.max_children,
            intensity: Intensity::new(self.restarts, self.period),
            backoff: self.backoff,
            at_once,
            chance: Box::new(move || runtime.random()),
        });
        let (name, link) = (self.name.clone(), options.link);
        let options = SpawnOptions { trap_exit: true, ..options };
        let supervisor = node.spawn_process_as(options, move |me| driver::run(me, name, link, core, sender));
        async move {
            // Without an answer, it was killed.
            ready.await.unwrap_or(Err(StartError::Died(ExitReason::Killed)))?;
            Ok(supervisor)
        }
    }

    /// What it is declared as, for whoever has it as a child; its children are called `children`.
    pub(crate) fn as_declared(&self, children: &str) -> Declared {
        match self.max_children {
            Some(limit) => Declared::new(format!("{children}, {limit} at most")),
            None => Declared::new(children),
        }
    }
}

impl Default for DynamicSupervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Actor for DynamicSupervisor {
    type Msg = DynamicRequest;
    type Client = DynamicSupervisorClient;
    const NAME: &'static str = "DynamicSupervisor";
}

impl IntoChild for DynamicSupervisor {
    fn into_child(self) -> Child {
        let id: Arc<str> = self.name().unwrap_or("dynamic supervisor").into();
        let declared = self.as_declared("children that come and go");
        let child = Child::supervisor_with(id, move |node, options| {
            let started = self.start_on(&node, options);
            async move { Ok(started.await?.pid()) }
        });
        child.declared(declared)
    }
}
