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

/// Runs `body` under 200 seeds in virtual time, and twenty times on the real scheduler.
fn everywhere<F: Future<Output = biotope_runtime::Result<()>> + Send + 'static>(name: &'static str, body: fn() -> F) {
    biotope_testkit::everywhere(name, 200, 20, body);
}
