//! Local names: at most one process for a name, at most one name for a process.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::task::Waker;

use parking_lot::RwLock;

use crate::pid::Pid;

#[derive(Default)]
pub(crate) struct Names(RwLock<Known>);

#[derive(Default)]
struct Known {
    holders: BTreeMap<Arc<str>, Pid>,
    waiters: Waiters<Arc<str>, RandomState>,
}

/// Who waits until somebody has a name, or a key.
pub(crate) struct Waiters<K, S> {
    /// Each with a number of its own. There is no name that nobody waits for.
    waiting: HashMap<K, BTreeMap<u64, Waker>, S>,
    numbers: u64,
}

impl<K: Hash + Eq + Clone, S: BuildHasher> Waiters<K, S> {
    pub(crate) fn with_hasher(hasher: S) -> Self {
        Self { waiting: HashMap::with_hasher(hasher), numbers: 0 }
    }

    /// Wakes whoever has `waker` when somebody gets `name`, once. It has `number`, which is made now if it had none.
    pub(crate) fn add(&mut self, name: &K, number: &mut Option<u64>, waker: &Waker) {
        let number = *number.get_or_insert_with(|| {
            self.numbers += 1;
            self.numbers
        });
        self.waiting.entry(name.clone()).or_default().insert(number, waker.clone());
    }

    /// The one of this number waits no more.
    pub(crate) fn forget(&mut self, name: &K, number: u64) {
        if let Some(waiting) = self.waiting.get_mut(name) {
            waiting.remove(&number);
            if waiting.is_empty() {
                self.waiting.remove(name);
            }
        }
    }

    /// Somebody has `name` now.
    pub(crate) fn take(&mut self, name: &K) -> Waited {
        // Nobody does, as a rule: then the name is not hashed.
        if self.waiting.is_empty() {
            return Waited::default();
        }
        Waited(self.waiting.remove(name).unwrap_or_default())
    }

    /// How many wait.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.waiting.values().map(BTreeMap::len).sum()
    }
}

impl<K: Hash + Eq + Clone, S: BuildHasher + Default> Default for Waiters<K, S> {
    fn default() -> Self {
        Self::with_hasher(S::default())
    }
}

/// Those who have waited for a name that somebody has now.
#[derive(Default)]
#[must_use = "they wait until they are woken"]
pub(crate) struct Waited(BTreeMap<u64, Waker>);

impl Waited {
    /// Wakes them. Under no lock: what a waker does is not known here.
    pub(crate) fn wake(self) {
        self.0.into_values().for_each(Waker::wake);
    }
}

/// The name was not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name is already registered, by {holder}")]
pub(crate) struct NameTaken {
    pub(crate) holder: Pid,
}

/// Why a name was not registered. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// Another process has the name.
    #[error("the name is already registered, by {0}")]
    Taken(Pid),
    /// The process has another name; a process has one at most.
    #[error("the process is already registered as `{0}`")]
    HasName(String),
    /// There is no such process on this node.
    #[error("noproc: there is no such process on this node")]
    NoProc,
}

impl RegisterError {
    /// Whether the same may succeed if it is tried again, when whoever has the name has ended.
    pub fn can_retry(&self) -> bool {
        match self {
            Self::Taken(_) => true,
            Self::HasName(_) | Self::NoProc => false,
        }
    }
}

/// No process has the name; or, with [`Keys`](crate::Keys), the process does not hold the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not registered")]
pub struct NotRegistered;

impl Names {
    pub(crate) fn insert(&self, name: &Arc<str>, pid: Pid) -> Result<Waited, NameTaken> {
        let mut known = self.0.write();
        if let Some(&holder) = known.holders.get(name) {
            return Err(NameTaken { holder });
        }
        known.holders.insert(name.clone(), pid);
        Ok(known.waiters.take(name))
    }

    /// Removes `name` if it is `pid`'s.
    pub(crate) fn remove(&self, name: &str, pid: Pid) -> bool {
        let mut known = self.0.write();
        let is_its_name = known.holders.get(name) == Some(&pid);
        if is_its_name {
            known.holders.remove(name);
        }
        is_its_name
    }

    pub(crate) fn get(&self, name: &str) -> Option<Pid> {
        self.0.read().holders.get(name).copied()
    }

    pub(crate) fn all(&self) -> Vec<Arc<str>> {
        self.0.read().holders.keys().cloned().collect()
    }

    /// Who has `name`. If nobody has, whoever has `waker` is woken once when somebody gets it, until it is
    /// [forgotten](Self::forget).
    pub(crate) fn watch(&self, name: &Arc<str>, number: &mut Option<u64>, waker: &Waker) -> Option<Pid> {
        let mut known = self.0.write();
        let holder = known.holders.get(name).copied();
        if holder.is_none() {
            known.waiters.add(name, number, waker);
        }
        holder
    }

    /// The one of this number waits for `name` no more.
    pub(crate) fn forget(&self, name: &Arc<str>, number: u64) {
        self.0.write().waiters.forget(name, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pid::NodeId;

    #[test]
    fn who_waits_for_a_name_is_forgotten_when_it_has_come_or_nobody_waits() {
        let (names, name, other) = (Names::default(), Arc::from("a"), Arc::from("b"));
        let pid = Pid::new(NodeId::new("n", 0), 0, 0);
        let waiting = || names.0.read().waiters.len();
        let (mut number, mut given_up) = (None, None);
        let watch = |name, number: &mut _| names.watch(name, number, Waker::noop());
        assert_eq!((watch(&name, &mut number), watch(&other, &mut given_up)), (None, None));
        assert_eq!(watch(&other, &mut given_up), None, "one place, however often it looks");
        assert_eq!(waiting(), 2);
        names.forget(&other, given_up.expect("it waits"));
        assert_eq!(waiting(), 1);
        assert_eq!(names.insert(&name, pid).map(|waited| waited.0.len()), Ok(1));
        assert_eq!(waiting(), 0);
        assert_eq!(watch(&name, &mut number), Some(pid));
        assert!(names.remove("a", pid));
        assert_eq!(watch(&name, &mut number), None, "it waits for the next");
        assert_eq!(waiting(), 1);
    }
}
