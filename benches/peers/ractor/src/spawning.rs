//! Actors that live for one message: many at a time, and one after the other.

use std::time::Instant;

use peer::countdown::{Batch, Countdown};
use peer::measure::nanos_each;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::host::{Handled, reply_port, spawn};

/// Counts when it is dropped, which is when whoever holds it has ended.
struct Life(&'static Batch);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.count();
    }
}

struct Mayfly;

struct Fly;

impl Actor for Mayfly {
    type Msg = Fly;
    type State = Life;
    type Arguments = Life;

    async fn pre_start(&self, _: ActorRef<Fly>, life: Life) -> Result<Life, ActorProcessingErr> {
        Ok(life)
    }

    async fn handle(&self, myself: ActorRef<Fly>, _: Fly, _: &mut Life) -> Handled {
        myself.stop(None);
        Ok(())
    }
}

pub(crate) async fn run(count: u64) -> f64 {
    let (lives, all_ended) = Countdown::from(count);
    let start = Instant::now();
    for number in 0..count {
        spawn(Mayfly, Life(lives.batch(number))).await.cast(Fly).expect("it waits for this");
    }
    all_ended.await.expect("all end");
    nanos_each(start, count)
}

/// Spawns a child, and the next when that has sent it a message.
struct Parent;

struct Family {
    left: u64,
    complete: Option<RpcReplyPort<()>>,
}

struct Born;

impl Actor for Parent {
    type Msg = Born;
    type State = Family;
    type Arguments = (u64, RpcReplyPort<()>);

    async fn pre_start(
        &self,
        myself: ActorRef<Born>,
        (count, complete): Self::Arguments,
    ) -> Result<Family, ActorProcessingErr> {
        spawn(Child { parent: myself }, ()).await;
        Ok(Family { left: count, complete: Some(complete) })
    }

    async fn handle(&self, myself: ActorRef<Born>, _: Born, family: &mut Family) -> Handled {
        family.left -= 1;
        if family.left > 0 {
            spawn(Child { parent: myself }, ()).await;
        } else if let Some(complete) = family.complete.take() {
            complete.send(())?;
        }
        Ok(())
    }
}

struct Child {
    parent: ActorRef<Born>,
}

impl Actor for Child {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Handled {
        Ok(())
    }

    /// Unlike `pre_start`, which whoever spawns it runs, this is in a task of its own.
    async fn post_start(&self, myself: ActorRef<()>, (): &mut ()) -> Handled {
        self.parent.cast(Born)?;
        myself.stop(None);
        Ok(())
    }
}

pub(crate) async fn latency(count: u64) -> f64 {
    let (port, complete) = reply_port();
    let start = Instant::now();
    spawn(Parent, (count, port)).await;
    complete.await.expect("all are born");
    nanos_each(start, count)
}
