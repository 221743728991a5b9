//! One caller, one server, calls awaited one after the other.

use std::time::Instant;

use kameo::prelude::{Actor, Context, Message};
use peer::measure::nanos_each;

use crate::host::spawn;

#[derive(Actor, Default)]
struct Counter {
    value: u64,
}

struct Add(u64);

impl Message<Add> for Counter {
    type Reply = u64;

    async fn handle(&mut self, Add(n): Add, _: &mut Context<Self, u64>) -> u64 {
        self.value += n;
        self.value
    }
}

pub(crate) async fn run(calls: u64) -> f64 {
    let counter = spawn(Counter::default());
    let start = Instant::now();
    for n in 1..=calls {
        assert_eq!(counter.ask(Add(1)).send().await.expect("the counter lives"), n);
    }
    nanos_each(start, calls)
}
