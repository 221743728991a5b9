//! Processes in a ring pass a token on: what a message from process to process costs.
//!
//! ```text
//! cargo run --release --example ring                   1,000 processes, 500 rounds
//! cargo run --release --example ring -- 100 10000      100 processes, 10,000 rounds
//! ```
//!
//! Only one process has something to do at any moment, so this measures the way of one message, not
//! what all workers can do together. Prints, with other figures:
//!
//! ```text
//! 1000 processes passed a token 500 times round: 500000 hops in 0.41 s, 1219512 hops/s
//! every process held it 500 times
//! ```

use std::time::Instant;

use biotope::prelude::*;

/// One place in the ring.
#[derive(Actor, Default)]
struct Place {
    next: Option<ActorRef<Place>>,
    held: u64,
}

/// What goes round. It carries the way home with it.
struct Token {
    hops: u64,
    left: u64,
    home: ReplyTo<u64>,
}

#[handlers]
impl Place {
    /// Says who comes after this one.
    fn follow(&mut self, next: ActorRef<Place>) {
        self.next = Some(next);
    }

    /// Sends a token round. The reply comes, with the number of hops made, from wherever it ends.
    fn circulate(&mut self, hops: u64, home: ReplyTo<u64>) {
        self.pass(Token { hops: 0, left: hops, home });
    }

    #[cast]
    fn pass(&mut self, token: Token) {
        let Token { hops, left, home } = token;
        self.held += 1;
        match &self.next {
            Some(next) if left > 1 => next.pass(Token { hops: hops + 1, left: left - 1, home }),
            _ => home.send(hops + 1),
        }
    }

    fn held(&self) -> u64 {
        self.held
    }
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    let (count, rounds) = (argument(1, 1_000)?, argument(2, 500)?);
    let hops = count * rounds;

    let ring: Vec<ActorRef<Place>> = (0..count).map(|_| spawn(Place::default())).collect();
    for (place, next) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        place.follow(next.clone()).await?;
    }

    let start = Instant::now();
    let made = ring[0].circulate(hops).timeout(secs(600)).await?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{count} processes passed a token {rounds} times round: {made} hops in {seconds:.2} s, {:.0} hops/s",
        made as f64 / seconds
    );
    assert_eq!(made, hops);

    for place in &ring {
        assert_eq!(place.held().await?, rounds);
    }
    println!("every process held it {rounds} times");
    Ok(())
}

/// The argument at `place`, a number above zero.
fn argument(place: usize, default: u64) -> biotope::Result<u64> {
    match std::env::args().nth(place) {
        Some(text) => Ok(text.parse::<std::num::NonZeroU64>()?.get()),
        None => Ok(default),
    }
}
