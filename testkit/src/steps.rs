//! One fault at each step in turn: whatever the moment, the system must come through.

use std::future::Future;
use std::sync::Arc;
use std::thread;

use crate::TestResult;
use crate::faults::{Rules, Victim};
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
    victim: Victim,
    seeds: u64,
    checks: Checks,
}

/// Runs a test again and again, with a fault for this process at each of the messages that it handles: all that run this
/// actor, or are registered under this name.
pub fn at_every_step(victim: &str) -> Steps {
    let checks = Checks { crashes: true, leftovers: true };
    Steps { victim: Victim::Called(Arc::from(victim)), seeds: 1, checks }
}

impl Steps {
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

    /// Runs `body` once without a fault, which says how many messages the victim handles; and then for each of these
    /// messages once, in which the victim is killed instead of handling it. Returns how many there were under seed 0.
    ///
    /// The environment variables `BIOTOPE_SEED` and `BIOTOPE_STEP` replay one run.
    ///
    /// # Panics
    /// If a run fails: with the step, the line that replays it, and the last events. If the victim handles nothing.
    pub fn kill<B, F, O>(self, body: B) -> u64
    where
        B: Fn() -> F,
        F: Future<Output = O> + Send + 'static,
        O: TestResult,
    {
        let mut first = None;
        for seed in seeds_of(self.seeds.max(1)) {
            let mut counting = Rules::default();
            counting.count(self.victim.clone());
            let whole = self.run(seed, counting, body());
            self.judge(seed, None, &whole);
            let steps = whole.kit.with(|state| state.faults.counted());
            assert!(steps > 0, "nothing that is called {} handles a message under seed {seed}", self.victim);
            first.get_or_insert(steps);
            let only = number_from("BIOTOPE_STEP");
            assert!(
                only.is_none_or(|only| (1..=steps).contains(&only)),
                "BIOTOPE_STEP: there are {steps} under seed {seed}"
            );
            for step in (1..=steps).filter(|step| only.is_none_or(|only| only == *step)) {
                let mut kill = Rules::default();
                kill.kill_at(self.victim.clone(), step);
                self.judge(seed, Some(step), &self.run(seed, kill, body()));
            }
        }
        first.unwrap_or_default()
    }

    fn run<F, O>(&self, seed: u64, faults: Rules, body: F) -> Ran
    where
        F: Future<Output = O> + Send + 'static,
        O: TestResult,
    {
        run(Setup { faults, ..Setup::drawn(seed, self.checks) }, body)
    }

    fn judge(&self, seed: u64, step: Option<u64>, ran: &Ran) {
        if ran.wrong.is_empty() {
            return;
        }
        let (failure, events) = (ran.wrong.join("\nalso: "), ran.events());
        let thread = thread::current();
        let test = thread.name().unwrap_or("NAME");
        match step {
            None => panic!(
                "{test} under seed {seed}, without a fault: {failure}\nreplay: BIOTOPE_SEED={seed} cargo test {test}{events}"
            ),
            Some(step) => panic!(
                "{test} under seed {seed}, with a kill at message {step}: {failure}\n\
                 replay: BIOTOPE_SEED={seed} BIOTOPE_STEP={step} cargo test {test}{events}"
            ),
        }
    }
}
