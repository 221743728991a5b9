//! What all of the work has in common.

use kameo::prelude::{Actor, ActorRef, Message, Spawn, mailbox};

/// Spawns an actor whose mailbox has no limit. It ends when the last reference to it is dropped.
pub(crate) fn spawn<A: Actor<Args = A>>(actor: A) -> ActorRef<A> {
    spawn_with(actor)
}

/// Likewise, one that makes itself from arguments.
pub(crate) fn spawn_with<A: Actor>(arguments: A::Args) -> ActorRef<A> {
    A::spawn_with_mailbox(arguments, mailbox::unbounded())
}

/// Tells an actor whose mailbox has no limit.
pub(crate) fn tell<A: Message<M>, M: Send + 'static>(actor: &ActorRef<A>, message: M) {
    actor.tell(message).try_send().expect("whoever is told lives");
}
