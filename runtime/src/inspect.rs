//! What can be seen of a node and its processes from outside.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::clock::Moment;
use crate::config::LONGEST_STATE;
use crate::node::Node;
use crate::pid::Pid;
use crate::priority::Priority;
use crate::process::{Activity, Awaited, Header};
use crate::signal::Target;
use crate::trace::{Events, TraceEvent};

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// A worker is running it.
    Running,
    /// It waits for a worker.
    Runnable,
    /// It waits for a message.
    Waiting,
    /// Its code awaits something.
    Awaiting,
    /// It has sent more than fits into a mailbox, and is not run until there is room: see
    /// [`Overflow::Suspend`](crate::Overflow::Suspend).
    Stalled,
    /// It was asked to handle no messages, whatever else it waits for.
    Suspended,
    /// It has given back what memory it could, and waits for a message.
    Hibernating,
    /// It has ended.
    Ended,
}

impl Status {
    /// What a process is doing of which this is known, if what it was asked to and has said itself are considered too.
    pub(crate) fn of_resting(self, header: &Header) -> Self {
        match self {
            _ if header.is_suspended() => Self::Suspended,
            _ if header.state.is_stalled() => Self::Stalled,
            Self::Waiting | Self::Awaiting if header.is_hibernating() => Self::Hibernating,
            _ => self,
        }
    }
}

/// A process, as hooks see it that run where it does something.
#[derive(Clone, Copy)]
pub struct Observed<'a>(&'a Header);

impl<'a> Observed<'a> {
    pub(crate) fn new(header: &'a Header) -> Self {
        Self(header)
    }

    /// Its pid.
    pub fn pid(self) -> Pid {
        self.0.pid()
    }

    /// What it runs: the actor's name, or the function that straight-line code was written in.
    pub fn actor(self) -> &'static str {
        self.0.actor()
    }

    /// The name it is registered under.
    pub fn name(self) -> Option<Arc<str>> {
        self.0.extra_if_any()?.control.lock().name.clone()
    }

    /// What it calls itself.
    pub fn label(self) -> Option<Arc<str>> {
        self.0.extra_if_any()?.control.lock().rare()?.label.clone()
    }

    /// The process that spawned it.
    pub fn parent(self) -> Option<Pid> {
        self.0.parent()
    }

    /// The node that it lives on.
    pub fn node(self) -> Node {
        self.0.node().clone()
    }
}

impl fmt::Debug for Observed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observed({} {})", self.actor(), self.pid())
    }
}

/// One process, at the moment it was looked at.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// Its pid.
    pub pid: Pid,
    /// The name it is registered under.
    pub name: Option<Arc<str>>,
    /// What it runs: the actor's name, or the function that straight-line code was written in.
    pub actor: &'static str,
    /// What it calls itself.
    pub label: Option<Arc<str>>,
    /// The process that spawned it.
    pub parent: Option<Pid>,
    /// The process that it works for, as a task for its owner, if that is known.
    pub caller: Option<Pid>,
    /// The process that leads its group.
    pub group_leader: Option<Pid>,
    /// How often its supervisor has started it again, this time included.
    pub restarts: u64,
    /// What it is doing.
    pub status: Status,
    /// When it was spawned: at most 70 ms before it truly was, as long as the runtime's own thread gets a core. Of a process
    /// that is older than two years it is a later time.
    pub spawned: Instant,
    /// The handler that it runs, or whose end it awaits.
    pub activity: Option<&'static str>,
    /// Since when it awaits the end of that handler, within about 50 ms; or since when it runs it, if that is longer than
    /// two milliseconds.
    pub since: Option<Instant>,
    /// Whether it tells what it does: see [`Node::trace`](crate::Node::trace).
    pub traced: bool,
    /// How many of the things that it did last are kept, if any are: see [`Node::keep_events`](crate::Node::keep_events).
    pub events_kept: Option<usize>,
    /// How many messages it has taken and sent, while they are counted: see [`Node::statistics`](crate::Node::statistics).
    pub counts: Option<MessageCounts>,
    /// How urgent its turns are.
    pub priority: Priority,
    /// Whether exit signals become messages.
    pub trap_exit: bool,
    /// About how many messages wait; the exact number in what the process itself says.
    pub mailbox_len: usize,
    /// The most messages that waited at once. Of a bounded mailbox, exactly, those that count. Of another, if they were ever
    /// about a thousand; it may have been some more than this: what is noted is how many there were at each 32nd.
    pub high_water: Option<usize>,
    /// Whose mailbox it waits for room in, because it has sent more than fitted.
    pub stalled_by: Option<Pid>,
    /// The handlers of the messages that wait, in order. Only in what the process itself says.
    pub messages: Vec<String>,
    /// How much work it has done: a handled message counts 1, so does each time that its code is
    /// resumed, and what the code reports itself.
    pub reductions: u64,
    /// How many bytes it takes, without what its state and messages have allocated.
    pub memory: usize,
    /// How many bytes it has allocated that nobody has freed, each block rounded up to 16, without what `memory`
    /// counts. `None` without the allocator [`Accounting`](crate::memory::Accounting).
    pub allocated: Option<u64>,
    /// Whom it is linked to.
    pub links: Vec<Pid>,
    /// Whom, or what name, it monitors.
    pub monitors: Vec<Target>,
    /// Who monitors it.
    pub monitored_by: Vec<Pid>,
    /// How many timers are set for it: messages to come, and intervals.
    pub timers: usize,
    /// The values of its own dictionary.
    pub dictionary: Vec<String>,
}

impl ProcessInfo {
    /// What can be seen of a process without asking it.
    pub(crate) fn of(header: &Header) -> Self {
        let mut info = Self {
            pid: header.pid(),
            name: None,
            actor: header.actor(),
            label: None,
            parent: header.parent(),
            caller: None,
            group_leader: None,
            restarts: header.restarts(),
            status: match header.activity() {
                Activity::Ended | Activity::Gone => Status::Ended,
                Activity::Running => Status::Running,
                Activity::Resting => waits_for(header).of_resting(header),
            },
            spawned: header.node().runtime().clock().instant_of(header.born()),
            activity: None,
            since: None,
            traced: header.is_traced(),
            events_kept: header.events(Events::limit),
            counts: header.message_counts(),
            priority: header.priority(),
            trap_exit: false,
            mailbox_len: header.mailbox_len(),
            high_water: header.high_water(),
            stalled_by: header.stalled_by(),
            messages: Vec::new(),
            reductions: header.reductions(),
            memory: header.memory(),
            allocated: header.allocated(),
            links: Vec::new(),
            monitors: Vec::new(),
            monitored_by: Vec::new(),
            timers: 0,
            dictionary: Vec::new(),
        };
        (info.activity, info.since) = match info.status {
            Status::Running => header.node().runtime().running(header),
            Status::Ended => (None, None),
            _ => activity_of(header, (header.class().activity)(header)),
        };
        if let Some(extra) = header.extra_if_any() {
            let control = extra.control.lock();
            info.name = control.name.clone();
            info.trap_exit = control.trap_exit;
            info.caller = control.works_for.as_ref().map(|works_for| works_for.caller);
            info.links = control.links.iter().map(|(pid, ())| *pid).collect();
            info.monitors = control.monitors.iter().map(|(_, monitor)| monitor.target.clone()).collect();
            info.monitored_by = control.monitored_by.iter().map(|(reference, ())| reference.owner()).collect();
            if let Some(rare) = control.rare() {
                info.label = rare.label.clone();
                info.group_leader = rare.group_leader;
                info.timers = rare.timers.len();
                info.dictionary = rare.dictionary.values().map(|value| text_of(&**value)).collect();
            }
        }
        info
    }
}

/// What a process says of itself and of its state; made by [`Node::process_status`](crate::Node::process_status).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProcessStatus {
    /// What there is to know of it, whatever it runs: among it what it is called, whether it is suspended, and what is
    /// switched on to look at it.
    pub info: ProcessInfo,
    /// What its state says of itself: see [`Handle::show_state`](crate::Handle::show_state). Straight-line code has none.
    pub state: Option<String>,
    /// The last things that it did, in order, if they are kept.
    pub events: Vec<TraceEvent>,
}

impl ProcessStatus {
    /// The status of the process at `header`, of which this is known.
    pub(crate) fn of(header: &Header, info: ProcessInfo, state: Option<String>) -> Self {
        Self { info, state, events: header.events(Events::all).unwrap_or_default() }
    }
}

/// What `show` says of a state, as far as that is shown.
pub(crate) fn state_text(show: impl FnOnce() -> Option<String>) -> Option<String> {
    let shown = catch_unwind(AssertUnwindSafe(show));
    let mut text = shown.unwrap_or_else(|_| Some("a state that panics when it is shown".into()))?;
    if text.len() > LONGEST_STATE {
        text.truncate(text.floor_char_boundary(LONGEST_STATE));
        text.push('…');
    }
    Some(text)
}

/// What a process that no worker runs waits for, as far as its words tell.
fn waits_for(header: &Header) -> Status {
    if header.is_waiting() {
        Status::Waiting
    } else if header.state.is_parked() {
        Status::Awaiting
    } else {
        Status::Runnable
    }
}

/// How many messages a process has taken out of its mailbox and sent while they were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageCounts {
    /// Messages that it has taken, without what links, monitors and timers of the runtime's own say.
    pub received: u64,
    /// Messages that it has sent to processes of its node's runtime, whether they took them or not, and replies.
    pub sent: u64,
    /// Since when they are counted, within about 50 ms.
    pub since: Instant,
}

/// A handler and since when, as a process says it.
pub(crate) fn activity_of(header: &Header, activity: Option<Awaited>) -> (Option<&'static str>, Option<Instant>) {
    let since = activity.and_then(|(_, since)| since).filter(|since| *since != Moment::NEVER);
    (activity.map(|(handler, _)| handler), since.map(|since| header.node().runtime().clock().instant(since)))
}

/// What a value of a dictionary says of itself.
fn text_of(value: &dyn fmt::Debug) -> String {
    catch_unwind(AssertUnwindSafe(|| format!("{value:?}"))).unwrap_or_else(|_| "a value that panics".into())
}
