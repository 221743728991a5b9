//! Actors that live for one message: many at a time, and one after the other.

use std::time::Instant;

use kameo::error::Infallible;
use kameo::prelude::{Actor, ActorRef, Context, DelegatedReply, Message, ReplySender};
use peer::countdown::{Batch, Countdown};
use peer::measure::nanos_each;

use crate::host::{spawn, spawn_with, tell};

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

struct Fly;

impl Message<Fly> for Mayfly {
    type Reply = ();

    async fn handle(&mut self, _: Fly, cx: &mut Context<Self, ()>) {
        cx.stop();
    }
}

pub(crate) async fn run(count: u64) -> f64 {
    let (lives, all_ended) = Countdown::from(count);
    let start = Instant::now();
    for number in 0..count {
        tell(&spawn(Mayfly { _life: Life(lives.batch(number)) }), Fly);
    }
    all_ended.await.expect("all end");
    nanos_each(start, count)
}

/// Spawns a child, and the next when that has sent it a message.
#[derive(Actor, Default)]
struct Parent {
    left: u64,
    complete: Option<ReplySender<()>>,
}

/// The reply comes when so many are born.
struct Bear {
    children: u64,
}

impl Message<Bear> for Parent {
    type Reply = DelegatedReply<()>;

    async fn handle(&mut self, Bear { children }: Bear, cx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (reply, complete) = cx.reply_sender();
        self.left = children;
        self.complete = complete;
        spawn_with::<Child>(cx.actor_ref().clone());
        reply
    }
}

struct Born;

impl Message<Born> for Parent {
    type Reply = ();

    async fn handle(&mut self, _: Born, cx: &mut Context<Self, ()>) {
        self.left -= 1;
        if self.left > 0 {
            spawn_with::<Child>(cx.actor_ref().clone());
        } else if let Some(complete) = self.complete.take() {
            complete.send(());
        }
    }
}

/// Ends when it has sent its message, as nobody keeps a reference to it.
struct Child;

impl Actor for Child {
    type Args = ActorRef<Parent>;
    type Error = Infallible;

    async fn on_start(parent: ActorRef<Parent>, _: ActorRef<Self>) -> Result<Self, Infallible> {
        tell(&parent, Born);
        Ok(Self)
    }
}

pub(crate) async fn latency(count: u64) -> f64 {
    let parent = spawn(Parent::default());
    let start = Instant::now();
    parent.ask(Bear { children: count }).send().await.expect("all are born");
    nanos_each(start, count)
}
