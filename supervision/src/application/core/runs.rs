//! Runs: an application, and what was started for it, until somebody has them stop.

use biotope_runtime::{ExitReason, Pid, Restart};

use super::jobs::Job;
use super::{Action, Core, Ticket};
use crate::application::errors::{AppError, AppFailure, StartAppError, Straggler};
use crate::application::order::Name;

/// An application that somebody runs.
pub(super) struct Run {
    ticket: Ticket,
    pub(super) root: Name,
    /// The process that it ends with.
    owner: Option<Pid>,
    /// What was loaded for it, and goes with it.
    loaded: Vec<Name>,
    /// What was started for it, in order.
    members: Vec<Name>,
    phase: Phase,
    /// Who had not stopped, if one was killed.
    killed: Option<Vec<Straggler>>,
}

#[derive(PartialEq)]
enum Phase {
    Starting,
    Up,
    /// It is to end like this.
    Ending(Result<(), AppError>),
}

impl Core {
    /// Somebody wants `root` to run, with all that it needs, until `owner` ends. `loaded` were loaded for that.
    ///
    /// What is started for it and does not say of which kind it is, is permanent: the run ends with it.
    pub(crate) fn on_run(
        &mut self,
        ticket: Ticket,
        root: Name,
        owner: Option<Pid>,
        loaded: Vec<Name>,
        out: &mut Vec<Action>,
    ) {
        let order = self.order_of(&root);
        self.runs.push(Run { ticket, root, owner, loaded, members: Vec::new(), phase: Phase::Starting, killed: None });
        match order {
            Ok(order) => self.jobs.push(Job::start(ticket, order, None, Restart::Permanent)),
            Err(error) => {
                self.run_was_started(ticket, &Err(error.clone()), out);
                out.push(Action::Started(ticket, Err(error)));
            }
        }
        self.step(out);
    }

    /// The run of this ticket is to stop, if it is not over.
    pub(crate) fn on_run_stop(&mut self, run: Ticket, out: &mut Vec<Action>) {
        if let Some(at) = self.run_at(run) {
            self.end_run(at, Ok(()), out);
        }
        self.step(out);
    }

    /// The run of this ticket is to be killed, if it is not over.
    pub(crate) fn on_run_kill(&mut self, run: Ticket, out: &mut Vec<Action>) {
        if let Some(at) = self.run_at(run) {
            self.end_run(at, Ok(()), out);
            let run = &self.runs[at];
            let mut all = run.members.clone();
            all.extend_from_slice(self.started_by(run.ticket));
            all.retain(|name| self.order.contains(name));
            for name in all {
                self.mark_stopping(&name);
                out.push(Action::Kill(name));
            }
        }
        self.step(out);
    }

    /// The process `pid` has ended, which may own runs.
    pub(crate) fn on_owner_ended(&mut self, pid: Pid, out: &mut Vec<Action>) {
        for at in 0..self.runs.len() {
            if self.runs[at].owner == Some(pid) {
                self.end_run(at, Ok(()), out);
            }
        }
        self.step(out);
    }

    /// The run that `name` was started for.
    pub(super) fn run_of(&self, name: &Name) -> Option<usize> {
        self.runs.iter().position(|run| run.members.contains(name) || self.started_by(run.ticket).contains(name))
    }

    /// `name`, which was started for the run at `at`, has ended by itself; `is_fatal` if the run cannot do without it.
    pub(super) fn member_ended(
        &mut self,
        at: usize,
        name: &Name,
        is_fatal: bool,
        reason: &ExitReason,
        out: &mut Vec<Action>,
    ) {
        let run = &self.runs[at];
        let is_root = run.root == *name;
        match run.phase {
            Phase::Up if is_root && *reason == ExitReason::Normal => self.end_run(at, Ok(()), out),
            Phase::Up if is_root || is_fatal => {
                self.end_run(at, Err(AppError::Ended { name: name.clone(), reason: reason.clone() }), out);
            }
            Phase::Starting if is_fatal => {
                let (ticket, why) = (run.ticket, AppFailure::Ended(reason.clone()));
                self.abort(ticket, StartAppError::Failed { name: name.clone(), why }, out);
            }
            _ => {}
        }
    }

    /// `name` has stopped because it was asked to. If it is the root of a run, that ends in order.
    pub(super) fn root_was_stopped(&mut self, name: &Name, out: &mut Vec<Action>) {
        let its = self.runs.iter().position(|run| run.root == *name && run.phase == Phase::Up);
        if let Some(at) = its {
            self.end_run(at, Ok(()), out);
        }
    }

    fn run_at(&self, ticket: Ticket) -> Option<usize> {
        self.runs.iter().position(|run| run.ticket == ticket)
    }

    /// Ends the run at `at`, with this outcome unless it has one.
    pub(super) fn end_run(&mut self, at: usize, outcome: Result<(), AppError>, out: &mut Vec<Action>) {
        let run = &mut self.runs[at];
        let (ticket, root) = (run.ticket, run.root.clone());
        match std::mem::replace(&mut run.phase, Phase::Ending(outcome)) {
            Phase::Starting => self.abort(ticket, StartAppError::Stopped(root), out),
            Phase::Up => {
                let targets = run.members.iter().cloned().collect();
                self.jobs.push(Job::stop(ticket, targets));
            }
            ending @ Phase::Ending(_) => run.phase = ending,
        }
    }

    /// The start of a run is over, if `ticket` is one's.
    pub(super) fn run_was_started(
        &mut self,
        ticket: Ticket,
        outcome: &Result<Vec<Name>, StartAppError>,
        out: &mut Vec<Action>,
    ) {
        let Some(at) = self.run_at(ticket) else { return };
        let run = &mut self.runs[at];
        match (&run.phase, outcome) {
            (Phase::Starting, Ok(started)) => {
                run.members = started.clone();
                run.phase = Phase::Up;
            }
            // It was told to stop just when it had started.
            (Phase::Ending(_), Ok(started)) => {
                run.members = started.clone();
                let targets = run.members.iter().cloned().collect();
                self.jobs.push(Job::stop(ticket, targets));
            }
            (Phase::Ending(_), Err(_)) => self.over(at, None, out),
            (_, Err(error)) => {
                run.phase = Phase::Ending(Err(error.clone().into()));
                self.over(at, None, out);
            }
            (Phase::Up, Ok(_)) => unreachable!("a run is started once"),
        }
    }

    /// The stop of a run is over, if `ticket` is one's: returns whether it is.
    pub(super) fn run_was_stopped(
        &mut self,
        ticket: Ticket,
        killed: Option<Vec<Straggler>>,
        out: &mut Vec<Action>,
    ) -> bool {
        let Some(at) = self.run_at(ticket) else { return false };
        self.over(at, killed, out);
        true
    }

    /// Who had not stopped, of those that are being started for a run: those that run are the stop's.
    pub(super) fn note_killed_in_runs(&mut self, name: &Name, left: &[Straggler]) {
        for at in 0..self.runs.len() {
            let run = &self.runs[at];
            let is_its = !run.members.contains(name) && run.loaded.contains(name);
            if is_its {
                self.runs[at].killed.get_or_insert_default().extend_from_slice(left);
            }
        }
    }

    fn over(&mut self, at: usize, killed: Option<Vec<Straggler>>, out: &mut Vec<Action>) {
        let run = self.runs.remove(at);
        let Phase::Ending(outcome) = run.phase else { unreachable!("only a run that ends is over") };
        let outcome = match killed.or(run.killed) {
            Some(left) => Err(AppError::Killed { by: None, left }),
            None => outcome,
        };
        for name in &run.loaded {
            // One that somebody else has started meanwhile stays.
            if self.unload(name).is_ok() {
                out.push(Action::Unload(name.clone()));
            }
        }
        out.push(Action::Over(run.ticket, outcome));
    }
}
