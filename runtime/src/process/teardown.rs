//! The end of a process. The order is the promise: names are free, and the pid names nobody, before
//! anybody hears of the end.
//!
//! Those who must be told may be many: they are told some in each turn ([`Farewell`]), in turns that the process
//! has after its end. So a process that a hundred thousand monitor does not keep its worker from others when
//! it ends, and what it tells lies in few blocks, which are used again and again.
#![expect(unsafe_code, reason = "the owner takes the process apart")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::bound;
use super::cell::Body;
use super::control::Control;
use super::header::{Activity, Header};
use super::receive;
use super::reference::InTurn;
use super::turn::Turn;
use crate::ambient;
use crate::config::NAMED_IN_REPORT;
use crate::dead_letters::DeadLetter;
use crate::exit::ExitReason;
use crate::machine::Event;
use crate::mailbox::{Notice, Special};
use crate::node::Node;
use crate::observe;
use crate::pid::Pid;
use crate::report::CrashReport;
use crate::signal::{MonitorRef, Signal};
use crate::spec::Launching;
use crate::storm::Occurrence;
use crate::trace::Traced;

/// How many are told of an end in one turn.
const TOLD_PER_TURN: usize = 1_000;
/// So many before one is told, its memory is asked for.
const AHEAD: usize = 4;

/// Ends the process with `reason`. Returns whether nothing is left to do: else it is to have another turn, and
/// [`go_on`] goes on with it.
///
/// # Safety
/// The caller is the owner, and `body` is the one of `local`. The body is not used any more.
#[must_use = "some may still have to be told"]
pub(super) unsafe fn end<M: Send + 'static, B: Body<M>>(
    local: InTurn<M>,
    body: NonNull<B>,
    reason: &ExitReason,
    turn: &Turn<'_>,
) -> bool {
    let header = local.header();
    let node = header.node();
    let pid = header.pid();
    let entry = node.table().find(pid);
    turn.account(header);
    // SAFETY: the caller's promise.
    let (launching, quiet) =
        unsafe { header.owned_if_any() }.map_or((None, false), |owned| (owned.launching.take(), owned.quiet));
    // SAFETY: as above.
    let mut crash = if !quiet && reason.is_abnormal() { unsafe { crash::<M, B>(local, body, reason) } } else { None };

    // Who ties something to the process makes its `Extra` if need be, takes the lock, and then looks whether
    // the process has ended. Either it sees that, or what it tied is found here.
    let mut control = header.extra_at_end().map(|extra| std::mem::take(&mut *extra.control.lock()));
    if let Some(control) = &mut control {
        release(header, control);
    }

    // With the state go the replies that it owes: who waits for one learns of the end here.
    let mut unreceived = Vec::new();
    // SAFETY: the caller's promise.
    let undelivered = ambient::ending(reason, || unsafe {
        if catch_unwind(AssertUnwindSafe(|| B::end(body, local))).is_err() {
            tracing::error!(%pid, "the state of a process panicked while it was dropped");
        }
        let undelivered = close(local, turn, &mut unreceived);
        header.forget_owned();
        undelivered
    });
    if let Some((report, _)) = &mut crash {
        report.mailbox_len = undelivered;
    }
    // A process whose pid names nobody has no state any more.
    if let Some(entry) = entry {
        node.table().remove(node, entry, turn);
    }
    if let Some((report, crash)) = crash {
        node.report_crash(report, &crash);
    }
    observe::exited(header, reason);
    header.trace(|| Traced::Exited(reason.clone()));

    // Links and monitors that came too late to be received are told like the others.
    if !unreceived.is_empty() {
        for signal in unreceived {
            node.answer_for_the_dead(pid, signal, reason);
        }
    }
    let Some(control) = control else { return true };
    let mut farewell = Farewell { control, reason: reason.clone(), launching, told: 0 };
    if farewell.tell(header, turn) {
        farewell.end();
        return true;
    }
    // SAFETY: the caller's promise.
    unsafe { header.owned() }.farewell = Some(Box::new(farewell));
    false
}

/// Takes down what a process looks like that is about to end with `reason`, out of order; unless nobody wants to know.
///
/// # Safety
/// The caller is the owner, and `body` is the one of `local`.
#[cold]
unsafe fn crash<M: Send + 'static, B: Body<M>>(
    local: InTurn<M>,
    body: NonNull<B>,
    reason: &ExitReason,
) -> Option<(CrashReport, Occurrence)> {
    let header = local.header();
    // SAFETY: the caller's promise, here and below.
    let last = unsafe { header.owned_if_any() }.and_then(|owned| owned.last.take()).unwrap_or_default();
    let crash = last.occurrence(header, reason);
    if !header.node().count_crash(&crash) {
        return None;
    }
    let mut report = CrashReport::of(header, reason, *last);
    let mut messages = 0;
    let see = |message: &M| {
        if messages < NAMED_IN_REPORT {
            report.messages.push(B::describe(message));
        }
        messages += 1;
    };
    // SAFETY: as above.
    unsafe {
        receive::see_messages(local, see);
        if header.activity() == Activity::Resting {
            report.status = B::status(header, messages).of_resting(header);
        }
        report.state = B::show(body, header);
    }
    Some((report, crash))
}

/// Goes on with what [`end`] has left. Returns whether nothing is left to do.
///
/// # Safety
/// The caller is the owner, and the process has ended.
#[cold]
#[must_use = "some may still have to be told"]
pub(super) unsafe fn go_on(header: &Header, turn: &Turn<'_>) -> bool {
    // SAFETY: the caller's promise.
    let left = unsafe { &mut header.owned().farewell };
    if let Some(farewell) = left
        && !farewell.tell(header, turn)
    {
        return false;
    }
    if let Some(farewell) = left.take() {
        farewell.end();
    }
    true
}

/// Who must be told of an end, and how many of them have been.
pub(crate) struct Farewell {
    control: Control,
    reason: ExitReason,
    launching: Option<Box<Launching>>,
    told: usize,
}

/// What ties another process to one that has ended.
enum Tie {
    Link,
    MonitoredBy(MonitorRef),
    Monitor(u64),
}

impl Farewell {
    /// Tells some. Returns whether all have been told.
    fn tell(&mut self, header: &Header, turn: &Turn<'_>) -> bool {
        let node = header.node();
        let until = match self.told.checked_add(TOLD_PER_TURN) {
            // A node that shuts down waits for nobody who has ended.
            Some(until) if !node.table().is_closed() => until,
            _ => usize::MAX,
        };
        while self.tell_next(header.pid(), node) {
            if let Some((Some(soon), _)) = self.tie(self.told + AHEAD) {
                node.table().prefetch_process(soon);
            }
            turn.charge(1);
            if self.told == until {
                return false;
            }
        }
        true
    }

    fn tell_next(&mut self, pid: Pid, node: &Node) -> bool {
        let Some((peer, tie)) = self.tie(self.told) else { return false };
        if let Some(peer) = peer {
            let reason = || self.reason.clone();
            let signal = match tie {
                Tie::Link => Signal::Exit { from: pid, reason: reason(), link: true },
                Tie::MonitoredBy(reference) => Signal::Down { reference, from: pid, reason: reason() },
                Tie::Monitor(number) => Signal::Demonitor { reference: MonitorRef { owner: pid, number } },
            };
            node.signal(peer, signal);
        }
        self.told += 1;
        true
    }

    /// The one of this number: to whom, if there is anybody, and what ties it to the process.
    fn tie(&self, number: usize) -> Option<(Option<Pid>, Tie)> {
        let Control { links, monitored_by, monitors, .. } = &self.control;
        if let Some((&peer, ())) = links.get(number) {
            return Some((Some(peer), Tie::Link));
        }
        let number = number - links.len();
        if let Some((&reference, ())) = monitored_by.get(number) {
            return Some((Some(reference.owner), Tie::MonitoredBy(reference)));
        }
        let (&number, monitor) = monitors.get(number - monitored_by.len())?;
        Some((monitor.pid, Tie::Monitor(number)))
    }

    fn end(self) {
        drop_quietly(self.control);
        // Whoever waits for a start that failed hears of it when nothing of it is left.
        if let Some(launching) = self.launching {
            launching.ended(self.reason);
        }
    }
}

/// Frees what others know the process by. It goes before anybody is told of the end: a supervisor that
/// restarts at once must find names and keys free.
fn release(header: &Header, control: &mut Control) {
    let (node, pid) = (header.node(), header.pid());
    if let Some(name) = control.name.take() {
        node.names().remove(&name, pid);
    }
    let rare = control.rare_if_any();
    let (held, timers) =
        rare.map(|rare| (std::mem::take(&mut rare.held), std::mem::take(&mut rare.timers))).unwrap_or_default();
    for held in held {
        if let Some(held) = held.upgrade() {
            // The values that it drops are the user's, and may panic.
            let _ = catch_unwind(AssertUnwindSafe(|| held.release(pid)));
        }
    }
    for timer in timers.into_iter().chain(header.exchange_alarm(None)) {
        // With it goes its message, which is the user's.
        let _ = catch_unwind(AssertUnwindSafe(|| node.runtime().timers().cancel(timer)));
    }
}

/// Closes the mailbox and drops what was left in it, but for signals, which are `unreceived`. Returns how many messages
/// there were.
///
/// # Safety
/// The caller is the owner, for the last time.
unsafe fn close<M: Send + 'static>(local: InTurn<M>, turn: &Turn<'_>, unreceived: &mut Vec<Signal>) -> usize {
    let mut undelivered = 0;
    let mut left = |left| match left {
        Ok(message) => {
            undelivered += 1;
            drop_quietly(message);
        }
        Err(Special::ByAlias { message, .. } | Special::Apart(message)) => {
            undelivered += 1;
            drop_quietly(message);
        }
        Err(Special::Ticket(shelf)) => {
            if let Some(message) = shelf.take() {
                undelivered += 1;
                drop_quietly(message);
            }
        }
        Err(Special::Notice(Notice::Signal(signal))) => unreceived.push(signal),
        Err(Special::Notice(notice)) => drop_quietly(notice),
    };
    // Before the mailbox refuses anything: who is told on behalf of the dead finds nobody here.
    local.header().set_activity(Activity::Gone);
    let header = local.header();
    // SAFETY: the caller's promise.
    unsafe {
        if header.extra_if_any().is_some() {
            while let Some(event) = receive::take_ahead::<M>(header) {
                match event {
                    Event::Message(message) => left(Ok(message)),
                    Event::Info(info) => drop_quietly(info),
                }
            }
        }
        local.mailbox().close(turn.memory(), left);
        if let Some(machine) = header.owned_if_any().and_then(|owned| owned.machine.take()) {
            undelivered += machine.postponed();
            drop_quietly(machine);
        }
    }
    // Asked again: what was dropped may have made it.
    if header.extra_if_any().is_some() {
        if let Some(bound) = header.bound() {
            bound.wake_all();
        }
        bound::release(header);
    }
    for _ in 0..undelivered {
        header.node().count_dead_letter_to(DeadLetter::Stopped, header.pid());
    }
    undelivered
}

/// Drops a value of the user's, whose drop may panic.
pub(super) fn drop_quietly<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}
