//! What the runner asks a peer's program for, and how it answers:
//!
//! ```text
//!   peer --version                 its version, on one line
//!   peer --list                    a line for each form of each workload: WORKLOAD FORM
//!   peer WORKLOAD FORM COUNT       one round: its figures, on one line
//! ```

use std::process::ExitCode;

/// One workload, in one of the forms in which the peer can do it.
pub struct Form {
    /// As the runner calls it.
    pub workload: &'static str,
    /// What distinguishes it from other forms of the same: `unbounded`, `two arbiters`.
    pub name: &'static str,
    /// Does so many units, after a tenth as many to warm up. Returns the workload's figures.
    pub work: fn(u64) -> Vec<f64>,
}

/// The program of the peer with this version.
pub fn run(version: &str, forms: &[Form]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--version"] => println!("{version}"),
        ["--list"] => forms.iter().for_each(|form| println!("{} {}", form.workload, form.name)),
        [workload, name, count] => {
            let form = forms.iter().find(|form| form.workload == workload && form.name == name);
            let (Some(form), Ok(count)) = (form, count.parse()) else {
                eprintln!("no work is called {workload} {name} {count}");
                return ExitCode::from(2);
            };
            let figures: Vec<String> = (form.work)(count).iter().map(f64::to_string).collect();
            println!("{}", figures.join(" "));
            // At once: to take a million processes down is no part of any workload.
            std::process::exit(0)
        }
        _ => {
            eprintln!("--version | --list | WORKLOAD FORM COUNT");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
