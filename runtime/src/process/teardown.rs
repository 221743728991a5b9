//! The end of a process. The order is the promise: names are free, and the pid names nobody, before
//! anybody hears of the end.
#![expect(unsafe_code, reason = "the owner takes the process apart")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::cell::Body;
use super::control::Control;
use super::header::{Activity, Header};
use super::reference::InTurn;
use super::turn::Turn;
use crate::ambient;
use crate::exit::ExitReason;
use crate::inspect::DeadLetter;
use crate::mailbox::{Notice, Special};
use crate::report::CrashReport;
use crate::signal::{MonitorRef, Signal};

/// Ends the process with `reason`.
///
/// # Safety
/// The caller is the owner, and `body` is the one of `local`. The body is not used any more.
pub(super) unsafe fn end<M: Send + 'static, B: Body<M>>(
    local: InTurn<M>,
    body: NonNull<B>,
    reason: &ExitReason,
    turn: &Turn<'_>,
) {
    let header = local.header();
    let node = header.node();
    let pid = header.pid();
    let entry = node.table().find(pid);
    turn.account(header);
    // SAFETY: the caller's promise.
    let (launching, quiet) =
        unsafe { header.owned_if_any() }.map_or((None, false), |owned| (owned.launching.take(), owned.quiet));
    let report = if quiet || !reason.is_abnormal() { None } else { Some(CrashReport::of(header, reason)) };

    // Who ties something to the process makes its `Extra` if need be, takes the lock, and then looks whether
    // the process has ended. Either it sees that, or what it tied is found here.
    let mut control = header.extra_at_end().map(|extra| std::mem::take(&mut *extra.control.lock()));
    if let Some(control) = &mut control {
        release(header, control);
    }

    // With the state go the replies that it owes: who waits for one learns of the end here.
    let mut unreceived = Vec::new();
    // SAFETY: the caller's promise.
    ambient::ending(reason, || unsafe {
        if catch_unwind(AssertUnwindSafe(|| B::end(body, local))).is_err() {
            tracing::error!(%pid, "the state of a process panicked while it was dropped");
        }
        close(local, turn, &mut unreceived);
        header.forget_owned();
    });
    // A process whose pid names nobody has no state any more.
    if let Some(entry) = entry {
        node.table().remove(node, entry, turn);
    }
    if let Some(report) = report {
        node.report_crash(&report);
    }

    // Links and monitors that came too late to be received are told like the others.
    if !unreceived.is_empty() {
        for signal in unreceived {
            node.answer_for_the_dead(pid, signal, reason);
        }
    }
    if let Some(control) = control {
        announce(header, &control, reason);
        drop_quietly(control);
    }
    // Whoever waits for a start that failed hears of it when nothing of it is left.
    if let Some(launching) = launching {
        launching.ended(reason.clone());
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

fn announce(header: &Header, control: &Control, reason: &ExitReason) {
    let (node, pid) = (header.node(), header.pid());
    for (&peer, ()) in control.links.iter() {
        node.signal(peer, Signal::Exit { from: pid, reason: reason.clone(), link: true });
    }
    for (&reference, ()) in control.monitored_by.iter() {
        node.signal(reference.owner, Signal::Down { reference, from: pid, reason: reason.clone() });
    }
    for (&number, monitor) in control.monitors.iter() {
        if let Some(target) = monitor.pid {
            node.signal(target, Signal::Demonitor { reference: MonitorRef { owner: pid, number } });
        }
    }
}

/// Closes the mailbox and drops what was left in it, but for signals, which are `unreceived`.
///
/// # Safety
/// The caller is the owner, for the last time.
unsafe fn close<M: Send + 'static>(local: InTurn<M>, turn: &Turn<'_>, unreceived: &mut Vec<Signal>) {
    let mut undelivered = 0;
    let left = |left| match left {
        Ok(message) => {
            undelivered += 1;
            drop_quietly(message);
        }
        Err(Special::ByAlias { message, .. }) => drop_quietly(message),
        Err(Special::Notice(Notice::Signal(signal))) => unreceived.push(signal),
        Err(Special::Notice(notice)) => drop_quietly(notice),
    };
    // Before the mailbox refuses anything: who is told on behalf of the dead finds nobody here.
    local.header().set_activity(Activity::Gone);
    // SAFETY: the caller's promise.
    unsafe { local.mailbox.close(turn.memory(), left) };
    let node = local.header().node();
    for _ in 0..undelivered {
        node.count_dead_letter(DeadLetter::Stopped);
    }
}

/// Drops a value of the user's, whose drop may panic.
pub(super) fn drop_quietly<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}
