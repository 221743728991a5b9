//! Medians and ranges, and the file that they are kept in.

use serde::{Deserialize, Serialize};

use crate::rig::Rig;
use crate::workload::Workload;

/// One metric of one form of one contender.
pub(crate) struct Line {
    pub(crate) contender: &'static str,
    pub(crate) form: String,
    pub(crate) metric: &'static str,
    /// One of each round, in order of size.
    figures: Vec<f64>,
}

impl Line {
    pub(crate) fn new(contender: &'static str, form: &str, metric: &'static str, mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Self { contender, form: form.into(), metric, figures }
    }

    pub(crate) fn median(&self) -> f64 {
        let middle = self.figures.len() / 2;
        if self.figures.len().is_multiple_of(2) {
            (self.figures[middle - 1] + self.figures[middle]) / 2.0
        } else {
            self.figures[middle]
        }
    }

    pub(crate) fn least(&self) -> f64 {
        self.figures[0]
    }

    pub(crate) fn most(&self) -> f64 {
        self.figures[self.figures.len() - 1]
    }
}

/// What is kept of a run.
#[derive(Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) rig: Rig,
    /// Of each contender its best form.
    pub(crate) rows: Vec<Row>,
    /// All forms.
    pub(crate) forms: Vec<Row>,
}

/// One figure with its range. A figure that is not finite, of a victim that was starved, is kept as `null`.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) workload: String,
    pub(crate) contender: String,
    pub(crate) form: String,
    pub(crate) metric: String,
    pub(crate) median: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) rounds: usize,
}

impl Results {
    pub(crate) fn new(rig: Rig) -> Self {
        Self { rig, rows: Vec::new(), forms: Vec::new() }
    }

    pub(crate) fn add(&mut self, workload: &Workload, lines: &[Line]) {
        self.forms.extend(lines.iter().map(|line| Row::new(workload, line)));
        self.rows.extend(best(lines).into_iter().map(|line| Row::new(workload, line)));
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and numbers can be written") + "\n"
    }

    pub(crate) fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl Row {
    fn new(workload: &Workload, line: &Line) -> Self {
        let finite = |figure: f64| figure.is_finite().then_some((figure * 100.0).round() / 100.0);
        Self {
            workload: workload.name.into(),
            contender: line.contender.into(),
            form: line.form.clone(),
            metric: line.metric.into(),
            median: finite(line.median()),
            min: finite(line.least()),
            max: finite(line.most()),
            rounds: line.figures.len(),
        }
    }
}

/// For each contender and metric, the form with the lowest median.
pub(crate) fn best(lines: &[Line]) -> Vec<&Line> {
    let mut best: Vec<&Line> = Vec::new();
    for line in lines {
        match best.iter_mut().find(|other| (other.contender, other.metric) == (line.contender, line.metric)) {
            Some(other) if line.median() < other.median() => *other = line,
            Some(_) => {}
            None => best.push(line),
        }
    }
    best
}
