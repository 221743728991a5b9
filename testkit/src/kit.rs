//! What one run of a test knows: it directs the runtime, and keeps what it sees.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Instant;

use biotope_runtime::{
    Choices, CrashReport, Director, ExitReason, Meeting, Observed, Pid, Status, TraceEvent, Traced, node,
};
use parking_lot::Mutex;

use crate::cast::Cast;
use crate::faults::Rules;
use crate::history::{History, short};
use crate::run::Checks;
use crate::schedule::{Plan, Schedule};

/// After so many turns a seeded run has failed: it would not come to an end.
pub(crate) const MOST_TURNS: u64 = 20_000_000;

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
    /// Crashes that nobody has asked for.
    pub(crate) unasked: Vec<Arc<CrashReport>>,
    /// Why anybody has died out of order.
    reasons: BTreeSet<String>,
    expected: Vec<Expected>,
    /// Those for whose end the kit has seen to, or the test.
    asked: Vec<Pid>,
}

struct Expected {
    text: String,
    has_come: bool,
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
        self.with(|state| state.cast.enter(process.pid(), process.parent(), label));
    }

    fn seen(&self, process: Observed<'_>, event: &TraceEvent) {
        self.with(|state| {
            let State { cast, history, deaths, .. } = state;
            let who = cast.id(event.pid);
            if let Traced::Exited(reason) = &event.what
                && reason.is_abnormal()
            {
                deaths.reasons.insert(reason.to_string());
            }
            // Of those with which the runtime waits for an end nobody wants to read; the first of all is the kit's.
            let is_ours = process.actor().starts_with("biotope_runtime::")
                || (cast.is_first(who) && deaths.test != Some(event.pid));
            if !is_ours {
                history.see(event, who, cast);
            }
        });
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
                deaths.asked.push(process.pid());
            }
            history.meddled(at, who, what, cast);
            meeting
        })
    }

    fn lost(&self, message: Box<dyn Any + Send>) {
        self.with(|state| state.lost.push(message));
    }
}

impl Deaths {
    fn on_crash(&mut self, report: &CrashReport) {
        // Whoever ends by a signal was told to by somebody, or shares the end of one that has its own report.
        let is_own_doing = report.status == Status::Running || matches!(report.reason, ExitReason::MemoryLimit { .. });
        if !is_own_doing || self.test == Some(report.pid) || self.asked.contains(&report.pid) {
            return;
        }
        // The runtime's own processes hand on why those ended for whom they work: that is told once.
        if report.actor.starts_with("biotope_runtime::") && self.reasons.contains(&report.reason.to_string()) {
            return;
        }
        let said = said_of(report);
        let expected = self.expected.iter_mut().find(|one| !one.has_come && said.contains(&one.text));
        match expected {
            Some(expected) => expected.has_come = true,
            None => self.unasked.push(Arc::new(report.clone())),
        }
    }

    /// One process whose report says `text` crashes, or has crashed.
    pub(crate) fn expect(&mut self, text: String) {
        let came = self.unasked.iter().position(|report| said_of(report).contains(&text));
        if let Some(place) = came {
            self.unasked.remove(place);
        }
        self.expected.push(Expected { text, has_come: came.is_some() });
    }

    /// The test has seen this end.
    pub(crate) fn see(&mut self, pid: Pid) {
        self.unasked.retain(|report| report.pid != pid);
        self.asked.push(pid);
    }

    /// The crashes that were expected and did not come.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &str> {
        self.expected.iter().filter(|one| !one.has_come).map(|one| &*one.text)
    }
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
