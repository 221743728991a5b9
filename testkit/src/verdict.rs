//! All runs of one test, and what is printed of one that fails.

use std::future::Future;

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
/// | `BIOTOPE_STEP=3` | with a seed: this step of [`at_every_step`](crate::at_every_step) |
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
    let asked = number_from("BIOTOPE_SEED");
    let seeds = match (options.seed, options.seeds) {
        (None, None) => Vec::new(),
        (Some(seed), _) => vec![seed],
        (None, Some(seeds)) => seeds_of(seeds).collect(),
    };
    let order = std::env::var("BIOTOPE_ORDER").ok().filter(|_| !seeds.is_empty()).map(|order| {
        assert!(
            asked.is_some() || options.seed.is_some(),
            "BIOTOPE_ORDER needs the seed that it is of: set BIOTOPE_SEED"
        );
        match schedule::read(&order) {
            Ok(steps) => steps,
            Err(error) => panic!("BIOTOPE_ORDER: {error}"),
        }
    });
    let real = match options.real {
        None if seeds.is_empty() => 1,
        Some(real) if seeds.is_empty() || asked.is_none() => repetitions(real),
        _ => 0,
    };
    assert!(real > 0 || !seeds.is_empty(), "{}: a test that is run no time proves nothing", options.name);
    // What a seed shows can be replayed, so those come first.
    trial.under(&seeds, order)?;
    (0..real).try_for_each(|_| trial.on_threads())
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
    for seed in seeds_of(seeds) {
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

/// Runs `body` [under so many seeds](under_seeds), and so often [on threads](on_threads); if one seed is asked for, under that alone.
///
/// # Panics
/// As they do.
pub fn everywhere<B, F, O>(name: &str, seeds: u64, real: u64, body: B)
where
    B: Fn() -> F,
    F: Future<Output = O> + Send + 'static,
    O: TestResult,
{
    under_seeds(name, seeds, &body);
    if number_from("BIOTOPE_SEED").is_none() {
        (0..repetitions(real)).for_each(|_| on_threads(name, &body));
    }
}

/// The seeds of a test that usually has those from 0 to `usual`, exclusive: the one that is asked for, or no more than may be.
pub(crate) fn seeds_of(usual: u64) -> impl Iterator<Item = u64> {
    let asked = number_from("BIOTOPE_SEED");
    let all = if asked.is_some() { 0..0 } else { 0..repetitions(usual) };
    asked.into_iter().chain(all)
}

/// How often a test repeats itself that usually does so `usual` times: `BIOTOPE_SEEDS`, if that is less.
/// For where each run takes long, as under a sanitizer.
///
/// # Panics
/// If `BIOTOPE_SEEDS` is no number.
pub fn repetitions(usual: u64) -> u64 {
    number_from("BIOTOPE_SEEDS").map_or(usual, |most| most.max(1).min(usual))
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
        let setup = Setup {
            seed: None,
            plan: Plan::Steps(Vec::new()),
            faults: Default::default(),
            doom: None,
            checks: self.checks,
        };
        let ran = run(setup, (self.body)());
        if ran.wrong.is_empty() {
            return Ok(());
        }
        Err(Failed {
            text: format!("{}: {}{}", self.name, ran.wrong.join("\n"), ran.events()),
            seed: None,
            choices: None,
        })
    }

    fn under(&self, seeds: &[u64], order: Option<Vec<Step>>) -> Result<(), Failed> {
        for (number, seed) in (0_u64..).zip(seeds.iter().copied()) {
            let plan = order.clone().map_or(Plan::Drawn(seed), Plan::Steps);
            let ran = self.once(seed, plan.clone());
            let differs = if number.is_multiple_of(TWICE_EVERY) && !ran.is_endless {
                self.compare(seed, &ran, &self.once(seed, plan))
            } else {
                None
            };
            if !ran.wrong.is_empty() {
                let mut failed = self.fail(seed, &ran, order.as_deref());
                // What it failed of comes first; that another run may not is good to know.
                failed.text.extend(differs.map(|differs| format!("\nand {differs}")));
                return Err(failed);
            }
            if let Some(differs) = differs {
                return Err(Failed { text: format!("{}: {differs}", self.name), seed: Some(seed), choices: None });
            }
            let left = ran.kit.with(|state| state.schedule.left());
            assert!(
                left == 0,
                "{}: {left} of the steps of BIOTOPE_ORDER have not come: is it of this test?",
                self.name
            );
        }
        Ok(())
    }

    fn once(&self, seed: u64, plan: Plan) -> Ran {
        run(Setup { plan, ..Setup::drawn(seed, self.checks) }, (self.body)())
    }

    /// The two runs of one seed must be the same.
    fn compare(&self, seed: u64, one: &Ran, other: &Ran) -> Option<String> {
        let place = one.first_difference(other)?;
        let around = |ran: &Ran| ran.kit.with(|state| state.history.around(place, 4, &state.cast));
        Some(format!(
            "two runs of seed {seed} differ at event {place}, so that no failure could be replayed: something in it is \
             decided by neither the seed nor virtual time (an address, a static, an atomic that others change)\n\
             the first run:{}\nthe second run:{}",
            around(one),
            around(other)
        ))
    }

    fn fail(&self, seed: u64, ran: &Ran, order: Option<&[Step]>) -> Failed {
        let (first, more) = ran.wrong.split_first().map_or(("", &[][..]), |(first, more)| (first, more));
        let head = format!("{} under seed {seed}: {first}", self.name);
        let steps = ran.kit.with(|state| state.schedule.take_steps());
        let shrinks = order.is_none() && !ran.is_endless && number_from("BIOTOPE_SHRINK") != Some(0);
        let smaller = steps.filter(|_| shrinks).map(|steps| self.shrink(seed, ran, steps));
        let Some((from, steps, small)) = smaller else {
            let text = format!("{head}\nreplay: {}{}{}", self.replay(seed, order), also(more), ran.events());
            return Failed { text, seed: Some(seed), choices: None };
        };
        let shrunk = match steps.len() {
            0 => "it fails first in, first out: no choice is needed".to_owned(),
            left if left > LONGEST_ORDER => format!("shrunk from {from} choices to {left}"),
            left => format!("shrunk from {from} choices to {left}: {}", self.replay(seed, Some(&steps))),
        };
        // With all its choices a run is what it was.
        let small = small.as_ref();
        let other = small.and_then(|small| small.wrong.first()).filter(|other| *other != first);
        let other = other.map(|other| format!("\nwith those: {other}")).unwrap_or_default();
        let (replay, events) = (self.replay(seed, None), small.unwrap_or(ran).events());
        let text = format!("{head}\nreplay: {replay}\n{shrunk}{other}{}{events}", also(more));
        Failed { text, seed: Some(seed), choices: Some((from, steps.len())) }
    }

    /// The command that runs the test as it ran.
    fn replay(&self, seed: u64, order: Option<&[Step]>) -> String {
        // The harness knows a test by its path within the crate.
        let test = self.name.split_once("::").map_or(self.name, |(_, test)| test);
        let order = order.map(|steps| format!("BIOTOPE_ORDER={} ", schedule::written(steps))).unwrap_or_default();
        format!("BIOTOPE_SEED={seed} {order}cargo test {test}")
    }

    /// The fewest of these choices with which it fails in the same way; how many there were, and a run of those.
    fn shrink(&self, seed: u64, ran: &Ran, steps: Vec<Step>) -> (usize, Vec<Step>, Option<Ran>) {
        let (from, kind) = (steps.len(), kind_of(ran));
        let fails = |steps: &[Step]| {
            let ran = self.once(seed, Plan::Steps(steps.to_vec()));
            (kind_of(&ran) == kind).then_some(ran)
        };
        let (steps, small, _) = shrink(steps, SHRINKING_RUNS, fails);
        (from, steps, small)
    }
}

/// What else was wrong.
fn also(more: &[String]) -> String {
    more.iter().map(|wrong| format!("\nalso: {wrong}")).collect()
}

/// What two failures have in common that are the same: the place, if they name one, or else what they say but for numbers, as
/// those of pids.
fn kind_of(ran: &Ran) -> Option<String> {
    let first = ran.wrong.first()?;
    let place = first.rsplit_once("(at ").map(|(_, place)| place.to_owned());
    let words = || first.lines().next().unwrap_or_default().chars().filter(|c| !c.is_ascii_digit()).collect();
    Some(place.unwrap_or_else(words))
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
