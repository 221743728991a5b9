//! The body of an actor: its state, and the future of the handler that awaits, if one does.
//!
//! ```text
//!            ┌──────────── Refused ─────────────▶ over
//!   Starting ──▶ Initialising ──▶ Idle ⇄ Handling | Informed | Suspended
//!                                   └──▶ Terminating ──▶ over
//! ```
//!
//! A plain handler runs and is done: no future is made, nothing is written but the actor's own state. The
//! future of an async handler is written beside the state, which it borrows, and is polled there. The
//! types of these futures have no names; [`Futures`] gets hold of them by closures that make them.
//!
//! The state is not on the stack of a loop, so a panic leaves it for `terminate`.
#![expect(unsafe_code, reason = "a handler's future borrows the state beside it")]

use std::future::Future;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context as TaskContext, Poll};

use super::cell::{Awaited, Body};
use super::header::Header;
use super::machinery;
use super::placed::Placed;
use super::receive;
use super::reference::InTurn;
use super::run::Flow;
use super::silence;
use super::state::Cause;
use super::turn::{self, NO_HANDLER, Turn};
use crate::actor::{Actor, Refused, Step};
use crate::context::Context;
use crate::director::Meeting;
use crate::exit::{Ending, ExitReason};
use crate::inspect::{ProcessStatus, Status, state_text};
use crate::machine::Event;
use crate::mailbox::{Next, Position, Special, Taken, Walked};
use crate::memory::{Memory, Stock};
use crate::observe;
use crate::panics::{self, Unwound};
use crate::runs_on::RunsOn;
use crate::signal::{Info, Request};
use crate::spec::StartError;
use crate::sync::Ordering;
use crate::trace::Traced;

/// What makes an actor in its own process.
pub(crate) type Starting<A> = Pin<Box<dyn Future<Output = Result<A, StartError>> + Send>>;

/// The phases of a body, as the header has them.
mod phase {
    /// The actor is being made: `pending.start`.
    pub(super) const STARTING: u8 = 1;
    /// `pending.init`.
    pub(super) const INITIALISING: u8 = 2;
    /// `pending.handle`.
    pub(super) const HANDLING: u8 = 3;
    /// `pending.info`.
    pub(super) const INFORMED: u8 = 4;
    /// `pending.terminate`.
    pub(super) const TERMINATING: u8 = 5;
    /// No future; the next message may be taken.
    pub(super) const IDLE: u8 = 6;
    /// No future, and requests only are taken.
    pub(super) const SUSPENDED: u8 = 7;
    /// The actor is there and has not begun.
    pub(super) const UNBORN: u8 = 8;
    /// No future, and no actor.
    pub(super) const EMPTY: u8 = 9;
    /// No future: `terminate` is done, or there is none.
    pub(super) const TERMINATED: u8 = 10;
}

/// The number under which a worker publishes that it runs something else than the handler of a message.
pub(crate) const INFO_HANDLER: u32 = u32::MAX;

/// The futures of an actor's handlers. They need not be `Send`: those of actors that workers run are, by their trait.
pub(crate) trait Futures<A: Actor>: 'static {
    type Init: Future<Output = Result<(), Refused>>;
    type Handle: Future<Output = ()>;
    type Info: Future<Output = ()>;
    type Terminate: Future<Output = ()>;

    /// Whether `terminate` is called at all.
    const TERMINATES: bool;

    /// What the actor's state says of itself.
    fn show_state(actor: &A) -> Option<String>;

    /// # Safety
    /// As long as the future lives, nobody else uses what the pointers lead to. For all of these.
    unsafe fn init(actor: *mut A, cx: *mut Context<A>) -> Self::Init;
    /// # Safety
    /// See `init`. There is a message, which is moved out.
    unsafe fn handle(actor: *mut A, message: *const A::Msg, cx: *mut Context<A>) -> Step<Self::Handle>;
    /// # Safety
    /// See `init`.
    unsafe fn info(actor: *mut A, info: Info, cx: *mut Context<A>) -> Step<Self::Info>;
    /// # Safety
    /// See `init`.
    unsafe fn terminate(actor: *mut A, reason: *const ExitReason, cx: *mut Context<A>) -> Self::Terminate;
}

/// The futures that these closures make, of an actor of this kind. Each has no size, and is called without a value of it.
pub(crate) struct Made<K, N, H, I, T>(PhantomData<Closures<K, N, H, I, T>>);

/// A marker that is Send and Sync whatever the closures are.
type Closures<K, N, H, I, T> = fn() -> (K, N, H, I, T);

impl<K, N: Copy, H: Copy, I: Copy, T: Copy> Made<K, N, H, I, T> {
    pub(crate) fn by(_: N, _: H, _: I, _: T) -> Self {
        Self(PhantomData)
    }

    /// # Safety
    /// A value of `F` exists: one was given to [`by`](Self::by).
    unsafe fn closure<F: Copy>() -> F {
        const { assert!(size_of::<F>() == 0, "the closures that make futures capture nothing") };
        // SAFETY: a copy of a value without a size is made of no bytes.
        unsafe { NonNull::<F>::dangling().read() }
    }
}

impl<A, K, N, H, I, T, NF, HF, IF, TF> Futures<A> for Made<K, N, H, I, T>
where
    A: Actor,
    K: RunsOn<A>,
    N: Fn(*mut A, *mut Context<A>) -> NF + Copy + 'static,
    H: Fn(*mut A, *const A::Msg, *mut Context<A>) -> Step<HF> + Copy + 'static,
    I: Fn(*mut A, Info, *mut Context<A>) -> Step<IF> + Copy + 'static,
    T: Fn(*mut A, *const ExitReason, *mut Context<A>) -> TF + Copy + 'static,
    NF: Future<Output = Result<(), Refused>>,
    HF: Future<Output = ()>,
    IF: Future<Output = ()>,
    TF: Future<Output = ()>,
{
    const TERMINATES: bool = K::TERMINATES;

    fn show_state(actor: &A) -> Option<String> {
        K::show_state(actor)
    }

    type Init = NF;
    type Handle = HF;
    type Info = IF;
    type Terminate = TF;

    unsafe fn init(actor: *mut A, cx: *mut Context<A>) -> NF {
        // SAFETY: this type was made from such a value; and so below.
        let make = unsafe { Self::closure::<N>() };
        make(actor, cx)
    }

    #[inline]
    unsafe fn handle(actor: *mut A, message: *const A::Msg, cx: *mut Context<A>) -> Step<HF> {
        // SAFETY: see `init`.
        let make = unsafe { Self::closure::<H>() };
        make(actor, message, cx)
    }

    unsafe fn info(actor: *mut A, info: Info, cx: *mut Context<A>) -> Step<IF> {
        // SAFETY: see `init`.
        let make = unsafe { Self::closure::<I>() };
        make(actor, info, cx)
    }

    unsafe fn terminate(actor: *mut A, reason: *const ExitReason, cx: *mut Context<A>) -> TF {
        // SAFETY: see `init`.
        let make = unsafe { Self::closure::<T>() };
        make(actor, reason, cx)
    }
}

/// The body of a process that runs an actor. The header's phase says which of it is there.
pub(crate) struct ActorBody<A: Actor, F: Futures<A>> {
    actor: MaybeUninit<A>,
    pending: Pending<A, F>,
}

/// The future that the actor awaits.
#[repr(C)]
union Pending<A: Actor, F: Futures<A>> {
    nothing: (),
    start: ManuallyDrop<Box<Starting<A>>>,
    init: ManuallyDrop<Placed<F::Init>>,
    handle: ManuallyDrop<F::Handle>,
    info: ManuallyDrop<F::Info>,
    terminate: ManuallyDrop<Placed<Terminating<F::Terminate>>>,
}

/// `terminate`, and the reason that it was given.
struct Terminating<T> {
    /// Before the reason, which it borrows.
    future: T,
    reason: Ending,
}

/// A reason that is dropped if it comes to a panic before there is a future.
struct Unbegun<'a, T, M: Memory> {
    terminate: &'a mut Placed<Terminating<T>>,
    memory: &'a M,
}

impl<T, M: Memory> Drop for Unbegun<'_, T, M> {
    fn drop(&mut self) {
        // SAFETY: there is a reason and no future, and the place is not used any more.
        unsafe {
            (&raw mut (*self.terminate.place().as_ptr()).reason).drop_in_place();
            self.terminate.free(self.memory);
        }
    }
}

/// What the futures take in the process, each with its name.
pub(super) const fn pending_sizes<A: Actor, F: Futures<A>>() -> [(&'static str, usize); 4] {
    [
        ("init", size_of::<Placed<F::Init>>()),
        ("handle", size_of::<F::Handle>()),
        ("info", size_of::<F::Info>()),
        ("terminate", size_of::<Placed<Terminating<F::Terminate>>>()),
    ]
}

impl<A: Actor, F: Futures<A>> ActorBody<A, F> {
    /// A body whose actor is there.
    pub(crate) fn born(header: &Header, actor: A) -> Self {
        header.set_phase(phase::UNBORN);
        Self { actor: MaybeUninit::new(actor), pending: Pending { nothing: () } }
    }

    /// A body whose actor `start` makes.
    pub(crate) fn starting(header: &Header, start: Starting<A>) -> Self {
        header.set_phase(phase::STARTING);
        // So that its first turn polls it.
        let _ = header.state.note(Cause::Wake);
        Self { actor: MaybeUninit::uninit(), pending: Pending { start: ManuallyDrop::new(Box::new(start)) } }
    }
}

/// The owner at work on the body.
struct Work<'a, 't, A: Actor, F: Futures<A>> {
    body: *mut ActorBody<A, F>,
    local: InTurn<A::Msg>,
    turn: &'a Turn<'t>,
}

impl<A: Actor, F: Futures<A>> Body<A::Msg> for ActorBody<A, F> {
    #[inline(always)]
    unsafe fn run(body: NonNull<Self>, local: InTurn<A::Msg>, turn: &Turn<'_>) -> Flow {
        let work = Work { body: body.as_ptr(), local, turn };
        // SAFETY: the caller is the owner, here and below.
        unsafe { work.run() }
    }

    unsafe fn panicked(body: NonNull<Self>, local: InTurn<A::Msg>, unwound: Unwound, turn: &Turn<'_>) -> Flow {
        let work = Work { body: body.as_ptr(), local, turn };
        let header = local.header();
        let panicked_in = header.phase();
        // SAFETY: the caller is the owner, here and below.
        unsafe {
            let dropped = catch_unwind(AssertUnwindSafe(|| drop_pending::<A, F>(header, body.as_ptr())));
            header.set_phase(if panicked_in == phase::STARTING { phase::EMPTY } else { phase::IDLE });
            if dropped.is_err() {
                tracing::error!(pid = %header.pid(), "what a handler held panicked while it was dropped");
            }
            // The handler that asked for it has not come to its end.
            drop(turn.take_stopping());
            header.owned().last.get_or_insert_default().handler = match panicked_in {
                phase::STARTING => Some("start"),
                phase::UNBORN | phase::INITIALISING => Some("init"),
                phase::TERMINATING | phase::TERMINATED => Some("terminate"),
                _ => header.class().handler_if_any(turn.handler()),
            };
            match (panicked_in, unwound) {
                // An exit signal that is not trapped refuses nothing and runs no `terminate`, also if one sends
                // it to oneself.
                (_, Unwound::BySignal(reason)) => Flow::end(reason),
                (phase::STARTING | phase::UNBORN | phase::INITIALISING, unwound) => {
                    work.refuse(StartError::Refused(unwound.into_reason()))
                }
                (phase::TERMINATING | phase::TERMINATED, unwound) => Flow::end(unwound.into_reason()),
                (_, unwound) => {
                    let reason = unwound.into_reason();
                    if !F::TERMINATES {
                        return Flow::end(reason);
                    }
                    match catch_unwind(AssertUnwindSafe(|| work.begin_terminate(reason))) {
                        Ok(()) => {
                            let _ = header.state.note(Cause::Wake);
                            Flow::Yield
                        }
                        // It panicked before it gave its future.
                        Err(payload) => Flow::end(panics::unwound(payload).into_reason()),
                    }
                }
            }
        }
    }

    unsafe fn end(body: NonNull<Self>, local: InTurn<A::Msg>) {
        let header = local.header();
        let has_actor = !matches!(header.phase(), phase::STARTING | phase::EMPTY);
        // Whatever panics below, it is not dropped again.
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the caller is the owner. The future goes first: it borrows the actor.
            unsafe { drop_pending::<A, F>(header, body.as_ptr()) }
        }));
        header.set_phase(phase::EMPTY);
        if has_actor {
            // SAFETY: as above; the phase said that there is one, and says so no more.
            unsafe { (*body.as_ptr()).actor.assume_init_drop() };
        }
        if let Err(payload) = dropped {
            std::panic::resume_unwind(payload);
        }
    }

    unsafe fn position<'a>(_: NonNull<Self>) -> Option<&'a mut Position> {
        None
    }

    fn status(header: &Header, messages: usize) -> Status {
        match header.phase() {
            phase::IDLE if messages == 0 => Status::Waiting,
            phase::IDLE | phase::UNBORN => Status::Runnable,
            phase::SUSPENDED => Status::Suspended,
            _ => Status::Awaiting,
        }
    }

    fn activity(header: &Header) -> Option<Awaited> {
        match header.phase() {
            phase::STARTING => Some(("start", None)),
            phase::INITIALISING => Some(("init", None)),
            phase::HANDLING => header.extra_if_any().map(|extra| {
                (header.class().handler(extra.handler.load(Ordering::Relaxed)), Some(extra.awaits_since.get()))
            }),
            phase::INFORMED => Some(("info", None)),
            phase::TERMINATING => Some(("terminate", None)),
            _ => None,
        }
    }

    unsafe fn show(body: NonNull<Self>, header: &Header) -> Option<String> {
        match header.phase() {
            phase::UNBORN | phase::IDLE | phase::SUSPENDED | phase::TERMINATED => {
                // SAFETY: the caller is the owner; in this phase there is an actor, and no future that borrows it.
                let (actor, owned) = unsafe { ((*body.as_ptr()).actor.assume_init_ref(), header.owned_if_any()) };
                let machine = owned.and_then(|owned| owned.machine.as_ref());
                state_text(|| {
                    let state = F::show_state(actor);
                    match machine {
                        Some(machine) => Some(machine.show(state)),
                        None => state,
                    }
                })
            }
            _ => None,
        }
    }

    fn describe(message: &A::Msg) -> &'static str {
        A::HANDLERS.get(A::handler_of(message) as usize).copied().unwrap_or(A::NAME)
    }
}

/// A message that is dropped if it comes to a panic before it is read.
struct Unread<M>(*const M);

impl<M> Drop for Unread<M> {
    fn drop(&mut self) {
        // SAFETY: the message is there, and is not read any more.
        unsafe { self.0.cast_mut().drop_in_place() };
    }
}

/// Drops the future that the actor awaits, if it awaits one. The phase is left as it is.
///
/// # Safety
/// The caller is the owner, and sets another phase before it uses the body again.
unsafe fn drop_pending<A: Actor, F: Futures<A>>(header: &Header, body: *mut ActorBody<A, F>) {
    // SAFETY: the phase says which future is there.
    unsafe {
        let pending = &mut (*body).pending;
        let with_memory = |end: &mut dyn FnMut(&Stock<'_>)| {
            turn::with_worker_of(header.node(), |worker| end(&turn::stock(worker, header.node())));
        };
        match header.phase() {
            phase::STARTING => ManuallyDrop::drop(&mut pending.start),
            phase::INITIALISING => with_memory(&mut |memory| pending.init.end(memory)),
            phase::HANDLING => ManuallyDrop::drop(&mut pending.handle),
            phase::INFORMED => ManuallyDrop::drop(&mut pending.info),
            phase::TERMINATING => with_memory(&mut |memory| pending.terminate.end(memory)),
            _ => {}
        }
    }
}

impl<A: Actor, F: Futures<A>> Work<'_, '_, A, F> {
    fn header(&self) -> &Header {
        self.local.header()
    }

    fn actor(&self) -> *mut A {
        // SAFETY: a place within the body.
        unsafe { (*self.body).actor.as_mut_ptr() }
    }

    fn cx(&self) -> *mut Context<A> {
        Context::at(self.header())
    }

    /// # Safety
    /// The caller is the owner. For all of these.
    #[inline(always)]
    unsafe fn run(&self) -> Flow {
        let mut is_new = false;
        // SAFETY: the caller's promise, here and below.
        unsafe {
            loop {
                let flow = match self.header().phase() {
                    phase::IDLE => self.handle_messages(),
                    phase::SUSPENDED => {
                        // It awaits nothing that a wake is for. Taken before it looks, or it could not park again.
                        self.header().state.take_woken();
                        self.wait_for_requests()
                    }
                    phase::UNBORN => {
                        if A::OPTIONS.hibernate_after.is_some() {
                            silence::note_always(self.header());
                        }
                        let future = F::init(self.actor(), self.cx());
                        (*self.body).pending.init = ManuallyDrop::new(Placed::new(self.turn.memory()));
                        let init: &mut Placed<_> = &mut (*self.body).pending.init;
                        init.place().write(future);
                        self.header().set_phase(phase::INITIALISING);
                        self.turn.charge(1);
                        self.poll_init()
                    }
                    phase::TERMINATED => Some(Flow::End(self.turn.take_stopping().unwrap_or_default())),
                    phase::TERMINATING if is_new => {
                        self.turn.charge(1);
                        self.poll_terminate()
                    }
                    // A wake that is older than the future does not concern it; a new one is polled anyway.
                    _ if !self.header().state.take_woken() && !is_new => Some(Flow::Park),
                    _ => self.poll_pending(),
                };
                match flow {
                    None => is_new = true,
                    Some(Flow::Park) => {
                        self.keep(is_new);
                        return Flow::Park;
                    }
                    Some(flow) => return flow,
                }
            }
        }
    }

    /// Handles what is in the mailbox, until there is a future to be polled, or another phase.
    #[inline(always)]
    unsafe fn handle_messages(&self) -> Option<Flow> {
        let (header, turn) = (self.header(), self.turn);
        // SAFETY: the caller's promise, here and below.
        unsafe {
            if receive::has_ahead(header) {
                self.handle_ahead()?;
            }
            loop {
                // A stop, a message to itself and all that is rare end the turn: one comparison a message.
                if turn.is_over() {
                    return self.stop_or_yield();
                }
                match self.local.mailbox().next(turn.memory(), || header.held(None)) {
                    Next::Message(message) => {
                        let is_awaiting =
                            if turn.is_taking_noted() { self.handle_noted(message) } else { self.handle(message) };
                        if is_awaiting {
                            return None;
                        }
                    }
                    Next::Special(special) => {
                        if self.do_special(special.open(turn.memory())) {
                            return None;
                        }
                    }
                    Next::ReceiveFirst => return Some(Flow::Receive),
                    Next::Empty => {
                        self.watch_silence();
                        return Some(Flow::Wait);
                    }
                    Next::NotYet => return Some(Flow::Yield),
                }
            }
        }
    }

    /// Handles one message of a process of which more is to be known, or counted.
    #[cold]
    unsafe fn handle_noted(&self, message: *const A::Msg) -> bool {
        let header = self.header();
        // SAFETY: the caller's promise, here and below: there is a message, which is not moved out yet.
        let number = unsafe { A::handler_of(&*message) };
        match header.meet(header.class().handler(number)) {
            Meeting::Handle => {}
            // SAFETY: as above.
            meeting => return unsafe { self.meet(message, number, meeting) },
        }
        header.note_taken(header.class().handler(number));
        // SAFETY: as above.
        let is_awaiting = unsafe { self.handle(message) };
        if !is_awaiting {
            header.trace(|| Traced::Handled(header.class().handler(number)));
        }
        is_awaiting
    }

    /// Something else becomes of the message at `message` than that it is handled now. Returns whether there is another
    /// phase now.
    #[cold]
    unsafe fn meet(&self, message: *const A::Msg, handler: u32, meeting: Meeting) -> bool {
        let header = self.header();
        // SAFETY: the caller's promise, here and below: there is a message, which is moved out once.
        unsafe {
            header.note_left();
            match meeting {
                Meeting::Handle => self.handle(message),
                Meeting::Delay(delay) => {
                    receive::go_on_with(header, Event::Message(message.read()));
                    self.do_request(Request::Suspend);
                    header.resume_after(delay);
                    true
                }
                Meeting::Lose => {
                    header.lose(Box::new(message.read()));
                    false
                }
                Meeting::Panic(text) => {
                    let _unread = Unread(message);
                    self.turn.handle(handler);
                    panic!("{text}")
                }
                Meeting::Kill => {
                    let _unread = Unread(message);
                    panics::unwind(Unwound::BySignal(ExitReason::Killed))
                }
            }
        }
    }

    /// Handles what goes before all that is in the mailbox. `None` when there is no more.
    #[cold]
    unsafe fn handle_ahead(&self) -> Option<()> {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            while !self.turn.is_over() {
                let is_awaiting = match receive::take_ahead::<A::Msg>(self.header()) {
                    Some(Event::Message(message)) => self.handle_apart(message),
                    Some(Event::Info(info)) => self.be_told(info),
                    None => break,
                };
                if is_awaiting {
                    return None;
                }
            }
        }
        Some(())
    }

    /// Handles one message that came in another way than most. Returns whether there is a future now.
    #[cold]
    unsafe fn handle_apart(&self, message: A::Msg) -> bool {
        let header = self.header();
        let name = || header.class().handler(A::handler_of(&message));
        let noted = self.turn.is_taking_noted().then(name);
        if let Some(handler) = noted {
            header.message_noted(handler);
        }
        let message = ManuallyDrop::new(message);
        // SAFETY: the caller's promise.
        let is_awaiting = unsafe { self.handle(&raw const *message) };
        if let Some(handler) = noted.filter(|_| !is_awaiting) {
            header.trace(|| Traced::Handled(handler));
        }
        is_awaiting
    }

    /// Handles the message at `message`, which is moved out. Returns whether there is a future now.
    #[inline(always)]
    unsafe fn handle(&self, message: *const A::Msg) -> bool {
        // SAFETY: the caller's promise; there is no other future, so nobody else uses the actor.
        unsafe {
            let unread = Unread(message);
            let handler = A::handler_of(&*message);
            self.turn.handle(handler);
            observe::message_handled(self.header(), || self.header().class().handler(handler));
            std::mem::forget(unread);
            match F::handle(self.actor(), message, self.cx()) {
                Step::Done => false,
                Step::Async(future) => {
                    (*self.body).pending.handle = ManuallyDrop::new(future);
                    self.header().set_phase(phase::HANDLING);
                    true
                }
            }
        }
    }

    /// Handles something of ours. Returns whether there is another phase now.
    #[cold]
    unsafe fn do_special(&self, special: Special<A::Msg>) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            match special.into_taken() {
                Some(Taken::Info(info)) => self.be_told(info),
                Some(Taken::Request(request)) => {
                    self.do_request(request);
                    true
                }
                Some(Taken::Message(message)) => self.handle_apart(message),
                Some(Taken::Timeout(timeout)) => {
                    machinery::timed_out(self.header(), &timeout);
                    // What it is to do lies ahead of the mailbox.
                    true
                }
                None => false,
            }
        }
    }

    /// Handles an info. Returns whether there is another phase now.
    unsafe fn be_told(&self, info: Info) -> bool {
        self.turn.handle(INFO_HANDLER);
        // SAFETY: as for `handle`.
        unsafe {
            self.header().break_silence();
            match info {
                // A parent's end ends a child that traps exits too, by way of `terminate`.
                Info::Exit(exit) if Some(exit.from) == self.header().parent() => {
                    self.note_told(&exit.reason);
                    self.begin_terminate(exit.reason);
                    true
                }
                info => match F::info(self.actor(), info, self.cx()) {
                    Step::Done => false,
                    Step::Async(future) => {
                        (*self.body).pending.info = ManuallyDrop::new(future);
                        self.header().set_phase(phase::INFORMED);
                        true
                    }
                },
            }
        }
    }

    unsafe fn do_request(&self, request: Request) {
        match request {
            // SAFETY: the caller's promise.
            Request::Stop(reason) => unsafe {
                self.note_told(&reason);
                self.begin_terminate(reason);
            },
            Request::Visit(visit) => {
                self.turn.handle(NO_HANDLER);
                // SAFETY: the caller's promise; there is no future, so nobody else uses the actor.
                visit.visit(unsafe { &mut *self.actor() });
            }
            Request::Status(reply) => {
                self.turn.handle(NO_HANDLER);
                // SAFETY: the caller's promise; this is between two pieces of the process's code.
                let status = unsafe {
                    let info = receive::inspect::<A::Msg, ActorBody<A, F>>(self.local, self.turn);
                    let state = ActorBody::show(NonNull::new_unchecked(self.body), self.header());
                    ProcessStatus::of(self.header(), info, state)
                };
                reply.answer(status);
            }
            Request::Suspend | Request::Resume => {
                let suspend = matches!(request, Request::Suspend);
                self.header().set_suspended(suspend);
                self.header().set_phase(if suspend { phase::SUSPENDED } else { phase::IDLE });
            }
        }
    }

    /// Takes requests past the messages that wait.
    #[cold]
    unsafe fn wait_for_requests(&self) -> Option<Flow> {
        let mut position = Position::HEAD;
        // SAFETY: the caller's promise; the position is new.
        unsafe {
            self.local.mailbox().trim(self.turn.memory(), || self.header().held(None));
            match self.local.mailbox().take_request(&mut position, self.turn.memory()) {
                Ok(request) => {
                    self.do_request(request);
                    None
                }
                Err(Walked::End) => {
                    let held = || self.header().held(None);
                    Some(Flow::park_at(self.local, position, self.turn, held))
                }
                Err(Walked::Stopped) => Some(Flow::Receive),
                Err(Walked::Hole) => Some(Flow::Yield),
            }
        }
    }

    /// The turn is over: because the actor is to stop, or for any other reason. If there is nothing more to do it waits: at
    /// the back of a queue, it would have its next message wait for all others.
    #[cold]
    unsafe fn stop_or_yield(&self) -> Option<Flow> {
        // SAFETY: the caller's promise.
        if unsafe { self.stop_if_asked() } {
            return None;
        }
        // There is no future that a wake, as of an alarm that rings late, could be for.
        self.header().state.take_woken();
        // SAFETY: as above.
        unsafe {
            if receive::has_more(self.header()) {
                return Some(Flow::Yield);
            }
            silence::settle(self.header());
            self.watch_silence();
        }
        Some(Flow::Wait)
    }

    /// Nothing is there to be handled. An actor that hibernates by itself does so if it stays like that.
    #[inline]
    unsafe fn watch_silence(&self) {
        if let Some(after) = A::OPTIONS.hibernate_after {
            // SAFETY: the caller's promise.
            unsafe { silence::watch(self.header(), after) };
        }
    }

    /// The handler awaits something: what the turn knows of it is kept for later turns.
    #[cold]
    unsafe fn keep(&self, is_new: bool) {
        let header = self.header();
        // SAFETY: the caller's promise, here and below.
        unsafe {
            if is_new && header.phase() == phase::HANDLING {
                // For those who look: the handler that is awaited.
                let extra = header.extra();
                extra.handler.store(self.turn.handler(), Ordering::Relaxed);
                extra.awaits_since.set(header.node().runtime().clock().coarse_moment());
            }
            if let Some(reason) = self.turn.take_stopping() {
                header.owned().stopping.get_or_insert(reason);
            }
        }
    }

    /// Begins to end, if a handler asked for it.
    unsafe fn stop_if_asked(&self) -> bool {
        // SAFETY: the caller's promise. What was asked for before counts.
        let kept = unsafe { self.header().owned_if_any() }.and_then(|owned| owned.stopping.take());
        let asked = self.turn.take_stopping();
        let Some(reason) = kept.or(asked) else {
            // SAFETY: as above.
            if unsafe { silence::is_to_hibernate(self.header()) } {
                self.turn.end();
            }
            return false;
        };
        if reason.is_abnormal() {
            // SAFETY: the caller's promise.
            let last = unsafe { self.header().owned() }.last.get_or_insert_default();
            last.handler = self.header().class().handler_if_any(self.turn.handler());
        }
        // SAFETY: as above.
        unsafe { self.begin_terminate(reason) };
        true
    }

    /// The actor is told to end, for this reason: should that be reported, it is not its own doing.
    unsafe fn note_told(&self, reason: &ExitReason) {
        if reason.is_abnormal() {
            // SAFETY: the caller's promise.
            unsafe { self.header().owned() }.last.get_or_insert_default().told = true;
        }
    }

    unsafe fn begin_terminate(&self, reason: impl Into<Ending>) {
        self.header().end_suspension();
        if !F::TERMINATES {
            self.turn.stop_process(reason.into());
            return self.header().set_phase(phase::TERMINATED);
        }
        let memory = self.turn.memory();
        // SAFETY: the caller's promise. The reason stays where it is until the future is gone.
        unsafe {
            (*self.body).pending.terminate = ManuallyDrop::new(Placed::new(memory));
            let terminate: &mut Placed<Terminating<_>> = &mut (*self.body).pending.terminate;
            let place = terminate.place().as_ptr();
            (&raw mut (*place).reason).write(reason.into());
            let unbegun = Unbegun { terminate, memory };
            let given: &ExitReason = &(*place).reason;
            (&raw mut (*place).future).write(F::terminate(self.actor(), given, self.cx()));
            std::mem::forget(unbegun);
        }
        self.header().set_phase(phase::TERMINATING);
    }

    /// Polls the future. `None` if it is done and there is something else to do.
    unsafe fn poll_pending(&self) -> Option<Flow> {
        let (header, body) = (self.header(), self.body);
        let waker = header.waker();
        let mut cx = TaskContext::from_waker(&waker);
        self.turn.charge(1);
        // SAFETY: the caller's promise. The phase says which future there is; it lies where it was written
        // until it is dropped there, so it is pinned. A future that is done counts as gone before it is
        // dropped, so that it is not dropped again if that panics.
        unsafe {
            let pending = &mut (*body).pending;
            match header.phase() {
                phase::STARTING => {
                    let Poll::Ready(made) = pending.start.as_mut().as_mut().poll(&mut cx) else {
                        return Some(Flow::Park);
                    };
                    header.set_phase(phase::EMPTY);
                    ManuallyDrop::drop(&mut pending.start);
                    match made {
                        Ok(actor) => {
                            (*self.body).actor.write(actor);
                            header.set_phase(phase::UNBORN);
                        }
                        Err(error) => return Some(self.refuse(error)),
                    }
                }
                phase::INITIALISING => return self.poll_init(),
                phase::HANDLING => {
                    if self.turn.handler() == NO_HANDLER
                        && let Some(extra) = header.extra_if_any()
                    {
                        self.turn.go_on_with(extra.handler.load(Ordering::Relaxed));
                    }
                    let Poll::Ready(()) = pin(&mut pending.handle).poll(&mut cx) else { return Some(Flow::Park) };
                    header.set_phase(phase::IDLE);
                    ManuallyDrop::drop(&mut pending.handle);
                    header.handler_over();
                    header.trace(|| Traced::Handled(header.class().handler(self.turn.handler())));
                }
                phase::INFORMED => {
                    let Poll::Ready(()) = pin(&mut pending.info).poll(&mut cx) else { return Some(Flow::Park) };
                    header.set_phase(phase::IDLE);
                    ManuallyDrop::drop(&mut pending.info);
                    header.handler_over();
                }
                phase::TERMINATING => return self.poll_terminate(),
                _ => unreachable!("in this phase there is a future"),
            }
            self.stop_if_asked();
        }
        None
    }

    /// Polls `init`. For this and [`poll_terminate`](Self::poll_terminate) see `poll_pending`; most are done at
    /// once.
    #[inline(always)]
    unsafe fn poll_init(&self) -> Option<Flow> {
        let header = self.header();
        let waker = header.waker();
        // SAFETY: as in `poll_pending`.
        unsafe {
            let init = &mut (*self.body).pending.init;
            let future = Pin::new_unchecked(init.place().as_mut());
            let Poll::Ready(done) = future.poll(&mut TaskContext::from_waker(&waker)) else {
                return Some(Flow::Park);
            };
            header.set_phase(phase::IDLE);
            init.end(self.turn.memory());
            header.handler_over();
            match done {
                Ok(()) => self.started(),
                Err(refused) => return Some(self.refuse(refused.into())),
            }
            self.stop_if_asked();
        }
        None
    }

    /// Polls `terminate`.
    #[inline(always)]
    unsafe fn poll_terminate(&self) -> Option<Flow> {
        let header = self.header();
        let waker = header.waker();
        // SAFETY: as in `poll_pending`.
        unsafe {
            let place = &mut (*self.body).pending.terminate;
            let terminate = place.place().as_mut();
            let future = Pin::new_unchecked(&mut terminate.future);
            let Poll::Ready(()) = future.poll(&mut TaskContext::from_waker(&waker)) else { return Some(Flow::Park) };
            header.set_phase(phase::TERMINATED);
            let reason = std::mem::take(&mut terminate.reason);
            place.end(self.turn.memory());
            Some(Flow::End(reason))
        }
    }

    /// The actor has begun: whoever waits for the start is told.
    unsafe fn started(&self) {
        // SAFETY: the caller's promise.
        let launching = unsafe { self.header().owned_if_any() }.and_then(|owned| owned.launching.take());
        if let Some(launching) = launching {
            launching.succeed();
        }
    }

    /// The actor does not begin. If somebody waits for the start, the end is reported by nobody else, and comes to nobody
    /// over a link; whoever waits is told when it is over. A panic still ends those who do not trap exits.
    unsafe fn refuse(&self, error: StartError) -> Flow {
        let header = self.header();
        let reason = error.as_reason();
        // SAFETY: the caller's promise.
        let owned = unsafe { header.owned() };
        if let Some(launching) = &mut owned.launching {
            let is_panic = matches!(error, StartError::Refused(ExitReason::Panic(_)));
            let linked = launching.linked;
            launching.failed(error);
            owned.quiet = true;
            header.unlink_if(|peer| Some(peer) == linked && (!is_panic || header.is_trapped_by(peer)));
        }
        Flow::end(reason)
    }
}

/// # Safety
/// The future stays where it is until it is dropped there.
unsafe fn pin<F>(future: &mut ManuallyDrop<F>) -> Pin<&mut F> {
    // SAFETY: the caller's promise.
    unsafe { Pin::new_unchecked(&mut **future) }
}
