//! Why a connection is closed, as both ends see it: a code for programs, a text for people.

use std::fmt;

/// The code of a close. It travels as QUIC's application error code, so the numbers are for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CloseCode {
    /// The association has ended in good order.
    Goodbye,
    /// The pair has another connection, and the association lives on that one.
    Duplicate,
    /// The connection belongs to something that is over. A new one may succeed at once.
    Stale,
    /// The two nodes cannot meet until somebody changes something.
    Refused,
    /// What came first was no hello.
    BadHello,
    /// No agreed hello in time.
    HelloTimeout,
    /// A frame that breaks the protocol.
    BadFrame,
    /// A frame over the receiver's limit.
    FrameTooLarge,
    /// A stream ended inside a frame, or was reset or stopped.
    Truncated,
    /// More streams than there are channels for.
    Streams,
    /// Nothing was heard, or the peer heard nothing, for too long.
    Silent,
    /// A newer connection or incarnation has taken the place.
    Replaced,
    /// No room for another peer. Later there may be.
    Busy,
    /// The node is going down.
    ShuttingDown,
    /// More system signals waited than may wait, and none of them may be lost in silence.
    Overrun,
    /// The peer is silent and its port is closed.
    Gone,
    /// A code of a later version.
    Unknown,
}

const NUMBERED: [CloseCode; 16] = [
    CloseCode::Goodbye,
    CloseCode::Duplicate,
    CloseCode::Stale,
    CloseCode::Refused,
    CloseCode::BadHello,
    CloseCode::HelloTimeout,
    CloseCode::BadFrame,
    CloseCode::FrameTooLarge,
    CloseCode::Truncated,
    CloseCode::Streams,
    CloseCode::Silent,
    CloseCode::Replaced,
    CloseCode::Busy,
    CloseCode::ShuttingDown,
    CloseCode::Overrun,
    CloseCode::Gone,
];

impl CloseCode {
    pub(crate) fn number(self) -> u32 {
        let place = NUMBERED.iter().position(|code| *code == self);
        place.unwrap_or(NUMBERED.len()) as u32
    }

    pub(crate) fn from_number(number: u64) -> CloseCode {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        NUMBERED.get(place).copied().unwrap_or(CloseCode::Unknown)
    }
}

/// Why this end closes a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: CloseCode,
    pub(crate) text: String,
}

impl Close {
    pub(crate) fn new(code: CloseCode, text: impl fmt::Display) -> Close {
        Close { code, text: text.to_string() }
    }
}

/// How a connection came to its end, seen from this side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The peer closed it.
    ByPeer(Close),
    /// One of the two did not take the other's certificate. Dialling again cannot help.
    Distrusted(String),
    /// The network or the peer failed.
    Lost(String),
}

impl Ended {
    /// Whether dialling again cannot help.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Ended::Distrusted(_) => true,
            Ended::ByPeer(close) => close.code == CloseCode::Refused,
            Ended::Lost(_) => false,
        }
    }

    pub(crate) fn into_text(self) -> String {
        match self {
            Ended::ByPeer(close) => close.text,
            Ended::Distrusted(text) | Ended::Lost(text) => text,
        }
    }
}

/// Why an association ended. Messages on their way at that moment may or may not have been handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DownCause {
    /// The peer said goodbye.
    Goodbye,
    /// One end heard nothing from the other for too long.
    Silent,
    /// The connection failed or was closed; the text says why.
    Closed(String),
    /// The peer is back with a newer connection, possibly as a newer incarnation.
    Replaced { incarnation: u64 },
    /// This node ended it.
    ShutDown,
}

impl fmt::Display for DownCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DownCause::Goodbye => f.write_str("the peer said goodbye"),
            DownCause::Silent => f.write_str("the peer has been silent for too long"),
            DownCause::Closed(text) => write!(f, "the connection ended: {text}"),
            DownCause::Replaced { incarnation } => {
                write!(f, "the peer has come back as incarnation {incarnation}")
            }
            DownCause::ShutDown => f.write_str("this node has ended the association"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back_from_their_numbers_and_never_move() {
        for code in NUMBERED {
            assert_eq!(CloseCode::from_number(u64::from(code.number())), code);
        }
        assert_eq!(CloseCode::Goodbye.number(), 0);
        assert_eq!(CloseCode::FrameTooLarge.number(), 7);
        assert_eq!(CloseCode::Overrun.number(), 14);
        assert_eq!(CloseCode::from_number(u64::MAX), CloseCode::Unknown);
    }
}
