//! A thousand actors in a ring pass tokens on: one, or a hundred.

use std::time::Instant;

use actix::prelude::*;
use peer::measure::nanos_each;
use tokio::sync::oneshot;

use crate::arbiters::Arbiters;

const PLACES: usize = 1_000;

/// What goes round. It carries the way home with it.
#[derive(Message)]
#[rtype(result = "()")]
struct Token {
    hops_left: u64,
    home: oneshot::Sender<()>,
}

/// One place in the ring.
#[derive(Default)]
struct Place {
    next: Option<Addr<Place>>,
}

impl Actor for Place {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Follow(Addr<Place>);

impl Handler<Follow> for Place {
    type Result = ();

    fn handle(&mut self, Follow(next): Follow, _: &mut Context<Self>) {
        self.next = Some(next);
    }
}

impl Handler<Token> for Place {
    type Result = ();

    fn handle(&mut self, Token { hops_left, home }: Token, _: &mut Context<Self>) {
        match &self.next {
            Some(next) if hops_left > 0 => next.do_send(Token { hops_left: hops_left - 1, home }),
            _ => {
                let _ = home.send(());
            }
        }
    }
}

/// Each arbiter has one half of the ring, so that hardly a hop is between threads.
pub async fn work(arbiters: &Arbiters, tokens: u64, hops: u64) -> f64 {
    let hops_each = hops / tokens;
    let half = |number| number * 2 / PLACES;
    let ring: Vec<Addr<Place>> = (0..PLACES).map(|number| arbiters.start(half(number), Place::default())).collect();
    for (place, next) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        place.send(Follow(next.clone())).await.expect("it lives");
    }

    let start = Instant::now();
    let from = ring.iter().step_by(PLACES / tokens as usize);
    let tokens_home: Vec<_> = from
        .map(|place| {
            let (home, at_home) = oneshot::channel();
            place.do_send(Token { hops_left: hops_each, home });
            at_home
        })
        .collect();
    for home in tokens_home {
        home.await.expect("no token is lost");
    }
    nanos_each(start, hops_each * tokens)
}
