//! What a process keeps of its state machine, and the events that it puts ahead of its mailbox.
#![expect(unsafe_code, reason = "a part of the process is its owner's, without a lock")]

use std::any::Any;
use std::collections::VecDeque;
use std::time::Instant;

use super::header::Header;
use super::me::Me;
use super::receive;
use super::reference::AnyRef;
use super::turn;
use crate::actor::{Actor, Overflow};
use crate::context::Context;
use crate::machine::{Event, Machinery, Timeout};
use crate::mailbox::Notice;
use crate::timer::TimerRef;

/// Why there is no machine where one is asked for.
const NO_MACHINE: &str = "a state machine has a state from `init` on, and in its own code only";

/// The process has this machine from now on.
///
/// # Panics
/// Outside the process's own code. So do all of these that take a context.
pub(crate) fn begin_machine<A: Actor>(cx: &mut Context<A>, machine: Box<dyn Machinery>) {
    assert!(cx.is_here(), "{NO_MACHINE}");
    // SAFETY: its own code is run by its owner, here and below.
    unsafe { cx.header().owned() }.machine = Some(machine);
}

/// The machine of the process, which is a `T`.
#[inline]
#[track_caller]
pub(crate) fn machine<A: Actor, T: Machinery>(cx: &Context<A>) -> &T {
    // SAFETY: `machine_mut` alone gives it away to be changed, and needs the context for itself.
    let machine = cx.is_here().then(|| unsafe { machine_at::<T>(cx.header()) }).flatten();
    machine.expect(NO_MACHINE)
}

/// The machine of the process, which is a `T`.
#[inline]
#[track_caller]
pub(crate) fn machine_mut<A: Actor, T: Machinery>(cx: &mut Context<A>) -> &mut T {
    // SAFETY: there is one context in a process's code, which is borrowed as long as this is.
    let machine = cx.is_here().then(|| unsafe { machine_at::<T>(cx.header()) }).flatten();
    machine.expect(NO_MACHINE)
}

/// Runs `f` with the machine of the process whose state is visited.
pub(crate) fn visit_machine<T: Machinery, R>(f: impl FnOnce(&mut T) -> R) -> Option<R> {
    turn::with_process(|running| {
        let (_, header) = running?;
        // SAFETY: a visit is made by the owner, between two handlers: nobody has a context.
        unsafe { machine_at::<T>(header) }.map(f)
    })
}

/// # Safety
/// The caller is the owner, and nobody changes the machine meanwhile or looks at it while it is changed.
#[expect(clippy::mut_from_ref, reason = "the owner is alone; see Safety")]
unsafe fn machine_at<T: Machinery>(header: &Header) -> Option<&mut T> {
    // SAFETY: the caller's promise.
    let machine = unsafe { header.owned_if_any() }?.machine.as_mut()?;
    let machine: &mut dyn Any = &mut **machine;
    machine.downcast_mut()
}

/// How many events wait ahead of the mailbox, beside urgent messages.
#[inline]
pub(crate) fn waiting_ahead<A: Actor>(cx: &Context<A>) -> usize {
    // SAFETY: its own code is run by its owner, and whoever has the context keeps the queue to itself.
    unsafe { receive::waiting_ahead::<A::Msg>(cx.header()) }
}

/// Puts an event ahead of the mailbox, behind those that wait there.
pub(crate) fn insert<A: Actor>(cx: &mut Context<A>, event: Event<A::Msg>) {
    assert!(cx.is_here(), "{NO_MACHINE}");
    // SAFETY: as above.
    unsafe { receive::go_on_with(cx.header(), event) };
    turn::end_here();
}

/// Puts what has been inserted since so many were `waiting` ahead of the mailbox, and then what is `retried`, before those.
#[inline]
pub(crate) fn put_first<A: Actor>(cx: &mut Context<A>, waiting: usize, retried: VecDeque<Event<A::Msg>>) {
    let has_news = waiting_ahead(cx) > waiting && waiting > 0;
    if !has_news && retried.is_empty() {
        return;
    }
    // SAFETY: as above.
    unsafe { receive::put_first(cx.header(), waiting, retried) };
    turn::end_here();
}

/// The limit of the mailbox, and what becomes of more.
pub(crate) fn mailbox_limit(me: &Me) -> Option<(u64, Overflow)> {
    me.header().bound().map(|bound| (bound.limit(), bound.overflow()))
}

/// Whether the process was asked to stop by what it runs.
pub(crate) fn is_stopping(me: &Me) -> bool {
    // SAFETY: a context is used in the process's own code.
    let asked_before = unsafe { me.header().owned_if_any() }.is_some_and(|owned| owned.stopping.is_some());
    asked_before || turn::with_process(|running| running.is_some_and(|(turn, _)| turn.is_stopping()))
}

/// Tells the process of `timeout` at `moment`.
pub(crate) fn time_out(me: &Me, moment: Instant, timeout: Timeout) -> TimerRef {
    let (header, process) = (me.header(), AnyRef::of(me.header()));
    header.node().runtime().timers().fire_at(moment, header, move |_| {
        // A process that has ended has no timeouts.
        let _ = process.push_notice(Notice::Timeout(timeout));
    })
}

/// The process comes to what a timer said.
///
/// # Safety
/// The caller is the owner, between two pieces of the process's code.
pub(super) unsafe fn timed_out(header: &Header, timeout: &Timeout) {
    // SAFETY: the caller's promise.
    let machine = unsafe { header.owned_if_any() }.and_then(|owned| owned.machine.as_mut());
    // The machine is not borrowed while it is done.
    let action = machine.and_then(|machine| machine.on_timer(timeout));
    if let Some(action) = action {
        action(super::me::at(header));
    }
}
