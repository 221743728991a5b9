//! Children that are not started again at once: a back-off, and a circuit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use biotope_runtime::{ExitReason, Process, time};
use biotope_supervision::{Backoff, ChildStatus, Circuit, DynamicSupervisor, Permanent};

use crate::support::*;

#[test]
fn a_child_with_a_backoff_stays_down_for_as_long_as_that_says() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().intensity(100, secs(60)).start_link().await?;
        let plan = plan();
        let backoff = Backoff::new(millis(100), secs(1)).jitter(0.0);
        supervisor.start_child(plan.child(Permanent).backoff(backoff)).await?;
        for (number, wait) in [100, 200, 400, 800, 1_000, 1_000].into_iter().enumerate() {
            end(plan.last(), reason("crash"));
            settle().await;
            assert_eq!(supervisor.which_children().await?[0].status, ChildStatus::Restarting);
            time::sleep(millis(wait) - millis(1)).await;
            assert_eq!(plan.starts(), number + 1);
            time::sleep(millis(1)).await;
            settle().await;
            assert_eq!(plan.starts(), number + 2);
        }
        // One that has lived for long begins anew.
        time::sleep(secs(1)).await;
        end(plan.last(), reason("crash"));
        time::sleep(millis(101)).await;
        assert_eq!(plan.starts(), 8);
        Ok(())
    });
}

#[test]
fn a_child_that_waits_is_terminated_at_once_and_holds_up_no_end() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().backoff(Backoff::constant(secs(100))).intensity(9, secs(9));
        let supervisor = supervisor.max_children(2).start_link().await?;
        let plan = plan();
        let first = supervisor.start_child(plan.child(Permanent)).await?.expect("it runs");
        let second = supervisor.start_child(plan.child(Permanent)).await?.expect("it runs");
        for pid in [first, second] {
            end(pid, reason("crash"));
        }
        settle().await;
        // It has its place meanwhile.
        assert!(supervisor.start_child(plan.child(Permanent)).await.is_err());
        let before = time::now();
        supervisor.terminate_child(first).await?;
        assert_eq!(supervisor.count_children().await?.specs, 1);
        let ended = end_of(&supervisor);
        supervisor.stop();
        assert_eq!(ended.await?, (ExitReason::Normal, secs(0)));
        assert_eq!((time::now() - before, plan.starts()), (secs(0), 2));
        Ok(())
    });
}

#[test]
fn a_child_stays_down_while_what_it_needs_is_down_and_that_counts_as_nothing() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().intensity(1, secs(60)).start_link().await?;
        let power = Arc::new(AtomicBool::new(true));
        let is_up = power.clone();
        let circuit = Circuit::when("power", move |_| is_up.load(Ordering::Relaxed)).check_every(millis(200));
        let plan = plan();
        supervisor.start_child(plan.child(Permanent).circuit(circuit)).await?;
        power.store(false, Ordering::Relaxed);
        end(plan.last(), reason("crash"));
        time::sleep(secs(10)).await;
        assert_eq!((plan.starts(), supervisor.which_children().await?[0].status), (1, ChildStatus::Restarting));
        power.store(true, Ordering::Relaxed);
        time::sleep(millis(201)).await;
        assert_eq!((plan.starts(), supervisor.count_children().await?.active), (2, 1));
        Ok(())
    });
}
