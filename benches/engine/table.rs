//! Median and range of what the rounds gave.

use std::fs;
use std::thread;

/// One figure, as each round measured it.
#[derive(Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn add(&mut self, figure: f64) {
        let at = self.0.partition_point(|&other| other < figure);
        self.0.insert(at, figure);
    }

    fn median(&self) -> Option<f64> {
        self.0.get(self.0.len() / 2).copied()
    }

    fn range(&self) -> Option<(f64, f64)> {
        self.0.first().copied().zip(self.0.last().copied())
    }
}

pub(crate) fn print_head(rounds: usize) {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    println!("2 workers each, {cores} cores, load {load} before; median (min–max) of {rounds} rounds\n");
    print_columns("row", "biotope", "tokio", "tokio/biotope", "unit");
}

/// One line; of each contender its samples and whether it failed.
pub(crate) fn print_line(name: &str, unit: &str, biotope: (&Samples, bool), tokio: (&Samples, bool)) {
    let ratio = match (biotope.0.median(), tokio.0.median()) {
        // Rounds before a failure say nothing of those after it.
        (Some(biotope_median), Some(tokio_median)) if !biotope.1 && !tokio.1 && biotope_median > 0.0 => {
            format!("{:.2}", tokio_median / biotope_median)
        }
        _ => "–".into(),
    };
    print_columns(name, &cell(biotope), &cell(tokio), &ratio, unit);
}

fn print_columns(name: &str, biotope: &str, tokio: &str, ratio: &str, unit: &str) {
    println!("{name:<18} {biotope:<32} {tokio:<32} {ratio:<14} {unit}");
}

fn cell((samples, failed): (&Samples, bool)) -> String {
    match (samples.median(), samples.range()) {
        _ if failed => "FAILED".into(),
        (Some(median), Some((low, high))) => format!("{} ({}–{})", number(median), number(low), number(high)),
        _ => "–".into(),
    }
}

/// Three digits that count, and commas between thousands.
fn number(figure: f64) -> String {
    if figure < 10.0 {
        return format!("{figure:.2}");
    }
    if figure < 100.0 {
        return format!("{figure:.1}");
    }
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
