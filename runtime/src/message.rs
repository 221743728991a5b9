//! Messages that many actors can take, and references to whatever takes them.

use std::fmt;
use std::sync::Arc;

use crate::actor::Actor;
use crate::address::ActorRef;
use crate::call::{Call, CallFailed, ReplyTo};
use crate::pid::Pid;

/// A message of its own, apart from any one actor. `#[derive(Message)]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message of its own",
    note = "write `#[derive(Message)]` on the type, and `#[message(reply = …)]` if it has a reply"
)]
pub trait Message: Send + 'static {
    /// What it is answered with; `()` for a message that needs no answer.
    type Reply: Send + 'static;
}

/// An actor that takes the message `M`: a handler whose only argument is a `Message`, marked `#[message]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no handler for the message `{M}`",
    note = "add `#[message] fn …(&mut self, message: {M})` to its `#[handlers]` block"
)]
pub trait Accepts<M: Message>: Actor {
    /// The actor's own message around `envelope`.
    fn accept(envelope: Envelope<M>) -> Self::Msg;
}

/// A message with the place for its reply, if one is awaited.
#[derive(Debug)]
pub struct Envelope<M: Message> {
    /// The message.
    pub message: M,
    /// Where the reply goes; `None` for a cast.
    pub reply: Option<ReplyTo<M::Reply>>,
}

/// A reference to whatever takes the message `M`.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Message)]
/// #[message(reply = String)]
/// struct Greet(String);
///
/// #[derive(Actor, Default)]
/// struct Polite;
///
/// #[handlers]
/// impl Polite {
///     #[message]
///     fn greet(&mut self, greet: Greet) -> String {
///         format!("Good morning, {}", greet.0)
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let anybody: Recipient<Greet> = spawn(Polite).into();
///     assert_eq!(anybody.call(Greet("Ada".into())).await?, "Good morning, Ada");
///     Ok(())
/// }
/// ```
pub struct Recipient<M: Message>(Arc<dyn Take<M>>);

trait Take<M: Message>: Send + Sync {
    fn pid(&self) -> Pid;
    fn cast(&self, message: M);
    fn call(&self, message: M) -> crate::call::Request<M::Reply>;
}

struct Taker<A: Actor>(ActorRef<A>);

impl<M: Message, A: Accepts<M>> Take<M> for Taker<A> {
    fn pid(&self) -> Pid {
        self.0.pid()
    }

    fn cast(&self, message: M) {
        self.0.address().cast(A::accept(Envelope { message, reply: None }));
    }

    fn call(&self, message: M) -> crate::call::Request<M::Reply> {
        Call::new(self.0.address(), |reply| A::accept(Envelope { message, reply: Some(reply) })).send()
    }
}

impl<M: Message> Recipient<M> {
    /// The name of the process.
    pub fn pid(&self) -> Pid {
        self.0.pid()
    }

    /// Sends `message`, for which no reply is awaited.
    pub fn cast(&self, message: M) {
        self.0.cast(message);
    }

    /// Sends `message` and waits for the reply.
    ///
    /// # Errors
    /// As for every [`Call`].
    pub async fn call(&self, message: M) -> Result<M::Reply, CallFailed> {
        self.0.call(message).await
    }
}

impl<M: Message, A: Accepts<M>> From<ActorRef<A>> for Recipient<M> {
    fn from(reference: ActorRef<A>) -> Self {
        Self(Arc::new(Taker(reference)))
    }
}

impl<M: Message> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Message> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.pid())
    }
}
