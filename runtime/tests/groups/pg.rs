//! Area PG, case by case: the cases of one node.

use biotope::prelude::*;
use biotope::{LeaveError, NotLocal};

use crate::{change, end, everywhere, idle, nothing};

#[test]
fn pg_01_join_and_leave_count_how_often() {
    everywhere("pg_01", |_| async {
        let groups = node().groups("s");
        let p = idle().pid();
        assert_eq!(groups.join("g", p), Ok(()));
        assert_eq!(groups.join_all("g", [p, p]), Ok(()));
        assert_eq!(groups.members("g"), [p, p, p]);
        assert_eq!(groups.local_members("g"), [p, p, p]);
        assert_eq!((groups.names().len(), groups.groups_of(p).len()), (1, 1));
        assert_eq!(groups.leave_all("g", [p, p]), Ok(()));
        assert_eq!(groups.leave("g", p), Ok(()));
        assert_eq!(groups.leave("g", p), Err(LeaveError::NotJoined));
        assert_eq!(groups.leave("missing", p), Err(LeaveError::NotJoined));
        assert_eq!((groups.names().len(), groups.local_names().len(), groups.groups_of(p).len()), (0, 0, 0));
        assert_eq!(groups.members("g"), []);
        Ok(())
    });
}

/// Also what is not joined is left out of what leaves, and scopes are apart.
#[test]
fn pg_01_who_is_no_member_keeps_nobody_from_leaving_and_scopes_are_apart() {
    everywhere("pg_01", |_| async {
        let (groups, others) = (node().groups("s"), node().groups("t"));
        let (p, q) = (idle().pid(), idle().pid());
        groups.join("g", p)?;
        others.join("g", q)?;
        assert_eq!(groups.leave_all("g", [q, p, p]), Ok(()));
        assert_eq!((groups.members("g"), others.members("g")), (vec![], vec![q]));
        assert_eq!(node().groups("t").members("g"), [q], "the scope is the one of its name");
        assert_eq!(node().group_scopes().len(), 2);
        Ok(())
    });
}

#[test]
fn pg_02_all_memberships_go_with_their_process() {
    everywhere("pg_02", |_| async {
        let groups = node().groups("s");
        let (p, q) = (idle(), idle());
        groups.join_all("g", [p.pid(), q.pid(), q.pid()])?;
        groups.join("h", &q)?;
        end(&q).await;
        assert_eq!(groups.members("g"), [p.pid()]);
        assert_eq!(groups.names().iter().map(|group| &**group).collect::<Vec<_>>(), ["g"]);
        assert_eq!(groups.groups_of(q.pid()).len(), 0);
        // It cannot come back: whoever joins it later learns nothing new.
        assert_eq!(groups.join("h", &q), Ok(()));
        assert_eq!(groups.members("h"), []);
        Ok(())
    });
}

#[test]
fn pg_06_a_monitor_of_a_group_tells_every_change_and_nothing_after_it_was_taken_back() {
    everywhere("pg_06", |mut me| async move {
        let groups = node().groups("s");
        let (p, q) = (idle(), idle());
        groups.join("g", &p)?;
        let (reference, members) = groups.monitor(&me, "g");
        assert_eq!(members, [p.pid()]);
        groups.join_all("g", [q.pid(), q.pid()])?;
        groups.join("h", &q)?;
        groups.leave("g", &p)?;
        end(&q).await;
        let both = vec![q.pid(), q.pid()];
        assert_eq!(change(&mut me).await?, (reference, "g".to_owned(), true, both.clone()));
        assert_eq!(change(&mut me).await?, (reference, "g".to_owned(), false, vec![p.pid()]));
        assert_eq!(change(&mut me).await?, (reference, "g".to_owned(), false, both));
        nothing(&mut me).await?;

        groups.join("g", &p)?;
        groups.leave("g", &p)?;
        assert!(groups.demonitor(&me, reference), "what it has told already is flushed");
        groups.join("g", &p)?;
        nothing(&mut me).await?;
        assert!(!groups.demonitor(&me, reference));
        assert!(!groups.demonitor(&me, me.monitor(&p)), "that is a monitor of another kind");
        Ok(())
    });
}

/// Also what was received, and lies in the mailbox behind other messages, is flushed; and only that.
#[test]
fn pg_06_what_is_flushed_is_what_one_monitor_has_told() {
    everywhere("pg_06", |mut me| async move {
        let groups = node().groups("s");
        let p = idle();
        let (one, _) = groups.monitor(&me, "g");
        let (other, _) = groups.monitor(&me, "g");
        for _ in 0..100 {
            groups.join("g", &p)?;
        }
        // To look at what is there is to receive it.
        assert!(me.receive().timeout(Duration::ZERO).await.is_err());
        groups.leave("g", &p)?;
        assert!(groups.demonitor(&me, one));
        for number in 0..=100 {
            let (reference, _, has_joined, _) = change(&mut me).await?;
            assert_eq!((reference, has_joined), (other, number < 100));
        }
        nothing(&mut me).await
    });
}

#[test]
fn pg_07_a_monitor_of_a_scope_tells_the_changes_of_all_groups() {
    everywhere("pg_07", |mut me| async move {
        let groups = node().groups("s");
        let (p, q) = (idle(), idle());
        groups.join("g", &p)?;
        groups.join_all("h", [&p, &q])?;
        let (reference, all) = groups.monitor_all(&me);
        let all: Vec<_> = all.iter().map(|(group, members)| (&**group, members.clone())).collect();
        assert_eq!(all, [("g", vec![p.pid()]), ("h", vec![p.pid(), q.pid()])]);
        node().groups("another").join("g", &p)?;
        groups.leave("g", &p)?;
        groups.join("i", &q)?;
        end(&q).await;
        for (group, has_joined, pid) in
            [("g", false, &p), ("i", true, &q), ("h", false, &q), ("i", false, &q)].map(|(g, j, p)| (g, j, p.pid()))
        {
            assert_eq!(change(&mut me).await?, (reference, group.to_owned(), has_joined, vec![pid]));
        }
        assert!(groups.demonitor(&me, reference));
        groups.join("g", &p)?;
        nothing(&mut me).await
    });
}

/// The remote process is one of another node of the same runtime.
#[test]
fn pg_08_only_local_processes_may_be_joined() {
    everywhere("pg_08", |mut me| async move {
        let there = Node::builder("there").runtime(node().runtime().clone()).start().await?;
        let far = there.spawn_process(async |mut me: Process<()>| Ok(me.receive().await?)).pid();
        let groups = node().groups("s");
        let p = idle().pid();
        groups.monitor(&me, "g");
        assert_eq!(groups.join("g", far), Err(NotLocal(far)));
        assert_eq!(groups.join_all("g", [p, far]), Err(NotLocal(far)));
        assert_eq!(groups.leave_all("g", [p, far]), Err(LeaveError::NotLocal(NotLocal(far))));
        assert_eq!(groups.names().len(), 0);
        nothing(&mut me).await?;

        // Whoever connects nodes brings them, and with the node they go.
        groups.join("g", p)?;
        groups.far_joined("g", &[far, p]);
        assert_eq!((groups.members("g").len(), groups.local_members("g")), (2, vec![p]));
        node().node_down(there.id(), &"there".into());
        assert_eq!(groups.members("g"), [p]);
        for (has_joined, pid) in [(true, p), (true, far), (false, far)] {
            let (_, _, joined, pids) = change(&mut me).await?;
            assert_eq!((joined, pids), (has_joined, vec![pid]));
        }
        there.shutdown().await;
        Ok(())
    });
}
