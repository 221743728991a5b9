//! The children of a dynamic supervisor, found by whatever is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use biotope_runtime::{Pid, ReplyTo};

use super::super::client::{NoSuchChild, StartDynamicChildError};
use crate::child_spec::{Child, Kind};
use crate::client::{ChildCounts, ChildInfo, ChildStatus};
use crate::past::Past;

/// Names a child for as long as there is one; a later one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

/// Who asked for a child to be started.
pub(super) type Asked = ReplyTo<Result<Option<Pid>, StartDynamicChildError>>;
/// Who asked for one to be stopped.
pub(super) type Terminator = ReplyTo<Result<(), NoSuchChild>>;

/// All children. Of each, only [`set`](Self::set) changes the state, so that the indexes say what the states do.
#[derive(Default)]
pub(super) struct Children {
    /// In the order in which they were asked for.
    all: BTreeMap<Key, Entry>,
    /// By the pid that each has, or had before it was to be started again.
    known: BTreeMap<Pid, Key>,
    /// When something is due, and for whom.
    due: BTreeSet<(Instant, Key)>,
    counts: ChildCounts,
    keys: u64,
}

struct Entry {
    child: Child,
    state: State,
    past: Past,
}

pub(super) enum State {
    /// A start is under way.
    Starting {
        /// The pid that it had, if this is no first start.
        last: Option<Pid>,
        asked: Option<Asked>,
    },
    Up(Pid),
    /// It is to be started again, but not yet; it had this pid.
    Held(Pid, Hold),
    /// It was told to stop. In a box: at any time, few are.
    Stopping(Box<Stopping>),
}

/// What a child that failed waits for.
#[derive(Clone, Copy)]
pub(super) enum Hold {
    /// Its back-off is over at that time.
    Backoff(Instant),
    /// The driver looks whether what it needs is up, or for orphans.
    Looking,
    /// What it needs is down. The driver looks again at that time.
    Circuit(Instant),
    /// So many, whom its last process has left, have not ended yet. At that time they are killed.
    Orphans { left: usize, due: Option<Instant> },
}

pub(super) struct Stopping {
    /// Its process; `None` while its start has not returned.
    pub(super) process: Option<Pid>,
    /// The pid that it is known by.
    pub(super) known: Option<Pid>,
    pub(super) asked: Option<Asked>,
    pub(super) is_killed: bool,
    pub(super) due: Option<Instant>,
    pub(super) terminators: Vec<Terminator>,
}

/// What a child is found by, and whether it counts as active.
#[derive(Clone, Copy, Default)]
struct Marks {
    known: Option<Pid>,
    process: Option<Pid>,
    due: Option<Instant>,
}

impl State {
    /// The pid that it is known by.
    pub(super) fn known(&self) -> Option<Pid> {
        match self {
            Self::Starting { last, .. } => *last,
            Self::Up(pid) | Self::Held(pid, _) => Some(*pid),
            Self::Stopping(stopping) => stopping.known,
        }
    }

    /// The process that it has.
    pub(super) fn process(&self) -> Option<Pid> {
        match self {
            Self::Starting { .. } | Self::Held(..) => None,
            Self::Up(pid) => Some(*pid),
            Self::Stopping(stopping) => stopping.process,
        }
    }

    fn marks(&self) -> Marks {
        let due = match self {
            Self::Held(_, Hold::Backoff(due) | Hold::Circuit(due)) => Some(*due),
            Self::Held(_, Hold::Orphans { due, .. }) => *due,
            Self::Stopping(stopping) => stopping.due,
            Self::Starting { .. } | Self::Up(_) | Self::Held(_, Hold::Looking) => None,
        };
        Marks { known: self.known(), process: self.process(), due }
    }
}

impl Children {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn counts(&self) -> ChildCounts {
        self.counts
    }

    /// Adds a child, whose first start is under way.
    pub(super) fn add(&mut self, child: Child, asked: Option<Asked>) -> Key {
        self.keys += 1;
        let key = Key(self.keys);
        self.counts.specs += 1;
        *self.count_of(child.kind) += 1;
        let state = State::Starting { last: None, asked };
        self.all.insert(key, Entry { child, state, past: Past::default() });
        key
    }

    /// The child that is known by `pid`.
    pub(super) fn by_pid(&self, pid: Pid) -> Option<Key> {
        self.known.get(&pid).copied()
    }

    pub(super) fn child(&self, key: Key) -> &Child {
        &self.entry(key).child
    }

    pub(super) fn state(&self, key: Key) -> &State {
        &self.entry(key).state
    }

    /// Whether there is still such a child.
    pub(super) fn has(&self, key: Key) -> bool {
        self.all.contains_key(&key)
    }

    pub(super) fn past(&mut self, key: Key) -> &mut Past {
        &mut self.entry_mut(key).past
    }

    pub(super) fn restarts(&self, key: Key) -> u64 {
        self.entry(key).past.restarts()
    }

    /// Puts it into another state, and returns the one before.
    pub(super) fn set(&mut self, key: Key, state: State) -> State {
        let entry = self.entry_mut(key);
        let before = std::mem::replace(&mut entry.state, state);
        let now = entry.state.marks();
        self.mark(key, before.marks(), now);
        before
    }

    /// Changes what there is to know of a child that was told to stop.
    pub(super) fn change_stopping(&mut self, key: Key, change: impl FnOnce(&mut Stopping)) {
        let entry = self.entry_mut(key);
        let before = entry.state.marks();
        if let State::Stopping(stopping) = &mut entry.state {
            change(stopping);
        }
        let now = entry.state.marks();
        self.mark(key, before, now);
    }

    pub(super) fn remove(&mut self, key: Key) -> (Child, State) {
        let Some(Entry { child, state, .. }) = self.all.remove(&key) else { unreachable!("{NOT_ONE_THAT_HAS_GONE}") };
        self.mark(key, state.marks(), Marks::default());
        self.counts.specs -= 1;
        *self.count_of(child.kind) -= 1;
        (child, state)
    }

    /// When something is due next, and for whom.
    pub(super) fn first_due(&self) -> Option<(Instant, Key)> {
        self.due.first().copied()
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.all.keys().copied().collect()
    }

    /// The processes that they have, in order.
    pub(super) fn processes(&self) -> Vec<Pid> {
        self.all.values().filter_map(|entry| entry.state.process()).collect()
    }

    pub(super) fn infos(&self) -> Vec<ChildInfo> {
        self.all.values().map(Entry::info).collect()
    }

    fn entry(&self, key: Key) -> &Entry {
        match self.all.get(&key) {
            Some(entry) => entry,
            None => unreachable!("{NOT_ONE_THAT_HAS_GONE}"),
        }
    }

    fn entry_mut(&mut self, key: Key) -> &mut Entry {
        match self.all.get_mut(&key) {
            Some(entry) => entry,
            None => unreachable!("{NOT_ONE_THAT_HAS_GONE}"),
        }
    }

    /// Lets a child be found by what it is found by now.
    fn mark(&mut self, key: Key, before: Marks, now: Marks) {
        if before.known != now.known {
            before.known.map(|pid| self.known.remove(&pid));
            now.known.map(|pid| self.known.insert(pid, key));
        }
        if before.due != now.due {
            before.due.map(|due| self.due.remove(&(due, key)));
            now.due.map(|due| self.due.insert((due, key)));
        }
        self.counts.active -= usize::from(before.process.is_some());
        self.counts.active += usize::from(now.process.is_some());
    }

    fn count_of(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Worker => &mut self.counts.workers,
            Kind::Supervisor => &mut self.counts.supervisors,
        }
    }
}

/// The law of keys.
const NOT_ONE_THAT_HAS_GONE: &str = "a child is asked for by its key while it is there";

impl Entry {
    fn info(&self) -> ChildInfo {
        let Self { child, state, past } = self;
        let status = state.process().map_or(ChildStatus::Restarting, ChildStatus::Running);
        let Child { kind, restart, shutdown, .. } = *child;
        ChildInfo { id: child.id.clone(), status, restarts: past.restarts(), kind, restart, shutdown }
    }
}
