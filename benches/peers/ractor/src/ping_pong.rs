//! Two actors, one message to and fro.

use std::time::Instant;

use peer::measure::nanos_each;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::host::{Handled, reply_port, spawn};

struct Ball;

struct Ping;

/// How often Ping still is to get the ball, and who waits for the last.
struct Game {
    pong: ActorRef<Ball>,
    left: u64,
    over: Option<RpcReplyPort<()>>,
}

impl Actor for Ping {
    type Msg = Ball;
    type State = Game;
    type Arguments = (u64, RpcReplyPort<()>);

    /// Serves.
    async fn pre_start(
        &self,
        ping: ActorRef<Ball>,
        (rounds, over): Self::Arguments,
    ) -> Result<Game, ActorProcessingErr> {
        let pong = spawn(Pong { ping }, ()).await;
        pong.cast(Ball)?;
        Ok(Game { pong, left: rounds, over: Some(over) })
    }

    async fn handle(&self, _: ActorRef<Ball>, _: Ball, game: &mut Game) -> Handled {
        game.left -= 1;
        if game.left > 0 {
            game.pong.cast(Ball)?;
        } else if let Some(over) = game.over.take() {
            over.send(())?;
        }
        Ok(())
    }
}

struct Pong {
    ping: ActorRef<Ball>,
}

impl Actor for Pong {
    type Msg = Ball;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Ball>, (): ()) -> Handled {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Ball>, _: Ball, (): &mut ()) -> Handled {
        Ok(self.ping.cast(Ball)?)
    }
}

pub(crate) async fn run(rounds: u64) -> f64 {
    let (port, over) = reply_port();
    let start = Instant::now();
    spawn(Ping, (rounds, port)).await;
    over.await.expect("the last ball comes back");
    nanos_each(start, rounds)
}
