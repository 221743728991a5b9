//! One association, as the upper half holds it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;

use super::channel::SendError;
use super::core::ConnectionId;
use super::counters::{Tally, count};
use super::lane::{Lane, Room};
use crate::wire::frame::Kind;

/// One association with a peer.
///
/// Holding it is enough to send: nothing is looked up. It is bound to its epoch, so once the association is down it
/// answers [`SendError::NoConnection`] for ever, also when the peer is back; the next `Event::Up` brings another.
pub(crate) struct Peer {
    pub(super) name: Arc<str>,
    pub(super) incarnation: u64,
    pub(super) epoch: u32,
    pub(super) addr: SocketAddr,
    pub(super) connection: ConnectionId,
    /// The longest body that the peer takes.
    pub(super) frame_limit: usize,
    /// What waits in `signals`.
    pub(super) lane: Lane,
    pub(super) up: AtomicBool,
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) tally: Arc<Tally>,
}

/// A peer at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerInfo {
    pub(crate) name: Arc<str>,
    pub(crate) incarnation: u64,
    pub(crate) epoch: u32,
    pub(crate) addr: SocketAddr,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
}

impl Peer {
    /// Queues one frame; a large body is not copied.
    ///
    /// # Delivery
    /// At most once, in order. `Ok` says that the frame is queued, not that it has arrived.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was queued then.
    pub(crate) fn send(&self, kind: Kind, body: Bytes) -> Result<(), SendError> {
        self.check(kind, body.len())?;
        self.counted(self.lane.push(self.epoch, kind, body, Room::Limited))
    }

    /// Queues one frame that must not be dropped: a link, an exit, a down.
    ///
    /// It may go over the queue's limit by as much again. If even that is full the association ends, so that what the
    /// frame would have said is said by its `Down`.
    ///
    /// # Errors
    /// As [`Peer::send`], but never `Full`.
    pub(crate) fn send_system(&self, kind: Kind, body: &[u8]) -> Result<(), SendError> {
        self.check(kind, body.len())?;
        self.counted(self.lane.push_copy(self.epoch, kind, body, Room::System))
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Bytes of frames written to this peer in this association, headers included, `control` and QUIC's own bytes not.
    pub(crate) fn bytes_sent(&self) -> u64 {
        // Relaxed: a figure for people, which orders nothing.
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes of frames read from this peer in this association; what counts is as in [`Peer::bytes_sent`].
    pub(crate) fn bytes_received(&self) -> u64 {
        // Relaxed: as above.
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn info(&self) -> PeerInfo {
        PeerInfo {
            name: self.name.clone(),
            incarnation: self.incarnation,
            epoch: self.epoch,
            addr: self.addr,
            bytes_sent: self.bytes_sent(),
            bytes_received: self.bytes_received(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        // Relaxed: only the network thread writes it and relies on it.
        self.up.load(Ordering::Relaxed)
    }

    /// No frame goes in or out any more.
    pub(super) fn end(&self) {
        self.up.store(false, Ordering::Relaxed);
        self.lane.close();
    }

    fn check(&self, kind: Kind, body: usize) -> Result<(), SendError> {
        assert!(!kind.is_control(), "control frames belong to the connection");
        if body > self.frame_limit {
            return Err(SendError::TooLarge { limit: self.frame_limit });
        }
        Ok(())
    }

    fn counted(&self, sent: Result<(), SendError>) -> Result<(), SendError> {
        if sent == Err(SendError::Full) {
            count(&self.tally.full);
        }
        sent
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("name", &self.name)
            .field("incarnation", &self.incarnation)
            .field("epoch", &self.epoch)
            .field("addr", &self.addr)
            .field("up", &self.is_up())
            .finish_non_exhaustive()
    }
}
