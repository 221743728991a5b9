//! How a child comes to be started again: when its orphans are gone, what it needs is up, one more restart is not one too many,
//! and its back-off is over; in this order.

use std::collections::BTreeSet;
use std::time::Instant;

use biotope_runtime::{ExitReason, Pid};

use super::children::{Hold, State};
use super::{Action, Core, Key, Target};
use crate::backoff::Backoff;
use crate::config::{ORPHANS_END_WITHIN, later};
use crate::intensity::Verdict;
use crate::report::Context;

impl Core {
    /// These are left of the children of one that was killed.
    pub(crate) fn on_orphans(&mut self, now: Instant, key: Key, left: BTreeSet<Pid>, out: &mut Vec<Action>) {
        if let Some(last) = self.looked_for(key) {
            if left.is_empty() {
                self.failed(now, key, last, out);
            } else {
                let due = Some(later(now, ORPHANS_END_WITHIN));
                self.children.set(key, State::Held(last, Hold::Orphans { left: left.len(), due }));
                self.orphans.extend(left.into_iter().map(|orphan| (orphan, key)));
            }
        }
        self.step(out);
    }

    /// The driver has looked whether what a child needs is up.
    pub(crate) fn on_looked(&mut self, now: Instant, key: Key, is_up: bool, out: &mut Vec<Action>) {
        if let Some(last) = self.looked_for(key) {
            if is_up { self.start_again(now, key, last, out) } else { self.hold_back(now, key, last, out) }
        }
        self.step(out);
    }

    /// The child, a supervisor whose process `last` was killed, may have left children.
    pub(super) fn find_orphans(&mut self, key: Key, last: Pid, out: &mut Vec<Action>) {
        self.children.set(key, State::Held(last, Hold::Looking));
        out.push(Action::FindOrphans(key, last));
    }

    /// A process has ended that is no child; it may be what one has left.
    pub(super) fn orphan_ended(&mut self, now: Instant, pid: Pid, out: &mut Vec<Action>) {
        let Some(key) = self.orphans.remove(&pid) else { return };
        if let State::Held(last, Hold::Orphans { left, due }) = *self.children.state(key) {
            match left - 1 {
                0 => self.failed(now, key, last, out),
                left => {
                    self.children.set(key, State::Held(last, Hold::Orphans { left, due }));
                }
            }
        }
        self.step(out);
    }

    /// The child, whose last process was `last`, is to be started again, as soon as what it needs is up.
    pub(super) fn failed(&mut self, now: Instant, key: Key, last: Pid, out: &mut Vec<Action>) {
        match self.children.child(key).circuit {
            Some(_) => self.look(key, last, out),
            None => self.start_again(now, key, last, out),
        }
    }

    /// A child is held for as long as it was to be.
    pub(super) fn held_long_enough(&mut self, key: Key, last: Pid, hold: Hold, out: &mut Vec<Action>) {
        match hold {
            Hold::Backoff(_) | Hold::Looking => self.start(key, last, out),
            Hold::Circuit(_) => self.look(key, last, out),
            Hold::Orphans { left, .. } => {
                self.children.set(key, State::Held(last, Hold::Orphans { left, due: None }));
                let orphans = self.orphans.iter().filter(|(_, of)| **of == key);
                out.extend(orphans.map(|(orphan, _)| Action::Kill(Target::Process(*orphan))));
            }
        }
    }

    pub(super) fn backoff(&self, key: Key) -> Option<Backoff> {
        self.children.child(key).backoff.or(self.policy.backoff)
    }

    fn look(&mut self, key: Key, last: Pid, out: &mut Vec<Action>) {
        if let Some(circuit) = self.children.child(key).circuit.clone() {
            self.children.set(key, State::Held(last, Hold::Looking));
            out.push(Action::Look(key, circuit));
        }
    }

    /// The pid that the child had for which the driver has looked, if it is still there.
    fn looked_for(&self, key: Key) -> Option<Pid> {
        let is_there = self.children.has(key);
        match is_there.then(|| self.children.state(key)) {
            Some(State::Held(last, Hold::Looking)) => Some(*last),
            _ => None,
        }
    }

    /// What the child needs is down: it stays so too.
    fn hold_back(&mut self, now: Instant, key: Key, last: Pid, out: &mut Vec<Action>) {
        let Some(circuit) = &self.children.child(key).circuit else {
            unreachable!("what has no circuit is not looked for")
        };
        let (again, needs) = (later(now, circuit.every()), circuit.needs().into());
        self.children.set(key, State::Held(last, Hold::Circuit(again)));
        if !std::mem::replace(&mut self.children.past(key).is_held_back, true) {
            out.push(self.report(key, Context::CircuitOpen(needs)));
        }
    }

    /// The child is started again, if that is not once too often: at once, or when its back-off is over.
    fn start_again(&mut self, now: Instant, key: Key, last: Pid, out: &mut Vec<Action>) {
        if self.policy.intensity.record(now) == Verdict::GiveUp {
            out.push(self.report(key, Context::ReachedMaxRestartIntensity));
            self.children.remove(key);
            return self.begin_ending(now, ExitReason::Shutdown, out);
        }
        let backoff = self.backoff(key);
        let past = self.children.past(key);
        past.is_held_back = false;
        let Some(backoff) = backoff else { return self.start(key, last, out) };
        let wait = past.on_failed(now, backoff, (self.policy.chance)());
        if wait.is_zero() {
            return self.start(key, last, out);
        }
        self.children.set(key, State::Held(last, Hold::Backoff(later(now, wait))));
        out.push(self.report(key, Context::Backoff(wait)));
    }

    fn start(&mut self, key: Key, last: Pid, out: &mut Vec<Action>) {
        self.children.set(key, State::Starting { last: Some(last), asked: None });
        let restarts = self.children.past(key).starts();
        out.push(Action::Start(key, self.children.child(key).clone(), restarts));
    }
}
