//! How long a message waits until it is handled, while others keep the workers busy.

use std::time::{Duration, Instant};

use kameo::prelude::{Actor, ActorRef, Context, Message};
use peer::beat::{BLOCKED, BLOCKERS, HOGS, Waits, beat};
use peer::host::on_workers;
use peer::pace;
use tokio::task::yield_now;

use crate::host::{spawn, tell};

/// What keeps the workers busy.
#[derive(Clone, Copy)]
pub(crate) enum Crowd {
    /// Many that always have a next message, whose handling burns this long.
    Hogs(Duration),
    /// Some whose handlers put their thread to sleep for half of each second.
    Blockers,
}

#[derive(Actor)]
struct Victim {
    waits: Waits,
}

struct Hit {
    sent: Instant,
}

impl Message<Hit> for Victim {
    type Reply = ();

    async fn handle(&mut self, Hit { sent }: Hit, _: &mut Context<Self, ()>) {
        self.waits.note(sent);
    }
}

#[derive(Actor)]
struct Hog {
    each: Duration,
}

struct Burn;

impl Message<Burn> for Hog {
    type Reply = ();

    async fn handle(&mut self, _: Burn, cx: &mut Context<Self, ()>) {
        tell(cx.actor_ref(), Burn);
        pace::burn(self.each);
        // Without it tokio interrupts an actor after 128 messages.
        yield_now().await;
    }
}

#[derive(Actor)]
struct Blocker;

struct Block;

impl Message<Block> for Blocker {
    type Reply = ();

    async fn handle(&mut self, _: Block, _: &mut Context<Self, ()>) {
        pace::sleep(BLOCKED);
    }
}

pub(crate) fn run(count: u64, crowd: Crowd) -> Vec<f64> {
    let (waits, waited) = Waits::for_count(count);
    let (victim, blockers) = on_workers(async move { (spawn(Victim { waits }), gather(crowd)) });
    let hit = |sent| tell(&victim, Hit { sent });
    let block = || blockers.iter().for_each(|blocker| tell(blocker, Block));
    beat(count, &waited, hit, block)
}

/// Returns those that are to be told to block.
fn gather(crowd: Crowd) -> Vec<ActorRef<Blocker>> {
    match crowd {
        Crowd::Hogs(each) => {
            // Their next message keeps them alive.
            (0..HOGS).for_each(|_| tell(&spawn(Hog { each }), Burn));
            Vec::new()
        }
        Crowd::Blockers => (0..BLOCKERS).map(|_| spawn(Blocker)).collect(),
    }
}
