//! Area KREG: keys that processes hold, unique and duplicate.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use biotope_runtime::{
    Address, AlreadyRegistered, Call, CallFailed, ExitReason, Info, Keys, LookupError, Me, NotRegistered, Pid, Process,
    ReplyTo, Runtime, Spec, StartError, node, spawn_process, time,
};
use tokio::sync::oneshot;

use crate::everywhere;
use crate::probe::{Msg, Probe, Seen, down, end_of, observe};

type Job = Box<dyn FnOnce(&Me) + Send>;

/// A process that does what it is sent.
fn holder() -> Address<Job> {
    spawn_process(async |mut me: Process<Job>| -> biotope_runtime::Result<()> {
        loop {
            let job = me.receive().await?;
            job(&me);
        }
    })
}

/// Has `holder` run `job`, and waits for what it returns.
async fn on<R: Send + 'static>(
    holder: &Address<Job>,
    job: impl FnOnce(&Me) -> R + Send + 'static,
) -> biotope_runtime::Result<R> {
    let (sender, result) = oneshot::channel();
    holder.cast(Box::new(move |me| drop(sender.send(job(me)))));
    Ok(result.await?)
}

/// Has `holder` register, and waits for the result.
async fn register<V: Clone + Send + Sync + 'static>(
    keys: &Keys<&'static str, V>,
    holder: &Address<Job>,
    key: &'static str,
    value: V,
) -> biotope_runtime::Result<Result<(), AlreadyRegistered>> {
    let keys = keys.clone();
    on(holder, move |me| keys.register(me, key, value)).await
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list
}

#[test]
fn kreg_01_a_unique_key_has_one_holder() {
    everywhere("kreg_01", || {
        observe(async move |_| {
            let keys = Keys::unique(&node());
            let (a, b) = (holder(), holder());
            let taken = Err(AlreadyRegistered { holder: a.pid() });
            assert_eq!(register(&keys, &a, "k", 1).await?, Ok(()));
            assert_eq!(register(&keys, &b, "k", 2).await?, taken);
            assert_eq!(register(&keys, &a, "k", 3).await?, taken);
            assert_eq!(register(&keys, &a, "k2", 4).await?, Ok(()));
            assert_eq!(sorted(keys.keys_of(a.pid())), ["k", "k2"]);
            assert_eq!(keys.keys_of(b.pid()), [""; 0]);
            assert_eq!(keys.lookup("k"), [(a.pid(), 1)]);
            assert_eq!((keys.whereis("k"), keys.whereis("j")), (Some(a.pid()), None));
            assert_eq!((keys.count(), keys.count_of("k"), keys.count_of("j")), (2, 1, 0));
            Ok(())
        })
    });
}

#[test]
fn kreg_02_a_duplicate_key_has_many_holders_and_values() {
    everywhere("kreg_02", || {
        observe(async move |_| {
            let keys = Keys::duplicate(&node());
            let (a, b) = (holder(), holder());
            for (holder, value) in [(&a, 1), (&b, 3), (&a, 2)] {
                assert_eq!(register(&keys, holder, "k", value).await?, Ok(()));
            }
            assert_eq!(sorted(keys.lookup("k")), sorted(vec![(a.pid(), 1), (a.pid(), 2), (b.pid(), 3)]));
            assert_eq!((keys.count(), keys.count_of("k")), (3, 3));
            assert_eq!(keys.values("k", a.pid()), [1, 2]);
            assert_eq!(keys.keys_of(a.pid()), ["k", "k"]);
            assert_eq!(keys.whereis("k"), None);
            Ok(())
        })
    });
}

/// That no record of the process is left either, `runtime/src/keys/tests.rs` proves.
#[test]
fn kreg_03_entries_go_with_their_process() {
    everywhere("kreg_03", || {
        observe(async move |mut me| {
            for partitions in [1, 8] {
                let unique = Keys::<&str, u32>::unique(&node()).partitions(partitions);
                let duplicate = Keys::<&str, u32>::duplicate(&node()).partitions(partitions);
                let (a, b) = (holder(), holder());
                for key in ["k", "l", "m", "n"] {
                    assert_eq!(register(&unique, &a, key, 1).await?, Ok(()));
                    for value in [1, 2] {
                        assert_eq!(register(&duplicate, &a, key, value).await?, Ok(()));
                    }
                }
                assert_eq!(register(&duplicate, &b, "k", 3).await?, Ok(()));
                me.exit(a.pid(), ExitReason::Kill);
                assert_eq!(end_of_killed(&mut me, a.pid()).await?, ExitReason::Killed);
                unique.sync();
                duplicate.sync();
                assert_eq!((unique.count(), unique.keys_of(a.pid())), (0, vec![]));
                assert_eq!((duplicate.count(), duplicate.keys_of(a.pid())), (1, vec![]));
                assert_eq!(duplicate.lookup("k"), [(b.pid(), 3)]);
                assert_eq!(register(&unique, &b, "k", 1).await?, Ok(()));
            }
            Ok(())
        })
    });
}

/// A monitor that comes after the end tells `NoProc`: the end is announced then, too.
async fn end_of_killed(me: &mut Process<()>, pid: Pid) -> biotope_runtime::Result<ExitReason> {
    Ok(match end_of(me, pid).await? {
        ExitReason::NoProc => ExitReason::Killed,
        reason => reason,
    })
}

#[test]
fn kreg_04_unregister_touches_only_ones_own_entries() {
    everywhere("kreg_04", || {
        observe(async move |_| {
            let (unique, duplicate) = (Keys::unique(&node()), Keys::duplicate(&node()));
            let (a, b) = (holder(), holder());
            assert_eq!(register(&unique, &a, "k", 0).await?, Ok(()));
            for (holder, value) in [(&a, 1), (&b, 2), (&a, 3)] {
                assert_eq!(register(&duplicate, holder, "d", value).await?, Ok(()));
            }
            let unregister = async |keys: &Keys<_, _>, holder, key: &'static str| {
                let keys = keys.clone();
                on(holder, move |me| keys.unregister(me, key)).await
            };
            unregister(&unique, &b, "k").await?;
            assert_eq!(unique.lookup("k"), [(a.pid(), 0)]);
            unregister(&duplicate, &b, "d").await?;
            assert_eq!(duplicate.lookup("d"), [(a.pid(), 1), (a.pid(), 3)]);
            unregister(&duplicate, &a, "d").await?;
            assert_eq!((duplicate.lookup("d"), duplicate.count()), (vec![], 0));
            unregister(&duplicate, &a, "none").await?;
            assert_eq!((unique.count(), unique.keys_of(a.pid())), (1, vec!["k"]));
            Ok(())
        })
    });
}

/// A server has its key from its start to its end, and whoever calls by the key reaches it.
#[test]
fn kreg_05_a_server_that_is_started_under_a_key_is_called_by_it() {
    everywhere("kreg_05", || {
        observe(async move |mut me| {
            let keys = Keys::unique(&node());
            let spec = Spec::<Probe>::new(|| ()).keyed(&keys, ("lobby", 1), "value");
            let lobby = node().keyed::<Probe, _, _>(&keys, ("lobby", 1));
            let seen = async || lobby.call(|probe| Call::new(probe, Msg::Seen)).await;
            assert_eq!(seen().await, Err(CallFailed::NoProc));
            for n in 0..3 {
                let probe = spec.start().await?;
                assert_eq!(spec.start().await, Err(StartError::AlreadyStarted(probe.pid())));
                assert_eq!(keys.lookup(&("lobby", 1)), [(probe.pid(), "value")]);
                lobby.now()?.cast(Msg::Number(n));
                assert_eq!(seen().await?, [Seen::Number(n)]);
                probe.stop();
                end_of(&mut me, probe.pid()).await?;
                assert_eq!(seen().await, Err(CallFailed::NoProc));
                assert_eq!(lobby.now(), Err(LookupError::NotRegistered("(\"lobby\", 1)".into())));
            }
            // Many may hold what is not unique: a start takes nothing from anybody, and the key is nobody's name.
            let topics = Keys::duplicate(&node());
            let spec = Spec::<Probe>::new(|| ()).keyed(&topics, "topic", ());
            let both = [spec.start().await?.pid(), spec.start().await?.pid()];
            assert_eq!(topics.lookup("topic"), both.map(|pid| (pid, ())));
            assert!(node().keyed::<Probe, _, _>(&topics, "topic").now().is_err());
            Ok(())
        })
    });
}

/// Also if the process is started under the key after it was waited for, and whoever gives up is forgotten.
#[test]
fn who_waits_for_a_key_gets_whoever_holds_it_next() {
    everywhere("keyed_waits", || {
        observe(async move |_| {
            let keys = Keys::unique(&node()).partitions(4);
            let (sender, mut found) = tokio::sync::mpsc::unbounded_channel();
            for _ in 0..5 {
                let (sender, named) = (sender.clone(), node().keyed::<Probe, _, _>(&keys, "k"));
                spawn_process(async move |_: Process<()>| {
                    let _ = sender.send(named.within(Duration::from_secs(300)).await);
                    Ok(())
                });
            }
            let start = async |key| Spec::<Probe>::new(|| ()).keyed(&keys, key, ()).start().await;
            start("another").await?;
            let (probe, then) = (start("k").await?, time::now());
            for _ in 0..5 {
                assert_eq!(found.recv().await, Some(Ok(probe.clone())));
            }
            assert!(!node().runtime().is_seeded() || time::now() - then < Duration::from_secs(1), "they are woken");
            let nobody = LookupError::NotRegistered("\"nobody\"".into());
            assert_eq!(node().keyed::<Probe, _, _>(&keys, "nobody").within(Duration::ZERO).await, Err(nobody));
            Ok(())
        })
    });
}

#[test]
fn kreg_06_dispatch_runs_in_the_caller_with_the_entries_of_the_key() {
    everywhere("kreg_06", || {
        observe(async move |me| {
            let keys = Keys::duplicate(&node()).partitions(4);
            let (a, b, c) = (holder(), holder(), holder());
            for (holder, key, value) in [(&a, "k", 1), (&b, "k", 2), (&c, "j", 3)] {
                assert_eq!(register(&keys, holder, key, value).await?, Ok(()));
            }
            // It runs here, and under no lock: it may change what it was called for.
            let dispatched = keys.dispatch("k", |entries| {
                keys.register(&me, "k", 4).map(|()| (biotope_runtime::this_pid(), sorted(entries.to_vec())))
            });
            let expected = sorted(vec![(a.pid(), 1), (b.pid(), 2)]);
            assert_eq!(dispatched, Some(Ok((me.pid(), expected))));
            assert_eq!(keys.count_of("k"), 3);
            assert_eq!(keys.dispatch("missing", |_| -> () { panic!("it was run") }), None);
            // What it fails with is the caller's.
            assert_eq!(keys.dispatch("j", |entries| Err::<(), _>(entries.len())), Some(Err(1)));
            Ok(())
        })
    });
}

#[test]
fn kreg_07_only_the_holder_of_a_unique_key_updates_it() {
    everywhere("kreg_07", || {
        observe(async move |_| {
            let (unique, duplicate) = (Keys::unique(&node()), Keys::duplicate(&node()));
            let (a, b) = (holder(), holder());
            assert_eq!(register(&unique, &a, "k", 1).await?, Ok(()));
            assert_eq!(register(&duplicate, &a, "k", 1).await?, Ok(()));
            let runs = Arc::new(AtomicU32::new(0));
            let update = async |keys: &Keys<&'static str, i32>, holder, key: &'static str| {
                let (keys, runs) = (keys.clone(), runs.clone());
                let add = move |me: &Me| {
                    keys.update(me, key, |value| {
                        runs.fetch_add(1, Ordering::Relaxed);
                        // Under no lock.
                        assert_eq!(keys.lookup(key), [(me.pid(), *value)]);
                        value + 1
                    })
                };
                on(holder, add).await
            };
            assert_eq!(update(&unique, &a, "k").await?, Ok((2, 1)));
            assert_eq!(unique.lookup("k"), [(a.pid(), 2)]);
            assert_eq!(update(&unique, &b, "k").await?, Err(NotRegistered));
            assert_eq!(update(&unique, &a, "missing").await?, Err(NotRegistered));
            assert_eq!(update(&duplicate, &a, "k").await?, Err(NotRegistered));
            assert_eq!((unique.lookup("k"), runs.load(Ordering::Relaxed)), (vec![(a.pid(), 2)], 1));
            Ok(())
        })
    });
}

/// The rule of the area: entries are gone when a link or a monitor tells of the end, and do not block anybody.
///
/// Method: processes register under one unique key, under one of their own, and a topic, while others kill them
/// and watch. Whoever hears of an end looks for the dead.
#[test]
fn nobody_who_has_heard_of_an_end_finds_an_entry_of_the_dead() {
    everywhere("kreg_race", || {
        observe(async move |mut me| {
            let unique = Keys::<u32, ()>::unique(&node()).partitions(2);
            let topic = Keys::<u32, u32>::duplicate(&node()).partitions(3);
            for _ in 0..3 {
                let victims: Vec<Address<Job>> = (0..6).map(|_| holder()).collect();
                let pids: Vec<Pid> = victims.iter().map(Address::pid).collect();
                let watchers: Vec<_> = (0..3).map(|_| watcher(pids.clone(), unique.clone(), topic.clone())).collect();
                let killer = spawn_process({
                    let pids = pids.clone();
                    async move |me: Process<()>| {
                        for pid in pids {
                            me.exit(pid, ExitReason::Kill);
                            tokio::task::yield_now().await;
                        }
                        Ok(())
                    }
                });
                for round in 0..4 {
                    for (own, victim) in (1..).zip(&victims) {
                        let (unique, topic) = (unique.clone(), topic.clone());
                        victim.cast(Box::new(move |me| {
                            let _ = unique.register(me, 0, ());
                            let _ = unique.register(me, own, ());
                            let _ = topic.register(me, round, own);
                            if round == 2 {
                                unique.unregister(me, &own);
                            }
                        }));
                    }
                }
                for watcher in watchers {
                    watcher.await??;
                }
                end_of(&mut me, killer.pid()).await?;
                assert_eq!((unique.count(), topic.count()), (0, 0));
                unique.register(&me, 0, ())?;
                unique.unregister(&me, &0);
            }
            Ok(())
        })
    });
}

/// Hears of the end of each of `pids` twice, and looks for it each time.
fn watcher(
    pids: Vec<Pid>,
    unique: Keys<u32, ()>,
    topic: Keys<u32, u32>,
) -> oneshot::Receiver<biotope_runtime::Result<()>> {
    let (sender, done) = oneshot::channel();
    let watch = async move |mut me: Process<()>| {
        me.trap_exits(true);
        for &pid in &pids {
            me.monitor(pid);
            me.link(pid);
        }
        for _ in 0..2 * pids.len() {
            let dead = me.receive_info(|info| match info {
                Info::Down(down) => Ok(down.pid().expect("it was monitored by its pid")),
                Info::Exit(exit) => Ok(exit.from),
                other => Err(other),
            });
            let dead = dead.await?;
            assert_eq!((unique.keys_of(dead), topic.keys_of(dead)), (vec![], vec![]));
            for key in 0..=pids.len() as u32 {
                assert_ne!(unique.whereis(&key), Some(dead));
                assert_eq!(topic.values(&key, dead), []);
                assert!(topic.lookup(&key).iter().all(|(pid, _)| *pid != dead));
            }
        }
        Ok(())
    };
    // A panic drops the sender.
    spawn_process(async move |me: Process<()>| {
        let _ = sender.send(watch(me).await);
        Ok(())
    });
    done
}

#[test]
fn of_racing_registrations_one_succeeds_and_the_next_after_its_end() {
    everywhere("kreg_race_for_one", || {
        observe(async move |mut me| {
            let keys = Keys::<&str, u32>::unique(&node());
            for _ in 0..5 {
                let contenders: Vec<Address<Job>> = (0..8).map(|_| holder()).collect();
                let mut results = Vec::new();
                for (number, contender) in (0..).zip(&contenders) {
                    let keys = keys.clone();
                    let (sender, result) = oneshot::channel();
                    contender.cast(Box::new(move |me| drop(sender.send(keys.register(me, "n", number)))));
                    results.push(result);
                }
                let mut winners = Vec::new();
                for (contender, result) in contenders.iter().zip(results) {
                    if result.await?.is_ok() {
                        winners.push(contender.pid());
                    }
                }
                assert_eq!(winners.len(), 1);
                let watch = me.monitor(winners[0]);
                me.exit(winners[0], ExitReason::Shutdown);
                down(&mut me, watch).await?;
                assert_eq!(keys.register(&me, "n", 99), Ok(()));
                keys.unregister(&me, "n");
            }
            Ok(())
        })
    });
}

/// Registers when it is dropped, and looks for what its process holds.
struct LastWill {
    me: Process<()>,
    keys: Keys<&'static str, u32>,
    found: Arc<AtomicBool>,
}

impl Drop for LastWill {
    fn drop(&mut self) {
        self.found.store(!self.keys.keys_of(self.me.pid()).is_empty(), Ordering::Relaxed);
        let _ = self.keys.register(&self.me, "late", 2);
        let _ = self.keys.register(&self.me, "early", 3);
    }
}

/// A process that returns drops its state while it still runs; one that is killed, after its entries have gone.
#[test]
fn state_that_registers_when_it_is_dropped_leaves_nothing() {
    everywhere("kreg_last_will", || {
        observe(async move |mut me| {
            for kill in [false, true] {
                let keys = Keys::<&str, u32>::unique(&node());
                let found = Arc::new(AtomicBool::new(false));
                let dying = spawn_process({
                    let (keys, found) = (keys.clone(), found.clone());
                    async move |me: Process<()>| {
                        keys.register(&me, "early", 1)?;
                        let mut will = LastWill { me, keys, found };
                        will.me.receive().await?;
                        Ok(())
                    }
                });
                let watch = me.monitor(dying.pid());
                while keys.whereis("early").is_none() {
                    tokio::task::yield_now().await;
                }
                if kill {
                    me.exit(dying.pid(), ExitReason::Kill);
                } else {
                    dying.cast(());
                }
                down(&mut me, watch).await?;
                assert_eq!(found.load(Ordering::Relaxed), !kill);
                assert_eq!((keys.count(), keys.keys_of(dying.pid())), (0, vec![]));
            }
            Ok(())
        })
    });
}

/// A call that waits in the state of its callee, or in its mailbox, hears of the end without a monitor.
#[test]
fn a_caller_that_learns_that_its_callee_died_finds_no_entry_of_it() {
    everywhere("kreg_died", || {
        observe(async move |me| {
            for reads in [1, 2].repeat(10) {
                let keys = Keys::<&str, ()>::unique(&node());
                let callee = spawn_process({
                    let keys = keys.clone();
                    async move |mut me: Process<ReplyTo<()>>| {
                        keys.register(&me, "k", ())?;
                        let mut held = Vec::new();
                        for _ in 0..reads {
                            held.push(me.receive().await?);
                        }
                        std::future::pending().await
                    }
                });
                let call = Call::new(&callee, |reply| reply).send();
                while keys.whereis("k").is_none() {
                    tokio::task::yield_now().await;
                }
                me.exit(callee.pid(), ExitReason::Kill);
                assert_eq!(call.await, Err(CallFailed::Died(ExitReason::Killed)));
                assert_eq!(keys.register(&me, "k", ()), Ok(()));
            }
            Ok(())
        })
    });
}

/// Goal: a process whose `Process` was carried to another thread leaves nothing, whenever it registers.
/// Method: a thread registers without end while the process is killed.
#[test]
fn a_process_that_registers_while_it_ends_leaves_nothing() {
    biotope_testkit::once(Runtime::builder(), async {
        let outcome = observe(async move |mut me| {
            for round in 0..200_u32 {
                let keys = Keys::<u32, u32>::unique(&node()).partitions(2);
                let stop = Arc::new(AtomicBool::new(false));
                let (sender, carried) = mpsc::channel::<Process<()>>();
                let dying = spawn_process(async move |me: Process<()>| {
                    let _ = sender.send(me);
                    std::future::pending().await
                });
                let registering = std::thread::spawn({
                    let (keys, stop) = (keys.clone(), stop.clone());
                    move || {
                        let Ok(me) = carried.recv() else { return };
                        let mut key = 0;
                        while !stop.load(Ordering::Relaxed) {
                            let _ = keys.register(&me, key % 100, round);
                            key += 1;
                        }
                    }
                });
                while keys.count() < 50 {
                    tokio::task::yield_now().await;
                }
                let watch = me.monitor(dying.pid());
                me.exit(dying.pid(), ExitReason::Kill);
                down(&mut me, watch).await?;
                for key in 0..100 {
                    assert_eq!(keys.lookup(&key), []);
                }
                stop.store(true, Ordering::Relaxed);
                assert!(registering.join().is_ok());
                assert_eq!((keys.count(), keys.keys_of(dying.pid())), (0, vec![]));
            }
            Ok(())
        });
        outcome.await
    })
    .unwrap();
}

#[test]
fn a_value_that_panics_when_dropped_hides_no_end() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            // Not into the panic of an assertion below, which would end the program.
            assert!(std::thread::panicking(), "a value went off");
        }
    }
    everywhere("kreg_bomb", || {
        observe(async move |mut me| {
            let keys = Keys::<&str, Arc<Bomb>>::unique(&node());
            let after = Keys::<&str, ()>::unique(&node());
            let dying = holder();
            on(&dying, {
                let (keys, after) = (keys.clone(), after.clone());
                move |me| {
                    let _ = keys.register(me, "k", Arc::new(Bomb));
                    let _ = after.register(me, "k", ());
                }
            })
            .await?;
            let watch = me.monitor(dying.pid());
            me.exit(dying.pid(), ExitReason::Kill);
            assert_eq!(down(&mut me, watch).await?, ExitReason::Killed);
            assert_eq!((keys.count(), after.count()), (0, 0));
            Ok(())
        })
    });
}

/// Keys that are dropped while processes hold some do not trouble their ends.
#[test]
fn keys_may_go_before_their_holders() {
    everywhere("kreg_gone", || {
        observe(async move |mut me| {
            let dying = holder();
            for _ in 0..3 {
                let keys = Keys::unique(&node());
                assert_eq!(register(&keys, &dying, "k", 1).await?, Ok(()));
            }
            let watch = me.monitor(dying.pid());
            me.exit(dying.pid(), ExitReason::Kill);
            assert_eq!(down(&mut me, watch).await?, ExitReason::Killed);
            Ok(())
        })
    });
}
