//! Ping-pong between random pairs out of very many live actors: hardly any of them is in a cache.

use std::sync::Arc;
use std::time::Instant;

use kameo::prelude::{Actor, ActorRef, Context, Message};
use peer::countdown::{Batch, Countdown};
use peer::measure::nanos_each;
use tokio::sync::oneshot;

use crate::host::{on_workers, spawn, tell};

/// So many balls are in the air, so that both workers have something to do.
const BALLS: u64 = 64;
const SEED: u64 = 0x2545_F491_4F6C_DD1D;

/// The same pairs in each run.
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
    crowd: Arc<[ActorRef<Player>]>,
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
fn balls(crowd: &Arc<[ActorRef<Player>]>, rounds: u64) -> (Vec<Ball>, oneshot::Receiver<()>) {
    let (countdown, over) = Countdown::from(BALLS);
    let ball = |number| {
        let mut random = Random(SEED + number);
        let server = random.below(crowd.len());
        Ball { crowd: Arc::clone(crowd), random, server, left: rounds / BALLS, over: countdown.batch(number) }
    };
    ((0..BALLS).map(ball).collect(), over)
}

#[derive(Actor)]
struct Player;

struct Arrive(&'static Batch);

impl Message<Arrive> for Player {
    type Reply = ();

    async fn handle(&mut self, Arrive(at): Arrive, _: &mut Context<Self, ()>) {
        at.count();
    }
}

struct Serve(Ball);

impl Message<Serve> for Player {
    type Reply = ();

    async fn handle(&mut self, Serve(mut ball): Serve, _: &mut Context<Self, ()>) {
        let (crowd, other) = (Arc::clone(&ball.crowd), ball.other());
        tell(&crowd[other], Hit(ball));
    }
}

struct Hit(Ball);

impl Message<Hit> for Player {
    type Reply = ();

    async fn handle(&mut self, Hit(ball): Hit, _: &mut Context<Self, ()>) {
        let crowd = Arc::clone(&ball.crowd);
        tell(&crowd[ball.server], Back(ball));
    }
}

struct Back(Ball);

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
