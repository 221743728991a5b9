//! What many actors cost that do nothing: memory, and the processor's time.

use std::sync::OnceLock;

use peer::countdown::Countdown;
use peer::measure::{bytes_each, idle_cpu, resident_bytes};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use crate::host::{Handled, on_workers, spawn};

/// Where idlers count when they have started. Not in their state, which is to be a `u64` and nothing else.
static STARTED: OnceLock<&'static Countdown> = OnceLock::new();

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
        STARTED.get().expect("it is there before the idlers are").batch(*number).count();
        Ok(())
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
    let all_started = install(count);
    on_workers(async move {
        for number in 0..count {
            spawn(Idler, number).await;
        }
        all_started.await.expect("all start");
    });
    vec![idle_cpu()]
}
