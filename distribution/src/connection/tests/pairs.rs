//! Nodes that behave.

use bytes::Bytes;

use super::super::channel::{ChannelId, SendError};
use super::super::close::DownCause;
use super::super::transport::{Event, JoinError};
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
        to_a.send(ChannelId::SIGNALS, CAST, Bytes::from("ping")).unwrap();
        let (_, channel, body) = a.frame().await;
        assert_eq!((channel, &body[..]), (ChannelId::SIGNALS, &b"ping"[..]));
        to_b.send(ChannelId::SIGNALS, CAST, Bytes::from("pong")).unwrap();
        assert_eq!(&b.frame().await.2[..], b"pong");
    });
}

#[test]
fn frames_of_a_channel_arrive_in_order_large_or_small() {
    run(async {
        let world = World::new();
        let (a, b) = (world.node("a").await, world.node("b").await);
        let to_a = b.join(&a).await;
        let bulk = b.transport.channel("bulk").unwrap();
        let lengths: Vec<usize> = (0..400).map(|n| 8 + (n * 7919) % 20_000).collect();

        for (number, length) in lengths.iter().enumerate() {
            let mut body = vec![0; *length];
            body[..8].copy_from_slice(&(number as u64).to_be_bytes());
            to_a.send(bulk, CAST, body.into()).unwrap();
        }

        for (number, length) in lengths.iter().enumerate() {
            let (_, channel, body) = a.frame().await;
            assert_eq!(a.transport.channel("bulk"), Some(channel));
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
        let bulk = b.transport.channel("bulk").unwrap();
        for _ in 0..500 {
            to_a.send(ChannelId::SIGNALS, CAST, vec![1; 1000].into()).unwrap();
            to_a.send(bulk, CAST, vec![2; 10_000].into()).unwrap();
        }

        b.transport.shutdown().await;

        assert_eq!(to_a.send(bulk, CAST, Bytes::new()), Err(SendError::NoConnection));
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
            to_a.send(ChannelId::SIGNALS, CAST, Bytes::from("x")).unwrap();
            to_b.send(ChannelId::SIGNALS, CAST, Bytes::from("y")).unwrap();
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
