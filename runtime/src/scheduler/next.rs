//! What a worker runs next: a place for one, before its queue.
//!
//! A process that sends to one that waits, and then waits for the answer, would put it on the queue and take
//! it off again. It is put here instead. The owner puts it here and takes it; whoever takes over from an
//! owner that is stuck takes it too. So there are two who may take, and one who may put.

use std::ptr::{self, NonNull};

use crate::sync::{AtomicPtr, Ordering};

/// A place for one.
pub(crate) struct Next<T>(AtomicPtr<T>);

impl<T> Next<T> {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }

    /// Puts `one` here, where none is. For the owner alone: between its look and this nobody else puts one.
    #[inline]
    pub(crate) fn put(&self, one: NonNull<T>) {
        debug_assert!(self.is_empty(), "there is a place for one");
        // Release: whoever takes it sees what the owner did before.
        self.0.store(one.as_ptr(), Ordering::Release);
    }

    /// Takes what is here. For anybody: of many, one has it.
    #[inline]
    pub(crate) fn take(&self) -> Option<NonNull<T>> {
        let one = NonNull::new(self.0.load(Ordering::Relaxed))?;
        // Acquire: see `put`.
        let taken = self.0.compare_exchange(one.as_ptr(), ptr::null_mut(), Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok().then_some(one)
    }
}
