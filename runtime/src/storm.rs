//! Too much of one kind: the log tells the first of it one by one, and of the rest how much there was.
//!
//! A program in which a thousand processes crash within a second, all in the same way, learns nothing from the thousandth
//! report, and may lose sight of the one that is different. So crashes of one kind, and what supervisors say of them, are
//! logged until there were [so many](crate::config::LOGGED_ALIKE) within [a period](crate::config::ALIKE_WITHIN); of the
//! others it is counted how many there were, and that is told in one line when the period is over.
//!
//! This decides, and tells nothing itself; time comes in as `now`. What is done about it is in
//! [`node/storms`](crate::node).
//!
//! # Laws
//! - Whatever happened was logged, or is counted in one summary.
//! - As long as anything is held back, there is a [`deadline`](Storms::deadline).
//! - No more kinds are kept than [`KINDS`](crate::config::KINDS_IN_STORM); of more, the one that began first is told early.

use std::fmt;
use std::time::{Duration, Instant};

use tracing::Level;

use crate::config::KINDS_IN_STORM;
use crate::exit::ExitReason;
use crate::pid::Pid;

/// Something that is told in the log, and may happen too often: a crash, or what a supervisor says of one.
#[derive(Clone, Debug)]
pub struct Occurrence {
    /// What it is, as many of it are called.
    pub what: &'static str,
    /// What the process ran.
    pub actor: Option<&'static str>,
    /// The handler that did it.
    pub handler: Option<&'static str>,
    /// Why.
    pub reason: Option<ExitReason>,
    /// The process.
    pub pid: Option<Pid>,
    /// How it is logged.
    pub level: Level,
}

impl Occurrence {
    /// Whether the two are of one kind.
    fn is_like(&self, other: &Self) -> bool {
        let is_like_reason = match (&self.reason, &other.reason) {
            (Some(one), Some(other)) => one.is_like(other),
            (one, other) => one.is_none() && other.is_none(),
        };
        (self.what, self.actor, self.handler) == (other.what, other.actor, other.handler) && is_like_reason
    }
}

/// How much of one kind is logged one by one, and within which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StormLimit {
    pub(crate) logged: usize,
    pub(crate) within: Duration,
}

/// What happened too often of late.
pub(crate) struct Storms {
    limit: StormLimit,
    /// In the order in which their periods began.
    kinds: Vec<Kind>,
}

/// What happened of one kind, within a period that is not over.
struct Kind {
    since: Instant,
    logged: usize,
    held_back: u64,
    last: Occurrence,
}

/// How much of one kind there was that was not logged. Its `Display` is what the log says of it.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) more: u64,
    pub(crate) last: Occurrence,
    within: Duration,
}

impl Storms {
    pub(crate) fn new(limit: StormLimit) -> Self {
        Self { limit, kinds: Vec::new() }
    }

    /// Something has happened at `now`. Returns whether it is to be logged by itself. What is over by then goes to `out`.
    #[must_use = "what is not logged by itself is counted"]
    pub(crate) fn on_occurrence(&mut self, now: Instant, occurrence: &Occurrence, out: &mut Vec<Summary>) -> bool {
        self.on_deadline(now, out);
        if self.hold_back(now, occurrence) {
            return false;
        }
        let Self { limit, kinds } = self;
        if let Some(kind) = kinds.iter_mut().find(|kind| kind.last.is_like(occurrence)) {
            kind.logged += 1;
            return true;
        }
        if kinds.len() == KINDS_IN_STORM {
            out.extend(kinds.remove(0).over(limit.within));
        }
        let is_logged = limit.logged > 0;
        let (logged, held_back) = (usize::from(is_logged), u64::from(!is_logged));
        kinds.push(Kind { since: now, logged, held_back, last: occurrence.clone() });
        is_logged
    }

    /// Counts what happens at `now`, if it is not to be logged by itself. Returns whether it did.
    #[must_use = "what is not counted is to be logged"]
    pub(crate) fn hold_back(&mut self, now: Instant, occurrence: &Occurrence) -> bool {
        let StormLimit { logged, within } = self.limit;
        let is_full = |kind: &Kind| kind.logged >= logged && !kind.is_over(within, now);
        let full = self.kinds.iter_mut().find(|kind| is_full(kind) && kind.last.is_like(occurrence));
        let Some(kind) = full else { return false };
        kind.held_back += 1;
        kind.last = occurrence.clone();
        true
    }

    /// Time has reached `now`.
    pub(crate) fn on_deadline(&mut self, now: Instant, out: &mut Vec<Summary>) {
        let within = self.limit.within;
        let over = self.kinds.iter().take_while(|kind| kind.is_over(within, now)).count();
        out.extend(self.kinds.drain(..over).filter_map(|kind| kind.over(within)));
    }

    /// Nothing more will happen.
    pub(crate) fn on_end(&mut self, out: &mut Vec<Summary>) {
        out.extend(self.kinds.drain(..).filter_map(|kind| kind.over(self.limit.within)));
    }

    /// When [`on_deadline`](Self::on_deadline) is next to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.kinds.iter().find(|kind| kind.held_back > 0).map(|kind| kind.since + self.limit.within)
    }
}

impl Kind {
    fn is_over(&self, within: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= within
    }

    fn over(self, within: Duration) -> Option<Summary> {
        (self.held_back > 0).then_some(Summary { more: self.held_back, last: self.last, within })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { more, last, within } = self;
        write!(f, "{more} more {}", last.what)?;
        last.actor.map_or(Ok(()), |actor| write!(f, " of {actor}"))?;
        last.handler.map_or(Ok(()), |handler| write!(f, " in `{handler}`"))?;
        write!(f, " within {within:?}")?;
        last.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {}", reason.in_one_line()))?;
        last.pid.map_or(Ok(()), |pid| write!(f, "; the last is {pid}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pid::NodeId;

    const LIMIT: StormLimit = StormLimit { logged: 2, within: Duration::from_secs(5) };

    fn crash(handler: &'static str, reason: ExitReason, slot: u32) -> Occurrence {
        let pid = Some(Pid::new(NodeId::new("n", 1), slot, 0));
        let (handler, reason) = (Some(handler), Some(reason));
        Occurrence { what: "crashes", actor: Some("Cart"), handler, reason, pid, level: Level::ERROR }
    }

    #[test]
    fn the_first_are_logged_and_the_others_are_told_when_the_period_is_over() {
        let start = Instant::now();
        let (mut storms, mut out) = (Storms::new(LIMIT), Vec::new());
        let logged = (0..5).filter(|n| storms.on_occurrence(start, &crash("add", ExitReason::Killed, *n), &mut out));
        assert_eq!(logged.collect::<Vec<_>>(), [0, 1]);
        assert!(storms.hold_back(start, &crash("add", ExitReason::Killed, 5)));
        assert!(!storms.hold_back(start, &crash("take", ExitReason::Killed, 5)));
        assert!(storms.on_occurrence(start, &crash("take", ExitReason::Killed, 5), &mut out), "another handler");
        assert!(storms.on_occurrence(start, &crash("add", ExitReason::Timeout, 5), &mut out), "another reason");
        assert_eq!(storms.deadline(), Some(start + LIMIT.within));
        storms.on_deadline(start + LIMIT.within - Duration::from_nanos(1), &mut out);
        assert!(out.is_empty());
        storms.on_deadline(start + LIMIT.within, &mut out);
        let pid = Pid::new(NodeId::new("n", 1), 5, 0);
        let told: Vec<String> = out.iter().map(ToString::to_string).collect();
        assert_eq!(told, [format!("4 more crashes of Cart in `add` within 5s: killed; the last is {pid}")]);
        assert_eq!(storms.deadline(), None);
        assert!(storms.on_occurrence(start + LIMIT.within, &crash("add", ExitReason::Killed, 6), &mut out));
    }

    proptest! {
        /// The naive model counts what was logged and what the summaries say, for each kind.
        #[test]
        fn nothing_is_lost_whatever_happens_when(
            happened in prop::collection::vec((0_usize..KINDS_IN_STORM + 20, 0_u64..3), 1..400),
            logged in 0_usize..4,
            (few, look_first) in any::<(bool, bool)>(),
        ) {
            const NAMES: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-*/=<>!?.,;:()[]{}#$%&~^";
            let name = |kind: usize| &NAMES[kind..=kind];
            let limit = StormLimit { logged, ..LIMIT };
            let (mut storms, mut out) = (Storms::new(limit), Vec::new());
            let mut now = Instant::now();
            let mut all = [0_u64; KINDS_IN_STORM + 20];
            let mut told = all;
            for (kind, gap) in happened {
                now += Duration::from_secs(gap);
                let kind = if few { kind % 3 } else { kind };
                let occurrence = crash(name(kind), ExitReason::Killed, 0);
                all[kind] += 1;
                // As a crash does that nobody reads of, or as others do.
                let is_counted = look_first && storms.hold_back(now, &occurrence);
                told[kind] += u64::from(!is_counted && storms.on_occurrence(now, &occurrence, &mut out));
                prop_assert!(storms.kinds.len() <= KINDS_IN_STORM);
                let holds = storms.kinds.iter().any(|kind| kind.held_back > 0);
                prop_assert_eq!(storms.deadline().is_some(), holds);
                prop_assert!(look_first || storms.deadline().is_none_or(|deadline| deadline > now));
            }
            storms.on_end(&mut out);
            for summary in out {
                let kind = (0..all.len()).find(|kind| Some(name(*kind)) == summary.last.handler).expect("it is one of them");
                told[kind] += summary.more;
            }
            prop_assert_eq!(told, all);
        }
    }
}
