//! Local names: at most one process for a name, at most one name for a process.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::pid::Pid;

#[derive(Default)]
pub(crate) struct Names(RwLock<BTreeMap<Arc<str>, Pid>>);

/// The name was not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name is already registered, by {holder}")]
pub(crate) struct NameTaken {
    pub(crate) holder: Pid,
}

/// Why a name was not registered.
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

/// No process has the name; or, with [`Keys`](crate::Keys), the process does not hold the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not registered")]
pub struct NotRegistered;

impl Names {
    pub(crate) fn insert(&self, name: &Arc<str>, pid: Pid) -> Result<(), NameTaken> {
        let mut names = self.0.write();
        match names.get(name) {
            Some(&holder) => Err(NameTaken { holder }),
            None => {
                names.insert(name.clone(), pid);
                Ok(())
            }
        }
    }

    /// Removes `name` if it is `pid`'s.
    pub(crate) fn remove(&self, name: &str, pid: Pid) -> bool {
        let mut names = self.0.write();
        let is_its_name = names.get(name) == Some(&pid);
        if is_its_name {
            names.remove(name);
        }
        is_its_name
    }

    pub(crate) fn get(&self, name: &str) -> Option<Pid> {
        self.0.read().get(name).copied()
    }

    pub(crate) fn all(&self) -> Vec<Arc<str>> {
        self.0.read().keys().cloned().collect()
    }
}
