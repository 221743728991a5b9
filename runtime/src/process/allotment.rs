//! What a worker has at hand of the node whose processes it began or ended last: free slots of its table,
//! and references to it that are counted already.
//!
//! Processes come and go by the million on all workers. Were each to take its slot and count its reference
//! in one place, that place's cache line would travel from core to core with every one of them.
//!
//! What is at hand of a node keeps it alive until the worker sleeps or turns to another node. In a seeded run that is
//! until `block_on` returns.

use crate::lease::{Lease, Leases};
use crate::node::{Node, WeakNode};

/// How many slots or references a worker takes or gives back at once.
const BATCH: usize = 64;

pub(crate) struct Allotment {
    node: WeakNode,
    slots: Vec<u32>,
    references: Option<Leases<Node>>,
}

impl Allotment {
    /// Nothing yet of `node`.
    pub(crate) fn of(node: &Node) -> Self {
        Self { node: node.downgrade(), slots: Vec::new(), references: None }
    }

    /// Whether it is of this node.
    #[inline]
    pub(crate) fn is_of(&self, node: &Node) -> bool {
        self.node.is(node)
    }

    /// A free slot of the node's table.
    #[inline]
    pub(crate) fn take_slot(&mut self, node: &Node) -> Option<u32> {
        if self.slots.is_empty() {
            self.slots = node.table().take_free(BATCH);
        }
        let slot = self.slots.pop();
        if let Some(next) = self.slots.last() {
            node.table().prefetch(*next);
        }
        slot
    }

    /// A slot of the node's table has become free.
    #[inline]
    pub(crate) fn put_slot(&mut self, node: &Node, slot: u32) {
        self.slots.push(slot);
        if self.slots.len() >= 2 * BATCH {
            node.table().give_free(self.slots.split_off(BATCH));
        }
    }

    /// A reference for a new cell.
    #[inline]
    pub(crate) fn take_reference(&mut self, node: &Node) -> Lease<Node> {
        if let Some(lease) = self.references.as_mut().and_then(Leases::take) {
            return lease;
        }
        // A worker that has rested comes by here before it makes a process; and if it is still among the sockets, nobody
        // may have looked at the clock since.
        node.runtime().clock().refresh();
        let mut fresh = Leases::new(node, BATCH);
        let lease = fresh.take();
        self.references = Some(fresh);
        lease.unwrap_or_else(|| unreachable!("a batch is not empty"))
    }

    /// A cell is gone, and needs its reference no more. What is returned is dropped when nothing of this is
    /// borrowed: with it the node may go.
    #[inline]
    #[must_use = "with it the node may go"]
    pub(crate) fn put_reference(&mut self, lease: Lease<Node>) -> Option<Leases<Node>> {
        let Some(references) = &mut self.references else {
            self.references = Some(Leases::from(lease));
            return None;
        };
        references.put(lease);
        (references.len() >= 2 * BATCH).then(|| references.split(BATCH))
    }

    /// The worker has nothing to do: it keeps no node alive. To be dropped as in `put_reference`.
    #[must_use = "with it the node may go"]
    pub(crate) fn rest(&mut self) -> Option<Leases<Node>> {
        self.references.take()
    }
}

impl Drop for Allotment {
    fn drop(&mut self) {
        if let Some(node) = self.node.upgrade() {
            node.table().give_free(std::mem::take(&mut self.slots));
        }
    }
}
