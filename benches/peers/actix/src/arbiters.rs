//! Where the work is done: on the system's own arbiter, or on that and a second.

use actix::prelude::*;
use actix::{ArbiterHandle, spawn};
use tokio::task::yield_now;

/// The arbiters that actors are split over, by number: those with even numbers are on the first.
#[derive(Clone)]
pub struct Arbiters {
    second: Option<ArbiterHandle>,
}

impl Arbiters {
    /// Called on the first, as are all that start actors.
    fn new(count: usize) -> Self {
        // The thread lives on when the `Arbiter` is dropped.
        Self { second: (count == 2).then(|| Arbiter::new().handle()) }
    }

    /// Starts the actor with this number.
    pub fn start<A: Actor<Context = Context<A>> + Send>(&self, number: usize, actor: A) -> Addr<A> {
        match &self.second {
            Some(second) if number % 2 == 1 => A::start_in_arbiter(second, |_| actor),
            _ => actor.start(),
        }
    }
}

/// What `work` gives for `count` units, after a tenth as many to warm up.
pub fn warm(arbiters: usize, count: u64, work: impl AsyncFn(&Arbiters, u64) -> f64 + 'static) -> Vec<f64> {
    once(arbiters, count, async move |arbiters, count| {
        work(arbiters, count / 10).await;
        work(arbiters, count).await
    })
}

/// What `work` gives for `count` units, of a workload that needs no more to warm up than it does itself.
pub fn once(arbiters: usize, count: u64, work: impl AsyncFn(&Arbiters, u64) -> f64 + 'static) -> Vec<f64> {
    System::new().block_on(async move {
        let task = spawn(async move { work(&Arbiters::new(arbiters), count).await });
        vec![task.await.expect("the work is done without a panic")]
    })
}

/// All others have their turn before this actor's next message.
pub fn give_way<A: Actor<Context = Context<A>>>(actor: &A, cx: &mut Context<A>) {
    cx.wait(yield_now().into_actor(actor));
}
