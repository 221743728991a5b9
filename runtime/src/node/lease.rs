//! The references of cells to their node.
#![expect(unsafe_code, reason = "leases are counted by themselves")]

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::atomic::Ordering;

use super::Node;

/// A cell's reference to its node. Cells are many, and are made and freed by all workers; so their references
/// are counted apart from other handles, and by the batch.
pub(crate) struct Lease(ManuallyDrop<Node>);

/// Some of these.
pub(crate) struct Leases {
    node: ManuallyDrop<Node>,
    count: usize,
}

impl Node {
    /// Counts so many references for cells.
    pub(crate) fn leases(&self, count: usize) -> Leases {
        // The handle first: whoever ends what were the last references gives one up.
        let handle = self.clone();
        if self.0.leases.fetch_add(count, Ordering::AcqRel) == 0 {
            std::mem::forget(handle);
        }
        Leases { node: self.alias(), count }
    }

    /// Counts one reference for a cell.
    pub(crate) fn lease(&self) -> Lease {
        let one = self.leases(1);
        let lease = Lease(one.node.alias());
        std::mem::forget(one);
        lease
    }

    /// This handle once more, not counted.
    #[inline]
    pub(crate) fn alias(&self) -> ManuallyDrop<Self> {
        // SAFETY: a handle is one pointer. As long as any lease counts, a handle does, and keeps alive what it
        // leads to; not counted, this one is not dropped, but by the lease that gives that handle up.
        unsafe { std::ptr::read(std::ptr::from_ref(self).cast()) }
    }
}

impl Leases {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    #[inline]
    pub(crate) fn take(&mut self) -> Option<Lease> {
        self.count = self.count.checked_sub(1)?;
        Some(Lease(self.node.alias()))
    }

    /// Adds one of the same node.
    #[inline]
    pub(crate) fn put(&mut self, lease: Lease) {
        debug_assert!(self.node.is(&lease), "leases of one node are kept together");
        std::mem::forget(lease);
        self.count += 1;
    }

    pub(crate) fn split(&mut self, count: usize) -> Self {
        let count = count.min(self.count);
        self.count -= count;
        Self { node: self.node.alias(), count }
    }
}

impl From<Lease> for Leases {
    fn from(lease: Lease) -> Self {
        let leases = Self { node: lease.alias(), count: 1 };
        std::mem::forget(lease);
        leases
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        if self.count > 0 && self.node.0.leases.fetch_sub(self.count, Ordering::AcqRel) == self.count {
            // The handle that they had together.
            drop(ManuallyDrop::into_inner(self.node.alias()));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(Leases { node: self.0.alias(), count: 1 });
    }
}

impl Deref for Lease {
    type Target = Node;

    #[inline]
    fn deref(&self) -> &Node {
        &self.0
    }
}
