//! Two actors, one message to and fro.

use std::time::Instant;

use kameo::prelude::{Actor, ActorRef, Context, DelegatedReply, Message, ReplySender};
use peer::measure::nanos_each;

use crate::host::{spawn, tell};

struct Ball;

#[derive(Actor, Default)]
struct Ping {
    pong: Option<ActorRef<Pong>>,
    left: u64,
    over: Option<ReplySender<()>>,
}

/// Asks Ping to serve so many times. The reply comes when the last ball is back.
struct Play {
    pong: ActorRef<Pong>,
    rounds: u64,
}

impl Message<Play> for Ping {
    type Reply = DelegatedReply<()>;

    async fn handle(&mut self, Play { pong, rounds }: Play, cx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (reply, over) = cx.reply_sender();
        self.left = rounds;
        self.over = over;
        tell(&pong, Ball);
        self.pong = Some(pong);
        reply
    }
}

impl Message<Ball> for Ping {
    type Reply = ();

    async fn handle(&mut self, _: Ball, _: &mut Context<Self, ()>) {
        self.left -= 1;
        match &self.pong {
            Some(pong) if self.left > 0 => tell(pong, Ball),
            _ => {
                if let Some(over) = self.over.take() {
                    over.send(());
                }
            }
        }
    }
}

#[derive(Actor)]
struct Pong {
    ping: ActorRef<Ping>,
}

impl Message<Ball> for Pong {
    type Reply = ();

    async fn handle(&mut self, _: Ball, _: &mut Context<Self, ()>) {
        tell(&self.ping, Ball);
    }
}

pub(crate) async fn run(rounds: u64) -> f64 {
    let ping = spawn(Ping::default());
    let pong = spawn(Pong { ping: ping.clone() });
    let start = Instant::now();
    ping.ask(Play { pong, rounds }).send().await.expect("the last ball comes back");
    nanos_each(start, rounds)
}
