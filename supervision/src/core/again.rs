//! How a child comes to be started again: what it needs is up, one more restart is not one too many, its back-off is over, and the
//! orphans of its last process are gone; in this order. Meanwhile it is held, and holds up others.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Instant;

use biotope_runtime::{ExitReason, Pid};

use super::{Action, Core, End, Entry, Hold, Key, State, Then};
use crate::config::{ORPHANS_END_WITHIN, later};
use crate::intensity::Verdict;
use crate::report::Context;

impl Core {
    /// The child at `at` has no process and is to be restarted, as soon as what it needs is up.
    pub(super) fn failed(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        let entry = &mut self.children[at];
        if entry.child.circuit.is_some() { entry.look(out) } else { self.start_again(now, at, out) }
    }

    /// The driver has looked whether what a child needs is up.
    pub(crate) fn on_looked(&mut self, now: Instant, key: Key, is_up: bool, out: &mut Vec<Action>) {
        let is_asked = |entry: &Entry| entry.key == key && matches!(entry.state, State::Held(Hold::Looking));
        let Some(at) = self.children.iter().position(is_asked) else { return };
        if is_up {
            self.start_again(now, at, out);
        } else {
            self.hold_back(now, at, out);
        }
        self.step(now, out);
    }

    /// What the child at `at` needs is down: it stays so too, and so do those whom its restart affects.
    fn hold_back(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        let entry = &self.children[at];
        // It may have another specification by now, which needs nothing.
        let Some(circuit) = &entry.child.circuit else { return self.start_again(now, at, out) };
        let again = later(now, circuit.every());
        if !entry.past.is_held_back {
            out.push(entry.report(Context::CircuitOpen(circuit.needs().into())));
        }
        // Those before it go on: what it needs may be among them.
        self.stop_affected(at, at);
        let entry = &mut self.children[at];
        entry.past.is_held_back = true;
        entry.state = State::Held(Hold::Circuit(again));
    }

    /// The child at `at` has no process and is restarted, with whomever that affects, if that is not once too often.
    fn start_again(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        if self.policy.intensity.record(now) == Verdict::GiveUp {
            out.push(self.children[at].report(Context::ReachedMaxRestartIntensity));
            self.children[at].state = State::Down;
            return self.begin_ending(End { reason: ExitReason::Shutdown, failed: None }, out);
        }
        self.stop_affected(at, 0);
        let entry = &mut self.children[at];
        entry.past.is_held_back = false;
        let Some(backoff) = entry.child.backoff.or(self.policy.backoff) else { return };
        let wait = entry.past.on_failed(now, backoff, (self.policy.chance)());
        if !wait.is_zero() {
            out.push(entry.report(Context::Backoff(wait)));
            entry.state = State::Held(Hold::Backoff(later(now, wait)));
        }
    }

    /// Sees to it that those are down whom the restart of the child at `at` affects, and come up again: those at `from` and
    /// behind it.
    fn stop_affected(&mut self, at: usize, from: usize) {
        for sibling in self.policy.strategy.affected(at, self.children.len()).skip_while(|sibling| *sibling < from) {
            let entry = &mut self.children[sibling];
            match entry.state {
                State::Starting | State::Up(_) if sibling != at => {
                    if entry.then == Then::Nothing {
                        entry.then = Then::Restart;
                    }
                }
                // It comes up when it may.
                State::Held(_) if sibling != at => {}
                State::Stopping { .. } => {}
                _ => {
                    entry.state = State::Waiting;
                    entry.then = Then::Nothing;
                }
            }
        }
    }

    /// These are left of the children of one that was killed.
    pub(crate) fn on_orphans(&mut self, now: Instant, key: Key, left: BTreeSet<Pid>, out: &mut Vec<Action>) {
        let is_asked = |entry: &&mut Entry| entry.key == key && matches!(entry.state, State::Held(Hold::Looking));
        if let Some(entry) = self.children.iter_mut().find(is_asked) {
            if left.is_empty() {
                entry.rid();
            } else {
                let deadline = Some(later(now, ORPHANS_END_WITHIN));
                entry.state = State::Held(Hold::Orphans { left, deadline });
            }
        }
        self.step(now, out);
    }

    /// The first child that is to be started, and is not held up by another.
    pub(super) fn next_to_start(&self) -> Option<usize> {
        let places = || self.children.iter().enumerate();
        let held: Vec<_> = places().filter_map(|(at, entry)| self.held_up_by(at, entry)).collect();
        let is_free = |at: &usize| !held.iter().any(|affected| affected.contains(at));
        places().filter(|(_, entry)| matches!(entry.state, State::Waiting)).map(|(at, _)| at).find(is_free)
    }

    /// Whom this child holds up, if it is held: those whom its restart affects. Not those before one that waits for what it
    /// needs, which may be among them.
    fn held_up_by(&self, at: usize, entry: &Entry) -> Option<Range<usize>> {
        let State::Held(hold) = &entry.state else { return None };
        let affected = self.policy.strategy.affected(at, self.children.len());
        Some(match hold {
            Hold::Looking | Hold::Circuit(_) => at..affected.end,
            Hold::Backoff(_) | Hold::Orphans { .. } => affected,
        })
    }
}

impl Entry {
    /// Asks the driver to look whether what it needs is up; until then it is held.
    fn look(&mut self, out: &mut Vec<Action>) {
        self.state = State::Held(Hold::Looking);
        out.extend(self.child.circuit.clone().map(|circuit| Action::Look(self.key, circuit)));
    }

    /// Takes `pid` out of those it waits for before it is started again; returns whether it was one of them.
    pub(super) fn is_rid_of(&mut self, pid: Pid) -> bool {
        let State::Held(Hold::Orphans { left, .. }) = &mut self.state else { return false };
        let was_one = left.remove(&pid);
        if left.is_empty() {
            self.rid();
        }
        was_one
    }

    /// Nobody is left whom its last process has started.
    fn rid(&mut self) {
        self.bereft = None;
        self.state = State::Waiting;
    }
}
