//! From pid to process. A slot that is used again has another generation, so that an old pid finds nobody.
//!
//! ```text
//!   slot = generation, lock, process            five to a group, which is a cache line
//!   group, group, …                             in chunks that double in size and never move
//! ```
//!
//! A chunk is had zeroed, which is what a free slot is, so that the operating system gives it a page when the first
//! process comes to be there.
//!
//! Free slots move between the table and the workers by the batch ([`Allotment`](super::allotment::Allotment)), so that a process that
//! begins or ends takes no lock of the whole table.
//!
//! A slot is locked for a few instructions: while its process is looked up, put in or taken out. What is
//! looked up has a reference of its own before the lock is released, so that it cannot be freed under it.
#![expect(unsafe_code, reason = "a slot's lock guards the count of references of its process")]

use std::ptr::{self, NonNull};
use std::task::{Poll, Waker};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::accounts::Accounts;
use super::header::Header;
use super::reference::{AnyRef, Ready};
use super::turn::{Turn, uncharged};
use crate::memory::{Account, prefetch_for_writing};
use crate::node::Node;
use crate::pid::{NodeId, Pid};
use crate::sync::{AtomicPtr, AtomicU32, Ordering, spin_loop, yield_thread};

/// How many slots the first chunk has.
pub(super) const FIRST: usize = 256;
pub(super) const CHUNKS: usize = 24;
/// How many slots share a cache line: of twelve bytes each.
const GROUP: usize = 5;
const LOCKED: u32 = 1;
const GENERATION_SHIFT: u32 = 1;
/// A slot is used so often, and then no more.
const GENERATIONS: u32 = 1 << (32 - GENERATION_SHIFT);

pub(crate) struct Table {
    node: NodeId,
    chunks: [AtomicPtr<Group>; CHUNKS],
    /// How many slots were ever used.
    used: AtomicU32,
    /// Apart from what everybody reads.
    free: CachePadded<Mutex<Free>>,
    closed: AtomicU32,
    accounts: Accounts,
}

#[derive(Default)]
struct Free {
    slots: Vec<u32>,
    /// Who waits for the end of the process in this slot.
    waiting: Vec<(u32, Waker)>,
}

/// Some slots. Of zeros all of them are free, in their first generation.
#[repr(C, align(64))]
struct Group {
    processes: [AtomicPtr<Header>; GROUP],
    /// The generation of each, and its lock in the lowest bit.
    words: [AtomicU32; GROUP],
}

/// One slot of a group.
#[derive(Clone, Copy)]
struct Slot<'a> {
    word: &'a AtomicU32,
    process: &'a AtomicPtr<Header>,
}

/// How many processes a table has and has had.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) alive: usize,
    pub(crate) ended: u64,
}

/// A pid and its slot.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) pid: Pid,
    slot: Slot<'a>,
}

impl Table {
    pub(crate) fn new(node: NodeId) -> Self {
        Self {
            node,
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
            used: AtomicU32::new(0),
            free: CachePadded::default(),
            closed: AtomicU32::new(0),
            accounts: Accounts::new(),
        }
    }

    /// Reserves the pid of a free slot. It names nobody until [`insert`](Self::insert).
    pub(crate) fn reserve(&self, number: Option<u32>) -> Entry<'_> {
        let slot = number.and_then(|number| Some((number, self.slot(number)?)));
        let Some((number, slot)) = slot else { unreachable!("a slot that was used has a chunk") };
        Entry { pid: Pid::new(self.node, number, slot.generation()), slot }
    }

    /// Asks for the memory of a slot that is about to be used.
    #[inline]
    pub(crate) fn prefetch(&self, number: u32) {
        if let Some(slot) = self.slot(number) {
            prefetch_for_writing(NonNull::from(slot.word).cast());
        }
    }

    /// Asks for the memory of the process that `pid` names, or of another one in its slot.
    #[inline]
    pub(super) fn prefetch_process(&self, pid: Pid) {
        if pid.node() == self.node
            && let Some(slot) = self.slot(pid.slot())
            && let Some(process) = NonNull::new(slot.process.load(Ordering::Relaxed))
        {
            Ready::prefetch_at(process);
        }
    }

    /// Takes as many free slots as there are, up to `count`; new ones if there are none.
    pub(crate) fn take_free(&self, count: usize) -> Vec<u32> {
        let mut free = self.free.lock();
        uncharged(|| {
            if free.slots.is_empty() {
                return self.use_more(count, &free);
            }
            let left = free.slots.len().saturating_sub(count);
            free.slots.split_off(left)
        })
    }

    /// Takes slots back that are free.
    pub(crate) fn give_free(&self, slots: Vec<u32>) {
        self.free.lock().slots.extend(slots);
    }

    /// Puts `process` where its pid was reserved. Returns whether the table still takes processes.
    pub(crate) fn insert(&self, reserved: Entry<'_>, process: &Header) -> bool {
        // No lock: until this the slot is nobody's but the caller's. A swap, so that either this sees that
        // the table is closed, or whoever closes it sees the process.
        reserved.slot.process.swap(process.ready_ptr().as_ptr(), Ordering::SeqCst);
        self.closed.load(Ordering::SeqCst) == 0
    }

    /// The process that `pid` names.
    pub(crate) fn get(&self, pid: Pid) -> Option<AnyRef> {
        let slot = self.slot(pid.slot())?;
        if slot.generation() != pid.generation() {
            return None;
        }
        slot.process_of(Some(pid.generation()))
    }

    /// The slot of a process, which is about to be removed; its memory is asked for.
    #[inline]
    pub(crate) fn find(&self, pid: Pid) -> Option<Entry<'_>> {
        let slot = self.slot(pid.slot())?;
        prefetch_for_writing(NonNull::from(slot.word).cast());
        Some(Entry { pid, slot })
    }

    /// The pid names nobody from now on. `turn` is the one in which the process of `node` has ended.
    pub(crate) fn remove(&self, node: &Node, entry: Entry<'_>, turn: &Turn<'_>) {
        let Entry { pid, slot } = entry;
        let generation = slot.lock();
        // Under the lock: either this sees that the table is closed, or `none_left`, which closed it and locks the
        // slot later, sees it empty.
        let is_closed = self.is_closed();
        if generation != pid.generation() {
            slot.unlock(generation);
            return;
        }
        slot.process.store(ptr::null_mut(), Ordering::Relaxed);
        // Before anybody else can have the slot.
        if let Some(account) = self.accounts.get(pid.slot()) {
            account.close();
        }
        let next = Some(generation + 1).filter(|next| *next < GENERATIONS);
        slot.unlock(next.unwrap_or(generation));
        // A slot whose generations are used up is not used again.
        if next.is_some() {
            turn.with_allotment(node, |allotment| allotment.put_slot(node, pid.slot()));
        }
        if is_closed {
            let mut free = self.free.lock();
            let ended = free.waiting.extract_if(.., |(number, _)| *number == pid.slot());
            let woken: Vec<Waker> = ended.map(|(_, waker)| waker).collect();
            drop(free);
            woken.into_iter().for_each(Waker::wake);
        }
    }

    /// What the process in this slot has allocated, if it was ever charged or limited.
    pub(crate) fn account(&self, slot: u32) -> Option<&'static Account> {
        self.accounts.get(slot)
    }

    /// The account of the process in this slot. `None` if there is no memory for it.
    pub(super) fn open_account(&self, slot: u32) -> Option<&'static Account> {
        self.accounts.open(slot)
    }

    /// Limits what the process in this slot, which has not begun, may allocate.
    pub(super) fn limit_account(&self, slot: u32, bytes: u64) {
        self.accounts.open_or_abort(slot).set_limit(bytes);
    }

    /// All processes. One that lives all the while is among them, and none is there twice.
    pub(crate) fn all(&self) -> Vec<AnyRef> {
        let slots = (0..self.used.load(Ordering::Acquire)).filter_map(|number| self.slot(number));
        slots.filter_map(|slot| slot.process_of(None)).filter(|process| !process.is_gone()).collect()
    }

    /// How many processes there are, and how many there have been: each end is a generation of its slot. So nothing is
    /// counted when a process comes or goes; it takes a look at each slot that was ever used.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for slot in (0..self.used.load(Ordering::Acquire)).filter_map(|number| self.slot(number)) {
            let (ended, is_there) = slot.tally();
            tally.ended += u64::from(ended);
            tally.alive += usize::from(is_there);
        }
        tally
    }

    /// New processes are ended before their first turn from now on.
    pub(crate) fn close(&self) {
        self.closed.store(1, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) != 0
    }

    /// Done when no process is left. The table must be closed.
    pub(crate) async fn none_left(&self) {
        // Until a whole pass finds none: one that was spawned late may be in a slot that was passed.
        loop {
            let mut found = false;
            let mut number = 0;
            while number < self.used.load(Ordering::Acquire) {
                let is_empty = |table: &Self| table.slot(number).is_none_or(Slot::is_empty);
                std::future::poll_fn(|cx| {
                    if is_empty(self) {
                        return Poll::Ready(());
                    }
                    found = true;
                    let mut free = self.free.lock();
                    free.waiting.retain(|(waited, waker)| *waited != number || !waker.will_wake(cx.waker()));
                    // Looked at again: who emptied it before the table was closed wakes nobody. Who does so
                    // now takes this lock afterwards.
                    if is_empty(self) {
                        return Poll::Ready(());
                    }
                    free.waiting.push((number, cx.waker().clone()));
                    Poll::Pending
                })
                .await;
                number += 1;
            }
            if !found {
                return;
            }
        }
    }

    /// Begins to use `count` slots. Under the lock, so that a chunk is there before the first of its slots
    /// counts as used.
    #[cold]
    fn use_more(&self, count: usize, _: &Free) -> Vec<u32> {
        let first = self.used.load(Ordering::Relaxed);
        let numbers = first..first + count as u32;
        for number in numbers.clone() {
            let (chunk, _) = place(number);
            assert!(chunk < CHUNKS, "a node has fewer than 2^32 processes at once");
            if self.chunks[chunk].load(Ordering::Relaxed).is_null() {
                // SAFETY: null pointers and numbers are zeros.
                let groups = unsafe { Box::<[Group]>::new_zeroed_slice(groups_of(chunk)).assume_init() };
                self.chunks[chunk].store(Box::into_raw(groups).cast(), Ordering::Release);
            }
        }
        self.used.store(numbers.end, Ordering::Release);
        // The last is handed out first.
        numbers.rev().collect()
    }

    #[inline]
    fn slot(&self, number: u32) -> Option<Slot<'_>> {
        if number >= self.used.load(Ordering::Acquire) {
            return None;
        }
        let (chunk, at) = place(number);
        let groups = NonNull::new(self.chunks[chunk].load(Ordering::Acquire))?;
        // SAFETY: the chunk has `FIRST << chunk` slots in its groups, of which this is one, and lives as long as
        // the table.
        let group = unsafe { groups.add(at / GROUP).as_ref() };
        Some(Slot { word: &group.words[at % GROUP], process: &group.processes[at % GROUP] })
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        for (number, chunk) in self.chunks.iter_mut().enumerate() {
            let groups = *chunk.get_mut();
            if !groups.is_null() {
                // SAFETY: it was made by `use_more` with this length, and nobody refers to it any more.
                drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(groups, groups_of(number))) });
            }
        }
    }
}

/// Which chunk a slot is in, and where.
pub(super) fn place(number: u32) -> (usize, usize) {
    let shifted = number as usize + FIRST;
    let chunk = (shifted / FIRST).ilog2() as usize;
    (chunk, shifted - (FIRST << chunk))
}

/// How many groups a chunk has. Of the last some slots may never be used.
fn groups_of(chunk: usize) -> usize {
    (FIRST << chunk).div_ceil(GROUP)
}

impl Slot<'_> {
    fn generation(self) -> u32 {
        self.word.load(Ordering::Acquire) >> GENERATION_SHIFT
    }

    /// How many processes have ended here, and whether there is one.
    fn tally(self) -> (u32, bool) {
        let mut generation = self.generation();
        loop {
            let is_there = !self.process.load(Ordering::Acquire).is_null();
            // A process is taken out before the generation grows: with the same one before and after, both belong
            // together.
            let after = self.generation();
            if after == generation {
                return (generation, is_there);
            }
            generation = after;
        }
    }

    fn is_empty(self) -> bool {
        let generation = self.lock();
        let is_empty = self.process.load(Ordering::SeqCst).is_null();
        self.unlock(generation);
        is_empty
    }

    /// The process here, if there is one, of this generation if one is given.
    fn process_of(self, generation: Option<u32>) -> Option<AnyRef> {
        let locked = self.lock();
        // SeqCst: with the swap in `insert`, which takes no lock.
        let process = self.process.load(Ordering::SeqCst);
        let is_meant = generation.is_none_or(|generation| generation == locked);
        // SAFETY: a process is taken out of its slot, under this lock, before it gives up the reference
        // that it has to itself.
        let process = unsafe { process.as_ref() }.filter(|_| is_meant).map(AnyRef::of);
        self.unlock(locked);
        process
    }

    fn lock(self) -> u32 {
        let mut tries = 0_u32;
        loop {
            let word = self.word.load(Ordering::Relaxed);
            if word & LOCKED == 0
                && self.word.compare_exchange_weak(word, word | LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return word >> GENERATION_SHIFT;
            }
            tries += 1;
            if tries.is_multiple_of(64) { yield_thread() } else { spin_loop() }
        }
    }

    fn unlock(self, generation: u32) {
        self.word.store(generation << GENERATION_SHIFT, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_a_place_of_its_own() {
        assert_eq!(place(0), (0, 0));
        assert_eq!(place(255), (0, 255));
        assert_eq!(place(256), (1, 0));
        assert_eq!(place(767), (1, 511));
        assert_eq!(place(768), (2, 0));
        assert!(place(u32::MAX - FIRST as u32).0 < CHUNKS);
    }

    /// Goal: what a process costs beside its cell is what is promised.
    #[test]
    fn a_group_is_a_cache_line_with_as_many_slots_as_it_holds() {
        assert_eq!(size_of::<Group>(), 64);
        assert_eq!(GROUP, 64 / (size_of::<AtomicPtr<Header>>() + size_of::<AtomicU32>()));
    }

    #[test]
    fn slots_are_handed_out_once_and_their_chunks_are_there() {
        let table = Table::new(NodeId::new("n", 1));
        let mut numbers: Vec<u32> = (0..20).flat_map(|_| table.take_free(64)).collect();
        assert_eq!(numbers.len(), 20 * 64);
        assert!(numbers.iter().all(|number| table.slot(*number).is_some()));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 20 * 64);
    }
}
