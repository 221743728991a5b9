//! What is no message lies in a piece of memory of its own, and its place holds where that is.
#![expect(unsafe_code, reason = "memory that is handed from the sender to the owner")]

use std::alloc::Layout;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::Special;
use crate::memory::Memory;

/// A [`Special`] in memory of its own. Whoever has it must open it: where the memory comes from it does not
/// know.
#[must_use = "a parcel that is not opened is leaked"]
pub(crate) struct Parcel<M>(NonNull<Special<M>>);

/// The memory of a parcel, after what was in it was taken out. It is filled again, or dropped.
pub(super) struct Emptied<'m, M, A: Memory> {
    place: NonNull<Special<M>>,
    memory: &'m A,
}

// SAFETY: a parcel is the only way to what is in it.
unsafe impl<M: Send> Send for Parcel<M> {}

impl<M> Parcel<M> {
    pub(super) fn of(special: Special<M>, memory: &impl Memory) -> Self {
        let place = memory.allocate(Layout::new::<Special<M>>()).cast();
        Emptied { place, memory }.fill(special)
    }

    /// A look at what is in it.
    pub(super) fn get(&self) -> &Special<M> {
        // SAFETY: it is full until it is opened, which takes it.
        unsafe { self.0.as_ref() }
    }

    /// What is in it. `memory` is that of the same runtime.
    pub(crate) fn open(self, memory: &impl Memory) -> Special<M> {
        self.empty(memory).0
    }

    /// What is in it, and what it was in.
    pub(super) fn empty<A: Memory>(self, memory: &A) -> (Special<M>, Emptied<'_, M, A>) {
        // SAFETY: it is full, and counts as empty from now on.
        (unsafe { self.0.read() }, Emptied { place: self.0, memory })
    }
}

impl<M, A: Memory> Emptied<'_, M, A> {
    pub(super) fn fill(self, special: Special<M>) -> Parcel<M> {
        let place = ManuallyDrop::new(self).place;
        // SAFETY: the memory has this layout, and is nobody else's.
        unsafe { place.write(special) };
        Parcel(place)
    }
}

impl<M, A: Memory> Drop for Emptied<'_, M, A> {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and nobody uses it any more.
        unsafe { self.memory.release(self.place.cast(), Layout::new::<Special<M>>()) };
    }
}
