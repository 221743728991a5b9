//! What an actor does when nothing comes: what it asked for after a while, and hibernation.
//!
//! A timer sends the process a visit, which it comes to between two messages. Whether that still means anything is decided
//! there: whatever the process has handled meanwhile broke the silence. That this is to be noted is a bit of the header, so
//! that other processes pay nothing for it.
#![expect(unsafe_code, reason = "a part of the process is its owner's, without a lock")]

use std::time::{Duration, Instant};

use super::header::Header;
use super::reference::AnyRef;
use super::turn;
use crate::mailbox::Notice;
use crate::signal::Request;
use crate::timer::TimerRef;
use crate::visit::Visit;

/// What is known of a process's silence.
#[derive(Default)]
pub(crate) struct Silence {
    /// The timer of what is to happen if nothing comes.
    idle: Option<TimerRef>,
    /// It is to hibernate as soon as there is nothing to be handled.
    hibernate: bool,
    /// It hibernates by itself, so that all that it handles is noted.
    always: bool,
    /// Since when there is nothing to be handled, if it hibernates by itself.
    since: Option<Instant>,
    /// There is a timer for that.
    watching: bool,
}

/// # Safety
/// The caller is the owner, and holds no other reference to it.
#[expect(clippy::mut_from_ref, reason = "the owner is alone; see Safety")]
unsafe fn silence(header: &Header) -> &mut Silence {
    // SAFETY: the caller's promise.
    unsafe { header.owned() }.silence.get_or_insert_default()
}

/// Has all that the process handles noted, because it hibernates by itself.
///
/// # Safety
/// The caller is the owner, in its turn.
pub(super) unsafe fn note_always(header: &Header) {
    // SAFETY: the caller's promise.
    unsafe { silence(header) }.always = true;
    note_next(header);
}

/// Has the next thing that the process handles noted. In its turn.
fn note_next(header: &Header) {
    header.set_silent(true);
    turn::with_process(|running| {
        if let Some((turn, header)) = running {
            turn.look_again(header);
        }
    });
}

/// Something is about to be handled.
///
/// # Safety
/// The caller is the owner.
#[cold]
pub(super) unsafe fn broken(header: &Header) {
    // SAFETY: the caller's promise.
    let silence = unsafe { silence(header) };
    if let Some(timer) = silence.idle.take() {
        header.node().cancel_timer(timer);
    }
    silence.hibernate = false;
    silence.since = None;
    header.set_silent(silence.always);
    if header.is_hibernating() {
        header.set_hibernating(false);
    }
}

/// Runs `action` in the process if it handles nothing for `delay` from now, and is not suspended by then. This takes the place of what was asked for before.
///
/// # Safety
/// The caller is the owner, in its turn.
pub(super) unsafe fn when_idle(header: &Header, delay: Duration, action: impl FnOnce() + Send + 'static) {
    let timer = visit_at(header, header.node().runtime().now_and(delay), move |header, timer| {
        // SAFETY: a visit is made by the owner.
        let silence = unsafe { silence(header) };
        if silence.idle != Some(timer) {
            return;
        }
        silence.idle = None;
        if header.is_suspended() {
            // It handles nothing because it may not: what waits comes first when it may.
            // SAFETY: as above.
            return unsafe { when_idle(header, delay, action) };
        }
        action();
    });
    // SAFETY: the caller's promise.
    let before = unsafe { silence(header) }.idle.replace(timer);
    if let Some(before) = before {
        header.node().cancel_timer(before);
    }
    note_next(header);
}

/// The process hibernates as soon as there is nothing to be handled.
///
/// # Safety
/// The caller is the owner, in its turn.
pub(super) unsafe fn hibernate(header: &Header) {
    // SAFETY: the caller's promise.
    unsafe { silence(header) }.hibernate = true;
    note_next(header);
    // So that it is looked at.
    turn::end_here();
}

/// Whether the process is to hibernate.
///
/// # Safety
/// The caller is the owner.
pub(super) unsafe fn is_to_hibernate(header: &Header) -> bool {
    // SAFETY: the caller's promise.
    let owned = unsafe { header.owned_if_any() };
    owned.and_then(|owned| owned.silence.as_ref()).is_some_and(|silence| silence.hibernate)
}

/// Nothing is there to be handled: the process hibernates, if it is to.
///
/// # Safety
/// The caller is the owner.
pub(super) unsafe fn settle(header: &Header) {
    // SAFETY: the caller's promise, here and below.
    if unsafe { is_to_hibernate(header) } {
        // SAFETY: as above.
        unsafe { silence(header) }.hibernate = false;
        header.hibernate();
    }
}

/// Nothing is there to be handled: the process hibernates if it stays like that for so long.
///
/// # Safety
/// The caller is the owner.
pub(super) unsafe fn watch(header: &Header, after: Duration) {
    // SAFETY: the caller's promise.
    let silence = unsafe { silence(header) };
    if silence.since.is_none() {
        silence.since = Some(header.node().runtime().now());
    }
    if !silence.watching && !header.is_hibernating() {
        silence.watching = true;
        look_at(header, header.node().runtime().now_and(after), after);
    }
}

/// Looks at `moment` whether the silence has lasted for so long.
fn look_at(header: &Header, moment: Instant, after: Duration) {
    visit_at(header, moment, move |header, _| {
        // SAFETY: a visit is made by the owner.
        let silence = unsafe { silence(header) };
        // If it was broken, it is watched again when there is nothing to be handled.
        let over = silence.since.and_then(|since| since.checked_add(after));
        silence.watching = over.is_some_and(|over| over > header.node().runtime().now());
        match over {
            Some(over) if silence.watching => {
                look_at(header, over, after);
            }
            Some(_) => {
                silence.hibernate = true;
                turn::end_here();
            }
            None => {}
        }
    });
}

/// Runs `action` in the process, at `moment` or when it has come to it.
fn visit_at(header: &Header, moment: Instant, action: impl FnOnce(&Header, TimerRef) + Send + 'static) -> TimerRef {
    let process = AnyRef::of(header);
    header.node().runtime().timers().fire_at(moment, header, move |timer| {
        let visit = Visit::in_process(move || {
            turn::with_process(|running| {
                if let Some((_, header)) = running {
                    action(header, timer);
                }
            });
        });
        // A process that has ended is silent.
        let _ = process.push_notice(Notice::Request(Request::Visit(visit)));
    })
}
