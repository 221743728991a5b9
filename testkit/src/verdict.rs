//! All runs of one test, and what is printed of one that fails.

use std::future::Future;
use std::ops::Range;

use biotope_runtime::Runtime;

use crate::history::first_difference;
use crate::run::{Checks, Ran, Setup, run};
use crate::schedule::{self, Plan, Step};
use crate::shrink::shrink;
use crate::{TestResult, once};

/// So many events are printed of a run that fails.
const EVENTS_PRINTED: usize = 30;
/// So many runs may go into making a failing one smaller.
const SHRINKING_RUNS: usize = 400;
/// An order of more choices is not printed.
const LONGEST_ORDER: usize = 40;
/// Of so many seeds in a row, one is run twice.
const TWICE_EVERY: u64 = 64;

/// What `#[biotope::test]` was told.
#[derive(Clone, Copy, Debug, Default)]
pub struct TestOptions {
    /// The test's path.
    pub name: &'static str,
    /// Run under the seeds from 0 to this one, exclusive, in virtual time.
    pub seeds: Option<u64>,
    /// Run under this seed only.
    pub seed: Option<u64>,
    /// Run so often on the real scheduler; once, if there are no seeds either.
    pub real: Option<u64>,
    /// A process may die by its own doing.
    pub allow_crashes: bool,
    /// What the body starts may outlive it.
    pub allow_leftovers: bool,
}

/// The body of `#[biotope::test]`: [`check`] for a test harness.
///
/// # Panics
/// If the test fails, with what [`Failed`] says.
pub fn test<B, F, O>(options: TestOptions, body: B)
where
    B: Fn() -> F,
    F: Future<Output = O> + Send + 'static,
    O: TestResult,
{
    if let Err(failed) = check(options, body) {
        panic!("{failed}");
    }
}

/// Runs a test as its options say: on the real scheduler, under seeds, or both.
///
/// | environment | |
/// |---|---|
/// | `BIOTOPE_SEED=7` | of a test that has seeds, runs this one |
/// | `BIOTOPE_ORDER=2.1@3` | with a seed: turns first in, first out, but for these choices |
/// | `BIOTOPE_SEEDS=10` | runs so many seeds at most |
/// | `BIOTOPE_SHRINK=0` | does not make a failing run smaller |
///
/// # Errors
/// [`Failed`], with the first run that fails: see the [crate](crate) for what fails a test.
///
/// # Panics
/// If a variable of the environment is not what the table says.
pub fn check<B, F, O>(options: TestOptions, body: B) -> Result<(), Failed>
where
    B: Fn() -> F,
    F: Future<Output = O> + Send + 'static,
    O: TestResult,
{
    let checks = Checks { crashes: !options.allow_crashes, leftovers: !options.allow_leftovers };
    let trial = Trial { name: options.name, checks, body: &body };
    let seeds = match (options.seed, options.seeds) {
        (None, None) => 0..0,
        (Some(seed), _) => seed..seed + 1,
        (None, Some(seeds)) => match number_from("BIOTOPE_SEED") {
            Some(seed) => seed..seed + 1,
            None => 0..repetitions(seeds),
        },
    };
    let is_replay = !seeds.is_empty() && std::env::var_os("BIOTOPE_SEED").is_some();
    let real = match (options.real, seeds.is_empty()) {
        (None, true) => 1,
        (Some(real), _) if !is_replay => repetitions(real),
        _ => 0,
    };
    for _ in 0..real {
        trial.on_threads()?;
    }
    trial.under(seeds)
}

/// A test has failed. As text it says what was wrong, how that is replayed, and what had happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
#[non_exhaustive]
pub struct Failed {
    /// All of it.
    pub text: String,
    /// The seed that it failed under; none, if that was on the real scheduler.
    pub seed: Option<u64>,
    /// How many choices led to it, and how many of them are needed, as far as that was tried.
    pub choices: Option<(usize, usize)>,
}

/// Runs `body` under the seeds from 0 to `seeds`, exclusive, in virtual time, and looks at nothing but what it ends with. Nobody
/// directs the runtime: it is for tests of the runtime itself, on the ways that it takes without a director.
///
/// # Panics
/// If the body fails, with its exit reason and the seed. `BIOTOPE_SEED` replays it.
pub fn under_seeds<B, F, O>(name: &str, seeds: u64, body: B)
where
    B: Fn() -> F,
    F: Future<Output = O> + Send + 'static,
    O: TestResult,
{
    let seeds = match number_from("BIOTOPE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..repetitions(seeds),
    };
    for seed in seeds {
        if let Err(reason) = once(Runtime::builder().seeded(seed), body()) {
            panic!("{name} under seed {seed}: {reason}\nreplay: BIOTOPE_SEED={seed} cargo test {name}");
        }
    }
}

/// Runs `body` on the real scheduler, like [`under_seeds`].
///
/// # Panics
/// If the body fails, with its exit reason.
pub fn on_threads<B, F, O>(name: &str, body: B)
where
    B: Fn() -> F,
    F: Future<Output = O> + Send + 'static,
    O: TestResult,
{
    if let Err(reason) = once(Runtime::builder(), body()) {
        panic!("{name}: {reason}");
    }
}

/// How often a test repeats itself that usually does so `usual` times: `BIOTOPE_SEEDS`, if that is less.
/// For where each run takes long, as under a sanitizer.
///
/// # Panics
/// If `BIOTOPE_SEEDS` is no number.
pub fn repetitions(usual: u64) -> u64 {
    number_from("BIOTOPE_SEEDS").map_or(usual, |most| most.min(usual))
}

pub(crate) fn number_from(variable: &str) -> Option<u64> {
    let number = std::env::var(variable).ok()?;
    match number.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{variable} is `{number}`, which is no number"),
    }
}

struct Trial<'a, B> {
    name: &'a str,
    checks: Checks,
    body: &'a B,
}

impl<B, F, O> Trial<'_, B>
where
    B: Fn() -> F,
    F: Future<Output = O> + Send + 'static,
    O: TestResult,
{
    fn on_threads(&self) -> Result<(), Failed> {
        let setup =
            Setup { seed: None, plan: Plan::Steps(Vec::new()), faults: Default::default(), checks: self.checks };
        let ran = run(setup, (self.body)());
        match &ran.failure {
            None => Ok(()),
            Some(failure) => {
                let text = format!("{}: {failure}{}", self.name, ran.events());
                Err(Failed { text, seed: None, choices: None })
            }
        }
    }

    fn under(&self, seeds: Range<u64>) -> Result<(), Failed> {
        let first = seeds.start;
        let order = std::env::var("BIOTOPE_ORDER").ok().map(|order| match schedule::read(&order) {
            Ok(steps) => steps,
            Err(error) => panic!("BIOTOPE_ORDER: {error}"),
        });
        for seed in seeds {
            let plan = order.clone().map_or(Plan::Drawn(seed), Plan::Steps);
            let ran = self.once(seed, plan.clone());
            if (seed - first).is_multiple_of(TWICE_EVERY) {
                self.compare(seed, &ran, &self.once(seed, plan))?;
            }
            if let Some(failure) = &ran.failure {
                let is_drawn = order.is_none() && number_from("BIOTOPE_SHRINK") != Some(0);
                return Err(self.fail(seed, &ran, failure, is_drawn));
            }
        }
        Ok(())
    }

    fn once(&self, seed: u64, plan: Plan) -> Ran {
        run(Setup { plan, ..Setup::drawn(seed, self.checks) }, (self.body)())
    }

    /// The two runs of one seed must be the same.
    fn compare(&self, seed: u64, one: &Ran, other: &Ran) -> Result<(), Failed> {
        let Some(place) = one.first_difference(other) else { return Ok(()) };
        let around = |ran: &Ran| ran.kit.with(|state| state.history.around(place, 4, &state.cast));
        let text = format!(
            "{}: two runs of seed {seed} differ at event {place}, so that no failure could be replayed: something in it is \
             decided by neither the seed nor virtual time (an address, a static, an atomic that others change)\n\
             the first run:{}\nthe second run:{}",
            self.name,
            around(one),
            around(other)
        );
        Err(Failed { text, seed: Some(seed), choices: None })
    }

    fn fail(&self, seed: u64, ran: &Ran, failure: &str, shrinks: bool) -> Failed {
        // The harness knows a test by its path within the crate.
        let test = self.name.split_once("::").map_or(self.name, |(_, test)| test);
        let head = format!("{} under seed {seed}: {failure}\nreplay: BIOTOPE_SEED={seed} cargo test {test}", self.name);
        let steps = ran.kit.with(|state| state.schedule.take_steps());
        let smaller = steps.filter(|_| shrinks).map(|steps| self.shrink(seed, failure, steps));
        let Some((from, steps, small)) = smaller else {
            return Failed { text: head + &ran.events(), seed: Some(seed), choices: None };
        };
        // With all its choices a run is what it was.
        let events = small.as_ref().map_or_else(|| ran.events(), Ran::events);
        let order = schedule::written(&steps);
        let command = if steps.len() <= LONGEST_ORDER {
            format!(": BIOTOPE_SEED={seed} BIOTOPE_ORDER={order} cargo test {test}")
        } else {
            String::new()
        };
        let text = format!("{head}\nshrunk from {from} choices to {}{command}{events}", steps.len());
        Failed { text, seed: Some(seed), choices: Some((from, steps.len())) }
    }

    /// The fewest of these choices with which it fails in the same way; how many there were, and a run of those.
    fn shrink(&self, seed: u64, failure: &str, steps: Vec<Step>) -> (usize, Vec<Step>, Option<Ran>) {
        let from = steps.len();
        let kind = kind_of(failure);
        let fails = |steps: &[Step]| {
            let ran = self.once(seed, Plan::Steps(steps.to_vec()));
            ran.failure.as_deref().is_some_and(|failure| kind_of(failure) == kind).then_some(ran)
        };
        let (steps, small, _) = shrink(steps, SHRINKING_RUNS, fails);
        (from, steps, small)
    }
}

/// What two failures have in common that are the same but for numbers, as those of pids.
fn kind_of(failure: &str) -> String {
    failure.lines().next().unwrap_or_default().chars().filter(|c| !c.is_ascii_digit()).collect()
}

impl Ran {
    /// The last events, for whoever reads why it has failed.
    pub(crate) fn events(&self) -> String {
        self.kit.with(|state| {
            let all = state.history.len();
            let told = state.history.last(EVENTS_PRINTED, &state.cast);
            match all {
                0 => String::new(),
                _ if all > EVENTS_PRINTED => format!("\nthe last {EVENTS_PRINTED} of {all} events:{told}"),
                _ => format!("\nwhat happened:{told}"),
            }
        })
    }

    fn first_difference(&self, other: &Self) -> Option<usize> {
        let marks = |ran: &Self| ran.kit.with(|state| state.history.take_marks());
        first_difference(&marks(self), &marks(other))
    }
}
