//! Areas PROC, EXIT, LINK and MON: how processes end, and who hears of it.

use biotope_runtime::{
    Address, ExitReason, Info, Process, Runtime, Target, node, spawn, spawn_link, spawn_process, this_pid,
};

use crate::everywhere;
use crate::probe::{Msg, Probe, Seen, down, end_of, observe, seen};

fn probe() -> Address<Msg> {
    spawn(Probe::new()).address().clone()
}

/// PROC-01, PROC-02, PROC-03, MON-01, EXIT-05: each end reaches a monitor with its own reason.
#[test]
fn mon_01_down_carries_the_exit_reason() {
    everywhere("mon_01", || {
        observe(async move |mut me| {
            let value = ExitReason::value(vec![7_u8; 128 * 1024]);
            for reason in [ExitReason::Normal, ExitReason::Shutdown, value] {
                let process = probe();
                let watch = me.monitor(process.pid());
                process.cast(Msg::Stop(reason.clone()));
                assert_eq!(down(&mut me, watch).await?, reason);
            }
            let returning = spawn_process(async |mut me: Process<()>| {
                me.receive().await?;
                Ok(())
            });
            let watch = me.monitor(returning.pid());
            returning.cast(());
            assert_eq!(down(&mut me, watch).await?, ExitReason::Normal);
            Ok(())
        })
    });
}

/// MON-01, in the last moment: the process runs its last code when the monitor is set, and never receives
/// it. On threads only: in a seeded run nobody else runs meanwhile.
#[test]
fn mon_01_a_monitor_set_in_the_last_turn_is_told_the_reason() {
    on_two_workers(async move |mut me| {
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (go, gate) = std::sync::mpsc::channel();
        let ending = spawn_process(async move |_: Process<()>| {
            let _ = begin.send(());
            let _ = gate.recv();
            Err(ExitReason::value("r").into())
        });
        begun.await?;
        let watch = me.monitor(ending.pid());
        let _ = go.send(());
        assert_eq!(down(&mut me, watch).await?, ExitReason::value("r"));
        Ok(())
    });
}

/// MON-02, in the first moment: the mailbox is closed already, and the process is still in the table.
#[test]
fn mon_02_a_monitor_set_while_the_mailbox_is_dropped_is_told_noproc() {
    /// A message that takes its time to be dropped.
    struct Slow(Option<tokio::sync::oneshot::Sender<()>>, std::sync::mpsc::Receiver<()>);
    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.0.take().map(|begin| begin.send(()));
            let _ = self.1.recv();
        }
    }
    on_two_workers(async move |mut me| {
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (go, gate) = std::sync::mpsc::channel();
        let ending = spawn_process(async move |_: Process<Slow>| {
            std::future::pending::<()>().await;
            Ok(())
        });
        ending.cast(Slow(Some(begin), gate));
        me.exit(ending.pid(), ExitReason::Kill);
        begun.await?;
        let watch = me.monitor(ending.pid());
        assert_eq!(down(&mut me, watch).await?, ExitReason::NoProc);
        // Who has been told finds nobody, also while the rest of the mailbox is being dropped.
        let node = me.node();
        assert!(!node.is_alive(ending.pid()) && node.peek(ending.pid()).is_none());
        assert!(node.processes().iter().all(|info| info.pid != ending.pid()));
        let _ = go.send(());
        Ok(())
    });
}

/// One worker is held up by what ends, and the other does the rest.
fn on_two_workers<F>(body: impl FnOnce(Process<()>) -> F + Clone + Send + 'static)
where
    F: Future<Output = biotope_runtime::Result<()>> + Send + 'static,
{
    for _ in 0..biotope_testkit::repetitions(10) {
        biotope_testkit::once(Runtime::builder().workers(2), observe(body.clone())).unwrap();
    }
}

/// PROC-03, LOG-06: a panic ends one process, with what it said, and nothing else.
#[test]
fn proc_03_a_panic_ends_one_process_with_its_text() {
    everywhere("proc_03", || {
        observe(async move |mut me| {
            for _ in 0..3 {
                let (victim, other) = (probe(), probe());
                let watch = me.monitor(victim.pid());
                victim.cast(Msg::Panic("boom"));
                let ExitReason::Panic(report) = down(&mut me, watch).await? else { panic!("it did not panic") };
                assert_eq!(report.message, "boom");
                assert!(report.location.as_deref().is_some_and(|at| at.contains("probe.rs")));
                assert_eq!(seen(&other).await?, []);
            }
            Ok(())
        })
    });
}

/// PROC-04: a child that ends in its first instruction is never missed over its link.
#[test]
fn proc_04_spawn_link_is_atomic_with_the_link() {
    everywhere("proc_04", || {
        observe(async move |mut me| {
            me.trap_exits(true);
            for n in 0..50_u32 {
                let child = me.node().spawn_process_with(
                    biotope_runtime::SpawnOptions::linked_to(me.pid()),
                    async move |_: Process<()>| Err(ExitReason::value(n).into()),
                );
                let exit = me.receive_info(|info| match info {
                    biotope_runtime::Info::Exit(exit) => Ok(exit),
                    other => Err(other),
                });
                let exit = exit.await?;
                assert_eq!((exit.from, exit.reason), (child.pid(), ExitReason::value(n)));
            }
            Ok(())
        })
    });
}

/// PROC-07, MON-02, LINK-04: what is done to an ended process neither fails nor blocks.
#[test]
fn proc_07_an_ended_process_is_answered_for() {
    everywhere("proc_07", || {
        observe(async move |mut me| {
            let (dead, watcher) = (probe(), probe());
            dead.cast(Msg::Stop(ExitReason::Normal));
            end_of(&mut me, dead.pid()).await?;
            assert!(!node().is_alive(dead.pid()));
            assert_eq!(node().peek(dead.pid()), None);
            dead.cast(Msg::Number(1));
            node().exit(dead.pid(), ExitReason::Shutdown);
            watcher.cast(Msg::Trap(true));
            watcher.cast(Msg::Monitor(dead.pid()));
            watcher.cast(Msg::Link(dead.pid()));
            watcher.cast(Msg::Unlink(dead.pid()));
            watcher.cast(Msg::Number(2));
            // Links and monitors are answered by signals, which the next turn receives.
            let told = loop {
                let told = seen(&watcher).await?;
                if told.len() >= 2 {
                    break told;
                }
            };
            assert!(told.contains(&Seen::Down(ExitReason::NoProc)), "{told:?}");
            assert_eq!(node().peek(watcher.pid()).map(|info| info.links), Some(vec![]));
            Ok(())
        })
    });
}

/// PROC-08: a pid is never reused.
#[test]
fn proc_08_no_new_pid_equals_an_old_one() {
    biotope_testkit::once(Runtime::builder(), async {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let old = spawn_process(async move |_: Process<()>| {
            let _ = sender.send(this_pid());
            Ok(())
        });
        receiver.await.unwrap();
        for _ in 0..20_000 {
            assert_ne!(spawn_process(async |_: Process<()>| Ok(())).pid(), old.pid());
        }
    })
    .unwrap();
}

/// EXIT-01 to EXIT-05, EXIT-07, on living processes.
#[test]
fn exit_04_a_trapping_process_turns_exit_signals_into_messages() {
    everywhere("exit_04", || {
        observe(async move |mut me| {
            // Not this process's children: an exit signal of its parent ends an actor that traps exits, too.
            let orphan = || node().spawn(Probe::new()).address().clone();
            let (trapping, plain) = (orphan(), orphan());
            trapping.cast(Msg::Trap(true));
            seen(&trapping).await?;
            me.exit(trapping.pid(), ExitReason::Shutdown);
            me.exit(trapping.pid(), ExitReason::Normal);
            trapping.cast(Msg::Number(1));
            let expected = [Seen::Exit(ExitReason::Shutdown), Seen::Exit(ExitReason::Normal), Seen::Number(1)];
            assert_eq!(seen(&trapping).await?, expected);

            me.exit(plain.pid(), ExitReason::Normal);
            assert_eq!(seen(&plain).await?, []);
            let watch = me.monitor(plain.pid());
            me.exit(plain.pid(), ExitReason::value("first"));
            me.exit(plain.pid(), ExitReason::value("second"));
            assert_eq!(down(&mut me, watch).await?, ExitReason::value("first"));

            let watch = me.monitor(trapping.pid());
            me.exit(trapping.pid(), ExitReason::Kill);
            assert_eq!(down(&mut me, watch).await?, ExitReason::Killed);
            Ok(())
        })
    });
}

/// EXIT-09: an abnormal end goes along a chain of links up to the one that traps.
#[test]
fn exit_09_abnormal_exits_cascade() {
    everywhere("exit_09", || {
        observe(async move |mut me| {
            let chain: Vec<_> = (0..4).map(|_| probe()).collect();
            chain[3].cast(Msg::Trap(true));
            for pair in chain.windows(2) {
                pair[0].cast(Msg::Link(pair[1].pid()));
            }
            for process in &chain {
                seen(process).await?;
            }
            let watches: Vec<_> = chain[1..3].iter().map(|process| me.monitor(process.pid())).collect();
            chain[0].cast(Msg::Stop(ExitReason::value("r")));
            for watch in watches {
                assert_eq!(down(&mut me, watch).await?, ExitReason::value("r"));
            }
            loop {
                let told = seen(&chain[3]).await?;
                if !told.is_empty() {
                    assert_eq!(told, [Seen::Exit(ExitReason::value("r"))]);
                    return Ok(());
                }
            }
        })
    });
}

/// LINK-01, LINK-03, LINK-08: links are seen at both ends, and either end removes them.
#[test]
fn link_03_either_side_may_unlink() {
    everywhere("link_03", || {
        observe(async move |mut me| {
            let (a, b) = (probe(), probe());
            a.cast(Msg::Link(b.pid()));
            seen(&a).await?;
            seen(&b).await?;
            let links = |of: &Address<Msg>| node().peek(of.pid()).map(|info| info.links);
            assert_eq!((links(&a), links(&b)), (Some(vec![b.pid()]), Some(vec![a.pid()])));
            b.cast(Msg::Unlink(a.pid()));
            seen(&b).await?;
            seen(&a).await?;
            assert_eq!((links(&a), links(&b)), (Some(vec![]), Some(vec![])));
            b.cast(Msg::Stop(ExitReason::value("r")));
            end_of(&mut me, b.pid()).await?;
            assert_eq!(seen(&a).await?, []);
            Ok(())
        })
    });
}

/// Invariant 3: whatever a process was doing, its end drops its state and its pending future.
#[test]
fn an_end_drops_state_and_pending_future() {
    struct Guard(Option<tokio::sync::oneshot::Sender<()>>);
    impl Drop for Guard {
        fn drop(&mut self) {
            let _ = self.0.take().map(|sender| sender.send(()));
        }
    }
    everywhere("an_end_drops", || {
        observe(async move |me| {
            let (sender, dropped) = tokio::sync::oneshot::channel();
            let guard = Guard(Some(sender));
            let stuck = spawn_process(async move |_: Process<()>| {
                let _guard = guard;
                std::future::pending::<()>().await;
                Ok(())
            });
            me.exit(stuck.pid(), ExitReason::Kill);
            dropped.await?;
            Ok(())
        })
    });
}

/// GS-17, GS-18: `terminate` runs for a stop and for a parent's exit while trapping, not for a plain signal.
#[test]
fn gs_18_terminate_runs_for_a_stop_and_not_for_an_untrapped_signal() {
    use biotope_runtime::{Actor, Context, Handle};
    struct Told(Option<tokio::sync::oneshot::Sender<ExitReason>>);
    impl Actor for Told {
        type Msg = ();
        type Client = Address<()>;
        const NAME: &'static str = "Told";
    }
    impl Handle for Told {
        async fn handle(&mut self, (): (), _cx: &mut Context<Self>) {
            panic!("in a handler");
        }
        async fn terminate(&mut self, reason: &ExitReason, _cx: &mut Context<Self>) {
            let _ = self.0.take().map(|sender| sender.send(reason.clone()));
        }
    }
    everywhere("gs_18", || {
        observe(async move |me| {
            let told = || {
                let (sender, receiver) = tokio::sync::oneshot::channel();
                (spawn(Told(Some(sender))), receiver)
            };
            let (stopped, end) = told();
            stopped.stop();
            assert_eq!(end.await?, ExitReason::Normal);
            let (panicking, end) = told();
            panicking.address().cast(());
            assert!(matches!(end.await?, ExitReason::Panic(_)));
            let (signalled, end) = told();
            me.exit(&signalled, ExitReason::Shutdown);
            assert!(end.await.is_err(), "terminate ran");
            Ok(())
        })
    });
}

/// A child that is linked dies with its parent.
#[test]
fn a_linked_child_ends_with_its_parent() {
    everywhere("linked_child", || {
        observe(async move |mut me| {
            let (sender, child) = tokio::sync::oneshot::channel();
            let parent = spawn_process(async move |mut me: Process<()>| {
                let _ = sender.send(spawn_link(Probe::new()).pid());
                me.receive().await?;
                Err(ExitReason::value("parent").into())
            });
            let child = child.await?;
            let watch = me.monitor(child);
            parent.cast(());
            assert_eq!(down(&mut me, watch).await?, ExitReason::value("parent"));
            Ok(())
        })
    });
}

/// Ends a process that `count` are linked to and as many monitor. Returns, in the order in which they heard of it,
/// how much waited for the last of them meanwhile.
async fn waiting_for_the_last(count: usize) -> biotope_runtime::Result<Vec<usize>> {
    let target = spawn_process(async |mut me: Process<()>| {
        me.receive().await?;
        Ok(())
    });
    let pid = target.pid();
    let (ready, mut readied) = tokio::sync::mpsc::unbounded_channel();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let (say_last, last) = tokio::sync::watch::channel(pid);
    for number in 0..2 * count {
        let (ready, told, last) = (ready.clone(), told.clone(), last.clone());
        let watcher = spawn_process(async move |mut me: Process<()>| {
            if number < count {
                me.trap_exits(true);
                me.link(pid);
            } else {
                me.monitor(pid);
            }
            let _ = ready.send(());
            let end = me.receive_info(|info| match info {
                Info::Exit(exit) if exit.from == pid => Ok(exit.reason),
                Info::Down(down) if down.target == Target::Pid(pid) => Ok(down.reason),
                other => Err(other),
            });
            assert_eq!(end.await?, ExitReason::Normal);
            let _ = told.send(me.node().peek(*last.borrow()).map_or(0, |info| info.mailbox_len));
            Ok(())
        });
        say_last.send_replace(watcher.pid());
    }
    for _ in 0..2 * count {
        readied.recv().await;
    }
    target.cast(());
    let mut waiting = Vec::new();
    for _ in 0..2 * count {
        waiting.extend(heard.recv().await);
    }
    Ok(waiting)
}

/// A process that many are linked to, or monitor, tells some of them in each of its turns: others run in between.
#[test]
fn the_first_who_hear_of_an_end_go_on_before_the_last_are_told() {
    for _ in 0..biotope_testkit::repetitions(10) {
        let body = observe(async |_| {
            assert_eq!(waiting_for_the_last(1_200).await?.first(), Some(&0));
            Ok(())
        });
        biotope_testkit::once(Runtime::builder().workers(1), body).unwrap();
    }
}

/// However many turns it takes, each hears of it once.
#[test]
fn all_hear_of_an_end_that_takes_more_than_one_turn() {
    for seed in 0..biotope_testkit::repetitions(20) {
        let body = observe(async |_| {
            assert_eq!(waiting_for_the_last(700).await?.len(), 1_400);
            Ok(())
        });
        biotope_testkit::once(Runtime::builder().seeded(seed), body).unwrap();
    }
}
