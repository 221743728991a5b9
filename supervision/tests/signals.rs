//! An application hears the signals of the operating system.
//!
//! This test is a program of its own: once it has run, SIGTERM and SIGINT no longer end its OS process.

#![cfg(unix)]

#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "it/support.rs"]
mod support;

use std::process::Command;

use biotope_runtime::{ExitReason, Process, node};
use biotope_supervision::{App, Shutdown, Supervisor};
use support::*;

fn send(signal: &str) {
    let me = std::process::id().to_string();
    assert!(Command::new("kill").args([signal, &me]).status().unwrap().success());
}

#[test]
fn sigterm_stops_in_order_and_a_second_signal_kills() {
    biotope_testkit::on_threads("signals", || async {
        let stage = Stage::new();
        let run = |app: App| {
            let (sender, outcome) = tokio::sync::oneshot::channel();
            node().spawn_process(async move |_: Process<()>| {
                let _ = sender.send(app.run().await);
                Ok(())
            });
            outcome
        };

        let children = ["a", "b"].map(|id| worker(&stage, id));
        let outcome = run(App::new("orderly").supervisor(Supervisor::one_for_one().children(children)));
        stage.expect(["start a", "start b"]).await;
        send("-TERM");
        stage.expect(["stop b: shutdown", "stop a: shutdown"]).await;
        outcome.await??;

        let patient = worker(&stage, "patient").shutdown(Shutdown::Infinity);
        let never = Script { stop_time: secs(3600), ..script(&stage, "never") };
        let never = never.child().shutdown(Shutdown::Infinity);
        let last = worker(&stage, "last");
        let outcome = run(App::new("hurried").supervisor(Supervisor::one_for_one().children([patient, never, last])));
        stage.expect(["start patient", "start never", "start last"]).await;
        send("-INT");
        // The orderly stop has begun; it would take an hour.
        stage.expect(["stop last: shutdown"]).await;
        send("-TERM");
        let error = outcome.await?.unwrap_err();
        assert!(matches!(error.reason(), ExitReason::Error(why) if why.to_string().contains("killed")), "{error}");
        assert_eq!(error.reason().exit_code(), 143);
        assert!(!node().is_alive(stage.pid("patient")));
        Ok::<(), biotope_runtime::Error>(())
    });
}
