//! Starts that are under way, side by side, and what they may leave.

use std::future::{pending, ready};
use std::sync::Arc;

use biotope_runtime::{CallError, ExitReason, Node, Pid, Process, SpawnOptions, StartError, node, spawn_process, time};
use biotope_supervision::dynamic::StartDynamicChildError;
use biotope_supervision::{Child, ChildStatus, DynamicSupervisor, Permanent, Shutdown, Temporary, Transient};
use parking_lot::Mutex;

use crate::support::*;

/// A process that stays, and traps exits.
fn stubborn(node: &Node, options: SpawnOptions) -> Pid {
    let options = SpawnOptions { trap_exit: true, ..options };
    node.spawn_process_with(options, async |_: Process<()>| pending().await).pid()
}

#[test]
fn a_slow_start_holds_up_nobody() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let (slow, quick) = (plan().start_time(secs(3)), plan());
        let before = time::now();
        let starting = [(); 10].map(|()| supervisor.start_child(slow.child(Permanent)).send());
        supervisor.start_child(quick.child(Permanent)).await?;
        assert_eq!(time::now() - before, secs(0));
        let counts = supervisor.count_children().await?;
        assert_eq!((counts.specs, counts.active, counts.workers), (11, 1, 11));
        assert_eq!(supervisor.which_children().await?[0].status, ChildStatus::Restarting);
        for started in starting {
            started.await?;
        }
        // All at once, and not one after the other.
        assert_eq!(time::now() - before, secs(3));
        assert_eq!(supervisor.count_children().await?.active, 11);
        Ok(())
    });
}

#[test]
fn a_supervisor_that_stops_ends_the_starts_under_way_each_in_its_own_way() {
    virtually(async |_: Process<()>| {
        for (shutdown, expected) in [
            (Shutdown::BrutalKill, secs(0)),
            // A start is no message loop yet: nothing hears the exit before the kill.
            (Shutdown::Timeout(secs(2)), secs(2)),
            // It had begun just before.
            (Shutdown::Infinity, secs(100) - MOMENT),
        ] {
            let supervisor = DynamicSupervisor::new().start_link().await?;
            let slow = plan().start_time(secs(100)).stop_time(millis(0));
            let starting = supervisor.start_child(slow.child(Permanent).shutdown(shutdown)).send();
            settle().await;
            let ended = end_of(&supervisor);
            let its_own = node().processes().into_iter().find(|process| process.parent == Some(supervisor.pid()));
            let its_own = its_own.expect("its process is there").pid;
            node().exit(&supervisor, ExitReason::Shutdown);
            assert_eq!(ended.await?, (ExitReason::Shutdown, expected), "{shutdown:?}");
            assert_eq!(starting.await, Err(CallError::Reply(StartDynamicChildError::Stopping)));
            assert!(!node().is_alive(its_own));
        }
        Ok(())
    });
}

#[test]
fn a_start_that_never_returns_keeps_no_supervisor_from_ending() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let stuck = Child::with("stuck", async |_, _| pending().await);
        let starting = supervisor.start_child(stuck.shutdown(secs(2))).send();
        settle().await;
        let ended = end_of(&supervisor);
        node().exit(&supervisor, ExitReason::Shutdown);
        // Its time to stop, and a second for the start to return after the kill.
        assert_eq!(ended.await?, (ExitReason::Shutdown, secs(3)));
        assert_eq!(starting.await, Err(CallError::Reply(StartDynamicChildError::Stopping)));
        Ok(())
    });
}

#[test]
fn a_child_that_is_started_again_is_terminated_by_the_pid_that_it_had_and_nothing_is_left() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().intensity(9, secs(5)).start_link().await?;
        let slow = plan().going(|number| if number == 0 { Going::Well } else { Going::Never });
        let other = plan().start_time(secs(50));
        let first = supervisor.start_child(slow.child(Permanent).shutdown(secs(2))).await?.expect("it runs");
        let others = supervisor.start_child(other.child(Permanent)).timeout(secs(100)).send();
        end(first, reason("crash"));
        settle().await;
        assert_eq!(supervisor.which_children().await?[0].status, ChildStatus::Restarting);
        let before = time::now();
        supervisor.terminate_child(first).await?;
        // It does not trap exits: the start has ended with its process.
        assert_eq!(time::now() - before, secs(0));
        assert_eq!(supervisor.count_children().await?.specs, 1);
        // And no other start was met.
        assert!(others.await?.is_some());
        let children = node().processes().into_iter().filter(|process| process.parent == Some(supervisor.pid()));
        assert_eq!(children.count(), 1);
        Ok(())
    });
}

#[test]
fn a_start_that_is_given_up_leaves_nothing_that_it_has_spawned() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().intensity(9, secs(5)).start_link().await?;
        let spawned = Arc::new(Mutex::new(Vec::new()));
        let spawns = spawned.clone();
        // The first start is well; the next spawns something, and is stuck.
        let child = Child::with("stuck", move |node, options| {
            let spawned = spawns.clone();
            async move {
                time::sleep(millis(1)).await;
                let pid = stubborn(&node, options);
                let is_first = spawned.lock().is_empty();
                spawned.lock().push(pid);
                if is_first { Ok(pid) } else { pending().await }
            }
        });
        let first = supervisor.start_child(child.shutdown(secs(1))).await?.expect("it runs");
        node().exit(first, ExitReason::Kill);
        time::sleep(millis(2)).await;
        let stray = spawned.lock()[1];
        let before = time::now();
        supervisor.terminate_child(first).await?;
        assert_eq!(time::now() - before, secs(2));
        settle().await;
        assert!(!node().is_alive(stray));
        assert_eq!(supervisor.count_children().await?.specs, 0);
        Ok(())
    });
}

#[test]
fn a_start_that_fails_leaves_nothing_that_it_has_spawned() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let spawned = Arc::new(Mutex::new(None));
        let spawns = spawned.clone();
        let child = Child::with("careless", move |node, options| {
            *spawns.lock() = Some(stubborn(&node, options));
            ready(Err(StartError::Refused(reason("careless"))))
        });
        assert!(supervisor.start_child(child).await.is_err());
        let stray = spawned.lock().take().expect("it has spawned one");
        until(|| !node().is_alive(stray)).await;
        assert_eq!(supervisor.count_children().await?.specs, 0);
        Ok(())
    });
}

/// What somebody else spawns for a start is not seen as its own; at the end of the supervisor it is found.
#[test]
fn a_supervisor_that_ends_leaves_no_child_that_it_never_knew() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let helper = spawn_process(async |mut me: Process<(Node, SpawnOptions, tokio::sync::oneshot::Sender<Pid>)>| {
            let (node, options, tell) = me.receive().await?;
            let _ = tell.send(stubborn(&node, options));
            Ok(())
        });
        let spawned = Arc::new(Mutex::new(None));
        let spawns = spawned.clone();
        let child = Child::with("roundabout", move |node, options| {
            let (tell, told) = tokio::sync::oneshot::channel();
            helper.cast((node, options, tell));
            let spawned = spawns.clone();
            async move {
                *spawned.lock() = told.await.ok();
                Err(StartError::Refused(reason("roundabout")))
            }
        });
        assert!(supervisor.start_child(child).await.is_err());
        let stray = spawned.lock().take().expect("it has one");
        assert!(node().is_alive(stray));
        supervisor.stop_and_wait(ExitReason::Shutdown).await;
        until(|| !node().is_alive(stray)).await;
        Ok(())
    });
}

#[test]
fn a_child_that_ended_before_its_start_returned_ended_for_its_own_reason() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().intensity(9, secs(60)).start_link().await?;
        // The process ends at once; its start returns a second later.
        let hasty = |why: ExitReason| {
            let starts = Arc::new(Mutex::new(0));
            let counts = starts.clone();
            let child = Child::with("hasty", move |node, options| {
                let why = why.clone();
                let is_first = std::mem::replace(&mut *counts.lock(), 1) == 0;
                *counts.lock() += usize::from(!is_first);
                let body = async move |_: Process<()>| if is_first { Err(why.into()) } else { pending().await };
                let pid = node.spawn_process_with(options, body).pid();
                async move {
                    time::sleep(secs(1)).await;
                    Ok(pid)
                }
            });
            (starts, child)
        };
        let (calm, child) = hasty(ExitReason::Shutdown);
        supervisor.start_child(child.restart(Transient)).await?;
        until_counted(&supervisor, 0, 0).await?;
        assert_eq!(*calm.lock(), 1);
        let (crashed, child) = hasty(reason("crash"));
        supervisor.start_child(child.restart(Transient)).await?;
        time::sleep(secs(2)).await;
        until_counted(&supervisor, 1, 1).await?;
        assert_eq!(*crashed.lock(), 2);
        Ok(())
    });
}

#[test]
fn a_child_that_its_start_did_not_link_is_linked() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let unlinked = Child::with("unlinked", |node, _| {
            ready(Ok(node.spawn_process(async |mut me: Process<()>| Ok(me.receive().await?)).pid()))
        });
        let child = supervisor.start_child(unlinked.restart(Temporary)).await?.expect("it runs");
        node().exit(child, ExitReason::Kill);
        until_counted(&supervisor, 0, 0).await
    });
}

#[test]
fn a_child_that_nobody_waits_for_any_more_is_not_started() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let plan = plan();
        node().suspend(&supervisor);
        let given_up = supervisor.start_child(plan.child(Permanent)).timeout(millis(10)).await;
        assert!(given_up.is_err());
        node().resume(&supervisor);
        settle().await;
        assert_eq!((supervisor.count_children().await?.specs, plan.starts()), (0, 0));
        Ok(())
    });
}

#[test]
fn a_start_that_panics_when_it_is_given_up_ends_no_supervisor() {
    struct Sore;
    impl Drop for Sore {
        fn drop(&mut self) {
            panic!("sore");
        }
    }
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let child = Child::with("sore", async |_, _| {
            let _sore = Sore;
            pending().await
        });
        let starting = supervisor.start_child(child.shutdown(Shutdown::BrutalKill)).send();
        settle().await;
        let ended = end_of(&supervisor);
        node().exit(&supervisor, ExitReason::Shutdown);
        assert_eq!(ended.await?, (ExitReason::Shutdown, secs(1)));
        assert!(starting.await.is_err());
        Ok(())
    });
}
