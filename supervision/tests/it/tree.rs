//! Supervisors under supervisors.

use biotope_runtime::{ExitReason, Spec, node};
use biotope_supervision::{ChildStatus, IntoChild, Supervisor, SupervisorRef};

use crate::support::*;

#[test]
fn sup_19_a_supervisor_that_gives_up_is_restarted_by_its_own() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let s1 = Supervisor::one_for_one().named("s1").children(["1", "2"].map(|id| worker(&stage, id)));
        let s2 = Supervisor::one_for_one().named("s2").intensity(0, secs(5));
        let s3 = Supervisor::one_for_one().named("s3");
        let top = Supervisor::one_for_all().child(s1).child(s2).child(s3).start_link().await?;
        stage.expect(["start 1", "start 2"]).await;
        let s2: SupervisorRef = biotope_runtime::node().lookup::<Supervisor>("s2").unwrap();
        s2.start_child(worker(&stage, "dynamic")).await?;
        stage.expect(["start dynamic"]).await;
        let before = top.which_children().await?;
        stage.end("dynamic", ExitReason::value("crash"));
        stage.expect(["stop dynamic: \"crash\"", "stop 2: shutdown", "stop 1: shutdown", "start 1", "start 2"]).await;
        // s3 is the last to be started; a child of its own shows that it is up.
        let after = loop {
            let children = top.which_children().await?;
            if children.iter().all(|child| child.pid().is_some()) {
                break children;
            }
        };
        assert!(before.iter().zip(&after).all(|(before, after)| before.pid() != after.pid()));
        let s2 = biotope_runtime::node().lookup::<Supervisor>("s2").unwrap();
        assert_eq!(s2.count_children().await?.specs, 0);
        Ok(())
    });
}

/// The children of a supervisor that is killed end one after the other, and may take their time. Until they are gone their
/// names are taken: to start others meanwhile would fail, and use up all restarts in no time.
#[test]
fn a_supervisor_that_was_killed_comes_back_when_its_children_are_gone() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let slow = Script { stop_time: secs(2), ..script(&stage, "slow") };
        let stubborn = Script { stop_time: secs(3600), ..script(&stage, "stubborn") };
        let named = |script: Script| {
            let id = script.id;
            Spec::<Worker>::new(move || script.clone()).named(id)
        };
        let inner = Supervisor::one_for_one().named("inner").child(named(slow)).child(named(stubborn));
        let top = Supervisor::one_for_one().intensity(1, secs(3600)).child(inner).child(worker(&stage, "other"));
        let top = top.start_link().await?;
        stage.expect(["start slow", "start stubborn", "start other"]).await;
        let before = (node().runtime().now(), stage.pid("other"));
        node().exit(node().whereis("inner").unwrap(), ExitReason::Kill);
        stage.expect(["stop slow: killed"]).await;
        assert_eq!(status_of(&top, "inner").await, Some(ChildStatus::Restarting));
        // One that does not end is killed in the end.
        stage.expect(["start slow", "start stubborn"]).await;
        assert_eq!(node().runtime().now() - before.0, secs(5));
        settle().await;
        assert_eq!(pid_of(&top, "inner").await, node().whereis("inner"));
        assert_eq!(stage.pid("other"), before.1);
        // Without a wait for an hour: it is killed with its supervisor.
        node().exit(stage.pid("stubborn"), ExitReason::Kill);
        Ok(())
    });
}

#[test]
fn a_tree_stops_depth_first_and_in_reverse() {
    everywhere(|mut me| async move {
        let stage = Stage::new();
        let inner = Supervisor::one_for_one().children(["b", "c"].map(|id| worker(&stage, id))).id("inner");
        let top = Supervisor::one_for_one().child(worker(&stage, "a")).child(inner).child(worker(&stage, "d"));
        let top = top.start_link().await?;
        stage.expect(["start a", "start b", "start c", "start d"]).await;
        let end = me.monitor(&top);
        top.stop();
        stage.expect(["stop d: shutdown", "stop c: shutdown", "stop b: shutdown", "stop a: shutdown"]).await;
        assert_eq!(down(&mut me, end).await?, ExitReason::Normal);
        Ok(())
    });
}

#[test]
fn a_failed_start_deep_in_the_tree_names_its_way_up() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let bad = Script { start: |_| Going::Refused, ..script(&stage, "bad") };
        let inner = Supervisor::one_for_one().child(worker(&stage, "b")).child(bad.child()).id("inner");
        let top = Supervisor::one_for_one().child(worker(&stage, "a")).child(inner);
        let error = top.start_link().await.unwrap_err().to_string();
        assert!(error.contains("`inner`") && error.contains("`bad`") && error.contains("nope"), "{error}");
        stage.expect(["start a", "start b", "stop b: shutdown", "stop a: shutdown"]).await;
        Ok(())
    });
}
