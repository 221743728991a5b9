//! What a process logs, and the one report of a crash. A test program of its own: `tracing` keeps one
//! subscriber for the whole OS process.

#[path = "shared/lines.rs"]
mod lines;

use std::sync::{Arc, Mutex};

use biotope_runtime::{
    Address, Bounded, ExitReason, Process, Runtime, node, options, process, spawn, spawn_process, time,
};
use tokio::sync::oneshot;

use lines::Lines;

/// Goal: a crash leaves one readable report; what a process logs names its node, pid and name.
#[test]
fn log_02_a_crash_leaves_one_report_and_logs_name_their_process() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let pid = Arc::new(Mutex::new(String::new()));
    let noted = pid.clone();
    biotope_testkit::once(Runtime::builder().seeded(0), async move {
        let victim = spawn_process(async |mut me: Process<u8>| {
            me.receive().await?;
            me.set_label("fragile");
            tracing::info!("about to fall");
            // Waits in the mailbox, and is no message; by an alias comes one.
            node().resume(me.pid());
            me.alias().cast(3);
            panic!("boom");
        });
        node().register("victim", &victim)?;
        *noted.lock().unwrap() = victim.pid().to_string();
        let end = node().ended(&victim);
        victim.cast(1);
        victim.cast(2);
        let end = end.await;
        assert!(matches!(end, ExitReason::Panic(_)), "{end}");
        Ok::<(), biotope_runtime::Error>(())
    })
    .unwrap();

    let log = lines.text();
    let pid = pid.lock().unwrap().clone();
    let spoken = log.lines().find(|line| line.contains("about to fall")).expect("the event is logged");
    for part in ["process{", "node=\"test\"", "name=\"victim\"", &pid] {
        assert!(spoken.contains(part), "`{part}` is missing in: {spoken}");
    }
    assert_eq!(log.matches("crashed").count(), 1, "{log}");
    let report = &log[log.find("\"victim\"").unwrap()..];
    for part in ["label       fragile", "panicked: boom", "logs.rs", "parent", "2 unhandled", "reductions  2"] {
        assert!(report.contains(part), "`{part}` is missing in: {report}");
    }
}

/// Whichever way it ends: nothing is said of it, at any level.
#[test]
fn log_01_quiet_ends_leave_nothing_in_the_log() {
    let lines = Lines::default();
    let writer = lines.clone();
    // For this thread, which is where a seeded run takes place.
    let _logged = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish(),
    );
    let body = async {
        tracing::info!("what is logged is seen here");
        for reason in [ExitReason::Normal, ExitReason::Shutdown, ExitReason::ShutdownWith("enough".into())] {
            let (returned, unwound) = (reason.clone(), reason.clone());
            let ends = [
                spawn_process(async move |_: Process<()>| Err(returned.into())),
                spawn_process(async move |me: Process<()>| me.exit_now(unwound)),
                spawn_process(async |mut me: Process<()>| Ok(me.receive().await?)),
            ];
            ends[2].stop(reason);
            for ends in ends {
                node().ended(&ends).await;
            }
        }
    };
    biotope_testkit::once(Runtime::builder().seeded(0), body).unwrap();
    let log = lines.text();
    assert_eq!(log.lines().count(), 1, "{log}");
}

/// Each message to a mailbox that is full would close the circle again.
#[test]
fn a_circle_of_full_mailboxes_is_logged_once_with_all_who_are_in_it() {
    let lines = Lines::default();
    let writer = lines.clone();
    // For this thread, which is where a seeded run takes place.
    let _logged = tracing::subscriber::set_default(
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish(),
    );
    let body = async {
        let start = |other: oneshot::Receiver<Address<u32>>| {
            let body = process(async move |mut me: Process<u32>| {
                let other = other.await?;
                (0..8).for_each(|n| other.cast(n));
                time::yield_now().await;
                for n in 0..8 {
                    assert_eq!(me.receive().await?, n);
                }
                Ok(())
            });
            spawn(options(body).mailbox(Bounded::to(4)))
        };
        let ((to_first, for_first), (to_second, for_second)) = (oneshot::channel(), oneshot::channel());
        let (first, second) = (start(for_first), start(for_second));
        node().register("first", &first)?;
        let ended = (node().ended(&first), node().ended(&second));
        let _ = to_first.send(second);
        let _ = to_second.send(first);
        ended.0.await;
        ended.1.await;
        let stalls = node().stalls();
        assert_eq!((stalls.begun, stalls.in_circles, stalls.too_long), (1, 4, 0));
        Ok::<(), biotope_runtime::Error>(())
    };
    biotope_testkit::once(Runtime::builder().seeded(0), body).unwrap();
    let log = lines.text();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("wait for room in a circle")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert_eq!(told[0].matches(" -> ").count(), 2, "{log}");
    assert!(told[0].contains("first <"), "{log}");
}
