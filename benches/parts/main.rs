//! What the runtime's own parts cost, one by one, so that a change that makes one slower is seen.
//!
//! ```text
//! cargo bench --bench parts             all; each is compared with the run before
//! cargo bench --bench parts -- timer    those with `timer` in their name
//! ```
//!
//! Each part is a process on a runtime with one worker: what it costs beside others at work is what `engine` measures.

#[path = "../engine/host.rs"]
#[expect(dead_code, reason = "a part needs a runtime and nothing else of it")]
mod host;

use std::future::Future;
use std::time::{Duration, Instant};

use biotope::prelude::*;
use biotope::test::{self, TestOptions};
use biotope::{Bounded, SpawnOptions, options};
use criterion::{Criterion, criterion_group, criterion_main};
use tokio::sync::oneshot;

use crate::host::Biotope;

/// How many messages a selective receive passes over.
const PASSED_OVER: u64 = 64;
/// How many processes a list shows.
const LISTED: usize = 1_000;

#[derive(Actor, Default)]
struct Counter {
    count: u64,
}

#[handlers]
impl Counter {
    #[cast]
    fn add(&mut self, n: u64) {
        self.count += n;
    }

    #[cast]
    async fn add_async(&mut self, n: u64) {
        self.count += n;
    }

    fn count(&self) -> u64 {
        self.count
    }
}

/// The same actor without the macros: an enum, and one `handle`.
struct ByHand {
    count: u64,
}

enum Message {
    Add(u64),
    Count(ReplyTo<u64>),
}

impl Actor for ByHand {
    type Msg = Message;
    type Client = Address<Message>;
    const NAME: &'static str = "ByHand";
}

impl Handle for ByHand {
    async fn handle(&mut self, message: Message, _cx: &mut Context<Self>) {
        match message {
            Message::Add(n) => self.count += n,
            Message::Count(reply) => reply.send(self.count),
        }
    }
}

/// Measures `work`, which does something so often, in a process of its own, and says how long it took.
fn part<F, Fut>(c: &mut Criterion, name: &str, work: F)
where
    F: Fn(Process<u64>, u64) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = biotope::Result<Duration>> + Send + 'static,
{
    let biotope = Biotope::with_workers(1);
    let run = |n| {
        biotope.run(async move {
            let (tell, told) = oneshot::channel();
            spawn_process(async move |me: Process<u64>| {
                let _ = tell.send(work(me, n).await?);
                Ok(())
            });
            Ok(told.await?)
        })
    };
    c.bench_function(name, |bencher| bencher.iter_custom(run));
}

async fn casts(_: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let counter = spawn(Counter::default());
    let start = Instant::now();
    for _ in 0..n {
        counter.add(1);
    }
    assert_eq!(counter.count().await?, n);
    Ok(start.elapsed())
}

async fn casts_to_async(_: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let counter = spawn(Counter::default());
    let start = Instant::now();
    for _ in 0..n {
        counter.add_async(1);
    }
    assert_eq!(counter.count().await?, n);
    Ok(start.elapsed())
}

async fn calls(_: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let counter = spawn(Counter::default());
    let start = Instant::now();
    for _ in 0..n {
        counter.count().await?;
    }
    Ok(start.elapsed())
}

/// To be compared with what the macros' form costs.
async fn casts_by_hand(_: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let counter = spawn(ByHand { count: 0 });
    let start = Instant::now();
    for _ in 0..n {
        counter.cast(Message::Add(1));
    }
    assert_eq!(Call::new(&counter, Message::Count).await?, n);
    Ok(start.elapsed())
}

async fn calls_by_hand(_: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let counter = spawn(ByHand { count: 0 });
    let start = Instant::now();
    for _ in 0..n {
        Call::new(&counter, Message::Count).await?;
    }
    Ok(start.elapsed())
}

async fn bounded_casts(_: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let (tell, told) = oneshot::channel();
    let receiver = process(async move |mut me: Process<u64>| {
        for _ in 0..n {
            me.receive().await?;
        }
        let _ = tell.send(());
        Ok(())
    });
    let receiver = spawn(options(receiver).mailbox(Bounded::to(1_024)));
    let start = Instant::now();
    for number in 0..n {
        receiver.cast_async(number).await?;
    }
    told.await?;
    Ok(start.elapsed())
}

async fn selective_receives(mut me: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let myself = me.address();
    (0..PASSED_OVER).for_each(|_| myself.cast(0));
    let start = Instant::now();
    for number in 1..=n {
        myself.cast(number);
        me.receive_match(|message| *message == number).await?;
    }
    Ok(start.elapsed())
}

async fn lives(me: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let (tell, told) = oneshot::channel();
    let mut tell = Some(tell);
    let parent = me.address();
    drop(me);
    let start = Instant::now();
    for number in 1..=n {
        let tell = if number == n { tell.take() } else { None };
        let parent = parent.clone();
        spawn_process(async move |_: Process<()>| {
            drop(parent);
            if let Some(tell) = tell {
                let _ = tell.send(());
            }
            Ok(())
        });
    }
    told.await?;
    Ok(start.elapsed())
}

async fn timers(me: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let myself = me.address();
    let start = Instant::now();
    for number in 0..n {
        let timer = me.send_after(Duration::from_secs(600 + number % 1_000), &myself, number);
        me.cancel_timer(timer);
    }
    Ok(start.elapsed())
}

async fn names(me: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let start = Instant::now();
    for _ in 0..n {
        me.node().register("name", me.pid())?;
        assert_eq!(me.node().whereis("name"), Some(me.pid()));
        me.node().unregister("name")?;
    }
    Ok(start.elapsed())
}

async fn keys(me: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let keys: Keys<u64, ()> = Keys::unique(me.node());
    let start = Instant::now();
    for number in 0..n {
        keys.register(&me, number, ())?;
        assert_eq!(keys.whereis(&number), Some(me.pid()));
        keys.unregister(&me, &number);
    }
    Ok(start.elapsed())
}

async fn monitors(me: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let counter = spawn(Counter::default());
    let start = Instant::now();
    for _ in 0..n {
        let monitor = me.monitor(&counter);
        me.demonitor(monitor);
    }
    counter.count().await?;
    Ok(start.elapsed())
}

async fn links(me: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let counter = spawn(Counter::default());
    let start = Instant::now();
    for _ in 0..n {
        me.link(&counter);
        me.unlink(&counter);
    }
    counter.count().await?;
    Ok(start.elapsed())
}

async fn lists(me: Process<u64>, n: u64) -> biotope::Result<Duration> {
    let listed: Vec<_> = (0..LISTED).map(|_| me.spawn_link(Counter::default())).collect();
    let start = Instant::now();
    for _ in 0..n {
        assert!(me.node().processes().len() > LISTED);
    }
    let lasted = start.elapsed();
    listed.iter().for_each(|counter| counter.stop());
    Ok(lasted)
}

/// A dynamic supervisor with so many children, and one that tells when it has started.
async fn family(children: usize) -> biotope::Result<DynamicSupervisorRef> {
    let family = DynamicSupervisor::new().intensity(u32::MAX, secs(1));
    let family = family.start_on(&node(), SpawnOptions::default()).await?;
    for _ in 0..children {
        family.start_child(Counter::spec()).await?;
    }
    Ok(family)
}

/// One child after the other is killed, and is there again.
async fn restarts(family: DynamicSupervisorRef, n: u64) -> biotope::Result<Duration> {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let phoenix = Child::with("phoenix", move |node, options| {
        let pid = node.spawn_process_with(options, async |mut me: Process<()>| Ok(me.receive().await?)).pid();
        // Nobody listens any more when all is done.
        let _ = tell.send(pid);
        std::future::ready(Ok(pid))
    });
    family.start_child(phoenix).await?;
    let mut phoenix = told.recv().await.ok_or(ExitReason::NoProc)?;
    let start = Instant::now();
    for _ in 0..n {
        node().exit(phoenix, ExitReason::Kill);
        phoenix = told.recv().await.ok_or(ExitReason::NoProc)?;
    }
    let lasted = start.elapsed();
    family.terminate_child(phoenix).await?;
    Ok(lasted)
}

/// One child after the other is started, and terminated.
async fn children(family: DynamicSupervisorRef, n: u64) -> biotope::Result<Duration> {
    let start = Instant::now();
    for _ in 0..n {
        let child = family.start_child(Counter::spec()).await?.ok_or(ExitReason::NoProc)?;
        family.terminate_child(child).await?;
    }
    Ok(start.elapsed())
}

/// Measures `work` with one of so many children, which are there before.
fn in_a_family<F, Fut>(c: &mut Criterion, name: &str, siblings: usize, work: F)
where
    F: Fn(DynamicSupervisorRef, u64) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = biotope::Result<Duration>> + Send + 'static,
{
    let biotope = Biotope::with_workers(1);
    let started = biotope.run(family(siblings));
    c.bench_function(name, |bencher| bencher.iter_custom(|n| biotope.run(work(started.clone(), n))));
}

/// What is done to one child costs the same however many others there are.
fn families(c: &mut Criterion) {
    in_a_family(c, "a restart of one child of 10", 10, restarts);
    in_a_family(c, "a restart of one child of 100,000", 100_000, restarts);
    in_a_family(c, "a child of 10: started and terminated", 10, children);
    in_a_family(c, "a child of 100,000: started and terminated", 100_000, children);
}

/// The body of a small test: three processes, ten calls, and a delay.
async fn small_test() -> biotope::Result<()> {
    let counters = [test::spawn(Counter::default()), test::spawn(Counter::default())];
    for n in 0..5 {
        for counter in &counters {
            counter.add(n);
            counter.count().await?;
        }
    }
    biotope::time::sleep(secs(1)).await;
    Ok(())
}

/// Seeds of a test, one after the other, as the kit runs them: one of 64 twice.
fn seeds(c: &mut Criterion) {
    c.bench_function("a seed of a small test", |bencher| {
        bencher.iter_custom(|n| {
            let options = TestOptions { name: "small", seeds: Some(n), ..TestOptions::default() };
            let start = Instant::now();
            if let Err(failed) = test::check(options, small_test) {
                panic!("{failed}");
            }
            start.elapsed()
        });
    });
}

fn messages(c: &mut Criterion) {
    part(c, "a cast to an actor, handled", casts);
    part(c, "a cast to an actor by hand, handled", casts_by_hand);
    part(c, "a cast to an async handler", casts_to_async);
    part(c, "a cast into a bounded mailbox", bounded_casts);
    part(c, "a call", calls);
    part(c, "a call to an actor by hand", calls_by_hand);
    part(c, "a selective receive that passes over 64", selective_receives);
}

fn processes(c: &mut Criterion) {
    part(c, "a process: spawn and end", lives);
    part(c, "a monitor: set and taken back", monitors);
    part(c, "a link: made and taken back", links);
    part(c, "a list of 1,000 processes", lists);
}

fn services(c: &mut Criterion) {
    part(c, "a timer: set and cancelled", timers);
    part(c, "a name: registered, found, given up", names);
    part(c, "a key: registered, found, given up", keys);
}

criterion_group!(parts, messages, processes, services, families, seeds);
criterion_main!(parts);
