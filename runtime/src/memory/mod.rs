//! Memory: the allocator that charges processes for what they allocate, and what the runtime has of its own.
//!
//! # For processes and the blocks of their mailboxes
//! Both come and go by the million in few sizes. A `Pool` belongs to a runtime; each of its workers has
//! a `Magazine` of free pieces by size, so that most pieces are had and given back without a lock:
//!
//! ```text
//!   allocate ──▶ magazine of this worker ──▶ pool: free pieces, some at a time ──▶ chunk, cut in order
//!   release  ──▶ magazine of this worker ──▶ pool, when the magazine holds too many
//!                                              └─▶ operating system: pages of what nobody needed for a while
//! ```
//!
//! A piece may be released by another worker than the one that allocated it. Threads that are no workers
//! of the runtime use the pool itself, under a lock. Chunks are freed when the pool is dropped; whoever holds
//! a piece keeps the pool alive (a cell holds its node, which holds it).
//!
//! Large pieces, and all pieces under `--cfg biotope_malloc` (so that sanitizers see each of them), come
//! from the global allocator. Whatever a pool takes from there is on no process's account.
#![expect(unsafe_code, reason = "raw memory, handed out and taken back")]

mod account;
mod accounting;
mod magazine;
mod pages;
mod pool;
mod scratch;
mod words;

use std::alloc::{Layout, alloc, handle_alloc_error};
use std::ptr::NonNull;

use crate::process::turn::uncharged;

pub(crate) use self::account::{Account, Charged, Owner};
pub use self::accounting::Accounting;
pub(crate) use self::accounting::is_installed;
pub(crate) use self::magazine::Magazine;
pub(crate) use self::pool::{Pool, Unneeded};
pub(crate) use self::scratch::Arena;
pub use self::scratch::Scratch;
pub(crate) use self::words::{lines, prefetch, prefetch_for_writing, relocate, take_out};

/// Pieces come in multiples of this, and are aligned to it.
const GRAIN: usize = 16;
/// Larger pieces come from the global allocator.
const LARGEST: usize = 2_048;
const CLASSES: usize = LARGEST / GRAIN;

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

/// Where a thread has its memory from: a worker its magazine, any other the pool.
#[derive(Clone, Copy)]
pub(crate) enum Stock<'a> {
    Magazine(&'a Magazine<'a>),
    Pool(&'a Pool),
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

/// The class of the pieces that things of this layout lie in; `None` if they come from the global allocator.
#[inline]
fn class_of(layout: Layout) -> Option<usize> {
    if cfg!(biotope_malloc) { None } else { class_by_size(layout) }
}

#[inline]
fn class_by_size(layout: Layout) -> Option<usize> {
    let is_small = layout.size() <= LARGEST && layout.size() > 0 && layout.align() <= GRAIN;
    is_small.then(|| layout.size().div_ceil(GRAIN) - 1)
}

/// How large the pieces of a class are.
const fn size_of_class(class: usize) -> usize {
    (class + 1) * GRAIN
}

/// How large the piece is that something of this layout gets, but under a sanitizer.
pub(crate) fn piece_of(layout: Layout) -> usize {
    class_by_size(layout).map_or(layout.size(), size_of_class)
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
        assert_eq!(pool.chunks(), usize::from(!cfg!(biotope_malloc)));
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
        assert_eq!(pool.chunks(), usize::from(!cfg!(biotope_malloc)), "what came back was used");
        // SAFETY: it was allocated above with this layout.
        unsafe { other.release(again, layout(64)) };
    }
}
