//! A value that is there once in the life of a process, such as the future of its `init`: in memory of its own, so that the
//! process does not keep room for it.
#![expect(unsafe_code, reason = "a value lies where its owner says that it does")]

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::memory::Memory;

/// The place of a value: here, if it takes no more room than a pointer, else in a piece of memory.
pub(super) struct Placed<T> {
    word: MaybeUninit<*mut ()>,
    value: PhantomData<T>,
}

impl<T> Placed<T> {
    const IS_HERE: bool = size_of::<T>() <= size_of::<*mut ()>() && align_of::<T>() <= align_of::<*mut ()>();

    /// A place without a value.
    #[inline]
    pub(super) fn new(memory: &impl Memory) -> Self {
        let word = if Self::IS_HERE {
            MaybeUninit::uninit()
        } else {
            MaybeUninit::new(memory.allocate(const { Layout::new::<T>() }).as_ptr().cast())
        };
        Self { word, value: PhantomData }
    }

    /// Where the value lies: as long as this stays where it is, always in the same place.
    #[inline]
    pub(super) fn place(&mut self) -> NonNull<T> {
        if Self::IS_HERE {
            return NonNull::from(&mut self.word).cast();
        }
        // SAFETY: `new` wrote the address of a piece here, which is not null.
        unsafe { NonNull::new_unchecked(self.word.assume_init().cast()) }
    }

    /// Gives the memory back. What lies there is forgotten.
    ///
    /// # Safety
    /// It was made with the same memory; nobody uses the place any more.
    #[inline]
    pub(super) unsafe fn free(&mut self, memory: &impl Memory) {
        if !Self::IS_HERE {
            // SAFETY: the caller's promise.
            unsafe { memory.release(self.place().cast(), const { Layout::new::<T>() }) };
        }
    }

    /// Drops the value and gives the memory back. If the drop panics, the memory is kept.
    ///
    /// # Safety
    /// As for [`free`](Self::free); there is a value.
    #[inline]
    pub(super) unsafe fn end(&mut self, memory: &impl Memory) {
        // SAFETY: the caller's promise.
        unsafe {
            self.place().drop_in_place();
            self.free(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::memory::{Magazine, Pool};

    fn in_and_out<T>(value: T, is_here: bool) {
        let pool = Pool::new();
        let magazine = Magazine::new(&pool);
        let mut placed = Placed::new(&magazine);
        let place = placed.place();
        assert_eq!(place.addr() == NonNull::from(&placed).addr(), is_here);
        // SAFETY: the place is new; then there is a value, which is dropped once.
        unsafe {
            place.write(value);
            placed.end(&magazine);
        }
    }

    #[test]
    fn a_value_is_dropped_where_it_was_put() {
        let shared = Rc::new(());
        in_and_out(shared.clone(), true);
        in_and_out((shared.clone(), 1_u64), false);
        in_and_out((), true);
        assert_eq!(Rc::strong_count(&shared), 1);
        assert_eq!(size_of::<Placed<[u64; 100]>>(), size_of::<*mut ()>());
    }
}
