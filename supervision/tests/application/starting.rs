//! What an application needs, and a start that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use biotope_runtime::{ExitReason, node};
use biotope_supervision::{
    App, AppFailure, Application, Callback, Env, LoadError, StartAppError, Supervisor, SupervisorStartError,
};

use crate::support::*;
use crate::tools::*;

#[test]
fn app_01_what_is_needed_starts_first() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let applications = node().applications();
        let stage = Stage::new();
        applications.load(telling(&stage, "f1")).await?;
        applications.load(telling(&stage, "f2").needs("f1")).await?;
        applications.load(telling(&stage, "f3").needs("f2")).await?;
        let error = applications.start("f3").await.unwrap_err();
        assert_eq!(error, StartAppError::NotStarted { name: "f3".into(), needs: "f2".into() });
        let started = applications.ensure_all_started("f3").await?;
        assert_eq!(names(&started), ["f1", "f2", "f3"]);
        stage.expect(["start f1", "start f2", "start f3"]).await;
        assert_eq!(names(&applications.ensure_all_started("f3").await?), [""; 0]);
        assert_eq!(applications.start("f1").await, Err(StartAppError::AlreadyStarted("f1".into())));
        assert_eq!(running().await, ["f1", "f2", "f3"]);
        for name in ["f3", "f2", "f1"] {
            applications.stop(name).await?;
            applications.unload(name).await?;
        }
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_01_needs_that_make_a_circle_or_lead_nowhere_are_named() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let applications = node().applications();
        applications.load(App::new("a").needs("b")).await?;
        applications.load(App::new("b").needs("a")).await?;
        applications.load(App::new("c").needs("nobody")).await?;
        let text = applications.ensure_all_started("a").await.unwrap_err().to_string();
        assert_eq!(text, "applications need each other in a circle: a needs b needs a");
        let text = applications.ensure_all_started("c").await.unwrap_err().to_string();
        assert_eq!(text, "no application `nobody` is loaded, which `c` needs");
        let text = applications.start("d").await.unwrap_err().to_string();
        assert_eq!(text, "no application `d` is loaded");
        assert_eq!(applications.load(App::new("a")).await, Err(LoadError::AlreadyLoaded("a".into())));
        for name in ["a", "b", "c"] {
            applications.unload(name).await?;
        }
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_01_what_an_application_brings_along_is_loaded_and_started_with_it() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        let store = telling(&stage, "store");
        let shop = telling(&stage, "shop").needs(telling(&stage, "till").needs(store.clone())).needs(store);
        let shop = shop.start_on(&node()).await?;
        stage.expect(["start store", "start till", "start shop"]).await;
        assert_eq!(running().await, ["store", "till", "shop"]);
        shop.stop().await?;
        for name in ["shop", "till", "store"] {
            let [first, second, third] = stop_of(name);
            stage.expect([&first, &second, &third]).await;
        }
        before.is_restored(&mut me).await
    });
}

fn refusing(stage: &Stage, id: &'static str) -> Supervisor {
    let bad = Script { start: |_| Going::Refused, ..script(stage, id) };
    Supervisor::one_for_one().child(worker(stage, "first")).child(bad.child())
}

#[test]
fn app_02_what_a_failing_start_had_started_is_stopped_again() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let applications = node().applications();
        let stage = Stage::new();
        applications.load(telling(&stage, "e1")).await?;
        applications.load(App::new("e2").needs("e1").supervisor(refusing(&stage, "bad"))).await?;
        let error = applications.ensure_all_started("e2").await.unwrap_err();
        let StartAppError::Failed { name, why } = &error else { panic!("{error}") };
        assert_eq!(&**name, "e2");
        assert!(matches!(why, AppFailure::Supervisor(SupervisorStartError::Child { id, .. }) if &**id == "bad"));
        assert!(error.to_string().contains("nope"), "{error}");
        stage.expect(["start e1", "start first", "stop first: shutdown"]).await;
        let [first, second, third] = stop_of("e1");
        stage.expect([&first, &second, &third]).await;
        assert_eq!(running().await, [""; 0]);

        // One that ran before stays.
        applications.start("e1").await?;
        assert!(applications.ensure_all_started("e2").await.is_err());
        stage.expect(["start e1", "start first", "stop first: shutdown"]).await;
        assert_eq!(running().await, ["e1"]);
        applications.stop("e1").await?;
        applications.unload("e1").await?;
        applications.unload("e2").await?;
        before.is_restored(&mut me).await
    });
}

/// Counts its phases, and how many of it there are.
struct Counting {
    alive: Arc<AtomicUsize>,
    phases: Vec<String>,
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Application for Counting {
    const PHASES: &'static [&'static str] = &["one", "two"];

    async fn start(_env: &Env) -> biotope_runtime::Result<(Self, Supervisor)> {
        let alive = Arc::new(AtomicUsize::new(1));
        Ok((Self { alive, phases: Vec::new() }, Supervisor::one_for_one()))
    }

    async fn phase(&mut self, phase: &str, _env: &Env) -> biotope_runtime::Result<()> {
        self.phases.push(phase.to_owned());
        Ok(())
    }

    async fn before_stop(&mut self, _env: &Env) -> biotope_runtime::Result<()> {
        self.phases.push("before".to_owned());
        Ok(())
    }

    async fn after_stop(self, env: &Env) -> biotope_runtime::Result<()> {
        assert_eq!(self.phases, ["one", "two", "before"], "the state is handed from callback to callback");
        assert_eq!(self.alive.load(Ordering::Relaxed), 1);
        env.node().lookup::<Supervisor>("told").expect("the test has one").stop();
        Ok(())
    }
}

#[test]
fn app_03_a_start_may_make_a_state_for_the_other_callbacks() {
    everywhere(|mut me| async move {
        let before = Before::now();
        // Its end tells that the last callback was called.
        let told = Supervisor::one_for_one().named("told").start_link().await?;
        let end = me.monitor(&told);
        let counting = App::of::<Counting>("counting").start_on(&node()).await?;
        counting.stop().await?;
        assert_eq!(down(&mut me, end).await?, ExitReason::Normal);
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_03_a_callback_that_fails_or_panics_is_named() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        let fails = || async { Err(ExitReason::value("no").into()) };
        let panics = || async { panic!("boom") };
        let failure = |app: App| async move {
            let applications = node().applications();
            let name = app.name().to_owned();
            applications.load(app).await?;
            let error = applications.start(&name).await.unwrap_err();
            assert_eq!(running().await, [""; 0]);
            applications.unload(&name).await?;
            let StartAppError::Failed { why: AppFailure::Callback { callback, reason }, .. } = error else {
                panic!("{error}")
            };
            Ok::<_, biotope_runtime::Error>((callback, reason.to_string()))
        };
        let (callback, reason) = failure(App::new("a").start(move |_| fails())).await?;
        assert_eq!((callback, &*reason), (Callback::Start, "\"no\""));
        let (callback, reason) = failure(App::new("a").start(move |_| panics())).await?;
        assert_eq!((callback, &*reason), (Callback::Start, "panicked: boom"));

        let app = telling(&stage, "a").phase("warm", async |_| Ok(())).phase("open", async |_| panic!("boom"));
        let (callback, reason) = failure(app).await?;
        assert_eq!((callback, &*reason), (Callback::Phase("open".into()), "panicked: boom"));
        stage.expect(["start a", "stop a: shutdown", "after a"]).await;
        before.is_restored(&mut me).await
    });
}

/// Goal: a callback that fails while it stops is told and holds up nothing.
#[test]
fn app_03_a_callback_that_panics_while_it_stops_does_not_keep_it_from_stopping() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        let app = telling(&stage, "a").before_stop(async |_| panic!("boom")).after_stop(async |_| panic!("boom"));
        let app = app.start_on(&node()).await?;
        app.stop().await?;
        stage.expect(["start a", "before a", "stop a: shutdown", "after a"]).await;
        before.is_restored(&mut me).await
    });
}
