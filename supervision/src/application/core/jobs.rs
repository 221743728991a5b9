//! Starts and stops that take their time.

use std::collections::{BTreeSet, VecDeque};

use biotope_runtime::Restart;

use super::{Action, Core, State, Ticket};
use crate::application::errors::{StartAppError, StopAppError, Straggler};
use crate::application::order::Name;

pub(super) struct Job {
    pub(super) ticket: Ticket,
    pub(super) work: Work,
}

pub(super) enum Work {
    /// Start these, one after the other. What runs already stays as it is.
    Start { todo: VecDeque<Name>, done: Vec<Name>, kind: Option<Restart>, default: Restart },
    /// Stop what was started, the last one first: the start has failed.
    Undo { todo: Vec<Name>, error: StartAppError },
    /// Stop these, and before them what needs them, the last one first.
    Stop { targets: BTreeSet<Name>, killed: Option<Vec<Straggler>> },
}

/// How far a job has come.
enum Went {
    /// Nothing can be done for it now.
    Waits,
    /// It has done something: there may be more.
    On,
    Over,
}

impl Job {
    pub(super) fn start(ticket: Ticket, todo: Vec<Name>, kind: Option<Restart>, default: Restart) -> Self {
        Self { ticket, work: Work::Start { todo: todo.into(), done: Vec::new(), kind, default } }
    }

    pub(super) fn stop(ticket: Ticket, targets: BTreeSet<Name>) -> Self {
        Self { ticket, work: Work::Stop { targets, killed: None } }
    }
}

impl Core {
    /// Lets each job go on. Returns whether one is over, for which others may have waited.
    pub(super) fn step_jobs(&mut self, out: &mut Vec<Action>) -> bool {
        let mut is_one_over = false;
        let mut at = 0;
        while at < self.jobs.len() {
            // Taken out, so that it can be looked at beside everything else.
            let mut job = self.jobs.remove(at);
            let went = loop {
                match self.step_job(&mut job, out) {
                    Went::On => {}
                    went => break went,
                }
            };
            if matches!(went, Went::Over) {
                is_one_over = true;
                self.finish(job, out);
            } else {
                self.jobs.insert(at, job);
                at += 1;
            }
        }
        is_one_over
    }

    fn step_job(&mut self, job: &mut Job, out: &mut Vec<Action>) -> Went {
        match &mut job.work {
            Work::Start { todo, done, kind, default } => {
                let Some(next) = todo.front().cloned() else { return Went::Over };
                let error = match self.state(&next) {
                    None => StartAppError::NotLoaded { name: next, needed_by: None },
                    Some(State::Running { .. }) => {
                        todo.pop_front();
                        return Went::On;
                    }
                    Some(State::Starting { .. } | State::Stopping { .. }) => return Went::Waits,
                    Some(State::Loaded) => match self.missing(&next) {
                        Some(error) => error,
                        None => {
                            let entry = self.entries.get_mut(&next);
                            let Some(entry) = entry else { unreachable!("it has just been looked at") };
                            let kind = kind.or(entry.kind).unwrap_or(*default);
                            entry.state = State::Starting { job: job.ticket, kind };
                            self.order.push(next.clone());
                            out.push(Action::Start(next, kind));
                            return Went::Waits;
                        }
                    },
                };
                job.work = Work::Undo { todo: std::mem::take(done), error };
                Went::On
            }
            Work::Undo { todo, .. } => {
                let Some(last) = todo.last().cloned() else { return Went::Over };
                match self.state(&last) {
                    Some(State::Stopping { .. }) => return Went::Waits,
                    Some(State::Running { .. }) if !self.is_needed_beside(&last, todo) => {
                        self.stop_in_turn(&last, out);
                        return Went::Waits;
                    }
                    // Others rely on it by now: it stays, and is no more than it says itself.
                    Some(State::Running { .. }) => self.forget_kind(&last),
                    _ => {}
                }
                todo.pop();
                Went::On
            }
            Work::Stop { targets, .. } => {
                let is_affected = |name: &&Name| self.depends_on(name, targets);
                match self.order.iter().rfind(is_affected).cloned() {
                    Some(last) => {
                        self.stop_in_turn(&last, out);
                        Went::Waits
                    }
                    None => Went::Over,
                }
            }
        }
    }

    /// The kind that an application was started with goes with whoever has started it.
    fn forget_kind(&mut self, name: &Name) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.state = State::Running { kind: entry.kind.unwrap_or(Restart::Temporary) };
        }
    }

    /// Asks an application to stop. When all are to stop, its turn comes in any case.
    fn stop_in_turn(&mut self, name: &Name, out: &mut Vec<Action>) {
        if !self.is_ending {
            self.begin_stop(name, out);
        }
    }

    /// Whether one that has a process, and is not among `those`, needs `name`.
    fn is_needed_beside(&self, name: &Name, those: &[Name]) -> bool {
        let needs_it = |other: &Name| self.entries.get(other).is_some_and(|entry| entry.needs.contains(name));
        self.order.iter().any(|other| !those.contains(other) && needs_it(other))
    }

    fn finish(&mut self, job: Job, out: &mut Vec<Action>) {
        let ticket = job.ticket;
        match job.work {
            Work::Start { done, .. } => self.start_is_over(ticket, Ok(done), out),
            Work::Undo { error, .. } => self.start_is_over(ticket, Err(error), out),
            Work::Stop { killed, .. } => self.stop_is_over(ticket, killed, out),
        }
    }

    fn start_is_over(&mut self, ticket: Ticket, outcome: Result<Vec<Name>, StartAppError>, out: &mut Vec<Action>) {
        self.run_was_started(ticket, &outcome, out);
        out.push(Action::Started(ticket, outcome));
    }

    fn stop_is_over(&mut self, ticket: Ticket, killed: Option<Vec<Straggler>>, out: &mut Vec<Action>) {
        if !self.run_was_stopped(ticket, killed.clone(), out) {
            out.push(Action::Stopped(ticket, killed.map_or(Ok(()), |left| Err(StopAppError::Killed(left)))));
        }
    }

    /// The job of this ticket has started `name`.
    pub(super) fn job_has_started(&mut self, ticket: Ticket, name: &Name) {
        let job = self.jobs.iter_mut().find(|job| job.ticket == ticket && !matches!(job.work, Work::Stop { .. }));
        match job.map(|job| &mut job.work) {
            Some(Work::Start { todo, done, .. }) => {
                todo.retain(|other| other != name);
                done.push(name.clone());
            }
            // It has failed meanwhile, and this is one more to be undone.
            Some(Work::Undo { todo, .. }) => todo.push(name.clone()),
            _ => {}
        }
    }

    /// The start of this ticket has failed.
    pub(super) fn fail(&mut self, ticket: Ticket, error: StartAppError) {
        for job in &mut self.jobs {
            if job.ticket == ticket
                && let Work::Start { done, .. } = &mut job.work
            {
                job.work = Work::Undo { todo: std::mem::take(done), error: error.clone() };
            }
        }
    }

    /// Gives the start of this ticket up; what it is starting is told to stop.
    pub(super) fn abort(&mut self, ticket: Ticket, error: StartAppError, out: &mut Vec<Action>) {
        let is_its = |state: State| matches!(state, State::Starting { job, .. } if job == ticket);
        let starting = self.order.iter().find(|name| self.state(name).is_some_and(is_its)).cloned();
        let mut starting = starting.into_iter().collect::<Vec<_>>();
        starting.iter().for_each(|name| self.begin_stop(name, out));
        for job in &mut self.jobs {
            if job.ticket == ticket
                && let Work::Start { done, .. } = &mut job.work
            {
                let mut todo = std::mem::take(done);
                todo.append(&mut starting);
                job.work = Work::Undo { todo, error: error.clone() };
            }
        }
    }

    /// What the start of this ticket has started, as long as that is not over, nor undone.
    pub(super) fn started_by(&self, ticket: Ticket) -> &[Name] {
        let started = self.jobs.iter().find_map(|job| match &job.work {
            Work::Start { done, .. } if job.ticket == ticket => Some(done.as_slice()),
            Work::Undo { todo, .. } if job.ticket == ticket => Some(todo.as_slice()),
            _ => None,
        });
        started.unwrap_or_default()
    }

    /// The tickets of all starts.
    pub(super) fn start_jobs(&self) -> Vec<Ticket> {
        self.jobs.iter().filter(|job| matches!(job.work, Work::Start { .. })).map(|job| job.ticket).collect()
    }

    /// `name` was killed: whoever waits for its stop is to know.
    pub(super) fn note_killed(&mut self, name: &Name, left: &[Straggler]) {
        for at in 0..self.jobs.len() {
            let Work::Stop { targets, .. } = &self.jobs[at].work else { continue };
            if self.depends_on(name, targets)
                && let Work::Stop { killed, .. } = &mut self.jobs[at].work
            {
                killed.get_or_insert_default().extend_from_slice(left);
            }
        }
        self.note_killed_in_runs(name, left);
    }
}
