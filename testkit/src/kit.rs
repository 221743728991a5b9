//! What one run of a test knows: it directs the runtime, and keeps what it sees.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Instant;

use biotope_runtime::{
    Choices, CrashReport, Director, ExitReason, Meeting, Observed, Pid, Status, TraceEvent, Traced, node,
};
use parking_lot::Mutex;

use crate::cast::Cast;
use crate::faults::{Doom, Rules};
use crate::history::{History, short};
use crate::run::Checks;
use crate::schedule::{Plan, Schedule};

/// After so many turns a seeded run has failed: it would not come to an end.
pub(crate) const MOST_TURNS: u64 = 2_000_000;

/// What directs one run.
pub(crate) struct Kit {
    checks: Checks,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) cast: Cast,
    pub(crate) history: History,
    pub(crate) schedule: Schedule,
    pub(crate) faults: Rules,
    /// What strikes at an event, if anything does.
    pub(crate) doom: Option<Doom>,
    pub(crate) deaths: Deaths,
    /// What is to be stopped when the body is over, in the order in which it was started.
    pub(crate) to_stop: Vec<Pid>,
    turns: u64,
    /// Messages that were lost, with whoever waits for them.
    lost: Vec<Box<dyn Any + Send>>,
}

/// Who has died, and who was meant to.
#[derive(Default)]
pub(crate) struct Deaths {
    /// The test itself, of which the verdict tells.
    pub(crate) test: Option<Pid>,
    /// Who has crashed by its own doing.
    crashes: Vec<Arc<CrashReport>>,
    /// What reports are to say.
    expected: Vec<String>,
    /// Why those ended who have ended out of order.
    reasons: BTreeMap<Pid, String>,
    /// Those for whose end the kit has seen to, or the test.
    asked: BTreeSet<Pid>,
}

/// A run would not come to an end. It is the payload of a panic that nobody prints.
pub(crate) struct Endless(pub(crate) String);

impl Kit {
    pub(crate) fn new(plan: Plan, faults: Rules, checks: Checks) -> Self {
        let state = State {
            cast: Cast::default(),
            history: History::new(Instant::now()),
            schedule: Schedule::new(plan),
            faults,
            doom: None,
            deaths: Deaths::default(),
            to_stop: Vec::new(),
            turns: 0,
            lost: Vec::new(),
        };
        Self { checks, state: Mutex::new(state) }
    }

    /// The kit of the test that runs here.
    ///
    /// # Panics
    /// If none does.
    #[track_caller]
    pub(crate) fn here() -> Arc<Self> {
        match node().runtime().director() {
            Some(kit) => kit,
            None => panic!("this works in a test only: in the body of a `#[biotope::test]`, and in processes of it"),
        }
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock())
    }

    /// The run begins at this instant of its own clock.
    pub(crate) fn begin(&self, now: Instant) {
        self.with(|state| state.history = History::new(now));
    }

    /// The run is over, in whatever way: what is left may come to its end.
    pub(crate) fn let_end(&self) {
        self.with(|state| state.turns = 0);
    }

    /// Drops what was lost, at the end of the run.
    pub(crate) fn forget_lost(&self) {
        let lost = self.with(|state| std::mem::take(&mut state.lost));
        drop(lost);
    }
}

impl Director for Kit {
    fn pick(&self, choices: &Choices<'_>) -> usize {
        let picked = self.with(|state| {
            state.turns += 1;
            (state.turns < MOST_TURNS).then(|| state.schedule.pick(choices, &mut state.cast))
        });
        picked.unwrap_or_else(|| {
            resume_unwind(Box::new(Endless(format!("it did not come to an end within {MOST_TURNS} turns"))))
        })
    }

    fn budget(&self) -> Option<u32> {
        self.with(|state| state.schedule.is_cut()).then_some(1)
    }

    fn stuck(&self, who: &str) {
        let text = format!("nothing can run and no timer is set: it would wait for ever{who}");
        resume_unwind(Box::new(Endless(text)));
    }

    fn spawned(&self, process: Observed<'_>) {
        let label = process.label().unwrap_or_else(|| short(process.actor()).into());
        let end = self.with(|state| {
            state.cast.enter(process.pid(), process.parent(), label);
            let is_ours = state.deaths.test.is_none() || process.actor().starts_with("biotope_runtime::");
            if is_ours { None } else { state.strike(process, process.node().runtime().now()) }
        });
        strike(process, end);
    }

    fn seen(&self, process: Observed<'_>, event: &TraceEvent) {
        let end = self.with(|state| {
            let State { cast, history, deaths, .. } = state;
            let who = cast.id(event.pid);
            if let Traced::Exited(reason) = &event.what
                && reason.is_abnormal()
            {
                deaths.reasons.insert(event.pid, reason.to_string());
            }
            // Of those with which the runtime waits for an end nobody wants to read; the first of all is the kit's.
            let is_ours = process.actor().starts_with("biotope_runtime::")
                || (cast.is_first(who) && deaths.test != Some(event.pid));
            if !is_ours {
                history.see(event, who, cast);
            }
            let is_test = cast.is_first(who) || deaths.test == Some(event.pid);
            let has_ended = matches!(event.what, Traced::Exited(_));
            if is_ours || is_test || has_ended { None } else { state.strike(process, event.at) }
        });
        strike(process, end);
    }

    fn crashed(&self, report: &CrashReport) -> bool {
        self.with(|state| state.deaths.on_crash(report));
        // What fails the test is printed with its verdict; what is allowed is logged as ever.
        self.checks.crashes
    }

    fn meet(&self, process: Observed<'_>, handler: &'static str) -> Meeting {
        let at = process.node().runtime().now();
        self.with(|state| {
            let State { cast, history, faults, deaths, .. } = state;
            let who = cast.id(process.pid());
            let meeting = faults.meet(process, handler);
            let what = match &meeting {
                Meeting::Delay(delay) => format!("{handler} is delayed by {delay:?}"),
                Meeting::Lose => format!("{handler} is lost"),
                Meeting::Panic(_) => format!("{handler} panics"),
                Meeting::Kill => format!("killed at {handler}"),
                _ => return meeting,
            };
            if matches!(meeting, Meeting::Panic(_) | Meeting::Kill) {
                deaths.see(process.pid());
            }
            history.meddled(at, who, what, cast);
            meeting
        })
    }

    fn lost(&self, message: Box<dyn Any + Send>) {
        self.with(|state| state.lost.push(message));
    }
}

impl State {
    /// `process` has done something: returns how it is to end for that, if it is.
    fn strike(&mut self, process: Observed<'_>, at: Instant) -> Option<ExitReason> {
        let end = self.doom.as_mut()?.strike()?;
        let who = self.cast.id(process.pid());
        self.history.meddled(at, who, format!("struck: {end}"), &self.cast);
        self.deaths.see(process.pid());
        Some(end)
    }
}

/// Ends `process`, if it is to end. Not under the lock: that too is seen.
fn strike(process: Observed<'_>, end: Option<ExitReason>) {
    if let Some(reason) = end {
        process.node().exit(process.pid(), reason);
    }
}

impl Deaths {
    fn on_crash(&mut self, report: &CrashReport) {
        // Whoever ends by a signal was told to by somebody, or shares the end of one that has its own report.
        let ran = report.status == Status::Running || matches!(report.reason, ExitReason::MemoryLimit { .. });
        // As one does that traps exits and ends with its parent: it hands on why that has ended.
        let above = report.parent.and_then(|parent| self.reasons.get(&parent));
        let is_shared = above.is_some_and(|reason| *reason == report.reason.to_string());
        if ran && !report.told && !is_shared && self.test != Some(report.pid) {
            self.crashes.push(Arc::new(report.clone()));
        }
    }

    /// One process whose report says `text` crashes, or has crashed.
    pub(crate) fn expect(&mut self, text: String) {
        self.expected.push(text);
    }

    /// The test has seen this end, or has seen to it.
    pub(crate) fn see(&mut self, pid: Pid) {
        self.asked.insert(pid);
    }

    /// The crashes that nobody has asked for, and what was expected and did not come.
    pub(crate) fn judge(&self) -> (Vec<Arc<CrashReport>>, Vec<String>) {
        let is_asked = |report: &Arc<CrashReport>| self.asked.contains(&report.pid);
        let (asked, mut unasked): (Vec<_>, Vec<_>) = self.crashes.iter().cloned().partition(is_asked);
        let mut missing = self.expected.clone();
        // What says more is for fewer crashes.
        missing.sort_by_key(|text| std::cmp::Reverse(text.len()));
        missing.retain(|text| match unasked.iter().position(|report| said_of(report).contains(text)) {
            Some(place) => {
                unasked.remove(place);
                false
            }
            // Of one that the test has seen as well, that is no more than it knows.
            None => !asked.iter().any(|report| said_of(report).contains(text)),
        });
        (unasked, missing)
    }
}

/// The report, without the backtrace, which would bury it.
pub(crate) fn without_backtrace(report: &CrashReport) -> String {
    let mut text = report.to_string();
    if let ExitReason::Panic(panic) = &report.reason
        && let Some(backtrace) = &panic.backtrace
    {
        text.truncate(text.len().saturating_sub(backtrace.len()));
    }
    text.truncate(text.trim_end().len());
    text
}

/// What an expected crash is looked for in.
fn said_of(report: &CrashReport) -> String {
    let name = report.name.as_deref().unwrap_or_default();
    let handler = report.handler.unwrap_or_default();
    format!("{} {name} {handler} {}", report.actor, report.reason)
}

impl fmt::Debug for Kit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kit")
    }
}
