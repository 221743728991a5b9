//! The order of starts and stops, roll-back, and how long a child has to stop.

use biotope_runtime::{ExitReason, Process, SpawnOptions, StartError, node, spawn_process, time};
use biotope_supervision::{Child, Shutdown, Supervisor, SupervisorStartError};

use crate::support::*;

#[test]
fn sup_01_children_start_in_order_and_stop_in_reverse() {
    everywhere(|mut me| async move {
        let stage = Stage::new();
        let children = ["a", "b", "c"].map(|id| worker(&stage, id));
        let supervisor = Supervisor::one_for_one().children(children).start_link().await?;
        stage.expect(["start a", "start b", "start c"]).await;
        let end = me.monitor(&supervisor);
        me.exit(&supervisor, ExitReason::Shutdown);
        assert_eq!(down(&mut me, end).await?, ExitReason::Shutdown);
        stage.expect(["stop c: shutdown", "stop b: shutdown", "stop a: shutdown"]).await;
        Ok(())
    });
}

#[test]
fn sup_01_the_next_child_starts_and_stops_only_after_the_one_before() {
    virtually(|mut me| async move {
        let stage = Stage::new();
        let slow = ["a", "b"].map(|id| {
            let script = script(&stage, id);
            support_slow(script).child()
        });
        let supervisor = Supervisor::one_for_one().children(slow).start_link().await?;
        stage.expect(["begin a", "start a", "begin b", "start b"]).await;
        let before = time::now();
        let end = me.monitor(&supervisor);
        supervisor.stop();
        assert_eq!(down(&mut me, end).await?, ExitReason::Normal);
        assert_eq!(time::now() - before, secs(2));
        stage.expect(["stop b: shutdown", "stop a: shutdown"]).await;
        Ok(())
    });
}

fn support_slow(script: Script) -> Script {
    Script { start_time: secs(1), stop_time: secs(1), ..script }
}

#[test]
fn sup_02_a_start_that_fails_rolls_back_what_had_started() {
    everywhere(|mut me| async move {
        for (going, reason) in [
            (Going::Refused, StartError::Refused(ExitReason::value("nope"))),
            (Going::Dies, StartError::Died(ExitReason::Killed)),
        ] {
            let stage = Stage::new();
            let error = rolled_back(&stage, going).await;
            assert_eq!(error, SupervisorStartError::Child { id: "d".into(), error: reason });
        }
        let stage = Stage::new();
        let error = rolled_back(&stage, Going::Panics).await;
        let SupervisorStartError::Child { error: StartError::Refused(ExitReason::Panic(report)), .. } = error else {
            panic!("{error}")
        };
        assert_eq!(report.message, "nope");
        // The caller was told by the result, and by nothing else.
        let nothing = me.receive_any().timeout(std::time::Duration::ZERO).await;
        assert!(nothing.is_err(), "{nothing:?}");
        Ok(())
    });
}

async fn rolled_back(stage: &Stage, going: Going) -> SupervisorStartError {
    let start: fn(usize) -> Going = match going {
        Going::Refused => |_| Going::Refused,
        Going::Dies => |_| Going::Dies,
        _ => |_| Going::Panics,
    };
    let failing = Script { start, ..script(stage, "d") };
    let supervisor = Supervisor::one_for_one()
        .named("rolled back")
        .child(worker(stage, "a"))
        .child(worker(stage, "b"))
        .child(failing.child())
        .child(worker(stage, "e"));
    let error = supervisor.start_link().await.unwrap_err();
    // Whoever is told may try again at once.
    assert_eq!(node().whereis("rolled back"), None);
    stage.expect(["start a", "start b", "stop b: shutdown", "stop a: shutdown"]).await;
    error
}

#[test]
fn sup_02_a_start_function_that_panics_is_a_start_that_failed() {
    everywhere(|_me| async move {
        let at_once = Child::with("d", |_, _| -> std::future::Ready<_> { panic!("at once") });
        let later = Child::with("d", async |_, _| panic!("later"));
        for (child, message) in [(at_once, "at once"), (later, "later")] {
            let error = Supervisor::one_for_one().child(child).start_link().await.unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
        Ok(())
    });
}

#[test]
fn sup_10_a_child_that_does_not_stop_in_time_is_killed() {
    virtually(|mut me| async move {
        let stage = Stage::new();
        let stubborn = Script { stop_time: secs(200), ..script(&stage, "stubborn") };
        let supervisor = Supervisor::one_for_one()
            .child(worker(&stage, "prompt").shutdown(secs(1)))
            .child(stubborn.child().shutdown(secs(1)))
            .start_link()
            .await?;
        let stubborn = me.monitor(stage.pid("stubborn"));
        let prompt = me.monitor(stage.pid("prompt"));
        let before = time::now();
        let end = me.monitor(&supervisor);
        me.exit(&supervisor, ExitReason::Shutdown);
        assert_eq!(down(&mut me, stubborn).await?, ExitReason::Killed);
        assert_eq!(time::now() - before, secs(1));
        assert_eq!(down(&mut me, prompt).await?, ExitReason::Shutdown);
        assert_eq!(down(&mut me, end).await?, ExitReason::Shutdown);
        assert_eq!(time::now() - before, secs(1));
        Ok(())
    });
}

#[test]
fn sup_11_brutal_kill_leaves_no_chance_and_infinity_every() {
    virtually(|mut me| async move {
        let stage = Stage::new();
        let patient = Script { stop_time: secs(3), ..script(&stage, "i") };
        let supervisor = Supervisor::one_for_one()
            .child(patient.child().shutdown(Shutdown::Infinity))
            .child(worker(&stage, "k").shutdown(Shutdown::BrutalKill))
            .start_link()
            .await?;
        stage.expect(["start i", "start k"]).await;
        let monitors = [me.monitor(stage.pid("k")), me.monitor(stage.pid("i")), me.monitor(&supervisor)];
        let before = time::now();
        me.exit(&supervisor, ExitReason::Shutdown);
        let [k, i, end] = monitors;
        assert_eq!(down(&mut me, k).await?, ExitReason::Killed);
        assert_eq!(down(&mut me, i).await?, ExitReason::Shutdown);
        assert_eq!(down(&mut me, end).await?, ExitReason::Shutdown);
        assert_eq!(time::now() - before, secs(3));
        stage.expect(["stop i: shutdown"]).await;
        stage.expect_nothing().await;
        Ok(())
    });
}

#[test]
fn sup_16_specification_errors_start_nothing() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let twice = Supervisor::one_for_one().child(worker(&stage, "a")).child(worker(&stage, "a"));
        let error = twice.start_link().await.unwrap_err();
        assert_eq!(error, SupervisorStartError::DuplicateId("a".into()));
        assert!(error.to_string().contains(".id("), "{error}");
        let no_time = Supervisor::one_for_one().child(worker(&stage, "a")).intensity(1, secs(0));
        assert_eq!(no_time.start_link().await.unwrap_err(), SupervisorStartError::ZeroPeriod);
        let first = Supervisor::one_for_one().named("taken").start_link().await?;
        let second = Supervisor::one_for_one().named("taken").child(worker(&stage, "a")).start_link().await;
        assert_eq!(second.unwrap_err(), SupervisorStartError::AlreadyStarted(first.pid()));
        // Nothing was started: this is the first line.
        stage.tell("done");
        stage.expect(["done"]).await;
        Ok(())
    });
}

#[test]
fn sup_20_the_children_of_a_killed_supervisor_die_over_their_links() {
    everywhere(|mut me| async move {
        let stage = Stage::new();
        let plain = Child::with("plain", |node, options| async move {
            Ok(node
                .spawn_process_with(options, async |mut me: Process<()>| me.receive().await.map_err(Into::into))
                .pid())
        });
        let supervisor = Supervisor::one_for_one().child(plain).child(worker(&stage, "trapping")).start_link().await?;
        let plain = me.monitor(pid_of(&supervisor, "plain").await.unwrap());
        let trapping = me.monitor(stage.pid("trapping"));
        me.exit(&supervisor, ExitReason::Kill);
        assert_eq!(down(&mut me, plain).await?, ExitReason::Killed);
        assert_eq!(down(&mut me, trapping).await?, ExitReason::Killed);
        stage.expect(["start trapping", "stop trapping: killed"]).await;
        Ok(())
    });
}

#[test]
fn gs_17_a_supervisor_ends_with_its_parents_reason_and_not_with_anothers() {
    everywhere(|mut me| async move {
        let stage = Stage::new();
        let child = worker(&stage, "a");
        let (sender, started) = tokio::sync::oneshot::channel();
        let parent = node().spawn_process(async move |mut me: Process<()>| {
            let supervisor = Supervisor::one_for_one().child(child).start_link().await?;
            let _ = sender.send(supervisor);
            me.receive().await?;
            Err(ExitReason::value("why").into())
        });
        let supervisor = started.await?;
        stage.expect(["start a"]).await;
        let end = me.monitor(&supervisor);
        // From neither its parent nor a child: ignored.
        me.exit(&supervisor, ExitReason::value("somebody's"));
        assert_eq!(supervisor.count_children().await?.active, 1);
        parent.cast(());
        stage.expect(["stop a: shutdown"]).await;
        assert_eq!(down(&mut me, end).await?, ExitReason::value("why"));
        Ok(())
    });
}

#[test]
fn a_supervisor_without_a_parent_stops_in_order_when_its_node_ends() {
    everywhere(|mut me| async move {
        let stage = Stage::new();
        let other = biotope_runtime::Node::builder("other").runtime(node().runtime().clone()).start().await?;
        let children = ["a", "b"].map(|id| worker(&stage, id));
        let supervisor = Supervisor::one_for_one().children(children).start_on(&other, SpawnOptions::default()).await?;
        stage.expect(["start a", "start b"]).await;
        other.shutdown().await;
        stage.expect(["stop b: shutdown", "stop a: shutdown"]).await;
        assert!(!other.is_alive(&supervisor));
        let nothing = me.receive_any().timeout(std::time::Duration::ZERO).await;
        assert!(nothing.is_err());
        Ok(())
    });
}

#[test]
fn an_exit_from_outside_any_process_stops_a_supervisor_and_the_first_reason_stands() {
    virtually(|mut me| async move {
        let stage = Stage::new();
        let slow = Script { stop_time: secs(1), ..script(&stage, "a") };
        let supervisor = Supervisor::one_for_one().child(slow.child()).start_link().await?;
        stage.expect(["start a"]).await;
        let end = me.monitor(&supervisor);
        node().exit(&supervisor, ExitReason::value("first"));
        settle().await;
        me.exit(&supervisor, ExitReason::value("second"));
        supervisor.stop();
        stage.expect(["stop a: shutdown"]).await;
        assert_eq!(down(&mut me, end).await?, ExitReason::value("first"));
        Ok(())
    });
}

/// A trapping child in straight-line code that never looks at what it receives: its parent's end is its own all the same.
#[test]
fn gs_17_the_next_receive_of_a_straight_line_child_fails_with_its_parents_reason() {
    everywhere(|mut me| async move {
        for reason in [ExitReason::Killed, ExitReason::Shutdown, ExitReason::Normal, ExitReason::value("crash")] {
            let (tell, told) = tokio::sync::oneshot::channel();
            let parent = spawn_process(async move |mut me: Process<ExitReason>| {
                let options = SpawnOptions::linked_to(me.pid());
                let child = me.node().spawn_process_with(options, async move |mut me: Process<u32>| {
                    me.trap_exits(true);
                    let _ = tell.send(me.address());
                    // What was sent before the end is received before it.
                    assert_eq!(me.receive().await?, 1);
                    loop {
                        me.receive_any().await?;
                    }
                });
                child.cast(1);
                Err(me.receive().await?.into())
            });
            let child = told.await?;
            let end = me.monitor(&child);
            // A process that is no parent ends nobody who traps exits.
            me.exit(&child, ExitReason::value("not mine"));
            if reason == ExitReason::Killed {
                me.exit(&parent, ExitReason::Kill);
            } else {
                parent.cast(reason.clone());
            }
            assert_eq!(down(&mut me, end).await?, reason);
        }
        Ok(())
    });
}
