//! Restart storms, races with a shutdown, and starts that fail: what is true of them whatever the order, under 300 seeds each.
//!
//! The test kit also sees what they leave: processes, names, links, monitors and timers.

use std::collections::BTreeMap;

use biotope_runtime::{ExitReason, SpawnOptions, node, time};
use biotope_supervision::{Shutdown, Strategy, Supervisor, SupervisorStartError, Temporary, Transient};
use biotope_testkit::TestOptions;

use crate::support::*;

const IDS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn under_300_seeds<F>(name: &'static str, body: fn() -> F)
where
    F: Future<Output = biotope_runtime::Result<()>> + Send + 'static,
{
    let options = TestOptions { name, seeds: Some(300), allow_crashes: true, ..TestOptions::default() };
    biotope_testkit::test(options, body);
}

/// A number below `end`, drawn from the seed.
fn draw(end: usize) -> usize {
    (node().runtime().random() % end as u64) as usize
}

fn strategy() -> Strategy {
    [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne][draw(3)]
}

/// Ends a worker in some way, if it runs.
fn hurt(stage: &Stage, id: &str) {
    if !stage.has_worker(id) {
        return;
    }
    match draw(4) {
        0 => stage.kill(id),
        1 => stage.worker(id).cast(Order::Panic),
        2 => stage.end(id, ExitReason::Normal),
        _ => stage.end(id, ExitReason::value("crash")),
    }
}

/// However many crash together: the supervisor either has all children up again, or has counted too many and is gone, with
/// nobody left; and it has not restarted more often than it may.
#[test]
fn a_storm_is_survived_or_passed_up() {
    under_300_seeds("storms::a_storm_is_survived_or_passed_up", || async {
        let stage = Stage::new();
        let limit = draw(12) as u32;
        let strategy = strategy();
        let supervisor =
            Supervisor::new(strategy).intensity(limit, secs(3600)).children(IDS.map(|id| worker(&stage, id)));
        let supervisor = supervisor.start_on(&node(), SpawnOptions::default()).await?;
        for _ in 0..draw(20) {
            hurt(&stage, IDS[draw(IDS.len())]);
            if draw(3) == 0 {
                time::sleep(millis(1)).await;
            }
        }
        time::sleep(secs(1)).await;
        let lines = stage.rest().await;
        let starts = lines.iter().filter(|line| line.starts_with("start ")).count();
        if node().is_alive(&supervisor) {
            assert_eq!(supervisor.count_children().await?.active, IDS.len());
            if strategy == Strategy::OneForOne {
                assert!(starts <= IDS.len() + limit as usize, "{starts} starts, {limit} restarts allowed");
            }
            supervisor.stop_and_wait(ExitReason::Shutdown).await;
            let lines = stage.rest().await;
            let stops: Vec<_> =
                lines.iter().map(|line| line.trim_start_matches("stop ").trim_end_matches(": shutdown")).collect();
            let mut reverse = IDS;
            reverse.reverse();
            assert_eq!(stops, reverse);
        }
        assert!(IDS.iter().all(|id| !node().is_alive(stage.pid(id))), "nobody outlives the supervisor");
        Ok(())
    });
}

/// While some start and some crash, somebody asks for things, and somebody else stops the supervisor: each request is answered,
/// and nobody is left.
#[test]
fn a_shutdown_wins_every_race() {
    under_300_seeds("storms::a_shutdown_wins_every_race", || async {
        let stage = Stage::new();
        let slow =
            |id| Script { start_time: millis(draw(3) as u64), stop_time: millis(draw(3) as u64), ..script(&stage, id) };
        let shutdown = [Shutdown::BrutalKill, Shutdown::Timeout(millis(1)), Shutdown::Infinity][draw(3)];
        let children: Vec<_> = IDS[..4].iter().map(|id| slow(id).child().shutdown(shutdown)).collect();
        let supervisor = Supervisor::new(strategy()).intensity(20, secs(5)).named("s").children(children);
        let starting = supervisor.start_on(&node(), SpawnOptions::default());
        let stopper = node().spawn_process(async move |me: biotope_runtime::Process<()>| {
            time::sleep(millis(draw(12) as u64)).await;
            if let Some(supervisor) = node().whereis("s") {
                match draw(3) {
                    0 => me.exit(supervisor, ExitReason::Kill),
                    1 => node().exit(supervisor, ExitReason::Shutdown),
                    _ => node().stop(supervisor, ExitReason::Normal),
                }
            }
            Ok(())
        });
        if let Ok(supervisor) = starting.await {
            for _ in 0..draw(12) {
                let id = IDS[draw(IDS.len())];
                // Whatever the answer is, there is one, and before its deadline.
                let before = node().runtime().now();
                match draw(6) {
                    0 => drop(supervisor.start_child(slow(id).child().restart(Temporary)).await),
                    1 => drop(supervisor.terminate_child(id).await),
                    2 => drop(supervisor.restart_child(id).await),
                    3 => drop(supervisor.delete_child(id).await),
                    4 => hurt(&stage, id),
                    _ => time::sleep(millis(1)).await,
                }
                assert!(node().runtime().now() - before < secs(1), "a request was not answered");
            }
            supervisor.stop_and_wait(ExitReason::Shutdown).await;
        }
        node().ended(&stopper).await;
        assert_eq!(node().whereis("s"), None);
        Ok(())
    });
}

/// A start that fails, in whatever way and wherever: who had started is stopped in reverse, and who comes after it is not started.
#[test]
fn a_start_that_fails_is_rolled_back() {
    under_300_seeds("storms::a_start_that_fails_is_rolled_back", || async {
        let stage = Stage::new();
        let bad = draw(IDS.len());
        let how = [Going::Refused, Going::Panics, Going::Dies][draw(3)];
        let children = IDS.iter().enumerate().map(|(at, id)| {
            let start = match (at == bad, how) {
                (false, _) => |_| Going::Well,
                (true, Going::Refused) => |_| Going::Refused,
                (true, Going::Panics) => |_| Going::Panics,
                (true, _) => |_| Going::Dies,
            };
            Script { start, start_time: millis(draw(2) as u64), ..script(&stage, id) }.child()
        });
        let supervisor = Supervisor::new(strategy()).children(children.collect::<Vec<_>>());
        let error = supervisor.start_on(&node(), SpawnOptions::default()).await.unwrap_err();
        let SupervisorStartError::Child { id, .. } = &error else { panic!("{error}") };
        assert_eq!(&**id, IDS[bad]);
        let lines: Vec<_> = stage.rest().await.into_iter().filter(|line| !line.starts_with("begin")).collect();
        let starts = IDS[..bad].iter().map(|id| format!("start {id}"));
        let stops = IDS[..bad].iter().rev().map(|id| format!("stop {id}: shutdown"));
        assert_eq!(lines, starts.chain(stops).collect::<Vec<_>>());
        Ok(())
    });
}

/// Starts that fail now and then, while others crash: a child that is up at the end was started last by the supervisor, once.
#[test]
fn restarts_that_fail_are_tried_again_until_they_succeed_or_are_too_many() {
    under_300_seeds("storms::restarts_that_fail", || async {
        let stage = Stage::new();
        let children = IDS.map(|id| {
            let start = |n| match (n, draw(4)) {
                (0, _) => Going::Well,
                (_, 0) => Going::Refused,
                (_, 1) => Going::Panics,
                _ => Going::Well,
            };
            Script { start, ..script(&stage, id) }.child().restart(Transient)
        });
        let supervisor = Supervisor::new(strategy()).intensity(60, secs(3600)).children(children);
        let supervisor = supervisor.start_on(&node(), SpawnOptions::default()).await?;
        for _ in 0..10 {
            hurt(&stage, IDS[draw(IDS.len())]);
        }
        time::sleep(secs(1)).await;
        if node().is_alive(&supervisor) {
            let mut up = BTreeMap::new();
            for child in supervisor.which_children().await? {
                if let Some(pid) = child.pid() {
                    assert!(node().is_alive(pid));
                    assert_eq!(pid, stage.pid(&child.id), "the last that was started");
                    up.insert(child.id.clone(), pid);
                }
            }
            let workers = node().processes().into_iter().filter(|process| process.actor == "Worker").count();
            assert_eq!(workers, up.len(), "no process but those that are listed");
            supervisor.stop_and_wait(ExitReason::Shutdown).await;
        }
        Ok(())
    });
}
