//! What can be seen of a running system.

use std::time::Duration;

use biotope_runtime::{DeadLetter, Process, Runtime, node, spawn_process, time};

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
        let turns = |stats: &biotope_runtime::RuntimeStats| stats.workers.iter().map(|worker| worker.turns).sum::<u64>();
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
