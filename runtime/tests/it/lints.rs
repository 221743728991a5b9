//! What is amiss with a process is told once.

use biotope_runtime::{Call, CallFailed, Lint, Process, ReplyTo, Runtime, node, spawn_process};
use biotope_testkit::{once, repetitions};

use crate::everywhere;
use crate::probe::observe;

#[test]
fn a_call_to_itself_is_told_once_for_each_process() {
    everywhere("self-call", || {
        observe(async move |_| {
            let mut lints = node().lints();
            let mut selfish = Vec::new();
            for _ in 0..2 {
                let process = spawn_process(async move |me: Process<ReplyTo<()>>| {
                    let myself = me.address();
                    for _ in 0..3 {
                        assert_eq!(Call::new(&myself, |reply| reply).await, Err(CallFailed::SelfCall));
                    }
                    Ok(())
                });
                node().ended(process.pid()).await;
                selfish.push(process.pid());
            }
            for pid in selfish {
                let event = lints.next().await.expect("the node lives");
                assert_eq!((event.pid, event.lint), (pid, Lint::SelfCall));
                assert!(event.process.contains("a_call_to_itself"), "{}", event.process);
            }
            Ok(())
        })
    });
}

/// It is seen at the end of a turn that did not empty the mailbox; of many such turns the first tells.
#[test]
fn a_long_mailbox_is_told_once() {
    for seed in 0..repetitions(20) {
        let body = observe(async |_| {
            let mut lints = node().lints();
            let receiver = spawn_process(async |mut me: Process<u32>| {
                while me.receive().await? < 29_999 {}
                Ok(())
            });
            node().register("slow", receiver.pid())?;
            (0..30_000).for_each(|n| receiver.cast(n));
            node().ended(receiver.pid()).await;
            let myself = spawn_process(async move |me: Process<ReplyTo<()>>| {
                let _ = Call::new(&me.address(), |reply| reply).await;
                Ok(())
            });
            let event = lints.next().await.expect("the node lives");
            assert_eq!(event.pid, receiver.pid());
            assert_eq!(event.process, format!("slow {}", receiver.pid()));
            assert!(matches!(event.lint, Lint::LongMailbox { messages: 20_000..30_000 }), "{:?}", event.lint);
            let event = lints.next().await.expect("the node lives");
            assert_eq!((event.pid, event.lint), (myself.pid(), Lint::SelfCall), "the next one is another's");
            Ok(())
        });
        once(Runtime::builder().seeded(seed), body).unwrap();
    }
}

#[test]
fn a_handler_that_takes_long_is_told_and_one_that_blocks_its_worker_too() {
    for _ in 0..repetitions(5) {
        let body = observe(async |_| {
            let mut lints = node().lints();
            let (go_on, gate) = std::sync::mpsc::channel::<()>();
            let blocking = spawn_process(async move |_: Process<()>| {
                let _ = gate.recv();
                Ok(())
            });
            let long = lints.next().await.expect("the node lives");
            assert!(matches!(long.lint, Lint::LongTurn { .. }), "{:?}", long.lint);
            let blocked = lints.next().await.expect("the node lives");
            assert!(matches!(blocked.lint, Lint::BlockedWorker { .. }), "{:?}", blocked.lint);
            assert_eq!((long.pid, blocked.pid), (blocking.pid(), blocking.pid()));
            drop(go_on);
            Ok(())
        });
        once(Runtime::builder().workers(2), body).unwrap();
    }
}
