//! Who is restarted, and how often.

use biotope_runtime::{ExitReason, Pid, Spec, node, time};
use biotope_supervision::{ChildStatus, Permanent, Supervisor, Temporary, Transient};

use crate::support::*;

const WAYS: [&str; 6] = ["normal", "shutdown", "shutdown: x", "abnormal", "killed", "panic"];

fn end(stage: &Stage, id: &str, way: &str) {
    match way {
        "normal" => stage.end(id, ExitReason::Normal),
        "shutdown" => stage.end(id, ExitReason::Shutdown),
        "shutdown: x" => stage.end(id, ExitReason::ShutdownWith("x".into())),
        "abnormal" => stage.end(id, ExitReason::value("abnormal")),
        "killed" => stage.kill(id),
        _ => stage.worker(id).cast(Order::Panic),
    }
}

#[test]
fn sup_04_a_permanent_child_is_always_restarted() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let supervisor =
            Supervisor::one_for_one().intensity(100, secs(5)).child(worker(&stage, "p").restart(Permanent));
        let supervisor = supervisor.start_link().await?;
        for way in WAYS {
            let before = stage.pid("p");
            end(&stage, "p", way);
            settle().await;
            let after = pid_of(&supervisor, "p").await.unwrap();
            assert_ne!(before, after, "{way}");
        }
        Ok(())
    });
}

#[test]
fn sup_04_a_transient_child_is_restarted_after_an_abnormal_end_only() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let supervisor =
            Supervisor::one_for_one().intensity(100, secs(5)).child(worker(&stage, "t").restart(Transient));
        let supervisor = supervisor.start_link().await?;
        for way in WAYS {
            let before = stage.pid("t");
            end(&stage, "t", way);
            settle().await;
            if ["abnormal", "killed", "panic"].contains(&way) {
                assert_ne!(pid_of(&supervisor, "t").await.unwrap(), before, "{way}");
            } else {
                assert_eq!(status_of(&supervisor, "t").await, Some(ChildStatus::Stopped), "{way}");
                supervisor.restart_child("t").await?;
            }
        }
        Ok(())
    });
}

#[test]
fn sup_04_a_temporary_child_is_never_restarted_and_goes_from_the_list() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let supervisor = Supervisor::one_for_one().start_link().await?;
        for way in WAYS {
            supervisor.start_child(worker(&stage, "t").restart(Temporary)).await?;
            end(&stage, "t", way);
            settle().await;
            assert_eq!(status_of(&supervisor, "t").await, None, "{way}");
        }
        Ok(())
    });
}

#[test]
fn sup_05_one_for_one_restarts_the_one_that_ended() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let children = ["c1", "c2"].map(|id| worker(&stage, id));
        let supervisor = Supervisor::one_for_one().children(children).start_link().await?;
        stage.expect(["start c1", "start c2"]).await;
        let before = [stage.pid("c1"), stage.pid("c2")];
        stage.end("c1", ExitReason::value("crash"));
        stage.expect(["stop c1: \"crash\"", "start c1"]).await;
        // The next answer comes after the start has returned, or says that it is under way.
        let after = [stage.pid("c1"), pid_of(&supervisor, "c2").await.unwrap()];
        assert_ne!(after[0], before[0]);
        assert_eq!(after[1], before[1]);
        Ok(())
    });
}

#[test]
fn sup_06_one_for_all_stops_the_others_in_reverse_and_starts_all_in_order() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let children = ["a", "b", "c"].map(|id| worker(&stage, id));
        let supervisor = Supervisor::one_for_all().intensity(1, secs(3600)).children(children).start_link().await?;
        stage.expect(["start a", "start b", "start c"]).await;
        let before = ["a", "b", "c"].map(|id| stage.pid(id));
        stage.kill("b");
        stage.expect(["stop c: shutdown", "stop a: shutdown", "start a", "start b", "start c"]).await;
        let after = ["a", "b", "c"].map(|id| stage.pid(id));
        assert!(before.iter().all(|pid| !after.contains(pid)));
        // It counted as one: the second crash ends the supervisor, which would have ended before otherwise.
        assert_eq!(supervisor.count_children().await?.specs, 3);
        Ok(())
    });
}

#[test]
fn sup_06_siblings_that_end_together_count_as_one_restart() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let children = ["a", "b", "c"].map(|id| worker(&stage, id));
        let supervisor = Supervisor::one_for_all().intensity(1, secs(3600)).children(children).start_link().await?;
        stage.expect(["start a", "start b", "start c"]).await;
        for id in ["a", "b", "c"] {
            stage.kill(id);
        }
        stage.expect(["start a", "start b", "start c"]).await;
        settle().await;
        assert_eq!(supervisor.count_children().await?.active, 3);
        stage.expect_nothing().await;
        Ok(())
    });
}

#[test]
fn sup_07_rest_for_one_restarts_those_after_the_one_that_ended() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let ids = ["ch7", "ch3", "ch10", "ch2", "ch5"];
        let supervisor = Supervisor::rest_for_one().children(ids.map(|id| worker(&stage, id))).start_link().await?;
        stage.expect(ids.map(|id| ["start ", id].concat()).each_ref().map(String::as_str)).await;
        let before: Vec<Pid> = ids.iter().map(|id| stage.pid(id)).collect();
        stage.end("ch10", ExitReason::value("crash"));
        stage.expect(["stop ch10: \"crash\"", "stop ch5: shutdown", "stop ch2: shutdown"]).await;
        stage.expect(["start ch10", "start ch2", "start ch5"]).await;
        let after: Vec<Pid> = ids.iter().map(|id| stage.pid(id)).collect();
        assert_eq!(after[..2], before[..2]);
        assert!(before[2..].iter().all(|pid| !after.contains(pid)));
        assert_eq!(supervisor.count_children().await?.specs, 5);
        Ok(())
    });
}

#[test]
fn sup_08_past_the_intensity_the_supervisor_stops_all_and_ends() {
    everywhere(|mut me| async move {
        let stage = Stage::new();
        let children = ["c1", "c2", "c3"].map(|id| worker(&stage, id));
        let supervisor = Supervisor::one_for_one().intensity(2, secs(3600)).children(children).start_link().await?;
        let end = me.monitor(&supervisor);
        stage.expect(["start c1", "start c2", "start c3"]).await;
        for id in ["c1", "c2"] {
            stage.end(id, ExitReason::value("crash"));
            let lines = [format!("stop {id}: \"crash\""), format!("start {id}")];
            stage.expect(lines.each_ref().map(String::as_str)).await;
        }
        stage.end("c2", ExitReason::value("crash"));
        stage.expect(["stop c2: \"crash\"", "stop c3: shutdown", "stop c1: shutdown"]).await;
        assert_eq!(down(&mut me, end).await?, ExitReason::Shutdown);
        Ok(())
    });
}

#[test]
fn sup_09_the_window_of_the_intensity_slides() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let supervisor = Supervisor::one_for_one().intensity(1, secs(1)).child(worker(&stage, "c"));
        let _supervisor = supervisor.start_link().await?;
        stage.expect(["start c"]).await;
        for _ in 0..4 {
            stage.end("c", ExitReason::value("crash"));
            stage.expect(["stop c: \"crash\"", "start c"]).await;
            time::sleep(millis(2100)).await;
        }
        Ok(())
    });
}

#[test]
fn a_restart_that_fails_counts_and_is_tried_again() {
    everywhere(|mut me| async move {
        let stage = Stage::new();
        // The second and third start fail: with the crash itself, three attempts count.
        let start = |n| if n == 1 || n == 2 { Going::Refused } else { Going::Well };
        let child = Script { start, ..script(&stage, "c") };
        let supervisor = Supervisor::one_for_one().intensity(3, secs(3600)).child(child.child()).start_link().await?;
        let end = me.monitor(&supervisor);
        stage.expect(["start c"]).await;
        stage.kill("c");
        stage.expect(["start c"]).await;
        stage.kill("c");
        assert_eq!(down(&mut me, end).await?, ExitReason::Shutdown);
        Ok(())
    });
}

#[test]
fn one_for_all_tries_all_again_when_a_restart_fails() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let start = |n| if n == 1 { Going::Refused } else { Going::Well };
        let b = Script { start, ..script(&stage, "b") };
        let supervisor = Supervisor::one_for_all()
            .intensity(2, secs(3600))
            .children([worker(&stage, "a"), b.child(), worker(&stage, "c")])
            .start_link()
            .await?;
        stage.expect(["start a", "start b", "start c"]).await;
        stage.kill("c");
        stage.expect(["stop b: shutdown", "stop a: shutdown", "start a"]).await;
        // b has failed: a is stopped again.
        stage.expect(["stop a: shutdown", "start a", "start b", "start c"]).await;
        assert_eq!(supervisor.count_children().await?.specs, 3);
        Ok(())
    });
}

#[test]
fn a_child_that_ends_while_its_siblings_are_stopped_is_not_counted() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let slow = Script { stop_time: secs(1), ..script(&stage, "c") };
        let supervisor = Supervisor::one_for_all()
            .intensity(1, secs(3600))
            .children([worker(&stage, "a"), worker(&stage, "b"), slow.child()])
            .start_link()
            .await?;
        stage.expect(["start a", "start b", "start c"]).await;
        stage.kill("a");
        settle().await;
        // c is being stopped; b is next, but ends before.
        stage.end("b", ExitReason::value("crash"));
        stage.expect(["stop b: \"crash\"", "stop c: shutdown", "start a", "start b", "start c"]).await;
        settle().await;
        assert_eq!(supervisor.count_children().await?.active, 3);
        Ok(())
    });
}

/// However often it is restarted, the name leads to the one that lives.
#[test]
fn a_named_handle_reaches_the_child_that_was_started_last() {
    everywhere(|mut me| async move {
        let stage = Stage::new();
        let script = script(&stage, "w");
        let child = Spec::<Worker>::new(move || script.clone()).named("w");
        let _supervisor = Supervisor::one_for_one().intensity(100, secs(5)).child(child).start_link().await?;
        let worker = node().named::<Worker>("w");
        stage.expect(["start w"]).await;
        for _ in 0..5 {
            let before = worker.now()?.pid();
            let monitor = me.monitor(before);
            worker.now()?.address().cast(Order::End(ExitReason::value("crash")));
            down(&mut me, monitor).await?;
            // Its name was free before that was told; the next may have it already, and be in the midst of its start.
            let after = worker.within(secs(300)).await?.pid();
            assert_ne!(before, after);
            stage.expect(["stop w: \"crash\"", "start w"]).await;
            assert_eq!(stage.pid("w"), after);
        }
        Ok(())
    });
}
