//! What is below what.

use std::collections::BTreeMap;

use biotope_runtime::{Pid, ProcessInfo};

use super::Branch;
use crate::child_spec::Kind;
use crate::client::ChildInfo;

/// What each supervisor says of its children; `None` from one that does not answer.
pub(super) type Answers = BTreeMap<Pid, Option<Vec<ChildInfo>>>;

/// What is to be put below something.
enum Below {
    /// The process at this place, and what its supervisor says of it.
    Process(usize, Option<ChildInfo>),
    /// A child without a process here.
    Child(ChildInfo),
}

/// The branches, in order. A child is below the supervisor that lists it, any other process below the one that spawned it, and
/// one whose parent is gone is a root. Everything is there once, whatever the answers say.
pub(super) fn grow(processes: Vec<ProcessInfo>, mut answers: Answers) -> Vec<Branch> {
    let place_of: BTreeMap<Pid, usize> = processes.iter().enumerate().map(|(at, process)| (process.pid, at)).collect();
    let mut is_listed = vec![false; processes.len()];
    for child in answers.values().flatten().flatten() {
        if let Some(at) = child.pid().and_then(|pid| place_of.get(&pid)) {
            is_listed[*at] = true;
        }
    }
    let mut roots = Vec::new();
    let mut spawned: BTreeMap<Pid, Vec<usize>> = BTreeMap::new();
    // In the order of pids, which a seed does not change.
    for at in place_of.values().copied().filter(|at| !is_listed[*at]) {
        match processes[at].parent.filter(|parent| place_of.contains_key(parent)) {
            Some(parent) => spawned.entry(parent).or_default().push(at),
            None => roots.push(at),
        }
    }
    let mut grown = Grown { processes: processes.into_iter().map(Some).collect(), branches: Vec::new() };
    let mut left: Vec<(usize, Below)> = Vec::new();
    // Who lists itself, or what it is below, is below no root.
    let rest = place_of.values().copied();
    for root in roots.into_iter().chain(rest) {
        left.push((0, Below::Process(root, None)));
        while let Some((depth, next)) = left.pop() {
            let Some(pid) = grown.add(depth, next, &answers) else { continue };
            let children = answers.get_mut(&pid).and_then(Option::take).unwrap_or_default();
            let children = children.into_iter().map(|child| match child.pid().and_then(|pid| place_of.get(&pid)) {
                Some(at) => Below::Process(*at, Some(child)),
                None => Below::Child(child),
            });
            let others = spawned.remove(&pid).unwrap_or_default().into_iter().map(|at| Below::Process(at, None));
            let first = left.len();
            left.extend(children.chain(others).map(|below| (depth + 1, below)));
            // The last to be put there is the first to be taken.
            left[first..].reverse();
        }
    }
    grown.branches
}

/// What has grown so far.
struct Grown {
    /// Those that have no place yet.
    processes: Vec<Option<ProcessInfo>>,
    branches: Vec<Branch>,
}

impl Grown {
    /// Adds a branch. Returns the process that others may be below, if it is one that has no place yet.
    fn add(&mut self, depth: usize, below: Below, answers: &Answers) -> Option<Pid> {
        match below {
            Below::Child(child) => {
                let kind = child.kind;
                self.branches.push(Branch { depth, child: Some(child), process: None, kind, is_silent: false });
                None
            }
            Below::Process(at, child) => {
                let process = self.processes[at].take()?;
                let pid = process.pid;
                let answer = answers.get(&pid);
                let says = child.as_ref().map(|child| child.kind);
                let kind = if answer.is_some() { Kind::Supervisor } else { says.unwrap_or(Kind::Worker) };
                let is_silent = answer.is_some_and(Option::is_none);
                self.branches.push(Branch { depth, child, process: Some(process), kind, is_silent });
                Some(pid)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use biotope_runtime::{Process, Restart, Runtime, Shutdown, SpawnOptions, node};

    use super::*;
    use crate::client::ChildStatus;

    /// Processes that were spawned by those that `parents` names by their places, or by nobody.
    fn processes(parents: &'static [Option<usize>]) -> Vec<ProcessInfo> {
        let (sender, seen) = std::sync::mpsc::channel();
        let body = async move {
            let mut pids: Vec<Pid> = Vec::new();
            for parent in parents {
                let options = SpawnOptions { parent: parent.map(|at| pids[at]), ..SpawnOptions::default() };
                let process = node().spawn_process_with(options, async |mut me: Process<()>| Ok(me.receive().await?));
                pids.push(process.pid());
            }
            sender.send(pids.into_iter().filter_map(|pid| node().peek(pid)).collect())?;
            Ok(())
        };
        biotope_runtime::run(Runtime::builder().seeded(0), "test", body).unwrap().unwrap();
        seen.recv().unwrap()
    }

    fn child(id: &str, status: ChildStatus) -> ChildInfo {
        let (restart, shutdown) = (Restart::Permanent, Shutdown::Infinity);
        ChildInfo { id: id.into(), status, restarts: 0, kind: Kind::Worker, restart, shutdown }
    }

    /// For each branch its depth, which process it is, and what its supervisor calls it.
    fn grown(processes: &[ProcessInfo], answers: Answers) -> Vec<(usize, Option<usize>, Option<String>)> {
        let place = |pid| processes.iter().position(|process| process.pid == pid);
        let branches = grow(processes.to_vec(), answers).into_iter();
        branches
            .map(|branch| {
                (
                    branch.depth,
                    branch.process.and_then(|process| place(process.pid)),
                    branch.child.map(|child| child.id.to_string()),
                )
            })
            .collect()
    }

    #[test]
    fn children_come_in_start_order_and_before_what_else_their_supervisor_has_spawned() {
        let all = processes(&[None, Some(0), Some(0), Some(0), Some(2), None]);
        let running = |at: usize| ChildStatus::Running(all[at].pid);
        // The last was spawned by nobody, and is a child all the same.
        let listed = vec![
            child("late", running(5)),
            child("none", ChildStatus::Stopped),
            child("first", running(3)),
            child("second", running(1)),
        ];
        let grown = grown(&all, [(all[0].pid, Some(listed))].into());
        let expected = [
            (0, Some(0), None),
            (1, Some(5), Some("late")),
            (1, None, Some("none")),
            (1, Some(3), Some("first")),
            (1, Some(1), Some("second")),
            (1, Some(2), None),
            (2, Some(4), None),
        ];
        assert_eq!(grown, expected.map(|(depth, at, id)| (depth, at, id.map(str::to_owned))));
    }

    /// Supervisors that list each other, themselves, or one child twice.
    #[test]
    fn everything_is_there_once_whatever_the_answers_say() {
        let all = processes(&[None, Some(0), Some(1), None]);
        let running = |id: &str, at: usize| child(id, ChildStatus::Running(all[at].pid));
        let answers: Answers = [
            (all[0].pid, Some(vec![running("1", 1)])),
            (all[1].pid, Some(vec![running("0", 0), running("1", 1), running("3", 3)])),
            (all[2].pid, Some(vec![running("3", 3)])),
        ]
        .into();
        let mut seen: Vec<_> = grown(&all, answers).into_iter().filter_map(|(_, at, _)| at).collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3]);
    }
}
