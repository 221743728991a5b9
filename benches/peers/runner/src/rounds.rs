//! The contenders in turn, each time in an OS process of its own.
//!
//! A shared machine's mood changes within seconds. So the contenders take turns within a workload, and what is compared was
//! measured side by side.

use std::io::{IsTerminal, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::contender::{Contender, Form};
use crate::results::Line;
use crate::workload::{Part, Workload};

/// A round that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(180);

/// One form of one contender, while its rounds are run.
struct Entry<'a> {
    contender: &'a Contender,
    form: &'a Form,
    part: &'static Part,
    /// For each metric that has a name.
    figures: Vec<(&'static str, Vec<f64>)>,
    has_failed: bool,
    /// Whether its victim handled nothing: it would not in another round.
    is_starved: bool,
}

/// All rounds of `workload`. What failed is added to `failures`, and not tried again.
pub(crate) fn run(workload: &Workload, contenders: &[Contender], quick: bool, failures: &mut Vec<String>) -> Vec<Line> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for part in workload.parts {
        for contender in contenders {
            entries.extend(contender.forms_of(part.asked).map(|form| {
                let named = part.metrics.iter().copied().filter(|metric| !metric.is_empty());
                let figures = named.map(|metric| (metric, Vec::new())).collect();
                Entry { contender, form, part, figures, has_failed: false, is_starved: false }
            }));
        }
    }
    let rounds = workload.rounds(quick);
    for round in 1..=rounds {
        for entry in entries.iter_mut().filter(|entry| !entry.has_failed && !entry.is_starved) {
            show_progress(&format!("{} {round}/{rounds} {} {}", workload.name, entry.contender.name, entry.form.name));
            if let Err(failure) = entry.run_one(workload.count(quick)) {
                failures.push(format!("{} by {}: {failure}", entry.part.asked, entry.contender.name));
                entry.has_failed = true;
            }
        }
    }
    show_progress("");
    let lines = |entry: Entry<'_>| {
        let (contender, form) = (entry.contender.name, entry.form.name.clone());
        entry.figures.into_iter().map(move |(metric, figures)| Line::new(contender, &form, metric, figures))
    };
    entries.into_iter().filter(|entry| !entry.has_failed).flat_map(lines).collect()
}

/// Replaces the line that shows how far it is, for people who look.
fn show_progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
}

impl Entry<'_> {
    fn run_one(&mut self, count: u64) -> Result<(), String> {
        let said = answer_of(&mut self.contender.command(self.form, count))?;
        let figures: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        if figures.len() < self.part.metrics.len() {
            return Err(format!("it said {said:?}"));
        }
        self.is_starved = figures.iter().all(|figure| figure.is_infinite());
        let named = self.part.metrics.iter().zip(figures).filter(|(metric, _)| !metric.is_empty());
        for ((_, figures), (_, figure)) in self.figures.iter_mut().zip(named) {
            figures.push(figure);
        }
        Ok(())
    }
}

/// All that a program says until it ends.
fn answer_of(command: &mut Command) -> Result<String, String> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|error| format!("{command:?}: {error}"))?;
    let said = output_of(&mut child);
    // It has ended, or it hangs.
    let _ = child.kill();
    let status = child.wait().map_err(|error| error.to_string())?;
    let said = said?;
    if status.success() { Ok(said) } else { Err(format!("{status}, and it said {said:?}")) }
}

fn output_of(child: &mut Child) -> Result<String, String> {
    let Some(mut out) = child.stdout.take() else { return Err("it has no standard output".into()) };
    let (sender, said) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let outcome = out.read_to_string(&mut text).map(|_| text);
        let _ = sender.send(outcome);
    });
    match said.recv_timeout(PATIENCE) {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err(format!("not done after {} s", PATIENCE.as_secs())),
    }
}
