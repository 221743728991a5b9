//! A worker that tells what it does, and ways to run a test.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use biotope_runtime::{
    Actor, Address, Context, ExitReason, Handle, Info, MonitorRef, Options, Pid, Process, Refused, Result, Spec, Start,
    node, time,
};
use biotope_supervision::{Child, ChildStatus, IntoChild, SupervisorRef};
use tokio::sync::mpsc;

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Runs `body` as a process that traps exits, in virtual time under 100 seeds.
pub(crate) fn virtually<F, Fut>(body: F)
where
    F: Fn(Process<()>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let name = std::any::type_name::<F>();
    biotope_testkit::under_seeds(name, 100, || in_process(body.clone()));
}

/// Like [`virtually`], and on the real scheduler as well.
pub(crate) fn everywhere<F, Fut>(body: F)
where
    F: Fn(Process<()>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let name = std::any::type_name::<F>();
    biotope_testkit::everywhere(name, 100, 20, || in_process(body.clone()));
}

pub(crate) async fn in_process<F, Fut>(body: F) -> Result<()>
where
    F: FnOnce(Process<()>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let (sender, outcome) = tokio::sync::oneshot::channel();
    node().spawn_process(|me: Process<()>| {
        me.trap_exits(true);
        let body = body(me);
        async move {
            let _ = sender.send(body.await);
            Ok(())
        }
    });
    outcome.await.expect("the test body did not end by itself; its crash is reported above")
}

/// Lets everything happen that can happen without time passing; in virtual time only.
pub(crate) async fn settle() {
    assert!(node().runtime().is_seeded(), "on the real clock, waiting proves nothing");
    time::sleep(Duration::from_nanos(1)).await;
}

pub(crate) async fn down(me: &mut Process<()>, monitor: MonitorRef) -> Result<ExitReason> {
    let reason = me.receive_info(move |info| match info {
        Info::Down(down) if down.reference == monitor => Ok(down.reason),
        other => Err(other),
    });
    Ok(reason.await?)
}

/// What the workers of one test have told, in order; and where they can be reached.
#[derive(Clone)]
pub(crate) struct Stage {
    lines: mpsc::UnboundedSender<String>,
    heard: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>>,
    workers: Arc<Mutex<BTreeMap<String, Address<Order>>>>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let (lines, heard) = mpsc::unbounded_channel();
        Self { lines, heard: Arc::new(heard.into()), workers: Arc::default() }
    }

    pub(crate) fn tell(&self, line: impl Into<String>) {
        let _ = self.lines.send(line.into());
    }

    /// Waits for as many lines as are expected, and compares.
    #[track_caller]
    pub(crate) fn expect<const N: usize>(&self, expected: [&str; N]) -> impl Future<Output = ()> + Send {
        let heard = self.heard.clone();
        let expected = expected.map(ToOwned::to_owned).to_vec();
        let place = std::panic::Location::caller();
        async move {
            let mut lines = Vec::new();
            let mut heard = heard.lock().await;
            while lines.len() < expected.len() {
                lines.push(heard.recv().await.unwrap());
            }
            assert_eq!(lines, expected, "at {place}");
        }
    }

    /// Waits for the next line.
    pub(crate) async fn next(&self) -> String {
        self.heard.lock().await.recv().await.unwrap()
    }

    /// The lines that were told and nobody has waited for.
    pub(crate) async fn rest(&self) -> Vec<String> {
        let mut heard = self.heard.lock().await;
        std::iter::from_fn(|| heard.try_recv().ok()).collect()
    }

    pub(crate) async fn expect_nothing(&self) {
        settle().await;
        let line = self.heard.lock().await.try_recv();
        assert!(line.is_err(), "unexpected: {line:?}");
    }

    pub(crate) fn worker(&self, id: &str) -> Address<Order> {
        self.workers.lock().unwrap()[id].clone()
    }

    /// Whether `id` has ever started.
    pub(crate) fn has_worker(&self, id: &str) -> bool {
        self.workers.lock().unwrap().contains_key(id)
    }

    pub(crate) fn pid(&self, id: &str) -> Pid {
        self.worker(id).pid()
    }

    /// Ends the worker `id` as if by itself.
    pub(crate) fn end(&self, id: &str, reason: ExitReason) {
        self.worker(id).cast(Order::End(reason));
    }

    /// Ends the worker `id` by an exit signal; to be told, it must have become idle or not: it acts at once.
    pub(crate) fn kill(&self, id: &str) {
        node().exit(self.pid(id), ExitReason::Kill);
    }
}

/// A worker that tells `start ID` and, as it traps exits, `stop ID: REASON`.
pub(crate) struct Worker {
    script: Script,
}

/// What a worker does.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) id: &'static str,
    pub(crate) stage: Stage,
    /// How long its start takes.
    pub(crate) start_time: Duration,
    /// How long it takes to stop.
    pub(crate) stop_time: Duration,
    /// Says how start number N (from 0) goes.
    pub(crate) start: fn(usize) -> Going,
    pub(crate) starts: Arc<std::sync::atomic::AtomicUsize>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Going {
    Well,
    Ignored,
    Refused,
    Panics,
    /// Ends in its start by an exit signal.
    Dies,
}

pub(crate) enum Order {
    End(ExitReason),
    Panic,
}

impl Script {
    pub(crate) fn child(self) -> Child {
        let id = self.id;
        Spec::<Worker>::new(move || self.clone()).id(id)
    }
}

pub(crate) fn script(stage: &Stage, id: &'static str) -> Script {
    Script {
        id,
        stage: stage.clone(),
        start_time: Duration::ZERO,
        stop_time: Duration::ZERO,
        start: |_| Going::Well,
        starts: Arc::default(),
    }
}

/// A worker that just works.
pub(crate) fn worker(stage: &Stage, id: &'static str) -> Child {
    script(stage, id).child()
}

impl Actor for Worker {
    type Msg = Order;
    type Client = Address<Order>;
    const NAME: &'static str = "Worker";
    const OPTIONS: Options = Options { trap_exit: true, ..Options::DEFAULT };
}

impl Start for Worker {
    type Args = Script;

    async fn start(script: Script, cx: &mut Context<Self>) -> std::result::Result<Self, Refused> {
        if !script.start_time.is_zero() {
            script.stage.tell(format!("begin {}", script.id));
            time::sleep(script.start_time).await;
        }
        let number = script.starts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match (script.start)(number) {
            Going::Well => {}
            Going::Ignored => return Err(Refused::Ignore),
            Going::Refused => return Err(Refused::Error(ExitReason::value("nope"))),
            Going::Panics => panic!("nope"),
            Going::Dies => {
                cx.exit(cx.pid(), ExitReason::Kill);
                std::future::pending::<()>().await;
            }
        }
        script.stage.workers.lock().unwrap().insert(script.id.to_owned(), cx.myself().address().clone());
        script.stage.tell(format!("start {}", script.id));
        Ok(Self { script })
    }
}

impl Handle for Worker {
    async fn handle(&mut self, order: Order, cx: &mut Context<Self>) {
        match order {
            Order::End(reason) => cx.stop(reason),
            Order::Panic => panic!("told to"),
        }
    }

    async fn terminate(&mut self, reason: &ExitReason, _cx: &mut Context<Self>) {
        if !self.script.stop_time.is_zero() {
            time::sleep(self.script.stop_time).await;
        }
        self.script.stage.tell(format!("stop {}: {reason}", self.script.id));
    }
}

/// The pid of the child `id`, if it has one.
pub(crate) async fn pid_of(supervisor: &SupervisorRef, id: &str) -> Option<Pid> {
    status_of(supervisor, id).await.and_then(|status| match status {
        ChildStatus::Running(pid) => Some(pid),
        _ => None,
    })
}

pub(crate) async fn status_of(supervisor: &SupervisorRef, id: &str) -> Option<ChildStatus> {
    let children = supervisor.which_children().await.unwrap();
    children.into_iter().find(|child| &*child.id == id).map(|child| child.status)
}
