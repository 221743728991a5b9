//! Awaiting, yielding, many at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use biotope_runtime::{
    Actor, Address, Call, Context, ExitReason, Handle, Info, Options, Process, ReceiveError, ReplyTo, exit_now, node,
    spawn, spawn_process, time,
};
use biotope_supervision::Task;
use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use crate::support::*;

#[test]
fn task_01_the_value_comes_and_nothing_stays() {
    everywhere(async |mut me: Process<()>| {
        for traps in [false, true] {
            me.trap_exits(traps);
            let before = seen(me.pid());
            let (go, gone) = oneshot::channel::<()>();
            let task = Task::spawn(async move {
                let _ = gone.await;
                7
            });
            let (pid, ended) = (task.pid(), node().ended(task.pid()));
            assert_eq!(seen(me.pid()).links, [pid]);
            assert!(seen(me.pid()).monitors.iter().any(|monitored| *monitored == pid));
            let _ = go.send(());
            assert_eq!(task.await, Ok(7));
            let after = seen(me.pid());
            assert_eq!((after.links, after.monitors), (before.links, before.monitors));
            assert_eq!(ended.await, ExitReason::Normal);
            nothing_in(&mut me).await?;
        }
        Ok(())
    });
}

#[test]
fn task_01_whenever_it_is_done_the_value_comes_and_nothing_else() {
    everywhere(async |mut me: Process<()>| {
        me.trap_exits(true);
        for waits in [false, true] {
            let task = Task::spawn(async { "there" });
            if waits {
                // It has ended before it is awaited.
                node().ended(task.pid()).await;
                assert_eq!(seen(me.pid()).links, []);
            }
            assert_eq!(task.await, Ok("there"));
            nothing_in(&mut me).await?;
        }
        Ok(())
    });
}

#[test]
fn task_01_a_task_that_is_given_its_process_receives_and_traps() {
    everywhere(async |me: Process<()>| {
        let (tell, told) = oneshot::channel();
        let task = Task::process(async move |mut task: Process<u32>| {
            task.trap_exits(true);
            let _ = tell.send(task.address());
            let number = task.receive().await.unwrap_or_default();
            // What the parent sends ends it; as straight-line code it may do something before.
            match task.receive().await {
                Err(ReceiveError::Stopped(reason)) => (number, reason),
                other => panic!("unexpected: {other:?}"),
            }
        });
        let address = told.await?;
        address.cast(3);
        me.exit(task.pid(), ExitReason::Shutdown);
        assert_eq!(task.await, Ok((3, ExitReason::Shutdown)));
        Ok(())
    });
}

/// Awaits in its handlers, one and the next.
struct Reader {
    kept: Option<Task<u64>>,
    heard: Log,
}

enum Ask {
    Now(u64, ReplyTo<u64>),
    Begin(u64, ReplyTo<()>),
    Finish(ReplyTo<Option<u64>>),
    Fail(ReplyTo<ExitReason>),
}

impl Actor for Reader {
    type Msg = Ask;
    type Client = Address<Ask>;
    const NAME: &'static str = "Reader";
    const OPTIONS: Options = Options { trap_exit: true, ..Options::DEFAULT };
}

impl Handle for Reader {
    async fn handle(&mut self, ask: Ask, _cx: &mut Context<Self>) {
        match ask {
            Ask::Now(n, reply) => reply.send(Task::spawn(async move { n * 2 }).await.unwrap_or_default()),
            Ask::Begin(n, reply) => {
                self.kept = Some(Task::spawn(async move { n * 3 }));
                reply.send(());
            }
            Ask::Finish(reply) => {
                let value = match self.kept.take() {
                    Some(task) => task.await.ok(),
                    None => None,
                };
                reply.send(value);
            }
            Ask::Fail(reply) => {
                let failed = Task::<()>::spawn(async { exit_now(reason("no")) }).await;
                reply.send(failed.expect_err("it gives nothing"));
            }
        }
    }

    async fn info(&mut self, info: Info, _cx: &mut Context<Self>) {
        self.heard.push(match info {
            Info::Exit(exit) => format!("exit: {}", exit.reason),
            other => format!("{other:?}"),
        });
    }
}

#[test]
fn task_01_handlers_own_tasks_from_one_to_the_next() {
    everywhere(async |_: Process<()>| {
        let heard = Log::default();
        let reader = spawn(Reader { kept: None, heard: heard.clone() });
        let reader = reader.address();
        assert_eq!(Call::new(reader, |reply| Ask::Now(4, reply)).await?, 8);
        Call::new(reader, |reply| Ask::Begin(5, reply)).await?;
        assert_eq!(Call::new(reader, Ask::Finish).await?, Some(15));
        assert_eq!(Call::new(reader, Ask::Finish).await?, None);
        assert_eq!(Call::new(reader, Ask::Fail).await?, reason("no"));
        // The next call is behind the exit.
        assert_eq!(Call::new(reader, |reply| Ask::Now(1, reply)).await?, 2);
        assert_eq!(heard.all(), ["exit: \"no\""]);
        Ok(())
    });
}

#[test]
fn task_01_only_the_owner_awaits_and_once() {
    everywhere(async |_: Process<()>| {
        let task = Task::spawn(async { 1 });
        let (_, ended) = owner(async move |_| {
            let _ = task.await;
            Ok(())
        });
        assert!(ended.await.to_string().contains("awaited by its owner"));

        let (_, ended) = owner(async |_| {
            let mut task = Task::spawn(async { 1 });
            assert_eq!((&mut task).await, Ok(1));
            let _ = task.await;
            Ok(())
        });
        assert!(ended.await.to_string().contains("after its outcome had been given"));
        Ok(())
    });
}

#[test]
fn task_04_an_await_that_gives_up_leaves_the_task_alone_and_hears_nothing_of_it() {
    virtually(async |mut me: Process<()>| {
        me.trap_exits(true);
        let start = time::now();
        let task = lasting(millis(200), 1);
        let (pid, ended) = (task.pid(), node().ended(task.pid()));
        assert_eq!(task.timeout(millis(10)).await, Err(ExitReason::Timeout));
        assert_eq!(time::now() - start, millis(10));
        assert!(node().is_alive(pid) && seen(me.pid()).monitors.is_empty());
        assert_eq!(ended.await, ExitReason::Normal);
        assert_eq!(time::now() - start, millis(200));
        time::sleep(millis(500)).await;
        nothing_in(&mut me).await
    });
}

#[test]
fn task_04_without_a_time_it_waits_for_five_seconds() {
    virtually(async |_: Process<()>| {
        let start = time::now();
        assert_eq!(endless().await, Err(ExitReason::Timeout));
        assert_eq!(time::now() - start, secs(5));
        assert_eq!(endless().deadline(start + secs(8)).await, Err(ExitReason::Timeout));
        assert_eq!(time::now() - start, secs(8));
        let many = [lasting(secs(1), ()), endless()];
        assert_eq!(Task::await_many(many).await, Err(ExitReason::Timeout));
        assert_eq!(time::now() - start, secs(13));
        assert_eq!(lasting(secs(100), 1).timeout(Duration::MAX).await, Ok(1));
        Ok(())
    });
}

#[test]
fn task_04_awaited_by_reference_it_can_be_awaited_again() {
    virtually(async |_: Process<()>| {
        let mut task = lasting(millis(100), 1).timeout(millis(60));
        assert_eq!((&mut task).await, Err(ExitReason::Timeout));
        // Dropped in the middle.
        let short = Box::pin(time::sleep(millis(10)));
        assert!(matches!(select(&mut task, short).await, Either::Right(_)));
        assert_eq!(task.await, Ok(1));
        Ok(())
    });
}

#[test]
fn task_06_a_yield_gives_nothing_until_it_is_done_and_then_all() {
    virtually(async |mut me: Process<()>| {
        let mut task = lasting(millis(60), "value");
        let start = time::now();
        assert_eq!(task.yield_for(millis(5)).await, None);
        assert_eq!(time::now() - start, millis(5));
        assert_eq!(task.yield_for(Duration::ZERO).await, None);
        assert_eq!(task.await, Ok("value"));
        assert_eq!(time::now() - start, millis(60));

        let mut normal = Task::<()>::spawn(async { exit_now(ExitReason::Normal) });
        assert_eq!(normal.yield_for(secs(1)).await, Some(Err(ExitReason::Normal)));
        let mut done = Task::spawn(async { 1 });
        node().ended(done.pid()).await;
        assert_eq!(done.yield_for(Duration::ZERO).await, Some(Ok(1)));
        nothing_in(&mut me).await
    });
}

#[test]
fn task_08_many_are_awaited_in_the_order_in_which_they_are_given() {
    everywhere(async |mut me: Process<()>| {
        let (gates, tasks): (Vec<_>, Vec<_>) = (1..=3)
            .map(|n| {
                let (open, opened) = oneshot::channel::<()>();
                let task = Task::spawn(async move {
                    let _ = opened.await;
                    n
                });
                (open, task)
            })
            .unzip();
        let pids: Vec<_> = tasks.iter().map(Task::pid).collect();
        spawn_process(async move |_: Process<()>| {
            let mut gates: Vec<_> = gates.into_iter().map(Some).collect();
            for n in [1, 2, 0] {
                let ended = node().ended(pids[n]);
                let _ = gates[n].take().expect("each is opened once").send(());
                ended.await;
            }
            Ok(())
        });
        assert_eq!(Task::await_many(tasks).await, Ok(vec![1, 2, 3]));
        assert_eq!(Task::<()>::await_many([]).await, Ok(vec![]));
        assert_eq!(seen(me.pid()).links, []);
        nothing_in(&mut me).await
    });
}

#[test]
fn task_08_of_many_the_first_failure_is_that_of_all() {
    everywhere(async |mut me: Process<()>| {
        me.trap_exits(true);
        let tasks = [endless(), Task::spawn(async { exit_now(reason("broken")) }), endless()];
        let others = [tasks[0].pid(), tasks[2].pid()];
        assert_eq!(Task::await_many(tasks).await, Err(reason("broken")));
        assert_eq!(exit_in(&mut me).await?.reason, reason("broken"));
        // The others go on, and are linked still.
        assert_eq!(seen(me.pid()).links, others);
        Ok(())
    });
}

#[test]
fn task_08_what_is_not_done_in_time_can_be_ended_or_awaited() {
    virtually(async |mut me: Process<()>| {
        me.trap_exits(true);
        let mut tasks = vec![
            lasting(millis(30), 1),
            lasting(millis(10), 2),
            lasting(secs(60), 3),
            Task::spawn(async { exit_now(reason("broken")) }),
            lasting(millis(150), 5),
        ];
        let start = time::now();
        let outcomes = Task::yield_many(&mut tasks, millis(100)).await;
        assert_eq!(time::now() - start, millis(100));
        assert_eq!(outcomes, [Some(Ok(1)), Some(Ok(2)), None, Some(Err(reason("broken"))), None]);
        // Whatever was given is passed over.
        let outcomes = Task::yield_many(&mut tasks, millis(100)).await;
        assert_eq!(outcomes, [None, None, None, None, Some(Ok(5))]);
        assert_eq!(time::now() - start, millis(200));
        assert_eq!(tasks.remove(2).shutdown(secs(1)).await, None);
        assert_eq!(Task::yield_many(&mut tasks, secs(1)).await, [None, None, None, None]);
        assert_eq!(time::now() - start, millis(200), "nothing is waited for where nothing can come");
        assert_eq!(exit_in(&mut me).await?.reason, reason("broken"));
        nothing_in(&mut me).await
    });
}

#[test]
fn task_08_whoever_gives_up_waiting_for_many_loses_nothing() {
    virtually(async |_: Process<()>| {
        let mut tasks = [lasting(millis(10), 1), lasting(millis(100), 2)];
        let waiting = Box::pin(Task::yield_many(&mut tasks, secs(1)));
        assert!(time::timeout(millis(50), waiting).await.is_err());
        assert_eq!(Task::yield_many(&mut tasks, secs(1)).await, [Some(Ok(1)), Some(Ok(2))]);
        Ok(())
    });
}

#[test]
fn a_task_belongs_to_a_process() {
    let outside = std::panic::catch_unwind(|| drop(Task::spawn(async { 1 })));
    let said = outside.expect_err("there is no owner");
    let said = said.downcast_ref::<String>().expect("it says something");
    assert!(said.contains("`Task::spawn` works in processes only"), "{said}");
}

#[test]
fn ten_thousand_tasks_are_awaited_together() {
    everywhere(async |me: Process<()>| {
        let count = if node().runtime().is_seeded() { 200 } else { 10_000 };
        let tasks = (0..count).map(|n| Task::spawn(async move { n }));
        let values = Task::await_many(tasks).timeout(secs(600)).await?;
        assert!(values.into_iter().eq(0..count));
        let left = seen(me.pid());
        assert_eq!((left.links.len(), left.monitors.len()), (0, 0));
        Ok(())
    });
}

#[test]
fn a_task_is_a_future_among_others() {
    everywhere(async |_: Process<()>| {
        let (mut left, mut right) = (Task::spawn(async { 1 }), Task::spawn(async { 2 }));
        let (mut one, mut two) = (None, None);
        poll_fn(|cx| {
            if one.is_none()
                && let Poll::Ready(value) = Pin::new(&mut left).poll(cx)
            {
                one = Some(value);
            }
            if two.is_none()
                && let Poll::Ready(value) = Pin::new(&mut right).poll(cx)
            {
                two = Some(value);
            }
            if one.is_some() && two.is_some() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        assert_eq!((one, two), (Some(Ok(1)), Some(Ok(2))));
        Ok(())
    });
}
