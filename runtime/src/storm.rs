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
//! - It keeps nothing of the user's: of a reason its kind and its text.
//! - As long as anything is held back, there is a [`deadline`](Storms::deadline).
//! - No more kinds are kept than [`KINDS`](crate::config::KINDS_IN_STORM); of more, the one that began first is told early.

use std::fmt;
use std::time::{Duration, Instant};

use tracing::Level;

use crate::config::KINDS_IN_STORM;
use crate::exit::{ExitReason, ReasonKind};
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

/// What occurrences of one kind have in common. It keeps nothing of the user's, which could live on in it, or be dropped in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Likeness {
    what: &'static str,
    actor: Option<&'static str>,
    handler: Option<&'static str>,
    reason: Option<ReasonKind>,
}

impl Occurrence {
    pub(crate) fn likeness(&self) -> Likeness {
        let reason = self.reason.as_ref().map(ExitReason::kind);
        Likeness { what: self.what, actor: self.actor, handler: self.handler, reason }
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
    likeness: Likeness,
    /// The reason of the first of them.
    reason: Option<String>,
    level: Level,
    since: Instant,
    logged: usize,
    held_back: u64,
    last: Option<Pid>,
}

/// How much of one kind there was that was not logged. Its `Display` is what the log says of it.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) more: u64,
    pub(crate) level: Level,
    likeness: Likeness,
    reason: Option<String>,
    last: Option<Pid>,
    within: Duration,
}

impl Storms {
    pub(crate) fn new(limit: StormLimit) -> Self {
        Self { limit, kinds: Vec::new() }
    }

    /// Counts what happens at `now`, if it is not to be logged by itself. Returns whether it did.
    #[must_use = "what is not counted is to be logged"]
    pub(crate) fn hold_back(&mut self, now: Instant, likeness: &Likeness, pid: Option<Pid>) -> bool {
        let StormLimit { logged, within } = self.limit;
        let is_full = |kind: &Kind| kind.logged >= logged && !kind.is_over(within, now);
        let full = self.kinds.iter_mut().find(|kind| is_full(kind) && kind.likeness == *likeness);
        let Some(kind) = full else { return false };
        kind.held_back += 1;
        kind.last = pid;
        true
    }

    /// Something has happened at `now`, for this reason. Returns whether it is to be logged by itself. What is over by then goes
    /// to `out`.
    #[must_use = "what is not logged by itself is counted"]
    pub(crate) fn on_occurrence(
        &mut self,
        now: Instant,
        occurrence: &Occurrence,
        reason: Option<String>,
        out: &mut Vec<Summary>,
    ) -> bool {
        self.on_deadline(now, out);
        let (likeness, level, last) = (occurrence.likeness(), occurrence.level, occurrence.pid);
        if self.hold_back(now, &likeness, last) {
            return false;
        }
        let Self { limit, kinds } = self;
        if let Some(kind) = kinds.iter_mut().find(|kind| kind.likeness == likeness) {
            kind.logged += 1;
            return true;
        }
        if kinds.len() == KINDS_IN_STORM {
            out.extend(kinds.remove(0).over(limit.within));
        }
        let is_logged = limit.logged > 0;
        let (logged, held_back) = (usize::from(is_logged), u64::from(!is_logged));
        kinds.push(Kind { likeness, reason, level, since: now, logged, held_back, last });
        is_logged
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

    /// When [`on_deadline`](Self::on_deadline) is next to be called; never for a period that does not end.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first = self.kinds.iter().find(|kind| kind.held_back > 0)?;
        first.since.checked_add(self.limit.within)
    }
}

impl Kind {
    fn is_over(&self, within: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= within
    }

    fn over(self, within: Duration) -> Option<Summary> {
        let Self { likeness, reason, level, last, held_back: more, .. } = self;
        (more > 0).then_some(Summary { more, level, likeness, reason, last, within })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Likeness { what, actor, handler, .. } = &self.likeness;
        write!(f, "{} more {what}", self.more)?;
        actor.map_or(Ok(()), |actor| write!(f, " of {actor}"))?;
        handler.map_or(Ok(()), |handler| write!(f, " in `{handler}`"))?;
        write!(f, " within {:?}", self.within)?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))?;
        self.last.map_or(Ok(()), |pid| write!(f, "; the last is {pid}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pid::NodeId;

    const LIMIT: StormLimit = StormLimit { logged: 2, within: Duration::from_secs(5) };

    /// As [`Storms::on_occurrence`], with the reason's text.
    fn happens(storms: &mut Storms, now: Instant, what: &Occurrence, out: &mut Vec<Summary>) -> bool {
        storms.on_occurrence(now, what, what.reason.as_ref().map(ExitReason::in_one_line), out)
    }

    fn held_back(storms: &mut Storms, now: Instant, what: &Occurrence) -> bool {
        storms.hold_back(now, &what.likeness(), what.pid)
    }

    fn crash(handler: &'static str, reason: ExitReason, slot: u32) -> Occurrence {
        let pid = Some(Pid::new(NodeId::new("n", 1), slot, 0));
        let (handler, reason) = (Some(handler), Some(reason));
        Occurrence { what: "crashes", actor: Some("Cart"), handler, reason, pid, level: Level::ERROR }
    }

    #[test]
    fn a_period_may_last_for_ever() {
        let limit = StormLimit { logged: 1, within: Duration::MAX };
        let (mut storms, mut out) = (Storms::new(limit), Vec::new());
        let logged =
            (0..3).map(|n| happens(&mut storms, Instant::now(), &crash("add", ExitReason::Killed, n), &mut out));
        assert_eq!(logged.collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(storms.deadline(), None);
        storms.on_end(&mut out);
        assert_eq!(out.iter().map(|summary| summary.more).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn the_first_are_logged_and_the_others_are_told_when_the_period_is_over() {
        let start = Instant::now();
        let (mut storms, mut out) = (Storms::new(LIMIT), Vec::new());
        let logged = (0..5).filter(|n| happens(&mut storms, start, &crash("add", ExitReason::Killed, *n), &mut out));
        assert_eq!(logged.collect::<Vec<_>>(), [0, 1]);
        assert!(held_back(&mut storms, start, &crash("add", ExitReason::Killed, 5)));
        assert!(!held_back(&mut storms, start, &crash("take", ExitReason::Killed, 5)));
        assert!(happens(&mut storms, start, &crash("take", ExitReason::Killed, 5), &mut out), "another handler");
        assert!(happens(&mut storms, start, &crash("add", ExitReason::Timeout, 5), &mut out), "another reason");
        assert_eq!(storms.deadline(), Some(start + LIMIT.within));
        storms.on_deadline(start + LIMIT.within - Duration::from_nanos(1), &mut out);
        assert!(out.is_empty());
        storms.on_deadline(start + LIMIT.within, &mut out);
        let pid = Pid::new(NodeId::new("n", 1), 5, 0);
        let told: Vec<String> = out.iter().map(ToString::to_string).collect();
        assert_eq!(told, [format!("4 more crashes of Cart in `add` within 5s: killed; the last is {pid}")]);
        assert_eq!(storms.deadline(), None);
        assert!(happens(&mut storms, start + LIMIT.within, &crash("add", ExitReason::Killed, 6), &mut out));
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
                let is_counted = look_first && held_back(&mut storms, now, &occurrence);
                told[kind] += u64::from(!is_counted && happens(&mut storms, now, &occurrence, &mut out));
                prop_assert!(storms.kinds.len() <= KINDS_IN_STORM);
                let holds = storms.kinds.iter().any(|kind| kind.held_back > 0);
                prop_assert_eq!(storms.deadline().is_some(), holds);
                prop_assert!(look_first || storms.deadline().is_none_or(|deadline| deadline > now));
            }
            storms.on_end(&mut out);
            for summary in out {
                let kind = (0..all.len()).find(|kind| Some(name(*kind)) == summary.likeness.handler).expect("it is one of them");
                told[kind] += summary.more;
            }
            prop_assert_eq!(told, all);
        }
    }
}
