//! What a node's controller of applications decides.
//!
//! Events come in, [`Action`]s go out. Nothing here waits: what takes time is a job, and every event ends with a
//! [`step`](Core::step), which lets each job go on as far as it can.
//!
//! ```text
//!   Loaded ──▶ Starting ──▶ Running ──▶ Stopping ──▶ Loaded
//! ```
//!
//! # Laws
//! - An application starts when all that it needs run, and stops when nothing runs any more that needs it.
//! - A start that fails stops what it had started, in reverse order, and nothing else.
//! - Stopping all stops one at a time, in the reverse of the order in which they were started.
//! - An application that ends by itself is told of; its start kind says whether the node ends with it, or the run that it
//!   is a part of.
//! - A run whose root is stopped is over, whoever has asked for that.
//! - Each job is answered once.

mod jobs;
mod runs;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use biotope_runtime::{ExitReason, Restart};

use self::jobs::Job;
use self::runs::Run;
use super::errors::{AppError, AppFailure, StartAppError, StopAppError, Straggler, UnloadError};
use super::order::{Name, start_order};

#[derive(Default)]
pub(crate) struct Core {
    entries: BTreeMap<Name, Entry>,
    /// All that are not merely loaded, in the order in which they were started.
    order: Vec<Name>,
    jobs: Vec<Job>,
    runs: Vec<Run>,
    is_ending: bool,
    has_ended: bool,
}

/// Names a request, for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// What the driver must do, in this order.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// Start the application, and tell [`Core::on_started`] or [`Core::on_ended`]. The same event may have it stopped again:
    /// it is told so after that.
    Start(Name, Restart),
    /// Ask it to stop, and tell [`Core::on_ended`].
    Stop(Name),
    /// Kill it, and tell [`Core::on_ended`].
    Kill(Name),
    /// These were started, in this order.
    Started(Ticket, Result<Vec<Name>, StartAppError>),
    Stopped(Ticket, Result<(), StopAppError>),
    /// The run is over.
    Over(Ticket, Result<(), AppError>),
    /// It is loaded no more.
    Unload(Name),
    /// It has ended by itself.
    Report(Name, Restart, ExitReason),
    /// The node is to end, because this application has.
    Halt(Name, Restart, ExitReason),
    /// No application has a process, and none will have one.
    End,
}

/// How an application ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct End {
    /// What its root supervisor ended with.
    pub(crate) reason: ExitReason,
    /// Why it did not start, if it had not.
    pub(crate) failure: Option<AppFailure>,
    /// Who had not stopped, if it was killed.
    pub(crate) killed: Option<Vec<Straggler>>,
}

struct Entry {
    needs: Vec<Name>,
    /// As it was declared.
    kind: Option<Restart>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Loaded,
    Starting {
        job: Ticket,
        kind: Restart,
    },
    Running {
        kind: Restart,
    },
    /// With the job that had been starting it, if it had not started yet.
    Stopping {
        starter: Option<Ticket>,
    },
}

/// Whether the end of an application with `reason`, which nobody asked for, is the end of its node.
pub(crate) fn is_fatal(kind: Restart, reason: &ExitReason) -> bool {
    match kind {
        Restart::Permanent => true,
        // Of an application `Shutdown` is no orderly end: its supervisor has given up.
        Restart::Transient => *reason != ExitReason::Normal,
        Restart::Temporary => false,
    }
}

impl Core {
    /// An application was loaded. It must not be already.
    pub(crate) fn load(&mut self, name: Name, needs: Vec<Name>, kind: Option<Restart>) {
        let entry = Entry { needs, kind, state: State::Loaded };
        let before = self.entries.insert(name, entry);
        assert!(before.is_none(), "each application is loaded once");
    }

    pub(crate) fn unload(&mut self, name: &str) -> Result<(), UnloadError> {
        match self.entries.get(name) {
            None => Err(UnloadError::NotLoaded(name.into())),
            Some(entry) if entry.state != State::Loaded => Err(UnloadError::Running(name.into())),
            Some(_) => {
                self.entries.remove(name);
                Ok(())
            }
        }
    }

    pub(crate) fn is_loaded(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Whether there is nothing here that anybody could ask for.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.jobs.is_empty() && self.runs.is_empty()
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending
    }

    pub(crate) fn state(&self, name: &str) -> Option<State> {
        self.entries.get(name).map(|entry| entry.state)
    }

    /// All that are not merely loaded, in the order in which they were started.
    pub(crate) fn order(&self) -> &[Name] {
        &self.order
    }

    /// Somebody wants one application started, and what it needs to run by now.
    pub(crate) fn on_start(&mut self, ticket: Ticket, name: &Name, kind: Option<Restart>, out: &mut Vec<Action>) {
        let refused = match self.entries.get(name) {
            _ if self.is_ending => Some(StartAppError::Stopping),
            None => Some(StartAppError::NotLoaded { name: name.clone(), needed_by: None }),
            Some(entry) if matches!(entry.state, State::Starting { .. } | State::Running { .. }) => {
                Some(StartAppError::AlreadyStarted(name.clone()))
            }
            Some(_) => self.missing(name),
        };
        match refused {
            Some(error) => out.push(Action::Started(ticket, Err(error))),
            None => self.jobs.push(Job::start(ticket, vec![name.clone()], kind, Restart::Temporary)),
        }
        self.step(out);
    }

    /// Somebody wants an application started, with all that it needs.
    pub(crate) fn on_ensure(&mut self, ticket: Ticket, name: &Name, kind: Option<Restart>, out: &mut Vec<Action>) {
        match self.order_of(name) {
            Ok(order) => self.jobs.push(Job::start(ticket, order, kind, Restart::Temporary)),
            Err(error) => out.push(Action::Started(ticket, Err(error))),
        }
        self.step(out);
    }

    /// Somebody wants an application stopped. What needs it is stopped before.
    pub(crate) fn on_stop(&mut self, ticket: Ticket, name: &Name, out: &mut Vec<Action>) {
        match self.state(name) {
            None | Some(State::Loaded) => {
                out.push(Action::Stopped(ticket, Err(StopAppError::NotStarted(name.clone()))));
            }
            Some(_) => self.jobs.push(Job::stop(ticket, [name.clone()].into())),
        }
        self.step(out);
    }

    /// An application has started.
    pub(crate) fn on_started(&mut self, name: &Name, out: &mut Vec<Action>) {
        if let Some(entry) = self.entries.get_mut(name)
            && let State::Starting { job, kind } = entry.state
        {
            entry.state = State::Running { kind };
            self.job_has_started(job, name);
        }
        self.step(out);
    }

    /// An application has ended, or did not start.
    pub(crate) fn on_ended(&mut self, name: &Name, end: &End, out: &mut Vec<Action>) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let state = std::mem::replace(&mut entry.state, State::Loaded);
        self.order.retain(|other| other != name);
        if state == (State::Stopping { starter: None }) {
            self.root_was_stopped(name, out);
        }
        if let Some(left) = &end.killed {
            self.note_killed(name, left);
        }
        match state {
            State::Loaded => {}
            State::Starting { job, .. } => {
                let why = end.failure.clone().unwrap_or_else(|| AppFailure::Ended(end.reason.clone()));
                self.fail(job, StartAppError::Failed { name: name.clone(), why });
            }
            State::Stopping { starter: Some(job) } => self.fail(job, StartAppError::Stopped(name.clone())),
            State::Stopping { starter: None } => {}
            State::Running { kind } => {
                out.push(Action::Report(name.clone(), kind, end.reason.clone()));
                self.ended_by_itself(name, kind, &end.reason, out);
            }
        }
        self.step(out);
    }

    /// All applications are to stop, and none is to start any more.
    pub(crate) fn on_shutdown(&mut self, out: &mut Vec<Action>) {
        if !std::mem::replace(&mut self.is_ending, true) {
            for ticket in self.start_jobs() {
                self.abort(ticket, StartAppError::Stopping, out);
            }
            for at in 0..self.runs.len() {
                self.end_run(at, Ok(()), out);
            }
        }
        self.step(out);
    }

    /// Lets everything go on as far as it can.
    fn step(&mut self, out: &mut Vec<Action>) {
        // One job's end may be what another waits for.
        while self.step_jobs(out) {}
        if !self.is_ending || self.has_ended {
            return;
        }
        match self.order.last().cloned() {
            Some(last) => self.begin_stop(&last, out),
            None if self.jobs.is_empty() => {
                self.has_ended = true;
                out.push(Action::End);
            }
            None => {}
        }
    }

    /// Asks an application to stop, unless that was done before.
    fn begin_stop(&mut self, name: &Name, out: &mut Vec<Action>) {
        if self.mark_stopping(name) {
            out.push(Action::Stop(name.clone()));
        }
    }

    /// Returns whether it is to be told to stop: it was not before, and there is something to stop.
    fn mark_stopping(&mut self, name: &Name) -> bool {
        let Some(entry) = self.entries.get_mut(name) else { return false };
        let starter = match entry.state {
            State::Loaded | State::Stopping { .. } => return false,
            State::Starting { job, .. } => Some(job),
            State::Running { .. } => None,
        };
        entry.state = State::Stopping { starter };
        true
    }

    /// The end of a running application, as its start kind has it.
    fn ended_by_itself(&mut self, name: &Name, kind: Restart, reason: &ExitReason, out: &mut Vec<Action>) {
        if self.is_ending {
            return;
        }
        let is_fatal = is_fatal(kind, reason);
        match self.run_of(name) {
            Some(at) => self.member_ended(at, name, is_fatal, reason, out),
            None if is_fatal => out.push(Action::Halt(name.clone(), kind, reason.clone())),
            None => {}
        }
    }

    /// The first that `name` needs and that does not run.
    fn missing(&self, name: &Name) -> Option<StartAppError> {
        let is_running = |needed: &&Name| matches!(self.state(needed), Some(State::Running { .. }));
        let needs = self.entries.get(name)?.needs.iter().find(|needed| !is_running(needed))?;
        Some(StartAppError::NotStarted { name: name.clone(), needs: needs.clone() })
    }

    fn order_of(&self, name: &Name) -> Result<Vec<Name>, StartAppError> {
        if self.is_ending {
            return Err(StartAppError::Stopping);
        }
        start_order(name, &|name| self.entries.get(name).map(|entry| entry.needs.as_slice()))
    }

    /// Whether `name` needs one of `targets`, by itself or by another.
    fn depends_on(&self, name: &Name, targets: &std::collections::BTreeSet<Name>) -> bool {
        let mut seen = std::collections::BTreeSet::new();
        let mut open = vec![name];
        while let Some(next) = open.pop() {
            if targets.contains(next) {
                return true;
            }
            if seen.insert(next)
                && let Some(entry) = self.entries.get(next)
            {
                open.extend(&entry.needs);
            }
        }
        false
    }
}
