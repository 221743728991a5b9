//! Calls: a message with a place for its reply, and what can go wrong between the two.
//!
//! A [`Call`] is a future that sends nothing until it is polled. It waits in a slot of its own, never
//! in the caller's mailbox, so a late reply is dropped and cannot be taken for another's. A [`ReplyTo`]
//! that is dropped without an answer says so to the caller: a process that ends while callers wait
//! tells each of them its exit reason at once.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::address::{Address, SendError};
use crate::ambient;
use crate::config::DEFAULT_CALL_TIMEOUT;
use crate::exit::ExitReason;
use crate::gateway::{FarReply, Wire};
use crate::inspect::DeadLetter;
use crate::timer::TimerKey;

/// Why a call has no reply.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CallFailed {
    /// There is no such process. The message was not delivered; calling again cannot help.
    #[error("noproc: there is no such process")]
    NoProc,
    /// The connection to the process's node is lost or was never there. The message may have been handled.
    #[error("noconnection: the node of the process is not connected; the message may have been handled")]
    NoConnection,
    /// The mailbox or the way to it is full. The message was not delivered; trying later may help.
    #[error("the mailbox is full: the message was not delivered")]
    Full,
    /// No reply came before the deadline. The message may still be handled.
    #[error("timeout: no reply before the deadline; the message may still be handled")]
    Timeout,
    /// The process ended before it replied. The message may have been handled.
    #[error("the process ended before it replied: {0}")]
    Died(ExitReason),
    /// The handler ended without replying: it dropped its `ReplyTo`.
    #[error("the handler dropped the reply")]
    NoReply,
    /// The process called itself and would wait for ever. Nothing was sent.
    #[error("a process called itself: it would wait for ever for its own reply")]
    SelfCall,
    /// The other node's actor has no such method. The nodes run different versions.
    #[error("the actor on the other node has no such method")]
    UnknownMethod,
    /// Arguments or reply could not be encoded or decoded.
    #[error("malformed: {0}")]
    Malformed(String),
}

impl CallFailed {
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
}

/// A call that has not been sent: `cart.add(item).await` sends it and waits for the reply.
///
/// `T` and `E` are what awaiting it gives; `R` is what the handler returns.
///
/// # Delivery
/// At most once. It is sent when the future is first polled, or by [`send`](Self::send).
///
/// # Errors
/// [`CallFailed`]; for handlers that return a `Result`, [`CallError`].
///
/// # Cancel safety
/// Dropping it before it was polled sends nothing. Dropping it later gives up the reply, not the
/// request; a late reply is discarded.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor, Default)]
/// struct Adder(u64);
///
/// #[handlers]
/// impl Adder {
///     pub fn add(&mut self, n: u64) -> u64 {
///         self.0 += n;
///         self.0
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let adder = spawn(Adder::default());
///     assert_eq!(adder.add(2).await?, 2);
///     assert_eq!(adder.add(3).timeout(secs(1)).await?, 5);
///     Ok(())
/// }
/// ```
#[must_use = "a call is not sent until it is awaited or `.send()` is called"]
pub struct Call<'a, M, R, T = R, E = CallFailed> {
    address: &'a Address<M>,
    message: Option<M>,
    deadline: Option<Deadline>,
    waiting: Waiting<R, T, E>,
}

/// A call that has been sent and whose reply is awaited.
#[must_use = "dropping a request gives up its reply"]
pub struct Request<R, T = R, E = CallFailed> {
    waiting: Waiting<R, T, E>,
}

#[derive(Clone, Copy)]
enum Deadline {
    In(Duration),
    At(Instant),
}

impl<'a, M, R> Call<'a, M, R>
where
    M: Send + 'static,
    R: Send + 'static,
{
    /// A call of the process at `address`, with the message that `message` makes around the reply's place.
    pub fn new(address: &'a Address<M>, message: impl FnOnce(ReplyTo<R>) -> M) -> Self {
        Self::with(address, message, |outcome| outcome)
    }
}

impl<'a, M, T, E> Call<'a, M, Result<T, E>, T, CallError<E>>
where
    M: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    /// Like [`new`](Call::new), for a handler that returns a `Result`.
    pub fn fallible(address: &'a Address<M>, message: impl FnOnce(ReplyTo<Result<T, E>>) -> M) -> Self {
        Self::with(address, message, |outcome| match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(CallError::Reply(error)),
            Err(failed) => Err(CallError::Failed(failed)),
        })
    }
}

impl<'a, M, R, T, E> Call<'a, M, R, T, E>
where
    M: Send + 'static,
    R: Send + 'static,
{
    fn with(
        address: &'a Address<M>,
        message: impl FnOnce(ReplyTo<R>) -> M,
        outcome: fn(Result<R, CallFailed>) -> Result<T, E>,
    ) -> Self {
        let slot = Arc::new(Slot { state: Mutex::new(SlotState::Empty) });
        let message = message(ReplyTo(Some(Sink::Local(slot.clone()))));
        Self { address, message: Some(message), deadline: None, waiting: Waiting { slot, outcome, timer: None } }
    }

    /// Waits for at most `timeout` from when it is sent; without this, for 5 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Some(Deadline::In(timeout));
        self
    }

    /// Waits until `deadline` at most.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(Deadline::At(deadline));
        self
    }

    /// Sends it now; the reply is awaited through what this returns.
    pub fn send(mut self) -> Request<R, T, E> {
        self.start();
        Request { waiting: self.waiting }
    }

    /// The message itself, for something that delivers it by another way than the address.
    pub fn into_parts(self) -> (M, Request<R, T, E>) {
        let message = self.message.expect("a call that was polled is not taken apart");
        (message, Request { waiting: self.waiting })
    }

    fn start(&mut self) {
        let Some(message) = self.message.take() else { return };
        if ambient::current_pid() == Some(self.address.pid()) {
            self.waiting.slot.complete(Err(CallFailed::SelfCall));
            return;
        }
        let node = self.address.node();
        let deadline = match self.deadline.unwrap_or(Deadline::In(DEFAULT_CALL_TIMEOUT)) {
            Deadline::In(timeout) => node.runtime().now() + timeout,
            Deadline::At(deadline) => deadline,
        };
        let slot = Arc::downgrade(&self.waiting.slot);
        self.waiting.timer = Some(node.runtime().timers().at(deadline, move || {
            if let Some(slot) = slot.upgrade() {
                slot.complete(Err(CallFailed::Timeout));
            }
        }));
        let (failed, why, message) = match self.address.push(message) {
            Ok(()) => return,
            Err(SendError::NoProc(message)) => (CallFailed::NoProc, DeadLetter::NoProc, message),
            Err(SendError::Full(message)) => (CallFailed::Full, DeadLetter::Full, message),
        };
        node.count_dead_letter(why);
        ambient::abandoning(failed, || drop(message));
    }
}

impl<M, R, T, E> Future for Call<'_, M, R, T, E>
where
    M: Send + 'static,
    R: Send + 'static,
{
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.start();
        self.waiting.poll(cx)
    }
}

// Nothing in a call is pinned: the message is moved out before it is sent.
impl<M, R, T, E> Unpin for Call<'_, M, R, T, E> {}

impl<R, T, E> Future for Request<R, T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        self.waiting.poll(cx)
    }
}

struct Waiting<R, T, E> {
    slot: Arc<Slot<R>>,
    outcome: fn(Result<R, CallFailed>) -> Result<T, E>,
    timer: Option<TimerKey>,
}

impl<R, T, E> Waiting<R, T, E> {
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<T, E>> {
        let mut state = self.slot.state.lock();
        match std::mem::replace(&mut *state, SlotState::Taken) {
            SlotState::Done(outcome) => {
                drop(state);
                self.timer = None;
                Poll::Ready((self.outcome)(outcome))
            }
            SlotState::Taken => panic!("a call was polled after it had given its reply"),
            SlotState::Empty | SlotState::Waiting(_) => {
                *state = SlotState::Waiting(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

struct Slot<R> {
    state: Mutex<SlotState<R>>,
}

enum SlotState<R> {
    Empty,
    Waiting(Waker),
    Done(Result<R, CallFailed>),
    Taken,
}

impl<R> Slot<R> {
    /// Keeps the first outcome; later ones are dropped.
    fn complete(&self, outcome: Result<R, CallFailed>) {
        let mut state = self.state.lock();
        match &*state {
            SlotState::Empty => *state = SlotState::Done(outcome),
            SlotState::Waiting(_) => {
                let waiting = std::mem::replace(&mut *state, SlotState::Done(outcome));
                drop(state);
                if let SlotState::Waiting(waker) = waiting {
                    waker.wake();
                }
            }
            SlotState::Done(_) | SlotState::Taken => {}
        }
    }
}

/// Where the reply to a call goes. A handler that takes it by argument may answer later, or hand it on.
///
/// Dropped without an answer, it tells the caller: [`CallFailed::Died`] if the process that held it is
/// ending, else [`CallFailed::NoReply`].
#[must_use = "the caller waits for this reply"]
pub struct ReplyTo<R>(Option<Sink<R>>);

enum Sink<R> {
    Local(Arc<Slot<R>>),
    Far(Box<dyn FnOnce(Result<R, CallFailed>) + Send>),
}

impl<R> ReplyTo<R> {
    /// Answers the caller. If it no longer waits, the reply is dropped.
    pub fn send(mut self, reply: R) {
        self.complete(Ok(reply));
    }

    /// Tells the caller that there will be no reply.
    pub fn fail(mut self, failed: CallFailed) {
        self.complete(Err(failed));
    }

    /// Whether the caller has given up: nothing that is sent here will be read.
    pub fn is_abandoned(&self) -> bool {
        match &self.0 {
            // The caller holds the other handle of the slot while it waits.
            Some(Sink::Local(slot)) => {
                Arc::strong_count(slot) == 1 || matches!(*slot.state.lock(), SlotState::Done(_) | SlotState::Taken)
            }
            Some(Sink::Far(_)) => false,
            None => true,
        }
    }

    /// A place for a reply that `complete` takes.
    pub fn from_fn(complete: impl FnOnce(Result<R, CallFailed>) + Send + 'static) -> Self {
        Self(Some(Sink::Far(Box::new(complete))))
    }

    /// A place for a reply to a caller on another node.
    pub(crate) fn far(reply: FarReply) -> Self
    where
        R: Wire,
    {
        Self::from_fn(move |outcome| match outcome {
            Ok(value) => reply(Ok(&value)),
            Err(failed) => reply(Err(failed)),
        })
    }

    fn complete(&mut self, outcome: Result<R, CallFailed>) {
        match self.0.take() {
            Some(Sink::Local(slot)) => slot.complete(outcome),
            Some(Sink::Far(complete)) => complete(outcome),
            None => {}
        }
    }
}

impl<R> Drop for ReplyTo<R> {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.complete(Err(ambient::why_abandoned()));
        }
    }
}

impl<R> fmt::Debug for ReplyTo<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo")
    }
}
