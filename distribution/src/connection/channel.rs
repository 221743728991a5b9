//! The channels between two nodes: ordered lanes beside each other.
//!
//! Each channel is one QUIC stream per direction, so frames of one channel arrive in order and a lost packet of
//! one holds up no other. There are two: `control`, which belongs to this crate alone, and `signals`, which carries
//! everything between processes. On the wire a channel is its name, so that a node can turn away a stream of a channel
//! that it does not have. What waits in `signals` towards one peer is in `lane.rs`.

/// What belongs to the connection: hello, welcome, heartbeats, goodbye.
pub(crate) const CONTROL: &str = "control";

/// Everything between processes.
pub(crate) const SIGNALS: &str = "signals";

/// How many channels there are. Each costs memory at every peer, because QUIC allocates streams ahead.
pub(crate) const CHANNELS: u32 = 2;

/// Why a frame was not sent. Nothing was queued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    /// The association is over, and with it this peer object.
    #[error("there is no connection to this peer any more")]
    NoConnection,
    /// Sending again later may succeed; `Event::Room` says when.
    #[error("too much waits for this peer: send again when there is room")]
    Full,
    /// Sending again cannot succeed.
    #[error("the peer takes frames of at most {limit} bytes: send it in parts")]
    TooLarge { limit: usize },
}
