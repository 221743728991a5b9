//! Ping-pong between random pairs out of very many live actors: hardly any of them is in a cache.

use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use peer::countdown::{Batch, Countdown};
use peer::measure::nanos_each;
use tokio::sync::oneshot;

use crate::arbiters::Arbiters;

/// So many balls are in the air, so that all threads have something to do.
const BALLS: u64 = 64;
const SEED: u64 = 0x2545_F491_4F6C_DD1D;

/// The same pairs for all peers, in each run.
struct Random(u64);

impl Random {
    /// One of `count` (xorshift).
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * count as u128) >> 64) as usize
    }
}

/// What goes to and fro, and then to the next pair.
struct Ball {
    crowd: Arc<[Addr<Player>]>,
    random: Random,
    server: usize,
    left: u64,
    over: &'static Batch,
}

impl Ball {
    /// Who receives it.
    fn other(&mut self) -> usize {
        self.random.below(self.crowd.len())
    }

    /// It is back: whose turn it is now to serve it, if it goes on.
    fn next(mut self) -> Option<Self> {
        self.left -= 1;
        self.server = self.other();
        if self.left == 0 {
            self.over.count();
            return None;
        }
        Some(self)
    }
}

/// The balls for so many round trips, and where to wait for their end.
fn balls(crowd: &Arc<[Addr<Player>]>, rounds: u64) -> (Vec<Ball>, oneshot::Receiver<()>) {
    let (countdown, over) = Countdown::from(BALLS);
    let ball = |number| {
        let mut random = Random(SEED + number);
        let server = random.below(crowd.len());
        Ball { crowd: Arc::clone(crowd), random, server, left: rounds / BALLS, over: countdown.batch(number) }
    };
    ((0..BALLS).map(ball).collect(), over)
}

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
struct Serve(Ball);

impl Handler<Serve> for Player {
    type Result = ();

    fn handle(&mut self, Serve(mut ball): Serve, _: &mut Context<Self>) {
        let (crowd, other) = (Arc::clone(&ball.crowd), ball.other());
        crowd[other].do_send(Hit(ball));
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Hit(Ball);

impl Handler<Hit> for Player {
    type Result = ();

    fn handle(&mut self, Hit(ball): Hit, _: &mut Context<Self>) {
        let crowd = Arc::clone(&ball.crowd);
        crowd[ball.server].do_send(Back(ball));
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Back(Ball);

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
