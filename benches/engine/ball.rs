//! What goes to and fro between random pairs out of a crowd. `benches/peers` compiles this file too.
#![allow(unreachable_pub, reason = "in `benches/peers` it is part of a library")]

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::countdown::{Batch, Countdown};

/// So many balls are in the air, so that all threads have something to do.
pub const BALLS: u64 = 64;
const SEED: u64 = 0x2545_F491_4F6C_DD1D;

/// The same pairs for all contenders, in each run.
struct Random(u64);

impl Random {
    /// One of `count` (xorshift).
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * count as u128) >> 64) as usize
    }
}

/// What goes to and fro, and then to the next pair. `P` is how one is reached.
pub struct Ball<P> {
    pub crowd: Arc<[P]>,
    random: Random,
    pub server: usize,
    left: u64,
    over: &'static Batch,
}

impl<P> Ball<P> {
    /// Who receives it.
    pub fn other(&mut self) -> usize {
        self.random.below(self.crowd.len())
    }

    /// It is back: whose turn it is now to serve it, if it goes on.
    pub fn next(mut self) -> Option<Self> {
        self.left -= 1;
        self.server = self.other();
        if self.left == 0 {
            self.over.count();
            return None;
        }
        Some(self)
    }
}

/// The balls for so many round trips, and where to wait for their end.
pub fn balls<P>(crowd: &Arc<[P]>, rounds: u64) -> (Vec<Ball<P>>, oneshot::Receiver<()>) {
    let (countdown, over) = Countdown::from(BALLS);
    let ball = |number| {
        let mut random = Random(SEED + number);
        let server = random.below(crowd.len());
        Ball { crowd: Arc::clone(crowd), random, server, left: rounds / BALLS, over: countdown.batch(number) }
    };
    ((0..BALLS).map(ball).collect(), over)
}
