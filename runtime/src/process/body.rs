//! What a process runs: an actor's loop, or straight-line code with selective receive.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures_util::FutureExt;

use super::mailbox::Found;
use super::{Cell, Me};
use crate::actor::Handle;
use crate::address::Address;
use crate::ambient;
use crate::call::CallFailed;
use crate::context::Context;
use crate::exit::ExitReason;
use crate::panics;
use crate::signal::{Info, Request, Slot};
use crate::time::{Sleep, sleep_on};

/// A process in straight-line code: it receives when it wants to, and what it wants to.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// enum Msg {
///     Question(ReplyTo<u32>),
///     Number(u32),
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let process = spawn_process(async |mut me: Process<Msg>| {
///         // The number first, although the question arrives before it.
///         let number = me.receive_map(|msg| match msg {
///             Msg::Number(n) => Ok(n),
///             other => Err(other),
///         });
///         let number = number.timeout(secs(5)).await?;
///         if let Msg::Question(reply) = me.receive().await? {
///             reply.send(number);
///         }
///         Ok(())
///     });
///     let question = Call::new(&process, Msg::Question).send();
///     process.cast(Msg::Number(7));
///     assert_eq!(question.await?, 7);
///     Ok(())
/// }
/// ```
pub struct Process<M> {
    me: Me,
    cell: Arc<Cell<M>>,
}

/// What a process received, in order of arrival.
#[derive(Debug, PartialEq)]
pub enum Received<M> {
    /// A message.
    Message(M),
    /// A `Down`, an `Exit` or a node's coming and going.
    Info(Info),
}

/// Why nothing was received.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// Nothing that fits came in time. What did not fit is still in the mailbox.
    #[error("timeout: nothing that fits was received")]
    Timeout,
    /// The process was asked to stop; passed on with `?`, it ends with the reason.
    #[error("asked to stop: {0}")]
    Stopped(ExitReason),
}

impl<M: Send + 'static> Process<M> {
    pub(crate) fn new(cell: Arc<Cell<M>>) -> Self {
        Self { me: Me { cell: cell.clone() }, cell }
    }

    /// Where this process's messages go.
    pub fn address(&self) -> Address<M> {
        Address::local(self.cell.clone())
    }

    /// Receives the first message; what is not a message stays where it is.
    pub fn receive(&mut self) -> Receive<'_, M, M> {
        self.receive_map(Ok)
    }

    /// Receives the first message that `fits`.
    pub fn receive_match(&mut self, mut fits: impl FnMut(&M) -> bool + Send + 'static) -> Receive<'_, M, M> {
        self.receive_map(move |message| if fits(&message) { Ok(message) } else { Err(message) })
    }

    /// Receives the first message that `wants` turns into something; what it hands back stays where it is.
    pub fn receive_map<T>(&mut self, mut wants: impl FnMut(M) -> Result<T, M> + Send + 'static) -> Receive<'_, M, T> {
        self.receive_slot(move |slot| match slot {
            Slot::Message(message) => wants(message).map_err(Slot::Message),
            other => Err(other),
        })
    }

    /// Receives the first `Down`, `Exit` or node event that `wants` turns into something.
    pub fn receive_info<T>(
        &mut self,
        mut wants: impl FnMut(Info) -> Result<T, Info> + Send + 'static,
    ) -> Receive<'_, M, T> {
        self.receive_slot(move |slot| match slot {
            Slot::Info(info) => wants(info).map_err(Slot::Info),
            other => Err(other),
        })
    }

    /// Receives whatever is first.
    pub fn receive_any(&mut self) -> Receive<'_, M, Received<M>> {
        self.receive_slot(|slot| match slot {
            Slot::Message(message) => Ok(Received::Message(message)),
            Slot::Info(info) => Ok(Received::Info(info)),
            other => Err(other),
        })
    }

    fn receive_slot<T>(
        &mut self,
        wants: impl FnMut(Slot<M>) -> Result<T, Slot<M>> + Send + 'static,
    ) -> Receive<'_, M, T> {
        Receive { process: self, wants: Box::new(wants), timeout: None }
    }

    /// The next thing in the mailbox that `wants` takes, or a request to stop.
    fn poll_slot<T>(
        &mut self,
        cx: &TaskContext<'_>,
        mut wants: impl FnMut(Slot<M>) -> Result<T, Slot<M>>,
    ) -> Poll<Result<T, ExitReason>> {
        let header = &self.cell.header;
        let budget = header.budget.load(Ordering::Relaxed);
        if budget == 0 {
            // The turn is over; the process goes to the back of the run queue.
            header.wants_message.store(true, Ordering::Relaxed);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let found = self.cell.mailbox.lock().take_first(|slot| match slot {
            Slot::Request(Request::Stop(reason)) => Ok(Err(reason)),
            slot => wants(slot).map(Ok),
        });
        match found {
            Found::Some(found) => {
                header.budget.store(budget - 1, Ordering::Relaxed);
                header.reductions.fetch_add(1, Ordering::Relaxed);
                Poll::Ready(found)
            }
            // Whoever pushed the signal gives the process another turn, which receives it.
            Found::Nothing | Found::SignalFirst => {
                header.wants_message.store(true, Ordering::Relaxed);
                Poll::Pending
            }
        }
    }
}

impl<M> Deref for Process<M> {
    type Target = Me;

    fn deref(&self) -> &Me {
        &self.me
    }
}

impl<M> fmt::Debug for Process<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({})", self.me.pid())
    }
}

type Wants<M, T> = Box<dyn FnMut(Slot<M>) -> Result<T, Slot<M>> + Send>;

/// A receive; await it. Made by the `receive` methods of [`Process`].
///
/// # Cancel safety
/// Dropped before it is done, it has taken nothing.
#[must_use = "a receive does nothing until it is awaited"]
pub struct Receive<'a, M, T> {
    process: &'a mut Process<M>,
    wants: Wants<M, T>,
    timeout: Option<(Duration, Option<Sleep>)>,
}

impl<M, T> Receive<'_, M, T> {
    /// Waits for at most `timeout`; zero looks at what is there and does not wait.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some((timeout, None));
        self
    }
}

impl<M: Send + 'static, T> Future for Receive<'_, M, T> {
    type Output = Result<T, ReceiveError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Poll::Ready(found) = this.process.poll_slot(cx, &mut this.wants) {
            return Poll::Ready(found.map_err(ReceiveError::Stopped));
        }
        let Some((timeout, sleep)) = &mut this.timeout else { return Poll::Pending };
        let sleep = sleep.get_or_insert_with(|| {
            let runtime = this.process.me.node().runtime();
            sleep_on(runtime, runtime.now() + *timeout)
        });
        if Pin::new(sleep).poll(cx).is_ready() {
            return Poll::Ready(Err(ReceiveError::Timeout));
        }
        Poll::Pending
    }
}

/// The loop of an actor, from its first message to its end.
pub(crate) async fn run_actor<A: Handle>(mut actor: A, mut cx: Context<A>) -> ExitReason {
    let reason = loop {
        if let Some(reason) = cx.stopping.take() {
            break reason;
        }
        let handled = match cx.next().await {
            Err(reason) => break reason,
            Ok(Received::Message(message)) => caught(actor.handle(message, &mut cx)).await,
            // A parent's end ends a child that traps exits too, by way of `terminate`.
            Ok(Received::Info(Info::Exit(exit))) if Some(exit.from) == cx.parent() => break exit.reason,
            Ok(Received::Info(info)) => caught(actor.info(info, &mut cx)).await,
        };
        if let Err(reason) = handled {
            break reason;
        }
    };
    let reason = match caught(actor.terminate(&reason, &mut cx)).await {
        Ok(()) => reason,
        Err(panicked) => panicked,
    };
    // Whoever still waits for a reply that the state holds learns why there will be none.
    ambient::abandoning(CallFailed::Died(reason.clone()), || drop(actor));
    reason
}

/// Awaits a piece of the user's code. The net is here, inside the loop, so that a panic leaves the
/// actor's state for `terminate`.
pub(super) async fn caught<T>(code: impl Future<Output = T>) -> Result<T, ExitReason> {
    AssertUnwindSafe(code).catch_unwind().await.map_err(panics::reason)
}

impl<A: Handle> Context<A> {
    async fn next(&mut self) -> Result<Received<A::Msg>, ExitReason> {
        std::future::poll_fn(|cx| {
            self.process.poll_slot(cx, |slot| match slot {
                Slot::Message(message) => Ok(Received::Message(message)),
                Slot::Info(info) => Ok(Received::Info(info)),
                other => Err(other),
            })
        })
        .await
    }
}
