//! What many actors cost that do nothing: memory, and the processor's time.

use kameo::error::Infallible;
use kameo::prelude::{Actor, ActorRef};
use peer::host::on_workers;
use peer::measure::{bytes_each, idle_cpu, resident_bytes};
use peer::started;

use crate::host::spawn_with;

struct Idler {
    _number: u64,
}

impl Actor for Idler {
    type Args = u64;
    type Error = Infallible;

    async fn on_start(number: u64, _: ActorRef<Self>) -> Result<Self, Infallible> {
        started::count(number);
        Ok(Self { _number: number })
    }
}

/// After they have started.
pub(crate) fn bytes(count: u64) -> Vec<f64> {
    let all_started = started::expect(count);
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
    let all_started = started::expect(count);
    // The references are kept, or the idlers would end.
    let _idlers = on_workers(async move {
        let idlers: Vec<ActorRef<Idler>> = (0..count).map(spawn_with).collect();
        all_started.await.expect("all start");
        idlers
    });
    vec![idle_cpu()]
}
