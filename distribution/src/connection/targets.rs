//! The addresses that a node wants to be joined with, and when to dial each again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::close::Ended;
use super::core::{Action, ConnectionId};
use crate::config::Limits;

/// The targets of one node; a part of its core.
#[derive(Debug)]
pub(super) struct Targets {
    wanted: BTreeMap<Arc<str>, Target>,
    limit: usize,
    first: Duration,
    most: Duration,
}

#[derive(Debug)]
struct Target {
    /// Who answered there last.
    peer: Option<Arc<str>>,
    phase: Phase,
    pause: Duration,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// A dial is under way, or its connection is still greeting.
    Trying,
    Waiting(Instant),
    /// The association with its peer is up.
    Met,
}

impl Targets {
    pub(super) fn new(limits: &Limits) -> Targets {
        Targets { wanted: BTreeMap::new(), limit: limits.targets, first: limits.redial_first, most: limits.redial_most }
    }

    pub(super) fn on_join(
        &mut self,
        target: &Arc<str>,
        associations: &BTreeMap<Arc<str>, ConnectionId>,
        out: &mut Vec<Action>,
    ) {
        if let Some(known) = self.wanted.get(target) {
            let met = known.peer.as_ref().and_then(|peer| associations.get(peer));
            if let (Phase::Met, Some(on)) = (&known.phase, met) {
                out.push(Action::Joined { target: target.clone(), on: *on });
            }
            return;
        }
        if self.wanted.len() >= self.limit {
            let limit = self.limit;
            out.push(Action::NotJoined {
                target: target.clone(),
                text: format!("{limit} addresses are being joined already: leave one, or raise `Limits::targets`"),
            });
            return;
        }
        self.wanted.insert(target.clone(), Target { peer: None, phase: Phase::Trying, pause: self.first });
        out.push(Action::Dial { target: target.clone() });
    }

    pub(super) fn on_connected(&mut self, target: &Arc<str>, peer: &Arc<str>) {
        if let Some(target) = self.wanted.get_mut(target) {
            target.peer = Some(peer.clone());
        }
    }

    /// A dial or its greeting has failed.
    pub(super) fn on_failed(
        &mut self,
        target: &Arc<str>,
        ended: Ended,
        associations: &BTreeMap<Arc<str>, ConnectionId>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let Some(known) = self.wanted.get_mut(target) else {
            return;
        };
        // Another connection may have become the association meanwhile. Then nothing has failed.
        if let Some(on) = known.peer.as_ref().and_then(|peer| associations.get(peer)) {
            known.phase = Phase::Met;
            known.pause = self.first;
            out.push(Action::Joined { target: target.clone(), on: *on });
            return;
        }
        if ended.is_final() {
            self.wanted.remove(target);
            out.push(Action::NotJoined { target: target.clone(), text: ended.into_text() });
            return;
        }
        tracing::debug!(%target, pause = ?known.pause, why = ended.into_text(), "will dial again");
        known.phase = Phase::Waiting(now + known.pause);
        known.pause = next_pause(known.pause, self.most);
    }

    pub(super) fn on_up(&mut self, peer: &Arc<str>, on: ConnectionId, out: &mut Vec<Action>) {
        for (name, target) in &mut self.wanted {
            if target.peer.as_ref() == Some(peer) {
                target.phase = Phase::Met;
                target.pause = self.first;
                out.push(Action::Joined { target: name.clone(), on });
            }
        }
    }

    pub(super) fn on_down(&mut self, peer: &Arc<str>, now: Instant) {
        for target in self.wanted.values_mut() {
            if target.peer.as_ref() == Some(peer) && target.phase == Phase::Met {
                target.phase = Phase::Waiting(now + target.pause);
                target.pause = next_pause(target.pause, self.most);
            }
        }
    }

    pub(super) fn on_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        for (name, target) in &mut self.wanted {
            if matches!(target.phase, Phase::Waiting(at) if at <= now) {
                target.phase = Phase::Trying;
                out.push(Action::Dial { target: name.clone() });
            }
        }
    }

    pub(super) fn forget(&mut self, target: &Arc<str>) {
        self.wanted.remove(target);
    }

    pub(super) fn forget_peer(&mut self, peer: &Arc<str>) {
        self.wanted.retain(|_, target| target.peer.as_ref() != Some(peer));
    }

    pub(super) fn forget_all(&mut self) {
        self.wanted.clear();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = |target: &Target| match target.phase {
            Phase::Waiting(at) => Some(at),
            Phase::Trying | Phase::Met => None,
        };
        self.wanted.values().filter_map(due).min()
    }
}

fn next_pause(pause: Duration, most: Duration) -> Duration {
    (pause * 2).min(most)
}
