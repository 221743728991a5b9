//! What a dynamic supervisor decides.
//!
//! Events come in with `now`; [`Action`]s go out, and the next [`deadline`](Core::deadline). Nothing here waits, so a supervisor
//! answers at any time.
//!
//! ```text
//!   Starting ──▶ Up ──▶ Stopping ──▶ gone     (terminated, or the supervisor ends)
//!      ▲  │      │
//!     Held ◀─────┴ failed                gone     (not to be started again, or one restart too many)
//! ```
//!
//! # Laws
//! - No more children than may be; one that is being started, again or for the first time, has its place.
//! - A supervisor that was killed is started again when its children are gone.
//! - A child whose first start comes to nothing is not kept. One that is to be started again is, however often that fails, as
//!   long as the intensity allows it.
//! - A supervisor that ends starts none, tells all children to stop, and ends when none is left.
//! - Each request is answered once.

mod again;
mod children;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Instant;

use biotope_runtime::{ExitReason, Pid, ReplyTo, Shutdown, StartError};

pub(crate) use self::children::Key;
use self::children::{Asked, Children, State, Stopping, Terminator};
use super::client::{AtOnce, Begin, DynamicRequest, NoSuchChild, Refusal, StartDynamicChildError};
use crate::backoff::Backoff;
use crate::child_spec::{Child, Kind};
use crate::circuit::Circuit;
use crate::client::{ChildCounts, ChildInfo};
use crate::config::ABANDON_START_AFTER;
use crate::core::is_disorderly;
use crate::intensity::Intensity;
use crate::report::{Context, Report};
use crate::strategy::AutoShutdown;

pub(crate) struct Core {
    policy: Policy,
    children: Children,
    /// The children of supervisors that were killed, each with the child that is not started again before they are gone.
    orphans: BTreeMap<Pid, Key>,
    phase: Phase,
}

/// What a dynamic supervisor was told about all of its children.
pub(crate) struct Policy {
    pub(crate) max_children: Option<usize>,
    pub(crate) intensity: Intensity,
    /// For children that have none of their own.
    pub(crate) backoff: Option<Backoff>,
    /// What a child is that was begun at once, as far as it does not say so itself.
    pub(crate) at_once: Child,
    /// Gives a random number.
    pub(crate) chance: Box<dyn FnMut() -> u64 + Send>,
}

/// What the driver must do, in this order.
pub(crate) enum Action {
    /// Start the child, for the so-manieth time again, and tell [`Core::on_started`].
    Start(Key, Child, u64),
    /// Begin it, and tell [`Core::on_begun`].
    Begin(Key, Box<Begin>),
    /// Tell that it is not begun.
    Refuse(Box<Begin>, Refusal),
    /// Ask to end, and tell [`Core::on_ended`] when it has.
    Stop(Target),
    /// Kill, and tell [`Core::on_ended`] when it has ended.
    Kill(Target),
    /// See whether what the child needs is up, and tell [`Core::on_looked`].
    Look(Key, Circuit),
    /// Find the children that this process has left, which was killed, watch them, and tell [`Core::on_orphans`].
    FindOrphans(Key, Pid),
    /// Forget the start under way; it is no longer of interest.
    Abandon(Key),
    Report(Report),
    Reply(Reply),
    /// End the supervisor: it has no child.
    End(ExitReason),
}

/// What is to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Process(Pid),
    /// A start under way: whatever it has spawned.
    Start(Key),
}

/// An answer and whom it is for.
pub(crate) enum Reply {
    Start(Asked, Result<Option<Pid>, StartDynamicChildError>),
    Terminate(Terminator, Result<(), NoSuchChild>),
    Which(ReplyTo<Vec<ChildInfo>>, Vec<ChildInfo>),
    Count(ReplyTo<ChildCounts>, ChildCounts),
    Children(ReplyTo<Vec<Pid>>, Vec<Pid>),
}

impl Reply {
    pub(crate) fn send(self) {
        match self {
            Self::Start(to, answer) => to.send(answer),
            Self::Terminate(to, answer) => to.send(answer),
            Self::Which(to, answer) => to.send(answer),
            Self::Count(to, answer) => to.send(answer),
            Self::Children(to, answer) => to.send(answer),
        }
    }
}

enum Phase {
    Running,
    Ending(ExitReason),
    Ended,
}

impl Core {
    /// One without children.
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, children: Children::default(), orphans: BTreeMap::new(), phase: Phase::Running }
    }

    /// Somebody asks something. What takes time is answered when it is done.
    pub(crate) fn on_request(&mut self, now: Instant, request: DynamicRequest, out: &mut Vec<Action>) {
        match request {
            DynamicRequest::Start(child, reply) => match self.refusal() {
                Some(refusal) => out.push(Action::Reply(Reply::Start(reply, Err(refusal.into())))),
                None if let Err(error) = AutoShutdown::Never.check(&child) => {
                    out.push(Action::Reply(Reply::Start(reply, Err(error.into()))));
                }
                // Nobody would know its pid.
                None if reply.is_abandoned() => {}
                None => {
                    let key = self.children.add(child.clone(), Some(reply));
                    out.push(Action::Start(key, child, 0));
                }
            },
            DynamicRequest::Begin(AtOnce { restart, shutdown, again, begin }) => match self.refusal() {
                Some(refusal) => out.push(Action::Refuse(begin, refusal)),
                None => {
                    let shutdown = shutdown.unwrap_or(self.policy.at_once.shutdown);
                    let child = again.unwrap_or_else(|| self.policy.at_once.clone());
                    let key = self.children.add(child.restart(restart).shutdown(shutdown), None);
                    out.push(Action::Begin(key, begin));
                }
            },
            DynamicRequest::Terminate(pid, reply) => match self.children.by_pid(pid) {
                Some(key) => self.stop(now, key, Some(reply), out),
                None => out.push(Action::Reply(Reply::Terminate(reply, Err(NoSuchChild(pid))))),
            },
            DynamicRequest::Which(reply) => out.push(Action::Reply(Reply::Which(reply, self.children.infos()))),
            DynamicRequest::Count(reply) => out.push(Action::Reply(Reply::Count(reply, self.children.counts()))),
            DynamicRequest::Children(reply) => {
                out.push(Action::Reply(Reply::Children(reply, self.children.processes())));
            }
        }
    }

    /// A child was begun at once; or was not, and who asked knows it.
    pub(crate) fn on_begun(&mut self, now: Instant, key: Key, process: Option<Pid>, out: &mut Vec<Action>) {
        match process {
            Some(pid) => {
                self.children.past(key).on_started(now);
                self.children.set(key, State::Up(pid));
            }
            None => {
                self.children.remove(key);
            }
        }
        self.step(out);
    }

    /// The start of a child has returned.
    pub(crate) fn on_started(
        &mut self,
        now: Instant,
        key: Key,
        outcome: Result<Pid, StartError>,
        out: &mut Vec<Action>,
    ) {
        // Its start may have found a process that another child has.
        let outcome = outcome.and_then(|pid| match self.children.by_pid(pid) {
            Some(other) if other != key && self.children.state(other).process() == Some(pid) => {
                Err(StartError::AlreadyStarted(pid))
            }
            _ => Ok(pid),
        });
        match (outcome, self.children.state(key)) {
            (Ok(pid), State::Stopping(_)) => self.started_too_late(key, pid, out),
            (Err(_), State::Stopping(_)) => self.stopped(key, out),
            (Ok(pid), _) => {
                self.children.past(key).on_started(now);
                if let State::Starting { asked: Some(asked), .. } = self.children.set(key, State::Up(pid)) {
                    out.push(Action::Reply(Reply::Start(asked, Ok(Some(pid)))));
                }
                out.push(self.report(key, Context::Progress));
            }
            (Err(error), _) => self.not_started(now, key, error, out),
        }
        self.step(out);
    }

    /// The process `pid` has ended.
    pub(crate) fn on_ended(&mut self, now: Instant, pid: Pid, reason: ExitReason, out: &mut Vec<Action>) {
        // Not one that is known by this pid only because it had it.
        let has = |key: &Key| self.children.state(*key).process() == Some(pid);
        let Some(key) = self.children.by_pid(pid).filter(has) else { return self.orphan_ended(now, pid, out) };
        if let State::Stopping(_) = self.children.state(key) {
            if is_disorderly(&reason, self.children.child(key).shutdown) {
                out.push(self.report(key, Context::ShutdownError(reason)));
            }
            self.stopped(key, out);
        } else {
            self.ended(now, key, pid, reason, out);
        }
        self.step(out);
    }

    /// The supervisor is to end with `reason`. The first reason stands.
    pub(crate) fn on_stop(&mut self, now: Instant, reason: ExitReason, out: &mut Vec<Action>) {
        self.begin_ending(now, reason, out);
        self.step(out);
    }

    /// Time has reached `now`.
    pub(crate) fn on_deadline(&mut self, now: Instant, out: &mut Vec<Action>) {
        while let Some((due, key)) = self.children.first_due()
            && due <= now
        {
            self.overdue(now, key, out);
        }
        self.step(out);
    }

    /// When [`on_deadline`](Self::on_deadline) is next to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.children.first_due().map(|(due, _)| due)
    }

    fn refusal(&self) -> Option<Refusal> {
        match (&self.phase, self.policy.max_children) {
            (Phase::Running, Some(limit)) if self.children.len() >= limit => Some(Refusal::MaxChildren(limit)),
            (Phase::Running, _) => None,
            (Phase::Ending(_) | Phase::Ended, _) => Some(Refusal::Stopping),
        }
    }

    /// A start came to nothing, and nobody wanted that.
    fn not_started(&mut self, now: Instant, key: Key, error: StartError, out: &mut Vec<Action>) {
        if error != StartError::Ignored {
            out.push(self.report(key, Context::StartError(error.clone().into())));
            if let State::Starting { last: Some(last), .. } = *self.children.state(key) {
                return self.failed(now, key, last, out);
            }
        }
        if let (_, State::Starting { asked: Some(asked), .. }) = self.children.remove(key) {
            let answer = match error {
                StartError::Ignored => Ok(None),
                error => Err(StartDynamicChildError::Failed(error)),
            };
            out.push(Action::Reply(Reply::Start(asked, answer)));
        }
    }

    /// A child that was told to stop has a process by now. It is told again, by name: what its start had spawned before may
    /// have been another.
    fn started_too_late(&mut self, key: Key, pid: Pid, out: &mut Vec<Action>) {
        let mut is_killed = false;
        self.children.change_stopping(key, |stopping| {
            (stopping.process, stopping.known) = (Some(pid), Some(pid));
            is_killed = stopping.is_killed;
            if is_killed {
                stopping.due = None;
            }
        });
        let target = Target::Process(pid);
        out.push(if is_killed { Action::Kill(target) } else { Action::Stop(target) });
    }

    /// The process of the child has ended by itself.
    fn ended(&mut self, now: Instant, key: Key, pid: Pid, reason: ExitReason, out: &mut Vec<Action>) {
        let restarts = self.children.child(key).is_restarted_after(&reason);
        let is_bereft = self.children.child(key).kind == Kind::Supervisor && reason == ExitReason::Killed;
        if restarts || reason.is_abnormal() {
            out.push(self.report(key, Context::ChildTerminated(reason)));
        }
        if restarts && is_bereft {
            self.find_orphans(key, pid, out);
        } else if restarts {
            self.failed(now, key, pid, out);
        } else {
            self.children.remove(key);
        }
    }

    fn begin_ending(&mut self, now: Instant, reason: ExitReason, out: &mut Vec<Action>) {
        if let Phase::Running = self.phase {
            self.phase = Phase::Ending(reason);
            self.children.keys().into_iter().for_each(|key| self.stop(now, key, None, out));
        }
    }

    /// Tells a child to stop, if it was not told yet; `terminator` hears when it has.
    fn stop(&mut self, now: Instant, key: Key, terminator: Option<Terminator>, out: &mut Vec<Action>) {
        let state = self.children.state(key);
        if let State::Stopping(_) = state {
            return self.children.change_stopping(key, |stopping| stopping.terminators.extend(terminator));
        }
        if let State::Held(..) = state {
            self.children.remove(key);
            self.orphans.retain(|_, of| *of != key);
            out.extend(terminator.map(|reply| Action::Reply(Reply::Terminate(reply, Ok(())))));
            return;
        }
        let (process, known) = (state.process(), state.known());
        let shutdown = self.children.child(key).shutdown;
        let is_killed = shutdown == Shutdown::BrutalKill;
        let time = match (shutdown, process) {
            (Shutdown::Timeout(time), _) => Some(time),
            (Shutdown::BrutalKill, None) => Some(ABANDON_START_AFTER),
            (Shutdown::BrutalKill, Some(_)) | (Shutdown::Infinity, _) => None,
        };
        // A time that no clock reaches is none.
        let due = time.and_then(|time| now.checked_add(time));
        let terminators = terminator.into_iter().collect();
        let target = process.map_or(Target::Start(key), Target::Process);
        let stopping = Stopping { process, known, asked: None, is_killed, due, terminators };
        if let State::Starting { asked, .. } = self.children.set(key, State::Stopping(Box::new(stopping))) {
            self.children.change_stopping(key, |stopping| stopping.asked = asked);
        }
        out.push(if is_killed { Action::Kill(target) } else { Action::Stop(target) });
    }

    /// What was due of a child is to be done.
    fn overdue(&mut self, now: Instant, key: Key, out: &mut Vec<Action>) {
        match *self.children.state(key) {
            State::Held(last, hold) => self.held_long_enough(key, last, hold, out),
            _ => self.kill(now, key, out),
        }
    }

    /// A child that was told to stop has had its time.
    fn kill(&mut self, now: Instant, key: Key, out: &mut Vec<Action>) {
        let target = self.children.state(key).process().map_or(Target::Start(key), Target::Process);
        let is_start = target == Target::Start(key);
        let mut was_killed = false;
        self.children.change_stopping(key, |stopping| {
            was_killed = std::mem::replace(&mut stopping.is_killed, true);
            // What was killed is waited for; a start may never return.
            stopping.due = if is_start { now.checked_add(ABANDON_START_AFTER) } else { None };
        });
        if is_start && was_killed {
            out.push(Action::Abandon(key));
            out.push(self.report(key, Context::ShutdownError(ExitReason::Killed)));
            self.stopped(key, out);
        } else {
            out.push(Action::Kill(target));
        }
    }

    /// A child that was told to stop has no process any more.
    fn stopped(&mut self, key: Key, out: &mut Vec<Action>) {
        let (_, State::Stopping(stopping)) = self.children.remove(key) else {
            unreachable!("only a child that was told to stop has stopped")
        };
        let Stopping { asked, terminators, .. } = *stopping;
        out.extend(terminators.into_iter().map(|reply| Action::Reply(Reply::Terminate(reply, Ok(())))));
        // Nobody knows the pid of one that starts for the first time: it was the supervisor's end.
        out.extend(asked.map(|reply| Action::Reply(Reply::Start(reply, Err(StartDynamicChildError::Stopping)))));
    }

    fn report(&self, key: Key, context: Context) -> Action {
        let pid = self.children.state(key).process();
        let (child, restarts) = (self.children.child(key).clone(), self.children.restarts(key));
        Action::Report(Report { child, pid, restarts, context })
    }

    fn step(&mut self, out: &mut Vec<Action>) {
        if self.children.len() == 0
            && let Phase::Ending(reason) = &self.phase
        {
            out.push(Action::End(reason.clone()));
            self.phase = Phase::Ended;
        }
    }
}
