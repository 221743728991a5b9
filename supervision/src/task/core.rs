//! What a task supervisor decides.
//!
//! Events come in with `now`; [`Action`]s go out, and the next [`deadline`](Core::deadline). Unlike those of a
//! [`Supervisor`](crate::Supervisor), its children do not depend on each other: each is known by its pid, and all are
//! stopped at once.
//!
//! # Laws
//! - No more children than may be; one that is to be restarted keeps its place.
//! - A supervisor that ends begins none, tells all children to stop, and ends when none is left.
//! - Each request is answered once.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use biotope_runtime::{ExitReason, Pid, ReplyTo, Restart, Shutdown};

use super::client::{Again, NewTask, StartTaskError, TaskRequest};
use crate::core::is_disorderly;
use crate::intensity::{Intensity, Verdict};
use crate::report::Context;

pub(crate) struct Core {
    max_children: Option<usize>,
    intensity: Intensity,
    children: BTreeMap<Pid, Entry>,
    /// How many were begun; each has its number, by which they are listed.
    begun: u64,
    /// When those are to be killed that were told to stop.
    deadlines: BTreeSet<(Instant, Pid)>,
    phase: Phase,
}

/// What the driver must do, in this order.
pub(crate) enum Action {
    /// Begin the task, and tell [`Core::on_begun`].
    Begin(NewTask),
    /// Begin it again, and tell [`Core::on_begun`].
    Again(Begun),
    /// Tell that it is not begun.
    Refuse(NewTask, StartTaskError),
    Stop(Pid),
    Kill(Pid),
    Report(Pid, Begun, Context),
    /// Tell whether there was a child to be stopped.
    Answer(ReplyTo<bool>, bool),
    List(ReplyTo<Vec<Pid>>, Vec<Pid>),
    /// End the supervisor: it has no child.
    End(ExitReason),
}

/// How a child was begun.
#[derive(Clone)]
pub(crate) struct Begun {
    pub(crate) restart: Restart,
    pub(crate) shutdown: Shutdown,
    /// Begins it once more, if it is ever to be.
    pub(crate) again: Option<Arc<Again>>,
    /// How often it was begun once more.
    pub(crate) restarts: u64,
}

struct Entry {
    number: u64,
    begun: Begun,
    stopping: Option<Stopping>,
    /// Who asked for it to be stopped.
    terminators: Vec<ReplyTo<bool>>,
}

/// It was told to stop.
struct Stopping {
    deadline: Option<Instant>,
}

enum Phase {
    Running,
    Ending(ExitReason),
    Ended,
}

impl Core {
    pub(crate) fn new(max_children: Option<usize>, intensity: Intensity) -> Self {
        Self {
            max_children,
            intensity,
            children: BTreeMap::new(),
            begun: 0,
            deadlines: BTreeSet::new(),
            phase: Phase::Running,
        }
    }

    /// Somebody asks for something.
    pub(crate) fn on_request(&mut self, now: Instant, request: TaskRequest, out: &mut Vec<Action>) {
        match request {
            TaskRequest::Start(task) => out.push(match self.refusal() {
                None => Action::Begin(task),
                Some(error) => Action::Refuse(task, error),
            }),
            TaskRequest::Terminate(pid, reply) => match self.children.get_mut(&pid) {
                Some(entry) => {
                    entry.terminators.push(reply);
                    self.stop(now, pid, out);
                }
                None => out.push(Action::Answer(reply, false)),
            },
            TaskRequest::Children(reply) => {
                let mut children: Vec<_> = self.children.iter().map(|(pid, entry)| (entry.number, *pid)).collect();
                children.sort_unstable();
                out.push(Action::List(reply, children.into_iter().map(|(_, pid)| pid).collect()));
            }
        }
    }

    /// A child was begun.
    pub(crate) fn on_begun(&mut self, pid: Pid, begun: Begun) {
        self.begun += 1;
        let entry = Entry { number: self.begun, begun, stopping: None, terminators: Vec::new() };
        self.children.insert(pid, entry);
    }

    /// The process `pid` has ended.
    pub(crate) fn on_ended(&mut self, now: Instant, pid: Pid, reason: ExitReason, out: &mut Vec<Action>) {
        let Some(entry) = self.children.remove(&pid) else { return };
        let Entry { begun, stopping, terminators, .. } = entry;
        out.extend(terminators.into_iter().map(|reply| Action::Answer(reply, true)));
        match stopping {
            Some(Stopping { deadline }) => {
                if let Some(deadline) = deadline {
                    self.deadlines.remove(&(deadline, pid));
                }
                if is_disorderly(&reason, begun.shutdown) {
                    out.push(Action::Report(pid, begun, Context::ShutdownError(reason)));
                }
            }
            None => self.ended(now, pid, begun, reason, out),
        }
        self.step(out);
    }

    /// The supervisor is to end with `reason`. The first reason stands.
    pub(crate) fn on_stop(&mut self, now: Instant, reason: ExitReason, out: &mut Vec<Action>) {
        if let Phase::Running = self.phase {
            self.phase = Phase::Ending(reason);
            let children: Vec<_> = self.children.keys().copied().collect();
            children.into_iter().for_each(|pid| self.stop(now, pid, out));
        }
        self.step(out);
    }

    /// Time has reached `now`.
    pub(crate) fn on_deadline(&mut self, now: Instant, out: &mut Vec<Action>) {
        while let Some(&(deadline, pid)) = self.deadlines.first()
            && deadline <= now
        {
            self.deadlines.pop_first();
            out.push(Action::Kill(pid));
        }
    }

    /// When [`on_deadline`](Self::on_deadline) is next to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    fn refusal(&self) -> Option<StartTaskError> {
        match (&self.phase, self.max_children) {
            (Phase::Running, Some(limit)) if self.children.len() >= limit => Some(StartTaskError::MaxChildren(limit)),
            (Phase::Running, _) => None,
            (Phase::Ending(_) | Phase::Ended, _) => Some(StartTaskError::Stopping),
        }
    }

    /// The child `pid` has ended by itself.
    fn ended(&mut self, now: Instant, pid: Pid, begun: Begun, reason: ExitReason, out: &mut Vec<Action>) {
        let restarts = match begun.restart {
            Restart::Permanent => true,
            Restart::Transient => reason.is_abnormal(),
            Restart::Temporary => false,
        };
        if restarts || reason.is_abnormal() {
            out.push(Action::Report(pid, begun.clone(), Context::ChildTerminated(reason)));
        }
        if !restarts {
            return;
        }
        match self.intensity.record(now) {
            Verdict::Restart => out.push(Action::Again(Begun { restarts: begun.restarts + 1, ..begun })),
            Verdict::GiveUp => {
                out.push(Action::Report(pid, begun, Context::ReachedMaxRestartIntensity));
                self.on_stop(now, ExitReason::Shutdown, out);
            }
        }
    }

    /// Tells a child to stop, if it was not told yet.
    fn stop(&mut self, now: Instant, pid: Pid, out: &mut Vec<Action>) {
        let Some(entry) = self.children.get_mut(&pid).filter(|entry| entry.stopping.is_none()) else { return };
        let deadline = match entry.begun.shutdown {
            Shutdown::Timeout(time) => now.checked_add(time),
            Shutdown::BrutalKill | Shutdown::Infinity => None,
        };
        entry.stopping = Some(Stopping { deadline });
        self.deadlines.extend(deadline.map(|deadline| (deadline, pid)));
        out.push(match entry.begun.shutdown {
            Shutdown::BrutalKill => Action::Kill(pid),
            Shutdown::Timeout(_) | Shutdown::Infinity => Action::Stop(pid),
        });
    }

    fn step(&mut self, out: &mut Vec<Action>) {
        if self.children.is_empty()
            && let Phase::Ending(reason) = &self.phase
        {
            out.push(Action::End(reason.clone()));
            self.phase = Phase::Ended;
        }
    }
}
