//! One receiver that others send to without waiting: one in a plain loop, or a hundred in turns.

use std::time::Instant;

use actix::prelude::*;
use peer::measure::nanos_each;
use tokio::sync::oneshot;

use crate::arbiters::{Arbiters, give_way};

const SENDERS: u64 = 100;

/// How many messages one of many senders sends before others have their turn.
const BURST: u64 = 100;

/// What is sent: 16 bytes.
#[derive(Message)]
#[rtype(result = "()")]
struct Droplet {
    number: u64,
    value: u64,
}

impl Droplet {
    fn new(number: u64) -> Self {
        Self { number, value: 1 }
    }
}

/// Tells the sum of the numbers when it has so many drops.
struct Bucket {
    drops: u64,
    numbers: u64,
    wanted: u64,
    full: Option<oneshot::Sender<u64>>,
}

impl Bucket {
    fn for_drops(wanted: u64) -> (Self, oneshot::Receiver<u64>) {
        let (full, is_full) = oneshot::channel();
        (Self { drops: 0, numbers: 0, wanted, full: Some(full) }, is_full)
    }
}

impl Actor for Bucket {
    type Context = Context<Self>;
}

impl Handler<Droplet> for Bucket {
    type Result = ();

    fn handle(&mut self, drop: Droplet, _: &mut Context<Self>) {
        self.drops += drop.value;
        self.numbers = self.numbers.wrapping_add(drop.number);
        if self.drops == self.wanted
            && let Some(full) = self.full.take()
        {
            let _ = full.send(self.numbers);
        }
    }
}

/// The sender is on the first arbiter, the bucket on the second if there is one.
pub async fn one(arbiters: &Arbiters, messages: u64) -> f64 {
    let (bucket, full) = Bucket::for_drops(messages);
    let start = Instant::now();
    let bucket = arbiters.start(1, bucket);
    for number in 0..messages {
        bucket.do_send(Droplet::new(number));
    }
    assert_eq!(full.await, Ok(sum_below(messages)));
    nanos_each(start, messages)
}

/// Sends its share in bursts, with a message to itself between two of them.
struct Tap {
    bucket: Addr<Bucket>,
    left: u64,
}

impl Actor for Tap {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Drip;

impl Handler<Drip> for Tap {
    type Result = ();

    fn handle(&mut self, drip: Drip, cx: &mut Context<Self>) {
        let burst = BURST.min(self.left);
        for number in self.left - burst..self.left {
            self.bucket.do_send(Droplet::new(number));
        }
        self.left -= burst;
        if self.left == 0 {
            cx.stop();
        } else {
            cx.notify(drip);
            give_way(self, cx);
        }
    }
}

/// The bucket is on the second arbiter if there is one, the senders are in turn on either.
pub async fn many(arbiters: &Arbiters, messages: u64) -> f64 {
    let share = messages / SENDERS;
    let (bucket, full) = Bucket::for_drops(share * SENDERS);
    let bucket = arbiters.start(1, bucket);
    let tap = |number| arbiters.start(number, Tap { bucket: bucket.clone(), left: share });
    let taps: Vec<Addr<Tap>> = (0..SENDERS as usize).map(tap).collect();
    let start = Instant::now();
    for tap in &taps {
        tap.do_send(Drip);
    }
    assert_eq!(full.await, Ok(sum_below(share) * SENDERS));
    nanos_each(start, share * SENDERS)
}

fn sum_below(n: u64) -> u64 {
    n * (n - 1) / 2
}
