//! Area SIG: order and delivery of signals.
//!
//! All signals (messages, exits, link, unlink, monitor, demonitor, down, queries) from one process to one other
//! process arrive in the order in which they were sent. Nothing is promised between different senders.

use std::collections::BTreeMap;
use std::time::Duration;

use biotope_runtime::{
    Actor, Address, Context, Error, Exit, ExitReason, Handle, Info, Me, Node, Process, ProcessInfo, Received, Refused,
    Result, Target, exit_now, node, spawn, spawn_process, yield_now,
};
use tokio::sync::oneshot;

use crate::puppets::{Got, KINDS, Kind, Load, Order, Puppet, down, drain, end_of, exit, info, next_down, reason};
use crate::runs::{everywhere, on, real, seeded, settle};
use crate::two_nodes::{Pair, WIRES, far};

/// Checks that the numbers of each sender come in order, none missing or doubled; then says so.
struct InOrder {
    expected: BTreeMap<usize, u32>,
    until: u32,
    done: Option<oneshot::Sender<()>>,
}

impl InOrder {
    fn of(senders: usize, until: u32) -> (Self, oneshot::Receiver<()>) {
        let (sender, done) = oneshot::channel();
        (Self { expected: (0..senders).map(|sender| (sender, 1)).collect(), until, done: Some(sender) }, done)
    }

    /// Takes one number. Returns whether that was the last of all.
    fn take(&mut self, sender: usize, n: u32) -> bool {
        let expected = self.expected.get_mut(&sender).expect("it is one of the senders");
        assert_eq!(n, *expected, "of sender {sender}");
        *expected += 1;
        let is_over = self.expected.values().all(|next| *next == self.until + 1);
        if is_over && let Some(done) = self.done.take() {
            let _ = done.send(());
        }
        is_over
    }
}

impl Actor for InOrder {
    type Msg = (usize, u32);
    type Client = Address<(usize, u32)>;
    const NAME: &'static str = "InOrder";
}

impl Handle for InOrder {
    async fn handle(&mut self, (sender, n): (usize, u32), cx: &mut Context<Self>) {
        if self.take(sender, n) {
            cx.stop(ExitReason::Normal);
        }
    }
}

/// A (sender 0) and C1 to C8 send 1 to `until` to B; all of them at once.
async fn each_pair_is_in_order(mut me: Process<()>, until: u32, pause: u32) -> Result<()> {
    for is_actor in [false, true] {
        let (mut in_order, done) = InOrder::of(9, until);
        let b = if is_actor {
            spawn(in_order).address().clone()
        } else {
            spawn_process(async move |mut me: Process<(usize, u32)>| {
                loop {
                    let (sender, n) = me.receive().await?;
                    if in_order.take(sender, n) {
                        return Ok(());
                    }
                }
            })
        };
        let watch = me.monitor(&b);
        for sender in 0..9 {
            let b = b.clone();
            spawn_process(async move |_: Process<()>| {
                for n in 1..=until {
                    b.cast((sender, n));
                    if n % pause == 0 {
                        yield_now().await;
                    }
                }
                Ok(())
            });
        }
        // Whatever was wrong is the reason.
        assert_eq!(end_of(&mut me, watch).await?, ExitReason::Normal);
        done.await?;
    }
    Ok(())
}

/// SIG-01.
#[test]
fn sig_01_messages_of_a_pair_keep_their_order() {
    seeded(async |me: Process<()>| each_pair_is_in_order(me, 60, 7).await);
    real(2, async |me: Process<()>| each_pair_is_in_order(me, 100_000, 1_000).await);
}

/// SIG-01, for a receiver that takes what is not first, and what senders to other nodes send.
#[test]
fn sig_01_messages_keep_their_order_across_nodes() {
    everywhere(async |_: Process<()>| {
        for wire in WIRES {
            let pair = Pair::start(wire).await?;
            for kind in KINDS {
                let b = kind.spawn_on(&pair.there);
                let mut senders = Vec::new();
                for sender in 0..4 {
                    let b = far(&pair.here, &b);
                    senders.push(on(&pair.here, async move |_: Process<()>| {
                        for n in 0..50 {
                            b.note(sender * 1_000 + n);
                            if n % 5 == 0 {
                                yield_now().await;
                            }
                        }
                        Ok(())
                    }));
                }
                for sender in senders {
                    sender.await?;
                }
                let log = b.log_of(4 * 50).await?;
                for sender in 0..4 {
                    let of_sender = log.iter().filter(|got| matches!(got, Got::Note(n) if n / 1_000 == sender));
                    let expected: Vec<_> = (0..50).map(|n| Got::Note(sender * 1_000 + n)).collect();
                    assert_eq!(of_sender.cloned().collect::<Vec<_>>(), expected, "{wire:?}, {kind:?}");
                }
            }
            pair.end().await;
        }
        Ok(())
    });
}

const LATE: u32 = 99;

/// Reads its mailbox, and exits with `bad` if it ever sees `late`; as an actor.
struct Reader;

impl Actor for Reader {
    type Msg = Order;
    type Client = Address<Order>;
    const NAME: &'static str = "Reader";
}

impl Handle for Reader {
    async fn handle(&mut self, order: Order, _cx: &mut Context<Self>) {
        if matches!(order, Order::Note(LATE)) {
            exit_now(ExitReason::value("bad"));
        }
    }
}

/// The same in straight-line code, and the same that is always busy.
fn reader(n: u32, node: &Node) -> Puppet {
    Puppet::of(match n % 3 {
        0 => node.spawn(Reader).address().clone(),
        1 => node.spawn_process(async |mut me: Process<Order>| {
            loop {
                if matches!(me.receive().await?, Order::Note(LATE)) {
                    return Err(ExitReason::value("bad").into());
                }
            }
        }),
        _ => node.spawn_process(async |mut me: Process<Order>| {
            loop {
                let receive = me.receive_match(|order| matches!(order, Order::Note(LATE)));
                if receive.timeout(Duration::ZERO).await.is_ok() {
                    return Err(ExitReason::value("bad").into());
                }
                yield_now().await;
            }
        }),
    })
}

async fn an_exit_keeps_its_place(mut me: Process<()>, repetitions: u32) -> Result<()> {
    for n in 0..repetitions {
        let p = reader(n, &node());
        let watch = me.monitor(&p);
        let to = p.clone();
        spawn_process(async move |me: Process<()>| {
            early_exit_late(&me, &to, n);
            Ok(())
        });
        let down = next_down(&mut me).await?;
        assert_eq!((down.reference, down.reason), (watch, ExitReason::value("good")), "repetition {n}");
    }
    Ok(())
}

fn early_exit_late(me: &Process<()>, to: &Puppet, n: u32) {
    for _ in 0..3 {
        to.note(n);
    }
    me.exit(to, ExitReason::value("good"));
    for _ in 0..3 {
        to.note(LATE);
    }
}

/// SIG-02, on one node.
#[test]
fn sig_02_an_exit_signal_keeps_its_place_among_messages() {
    seeded(async |me: Process<()>| an_exit_keeps_its_place(me, 30).await);
    real(4, async |me: Process<()>| {
        let _load = Load::start(2);
        an_exit_keeps_its_place(me, 1_000).await
    });
}

async fn an_exit_keeps_its_place_across_nodes(_me: Process<()>, repetitions: u32) -> Result<()> {
    for wire in WIRES {
        let pair = Pair::start(wire).await?;
        let there = pair.there.clone();
        let body = async move |mut me: Process<()>| {
            for n in 0..repetitions {
                let p = reader(n, &there);
                let watch = me.monitor(p.pid());
                let here = me.node().clone();
                // It is watched before anybody may end it.
                while there.process_info(&p).await.is_none_or(|info| info.monitored_by != [me.pid()]) {
                    yield_now().await;
                }
                me.node().spawn_process(async move |me: Process<()>| {
                    early_exit_late(&me, &far(&here, &p), n);
                    Ok(())
                });
                let down = next_down(&mut me).await?;
                assert_eq!((down.reference, down.reason), (watch, ExitReason::value("good")), "repetition {n}");
            }
            Ok(())
        };
        on(&pair.here, body).await?;
        pair.end().await;
    }
    Ok(())
}

/// SIG-02, between two nodes.
#[test]
fn sig_02_an_exit_signal_keeps_its_place_across_nodes() {
    seeded(async |me: Process<()>| an_exit_keeps_its_place_across_nodes(me, 10).await);
    real(2, async |me: Process<()>| an_exit_keeps_its_place_across_nodes(me, 1_000).await);
}

/// Sends the last messages, and ends in one of the ways there are, or not at all.
fn end_after_two(to: &Puppet, n: u32, me: &Me) {
    to.note(1);
    to.note(2);
    match n % 4 {
        0 => me.exit_now(reason(1)),
        1 => me.exit(me.pid(), reason(1)),
        2 => panic!("boom"),
        _ => {}
    }
}

/// A reads everything, in the order in which it comes.
async fn last_messages_come_first(mut me: Process<Order>, repetitions: u32) -> Result<()> {
    me.trap_exits(true);
    for n in 0..repetitions {
        // A monitors B; A is linked to B; both.
        let (monitors, links) = [(true, false), (false, true), (true, true)][n as usize % 3];
        let b = KINDS[(n / 3) as usize % KINDS.len()].spawn();
        if monitors {
            me.monitor(&b);
        }
        if links {
            me.link(&b);
        }
        let to = Puppet::of(me.address());
        b.tell(move |me| end_after_two(&to, n, me));
        b.end(ExitReason::Normal);
        let mut notes = 0;
        let mut told = 0;
        while told < usize::from(monitors) + usize::from(links) {
            match me.receive_any().await? {
                Received::Message(Order::Note(n)) => {
                    notes += 1;
                    assert_eq!(n, notes, "repetition {n}");
                }
                Received::Message(_) => panic!("an order that nobody has given"),
                Received::Info(Info::Down(down)) => {
                    assert_eq!((down.target.pid(), notes), (Some(b.pid()), 2), "repetition {n}: too early");
                    told += 1;
                }
                Received::Info(Info::Exit(exit)) => {
                    assert_eq!((exit.from, notes), (b.pid(), 2), "repetition {n}: too early");
                    told += 1;
                }
                Received::Info(other) => panic!("{other:?}"),
            }
        }
    }
    Ok(())
}

/// SIG-03, for a straight-line A.
#[test]
fn sig_03_last_messages_come_before_the_news_of_the_end() {
    seeded(async |me: Process<Order>| last_messages_come_first(me, 36).await);
    real(4, async |me: Process<Order>| {
        let _load = Load::start(2);
        last_messages_come_first(me, 1_000).await
    });
}

/// SIG-03, for an A of every kind, and for one that reads what is not first: the `Down` before the messages,
/// if it wants to.
#[test]
fn sig_03_last_messages_come_before_the_news_for_every_kind() {
    everywhere(async |mut me: Process<Order>| {
        for of_a in KINDS {
            for of_b in KINDS {
                let (a, b) = (of_a.spawn_trapping().await?, of_b.spawn());
                let reference = a.monitor(&b).await?;
                a.link(&b).await?;
                let to = a.clone();
                b.tell(move |me| {
                    to.note(1);
                    to.note(2);
                    me.exit_now(reason(1));
                });
                let mut log = a.log_of(4).await?;
                assert_eq!(log[..2], [Got::Note(1), Got::Note(2)]);
                if log[2] == exit(&b, reason(1)) {
                    log.swap(2, 3);
                }
                assert_eq!(log[2..], [down(reference, &b, reason(1)), exit(&b, reason(1))]);
            }
        }
        let b = Kind::Plain.spawn();
        let watch = me.monitor(&b);
        let to = Puppet::of(me.address());
        b.tell(move |me| {
            to.note(1);
            to.note(2);
            me.exit_now(reason(1));
        });
        assert_eq!(end_of(&mut me, watch).await?, reason(1));
        for n in 1..=2 {
            // They are there: nothing is waited for.
            let note = me.receive_match(|order| matches!(order, Order::Note(_))).timeout(Duration::ZERO);
            assert!(matches!(note.await?, Order::Note(note) if note == n));
        }
        Ok(())
    });
}

/// SIG-03, between two nodes.
#[test]
fn sig_03_last_messages_come_before_the_news_across_nodes() {
    everywhere(async |_: Process<()>| {
        for wire in WIRES {
            let pair = Pair::start(wire).await?;
            for of_a in KINDS {
                let (a, b) = (of_a.spawn_on(&pair.here), Kind::Straight.spawn_on(&pair.there));
                a.trap(true).await?;
                let to_b = b.pid();
                let reference = a
                    .act(move |me| {
                        me.link(to_b);
                        me.monitor(to_b)
                    })
                    .await?;
                while info_on(&pair.there, &b).await.is_none_or(|info| info.monitored_by != [a.pid()]) {
                    yield_now().await;
                }
                let to_a = far(&pair.there, &a);
                b.tell(move |me| {
                    to_a.note(1);
                    to_a.note(2);
                    me.exit_now(reason(1));
                });
                let mut log = a.log_of(4).await?;
                assert_eq!(log[..2], [Got::Note(1), Got::Note(2)], "{wire:?}");
                if log[2] == exit(to_b, reason(1)) {
                    log.swap(2, 3);
                }
                assert_eq!(log[2..], [down(reference, to_b, reason(1)), exit(to_b, reason(1))], "{wire:?}");
            }
            pair.end().await;
        }
        Ok(())
    });
}

async fn info_on(node: &Node, of: &Puppet) -> Option<ProcessInfo> {
    node.process_info(of.pid()).await
}

async fn a_monitor_comes_before_the_message(mut me: Process<()>, repetitions: u32) -> Result<()> {
    for n in 0..repetitions {
        let b = KINDS[n as usize % KINDS.len()].spawn();
        if n % 2 == 0 {
            // B has begun to wait.
            yield_now().await;
        }
        let watch = me.monitor(&b);
        b.end(reason(n));
        let down = next_down(&mut me).await?;
        assert_eq!((down.reference, down.reason), (watch, reason(n)));
    }
    Ok(())
}

/// SIG-04.
#[test]
fn sig_04_monitor_first_message_second() {
    seeded(async |me: Process<()>| a_monitor_comes_before_the_message(me, 40).await);
    real(4, async |me: Process<()>| {
        let _load = Load::start(2);
        a_monitor_comes_before_the_message(me, 2_000).await
    });
}

/// Ends with `reason(n)` when it gets the note `n`.
struct Mortal;

impl Actor for Mortal {
    type Msg = Order;
    type Client = Address<Order>;
    const NAME: &'static str = "Mortal";
}

impl Handle for Mortal {
    async fn init(&mut self, _cx: &mut Context<Self>) -> std::result::Result<(), Refused> {
        yield_now().await;
        Ok(())
    }

    async fn handle(&mut self, order: Order, cx: &mut Context<Self>) {
        if let Order::Note(n) = order {
            cx.stop(reason(n));
        }
    }
}

/// SIG-04, between two nodes.
#[test]
fn sig_04_monitor_first_message_second_across_nodes() {
    everywhere(async |_: Process<()>| {
        for wire in WIRES {
            let pair = Pair::start(wire).await?;
            let there = pair.there.clone();
            let body = async move |mut me: Process<()>| {
                for n in 0..10 {
                    let b = Puppet::of(there.spawn(Mortal).address().clone());
                    let watch = me.monitor(b.pid());
                    far(me.node(), &b).note(n);
                    let down = next_down(&mut me).await?;
                    assert_eq!((down.reference, down.reason), (watch, reason(n)));
                }
                Ok(())
            };
            on(&pair.here, body).await?;
            pair.end().await;
        }
        Ok(())
    });
}

async fn both_ways_lead_there(_me: Process<()>, repetitions: u32) -> Result<()> {
    for n in 0..repetitions {
        let kind = KINDS[n as usize % KINDS.len()];
        let (a, b, c) = (kind.spawn(), kind.spawn(), kind.spawn());
        let (to_b, to_c) = (b.clone(), c.clone());
        a.tell(move |_| {
            to_b.note(1);
            to_c.tell(move |_| to_b.note(2));
        });
        let mut log = b.log_of(2).await?;
        settle().await;
        assert_eq!(b.log().await?.len(), 2);
        // Either order is legal.
        log.sort_by_key(|got| *got != Got::Note(1));
        assert_eq!(log, [Got::Note(1), Got::Note(2)]);
    }
    Ok(())
}

/// SIG-05. That either order is legal is said in `docs/guarantees.md`.
#[test]
fn sig_05_no_order_is_assumed_across_senders() {
    seeded(async |me: Process<()>| both_ways_lead_there(me, 10).await);
    real(4, async |me: Process<()>| both_ways_lead_there(me, 500).await);
}

/// SIG-05: the documents say so.
#[test]
fn sig_05_the_documents_promise_nothing_across_senders() {
    let guarantees = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guarantees.md");
    let text = std::fs::read_to_string(guarantees).expect("the guarantees are written down");
    assert!(text.contains("SIG-05"), "docs/guarantees.md does not say that nothing is promised across senders");
}

/// What A does to B next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Message,
    Exit,
    Link,
    Unlink,
    Monitor,
    Demonitor,
    Query,
}

/// Goal: signals of every kind from A to B take effect in the order in which they were sent.
/// Method: A sends at random and keeps a model of what B must be like; queries among the signals must answer
/// as the model says, to the signal. B reads nothing until the end, and then everything in order.
async fn signals_of_every_kind_are_in_order(mut me: Process<Vec<Received<u32>>>, steps: u32) -> Result<()> {
    let to_test = me.address();
    let b = spawn_process(async move |mut me: Process<u32>| {
        me.trap_exits(true);
        me.receive_match(|n| *n == u32::MAX).await?;
        let mut read = Vec::new();
        loop {
            match me.receive_any().await? {
                Received::Message(0) => break,
                other => read.push(other),
            }
        }
        to_test.cast(read);
        Ok(())
    });
    while !info(&b).await?.trap_exit {
        yield_now().await;
    }
    let to = b.clone();
    let a = async move |mut me: Process<()>| {
        // If B ends and A is linked to it, that is no end of A.
        me.trap_exits(true);
        let mut expected = Vec::new();
        let (mut messages, mut is_linked, mut monitors) = (0, false, Vec::new());
        for n in 1..=steps {
            use Step::{Demonitor, Exit as SendExit, Link, Message, Monitor, Query, Unlink};
            let random = me.node().runtime().random() as usize;
            let step = [Message, Message, SendExit, Link, Unlink, Monitor, Demonitor, Query][random % 8];
            match step {
                Message => {
                    to.cast(n);
                    messages += 1;
                    expected.push(Received::Message(n));
                }
                SendExit => {
                    me.exit(&to, reason(n));
                    expected.push(Received::Info(Info::Exit(Exit { from: me.pid(), reason: reason(n) })));
                }
                Link => {
                    me.link(&to);
                    is_linked = true;
                }
                Unlink => {
                    me.unlink(&to);
                    is_linked = false;
                }
                Monitor => monitors.push(me.monitor(&to)),
                Demonitor => {
                    if !monitors.is_empty() {
                        me.demonitor(monitors.swap_remove(random / 8 % monitors.len()));
                    }
                }
                Query => {
                    let info = info(&to).await?;
                    assert_eq!(info.messages.len(), messages, "step {n}");
                    assert_eq!(info.links, if is_linked { vec![me.pid()] } else { vec![] }, "step {n}");
                    assert_eq!(info.monitored_by, vec![me.pid(); monitors.len()], "step {n}");
                    assert!(info.monitors.is_empty());
                }
            }
        }
        to.cast(u32::MAX);
        to.cast(0);
        // What it still monitors, and is linked to, tells in the end; nothing else does.
        let mut told = 0;
        while !monitors.is_empty() || is_linked {
            match me.receive_any().await? {
                Received::Info(Info::Down(down)) => {
                    let at = monitors.iter().position(|reference| *reference == down.reference);
                    monitors.swap_remove(at.expect("it was not taken back"));
                    assert_eq!(down.target, Target::from(&to));
                }
                Received::Info(Info::Exit(exit)) => {
                    assert!(is_linked && exit.from == to.pid());
                    is_linked = false;
                }
                other => panic!("{other:?}"),
            }
            told += 1;
        }
        settle().await;
        assert_eq!(drain(&mut me).await, [], "after {told}");
        Ok::<_, Error>(expected)
    };
    let (sender, expected) = oneshot::channel();
    let done = on(&node(), async move |me: Process<()>| {
        let _ = sender.send(a(me).await?);
        Ok(())
    });
    let read = me.receive().await?;
    done.await?;
    assert_eq!(read, expected.await?);
    Ok(())
}

#[test]
fn sig_rule_signals_of_every_kind_keep_their_order() {
    seeded(async |me: Process<Vec<Received<u32>>>| signals_of_every_kind_are_in_order(me, 60).await);
    real(8, async |me: Process<Vec<Received<u32>>>| signals_of_every_kind_are_in_order(me, 2_000).await);
}

/// The same between two nodes: messages and exits in one row, whatever links and monitors are between them.
#[test]
fn sig_rule_signals_of_every_kind_keep_their_order_across_nodes() {
    everywhere(async |_: Process<()>| {
        for wire in WIRES {
            let pair = Pair::start(wire).await?;
            for kind in KINDS {
                let b = kind.spawn_on(&pair.there);
                b.trap(true).await?;
                let (sender, sent) = oneshot::channel();
                let to = far(&pair.here, &b);
                let a = async move |me: Process<()>| {
                    let mut expected = Vec::new();
                    let mut monitors = Vec::new();
                    for n in 1..=60 {
                        match me.node().runtime().random() % 6 {
                            0 | 1 => {
                                to.note(n);
                                expected.push(Got::Note(n));
                            }
                            2 => {
                                me.exit(&to, reason(n));
                                expected.push(exit(me.pid(), reason(n)));
                            }
                            3 => me.link(&to),
                            4 => me.unlink(&to),
                            _ => match monitors.pop() {
                                Some(reference) => me.demonitor(reference),
                                None => monitors.push(me.monitor(&to)),
                            },
                        }
                        if n % 10 == 0 {
                            yield_now().await;
                        }
                    }
                    me.unlink(&to);
                    to.note(99);
                    expected.push(Got::Note(99));
                    let _ = sender.send(expected);
                    Ok(())
                };
                on(&pair.here, a).await?;
                let expected = sent.await?;
                assert_eq!(b.log_of(expected.len()).await?, expected, "{wire:?}, {kind:?}");
                let info = info_on(&pair.there, &b).await.expect("it is alive");
                assert_eq!(info.links, [], "{wire:?}, {kind:?}");
            }
            pair.end().await;
        }
        Ok(())
    });
}
