//! One program that must succeed, and how long it took.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What went wrong, for people.
pub(crate) type Failure = String;

/// The steps so far, with their times.
pub(crate) struct Steps(Vec<(String, Duration)>);

impl Steps {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Runs `command`; what it prints goes where this program's output goes.
    pub(crate) fn run(&mut self, name: &str, mut command: Command) -> Result<(), Failure> {
        self.time(name, || {
            let status = command.status().map_err(|error| format!("{command:?} did not start: {error}"))?;
            if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}")) }
        })
    }

    /// Does `work` as the step `name`.
    pub(crate) fn time<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        println!("==> {name}");
        let start = Instant::now();
        let outcome = work();
        let took = start.elapsed();
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("==> {name}: {word} after {:.1} s", took.as_secs_f64());
        self.0.push((name.to_owned(), took));
        outcome.map_err(|failure| format!("{name}: {failure}"))
    }

    /// All steps and the sum of their times.
    pub(crate) fn print(&self) {
        println!("==> all");
        for (name, took) in &self.0 {
            println!("{:>9.1} s  {name}", took.as_secs_f64());
        }
        let sum: Duration = self.0.iter().map(|(_, took)| *took).sum();
        println!("{:>9.1} s  together", sum.as_secs_f64());
    }
}

/// Cargo, in the folder of the workspace.
pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    cargo_in(&root(), arguments)
}

/// Cargo, in the folder of another workspace.
pub(crate) fn cargo_in<const N: usize>(folder: &Path, arguments: [&str; N]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(folder);
    command
}

/// What `command` prints to standard output; it must succeed.
pub(crate) fn output_of(mut command: Command) -> Result<String, Failure> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{command:?} did not start: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{command:?} failed: {}\n{text}", output.status))
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}
