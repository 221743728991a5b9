//! Two processes, one message to and fro.

use std::time::Instant;

use biotope::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::host::{LONG, nanos_each};

#[derive(Actor, Default)]
struct Ping {
    pong: Option<ActorRef<Pong>>,
    left: u64,
    over: Option<ReplyTo<()>>,
}

#[handlers]
impl Ping {
    /// Serves `rounds` times. The reply comes when the last ball is back.
    fn play(&mut self, pong: ActorRef<Pong>, rounds: u64, over: ReplyTo<()>) {
        self.left = rounds;
        self.over = Some(over);
        pong.ball();
        self.pong = Some(pong);
    }

    #[cast]
    fn ball(&mut self) {
        self.left -= 1;
        match &self.pong {
            Some(pong) if self.left > 0 => pong.ball(),
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

#[handlers]
impl Pong {
    #[cast]
    fn ball(&mut self) {
        self.ping.ball();
    }
}

pub(crate) async fn on_biotope(rounds: u64) -> biotope::Result<f64> {
    let ping = spawn(Ping::default());
    let pong = spawn(Pong { ping: ping.clone() });
    let start = Instant::now();
    ping.play(pong, rounds).timeout(LONG).await?;
    Ok(nanos_each(start, rounds))
}

/// The same in straight-line code.
pub(crate) async fn straight_on_biotope(rounds: u64) -> biotope::Result<f64> {
    let (sender, figure) = oneshot::channel();
    spawn_process(async move |mut me: Process<()>| {
        let ping = me.address();
        let pong = spawn_process(async move |mut me: Process<()>| {
            loop {
                me.receive().await?;
                ping.cast(());
            }
        });
        let start = Instant::now();
        for _ in 0..rounds {
            pong.cast(());
            me.receive().await?;
        }
        let _ = sender.send(nanos_each(start, rounds));
        Ok(())
    });
    Ok(figure.await?)
}

pub(crate) async fn on_tokio(rounds: u64) -> f64 {
    let (to_ping, mut at_ping) = mpsc::unbounded_channel();
    let (to_pong, mut at_pong) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(()) = at_pong.recv().await {
            let _ = to_ping.send(());
        }
    });
    let start = Instant::now();
    let ping = tokio::spawn(async move {
        for _ in 0..rounds {
            let _ = to_pong.send(());
            at_ping.recv().await;
        }
    });
    ping.await.expect("it does not panic");
    nanos_each(start, rounds)
}
