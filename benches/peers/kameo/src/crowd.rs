//! Ping-pong between random pairs out of very many live actors: hardly any of them is in a cache.

use std::sync::Arc;
use std::time::Instant;

use kameo::prelude::{Actor, ActorRef, Context, Message};
use peer::ball::{BALLS, Ball, balls};
use peer::countdown::{Batch, Countdown};
use peer::host::on_workers;
use peer::measure::nanos_each;

use crate::host::{spawn, tell};

#[derive(Actor)]
struct Player;

struct Arrive(&'static Batch);

impl Message<Arrive> for Player {
    type Reply = ();

    async fn handle(&mut self, Arrive(at): Arrive, _: &mut Context<Self, ()>) {
        at.count();
    }
}

struct Serve(Ball<ActorRef<Player>>);

impl Message<Serve> for Player {
    type Reply = ();

    async fn handle(&mut self, Serve(mut ball): Serve, _: &mut Context<Self, ()>) {
        let (crowd, other) = (Arc::clone(&ball.crowd), ball.other());
        tell(&crowd[other], Hit(ball));
    }
}

struct Hit(Ball<ActorRef<Player>>);

impl Message<Hit> for Player {
    type Reply = ();

    async fn handle(&mut self, Hit(ball): Hit, _: &mut Context<Self, ()>) {
        let crowd = Arc::clone(&ball.crowd);
        tell(&crowd[ball.server], Back(ball));
    }
}

struct Back(Ball<ActorRef<Player>>);

impl Message<Back> for Player {
    type Reply = ();

    async fn handle(&mut self, Back(ball): Back, _: &mut Context<Self, ()>) {
        let crowd = Arc::clone(&ball.crowd);
        if let Some(ball) = ball.next() {
            tell(&crowd[ball.server], Serve(ball));
        }
    }
}

/// With `count` actors, as many round trips.
pub(crate) fn run(count: u64) -> Vec<f64> {
    on_workers(async move {
        let crowd: Arc<[ActorRef<Player>]> = (0..count).map(|_| spawn(Player)).collect();
        let (arrivals, all_there) = Countdown::from(count);
        for (number, player) in crowd.iter().enumerate() {
            tell(player, Arrive(arrivals.batch(number as u64)));
        }
        all_there.await.expect("all are there");
        play(&crowd, count / 10).await;
        vec![play(&crowd, count).await]
    })
}

async fn play(crowd: &Arc<[ActorRef<Player>]>, rounds: u64) -> f64 {
    let (balls, over) = balls(crowd, rounds);
    let start = Instant::now();
    for ball in balls {
        tell(&crowd[ball.server], Serve(ball));
    }
    over.await.expect("every ball comes to its end");
    nanos_each(start, rounds / BALLS * BALLS)
}
