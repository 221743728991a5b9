//! The memory of one process, and references to it.
//!
//! ```text
//!   Cell<M, B> = Header | Mailbox<M> | body B          one allocation, from the runtime's pool
//!                  │
//!                  └─ extra ──▶ Extra                  made when it is first needed: links, monitors, a name, …
//!
//!   AnyRef     counts; knows the header                Address<M> ──▶ CellRef<M>  counts; knows the mailbox too
//! ```
//!
//! A cell lives as long as anybody refers to it; the process itself counts as one until it has ended. What
//! the body holds is dropped at the end of the process, whoever still refers to the cell.
//!
//! # Who may touch what
//! - the header's atomics, the mailbox's senders' side, `Extra`'s locks: anybody with a reference.
//! - the body, the mailbox's owner's side, [`Owned`]: the owner. That is whoever has the process's turn;
//!   the state word and the mailbox's word see to it that there is one at most.
#![expect(unsafe_code, reason = "references are counted by hand, and cells know their type by a class")]

use std::alloc::Layout;
use std::any::{Any, TypeId};
use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::task::{RawWaker, RawWakerVTable, Waker};

use parking_lot::Mutex;

use super::actor::INFO_HANDLER;
use super::control::Control;
use super::run::Flow;
use super::state::{Cause, State};
use super::turn::{self, After, Turn};
use crate::call::ReplyWord;
use crate::clock::AtomicMoment;
use crate::exit::Ending;
use crate::inspect::Status;
use crate::lease::Lease;
use crate::mailbox::{Held, Mailbox, Notice, Position, Pushed, Special, Taken};
use crate::memory::Memory;
use crate::node::Node;
use crate::panics::Unwound;
use crate::pid::Pid;
use crate::priority::Priority;
use crate::signal::{Info, MonitorRef, Signal};
use crate::spec::Launching;
use crate::sync::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use crate::timer::TimerRef;

/// What does not depend on the type of messages or of the body.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) state: State,
    references: AtomicU32,
    class: &'static Class,
    node: Lease<Node>,
    slot: u32,
    generation: u32,
    extra: AtomicPtr<Extra>,
    parent: Parent,
    /// The low half of what it has done; the high half is in `Extra`.
    reductions: AtomicU32,
    /// Its priority, and what else is a bit.
    rank: AtomicU8,
    /// What can be seen of it from outside.
    activity: AtomicU8,
    /// How often a process of low priority was passed over since its last turn.
    skips: AtomicU8,
    /// What its body is at; the body's own.
    phase: AtomicU8,
}

/// The bits of the rank that are no priority.
const BOUNDED: u8 = 0x80;
/// A waker of the process was cloned: it can be woken by whoever has that.
const WAKER_OUT: u8 = 0x40;
/// It belongs to a group that has a leader.
const LED: u8 = 0x20;
const RANK_BITS: u8 = BOUNDED | WAKER_OUT | LED;

/// The parent, if it is of the same node: without its node's identity it takes half the room.
#[derive(Clone, Copy)]
struct Parent {
    slot: u32,
    generation: u32,
}

const NO_PARENT: u32 = u32::MAX;

/// What a process is doing, as far as its state words do not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Activity {
    /// It waits for something, or for a worker.
    Resting = 0,
    /// A worker runs it.
    Running = 1,
    /// It has ended.
    Ended = 2,
    /// It has ended, and its state is dropped; whoever is refused by its mailbox finds it no more.
    Gone = 3,
}

/// What a process needs seldom.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) control: Mutex<Control>,
    pub(crate) reply: ReplyWord,
    /// Where the reply goes, or the box that it came in.
    pub(crate) place: AtomicPtr<()>,
    pub(crate) is_boxed: AtomicU8,
    /// The moment when the process is to be woken to see to its deadlines.
    pub(crate) alarm: AtomicMoment,
    /// The timer of that.
    alarm_timer: Mutex<Option<TimerRef>>,
    /// Who awaits the reply, if that is not the process itself.
    pub(crate) waiter: Mutex<Option<Waker>>,
    /// User messages in the mailbox, if that is bounded.
    pub(crate) messages: AtomicU64,
    reductions_high: AtomicU32,
    pub(super) owned: UnsafeCell<Owned>,
}

/// The span of a process.
pub(crate) struct Logged {
    pub(crate) span: tracing::Span,
    /// Whether the span has the process's name.
    pub(crate) has_name: bool,
}

/// The part of [`Extra`] that only the owner touches.
#[derive(Default)]
pub(crate) struct Owned {
    /// Up to where the mailbox has been looked through for what must be received.
    pub(crate) received: Position,
    /// Messages that are read before all others: a `VecDeque<M>`.
    pub(crate) urgent: Option<Box<dyn Any + Send>>,
    /// What its code logs is logged within, once somebody listens.
    pub(crate) logged: Option<Box<Logged>>,
    /// Whether it was asked to stay as it is.
    pub(crate) suspended: bool,
    /// Why it is to end after the handler that it awaits, by way of `terminate`.
    pub(crate) stopping: Option<Ending>,
    /// What is still to be settled of its start.
    pub(crate) launching: Option<Box<Launching>>,
    /// Its end is reported by somebody else.
    pub(crate) quiet: bool,
    /// The number of the handler that it awaits.
    pub(crate) handler: u32,
    /// It has given back what it could, and waits.
    pub(crate) hibernating: bool,
    /// How much a straight-line process has taken from behind messages that stay, since the last sweep.
    pub(crate) taken_from_behind: usize,
}

impl Extra {
    /// Moves it to where it stays.
    pub(crate) fn place(self, node: &Node) -> *mut Self {
        turn::with_worker_of(node, |worker| {
            let place = turn::stock(worker, node).allocate(Layout::new::<Self>()).cast::<Self>();
            // SAFETY: the memory has this layout, and is nobody else's.
            unsafe { place.write(self) };
            place.as_ptr()
        })
    }

    /// # Safety
    /// It was placed for a cell of the same node, and nobody refers to it.
    unsafe fn free(place: NonNull<Self>, node: &Node) {
        // SAFETY: the caller's promise.
        unsafe {
            place.drop_in_place();
            turn::with_worker_of(node, |worker| {
                turn::stock(worker, node).release(place.cast(), Layout::new::<Self>());
            });
        }
    }
}

// SAFETY: `owned` is touched by the owner only; all else is Sync by itself. What it holds is Send.
unsafe impl Sync for Extra {}
// SAFETY: as above.
unsafe impl Send for Extra {}

/// A process that takes messages of type `M`.
#[repr(C)]
pub(crate) struct Local<M> {
    header: Header,
    pub(crate) mailbox: Mailbox<M>,
}

/// A process and what it runs.
#[repr(C)]
pub(crate) struct Cell<M, B> {
    local: Local<M>,
    body: UnsafeCell<ManuallyDrop<B>>,
}

/// What the owner does with the body of a process.
pub(crate) trait Body<M>: Sized {
    /// Runs on until it waits, its turn is over, or it ends.
    ///
    /// # Safety
    /// The caller is the owner, and `body` is the one of `local`.
    unsafe fn run(body: NonNull<Self>, local: InTurn<M>, turn: &Turn<'_>) -> Flow;

    /// Goes on after `run` was unwound.
    ///
    /// # Safety
    /// As for [`run`](Self::run).
    unsafe fn panicked(body: NonNull<Self>, local: InTurn<M>, unwound: Unwound, turn: &Turn<'_>) -> Flow;

    /// Drops what is left of it. Afterwards it is used no more.
    ///
    /// # Safety
    /// As for [`run`](Self::run).
    unsafe fn end(body: NonNull<Self>, local: InTurn<M>);

    /// The position in the mailbox that it holds.
    ///
    /// # Safety
    /// As for [`run`](Self::run); the caller holds no other reference to it.
    unsafe fn position<'a>(body: NonNull<Self>) -> Option<&'a mut Position>;

    /// What it was doing when it was asked, with so many messages in its mailbox. For the owner.
    fn status(header: &Header, messages: usize) -> Status;

    /// The handler that it awaits. For the owner.
    fn activity(header: &Header) -> Option<&'static str>;

    /// What a message is called: the name of its handler.
    fn describe(message: &M) -> &'static str;
}

/// What is the same for all processes of one type.
pub(crate) struct Class {
    pub(crate) actor: fn() -> &'static str,
    message: fn() -> TypeId,
    /// The names of the handlers, by the number that a worker publishes while it runs one.
    pub(crate) handlers: &'static [&'static str],
    pub(crate) limit: Option<usize>,
    pub(crate) layout: Layout,
    run: unsafe fn(NonNull<Header>, &Turn<'_>) -> After,
    push: unsafe fn(&Header, Notice) -> Result<(), Notice>,
    len: unsafe fn(&Header) -> usize,
    is_waiting: unsafe fn(&Header) -> bool,
    mailbox_bytes: unsafe fn(&Header) -> usize,
    drain: unsafe fn(&Header),
    flush: unsafe fn(&Header, MonitorRef, &Turn<'_>),
    free: unsafe fn(NonNull<Header>),
}

/// What a process is made with.
pub(crate) struct Birth {
    pub(crate) node: Lease<Node>,
    pub(crate) pid: Pid,
    pub(crate) parent: Option<Pid>,
    pub(crate) priority: Priority,
    /// It belongs to a group that has a leader.
    pub(crate) is_led: bool,
    pub(crate) extra: *mut Extra,
    /// How many references its body begins with.
    pub(crate) references: u32,
}

impl Class {
    /// What such a process runs.
    pub(crate) fn actor(&self) -> &'static str {
        let name = (self.actor)();
        match name.split_once("::{{closure}}") {
            // Straight-line code is known by the function that it was written in.
            Some((written_in, _)) => written_in,
            None => name,
        }
    }

    /// The type of its messages.
    pub(crate) fn message_type(&self) -> TypeId {
        (self.message)()
    }

    /// What the handler of this number is called.
    pub(crate) fn handler(&self, number: u32) -> &'static str {
        match number {
            INFO_HANDLER => "info",
            number => self.handlers.get(number as usize).copied().unwrap_or("handle"),
        }
    }
}

impl<M: Send + 'static, B: Body<M> + 'static> Cell<M, B> {
    /// Makes a process. The reference that is returned is that of the process itself: it lives until
    /// [`AnyRef::ended`]. `make` writes the body into its place.
    pub(crate) fn make(
        class: &'static Class,
        birth: Birth,
        memory: &impl Memory,
        make: impl FnOnce(NonNull<B>, &CellRef<M>),
    ) -> CellRef<M> {
        let piece = memory.allocate(const { Layout::new::<Self>() }).cast::<Self>();
        // A reference leads from `Me` and `Context`, which have no size, back to the cell.
        let _ = piece.as_ptr().expose_provenance();
        let node = birth.node;
        let parent = birth.parent.filter(|parent| parent.node() == node.id());
        let bounded = if class.limit.is_some() { BOUNDED } else { 0 };
        let led = if birth.is_led { LED } else { 0 };
        let header = Header {
            state: State::submitted(),
            // The process itself, and the reference that is returned.
            references: AtomicU32::new(2 + birth.references),
            class,
            node,
            slot: birth.pid.slot(),
            generation: birth.pid.generation(),
            extra: AtomicPtr::new(birth.extra),
            parent: parent.map_or(Parent { slot: NO_PARENT, generation: 0 }, |parent| Parent {
                slot: parent.slot(),
                generation: parent.generation(),
            }),
            reductions: AtomicU32::new(0),
            rank: AtomicU8::new(birth.priority as u8 | bounded | led),
            activity: AtomicU8::new(Activity::Resting as u8),
            skips: AtomicU8::new(0),
            phase: AtomicU8::new(0),
        };
        // SAFETY: the piece has the layout of this type (see `class`), and nobody else knows it.
        unsafe {
            (&raw mut (*piece.as_ptr()).local).write(Local { header, mailbox: Mailbox::new() });
            let reference = CellRef(piece.cast::<Local<M>>());
            make(Self::body_of(piece.cast()), &reference);
            reference
        }
    }

    /// The class of this type.
    pub(crate) const fn class(
        actor: fn() -> &'static str,
        handlers: &'static [&'static str],
        limit: Option<usize>,
        run: unsafe fn(NonNull<Header>, &Turn<'_>) -> After,
    ) -> Class {
        Class {
            actor,
            message: TypeId::of::<M>,
            handlers,
            limit,
            layout: Layout::new::<Self>(),
            run,
            push: push_notice::<M>,
            // SAFETY: the class is that of the cell, and the cell takes messages of this type.
            len: |header| unsafe { local_of::<M>(header) }.mailbox.len(),
            // SAFETY: the class is that of the cell, and the cell takes messages of this type.
            is_waiting: |header| unsafe { local_of::<M>(header) }.mailbox.is_waiting(),
            // SAFETY: the class is that of the cell, and the cell takes messages of this type.
            mailbox_bytes: |header| unsafe { local_of::<M>(header) }.mailbox.bytes(),
            // SAFETY: the class is that of the cell, and the cell takes messages of this type.
            drain: |header| unsafe { local_of::<M>(header) }.mailbox.drain(),
            flush: flush_down::<M>,
            free: Self::free,
        }
    }

    /// The body of the cell at `header`.
    ///
    /// # Safety
    /// The cell has this type.
    pub(crate) unsafe fn body_of(header: NonNull<Header>) -> NonNull<B> {
        // SAFETY: the caller's promise: the body is within the cell.
        unsafe {
            let cell = header.cast::<Self>().as_ptr();
            NonNull::new_unchecked(UnsafeCell::raw_get(&raw const (*cell).body)).cast()
        }
    }

    /// # Safety
    /// Nobody refers to the cell any more; the process has ended, so that its body and what was in its
    /// mailbox have been dropped.
    unsafe fn free(header: NonNull<Header>) {
        // SAFETY: the caller's promise.
        unsafe {
            let extra = header.as_ref().extra.load(Ordering::Relaxed);
            // The node last: it keeps the pool alive. What else is in a header or a mailbox needs no drop.
            let node = (&raw const (*header.as_ptr()).node).read();
            if let Some(extra) = NonNull::new(extra) {
                Extra::free(extra, &node);
            }
            turn::with_worker_of(&node.handle(), |worker| {
                turn::stock(worker, &node).release(header.cast(), const { Layout::new::<Self>() });
                match worker {
                    // A worker that leads has no turn after this in which it would rest.
                    Some(turn) if !turn.is_leading() => {
                        drop(turn.with_allotment(&node.handle(), |allotment| allotment.put_reference(node)));
                    }
                    _ => drop(node),
                }
            });
        }
    }
}

/// # Safety
/// The cell takes messages of type `M`.
unsafe fn push_notice<M: Send + 'static>(header: &Header, notice: Notice) -> Result<(), Notice> {
    // SAFETY: the caller's promise.
    match unsafe { local_of::<M>(header) }.push_special(Special::Notice(notice)) {
        Ok(()) => Ok(()),
        Err(Special::Notice(notice)) => Err(notice),
        Err(Special::ByAlias { .. }) => unreachable!("what is handed back is what was pushed"),
    }
}

/// # Safety
/// The cell takes messages of type `M`, and the caller is the owner.
unsafe fn flush_down<M: Send + 'static>(header: &Header, reference: MonitorRef, turn: &Turn<'_>) {
    // SAFETY: the caller's promise.
    let mailbox = unsafe { &local_of::<M>(header).mailbox };
    let wants = |taken| match taken {
        Taken::Info(Info::Down(down)) if down.reference == reference => Ok(()),
        other => Err(other),
    };
    // SAFETY: as above; the position is new. A `Down` that was not received yet finds no monitor.
    let _ = unsafe { mailbox.take(&mut { Position::HEAD }, turn.memory(), wants) };
}

/// # Safety
/// The cell takes messages of type `M`.
unsafe fn local_of<M>(header: &Header) -> &Local<M> {
    // SAFETY: the caller's promise; the provenance of the whole cell was exposed when it was made.
    unsafe { &*ptr::with_exposed_provenance::<Local<M>>(ptr::from_ref(header).addr()) }
}

impl<M> Local<M> {
    /// What does not depend on its type.
    #[inline]
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }
}

impl<M: Send + 'static> Local<M> {
    /// Sends the message at `message`: into the mailbox, and the process onto a run queue if it waits for one.
    ///
    /// # Safety
    /// There is a message. It is not the caller's any more, unless this fails.
    #[inline]
    pub(crate) unsafe fn push(&self, message: *const M) -> Result<(), SendFailed> {
        let header = &self.header;
        if header.is_bounded() && !header.admits() {
            return Err(SendFailed::Full);
        }
        let is_taken = turn::with_worker_of(&header.node, |worker| {
            if let Some(turn) = worker {
                turn.sends_to(header);
            }
            // SAFETY: the caller's promise.
            match unsafe { self.mailbox.push(message, &turn::stock(worker, &header.node)) } {
                Pushed::Queued => {}
                Pushed::Schedule => header.submit_by(worker),
                Pushed::Wake => header.note(Cause::Wake),
                Pushed::Closed(()) => return false,
            }
            true
        });
        if is_taken { Ok(()) } else { Err(SendFailed::Closed) }
    }

    /// Sends something else.
    pub(crate) fn push_special(&self, special: Special<M>) -> Result<(), Special<M>> {
        let is_received = match &special {
            Special::Notice(notice) => notice.is_received(),
            Special::ByAlias { .. } => true,
        };
        let node = &self.header.node;
        let pushed =
            turn::with_worker_of(node, |worker| self.mailbox.push_special(special, &turn::stock(worker, node)));
        match pushed {
            Pushed::Closed(special) => return Err(special),
            Pushed::Queued if is_received => self.header.note(Cause::Receive),
            Pushed::Queued => {}
            Pushed::Schedule => {
                // Noted before it is submitted, so that its next turn looks for it. It is not parked: it
                // waited, and this sender alone submits it.
                if is_received {
                    let parked = self.header.state.note(Cause::Receive);
                    debug_assert!(!parked, "a process that waits for its mailbox is not parked");
                }
                self.header.submit();
            }
            Pushed::Wake => self.header.note(if is_received { Cause::WakeToReceive } else { Cause::Wake }),
        }
        Ok(())
    }
}

/// Why a message was not taken.
#[derive(Clone, Copy)]
pub(crate) enum SendFailed {
    Full,
    Closed,
}

impl Header {
    #[inline]
    pub(crate) fn pid(&self) -> Pid {
        Pid::new(self.node.id(), self.slot, self.generation)
    }

    #[inline]
    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    #[inline]
    pub(crate) fn class(&self) -> &'static Class {
        self.class
    }

    /// What it runs: the actor's name, or the function that straight-line code was written in.
    pub(crate) fn actor(&self) -> &'static str {
        self.class.actor()
    }

    /// How many bytes it takes, as far as they are counted.
    pub(crate) fn memory(&self) -> usize {
        let extra = if self.extra_if_any().is_some() { size_of::<Extra>() } else { 0 };
        // SAFETY: the class is the one of this cell's type.
        self.class.layout.size() + extra + unsafe { (self.class.mailbox_bytes)(self) }
    }

    #[inline]
    pub(crate) fn parent(&self) -> Option<Pid> {
        let Parent { slot, generation } = self.parent;
        (slot != NO_PARENT).then(|| Pid::new(self.node.id(), slot, generation))
    }

    #[inline]
    pub(crate) fn priority(&self) -> Priority {
        Priority::from_number(self.rank.load(Ordering::Relaxed) & !RANK_BITS)
    }

    /// Sets its priority, from its next turn on; returns the one before.
    pub(crate) fn set_priority(&self, priority: Priority) -> Priority {
        let change = |rank: u8| Some(rank & RANK_BITS | priority as u8);
        let before = self.rank.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
        Priority::from_number(before.unwrap_or_else(|rank| rank) & !RANK_BITS)
    }

    /// Whether something else than its mailbox may wake the process: a waker, or a reply. An alarm is for calls, and
    /// there is a reply to come as long as one is awaited. For the owner.
    #[inline]
    pub(crate) fn may_be_woken(&self) -> bool {
        self.rank.load(Ordering::Relaxed) & WAKER_OUT != 0
            || self.state.has_notes()
            || self.extra_if_any().is_some_and(|extra| !extra.reply.is_free())
    }

    /// Whether it belongs to a group that has a leader.
    #[inline]
    pub(crate) fn is_led(&self) -> bool {
        self.rank.load(Ordering::Relaxed) & LED != 0
    }

    /// It belongs to such a group from now on.
    pub(crate) fn note_leader(&self) {
        self.rank.fetch_or(LED, Ordering::Relaxed);
    }

    #[inline]
    fn note_waker(&self) {
        if self.rank.load(Ordering::Relaxed) & WAKER_OUT == 0 {
            self.rank.fetch_or(WAKER_OUT, Ordering::Relaxed);
        }
    }

    #[inline]
    fn is_bounded(&self) -> bool {
        self.rank.load(Ordering::Relaxed) & BOUNDED != 0
    }

    /// What its body is at. For the body.
    #[inline]
    pub(crate) fn phase(&self) -> u8 {
        self.phase.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set_phase(&self, phase: u8) {
        self.phase.store(phase, Ordering::Relaxed);
    }

    /// Passes a process of low priority over; returns whether it is still not its turn.
    pub(crate) fn is_passed_over(&self) -> bool {
        // Only the worker that holds the process on its queue changes this.
        let skips = self.skips.load(Ordering::Relaxed);
        let next = if skips + 1 < crate::config::LOW_IS_PASSED_OVER { skips + 1 } else { 0 };
        self.skips.store(next, Ordering::Relaxed);
        next != 0
    }

    #[inline]
    pub(crate) fn activity(&self) -> Activity {
        match self.activity.load(Ordering::Relaxed) {
            0 => Activity::Resting,
            1 => Activity::Running,
            2 => Activity::Ended,
            _ => Activity::Gone,
        }
    }

    #[inline]
    pub(crate) fn set_activity(&self, activity: Activity) {
        self.activity.store(activity as u8, Ordering::Release);
    }

    /// Whether the process has ended, or is about to announce its end.
    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        // SeqCst: see `extra_at_end`.
        self.activity.load(Ordering::SeqCst) >= Activity::Ended as u8
    }

    /// Whether its state is dropped too.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        self.activity.load(Ordering::Acquire) == Activity::Gone as u8
    }

    /// What it has done so far.
    pub(crate) fn reductions(&self) -> u64 {
        let high = || self.extra_if_any().map_or(0, |extra| extra.reductions_high.load(Ordering::Acquire));
        loop {
            let before = high();
            let low = self.reductions.load(Ordering::Acquire);
            if before == high() {
                return u64::from(before) << 32 | u64::from(low);
            }
        }
    }

    /// Adds what a turn has done. For the owner.
    #[inline]
    pub(crate) fn add_reductions(&self, done: u64) {
        let before = self.reductions.load(Ordering::Relaxed);
        let now = u64::from(before) + done;
        if now >> 32 != 0 {
            self.carry_reductions((now >> 32) as u32);
        }
        self.reductions.store(now as u32, Ordering::Release);
    }

    #[cold]
    fn carry_reductions(&self, carry: u32) {
        self.extra().reductions_high.fetch_add(carry, Ordering::AcqRel);
    }

    /// What it needs seldom; made now if it was not needed before.
    #[inline]
    pub(crate) fn extra(&self) -> &Extra {
        match self.extra_if_any() {
            Some(extra) => extra,
            None => self.make_extra(),
        }
    }

    #[inline]
    pub(crate) fn extra_if_any(&self) -> Option<&Extra> {
        // Acquire: pairs with the Release of whoever made it.
        // SAFETY: what the pointer leads to was made by `make_extra` and lives as long as the cell.
        unsafe { self.extra.load(Ordering::Acquire).as_ref() }
    }

    /// Says that the process has ended, and looks for what it needed seldom. Of two, one is first: either who
    /// makes that later sees the end ([`has_ended`](Self::has_ended)), or it is found here. All four steps are
    /// SeqCst; a swap costs a tenth of a fence.
    pub(super) fn extra_at_end(&self) -> Option<&Extra> {
        self.activity.swap(Activity::Ended as u8, Ordering::SeqCst);
        // SAFETY: as in `extra_if_any`.
        unsafe { self.extra.load(Ordering::SeqCst).as_ref() }
    }

    #[cold]
    fn make_extra(&self) -> &Extra {
        let made = Extra::default().place(&self.node);
        match self.extra.compare_exchange(ptr::null_mut(), made, Ordering::SeqCst, Ordering::Acquire) {
            // SAFETY: it lives as long as the cell from now on.
            Ok(_) => unsafe { &*made },
            Err(theirs) => {
                // SAFETY: nobody else knows ours; theirs lives as long as the cell.
                unsafe {
                    Extra::free(NonNull::new_unchecked(made), &self.node);
                    &*theirs
                }
            }
        }
    }

    /// The part that only the owner touches, if there is one.
    ///
    /// # Safety
    /// The caller is the owner, and holds no other reference to it.
    #[expect(clippy::mut_from_ref, reason = "the owner is alone; see Safety")]
    #[inline]
    pub(crate) unsafe fn owned_if_any(&self) -> Option<&mut Owned> {
        // SAFETY: the caller's promise.
        self.extra_if_any().map(|extra| unsafe { &mut *extra.owned.get() })
    }

    /// The part that only the owner touches.
    ///
    /// # Safety
    /// As for [`owned_if_any`](Self::owned_if_any).
    #[expect(clippy::mut_from_ref, reason = "the owner is alone; see Safety")]
    pub(crate) unsafe fn owned(&self) -> &mut Owned {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.extra().owned.get() }
    }

    /// The positions in the mailbox that outlive a turn.
    ///
    /// # Safety
    /// As for [`owned_if_any`](Self::owned_if_any).
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the owner is alone; see Safety")]
    pub(crate) unsafe fn held(&self) -> Option<&mut Position> {
        // SAFETY: the caller's promise.
        unsafe { self.owned_if_any() }.map(|owned| &mut owned.received)
    }

    /// Drops what only the owner touches.
    ///
    /// # Safety
    /// As for [`owned_if_any`](Self::owned_if_any).
    pub(crate) unsafe fn forget_owned(&self) {
        // SAFETY: the caller's promise.
        if let Some(owned) = unsafe { self.owned_if_any() } {
            drop(std::mem::take(owned));
        }
    }

    /// Removes all links, at both ends.
    pub(crate) fn unlink_all(&self) {
        let Some(extra) = self.extra_if_any() else { return };
        let links = std::mem::take(&mut extra.control.lock().links);
        for (&peer, ()) in links.iter() {
            self.node.signal(peer, Signal::Unlink { from: self.pid(), id: 0 });
            // Whoever is about to be told by other means must not be ended by the link before.
            if let Some(peer) = self.node.process(peer)
                && let Some(extra) = peer.extra_if_any()
            {
                extra.control.lock().links.remove(&self.pid());
            }
        }
    }

    /// Takes the `Down` of `reference` out of the mailbox, if it is there.
    pub(crate) fn flush_down(&self, reference: MonitorRef) {
        turn::with_process(|running| {
            if let Some((turn, header)) = running
                && ptr::eq(header, self)
            {
                // SAFETY: the process's own code runs here, so this thread is the owner; the class is the
                // one of this cell's type.
                unsafe { (self.class.flush)(self, reference, turn) };
            }
        });
    }

    /// For the process's own code.
    pub(crate) fn set_hibernating(&self, hibernating: bool) {
        // SAFETY: `Me` has made sure that the process's own code runs here, so this thread is the owner.
        unsafe { self.owned() }.hibernating = hibernating;
    }

    /// Asks the process to end after the handler that runs, by way of `terminate`. For its own code.
    pub(crate) fn stop_after_handler(&self, reason: Ending) {
        turn::with_process(|running| {
            let here = running.filter(|(_, header)| ptr::eq(*header, self));
            let Some((turn, _)) = here else { panic!("a context stops its process in the process's own code only") };
            turn.stop_process(reason);
        });
    }

    /// Takes over the timer of the process's alarm; returns the one before.
    pub(crate) fn exchange_alarm(&self, timer: Option<TimerRef>) -> Option<TimerRef> {
        std::mem::replace(&mut self.extra().alarm_timer.lock(), timer)
    }

    /// As the process's waker does.
    #[inline]
    pub(crate) fn note_wake(&self) {
        self.note(Cause::Wake);
    }

    /// Notes `cause`, and submits the process if that is now the caller's to do.
    #[inline]
    pub(crate) fn note(&self, cause: Cause) {
        if self.state.note(cause) {
            self.submit();
        }
    }

    /// Puts the process on a run queue. Only for whoever ended its wait.
    #[inline]
    pub(crate) fn submit(&self) {
        turn::with_worker_of(&self.node, |worker| self.submit_by(worker));
    }

    #[inline(always)]
    pub(super) fn submit_by(&self, worker: Option<&Turn<'_>>) {
        // Most go to a process that waits, from one that is about to.
        if !worker.is_some_and(|turn| turn.run_next(self.ready())) {
            self.node.runtime().submit(self.ready(), worker);
        }
    }

    /// The process as a run queue has it.
    #[inline]
    pub(crate) fn ready(&self) -> Ready {
        // SAFETY: a reference is not null; the provenance of the whole cell was exposed when it was made.
        Ready(unsafe { NonNull::new_unchecked(ptr::with_exposed_provenance_mut(ptr::from_ref(self).addr())) })
    }

    /// The address of the cell.
    #[inline]
    pub(crate) fn ready_ptr(&self) -> NonNull<Self> {
        self.ready().0
    }

    /// Its slot and generation in the node's table.
    #[inline]
    pub(crate) fn place(&self) -> (u32, u32) {
        (self.slot, self.generation)
    }

    /// Sends something that any process takes.
    ///
    /// # Errors
    /// Hands it back if the process has ended.
    pub(crate) fn push_notice(&self, notice: Notice) -> Result<(), Notice> {
        // SAFETY: the class is the one of this cell's type.
        unsafe { (self.class.push)(self, notice) }
    }

    /// About how many messages wait.
    pub(crate) fn mailbox_len(&self) -> usize {
        // SAFETY: as above.
        unsafe { (self.class.len)(self) }
    }

    /// Whether the process waits for its mailbox.
    pub(crate) fn is_waiting(&self) -> bool {
        // SAFETY: as above.
        unsafe { (self.class.is_waiting)(self) }
    }

    /// Lets the mailbox refuse messages.
    pub(crate) fn drain_mailbox(&self) {
        // SAFETY: as above.
        unsafe { (self.class.drain)(self) }
    }

    /// Whether one more message fits into a bounded mailbox; then it counts.
    #[cold]
    fn admits(&self) -> bool {
        let Some(limit) = self.class.limit else { return true };
        let messages = &self.extra().messages;
        let admitted = messages
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < limit as u64).then_some(count + 1));
        admitted.is_ok()
    }

    /// A message was taken out of a mailbox that may be bounded.
    #[inline]
    pub(crate) fn message_taken(&self) {
        if self.is_bounded() {
            self.extra().messages.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A message came into a mailbox that may be bounded, without having been asked for.
    pub(crate) fn message_added(&self) {
        if self.is_bounded() {
            self.extra().messages.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[inline]
    fn count(&self, more: u32) {
        // Relaxed: a new reference is made from one that is there.
        if self.references.fetch_add(more, Ordering::Relaxed) > u32::MAX / 2 {
            // More references than that are leaked ones; one more could free the cell under them.
            std::process::abort();
        }
    }

    /// # Safety
    /// One reference is given up with this.
    #[inline]
    unsafe fn uncount(header: NonNull<Self>) {
        // SAFETY: the reference that is given up keeps the cell alive until here.
        unsafe {
            // Release, and Acquire for the last: it sees all that others did with the cell. A load and no fence, of
            // which ThreadSanitizer knows nothing.
            let references = &header.as_ref().references;
            // Nobody makes a new one of the last.
            if references.load(Ordering::Acquire) != 1 {
                if references.fetch_sub(1, Ordering::Release) != 1 {
                    return;
                }
                references.load(Ordering::Acquire);
            }
            (header.as_ref().class.free)(header);
        }
    }
}

/// A process on a run queue. It is alive: it ends in a turn of its own only.
#[derive(Clone, Copy)]
pub(crate) struct Ready(NonNull<Header>);

// SAFETY: a process may run on any worker; its body and messages are Send.
unsafe impl Send for Ready {}

impl Ready {
    pub(crate) fn into_raw(self) -> NonNull<Header> {
        self.0
    }

    /// # Safety
    /// `raw` comes from [`into_raw`](Self::into_raw), and is used once.
    pub(crate) unsafe fn from_raw(raw: NonNull<Header>) -> Self {
        Self(raw)
    }

    /// Gives the process its turn.
    ///
    /// # Safety
    /// Whoever submitted it did so once, and this is the one pick of that.
    #[inline]
    pub(crate) unsafe fn run(self, turn: &Turn<'_>) -> After {
        // SAFETY: the process is alive until its turn ends it; the class is the one of its type.
        unsafe { (self.0.as_ref().class.run)(self.0, turn) }
    }

    /// Asks for its memory, which others may have used last.
    #[inline]
    pub(crate) fn prefetch(self) {
        // Header, mailbox, and the beginning of the body.
        crate::memory::prefetch(self.0.cast());
        crate::memory::prefetch(self.0.cast::<u8>().map_addr(|address| address.saturating_add(64)));
    }

    /// What is known of it.
    #[inline]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: as above.
        unsafe { self.0.as_ref() }
    }

    /// The same, to compare.
    pub(crate) fn as_ptr(self) -> *const Header {
        self.0.as_ptr()
    }
}

/// A counted reference to any process.
pub(crate) struct AnyRef(NonNull<Header>);

// SAFETY: what is reached through a reference is Sync; the last one may be dropped anywhere, since by then
// body and messages are gone.
unsafe impl Send for AnyRef {}
// SAFETY: as above.
unsafe impl Sync for AnyRef {}

impl AnyRef {
    /// A new reference to the process at `header`.
    #[inline]
    pub(crate) fn of(header: &Header) -> Self {
        header.count(1);
        Self(header.ready().0)
    }

    /// Two of these, for the price of one.
    #[inline]
    pub(crate) fn two_of(header: &Header) -> [Self; 2] {
        header.count(2);
        [Self(header.ready().0), Self(header.ready().0)]
    }

    /// Gives up the reference that the process has to itself.
    ///
    /// # Safety
    /// The caller is the owner and has ended the process: nothing of it will run again.
    pub(crate) unsafe fn ended(header: NonNull<Header>) {
        // SAFETY: the caller's promise.
        unsafe { Header::uncount(header) }
    }

    /// The same reference, if the process takes messages of type `M`.
    pub(crate) fn typed<M: Send + 'static>(self) -> Option<CellRef<M>> {
        ((self.class.message)() == TypeId::of::<M>()).then(|| CellRef(ManuallyDrop::new(self).0.cast()))
    }

    /// The address, as a number that names this cell while it lives.
    pub(crate) fn into_raw(self) -> NonNull<Header> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    /// `raw` comes from [`into_raw`](Self::into_raw), and is used once.
    pub(crate) unsafe fn from_raw(raw: NonNull<Header>) -> Self {
        Self(raw)
    }
}

impl Deref for AnyRef {
    type Target = Header;

    #[inline]
    fn deref(&self) -> &Header {
        // SAFETY: this reference keeps the cell alive.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for AnyRef {
    #[inline]
    fn clone(&self) -> Self {
        self.count(1);
        Self(self.0)
    }
}

impl Drop for AnyRef {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this reference is given up.
        unsafe { Header::uncount(self.0) }
    }
}

/// A counted reference to a process that takes messages of type `M`.
#[repr(transparent)]
pub(crate) struct CellRef<M>(NonNull<Local<M>>);

// SAFETY: as for `AnyRef`; messages are sent through it.
unsafe impl<M: Send> Send for CellRef<M> {}
// SAFETY: as above.
unsafe impl<M: Send> Sync for CellRef<M> {}

impl<M> CellRef<M> {
    /// Another one to the same.
    ///
    /// # Safety
    /// It was counted at the [`Birth`] of the process, and is made once.
    pub(crate) unsafe fn counted_at_birth(&self) -> Self {
        Self(self.0)
    }

    pub(crate) fn into_raw(self) -> NonNull<Local<M>> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    /// `raw` comes from [`into_raw`](Self::into_raw), and is used once.
    pub(crate) unsafe fn from_raw(raw: NonNull<Local<M>>) -> Self {
        Self(raw)
    }
}

impl<M> Deref for CellRef<M> {
    type Target = Local<M>;

    #[inline]
    fn deref(&self) -> &Local<M> {
        // SAFETY: this reference keeps the cell alive.
        unsafe { self.0.as_ref() }
    }
}

impl<M> Clone for CellRef<M> {
    #[inline]
    fn clone(&self) -> Self {
        self.header().count(1);
        Self(self.0)
    }
}

impl<M> Drop for CellRef<M> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this reference is given up.
        unsafe { Header::uncount(self.0.cast()) }
    }
}

/// A process during its turn: not counted, since it is alive until its turn ends it. By value, so that nothing
/// refers to the cell when it is gone.
pub(crate) struct InTurn<M>(NonNull<Local<M>>);

impl<M> InTurn<M> {
    /// # Safety
    /// The process at `raw` takes such messages. This is used no longer than its turn lasts.
    #[inline]
    pub(crate) unsafe fn at(raw: NonNull<Header>) -> Self {
        Self(raw.cast())
    }
}

impl<M> Clone for InTurn<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for InTurn<M> {}

impl<M> Deref for InTurn<M> {
    type Target = Local<M>;

    #[inline]
    fn deref(&self) -> &Local<M> {
        // SAFETY: see `at`.
        unsafe { self.0.as_ref() }
    }
}

/// The wakers of a process hold its cell, not its state.
static WAKER: RawWakerVTable = RawWakerVTable::new(
    |data| {
        of_waker(data).note_waker();
        RawWaker::new(AnyRef::of(of_waker(data)).into_raw().as_ptr().cast_const().cast(), &WAKER)
    },
    |data| {
        of_waker(data).note(Cause::Wake);
        drop_waker(data);
    },
    |data| of_waker(data).note(Cause::Wake),
    drop_waker,
);

fn of_waker<'a>(data: *const ()) -> &'a Header {
    // SAFETY: the data of such a waker is the address of a cell, which the waker keeps alive.
    unsafe { &*data.cast() }
}

fn drop_waker(data: *const ()) {
    if let Some(header) = NonNull::new(data.cast_mut().cast()) {
        // SAFETY: the waker's reference is given up.
        drop(unsafe { AnyRef::from_raw(header) });
    }
}

impl Header {
    /// The waker of the process, for its own turn.
    #[inline]
    pub(crate) fn waker(&self) -> ManuallyDrop<Waker> {
        // SAFETY: the waker's functions keep the contract of wakers; not counted, it is not dropped.
        ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(self.ready().as_ptr().cast(), &WAKER)) })
    }

    /// Whether `waker` wakes this process and nothing else.
    #[inline]
    pub(crate) fn is_woken_by(&self, waker: &Waker) -> bool {
        ptr::eq(waker.vtable(), &WAKER) && ptr::eq(waker.data().cast(), self)
    }
}

/// Positions that outlive a turn: the header's, and one of the body's.
///
/// # Safety
/// The caller is the owner, and holds no reference to either.
#[inline]
pub(crate) unsafe fn held<'a>(header: &'a Header, other: Option<&'a mut Position>) -> Held<'a> {
    // SAFETY: the caller's promise.
    Held([unsafe { header.held() }, other])
}
