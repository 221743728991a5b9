//! Streams of tasks.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{ExitReason, Info, Pid, Process, exit_now, node, time, with_me};
use biotope_supervision::task::OnTimeout;
use biotope_supervision::{Task, TaskSupervisor};
use futures_util::{FutureExt, StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::supervised::until_children;
use crate::support::*;

#[test]
fn task_11_never_more_at_once_than_may_be_and_outcomes_in_order() {
    virtually(async |mut me: Process<()>| {
        let crowd = Crowd::default();
        let enter = crowd.clone();
        // The first are the slowest.
        let work = move |n: u64| {
            let here = enter.clone();
            async move {
                let _here = here.enter();
                time::sleep(millis(if n <= 3 { 100 - 10 * n } else { 1 })).await;
                n
            }
        };
        let ordered: Vec<_> = Task::async_stream(1..=20, work.clone()).max_concurrency(3).collect().await;
        assert_eq!(ordered, (1..=20).map(Ok).collect::<Vec<_>>());
        assert_eq!(crowd.now_and_at_most(), (0, 3));

        let stream = Task::async_stream(1..=5, work).max_concurrency(3).ordered(false);
        let unordered: Vec<_> = stream.map(|outcome| outcome.unwrap_or_default()).collect().await;
        assert_eq!(unordered, [3, 4, 5, 2, 1]);
        assert_eq!(seen(me.pid()).links, []);
        nothing_in(&mut me).await
    });
}

#[test]
fn task_11_on_threads_too_each_item_has_its_outcome_in_its_place() {
    everywhere(async |_: Process<()>| {
        for concurrency in [1, 3, 100] {
            let crowd = Crowd::default();
            let enter = crowd.clone();
            let stream = Task::async_stream(0..200_u64, move |n| {
                let here = enter.clone();
                async move {
                    let _here = here.enter();
                    time::yield_now().await;
                    n * n
                }
            });
            let squares: Vec<_> = stream.max_concurrency(concurrency).timeout(secs(600)).collect().await;
            assert!(squares.into_iter().eq((0..200).map(|n| Ok(n * n))));
            assert!(crowd.now_and_at_most().1 <= concurrency);
        }
        Ok(())
    });
}

#[test]
fn task_11_items_are_taken_when_their_tasks_can_begin() {
    virtually(async |_: Process<()>| {
        let taken = Arc::new(Mutex::new(0));
        let counts = taken.clone();
        let items = std::iter::from_fn(move || {
            *counts.lock() += 1;
            Some(())
        });
        let mut stream = Task::async_stream(items, async |()| time::sleep(millis(10)).await).max_concurrency(4);
        assert_eq!(*taken.lock(), 0, "nothing before it is polled");
        assert_eq!(stream.next().await, Some(Ok(())));
        // While nobody polls, nothing more is taken.
        time::sleep(secs(10)).await;
        assert!(*taken.lock() <= 8, "{} were taken", *taken.lock());
        for _ in 0..100 {
            assert_eq!(stream.next().await, Some(Ok(())));
        }
        assert!((101..=109).contains(&*taken.lock()));
        Ok(())
    });
}

#[test]
fn task_11_items_may_come_by_a_stream() {
    virtually(async |_: Process<()>| {
        let start = time::now();
        let slowly = Box::pin(stream::unfold(0_u64, async |n| {
            time::sleep(millis(10)).await;
            (n < 5).then_some((n, n + 1))
        }));
        let outcomes: Vec<_> = Task::async_stream_of(slowly, lasts).max_concurrency(2).collect().await;
        assert_eq!(outcomes, (0..5).map(Ok).collect::<Vec<_>>());
        assert_eq!(time::now() - start, millis(60));

        let tasks = TaskSupervisor::new().start_link().await?;
        let outcomes: Vec<_> = tasks.async_stream_of(stream::iter([3, 1]), lasts).collect().await;
        assert_eq!(outcomes, [Ok(3), Ok(1)]);
        Ok(())
    });
}

#[test]
fn task_11_a_slow_one_at_the_front_holds_the_others_up_some_time_later() {
    virtually(async |_: Process<()>| {
        let begun = Log::default();
        let told = begun.clone();
        let mut stream = Task::async_stream(0..100, move |n: u64| {
            told.push(n.to_string());
            async move { time::sleep(if n == 0 { secs(1) } else { millis(1) }).await }
        })
        .max_concurrency(3);
        assert_eq!(stream.next().await, Some(Ok(())));
        assert!(begun.all().len() <= 7, "{:?}", begun.all());
        Ok(())
    });
}

#[test]
fn task_11_a_failure_ends_a_consumer_that_does_not_trap_and_is_an_outcome_else() {
    everywhere(async |mut me: Process<()>| {
        let work = async |n: u64| if n == 2 { exit_now(reason("two")) } else { n };
        let (_, ended) = owner(async move |_| {
            let _: Vec<_> = Task::async_stream(1..=3, work).collect().await;
            Ok(())
        });
        assert_eq!(ended.await, reason("two"));

        let outcomes = [Ok(1), Err(reason("two")), Ok(3)];
        let unlinked: Vec<_> = Task::async_stream(1..=3, work).nolink().collect().await;
        assert_eq!(unlinked, outcomes);
        nothing_in(&mut me).await?;

        me.trap_exits(true);
        let trapped: Vec<_> = Task::async_stream(1..=3, work).collect().await;
        assert_eq!(trapped, outcomes);
        assert_eq!(exit_in(&mut me).await?.reason, reason("two"));
        nothing_in(&mut me).await
    });
}

/// Work that tells which process does it, and never ends.
fn endless_work() -> (Arc<Mutex<Vec<Pid>>>, impl FnMut(u64) -> std::future::Pending<()> + Clone) {
    let pids = Arc::new(Mutex::new(Vec::new()));
    (pids, |_| pending())
}

#[test]
fn task_11_with_the_stream_or_its_consumer_its_tasks_end() {
    everywhere(async |mut me: Process<()>| {
        for links in [true, false] {
            let (_, work) = endless_work();
            let stream = Task::async_stream(0..3, work.clone()).max_concurrency(3);
            let mut stream = if links { stream } else { stream.nolink() };
            assert!(time::timeout(Duration::ZERO, stream.next()).await.is_err());
            let monitored: Vec<_> = seen(me.pid()).monitors.iter().filter_map(|target| target.pid()).collect();
            assert_eq!(monitored.len(), 3);
            let ends = monitored.iter().map(|pid| node().ended(*pid)).collect::<Vec<_>>();
            drop(stream);
            for ended in ends {
                assert_eq!(ended.await, ExitReason::Killed);
            }
            nothing_in(&mut me).await?;

            let (tell, told) = oneshot::channel();
            let (_, ended) = owner(async move |me| {
                let stream = Task::async_stream(0..3, work).max_concurrency(3);
                let mut stream = if links { stream } else { stream.nolink() };
                let _ = time::timeout(Duration::ZERO, stream.next()).await;
                let tasks: Vec<_> = seen(me.pid()).monitors.iter().filter_map(|target| target.pid()).collect();
                let _ = tell.send(tasks.into_iter().map(|pid| node().ended(pid)).collect::<Vec<_>>());
                Ok(())
            });
            let ends = told.await?;
            assert_eq!((ends.len(), ended.await), (3, ExitReason::Normal));
            for ended in ends {
                assert_eq!(ended.await, ExitReason::Killed);
            }
        }
        Ok(())
    });
}

#[test]
fn task_11_under_a_supervisor_they_are_its_children() {
    everywhere(async |mut me: Process<()>| {
        let tasks = TaskSupervisor::new().start_link().await?;
        let supervisor = tasks.pid();
        let work = move |n: u64| async move {
            let parent = with_me(|me| me.parent()).flatten();
            assert_eq!(parent, Some(supervisor));
            if n == 2 { exit_now(reason("two")) } else { n }
        };
        let outcomes: Vec<_> = tasks.async_stream(1..=20, work).max_concurrency(3).nolink().collect().await;
        let expected = (1..=20).map(|n| if n == 2 { Err(reason("two")) } else { Ok(n) });
        assert!(outcomes.into_iter().eq(expected));
        until_children(&tasks, &[]).await?;

        let few = TaskSupervisor::new().max_children(0).start_link().await?;
        let outcomes: Vec<_> = few.async_stream(1..=2, async |n: u64| n).collect().await;
        assert!(
            outcomes.iter().all(|outcome| outcome.as_ref().is_err_and(|why| why.to_string().contains("max_children")))
        );
        nothing_in(&mut me).await
    });
}

const DURATIONS: [u64; 4] = [100, 1, 100, 1];

async fn lasts(ms: u64) -> u64 {
    time::sleep(millis(ms)).await;
    ms
}

#[test]
fn task_12_by_default_one_that_takes_too_long_ends_all_and_the_consumer() {
    virtually(async |_: Process<()>| {
        for links in [true, false] {
            let start = time::now();
            let (tell, told) = oneshot::channel();
            let (_, ended) = owner(async move |me| {
                let stream = Task::async_stream(DURATIONS, lasts).max_concurrency(2).timeout(millis(50));
                let mut stream = if links { stream } else { stream.nolink() };
                assert!(time::timeout(millis(10), stream.next()).await.is_err());
                let tasks: Vec<_> = seen(me.pid()).monitors.iter().filter_map(|target| target.pid()).collect();
                let _ = tell.send(tasks);
                let _ = stream.next().await;
                panic!("it goes on");
            });
            assert_eq!(ended.await, ExitReason::Timeout);
            assert_eq!(time::now() - start, millis(50));
            let tasks = told.await?;
            assert!(!tasks.is_empty() && tasks.iter().all(|task| !node().is_alive(*task)));
        }
        Ok(())
    });
}

#[test]
fn task_12_or_it_is_killed_and_the_stream_goes_on() {
    virtually(async |mut me: Process<()>| {
        let start = time::now();
        for links in [true, false] {
            for traps in [true, false] {
                me.trap_exits(traps);
                let stream = Task::async_stream(DURATIONS, lasts).max_concurrency(4).timeout(millis(50));
                let stream = if links { stream } else { stream.nolink() };
                let outcomes: Vec<_> = stream.on_timeout(OnTimeout::Kill).collect().await;
                let late = || Err(ExitReason::Timeout);
                assert_eq!(outcomes, [late(), Ok(1), late(), Ok(1)]);
                nothing_in(&mut me).await?;
            }
        }
        assert_eq!(time::now() - start, millis(200));
        Ok(())
    });
}

#[test]
fn task_12_under_a_supervisor_the_same() {
    virtually(async |mut me: Process<()>| {
        let tasks = TaskSupervisor::new().start_link().await?;
        let stream = tasks.async_stream(DURATIONS, lasts).max_concurrency(4).timeout(millis(50));
        let outcomes: Vec<_> = stream.on_timeout(OnTimeout::Kill).collect().await;
        let late = || Err(ExitReason::Timeout);
        assert_eq!(outcomes, [late(), Ok(1), late(), Ok(1)]);
        nothing_in(&mut me).await?;

        let ours = tasks.clone();
        let (_, ended) = owner(async move |_| {
            let mut stream = ours.async_stream(DURATIONS, lasts).max_concurrency(4).timeout(millis(50)).ordered(false);
            while let Some(outcome) = stream.next().await {
                assert_eq!(outcome, Ok(1));
            }
            panic!("it goes on");
        });
        assert_eq!(ended.await, ExitReason::Timeout);
        assert_eq!(tasks.children().await?, []);
        Ok(())
    });
}

/// What is left of the infos of a process that traps exits, as text.
#[test]
fn a_stream_of_tasks_that_end_well_leaves_nothing_behind() {
    everywhere(async |mut me: Process<()>| {
        me.trap_exits(true);
        let before = seen(me.pid());
        let outcomes: Vec<_> = Task::async_stream(0..50_u64, async |n| n).max_concurrency(7).collect().await;
        assert_eq!(outcomes.len(), 50);
        let after = seen(me.pid());
        assert_eq!((after.links, after.monitors), (before.links, before.monitors));
        let info = me.receive_info(|info| match info {
            Info::Node(_) => Err(info),
            other => Ok(other),
        });
        assert!(info.timeout(Duration::ZERO).await.is_err());
        Ok(())
    });
}

/// Also those that its supervisor had begun, and of which it had not heard yet.
#[test]
fn a_stream_that_is_dropped_while_tasks_begin_leaves_none() {
    virtually(async |_: Process<()>| {
        let tasks = TaskSupervisor::new().start_link().await?;
        for pause in [0, 1] {
            let mut stream = tasks.async_stream(0..3_u64, |_| pending::<u64>()).max_concurrency(3);
            assert!(stream.next().now_or_never().is_none());
            if pause == 1 {
                // They begin, and the stream is not asked again.
                time::sleep(millis(1)).await;
            }
            drop(stream);
            time::sleep(millis(1)).await;
            assert_eq!(tasks.children().await?, []);
        }
        Ok(())
    });
}
