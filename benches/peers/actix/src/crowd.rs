//! Ping-pong between random pairs out of very many live actors: hardly any of them is in a cache.

use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use peer::ball::{BALLS, Ball, balls};
use peer::countdown::{Batch, Countdown};
use peer::measure::nanos_each;

use crate::arbiters::Arbiters;

struct Player;

impl Actor for Player {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Arrive(&'static Batch);

impl Handler<Arrive> for Player {
    type Result = ();

    fn handle(&mut self, Arrive(at): Arrive, _: &mut Context<Self>) {
        at.count();
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Serve(Ball<Addr<Player>>);

impl Handler<Serve> for Player {
    type Result = ();

    fn handle(&mut self, Serve(mut ball): Serve, _: &mut Context<Self>) {
        let (crowd, other) = (Arc::clone(&ball.crowd), ball.other());
        crowd[other].do_send(Hit(ball));
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Hit(Ball<Addr<Player>>);

impl Handler<Hit> for Player {
    type Result = ();

    fn handle(&mut self, Hit(ball): Hit, _: &mut Context<Self>) {
        let crowd = Arc::clone(&ball.crowd);
        crowd[ball.server].do_send(Back(ball));
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Back(Ball<Addr<Player>>);

impl Handler<Back> for Player {
    type Result = ();

    fn handle(&mut self, Back(ball): Back, _: &mut Context<Self>) {
        let crowd = Arc::clone(&ball.crowd);
        if let Some(ball) = ball.next() {
            crowd[ball.server].do_send(Serve(ball));
        }
    }
}

/// With `count` actors, in turn on either arbiter, as many round trips.
pub async fn work(arbiters: &Arbiters, count: u64) -> f64 {
    let crowd: Arc<[Addr<Player>]> = (0..count as usize).map(|number| arbiters.start(number, Player)).collect();
    let (arrivals, all_there) = Countdown::from(count);
    for (number, player) in crowd.iter().enumerate() {
        player.do_send(Arrive(arrivals.batch(number as u64)));
    }
    all_there.await.expect("all are there");
    play(&crowd, count / 10).await;
    play(&crowd, count).await
}

async fn play(crowd: &Arc<[Addr<Player>]>, rounds: u64) -> f64 {
    let (balls, over) = balls(crowd, rounds);
    let start = Instant::now();
    for ball in balls {
        crowd[ball.server].do_send(Serve(ball));
    }
    over.await.expect("every ball comes to its end");
    nanos_each(start, rounds / BALLS * BALLS)
}
