//! Children that are started, stopped, restarted and deleted while the supervisor runs.

use biotope_runtime::{CallError, CallFailed, ExitReason, StartError};
use biotope_supervision::{
    ChangeChildError, ChildStatus, DeleteChildError, Permanent, RestartChildError, SpecError, StartChildError,
    Supervisor, Temporary, TerminateChildError, Transient,
};

use crate::support::*;

#[test]
fn sup_12_managing_children() {
    everywhere(|mut me| async move {
        let stage = Stage::new();
        let supervisor = Supervisor::one_for_one().child(worker(&stage, "c")).start_link().await?;
        stage.expect(["start c"]).await;
        let pid = stage.pid("c");
        let again = supervisor.start_child(worker(&stage, "c")).await;
        let already = StartChildError::AlreadyStarted { id: "c".into(), pid: Some(pid) };
        assert_eq!(again, Err(CallError::Reply(already)));
        let end = me.monitor(pid);
        supervisor.terminate_child("c").await?;
        assert_eq!(down(&mut me, end).await?, ExitReason::Shutdown);
        supervisor.terminate_child("c").await?;
        let present = supervisor.start_child(worker(&stage, "c")).await;
        assert_eq!(present, Err(CallError::Reply(StartChildError::AlreadyPresent("c".into()))));
        let restarted = supervisor.restart_child("c").await?;
        assert_ne!(restarted.unwrap(), pid);
        let running = supervisor.restart_child("c").await;
        assert_eq!(running, Err(CallError::Reply(RestartChildError::Running("c".into()))));
        let running = supervisor.delete_child("c").await;
        assert_eq!(running, Err(CallError::Reply(DeleteChildError::Running("c".into()))));
        supervisor.terminate_child("c").await?;
        supervisor.delete_child("c").await?;
        let gone = supervisor.restart_child("c").await;
        assert_eq!(gone, Err(CallError::Reply(RestartChildError::NotFound("c".into()))));
        let gone = supervisor.terminate_child("x").await;
        assert_eq!(gone, Err(CallError::Reply(TerminateChildError::NotFound("x".into()))));
        let gone = supervisor.delete_child("x").await;
        assert_eq!(gone, Err(CallError::Reply(DeleteChildError::NotFound("x".into()))));

        let end = me.monitor(&supervisor);
        supervisor.stop();
        down(&mut me, end).await?;
        assert_eq!(supervisor.which_children().await, Err(CallFailed::NoProc));
        assert_eq!(supervisor.delete_child("c").await, Err(CallError::Failed(CallFailed::NoProc)));
        Ok(())
    });
}

#[test]
fn sup_14_a_child_that_ignores_its_start_is_listed_unless_it_is_temporary() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let idle = |id| Script { start: |_| Going::Ignored, ..script(&stage, id) }.child();
        let supervisor = Supervisor::one_for_one()
            .child(idle("permanent"))
            .child(idle("temporary").restart(Temporary))
            .start_link()
            .await?;
        assert_eq!(supervisor.start_child(idle("later")).await?, None);
        assert_eq!(supervisor.start_child(idle("later temporary").restart(Temporary)).await?, None);
        let children = supervisor.which_children().await?;
        let listed: Vec<_> = children.iter().map(|child| (&*child.id, child.status)).collect();
        assert_eq!(listed, [("permanent", ChildStatus::Stopped), ("later", ChildStatus::Stopped)]);
        let counts = supervisor.count_children().await?;
        assert_eq!((counts.specs, counts.active), (2, 0));
        Ok(())
    });
}

#[test]
fn sup_16_a_bad_child_leaves_a_running_supervisor_as_it_is() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let supervisor = Supervisor::one_for_one().child(worker(&stage, "c")).start_link().await?;
        let before = supervisor.which_children().await?;
        let bad = Script { start: |_| Going::Refused, ..script(&stage, "bad") };
        let refused = StartError::Refused(ExitReason::value("nope"));
        let failed = supervisor.start_child(bad.child()).await;
        assert_eq!(failed, Err(CallError::Reply(StartChildError::Failed(refused.clone()))));
        assert_eq!(supervisor.which_children().await?, before);

        // A restart by request that fails leaves the child listed, and is not tried again.
        let start = |n| if n == 0 { Going::Well } else { Going::Refused };
        supervisor.start_child(Script { start, ..script(&stage, "once") }.child()).await?;
        supervisor.terminate_child("once").await?;
        let failed = supervisor.restart_child("once").await;
        assert_eq!(failed, Err(CallError::Reply(RestartChildError::Failed(refused))));
        assert_eq!(status_of(&supervisor, "once").await, Some(ChildStatus::Stopped));
        Ok(())
    });
}

#[test]
fn a_temporary_child_that_is_terminated_goes_from_the_list() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let supervisor = Supervisor::one_for_one().start_link().await?;
        supervisor.start_child(worker(&stage, "t").restart(Temporary)).await?;
        supervisor.terminate_child("t").await?;
        assert_eq!(supervisor.count_children().await?.specs, 0);
        Ok(())
    });
}

#[test]
fn a_child_that_was_terminated_comes_back_with_its_siblings() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let children = ["a", "b"].map(|id| worker(&stage, id));
        let supervisor = Supervisor::one_for_all().children(children).start_link().await?;
        supervisor.terminate_child("b").await?;
        stage.expect(["start a", "start b", "stop b: shutdown"]).await;
        stage.kill("a");
        stage.expect(["start a", "start b"]).await;
        Ok(())
    });
}

#[test]
fn a_childs_specification_can_be_read_and_changed() {
    everywhere(|mut me| async move {
        let stage = Stage::new();
        let supervisor = Supervisor::one_for_one().child(worker(&stage, "c")).start_link().await?;
        stage.expect(["start c"]).await;
        let before = supervisor.child_spec("c").await?.expect("it is listed");
        assert_eq!((before.restart, before.significant), (Permanent, false));
        assert!(supervisor.child_spec("x").await?.is_none());

        // Another restart type counts from now on, for the process that there is.
        let old = supervisor.change_child(before.clone().restart(Temporary)).await?;
        assert_eq!(old.restart, Permanent);
        let pid = stage.pid("c");
        assert_eq!(pid_of(&supervisor, "c").await, Some(pid));
        let end = me.monitor(pid);
        stage.end("c", ExitReason::value("crash"));
        down(&mut me, end).await?;
        assert_eq!(supervisor.count_children().await?.specs, 0);

        // And another start, from the next one on.
        supervisor.start_child(before.clone()).await?;
        let other = Script { id: "other", ..script(&stage, "c") }.child().id("c");
        supervisor.change_child(other).await?;
        stage.expect(["stop c: \"crash\"", "start c"]).await;
        stage.end("c", ExitReason::value("crash"));
        stage.expect(["stop c: \"crash\"", "start other"]).await;

        let unknown = supervisor.change_child(worker(&stage, "x")).await.unwrap_err();
        assert_eq!(unknown, CallError::Reply(ChangeChildError::NotFound("x".into())));
        let misfit = supervisor.change_child(before.restart(Transient).significant()).await.unwrap_err();
        assert_eq!(misfit, CallError::Reply(ChangeChildError::Spec(SpecError::NoAutoShutdown("c".into()))));
        Ok(())
    });
}
