//! Ping-pong between random pairs out of very many live processes: hardly any of them is in a cache.

use std::sync::Arc;
use std::time::Instant;

use biotope::prelude::*;
use tokio::sync::mpsc;

use crate::ball::{BALLS, Ball, balls};
use crate::countdown::{Batch, Countdown};
use crate::host::{Biotope, nanos_each, tokio_runtime};

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
