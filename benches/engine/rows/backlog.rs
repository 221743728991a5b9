//! What a long mailbox costs whoever waits for something else than what is first in it.

use std::time::Instant;

use biotope::prelude::*;
use tokio::sync::oneshot;

use crate::host::{Biotope, nanos_each};

/// How often a message behind the whole backlog is received.
const SEARCHES: u64 = 20;

#[derive(Actor, Default)]
struct Echo;

#[handlers]
impl Echo {
    fn echo(&self, n: u64) -> u64 {
        n
    }
}

/// What lies in the mailbox.
#[derive(PartialEq)]
enum Letter {
    Junk,
    Wanted(u64),
}

/// One figure: how many times as long a call takes when its caller's mailbox holds `backlog` messages.
pub(crate) fn calls_on_biotope(backlog: u64) -> Vec<f64> {
    Biotope::new().run(async move {
        let (sender, figure) = oneshot::channel();
        spawn_process(async move |me: Process<Letter>| {
            let echo = spawn(Echo);
            let calls = backlog / 50;
            time_calls(&echo, calls).await?;
            let alone = time_calls(&echo, calls).await?;
            pile_up(&me, backlog);
            let behind_a_backlog = time_calls(&echo, calls).await?;
            let _ = sender.send(behind_a_backlog / alone);
            Ok(())
        });
        Ok(vec![figure.await?])
    })
}

/// For each message that a receive passes over before it finds the one that it wants.
pub(crate) async fn searches_on_biotope(backlog: u64) -> biotope::Result<f64> {
    let (sender, figure) = oneshot::channel();
    spawn_process(async move |mut me: Process<Letter>| {
        pile_up(&me, backlog);
        let start = Instant::now();
        for n in 0..SEARCHES {
            me.address().cast(Letter::Wanted(n));
            me.receive_match(|letter| *letter == Letter::Wanted(n)).await?;
        }
        let _ = sender.send(nanos_each(start, SEARCHES * backlog));
        Ok(())
    });
    Ok(figure.await?)
}

fn pile_up(me: &Process<Letter>, backlog: u64) {
    let myself = me.address();
    for _ in 0..backlog {
        myself.cast(Letter::Junk);
    }
}

async fn time_calls(echo: &ActorRef<Echo>, calls: u64) -> biotope::Result<f64> {
    let start = Instant::now();
    for n in 0..calls {
        assert_eq!(echo.echo(n).await?, n);
    }
    Ok(nanos_each(start, calls))
}
