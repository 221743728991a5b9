//! How an actor is supervised that says so itself.

use biotope::prelude::*;

use crate::support::{down, virtually};

/// Sent away when it ends, and given no chance when it is to.
#[derive(Actor, Default)]
#[actor(restart = temporary, shutdown = brutal_kill)]
struct Guest;

#[handlers]
impl Guest {
    #[cast]
    fn fall(&mut self) {
        panic!("it falls");
    }
}

#[derive(Actor, Default)]
#[actor(restart = transient, shutdown = secs(2))]
struct Resident;

#[handlers]
impl Resident {}

#[derive(Actor, Default)]
#[actor(shutdown = infinity)]
struct Patient;

#[handlers]
impl Patient {}

#[test]
fn a_child_is_supervised_as_its_actor_says_unless_its_supervisor_is_told_otherwise() {
    let said = |child: Child| (child.restart, child.shutdown);
    assert_eq!(said(Guest::spec().into_child()), (Temporary, Shutdown::BrutalKill));
    assert_eq!(said(Resident::spec().into_child()), (Transient, Shutdown::Timeout(secs(2))));
    assert_eq!(said(Patient::spec().into_child()), (Permanent, Shutdown::Infinity));
    assert_eq!(said(Guest::spec().restart(Permanent)), (Permanent, Shutdown::BrutalKill));
    assert_eq!(said(Guest::spec().shutdown(secs(1)).id("guest")), (Temporary, Shutdown::Timeout(secs(1))));
}

#[test]
fn sup_04_a_child_whose_actor_is_temporary_is_not_restarted() {
    virtually(|mut me| async move {
        let supervisor = Supervisor::one_for_one().child(Guest::spec().named("guest")).start_link().await?;
        let guest = node().lookup::<Guest>("guest").expect("it has its name");
        let end = me.monitor(&guest);
        guest.fall();
        assert!(matches!(down(&mut me, end).await?, ExitReason::Panic(_)));
        assert_eq!(supervisor.count_children().await?.specs, 0);
        assert_eq!(node().lookup::<Guest>("guest"), None);
        Ok(())
    });
}

#[test]
fn sup_11_a_child_whose_actor_says_so_is_killed() {
    virtually(|mut me| async move {
        let supervisor = Supervisor::one_for_one().child(Guest::spec().named("guest")).start_link().await?;
        let end = me.monitor(node().lookup::<Guest>("guest").expect("it has its name"));
        supervisor.stop();
        assert_eq!(down(&mut me, end).await?, ExitReason::Killed);
        Ok(())
    });
}
