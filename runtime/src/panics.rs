//! What is kept of a panic.
//!
//! A panic's place and stack are known only to the panic hook, and its text only to whoever catches
//! it. One hook for the whole program notes the former on the panicking thread; panics outside
//! processes go to the hook that was there before.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::sync::{Arc, Once};

use crate::ambient;
use crate::config::LONGEST_REASON;
use crate::exit::{ExitReason, PanicReport};

thread_local! {
    static LAST: Cell<Option<(String, Option<String>)>> = const { Cell::new(None) };
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
            let backtrace = Backtrace::capture();
            let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
            let location = info.location().map(ToString::to_string).unwrap_or_default();
            LAST.set(Some((location, backtrace)));
        }));
    });
}

/// The exit reason for a caught panic.
pub(crate) fn reason(payload: Box<dyn Any + Send>) -> ExitReason {
    let mut message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a value that is no text".to_owned(),
    };
    if let Some((end, _)) = message.char_indices().nth(LONGEST_REASON) {
        message.truncate(end);
    }
    let (location, backtrace) = LAST.take().unzip();
    // A payload may panic when it is dropped; that must not reach the worker.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(payload)));
    ExitReason::Panic(Arc::new(PanicReport { message, location, backtrace: backtrace.flatten() }))
}
