//! Ping-pong between random pairs out of very many live actors: hardly any of them is in a cache.

use std::sync::Arc;
use std::time::Instant;

use peer::ball::{BALLS, Ball, balls};
use peer::countdown::{Batch, Countdown};
use peer::host::on_workers;
use peer::measure::nanos_each;
use ractor::{Actor, ActorRef};

use crate::host::{Handled, spawn};

enum ToPlayer {
    Arrive(&'static Batch),
    Serve(Ball<ActorRef<ToPlayer>>),
    Hit(Ball<ActorRef<ToPlayer>>),
    Back(Ball<ActorRef<ToPlayer>>),
}

struct Player;

impl Actor for Player {
    type Msg = ToPlayer;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ToPlayer>, (): ()) -> Handled {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<ToPlayer>, message: ToPlayer, (): &mut ()) -> Handled {
        match message {
            ToPlayer::Arrive(at) => at.count(),
            ToPlayer::Serve(mut ball) => {
                let (crowd, other) = (Arc::clone(&ball.crowd), ball.other());
                crowd[other].cast(ToPlayer::Hit(ball))?;
            }
            ToPlayer::Hit(ball) => {
                let crowd = Arc::clone(&ball.crowd);
                crowd[ball.server].cast(ToPlayer::Back(ball))?;
            }
            ToPlayer::Back(ball) => {
                let crowd = Arc::clone(&ball.crowd);
                if let Some(ball) = ball.next() {
                    crowd[ball.server].cast(ToPlayer::Serve(ball))?;
                }
            }
        }
        Ok(())
    }
}

/// With `count` actors, as many round trips.
pub(crate) fn run(count: u64) -> Vec<f64> {
    on_workers(async move {
        let mut crowd = Vec::with_capacity(count as usize);
        for _ in 0..count {
            crowd.push(spawn(Player, ()).await);
        }
        let crowd: Arc<[ActorRef<ToPlayer>]> = crowd.into();
        let (arrivals, all_there) = Countdown::from(count);
        for (number, player) in crowd.iter().enumerate() {
            player.cast(ToPlayer::Arrive(arrivals.batch(number as u64))).expect("the player lives");
        }
        all_there.await.expect("all are there");
        play(&crowd, count / 10).await;
        vec![play(&crowd, count).await]
    })
}

async fn play(crowd: &Arc<[ActorRef<ToPlayer>]>, rounds: u64) -> f64 {
    let (balls, over) = balls(crowd, rounds);
    let start = Instant::now();
    for ball in balls {
        crowd[ball.server].cast(ToPlayer::Serve(ball)).expect("the player lives");
    }
    over.await.expect("every ball comes to its end");
    nanos_each(start, rounds / BALLS * BALLS)
}
