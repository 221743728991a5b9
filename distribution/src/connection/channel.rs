//! Named channels: ordered lanes between two nodes, beside each other.
//!
//! Each channel is one QUIC stream per direction, so frames of one channel arrive in order and a lost packet of
//! one holds up no other. Two channels exist always: `control`, which belongs to this crate alone, and `signals`,
//! which carries everything between processes unless they ask for another. What waits in a channel towards one peer is
//! in `lane.rs`.

use std::borrow::Cow;

use crate::wire::frame::CHANNEL_NAME_BYTES;

/// How many channels a node may have, `control` and `signals` included. Each costs memory at every peer,
/// because QUIC allocates streams ahead.
pub(crate) const CHANNELS_LIMIT: usize = 16;

/// The settings of one named channel.
///
/// A channel is an ordered lane between two nodes, beside the others. Both nodes must have it: what is sent on a
/// channel that the peer does not have is answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    name: Cow<'static, str>,
    priority: Priority,
}

/// Which channel goes first when several have something to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// After all others.
    Low,
    /// Where `signals` is.
    #[default]
    Normal,
    /// Before others, but after `control`.
    High,
}

/// A channel's place in this node's own table. Peers have their own order; on the wire a channel is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ChannelId(u8);

/// Why a node cannot have these channels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelsError {
    /// More than fit.
    #[error("{0} channels are too many: a node has at most {CHANNELS_LIMIT}, `control` and `signals` included")]
    TooMany(usize),
    /// A name that is taken, possibly by `control` or `signals`.
    #[error("there is another channel called \"{0}\" already")]
    Twice(String),
    /// A name that does not fit into the preface of a stream.
    #[error("\"{0}\" is no name for a channel: it needs 1 to {CHANNEL_NAME_BYTES} bytes")]
    Name(String),
}

/// The channels of one node.
#[derive(Clone, Debug)]
pub(crate) struct Channels(Vec<Channel>);

impl Channel {
    /// A channel of normal priority.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Channel {
        Channel { name: name.into(), priority: Priority::Normal }
    }

    /// Sets which channel goes first when several have something to send.
    ///
    /// Priority orders only what is not yet packed; it does not make a channel fast that stands behind
    /// another in the network.
    pub fn priority(self, priority: Priority) -> Channel {
        Channel { priority, ..self }
    }

    /// The name by which both ends know the channel.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The stream priority for the transport.
    pub(crate) fn stream_priority(&self) -> i32 {
        match self.priority {
            Priority::Low => -1,
            Priority::Normal => 0,
            Priority::High => 1,
        }
    }
}

impl ChannelId {
    pub(crate) const CONTROL: ChannelId = ChannelId(0);
    /// The channel that carries everything between processes unless they ask for another.
    pub(crate) const SIGNALS: ChannelId = ChannelId(1);

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Channels {
    /// The two that exist always, then `further` in their order.
    pub(crate) fn with(further: Vec<Channel>) -> Result<Channels, ChannelsError> {
        let mut all = vec![Channel::new("control"), Channel::new("signals")];
        for channel in further {
            if !(1..=CHANNEL_NAME_BYTES).contains(&channel.name.len()) {
                return Err(ChannelsError::Name(channel.name.into_owned()));
            }
            if all.iter().any(|other| other.name == channel.name) {
                return Err(ChannelsError::Twice(channel.name.into_owned()));
            }
            all.push(channel);
        }
        if all.len() > CHANNELS_LIMIT {
            return Err(ChannelsError::TooMany(all.len()));
        }
        Ok(Channels(all))
    }

    pub(crate) fn id(&self, name: &str) -> Option<ChannelId> {
        let place = self.0.iter().position(|channel| channel.name == name)?;
        Some(ChannelId(place as u8))
    }

    pub(crate) fn channel(&self, id: ChannelId) -> &Channel {
        &self.0[id.index()]
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All but `control`.
    pub(crate) fn of_processes(&self) -> impl Iterator<Item = ChannelId> + use<> {
        (1..self.0.len() as u8).map(ChannelId)
    }
}

/// Why a frame was not sent. Nothing was queued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    /// The association is over, and with it this peer object.
    #[error("there is no connection to this peer any more")]
    NoConnection,
    /// Sending again later may succeed; `Event::Room` says when.
    #[error("too much waits in this channel: send again when there is room")]
    Full,
    /// Sending again cannot succeed.
    #[error("the peer takes frames of at most {limit} bytes: send it in parts")]
    TooLarge { limit: usize },
    /// Sending again cannot succeed in this association.
    #[error("the peer has no channel of this name: add it there, or send on `signals`")]
    UnknownChannel,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_channels_are_checked() {
        let with = |names: &[&'static str]| Channels::with(names.iter().copied().map(Channel::new).collect());
        let channels = with(&["bulk", "events"]).unwrap();
        assert_eq!(channels.id("signals"), Some(ChannelId::SIGNALS));
        assert_eq!(channels.id("control"), Some(ChannelId::CONTROL));
        assert_eq!(channels.id("events"), Some(ChannelId(3)));
        assert_eq!(channels.id("gauges"), None);
        assert!(matches!(with(&["signals"]), Err(ChannelsError::Twice(_))));
        assert!(matches!(with(&[""]), Err(ChannelsError::Name(_))));
        let many: Vec<Channel> = (0..15).map(|n| Channel::new(format!("c{n}"))).collect();
        assert_eq!(Channels::with(many).unwrap_err(), ChannelsError::TooMany(17));
    }
}
