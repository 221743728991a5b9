//! How long a message waits until it is handled, while others keep the arbiters busy.

use std::time::{Duration, Instant};

use actix::prelude::*;
use peer::beat::{BLOCKED, BLOCKERS, HOGS, Waits, beat};
use peer::pace;

use crate::arbiters::give_way;

/// What keeps the arbiters busy.
#[derive(Clone, Copy)]
pub enum Crowd {
    /// A hundred that always have a next message, whose handling burns this long.
    Hogs(Duration),
    /// The same. They give way after each message.
    YieldingHogs(Duration),
    /// Two whose handlers put their thread to sleep for half of each second.
    Blockers,
}

struct Victim {
    waits: Waits,
}

impl Actor for Victim {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Hit(Instant);

impl Handler<Hit> for Victim {
    type Result = ();

    fn handle(&mut self, Hit(sent): Hit, _: &mut Context<Self>) {
        self.waits.note(sent);
    }
}

struct Hog {
    each: Duration,
    gives_way: bool,
}

impl Actor for Hog {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Burn;

impl Handler<Burn> for Hog {
    type Result = ();

    fn handle(&mut self, burn: Burn, cx: &mut Context<Self>) {
        cx.notify(burn);
        pace::burn(self.each);
        if self.gives_way {
            give_way(self, cx);
        }
    }
}

struct Blocker;

impl Actor for Blocker {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Block;

impl Handler<Block> for Blocker {
    type Result = ();

    fn handle(&mut self, _: Block, _: &mut Context<Self>) {
        pace::sleep(BLOCKED);
    }
}

/// The main thread, which sends the victim its messages, is no arbiter here. The victim is on the first, the others in turn
/// on either.
pub fn of_victim(arbiters: usize, count: u64, crowd: Crowd) -> Vec<f64> {
    let (waits, waited) = Waits::for_count(count);
    // Arbiters belong to a system. That it does not run is no matter to them.
    let _system = System::new();
    let arbiters: Vec<Arbiter> = (0..arbiters).map(|_| Arbiter::new()).collect();
    let victim = Victim::start_in_arbiter(&arbiters[0].handle(), |_| Victim { waits });
    let in_turn = arbiters.iter().map(Arbiter::handle).cycle();

    let hogs = |each, gives_way| {
        for arbiter in in_turn.clone().take(HOGS) {
            Hog::start_in_arbiter(&arbiter, move |_| Hog { each, gives_way }).do_send(Burn);
        }
    };
    let mut blockers = Vec::new();
    match crowd {
        Crowd::Hogs(each) => hogs(each, false),
        Crowd::YieldingHogs(each) => hogs(each, true),
        Crowd::Blockers => {
            let start = |arbiter| Blocker::start_in_arbiter(&arbiter, |_| Blocker);
            blockers.extend(in_turn.take(BLOCKERS).map(start));
        }
    }
    beat(
        count,
        &waited,
        |sent| victim.do_send(Hit(sent)),
        || blockers.iter().for_each(|blocker| blocker.do_send(Block)),
    )
}
