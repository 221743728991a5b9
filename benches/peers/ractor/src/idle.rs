//! What many actors cost that do nothing: memory, and the processor's time.

use peer::host::on_workers;
use peer::measure::{bytes_each, idle_cpu, resident_bytes};
use peer::started;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::host::{Handled, spawn};

struct Idler;

impl Actor for Idler {
    type Msg = ();
    /// Its number.
    type State = u64;
    type Arguments = u64;

    async fn pre_start(&self, _: ActorRef<()>, number: u64) -> Result<u64, ActorProcessingErr> {
        Ok(number)
    }

    async fn post_start(&self, _: ActorRef<()>, number: &mut u64) -> Handled {
        started::count(*number);
        Ok(())
    }
}

/// After they have started.
pub(crate) fn bytes(count: u64) -> Vec<f64> {
    let all_started = started::expect(count);
    on_workers(async move {
        // The place for the references is resident before the look at the memory.
        let mut idlers: Vec<Option<ActorRef<()>>> = vec![None; count as usize];
        let before = resident_bytes();
        for (number, idler) in idlers.iter_mut().enumerate() {
            *idler = Some(spawn(Idler, number as u64).await);
        }
        all_started.await.expect("all start");
        vec![bytes_each(before, count)]
    })
}

/// Milliseconds of the processor's time in a second in which nothing happens.
pub(crate) fn cpu(count: u64) -> Vec<f64> {
    let all_started = started::expect(count);
    on_workers(async move {
        for number in 0..count {
            spawn(Idler, number).await;
        }
        all_started.await.expect("all start");
    });
    vec![idle_cpu()]
}
