//! Tasks under a supervisor.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use biotope_runtime::{
    Address, CallError, CallFailed, ExitReason, Node, Pid, Process, Restart, Result, Shutdown, SpawnOptions, exit_now,
    node, spawn_process, time, with_me,
};
use biotope_supervision::dynamic::NoSuchChild;
use biotope_supervision::task::StartTaskError;
use biotope_supervision::{IntoChild, Supervisor, Task, TaskSupervisor, TaskSupervisorRef, Transient};
use tokio::sync::oneshot;

use crate::support::*;

/// What a task waits for, and what opens it.
fn gate() -> (oneshot::Sender<()>, impl Future<Output = ()> + Send + 'static) {
    let (open, opened) = oneshot::channel();
    (open, async {
        let _: std::result::Result<(), _> = opened.await;
    })
}

/// Waits until the supervisor has these children.
pub(crate) async fn until_children(tasks: &TaskSupervisorRef, expected: &[Pid]) -> Result<()> {
    while tasks.children().await? != expected {
        time::yield_now().await;
    }
    Ok(())
}

#[test]
fn task_09_children_are_listed_while_they_run_and_linked_as_asked() {
    everywhere(async |me: Process<()>| {
        me.trap_exits(true);
        let tasks = TaskSupervisor::new().start_link().await?;
        let ours = seen(me.pid()).links;
        let ((open_1, opened_1), (open_2, opened_2), (open_3, opened_3)) = (gate(), gate(), gate());
        let linked = tasks.spawn(opened_1).await?;
        let unlinked = tasks.spawn_nolink(opened_2).await?;
        let child = tasks.start_child(opened_3).await?;
        let pids = [linked.pid(), unlinked.pid(), child];
        assert_eq!(tasks.children().await?, pids);
        for pid in pids {
            let theirs = seen(pid);
            assert_eq!((theirs.parent, theirs.caller), (Some(tasks.pid()), Some(me.pid())));
            assert!(theirs.links.contains(&tasks.pid()));
            assert_eq!(theirs.links.contains(&me.pid()), pid == linked.pid());
        }
        assert_eq!(seen(me.pid()).links, [ours, vec![linked.pid()]].concat());

        let _ = open_1.send(());
        assert_eq!(linked.await, Ok(()));
        until_children(&tasks, &pids[1..]).await?;
        let _ = open_2.send(());
        assert_eq!(unlinked.await, Ok(()));
        let _ = open_3.send(());
        until_children(&tasks, &[]).await?;
        assert_eq!(seen(me.pid()).links, [tasks.pid()]);
        Ok(())
    });
}

#[test]
fn task_09_no_more_are_begun_than_may_be() {
    everywhere(async |_: Process<()>| {
        let none = TaskSupervisor::new().max_children(0).start_link().await?;
        let refused = CallError::Reply(StartTaskError::MaxChildren(0));
        assert_eq!(none.spawn(async {}).await.err(), Some(refused.clone()));
        assert_eq!(none.spawn_nolink(async {}).await.err(), Some(refused.clone()));
        assert_eq!(none.start_child(async {}).await.err(), Some(refused.clone()));
        assert_eq!(none.start_child_with(Transient, async || ()).await.err(), Some(refused));

        let one = TaskSupervisor::new().max_children(1).start_link().await?;
        let (open, opened) = gate();
        let first = one.spawn(opened).await?;
        assert_eq!(one.spawn(async {}).await.err(), Some(CallError::Reply(StartTaskError::MaxChildren(1))));
        let _ = open.send(());
        first.await?;
        while one.spawn(async {}).await.is_err() {
            time::yield_now().await;
        }
        Ok(())
    });
}

/// A body that does not end well for the first `times`, and tells how often it was begun.
fn flaky(
    times: u32,
) -> (Arc<AtomicU32>, impl Fn() -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync) {
    let begun = Arc::new(AtomicU32::new(0));
    let counts = begun.clone();
    let make = move || {
        let run = counts.fetch_add(1, Ordering::Relaxed);
        let body: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            if run < times {
                exit_now(reason("flaky"));
            }
        });
        body
    };
    (begun, make)
}

#[test]
fn task_09_a_child_is_temporary_unless_it_is_told_otherwise() {
    everywhere(async |me: Process<()>| {
        me.trap_exits(true);
        let tasks = TaskSupervisor::new().intensity(5, secs(5)).start_link().await?;
        let begun = Arc::new(AtomicU32::new(0));
        let counts = begun.clone();
        let child = tasks.start_child(async move {
            counts.fetch_add(1, Ordering::Relaxed);
            exit_now(reason("over"))
        });
        let child: std::result::Result<Pid, _> = child.await;
        node().ended(child?).await;
        until_children(&tasks, &[]).await?;
        assert_eq!(begun.load(Ordering::Relaxed), 1);

        let (begun, make) = flaky(3);
        tasks.start_child_with(Restart::Transient, make).await?;
        until(|| begun.load(Ordering::Relaxed) == 4).await;
        until_children(&tasks, &[]).await?;
        assert_eq!(begun.load(Ordering::Relaxed), 4);
        Ok(())
    });
}

#[test]
fn task_09_too_many_restarts_end_the_supervisor_and_all_of_its_tasks() {
    everywhere(async |me: Process<()>| {
        me.trap_exits(true);
        let tasks = TaskSupervisor::new().intensity(2, secs(5)).start_link().await?;
        let ended = node().ended(tasks.pid());
        let sibling = tasks.start_child(pending::<()>()).await?;
        let (begun, make) = flaky(u32::MAX);
        let _ = tasks.start_child_with(Restart::Permanent, make).await;
        assert_eq!(ended.await, ExitReason::Shutdown);
        assert_eq!((begun.load(Ordering::Relaxed), node().is_alive(sibling)), (3, false));
        Ok(())
    });
}

#[test]
fn task_09_a_panic_in_what_makes_a_body_is_the_tasks_own() {
    everywhere(async |me: Process<()>| {
        me.trap_exits(true);
        let tasks = TaskSupervisor::new().start_link().await?;
        let child = tasks.start_child_with(Restart::Temporary, || -> std::future::Ready<()> { panic!("no body") });
        let child = child.await?;
        until(|| !node().is_alive(child)).await;
        assert_eq!(tasks.spawn(async { 1 }).await?.await, Ok(1));
        Ok(())
    });
}

/// Panics when it is dropped.
struct Sore;

impl Drop for Sore {
    fn drop(&mut self) {
        panic!("sore");
    }
}

#[test]
fn task_09_what_is_refused_does_not_hurt_the_supervisor() {
    everywhere(async |_: Process<()>| {
        let tasks = TaskSupervisor::new().max_children(0).start_link().await?;
        let sore = Sore;
        let refused = tasks.spawn(async move {
            let _sore = &sore;
            pending::<()>().await;
        });
        assert_eq!(refused.await.err(), Some(CallError::Reply(StartTaskError::MaxChildren(0))));
        assert_eq!(tasks.children().await?, []);
        Ok(())
    });
}

/// A task that traps exits and stays, of which somebody has heard.
async fn stubborn(tasks: &TaskSupervisorRef, how: impl Into<Shutdown>) -> Result<Pid> {
    let (tell, told) = oneshot::channel();
    let tasks = tasks.with_shutdown(how);
    let task = tasks.start_child(async move {
        with_me(|me| me.trap_exits(true));
        let _ = tell.send(());
        pending::<()>().await;
    });
    let task = task.await?;
    told.await?;
    Ok(task)
}

#[test]
fn task_09_a_supervisor_that_stops_stops_its_tasks_each_in_its_own_way() {
    virtually(async |me: Process<()>| {
        me.trap_exits(true);
        let tasks = TaskSupervisor::new().task_shutdown(millis(300)).start_link().await?;
        let plain = tasks.start_child(pending::<()>()).await?;
        let brutal = stubborn(&tasks, Shutdown::BrutalKill).await?;
        let short = stubborn(&tasks, millis(100)).await?;
        let usual = {
            let (tell, told) = oneshot::channel();
            let task = tasks.spawn_nolink(async move {
                with_me(|me| me.trap_exits(true));
                let _ = tell.send(());
                pending::<()>().await;
            });
            let task = task.await?;
            told.await?;
            task
        };
        let start = time::now();
        let ends = [plain, brutal, short, usual.pid(), tasks.pid()].map(|pid| {
            let ended = node().ended(pid);
            spawn_ended(ended, start)
        });
        tasks.stop();
        assert_eq!(usual.await, Err(ExitReason::Killed));
        assert_eq!(time::now() - start, millis(300));
        let killed = |ms| (ExitReason::Killed, millis(ms));
        let expected =
            [(ExitReason::Shutdown, millis(0)), killed(0), killed(100), killed(300), (ExitReason::Normal, millis(300))];
        for (end, expected) in ends.into_iter().zip(expected) {
            assert_eq!(end.await?, expected);
        }
        Ok(())
    });
}

/// When, after `start`, and why it ended that `ended` is about.
fn spawn_ended(
    ended: impl Future<Output = ExitReason> + Send + 'static,
    start: std::time::Instant,
) -> oneshot::Receiver<(ExitReason, std::time::Duration)> {
    let (tell, told) = oneshot::channel();
    spawn_process(async move |_: Process<()>| {
        let reason = ended.await;
        let _ = tell.send((reason, time::now() - start));
        Ok(())
    });
    told
}

#[test]
fn task_09_while_it_stops_it_answers_and_begins_nothing() {
    virtually(async |me: Process<()>| {
        me.trap_exits(true);
        let tasks = TaskSupervisor::new().start_link().await?;
        let slow = stubborn(&tasks, secs(2)).await?;
        tasks.stop();
        assert_eq!(tasks.spawn(async {}).await.err(), Some(CallError::Reply(StartTaskError::Stopping)));
        assert_eq!(tasks.children().await?, [slow]);
        node().ended(tasks.pid()).await;
        assert_eq!(tasks.spawn(async {}).await.err(), Some(CallError::Failed(CallFailed::NoProc)));
        Ok(())
    });
}

#[test]
fn task_09_its_tasks_end_with_a_supervisor_that_is_killed_and_with_its_parent() {
    everywhere(async |me: Process<()>| {
        me.trap_exits(true);
        let tasks = TaskSupervisor::new().start_link().await?;
        let task = tasks.spawn_nolink(pending::<()>()).await?;
        node().exit(tasks.pid(), ExitReason::Kill);
        assert_eq!(task.await, Err(ExitReason::Killed));

        let (tell, told) = oneshot::channel();
        let (_, ended) = owner(async move |_| {
            let tasks = TaskSupervisor::new().start_link().await?;
            let task = tasks.start_child(pending::<()>()).await?;
            let _ = tell.send((tasks.pid(), node().ended(tasks.pid()), task));
            Err(reason("gone").into())
        });
        let (_, supervisor_ended, task) = told.await?;
        assert_eq!((ended.await, supervisor_ended.await), (reason("gone"), reason("gone")));
        assert!(!node().is_alive(task));
        Ok(())
    });
}

#[test]
fn task_09_a_child_can_be_terminated() {
    everywhere(async |_: Process<()>| {
        let tasks = TaskSupervisor::new().start_link().await?;
        let make = || pending::<()>();
        let child = tasks.start_child_with(Restart::Permanent, make).await?;
        let other = stubborn(&tasks, Shutdown::BrutalKill).await?;
        tasks.terminate_child(child).await?;
        assert!(!node().is_alive(child));
        assert_eq!(tasks.children().await?, [other]);
        tasks.terminate_child(other).await?;
        assert_eq!(tasks.terminate_child(other).await, Err(CallError::Reply(NoSuchChild(other))));
        assert_eq!(tasks.children().await?, []);
        Ok(())
    });
}

#[test]
fn task_09_it_has_a_name_and_is_a_child_itself() {
    everywhere(async |me: Process<()>| {
        me.trap_exits(true);
        let spec = TaskSupervisor::new().named("fetches");
        let top = Supervisor::one_for_one().child(spec.clone()).start_link().await?;
        let fetches = node().lookup::<TaskSupervisor>("fetches").expect("it is there");
        assert_eq!(fetches.spawn(async { 1 }).await?.await, Ok(1));
        assert!(spec.start_link().await.is_err());
        assert_eq!(seen(me.pid()).links, [top.pid()]);
        assert_eq!(&*spec.into_child().id, "fetches");

        // It is restarted, and the name follows.
        let task = fetches.spawn_nolink(pending::<()>()).await?;
        node().exit(fetches.pid(), ExitReason::Kill);
        assert_eq!(task.await, Err(ExitReason::Killed));
        let next = node().named::<TaskSupervisor>("fetches");
        until(|| next.now().is_ok_and(|next| next.pid() != fetches.pid())).await;
        let next = next.within(secs(5)).await?;
        assert_eq!(next.spawn(async { 2 }).await?.await, Ok(2));
        Ok(())
    });
}

#[test]
fn task_10_the_failure_of_a_task_that_is_not_linked_is_its_outcome_and_nothing_else() {
    everywhere(async |mut me: Process<()>| {
        let tasks = TaskSupervisor::new().start_link().await?;
        let fail = |how: &'static str| async move {
            match how {
                "exit" => exit_now(reason("R")),
                _ => panic!("broke"),
            }
        };
        let mut task = tasks.spawn_nolink::<_>(async move { fail("exit").await }).await?;
        let outcome: Option<std::result::Result<(), _>> = task.yield_for(secs(60)).await;
        assert_eq!(outcome, Some(Err(reason("R"))));
        let task: Task<()> = tasks.spawn_nolink(async move { fail("exit").await }).await?;
        assert_eq!(task.await, Err(reason("R")));
        let task: Task<()> = tasks.spawn_nolink(async move { fail("panic").await }).await?;
        let failed = task.await.expect_err("it panics");
        assert!(matches!(&failed, ExitReason::Panic(report) if report.message == "broke"), "{failed}");
        let left = seen(me.pid());
        assert_eq!((left.links, left.monitors.len()), (vec![tasks.pid()], 0));
        nothing_in(&mut me).await
    });
}

#[test]
fn task_10_it_outlives_its_owner() {
    virtually(async |me: Process<()>| {
        let tasks = TaskSupervisor::new().start_link().await?;
        let ours = tasks.clone();
        let (tell, told) = oneshot::channel();
        let (_, ended) = owner(async move |_| {
            let task = ours.spawn_nolink(pending::<()>()).await?;
            let _ = tell.send(task.pid());
            Err(reason("gone").into())
        });
        let task = told.await?;
        assert_eq!(ended.await, reason("gone"));
        time::sleep(secs(1)).await;
        assert!(node().is_alive(task));
        assert_eq!(tasks.children().await?, [task]);
        assert!(seen(me.pid()).links.contains(&tasks.pid()));
        Ok(())
    });
}

#[test]
fn whoever_has_given_up_or_ended_has_no_task_begun() {
    everywhere(async |_: Process<()>| {
        let tasks = TaskSupervisor::new().start_link().await?;
        node().suspend(tasks.pid());
        let begun = Arc::new(AtomicU32::new(0));
        let counts = begun.clone();
        drop(tasks.spawn(async move { counts.fetch_add(1, Ordering::Relaxed) }).send());
        node().resume(tasks.pid());
        assert_eq!(tasks.children().await?, []);
        assert_eq!(begun.load(Ordering::Relaxed), 0);
        Ok(())
    });
}

#[test]
fn a_task_lives_on_the_node_of_its_owner() {
    everywhere(async |_: Process<()>| {
        let other = Node::builder("other").runtime(node().runtime().clone()).start().await?;
        let tasks = TaskSupervisor::new().start_on(&other, SpawnOptions::default()).await?;
        let refused = tasks.spawn(async {}).await;
        assert_eq!(refused.err(), Some(CallError::Reply(StartTaskError::OtherNode)));
        other.shutdown().await;
        Ok(())
    });
}

#[test]
fn a_supervisor_is_asked_for_tasks_by_code_outside_processes_too() {
    everywhere(async |_: Process<()>| {
        let tasks = TaskSupervisor::new().start_link().await?;
        let heard: Address<()> = spawn_process(async |mut me: Process<()>| Ok(me.receive().await?));
        let ended = node().ended(heard.pid());
        let timer = node().clone();
        let asks = tasks.clone();
        // A timer's code is in no process.
        timer.start_timer(millis(1), &heard, move |_| {
            let request = asks.start_child(async {
                assert_eq!(with_me(|me| me.parent().is_some()), Some(true));
            });
            drop(request.send());
        });
        assert_eq!(ended.await, ExitReason::Normal);
        Ok(())
    });
}

/// What nobody waits for any more is dropped by the supervisor, and is the user's.
#[test]
fn a_future_that_panics_when_it_is_given_up_ends_no_supervisor() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    virtually(async |_: Process<()>| {
        let tasks = TaskSupervisor::new().start_link().await?;
        let other = tasks.start_child(std::future::pending::<()>()).await?;
        node().suspend(&tasks);
        let bomb = Bomb;
        let given_up = tasks.spawn(async move {
            let _bomb = bomb;
        });
        assert!(given_up.timeout(millis(10)).await.is_err());
        node().resume(&tasks);
        time::sleep(millis(1)).await;
        assert_eq!(tasks.children().await?, [other]);
        Ok(())
    });
}
