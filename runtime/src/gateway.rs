//! The one door to other nodes.
//!
//! The runtime knows neither network nor codec. What wants to leave this node goes through the node's
//! [`Gateway`]; how a typed message becomes bytes is told by [`Remote`], over serde's traits; and what
//! arrives comes back in through [`Node::accept_far`](crate::Node) and its siblings.
//!
//! ```text
//!   Address<M> ──▶ Remote::encode(msg, Outgoing) ──▶ Carrier::{cast, call} ══▶ other node
//!   other node ══▶ Incoming ──▶ Remote::decode ──▶ the local process's mailbox
//!   Node::signal(pid elsewhere, Signal) ──▶ Gateway::signal ══▶ other node
//! ```
//!
//! What arrives is data, never code: a node decodes messages only for the actors that were registered
//! when it was built ([`NodeBuilder::actors`](crate::NodeBuilder::actors)).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::{CallFailed, ReplyTo};
use crate::exit::ExitReason;
use crate::pid::{Pid, stable_hash};
use crate::signal::Signal;
use crate::{Actor, StartError};

/// A value that can travel to another node: serde in both directions, and nothing borrowed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel to another node",
    label = "a remote handler takes or returns this",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it, or remove `remote` from `#[handlers(remote)]`"
)]
pub trait Wire: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Wire for T {}

/// What a handler is called between nodes: a hash of its name and version, never its position.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MethodId(u32);

impl MethodId {
    /// The id of version `version` of the handler `name`.
    pub const fn of(name: &str, version: u16) -> Self {
        let hash = stable_hash(name.as_bytes());
        Self((hash ^ (hash >> 32)) as u32 ^ (version as u32).wrapping_mul(0x9e37_79b9))
    }

    /// The id as it stands in a frame.
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// An id as it was read from a frame.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Refuses, at compile time, two handlers of one actor that would share an id.
    pub const fn assert_distinct(ids: &[Self]) {
        let mut left = 0;
        while left < ids.len() {
            let mut right = left + 1;
            while right < ids.len() {
                assert!(ids[left].0 != ids[right].0, "two remote handlers share a wire id: rename one of them");
                right += 1;
            }
            left += 1;
        }
    }
}

/// An actor whose messages can travel. `#[handlers(remote)]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a remote actor",
    note = "write `#[handlers(remote)]` on its handlers, so that its messages can travel to other nodes"
)]
pub trait Remote: Actor {
    /// Hands `message` to `out`, which encodes it.
    fn encode(message: Self::Msg, out: Outgoing<'_>);

    /// Makes a message of what arrived.
    ///
    /// # Errors
    /// [`DecodeError`] if the method is unknown or its arguments are malformed. Nothing was delivered.
    fn decode(incoming: Incoming<'_, '_>) -> Result<Self::Msg, DecodeError>;
}

/// A message on its way out: consumed by exactly one of [`cast`](Self::cast) and [`call`](Self::call).
pub struct Outgoing<'a> {
    pub(crate) carrier: &'a dyn Carrier,
    pub(crate) to: Pid,
}

impl<'a> Outgoing<'a> {
    /// A message to the process `to`, which `carrier` will take.
    pub fn new(carrier: &'a dyn Carrier, to: Pid) -> Self {
        Self { carrier, to }
    }

    /// Sends a message that has no reply.
    pub fn cast(self, method: MethodId, arguments: &dyn erased_serde::Serialize) {
        self.carrier.cast(self.to, method, arguments);
    }

    /// Sends a message whose reply completes `reply`.
    pub fn call<R: Wire>(self, method: MethodId, arguments: &dyn erased_serde::Serialize, reply: ReplyTo<R>) {
        self.carrier.call(self.to, method, arguments, PendingReply(Box::new(reply)));
    }
}

/// A message that arrived: which method, its arguments still encoded, and where its reply goes.
pub struct Incoming<'a, 'de> {
    method: MethodId,
    arguments: &'a mut (dyn erased_serde::Deserializer<'de> + 'a),
    reply: Option<FarReply>,
}

impl<'a, 'de> Incoming<'a, 'de> {
    /// A message as the network layer read it; `reply` is where the answer to a call goes.
    pub fn new(
        method: MethodId,
        arguments: &'a mut (dyn erased_serde::Deserializer<'de> + 'a),
        reply: Option<FarReply>,
    ) -> Self {
        Self { method, arguments, reply }
    }

    /// Which handler is meant.
    pub fn method(&self) -> MethodId {
        self.method
    }

    /// Decodes the arguments of a cast.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] if they are not a `T`.
    pub fn cast<T: Wire>(self) -> Result<T, DecodeError> {
        erased_serde::deserialize(self.arguments).map_err(DecodeError::malformed)
    }

    /// Decodes the arguments of a call, and the place where its reply goes.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] if they are not a `T`, [`DecodeError::NoReplyPath`] if it came as a cast.
    pub fn call<T: Wire, R: Wire>(self) -> Result<(T, ReplyTo<R>), DecodeError> {
        let reply = self.reply.ok_or(DecodeError::NoReplyPath)?;
        match erased_serde::deserialize(self.arguments) {
            Ok(arguments) => Ok((arguments, ReplyTo::far(reply))),
            Err(error) => {
                let error = DecodeError::malformed(error);
                reply(Err(CallFailed::Malformed(error.to_string())));
                Err(error)
            }
        }
    }

    /// What to return for a method that the actor does not have.
    pub fn unknown(self) -> DecodeError {
        let method = self.method;
        self.refuse(DecodeError::UnknownMethod(method))
    }

    /// Tells the caller, if there is one, that the process is gone.
    pub(crate) fn no_proc(self) {
        if let Some(reply) = self.reply {
            reply(Err(CallFailed::NoProc));
        }
    }

    /// Tells the caller, if there is one, that this will not be delivered, and why.
    pub(crate) fn refuse(self, why: DecodeError) -> DecodeError {
        if let Some(reply) = self.reply {
            reply(Err(match &why {
                DecodeError::UnknownMethod(_) => CallFailed::UnknownMethod,
                other => CallFailed::Malformed(other.to_string()),
            }));
        }
        why
    }
}

/// Takes the outcome of a call that came from another node: the encoded value, or why there is none.
pub type FarReply = Box<dyn FnOnce(Result<&dyn erased_serde::Serialize, CallFailed>) + Send>;

/// A reply that is awaited from another node.
pub struct PendingReply(Box<dyn Pending>);

impl PendingReply {
    /// Completes it with the encoded value, or with why there is none.
    pub fn complete(self, answer: Result<&mut dyn erased_serde::Deserializer<'_>, CallFailed>) {
        self.0.complete(answer);
    }

    /// Whether nobody waits for it any more, so that it can be forgotten.
    pub fn is_abandoned(&self) -> bool {
        self.0.is_abandoned()
    }
}

trait Pending: Send {
    fn complete(self: Box<Self>, answer: Result<&mut dyn erased_serde::Deserializer<'_>, CallFailed>);
    fn is_abandoned(&self) -> bool;
}

impl<R: Wire> Pending for ReplyTo<R> {
    fn complete(self: Box<Self>, answer: Result<&mut dyn erased_serde::Deserializer<'_>, CallFailed>) {
        match answer.map(erased_serde::deserialize) {
            Ok(Ok(value)) => self.send(value),
            Ok(Err(error)) => self.fail(CallFailed::Malformed(error.to_string())),
            Err(failed) => self.fail(failed),
        }
    }

    fn is_abandoned(&self) -> bool {
        ReplyTo::is_abandoned(self)
    }
}

/// Why a message from another node was not delivered. It is counted as a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No handler of the actor has this id: the nodes run different versions of it.
    #[error("the actor has no method {0:?}: the nodes run different versions of it")]
    UnknownMethod(MethodId),
    /// The arguments are not what the handler takes.
    #[error("malformed arguments: {0}")]
    Malformed(String),
    /// A call arrived without a place for its reply.
    #[error("a call arrived as a cast")]
    NoReplyPath,
    /// The process's actor is not registered with its node.
    #[error("the actor of this process is not registered with its node: add it to `NodeBuilder::actors`")]
    NotRegistered,
}

impl DecodeError {
    fn malformed(error: erased_serde::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Takes encoded messages to where their process lives.
///
/// Both methods encode before they return. A message that cannot be taken is a counted dead letter; a
/// call that cannot be taken completes `reply` with the reason.
pub trait Carrier: Send + Sync + 'static {
    /// Takes a cast.
    fn cast(&self, to: Pid, method: MethodId, arguments: &dyn erased_serde::Serialize);
    /// Takes a call.
    fn call(&self, to: Pid, method: MethodId, arguments: &dyn erased_serde::Serialize, reply: PendingReply);
}

/// The node's door to all other nodes; the distribution layer installs it when the node starts.
pub trait Gateway: Carrier {
    /// Takes a signal. One that cannot be taken is answered as the loss of the connection: `Down` or
    /// `Exit` with [`ExitReason::NoConnection`].
    fn signal(&self, to: Pid, signal: Signal);

    /// Starts the registered actor `request.actor` on the node `node`, and answers when it has started.
    fn start(&self, node: &str, request: StartFar) -> FarFuture<Result<Pid, StartError>>;

    /// The process that is registered as `name` on the node `node`.
    fn whereis(&self, node: &str, name: &str) -> FarFuture<Result<Option<Pid>, ExitReason>>;

    /// The names of the nodes that are connected.
    fn nodes(&self) -> Vec<Arc<str>>;

    /// The name of the node that `id` belongs to, if it is connected.
    fn name_of(&self, id: crate::NodeId) -> Option<Arc<str>>;

    /// The gateway itself, for the layer that made it.
    fn as_any(&self) -> &dyn std::any::Any;

    /// This gateway as a carrier of messages.
    fn as_carrier(self: Arc<Self>) -> Arc<dyn Carrier>;

    /// Says goodbye to all nodes and closes.
    fn close(&self) -> FarFuture<()>;
}

/// What [`Gateway`] answers later.
pub type FarFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A request to start an actor on another node.
pub struct StartFar {
    /// The actor's [`NAME`](Actor::NAME).
    pub actor: Arc<str>,
    /// Its `Start::Args`.
    pub arguments: Box<dyn erased_serde::Serialize + Send + Sync>,
    /// A process to link it to from the beginning.
    pub link: Option<Pid>,
}
