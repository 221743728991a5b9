//! What there is of processes, and of all that belongs to them: the same before and after, if nothing leaks.

use biotope::prelude::*;

/// How much there is on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    pub(crate) processes: usize,
    pub(crate) names: usize,
    pub(crate) links: usize,
    pub(crate) monitors: usize,
    pub(crate) timers: usize,
}

impl Footprint {
    pub(crate) fn of(node: &Node) -> Self {
        let mut footprint = Self { names: node.registered().len(), ..Self::default() };
        for process in node.processes() {
            footprint.processes += 1;
            footprint.links += process.links.len();
            footprint.monitors += process.monitors.len() + process.monitored_by.len();
            footprint.timers += process.timers;
        }
        footprint
    }

    /// What of it is more than there was.
    pub(crate) fn above(self, baseline: Self) -> Self {
        Self {
            processes: self.processes.saturating_sub(baseline.processes),
            names: self.names.saturating_sub(baseline.names),
            links: self.links.saturating_sub(baseline.links),
            monitors: self.monitors.saturating_sub(baseline.monitors),
            timers: self.timers.saturating_sub(baseline.timers),
        }
    }

    pub(crate) fn sum(self) -> usize {
        self.processes + self.names + self.links + self.monitors + self.timers
    }
}
