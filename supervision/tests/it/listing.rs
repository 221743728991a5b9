//! What is said of children: their specifications, lists and counts.

use std::time::Duration;

use biotope_supervision::{
    ChildStatus, DEFAULT_INTENSITY, DEFAULT_PERIOD, IntoChild, Kind, Permanent, Restart, Shutdown, Strategy, Supervisor,
};

use crate::support::*;

#[test]
fn sup_03_defaults() {
    let stage = Stage::new();
    let child = worker(&stage, "w");
    assert_eq!((child.restart, child.shutdown, child.kind), (Permanent, Duration::from_secs(5).into(), Kind::Worker));
    let child = Supervisor::one_for_one().into_child();
    assert_eq!((child.restart, child.shutdown, child.kind), (Restart::Permanent, Shutdown::Infinity, Kind::Supervisor));
    assert_eq!(Strategy::default(), Strategy::OneForOne);
    assert_eq!((DEFAULT_INTENSITY, DEFAULT_PERIOD), (1, Duration::from_secs(5)));
}

#[test]
fn a_child_is_called_by_its_name_or_its_actor_and_prints_as_data() {
    let spec = || biotope_runtime::Spec::<Worker>::new(|| unreachable!());
    assert_eq!(&*spec().into_child().id, "Worker");
    assert_eq!(&*spec().named("cart").into_child().id, "cart");
    let child = spec().id("x").restart(Restart::Transient).shutdown(Shutdown::BrutalKill);
    assert_eq!(format!("{child:?}"), r#"Child { id: "x", restart: Transient, shutdown: BrutalKill, kind: Worker }"#);
}

#[test]
fn sup_13_listing_and_counting() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let supervisor = Supervisor::one_for_one()
            .child(worker(&stage, "w1"))
            .child(worker(&stage, "w2"))
            .child(worker(&stage, "w3"))
            .child(Supervisor::one_for_one().id("s1"))
            .child(Supervisor::one_for_all().named("s2"))
            .start_link()
            .await?;
        supervisor.terminate_child("w3").await?;
        let children = supervisor.which_children().await?;
        let ids: Vec<_> = children.iter().map(|child| &*child.id).collect();
        assert_eq!(ids, ["w1", "w2", "w3", "s1", "s2"]);
        assert_eq!(children[0].status, ChildStatus::Running(stage.pid("w1")));
        assert_eq!(children[2].status, ChildStatus::Stopped);
        assert_eq!(children[4].pid(), biotope_runtime::node().whereis("s2"));
        let kinds: Vec<_> = children.iter().map(|child| child.kind).collect();
        assert_eq!(kinds, [Kind::Worker, Kind::Worker, Kind::Worker, Kind::Supervisor, Kind::Supervisor]);
        let counts = supervisor.count_children().await?;
        assert_eq!((counts.specs, counts.active, counts.supervisors, counts.workers), (5, 4, 2, 3));
        Ok(())
    });
}

#[test]
fn sup_13_a_child_whose_restart_takes_time_is_listed_as_restarting() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let slow = Script { start_time: secs(10), ..script(&stage, "slow") };
        let supervisor = Supervisor::one_for_one().child(slow.child()).start_link().await?;
        stage.kill("slow");
        settle().await;
        assert_eq!(status_of(&supervisor, "slow").await, Some(ChildStatus::Restarting));
        Ok(())
    });
}
