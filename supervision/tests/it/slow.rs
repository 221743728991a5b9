//! A supervisor answers, and can be ended, while a child starts or stops slowly.

use std::future::pending;

use biotope_runtime::{CallError, ExitReason, Process, StartError, node, time};
use biotope_supervision::{Child, ChildStatus, Shutdown, StartChildError, Supervisor};

use crate::support::*;

#[test]
fn it_answers_while_a_child_is_being_restarted_and_while_one_is_being_stopped() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let slow = Script { start_time: secs(3), stop_time: secs(3), ..script(&stage, "slow") };
        let supervisor = Supervisor::one_for_one().child(slow.child()).start_link().await?;
        let before = time::now();
        stage.kill("slow");
        settle().await;
        assert_eq!(status_of(&supervisor, "slow").await, Some(ChildStatus::Restarting));
        assert!(time::now() - before < secs(1));
        time::sleep(secs(4)).await;
        let before = time::now();
        let terminated = supervisor.terminate_child("slow").send();
        assert_eq!(supervisor.count_children().await?.active, 1);
        assert!(time::now() - before < secs(1));
        terminated.await?;
        assert_eq!(time::now() - before, secs(3));
        assert_eq!(supervisor.count_children().await?.active, 0);
        Ok(())
    });
}

#[test]
fn a_supervisor_that_is_stopped_while_a_child_starts_ends_the_start_as_well() {
    virtually(|mut me| async move {
        for (shutdown, expected) in [
            (Shutdown::BrutalKill, secs(0)),
            // The start is not a message loop yet: nothing hears the exit before the kill.
            (Shutdown::Timeout(secs(2)), secs(2)),
            (Shutdown::Infinity, secs(100)),
        ] {
            let stage = Stage::new();
            let slow = Script { start_time: secs(100), ..script(&stage, "slow") };
            let supervisor = Supervisor::one_for_one().child(worker(&stage, "a")).named("s");
            let supervisor = supervisor.child(slow.child().shutdown(shutdown));
            let starting = supervisor.start_link();
            stage.expect(["start a", "begin slow"]).await;
            let supervisor = node().whereis("s").unwrap();
            let slow = node().processes().into_iter().filter(|process| process.parent == Some(supervisor));
            let slow: Vec<_> = slow.map(|process| process.pid).collect();
            assert_eq!(slow.len(), 2);
            let before = time::now();
            let end = me.monitor(supervisor);
            me.exit(supervisor, ExitReason::Shutdown);
            assert_eq!(down(&mut me, end).await?, ExitReason::Shutdown);
            assert!(starting.await.is_err());
            assert_eq!(time::now() - before, expected);
            assert!(slow.iter().all(|pid| !node().is_alive(*pid)), "{shutdown:?}");
        }
        Ok(())
    });
}

#[test]
fn a_start_that_never_returns_does_not_keep_a_supervisor_from_ending() {
    virtually(|mut me| async move {
        let stuck = Child::with("stuck", async |_, _| pending().await);
        let supervisor = Supervisor::one_for_one().start_link().await?;
        let started = supervisor.start_child(stuck.shutdown(secs(2))).send();
        settle().await;
        let before = time::now();
        let end = me.monitor(&supervisor);
        me.exit(&supervisor, ExitReason::Shutdown);
        assert_eq!(started.await, Err(CallError::Reply(StartChildError::Stopping)));
        assert_eq!(down(&mut me, end).await?, ExitReason::Shutdown);
        // Its time to stop, and a second for the start to return after the kill.
        assert_eq!(time::now() - before, secs(3));
        Ok(())
    });
}

#[test]
fn a_child_that_ended_before_its_start_returned_is_restarted() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let told = stage.clone();
        // The process ends at once; its start returns a second later.
        let hasty = Child::with("hasty", move |node, options| {
            let stage = told.clone();
            async move {
                let pid = node.spawn_process_with(options, async |_: Process<()>| Ok(())).pid();
                time::sleep(secs(1)).await;
                stage.tell("started");
                Ok(pid)
            }
        });
        let supervisor = Supervisor::one_for_one().intensity(2, secs(60)).child(hasty).start_link().await?;
        stage.expect(["started", "started", "started"]).await;
        settle().await;
        assert!(!node().is_alive(&supervisor));
        Ok(())
    });
}

#[test]
fn a_child_that_took_its_link_back_is_still_waited_for() {
    everywhere(|mut me| async move {
        let stage = Stage::new();
        let told = stage.clone();
        let naughty = Child::with("naughty", move |node, options| {
            let stage = told.clone();
            async move {
                let link = options.link;
                let process = node.spawn_process_with(options, async move |mut me: Process<()>| {
                    me.unlink(link.unwrap());
                    stage.tell("unlinked");
                    me.receive().await?;
                    Ok(())
                });
                Ok(process.pid())
            }
        });
        let supervisor = Supervisor::one_for_one().child(naughty).start_link().await?;
        stage.expect(["unlinked"]).await;
        let pid = pid_of(&supervisor, "naughty").await.unwrap();
        let end = me.monitor(&supervisor);
        supervisor.stop();
        assert_eq!(down(&mut me, end).await?, ExitReason::Normal);
        assert!(!node().is_alive(pid));
        Ok(())
    });
}

#[test]
fn terminate_calls_off_a_start_under_way() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let slow = Script { start_time: secs(3), ..script(&stage, "slow") };
        let supervisor = Supervisor::one_for_one().start_link().await?;
        let started = supervisor.start_child(slow.child()).send();
        stage.expect(["begin slow"]).await;
        supervisor.terminate_child("slow").await?;
        assert_eq!(started.await, Err(CallError::Reply(StartChildError::Terminated)));
        assert_eq!((status_of(&supervisor, "slow").await, node().children(&supervisor)), (None, vec![]));

        // It traps exits: it heard of it when it had started.
        stage.expect(["start slow", "stop slow: shutdown"]).await;

        // One that was there before stays listed.
        let slow = Script { start_time: secs(3), ..script(&stage, "again") };
        supervisor.start_child(slow.child()).await?;
        stage.kill("again");
        stage.expect(["begin again", "start again", "begin again"]).await;
        supervisor.terminate_child("again").await?;
        assert_eq!(status_of(&supervisor, "again").await, Some(ChildStatus::Stopped));
        assert_eq!(node().children(&supervisor), []);
        Ok(())
    });
}

/// A start that hangs and is called off: what drops it is the user's, and may panic.
#[test]
fn a_start_that_hangs_and_panics_when_it_is_dropped_ends_nobody_else() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    virtually(|_me| async move {
        let stage = Stage::new();
        let supervisor = Supervisor::one_for_one().child(worker(&stage, "a")).start_link().await?;
        let hanging = Child::with("hanging", |_, _| async {
            let _bomb = Bomb;
            std::future::pending().await
        });
        let starting = supervisor.start_child(hanging.shutdown(millis(100))).send();
        settle().await;
        supervisor.terminate_child("hanging").await?;
        assert_eq!(starting.await, Err(CallError::Reply(StartChildError::Terminated)));
        let ids: Vec<_> = supervisor.which_children().await?.into_iter().map(|child| child.id).collect();
        assert_eq!(ids, ["a".into()]);
        Ok(())
    });
}

/// What a start has spawned before it fails is nobody's child.
#[test]
fn what_a_failed_start_has_spawned_is_not_left() {
    virtually(|_me| async move {
        let supervisor = Supervisor::one_for_one().start_link().await?;
        for _ in 0..10 {
            let leaky = Child::with("leaky", |node, options| async move {
                node.spawn_process_with(options, async |mut me: Process<()>| Ok(me.receive().await?));
                Err(StartError::Refused(ExitReason::value("nope")))
            });
            assert!(supervisor.start_child(leaky).await.is_err());
        }
        settle().await;
        assert_eq!(node().children(&supervisor), []);
        Ok(())
    });
}
