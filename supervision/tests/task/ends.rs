//! How tasks and their owners end, and what that is to the other.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use biotope_runtime::{
    CrashReport, ExitReason, Pid, Process, ReceiveError, Shutdown, exit_now, node, process, spawn_process, time,
    with_me,
};
use biotope_supervision::Task;
use tokio::sync::oneshot;

use crate::support::*;

/// What a task may fail by, and what that is as a reason.
const FAILURES: [&str; 2] = ["exit", "panic"];

fn fail(how: &str) -> u8 {
    match how {
        "exit" => exit_now(reason("R")),
        _ => panic!("it broke"),
    }
}

fn is_that(failure: &str, reason: &ExitReason) -> bool {
    match failure {
        "exit" => *reason == self::reason("R"),
        _ => matches!(reason, ExitReason::Panic(report) if report.message == "it broke"),
    }
}

#[test]
fn task_02_an_owner_that_does_not_trap_ends_with_its_tasks_reason() {
    everywhere(async |_: Process<()>| {
        for failure in FAILURES {
            let log = Log::default();
            let told = log.clone();
            let (_, ended) = owner(async move |_| {
                let outcome = Task::spawn(async move { fail(failure) }).await;
                told.push(format!("it went on, with {outcome:?}"));
                Ok(())
            });
            let reason = ended.await;
            assert!(is_that(failure, &reason), "{reason}");
            assert_eq!(log.all(), <[&str; 0]>::default());
        }
        Ok(())
    });
}

/// Goal: the failure comes after the exit, also if the task's end is told in several turns.
/// Method: its owner is the last but one of so many that are told.
#[test]
fn task_02_however_many_are_told_the_owner_ends_before_it_learns_anything() {
    everywhere(async |_: Process<()>| {
        let log = Log::default();
        let told = log.clone();
        let (_, ended) = owner(async move |owner| {
            let owner = owner.pid();
            let task = Task::process(async move |me: Process<()>| {
                me.unlink(owner);
                for _ in 0..1_010 {
                    me.spawn_link(process(async |_: Process<()>| pending().await));
                }
                me.link(owner);
                fail("exit")
            });
            told.push(format!("it went on, with {:?}", task.timeout(Duration::MAX).await));
            Ok(())
        });
        assert_eq!(ended.await, reason("R"));
        assert_eq!(log.all(), <[&str; 0]>::default());
        Ok(())
    });
}

#[test]
fn task_03_an_owner_that_traps_has_the_failure_and_the_exit() {
    everywhere(async |mut me: Process<()>| {
        me.trap_exits(true);
        for failure in FAILURES {
            let task = Task::spawn(async move { fail(failure) });
            let pid = task.pid();
            let reason = task.await.expect_err("it gives no value");
            assert!(is_that(failure, &reason), "{reason}");
            // By now, and not some time later.
            let exit = exit_in(&mut me).await?;
            assert_eq!((exit.from, &exit.reason), (pid, &reason));
            let left = seen(me.pid());
            assert_eq!((left.links.len(), left.monitors.len()), (0, 0));
            nothing_in(&mut me).await?;
        }
        Ok(())
    });
}

#[test]
fn task_03_whoever_kills_it_its_owner_hears_why() {
    everywhere(async |mut me: Process<()>| {
        me.trap_exits(true);
        for (sent, why) in [(ExitReason::Kill, ExitReason::Killed), (reason("away"), reason("away"))] {
            let task = endless();
            node().exit(task.pid(), sent);
            assert_eq!(task.await, Err(why.clone()));
            assert_eq!(exit_in(&mut me).await?.reason, why);
        }
        Ok(())
    });
}

/// A task, and what will tell why it has ended.
type Watched = (Pid, Pin<Box<dyn Future<Output = ExitReason> + Send>>);

/// An owner that begins an endless task, says which, and does `then`.
fn owner_of_a_task<F>(
    then: impl FnOnce(Process<()>, Task<()>) -> F + Send + 'static,
) -> (oneshot::Receiver<Watched>, impl Future<Output = ExitReason> + Send)
where
    F: Future<Output = biotope_runtime::Result<()>> + Send + 'static,
{
    let (tell, told) = oneshot::channel();
    let (_, ended) = owner(async move |me| {
        let task = endless();
        let ended: Pin<Box<dyn Future<Output = ExitReason> + Send>> = Box::pin(node().ended(task.pid()));
        let _ = tell.send((task.pid(), ended));
        then(me, task).await
    });
    (told, ended)
}

#[test]
fn task_05_a_task_ends_with_its_owners_reason() {
    everywhere(async |_: Process<()>| {
        let (begun, _) = owner_of_a_task(async |_, task| {
            let _kept = task;
            Err(reason("over").into())
        });
        assert_eq!(begun.await?.1.await, reason("over"));
        // In the middle of an await, too, and by whatever hand.
        let (begun, _) = owner_of_a_task(async |me, task| {
            let to = me.pid();
            spawn_process(async move |me: Process<()>| {
                me.exit(to, ExitReason::Kill);
                Ok(())
            });
            let _ = task.await;
            Ok(())
        });
        assert_eq!(begun.await?.1.await, ExitReason::Killed);
        Ok(())
    });
}

#[test]
fn task_05_a_task_outlives_an_owner_that_ends_normally() {
    virtually(async |_: Process<()>| {
        let (begun, ended) = owner_of_a_task(async |_, task| {
            let _kept = task;
            Ok(())
        });
        let (task, _) = begun.await?;
        assert_eq!(ended.await, ExitReason::Normal);
        time::sleep(secs(1)).await;
        assert!(node().is_alive(task));
        Ok(())
    });
}

#[test]
fn task_05_a_drop_gives_up_the_outcome_and_not_the_task() {
    virtually(async |mut me: Process<()>| {
        me.trap_exits(true);
        let (good, bad) = (
            lasting(secs(2), 1),
            Task::spawn(async {
                time::sleep(secs(3)).await;
                fail("exit")
            }),
        );
        let pids = [good.pid(), bad.pid()];
        drop((good, bad));
        time::sleep(secs(1)).await;
        assert!(pids.iter().all(|task| node().is_alive(*task)));
        // They are linked still, so that a failure is heard of, and a value is not.
        let before = seen(me.pid());
        assert_eq!((before.links, before.monitors.len()), (pids.to_vec(), 0));
        assert_eq!(node().ended(pids[0]).await, ExitReason::Normal);
        nothing_in(&mut me).await?;
        assert_eq!(node().ended(pids[1]).await, reason("R"));
        assert_eq!(exit_in(&mut me).await?.reason, reason("R"));
        Ok(())
    });
}

#[test]
fn task_05_a_drop_kills_if_that_was_asked_for_and_the_owner_hears_nothing() {
    everywhere(async |mut me: Process<()>| {
        let task = endless().kill_on_drop();
        let ended = node().ended(task.pid());
        drop(task);
        assert_eq!(ended.await, ExitReason::Killed);
        nothing_in(&mut me).await?;
        // So does the end of the owner, also the normal one.
        let (begun, ended) = owner_of_a_task(async |_, task| {
            let _kept = task.kill_on_drop();
            Ok(())
        });
        assert_eq!(begun.await?.1.await, ExitReason::Killed);
        assert_eq!(ended.await, ExitReason::Normal);
        Ok(())
    });
}

/// A task that traps exits and goes on whatever it is told, from when this returns on.
async fn stubborn() -> biotope_runtime::Result<Task<()>> {
    let (tell, told) = oneshot::channel();
    let task = Task::spawn(async move {
        with_me(|me| me.trap_exits(true));
        let _ = tell.send(());
        pending::<()>().await;
    });
    told.await?;
    Ok(task)
}

#[test]
fn task_07_a_shutdown_ends_the_task_and_gives_what_had_come() {
    virtually(async |mut me: Process<()>| {
        for traps in [false, true] {
            me.trap_exits(traps);
            let start = time::now();
            assert_eq!(endless().shutdown(secs(5)).await, None);
            assert_eq!(endless().shutdown(Shutdown::BrutalKill).await, None);
            assert_eq!(endless().shutdown(Shutdown::Infinity).await, None);
            assert_eq!(time::now(), start);

            let replied = Task::spawn(async { 7 });
            node().ended(replied.pid()).await;
            assert_eq!(replied.shutdown(secs(5)).await, Some(Ok(7)));

            let task = stubborn().await?;
            let ended = node().ended(task.pid());
            assert_eq!(task.shutdown(millis(1)).await, Some(Err(ExitReason::Killed)));
            assert_eq!((time::now() - start, ended.await), (millis(1), ExitReason::Killed));
            assert_eq!(stubborn().await?.shutdown(Shutdown::BrutalKill).await, None);

            let left = seen(me.pid());
            assert_eq!((left.links.len(), left.monitors.len()), (0, 0));
            time::sleep(secs(1)).await;
            nothing_in(&mut me).await?;
        }
        Ok(())
    });
}

#[test]
fn task_07_it_gives_what_comes_while_the_task_stops() {
    virtually(async |mut me: Process<()>| {
        let (tell, told) = oneshot::channel();
        let task = Task::process(async move |mut task: Process<()>| {
            task.trap_exits(true);
            let _ = tell.send(());
            let asked = task.receive_any().await;
            time::sleep(millis(100)).await;
            // Its owner is its parent.
            asked.is_err_and(|asked| asked == ReceiveError::Stopped(ExitReason::Shutdown))
        });
        told.await?;
        assert_eq!(task.shutdown(millis(200)).await, Some(Ok(true)));
        let failed = Task::<()>::spawn(async { exit_now(ExitReason::Normal) });
        node().ended(failed.pid()).await;
        assert_eq!(failed.shutdown(secs(1)).await, Some(Err(ExitReason::Normal)));
        nothing_in(&mut me).await
    });
}

#[test]
fn task_07_a_task_that_is_ignored_goes_its_own_way() {
    virtually(async |mut me: Process<()>| {
        me.trap_exits(true);
        let (pid, outcome) = {
            let task = Task::spawn(async {
                time::sleep(secs(1)).await;
                fail("exit")
            });
            (task.pid(), task.ignore())
        };
        assert_eq!(outcome, None);
        assert_eq!(node().ended(pid).await, reason("R"));
        time::sleep(secs(1)).await;
        nothing_in(&mut me).await?;
        let done = Task::spawn(async { 3 });
        node().ended(done.pid()).await;
        assert_eq!(done.ignore(), Some(Ok(3)));
        Ok(())
    });
}

#[test]
fn what_nobody_awaits_is_linked_or_not() {
    everywhere(async |mut me: Process<()>| {
        me.trap_exits(true);
        for links in [true, false] {
            let (go, gone) = oneshot::channel::<()>();
            let work = async move {
                let _ = gone.await;
                fail("exit")
            };
            let task = if links { Task::start_link(work) } else { Task::start(work) };
            assert_eq!(seen(me.pid()).links.contains(&task), links);
            let ended = node().ended(task);
            let _ = go.send(());
            assert_eq!(ended.await, reason("R"));
            if links {
                let exit = exit_in(&mut me).await?;
                assert_eq!((exit.from, exit.reason), (task, reason("R")));
            }
        }
        nothing_in(&mut me).await
    });
}

/// The report of the crash of `pid`.
async fn report_of(reports: &mut biotope_runtime::CrashReports, pid: Pid) -> std::sync::Arc<CrashReport> {
    loop {
        let report = reports.next().await.expect("the node is there");
        if report.pid == pid {
            return report;
        }
    }
}

#[test]
fn a_task_inherits_what_a_child_does_and_its_report_names_its_owner_and_where_it_was_begun() {
    everywhere(async |me: Process<()>| {
        me.trap_exits(true);
        me.put(7_u8);
        me.set_label("the owner");
        let leader = spawn_process(async |_: Process<()>| pending().await);
        me.set_group_leader(leader.pid());
        let mut reports = node().crash_reports();

        let task = endless();
        let theirs = seen(task.pid());
        assert_eq!((theirs.parent, theirs.caller), (Some(me.pid()), Some(me.pid())));
        assert_eq!(theirs.group_leader, Some(leader.pid()));
        assert_eq!((theirs.label, theirs.name, theirs.trap_exit), (None, None, false));
        assert_eq!((theirs.dictionary.len(), theirs.links), (0, vec![me.pid()]));

        // A task of a task, which names both.
        let outer = Task::spawn(async { Task::spawn(async { fail("panic") }).await });
        let outer_pid = outer.pid();
        let line = line!() - 2;
        let failed = outer.await.expect_err("it ends with its task");
        let report = loop {
            let report = reports.next().await.expect("the node is there");
            if report.callers.len() == 2 {
                break report;
            }
        };
        assert_eq!((&report.callers, &report.reason), (&vec![outer_pid, me.pid()], &failed));
        let place = report.asked_at.expect("it is known");
        assert_eq!((place.file(), place.line()), (file!(), line));
        let text = report.to_string();
        assert!(report.actor.contains("a_task_inherits_what_a_child_does"), "{text}");
        assert!(text.contains(&format!("task        of {outer_pid}, of [{}], begun at {place}", me.pid())), "{text}");
        let of_outer = report_of(&mut reports, outer_pid).await;
        assert_eq!(of_outer.callers, [me.pid()]);
        Ok(())
    });
}
