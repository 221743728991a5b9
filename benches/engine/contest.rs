//! Rounds: the contenders in turn, each time in a fresh OS process of this same program.
//!
//! The machine's mood changes within seconds. So the contenders take turns within a row, and what is
//! compared was measured side by side. A fresh OS process has nothing in its memory but this round.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::row::Row;
use crate::table::{self, Samples};

/// The hidden first argument: `ROW CONTENDER COUNT` follow.
pub(crate) const CHILD: &str = "--child";

const ROUNDS: usize = 5;
const ROUNDS_WHEN_QUICK: usize = 3;

/// A round that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Biotope,
    Tokio,
}

impl Contender {
    const ALL: [Self; 2] = [Self::Biotope, Self::Tokio];

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|contender| contender.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Biotope => "biotope",
            Self::Tokio => "tokio",
        }
    }
}

/// Runs `rows` and prints the table, line by line as they are done. Returns whether every round gave its figures.
pub(crate) fn run(rows: &[&Row], quick: bool) -> bool {
    let start = Instant::now();
    let rounds = if quick { ROUNDS_WHEN_QUICK } else { ROUNDS };
    table::print_head(rounds);
    let mut failures = Vec::new();
    for row in rows {
        // For each contender, for each figure, a number from each round.
        let mut samples = Contender::ALL.map(|_| vec![Samples::default(); row.lines().len()]);
        let mut failed = [false; 2];
        for _ in 0..row.rounds(rounds) {
            for (index, contender) in Contender::ALL.into_iter().enumerate() {
                if failed[index] || row.work_of(contender).is_none() {
                    continue;
                }
                match round(row, contender, row.count(quick)) {
                    Ok(figures) => {
                        for (samples, figure) in samples[index].iter_mut().zip(figures) {
                            samples.add(figure);
                        }
                    }
                    // What failed once is not waited for again.
                    Err(failure) => {
                        failed[index] = true;
                        failures.push(format!("{} by {}: {failure}", row.name, contender.name()));
                    }
                }
            }
        }
        let [biotope, tokio] = &samples;
        for ((line, biotope), tokio) in row.lines().into_iter().zip(biotope).zip(tokio) {
            table::print_line(line, row.unit, (biotope, failed[0]), (tokio, failed[1]));
        }
    }
    println!("\n{} s", start.elapsed().as_secs());
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    failures.is_empty()
}

fn round(row: &Row, contender: Contender, count: u64) -> Result<Vec<f64>, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new(program)
        .args([CHILD, row.name, contender.name(), &count.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let said = answer_of(&mut child);
    // It has ended, or it hangs.
    let _ = child.kill();
    let status = child.wait().map_err(|error| error.to_string())?;
    let said = said?;
    let figures: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    if status.success() && figures.len() == row.lines().len() {
        Ok(figures)
    } else {
        Err(format!("{status}, and it said {said:?}"))
    }
}

/// All that the child says until it ends.
fn answer_of(child: &mut Child) -> Result<String, String> {
    let mut out = child.stdout.take().expect("its stdout is piped");
    let (sender, said) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let outcome = out.read_to_string(&mut text).map(|_| text);
        let _ = sender.send(outcome);
    });
    match said.recv_timeout(PATIENCE) {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("not done after {} s", PATIENCE.as_secs())),
    }
}
