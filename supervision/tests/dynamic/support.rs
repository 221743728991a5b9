//! Ways to run a test, and a worker that does what its plan says.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use biotope_runtime::{
    Actor, ActorRef, Address, Context, ExitReason, Handle, Options, Pid, Process, Refused, Restart, Result, Spec,
    Start, node, spawn_process, time,
};
use biotope_supervision::{Child, DynamicSupervisorRef, IntoChild};
use parking_lot::Mutex;
use tokio::sync::oneshot;

pub(crate) use crate::runs::*;

/// Whoever starts supervisors does not end with them.
pub(crate) const TRAPS: bool = true;

/// How long [`settle`] takes.
pub(crate) const MOMENT: Duration = Duration::from_nanos(1);

/// Lets everything happen that can happen without time passing; in virtual time only.
pub(crate) async fn settle() {
    assert!(node().runtime().is_seeded(), "on the real clock, waiting proves nothing");
    time::sleep(MOMENT).await;
}

/// Waits until `is_so`, letting all others run meanwhile. For what is promised to happen, but of which nobody is told.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let mut tries = 0;
    while !is_so() {
        tries += 1;
        assert!(tries < 100_000 || !node().runtime().is_seeded(), "it did not come about");
        time::yield_now().await;
    }
}

/// When, after now, and why a process ends.
pub(crate) fn end_of(pid: impl Into<Pid>) -> oneshot::Receiver<(ExitReason, Duration)> {
    let (tell, told) = oneshot::channel();
    let (start, ended) = (time::now(), node().ended(pid.into()));
    spawn_process(async move |_: Process<()>| {
        let reason = ended.await;
        let _ = tell.send((reason, time::now() - start));
        Ok(())
    });
    told
}

/// What a worker does. Those of one plan share what they count.
#[derive(Clone)]
pub(crate) struct Plan {
    /// How the start of this number goes, from 0.
    going: fn(usize) -> Going,
    starts: Arc<AtomicUsize>,
    pids: Arc<Mutex<Vec<Pid>>>,
    start_time: Duration,
    stop_time: Duration,
    traps: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Going {
    Well,
    Ignored,
    Refused,
    Panics,
    Never,
}

pub(crate) enum Order {
    End(ExitReason),
}

pub(crate) struct Worker(Plan);

pub(crate) fn plan() -> Plan {
    Plan {
        going: |_| Going::Well,
        starts: Arc::default(),
        pids: Arc::default(),
        start_time: Duration::ZERO,
        stop_time: Duration::ZERO,
        traps: false,
    }
}

impl Plan {
    pub(crate) fn going(self, going: fn(usize) -> Going) -> Self {
        Self { going, ..self }
    }

    pub(crate) fn start_time(self, start_time: Duration) -> Self {
        Self { start_time, ..self }
    }

    /// It traps exits, and takes so long to stop.
    pub(crate) fn stop_time(self, stop_time: Duration) -> Self {
        Self { stop_time, traps: true, ..self }
    }

    /// How often one was started.
    pub(crate) fn starts(&self) -> usize {
        self.starts.load(Ordering::Relaxed)
    }

    /// All that were started, in order.
    pub(crate) fn pids(&self) -> Vec<Pid> {
        self.pids.lock().clone()
    }

    /// The last that was started.
    pub(crate) fn last(&self) -> Pid {
        *self.pids.lock().last().expect("one was started")
    }

    pub(crate) fn child(&self, restart: Restart) -> Child {
        let plan = self.clone();
        Spec::<Worker>::new(move || plan.clone()).restart(restart)
    }
}

impl Actor for Worker {
    type Msg = Order;
    type Client = Address<Order>;
    const NAME: &'static str = "Worker";
    const OPTIONS: Options = Options::DEFAULT;
}

impl Start for Worker {
    type Args = Plan;

    async fn start(plan: Plan, cx: &mut Context<Self>) -> std::result::Result<Self, Refused> {
        cx.trap_exits(plan.traps);
        if !plan.start_time.is_zero() {
            time::sleep(plan.start_time).await;
        }
        let number = plan.starts.fetch_add(1, Ordering::Relaxed);
        match (plan.going)(number) {
            Going::Well => {}
            Going::Ignored => return Err(Refused::Ignore),
            Going::Refused => return Err(Refused::Error(reason("nope"))),
            Going::Panics => panic!("nope"),
            Going::Never => pending().await,
        }
        plan.pids.lock().push(cx.pid());
        Ok(Self(plan))
    }
}

impl Handle for Worker {
    async fn handle(&mut self, order: Order, cx: &mut Context<Self>) {
        match order {
            Order::End(reason) => cx.stop(reason),
        }
    }

    async fn terminate(&mut self, _: &ExitReason, _: &mut Context<Self>) {
        if !self.0.stop_time.is_zero() {
            time::sleep(self.0.stop_time).await;
        }
    }
}

/// Tells the worker `pid` to end, if it is there.
pub(crate) fn end(pid: Pid, why: ExitReason) {
    if let Some(worker) = worker(pid) {
        worker.cast(Order::End(why));
    }
}

pub(crate) fn worker(pid: Pid) -> Option<ActorRef<Worker>> {
    node().actor(pid)
}

/// The processes of the children.
pub(crate) async fn pids_of(supervisor: &DynamicSupervisorRef) -> Result<Vec<Pid>> {
    Ok(supervisor.which_children().await?.iter().filter_map(|child| child.pid()).collect())
}

/// Waits until the supervisor has so many children, of which so many have a process.
pub(crate) async fn until_counted(supervisor: &DynamicSupervisorRef, specs: usize, active: usize) -> Result<()> {
    let mut tries = 0;
    loop {
        let counts = supervisor.count_children().await?;
        if (counts.specs, counts.active) == (specs, active) {
            return Ok(());
        }
        tries += 1;
        assert!(tries < 100_000 || !node().runtime().is_seeded(), "{counts:?}");
        time::yield_now().await;
    }
}
