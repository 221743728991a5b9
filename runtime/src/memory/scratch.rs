//! Memory for what is built and dropped within one piece of code.
//!
//! Each worker has one arena. It is lent to a closure, which ends in the turn in which it began, and emptied when the
//! outermost of those is over: so nothing of it outlives the handler, and nothing of it is there across an `.await`.
//! That it is a closure, and not a value that is handed out, is what makes it safe: a value could be leaked, and then
//! what lies in the arena would live as long as the borrow of the context, past the next `.await`.

use std::cell::RefCell;
use std::fmt;

use bumpalo::Bump;

use crate::config::SCRATCH_KEPT;
use crate::process::turn::uncharged;

/// Memory for what is built and dropped within one piece of code; lent by [`Me::scratch`](crate::Me::scratch).
///
/// To allocate is to move a pointer, and nothing is freed one by one. So it takes values that need no drop:
/// those that are `Copy`, slices of them, and text.
pub struct Scratch<'w> {
    bump: &'w Bump,
}

/// The arena of one worker.
#[derive(Default)]
pub(crate) struct Arena(RefCell<Bump>);

impl Arena {
    /// Lends the arena to `f`.
    pub(crate) fn lend<R>(&self, f: impl FnOnce(&Scratch<'_>) -> R) -> R {
        let _emptied = Emptied(self);
        let bump = self.0.borrow();
        f(&Scratch { bump: &bump })
    }
}

/// Empties an arena that nobody uses any more, also if it comes to a panic.
struct Emptied<'a>(&'a Arena);

impl Drop for Emptied<'_> {
    fn drop(&mut self) {
        // Else it is lent further out, too.
        if let Ok(mut bump) = self.0.0.try_borrow_mut() {
            if bump.allocated_bytes() > SCRATCH_KEPT {
                *bump = Bump::new();
            } else {
                bump.reset();
            }
        }
    }
}

impl Scratch<'_> {
    /// Puts `value` here.
    pub fn value<T: Copy>(&self, value: T) -> &mut T {
        self.with_room(size_of::<T>(), || self.bump.alloc(value))
    }

    /// Copies `values` here.
    pub fn slice<T: Copy>(&self, values: &[T]) -> &mut [T] {
        self.with_room(size_of_val(values), || self.bump.alloc_slice_copy(values))
    }

    /// So many copies of `value`.
    pub fn filled<T: Copy>(&self, len: usize, value: T) -> &mut [T] {
        self.with_room(len.saturating_mul(size_of::<T>()), || self.bump.alloc_slice_fill_copy(len, value))
    }

    /// Everything that comes of `values`.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[derive(Actor, Default)]
    /// struct Words;
    ///
    /// #[handlers]
    /// impl Words {
    ///     pub fn longest(&self, text: String, cx: &Context<Self>) -> String {
    ///         cx.scratch(|scratch| {
    ///             let words = scratch.collect(text.split(' '));
    ///             words.sort_unstable_by_key(|word| word.len());
    ///             words.last().copied().unwrap_or_default().to_owned()
    ///         })
    ///     }
    /// }
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     assert_eq!(spawn(Words).longest("a bc d".into()).await?, "bc");
    ///     Ok(())
    /// }
    /// ```
    pub fn collect<T: Copy>(&self, values: impl IntoIterator<Item = T>) -> &mut [T] {
        let mut len = 0;
        let values = values.into_iter();
        let mut room: &mut [T] = &mut [];
        let expected = values.size_hint().0;
        for value in values {
            if len == room.len() {
                let more = self.filled((2 * len).max(expected).max(8), value);
                more[..len].copy_from_slice(room);
                room = more;
            }
            room[len] = value;
            len += 1;
        }
        &mut room[..len]
    }

    /// Copies `text` here.
    pub fn text(&self, text: &str) -> &mut str {
        self.with_room(text.len(), || self.bump.alloc_str(text))
    }

    /// Runs `make`, which takes so many bytes. If the arena must grow for them, and is not large yet, what it grows by
    /// is the worker's: it is kept, and on no process's account. What is more is given back when the closure is over,
    /// and is on that of the process that runs.
    #[inline]
    fn with_room<T>(&self, bytes: usize, make: impl FnOnce() -> T) -> T {
        let bump = self.bump;
        // Room that may be wasted in front, for alignment.
        let needed = bytes.saturating_add(64);
        if bump.chunk_capacity() < needed && bump.allocated_bytes().saturating_add(needed) <= SCRATCH_KEPT {
            return uncharged(make);
        }
        make()
    }
}

impl fmt::Debug for Scratch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scratch({} bytes)", self.bump.allocated_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(arena: &Arena) -> usize {
        arena.0.borrow().allocated_bytes()
    }

    #[test]
    fn what_is_put_there_is_there_until_the_closure_is_over() {
        let arena = Arena::default();
        assert_eq!(kept(&arena), 0, "an arena that nobody used has nothing");
        let sum: u32 = arena.lend(|scratch| {
            let numbers = scratch.collect(0..100_u32);
            let doubled = scratch.slice(numbers);
            doubled.iter_mut().for_each(|number| *number *= 2);
            assert_eq!(scratch.text("a text"), "a text");
            assert_eq!((*scratch.value(7_u8), &*scratch.filled(2, 'x')), (7, &['x', 'x'][..]));
            assert_eq!(scratch.collect(std::iter::empty::<u64>()), &[]);
            assert_eq!(numbers.len(), 100);
            doubled.iter().sum()
        });
        assert_eq!(sum, 9_900);
    }

    #[test]
    fn it_is_emptied_at_the_end_of_the_outermost_closure_and_not_before() {
        let arena = Arena::default();
        let room = || arena.0.borrow().chunk_capacity();
        arena.lend(|outer| {
            let first = outer.filled(1_000, 1_u8);
            arena.lend(|inner| inner.filled(1_000, 2_u8)[0]);
            let third = outer.filled(1_000, 3_u8);
            assert!(first.iter().all(|byte| *byte == 1) && third.iter().all(|byte| *byte == 3));
        });
        let emptied = room();
        arena.lend(|scratch| scratch.filled(1_000, 4_u8)[0]);
        assert_eq!(room(), emptied);
    }

    #[test]
    fn after_a_large_use_or_a_panic_it_holds_little() {
        let arena = Arena::default();
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            arena.lend(|scratch| {
                scratch.filled(4 * SCRATCH_KEPT, 0_u8);
                std::panic::resume_unwind(Box::new(()));
            });
        }));
        assert!(unwound.is_err());
        assert_eq!(kept(&arena), 0);
        arena.lend(|scratch| scratch.filled(100, 0_u8).len());
        assert!((100..=SCRATCH_KEPT).contains(&kept(&arena)));
    }
}
