//! Processes of each kind that do what they are told and keep what they see.

use std::future::{Future, Ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use biotope_runtime::{
    Actor, Address, Call, CallFailed, Context, Down, Exit, ExitReason, Handle, Info, Me, MonitorRef, Node, Pid,
    Process, ProcessInfo, Received, ReplyTo, Result, Step, Target, node, process, spawn, spawn_process, yield_now,
};

use crate::runs::HUNG;
/// What the process `pid` says of itself.
pub(crate) async fn info(pid: impl Into<Pid>) -> Result<ProcessInfo> {
    let pid = pid.into();
    match node().process_info(pid).await {
        Some(info) => Ok(info),
        None => Err(ExitReason::value(format!("{pid} is not alive")).into()),
    }
}

/// A reason of the program's own, one for each number.
pub(crate) fn reason(n: u32) -> ExitReason {
    ExitReason::value(("reason", n))
}

/// What a panic said, if `reason` is one.
pub(crate) fn panicked(reason: &ExitReason) -> Option<&str> {
    match reason {
        ExitReason::Panic(report) => Some(&report.message),
        _ => None,
    }
}

/// The next `Down`, whatever else is in the mailbox.
pub(crate) async fn next_down<M: Send + 'static>(me: &mut Process<M>) -> Result<Down> {
    let down = me.receive_info(|info| match info {
        Info::Down(down) => Ok(down),
        other => Err(other),
    });
    Ok(down.await?)
}

/// The next `Exit`, whatever else is in the mailbox.
pub(crate) async fn next_exit<M: Send + 'static>(me: &mut Process<M>) -> Result<Exit> {
    let exit = me.receive_info(|info| match info {
        Info::Exit(exit) => Ok(exit),
        other => Err(other),
    });
    Ok(exit.await?)
}

/// The reason of the `Down` of `watch`, whatever else is in the mailbox.
pub(crate) async fn end_of<M: Send + 'static>(me: &mut Process<M>, watch: MonitorRef) -> Result<ExitReason> {
    let down = me.receive_info(move |info| match info {
        Info::Down(down) if down.reference == watch => Ok(down.reason),
        other => Err(other),
    });
    Ok(down.await?)
}

/// Everything that is in the mailbox now, in order.
pub(crate) async fn drain<M: Send + 'static>(me: &mut Process<M>) -> Vec<Received<M>> {
    let mut all = Vec::new();
    while let Ok(received) = me.receive_any().timeout(Duration::ZERO).await {
        all.push(received);
    }
    all
}

/// The kinds of processes that there are. A rule holds for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Straight-line code that receives.
    Straight,
    /// An actor whose handlers are futures.
    Awaiting,
    /// An actor whose handlers run at once.
    Plain,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Straight, Kind::Awaiting, Kind::Plain];

/// A process that does what it is told, and keeps what it sees in the order in which it sees it.
#[derive(Clone, Debug)]
pub(crate) struct Puppet(Address<Order>);

/// What a puppet is told.
pub(crate) enum Order {
    /// To be kept; a message like any other.
    Note(u32),
    /// To do this as itself.
    Act(Act),
    /// To end with this reason; with `Normal`, by returning.
    End(ExitReason),
    /// To tell what it has seen.
    Log(ReplyTo<Vec<Got>>),
    /// To tell what it has seen when it is so much.
    LogOf(usize, ReplyTo<Vec<Got>>),
    /// To have another answer.
    Reach(Puppet, ReplyTo<()>),
    /// To answer.
    Answer(ReplyTo<()>),
}

type Act = Box<dyn FnOnce(&Me) + Send>;

/// What a puppet has seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Got {
    Note(u32),
    Info(Info),
}

/// The `Exit` that a puppet has seen.
pub(crate) fn exit(from: impl Into<Pid>, reason: ExitReason) -> Got {
    Got::Info(Info::Exit(Exit { from: from.into(), reason }))
}

/// The `Down` that a puppet has seen.
pub(crate) fn down(reference: MonitorRef, target: impl Into<Target>, reason: ExitReason) -> Got {
    Got::Info(Info::Down(Down { reference, target: target.into(), reason }))
}

impl Kind {
    /// A child of the running process.
    pub(crate) fn spawn(self) -> Puppet {
        match self {
            Self::Straight => Puppet(spawn(process(straight))),
            Self::Awaiting => Puppet(spawn(Awaiting::default()).address().clone()),
            Self::Plain => Puppet(spawn(Plain::default()).address().clone()),
        }
    }

    /// A process of `node`, without a parent.
    pub(crate) fn spawn_on(self, node: &Node) -> Puppet {
        match self {
            Self::Straight => Puppet(node.spawn(process(straight))),
            Self::Awaiting => Puppet(node.spawn(Awaiting::default()).address().clone()),
            Self::Plain => Puppet(node.spawn(Plain::default()).address().clone()),
        }
    }

    /// A child of `me`, linked to it.
    pub(crate) fn spawn_link(self, me: &Me) -> Puppet {
        match self {
            Self::Straight => Puppet(me.spawn_link(process(straight))),
            Self::Awaiting => Puppet(me.spawn_link(Awaiting::default()).address().clone()),
            Self::Plain => Puppet(me.spawn_link(Plain::default()).address().clone()),
        }
    }

    /// A child of the running process that traps exits.
    pub(crate) async fn spawn_trapping(self) -> Result<Puppet> {
        let puppet = self.spawn();
        puppet.trap(true).await?;
        Ok(puppet)
    }
}

impl Puppet {
    pub(crate) fn of(address: Address<Order>) -> Self {
        Self(address)
    }

    pub(crate) fn pid(&self) -> Pid {
        self.0.pid()
    }

    pub(crate) fn address(&self) -> &Address<Order> {
        &self.0
    }

    /// Sends it a message that it keeps.
    pub(crate) fn note(&self, n: u32) {
        self.0.cast(Order::Note(n));
    }

    /// Has it do something as itself, some time.
    pub(crate) fn tell(&self, act: impl FnOnce(&Me) + Send + 'static) {
        self.0.cast(Order::Act(Box::new(act)));
    }

    /// Has it do something as itself, and waits until it is done.
    pub(crate) async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Me) -> T + Send + 'static,
    ) -> std::result::Result<T, CallFailed> {
        self.call(|reply| Order::Act(Box::new(move |me| reply.send(act(me))))).await
    }

    /// Has it end with `reason`; with `Normal`, by returning.
    pub(crate) fn end(&self, reason: ExitReason) {
        self.0.cast(Order::End(reason));
    }

    pub(crate) async fn trap(&self, trap: bool) -> std::result::Result<(), CallFailed> {
        self.act(move |me| {
            me.trap_exits(trap);
        })
        .await
    }

    /// What it has seen so far.
    pub(crate) async fn log(&self) -> std::result::Result<Vec<Got>, CallFailed> {
        self.call(Order::Log).await
    }

    /// What it has seen when it has seen at least `n` things.
    pub(crate) async fn log_of(&self, n: usize) -> std::result::Result<Vec<Got>, CallFailed> {
        self.call(|reply| Order::LogOf(n, reply)).await
    }

    /// Waits until all that this process has sent to `to` has been received there: signals from one process
    /// to another, and the question that follows them, arrive in the order sent.
    pub(crate) async fn reach(&self, to: &Self) -> std::result::Result<(), CallFailed> {
        self.call(|reply| Order::Reach(to.clone(), reply)).await
    }

    /// Has it link to `to`; the link stands at both ends when this is done.
    pub(crate) async fn link(&self, to: &Self) -> std::result::Result<(), CallFailed> {
        let pid = to.pid();
        self.act(move |me| me.link(pid)).await?;
        self.reach(to).await
    }

    /// Has it monitor `to`; the monitor stands when this is done.
    pub(crate) async fn monitor(&self, to: &Self) -> std::result::Result<MonitorRef, CallFailed> {
        let pid = to.pid();
        let reference = self.act(move |me| me.monitor(pid)).await?;
        self.reach(to).await?;
        Ok(reference)
    }

    async fn call<T: Send + 'static>(
        &self,
        order: impl FnOnce(ReplyTo<T>) -> Order,
    ) -> std::result::Result<T, CallFailed> {
        // Long, for a machine that is busy with something else.
        Call::new(&self.0, order).timeout(HUNG).await
    }
}

impl From<&Puppet> for Pid {
    fn from(puppet: &Puppet) -> Pid {
        puppet.pid()
    }
}

/// What a puppet keeps.
#[derive(Default)]
pub(crate) struct Script {
    log: Vec<Got>,
    waiting: Vec<(usize, ReplyTo<Vec<Got>>)>,
}

impl Script {
    pub(crate) fn saw(&mut self, got: Got) {
        self.log.push(got);
        self.tell_who_waits();
    }

    fn tell_who_waits(&mut self) {
        let len = self.log.len();
        for (_, reply) in self.waiting.extract_if(.., |(enough, _)| *enough <= len) {
            reply.send(self.log.clone());
        }
    }

    /// Does what it is told. Returns the reason to end with, if it is told to.
    pub(crate) fn obey(&mut self, order: Order, me: &Me) -> Option<ExitReason> {
        match order {
            Order::Note(n) => self.saw(Got::Note(n)),
            Order::Act(act) => act(me),
            Order::End(reason) => return Some(reason),
            Order::Log(reply) => reply.send(self.log.clone()),
            Order::LogOf(enough, reply) => {
                self.waiting.push((enough, reply));
                self.tell_who_waits();
            }
            Order::Reach(to, reply) => to.0.cast(Order::Answer(reply)),
            Order::Answer(reply) => reply.send(()),
        }
        None
    }
}

async fn straight(mut me: Process<Order>) -> Result<()> {
    let mut script = Script::default();
    loop {
        match me.receive_any().await? {
            Received::Info(info) => script.saw(Got::Info(info)),
            Received::Message(order) => match script.obey(order, &me) {
                None => {}
                Some(ExitReason::Normal) => return Ok(()),
                Some(reason) => return Err(reason.into()),
            },
        }
    }
}

/// A puppet whose handlers are futures.
#[derive(Default)]
pub(crate) struct Awaiting(Script);

impl Actor for Awaiting {
    type Msg = Order;
    type Client = Address<Order>;
    const NAME: &'static str = "Awaiting";
}

impl Handle for Awaiting {
    async fn handle(&mut self, order: Order, cx: &mut Context<Self>) {
        if let Some(reason) = self.0.obey(order, cx) {
            cx.stop(reason);
        }
    }

    async fn info(&mut self, info: Info, _cx: &mut Context<Self>) {
        self.0.saw(Got::Info(info));
    }
}

/// A puppet whose handlers run at once.
#[derive(Default)]
pub(crate) struct Plain(Script);

impl Actor for Plain {
    type Msg = Order;
    type Client = Address<Order>;
    const NAME: &'static str = "Plain";
}

impl Handle for Plain {
    async fn handle(&mut self, _order: Order, _cx: &mut Context<Self>) {
        unreachable!("its messages are handled by `step`");
    }

    fn step(&mut self, order: Order, cx: &mut Context<Self>) -> Step<impl Future<Output = ()> + Send> {
        if let Some(reason) = self.0.obey(order, cx) {
            cx.stop(reason);
        }
        Step::<Ready<()>>::Done
    }

    fn step_info(&mut self, info: Info, _cx: &mut Context<Self>) -> Step<impl Future<Output = ()> + Send> {
        self.0.saw(Got::Info(info));
        Step::<Ready<()>>::Done
    }
}

/// Processes that keep all workers busy with spawning, sending and allocating, until this is dropped. For
/// the real scheduler: in virtual time they would keep the clock from moving.
pub(crate) struct Load(Arc<AtomicBool>);

impl Load {
    pub(crate) fn start(processes: usize) -> Self {
        assert!(!node().runtime().is_seeded(), "load is for the real scheduler");
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..processes {
            let stop = stop.clone();
            spawn_process(async move |mut me: Process<Vec<u8>>| {
                let to_self = me.address();
                while !stop.load(Ordering::Relaxed) {
                    let to_parent = to_self.clone();
                    spawn_process(async move |_: Process<()>| {
                        to_parent.cast(vec![1; 100]);
                        Ok(())
                    });
                    let bytes = me.receive().await?;
                    drop(vec![bytes; 10]);
                    yield_now().await;
                }
                Ok(())
            });
        }
        Self(stop)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
