//! What to start, written down: so that a supervisor can start it again.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::actor::{Actor, Handle, Start};
use crate::address::{ActorRef, Address};
use crate::ambient;
use crate::exit::ExitReason;
use crate::node::{Node, SpawnOptions};
use crate::pid::Pid;
use crate::process::launch_actor;

/// Whatever `spawn` takes: an actor, or a [`Spec`] of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be spawned",
    note = "give its `impl` block `#[handlers]`, or implement `Handle` for it"
)]
pub trait Spawn {
    /// How the process is referred to.
    type Ref;
    /// Spawns it on `node`.
    fn spawn_on(self, node: &Node, options: SpawnOptions) -> Self::Ref;
}

impl<A: Handle> Spawn for A {
    type Ref = ActorRef<A>;

    fn spawn_on(self, node: &Node, options: SpawnOptions) -> ActorRef<A> {
        let cell = launch_actor(node, options, None, None, |cx| async { (cx, Ok(self)) });
        ActorRef::new(Address::local(cell))
    }
}

impl<A: Handle + Start> Spawn for Spec<A> {
    type Ref = ActorRef<A>;

    fn spawn_on(self, node: &Node, options: SpawnOptions) -> ActorRef<A> {
        self.launch(node, options, None)
    }
}

/// How to make an actor: from which arguments, under which name. Cheap to clone.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor, Default)]
/// struct Clock;
///
/// #[handlers]
/// impl Clock {
///     pub fn hour(&self) -> u8 {
///         7
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let clock = Clock::spec().named("clock").start().await?;
///     assert_eq!(node().lookup::<Clock>("clock"), Some(clock.clone()));
///     assert_eq!(clock.hour().await?, 7);
///     Ok(())
/// }
/// ```
pub struct Spec<A: Start> {
    args: Arc<dyn Fn() -> A::Args + Send + Sync>,
    name: Option<Arc<str>>,
}

/// Why a process did not start.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StartError {
    /// The actor had nothing to do. This is no failure.
    #[error("the actor had nothing to do and did not start")]
    Ignored,
    /// Its constructor or `init` failed.
    #[error("the actor refused to start: {0}")]
    Refused(ExitReason),
    /// The process ended before it had started.
    #[error("the process ended before it had started: {0}")]
    Died(ExitReason),
    /// A process is already registered under the name.
    #[error("already started: {0} is registered under this name")]
    AlreadyStarted(Pid),
    /// The node is not connected.
    #[error("noconnection: the node is not connected; join it first")]
    NoConnection,
    /// The node does not have this actor among those that a peer may start.
    #[error("the node may not start `{0}` for a peer: add it to its `NodeBuilder::startable`")]
    NotStartable(String),
    /// The arguments could not be decoded.
    #[error("malformed arguments: {0}")]
    Malformed(String),
}

impl<A: Handle + Start> Spec<A> {
    /// The specification of an `A` made from what `args` returns, anew for each start.
    pub fn new(args: impl Fn() -> A::Args + Send + Sync + 'static) -> Self {
        Self { args: Arc::new(args), name: None }
    }

    /// Registers the process under `name` on its node, before it does anything else.
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name that it is registered under.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Starts it, as a child of the running process, and waits until its `init` is done.
    ///
    /// # Errors
    /// [`StartError`]; no process is left.
    ///
    /// # Panics
    /// Outside a process. There, use [`Node::start`].
    pub fn start(&self) -> impl Future<Output = Result<ActorRef<A>, StartError>> + Send + use<A> {
        let (node, me) = ambient::current().expect("`start` works in processes only; outside, use `node.start(spec)`");
        self.start_on(&node, SpawnOptions { parent: Some(me), link: None })
    }

    /// Like [`start`](Self::start), and links it to the running process from the beginning. An error
    /// comes as this method's result and does not reach the caller over the link.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    ///
    /// # Panics
    /// Outside a process.
    pub fn start_link(&self) -> impl Future<Output = Result<ActorRef<A>, StartError>> + Send + use<A> {
        let (node, me) = ambient::current().expect("`start_link` works in processes only: there is nothing to link to");
        self.start_on(&node, SpawnOptions { parent: Some(me), link: Some(me) })
    }

    /// Starts it on `node` and waits until its `init` is done.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_on(
        &self,
        node: &Node,
        options: SpawnOptions,
    ) -> impl Future<Output = Result<ActorRef<A>, StartError>> + Send + use<A> {
        let (sender, started) = oneshot::channel();
        let reference = self.launch(node, options, Some(sender));
        async move {
            match started.await {
                Ok(outcome) => outcome.map(|()| reference),
                // The process was ended from outside while it started.
                Err(_) => Err(StartError::Died(reference.address().fate().unwrap_or(ExitReason::NoProc))),
            }
        }
    }

    fn launch(
        &self,
        node: &Node,
        options: SpawnOptions,
        started: Option<oneshot::Sender<Result<(), StartError>>>,
    ) -> ActorRef<A> {
        let args = self.args.clone();
        let cell = launch_actor(node, options, self.name.clone(), started, move |mut cx| async move {
            let made = A::start(args(), &mut cx).await;
            (cx, made)
        });
        ActorRef::new(Address::local(cell))
    }
}

impl<A: Start> Clone for Spec<A> {
    fn clone(&self) -> Self {
        Self { args: self.args.clone(), name: self.name.clone() }
    }
}

impl<A: Start> fmt::Debug for Spec<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec").field("actor", &<A as Actor>::NAME).field("name", &self.name).finish()
    }
}
