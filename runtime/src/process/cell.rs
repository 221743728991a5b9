//! The memory of one process.
//!
//! ```text
//!   Cell<M, B> = Header, with its mailbox | body B     one allocation, from the runtime's pool
//!                  │
//!                  └─ extra ──▶ Extra                  made when it is first needed: links, monitors, a name, …
//!
//!   header.rs      what does not depend on its type
//!   extra.rs       what it needs seldom
//!   reference.rs   AnyRef    counts; knows the header
//!                  CellRef   counts; knows the mailbox too                       ◀── Address<M>
//!                  Ready, InTurn   do not count: on a run queue, in its turn
//! ```
//!
//! A cell lives as long as anybody refers to it; the process itself counts as one until it has ended. What
//! the body holds is dropped at the end of the process, whoever still refers to the cell.
//!
//! # Who may touch what
//! - the header's atomics, the mailbox's senders' side, `Extra`'s locks: anybody with a reference.
//! - the body, the mailbox's owner's side, [`Owned`](super::Owned): the owner. That is whoever has the process's turn;
//!   the state word and the mailbox's word see to it that there is one at most.
#![expect(unsafe_code, reason = "cells know their type by a class")]

use std::alloc::Layout;
use std::any::TypeId;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::actor::INFO_HANDLER;
use super::bound::{self, Admitted, Bound, Excess};
use super::header::{Activity, Birth, Header};
use super::receive;
use super::reference::{AnyRef, CellRef, InTurn};
use super::run::Flow;
use super::state::Cause;
use super::teardown;
use super::turn::{self, After, NO_HANDLER, Turn};
use crate::actor::{Bounded, Overflow};
use crate::ambient;
use crate::call::CallFailed;
use crate::clock::Moment;
use crate::dead_letters::DeadLetter;
use crate::inspect::Status;
use crate::machine::Event;
use crate::mailbox::{Mailbox, Notice, Position, Pushed, Shelf, Shelved, Special, Taken};
use crate::memory::{Memory, prefetch_for_writing};
use crate::observe;
use crate::panics::Unwound;
use crate::signal::{Info, MonitorRef};

/// A process that takes messages of type `M`.
#[repr(transparent)]
pub(crate) struct Local<M> {
    header: Header,
    messages: PhantomData<M>,
}

/// A process and what it runs.
#[repr(C)]
pub(crate) struct Cell<M, B> {
    local: Local<M>,
    body: UnsafeCell<ManuallyDrop<B>>,
}

/// A handler that is awaited, and since when, if that is known.
pub(crate) type Awaited = (&'static str, Option<Moment>);

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

    /// The handler that it awaits, and since when, if that is known.
    fn activity(header: &Header) -> Option<Awaited>;

    /// What its state says of itself, if it has one that nothing else uses now.
    ///
    /// # Safety
    /// As for [`run`](Self::run).
    unsafe fn show(body: NonNull<Self>, header: &Header) -> Option<String>;

    /// What a message is called: the name of its handler.
    fn describe(message: &M) -> &'static str;
}

/// What is the same for all processes of one type.
pub(crate) struct Class {
    pub(crate) actor: fn() -> &'static str,
    pub(super) message: fn() -> TypeId,
    /// The names of the handlers, by the number that a worker publishes while it runs one.
    pub(crate) handlers: &'static [&'static str],
    pub(crate) limit: Option<Bounded>,
    pub(crate) layout: Layout,
    /// The handler that it awaits, and since when.
    pub(crate) activity: fn(&Header) -> Option<Awaited>,
    pub(super) run: unsafe fn(NonNull<Header>, &Turn<'_>) -> After,
    pub(super) push: unsafe fn(&Header, Notice) -> Result<(), Notice>,
    pub(super) len: unsafe fn(&Header) -> usize,
    pub(super) mailbox_bytes: unsafe fn(&Header) -> usize,
    pub(super) flush: unsafe fn(&Header, MonitorRef, &Turn<'_>),
    pub(super) free: unsafe fn(NonNull<Header>),
}

impl Class {
    /// What such a process runs.
    pub(crate) fn actor(&self) -> &'static str {
        written_in((self.actor)())
    }

    /// The type of its messages.
    pub(crate) fn message_type(&self) -> TypeId {
        (self.message)()
    }

    /// What the handler of this number is called, if it runs one: straight-line code has none.
    pub(crate) fn handler_if_any(&self, number: u32) -> Option<&'static str> {
        let is_one = number != NO_HANDLER && (number == INFO_HANDLER || !self.handlers.is_empty());
        is_one.then(|| self.handler(number))
    }

    /// What the handler of this number is called.
    pub(crate) fn handler(&self, number: u32) -> &'static str {
        match number {
            INFO_HANDLER => "info",
            number => self.handlers.get(number as usize).copied().unwrap_or("handle"),
        }
    }
}

/// Straight-line code is known by the function that it was written in; an actor, by its name. What a generic function was
/// given to run (`run_on<shop::main::{{closure}}>`) is known by where *that* was written.
fn written_in(name: &'static str) -> &'static str {
    let Some((written_in, _)) = name.split_once("::{{closure}}") else { return name };
    let mut closed = 0;
    for (at, byte) in written_in.bytes().enumerate().rev() {
        match byte {
            b'>' if !written_in[..at].ends_with('-') => closed += 1,
            b'<' | b',' if closed == 0 => return written_in[at + 1..].trim_start(),
            b'<' => closed -= 1,
            _ => {}
        }
    }
    written_in
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
        let header = Header::new(class, birth);
        // SAFETY: the piece has the layout of this type (see `class`), and nobody else knows it.
        unsafe {
            (&raw mut (*piece.as_ptr()).local).write(Local { header, messages: PhantomData });
            let reference = CellRef::from_raw(piece.cast::<Local<M>>());
            let unmade = Unmade(&reference);
            make(Self::body_of(piece.cast()), &reference);
            std::mem::forget(unmade);
            reference
        }
    }

    /// The class of this type.
    pub(crate) const fn class(
        actor: fn() -> &'static str,
        handlers: &'static [&'static str],
        limit: Option<Bounded>,
        run: unsafe fn(NonNull<Header>, &Turn<'_>) -> After,
    ) -> Class {
        Class {
            actor,
            message: TypeId::of::<M>,
            handlers,
            limit,
            layout: Layout::new::<Self>(),
            activity: B::activity,
            run,
            push: push_notice::<M>,
            // SAFETY: the class is that of the cell, and the cell takes messages of this type.
            len: |header| unsafe { header.mailbox::<M>() }.len(),
            // SAFETY: the class is that of the cell, and the cell takes messages of this type.
            mailbox_bytes: |header| unsafe { header.mailbox::<M>() }.bytes(),
            flush: flush::<M>,
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
            let node = Header::take_apart(header);
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

/// A cell whose body is about to be written; if that panics, nobody is there.
struct Unmade<'a, M: Send + 'static>(&'a CellRef<M>);

impl<M: Send + 'static> Drop for Unmade<'_, M> {
    fn drop(&mut self) {
        let header = self.0.header();
        header.set_activity(Activity::Gone);
        // SAFETY: the process ends before it has begun, so this is its owner. What is in its mailbox came by way of a
        // reference that got out.
        unsafe {
            turn::with_worker_of(header.node(), |worker| {
                self.0.mailbox().close(&turn::stock(worker, header.node()), teardown::drop_quietly);
            });
            AnyRef::ended(header.ready_ptr());
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
        Err(_) => unreachable!("what is handed back is what was pushed"),
    }
}

/// Something that a monitor has told.
enum Told {
    /// It is the only one.
    Once,
    /// There may be more.
    MayBeAgain,
}

/// # Safety
/// The cell takes messages of type `M`, and the caller is the owner.
unsafe fn flush<M: Send + 'static>(header: &Header, reference: MonitorRef, turn: &Turn<'_>) {
    // SAFETY: the caller's promise.
    let mailbox = unsafe { header.mailbox::<M>() };
    let wants = |taken| match taken {
        Taken::Info(Info::Down(down)) if down.reference == reference => Ok(Told::Once),
        Taken::Info(Info::Group(event)) if event.reference == reference => Ok(Told::MayBeAgain),
        other => Err(other),
    };
    let mut from = Position::HEAD;
    // SAFETY: as above; the position is new, and nothing but walks comes between two of them. What was not received
    // yet finds no monitor.
    while let Ok((Told::MayBeAgain, _)) = unsafe { mailbox.take(&mut from, turn.memory(), wants) } {}
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

    /// Where its messages wait.
    #[inline]
    pub(crate) fn mailbox(&self) -> Mailbox<'_, M> {
        // SAFETY: this is a process that takes messages of this type.
        unsafe { self.header.mailbox() }
    }
}

impl<M: Send + 'static> Local<M> {
    /// Sends the message at `message`: into the mailbox, and the process onto a run queue if it waits for one.
    ///
    /// # Safety
    /// There is a message. It is not the caller's any more, unless this fails.
    #[inline]
    pub(crate) unsafe fn push(&self, message: *const M, excess: Excess) -> Result<(), SendFailed> {
        let header = &self.header;
        // What is looked at first is on the line that will be written. If another sends too, it comes over once for both.
        prefetch_for_writing(header.ready_ptr().cast());
        if header.is_bounded() {
            // SAFETY: the caller's promise.
            return unsafe { self.push_bounded(message, excess) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.push_counted(message) }
    }

    /// The process goes on with the message at `message`, before it takes anything from its mailbox; said by anybody else than its
    /// own code, it is sent a message.
    ///
    /// # Safety
    /// There is a message. It is not the caller's any more, unless this fails.
    #[cold]
    pub(crate) unsafe fn go_on_with(&self, message: *const M) -> Result<(), SendFailed> {
        if !self.header().is_running_here() {
            // SAFETY: the caller's promise.
            return unsafe { self.push(message, Excess::AsMuchAgain) };
        }
        // SAFETY: as above; the process's own code is run by its owner.
        unsafe { receive::go_on_with(self.header(), Event::Message(message.read())) };
        turn::end_here();
        Ok(())
    }

    /// # Safety
    /// As for [`push`](Self::push).
    #[inline]
    unsafe fn push_counted(&self, message: *const M) -> Result<(), SendFailed> {
        let header = &self.header;
        turn::with_worker_of(header.node(), |worker| {
            if let Some(turn) = worker {
                turn.sends_to(header);
            }
            observe::message_sent(header);
            // SAFETY: the caller's promise.
            match unsafe { self.mailbox().push(message, &turn::stock(worker, header.node())) } {
                Pushed::Queued => {}
                Pushed::Schedule => header.submit_by(worker),
                Pushed::Wake => header.note(Cause::Wake),
                Pushed::High { wakes } => {
                    if wakes {
                        header.note(Cause::Wake);
                    }
                    header.note_high_water();
                }
                Pushed::Closed(()) => return Err(SendFailed::Closed),
            }
            Ok(())
        })
    }

    /// Sends a message into a mailbox that has a limit.
    ///
    /// # Safety
    /// As for [`push`](Self::push).
    #[cold]
    unsafe fn push_bounded(&self, message: *const M, excess: Excess) -> Result<(), SendFailed> {
        let header = &self.header;
        let Some(bound) = header.bound() else { unreachable!("what is bounded has a bound") };
        if ambient::comes_through() {
            // SAFETY: the caller's promise. If it was not taken, it is the caller's as before.
            let special = Special::Apart(unsafe { message.read() });
            return self.push_special(special).map_err(|special| {
                std::mem::forget(special);
                SendFailed::Closed
            });
        }
        if let Some(shelf) = bound.shelf::<M>() {
            // SAFETY: as above.
            return unsafe { self.put_on_shelf(shelf, bound, message) };
        }
        let excess = match bound.overflow() {
            Overflow::Suspend => excess,
            _ => Excess::None,
        };
        turn::with_worker_of(header.node(), |worker| {
            // Who sends to itself can make no room while it waits for it. Who is no process cannot be stalled.
            let sender = worker.and_then(|turn| Some((turn, turn.process()?)));
            let admitted = bound.admit(match excess {
                Excess::AsMuchAgain if sender.is_none() => Excess::None,
                excess => excess,
            });
            if admitted == Admitted::No {
                return Err(match bound.overflow() {
                    _ if header.is_gone() => SendFailed::Closed,
                    Overflow::DropNewest => SendFailed::Dropped,
                    _ => SendFailed::Full,
                });
            }
            // SAFETY: the caller's promise.
            let pushed = unsafe { self.push_counted(message) };
            if pushed.is_err() {
                bound.leave();
            } else if let Some((turn, sender)) = sender
                && admitted == Admitted::InExcess
                && !ptr::eq(sender, header)
            {
                bound::stall(turn, sender, header, bound);
            }
            pushed
        })
    }

    /// # Safety
    /// As for [`push`](Self::push).
    unsafe fn put_on_shelf(&self, shelf: &Arc<Shelf<M>>, bound: &Bound, message: *const M) -> Result<(), SendFailed> {
        observe::message_sent(&self.header);
        let mut put = Ok(false);
        let ticket = || {
            put = self.put(Special::Ticket(shelf.clone()));
            put.is_ok()
        };
        // SAFETY: the caller's promise. If it was not taken, it is the caller's as before.
        let shelved = shelf.put(unsafe { message.read() }, || bound.others_sent(), ticket);
        // Not while the shelf is locked: who reads the log may send something here.
        if matches!(put, Ok(true)) {
            self.header.note_high_water();
        }
        let dropped = match shelved {
            Shelved::There(dropped) => dropped,
            Shelved::Refused(message) => {
                std::mem::forget(message);
                return Err(SendFailed::Closed);
            }
        };
        bound.note_length(shelf.len() as u64);
        if let Some(dropped) = dropped {
            self.header.node().count_dead_letter_to(DeadLetter::Dropped, self.header.pid());
            ambient::abandoning(CallFailed::Full, || teardown::drop_quietly(dropped));
        }
        Ok(())
    }

    /// Sends something else.
    pub(crate) fn push_special(&self, special: Special<M>) -> Result<(), Special<M>> {
        if self.put(special)? {
            self.header.note_high_water();
        }
        Ok(())
    }

    /// Sends something else. Returns whether many wait by now, which the caller is to note.
    fn put(&self, special: Special<M>) -> Result<bool, Special<M>> {
        let is_received = special.is_received();
        let is_ticket = matches!(special, Special::Ticket(_));
        if matches!(special, Special::ByAlias { .. } | Special::Apart(_)) {
            observe::message_sent(&self.header);
        }
        let node = self.header.node();
        let pushed =
            turn::with_worker_of(node, |worker| self.mailbox().push_special(special, &turn::stock(worker, node)));
        if !is_ticket && let Some(bound) = self.header.bound() {
            bound.other_sent();
        }
        let (pushed, is_high) = pushed.apart_from_high();
        match pushed {
            Pushed::Closed(special) => return Err(special),
            Pushed::High { .. } => unreachable!("it was set apart"),
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
        Ok(is_high)
    }
}

/// Why a message was not taken.
#[derive(Clone, Copy)]
pub(crate) enum SendFailed {
    Full,
    /// It was full, and drops what is new.
    Dropped,
    Closed,
}

#[cfg(test)]
mod tests {
    use super::written_in;

    #[test]
    fn straight_line_code_is_known_by_the_function_that_it_was_written_in() {
        for (name, known) in [
            ("shop.Cart", "shop.Cart"),
            ("shop::main::{{closure}}", "shop::main"),
            ("shop::main::{{closure}}::{{closure}}", "shop::main"),
            ("biotope::run_on<shop::main::{{closure}}>::{{closure}}::{{closure}}", "shop::main"),
            ("shop::map<alloc::vec::Vec<u8>, shop::body::{{closure}}>::{{closure}}", "shop::body"),
            ("shop::ended<&biotope::ActorRef<shop::Cart>>::{{closure}}", "shop::ended<&biotope::ActorRef<shop::Cart>>"),
            ("shop::call<fn(u8) -> u8>::{{closure}}", "shop::call<fn(u8) -> u8>"),
        ] {
            assert_eq!(written_in(name), known);
        }
    }
}
