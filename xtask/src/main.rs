//! The project's own commands: `cargo xtask COMMAND`.
//!
//! ```text
//!   main      which command does what
//!   step      one program that must succeed, and how long it took
//!   programs  every example, run, with its result checked
//!   atlas     the atlas: what must hold for one run, and many runs in a row
//!   loom      the models of what threads do to each other
//!   sanitize  the runtime's tests under the address and the thread sanitizer
//!   bugs      known bugs, put back on purpose: each must be caught
//!   trial     one test, and how it ended
//!   sizes     what processes of the examples' and benches' actors take
//! ```

#![forbid(unsafe_code)]

mod atlas;
mod bugs;
mod loom;
mod programs;
mod sanitize;
mod sizes;
mod step;
mod trial;

use std::process::ExitCode;

use bugs::Which;
use sanitize::Sanitizer;
use step::{Failure, Steps, cargo, cargo_in, root};

const USAGE: &str = "\
cargo xtask verify            what CI runs; changes no file
cargo xtask fix               formats, and lets clippy mend what it can
cargo xtask examples          runs every example and checks its result
cargo xtask atlas-soak [N]    runs the atlas N times (10) in each topology, and prints a table
cargo xtask sizes             lists what processes of the examples' and benches' actors take in memory
cargo xtask loom              tries every interleaving of the runtime's models
cargo xtask sanitize [WHICH]  runs the runtime's tests under the sanitizer `address` or `thread`, or both
cargo xtask bugs [NAME]       puts known bugs back, or this one: each must be caught. `--quick` without sanitizers";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["verify"] => verify(),
        ["fix"] => fix(),
        ["examples"] => programs::check_all(&mut Steps::new()),
        ["atlas-soak"] => atlas::soak(10),
        ["sizes"] => sizes::list(),
        ["loom"] => loom::check(&mut Steps::new()),
        ["sanitize"] => sanitize(&Sanitizer::ALL),
        ["sanitize", name] => match Sanitizer::from_name(name) {
            Some(sanitizer) => sanitize(&[sanitizer]),
            None => Err(format!("`{name}` is no sanitizer")),
        },
        ["bugs"] => bugs::check(Which::All),
        ["bugs", "--quick"] => bugs::check(Which::Quick),
        ["bugs", name] => bugs::check(Which::Named(name)),
        ["atlas-soak", runs] => match runs.parse() {
            Ok(runs) => atlas::soak(runs),
            Err(_) => Err(format!("`{runs}` is no number of runs")),
        },
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that must hold before a change goes in.
fn verify() -> Result<(), Failure> {
    let mut steps = Steps::new();
    steps.run("format", cargo(["fmt", "--all", "--check"]))?;
    steps.run(
        "clippy",
        cargo(["clippy", "--workspace", "--all-targets", "--all-features", "--", "--deny", "warnings"]),
    )?;
    // A workspace of its own, so that nothing of it burdens this one.
    let peers = root().join("benches/peers");
    steps.run("format of the peers' benches", cargo_in(&peers, ["fmt", "--all", "--check"]))?;
    steps.run(
        "clippy of the peers' benches",
        cargo_in(&peers, ["clippy", "--locked", "--all-targets", "--", "--deny", "warnings"]),
    )?;
    // The command that the README names.
    steps.run("tests", cargo(["test", "--workspace"]))?;
    steps.run(
        "tests of observers",
        cargo(["test", "--package", "biotope-runtime", "--features", "observe", "--test", "observe"]),
    )?;
    loom::check(&mut steps)?;
    let mut docs = cargo(["doc", "--workspace", "--no-deps"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    steps.run("docs", docs)?;
    programs::check_all(&mut steps)?;
    steps.time("sizes of all actors", sizes::list)?;
    // Advisories come from a database in a repository of its own; CI has no way to it.
    steps.run("dependencies", cargo(["deny", "check", "licenses", "bans", "sources"]))?;
    steps.print();
    Ok(())
}

fn sanitize(sanitizers: &[Sanitizer]) -> Result<(), Failure> {
    let mut steps = Steps::new();
    let outcomes: Vec<_> = sanitizers.iter().map(|sanitizer| sanitize::check(&mut steps, *sanitizer)).collect();
    steps.print();
    outcomes.into_iter().collect()
}

fn fix() -> Result<(), Failure> {
    let mut steps = Steps::new();
    steps.run(
        "clippy",
        cargo(["clippy", "--fix", "--allow-dirty", "--allow-staged", "--workspace", "--all-targets", "--all-features"]),
    )?;
    steps.run("format", cargo(["fmt", "--all"]))
}
