//! What is amiss with a process is told once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use biotope_runtime::{
    Actor, Address, Bounded, Call, CallFailed, Context, Handle, Lint, LintEvent, LintEvents, Overflow, Process,
    ReplyTo, Runtime, node, options, process, spawn, spawn_process,
};
use biotope_testkit::{once, repetitions};
use tokio::sync::oneshot;

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

/// It is seen by whoever makes it long; of those that make it longer nobody tells again.
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
            assert!(matches!(event.lint, Lint::LongMailbox { messages: 10_000..10_050 }), "{:?}", event.lint);
            let event = lints.next().await.expect("the node lives");
            assert_eq!((event.pid, event.lint), (myself.pid(), Lint::SelfCall), "the next one is another's");
            Ok(())
        });
        once(Runtime::builder().seeded(seed), body).unwrap();
    }
}

/// Also while it awaits something, receives nothing, or nothing of what comes.
#[test]
fn a_mailbox_that_grows_while_its_process_awaits_is_told_once_with_its_high_water() {
    let body = || {
        observe(async |_| {
            let mut lints = node().lints();
            let (handles, handling) = oneshot::channel();
            let handler = spawn(Sleeper);
            handler.cast(Slept::Until(handling));
            let (opens, gate) = oneshot::channel::<()>();
            let straight = spawn_process(async move |_: Process<Slept>| {
                let _ = gate.await;
                Ok(())
            });
            let selective = spawn_process(async |mut me: Process<Slept>| {
                me.receive_match(|message| matches!(message, Slept::Until(_))).await?;
                Ok(())
            });
            let addresses = [handler.address().clone(), straight.clone(), selective.clone()];
            for process in &addresses {
                (0..21_000).for_each(|_| process.cast(Slept::Nothing));
                let event = next_untimed(&mut lints).await;
                assert_eq!(event.pid, process.pid());
                assert!(matches!(event.lint, Lint::LongMailbox { messages: 10_000..10_050 }), "{:?}", event.lint);
                let info = node().peek(process.pid()).expect("it lives");
                assert!(info.high_water.is_some_and(|most| (20_950..=21_000).contains(&most)), "{:?}", info.high_water);
            }
            // They wait still. The next that is told is another's: each was told of once.
            let myself = spawn_process(async move |me: Process<ReplyTo<()>>| {
                let _ = Call::new(&me.address(), |reply| reply).await;
                Ok(())
            });
            let event = next_untimed(&mut lints).await;
            assert_eq!((event.pid, event.lint), (myself.pid(), Lint::SelfCall));
            let (ends, end) = oneshot::channel();
            let ended = [node().ended(straight.pid()), node().ended(selective.pid())];
            selective.cast(Slept::Until(end));
            let _ = (handles.send(()), opens.send(()), ends.send(()));
            for end in ended {
                end.await;
            }
            handler.with_state(|_| ()).await?;
            let info = node().peek(handler.pid()).expect("it lives");
            assert!(
                info.mailbox_len == 0 && info.high_water.is_some_and(|most| most >= 20_950),
                "the mark stays: {info:?}"
            );
            Ok(())
        })
    };
    for seed in 0..repetitions(20) {
        once(Runtime::builder().seeded(seed), body()).unwrap();
        once(Runtime::builder().workers(2), body()).unwrap();
    }
}

/// The next that does not depend on how fast the machine is.
async fn next_untimed(lints: &mut LintEvents) -> LintEvent {
    loop {
        let event = lints.next().await.expect("the node lives");
        if !matches!(event.lint, Lint::LongTurn { .. } | Lint::BlockedWorker { .. } | Lint::NeverYields { .. }) {
            return event;
        }
    }
}

/// Awaits what it is told to.
struct Sleeper;

enum Slept {
    Nothing,
    Until(oneshot::Receiver<()>),
}

impl Actor for Sleeper {
    type Msg = Slept;
    type Client = Address<Slept>;
    const NAME: &'static str = "Sleeper";
}

impl Handle for Sleeper {
    async fn handle(&mut self, message: Slept, _cx: &mut Context<Self>) {
        if let Slept::Until(gate) = message {
            let _ = gate.await;
        }
    }
}

#[test]
fn a_mailbox_that_drops_the_oldest_is_told_of_too_and_who_reads_the_log_may_send_to_it() {
    for seed in 0..repetitions(5) {
        let body = observe(async |_| {
            let mut lints = node().lints();
            let body =
                process(async |mut me: Process<u32>| Ok(me.receive_match(|n| *n == u32::MAX).await.map(drop)?));
            let receiver = node().spawn(options(body).mailbox(Bounded::to(20_000).or(Overflow::DropOldest)));
            let again = receiver.clone();
            let subscriber = SendsTo(Box::new(move || again.cast(1)));
            tracing::subscriber::with_default(subscriber, || (0..25_000).for_each(|n| receiver.cast(n)));
            let event = lints.next().await.expect("the node lives");
            assert_eq!(event.pid, receiver.pid());
            assert!(matches!(event.lint, Lint::LongMailbox { messages: 10_000..10_050 }), "{:?}", event.lint);
            assert_eq!(node().peek(receiver.pid()).and_then(|info| info.high_water), Some(20_000));
            Ok(())
        });
        once(Runtime::builder().seeded(seed), body).unwrap();
    }
}

/// Reads the log, and sends what it was made with for each warning.
struct SendsTo(Box<dyn Fn() + Send + Sync>);

impl tracing::Subscriber for SendsTo {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn event(&self, _: &tracing::Event<'_>) {
        (self.0)();
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// It computes until the test has heard of it, and says all the while that it works.
#[test]
fn a_process_that_never_yields_is_told_once() {
    let body = observe(async |_| {
        let mut lints = node().lints();
        let heard = Arc::new(AtomicBool::new(false));
        let until = heard.clone();
        let selfish = spawn_process(async move |me: Process<()>| {
            while !until.load(Ordering::Relaxed) {
                me.consume_reductions(1);
                std::hint::spin_loop();
            }
            Ok(())
        });
        let end = node().ended(selfish.pid());
        node().register("selfish", selfish.pid())?;
        let event = loop {
            let event = lints.next().await.expect("the node lives");
            if matches!(event.lint, Lint::NeverYields { .. }) {
                break event;
            }
        };
        assert_eq!((event.pid, event.process), (selfish.pid(), format!("selfish {}", selfish.pid())));
        heard.store(true, Ordering::Relaxed);
        end.await;
        // What is told of the next process comes behind all that was told of this one.
        let myself = spawn_process(async move |me: Process<ReplyTo<()>>| {
            let _ = Call::new(&me.address(), |reply| reply).await;
            Ok(())
        });
        let event = loop {
            let event = lints.next().await.expect("the node lives");
            if matches!(event.lint, Lint::NeverYields { .. } | Lint::SelfCall) {
                break event;
            }
        };
        assert_eq!((event.pid, event.lint), (myself.pid(), Lint::SelfCall));
        Ok(())
    });
    once(Runtime::builder().workers(2), body).unwrap();
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
