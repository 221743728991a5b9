//! Supervisors that end with children that have done their work.

use biotope_runtime::{CallError, ExitReason};
use biotope_supervision::{
    AutoShutdown, Permanent, SpecError, StartChildError, Supervisor, SupervisorStartError, Temporary, Transient,
};

use crate::support::*;

fn supervisor(stage: &Stage, auto_shutdown: AutoShutdown) -> Supervisor {
    Supervisor::one_for_one()
        .auto_shutdown(auto_shutdown)
        .child(worker(stage, "s1").restart(Transient).significant())
        .child(worker(stage, "s2").restart(Transient).significant())
        .child(worker(stage, "o"))
}

#[test]
fn sup_17_any_significant_child_that_is_done_ends_the_supervisor() {
    everywhere(|mut me| async move {
        let stage = Stage::new();
        let any = supervisor(&stage, AutoShutdown::AnySignificant).start_link().await?;
        stage.expect(["start s1", "start s2", "start o"]).await;
        let end = me.monitor(&any);
        stage.end("s1", ExitReason::Normal);
        stage.expect(["stop s1: normal", "stop o: shutdown", "stop s2: shutdown"]).await;
        assert_eq!(down(&mut me, end).await?, ExitReason::Shutdown);

        // One that fails is restarted, and so is one that ends while nobody counts on it.
        let any = supervisor(&stage, AutoShutdown::AnySignificant).start_link().await?;
        stage.expect(["start s1", "start s2", "start o"]).await;
        stage.end("s1", ExitReason::value("crash"));
        stage.expect(["stop s1: \"crash\"", "start s1"]).await;
        // Nor does it count that somebody terminates one.
        any.terminate_child("s1").await?;
        stage.expect(["stop s1: shutdown"]).await;
        assert_eq!(any.count_children().await?.active, 2);
        let end = me.monitor(&any);
        stage.end("s2", ExitReason::Shutdown);
        stage.expect(["stop s2: shutdown", "stop o: shutdown"]).await;
        assert_eq!(down(&mut me, end).await?, ExitReason::Shutdown);
        Ok(())
    });
}

#[test]
fn sup_17_every_end_of_its_own_counts_of_a_temporary_child() {
    everywhere(|mut me| async move {
        for reason in [ExitReason::Normal, ExitReason::Shutdown, ExitReason::value("crash"), ExitReason::Killed] {
            let stage = Stage::new();
            let any = Supervisor::one_for_all()
                .auto_shutdown(AutoShutdown::AnySignificant)
                .child(worker(&stage, "o"))
                .child(worker(&stage, "t").restart(Temporary).significant())
                .start_link()
                .await?;
            stage.expect(["start o", "start t"]).await;
            let end = me.monitor(&any);
            if reason == ExitReason::Killed {
                stage.kill("t");
            } else {
                stage.end("t", reason.clone());
                stage.expect([&*format!("stop t: {reason}")]).await;
            }
            stage.expect(["stop o: shutdown"]).await;
            assert_eq!(down(&mut me, end).await?, ExitReason::Shutdown);
        }
        Ok(())
    });
}

#[test]
fn sup_18_the_last_significant_child_that_is_done_ends_the_supervisor() {
    everywhere(|mut me| async move {
        let stage = Stage::new();
        let all = supervisor(&stage, AutoShutdown::AllSignificant).start_link().await?;
        stage.expect(["start s1", "start s2", "start o"]).await;
        let end = me.monitor(&all);
        stage.end("s1", ExitReason::Normal);
        stage.expect(["stop s1: normal"]).await;
        // An ordinary child that ends is restarted as ever; the first significant one has changed nothing.
        stage.end("o", ExitReason::value("crash"));
        stage.expect(["stop o: \"crash\"", "start o"]).await;
        assert_eq!(all.count_children().await?.active, 2);
        stage.end("s2", ExitReason::Normal);
        stage.expect(["stop s2: normal", "stop o: shutdown"]).await;
        assert_eq!(down(&mut me, end).await?, ExitReason::Shutdown);
        Ok(())
    });
}

/// A child that is done while others still start is judged when they have.
#[test]
fn sup_17_a_significant_child_that_is_done_early_ends_the_supervisor_when_it_has_started() {
    virtually(|mut me| async move {
        let stage = Stage::new();
        let slow = Script { start_time: secs(1), ..script(&stage, "slow") };
        let any = Supervisor::one_for_one()
            .auto_shutdown(AutoShutdown::AnySignificant)
            .child(worker(&stage, "quick").restart(Temporary).significant())
            .child(slow.child());
        let starting = any.start_link();
        stage.expect(["start quick", "begin slow"]).await;
        stage.end("quick", ExitReason::Normal);
        let any = starting.await?;
        let end = me.monitor(&any);
        stage.expect(["stop quick: normal", "start slow", "stop slow: shutdown"]).await;
        assert!(matches!(down(&mut me, end).await?, ExitReason::Shutdown | ExitReason::NoProc));
        Ok(())
    });
}

#[test]
fn sup_16_a_significant_child_must_fit_its_supervisor() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let never = Supervisor::one_for_one().child(worker(&stage, "s").restart(Transient).significant());
        let error = SpecError::NoAutoShutdown("s".into());
        assert_eq!(never.start_link().await.unwrap_err(), SupervisorStartError::Spec(error.clone()));
        let any = Supervisor::one_for_one().auto_shutdown(AutoShutdown::AnySignificant);
        let permanent = worker(&stage, "s").restart(Permanent).significant();
        let never_counts = SpecError::SignificantPermanent("s".into());
        let refused = any.clone().child(permanent.clone()).start_link().await;
        assert_eq!(refused.unwrap_err(), SupervisorStartError::Spec(never_counts.clone()));

        let any = any.start_link().await?;
        let refused = any.start_child(permanent).await.unwrap_err();
        assert_eq!(refused, CallError::Reply(StartChildError::Spec(never_counts)));
        let plain = Supervisor::one_for_one().start_link().await?;
        let refused = plain.start_child(worker(&stage, "s").restart(Transient).significant()).await.unwrap_err();
        assert_eq!(refused, CallError::Reply(StartChildError::Spec(error)));
        assert_eq!(plain.count_children().await?.specs + any.count_children().await?.specs, 0);
        Ok(())
    });
}
