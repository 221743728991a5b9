//! A real quinn client that does not behave.
//!
//! Each test has the same shape: node `a` has a well-behaved peer `b`; a stranger does its worst; the stranger is
//! told why it was turned away, `a` counts it once, and `b`, whose association has not moved, still reaches `a`
//! and is reached by it.
//!
//! # Begun anew
//! A moment after its close a node forgets a connection, and answers what still comes with a stateless reset. A
//! stranger whose thread stood still meanwhile reads both at once, and quinn then reports the reset in place of the
//! close. Nor does quinn send a close that finds its congestion window full. In both cases the text, which these tests
//! are about, is lost: such a run shows nothing and is begun anew.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, VarInt};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::super::channel::SendError;
use super::super::close::{CloseCode, DownCause};
use super::super::counters::Counters;
use super::super::peer::Peer;
use super::super::transport::{Event, TransportConfig};
use super::nodes::{CAST, Node, World, run};
use crate::identity::Authority;
use crate::wire::frame::{FrameDecoder, Kind, encode_frame, encode_header, encode_preface};
use crate::wire::handshake::{Heartbeat, Hello, decode_number};

/// Node `a`, its good peer `b`, and where the stranger comes in.
struct Scene {
    world: World,
    a: Node,
    b: Node,
    b_to_a: Arc<Peer>,
    a_to_b: Arc<Peer>,
    endpoint: quinn::Endpoint,
}

/// The stranger was reset, and so not told.
#[derive(Debug)]
struct Reset;

/// How often a test is begun anew before it counts as the fault of `a`.
const TRIES: usize = 20;

/// Runs a test in which the stranger is told something.
fn told(test: impl AsyncFn() -> Result<(), Reset>) {
    run(async {
        for _ in 0..TRIES {
            if test().await.is_ok() {
                return;
            }
        }
        panic!("the stranger was reset {TRIES} times, and never told why");
    });
}

/// A connection of the stranger, with its control stream.
struct Stranger {
    connection: quinn::Connection,
    control: quinn::SendStream,
    epoch: u32,
}

impl Scene {
    async fn new() -> Scene {
        Scene::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut TransportConfig)) -> Scene {
        let world = World::new();
        let mut config = world.config("a");
        change(&mut config);
        let (a, b) = (world.start(config).await, world.node("b").await);
        let b_to_a = b.join(&a).await;
        let a_to_b = a.up().await;
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        Scene { world, a, b, b_to_a, a_to_b, endpoint }
    }

    /// Dials `a` with any TLS settings.
    async fn dial(&self, tls: Arc<rustls::ClientConfig>) -> Result<quinn::Connection, ConnectionError> {
        let tls = QuicClientConfig::try_from(tls).unwrap();
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        // A stranger sends as it likes, and waits for no acknowledgement.
        let mut impatient = quinn::congestion::CubicConfig::default();
        impatient.initial_window(10 << 20);
        let mut transport = quinn::TransportConfig::default();
        transport.congestion_controller_factory(Arc::new(impatient));
        // Nor does it give up because the machine is busy, and it speaks now and then, so that it learns of a lost close.
        transport.max_idle_timeout(None).keep_alive_interval(Some(Duration::from_secs(1)));
        config.transport_config(Arc::new(transport));
        let addr = self.a.transport.local_addr();
        let connecting = self.endpoint.connect_with(config, addr, "shop.biotope");
        connecting.unwrap().await
    }

    /// Dials `a` with the certificate of a member called `mallory`, and opens the control stream.
    async fn member(&self) -> Stranger {
        let identity = self.world.identity("mallory");
        let connection = self.dial(identity.client()).await.unwrap();
        let mut control = connection.open_uni().await.unwrap();
        control.write_all(&preface("control")).await.unwrap();
        Stranger { connection, control, epoch: 0 }
    }

    /// As `member`, and says a proper hello: up at `a`, in this very epoch.
    async fn mallory(&self) -> (Stranger, Arc<Peer>) {
        let mut stranger = self.member().await;
        stranger.say(0, Kind::HELLO, &hello().encode()).await;
        let mut theirs = stranger.connection.accept_uni().await.unwrap();
        let mut decoder = FrameDecoder::with_limit(4096);
        let preface = preface("control").len();
        theirs.read_exact(&mut vec![0; preface]).await.unwrap();
        while stranger.epoch == 0 {
            let chunk = theirs.read_chunk(4096, true).await.unwrap().unwrap();
            decoder.push(chunk.bytes);
            while let Some(frame) = decoder.next_frame().unwrap() {
                if frame.kind == Kind::WELCOME {
                    stranger.epoch = decode_number(&frame.body).unwrap();
                }
            }
        }
        // The rest of what `a` says on it is never read, which is the stranger's right.
        tokio::spawn(async move { while let Ok(Some(_)) = theirs.read_chunk(4096, true).await {} });
        (stranger, self.a.up().await)
    }

    /// `b` has not noticed a thing: no event but these two frames, and both directions work.
    async fn assert_b_is_well(&self) {
        self.b_to_a.send(CAST, Bytes::from("still here?")).unwrap();
        loop {
            match self.a.event().await {
                Event::Frame { peer, body, .. } if peer.name().as_ref() == "b" => {
                    assert_eq!(&body[..], b"still here?");
                    break;
                }
                Event::Up { peer } | Event::Down { peer, .. } => assert_eq!(peer.name().as_ref(), "mallory"),
                _ => {}
            }
        }
        self.a_to_b.send(CAST, Bytes::from("yes")).unwrap();
        match self.b.event().await {
            Event::Up { .. } => assert!(matches!(self.b.event().await, Event::Frame { .. })),
            event => panic!("{event:?}"),
        }
    }

    /// `a` has counted exactly what `expected` says, beside its own meeting with `b`.
    fn assert_counted(&self, expected: Counters) {
        let counted = self.a.transport.counters();
        let ours = Counters { ups: counted.ups, downs: counted.downs, ..expected };
        assert_eq!(counted, ours);
    }
}

impl Stranger {
    async fn say(&mut self, epoch: u32, kind: Kind, body: &[u8]) {
        let mut out = BytesMut::new();
        encode_frame(epoch, kind, body, &mut out);
        self.control.write_all(&out).await.unwrap();
    }

    /// Opens a stream that says it is `channel`.
    async fn channel(&self, channel: &str) -> quinn::SendStream {
        let mut stream = self.connection.open_uni().await.unwrap();
        stream.write_all(&preface(channel)).await.unwrap();
        stream
    }

    fn frame(&self, body: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        encode_frame(self.epoch, CAST, body, &mut out);
        out
    }

    /// The code and the text with which `a` has closed the connection.
    async fn closed(&self) -> Result<(CloseCode, String), Reset> {
        closed(&self.connection).await
    }
}

async fn closed(connection: &quinn::Connection) -> Result<(CloseCode, String), Reset> {
    match connection.closed().await {
        ConnectionError::ApplicationClosed(close) => {
            let code = CloseCode::from_number(close.error_code.into_inner());
            Ok((code, String::from_utf8(close.reason.to_vec()).unwrap()))
        }
        ConnectionError::Reset => Err(Reset),
        error => panic!("{error:?}"),
    }
}

fn preface(channel: &str) -> BytesMut {
    let mut out = BytesMut::new();
    encode_preface(channel, &mut out);
    out
}

fn hello() -> Hello {
    Hello {
        lowest_version: 1,
        highest_version: 1,
        cluster: "shop".into(),
        node: "mallory".into(),
        incarnation: 1,
        proposal: 1,
        holding: 0,
        frame_limit: 1024,
    }
}

// ---- who may not even connect

/// What TLS told the client: in TLS 1.3 it may count as connected before the server has judged it.
async fn tls_verdict(dialled: Result<quinn::Connection, ConnectionError>) -> Result<String, Reset> {
    let error = match dialled {
        Ok(connection) => connection.closed().await,
        Err(error) => error,
    };
    match error {
        ConnectionError::ConnectionClosed(close) => {
            let code: u64 = close.error_code.into();
            assert!((0x100..0x200).contains(&code), "{close:?}");
            Ok(String::from_utf8_lossy(&close.reason).into_owned())
        }
        ConnectionError::Reset => Err(Reset),
        error => panic!("{error:?}"),
    }
}

fn trusting(world: &World) -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    let authority = world.authority.to_pem();
    roots.add(CertificateDer::from_pem_slice(authority.cert.as_bytes()).unwrap()).unwrap();
    roots
}

fn tls13() -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]).unwrap()
}

#[test]
fn a_certificate_of_another_authority_is_turned_away() {
    told(async || {
        let scene = Scene::new().await;
        // Same names, other authority; it knows the cluster's certificate, which is no secret.
        let pem = Authority::new("shop").unwrap().issue("b").unwrap();
        let chain = vec![CertificateDer::from_pem_slice(pem.cert.as_bytes()).unwrap()];
        let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).unwrap();
        let mut tls = tls13().with_root_certificates(trusting(&scene.world)).with_client_auth_cert(chain, key).unwrap();
        tls.alpn_protocols = vec![b"biotope/1".to_vec()];

        let text = tls_verdict(scene.dial(Arc::new(tls)).await).await?;

        assert!(text.contains("certificate"), "{text}");
        scene.assert_b_is_well().await;
        scene.assert_counted(Counters { strangers: 1, ..Counters::default() });
        Ok(())
    });
}

#[test]
fn a_client_without_certificate_is_turned_away() {
    told(async || {
        let scene = Scene::new().await;
        let mut tls = tls13().with_root_certificates(trusting(&scene.world)).with_no_client_auth();
        tls.alpn_protocols = vec![b"biotope/1".to_vec()];

        let text = tls_verdict(scene.dial(Arc::new(tls)).await).await?;

        assert!(text.contains("certificate"), "{text}");
        scene.assert_b_is_well().await;
        scene.assert_counted(Counters { strangers: 1, ..Counters::default() });
        Ok(())
    });
}

#[test]
fn a_client_of_another_protocol_is_turned_away() {
    told(async || {
        let scene = Scene::new().await;
        let mut tls = (*scene.world.identity("mallory").client()).clone();
        tls.alpn_protocols = vec![b"h3".to_vec()];

        let text = tls_verdict(scene.dial(Arc::new(tls)).await).await?;

        assert!(text.to_lowercase().contains("protocol"), "{text}");
        scene.assert_b_is_well().await;
        scene.assert_counted(Counters { strangers: 1, ..Counters::default() });
        Ok(())
    });
}

#[test]
fn a_certificate_of_another_cluster_is_refused_under_the_same_authority() {
    told(async || {
        let scene = Scene::new().await;
        let names = vec!["bank.biotope".to_owned(), "b.bank.biotope".to_owned()];
        let pem = scene.world.authority.sign("b of bank", names).unwrap();
        let tls = pem.identity().unwrap().client();

        let connection = scene.dial(tls).await.unwrap();

        let (code, text) = closed(&connection).await?;
        assert_eq!(code, CloseCode::Refused);
        assert!(text.contains("another cluster than \"shop\""), "{text}");
        scene.assert_b_is_well().await;
        scene.assert_counted(Counters { refused: 1, ..Counters::default() });
        Ok(())
    });
}

// ---- who does not greet

#[test]
fn a_hello_of_another_cluster_or_name_is_refused() {
    told(async || {
        let scene = Scene::new().await;
        let other_cluster = Hello { cluster: "bank".into(), ..hello() };
        let other_name = Hello { node: "b".into(), ..hello() };
        let later = Hello { lowest_version: 9, highest_version: 9, ..hello() };
        for (hello, says) in [
            (other_cluster, "belongs to cluster"),
            (other_name, "made out to node \"mallory\""),
            (later, "no common version"),
        ] {
            let mut stranger = scene.member().await;
            stranger.say(0, Kind::HELLO, &hello.encode()).await;
            let (code, text) = stranger.closed().await?;
            assert_eq!(code, CloseCode::Refused);
            assert!(text.contains(says), "{text}");
        }
        scene.assert_b_is_well().await;
        scene.assert_counted(Counters { refused: 3, ..Counters::default() });
        Ok(())
    });
}

/// Goal: who is connected and says no hello is told so when its time is over.
/// Method: the time is short, and it is everybody's. On a busy machine it may be over before somebody is even connected: `b`
/// and the stranger then knock again, and what counts is what follows.
#[test]
fn a_hello_that_never_comes_is_not_waited_for() {
    told(async || {
        let scene = Scene::with(|config| config.limits.greeting = Duration::from_millis(200)).await;
        let before = scene.a.transport.counters();
        let (code, text) = loop {
            let Ok(connection) = scene.dial(scene.world.identity("mallory").client()).await else { continue };
            let mut control = connection.open_uni().await;
            if let Ok(control) = &mut control {
                // An error is the end of the connection, which is told below.
                let _ = control.write_all(&preface("control")).await;
            }
            match connection.closed().await {
                // `a` had given up before its part of TLS was done.
                ConnectionError::ConnectionClosed(_) => {}
                _ => break closed(&connection).await?,
            }
        };
        assert_eq!(code, CloseCode::HelloTimeout);
        assert!(text.contains("no agreed hello within 200ms"), "{text}");
        scene.assert_b_is_well().await;
        let handshakes_failed = scene.a.transport.counters().handshakes_failed;
        scene.assert_counted(Counters { hellos_missing: before.hellos_missing + 1, handshakes_failed, ..before });
        Ok(())
    });
}

#[test]
fn garbage_instead_of_a_hello_is_told_as_such() {
    told(async || {
        let scene = Scene::new().await;

        // No preface.
        let connection = scene.dial(scene.world.identity("mallory").client()).await.unwrap();
        let mut stream = connection.open_uni().await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let (code, text) = closed(&connection).await?;
        assert_eq!(code, CloseCode::BadHello);
        assert!(text.contains("not with a biotope preface"), "{text}");

        // Another channel first.
        let connection = scene.dial(scene.world.identity("mallory").client()).await.unwrap();
        let mut stream = connection.open_uni().await.unwrap();
        stream.write_all(&preface("signals")).await.unwrap();
        let (code, text) = closed(&connection).await?;
        assert_eq!(code, CloseCode::BadHello);
        assert!(text.contains("must be channel \"control\""), "{text}");

        // Another frame first.
        let mut stranger = scene.member().await;
        stranger.say(1, CAST, b"let me in").await;
        let (code, text) = stranger.closed().await?;
        assert_eq!(code, CloseCode::BadHello);
        assert!(text.contains("must be a hello"), "{text}");

        // A hello that is none.
        let mut stranger = scene.member().await;
        stranger.say(0, Kind::HELLO, b"BIOT and nothing more").await;
        assert_eq!(stranger.closed().await?.0, CloseCode::BadHello);

        // A hello longer than any.
        let mut stranger = scene.member().await;
        let mut header = BytesMut::new();
        encode_header(1 << 20, 0, Kind::HELLO, &mut header);
        stranger.control.write_all(&header).await.unwrap();
        assert_eq!(stranger.closed().await?.0, CloseCode::BadHello);

        scene.assert_b_is_well().await;
        scene.assert_counted(Counters { bad_hellos: 5, ..Counters::default() });
        Ok(())
    });
}

#[test]
fn those_who_do_not_greet_take_only_their_own_places() {
    run(async {
        let scene = Scene::with(|config| config.limits.greeting_connections = 2).await;
        let (one, two) = (scene.member().await, scene.member().await);

        let third = scene.dial(scene.world.identity("mallory").client()).await;

        assert!(matches!(&third, Err(ConnectionError::ConnectionClosed(_))), "{third:?}");
        scene.assert_b_is_well().await;
        // QUIC knocks again if the answer takes a second, and is turned away again.
        let busy = scene.a.transport.counters().busy;
        assert!(busy >= 1);
        scene.assert_counted(Counters { busy, ..Counters::default() });
        // One place is free again, and somebody who greets gets it.
        one.connection.close(VarInt::from_u32(0), b"");
        let c = scene.world.node("c").await;
        c.join(&scene.a).await;
        drop(two);
    });
}

// ---- who greets, and then misbehaves

/// A member that is up misbehaves on a stream: its association ends with `code`, and `a` counts it as `counted`.
fn misbehaves(code: CloseCode, says: &str, counted: Counters, act: impl AsyncFn(&mut Stranger)) {
    told(async || {
        let scene = Scene::with(|config| config.limits.frame_bytes = 1 << 16).await;
        let (mut stranger, peer) = scene.mallory().await;

        act(&mut stranger).await;

        let (told, text) = stranger.closed().await?;
        assert_eq!(told, code);
        assert!(text.contains(says), "{text}");
        let (down, cause) = scene.a.down().await;
        assert!(Arc::ptr_eq(&down, &peer));
        assert_eq!(cause, DownCause::Closed(text));
        scene.assert_b_is_well().await;
        scene.assert_counted(counted);
        Ok(())
    });
}

#[test]
fn a_frame_over_the_limit_ends_the_association_before_it_is_buffered() {
    let counted = Counters { frames_too_large: 1, ..Counters::default() };
    misbehaves(CloseCode::FrameTooLarge, "over the limit of 65536 bytes", counted, async |stranger| {
        let mut stream = stranger.channel("signals").await;
        let mut header = BytesMut::new();
        encode_header((1 << 16) + 1, stranger.epoch, CAST, &mut header);
        // The header alone: were the body waited for, nobody would ever answer.
        stream.write_all(&header).await.unwrap();
    });
}

#[test]
fn a_header_with_an_unknown_flag_ends_the_association() {
    let counted = Counters { bad_frames: 1, ..Counters::default() };
    misbehaves(CloseCode::BadFrame, "unknown flags 0x01", counted, async |stranger| {
        let mut stream = stranger.channel("signals").await;
        let mut frame = stranger.frame(b"x");
        frame[9] = 1;
        stream.write_all(&frame).await.unwrap();
    });
}

#[test]
fn a_stream_without_preface_ends_the_association() {
    let counted = Counters { bad_frames: 1, ..Counters::default() };
    misbehaves(CloseCode::BadFrame, "not with a biotope preface", counted, async |stranger| {
        let mut stream = stranger.connection.open_uni().await.unwrap();
        stream.write_all(b"hello?").await.unwrap();
    });
}

#[test]
fn a_stream_that_ends_inside_a_frame_ends_the_association() {
    let counted = Counters { truncated_streams: 1, ..Counters::default() };
    misbehaves(CloseCode::Truncated, "3 bytes are missing", counted, async |stranger| {
        let mut stream = stranger.channel("signals").await;
        let frame = stranger.frame(b"hello");
        stream.write_all(&frame[..12]).await.unwrap();
        stream.finish().unwrap();
    });
}

#[test]
fn a_stream_that_is_reset_ends_the_association() {
    let counted = Counters { truncated_streams: 1, ..Counters::default() };
    misbehaves(CloseCode::Truncated, "reset with code 77", counted, async |stranger| {
        let mut stream = stranger.channel("signals").await;
        stream.reset(VarInt::from_u32(77)).unwrap();
    });
}

#[test]
fn a_peer_that_stops_the_signals_ends_the_association() {
    told(async || {
        let scene = Scene::new().await;
        let (stranger, peer) = scene.mallory().await;
        peer.send(CAST, Bytes::from("listen")).unwrap();
        let mut theirs = stranger.connection.accept_uni().await.unwrap();
        theirs.stop(VarInt::from_u32(1)).unwrap();

        // `a` hears of it when it has something to say.
        while peer.send(CAST, Bytes::from("do you hear?")) != Err(SendError::NoConnection) {
            tokio::task::yield_now().await;
        }

        let (code, text) = stranger.closed().await?;
        assert_eq!(code, CloseCode::Truncated);
        assert!(text.contains("stopped by the peer"), "{text}");
        assert_eq!(scene.a.down().await.1, DownCause::Closed(text));
        scene.assert_b_is_well().await;
        scene.assert_counted(Counters { truncated_streams: 1, ..Counters::default() });
        Ok(())
    });
}

#[test]
fn a_control_stream_that_ends_without_goodbye_ends_the_association() {
    let counted = Counters { truncated_streams: 1, ..Counters::default() };
    misbehaves(CloseCode::Truncated, "without a goodbye", counted, async |stranger| {
        stranger.control.finish().unwrap();
    });
}

#[test]
fn a_second_stream_for_a_channel_ends_the_association() {
    let counted = Counters { surplus_streams: 1, ..Counters::default() };
    misbehaves(CloseCode::Streams, "has a stream already", counted, async |stranger| {
        stranger.channel("signals").await;
        stranger.channel("signals").await;
    });
}

#[test]
fn a_malformed_heartbeat_ends_the_association() {
    let counted = Counters { bad_frames: 1, ..Counters::default() };
    misbehaves(CloseCode::BadFrame, "a malformed heartbeat", counted, async |stranger| {
        stranger.say(stranger.epoch, Kind::HEARTBEAT, b"thump").await;
    });
}

#[test]
fn unknown_channels_again_and_again_end_the_association() {
    let counted = Counters { unknown_channels: 17, surplus_streams: 1, ..Counters::default() };
    misbehaves(
        CloseCode::Streams,
        "channel \"nobody-16\" is unknown here, like many before",
        counted,
        async |stranger| {
            for number in 0..17 {
                // Each gives its place back when it is turned away.
                let stream = stranger.channel(&format!("nobody-{number}")).await;
                if number < 16 {
                    stream.stopped().await.unwrap();
                }
            }
        },
    );
}

#[test]
fn an_unknown_channel_is_turned_away_alone() {
    run(async {
        let scene = Scene::new().await;
        let (stranger, _) = scene.mallory().await;
        let stream = stranger.channel("gossip").await;

        let stopped = stream.stopped().await.unwrap();

        assert_eq!(stopped, Some(VarInt::from_u32(1)));
        let mut signals = stranger.channel("signals").await;
        signals.write_all(&stranger.frame(b"still up")).await.unwrap();
        assert_eq!(&scene.a.frame().await[..], b"still up");
        scene.assert_b_is_well().await;
        scene.assert_counted(Counters { unknown_channels: 1, ..Counters::default() });
    });
}

/// Goal: frames that do not belong where they come are dropped and counted, and nothing else is lost.
/// Method: each kind of them, then one proper frame on the same stream.
#[test]
fn frames_of_another_epoch_or_plane_are_dropped_alone() {
    told(async || {
        let scene = Scene::new().await;
        let (mut stranger, _) = scene.mallory().await;
        let epoch = stranger.epoch;
        let mut out = BytesMut::new();
        encode_frame(epoch + 1, CAST, b"from tomorrow", &mut out);
        encode_frame(epoch - 1, CAST, b"from yesterday", &mut out);
        encode_frame(epoch, Kind::GOODBYE, b"not here", &mut out);
        encode_frame(epoch, CAST, b"now", &mut out);
        stranger.say(epoch, CAST, b"not on control").await;
        let beat = Heartbeat { count: 1, echo: 0 };
        stranger.say(epoch + 5, Kind::HEARTBEAT, &beat.encode()).await;
        // What `a` has read of the control stream shows in what it answers: the echo of this one.
        let mut signals = stranger.channel("signals").await;
        signals.write_all(&out).await.unwrap();

        assert_eq!(&scene.a.frame().await[..], b"now");

        scene.assert_b_is_well().await;
        // A goodbye with proper form, which ends the association after all that came before it on control.
        signals.finish().unwrap();
        stranger.say(epoch, Kind::GOODBYE, &1u32.to_be_bytes()).await;
        assert_eq!(scene.a.down().await.1, DownCause::Goodbye);
        assert_eq!(stranger.closed().await?.0, CloseCode::Goodbye);
        scene.assert_counted(Counters { foreign_epochs: 3, unknown_kinds: 2, ..Counters::default() });
        Ok(())
    });
}

#[test]
fn a_peer_gets_no_more_streams_than_there_are_channels() {
    run(async {
        let scene = Scene::new().await;
        let (stranger, _) = scene.mallory().await;
        let mut streams = Vec::new();
        // Streams that say nothing: QUIC allows some, and then the stranger waits, not `a`.
        loop {
            let mut opening = Box::pin(stranger.connection.open_uni());
            match std::future::poll_fn(|cx| std::task::Poll::Ready(opening.as_mut().poll(cx))).await {
                std::task::Poll::Ready(stream) => streams.push(stream.unwrap()),
                std::task::Poll::Pending => break,
            }
        }
        // Control, signals and the spare ones; one of them is the control stream.
        assert_eq!(streams.len(), 2 + 4 - 1);
        for stream in &mut streams {
            stream.write_all(&[0xB1]).await.unwrap();
        }
        scene.assert_b_is_well().await;
        scene.assert_counted(Counters::default());
    });
}

/// Goal: what had arrived before a connection ended is delivered before its down.
/// Method: the network thread of `a` is halted in a frame, while more than one read's worth of frames and then the end of
/// the connection arrive; so it finds both at once. A close takes back what is not yet sent, and only the sum of all
/// bytes is known: so a frame without end follows, which is longer than headers and probes can make the sum.
#[test]
fn frames_that_came_before_the_end_are_told_before_the_end() {
    run(async {
        let scene = Scene::new().await;
        let (stranger, _) = scene.mallory().await;
        let mut signals = stranger.channel("signals").await;
        signals.write_all(&stranger.frame(b"halt")).await.unwrap();
        let before = stranger.connection.stats().udp_tx.bytes;
        for _ in 0..100 {
            signals.write_all(&stranger.frame(&[7; 990])).await.unwrap();
        }
        let mut endless = BytesMut::new();
        encode_header(1 << 20, stranger.epoch, CAST, &mut endless);
        endless.resize(40_000, 7);
        signals.write_all(&endless).await.unwrap();
        while stranger.connection.stats().udp_tx.bytes < before + 140_000 {
            tokio::task::yield_now().await;
        }
        stranger.connection.close(VarInt::from_u32(99), b"enough");
        scene.endpoint.wait_idle().await;

        scene.a.go_on.send(()).unwrap();

        let mut frames = 0;
        let cause = loop {
            match scene.a.event().await {
                Event::Frame { .. } => frames += 1,
                Event::Down { cause, .. } => break cause,
                _ => {}
            }
        };
        assert_eq!(frames, 101);
        assert!(matches!(cause, DownCause::Closed(_)), "{cause:?}");
        scene.assert_b_is_well().await;
    });
}
