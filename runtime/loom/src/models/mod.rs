//! The models, one file for each shipped file.

mod account;
mod idle;
mod lease;
mod next;
mod queue;
mod quota;
mod state;
mod word;

/// Lets loom try the interleavings of `model`, with at most this many forced changes of thread. Three find
/// what is known to be findable, and keep each model below a minute.
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    builder.check(model);
}
