//! References to processes: counted ones, those of run queues, and wakers.
#![expect(unsafe_code, reason = "references are counted by hand")]

use std::any::TypeId;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::cell::Local;
use super::header::Header;
use super::state::Cause;
use super::turn::{After, Turn};
use crate::memory::{lines, prefetch};

/// A process on a run queue. It is alive: it ends in a turn of its own only.
#[derive(Clone, Copy)]
pub(crate) struct Ready(NonNull<Header>);

// SAFETY: a process may run on any worker: its body and messages are Send. One whose body is not is on no run queue and
// runs on one thread only, from its first turn to its last (`scheduler::own_thread`); only its messages come from elsewhere.
unsafe impl Send for Ready {}

impl Ready {
    #[inline]
    pub(super) fn of(header: &Header) -> Self {
        Self(header.ready_ptr())
    }

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
        unsafe { (self.0.as_ref().class().run)(self.0, turn) }
    }

    /// Asks for its memory, which others may have used last.
    #[inline]
    pub(crate) fn prefetch(self) {
        Self::prefetch_at(self.0);
    }

    /// Asks for the memory at `process`. There need be none.
    #[inline]
    pub(super) fn prefetch_at(process: NonNull<Header>) {
        // The header, and the beginning of the body.
        lines(process.cast(), 128).for_each(prefetch);
    }

    /// Asks for what its turn will find in other places. Its own memory must be there.
    #[inline]
    pub(crate) fn prefetch_rest(self) {
        self.header().prefetch_rest();
    }

    /// What is known of it.
    #[inline]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the process is alive.
        unsafe { self.0.as_ref() }
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
        Self(header.ready_ptr())
    }

    /// Two of these, for the price of one.
    #[inline]
    pub(crate) fn two_of(header: &Header) -> [Self; 2] {
        header.count(2);
        [Self(header.ready_ptr()), Self(header.ready_ptr())]
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
        ((self.class().message)() == TypeId::of::<M>()).then(|| CellRef(ManuallyDrop::new(self).0.cast()))
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
        ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(self.ready_ptr().as_ptr().cast(), &WAKER)) })
    }

    /// Whether `waker` wakes this process and nothing else.
    #[inline]
    pub(crate) fn is_woken_by(&self, waker: &Waker) -> bool {
        ptr::eq(waker.vtable(), &WAKER) && ptr::eq(waker.data().cast(), self)
    }
}
