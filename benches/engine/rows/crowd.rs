//! Ping-pong between random pairs out of very many live processes: hardly any of them is in a cache.

use std::sync::Arc;
use std::time::Instant;

use biotope::prelude::*;
use tokio::sync::mpsc;

use crate::countdown::{Batch, Countdown};
use crate::host::{Biotope, nanos_each, tokio_runtime};

/// So many balls are in the air, so that both workers have something to do.
const BALLS: u64 = 64;
const SEED: u64 = 0x2545_F491_4F6C_DD1D;

/// The same pairs for both contenders, in each run.
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

/// What goes to and fro, and then to the next pair. `P` is how one is reached.
struct Ball<P> {
    crowd: Arc<[P]>,
    random: Random,
    server: usize,
    left: u64,
    over: &'static Batch,
}

impl<P> Ball<P> {
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
fn balls<P>(crowd: &Arc<[P]>, rounds: u64) -> (Vec<Ball<P>>, tokio::sync::oneshot::Receiver<()>) {
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

#[handlers]
impl Player {
    #[cast]
    fn arrive(&mut self, at: &'static Batch) {
        at.count();
    }

    #[cast]
    fn serve(&mut self, mut ball: Ball<ActorRef<Player>>) {
        let (crowd, other) = (Arc::clone(&ball.crowd), ball.other());
        crowd[other].hit(ball);
    }

    #[cast]
    fn hit(&mut self, ball: Ball<ActorRef<Player>>) {
        let crowd = Arc::clone(&ball.crowd);
        crowd[ball.server].back(ball);
    }

    #[cast]
    fn back(&mut self, ball: Ball<ActorRef<Player>>) {
        let crowd = Arc::clone(&ball.crowd);
        if let Some(ball) = ball.next() {
            crowd[ball.server].serve(ball);
        }
    }
}

/// With `count` processes, as many round trips.
pub(crate) fn on_biotope(count: u64) -> Vec<f64> {
    Biotope::new().run(async move {
        let crowd: Arc<[ActorRef<Player>]> = (0..count).map(|_| spawn(Player)).collect();
        let (arrivals, all_there) = Countdown::from(count);
        for (number, player) in crowd.iter().enumerate() {
            player.arrive(arrivals.batch(number as u64));
        }
        all_there.await?;
        let play = async |rounds| {
            let (balls, over) = balls(&crowd, rounds);
            let start = Instant::now();
            for ball in balls {
                crowd[ball.server].serve(ball);
            }
            over.await?;
            Ok::<f64, biotope::Error>(nanos_each(start, rounds / BALLS * BALLS))
        };
        play(count / 10).await?;
        Ok(vec![play(count).await?])
    })
}

enum ToPlayer {
    Arrive(&'static Batch),
    Serve(Ball<mpsc::UnboundedSender<ToPlayer>>),
    Hit(Ball<mpsc::UnboundedSender<ToPlayer>>),
    Back(Ball<mpsc::UnboundedSender<ToPlayer>>),
}

async fn play(mut inbox: mpsc::UnboundedReceiver<ToPlayer>) {
    while let Some(message) = inbox.recv().await {
        match message {
            ToPlayer::Arrive(at) => at.count(),
            ToPlayer::Serve(mut ball) => {
                let (crowd, other) = (Arc::clone(&ball.crowd), ball.other());
                let _ = crowd[other].send(ToPlayer::Hit(ball));
            }
            ToPlayer::Hit(ball) => {
                let crowd = Arc::clone(&ball.crowd);
                let _ = crowd[ball.server].send(ToPlayer::Back(ball));
            }
            ToPlayer::Back(ball) => {
                let crowd = Arc::clone(&ball.crowd);
                if let Some(ball) = ball.next() {
                    let _ = crowd[ball.server].send(ToPlayer::Serve(ball));
                }
            }
        }
    }
}

pub(crate) fn on_tokio(count: u64) -> Vec<f64> {
    let runtime = tokio_runtime();
    let task = runtime.spawn(async move {
        let crowd: Arc<[mpsc::UnboundedSender<ToPlayer>]> = (0..count)
            .map(|_| {
                let (sender, inbox) = mpsc::unbounded_channel();
                tokio::spawn(play(inbox));
                sender
            })
            .collect();
        let (arrivals, all_there) = Countdown::from(count);
        for (number, player) in crowd.iter().enumerate() {
            let _ = player.send(ToPlayer::Arrive(arrivals.batch(number as u64)));
        }
        all_there.await.expect("all are there");
        let play = async |rounds| {
            let (balls, over) = balls(&crowd, rounds);
            let start = Instant::now();
            for ball in balls {
                let _ = crowd[ball.server].send(ToPlayer::Serve(ball));
            }
            over.await.expect("every ball comes to its end");
            nanos_each(start, rounds / BALLS * BALLS)
        };
        play(count / 10).await;
        vec![play(count).await]
    });
    let figures = runtime.block_on(task).expect("it does not panic");
    std::mem::forget(runtime);
    figures
}
