//! One turn of a process: what must be received, then its body, until the turn is over.
#![expect(unsafe_code, reason = "whoever runs a turn is the owner of the process")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use super::bound;
use super::cell::{Body, Cell};
use super::extra::Logged;
use super::header::{Activity, Header};
use super::reference::{AnyRef, InTurn};
use super::state::Cause;
use super::teardown;
use super::turn::{After, Turn};
use crate::exit::{Ending, ExitReason};
use crate::mailbox::{Held, Position, Walked};
use crate::observe;
use crate::panics;

/// How the body of a process stands after it has run.
pub(crate) enum Flow {
    /// It waits for its mailbox, which it has found empty.
    Wait,
    /// It awaits something, which wakes it.
    Park,
    /// Something must be received before it goes on. It is to be woken then.
    Receive,
    /// It can go on, but not in this turn.
    Yield,
    /// It is over.
    End(Ending),
}

impl Flow {
    /// It is over, with this reason.
    pub(crate) fn end(reason: ExitReason) -> Self {
        Self::End(reason.into())
    }

    /// It awaits what comes behind `at` in its mailbox, and maybe something else.
    ///
    /// # Safety
    /// The caller is the owner. A take has ended at `at` with [`Walked::End`].
    pub(crate) unsafe fn park_at<'p, M: Send + 'static>(
        local: InTurn<M>,
        at: Position,
        turn: &Turn<'_>,
        held: impl Fn() -> Held<'p>,
    ) -> Self {
        // SAFETY: the caller's promise. It is the owner until it is parked.
        if !unsafe { local.mailbox().wait_at(at, turn.memory(), held) } {
            // There is something: it does not stay parked.
            let _ = local.header().state.note(Cause::Wake);
        }
        Self::Park
    }
}

/// Runs one turn of the process at `raw`.
///
/// # Safety
/// The caller picked it from a run queue, and its cell has this type.
pub(crate) unsafe fn run<M: Send + 'static, B: Body<M> + 'static>(raw: NonNull<Header>, turn: &Turn<'_>) -> After {
    // SAFETY: the process is alive until `end` below, and when its turn is given away nothing is left that would
    // use this.
    let local = unsafe { InTurn::<M>::at(raw) };
    // SAFETY: the cell has this type.
    let body = unsafe { Cell::<M, B>::body_of(raw) };
    let header = local.header();
    turn.begin(header);
    observe::turn(header, turn.number());
    let all_told = if header.is_gone() {
        // SAFETY: whoever picked the process is its owner; it has ended.
        unsafe { teardown::go_on(header, turn) }
    } else {
        header.set_activity(Activity::Running);
        // SAFETY: whoever picked the process is its owner until it gives the turn away.
        let reason = match unsafe { turns::<M, B>(local, body, turn) } {
            Ok(after) => {
                turn.leave();
                return after;
            }
            Err(reason) => reason,
        };
        // SAFETY: as above; the process has nothing to do any more.
        let all_told = unsafe { teardown::end::<M, B>(local, body, &reason, turn) };
        // Values of the user's, which may panic. Most have none.
        if !reason.is_plain() {
            teardown::drop_quietly(reason);
        }
        if let Some(other) = turn.take_stopping() {
            teardown::drop_quietly(other);
        }
        all_told
    };
    // Before the cell may be freed: afterwards the turn's process is nobody.
    turn.leave();
    if !all_told {
        return After::Again;
    }
    // SAFETY: it has ended.
    unsafe { AnyRef::ended(raw) };
    After::Nothing
}

/// Runs the process until its turn is given away, or it is over.
///
/// # Safety
/// The caller is the owner. After `Ok(After::Nothing)` it is no longer, and the cell may be gone.
unsafe fn turns<M: Send + 'static, B: Body<M> + 'static>(
    local: InTurn<M>,
    body: NonNull<B>,
    turn: &Turn<'_>,
) -> Result<After, Ending> {
    let header = local.header();
    loop {
        // Signals first: a process must not handle more work after it was told to end.
        if header.state.take_receive() {
            // What goes over its limit notes that there is something to receive.
            if let Some(reason) = header.over_limit() {
                return Err(ended_by(header, reason));
            }
            // SAFETY: the caller's promise.
            let received = catch_unwind(AssertUnwindSafe(|| unsafe { super::receive::receive::<M, B>(local, turn) }));
            // What makes a message of a `Down` is the user's, and may panic.
            match received
                .unwrap_or_else(|payload| Err(panics::unwound(payload).into_reason()))
                .map_err(|reason| ended_by(header, reason))?
            {
                Walked::Hole => {
                    let _ = header.state.note(Cause::Receive);
                    return Ok(give_up(header, turn));
                }
                Walked::End | Walked::Stopped => {}
            }
        }
        if header.state.is_stalled() && bound::is_stalled_still(header) {
            turn.account(header);
            header.set_activity(Activity::Resting);
            if header.state.park() {
                return Ok(After::Nothing);
            }
            if turn.is_over() {
                return Ok(After::Again);
            }
            header.set_activity(Activity::Running);
            continue;
        }
        let is_logged = tracing::span_enabled!(tracing::Level::INFO);
        if is_logged {
            // SAFETY: the caller's promise.
            unsafe { enter_span(header) };
        }
        // SAFETY: the caller's promise.
        let flow = catch_unwind(AssertUnwindSafe(|| unsafe { B::run(body, local, turn) }));
        if is_logged {
            // SAFETY: the caller's promise.
            unsafe { leave_span(header) };
        }
        let flow = match flow {
            Ok(flow) => flow,
            // SAFETY: the caller's promise.
            Err(payload) => unsafe {
                if let Some(client) = panics::client() {
                    header.owned().last.get_or_insert_default().client = Some(client);
                }
                B::panicked(body, local, panics::unwound(payload), turn)
            },
        };
        // What the process did is on its account, and it rests, before somebody else may look or run it.
        turn.account(header);
        header.set_activity(Activity::Resting);
        // SAFETY: the caller's promise. Nothing of the cell is touched once the turn is given away.
        unsafe {
            match flow {
                Flow::Wait => {
                    if local.mailbox().wait_empty(turn.memory(), || header.held(B::position(body))) {
                        return Ok(After::Nothing);
                    }
                }
                Flow::Park => {
                    if header.state.park() {
                        return Ok(After::Nothing);
                    }
                }
                Flow::Receive => {
                    let _ = header.state.note(Cause::WakeToReceive);
                }
                Flow::Yield => return Ok(After::Again),
                Flow::End(reason) => {
                    // It is its own doing, as against `ended_by`.
                    header.set_activity(Activity::Running);
                    return Err(reason);
                }
            }
        }
        if turn.is_over() {
            return Ok(After::Again);
        }
        header.set_activity(Activity::Running);
    }
}

/// The process ends with `reason`, which is not its code's doing: that rests.
fn ended_by(header: &Header, reason: ExitReason) -> Ending {
    header.set_activity(Activity::Resting);
    reason.into()
}

/// Gives the turn away without having come to an end.
fn give_up(header: &Header, turn: &Turn<'_>) -> After {
    turn.account(header);
    header.set_activity(Activity::Resting);
    After::Again
}

/// What the code of the process logs is logged within its span from here on; somebody listens.
///
/// # Safety
/// The caller is the owner.
#[cold]
unsafe fn enter_span(header: &Header) {
    let name = header.extra().control.lock().name.clone();
    // SAFETY: the caller's promise.
    let owned = unsafe { header.owned() };
    let logged = owned.logged.get_or_insert_with(|| {
        let span = tracing::info_span!(
            parent: None,
            "process",
            node = header.node().name(),
            pid = %header.pid(),
            actor = header.actor(),
            name = tracing::field::Empty
        );
        Box::new(Logged { span, has_name: false })
    });
    if let Some(name) = name
        && !logged.has_name
    {
        logged.span.record("name", &*name);
        logged.has_name = true;
    }
    logged.span.with_subscriber(|(span, subscriber)| subscriber.enter(span));
}

/// # Safety
/// The caller is the owner.
#[cold]
unsafe fn leave_span(header: &Header) {
    // SAFETY: the caller's promise.
    if let Some(logged) = unsafe { header.owned_if_any() }.and_then(|owned| owned.logged.as_ref()) {
        logged.span.with_subscriber(|(span, subscriber)| subscriber.exit(span));
    }
}
