//! Every limit of the distribution layer: its unit, its default, and what happens there.

use std::time::Duration;

/// The limits of one node towards its peers.
///
/// Start from the default and change what you must:
///
/// ```
/// use std::time::Duration;
///
/// let mut limits = biotope_distribution::Limits::default();
/// limits.down_after = Duration::from_secs(8);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest body of a frame that this node takes, in bytes; 16 MiB.
    ///
    /// Peers learn it from the hello, and their `send` answers `TooLarge`. A peer that sends a longer frame all
    /// the same loses its connection before a byte of the body is buffered.
    pub frame_bytes: usize,
    /// How many bytes may wait to be sent to one peer; 8 MiB.
    ///
    /// At the limit `send` answers `Full` and queues nothing. System signals may go over it by as much again;
    /// past that the association ends, because they must not be lost in silence.
    pub queue_bytes: usize,
    /// How many peers may be up at once; 256. A further one is turned away as busy, and tries again.
    pub peers: usize,
    /// How many accepted connections may be without an agreed hello at once; 64. A further one is refused.
    pub greeting_connections: usize,
    /// How many streams of a peer that name an unknown channel are turned away, one by one, before its connection
    /// is closed; 16.
    pub unknown_streams: usize,
    /// Of how many absent peers the last epoch is remembered; 4,096. The first by name are forgotten first, and
    /// then the peer's own memory of the epoch counts.
    pub remembered_peers: usize,
    /// How many addresses a node may be joining at once; 1,024. A further join is refused.
    pub targets: usize,
    /// How long a new connection may take until both hellos are agreed; 5 s. Then it is closed.
    pub greeting: Duration,
    /// How long one attempt to reach an address may take; 3 s. Then the next one is due after the redial time.
    pub dial: Duration,
    /// The time between heartbeats, which go both ways; 1 s.
    pub heartbeat: Duration,
    /// After how long a silence of the peer the association ends; 5 s. At least three heartbeats.
    pub down_after: Duration,
    /// The pause before a target is dialled again: at first; 100 ms. It doubles at each failure.
    pub redial_first: Duration,
    /// The pause before a target is dialled again: at most; 5 s.
    pub redial_most: Duration,
    /// How long a goodbye may take, with all that was queued before it; 5 s. Then the connection is closed anyway.
    pub goodbye: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            frame_bytes: 16 << 20,
            queue_bytes: 8 << 20,
            peers: 256,
            greeting_connections: 64,
            unknown_streams: 16,
            remembered_peers: 4096,
            targets: 1024,
            greeting: Duration::from_secs(5),
            dial: Duration::from_secs(3),
            heartbeat: Duration::from_secs(1),
            down_after: Duration::from_secs(5),
            redial_first: Duration::from_millis(100),
            redial_most: Duration::from_secs(5),
            goodbye: Duration::from_secs(5),
        }
    }
}

/// Why limits cannot be obeyed together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// A slow heartbeat would be taken for silence.
    #[error(
        "`down_after` is {down_after:?}, less than three heartbeats of {heartbeat:?}: a live peer would be taken for silent"
    )]
    SilenceTooShort {
        /// The value of `Limits::down_after`.
        down_after: Duration,
        /// The value of `Limits::heartbeat`.
        heartbeat: Duration,
    },
    /// The header of a frame cannot say a longer length.
    #[error("`frame_bytes` is {0}, and a frame holds 1 byte to 1 GiB")]
    FrameBytes(usize),
    /// A limit of zero lets nothing through.
    #[error("`{0}` is zero, which lets nothing through")]
    Zero(&'static str),
}

impl Limits {
    pub(crate) fn check(&self) -> Result<(), LimitsError> {
        let counts = [
            ("queue_bytes", self.queue_bytes),
            ("peers", self.peers),
            ("greeting_connections", self.greeting_connections),
            ("targets", self.targets),
        ];
        let times = [
            ("greeting", self.greeting),
            ("dial", self.dial),
            ("heartbeat", self.heartbeat),
            ("redial_first", self.redial_first),
            ("redial_most", self.redial_most),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(LimitsError::Zero(name));
        }
        if let Some((name, _)) = times.iter().find(|(_, time)| time.is_zero()) {
            return Err(LimitsError::Zero(name));
        }
        if !(1..=1 << 30).contains(&self.frame_bytes) {
            return Err(LimitsError::FrameBytes(self.frame_bytes));
        }
        if self.down_after < self.heartbeat * 3 {
            return Err(LimitsError::SilenceTooShort { down_after: self.down_after, heartbeat: self.heartbeat });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_suit_each_other() {
        assert_eq!(Limits::default().check(), Ok(()));
    }

    #[test]
    fn a_silence_shorter_than_three_heartbeats_is_refused() {
        let limits = Limits { down_after: Duration::from_millis(2_999), ..Limits::default() };
        assert!(matches!(limits.check(), Err(LimitsError::SilenceTooShort { .. })));
    }

    #[test]
    fn a_limit_of_zero_is_refused_by_name() {
        let limits = Limits { peers: 0, ..Limits::default() };
        assert_eq!(limits.check(), Err(LimitsError::Zero("peers")));
    }
}
