//! The allocator that knows whose each block is.
//!
//! ```text
//!   ┌──────────────┬───────┬───────────────────┐
//!   │ (for align)  │ Owner │ what was asked for│        in front: 16 bytes, or the alignment if that is more
//!   └──────────────┴───────┴───────────────────┘
//! ```
//!
//! It never unwinds, never allocates for itself, and never refuses because of a limit: what is over its limit is ended
//! by its turn, not by an allocation that fails.
#![expect(unsafe_code, reason = "an allocator is an unsafe trait, and writes in front of its blocks")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

use super::account::Owner;
use crate::process::turn;

/// Whether anything was ever allocated through an [`Accounting`].
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Whether processes are charged for what they allocate.
pub(crate) fn is_installed() -> bool {
    INSTALLED.load(Ordering::Relaxed)
}

/// An allocator that charges each process for what it allocates, and credits it when anybody frees that.
///
/// It is for `#[global_allocator]`, and makes [`ProcessInfo::allocated`](crate::ProcessInfo::allocated) and
/// `max_memory` work. It costs 16 bytes more for each block, and a compare-and-swap when a process allocates a block and
/// when that is freed: about as much again as the system's allocator takes, twice. Messages, which lie in memory of the runtime's, cost nothing more.
///
/// A block is on the account of the process in whose turn it was allocated until it is freed, wherever it is by then:
/// in a message, in another process, in a static. What is allocated outside processes is on nobody's account: in
/// threads of the program's own, in [`blocking`](crate::blocking), in tokio's tasks.
///
/// # Examples
/// ```
/// use biotope::Info;
/// use biotope::memory::Accounting;
/// use biotope::prelude::*;
///
/// #[global_allocator]
/// static ALLOCATOR: Accounting = Accounting::new();
///
/// #[derive(Actor)]
/// #[actor(max_memory = 1024 * 1024)]
/// struct Hoard(Vec<u8>);
///
/// #[handlers]
/// impl Hoard {
///     #[cast]
///     pub fn keep(&mut self, bytes: usize) {
///         self.0.resize(self.0.len() + bytes, 0);
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let watcher = spawn_process(async |mut me: Process<ReplyTo<ExitReason>>| {
///         let asker = me.receive().await?;
///         let (hoard, _) = me.spawn_monitor(Hoard(Vec::new()));
///         hoard.keep(2 * 1024 * 1024);
///         let down = me.receive_info(|info| match info {
///             Info::Down(down) => Ok(down),
///             other => Err(other),
///         });
///         asker.send(down.await?.reason);
///         Ok(())
///     });
///     let reason = Call::new(&watcher, |asker| asker).await?;
///     let ExitReason::MemoryLimit { limit, used } = reason else { panic!("{reason}") };
///     assert_eq!(limit, 1024 * 1024);
///     assert!(used > limit);
///     Ok(())
/// }
/// ```
#[derive(Debug, Default)]
pub struct Accounting<A = System>(A);

impl Accounting {
    /// One that has its memory from the system.
    pub const fn new() -> Self {
        Self(System)
    }
}

impl<A> Accounting<A> {
    /// One that has its memory from another allocator.
    ///
    /// # Examples
    /// ```
    /// use std::alloc::System;
    ///
    /// #[global_allocator]
    /// static ALLOCATOR: biotope::memory::Accounting<System> = biotope::memory::Accounting::over(System);
    ///
    /// assert_eq!(vec![7; 3], [7, 7, 7]);
    /// ```
    pub const fn over(inner: A) -> Self {
        Self(inner)
    }
}

// SAFETY: what the inner allocator gives is as large as what was asked for and what lies in front of it, and as
// aligned as either; `Blocks` says so method by method. What is done beside that touches atomics and cells of this
// thread: it neither allocates nor unwinds.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Accounting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note_installed();
        // SAFETY: the caller's promise: the layout has a size other than 0.
        unsafe { Blocks(&self.0).alloc(layout, turn::charge) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note_installed();
        // SAFETY: as above.
        unsafe { Blocks(&self.0).alloc_zeroed(layout, turn::charge) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise: it has this layout, and came from this allocator; the size is not 0.
        unsafe { Blocks(&self.0).realloc(block, layout, new_size, turn::charge_more) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above, and nobody uses it any more.
        unsafe { Blocks(&self.0).dealloc(block, layout) };
    }
}

#[inline]
fn note_installed() {
    if !INSTALLED.load(Ordering::Relaxed) {
        INSTALLED.store(true, Ordering::Relaxed);
    }
}

/// Blocks with an owner in front.
struct Blocks<'a, A>(&'a A);

impl<A: GlobalAlloc> Blocks<'_, A> {
    /// # Safety
    /// The layout has a size other than 0. For this and `alloc_zeroed`.
    #[inline]
    unsafe fn alloc(&self, layout: Layout, charge: impl FnOnce(usize) -> Owner) -> *mut u8 {
        let Some(whole) = whole(layout) else { return std::ptr::null_mut() };
        // SAFETY: the whole is larger than the layout.
        unsafe { begin(self.0.alloc(whole), layout, charge) }
    }

    /// # Safety
    /// See `alloc`.
    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout, charge: impl FnOnce(usize) -> Owner) -> *mut u8 {
        let Some(whole) = whole(layout) else { return std::ptr::null_mut() };
        // SAFETY: as in `alloc`.
        unsafe { begin(self.0.alloc_zeroed(whole), layout, charge) }
    }

    /// The owner stays the same.
    ///
    /// # Safety
    /// The block has this layout, and came from here; the new size is not 0.
    #[inline]
    unsafe fn realloc(
        &self,
        block: *mut u8,
        layout: Layout,
        new_size: usize,
        charge_more: impl FnOnce(Owner, usize, usize),
    ) -> *mut u8 {
        let new = Layout::from_size_align(new_size, layout.align()).ok().and_then(whole);
        let (Some(old), Some(new)) = (whole(layout), new) else { return std::ptr::null_mut() };
        // SAFETY: the caller's promise; `begin` wrote the owner, and the inner allocator moves it along. Both
        // layouts have the same alignment, and so the same room in front.
        unsafe {
            let owner = owner_of(block).read();
            let moved = self.0.realloc(block.sub(front(layout)), old, new.size());
            if moved.is_null() {
                return moved;
            }
            charge_more(owner, layout.size(), new_size);
            moved.add(front(layout))
        }
    }

    /// # Safety
    /// The block has this layout, came from here, and nobody uses it any more.
    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(whole) = whole(layout) else { return };
        // SAFETY: the caller's promise; `begin` wrote the owner.
        unsafe {
            let owner = owner_of(block).read();
            self.0.dealloc(block.sub(front(layout)), whole);
            owner.credit(layout.size());
        }
    }
}

/// The block in the piece at `piece`, if there is one, with its owner in front.
///
/// # Safety
/// The piece has the layout `whole(layout)`, and is nobody else's; or it is null.
#[inline]
unsafe fn begin(piece: *mut u8, layout: Layout, charge: impl FnOnce(usize) -> Owner) -> *mut u8 {
    if piece.is_null() {
        return piece;
    }
    // SAFETY: the caller's promise: so much room is in front.
    unsafe {
        let block = piece.add(front(layout));
        owner_of(block).write(charge(layout.size()));
        block
    }
}

/// Where the owner of the block at `block` is written.
///
/// # Safety
/// The block was made by [`begin`], or is about to be.
#[inline]
unsafe fn owner_of(block: *mut u8) -> *mut Owner {
    // SAFETY: the caller's promise: at least `LEAST` bytes are in front, which is aligned to that.
    unsafe { block.sub(size_of::<Owner>()).cast() }
}

/// The least room in front, and the least alignment.
const LEAST: usize = 16;
const _: () = assert!(size_of::<Owner>() <= LEAST && align_of::<Owner>() <= size_of::<Owner>());

/// How much room is in front of a block: so much that what follows is aligned. Also the alignment of the whole.
#[inline]
const fn front(layout: Layout) -> usize {
    if layout.align() > LEAST { layout.align() } else { LEAST }
}

/// A block and what is in front of it. `None` if that is larger than anything can be.
#[inline]
fn whole(layout: Layout) -> Option<Layout> {
    Layout::from_size_align(layout.size().checked_add(front(layout))?, front(layout)).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::account::{Account, Charged};
    use super::*;

    const BLOCKS: Blocks<'static, System> = Blocks(&System);

    #[test]
    fn the_room_in_front_keeps_the_alignment() {
        for align in (0..13).map(|power| 1 << power) {
            for size in [1, 7, 16, 100, 5_000] {
                let layout = Layout::from_size_align(size, align).unwrap();
                let whole = whole(layout).unwrap();
                assert_eq!(whole.size(), size + front(layout));
                assert!(whole.align() >= align && front(layout).is_multiple_of(align));
                assert!(front(layout) >= size_of::<Owner>());
            }
        }
    }

    #[test]
    fn what_is_larger_than_anything_can_be_is_refused_and_does_not_wrap() {
        let layout = Layout::from_size_align(isize::MAX as usize - 15, 16).unwrap();
        assert!(whole(layout).is_none());
        let small = Layout::new::<u64>();
        // SAFETY: the layouts have a size, and the block is used as it was made.
        unsafe {
            assert!(BLOCKS.alloc(layout, |_| unreachable!("nobody is charged")).is_null());
            let block = BLOCKS.alloc(small, |_| Owner::NOBODY);
            let grown = BLOCKS.realloc(block, small, isize::MAX as usize - 7, |_, _, _| unreachable!());
            assert!(grown.is_null());
            BLOCKS.dealloc(block, small);
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Alloc { owner: usize, size: usize, align: usize, zeroed: bool },
        Resize { block: usize, size: usize },
        Free { block: usize },
        Die { owner: usize },
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            4 => (0..OWNERS, 1..300_usize, 0..9_u32, any::<bool>())
                .prop_map(|(owner, size, power, zeroed)| Op::Alloc { owner, size, align: 1 << power, zeroed }),
            3 => (any::<usize>(), 1..600_usize).prop_map(|(block, size)| Op::Resize { block, size }),
            3 => any::<usize>().prop_map(|block| Op::Free { block }),
            1 => (0..OWNERS).prop_map(|owner| Op::Die { owner }),
        ];
        proptest::collection::vec(op, 0..120)
    }

    const OWNERS: usize = 3;

    /// A block as the model has it: whose it is, in which of that one's lives, and what is written in it.
    struct Block {
        place: *mut u8,
        layout: Layout,
        owner: usize,
        life: u32,
        mark: u8,
    }

    impl Block {
        fn is_intact(&self, len: usize) -> bool {
            // SAFETY: the block has so many bytes, which were all written.
            unsafe { std::slice::from_raw_parts(self.place, len) }.iter().all(|byte| *byte == self.mark)
        }

        fn mark(&mut self, mark: u8) {
            self.mark = mark;
            // SAFETY: the block is that large.
            unsafe { self.place.write_bytes(mark, self.layout.size()) };
        }
    }

    proptest! {
        /// By several owners, who also die and are followed by others on the same account.
        #[test]
        fn accounts_agree_with_a_list_of_blocks(ops in ops()) {
            let accounts: [&'static Account; OWNERS] = [(); OWNERS].map(|()| &*Box::leak(Box::new(Account::new())));
            let mut lives = [0; OWNERS];
            let mut blocks: BTreeMap<usize, Block> = BTreeMap::new();
            for (step, op) in ops.into_iter().enumerate() {
                let chosen = |number: usize, blocks: &BTreeMap<usize, Block>| {
                    blocks.keys().nth(number % blocks.len().max(1)).copied()
                };
                match op {
                    Op::Alloc { owner, size, align, zeroed } => {
                        let layout = Layout::from_size_align(size, align).unwrap();
                        let charge = |bytes| {
                            assert_eq!(accounts[owner].owner().charge(bytes), Charged::Within);
                            accounts[owner].owner()
                        };
                        // SAFETY: the size is not 0.
                        let place = unsafe {
                            if zeroed { BLOCKS.alloc_zeroed(layout, charge) } else { BLOCKS.alloc(layout, charge) }
                        };
                        prop_assert!(!place.is_null() && place.addr().is_multiple_of(align));
                        let mut block = Block { place, layout, owner, life: lives[owner], mark: 0 };
                        prop_assert!(!zeroed || block.is_intact(size));
                        block.mark(step as u8);
                        blocks.insert(step, block);
                    }
                    Op::Resize { block, size } => if let Some(key) = chosen(block, &blocks) {
                        let block = blocks.get_mut(&key).unwrap();
                        let charge_more = |owner: Owner, before, now| { owner.resize(before, now); };
                        // SAFETY: it came from here with this layout; the size is not 0.
                        block.place = unsafe { BLOCKS.realloc(block.place, block.layout, size, charge_more) };
                        prop_assert!(block.place.addr().is_multiple_of(block.layout.align()));
                        prop_assert!(block.is_intact(size.min(block.layout.size())));
                        block.layout = Layout::from_size_align(size, block.layout.align()).unwrap();
                        block.mark(step as u8);
                    },
                    Op::Free { block } => if let Some(key) = chosen(block, &blocks) {
                        let block = blocks.remove(&key).unwrap();
                        prop_assert!(block.is_intact(block.layout.size()));
                        // SAFETY: it came from here with this layout.
                        unsafe { BLOCKS.dealloc(block.place, block.layout) };
                    },
                    Op::Die { owner } => {
                        accounts[owner].close();
                        lives[owner] += 1;
                    }
                }
                for (owner, account) in accounts.iter().enumerate() {
                    let alive = blocks.values().filter(|block| block.owner == owner && block.life == lives[owner]);
                    let bytes: usize = alive.map(|block| block.layout.size().next_multiple_of(16)).sum();
                    prop_assert_eq!(account.bytes(), bytes as u64);
                }
            }
            for block in blocks.into_values() {
                // SAFETY: it came from here with this layout.
                unsafe { BLOCKS.dealloc(block.place, block.layout) };
            }
        }
    }
}
