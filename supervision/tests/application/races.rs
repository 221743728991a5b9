//! Whatever dies while an application starts, runs or stops, nothing is left.

use std::future::pending;

use biotope_runtime::{Address, ExitReason, Node, Process, node, time};
use biotope_supervision::{App, StartAppError, Supervisor};

use crate::support::*;
use crate::tools::*;

/// In virtual time under 200 seeds, and on the real scheduler.
fn racing<F, Fut>(body: F)
where
    F: Fn(Process<()>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = biotope_runtime::Result<()>> + Send + 'static,
{
    let name = std::any::type_name::<F>();
    biotope_testkit::everywhere(name, 200, 20, || in_process(body.clone()));
}

/// How long whatever is slow in these applications takes.
const SLOW: u64 = 3;

/// An application that takes its time wherever it can.
fn slow(stage: &Stage, name: &'static str) -> App {
    let child = Script { start_time: millis(SLOW), stop_time: millis(SLOW), ..script(stage, name) }.child();
    let root = Supervisor::one_for_one().named(name).child(child);
    let pause = |_| pause(millis(SLOW));
    App::new(name)
        .start(move |_| {
            let root = root.clone();
            async {
                time::sleep(millis(SLOW)).await;
                Ok(root)
            }
        })
        .phase("one", pause)
        .phase("two", pause)
        .before_stop(pause)
        .after_stop(pause)
}

/// A moment of a life of [`slow`] applications, drawn from the seed.
fn moment() -> std::time::Duration {
    std::time::Duration::from_micros(node().runtime().random() % (SLOW * 1000 * 24))
}

fn shop(stage: &Stage) -> App {
    slow(stage, "shop").needs(slow(stage, "till").needs(slow(stage, "store")))
}

/// Runs the shop in a process of its own, longer than its start takes.
fn run_for_a_while(stage: &Stage) -> Address<()> {
    let app = shop(stage);
    node().spawn_process(async move |_: Process<()>| {
        let _ = app.run_until(time::sleep(millis(SLOW * 16))).await;
        Ok(())
    })
}

#[test]
fn app_02_a_stop_at_any_moment_of_a_start_leaves_nothing() {
    racing(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        let outcome = shop(&stage).run_until(time::sleep(moment())).await;
        assert_eq!(outcome, Ok(()));
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_02_a_controller_that_is_killed_at_any_moment_takes_its_applications_along() {
    racing(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        run_for_a_while(&stage);
        time::sleep(moment()).await;
        if let Some(controller) = node().whereis("application_controller") {
            me.exit(controller, ExitReason::Kill);
        }
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_02_a_master_that_is_killed_at_any_moment_leaves_nothing() {
    racing(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        run_for_a_while(&stage);
        time::sleep(moment()).await;
        let masters = node()
            .processes()
            .into_iter()
            .filter(|process| process.label.as_deref().is_some_and(|label| label.starts_with("application ")));
        let masters: Vec<_> = masters.collect();
        if !masters.is_empty() {
            let one = node().runtime().random() as usize % masters.len();
            me.exit(masters[one].pid, ExitReason::Kill);
        }
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_05_a_need_that_crashes_at_any_moment_leaves_nothing() {
    racing(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        let runner = run_for_a_while(&stage);
        let end = me.monitor(&runner);
        time::sleep(moment()).await;
        if let Some(root) = node().whereis("store") {
            me.exit(root, ExitReason::Kill);
        }
        // Its start or its run fails, or it had stopped before: in any case it is over.
        down(&mut me, end).await?;
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_02_a_start_that_is_asked_for_twice_happens_once() {
    racing(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        let applications = node().applications();
        applications.load(shop(&stage)).await?;
        let two = [0, 1].map(|_| {
            let (sender, outcome) = tokio::sync::oneshot::channel();
            let pause = moment();
            node().spawn_process(async move |_: Process<()>| {
                time::sleep(pause).await;
                let _ = sender.send(node().applications().ensure_all_started("shop").await);
                Ok(())
            });
            outcome
        });
        let mut started = Vec::new();
        for outcome in two {
            started.extend(outcome.await??);
        }
        assert_eq!(names(&started), ["store", "till", "shop"], "each was started by one of the two");
        assert_eq!(running().await, ["store", "till", "shop"]);
        applications.stop("store").await?;
        for name in ["shop", "till", "store"] {
            applications.unload(name).await?;
        }
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_04_starts_and_stops_at_once_agree_in_the_end() {
    racing(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        let applications = node().applications();
        applications.load(shop(&stage)).await?;
        let stopping = {
            let pause = moment();
            let (sender, outcome) = tokio::sync::oneshot::channel();
            node().spawn_process(async move |_: Process<()>| {
                time::sleep(pause).await;
                let _ = sender.send(node().applications().stop("till").await);
                Ok(())
            });
            outcome
        };
        let started = applications.ensure_all_started("shop").await;
        let stopped = stopping.await?;
        match (&started, &stopped) {
            // It was stopped after all, or before it had begun.
            (Ok(_), _) => {}
            (Err(StartAppError::Stopped(name)), Ok(())) => assert!(["till", "shop"].contains(&&**name), "{name}"),
            (Err(StartAppError::NotStarted { needs, .. }), Ok(())) => assert_eq!(&**needs, "till"),
            other => panic!("{other:?}"),
        }
        for name in ["shop", "till", "store"] {
            let _ = applications.stop(name).await;
            applications.unload(name).await?;
        }
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_04_a_start_that_is_called_off_before_it_has_begun_is_over() {
    racing(|mut me| async move {
        let before = Before::now();
        let applications = node().applications();
        applications.load(App::new("a").after_stop(|_| pause(millis(100)))).await?;
        applications.start("a").await?;
        let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel();
        // While the first stop lasts it is asked for all of this, and when that is over it does it at once.
        for is_start in [false, true, false] {
            let (applications, sender) = (applications.clone(), sender.clone());
            node().spawn_process(async move |_: Process<()>| {
                let answer = if is_start {
                    applications.ensure_all_started("a").await.err().map(|error| error.to_string())
                } else {
                    applications.stop("a").await.err().map(|error| error.to_string())
                };
                let _ = sender.send((is_start, answer));
                Ok(())
            });
            time::sleep(millis(10)).await;
        }
        for _ in 0..3 {
            let (is_start, answer) = answers.recv().await.expect("each is answered");
            // The real clock may run ahead of whoever asks.
            if node().runtime().is_seeded() {
                let expected = is_start.then(|| StartAppError::Stopped("a".into()).to_string());
                assert_eq!(answer, expected);
            }
        }
        let _ = applications.stop("a").await;
        applications.unload("a").await?;
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_08_a_node_that_ends_at_any_moment_ends_with_all() {
    racing(|_me| async move {
        let stage = Stage::new();
        let other = Node::builder("other").runtime(node().runtime().clone()).start().await?;
        let app = shop(&stage);
        let outside = other.clone();
        node().spawn_process(async move |_: Process<()>| {
            let _ = app.start_on(&outside).await;
            Ok(())
        });
        time::sleep(moment()).await;
        let at = time::now();
        other.shutdown().await;
        assert_eq!(other.processes().len(), 0);
        if node().runtime().is_seeded() {
            assert!(time::now() - at < secs(1), "nothing had to be killed");
        }
        Ok(())
    });
}

#[test]
fn an_owner_that_ends_at_any_moment_takes_its_run_along() {
    racing(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        let app = shop(&stage);
        let owner = node().spawn_process(async move |_: Process<()>| Ok(app.run_until(pending()).await?));
        time::sleep(moment()).await;
        me.exit(&owner, ExitReason::Kill);
        before.is_restored(&mut me).await
    });
}
