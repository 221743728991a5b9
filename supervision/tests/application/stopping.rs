//! In which order applications stop, and what becomes of one that does not.

use std::future::pending;

use biotope_runtime::{ExitReason, Node, node, time};
use biotope_supervision::{App, AppError, AppState, Shutdown, StopAppError, Supervisor};

use crate::support::*;
use crate::tools::*;

#[test]
fn app_04_callbacks_before_and_after_the_children_which_stop_in_reverse() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let applications = node().applications();
        let stage = Stage::new();
        let children = ["a", "b"].map(|id| worker(&stage, id));
        applications.load(telling(&stage, "shop").supervisor(Supervisor::one_for_one().children(children))).await?;
        applications.start("shop").await?;
        stage.expect(["start a", "start b"]).await;
        applications.stop("shop").await?;
        stage.expect(["before shop", "stop b: shutdown", "stop a: shutdown", "after shop"]).await;
        let loaded = applications.loaded_applications().await;
        assert_eq!(loaded.iter().map(|app| (&*app.name, app.state)).collect::<Vec<_>>(), [("shop", AppState::Loaded)]);
        assert_eq!(applications.stop("shop").await, Err(StopAppError::NotStarted("shop".into())));
        // And it can be started again.
        applications.start("shop").await?;
        applications.stop("shop").await?;
        applications.unload("shop").await?;
        before.is_restored(&mut me).await
    });
}

/// Goal: `before_stop` sees children that run, `after_stop` those that are gone.
#[test]
fn app_04_children_run_before_and_are_gone_after() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let (before, after) = (stage.clone(), stage.clone());
        let app = App::new("shop")
            .supervisor(Supervisor::one_for_one().child(worker(&stage, "a")))
            .before_stop(move |_| {
                let is_alive = node().is_alive(before.pid("a"));
                async move {
                    assert!(is_alive);
                    Ok(())
                }
            })
            .after_stop(move |env| {
                after.tell(format!("after: {}", env.node().is_alive(after.pid("a"))));
                async { Ok(()) }
            });
        app.start_on(&node()).await?.stop().await?;
        stage.expect(["start a", "stop a: shutdown", "after: false"]).await;
        Ok(())
    });
}

/// Goal: what a root supervisor leaves that is killed is waited for, and killed when it takes too long.
#[test]
fn app_04_children_of_a_killed_root_are_gone_after() {
    virtually(|mut me| async move {
        for (stop_time, rest) in [(secs(4), vec!["stop a: killed", "after shop"]), (secs(200), vec!["after shop"])] {
            let before = Before::now();
            let stage = Stage::new();
            let child = Script { stop_time, ..script(&stage, "a") }.child();
            let app = telling(&stage, "shop").supervisor(Supervisor::one_for_one().child(child));
            let app = app.start_on(&node()).await?;
            stage.expect(["start a"]).await;
            let at = time::now();
            me.exit(app.supervisor(), ExitReason::Kill);
            let error = AppError::Ended { name: "shop".into(), reason: ExitReason::Killed };
            assert_eq!(app.ended().await, Err(error));
            assert!(!node().is_alive(stage.pid("a")));
            assert_eq!((time::now() - at).as_secs(), stop_time.as_secs().min(5));
            assert_eq!(stage.rest().await, rest);
            before.is_restored(&mut me).await?;
        }
        Ok(())
    });
}

/// Goal: the end of an application whose own process is killed is told when its tree is gone.
#[test]
fn app_04_an_application_whose_process_is_killed_ends_after_its_children() {
    virtually(|mut me| async move {
        for (stop_time, rest) in [(secs(4), vec!["stop a: shutdown"]), (secs(200), vec![])] {
            let before = Before::now();
            let stage = Stage::new();
            let child = Script { stop_time, ..script(&stage, "a") }.child().shutdown(Shutdown::Infinity);
            let app = telling(&stage, "shop").supervisor(Supervisor::one_for_one().child(child));
            let app = app.start_on(&node()).await?;
            stage.expect(["start a"]).await;
            let at = time::now();
            let master = node().peek(app.supervisor().pid()).and_then(|root| root.parent);
            me.exit(master.expect("it has a parent"), ExitReason::Kill);
            let error = AppError::Ended { name: "shop".into(), reason: ExitReason::Killed };
            assert_eq!(app.ended().await, Err(error));
            assert!(!node().is_alive(stage.pid("a")) && !node().is_alive(app.supervisor().pid()));
            assert_eq!((time::now() - at).as_secs(), stop_time.as_secs().min(5));
            assert_eq!(stage.rest().await, rest);
            before.is_restored(&mut me).await?;
        }
        Ok(())
    });
}

#[test]
fn app_04_one_may_have_any_time_to_stop() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let app = telling(&stage, "shop").stop_within(std::time::Duration::MAX).start_on(&node()).await?;
        assert_eq!(app.stop().await, Ok(()));
        stage.expect(["start shop", "before shop", "stop shop: shutdown", "after shop"]).await;
        Ok(())
    });
}

/// Goal: a phase that is given up cannot keep the tree from stopping by a panic.
#[test]
fn app_03_a_phase_that_panics_when_it_is_dropped_does_not_keep_it_from_stopping() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        let app = telling(&stage, "shop").phase("hangs", async |_| {
            let _bomb = Bomb;
            pending().await
        });
        assert_eq!(app.run_until(time::sleep(millis(5))).await, Ok(()));
        stage.expect(["start shop", "stop shop: shutdown", "after shop"]).await;
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_04_what_needs_an_application_stops_before_it() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let applications = node().applications();
        let stage = Stage::new();
        applications.load(telling(&stage, "shop").needs(telling(&stage, "store"))).await?;
        applications.ensure_all_started("shop").await?;
        stage.expect(["start store", "start shop"]).await;
        applications.stop("store").await?;
        for name in ["shop", "store"] {
            let [first, second, third] = stop_of(name);
            stage.expect([&first, &second, &third]).await;
        }
        applications.unload("shop").await?;
        applications.unload("store").await?;
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_04_one_that_does_not_stop_in_time_is_killed_and_who_it_was_is_told() {
    virtually(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        let stubborn = Script { stop_time: secs(200), ..script(&stage, "stubborn") };
        let inner = Supervisor::one_for_one().named("inner").child(stubborn.child().shutdown(Shutdown::Infinity));
        let root = Supervisor::one_for_one().child(worker(&stage, "a")).child(inner);
        let applications = node().applications();
        applications.load(App::new("shop").supervisor(root).stop_within(secs(7))).await?;
        applications.start("shop").await?;
        let (pid, at) = (stage.pid("stubborn"), time::now());
        let Err(StopAppError::Killed(left)) = applications.stop("shop").await else { panic!("it stopped") };
        assert_eq!(time::now() - at, secs(7));
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!((left[0].pid, &*left[0].name, &*left[0].application), (pid, "Worker", "shop"));
        assert!(!node().is_alive(pid) && !node().is_alive(stage.pid("a")));
        applications.unload("shop").await?;
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_04_a_callback_that_hangs_is_killed_in_time_and_named() {
    virtually(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        for phase in 0..2 {
            let hangs = async |_| pending().await;
            let app = telling(&stage, "shop").stop_within(secs(3));
            let app = if phase == 0 { app.before_stop(hangs) } else { app.after_stop(hangs) };
            let app = app.start_on(&node()).await?;
            let at = time::now();
            let error = app.stop().await.unwrap_err();
            assert_eq!(time::now() - at, secs(3));
            let AppError::Killed { left, .. } = &error else { panic!("{error}") };
            let callback = ["callback `before_stop`", "callback `after_stop`"][phase];
            assert_eq!(left.iter().map(|straggler| &*straggler.name).collect::<Vec<_>>(), [callback]);
        }
        before.is_restored(&mut me).await
    });
}

async fn other_node() -> biotope_runtime::Result<Node> {
    Ok(Node::builder("other").runtime(node().runtime().clone()).shutdown_grace(secs(60)).start().await?)
}

#[test]
fn app_08_the_end_of_the_node_stops_all_in_reverse() {
    everywhere(|_me| async move {
        let other = other_node().await?;
        let stage = Stage::new();
        let applications = other.applications();
        applications.load(telling(&stage, "c").needs(telling(&stage, "b").needs(telling(&stage, "a")))).await?;
        applications.ensure_all_started("c").await?;
        stage.expect(["start a", "start b", "start c"]).await;
        other.shutdown().await;
        for name in ["c", "b", "a"] {
            let [first, second, third] = stop_of(name);
            stage.expect([&first, &second, &third]).await;
        }
        assert_eq!(other.processes().len(), 0);
        Ok(())
    });
}

#[test]
fn app_08_the_node_waits_for_its_applications_within_its_limit() {
    virtually(|_me| async move {
        for (stop_time, is_orderly) in [(secs(40), true), (secs(100), false)] {
            let other = other_node().await?;
            let stage = Stage::new();
            let slow = Script { stop_time, ..script(&stage, "slow") }.child().shutdown(Shutdown::Infinity);
            let app = App::new("shop").supervisor(Supervisor::one_for_one().child(slow)).start_on(&other).await?;
            stage.expect(["start slow"]).await;
            let at = time::now();
            other.shutdown().await;
            assert_eq!(time::now() - at, stop_time.min(secs(60)));
            assert_eq!(app.ended().await.is_ok(), is_orderly);
            if is_orderly {
                stage.expect(["stop slow: shutdown"]).await;
            }
            stage.expect_nothing().await;
        }
        Ok(())
    });
}

#[test]
fn app_08_an_application_stops_in_order_when_its_node_ends() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let other = other_node().await?;
        let app = telling(&stage, "shop").start_on(&other).await?;
        other.shutdown().await;
        assert_eq!(app.ended().await, Ok(()));
        stage.expect(["start shop", "before shop", "stop shop: shutdown", "after shop"]).await;
        let late = App::new("late").start_on(&other).await;
        assert!(matches!(late, Err(AppError::Start(_))), "{late:?}");
        assert_eq!(other.halt_reason(), None::<ExitReason>);
        Ok(())
    });
}
