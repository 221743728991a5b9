//! Area EXIT: exit signals and processes that trap them.
//!
//! What an exit signal does depends on the trap flag of the receiver when the signal is received, the reason,
//! whether sender and receiver are the same, and whether it came over a link. Only an explicitly sent `kill`
//! is special.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use biotope_runtime::{
    Actor, Address, Context, Exit, ExitReason, Handle, Info, MonitorRef, Options, Pid, Process, Received, Refused,
    Result, node, process, spawn_monitor, spawn_process, time, yield_now,
};
use tokio::sync::oneshot;

use crate::puppets::{Got, KINDS, Kind, Puppet, down, end_of, exit, info, next_down, reason};
use crate::runs::{Patience, everywhere, real, seeded, settle};

/// Reasons that are neither `normal` nor `kill`.
fn ordinary_reasons() -> Vec<ExitReason> {
    vec![
        reason(1),
        ExitReason::Shutdown,
        ExitReason::ShutdownWith("because".into()),
        ExitReason::Killed,
        ExitReason::NoProc,
        ExitReason::NoConnection,
        ExitReason::Timeout,
        ExitReason::error(std::io::Error::other("broken")),
    ]
}

/// An actor whose handler never ends.
struct Stuck;

impl Actor for Stuck {
    type Msg = ();
    type Client = Address<()>;
    const NAME: &'static str = "Stuck";
}

impl Handle for Stuck {
    async fn handle(&mut self, (): (), _cx: &mut Context<Self>) {
        pending::<()>().await;
    }
}

/// Processes that do not trap and wait for ever, in all the ways there are.
fn waiting_for_ever() -> Vec<(Pid, MonitorRef)> {
    let mut all = Vec::new();
    let (receiving, watch) = spawn_monitor(process(async |mut me: Process<u8>| {
        me.receive().await?;
        Ok(())
    }));
    all.push((receiving.pid(), watch));
    let (selecting, watch) = spawn_monitor(process(async |mut me: Process<u8>| {
        me.receive_match(|_| false).await?;
        Ok(())
    }));
    selecting.cast(1);
    all.push((selecting.pid(), watch));
    let (awaiting, watch) = spawn_monitor(process(async |_: Process<u8>| {
        pending::<()>().await;
        Ok(())
    }));
    all.push((awaiting.pid(), watch));
    let (idle, watch) = spawn_monitor(Stuck);
    all.push((idle.pid(), watch));
    let (stuck, watch) = spawn_monitor(Stuck);
    stuck.address().cast(());
    stuck.address().cast(());
    all.push((stuck.pid(), watch));
    all
}

/// EXIT-01.
#[test]
fn exit_01_an_exit_signal_ends_a_process_that_does_not_trap() {
    everywhere(async |mut me: Process<()>| {
        let q = Kind::Plain.spawn();
        for reason in ordinary_reasons() {
            for (p, watch) in waiting_for_ever() {
                let sent = reason.clone();
                q.tell(move |me| me.exit(p, sent));
                let down = next_down(&mut me).await?;
                assert_eq!((down.reference, down.target.pid(), &down.reason), (watch, Some(p), &reason));
            }
        }
        assert_eq!(q.log().await?, []);
        Ok(())
    });
}

/// EXIT-01, for a signal that comes from no process.
#[test]
fn exit_01_an_exit_signal_from_outside_ends_it_too() {
    everywhere(async |mut me: Process<()>| {
        for reason in ordinary_reasons() {
            for (p, watch) in waiting_for_ever() {
                node().exit(p, reason.clone());
                assert_eq!(end_of(&mut me, watch).await?, reason);
            }
        }
        Ok(())
    });
}

/// EXIT-02: for 1 s of virtual time; and, on threads, up to a message that the same sender sends afterwards.
#[test]
fn exit_02_normal_from_another_process_is_ignored() {
    everywhere(async |_: Process<()>| {
        for of_sender in KINDS {
            for kind in KINDS {
                let (p, q) = (kind.spawn(), of_sender.spawn());
                let to = p.clone();
                q.act(move |me| {
                    me.exit(&to, ExitReason::Normal);
                    to.note(1);
                })
                .await?;
                assert_eq!(p.log_of(1).await?, [Got::Note(1)]);
                settle().await;
                assert!(node().is_alive(&p), "{kind:?}");
                assert_eq!(p.log().await?, [Got::Note(1)], "{kind:?}");
            }
        }
        Ok(())
    });
}

/// EXIT-02, for processes that are in the middle of something.
#[test]
fn exit_02_normal_is_ignored_whatever_the_receiver_waits_for() {
    seeded(async |mut me: Process<()>| {
        let q = Kind::Straight.spawn();
        let waiting = waiting_for_ever();
        for &(p, _) in &waiting {
            q.tell(move |me| me.exit(p, ExitReason::Normal));
        }
        settle().await;
        for (p, watch) in waiting {
            assert!(node().is_alive(p));
            me.exit(p, reason(1));
            assert_eq!(end_of(&mut me, watch).await?, reason(1), "it had ended before");
        }
        Ok(())
    });
}

/// EXIT-02: a signal that comes from no process is none of the receiver's own either.
#[test]
fn exit_02_normal_from_outside_is_ignored() {
    everywhere(async |_: Process<()>| {
        for kind in KINDS {
            let p = kind.spawn();
            node().exit(&p, ExitReason::Normal);
            p.note(1);
            assert_eq!(p.log().await, Ok(vec![Got::Note(1)]), "{kind:?}");
            settle().await;
            assert_eq!(p.log().await, Ok(vec![Got::Note(1)]), "{kind:?}");
        }
        Ok(())
    });
}

/// EXIT-03: nothing that comes after the call happens.
#[test]
fn exit_03_normal_to_oneself_terminates() {
    everywhere(async |mut me: Process<()>| {
        for end in [ExitReason::Normal, ExitReason::Shutdown, reason(1)] {
            for kind in KINDS {
                let (p, witness) = (kind.spawn(), kind.spawn());
                let watch = me.monitor(&p);
                let (to_witness, with) = (witness.clone(), end.clone());
                p.tell(move |me| {
                    me.exit(me.pid(), with);
                    to_witness.note(1);
                });
                p.note(2);
                assert_eq!(end_of(&mut me, watch).await?, end, "{kind:?}");
                // What it sent came before its end was known; this comes after that.
                witness.note(3);
                assert_eq!(witness.log().await?, [Got::Note(3)], "{kind:?}: it went on");
            }
        }
        Ok(())
    });
}

/// Sends itself an exit signal, somewhere in its code, and tells the witness if it goes on.
struct EndsItself {
    at: Place,
    with: ExitReason,
    witness: Puppet,
    fate: Arc<Fate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Init,
    Handler,
    AfterAwait,
    Info,
}

impl EndsItself {
    fn reach(&self, at: Place, cx: &Context<Self>) {
        if self.at == at {
            cx.exit(cx.pid(), self.with.clone());
            self.witness.note(1);
        }
    }
}

impl Drop for EndsItself {
    fn drop(&mut self) {
        self.fate.dropped.store(true, Ordering::SeqCst);
    }
}

impl Actor for EndsItself {
    type Msg = Option<Pid>;
    type Client = Address<Option<Pid>>;
    const NAME: &'static str = "EndsItself";
}

impl Handle for EndsItself {
    async fn init(&mut self, cx: &mut Context<Self>) -> std::result::Result<(), Refused> {
        self.reach(Place::Init, cx);
        Ok(())
    }

    async fn handle(&mut self, monitor: Option<Pid>, cx: &mut Context<Self>) {
        if let Some(pid) = monitor {
            cx.monitor(pid);
            return;
        }
        self.reach(Place::Handler, cx);
        yield_now().await;
        self.reach(Place::AfterAwait, cx);
    }

    async fn info(&mut self, _info: Info, cx: &mut Context<Self>) {
        self.reach(Place::Info, cx);
    }

    async fn terminate(&mut self, _reason: &ExitReason, _cx: &mut Context<Self>) {
        self.fate.terminated.store(true, Ordering::SeqCst);
    }
}

/// EXIT-03, wherever in a process's code the call is made. It is a signal: the state is dropped, and no clean-up
/// callback runs.
#[test]
fn exit_03_normal_to_oneself_terminates_wherever_it_is_sent() {
    everywhere(async |mut me: Process<()>| {
        let ended = spawn_process(async |_: Process<()>| Ok(())).pid();
        for at in [Place::Init, Place::Handler, Place::AfterAwait, Place::Info] {
            let (witness, fate, with) = (Kind::Straight.spawn(), Arc::new(Fate::default()), ExitReason::Normal);
            let (p, watch) = spawn_monitor(EndsItself { at, with, witness: witness.clone(), fate: fate.clone() });
            p.address().cast((at == Place::Info).then_some(ended));
            assert_eq!(end_of(&mut me, watch).await?, ExitReason::Normal, "{at:?}");
            assert_eq!(fate.seen(), (false, false, true), "{at:?}: informed, terminated, dropped");
            witness.note(2);
            assert_eq!(witness.log().await?, [Got::Note(2)], "{at:?}: it went on");
        }
        let witness = Kind::Straight.spawn();
        let to_witness = witness.clone();
        let (_, watch) = spawn_monitor(process(async move |me: Process<()>| {
            yield_now().await;
            me.exit(me.pid(), ExitReason::Normal);
            to_witness.note(1);
            Err(reason(1).into())
        }));
        assert_eq!(end_of(&mut me, watch).await?, ExitReason::Normal);
        witness.note(2);
        assert_eq!(witness.log().await?, [Got::Note(2)], "it went on");
        Ok(())
    });
}

/// EXIT-04: among messages, in the order in which all of it was sent.
#[test]
fn exit_04_a_trapping_process_turns_exit_signals_into_messages() {
    everywhere(async |_: Process<()>| {
        for kind in KINDS {
            let (p, q) = (kind.spawn_trapping().await?, kind.spawn());
            let to = p.clone();
            q.tell(move |me| {
                to.note(1);
                me.exit(&to, reason(1));
                to.note(2);
                me.exit(&to, ExitReason::Normal);
                to.note(3);
                me.exit(&to, ExitReason::Killed);
                me.exit(&to, ExitReason::Shutdown);
                to.note(4);
            });
            let expected = [
                Got::Note(1),
                exit(&q, reason(1)),
                Got::Note(2),
                exit(&q, ExitReason::Normal),
                Got::Note(3),
                exit(&q, ExitReason::Killed),
                exit(&q, ExitReason::Shutdown),
                Got::Note(4),
            ];
            assert_eq!(p.log_of(expected.len()).await?, expected, "{kind:?}");
            settle().await;
            assert_eq!(p.log().await?, expected, "{kind:?}");
            assert!(node().is_alive(&p));
            assert_eq!(info(&p).await?.links, []);
        }
        Ok(())
    });
}

/// What became of a process that was killed.
#[derive(Default)]
struct Fate {
    informed: AtomicBool,
    terminated: AtomicBool,
    dropped: AtomicBool,
}

impl Fate {
    fn seen(&self) -> (bool, bool, bool) {
        let seen = |flag: &AtomicBool| flag.load(Ordering::SeqCst);
        (seen(&self.informed), seen(&self.terminated), seen(&self.dropped))
    }
}

/// Traps exits; busy in a handler that yields, when it is told to be.
struct Busy(Arc<Fate>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::SeqCst);
    }
}

impl Actor for Busy {
    type Msg = oneshot::Sender<()>;
    type Client = Address<Self::Msg>;
    const NAME: &'static str = "Busy";
    const OPTIONS: Options = Options { trap_exit: true, ..Options::DEFAULT };
}

impl Handle for Busy {
    async fn handle(&mut self, begun: oneshot::Sender<()>, _cx: &mut Context<Self>) {
        let _ = begun.send(());
        loop {
            yield_now().await;
        }
    }

    async fn info(&mut self, _info: Info, _cx: &mut Context<Self>) {
        self.0.informed.store(true, Ordering::SeqCst);
    }

    async fn terminate(&mut self, _reason: &ExitReason, _cx: &mut Context<Self>) {
        self.0.terminated.store(true, Ordering::SeqCst);
    }
}

/// EXIT-05: for a busy actor and an idle one, and for straight-line code that looks for exits all the time.
#[test]
fn exit_05_kill_cannot_be_trapped() {
    everywhere(async |mut me: Process<()>| {
        let q = Kind::Straight.spawn();
        for busy in [true, false] {
            let fate = Arc::new(Fate::default());
            let (p, watch) = spawn_monitor(Busy(fate.clone()));
            if busy {
                let (sender, begun) = oneshot::channel();
                p.address().cast(sender);
                begun.await?;
            }
            let p = p.pid();
            q.tell(move |me| me.exit(p, ExitReason::Kill));
            assert_eq!(end_of(&mut me, watch).await?, ExitReason::Killed);
            assert_eq!(fate.seen(), (false, false, true), "informed, terminated, dropped; busy: {busy}");
        }

        let fate = Arc::new(Fate::default());
        let (sender, begun) = oneshot::channel();
        let inside = Busy(fate.clone());
        let (p, watch) = spawn_monitor(process(async move |mut me: Process<()>| {
            me.trap_exits(true);
            let _ = sender.send(());
            loop {
                if me.receive_info(Ok).timeout(Duration::ZERO).await.is_ok() {
                    inside.0.informed.store(true, Ordering::SeqCst);
                }
                yield_now().await;
            }
        }));
        begun.await?;
        let p = p.pid();
        q.tell(move |me| me.exit(p, ExitReason::Kill));
        assert_eq!(end_of(&mut me, watch).await?, ExitReason::Killed);
        assert_eq!(fate.seen(), (false, false, true));
        Ok(())
    });
}

/// EXIT-05, for an actor that kills itself.
#[test]
fn exit_05_who_kills_itself_does_not_clean_up_either() {
    everywhere(async |mut me: Process<()>| {
        for at in [Place::Init, Place::Handler, Place::AfterAwait] {
            let (witness, fate, with) = (Kind::Straight.spawn(), Arc::new(Fate::default()), ExitReason::Kill);
            let (p, watch) = spawn_monitor(EndsItself { at, with, witness: witness.clone(), fate: fate.clone() });
            p.address().cast(None);
            assert_eq!(end_of(&mut me, watch).await?, ExitReason::Killed, "{at:?}");
            assert_eq!(fate.seen(), (false, false, true), "{at:?}: informed, terminated, dropped");
            witness.note(2);
            assert_eq!(witness.log().await?, [Got::Note(2)], "{at:?}: it went on");
        }
        Ok(())
    });
}

/// EXIT-05, for processes of all kinds; from outside, from themselves, and past what waits in the mailbox.
#[test]
fn exit_05_kill_acts_on_every_kind_of_process_whoever_sends_it() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            for way in 0..4 {
                let (p, q) = (kind.spawn_trapping().await?, kind.spawn());
                let watch = me.monitor(&p);
                let to = p.pid();
                match way {
                    0 => q.tell(move |me| me.exit(to, ExitReason::Kill)),
                    1 => node().exit(to, ExitReason::Kill),
                    2 => p.tell(|me| me.exit(me.pid(), ExitReason::Kill)),
                    _ => {
                        node().suspend(to);
                        p.note(1);
                        me.exit(to, ExitReason::Kill);
                    }
                }
                assert_eq!(end_of(&mut me, watch).await?, ExitReason::Killed, "{kind:?}, way {way}");
            }
        }
        Ok(())
    });
}

/// What EXIT-05 says does not happen does happen, by the same means, when a process is stopped.
#[test]
fn exit_05_a_stop_in_contrast_lets_clean_up_run() {
    everywhere(async |mut me: Process<()>| {
        let fate = Arc::new(Fate::default());
        let (p, watch) = spawn_monitor(Busy(fate.clone()));
        let (q, to) = (Kind::Straight.spawn(), p.pid());
        q.tell(move |me| me.exit(to, reason(1)));
        q.act(|_| ()).await?;
        p.address().stop(reason(2));
        assert_eq!(end_of(&mut me, watch).await?, reason(2));
        assert_eq!(fate.seen(), (true, true, true), "informed, terminated, dropped");
        Ok(())
    });
}

/// EXIT-06.
#[test]
fn exit_06_peers_of_a_killed_process_see_killed() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            let (k, t, n) = (kind.spawn(), kind.spawn_trapping().await?, kind.spawn());
            k.link(&t).await?;
            n.link(&k).await?;
            let watch = me.monitor(&n);
            node().exit(&k, ExitReason::Kill);
            assert_eq!(t.log_of(1).await?, [exit(&k, ExitReason::Killed)], "{kind:?}");
            assert_eq!(end_of(&mut me, watch).await?, ExitReason::Killed, "{kind:?}");
            settle().await;
            assert_eq!(t.log().await?, [exit(&k, ExitReason::Killed)], "{kind:?}: told twice");
        }
        Ok(())
    });
}

/// Only an explicitly sent `kill` is special: a process may end with that reason, and over a link it is a
/// reason like any other.
#[test]
fn exit_rule_kill_over_a_link_is_a_reason_like_any_other() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            let (k, t, n) = (kind.spawn(), kind.spawn_trapping().await?, kind.spawn());
            k.link(&t).await?;
            k.link(&n).await?;
            let watches = [me.monitor(&k), me.monitor(&n)];
            k.end(ExitReason::Kill);
            for watch in watches {
                assert_eq!(end_of(&mut me, watch).await?, ExitReason::Kill, "{kind:?}");
            }
            assert_eq!(t.log_of(1).await?, [exit(&k, ExitReason::Kill)], "{kind:?}");
            assert!(node().is_alive(&t));
        }
        Ok(())
    });
}

/// Yields for ever, in the ways there are.
fn yielding_for_ever(mode: usize) -> (Pid, MonitorRef) {
    let (p, watch) = spawn_monitor(process(async move |me: Process<()>| {
        loop {
            match mode {
                0 => yield_now().await,
                1 => time::reduce(500).await,
                _ => {
                    me.consume_reductions(10_000);
                    yield_now().await;
                }
            }
        }
    }));
    (p.pid(), watch)
}

async fn the_first_fatal_signal_counts(mut me: Process<()>, repetitions: u32) -> Result<()> {
    let q = Kind::Plain.spawn();
    for n in 0..repetitions {
        let (p, watch) = match n % 4 {
            0 => {
                let (p, watch) = spawn_monitor(Stuck);
                p.address().cast(());
                (p.pid(), watch)
            }
            mode => yielding_for_ever(mode as usize - 1),
        };
        if n % 2 == 0 {
            // Let it begin.
            yield_now().await;
        }
        q.tell(move |me| {
            // Ignored, so that it is not the first fatal one.
            me.exit(p, ExitReason::Normal);
            me.exit(p, ExitReason::value("first"));
            me.exit(p, ExitReason::value("second"));
            me.exit(p, ExitReason::Kill);
        });
        assert_eq!(end_of(&mut me, watch).await?, ExitReason::value("first"), "repetition {n}");
    }
    Ok(())
}

/// EXIT-07.
#[test]
fn exit_07_only_the_first_fatal_signal_counts() {
    seeded(async |me: Process<()>| the_first_fatal_signal_counts(me, 20).await);
    real(4, async |me: Process<()>| the_first_fatal_signal_counts(me, 500).await);
}

/// EXIT-08.
#[test]
fn exit_08_a_normal_exit_over_a_link_is_told_to_who_traps_and_ends_nobody() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            let (l, t, n) = (kind.spawn(), kind.spawn_trapping().await?, kind.spawn());
            l.link(&t).await?;
            n.link(&l).await?;
            assert_eq!(info(&n).await?.links, [l.pid()]);
            let watch = me.monitor(&l);
            l.end(ExitReason::Normal);
            assert_eq!(end_of(&mut me, watch).await?, ExitReason::Normal);
            assert_eq!(t.log_of(1).await?, [exit(&l, ExitReason::Normal)], "{kind:?}");
            let mut patience = Patience::default();
            while !info(&n).await?.links.is_empty() {
                patience.wait().await;
            }
            settle().await;
            assert_eq!(n.log().await?, [], "{kind:?}");
            assert_eq!(t.log().await?, [exit(&l, ExitReason::Normal)], "{kind:?}: told twice");
            assert_eq!(info(&t).await?.links, []);
            assert!(node().is_alive(&n) && node().is_alive(&t));
        }
        Ok(())
    });
}

/// EXIT-09.
#[test]
fn exit_09_abnormal_exits_cascade() {
    everywhere(async |_: Process<()>| {
        for kind in KINDS {
            for end in [reason(1), ExitReason::Shutdown] {
                let chain: Vec<_> = (0..4).map(|_| kind.spawn()).collect();
                chain[3].trap(true).await?;
                for pair in chain.windows(2) {
                    pair[0].link(&pair[1]).await?;
                }
                let mut observers = Vec::new();
                for process in &chain {
                    let observer = Kind::Straight.spawn();
                    observers.push((observer.monitor(process).await?, observer));
                }
                chain[0].end(end.clone());
                let told = [exit(&chain[2], end.clone())];
                assert_eq!(chain[3].log_of(1).await?, told, "{kind:?}");
                for ((watch, observer), process) in observers.iter().zip(&chain[..3]) {
                    assert_eq!(observer.log_of(1).await?, [down(*watch, process, end.clone())], "{kind:?}");
                }
                settle().await;
                assert_eq!(chain[3].log().await?, told, "{kind:?}: something else came");
                assert_eq!(info(&chain[3]).await?.links, []);
                assert_eq!(observers[3].1.log().await?, [], "{kind:?}: the last one ended, too");
                for (_, observer) in &observers[..3] {
                    assert_eq!(observer.log().await?.len(), 1);
                }
            }
        }
        Ok(())
    });
}

/// EXIT-10, for straight-line code: the `Exit` lies unread before the message that tells to go on.
#[test]
fn exit_10_an_exit_that_is_queued_stays_a_message() {
    everywhere(async |mut me: Process<Vec<Received<u8>>>| {
        for over_link in [false, true] {
            let a = Kind::Plain.spawn();
            let (to_test, from) = (me.address(), a.pid());
            let t = spawn_process(async move |mut me: Process<u8>| {
                me.trap_exits(true);
                if over_link {
                    me.link(from);
                }
                me.receive_match(|n| *n == 1).await?;
                me.receive_match(|n| *n == 2).await?;
                me.trap_exits(false);
                let mut read = Vec::new();
                for _ in 0..2 {
                    read.push(me.receive_any().await?);
                }
                to_test.cast(read);
                me.receive_match(|n| *n == 4).await?;
                Ok(())
            });
            t.cast(1);
            // It has switched trapping on, and linked, before it looks for more.
            let mut patience = Patience::default();
            while !info(&t).await?.trap_exit || (info(&t).await?.links.is_empty() && over_link) {
                patience.wait().await;
            }
            let to = t.clone();
            if over_link {
                let watch = me.monitor(&a);
                a.end(reason(1));
                end_of(&mut me, watch).await?;
                // That was told to this process; the link is gone when it was told to the other, too.
                while !info(&t).await?.links.is_empty() {
                    patience.wait().await;
                }
                to.cast(2);
                to.cast(3);
            } else {
                a.tell(move |me| {
                    me.exit(&to, reason(1));
                    to.cast(2);
                    to.cast(3);
                });
            }
            let queued = Received::Info(Info::Exit(Exit { from, reason: reason(1) }));
            assert_eq!(me.receive().await?, [queued, Received::Message(3)], "over a link: {over_link}");
            let watch = me.monitor(&t);
            t.cast(4);
            assert_eq!(end_of(&mut me, watch).await?, ExitReason::Normal, "it did not stay alive");
        }
        Ok(())
    });
}

/// Traps exits; in its handler it waits for the gate, then traps no more. Tells what it reads.
struct Gated {
    told: Address<Vec<Received<u8>>>,
}

impl Actor for Gated {
    type Msg = (oneshot::Sender<()>, oneshot::Receiver<()>);
    type Client = Address<Self::Msg>;
    const NAME: &'static str = "Gated";
    const OPTIONS: Options = Options { trap_exit: true, ..Options::DEFAULT };
}

impl Handle for Gated {
    async fn handle(&mut self, (begun, gate): Self::Msg, cx: &mut Context<Self>) {
        let _ = begun.send(());
        let _ = gate.await;
        cx.trap_exits(false);
    }

    async fn info(&mut self, info: Info, _cx: &mut Context<Self>) {
        self.told.cast(vec![Received::Info(info)]);
    }
}

/// EXIT-10, for an actor: the `Exit` came while its handler was waiting for something.
#[test]
fn exit_10_an_exit_that_is_queued_at_an_actor_stays_a_message() {
    everywhere(async |mut me: Process<Vec<Received<u8>>>| {
        let (t, watch) = spawn_monitor(Gated { told: me.address() });
        let ((begun, has_begun), (go, gate)) = (oneshot::channel(), oneshot::channel());
        t.address().cast((begun, gate));
        has_begun.await?;
        // From a process that is not its parent, whose exit would end it without being told.
        let q = Kind::Straight.spawn();
        let to = t.pid();
        let sends = spawn_process(async move |me: Process<()>| {
            me.exit(to, reason(1));
            // It has been received when this is answered.
            me.node().process_info(to).await;
            let _ = go.send(());
            Ok(())
        });
        let expected = Received::Info(Info::Exit(Exit { from: sends.pid(), reason: reason(1) }));
        assert_eq!(me.receive().await?, [expected]);
        // It is alive, and indeed no longer traps.
        q.tell(move |me| me.exit(to, reason(2)));
        assert_eq!(end_of(&mut me, watch).await?, reason(2));
        Ok(())
    });
}

/// What a process is expected to do with an exit signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Nothing,
    /// Gets an `Exit` with the reason that was sent.
    IsTold,
    /// Ends with the reason that was sent.
    Ends,
    /// Ends with `killed`.
    EndsKilled,
}

/// Where an exit signal comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Another,
    Itself,
    /// The reason that a linked process ended with.
    OverALink,
}

/// The area's rule, row by row, as Erlang/OTP's reference manual gives it ("Receiving Exit Signals").
#[rustfmt::skip]
fn table() -> Vec<(bool, From, ExitReason, Does)> {
    use ExitReason as R;
    vec![
        // It does not trap.
        (false, From::Another,   R::Normal,   Does::Nothing),
        (false, From::Another,   R::Kill,     Does::EndsKilled),
        (false, From::Another,   R::Killed,   Does::Ends),
        (false, From::Another,   R::Shutdown, Does::Ends),
        (false, From::Another,   reason(1),   Does::Ends),
        (false, From::Itself,    R::Normal,   Does::Ends),
        (false, From::Itself,    R::Kill,     Does::EndsKilled),
        (false, From::Itself,    R::Killed,   Does::Ends),
        (false, From::Itself,    R::Shutdown, Does::Ends),
        (false, From::Itself,    reason(1),   Does::Ends),
        (false, From::OverALink, R::Normal,   Does::Nothing),
        (false, From::OverALink, R::Kill,     Does::Ends),
        (false, From::OverALink, R::Killed,   Does::Ends),
        (false, From::OverALink, R::Shutdown, Does::Ends),
        (false, From::OverALink, reason(1),   Does::Ends),
        // It traps.
        (true,  From::Another,   R::Normal,   Does::IsTold),
        (true,  From::Another,   R::Kill,     Does::EndsKilled),
        (true,  From::Another,   R::Killed,   Does::IsTold),
        (true,  From::Another,   R::Shutdown, Does::IsTold),
        (true,  From::Another,   reason(1),   Does::IsTold),
        (true,  From::Itself,    R::Normal,   Does::IsTold),
        (true,  From::Itself,    R::Kill,     Does::EndsKilled),
        (true,  From::Itself,    R::Killed,   Does::IsTold),
        (true,  From::Itself,    R::Shutdown, Does::IsTold),
        (true,  From::Itself,    reason(1),   Does::IsTold),
        (true,  From::OverALink, R::Normal,   Does::IsTold),
        (true,  From::OverALink, R::Kill,     Does::IsTold),
        (true,  From::OverALink, R::Killed,   Does::IsTold),
        (true,  From::OverALink, R::Shutdown, Does::IsTold),
        (true,  From::OverALink, reason(1),   Does::IsTold),
    ]
}

#[test]
fn exit_rule_every_row_of_the_table() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            for (traps, from, sent, does) in table() {
                let row = format!("{kind:?}, traps: {traps}, from {from:?}: {sent}");
                let (p, q) = (kind.spawn(), kind.spawn());
                p.trap(traps).await?;
                q.link(&p).await?;
                if from != From::OverALink {
                    let to = p.pid();
                    q.act(move |me| me.unlink(to)).await?;
                    q.reach(&p).await?;
                }
                let (watch, of_q) = (me.monitor(&p), me.monitor(&q));
                let (to, with) = (p.clone(), sent.clone());
                match from {
                    From::Another => q.tell(move |me| {
                        me.exit(&to, with);
                        to.note(1);
                    }),
                    From::Itself => p.tell(move |me| {
                        me.exit(me.pid(), with);
                        to.note(1);
                    }),
                    From::OverALink => {
                        q.end(with);
                        end_of(&mut me, of_q).await?;
                        settle().await;
                        p.note(1);
                    }
                }
                let sender = if from == From::Itself { p.pid() } else { q.pid() };
                match does {
                    Does::Nothing => assert_eq!(p.log_of(1).await, Ok(vec![Got::Note(1)]), "{row}"),
                    Does::IsTold => {
                        let mut log = p.log_of(2).await?;
                        // Over a link, whoever sends the note is another than who sends the exit.
                        if from == From::OverALink && log[0] == Got::Note(1) {
                            log.reverse();
                        }
                        assert_eq!(log, [exit(sender, sent), Got::Note(1)], "{row}");
                    }
                    Does::Ends => assert_eq!(end_of(&mut me, watch).await?, sent, "{row}"),
                    Does::EndsKilled => assert_eq!(end_of(&mut me, watch).await?, ExitReason::Killed, "{row}"),
                }
                if matches!(does, Does::Nothing | Does::IsTold) {
                    let len = p.log().await?.len();
                    settle().await;
                    assert!(node().is_alive(&p), "{row}");
                    assert_eq!(p.log().await?.len(), len, "{row}: something more came");
                }
                for left in [p, q] {
                    node().exit(&left, ExitReason::Kill);
                }
            }
        }
        Ok(())
    });
}

/// The trap flag that counts is the one at the time when the signal is received.
#[test]
fn exit_rule_the_trap_flag_counts_when_the_signal_is_received() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            let (p, q) = (kind.spawn(), kind.spawn());
            let (watch, to) = (me.monitor(&p), p.pid());
            p.trap(true).await?;
            q.act(move |me| me.exit(to, reason(1))).await?;
            q.reach(&p).await?;
            p.trap(false).await?;
            assert_eq!(p.log().await?, [exit(&q, reason(1))], "{kind:?}");
            p.trap(true).await?;
            q.act(move |me| me.exit(to, reason(2))).await?;
            q.reach(&p).await?;
            p.trap(false).await?;
            q.act(move |me| me.exit(to, reason(3))).await?;
            assert_eq!(end_of(&mut me, watch).await?, reason(3), "{kind:?}");
        }
        Ok(())
    });
}
