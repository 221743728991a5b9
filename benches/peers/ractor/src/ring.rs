//! A thousand actors in a ring pass tokens on: one, or a hundred.

use std::time::Instant;

use peer::measure::nanos_each;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, call};

use crate::host::{Handled, reply_port, spawn};

const PLACES: usize = 1_000;

enum ToPlace {
    Follow(ActorRef<ToPlace>, RpcReplyPort<()>),
    /// A token. It carries the way home with it.
    Pass {
        hops_left: u64,
        home: RpcReplyPort<()>,
    },
}

/// One place in the ring. Its state is the next.
struct Place;

impl Actor for Place {
    type Msg = ToPlace;
    type State = Option<ActorRef<ToPlace>>;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ToPlace>, (): ()) -> Result<Self::State, ActorProcessingErr> {
        Ok(None)
    }

    async fn handle(&self, _: ActorRef<ToPlace>, message: ToPlace, next: &mut Self::State) -> Handled {
        match message {
            ToPlace::Follow(other, done) => {
                *next = Some(other);
                done.send(())?;
            }
            ToPlace::Pass { hops_left, home } => match next {
                Some(next) if hops_left > 0 => next.cast(ToPlace::Pass { hops_left: hops_left - 1, home })?,
                _ => home.send(())?,
            },
        }
        Ok(())
    }
}

pub(crate) async fn run(tokens: u64, hops: u64) -> f64 {
    let hops_each = hops / tokens;
    let mut ring = Vec::new();
    for _ in 0..PLACES {
        ring.push(spawn(Place, ()).await);
    }
    for (place, next) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        call!(place, ToPlace::Follow, next.clone()).expect("the place lives");
    }

    let start = Instant::now();
    let from = ring.iter().step_by(PLACES / tokens as usize);
    let tokens_home: Vec<_> = from
        .map(|place| {
            let (home, at_home) = reply_port();
            place.cast(ToPlace::Pass { hops_left: hops_each, home }).expect("the place lives");
            at_home
        })
        .collect();
    for home in tokens_home {
        home.await.expect("no token is lost");
    }
    nanos_each(start, hops_each * tokens)
}
