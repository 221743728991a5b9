//! An atlas of Rust source code, made by an ecosystem of three nodes.
//!
//! ```text
//! cargo run --release --example atlas                          this workspace and all its dependencies
//! cargo run --release --example atlas -- src --topology ring   other files, another wiring
//! cargo run --release --example atlas -- --local               one node, no faults: the same digest
//! cargo run --release --example atlas -- --query Waker         where is a public name defined?
//! ```
//!
//! Three nodes, each an OS process of its own, are joined over QUIC. A coordinator on the first hands
//! files to workers on all of them; what they find flows back along the wiring. After a third of the
//! files one node is killed and one worker of another panics; the atlas is the same to the byte.
//!
//! To read it: `launcher` starts the nodes and shows progress, `place` is a node, `survey` is the work,
//! `examiner` the worker; `sources`, `parser`, `facts`, `atlas` and `report` know nothing of nodes.

mod atlas;
mod depth;
mod examiner;
mod facts;
mod faults;
#[cfg(test)]
mod golden;
mod launcher;
mod packages;
mod parser;
mod place;
mod protocol;
mod report;
mod sources;
mod survey;

use std::path::PathBuf;
use std::process::ExitCode;

use biotope::Runtime;
use biotope::supervision::Topology;
use clap::Parser as _;
use serde::{Deserialize, Serialize};

/// Makes an atlas of Rust source code with a distributed ecosystem.
#[derive(Clone, Debug, clap::Parser, Serialize, Deserialize)]
struct Options {
    /// Files and folders to read. By default this workspace and the sources of all its dependencies.
    paths: Vec<PathBuf>,
    /// How the nodes are wired: mesh, ring or tree (the chain a–b–c).
    #[arg(long, default_value = "mesh")]
    topology: Topology,
    /// One node in this OS process, no faults.
    #[arg(long)]
    local: bool,
    /// Nobody is killed and nobody panics.
    #[arg(long)]
    no_faults: bool,
    /// Where is this public name defined?
    #[arg(long, value_name = "NAME")]
    query: Option<String>,
    /// Only the last line: one JSON object.
    #[arg(long)]
    json: bool,
    /// Loses one result, to show that a loss is noticed.
    #[arg(long, hide = true)]
    drop_result: bool,
    /// Runs as this node of an atlas; the launcher starts these.
    #[arg(long, hide = true, requires = "folder")]
    node: Option<String>,
    /// Where the node's certificate is.
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "off".into()))
        .init();
    let outcome = match (&options.node, &options.folder) {
        (Some(node), Some(folder)) => place::run(node, folder),
        _ if options.local => alone(options),
        _ => launcher::run(options),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("atlas: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What this program fails with.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The whole survey on one node in this OS process.
fn alone(options: Options) -> Result<ExitCode, Failure> {
    let (sender, outcome) = std::sync::mpsc::channel();
    let ended = biotope::run(Runtime::builder(), "local", async move {
        let silent = |_: protocol::Told| ();
        let _ = sender.send(survey::make(&options, &["local".to_owned()], silent).await?);
        Ok(())
    })?;
    ended.map_err(|reason| reason.to_string())?;
    let done = outcome.recv()?;
    Ok(launcher::show(&done, 0))
}
