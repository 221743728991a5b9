//! One turn of a process: what must be received, then its body, until the turn is over.
#![expect(unsafe_code, reason = "whoever runs a turn is the owner of the process")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::thread;

use super::cell::{self, Activity, Body, Cell, CellRef, Header};
use super::state::Cause;
use super::turn::{After, Turn};
use crate::exit::ExitReason;
use crate::mailbox::{Held, Position, Walked};
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
    /// It is over. No reason is `Normal`: an end of that kind costs no memory, and a flow is two words.
    End(Option<Box<ExitReason>>),
}

impl Flow {
    /// It is over, with this reason.
    pub(crate) fn end(reason: ExitReason) -> Self {
        Self::End((!matches!(reason, ExitReason::Normal)).then(|| Box::new(reason)))
    }

    /// It awaits what comes behind `at` in its mailbox, and maybe something else.
    ///
    /// # Safety
    /// The caller is the owner. A take has ended at `at` with [`Walked::End`].
    pub(crate) unsafe fn park_at<'p, M: Send + 'static>(
        local: &CellRef<M>,
        at: &Position,
        turn: &Turn<'_>,
        held: impl Fn() -> Held<'p>,
    ) -> Self {
        // SAFETY: the caller's promise. It is the owner until it is parked.
        if !unsafe { local.mailbox.wait_at(at, turn.memory(), held) } {
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
    // SAFETY: the process is alive until `end` below, and before its turn is given away nothing is left
    // that would use the reference.
    let local = unsafe { CellRef::<M>::borrowed(raw) };
    // SAFETY: the cell has this type.
    let body = unsafe { Cell::<M, B>::body_of(raw) };
    let header = local.header();
    header.set_activity(Activity::Running);
    turn.begin(header);
    // SAFETY: whoever picked the process is its owner until it gives the turn away.
    let reason = match unsafe { turns::<M, B>(&local, body, turn) } {
        Ok(after) => {
            turn.leave();
            return after;
        }
        Err(reason) => reason,
    };
    // SAFETY: as above; the process has nothing to do any more.
    unsafe { super::teardown::end::<M, B>(&local, body, reason, turn) };
    drop(turn.take_stopping());
    turn.leave();
    // SAFETY: it has ended.
    unsafe { cell::AnyRef::ended(raw) };
    After::Nothing
}

/// Runs the process until its turn is given away, or it is over.
///
/// # Safety
/// The caller is the owner. After `Ok(After::Nothing)` it is no longer, and the cell may be gone.
unsafe fn turns<M: Send + 'static, B: Body<M> + 'static>(
    local: &CellRef<M>,
    body: NonNull<B>,
    turn: &Turn<'_>,
) -> Result<After, ExitReason> {
    let header = local.header();
    loop {
        // Signals first: a process must not handle more work after it was told to end.
        if header.state.take_receive() {
            // SAFETY: the caller's promise.
            match unsafe { super::receive::receive::<M, B>(local, turn) }? {
                Walked::Hole => {
                    let _ = header.state.note(Cause::Receive);
                    return Ok(give_up(header, turn));
                }
                Walked::End | Walked::Stopped => {}
            }
        }
        // SAFETY: the caller's promise, here and below.
        let run = || unsafe { B::run(body, local, turn) };
        let flow = if tracing::span_enabled!(tracing::Level::INFO) {
            unsafe { in_span(header, run) }
        } else {
            catch_unwind(AssertUnwindSafe(run))
        };
        let flow = match flow {
            Ok(flow) => flow,
            // SAFETY: the caller's promise.
            Err(payload) => unsafe { B::panicked(body, local, panics::unwound(payload), turn) },
        };
        // What the process did is on its account, and it rests, before somebody else may look or run it.
        turn.account(header);
        header.set_activity(Activity::Resting);
        // SAFETY: the caller's promise. Nothing of the cell is touched once the turn is given away.
        unsafe {
            match flow {
                Flow::Wait => {
                    if local.mailbox.wait_empty(turn.memory(), || cell::held(header, B::position(body))) {
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
                Flow::End(reason) => return Err(reason.map_or(ExitReason::Normal, |reason| *reason)),
            }
        }
        if turn.is_over() {
            return Ok(After::Again);
        }
        header.set_activity(Activity::Running);
    }
}

/// Gives the turn away without having come to an end.
fn give_up(header: &Header, turn: &Turn<'_>) -> After {
    turn.account(header);
    header.set_activity(Activity::Resting);
    After::Again
}

/// Runs code of the process within its span; somebody listens.
///
/// # Safety
/// The caller is the owner.
#[cold]
unsafe fn in_span<R>(header: &Header, run: impl FnOnce() -> R) -> thread::Result<R> {
    // SAFETY: the caller's promise.
    let span = unsafe { span(header) };
    catch_unwind(AssertUnwindSafe(|| span.in_scope(run)))
}

/// The span that the code of the process logs within.
///
/// # Safety
/// The caller is the owner.
unsafe fn span(header: &Header) -> tracing::Span {
    let name = header.extra().control.lock().name.clone();
    // SAFETY: the caller's promise.
    let owned = unsafe { header.owned() };
    let span = owned.span.get_or_insert_with(|| {
        tracing::info_span!(
            parent: None,
            "process",
            node = header.node().name(),
            pid = %header.pid(),
            actor = header.actor(),
            name = tracing::field::Empty
        )
    });
    if let Some(name) = name
        && !owned.span_has_name
    {
        span.record("name", &*name);
        owned.span_has_name = true;
    }
    span.clone()
}
