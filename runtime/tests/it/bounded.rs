//! Mailboxes of a limited length: who waits, what is dropped, and what comes through in any case.

use std::time::{Duration, Instant};

use biotope_runtime::{
    Actor, Address, Bounded, Call, CallFailed, Context, DeadLetter, ExitReason, Handle, Info, Lint, LintEvent, Options,
    Overflow, Process, ReplyTo, Runtime, SendError, Status, TimerRef, blocking, node, options, process, spawn,
    spawn_process, time,
};
use biotope_testkit::{once, repetitions};
use tokio::sync::{mpsc, oneshot};

use crate::everywhere;
use crate::probe::{down, observe};

/// A process whose mailbox has this limit. It takes nothing until it is let go, and then sends on what it takes; the rest of
/// what it is let go with.
struct Gated {
    address: Address<u32>,
    go: oneshot::Sender<()>,
    taken: mpsc::UnboundedReceiver<u32>,
}

fn gated(limit: Bounded) -> Gated {
    let (go, gate) = oneshot::channel();
    let (took, taken) = mpsc::unbounded_channel();
    let body = process(async move |mut me: Process<u32>| {
        let _ = gate.await;
        loop {
            let _ = took.send(me.receive().await?);
        }
    });
    Gated { address: spawn(options(body).mailbox(limit)), go, taken }
}

impl Gated {
    /// Lets it go, and returns the next `count` that it takes.
    async fn takes(self, count: usize) -> Vec<u32> {
        let Self { go, mut taken, .. } = self;
        let _ = go.send(());
        let mut all = Vec::new();
        for _ in 0..count {
            all.extend(taken.recv().await);
        }
        all
    }
}

/// A process that casts `messages` to `to`, lets others run, and says so.
fn sender(to: &Address<u32>, messages: std::ops::Range<u32>) -> (Address<()>, oneshot::Receiver<()>) {
    let (went_on, goes_on) = oneshot::channel();
    let to = to.clone();
    let sender = spawn_process(async move |_: Process<()>| {
        messages.for_each(|n| to.cast(n));
        time::yield_now().await;
        let _ = went_on.send(());
        Ok(())
    });
    (sender, goes_on)
}

/// Waits until `process` is stalled, and returns by whom.
async fn stalled(process: &Address<()>) -> Option<biotope_runtime::Pid> {
    loop {
        let info = node().process_info(process.pid()).await?;
        if info.stalled_by.is_some() {
            assert_eq!(info.status, Status::Stalled);
            return info.stalled_by;
        }
        time::yield_now().await;
    }
}

/// Whether no time has passed since `start`, as far as time can be told: it is virtual in a seeded run only.
fn is_at_once(start: Instant) -> bool {
    !node().runtime().is_seeded() || time::now() == start
}

#[test]
fn who_sends_more_than_fits_goes_on_when_there_is_room() {
    everywhere("suspend", || {
        observe(async move |_| {
            let start = time::now();
            let receiver = gated(Bounded::to(4));
            let (sender, mut goes_on) = sender(&receiver.address, 0..6);
            assert_eq!(stalled(&sender).await, Some(receiver.address.pid()));
            for _ in 0..5 {
                time::yield_now().await;
            }
            assert!(goes_on.try_recv().is_err(), "it went on while its messages did not fit");
            assert_eq!(receiver.takes(6).await, [0, 1, 2, 3, 4, 5]);
            goes_on.await?;
            assert!(is_at_once(start), "it went on because its time was up");
            assert_eq!((node().stalls().begun, node().stalls().too_long), (1, 0));
            assert_eq!(node().dead_letters_of(DeadLetter::Full), 0);
            Ok(())
        })
    });
}

#[test]
fn beyond_twice_the_limit_a_handler_that_does_not_end_loses_messages() {
    everywhere("excess", || {
        observe(async move |_| {
            let receiver = gated(Bounded::to(3));
            let (sender, goes_on) = sender(&receiver.address, 0..10);
            stalled(&sender).await;
            assert_eq!(node().dead_letters_of(DeadLetter::Full), 4);
            assert_eq!(receiver.takes(6).await, [0, 1, 2, 3, 4, 5]);
            goes_on.await?;
            Ok(())
        })
    });
}

#[test]
fn exits_and_questions_reach_who_is_stalled() {
    everywhere("kill", || {
        observe(async move |mut me| {
            let receiver = gated(Bounded::to(1));
            let timers = || node().runtime().stats().timers;
            let before = timers();
            let (sender, goes_on) = sender(&receiver.address, 0..2);
            stalled(&sender).await;
            let watch = me.monitor(&sender);
            me.exit(&sender, ExitReason::Shutdown);
            assert_eq!(down(&mut me, watch).await?, ExitReason::Shutdown);
            assert_eq!(timers(), before, "it left the timer of its wait behind");
            assert!(goes_on.await.is_err());
            assert_eq!(receiver.takes(2).await, [0, 1]);
            Ok(())
        })
    });
}

#[test]
fn who_is_stalled_goes_on_after_a_time_without_room() {
    for seed in 0..repetitions(200) {
        let body = observe(async move |_| {
            let receiver = gated(Bounded::to(1));
            let start = time::now();
            let (_, goes_on) = sender(&receiver.address, 0..2);
            goes_on.await?;
            assert_eq!(time::now() - start, Duration::from_secs(5));
            assert_eq!(node().stalls().too_long, 1);
            assert_eq!(receiver.takes(2).await, [0, 1]);
            Ok(())
        });
        once(Runtime::builder().seeded(seed), body).unwrap();
    }
}

#[test]
fn who_is_stalled_goes_on_when_the_receiver_ends() {
    everywhere("receiver ends", || {
        observe(async move |me| {
            let start = time::now();
            let receiver = gated(Bounded::to(1));
            let (sender, goes_on) = sender(&receiver.address, 0..2);
            stalled(&sender).await;
            me.exit(&receiver.address, ExitReason::Kill);
            goes_on.await?;
            assert!(is_at_once(start), "it went on because its time was up");
            assert_eq!(node().stalls().too_long, 0);
            assert_eq!(node().dead_letters_of(DeadLetter::Stopped), 2);
            Ok(())
        })
    });
}

/// Each of two fills the other's mailbox, before either takes anything.
#[test]
fn of_two_who_wait_for_each_other_one_goes_on() {
    everywhere("circle", || {
        observe(async move |_| {
            let mut lints = node().lints();
            let (tell, mut told) = mpsc::unbounded_channel();
            let (to_first, for_first) = oneshot::channel::<Address<u32>>();
            let (to_second, for_second) = oneshot::channel::<Address<u32>>();
            let start = |other: oneshot::Receiver<Address<u32>>, tell: mpsc::UnboundedSender<u32>| {
                let body = process(async move |mut me: Process<u32>| {
                    let other = other.await?;
                    (0..2).for_each(|n| other.cast(n));
                    time::yield_now().await;
                    for _ in 0..2 {
                        let _ = tell.send(me.receive().await?);
                    }
                    Ok(())
                });
                spawn(options(body).mailbox(Bounded::to(1)))
            };
            let (first, second) = (start(for_first, tell.clone()), start(for_second, tell));
            let _ = to_first.send(second);
            let _ = to_second.send(first);
            let mut all = Vec::new();
            while let Some(n) = told.recv().await {
                all.push(n);
            }
            all.sort_unstable();
            assert_eq!(all, [0, 0, 1, 1]);
            assert!((1..=2).contains(&node().stalls().in_circles), "who closes the circle sees it");
            assert_eq!(node().stalls().too_long, 0, "neither waited until it was too long");
            let LintEvent { process, lint, .. } = lints.next().await.expect("the node lives");
            let Lint::FullMailboxes { circle } = lint else { panic!("{process}: {lint}") };
            assert_eq!((circle.len(), &circle[0], &circle[2]), (3, &process, &process));
            assert_ne!(circle[0], circle[1]);
            Ok(())
        })
    });
}

/// A process that is called; it takes nothing until it is let go.
fn called(limit: Bounded) -> (Address<ReplyTo<u32>>, oneshot::Sender<()>) {
    let (go, gate) = oneshot::channel();
    let body = process(async move |mut me: Process<ReplyTo<u32>>| {
        let _ = gate.await;
        for n in 0.. {
            me.receive().await?.send(n);
        }
        Ok(())
    });
    (spawn(options(body).mailbox(limit)), go)
}

#[test]
fn a_call_waits_for_room_and_its_deadline_runs() {
    everywhere("call", || {
        observe(async move |_| {
            let (callee, go) = called(Bounded::to(1));
            let waiting = Call::new(&callee, |reply| reply).send();
            let (asked, answer) = oneshot::channel();
            let to = callee.clone();
            spawn_process(async move |_: Process<()>| {
                let _ = asked.send(Call::new(&to, |reply| reply).await?);
                Ok(())
            });
            time::yield_now().await;
            let late = Call::new(&callee, |reply| reply).timeout(Duration::from_millis(1)).await;
            assert_eq!(late, Err(CallFailed::Full));
            assert_eq!(node().dead_letters_of(DeadLetter::Expired), 1);
            let _ = go.send(());
            let (first, second) = (waiting.await?, answer.await?);
            assert_eq!((first, second), (0, 1));
            Ok(())
        })
    });
}

#[test]
fn a_call_to_a_full_mailbox_that_suspends_nobody_fails_at_once() {
    everywhere("call fails", || {
        observe(async move |_| {
            for overflow in [Overflow::Reject, Overflow::DropNewest] {
                let (callee, go) = called(Bounded::to(1).or(overflow));
                let waiting = Call::new(&callee, |reply| reply).send();
                assert_eq!(Call::new(&callee, |reply| reply).await, Err(CallFailed::Full));
                let _ = go.send(());
                assert_eq!(waiting.await?, 0);
            }
            let (callee, go) = called(Bounded::to(1).or(Overflow::DropOldest));
            let oldest = Call::new(&callee, |reply| reply).send();
            let newest = Call::new(&callee, |reply| reply).send();
            assert_eq!(oldest.await, Err(CallFailed::Full));
            let _ = go.send(());
            assert_eq!(newest.await?, 0);
            Ok(())
        })
    });
}

#[test]
fn what_does_not_fit_is_rejected_or_dropped_as_the_owner_chose() {
    everywhere("overflow", || {
        observe(async move |_| {
            let cases = [
                (Overflow::Reject, [0, 1, 2], DeadLetter::Full),
                (Overflow::DropNewest, [0, 1, 2], DeadLetter::Dropped),
                (Overflow::DropOldest, [4, 5, 6], DeadLetter::Dropped),
            ];
            for (overflow, left, why) in cases {
                let before = node().dead_letters_of(why);
                let receiver = gated(Bounded::to(3).or(overflow));
                (0..7).for_each(|n| receiver.address.cast(n));
                assert_eq!(node().dead_letters_of(why) - before, 4);
                let info = node().process_info(receiver.address.pid()).await.expect("it lives");
                assert_eq!((info.mailbox_len, info.high_water), (3, Some(3)));
                assert_eq!(receiver.takes(3).await, left);
            }
            assert_eq!(node().stalls().begun, 0);
            Ok(())
        })
    });
}

#[test]
fn try_cast_hands_back_what_does_not_fit() {
    everywhere("try", || {
        observe(async move |_| {
            for overflow in [Overflow::Suspend, Overflow::Reject, Overflow::DropNewest] {
                let receiver = gated(Bounded::to(1).or(overflow));
                assert!(receiver.address.try_cast(0).is_ok());
                assert!(matches!(receiver.address.try_cast(1), Err(SendError::Full(1))));
                assert_eq!(receiver.takes(1).await, [0]);
            }
            assert_eq!(node().stalls().begun, 0);
            Ok(())
        })
    });
}

/// From a thread that is no process: a cast that does not fit is lost at once, one that is awaited comes through.
#[test]
fn who_is_no_process_awaits_room_or_is_told() {
    let runtime = Runtime::builder().workers(2).build().expect("threads");
    let node =
        runtime.block_on(biotope_runtime::Node::builder("n").runtime(runtime.clone()).start()).expect("it starts");
    let (go, gate) = oneshot::channel();
    let (took, mut taken) = mpsc::unbounded_channel();
    let body = process(async move |mut me: Process<u32>| {
        let _ = gate.await;
        loop {
            let _ = took.send(me.receive().await?);
        }
    });
    let receiver = node.spawn(options(body).mailbox(Bounded::to(1)));
    receiver.cast(0);
    receiver.cast(1);
    assert_eq!(node.dead_letters_of(DeadLetter::Full), 1);
    let sent = runtime.block_on(async {
        let (sent, ()) = tokio::join!(receiver.cast_async(2), async {
            let _ = go.send(());
        });
        sent
    });
    assert!(sent.is_ok());
    assert_eq!((taken.blocking_recv(), taken.blocking_recv()), (Some(0), Some(2)));
    let refused = node.spawn(
        options(process(async |mut me: Process<u32>| {
            me.receive_match(|n| *n == 7).await?;
            Ok(())
        }))
        .mailbox(Bounded::to(1).or(Overflow::Reject)),
    );
    refused.cast(0);
    assert!(matches!(runtime.block_on(refused.cast_async(1)), Err(SendError::Full(1))));
    node.exit(&refused, ExitReason::Kill);
    runtime.block_on(node.ended(&refused));
    assert!(matches!(runtime.block_on(refused.cast_async(1)), Err(SendError::NoProc(1))));
    runtime.block_on(node.shutdown());
}

#[test]
fn what_has_to_come_through_does_so_when_the_mailbox_is_full() {
    everywhere("comes through", || {
        observe(async move |mut me| {
            for overflow in [Overflow::Suspend, Overflow::Reject, Overflow::DropNewest, Overflow::DropOldest] {
                let (go, gate) = oneshot::channel();
                let (say, alias) = oneshot::channel();
                let (told, tells) = oneshot::channel();
                let watched = spawn_process(async |mut me: Process<()>| Ok(me.receive().await?));
                let watched_pid = watched.pid();
                let body = process(async move |mut me: Process<u32>| {
                    me.trap_exits(true);
                    me.monitor(watched_pid);
                    let _ = say.send(me.alias());
                    let _ = gate.await;
                    let mut all = Vec::new();
                    for _ in 0..3 {
                        all.push(me.receive().await?);
                    }
                    me.receive_info(|info| if let Info::Down(_) = info { Ok(()) } else { Err(info) }).await?;
                    me.receive_info(|info| if let Info::Exit(_) = info { Ok(()) } else { Err(info) }).await?;
                    let _ = told.send(all);
                    me.receive_match(|_| false).await?;
                    Ok(())
                });
                let receiver = spawn(options(body).mailbox(Bounded::to(1).or(overflow)));
                let watch = me.monitor(&receiver);
                let alias = alias.await?;
                receiver.cast(0);
                let timer: TimerRef = me.send_after(Duration::ZERO, &receiver, 1);
                while node().read_timer(timer).is_some() {
                    time::sleep(Duration::from_millis(1)).await;
                }
                alias.cast(2);
                watched.cast(());
                node().ended(watched_pid).await;
                // Not from its parent, of whose exits it would end.
                let to = receiver.pid();
                let other = spawn_process(async move |me: Process<()>| {
                    me.exit(to, ExitReason::value("trapped"));
                    Ok(())
                });
                node().ended(&other).await;
                let _ = go.send(());
                let mut all = tells.await?;
                all.sort_unstable();
                assert_eq!(all, [0, 1, 2], "{overflow:?}");
                // Those that do not count took no room, and have left none.
                assert!(receiver.try_cast(3).is_ok());
                assert_eq!(receiver.try_cast(4).is_ok(), overflow == Overflow::DropOldest);
                receiver.stop(ExitReason::Normal);
                assert_eq!(down(&mut me, watch).await?, ExitReason::Normal);
            }
            assert_eq!(node().dead_letters_of(DeadLetter::Dropped), 1);
            Ok(())
        })
    });
}

#[test]
fn a_mailbox_that_was_used_and_is_empty_gives_its_memory_back() {
    everywhere("memory", || {
        observe(async move |mut me| {
            let echo = spawn_process(async |mut me: Process<ReplyTo<()>>| {
                loop {
                    me.receive().await?.send(());
                }
            });
            let before = loop {
                let info = node().process_info(echo.pid()).await.expect("it lives");
                if info.status == Status::Waiting {
                    break info.memory;
                }
            };
            for _ in 0..1_000 {
                drop(Call::new(&echo, |reply| reply).send());
            }
            Call::new(&echo, |reply| reply).await?;
            let after = loop {
                let info = node().peek(echo.pid()).expect("it lives");
                if info.status == Status::Waiting {
                    break info.memory;
                }
                time::yield_now().await;
            };
            assert!(after <= before, "{after} bytes, and {before} before");
            let _ = me.receive().timeout(Duration::ZERO).await;
            Ok(())
        })
    });
}

/// A flood is two events: one at once, and one for all that came within a second.
#[test]
fn a_flood_of_dead_letters_is_one_event_a_second() {
    for seed in 0..repetitions(50) {
        let body = observe(async move |_| {
            let mut events = node().subscribe_dead_letters();
            let ended = spawn_process(async |_: Process<u32>| Ok(()));
            node().ended(ended.pid()).await;
            let start = time::now();
            ended.cast(0);
            let first = events.next().await;
            assert_eq!((first.why, first.count, first.to), (DeadLetter::NoProc, 1, Some(ended.pid())));
            (0..10_000).for_each(|n| ended.cast(n));
            let second = events.next().await;
            assert_eq!((second.count, time::now() - start), (10_000, Duration::from_secs(1)));
            // Another reason has its own time.
            let full = gated(Bounded::to(1).or(Overflow::Reject));
            (0..3).for_each(|n| full.address.cast(n));
            let third = events.next().await;
            assert_eq!((third.why, third.count), (DeadLetter::Full, 2));
            assert_eq!(time::now() - start, Duration::from_secs(1));
            Ok(())
        });
        once(Runtime::builder().seeded(seed), body).unwrap();
    }
}

/// Under a seed time stands still while anybody runs: that they come to their deadlines says that none is woken for nothing.
#[test]
fn however_many_wait_for_room_they_rest_meanwhile() {
    for seed in 0..repetitions(5) {
        let body = observe(async move |_| {
            let (callee, go) = called(Bounded::to(1));
            let first = Call::new(&callee, |reply| reply).send();
            let mut outcomes = Vec::new();
            for n in 0..600 {
                let (told, outcome) = oneshot::channel();
                let to = callee.clone();
                spawn_process(async move |_: Process<()>| {
                    let timeout = Duration::from_secs(if n < 300 { 1 } else { 3 });
                    let _ = told.send(Call::new(&to, |reply| reply).timeout(timeout).await);
                    Ok(())
                });
                outcomes.push(outcome);
            }
            time::sleep(Duration::from_secs(2)).await;
            let _ = go.send(());
            assert_eq!(first.await?, 0);
            for (n, outcome) in outcomes.into_iter().enumerate() {
                let outcome = outcome.await?;
                assert_eq!(outcome.is_ok(), n >= 300, "{n}: {outcome:?}");
            }
            Ok(())
        });
        once(Runtime::builder().seeded(seed), body).unwrap();
    }
}

/// Threads and processes, many for one place, all at once.
#[test]
fn of_many_who_await_one_place_none_is_refused_or_stalled() {
    for _ in 0..repetitions(5) {
        let body = observe(async move |_| {
            let (callee, go) = called(Bounded::to(1));
            let _ = go.send(());
            let call = |callee: Address<ReplyTo<u32>>| async move {
                for _ in 0..200 {
                    Call::new(&callee, |reply| reply).await?;
                }
                Ok::<_, CallFailed>(())
            };
            let runtime = node().runtime().clone();
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let (callee, runtime) = (callee.clone(), runtime.clone());
                    std::thread::spawn(move || runtime.block_on(call(callee)))
                })
                .collect();
            let processes: Vec<_> = (0..3)
                .map(|_| {
                    let (callee, (told, tells)) = (callee.clone(), oneshot::channel());
                    spawn_process(async move |_: Process<()>| {
                        let _ = told.send(call(callee).await);
                        Ok(())
                    });
                    tells
                })
                .collect();
            for process in processes {
                assert_eq!(process.await?, Ok(()));
            }
            let joined = blocking(|| threads.into_iter().map(|thread| thread.join().expect("no panic")).collect());
            let joined: Vec<Result<(), CallFailed>> = joined.await;
            assert_eq!(joined, [Ok(()), Ok(()), Ok(())]);
            assert_eq!((node().dead_letters_of(DeadLetter::Full), node().stalls().begun), (0, 0));
            Ok(())
        });
        once(Runtime::builder().workers(2), body).unwrap();
    }
}

#[test]
fn who_calls_itself_does_not_wait_for_room_first() {
    everywhere("self", || {
        observe(async move |_| {
            let start = time::now();
            let (told, tells) = oneshot::channel();
            let body = process(async move |me: Process<ReplyTo<u32>>| {
                let myself = me.address();
                let held = Call::new(&myself, |reply| reply);
                myself.cast(ReplyTo::from_fn(|_| ()));
                drop(held);
                let called = Call::new(&myself, |reply| reply).await;
                let cast = myself.cast_async(ReplyTo::from_fn(|_| ())).await;
                let _ = told.send((called, cast));
                Ok(())
            });
            spawn(options(body).mailbox(Bounded::to(1)));
            let (called, cast) = tells.await?;
            assert_eq!(called, Err(CallFailed::SelfCall));
            assert!(matches!(cast, Err(SendError::Full(_))));
            assert!(is_at_once(start));
            Ok(())
        })
    });
}

/// The caller looks after its deadline for the first time since there is room.
#[test]
fn a_call_whose_deadline_passed_before_it_saw_the_room_is_not_sent() {
    for seed in 0..repetitions(50) {
        let body = observe(async move |_| {
            for has_other_call in [false, true] {
                let (callee, go) = called(Bounded::to(1));
                callee.cast(ReplyTo::from_fn(|_| ()));
                let expired = node().dead_letters_of(DeadLetter::Expired);
                let late = async {
                    let mut call = std::pin::pin!(Call::new(&callee, |reply| reply).timeout(Duration::from_millis(1)));
                    assert!(poll_once(call.as_mut()).await.is_none());
                    let _ = go.send(());
                    time::sleep(Duration::from_millis(5)).await;
                    assert_eq!(call.await, Err(CallFailed::Full));
                };
                let _other = has_other_call.then(|| Call::new(&callee, |reply: ReplyTo<u32>| reply));
                late.await;
                assert_eq!(node().dead_letters_of(DeadLetter::Expired) - expired, 1);
                assert_eq!(Call::new(&callee, |reply| reply).await, Ok(1), "it was delivered");
            }
            Ok(())
        });
        once(Runtime::builder().seeded(seed), body).unwrap();
    }
}

/// Polls it once.
async fn poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn a_mailbox_holds_at_least_one_message() {
    everywhere("least", || {
        observe(async move |_| {
            for overflow in [Overflow::Suspend, Overflow::Reject, Overflow::DropNewest, Overflow::DropOldest] {
                let receiver = gated(Bounded { messages: 0, overflow });
                assert!(receiver.address.try_cast(7).is_ok(), "{overflow:?}");
                assert_eq!(receiver.takes(1).await, [7]);
            }
            Ok(())
        })
    });
}

#[test]
fn what_came_by_an_alias_and_was_left_is_a_dead_letter_too() {
    everywhere("alias left", || {
        observe(async move |mut me| {
            let (say, alias) = oneshot::channel();
            let receiver = spawn_process(async move |me: Process<u32>| {
                let _ = say.send(me.alias());
                std::future::pending::<()>().await;
                Ok(())
            });
            let alias = alias.await?;
            alias.cast(0);
            receiver.cast(1);
            // It is received, and stays.
            node().process_info(receiver.pid()).await;
            alias.cast(2);
            let watch = me.monitor(&receiver);
            me.exit(&receiver, ExitReason::Kill);
            alias.cast(3);
            down(&mut me, watch).await?;
            let letters = node().stats().dead_letters;
            assert_eq!(letters.iter().map(|(_, count)| count).sum::<u64>(), 4, "{letters:?}");
            Ok(())
        })
    });
}

/// An actor that keeps what it is told, for which time passes while it handles the first.
#[derive(Default)]
struct Kept(Vec<u32>);

impl Actor for Kept {
    type Msg = u32;
    type Client = Address<u32>;
    const NAME: &'static str = "Kept";
    const OPTIONS: Options = Options { mailbox: Some(Bounded::to(3).or(Overflow::DropOldest)), ..Options::DEFAULT };
}

impl Handle for Kept {
    async fn handle(&mut self, message: u32, _: &mut Context<Self>) {
        self.0.push(message);
    }
}

#[test]
fn who_is_suspended_and_drops_the_oldest_keeps_to_its_limit() {
    everywhere("suspended", || {
        observe(async move |_| {
            let kept = spawn(Kept::default());
            node().suspend(&kept);
            while node().process_info(kept.pid()).await.expect("it lives").status != Status::Suspended {}
            for n in 0..20 {
                kept.address().cast(n);
                let info = node().process_info(kept.pid()).await.expect("it lives");
                assert_eq!((info.status, info.mailbox_len), (Status::Suspended, 3.min(n as usize + 1)));
            }
            assert_eq!(kept.with_state(|kept| kept.0.len()).await?, 0);
            assert_eq!(node().dead_letters_of(DeadLetter::Dropped), 17);
            node().resume(&kept);
            assert_eq!(kept.with_state(|kept| kept.0.clone()).await?, [17, 18, 19]);
            Ok(())
        })
    });
}

#[test]
fn who_has_messages_on_its_shelf_waits_for_a_worker_and_not_for_a_message() {
    for seed in 0..repetitions(50) {
        let body = observe(async move |_| {
            let kept = spawn(Kept::default());
            while node().process_info(kept.pid()).await.expect("it lives").status != Status::Waiting {}
            kept.address().cast(1);
            let info = node().process_info(kept.pid()).await.expect("it lives");
            assert_eq!((info.mailbox_len, info.status), (1, Status::Runnable));
            Ok(())
        });
        once(Runtime::builder().seeded(seed), body).unwrap();
    }
}

/// Others keep the mailbox full, so that messages move up in it; they do not pass what is no message.
#[test]
fn what_one_sends_to_who_drops_the_oldest_stays_in_order() {
    for _ in 0..repetitions(5) {
        let body = observe(async move |_| {
            let kept = spawn(Kept::default());
            let is_over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let (kept, is_over) = (kept.clone(), is_over.clone());
                    std::thread::spawn(move || {
                        while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                            kept.address().cast(0);
                        }
                    })
                })
                .collect();
            for n in 1..2_000 {
                // What it looks at is sent before the message, and so finds only those before it.
                let look = kept.with_state(move |kept| {
                    kept.0.retain(|other| *other != 0);
                    assert!(!kept.0.contains(&n), "{n} has passed what was sent before it");
                });
                let mut look = std::pin::pin!(look);
                let early = poll_once(look.as_mut()).await;
                kept.address().cast(n);
                if early.is_none() {
                    look.await?;
                }
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            for thread in threads {
                thread.join().expect("no panic");
            }
            Ok(())
        });
        once(Runtime::builder().workers(2), body).unwrap();
    }
}

/// `x` is full. `p` is stalled by `y`, and then, in the same poll, waits for room in `x`; `y` waits for that too, behind `p`. When
/// `x` makes room, `y` must come in, although `p` was there before.
#[test]
fn who_waits_for_room_and_is_stalled_elsewhere_keeps_nobody_out() {
    for seed in 0..repetitions(20) {
        let body = observe(async move |_| {
            let x = gated(Bounded::to(1));
            x.address.cast(0);
            let (go_y, gate_y) = oneshot::channel::<()>();
            let x2 = x.address.clone();
            let y = spawn(
                options(process(async move |mut me: Process<u32>| {
                    let _ = gate_y.await;
                    let _ = x2.cast_async(10).await;
                    loop {
                        me.receive().await?;
                    }
                }))
                .mailbox(Bounded::to(1)),
            );
            let (x3, y3) = (x.address.clone(), y.clone());
            let p = spawn_process(async move |_: Process<()>| {
                y3.cast(0);
                y3.cast(1);
                let _ = x3.cast_async(11).await;
                Ok(())
            });
            assert_eq!(stalled(&p).await, Some(y.pid()));
            let _ = go_y.send(());
            for _ in 0..20 {
                time::yield_now().await;
            }
            let start = time::now();
            assert_eq!(x.takes(3).await.len(), 3);
            assert_eq!((time::now() - start, node().stalls().too_long), (Duration::ZERO, 0));
            Ok(())
        });
        once(Runtime::builder().seeded(seed), body).unwrap();
    }
}

/// A future that was woken and is neither polled nor dropped for an hour.
#[test]
fn who_was_woken_for_room_and_does_not_come_keeps_nobody_out() {
    for seed in 0..repetitions(5) {
        let body = observe(async move |_| {
            let Gated { address: x, go, mut taken } = gated(Bounded::to(1));
            x.cast(0);
            let mut kept = std::pin::pin!(x.cast_async(1));
            assert!(poll_once(kept.as_mut()).await.is_none());
            let x2 = x.clone();
            let (told, tells) = oneshot::channel();
            spawn_process(async move |_: Process<()>| {
                let _ = told.send(x2.cast_async(2).await.is_ok());
                Ok(())
            });
            time::yield_now().await;
            time::sleep(Duration::from_millis(1)).await;
            let _ = go.send(());
            assert_eq!(taken.recv().await, Some(0));
            let sent = time::timeout(Duration::from_secs(3600), tells).await;
            assert!(sent.is_ok(), "an hour before an empty mailbox: {:?}", node().process_info(x.pid()).await);
            kept.await.ok();
            Ok(())
        });
        once(Runtime::builder().seeded(seed), body).unwrap();
    }
}

/// Two hundred wait for room, each in one of the ways in which one can; some are killed, some have deadlines. All come in, no
/// room is lost, and nobody waits until it is too long.
async fn crowd_before(limit: usize, seed: u64) -> Result<(), biotope_runtime::Error> {
    let (took, mut taken) = mpsc::unbounded_channel();
    let x = spawn(
        options(process(async move |mut me: Process<ReplyTo<u32>>| {
            let mut n = 0;
            loop {
                let reply = me.receive().await?;
                n += 1;
                if n % 7 == 0 {
                    time::sleep(Duration::from_micros(200)).await;
                }
                reply.send(n);
                let _ = took.send(());
            }
        }))
        .mailbox(Bounded::to(limit)),
    );
    let (done, mut is_done) = mpsc::unbounded_channel::<u32>();
    let mut killed = Vec::new();
    for n in 0..200_u32 {
        let (x, done) = (x.clone(), done.clone());
        let kind = (u64::from(n) * 7 + seed * 13) % 5;
        let p = spawn_process(async move |_: Process<()>| {
            for round in 0..8 {
                match kind {
                    0 => {
                        x.cast(ReplyTo::from_fn(|_| ()));
                        time::yield_now().await;
                    }
                    1 => x.cast_async(ReplyTo::from_fn(|_| ())).await.map_err(|_| ()).expect("it lives"),
                    2 => {
                        Call::new(&x, |reply| reply).timeout(Duration::from_secs(60)).await.expect("in time");
                    }
                    3 => {
                        let _ = Call::new(&x, |reply| reply).timeout(Duration::from_micros(50 * round)).await;
                    }
                    _ => {
                        x.cast(ReplyTo::from_fn(|_| ()));
                        x.cast(ReplyTo::from_fn(|_| ()));
                        x.cast_async(ReplyTo::from_fn(|_| ())).await.map_err(|_| ()).expect("it lives");
                    }
                }
            }
            let _ = done.send(n);
            Ok(())
        });
        if n % 9 == 0 {
            killed.push(p);
        }
    }
    drop(done);
    time::sleep(Duration::from_millis(1)).await;
    for p in killed {
        node().exit(&p, ExitReason::Kill);
    }
    let all = time::timeout(Duration::from_secs(40), async { while is_done.recv().await.is_some() {} }).await;
    assert!(all.is_ok(), "limit {limit}, seed {seed}: {:?}", node().processes().len());
    while let Ok(Some(())) = time::timeout(Duration::from_millis(20), taken.recv()).await {}
    let info = node().process_info(x.pid()).await.expect("lives");
    assert_eq!((info.mailbox_len, node().stalls().too_long), (0, 0), "{limit} {seed} {:?}", node().stalls());
    for _ in 0..limit {
        assert!(x.try_cast(ReplyTo::from_fn(|_| ())).is_ok(), "room was lost");
    }
    Ok(())
}

#[test]
fn of_a_crowd_that_waits_in_all_ways_nobody_is_forgotten() {
    for limit in [1, 2, 5] {
        for seed in 0..repetitions(10) {
            let body = observe(async move |_| crowd_before(limit, seed).await);
            once(Runtime::builder().seeded(seed), body).unwrap();
        }
        for seed in 0..repetitions(3) {
            let body = observe(async move |_| crowd_before(limit, seed).await);
            once(Runtime::builder().workers(3), body).unwrap();
        }
    }
}
