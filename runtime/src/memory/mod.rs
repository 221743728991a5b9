//! Memory: the allocator that charges processes for what they allocate, and what the runtime has of its own.
//!
//! # For processes and the blocks of their mailboxes
//! Both come and go by the million in few sizes. A `Pool` belongs to a runtime; each of its workers has
//! a `Magazine` of free pieces by size, so that most pieces are had and given back without a lock:
//!
//! ```text
//!   allocate ──▶ magazine of this worker ──▶ pool: batches of free pieces ──▶ chunk, cut in order
//!   release  ──▶ magazine of this worker ──▶ pool, a batch at a time, when the magazine holds too many
//! ```
//!
//! A piece may be released by another worker than the one that allocated it. Threads that are no workers
//! of the runtime use the pool itself, under a lock. Chunks go back to the operating system when the pool
//! is dropped; whoever holds a piece keeps the pool alive (a cell holds its node, which holds it).
//!
//! Large pieces, and all pieces under `--cfg biotope_malloc` (so that sanitizers see each of them), come
//! from the global allocator. Whatever a pool takes from there is on no process's account.
#![expect(unsafe_code, reason = "raw memory, handed out and taken back")]

mod account;
mod accounting;
mod scratch;
mod words;

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};

use parking_lot::Mutex;

use crate::process::turn::uncharged;

pub(crate) use self::account::{Account, Charged, Owner};
pub use self::accounting::Accounting;
pub(crate) use self::accounting::is_installed;
pub(crate) use self::scratch::Arena;
pub use self::scratch::Scratch;
pub(crate) use self::words::{prefetch, relocate, take_out};

/// Pieces come in multiples of this, and are aligned to it.
const GRAIN: usize = 16;
/// Larger pieces come from the global allocator.
const LARGEST: usize = 2_048;
const CLASSES: usize = LARGEST / GRAIN;
/// What a pool cuts its pieces from. A little less than 64 pages: with what an allocator writes in front of it, and
/// puts in to align it, it takes 64 and not 65.
const CHUNK: Layout = match Layout::from_size_align(256 * 1_024 - 256, 64) {
    Ok(layout) => layout,
    Err(_) => panic!("a chunk has a valid layout"),
};
/// How many pieces move between a magazine and the pool at once. 64 was chosen by feel.
const BATCH: usize = 64;

/// Where memory comes from: a [`Pool`], or the global allocator in models and tests.
pub(crate) trait Memory {
    /// A piece of memory, uninitialised.
    fn allocate(&self, layout: Layout) -> NonNull<u8>;
    /// Takes a piece back.
    ///
    /// # Safety
    /// It came from `allocate` of the same memory with the same layout, and nobody uses it any more.
    unsafe fn release(&self, piece: NonNull<u8>, layout: Layout);
}

/// The memory of one runtime.
pub(crate) struct Pool {
    shelves: [Mutex<Shelf>; CLASSES],
}

/// The free pieces of one size.
struct Shelf {
    batches: Vec<List>,
    /// What is left of the newest chunk.
    cut: *mut u8,
    left: usize,
    chunks: Vec<NonNull<u8>>,
}

/// Free pieces, each of which holds the address of the next.
struct List {
    first: *mut Free,
    len: usize,
}

struct Free {
    next: *mut Free,
}

/// The free pieces that a worker has at hand. They go back to the pool when it is dropped.
pub(crate) struct Magazine<'a> {
    pool: &'a Pool,
    lists: UnsafeCell<[List; CLASSES]>,
}

/// Where a thread has its memory from: a worker its magazine, any other the pool.
#[derive(Clone, Copy)]
pub(crate) enum Stock<'a> {
    Magazine(&'a Magazine<'a>),
    Pool(&'a Pool),
}

// SAFETY: what the pointers of shelf and lists lead to is free memory that belongs to the pool; it is
// reached under the shelf's lock only.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    pub(crate) fn new() -> Self {
        Self {
            shelves: [const { Mutex::new(Shelf { batches: Vec::new(), cut: ptr::null_mut(), left: 0, chunks: Vec::new() }) };
                CLASSES],
        }
    }

    fn take_batch(&self, class: usize) -> List {
        let mut shelf = self.shelves[class].lock();
        if let Some(batch) = shelf.batches.pop() {
            return batch;
        }
        let size = (class + 1) * GRAIN;
        let mut list = List::EMPTY;
        if shelf.left < size {
            // SAFETY: the layout of a chunk has a size other than 0.
            let chunk = unsafe { alloc(CHUNK) };
            let Some(chunk) = NonNull::new(chunk) else { handle_alloc_error(CHUNK) };
            shelf.chunks.push(chunk);
            shelf.cut = chunk.as_ptr();
            shelf.left = CHUNK.size();
        }
        // The last batch of a chunk has what is left of it. The last piece that is cut is the first to be handed
        // out; cutting backwards makes a run of pieces go up in memory, which the hardware reads ahead.
        let count = BATCH.min(shelf.left / size);
        for number in (0..count).rev() {
            // SAFETY: `size * count` bytes are left of the chunk from `cut` on.
            unsafe { list.push(shelf.cut.add(number * size)) };
        }
        // SAFETY: as above.
        shelf.cut = unsafe { shelf.cut.add(size * count) };
        shelf.left -= size * count;
        list
    }
}

impl<'a> Magazine<'a> {
    /// An empty one.
    pub(crate) fn new(pool: &'a Pool) -> Self {
        Self { pool, lists: UnsafeCell::new([const { List::EMPTY }; CLASSES]) }
    }

    #[cold]
    fn fill(&self, class: usize) -> NonNull<u8> {
        let mut batch = uncharged(|| self.pool.take_batch(class));
        let Some(piece) = batch.pop() else { unreachable!("a batch has a piece") };
        // SAFETY: a magazine stays on its thread, and no reference to its lists is held across a call.
        unsafe { (*self.lists.get())[class] = batch };
        piece
    }

    #[cold]
    fn thin(&self, class: usize) {
        // SAFETY: as in `fill`.
        let batch = unsafe { (&mut *self.lists.get())[class].split() };
        uncharged(|| self.pool.shelves[class].lock().batches.push(batch));
    }
}

impl Memory for Magazine<'_> {
    #[inline]
    fn allocate(&self, layout: Layout) -> NonNull<u8> {
        let Some(class) = class_of(layout) else { return allocate_globally(layout) };
        // SAFETY: as in `fill`.
        let list = unsafe { &mut (&mut *self.lists.get())[class] };
        match list.pop() {
            Some(piece) => {
                // What comes next may have been used last by another worker, or never.
                if let Some(next) = NonNull::new(list.first) {
                    prefetch(next.cast());
                }
                piece
            }
            None => self.fill(class),
        }
    }

    #[inline]
    unsafe fn release(&self, piece: NonNull<u8>, layout: Layout) {
        let Some(class) = class_of(layout) else {
            // SAFETY: the caller's promise; such a layout was allocated globally.
            return unsafe { dealloc(piece.as_ptr(), layout) };
        };
        // SAFETY: as in `fill`; nobody uses the piece, and it is of this class.
        let len = unsafe {
            let list = &mut (&mut *self.lists.get())[class];
            list.push(piece.as_ptr());
            list.len
        };
        if len >= 2 * BATCH {
            self.thin(class);
        }
    }
}

impl Drop for Magazine<'_> {
    fn drop(&mut self) {
        for (shelf, list) in self.pool.shelves.iter().zip(self.lists.get_mut()) {
            let list = std::mem::replace(list, List::EMPTY);
            if list.len > 0 {
                shelf.lock().batches.push(list);
            }
        }
    }
}

impl Memory for Pool {
    #[cold]
    fn allocate(&self, layout: Layout) -> NonNull<u8> {
        match class_of(layout) {
            Some(class) => uncharged(|| self.allocate_shared(class)),
            None => allocate_globally(layout),
        }
    }

    #[cold]
    unsafe fn release(&self, piece: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise; what has no class was allocated globally.
        unsafe {
            match class_of(layout) {
                Some(class) => uncharged(|| self.release_shared(class, piece)),
                None => dealloc(piece.as_ptr(), layout),
            }
        }
    }
}

impl Memory for Stock<'_> {
    #[inline]
    fn allocate(&self, layout: Layout) -> NonNull<u8> {
        match self {
            Self::Magazine(magazine) => magazine.allocate(layout),
            Self::Pool(pool) => pool.allocate(layout),
        }
    }

    #[inline]
    unsafe fn release(&self, piece: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise. Pieces of a magazine are pieces of its pool.
        unsafe {
            match self {
                Self::Magazine(magazine) => magazine.release(piece, layout),
                Self::Pool(pool) => pool.release(piece, layout),
            }
        }
    }
}

impl Pool {
    fn allocate_shared(&self, class: usize) -> NonNull<u8> {
        let mut list = self.take_batch(class);
        let Some(piece) = list.pop() else { unreachable!("a batch has a piece") };
        if list.len > 0 {
            self.shelves[class].lock().batches.push(list);
        }
        piece
    }

    /// # Safety
    /// Nobody uses the piece, and it is of this class and pool.
    unsafe fn release_shared(&self, class: usize, piece: NonNull<u8>) {
        let mut shelf = self.shelves[class].lock();
        match shelf.batches.last_mut() {
            // SAFETY: the caller's promise.
            Some(batch) if batch.len < BATCH => unsafe { batch.push(piece.as_ptr()) },
            _ => {
                let mut batch = List::EMPTY;
                // SAFETY: the caller's promise.
                unsafe { batch.push(piece.as_ptr()) };
                shelf.batches.push(batch);
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for shelf in &mut self.shelves {
            for chunk in shelf.get_mut().chunks.drain(..) {
                // SAFETY: it was allocated with this layout, and whoever holds a piece keeps the pool
                // alive, so nobody does.
                unsafe { dealloc(chunk.as_ptr(), CHUNK) };
            }
        }
    }
}

impl List {
    const EMPTY: Self = Self { first: ptr::null_mut(), len: 0 };

    /// # Safety
    /// `piece` is free memory of at least [`GRAIN`] bytes, so aligned, that nobody else uses.
    #[inline]
    unsafe fn push(&mut self, piece: *mut u8) {
        let free = piece.cast::<Free>();
        // SAFETY: the caller's promise; a grain has room for a pointer.
        unsafe { free.write(Free { next: self.first }) };
        self.first = free;
        self.len += 1;
    }

    #[inline]
    fn pop(&mut self) -> Option<NonNull<u8>> {
        let first = NonNull::new(self.first)?;
        // SAFETY: what is on a list was written by `push`, and is used by nobody else.
        self.first = unsafe { first.read() }.next;
        self.len -= 1;
        Some(first.cast())
    }

    /// Takes a batch off.
    #[cold]
    fn split(&mut self) -> Self {
        let mut batch = Self::EMPTY;
        while batch.len < BATCH
            && let Some(piece) = self.pop()
        {
            // SAFETY: it was on a list of the same class, and is on none now.
            unsafe { batch.push(piece.as_ptr()) };
        }
        batch
    }
}

#[inline]
fn class_of(layout: Layout) -> Option<usize> {
    let is_small = layout.size() <= LARGEST && layout.size() > 0 && layout.align() <= GRAIN;
    (is_small && !cfg!(biotope_malloc)).then(|| layout.size().div_ceil(GRAIN) - 1)
}

/// How large the piece is that something of this layout gets.
pub(crate) fn piece_of(layout: Layout) -> usize {
    class_of(layout).map_or(layout.size(), |class| (class + 1) * GRAIN)
}

#[cold]
fn allocate_globally(layout: Layout) -> NonNull<u8> {
    // SAFETY: the layouts of cells and blocks have a size other than 0.
    match NonNull::new(uncharged(|| unsafe { alloc(layout) })) {
        Some(piece) => piece,
        None => handle_alloc_error(layout),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).expect("a valid layout")
    }

    #[test]
    fn no_two_pieces_overlap_and_each_is_aligned() {
        let pool = Pool::new();
        let magazine = Magazine::new(&pool);
        for size in [16, 24, 100, 2_048] {
            let pieces: Vec<_> = (0..1_000).map(|_| magazine.allocate(layout(size))).collect();
            let places: BTreeSet<usize> = pieces.iter().map(|piece| piece.as_ptr().addr()).collect();
            assert!(places.iter().zip(places.iter().skip(1)).all(|(left, right)| right - left >= size));
            assert_eq!(places.len(), pieces.len());
            for piece in pieces {
                // SAFETY: it was allocated above with this layout.
                unsafe { magazine.release(piece, layout(size)) };
            }
        }
    }

    /// Goal: of a chunk, less than a piece is left unused.
    #[test]
    fn a_chunk_is_cut_to_its_end() {
        let pool = Pool::new();
        for size in (GRAIN..=LARGEST).step_by(GRAIN) {
            let class = size / GRAIN - 1;
            let of_a_chunk = CHUNK.size() / size;
            let mut pieces = 0;
            while pieces < of_a_chunk {
                pieces += pool.take_batch(class).len;
            }
            assert_eq!((pieces, pool.shelves[class].lock().chunks.len()), (of_a_chunk, 1), "pieces of {size}");
        }
    }

    #[test]
    fn what_was_released_is_handed_out_again() {
        let pool = Pool::new();
        let magazine = Magazine::new(&pool);
        let piece = magazine.allocate(layout(64));
        // SAFETY: it was allocated above with this layout.
        unsafe { magazine.release(piece, layout(64)) };
        let again = magazine.allocate(layout(64));
        assert!(cfg!(biotope_malloc) || piece == again);
        // SAFETY: it was allocated above with this layout.
        unsafe { magazine.release(again, layout(64)) };
    }

    #[test]
    fn a_thread_that_is_no_worker_uses_the_pool_and_a_large_piece_the_system() {
        let pool = Pool::new();
        for size in [32, LARGEST + 1] {
            let piece = pool.allocate(layout(size));
            // SAFETY: it was allocated above with this layout.
            unsafe { pool.release(piece, layout(size)) };
        }
        let chunks: usize = pool.shelves.iter().map(|shelf| shelf.lock().chunks.len()).sum();
        assert_eq!(chunks, usize::from(!cfg!(biotope_malloc)));
    }

    #[test]
    fn a_magazine_that_is_dropped_gives_its_pieces_back() {
        let pool = Pool::new();
        let magazine = Magazine::new(&pool);
        let piece = magazine.allocate(layout(64));
        // SAFETY: it was allocated above with this layout.
        unsafe { magazine.release(piece, layout(64)) };
        drop(magazine);
        let other = Magazine::new(&pool);
        let again = other.allocate(layout(64));
        let chunks: usize = pool.shelves.iter().map(|shelf| shelf.lock().chunks.len()).sum();
        assert_eq!(chunks, usize::from(!cfg!(biotope_malloc)), "the batch that came back was used");
        // SAFETY: it was allocated above with this layout.
        unsafe { other.release(again, layout(64)) };
    }
}
