//! What a running event manager can be asked, and what it answers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use biotope_runtime::{
    Accepts, Actor, ActorRef, Address, Call, CallError, CallFailed, Client, ExitReason, Me, MonitorRef, Node, Pid,
    Recipient, ReplyTo, RunsOn, SpawnOptions, Spec, Start, StartError, VisitError,
};

use super::roster::Seat;
use crate::config::DEFAULT_CHILD_CALL_TIMEOUT;

/// What an event manager gives its handlers: a message of its own, that needs no answer. Each handler is given a clone; what is
/// large lies in an `Arc`.
pub trait Event: biotope_runtime::Message<Reply = ()> + Clone {}

impl<E: biotope_runtime::Message<Reply = ()> + Clone> Event for E {}

/// The methods of a reference to an [`EventManager`](super::EventManager).
///
/// A manager answers also while a handler starts, stops or is busy. The calls that start or stop a handler are answered when
/// that is done; they wait for 30 seconds if not told otherwise.
#[derive(Clone)]
pub struct EventClient<E: Event>(Address<Message<E>>);

/// A handler of an event manager, as [`EventClient::which_handlers`] lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerInfo {
    /// The process.
    pub pid: Pid,
    /// What it runs.
    pub actor: &'static str,
    /// The process that it goes with, if it was added [so](EventClient::add_sup_handler).
    pub adder: Option<Pid>,
}

impl HandlerInfo {
    pub(super) fn new(pid: Pid, actor: &'static str, adder: Option<Pid>) -> Self {
        Self { pid, actor, adder }
    }
}

/// Why [`EventClient::delete_handler`] gave no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteHandlerError {
    /// It is no handler of this manager, or is none any more. Nothing has changed.
    #[error("the process is no handler of this event manager")]
    NotAHandler,
    /// It was removed, and nothing was taken from it.
    #[error("the handler was removed, and nothing was taken from it: {0}")]
    NotTaken(VisitError),
}

/// Why [`EventClient::swap_handler`] did not put another handler in the place of one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SwapHandlerError {
    /// It is no handler of this manager, or is none any more. Nothing has changed.
    #[error("the process is no handler of this event manager")]
    NotAHandler,
    /// It was removed, and nothing was taken from it, of which the next would have been made.
    #[error("the handler was removed, and nothing was taken from it: {0}")]
    NotTaken(VisitError),
    /// It was removed, and the next did not start; or it was stopped, because the process that it goes with has ended.
    #[error("the handler was removed, and the next did not start: {0}")]
    NotStarted(StartError),
}

/// The call of [`EventClient::add_handler`].
pub type AddHandlerCall<'a, E, A> = FallibleCall<'a, E, ActorRef<A>, StartError>;
/// The call of [`EventClient::delete_handler`].
pub type DeleteHandlerCall<'a, E, R> = FallibleCall<'a, E, R, DeleteHandlerError>;
/// The call of [`EventClient::swap_handler`].
pub type SwapHandlerCall<'a, E, A> = FallibleCall<'a, E, ActorRef<A>, SwapHandlerError>;

type FallibleCall<'a, E, T, F> = Call<'a, Message<E>, Result<T, F>, T, CallError<F>>;

impl<E: Event> EventClient<E> {
    /// Gives `event` to all handlers, and does not wait for them.
    ///
    /// # Delivery
    /// As a cast, to the manager and from there to each handler: a handler whose mailbox is full suspends the manager, or
    /// loses it, as its [limit](biotope_runtime::Overflow) says.
    pub fn notify(&self, event: E) {
        self.0.cast(Message(Ask::Notify(event)));
    }

    /// Gives `event` to all handlers, and waits until each has handled it, or has ended. In a handler of the same manager it
    /// would wait for itself, until its deadline.
    pub fn sync_notify(&self, event: E) -> Call<'_, Message<E>, ()> {
        Call::new(&self.0, |reply| Message(Ask::SyncNotify(event, reply)))
    }

    /// Adds a handler: any actor with a `#[message]` handler for the event, also several of one type. It is started as a
    /// child of the manager, and given what is notified from then on.
    ///
    /// # Errors
    /// [`StartError`]; then there is no handler.
    pub fn add_handler<A, K>(&self, handler: Spec<A, K>) -> AddHandlerCall<'_, E, A>
    where
        A: Start + Accepts<E>,
        K: RunsOn<A> + 'static,
    {
        self.add(handler, None)
    }

    /// As [`add_handler`](Self::add_handler), for the process `me`: the handler goes with it, and it is told by the monitor when
    /// the handler has ended, for whatever reason: a [`Down`](biotope_runtime::Down) says why.
    ///
    /// # Errors
    /// [`StartError`]; then there is no handler.
    pub async fn add_sup_handler<A, K>(
        &self,
        me: &Me,
        handler: Spec<A, K>,
    ) -> Result<(ActorRef<A>, MonitorRef), CallError<StartError>>
    where
        A: Start + Accepts<E>,
        K: RunsOn<A> + 'static,
    {
        let handler = self.add(handler, Some(me.pid())).await?;
        let monitor = me.monitor(&handler);
        Ok((handler, monitor))
    }

    fn add<A, K>(&self, handler: Spec<A, K>, adder: Option<Pid>) -> AddHandlerCall<'_, E, A>
    where
        A: Start + Accepts<E>,
        K: RunsOn<A> + 'static,
    {
        let call = Call::fallible(&self.0, |reply: ReplyTo<Result<ActorRef<A>, StartError>>| {
            let begin = move |node: &Node, options| start(handler.start_on(node, options), reply, |error| error);
            Message(Ask::Add(Box::new(begin), adder))
        });
        call.timeout(DEFAULT_CHILD_CALL_TIMEOUT)
    }

    /// Removes a handler: it handles what was notified before, gives what `take` takes from its state, which is returned, and is
    /// stopped, by way of its `terminate`.
    ///
    /// # Errors
    /// [`DeleteHandlerError`].
    pub fn delete_handler<A, R>(
        &self,
        handler: &ActorRef<A>,
        take: impl FnOnce(&mut A) -> R + Send + 'static,
    ) -> DeleteHandlerCall<'_, E, R>
    where
        A: Accepts<E>,
        R: Send + 'static,
    {
        let (pid, handler) = (handler.pid(), handler.clone());
        let call = Call::fallible(&self.0, |reply: ReplyTo<Result<R, DeleteHandlerError>>| {
            let delete = move |is_handler: bool| -> Work {
                Box::pin(async move {
                    reply.send(match is_handler {
                        true => leave(&handler, take).await.map_err(DeleteHandlerError::NotTaken),
                        false => Err(DeleteHandlerError::NotAHandler),
                    });
                })
            };
            Message(Ask::Delete(pid, Box::new(delete)))
        });
        call.timeout(DEFAULT_CHILD_CALL_TIMEOUT)
    }

    /// Puts another handler in the place of one, which is removed as by [`delete_handler`](Self::delete_handler). The next is
    /// made from what `take` takes from the state of the one before: nothing that is notified meanwhile is missed, and
    /// nothing is handled by both. It goes with the same process, if the one before did.
    ///
    /// # Errors
    /// [`SwapHandlerError`].
    pub fn swap_handler<A, B, K>(
        &self,
        handler: &ActorRef<A>,
        take: impl FnOnce(&mut A) -> Spec<B, K> + Send + 'static,
    ) -> SwapHandlerCall<'_, E, B>
    where
        A: Accepts<E>,
        B: Start + Accepts<E>,
        K: RunsOn<B> + 'static,
    {
        let (pid, handler) = (handler.pid(), handler.clone());
        let call = Call::fallible(&self.0, |reply: ReplyTo<Result<ActorRef<B>, SwapHandlerError>>| {
            let swap = move |on: Option<(Node, SpawnOptions)>| -> Starting<E> {
                Box::pin(async move {
                    let next = match on {
                        Some(on) => {
                            leave(&handler, take).await.map(|spec| (spec, on)).map_err(SwapHandlerError::NotTaken)
                        }
                        None => Err(SwapHandlerError::NotAHandler),
                    };
                    match next {
                        Ok((spec, (node, options))) => {
                            start(spec.start_on(&node, options), reply, SwapHandlerError::NotStarted).await
                        }
                        Err(error) => {
                            reply.send(Err(error));
                            None
                        }
                    }
                })
            };
            Message(Ask::Swap(pid, Box::new(swap)))
        });
        call.timeout(DEFAULT_CHILD_CALL_TIMEOUT)
    }

    /// The handlers, in the order in which they were added.
    pub fn which_handlers(&self) -> Call<'_, Message<E>, Vec<HandlerInfo>> {
        Call::new(&self.0, |reply| Message(Ask::Which(reply)))
    }

    /// Tells the manager something of its own.
    pub(super) fn tell(&self, ask: Ask<E>) {
        self.0.cast(Message(ask));
    }

    /// Calls a handler, behind what this process has notified before: `events.call(&log, |log| log.lines()).await`. A call by
    /// way of the handler's own reference may come before that.
    ///
    /// # Errors
    /// Those of the call; and those of a call of the manager.
    pub async fn call<A, R, T, F>(
        &self,
        handler: &ActorRef<A>,
        call: impl for<'a> FnOnce(&'a A::Client) -> Call<'a, A::Msg, R, T, F>,
    ) -> Result<T, F>
    where
        A: Accepts<E>,
        R: Send + 'static,
        F: From<CallFailed>,
    {
        Call::new(&self.0, |reply| Message(Ask::Flush(reply))).await?;
        call(handler).await
    }
}

/// Lets a handler that is given nothing more handle what it was given, takes something from it, and ends it.
async fn leave<A: Actor, R: Send + 'static>(
    handler: &ActorRef<A>,
    take: impl FnOnce(&mut A) -> R + Send + 'static,
) -> Result<R, VisitError> {
    let taken = handler.with_state(take).await;
    handler.stop_and_wait(ExitReason::Shutdown).await;
    taken
}

/// Waits for the start of a handler. Whoever waits for it is told by the manager, when it has a place, or here, if it has none.
fn start<E, A, F>(
    starting: impl Future<Output = Result<ActorRef<A>, StartError>> + Send + 'static,
    reply: ReplyTo<Result<ActorRef<A>, F>>,
    failed: impl FnOnce(StartError) -> F + Send + 'static,
) -> Starting<E>
where
    E: Event,
    A: Accepts<E>,
    F: Send + 'static,
{
    Box::pin(async move {
        match starting.await {
            Ok(handler) => {
                let reference = handler.clone();
                let tell = Box::new(move |has_place| {
                    let gone = || failed(StartError::Died(ExitReason::Shutdown));
                    reply.send(if has_place { Ok(reference) } else { Err(gone()) });
                });
                Some(Started { handler: handler.into(), actor: A::NAME, tell })
            }
            Err(error) => {
                reply.send(Err(failed(error)));
                None
            }
        }
    })
}

/// The messages of an [`EventManager`](super::EventManager).
#[doc(hidden)]
pub struct Message<E: Event>(pub(super) Ask<E>);

pub(super) enum Ask<E: Event> {
    Notify(E),
    SyncNotify(E, ReplyTo<()>),
    /// The handler goes with this process, if any.
    Add(Begin<E>, Option<Pid>),
    Added(Option<Started<E>>, Option<Pid>),
    /// What is done depends on whether it was a handler.
    Delete(Pid, Delete),
    /// What is done depends on whether it was a handler, whose next one is started so.
    Swap(Pid, Swap<E>),
    Swapped(Seat, Option<Started<E>>),
    Which(ReplyTo<Vec<HandlerInfo>>),
    /// Answered when all that was notified before has been sent to the handlers.
    Flush(ReplyTo<()>),
}

/// Takes leave of a handler, if it was one.
pub(super) type Delete = Box<dyn FnOnce(bool) -> Work + Send>;

/// Takes leave of a handler, if it was one, and starts the next there.
pub(super) type Swap<E> = Box<dyn FnOnce(Option<(Node, SpawnOptions)>) -> Starting<E> + Send>;

/// What is awaited for the manager, so that it can go on.
pub(super) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Begins the start of a handler.
pub(super) type Begin<E> = Box<dyn FnOnce(&Node, SpawnOptions) -> Starting<E> + Send>;

/// The start of a handler. If it comes to nothing, whoever waits for it has been told.
pub(super) type Starting<E> = Pin<Box<dyn Future<Output = Option<Started<E>>> + Send>>;

/// A handler that has started, and has no place yet.
pub(super) struct Started<E: Event> {
    pub(super) handler: Recipient<E>,
    pub(super) actor: &'static str,
    /// Tells whoever waits for it whether it has a place.
    pub(super) tell: Box<dyn FnOnce(bool) + Send>,
}

impl<E: Event> Client for EventClient<E> {
    type Msg = Message<E>;

    fn from_address(address: Address<Message<E>>) -> Self {
        Self(address)
    }

    fn address(&self) -> &Address<Message<E>> {
        &self.0
    }
}

impl<E: Event> fmt::Debug for EventClient<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventClient({})", self.0.pid())
    }
}
