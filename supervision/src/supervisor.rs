//! A supervisor, written down and started.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{Actor, ActorRef, ExitReason, Node, Pid, SpawnOptions, StartError, node, this_pid};
use tokio::sync::oneshot;

use crate::backoff::Backoff;
use crate::child_spec::{Child, IntoChild};
use crate::client::{Request, SupervisorClient};
use crate::config::{DEFAULT_INTENSITY, DEFAULT_PERIOD};
use crate::core::{Core, Policy};
use crate::driver;
use crate::intensity::Intensity;
use crate::strategy::{AutoShutdown, SpecError, Strategy};

/// A process that starts its children in order, restarts those that fail, and stops them in reverse order.
///
/// This is its specification: cheap to clone, and startable more than once. It is also the actor that a
/// [`SupervisorRef`] refers to, so that `node.lookup::<Supervisor>("shop")` finds a named one. It prints as the tree that it is
/// the root of:
///
/// ```text
/// shop         supervisor                       one_for_one, 3 restarts within 5s
/// ├─ cart      worker      permanent  2s
/// └─ stock     supervisor  permanent  infinity  rest_for_one, 1 restart within 5s
///    └─ shelf  worker      transient  5s
/// ```
///
/// Two are equal if all that they say is and their children are, as [`Child`] says.
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
///     let shop = Supervisor::one_for_one()
///         .intensity(3, secs(5))
///         .child(Cart::spec().named("cart").shutdown(secs(2)))
///         .start_link()
///         .await?;
///     let first = shop.which_children().await?[0].pid();
///     assert_eq!(first, node().whereis("cart"));
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a supervisor does nothing until it is started"]
pub struct Supervisor {
    pub(crate) strategy: Strategy,
    pub(crate) restarts: u32,
    pub(crate) period: Duration,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) children: Vec<Child>,
    pub(crate) name: Option<Arc<str>>,
}

/// A reference to a running supervisor; its methods are those of [`SupervisorClient`].
pub type SupervisorRef = ActorRef<Supervisor>;

/// Why a supervisor did not start. Nothing of it is left: the children that had started were stopped, in
/// reverse order.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorStartError {
    /// Two children have the same id. Nothing was started.
    #[error("two children are called `{0}`: give one of them another id with `.id(\"…\")`")]
    DuplicateId(Arc<str>),
    /// Restarts are to be counted within no time at all. Nothing was started.
    #[error("the period of the restart intensity is zero: give it a time, as in `.intensity(3, secs(5))`")]
    ZeroPeriod,
    /// A child does not fit the supervisor. Nothing was started.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// Another process has the supervisor's name. Nothing was started.
    #[error("already started: {0} is registered under this name")]
    AlreadyStarted(Pid),
    /// A child did not start.
    #[error("child `{id}` did not start: {error}")]
    Child {
        /// The child.
        id: Arc<str>,
        /// Why.
        error: StartError,
    },
    /// The supervisor ended while it started its children.
    #[error("the supervisor ended before it had started: {0}")]
    Died(ExitReason),
}

impl Supervisor {
    /// What one is called that has no name.
    pub(crate) const UNNAMED: &'static str = "supervisor";

    /// A supervisor without children: one restart is allowed within 5 seconds.
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            restarts: DEFAULT_INTENSITY,
            period: DEFAULT_PERIOD,
            auto_shutdown: AutoShutdown::Never,
            backoff: None,
            children: Vec::new(),
            name: None,
        }
    }

    /// A supervisor that restarts the child that ended, and no other.
    pub fn one_for_one() -> Self {
        Self::new(Strategy::OneForOne)
    }

    /// A supervisor that restarts all children when one ended.
    pub fn one_for_all() -> Self {
        Self::new(Strategy::OneForAll)
    }

    /// A supervisor that restarts the child that ended and those after it.
    pub fn rest_for_one() -> Self {
        Self::new(Strategy::RestForOne)
    }

    /// How many restarts are allowed within `period`, of all children together. At one more, the
    /// supervisor stops its children and ends with `Shutdown`, for its own supervisor to act.
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.restarts = restarts;
        self.period = period;
        self
    }

    /// Whether it ends with children that are [`significant`](Child::significant); without this, it does not.
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.auto_shutdown = auto_shutdown;
        self
    }

    /// How long its children stay down before they are started again, if they do not say so themselves; without this, they
    /// are started again at once. While one waits, those are down as well whom its restart affects.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// Adds a child, to be started after those before it.
    pub fn child(mut self, child: impl IntoChild) -> Self {
        self.children.push(child.into_child());
        self
    }

    /// Adds children in order.
    pub fn children(mut self, children: impl IntoIterator<Item: IntoChild>) -> Self {
        self.children.extend(children.into_iter().map(IntoChild::into_child));
        self
    }

    /// Registers the supervisor under `name` on its node.
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name that it is registered under.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Starts it, linked to the running process, which is its parent: it ends when that ends. Waits until
    /// all children have started. An error comes as this method's result and not over the link.
    ///
    /// # Errors
    /// [`SupervisorStartError`]; nothing is left.
    ///
    /// # Panics
    /// Outside a process. There, use [`start_on`](Self::start_on).
    pub fn start_link(&self) -> impl Future<Output = Result<SupervisorRef, SupervisorStartError>> + Send + use<> {
        let me = this_pid();
        self.start_on(&node(), SpawnOptions::linked_to(me))
    }

    /// Starts it on `node` and waits until all children have started.
    ///
    /// # Errors
    /// [`SupervisorStartError`]; nothing is left.
    pub fn start_on(
        &self,
        node: &Node,
        options: SpawnOptions,
    ) -> impl Future<Output = Result<SupervisorRef, SupervisorStartError>> + Send + use<> {
        let launched = self.launch(node, options);
        async move {
            let (supervisor, started) = launched?;
            started.await?;
            Ok(supervisor)
        }
    }

    /// Spawns it; what is returned beside it is done when all children have started.
    ///
    /// # Errors
    /// If the specification is wrong; nothing was spawned.
    pub(crate) fn launch(
        &self,
        node: &Node,
        options: SpawnOptions,
    ) -> Result<
        (SupervisorRef, impl Future<Output = Result<(), SupervisorStartError>> + Send + use<>),
        SupervisorStartError,
    > {
        self.check()?;
        let (sender, started) = oneshot::channel();
        let runtime = node.runtime().clone();
        let policy = Policy {
            strategy: self.strategy,
            intensity: Intensity::new(self.restarts, self.period),
            auto_shutdown: self.auto_shutdown,
            backoff: self.backoff,
            chance: Box::new(move || runtime.random()),
        };
        let core = Core::new(policy, self.children.clone());
        let (name, link) = (self.name.clone(), options.link);
        let supervisor = node.spawn_process_as(options, move |me| driver::run(me, name, link, core, sender));
        let started = async move {
            // Without an answer, it was killed.
            started.await.unwrap_or(Err(SupervisorStartError::Died(ExitReason::Killed)))
        };
        Ok((supervisor, started))
    }

    fn check(&self) -> Result<(), SupervisorStartError> {
        if self.period.is_zero() {
            return Err(SupervisorStartError::ZeroPeriod);
        }
        self.children.iter().try_for_each(|child| self.auto_shutdown.check(child))?;
        let mut ids = BTreeSet::new();
        match self.children.iter().find(|child| !ids.insert(&child.id)) {
            Some(child) => Err(SupervisorStartError::DuplicateId(child.id.clone())),
            None => Ok(()),
        }
    }
}

impl Actor for Supervisor {
    type Msg = Request;
    type Client = SupervisorClient;
    const NAME: &'static str = "Supervisor";
}

/// For a supervisor that is itself a child.
impl From<SupervisorStartError> for StartError {
    fn from(error: SupervisorStartError) -> Self {
        match error {
            SupervisorStartError::AlreadyStarted(pid) => Self::AlreadyStarted(pid),
            SupervisorStartError::Died(reason) => Self::Died(reason),
            other => Self::Refused(ExitReason::ShutdownWith(other.to_string().into())),
        }
    }
}
