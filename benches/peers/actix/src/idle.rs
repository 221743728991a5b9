//! What many actors cost that do nothing: memory, and the processor's time.

use std::sync::OnceLock;

use actix::prelude::*;
use peer::countdown::Countdown;
use peer::measure::{self, bytes_each, resident_bytes};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::arbiters::Arbiters;

/// Where idlers count when they have started. Not in their state, which is to be a `u64` and nothing else.
static STARTED: OnceLock<&'static Countdown> = OnceLock::new();

/// Its number is all that it has.
struct Idler {
    number: u64,
}

impl Actor for Idler {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        STARTED.get().expect("it is there before the idlers are").batch(self.number).count();
    }
}

/// Expects so many idlers: the receiver is told when all have started.
fn expect(count: u64) -> oneshot::Receiver<()> {
    let (countdown, all_started) = Countdown::from(count);
    assert!(STARTED.set(countdown).is_ok(), "an OS process measures once");
    all_started
}

fn start(arbiters: &Arbiters, number: usize) -> Addr<Idler> {
    arbiters.start(number, Idler { number: number as u64 })
}

pub async fn bytes(arbiters: &Arbiters, count: u64) -> f64 {
    let all_started = expect(count);
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
    let all_started = expect(count);
    let idlers: Vec<Addr<Idler>> = (0..count as usize).map(|number| start(arbiters, number)).collect();
    all_started.await.expect("all start");
    let millis = spawn_blocking(measure::idle_cpu).await.expect("it does not panic");
    drop(idlers);
    millis
}
