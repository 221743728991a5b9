//! Area TIME: timers, in virtual time to the instant. What can be asserted without waiting is also tried on
//! the real scheduler.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use biotope_runtime::{
    Actor, Address, Call, Context, ExitReason, Handle, Node, Process, ReplyTo, Runtime, TimerRef, node, spawn,
    spawn_process, time,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::acts::{Act, Log, act, acted, down, end_of, messages_there, nothing_more, puppet};
use crate::runs::{SEEDS, everywhere, millis, once, random, secs, threads, under_seeds, until};

const HOUR: Duration = secs(3_600);

// ---- TIME-01

#[test]
fn time_01_a_delayed_message_comes_at_its_instant() {
    under_seeds(SEEDS, async |mut me: Process<&'static str>| {
        let begin = time::now();
        let timer = me.send_after(millis(1_000), &me.address(), "x");
        assert_eq!(me.read_timer(timer), Some(millis(1_000)));
        assert_eq!(me.receive().await?, "x");
        assert_eq!(time::now() - begin, millis(1_000));
        assert_eq!(me.read_timer(timer), None);
        assert_eq!(me.cancel_timer(timer), None);
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// Nothing of it is there an instant before.
#[test]
fn time_01_it_does_not_come_early() {
    under_seeds(SEEDS, async |mut me: Process<u32>| {
        let nano = Duration::from_nanos(1);
        for delay in [nano, Duration::from_micros(999), millis(1), millis(1) + nano, secs(86_400)] {
            me.send_after(delay, &me.address(), 7);
            assert!(me.receive().timeout(delay - nano).await.is_err(), "{delay:?}");
            assert_eq!(me.receive().timeout(nano).await?, 7);
        }
        Ok(())
    });
}

enum Told {
    Delay(Duration),
    Note(&'static str),
    Notes(ReplyTo<Vec<(&'static str, Instant)>>),
}

#[derive(Default)]
struct Noting(Vec<(&'static str, Instant)>);

impl Actor for Noting {
    type Msg = Told;
    type Client = Address<Told>;
    const NAME: &'static str = "Noting";
}

impl Handle for Noting {
    async fn handle(&mut self, message: Told, cx: &mut Context<Self>) {
        match message {
            Told::Delay(delay) => {
                cx.tell_after(delay, |me| me.cast(Told::Note("tell_after")));
            }
            Told::Note(note) => self.0.push((note, time::now())),
            Told::Notes(reply) => reply.send(self.0.clone()),
        }
    }
}

/// Every way to send later: from a process, from a node, to an actor, to itself.
#[test]
fn time_01_every_way_to_send_later() {
    under_seeds(SEEDS, async |me: Process<()>| {
        let begin = time::now();
        let noting = spawn(Noting::default());
        noting.cast(Told::Delay(millis(50)));
        me.send_after(millis(10), &noting, Told::Note("send_after"));
        node().send_after(millis(20), &noting, Told::Note("node.send_after"));
        me.after(millis(30), &noting, |client| client.cast(Told::Note("after")));
        node().after(millis(40), &noting, |client| client.cast(Told::Note("node.after")));
        time::sleep(secs(1)).await;
        let notes = ["send_after", "node.send_after", "after", "node.after", "tell_after"];
        let expected: Vec<_> = (1..).map(|n| begin + millis(10) * n).zip(notes).map(|(at, note)| (note, at)).collect();
        assert_eq!(Call::new(&noting, Told::Notes).await?, expected);
        Ok(())
    });
}

/// The rule, where rounding could break it: on the real clock. A lower bound, which no slow machine breaks.
#[test]
fn time_01_never_early_on_the_real_clock() {
    threads(3, async |mut me: Process<(Duration, Instant)>| {
        let delays = (0..200).map(|n| Duration::from_micros(n * 37));
        for delay in delays.clone() {
            me.send_after(delay, &me.address(), (delay, Instant::now()));
        }
        for _ in delays {
            let (delay, begin) = me.receive().await?;
            assert!(begin.elapsed() >= delay, "{:?} instead of {delay:?}", begin.elapsed());
        }
        Ok(())
    });
}

/// A timer that is due at once races with the code that sets it. None is lost, none comes twice.
#[test]
fn time_01_none_is_lost_however_soon_it_is_due() {
    threads(1, async |mut me: Process<u32>| {
        for n in 0..20_000 {
            let timer = me.send_after(Duration::ZERO, &me.address(), n);
            assert_eq!(me.receive().await?, n);
            assert_eq!((me.read_timer(timer), me.cancel_timer(timer)), (None, None));
        }
        assert_eq!(messages_there(&mut me).await?, []);
        Ok(())
    });
}

// ---- TIME-02

#[derive(Debug, PartialEq)]
struct Timeout {
    timer: TimerRef,
    value: &'static str,
}

#[test]
fn time_02_a_timer_message_carries_its_reference() {
    under_seeds(SEEDS, async |mut me: Process<Timeout>| {
        let begin = time::now();
        let start = |delay, value| me.start_timer(delay, &me.address(), move |timer| Timeout { timer, value });
        let x = start(millis(1_000), "x");
        let y = start(millis(2_000), "y");
        assert_ne!(x, y);
        assert_eq!(me.receive().await?, Timeout { timer: x, value: "x" });
        assert_eq!(time::now() - begin, millis(1_000));
        assert_eq!((me.read_timer(x), me.cancel_timer(x)), (None, None));
        assert_eq!(me.receive().await?, Timeout { timer: y, value: "y" });
        assert_eq!(time::now() - begin, millis(2_000));
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// The reference in the message is the one that was returned, however soon it is due, and no two are equal.
#[test]
fn time_02_references_are_those_that_were_returned() {
    everywhere(async |mut me: Process<TimerRef>| {
        let delays = [0, 3, 1, 0, 2].map(millis);
        let started: BTreeSet<_> =
            (0..20).map(|n| me.start_timer(delays[n % 5], &me.address(), |timer| timer)).collect();
        assert_eq!(started.len(), 20);
        let mut came = BTreeSet::new();
        for _ in 0..20 {
            assert!(came.insert(me.receive().await?));
        }
        assert_eq!(came, started);
        Ok(())
    });
}

// ---- TIME-03

#[test]
fn time_03_a_timer_that_is_cancelled_in_time_does_not_fire() {
    under_seeds(SEEDS, async |mut me: Process<&'static str>| {
        let timer = me.send_after(millis(1_000), &me.address(), "x");
        time::sleep(millis(200)).await;
        assert_eq!(me.cancel_timer(timer), Some(millis(800)));
        assert_eq!(me.cancel_timer(timer), None);
        assert_eq!(me.read_timer(timer), None);
        assert!(me.receive().timeout(millis(1_200)).await.is_err());
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// Anybody who has the reference can cancel it; its message is dropped with it.
#[test]
fn time_03_whoever_cancels_it() {
    everywhere(async |mut me: Process<Option<Arc<()>>>| {
        let message = Arc::new(());
        let (to, sent) = (me.address(), message.clone());
        let timer = acted(&puppet(), move |other| other.send_after(HOUR, &to, Some(sent))).await?;
        let left = acted(&puppet(), move |other| other.cancel_timer(timer)).await?;
        assert!(left.is_some_and(|left| left <= HOUR && left > Duration::ZERO), "{left:?}");
        assert_eq!((node().cancel_timer(timer), me.read_timer(timer)), (None, None));
        until(move || Arc::strong_count(&message) == 1).await;
        me.address().cast(None);
        assert_eq!(me.receive().await?, None);
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// Goal: a cancel and the timer's firing agree: it either says that it was in time, and nothing comes, or
/// that it was too late, and the message is there or on its way.
#[test]
fn time_03_cancelled_or_fired_but_not_both() {
    everywhere(async |mut me: Process<u32>| {
        const LAST: u32 = u32::MAX;
        let mut fired = BTreeSet::new();
        for n in 0..100 {
            let delay = Duration::from_micros(random(300));
            let timer = me.send_after(delay, &me.address(), n);
            if random(2) == 0 {
                time::sleep(Duration::from_micros(random(300))).await;
            }
            if me.cancel_timer(timer).is_none() {
                fired.insert(n);
            }
        }
        // All that fired comes, and nothing else until a sentinel that is due after all of them.
        me.send_after(millis(2), &me.address(), LAST);
        let mut came = BTreeSet::new();
        fired.insert(LAST);
        while came.len() < fired.len() {
            let n = me.receive().await?;
            assert!(fired.contains(&n), "{n} was cancelled in time");
            assert!(came.insert(n), "{n} came twice");
        }
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// A million timers for one process, nearly all cancelled, in no order; the others come in theirs.
#[test]
fn time_03_a_million_timers_and_their_cancellation() {
    under_seeds(1, async |mut me: Process<u32>| {
        const TIMERS: u32 = 1_000_000;
        const KEPT: u32 = 1_000;
        let to = me.address();
        let mut timers: Vec<(Instant, TimerRef, u32)> = (0..TIMERS)
            .map(|n| {
                let delay = millis(1 + random(86_400_000));
                (time::now() + delay, me.send_after(delay, &to, n), n)
            })
            .collect();
        assert_eq!(timers.iter().map(|timer| timer.1).collect::<BTreeSet<_>>().len(), timers.len());
        for at in (1..timers.len()).rev() {
            timers.swap(at, random(at as u64 + 1) as usize);
        }
        let mut kept = timers.split_off((TIMERS - KEPT) as usize);
        for (deadline, timer, _) in &timers {
            assert_eq!(me.read_timer(*timer), Some(*deadline - time::now()));
            assert_eq!(me.cancel_timer(*timer), Some(*deadline - time::now()));
        }
        for (_, timer, _) in &timers {
            assert_eq!((me.read_timer(*timer), me.cancel_timer(*timer)), (None, None));
        }
        kept.sort_unstable_by_key(|(deadline, ..)| *deadline);
        let mut came = Vec::new();
        for (deadline, ..) in &kept {
            came.push(me.receive().await?);
            assert_eq!(time::now(), *deadline);
        }
        came.sort_unstable();
        let mut expected: Vec<u32> = kept.iter().map(|kept| kept.2).collect();
        expected.sort_unstable();
        assert_eq!(came, expected);
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// The same on threads, set and cancelled by several at once; what is left ends with its process.
#[test]
fn time_03_a_million_timers_on_threads() {
    once(Runtime::builder().workers(4), async |mut me: Process<Vec<TimerRef>>| {
        const SETTERS: usize = 4;
        const EACH: u64 = 250_000;
        let target = spawn_process(async |mut target: Process<Option<Arc<()>>>| {
            assert_eq!(target.receive().await?, None, "one of the timers fired");
            Ok(())
        });
        let message = Arc::new(());
        for _ in 0..SETTERS {
            let (to, report, message) = (target.clone(), me.address(), message.clone());
            spawn_process(async move |setter: Process<()>| {
                let mut timers = Vec::new();
                for n in 0..EACH {
                    let delay = HOUR + millis(setter.node().runtime().random() % 86_400_000);
                    timers.push(setter.send_after(delay, &to, Some(message.clone())));
                    if n % 1_000 == 0 {
                        time::yield_now().await;
                    }
                }
                drop(message);
                report.cast(timers);
                Ok(())
            });
        }
        let mut timers = Vec::new();
        for _ in 0..SETTERS {
            timers.extend(me.receive().await?);
        }
        assert_eq!(timers.len(), SETTERS * EACH as usize);
        assert_eq!(Arc::strong_count(&message), timers.len() + 1);
        // Three quarters are cancelled, by as many processes; the setters' shares are interleaved.
        let kept: Vec<TimerRef> = timers.iter().copied().skip(3).step_by(4).collect();
        for share in 0..3 {
            let cancelled: Vec<TimerRef> = timers.iter().copied().skip(share).step_by(4).collect();
            let report = me.address();
            spawn_process(async move |other: Process<()>| {
                let in_time: Vec<TimerRef> =
                    cancelled.into_iter().filter(|timer| other.cancel_timer(*timer).is_some()).collect();
                report.cast(in_time);
                Ok(())
            });
        }
        let mut cancelled = 0;
        for _ in 0..3 {
            cancelled += me.receive().await?.len();
        }
        assert_eq!(cancelled + kept.len(), timers.len());
        assert_eq!(Arc::strong_count(&message), kept.len() + 1);
        assert!(timers.iter().skip(1).step_by(4).all(|timer| me.cancel_timer(*timer).is_none()));
        assert!(kept.iter().all(|timer| me.read_timer(*timer).is_some_and(|left| left > Duration::ZERO)));

        let monitor = me.monitor(&target);
        target.cast(None);
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Normal, "no timer has fired");
        until(move || Arc::strong_count(&message) == 1).await;
        assert!(kept.iter().all(|timer| me.read_timer(*timer).is_none() && me.cancel_timer(*timer).is_none()));
        Ok(())
    });
}

/// Timers against a model: set, read, cancelled and waited for in any order, from an instant to many days.
#[test]
fn time_03_agrees_with_a_model() {
    under_seeds(SEEDS, async |mut me: Process<u32>| {
        // By number: when it is due.
        let mut model: BTreeMap<u32, (Instant, TimerRef)> = BTreeMap::new();
        let mut over: Vec<TimerRef> = Vec::new();
        // Delays of every magnitude, from 1 ns to 12 days.
        let any_delay = || Duration::from_nanos(random(1 << random(50)));
        for n in 0..300 {
            let now = time::now();
            match random(8) {
                0..4 => {
                    let delay = any_delay();
                    model.insert(n, (now + delay, me.send_after(delay, &me.address(), n)));
                }
                4 | 5 if !model.is_empty() => {
                    let at = random(model.len() as u64) as usize;
                    let (&n, &(deadline, timer)) = model.iter().nth(at).expect("it is one of them");
                    assert_eq!(me.read_timer(timer), Some(deadline - now));
                    if random(2) == 0 {
                        assert_eq!(me.cancel_timer(timer), Some(deadline - now));
                        model.remove(&n);
                        over.push(timer);
                    }
                }
                6 => {
                    time::sleep(any_delay()).await;
                }
                _ => {
                    // Up to the next deadline, exactly.
                    if let Some(deadline) = model.values().map(|timer| timer.0).min() {
                        time::sleep(deadline - now).await;
                    }
                }
            }
            // What is due now must be here, whatever is not must not. A delay of nothing may be on its way.
            let due: BTreeMap<Instant, BTreeSet<u32>> = model.iter().filter(|(_, timer)| timer.0 <= time::now()).fold(
                BTreeMap::new(),
                |mut due, (n, timer)| {
                    due.entry(timer.0).or_insert_with(BTreeSet::new).insert(*n);
                    due
                },
            );
            for mut together in due.into_values() {
                while !together.is_empty() {
                    let came = me.receive().timeout(Duration::from_nanos(1)).await?;
                    assert!(together.remove(&came), "{came} came before {together:?}");
                    let (_, timer) = model.remove(&came).expect("it was due");
                    over.push(timer);
                }
            }
            assert_eq!(messages_there(&mut me).await?, []);
            for timer in &over {
                assert_eq!(me.read_timer(*timer), None);
            }
        }
        assert!(over.iter().all(|timer| me.cancel_timer(*timer).is_none()));
        Ok(())
    });
}

// ---- TIME-04

#[test]
fn time_04_reading_does_not_disturb() {
    under_seeds(SEEDS, async |mut me: Process<&'static str>| {
        let days = 5 * 24 * HOUR;
        let timer = me.send_after(days, &me.address(), "x");
        let undisturbed = me.send_after(days, &me.address(), "y");
        let due = time::now() + days;
        time::sleep(millis(200)).await;
        for _ in 0..10 {
            assert_eq!(me.read_timer(timer), Some(days - millis(200)));
        }
        assert_eq!(node().read_timer(timer), Some(days - millis(200)), "whoever reads it");
        assert_eq!(me.cancel_timer(timer), Some(days - millis(200)));
        // One that is read again and again still comes at its instant.
        for hours in 1..=10 {
            time::sleep(HOUR).await;
            assert_eq!(me.read_timer(undisturbed), Some(days - millis(200) - HOUR * hours));
        }
        assert_eq!(me.receive().await?, "y");
        assert_eq!(time::now(), due);
        nothing_more(&mut me).await;
        Ok(())
    });
}

// ---- TIME-05

#[test]
fn time_05_different_deadlines_come_in_order() {
    under_seeds(SEEDS, async |mut me: Process<u64>| {
        for delays in [&[5_000, 0, 200, 100, 500, 300, 400][..], &[100, 101, 102, 103]] {
            let begin = time::now();
            for &delay in delays {
                me.send_after(millis(delay), &me.address(), delay);
            }
            let mut in_order = delays.to_vec();
            in_order.sort_unstable();
            for delay in in_order {
                assert_eq!(me.receive().await?, delay);
                assert_eq!(time::now() - begin, millis(delay));
            }
        }
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// Whoever set them, and in whatever order.
#[test]
fn time_05_deadlines_set_by_many_come_in_order() {
    under_seeds(SEEDS, async |mut me: Process<u64>| {
        let begin = time::now();
        let mut delays: Vec<u64> = (0..1_000).map(|n| n * 7 + random(7)).collect();
        for at in (1..delays.len()).rev() {
            delays.swap(at, random(at as u64 + 1) as usize);
        }
        let setters: Vec<_> = (0..4).map(|_| puppet()).collect();
        for (at, delay) in delays.iter().copied().enumerate() {
            let to = me.address();
            act(&setters[at % 4], move |setter| {
                setter.send_after(millis(delay), &to, delay);
            });
        }
        delays.sort_unstable();
        for delay in delays {
            assert_eq!(me.receive().await?, delay);
            assert_eq!(time::now() - begin, millis(delay));
        }
        Ok(())
    });
}

/// On the real clock deadlines that differ by more than its grain come in order, too: a second earlier is
/// earlier for a reader who is late. Nothing is waited for: they are due already.
#[test]
fn time_05_order_on_the_real_clock() {
    threads(3, async |mut me: Process<u64>| {
        let begin = Instant::now();
        // Set in reverse, 5 ms apart, all within a fraction of a second.
        for n in (1..20).rev() {
            let deadline = begin + millis(5 * n);
            me.send_after(deadline.saturating_duration_since(Instant::now()), &me.address(), n);
        }
        let is_in_time = begin.elapsed() < millis(5);
        for n in 1..20 {
            let came = me.receive().await?;
            // On a machine so slow that the first was due before the last was set, any order is right.
            assert!(came == n || !is_in_time, "{came} instead of {n}");
        }
        Ok(())
    });
}

// ---- TIME-06

#[test]
fn time_06_a_timer_ends_with_its_destination() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        let message = Arc::new(());
        let begin = time::now();
        let process = spawn_process(async |_: Process<Arc<()>>| {
            time::sleep(millis(50)).await;
            Ok(())
        });
        let timer = me.send_after(secs(2), &process, message.clone());
        let held = message.clone();
        let made = me.start_timer(secs(2), &process, move |_| held);
        let held = message.clone();
        let ticking = me.send_interval(secs(2), &process, move || held.clone());
        assert_eq!(Arc::strong_count(&message), 4);
        end_of(&mut me, &process).await?;
        assert_eq!(time::now() - begin, millis(50));
        for timer in [timer, made, ticking] {
            assert_eq!((me.read_timer(timer), me.cancel_timer(timer)), (None, None));
        }
        let kept = message.clone();
        until(move || Arc::strong_count(&kept) == 2).await;
        assert!(time::now() - begin < millis(100), "the timers' memory is freed long before the deadline");
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// Whatever way it ends, and on threads.
#[test]
fn time_06_whatever_way_the_destination_ends() {
    everywhere(async |mut me: Process<()>| {
        for way in 0..4 {
            let process = puppet();
            let (own, message) = (process.clone(), Arc::new(()));
            let sent = message.clone();
            // One of its own, which holds the message in what it does, and one of this process.
            let own_timer =
                acted(&process, move |process| process.send_after(HOUR, &own, Act::new(move |_| drop(sent)))).await?;
            let sent = message.clone();
            let timer = me.send_after(HOUR, &process, Act::new(move |_| drop(sent)));
            match way {
                0 => process.stop(ExitReason::Normal),
                1 => me.exit(&process, ExitReason::Kill),
                2 => act(&process, |_| panic!("on purpose")),
                _ => act(&process, |process| process.exit_now(ExitReason::value("chosen"))),
            }
            end_of(&mut me, &process).await?;
            until(move || Arc::strong_count(&message) == 1).await;
            for timer in [timer, own_timer] {
                assert_eq!((me.read_timer(timer), me.cancel_timer(timer)), (None, None));
            }
        }
        Ok(())
    });
}

/// One that is set when the destination has ended already is none.
#[test]
fn time_06_a_timer_for_the_dead_is_none() {
    everywhere(async |mut me: Process<()>| {
        let process = spawn_process(async |_: Process<Arc<()>>| Ok(()));
        end_of(&mut me, &process).await?;
        let message = Arc::new(());
        let timer = me.send_after(HOUR, &process, message.clone());
        let held = message.clone();
        let ticking = me.send_interval(millis(1), &process, move || held.clone());
        for timer in [timer, ticking] {
            assert_eq!((me.read_timer(timer), me.cancel_timer(timer)), (None, None));
        }
        until(move || Arc::strong_count(&message) == 1).await;
        Ok(())
    });
}

/// A timer that is set while its destination ends is either ended with it or none: nothing is left.
#[test]
fn time_06_a_timer_that_races_with_the_end_leaves_nothing() {
    everywhere(async |mut me: Process<()>| {
        let message = Arc::new(());
        let process = puppet();
        let setters: Vec<_> = (0..4).map(|_| puppet()).collect();
        let (reports, mut timers) = tokio::sync::mpsc::unbounded_channel();
        for setter in &setters {
            for _ in 0..20 {
                let (to, message, reports) = (process.clone(), message.clone(), reports.clone());
                act(setter, move |setter| {
                    let _ = reports.send(setter.send_after(HOUR, &to, Act::new(move |_| drop(message))));
                });
            }
        }
        process.stop(ExitReason::Normal);
        end_of(&mut me, &process).await?;
        drop(reports);
        let mut set = Vec::new();
        while let Some(timer) = timers.recv().await {
            set.push(timer);
        }
        assert_eq!(set.len(), 80);
        until(move || Arc::strong_count(&message) == 1).await;
        assert!(set.iter().all(|timer| me.read_timer(*timer).is_none()));
        Ok(())
    });
}

// ---- TIME-07

#[test]
fn time_07_a_timer_outlives_its_creator() {
    under_seeds(SEEDS, async |mut me: Process<u32>| {
        for way in 0..4_u32 {
            let begin = time::now();
            let (to, creator) = (me.address(), puppet());
            let timer = acted(&creator, move |creator| creator.send_after(secs(2), &to, way)).await?;
            let to = me.address();
            let made = acted(&creator, move |creator| creator.start_timer(secs(3), &to, move |_| 10 + way)).await?;
            match way {
                0 => creator.stop(ExitReason::Normal),
                1 => me.exit(&creator, ExitReason::Kill),
                2 => act(&creator, |_| panic!("on purpose")),
                _ => act(&creator, |creator| creator.exit_now(ExitReason::value("chosen"))),
            }
            end_of(&mut me, &creator).await?;
            assert_eq!(me.read_timer(timer), Some(secs(2)));
            assert_eq!(me.read_timer(made), Some(secs(3)));
            assert_eq!(me.receive().await?, way);
            assert_eq!(time::now() - begin, secs(2));
            assert_eq!(me.receive().await?, 10 + way);
            assert_eq!(time::now() - begin, secs(3));
        }
        Ok(())
    });
}

/// An interval, too.
#[test]
fn time_07_an_interval_outlives_its_creator() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        let begin = time::now();
        let (to, creator) = (me.address(), puppet());
        let timer = acted(&creator, move |creator| creator.send_interval(millis(50), &to, || ())).await?;
        me.receive().await?;
        me.exit(&creator, ExitReason::Kill);
        end_of(&mut me, &creator).await?;
        for n in 2..10 {
            me.receive().await?;
            assert_eq!(time::now() - begin, millis(50) * n);
        }
        assert_eq!(me.cancel_timer(timer), Some(millis(50)));
        nothing_more(&mut me).await;
        Ok(())
    });
}

// ---- TIME-08

#[test]
fn time_08_an_interval_stops_with_its_target() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        let begin = time::now();
        let ticks = Log::new();
        let noted = ticks.clone();
        let process = spawn_process(async move |mut process: Process<u32>| {
            for _ in 0..3 {
                noted.push((process.receive().await?, time::now() - begin));
            }
            Ok(())
        });
        let monitor = me.monitor(&process);
        let made = Arc::new(AtomicU32::new(0));
        let counted = made.clone();
        let timer = me.send_interval(millis(50), &process, move || counted.fetch_add(1, Ordering::Relaxed));
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Normal);
        assert_eq!(time::now() - begin, millis(150));
        time::sleep(HOUR).await;
        assert_eq!(ticks.all(), [(0, millis(50)), (1, millis(100)), (2, millis(150))]);
        assert_eq!(made.load(Ordering::Relaxed), 3, "no further work");
        assert_eq!(Arc::strong_count(&made), 1, "what made the messages is gone");
        assert_eq!((me.cancel_timer(timer), me.read_timer(timer)), (None, None));
        Ok(())
    });
}

/// Tick n comes at n periods, however slow the target is and however long it takes.
#[test]
fn time_08_ticks_do_not_drift() {
    under_seeds(SEEDS, async |mut me: Process<Instant>| {
        let begin = time::now();
        let runtime = node().downgrade();
        // The instant at which a tick is made is that at which it is due.
        let timer = me.send_interval(millis(50), &me.address(), move || now_of(&runtime));
        for n in 1..=200_u32 {
            assert_eq!(me.receive().await? - begin, millis(50) * n);
            // Slower than the ticks at first, then faster: it catches up.
            if n <= 20 {
                time::sleep(millis(120)).await;
            }
        }
        assert_eq!(time::now() - begin, millis(50) * 200);
        // Until the next tick.
        assert_eq!(me.read_timer(timer), Some(millis(50)));
        time::sleep(millis(20)).await;
        assert_eq!(me.read_timer(timer), Some(millis(30)));
        assert_eq!(me.cancel_timer(timer), Some(millis(30)));
        assert_eq!((me.cancel_timer(timer), me.read_timer(timer)), (None, None));
        assert!(me.receive().timeout(HOUR).await.is_err());
        Ok(())
    });
}

fn now_of(node: &biotope_runtime::WeakNode) -> Instant {
    node.upgrade().expect("the node lives").runtime().now()
}

/// Ticks that are in the mailbox when the interval is cancelled stay; no other comes.
#[test]
fn time_08_a_cancelled_interval_ticks_no_more() {
    under_seeds(SEEDS, async |mut me: Process<u32>| {
        let mut n = 0;
        let timer = me.send_interval(millis(10), &me.address(), move || {
            n += 1;
            n
        });
        time::sleep(millis(35)).await;
        assert_eq!(me.cancel_timer(timer), Some(millis(5)));
        assert_eq!(messages_there(&mut me).await?, [1, 2, 3]);
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// On the real clock: never early, never too many, in order, and over when the target is. Lower bounds.
#[test]
fn time_08_an_interval_on_the_real_clock() {
    threads(3, async |mut me: Process<()>| {
        let begin = Instant::now();
        let made: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let noted = made.clone();
        let (tell, told) = oneshot::channel();
        let process = spawn_process(async move |mut process: Process<usize>| {
            let mut ticks = Vec::new();
            for _ in 0..20 {
                ticks.push(process.receive().await?);
            }
            let _ = tell.send(ticks);
            Ok(())
        });
        let timer = me.send_interval(millis(1), &process, move || {
            let mut made = noted.lock();
            made.push(Instant::now());
            made.len()
        });
        assert_eq!(told.await?, (1..=20).collect::<Vec<_>>());
        end_of(&mut me, &process).await?;
        assert_eq!((me.cancel_timer(timer), me.read_timer(timer)), (None, None));
        let counted = made.clone();
        until(move || Arc::strong_count(&counted) == 2).await;
        for (n, at) in (1..).zip(made.lock().iter()) {
            assert!(*at >= begin + millis(1) * n, "tick {n} came after {:?}", *at - begin);
        }
        Ok(())
    });
}

/// Also from outside processes a timer can be set, read and cancelled.
#[test]
fn time_01_a_node_sets_reads_and_cancels_timers_from_outside() {
    let runtime = Runtime::builder().seeded(1).build().unwrap();
    let node = runtime.block_on(Node::builder("outside").runtime(runtime.clone()).start()).unwrap();
    let begin = runtime.now();
    let (tell, told) = oneshot::channel();
    let process = node.spawn_process(async move |mut process: Process<&'static str>| {
        let _ = tell.send((process.receive().await?, time::now()));
        Ok(())
    });
    let cancelled = node.send_after(secs(1), &process, "cancelled");
    let timer = node.start_timer(secs(2), &process, |_| "x");
    assert_eq!(node.cancel_timer(cancelled), Some(secs(1)));
    assert_eq!(node.read_timer(timer), Some(secs(2)));
    assert_eq!(runtime.block_on(told).unwrap(), ("x", begin + secs(2)));
    assert_eq!((node.read_timer(timer), node.cancel_timer(timer)), (None, None));
    runtime.block_on(node.shutdown());
}
