//! What has happened at one node's door, counted where it happens.

use std::sync::atomic::{AtomicU64, Ordering};

use super::close::CloseCode;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A snapshot of the counters of one transport. They only grow.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The counters, while they count.
        #[derive(Debug, Default)]
        pub(crate) struct Tally {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Tally {
            pub(super) fn snapshot(&self) -> Counters {
                Counters {
                    // Relaxed: each counter stands alone and orders nothing.
                    $($name: self.$name.load(Ordering::Relaxed),)*
                }
            }
        }
    };
}

counters! {
    /// Associations that came up.
    ups,
    /// Associations that ended.
    downs,
    /// Attempts to reach a target.
    dials,
    /// Attempts that did not get as far as a connection.
    dials_failed,
    /// Connections of somebody whose certificate this node does not take, or who has none.
    strangers,
    /// Accepted connections whose TLS handshake was not completed for another cause, such as time.
    handshakes_failed,
    /// Connections closed because the two nodes cannot meet: another cluster, version or name.
    refused,
    /// Connections closed because the pair had one already.
    duplicates,
    /// Connections whose hello was overtaken by a newer association.
    stale,
    /// Connections whose first bytes were no hello.
    bad_hellos,
    /// Connections without an agreed hello in time.
    hellos_missing,
    /// Connections closed for a frame or a stream that breaks the protocol.
    bad_frames,
    /// Connections closed for a frame over the limit.
    frames_too_large,
    /// Connections closed because a stream ended inside a frame, or was reset or stopped.
    truncated_streams,
    /// Connections closed for more streams than there are channels.
    surplus_streams,
    /// Streams turned away because they name a channel that this node does not have.
    unknown_channels,
    /// Frames dropped for a kind that does not belong where it came.
    unknown_kinds,
    /// Frames dropped because they carry another epoch than their association.
    foreign_epochs,
    /// Associations ended by silence, noticed at this end.
    silences,
    /// Associations ended because the peer was silent and its port closed.
    gone,
    /// Associations replaced by a newer one of the same peer.
    replaced,
    /// Connections turned away because there was no room.
    busy,
    /// Sends that were answered with `Full`.
    full,
    /// Associations ended because too many system signals waited.
    overruns,
    /// Panics of the upper half while it was told of an event.
    panics,
}

pub(super) fn count(counter: &AtomicU64) {
    // Relaxed: each counter stands alone and orders nothing.
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    /// Counts a close by this node.
    pub(super) fn count_close(&self, code: CloseCode) {
        match code {
            CloseCode::Duplicate => count(&self.duplicates),
            CloseCode::Stale => count(&self.stale),
            CloseCode::Refused => count(&self.refused),
            CloseCode::BadHello => count(&self.bad_hellos),
            CloseCode::HelloTimeout => count(&self.hellos_missing),
            CloseCode::BadFrame => count(&self.bad_frames),
            CloseCode::FrameTooLarge => count(&self.frames_too_large),
            CloseCode::Truncated => count(&self.truncated_streams),
            CloseCode::Streams => count(&self.surplus_streams),
            CloseCode::Silent => count(&self.silences),
            CloseCode::Replaced => count(&self.replaced),
            CloseCode::Busy => count(&self.busy),
            CloseCode::Gone => count(&self.gone),
            CloseCode::Overrun => count(&self.overruns),
            CloseCode::Goodbye | CloseCode::ShuttingDown | CloseCode::Unknown => {}
        }
    }
}
