//! Too many crashes of one kind, as the log tells them. A test program of its own: `tracing` keeps one subscriber for the whole
//! OS process. Tests are told apart by the names of their nodes.

#[path = "shared/lines.rs"]
mod lines;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use biotope_runtime::{
    Actor, Address, Context, CrashReport, ExitReason, Handle, Process, Result, Runtime, RuntimeBuilder, SpawnOptions,
    node, spawn, spawn_process, time,
};

use lines::Lines;

/// All that was logged in this program.
static LOG: LazyLock<Lines> = LazyLock::new(|| {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    lines
});

/// What was logged by the node `name`: how many reports of crashes, and what was said of the others.
fn told_by(name: &str) -> (usize, Vec<String>) {
    let log = LOG.text();
    let (reported, node) = (format!(" on node {name} crashed"), format!("node=\"{name}\""));
    let summaries = log.lines().filter(|line| line.contains(" more crashes of ") && line.contains(&node));
    (log.matches(&reported).count(), summaries.map(str::to_owned).collect())
}

/// Runs `body` as a process of a node called `name`.
fn run<F>(builder: RuntimeBuilder, name: &'static str, body: F)
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    LazyLock::force(&LOG);
    biotope_runtime::run(builder, name, body).unwrap().unwrap();
}

fn seeded(seed: u64) -> RuntimeBuilder {
    Runtime::builder().seeded(seed)
}

/// `many` processes crash in one way, one after the other.
async fn crash(many: usize) {
    for number in 0..many {
        let fragile = spawn_process(async move |_: Process<()>| panic!("number {number}"));
        node().ended(&fragile).await;
    }
}

#[test]
fn of_too_many_crashes_the_first_are_logged_and_the_others_are_counted() {
    run(seeded(1), "counted", async {
        crash(25).await;
        assert_eq!(told_by("counted"), (10, vec![]));
        // No further crash is needed, nor any process that does anything.
        time::sleep(Duration::from_secs(5)).await;
        let (reports, summaries) = told_by("counted");
        assert_eq!((reports, summaries.len()), (10, 1));
        for part in ["ERROR", "15 more crashes of ", " within 5s: panicked: number 0 (at ", "; the last is <"] {
            assert!(summaries[0].contains(part), "`{part}` is missing in: {}", summaries[0]);
        }
        assert_eq!(node().stats().crashed, 25);
        // A new period: nothing is left of the one that is over.
        crash(1).await;
        assert_eq!(told_by("counted").0, 11);
        Ok(())
    });
    assert_eq!(told_by("counted").1.len(), 1, "what was logged is not counted again");
}

#[test]
fn what_differs_in_handler_or_reason_is_not_drowned() {
    run(seeded(2), "differs", async {
        crash(30).await;
        let other = spawn_process(async |_: Process<()>| Err(ExitReason::value("quite different").into()));
        node().ended(&other).await;
        assert_eq!(told_by("differs").0, 11);
        Ok(())
    });
}

#[test]
fn whoever_reads_reports_has_all_of_them() {
    run(seeded(3), "read", async {
        let mut reports = node().crash_reports();
        let mut seen = BTreeSet::new();
        for _ in 0..40 {
            crash(1).await;
            seen.insert(reports.next().await.expect("the node lives").pid);
        }
        assert_eq!((seen.len(), told_by("read").0), (40, 10));
        Ok(())
    });
}

/// On the real scheduler as well, and from many workers at once.
#[test]
fn a_node_that_shuts_down_tells_what_was_held_back_and_leaves_no_timer() {
    for (name, builder) in [("ends seeded", seeded(4)), ("ends", Runtime::builder().workers(2))] {
        run(builder, name, async {
            let timers = node().runtime().stats().timers;
            let fragile = (0..500).map(|_| {
                let fragile = spawn_process(async |mut me: Process<()>| {
                    me.receive().await?;
                    panic!("all at once")
                });
                (node().ended(&fragile), fragile)
            });
            let (ends, fragile): (Vec<_>, Vec<_>) = fragile.unzip();
            fragile.iter().for_each(|fragile| fragile.cast(()));
            for end in ends {
                end.await;
            }
            assert_eq!(node().runtime().stats().timers, timers + 1, "one for all that is held back");
            Ok(())
        });
        let (reports, summaries) = told_by(name);
        assert_eq!((reports, summaries.len()), (10, 1), "{summaries:?}");
        assert!(summaries[0].contains("490 more crashes"), "{}", summaries[0]);
    }
}

#[test]
fn the_limit_can_be_changed_and_taken_away() {
    run(seeded(5).log_at_most(2, Duration::from_secs(1)), "two", async {
        crash(5).await;
        time::sleep(Duration::from_secs(1)).await;
        assert_eq!(told_by("two").0, 2);
        assert!(told_by("two").1[0].contains("3 more crashes"));
        Ok(())
    });
    run(seeded(5).log_at_most(usize::MAX, Duration::from_secs(1)), "all", async {
        crash(100).await;
        assert_eq!(told_by("all"), (100, vec![]));
        Ok(())
    });
}

/// Whoever starts a process again says how often, and its report does.
#[test]
fn a_report_says_how_often_its_process_was_started_again() {
    run(seeded(6), "again", async {
        let mut reports = node().crash_reports();
        let start = |restarts| {
            let options = SpawnOptions { restarts, ..SpawnOptions::default() };
            node().spawn_process_with(options, async |_: Process<()>| panic!("again"))
        };
        let text_of = |report: &CrashReport| report.to_string();
        start(0);
        let first = reports.next().await.expect("the node lives");
        assert_eq!(first.restarts, 0);
        assert!(!text_of(&first).contains("restarts"), "{first}");
        let again = start(7);
        assert_eq!(node().peek(&again).map(|info| info.restarts), Some(7));
        let eighth = reports.next().await.expect("the node lives");
        assert_eq!(eighth.restarts, 7);
        assert!(text_of(&eighth).contains("\n  restarts    7\n"), "{eighth}");
        Ok(())
    });
}

/// It is shown where its process ends, and where the others are told of together.
#[test]
fn a_reason_that_panics_when_it_is_shown_ends_nobody_else() {
    #[derive(PartialEq)]
    struct Rude;
    impl std::fmt::Debug for Rude {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("nobody looks at me")
        }
    }

    for (name, builder) in [("rude seeded", seeded(7)), ("rude", Runtime::builder().workers(1))] {
        run(builder, name, async {
            for _ in 0..12 {
                let rude = spawn_process(async |_: Process<()>| Err(ExitReason::value(Rude).into()));
                assert_eq!(node().ended(&rude).await, ExitReason::value(Rude));
            }
            Ok(())
        });
        let (reports, summaries) = told_by(name);
        assert_eq!((reports, summaries.len()), (10, 1));
        assert!(summaries[0].contains(": a reason that panics when it is shown; "), "{}", summaries[0]);
    }
}

#[test]
fn what_is_counted_keeps_nothing_of_a_reason() {
    run(seeded(8), "kept", async {
        let owned = Arc::new(7);
        for _ in 0..15 {
            let reason = ExitReason::value(owned.clone());
            let ends = spawn_process(async move |_: Process<()>| Err(reason.into()));
            node().ended(&ends).await;
        }
        time::sleep(Duration::from_millis(1)).await;
        assert_eq!((Arc::strong_count(&owned), told_by("kept").0), (1, 10));
        Ok(())
    });
}

/// Counts how often it is shown.
struct Shy(Arc<AtomicUsize>);

impl Actor for Shy {
    type Msg = ();
    type Client = Address<()>;
    const NAME: &'static str = "Shy";
}

impl Handle for Shy {
    async fn handle(&mut self, (): (), _: &mut Context<Self>) {
        panic!("somebody has sent it something");
    }

    fn show_state(&self) -> Option<String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[test]
fn a_crash_that_nobody_is_told_of_costs_no_report() {
    run(seeded(9), "shy", async {
        let shown = Arc::new(AtomicUsize::new(0));
        for _ in 0..30 {
            let shy = spawn(Shy(shown.clone()));
            shy.cast(());
            node().ended(&shy).await;
        }
        assert_eq!((shown.load(Ordering::Relaxed), node().stats().crashed), (10, 30));
        Ok(())
    });
}
