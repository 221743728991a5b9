//! A process in straight-line code that awaits its mailbox, and something else at the same time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use biotope_runtime::{Call, Node, Process, ReplyTo, Runtime, Status, spawn_process, time};

use crate::everywhere;
use crate::probe::observe;

/// Whether `first` is done before `second`; neither waker is kept by this.
async fn is_first<A: Future, B: Future>(first: A, second: B) -> bool {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| match (first.as_mut().poll(cx), second.as_mut().poll(cx)) {
        (Poll::Ready(_), _) => Poll::Ready(true),
        (_, Poll::Ready(_)) => Poll::Ready(false),
        _ => Poll::Pending,
    })
    .await
}

/// Is done when it was polled `polls` times, and wakes whoever polls it by a waker that it does not keep.
async fn after_polls(mut polls: u32) {
    poll_fn(|cx| {
        polls -= 1;
        if polls == 0 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whether a process is done with `other` before a message comes to it, which it awaits too. None is sent.
async fn is_woken_by<F: Future + Send + 'static>(other: F) -> biotope_runtime::Result<bool> {
    let (done, seen) = tokio::sync::oneshot::channel();
    spawn_process(async move |mut me: Process<()>| {
        let _ = done.send(is_first(other, me.receive()).await);
        Ok(())
    });
    Ok(seen.await?)
}

#[test]
fn a_receive_does_not_sleep_over_a_wake_of_the_same_poll() {
    everywhere("wake of the same poll", || {
        observe(async move |_| {
            assert!(is_woken_by(after_polls(5)).await?);
            Ok(())
        })
    });
}

#[test]
fn a_receive_does_not_sleep_over_a_reply() {
    everywhere("reply", || {
        observe(async move |_| {
            let slow = spawn_process(async move |mut me: Process<ReplyTo<()>>| {
                let reply = me.receive().await?;
                time::sleep(Duration::from_millis(5)).await;
                reply.send(());
                Ok(())
            });
            assert!(is_woken_by(async move { Call::new(&slow, |reply| reply).await }).await?);
            Ok(())
        })
    });
}

#[test]
fn a_receive_does_not_sleep_over_a_waker_that_was_kept() {
    everywhere("waker", || {
        observe(async move |_| {
            let (tell, told) = tokio::sync::oneshot::channel::<()>();
            spawn_process(async move |_: Process<()>| {
                time::sleep(Duration::from_millis(1)).await;
                let _ = tell.send(());
                Ok(())
            });
            assert!(is_woken_by(told).await?);
            Ok(())
        })
    });
}

/// The question comes while the process handles a message, so that its next receive finds it first.
#[test]
fn who_is_at_a_receive_does_not_await_anything_else() {
    let runtime = Runtime::builder().workers(2).build().expect("threads");
    let node = runtime.block_on(Node::builder("n").runtime(runtime.clone()).start()).expect("it starts");
    let (tell, handles) = tokio::sync::oneshot::channel();
    let counts = node.spawn_process(async move |mut me: Process<()>| {
        me.receive().await?;
        let _ = tell.send(());
        while me.node().peek(me.pid()).is_some_and(|info| info.mailbox_len == 0) {
            std::thread::yield_now();
        }
        me.receive().await?;
        Ok(())
    });
    counts.cast(());
    runtime.block_on(handles).expect("it handles the first");
    let info = runtime.block_on(node.process_info(counts.pid())).expect("it lives");
    assert_eq!(info.status, Status::Waiting);
    runtime.block_on(node.shutdown());
}

#[test]
fn a_message_ends_a_wait_for_it_and_something_else() {
    everywhere("message", || {
        observe(async move |_| {
            let (done, seen) = tokio::sync::oneshot::channel();
            let waits = spawn_process(async move |mut me: Process<()>| {
                let _ = done.send(is_first(std::future::pending::<()>(), me.receive()).await);
                Ok(())
            });
            waits.cast(());
            assert!(!seen.await?);
            Ok(())
        })
    });
}
