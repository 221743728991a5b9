//! A name, a process table, a name registry and a door to other nodes.
//!
//! A node is cheap: one runtime can host a thousand, which is how clusters are tested. Nothing here is
//! shared between nodes, also not between two of the same name.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::actor::{Bounded, Handle, Start};
use crate::address::{ActorRef, Address};
use crate::ambient;
use crate::call;
use crate::config::SHUTDOWN_GRACE;
use crate::dead_letters::{DeadLetter, DeadLetterEvents, DeadLetters};
use crate::exit::{Error, ExitReason};
use crate::gateway::{
    Carrier, DecodeError, FarFuture, Gateway, Incoming, MethodId, PendingReply, Remote, StartFar, Wire,
};
use crate::inspect::ProcessInfo;
use crate::lease;
use crate::lints::{LintEvent, LintEvents, Lints};
use crate::mailbox::Notice;
use crate::memory::Pool;
use crate::names::NotRegistered;
use crate::names::{NameTaken, Names};
use crate::panics;
use crate::pid::{NodeId, Pid};
use crate::priority::Priority;
use crate::process::{AnyRef, Process, StallCounts, StallEvent, Table};
use crate::registry::{Delivered, Registry, RemoteActors, StartableActors};
use crate::report::CrashReport;
use crate::runtime::{Runtime, RuntimeError};
use crate::signal::{Info, MonitorRef, NodeEvent, Request, Signal};
use crate::spec::{self, Spawn, Spec, StartError};
use crate::stats::NodeStats;
use crate::sync::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use crate::time;
use crate::timer::{Action, TimerRef};
use crate::trace::{TraceEvent, TraceFeed, Traced, Traces};
use crate::{CallFailed, RegisterError};

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
    /// 1 while the messages of all processes are counted.
    counting: AtomicU8,
    /// Where what traced processes tell goes, once somebody has asked for it.
    traces: OnceLock<Traces>,
    lints: OnceLock<Lints>,
    /// Who is told of nodes that come and go.
    node_monitors: Mutex<BTreeSet<Pid>>,
    /// How many references of cells there are, which are counted apart ([`Lease`](crate::lease::Lease)), and lie apart from
    /// what everybody reads.
    leases: CachePadded<AtomicUsize>,
}

/// How a process begins: whose child it is, and whom it is tied to from its first instruction.
#[derive(Clone, Debug, Default)]
pub struct SpawnOptions {
    /// The process that is named as its parent.
    pub parent: Option<Pid>,
    /// The process that it is linked to.
    pub link: Option<Pid>,
    /// The process that monitors it.
    pub monitor: Option<Pid>,
    /// How urgent its turns are.
    pub priority: Priority,
    /// What lists and reports call it.
    pub label: Option<Arc<str>>,
    /// The process that leads its group; the parent's, unless this says otherwise.
    pub group_leader: Option<Pid>,
    /// The limit of its mailbox; the actor's, unless this says otherwise.
    pub mailbox: Option<Bounded>,
    /// How many bytes it may have allocated, as in [`Options::max_memory`](crate::Options::max_memory); the actor's
    /// own limit, unless this says otherwise.
    pub max_memory: Option<usize>,
}

/// How often processes of a node were suspended because they sent more than fitted into a mailbox, which lists call
/// [`Stalled`](crate::Status::Stalled).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stalls {
    /// They were suspended.
    pub begun: u64,
    /// They went on because there was no room for too long.
    pub too_long: u64,
    /// They were not suspended, because they would have waited for each other. A [lint](crate::Lint::FullMailboxes) names
    /// all who were in the circle, once for the process that closed it.
    pub in_circles: u64,
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
        self.link.is_some() || self.monitor.is_some() || self.label.is_some() || self.group_leader.is_some()
    }
}

impl Node {
    /// A node of this name, to be configured and started.
    pub fn builder(name: impl Into<Arc<str>>) -> NodeBuilder {
        NodeBuilder { name: name.into(), runtime: None, registry: Registry::default(), extensions: BTreeMap::new() }
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

    /// Spawns a process without a parent: an actor, or a specification of one.
    pub fn spawn<S: Spawn>(&self, what: S) -> S::Ref {
        what.spawn_on(self, &SpawnOptions::default()).0
    }

    /// Starts a process without a parent and waits until its `init` is done.
    ///
    /// # Errors
    /// [`StartError`]; no process is left.
    pub async fn start<A: Handle + Start>(&self, spec: &Spec<A>) -> Result<ActorRef<A>, StartError> {
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

    /// Registers the process `pid` of this node under `name`. Its end frees the name.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing has changed.
    pub fn register(&self, name: impl Into<Arc<str>>, pid: impl Into<Pid>) -> Result<(), RegisterError> {
        let pid = pid.into();
        let process = self.process(pid).ok_or(RegisterError::NoProc)?;
        let name = name.into();
        let mut control = process.extra().control.lock();
        // The end of a process takes this lock before it frees the name: it finds this one, or has been
        // found by now.
        if process.has_ended() {
            return Err(RegisterError::NoProc);
        }
        if let Some(has) = &control.name {
            return Err(RegisterError::HasName(has.to_string()));
        }
        self.0.names.insert(&name, pid).map_err(|NameTaken { holder }| RegisterError::Taken(holder))?;
        control.name = Some(name);
        Ok(())
    }

    /// Frees `name`.
    ///
    /// # Errors
    /// [`NotRegistered`] if no process has it.
    pub fn unregister(&self, name: &str) -> Result<(), NotRegistered> {
        let process = self.whereis(name).and_then(|pid| self.process(pid)).ok_or(NotRegistered)?;
        let mut control = process.extra().control.lock();
        if !self.0.names.remove(name, process.pid()) {
            return Err(NotRegistered);
        }
        control.name = None;
        Ok(())
    }

    /// Sends `message` to the process that is registered as `name` on this node.
    ///
    /// # Errors
    /// [`NoSuchName`] hands the message back, if no process that takes such messages has the name.
    pub fn send_to<M: Send + 'static>(&self, name: &str, message: M) -> Result<(), NoSuchName<M>> {
        match self.whereis(name).and_then(|pid| self.local::<M>(pid)) {
            Some(address) => {
                address.cast(message);
                Ok(())
            }
            None => Err(NoSuchName(message)),
        }
    }

    /// Sends `message` to the process that is registered as `name` on the node `node`, which may be this
    /// one. Whether there is one is known there only: if not, it is a dead letter.
    pub fn send_to_on<A: Remote>(&self, node: &str, name: &str, message: A::Msg)
    where
        A::Msg: Send,
    {
        if node == self.name() {
            if self.send_to(name, message).is_err() {
                self.count_dead_letter(DeadLetter::NoProc);
            }
            return;
        }
        let found = match self.0.gateway.get() {
            Some(gateway) => gateway.whereis(node, name),
            None => return self.count_dead_letter(DeadLetter::NoConnection),
        };
        let here = self.clone();
        self.spawn_process(async move |_: Process<()>| {
            match found.await.ok().flatten().and_then(|pid| ActorRef::<A>::at(&here, pid)) {
                Some(reference) => reference.address().cast(message),
                None => here.count_dead_letter(DeadLetter::NoProc),
            }
            Ok(())
        });
    }

    /// The process that is registered as `name` on this node.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.0.names.get(name)
    }

    /// All registered names of this node.
    pub fn registered(&self) -> Vec<Arc<str>> {
        self.0.names.all()
    }

    /// The process that is registered as `name` on this node, if it takes the messages of an `A`.
    pub fn lookup<A: crate::Actor>(&self, name: &str) -> Option<ActorRef<A>> {
        self.whereis(name).and_then(|pid| self.local(pid)).map(ActorRef::new)
    }

    /// The process that is registered as `name` on the node `node`. That it is an `A` is known there
    /// only: messages that it does not take are dead letters of its node.
    ///
    /// # Errors
    /// [`ExitReason::NoConnection`] if the node is not connected.
    pub async fn lookup_on<A: Remote>(&self, node: &str, name: &str) -> Result<Option<ActorRef<A>>, ExitReason> {
        if node == self.name() {
            return Ok(self.lookup(name));
        }
        let gateway = self.0.gateway.get().ok_or(ExitReason::NoConnection)?;
        let found = gateway.whereis(node, name).await?;
        Ok(found.and_then(|pid| ActorRef::at(self, pid)))
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
    pub fn ended(&self, pid: impl Into<Pid>) -> impl Future<Output = ExitReason> + Send + 'static {
        let pid = pid.into();
        let (sender, ended) = oneshot::channel();
        self.spawn_process(async move |mut me: Process<()>| {
            me.monitor(pid);
            let down = me.receive_info(|info| match info {
                Info::Down(down) => Ok(down.reason),
                other => Err(other),
            });
            let _ = sender.send(down.await?);
            Ok(())
        });
        // The watcher ends early only with its node.
        async { ended.await.unwrap_or(ExitReason::Shutdown) }
    }

    /// All processes, as they are at this moment, seen from outside.
    pub fn processes(&self) -> Vec<ProcessInfo> {
        self.0.table.all().iter().map(|process| ProcessInfo::of(process)).collect()
    }

    /// One process, as it is at this moment, seen from outside.
    pub fn peek(&self, pid: impl Into<Pid>) -> Option<ProcessInfo> {
        self.living(pid.into()).map(|process| ProcessInfo::of(&process))
    }

    /// What a process says of itself, after it has received all that the caller sent it before. It answers
    /// between two handlers, and also while it awaits something. `None` if there is no such process on this
    /// node.
    pub async fn process_info(&self, pid: impl Into<Pid>) -> Option<ProcessInfo> {
        let asked = {
            let process = self.process(pid.into())?;
            if ambient::is_current(process.pid()) {
                // It cannot answer while it asks.
                return Some(ProcessInfo::of(&process));
            }
            let (asked, reply) = call::place();
            process.push_notice(Notice::Inspect(reply)).ok()?;
            asked
        };
        asked.await.ok()
    }

    /// Counts the messages that each process of this node takes and sends, from now on or no more; they are in
    /// [`ProcessInfo::counts`]. A process that runs now counts what it sends from its next turn on. Each process that is
    /// counted takes about 500 bytes more until it ends, as one with a name, a link or a monitor does anyway.
    pub fn statistics(&self, on: bool) {
        self.0.counting.store(on.into(), Ordering::SeqCst);
        for process in self.0.table.all() {
            process.count_messages(on);
        }
    }

    /// Counts the messages of one process. Returns whether there is one.
    pub fn statistics_of(&self, pid: impl Into<Pid>, on: bool) -> bool {
        self.living(pid.into()).map(|process| process.count_messages(on)).is_some()
    }

    /// Lets a process of this node tell what it does, from now on or no more, to whoever has [`traces`](Self::traces).
    /// A process that runs now tells what it sends from its next turn on. Returns whether there is such a process.
    pub fn trace(&self, pid: impl Into<Pid>, on: bool) -> bool {
        self.living(pid.into()).map(|process| process.set_traced(on)).is_some()
    }

    /// What traced processes of this node do, from now on: see [`trace`](Self::trace).
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    /// use biotope::Traced;
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let mut traces = node().traces();
    ///     let seen = spawn_process(async |mut me: Process<u8>| {
    ///         me.receive().await?;
    ///         Ok(())
    ///     });
    ///     node().trace(&seen, true);
    ///     seen.cast(7);
    ///     let event = traces.next().await.expect("nothing is lost");
    ///     assert_eq!((event.pid, event.what), (seen.pid(), Traced::Received("u8")));
    ///     Ok(())
    /// }
    /// ```
    pub fn traces(&self) -> TraceFeed {
        self.0.traces.get_or_init(Traces::new).subscribe()
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

    /// Sends `message` to `to` after `delay`. The timer belongs to `to` and ends with it.
    pub fn send_after<M: Send + 'static>(&self, delay: Duration, to: &Address<M>, message: M) -> TimerRef {
        self.start_timer(delay, to, |_| message)
    }

    /// Sends `to`, after `delay`, what `message` makes of the timer's reference.
    ///
    /// `message` runs on the thread of the timers and in no process: it must not block, and cannot `spawn`. Its panic ends
    /// nothing.
    pub fn start_timer<M: Send + 'static>(
        &self,
        delay: Duration,
        to: &Address<M>,
        message: impl FnOnce(TimerRef) -> M + Send + 'static,
    ) -> TimerRef {
        let address = to.clone();
        self.set_timer(delay, to, move |timer| address.cast(message(timer)))
    }

    /// Runs `action` with the client of `to` after `delay`. The timer belongs to `to` and ends with it.
    ///
    /// `action` runs on the thread of the timers and in no process: it must not block, and cannot `spawn`. Its panic ends
    /// nothing.
    pub fn after<A: crate::Actor>(
        &self,
        delay: Duration,
        to: &ActorRef<A>,
        action: impl FnOnce(&A::Client) + Send + 'static,
    ) -> TimerRef {
        let reference = to.clone();
        self.set_timer(delay, to.address(), move |_| action(&reference))
    }

    /// Sends `to` what `message` makes, every `period` from now, until `to` ends or the timer is cancelled.
    /// To a process of another node, once.
    ///
    /// `message` runs on the thread of the timers and in no process: it must not block, and cannot `spawn`. Its panic ends
    /// nothing.
    pub fn send_interval<M: Send + 'static>(
        &self,
        period: Duration,
        to: &Address<M>,
        mut message: impl FnMut() -> M + Send + 'static,
    ) -> TimerRef {
        let address = to.clone();
        let runtime = self.runtime();
        match to.cell() {
            Some(cell) => {
                runtime.timers().fire_every(runtime.now(), period, cell.header(), move || address.cast(message()))
            }
            None => self.set_timer(period, to, move |_| address.cast(message())),
        }
    }

    /// How long it is until a timer fires; `None` if it has fired or was cancelled.
    pub fn read_timer(&self, timer: TimerRef) -> Option<Duration> {
        let runtime = self.runtime();
        let deadline = runtime.timers().deadline(timer)?;
        Some(deadline.saturating_duration_since(runtime.now()))
    }

    /// Cancels a timer. Returns how long it would have been until it fired; `None` if it is too late.
    pub fn cancel_timer(&self, timer: TimerRef) -> Option<Duration> {
        let runtime = self.runtime();
        let deadline = runtime.timers().cancel(timer)?;
        Some(deadline.saturating_duration_since(runtime.now()))
    }

    fn set_timer<M: Send + 'static>(
        &self,
        delay: Duration,
        to: &Address<M>,
        fire: impl FnOnce(TimerRef) + Send + 'static,
    ) -> TimerRef {
        let runtime = self.runtime();
        let deadline = runtime.now_and(delay);
        match to.cell() {
            Some(cell) => runtime.timers().fire_at(deadline, cell.header(), fire),
            // A process of another node: its end is not known here in time, and is a dead letter.
            None => runtime.timers().at(deadline, Action::Fire(None, Box::new(fire))),
        }
    }

    /// What the node has done so far. It looks at each slot of the process table that was ever used: a few
    /// milliseconds for a million.
    pub fn stats(&self) -> NodeStats {
        let tally = self.0.table.tally();
        NodeStats {
            processes: tally.alive,
            spawned: tally.ended + tally.alive as u64,
            ended: tally.ended,
            crashed: self.0.crashed.load(Ordering::Relaxed),
            dead_letters: self.dead_letters(),
        }
    }

    /// How many messages were not handled, by reason.
    pub fn dead_letters(&self) -> Vec<(DeadLetter, u64)> {
        self.0.dead_letters.all()
    }

    /// How many messages were not handled for the reason `why`.
    pub fn dead_letters_of(&self, why: DeadLetter) -> u64 {
        self.0.dead_letters.of(why)
    }

    /// Tells of messages that are not handled from now on, one event for each reason and second: a flood is one event.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    /// use biotope::{DeadLetter, node};
    ///
    /// # #[biotope::main]
    /// # async fn main() -> biotope::Result<()> {
    /// let mut events = node().subscribe_dead_letters();
    /// let ended = spawn_process(async |_: Process<()>| Ok(()));
    /// node().ended(ended.pid()).await;
    /// ended.cast(());
    /// let event = events.next().await;
    /// assert_eq!((event.why, event.count, event.to), (DeadLetter::NoProc, 1, Some(ended.pid())));
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe_dead_letters(&self) -> DeadLetterEvents {
        self.0.dead_letters.subscribe(self.runtime())
    }

    /// Tells what is amiss with processes from now on, once for each process and kind. All of it is in the log too.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    /// use biotope::{Lint, node};
    ///
    /// #[derive(Actor, Default)]
    /// struct Selfish;
    ///
    /// #[handlers]
    /// impl Selfish {
    ///     async fn ask(&mut self, cx: &mut Context<Self>) -> bool {
    ///         cx.myself().ask().await == Err(CallFailed::SelfCall)
    ///     }
    /// }
    ///
    /// # #[biotope::main]
    /// # async fn main() -> biotope::Result<()> {
    /// let mut lints = node().lints();
    /// let selfish = spawn(Selfish);
    /// assert!(selfish.ask().await?);
    /// let event = lints.next().await.expect("the node lives");
    /// assert_eq!((event.pid, event.lint), (selfish.pid(), Lint::SelfCall));
    /// # Ok(())
    /// # }
    /// ```
    pub fn lints(&self) -> LintEvents {
        self.0.lints.get_or_init(Lints::default).subscribe()
    }

    pub(crate) fn tell_lint(&self, event: LintEvent) {
        if let Some(lints) = self.0.lints.get() {
            lints.tell(event);
        }
    }

    /// How often processes were suspended because of a full mailbox.
    pub fn stalls(&self) -> Stalls {
        let of = |what| self.0.stalls.of(what);
        Stalls { begun: of(StallEvent::Begun), too_long: of(StallEvent::TooLong), in_circles: of(StallEvent::InCircle) }
    }

    /// The names of the nodes that are connected, without this one.
    pub fn nodes(&self) -> Vec<Arc<str>> {
        self.0.gateway.get().map(|gateway| gateway.nodes()).unwrap_or_default()
    }

    /// The name of the node that `id` belongs to: this one, or one that is or was connected.
    pub fn name_of(&self, id: NodeId) -> Option<Arc<str>> {
        if id == self.0.id {
            return Some(self.0.name.clone());
        }
        self.0.gateway.get().and_then(|gateway| gateway.name_of(id))
    }

    /// From now on, `process` gets a [`NodeEvent`] for each node that comes or goes.
    pub fn monitor_nodes(&self, process: impl Into<Pid>) {
        self.0.node_monitors.lock().insert(process.into());
    }

    /// Ends the node: its processes, roots first (each supervisor ends its own children in order), with
    /// `Shutdown`, and after a grace of 5 seconds by force; then its connections. A handler that blocks
    /// its thread is not waited for.
    pub async fn shutdown(&self) {
        self.0.table.close();
        for process in self.0.table.all() {
            let is_root = process.parent().is_none_or(|parent| self.process(parent).is_none());
            if is_root {
                self.ask_to_stop(&process);
            }
        }
        if !self.none_left().await {
            for process in self.0.table.all() {
                tracing::warn!(pid = %process.pid(), actor = process.actor(), "killed: it did not stop");
                self.exit(process.pid(), ExitReason::Kill);
            }
            self.none_left().await;
        }
        if let Some(gateway) = self.0.gateway.get() {
            gateway.close().await;
        }
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

    async fn none_left(&self) -> bool {
        let runtime = self.runtime();
        let mut sleep = time::sleep_on(runtime, runtime.now() + SHUTDOWN_GRACE);
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

/// For the layer that connects nodes. What it calls with is data from a peer and is checked here.
impl Node {
    /// Installs the door to other nodes. Returns whether there was none yet.
    pub fn install_gateway(&self, gateway: Arc<dyn Gateway>) -> bool {
        self.0.gateway.set(gateway).is_ok()
    }

    /// The door to other nodes, if one is installed.
    pub fn gateway(&self) -> Option<&Arc<dyn Gateway>> {
        self.0.gateway.get()
    }

    /// A handle that does not keep the node's parts alive.
    pub fn downgrade(&self) -> WeakNode {
        WeakNode(Arc::downgrade(&self.0))
    }

    /// Counts a message that the layer could not deliver.
    pub fn count_dead_letter(&self, why: DeadLetter) {
        self.0.dead_letters.count(why, None);
    }

    /// Counts a message for `to` that was not handled.
    pub(crate) fn count_dead_letter_to(&self, why: DeadLetter, to: Pid) {
        self.0.dead_letters.count(why, Some(to));
    }

    pub(crate) fn stall_counts(&self) -> &StallCounts {
        &self.0.stalls
    }

    /// Runs `f`, in which references are read for this node.
    pub fn decoding<T>(&self, f: impl FnOnce() -> T) -> T {
        ambient::decoding(self, f)
    }

    /// Delivers a message that came from another node. What cannot be delivered is counted, and its
    /// caller told.
    pub fn accept_message(&self, to: Pid, incoming: Incoming<'_, '_>) {
        let Some(process) = self.process(to) else {
            incoming.no_proc();
            return self.count_dead_letter(DeadLetter::NoProc);
        };
        let delivered = ambient::decoding(self, || self.0.registry.deliver(process, incoming));
        let dead = match delivered {
            Ok(Delivered::Queued) => return,
            Ok(Delivered::Full) => DeadLetter::Full,
            Ok(Delivered::NoProc) => DeadLetter::NoProc,
            Err(error) => {
                tracing::warn!(node = self.name(), %to, %error, "a message from another node was not delivered");
                match error {
                    DecodeError::UnknownMethod(_) => DeadLetter::UnknownMethod,
                    DecodeError::NotRegistered => DeadLetter::NotRegistered,
                    DecodeError::Malformed(_) | DecodeError::NoReplyPath => DeadLetter::Malformed,
                }
            }
        };
        self.count_dead_letter(dead);
    }

    /// Starts a registered actor for another node.
    ///
    /// # Errors
    /// [`StartError`], at once or from the future.
    pub fn accept_start(
        &self,
        actor: &str,
        arguments: &mut dyn erased_serde::Deserializer<'_>,
        link: Option<Pid>,
    ) -> Result<FarFuture<Result<Pid, StartError>>, StartError> {
        let options = SpawnOptions { link, ..SpawnOptions::default() };
        ambient::decoding(self, || self.0.registry.start(self, actor, arguments, options))
    }

    /// Sends a signal to a process, here or on another node.
    pub fn signal(&self, to: Pid, signal: Signal) {
        if to.node() != self.id() {
            match self.0.gateway.get() {
                Some(gateway) => gateway.signal(to, signal),
                None => self.answer_for_the_dead(to, signal, &ExitReason::NoConnection),
            }
            return;
        }
        let refused = match self.process(to) {
            Some(process) => process.push_notice(Notice::Signal(signal)).err(),
            None => Some(Notice::Signal(signal)),
        };
        if let Some(Notice::Signal(signal)) = refused {
            self.answer_for_the_dead(to, signal, &ExitReason::NoProc);
        }
    }

    /// Answers `signal` in the place of `to`, which cannot: whoever links or monitors must be told.
    pub fn answer_for_the_dead(&self, to: Pid, signal: Signal, reason: &ExitReason) {
        match signal {
            Signal::Link { from } => {
                self.signal(from, Signal::Exit { from: to, reason: reason.clone(), link: true });
            }
            Signal::Monitor { from, reference } => {
                self.signal(from, Signal::Down { reference, from: to, reason: reason.clone() });
            }
            Signal::Unlink { from, id } => self.signal(from, Signal::Unlinked { from: to, id }),
            _ => {}
        }
    }

    /// Tells who asked for it that a node came.
    pub fn node_up(&self, name: &Arc<str>) {
        self.tell_node_monitors(&NodeEvent::Up(name.clone()));
    }

    /// Ends what ties processes of this node to those of `id`: links and monitors tell `NoConnection`.
    /// Then tells who asked for it that the node went.
    pub fn node_down(&self, id: NodeId, name: &Arc<str>) {
        for process in self.0.table.all() {
            let mut ends = Vec::new();
            if let Some(extra) = process.extra_if_any() {
                let mut control = extra.control.lock();
                control.forget_node(id);
                let reason = ExitReason::NoConnection;
                for (&from, ()) in control.links.iter().filter(|(peer, ())| peer.node() == id) {
                    ends.push(Signal::Exit { from, reason: reason.clone(), link: true });
                }
                for (&number, monitor) in control.monitors.iter() {
                    let Some(from) = monitor.pid.filter(|target| target.node() == id) else { continue };
                    let reference = MonitorRef { owner: process.pid(), number };
                    ends.push(Signal::Down { reference, from, reason: reason.clone() });
                }
            }
            for signal in ends {
                // A process that has just ended needs no telling.
                let _ = process.push_notice(Notice::Signal(signal));
            }
        }
        self.tell_node_monitors(&NodeEvent::Down(name.clone()));
    }

    fn tell_node_monitors(&self, event: &NodeEvent) {
        let monitors = self.0.node_monitors.lock().clone();
        for pid in monitors {
            match self.process(pid) {
                Some(process) => {
                    let _ = process.push_notice(Notice::Info(Info::Node(event.clone())));
                }
                None => {
                    self.0.node_monitors.lock().remove(&pid);
                }
            }
        }
    }
}

impl Node {
    pub(crate) fn table(&self) -> &Table {
        &self.0.table
    }

    pub(crate) fn names(&self) -> &Names {
        &self.0.names
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

    pub(crate) fn register_as(&self, name: &Arc<str>, pid: Pid) -> Result<(), NameTaken> {
        let Some(process) = self.process(pid) else { return Ok(()) };
        self.0.names.insert(name, pid)?;
        process.extra().control.lock().name = Some(name.clone());
        Ok(())
    }

    pub(crate) fn report_crash(&self, report: &CrashReport) {
        self.0.crashed.fetch_add(1, Ordering::Relaxed);
        if tracing::dispatcher::has_been_set() {
            tracing::error!(node = self.name(), pid = %report.pid, name = report.name.as_deref(), "{report}");
        } else {
            // A program that has set no subscriber must still see its crashes, as it sees panics.
            eprintln!("{report}");
        }
    }

    /// Whether the messages of new processes are counted.
    #[inline]
    pub(crate) fn is_counting(&self) -> bool {
        self.0.counting.load(Ordering::SeqCst) != 0
    }

    /// A traced process tells what it does.
    #[cold]
    pub(crate) fn tell_trace(&self, pid: Pid, what: Traced) {
        if let Some(traces) = self.0.traces.get() {
            traces.tell(TraceEvent { at: self.runtime().now(), pid, what });
        }
    }

    /// What takes messages to other nodes; without a gateway, nothing does.
    pub(crate) fn carrier(&self) -> Arc<dyn Carrier> {
        match self.0.gateway.get() {
            Some(gateway) => gateway.clone().as_carrier(),
            None => Arc::new(Nowhere { node: self.clone(), why: DeadLetter::NoConnection }),
        }
    }

    /// What takes messages to a process that has ended.
    pub(crate) fn dead_carrier(&self) -> Arc<dyn Carrier> {
        Arc::new(Nowhere { node: self.clone(), why: DeadLetter::NoProc })
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

/// A carrier that delivers nothing and says why.
struct Nowhere {
    node: Node,
    why: DeadLetter,
}

impl Carrier for Nowhere {
    fn cast(&self, _to: Pid, _method: MethodId, _arguments: &dyn erased_serde::Serialize) {
        self.node.count_dead_letter(self.why);
    }

    fn call(&self, _to: Pid, _method: MethodId, _arguments: &dyn erased_serde::Serialize, reply: PendingReply) {
        reply.complete(Err(match self.why {
            DeadLetter::NoConnection => CallFailed::NoConnection,
            _ => CallFailed::NoProc,
        }));
    }
}

/// A node before it is started.
///
/// Layers above the runtime keep their settings here as [`Extension`]s.
#[must_use = "a builder does nothing until `start` is awaited"]
pub struct NodeBuilder {
    name: Arc<str>,
    runtime: Option<Runtime>,
    registry: Registry,
    extensions: BTreeMap<TypeId, Box<dyn AnyExtension>>,
}

/// Something that belongs to a node and starts with it: the settings, and what they bring about.
pub trait Extension: Default + Send + 'static {
    /// Starts it on `node`.
    ///
    /// # Errors
    /// Whatever keeps the node from starting.
    fn start(self, node: Node) -> impl Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>> + Send;
}

trait AnyExtension: Send {
    fn as_any(&mut self) -> &mut dyn Any;
    fn start(self: Box<Self>, node: Node) -> FarFuture<Result<(), Box<dyn std::error::Error + Send + Sync>>>;
}

impl<E: Extension> AnyExtension for E {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn start(self: Box<Self>, node: Node) -> FarFuture<Result<(), Box<dyn std::error::Error + Send + Sync>>> {
        Box::pin(Extension::start(*self, node))
    }
}

impl NodeBuilder {
    /// Runs the node's processes on `runtime`; without this, on one of its own.
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Lets other nodes send messages to the processes of these actors: `.actors::<(Cart, Pricer)>()`.
    pub fn actors<A: RemoteActors>(mut self) -> Self {
        A::register(&mut self.registry);
        self
    }

    /// Lets other nodes start these actors here, and send them messages.
    pub fn startable<A: StartableActors>(mut self) -> Self {
        A::register(&mut self.registry);
        self
    }

    /// The settings of the layer `E`, made when they are first asked for.
    pub fn extension<E: Extension>(&mut self) -> &mut E {
        let extension = self.extensions.entry(TypeId::of::<E>()).or_insert_with(|| Box::new(E::default()));
        match (**extension).as_any().downcast_mut() {
            Some(extension) => extension,
            None => unreachable!("it is kept under its own type"),
        }
    }

    /// Starts the node.
    ///
    /// # Errors
    /// [`NodeError`]; nothing is left running.
    pub async fn start(self) -> Result<Node, NodeError> {
        panics::install_hook();
        let runtime = match self.runtime {
            Some(runtime) => runtime,
            None => Runtime::new()?,
        };
        let id = NodeId::new(&self.name, incarnation(&runtime));
        let memory = runtime.memory().clone();
        let number = runtime.next_node_number();
        let inner = Inner {
            name: self.name,
            id,
            number,
            runtime,
            memory,
            table: Table::new(id),
            names: Names::default(),
            registry: self.registry,
            gateway: OnceLock::new(),
            dead_letters: DeadLetters::default(),
            stalls: StallCounts::default(),
            crashed: AtomicU64::new(0),
            counting: AtomicU8::new(0),
            traces: OnceLock::new(),
            lints: OnceLock::new(),
            node_monitors: Mutex::default(),
            leases: CachePadded::default(),
        };
        let node = Node(Arc::new(inner));
        node.runtime().enter_node(number, node.downgrade());
        for extension in self.extensions.into_values() {
            if let Err(error) = extension.start(node.clone()).await {
                node.shutdown().await;
                return Err(NodeError::Extension(error));
            }
        }
        Ok(node)
    }
}

/// Milliseconds since 1970, so that it grows, and 20 random bits, so that two starts in one
/// millisecond differ.
fn incarnation(runtime: &Runtime) -> u64 {
    let random = runtime.random() & 0xf_ffff;
    if runtime.is_seeded() {
        return random;
    }
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    (millis << 20) | random
}

impl fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeBuilder({})", self.name)
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// It has no runtime and none could be made.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A layer above the runtime did not start.
    #[error(transparent)]
    Extension(Box<dyn std::error::Error + Send + Sync>),
}

/// No process that takes such messages has the name; the message is handed back.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("no process that takes such messages is registered under this name")]
pub struct NoSuchName<M>(pub M);

impl<M> fmt::Debug for NoSuchName<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
