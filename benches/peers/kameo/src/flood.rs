//! One receiver that others send to without waiting: one in a plain loop, or a hundred in turns.

use std::time::Instant;

use kameo::prelude::{Actor, ActorRef, Context, DelegatedReply, Message, ReplySender, Spawn, mailbox};
use peer::measure::nanos_each;

use crate::host::{spawn, tell};

const SENDERS: u64 = 100;

/// How many messages one of many senders sends before others have their turn.
const BURST: u64 = 100;

/// How many messages fit into a mailbox that has a limit.
const ROOM: usize = 1_024;

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

#[derive(Actor, Default)]
struct Bucket {
    drops: u64,
    numbers: u64,
    full: Option<(u64, ReplySender<u64>)>,
}

/// The reply comes when the bucket has so many drops, with the sum of their numbers.
struct Full {
    drops: u64,
}

impl Message<Full> for Bucket {
    type Reply = DelegatedReply<u64>;

    async fn handle(&mut self, Full { drops }: Full, cx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (reply, full) = cx.reply_sender();
        self.full = full.map(|full| (drops, full));
        self.reply_if_full();
        reply
    }
}

impl Message<Droplet> for Bucket {
    type Reply = ();

    async fn handle(&mut self, drop: Droplet, _: &mut Context<Self, ()>) {
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

pub(crate) async fn one(messages: u64) -> f64 {
    let bucket = spawn(Bucket::default());
    let start = Instant::now();
    let full = bucket.ask(Full { drops: messages }).enqueue().await.expect("the bucket lives");
    for number in 0..messages {
        tell(&bucket, Droplet::new(number));
    }
    assert_eq!(full.await.expect("it becomes full"), sum_below(messages));
    nanos_each(start, messages)
}

pub(crate) async fn one_bounded(messages: u64) -> f64 {
    let bucket = Bucket::spawn_with_mailbox(Bucket::default(), mailbox::bounded(ROOM));
    let start = Instant::now();
    let full = bucket.ask(Full { drops: messages }).enqueue().await.expect("the bucket lives");
    for number in 0..messages {
        // Waits while the mailbox is full.
        bucket.tell(Droplet::new(number)).send().await.expect("the bucket lives");
    }
    assert_eq!(full.await.expect("it becomes full"), sum_below(messages));
    nanos_each(start, messages)
}

/// Sends its share in bursts, with a message to itself between two of them.
#[derive(Actor)]
struct Tap {
    bucket: ActorRef<Bucket>,
    left: u64,
}

struct Drip;

impl Message<Drip> for Tap {
    type Reply = ();

    async fn handle(&mut self, _: Drip, cx: &mut Context<Self, ()>) {
        let burst = BURST.min(self.left);
        for number in self.left - burst..self.left {
            tell(&self.bucket, Droplet::new(number));
        }
        self.left -= burst;
        if self.left == 0 {
            cx.stop();
        } else {
            tell(cx.actor_ref(), Drip);
        }
    }
}

pub(crate) async fn many(messages: u64) -> f64 {
    let share = messages / SENDERS;
    let bucket = spawn(Bucket::default());
    let taps: Vec<ActorRef<Tap>> = (0..SENDERS).map(|_| spawn(Tap { bucket: bucket.clone(), left: share })).collect();
    let start = Instant::now();
    let full = bucket.ask(Full { drops: share * SENDERS }).enqueue().await.expect("the bucket lives");
    for tap in &taps {
        tell(tap, Drip);
    }
    assert_eq!(full.await.expect("it becomes full"), sum_below(share) * SENDERS);
    nanos_each(start, share * SENDERS)
}

fn sum_below(n: u64) -> u64 {
    n * (n - 1) / 2
}
