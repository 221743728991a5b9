//! The user's code in a process that must survive its panics: called, polled and dropped.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use biotope_runtime::{ExitReason, Me, PanicReport, Pid, Result, SpawnOptions, StartError};

use crate::child_spec::{Child, Starting};

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
        dropped(self.0.take());
    }
}

/// Drops what is the user's. A panic in it is logged.
pub(crate) fn dropped<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        let reason = panicked(&*payload);
        tracing::error!(%reason, "what was given up panicked when it was dropped");
    }
}

/// Begins to start a child of the supervisor `me`, which has started so often before. A panic in it is a start that failed.
pub(crate) fn begin_caught(child: &Child, me: &Me, restarts: u64) -> Starting {
    let options = SpawnOptions { restarts, ..SpawnOptions::linked_to(me.pid()) };
    match catch_unwind(AssertUnwindSafe(|| child.start(me.node(), options))) {
        Ok(starting) => starting,
        Err(payload) => {
            let error = StartError::Refused(panicked(&*payload));
            Box::pin(async { Err(error) })
        }
    }
}

/// Polls a start. A panic in it is a start that failed.
pub(crate) fn poll_caught(starting: &mut Starting, cx: &mut Context<'_>) -> Poll<std::result::Result<Pid, StartError>> {
    catch_unwind(AssertUnwindSafe(|| starting.as_mut().poll(cx)))
        .unwrap_or_else(|payload| Poll::Ready(Err(StartError::Refused(panicked(&*payload)))))
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
