//! What all of the work has in common.

use ractor::concurrency::{OneshotReceiver, oneshot};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

/// What a handler gives.
pub(crate) type Handled = Result<(), ActorProcessingErr>;

/// Spawns an actor without a name. When this returns it has run its `pre_start`.
pub(crate) async fn spawn<A: Actor>(actor: A, arguments: A::Arguments) -> ActorRef<A::Msg> {
    let (actor, _handle) = A::spawn(None, actor, arguments).await.expect("it starts");
    actor
}

/// A port for a reply that is not awaited at once, and where it arrives: `call` sends nothing before it is awaited.
pub(crate) fn reply_port<T>() -> (RpcReplyPort<T>, OneshotReceiver<T>) {
    let (port, reply) = oneshot();
    (port.into(), reply)
}
