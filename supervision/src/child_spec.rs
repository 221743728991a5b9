//! What to start, how to stop it, when to restart it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use biotope_runtime::{ExitReason, Node, Pid, Restart, RunsOn, Shutdown, SpawnOptions, Spec, Start, StartError};

use crate::backoff::Backoff;
use crate::circuit::Circuit;
use crate::config::DEFAULT_SHUTDOWN;
use crate::supervisor::Supervisor;
use crate::tree::Declared;

/// Whether a child has children of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It has not.
    Worker,
    /// It is a supervisor, or something like one.
    Supervisor,
}

/// A start under way.
pub type Starting = Pin<Box<dyn Future<Output = Result<Pid, StartError>> + Send>>;

/// What a supervisor knows of one child: what to start, how to stop it, when to restart it.
///
/// Most are made from a [`Spec`] by the methods of [`IntoChild`]. Cheap to clone. Two are equal if all that they say is, and they
/// start by the same function: as a child and its clone, but not two that were made alike.
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
/// let child = Cart::spec().restart(Transient).shutdown(secs(2));
/// assert_eq!(format!("{child:?}"), r#"Child { id: "Cart", restart: Transient, shutdown: Timeout(2s), kind: Worker }"#);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Child {
    /// What it is called within its supervisor.
    pub id: Arc<str>,
    /// When it is started again.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Whether it has children of its own.
    pub kind: Kind,
    /// Whether its own end can be that of its supervisor: see [`AutoShutdown`](crate::AutoShutdown).
    pub significant: bool,
    /// How long it stays down before it is started again; without one, as its supervisor says.
    pub backoff: Option<Backoff>,
    /// What keeps it down.
    pub circuit: Option<Circuit>,
    /// What is known of these before it starts.
    pub declared: Option<Arc<Declared>>,
    start: Arc<dyn Fn(Node, SpawnOptions) -> Starting + Send + Sync>,
}

impl Child {
    /// A worker that `start` starts, each time anew: with the options given, so that it is the
    /// supervisor's child and linked to it. `start` returns when the child is ready.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// let idle = Child::with("idle", |node, options| async move {
    ///     let idle = node.spawn_process_with(options, async |mut me: Process<()>| Ok(me.receive().await?));
    ///     Ok(idle.pid())
    /// });
    /// assert_eq!(idle.restart, Permanent);
    /// ```
    pub fn with<F, Fut>(id: impl Into<Arc<str>>, start: F) -> Self
    where
        F: Fn(Node, SpawnOptions) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Pid, StartError>> + Send + 'static,
    {
        Self {
            id: id.into(),
            restart: Restart::default(),
            shutdown: Shutdown::Timeout(DEFAULT_SHUTDOWN),
            kind: Kind::Worker,
            significant: false,
            backoff: None,
            circuit: None,
            declared: None,
            start: Arc::new(move |node, options| Box::pin(start(node, options))),
        }
    }

    /// Like [`with`](Self::with), for a child that has children of its own: it is stopped however long
    /// that takes. If it is killed, it is started again when what it had spawned is gone, which is waited for for 5 seconds, and
    /// killed then.
    pub fn supervisor_with<F, Fut>(id: impl Into<Arc<str>>, start: F) -> Self
    where
        F: Fn(Node, SpawnOptions) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Pid, StartError>> + Send + 'static,
    {
        Self { kind: Kind::Supervisor, shutdown: Shutdown::Infinity, ..Self::with(id, start) }
    }

    /// What it is called within its supervisor.
    pub fn id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.id = id.into();
        self
    }

    /// When it is started again; without this, [`Restart::Permanent`].
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How it is stopped; without this, a worker has 5 seconds and a supervisor as long as it takes.
    pub fn shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
        self.shutdown = shutdown.into();
        self
    }

    /// That its own end can be that of its supervisor: see [`AutoShutdown`](crate::AutoShutdown).
    pub fn significant(mut self) -> Self {
        self.significant = true;
        self
    }

    /// How long it stays down before it is started again.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// What it needs: while that is down, it is not started again.
    pub fn circuit(mut self, circuit: Circuit) -> Self {
        self.circuit = Some(circuit);
        self
    }

    /// What is known before it starts of the children that it has itself: what a printed tree says of it.
    pub fn declared(mut self, declared: Declared) -> Self {
        self.declared = Some(Arc::new(declared));
        self
    }

    /// Whether it is started again when it has ended with `reason`, by itself.
    pub(crate) fn is_restarted_after(&self, reason: &ExitReason) -> bool {
        match self.restart {
            Restart::Permanent => true,
            Restart::Transient => reason.is_abnormal(),
            Restart::Temporary => false,
        }
    }

    /// Starts one, as a supervisor does.
    pub fn start(&self, node: &Node, options: SpawnOptions) -> Starting {
        (self.start)(node.clone(), options)
    }
}

impl PartialEq for Child {
    fn eq(&self, other: &Self) -> bool {
        let Self { id, restart, shutdown, kind, significant, backoff, circuit, declared, start } = self;
        (id, restart, shutdown, kind) == (&other.id, &other.restart, &other.shutdown, &other.kind)
            && (significant, backoff, circuit) == (&other.significant, &other.backoff, &other.circuit)
            && declared == &other.declared
            && Arc::ptr_eq(start, &other.start)
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, restart, shutdown, kind, significant, backoff, circuit, declared: _, start: _ } = self;
        let mut text = f.debug_struct("Child");
        text.field("id", id).field("restart", restart).field("shutdown", shutdown).field("kind", kind);
        // What is off for most is told of the others.
        if *significant {
            text.field("significant", significant);
        }
        if let Some(backoff) = backoff {
            text.field("backoff", backoff);
        }
        if let Some(circuit) = circuit {
            text.field("circuit", circuit);
        }
        text.finish()
    }
}

/// Whatever a supervisor takes as a child: a [`Spec`], a [`Child`], another [`Supervisor`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be supervised",
    note = "give its specification, as `{Self}::spec()`: a supervisor must be able to start it again"
)]
pub trait IntoChild: Sized {
    /// The child specification. A [`Spec`] is called by its name, else by the name of its actor, and is restarted and
    /// stopped as its actor says ([`Options`](biotope_runtime::Options)).
    fn into_child(self) -> Child;

    /// A child that is called `id` within its supervisor.
    fn id(self, id: impl Into<Arc<str>>) -> Child {
        self.into_child().id(id)
    }

    /// A child that is started again as `restart` says; without this, as its actor says, or [`Restart::Permanent`].
    fn restart(self, restart: Restart) -> Child {
        self.into_child().restart(restart)
    }

    /// A child that is stopped as `shutdown` says, or within a time; without this, as its actor says.
    fn shutdown(self, shutdown: impl Into<Shutdown>) -> Child {
        self.into_child().shutdown(shutdown)
    }

    /// A child whose own end can be that of its supervisor: see [`AutoShutdown`](crate::AutoShutdown).
    fn significant(self) -> Child {
        self.into_child().significant()
    }

    /// A child that stays down for a while before it is started again; without this, as its supervisor says.
    fn backoff(self, backoff: Backoff) -> Child {
        self.into_child().backoff(backoff)
    }

    /// A child that is not started again while what it needs is down.
    fn circuit(self, circuit: Circuit) -> Child {
        self.into_child().circuit(circuit)
    }
}

impl IntoChild for Child {
    fn into_child(self) -> Child {
        self
    }
}

impl<A: Start, K: RunsOn<A>> IntoChild for Spec<A, K> {
    fn into_child(self) -> Child {
        let id: Arc<str> = self.name().unwrap_or(A::NAME).into();
        let child = Child::with(id, move |node, options| {
            let started = self.start_on(&node, options);
            async move { Ok(started.await?.pid()) }
        });
        Child {
            restart: A::OPTIONS.restart.unwrap_or(child.restart),
            shutdown: A::OPTIONS.shutdown.unwrap_or(child.shutdown),
            ..child
        }
    }
}

impl IntoChild for Supervisor {
    fn into_child(self) -> Child {
        let id: Arc<str> = self.name().unwrap_or(Self::UNNAMED).into();
        let declared = self.as_declared();
        let child = Child::supervisor_with(id, move |node, options| {
            let started = self.start_on(&node, options);
            async move { Ok(started.await?.pid()) }
        });
        child.declared(declared)
    }
}
