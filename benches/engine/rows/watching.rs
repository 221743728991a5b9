//! One process that many monitor, or are linked to, ends; until the last of them has been told.
//!
//! Whoever has been told lives on, so that only the telling is measured.

use std::time::Instant;

use biotope::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::countdown::{Batch, Countdown};
use crate::host::{LONG, nanos_each};

#[derive(Actor, Default)]
struct Target;

#[handlers]
impl Target {
    fn is_there(&self) {}
}

#[derive(Actor)]
struct Monitoring {
    target: ActorRef<Target>,
    ready: &'static Batch,
    told: &'static Batch,
}

#[handlers]
impl Monitoring {
    #[init]
    fn watch(&mut self, cx: &mut Context<Self>) {
        cx.monitor(&self.target);
        self.ready.count();
    }

    #[info]
    fn on_down(&mut self, _down: Down) {
        self.told.count();
    }
}

pub(crate) async fn monitors_on_biotope(count: u64) -> biotope::Result<f64> {
    let target = spawn(Target);
    let (ready, all_ready) = Countdown::from(count);
    let (told, all_told) = Countdown::from(count);
    for n in 0..count {
        spawn(Monitoring { target: target.clone(), ready: ready.batch(n), told: told.batch(n) });
    }
    all_ready.await?;
    time_the_end(&target, all_told, count).await
}

#[derive(Actor)]
#[actor(trap_exit)]
struct Linked {
    target: ActorRef<Target>,
    ready: &'static Batch,
    told: &'static Batch,
}

#[handlers]
impl Linked {
    #[init]
    fn watch(&mut self, cx: &mut Context<Self>) {
        cx.link(&self.target);
        self.ready.count();
    }

    #[info]
    fn on_exit(&mut self, _exit: Exit) {
        self.told.count();
    }
}

pub(crate) async fn links_on_biotope(count: u64) -> biotope::Result<f64> {
    let target = spawn(Target);
    let (ready, all_ready) = Countdown::from(count);
    let (told, all_told) = Countdown::from(count);
    for n in 0..count {
        spawn(Linked { target: target.clone(), ready: ready.batch(n), told: told.batch(n) });
    }
    all_ready.await?;
    time_the_end(&target, all_told, count).await
}

async fn time_the_end(target: &ActorRef<Target>, all_told: oneshot::Receiver<()>, count: u64) -> biotope::Result<f64> {
    // When it replies, it has taken note of all that watch it: they asked before this.
    target.is_there().timeout(LONG).await?;
    let start = Instant::now();
    target.stop();
    all_told.await?;
    Ok(nanos_each(start, count))
}

/// Each watcher has an inbox, and the target's channel, which closes: it waits for either. So it can be sent to
/// meanwhile, and the target need not know it.
pub(crate) async fn on_tokio(count: u64) -> f64 {
    let (ready, all_ready) = Countdown::from(count);
    let (told, all_told) = Countdown::from(count);
    let (target, at_target) = mpsc::unbounded_channel::<()>();
    for n in 0..count {
        let (ready, told, target) = (ready.batch(n), told.batch(n), target.clone());
        tokio::spawn(async move {
            let (_myself, mut inbox) = mpsc::unbounded_channel::<()>();
            ready.count();
            tokio::select! {
                () = target.closed() => told.count(),
                _ = inbox.recv() => {}
            }
            std::future::pending::<()>().await;
        });
    }
    time_the_end_of(at_target, all_ready, all_told, count).await
}

/// Each watcher waits for nothing but its own channel, which closes; the target holds the other ends. It cannot be sent
/// to by anybody else, or would not be told.
pub(crate) async fn on_tokio_bare(count: u64) -> f64 {
    let (ready, all_ready) = Countdown::from(count);
    let (told, all_told) = Countdown::from(count);
    let mut watchers = Vec::new();
    for n in 0..count {
        let (ready, told) = (ready.batch(n), told.batch(n));
        let (watcher, mut inbox) = mpsc::unbounded_channel::<()>();
        watchers.push(watcher);
        tokio::spawn(async move {
            ready.count();
            if inbox.recv().await.is_none() {
                told.count();
            }
            std::future::pending::<()>().await;
        });
    }
    time_the_end_of(watchers, all_ready, all_told, count).await
}

async fn time_the_end_of(
    channels: impl Send + 'static,
    all_ready: oneshot::Receiver<()>,
    all_told: oneshot::Receiver<()>,
    count: u64,
) -> f64 {
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let _ = stopped.await;
        drop(channels);
    });
    all_ready.await.expect("all begin to wait");
    let start = Instant::now();
    let _ = stop.send(());
    all_told.await.expect("all are told");
    nanos_each(start, count)
}
