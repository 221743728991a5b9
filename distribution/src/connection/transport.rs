//! The face of this chapter: what a node does with its peers, callable from any thread.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};

use super::close::DownCause;
use super::core::{ConnectionId, Me};
use super::counters::{Counters, Tally};
use super::driver;
use super::network::{Network, NetworkGone};
use super::peer::{Peer, PeerInfo};
use crate::config::{Limits, LimitsError};
use crate::identity::Identity;
use crate::wire::frame::Kind;

/// What a node needs to meet others.
#[derive(Clone, Debug)]
pub(crate) struct TransportConfig {
    pub(crate) name: Arc<str>,
    /// A number that is higher each time the node starts again under its name.
    pub(crate) incarnation: u64,
    pub(crate) identity: Identity,
    pub(crate) listen: SocketAddr,
    pub(crate) limits: Limits,
}

/// Why a node cannot listen. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address is taken, or not one of this machine.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The certificate was made out for another node.
    #[error(
        "the node is called \"{node}\", but its certificate is made out to \"{certificate}\": give it the identity of its own name"
    )]
    NameDiffers {
        /// The node's name.
        node: Arc<str>,
        /// The name in its certificate.
        certificate: Arc<str>,
    },
    /// The limits do not fit together.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// TLS does not suit QUIC.
    #[error("TLS cannot be used for QUIC: {0}")]
    Tls(String),
    /// The network thread has ended.
    #[error("the network thread has ended: start another `Network`")]
    NetworkGone,
}

/// What happens at a node's door, told on the network thread, one at a time. Whoever is told must not block.
///
/// For each association there is one `Up`, then its frames in order, then one `Down`, and only then the next
/// `Up` of the same peer.
#[derive(Debug)]
pub(crate) enum Event {
    Up {
        peer: Arc<Peer>,
    },
    Frame {
        peer: Arc<Peer>,
        kind: Kind,
        body: Bytes,
    },
    /// What waits for a peer that has been answered `Full` is at most half the limit again.
    Room {
        #[cfg_attr(not(test), expect(dead_code, reason = "nobody waits for room so far"))]
        peer: Arc<Peer>,
    },
    Down {
        peer: Arc<Peer>,
        cause: DownCause,
    },
}

/// One node's connections. Clones are the same transport; when the last is dropped, all connections close without goodbye.
#[derive(Clone)]
pub(crate) struct Transport {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    local_addr: SocketAddr,
    /// Keeps the network thread alive.
    _network: Network,
}

/// What all threads see of a transport.
pub(super) struct Shared {
    pub(super) tally: Arc<Tally>,
    /// The associations that are up, by the peer's name.
    pub(super) directory: RwLock<BTreeMap<Arc<str>, Arc<Peer>>>,
}

/// What the face asks of the driver.
pub(super) enum Command {
    Join { target: Arc<str>, answer: Answer },
    Leave { target: Arc<str> },
    Disconnect { connection: ConnectionId },
    Shutdown { done: oneshot::Sender<()> },
}

pub(super) type Answer = oneshot::Sender<Result<Arc<Peer>, JoinError>>;

/// Why a target is not joined any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The two nodes cannot meet. Joining again cannot help until somebody changes what the text says.
    #[error("cannot join {target}: {text}")]
    Refused {
        /// The address.
        target: String,
        /// What is wrong, and what to do.
        text: String,
    },
    /// The transport was shut down, or `leave` was called for the target.
    #[error("{target} is not joined any more: the node has left it or shut down")]
    Left {
        /// The address.
        target: String,
    },
    /// The node has no listener.
    #[error("cannot join {target}: this node does not listen; give its builder `.listen(…)` and `.identity(…)`")]
    NotListening {
        /// The address.
        target: String,
    },
}

/// The answer to [`Transport::join`]. Dropping it does not stop the joining.
#[must_use = "the joining goes on without it, but only this tells whether it succeeded"]
pub(crate) struct Joining {
    target: String,
    answer: oneshot::Receiver<Result<Arc<Peer>, JoinError>>,
}

impl TransportConfig {
    pub(crate) fn new(
        name: impl Into<Arc<str>>,
        incarnation: u64,
        identity: Identity,
        listen: SocketAddr,
    ) -> TransportConfig {
        TransportConfig { name: name.into(), incarnation, identity, listen, limits: Limits::default() }
    }
}

impl Transport {
    /// Listens, and tells `events` on the network thread what happens.
    ///
    /// `events` may send, join and disconnect. It must not block, and must not wait for `shutdown`.
    ///
    /// # Errors
    /// See [`ListenError`]; nothing was started then.
    pub(crate) async fn start(
        network: &Network,
        config: TransportConfig,
        events: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Transport, ListenError> {
        config.limits.check()?;
        if *config.name != *config.identity.node() {
            return Err(ListenError::NameDiffers { node: config.name, certificate: config.identity.node().into() });
        }
        let shared = Arc::new(Shared { tally: Arc::default(), directory: RwLock::default() });
        let (commands, queue) = mpsc::unbounded_channel();
        let (listening, bound) = oneshot::channel();
        let begin = driver::Begin {
            me: Me { cluster: config.identity.shared_cluster(), node: config.name, incarnation: config.incarnation },
            identity: config.identity,
            listen: config.listen,
            limits: config.limits,
            shared: shared.clone(),
            commands: queue,
            events: Box::new(events),
        };
        network.begin(move || {
            // The caller may have given up waiting; then the driver sees its commands end.
            let _ = listening.send(driver::begin(begin));
        })?;
        let local_addr = bound.await.map_err(|_| ListenError::NetworkGone)??;
        Ok(Transport { shared, commands, local_addr, _network: network.clone() })
    }

    /// Joins whoever answers at `target`, a `host:port`, and keeps trying, also after a down, until
    /// [`Transport::leave`], [`Transport::disconnect`] or a refusal.
    pub(crate) fn join(&self, target: impl Into<String>) -> Joining {
        let target = target.into();
        let (answer, receiver) = oneshot::channel();
        self.command(Command::Join { target: target.as_str().into(), answer });
        Joining { target, answer: receiver }
    }

    /// Stops trying `target`. An association that is up stays up.
    #[cfg_attr(not(test), expect(dead_code, reason = "no face of the node asks for it so far"))]
    pub(crate) fn leave(&self, target: &str) {
        self.command(Command::Leave { target: target.into() });
    }

    /// Ends one association with a goodbye, and stops trying the targets at which that peer answers.
    #[cfg_attr(not(test), expect(dead_code, reason = "no face of the node asks for it so far"))]
    pub(crate) fn disconnect(&self, peer: &Peer) {
        self.command(Command::Disconnect { connection: peer.connection });
    }

    /// Ends all associations with a goodbye: what was queued before is sent first. Then nothing listens any more.
    ///
    /// # Cancel safety
    /// The shutdown goes on when the future is dropped.
    pub(crate) async fn shutdown(&self) {
        let (done, finished) = oneshot::channel();
        self.command(Command::Shutdown { done });
        // An error says that the driver has ended already.
        let _ = finished.await;
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    pub(crate) fn peers(&self) -> Vec<PeerInfo> {
        let directory = self.shared.directory.read();
        directory.values().map(|peer| peer.info()).collect()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.shared.tally.snapshot()
    }

    // Once the driver has ended there is nobody to command; each command's answer says so by itself.
    fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

impl Future for Joining {
    type Output = Result<Arc<Peer>, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer)
            .poll(cx)
            .map(|answer| answer.unwrap_or_else(|_| Err(JoinError::Left { target: std::mem::take(&mut self.target) })))
    }
}

impl From<NetworkGone> for ListenError {
    fn from(NetworkGone: NetworkGone) -> Self {
        ListenError::NetworkGone
    }
}
