//! What supervisors tell `tracing`.
//!
//! These tests are a program of their own: `tracing` decides once for each event whether anybody listens,
//! and in the other program threads without a subscriber could decide that nobody ever does.

#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "it/support.rs"]
mod support;

use std::fmt;
use std::sync::{Arc, Mutex};

use biotope_runtime::{ExitReason, Process, Result, node};
use biotope_supervision::{App, Child, Supervisor, Transient};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};

use support::*;

/// The events of one run, as text: `LEVEL message field=value …`.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Line(String, String);
        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                match field.name() {
                    "message" => self.0 = format!("{value:?}"),
                    name => self.1 += &format!(" {name}={value:?}"),
                }
            }
        }
        let targets = ["biotope_supervision", "biotope_runtime::node::storms"];
        if !targets.iter().any(|target| event.metadata().target().starts_with(target)) {
            return;
        }
        let mut line = Line(String::new(), String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(format!("{} {}{}", event.metadata().level(), line.0, line.1));
    }
}

/// Runs `body` in a seeded run, which is on this thread, and returns the events.
fn events_of<F>(body: fn(Process<()>) -> F) -> Vec<String>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let events = Events::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(events.clone()), || {
        biotope_testkit::under_seeds("reports", 1, || async move {
            let (sender, outcome) = tokio::sync::oneshot::channel();
            biotope_runtime::spawn_process(async move |me: Process<()>| {
                me.trap_exits(true);
                let _ = sender.send(body(me).await);
                Ok(())
            });
            outcome.await?
        });
    });
    let events = events.0.lock().unwrap().clone();
    // But a tree that starts, which is shown as one.
    let is_one_line = |event: &String| !event.contains('\n') || event.contains("application starts");
    assert!(events.iter().all(is_one_line), "one line each: {events:#?}");
    events
}

#[track_caller]
fn assert_event(event: &str, parts: &[&str]) {
    for part in parts {
        assert!(event.contains(part), "no `{part}` in: {event}");
    }
}

#[test]
fn log_04_progress_and_errors_with_the_childs_details() {
    let events = events_of(|mut me| async move {
        let stage = Stage::new();
        let start = |n| if n == 1 { Going::Refused } else { Going::Well };
        let child = Script { start, ..script(&stage, "c") }.child().restart(Transient).shutdown(secs(2));
        let supervisor = Supervisor::one_for_one().named("s").intensity(2, secs(5)).child(child).start_link().await?;
        let end = me.monitor(&supervisor);
        stage.end("c", ExitReason::value("crash"));
        settle().await;
        stage.end("c", ExitReason::value("crash"));
        down(&mut me, end).await?;
        Ok(())
    });
    let details = ["supervisor=\"s\"", "child=\"c\"", "restart=Transient", "shutdown=Timeout(2s)", "kind=Worker"];
    for event in &events {
        assert_event(event, &details);
    }
    assert_event(&events[0], &["INFO progress", "pid=<", "restarts=0"]);
    assert_event(&events[1], &["ERROR child_terminated", "reason=\"crash\"", "pid=<", "restarts=0"]);
    assert_event(&events[2], &["ERROR start_error", "reason=\"nope\"", "pid=none"]);
    assert_event(&events[3], &["INFO progress", "restarts=1"]);
    assert_event(&events[4], &["ERROR child_terminated", "restarts=1"]);
    assert_event(&events[5], &["ERROR shutdown:", "reached_max_restart_intensity"]);
    assert_eq!(events.len(), 6, "{events:#?}");
}

/// The one full report is the runtime's; the supervisor's line leads to it.
#[test]
fn log_04_what_is_said_of_a_crash_has_the_number_of_its_report() {
    let events = events_of(|_| async move {
        let stage = Stage::new();
        let _supervisor = Supervisor::one_for_one().child(worker(&stage, "c")).start_link().await?;
        let mut reports = node().crash_reports();
        stage.end("c", ExitReason::value("crash"));
        let report = reports.next().await.expect("the node lives");
        settle().await;
        tracing::info!(target: "biotope_supervision", pid = %report.pid, "reported");
        Ok(())
    });
    let pid_of = |what: &str| {
        let event = events.iter().find(|event| event.contains(what)).expect("it was told");
        event.split_once(" pid=").expect("it has a pid").1.split(' ').next().map(str::to_owned)
    };
    assert_eq!(pid_of("child_terminated"), pid_of("reported"), "{events:#?}");
}

#[test]
fn log_04_a_child_that_has_to_be_killed_is_reported() {
    let events = events_of(|mut me| async move {
        let stage = Stage::new();
        let stubborn = Script { stop_time: secs(200), ..script(&stage, "c") }.child().shutdown(secs(1));
        let supervisor = Supervisor::one_for_one().child(stubborn).start_link().await?;
        let end = me.monitor(&supervisor);
        supervisor.stop();
        down(&mut me, end).await?;
        Ok(())
    });
    assert_event(&events[1], &["ERROR shutdown_error", "reason=killed", "child=\"c\"", "pid=<"]);
    assert_eq!(events.len(), 2, "{events:#?}");
}

#[test]
fn log_05_an_application_tells_its_start_and_its_end() {
    let events = events_of(|_| async move {
        let stage = Stage::new();
        let root = Supervisor::one_for_one().intensity(0, secs(5)).child(worker(&stage, "c"));
        let app = App::new("shop").transient().supervisor(root).start_on(&node()).await?;
        stage.kill("c");
        let _ = app.ended().await;
        Ok(())
    });
    let event = |what: &str| events.iter().find(|event| event.contains(what)).expect("it was told");
    let details = ["application=\"shop\"", "node=\"", "kind=Transient"];
    assert_event(event("application started"), &["INFO "]);
    assert_event(event("application started"), &details);
    assert_event(event("application exited"), &["ERROR ", "reason=shutdown"]);
    assert_event(event("application exited"), &details);
    assert_event(event("application ended by itself"), &["WARN ", "reason=shutdown"]);
}

#[test]
fn log_05_the_end_of_an_application_is_no_error_if_somebody_asked_for_it() {
    let events = events_of(|_| async move {
        let stage = Stage::new();
        let root = || Supervisor::one_for_one().named("root").child(worker(&stage, "c"));
        App::new("shop").supervisor(root()).start_on(&node()).await?.stop().await?;
        let app = App::new("shop").supervisor(root()).start_on(&node()).await?;
        app.supervisor().stop();
        Ok(app.ended().await?)
    });
    let exits: Vec<&String> = events.iter().filter(|event| event.contains("application exited")).collect();
    assert_event(exits[0], &["INFO ", "reason=shutdown"]);
    assert_event(exits[1], &["INFO ", "reason=normal"]);
    assert_eq!(exits.len(), 2, "{events:#?}");
}

#[test]
fn log_05_a_start_that_fails_says_why() {
    let events = events_of(|_| async move {
        let app = App::new("shop").phase("warm", async |_| Err(ExitReason::value("cold").into()));
        assert!(app.start_on(&node()).await.is_err());
        Ok(())
    });
    assert_eq!(events.len(), 2, "{events:#?}");
    assert_event(&events[0], &["INFO application starts", "supervisor", "one_for_one"]);
    let details = [
        "ERROR application exited: it did not start application=\"shop\"",
        "kind=Permanent",
        "phase `warm` failed: \"cold\"",
    ];
    assert_event(&events[1], &details);
}

/// Goal: who stops slowly is told while it does, and what it is in.
#[test]
fn log_05_a_slow_stop_says_whom_it_waits_for() {
    let events = events_of(|_| async move {
        let stage = Stage::new();
        let slow = Script { stop_time: secs(12), ..script(&stage, "slow") }.child().shutdown(secs(60));
        let app = App::new("shop").supervisor(Supervisor::one_for_one().child(slow)).start_on(&node()).await?;
        Ok(app.stop().await?)
    });
    let waits: Vec<&String> = events.iter().filter(|event| event.contains("still stopping")).collect();
    assert_eq!(waits.len(), 2, "after five seconds, and after ten: {events:#?}");
    assert_event(waits[0], &["WARN ", "application=\"shop\"", "waits_for=Worker <", "of `shop`"]);
}

/// The crash reports of whatever is killed come before: what is told last is who is to blame.
#[test]
fn log_05_a_kill_says_at_the_end_who_did_not_stop() {
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            tracing::info!(target: "biotope_supervision", "gone");
        }
    }
    let events = events_of(|_| async move {
        let stubborn = Child::with("stubborn", |node, options| async move {
            let process = node.spawn_process_with(options, async |me: Process<()>| {
                let _guard = Guard;
                me.trap_exits(true);
                std::future::pending().await
            });
            Ok(process.pid())
        });
        let root = Supervisor::one_for_one().child(stubborn.shutdown(secs(100)));
        let app = App::new("shop").stop_within(secs(1)).supervisor(root).start_on(&node()).await?;
        assert!(app.stop().await.is_err());
        Ok(())
    });
    let at = events.iter().position(|event| event.contains("is killed")).expect("it was told");
    assert_event(&events[at], &["WARN application is killed"]);
    assert_event(&events[at + 1], &["INFO gone"]);
    assert_event(&events[at + 2], &["ERROR did not stop, and was killed", "process=", "of `shop`"]);
    assert_event(&events[at + 3], &["ERROR application exited: it was killed", "reason=killed"]);
}

#[test]
fn log_04_an_orderly_stop_is_no_error() {
    let events = events_of(|mut me| async move {
        let stage = Stage::new();
        let supervisor = Supervisor::one_for_one().child(worker(&stage, "a")).child(worker(&stage, "b"));
        let supervisor = supervisor.start_link().await?;
        let end = me.monitor(&supervisor);
        supervisor.stop();
        down(&mut me, end).await?;
        Ok(())
    });
    assert!(events.iter().all(|event| event.starts_with("INFO progress")), "{events:#?}");
}

/// As an assertion that failed says more than a line, or an error of somebody else's.
#[test]
fn log_04_a_reason_of_many_lines_is_told_in_one() {
    let events = events_of(|_| async move {
        let stage = Stage::new();
        let _supervisor = Supervisor::one_for_one().child(worker(&stage, "c")).start_link().await?;
        stage.end("c", ExitReason::ShutdownWith("two\nlines".into()));
        settle().await;
        Ok(())
    });
    assert_event(&events[1], &["ERROR child_terminated", "reason=shutdown: two lines"]);
}

/// Goal: of too many of one kind the first are told and the others counted, with nothing lost; what is different is told.
#[test]
fn log_04_a_storm_of_restarts_is_summarised_and_first_starts_are_not() {
    const CHILDREN: [&str; 30] = [
        "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20",
        "21", "22", "23", "24", "25", "26", "27", "28", "29", "30",
    ];
    let events = events_of(|_| async move {
        let stage = Stage::new();
        let supervisor = Supervisor::one_for_one().intensity(100, secs(5));
        let supervisor = supervisor.children(CHILDREN.map(|id| worker(&stage, id))).start_link().await?;
        CHILDREN.iter().for_each(|id| stage.end(id, ExitReason::value("all at once")));
        settle().await;
        stage.kill("7");
        settle().await;
        biotope_runtime::time::sleep(secs(5)).await;
        drop(supervisor);
        Ok(())
    });
    let count = |what: &str| events.iter().filter(|event| event.contains(what)).count();
    assert_eq!(count("progress: child started"), 30 + 10, "{events:#?}");
    assert_eq!((count("child_terminated: child ended"), count("reason=killed")), (10 + 1, 1), "{events:#?}");
    let summary = |what: &str| events.iter().find(|event| event.contains(what)).expect("it is told");
    let terminated = summary(" more ends of children (child_terminated) within 5s: \"all at once\"; the last is <");
    assert_event(terminated, &["ERROR 20 more ", "node=\"test\"", "more=20"]);
    assert_event(summary(" more restarts (progress) within 5s; the last is <"), &["INFO 21 more "]);
    assert!(summary(" more crashes of Worker within 5s").starts_with("ERROR 20 "), "the reports themselves");
    assert_eq!(events.len(), 40 + 11 + 3, "{events:#?}");
}
