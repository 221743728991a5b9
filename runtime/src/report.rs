//! The one readable report of a crash. Of too many that are alike the log has one line more and not all of the reports: see
//! [`storm`](crate::storm).

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tracing::Level;

use crate::config::{NAMED_IN_REPORT, REPORTS_KEPT};
use crate::exit::ExitReason;
use crate::inspect::{ProcessInfo, Status};
use crate::pid::Pid;
use crate::process::Header;
use crate::storm::Occurrence;
use crate::trace::{Events, TraceEvent};

/// What is known of a process that ended abnormally. Its `Display` is the report that people read.
///
/// There is one for each crash, with the pid as its number. What others log of the same crash, as a supervisor does, is a
/// line with that pid.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CrashReport {
    /// The process.
    pub pid: Pid,
    /// The name of its node.
    pub node: Arc<str>,
    /// What it ran: the actor's name, or the function that straight-line code was written in.
    pub actor: &'static str,
    /// The name it was registered under.
    pub name: Option<Arc<str>>,
    /// What it called itself.
    pub label: Option<Arc<str>>,
    /// The process that spawned it.
    pub parent: Option<Pid>,
    /// The process that spawned it, the one that spawned that, and so on, nearest first: at most 16, and as far as they
    /// still live.
    pub ancestors: Vec<Pid>,
    /// The process that it worked for, as a task for its owner, the one that that one worked for, and so on, as far as they still
    /// live: OTP's and Elixir's `$callers`.
    pub callers: Vec<Pid>,
    /// Where that process asked for it.
    pub asked_at: Option<&'static Location<'static>>,
    /// How often its supervisor had started it again, this time included.
    pub restarts: u64,
    /// Why it ended.
    pub reason: ExitReason,
    /// The handler that ended it, by a panic or by a stop. `None` if something else did, or if it was straight-line code.
    pub handler: Option<&'static str>,
    /// The process whose call that was, if it was one: its reply was dropped by the panic.
    pub client: Option<Pid>,
    /// Whether it was told to end in its turn, and did: by a stop, or by the exit of its parent. One that is ended by a signal is
    /// not asked.
    pub told: bool,
    /// What its state said of itself: see [`Handle::show_state`](crate::Handle::show_state). `None` also of one that was
    /// ended from outside while a handler awaited something.
    pub state: Option<String>,
    /// What it was doing.
    pub status: Status,
    /// How many messages were left.
    pub mailbox_len: usize,
    /// The handlers of the first 16 of them; for straight-line code, their type.
    pub messages: Vec<&'static str>,
    /// Whether exit signals became messages.
    pub trap_exit: bool,
    /// How much work it had done.
    pub reductions: u64,
    /// How many bytes it took: see [`ProcessInfo::memory`].
    pub memory: usize,
    /// How many bytes it had allocated: see [`ProcessInfo::allocated`].
    pub allocated: Option<u64>,
    /// Whom it was linked to, and who is told.
    pub links: Vec<Pid>,
    /// The values of its own dictionary.
    pub dictionary: Vec<String>,
    /// The last things that it did, in order, if they were kept: see [`Node::keep_events`](crate::Node::keep_events).
    pub events: Vec<TraceEvent>,
}

/// What a process was at when it came to its end.
#[derive(Default)]
pub(crate) struct Last {
    /// The handler that ended it.
    pub(crate) handler: Option<&'static str>,
    /// Whose call it was.
    pub(crate) client: Option<Pid>,
    /// It was told to end.
    pub(crate) told: bool,
}

impl Last {
    /// The crash of the process at `header`, as the log tells it apart from others.
    pub(crate) fn occurrence(&self, header: &Header, reason: &ExitReason) -> Occurrence {
        let (handler, reason) = (self.handler, Some(reason.clone()));
        let (actor, pid) = (Some(header.actor()), Some(header.pid()));
        Occurrence { what: "crashes", actor, handler, reason, pid, level: Level::ERROR }
    }
}

impl CrashReport {
    /// The report of the process at `header`, which is about to end with `reason`, out of order. Without what only its body
    /// knows.
    #[cold]
    pub(crate) fn of(header: &Header, reason: &ExitReason, last: Last) -> Self {
        let info = ProcessInfo::of(header);
        Self {
            pid: info.pid,
            node: header.node().name().into(),
            actor: info.actor,
            name: info.name,
            label: info.label,
            parent: info.parent,
            ancestors: ancestors(header),
            callers: callers(header),
            asked_at: header.asked_at(),
            restarts: info.restarts,
            reason: reason.clone(),
            handler: last.handler,
            client: last.client,
            told: last.told,
            state: None,
            status: info.status,
            mailbox_len: info.mailbox_len,
            messages: Vec::new(),
            trap_exit: info.trap_exit,
            reductions: info.reductions,
            memory: info.memory,
            allocated: info.allocated,
            links: info.links,
            dictionary: info.dictionary,
            events: header.events(Events::all).unwrap_or_default(),
        }
    }
}

/// Who spawned the process, who spawned that one, and so on.
fn ancestors(header: &Header) -> Vec<Pid> {
    let parent_of = |pid: &Pid| header.node().process(*pid)?.parent();
    std::iter::successors(header.parent(), parent_of).take(NAMED_IN_REPORT).collect()
}

/// Whom the process worked for, whom that one, and so on.
fn callers(header: &Header) -> Vec<Pid> {
    let caller_of = |pid: &Pid| header.node().process(*pid)?.caller();
    std::iter::successors(header.caller(), caller_of).take(NAMED_IN_REPORT).collect()
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().map(|name| format!(" \"{name}\"")).unwrap_or_default();
        writeln!(f, "{}{name} {} on node {} crashed", self.actor, self.pid, self.node)?;
        if let Some(label) = &self.label {
            writeln!(f, "  label       {label}")?;
        }
        writeln!(f, "  reason      {}", self.reason)?;
        if let Some(handler) = self.handler {
            write!(f, "  handler     {handler}")?;
            self.client.map_or(Ok(()), |client| write!(f, ", called by {client}"))?;
            writeln!(f)?;
        }
        if let Some(state) = &self.state {
            writeln!(f, "  state       {state}")?;
        }
        match &*self.ancestors {
            [] => writeln!(f, "  parent      none")?,
            [parent] => writeln!(f, "  parent      {parent}")?,
            [parent, above @ ..] => writeln!(f, "  parent      {parent}, under {above:?}")?,
        }
        if let [caller, above @ ..] = &*self.callers {
            write!(f, "  task        of {caller}")?;
            if !above.is_empty() {
                write!(f, ", of {above:?}")?;
            }
            self.asked_at.map_or(Ok(()), |place| write!(f, ", begun at {place}"))?;
            writeln!(f)?;
        }
        if self.restarts > 0 {
            writeln!(f, "  restarts    {}", self.restarts)?;
        }
        writeln!(f, "  links       {:?}", self.links)?;
        write!(f, "  mailbox     {} unhandled", self.mailbox_len)?;
        if !self.messages.is_empty() {
            let more = if self.mailbox_len > self.messages.len() { ", …" } else { "" };
            write!(f, ": {}{more}", self.messages.join(", "))?;
        }
        writeln!(f)?;
        if !self.dictionary.is_empty() {
            writeln!(f, "  dictionary  {}", self.dictionary.join(", "))?;
        }
        let traps = if self.trap_exit { ", trapping exits" } else { "" };
        writeln!(f, "  status      {:?}{traps}", self.status)?;
        write!(f, "  memory      {} bytes", self.memory)?;
        self.allocated.map_or(Ok(()), |bytes| write!(f, ", and {bytes} allocated"))?;
        write!(f, "\n  reductions  {}", self.reductions)?;
        for event in &self.events {
            write!(f, "\n  event       {:?}", event.what)?;
        }
        if let ExitReason::Panic(panic) = &self.reason
            && let Some(backtrace) = &panic.backtrace
        {
            write!(f, "\n{backtrace}")?;
        }
        Ok(())
    }
}

/// The crash reports of a node, for one reader; made by [`Node::crash_reports`](crate::Node::crash_reports).
#[derive(Debug)]
pub struct CrashReports(broadcast::Receiver<Arc<CrashReport>>);

impl CrashReports {
    /// The next one. If the reader was too slow, those that are lost are skipped: all of them are in the log too, or counted
    /// there.
    /// `None` when the node is gone.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has taken nothing.
    pub async fn next(&mut self) -> Option<Arc<CrashReport>> {
        loop {
            match self.0.recv().await {
                Ok(report) => return Some(report),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// The readers of a node's crash reports.
pub(crate) struct Reports(broadcast::Sender<Arc<CrashReport>>);

impl Reports {
    pub(crate) fn subscribe(&self) -> CrashReports {
        CrashReports(self.0.subscribe())
    }

    pub(crate) fn has_readers(&self) -> bool {
        self.0.receiver_count() > 0
    }

    pub(crate) fn tell(&self, report: CrashReport) {
        // Without a reader it goes to the log alone.
        let _ = self.0.send(Arc::new(report));
    }
}

impl Default for Reports {
    fn default() -> Self {
        Self(broadcast::Sender::new(REPORTS_KEPT))
    }
}
