//! What the runtime promises, through its public API, on the real scheduler and over seeds.

mod awaits;
mod bounded;
mod calls;
mod cycles;
mod exits;
mod failures;
mod kreg;
mod lifetimes;
mod lints;
mod memory;
mod names;
mod order;
mod probe;
mod recipients;
mod replay;
mod runtimes;
mod seen;
mod sources;
mod timers;
mod waits;

use std::future::Future;

use biotope_testkit::{on_threads, repetitions, under_seeds};

/// Runs `body` under 200 seeds in virtual time, and twenty times on the real scheduler.
fn everywhere<F: Future<Output = biotope_runtime::Result<()>> + Send + 'static>(name: &'static str, body: fn() -> F) {
    under_seeds(name, 200, body);
    for _ in 0..repetitions(20) {
        on_threads(name, body);
    }
}
