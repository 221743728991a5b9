//! How a node comes to have peers: settings on its builder, and what can then be asked of it.

use std::error::Error;
use std::future::Future;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use biotope_runtime::{Extension, Node, NodeBuilder};

use crate::config::Limits;
use crate::connection::counters::Counters;
use crate::connection::network::Network;
use crate::connection::peer::PeerInfo;
use crate::connection::transport::{JoinError, ListenError, Transport, TransportConfig};
use crate::gateway::QuicGateway;
use crate::identity::Identity;
use crate::inbound::Inbound;

/// What the distribution layer adds to a [`NodeBuilder`].
///
/// # Examples
/// ```
/// use biotope::distribution::Authority;
/// use biotope::prelude::*;
///
/// let authority = Authority::new("shop")?;
/// let runtime = Runtime::new()?;
/// let start = |name: &'static str| {
///     let identity = authority.issue(name)?.identity()?;
///     let node = Node::builder(name).runtime(runtime.clone()).listen("127.0.0.1:0").identity(identity);
///     Ok::<_, Box<dyn std::error::Error>>(runtime.block_on(node.start())?)
/// };
/// let (a, b) = (start("a")?, start("b")?);
/// let peer = runtime.block_on(b.join(a.listen_addr().unwrap().to_string()))?;
/// assert_eq!(&*peer, "a");
/// # runtime.block_on(async { b.shutdown().await; a.shutdown().await });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Distribute: Sized {
    /// Listens on `addr`, as `0.0.0.0:7400`; port 0 takes a free one.
    fn listen(self, addr: impl Into<String>) -> Self;
    /// Who this node is to its peers, and whom it trusts. Its name must be the node's.
    fn identity(self, identity: Identity) -> Self;
    /// Joins the node at `addr` as soon as it can be reached, and again after it was lost.
    fn joins(self, addr: impl Into<String>) -> Self;
    /// Sets the limits towards peers.
    fn limits(self, limits: Limits) -> Self;
    /// Shares the network thread with other nodes of this OS process.
    fn network(self, network: Network) -> Self;
}

/// What the distribution layer adds to a [`Node`].
pub trait Distributed {
    /// Joins the node at `addr`, as `shop-1.internal:7400`; keeps trying until it is up, or refused for
    /// good. Returns its name. A joined node that is lost is dialled again.
    ///
    /// # Errors
    /// [`JoinError`].
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the joining.
    fn join(&self, addr: impl Into<String>) -> impl Future<Output = Result<Arc<str>, JoinError>> + Send + 'static;
    /// Where this node listens.
    fn listen_addr(&self) -> Option<SocketAddr>;
    /// The associations that are up.
    fn connections(&self) -> Vec<Connection>;
    /// What has happened at this node's door, with the frames that were skipped as malformed.
    fn door(&self) -> Option<(Counters, u64)>;
}

/// One association, at the moment it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// The peer's name.
    pub node: Arc<str>,
    /// Which association between these two incarnations this is.
    pub epoch: u32,
    /// Where the peer is.
    pub addr: SocketAddr,
    /// Bytes of frames sent to it.
    pub bytes_sent: u64,
    /// Bytes of frames received from it.
    pub bytes_received: u64,
}

/// The settings, kept in the builder until the node starts.
#[derive(Default)]
struct Settings {
    listen: Option<String>,
    identity: Option<Identity>,
    joins: Vec<String>,
    limits: Limits,
    network: Option<Network>,
}

/// Why a node did not come to listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DistributionError {
    /// There is no identity.
    #[error("a node that listens or joins needs `.identity(…)`: there is no plaintext mode")]
    NoIdentity,
    /// There is no address.
    #[error("a node with an identity needs `.listen(…)`; \"127.0.0.1:0\" takes a free port")]
    NoAddress,
    /// The address cannot be read or resolved.
    #[error("`{addr}` is no address to listen on: {text}")]
    BadAddress {
        /// What was given.
        addr: String,
        /// What is wrong.
        text: String,
    },
    /// The socket or its settings.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The network thread could not be started.
    #[error("the network thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

impl Distribute for NodeBuilder {
    fn listen(mut self, addr: impl Into<String>) -> Self {
        self.extension::<Settings>().listen = Some(addr.into());
        self
    }

    fn identity(mut self, identity: Identity) -> Self {
        self.extension::<Settings>().identity = Some(identity);
        self
    }

    fn joins(mut self, addr: impl Into<String>) -> Self {
        self.extension::<Settings>().joins.push(addr.into());
        self
    }

    fn limits(mut self, limits: Limits) -> Self {
        self.extension::<Settings>().limits = limits;
        self
    }

    fn network(mut self, network: Network) -> Self {
        self.extension::<Settings>().network = Some(network);
        self
    }
}

impl Extension for Settings {
    async fn start(self, node: Node) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.open(&node).await?)
    }
}

impl Settings {
    async fn open(self, node: &Node) -> Result<(), DistributionError> {
        let identity = self.identity.ok_or(DistributionError::NoIdentity)?;
        let listen = resolve(self.listen.ok_or(DistributionError::NoAddress)?)?;
        let network = match self.network {
            Some(network) => network,
            None => Network::start()?,
        };
        let mut config = TransportConfig::new(node.name(), node.id().incarnation(), identity, listen);
        config.limits = self.limits;
        let inbound = Inbound::new();
        let events = inbound.clone();
        let transport = Transport::start(&network, config, move |event| events.on_event(event)).await?;
        let gateway = Arc::new(QuicGateway::new(node, transport, inbound.clone()));
        node.install_gateway(gateway.clone());
        inbound.connect(&gateway);
        for addr in self.joins {
            // Nobody waits: the association comes up when the peer can be reached.
            drop(gateway.transport.join(addr));
        }
        Ok(())
    }
}

fn resolve(addr: String) -> Result<SocketAddr, DistributionError> {
    let bad = |text: String| DistributionError::BadAddress { addr: addr.clone(), text };
    let mut found = addr.to_socket_addrs().map_err(|error| bad(error.to_string()))?;
    found.next().ok_or_else(|| bad("the name has no address".into()))
}

impl Distributed for Node {
    fn join(&self, addr: impl Into<String>) -> impl Future<Output = Result<Arc<str>, JoinError>> + Send + 'static {
        let target = addr.into();
        let joining = match gateway(self) {
            Some(gateway) => Ok(gateway.transport.join(target)),
            None => Err(JoinError::NotListening { target }),
        };
        async { Ok(joining?.await?.name().clone()) }
    }

    fn listen_addr(&self) -> Option<SocketAddr> {
        gateway(self).map(|gateway| gateway.transport.local_addr())
    }

    fn connections(&self) -> Vec<Connection> {
        let peers = gateway(self).map(|gateway| gateway.transport.peers()).unwrap_or_default();
        let connection = |peer: PeerInfo| Connection {
            node: peer.name,
            epoch: peer.epoch,
            addr: peer.addr,
            bytes_sent: peer.bytes_sent,
            bytes_received: peer.bytes_received,
        };
        peers.into_iter().map(connection).collect()
    }

    fn door(&self) -> Option<(Counters, u64)> {
        gateway(self).map(|gateway| (gateway.transport.counters(), gateway.inbound.malformed()))
    }
}

fn gateway(node: &Node) -> Option<&QuicGateway> {
    node.gateway()?.as_any().downcast_ref()
}
