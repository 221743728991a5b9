//! A failure is found again: by its seed, and by the fewest choices that lead to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use biotope::prelude::*;
use biotope::test::{self, TestOptions};

use crate::{failure, seeded};

/// An account of which two clients take money: each looks first whether there is enough.
#[derive(Actor)]
struct Account {
    balance: i64,
}

#[handlers]
impl Account {
    fn balance(&mut self) -> i64 {
        self.balance
    }

    fn take(&mut self, amount: i64) {
        self.balance -= amount;
    }
}

async fn race(clients: usize) -> biotope::Result<()> {
    let account = test::spawn(Account { balance: 10 });
    let others: Vec<_> = (0..clients)
        .map(|number| {
            let account = account.clone();
            spawn_process(async move |_: Process<()>| {
                // In the order of their numbers, if all have their turns in order.
                for _ in 0..5 * number {
                    biotope::yield_now().await;
                }
                if account.balance().await? >= 10 {
                    account.take(10).await?;
                }
                Ok(())
            })
        })
        .map(|client| node().ended(client.pid()))
        .collect();
    for other in others {
        other.await;
    }
    let balance = account.balance().await?;
    assert_eq!(balance, 0, "somebody has taken what was not there");
    Ok(())
}

/// The text has the seed, and with that seed and those choices the same failure comes again.
#[test]
fn a_race_is_found_printed_and_made_smaller() {
    let text = failure(seeded(200), || race(3));
    let line = |head: &str| text.lines().find_map(|line| line.split_once(head).map(|(_, rest)| rest.to_owned()));
    let seed: u64 = line("replay: BIOTOPE_SEED=").expect("a replay line").split(' ').next().unwrap().parse().unwrap();
    let shrunk = line("shrunk from ").expect("it is made smaller");
    let numbers: Vec<usize> = shrunk.split([' ', ':']).filter_map(|word| word.parse().ok()).collect();
    let [from, to, ..] = numbers[..] else { panic!("{shrunk}") };
    assert!(from > 10 && to <= 4, "{text}");
    for said in ["what happened:", "test 2", "Account 2.1", "received take", "replied to"] {
        assert!(text.contains(said), "`{said}` is not in: {text}");
    }
    // The same seed alone: the same text, to the event.
    let again = failure(TestOptions { seed: Some(seed), seeds: None, ..seeded(0) }, || race(3));
    assert_eq!(text, again);
    assert_ne!(seed, 0, "first in, first out there is no race");
}

/// One at a time the same clients harm nobody, so that it is the race that was found.
#[test]
fn where_there_is_no_race_a_thousand_seeds_pass() {
    test::test(seeded(1_000), || race(1));
}

/// What differs from one run to the next is found, although each run passes.
#[test]
fn a_body_that_is_not_decided_by_its_seed_is_found() {
    let runs = Arc::new(AtomicU64::new(0));
    let text = failure(seeded(1), || {
        let number = runs.fetch_add(1, Ordering::Relaxed);
        async move {
            let quiet = spawn_process(async |mut me: Process<u64>| {
                while me.receive().await? != 0 {}
                Ok(())
            });
            quiet.cast(7);
            if number == 1 {
                quiet.cast(8);
            }
            quiet.cast(0);
            node().ended(&quiet).await;
        }
    });
    assert!(text.contains("two runs of seed 0 differ at event"), "{text}");
    assert!(text.contains("the first run:") && text.contains("the second run:"), "{text}");
}

/// Of two failures in two places, the choices that are left lead to the one that is told.
#[test]
fn what_is_made_smaller_fails_where_it_failed() {
    let text = failure(seeded(200), || async {
        let sink = spawn_process(async |mut me: Process<u8>| {
            let order = [me.receive().await?, me.receive().await?, me.receive().await?];
            assert_ne!(order, [2, 1, 0]);
            assert_ne!(order, [1, 0, 2]);
            Ok(())
        });
        for number in 0..3 {
            let sink = sink.clone();
            spawn_process(async move |_: Process<()>| {
                sink.cast(number);
                Ok(())
            });
        }
        let reason = node().ended(&sink).await;
        assert_eq!(reason, ExitReason::Normal);
    });
    assert!(!text.contains("with those: "), "{text}");
    assert!(text.contains("shrunk from "), "{text}");
}

/// A body that both fails and is not decided by its seed is told to fail.
#[test]
fn a_failure_comes_before_what_differs() {
    let runs = Arc::new(AtomicU64::new(0));
    let text = failure(seeded(1), || {
        let number = runs.fetch_add(1, Ordering::Relaxed);
        async move {
            for _ in 0..number {
                node().ended(spawn_process(async |_: Process<()>| Ok(())).pid()).await;
            }
            assert!(number > 100, "the bug");
        }
    });
    let (bug, differs) = (text.find("the bug"), text.find("two runs of seed 0 differ"));
    assert!(bug.expect("the bug") < differs.expect("that it differs"), "{text}");
}

/// Each seed gives its own order: over many, each order of three is seen.
#[test]
fn seeds_give_different_orders() {
    let seen = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    test::test(seeded(200), || {
        let seen = seen.clone();
        async move {
            let sink = spawn_process(async move |mut me: Process<u8>| {
                let order = [me.receive().await?, me.receive().await?, me.receive().await?];
                seen.lock().unwrap().insert(order);
                Ok(())
            });
            for number in 0..3 {
                let sink = sink.clone();
                spawn_process(async move |_: Process<()>| {
                    sink.cast(number);
                    Ok(())
                });
            }
            node().ended(&sink).await;
        }
    });
    assert_eq!(seen.lock().unwrap().len(), 6);
}

/// The same body, on both schedulers.
#[test]
fn one_body_runs_under_seeds_and_on_threads() {
    let seeds = Arc::new(AtomicU64::new(0));
    let threads = Arc::new(AtomicU64::new(0));
    test::test(TestOptions { real: Some(5), ..seeded(10) }, || {
        let (seeds, threads) = (seeds.clone(), threads.clone());
        async move {
            let is_seeded = node().runtime().is_seeded();
            if is_seeded { &seeds } else { &threads }.fetch_add(1, Ordering::Relaxed);
        }
    });
    // One of the ten is run twice.
    assert_eq!((seeds.load(Ordering::Relaxed), threads.load(Ordering::Relaxed)), (11, 5));
}
