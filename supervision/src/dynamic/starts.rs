//! The starts of a dynamic supervisor that are under way, each beside the others.
//!
//! A start is a future of the user's. All of them are polled in the supervisor's own process, each when it was woken. What one
//! spawns meanwhile, linked to the supervisor, is noted as its own: so it can be stopped before the start has told its pid.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use biotope_runtime::{ExitReason, Me, Pid, StartError, with_me};
use parking_lot::Mutex;

use super::core::Key;
use crate::caught::{begin_caught, dropped, poll_caught};
use crate::child_spec::{Child, Starting};

/// What came of a start.
pub(super) struct Started {
    pub(super) key: Key,
    pub(super) outcome: Result<Pid, StartError>,
    /// Why the child has ended, if it has and that was heard of before the start returned.
    pub(super) ended: Option<ExitReason>,
    /// What a start has spawned that failed.
    pub(super) left: Vec<Pid>,
}

#[derive(Default)]
pub(super) struct Starts {
    under_way: BTreeMap<Key, Start>,
    /// Which start has spawned a process.
    spawned_by: BTreeMap<Pid, Key>,
    /// Those that were woken, as far as they were looked at: the next to be polled first.
    next: VecDeque<Key>,
    woken: Arc<Woken>,
}

struct Start {
    starting: Starting,
    bell: Arc<Bell>,
    spawned: Vec<Pid>,
    /// Of what it has spawned, what has ended.
    ended: Vec<(Pid, ExitReason)>,
}

/// The starts that were woken since somebody looked, and who is to be woken for them.
#[derive(Default)]
struct Woken(Mutex<(VecDeque<Key>, Option<Waker>)>);

/// Wakes one start.
struct Bell {
    key: Key,
    /// Whether it is among the woken.
    has_rung: AtomicBool,
    woken: Arc<Woken>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if self.has_rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut woken = self.woken.0.lock();
        woken.0.push_back(self.key);
        let waker = woken.1.take();
        drop(woken);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Starts {
    /// Begins to start a child of the supervisor `me`, for the so-manieth time again. Returns what came of it, if that is known at once and it is there. What
    /// fails at once is told by [`poll`](Self::poll): whoever tries again and again does something else in between.
    pub(super) fn begin(&mut self, me: &Me, key: Key, child: &Child, restarts: u64) -> Option<Started> {
        let (starting, spawned) = noting_links(|| begin_caught(child, me, restarts));
        let bell = Arc::new(Bell { key, has_rung: AtomicBool::new(false), woken: self.woken.clone() });
        self.under_way.insert(key, Start { starting, bell, spawned: Vec::new(), ended: Vec::new() });
        self.note(key, spawned);
        match self.poll_one(key) {
            Poll::Pending => None,
            Poll::Ready(Ok(pid)) => Some(self.over(key, Ok(pid))),
            Poll::Ready(Err(error)) => {
                if let Some(start) = self.under_way.get_mut(&key) {
                    start.starting = Box::pin(std::future::ready(Err(error)));
                    start.bell.clone().wake();
                }
                None
            }
        }
    }

    /// The next start that returns.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<Started> {
        if self.next.is_empty() {
            let mut woken = self.woken.0.lock();
            mem::swap(&mut self.next, &mut woken.0);
            woken.1 = Some(cx.waker().clone());
        }
        while let Some(key) = self.next.pop_front() {
            if let Poll::Ready(outcome) = self.poll_one(key) {
                return Poll::Ready(self.over(key, outcome));
            }
        }
        // Those that were woken meanwhile have their turn after whatever else the supervisor does.
        let mut woken = self.woken.0.lock();
        if woken.0.is_empty() {
            woken.1 = Some(cx.waker().clone());
        } else {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// What a start has spawned so far.
    pub(super) fn spawned(&self, key: Key) -> &[Pid] {
        self.under_way.get(&key).map_or(&[], |start| &start.spawned)
    }

    /// A process has ended that may be what a start has spawned.
    pub(super) fn on_ended(&mut self, pid: Pid, reason: &ExitReason) {
        if let Some(key) = self.spawned_by.get(&pid)
            && let Some(start) = self.under_way.get_mut(key)
        {
            start.ended.push((pid, reason.clone()));
        }
    }

    /// Forgets a start.
    pub(super) fn abandon(&mut self, key: Key) {
        dropped(self.take(key));
    }

    fn poll_one(&mut self, key: Key) -> Poll<Result<Pid, StartError>> {
        // It may have been abandoned since it was woken.
        let Some(start) = self.under_way.get_mut(&key) else { return Poll::Pending };
        start.bell.has_rung.store(false, Ordering::Release);
        let waker = Waker::from(start.bell.clone());
        let starting = &mut start.starting;
        let (polled, spawned) = noting_links(|| poll_caught(starting, &mut Context::from_waker(&waker)));
        self.note(key, spawned);
        polled
    }

    fn note(&mut self, key: Key, spawned: Vec<Pid>) {
        if let Some(start) = self.under_way.get_mut(&key) {
            self.spawned_by.extend(spawned.iter().map(|pid| (*pid, key)));
            start.spawned.extend(spawned);
        }
    }

    fn over(&mut self, key: Key, outcome: Result<Pid, StartError>) -> Started {
        let Some(start) = self.take(key) else { unreachable!("a start that returns was under way") };
        let Start { starting, spawned, ended, .. } = start;
        dropped(starting);
        match outcome {
            Ok(child) => {
                let ended = ended.into_iter().find(|(pid, _)| *pid == child).map(|(_, reason)| reason);
                Started { key, outcome, ended, left: Vec::new() }
            }
            Err(_) => Started { key, outcome, ended: None, left: spawned },
        }
    }

    fn take(&mut self, key: Key) -> Option<Start> {
        let start = self.under_way.remove(&key)?;
        for pid in &start.spawned {
            self.spawned_by.remove(pid);
        }
        Some(start)
    }
}

/// Runs `f`, and tells beside what it returns who was linked to the supervisor meanwhile.
fn noting_links<R>(f: impl FnOnce() -> R) -> (R, Vec<Pid>) {
    match with_me(|me| me.linked_during(f)) {
        Some(noted) => noted,
        None => unreachable!("a supervisor polls the starts of its children in its own process"),
    }
}
