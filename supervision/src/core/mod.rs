//! What a supervisor decides.
//!
//! Events come in with `now`; [`Action`]s go out, and the next [`deadline`](Core::deadline). Nothing here
//! waits, so a supervisor answers at any time. Every event ends with a [`step`](Core::step), which looks at
//! the whole and takes what is next:
//!
//! ```text
//!   Waiting ──▶ Starting ──▶ Up ──▶ Stopping ──▶ Waiting   (to be restarted with its siblings)
//!      ▲  ▲         │         │                  Down      (terminated, or the supervisor ends)
//!      │  └─────────┴─────────┤ failed           gone      (temporary)
//!      └──────── Held ◀───────┘                            (a back-off, what it needs is down, orphans)
//! ```
//!
//! # Laws
//! - One child is started at a time, the first in order.
//! - Siblings that are to be restarted are stopped one at a time, the last in order first; nothing is
//!   started until all of them are gone.
//! - A supervisor that was killed is started again when its children are gone.
//! - While a child is held, nobody is started whom its restart affects; while what it needs is down, nobody of those
//!   behind it.
//! - A supervisor that ends stops one child at a time, the last in order first, and ends when none is left.
//! - Each request is answered once.

mod again;
mod requests;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use biotope_runtime::{ExitReason, Pid, ReplyTo, Restart, Shutdown, StartError};

pub(crate) use self::requests::Reply;
use crate::backoff::Backoff;
use crate::child_spec::{Child, Kind};
use crate::circuit::Circuit;
use crate::client::{RestartChildError, StartChildError, TerminateChildError};
use crate::config::ABANDON_START_AFTER;
use crate::intensity::Intensity;
use crate::past::Past;
use crate::report::{Context, Report};
use crate::strategy::{AutoShutdown, Strategy};

pub(crate) struct Core {
    policy: Policy,
    /// In start order.
    children: Vec<Entry>,
    phase: Phase,
    keys: u64,
    /// Ends of processes that no child has, seen while one is being started: it may turn out to be its.
    early: Vec<(Pid, ExitReason)>,
}

/// What a supervisor was told of how it is to decide.
pub(crate) struct Policy {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    pub(crate) auto_shutdown: AutoShutdown,
    /// For children that have none of their own.
    pub(crate) backoff: Option<Backoff>,
    /// Gives a random number.
    pub(crate) chance: Box<dyn FnMut() -> u64 + Send>,
}

/// What the driver must do, in this order.
#[derive(Debug)]
pub(crate) enum Action {
    /// Start the child, which was started again so often with this time, and tell [`Core::on_started`].
    Start(Key, Child, u64),
    /// Ask to end, and tell [`Core::on_ended`] when it has.
    Stop(Target),
    /// Kill, and tell [`Core::on_ended`] when it has ended.
    Kill(Target),
    /// Look whether what the child needs is up, and tell [`Core::on_looked`].
    Look(Key, Circuit),
    /// Find the children that this process has left, which was killed, watch them, and tell [`Core::on_orphans`].
    FindOrphans(Key, Pid),
    /// Forget the start under way; it is no longer of interest.
    Abandon,
    /// All children have been started for the first time.
    Ready,
    Report(Report),
    Reply(Reply),
    /// End the supervisor: no child has a process.
    End(End),
}

/// How a supervisor ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct End {
    pub(crate) reason: ExitReason,
    /// The child whose failure to start is the cause, when the supervisor itself was being started.
    pub(crate) failed: Option<(Arc<str>, StartError)>,
}

/// Names a child for as long as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

/// What is to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Process(Pid),
    /// A start under way: whatever it has spawned.
    Start(Key),
}

enum Phase {
    StartingUp,
    Running,
    Ending(End),
    Ended,
}

struct Entry {
    key: Key,
    child: Child,
    state: State,
    then: Then,
    /// Whether its very first start is still to come: if that fails, the supervisor does not start.
    first: bool,
    /// Who asked for it to be started.
    asked: Option<Asked>,
    /// Who asked for it to be stopped.
    terminators: Vec<ReplyTo<Result<(), TerminateChildError>>>,
    /// It is a supervisor, and its last process, which was this one, was killed: it may have left children.
    bereft: Option<Pid>,
    past: Past,
}

enum State {
    /// It has no process and is to have none.
    Down,
    /// It is to be started when its turn comes.
    Waiting,
    /// It is to be started again, but not yet.
    Held(Hold),
    Starting,
    Up(Pid),
    /// It ended while others were still to be started for the first time. What that means is decided
    /// when they have been, as if nobody had looked before.
    Over {
        pid: Pid,
        reason: ExitReason,
    },
    Stopping {
        target: Target,
        killed: bool,
        deadline: Option<Instant>,
    },
}

/// What a child that failed waits for.
#[derive(Debug)]
enum Hold {
    /// Its back-off is over at that time.
    Backoff(Instant),
    /// The driver looks whether what it needs is up, or for orphans.
    Looking,
    /// What it needs is down. The driver looks again at that time.
    Circuit(Instant),
    /// These, whom its last process has left, have not ended yet. At that time they are killed.
    Orphans { left: BTreeSet<Pid>, deadline: Option<Instant> },
}

/// Whether a child that has a process, or is getting one, is to be stopped, and what comes then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It is not to be stopped.
    Nothing,
    /// It is to be started again, with its siblings.
    Restart,
    /// It stays without a process.
    Stay,
}

enum Asked {
    Start(ReplyTo<Result<Option<Pid>, StartChildError>>),
    Restart(ReplyTo<Result<Option<Pid>, RestartChildError>>),
}

impl Core {
    pub(crate) fn new(policy: Policy, children: Vec<Child>) -> Self {
        let mut core = Self { policy, children: Vec::new(), phase: Phase::StartingUp, keys: 0, early: Vec::new() };
        for child in children {
            core.add(child, true, None);
        }
        core
    }

    /// Begins to start the children.
    pub(crate) fn begin(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.step(now, out);
    }

    /// The start of a child has returned.
    pub(crate) fn on_started(
        &mut self,
        now: Instant,
        key: Key,
        outcome: Result<Pid, StartError>,
        out: &mut Vec<Action>,
    ) {
        let early = std::mem::take(&mut self.early);
        let Some(at) = self.children.iter().position(|entry| entry.key == key) else {
            unreachable!("a child stays listed while it is being started")
        };
        match outcome {
            // Its start has found a process that is there already.
            Ok(pid) if self.knows(pid) => self.not_started(now, at, StartError::AlreadyStarted(pid), out),
            Ok(pid) => {
                self.started(now, at, pid, out);
                if let Some((_, reason)) = early.into_iter().find(|(ended, _)| *ended == pid) {
                    self.ended(now, at, reason, out);
                }
            }
            Err(error) => self.not_started(now, at, error, out),
        }
        self.step(now, out);
    }

    /// The process `pid` has ended.
    pub(crate) fn on_ended(&mut self, now: Instant, pid: Pid, reason: ExitReason, out: &mut Vec<Action>) {
        match self.children.iter().position(|entry| entry.pid() == Some(pid)) {
            Some(at) => self.ended(now, at, reason, out),
            None if self.children.iter_mut().any(|entry| entry.is_rid_of(pid)) => {}
            None if self.children.iter().any(Entry::is_starting) => self.early.push((pid, reason)),
            None => {}
        }
        self.step(now, out);
    }

    /// The supervisor is to end with `reason`. The first reason stands.
    pub(crate) fn on_stop(&mut self, now: Instant, reason: ExitReason, out: &mut Vec<Action>) {
        self.begin_ending(End { reason, failed: None }, out);
        self.step(now, out);
    }

    /// Time has reached `now`.
    pub(crate) fn on_deadline(&mut self, now: Instant, out: &mut Vec<Action>) {
        let mut at = 0;
        while at < self.children.len() {
            let entry = &mut self.children[at];
            at += 1;
            if entry.deadline().is_none_or(|deadline| deadline > now) {
                continue;
            }
            let (target, killed, deadline) = match &mut entry.state {
                State::Stopping { target, killed, deadline } => (target, killed, deadline),
                State::Held(Hold::Orphans { left, deadline }) => {
                    *deadline = None;
                    out.extend(left.iter().map(|orphan| Action::Kill(Target::Process(*orphan))));
                    continue;
                }
                State::Held(Hold::Circuit(_)) => {
                    self.failed(now, at - 1, out);
                    continue;
                }
                // What it has waited for is over.
                _ => {
                    entry.state = State::Waiting;
                    continue;
                }
            };
            match target {
                Target::Start(_) if *killed => {
                    out.push(Action::Abandon);
                    out.push(entry.report(Context::ShutdownError(ExitReason::Killed)));
                    let is_new = matches!(entry.asked, Some(Asked::Start(_)));
                    self.give_up(at - 1, is_new, out);
                    continue;
                }
                Target::Start(_) => *deadline = Some(now + ABANDON_START_AFTER),
                Target::Process(_) => *deadline = None,
            }
            *killed = true;
            out.push(Action::Kill(*target));
        }
        self.step(now, out);
    }

    /// When [`on_deadline`](Self::on_deadline) is next to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.children.iter().filter_map(Entry::deadline).min()
    }

    /// Whether `pid` is the process of a child.
    pub(crate) fn knows(&self, pid: Pid) -> bool {
        self.children.iter().any(|entry| entry.pid() == Some(pid))
    }

    /// Takes what is next.
    fn step(&mut self, now: Instant, out: &mut Vec<Action>) {
        match &self.phase {
            Phase::StartingUp | Phase::Running => self.step_running(now, out),
            Phase::Ending(_) => self.step_ending(now, out),
            Phase::Ended => {}
        }
    }

    fn step_running(&mut self, now: Instant, out: &mut Vec<Action>) {
        // What somebody asked to terminate goes at once, beside whatever else is under way.
        for at in 0..self.children.len() {
            let entry = &self.children[at];
            if entry.then == Then::Stay && matches!(entry.state, State::Up(_) | State::Starting) {
                self.stop(now, at, out);
            }
        }
        if let Some(last) = self.children.iter().rposition(|entry| entry.then == Then::Restart) {
            // One that is being started or stopped is waited for: the order is the promise.
            if matches!(self.children[last].state, State::Up(_)) {
                self.stop(now, last, out);
            }
            return;
        }
        if self.children.iter().any(Entry::is_starting) {
            return;
        }
        match self.next_to_start() {
            Some(at) if let Some(killed) = self.children[at].bereft => {
                let entry = &mut self.children[at];
                entry.state = State::Held(Hold::Looking);
                out.push(Action::FindOrphans(entry.key, killed));
            }
            Some(at) => {
                let entry = &mut self.children[at];
                entry.state = State::Starting;
                out.push(Action::Start(entry.key, entry.child.clone(), entry.past.starts()));
            }
            None if matches!(self.phase, Phase::StartingUp) => {
                self.phase = Phase::Running;
                out.push(Action::Ready);
                self.catch_up(now, out);
                self.step(now, out);
            }
            None => {}
        }
    }

    /// Decides what it means that children ended while others were started for the first time.
    fn catch_up(&mut self, now: Instant, out: &mut Vec<Action>) {
        let is_over = |entry: &Entry| matches!(entry.state, State::Over { .. });
        while let Some(at) = self.children.iter().position(is_over) {
            if let State::Over { reason, .. } = &self.children[at].state {
                let reason = reason.clone();
                self.ended(now, at, reason, out);
            }
        }
    }

    fn step_ending(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.children.iter().any(|entry| matches!(entry.state, State::Stopping { .. })) {
            return;
        }
        match self.children.iter().rposition(|entry| matches!(entry.state, State::Up(_) | State::Starting)) {
            Some(last) => self.stop(now, last, out),
            None => {
                let Phase::Ending(end) = std::mem::replace(&mut self.phase, Phase::Ended) else {
                    unreachable!("only a supervisor that ends is asked for its end")
                };
                out.push(Action::End(end));
            }
        }
    }

    /// Stops the child at `at`, which has a process or is getting one.
    fn stop(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        let entry = &mut self.children[at];
        let target = match entry.state {
            State::Up(pid) => Target::Process(pid),
            State::Starting => Target::Start(entry.key),
            _ => unreachable!("there is nothing to stop"),
        };
        let killed = entry.child.shutdown == Shutdown::BrutalKill;
        let deadline = match (entry.child.shutdown, target) {
            (Shutdown::Timeout(time), _) => now.checked_add(time),
            (Shutdown::BrutalKill, Target::Start(_)) => Some(now + ABANDON_START_AFTER),
            (Shutdown::BrutalKill, Target::Process(_)) | (Shutdown::Infinity, _) => None,
        };
        entry.state = State::Stopping { target, killed, deadline };
        out.push(if killed { Action::Kill(target) } else { Action::Stop(target) });
    }

    fn started(&mut self, now: Instant, at: usize, pid: Pid, out: &mut Vec<Action>) {
        let entry = &mut self.children[at];
        if let State::Stopping { target, killed, deadline } = &mut entry.state {
            // It is told again, now by its name: what its start had spawned before may have been another.
            *target = Target::Process(pid);
            if *killed {
                *deadline = None;
            }
            out.push(if *killed { Action::Kill(*target) } else { Action::Stop(*target) });
            return;
        }
        entry.state = State::Up(pid);
        entry.past.on_started(now);
        entry.first = false;
        out.push(entry.report(Context::Progress));
        entry.answer(Ok(Some(pid)), out);
    }

    fn not_started(&mut self, now: Instant, at: usize, error: StartError, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Ending(_)) {
            return self.gone(at, out);
        }
        let entry = &mut self.children[at];
        if error == StartError::Ignored {
            entry.first = false;
            entry.answer(Ok(None), out);
            return self.gone(at, out);
        }
        out.push(entry.report(Context::StartError(error.clone().into())));
        if entry.first && entry.then != Then::Stay {
            entry.state = State::Down;
            let failed = (entry.child.id.clone(), error);
            let reason = format!("failed to start child `{}`: {}", failed.0, failed.1);
            let end = End { reason: ExitReason::ShutdownWith(reason.into()), failed: Some(failed) };
            return self.begin_ending(end, out);
        }
        if entry.asked.is_none() && entry.then != Then::Stay {
            return self.failed(now, at, out);
        }
        let is_new = matches!(entry.asked, Some(Asked::Start(_)));
        entry.then = Then::Stay;
        entry.answer(Err(error), out);
        self.give_up(at, is_new, out);
    }

    /// The process of the child at `at` has ended.
    fn ended(&mut self, now: Instant, at: usize, reason: ExitReason, out: &mut Vec<Action>) {
        let entry = &mut self.children[at];
        if entry.child.kind == Kind::Supervisor && reason == ExitReason::Killed {
            entry.bereft = entry.last_pid();
        }
        let entry = &self.children[at];
        if matches!(entry.state, State::Stopping { .. }) {
            if is_disorderly(&reason, entry.child.shutdown) {
                out.push(entry.report(Context::ShutdownError(reason)));
            }
            // One whose first start was called off was never added.
            let is_new = matches!(entry.asked, Some(Asked::Start(_)));
            return self.give_up(at, is_new, out);
        }
        if let (Phase::StartingUp, State::Up(pid), Then::Nothing) = (&self.phase, &entry.state, entry.then) {
            let pid = *pid;
            self.children[at].state = State::Over { pid, reason };
            return;
        }
        let restarts = entry.child.is_restarted_after(&reason);
        if restarts || reason.is_abnormal() {
            out.push(entry.report(Context::ChildTerminated(reason)));
        }
        // One that was to be stopped anyway has only been faster; that is no failure of its own.
        let by_itself = entry.then == Then::Nothing;
        if restarts && by_itself {
            return self.failed(now, at, out);
        }
        let is_significant = entry.child.significant && by_itself;
        let over = entry.report(Context::AutoShutdown);
        self.gone(at, out);
        let lives = |entry: &Entry| entry.child.significant && !matches!(entry.state, State::Down);
        if is_significant && self.policy.auto_shutdown.is_due(self.children.iter().any(lives)) {
            out.push(over);
            self.begin_ending(End { reason: ExitReason::Shutdown, failed: None }, out);
        }
    }

    /// The child at `at` has no process, as it was to be.
    fn gone(&mut self, at: usize, out: &mut Vec<Action>) {
        let is_ending = matches!(self.phase, Phase::Ending(_));
        let entry = &mut self.children[at];
        entry.answer_terminators(out);
        entry.answer_not_started(is_ending, out);
        entry.first = false;
        let then = std::mem::replace(&mut entry.then, Then::Nothing);
        entry.state = if then == Then::Restart { State::Waiting } else { State::Down };
        if entry.child.restart == Restart::Temporary && !is_ending {
            self.children.remove(at);
        }
    }

    /// The child at `at` is not started any more; if it is new, it was never added.
    fn give_up(&mut self, at: usize, is_new: bool, out: &mut Vec<Action>) {
        let key = self.children[at].key;
        self.gone(at, out);
        if is_new {
            self.children.retain(|entry| entry.key != key);
        }
    }

    fn begin_ending(&mut self, end: End, out: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Ending(_) | Phase::Ended) {
            return;
        }
        self.phase = Phase::Ending(end);
        for entry in &mut self.children {
            match entry.state {
                State::Down => {}
                State::Waiting | State::Held(_) | State::Over { .. } => {
                    entry.state = State::Down;
                    entry.answer_not_started(true, out);
                }
                State::Starting | State::Up(_) | State::Stopping { .. } => entry.then = Then::Stay,
            }
        }
    }

    fn add(&mut self, child: Child, first: bool, asked: Option<Asked>) {
        self.keys += 1;
        let key = Key(self.keys);
        let state = State::Waiting;
        self.children.push(Entry {
            key,
            child,
            state,
            then: Then::Nothing,
            first,
            asked,
            terminators: Vec::new(),
            past: Past::default(),
            bereft: None,
        });
    }
}

impl Entry {
    fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Up(pid) | State::Stopping { target: Target::Process(pid), .. } => Some(pid),
            _ => None,
        }
    }

    /// When something becomes of it though nothing happens.
    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Stopping { deadline, .. } | State::Held(Hold::Orphans { deadline, .. }) => deadline,
            State::Held(Hold::Backoff(at) | Hold::Circuit(at)) => Some(at),
            _ => None,
        }
    }

    fn is_starting(&self) -> bool {
        matches!(self.state, State::Starting | State::Stopping { target: Target::Start(_), .. })
    }

    fn report(&self, context: Context) -> Action {
        Action::Report(Report {
            child: self.child.clone(),
            pid: self.last_pid(),
            restarts: self.past.restarts(),
            context,
        })
    }

    /// The process that it has, or had.
    fn last_pid(&self) -> Option<Pid> {
        match self.state {
            State::Over { pid, .. } => Some(pid),
            _ => self.pid(),
        }
    }
}

/// Whether a child that was told to stop ended otherwise than it should have.
pub(crate) fn is_disorderly(reason: &ExitReason, shutdown: Shutdown) -> bool {
    match reason {
        // It had ended by itself before it was told.
        ExitReason::NoProc => false,
        ExitReason::Killed => shutdown != Shutdown::BrutalKill,
        reason => reason.is_abnormal(),
    }
}
