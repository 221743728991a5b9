//! Faults on demand, and at every step.

use std::panic::{AssertUnwindSafe, catch_unwind};

use biotope::prelude::*;
use biotope::test;
use biotope::time;

use crate::{real, seeded};

#[derive(Actor, Default)]
struct Sum(u32);

#[handlers]
impl Sum {
    #[cast]
    fn add(&mut self, n: u32) {
        self.0 += n;
    }

    fn sum(&mut self) -> u32 {
        self.0
    }
}

#[test]
fn a_process_is_killed_at_the_message_that_the_test_names() {
    for options in [seeded(50), real()] {
        test::test(options, || async {
            let sum = spawn(Sum(0));
            test::faults(&sum).at("add").kill_at(3);
            let end = node().ended(&sum);
            sum.add(1);
            assert_eq!(sum.sum().await, Ok(1));
            sum.add(1);
            assert_eq!(sum.sum().await, Ok(2));
            sum.add(1);
            assert_eq!(end.await, ExitReason::Killed);
        });
    }
}

#[test]
fn a_handler_panics_at_the_message_that_the_test_names() {
    for options in [seeded(50), real()] {
        test::test(options, || async {
            let supervisor = Supervisor::one_for_one().child(Sum::spec().named("sum")).start_link().await?;
            test::stop_at_end(&supervisor);
            let first = node().whereis("sum");
            test::faults("sum").panic_at(2);
            let sum = node().named::<Sum>("sum");
            assert_eq!(sum.call(|sum| sum.sum()).await, Ok(0));
            match sum.call(|sum| sum.sum()).await {
                Err(CallFailed::Died(ExitReason::Panic(report))) => assert!(report.message.contains("set by the test")),
                other => panic!("{other:?}"),
            }
            // The one that is started in its place is meant too, and it is past the second message.
            while node().whereis("sum").is_none_or(|now| Some(now) == first) {
                biotope::yield_now().await;
            }
            assert_eq!(sum.call(|sum| sum.sum()).await, Ok(0));
            Ok::<_, biotope::Error>(())
        });
    }
}

#[test]
fn a_lost_call_waits_for_its_deadline_and_a_lost_cast_is_not_handled() {
    for options in [seeded(50), real()] {
        test::test(options, || async {
            let sum = test::start(&Sum::spec()).await?;
            test::faults(&sum).at("add").lose_at(2);
            (1..=3).for_each(|n| sum.add(n));
            assert_eq!(sum.sum().await, Ok(4));
            test::faults(&sum).at("sum").lose_all();
            assert_eq!(sum.sum().timeout(millis(10)).await, Err(CallFailed::Timeout));
            test::faults(&sum).at("sum").clear();
            assert_eq!(sum.sum().await, Ok(4));
            Ok::<_, biotope::Error>(())
        });
    }
}

/// What is delayed is handled so much later, to the nanosecond, and what came behind it after it.
#[test]
fn a_delayed_message_is_handled_later_and_keeps_its_place() {
    test::test(seeded(100), || async {
        let sum = test::start(&Sum::spec()).await?;
        test::faults(&sum).at("add").delay_at(1, secs(60));
        let begin = time::now();
        sum.add(5);
        assert_eq!(sum.sum().timeout(secs(600)).await, Ok(5));
        assert_eq!(time::now() - begin, secs(60));
        Ok::<_, biotope::Error>(())
    });
    test::test(seeded(100), || async {
        let sum = test::start(&Sum::spec()).await?;
        test::faults(&sum).slow(secs(1));
        let begin = time::now();
        (0..10).for_each(|_| sum.add(1));
        assert_eq!(sum.sum().timeout(secs(600)).await, Ok(10));
        assert_eq!(time::now() - begin, secs(11));
        test::faults(&sum).clear();
        assert_eq!(sum.sum().await, Ok(10));
        assert_eq!(time::now() - begin, secs(11));
        Ok::<_, biotope::Error>(())
    });
    test::test(real(), || async {
        let sum = test::start(&Sum::spec()).await?;
        test::faults(&sum).slow(millis(1));
        sum.add(1);
        assert_eq!(sum.sum().await, Ok(1));
        Ok::<_, biotope::Error>(())
    });
}

/// A slow callee: the caller's deadline passes, and its late reply goes nowhere.
#[test]
fn a_slow_process_misses_deadlines() {
    test::test(seeded(100), || async {
        let sum = test::start(&Sum::spec()).await?;
        test::faults(&sum).at("sum").delay_at(1, secs(6));
        let begin = time::now();
        assert_eq!(sum.sum().timeout(secs(5)).await, Err(CallFailed::Timeout));
        assert_eq!(time::now() - begin, secs(5));
        assert_eq!(sum.sum().await, Ok(0));
        Ok::<_, biotope::Error>(())
    });
}

/// It ends while a message of its is held back; what is held back goes with it.
#[test]
fn a_process_that_is_held_back_can_be_ended() {
    for reason in [ExitReason::Kill, ExitReason::Shutdown] {
        test::test(seeded(50), || {
            let reason = reason.clone();
            async move {
                let sum = spawn(Sum(0));
                test::faults(&sum).slow(secs(1_000));
                let call = sum.sum().send();
                let begin = time::now();
                time::sleep(secs(1)).await;
                let end = node().ended(&sum);
                node().exit(&sum, reason);
                assert!(matches!(end.await, ExitReason::Killed | ExitReason::Shutdown));
                assert!(matches!(call.await, Err(CallFailed::Died(_))));
                assert_eq!(time::now() - begin, secs(1));
            }
        });
    }
}

#[test]
fn straight_line_code_is_killed_panics_and_loses_too() {
    for options in [seeded(50), real()] {
        test::test(options, || async {
            let mut probe = test::probe::<u32>();
            let receiver = |to: Address<u32>| {
                spawn_process(async move |mut me: Process<u32>| {
                    loop {
                        let number = me.receive().await?;
                        to.cast(number);
                    }
                })
            };
            let lossy = receiver(probe.address());
            test::faults(lossy.pid()).lose_at(2);
            (1..=3).for_each(|n| lossy.cast(n));
            assert_eq!((probe.expect_msg().await, probe.expect_msg().await), (1, 3));
            let killed = receiver(probe.address());
            test::faults(killed.pid()).kill_at(2);
            let panicking = receiver(probe.address());
            test::faults(panicking.pid()).panic_at(2);
            let ends = [node().ended(&killed), node().ended(&panicking)];
            for one in [&killed, &panicking] {
                (7..=9).for_each(|n| one.cast(n));
            }
            let [killed, panicked] = ends;
            assert_eq!(killed.await, ExitReason::Killed);
            assert!(matches!(panicked.await, ExitReason::Panic(_)));
            assert_eq!((probe.expect_msg().await, probe.expect_msg().await), (7, 7));
            probe.expect_no_msg(millis(1)).await;
            node().stop(&lossy, ExitReason::Normal);
        });
    }
}

/// A ledger that keeps its sum elsewhere: what is lost with a kill is found.
#[derive(Actor)]
struct Ledger {
    store: ActorRef<Sum>,
    is_careful: bool,
    unwritten: u32,
}

#[handlers]
impl Ledger {
    #[start]
    fn over((store, is_careful): (ActorRef<Sum>, bool)) -> Self {
        Self { store, is_careful, unwritten: 0 }
    }

    async fn enter(&mut self, n: u32) -> Result<(), CallFailed> {
        if self.is_careful {
            self.store.add(n);
            return Ok(());
        }
        // Two entries are written at once.
        self.unwritten += n;
        if self.unwritten >= 2 {
            self.store.add(std::mem::take(&mut self.unwritten));
        }
        Ok(())
    }
}

async fn entries(is_careful: bool) -> biotope::Result<()> {
    let store = test::start(&Sum::spec()).await?;
    let ledger = Ledger::spec_with({
        let store = store.clone();
        move || (store.clone(), is_careful)
    });
    let supervisor = Supervisor::one_for_one().child(ledger.named("ledger")).start_link().await?;
    test::stop_at_end(&supervisor);
    let ledger = node().named::<Ledger>("ledger");
    for _ in 0..4 {
        // Whoever is told that it was not done tries again.
        while ledger.call(|ledger| ledger.enter(1)).await.is_err() {
            biotope::yield_now().await;
        }
    }
    assert_eq!(store.sum().await?, 4, "an entry that was confirmed is lost");
    Ok(())
}

#[test]
fn a_kill_at_every_step_finds_what_only_one_moment_shows() {
    assert_eq!(test::at_every_step("ledger").seeds(5).kill(|| entries(true)), 4);

    let careless = || test::at_every_step("Ledger").kill(|| entries(false));
    let failed = catch_unwind(AssertUnwindSafe(careless)).expect_err("it loses an entry");
    let text = failed.downcast_ref::<String>().expect("a text");
    assert!(text.contains("with an end at step 2: ") && text.contains("is lost"), "{text}");
    assert!(text.contains("replay: BIOTOPE_SEED=0 BIOTOPE_STEP=2 cargo test "), "{text}");
    assert!(text.contains("[killed at enter]"), "{text}");

    let nobody = || test::at_every_step("nobody").kill(|| entries(true));
    assert!(catch_unwind(AssertUnwindSafe(nobody)).is_err(), "a step that is never taken proves nothing");
}

#[test]
fn a_kit_outside_of_a_test_says_so() {
    let text = biotope::test::once(biotope::Runtime::builder().seeded(0), async { test::expect_crash("x") });
    assert!(text.unwrap_err().to_string().contains("this works in a test only"));
}

#[test]
fn a_fault_that_has_met_nothing_fails_the_test() {
    let text = crate::failure(seeded(1), || async {
        test::faults("Bnak").at("add").lose_at(1);
        let sum = test::spawn(Sum(0));
        test::faults(&sum).kill_at(7);
        sum.add(1);
        assert_eq!(sum.sum().await, Ok(1));
    });
    assert!(text.contains("a fault for `Bnak` at `add` has not met message 1"), "{text}");
    assert!(text.contains(" has not met message 7"), "{text}");
}
