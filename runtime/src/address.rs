//! References: where messages for a process go.
//!
//! An [`Address`] is known by the message type, an [`ActorRef`] by the actor. Both are one pointer
//! wide, cheap to clone, and neither keeps the process alive nor ends it. Whether the process lives
//! here or on another node is not visible in the code that uses them.
#![expect(unsafe_code, reason = "one pointer leads to a cell, or to the way to another node")]

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::actor::{Actor, Client};
use crate::ambient;
use crate::call::{self, CallFailed};
use crate::dead_letters::DeadLetter;
use crate::exit::ExitReason;
use crate::gateway::{Carrier, DecodeError, Incoming, Outgoing, Remote};
use crate::mailbox::Notice;
use crate::node::{Ended, Node};
use crate::pid::Pid;
use crate::process::{CellRef, Excess, SendFailed, Spot};
use crate::signal::{Request, Signal};
use crate::visit::{Visit, VisitError};

/// Where messages of type `M` for one process go.
pub struct Address<M> {
    /// A `CellRef<M>`; with the lowest bit set, an `Arc<Far<M>>`.
    tagged: NonNull<()>,
    messages: PhantomData<(CellRef<M>, Arc<Far<M>>)>,
}

const FAR: usize = 1;

/// Where an address leads.
enum Route<'a, M> {
    Local(&'a CellRef<M>),
    Far(&'a Far<M>),
}

/// What is no mailbox of this node.
enum Far<M> {
    /// A process of another node.
    Elsewhere { pid: Pid, node: Node, carrier: Arc<dyn Carrier>, encode: fn(M, Outgoing<'_>) },
    /// What a process of this node goes on with.
    Ahead(CellRef<M>),
}

impl<M> Far<M> {
    fn pid(&self) -> Pid {
        match self {
            Self::Elsewhere { pid, .. } => *pid,
            Self::Ahead(cell) => cell.header().pid(),
        }
    }

    fn node(&self) -> &Node {
        match self {
            Self::Elsewhere { node, .. } => node,
            Self::Ahead(cell) => cell.header().node(),
        }
    }
}

// SAFETY: an address is a reference of one of two kinds, both of which are Send and Sync for messages that
// are Send: messages go through it, none can be reached.
unsafe impl<M: Send> Send for Address<M> {}
// SAFETY: as above.
unsafe impl<M: Send> Sync for Address<M> {}

/// Why a message was not delivered. Every variant hands it back; nothing was queued, and no handler has run.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SendError<M> {
    /// No live process is at this address. Sending again cannot succeed.
    #[error("noproc: there is no such process")]
    NoProc(M),
    /// The mailbox is at its limit. Sending again later may succeed.
    #[error("the mailbox is full")]
    Full(M),
}

impl<M> SendError<M> {
    /// The message.
    pub fn into_message(self) -> M {
        match self {
            Self::NoProc(message) | Self::Full(message) => message,
        }
    }

    /// Whether the same message may be delivered if it is sent again.
    pub fn can_retry(&self) -> bool {
        match self {
            Self::NoProc(_) => false,
            Self::Full(_) => true,
        }
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<M> Address<M> {
    fn far(far: Far<M>) -> Self {
        const { assert!(align_of::<Far<M>>() > FAR, "an address has a bit to spare") };
        let raw = Arc::into_raw(Arc::new(far)).cast_mut().cast::<()>();
        // SAFETY: it is not null, also with the bit.
        Self { tagged: unsafe { NonNull::new_unchecked(raw.map_addr(|address| address | FAR)) }, messages: PhantomData }
    }

    fn is_far(&self) -> bool {
        self.tagged.as_ptr().addr() & FAR != 0
    }

    fn far_raw(&self) -> *const Far<M> {
        self.tagged.as_ptr().map_addr(|address| address & !FAR).cast_const().cast()
    }

    #[inline]
    fn route(&self) -> Route<'_, M> {
        if self.is_far() {
            // SAFETY: the bit says that it comes from `Arc::into_raw`, whose count this address has.
            Route::Far(unsafe { &*self.far_raw() })
        } else {
            // SAFETY: without the bit it is the one pointer of a `CellRef`, whose count this address has, and
            // which is laid out as that pointer.
            Route::Local(unsafe { &*std::ptr::from_ref(&self.tagged).cast::<CellRef<M>>() })
        }
    }
}

impl<M: Send + 'static> Address<M> {
    pub(crate) fn local(cell: CellRef<M>) -> Self {
        Self { tagged: cell.into_raw().cast(), messages: PhantomData }
    }

    /// Where a process puts, in its own code, what it goes on with before it takes anything from its mailbox.
    pub(crate) fn ahead_of(cell: CellRef<M>) -> Self {
        Self::far(Far::Ahead(cell))
    }

    /// The name of the process.
    pub fn pid(&self) -> Pid {
        match self.route() {
            Route::Local(cell) => cell.header().pid(),
            Route::Far(far) => far.pid(),
        }
    }

    /// Sends `message`, for which no reply is awaited.
    ///
    /// # Delivery
    /// At most once. What cannot be delivered becomes a dead letter, counted by reason.
    #[inline]
    pub fn cast(&self, message: M) {
        let message = ManuallyDrop::new(message);
        // SAFETY: the message is there, and is not used here any more.
        unsafe { self.send(&raw const *message, Excess::AsMuchAgain) };
    }

    /// As [`cast`](Self::cast), with the message at `message`, and so much that may be sent to a full mailbox.
    ///
    /// # Safety
    /// There is a message, which is the caller's no more.
    #[inline]
    pub(crate) unsafe fn send(&self, message: *const M, excess: Excess) {
        // SAFETY: the caller's promise.
        if let Err(failed) = unsafe { self.push(message, excess) } {
            let why = match failed {
                SendFailed::Closed => DeadLetter::NoProc,
                SendFailed::Full => DeadLetter::Full,
                SendFailed::Dropped => DeadLetter::Dropped,
            };
            self.node().count_dead_letter_to(why, self.pid());
            // SAFETY: as above; it was not taken.
            lose(failed, unsafe { message.read() });
        }
    }

    /// Sends a message that somebody else counts if it is lost.
    pub(crate) fn deliver(&self, message: M) -> Result<(), SendFailed> {
        let message = ManuallyDrop::new(message);
        // SAFETY: the message is there, and is used again only if it was not taken.
        let pushed = unsafe { self.push(&raw const *message, Excess::AsMuchAgain) };
        if let Err(failed) = pushed {
            lose(failed, ManuallyDrop::into_inner(message));
        }
        pushed
    }

    /// Whether this leads into the mailbox of the process that runs here.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        match self.route() {
            Route::Local(cell) => cell.header().is_running_here(),
            Route::Far(Far::Elsewhere { pid, .. }) => ambient::is_current(*pid),
            // It does not wait for itself: it comes to this when its handler is over.
            Route::Far(Far::Ahead(_)) => false,
        }
    }

    /// Sends `message`, or hands it back.
    ///
    /// # Errors
    /// [`SendError`]. For a process of another node it is never an error: whether the message arrived
    /// is known there only.
    pub fn try_cast(&self, message: M) -> Result<(), SendError<M>> {
        self.try_push(message, Excess::None)
    }

    fn try_push(&self, message: M, excess: Excess) -> Result<(), SendError<M>> {
        let message = ManuallyDrop::new(message);
        // SAFETY: the message is there, and is used again only if it was not taken.
        match unsafe { self.push(&raw const *message, excess) } {
            Ok(()) => Ok(()),
            Err(SendFailed::Full | SendFailed::Dropped) => Err(SendError::Full(ManuallyDrop::into_inner(message))),
            Err(SendFailed::Closed) => Err(SendError::NoProc(ManuallyDrop::into_inner(message))),
        }
    }

    /// Sends `message` when there is room for it. For code outside processes, and for those that would rather wait than
    /// be suspended.
    ///
    /// # Errors
    /// [`SendError`], with the message. [`Full`](SendError::Full) only if the mailbox does not suspend its senders: then it is
    /// said at once, as it is to a process that sends to itself and could make no room while it waits. For a process of
    /// another node it is never an error, and never waits.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has sent nothing.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    /// use biotope::{Bounded, SendError};
    ///
    /// # #[biotope::main]
    /// # async fn main() -> biotope::Result<()> {
    /// let printer = process(async |mut me: Process<String>| loop {
    ///     println!("{}", me.receive().await?);
    /// });
    /// let printer = spawn(options(printer).mailbox(Bounded::to(1)));
    /// for page in ["one", "two", "three"] {
    ///     if let Err(SendError::NoProc(page)) = printer.cast_async(page.to_owned()).await {
    ///         println!("nobody prints {page}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn cast_async(&self, message: M) -> Result<(), SendError<M>> {
        let mut spot = None;
        let excess = poll_fn(|cx| self.room(cx, &mut spot)).await;
        self.try_push(message, excess)
    }

    /// Whether the mailbox has a limit, as far as that is known here.
    #[inline]
    pub(crate) fn is_bounded(&self) -> bool {
        match self.route() {
            Route::Local(cell) => cell.header().is_bounded(),
            Route::Far(_) => false,
        }
    }

    /// Room in the mailbox, for one message. If it is reserved, the message is to be sent at once. Who has to wait for it is
    /// woken when it may look again, as long as it has its `spot`.
    pub(crate) fn room(&self, cx: &TaskContext<'_>, spot: &mut Option<Spot>) -> Poll<Excess> {
        self.cell().map_or(Poll::Ready(Excess::None), |cell| cell.header().room(cx.waker(), spot))
    }

    /// Asks the process to end with `reason` when it comes to this request in its mailbox.
    pub fn stop(&self, reason: ExitReason) {
        match self.route() {
            Route::Local(cell) => {
                // A process that has ended needs no asking.
                let _ = cell.header().push_notice(Notice::Request(Request::Stop(reason)));
            }
            Route::Far(far) => far.node().signal(far.pid(), Signal::Stop { reason }),
        }
    }

    pub(crate) fn node(&self) -> &Node {
        match self.route() {
            Route::Local(cell) => cell.header().node(),
            Route::Far(far) => far.node(),
        }
    }

    /// The cell, if the process lives here.
    pub(crate) fn cell(&self) -> Option<&CellRef<M>> {
        match self.route() {
            Route::Local(cell) => Some(cell),
            Route::Far(_) => None,
        }
    }

    /// Sends the message at `message`.
    ///
    /// # Safety
    /// There is a message. It is not the caller's any more, unless this fails.
    #[inline]
    pub(crate) unsafe fn push(&self, message: *const M, excess: Excess) -> Result<(), SendFailed> {
        match self.route() {
            // SAFETY: the caller's promise.
            Route::Local(cell) => unsafe { cell.push(message, excess) },
            Route::Far(Far::Elsewhere { pid, carrier, encode, .. }) => {
                // SAFETY: as above.
                let message = unsafe { message.read() };
                encode(message, Outgoing::new(&**carrier, *pid));
                Ok(())
            }
            // SAFETY: as above.
            Route::Far(Far::Ahead(cell)) => unsafe { cell.go_on_with(message) },
        }
    }
}

/// Drops a message that was not delivered. A caller that waits for a reply is told.
#[cold]
fn lose<M>(failed: SendFailed, message: M) {
    let failed = match failed {
        SendFailed::Closed => CallFailed::NoProc,
        SendFailed::Full | SendFailed::Dropped => CallFailed::Full,
    };
    ambient::abandoning(failed, || drop(message));
}

impl<M: Send + 'static> Client for Address<M> {
    type Msg = M;

    fn from_address(address: Address<M>) -> Self {
        address
    }

    fn address(&self) -> &Address<M> {
        self
    }
}

impl<M> Clone for Address<M> {
    #[inline]
    fn clone(&self) -> Self {
        match self.route() {
            Route::Local(cell) => Self { tagged: cell.clone().into_raw().cast(), messages: PhantomData },
            Route::Far(_) => {
                // SAFETY: the pointer comes from `Arc::into_raw`, and this address has a count.
                unsafe { Arc::increment_strong_count(self.far_raw()) };
                Self { tagged: self.tagged, messages: PhantomData }
            }
        }
    }
}

impl<M> Drop for Address<M> {
    #[inline]
    fn drop(&mut self) {
        if self.is_far() {
            // SAFETY: the count that this address has is given up.
            drop(unsafe { Arc::from_raw(self.far_raw()) });
        } else {
            // SAFETY: as above.
            drop(unsafe { CellRef::<M>::from_raw(self.tagged.cast()) });
        }
    }
}

impl<M: Send + 'static> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.pid())
    }
}

impl<M: Send + 'static> From<&Address<M>> for Pid {
    fn from(address: &Address<M>) -> Pid {
        address.pid()
    }
}

/// A reference to a process of actor `A`: derefs to the client methods that `#[handlers]` made.
///
/// It neither keeps the process alive nor ends it, and it does not follow a restart.
pub struct ActorRef<A: Actor> {
    client: A::Client,
}

impl<A: Actor> ActorRef<A> {
    /// The reference to the process at `address`.
    pub fn new(address: Address<A::Msg>) -> Self {
        Self { client: A::Client::from_address(address) }
    }

    /// The reference to the process `pid`, seen from `node`; it may live on another node.
    ///
    /// Returns `None` if `pid` belongs to `node` and is no live process of this actor.
    pub fn at(node: &Node, pid: Pid) -> Option<Self>
    where
        A: Remote,
    {
        if pid.node() == node.id() {
            return node.local::<A::Msg>(pid).map(Self::new);
        }
        Some(Self::carried(node, pid, node.carrier()))
    }

    /// The reference to `pid` whose messages are encoded and given to `carrier`.
    pub fn carried(node: &Node, pid: Pid, carrier: Arc<dyn Carrier>) -> Self
    where
        A: Remote,
    {
        Self::new(Address::far(Far::Elsewhere { pid, node: node.clone(), carrier, encode: A::encode }))
    }

    /// Delivers a message that arrived encoded.
    ///
    /// # Errors
    /// [`DecodeError`]; a caller has been told. A process that has ended is none: its callers learn it.
    pub fn accept(&self, incoming: Incoming<'_, '_>) -> Result<(), DecodeError>
    where
        A: Remote,
    {
        // Its callers are told, if it is not taken.
        let _ = self.address().deliver(A::decode(incoming)?);
        Ok(())
    }

    /// The name of the process.
    pub fn pid(&self) -> Pid {
        self.address().pid()
    }

    /// Where its messages go.
    pub fn address(&self) -> &Address<A::Msg> {
        self.client.address()
    }

    /// Asks the process to end with `Normal` when it comes to this request in its mailbox.
    pub fn stop(&self) {
        self.stop_with(ExitReason::Normal);
    }

    /// Asks the process to end with `reason` when it comes to this request in its mailbox.
    pub fn stop_with(&self, reason: ExitReason) {
        self.address().stop(reason);
    }

    /// Asks the process to end with `reason`, now, and waits for its end: returns why it ended, which may be something that
    /// came before. [`ExitReason::NoProc`] if it had ended already. A process that waits so for its own end waits for ever.
    ///
    /// # Cancel safety
    /// Dropped before it is done, the process has been asked all the same.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[derive(Actor, Default)]
    /// struct Shop;
    ///
    /// #[handlers]
    /// impl Shop {}
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let shop = spawn(Shop);
    ///     assert_eq!(shop.stop_and_wait(ExitReason::Shutdown).await, ExitReason::Shutdown);
    ///     assert_eq!(shop.stop_and_wait(ExitReason::Shutdown).await, ExitReason::NoProc);
    ///     Ok(())
    /// }
    /// ```
    pub fn stop_and_wait(&self, reason: ExitReason) -> Ended {
        let ended = self.address().node().ended(self.pid());
        self.stop_with(reason);
        ended
    }
}

/// A look at the state, for whoever mends or examines a running system.
impl<A: Actor> ActorRef<A> {
    /// Runs `f` with the state of the actor, in its process, when it comes to this in its mailbox: between two handlers,
    /// also while it is suspended. A panic of `f` ends nobody: it is this call's error.
    ///
    /// # Errors
    /// [`VisitError`]. There is no deadline: an actor that awaits for ever comes to nothing in its mailbox.
    ///
    /// # Cancel safety
    /// Dropped before it is done, `f` may still run.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[derive(Actor)]
    /// struct Till {
    ///     sold: u32,
    /// }
    ///
    /// #[handlers]
    /// impl Till {
    ///     #[cast]
    ///     fn sell(&mut self) {
    ///         self.sold += 1;
    ///     }
    /// }
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let till = spawn(Till { sold: 3 });
    ///     let before = till.with_state(|till| std::mem::replace(&mut till.sold, 10)).await?;
    ///     assert_eq!(before, 3);
    ///     assert_eq!(till.with_state(|till| till.sold).await?, 10);
    ///     Ok(())
    /// }
    /// ```
    pub async fn with_state<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut A) -> R + Send + 'static,
    ) -> Result<R, VisitError> {
        let asked = {
            let Some(cell) = self.address().cell() else { return Err(VisitError::Far) };
            if self.address().is_current() {
                return Err(VisitError::Failed(CallFailed::SelfCall));
            }
            let (asked, reply) = call::place();
            let notice = Notice::Request(Request::Visit(Visit::new(f, reply)));
            if cell.header().push_notice(notice).is_err() {
                return Err(VisitError::Failed(CallFailed::NoProc));
            }
            asked
        };
        asked.await.unwrap_or_else(|failed| Err(VisitError::Failed(failed)))
    }

    /// A copy of the actor's state: see [`with_state`](Self::with_state).
    ///
    /// # Errors
    /// [`VisitError`].
    pub async fn clone_state(&self) -> Result<A, VisitError>
    where
        A: Clone + Send,
    {
        self.with_state(|state| state.clone()).await
    }

    /// What the actor's state says of itself: see [`with_state`](Self::with_state).
    ///
    /// # Errors
    /// [`VisitError`].
    pub async fn show_state(&self) -> Result<String, VisitError>
    where
        A: fmt::Debug,
    {
        self.with_state(|state| format!("{state:?}")).await
    }

    /// Puts another state in the place of the actor's, which is returned: see [`with_state`](Self::with_state).
    ///
    /// # Errors
    /// [`VisitError`]; then `state` is dropped.
    pub async fn replace_state(&self, state: A) -> Result<A, VisitError>
    where
        A: Send,
    {
        self.with_state(|place| std::mem::replace(place, state)).await
    }
}

impl<A: Actor> Deref for ActorRef<A> {
    type Target = A::Client;

    fn deref(&self) -> &A::Client {
        &self.client
    }
}

impl<A: Actor> Clone for ActorRef<A> {
    fn clone(&self) -> Self {
        Self::new(self.address().clone())
    }
}

impl<A: Actor> fmt::Debug for ActorRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", A::NAME, self.pid())
    }
}

impl<A: Actor> PartialEq for ActorRef<A> {
    fn eq(&self, other: &Self) -> bool {
        self.pid() == other.pid()
    }
}

impl<A: Actor> Eq for ActorRef<A> {}

impl<A: Actor> From<&ActorRef<A>> for Pid {
    fn from(reference: &ActorRef<A>) -> Pid {
        reference.pid()
    }
}

impl<A: Actor> From<ActorRef<A>> for Pid {
    fn from(reference: ActorRef<A>) -> Pid {
        reference.pid()
    }
}

/// A reference travels as its pid.
impl<A: Actor> Serialize for ActorRef<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.pid().serialize(serializer)
    }
}

/// A reference is read in the scope of the node that reads it; see [`Node::decoding`].
impl<'de, A: Remote> Deserialize<'de> for ActorRef<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pid = Pid::deserialize(deserializer)?;
        let node = ambient::decoding_node()
            .ok_or_else(|| serde::de::Error::custom("a reference can only be read by a node; use `Node::decoding`"))?;
        // A local process that has ended still has an address: its messages become dead letters, calls
        // fail with `NoProc`, as they would have, had the reference never travelled.
        Ok(Self::at(&node, pid).unwrap_or_else(|| Self::carried(&node, pid, node.dead_carrier())))
    }
}
