//! What is measured: one line of the table, or a few that come from the same work.

use crate::contest::Contender;

/// Does the work with this count and says what was measured, one number for each figure.
pub(crate) type Work = fn(count: u64) -> Vec<f64>;

/// One piece of work, by one contender or by both.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What the table calls each number that the work gives; none if it is one, called like the row.
    figures: &'static [&'static str],
    pub(crate) unit: &'static str,
    /// How much of it there is to do, in the default run and in a quick one.
    counts: (u64, u64),
    most_rounds: usize,
    biotope: Work,
    tokio: Option<Work>,
}

impl Row {
    /// A row with one figure, for biotope alone.
    pub(crate) fn new(name: &'static str, unit: &'static str, counts: (u64, u64), biotope: Work) -> Self {
        Self { name, figures: &[], unit, counts, most_rounds: usize::MAX, biotope, tokio: None }
    }

    /// The same work, done by tokio.
    pub(crate) fn against(mut self, tokio: Work) -> Self {
        self.tokio = Some(tokio);
        self
    }

    /// More figures than one from the same work, by these names.
    pub(crate) fn figures(mut self, names: &'static [&'static str]) -> Self {
        self.figures = names;
        self
    }

    /// No more than so many rounds: what takes long to set up, and hardly differs from one to the next.
    pub(crate) fn at_most(mut self, rounds: usize) -> Self {
        self.most_rounds = rounds;
        self
    }

    /// How many rounds there are of it if there are `usual` of others.
    pub(crate) fn rounds(&self, usual: usize) -> usize {
        usual.min(self.most_rounds)
    }

    pub(crate) fn count(&self, quick: bool) -> u64 {
        if quick { self.counts.1 } else { self.counts.0 }
    }

    pub(crate) fn work_of(&self, contender: Contender) -> Option<Work> {
        match contender {
            Contender::Biotope => Some(self.biotope),
            Contender::Tokio => self.tokio,
        }
    }

    /// The names of its lines.
    pub(crate) fn lines(&self) -> Vec<&'static str> {
        if self.figures.is_empty() { vec![self.name] } else { self.figures.to_vec() }
    }
}
