//! What is kept of a panic.
//!
//! A panic's place and stack are known to the panic hook only, so one hook for the whole program notes
//! what happens in processes; panics outside them go to the hook that was there before. It is noted
//! before anything unwinds: whoever waits for a reply that the unwinding drops learns the reason.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::{Arc, Once};

use crate::ambient;
use crate::config::LONGEST_REASON;
use crate::exit::{ExitReason, PanicReport};
use crate::pid::Pid;

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// The last time that the code on this thread was unwound, or is being.
struct Last {
    why: Noted,
    /// Whose call was being handled: its reply was dropped on the way.
    client: Option<Pid>,
}

impl From<Noted> for Last {
    fn from(why: Noted) -> Self {
        Self { why, client: None }
    }
}

/// Why the code on this thread unwinds, or has unwound last.
#[derive(Clone)]
enum Noted {
    Panic(Arc<PanicReport>),
    Exit(ExitReason),
}

static HOOK: Once = Once::new();

/// Sees to it that panics in processes are noted instead of printed: the crash report prints them.
pub(crate) fn install_hook() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if ambient::current_pid().is_none() {
                return before(info);
            }
            LAST.replace(Some(Noted::Panic(Arc::new(report(info))).into()));
        }));
    });
}

/// The reason of the process that is unwinding on this thread, if one is.
pub(crate) fn unwinding() -> Option<ExitReason> {
    if !std::thread::panicking() {
        return None;
    }
    Some(match LAST.with_borrow(|last| last.as_ref().map(|last| last.why.clone()))? {
        Noted::Panic(report) => ExitReason::Panic(report),
        Noted::Exit(reason) => reason,
    })
}

/// The reply to a call of `client` is dropped here, while the code on this thread unwinds. The last one counts: what a handler holds
/// goes before what it was called with.
#[cold]
pub(crate) fn note_client(client: Option<Pid>) {
    LAST.with_borrow_mut(|last| {
        if let Some(last) = last {
            last.client = client.or(last.client);
        }
    });
}

/// Whose call was being handled when the code on this thread was unwound last, if it was one. To be asked before
/// [`unwound`].
pub(crate) fn client() -> Option<Pid> {
    LAST.with_borrow(|last| last.as_ref()?.client)
}

/// Why a process's code was unwound.
pub(crate) enum Unwound {
    /// It panicked.
    Panicked(ExitReason),
    /// It ended itself.
    ByChoice(ExitReason),
    /// It sent itself an exit signal that ends it.
    BySignal(ExitReason),
}

impl Unwound {
    /// The reason to end with.
    pub(crate) fn into_reason(self) -> ExitReason {
        match self {
            Self::Panicked(reason) | Self::ByChoice(reason) | Self::BySignal(reason) => reason,
        }
    }
}

/// Unwinds the code of the process that runs here, quietly.
pub(crate) fn unwind(why: Unwound) -> ! {
    let (Unwound::Panicked(reason) | Unwound::ByChoice(reason) | Unwound::BySignal(reason)) = &why;
    LAST.replace(Some(Noted::Exit(reason.clone()).into()));
    std::panic::resume_unwind(Box::new(why))
}

/// What was caught.
pub(crate) fn unwound(payload: Box<dyn Any + Send>) -> Unwound {
    match payload.downcast::<Unwound>() {
        Ok(unwound) => {
            LAST.take();
            *unwound
        }
        Err(payload) => Unwound::Panicked(reason(payload)),
    }
}

/// The exit reason for a caught panic.
fn reason(payload: Box<dyn Any + Send>) -> ExitReason {
    let message = text(&*payload);
    let report = match LAST.take().map(|last| last.why) {
        // What was noted may be of a panic that the code has caught itself.
        Some(Noted::Panic(report)) if report.message == message => report,
        // `resume_unwind` passes the hook by.
        _ => Arc::new(PanicReport { message, location: None, backtrace: None }),
    };
    // A payload may panic when it is dropped; that must not reach the worker.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(payload)));
    ExitReason::Panic(report)
}

fn report(info: &PanicHookInfo<'_>) -> PanicReport {
    let backtrace = Backtrace::capture();
    let is_captured = backtrace.status() == BacktraceStatus::Captured;
    PanicReport {
        message: text(info.payload()),
        location: info.location().map(ToString::to_string),
        backtrace: is_captured.then(|| backtrace.to_string()),
    }
}

fn text(payload: &dyn Any) -> String {
    let mut message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a value that is no text".to_owned(),
    };
    if let Some((end, _)) = message.char_indices().nth(LONGEST_REASON) {
        message.truncate(end);
    }
    message
}
