//! One caller, one server, calls awaited one after the other.

use std::time::Instant;

use biotope::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::host::nanos_each;

#[derive(Actor, Default)]
struct Counter {
    value: u64,
}

#[handlers]
impl Counter {
    fn add(&mut self, n: u64) -> u64 {
        self.value += n;
        self.value
    }
}

pub(crate) async fn on_biotope(calls: u64) -> biotope::Result<f64> {
    let counter = spawn(Counter::default());
    let start = Instant::now();
    for n in 1..=calls {
        assert_eq!(counter.add(1).await?, n);
    }
    Ok(nanos_each(start, calls))
}

pub(crate) async fn on_tokio(calls: u64) -> f64 {
    let (counter, mut inbox) = mpsc::unbounded_channel::<(u64, oneshot::Sender<u64>)>();
    tokio::spawn(async move {
        let mut value = 0;
        while let Some((n, reply)) = inbox.recv().await {
            value += n;
            let _ = reply.send(value);
        }
    });
    let start = Instant::now();
    for n in 1..=calls {
        let (reply, value) = oneshot::channel();
        let _ = counter.send((1, reply));
        assert_eq!(value.await, Ok(n));
    }
    nanos_each(start, calls)
}
