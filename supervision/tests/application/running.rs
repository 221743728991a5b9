//! An application as a program: until it is told to stop.

use std::future::pending;
use std::time::Duration;

use biotope_runtime::{ExitReason, Process, node, time};
use biotope_supervision::{
    App, AppError, AppFailure, Child, LoadError, Shutdown, StartAppError, StopSignal, Supervisor, SupervisorStartError,
};
use tokio::sync::mpsc;

use crate::support::*;
use crate::tools::*;

fn shop(stage: &Stage) -> App {
    let children = ["a", "b"].map(|id| worker(stage, id));
    App::new("shop").supervisor(Supervisor::one_for_one().named("shop").children(children))
}

#[test]
fn app_04_a_stop_stops_the_children_in_reverse_and_waits() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let app = shop(&stage).start_on(&node()).await?;
        stage.expect(["start a", "start b"]).await;
        assert_eq!(app.supervisor().count_children().await?.active, 2);
        app.stop().await?;
        stage.expect(["stop b: shutdown", "stop a: shutdown"]).await;
        assert!(!node().is_alive(app.supervisor()));
        // Whoever asks later hears the same.
        assert_eq!(app.stop().await, Ok(()));
        Ok(())
    });
}

#[test]
fn app_02_a_start_that_fails_names_the_child_and_leaves_nothing() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let bad = Script { start: |_| Going::Refused, ..script(&stage, "bad") };
        let root = Supervisor::one_for_one().child(worker(&stage, "a")).child(bad.child());
        for _ in 0..2 {
            let app = App::new("shop").supervisor(root.clone());
            let Err(AppError::Start(StartAppError::Failed {
                why: AppFailure::Supervisor(SupervisorStartError::Child { id, .. }),
                ..
            })) = app.start_on(&node()).await
            else {
                panic!("it started")
            };
            assert_eq!(&*id, "bad");
            stage.expect(["start a", "stop a: shutdown"]).await;
        }
        let twice =
            App::new("shop").supervisor(Supervisor::one_for_one().children([worker(&stage, "a"), worker(&stage, "a")]));
        let error = twice.start_on(&node()).await.unwrap_err();
        assert!(error.to_string().contains("two children are called `a`"), "{error}");
        Ok(())
    });
}

#[test]
fn an_application_runs_once_at_a_time() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let app = shop(&stage).start_on(&node()).await?;
        let error = shop(&stage).start_on(&node()).await.unwrap_err();
        assert_eq!(error, AppError::Start(StartAppError::Load(LoadError::AlreadyLoaded("shop".into()))));
        app.stop().await?;
        // When it is over, it is free.
        shop(&stage).start_on(&node()).await?.stop().await?;
        Ok(())
    });
}

#[test]
fn a_run_whose_application_is_stopped_by_name_is_over_and_does_not_concern_the_next() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let applications = node().applications();
        let first = shop(&stage).start_on(&node()).await?;
        applications.stop("shop").await?;
        assert_eq!(first.ended().await, Ok(()));
        let second = shop(&stage).start_on(&node()).await?;
        first.kill();
        assert_eq!(first.stop().await, Ok(()));
        assert_eq!(running().await, ["shop"], "the first run's commands are none of the second's");
        assert_eq!(second.stop().await, Ok(()));
        assert!(applications.loaded_applications().await.is_empty());
        Ok(())
    });
}

#[test]
fn it_runs_until_it_is_told_to_stop() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let heard = stage.clone();
        let until = async move {
            heard.expect(["start a", "start b"]).await;
        };
        shop(&stage).run_until(until).await?;
        stage.expect(["stop b: shutdown", "stop a: shutdown"]).await;
        Ok(())
    });
}

#[test]
fn a_second_signal_kills_what_has_not_stopped() {
    virtually(|mut me| async move {
        let stage = Stage::new();
        let stubborn = Script { stop_time: secs(200), ..script(&stage, "stubborn") };
        let stubborn = stubborn.child().shutdown(Shutdown::Infinity);
        let inner = Supervisor::one_for_one().child(stubborn);
        let root = Supervisor::one_for_one().child(worker(&stage, "a")).child(inner);
        let (sender, signals) = mpsc::channel(8);
        let (ended, outcome) = tokio::sync::oneshot::channel();
        let app = App::new("shop").supervisor(root);
        me.node().spawn_process(async move |_: Process<()>| {
            let _ = ended.send(app.run_with(signals).await);
            Ok(())
        });
        stage.expect(["start a", "start stubborn"]).await;
        let monitors = [me.monitor(stage.pid("stubborn")), me.monitor(stage.pid("a"))];
        let before = time::now();
        sender.send(StopSignal::Interrupt).await?;
        time::sleep(secs(10)).await;
        assert!(node().is_alive(stage.pid("stubborn")));
        // The first has begun an orderly stop, in which `a` waits for its turn.
        assert!(node().is_alive(stage.pid("a")));
        sender.send(StopSignal::Interrupt).await?;
        let error = outcome.await?.unwrap_err();
        assert_eq!(time::now() - before, secs(10));
        let AppError::Killed { by: Some(StopSignal::Interrupt), left } = &error else { panic!("{error}") };
        assert_eq!(left.iter().map(|left| left.pid).collect::<Vec<_>>(), [stage.pid("stubborn")]);
        assert_eq!(error.exit_code(), 130);
        for monitor in monitors {
            assert_eq!(down(&mut me, monitor).await?, ExitReason::Killed);
        }
        stage.expect_nothing().await;
        Ok(())
    });
}

#[test]
fn app_04_who_was_not_told_to_stop_yet_is_not_waited_for() {
    virtually(|me| async move {
        let stage = Stage::new();
        let slow = Script { stop_time: secs(200), ..script(&stage, "slow") }.child().shutdown(Shutdown::Infinity);
        let store = App::new("store").supervisor(Supervisor::one_for_one().child(worker(&stage, "a")));
        let shop = App::new("shop").needs(store).supervisor(Supervisor::one_for_one().child(slow));
        let app = shop.start_on(me.node()).await?;
        stage.expect(["start a", "start slow"]).await;
        let stopping = app.clone();
        me.node().spawn_process(async move |_: Process<()>| Ok(stopping.stop().await?));
        time::sleep(secs(1)).await;
        app.kill();
        let Err(AppError::Killed { left, .. }) = app.ended().await else { panic!("it stopped") };
        assert_eq!(left.iter().map(|left| left.pid).collect::<Vec<_>>(), [stage.pid("slow")], "{left:?}");
        Ok(())
    });
}

/// How an application ends that takes ten seconds to stop, when these signals come with `pause` between them.
async fn ends_after(me: &Process<()>, signals: [StopSignal; 2], pause: Duration) -> Result<(), AppError> {
    let stage = Stage::new();
    let slow = Script { stop_time: secs(10), ..script(&stage, "slow") };
    let app = App::new("shop").supervisor(Supervisor::one_for_one().child(slow.child().shutdown(Shutdown::Infinity)));
    let (sender, receiver) = mpsc::channel(8);
    let (ended, outcome) = tokio::sync::oneshot::channel();
    me.node().spawn_process(async move |_: Process<()>| {
        let _ = ended.send(app.run_with(receiver).await);
        Ok(())
    });
    stage.expect(["start slow"]).await;
    for (at, signal) in signals.into_iter().enumerate() {
        if at > 0 {
            time::sleep(pause).await;
        }
        sender.send(signal).await.expect("it runs");
    }
    outcome.await.expect("it ends")
}

#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    use StopSignal::{Interrupt, Terminate};
    virtually(|me| async move {
        let soon = Duration::from_millis(499);
        assert_eq!(ends_after(&me, [Terminate; 2], Duration::ZERO).await, Ok(()));
        assert_eq!(ends_after(&me, [Terminate; 2], soon).await, Ok(()));
        let outcomes = [
            ends_after(&me, [Terminate; 2], Duration::from_millis(501)).await,
            ends_after(&me, [Interrupt, Terminate], Duration::ZERO).await,
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(AppError::Killed { by: Some(Terminate), .. })), "{outcome:?}");
        }
        Ok(())
    });
}

#[test]
fn a_signal_during_the_start_stops_it() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let slow = Script { start_time: secs(100), ..script(&stage, "slow") };
        let root = Supervisor::one_for_one().child(worker(&stage, "a")).child(slow.child().shutdown(secs(1)));
        let before = time::now();
        App::new("shop").supervisor(root).run_until(time::sleep(secs(5))).await?;
        assert_eq!(time::now() - before, secs(6));
        stage.expect(["start a", "begin slow", "stop a: shutdown"]).await;
        Ok(())
    });
}

#[test]
fn app_05_an_application_that_ends_by_itself_says_why() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let root = Supervisor::one_for_one().intensity(0, secs(5)).child(worker(&stage, "a"));
        let app = App::new("shop").supervisor(root).start_on(&node()).await?;
        stage.kill("a");
        let ended = AppError::Ended { name: "shop".into(), reason: ExitReason::Shutdown };
        assert_eq!(app.ended().await, Err(ended));
        Ok(())
    });
}

#[test]
fn an_application_ends_in_order_with_the_process_that_runs_it() {
    everywhere(|me| async move {
        let stage = Stage::new();
        let app = shop(&stage);
        let runner = node().spawn_process(async move |_: Process<()>| Ok(app.run_until(pending()).await?));
        stage.expect(["start a", "start b"]).await;
        me.exit(&runner, ExitReason::Kill);
        stage.expect(["stop b: shutdown", "stop a: shutdown"]).await;
        Ok(())
    });
}

#[test]
fn a_killed_application_takes_along_what_its_processes_have_spawned() {
    everywhere(|mut me| async move {
        let (sender, spawned) = tokio::sync::oneshot::channel();
        let sender = std::sync::Arc::new(std::sync::Mutex::new(Some(sender)));
        let child = Child::with("c", move |node, options| {
            let sender = sender.clone();
            async move {
                let process = node.spawn_process_with(options, async move |mut me: Process<()>| {
                    // Neither linked to its parent nor listening to it.
                    let apart = biotope_runtime::spawn_process(async |me: Process<()>| {
                        me.trap_exits(true);
                        pending().await
                    });
                    let _ = sender.lock().unwrap().take().unwrap().send(apart.pid());
                    me.receive().await?;
                    Ok(())
                });
                Ok(process.pid())
            }
        });
        let app = App::new("shop").supervisor(Supervisor::one_for_one().child(child)).start_on(&node()).await?;
        let end = me.monitor(spawned.await?);
        app.kill();
        assert!(matches!(app.ended().await, Err(AppError::Killed { by: None, .. })));
        assert_eq!(down(&mut me, end).await?, ExitReason::Killed);
        Ok(())
    });
}

#[test]
fn a_seeded_run_has_no_signals_and_ends_with_its_application() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let app = shop(&stage);
        let (sender, outcome) = tokio::sync::oneshot::channel();
        node().spawn_process(async move |_: Process<()>| {
            let _ = sender.send(app.run().await.is_ok());
            Ok(())
        });
        stage.expect(["start a", "start b"]).await;
        node().lookup::<Supervisor>("shop").unwrap().stop();
        assert!(outcome.await?);
        stage.expect(["stop b: shutdown", "stop a: shutdown"]).await;
        Ok(())
    });
}
