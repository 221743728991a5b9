//! The user's code, polled in a process that must survive its panics.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use biotope_runtime::{ExitReason, PanicReport, Result};

/// What `future` comes to; a panic in it is what it fails with. One while it is dropped, before it has come to anything, is
/// logged.
pub(crate) async fn caught<T>(future: impl Future<Output = Result<T>>) -> std::result::Result<T, ExitReason> {
    let mut future = DropCaught(Some(Box::pin(future)));
    poll_fn(|cx| {
        let Some(future) = &mut future.0 else { unreachable!("it is there until it is dropped") };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(polled) => polled.map_err(biotope_runtime::Error::into_reason),
            Err(payload) => Poll::Ready(Err(panicked(&*payload))),
        }
    })
    .await
}

/// The user's future, whose locals may panic when they are dropped.
struct DropCaught<F>(Option<Pin<Box<F>>>);

impl<F> Drop for DropCaught<F> {
    fn drop(&mut self) {
        let future = self.0.take();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
            let reason = panicked(&*payload);
            tracing::error!(%reason, "what was given up panicked when it was dropped");
        }
    }
}

/// What a panic said, as an exit reason. Where it was, the crash report would have known.
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> ExitReason {
    let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a value that is no text".to_owned(),
    };
    ExitReason::Panic(Arc::new(PanicReport { message, location: None, backtrace: None }))
}
