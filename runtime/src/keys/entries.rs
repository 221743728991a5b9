//! The entries under one key: who holds it, and with what value.

use std::collections::BTreeMap;

use crate::pid::Pid;

pub(super) enum Entries<V> {
    /// All that a unique key ever has. It needs no memory of its own.
    One(Pid, V),
    /// By process, and then in the order that the process registered them: to take out what one process
    /// has costs no more if the others have much.
    Many(BTreeMap<(Pid, u64), V>),
}

impl<V> Entries<V> {
    pub(super) fn push(&mut self, pid: Pid, value: V) {
        if let Self::One(..) = self
            && let Self::One(first, value) = std::mem::take(self)
        {
            *self = Self::Many(BTreeMap::from([((first, 0), value)]));
        }
        if let Self::Many(entries) = self {
            let last = entries.range((pid, 0)..=(pid, u64::MAX)).next_back();
            let number = last.map_or(0, |(&(_, number), _)| number + 1);
            entries.insert((pid, number), value);
        }
    }

    /// Takes out what `pid` has.
    pub(super) fn remove(&mut self, pid: Pid) -> Vec<V> {
        match self {
            Self::One(holder, _) if *holder != pid => Vec::new(),
            Self::One(..) => match std::mem::take(self) {
                Self::One(_, value) => vec![value],
                Self::Many(_) => unreachable!("it was one"),
            },
            Self::Many(entries) => {
                entries.extract_if((pid, 0)..=(pid, u64::MAX), |_, _| true).map(|(_, value)| value).collect()
            }
        }
    }

    /// The value, if `pid` is the only one that holds the key, and holds it once.
    pub(super) fn only(&self, pid: Pid) -> Option<&V> {
        match self {
            Self::One(holder, value) if *holder == pid => Some(value),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn only_mut(&mut self, pid: Pid) -> Option<&mut V> {
        match self {
            Self::One(holder, value) if *holder == pid => Some(value),
            _ => None,
        }
    }

    pub(super) fn first_holder(&self) -> Option<Pid> {
        match self {
            Self::One(holder, _) => Some(*holder),
            Self::Many(entries) => entries.keys().next().map(|(holder, _)| *holder),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Many(entries) => entries.len(),
        }
    }
}

impl<V: Clone> Entries<V> {
    pub(super) fn all(&self) -> Vec<(Pid, V)> {
        match self {
            Self::One(pid, value) => vec![(*pid, value.clone())],
            Self::Many(entries) => entries.iter().map(|(&(pid, _), value)| (pid, value.clone())).collect(),
        }
    }

    /// What `pid` has, in the order registered.
    pub(super) fn of(&self, pid: Pid) -> Vec<V> {
        match self {
            Self::One(holder, value) if *holder == pid => vec![value.clone()],
            Self::One(..) => Vec::new(),
            Self::Many(entries) => entries.range((pid, 0)..=(pid, u64::MAX)).map(|(_, value)| value.clone()).collect(),
        }
    }
}

impl<V> Default for Entries<V> {
    fn default() -> Self {
        Self::Many(BTreeMap::new())
    }
}
