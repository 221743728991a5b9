//! One run of a test's body, and what is wrong with it.

use std::any::Any;
use std::fmt::Write;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use biotope_runtime::{Ended, ExitReason, Node, ProcessInfo, Runtime, exit_now, node, run_on, this_pid, time};
use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use crate::TestResult;
use crate::faults::{Doom, Rules};
use crate::kit::{Endless, Kit, without_backtrace};
use crate::outside;
use crate::schedule::Plan;

/// So long what a test has stopped may take to end: in virtual time under a seed.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// So long what a test leaves may take to end by itself: in virtual time under a seed.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);
/// So many of the things that a test leaves are named.
const NAMED: usize = 10;

/// How a body is run.
pub(crate) struct Setup {
    /// In virtual time, under this seed; on real threads without one.
    pub(crate) seed: Option<u64>,
    pub(crate) plan: Plan,
    pub(crate) faults: Rules,
    pub(crate) doom: Option<Doom>,
    pub(crate) checks: Checks,
}

/// What a run is checked for, beside what its body says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checks {
    /// Crashes that nobody has asked for.
    pub(crate) crashes: bool,
    /// What the body leaves.
    pub(crate) leftovers: bool,
}

/// A run that is over.
pub(crate) struct Ran {
    /// What was wrong with it; the first is what it failed of.
    pub(crate) wrong: Vec<String>,
    /// It would not have come to an end.
    pub(crate) is_endless: bool,
    /// How many pieces of the runtime's memory were in use when it was over.
    pub(crate) pieces: usize,
    /// How many timers were set.
    pub(crate) timers: usize,
    pub(crate) kit: Arc<Kit>,
}

impl Setup {
    /// Under this seed, as it has drawn it.
    pub(crate) fn drawn(seed: u64, checks: Checks) -> Self {
        Self { seed: Some(seed), plan: Plan::Drawn(seed), faults: Rules::default(), doom: None, checks }
    }
}

/// Runs `body`.
pub(crate) fn run<F, O>(setup: Setup, body: F) -> Ran
where
    F: Future<Output = O> + Send + 'static,
    O: TestResult,
{
    if setup.seed.is_none() {
        return play(setup, body);
    }
    // A thread of its own: what lies in thread-locals, as the keys of hash maps do, is new in each run.
    let name = thread::current().name().unwrap_or("a test").to_owned();
    thread::scope(|scope| {
        let run = thread::Builder::new().name(name).spawn_scoped(scope, || play(setup, body));
        match run.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(ran)) => ran,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => panic!("no thread for the test: {error}"),
        }
    })
}

fn play<F, O>(setup: Setup, body: F) -> Ran
where
    F: Future<Output = O> + Send + 'static,
    O: TestResult,
{
    let Setup { seed, plan, faults, doom, checks } = setup;
    let outside = seed.map(outside::shut);
    let kit = Arc::new(Kit::new(plan, faults, checks));
    kit.with(|state| state.doom = doom);
    let builder = Runtime::builder().director(kit.clone());
    let builder = match seed {
        Some(seed) => builder.seeded(seed),
        None => builder,
    };
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime for the test: {error}"),
    };
    kit.begin(runtime.now());
    if let Some(outside) = &outside {
        outside.follow(&runtime);
    }
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(act(&runtime, &kit, body, checks))));
    let mut wrong = outside.map(|outside| outside.open()).unwrap_or_default();
    let mut is_endless = false;
    match played {
        Ok(more) => wrong.extend(more),
        Err(panic) => {
            is_endless = panic.is::<Endless>();
            wrong.push(said(&*panic));
            // What is left is dropped, as after any other failure; if that has no end either, it stays.
            kit.let_end();
            let _ = catch_unwind(AssertUnwindSafe(|| runtime.block_on(end_all(&runtime))));
        }
    }
    kit.forget_lost();
    let stats = runtime.stats();
    Ran { wrong, is_endless, pieces: stats.pieces, timers: stats.timers, kit }
}

/// Runs the body on a node of its own. Returns what is wrong.
async fn act<F, O>(runtime: &Runtime, kit: &Arc<Kit>, body: F, checks: Checks) -> Vec<String>
where
    F: Future<Output = O> + Send + 'static,
    O: TestResult,
{
    let node = match Node::builder("test").runtime(runtime.clone()).start().await {
        Ok(node) => node,
        Err(error) => return vec![format!("no node for the test: {error}")],
    };
    let directed = kit.clone();
    let (tell, mut told) = oneshot::channel();
    let outcome = run_on(&node, async move {
        directed.with(|state| {
            state.deaths.test = Some(this_pid());
            let id = state.cast.id(this_pid());
            state.cast.rename(id, "test");
        });
        body.await.into_result()?;
        let _ = tell.send(finish(&directed).await);
        // Whoever is linked to it ends with it.
        exit_now(ExitReason::Shutdown)
    })
    .await;

    let mut wrong = Vec::new();
    let finished = told.try_recv().ok();
    if let (Err(reason), None) = (&outcome, &finished) {
        wrong.push(reason.to_string());
    }
    let has_failed = finished.is_none();
    if has_failed && wrong.is_empty() {
        wrong.push("the test's process ended before its body did".to_owned());
    }
    let Finished { linked, wrong: still } = finished.unwrap_or_default();
    for end in linked {
        let _ = select(end, pin!(runtime.sleep(ENDS_WITHIN))).await;
    }
    if !has_failed {
        settle(runtime, checks).await;
    }
    kit.with(|state| {
        let (unasked, missing) = state.deaths.judge();
        if checks.crashes {
            wrong.extend(unasked.iter().map(|report| {
                let report = without_backtrace(report);
                format!("a crash that nobody asked for (`test::expect_crash` does, or a probe that sees it): {report}")
            }));
        }
        if !has_failed {
            wrong.extend(state.faults.unmet());
            let missing = missing.iter();
            wrong.extend(missing.map(|text| format!("no process crashed with `{text}`, as was expected")));
        }
    });
    if checks.leftovers && !has_failed {
        wrong.extend(still);
        wrong.extend(left(runtime).await);
    }
    end_all(runtime).await;
    wrong
}

/// Ends all nodes of the runtime.
async fn end_all(runtime: &Runtime) {
    for node in runtime.nodes() {
        node.shutdown().await;
    }
}

/// What is known when the body is over.
#[derive(Default)]
struct Finished {
    /// The ends of those that are linked to the test.
    linked: Vec<Ended>,
    /// What is still tied to it, and should not be.
    wrong: Vec<String>,
}

/// In the test's own process, when its body is over: stops what is to be stopped, and sees what is still tied to it.
async fn finish(kit: &Kit) -> Finished {
    let mut wrong = Vec::new();
    for pid in kit.with(|state| std::mem::take(&mut state.to_stop)).into_iter().rev() {
        let ended = node().ended(pid);
        // Whoever it is linked to, as the test may be, does not share such an end.
        node().stop(pid, ExitReason::Normal);
        if time::timeout(ENDS_WITHIN, ended).await.is_err() {
            wrong.push(format!("{pid} was told to stop at the end of the test, and did not within {ENDS_WITHIN:?}"));
        }
    }
    let Some(info) = node().peek(this_pid()) else { return Finished { linked: Vec::new(), wrong } };
    if let Some(name) = info.name {
        wrong.push(format!("the test is registered as `{name}` at its end"));
    }
    wrong.extend(info.monitors.iter().map(|target| format!("the test monitors {target:?} at its end")));
    if info.timers > 0 {
        wrong.push(format!("{} timers are set for the test at its end", info.timers));
    }
    Finished { linked: info.links.into_iter().map(|pid| node().ended(pid)).collect(), wrong }
}

/// Lets whatever can run do so, and what is about to end come to its end.
async fn settle(runtime: &Runtime, checks: Checks) {
    if runtime.is_seeded() {
        // Time moves when nothing can run.
        runtime.sleep(Duration::from_nanos(1)).await;
    }
    let mut over = pin!(runtime.sleep(SETTLES_WITHIN));
    // Whoever ends may have begun another one.
    while checks.leftovers
        && let Some((node, info)) = alive(runtime).into_iter().next()
    {
        if let Either::Right(_) = select(node.ended(info.pid), &mut over).await {
            return;
        }
    }
}

/// What is left on the nodes of the runtime.
async fn left(runtime: &Runtime) -> Vec<String> {
    let mut left = alive(runtime);
    let more = left.len().saturating_sub(NAMED);
    left.truncate(NAMED);
    let mut wrong: Vec<String> = left.into_iter().map(|(node, info)| outlives(&node, &info)).collect();
    if more > 0 {
        wrong.push(format!("and {more} more processes outlive the test"));
    }
    // Of those that live, their names are told.
    if wrong.is_empty() {
        for node in runtime.nodes() {
            wrong.extend(node.registered().iter().map(|name| format!("the name `{name}` outlives its process")));
        }
    }
    if let Some(first) = wrong.first_mut() {
        first.push_str(
            "\n  (stop it, or start it with `test::spawn` or `test::start`, which stops it at the end, or link to it; `allow_leftovers` leaves it)",
        );
    }
    wrong
}

/// The processes that there are, without those that the runtime has for itself.
fn alive(runtime: &Runtime) -> Vec<(Node, ProcessInfo)> {
    let of = |node: Node| {
        let all = node.processes().into_iter().filter(|info| !info.actor.starts_with("biotope_runtime::"));
        all.map(|info| (node.clone(), info)).collect::<Vec<_>>()
    };
    runtime.nodes().into_iter().flat_map(of).collect()
}

fn outlives(node: &Node, info: &ProcessInfo) -> String {
    let name = info.name.as_deref().map(|name| format!(" \"{name}\"")).unwrap_or_default();
    let mut text = format!("{}{name} {} outlives the test: {:?}", info.actor, info.pid, info.status);
    if node.name() != "test" {
        let _ = write!(text, ", on node {}", node.name());
    }
    if info.mailbox_len > 0 {
        let _ = write!(text, ", {} messages in its mailbox", info.mailbox_len);
    }
    if info.timers > 0 {
        let _ = write!(text, ", {} timers", info.timers);
    }
    if !info.links.is_empty() {
        let _ = write!(text, ", linked to {:?}", info.links);
    }
    if !info.monitors.is_empty() {
        let _ = write!(text, ", monitors {:?}", info.monitors);
    }
    text
}

/// What a run that was unwound says of it.
fn said(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<Endless>(), panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(Endless(text)), ..) => text.clone(),
        (_, Some(text), _) => (*text).to_owned(),
        (.., Some(text)) => text.clone(),
        _ => "a panic outside of processes".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use biotope_runtime::{Address, Process, spawn_process, yield_now};

    use super::*;
    use crate::history::first_difference;

    /// Processes that spawn others, send, wait, and are cut short.
    async fn a_crowd() {
        let sink = spawn_process(async |mut me: Process<u32>| {
            for _ in 0..30 {
                me.receive().await?;
            }
            Ok(())
        });
        let end = node().ended(&sink);
        for number in 0..5 {
            let sink = sink.clone();
            spawn_process(async move |_: Process<()>| {
                for _ in 0..3 {
                    sink.cast(number);
                    yield_now().await;
                }
                let child = spawn_process(async move |mut me: Process<Address<u32>>| {
                    for _ in 0..3 {
                        me.receive().await?.cast(number);
                    }
                    Ok(())
                });
                (0..3).for_each(|_| child.cast(sink.clone()));
                time::sleep(Duration::from_millis(number.into())).await;
                Ok(())
            });
        }
        end.await;
        time::sleep(Duration::from_secs(1)).await;
    }

    /// Goal: what is written down of a run is enough to have it again.
    #[test]
    fn all_choices_of_a_run_are_that_run() {
        let checks = Checks { crashes: true, leftovers: true };
        let marks = |ran: &Ran| ran.kit.with(|state| state.history.take_marks());
        let mut fifo = Vec::new();
        for seed in 0..100 {
            let drawn = run(Setup::drawn(seed, checks), a_crowd());
            assert!(drawn.wrong.is_empty(), "{:?}", drawn.wrong);
            let steps = drawn.kit.with(|state| state.schedule.take_steps()).expect("they are few");
            let replayed = run(Setup { plan: Plan::Steps(steps), ..Setup::drawn(seed, checks) }, a_crowd());
            let (drawn, replayed) = (marks(&drawn), marks(&replayed));
            assert_eq!(first_difference(&drawn, &replayed), None, "seed {seed}");
            match seed {
                0 => fifo = drawn,
                _ => assert_ne!(first_difference(&drawn, &fifo), None, "seed {seed} has an order of its own"),
            }
        }
        // Without any choice it is seed 0, whose turns are in order.
        let none = run(Setup { plan: Plan::Steps(Vec::new()), ..Setup::drawn(7, checks) }, a_crowd());
        assert_eq!(first_difference(&marks(&none), &fifo), None);
    }
}
