//! The socket, and what QUIC is told about it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ConnectionError, VarInt};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::Begin;
use crate::connection::channel::CHANNELS;
use crate::connection::close::{Close, CloseCode, Ended};
use crate::connection::transport::ListenError;

/// Socket buffers: with the usual 208 KiB a burst of bulk loses thousands of packets a second.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// The packet size that path discovery tries to reach; it never starts there.
const MTU_UPPER_BOUND: u16 = 6500;

/// What the first retransmission waits for. Under loss the usual 333 ms makes a handshake take ten seconds.
const INITIAL_RTT: Duration = Duration::from_millis(50);

/// When nothing at all has come from a connection for so long, QUIC gives it up. The heartbeat of the association is
/// faster; this is for connections that have none yet.
const IDLE: Duration = Duration::from_secs(10);

/// QUIC's own sign of life, which only connections without heartbeat ever send.
const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// How long a probe waits to be refused.
const PROBE: Duration = Duration::from_millis(200);

/// Streams that a peer may have beside one per channel: those of channels that this node does not have.
const SPARE_STREAMS: u32 = 4;

pub(super) fn endpoint(begin: &Begin) -> Result<(quinn::Endpoint, quinn::ClientConfig), ListenError> {
    let tls = |error: &dyn std::fmt::Display| ListenError::Tls(error.to_string());
    let transport = Arc::new(transport(begin));

    let server = QuicServerConfig::try_from(begin.identity.server()).map_err(|error| tls(&error))?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(server));
    server.transport_config(transport.clone());
    server.max_incoming(2 * begin.limits.greeting_connections);

    let client = QuicClientConfig::try_from(begin.identity.client()).map_err(|error| tls(&error))?;
    let mut client = quinn::ClientConfig::new(Arc::new(client));
    client.transport_config(transport);

    let bind = |source| ListenError::Bind { addr: begin.listen, source };
    let socket = socket(begin.listen).map_err(bind)?;
    let endpoint =
        quinn::Endpoint::new(quinn::EndpointConfig::default(), Some(server), socket, Arc::new(quinn::TokioRuntime))
            .map_err(bind)?;
    Ok((endpoint, client))
}

/// Whether the machine at `addr` says that nobody listens there.
///
/// Only a socket that is connected hears of it, and the endpoint's is not. A listening peer drops the one byte, because it
/// is no packet.
pub(super) async fn refuses(addr: SocketAddr) -> bool {
    let try_it = async {
        let any: SocketAddr = match addr {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(addr).await?;
        socket.send(&[0]).await?;
        socket.recv(&mut [0]).await
    };
    // No answer is the answer of a peer that listens, and of a firewall.
    let answer = timeout(PROBE, try_it).await;
    matches!(answer, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
}

fn transport(begin: &Begin) -> quinn::TransportConfig {
    let mut discovery = quinn::MtuDiscoveryConfig::default();
    discovery.upper_bound(MTU_UPPER_BOUND);
    // Silence is for the association to judge, so QUIC gives up later.
    let idle = IDLE.max(begin.limits.down_after * 2);
    let mut config = quinn::TransportConfig::default();
    config
        .max_concurrent_uni_streams(VarInt::from_u32(CHANNELS + SPARE_STREAMS))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(Some(discovery))
        .initial_rtt(INITIAL_RTT)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(idle.try_into().ok());
    config
}

fn socket(addr: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let domain = socket2::Domain::for_address(addr);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if addr.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    // The operating system may allow less, which costs speed and nothing else.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// What the end of a connection means for the association and its target.
pub(super) fn ended(error: ConnectionError) -> Ended {
    // TLS alerts travel as QUIC error codes from 0x100 to 0x1ff.
    let is_tls = |code: u64| (0x100..0x200).contains(&code);
    match error {
        ConnectionError::ApplicationClosed(close) => Ended::ByPeer(Close {
            code: CloseCode::from_number(close.error_code.into_inner()),
            text: String::from_utf8_lossy(&close.reason).into_owned(),
        }),
        ConnectionError::TransportError(error) if is_tls(error.code.into()) => {
            Ended::Distrusted(format!("its certificate is not taken: {}", error.reason))
        }
        ConnectionError::ConnectionClosed(close) if is_tls(close.error_code.into()) => {
            Ended::Distrusted(format!("it does not take our certificate: {}", String::from_utf8_lossy(&close.reason)))
        }
        error => Ended::Lost(error.to_string()),
    }
}
