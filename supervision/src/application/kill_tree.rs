//! The end of a whole tree of processes by force.
//!
//! An orderly end is the supervisors' own work; see [`core`](crate::core). This is for when nobody wants
//! to wait for that any more.

use std::collections::BTreeSet;

use biotope_runtime::{ExitReason, Me, MonitorRef, Pid};

/// Kills a process and all of its descendants.
#[derive(Debug)]
pub(crate) struct KillTree {
    killed: BTreeSet<Pid>,
    /// Of what was killed and is not known to be gone.
    monitors: BTreeSet<MonitorRef>,
}

impl KillTree {
    /// Kills `root`, then what stems from it: a supervisor must not restart what is killed after it.
    pub(crate) fn begin(me: &Me, root: Pid) -> Self {
        let mut tree = Self { killed: BTreeSet::new(), monitors: BTreeSet::new() };
        tree.kill(me, root);
        tree.kill_descendants(me);
        tree
    }

    /// A monitored process has ended. Returns whether all are gone.
    pub(crate) fn on_down(&mut self, me: &Me, monitor: MonitorRef) -> bool {
        self.monitors.remove(&monitor);
        if self.monitors.is_empty() {
            // What was spawned while the others were killed.
            self.kill_descendants(me);
        }
        self.monitors.is_empty()
    }

    fn kill_descendants(&mut self, me: &Me) {
        let processes = me.node().processes();
        loop {
            let is_next = |parent: Option<Pid>| parent.is_some_and(|parent| self.killed.contains(&parent));
            let next: Vec<Pid> = processes
                .iter()
                .filter(|process| is_next(process.parent) && !self.killed.contains(&process.pid))
                .map(|process| process.pid)
                .collect();
            if next.is_empty() {
                return;
            }
            for pid in next {
                self.kill(me, pid);
            }
        }
    }

    fn kill(&mut self, me: &Me, pid: Pid) {
        self.killed.insert(pid);
        self.monitors.insert(me.monitor(pid));
        me.exit(pid, ExitReason::Kill);
    }
}
