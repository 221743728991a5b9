//! Local names: at most one process for a name, at most one name for a process.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use parking_lot::RwLock;

use crate::pid::Pid;

#[derive(Default)]
pub(crate) struct Names(RwLock<Known>);

#[derive(Default)]
struct Known {
    holders: BTreeMap<Arc<str>, Pid>,
    /// Who waits until somebody has a name; each with a number of its own.
    waiting: BTreeMap<(Arc<str>, u64), Waker>,
    numbers: u64,
}

/// Those who have waited for a name that somebody has now.
#[must_use = "they wait until they are woken"]
pub(crate) struct Waited(Vec<Waker>);

impl Waited {
    /// Wakes them. Under no lock: what a waker does is not known here.
    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

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
    pub(crate) fn insert(&self, name: &Arc<str>, pid: Pid) -> Result<Waited, NameTaken> {
        let mut known = self.0.write();
        if let Some(&holder) = known.holders.get(name) {
            return Err(NameTaken { holder });
        }
        known.holders.insert(name.clone(), pid);
        let waited = known.waiting.extract_if((name.clone(), 0)..=(name.clone(), u64::MAX), |_, _| true);
        Ok(Waited(waited.map(|(_, waker)| waker).collect()))
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

    /// Waits until somebody has `name`.
    pub(crate) fn holder<'a>(&'a self, name: &'a Arc<str>) -> Holder<'a> {
        Holder { names: self, name, number: None }
    }

    /// How many wait for a name.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.0.read().waiting.len()
    }
}

/// Waits until somebody has a name. It can be polled again when it is done.
pub(crate) struct Holder<'a> {
    names: &'a Names,
    name: &'a Arc<str>,
    /// Its number among those who wait.
    number: Option<u64>,
}

impl Future for Holder<'_> {
    type Output = Pid;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Pid> {
        let mut known = self.names.0.write();
        if let Some(&holder) = known.holders.get(self.name) {
            return Poll::Ready(holder);
        }
        let number = self.number.unwrap_or_else(|| {
            known.numbers += 1;
            known.numbers
        });
        known.waiting.insert((self.name.clone(), number), cx.waker().clone());
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Holder<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.names.0.write().waiting.remove(&(self.name.clone(), number));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use super::*;
    use crate::pid::NodeId;

    fn poll_once(holder: Pin<&mut Holder<'_>>) -> Poll<Pid> {
        holder.poll(&mut TaskContext::from_waker(Waker::noop()))
    }

    #[test]
    fn who_waits_for_a_name_is_forgotten_when_it_has_come_or_nobody_waits() {
        let (names, name, other) = (Names::default(), Arc::from("a"), Arc::from("b"));
        let pid = Pid::new(NodeId::new("n", 0), 0, 0);
        let mut holder = pin!(names.holder(&name));
        {
            let mut given_up = pin!(names.holder(&other));
            assert!(poll_once(holder.as_mut()).is_pending() && poll_once(given_up.as_mut()).is_pending());
            assert!(poll_once(given_up.as_mut()).is_pending(), "one place, however often it looks");
            assert_eq!(names.waiting(), 2);
        }
        assert_eq!(names.waiting(), 1);
        assert_eq!(names.insert(&name, pid).map(|waited| waited.0.len()), Ok(1));
        assert_eq!(names.waiting(), 0);
        assert_eq!(poll_once(holder.as_mut()), Poll::Ready(pid));
        assert!(names.remove("a", pid));
        assert!(poll_once(holder.as_mut()).is_pending(), "it waits for the next");
        assert_eq!(names.waiting(), 1);
    }
}
