//! From pid to process. A slot that is used again has another generation, so that an old pid finds nobody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Poll, Waker};

use parking_lot::RwLock;

use super::AnyCell;
use crate::pid::{NodeId, Pid};

pub(crate) struct Table {
    node: NodeId,
    slots: RwLock<Slots>,
}

#[derive(Default)]
struct Slots {
    entries: Vec<Entry>,
    /// Oldest first: a slot rests as long as possible before it is used again.
    free: VecDeque<u32>,
    live: usize,
    closed: bool,
    waiting_for_none: Vec<Waker>,
}

struct Entry {
    generation: u32,
    process: Option<Arc<dyn AnyCell>>,
}

impl Table {
    pub(crate) fn new(node: NodeId) -> Self {
        Self { node, slots: RwLock::default() }
    }

    /// Reserves a pid. It names nobody until [`insert`](Self::insert).
    pub(crate) fn reserve(&self) -> Pid {
        let mut slots = self.slots.write();
        let slot = slots.free.pop_front().unwrap_or_else(|| {
            slots.entries.push(Entry { generation: 0, process: None });
            u32::try_from(slots.entries.len() - 1).expect("a node has fewer than 2^32 processes at once")
        });
        Pid::new(self.node, slot, slots.entries[slot as usize].generation)
    }

    /// Puts `process` where its pid was reserved. Returns whether the table still takes processes.
    pub(crate) fn insert(&self, process: Arc<dyn AnyCell>) -> bool {
        let mut slots = self.slots.write();
        let slot = process.header().pid.slot() as usize;
        slots.entries[slot].process = Some(process);
        slots.live += 1;
        !slots.closed
    }

    pub(crate) fn get(&self, pid: Pid) -> Option<Arc<dyn AnyCell>> {
        let slots = self.slots.read();
        let entry = slots.entries.get(pid.slot() as usize)?;
        (entry.generation == pid.generation()).then(|| entry.process.clone())?
    }

    pub(crate) fn remove(&self, pid: Pid) {
        let mut slots = self.slots.write();
        let Some(entry) = slots.entries.get_mut(pid.slot() as usize) else { return };
        if entry.generation != pid.generation() {
            return;
        }
        let removed = entry.process.take();
        // A slot whose generations are used up is not used again.
        if let Some(next) = entry.generation.checked_add(1) {
            entry.generation = next;
            slots.free.push_back(pid.slot());
        }
        slots.live -= usize::from(removed.is_some());
        let woken = if slots.live == 0 { std::mem::take(&mut slots.waiting_for_none) } else { Vec::new() };
        drop(slots);
        drop(removed);
        woken.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn all(&self) -> Vec<Arc<dyn AnyCell>> {
        self.slots.read().entries.iter().filter_map(|entry| entry.process.clone()).collect()
    }

    /// New processes are ended before their first turn from now on.
    pub(crate) fn close(&self) {
        self.slots.write().closed = true;
    }

    /// Done when no process is left.
    pub(crate) async fn none_left(&self) {
        std::future::poll_fn(|cx| {
            let mut slots = self.slots.write();
            if slots.live == 0 {
                return Poll::Ready(());
            }
            slots.waiting_for_none.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
