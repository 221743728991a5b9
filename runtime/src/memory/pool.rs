//! The memory of one runtime.
//!
//! The free pieces of a size lie on a stack. What lies deep enough that nobody came down to it for a while was not
//! needed: the pages that are covered by such pieces go back to the operating system, which gives others for them when they
//! are used again. What was such pieces is cut anew then, like a chunk. That is the working set of the magazine allocator,
//! J. Bonwick and J. Adams, "Magazines and Vmem", USENIX 2001, section 3.
#![expect(unsafe_code, reason = "raw memory, handed out and taken back")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use parking_lot::Mutex;

use super::magazine::BATCH;
use super::{CLASSES, Memory, allocate_globally, class_of, pages, size_of_class};
use crate::process::turn::uncharged;

/// What a pool cuts its pieces from. A little less than 64 pages: with what an allocator writes in front of it, and
/// puts in to align it, it takes 64 and not 65.
const CHUNK: Layout = match Layout::from_size_align(256 * 1_024 - 256, 64) {
    Ok(layout) => layout,
    Err(_) => panic!("a chunk has a valid layout"),
};
/// Fewer bytes than that are not worth a look at the pages that they are on.
const WORTH_IT: usize = 256 * 1_024;

/// The memory of one runtime.
pub(crate) struct Pool {
    shelves: [Mutex<Shelf>; CLASSES],
}

/// The free pieces of one size.
struct Shelf {
    free: Vec<*mut u8>,
    /// How many were left when there were fewest, since [`unneeded`](Pool::unneeded) looked last.
    fewest: usize,
    /// How many at the bottom are known to cover no page.
    scattered: usize,
    /// What pieces are cut from, the last first.
    uncut: Vec<Uncut>,
    chunks: Vec<NonNull<u8>>,
}

/// Memory that is not cut into pieces, or not any more.
struct Uncut {
    first: *mut u8,
    len: usize,
}

// SAFETY: what the pointers of a shelf lead to is free memory that belongs to the pool; it is
// reached under the shelf's lock only, or by whoever has taken it out.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    pub(crate) fn new() -> Self {
        Self { shelves: [const { Mutex::new(Shelf::EMPTY) }; CLASSES] }
    }

    /// Takes some pieces, as many as there is room for at `into` if it has them at hand; returns how many.
    pub(super) fn take(&self, class: usize, into: &mut [*mut u8]) -> usize {
        self.shelves[class].lock().take(size_of_class(class), into)
    }

    /// Takes free pieces back.
    pub(super) fn give(&self, class: usize, pieces: &[*mut u8]) {
        self.shelves[class].lock().free.extend_from_slice(pieces);
    }

    /// Takes out what is free, as far as nobody has needed it since the last time that this was called.
    #[cold]
    pub(crate) fn unneeded(self: &Arc<Self>) -> Vec<Unneeded> {
        self.take_out(Shelf::unneeded)
    }

    /// Takes out all that is free.
    #[cold]
    pub(crate) fn all_free(self: &Arc<Self>) -> Vec<Unneeded> {
        self.take_out(|shelf, _| std::mem::take(&mut shelf.free))
    }

    /// How many pieces are in use; those that magazines hold are.
    #[cold]
    pub(crate) fn in_use(&self) -> usize {
        (0..CLASSES).map(|class| self.shelves[class].lock().in_use(size_of_class(class))).sum()
    }

    fn take_out(self: &Arc<Self>, which: impl Fn(&mut Shelf, usize) -> Vec<*mut u8>) -> Vec<Unneeded> {
        let of_class = |class: usize| which(&mut self.shelves[class].lock(), size_of_class(class));
        let taken = (0..CLASSES).map(|class| Unneeded { pool: self.clone(), class, pieces: of_class(class) });
        taken.filter(|unneeded| !unneeded.pieces.is_empty()).collect()
    }
}

/// Free pieces of one size that were taken out to be trimmed.
pub(crate) struct Unneeded {
    pool: Arc<Pool>,
    class: usize,
    pieces: Vec<*mut u8>,
}

// SAFETY: the pieces are free memory, and nobody else has them.
unsafe impl Send for Unneeded {}

impl Unneeded {
    /// Gives their pages back to the operating system, and the pieces to the pool. It takes a while: some 100 ms for a million.
    pub(crate) fn trim(self) {
        let Self { pool, class, mut pieces } = self;
        let size = size_of_class(class);
        pieces.sort_unstable();
        let (mut uncut, mut scattered) = (Vec::new(), Vec::new());
        for run in pieces.chunk_by(|one, next| one.addr() + size == next.addr()) {
            let (first, len) = (run[0], run.len() * size);
            // SAFETY: nobody else has the pieces, and what lies on them is nothing.
            if unsafe { pages::discard(first, len) } {
                uncut.push(Uncut { first, len });
            } else {
                scattered.extend_from_slice(run);
            }
        }
        pool.shelves[class].lock().put_below(scattered, uncut);
    }
}

impl Memory for Pool {
    #[cold]
    fn allocate(&self, layout: Layout) -> NonNull<u8> {
        match class_of(layout) {
            Some(class) => uncharged(|| self.shelves[class].lock().pop(size_of_class(class))),
            None => allocate_globally(layout),
        }
    }

    #[cold]
    unsafe fn release(&self, piece: NonNull<u8>, layout: Layout) {
        match class_of(layout) {
            Some(class) => uncharged(|| self.give(class, &[piece.as_ptr()])),
            // SAFETY: the caller's promise; what has no class was allocated globally.
            None => unsafe { dealloc(piece.as_ptr(), layout) },
        }
    }
}

impl Shelf {
    const EMPTY: Self = Self { free: Vec::new(), fewest: 0, scattered: 0, uncut: Vec::new(), chunks: Vec::new() };

    /// See [`Pool::take`].
    fn take(&mut self, size: usize, into: &mut [*mut u8]) -> usize {
        if self.free.is_empty() {
            return self.cut(size, into);
        }
        let left = self.free.len().saturating_sub(into.len());
        let count = self.free.len() - left;
        into[..count].copy_from_slice(&self.free[left..]);
        self.free.truncate(left);
        self.note_left(left);
        count
    }

    /// How many pieces are in use.
    fn in_use(&self, size: usize) -> usize {
        let uncut: usize = self.uncut.iter().map(|uncut| uncut.len / size).sum();
        self.chunks.len() * (CHUNK.size() / size) - uncut - self.free.len()
    }

    /// Takes one piece.
    fn pop(&mut self, size: usize) -> NonNull<u8> {
        if self.free.is_empty() {
            let mut pieces = [ptr::null_mut(); BATCH];
            let count = self.cut(size, &mut pieces);
            self.free.extend_from_slice(&pieces[..count]);
        }
        let piece = self.free.pop().and_then(NonNull::new);
        self.note_left(self.free.len());
        piece.unwrap_or_else(|| unreachable!("some were cut"))
    }

    #[inline]
    fn note_left(&mut self, left: usize) {
        self.fewest = self.fewest.min(left);
        self.scattered = self.scattered.min(left);
    }

    /// See [`Pool::unneeded`].
    fn unneeded(&mut self, size: usize) -> Vec<*mut u8> {
        let fewest = std::mem::replace(&mut self.fewest, usize::MAX).min(self.free.len());
        if fewest.saturating_sub(self.scattered) * size < WORTH_IT {
            return Vec::new();
        }
        let needed = self.free.split_off(fewest);
        self.scattered = 0;
        std::mem::replace(&mut self.free, needed)
    }

    /// Puts what was trimmed below all else: it is handed out last.
    fn put_below(&mut self, mut scattered: Vec<*mut u8>, mut uncut: Vec<Uncut>) {
        self.scattered += scattered.len();
        self.fewest = self.fewest.saturating_add(scattered.len());
        scattered.append(&mut self.free);
        self.free = scattered;
        uncut.append(&mut self.uncut);
        self.uncut = uncut;
    }

    /// Cuts new pieces; returns how many. The last is the first to be handed out: they go up in memory, which the hardware
    /// reads ahead.
    #[cold]
    fn cut(&mut self, size: usize, into: &mut [*mut u8]) -> usize {
        let Uncut { first, len } = self.uncut.pop().unwrap_or_else(|| self.chunk());
        let count = into.len().min(len / size);
        for (number, piece) in into[..count].iter_mut().rev().enumerate() {
            // SAFETY: `size * count` bytes are left from `first` on.
            *piece = unsafe { first.add(number * size) };
        }
        // SAFETY: as above.
        let rest = Uncut { first: unsafe { first.add(size * count) }, len: len - size * count };
        // Of a chunk less than a piece is left over in the end.
        if rest.len >= size {
            self.uncut.push(rest);
        }
        count
    }

    fn chunk(&mut self) -> Uncut {
        // SAFETY: the layout of a chunk has a size other than 0.
        let chunk = unsafe { alloc(CHUNK) };
        let Some(chunk) = NonNull::new(chunk) else { handle_alloc_error(CHUNK) };
        self.chunks.push(chunk);
        Uncut { first: chunk.as_ptr(), len: CHUNK.size() }
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

#[cfg(test)]
impl Pool {
    /// How many chunks there are.
    pub(super) fn chunks(&self) -> usize {
        self.shelves.iter().map(|shelf| shelf.lock().chunks.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{GRAIN, LARGEST};
    use super::*;

    /// Goal: of a chunk, less than a piece is left unused.
    #[test]
    fn a_chunk_is_cut_to_its_end() {
        let pool = Pool::new();
        let mut into = [ptr::null_mut(); BATCH];
        for size in (GRAIN..=LARGEST).step_by(GRAIN) {
            let class = size / GRAIN - 1;
            let of_a_chunk = CHUNK.size() / size;
            let mut pieces = 0;
            while pieces < of_a_chunk {
                pieces += pool.take(class, &mut into);
            }
            assert_eq!((pieces, pool.shelves[class].lock().chunks.len()), (of_a_chunk, 1), "pieces of {size}");
        }
    }

    #[test]
    fn what_is_in_use_is_known_however_it_was_cut_and_trimmed() {
        let pool = Arc::new(Pool::new());
        assert_eq!(pool.in_use(), 0);
        let mut had = pieces(&pool, CLASS, 10_000);
        let others = pieces(&pool, 100, 500);
        assert_eq!(pool.in_use(), 10_500);
        let back = had.split_off(3_000);
        pool.give(CLASS, &back);
        assert_eq!(pool.in_use(), 3_500);
        trim(pool.all_free());
        assert_eq!(pool.in_use(), 3_500);
        had.extend(pieces(&pool, CLASS, 9_000));
        assert_eq!(pool.in_use(), 12_500);
        pool.give(CLASS, &had);
        pool.give(100, &others);
        assert_eq!(pool.in_use(), 0);
    }

    fn pieces(pool: &Pool, class: usize, count: usize) -> Vec<*mut u8> {
        let mut pieces = vec![ptr::null_mut(); count];
        let mut had = 0;
        while had < count {
            had += pool.take(class, &mut pieces[had..count.min(had + BATCH)]);
        }
        pieces
    }

    const CLASS: usize = 3;

    /// How many of the pieces have lost what was written there.
    fn lost(pieces: &[*mut u8]) -> usize {
        // SAFETY: they are pieces of the pool, written to by the test.
        pieces.iter().filter(|piece| unsafe { piece.read() } == 0).count()
    }

    fn write(pieces: &[*mut u8]) {
        // SAFETY: they are pieces of the pool.
        pieces.iter().for_each(|piece| unsafe { piece.write(1) });
    }

    fn trim(unneeded: Vec<Unneeded>) {
        unneeded.into_iter().for_each(Unneeded::trim);
    }

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "pages are given back on Linux only")]
    fn pages_of_what_nobody_needed_for_a_while_go_back() {
        let pool = Arc::new(Pool::new());
        let mut had = pieces(&pool, CLASS, 100_000);
        write(&had);
        had.sort_unstable();
        // In any order, and but for one that is in use; before that come some batches and one piece.
        let in_use = had.remove(8 * BATCH + 1);
        let free = had.as_slice();
        free.iter().step_by(2).chain(free.iter().skip(1).step_by(2)).for_each(|piece| pool.give(CLASS, &[*piece]));
        trim(pool.unneeded());
        assert_eq!(lost(free), 0, "all were needed in the time before");
        let again = pieces(&pool, CLASS, 1_000);
        pool.give(CLASS, &again);
        trim(pool.unneeded());
        assert!(lost(free) > 98_000 - 64 * 64, "{} of those that nobody needed", lost(free));
        assert_eq!(lost(&again), 0, "what somebody needed stays");
        assert_eq!(lost(&[in_use]), 0);
        assert_eq!(pool.shelves[CLASS].lock().unneeded(64).len(), 0, "once is enough");
        // With what is left of the newest chunk.
        let count = free.len() + CHUNK.size() / size_of_class(CLASS);
        let back: BTreeSet<*mut u8> = pieces(&pool, CLASS, count).into_iter().collect();
        assert_eq!(back.len(), count, "none is handed out twice");
        assert!(free.iter().all(|piece| back.contains(piece)), "each is handed out again");
    }

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "pages are given back on Linux only")]
    fn all_that_is_free_goes_back_at_once_if_that_is_asked_for() {
        let pool = Arc::new(Pool::new());
        let had = pieces(&pool, CLASS, 10_000);
        write(&had);
        pool.give(CLASS, &had);
        trim(pool.all_free());
        assert!(lost(&had) > 10_000 - 8 * 64, "{} of them", lost(&had));
    }
}
