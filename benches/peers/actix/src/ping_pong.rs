//! Two actors, one message to and fro.

use std::time::Instant;

use actix::prelude::*;
use peer::measure::nanos_each;
use tokio::sync::oneshot;

use crate::arbiters::Arbiters;

#[derive(Default)]
struct Ping {
    pong: Option<Addr<Pong>>,
    left: u64,
    over: Option<oneshot::Sender<()>>,
}

impl Actor for Ping {
    type Context = Context<Self>;
}

/// Serve `rounds` times, and tell when the last ball is back.
#[derive(Message)]
#[rtype(result = "()")]
struct Play {
    pong: Addr<Pong>,
    rounds: u64,
    over: oneshot::Sender<()>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Ball;

impl Handler<Play> for Ping {
    type Result = ();

    fn handle(&mut self, play: Play, _: &mut Context<Self>) {
        self.left = play.rounds;
        self.over = Some(play.over);
        play.pong.do_send(Ball);
        self.pong = Some(play.pong);
    }
}

impl Handler<Ball> for Ping {
    type Result = ();

    fn handle(&mut self, ball: Ball, _: &mut Context<Self>) {
        self.left -= 1;
        match &self.pong {
            Some(pong) if self.left > 0 => pong.do_send(ball),
            _ => {
                if let Some(over) = self.over.take() {
                    let _ = over.send(());
                }
            }
        }
    }
}

struct Pong {
    ping: Addr<Ping>,
}

impl Actor for Pong {
    type Context = Context<Self>;
}

impl Handler<Ball> for Pong {
    type Result = ();

    fn handle(&mut self, ball: Ball, _: &mut Context<Self>) {
        self.ping.do_send(ball);
    }
}

pub async fn work(arbiters: &Arbiters, rounds: u64) -> f64 {
    let ping = arbiters.start(0, Ping::default());
    let pong = arbiters.start(1, Pong { ping: ping.clone() });
    let (over, all_over) = oneshot::channel();
    let start = Instant::now();
    ping.do_send(Play { pong, rounds, over });
    all_over.await.expect("the last ball comes back");
    nanos_each(start, rounds)
}
