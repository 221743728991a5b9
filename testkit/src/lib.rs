//! Lets tests drive time and scheduling. Users reach it as `biotope::test` (feature `test`).
//!
//! A test body is a process. On the real scheduler it runs on worker threads; with seeds, on one
//! thread, in virtual time, in an order drawn from the seed: a delay of an hour passes at once, and a
//! failure prints the seed that replays it.

#![forbid(unsafe_code)]

use std::future::Future;

use biotope_runtime::{Error, ExitReason, Runtime, RuntimeBuilder, run};

/// What `#[biotope::test]` was told.
#[derive(Clone, Copy, Debug, Default)]
pub struct TestOptions {
    /// The test's path.
    pub name: &'static str,
    /// Run under the seeds from 0 to this one, exclusive, in virtual time.
    pub seeds: Option<u64>,
    /// Run under this seed only.
    pub seed: Option<u64>,
}

/// The body of `#[biotope::test]`.
///
/// The environment variable `BIOTOPE_SEED` replays one seed of a test that has seeds; `BIOTOPE_SEEDS` says
/// how many seeds such a test has at most.
///
/// # Panics
/// If the body fails, with its exit reason and the seed.
pub fn test<B, F, O>(options: TestOptions, body: B)
where
    B: Fn() -> F,
    F: Future<Output = O> + Send + 'static,
    O: TestResult,
{
    let seeds = match (options.seed, options.seeds) {
        (None, None) => return verdict(options.name, None, once(Runtime::builder(), body())),
        (Some(seed), _) => seed..seed + 1,
        (None, Some(seeds)) => match number_from("BIOTOPE_SEED") {
            Some(seed) => seed..seed + 1,
            None => 0..repetitions(seeds),
        },
    };
    for seed in seeds {
        verdict(options.name, Some(seed), once(Runtime::builder().seeded(seed), body()));
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

/// Runs `body` once on the runtime that `builder` makes, as a process of a node named `test`.
///
/// # Errors
/// What the body ended with, if it is not `Normal`.
///
/// # Panics
/// If there is no runtime.
pub fn once<F, O>(builder: RuntimeBuilder, body: F) -> Result<(), ExitReason>
where
    F: Future<Output = O> + Send + 'static,
    O: TestResult,
{
    match run(builder, "test", async { body.await.into_result() }) {
        Ok(outcome) => outcome,
        Err(error) => panic!("no runtime for the test: {error}"),
    }
}

/// What a test body may return: nothing, or a `biotope::Result`.
pub trait TestResult {
    /// The same as a result.
    ///
    /// # Errors
    /// What the body failed with.
    fn into_result(self) -> Result<(), Error>;
}

impl TestResult for () {
    fn into_result(self) -> Result<(), Error> {
        Ok(())
    }
}

impl<E: Into<Error>> TestResult for Result<(), E> {
    fn into_result(self) -> Result<(), Error> {
        self.map_err(Into::into)
    }
}

fn number_from(variable: &str) -> Option<u64> {
    let number = std::env::var(variable).ok()?;
    match number.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{variable} is `{number}`, which is no number"),
    }
}

fn verdict(name: &str, seed: Option<u64>, outcome: Result<(), ExitReason>) {
    let Err(reason) = outcome else { return };
    match seed {
        None => panic!("{name}: {reason}"),
        Some(seed) => {
            // The harness knows a test by its path within the crate.
            let test = name.split_once("::").map_or(name, |(_, test)| test);
            panic!("{name} under seed {seed}: {reason}\nreplay: BIOTOPE_SEED={seed} cargo test {test}")
        }
    }
}
