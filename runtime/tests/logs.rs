//! What a process logs, and the one report of a crash. A test program of its own: `tracing` keeps one
//! subscriber for the whole OS process.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use biotope_runtime::{ExitReason, Process, Runtime, node, spawn_process, time};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

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
            tracing::info!("about to fall");
            panic!("boom");
        });
        node().register("victim", &victim)?;
        *noted.lock().unwrap() = victim.pid().to_string();
        let end = node().ended(&victim);
        // In virtual time: until the watcher watches.
        time::sleep(Duration::from_millis(1)).await;
        victim.cast(1);
        victim.cast(2);
        let end = end.await;
        assert!(matches!(end, ExitReason::Panic(_)), "{end}");
        // Quiet ends (LOG-01).
        let quiet = spawn_process(async |_: Process<()>| Err(ExitReason::Shutdown.into()));
        node().ended(&quiet).await;
        Ok::<(), biotope_runtime::Error>(())
    })
    .unwrap();

    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let pid = pid.lock().unwrap().clone();
    let spoken = log.lines().find(|line| line.contains("about to fall")).expect("the event is logged");
    for part in ["process{", "node=\"test\"", "name=\"victim\"", &pid] {
        assert!(spoken.contains(part), "`{part}` is missing in: {spoken}");
    }
    assert_eq!(log.matches("crashed").count(), 1, "{log}");
    let report = &log[log.find("\"victim\"").unwrap()..];
    for part in ["panicked: boom", "logs.rs", "parent", "1 unhandled", "reductions  4"] {
        assert!(report.contains(part), "`{part}` is missing in: {report}");
    }
}
