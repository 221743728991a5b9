//! Programs and tests: a runtime, a node, and a body that is itself a process.

use std::future::Future;
use std::process::ExitCode;

use tokio::sync::oneshot;

use crate::exit::{Error, ExitReason};
use crate::node::{Node, NodeError, SpawnOptions};
use crate::process::Process;
use crate::runtime::{Runtime, RuntimeBuilder};
use crate::signal::Info;

/// What `#[biotope::main]` was told.
#[derive(Debug)]
#[doc(hidden)]
pub struct MainOptions {
    /// How many workers.
    pub workers: Option<usize>,
    /// The node's name.
    pub node: &'static str,
}

/// The body of `#[biotope::main]`. Exit code 0 if `body` succeeds, that of its reason if it fails or panics
/// ([`ExitReason::exit_code`]), 70 if no runtime could be had.
#[doc(hidden)]
pub fn main<F>(options: MainOptions, body: F) -> ExitCode
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let mut builder = Runtime::builder();
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    match run(builder, options.node, body) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        // The crash report has told of a panic already.
        Ok(Err(ExitReason::Panic(_))) => ExitCode::FAILURE,
        Ok(Err(reason)) => {
            eprintln!("error: {reason}");
            ExitCode::from(reason.exit_code())
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(70)
        }
    }
}

/// Runs `body` as a process of a fresh node, then ends the node. Returns what the body ended with, or why the node was
/// [halted](Node::halt) meanwhile.
///
/// # Errors
/// If runtime or node could not be started.
pub fn run<F>(runtime: RuntimeBuilder, node: &str, body: F) -> Result<Result<(), ExitReason>, NodeError>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let runtime = runtime.build()?;
    let node = runtime.block_on(Node::builder(node).runtime(runtime.clone()).start())?;
    let outcome = runtime.block_on(run_on(&node, body));
    runtime.block_on(node.shutdown());
    Ok(node.halt_reason().map_or(outcome, Err))
}

/// Runs `body` as a process of `node`. Returns what it ended with.
///
/// # Errors
/// The exit reason, if it is not `Normal`.
pub async fn run_on<F>(node: &Node, body: F) -> Result<(), ExitReason>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let (sender, outcome) = oneshot::channel();
    // The body's end is watched by a process that outlives it, so that every way to end is seen.
    let watcher = node.spawn_process(async move |mut me: Process<()>| {
        let down = me.receive_info(|info| match info {
            Info::Down(down) => Ok(down),
            other => Err(other),
        });
        let _ = sender.send(down.await?.reason);
        Ok(())
    });
    let options = SpawnOptions { monitor: Some(watcher.pid()), ..SpawnOptions::default() };
    node.spawn_process_with(options, async move |_: Process<()>| body.await);
    match outcome.await {
        Ok(ExitReason::Normal) => Ok(()),
        Ok(reason) => Err(reason),
        Err(_) => Err(ExitReason::Killed),
    }
}
