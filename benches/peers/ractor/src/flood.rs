//! One receiver that others send to without waiting: one in a plain loop, or a hundred in turns.

use std::time::Instant;

use peer::measure::nanos_each;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::host::{Handled, reply_port, spawn};

const SENDERS: u64 = 100;

/// How many messages one of many senders sends before others have their turn.
const BURST: u64 = 100;

/// What is sent: 16 bytes.
struct Droplet {
    number: u64,
    value: u64,
}

impl Droplet {
    fn new(number: u64) -> Self {
        Self { number, value: 1 }
    }
}

/// Replies when it has all the drops that it wants, with the sum of their numbers.
struct Bucket {
    wanted: u64,
}

struct Level {
    drops: u64,
    numbers: u64,
    full: Option<RpcReplyPort<u64>>,
}

impl Actor for Bucket {
    type Msg = Droplet;
    type State = Level;
    type Arguments = RpcReplyPort<u64>;

    async fn pre_start(&self, _: ActorRef<Droplet>, full: Self::Arguments) -> Result<Level, ActorProcessingErr> {
        Ok(Level { drops: 0, numbers: 0, full: Some(full) })
    }

    async fn handle(&self, _: ActorRef<Droplet>, drop: Droplet, level: &mut Level) -> Handled {
        level.drops += drop.value;
        level.numbers = level.numbers.wrapping_add(drop.number);
        if level.drops == self.wanted
            && let Some(full) = level.full.take()
        {
            full.send(level.numbers)?;
        }
        Ok(())
    }
}

pub(crate) async fn one(messages: u64) -> f64 {
    let (port, full) = reply_port();
    let bucket = spawn(Bucket { wanted: messages }, port).await;
    let start = Instant::now();
    for number in 0..messages {
        bucket.cast(Droplet::new(number)).expect("the bucket lives");
    }
    assert_eq!(full.await, Ok(sum_below(messages)));
    nanos_each(start, messages)
}

/// Sends its share in bursts, with a message to itself between two of them.
struct Tap {
    bucket: ActorRef<Droplet>,
}

struct Drip;

impl Actor for Tap {
    type Msg = Drip;
    /// How many are left.
    type State = u64;
    type Arguments = u64;

    async fn pre_start(&self, _: ActorRef<Drip>, share: u64) -> Result<u64, ActorProcessingErr> {
        Ok(share)
    }

    async fn handle(&self, myself: ActorRef<Drip>, _: Drip, left: &mut u64) -> Handled {
        let burst = BURST.min(*left);
        for number in *left - burst..*left {
            self.bucket.cast(Droplet::new(number))?;
        }
        *left -= burst;
        if *left == 0 {
            myself.stop(None);
        } else {
            myself.cast(Drip)?;
        }
        Ok(())
    }
}

pub(crate) async fn many(messages: u64) -> f64 {
    let share = messages / SENDERS;
    let (port, full) = reply_port();
    let bucket = spawn(Bucket { wanted: share * SENDERS }, port).await;
    let mut taps = Vec::new();
    for _ in 0..SENDERS {
        taps.push(spawn(Tap { bucket: bucket.clone() }, share).await);
    }
    let start = Instant::now();
    for tap in &taps {
        tap.cast(Drip).expect("it has not dripped yet");
    }
    assert_eq!(full.await, Ok(sum_below(share) * SENDERS));
    nanos_each(start, share * SENDERS)
}

fn sum_below(n: u64) -> u64 {
    n * (n - 1) / 2
}
