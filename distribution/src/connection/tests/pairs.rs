//! Nodes that behave.

use std::time::Duration;

use bytes::Bytes;

use super::super::channel::SendError;
use super::super::close::DownCause;
use super::super::network::Network;
use super::super::transport::{Event, JoinError, ListenError, Transport};
use super::nodes::{CAST, World, run};

#[test]
fn two_nodes_meet_and_frames_go_both_ways() {
    run(async {
        let world = World::new();
        let (a, b) = (world.node("a").await, world.node("b").await);

        let to_a = b.join(&a).await;
        let to_b = a.up().await;

        assert_eq!((to_a.name().as_ref(), to_b.name().as_ref()), ("a", "b"));
        assert_eq!((to_a.epoch(), to_b.epoch()), (1, 1));
        to_a.send(CAST, Bytes::from("ping")).unwrap();
        assert_eq!(&a.frame().await[..], b"ping");
        to_b.send(CAST, Bytes::from("pong")).unwrap();
        assert_eq!(&b.frame().await[..], b"pong");
    });
}

#[test]
fn frames_arrive_in_order_large_or_small() {
    run(async {
        let world = World::new();
        let (a, b) = (world.node("a").await, world.node("b").await);
        let to_a = b.join(&a).await;
        let lengths: Vec<usize> = (0..400).map(|n| 8 + (n * 7919) % 20_000).collect();

        for (number, length) in lengths.iter().enumerate() {
            let mut body = vec![0; *length];
            body[..8].copy_from_slice(&(number as u64).to_be_bytes());
            to_a.send(CAST, body.into()).unwrap();
        }

        for (number, length) in lengths.iter().enumerate() {
            let body = a.frame().await;
            assert_eq!(body.len(), *length);
            assert_eq!(body[..8], (number as u64).to_be_bytes());
        }
    });
}

#[test]
fn a_goodbye_comes_after_everything_that_was_queued() {
    run(async {
        let world = World::new();
        let (a, b) = (world.node("a").await, world.node("b").await);
        let to_a = b.join(&a).await;
        for _ in 0..500 {
            to_a.send(CAST, vec![1; 1000].into()).unwrap();
            to_a.send(CAST, vec![2; 10_000].into()).unwrap();
        }

        b.transport.shutdown().await;

        assert_eq!(to_a.send(CAST, Bytes::new()), Err(SendError::NoConnection));
        assert_eq!(b.down().await.1, DownCause::ShutDown);
        let mut frames = 0;
        let cause = loop {
            match a.event().await {
                Event::Frame { .. } => frames += 1,
                Event::Down { cause, .. } => break cause,
                _ => {}
            }
        };
        assert_eq!((frames, cause), (1000, DownCause::Goodbye));
        assert!(a.transport.peers().is_empty());
    });
}

#[test]
fn two_nodes_that_dial_each_other_at_once_meet_once() {
    run(async {
        for round in 0..10 {
            let world = World::new();
            let (a, b) = (world.node("a").await, world.node("b").await);
            let (one, other) = (a.transport.join(b.addr()), b.transport.join(a.addr()));
            let (to_b, to_a) = (one.await.unwrap(), other.await.unwrap());
            assert_eq!(to_a.epoch(), to_b.epoch(), "round {round}");

            // A sentinel each way: had there been a second association or a down, it would have been told before.
            to_a.send(CAST, Bytes::from("x")).unwrap();
            to_b.send(CAST, Bytes::from("y")).unwrap();
            a.frame().await;
            b.frame().await;
            assert_eq!(*a.seen.lock(), ["up b 1", "frame b 1"]);
            assert_eq!(*b.seen.lock(), ["up a 1", "frame a 1"]);
        }
    });
}

#[test]
fn joining_itself_is_refused_with_advice() {
    run(async {
        let world = World::new();
        let a = world.node("a").await;
        let error = a.transport.join(a.addr()).await.unwrap_err();
        assert!(matches!(error, JoinError::Refused { .. }));
        assert!(error.to_string().contains("dialled itself"), "{error}");
    });
}

#[test]
fn a_node_that_is_dropped_is_down_at_once_at_its_peers() {
    run(async {
        let world = World::new();
        let (a, b) = (world.node("a").await, world.node("b").await);
        b.join(&a).await;
        drop(b);
        let (_, cause) = a.down().await;
        assert_eq!(cause, DownCause::Closed("the node has ended".to_owned()));
    });
}

#[test]
fn a_node_that_comes_back_replaces_its_former_self() {
    run(async {
        let world = World::new();
        let (a, b) = (world.node("a").await, world.node("b").await);
        b.join(&a).await;
        let old = a.up().await;
        let mut config = world.config("b");
        config.incarnation = 2;
        let again = world.start(config).await;

        again.join(&a).await;

        let (down, cause) = a.down().await;
        assert_eq!(down.epoch(), old.epoch());
        assert_eq!(cause, DownCause::Replaced { incarnation: 2 });
        let new = a.up().await;
        assert_eq!((new.incarnation(), new.epoch()), (2, 2));
        assert_eq!(old.send(CAST, Bytes::new()), Err(SendError::NoConnection));
        // The former one is told why.
        let (_, cause) = b.down().await;
        assert!(matches!(&cause, DownCause::Closed(text) if text.contains("come back")), "{cause:?}");
    });
}

#[test]
fn a_disconnected_peer_hears_a_goodbye_and_may_come_again_in_a_new_epoch() {
    run(async {
        let world = World::new();
        let (a, b) = (world.node("a").await, world.node("b").await);
        b.join(&a).await;
        let first = a.up().await;

        a.transport.disconnect(&first);

        assert_eq!(a.down().await.1, DownCause::ShutDown);
        assert_eq!(b.down().await.1, DownCause::Goodbye);
        // `b` still wants to be joined with `a`, and dials again.
        assert_eq!(b.up().await.epoch(), 2);
        assert_eq!(a.up().await.epoch(), 2);
    });
}

#[test]
fn two_that_shut_down_at_once_lose_nothing() {
    run(async {
        let world = World::new();
        let (a, b) = (world.node("a").await, world.node("b").await);
        let to_a = b.join(&a).await;
        let to_b = a.up().await;
        for _ in 0..300 {
            to_a.send(CAST, vec![1; 5000].into()).unwrap();
            to_b.send(CAST, vec![2; 5000].into()).unwrap();
        }
        tokio::join!(a.transport.shutdown(), b.transport.shutdown());
        a.down().await;
        b.down().await;
        for node in [&a, &b] {
            let frames = node.seen.lock().iter().filter(|line| line.starts_with("frame")).count();
            assert_eq!(frames, 300);
        }
    });
}

#[test]
fn what_is_too_long_for_the_peer_is_an_error_at_the_sender() {
    run(async {
        let world = World::new();
        let mut config = world.config("a");
        config.limits.frame_bytes = 1000;
        let (a, b) = (world.start(config).await, world.node("b").await);
        let to_a = b.join(&a).await;

        assert_eq!(to_a.send(CAST, vec![0; 1001].into()), Err(SendError::TooLarge { limit: 1000 }));
        to_a.send(CAST, vec![0; 1000].into()).unwrap();
        assert_eq!(a.frame().await.len(), 1000);
    });
}

#[test]
fn a_full_channel_says_so_and_later_that_there_is_room() {
    run(async {
        let world = World::new();
        let mut config = world.config("b");
        config.limits.queue_bytes = 100_000;
        let (a, b) = (world.node("a").await, world.start(config).await);
        let to_a = b.join(&a).await;
        let mut sent = 0;
        while to_a.send(CAST, vec![0; 50_000].into()).is_ok() {
            sent += 1;
        }
        assert_eq!(b.transport.counters().full, 1);
        loop {
            if let Event::Room { .. } = b.event().await {
                break;
            }
        }
        to_a.send(CAST, Bytes::from("room")).unwrap();
        for _ in 0..sent {
            assert_eq!(a.frame().await.len(), 50_000);
        }
        assert_eq!(&a.frame().await[..], b"room");
    });
}

#[test]
fn system_signals_that_find_no_room_end_the_association_and_are_not_lost_in_silence() {
    run(async {
        let world = World::new();
        let mut config = world.config("b");
        config.limits.queue_bytes = 10_000;
        let (a, b) = (world.node("a").await, world.start(config).await);
        let to_a = b.join(&a).await;
        while to_a.send_system(CAST, &[0; 9_000]).is_ok() {}
        let (_, cause) = b.down().await;
        assert!(matches!(&cause, DownCause::Closed(text) if text.contains("too many system signals")), "{cause:?}");
        assert!(matches!(a.down().await.1, DownCause::Closed(_)));
    });
}

#[test]
fn a_stranger_that_is_joined_is_refused_by_both_certificates() {
    run(async {
        let (ours, theirs) = (World::new(), World::new());
        let (a, b) = (ours.node("a").await, theirs.node("b").await);
        let error = b.transport.join(a.addr()).await.unwrap_err();
        assert!(error.to_string().contains("certificate is not taken"), "{error}");
        assert!(a.transport.peers().is_empty());
    });
}

#[test]
fn a_joining_of_nobody_goes_on_until_somebody_is_there() {
    run(async {
        let world = World::new();
        let b = world.node("b").await;
        let (a, joining) = loop {
            let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let mut config = world.config("a");
            config.listen = free.local_addr().unwrap();
            let joining = b.transport.join(config.listen.to_string());
            drop(free);
            // Who else on this machine takes a free port may get this one: then another is tried.
            if let Ok(a) = world.try_start(config).await {
                break (a, joining);
            }
        };
        assert_eq!(joining.await.unwrap().name().as_ref(), "a");
        a.up().await;
    });
}

#[test]
fn whoever_waits_is_told_when_the_target_is_left_or_the_node_shuts_down() {
    run(async {
        let world = World::new();
        let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let target = nobody.local_addr().unwrap().to_string();
        let a = world.node("a").await;
        let left = Err(JoinError::Left { target: target.clone() });

        let joining = a.transport.join(target.clone());
        a.transport.leave(&target);
        assert_eq!(joining.await.map(|_| ()), left);

        let joining = a.transport.join(target.clone());
        a.transport.shutdown().await;
        assert_eq!(joining.await.map(|_| ()), left);
        assert_eq!(a.transport.join(target).await.map(|_| ()), left);
        a.transport.shutdown().await;
    });
}

#[test]
fn a_node_listens_only_under_the_name_of_its_certificate() {
    run(async {
        let world = World::new();
        let mut config = world.config("a");
        config.name = "b".into();
        let started = Transport::start(&world.network, config, |_| {}).await;
        assert!(matches!(started, Err(ListenError::NameDiffers { .. })));
    });
}

#[test]
fn an_address_that_is_taken_is_an_error_with_the_address() {
    run(async {
        let world = World::new();
        let a = world.node("a").await;
        let mut config = world.config("b");
        config.listen = a.transport.local_addr();
        let error = Transport::start(&world.network, config, |_| {}).await.unwrap_err();
        assert!(error.to_string().contains(&a.addr()), "{error}");
    });
}

#[test]
fn a_panic_of_the_upper_half_hurts_no_other_frame() {
    run(async {
        let world = World::new();
        let b = world.node("b").await;
        let (sender, mut bodies) = tokio::sync::mpsc::unbounded_channel();
        let tell = move |event| {
            if let Event::Frame { body, .. } = event {
                assert_ne!(&body[..], b"bad", "a panic that the test wants to see");
                let _ = sender.send(body);
            }
        };
        let a = Transport::start(&world.network, world.config("a"), tell).await.unwrap();
        let to_a = b.transport.join(a.local_addr().to_string()).await.unwrap();
        to_a.send(CAST, Bytes::from("bad")).unwrap();
        to_a.send(CAST, Bytes::from("good")).unwrap();
        assert_eq!(&bodies.recv().await.unwrap()[..], b"good");
        assert_eq!(a.counters().panics, 1);
    });
}

/// Goal: an OS process that is killed is noticed long before silence alone would tell.
/// Method: the network thread of `b` dies with its sockets, which says no goodbye; silence alone would not tell within this test.
#[test]
fn a_killed_node_is_noticed_by_its_closed_port() {
    run(async {
        let world = World::new();
        let mut config = world.config("a");
        config.limits.heartbeat = Duration::from_millis(100);
        let a = world.start(config).await;
        let doomed = World { authority: world.authority, network: Network::start().unwrap() };
        let b = doomed.node("b").await;
        b.join(&a).await;

        doomed.network.begin(|| panic!("the test kills this thread")).unwrap();

        let (_, cause) = a.down().await;
        assert!(matches!(&cause, DownCause::Closed(text) if text.contains("nobody listens")), "{cause:?}");
        assert_eq!(a.transport.counters().gone, 1);
        // What is left of `b` answers and hangs nobody.
        b.transport.shutdown().await;
        assert!(b.transport.join("127.0.0.1:1").await.is_err());
    });
}
