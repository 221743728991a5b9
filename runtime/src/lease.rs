//! References that are counted by the batch.
//!
//! Cells are many, and are made and freed by all workers; each refers to its node. Were each reference
//! counted by itself, that count would travel between the cores with every process. A worker takes and gives
//! back many at a time instead; all that are out at one time have one ordinary handle together.
//!
//! ```text
//!   leases(n):   add n; they were none? clone a handle, which is theirs
//!   drop of n:   subtract n; they are none? drop the handle that they had
//! ```
//!
//! Between the two steps of the first, whoever makes them has a handle and all of them.
#![expect(unsafe_code, reason = "a handle is duplicated without being counted")]

use std::mem::ManuallyDrop;
use std::ops::Deref;

use crate::sync::{AtomicUsize, Ordering};

/// A counted handle to something that leases are references to.
pub(crate) trait Handle: Clone {
    /// How many leases are out.
    fn leases_out(&self) -> &AtomicUsize;
}

/// One reference.
pub(crate) struct Lease<H: Handle>(ManuallyDrop<H>);

/// Some references to the same.
pub(crate) struct Leases<H: Handle> {
    handle: ManuallyDrop<H>,
    count: usize,
}

/// `handle` once more, not counted.
fn duplicate<H: Handle>(handle: &H) -> ManuallyDrop<H> {
    // SAFETY: as long as leases are out, a handle is, which keeps alive what all of them lead to. Not being
    // counted, this one is not dropped, but by the lease that gives that handle up.
    unsafe { std::ptr::read(std::ptr::from_ref(handle).cast()) }
}

impl<H: Handle> Leases<H> {
    /// So many new ones.
    pub(crate) fn new(handle: &H, count: usize) -> Self {
        // AcqRel, here and below: who drops the handle sees all that was done by way of any of them.
        if handle.leases_out().fetch_add(count, Ordering::AcqRel) == 0 {
            std::mem::forget(handle.clone());
        }
        Self { handle: duplicate(handle), count }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Takes one out.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Lease<H>> {
        self.count = self.count.checked_sub(1)?;
        Some(Lease(duplicate(&self.handle)))
    }

    /// Adds one to the same.
    #[inline]
    pub(crate) fn put(&mut self, lease: Lease<H>) {
        std::mem::forget(lease);
        self.count += 1;
    }

    /// Takes some out.
    pub(crate) fn split(&mut self, count: usize) -> Self {
        let count = count.min(self.count);
        self.count -= count;
        Self { handle: duplicate(&self.handle), count }
    }
}

impl<H: Handle> From<Lease<H>> for Leases<H> {
    fn from(lease: Lease<H>) -> Self {
        let handle = duplicate(&*lease);
        std::mem::forget(lease);
        Self { handle, count: 1 }
    }
}

impl<H: Handle> Lease<H> {
    /// One that is counted by itself.
    pub(crate) fn new(handle: &H) -> Self {
        let one = ManuallyDrop::new(Leases::new(handle, 1));
        Self(duplicate(&one.handle))
    }

    /// The handle, for whoever does something else with the lease meanwhile; not counted.
    #[inline]
    pub(crate) fn handle(&self) -> ManuallyDrop<H> {
        duplicate(&self.0)
    }
}

impl<H: Handle> Drop for Leases<H> {
    fn drop(&mut self) {
        if self.count > 0 && self.handle.leases_out().fetch_sub(self.count, Ordering::AcqRel) == self.count {
            // The handle that they had together.
            drop(ManuallyDrop::into_inner(duplicate(&*self.handle)));
        }
    }
}

impl<H: Handle> Drop for Lease<H> {
    fn drop(&mut self) {
        drop(Leases { handle: duplicate(&*self.0), count: 1 });
    }
}

impl<H: Handle> Deref for Lease<H> {
    type Target = H;

    #[inline]
    fn deref(&self) -> &H {
        &self.0
    }
}
