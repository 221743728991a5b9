//! Area PROC: life and end of a process.
//!
//! Every process ends exactly once and with exactly one exit reason. What it holds that others can see is
//! released before its end is announced to anybody.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, LazyLock};

use biotope_runtime::{
    Actor, Address, Call, CallFailed, Context, DeadLetter, ExitReason, Handle, Info, Me, MonitorRef, Node, Options,
    Pid, Priority, Process, ProcessInfo, Received, Refused, RegisterError, Result, SendError, Spawn, Spec, Start,
    Target, exit_now, node, process, spawn_link, spawn_monitor, spawn_process, yield_now,
};

use crate::puppets::{
    Got, KINDS, Kind, Load, Order, Puppet, down, end_of, info, next_down, next_exit, panicked, reason,
};
use crate::runs::{Patience, alone, everywhere, real, seeded, settle};

/// PROC-01. That the body returns a value is excluded by its type: `macros/tests/ui/fail/process_returns_a_value.rs`.
#[test]
fn proc_01_returning_ends_with_normal() {
    everywhere(async |_: Process<()>| {
        for kind in KINDS {
            let (parent, observer) = (kind.spawn(), kind.spawn());
            let child = parent.act(move |_| kind.spawn()).await?;
            let watch = observer.monitor(&child).await?;
            child.end(ExitReason::Normal);
            let expected = [down(watch, &child, ExitReason::Normal)];
            assert_eq!(observer.log_of(1).await?, expected, "{kind:?}");
            settle().await;
            assert_eq!(observer.log().await?, expected, "{kind:?}: more than one `Down`");
            assert_eq!(parent.log().await?, [], "{kind:?}: something was delivered to the parent");
        }
        Ok(())
    });
}

/// PROC-01, for a body that returns before anything else.
#[test]
fn proc_01_returning_at_once_ends_with_normal() {
    everywhere(async |mut me: Process<u8>| {
        let (child, watch) = spawn_monitor(process(async |_: Process<()>| Ok(())));
        let first = next_down(&mut me).await?;
        assert_eq!((first.reference, first.reason), (watch, ExitReason::Normal));
        assert!(first.target == child.pid());
        settle().await;
        me.address().cast(1);
        assert_eq!(me.receive_any().await?, Received::Message(1), "more than one `Down`");
        Ok(())
    });
}

/// A nested value of about 128 KiB, another one for each number.
#[derive(Clone, Debug, PartialEq)]
struct Tree {
    name: String,
    leaves: Vec<u8>,
    by_name: BTreeMap<String, Option<u64>>,
    children: Vec<Tree>,
}

impl Tree {
    fn of(n: u32) -> Self {
        Self::level(n, 4)
    }

    fn level(n: u32, depth: u32) -> Self {
        let children =
            if depth == 0 { Vec::new() } else { (0..4).map(|at| Self::level(n * 5 + at, depth - 1)).collect() };
        Self {
            name: format!("tree {n} at {depth}, ünïcødé"),
            leaves: [&[n as u8; 300][..], &n.to_le_bytes(), &[depth as u8; 60]].concat(),
            by_name: [("some".to_owned(), Some(n.into())), ("none".to_owned(), None)].into(),
            children,
        }
    }

    fn size(&self) -> usize {
        let of_names: usize = self.by_name.keys().map(|name| name.len() + 8).sum();
        self.name.len() + self.leaves.len() + of_names + self.children.iter().map(Self::size).sum::<usize>()
    }
}

/// The ways to end with a reason that a process chooses itself.
const WAYS_TO_END: [fn(&Puppet, ExitReason); 3] = [
    |puppet, reason| puppet.end(reason),
    |puppet, reason| puppet.tell(move |me| me.exit_now(reason)),
    |puppet, reason| puppet.tell(move |me| me.exit(me.pid(), reason)),
];

async fn chosen_reasons_arrive_whole(mut me: Process<()>) -> Result<()> {
    // Copies of their own, so that nothing is compared with itself.
    static EXPECTED: LazyLock<Vec<Tree>> = LazyLock::new(|| (0..11).map(Tree::of).collect());

    assert!(EXPECTED[1].size() >= 128 * 1024);
    assert!(EXPECTED[1] != EXPECTED[2]);
    for n in 0..10 {
        let kind = KINDS[n % KINDS.len()];
        let end = WAYS_TO_END[(n / KINDS.len()) % WAYS_TO_END.len()];
        let n = n as u32;
        let (t, m) = (kind.spawn_trapping().await?, kind.spawn());
        let p = t.act(move |me| kind.spawn_link(me)).await?;
        let watch = m.monitor(&p).await?;
        let mine = me.monitor(&p);
        // Under pressure: what the reason is made of lies among blocks that come and go.
        let mut pressure: Vec<Vec<u8>> = (0..64).map(|at| vec![at; 16 * 1024]).collect();
        pressure.retain(|block| block[0] % 2 == 0);
        end(&p, ExitReason::value(Tree::of(n)));
        pressure.extend((0..64).map(|at| vec![at; 8 * 1024]));
        let mut reasons = vec![end_of(&mut me, mine).await?];
        let told = (t.log_of(1).await?, m.log_of(1).await?);
        let (Got::Info(Info::Exit(exit)), Got::Info(Info::Down(down))) = (&told.0[0], &told.1[0]) else {
            panic!("something else arrived, of {} and {}", told.0.len(), told.1.len())
        };
        assert_eq!((told.0.len(), told.1.len()), (1, 1));
        assert_eq!((exit.from, down.reference), (p.pid(), watch));
        assert!(down.target == p.pid());
        reasons.extend([exit.reason.clone(), down.reason.clone()]);
        let expected = &EXPECTED[n as usize];
        let (chosen, another) = (expected.clone(), EXPECTED[n as usize + 1].clone());
        let (chosen, another) = (ExitReason::value(chosen), ExitReason::value(another));
        for reason in reasons {
            assert!(reason == chosen && reason != another, "the reason is not the one that was chosen");
            assert!(reason.downcast_ref() == Some(expected), "its value is not the one that was chosen");
        }
    }
    Ok(())
}

/// PROC-02.
#[test]
fn proc_02_a_chosen_reason_is_delivered_verbatim() {
    seeded(chosen_reasons_arrive_whole);
    real(4, async |me: Process<()>| {
        let _load = Load::start(2);
        chosen_reasons_arrive_whole(me).await
    });
}

/// PROC-02: a reason that is an error stays that error.
#[test]
fn proc_02_an_error_is_delivered_verbatim() {
    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("{0}")]
    struct Failed(String);

    everywhere(async |mut me: Process<()>| {
        let long = "an error of many words, ".repeat(128 * 1024 / 24 + 1);
        let text = long.clone();
        let (_, watch) = spawn_monitor(process(async move |_: Process<()>| Err(Failed(text).into())));
        let ExitReason::Error(error) = end_of(&mut me, watch).await? else { panic!("it did not end with an error") };
        assert!(error.downcast_ref::<Failed>() == Some(&Failed(long)), "the error is another one");
        Ok(())
    });
}

/// Panics, each in another place of a process's code; tells what to have it panic with.
struct Panics {
    at: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Init,
    Handler,
    HandlerAfterAwait,
    Info,
    Terminate,
}

impl Actor for Panics {
    type Msg = bool;
    type Client = Address<bool>;
    const NAME: &'static str = "Panics";
    const OPTIONS: Options = Options { trap_exit: true, ..Options::DEFAULT };
}

impl Handle for Panics {
    async fn init(&mut self, _cx: &mut Context<Self>) -> std::result::Result<(), Refused> {
        assert!(self.at != Place::Init, "boom");
        Ok(())
    }

    async fn handle(&mut self, stop: bool, cx: &mut Context<Self>) {
        assert!(self.at != Place::Handler, "boom");
        yield_now().await;
        assert!(self.at != Place::HandlerAfterAwait, "boom");
        if stop {
            cx.stop(ExitReason::Normal);
        }
    }

    async fn info(&mut self, _info: Info, _cx: &mut Context<Self>) {
        assert!(self.at != Place::Info, "boom");
    }

    async fn terminate(&mut self, _reason: &ExitReason, _cx: &mut Context<Self>) {
        assert!(self.at != Place::Terminate, "boom");
    }
}

/// PROC-03: wherever in its code a process panics, its end says so, and only it ends.
#[test]
fn proc_03_a_panic_ends_with_its_text_wherever_it_is() {
    everywhere(async |mut me: Process<()>| {
        let unrelated: Vec<_> = KINDS.iter().map(|kind| kind.spawn()).collect();
        let mut ends = Vec::new();
        for kind in KINDS {
            let puppet = kind.spawn();
            ends.push((me.monitor(&puppet), "proc.rs"));
            puppet.tell(|_| panic!("boom"));
        }
        for at in [Place::Init, Place::Handler, Place::HandlerAfterAwait, Place::Info, Place::Terminate] {
            let (actor, watch) = spawn_monitor(Panics { at });
            if at == Place::Info {
                // Not from its parent, whose exit would end it without being told.
                let (actor, sender) = (actor.pid(), Kind::Plain.spawn());
                sender.tell(move |me| me.exit(actor, reason(1)));
            } else {
                actor.address().cast(true);
            }
            ends.push((watch, "proc.rs"));
        }
        let (_, watch) = spawn_monitor(process(async |_: Process<()>| panic!("boom")));
        ends.push((watch, "proc.rs"));
        let (_, watch) = spawn_monitor(process(async |_: Process<()>| {
            yield_now().await;
            let text = String::from("boom");
            panic!("{text}")
        }));
        ends.push((watch, "proc.rs"));
        for (watch, file) in ends {
            let ExitReason::Panic(report) = end_of(&mut me, watch).await? else { panic!("it did not panic") };
            assert_eq!(report.message, "boom");
            assert!(report.location.as_deref().is_some_and(|at| at.contains(file)), "{report:?}");
        }
        for puppet in &unrelated {
            puppet.note(1);
            assert_eq!(puppet.log().await?, [Got::Note(1)], "another process was affected");
        }
        Ok(())
    });
}

/// PROC-03: a payload that is no text, one that was panicked with before, one that panics when dropped.
#[test]
fn proc_03_no_payload_does_harm() {
    struct Dropped;
    impl Drop for Dropped {
        fn drop(&mut self) {
            panic!("a payload panics when it is dropped");
        }
    }

    everywhere(async |mut me: Process<()>| {
        let unrelated = Kind::Straight.spawn();
        for payload in [|| std::panic::panic_any(7), || std::panic::panic_any(Dropped)] {
            let puppet = Kind::Plain.spawn();
            let watch = me.monitor(&puppet);
            puppet.tell(move |_| payload());
            let end = end_of(&mut me, watch).await?;
            assert!(panicked(&end).is_some_and(|text| !text.contains("boom")), "{end}");
        }
        // What one process panicked with, and caught, is no other panic's text.
        let catcher = Kind::Plain.spawn();
        catcher.act(|_| std::panic::catch_unwind(|| panic!("caught")).expect_err("it panics")).await?;
        for puppet in [catcher, Kind::Plain.spawn()] {
            let watch = me.monitor(&puppet);
            puppet.tell(|_| std::panic::resume_unwind(Box::new("boom")));
            assert_eq!(panicked(&end_of(&mut me, watch).await?), Some("boom"));
        }
        unrelated.note(1);
        assert_eq!(unrelated.log().await?, [Got::Note(1)], "another process was affected");
        Ok(())
    });
}

/// Goal: 1000 panics leave the workers and all other processes as they were.
/// Method: in an OS process of its own, where the threads can be counted. The same worker threads are there
/// afterwards, all of them work, and others lost none of what they were sent meanwhile.
#[test]
fn proc_03_a_thousand_panics_leave_workers_and_others_alone() {
    alone("proc::proc_03_a_thousand_panics_leave_workers_and_others_alone", &[], || {
        real(1, async |mut me: Process<()>| {
            let count = node().runtime().worker_count();
            all_workers_work(count).await;
            let threads = worker_threads();
            assert!(!cfg!(target_os = "linux") || threads.len() == count, "{threads:?}");
            let others: Vec<_> = KINDS.iter().chain(&KINDS).map(|kind| kind.spawn()).collect();
            let mut sent = vec![Vec::new(); others.len()];
            let mut watches = Vec::new();
            for n in 0..2_000_u32 {
                let kind = KINDS[n as usize % KINDS.len()];
                let victim = kind.spawn();
                let watch = me.monitor(&victim);
                victim.tell(|_| panic!("boom"));
                // The first thousand one after another, the others at once.
                if n < 1_000 {
                    assert_eq!(panicked(&end_of(&mut me, watch).await?), Some("boom"));
                } else {
                    watches.push(watch);
                }
                let other = n as usize % others.len();
                others[other].note(n);
                sent[other].push(Got::Note(n));
            }
            for watch in watches {
                assert_eq!(panicked(&end_of(&mut me, watch).await?), Some("boom"));
            }
            for (other, sent) in others.iter().zip(sent) {
                assert_eq!(other.log().await?, sent);
            }
            all_workers_work(count).await;
            assert_eq!(node().runtime().worker_count(), count);
            assert_eq!(worker_threads(), threads, "a worker's thread ended or was replaced");
            Ok(())
        });
    });
}

/// As many processes as there are workers run at the same time: each waits until all of them run.
async fn all_workers_work(count: usize) {
    let (all, ended) = (Arc::new(Barrier::new(count)), Arc::new(AtomicUsize::new(0)));
    for _ in 0..count {
        let (all, ended) = (all.clone(), ended.clone());
        spawn_process(async move |_: Process<()>| {
            all.wait();
            ended.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    }
    let mut patience = Patience::default();
    while ended.load(Ordering::Relaxed) < count {
        patience.wait().await;
    }
}

/// The threads that are workers, where the system tells; without those that stand in for blocked ones.
fn worker_threads() -> BTreeSet<String> {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return BTreeSet::new() };
    let is_worker = |task: &std::path::Path| {
        std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("biotope-worker"))
    };
    tasks
        .filter_map(|task| Some(task.ok()?.path()))
        .filter(|task| is_worker(task))
        .filter_map(|task| Some(task.file_name()?.to_str()?.to_owned()))
        .collect()
}

/// PROC-03: the stack is kept if the environment asks for it, and only then.
#[test]
fn proc_03_a_backtrace_is_kept_if_it_is_asked_for() {
    #[inline(never)]
    fn where_it_panics() {
        panic!("boom");
    }

    let test = "proc::proc_03_a_backtrace_is_kept_if_it_is_asked_for";
    for wanted in ["1", "0"] {
        alone(test, &[("RUST_BACKTRACE", wanted)], || {
            let is_wanted = std::env::var("RUST_BACKTRACE").is_ok_and(|wanted| wanted == "1");
            everywhere_once(is_wanted, where_it_panics);
        });
    }

    fn everywhere_once(is_wanted: bool, panics: fn()) {
        let body = move |mut me: Process<()>| async move {
            let (_, watch) = spawn_monitor(process(async move |_: Process<()>| {
                panics();
                Ok(())
            }));
            let ExitReason::Panic(report) = end_of(&mut me, watch).await? else { panic!("it did not panic") };
            assert_eq!(report.message, "boom");
            let named = report.backtrace.as_deref().map(|backtrace| backtrace.contains("where_it_panics"));
            assert_eq!(named, is_wanted.then_some(true));
            Ok(())
        };
        real(1, body);
    }
}

/// PROC-03: where panics abort none can be contained, so the crate refuses to be built.
#[test]
fn proc_03_it_is_not_built_where_panics_abort() {
    let complains = |panic: &str| {
        let output = std::process::Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()))
            .args(["--edition=2024", "--crate-type=lib", "--crate-name=biotope_runtime", "--emit=metadata"])
            .args(["--out-dir", env!("CARGO_TARGET_TMPDIR"), "-C", panic])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs"))
            .output()
            .expect("there is a compiler");
        // Without its dependencies it is not built either way; what counts is whether this is among the reasons.
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.lines().any(|line| line.starts_with("error: ") && line.contains("panic") && line.contains("unwind"))
    };
    assert!(complains("panic=abort"), "it says nothing of panics that abort");
    assert!(!complains("panic=unwind"), "it complains where panics unwind");
}

/// Does not begin: refuses in its `init`, or when it is made, with this reason.
struct Refuses(ExitReason);

impl Actor for Refuses {
    type Msg = ();
    type Client = Address<()>;
    const NAME: &'static str = "Refuses";
}

impl Handle for Refuses {
    async fn init(&mut self, _cx: &mut Context<Self>) -> std::result::Result<(), Refused> {
        Err(Refused::Error(self.0.clone()))
    }

    async fn handle(&mut self, (): (), _cx: &mut Context<Self>) {}
}

impl Start for Refuses {
    type Args = ExitReason;

    async fn start(reason: ExitReason, _cx: &mut Context<Self>) -> std::result::Result<Self, Refused> {
        Err(Refused::Error(reason))
    }
}

/// Ends in its first instruction with `reason(n)`, in one of the ways there are.
fn ends_at_once(n: u32) -> impl Spawn<Ref = Address<()>> {
    process(async move |me: Process<()>| {
        match n % 3 {
            0 => return Err(reason(n).into()),
            1 => exit_now(reason(n)),
            _ => me.exit(me.pid(), reason(n)),
        }
        Ok(())
    })
}

fn link_to_what_ends_at_once(me: &Me, n: u32) -> Pid {
    match n % 6 {
        0 => spawn_link(ends_at_once(n)).pid(),
        1 => spawn_link(Refuses(reason(n))).pid(),
        2 => me.spawn_link(Spec::<Refuses>::new(move || reason(n))).pid(),
        _ => me.spawn_link(ends_at_once(n)).pid(),
    }
}

/// Half of the children one after another, the other half all before the first `Exit` is read.
async fn each_link_tells_once(mut me: Process<u8>, repetitions: u32) -> Result<()> {
    me.trap_exits(true);
    for n in 0..repetitions / 2 {
        let child = link_to_what_ends_at_once(&me, n);
        let exit = next_exit(&mut me).await?;
        assert_eq!((exit.from, exit.reason), (child, reason(n)), "repetition {n}");
    }
    let mut missing: BTreeMap<Pid, u32> =
        (repetitions / 2..repetitions).map(|n| (link_to_what_ends_at_once(&me, n), n)).collect();
    assert_eq!(missing.len() as u32, repetitions - repetitions / 2);
    while !missing.is_empty() {
        let exit = next_exit(&mut me).await?;
        let Some(n) = missing.remove(&exit.from) else { panic!("a second one: {exit:?}") };
        assert_eq!(exit.reason, reason(n), "repetition {n}");
    }
    settle().await;
    me.address().cast(1);
    assert_eq!(me.receive_any().await?, Received::Message(1), "more than one `Exit`");
    assert_eq!(info(me.pid()).await?.links, []);
    Ok(())
}

/// PROC-04.
#[test]
fn proc_04_spawn_link_is_atomic_with_the_link() {
    seeded(async |me: Process<u8>| each_link_tells_once(me, 100).await);
    real(2, async |me: Process<u8>| {
        let _load = Load::start(4);
        each_link_tells_once(me, 10_000).await
    });
}

fn monitor_what_ends_at_once(me: &Me, n: u32) -> (Pid, MonitorRef) {
    match n % 6 {
        0 => pid_and_watch(spawn_monitor(ends_at_once(n)), |child| child.pid()),
        1 => pid_and_watch(spawn_monitor(Refuses(reason(n))), |child| child.pid()),
        2 => pid_and_watch(me.spawn_monitor(Spec::<Refuses>::new(move || reason(n))), |child| child.pid()),
        _ => pid_and_watch(me.spawn_monitor(ends_at_once(n)), |child| child.pid()),
    }
}

fn pid_and_watch<R>((child, watch): (R, MonitorRef), pid: impl Fn(&R) -> Pid) -> (Pid, MonitorRef) {
    (pid(&child), watch)
}

/// Half of the children one after another, the other half all before the first `Down` is read.
async fn each_monitor_tells_once(mut me: Process<u8>, repetitions: u32) -> Result<()> {
    for n in 0..repetitions / 2 {
        let (child, watch) = monitor_what_ends_at_once(&me, n);
        let down = next_down(&mut me).await?;
        assert_eq!((down.reference, down.target.pid(), down.reason), (watch, Some(child), reason(n)));
    }
    let mut missing: BTreeMap<MonitorRef, (Pid, u32)> = (repetitions / 2..repetitions)
        .map(|n| {
            let (child, watch) = monitor_what_ends_at_once(&me, n);
            (watch, (child, n))
        })
        .collect();
    assert_eq!(missing.len() as u32, repetitions - repetitions / 2);
    while !missing.is_empty() {
        let down = next_down(&mut me).await?;
        let Some((child, n)) = missing.remove(&down.reference) else { panic!("a second one: {down:?}") };
        assert_eq!((down.target.pid(), down.reason), (Some(child), reason(n)));
    }
    settle().await;
    me.address().cast(1);
    assert_eq!(me.receive_any().await?, Received::Message(1), "more than one `Down`");
    assert!(info(me.pid()).await?.monitors.is_empty());
    Ok(())
}

/// PROC-05.
#[test]
fn proc_05_spawn_monitor_is_atomic_with_the_monitor() {
    seeded(async |me: Process<u8>| each_monitor_tells_once(me, 100).await);
    real(2, async |me: Process<u8>| {
        let _load = Load::start(4);
        each_monitor_tells_once(me, 10_000).await
    });
}

tokio::task_local! {
    static TASK_LOCAL: u32;
}

#[derive(Clone, Debug, PartialEq)]
struct Entry(u32);

/// What a child finds out about itself from inside.
#[derive(Debug)]
struct Found {
    parent: Option<Pid>,
    group_leader: Option<Pid>,
    trapped: bool,
    entry: Option<Entry>,
    task_local: bool,
}

impl Found {
    fn of(me: &Me) -> Self {
        Self {
            parent: me.parent(),
            group_leader: me.group_leader(),
            trapped: me.trap_exits(false),
            entry: me.fetch(),
            task_local: TASK_LOCAL.try_with(|_| ()).is_ok(),
        }
    }
}

/// PROC-06, for children of every kind, of parents of every kind, and for grandchildren.
#[test]
fn proc_06_a_plain_child_inherits_parent_and_group_and_nothing_else() {
    everywhere(async |_: Process<()>| {
        for of_parent in KINDS {
            for of_child in KINDS {
                let (leader, linked, watched, watcher) =
                    (of_parent.spawn(), of_parent.spawn(), of_parent.spawn(), of_parent.spawn());
                let parent = of_parent.spawn();
                let (to_lead, to_link, to_watch) = (leader.pid(), linked.pid(), watched.pid());
                let child = parent.act(move |me| {
                    me.trap_exits(true);
                    me.set_priority(Priority::High);
                    me.node().register("parent", me.pid()).expect("the name is free");
                    me.set_label("a parent");
                    me.link(to_link);
                    me.monitor(to_watch);
                    me.put(Entry(7));
                    me.set_group_leader(to_lead);
                    TASK_LOCAL.sync_scope(1, || of_child.spawn())
                });
                let child = child.await?;
                watcher.monitor(&parent).await?;

                let theirs = info(&parent).await?;
                assert!(theirs.trap_exit && theirs.priority == Priority::High, "{theirs:?}");
                assert_eq!(theirs.name.as_deref(), Some("parent"));
                assert_eq!((theirs.links, theirs.monitors.len()), (vec![linked.pid()], 1));
                assert_eq!((theirs.monitored_by, theirs.dictionary.len()), (vec![watcher.pid()], 1));

                inherits_nothing_but(&child, &parent, Some(leader.pid())).await?;
                let grandchild = child.act(move |_| of_parent.spawn()).await?;
                inherits_nothing_but(&grandchild, &child, Some(leader.pid())).await?;

                // It is indeed not linked and not trapping: either's end is the other's no concern.
                grandchild.end(reason(1));
                child.act(move |me| me.exit(me.pid(), reason(2))).await.expect_err("it does not trap exits");
                settle().await;
                assert_eq!(parent.log().await?, []);
                parent.end(ExitReason::Normal);
                node().ended(parent.pid()).await;
            }
        }
        // The group is that of the parent at the time; without one there is none.
        let orphan = Kind::Straight.spawn_on(&node());
        let child = orphan.act(|_| Kind::Straight.spawn()).await?;
        inherits_nothing_but(&child, &orphan, None).await?;
        // A node that shuts down leaves it to a parent to end its children, for a while.
        child.end(ExitReason::Normal);
        Ok(())
    });
}

async fn inherits_nothing_but(child: &Puppet, parent: &Puppet, leader: Option<Pid>) -> Result<()> {
    let ProcessInfo { name, label, priority, trap_exit, links, monitors, monitored_by, dictionary, .. } =
        info(child).await?;
    assert_eq!((name, label, priority, trap_exit), (None, None, Priority::Normal, false));
    assert_eq!((links, monitors, monitored_by, dictionary), (vec![], vec![], vec![], vec![]));
    let ProcessInfo { parent: their_parent, group_leader, .. } = info(child).await?;
    assert_eq!((their_parent, group_leader), (Some(parent.pid()), leader));
    let found = child.act(Found::of).await?;
    assert_eq!((found.parent, found.group_leader), (Some(parent.pid()), leader));
    assert!(!found.trapped && found.entry.is_none() && !found.task_local, "{found:?}");
    Ok(())
}

/// PROC-07.
#[test]
fn proc_07_operations_on_an_ended_process_do_nothing() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            let (p, asker) = (kind.spawn(), kind.spawn_trapping().await?);
            let watch = me.monitor(&p);
            p.end(reason(1));
            assert_eq!(end_of(&mut me, watch).await?, reason(1));

            // From a process.
            let dead = p.clone();
            let does = asker.act(move |me| {
                let node = me.node();
                dead.note(1);
                let returned = matches!(dead.address().try_cast(Order::Note(2)), Err(SendError::NoProc(_)));
                for reason in [ExitReason::Normal, ExitReason::Kill, ExitReason::Shutdown, reason(2)] {
                    me.exit(dead.pid(), reason.clone());
                    node.exit(dead.pid(), reason);
                }
                me.unlink(dead.pid());
                (returned, node.is_alive(dead.pid()), node.peek(dead.pid()))
            });
            assert_eq!(does.await?, (true, false, None));
            assert_eq!(node().process_info(&p).await, None);
            let call = Call::new(p.address(), Order::Log);
            assert_eq!(call.await, Err(CallFailed::NoProc));
            settle().await;
            asker.note(3);
            assert_eq!(asker.log().await?, [Got::Note(3)], "{kind:?}: something came back");

            // What may be asked of it changes nothing either.
            p.address().stop(ExitReason::Normal);
            node().suspend(&p);
            node().resume(&p);
            node().drain(&p);
            assert!(!node().is_alive(&p));
            assert!(node().processes().iter().all(|info| info.pid != p.pid()));
        }
        Ok(())
    });
}

/// PROC-07, from outside: no process does it.
#[test]
fn proc_07_operations_from_outside_do_nothing_either() {
    let runtime = biotope_runtime::Runtime::builder().workers(2).build().expect("a runtime can be built");
    let node = runtime.block_on(Node::builder("test").runtime(runtime.clone()).start()).expect("a node can be started");
    let p = node.spawn_process(async |_: Process<u8>| Ok(()));
    let lives = node.spawn_process(async |mut me: Process<u8>| {
        me.receive().await?;
        Ok(())
    });
    runtime.block_on(async {
        node.ended(&p).await;
        p.cast(1);
        assert!(matches!(p.try_cast(2), Err(SendError::NoProc(2))));
        node.exit(&p, ExitReason::Kill);
        node.exit(&p, ExitReason::Normal);
        assert!(!node.is_alive(&p));
        assert_eq!((node.process_info(&p).await, node.peek(&p)), (None, None));
        assert!(node.is_alive(&lives));
        node.shutdown().await;
    });
}

/// Spawns many processes that end at once, after one whose pid and address are kept. Returns how many of them
/// stood in the same place of the process table.
async fn no_pid_is_used_again(mut me: Process<u32>, processes: u32) -> Result<()> {
    let (old, watch) = spawn_monitor(process(async |mut me: Process<u32>| {
        me.receive().await?;
        Ok(())
    }));
    let mut pids = HashSet::with_capacity(processes as usize + 2);
    pids.extend([me.pid(), old.pid()]);
    old.cast(1);
    assert_eq!(end_of(&mut me, watch).await?, ExitReason::Normal);
    let mut in_its_place = 0_u32;
    for n in 0..processes {
        let to_parent = me.address();
        let new = spawn_process(async move |_: Process<u32>| {
            if n % 1_000 == 999 {
                to_parent.cast(n);
            }
            Ok(())
        });
        assert_ne!(new.pid(), old.pid());
        assert!(pids.insert(new.pid()), "{} was used again", new.pid());
        in_its_place += u32::from(new.pid().slot() == old.pid().slot());
        // Not more at a time than a thousand.
        if n % 1_000 == 999 {
            me.receive().await?;
        }
    }
    assert!(in_its_place > 0, "no pid was even similar to the old one: this proves nothing");

    // What is sent to the old pid reaches nobody of those who take such messages.
    let mut living = Vec::new();
    for _ in 0..2_000 {
        let to_parent = me.address();
        living.push(spawn_process(async move |mut me: Process<u32>| {
            to_parent.cast(me.receive().await?);
            Ok(())
        }));
    }
    let lost = node().dead_letters_of(DeadLetter::NoProc);
    old.cast(13);
    assert!(old.try_cast(14).is_err());
    node().exit(&old, ExitReason::Kill);
    me.exit(&old, reason(1));
    assert_eq!(node().dead_letters_of(DeadLetter::NoProc), lost + 1, "the message went somewhere");
    for process in &living {
        process.cast(42);
    }
    for _ in &living {
        assert_eq!(me.receive().await?, 42, "somebody else was reached");
    }
    Ok(())
}

/// PROC-08.
#[test]
fn proc_08_a_pid_is_never_used_again() {
    real(1, async |me: Process<u32>| no_pid_is_used_again(me, 1_000_000).await);
    seeded(async |me: Process<u32>| no_pid_is_used_again(me, 3_000).await);
}

/// Goal: a process has exactly one end with one reason, whoever wants what of it.
/// Method: many processes send it exit signals with different reasons while it ends in a way of its own;
/// all its observers must agree, and hear of it once.
#[test]
fn proc_rule_every_process_ends_once_with_one_reason() {
    everywhere(async |_: Process<()>| {
        for (n, kind) in KINDS.into_iter().enumerate() {
            let p = kind.spawn();
            let mut observers = Vec::new();
            for of_observer in KINDS {
                let (watcher, linked) = (of_observer.spawn(), of_observer.spawn_trapping().await?);
                linked.link(&p).await?;
                observers.push((watcher.monitor(&p).await?, watcher, linked));
            }
            let mut reasons: Vec<_> = (0..4).map(reason).collect();
            reasons.extend([ExitReason::Killed, ExitReason::Shutdown, ExitReason::Normal]);
            let senders: Vec<_> = (0..5).map(|at| KINDS[at % KINDS.len()].spawn()).collect();
            for (sender, reason) in senders.iter().zip([&reasons[..4], &[ExitReason::Kill]].concat()) {
                let p = p.pid();
                sender.tell(move |me| me.exit(p, reason));
            }
            match n {
                0 => p.end(ExitReason::Normal),
                1 => p.tell(|_| panic!("boom")),
                _ => p.address().stop(ExitReason::Shutdown),
            }
            let mut ends = Vec::new();
            for (watch, watcher, linked) in &observers {
                let (watched, linked_to) = (watcher.log_of(1).await?, linked.log_of(1).await?);
                let (Got::Info(Info::Down(d)), Got::Info(Info::Exit(e))) = (&watched[0], &linked_to[0]) else {
                    panic!("{watched:?}, {linked_to:?}")
                };
                assert_eq!(d.reference, *watch);
                ends.extend([d.reason.clone(), e.reason.clone()]);
            }
            assert!(ends.iter().all(|end| *end == ends[0]), "{kind:?}: {ends:?}");
            assert!(reasons.contains(&ends[0]) || panicked(&ends[0]) == Some("boom"), "{kind:?}: {ends:?}");
            settle().await;
            for (_, watcher, linked) in &observers {
                assert_eq!((watcher.log().await?.len(), linked.log().await?.len()), (1, 1), "{kind:?}: told twice");
            }
        }
        Ok(())
    });
}

/// What an observer finds of a process that it has heard the end of: whether it is alive, holds its name,
/// can be looked at, and keeps the name from another.
type Left = (bool, bool, bool, bool);

/// Looks, in the moment in which it is told, at what is left of `p`, whose name was `name`.
async fn observer(mut me: Process<()>, p: Pid, name: &'static str, way: usize, told: Address<Left>) -> Result<()> {
    match way {
        0 => {
            me.monitor(p);
        }
        1 => {
            me.trap_exits(true);
            me.link(p);
        }
        2 => {
            me.monitor_as(p, |_| ());
        }
        _ => {
            me.monitor(Target::name(name));
        }
    }
    me.receive_any().await?;
    let node = me.node();
    let keeps_its_name = match node.register(name, me.pid()) {
        Ok(()) => {
            node.unregister(name)?;
            false
        }
        // By another observer, perhaps.
        Err(taken) => taken == RegisterError::Taken(p),
    };
    told.cast((node.is_alive(p), node.whereis(name) == Some(p), node.peek(p).is_some(), keeps_its_name));
    Ok(())
}

async fn a_name_is_free_when_the_end_is_known(mut me: Process<Left>, rounds: usize) -> Result<()> {
    const OBSERVERS: usize = 8;

    for round in 0..rounds {
        let kind = KINDS[round % KINDS.len()];
        let p = kind.spawn();
        node().register("n", &p)?;
        for way in 0..OBSERVERS {
            let (p, told) = (p.pid(), me.address());
            spawn_process(async move |me: Process<()>| observer(me, p, "n", way % 4, told).await);
        }
        // All of them have set their monitor or link.
        let mut patience = Patience::default();
        loop {
            let now = info(&p).await?;
            if now.links.len() + now.monitored_by.len() == OBSERVERS {
                break;
            }
            patience.wait().await;
        }
        match round % 4 {
            0 => p.end(reason(1)),
            1 => node().exit(&p, ExitReason::Kill),
            2 => p.address().stop(ExitReason::Shutdown),
            _ => p.tell(|_| panic!("boom")),
        }
        for _ in 0..OBSERVERS {
            assert_eq!(me.receive().await?, (false, false, false, false), "{kind:?}, round {round}");
        }
        assert_eq!(node().whereis("n"), None);
    }
    Ok(())
}

/// Goal: whoever hears of an end, in whatever way, finds the name free and the pid naming nobody.
/// Method: observers of each kind, many at a time so that they run on other workers at once, look in the moment
/// in which they are told.
#[test]
fn proc_rule_a_name_is_free_before_the_end_is_announced() {
    seeded(async |me: Process<Left>| a_name_is_free_when_the_end_is_known(me, 12).await);
    real(8, async |me: Process<Left>| a_name_is_free_when_the_end_is_known(me, 200).await);
}
