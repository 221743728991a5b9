//! What fails a test: its body, crashes that nobody asked for, and what outlives it.

use biotope::prelude::*;
use biotope::test::{self, TestOptions};
use biotope::time;

use crate::{failure, real, seeded};

#[derive(Actor, Default)]
struct Fragile;

#[handlers]
impl Fragile {
    #[cast]
    fn hit(&mut self) {
        panic!("broken by a hit")
    }

    fn ask(&mut self) -> u32 {
        1
    }
}

#[test]
fn a_body_that_panics_or_fails_is_told_with_its_seed_and_the_line_that_replays_it() {
    for options in [seeded(3), real()] {
        let text = failure(options, || async { assert!(node().name() == "another", "one and one is 3") });
        assert!(text.contains("one and one is 3"), "{text}");
        assert_eq!(text.contains("replay: BIOTOPE_SEED=0 cargo test it"), options.seeds.is_some(), "{text}");
    }
    let text = failure(seeded(1), || async { Err::<(), _>(std::io::Error::other("no disk")) });
    assert!(text.contains("no disk"), "{text}");
}

/// A process that nobody waits for, links to or monitors dies of a panic: the test fails, on both schedulers.
#[test]
fn a_crash_that_nobody_asked_for_fails_the_test() {
    for options in [seeded(1), real()] {
        let text = failure(options, || async {
            let fragile = spawn(Fragile);
            fragile.hit();
            node().ended(&fragile).await;
        });
        assert!(text.contains("a crash that nobody asked for"), "{text}");
        assert!(text.contains("broken by a hit") && text.contains("handler     hit"), "{text}");
    }
}

#[test]
fn an_error_of_a_process_is_a_crash_and_an_ordered_end_is_not() {
    let text = failure(seeded(1), || async {
        let failing = spawn_process(async |_: Process<()>| Err(std::io::Error::other("no disk").into()));
        node().ended(&failing).await;
    });
    assert!(text.contains("nobody asked for") && text.contains("no disk"), "{text}");

    test::test(seeded(20), || async {
        let ordered = spawn(Fragile);
        ordered.stop_and_wait(ExitReason::Shutdown).await;
        let killed = spawn(Fragile);
        let (victim, end) = (killed.pid(), node().ended(&killed));
        node().exit(victim, ExitReason::Kill);
        assert_eq!(end.await, ExitReason::Killed);
        // Whoever shares the end of another has asked for it by the link.
        let linked = spawn_process(async |me: Process<()>| {
            let fragile = spawn_link(Fragile);
            fragile.hit();
            me.trap_exits(false);
            std::future::pending().await
        });
        test::expect_crash("broken by a hit");
        assert!(matches!(node().ended(&linked).await, ExitReason::Panic(_)));
    });
}

#[test]
fn an_expected_crash_is_no_failure_and_one_that_does_not_come_is() {
    for options in [seeded(20), real()] {
        test::test(options, || async {
            test::expect_crash("broken by a hit");
            for _ in 0..2 {
                let fragile = spawn(Fragile);
                fragile.hit();
                assert!(matches!(node().ended(&fragile).await, ExitReason::Panic(_)));
            }
            // Also after it has happened.
            test::expect_crash("Fragile");
        });
    }
    let text = failure(seeded(1), || async { test::expect_crash("a hit") });
    assert!(text.contains("no process crashed with `a hit`"), "{text}");
    test::test(TestOptions { allow_crashes: true, ..seeded(1) }, || async {
        let fragile = spawn(Fragile);
        fragile.hit();
        node().ended(&fragile).await;
    });
}

#[test]
fn a_process_that_outlives_the_test_fails_it() {
    for options in [seeded(1), real()] {
        let text = failure(options, || async {
            let first = spawn(Fragile::spec().named("left over"));
            let second = spawn_process(async move |mut me: Process<()>| {
                me.link(&first);
                me.monitor(&first);
                me.send_after(secs(500), &me.address(), ());
                me.receive().await?;
                me.receive().await?;
                Ok(())
            });
            // So that it has begun.
            node().process_info(&second).await;
        });
        for said in ["Fragile \"left over\"", "outlives the test", "1 timers", "linked to [", "monitors ["] {
            assert!(text.contains(said), "`{said}` is not in: {text}");
        }
    }
    test::test(TestOptions { allow_leftovers: true, ..seeded(1) }, || async {
        spawn(Fragile);
    });
}

#[test]
fn what_is_about_to_end_when_the_body_does_is_no_leftover() {
    for options in [seeded(50), real()] {
        test::test(options, || async {
            for _ in 0..10 {
                let fragile = spawn(Fragile);
                fragile.stop();
                spawn_process(async |_: Process<()>| {
                    for _ in 0..10 {
                        biotope::yield_now().await;
                    }
                    Ok(())
                });
            }
        });
    }
}

#[test]
fn names_links_monitors_and_timers_of_the_test_itself_are_seen() {
    let text = failure(seeded(1), || async {
        let other = test::start(&Fragile::spec()).await?;
        spawn_process(async move |me: Process<()>| {
            let _ = me;
            Ok(())
        });
        node().register("the test", biotope::this_pid())?;
        let _ = other.ask().await?;
        Ok::<_, biotope::Error>(())
    });
    assert!(text.contains("the test is registered as `the test`"), "{text}");

    let text = failure(seeded(1), || async {
        biotope::spawn_monitor(Fragile::spec());
    });
    assert!(text.contains("the test monitors"), "{text}");
}

/// Also if that takes a while, as it does for a tree whose children are slow to stop.
#[test]
fn whoever_is_linked_to_the_test_ends_with_it() {
    #[derive(Actor, Default)]
    struct Slow;

    #[handlers]
    impl Slow {
        #[terminate]
        async fn bye(&mut self) {
            time::sleep(millis(100)).await;
        }
    }

    for options in [seeded(20), real()] {
        test::test(options, || async {
            spawn_link(Fragile);
            Supervisor::one_for_one().child(Slow::spec()).child(Fragile::spec()).start_link().await?;
            Ok::<_, biotope::Error>(())
        });
    }
    // Who traps exits need not, if the test is not its parent.
    let text = failure(seeded(1), || async {
        let link = Some(biotope::this_pid());
        let options = biotope::SpawnOptions { trap_exit: true, link, ..biotope::SpawnOptions::default() };
        let stubborn = node().spawn_process_with(options, async |mut me: Process<()>| {
            me.receive().await?;
            Ok(())
        });
        node().process_info(&stubborn).await;
    });
    assert!(text.contains("outlives the test"), "{text}");
}

/// What `start` has started is stopped at the end, the last one first.
#[test]
fn what_the_kit_has_started_it_stops_in_reverse_order() {
    #[derive(Actor)]
    struct Last {
        number: u32,
        told: Address<u32>,
    }

    #[handlers]
    impl Last {
        #[terminate]
        fn bye(&mut self) {
            self.told.cast(self.number);
        }
    }

    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    test::test(seeded(20), || {
        let order = order.clone();
        order.lock().unwrap().clear();
        async move {
            let told = spawn_process(async move |mut me: Process<u32>| {
                for _ in 0..3 {
                    let number = me.receive().await?;
                    order.lock().unwrap().push(number);
                }
                Ok(())
            });
            for number in 0..3 {
                test::spawn(Last { number, told: told.clone() });
            }
        }
    });
    assert_eq!(*order.lock().unwrap(), [2, 1, 0]);
}

#[test]
fn a_run_that_waits_for_ever_or_goes_on_for_ever_fails() {
    let text = failure(seeded(1), || async {
        test::start(&Fragile::spec()).await?;
        std::future::pending::<()>().await;
        Ok::<_, biotope::Error>(())
    });
    assert!(text.contains("it would wait for ever") && text.contains("Fragile"), "{text}");
}

#[test]
fn what_is_slow_to_stop_at_the_end_fails_the_test() {
    #[derive(Actor, Default)]
    struct Slow;

    #[handlers]
    impl Slow {
        #[terminate]
        async fn bye(&mut self) {
            time::sleep(secs(11)).await;
        }
    }

    let text = failure(seeded(1), || async {
        test::start(&Slow::spec()).await?;
        Ok::<_, biotope::Error>(())
    });
    assert!(text.contains("was told to stop at the end of the test, and did not within 10s"), "{text}");
}

/// Actors that trap exits and end with their parent, supervisors among them, and those that others stop out of order, were told to.
#[test]
fn whoever_was_told_to_end_is_no_crash() {
    #[derive(Actor, Default)]
    #[actor(trap_exit)]
    struct Trapping;

    #[handlers]
    impl Trapping {}

    test::test(seeded(100), || async {
        test::expect_crash("a parent breaks");
        let parent = spawn_process(async |mut me: Process<()>| {
            spawn_link(Trapping);
            Supervisor::one_for_one().child(Trapping::spec()).start_link().await?;
            biotope::TaskSupervisor::new().start_link().await?;
            me.receive().await?;
            panic!("a parent breaks")
        });
        parent.cast(());
        node().ended(&parent).await;
        let error = || ExitReason::value("enough");
        let stopped = spawn(Trapping);
        assert_eq!(stopped.stop_and_wait(error()).await, error());
        let straight = spawn_process(async |mut me: Process<()>| Ok(me.receive().await?));
        let end = node().ended(&straight);
        node().stop(&straight, error());
        assert_eq!(end.await, error());
    });
    // Nor does a body that fails make crashes of what is linked to it.
    let text = failure(seeded(1), || async {
        Supervisor::one_for_one().child(Trapping::spec()).start_link().await?;
        Err::<(), _>(biotope::Error::from(std::io::Error::other("the body fails")))
    });
    assert!(text.contains("the body fails") && !text.contains("nobody asked"), "{text}");
}

#[test]
fn expected_crashes_are_matched_by_what_says_most() {
    for texts in [["lost", "lost disk"], ["lost disk", "lost"]] {
        test::test(seeded(10), || async move {
            for text in texts {
                test::expect_crash(text);
            }
            for reason in ["a lost disk", "a lost key"] {
                let broken = spawn_process(async move |_: Process<()>| panic!("{reason}"));
                node().ended(&broken).await;
            }
        });
    }
}

#[test]
fn a_body_that_ends_itself_has_not_passed() {
    for options in [seeded(1), real()] {
        let text = failure(options, || async {
            if node().name() == "test" {
                biotope::exit_now(ExitReason::Normal)
            }
        });
        assert!(text.contains("the test's process ended before its body did"), "{text}");
    }
}

/// What ends by itself, one after the other, in less than two seconds, is no leftover; on either scheduler.
#[test]
fn chains_of_ends_are_waited_for() {
    for options in [seeded(20), real()] {
        test::test(options, || async {
            spawn_process(async |_: Process<()>| {
                time::sleep(millis(1)).await;
                spawn_process(async |_: Process<()>| {
                    time::sleep(millis(1)).await;
                    Ok(())
                });
                Ok(())
            });
        });
    }
}

#[test]
fn a_test_that_is_run_no_time_is_refused() {
    let text = failure(TestOptions { real: Some(0), ..seeded(0) }, || async {});
    assert!(text.contains("is run no time"), "{text}");
    test::test(TestOptions { seed: Some(u64::MAX), seeds: None, ..seeded(0) }, || async {});
}

/// Values that a run holds when it is given up are dropped all the same.
#[test]
fn a_run_that_waits_for_ever_leaves_nothing() {
    let value = std::sync::Arc::new(());
    let text = failure(seeded(1), || {
        let value = value.clone();
        async move {
            let held = value.clone();
            spawn_process(async move |mut me: Process<()>| {
                let _held = held;
                Ok(me.receive().await?)
            });
            std::future::pending::<()>().await;
            drop(value);
        }
    });
    assert!(text.contains("it would wait for ever"), "{text}");
    assert_eq!(std::sync::Arc::strong_count(&value), 1);
}
