//! Where the cases run: on threads, under seeds, in an OS process of their own.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::Once;
use std::task::Poll;
use std::time::Duration;

use biotope_runtime::{
    ExitReason, Node, Process, Result, Runtime, RuntimeBuilder, SpawnOptions, node, time, yield_now,
};
use biotope_testkit::repetitions;
use tokio::sync::oneshot;

use crate::puppets::next_down;
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
pub(crate) const HUNG: Duration = Duration::from_secs(300);

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
    under_seeds(SEEDS, body);
}

/// The seeds from 0 to `count`, exclusive; or the one that is to be replayed; or none.
fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("BIOTOPE_SEED") {
        Ok(seed) if seed == NO_SEED => 0..0,
        Ok(seed) => {
            let seed: u64 = seed.parse().unwrap_or_else(|_| panic!("BIOTOPE_SEED is `{seed}`, which is no number"));
            seed..seed + 1
        }
        Err(_) => 0..repetitions(count),
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
    for n in 0..repetitions(runs as u64) as usize {
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

/// Runs `body` as a process in virtual time, under the seeds below `count`, or under the one that
/// `BIOTOPE_SEED` names.
pub(crate) fn under_seeds<M, B, F>(count: u64, body: B)
where
    M: Send + 'static,
    B: Fn(Process<M>) -> F,
    F: Future<Output = Result<()>> + Send + 'static,
{
    for seed in seeds(count) {
        let attempt = AssertUnwindSafe(|| run(Runtime::builder().seeded(seed), &body));
        let failure = match catch_unwind(attempt) {
            Ok(Ok(())) => continue,
            Ok(Err(reason)) => reason.to_string(),
            Err(panic) => match panic.downcast_ref::<String>() {
                Some(text) => text.clone(),
                None => panic.downcast_ref::<&str>().map_or_else(|| "it panicked".to_owned(), ToString::to_string),
            },
        };
        let current = std::thread::current();
        let name = current.name().unwrap_or("otp");
        panic!("under seed {seed}: {failure}\nreplay: BIOTOPE_SEED={seed} cargo test --test otp {name}");
    }
}

/// Runs `body` as a process on the real scheduler, so many times, with more workers than most machines
/// of CI have cores.
pub(crate) fn threads<M, B, F>(times: u32, body: B)
where
    M: Send + 'static,
    B: Fn(Process<M>) -> F,
    F: Future<Output = Result<()>> + Send + 'static,
{
    for _ in 0..repetitions(times.into()) {
        once(Runtime::builder().workers(4), &body);
    }
}

/// Runs `body` as a process, once, on the real scheduler that `builder` makes. If it hangs it fails.
pub(crate) fn once<M, B, F>(builder: RuntimeBuilder, body: B)
where
    M: Send + 'static,
    B: FnOnce(Process<M>) -> F,
    F: Future<Output = Result<()>> + Send + 'static,
{
    // What replays a seed replays that only.
    if std::env::var_os("BIOTOPE_SEED").is_none()
        && let Err(reason) = run(builder, body)
    {
        panic!("{reason}");
    }
}

/// Whether this runs in virtual time.
pub(crate) fn is_virtual() -> bool {
    node().runtime().is_seeded()
}

/// A random number, drawn from the seed in a seeded run.
pub(crate) fn random(below: u64) -> u64 {
    node().runtime().random() % below
}

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Waits until `condition` holds, letting all others run meanwhile. For what is promised to happen, but
/// of which nobody is told. In virtual time it must hold within a second.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let begin = time::now();
    while !condition() {
        if is_virtual() {
            assert!(time::now() - begin < secs(1), "what was promised has not happened");
            time::sleep(millis(1)).await;
        } else {
            time::yield_now().await;
        }
    }
}
