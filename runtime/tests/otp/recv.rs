//! Area RECV: mailbox, selective receive, hibernation.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use biotope_runtime::{
    Actor, Address, Call, Context, Exit, ExitReason, Handle, Info, Pid, Process, ReceiveError, Received, ReplyTo,
    Result, Runtime, Status, node, spawn, spawn_process, time,
};
use tokio::sync::oneshot;

use crate::acts::{
    Act, Dropping, Echo, Puppet, act, acted, all_there, down, dropping, messages_there, nothing_more, puppet,
    sent_by_another,
};
use crate::runs::{SEEDS, everywhere, millis, once, random, secs, under_seeds};

const TIMED_OUT: ReceiveError = ReceiveError::Timeout;

// ---- RECV-01

#[test]
fn recv_01_the_first_match_in_arrival_order() {
    everywhere(async |mut me: Process<&'static str>| {
        sent_by_another(&me, vec!["a1", "b1", "a2", "b2"]).await?;
        let is_b = |message: &&str| message.starts_with('b');
        assert_eq!(me.receive_match(is_b).await?, "b1");
        assert_eq!(me.receive_match(is_b).await?, "b2");
        assert_eq!(me.receive().await?, "a1");
        assert_eq!(me.receive().await?, "a2");
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// The same while the messages arrive: whatever is there when it looks.
#[test]
fn recv_01_the_first_match_of_what_arrives_meanwhile() {
    everywhere(async |mut me: Process<(char, u32)>| {
        let sender = puppet();
        let to = me.address();
        act(&sender, move |_| {
            for n in 0..100 {
                to.cast(('a', n));
                to.cast(('b', n));
            }
        });
        for n in 0..100 {
            assert_eq!(me.receive_match(|(letter, _)| *letter == 'b').await?, ('b', n));
        }
        let skipped: Vec<_> = (0..100).map(|n| ('a', n)).collect();
        assert_eq!(messages_there(&mut me).await?, skipped);
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// What the runtime says takes its place in the same order as messages, and is skipped like them.
#[test]
fn recv_01_infos_and_messages_have_one_order() {
    everywhere(async |mut me: Process<&'static str>| {
        me.trap_exits(true);
        let sender = puppet();
        let monitor = me.monitor(&sender);
        let to = me.address();
        act(&sender, move |sender| {
            to.cast("a");
            sender.exit(to.pid(), ExitReason::Shutdown);
            to.cast("b");
            sender.exit(to.pid(), ExitReason::Normal);
            to.cast("c");
            sender.exit_now(ExitReason::value("last"));
        });
        // The last of it first, so that all is there.
        let told = down(&mut me, monitor).await?;
        assert!(told.target == sender.pid());
        assert_eq!(told.reason, ExitReason::value("last"));
        assert_eq!(me.receive_match(|message| *message == "b").await?, "b");
        let exit = |reason| Received::Info(Info::Exit(Exit { from: sender.pid(), reason }));
        assert_eq!(me.receive_any().await?, Received::Message("a"));
        // A message is received past an info, which stays.
        assert_eq!(me.receive().await?, "c");
        assert_eq!(me.receive_any().await?, exit(ExitReason::Shutdown));
        assert_eq!(me.receive_any().await?, exit(ExitReason::Normal));
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// What a receive was offered and does not want stays as it was, also if it had to be taken apart.
#[test]
fn recv_01_what_is_handed_back_stays_in_its_place() {
    everywhere(async |mut me: Process<(u32, Option<String>)>| {
        let message = |n: u32| (n, Some(n.to_string()));
        sent_by_another(&me, (0..20).map(message).collect()).await?;
        let taken = me.receive_map(|(n, text)| match text {
            Some(text) if n == 13 => Ok(text),
            text => Err((n, text)),
        });
        assert_eq!(taken.await?, "13");
        let rest: Vec<_> = (0..20).filter(|n| *n != 13).map(message).collect();
        assert_eq!(messages_there(&mut me).await?, rest);
        Ok(())
    });
}

/// The rule, against a model: whatever is received in whatever order, it is the first that fits, and what
/// was skipped keeps its order. The mailbox grows to several hundred, over many blocks and with holes.
#[test]
fn recv_01_agrees_with_a_model() {
    everywhere(async |mut me: Process<(u64, u32)>| {
        let others: Vec<Puppet> = (0..3).map(|_| puppet()).collect();
        let mut model: Vec<(u64, u32)> = Vec::new();
        let mut serial = 0;
        for _ in 0..150 {
            match random(4) {
                // Somebody sends a few, perhaps this process itself. They are there when it has.
                0 => {
                    let batch: Vec<_> = (0..random(24)).map(|n| (random(6), serial + n as u32)).collect();
                    serial += batch.len() as u32;
                    model.extend(&batch);
                    let to = me.address();
                    let send = move || batch.into_iter().for_each(|message| to.cast(message));
                    match others.get(random(4) as usize) {
                        Some(other) => acted(other, move |_| send()).await?,
                        None => send(),
                    }
                }
                // Twice as often one kind only, so that it grows.
                1 | 2 => {
                    let kind = random(6);
                    let expected = model.iter().position(|message| message.0 == kind).map(|at| model.remove(at));
                    let received = me.receive_match(move |message| message.0 == kind).timeout(Duration::ZERO).await;
                    assert_eq!(received, expected.ok_or(TIMED_OUT));
                }
                _ => {
                    let expected = if model.is_empty() { Err(TIMED_OUT) } else { Ok(model.remove(0)) };
                    assert_eq!(me.receive().timeout(Duration::ZERO).await, expected);
                }
            }
        }
        assert_eq!(messages_there(&mut me).await?, model);
        Ok(())
    });
}

/// A receive that is given up has taken nothing.
#[test]
fn recv_01_a_receive_that_is_dropped_has_taken_nothing() {
    everywhere(async |mut me: Process<u32>| {
        sent_by_another(&me, vec![1, 2, 3]).await?;
        {
            let mut given_up = me.receive_match(|n| *n == 4);
            let polled = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut given_up).poll(cx).is_pending()));
            assert!(polled.await);
        }
        drop(me.receive());
        assert_eq!(messages_there(&mut me).await?, [1, 2, 3]);
        Ok(())
    });
}

// ---- RECV-02

/// Looks at all, once, in order, and gives up without any time having passed.
#[test]
fn recv_02_a_zero_timeout_looks_at_every_message_and_gives_up_at_once() {
    under_seeds(SEEDS, async |mut me: Process<u32>| {
        let begin = time::now();
        assert_eq!(me.receive().timeout(Duration::ZERO).await, Err(TIMED_OUT), "nothing is there");
        let all: Vec<u32> = (0..200).collect();
        sent_by_another(&me, all.clone()).await?;
        let mut looked_at = Vec::new();
        let outcome = me.receive_match(|n| {
            looked_at.push(*n);
            false
        });
        assert_eq!(outcome.timeout(Duration::ZERO).await, Err(TIMED_OUT));
        assert_eq!(looked_at, all);
        assert_eq!(time::now(), begin);
        // All of it is still there.
        assert_eq!(messages_there(&mut me).await?, all);
        Ok(())
    });
}

#[test]
fn recv_02_a_zero_timeout_takes_what_is_there() {
    everywhere(async |mut me: Process<&'static str>| {
        sent_by_another(&me, vec!["junk", "junk", "match", "junk"]).await?;
        let is_match = |message: &&str| *message == "match";
        assert_eq!(me.receive_match(is_match).timeout(Duration::ZERO).await?, "match");
        assert_eq!(me.receive_match(is_match).timeout(Duration::ZERO).await, Err(TIMED_OUT));
        assert_eq!(messages_there(&mut me).await?, ["junk"; 3]);
        Ok(())
    });
}

/// Also if there is more than a turn's budget allows to look at.
#[test]
fn recv_02_a_zero_timeout_looks_through_a_mailbox_of_many_turns() {
    let body = async |mut me: Process<u32>| {
        const LAST: u32 = 49_999;
        sent_by_another(&me, (0..=LAST).collect()).await?;
        let mut looked_at = 0;
        let nothing = me.receive_match(|_| {
            looked_at += 1;
            false
        });
        assert_eq!(nothing.timeout(Duration::ZERO).await, Err(TIMED_OUT));
        assert!(looked_at > LAST, "it looked at {looked_at} only");
        assert_eq!(me.receive_match(|n| *n == LAST).timeout(Duration::ZERO).await?, LAST);
        Ok(())
    };
    under_seeds(5, body);
    once(Runtime::builder().workers(2), body);
}

/// A zero timeout sees infos, too.
#[test]
fn recv_02_a_zero_timeout_sees_infos() {
    under_seeds(SEEDS, async |mut me: Process<&'static str>| {
        let watched = puppet();
        let monitor = me.monitor(&watched);
        sent_by_another(&me, vec!["junk"]).await?;
        let is_down = |info| match info {
            Info::Down(down) => Ok(down),
            other => Err(other),
        };
        assert_eq!(me.receive_info(is_down).timeout(Duration::ZERO).await, Err(TIMED_OUT));
        act(&watched, |me| me.exit_now(ExitReason::Normal));
        time::sleep(millis(1)).await;
        assert_eq!(me.receive_info(is_down).timeout(Duration::ZERO).await?.reference, monitor);
        assert_eq!(messages_there(&mut me).await?, ["junk"]);
        Ok(())
    });
}

// ---- RECV-03

/// Sends the numbers from 1 to 5, each 30 ms after the one before.
fn five_every_30_ms(to: Address<u32>) {
    spawn_process(async move |_: Process<()>| {
        for n in 1..=5 {
            time::sleep(millis(30)).await;
            to.cast(n);
        }
        Ok(())
    });
}

#[test]
fn recv_03_a_timeout_is_not_restarted_by_junk() {
    under_seeds(SEEDS, async |mut me: Process<u32>| {
        let begin = time::now();
        five_every_30_ms(me.address());
        assert_eq!(me.receive_match(|n| *n == 99).timeout(millis(100)).await, Err(TIMED_OUT));
        assert_eq!(time::now() - begin, millis(100));
        assert_eq!(messages_there(&mut me).await?, [1, 2, 3], "junk stays");
        assert_eq!(me.receive().await?, 4);
        assert_eq!(time::now() - begin, millis(120));
        Ok(())
    });
}

/// Neither by what the runtime says, nor by questions about the process.
#[test]
fn recv_03_a_timeout_is_not_restarted_by_infos_and_signals() {
    under_seeds(SEEDS, async |mut me: Process<u32>| {
        me.trap_exits(true);
        let myself = me.pid();
        let begin = time::now();
        spawn_process(async move |other: Process<()>| {
            for _ in 0..5 {
                time::sleep(millis(30)).await;
                other.exit(myself, ExitReason::Shutdown);
                other.link(myself);
                other.unlink(myself);
                other.node().process_info(myself).await;
            }
            Ok(())
        });
        assert_eq!(me.receive_match(|n| *n == 99).timeout(millis(100)).await, Err(TIMED_OUT));
        assert_eq!(time::now() - begin, millis(100));
        assert_eq!(all_there(&mut me).await?.len(), 3);
        Ok(())
    });
}

/// The match ends the wait at its instant, and the time-out that is left over does nothing.
#[test]
fn recv_03_a_match_in_time_ends_the_wait() {
    under_seeds(SEEDS, async |mut me: Process<u32>| {
        let begin = time::now();
        five_every_30_ms(me.address());
        assert_eq!(me.receive_match(|n| *n == 3).timeout(millis(100)).await?, 3);
        assert_eq!(time::now() - begin, millis(90));
        // The next wait has its own time.
        assert_eq!(me.receive_match(|n| *n == 99).timeout(millis(100)).await, Err(TIMED_OUT));
        assert_eq!(time::now() - begin, millis(190));
        assert_eq!(messages_there(&mut me).await?, [1, 2, 4, 5]);
        Ok(())
    });
}

// ---- RECV-04

/// Goal: a caller that waits for its reply does not look at its mailbox. Time belongs to a bench; here
/// the work that the caller is charged for is compared, and the backlog is whole afterwards.
#[test]
fn recv_04_waiting_for_a_reply_does_not_look_at_the_backlog() {
    const BACKLOG: u32 = 500_000;
    const CALLS: u64 = 10_000;
    let body = async |mut me: Process<u32>| {
        async fn work_of_calls(me: &Process<u32>, echo: &Address<(u64, ReplyTo<u64>)>) -> Result<u64> {
            let reductions = || node().peek(me.pid()).expect("it lives").reductions;
            time::yield_now().await;
            let before = reductions();
            for n in 0..CALLS {
                assert_eq!(Call::new(echo, |reply| (n, reply)).await?, n);
            }
            time::yield_now().await;
            Ok(reductions() - before)
        }
        let echo = spawn(Echo);
        let with_empty_mailbox = work_of_calls(&me, &echo).await?;
        let to = me.address();
        for n in 0..BACKLOG {
            to.cast(n);
        }
        let with_backlog = work_of_calls(&me, &echo).await?;
        assert!(with_backlog < 10 * with_empty_mailbox.max(CALLS), "{with_backlog} after {with_empty_mailbox}");
        for n in 0..BACKLOG {
            assert_eq!(me.receive().timeout(Duration::ZERO).await?, n);
        }
        nothing_more(&mut me).await;
        Ok(())
    };
    under_seeds(1, body);
    once(Runtime::builder().workers(2), body);
}

struct Announcer(Address<&'static str>);

impl Actor for Announcer {
    type Msg = ReplyTo<()>;
    type Client = Address<ReplyTo<()>>;
    const NAME: &'static str = "Announcer";
}

impl Handle for Announcer {
    async fn handle(&mut self, reply: ReplyTo<()>, cx: &mut Context<Self>) {
        self.0.cast("before");
        cx.exit(self.0.pid(), ExitReason::Shutdown);
        reply.send(());
    }
}

/// A reply keeps its place among its sender's signals: what was sent before it is there with it.
#[test]
fn recv_04_what_was_sent_before_a_reply_is_there_with_it() {
    everywhere(async |mut me: Process<&'static str>| {
        me.trap_exits(true);
        let announcer = spawn(Announcer(me.address()));
        for _ in 0..20 {
            Call::new(&announcer, |reply| reply).await?;
            let expected = [
                Received::Message("before"),
                Received::Info(Info::Exit(Exit { from: announcer.pid(), reason: ExitReason::Shutdown })),
            ];
            assert_eq!(all_there(&mut me).await?, expected);
        }
        Ok(())
    });
}

// ---- RECV-05

async fn receive_any_two(me: &mut Process<&'static str>) -> Result<[&'static str; 2]> {
    Ok([me.receive().await?, me.receive().await?])
}

#[test]
fn recv_05_what_was_skipped_is_seen_by_another_receive() {
    everywhere(async |mut me: Process<&'static str>| {
        sent_by_another(&me, vec!["m1", "m2", "m3"]).await?;
        assert_eq!(me.receive_match(|message| *message == "m2").await?, "m2");
        assert_eq!(receive_any_two(&mut me).await?, ["m1", "m3"]);
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// Also if they were skipped many times, by receives that had to wait and by receives that gave up.
#[test]
fn recv_05_what_was_skipped_often_is_seen_at_last() {
    everywhere(async |mut me: Process<u32>| {
        let other = puppet();
        for n in 1_000..1_040 {
            let to = me.address();
            act(&other, move |_| {
                to.cast(n % 40);
                to.cast(n);
            });
            assert_eq!(me.receive_match(move |m| *m == n).await?, n);
            assert_eq!(me.receive_match(|m| *m == 99).timeout(Duration::ZERO).await, Err(TIMED_OUT));
        }
        assert_eq!(messages_there(&mut me).await?, (0..40).collect::<Vec<_>>());
        Ok(())
    });
}

// ---- RECV-06

/// What the sleeper of the next test tells.
#[derive(Debug, PartialEq)]
enum Told {
    Ready { memory: usize },
    Woken { at: Instant, by: &'static str },
    Alarm { after: Duration },
    Left(Pid),
}

/// The process of the next test: it has used a lot, and owns a lot, when it goes to sleep.
async fn sleeper(mut me: Process<&'static str>, to: Address<Told>, friend: Pid, watched: Pid) -> Result<()> {
    me.trap_exits(true);
    me.link(friend);
    me.monitor(watched);
    node().register("sleeper", me.pid())?;
    let live = vec![7_u8; 100_000];
    me.put(live.clone());
    let own = me.address();
    let begin = time::now();
    me.send_after(secs(10), &own, "alarm");
    // Dead: a mailbox of thousands, taken from behind, and links and monitors that are gone again.
    for _ in 0..3_000 {
        own.cast("first");
        own.cast("second");
    }
    for wanted in ["second", "first"] {
        for _ in 0..3_000 {
            me.receive_match(|message| *message == wanted).await?;
        }
    }
    let others: Vec<Puppet> = (0..300).map(|_| puppet()).collect();
    let monitors: Vec<_> = others.iter().map(|other| me.monitor(other)).collect();
    for (other, monitor) in others.iter().zip(monitors) {
        me.link(other);
        me.unlink(other);
        me.demonitor(monitor);
        other.stop(ExitReason::Normal);
    }
    own.cast("last");
    assert_eq!(me.receive().await?, "last");
    let memory = node().peek(me.pid()).expect("it lives").memory;
    to.cast(Told::Ready { memory });
    me.hibernate().await?;
    // What woke it is there.
    let by = me.receive().timeout(Duration::ZERO).await?;
    to.cast(Told::Woken { at: time::now(), by });
    assert_eq!(me.receive().await?, "alarm");
    to.cast(Told::Alarm { after: time::now() - begin });
    let left = me.receive_info(|info| match info {
        Info::Exit(exit) => Ok(exit.from),
        other => Err(other),
    });
    to.cast(Told::Left(left.await?));
    assert_eq!(me.fetch(), Some(live), "what is live stays");
    me.receive().await?;
    Ok(())
}

#[test]
fn recv_06_hibernation_gives_memory_back_and_keeps_everything_else() {
    under_seeds(20, async |mut me: Process<Told>| {
        let (friend, watched) = (puppet(), puppet());
        let (to, friend_pid, watched_pid) = (me.address(), friend.pid(), watched.pid());
        let process =
            spawn_process(async move |p: Process<&'static str>| sleeper(p, to, friend_pid, watched_pid).await);
        let monitor = me.monitor(&process);
        let Told::Ready { memory } = me.receive().await? else { panic!("it is not ready") };
        let woken_at = time::now() + secs(2);
        time::sleep(secs(2)).await;

        // Questions do not wake it.
        for _ in 0..3 {
            let info = node().process_info(&process).await.expect("it lives");
            assert_eq!(info.status, Status::Hibernating);
            assert!(info.memory < memory, "{} before, {} in hibernation", memory, info.memory);
            assert_eq!(info.name.as_deref(), Some("sleeper"));
            assert_eq!(info.links, [friend_pid]);
            assert_eq!(info.monitors.len(), 1);
            assert!(info.monitors[0] == watched_pid);
            assert_eq!(info.monitored_by, [me.pid()]);
            assert!(info.trap_exit);
            assert_eq!(info.mailbox_len, 0);
        }
        assert_eq!(node().whereis("sleeper"), Some(process.pid()));
        assert_eq!(me.receive().timeout(Duration::ZERO).await, Err(TIMED_OUT), "it sleeps");

        process.cast("wake up");
        assert_eq!(me.receive().await?, Told::Woken { at: woken_at, by: "wake up" });
        // The timer is as it was, and so are link and trap flag.
        assert_eq!(me.receive().await?, Told::Alarm { after: secs(10) });
        act(&friend, |me| me.exit_now(ExitReason::Shutdown));
        assert_eq!(me.receive().await?, Told::Left(friend_pid));
        assert_eq!(node().process_info(&process).await.map(|info| info.status), Some(Status::Waiting));
        process.cast("end");
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Normal);
        Ok(())
    });
}

/// Whatever arrives wakes it: also its timer, a `Down`, and a trapped exit. It stays in the mailbox.
#[test]
fn recv_06_hibernation_ends_with_a_timer_a_down_or_an_exit() {
    under_seeds(SEEDS, async |mut me: Process<u32>| {
        let begin = time::now();
        me.send_after(secs(60), &me.address(), 1);
        me.hibernate().await?;
        assert_eq!(time::now() - begin, secs(60));
        assert_eq!(messages_there(&mut me).await?, [1]);

        let other = spawn_process(async move |_: Process<()>| {
            time::sleep(secs(5)).await;
            Ok(())
        });
        let monitor = me.monitor(&other);
        me.hibernate().await?;
        assert_eq!(time::now() - begin, secs(65));
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Normal);

        me.trap_exits(true);
        let myself = me.pid();
        spawn_process(async move |other: Process<()>| {
            time::sleep(secs(5)).await;
            other.exit(myself, ExitReason::Shutdown);
            Ok(())
        });
        me.hibernate().await?;
        assert_eq!(time::now() - begin, secs(70));
        assert!(matches!(&*all_there(&mut me).await?, [Received::Info(Info::Exit(_))]));
        Ok(())
    });
}

#[test]
fn recv_06_hibernation_with_something_in_the_mailbox_is_no_wait() {
    everywhere(async |mut me: Process<u32>| {
        sent_by_another(&me, vec![1, 2]).await?;
        me.hibernate().await?;
        assert_eq!(messages_there(&mut me).await?, [1, 2]);
        Ok(())
    });
}

/// The message that comes at the moment it goes to sleep wakes it, too.
#[test]
fn recv_06_no_wake_is_lost() {
    everywhere(async |mut me: Process<u32>| {
        let to = me.address();
        let echo = spawn_process(async move |mut echo: Process<u32>| {
            loop {
                echo.hibernate().await?;
                to.cast(echo.receive().timeout(Duration::ZERO).await?);
            }
        });
        for n in 0..300 {
            echo.cast(n);
            me.hibernate().await?;
            assert_eq!(me.receive().timeout(Duration::ZERO).await?, n);
        }
        Ok(())
    });
}

/// A request to stop, and a kill, reach it as they reach every process that waits.
#[test]
fn recv_06_a_hibernating_process_ends_like_any_other() {
    everywhere(async |mut me: Process<Act>| {
        for kill in [false, true] {
            let (ready, sleeps) = oneshot::channel();
            let (guard, dropped): (Dropping, _) = dropping();
            let went_on = Arc::new(AtomicU32::new(0));
            let counted = went_on.clone();
            let process = spawn_process(async move |mut p: Process<u32>| {
                let _guard = guard;
                let _ = ready.send(());
                p.hibernate().await?;
                counted.fetch_add(1, Ordering::Relaxed);
                Ok(())
            });
            sleeps.await?;
            let monitor = me.monitor(&process);
            if kill {
                me.exit(&process, ExitReason::Kill);
            } else {
                process.stop(ExitReason::value("enough"));
            }
            let expected = if kill { ExitReason::Killed } else { ExitReason::value("enough") };
            assert_eq!(down(&mut me, monitor).await?.reason, expected);
            dropped.await?;
            assert_eq!(went_on.load(Ordering::Relaxed), 0);
        }
        Ok(())
    });
}
