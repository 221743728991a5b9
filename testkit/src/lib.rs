//! Lets tests drive time and scheduling, and sees what they leave. Users reach it as `biotope::test` (feature `test`).
//!
//! A test body is a process. Under seeds it runs on one thread, in virtual time, in an order drawn from the seed: a delay of
//! an hour passes at once. On the real scheduler the same body runs on worker threads. Either way the kit directs the
//! runtime ([`Director`](biotope_runtime::Director)), so that it sees what each process does:
//!
//! ```text
//!   verdict    all runs of a test: which seeds, again, smaller; what is printed
//!   run        one run: the body, what it leaves, what is wrong with it
//!   kit        what one run knows: schedule, history, faults, deaths
//!   cast       who is who, by names that are the same in every run
//!   schedule   who has the next turn; how that is written and replayed      (pure)
//!   shrink     the fewest choices that still fail                           (pure)
//!   history    what has happened, in words and as numbers                   (pure)
//!   random     numbers that are drawn from a seed                           (pure)
//!   outside    clocks, randomness, threads and sockets of the machine, kept out of seeded runs
//!   faults     killed, panicked, lost, late: at the message that the test names
//!   steps      one fault at each step in turn
//!   probe, stand_in, tree    what a test body asks with
//! ```
//!
//! # What fails a test
//! - Its body: a panic, or an error.
//! - A process that died by its own doing (a panic, an error, a stop out of order), if nobody asked for it: neither
//!   [`expect_crash`], nor a fault, nor a probe that [saw its end](Probe::expect_down).
//! - What outlives it: a process with its names, links, monitors and timers, on any node of its runtime; a name, a monitor or a
//!   timer of the body's own. Whoever is linked to the body ends with it, with `Shutdown`; what was started by [`spawn`] or
//!   [`start`] is stopped before.
//! - A seeded run that waits for ever, or does not come to an end.
//! - In a seeded run: a thread, a socket, a sleeping thread; and what makes two runs of one seed differ.

#![deny(unsafe_code)]

mod cast;
mod faults;
mod history;
mod kit;
mod outside;
mod probe;
mod random;
mod run;
mod schedule;
mod shrink;
mod stand_in;
mod steps;
mod tree;
mod verdict;

use std::future::Future;

use biotope_runtime::{ActorRef, Error, ExitReason, Pid, RunsOn, RuntimeBuilder, Spawn, Spec, Start, StartError, node};

pub use biotope_supervision::Tree;
pub use faults::{Faults, Victim};
use kit::Kit;
pub use probe::{Probe, probe};
pub use stand_in::{StandIn, stand_in};
pub use steps::{Steps, at_every_event, at_every_step};
pub use tree::tree;
pub use verdict::{Failed, TestOptions, check, everywhere, on_threads, repetitions, test, under_seeds};

/// Spawns a process that is stopped when the body is over, the last one first. It is linked to nobody.
///
/// # Panics
/// Outside of a test.
pub fn spawn<S: Spawn>(what: S) -> S::Ref
where
    for<'a> Pid: From<&'a S::Ref>,
{
    let spawned = biotope_runtime::spawn(what);
    stop_at_end(&spawned);
    spawned
}

/// Starts an actor that is stopped when the body is over, the last one first, and waits until its `init` is done. It is linked
/// to nobody.
///
/// # Errors
/// [`StartError`].
///
/// # Panics
/// Outside of a test.
pub async fn start<A: Start, K: RunsOn<A>>(spec: &Spec<A, K>) -> Result<ActorRef<A>, StartError> {
    let started = node().start(spec).await?;
    stop_at_end(&started);
    Ok(started)
}

/// Stops a process of the test's node, in order and with `Normal`, when the body is over; the last one first. So does
/// [`start`] with what it starts.
///
/// # Panics
/// Outside of a test.
pub fn stop_at_end(process: impl Into<Pid>) {
    let pid = process.into();
    Kit::here().with(|state| state.to_stop.push(pid));
}

/// A process crashes, or has crashed, whose report says `text`: in its actor's name, its own, the handler or the reason. It
/// fails the test if none does. Each call is for one crash.
///
/// # Panics
/// Outside of a test.
pub fn expect_crash(text: impl Into<String>) {
    Kit::here().with(|state| state.deaths.expect(text.into()));
}

/// Faults for a process, or for whoever runs this actor or is registered under this name: see [`Faults`].
///
/// # Panics
/// Outside of a test.
pub fn faults(victim: impl Into<Victim>) -> Faults {
    Faults::new(Kit::here(), victim.into())
}

/// Runs `body` once on the runtime that `builder` makes, as a process of a node named `test`. Nothing else is looked at.
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
    match biotope_runtime::run(builder, "test", async { body.await.into_result() }) {
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
