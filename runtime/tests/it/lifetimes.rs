//! What lives how long: cells, nodes, and what is dropped with them, on whatever thread that is.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use biotope_runtime::{
    Carrier, ExitReason, FarFuture, Gateway, MethodId, Node, NodeId, PendingReply, Pid, Process, Result, Runtime,
    Signal, StartError, StartFar, node, spawn_process, yield_now,
};
use tokio::sync::oneshot;

/// A program that hangs is not waited for.
const HUNG: Duration = Duration::from_secs(120);

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < HUNG, "{what}");
        std::thread::yield_now();
    }
}

fn start(name: &'static str, runtime: &Runtime) -> Node {
    runtime.block_on(Node::builder(name).runtime(runtime.clone()).start()).expect("it starts")
}

/// The cell of a process is freed by its own worker, at its end, if nobody refers to it. It is so large that it is a
/// piece of the system's, which a later read of it does not survive.
#[test]
fn a_process_that_nobody_refers_to_is_freed_at_its_end() {
    let runtime = Runtime::builder().workers(1).build().expect("threads");
    let node = start("n", &runtime);
    for _ in 0..20 {
        let pid = node
            .spawn_process(async |_: Process<()>| {
                let large = std::hint::black_box([1_u8; 300_000]);
                yield_now().await;
                std::hint::black_box(&large);
                Ok(())
            })
            .pid();
        runtime.block_on(node.ended(pid));
    }
    runtime.block_on(node.shutdown());
}

/// The last reference to a process may go in a tokio task, on a worker that waits among the sockets. It takes the
/// node and the runtime along, if it was all that kept them.
#[test]
fn a_reference_that_goes_in_a_tokio_task_takes_its_node_along() {
    let runtime = Runtime::builder().workers(1).build().expect("threads");
    let node = start("n", &runtime);
    let address = node.spawn_process(async |_: Process<()>| Ok(()));
    runtime.block_on(node.ended(address.pid()));
    let weak = node.downgrade();
    let (drop_it, dropped) = oneshot::channel::<()>();
    runtime.tokio().expect("it is not seeded").spawn(async move {
        let _ = dropped.await;
        drop(address);
    });
    wait_until("the worker never sleeps", || runtime.stats().workers.iter().all(|worker| worker.parks > 0));
    drop((node, runtime));
    assert!(weak.upgrade().is_some(), "the reference keeps it");
    drop_it.send(()).expect("the task waits");
    wait_until("the node is kept", || weak.upgrade().is_none());
}

/// A gateway of which the last act is to spawn a process on another node.
struct LastWish<F: Fn(&Node) + Send + Sync + 'static>(Node, F);

impl<F: Fn(&Node) + Send + Sync + 'static> Carrier for LastWish<F> {
    fn cast(&self, _: Pid, _: MethodId, _: &dyn erased_serde::Serialize) {}
    fn call(&self, _: Pid, _: MethodId, _: &dyn erased_serde::Serialize, _: PendingReply) {}
}

impl<F: Fn(&Node) + Send + Sync + 'static> Gateway for LastWish<F> {
    fn signal(&self, _: Pid, _: Signal) {}
    fn start(&self, _: &str, _: StartFar) -> FarFuture<std::result::Result<Pid, StartError>> {
        Box::pin(async { Err(StartError::NoConnection) })
    }
    fn whereis(&self, _: &str, _: &str) -> FarFuture<std::result::Result<Option<Pid>, ExitReason>> {
        Box::pin(async { Ok(None) })
    }
    fn nodes(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
    fn name_of(&self, _: NodeId) -> Option<Arc<str>> {
        None
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn as_carrier(self: Arc<Self>) -> Arc<dyn Carrier> {
        self
    }
    fn close(&self) -> FarFuture<()> {
        Box::pin(async {})
    }
}

impl<F: Fn(&Node) + Send + Sync + 'static> Drop for LastWish<F> {
    fn drop(&mut self) {
        (self.1)(&self.0);
    }
}

async fn idle(mut me: Process<()>) -> Result<()> {
    me.receive().await?;
    Ok(())
}

/// A worker turns from one node to another, and with the first goes a gateway that spawns on a third: no node gets
/// what belongs to another.
#[test]
fn what_a_worker_has_at_hand_is_of_one_node() {
    let runtime = Runtime::builder().workers(1).build().expect("threads");
    let [a, b, c] = ["a", "b", "c"].map(|name| start(name, &runtime));
    b.install_gateway(Arc::new(LastWish(c.clone(), |node: &Node| drop(node.spawn_process(idle)))));
    let (tell, told) = oneshot::channel();
    let on_a = a.clone();
    a.spawn_process(async move |_: Process<()>| {
        let last = b.spawn_process(async |_: Process<()>| Ok(())).pid();
        while b.is_alive(last) {
            yield_now().await;
        }
        drop(b);
        let pids: BTreeSet<Pid> = (0..80).map(|_| on_a.spawn_process(idle).pid()).collect();
        let _ = tell.send(pids);
        Ok(())
    });
    let pids = runtime.block_on(told).expect("no worker is lost");
    assert_eq!(pids.len(), 80);
    assert_eq!(pids.iter().filter(|pid| a.is_alive(**pid)).count(), 80);
    assert_eq!(c.processes().len(), 1);
    runtime.block_on(async {
        a.shutdown().await;
        c.shutdown().await;
    });
}

/// A node goes with what a worker that falls asleep has at hand. What its gateway spawns is run, although nobody else
/// wakes the worker.
#[test]
fn what_is_spawned_while_a_worker_falls_asleep_is_run() {
    for workers in [1, 2] {
        let runtime = Runtime::builder().workers(workers).build().expect("threads");
        let (b, c) = (start("b", &runtime), start("c", &runtime));
        let ran = Arc::new(AtomicBool::new(false));
        let runs = ran.clone();
        let wish = move |node: &Node| {
            let runs = runs.clone();
            node.spawn_process(async move |_: Process<()>| {
                runs.store(true, Ordering::Release);
                Ok(())
            });
        };
        b.install_gateway(Arc::new(LastWish(c.clone(), wish)));
        let (go, went) = oneshot::channel::<()>();
        b.spawn_process(async move |_: Process<()>| {
            let _ = went.await;
            Ok(())
        });
        drop(b);
        let _ = go.send(());
        wait_until("it is slept over", || ran.load(Ordering::Acquire));
        runtime.block_on(c.shutdown());
    }
}

/// What makes a message of a `Down` may panic: its process ends with that, and its worker goes on.
#[test]
fn mon_a_tag_that_panics_ends_its_process_and_nothing_else() {
    super::everywhere("a_tag_that_panics", || async {
        let victim = spawn_process(idle);
        let pid = victim.pid();
        let watcher = spawn_process(async move |mut me: Process<()>| {
            me.monitor_as(pid, |_| panic!("in a tag"));
            me.receive().await?;
            Ok(())
        });
        let (tell, told) = oneshot::channel();
        let asked = watcher.clone();
        spawn_process(async move |mut me: Process<()>| {
            me.monitor(&asked);
            victim.cast(());
            let down = me.receive_info(|info| match info {
                biotope_runtime::Info::Down(down) => Ok(down),
                other => Err(other),
            });
            let _ = tell.send(down.await?.reason);
            Ok(())
        });
        let reason = told.await?;
        let ExitReason::Panic(report) = reason else { panic!("{reason}") };
        assert_eq!(report.message, "in a tag");
        assert!(!node().is_alive(&watcher));
        Ok(())
    });
}

/// A node that is asked twice at once to shut down does so for both.
#[test]
fn of_two_that_shut_a_node_down_both_are_told_when_it_is() {
    let runtime = Runtime::builder().seeded(3).build().expect("a seeded runtime needs nothing");
    let node = start("n", &runtime);
    let (tell, begun) = oneshot::channel();
    node.spawn_process(async move |mut me: Process<()>| {
        me.trap_exits(true);
        let _ = tell.send(());
        let _ = me.receive_info(Ok::<_, biotope_runtime::Info>).await;
        me.node().runtime().sleep(Duration::from_millis(300)).await;
        Ok(())
    });
    runtime.block_on(begun).expect("it begins");
    let before = runtime.now();
    runtime.block_on(async { tokio::join!(node.shutdown(), node.shutdown()) });
    assert_eq!(runtime.now() - before, Duration::from_millis(300));
}

#[derive(Debug)]
struct Calm;

/// A value that cannot be shown or dropped in peace.
struct Angry;

impl std::fmt::Debug for Angry {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("shown")
    }
}

impl Drop for Angry {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// A process's own values, and messages that wait for their instant, may panic when they are shown or dropped. Who
/// looks learns that, and the end is told all the same.
#[test]
fn proc_values_that_panic_do_not_keep_an_end_from_being_told() {
    super::everywhere("values_that_panic", || async {
        let angry = spawn_process(async |mut me: Process<Option<Angry>>| {
            me.put(Calm);
            me.put(Angry);
            me.send_after(Duration::from_secs(3_600), &me.address(), Some(Angry));
            me.receive().await?;
            Ok(())
        });
        let mut shown = Vec::new();
        while shown.len() < 2 {
            shown = node().process_info(&angry).await.expect("it lives").dictionary;
        }
        assert!(shown.iter().any(|text| text == "Calm") && shown.iter().any(|text| text == "a value that panics"));
        let pid = angry.pid();
        angry.cast(None);
        node().ended(pid).await;
        assert!(!node().is_alive(pid));
        Ok(())
    });
}

/// Code that panics before it has become a process leaves none, and the node can go.
#[test]
fn code_that_panics_before_it_is_a_process_leaves_none() {
    let runtime = Runtime::builder().workers(1).build().expect("threads");
    let node = start("n", &runtime);
    let escaped = Arc::new(parking_lot::Mutex::new(None));
    for _ in 0..100 {
        let out = escaped.clone();
        let spawned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            node.spawn_process(move |me: Process<u32>| -> std::future::Ready<Result<()>> {
                me.address().cast(1);
                *out.lock() = Some(me.address());
                panic!("before it begins")
            })
        }));
        assert!(spawned.is_err());
    }
    assert!(node.processes().is_empty());
    let escaped = escaped.lock().take().expect("it got out");
    assert!(escaped.try_cast(2).is_err(), "nobody is there");
    runtime.block_on(node.shutdown());
}

/// Two that always have something to do get two workers, although each comes next when the other's turn ends.
#[test]
fn two_that_never_wait_get_two_workers() {
    let runtime = Runtime::builder().workers(2).build().expect("threads");
    let node = start("n", &runtime);
    let threads = Arc::new(parking_lot::Mutex::new([None; 2]));
    for number in 0..2 {
        let threads = threads.clone();
        node.spawn_process(async move |_: Process<()>| {
            loop {
                {
                    let mut threads = threads.lock();
                    threads[number] = Some(std::thread::current().id());
                    if threads[0].is_some() && threads[1].is_some() && threads[0] != threads[1] {
                        return Ok(());
                    }
                }
                yield_now().await;
            }
        });
    }
    wait_until("both stay on one worker", || node.processes().is_empty());
    runtime.block_on(node.shutdown());
}

/// Who links to a process while that drops its state is told that it is gone.
#[test]
fn a_child_that_is_linked_to_a_process_at_its_end_is_told() {
    struct Last(Option<oneshot::Sender<Pid>>);
    impl Drop for Last {
        fn drop(&mut self) {
            let child = biotope_runtime::spawn_link(biotope_runtime::process(async |mut me: Process<()>| {
                me.receive().await?;
                Ok(())
            }));
            if let Some(told) = self.0.take() {
                let _ = told.send(child.pid());
            }
        }
    }
    let runtime = Runtime::builder().workers(2).build().expect("threads");
    let node = start("n", &runtime);
    for _ in 0..100 {
        let (told, child) = oneshot::channel();
        let last = Last(Some(told));
        let parent = node.spawn_process(async move |mut me: Process<()>| {
            let _last = last;
            me.receive().await?;
            Ok(())
        });
        node.exit(parent.pid(), ExitReason::Kill);
        let child = runtime.block_on(child).expect("it is spawned");
        runtime.block_on(node.ended(child));
    }
    runtime.block_on(node.shutdown());
}

/// Goal: a child that nobody is linked to is asked to stop too, whenever its parent ends: nobody waits for the grace, and
/// nobody is killed.
#[test]
fn children_whose_parent_ends_during_a_shutdown_are_asked_to_stop() {
    for seed in 0..200 {
        let runtime = Runtime::builder().seeded(seed).build().expect("a seeded runtime needs nothing");
        let node = runtime.block_on(Node::builder("home").runtime(runtime.clone()).start()).expect("it starts");
        node.spawn_process(async move |_: Process<()>| {
            for _ in 0..seed % 5 {
                yield_now().await;
            }
            spawn_process(async |mut me: Process<()>| {
                spawn_process(async |mut me: Process<()>| Ok(me.receive().await?));
                Ok(me.receive().await?)
            });
            Ok(())
        });
        runtime.block_on(runtime.sleep(Duration::from_nanos(seed % 2)));
        let begin = runtime.now();
        runtime.block_on(node.shutdown());
        let lasted = runtime.now() - begin;
        assert!(lasted < Duration::from_secs(1), "seed {seed}: {lasted:?}");
        assert_eq!(node.stats().crashed, 0, "seed {seed}: somebody was killed");
    }
}
