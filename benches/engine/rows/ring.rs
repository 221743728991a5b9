//! A thousand processes in a ring pass tokens on: one, or a hundred.

use std::time::Instant;

use biotope::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::host::{LONG, nanos_each};

const PLACES: usize = 1_000;

/// What goes round. It carries the way home with it.
struct Token<Home> {
    hops_left: u64,
    home: Home,
}

/// One place in the ring.
#[derive(Actor, Default)]
struct Place {
    next: Option<ActorRef<Place>>,
}

#[handlers]
impl Place {
    fn follow(&mut self, next: ActorRef<Place>) {
        self.next = Some(next);
    }

    /// Sends a token round. The reply comes from wherever it ends.
    fn circulate(&mut self, hops: u64, home: ReplyTo<()>) {
        self.pass(Token { hops_left: hops, home });
    }

    #[cast]
    fn pass(&mut self, token: Token<ReplyTo<()>>) {
        let Token { hops_left, home } = token;
        match &self.next {
            Some(next) if hops_left > 0 => next.pass(Token { hops_left: hops_left - 1, home }),
            _ => home.send(()),
        }
    }
}

pub(crate) async fn on_biotope(tokens: u64, hops: u64) -> biotope::Result<f64> {
    let hops_each = hops / tokens;
    let ring: Vec<ActorRef<Place>> = (0..PLACES).map(|_| spawn(Place::default())).collect();
    for (place, next) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        place.follow(next.clone()).await?;
    }

    let start = Instant::now();
    let from = ring.iter().step_by(PLACES / tokens as usize);
    let tokens_home: Vec<_> = from.map(|place| place.circulate(hops_each).timeout(LONG).send()).collect();
    for home in tokens_home {
        home.await?;
    }
    Ok(nanos_each(start, hops_each * tokens))
}

/// The same in straight-line code.
pub(crate) async fn straight_on_biotope(tokens: u64, hops: u64) -> biotope::Result<f64> {
    let hops_each = hops / tokens;
    let mut ring = Vec::new();
    let mut followed = Vec::new();
    for _ in 0..PLACES {
        let (follow, next) = oneshot::channel::<Address<Token<oneshot::Sender<()>>>>();
        followed.push(follow);
        ring.push(spawn_process(async move |mut me: Process<Token<oneshot::Sender<()>>>| {
            let next = next.await?;
            loop {
                let Token { hops_left, home } = me.receive().await?;
                match hops_left {
                    0 => {
                        let _ = home.send(());
                    }
                    _ => next.cast(Token { hops_left: hops_left - 1, home }),
                }
            }
        }));
    }
    for (follow, next) in followed.into_iter().zip(ring.iter().cycle().skip(1)) {
        let _ = follow.send(next.clone());
    }

    let start = Instant::now();
    let from = ring.iter().step_by(PLACES / tokens as usize);
    let tokens_home: Vec<_> = from
        .map(|place| {
            let (home, at_home) = oneshot::channel();
            place.cast(Token { hops_left: hops_each, home });
            at_home
        })
        .collect();
    for home in tokens_home {
        home.await?;
    }
    Ok(nanos_each(start, hops_each * tokens))
}

pub(crate) async fn on_tokio(tokens: u64, hops: u64) -> f64 {
    let hops_each = hops / tokens;
    let (ring, inboxes): (Vec<_>, Vec<_>) =
        (0..PLACES).map(|_| mpsc::unbounded_channel::<Token<oneshot::Sender<()>>>()).unzip();
    for (mut inbox, next) in inboxes.into_iter().zip(ring.iter().cycle().skip(1).cloned()) {
        tokio::spawn(async move {
            while let Some(Token { hops_left, home }) = inbox.recv().await {
                let _ = match hops_left {
                    0 => home.send(()).is_ok(),
                    _ => next.send(Token { hops_left: hops_left - 1, home }).is_ok(),
                };
            }
        });
    }

    let start = Instant::now();
    let from = ring.iter().step_by(PLACES / tokens as usize);
    let tokens_home: Vec<_> = from
        .map(|place| {
            let (home, at_home) = oneshot::channel();
            let _ = place.send(Token { hops_left: hops_each, home });
            at_home
        })
        .collect();
    for home in tokens_home {
        home.await.expect("no token is lost");
    }
    nanos_each(start, hops_each * tokens)
}
