//! One fault at each step in turn: whatever the moment, the system must come through.

use std::future::Future;
use std::sync::Arc;
use std::thread;

use biotope_runtime::ExitReason;

use crate::TestResult;
use crate::faults::{Doom, Victim};
use crate::run::{Checks, Ran, Setup, run};
use crate::verdict::{number_from, seeds_of};

/// A test that is run again and again, and each time somebody is killed one message later; made by [`at_every_step`].
///
/// # Examples
/// ```
/// use biotope::prelude::*;
/// use biotope::test;
///
/// #[derive(Actor, Default)]
/// struct Worker;
///
/// #[handlers]
/// impl Worker {
///     fn square(&mut self, n: u32) -> u32 {
///         n * n
///     }
/// }
///
/// /// Whenever the worker is killed, it is there again, and whoever calls it tries again.
/// // #[test]
/// fn a_killed_worker_is_replaced() {
///     let steps = test::at_every_step("Worker").seeds(3).kill(|| async {
///         let supervisor = Supervisor::one_for_one().child(Worker::spec().named("worker")).start_link().await?;
///         let worker = node().named::<Worker>("worker");
///         for n in 0..3 {
///             while worker.call(|worker| worker.square(n)).await != Ok(n * n) {
///                 biotope::yield_now().await;
///             }
///         }
///         supervisor.stop_and_wait(ExitReason::Normal).await;
///         Ok::<_, biotope::Error>(())
///     });
///     assert_eq!(steps, 3);
/// }
/// # a_killed_worker_is_replaced();
/// ```
#[derive(Debug)]
#[must_use = "it does nothing until it is told what is to happen"]
pub struct Steps {
    who: Who,
    seeds: u64,
    checks: Checks,
}

/// Whose steps are counted.
#[derive(Debug)]
enum Who {
    /// Of these processes, the messages that they handle.
    Victim(Victim),
    /// Of all processes but the test's own, all that is seen.
    Anybody,
}

/// Runs a test again and again, with a fault for this process at each of the messages that it handles: all that run this
/// actor, or are registered under this name.
pub fn at_every_step(victim: &str) -> Steps {
    Steps::of(Who::Victim(Victim::Called(Arc::from(victim))))
}

/// Runs a test again and again, and each time whoever does the next thing ends with it: at each event that is seen of
/// any process but the body's own, from the moment that it is spawned to its last one. Events are what the history of a failure
/// shows: a process begins, takes a message, is done with it, sends, replies, spawns, links.
///
/// Crashes are allowed: whoever depends on what was ended may end too. What the body leaves is not, nor is memory: each run must
/// have as many [pieces](biotope_runtime::RuntimeStats::pieces) in use, and timers set, at its end as the run in which nobody
/// was ended.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
/// use biotope::test;
///
/// #[derive(Actor, Default)]
/// struct Worker;
///
/// #[handlers]
/// impl Worker {
///     fn square(&mut self, n: u32) -> u32 {
///         n * n
///     }
/// }
///
/// /// Whoever is killed when, nothing is left.
/// // #[test]
/// fn nothing_outlives_a_supervisor() {
///     let steps = test::at_every_event().kill(|| async {
///         let workers = Supervisor::one_for_all().child(Worker::spec().named("worker")).child(Worker::spec().id("other"));
///         // It may be killed while it starts, and the worker while it is asked.
///         let Ok(workers) = workers.start_on(&node(), biotope::SpawnOptions::default()).await else { return };
///         let worker = node().named::<Worker>("worker");
///         let _ = worker.call(|worker| worker.square(3)).await;
///         workers.stop_and_wait(ExitReason::Normal).await;
///     });
///     assert!(steps > 5);
/// }
/// # nothing_outlives_a_supervisor();
/// ```
pub fn at_every_event() -> Steps {
    Steps::of(Who::Anybody).allow_crashes()
}

impl Steps {
    fn of(who: Who) -> Self {
        Self { who, seeds: 1, checks: Checks { crashes: true, leftovers: true } }
    }

    /// Under so many seeds, from 0.
    pub fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = seeds;
        self
    }

    /// Lets the body leave what it has started.
    pub fn allow_leftovers(mut self) -> Self {
        self.checks.leftovers = false;
        self
    }

    /// Lets processes crash of which nobody has said that they do.
    pub fn allow_crashes(mut self) -> Self {
        self.checks.crashes = false;
        self
    }

    /// Runs `body` once without a fault, which says how many steps there are; and then for each of them once, in which whoever
    /// takes it is killed: instead of handling its message, if it was named. Returns how many there were under seed 0.
    ///
    /// The environment variables `BIOTOPE_SEED` and `BIOTOPE_STEP` replay one run.
    ///
    /// # Panics
    /// If a run fails: with the step, the line that replays it, and the last events. If there is no step.
    pub fn kill<B, F, O>(self, body: B) -> u64
    where
        B: Fn() -> F,
        F: Future<Output = O> + Send + 'static,
        O: TestResult,
    {
        self.end(&ExitReason::Kill, body)
    }

    /// Like [`kill`](Self::kill), with an exit signal with `reason` that comes from nobody: whoever traps exits may do as it likes,
    /// and a supervisor stops its children in order.
    ///
    /// # Panics
    /// As [`kill`](Self::kill). If a victim was named: whoever is about to handle a message is killed, or not at all.
    pub fn exit<B, F, O>(self, reason: &ExitReason, body: B) -> u64
    where
        B: Fn() -> F,
        F: Future<Output = O> + Send + 'static,
        O: TestResult,
    {
        assert!(matches!(self.who, Who::Anybody), "an exit strikes at events of anybody: use `at_every_event`");
        self.end(reason, body)
    }

    fn end<B, F, O>(self, reason: &ExitReason, body: B) -> u64
    where
        B: Fn() -> F,
        F: Future<Output = O> + Send + 'static,
        O: TestResult,
    {
        let mut first = None;
        for seed in seeds_of(self.seeds.max(1)) {
            let whole = self.run(seed, None, body());
            let left = (whole.pieces, whole.timers);
            self.judge(seed, None, left, &whole);
            let steps = whole.kit.with(|state| match &state.doom {
                Some(doom) => doom.counted(),
                None => state.faults.counted(),
            });
            match &self.who {
                Who::Victim(victim) => {
                    assert!(steps > 0, "nothing that is called {victim} handles a message under seed {seed}");
                }
                Who::Anybody => assert!(steps > 0, "nothing happens under seed {seed}"),
            }
            first.get_or_insert(steps);
            let only = number_from("BIOTOPE_STEP");
            assert!(
                only.is_none_or(|only| (1..=steps).contains(&only)),
                "BIOTOPE_STEP: there are {steps} under seed {seed}"
            );
            for step in (1..=steps).filter(|step| only.is_none_or(|only| only == *step)) {
                self.judge(seed, Some(step), left, &self.run(seed, Some((step, reason)), body()));
            }
        }
        first.unwrap_or_default()
    }

    /// Runs `body`, with an end at a step, or only to count them.
    fn run<F, O>(&self, seed: u64, end: Option<(u64, &ExitReason)>, body: F) -> Ran
    where
        F: Future<Output = O> + Send + 'static,
        O: TestResult,
    {
        let mut setup = Setup::drawn(seed, self.checks);
        match (&self.who, end) {
            (Who::Victim(victim), None) => setup.faults.count(victim.clone()),
            (Who::Victim(victim), Some((step, _))) => setup.faults.kill_at(victim.clone(), step),
            (Who::Anybody, None) => setup.doom = Some(Doom::never()),
            (Who::Anybody, Some((step, reason))) => setup.doom = Some(Doom::new(step, reason.clone())),
        }
        run(setup, body)
    }

    fn judge(&self, seed: u64, step: Option<u64>, (pieces, timers): (usize, usize), ran: &Ran) {
        let mut wrong = ran.wrong.clone();
        if wrong.is_empty() && self.checks.leftovers && ran.pieces != pieces {
            let text = format!(
                "{} pieces of memory are in use at its end, and {pieces} when nobody is ended: cells of processes, blocks of \
                 their mailboxes, or records",
                ran.pieces
            );
            wrong.push(text);
        }
        if wrong.is_empty() && self.checks.leftovers && ran.timers != timers {
            wrong.push(format!("{} timers are set at its end, and {timers} when nobody is ended", ran.timers));
        }
        if wrong.is_empty() {
            return;
        }
        let (failure, events) = (wrong.join("\nalso: "), ran.events());
        let thread = thread::current();
        let test = thread.name().unwrap_or("NAME");
        match step {
            None => panic!(
                "{test} under seed {seed}, without a fault: {failure}\nreplay: BIOTOPE_SEED={seed} cargo test {test}{events}"
            ),
            Some(step) => panic!(
                "{test} under seed {seed}, with an end at step {step}: {failure}\n\
                 replay: BIOTOPE_SEED={seed} BIOTOPE_STEP={step} cargo test {test}{events}"
            ),
        }
    }
}
