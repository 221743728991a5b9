//! What can be seen of a running system.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use biotope_runtime::{
    Actor, ActorRef, Address, Call, CallFailed, Context, DeadLetter, ExitReason, Handle, Node, Process, ReplyTo,
    Runtime, Status, VisitError, node, spawn, spawn_process, time,
};

use biotope_testkit::{once, repetitions};

use crate::everywhere;

// ---- in numbers

#[test]
fn a_node_counts_who_came_and_who_went() {
    everywhere("a_node_counts_who_came_and_who_went", || async {
        let before = node().stats();
        let waits = || spawn_process(async |mut me: Process<()>| Ok(me.receive().await?));
        let falls = || {
            spawn_process(async |mut me: Process<()>| {
                me.receive().await?;
                panic!("as it should")
            })
        };
        let (stays, goes, crashes) = (waits(), waits(), falls());
        for told in [&goes, &crashes] {
            let end = node().ended(told);
            told.cast(());
            end.await;
            told.cast(());
        }
        let after = node().stats();
        assert_eq!(after.crashed, before.crashed + 1);
        // The watchers of `ended` come and go too; they end after they have told.
        assert!((2..=4).contains(&(after.ended - before.ended)), "{before:?} {after:?}");
        assert_eq!(after.spawned, before.spawned + 5);
        assert_eq!(after.spawned, after.ended + after.processes as u64);
        let lost = |stats: &biotope_runtime::NodeStats| {
            stats.dead_letters.iter().find(|(why, _)| *why == DeadLetter::NoProc).map(|(_, count)| *count)
        };
        assert_eq!(lost(&after).unwrap(), lost(&before).unwrap() + 2);
        assert!(node().is_alive(&stays));
        Ok(())
    });
}

#[test]
fn turns_and_timers_are_counted() {
    everywhere("turns_and_timers_are_counted", || async {
        let stats = || node().runtime().stats();
        let turns =
            |stats: &biotope_runtime::RuntimeStats| stats.workers.iter().map(|worker| worker.turns).sum::<u64>();
        let before = stats();
        for _ in 0..100 {
            time::yield_now().await;
        }
        let timer = node().send_after(Duration::from_secs(1000), &spawn_waiting(), ());
        let after = stats();
        assert!(turns(&after) >= turns(&before) + 100, "{before:?} {after:?}");
        assert_eq!(after.timers, before.timers + 1);
        node().cancel_timer(timer);
        assert_eq!(stats().timers, before.timers);
        Ok(())
    });
}

fn spawn_waiting() -> biotope_runtime::Address<()> {
    spawn_process(async |mut me: Process<()>| Ok(me.receive().await?))
}

/// The handler goes on until it is seen; how long it took to be seen is no matter.
#[test]
fn a_long_turn_is_seen_while_it_lasts() {
    let runtime = Runtime::builder().workers(1);
    biotope_testkit::once(runtime, async {
        let runtime = node().runtime().clone();
        while runtime.stats().workers.iter().all(|worker| worker.longest_turn < Duration::from_millis(3)) {
            std::thread::yield_now();
        }
    })
    .unwrap();
}

// ---- who is looked at

/// Keeps what it is told; waits, or works, on request.
#[derive(Clone, Debug, PartialEq)]
struct Till {
    sold: Vec<u32>,
}

enum Told {
    Sell(u32),
    Wait(tokio::sync::oneshot::Receiver<()>),
    Work(Arc<AtomicBool>, ReplyTo<()>),
}

impl Actor for Till {
    type Msg = Told;
    type Client = Address<Told>;
    const NAME: &'static str = "Till";
    const HANDLERS: &'static [&'static str] = &["sell", "wait", "work"];

    fn handler_of(message: &Told) -> u32 {
        match message {
            Told::Sell(_) => 0,
            Told::Wait(_) => 1,
            Told::Work(..) => 2,
        }
    }
}

impl Handle for Till {
    async fn handle(&mut self, message: Told, _cx: &mut Context<Self>) {
        match message {
            Told::Sell(n) => self.sold.push(n),
            Told::Wait(gate) => drop(gate.await),
            Told::Work(seen, reply) => {
                while !seen.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                reply.send(());
            }
        }
    }
}

fn till() -> ActorRef<Till> {
    spawn(Till { sold: Vec::new() })
}

#[test]
fn a_hibernation_that_was_given_up_is_seen_no_more() {
    for seed in 0..repetitions(20) {
        let body = async {
            let rested = spawn_process(async |mut me: Process<()>| {
                let _ = time::timeout(Duration::from_millis(1), me.hibernate()).await;
                std::future::pending::<()>().await;
                Ok(())
            });
            time::sleep(Duration::from_millis(50)).await;
            let seen = node().peek(&rested).expect("it lives").status;
            let said = node().process_info(&rested).await.expect("it lives").status;
            assert!(seen != Status::Hibernating && said != Status::Hibernating, "{seen:?} {said:?}");
        };
        once(Runtime::builder().seeded(seed), body).unwrap();
    }
}

#[test]
fn who_was_suspended_and_ends_in_order_is_suspended_no_more() {
    struct Slow;

    impl Actor for Slow {
        type Msg = u32;
        type Client = Address<u32>;
        const NAME: &'static str = "Slow";
    }

    impl Handle for Slow {
        async fn handle(&mut self, _: u32, _: &mut Context<Self>) {}

        async fn terminate(&mut self, _: &ExitReason, _: &mut Context<Self>) {
            time::sleep(Duration::from_secs(1)).await;
        }
    }

    for seed in 0..repetitions(20) {
        let body = async {
            let slow = spawn(Slow);
            node().suspend(&slow);
            slow.address().stop(ExitReason::Normal);
            time::sleep(Duration::from_millis(50)).await;
            let seen = node().peek(&slow).expect("it lives");
            let said = node().process_info(&slow).await.expect("it lives");
            assert_eq!((seen.status, said.status), (Status::Awaiting, Status::Awaiting), "{:?}", said.activity);
        };
        once(Runtime::builder().seeded(seed), body).unwrap();
    }
}

/// What wakes a suspended process is seen to, and it waits again; it kept its worker for ever.
#[test]
fn a_suspended_process_that_is_woken_waits_again() {
    everywhere("a_suspended_process_that_is_woken_waits_again", || async {
        let till = till();
        node().suspend(&till);
        till.with_state(|_| ()).await?;
        till.cast(Told::Sell(1));
        till.cast(Told::Sell(2));
        assert_eq!(till.with_state(|till| till.sold.len()).await, Ok(0));
        node().resume(&till);
        assert_eq!(till.with_state(|till| till.sold.len()).await, Ok(2));
        Ok(())
    });
}

#[test]
fn a_look_that_panics_ends_nobody() {
    everywhere("a_look_that_panics_ends_nobody", || async {
        let till = till();
        let failed = till.with_state(|till| {
            till.sold.push(1);
            assert!(till.sold.is_empty(), "it is not");
        });
        let Err(VisitError::Panicked(reason)) = failed.await else { panic!("it panics") };
        assert!(reason.to_string().contains("it is not"), "{reason}");
        assert_eq!(till.with_state(|till| till.sold.len()).await, Ok(1), "it goes on, as it was left");
        // What has no such state says so, and goes on too.
        let (sender, told) = tokio::sync::oneshot::channel();
        let other = ActorRef::<Till>::new(spawn_process(async move |mut me: Process<Told>| {
            if let Told::Sell(n) = me.receive().await? {
                let _ = sender.send(n);
            }
            Ok(())
        }));
        assert_eq!(other.clone_state().await, Err(VisitError::OtherActor));
        other.cast(Told::Sell(5));
        assert_eq!(told.await, Ok(5));
        let end = node().ended(&till);
        till.stop();
        end.await;
        assert_eq!(till.clone_state().await, Err(VisitError::Failed(CallFailed::NoProc)));
        Ok(())
    });
}

/// While all workers sleep nobody looks at the clock; who spawns then does, on a thread from outside and on the worker that
/// waits among the sockets. What is asserted holds however long it takes.
#[test]
#[expect(clippy::disallowed_methods, reason = "that time passes while all rest is what this is about")]
fn who_is_spawned_after_a_rest_was_spawned_then() {
    let runtime = Runtime::builder().workers(2).build().expect("threads");
    let node = runtime.block_on(Node::builder("n").runtime(runtime.clone()).start()).expect("it starts");
    let is_young = move |node: &Node| {
        let before = Instant::now();
        let process = node.spawn_process(async |mut me: Process<()>| Ok(me.receive().await?));
        let spawned = node.peek(&process).expect("it lives").spawned;
        before < spawned + Duration::from_millis(17) && spawned <= Instant::now()
    };
    std::thread::sleep(Duration::from_millis(100));
    assert!(is_young(&node), "from outside");
    std::thread::sleep(Duration::from_millis(100));
    let inside = runtime.tokio().expect("it has threads").spawn(async move { is_young(&node) });
    assert!(runtime.block_on(inside).expect("it does not panic"), "among the sockets");
}

#[test]
fn it_is_known_when_a_process_was_spawned_and_since_when_it_awaits() {
    for seed in 0..200 {
        biotope_testkit::once(Runtime::builder().seeded(seed), async {
            let spawned = |till: &ActorRef<Till>| node().peek(till).unwrap().spawned;
            let is_about = |then, now| now - Duration::from_millis(17) < then && then <= now;
            let began = time::now();
            let first = till();
            time::sleep(Duration::from_secs(60)).await;
            let second = till();
            assert!(is_about(spawned(&first), began) && is_about(spawned(&second), time::now()));
            let asked = node().process_info(&first).await.unwrap();
            assert_eq!(asked.spawned, spawned(&first), "it stays the same");

            let (open, gate) = tokio::sync::oneshot::channel();
            first.cast(Told::Wait(gate));
            let began = time::now();
            time::sleep(Duration::from_secs(3)).await;
            let info = node().peek(&first).unwrap();
            assert_eq!((info.status, info.activity), (Status::Awaiting, Some("wait")));
            let began = info.since.unwrap().duration_since(began);
            assert!(began < Duration::from_millis(1), "{began:?}");
            let asked = node().process_info(&first).await.unwrap();
            assert_eq!((asked.activity, asked.since), (info.activity, info.since));
            let _ = open.send(());
            first.with_state(|_| ()).await?;
            assert_eq!(node().peek(&first).unwrap().activity, None);
            Ok::<(), biotope_runtime::Error>(())
        })
        .unwrap();
    }
}

/// The handler goes on until it is seen.
#[test]
fn the_handler_that_runs_is_seen_from_outside_and_since_when() {
    let runtime = Runtime::builder().workers(2).build().unwrap();
    let node = runtime.block_on(Node::builder("seen").runtime(runtime.clone()).start()).unwrap();
    let till = node.spawn(Till { sold: Vec::new() });
    let seen = Arc::new(AtomicBool::new(false));
    let begun = runtime.now();
    let done = Call::new(&till, |reply| Told::Work(seen.clone(), reply)).send();
    let info = loop {
        let info = node.peek(&till).unwrap();
        if info.since.is_some() {
            break info;
        }
        std::thread::yield_now();
    };
    assert_eq!((info.status, info.activity), (Status::Running, Some("work")));
    assert!(info.since.unwrap() >= begun && info.since.unwrap() <= runtime.now());
    assert!(node.processes().iter().any(|info| info.activity == Some("work")));
    seen.store(true, Ordering::Relaxed);
    runtime.block_on(done).unwrap();
    runtime.block_on(node.shutdown());
}
