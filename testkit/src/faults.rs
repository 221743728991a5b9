//! Faults on demand: a process is killed, panics, loses a message, or is late, at a message that the test names.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{Actor, ActorRef, ExitReason, Meeting, Observed, Pid};

use crate::kit::Kit;

/// Whom a fault is for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Victim {
    /// This process.
    Process(Pid),
    /// Each process that runs this actor, or is registered under this name, also one that is started later.
    Called(Arc<str>),
}

impl Victim {
    fn is(&self, process: Observed<'_>) -> bool {
        match self {
            Self::Process(pid) => *pid == process.pid(),
            Self::Called(name) => **name == *process.actor() || process.name().as_ref() == Some(name),
        }
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid) => write!(f, "{pid}"),
            Self::Called(name) => write!(f, "`{name}`"),
        }
    }
}

impl From<Pid> for Victim {
    fn from(pid: Pid) -> Self {
        Self::Process(pid)
    }
}

impl<A: Actor> From<&ActorRef<A>> for Victim {
    fn from(actor: &ActorRef<A>) -> Self {
        Self::Process(actor.pid())
    }
}

impl From<&str> for Victim {
    fn from(name: &str) -> Self {
        Self::Called(name.into())
    }
}

/// Faults for one victim; made by [`faults`](crate::faults). Each method sets one, which stands until the test is over
/// or [`clear`](Self::clear) takes it back. Messages are counted from then on, from 1, of all processes that are meant; if
/// several faults meet one message, the one that was set first counts.
///
/// A fault that has met nothing when the body is over fails the test, unless it was taken back: it may name nobody.
///
/// A delay is a suspension: who suspends or resumes the process meanwhile ends it, and is ended by it. Straight-line code is asked
/// when it has chosen the message: a closure of `receive_map` has run by then.
///
/// A fault meets the messages that come into a mailbox in the common way: not a `Down`, an `Exit`, a request to stop, nor what
/// an actor goes on with.
#[derive(Debug)]
#[must_use = "it does nothing until a fault is set"]
pub struct Faults {
    kit: Arc<Kit>,
    victim: Victim,
    handler: Option<String>,
}

impl Faults {
    pub(crate) fn new(kit: Arc<Kit>, victim: Victim) -> Self {
        Self { kit, victim, handler: None }
    }

    /// Counts messages for this handler only; in straight-line code, of this type.
    pub fn at(mut self, handler: &str) -> Self {
        self.handler = Some(handler.to_owned());
        self
    }

    /// Kills the process when it is about to handle its `nth` message.
    pub fn kill_at(&self, nth: u64) -> &Self {
        self.set(Which::Nth(nth), Meeting::Kill)
    }

    /// Lets the handler of the `nth` message panic before it does anything. The test has asked for that crash.
    pub fn panic_at(&self, nth: u64) -> &Self {
        let text = format!("a fault at message {nth}, set by the test");
        self.set(Which::Nth(nth), Meeting::Panic(text))
    }

    /// Loses the `nth` message: whoever waits for a reply to it waits until its deadline. In straight-line code it is dropped,
    /// and whoever waits is told so.
    pub fn lose_at(&self, nth: u64) -> &Self {
        self.set(Which::Nth(nth), Meeting::Lose)
    }

    /// Loses all messages.
    pub fn lose_all(&self) -> &Self {
        self.set(Which::Each, Meeting::Lose)
    }

    /// Handles the `nth` message so much later, and what came after it after it. Straight-line code is not delayed.
    pub fn delay_at(&self, nth: u64, delay: Duration) -> &Self {
        self.set(Which::Nth(nth), Meeting::Delay(delay))
    }

    /// Takes so long for each message. Straight-line code is not slowed.
    pub fn slow(&self, delay: Duration) -> &Self {
        self.set(Which::Each, Meeting::Delay(delay))
    }

    /// Takes back all faults that were set for this victim, at this handler if one was named.
    pub fn clear(&self) {
        self.kit.with(|state| {
            let is_meant = |rule: &Rule| {
                rule.handler == self.handler
                    && match (&rule.victim, &self.victim) {
                        (Victim::Process(one), Victim::Process(other)) => one == other,
                        (Victim::Called(one), Victim::Called(other)) => one == other,
                        _ => false,
                    }
            };
            state.faults.0.retain(|rule| !is_meant(rule));
        });
    }

    fn set(&self, which: Which, what: Meeting) -> &Self {
        let rule =
            Rule { victim: self.victim.clone(), handler: self.handler.clone(), which, what, met: 0, has_hit: false };
        self.kit.with(|state| state.faults.0.push(rule));
        self
    }
}

/// The end of whoever does the event of this number, of all that are counted.
#[derive(Clone, Debug)]
pub(crate) struct Doom {
    counted: u64,
    at: u64,
    reason: ExitReason,
}

impl Doom {
    /// Strikes at event number `at`, from 1.
    pub(crate) fn new(at: u64, reason: ExitReason) -> Self {
        Self { counted: 0, at, reason }
    }

    /// Strikes nobody, and counts.
    pub(crate) fn never() -> Self {
        Self::new(u64::MAX, ExitReason::Kill)
    }

    pub(crate) fn counted(&self) -> u64 {
        self.counted
    }

    /// An event. Returns how whoever did it ends, if it does.
    pub(crate) fn strike(&mut self) -> Option<ExitReason> {
        self.counted += 1;
        (self.counted == self.at).then(|| self.reason.clone())
    }
}

/// The faults of a run.
#[derive(Default)]
pub(crate) struct Rules(Vec<Rule>);

pub(crate) struct Rule {
    victim: Victim,
    handler: Option<String>,
    which: Which,
    what: Meeting,
    /// How many messages it has seen, and whether it has met one of them.
    met: u64,
    has_hit: bool,
}

#[derive(Clone, Copy)]
enum Which {
    Nth(u64),
    Each,
}

impl Rules {
    /// The fault of a run that tries one step after the other.
    pub(crate) fn kill_at(&mut self, victim: Victim, nth: u64) {
        self.0.push(Rule {
            victim,
            handler: None,
            which: Which::Nth(nth),
            what: Meeting::Kill,
            met: 0,
            has_hit: false,
        });
    }

    /// Counts what the victim handles.
    pub(crate) fn count(&mut self, victim: Victim) {
        self.0.push(Rule {
            victim,
            handler: None,
            which: Which::Nth(u64::MAX),
            what: Meeting::Handle,
            met: 0,
            has_hit: false,
        });
    }

    /// How many messages the first rule has seen.
    pub(crate) fn counted(&self) -> u64 {
        self.0.first().map_or(0, |rule| rule.met)
    }

    /// What the test has set and nothing has met.
    pub(crate) fn unmet(&self) -> impl Iterator<Item = String> {
        let unmet = self.0.iter().filter(|rule| !rule.has_hit && rule.what != Meeting::Handle);
        unmet.map(|rule| {
            let at = rule.handler.as_deref().map(|handler| format!(" at `{handler}`")).unwrap_or_default();
            let nth = match rule.which {
                Which::Nth(nth) => format!("message {nth}"),
                Which::Each => "a message".to_owned(),
            };
            format!("a fault for {}{at} has not met {nth}", rule.victim)
        })
    }

    /// What becomes of a message of `process` for `handler`.
    pub(crate) fn meet(&mut self, process: Observed<'_>, handler: &str) -> Meeting {
        let mut meeting = Meeting::Handle;
        for rule in &mut self.0 {
            let is_meant = rule.handler.as_deref().is_none_or(|wanted| wanted == handler) && rule.victim.is(process);
            if !is_meant {
                continue;
            }
            rule.met += 1;
            let hits = match rule.which {
                Which::Nth(nth) => rule.met == nth,
                Which::Each => true,
            };
            rule.has_hit |= hits;
            if hits && meeting == Meeting::Handle {
                meeting = rule.what.clone();
            }
        }
        meeting
    }
}
