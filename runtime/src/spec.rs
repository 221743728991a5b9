//! What to start, written down: so that a supervisor can start it again.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::actor::{Actor, Bounded, Handle, HandleOwnThread, Refused, Start};
use crate::address::{ActorRef, Address};
use crate::ambient;
use crate::call::{self, CallFailed, ReplyTo};
use crate::exit::{Error, ExitReason};
use crate::keys::{AlreadyRegistered, Keys};
use crate::memory;
use crate::node::{Node, SpawnOptions};
use crate::pid::Pid;
use crate::priority::Priority;
use crate::process::{ByFunction, Me, Process, launch_actor, launch_straight};
use crate::runs_on::{Beginning, OwnThread, RunsOn, Shared};
use crate::signal::MonitorRef;
use crate::time;

/// Whatever `spawn` takes: an actor, a [`Spec`] of one, or straight-line code ([`process`]).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be spawned",
    note = "give its `impl` block `#[handlers]`, or implement `Handle` for it; an actor with a thread of its own is made there: `spawn(Actor::spec())`"
)]
pub trait Spawn: Sized {
    /// How the process is referred to.
    type Ref;
    /// Spawns it on `node`; with the number of its monitor, if the options ask for one.
    fn spawn_on(self, node: &Node, options: &SpawnOptions) -> (Self::Ref, Option<NonZeroU64>);
}

/// Spawns `what` as a child of the process `me` of `node`, which monitors it.
pub(crate) fn spawn_monitored<S: Spawn>(what: S, node: &Node, me: Pid) -> (S::Ref, MonitorRef) {
    let options = SpawnOptions { monitor: Some(me), ..SpawnOptions::child_of(me) };
    match what.spawn_on(node, &options) {
        (reference, Some(number)) => (reference, MonitorRef { owner: me, number: number.get() }),
        (_, None) => unreachable!("a spawn sets the monitor that it is asked for"),
    }
}

impl<A: Handle> Spawn for A {
    type Ref = ActorRef<A>;

    #[inline]
    fn spawn_on(self, node: &Node, options: &SpawnOptions) -> (ActorRef<A>, Option<NonZeroU64>) {
        let (cell, monitor) = launch_actor(node, options, self);
        (ActorRef::new(Address::local(cell)), monitor)
    }
}

impl<A: Start, K: RunsOn<A>> Spawn for Spec<A, K> {
    type Ref = ActorRef<A>;

    fn spawn_on(self, node: &Node, options: &SpawnOptions) -> (ActorRef<A>, Option<NonZeroU64>) {
        self.launch(node, options, None)
    }
}

/// A process in straight-line code that has not been spawned; made by [`process`].
#[must_use = "it does nothing until it is spawned"]
pub struct Code<M, F> {
    body: F,
    messages: PhantomData<fn(M)>,
}

/// Straight-line code, to be spawned: `spawn_link(process(async |mut me: Process<Msg>| { … }))`.
pub fn process<M, F, Fut>(body: F) -> Code<M, F>
where
    M: Send + 'static,
    F: FnOnce(Process<M>) -> Fut,
    Fut: Future<Output = Result<(), Error>> + Send + 'static,
{
    Code { body, messages: PhantomData }
}

impl<M, F, Fut> Spawn for Code<M, F>
where
    M: Send + 'static,
    F: FnOnce(Process<M>) -> Fut,
    Fut: Future<Output = Result<(), Error>> + Send + 'static,
{
    type Ref = Address<M>;

    #[inline]
    fn spawn_on(self, node: &Node, options: &SpawnOptions) -> (Address<M>, Option<NonZeroU64>) {
        let (cell, monitor) = launch_straight::<ByFunction<F>, _, _, _>(node, options, self.body);
        (Address::local(cell), monitor)
    }
}

impl<M, F> fmt::Debug for Code<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

/// Something to be spawned in another way than usual; made by [`options`].
#[derive(Debug)]
#[must_use = "it does nothing until it is spawned"]
pub struct Configured<S> {
    what: S,
    priority: Option<Priority>,
    label: Option<Arc<str>>,
    mailbox: Option<Bounded>,
    max_memory: Option<usize>,
}

/// `what`, to be spawned in another way than usual: `spawn(options(cart).priority(Priority::High))`.
pub fn options<S: Spawn>(what: S) -> Configured<S> {
    Configured { what, priority: None, label: None, mailbox: None, max_memory: None }
}

impl<S> Configured<S> {
    /// How urgent its turns are.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// What lists and reports call it.
    pub fn label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// How many messages its mailbox holds: `spawn(options(process(log)).mailbox(Bounded::to(1024)))`.
    pub fn mailbox(mut self, limit: Bounded) -> Self {
        self.mailbox = Some(limit);
        self
    }

    /// How many bytes it may have allocated, as in [`Options::max_memory`](crate::Options::max_memory); at least one.
    pub fn max_memory(mut self, bytes: usize) -> Self {
        self.max_memory = Some(bytes);
        self
    }
}

impl<S: Spawn> Spawn for Configured<S> {
    type Ref = S::Ref;

    fn spawn_on(self, node: &Node, options: &SpawnOptions) -> (S::Ref, Option<NonZeroU64>) {
        let priority = self.priority.or(options.priority);
        let label = self.label.or_else(|| options.label.clone());
        let mailbox = self.mailbox.or(options.mailbox);
        let max_memory = self.max_memory.or(options.max_memory);
        self.what.spawn_on(node, &SpawnOptions { priority, label, mailbox, max_memory, ..options.clone() })
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
pub struct Spec<A: Start, K = Shared> {
    args: Arc<dyn Fn() -> A::Args + Send + Sync>,
    registration: Registration,
    timeout: Option<Duration>,
    kind: PhantomData<fn(K)>,
}

/// What a process registers under before it does anything else.
#[derive(Clone, Default)]
pub(crate) struct Registration {
    name: Option<Arc<str>>,
    entry: Option<Arc<Enter>>,
}

/// Registers a process under a key.
type Enter = dyn Fn(&Me) -> Result<(), AlreadyRegistered> + Send + Sync;

impl Registration {
    /// Registers `me`. In its own code.
    pub(crate) fn enter(&self, me: &Me) -> Result<(), StartError> {
        if let Some(name) = &self.name {
            me.node().register_as(name, me.pid()).map_err(|taken| StartError::AlreadyStarted(taken.holder))?;
        }
        if let Some(enter) = &self.entry {
            enter(me).map_err(|taken| StartError::AlreadyStarted(taken.holder))?;
        }
        Ok(())
    }
}

/// Why a process did not start. Whatever it was, no process is left of the start.
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
    /// It had not started in time, and was killed.
    #[error("timeout: it had not started in time, and was killed")]
    Timeout,
    /// The system has no thread for an actor that needs one of its own. It was not made; later there may be one.
    #[error("no thread for an actor that has one of its own: {0}")]
    NoThread(String),
    /// A process is already registered under the name, or holds the key.
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
    /// It has a limit of memory, and nothing counts what it allocates.
    #[error(
        "`max_memory` needs an allocator that counts: write `#[global_allocator] static ALLOCATOR: \
         biotope::memory::Accounting = biotope::memory::Accounting::new();` in the program"
    )]
    MemoryNotCounted,
}

impl<A: Handle + Start> Spec<A> {
    /// The specification of an `A` made from what `args` returns, anew for each start.
    pub fn new(args: impl Fn() -> A::Args + Send + Sync + 'static) -> Self {
        Self::of_kind(args)
    }
}

impl<A: HandleOwnThread + Start> Spec<A, OwnThread> {
    /// The specification of an `A` that has a thread of its own, made there from what `args` returns, anew for each start.
    pub fn own_thread(args: impl Fn() -> A::Args + Send + Sync + 'static) -> Self {
        Self::of_kind(args)
    }
}

impl<A: Start, K: RunsOn<A>> Spec<A, K> {
    fn of_kind(args: impl Fn() -> A::Args + Send + Sync + 'static) -> Self {
        Self { args: Arc::new(args), registration: Registration::default(), timeout: None, kind: PhantomData }
    }

    /// Registers the process under `name` on its node, before it does anything else.
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.registration.name = Some(name.into());
        self
    }

    /// Registers the process under `key` of `keys`, with `value`, before it does anything else: see [`Node::keyed`]. If the
    /// keys are unique, a second start fails with [`StartError::AlreadyStarted`].
    ///
    /// A start on another node than that of the keys is refused by a panic in the process: keys are held by processes of
    /// their own node.
    pub fn keyed<Key, V>(mut self, keys: &Keys<Key, V>, key: Key, value: V) -> Self
    where
        Key: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        let keys = keys.clone();
        self.registration.entry = Some(Arc::new(move |me| keys.register(me, key.clone(), value.clone())));
        self
    }

    /// Kills the process if its `init` is not done after `timeout`; without this, a start waits for as long as it takes.
    /// It is waited for until nothing is left of it, so a start that blocks its thread keeps whoever waits for it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The name that it is registered under.
    pub fn name(&self) -> Option<&str> {
        self.registration.name.as_deref()
    }

    /// Starts it, as a child of the running process, and waits until its `init` is done.
    ///
    /// # Errors
    /// [`StartError`]; no process is left.
    ///
    /// # Panics
    /// Outside a process. There, use [`Node::start`].
    #[track_caller]
    pub fn start(&self) -> impl Future<Output = Result<ActorRef<A>, StartError>> + Send + use<A, K> {
        let (node, me) = ambient::current().expect("`start` works in processes only; outside, use `node.start(spec)`");
        self.start_on(&node, SpawnOptions::child_of(me))
    }

    /// Like [`start`](Self::start), and links it to the running process from the beginning. A start that is refused, or too
    /// slow, is this method's result, and nothing comes over the link. A panic is its result too, and ends a caller that does not
    /// trap exits. An exit signal from elsewhere is its result, and comes over the link.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    ///
    /// # Panics
    /// Outside a process.
    #[track_caller]
    pub fn start_link(&self) -> impl Future<Output = Result<ActorRef<A>, StartError>> + Send + use<A, K> {
        let (node, me) = ambient::current().expect("`start_link` works in processes only: there is nothing to link to");
        self.start_on(&node, SpawnOptions::linked_to(me))
    }

    /// Starts it on `node` and waits until its `init` is done.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_on(
        &self,
        node: &Node,
        options: SpawnOptions,
    ) -> impl Future<Output = Result<ActorRef<A>, StartError>> + Send + use<A, K> {
        let is_limited = A::OPTIONS.max_memory.or(options.max_memory).is_some();
        let started = if is_limited && !memory::is_installed() {
            None
        } else {
            let (started, reply) = call::place();
            Some((started, self.launch(node, &options, Some(reply)).0))
        };
        let limit = self.timeout.map(|timeout| (node.clone(), node.runtime().sleep(timeout)));
        async move {
            let (mut started, reference) = started.ok_or(StartError::MemoryNotCounted)?;
            let outcome = match limit {
                None => started.await,
                Some((node, limit)) => match time::unless_over(limit, &mut started).await {
                    Ok(outcome) => outcome,
                    Err(time::Elapsed) => {
                        give_up(&node, reference.pid(), options.link);
                        // Until nothing is left of it.
                        let _ = started.await;
                        return Err(StartError::Timeout);
                    }
                },
            };
            match outcome {
                Ok(outcome) => outcome.map(|()| reference),
                // The process was ended from outside while it started.
                Err(CallFailed::Died(reason)) => Err(StartError::Died(reason)),
                Err(_) => Err(StartError::Died(ExitReason::NoProc)),
            }
        }
    }

    fn launch(
        &self,
        node: &Node,
        options: &SpawnOptions,
        started: Option<ReplyTo<Result<(), StartError>>>,
    ) -> (ActorRef<A>, Option<NonZeroU64>) {
        let launching = started.map(|started| Box::new(Launching { started, error: None, linked: options.link }));
        let beginning = Beginning { registration: self.registration.clone(), launching, args: self.args.clone() };
        let (address, monitor) = K::launch(node, options, beginning);
        (ActorRef::new(address), monitor)
    }
}

/// Kills a process that does not start; whoever it was linked to from the beginning does not hear of it.
fn give_up(node: &Node, pid: Pid, linked: Option<Pid>) {
    if let Some(process) = node.process(pid)
        && let Some(linked) = linked
    {
        process.unlink(linked);
    }
    node.exit(pid, ExitReason::Kill);
}

/// What is still to be settled of a start that somebody waits for.
pub(crate) struct Launching {
    started: ReplyTo<Result<(), StartError>>,
    error: Option<StartError>,
    /// Whom the process was linked to from the beginning.
    pub(crate) linked: Option<Pid>,
}

impl Launching {
    /// The process has started.
    pub(crate) fn succeed(self) {
        self.started.answer(Ok(()));
    }

    /// It will not start.
    pub(crate) fn failed(&mut self, error: StartError) {
        self.error = Some(error);
    }

    /// Nothing is left of a process that did not start.
    pub(crate) fn ended(self, reason: ExitReason) {
        self.started.answer(Err(self.error.unwrap_or(StartError::Died(reason))));
    }
}

impl StartError {
    /// Whether the same start may succeed if it is made again.
    pub fn can_retry(&self) -> bool {
        match self {
            Self::Refused(_)
            | Self::Died(_)
            | Self::Timeout
            | Self::NoThread(_)
            | Self::AlreadyStarted(_)
            | Self::NoConnection => true,
            Self::Ignored | Self::NotStartable(_) | Self::Malformed(_) | Self::MemoryNotCounted => false,
        }
    }

    /// Why the process ended, if it had begun and that is known.
    pub fn reason(&self) -> Option<&ExitReason> {
        match self {
            Self::Refused(reason) | Self::Died(reason) => Some(reason),
            _ => None,
        }
    }

    /// The reason that a process ends with which does not start.
    pub(crate) fn as_reason(&self) -> ExitReason {
        match self {
            Self::Ignored => ExitReason::Normal,
            Self::Refused(reason) => reason.clone(),
            other => ExitReason::error(other.clone()),
        }
    }
}

impl From<Refused> for StartError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Ignore => Self::Ignored,
            Refused::Error(reason) => Self::Refused(reason),
        }
    }
}

/// A refused start as an exit reason.
impl From<StartError> for ExitReason {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Refused(reason) | StartError::Died(reason) => reason,
            other => ExitReason::error(other),
        }
    }
}

impl<A: Start, K> Clone for Spec<A, K> {
    fn clone(&self) -> Self {
        Self {
            args: self.args.clone(),
            registration: self.registration.clone(),
            timeout: self.timeout,
            kind: PhantomData,
        }
    }
}

impl<A: Start, K> fmt::Debug for Spec<A, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec").field("actor", &<A as Actor>::NAME).field("name", &self.registration.name).finish()
    }
}
