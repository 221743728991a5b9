//! How long a message waits until it is handled, while others keep the workers busy.
//!
//! A thread that is no worker sends the victim a message each millisecond, with the time. What is measured
//! is from there to the victim's handler.

use std::future::Future;
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use biotope::prelude::*;
use biotope::{Priority, blocking, options};
use tokio::sync::mpsc;
use tokio::task::{spawn_blocking, yield_now};

use crate::host::{Biotope, percentiles, tokio_runtime};
use crate::pace;

/// Each time the victim is sent a message.
const BEAT: Duration = Duration::from_millis(1);

const HOGS: usize = 100;

/// Who blocks, or has work done that blocks, begins once a second, all of them at the same time.
const BEATS_BETWEEN_BLOCKS: u64 = 1_000;
const BLOCKERS: usize = 2;
const BLOCKED: Duration = Duration::from_millis(500);
const PIECES_OF_BLOCKING_WORK: usize = 100;
const BLOCKING_WORK: Duration = Duration::from_secs(1);

/// Messages that never become fewer, and the processes whose mailboxes they wait in.
const QUEUED: usize = 1_000_000;
const QUEUES: usize = 4;

/// What keeps the workers busy.
#[derive(Clone, Copy)]
pub(crate) enum Crowd {
    /// A hundred that always have a next message, whose handling burns this long.
    Hogs(Duration),
    /// Two whose handlers put their thread to sleep for half of each second.
    Blockers,
    /// A hundred that have work of a second done where it may block.
    BlockingWork,
    /// Four that always have very many messages, whose handling is nothing.
    LongQueues,
}

/// Where the victim notes how long its messages have waited.
struct Waits {
    waited: Vec<Duration>,
    warm_up: u64,
    expected: u64,
    all: std_mpsc::Sender<Vec<Duration>>,
}

impl Waits {
    /// For `count` that count, after a tenth as many that do not.
    fn for_count(count: u64) -> (Self, std_mpsc::Receiver<Vec<Duration>>) {
        let (all, waited) = std_mpsc::channel();
        (Self { waited: Vec::with_capacity(count as usize), warm_up: count / 10, expected: count, all }, waited)
    }

    fn note(&mut self, sent: Instant) {
        let waited = sent.elapsed();
        if self.warm_up > 0 {
            self.warm_up -= 1;
            return;
        }
        self.waited.push(waited);
        if self.waited.len() as u64 == self.expected {
            // Whoever does not wait for it has given the round up.
            let _ = self.all.send(std::mem::take(&mut self.waited));
        }
    }
}

/// Sends the victim its messages, each with the time, and now and then tells the blockers to begin. Returns
/// the [`percentiles`] of what they waited, in microseconds.
fn beat(count: u64, waited: &std_mpsc::Receiver<Vec<Duration>>, send: impl Fn(Instant), block: impl Fn()) -> Vec<f64> {
    let start = Instant::now();
    let mut due = start;
    for n in 0..count + count / 10 {
        pace::sleep_until(due);
        if n % BEATS_BETWEEN_BLOCKS == 0 {
            block();
        }
        send(Instant::now());
        due += BEAT;
    }
    percentiles(waited.recv().expect("the victim lives"))
}

#[derive(Actor)]
struct Victim {
    waits: Waits,
}

#[handlers]
impl Victim {
    #[cast]
    fn hit(&mut self, sent: Instant) {
        self.waits.note(sent);
    }
}

#[derive(Actor)]
struct Hog {
    each: Duration,
}

#[handlers]
impl Hog {
    #[cast]
    fn burn(&mut self, cx: &mut Context<Self>) {
        cx.myself().burn();
        pace::burn(self.each);
    }
}

#[derive(Actor)]
struct Blocker;

#[handlers]
impl Blocker {
    #[cast]
    fn block(&mut self) {
        pace::sleep(BLOCKED);
    }

    #[cast]
    async fn do_blocking_work(&mut self) {
        blocking(|| pace::sleep(BLOCKING_WORK)).await;
    }
}

/// Passes on what it gets. In a ring of them no message is lost, and none is to oneself, which would end the
/// turn.
#[derive(Actor, Default)]
struct Queue {
    next: Option<ActorRef<Queue>>,
}

#[handlers]
impl Queue {
    fn follow(&mut self, next: ActorRef<Queue>) {
        self.next = Some(next);
    }

    #[cast]
    fn pass(&mut self) {
        if let Some(next) = &self.next {
            next.pass();
        }
    }
}

pub(crate) fn on_biotope(count: u64, crowd: Crowd, priority: Priority) -> Vec<f64> {
    let (waits, waited) = Waits::for_count(count);
    let biotope = Biotope::new();
    let (victim, blockers) = biotope.run(async move {
        let victim = spawn(options(Victim { waits }).priority(priority));
        Ok((victim, gather_on_biotope(crowd).await?))
    });
    let block = || {
        for blocker in &blockers {
            match crowd {
                Crowd::BlockingWork => blocker.do_blocking_work(),
                _ => blocker.block(),
            }
        }
    };
    beat(count, &waited, |sent| victim.hit(sent), block)
}

/// Returns those that are to be told to block.
async fn gather_on_biotope(crowd: Crowd) -> biotope::Result<Vec<ActorRef<Blocker>>> {
    match crowd {
        Crowd::Hogs(each) => {
            for _ in 0..HOGS {
                spawn(Hog { each }).burn();
            }
            Ok(Vec::new())
        }
        Crowd::Blockers => Ok((0..BLOCKERS).map(|_| spawn(Blocker)).collect()),
        Crowd::BlockingWork => Ok((0..PIECES_OF_BLOCKING_WORK).map(|_| spawn(Blocker)).collect()),
        Crowd::LongQueues => {
            let ring: Vec<ActorRef<Queue>> = (0..QUEUES).map(|_| spawn(Queue::default())).collect();
            // First, as whoever follows nobody passes nothing on.
            for (queue, next) in ring.iter().zip(ring.iter().cycle().skip(1)) {
                queue.follow(next.clone()).await?;
            }
            for n in 0..QUEUED {
                ring[n % QUEUES].pass();
            }
            Ok(Vec::new())
        }
    }
}

pub(crate) fn on_tokio(count: u64, crowd: Crowd) -> Vec<f64> {
    let (mut waits, waited) = Waits::for_count(count);
    let runtime = tokio_runtime();
    let (victim, mut at_victim) = mpsc::unbounded_channel();
    runtime.spawn(async move {
        while let Some(sent) = at_victim.recv().await {
            waits.note(sent);
        }
    });
    let enter = runtime.enter();
    let blockers = gather_on_tokio(crowd);
    drop(enter);
    let block = || {
        for blocker in &blockers {
            let _ = blocker.send(());
        }
    };
    let send = |sent| {
        let _ = victim.send(sent);
    };
    let figures = beat(count, &waited, send, block);
    std::mem::forget(runtime);
    figures
}

fn gather_on_tokio(crowd: Crowd) -> Vec<mpsc::UnboundedSender<()>> {
    match crowd {
        Crowd::Hogs(each) => {
            for _ in 0..HOGS {
                let (myself, mut inbox) = mpsc::unbounded_channel();
                let _ = myself.send(());
                tokio::spawn(async move {
                    while let Some(()) = inbox.recv().await {
                        let _ = myself.send(());
                        pace::burn(each);
                        // Without it tokio interrupts a task after 128 messages.
                        yield_now().await;
                    }
                });
            }
            Vec::new()
        }
        Crowd::Blockers => (0..BLOCKERS).map(|_| told_to(async || pace::sleep(BLOCKED))).collect(),
        Crowd::BlockingWork => {
            let work = async || spawn_blocking(|| pace::sleep(BLOCKING_WORK)).await.expect("it does not panic");
            (0..PIECES_OF_BLOCKING_WORK).map(|_| told_to(work)).collect()
        }
        Crowd::LongQueues => {
            let (ring, inboxes): (Vec<_>, Vec<_>) = (0..QUEUES).map(|_| mpsc::unbounded_channel()).unzip();
            for n in 0..QUEUED {
                let _ = ring[n % QUEUES].send(());
            }
            for (mut inbox, next) in inboxes.into_iter().zip(ring.iter().cycle().skip(1).cloned()) {
                tokio::spawn(async move {
                    while let Some(()) = inbox.recv().await {
                        let _ = next.send(());
                    }
                });
            }
            Vec::new()
        }
    }
}

/// A task that does `work` each time it is told to.
fn told_to<F, Fut>(work: F) -> mpsc::UnboundedSender<()>
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let (teller, mut told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(()) = told.recv().await {
            work().await;
        }
    });
    teller
}
