//! A node for tests: a transport whose events wait in a queue.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::super::close::DownCause;
use super::super::network::Network;
use super::super::peer::Peer;
use super::super::transport::{Event, ListenError, Transport, TransportConfig};
use crate::identity::{Authority, Identity};
use crate::wire::frame::Kind;

pub(super) const CAST: Kind = Kind::process(0x10);

/// Longer than any test. On a busy machine a thread may stand still for seconds, and what it then finds overdue would be
/// chance.
const NEVER: Duration = Duration::from_secs(3600);

/// A cluster with an authority and a network thread.
pub(super) struct World {
    pub(super) authority: Authority,
    pub(super) network: Network,
}

pub(super) struct Node {
    pub(super) transport: Transport,
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    /// One message lets the network thread go on after a frame that says "halt".
    pub(super) go_on: std::sync::mpsc::Sender<()>,
    /// What has been passed over while waiting for something else.
    pub(super) seen: Mutex<Vec<String>>,
}

impl World {
    pub(super) fn new() -> World {
        World { authority: Authority::new("shop").unwrap(), network: Network::start().unwrap() }
    }

    pub(super) fn identity(&self, name: &str) -> Identity {
        self.authority.issue(name).unwrap().identity().unwrap()
    }

    pub(super) fn config(&self, name: &str) -> TransportConfig {
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut config = TransportConfig::new(name, 1, self.identity(name), listen);
        config.limits.greeting = NEVER;
        config.limits.down_after = NEVER;
        config.limits.goodbye = NEVER;
        config
    }

    pub(super) async fn node(&self, name: &str) -> Node {
        self.start(self.config(name)).await
    }

    pub(super) async fn start(&self, config: TransportConfig) -> Node {
        self.try_start(config).await.unwrap()
    }

    pub(super) async fn try_start(&self, config: TransportConfig) -> Result<Node, ListenError> {
        let (sender, events) = mpsc::unbounded_channel();
        let (go_on, halted) = std::sync::mpsc::channel();
        let halted = Mutex::new(halted);
        let tell = move |event| {
            if matches!(&event, Event::Frame { body, .. } if &body[..] == b"halt") {
                halted.lock().recv().unwrap();
            }
            let _ = sender.send(event);
        };
        Ok(Node {
            transport: Transport::start(&self.network, config, tell).await?,
            events: tokio::sync::Mutex::new(events),
            go_on,
            seen: Mutex::default(),
        })
    }
}

impl Node {
    pub(super) fn addr(&self) -> String {
        self.transport.local_addr().to_string()
    }

    pub(super) async fn join(&self, other: &Node) -> Arc<Peer> {
        self.transport.join(other.addr()).await.unwrap()
    }

    pub(super) async fn event(&self) -> Event {
        let event = self.events.lock().await.recv().await.unwrap();
        let line = match &event {
            Event::Up { peer } => format!("up {} {}", peer.name(), peer.epoch()),
            Event::Down { peer, cause } => format!("down {} {}: {cause}", peer.name(), peer.epoch()),
            Event::Frame { peer, body, .. } => format!("frame {} {}", peer.name(), body.len()),
            Event::Room { peer } => format!("room {}", peer.name()),
        };
        self.seen.lock().push(line);
        event
    }

    pub(super) async fn up(&self) -> Arc<Peer> {
        loop {
            if let Event::Up { peer } = self.event().await {
                return peer;
            }
        }
    }

    pub(super) async fn down(&self) -> (Arc<Peer>, DownCause) {
        loop {
            if let Event::Down { peer, cause } = self.event().await {
                return (peer, cause);
            }
        }
    }

    pub(super) async fn frame(&self) -> Bytes {
        loop {
            if let Event::Frame { body, .. } = self.event().await {
                return body;
            }
        }
    }
}

/// Runs a test on a runtime of its own; the nodes live on the network thread.
pub(super) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}
