//! Groups while processes end, join and are watched at once.

use std::collections::BTreeMap;

use biotope::prelude::*;

use crate::{Note, change, end, everywhere, idle};

/// A number below `below`, drawn from the seed in a seeded run.
fn random(below: u64) -> usize {
    (node().runtime().random() % below) as usize
}

/// Goal: whoever is told of an end finds the process in no group, and whoever joins it meanwhile keeps it in none.
#[test]
fn a_process_has_left_before_its_end_is_announced_also_if_it_joins_meanwhile() {
    everywhere("announced", |_| async {
        let groups = node().groups("s");
        let p = idle();
        groups.join("g", &p)?;
        let here = node();
        let joiners: Vec<_> = (0..3)
            .map(|_| {
                let (groups, pid) = (groups.clone(), p.pid());
                let joiner = spawn_process(async move |_: Process<()>| {
                    for _ in 0..20 {
                        groups.join("g", pid)?;
                        time::yield_now().await;
                    }
                    Ok(())
                });
                here.ended(joiner.pid())
            })
            .collect();
        end(&p).await;
        assert_eq!(groups.members("g"), []);
        for joiner in joiners {
            joiner.await;
        }
        assert_eq!((groups.members("g"), groups.groups_of(p.pid()).len()), (vec![], 0));
        Ok(())
    });
}

/// Goal: what a watcher was given, with what it was told since, is what the groups are, whoever changes them at once.
#[test]
fn a_view_that_follows_the_changes_is_what_the_groups_are() {
    everywhere("view", |mut me| async move {
        let groups = node().groups("s");
        let members: Vec<_> = (0..6).map(|_| idle()).collect();
        groups.join_all("g0", &members[..2])?;
        let here = node();
        let begun: Vec<_> = (0..3)
            .map(|_| {
                let (groups, members) = (groups.clone(), members.clone());
                let changer = spawn_process(async move |_: Process<()>| {
                    for _ in 0..30 {
                        let (group, member) = (format!("g{}", random(3)), &members[random(6)]);
                        match random(8) {
                            0 => node().exit(member, ExitReason::Kill),
                            1..=3 => drop(groups.leave(&group, member)),
                            _ => groups.join_all(group, [member, &members[random(6)]])?,
                        }
                        time::reduce(200).await;
                    }
                    Ok(())
                });
                here.ended(changer.pid())
            })
            .collect();
        let (_, mut view) = groups.monitor_all(&me);
        for changer in begun {
            changer.await;
        }
        for member in &members {
            end(member).await;
        }
        assert!(groups.all().is_empty());
        // All has been told by now; the note comes last.
        me.address().cast(Note);
        while let Received::Info(info) = me.receive_any().await? {
            let Info::Group(event) = info else { continue };
            let pids = view.entry(event.group).or_default();
            match event.change {
                GroupChange::Joined(joined) => pids.extend_from_slice(&joined),
                GroupChange::Left(left) => {
                    for pid in left.iter() {
                        let at = pids.iter().position(|member| member == pid).expect("only a member leaves");
                        pids.swap_remove(at);
                    }
                }
            }
        }
        view.retain(|_, pids| !pids.is_empty());
        assert_eq!(view, BTreeMap::new());
        Ok(())
    });
}

/// Goal: a watcher that has ended costs nothing and is told nothing, and one that takes its monitor back while others change
/// the group hears nothing afterwards.
#[test]
fn a_monitor_that_was_taken_back_tells_nothing_whoever_changes_the_group() {
    everywhere("taken back", |mut me| async move {
        let groups = node().groups("s");
        let p = idle();
        let (changing, pid) = (groups.clone(), p.pid());
        let changer = spawn_process(async move |_: Process<()>| {
            for _ in 0..50 {
                changing.join("g", pid)?;
                changing.leave("g", pid)?;
                time::yield_now().await;
            }
            Ok(())
        });
        let ended = node().ended(changer.pid());
        for _ in 0..10 {
            let (reference, _) = groups.monitor(&me, "g");
            time::yield_now().await;
            assert!(groups.demonitor(&me, reference));
        }
        ended.await;
        // Only what the last monitor tells is there.
        let (last, _) = groups.monitor(&me, "g");
        groups.join("g", &p)?;
        assert_eq!(change(&mut me).await?, (last, "g".to_owned(), true, vec![p.pid()]));
        Ok(())
    });
}

/// Goal: a group is a handle to whoever is a member when it is used, of those that take its messages.
#[test]
fn a_cast_reaches_each_member_that_takes_such_messages_as_often_as_it_has_joined() {
    everywhere("cast", |_| async {
        let group = node().groups("s").group::<Counter>("g");
        let (one, two) = (spawn(Counter::default()), spawn(Counter::default()));
        group.join(&one)?;
        for _ in 0..2 {
            group.join(&two)?;
        }
        group.groups().join("g", &idle())?;
        assert_eq!(group.cast(|counter| counter.add(1)), 3);
        assert_eq!((one.total().await?, two.total().await?), (1, 2));
        group.leave(&two)?;
        assert_eq!(group.members(), [one.clone(), two.clone()]);
        assert_eq!(group.cast(|counter| counter.add(1)), 2);
        assert_eq!((one.total().await?, two.total().await?), (2, 3));
        Ok(())
    });
}

#[derive(Actor, Default)]
struct Counter {
    total: u32,
}

#[handlers]
impl Counter {
    #[cast]
    fn add(&mut self, n: u32) {
        self.total += n;
    }

    fn total(&self) -> u32 {
        self.total
    }
}

/// Goal: an actor has a handler for what its groups do.
#[test]
fn an_actor_is_told_of_changes_in_a_handler_of_its_own() {
    everywhere("handler", |_| async {
        let board = spawn(Board::default());
        board.seen().await?;
        let p = idle();
        node().groups("s").join_all("g", [&p, &p])?;
        node().groups("s").leave("g", &p)?;
        assert_eq!(board.seen().await?, 3);
        Ok(())
    });
}

#[derive(Actor, Default)]
struct Board {
    seen: usize,
}

#[handlers]
impl Board {
    #[init]
    fn begin(&mut self, cx: &mut Context<Self>) {
        let groups = cx.node().groups("s");
        let (_, members) = groups.monitor(cx, "g");
        assert!(members.is_empty());
    }

    #[info]
    fn on_group(&mut self, event: GroupEvent) {
        let (GroupChange::Joined(pids) | GroupChange::Left(pids)) = event.change;
        self.seen += pids.len();
    }

    fn seen(&self) -> usize {
        self.seen
    }
}
