//! Why a call has no reply, and what that says of its message.

use serde::{Deserialize, Serialize};

use super::cycle::CallCycle;
use crate::exit::ExitReason;

/// What became of the message of an operation that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// No handler has run with it, and none will.
    NotHandled,
    /// A handler may have run with it, or may still. To do it again may be to do it twice.
    MaybeHandled,
    /// A handler has run with it.
    Handled,
}

/// Why a call has no reply.
///
/// What is known of the message then, and whether the same call may succeed if it is made again:
///
/// | failed | [`fate`](Self::fate) of the message | [`can_retry`](Self::can_retry) | [`reason`](Self::reason) |
/// |---|---|---|---|
/// | `NoProc` | not handled | no: a pid is never used again | |
/// | `NoConnection` | maybe handled | yes, when the node is connected | |
/// | `Full` | not handled | yes, when there is room | |
/// | `Timeout` | maybe handled, or later | yes | |
/// | `Died` | maybe handled | no: it is the end of this process | why it ended |
/// | `NoReply` | maybe handled | yes: the process lives | |
/// | `SelfCall` | not handled | no | |
/// | `Cycle` | maybe handled, or later | yes, when the others have given up | |
/// | `UnknownMethod` | not handled | no: the nodes run different versions | |
/// | `Malformed` | maybe handled: it may be the reply that is | no | |
///
/// A retry by way of a [`Named`](crate::Named) may reach another process, for which `NoProc` and `Died` say nothing.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
/// use biotope::Fate;
///
/// #[derive(Actor, Default)]
/// struct Till(u64);
///
/// #[handlers]
/// impl Till {
///     pub fn sell(&mut self, price: u64) -> u64 {
///         self.0 += price;
///         self.0
///     }
/// }
///
/// /// Sells, unless it might have been sold already.
/// async fn sell(till: &ActorRef<Till>, price: u64) -> Result<u64, CallFailed> {
///     loop {
///         match till.sell(price).await {
///             Err(failed) if failed.can_retry() && failed.fate() == Fate::NotHandled => {
///                 time::sleep(millis(10)).await;
///             }
///             outcome => return outcome,
///         }
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let till = spawn(Till::default());
///     assert_eq!(sell(&till, 3).await?, 3);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CallFailed {
    /// There is no such process.
    #[error("noproc: there is no such process")]
    NoProc,
    /// The connection to the process's node is lost or was never there.
    #[error("noconnection: the node of the process is not connected; the message may have been handled")]
    NoConnection,
    /// The mailbox or the way to it is full, and was so until the deadline if the mailbox lets calls wait for room. Or the
    /// message was taken, and made room for a newer one, before it was handled.
    #[error("the mailbox is full: the message was not delivered")]
    Full,
    /// No reply came before the deadline.
    #[error("timeout: no reply before the deadline; the message may still be handled")]
    Timeout,
    /// The process ended before it replied.
    #[error("the process ended before it replied: {0}")]
    Died(ExitReason),
    /// Whoever had the [`ReplyTo`](crate::ReplyTo) dropped it, as a rule the handler.
    #[error("the handler dropped the reply")]
    NoReply,
    /// The process called itself and would wait for ever.
    #[error("a process called itself: it would wait for ever for its own reply")]
    SelfCall,
    /// Processes wait for each other's replies, each for the next one's, and would for ever. Each of their calls fails with this
    /// in debug builds, in seeded runs, and where
    /// [`RuntimeBuilder::find_call_cycles`](crate::RuntimeBuilder::find_call_cycles) asks for it; elsewhere they time out.
    #[error("a cycle of calls, each of which waits for the next: {0}")]
    Cycle(CallCycle),
    /// The other node's actor has no such method. The nodes run different versions.
    #[error("the actor on the other node has no such method")]
    UnknownMethod,
    /// Arguments or reply could not be encoded or decoded.
    #[error("malformed: {0}")]
    Malformed(String),
}

impl CallFailed {
    /// What became of the message.
    pub fn fate(&self) -> Fate {
        match self {
            Self::NoProc | Self::Full | Self::SelfCall | Self::UnknownMethod => Fate::NotHandled,
            Self::NoConnection
            | Self::Timeout
            | Self::Died(_)
            | Self::NoReply
            | Self::Cycle(_)
            | Self::Malformed(_) => Fate::MaybeHandled,
        }
    }

    /// Whether the same call of the same process may succeed if it is made again.
    pub fn can_retry(&self) -> bool {
        match self {
            Self::NoConnection | Self::Full | Self::Timeout | Self::NoReply | Self::Cycle(_) => true,
            Self::NoProc | Self::Died(_) | Self::SelfCall | Self::UnknownMethod | Self::Malformed(_) => false,
        }
    }

    /// Why the process ended, if that is what happened.
    pub fn reason(&self) -> Option<&ExitReason> {
        match self {
            Self::Died(reason) => Some(reason),
            _ => None,
        }
    }

    /// The failure as the reason of a process that gives up over it.
    pub fn into_reason(self) -> ExitReason {
        match self {
            Self::NoProc => ExitReason::NoProc,
            Self::NoConnection => ExitReason::NoConnection,
            Self::Timeout => ExitReason::Timeout,
            Self::Died(reason) => reason,
            other => ExitReason::error(other),
        }
    }
}

/// What a call to a handler that returns a `Result` fails with.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError<E> {
    /// The call itself failed.
    #[error(transparent)]
    Failed(#[from] CallFailed),
    /// The handler replied with an error.
    #[error("{0}")]
    Reply(E),
}

impl<E> CallError<E> {
    /// One error type for both, if the handler's own can hold a failed call.
    pub fn flat(self) -> E
    where
        E: From<CallFailed>,
    {
        match self {
            Self::Failed(failed) => failed.into(),
            Self::Reply(error) => error,
        }
    }

    /// What became of the message. What was replied to was handled.
    pub fn fate(&self) -> Fate {
        match self {
            Self::Failed(failed) => failed.fate(),
            Self::Reply(_) => Fate::Handled,
        }
    }

    /// Whether the same call may succeed if it is made again, as far as the call goes. What the handler replied is its answer:
    /// whether another would differ is for `E` to say.
    pub fn can_retry(&self) -> bool {
        matches!(self, Self::Failed(failed) if failed.can_retry())
    }

    /// Why the process ended, if that is what happened.
    pub fn reason(&self) -> Option<&ExitReason> {
        match self {
            Self::Failed(failed) => failed.reason(),
            Self::Reply(_) => None,
        }
    }
}
