//! Storms, shutdown races and start failures, over seeds and on threads.

use std::sync::atomic::{AtomicUsize, Ordering};

use biotope_runtime::{ExitReason, Pid, Process, Restart, Result, node, spawn_process, time};
use biotope_supervision::{
    DynamicSupervisor, DynamicSupervisorRef, PartitionSupervisor, Permanent, Shutdown, Temporary, Transient,
};

use crate::support::*;

/// Nothing that stems from `supervisor` is there any more, as soon as it has ended.
fn nothing_is_left_of(supervisor: Pid) {
    assert!(!node().is_alive(supervisor));
    let left: Vec<_> =
        node().processes().into_iter().filter(|process| process.parent == Some(supervisor)).map(|p| p.pid).collect();
    assert_eq!(left, []);
}

/// A number that is another in each run of a test, and the same in each run of a seed.
fn drawn(below: u64) -> u64 {
    node().runtime().random() % below
}

#[test]
fn a_storm_within_the_intensity_leaves_as_many_children_as_there_were() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().intensity(10_000, secs(5)).start_link().await?;
        let plan = plan().going(|number| if number >= 40 && number % 3 == 0 { Going::Refused } else { Going::Well });
        for _ in 0..40 {
            supervisor.start_child(plan.child(Permanent)).await?;
        }
        let passing = self::plan();
        for _ in 0..10 {
            supervisor.start_child(passing.child(Temporary)).await?;
        }
        for pid in plan.pids() {
            if drawn(2) == 0 { node().exit(pid, ExitReason::Kill) } else { end(pid, reason("storm")) }
        }
        passing.pids().into_iter().for_each(|pid| end(pid, reason("storm")));
        until(|| plan.pids().len() >= 80).await;
        until_counted(&supervisor, 40, 40).await?;
        assert!(pids_of(&supervisor).await?.iter().all(|pid| node().is_alive(*pid)));
        assert_eq!(passing.starts(), 10);
        let ended = end_of(&supervisor);
        supervisor.stop();
        assert_eq!(ended.await?.0, ExitReason::Normal);
        nothing_is_left_of(supervisor.pid());
        Ok(())
    });
}

#[test]
fn a_storm_past_the_intensity_ends_the_supervisor_and_all_of_its_children() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().intensity(7, secs(5)).start_link().await?;
        let plan = plan();
        for _ in 0..30 {
            supervisor.start_child(plan.child(Transient)).await?;
        }
        let ended = end_of(&supervisor);
        plan.pids().into_iter().for_each(|pid| end(pid, reason("storm")));
        assert_eq!(ended.await?.0, ExitReason::Shutdown);
        nothing_is_left_of(supervisor.pid());
        // A start that was under way may have come to its end or not.
        assert!((30..=37).contains(&plan.starts()), "{}", plan.starts());
        Ok(())
    });
}

/// Asks for children, crashes some and terminates some, until the supervisor is gone.
async fn meddle(supervisor: DynamicSupervisorRef, plans: [Plan; 4]) -> Result<()> {
    const RESTARTS: [Restart; 3] = [Permanent, Transient, Temporary];
    const SHUTDOWNS: [Shutdown; 3] = [Shutdown::BrutalKill, Shutdown::Timeout(millis(20)), Shutdown::Infinity];
    let mut children = Vec::new();
    while node().is_alive(&supervisor) {
        let plan = &plans[drawn(4) as usize];
        let last = plan.pids().last().copied();
        let child = plan.child(RESTARTS[drawn(3) as usize]).shutdown(SHUTDOWNS[drawn(3) as usize]);
        match (drawn(6), last, children.pop()) {
            (0, ..) => children.extend(supervisor.start_child(child).await.ok().flatten()),
            // And does not wait for it.
            (1, ..) => drop(supervisor.start_child(child).send()),
            (2, Some(last), _) => end(last, reason("meddled")),
            (3, Some(last), _) => node().exit(last, ExitReason::Kill),
            (4, _, Some(pid)) => {
                // It may have ended by itself, or the supervisor.
                let _: std::result::Result<_, _> = supervisor.terminate_child(pid).await;
            }
            _ => time::yield_now().await,
        }
    }
    Ok(())
}

fn plans() -> [Plan; 4] {
    [
        plan(),
        plan().stop_time(millis(1)),
        plan().start_time(millis(1)),
        plan().going(|number| match number % 5 {
            0 => Going::Refused,
            1 => Going::Ignored,
            2 => Going::Panics,
            _ => Going::Well,
        }),
    ]
}

/// Whoever ends it, and however: in order, with its parent, by too many restarts, or by a kill.
#[test]
fn a_supervisor_that_ends_while_children_start_crash_and_are_terminated_leaves_none() {
    everywhere(async |_: Process<()>| {
        let limit = 10 + drawn(40) as u32;
        let supervisor = DynamicSupervisor::new().intensity(limit, secs(5)).max_children(20);
        let (tell, told) = tokio::sync::oneshot::channel();
        let parent = spawn_process(async move |mut me: Process<()>| {
            me.trap_exits(false);
            let _ = tell.send(supervisor.start_link().await?);
            me.receive().await?;
            Ok(())
        });
        let supervisor = told.await?;
        let ended = end_of(&supervisor);
        let meddlers: Vec<_> = (0..2)
            .map(|_| {
                let (supervisor, plans) = (supervisor.clone(), plans());
                let meddler = spawn_process(async move |_: Process<()>| meddle(supervisor, plans).await);
                node().ended(meddler.pid())
            })
            .collect();
        for _ in 0..drawn(60) {
            time::yield_now().await;
        }
        match drawn(4) {
            0 => node().exit(&supervisor, ExitReason::Shutdown),
            1 => supervisor.stop(),
            2 => node().exit(parent.pid(), ExitReason::Shutdown),
            _ => node().exit(&supervisor, ExitReason::Kill),
        }
        let (why, _) = ended.await?;
        if why != ExitReason::Killed {
            nothing_is_left_of(supervisor.pid());
        }
        for meddler in meddlers {
            meddler.await;
        }
        // Of a killed one, its children end over their links.
        until(|| node().processes().iter().all(|process| process.parent != Some(supervisor.pid()))).await;
        Ok(())
    });
}

#[test]
fn each_start_is_answered_as_it_went_however_many_are_under_way() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let plan = plan().start_time(millis(1)).going(|number| match number % 4 {
            0 => Going::Refused,
            1 => Going::Ignored,
            2 => Going::Panics,
            _ => Going::Well,
        });
        let requests: Vec<_> = (0..40).map(|_| supervisor.start_child(plan.child(Permanent)).send()).collect();
        let (mut well, mut ignored, mut failed) = (0, 0, 0);
        for request in requests {
            match request.await {
                Ok(Some(pid)) => well += usize::from(node().is_alive(pid)),
                Ok(None) => ignored += 1,
                Err(_) => failed += 1,
            }
        }
        assert_eq!((well, ignored, failed), (10, 10, 20));
        let counts = supervisor.count_children().await?;
        assert_eq!((counts.specs, counts.active), (10, 10));
        Ok(())
    });
}

#[test]
fn partitions_that_crash_at_once_all_come_back_under_their_numbers() {
    everywhere(async |_: Process<()>| {
        let starts = std::sync::Arc::new(AtomicUsize::new(0));
        let counts = starts.clone();
        let workers = PartitionSupervisor::new("workers", move |_| {
            let counts = counts.clone();
            biotope_runtime::Spec::<Worker>::new(move || {
                counts.fetch_add(1, Ordering::Relaxed);
                plan()
            })
        });
        let workers = workers.partitions(8).intensity(100, secs(5)).start_link().await?;
        let before = workers.all();
        for worker in &before {
            node().exit(worker, ExitReason::Kill);
        }
        until(|| workers.all().iter().zip(&before).all(|(now, before)| now != before)).await;
        assert_eq!(starts.load(Ordering::Relaxed), 16);
        let ended = end_of(workers.supervisor());
        workers.supervisor().stop();
        assert_eq!(ended.await?.0, ExitReason::Normal);
        nothing_is_left_of(workers.supervisor().pid());
        Ok(())
    });
}
