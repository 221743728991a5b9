//! What an observer is told. A test program of its own: it needs the feature `observe`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use biotope_runtime::{ExitReason, Observed, Observer, Pid, Process, Runtime, node, spawn_process};
use biotope_testkit::once;
use parking_lot::Mutex;

#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Spawned(Pid, Option<Pid>),
    Sent(Option<Pid>, Pid),
    Handled(Pid, &'static str),
    Exited(Pid, ExitReason),
}

#[derive(Default)]
struct Diary {
    seen: Mutex<Vec<Seen>>,
    turns: AtomicU64,
}

impl Diary {
    fn note(&self, seen: Seen) {
        self.seen.lock().push(seen);
    }
}

impl Observer for Diary {
    fn spawned(&self, process: Observed<'_>) {
        self.note(Seen::Spawned(process.pid(), process.parent()));
    }

    fn exited(&self, process: Observed<'_>, reason: &ExitReason) {
        assert!(!process.node().is_alive(process.pid()), "who is gone is not found");
        self.note(Seen::Exited(process.pid(), reason.clone()));
    }

    fn message_sent(&self, from: Option<Observed<'_>>, to: Observed<'_>) {
        self.note(Seen::Sent(from.map(Observed::pid), to.pid()));
    }

    fn message_handled(&self, process: Observed<'_>, handler: &'static str) {
        self.note(Seen::Handled(process.pid(), handler));
    }

    fn turn(&self, _process: Observed<'_>, _worker: usize) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }
}

/// Of one process: spawned, sent to, handled, exited, in this order, once each, under any order of turns.
#[test]
fn an_observer_sees_a_life_in_order() {
    for seed in 0..200 {
        let diary = Arc::new(Diary::default());
        let pids = Arc::new(Mutex::new(None));
        let noted = pids.clone();
        let builder = Runtime::builder().seeded(seed).observer(diary.clone());
        once(builder, async move {
            let seen = spawn_process(async |mut me: Process<u8>| {
                me.receive().await?;
                me.receive_match(|number| *number == 7).await?;
                Err(ExitReason::Shutdown.into())
            });
            *noted.lock() = Some((seen.pid(), biotope_runtime::this_pid()));
            let end = node().ended(&seen);
            for number in [1, 6, 7] {
                seen.cast(number);
            }
            end.await;
        })
        .unwrap();
        let (pid, parent) = pids.lock().expect("it ran");
        let is_of = |seen: &&Seen| match **seen {
            Seen::Spawned(of, _) | Seen::Sent(_, of) | Seen::Handled(of, _) | Seen::Exited(of, _) => of == pid,
        };
        let seen = diary.seen.lock();
        let seen: Vec<&Seen> = seen.iter().filter(is_of).collect();
        assert_eq!(seen[0], &Seen::Spawned(pid, Some(parent)));
        assert_eq!(seen[seen.len() - 1], &Seen::Exited(pid, ExitReason::Shutdown));
        let count = |wanted: &Seen| seen.iter().filter(|seen| **seen == wanted).count();
        assert_eq!(count(&Seen::Sent(Some(parent), pid)), 3);
        assert_eq!(count(&Seen::Handled(pid, "u8")), 2, "one was never wanted");
        assert_eq!(seen.len(), 7, "{seen:?}");
        // At any moment no more is handled than was sent.
        let mut waiting = 0_i32;
        for seen in seen {
            match seen {
                Seen::Sent(..) => waiting += 1,
                Seen::Handled(..) => waiting -= 1,
                _ => {}
            }
            assert!(waiting >= 0);
        }
        assert!(diary.turns.load(Ordering::Relaxed) > 0);
    }
}

/// On threads nothing is lost, and of two runtimes each tells its own.
#[test]
fn each_runtime_has_its_own_observer_and_nothing_is_lost() {
    const MANY: u64 = 1_000;
    #[derive(Default)]
    struct Counts {
        spawned: AtomicU64,
        handled: AtomicU64,
        sent: AtomicU64,
    }
    impl Observer for Counts {
        fn spawned(&self, _: Observed<'_>) {
            self.spawned.fetch_add(1, Ordering::Relaxed);
        }
        fn message_sent(&self, _: Option<Observed<'_>>, _: Observed<'_>) {
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
        fn message_handled(&self, _: Observed<'_>, _: &'static str) {
            self.handled.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (counts, other) = (Arc::new(Counts::default()), Arc::new(Counts::default()));
    let idle = Runtime::builder().workers(1).observer(other.clone()).build().unwrap();
    once(Runtime::builder().workers(2).observer(counts.clone()), async {
        let mut ends = Vec::new();
        for _ in 0..MANY {
            let short = spawn_process(async |mut me: Process<()>| Ok(me.receive().await?));
            ends.push(node().ended(&short));
            short.cast(());
        }
        for end in ends {
            end.await;
        }
    })
    .unwrap();
    // Those, and who watches for each of them; the body, and who watches that.
    assert_eq!(counts.spawned.load(Ordering::Relaxed), 2 * MANY + 2);
    assert_eq!(counts.sent.load(Ordering::Relaxed), MANY);
    assert_eq!(counts.handled.load(Ordering::Relaxed), MANY);
    assert_eq!(other.spawned.load(Ordering::Relaxed), 0);
    drop(idle);
}
