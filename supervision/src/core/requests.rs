//! What a supervisor is asked, and how it answers.

use biotope_runtime::{Pid, ReplyTo, StartError};

use super::{Action, Asked, Core, Entry, Phase, State, Then};
use crate::child_spec::{Child, Kind};
use crate::client::{
    ChangeChildError, ChildCounts, ChildInfo, ChildStatus, DeleteChildError, Request, RestartChildError,
    StartChildError, TerminateChildError,
};

/// An answer and whom it is for.
#[derive(Debug)]
pub(crate) enum Reply {
    Which(ReplyTo<Vec<ChildInfo>>, Vec<ChildInfo>),
    Count(ReplyTo<ChildCounts>, ChildCounts),
    Start(ReplyTo<Result<Option<Pid>, StartChildError>>, Result<Option<Pid>, StartChildError>),
    Terminate(ReplyTo<Result<(), TerminateChildError>>, Result<(), TerminateChildError>),
    Restart(ReplyTo<Result<Option<Pid>, RestartChildError>>, Result<Option<Pid>, RestartChildError>),
    Delete(ReplyTo<Result<(), DeleteChildError>>, Result<(), DeleteChildError>),
    Spec(ReplyTo<Option<Child>>, Option<Child>),
    Change(ReplyTo<Result<Child, ChangeChildError>>, Result<Child, ChangeChildError>),
}

impl Reply {
    pub(crate) fn send(self) {
        match self {
            Self::Which(to, answer) => to.send(answer),
            Self::Count(to, answer) => to.send(answer),
            Self::Start(to, answer) => to.send(answer),
            Self::Terminate(to, answer) => to.send(answer),
            Self::Restart(to, answer) => to.send(answer),
            Self::Delete(to, answer) => to.send(answer),
            Self::Spec(to, answer) => to.send(answer),
            Self::Change(to, answer) => to.send(answer),
        }
    }
}

impl Core {
    /// Somebody asks something. What takes time is answered when it is done.
    pub(crate) fn on_request(&mut self, now: std::time::Instant, request: Request, out: &mut Vec<Action>) {
        let is_ending = matches!(self.phase, Phase::Ending(_) | Phase::Ended);
        let reply = match request {
            Request::Which(reply) => Some(Reply::Which(reply, self.children.iter().map(Entry::info).collect())),
            Request::Count(reply) => Some(Reply::Count(reply, self.count())),
            Request::Start(_, reply) if is_ending => Some(Reply::Start(reply, Err(StartChildError::Stopping))),
            Request::Start(child, reply) => match self.check_new(&child) {
                Ok(()) => {
                    self.add(child, false, Some(Asked::Start(reply)));
                    None
                }
                Err(error) => Some(Reply::Start(reply, Err(error))),
            },
            Request::Terminate(_, reply) if is_ending => {
                Some(Reply::Terminate(reply, Err(TerminateChildError::Stopping)))
            }
            Request::Terminate(id, reply) => self.terminate(&id, reply, out),
            Request::Restart(_, reply) if is_ending => Some(Reply::Restart(reply, Err(RestartChildError::Stopping))),
            Request::Restart(id, reply) => self.restart(&id, reply),
            Request::Delete(_, reply) if is_ending => Some(Reply::Delete(reply, Err(DeleteChildError::Stopping))),
            Request::Delete(id, reply) => {
                let outcome = self.delete(&id);
                Some(Reply::Delete(reply, outcome))
            }
            Request::Spec(id, reply) => {
                let spec = self.find(&id).map(|at| self.children[at].child.clone());
                Some(Reply::Spec(reply, spec))
            }
            Request::Change(child, reply) => {
                let outcome = self.change(child);
                Some(Reply::Change(reply, outcome))
            }
        };
        out.extend(reply.map(Action::Reply));
        self.step(now, out);
    }

    fn check_new(&self, child: &Child) -> Result<(), StartChildError> {
        self.policy.auto_shutdown.check(child)?;
        let Some(at) = self.find(&child.id) else { return Ok(()) };
        let (entry, id) = (&self.children[at], child.id.clone());
        match entry.state {
            State::Down => Err(StartChildError::AlreadyPresent(id)),
            _ => Err(StartChildError::AlreadyStarted { id, pid: entry.pid() }),
        }
    }

    /// Takes the place of the specification with the same id; returns that.
    fn change(&mut self, child: Child) -> Result<Child, ChangeChildError> {
        self.policy.auto_shutdown.check(&child)?;
        let at = self.find(&child.id).ok_or_else(|| ChangeChildError::NotFound(child.id.clone()))?;
        Ok(std::mem::replace(&mut self.children[at].child, child))
    }

    fn terminate(
        &mut self,
        id: &str,
        reply: ReplyTo<Result<(), TerminateChildError>>,
        out: &mut Vec<Action>,
    ) -> Option<Reply> {
        let Some(at) = self.find(id) else {
            return Some(Reply::Terminate(reply, Err(TerminateChildError::NotFound(id.into()))));
        };
        let entry = &mut self.children[at];
        match entry.state {
            State::Down => Some(Reply::Terminate(reply, Ok(()))),
            State::Waiting | State::Held(_) | State::Over { .. } => {
                entry.terminators.push(reply);
                let is_new = matches!(entry.asked, Some(Asked::Start(_)));
                self.give_up(at, is_new, out);
                None
            }
            State::Starting | State::Up(_) | State::Stopping { .. } => {
                entry.then = Then::Stay;
                entry.terminators.push(reply);
                None
            }
        }
    }

    fn restart(&mut self, id: &str, reply: ReplyTo<Result<Option<Pid>, RestartChildError>>) -> Option<Reply> {
        let Some(at) = self.find(id) else {
            return Some(Reply::Restart(reply, Err(RestartChildError::NotFound(id.into()))));
        };
        let entry = &mut self.children[at];
        match entry.state {
            State::Down => {
                entry.state = State::Waiting;
                entry.asked = Some(Asked::Restart(reply));
                None
            }
            State::Waiting | State::Held(_) | State::Starting | State::Over { .. } => {
                Some(Reply::Restart(reply, Err(RestartChildError::Restarting(id.into()))))
            }
            State::Up(_) | State::Stopping { .. } => {
                Some(Reply::Restart(reply, Err(RestartChildError::Running(id.into()))))
            }
        }
    }

    fn delete(&mut self, id: &str) -> Result<(), DeleteChildError> {
        let at = self.find(id).ok_or_else(|| DeleteChildError::NotFound(id.into()))?;
        match self.children[at].state {
            State::Down => {
                self.children.remove(at);
                Ok(())
            }
            State::Waiting | State::Held(_) | State::Starting | State::Over { .. } => {
                Err(DeleteChildError::Restarting(id.into()))
            }
            State::Up(_) | State::Stopping { .. } => Err(DeleteChildError::Running(id.into())),
        }
    }

    fn count(&self) -> ChildCounts {
        let supervisors = self.children.iter().filter(|entry| entry.child.kind == Kind::Supervisor).count();
        ChildCounts {
            specs: self.children.len(),
            active: self.children.iter().filter(|entry| entry.pid().is_some()).count(),
            supervisors,
            workers: self.children.len() - supervisors,
        }
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.children.iter().position(|entry| &*entry.child.id == id)
    }
}

impl Entry {
    fn info(&self) -> ChildInfo {
        let status = match (self.pid(), &self.state) {
            (Some(pid), _) => ChildStatus::Running(pid),
            (None, State::Down) => ChildStatus::Stopped,
            (None, _) => ChildStatus::Restarting,
        };
        let Child { id, kind, restart, shutdown, .. } = &self.child;
        let restarts = self.past.restarts();
        ChildInfo { id: id.clone(), status, restarts, kind: *kind, restart: *restart, shutdown: *shutdown }
    }

    /// Tells whoever asked for the start what came of it.
    pub(super) fn answer(&mut self, outcome: Result<Option<Pid>, StartError>, out: &mut Vec<Action>) {
        let reply = match self.asked.take() {
            Some(Asked::Start(reply)) => Reply::Start(reply, outcome.map_err(StartChildError::Failed)),
            Some(Asked::Restart(reply)) => Reply::Restart(reply, outcome.map_err(RestartChildError::Failed)),
            None => return,
        };
        out.push(Action::Reply(reply));
    }

    /// Tells whoever asked for the start that it was given up.
    pub(super) fn answer_not_started(&mut self, is_ending: bool, out: &mut Vec<Action>) {
        let reply = match self.asked.take() {
            Some(Asked::Start(reply)) if is_ending => Reply::Start(reply, Err(StartChildError::Stopping)),
            Some(Asked::Start(reply)) => Reply::Start(reply, Err(StartChildError::Terminated)),
            Some(Asked::Restart(reply)) if is_ending => Reply::Restart(reply, Err(RestartChildError::Stopping)),
            Some(Asked::Restart(reply)) => Reply::Restart(reply, Err(RestartChildError::Terminated)),
            None => return,
        };
        out.push(Action::Reply(reply));
    }

    /// Tells whoever asked for the stop that it is done.
    pub(super) fn answer_terminators(&mut self, out: &mut Vec<Action>) {
        let replies = self.terminators.drain(..);
        out.extend(replies.map(|reply| Action::Reply(Reply::Terminate(reply, Ok(())))));
    }
}
