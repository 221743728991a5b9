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
    members: Vec<Member>,
    /// How many nobody spawned that is known.
    roots: u32,
}

struct Member {
    path: Path,
    /// What people call it.
    label: Arc<str>,
    is_named: bool,
    children: u32,
    turns: u64,
}

impl Cast {
    /// The process of this pid; one that is not known is a root.
    pub(crate) fn id(&mut self, pid: Pid) -> Id {
        let Self { known, members, roots } = self;
        *known.entry(pid).or_insert_with(|| {
            *roots += 1;
            enter(members, Path(Arc::new([*roots])))
        })
    }

    /// `parent` has spawned `child`.
    pub(crate) fn spawned(&mut self, parent: Id, child: Pid) {
        let above = &mut self.members[parent.0];
        above.children += 1;
        let path = above.path.0.iter().copied().chain([above.children]).collect();
        let id = enter(&mut self.members, Path(path));
        self.known.insert(child, id);
    }

    /// The first that is said counts: a process is called so from now on.
    pub(crate) fn name(&mut self, id: Id, label: impl FnOnce() -> Arc<str>) {
        let member = &mut self.members[id.0];
        if !member.is_named {
            (member.label, member.is_named) = (label(), true);
        }
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

fn enter(members: &mut Vec<Member>, path: Path) -> Id {
    members.push(Member { path, label: "process".into(), is_named: false, children: 0, turns: 0 });
    Id(members.len() - 1)
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
