//! What the cases share: where they run, processes that do what they are told and keep what they see.

use std::future::{Future, Ready, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use biotope_runtime::{
    Actor, Address, Call, CallFailed, Context, Down, Exit, ExitReason, Handle, Info, Me, MonitorRef, Node, Pid,
    Process, ProcessInfo, Received, ReplyTo, Result, Runtime, RuntimeBuilder, SpawnOptions, Step, Target, node,
    process, spawn, spawn_process, time, yield_now,
};
use tokio::sync::oneshot;

/// How many seeds a case about order or a race runs under.
pub(crate) const SEEDS: u64 = 200;

/// What `BIOTOPE_SEED` is to leave the seeds out.
const NO_SEED: &str = "none";

/// How often a case runs on the real scheduler, if it does not repeat itself.
const REAL_RUNS: usize = 20;

/// How many workers the real runs have, in turn: more than the machine may have, so that threads are
/// interrupted anywhere, and one.
const WORKERS: [usize; 4] = [2, 4, 1, 3];

/// A real run that has not ended by now hangs. No test is about this time.
const HUNG: Duration = Duration::from_secs(300);

/// Runs `body` as a process, under 200 seeds in virtual time and 20 times on the real scheduler.
///
/// The environment variable `BIOTOPE_SEED` replays one seed and nothing else, or, if it is `none`, leaves
/// only the real scheduler.
pub(crate) fn everywhere<M, F, Fut>(body: F)
where
    M: Send + 'static,
    F: Fn(Process<M>) -> Fut,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    seeded(&body);
    real(REAL_RUNS, &body);
}

/// Runs `body` as a process, under 200 seeds: one order of turns each, in virtual time.
pub(crate) fn seeded<M, F, Fut>(body: F)
where
    M: Send + 'static,
    F: Fn(Process<M>) -> Fut,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    for seed in seeds(SEEDS) {
        let replay = || eprintln!("seed {seed}; replay: BIOTOPE_SEED={seed} cargo test --test otp {}", test_name());
        match catch_unwind(AssertUnwindSafe(|| run(Runtime::builder().seeded(seed), &body))) {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => {
                replay();
                panic!("under seed {seed}: {reason}");
            }
            Err(panic) => {
                replay();
                resume_unwind(panic);
            }
        }
    }
}

/// The seeds from 0 to `count`, exclusive; or the one that is to be replayed; or none.
pub(crate) fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("BIOTOPE_SEED") {
        Ok(seed) if seed == NO_SEED => 0..0,
        Ok(seed) => {
            let seed: u64 = seed.parse().unwrap_or_else(|_| panic!("BIOTOPE_SEED is `{seed}`, which is no number"));
            seed..seed + 1
        }
        Err(_) => 0..count,
    }
}

/// Runs `body` as a process on the real scheduler, `runs` times, with 2, 4, 1, 3 workers in turn.
pub(crate) fn real<M, F, Fut>(runs: usize, body: F)
where
    M: Send + 'static,
    F: Fn(Process<M>) -> Fut,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    if std::env::var("BIOTOPE_SEED").is_ok_and(|seed| seed != NO_SEED) {
        return;
    }
    for n in 0..runs {
        let workers = WORKERS[n % WORKERS.len()];
        if let Err(reason) = run(Runtime::builder().workers(workers), &body) {
            panic!("in real run {n}, with {workers} workers: {reason}");
        }
    }
}

/// Runs `body` as a process of a fresh node, then ends the node. Returns what the body ended with.
pub(crate) fn run<M, F, Fut>(builder: RuntimeBuilder, body: F) -> std::result::Result<(), ExitReason>
where
    M: Send + 'static,
    F: FnOnce(Process<M>) -> Fut,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    quiet();
    let runtime = builder.build().expect("a runtime can be built");
    let node = runtime.block_on(Node::builder("test").runtime(runtime.clone()).start()).expect("a node can be started");
    let outcome = runtime.block_on(unless_it_hangs(&node, on(&node, body)));
    runtime.block_on(node.shutdown());
    outcome
}

/// Runs `body` as a process of `node`. Returns what it ended with, if that is not `Normal`.
pub(crate) fn on<M, F, Fut>(
    node: &Node,
    body: F,
) -> impl Future<Output = std::result::Result<(), ExitReason>> + use<M, F, Fut>
where
    M: Send + 'static,
    F: FnOnce(Process<M>) -> Fut,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let (sender, outcome) = oneshot::channel();
    let watcher = node.spawn_process(async move |mut me: Process<()>| {
        let _ = sender.send(next_down(&mut me).await?.reason);
        Ok(())
    });
    // Watched from its first instruction on, so that every way to end is seen.
    let options = SpawnOptions { monitor: Some(watcher.pid()), ..SpawnOptions::default() };
    node.spawn_process_with(options, body);
    async {
        match outcome.await {
            Ok(ExitReason::Normal) => Ok(()),
            Ok(reason) => Err(reason),
            Err(_) => Err(ExitReason::value("nobody watched the test: its watcher ended")),
        }
    }
}

/// A seeded run notices by itself that it waits for ever; a real one does not.
async fn unless_it_hangs<T>(node: &Node, running: impl Future<Output = T>) -> T {
    let runtime = node.runtime();
    if runtime.is_seeded() {
        return running.await;
    }
    let (mut running, mut hung) = (pin!(running), runtime.sleep(HUNG));
    poll_fn(|cx| {
        if let Poll::Ready(value) = running.as_mut().poll(cx) {
            return Poll::Ready(value);
        }
        if Pin::new(&mut hung).poll(cx).is_ready() {
            let left: Vec<_> = node.processes().iter().map(|info| format!("{info:?}")).collect();
            panic!("it hangs; the processes that are left:\n{}", left.join("\n"));
        }
        Poll::Pending
    })
    .await
}

/// Keeps crash reports, of which there are many and all wanted, out of the tests' output. With `RUST_LOG`
/// they are printed. What a failed test says does not go this way.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("RUST_LOG").is_some() {
            let filter = tracing_subscriber::EnvFilter::from_default_env();
            tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().init();
        } else {
            tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::default())
                .expect("nobody else sets a subscriber here");
        }
    });
}

fn test_name() -> String {
    std::thread::current().name().unwrap_or("otp").to_owned()
}

/// Runs `body` in an OS process of its own, in which there are no threads of other tests, with these
/// environment variables. `test` is the whole name of the test that calls this.
pub(crate) fn alone(test: &str, variables: &[(&str, &str)], body: impl FnOnce()) {
    const ALONE: &str = "BIOTOPE_ALONE";
    if std::env::var(ALONE).is_ok_and(|alone| alone == test) {
        return body();
    }
    let program = std::env::current_exe().expect("a test has an executable");
    let mut command = Command::new(program);
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.env_remove("RUST_LIB_BACKTRACE").env(ALONE, test).envs(variables.iter().copied());
    let output = command.output().expect("a test can run itself");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "alone, with {variables:?}, it failed:\n{said}\n{complaints}");
    assert!(said.contains("1 passed"), "there is no test `{test}`:\n{said}");
}

/// Lets everything happen that can. In virtual time a second passes, which is how long "never" is: nothing
/// that could run is left, so that what has not happened will not. On the real scheduler there is nothing to
/// wait for: there, a sentinel message proves what can be proved.
pub(crate) async fn settle() {
    if node().runtime().is_seeded() {
        time::sleep(Duration::from_secs(1)).await;
    }
}

/// For what nobody announces: `while !it_is_so() { patience.wait().await }` lets others run until it is so.
#[derive(Debug, Default)]
pub(crate) struct Patience(u32);

impl Patience {
    pub(crate) async fn wait(&mut self) {
        self.0 += 1;
        // A real run that waits for ever is ended by whoever started it.
        assert!(self.0 < 100_000 || !node().runtime().is_seeded(), "it did not come about");
        yield_now().await;
    }
}

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
