//! What many actors cost that do nothing: memory, and the processor's time.

use actix::prelude::*;
use peer::measure::{self, bytes_each, resident_bytes};
use peer::started;
use tokio::task::spawn_blocking;

use crate::arbiters::Arbiters;

/// Its number is all that it has.
struct Idler {
    number: u64,
}

impl Actor for Idler {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        started::count(self.number);
    }
}

fn start(arbiters: &Arbiters, number: usize) -> Addr<Idler> {
    arbiters.start(number, Idler { number: number as u64 })
}

pub async fn bytes(arbiters: &Arbiters, count: u64) -> f64 {
    let all_started = started::expect(count);
    // The place for the addresses is resident before the look at the memory.
    let mut idlers: Vec<Option<Addr<Idler>>> = vec![None; count as usize];
    let before = resident_bytes();
    for (number, idler) in idlers.iter_mut().enumerate() {
        *idler = Some(start(arbiters, number));
    }
    all_started.await.expect("all start");
    let each = bytes_each(before, count);
    // An actor without an address ends.
    drop(idlers);
    each
}

pub async fn cpu(arbiters: &Arbiters, count: u64) -> f64 {
    let all_started = started::expect(count);
    let idlers: Vec<Addr<Idler>> = (0..count as usize).map(|number| start(arbiters, number)).collect();
    all_started.await.expect("all start");
    let millis = spawn_blocking(measure::idle_cpu).await.expect("it does not panic");
    drop(idlers);
    millis
}
