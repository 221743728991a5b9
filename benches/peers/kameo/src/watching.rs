//! One actor that many monitor, or are linked to, ends; until the last of them has been told.
//!
//! Whoever has been told lives on, so that only the telling is measured.

use std::ops::ControlFlow;
use std::time::Instant;

use kameo::error::Infallible;
use kameo::mailbox::Signal;
use kameo::prelude::{Actor, ActorId, ActorRef, ActorStopReason, Context, MailboxReceiver, Message, WeakActorRef};
use peer::countdown::{Batch, Countdown};
use peer::measure::nanos_each;

use crate::host::{spawn, spawn_with};

#[derive(Actor)]
struct Target;

struct IsThere;

impl Message<IsThere> for Target {
    type Reply = ();

    async fn handle(&mut self, _: IsThere, _: &mut Context<Self, ()>) {}
}

struct Watch {
    target: ActorRef<Target>,
    ready: &'static Batch,
    told: &'static Batch,
}

struct Linked {
    told: &'static Batch,
}

impl Actor for Linked {
    type Args = Watch;
    type Error = Infallible;

    async fn on_start(watch: Watch, myself: ActorRef<Self>) -> Result<Self, Infallible> {
        myself.link(&watch.target).await;
        watch.ready.count();
        Ok(Self { told: watch.told })
    }

    async fn on_link_died(
        &mut self,
        _: WeakActorRef<Self>,
        _: ActorId,
        _: ActorStopReason,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        self.told.count();
        Ok(ControlFlow::Continue(()))
    }
}

pub(crate) async fn links(count: u64) -> f64 {
    watch::<Linked>(count).await
}

/// kameo has no monitors. This waits for the end of the target beside its mailbox, where kameo offers to wait for more.
struct Monitoring {
    watch: Watch,
    target_lives: bool,
}

impl Actor for Monitoring {
    type Args = Watch;
    type Error = Infallible;

    async fn on_start(watch: Watch, _: ActorRef<Self>) -> Result<Self, Infallible> {
        watch.ready.count();
        Ok(Self { watch, target_lives: true })
    }

    async fn next(
        &mut self,
        _: WeakActorRef<Self>,
        inbox: &mut MailboxReceiver<Self>,
    ) -> Result<Option<Signal<Self>>, Infallible> {
        tokio::select! {
            biased;
            () = self.watch.target.wait_for_shutdown(), if self.target_lives => {
                self.target_lives = false;
                self.watch.told.count();
                Ok(inbox.recv().await)
            }
            signal = inbox.recv() => Ok(signal),
        }
    }
}

pub(crate) async fn monitors(count: u64) -> f64 {
    watch::<Monitoring>(count).await
}

async fn watch<A: Actor<Args = Watch>>(count: u64) -> f64 {
    let target = spawn(Target);
    let (ready, all_ready) = Countdown::from(count);
    let (told, all_told) = Countdown::from(count);
    let watch = |n| Watch { target: target.clone(), ready: ready.batch(n), told: told.batch(n) };
    let watchers: Vec<ActorRef<A>> = (0..count).map(|n| spawn_with(watch(n))).collect();
    all_ready.await.expect("all begin to watch");

    target.ask(IsThere).send().await.expect("the target lives");
    let start = Instant::now();
    target.stop_gracefully().await.expect("the target lives");
    all_told.await.expect("all are told");
    let figure = nanos_each(start, count);
    // Without references they would end.
    std::mem::forget(watchers);
    figure
}
