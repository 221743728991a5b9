//! A process in straight-line code: it receives when it wants to, and what it wants to.
#![expect(unsafe_code, reason = "a future in its cell is polled where it lies")]

use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use super::alias::{Alias, AliasEnd, PriorityAlias};
use super::cell::{Awaited, Body};
use super::header::Header;
use super::me::{self, Me};
use super::receive;
use super::reference::{CellRef, InTurn};
use super::run::Flow;
use super::turn::{self, Turn, Wants};
use crate::address::Address;
use crate::director::Meeting;
use crate::exit::{Ending, Error, ExitReason};
use crate::inspect::{ProcessInfo, ProcessStatus, Status};
use crate::mailbox::{First, Held, Position, Taken, Walked};
use crate::observe;
use crate::panics::{self, Unwound};
use crate::signal::{Down, Info, MonitorRef, Request, Target};
use crate::time::{Sleep, sleep_on};

/// A process in straight-line code: it receives when it wants to, and what it wants to.
///
/// It belongs to the code that it was given to. Its receives work there only: in a task or a thread of
/// another kind they panic.
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
    cell: CellRef<M>,
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
    /// The process was asked to stop, or its parent has ended, or sent it an exit, and it traps exits. Passed on with `?`, it ends
    /// with the reason.
    #[error("asked to stop: {0}")]
    Stopped(ExitReason),
}

impl ReceiveError {
    /// Whether another receive may succeed. Whoever was asked to stop ends by passing that on.
    pub fn can_retry(&self) -> bool {
        match self {
            Self::Timeout => true,
            Self::Stopped(_) => false,
        }
    }

    /// Why the process was asked to stop, if that is what happened.
    pub fn reason(&self) -> Option<&ExitReason> {
        match self {
            Self::Timeout => None,
            Self::Stopped(reason) => Some(reason),
        }
    }
}

impl<M: Send + 'static> Process<M> {
    pub(crate) fn new(cell: CellRef<M>) -> Self {
        Self { cell }
    }

    /// Where this process's messages go.
    pub fn address(&self) -> Address<M> {
        Address::local(self.cell.clone())
    }

    /// Receives the first message; what is not a message stays where it is.
    pub fn receive(&mut self) -> Receive<'_, M, impl FnMut(Taken<M>) -> Result<M, Taken<M>> + Send + use<M>> {
        self.receive_taken(|taken| match taken {
            Taken::Message(message) => Ok(message),
            other => Err(other),
        })
    }

    /// Receives the first message that `fits`.
    pub fn receive_match<F>(
        &mut self,
        mut fits: F,
    ) -> Receive<'_, M, impl FnMut(Taken<M>) -> Result<M, Taken<M>> + Send + use<M, F>>
    where
        F: FnMut(&M) -> bool + Send,
    {
        self.receive_taken(move |taken| match taken {
            Taken::Message(message) if fits(&message) => Ok(message),
            other => Err(other),
        })
    }

    /// Receives the first message that `wants` turns into something; what it hands back stays where it is.
    pub fn receive_map<T, F>(
        &mut self,
        mut wants: F,
    ) -> Receive<'_, M, impl FnMut(Taken<M>) -> Result<T, Taken<M>> + Send + use<M, T, F>>
    where
        F: FnMut(M) -> Result<T, M> + Send,
    {
        self.receive_taken(move |taken| match taken {
            Taken::Message(message) => wants(message).map_err(Taken::Message),
            other => Err(other),
        })
    }

    /// Receives the first info, a `Down`, an `Exit` or another, that `wants` turns into something.
    pub fn receive_info<T, F>(
        &mut self,
        mut wants: F,
    ) -> Receive<'_, M, impl FnMut(Taken<M>) -> Result<T, Taken<M>> + Send + use<M, T, F>>
    where
        F: FnMut(Info) -> Result<T, Info> + Send,
    {
        self.receive_taken(move |taken| match taken {
            Taken::Info(info) => wants(info).map_err(Taken::Info),
            other => Err(other),
        })
    }

    /// Receives whatever is first.
    #[expect(clippy::type_complexity, reason = "a receive has no box, and so the type of its closure")]
    pub fn receive_any(
        &mut self,
    ) -> Receive<'_, M, impl FnMut(Taken<M>) -> Result<Received<M>, Taken<M>> + Send + use<M>> {
        self.receive_taken(|taken| match taken {
            Taken::Message(message) => Ok(Received::Message(message)),
            Taken::Info(info) => Ok(Received::Info(info)),
            other => Err(other),
        })
    }

    /// Gives back the memory that is not needed while nothing happens, and waits for the next message or
    /// info, which stays in the mailbox.
    ///
    /// # Errors
    /// [`ReceiveError::Stopped`].
    pub async fn hibernate(&mut self) -> Result<(), ReceiveError> {
        let _resting = self.rest();
        self.give_back();
        let seen = AtomicBool::new(false);
        let mut receive = self.receive_taken::<(), _>(|taken| {
            seen.store(true, Ordering::Relaxed);
            Err(taken)
        });
        let woken = std::future::poll_fn(|cx| match Pin::new(&mut receive).poll(cx) {
            Poll::Pending if seen.load(Ordering::Relaxed) => Poll::Ready(Ok(())),
            polled => polled,
        });
        woken.await
    }

    /// Like [`monitor`](Me::monitor); the `Down` comes as the message that `tag` makes of it.
    pub fn monitor_as(&self, target: impl Into<Target>, tag: impl FnOnce(Down) -> M + Send + 'static) -> MonitorRef {
        me::monitor_as(self, target.into(), tag)
    }

    /// An address of this process that can be revoked.
    pub fn alias(&self) -> Alias<M> {
        me::alias(&self.cell, AliasEnd::Explicit, None)
    }

    /// An address of this process for one message: the first revokes it.
    pub fn reply_alias(&self) -> Alias<M> {
        me::alias(&self.cell, AliasEnd::FirstReply, None)
    }

    /// An address of this process by which messages may be read before all others.
    pub fn priority_alias(&self) -> PriorityAlias<M> {
        PriorityAlias::new(self.alias())
    }

    /// A monitor, and an alias that goes with it.
    pub fn monitor_alias(&self, target: impl Into<Target>, end: AliasEnd) -> (MonitorRef, Alias<M>) {
        let monitor = self.monitor(target);
        (monitor, me::alias(&self.cell, end, Some(monitor)))
    }

    /// Revokes an alias of this process. What came by it and has been received stays in the mailbox.
    /// Returns whether it stood.
    pub fn unalias(&self, alias: &Alias<M>) -> bool {
        me::unalias(&self.cell, alias)
    }

    /// Revokes a priority alias of this process.
    pub fn unalias_priority(&self, alias: &PriorityAlias<M>) -> bool {
        me::unalias(&self.cell, alias.alias())
    }

    fn receive_taken<T, W>(&mut self, wants: W) -> Receive<'_, M, W>
    where
        W: FnMut(Taken<M>) -> Result<T, Taken<M>> + Send,
    {
        Receive { process: self, wants, is_new: true, timeout: None }
    }
}

impl<M> Deref for Process<M> {
    type Target = Me;

    fn deref(&self) -> &Me {
        me::at(self.cell.header())
    }
}

impl<M> fmt::Debug for Process<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({})", self.cell.header().pid())
    }
}

/// A receive; await it. Made by the `receive` methods of [`Process`].
///
/// # Cancel safety
/// Dropped before it is done, it has taken nothing.
#[must_use = "a receive does nothing until it is awaited"]
pub struct Receive<'a, M, W> {
    process: &'a mut Process<M>,
    wants: W,
    /// It was not polled yet: it looks through the whole mailbox.
    is_new: bool,
    timeout: Option<(Duration, Option<Sleep>)>,
}

impl<M, W> Receive<'_, M, W> {
    /// Waits for at most `timeout`; zero looks at what is there and does not wait.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some((timeout, None));
        self
    }
}

// Nothing in a receive is pinned.
impl<M, W> Unpin for Receive<'_, M, W> {}

impl<M, T, W> Future for Receive<'_, M, W>
where
    M: Send + 'static,
    W: FnMut(Taken<M>) -> Result<T, Taken<M>> + Send,
{
    type Output = Result<T, ReceiveError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        turn::with_process(|running| {
            let header = this.process.cell.header();
            let Some((turn, _)) = running.filter(|(_, running)| std::ptr::eq(*running, header)) else {
                panic!("a process receives in its own code only, not in a task or a thread of another kind");
            };
            let position = turn.position();
            assert!(!position.is_null(), "a process receives in straight-line code");
            if turn.is_over() && this.would_go_on() {
                cx.waker().wake_by_ref();
                turn.want(Wants::More);
                return Poll::Pending;
            }
            // SAFETY: this is the process's own code, so this thread is the owner; the position was lent by
            // `Straight::run` for this poll, and nobody else uses it meanwhile.
            unsafe {
                match this.look_at_first(turn, &mut *position) {
                    First::Taken(found) => Poll::Ready(Ok(found)),
                    First::Empty => this.wait(cx),
                    First::Other => this.look_through(turn, &mut *position, cx),
                }
            }
        })
    }
}

impl<M, T, W> Receive<'_, M, W>
where
    M: Send + 'static,
    W: FnMut(Taken<M>) -> Result<T, Taken<M>> + Send,
{
    /// Whether it may do anything else than wait. If not, it does not go to the back of a queue when its turn is over, where
    /// its next message would wait for all others.
    #[cold]
    fn would_go_on(&self) -> bool {
        // SAFETY: the process's own code runs here, so this thread is the owner.
        self.timeout.is_some() || unsafe { receive::has_more(self.process.cell.header()) }
    }

    /// Takes the first thing in the mailbox, if that is all that it takes.
    ///
    /// # Safety
    /// The caller is the owner, and `position` is the one that the process holds.
    #[inline]
    unsafe fn look_at_first(&mut self, turn: &Turn<'_>, position: &mut Position) -> First<T> {
        if self.is_new {
            *position = Position::HEAD;
        }
        let header = self.process.cell.header();
        // SAFETY: the caller's promise, here and below.
        let is_special = header.is_suspended() || unsafe { receive::has_ahead(header) };
        if is_special || *position != Position::HEAD {
            return First::Other;
        }
        let first = loop {
            // SAFETY: as above.
            let first = unsafe {
                self.process.cell.mailbox().take_first(
                    position,
                    turn.memory(),
                    || header.held(None),
                    |taken| (self.wants)(taken),
                )
            };
            if !matches!(first, First::Taken(_)) || note_counted::<M>(turn, header) {
                break first;
            }
        };
        match &first {
            First::Taken(_) => turn.charge(1),
            First::Empty => {
                self.is_new = false;
                turn.want(Wants::More);
            }
            First::Other => {}
        }
        first
    }

    /// There is nothing that fits. Waits, for as long as it may.
    #[inline]
    fn wait(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<T, ReceiveError>> {
        if self.timeout.is_none() { Poll::Pending } else { self.wait_for_time(cx) }
    }

    #[cold]
    fn wait_for_time(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<T, ReceiveError>> {
        let Some((timeout, sleep)) = &mut self.timeout else { return Poll::Pending };
        let sleep = sleep.get_or_insert_with(|| {
            let runtime = self.process.node().runtime();
            sleep_on(runtime, runtime.now_and(*timeout))
        });
        if Pin::new(sleep).poll(cx).is_ready() {
            return Poll::Ready(Err(ReceiveError::Timeout));
        }
        Poll::Pending
    }

    /// Looks for the first thing in the mailbox that is wanted, or a request to stop, from `position` on.
    ///
    /// # Safety
    /// The caller is the owner, and `position` is the one that the process holds.
    #[cold]
    unsafe fn look_through(
        &mut self,
        turn: &Turn<'_>,
        position: &mut Position,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<T, ReceiveError>> {
        let cell = &self.process.cell;
        let header = cell.header();
        if std::mem::take(&mut self.is_new) {
            // SAFETY: the caller's promise; the position is at the head, so that it need not be told.
            unsafe { cell.mailbox().trim(turn.memory(), || header.held(None)) };
        }
        loop {
            let wants = &mut self.wants;
            if !header.is_suspended() {
                let urgent = |message| match wants(Taken::Message(message)) {
                    Ok(found) => Ok(found),
                    Err(Taken::Message(message)) => Err(message),
                    Err(_) => unreachable!("what is handed back is what was given"),
                };
                // SAFETY: as above.
                if let Some(found) = unsafe { receive::take_urgent(header, urgent) } {
                    note::<M>(turn, header);
                    turn.charge(1);
                    return Poll::Ready(Ok(found));
                }
            }
            let mut was_message = false;
            let look = |taken: Taken<M>| match taken {
                Taken::Request(request) => Ok(Err(request)),
                // A parent's end is that of a child that traps exits, too.
                Taken::Info(Info::Exit(exit)) if Some(exit.from) == header.parent() => {
                    Ok(Err(Request::Stop(exit.reason)))
                }
                other => {
                    was_message = matches!(other, Taken::Message(_));
                    wants(other).map(Ok)
                }
            };
            // SAFETY: as above; the position was held in every call.
            let taken = unsafe {
                if header.is_suspended() {
                    cell.mailbox().take_request(position, turn.memory()).map(|request| (Err(request), false))
                } else {
                    cell.mailbox().take(position, turn.memory(), look)
                }
            };
            match taken {
                Ok((Ok(found), counts)) => {
                    if counts {
                        if !note_counted::<M>(turn, header) {
                            continue;
                        }
                    } else if was_message {
                        note::<M>(turn, header);
                    }
                    turn.charge(1);
                    // SAFETY: as above; the next receive begins at the head.
                    unsafe { self.process.tidy(turn, position) };
                    return Poll::Ready(Ok(found));
                }
                Ok((Err(Request::Stop(reason)), _)) => {
                    header.end_suspension();
                    if reason.is_abnormal() {
                        // SAFETY: as above.
                        unsafe { header.owned() }.last.get_or_insert_default().told = true;
                    }
                    return Poll::Ready(Err(ReceiveError::Stopped(reason)));
                }
                // It has no state that others know: whoever asks for it is told so.
                Ok((Err(Request::Visit(visit)), _)) => visit.refuse(),
                Ok((Err(Request::Status(reply)), _)) => {
                    let mut info = ProcessInfo::of(header);
                    info.status = Status::Waiting.of_resting(header);
                    reply.answer(ProcessStatus::of(header, info, None));
                }
                Ok((Err(request), _)) => {
                    header.set_suspended(matches!(request, Request::Suspend));
                    // What was passed over while it was suspended is looked at again.
                    *position = Position::HEAD;
                }
                Err(Walked::End) => {
                    turn.want(Wants::More);
                    return self.wait(cx);
                }
                // It has not looked at everything: too soon to give up.
                Err(Walked::Stopped) => {
                    turn.want(Wants::Receive);
                    return Poll::Pending;
                }
                Err(Walked::Hole) => {
                    turn.want(Wants::Writer);
                    return Poll::Pending;
                }
            }
        }
    }
}

/// A message was taken that counts where they are limited. Returns whether the process has it: it may have been lost.
#[inline]
fn note_counted<M>(turn: &Turn<'_>, header: &Header) -> bool {
    if turn.is_taking_noted() && !note_met::<M>(header) {
        return false;
    }
    observe::message_handled(header, std::any::type_name::<M>);
    true
}

#[cold]
fn note_met<M>(header: &Header) -> bool {
    let handler = std::any::type_name::<M>();
    match header.meet(handler) {
        Meeting::Handle | Meeting::Delay(_) => header.note_taken(handler),
        meeting => {
            header.note_left();
            match meeting {
                Meeting::Panic(text) => panic!("{text}"),
                Meeting::Kill => panics::unwind(Unwound::BySignal(ExitReason::Killed)),
                _ => return false,
            }
        }
    }
    true
}

/// A message was taken that does not count where they are limited.
fn note<M>(turn: &Turn<'_>, header: &Header) {
    if turn.is_taking_noted() {
        header.message_noted(std::any::type_name::<M>());
    }
    observe::message_handled(header, std::any::type_name::<M>);
}

impl<M: Send + 'static> Process<M> {
    /// Gives back the blocks of the mailbox that are used up. Between two receives.
    fn give_back(&self) {
        turn::with_process(|running| {
            let header = self.cell.header();
            let Some((turn, _)) = running.filter(|(_, running)| std::ptr::eq(*running, header)) else { return };
            // The process's own code runs in other places too, as in the tag of a monitor: not while it is received.
            if turn.position().is_null() {
                return;
            }
            let mailbox = self.cell.mailbox();
            // SAFETY: this is the process's own code, so this thread is the owner. No receive is under way, so
            // the body's position is taken from the head again.
            unsafe {
                mailbox.trim(turn.memory(), || header.held(None));
                mailbox.sweep(turn.memory(), &mut header.held(None));
            }
        });
    }

    /// After something was taken: if it lay behind messages that stay, what has been taken from there is
    /// given back once in a while.
    ///
    /// # Safety
    /// The caller is the owner, and `position` is the one that the process holds.
    unsafe fn tidy(&self, turn: &Turn<'_>, position: &mut Position) {
        let mailbox = self.cell.mailbox();
        if !mailbox.is_behind(position) {
            // It lay at the head, as a rule: then it counts no longer.
            *position = Position::HEAD;
            // SAFETY: the caller's promise.
            unsafe { mailbox.trim(turn.memory(), || self.cell.header().held(None)) };
            return;
        }
        // SAFETY: the caller's promise.
        let owned = unsafe { self.cell.header().owned() };
        owned.taken_from_behind += 1;
        // A sweep looks at each block; so many takes pay for it.
        if owned.taken_from_behind > 64.max(mailbox.len() / 32) {
            owned.taken_from_behind = 0;
            // SAFETY: the caller's promise.
            unsafe { mailbox.sweep(turn.memory(), &mut Held([Some(&mut owned.received), Some(position)])) };
        }
    }
}

/// The phases of a body: it has not run; it waits for a message and nothing else can wake it; it waits for a message,
/// among other things; it waits for something else.
const UNBORN: u8 = 0;
const WAITING: u8 = 1;
const RECEIVING: u8 = 2;
const AWAITING: u8 = 3;

/// The body of a process in straight-line code.
pub(crate) struct Straight<F> {
    /// Up to where the receive that waits has looked.
    position: Position,
    future: ManuallyDrop<F>,
}

impl<F> Straight<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { position: Position::HEAD, future: ManuallyDrop::new(future) }
    }
}

impl<M, F> Body<M> for Straight<F>
where
    M: Send + 'static,
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    unsafe fn run(body: NonNull<Self>, local: InTurn<M>, turn: &Turn<'_>) -> Flow {
        let header = local.header();
        // Whoever is new, or waited for its mailbox alone, goes on because it has its turn; others if they were woken.
        if matches!(header.phase(), UNBORN | WAITING) {
            header.set_phase(AWAITING);
        } else if !header.state.take_woken() {
            return Flow::Park;
        }
        turn.poll();
        let body = body.as_ptr();
        // SAFETY: the caller is the owner. The position is used through the turn only while this polls.
        let position = unsafe { &raw mut (*body).position };
        turn.lend_position(position);
        // SAFETY: the future lies in its cell until it is dropped there, so it is pinned.
        let future = unsafe { Pin::new_unchecked(&mut *(*body).future) };
        let polled = future.poll(&mut TaskContext::from_waker(&header.waker()));
        turn.lend_position_back();
        match polled {
            Poll::Ready(Ok(())) => Flow::End(Ending::default()),
            Poll::Ready(Err(error)) => Flow::end(error.into_reason()),
            Poll::Pending => match turn.wants() {
                Wants::Nothing => {
                    header.set_phase(AWAITING);
                    Flow::Park
                }
                // SAFETY: the caller is the owner; the poll, which used the position, is over.
                Wants::More if unsafe { *position } == Position::HEAD && !header.may_be_woken() => {
                    header.set_phase(WAITING);
                    Flow::Wait
                }
                Wants::More => {
                    header.set_phase(RECEIVING);
                    // SAFETY: the caller is the owner; the poll, which used the position, is over.
                    unsafe { Flow::park_at(local, *position, turn, || header.held(Some(&mut *position))) }
                }
                Wants::Receive => {
                    header.set_phase(RECEIVING);
                    Flow::Receive
                }
                Wants::Writer => {
                    header.set_phase(RECEIVING);
                    let _ = header.state.note(super::state::Cause::Wake);
                    Flow::Yield
                }
            },
        }
    }

    unsafe fn panicked(_: NonNull<Self>, _: InTurn<M>, unwound: Unwound, turn: &Turn<'_>) -> Flow {
        turn.lend_position_back();
        Flow::end(unwound.into_reason())
    }

    unsafe fn end(body: NonNull<Self>, _: InTurn<M>) {
        // SAFETY: the caller is the owner; the future is dropped once, where it lies.
        unsafe { ManuallyDrop::drop(&mut (*body.as_ptr()).future) };
    }

    unsafe fn position<'a>(body: NonNull<Self>) -> Option<&'a mut Position> {
        // SAFETY: the caller is the owner.
        Some(unsafe { &mut (*body.as_ptr()).position })
    }

    fn status(header: &Header, _: usize) -> Status {
        match header.phase() {
            WAITING | RECEIVING => Status::Waiting,
            AWAITING => Status::Awaiting,
            _ => Status::Runnable,
        }
    }

    fn activity(_: &Header) -> Option<Awaited> {
        None
    }

    unsafe fn show(_: NonNull<Self>, _: &Header) -> Option<String> {
        None
    }

    fn describe(_: &M) -> &'static str {
        std::any::type_name::<M>()
    }
}
