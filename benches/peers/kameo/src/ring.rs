//! A thousand actors in a ring pass tokens on: one, or a hundred.

use std::time::Instant;

use kameo::prelude::{Actor, ActorRef, Context, DelegatedReply, Message, ReplySender};
use peer::measure::nanos_each;

use crate::host::{spawn, tell};

const PLACES: usize = 1_000;

/// What goes round. It carries the way home with it.
struct Token {
    hops_left: u64,
    home: ReplySender<()>,
}

/// One place in the ring.
#[derive(Actor, Default)]
struct Place {
    next: Option<ActorRef<Place>>,
}

struct Follow(ActorRef<Place>);

impl Message<Follow> for Place {
    type Reply = ();

    async fn handle(&mut self, Follow(next): Follow, _: &mut Context<Self, ()>) {
        self.next = Some(next);
    }
}

/// Sends a token round. The reply comes from wherever it ends.
struct Circulate {
    hops: u64,
}

impl Message<Circulate> for Place {
    type Reply = DelegatedReply<()>;

    async fn handle(&mut self, Circulate { hops }: Circulate, cx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (reply, home) = cx.reply_sender();
        self.pass(Token { hops_left: hops, home: home.expect("somebody asks") });
        reply
    }
}

impl Message<Token> for Place {
    type Reply = ();

    async fn handle(&mut self, token: Token, _: &mut Context<Self, ()>) {
        self.pass(token);
    }
}

impl Place {
    fn pass(&self, Token { hops_left, home }: Token) {
        match &self.next {
            Some(next) if hops_left > 0 => tell(next, Token { hops_left: hops_left - 1, home }),
            _ => home.send(()),
        }
    }
}

pub(crate) async fn run(tokens: u64, hops: u64) -> f64 {
    let hops_each = hops / tokens;
    let ring: Vec<ActorRef<Place>> = (0..PLACES).map(|_| spawn(Place::default())).collect();
    for (place, next) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        place.ask(Follow(next.clone())).send().await.expect("the place lives");
    }

    let start = Instant::now();
    let mut tokens_home = Vec::new();
    for place in ring.iter().step_by(PLACES / tokens as usize) {
        tokens_home.push(place.ask(Circulate { hops: hops_each }).enqueue().await.expect("the place lives"));
    }
    for home in tokens_home {
        home.await.expect("no token is lost");
    }
    nanos_each(start, hops_each * tokens)
}
