//! A name, a process table, a name registry and a door to other nodes.
//!
//! A node is cheap: one runtime can host a thousand, which is how clusters are tested. Nothing here is
//! shared between nodes, also not between two of the same name.
//!
//! ```text
//!   here       its processes: how they begin, are asked to rest, and end with it
//!   builder    a node before it is started
//!   halt       its end, for whoever cannot wait for it
//!   naming     names, and who is reached by one
//!   seen       what can be seen of it
//!   storms     what it logs of crashes, unless there are too many
//!   timers     timers that are set from outside a process
//!   peers      signals and messages to other nodes and from them
//! ```

mod builder;
mod halt;
mod naming;
mod peers;
mod seen;
mod storms;
mod timers;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use self::builder::{Extension, NodeBuilder, NodeError};
pub use self::naming::NoSuchName;
pub use self::seen::Stalls;
use self::storms::Weather;
use crate::actor::{Actor, Bounded, Handle, Start};
use crate::address::{ActorRef, Address};
use crate::caller::Caller;
use crate::config::{SHUTDOWN_FIRST_LOOK, SHUTDOWN_GRACE};
use crate::dead_letters::DeadLetters;
use crate::exit::{Error, ExitReason};
use crate::gateway::{Gateway, Remote, StartFar, Wire};
use crate::groups::Scopes;
use crate::lease;
use crate::lints::Lints;
use crate::mailbox::Notice;
use crate::memory::Pool;
use crate::names::Names;
use crate::pid::{NodeId, Pid};
use crate::priority::Priority;
use crate::process::{self, AnyRef, Process, StallCounts, Table};
use crate::registry::Registry;
use crate::report::Reports;
use crate::runs_on::RunsOn;
use crate::runtime::Runtime;
use crate::signal::{Info, Request, Signal};
use crate::spec::{self, Spawn, Spec, StartError};
use crate::sync::{AtomicU8, AtomicU64, AtomicUsize};
use crate::time;
use crate::trace::Traces;

/// A node. Cloning gives another handle to the same one.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// let runtime = Runtime::new()?;
/// let node = runtime.block_on(Node::builder("shop-1").runtime(runtime.clone()).start())?;
/// assert_eq!(node.name(), "shop-1");
/// runtime.block_on(node.shutdown());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Node(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    id: NodeId,
    /// Its number in the runtime's list of nodes.
    number: u32,
    runtime: Runtime,
    memory: Arc<Pool>,
    table: Table,
    names: Names,
    registry: Registry,
    gateway: OnceLock<Arc<dyn Gateway>>,
    dead_letters: DeadLetters,
    stalls: StallCounts,
    /// How many crashes were reported.
    crashed: AtomicU64,
    /// [`COUNTED`] while the messages of all processes are counted, and [`DIRECTED`] if somebody directs the runtime.
    noting: AtomicU8,
    /// Where what traced processes tell goes, once somebody has asked for it.
    traces: OnceLock<Traces>,
    lints: OnceLock<Lints>,
    reports: OnceLock<Reports>,
    weather: Weather,
    /// How long its processes have to end when it does.
    shutdown_grace: Duration,
    /// Why it was halted.
    halted: OnceLock<ExitReason>,
    /// The scopes of process groups.
    scopes: Mutex<Scopes>,
    /// Who is told of nodes that come and go.
    node_monitors: Mutex<BTreeSet<Pid>>,
    /// How many references of cells there are, which are counted apart ([`Lease`](crate::lease::Lease)), and lie apart from
    /// what everybody reads.
    leases: CachePadded<AtomicUsize>,
}

/// In `noting`: the messages of all processes are counted.
const COUNTED: u8 = 1;
/// In `noting`: somebody directs the runtime.
const DIRECTED: u8 = 2;

/// How a process begins: whose child it is, and whom it is tied to from its first instruction.
#[derive(Clone, Debug, Default)]
pub struct SpawnOptions {
    /// The process that is named as its parent.
    pub parent: Option<Pid>,
    /// The process that it is linked to.
    pub link: Option<Pid>,
    /// The process that monitors it.
    pub monitor: Option<Pid>,
    /// Whether exit signals become messages from its first instruction on; they do, too, if its actor says so.
    pub trap_exit: bool,
    /// How urgent its turns are; as the actor says, unless this says otherwise.
    pub priority: Option<Priority>,
    /// What lists and reports call it.
    pub label: Option<Arc<str>>,
    /// The process that leads its group; the parent's, unless this says otherwise.
    pub group_leader: Option<Pid>,
    /// The limit of its mailbox; the actor's, unless this says otherwise.
    pub mailbox: Option<Bounded>,
    /// How many bytes it may have allocated, as in [`Options::max_memory`](crate::Options::max_memory); the actor's
    /// own limit, unless this says otherwise.
    pub max_memory: Option<usize>,
    /// The process that it works for, if that is not merely its parent.
    pub caller: Option<Caller>,
    /// How often its supervisor has started it again, this time included: what its report says, should it crash.
    pub restarts: u64,
}

impl SpawnOptions {
    /// A child of `parent`.
    pub fn child_of(parent: Pid) -> Self {
        Self { parent: Some(parent), ..Self::default() }
    }

    /// A child of `parent` that is linked to it.
    pub fn linked_to(parent: Pid) -> Self {
        Self { link: Some(parent), ..Self::child_of(parent) }
    }

    /// Whether it asks for more than a parent and a priority.
    pub(crate) fn is_special(&self) -> bool {
        self.link.is_some()
            || self.monitor.is_some()
            || self.label.is_some()
            || self.group_leader.is_some()
            || self.caller.is_some()
            || self.restarts > 0
    }
}

/// Waits for the end of a process, and gives its reason; made by [`Node::ended`].
#[derive(Debug)]
#[must_use = "it does nothing until it is awaited"]
pub struct Ended(oneshot::Receiver<ExitReason>);

impl Future for Ended {
    type Output = ExitReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<ExitReason> {
        // The watcher ends early only with its node.
        Pin::new(&mut self.0).poll(cx).map(|ended| ended.unwrap_or(ExitReason::Shutdown))
    }
}

impl Node {
    /// A node of this name, to be configured and started.
    pub fn builder(name: impl Into<Arc<str>>) -> NodeBuilder {
        NodeBuilder::new(name.into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its name, in this incarnation.
    #[inline]
    pub fn id(&self) -> NodeId {
        self.0.id
    }

    /// Whether this is a handle to the same node.
    #[inline]
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What its processes run on.
    #[inline]
    pub fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    /// A handle that does not keep the node's parts alive.
    pub fn downgrade(&self) -> WeakNode {
        WeakNode(Arc::downgrade(&self.0))
    }

    /// Spawns a process without a parent: an actor, or a specification of one.
    pub fn spawn<S: Spawn>(&self, what: S) -> S::Ref {
        what.spawn_on(self, &SpawnOptions::default()).0
    }

    /// Starts a process without a parent and waits until its `init` is done.
    ///
    /// # Errors
    /// [`StartError`]; no process is left.
    pub async fn start<A: Start, K: RunsOn<A>>(&self, spec: &Spec<A, K>) -> Result<ActorRef<A>, StartError> {
        spec.start_on(self, SpawnOptions::default()).await
    }

    /// Spawns a process in straight-line code.
    pub fn spawn_process<M, F, Fut>(&self, body: F) -> Address<M>
    where
        M: Send + 'static,
        F: FnOnce(Process<M>) -> Fut,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.spawn_process_with(SpawnOptions::default(), body)
    }

    /// Spawns a process in straight-line code, with a parent and a link.
    pub fn spawn_process_with<M, F, Fut>(&self, options: SpawnOptions, body: F) -> Address<M>
    where
        M: Send + 'static,
        F: FnOnce(Process<M>) -> Fut,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        spec::process(body).spawn_on(self, &options).0
    }

    /// As [`spawn_process_with`](Self::spawn_process_with), for straight-line code that others know as an `A`: lists and reports
    /// call it that, and it takes the messages of one.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    /// use biotope::SpawnOptions;
    ///
    /// #[derive(Actor, Default)]
    /// struct Door;
    ///
    /// #[handlers]
    /// impl Door {
    ///     #[cast]
    ///     fn knock(&mut self) {}
    /// }
    ///
    /// # #[biotope::main]
    /// # async fn main() -> biotope::Result<()> {
    /// let door = node().spawn_process_as::<Door, _, _>(SpawnOptions::child_of(this_pid()), async |mut me: Process<DoorMsg>| {
    ///     me.receive().await?;
    ///     Ok(())
    /// });
    /// assert_eq!(node().peek(&door).map(|info| info.actor), Some("Door"));
    /// door.knock();
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_process_as<A, F, Fut>(&self, options: SpawnOptions, body: F) -> ActorRef<A>
    where
        A: Actor,
        F: FnOnce(Process<A::Msg>) -> Fut,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let (cell, _) = process::launch_straight::<process::ByActor<A>, _, _, _>(self, &options, body);
        ActorRef::new(Address::local(cell))
    }

    /// Starts an `A` on the node `node`, and waits until its `init` is done there.
    ///
    /// # Errors
    /// [`StartError`]: above all `NoConnection`, and `NotStartable` if that node does not offer the actor.
    pub async fn start_on<A>(&self, node: &str, args: A::Args, link: Option<Pid>) -> Result<ActorRef<A>, StartError>
    where
        A: Remote + Handle + Start,
        A::Args: Wire + Clone + Sync,
    {
        if node == self.name() {
            let spec = Spec::<A>::new(move || args.clone());
            return spec.start_on(self, SpawnOptions { link, ..SpawnOptions::default() }).await;
        }
        let gateway = self.0.gateway.get().ok_or(StartError::NoConnection)?.clone();
        let pid = gateway.start(node, StartFar { actor: A::NAME.into(), arguments: Box::new(args), link }).await?;
        if let Some(link) = link.and_then(|link| self.process(link)) {
            // The other end was linked from the beginning; this end, and an end that came before it, now.
            link.extra().control.lock().links.insert(pid, ());
            self.signal(pid, Signal::Link { from: link.pid() });
        }
        Ok(ActorRef::carried(self, pid, gateway.as_carrier()))
    }

    /// Whether `pid` is a live process of this node.
    pub fn is_alive(&self, pid: impl Into<Pid>) -> bool {
        self.living(pid.into()).is_some()
    }

    /// Sends `to` an exit signal that comes from no process; `to` itself stands as its sender. With
    /// `Normal` it ends nobody.
    pub fn exit(&self, to: impl Into<Pid>, reason: ExitReason) {
        let to = to.into();
        self.signal(to, Signal::Exit { from: to, reason, link: false });
    }

    /// Waits for the end of `pid`, here or on another node, and returns its reason: `NoProc` if it had
    /// ended before, `NoConnection` if its node is lost.
    ///
    /// It is watched from this call on, and not from when the future is polled: whoever calls this first, and then lets the
    /// process end, learns the reason.
    pub fn ended(&self, pid: impl Into<Pid>) -> Ended {
        let (sender, ended) = oneshot::channel();
        let watcher = self.spawn_process(async move |mut me: Process<()>| {
            let down = me.receive_info(|info| match info {
                Info::Down(down) => Ok(down.reason),
                other => Err(other),
            });
            let _ = sender.send(down.await?);
            Ok(())
        });
        if let Some(watcher) = watcher.cell() {
            process::monitor(watcher.header(), pid.into().into(), None);
        }
        Ended(ended)
    }

    /// Asks `pid` to handle no messages until it is resumed. It comes to this request in its mailbox, behind the
    /// messages that wait there. From then on it still answers `process_info`, takes requests, and ends when it is told
    /// to. [`process_info`](Self::process_info) may be answered before the request is taken. A process that has ended is asked
    /// nothing.
    pub fn suspend(&self, pid: impl Into<Pid>) {
        self.request(pid.into(), Request::Suspend);
    }

    /// Lets a suspended process go on.
    pub fn resume(&self, pid: impl Into<Pid>) {
        self.request(pid.into(), Request::Resume);
    }

    /// Asks `pid`, here or on another node, to end with `reason` when it comes to this in its mailbox: an actor by way of
    /// its `terminate`, straight-line code where it receives. One that is suspended comes to it at once. A process that
    /// has ended is asked nothing.
    pub fn stop(&self, pid: impl Into<Pid>, reason: ExitReason) {
        self.signal(pid.into(), Signal::Stop { reason });
    }

    /// Lets `pid` end in order: it takes no more messages, handles those that it has, and ends with
    /// `Normal`.
    pub fn drain(&self, pid: impl Into<Pid>) {
        if let Some(process) = self.process(pid.into()) {
            process.drain_mailbox();
            let _ = process.push_notice(Notice::Request(Request::Stop(ExitReason::Normal)));
        }
    }

    fn request(&self, pid: Pid, request: Request) {
        if let Some(process) = self.process(pid) {
            // A process that has just ended needs no asking.
            let _ = process.push_notice(Notice::Request(request));
        }
    }

    /// Ends the node: its processes, roots first (each supervisor ends its own children in order), with
    /// `Shutdown`, and after a grace of 5 seconds, or what its builder was
    /// [told](NodeBuilder::shutdown_grace), by force; then its connections. A handler that blocks its thread is not
    /// waited for.
    pub async fn shutdown(&self) {
        self.0.table.close();
        if !self.stop_roots().await {
            for process in self.0.table.all() {
                tracing::warn!(pid = %process.pid(), actor = process.actor(), "killed: it did not stop");
                self.exit(process.pid(), ExitReason::Kill);
            }
            self.none_left(SHUTDOWN_GRACE).await;
        }
        self.end_storms();
        if let Some(gateway) = self.0.gateway.get() {
            gateway.close().await;
        }
    }

    /// Asks the roots to stop, and who becomes one meanwhile: whose parent ends by itself, and was there when the others were
    /// asked. Returns whether none is left after the grace.
    async fn stop_roots(&self) -> bool {
        let mut asked = BTreeSet::new();
        let mut waited = Duration::ZERO;
        let grace = self.0.shutdown_grace;
        while waited < grace {
            for process in self.0.table.all() {
                let is_root = process.parent().is_none_or(|parent| self.process(parent).is_none());
                if is_root && asked.insert(process.pid()) {
                    self.ask_to_stop(&process);
                }
            }
            // As long again as it has waited: to look at all of many costs something.
            let pause = waited.max(SHUTDOWN_FIRST_LOOK).min(grace - waited);
            if self.none_left(pause).await {
                return true;
            }
            waited += pause;
        }
        false
    }

    /// A process that traps exits is asked in its mailbox, where it ends in order; for any other the
    /// signal is enough.
    fn ask_to_stop(&self, process: &AnyRef) {
        let traps = process.extra_if_any().is_some_and(|extra| extra.control.lock().trap_exit);
        let pid = process.pid();
        let reason = ExitReason::Shutdown;
        let signal = if traps { Signal::Stop { reason } } else { Signal::Exit { from: pid, reason, link: false } };
        // A process that has just ended needs no asking.
        let _ = process.push_notice(Notice::Signal(signal));
    }

    /// Whether none is left, at the latest after this time.
    async fn none_left(&self, grace: Duration) -> bool {
        let runtime = self.runtime();
        let mut sleep = time::sleep_on(runtime, runtime.now() + grace);
        let mut none_left = std::pin::pin!(self.0.table.none_left());
        std::future::poll_fn(|cx| {
            if none_left.as_mut().poll(cx).is_ready() {
                return std::task::Poll::Ready(true);
            }
            std::pin::Pin::new(&mut sleep).poll(cx).map(|()| false)
        })
        .await
    }
}

impl Node {
    pub(crate) fn table(&self) -> &Table {
        &self.0.table
    }

    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    /// The scopes of its process groups.
    pub(crate) fn scopes(&self) -> &Mutex<Scopes> {
        &self.0.scopes
    }

    /// Its number in the runtime's list of nodes.
    #[inline]
    pub(crate) fn number(&self) -> u32 {
        self.0.number
    }

    /// Where its processes live.
    #[inline]
    pub(crate) fn memory(&self) -> &Pool {
        &self.0.memory
    }

    pub(crate) fn process(&self, pid: Pid) -> Option<AnyRef> {
        if pid.node() != self.id() {
            return None;
        }
        self.0.table.get(pid)
    }

    /// The same, for who only looks: one whose state is dropped is not there any more, although its slot is not
    /// free yet.
    fn living(&self, pid: Pid) -> Option<AnyRef> {
        self.process(pid).filter(|process| !process.is_gone())
    }

    pub(crate) fn local<M: Send + 'static>(&self, pid: Pid) -> Option<Address<M>> {
        self.process(pid)?.typed().map(Address::local)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({} {:?})", self.0.name, self.0.id)
    }
}

impl lease::Handle for Node {
    fn leases_out(&self) -> &AtomicUsize {
        &self.0.leases
    }
}

/// A handle to a node that does not keep its parts alive; made by [`Node::downgrade`].
#[derive(Clone, Debug)]
pub struct WeakNode(Weak<Inner>);

impl WeakNode {
    /// Whether this is a handle to `node`.
    #[inline]
    pub(crate) fn is(&self, node: &Node) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&node.0))
    }

    /// The node, if it still exists.
    pub fn upgrade(&self) -> Option<Node> {
        self.0.upgrade().map(Node)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
