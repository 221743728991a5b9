//! Who is who: names of processes that are the same in every run of a test, whatever the order of turns.
//!
//! A process is known by the way to it: `2.1` is the first process that the second one spawned. A pid would not do: it
//! says when a process was spawned, which is what changes from one schedule to the next.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use biotope_runtime::Pid;

/// The place of a process in the list of all that there ever were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Id(usize);

/// The way to a process: the number of each child among its parent's.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Path(Arc<[u32]>);

/// All processes of a run.
#[derive(Default)]
pub(crate) struct Cast {
    known: BTreeMap<Pid, Id>,
    found: BTreeMap<Path, Pid>,
    members: Vec<Member>,
    /// How many nobody spawned.
    roots: u32,
}

struct Member {
    path: Path,
    /// What people call it.
    label: Arc<str>,
    children: u32,
    turns: u64,
}

impl Cast {
    /// A process begins, which people call so.
    pub(crate) fn enter(&mut self, pid: Pid, parent: Option<Pid>, label: Arc<str>) -> Id {
        let parent = parent.and_then(|parent| self.known.get(&parent).copied());
        let path: Arc<[u32]> = match parent {
            Some(parent) => {
                let parent = &mut self.members[parent.0];
                parent.children += 1;
                parent.path.0.iter().copied().chain([parent.children]).collect()
            }
            None => {
                self.roots += 1;
                Arc::new([self.roots])
            }
        };
        self.members.push(Member { path: Path(path.clone()), label, children: 0, turns: 0 });
        let id = Id(self.members.len() - 1);
        self.known.insert(pid, id);
        self.found.insert(Path(path), pid);
        id
    }

    /// The process of this pid; one whose begin was not seen is a root.
    pub(crate) fn id(&mut self, pid: Pid) -> Id {
        match self.known.get(&pid) {
            Some(id) => *id,
            None => self.enter(pid, None, "process".into()),
        }
    }

    /// The process at this path, if there was one.
    pub(crate) fn pid_at(&self, path: &Path) -> Option<Pid> {
        self.found.get(path).copied()
    }

    /// It is called otherwise from now on.
    pub(crate) fn rename(&mut self, id: Id, label: &str) {
        self.members[id.0].label = label.into();
    }

    /// It has one more turn, of which this returns the number: the first is 1.
    pub(crate) fn turn(&mut self, id: Id) -> u64 {
        self.members[id.0].turns += 1;
        self.members[id.0].turns
    }

    /// The number of its next turn.
    pub(crate) fn next_turn(&self, id: Id) -> u64 {
        self.members[id.0].turns + 1
    }

    /// Whether it is the first that nobody spawned.
    pub(crate) fn is_first(&self, id: Id) -> bool {
        *self.members[id.0].path.0 == [1]
    }

    pub(crate) fn path(&self, id: Id) -> &Path {
        &self.members[id.0].path
    }

    /// What people call it, and the way to it.
    pub(crate) fn describe(&self, id: Id) -> String {
        let member = &self.members[id.0];
        format!("{} {}", member.label, member.path)
    }
}

impl Path {
    /// What [`Display`](fmt::Display) has written.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.split('.').map(|number| number.parse().ok()).collect::<Option<Vec<_>>>().map(|way| Self(way.into()))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, number) in self.0.iter().enumerate() {
            let dot = if place == 0 { "" } else { "." };
            write!(f, "{dot}{number}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
