//! Area SIG: what one process sends another arrives in the order sent.

use biotope_runtime::{ExitReason, Process, Received, node, spawn, spawn_process};

use crate::everywhere;
use crate::probe::{Msg, Probe, Seen, down, end_of, observe, seen};

/// SIG-01: order between a pair, whoever else sends.
#[test]
fn sig_01_messages_of_a_pair_keep_their_order() {
    everywhere("sig_01", || {
        observe(async move |_| {
            let (done, numbers) = tokio::sync::oneshot::channel();
            let receiver = spawn_process(async move |mut me: Process<(usize, u32)>| {
                let mut seen = vec![Vec::new(); 4];
                for _ in 0..800 {
                    let (sender, n) = me.receive().await?;
                    seen[sender].push(n);
                }
                let _ = done.send(seen);
                Ok(())
            });
            for sender in 0..4 {
                let receiver = receiver.clone();
                spawn_process(async move |_: Process<()>| {
                    for n in 0..200 {
                        receiver.cast((sender, n));
                    }
                    Ok(())
                });
            }
            let expected: Vec<u32> = (0..200).collect();
            for numbers in numbers.await? {
                assert_eq!(numbers, expected);
            }
            Ok(())
        })
    });
}

/// SIG-02: an exit signal acts before what was sent after it, and its reason is the first one's.
#[test]
fn sig_02_an_exit_signal_keeps_its_place() {
    everywhere("sig_02", || {
        observe(async move |mut me| {
            let (done, late) = tokio::sync::oneshot::channel::<()>();
            let mut done = Some(done);
            let process = spawn_process(async move |mut me: Process<u8>| {
                loop {
                    if me.receive().await? == 1 {
                        let _ = done.take().map(|done| done.send(()));
                    }
                }
            });
            let watch = me.monitor(process.pid());
            process.cast(0);
            me.exit(process.pid(), ExitReason::value("good"));
            process.cast(1);
            assert_eq!(down(&mut me, watch).await?, ExitReason::value("good"));
            assert!(late.await.is_err(), "a message sent after the exit was handled");
            Ok(())
        })
    });
}

/// SIG-03: what a process sent before its end comes before the news of its end.
#[test]
fn sig_03_final_messages_come_before_the_down() {
    everywhere("sig_03", || {
        observe(async move |_| {
            let (done, order) = tokio::sync::oneshot::channel();
            spawn_process(async move |mut me: Process<u8>| {
                let to = me.address();
                let sender = spawn_process(async move |mut me: Process<()>| {
                    me.receive().await?;
                    to.cast(1);
                    to.cast(2);
                    Ok(())
                });
                me.monitor(sender.pid());
                sender.cast(());
                let mut order = Vec::new();
                for _ in 0..3 {
                    order.push(match me.receive_any().await? {
                        Received::Message(n) => n,
                        Received::Info(_) => 99,
                    });
                }
                let _ = done.send(order);
                Ok(())
            });
            assert_eq!(order.await?, [1, 2, 99]);
            Ok(())
        })
    });
}

/// SIG-03, for an actor, and for the exit that it traps.
#[test]
fn sig_03_an_actor_handles_final_messages_before_the_exit_and_the_down() {
    everywhere("sig_03_actor", || {
        observe(async move |mut me| {
            // Not this process's child: an exit of its parent would end it.
            let probe = node().spawn(Probe::new()).address().clone();
            let to = probe.clone();
            let sender = spawn_process(async move |mut me: Process<()>| {
                me.receive().await?;
                to.cast(Msg::Number(1));
                to.cast(Msg::Number(2));
                Err(ExitReason::value("end").into())
            });
            probe.cast(Msg::Trap(true));
            probe.cast(Msg::Link(sender.pid()));
            probe.cast(Msg::Monitor(sender.pid()));
            assert_eq!(seen(&probe).await?, []);
            sender.cast(());
            end_of(&mut me, sender.pid()).await?;
            let told = loop {
                let told = seen(&probe).await?;
                if told.len() == 4 {
                    break told;
                }
            };
            let end = || ExitReason::value("end");
            assert_eq!(told, [Seen::Number(1), Seen::Number(2), Seen::Exit(end()), Seen::Down(end())]);
            Ok(())
        })
    });
}

/// SIG-04: a monitor that was set before the fatal message never tells `NoProc`.
#[test]
fn sig_04_monitor_first_message_second() {
    everywhere("sig_04", || {
        observe(async move |mut me| {
            for _ in 0..20 {
                let process = spawn(Probe::new());
                let watch = me.monitor(&process);
                process.address().cast(Msg::Stop(ExitReason::value("r")));
                assert_eq!(down(&mut me, watch).await?, ExitReason::value("r"));
            }
            Ok(())
        })
    });
}

/// RECV-01, RECV-05: a selective receive takes the first that fits and leaves the rest in order.
#[test]
fn recv_01_first_match_in_order_of_arrival() {
    everywhere("recv_01", || {
        observe(async move |_| {
            let (done, order) = tokio::sync::oneshot::channel();
            let process = spawn_process(async move |mut me: Process<&'static str>| {
                let mut order = vec![
                    me.receive_match(|m| m.starts_with('b')).await?,
                    me.receive_match(|m| m.starts_with('b')).await?,
                ];
                order.push(me.receive().await?);
                order.push(me.receive().await?);
                let _ = done.send(order);
                Ok(())
            });
            for message in ["a1", "b1", "a2", "b2"] {
                process.cast(message);
            }
            assert_eq!(order.await?, ["b1", "b2", "a1", "a2"]);
            Ok(())
        })
    });
}

/// A handler that awaits is not disturbed by messages; an exit still reaches it.
#[test]
fn a_message_does_not_resume_a_handler_that_awaits_something_else() {
    everywhere("parked", || {
        observe(async move |_| {
            let probe = spawn(Probe::new());
            let (go, gate) = tokio::sync::oneshot::channel::<()>();
            let (done, order) = tokio::sync::oneshot::channel();
            let process = spawn_process(async move |mut me: Process<u8>| {
                let first = me.receive().await?;
                gate.await?;
                let second = me.receive().await?;
                let _ = done.send((first, second));
                Ok(())
            });
            process.cast(1);
            process.cast(2);
            probe.address().cast(Msg::Number(3));
            assert_eq!(seen(probe.address()).await?, [Seen::Number(3)]);
            let _ = go.send(());
            assert_eq!(order.await?, (1, 2));
            Ok(())
        })
    });
}
