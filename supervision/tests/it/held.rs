//! Children that are not started again at once: back-offs and circuits.

use std::time::Instant;

use biotope_runtime::{CallError, ExitReason, Process, node, spawn_process, time};
use biotope_supervision::{Backoff, ChildStatus, Circuit, RestartChildError, StartChildError, Supervisor};

use crate::support::*;

fn now() -> Instant {
    node().runtime().now()
}

#[test]
fn a_back_off_doubles_up_to_its_longest_and_begins_anew_after_a_calm_life() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let backoff = Backoff::new(millis(100), secs(1)).jitter(0.0).calm(secs(60));
        let child = worker(&stage, "c").backoff(backoff);
        let supervisor = Supervisor::one_for_one().intensity(100, secs(3600)).child(child).start_link().await?;
        stage.expect(["start c"]).await;
        for wait in [100, 200, 400, 800, 1000, 1000] {
            let crashed = now();
            stage.end("c", ExitReason::value("crash"));
            stage.expect(["stop c: \"crash\""]).await;
            settle().await;
            assert_eq!(status_of(&supervisor, "c").await, Some(ChildStatus::Restarting));
            stage.expect(["start c"]).await;
            assert_eq!((now() - crashed).as_millis(), wait);
        }
        time::sleep(secs(60)).await;
        let crashed = now();
        stage.end("c", ExitReason::value("crash"));
        stage.expect(["stop c: \"crash\"", "start c"]).await;
        assert_eq!((now() - crashed).as_millis(), 100);
        Ok(())
    });
}

/// With jitter, those that failed in one instant do not come back in one.
#[test]
fn the_jitter_of_a_back_off_spreads_the_restarts() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let supervisor = Supervisor::one_for_one()
            .intensity(100, secs(5))
            .backoff(Backoff::new(secs(1), secs(1)))
            .children(ids.map(|id| worker(&stage, id)));
        let _supervisor = supervisor.start_link().await?;
        stage.expect(ids.map(|id| ["start ", id].concat()).each_ref().map(String::as_str)).await;
        let crashed = now();
        ids.iter().for_each(|id| stage.kill(id));
        let mut waits = Vec::new();
        for _ in ids {
            stage.next().await;
            waits.push(now() - crashed);
        }
        assert!(waits[0] >= millis(500) && waits[7] <= secs(1), "{waits:?}");
        waits.dedup();
        assert!(waits.len() > 6, "they are spread: {waits:?}");
        Ok(())
    });
}

/// Siblings that cannot do without the one that waits are down as long.
#[test]
fn siblings_of_a_child_that_waits_are_down_with_it() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let slow = worker(&stage, "b").backoff(Backoff::constant(secs(2)));
        let children = [worker(&stage, "a"), slow, worker(&stage, "c")];
        let supervisor = Supervisor::rest_for_one().children(children).start_link().await?;
        stage.expect(["start a", "start b", "start c"]).await;
        stage.kill("b");
        stage.expect(["stop c: shutdown"]).await;
        stage.expect_nothing().await;
        // A new child comes last, and waits for those before it.
        let late = supervisor.start_child(worker(&stage, "d")).send();
        stage.expect_nothing().await;
        time::sleep(millis(1_900)).await;
        stage.expect_nothing().await;
        stage.expect(["start b", "start c", "start d"]).await;
        late.await?;
        Ok(())
    });
}

#[test]
fn a_child_that_waits_can_be_terminated_and_started_by_hand() {
    virtually(|mut me| async move {
        let stage = Stage::new();
        let child = worker(&stage, "c").backoff(Backoff::constant(secs(3600)));
        let supervisor = Supervisor::one_for_one().child(child).start_link().await?;
        stage.expect(["start c"]).await;
        stage.kill("c");
        settle().await;
        let early = supervisor.restart_child("c").await.unwrap_err();
        assert_eq!(early, CallError::Reply(RestartChildError::Restarting("c".into())));
        let again = supervisor.start_child(worker(&stage, "c")).await.unwrap_err();
        let already = StartChildError::AlreadyStarted { id: "c".into(), pid: None };
        assert_eq!(again, CallError::Reply(already));
        supervisor.terminate_child("c").await?;
        assert_eq!(status_of(&supervisor, "c").await, Some(ChildStatus::Stopped));
        supervisor.restart_child("c").await?;
        stage.expect(["start c"]).await;

        // And a supervisor that is stopped does not wait for it.
        stage.kill("c");
        settle().await;
        let before = now();
        let end = me.monitor(&supervisor);
        supervisor.stop();
        down(&mut me, end).await?;
        assert_eq!(now(), before);
        stage.expect_nothing().await;
        Ok(())
    });
}

#[test]
fn a_circuit_keeps_a_child_down_while_what_it_needs_is_down() {
    virtually(|mut me| async move {
        let stage = Stage::new();
        let database = async |mut me: Process<()>| {
            me.node().register("database", me.pid())?;
            me.receive().await?;
            Ok(())
        };
        let first = spawn_process(database);
        settle().await;
        let start = |_| if node().whereis("database").is_some() { Going::Well } else { Going::Refused };
        let writer = Script { start, ..script(&stage, "writer") };
        let writer = writer.child().circuit(Circuit::registered("database").check_every(millis(200)));
        let supervisor = Supervisor::one_for_all()
            .intensity(1, secs(3600))
            .children([worker(&stage, "reader"), writer, worker(&stage, "clerk")])
            .start_link()
            .await?;
        stage.expect(["start reader", "start writer", "start clerk"]).await;

        let end = me.monitor(&first);
        first.cast(());
        down(&mut me, end).await?;
        stage.kill("writer");
        // The clerk, who comes after the writer, cannot do without it; what it needs could be the reader.
        stage.expect(["stop clerk: shutdown"]).await;
        time::sleep(secs(3600)).await;
        stage.expect_nothing().await;
        assert_eq!(status_of(&supervisor, "writer").await, Some(ChildStatus::Restarting));
        assert_eq!(status_of(&supervisor, "clerk").await, Some(ChildStatus::Restarting));

        let up = now();
        let second = spawn_process(database);
        stage.expect(["stop reader: shutdown", "start reader", "start writer", "start clerk"]).await;
        assert!(now() - up <= millis(200));
        // That was one restart, however often the supervisor had looked; one more is too many.
        let end = me.monitor(&supervisor);
        stage.kill("reader");
        stage.expect(["stop clerk: shutdown", "stop writer: shutdown"]).await;
        assert_eq!(down(&mut me, end).await?, ExitReason::Shutdown);
        second.cast(());
        Ok(())
    });
}
