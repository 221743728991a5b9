//! Calls: a message with a place for its reply, and what can go wrong between the two.
//!
//! A [`Call`] is a future that sends nothing until it is polled. Its reply never goes through the caller's
//! mailbox, so a late one is dropped and cannot be taken for another's. A process lends the place of the
//! one call that it awaits to whoever replies ([`word`]), which needs no memory; further calls, and calls
//! from outside processes, have a slot of their own ([`slot`]). A [`ReplyTo`] that is dropped without an
//! answer says so to the caller: a process that ends while callers wait tells each of them its exit reason
//! at once.
#![expect(unsafe_code, reason = "a reply is written into the place that its caller lends")]

mod cycle;
mod failed;
mod requests;
mod slot;
mod word;

use std::fmt;
use std::future::Future;
use std::marker::PhantomPinned;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use cycle::Callee;
pub use cycle::{CallCycle, CycleMember};
pub(crate) use cycle::{Calling, cycles_on};
pub use failed::{CallError, CallFailed, Fate};
pub use requests::{Requests, multi_call};
use slot::Slot;
pub(crate) use word::ReplyWord;
use word::{Claim, GaveUp, Writing};

use crate::address::Address;
use crate::ambient;
use crate::clock::Moment;
use crate::config::{COARSE, DEFAULT_CALL_TIMEOUT};
use crate::dead_letters::DeadLetter;
use crate::gateway::{FarReply, Wire};
use crate::lints::Lint;
use crate::memory::relocate;
use crate::panics;
use crate::pid::Pid;
use crate::process::{AnyRef, Excess, Extra, Spot, turn};
use crate::runtime::Runtime;
use crate::sync::{Ordering, UnsafeCell, yield_thread};
use crate::time::{Sleep, sleep_on};
use crate::timer::{Action, TimerRef};

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
    message: Unsent<M>,
    deadline: Deadline,
    waiting: Waiting<R>,
    outcome: fn(Result<R, CallFailed>) -> Result<T, E>,
    /// Where the reply goes, if the process lends its word.
    place: Place<R>,
    /// Whoever replies knows where the place is.
    _pinned: PhantomPinned,
}

/// A call that has been sent and whose reply is awaited.
#[must_use = "dropping a request gives up its reply"]
pub struct Request<R, T = R, E = CallFailed> {
    waiting: Waiting<R>,
    outcome: fn(Result<R, CallFailed>) -> Result<T, E>,
}

/// Until when a call waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deadline {
    Default,
    In(Duration),
    At(Instant),
}

/// The message of a call, until it is sent.
struct Unsent<M> {
    message: MaybeUninit<M>,
    /// How many messages are here: one or none. A word, and no `bool`: what is next to that is moved in pieces.
    count: usize,
}

impl<M> Unsent<M> {
    /// Where the message is, which is the caller's from now on, as long as this stays where it is.
    #[inline]
    fn take(&mut self) -> Option<*const M> {
        (std::mem::take(&mut self.count) == 1).then_some(self.message.as_ptr())
    }
}

impl<M> Drop for Unsent<M> {
    fn drop(&mut self) {
        if self.count == 1 {
            // SAFETY: it is here, and is not used again.
            unsafe { self.message.assume_init_drop() };
        }
    }
}

type Place<R> = UnsafeCell<MaybeUninit<Result<R, CallFailed>>>;

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
    #[inline]
    fn with(
        address: &'a Address<M>,
        message: impl FnOnce(ReplyTo<R>) -> M,
        outcome: fn(Result<R, CallFailed>) -> Result<T, E>,
    ) -> Self {
        let (waiting, reply) = Waiting::new();
        Self {
            address,
            message: Unsent { message: MaybeUninit::new(message(reply)), count: 1 },
            deadline: Deadline::Default,
            waiting,
            outcome,
            place: UnsafeCell::new(MaybeUninit::uninit()),
            _pinned: PhantomPinned,
        }
    }

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

    /// Whom it calls.
    pub(crate) fn callee(&self) -> Pid {
        self.address.pid()
    }

    /// Waits for at most as long as this says.
    pub(crate) fn until(mut self, deadline: Deadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// Waits for as long as it takes, unless it was said otherwise.
    pub(crate) fn without_deadline(mut self) -> Self {
        if let Deadline::Default = self.deadline {
            self.deadline = Deadline::In(Duration::MAX);
        }
        self
    }

    /// Sends it now; the reply is awaited through what this returns.
    pub fn send(mut self) -> Request<R, T, E> {
        if let Some(message) = self.message.take() {
            // SAFETY: the message is there, and was not taken before.
            unsafe { self.waiting.start(self.address, message, self.deadline, Excess::AsMuchAgain) };
        }
        Request { waiting: self.waiting, outcome: self.outcome }
    }

    /// Room for the message in a mailbox that has a limit. While there is none it waits, and the deadline runs; once that has
    /// passed the message is not sent, even if there is room by then.
    #[cold]
    fn room(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Excess, CallFailed>> {
        let has_waited = self.waiting.spot().is_some();
        if !has_waited {
            let mut spot = None;
            if let Poll::Ready(excess) = self.address.room(cx, &mut spot) {
                return Poll::Ready(Ok(excess));
            }
            self.wait_for_room(spot);
        }
        if self.waiting.is_late(cx) {
            self.waiting.wait_no_more();
            if let Some(message) = self.message.take() {
                self.address.node().count_dead_letter_to(DeadLetter::Expired, self.address.pid());
                // SAFETY: the message is there, and was not taken before.
                drop(unsafe { message.read() });
            }
            return Poll::Ready(Err(CallFailed::Full));
        }
        match self.waiting.spot() {
            Some(spot) if has_waited => self.address.room(cx, spot).map(Ok),
            _ => Poll::Pending,
        }
    }

    /// It waits for room at `spot`, until its deadline.
    fn wait_for_room(&mut self, spot: Option<Spot>) {
        let runtime = match &self.waiting.by {
            By::Word { process, .. } => process.node().runtime().clone(),
            _ => self.address.node().runtime().clone(),
        };
        let deadline = match self.deadline {
            Deadline::At(deadline) => deadline,
            Deadline::In(timeout) => runtime.now_and(timeout),
            Deadline::Default => runtime.now_and(DEFAULT_CALL_TIMEOUT),
        };
        self.deadline = Deadline::At(deadline);
        match &mut self.waiting.by {
            By::Word { aside, .. } => *aside = Some(Box::new(Aside { timer: sleep_on(&runtime, deadline), spot })),
            By::Slot { slot, aside } => {
                let timer = time_out(&runtime, slot, runtime.clock().moment(deadline));
                *aside = Some(Box::new(Aside { timer, spot }));
            }
            By::Nothing => {}
        }
    }

    /// The message itself, for something that delivers it by another way than the address.
    ///
    /// # Panics
    /// If it was polled.
    #[track_caller]
    pub fn into_parts(mut self) -> (M, Request<R, T, E>) {
        let message = self.message.take().expect("a call that was polled is not taken apart");
        // SAFETY: the message is there, and was not taken before.
        let message = unsafe { message.read() };
        (message, Request { waiting: self.waiting, outcome: self.outcome })
    }
}

impl<M, R, T, E> Future for Call<'_, M, R, T, E>
where
    M: Send + 'static,
    R: Send + 'static,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        // SAFETY: the place is not moved; all else is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        if this.message.count == 1 {
            let excess = if this.address.is_bounded() {
                match this.room(cx) {
                    Poll::Ready(Ok(excess)) => excess,
                    Poll::Ready(Err(failed)) => return Poll::Ready((this.outcome)(Err(failed))),
                    Poll::Pending => return Poll::Pending,
                }
            } else {
                Excess::None
            };
            if let Some(message) = this.message.take() {
                this.waiting.lend(&this.place);
                // SAFETY: the message is there, and was not taken before.
                unsafe { this.waiting.start(this.address, message, this.deadline, excess) };
            }
        }
        this.waiting.poll(cx).map(this.outcome)
    }
}

impl<R: Send + 'static, T, E> Future for Request<R, T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let outcome = self.outcome;
        self.waiting.poll(cx).map(outcome)
    }
}

/// A place for a reply, and what waits for it, without a call and without a deadline.
pub(crate) fn place<R: Send + 'static>() -> (Request<R>, ReplyTo<R>) {
    let (waiting, reply) = Waiting::new();
    (Request { waiting, outcome: |outcome| outcome }, reply)
}

/// The caller's side of a call.
struct Waiting<R> {
    by: By<R>,
    /// When it gives up; set when the call is sent.
    deadline: Moment,
    /// Who is to reply, if it is a process of the caller's node.
    callee: Callee,
    /// How often the reply was looked for and was not there. The first time the clock is not looked at: the call was
    /// sent just now.
    looked: usize,
}

/// How the reply comes.
enum By<R> {
    /// By the word of the process that made the call. The timer is for a caller that is not the process itself, or that waits
    /// for room.
    Word { process: AnyRef, claim: Claim, aside: Option<Box<Aside<Sleep>>> },
    /// By a slot of its own.
    Slot { slot: Arc<Slot<R>>, aside: Option<Box<Aside<(Runtime, TimerRef)>>> },
    /// It came.
    Nothing,
}

/// What not every call needs.
struct Aside<T> {
    /// For its deadline.
    timer: T,
    /// Its spot among those who wait for room in the mailbox, if it does.
    spot: Option<Spot>,
}

impl<R: Send + 'static> Waiting<R> {
    #[inline(always)]
    fn new() -> (Self, ReplyTo<R>) {
        let claimed = turn::with_process(|running| {
            let (_, header) = running?;
            let extra = header.extra();
            let claim = extra.reply.claim()?;
            extra.place.store(ptr::null_mut(), Ordering::Relaxed);
            Some((AnyRef::two_of(header), claim))
        });
        let (by, sink) = match claimed {
            Some(([ours, theirs], claim)) => {
                (By::Word { process: ours, claim, aside: None }, Sink::Word(theirs, claim))
            }
            None => {
                let (slot, other) = Other::slot();
                (By::Slot { slot, aside: None }, Sink::Other(other))
            }
        };
        (Self { by, deadline: Moment::NEVER, callee: Callee::NONE, looked: 0 }, ReplyTo(ManuallyDrop::new(sink)))
    }

    /// Lends `place` to whoever replies. It stays where it is until this is dropped.
    #[inline]
    fn lend(&self, place: &Place<R>) {
        if let By::Word { process, .. } = &self.by {
            let place = ptr::from_ref(place).cast_mut().cast();
            // Relaxed: whoever replies has the message, which is sent after this.
            process.extra().place.store(place, Ordering::Relaxed);
        }
    }

    /// Sends the message at `message`.
    ///
    /// # Safety
    /// There is a message, which is the caller's no more.
    #[inline]
    unsafe fn start<M: Send + 'static>(
        &mut self,
        address: &Address<M>,
        message: *const M,
        deadline: Deadline,
        excess: Excess,
    ) {
        if address.is_current() {
            turn::with_process(|running| {
                if let Some((_, process)) = running {
                    process.lint(Lint::SelfCall);
                }
            });
            // SAFETY: the caller's promise.
            return ambient::abandoning(CallFailed::SelfCall, || drop(unsafe { message.read() }));
        }
        self.callee = match (address.cell(), &self.by) {
            (Some(cell), By::Word { process, .. }) => Callee::of(cell.header(), process.node()),
            (Some(cell), _) => turn::with_process(|running| {
                running.map_or(Callee::NONE, |(_, here)| Callee::of(cell.header(), here.node()))
            }),
            (None, _) => Callee::NONE,
        };
        // The clock of whoever waits: moments are those of one runtime.
        let (runtime, is_here) = match &self.by {
            By::Word { process, .. } => {
                (process.node().runtime(), process.is_running_here() && process.home().is_none())
            }
            _ => (address.node().runtime(), false),
        };
        let clock = runtime.clock();
        self.deadline = match deadline {
            Deadline::In(timeout) => clock.moment(runtime.now()).later(timeout),
            Deadline::At(deadline) => clock.moment(deadline),
            // The coarse clock is cheap, and never ahead. While one of its processes runs, it goes.
            Deadline::Default if is_here && !runtime.is_seeded() => {
                clock.coarse_moment().later(const { DEFAULT_CALL_TIMEOUT.saturating_add(COARSE) })
            }
            Deadline::Default => clock.moment(runtime.now()).later(DEFAULT_CALL_TIMEOUT),
        };
        if let By::Slot { slot, aside } = &mut self.by
            && self.deadline != Moment::NEVER
        {
            let timer = || time_out(address.node().runtime(), slot, self.deadline);
            aside.get_or_insert_with(|| Box::new(Aside { timer: timer(), spot: None }));
        }
        // SAFETY: the caller's promise.
        unsafe { address.send(message, excess) };
    }
}

/// Sets the timer of a call whose reply comes by a slot.
#[cold]
fn time_out<R: Send + 'static>(runtime: &Runtime, slot: &Arc<Slot<R>>, deadline: Moment) -> (Runtime, TimerRef) {
    let slot = Arc::downgrade(slot);
    let fire = Box::new(move |_| {
        if let Some(slot) = slot.upgrade() {
            slot.complete(Err(CallFailed::Timeout));
        }
    });
    let timer = runtime.timers().at(runtime.clock().instant(deadline), Action::Fire(None, fire));
    (runtime.clone(), timer)
}

impl<R: Send + 'static> Waiting<R> {
    #[inline]
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<R, CallFailed>> {
        let outcome = match &mut self.by {
            By::Word { process, claim, .. } => {
                let extra = process.extra();
                if extra.reply.is_written(*claim) {
                    // SAFETY: it is written, and this is the one that awaits it.
                    let outcome = unsafe { take_written(process) };
                    extra.reply.take(*claim);
                    outcome
                } else {
                    if self.looked == 0 && process.is_woken_by(cx.waker()) {
                        // As most do: sent just now, and awaited by the process itself.
                        self.looked = 1;
                        process.set_alarm(self.deadline);
                        cycle::awaits(process, self.callee, *claim);
                        return Poll::Pending;
                    }
                    match self.wait(cx) {
                        Some(outcome) => outcome,
                        None => return Poll::Pending,
                    }
                }
            }
            By::Slot { slot, .. } => match slot.poll(cx) {
                Some(outcome) => outcome,
                None => {
                    if std::mem::replace(&mut self.looked, 1) == 0 {
                        note_slot(slot, self.callee);
                    }
                    return Poll::Pending;
                }
            },
            By::Nothing => panic!("a call was polled after it had given its reply"),
        };
        self.cancel_timer();
        self.by = By::Nothing;
        Poll::Ready(outcome)
    }

    /// The reply is not there yet. Returns the outcome if there is one now.
    #[cold]
    fn wait(&mut self, cx: &mut TaskContext<'_>) -> Option<Result<R, CallFailed>> {
        let By::Word { process, claim, aside } = &mut self.by else { return None };
        let (extra, claim) = (process.extra(), *claim);
        let runtime = process.node().runtime();
        let deadline = self.deadline;
        let has_deadline = deadline != Moment::NEVER;
        if std::mem::replace(&mut self.looked, 1) != 0
            && has_deadline
            && runtime.clock().moment(runtime.now()) >= deadline
        {
            return Some(match extra.reply.give_up(claim) {
                GaveUp::Unanswered => Err(CallFailed::Timeout),
                // SAFETY: it is written, and this is the one that awaits it.
                GaveUp::Answered => unsafe { take_written(process) },
            });
        }
        let callee = self.callee;
        if process.is_running_here() {
            cycle::awaits(process, callee, claim);
        }
        if process.is_woken_by(cx.waker()) {
            process.set_alarm(deadline);
            return None;
        }
        // Somebody else awaits it than the process that made the call.
        *extra.waiter.lock() = Some(cx.waker().clone());
        if !extra.reply.watch(claim) {
            while !extra.reply.is_written(claim) {
                yield_thread();
            }
            // SAFETY: as above.
            let outcome = unsafe { take_written(process) };
            extra.reply.take(claim);
            return Some(outcome);
        }
        if has_deadline {
            let deadline = runtime.clock().instant(deadline);
            let sleep = || Aside { timer: sleep_on(runtime, deadline), spot: None };
            let aside = aside.get_or_insert_with(|| Box::new(sleep()));
            if Pin::new(&mut aside.timer).poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        None
    }
}

impl<R> Waiting<R> {
    /// Where it keeps its spot among those who wait for room, once it has waited.
    fn spot(&mut self) -> Option<&mut Option<Spot>> {
        match &mut self.by {
            By::Word { aside, .. } => aside.as_mut().map(|aside| &mut aside.spot),
            By::Slot { aside, .. } => aside.as_mut().map(|aside| &mut aside.spot),
            By::Nothing => None,
        }
    }

    /// Whether its deadline has passed while it waited for room; if not, the task is woken when it has.
    fn is_late(&mut self, cx: &mut TaskContext<'_>) -> bool {
        match &mut self.by {
            By::Word { aside, .. } => {
                aside.as_mut().is_some_and(|aside| Pin::new(&mut aside.timer).poll(cx).is_ready())
            }
            By::Slot { slot, .. } => slot.poll(cx).is_some(),
            By::Nothing => true,
        }
    }

    /// It waits for room no more, and is not sent.
    fn wait_no_more(&mut self) {
        self.cancel_timer();
        if let By::Word { aside, .. } = &mut self.by {
            *aside = None;
        }
    }

    #[inline]
    fn cancel_timer(&mut self) {
        if let By::Slot { aside, .. } = &mut self.by
            && let Some((runtime, timer)) = aside.take().map(|aside| aside.timer)
        {
            runtime.timers().cancel(timer);
        }
    }
}

/// The reply that was written for the process's call: into the place that was lent, or into a box if none
/// was.
///
/// # Safety
/// The word says that it is written; it is taken once, by whoever has the claim, whose reply is an `R`.
unsafe fn take_written<R>(process: &AnyRef) -> Result<R, CallFailed> {
    let extra = process.extra();
    let place = extra.place.load(Ordering::Relaxed);
    match extra.answer.load(Ordering::Relaxed) {
        IN_THE_PLACE => {
            let place = place.cast::<Place<R>>();
            // SAFETY: the place was lent for this claim, and is written.
            unsafe { (*place).with(|place| (*place).assume_init_read()) }
        }
        // SAFETY: whoever replied found no place and left a box.
        IN_A_BOX => unsafe { *Box::from_raw(place.cast::<Result<R, CallFailed>>()) },
        _ => Err(extra.calling.take_found()),
    }
}

impl<R> Drop for Waiting<R> {
    fn drop(&mut self) {
        match &mut self.by {
            By::Word { process, claim, .. } => {
                if process.extra().reply.give_up(*claim) == GaveUp::Answered {
                    // SAFETY: it is written, and nobody else takes it.
                    drop(unsafe { take_written::<R>(process) });
                }
                // Whoever was to be woken may lead back to the process, as one of several futures that it awaits does: the
                // process would keep itself.
                let waiter = process.extra().waiter.lock().take();
                drop(waiter);
            }
            By::Slot { slot, .. } => {
                slot.give_up();
                self.cancel_timer();
            }
            By::Nothing => {}
        }
    }
}

/// Where the reply to a call goes. A handler that takes it by argument may answer later, or hand it on.
///
/// Dropped without an answer, it tells the caller: [`CallFailed::Died`] if the process that held it is
/// ending, else [`CallFailed::NoReply`].
#[must_use = "the caller waits for this reply"]
pub struct ReplyTo<R>(ManuallyDrop<Sink<R>>);

enum Sink<R> {
    /// The word of the process that calls.
    Word(AnyRef, Claim),
    Other(Box<Other<R>>),
}

enum Other<R> {
    Slot { slot: Arc<Slot<R>>, caller: Option<Pid> },
    Far(Box<dyn FnOnce(Result<R, CallFailed>) + Send>),
}

impl<R> ReplyTo<R> {
    /// Answers the caller. If it no longer waits, the reply is dropped.
    #[inline]
    pub fn send(self, reply: R) {
        turn::with_current(|turn| {
            if let Some(turn) = turn {
                turn.replies(|| self.caller());
            }
        });
        self.answer(reply);
    }

    /// As [`send`](Self::send), for what is no reply of the process's own code.
    #[inline]
    pub(crate) fn answer(self, reply: R) {
        let outcome = ManuallyDrop::new(Ok(reply));
        // SAFETY: it is not used here any more.
        unsafe { self.complete(&raw const *outcome) };
    }

    /// The process that called, if it is one of this runtime.
    fn caller(&self) -> Option<Pid> {
        match &*self.0 {
            Sink::Word(process, _) => Some(process.pid()),
            Sink::Other(other) => match &**other {
                Other::Slot { caller, .. } => *caller,
                Other::Far(_) => None,
            },
        }
    }

    /// Tells the caller that there will be no reply.
    pub fn fail(self, failed: CallFailed) {
        let outcome = ManuallyDrop::new(Err(failed));
        // SAFETY: it is not used here any more.
        unsafe { self.complete(&raw const *outcome) };
    }

    /// Says that the reply may come from elsewhere than the process that has this: whoever waits for it does not wait for that
    /// process, and is part of no [cycle of calls](CallCycle) with it.
    ///
    /// `#[handlers]` says so of each call whose handler takes a `ReplyTo`. An actor by hand says so before it gives this
    /// to another process.
    pub fn postpone(&self) {
        match &*self.0 {
            Sink::Word(process, claim) => process.extra().calling.postpone(*claim),
            Sink::Other(other) => {
                if let Other::Slot { slot, .. } = &**other {
                    slot.postpone();
                }
            }
        }
    }

    /// Whether the caller has given up: nothing that is sent here will be read.
    pub fn is_abandoned(&self) -> bool {
        match &*self.0 {
            Sink::Word(process, claim) => !process.extra().reply.is_awaited(*claim),
            Sink::Other(other) => match &**other {
                Other::Slot { slot, .. } => Slot::is_abandoned(slot),
                Other::Far(_) => false,
            },
        }
    }

    /// A place for a reply that `complete` takes.
    pub fn from_fn(complete: impl FnOnce(Result<R, CallFailed>) + Send + 'static) -> Self {
        Self(ManuallyDrop::new(Sink::Other(Box::new(Other::Far(Box::new(complete))))))
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

    /// # Safety
    /// There is an outcome at `outcome`, which is the caller's no more.
    #[inline]
    unsafe fn complete(self, outcome: *const Result<R, CallFailed>) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: what is taken out is not dropped again: `this` is not. And the caller's promise.
        unsafe { ManuallyDrop::take(&mut this.0).complete(outcome) };
    }
}

impl<R> Sink<R> {
    /// # Safety
    /// As for [`ReplyTo::complete`].
    #[inline]
    unsafe fn complete(self, outcome: *const Result<R, CallFailed>) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Self::Word(process, claim) => answer(&process, claim, outcome),
                Self::Other(other) => other.complete(outcome.read()),
            }
        }
    }
}

impl<R> Other<R> {
    /// A new slot, from both sides.
    #[cold]
    fn slot() -> (Arc<Slot<R>>, Box<Self>) {
        let slot = Arc::new(Slot::new());
        (slot.clone(), Box::new(Self::Slot { slot, caller: ambient::current_pid() }))
    }

    #[cold]
    fn complete(self, outcome: Result<R, CallFailed>) {
        match self {
            Self::Slot { slot, .. } => slot.complete(outcome),
            Self::Far(complete) => complete(outcome),
        }
    }
}

/// The process whose code runs here, if one does, waits for what comes by `slot`.
#[cold]
fn note_slot<R: Send + 'static>(slot: &Arc<Slot<R>>, callee: Callee) {
    turn::with_process(|running| {
        if let Some((_, process)) = running {
            let slot = Arc::downgrade(slot);
            cycle::awaits_by_slot(process, callee, slot);
        }
    });
}

/// Writes the reply where the process has lent a place for it, and wakes whoever waits.
///
/// # Safety
/// As for [`ReplyTo::complete`].
#[inline]
unsafe fn answer<R>(process: &AnyRef, claim: Claim, outcome: *const Result<R, CallFailed>) {
    let is_written = answer_with(process, claim, |extra| {
        let place = extra.place.load(Ordering::Relaxed);
        if place.is_null() {
            // SAFETY: the caller's promise.
            let boxed = Box::new(unsafe { outcome.read() });
            extra.place.store(Box::into_raw(boxed).cast(), Ordering::Relaxed);
            return IN_A_BOX;
        }
        // SAFETY: the claim stands, so the place that was lent for it is there, and is ours to write. And the
        // caller's promise.
        unsafe { (*place.cast::<Place<R>>()).with_mut(|place| relocate(outcome, (*place).as_mut_ptr())) };
        IN_THE_PLACE
    });
    if !is_written {
        // Nobody waits for it any more.
        // SAFETY: the caller's promise.
        drop(unsafe { outcome.read() });
    }
}

/// The answer to a call by the word is where the process lent a place for it.
const IN_THE_PLACE: u8 = 0;
/// It is in a box, because no place was lent.
const IN_A_BOX: u8 = 1;
/// There is none: the call is part of a cycle.
const IN_A_CYCLE: u8 = 2;

/// Answers the call of this claim, if it is still awaited: `write` does so, and says where. Whoever waits is woken.
#[inline]
fn answer_with(process: &AnyRef, claim: Claim, write: impl FnOnce(&Extra) -> u8) -> bool {
    let extra = process.extra();
    let Some(writing) = extra.reply.begin_write(claim) else { return false };
    end_answer(process, claim, writing, write(extra));
    true
}

/// The answer is where `place` says. Whoever waits is woken.
#[inline]
fn end_answer(process: &AnyRef, claim: Claim, writing: Writing, place: u8) {
    let extra = process.extra();
    extra.answer.store(place, Ordering::Relaxed);
    extra.reply.end_write(claim);
    if writing.is_watched {
        let waiter = extra.waiter.lock().take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
    process.note_wake();
}

impl<R> Drop for ReplyTo<R> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A call that was not sent is nobody's.
            panics::note_client(self.caller().filter(|caller| !ambient::is_current(*caller)));
        }
        let outcome = ManuallyDrop::new(Err(ambient::why_abandoned()));
        // SAFETY: taken once: this is the drop, and `complete` does not drop what it takes. The outcome is not used
        // here any more.
        unsafe { ManuallyDrop::take(&mut self.0).complete(&raw const *outcome) };
    }
}

impl<R> fmt::Debug for ReplyTo<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo")
    }
}
