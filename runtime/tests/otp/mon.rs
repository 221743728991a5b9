//! Area MON: monitors.
//!
//! A monitor is one-way, independent of every other monitor, and yields at most one `Down`.

use std::collections::BTreeMap;

use biotope_runtime::{
    Actor, Address, Context, Down, ExitReason, Handle, Info, MonitorRef, Pid, Process, Received, Result, Target, node,
    process, spawn, spawn_monitor, spawn_process, yield_now,
};
use tokio::sync::oneshot;

use crate::puppets::{Got, KINDS, Kind, Load, Puppet, down, drain, end_of, info, next_down, panicked, reason};
use crate::runs::{Patience, everywhere, on, real, seeded, settle};
use crate::two_nodes::{Pair, WIRES};

/// The target of a monitor of the name `name` of the node of the running process.
fn named(name: &str) -> Target {
    Target::Name { name: name.into(), node: Some(node().id()) }
}

/// Something that ends a process.
type Ending = fn(&Puppet);

/// Ways to end, and what each is called afterwards.
fn ends() -> Vec<(Ending, ExitReason)> {
    vec![
        (|p| p.end(ExitReason::Normal), ExitReason::Normal),
        (|p| p.end(reason(1)), reason(1)),
        (|p| p.tell(|me| me.exit_now(reason(2))), reason(2)),
        (|p| p.address().stop(ExitReason::Shutdown), ExitReason::Shutdown),
        (|p| node().exit(p, ExitReason::Kill), ExitReason::Killed),
        (|p| node().exit(p, reason(3)), reason(3)),
    ]
}

/// MON-01.
#[test]
fn mon_01_a_down_carries_the_reason() {
    everywhere(async |_: Process<()>| {
        for of_m in KINDS {
            for of_p in KINDS {
                let m = of_m.spawn();
                let mut expected = Vec::new();
                for (end, reason) in ends() {
                    let p = of_p.spawn();
                    let reference = m.monitor(&p).await?;
                    assert_eq!(reference.owner(), m.pid());
                    end(&p);
                    expected.push(down(reference, &p, reason));
                    assert_eq!(m.log_of(expected.len()).await?, expected, "{of_m:?} monitors {of_p:?}");
                }
                let p = of_p.spawn();
                let reference = m.monitor(&p).await?;
                p.tell(|_| panic!("boom"));
                let log = m.log_of(expected.len() + 1).await?;
                let Some(Got::Info(Info::Down(last))) = log.last() else { panic!("{log:?}") };
                assert_eq!((last.reference, last.target.pid()), (reference, Some(p.pid())));
                assert_eq!(panicked(&last.reason), Some("boom"));
                settle().await;
                assert_eq!(m.log().await?, log, "more than one `Down`");
                assert!(info(&m).await?.monitors.is_empty());
            }
        }
        Ok(())
    });
}

/// MON-02.
#[test]
fn mon_02_a_dead_process_is_told_of_at_once() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            let (m, p) = (kind.spawn(), kind.spawn());
            let watch = me.monitor(&p);
            p.end(reason(1));
            assert_eq!(end_of(&mut me, watch).await?, reason(1));
            let mut expected = Vec::new();
            for _ in 0..2 {
                let to = p.pid();
                let reference = m.act(move |me| me.monitor(to)).await?;
                expected.push(down(reference, &p, ExitReason::NoProc));
                assert_eq!(m.log_of(expected.len()).await?, expected, "{kind:?}");
            }
            settle().await;
            assert_eq!(m.log().await?, expected, "{kind:?}: more than one `Down`");
            assert!(info(&m).await?.monitors.is_empty());
        }
        Ok(())
    });
}

async fn a_monitor_that_races_with_the_end_tells_once(mut me: Process<()>, repetitions: u32) -> Result<()> {
    for n in 0..repetitions {
        let kind = KINDS[n as usize % KINDS.len()];
        let (m, p) = (kind.spawn(), kind.spawn());
        let (watch, to) = (me.monitor(&p), p.pid());
        if n % 2 == 0 {
            p.end(reason(n));
        }
        let reference = m.act(move |me| me.monitor(to)).await?;
        if n % 2 != 0 {
            p.end(reason(n));
        }
        assert_eq!(end_of(&mut me, watch).await?, reason(n));
        let log = m.log_of(1).await?;
        let late = [down(reference, &p, ExitReason::NoProc)];
        assert!(log == [down(reference, &p, reason(n))] || (n % 2 == 0 && log == late), "{log:?}");
        settle().await;
        assert_eq!(m.log().await?, log, "more than one `Down`");
    }
    Ok(())
}

/// MON-02, for an end at any moment: one `Down`, with the true reason or `noproc`; with the true one if the
/// monitor was set before.
#[test]
fn mon_02_a_monitor_that_races_with_the_end_is_told_once() {
    seeded(async |me: Process<()>| a_monitor_that_races_with_the_end_tells_once(me, 12).await);
    real(4, async |me: Process<()>| {
        let _load = Load::start(2);
        a_monitor_that_races_with_the_end_tells_once(me, 500).await
    });
}

/// MON-03.
#[test]
fn mon_03_an_unregistered_name_is_told_of_with_the_name() {
    everywhere(async |_: Process<()>| {
        for kind in KINDS {
            let m = kind.spawn();
            let reference = m.act(|me| me.monitor(Target::name("nobody"))).await?;
            let expected = [down(reference, named("nobody"), ExitReason::NoProc)];
            assert_eq!(m.log_of(1).await?, expected, "{kind:?}");
            let [Got::Info(Info::Down(down))] = &expected else { panic!("it was made so") };
            assert_eq!(down.target.pid(), None, "the target is the name");
            assert!(down.target != m.pid());
            settle().await;
            assert_eq!(m.log().await?, expected, "{kind:?}: more than one `Down`");
        }
        Ok(())
    });
}

/// MON-04.
#[test]
fn mon_04_monitors_are_independent() {
    everywhere(async |_: Process<()>| {
        for of_m in KINDS {
            for of_p in KINDS {
                let (m, other, p) = (of_m.spawn(), of_m.spawn(), of_p.spawn());
                let refs = [m.monitor(&p).await?, m.monitor(&p).await?, m.monitor(&p).await?];
                let of_other = other.monitor(&p).await?;
                assert!(refs[0] != refs[1] && refs[1] != refs[2] && refs[0] != refs[2] && !refs.contains(&of_other));
                assert_eq!(info(&m).await?.monitors, vec![Target::from(&p); 3]);
                m.act(move |me| me.demonitor(refs[1])).await?;
                m.reach(&p).await?;
                assert_eq!(info(&m).await?.monitors, vec![Target::from(&p); 2]);
                assert_eq!(info(&p).await?.monitored_by.len(), 3);
                p.end(reason(1));
                let mut log = m.log_of(2).await?;
                settle().await;
                assert_eq!(m.log().await?.len(), 2, "{of_m:?} monitors {of_p:?}");
                // In no particular order.
                if log[0] != down(refs[0], &p, reason(1)) {
                    log.reverse();
                }
                assert_eq!(log, [down(refs[0], &p, reason(1)), down(refs[2], &p, reason(1))]);
                assert_eq!(other.log_of(1).await?, [down(of_other, &p, reason(1))]);
            }
        }
        Ok(())
    });
}

async fn monitors_that_end_leave_nothing(mut me: Process<()>, repetitions: u32) -> Result<()> {
    const AT_A_TIME: u32 = 100;

    let p = Kind::Straight.spawn_on(&node());
    let pid = p.pid();
    let mut after = Vec::new();
    for round in 0..repetitions / AT_A_TIME {
        for n in 0..AT_A_TIME {
            // Some set their monitor in a handler, some hold several.
            if n % 2 == 0 {
                spawn_process(async move |me: Process<()>| {
                    me.monitor(pid);
                    Err(reason(n).into())
                });
            } else {
                let m = KINDS[n as usize % KINDS.len()].spawn();
                m.tell(move |me| {
                    me.monitor(pid);
                    me.monitor(pid);
                    me.exit_now(reason(n));
                });
            }
        }
        let watch = me.monitor(&p);
        // Those that are left: this process, who watches it, and P. Then what the others have said on their
        // end has to come.
        let mut patience = Patience::default();
        while node().processes().len() > 3 || info(&p).await?.monitored_by != [me.pid()] {
            patience.wait().await;
        }
        me.demonitor(watch);
        settle().await;
        let now = info(&p).await?;
        assert_eq!(now.monitored_by, [], "round {round}");
        assert_eq!((now.links, now.monitors.len()), (vec![], 0));
        after.push(now.memory);
    }
    // It takes what it took after the first rounds, and is unaffected.
    let (first, last) = (after.iter().take(10).max(), after.iter().rev().take(10).min());
    assert!(last <= first, "{first:?} bytes became {last:?}");
    p.note(1);
    assert_eq!(p.log().await?, [Got::Note(1)]);
    let watch = me.monitor(&p);
    p.end(reason(7));
    assert_eq!(end_of(&mut me, watch).await?, reason(7));
    Ok(())
}

/// MON-05.
#[test]
fn mon_05_a_monitor_is_one_way_and_leaves_nothing() {
    seeded(async |me: Process<()>| monitors_that_end_leave_nothing(me, 200).await);
    real(1, async |me: Process<()>| monitors_that_end_leave_nothing(me, 100_000).await);
}

/// MON-05, for one of each kind.
#[test]
fn mon_05_the_end_of_who_monitors_is_no_concern_of_the_other() {
    everywhere(async |mut me: Process<()>| {
        for of_m in KINDS {
            for of_p in KINDS {
                let (m, p) = (of_m.spawn(), of_p.spawn());
                m.monitor(&p).await?;
                assert_eq!(info(&p).await?.monitored_by, [m.pid()]);
                let watch = me.monitor(&m);
                m.end(reason(1));
                end_of(&mut me, watch).await?;
                let mut patience = Patience::default();
                while !info(&p).await?.monitored_by.is_empty() {
                    patience.wait().await;
                }
                settle().await;
                p.note(1);
                assert_eq!(p.log().await?, [Got::Note(1)], "{of_m:?} monitors {of_p:?}");
            }
        }
        Ok(())
    });
}

/// MON-06. In virtual time the `Down` is shown not to come. On threads, monitors that stand and monitors that
/// were taken back alternate, and what comes is of the former only.
#[test]
fn mon_06_a_monitor_that_was_taken_back_tells_nothing() {
    everywhere(async |_: Process<()>| {
        for kind in KINDS {
            for (end, reason) in ends() {
                let (m, p) = (kind.spawn(), kind.spawn());
                let mut refs = Vec::new();
                for _ in 0..7 {
                    refs.push(m.monitor(&p).await?);
                }
                let taken_back: Vec<_> = refs.iter().copied().step_by(2).collect();
                m.act(move |me| taken_back.into_iter().for_each(|reference| me.demonitor(reference))).await?;
                end(&p);
                let log = m.log_of(3).await?;
                settle().await;
                m.note(1);
                assert_eq!(m.log().await?, [log.clone(), vec![Got::Note(1)]].concat(), "{kind:?}");
                for at in [1, 3, 5] {
                    assert!(log.contains(&down(refs[at], &p, reason.clone())), "{kind:?}: {log:?}");
                }
            }
            let (m, p) = (kind.spawn(), kind.spawn());
            let reference = m.monitor(&p).await?;
            m.act(move |me| me.demonitor(reference)).await?;
            m.reach(&p).await?;
            assert_eq!((info(&m).await?.monitors.len(), info(&p).await?.monitored_by.len()), (0, 0));
            p.end(reason(1));
            settle().await;
            m.note(1);
            assert_eq!(m.log().await?, [Got::Note(1)], "{kind:?}");
        }
        Ok(())
    });
}

async fn demonitor_races_with_the_end(mut me: Process<usize>, repetitions: u32) -> Result<()> {
    for n in 0..repetitions {
        let p = KINDS[n as usize % KINDS.len()].spawn();
        let (to_test, to_p) = (me.address(), p.clone());
        let m = spawn_process(async move |mut me: Process<()>| {
            let watch = me.monitor(&to_p);
            to_p.end(reason(n));
            for _ in 0..n % 4 {
                yield_now().await;
            }
            me.demonitor_flush(watch);
            me.receive().await?;
            to_test.cast(drain(&mut me).await.len());
            Ok(())
        });
        let watch = me.monitor(&p);
        end_of(&mut me, watch).await?;
        settle().await;
        m.cast(());
        assert_eq!(me.receive().await?, 0, "a `Down` came after the monitor was taken back");
    }
    Ok(())
}

/// MON-06, for an end at the same moment: with `flush`, nothing is there afterwards and nothing comes.
#[test]
fn mon_06_nothing_comes_after_demonitor_and_flush_whenever_the_end_is() {
    seeded(async |me: Process<usize>| demonitor_races_with_the_end(me, 16).await);
    real(4, async |me: Process<usize>| demonitor_races_with_the_end(me, 500).await);
}

/// MON-07, for straight-line code: two messages, the `Down` between them.
#[test]
fn mon_07_flush_removes_a_queued_down_and_nothing_else() {
    everywhere(async |mut me: Process<Vec<Received<u8>>>| {
        for flush in [false, true] {
            let p = Kind::Awaiting.spawn();
            let (to_test, of_p) = (me.address(), p.pid());
            let (sender, refs) = oneshot::channel();
            let m = spawn_process(async move |mut me: Process<u8>| {
                let (watch, other) = (me.monitor(of_p), me.monitor(of_p));
                let _ = sender.send((watch, other));
                me.receive_match(|n| *n == 9).await?;
                if flush {
                    me.demonitor_flush(watch);
                } else {
                    me.demonitor(watch);
                }
                to_test.cast(drain(&mut me).await);
                Ok(())
            });
            let (watch, other) = refs.await?;
            m.cast(1);
            p.end(reason(1));
            // Both have been received, and lie in the mailbox, when the monitors are used up.
            let mut patience = Patience::default();
            while !info(&m).await?.monitors.is_empty() {
                patience.wait().await;
            }
            m.cast(2);
            m.cast(9);
            let told = |reference| {
                let down = Down { reference, target: Target::Pid(of_p), reason: reason(1) };
                Received::Info(Info::Down(down))
            };
            let mut read = me.receive().await?;
            // The two `Down`s come in no particular order.
            if !flush && read[1] == told(other) {
                read.swap(1, 2);
            }
            let mut expected = vec![Received::Message(1), told(watch), told(other), Received::Message(2)];
            if flush {
                expected.remove(1);
            }
            assert_eq!(read, expected, "flush: {flush}");
        }
        Ok(())
    });
}

/// Monitors in one handler and takes back in another, which waits until it is told to.
struct Takes {
    told: Address<Got>,
}

enum Take {
    Number(u32),
    Back { watch: MonitorRef, flush: bool, begun: oneshot::Sender<()>, gate: oneshot::Receiver<()> },
    Monitor(Pid, oneshot::Sender<MonitorRef>),
}

impl Actor for Takes {
    type Msg = Take;
    type Client = Address<Take>;
    const NAME: &'static str = "Takes";
}

impl Handle for Takes {
    async fn handle(&mut self, message: Take, cx: &mut Context<Self>) {
        match message {
            Take::Number(n) => self.told.cast(Got::Note(n)),
            Take::Monitor(pid, reply) => {
                let _ = reply.send(cx.monitor(pid));
            }
            Take::Back { watch, flush, begun, gate } => {
                let _ = begun.send(());
                let _ = gate.await;
                if flush {
                    cx.demonitor_flush(watch);
                } else {
                    cx.demonitor(watch);
                }
            }
        }
    }

    async fn info(&mut self, info: Info, _cx: &mut Context<Self>) {
        self.told.cast(Got::Info(info));
    }
}

/// MON-07, for an actor: the `Down` is queued while a handler waits.
#[test]
fn mon_07_flush_removes_a_queued_down_of_an_actor() {
    everywhere(async |mut me: Process<Got>| {
        for flush in [false, true] {
            let (m, p) = (spawn(Takes { told: me.address() }), Kind::Straight.spawn());
            let (sender, reference) = oneshot::channel();
            m.address().cast(Take::Monitor(p.pid(), sender));
            let watch = reference.await?;
            let ((begun, has_begun), (go, gate)) = (oneshot::channel(), oneshot::channel());
            m.address().cast(Take::Back { watch, flush, begun, gate });
            has_begun.await?;
            m.address().cast(Take::Number(1));
            p.end(reason(1));
            let mut patience = Patience::default();
            while !info(&m).await?.monitors.is_empty() {
                patience.wait().await;
            }
            m.address().cast(Take::Number(2));
            let _ = go.send(());
            let mut expected = vec![Got::Note(1), down(watch, &p, reason(1)), Got::Note(2)];
            if flush {
                expected.remove(1);
            }
            for expected in expected {
                assert_eq!(me.receive().await?, expected, "flush: {flush}");
            }
            settle().await;
            assert_eq!(drain(&mut me).await, [], "flush: {flush}");
        }
        Ok(())
    });
}

/// A reference that no monitor has ever had: made of what a reference is made of on the wire, as Rust's types
/// allow it in no other way.
fn never_used(owner: Pid) -> MonitorRef {
    let bytes = rmp_serde::to_vec(&(owner, u64::MAX / 2)).expect("it can be encoded");
    rmp_serde::from_slice(&bytes).expect("a reference is its owner and a number")
}

/// MON-08.
#[test]
fn mon_08_a_stale_reference_does_nothing() {
    everywhere(async |_: Process<()>| {
        for kind in KINDS {
            let (m, other, p, q) = (kind.spawn(), kind.spawn(), kind.spawn(), kind.spawn());
            let used = m.monitor(&p).await?;
            p.end(reason(1));
            assert_eq!(m.log_of(1).await?, [down(used, &p, reason(1))]);
            let (stands, taken_back) = (m.monitor(&q).await?, m.monitor(&q).await?);
            // References of another process, of which some have the same number.
            let to = q.pid();
            let of_other = other.act(move |me| [(); 4].map(|()| me.monitor(to))).await?;
            other.reach(&q).await?;
            let never = never_used(m.pid());
            assert_eq!(never.owner(), m.pid());
            m.act(move |me| {
                for reference in [used, never, taken_back].into_iter().chain(of_other) {
                    me.demonitor(reference);
                    me.demonitor(reference);
                    me.demonitor_flush(reference);
                    me.demonitor_flush(reference);
                }
            })
            .await?;
            settle().await;
            assert_eq!(m.log().await?.len(), 1, "{kind:?}");
            q.end(reason(2));
            assert_eq!(m.log_of(2).await?[1], down(stands, &q, reason(2)), "{kind:?}: another monitor was lost");
            let log = other.log_of(4).await?;
            for reference in of_other {
                assert!(log.contains(&down(reference, &q, reason(2))), "{kind:?}: another's monitor was lost");
            }
            settle().await;
            assert_eq!(m.log().await?.len(), 2, "{kind:?}");
        }
        Ok(())
    });
}

/// MON-09.
#[test]
fn mon_09_a_monitor_of_a_name_sticks_to_the_process_found_first() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            let (m, p, q) = (kind.spawn(), kind.spawn(), kind.spawn());
            node().register("n", &p)?;
            let reference = m.act(|me| me.monitor(Target::name("n"))).await?;
            assert_eq!(info(&m).await?.monitors, [named("n")]);
            node().unregister("n")?;
            node().register("n", &q)?;
            let watch = me.monitor(&q);
            q.end(reason(1));
            assert_eq!(end_of(&mut me, watch).await?, reason(1));
            settle().await;
            m.note(1);
            assert_eq!(m.log().await?, [Got::Note(1)], "{kind:?}: told of another's end");
            p.end(reason(2));
            let expected = [Got::Note(1), down(reference, named("n"), reason(2))];
            assert_eq!(m.log_of(2).await?, expected, "{kind:?}");
            settle().await;
            assert_eq!(m.log().await?, expected, "{kind:?}: told twice");
        }
        Ok(())
    });
}

/// What a monitor's `Down` becomes.
#[derive(Debug, PartialEq)]
enum Tagged {
    T(&'static str, Down),
    Other(u32),
}

/// Monitors with a tag what it is told to, and passes on what comes.
struct Tags(Address<Received<Tagged>>);

enum ToTags {
    Monitor(Target, &'static str, oneshot::Sender<MonitorRef>),
    Came(Tagged),
}

impl Actor for Tags {
    type Msg = ToTags;
    type Client = Address<ToTags>;
    const NAME: &'static str = "Tags";
}

impl Handle for Tags {
    async fn handle(&mut self, message: ToTags, cx: &mut Context<Self>) {
        match message {
            ToTags::Came(tagged) => self.0.cast(Received::Message(tagged)),
            ToTags::Monitor(target, tag, reply) => {
                let _ = reply.send(cx.monitor_as(target, move |down| ToTags::Came(Tagged::T(tag, down))));
            }
        }
    }

    async fn info(&mut self, info: Info, _cx: &mut Context<Self>) {
        self.0.cast(Received::Info(info));
    }
}

/// MON-10, for straight-line code.
#[test]
fn mon_10_a_down_may_come_as_a_message_of_ones_own() {
    everywhere(async |mut me: Process<Tagged>| {
        let p = Kind::Straight.spawn();
        let plain = me.monitor(&p);
        let first = me.monitor_as(&p, |down| Tagged::T("t", down));
        node().register("n", &p)?;
        let second = me.monitor_as(Target::name("n"), |down| Tagged::T("u", down));
        let taken_back = me.monitor_as(&p, |down| Tagged::T("v", down));
        me.demonitor(taken_back);
        me.address().cast(Tagged::Other(1));
        // It has taken its place among the messages that were there.
        me.node().process_info(&p).await;
        p.end(reason(1));
        assert_eq!(me.receive().await?, Tagged::Other(1));
        let (a, b) = (me.receive().await?, me.receive().await?);
        let expected = |tag, reference, target, reason| Tagged::T(tag, Down { reference, target, reason });
        let of_p = expected("t", first, Target::Pid(p.pid()), reason(1));
        let of_name = expected("u", second, named("n"), reason(1));
        // In no particular order.
        assert!((a == of_p && b == of_name) || (a == of_name && b == of_p), "{a:?}, {b:?}");
        assert_eq!(end_of(&mut me, plain).await?, reason(1));

        let dead = me.monitor_as(&p, |down| Tagged::T("t", down));
        assert_eq!(me.receive().await?, expected("t", dead, Target::Pid(p.pid()), ExitReason::NoProc));
        let nobody = me.monitor_as(Target::name("n"), |down| Tagged::T("u", down));
        assert_eq!(me.receive().await?, expected("u", nobody, named("n"), ExitReason::NoProc));
        settle().await;
        assert_eq!(drain(&mut me).await, [], "something else came");
        Ok(())
    });
}

/// MON-10, for an actor.
#[test]
fn mon_10_a_down_may_come_as_a_message_of_an_actor() {
    everywhere(async |mut me: Process<Received<Tagged>>| {
        let (m, p) = (spawn(Tags(me.address())), Kind::Plain.spawn());
        for why in [reason(1), ExitReason::NoProc] {
            let (sender, reference) = oneshot::channel();
            m.address().cast(ToTags::Monitor(Target::from(&p), "t", sender));
            let reference = reference.await?;
            p.end(reason(1));
            let down = Down { reference, target: Target::from(&p), reason: why };
            assert_eq!(me.receive().await?, Received::Message(Tagged::T("t", down)));
        }
        settle().await;
        assert_eq!(drain(&mut me).await, [], "something else came");
        Ok(())
    });
}

async fn each_monitor_that_stands_tells_once(_me: Process<()>, rounds: u32) -> Result<()> {
    for round in 0..rounds {
        let p = KINDS[round as usize % KINDS.len()].spawn();
        let watchers: Vec<_> = KINDS.iter().map(|kind| kind.spawn()).collect();
        let mut standing: Vec<Vec<MonitorRef>> = vec![Vec::new(); watchers.len()];
        let random = node().runtime().random();
        for step in 0..24 {
            let at = step % watchers.len();
            let to = p.pid();
            if random >> step & 1 == 0 || standing[at].is_empty() {
                standing[at].push(watchers[at].act(move |me| me.monitor(to)).await?);
            } else {
                let which = random as usize % standing[at].len();
                let reference = standing[at].remove(which);
                watchers[at].act(move |me| me.demonitor(reference)).await?;
            }
        }
        // These are taken back while it ends: they may tell, and once.
        let mut racing = Vec::new();
        p.end(reason(round));
        for (watcher, standing) in watchers.iter().zip(&mut standing) {
            let Some(reference) = standing.pop() else { continue };
            racing.push(reference);
            watcher.tell(move |me| me.demonitor(reference));
        }
        for (watcher, standing) in watchers.iter().zip(&standing) {
            let is_told = |log: &[Got], reference| log.contains(&down(reference, &p, reason(round)));
            let mut enough = standing.len();
            let mut log = watcher.log_of(enough).await?;
            // Those that race may be among the first.
            while !standing.iter().all(|reference| is_told(&log, *reference)) {
                enough += 1;
                log = watcher.log_of(enough).await?;
            }
            settle().await;
            let mut told: BTreeMap<MonitorRef, u32> = BTreeMap::new();
            for got in watcher.log().await? {
                let Got::Info(Info::Down(down)) = got else { panic!("{got:?}") };
                assert_eq!((down.target.pid(), down.reason), (Some(p.pid()), reason(round)));
                *told.entry(down.reference).or_default() += 1;
            }
            assert!(told.values().all(|times| *times == 1), "more than one `Down` of a monitor: {told:?}");
            let is_known = |reference: &MonitorRef| standing.contains(reference) || racing.contains(reference);
            assert!(told.keys().all(is_known), "one that was taken back before has told: {told:?}");
        }
    }
    Ok(())
}

/// The area's rule: whoever monitors whatever how often and takes back what, each monitor that stands tells
/// once, and no other does.
#[test]
fn mon_rule_each_monitor_that_stands_tells_once() {
    seeded(async |me: Process<()>| each_monitor_that_stands_tells_once(me, 4).await);
    real(4, async |me: Process<()>| each_monitor_that_stands_tells_once(me, 50).await);
}

/// The area's rule between two nodes, where a `Down` and a demonitor cross on the way.
#[test]
fn mon_rule_each_monitor_tells_at_most_once_across_nodes() {
    seeded(async |_: Process<()>| {
        for wire in WIRES {
            let pair = Pair::start(wire).await?;
            let (m, p) = (Kind::Plain.spawn_on(&pair.here), Kind::Awaiting.spawn_on(&pair.there));
            let to = p.pid();
            let refs = m.act(move |me| [(); 4].map(|()| me.monitor(to))).await?;
            settle().await;
            m.act(move |me| me.demonitor(refs[1])).await?;
            p.end(reason(1));
            m.tell(move |me| me.demonitor(refs[2]));
            settle().await;
            let log = m.log().await?;
            for (at, reference) in refs.into_iter().enumerate() {
                let told = log.iter().filter(|got| **got == down(reference, to, reason(1))).count();
                let possible = match at {
                    1 => 0..=0,
                    2 => 0..=1,
                    _ => 1..=1,
                };
                assert!(possible.contains(&told), "{wire:?}: monitor {at} told {told} times");
            }
            assert!(log.len() <= 3, "{log:?}");
            let dead = m.act(move |me| me.monitor(to)).await?;
            settle().await;
            assert_eq!(m.log().await?.last(), Some(&down(dead, to, ExitReason::NoProc)), "{wire:?}");
            pair.end().await;
        }
        Ok(())
    });
}

/// MON-01 across nodes, and that the end of who monitors is known there.
#[test]
fn mon_rule_a_monitor_across_nodes_is_one_way() {
    everywhere(async |_: Process<()>| {
        for wire in WIRES {
            let pair = Pair::start(wire).await?;
            let there = pair.there.clone();
            let body = async move |mut me: Process<()>| {
                let p = Kind::Straight.spawn_on(&there);
                let to = p.pid();
                let (_, watch) = spawn_monitor(process(async move |me: Process<()>| {
                    me.monitor(to);
                    yield_now().await;
                    Err(reason(1).into())
                }));
                assert_eq!(end_of(&mut me, watch).await?, reason(1));
                let watch = me.monitor(to);
                let mut patience = Patience::default();
                while there.process_info(to).await.map(|info| info.monitored_by) != Some(vec![me.pid()]) {
                    patience.wait().await;
                }
                p.end(reason(2));
                let down = next_down(&mut me).await?;
                assert_eq!((down.reference, down.target.pid(), down.reason), (watch, Some(to), reason(2)));
                Ok(())
            };
            on(&pair.here, body).await?;
            pair.end().await;
        }
        Ok(())
    });
}
