//! Processes that live for one message: many at a time, and one after the other.

use std::time::Instant;

use biotope::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::countdown::{Batch, Countdown};
use crate::host::nanos_each;

/// Counts when it is dropped, which is when whoever holds it has ended.
struct Life(&'static Batch);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.count();
    }
}

#[derive(Actor)]
struct Mayfly {
    _life: Life,
}

#[handlers]
impl Mayfly {
    #[cast]
    fn fly(&mut self, cx: &mut Context<Self>) {
        cx.stop(ExitReason::Normal);
    }
}

pub(crate) async fn on_biotope(count: u64) -> biotope::Result<f64> {
    let (lives, all_ended) = Countdown::from(count);
    let start = Instant::now();
    for number in 0..count {
        spawn(Mayfly { _life: Life(lives.batch(number)) }).fly();
    }
    all_ended.await?;
    Ok(nanos_each(start, count))
}

/// The same in straight-line code.
pub(crate) async fn straight_on_biotope(count: u64) -> biotope::Result<f64> {
    let (lives, all_ended) = Countdown::from(count);
    let start = Instant::now();
    for number in 0..count {
        let life = Life(lives.batch(number));
        let mayfly = spawn_process(async move |mut me: Process<()>| {
            let _life = life;
            me.receive().await?;
            Ok(())
        });
        mayfly.cast(());
    }
    all_ended.await?;
    Ok(nanos_each(start, count))
}

pub(crate) async fn on_tokio(count: u64) -> f64 {
    let (lives, all_ended) = Countdown::from(count);
    let start = Instant::now();
    for number in 0..count {
        let life = Life(lives.batch(number));
        let (mayfly, mut inbox) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let _life = life;
            inbox.recv().await
        });
        let _ = mayfly.send(());
    }
    all_ended.await.expect("all end");
    nanos_each(start, count)
}

pub(crate) async fn latency_on_biotope(count: u64) -> biotope::Result<f64> {
    let (sender, figure) = oneshot::channel();
    spawn_process(async move |mut me: Process<()>| {
        let myself = me.address();
        let start = Instant::now();
        for _ in 0..count {
            let parent = myself.clone();
            spawn_process(async move |_: Process<()>| {
                parent.cast(());
                Ok(())
            });
            me.receive().await?;
        }
        let _ = sender.send(nanos_each(start, count));
        Ok(())
    });
    Ok(figure.await?)
}

pub(crate) async fn latency_on_tokio(count: u64) -> f64 {
    let (myself, mut inbox) = mpsc::unbounded_channel();
    let start = Instant::now();
    for _ in 0..count {
        let parent = myself.clone();
        // A process can be sent to from its birth, so a task gets its channel.
        let (_child, _at_child) = mpsc::unbounded_channel::<()>();
        tokio::spawn(async move {
            let _at_child = _at_child;
            let _ = parent.send(());
        });
        inbox.recv().await;
    }
    nanos_each(start, count)
}
