//! The cases of dynamic supervisors.

use std::future::pending;
use std::sync::Arc;

use biotope_runtime::{CallError, ExitReason, Process, Restart, Spec, StartError, node, spawn_process, time};
use biotope_supervision::dynamic::{NoSuchChild, StartDynamicChildError};
use biotope_supervision::{
    Child, ChildCounts, ChildStatus, DynamicSupervisor, Kind, Permanent, Shutdown, Supervisor, Temporary, Transient,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::support::*;

const MANY: u32 = 1_000;

#[test]
fn dsup_01_only_children_that_start_are_kept() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let plain = supervisor.start_child(plan().child(Permanent)).await?.expect("it runs");
        // What a start gives beside its pid, it tells by what it has captured.
        let (tell, told) = oneshot::channel();
        let tell = Arc::new(Mutex::new(Some(tell)));
        let with_extra = Child::with("with extra", move |node, options| {
            let idle = node.spawn_process_with(options, async |mut me: Process<()>| Ok(me.receive().await?));
            if let Some(tell) = tell.lock().take() {
                let _ = tell.send("extra");
            }
            async move { Ok(idle.pid()) }
        });
        let extra = supervisor.start_child(with_extra).await?.expect("it runs");
        assert_eq!(told.await?, "extra");

        let ignored = supervisor.start_child(plan().going(|_| Going::Ignored).child(Permanent)).await;
        assert_eq!(ignored, Ok(None));
        let refused = supervisor.start_child(plan().going(|_| Going::Refused).child(Permanent)).await;
        let failed = |error| Err(CallError::Reply(StartDynamicChildError::Failed(error)));
        assert_eq!(refused, failed(StartError::Refused(reason("nope"))));
        for panics in [
            plan().going(|_| Going::Panics).child(Permanent),
            Child::with("at once", |_, _| -> std::future::Ready<_> { panic!("nope") }),
            Child::with("later", async |_, _| panic!("nope")),
        ] {
            let id = panics.id.clone();
            let Err(CallError::Reply(StartDynamicChildError::Failed(error))) = supervisor.start_child(panics).await
            else {
                panic!("{id} has started")
            };
            assert!(error.to_string().contains("nope"), "{id}: {error}");
        }
        let kept: Vec<_> = supervisor.which_children().await?.iter().map(|child| child.pid()).collect();
        assert_eq!(kept, [Some(plain), Some(extra)]);
        Ok(())
    });
}

#[test]
fn dsup_01_children_are_listed_as_they_were_asked_for_and_counted() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let plan = plan();
        supervisor.start_child(plan.child(Temporary).id("first")).await?;
        supervisor.start_child(Supervisor::one_for_one()).await?;
        supervisor.start_child(plan.child(Transient).id("first")).await?;
        let children = supervisor.which_children().await?;
        let shown: Vec<_> = children.iter().map(|child| (&*child.id, child.kind, child.restart)).collect();
        assert_eq!(
            shown,
            [
                ("first", Kind::Worker, Temporary),
                ("supervisor", Kind::Supervisor, Permanent),
                ("first", Kind::Worker, Transient)
            ]
        );
        let counts = supervisor.count_children().await?;
        assert_eq!((counts.specs, counts.active, counts.supervisors, counts.workers), (3, 3, 1, 2));
        Ok(())
    });
}

#[test]
fn dsup_02_no_more_children_than_may_be() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().max_children(1).start_link().await?;
        let plan = plan();
        let first = supervisor.start_child(plan.child(Temporary)).await?.expect("it runs");
        let refused = Err(CallError::Reply(StartDynamicChildError::MaxChildren(1)));
        assert_eq!(supervisor.start_child(plan.child(Temporary)).await, refused);
        assert_eq!(plan.starts(), 1);
        end(first, ExitReason::Normal);
        until_counted(&supervisor, 0, 0).await?;
        assert!(supervisor.start_child(plan.child(Temporary)).await?.is_some());

        let none = DynamicSupervisor::new().max_children(0).start_link().await?;
        let refused = none.start_child(plan.child(Temporary)).await;
        assert_eq!(refused, Err(CallError::Reply(StartDynamicChildError::MaxChildren(0))));
        Ok(())
    });
}

#[test]
fn dsup_02_a_child_that_is_being_started_has_its_place() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().max_children(1).start_link().await?;
        let plan = plan().start_time(secs(3));
        let starting = supervisor.start_child(plan.child(Permanent)).send();
        let refused = Err(CallError::Reply(StartDynamicChildError::MaxChildren(1)));
        assert_eq!(supervisor.start_child(plan.child(Temporary)).await, refused);
        let child = starting.await?.expect("it runs");
        // So has one that is started again.
        node().exit(child, ExitReason::Kill);
        settle().await;
        assert_eq!(supervisor.which_children().await?[0].status, ChildStatus::Restarting);
        assert_eq!(supervisor.start_child(plan.child(Temporary)).await, refused);
        Ok(())
    });
}

#[test]
fn dsup_03_a_child_is_started_again_as_its_restart_says_or_is_gone() {
    let ends = || {
        let shutdown_with = ExitReason::ShutdownWith("x".into());
        [ExitReason::Normal, ExitReason::Shutdown, shutdown_with, reason("other"), ExitReason::Kill]
    };
    everywhere(move |_: Process<()>| async move {
        for restart in [Temporary, Transient, Permanent] {
            let supervisor = DynamicSupervisor::new().intensity(MANY, secs(5)).start_link().await?;
            for why in ends() {
                let plan = plan();
                let child = supervisor.start_child(plan.child(restart)).await?.expect("it runs");
                match why {
                    ExitReason::Kill => node().exit(child, ExitReason::Kill),
                    ref why => end(child, why.clone()),
                }
                let restarts = match restart {
                    Restart::Permanent => true,
                    Restart::Transient => why.is_abnormal(),
                    Restart::Temporary => false,
                };
                if restarts {
                    until(|| plan.starts() == 2).await;
                    until_counted(&supervisor, 1, 1).await?;
                    let again = plan.last();
                    assert_ne!(again, child);
                    supervisor.terminate_child(again).await?;
                } else {
                    node().ended(child).await;
                    until_counted(&supervisor, 0, 0).await?;
                    assert_eq!(plan.starts(), 1, "{restart:?} after {why}");
                }
            }
        }
        Ok(())
    });
}

#[test]
fn dsup_03_past_the_intensity_the_supervisor_stops_all_and_ends() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().intensity(2, secs(3_600)).start_link().await?;
        let (sibling, plan) = (plan(), plan());
        supervisor.start_child(sibling.child(Permanent)).await?;
        supervisor.start_child(plan.child(Permanent)).await?;
        let ended = end_of(&supervisor);
        for starts in 1..=3 {
            until(|| plan.pids().len() == starts).await;
            end(plan.last(), reason("crash"));
        }
        assert_eq!(ended.await?.0, ExitReason::Shutdown);
        assert_eq!((plan.starts(), node().is_alive(sibling.last())), (3, false));
        Ok(())
    });
}

#[test]
fn dsup_03_a_restart_that_fails_is_tried_again_and_counts_while_the_supervisor_answers() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().intensity(MANY, secs(5)).start_link().await?;
        let plan = plan().going(|number| match number {
            0 => Going::Well,
            number if number % 2 == 0 => Going::Refused,
            number if number < 30 => Going::Panics,
            _ => Going::Well,
        });
        let first = supervisor.start_child(plan.child(Permanent)).await?.expect("it runs");
        end(first, reason("crash"));
        while plan.pids().len() < 2 {
            assert_eq!(supervisor.count_children().await?.specs, 1);
        }
        assert_eq!(plan.starts(), 32);
        until_counted(&supervisor, 1, 1).await?;

        // What fails at once is as much one start as what takes its time; and too many are too many.
        let first = Mutex::new(true);
        let hopeless = Child::with("hopeless", move |node, options| {
            let is_first = std::mem::replace(&mut *first.lock(), false);
            let started = is_first.then(|| node.spawn_process_with(options, async |_: Process<()>| Ok(())).pid());
            std::future::ready(started.ok_or_else(|| StartError::Refused(reason("hopeless"))))
        });
        let ended = end_of(&supervisor);
        supervisor.start_child(hopeless).await?;
        let mut answers = 0;
        while supervisor.count_children().await.is_ok() {
            answers += 1;
        }
        assert_eq!(ended.await?.0, ExitReason::Shutdown);
        assert!(answers > 0, "{answers}");
        Ok(())
    });
}

#[test]
fn dsup_04_a_child_is_terminated_by_its_pid_once() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().intensity(0, secs(5)).start_link().await?;
        let (soft, brutal) = (plan().stop_time(millis(0)), plan().stop_time(secs(100)));
        let soft = supervisor.start_child(soft.child(Permanent).shutdown(millis(1_000))).await?.expect("it runs");
        let brutal =
            supervisor.start_child(brutal.child(Permanent).shutdown(Shutdown::BrutalKill)).await?.expect("it runs");
        let foreign = spawn_process(async |mut me: Process<()>| Ok(me.receive().await?));
        let ends = [end_of(soft), end_of(brutal)];
        for pid in [soft, brutal] {
            supervisor.terminate_child(pid).await?;
            assert!(!node().is_alive(pid));
        }
        for (end, expected) in ends.into_iter().zip([ExitReason::Shutdown, ExitReason::Killed]) {
            assert_eq!(end.await?.0, expected);
        }
        for stranger in [soft, brutal, foreign.pid(), supervisor.pid()] {
            let answer = supervisor.terminate_child(stranger).await;
            assert_eq!(answer, Err(CallError::Reply(NoSuchChild(stranger))));
        }
        assert!(node().is_alive(foreign.pid()));
        // An intensity of no restart at all is as it was.
        assert_eq!(supervisor.count_children().await?, ChildCounts::default());
        foreign.cast(());
        Ok(())
    });
}

#[test]
fn dsup_04_whoever_terminates_a_child_together_with_others_is_answered_too() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let child = supervisor.start_child(plan().stop_time(secs(2)).child(Permanent)).await?.expect("it runs");
        let before = time::now();
        let answers = [(); 3].map(|()| supervisor.terminate_child(child).send());
        for answer in answers {
            answer.await?;
            assert_eq!(time::now() - before, secs(2));
        }
        Ok(())
    });
}

#[test]
fn dsup_05_all_are_told_before_any_is_waited_for() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let slow = plan().stop_time(secs(3)).child(Permanent).shutdown(Shutdown::Infinity);
        let brutal = plan().stop_time(secs(100)).child(Permanent).shutdown(Shutdown::BrutalKill);
        let deaf = plan().stop_time(secs(100)).child(Temporary).shutdown(millis(1));
        let short = plan().stop_time(millis(500)).child(Transient);
        let mut ends = Vec::new();
        for child in [slow, brutal, deaf, short] {
            ends.push(end_of(supervisor.start_child(child).await?.expect("it runs")));
        }
        ends.push(end_of(&supervisor));
        node().exit(&supervisor, ExitReason::Shutdown);
        let expected = [
            (ExitReason::Shutdown, secs(3)),
            (ExitReason::Killed, millis(0)),
            (ExitReason::Killed, millis(1)),
            (ExitReason::Shutdown, millis(500)),
            (ExitReason::Shutdown, secs(3)),
        ];
        for (end, expected) in ends.into_iter().zip(expected) {
            assert_eq!(end.await?, expected);
        }
        Ok(())
    });
}

#[test]
fn dsup_05_while_it_stops_it_answers_and_starts_nothing() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let slow = supervisor.start_child(plan().stop_time(secs(2)).child(Permanent)).await?.expect("it runs");
        supervisor.stop();
        let plan = plan();
        let refused = supervisor.start_child(plan.child(Permanent)).await;
        assert_eq!(refused, Err(CallError::Reply(StartDynamicChildError::Stopping)));
        assert_eq!(pids_of(&supervisor).await?, [slow]);
        let before = time::now();
        supervisor.terminate_child(slow).await?;
        assert_eq!((time::now() - before, plan.starts()), (secs(2), 0));
        Ok(())
    });
}

#[test]
fn dsup_06_what_a_child_is_to_be_told_its_specification_captures() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let made = Arc::new(Mutex::new(Vec::new()));
        let plan = plan();
        let (extra, of_this_child) = (made.clone(), plan.clone());
        let child = Spec::<Worker>::new(move || {
            extra.lock().push("extra argument");
            of_this_child.clone()
        });
        let first = supervisor.start_child(child).await?.expect("it runs");
        assert_eq!(made.lock().len(), 1);
        end(first, reason("crash"));
        until(|| plan.pids().len() == 2).await;
        assert_eq!(*made.lock(), ["extra argument"; 2]);
        Ok(())
    });
}

#[test]
fn sup_15_children_of_one_template_are_terminated_by_pid_and_strangers_live() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        // A template, with what each child is told beside it.
        let plans = [plan(), plan()];
        let template = |number: usize| plans[number].child(Permanent);
        let first = supervisor.start_child(template(0)).await?.expect("it runs");
        let second = supervisor.start_child(template(1)).await?.expect("it runs");
        // Ids are for reports: that both have the same is no matter.
        let ids: Vec<_> = supervisor.which_children().await?.iter().map(|child| child.id.clone()).collect();
        assert_eq!(ids, ["Worker".into(), "Worker".into()]);

        supervisor.terminate_child(first).await?;
        assert_eq!(supervisor.terminate_child(first).await, Err(CallError::Reply(NoSuchChild(first))));
        let foreign = DynamicSupervisor::new().start_link().await?;
        let theirs = foreign.start_child(plan().child(Permanent)).await?.expect("it runs");
        assert_eq!(supervisor.terminate_child(theirs).await, Err(CallError::Reply(NoSuchChild(theirs))));
        assert!(node().is_alive(theirs) && node().is_alive(second));
        assert_eq!(pids_of(&supervisor).await?, [second]);
        Ok(())
    });
}

#[test]
fn it_has_a_name_and_is_a_child_itself() {
    everywhere(async |_: Process<()>| {
        let written = DynamicSupervisor::new().named("sessions");
        let top = Supervisor::one_for_one().child(written.clone()).start_link().await?;
        let sessions = node().lookup::<DynamicSupervisor>("sessions").expect("it is there");
        assert_eq!(written.start_link().await.err(), Some(StartError::AlreadyStarted(sessions.pid())));
        let plan = plan();
        sessions.start_child(plan.child(Permanent)).await?;
        // What it had goes with it, and is not started again with the next.
        node().exit(&sessions, ExitReason::Kill);
        until(|| node().whereis("sessions").is_some_and(|pid| pid != sessions.pid())).await;
        until(|| !node().is_alive(plan.last())).await;
        let again = node().lookup::<DynamicSupervisor>("sessions").expect("it is there");
        assert_eq!((again.count_children().await?.specs, plan.starts()), (0, 1));
        drop(top);
        Ok(())
    });
}

#[test]
fn its_children_end_with_one_that_is_killed_trapping_or_not() {
    everywhere(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let (plain, trapping) = (plan(), plan().stop_time(millis(0)));
        for plan in [&plain, &trapping] {
            supervisor.start_child(plan.child(Permanent)).await?;
        }
        let never = plan().going(|_| Going::Never);
        let starting = supervisor.start_child(never.child(Permanent)).send();
        until(|| never.starts() == 1).await;
        let ends = [end_of(plain.last()), end_of(trapping.last())];
        node().exit(&supervisor, ExitReason::Kill);
        for end in ends {
            assert_eq!(end.await?.0, ExitReason::Killed);
        }
        assert!(starting.await.is_err());
        until(|| node().processes().iter().all(|process| process.parent != Some(supervisor.pid()))).await;
        Ok(())
    });
}

#[test]
fn a_supervisor_below_it_that_was_killed_comes_back_when_its_children_are_gone() {
    virtually(async |_: Process<()>| {
        let top = DynamicSupervisor::new().intensity(9, secs(60)).start_link().await?;
        for (stop_time, expected) in [(millis(300), millis(300)), (secs(100), secs(5))] {
            let (below, starts) = (plan().stop_time(stop_time), Arc::new(Mutex::new(Vec::new())));
            let (child, started) = (below.child(Permanent), starts.clone());
            let supervisor = Child::supervisor_with("below", move |node, options| {
                let start = Supervisor::one_for_one().child(child.clone()).start_on(&node, options);
                let started = started.clone();
                async move {
                    let pid = start.await?.pid();
                    started.lock().push(time::now());
                    Ok(pid)
                }
            });
            let first = top.start_child(supervisor).await?.expect("it runs");
            let before = time::now();
            node().exit(first, ExitReason::Kill);
            settle().await;
            assert_eq!(top.which_children().await?[0].status, ChildStatus::Restarting);
            assert!(node().is_alive(below.last()));
            time::sleep(secs(6)).await;
            assert_eq!(starts.lock().len(), 2);
            assert_eq!(starts.lock()[1] - before, expected);
            let again = pids_of(&top).await?[0];
            node().exit(below.last(), ExitReason::Kill);
            top.terminate_child(again).await?;
        }
        Ok(())
    });
}

/// A process that never does anything, linked as the options say.
fn idle(node: &biotope_runtime::Node, options: biotope_runtime::SpawnOptions) -> biotope_runtime::Pid {
    node.spawn_process_with(options, async |_: Process<()>| pending().await).pid()
}

#[test]
fn a_child_may_be_significant_to_nobody() {
    virtually(async |_: Process<()>| {
        let supervisor = DynamicSupervisor::new().start_link().await?;
        let child = Child::with("child", |node, options| std::future::ready(Ok(idle(&node, options))));
        let refused = supervisor.start_child(child.significant()).await;
        assert!(matches!(refused, Err(CallError::Reply(StartDynamicChildError::Spec(_)))), "{refused:?}");
        Ok(())
    });
}
