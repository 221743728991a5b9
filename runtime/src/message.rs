//! Messages that many actors can take, and references to whatever takes them.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use crate::actor::Actor;
use crate::address::ActorRef;
use crate::call::{Call, CallFailed, Deadline, ReplyTo, Request};
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
///     let request = anybody.call(Greet("Grace".into())).timeout(secs(1)).send();
///     assert_eq!(request.await?, "Good morning, Grace");
///     Ok(())
/// }
/// ```
pub struct Recipient<M: Message>(Arc<dyn Take<M>>);

/// What takes the message `M`, whatever else it takes.
trait Take<M: Message>: Send + Sync {
    fn pid(&self) -> Pid;
    fn cast(&self, message: M);
    /// Sends it at once.
    fn send(&self, message: M, deadline: Deadline) -> Request<M::Reply>;
    /// Sends it when it is polled, and there is room.
    fn call<'a>(&'a self, message: M, deadline: Deadline) -> Calling<'a, M>;
}

/// A call whose actor is not known.
type Calling<'a, M> = Pin<Box<dyn Future<Output = Result<<M as Message>::Reply, CallFailed>> + Send + 'a>>;

struct Taker<A: Actor>(ActorRef<A>);

impl<A: Actor> Taker<A> {
    fn calling<M: Message>(&self, message: M, deadline: Deadline) -> Call<'_, A::Msg, M::Reply>
    where
        A: Accepts<M>,
    {
        Call::new(self.0.address(), |reply| A::accept(Envelope { message, reply: Some(reply) })).until(deadline)
    }
}

impl<M: Message, A: Accepts<M>> Take<M> for Taker<A> {
    fn pid(&self) -> Pid {
        self.0.pid()
    }

    fn cast(&self, message: M) {
        self.0.address().cast(A::accept(Envelope { message, reply: None }));
    }

    fn send(&self, message: M, deadline: Deadline) -> Request<M::Reply> {
        self.calling(message, deadline).send()
    }

    fn call<'a>(&'a self, message: M, deadline: Deadline) -> Calling<'a, M> {
        Box::pin(self.calling(message, deadline))
    }
}

impl<M: Message> Recipient<M> {
    /// The name of the process.
    pub fn pid(&self) -> Pid {
        self.0.pid()
    }

    /// Sends `message`, for which no reply is awaited.
    ///
    /// # Delivery
    /// At most once. What cannot be delivered becomes a dead letter, counted by reason.
    pub fn cast(&self, message: M) {
        self.0.cast(message);
    }

    /// A call with `message`: as every [`Call`] it is sent when it is awaited, or by [`send`](RecipientCall::send), and
    /// waits for 5 seconds if it does not say otherwise.
    pub fn call(&self, message: M) -> RecipientCall<'_, M> {
        RecipientCall { to: &*self.0, deadline: Deadline::Default, progress: Progress::Unsent(message) }
    }
}

/// A call of a [`Recipient`]; made by [`Recipient::call`]. Awaiting it takes an allocation more than a call of an
/// [`ActorRef`].
///
/// # Delivery
/// At most once. It is sent when the future is first polled, or by [`send`](Self::send).
///
/// # Errors
/// [`CallFailed`].
///
/// # Cancel safety
/// Dropping it before it was polled sends nothing. Dropping it later gives up the reply, not the request; a late reply is
/// discarded.
#[must_use = "a call is not sent until it is awaited or `.send()` is called"]
pub struct RecipientCall<'a, M: Message> {
    to: &'a dyn Take<M>,
    deadline: Deadline,
    progress: Progress<'a, M>,
}

enum Progress<'a, M: Message> {
    Unsent(M),
    Calling(Calling<'a, M>),
    Over,
}

// Nothing in it is pinned but what lies in a box.
impl<M: Message> Unpin for RecipientCall<'_, M> {}

impl<M: Message> RecipientCall<'_, M> {
    /// Waits for at most `timeout` from when it is sent; without this, for 5 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Deadline::In(timeout);
        self
    }

    /// Waits until `deadline` at most.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Deadline::At(deadline);
        self
    }

    /// Sends it now; the reply is awaited through what this returns.
    ///
    /// # Panics
    /// If it was polled.
    #[track_caller]
    pub fn send(self) -> Request<M::Reply> {
        match self.progress {
            Progress::Unsent(message) => self.to.send(message, self.deadline),
            Progress::Calling(_) | Progress::Over => panic!("a call that was polled is not sent again"),
        }
    }
}

impl<M: Message> Future for RecipientCall<'_, M> {
    type Output = Result<M::Reply, CallFailed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut calling = match mem::replace(&mut this.progress, Progress::Over) {
            Progress::Unsent(message) => this.to.call(message, this.deadline),
            Progress::Calling(calling) => calling,
            Progress::Over => panic!("a call was polled after it had given its reply"),
        };
        let polled = calling.as_mut().poll(cx);
        if polled.is_pending() {
            this.progress = Progress::Calling(calling);
        }
        polled
    }
}

impl<M: Message> fmt::Debug for RecipientCall<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecipientCall({})", self.to.pid())
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
