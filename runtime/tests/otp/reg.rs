//! Area REG: local names. One name, one process; one process, one name; given back before anybody is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use biotope_runtime::{
    Actor, Address, Call, CallFailed, Context, DeadLetter, Exit, ExitReason, Handle, Info, NoSuchName, NotRegistered,
    Pid, Process, RegisterError, ReplyTo, Result, Runtime, node, process, spawn, spawn_link, spawn_process, this_pid,
};
use tokio::sync::oneshot;

use crate::acts::{Puppet, act, acted, down, end_of, nothing_more, puppet, puppet_on, sent_by_another};
use crate::puppets::{Awaiting, Got, Kind, Order};
use crate::runs::{SEEDS, everywhere, once, random, under_seeds, until};
use crate::two_nodes::{Pair, WIRES};

fn names() -> Vec<String> {
    node().registered().iter().map(ToString::to_string).collect()
}

async fn name_of(pid: impl Into<Pid>) -> Option<String> {
    let info = node().process_info(pid.into()).await.expect("it lives");
    info.name.map(|name| name.to_string())
}

// ---- REG-01

#[test]
fn reg_01_register_look_up_unregister() {
    everywhere(async |_: Process<()>| {
        let p = puppet();
        assert_eq!((node().whereis("n"), name_of(&p).await, names()), (None, None, vec![]));
        assert_eq!(node().register("n", &p), Ok(()));
        assert_eq!(node().whereis("n"), Some(p.pid()));
        assert_eq!(names(), ["n"]);
        assert_eq!(name_of(&p).await.as_deref(), Some("n"));
        assert_eq!(node().unregister("n"), Ok(()));
        assert_eq!((node().whereis("n"), name_of(&p).await, names()), (None, None, vec![]));
        // Both are free again.
        assert_eq!(node().register("m", &p), Ok(()));
        assert_eq!(node().register("n", &puppet()), Ok(()));
        assert_eq!(names(), ["m", "n"]);
        Ok(())
    });
}

/// A name leads messages to its process, by whatever way they are sent, and in the order sent.
#[test]
fn reg_01_a_name_leads_to_its_process() {
    everywhere(async |_: Process<()>| {
        let named = spawn(Awaiting::default());
        node().register("named", &named)?;
        let address = named.address().clone();
        acted(&puppet(), move |_| {
            assert!(node().send_to("named", Order::Note(1)).is_ok());
            node().send_to_on::<Awaiting>(node().name(), "named", Order::Note(2));
            address.cast(Order::Note(3));
            node().lookup::<Awaiting>("named").expect("it has the name").cast(Order::Note(4));
        })
        .await?;
        assert_eq!(Call::new(&named, Order::Log).await?, [1, 2, 3, 4].map(Got::Note));
        Ok(())
    });
}

/// Names are of a node: another one of the same runtime has its own.
#[test]
fn reg_01_names_are_local_to_their_node() {
    everywhere(async |_: Process<()>| {
        let other = biotope_runtime::Node::builder("other").runtime(node().runtime().clone()).start().await?;
        let (here, there) = (puppet(), puppet_on(&other));
        assert_eq!(node().register("n", &here), Ok(()));
        assert_eq!(other.whereis("n"), None);
        assert_eq!(other.register("n", &there), Ok(()));
        assert_eq!((node().whereis("n"), other.whereis("n")), (Some(here.pid()), Some(there.pid())));
        assert_eq!(node().register("far", &there), Err(RegisterError::NoProc), "it lives on another node");
        other.shutdown().await;
        assert_eq!(node().whereis("n"), Some(here.pid()));
        Ok(())
    });
}

// ---- REG-02

#[test]
fn reg_02_conflicts_change_nothing() {
    everywhere(async |mut me: Process<()>| {
        let (p, q, d) = (puppet(), puppet(), puppet());
        d.stop(ExitReason::Normal);
        end_of(&mut me, &d).await?;
        node().register("n", &p)?;
        assert_eq!(node().register("n", &q), Err(RegisterError::Taken(p.pid())));
        assert_eq!(node().register("m", &p), Err(RegisterError::HasName("n".into())));
        assert_eq!(node().register("k", &d), Err(RegisterError::NoProc));
        assert_eq!(node().unregister("unknown"), Err(NotRegistered));
        // Twice the same is a conflict, too.
        assert!(node().register("n", &p).is_err());
        // Nothing has changed.
        assert_eq!(names(), ["n"]);
        assert_eq!(node().whereis("n"), Some(p.pid()));
        assert_eq!((node().whereis("m"), node().whereis("k"), node().whereis("unknown")), (None, None, None));
        assert_eq!((name_of(&p).await.as_deref(), name_of(&q).await), (Some("n"), None));
        Ok(())
    });
}

/// The rule against a model: whoever registers what, and whoever ends.
#[test]
fn reg_02_agrees_with_a_model() {
    everywhere(async |mut me: Process<()>| {
        const NAMES: [&str; 4] = ["a", "b", "c", "d"];
        let mut processes: Vec<Puppet> = (0..5).map(|_| puppet()).collect();
        let mut dead: Vec<Pid> = Vec::new();
        let mut model: BTreeMap<&str, Pid> = BTreeMap::new();
        for _ in 0..120 {
            let name = NAMES[random(4) as usize];
            let at = random(5) as usize;
            let pid = processes[at].pid();
            match random(6) {
                0..3 => {
                    let its_name = model.iter().find(|(_, holder)| **holder == pid).map(|(name, _)| *name);
                    let registered = node().register(name, pid);
                    match (model.get(name), its_name) {
                        (None, None) => {
                            assert_eq!(registered, Ok(()));
                            model.insert(name, pid);
                        }
                        (Some(&holder), None) => assert_eq!(registered, Err(RegisterError::Taken(holder))),
                        (None, Some(has)) => assert_eq!(registered, Err(RegisterError::HasName(has.into()))),
                        // Either is true.
                        (Some(_), Some(_)) => assert!(registered.is_err()),
                    }
                }
                3 => {
                    let was_there = model.remove(name).is_some();
                    assert_eq!(node().unregister(name).is_ok(), was_there);
                }
                4 => {
                    processes[at].stop(ExitReason::Normal);
                    end_of(&mut me, pid).await?;
                    model.retain(|_, holder| *holder != pid);
                    dead.push(pid);
                    processes[at] = puppet();
                }
                _ => {
                    if let Some(&pid) = dead.get(random(5) as usize) {
                        let registered = node().register(name, pid).unwrap_err();
                        assert!(matches!(registered, RegisterError::NoProc | RegisterError::Taken(_)));
                    }
                }
            }
            for name in NAMES {
                assert_eq!(node().whereis(name), model.get(name).copied());
            }
            assert_eq!(names(), model.keys().map(ToString::to_string).collect::<Vec<_>>());
        }
        Ok(())
    });
}

// ---- REG-03

/// A process that ends in some way, and what it ends with.
#[derive(Clone, Copy, Debug)]
enum Way {
    Returns,
    Fails,
    Chooses,
    Panics,
    Killed,
    Signalled,
    SignalsItself,
    ByLink,
    Stopped,
    Drained,
}

const WAYS: [Way; 10] = [
    Way::Returns,
    Way::Fails,
    Way::Chooses,
    Way::Panics,
    Way::Killed,
    Way::Signalled,
    Way::SignalsItself,
    Way::ByLink,
    Way::Stopped,
    Way::Drained,
];

/// What a process does when it is told.
type Deed = Box<dyn FnOnce(&mut Process<Do>) + Send>;

/// What a straight-line process with a name is told to do.
enum Do {
    Return,
    Fail,
    Act(Deed),
}

fn named(name: &'static str) -> Address<Do> {
    let process = spawn_process(async |mut me: Process<Do>| {
        loop {
            match me.receive().await? {
                Do::Return => return Ok(()),
                Do::Fail => return Err(ExitReason::value("failed").into()),
                Do::Act(act) => act(&mut me),
            }
        }
    });
    node().register(name, &process).expect("the name is free");
    process
}

/// Has `process` end so.
async fn end(process: &Address<Do>, way: Way) -> Result<()> {
    let act = |what: fn(&mut Process<Do>)| process.cast(Do::Act(Box::new(what)));
    match way {
        Way::Returns => process.cast(Do::Return),
        Way::Fails => process.cast(Do::Fail),
        Way::Chooses => act(|me| me.exit_now(ExitReason::value("chosen"))),
        Way::Panics => act(|_| panic!("on purpose")),
        Way::Killed => node().exit(process, ExitReason::Kill),
        Way::Signalled => node().exit(process, ExitReason::Shutdown),
        Way::SignalsItself => act(|me| me.exit(me.pid(), ExitReason::Normal)),
        Way::ByLink => {
            let pid = process.pid();
            acted(&puppet(), move |other| {
                other.link(pid);
                let myself = other.pid();
                other.node().exit(myself, ExitReason::value("linked"));
            })
            .await?;
        }
        Way::Stopped => process.stop(ExitReason::value("stopped")),
        Way::Drained => node().drain(process),
    }
    Ok(())
}

#[test]
fn reg_03_a_name_is_released_at_the_end() {
    everywhere(async |mut me: Process<()>| {
        for way in WAYS {
            let process = named("n");
            let monitor = me.monitor(&process);
            end(&process, way).await?;
            down(&mut me, monitor).await?;
            assert_eq!(node().whereis("n"), None, "{way:?}");
            assert!(node().send_to("n", Do::Return).is_err(), "{way:?}");
            assert_eq!(names(), Vec::<String>::new(), "{way:?}");
            let next = puppet();
            assert_eq!(node().register("n", &next), Ok(()), "{way:?}");
            node().unregister("n")?;
        }
        Ok(())
    });
}

/// What a witness of an end saw at the moment when it heard of it.
#[derive(Debug, PartialEq)]
struct Heard {
    by: &'static str,
    name_was_free: bool,
}

fn heard(by: &'static str, old: Pid) -> Heard {
    // Others who heard may have registered it meanwhile.
    Heard { by, name_was_free: node().whereis("n") != Some(old) }
}

/// Whoever hears of the end first, and by whatever way, finds the name free: by a monitor, a link, a monitor
/// of the name, a supervisor-like restart, or a call that fails.
#[test]
fn reg_03_it_is_released_before_anybody_is_told() {
    everywhere(async |mut me: Process<Heard>| {
        for way in WAYS {
            let process = named("n");
            let old = process.pid();
            let (watching, mut watch) = tokio::sync::mpsc::unbounded_channel();
            let ready = watching.clone();
            let report = me.address();
            spawn_process(async move |mut me: Process<()>| {
                let monitor = me.monitor(old);
                let _ = ready.send(());
                down(&mut me, monitor).await?;
                report.cast(heard("monitor", old));
                Ok(())
            });
            let (ready, report) = (watching.clone(), me.address());
            spawn_process(async move |mut me: Process<()>| {
                let monitor = me.monitor(biotope_runtime::Target::name("n"));
                let _ = ready.send(());
                down(&mut me, monitor).await?;
                report.cast(heard("name monitor", old));
                Ok(())
            });
            let (ready, report) = (watching.clone(), me.address());
            spawn_process(async move |mut me: Process<()>| {
                me.trap_exits(true);
                me.link(old);
                let _ = ready.send(());
                let exit = me.receive_info(|info| match info {
                    Info::Exit(exit) if exit.from == old => Ok(exit),
                    other => Err(other),
                });
                exit.await?;
                report.cast(heard("link", old));
                Ok(())
            });
            let (ready, report) = (watching, me.address());
            let ended = node().ended(old);
            spawn_process(async move |_: Process<()>| {
                let _ = ready.send(());
                ended.await;
                report.cast(heard("ended", old));
                Ok(())
            });
            for _ in 0..4 {
                watch.recv().await.expect("they watch");
            }
            end(&process, way).await?;
            let mut all = BTreeSet::new();
            for _ in 0..4 {
                let heard = me.receive().await?;
                assert!(heard.name_was_free, "{way:?}, by {}", heard.by);
                assert!(all.insert(heard.by));
            }
        }
        Ok(())
    });
}

/// A call that fails because its callee ends, too.
#[test]
fn reg_03_a_caller_that_hears_of_the_end_finds_the_name_free() {
    struct Deaf(Vec<ReplyTo<()>>);
    impl Actor for Deaf {
        type Msg = ReplyTo<()>;
        type Client = Address<ReplyTo<()>>;
        const NAME: &'static str = "Deaf";
    }
    impl Handle for Deaf {
        async fn handle(&mut self, reply: ReplyTo<()>, _cx: &mut Context<Self>) {
            self.0.push(reply);
        }
    }
    everywhere(async |_: Process<()>| {
        let deaf = spawn(Deaf(Vec::new()));
        node().register("n", &deaf)?;
        let held = Call::new(&deaf, |reply| reply).send();
        deaf.address().stop(ExitReason::value("deaf"));
        assert_eq!(held.await, Err(CallFailed::Died(ExitReason::value("deaf"))));
        assert_eq!(node().whereis("n"), None);
        assert_eq!(node().register("n", this_pid()), Ok(()));
        Ok(())
    });
}

/// A parent that starts its child anew under the same name, as a supervisor does.
#[test]
fn reg_03_a_restart_finds_the_name_free() {
    everywhere(async |mut me: Process<()>| {
        me.trap_exits(true);
        let mut child = None;
        for n in 0..50_u32 {
            let next = spawn_link(process(async |mut me: Process<u32>| {
                let n = me.receive().await?;
                Err(ExitReason::value(n).into())
            }));
            assert_eq!(node().register("child", &next), Ok(()), "at start {n}");
            next.cast(n);
            let expected = Exit { from: next.pid(), reason: ExitReason::value(n) };
            let exit = me.receive_info(|info| match info {
                Info::Exit(exit) => Ok(exit),
                other => Err(other),
            });
            assert_eq!(exit.await?, expected);
            child = Some(next);
        }
        assert!(child.is_some_and(|child| !node().is_alive(&child)));
        assert_eq!(node().whereis("child"), None);
        Ok(())
    });
}

/// A name that is registered while its process ends is either refused or given back: it never stays.
#[test]
fn reg_03_a_registration_that_races_with_the_end_leaves_no_name() {
    everywhere(async |mut me: Process<()>| {
        for _ in 0..20 {
            let process = puppet();
            let pid = process.pid();
            let registrars: Vec<_> = (0..3).map(|_| puppet()).collect();
            let (report, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
            for registrar in &registrars {
                let report = report.clone();
                act(registrar, move |_| {
                    let _ = report.send(node().register("n", pid));
                });
            }
            process.stop(ExitReason::Normal);
            end_of(&mut me, pid).await?;
            drop(report);
            let mut successes = 0;
            while let Some(outcome) = outcomes.recv().await {
                successes += u32::from(outcome.is_ok());
            }
            assert!(successes <= 1, "{successes} took one name");
            assert_eq!(node().whereis("n"), None);
            assert_eq!(names(), Vec::<String>::new());
        }
        Ok(())
    });
}

// ---- REG-04

#[test]
fn reg_04_sending_to_an_unknown_name_of_this_node_fails_at_once() {
    everywhere(async |mut me: Process<Arc<()>>| {
        let message = Arc::new(());
        let NoSuchName(handed_back) = node().send_to("n", message.clone()).expect_err("nobody has this name");
        assert!(Arc::ptr_eq(&handed_back, &message));
        // It was not kept for whoever has the name next.
        node().register("n", me.pid())?;
        let sentinel = Arc::new(());
        sent_by_another(&me, vec![sentinel.clone()]).await?;
        assert!(Arc::ptr_eq(&me.receive().await?, &sentinel));
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// With a node's name it is silent, whether the node is this one, another, or not there. What is not delivered
/// is dropped, and counted.
#[test]
fn reg_04_sending_to_an_unknown_name_of_a_named_node_is_silent() {
    everywhere(async |_: Process<()>| {
        let lost = || {
            let letters = [DeadLetter::NoProc, DeadLetter::NoConnection];
            letters.map(|why| node().dead_letters_of(why)).iter().sum::<u64>()
        };
        let before = lost();
        let message = Arc::new(());
        let order = || {
            let message = message.clone();
            Order::Act(Box::new(move |_| drop(message)))
        };
        node().send_to_on::<Awaiting>(node().name(), "n", order());
        node().send_to_on::<Awaiting>("nowhere", "n", order());
        assert_eq!(lost(), before + 2);
        assert_eq!(Arc::strong_count(&message), 1);
        // They were not kept for whoever has the name next.
        let next = spawn(Awaiting::default());
        node().register("n", &next)?;
        node().send_to_on::<Awaiting>(node().name(), "n", Order::Note(7));
        assert_eq!(Call::new(&next, Order::Log).await?, [Got::Note(7)]);
        Ok(())
    });
}

/// On two nodes: silent if the other has no such name, and delivered if it has.
#[test]
fn reg_04_sending_to_a_name_of_another_node() {
    everywhere(async |_: Process<()>| {
        for wire in WIRES {
            let pair = Pair::start(wire).await?;
            let sender = puppet_on(&pair.here);
            let here = pair.here.clone();
            acted(&sender, move |_| {
                here.send_to_on::<Awaiting>("there", "n", Order::Note(1));
                here.send_to_on::<Awaiting>("nowhere", "n", Order::Note(2));
            })
            .await?;
            let counted = pair.here.clone();
            until(move || counted.dead_letters_of(DeadLetter::NoProc) == 2).await;
            let there = Kind::Awaiting.spawn_on(&pair.there);
            pair.there.register("n", &there)?;
            // The same name here is another one.
            let same = Kind::Awaiting.spawn_on(&pair.here);
            pair.here.register("n", &same)?;
            let here = pair.here.clone();
            acted(&sender, move |_| here.send_to_on::<Awaiting>("there", "n", Order::Note(3))).await?;
            assert_eq!(there.log_of(1).await?, [Got::Note(3)]);
            assert_eq!(same.log().await?, []);
            pair.end().await;
        }
        Ok(())
    });
}

/// The name of a process that takes other messages is none for this one: nothing is delivered.
#[test]
fn reg_04_a_name_of_a_process_with_other_messages_takes_nothing() {
    everywhere(async |mut me: Process<u8>| {
        node().register("n", me.pid())?;
        assert_eq!(node().send_to("n", "text").map_err(|NoSuchName(text)| text), Err("text"));
        node().send_to_on::<Awaiting>(node().name(), "n", Order::Note(1));
        assert!(node().send_to("n", 7_u8).is_ok());
        assert_eq!(me.receive().await?, 7);
        nothing_more(&mut me).await;
        Ok(())
    });
}

// ---- REG-05

/// Sixteen processes on all workers register themselves as one name at once, ten thousand times.
#[test]
fn reg_05_of_many_that_register_at_once_one_succeeds() {
    const RACERS: usize = 16;
    const ROUNDS: u32 = 10_000;
    once(Runtime::builder().workers(4), async |me: Process<Attempt>| race(me, RACERS, ROUNDS).await);
    under_seeds(SEEDS, async |me: Process<Attempt>| race(me, RACERS, 10).await);
}

struct Attempt {
    by: Pid,
    outcome: Result<(), RegisterError>,
}

async fn race(mut me: Process<Attempt>, racers: usize, rounds: u32) -> Result<()> {
    // Each registers itself whenever it is told to.
    let racers: Vec<Address<()>> = (0..racers)
        .map(|_| {
            let report = me.address();
            spawn_process(async move |mut racer: Process<()>| {
                loop {
                    racer.receive().await?;
                    let outcome = node().register("n", racer.pid());
                    report.cast(Attempt { by: racer.pid(), outcome });
                }
            })
        })
        .collect();
    for round in 0..rounds {
        racers.iter().for_each(|racer| racer.cast(()));
        let mut attempts = Vec::new();
        for _ in &racers {
            attempts.push(me.receive().await?);
        }
        let (won, lost): (Vec<_>, Vec<_>) = attempts.into_iter().partition(|attempt| attempt.outcome.is_ok());
        assert_eq!(won.len(), 1, "in round {round}");
        let winner = won[0].by;
        assert_eq!(node().whereis("n"), Some(winner));
        for attempt in lost {
            assert_eq!(attempt.outcome, Err(RegisterError::Taken(winner)), "in round {round}");
        }
        assert_eq!(node().unregister("n"), Ok(()));
    }
    Ok(())
}

/// The same with processes that end by themselves: the next holder takes the name as soon as it is free.
#[test]
fn reg_05_a_name_passes_from_hand_to_hand() {
    everywhere(async |mut me: Process<Pid>| {
        const EACH: usize = 5;
        for _ in 0..8 {
            let report = me.address();
            spawn_process(async move |_: Process<()>| {
                for _ in 0..EACH {
                    // A child takes the name, tells, and ends with it.
                    let report = report.clone();
                    let (done, over) = oneshot::channel::<()>();
                    spawn_process(async move |child: Process<()>| {
                        let _done = done;
                        while node().register("n", child.pid()).is_err() {
                            biotope_runtime::time::yield_now().await;
                        }
                        assert_eq!(node().whereis("n"), Some(child.pid()));
                        report.cast(child.pid());
                        Ok(())
                    });
                    let _ = over.await;
                }
                Ok(())
            });
        }
        let mut holders = BTreeSet::new();
        for _ in 0..8 * EACH {
            assert!(holders.insert(me.receive().await?));
        }
        Ok(())
    });
}
