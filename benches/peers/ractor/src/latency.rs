//! How long a message waits until it is handled, while others keep the workers busy.

use std::time::{Duration, Instant};

use peer::beat::{BLOCKED, BLOCKERS, HOGS, Waits, beat};
use peer::host::on_workers;
use peer::pace;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::yield_now;

use crate::host::{Handled, spawn};

/// What keeps the workers busy.
#[derive(Clone, Copy)]
pub(crate) enum Crowd {
    /// Many that always have a next message, whose handling burns this long.
    Hogs(Duration),
    /// Some whose handlers put their thread to sleep for half of each second.
    Blockers,
}

struct Victim;

impl Actor for Victim {
    /// When it was sent.
    type Msg = Instant;
    type State = Waits;
    type Arguments = Waits;

    async fn pre_start(&self, _: ActorRef<Instant>, waits: Waits) -> Result<Waits, ActorProcessingErr> {
        Ok(waits)
    }

    async fn handle(&self, _: ActorRef<Instant>, sent: Instant, waits: &mut Waits) -> Handled {
        waits.note(sent);
        Ok(())
    }
}

struct Hog {
    each: Duration,
}

struct Burn;

impl Actor for Hog {
    type Msg = Burn;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Burn>, (): ()) -> Handled {
        Ok(myself.cast(Burn)?)
    }

    async fn handle(&self, myself: ActorRef<Burn>, _: Burn, (): &mut ()) -> Handled {
        myself.cast(Burn)?;
        pace::burn(self.each);
        // Without it tokio interrupts an actor after 128 messages.
        yield_now().await;
        Ok(())
    }
}

struct Blocker;

struct Block;

impl Actor for Blocker {
    type Msg = Block;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Block>, (): ()) -> Handled {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<Block>, _: Block, (): &mut ()) -> Handled {
        pace::sleep(BLOCKED);
        Ok(())
    }
}

pub(crate) fn run(count: u64, crowd: Crowd) -> Vec<f64> {
    let (waits, waited) = Waits::for_count(count);
    let (victim, blockers) = on_workers(async move { (spawn(Victim, waits).await, gather(crowd).await) });
    let hit = |sent| victim.cast(sent).expect("the victim lives");
    let block = || blockers.iter().for_each(|blocker| blocker.cast(Block).expect("the blocker lives"));
    beat(count, &waited, hit, block)
}

/// Returns those that are to be told to block.
async fn gather(crowd: Crowd) -> Vec<ActorRef<Block>> {
    let mut blockers = Vec::new();
    match crowd {
        Crowd::Hogs(each) => {
            for _ in 0..HOGS {
                spawn(Hog { each }, ()).await;
            }
        }
        Crowd::Blockers => {
            for _ in 0..BLOCKERS {
                blockers.push(spawn(Blocker, ()).await);
            }
        }
    }
    blockers
}
