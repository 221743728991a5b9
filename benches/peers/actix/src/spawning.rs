//! Actors that live for one message: many at a time, and one after the other.

use std::time::Instant;

use actix::prelude::*;
use peer::countdown::{Batch, Countdown};
use peer::measure::nanos_each;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::arbiters::Arbiters;

/// Counts when it is dropped, which is when whoever holds it has ended.
struct Life(&'static Batch);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.count();
    }
}

struct Mayfly {
    _life: Life,
}

impl Actor for Mayfly {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Fly;

impl Handler<Fly> for Mayfly {
    type Result = ();

    fn handle(&mut self, _: Fly, cx: &mut Context<Self>) {
        cx.stop();
    }
}

/// All are started before any has its turn, on an arbiter that has them all.
pub async fn all_at_once(arbiters: &Arbiters, count: u64) -> f64 {
    many(arbiters, count, u64::MAX).await
}

/// After each hundred the actors have their turn, so that there are never many.
pub async fn by_hundreds(arbiters: &Arbiters, count: u64) -> f64 {
    many(arbiters, count, 100).await
}

/// They are started in turn on either arbiter.
async fn many(arbiters: &Arbiters, count: u64, before_giving_way: u64) -> f64 {
    let (lives, all_ended) = Countdown::from(count);
    let start = Instant::now();
    for number in 0..count {
        let mayfly = Mayfly { _life: Life(lives.batch(number)) };
        arbiters.start(number as usize, mayfly).do_send(Fly);
        if number % before_giving_way == before_giving_way - 1 {
            yield_now().await;
        }
    }
    all_ended.await.expect("all end");
    nanos_each(start, count)
}

/// Starts a child when the last has said that it is there.
struct Parent {
    arbiters: Arbiters,
    left: u64,
    over: Option<oneshot::Sender<()>>,
}

impl Actor for Parent {
    type Context = Context<Self>;

    fn started(&mut self, cx: &mut Context<Self>) {
        self.start_child(cx);
    }
}

impl Parent {
    fn start_child(&self, cx: &mut Context<Self>) {
        self.arbiters.start(1, Child { parent: cx.address() });
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct IsThere;

impl Handler<IsThere> for Parent {
    type Result = ();

    fn handle(&mut self, _: IsThere, cx: &mut Context<Self>) {
        self.left -= 1;
        if self.left > 0 {
            self.start_child(cx);
        } else if let Some(over) = self.over.take() {
            let _ = over.send(());
        }
    }
}

struct Child {
    parent: Addr<Parent>,
}

impl Actor for Child {
    type Context = Context<Self>;

    fn started(&mut self, cx: &mut Context<Self>) {
        self.parent.do_send(IsThere);
        cx.stop();
    }
}

/// The parent is on the first arbiter, its children on the second if there is one.
pub async fn one_by_one(arbiters: &Arbiters, count: u64) -> f64 {
    let (over, all_over) = oneshot::channel();
    let start = Instant::now();
    let _parent = Parent { arbiters: arbiters.clone(), left: count, over: Some(over) }.start();
    all_over.await.expect("the last child says that it is there");
    nanos_each(start, count)
}
