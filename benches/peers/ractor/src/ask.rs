//! One caller, one server, calls awaited one after the other.

use std::time::Instant;

use peer::measure::nanos_each;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, call};

use crate::host::{Handled, spawn};

struct Add(u64, RpcReplyPort<u64>);

struct Counter;

impl Actor for Counter {
    type Msg = Add;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Add>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(&self, _: ActorRef<Add>, Add(n, reply): Add, value: &mut u64) -> Handled {
        *value += n;
        Ok(reply.send(*value)?)
    }
}

pub(crate) async fn run(calls: u64) -> f64 {
    let counter = spawn(Counter, ()).await;
    let start = Instant::now();
    for n in 1..=calls {
        assert_eq!(call!(counter, Add, 1).expect("the counter lives"), n);
    }
    nanos_each(start, calls)
}
