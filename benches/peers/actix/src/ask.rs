//! One caller, one server, calls awaited one after the other.

use std::time::Instant;

use actix::prelude::*;
use peer::measure::nanos_each;

use crate::arbiters::Arbiters;

#[derive(Default)]
struct Counter {
    value: u64,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Add(u64);

impl Handler<Add> for Counter {
    type Result = u64;

    fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
        self.value += n;
        self.value
    }
}

/// The caller is on the first arbiter, the server on the second if there is one.
pub async fn work(arbiters: &Arbiters, calls: u64) -> f64 {
    let counter = arbiters.start(1, Counter::default());
    let start = Instant::now();
    for n in 1..=calls {
        assert_eq!(counter.send(Add(1)).await, Ok(n));
    }
    nanos_each(start, calls)
}
