//! Area INFO: what can be seen of a process. Asked, it answers behind what the asker sent before; looked at
//! from outside, it is seen as it is.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use biotope_runtime::{
    Actor, Address, Call, Context, ExitReason, Handle, Node, Options, Pid, Priority, Process, ProcessInfo, Refused,
    ReplyTo, Runtime, Start, Status, Step, Target, node, options, process, spawn, spawn_process, time,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::acts::{Puppet, act, acted, end_of, puppet, puppet_on};
use crate::runs::{SEEDS, everywhere, is_virtual, millis, once, secs, threads, under_seeds, until};

/// Asks `pid` on behalf of the running process.
async fn info_of(pid: impl Into<Pid>) -> ProcessInfo {
    node().process_info(pid.into()).await.expect("it lives")
}

/// Asks `pid` until it says so.
async fn until_so(pid: impl Into<Pid>, is_so: impl Fn(&ProcessInfo) -> bool) {
    let pid = pid.into();
    let mut questions = 0;
    loop {
        let info = info_of(pid).await;
        if is_so(&info) {
            return;
        }
        questions += 1;
        assert!(questions < 10_000 || !is_virtual(), "it did not come about: {info:?}");
        time::yield_now().await;
    }
}

// ---- INFO-01

/// What the examined actor takes.
enum Told {
    Equip(Box<Equipment>, ReplyTo<()>),
    /// Handles nothing else until this opens.
    Wait(oneshot::Receiver<()>, ReplyTo<()>),
    Count,
    Clear,
    Work(u32),
}

/// Whom the examined actor is tied to.
struct Equipment {
    links: [Pid; 2],
    monitored: Pid,
    leader: Pid,
}

#[derive(Default)]
struct Examined {
    _state: [u64; 32],
}

impl Actor for Examined {
    type Msg = Told;
    type Client = Address<Told>;
    const NAME: &'static str = "Examined";
    const HANDLERS: &'static [&'static str] = &["equip", "wait", "count", "clear", "work"];

    fn handler_of(message: &Told) -> u32 {
        match message {
            Told::Equip(..) => 0,
            Told::Wait(..) => 1,
            Told::Count => 2,
            Told::Clear => 3,
            Told::Work(_) => 4,
        }
    }
}

impl Handle for Examined {
    async fn handle(&mut self, message: Told, cx: &mut Context<Self>) {
        match message {
            Told::Equip(equipment, reply) => {
                cx.trap_exits(true);
                cx.put(Secret("dictionary entry"));
                equipment.links.into_iter().for_each(|link| cx.link(link));
                cx.monitor(equipment.monitored);
                cx.monitor(Target::name("watched by name"));
                cx.set_label("an examined process");
                cx.set_group_leader(equipment.leader);
                cx.set_priority(Priority::High);
                reply.send(());
            }
            Told::Wait(gate, reply) => {
                reply.send(());
                let _ = gate.await;
            }
            Told::Count | Told::Clear => {}
            Told::Work(n) => cx.consume_reductions(n),
        }
    }

    /// As the macro writes it: what does not wait is handled without a future.
    fn step(&mut self, message: Told, cx: &mut Context<Self>) -> Step<impl Future<Output = ()> + Send> {
        match message {
            Told::Count | Told::Clear => Step::Done,
            Told::Work(n) => {
                cx.consume_reductions(n);
                Step::Done
            }
            other => Step::Async(self.handle(other, cx)),
        }
    }
}

#[derive(Clone, Debug)]
struct Secret(#[expect(dead_code, reason = "shown by Debug")] &'static str);

#[test]
fn info_01_every_field_is_reported() {
    everywhere(async |me: Process<()>| {
        let (a, b, c, leader, by_name) = (puppet(), puppet(), puppet(), puppet(), puppet());
        node().register("watched by name", &by_name)?;
        let examined = spawn(Examined::default());
        node().register("examined", &examined)?;
        let equipment = Equipment { links: [a.pid(), b.pid()], monitored: c.pid(), leader: leader.pid() };
        let before = info_of(&examined).await;
        Call::new(&examined, |reply| Told::Equip(Box::new(equipment), reply)).await?;
        let (open, gate) = oneshot::channel();
        Call::new(&examined, |reply| Told::Wait(gate, reply)).await?;
        for message in [Told::Count, Told::Clear, Told::Count] {
            examined.cast(message);
        }
        me.monitor(&examined);

        let info = info_of(&examined).await;
        assert_eq!(info.pid, examined.pid());
        assert_eq!(info.name.as_deref(), Some("examined"));
        assert_eq!(info.actor, "Examined");
        assert_eq!(info.label.as_deref(), Some("an examined process"));
        assert_eq!(info.parent, Some(me.pid()));
        assert_eq!(info.group_leader, Some(leader.pid()));
        assert_eq!(info.status, Status::Awaiting);
        assert_eq!(activity(&info).as_deref(), Some("Some(\"wait\")"));
        assert_eq!(info.priority, Priority::High);
        assert!(info.trap_exit);
        assert_eq!(info.mailbox_len, 3);
        assert_eq!(info.messages, ["count", "clear", "count"]);
        assert_eq!(set(&info.links), set(&[a.pid(), b.pid()]));
        assert_eq!(info.monitors.len(), 2);
        assert!(info.monitors.iter().any(|target| *target == c.pid()));
        let is_name = |target: &Target| {
            matches!(target, Target::Name { name, node: of, .. }
                if **name == *"watched by name" && of.is_none_or(|of| of == node().id()))
        };
        assert!(info.monitors.iter().any(is_name), "{:?}", info.monitors);
        assert_eq!(info.monitored_by, [me.pid()]);
        assert_eq!(info.dictionary, ["Secret(\"dictionary entry\")"]);
        // Two messages were handled; a small constant may have gone to the questions.
        let work = info.reductions - before.reductions;
        assert!((2..20).contains(&work), "{work} reductions");
        assert!(info.memory > size_of::<Examined>(), "{} bytes", info.memory);
        // The other sides agree.
        assert_eq!(info_of(&a).await.links, [examined.pid()]);
        assert_eq!(info_of(&c).await.monitored_by, [examined.pid()]);
        assert_eq!(info_of(&by_name).await.monitored_by, [examined.pid()]);

        // What ends, ends here too.
        let _ = open.send(());
        until_handled(&examined).await;
        let info = info_of(&examined).await;
        assert_eq!((info.status, info.mailbox_len), (Status::Waiting, 0));
        assert_eq!(activity(&info).as_deref(), Some("None"));
        assert_eq!(info.messages, Vec::<String>::new());
        Ok(())
    });
}

/// The field `activity`, as Debug shows it.
fn activity(info: &ProcessInfo) -> Option<String> {
    let text = format!("{info:?}");
    let (_, from) = text.split_once("activity: ")?;
    from.split_once(',').map(|(activity, _)| activity.to_owned())
}

/// Until `examined` waits for messages.
async fn until_handled(examined: &Address<Told>) {
    let pid = examined.pid();
    until(move || node().peek(pid).is_some_and(|info| info.status == Status::Waiting)).await;
}

fn set(pids: &[Pid]) -> BTreeSet<Pid> {
    pids.iter().copied().collect()
}

/// A process that has set nothing shows nothing; it has a parent, and a type.
#[test]
fn info_01_a_plain_process() {
    everywhere(async |me: Process<()>| {
        let plain = puppet();
        let info = info_of(&plain).await;
        assert_eq!((info.pid, info.parent), (plain.pid(), Some(me.pid())));
        assert_eq!((&info.name, &info.label), (&None, &None));
        assert_eq!(activity(&info).as_deref(), Some("None"));
        assert_eq!((info.priority, info.trap_exit, info.mailbox_len), (Priority::Normal, false, 0));
        assert_eq!((info.links, info.monitors, info.monitored_by), (vec![], vec![], vec![]));
        assert_eq!((info.messages, info.dictionary), (vec![], vec![]));
        assert_eq!(info.group_leader, me.group_leader());
        assert!(!info.actor.is_empty() && info.memory > 0);
        let orphan = node().spawn_process(async |mut me: Process<()>| Ok(me.receive().await?));
        assert_eq!(info_of(&orphan).await.parent, None);
        Ok(())
    });
}

/// A straight-line process that waits for something else than what it has: it waits, and says what lies there.
#[test]
fn info_01_messages_that_a_selective_receive_passed_over() {
    everywhere(async |_: Process<()>| {
        let (done, over) = oneshot::channel::<()>();
        let process = spawn_process(async move |mut me: Process<u32>| {
            let _done = done;
            me.receive_match(|n| *n == 9).await?;
            me.receive_match(|n| *n == 9).await?;
            Ok(())
        });
        for n in [1, 2, 9, 3] {
            process.cast(n);
        }
        until_so(&process, |info| info.mailbox_len == 3).await;
        let info = info_of(&process).await;
        assert_eq!((info.status, info.mailbox_len, info.messages.len()), (Status::Waiting, 3, 3));
        process.cast(9);
        let _ = over.await;
        Ok(())
    });
}

/// The rule: asked by a process, the answer is ordered behind what that process sent before.
#[test]
fn info_01_the_answer_comes_behind_what_the_asker_sent() {
    everywhere(async |me: Process<()>| {
        me.trap_exits(true);
        let examined = spawn(Examined::default());
        let (open, gate) = oneshot::channel();
        examined.cast(Told::Wait(gate, ReplyTo::from_fn(|_| ())));
        // It need not have begun, nor is it asked to: it is asked while it awaits.
        for n in 0..30 {
            examined.cast(if n % 2 == 0 { Told::Count } else { Told::Clear });
            me.link(&examined);
            let monitor = me.monitor(&examined);
            let info = info_of(&examined).await;
            let lying = info.mailbox_len;
            // The first message may not be handled yet: then it lies there, too.
            assert!(lying == n + 1 || lying == n + 2, "{lying} after {} more", n + 1);
            assert_eq!(info.messages.iter().filter(|name| *name != "wait").count(), n + 1);
            assert_eq!((info.links, info.monitored_by), (vec![me.pid()], vec![me.pid()]));
            me.unlink(&examined);
            me.demonitor(monitor);
            let info = info_of(&examined).await;
            assert_eq!((info.links, info.monitored_by), (vec![], vec![]));
        }
        let _ = open.send(());
        me.exit(&examined, ExitReason::Kill);
        assert_eq!(node().process_info(&examined).await, None, "it was asked behind the kill");
        Ok(())
    });
}

/// The same with many askers at once: each sees at least what it sent itself.
#[test]
fn info_01_every_asker_sees_what_it_sent() {
    everywhere(async |_: Process<()>| {
        let (_open, gate) = oneshot::channel();
        let examined = spawn(Examined::default());
        Call::new(&examined, |reply| Told::Wait(gate, reply)).await?;
        // An asker that fails drops its end without a word.
        let (report, mut reports) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..6 {
            let (examined, report) = (examined.clone(), report.clone());
            spawn_process(async move |asker: Process<()>| {
                let mut seen = 0;
                for n in 1..=20 {
                    examined.cast(Told::Count);
                    let monitor = asker.monitor(&examined);
                    let info = info_of(&examined).await;
                    assert!(info.mailbox_len >= n && info.mailbox_len >= seen && info.mailbox_len <= 120);
                    assert_eq!(info.messages.len(), info.mailbox_len);
                    seen = info.mailbox_len;
                    assert!(info.monitored_by.contains(&asker.pid()));
                    asker.demonitor(monitor);
                }
                let _ = report.send(());
                Ok(())
            });
        }
        drop(report);
        for _ in 0..6 {
            assert_eq!(reports.recv().await, Some(()));
        }
        let info = info_of(&examined).await;
        assert_eq!((info.mailbox_len, info.monitored_by), (120, vec![]));
        Ok(())
    });
}

/// A process may ask about itself, and from outside processes one may ask, too.
#[test]
fn info_01_asked_by_itself_and_from_outside() {
    everywhere(async |me: Process<u32>| {
        me.set_label("me");
        me.address().cast(1);
        me.address().cast(2);
        let info = info_of(me.pid()).await;
        assert_eq!((info.pid, info.label.as_deref(), info.mailbox_len), (me.pid(), Some("me"), 2));
        Ok(())
    });
    for builder in [Runtime::builder().workers(2), Runtime::builder().seeded(1)] {
        let runtime = builder.build().unwrap();
        let node = runtime.block_on(Node::builder("outside").runtime(runtime.clone()).start()).unwrap();
        let p = puppet_on(&node);
        let act = acted(&p, |me| {
            me.set_label("seen from outside");
            me.trap_exits(true);
        });
        runtime.block_on(act).expect("it does what it is sent");
        let info = runtime.block_on(node.process_info(&p)).expect("it lives");
        assert_eq!((info.label.as_deref(), info.trap_exit), (Some("seen from outside"), true));
        runtime.block_on(node.shutdown());
        assert_eq!(runtime.block_on(node.process_info(&p)), None);
    }
}

/// A snapshot is consistent: two values that always change together, in one message, are never seen apart.
#[test]
fn info_01_a_snapshot_is_consistent() {
    everywhere(async |mut me: Process<()>| {
        let stop = Arc::new(AtomicBool::new(false));
        let (changing, peer) = (puppet(), puppet());
        let (stopped, peer_pid) = (stop.clone(), peer.pid());
        // Links, traps and is labelled, or none of it, with a turn between.
        let flip = move |on: bool| {
            move |me: &mut Process<crate::acts::Act>| {
                me.trap_exits(on);
                me.set_label(if on { "on" } else { "off" });
                if on {
                    me.link(peer_pid);
                    me.put(7_u8);
                } else {
                    me.unlink(peer_pid);
                    me.erase::<u8>();
                }
            }
        };
        acted(&changing, flip(false)).await?;
        let (to, report) = (changing.clone(), me.address());
        spawn_process(async move |_: Process<()>| {
            let mut n = 0;
            while !stopped.load(Ordering::Relaxed) {
                n += 1;
                acted(&to, flip(n % 2 == 0)).await?;
            }
            report.cast(());
            Ok(())
        });
        for _ in 0..100 {
            let info = info_of(&changing).await;
            let is_on = info.label.as_deref() == Some("on");
            let linked = info.links == [peer_pid];
            assert_eq!((info.trap_exit, linked, info.dictionary.len() == 1), (is_on, is_on, is_on));
        }
        stop.store(true, Ordering::Relaxed);
        me.receive().await?;
        Ok(())
    });
}

/// What `options` and `spawn` say is there from the beginning.
#[test]
fn info_01_options_are_there_from_the_beginning() {
    everywhere(async |_: Process<()>| {
        let body = async |mut me: Process<()>| Ok(me.receive().await?);
        let straight = spawn(options(process(body)).priority(Priority::Low).label("straight"));
        let actor = spawn(options(Examined::default()).priority(Priority::Max).label("actor"));
        for (pid, priority, label) in
            [(straight.pid(), Priority::Low, "straight"), (actor.pid(), Priority::Max, "actor")]
        {
            for info in [node().peek(pid), node().process_info(pid).await] {
                let info = info.expect("it lives");
                assert_eq!((info.priority, info.label.as_deref()), (priority, Some(label)));
            }
        }
        Ok(())
    });
}

/// What an actor says of itself is there from its first instruction on, unless whoever spawns it says otherwise.
#[test]
fn info_01_the_priority_of_an_actor_is_there_from_the_beginning() {
    struct Urgent(tokio::sync::mpsc::UnboundedSender<Option<Priority>>);
    impl Actor for Urgent {
        type Msg = ();
        type Client = Address<()>;
        const NAME: &'static str = "Urgent";
        const OPTIONS: Options = Options { priority: Priority::High, ..Options::DEFAULT };
    }
    impl Handle for Urgent {
        async fn init(&mut self, cx: &mut Context<Self>) -> Result<(), Refused> {
            let _ = self.0.send(node().peek(cx.pid()).map(|info| info.priority));
            Ok(())
        }
        async fn handle(&mut self, (): (), _: &mut Context<Self>) {}
    }
    impl Start for Urgent {
        type Args = tokio::sync::mpsc::UnboundedSender<Option<Priority>>;
        async fn start(told: Self::Args, _: &mut Context<Self>) -> Result<Self, Refused> {
            Ok(Self(told))
        }
    }
    everywhere(async |_: Process<()>| {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        spawn(Urgent(tell.clone()));
        assert_eq!(told.recv().await, Some(Some(Priority::High)));
        spawn(options(Urgent(tell.clone())).priority(Priority::Low));
        assert_eq!(told.recv().await, Some(Some(Priority::Low)));
        spawn(options(Urgent(tell.clone())).priority(Priority::Normal));
        assert_eq!(told.recv().await, Some(Some(Priority::Normal)));
        Urgent::spec_with(move || tell.clone()).start().await?;
        assert_eq!(told.recv().await, Some(Some(Priority::High)));
        Ok(())
    });
}

// ---- INFO-02

/// In virtual time, where nothing else runs meanwhile: each status, asked and looked at.
#[test]
fn info_02_status_values() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        let peeked = |pid: Pid| node().peek(pid).map(|info| info.status);
        async fn asked(pid: Pid) -> Option<Status> {
            node().process_info(pid).await.map(|info| info.status)
        }
        // Runnable: spawned, and nobody else has had a turn. Looked at only: whoever asks lets it run.
        let p = puppet();
        assert_eq!(peeked(p.pid()), Some(Status::Runnable));
        // Running: what it says of itself.
        let running = acted(&p, |me| node().peek(me.pid()).map(|info| info.status)).await?;
        assert_eq!(running, Some(Status::Running));
        assert_eq!(peeked(me.pid()), Some(Status::Running));
        // Waiting.
        assert_eq!(asked(p.pid()).await, Some(Status::Waiting));
        time::sleep(millis(1)).await;
        assert_eq!(peeked(p.pid()), Some(Status::Waiting));
        // Runnable: a message came, and it has not run.
        act(&p, |_| ());
        assert_eq!(peeked(p.pid()), Some(Status::Runnable));
        // Suspended, whatever lies in its mailbox. The request takes its turn behind that message; a question
        // does not.
        node().suspend(&p);
        time::sleep(millis(1)).await;
        assert_eq!((peeked(p.pid()), asked(p.pid()).await), (Some(Status::Suspended), Some(Status::Suspended)));
        act(&p, |_| ());
        assert_eq!((peeked(p.pid()), asked(p.pid()).await), (Some(Status::Suspended), Some(Status::Suspended)));
        node().resume(&p);
        time::sleep(millis(1)).await;
        assert_eq!((peeked(p.pid()), asked(p.pid()).await), (Some(Status::Waiting), Some(Status::Waiting)));
        // Awaiting: in its own code, but not for a message.
        let (_open, gate) = oneshot::channel::<()>();
        let awaiting = spawn_process(async move |_: Process<()>| Ok(gate.await?));
        time::sleep(millis(1)).await;
        assert_eq!(
            (peeked(awaiting.pid()), asked(awaiting.pid()).await),
            (Some(Status::Awaiting), Some(Status::Awaiting))
        );
        // Hibernating.
        let hibernating = spawn_process(async |mut me: Process<()>| {
            me.hibernate().await?;
            Ok(me.receive().await?)
        });
        time::sleep(millis(1)).await;
        assert_eq!(peeked(hibernating.pid()), Some(Status::Hibernating));
        assert_eq!(asked(hibernating.pid()).await, Some(Status::Hibernating));
        assert_eq!(asked(hibernating.pid()).await, Some(Status::Hibernating), "a question does not wake it");
        // Ending: none, when it is over, and never `Some(Ended)` for one who waited for it.
        for pid in [p.pid(), awaiting.pid(), hibernating.pid()] {
            me.exit(pid, ExitReason::Kill);
            assert_eq!(asked(pid).await, None);
            end_of(&mut me, pid).await?;
            assert_eq!(peeked(pid), None);
        }
        Ok(())
    });
}

/// On threads: a process that is on a worker is seen running by others, also if it does not let go.
#[test]
fn info_02_running_is_seen_from_another_thread() {
    once(Runtime::builder().workers(4), async |_: Process<()>| {
        let (started, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (tell, told) = (started.clone(), stop.clone());
        let busy = spawn_process(async move |_: Process<()>| {
            tell.store(true, Ordering::Release);
            while !told.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            Ok(())
        });
        until(move || started.load(Ordering::Acquire)).await;
        for _ in 0..100 {
            assert_eq!(node().peek(&busy).map(|info| info.status), Some(Status::Running));
        }
        // It is listed with the same.
        let listed = node().processes().into_iter().find(|info| info.pid == busy.pid());
        assert_eq!(listed.map(|info| info.status), Some(Status::Running));
        stop.store(true, Ordering::Release);
        node().ended(&busy).await;
        Ok(())
    });
}

/// A suspended process handles nothing until it is resumed, then all, in order.
#[test]
fn info_02_a_suspended_process_goes_on_where_it_was() {
    everywhere(async |mut me: Process<u32>| {
        for is_straight in [true, false] {
            let to = me.address();
            let p = puppet();
            let relay = |n: u32| {
                let to = to.clone();
                act(&p, move |_| to.cast(n));
            };
            if is_straight {
                node().suspend(&p);
                (0..5).for_each(relay);
                assert_eq!(info_of(&p).await.mailbox_len, 5);
                // It comes to the request at its next turn.
                until_so(&p, |info| info.status == Status::Suspended).await;
                assert_eq!(info_of(&p).await.mailbox_len, 5);
                assert_eq!(me.receive().timeout(Duration::ZERO).await.ok(), None, "it handled something");
                node().resume(&p);
            } else {
                // Twice is once.
                node().suspend(&p);
                node().suspend(&p);
                (0..5).for_each(relay);
                node().resume(&p);
                node().resume(&p);
            }
            for n in 0..5 {
                assert_eq!(me.receive().await?, n);
            }
        }
        Ok(())
    });
}

// ---- INFO-03

#[test]
fn info_03_the_dead_have_no_information() {
    everywhere(async |mut me: Process<()>| {
        let p = puppet();
        assert!(node().is_alive(&p));
        p.stop(ExitReason::Normal);
        end_of(&mut me, &p).await?;
        assert!(!node().is_alive(&p));
        assert_eq!(node().process_info(&p).await, None);
        assert_eq!(node().peek(&p), None);
        assert!(node().processes().iter().all(|info| info.pid != p.pid()));
        Ok(())
    });
}

/// A question that is on its way when the process ends is answered: with none, and at once.
#[test]
fn info_03_a_question_to_a_process_that_ends_is_answered() {
    everywhere(async |mut me: Process<bool>| {
        for _ in 0..20 {
            let p = puppet();
            for _ in 0..4 {
                let (pid, report) = (p.pid(), me.address());
                spawn_process(async move |_: Process<()>| {
                    let info = node().process_info(pid).await;
                    report.cast(info.is_none_or(|info| info.pid == pid));
                    Ok(())
                });
            }
            p.stop(ExitReason::Normal);
            for _ in 0..4 {
                assert!(me.receive().await?);
            }
        }
        Ok(())
    });
}

/// The same, thousands of times on threads: the questions race with each other, with the beginning of the process, with
/// its going to rest, and with its end.
#[test]
fn info_03_no_question_is_lost() {
    once(Runtime::builder().workers(4), async |mut me: Process<bool>| {
        const ASKERS: usize = 4;
        let askers: Vec<Address<Pid>> = (0..ASKERS)
            .map(|_| {
                let report = me.address();
                spawn_process(async move |mut asker: Process<Pid>| {
                    loop {
                        let pid = asker.receive().await?;
                        let info = node().process_info(pid).await;
                        report.cast(info.is_none_or(|info| info.pid == pid));
                    }
                })
            })
            .collect();
        for round in 0..10_000 {
            let p = puppet();
            if round % 2 == 0 {
                // It has begun, and rests or is about to.
                acted(&p, |_| ()).await?;
            }
            for asker in &askers {
                asker.cast(p.pid());
            }
            if round % 3 != 0 {
                p.stop(ExitReason::Normal);
            }
            for _ in 0..ASKERS {
                assert!(me.receive().await?, "in round {round}");
            }
            p.stop(ExitReason::Normal);
        }
        Ok(())
    });
}

/// Another node's process is none of this one's. (Its own node answers; see `docs/guarantees.md`.)
#[test]
fn info_03_a_process_of_another_node_has_none_here() {
    everywhere(async |_: Process<()>| {
        let other = Node::builder("other").runtime(node().runtime().clone()).start().await?;
        let remote = puppet_on(&other);
        assert!(!node().is_alive(&remote));
        assert_eq!(node().process_info(&remote).await, None);
        assert_eq!(node().peek(&remote), None);
        assert!(other.is_alive(&remote));
        assert_eq!(other.process_info(&remote).await.map(|info| info.pid), Some(remote.pid()));
        other.shutdown().await;
        Ok(())
    });
}

// ---- INFO-04

/// Read from other threads all the while: it never goes back, and grows for whoever works.
#[test]
fn info_04_reductions_never_decrease_and_count_work() {
    threads(3, async |_: Process<()>| {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let busy = spawn_process(async move |_: Process<()>| {
            while !told.load(Ordering::Relaxed) {
                time::reduce(1).await;
            }
            Ok(())
        });
        let idle = puppet();
        acted(&idle, |_| ()).await?;
        until({
            let idle = idle.pid();
            move || node().peek(idle).is_some_and(|info| info.status == Status::Waiting)
        })
        .await;
        let of_idle = node().peek(&idle).expect("it lives").reductions;
        // Threads of their own, which are no processes.
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (node, busy, idle) = (node(), busy.pid(), idle.pid());
                std::thread::spawn(move || {
                    let first = node.peek(busy).expect("it lives").reductions;
                    let (mut last, mut growths) = (first, 0);
                    while growths < 20 {
                        let now = node.peek(busy).expect("it lives").reductions;
                        assert!(now >= last, "{now} after {last}");
                        growths += u32::from(now > last);
                        last = now;
                        assert_eq!(node.peek(idle).expect("it lives").reductions, of_idle);
                        std::thread::yield_now();
                    }
                })
            })
            .collect();
        until(|| readers.iter().all(std::thread::JoinHandle::is_finished)).await;
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().expect("no reader saw it decrease");
        }
        Ok(())
    });
}

/// A handled message counts one, and what the code reports counts besides. Questions cost a small constant.
#[test]
fn info_04_the_unit_of_work() {
    under_seeds(SEEDS, async |_: Process<()>| {
        let examined = spawn(Examined::default());
        let reductions = |pid| node().peek(pid).expect("it lives").reductions;
        time::sleep(millis(1)).await;
        let before = reductions(examined.pid());
        for _ in 0..100 {
            examined.cast(Told::Count);
        }
        time::sleep(millis(1)).await;
        assert_eq!(reductions(examined.pid()) - before, 100, "a message counts one");

        let before = reductions(examined.pid());
        for n in [10, 0, 5_000] {
            examined.cast(Told::Work(n));
        }
        time::sleep(millis(1)).await;
        assert_eq!(reductions(examined.pid()) - before, 3 + 5_010, "and what it reports counts besides");

        let before = reductions(examined.pid());
        time::sleep(secs(10)).await;
        assert_eq!(reductions(examined.pid()), before, "who does nothing costs nothing");
        for _ in 0..100 {
            info_of(&examined).await;
        }
        let cost = reductions(examined.pid()) - before;
        assert!(cost <= 400, "{cost} reductions for 100 questions");

        // Straight-line code: what it receives and what it reports.
        let p = puppet();
        time::sleep(millis(1)).await;
        let before = reductions(p.pid());
        for _ in 0..50 {
            act(&p, |me| me.consume_reductions(9));
        }
        time::sleep(millis(1)).await;
        let work = reductions(p.pid()) - before;
        assert!((500..=600).contains(&work), "{work} reductions");
        Ok(())
    });
}

// ---- INFO-05

/// Who is certainly alive: entered after it has said so, taken off before it is told to end.
type Alive = Arc<Mutex<BTreeSet<Pid>>>;

/// Spawns and ends processes, always some at a time.
async fn churn(alive: Alive, rounds: usize) -> biotope_runtime::Result<()> {
    let mut living: Vec<Puppet> = Vec::new();
    for round in 0..rounds {
        let p = puppet();
        acted(&p, |_| ()).await?;
        alive.lock().insert(p.pid());
        living.push(p);
        if living.len() > 20 {
            let ended = living.swap_remove(round * 7 % living.len());
            alive.lock().remove(&ended.pid());
            if round % 2 == 0 {
                ended.stop(ExitReason::Normal);
            } else {
                node().exit(&ended, ExitReason::Kill);
            }
        }
    }
    Ok(())
}

async fn list_while_churning(rounds: usize) -> biotope_runtime::Result<()> {
    const CHURNERS: usize = 4;
    let alive = Alive::default();
    let running = Arc::new(AtomicU64::new(CHURNERS as u64));
    let mut churned = Vec::new();
    for _ in 0..CHURNERS {
        let (alive, running) = (alive.clone(), running.clone());
        let (done, outcome) = oneshot::channel();
        churned.push(outcome);
        spawn_process(async move |_: Process<()>| {
            let _ = done.send(churn(alive, rounds / CHURNERS).await);
            running.fetch_sub(1, Ordering::Release);
            Ok(())
        });
    }
    let stable: BTreeSet<Pid> = (0..50).map(|_| puppet().pid()).collect();
    let mut listings = 0;
    while running.load(Ordering::Acquire) > 0 {
        let before: BTreeSet<Pid> = alive.lock().clone();
        let listed: Vec<Pid> = node().processes().into_iter().map(|info| info.pid).collect();
        let after: BTreeSet<Pid> = alive.lock().clone();
        let once: BTreeSet<Pid> = listed.iter().copied().collect();
        assert_eq!(once.len(), listed.len(), "a process is listed twice");
        assert!(once.is_superset(&stable));
        let missing: Vec<_> = before.intersection(&after).filter(|pid| !once.contains(pid)).collect();
        assert_eq!(missing, Vec::<&Pid>::new(), "they lived during the whole listing");
        listings += 1;
        time::yield_now().await;
    }
    for outcome in churned {
        outcome.await??;
    }
    assert!(listings > 1 || is_virtual(), "nothing was listed meanwhile");
    // All that lives, and nothing else, when nothing happens any more.
    let living: BTreeSet<Pid> = stable.union(&alive.lock()).copied().collect();
    until(|| {
        let listed: BTreeSet<Pid> = node().processes().iter().map(|info| info.pid).collect();
        listed.is_superset(&living) && listed.iter().all(|pid| node().is_alive(*pid))
    })
    .await;
    Ok(())
}

#[test]
fn info_05_a_listing_has_every_living_process_once() {
    once(Runtime::builder().workers(4), async |_: Process<()>| list_while_churning(10_000).await);
    under_seeds(SEEDS, async |_: Process<()>| list_while_churning(80).await);
}

/// From a thread that is no worker, which runs truly beside those that spawn and end.
#[test]
fn info_05_a_listing_from_outside() {
    once(Runtime::builder().workers(4), async |_: Process<()>| {
        let (alive, stop) = (Alive::default(), Arc::new(AtomicBool::new(false)));
        let lister = {
            let (node, alive, stop) = (node(), alive.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    let before = alive.lock().clone();
                    let listed: Vec<Pid> = node.processes().into_iter().map(|info| info.pid).collect();
                    let after = alive.lock().clone();
                    let once: BTreeSet<Pid> = listed.iter().copied().collect();
                    assert_eq!(once.len(), listed.len(), "a process is listed twice");
                    assert!(before.intersection(&after).all(|pid| once.contains(pid)), "a living process is missing");
                }
            })
        };
        churn(alive, 10_000).await?;
        stop.store(true, Ordering::Release);
        until(|| lister.is_finished()).await;
        lister.join().expect("every listing was whole");
        Ok(())
    });
}
