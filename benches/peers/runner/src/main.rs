//! Biotope and other actor runtimes at the same work, in one run, side by side.
//!
//! ```text
//!   workload    what is measured, how much of it is done, and what the figures are called
//!   contender   who does it: a program, in which forms, at which version
//!   rounds      the contenders in turn, each time in an OS process of its own
//!   results     medians and ranges; the file that they are kept in
//!   table       the same for people
//!   chart       the same as pictures
//!   rig         on what it was measured
//! ```
//!
//! # Not here
//! Judgement. A figure that is too high is not an error; a program that fails, or does not end, is.

mod chart;
mod contender;
mod results;
mod rig;
mod rounds;
mod table;
mod workload;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use contender::Contender;
use results::Results;
use workload::Workload;

const USAGE: &str = "\
benches/peers/run [--quick] [--part local] [--only WORKLOAD,WORKLOAD] [--out FILE]
    all contenders, at least five rounds; three of less work each when quick. FILE gets the results as JSON
benches/peers/run --draw FILE DIRECTORY
    the results of FILE as pictures, in DIRECTORY";

type Outcome<T> = Result<T, String>;

struct Wanted {
    quick: bool,
    workloads: Vec<Workload>,
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["--draw", file, directory] => draw(file.as_ref(), directory.as_ref()).map(|()| true),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => match wanted(&words) {
            Ok(wanted) => measure(&wanted),
            Err(error) => {
                eprintln!("{error}\n\n{USAGE}");
                return ExitCode::from(2);
            }
        },
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn wanted(words: &[&str]) -> Outcome<Wanted> {
    let mut wanted = Wanted { quick: false, workloads: workload::all(), out: None };
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let mut value = || words.next().copied().ok_or_else(|| format!("`{word}` needs a value"));
        match word {
            "--quick" => wanted.quick = true,
            "--part" => match value()? {
                "local" => {}
                other => return Err(format!("there is no part `{other}`; there is `local`")),
            },
            "--only" => wanted.workloads = workload::named(value()?)?,
            "--out" => wanted.out = Some(value()?.into()),
            other => return Err(format!("`{other}` is not known")),
        }
    }
    Ok(wanted)
}

/// Returns whether every round gave its figures.
fn measure(wanted: &Wanted) -> Outcome<bool> {
    let rig = rig::look()?;
    let contenders = Contender::all()?;
    table::print_head(&rig, &contenders);
    let mut results = Results::new(rig);
    let mut failures = Vec::new();
    for workload in &wanted.workloads {
        let lines = rounds::run(workload, &contenders, wanted.quick, &mut failures);
        table::print_workload(workload, &lines);
        results.add(workload, &lines);
        // After each, so that a run that is stopped leaves what it has.
        if let Some(out) = &wanted.out {
            fs::write(out, results.to_json()).map_err(|error| format!("{}: {error}", out.display()))?;
        }
    }
    table::print_failures(&failures);
    Ok(failures.is_empty())
}

fn draw(file: &std::path::Path, directory: &std::path::Path) -> Outcome<()> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let results = Results::from_json(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    for (name, picture) in chart::all(&results) {
        let path = directory.join(name);
        fs::write(&path, picture).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}
