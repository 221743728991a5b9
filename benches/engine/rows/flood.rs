//! One receiver that others send to without waiting: one in a plain loop, or a hundred in turns.

use std::time::Instant;

use biotope::prelude::*;
use biotope::{Bounded, options, process};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

use crate::host::{LONG, nanos_each};

const SENDERS: u64 = 100;

/// How many messages one of many senders sends before others have their turn.
const BURST: u64 = 100;

/// How many messages a bounded mailbox holds.
const LIMIT: usize = 1_024;

/// What is sent: 16 bytes.
#[derive(Clone, Copy)]
struct Droplet {
    number: u64,
    value: u64,
}

impl Droplet {
    fn new(number: u64) -> Self {
        Self { number, value: 1 }
    }
}

#[derive(Actor, Default)]
struct Bucket {
    drops: u64,
    numbers: u64,
    full: Option<(u64, ReplyTo<u64>)>,
}

#[handlers]
impl Bucket {
    /// Replies when it has `drops`, with the sum of their numbers.
    fn full(&mut self, drops: u64, full: ReplyTo<u64>) {
        self.full = Some((drops, full));
        self.reply_if_full();
    }

    #[cast]
    fn take(&mut self, drop: Droplet) {
        self.drops += drop.value;
        self.numbers = self.numbers.wrapping_add(drop.number);
        self.reply_if_full();
    }
}

impl Bucket {
    fn reply_if_full(&mut self) {
        if let Some((_, full)) = self.full.take_if(|(drops, _)| *drops == self.drops) {
            full.send(self.numbers);
        }
    }
}

pub(crate) async fn one_on_biotope(messages: u64) -> biotope::Result<f64> {
    let bucket = spawn(Bucket::default());
    let start = Instant::now();
    let full = bucket.full(messages).timeout(LONG).send();
    for number in 0..messages {
        bucket.take(Droplet::new(number));
    }
    assert_eq!(full.await?, sum_below(messages));
    Ok(nanos_each(start, messages))
}

/// The same into a mailbox that holds no more than [`LIMIT`]: the sender waits for room. In straight-line code.
pub(crate) async fn one_bounded_on_biotope(messages: u64) -> biotope::Result<f64> {
    let (reply, full) = oneshot::channel();
    let start = Instant::now();
    let bucket = process(async move |mut me: Process<Droplet>| {
        let mut numbers = 0_u64;
        for _ in 0..messages {
            numbers = numbers.wrapping_add(me.receive().await?.number);
        }
        let _ = reply.send(numbers);
        Ok(())
    });
    let bucket = spawn(options(bucket).mailbox(Bounded::to(LIMIT)));
    for number in 0..messages {
        bucket.cast_async(Droplet::new(number)).await?;
    }
    assert_eq!(full.await, Ok(sum_below(messages)));
    Ok(nanos_each(start, messages))
}

pub(crate) async fn one_on_tokio(messages: u64) -> f64 {
    let (bucket, inbox) = mpsc::unbounded_channel();
    let (reply, full) = oneshot::channel();
    let start = Instant::now();
    tokio::spawn(fill(inbox, messages, reply));
    for number in 0..messages {
        let _ = bucket.send(Droplet::new(number));
    }
    assert_eq!(full.await, Ok(sum_below(messages)));
    nanos_each(start, messages)
}

/// The same through a channel that holds no more than [`LIMIT`].
pub(crate) async fn one_bounded_on_tokio(messages: u64) -> f64 {
    let (bucket, mut inbox) = mpsc::channel::<Droplet>(LIMIT);
    let (reply, full) = oneshot::channel();
    let start = Instant::now();
    tokio::spawn(async move {
        let mut numbers = 0_u64;
        for _ in 0..messages {
            let Some(drop) = inbox.recv().await else { return };
            numbers = numbers.wrapping_add(drop.number);
        }
        let _ = reply.send(numbers);
    });
    for number in 0..messages {
        let _ = bucket.send(Droplet::new(number)).await;
    }
    assert_eq!(full.await, Ok(sum_below(messages)));
    nanos_each(start, messages)
}

/// Sends its share in bursts, with a message to itself between two of them.
#[derive(Actor)]
struct Tap {
    bucket: ActorRef<Bucket>,
    left: u64,
}

#[handlers]
impl Tap {
    #[cast]
    fn drip(&mut self, cx: &mut Context<Self>) {
        let burst = BURST.min(self.left);
        for number in self.left - burst..self.left {
            self.bucket.take(Droplet::new(number));
        }
        self.left -= burst;
        if self.left == 0 {
            cx.stop(ExitReason::Normal);
        } else {
            cx.myself().drip();
        }
    }
}

pub(crate) async fn many_on_biotope(messages: u64) -> biotope::Result<f64> {
    let share = messages / SENDERS;
    let bucket = spawn(Bucket::default());
    let taps: Vec<ActorRef<Tap>> = (0..SENDERS).map(|_| spawn(Tap { bucket: bucket.clone(), left: share })).collect();
    let start = Instant::now();
    let full = bucket.full(share * SENDERS).timeout(LONG).send();
    for tap in &taps {
        tap.drip();
    }
    assert_eq!(full.await?, sum_below(share) * SENDERS);
    Ok(nanos_each(start, share * SENDERS))
}

pub(crate) async fn many_on_tokio(messages: u64) -> f64 {
    let share = messages / SENDERS;
    let (bucket, inbox) = mpsc::unbounded_channel();
    let (reply, full) = oneshot::channel();
    tokio::spawn(fill(inbox, share * SENDERS, reply));
    let start = Instant::now();
    for _ in 0..SENDERS {
        let bucket = bucket.clone();
        tokio::spawn(async move {
            let mut left = share;
            while left > 0 {
                let burst = BURST.min(left);
                for number in left - burst..left {
                    let _ = bucket.send(Droplet::new(number));
                }
                left -= burst;
                yield_now().await;
            }
        });
    }
    assert_eq!(full.await, Ok(sum_below(share) * SENDERS));
    nanos_each(start, share * SENDERS)
}

/// Tokio's bucket.
async fn fill(mut inbox: mpsc::UnboundedReceiver<Droplet>, wanted: u64, full: oneshot::Sender<u64>) {
    let (mut drops, mut numbers) = (0, 0_u64);
    while drops < wanted
        && let Some(drop) = inbox.recv().await
    {
        drops += drop.value;
        numbers = numbers.wrapping_add(drop.number);
    }
    let _ = full.send(numbers);
}

fn sum_below(n: u64) -> u64 {
    n * (n - 1) / 2
}
