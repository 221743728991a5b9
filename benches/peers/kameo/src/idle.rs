//! What many actors cost that do nothing: memory, and the processor's time.

use std::sync::OnceLock;

use kameo::error::Infallible;
use kameo::prelude::{Actor, ActorRef};
use peer::countdown::Countdown;
use peer::measure::{bytes_each, idle_cpu, resident_bytes};
use tokio::sync::oneshot;

use crate::host::{on_workers, spawn_with};

/// Where idlers count when they have started. Not in their state, which is to be a `u64` and nothing else.
static STARTED: OnceLock<&'static Countdown> = OnceLock::new();

struct Idler {
    _number: u64,
}

impl Actor for Idler {
    type Args = u64;
    type Error = Infallible;

    async fn on_start(number: u64, _: ActorRef<Self>) -> Result<Self, Infallible> {
        STARTED.get().expect("it is there before the idlers are").batch(number).count();
        Ok(Self { _number: number })
    }
}

fn install(count: u64) -> oneshot::Receiver<()> {
    let (countdown, all_started) = Countdown::from(count);
    assert!(STARTED.set(countdown).is_ok(), "an OS process measures once");
    all_started
}

/// After they have started.
pub(crate) fn bytes(count: u64) -> Vec<f64> {
    let all_started = install(count);
    on_workers(async move {
        // The place for the references is resident before the look at the memory.
        let mut idlers: Vec<Option<ActorRef<Idler>>> = vec![None; count as usize];
        let before = resident_bytes();
        for (number, idler) in idlers.iter_mut().enumerate() {
            *idler = Some(spawn_with(number as u64));
        }
        all_started.await.expect("all start");
        vec![bytes_each(before, count)]
    })
}

/// Milliseconds of the processor's time in a second in which nothing happens.
pub(crate) fn cpu(count: u64) -> Vec<f64> {
    let all_started = install(count);
    // The references are kept, or the idlers would end.
    let _idlers = on_workers(async move {
        let idlers: Vec<ActorRef<Idler>> = (0..count).map(spawn_with).collect();
        all_started.await.expect("all start");
        idlers
    });
    vec![idle_cpu()]
}
