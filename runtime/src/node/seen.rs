//! What can be seen of a node: its processes, what they do, what it counts, and what is amiss.

use super::{COUNTED, DIRECTED, Node};
use crate::ambient;
use crate::call::{self, CallCycle};
use crate::config::MOST_EVENTS_KEPT;
use crate::dead_letters::{DeadLetter, DeadLetterEvents};
use crate::inspect::{ProcessInfo, ProcessStatus};
use crate::lints::{LintEvent, LintEvents, Lints};
use crate::mailbox::Notice;
use crate::pid::Pid;
use crate::process::{Header, StallCounts, StallEvent};
use crate::report::{CrashReport, CrashReports, Reports};
use crate::signal::Request;
use crate::stats::NodeStats;
use crate::storm::Occurrence;
use crate::sync::Ordering;
use crate::trace::{Events, TraceEvent, TraceFeed, Traces};

/// How often processes of a node were suspended because they sent more than fitted into a mailbox, which lists call
/// [`Stalled`](crate::Status::Stalled).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stalls {
    /// They were suspended.
    pub begun: u64,
    /// They went on because there was no room for too long.
    pub too_long: u64,
    /// They were not suspended, because they would have waited for each other. A [lint](crate::Lint::FullMailboxes) names
    /// all who were in the circle, once for the process that closed it.
    pub in_circles: u64,
}

impl Node {
    /// All processes, as they are at this moment, seen from outside.
    pub fn processes(&self) -> Vec<ProcessInfo> {
        self.0.table.all().iter().map(|process| ProcessInfo::of(process)).collect()
    }

    /// The processes that `parent` has spawned and that still live, whether it does or not. It looks at all processes.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[derive(Actor, Default)]
    /// struct Cart;
    ///
    /// #[handlers]
    /// impl Cart {}
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let cart = spawn(Cart);
    ///     assert!(node().children(this_pid()).contains(&cart.pid()));
    ///     Ok(())
    /// }
    /// ```
    pub fn children(&self, parent: impl Into<Pid>) -> Vec<Pid> {
        let parent = Some(parent.into());
        let all = self.0.table.all();
        all.iter().filter(|process| process.parent() == parent).map(|process| process.pid()).collect()
    }

    /// The cycles of calls that there are at this moment: processes of which each waits for the next one's reply. Of cycles that
    /// share a process, one at least.
    ///
    /// It looks at all processes. What it sees while they run may be over when it returns; a cycle that two looks in a row
    /// show stands.
    ///
    /// In debug builds and seeded runs a cycle is found while it happens: see
    /// [`RuntimeBuilder::find_call_cycles`](crate::RuntimeBuilder::find_call_cycles).
    pub fn call_cycles(&self) -> Vec<CallCycle> {
        call::cycles_on(self)
    }

    /// One process, as it is at this moment, seen from outside.
    pub fn peek(&self, pid: impl Into<Pid>) -> Option<ProcessInfo> {
        self.living(pid.into()).map(|process| ProcessInfo::of(&process))
    }

    /// About how many messages wait in the mailbox of `pid`, for whoever gives work to whoever has little. `None` if there is no
    /// such process on this node.
    pub fn mailbox_len(&self, pid: impl Into<Pid>) -> Option<usize> {
        self.living(pid.into()).map(|process| process.mailbox_len())
    }

    /// What a process says of itself, after it has received all that the caller sent it before. It answers
    /// between two handlers, and also while it awaits something. `None` if there is no such process on this
    /// node.
    pub async fn process_info(&self, pid: impl Into<Pid>) -> Option<ProcessInfo> {
        let asked = {
            let process = self.process(pid.into())?;
            if ambient::is_current(process.pid()) {
                // It cannot answer while it asks.
                return Some(ProcessInfo::of(&process));
            }
            let (asked, reply) = call::place();
            process.push_notice(Notice::Inspect(reply)).ok()?;
            asked
        };
        asked.await.ok()
    }

    /// What a process says of itself and of its state, when it comes to this in its mailbox: between two handlers, also
    /// while it is suspended. `None` if there is no such process on this node, or it ends before.
    ///
    /// There is no deadline: a process that awaits for ever comes to nothing in its mailbox. Called by a process of itself, it
    /// shows no state.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has changed nothing.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    /// use biotope::Status;
    ///
    /// #[derive(Actor, Debug)]
    /// struct Till {
    ///     sold: u32,
    /// }
    ///
    /// #[handlers]
    /// impl Till {
    ///     #[cast]
    ///     fn sell(&mut self) {
    ///         self.sold += 1;
    ///     }
    /// }
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let till = spawn(Till { sold: 3 });
    ///     node().suspend(&till);
    ///     let status = node().process_status(&till).await.expect("it lives");
    ///     assert_eq!((status.info.actor, status.info.status), ("Till", Status::Suspended));
    ///     assert_eq!(status.state.as_deref(), Some("Till { sold: 3 }"));
    ///     Ok(())
    /// }
    /// ```
    pub async fn process_status(&self, pid: impl Into<Pid>) -> Option<ProcessStatus> {
        let asked = {
            let process = self.process(pid.into())?;
            if ambient::is_current(process.pid()) {
                // It cannot answer while it asks.
                return Some(ProcessStatus::of(&process, ProcessInfo::of(&process), None));
            }
            let (asked, reply) = call::place();
            process.push_notice(Notice::Request(Request::Status(reply))).ok()?;
            asked
        };
        asked.await.ok()
    }

    /// Tells of crashes from now on: each report, once. All of them are in the log too, but for those of too many that are
    /// alike: see [`RuntimeBuilder::log_at_most`](crate::RuntimeBuilder::log_at_most).
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// # #[biotope::main]
    /// # async fn main() -> biotope::Result<()> {
    /// let mut reports = node().crash_reports();
    /// let fragile = spawn_process(async |_: Process<()>| panic!("boom"));
    /// let report = reports.next().await.expect("the node lives");
    /// assert_eq!((report.pid, report.name.as_deref()), (fragile.pid(), None));
    /// assert!(report.reason.to_string().contains("boom"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn crash_reports(&self) -> CrashReports {
        self.0.reports.get_or_init(Reports::default).subscribe()
    }

    /// Counts the messages that each process of this node takes and sends, from now on or no more; they are in
    /// [`ProcessInfo::counts`]. A process that runs now counts what it sends from its next turn on. Each process that is
    /// counted takes about 500 bytes more until it ends, as one with a name, a link or a monitor does anyway.
    pub fn statistics(&self, on: bool) {
        if on {
            self.0.noting.fetch_or(COUNTED, Ordering::SeqCst);
        } else {
            self.0.noting.fetch_and(!COUNTED, Ordering::SeqCst);
        }
        for process in self.0.table.all() {
            process.count_messages(on);
        }
    }

    /// Counts the messages of one process. Returns whether there is one.
    pub fn statistics_of(&self, pid: impl Into<Pid>, on: bool) -> bool {
        self.living(pid.into()).map(|process| process.count_messages(on)).is_some()
    }

    /// Lets a process of this node tell what it does, from now on or no more, to whoever has [`traces`](Self::traces).
    /// A process that runs now tells what it sends from its next turn on. Returns whether there is such a process.
    pub fn trace(&self, pid: impl Into<Pid>, on: bool) -> bool {
        self.living(pid.into()).map(|process| process.set_traced(on)).is_some()
    }

    /// What traced processes of this node do, from now on: see [`trace`](Self::trace).
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    /// use biotope::Traced;
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let mut traces = node().traces();
    ///     let seen = spawn_process(async |mut me: Process<u8>| {
    ///         me.receive().await?;
    ///         Ok(())
    ///     });
    ///     node().trace(&seen, true);
    ///     seen.cast(7);
    ///     let event = traces.next().await.expect("nothing is lost");
    ///     assert_eq!((event.pid, event.what), (seen.pid(), Traced::Received("u8")));
    ///     Ok(())
    /// }
    /// ```
    pub fn traces(&self) -> TraceFeed {
        self.0.traces.get_or_init(Traces::new).subscribe()
    }

    /// Keeps the last `limit` things that a process of this node does from now on, 1,024 at most; none, and no more, if that
    /// is 0. Whoever looks at them later, with [`events`](Self::events) or after a crash in its report, need not have
    /// listened. Returns whether there is such a process.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    /// use biotope::Traced;
    ///
    /// #[derive(Actor, Default)]
    /// struct Counter(u64);
    ///
    /// #[handlers]
    /// impl Counter {
    ///     fn add(&mut self, n: u64) -> u64 {
    ///         self.0 += n;
    ///         self.0
    ///     }
    /// }
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let counter = spawn(Counter::default());
    ///     node().keep_events(&counter, 2);
    ///     counter.add(1).await?;
    ///     counter.add(2).await?;
    ///     counter.with_state(|_| ()).await?;
    ///     let events = node().events(&counter).expect("they are kept");
    ///     let events: Vec<Traced> = events.into_iter().map(|event| event.what).collect();
    ///     assert_eq!(events, [Traced::Replied(Some(this_pid())), Traced::Handled("add")]);
    ///     Ok(())
    /// }
    /// ```
    pub fn keep_events(&self, pid: impl Into<Pid>, limit: usize) -> bool {
        self.living(pid.into()).map(|process| process.keep_events(limit.min(MOST_EVENTS_KEPT))).is_some()
    }

    /// The last things that a process of this node did, in order, if they are kept: see
    /// [`keep_events`](Self::keep_events).
    pub fn events(&self, pid: impl Into<Pid>) -> Option<Vec<TraceEvent>> {
        self.living(pid.into())?.events(Events::all)
    }

    /// What the node has done so far. It looks at each slot of the process table that was ever used: a few
    /// milliseconds for a million.
    pub fn stats(&self) -> NodeStats {
        let tally = self.0.table.tally();
        NodeStats {
            processes: tally.alive,
            spawned: tally.ended + tally.alive as u64,
            ended: tally.ended,
            crashed: self.0.crashed.load(Ordering::Relaxed),
            dead_letters: self.dead_letters(),
        }
    }

    /// How many messages were not handled, by reason.
    pub fn dead_letters(&self) -> Vec<(DeadLetter, u64)> {
        self.0.dead_letters.all()
    }

    /// How many messages were not handled for the reason `why`.
    pub fn dead_letters_of(&self, why: DeadLetter) -> u64 {
        self.0.dead_letters.of(why)
    }

    /// Tells of messages that are not handled from now on, one event for each reason and second: a flood is one event.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    /// use biotope::{DeadLetter, node};
    ///
    /// # #[biotope::main]
    /// # async fn main() -> biotope::Result<()> {
    /// let mut events = node().subscribe_dead_letters();
    /// let ended = spawn_process(async |_: Process<()>| Ok(()));
    /// node().ended(ended.pid()).await;
    /// ended.cast(());
    /// let event = events.next().await;
    /// assert_eq!((event.why, event.count, event.to), (DeadLetter::NoProc, 1, Some(ended.pid())));
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe_dead_letters(&self) -> DeadLetterEvents {
        self.0.dead_letters.subscribe(self.runtime())
    }

    /// Tells what is amiss with processes from now on, once for each process and kind. All of it is in the log too.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    /// use biotope::{Lint, node};
    ///
    /// #[derive(Actor, Default)]
    /// struct Selfish;
    ///
    /// #[handlers]
    /// impl Selfish {
    ///     async fn ask(&mut self, cx: &mut Context<Self>) -> bool {
    ///         cx.myself().ask().await == Err(CallFailed::SelfCall)
    ///     }
    /// }
    ///
    /// # #[biotope::main]
    /// # async fn main() -> biotope::Result<()> {
    /// let mut lints = node().lints();
    /// let selfish = spawn(Selfish);
    /// assert!(selfish.ask().await?);
    /// let event = lints.next().await.expect("the node lives");
    /// assert_eq!((event.pid, event.lint), (selfish.pid(), Lint::SelfCall));
    /// # Ok(())
    /// # }
    /// ```
    pub fn lints(&self) -> LintEvents {
        self.0.lints.get_or_init(Lints::default).subscribe()
    }

    /// How often processes were suspended because of a full mailbox.
    pub fn stalls(&self) -> Stalls {
        let of = |what| self.0.stalls.of(what);
        Stalls { begun: of(StallEvent::Begun), too_long: of(StallEvent::TooLong), in_circles: of(StallEvent::InCircle) }
    }
}

impl Node {
    pub(crate) fn tell_lint(&self, event: LintEvent) {
        if let Some(lints) = self.0.lints.get() {
            lints.tell(event);
        }
    }

    /// A traced process tells what it does.
    pub(crate) fn tell_trace(&self, event: TraceEvent) {
        if let Some(traces) = self.0.traces.get() {
            traces.tell(event);
        }
    }

    /// Whether something is to be noted of each new process.
    #[inline]
    pub(crate) fn notes_processes(&self) -> bool {
        self.0.noting.load(Ordering::SeqCst) != 0
    }

    /// Notes of a new process what is to be noted of each.
    #[cold]
    pub(crate) fn note_process(&self, process: &Header) {
        let noting = self.0.noting.load(Ordering::SeqCst);
        if noting & COUNTED != 0 {
            process.count_messages(true);
        }
        if noting & DIRECTED != 0 {
            process.direct();
        }
    }

    /// Counts a crash. Returns whether its report is wanted: not in a storm of its like, if nobody reads reports.
    pub(crate) fn count_crash(&self, crash: &Occurrence) -> bool {
        self.0.crashed.fetch_add(1, Ordering::Relaxed);
        let is_read = self.0.reports.get().is_some_and(Reports::has_readers);
        is_read || self.runtime().directed().is_some() || !self.hold_back(crash)
    }

    pub(crate) fn report_crash(&self, report: CrashReport, crash: &Occurrence) {
        if !self.runtime().directed().is_some_and(|director| director.crashed(&report)) {
            self.log_unless_storm(crash, || self.log_crash(&report));
        }
        if let Some(reports) = self.0.reports.get() {
            reports.tell(report);
        }
    }

    fn log_crash(&self, report: &CrashReport) {
        if tracing::dispatcher::has_been_set() {
            tracing::error!(node = self.name(), pid = %report.pid, name = report.name.as_deref(), "{report}");
        } else {
            // A program that has set no subscriber must still see its crashes, as it sees panics.
            eprintln!("{report}");
        }
    }

    /// Counts a message for `to` that was not handled.
    pub(crate) fn count_dead_letter_to(&self, why: DeadLetter, to: Pid) {
        self.0.dead_letters.count(why, Some(to));
    }

    pub(crate) fn stall_counts(&self) -> &StallCounts {
        &self.0.stalls
    }
}
