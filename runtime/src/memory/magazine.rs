//! The free pieces that a worker has at hand.
//!
//! Their addresses are kept apart from the pieces: to hand one out or take it back touches nothing of it, and what
//! will be handed out soon can be asked for in time.
#![expect(unsafe_code, reason = "raw memory, handed out and taken back")]

use std::alloc::{Layout, dealloc};
use std::cell::UnsafeCell;
use std::ptr::NonNull;

use super::{CLASSES, Memory, Pool, allocate_globally, class_of, lines, prefetch_for_writing, size_of_class};
use crate::process::turn::uncharged;

/// How many pieces move between a magazine and the pool at once. 64 was chosen by feel.
pub(super) const BATCH: usize = 64;
/// How many pieces ahead memory is asked for.
const AHEAD: usize = 2;
/// How many bytes of a piece are asked for: what is written first.
const ASKED_FOR: usize = 128;

/// The free pieces that a worker has at hand. They go back to the pool when it is dropped.
pub(crate) struct Magazine<'a> {
    pool: &'a Pool,
    hands: Box<[UnsafeCell<Hand>]>,
}

/// Free pieces of one size; of zeros, none.
struct Hand {
    len: usize,
    pieces: [*mut u8; 2 * BATCH],
}

impl<'a> Magazine<'a> {
    /// An empty one.
    pub(crate) fn new(pool: &'a Pool) -> Self {
        // SAFETY: numbers and null pointers are zeros. What no piece is ever of takes no memory.
        let hands = unsafe { Box::<[UnsafeCell<Hand>]>::new_zeroed_slice(CLASSES).assume_init() };
        Self { pool, hands }
    }

    /// The pieces of a class.
    ///
    /// # Safety
    /// What was returned before is used no more.
    #[expect(clippy::mut_from_ref, reason = "a magazine stays on its thread; see Safety")]
    #[inline]
    unsafe fn hand(&self, class: usize) -> &mut Hand {
        // SAFETY: the caller's promise; a magazine is not Sync.
        unsafe { &mut *self.hands[class].get() }
    }

    #[cold]
    fn fill(&self, class: usize) -> NonNull<u8> {
        // SAFETY: `allocate` uses the hand no more. The pool uses no magazine.
        let hand = unsafe { self.hand(class) };
        hand.len = uncharged(|| self.pool.take(class, &mut hand.pieces[..BATCH]));
        let Some(piece) = hand.pop(class) else { unreachable!("the pool has always some") };
        piece
    }

    #[cold]
    fn thin(&self, class: usize) {
        // SAFETY: as in `fill`.
        let hand = unsafe { self.hand(class) };
        // Those that were used last stay. Of the others the first is handed out first: what was had in one order is used in
        // the same again, which the hardware foresees if it is that of the addresses.
        hand.pieces[..BATCH].reverse();
        uncharged(|| self.pool.give(class, &hand.pieces[..BATCH]));
        hand.pieces.copy_within(BATCH.., 0);
        hand.len -= BATCH;
    }
}

impl Memory for Magazine<'_> {
    #[inline]
    fn allocate(&self, layout: Layout) -> NonNull<u8> {
        let Some(class) = class_of(layout) else { return allocate_globally(layout) };
        // SAFETY: it is used in this line only.
        match unsafe { self.hand(class) }.pop(class) {
            Some(piece) => piece,
            None => self.fill(class),
        }
    }

    #[inline]
    unsafe fn release(&self, piece: NonNull<u8>, layout: Layout) {
        let Some(class) = class_of(layout) else {
            // SAFETY: the caller's promise; such a layout was allocated globally.
            return unsafe { dealloc(piece.as_ptr(), layout) };
        };
        // SAFETY: it is used in this line only.
        if unsafe { self.hand(class) }.push(piece) {
            self.thin(class);
        }
    }
}

impl Drop for Magazine<'_> {
    fn drop(&mut self) {
        for (class, hand) in self.hands.iter_mut().enumerate() {
            let Hand { len, pieces } = hand.get_mut();
            if *len > 0 {
                self.pool.give(class, &pieces[..*len]);
            }
        }
    }
}

impl Hand {
    /// Takes the piece that was put here last. Those that come soon may have been used last by another worker, or never:
    /// they are asked for.
    #[inline]
    fn pop(&mut self, class: usize) -> Option<NonNull<u8>> {
        let len = self.len.checked_sub(1)?;
        self.len = len;
        let soon = self.pieces[len.saturating_sub(AHEAD) % (2 * BATCH)];
        if let Some(soon) = NonNull::new(soon) {
            lines(soon, size_of_class(class).min(ASKED_FOR)).for_each(prefetch_for_writing);
        }
        NonNull::new(self.pieces[len % (2 * BATCH)])
    }

    /// Puts a piece here; returns whether there are too many now.
    #[inline]
    fn push(&mut self, piece: NonNull<u8>) -> bool {
        self.pieces[self.len % (2 * BATCH)] = piece.as_ptr();
        self.len += 1;
        self.len == self.pieces.len()
    }
}
