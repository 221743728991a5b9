//! The intake: many senders, one owner, no lock.
//!
//! ```text
//!   word  = the newest block and how many of its places are claimed, and what the owner is waiting for
//!   head  = the oldest block and how many of its places are used up        (the owner's)
//!
//!   head ──▶ block ──next──▶ block ──next──▶ block ◀── word
//!            ▒▒▒▒▓▓▓▓         ▓▓▓▓▓▓▓▓        ▓▓▓▓····
//!            used  waiting                        free
//! ```
//!
//! A sender claims the next place by one compare-and-swap of the word, writes its value there, and then
//! marks the place as written. If the block is full it brings a new one, which becomes the newest by the
//! same step. So the word alone says in which order values came, whether there is anything that the
//! owner has not seen, and whether somebody must schedule the owner.
//!
//! # Who may touch what
//! - `word`: anybody, by compare-and-swap.
//! - a place: whoever claimed it, until it is marked as written; then the owner.
//! - `head`: the owner, and, while it is null, the sender that brings the first block.
//! - `next` of a block: the sender that brought the following block, once.
//!
//! # What is promised
//! - Values are found in the order in which their places were claimed.
//! - Of all senders that push after the owner said that it waits, exactly one is told so.
//! - The owner can only say that it waits if it has looked at every claimed place.
//! - A block is given back when all its places are used up, the last one when the owner waits.
//! - Of many values a sender learns that they are many, with each block that it brings: however long the owner does not
//!   come. It costs nothing where there is a place.
//!
//! # Not here
//! What the values mean, and who schedules the owner. A place that is claimed and not yet written is a
//! [`Look::Hole`]: its sender was interrupted between two instructions. The owner tries again later.
#![expect(unsafe_code, reason = "places are written by whoever claimed them")]

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::{self, NonNull};

use crate::config::NOTED_MAILBOX;
use crate::memory::{Memory, prefetch};
use crate::sync::{
    AtomicPtr, AtomicU8, AtomicU32, AtomicU64, BACK_OFF, Ordering, UnsafeCell, fence, spin_loop, yield_thread,
};

/// The owner has looked at everything and is to be scheduled by whoever pushes next.
const WAITING: u64 = 1;
/// ... and it waits for more than messages: it is to be woken, not just scheduled.
const PARKED: u64 = 1 << 1;
/// The newest block is a large one.
const LARGE: u64 = 1 << 2;
/// Values of the ordinary kind are no longer taken.
const DRAINING: u64 = 1 << 3;
/// Nothing is taken any more: the owner has ended.
const CLOSED: u64 = LARGE;

const FLAGS: u64 = WAITING | PARKED | LARGE | DRAINING;
const COUNT_SHIFT: u32 = 48;
/// One more place, in a word or a head.
const ONE: u64 = 1 << COUNT_SHIFT;
const ADDRESS: u64 = ((1 << COUNT_SHIFT) - 1) & !FLAGS;

/// How many places the first block of an empty queue has: most queues are short, and a block of as many small values is a
/// cache line.
pub(crate) const FEW: usize = 4;

/// What a place holds, or `EMPTY` before it is written and `USED` when it is used up.
const EMPTY: u8 = 0;
const USED: u8 = 1;

/// What sort of value is in a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind(u8);

impl Kind {
    /// A value that a draining queue refuses.
    pub(crate) const ORDINARY: Self = Self(2);
    /// A value that waits its turn among the ordinary ones, and is never refused while the owner lives.
    pub(crate) const SYSTEM: Self = Self(3);
    /// A value that the owner must look at before it takes anything behind it.
    pub(crate) const URGENT: Self = Self(4);
    /// A value that a draining queue refuses too, and that waits like a system's.
    pub(crate) const APART: Self = Self(5);
}

/// Where values are put: the word.
pub(crate) struct Back(AtomicU64);

/// Where they are taken: the head.
pub(crate) struct Front(AtomicU64);

/// How many places the blocks have that come before the newest, for [`len`](Queue::len).
pub(crate) struct Before(AtomicU32);

/// A queue, by its parts. These lie apart from each other, so that those who send and the owner, who takes, do not take a
/// cache line from each other for each value. By value, so that it is nowhere but in registers.
pub(crate) struct Queue<'q, T> {
    word: &'q AtomicU64,
    head: &'q AtomicU64,
    before: &'q AtomicU32,
    values: PhantomData<*mut T>,
}

// SAFETY: values go from the sender's thread to the owner's; the queue is shared by design.
unsafe impl<T: Send> Send for Queue<'_, T> {}
// SAFETY: as above; nobody but the owner sees a value by reference.
unsafe impl<T: Send> Sync for Queue<'_, T> {}

impl Back {
    /// Of an empty queue whose owner is not waiting.
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Asks for the newest block, which of a short queue is the oldest too.
    #[inline]
    pub(crate) fn prefetch(&self) {
        if let Some(newest) = NonNull::new(block::<()>(self.0.load(Ordering::Relaxed))) {
            prefetch(newest.cast());
        }
    }

    /// Whether the owner has said that it waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.0.load(Ordering::Relaxed) & WAITING != 0
    }

    /// From now on, values of the ordinary kind are refused.
    pub(crate) fn drain(&self) {
        let _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| (word != CLOSED).then_some(word | DRAINING));
    }
}

impl Front {
    /// Of an empty queue.
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Before {
    /// Of an empty queue.
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }
}

/// What a push brought about.
#[must_use = "an owner that waits stays idle unless the sender schedules it"]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed<T> {
    /// The owner is running or scheduled already. Nothing is owed.
    Queued,
    /// The owner waits for this: schedule it.
    Schedule,
    /// The owner waits for this among other things: wake it.
    Wake,
    /// As `Wake` if it `wakes`, else as `Queued`; and many values wait: it is to be noted how many.
    High {
        /// Whether the owner is to be woken.
        wakes: bool,
    },
    /// The owner has ended, or takes no more of this kind. Nothing was queued.
    Closed(T),
}

impl<T> Pushed<T> {
    /// This, with what was not taken made into something else.
    #[inline]
    pub(crate) fn map_closed<U>(self, f: impl FnOnce(T) -> U) -> Pushed<U> {
        match self {
            Self::Queued => Pushed::Queued,
            Self::Schedule => Pushed::Schedule,
            Self::Wake => Pushed::Wake,
            Self::High { wakes } => Pushed::High { wakes },
            Self::Closed(value) => Pushed::Closed(f(value)),
        }
    }

    /// This as it were if few values waited, and whether many do.
    pub(crate) fn apart_from_high(self) -> (Self, bool) {
        match self {
            Self::High { wakes } => (if wakes { Self::Wake } else { Self::Queued }, true),
            other => (other, false),
        }
    }
}

/// What the owner found at a place.
pub(crate) enum Look<T> {
    /// The first value that is not used up. It is now the caller's, who reads it, once, before it calls the
    /// queue again.
    Value(Kind, *const T),
    /// An urgent value comes next. It is still in its place.
    Urgent,
    /// Everything claimed has been looked at.
    End,
    /// The next place is claimed and not written.
    Hole,
}

/// What is to become of a value that a walk has come to.
pub(crate) enum Visit {
    /// It stays where it is, as this kind.
    Keep(Kind),
    /// The visitor has taken it.
    Take,
    /// The visitor has taken it, and the walk ends behind it.
    TakeLast,
    /// It stays, and the walk ends here.
    Stop,
}

/// How a walk ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Walked {
    /// The visitor said so.
    Stopped,
    /// Everything claimed has been looked at.
    End,
    /// The next place is claimed and not written.
    Hole,
}

/// A place in the queue that a walk has come to; at the head before any walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    /// Null at the head.
    block: *mut (),
    place: usize,
}

// SAFETY: a position is an address that only the owner uses, and only together with the queue.
unsafe impl Send for Position {}

/// The positions that outlive a call. They go back to the head when their block is given back.
#[derive(Default)]
pub(crate) struct Held<'a>(pub(crate) [Option<&'a mut Position>; 2]);

impl Held<'_> {
    fn forget(&mut self, block: *mut ()) {
        for position in self.0.iter_mut().flatten().filter(|position| position.block == block) {
            **position = Position::HEAD;
        }
    }

    #[inline]
    fn all(self) {
        for position in self.0.into_iter().flatten() {
            *position = Position::HEAD;
        }
    }
}

/// The beginning of a block. Behind it are the kinds of `FEW` or `MANY` places, and then their values.
struct Block<T> {
    next: AtomicPtr<Block<T>>,
    large: bool,
    values: PhantomData<T>,
}

/// A block that was brought. Its first place is the sender's who did.
struct Brought<T> {
    fresh: *mut Block<T>,
    large: bool,
    /// Many values wait before it.
    is_high: bool,
}

/// The layout of a block: its head, then the kinds, then the values.
struct Shape {
    layout: Layout,
    kinds: usize,
    values: usize,
    places: usize,
}

impl<T> Block<T> {
    /// Large values make small blocks.
    const MANY: usize = if size_of::<T>() <= 128 { 32 } else { FEW };
    const SMALL_SHAPE: Shape = Self::shape(FEW);
    const LARGE_SHAPE: Shape = Self::shape(Self::MANY);

    const fn shape(places: usize) -> Shape {
        let Ok((layout, kinds)) = Layout::new::<Self>().extend(match Layout::array::<AtomicU8>(places) {
            Ok(layout) => layout,
            Err(_) => panic!("a block is too large"),
        }) else {
            panic!("a block is too large")
        };
        let Ok((layout, values)) = layout.extend(match Layout::array::<UnsafeCell<MaybeUninit<T>>>(places) {
            Ok(layout) => layout,
            Err(_) => panic!("a value is too large for a mailbox"),
        }) else {
            panic!("a value is too large for a mailbox")
        };
        // The word has no room for the low bits of a block's address.
        let Ok(layout) = layout.align_to(FLAGS as usize + 1) else { panic!("a block is too large") };
        Shape { layout: layout.pad_to_align(), kinds, values, places }
    }

    const fn shape_of(large: bool) -> &'static Shape {
        const { assert!(FLAGS == 15, "a block's address has room for the flags") };
        if large { &Self::LARGE_SHAPE } else { &Self::SMALL_SHAPE }
    }

    #[inline]
    fn new(large: bool, memory: &impl Memory) -> NonNull<Self> {
        // Two calls, so that each fills a number of places that the compiler knows.
        if large { Self::fill(true, &Self::LARGE_SHAPE, memory) } else { Self::fill(false, &Self::SMALL_SHAPE, memory) }
    }

    #[inline(always)]
    fn fill(large: bool, shape: &'static Shape, memory: &impl Memory) -> NonNull<Self> {
        let piece = memory.allocate(shape.layout);
        debug_assert_eq!(piece.as_ptr().expose_provenance() as u64 & !ADDRESS, 0, "an address has 48 bits");
        let block = piece.cast::<Self>();
        // SAFETY: the piece has this layout and nobody else knows it.
        unsafe {
            block.write(Self { next: AtomicPtr::new(ptr::null_mut()), large, values: PhantomData });
            let kinds = piece.byte_add(shape.kinds).cast::<AtomicU8>();
            let values = piece.byte_add(shape.values).cast::<UnsafeCell<MaybeUninit<T>>>();
            for place in 0..shape.places {
                kinds.add(place).write(AtomicU8::new(EMPTY));
                values.add(place).write(UnsafeCell::new(MaybeUninit::uninit()));
            }
        }
        block
    }

    /// # Safety
    /// The block is live, and `place` is less than its number of places.
    #[inline]
    unsafe fn kind<'a>(block: *mut Self, large: bool, place: usize) -> &'a AtomicU8 {
        // SAFETY: the caller's promise; the kinds were written when the block was made.
        unsafe { &*block.byte_add(Self::shape_of(large).kinds).cast::<AtomicU8>().add(place) }
    }

    /// # Safety
    /// As for [`kind`](Self::kind).
    #[inline]
    unsafe fn value<'a>(block: *mut Self, large: bool, place: usize) -> &'a UnsafeCell<MaybeUninit<T>> {
        // SAFETY: the caller's promise; the cells were written when the block was made.
        unsafe { &*block.byte_add(Self::shape_of(large).values).cast::<UnsafeCell<MaybeUninit<T>>>().add(place) }
    }

    /// Has a place written, and marks it as written.
    ///
    /// # Safety
    /// As for [`kind`](Self::kind); the place was claimed by the caller, and `write` writes it.
    #[inline]
    unsafe fn write(block: *mut Self, large: bool, place: usize, kind: Kind, write: impl FnOnce(*mut MaybeUninit<T>)) {
        // SAFETY: the caller's promise.
        unsafe {
            Self::value(block, large, place).with_mut(write);
            // Release: the owner reads the value after it has seen this.
            Self::kind(block, large, place).store(kind.0, Ordering::Release);
        }
    }

    /// # Safety
    /// The block is live.
    #[inline]
    unsafe fn places(block: *mut Self) -> usize {
        // SAFETY: the caller's promise.
        Self::shape_of(unsafe { (*block).large }).places
    }

    /// # Safety
    /// The block came from the same memory, all its places are used up, and nobody knows it any more.
    #[inline]
    unsafe fn give_back(block: *mut Self, memory: &impl Memory) {
        // SAFETY: the caller's promise. Atomics and cells have nothing to drop, but for those of models.
        unsafe {
            let large = (*block).large;
            for place in 0..Self::places(block) {
                ptr::drop_in_place(ptr::from_ref(Self::kind(block, large, place)).cast_mut());
                ptr::drop_in_place(ptr::from_ref(Self::value(block, large, place)).cast_mut());
            }
            ptr::drop_in_place(block);
            memory.release(NonNull::new_unchecked(block.cast()), Self::shape_of(large).layout);
        }
    }
}

#[inline]
fn count(word: u64) -> usize {
    (word >> COUNT_SHIFT) as usize
}

#[inline]
fn block<T>(word: u64) -> *mut Block<T> {
    match word & ADDRESS {
        0 => ptr::null_mut(),
        address => ptr::with_exposed_provenance_mut(address as usize),
    }
}

#[inline]
fn pack<T>(block: *mut Block<T>, count: usize, flags: u64) -> u64 {
    block.expose_provenance() as u64 | (count as u64) << COUNT_SHIFT | flags
}

impl<T> Clone for Queue<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Queue<'_, T> {}

impl<'q, T> Queue<'q, T> {
    /// The queue that has these parts.
    ///
    /// # Safety
    /// They are the parts of one queue, and its values are of this type.
    #[inline]
    pub(crate) unsafe fn of(back: &'q Back, front: &'q Front, before: &'q Before) -> Self {
        Self { word: &back.0, head: &front.0, before: &before.0, values: PhantomData }
    }

    /// Puts `value` at the back.
    #[inline]
    pub(crate) fn push(self, kind: Kind, value: T, memory: &impl Memory) -> Pushed<T> {
        let value = ManuallyDrop::new(value);
        // SAFETY: it is read once, and written.
        let write = |place: *mut MaybeUninit<T>| unsafe { place.cast::<T>().write(ptr::read(&raw const *value)) };
        // SAFETY: that writes the place.
        let pushed = unsafe { self.push_with(kind, write, memory) };
        pushed.map_closed(|()| ManuallyDrop::into_inner(value))
    }

    /// Puts what `write` writes at the back. It is not called if the queue is closed.
    ///
    /// # Safety
    /// `write` writes the place, and does not panic.
    #[inline]
    pub(crate) unsafe fn push_with(
        self,
        kind: Kind,
        write: impl FnOnce(*mut MaybeUninit<T>),
        memory: &impl Memory,
    ) -> Pushed<()> {
        let refused = if kind == Kind::ORDINARY || kind == Kind::APART { DRAINING } else { 0 };
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let newest: *mut Block<T> = block(word);
            let (large, place) = (word & LARGE != 0, count(word));
            if newest.is_null() || place >= Block::<T>::shape_of(large).places {
                match self.push_block(word, refused, memory) {
                    Ok(Brought { fresh, large, is_high }) => {
                        // SAFETY: the first place of the block that we brought is ours; see below.
                        unsafe { Block::write(fresh, large, 0, kind, write) };
                        if is_high {
                            // Who waits to be scheduled waits with an empty queue.
                            return Pushed::High { wakes: word & PARKED != 0 };
                        }
                    }
                    Err(CLOSED) => return Self::refused(),
                    Err(now) => {
                        word = self.back_off(now);
                        continue;
                    }
                }
                break;
            }
            if word & refused != 0 {
                return Self::refused();
            }
            let claimed = (word & !(WAITING | PARKED)) + ONE;
            // AcqRel: with Acquire so that a sender which ends the owner's wait sees all that the owner did
            // before, and so that the block's contents are seen.
            match self.word.compare_exchange_weak(word, claimed, Ordering::AcqRel, Ordering::Relaxed) {
                // SAFETY: the compare-and-swap gave this place to us alone, and the owner keeps the block until
                // the place has been marked as written, and used up.
                Ok(_) => unsafe { Block::write(newest, large, place, kind, write) },
                Err(now) => {
                    word = self.back_off(now);
                    continue;
                }
            }
            break;
        }
        match word & (WAITING | PARKED) {
            0 => Pushed::Queued,
            WAITING => Pushed::Schedule,
            _ => Pushed::Wake,
        }
    }

    /// Somebody else has changed the word, to `now`. If it was another sender, that one goes first, for as long as it needs
    /// for some dozens: to hand a line from core to core for each value costs several times as much as to push it.
    #[cold]
    fn back_off(self, now: u64) -> u64 {
        // The owner, which waits for this.
        if now & WAITING != 0 {
            return now;
        }
        (0..BACK_OFF).for_each(|_| spin_loop());
        self.word.load(Ordering::Relaxed)
    }

    /// Whoever is refused sees what the owner did before it closed the queue.
    #[cold]
    fn refused() -> Pushed<()> {
        fence(Ordering::Acquire);
        Pushed::Closed(())
    }

    /// There is no room: brings a block, of which the first place is the caller's. `Err` is the word if that
    /// has changed meanwhile, and `CLOSED` if what is `refused` must not be pushed.
    #[inline]
    fn push_block(self, word: u64, refused: u64, memory: &impl Memory) -> Result<Brought<T>, u64> {
        if word == CLOSED || word & refused != 0 {
            return Err(CLOSED);
        }
        let newest: *mut Block<T> = block(word);
        // The first block of a queue is a small one: most mailboxes never need more.
        let large = !newest.is_null();
        let fresh = Block::new(large, memory).as_ptr();
        let claimed = pack(fresh, 1, word & DRAINING | if large { LARGE } else { 0 });
        // AcqRel: Release for the fresh block's contents, Acquire as in `push`.
        match self.word.compare_exchange(word, claimed, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => {
                let is_high = self.link(newest, fresh);
                Ok(Brought { fresh, large, is_high })
            }
            Err(now) => {
                // SAFETY: nobody else knows it.
                unsafe { Block::give_back(fresh, memory) };
                Err(now)
            }
        }
    }

    /// Tells the owner where `fresh` is: behind `newest`, or at the head of the queue, which was empty. Returns whether there
    /// are many places before it.
    #[inline]
    fn link(self, newest: *mut Block<T>, fresh: *mut Block<T>) -> bool {
        if newest.is_null() {
            // Release: pairs with the owner's Acquire when it finds no head.
            self.head.store(pack(fresh, 0, 0), Ordering::Release);
            return false;
        }
        // SAFETY: the owner does not give a block back before it has found the one behind it.
        unsafe {
            let places = Block::places(newest);
            let before = self.before.fetch_add(places as u32, Ordering::Relaxed) as usize + places;
            (*newest).next.store(fresh, Ordering::Release);
            before >= NOTED_MAILBOX
        }
    }

    /// About how many values wait; exact if nobody pushes and the owner has taken none from the middle.
    pub(crate) fn len(self) -> usize {
        let before = self.before.load(Ordering::Relaxed) as usize;
        let (word, head) = (self.word.load(Ordering::Relaxed), self.head.load(Ordering::Relaxed));
        if block::<T>(word).is_null() { 0 } else { (before + count(word)).saturating_sub(count(head)) }
    }

    /// About how many bytes its blocks take.
    pub(crate) fn bytes(self) -> usize {
        let word = self.word.load(Ordering::Relaxed);
        if block::<T>(word).is_null() {
            return 0;
        }
        // Of the blocks before the newest only the first may be a small one.
        let before = self.before.load(Ordering::Relaxed) as usize;
        let (large, few) = (before / Block::<T>::MANY, before % Block::<T>::MANY);
        let first = if few == 0 { 0 } else { Block::<T>::SMALL_SHAPE.layout.size() };
        large * Block::<T>::LARGE_SHAPE.layout.size() + first + Block::<T>::shape_of(word & LARGE != 0).layout.size()
    }
}

/// For the owner alone.
impl<T> Queue<'_, T> {
    /// Finds the first value that is not used up, unless it is urgent. A position that is `held` goes back
    /// to the head if its block is given back.
    ///
    /// # Safety
    /// The caller is the owner: nobody else calls a method of this block meanwhile.
    #[inline]
    pub(crate) unsafe fn pop<'p>(self, memory: &impl Memory, held: impl Fn() -> Held<'p>) -> Look<T> {
        loop {
            let head = self.head.load(Ordering::Acquire);
            let oldest: *mut Block<T> = block(head);
            if oldest.is_null() {
                return self.without_head();
            }
            let (place, large) = (count(head), head & LARGE != 0);
            // SAFETY: the oldest block is live until the owner, who is here, gives it back.
            unsafe {
                if place == Block::<T>::shape_of(large).places {
                    match self.advance(oldest, memory, &mut held()) {
                        Ok(()) => continue,
                        Err(look) => return look,
                    }
                }
                // Acquire: pairs with the Release that marked the place as written.
                let kind = Block::kind(oldest, large, place).load(Ordering::Acquire);
                let used_up = head + ONE;
                match Kind(kind) {
                    Kind(EMPTY) => return self.unwritten(oldest, place),
                    Kind(USED) => self.head.store(used_up, Ordering::Relaxed),
                    Kind::URGENT => return Look::Urgent,
                    kind => {
                        self.head.store(used_up, Ordering::Relaxed);
                        return Look::Value(kind, Block::value(oldest, large, place).with(<*const _>::cast));
                    }
                }
            }
        }
    }

    /// Puts the value that was popped last back where it was. Returns the position behind it.
    ///
    /// # Safety
    /// As for [`pop`](Self::pop), which has just given this value; nothing else was called since.
    pub(crate) unsafe fn unpop(self, value: T) -> Position {
        let behind = self.head.load(Ordering::Relaxed);
        let head = behind - ONE;
        let oldest = block::<T>(head);
        // SAFETY: the place is in the oldest block, still has its kind, and is the owner's.
        unsafe { Block::value(oldest, head & LARGE != 0, count(head)).with_mut(|place| (*place).write(value)) };
        self.head.store(head, Ordering::Relaxed);
        Position { block: oldest.cast(), place: count(behind) }
    }

    /// Looks at each value from `from` on, in order, until `visit` stops or there are no more. Moves `from`
    /// along, to behind the last value that was looked at. A value whose visit panics is used up.
    ///
    /// # Safety
    /// As for [`pop`](Self::pop). `from` is at the head, or comes from a walk of this queue and was `held`
    /// in every call since.
    pub(crate) unsafe fn walk(
        self,
        from: &mut Position,
        mut visit: impl FnMut(Kind, &mut MaybeUninit<T>) -> Visit,
    ) -> Walked {
        let head = self.head.load(Ordering::Acquire);
        if from.block.is_null() {
            if block::<T>(head).is_null() {
                return match self.without_head() {
                    Look::Hole => Walked::Hole,
                    _ => Walked::End,
                };
            }
            *from = Position { block: block::<T>(head).cast(), place: count(head) };
        } else if from.block == block::<T>(head).cast() {
            // What was popped meanwhile is gone, although its places do not say so.
            from.place = from.place.max(count(head));
        }
        loop {
            let at = from.block.cast::<Block<T>>();
            // SAFETY: the position is in a live block: the head's, or one behind it. The owner, who is
            // here, is the only one to give blocks back.
            unsafe {
                let large = (*at).large;
                if from.place == Block::<T>::shape_of(large).places {
                    let next = (*at).next.load(Ordering::Acquire);
                    if next.is_null() {
                        return match self.unlinked(at) {
                            Look::Hole => Walked::Hole,
                            _ => Walked::End,
                        };
                    }
                    *from = Position { block: next.cast(), place: 0 };
                    continue;
                }
                let mark = Block::kind(at, large, from.place);
                match mark.load(Ordering::Acquire) {
                    EMPTY => {
                        return match self.unwritten(at, from.place) {
                            Look::Hole => Walked::Hole,
                            _ => Walked::End,
                        };
                    }
                    USED => {}
                    kind => {
                        // Used up until the visitor says otherwise, so that its panic leaves no value that
                        // would be dropped twice.
                        mark.store(USED, Ordering::Relaxed);
                        match Block::value(at, large, from.place).with_mut(|cell| visit(Kind(kind), &mut *cell)) {
                            Visit::Keep(kind) => mark.store(kind.0, Ordering::Relaxed),
                            Visit::Take => {}
                            Visit::TakeLast => {
                                from.place += 1;
                                return Walked::Stopped;
                            }
                            Visit::Stop => {
                                mark.store(kind, Ordering::Relaxed);
                                return Walked::Stopped;
                            }
                        }
                    }
                }
                from.place += 1;
            }
        }
    }

    /// Gives back blocks whose places are all used up, also behind a value that nobody wants: there, used
    /// ones would pile up without end. A position that is `held` goes back to the head if it was in one.
    ///
    /// # Safety
    /// As for [`pop`](Self::pop).
    pub(crate) unsafe fn sweep(self, memory: &impl Memory, held: &mut Held<'_>) {
        let head = self.head.load(Ordering::Acquire);
        let mut behind: *mut Block<T> = block(head);
        if behind.is_null() {
            return;
        }
        // SAFETY: the blocks from the head on are live, and the owner is here.
        unsafe {
            loop {
                let at = (*behind).next.load(Ordering::Acquire);
                if at.is_null() {
                    return;
                }
                let next = (*at).next.load(Ordering::Acquire);
                if next.is_null() || !self.is_used_up(at) {
                    behind = at;
                    continue;
                }
                (*behind).next.store(next, Ordering::Relaxed);
                self.give_back(at, memory, held);
            }
        }
    }

    /// Says that the owner waits, if everything that was claimed has been used up. Then the last block is
    /// given back; and from the moment this returns true, the owner may be running elsewhere.
    ///
    /// # Safety
    /// As for [`pop`](Self::pop). If it returns true, the caller is the owner no more.
    #[inline]
    pub(crate) unsafe fn wait_empty<'p>(
        self,
        parked: bool,
        memory: &impl Memory,
        held: impl FnOnce() -> Held<'p>,
    ) -> bool {
        let waiting = WAITING | if parked { PARKED } else { 0 };
        let word = self.word.load(Ordering::Relaxed);
        let newest: *mut Block<T> = block(word);
        let head = self.head.load(Ordering::Relaxed);
        if newest != block(head) || count(word) != count(head) {
            return false;
        }
        // Before the word: afterwards the owner may be elsewhere, and whoever pushes next brings a first
        // block and stores it in the head. Without a block the head is that sender's already.
        held().all();
        if !newest.is_null() {
            self.head.store(0, Ordering::Relaxed);
        }
        // Release: whoever ends the wait sees all that the owner did before.
        let new = word & DRAINING | waiting;
        match self.word.compare_exchange(word, new, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => {
                if !newest.is_null() {
                    // SAFETY: all its places are used up, and neither word nor head leads to it any more.
                    unsafe { Block::give_back(newest, memory) };
                }
                true
            }
            Err(_) => {
                if !newest.is_null() {
                    self.head.store(head, Ordering::Relaxed);
                }
                false
            }
        }
    }

    /// Says that the owner waits, parked, although values are left, if a walk from `at` would find nothing
    /// new. What is used up at the head is given back.
    ///
    /// # Safety
    /// As for [`wait_empty`](Self::wait_empty); `at` is where a walk has ended with [`Walked::End`], and
    /// was `held` in every call since.
    pub(crate) unsafe fn wait_at<'p>(self, at: Position, memory: &impl Memory, held: impl Fn() -> Held<'p>) -> bool {
        // The block that `at` is in stays, even if a sender has brought another just now: given back, it could
        // come again as the newest, at the same address and with as many places claimed.
        // SAFETY: the caller is the owner.
        let head = unsafe { self.trim_up_to(at.block.cast(), memory, &held) };
        let word = self.word.load(Ordering::Relaxed);
        let (newest, claimed) = (block::<T>(word), count(word));
        let looked_at = if at.block.is_null() { (block(head), count(head)) } else { (at.block.cast(), at.place) };
        if (newest, claimed) != looked_at {
            return false;
        }
        if (newest, claimed) == (block(head), count(head)) {
            // SAFETY: the caller's promise.
            return unsafe { self.wait_empty(true, memory, held) };
        }
        let new = word | WAITING | PARKED;
        self.word.compare_exchange(word, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Whether `position` is in another block than the head.
    pub(crate) fn is_behind(self, position: &Position) -> bool {
        let head = block::<T>(self.head.load(Ordering::Relaxed));
        !position.block.is_null() && position.block != head.cast()
    }

    /// Refuses everything from now on, and hands what is left to `take`, in order.
    ///
    /// # Safety
    /// As for [`pop`](Self::pop), now and for ever.
    pub(crate) unsafe fn close(self, memory: &impl Memory, mut take: impl FnMut(Kind, T)) {
        let word = self.word.swap(CLOSED, Ordering::AcqRel);
        if word == CLOSED || block::<T>(word).is_null() {
            return;
        }
        let (last, end) = (block::<T>(word), count(word));
        let mut head = wait_for(|| Some(self.head.load(Ordering::Acquire)).filter(|head| *head != 0));
        self.head.store(0, Ordering::Relaxed);
        self.before.store(0, Ordering::Relaxed);
        loop {
            let (oldest, place) = (block::<T>(head), count(head));
            // SAFETY: the owner, who is here, gives blocks back one by one from the oldest to the last.
            unsafe {
                let places = if oldest == last { end } else { Block::places(oldest) };
                if place == places {
                    let next =
                        (oldest != last).then(|| wait_for(|| NonNull::new((*oldest).next.load(Ordering::Acquire))));
                    Block::give_back(oldest, memory);
                    match next {
                        Some(next) => head = pack(next.as_ptr(), 0, 0),
                        None => return,
                    }
                    continue;
                }
                let large = (*oldest).large;
                // A sender that has claimed a place is about to write it.
                let mark = Block::kind(oldest, large, place);
                let kind = wait_for(|| Some(mark.load(Ordering::Acquire)).filter(|kind| *kind != EMPTY));
                if kind != USED {
                    let value = Block::value(oldest, large, place).with(|cell| (*cell).assume_init_read());
                    take(Kind(kind), value);
                }
            }
            head = pack(oldest, place + 1, 0);
        }
    }

    /// There is no head: the queue is empty, or a sender is about to tell where the first block is.
    #[cold]
    fn without_head(self) -> Look<T> {
        // Acquire: pairs with the sender's Release, so that its `head` is seen at the next look.
        if block::<T>(self.word.load(Ordering::Acquire)).is_null() { Look::End } else { Look::Hole }
    }

    /// A place is not written: it is claimed, or behind all that are.
    fn unwritten(self, of: *mut Block<T>, place: usize) -> Look<T> {
        let word = self.word.load(Ordering::Acquire);
        if block(word) == of && count(word) <= place { Look::End } else { Look::Hole }
    }

    /// A block has no next: it is the newest, or a sender is about to link the next.
    fn unlinked(self, of: *mut Block<T>) -> Look<T> {
        if block(self.word.load(Ordering::Acquire)) == of { Look::End } else { Look::Hole }
    }

    /// The oldest block is used up: the next becomes the oldest.
    ///
    /// # Safety
    /// The caller is the owner, and all places of `oldest` are used up.
    #[cold]
    unsafe fn advance(self, oldest: *mut Block<T>, memory: &impl Memory, held: &mut Held<'_>) -> Result<(), Look<T>> {
        // SAFETY: it is live until it is given back below.
        unsafe {
            let next = (*oldest).next.load(Ordering::Acquire);
            if next.is_null() {
                return Err(self.unlinked(oldest));
            }
            // Every block but the first is a large one.
            self.head.store(pack(next, 0, LARGE), Ordering::Relaxed);
            self.give_back(oldest, memory, held);
        }
        Ok(())
    }

    /// Moves the head over places that a walk has used up, and returns it.
    ///
    /// # Safety
    /// As for [`pop`](Self::pop).
    pub(crate) unsafe fn trim<'p>(self, memory: &impl Memory, held: impl Fn() -> Held<'p>) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { self.trim_up_to(ptr::null_mut(), memory, held) }
    }

    /// As [`trim`](Self::trim), but gives back neither the block `last` nor what is behind it.
    ///
    /// # Safety
    /// As for [`pop`](Self::pop).
    unsafe fn trim_up_to<'p>(self, last: *mut Block<T>, memory: &impl Memory, held: impl Fn() -> Held<'p>) -> u64 {
        loop {
            let head = self.head.load(Ordering::Acquire);
            let (oldest, place, large) = (block::<T>(head), count(head), head & LARGE != 0);
            if oldest.is_null() {
                return head;
            }
            // SAFETY: the oldest block is live until the owner, who is here, gives it back.
            unsafe {
                if place == Block::<T>::shape_of(large).places {
                    if oldest == last || self.advance(oldest, memory, &mut held()).is_err() {
                        return head;
                    }
                } else if Block::kind(oldest, large, place).load(Ordering::Relaxed) == USED {
                    self.head.store(pack(oldest, place + 1, head & LARGE), Ordering::Relaxed);
                } else {
                    return head;
                }
            }
        }
    }

    /// Gives back a block that is not the newest.
    ///
    /// # Safety
    /// The caller is the owner, all places of the block are used up, and no other leads to it.
    unsafe fn give_back(self, block: *mut Block<T>, memory: &impl Memory, held: &mut Held<'_>) {
        held.forget(block.cast());
        // SAFETY: the caller's promise.
        unsafe {
            self.before.fetch_sub(Block::places(block) as u32, Ordering::Relaxed);
            Block::give_back(block, memory);
        }
    }

    /// # Safety
    /// The caller is the owner, and the block is live.
    unsafe fn is_used_up(self, block: *mut Block<T>) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            let large = (*block).large;
            (0..Block::places(block)).all(|place| Block::kind(block, large, place).load(Ordering::Relaxed) == USED)
        }
    }
}

impl Position {
    /// At the head of the queue.
    pub(crate) const HEAD: Self = Self { block: ptr::null_mut(), place: 0 };
}

impl Default for Position {
    fn default() -> Self {
        Self::HEAD
    }
}

/// Tries until a sender that was interrupted between two instructions has done the second.
fn wait_for<R>(mut ready: impl FnMut() -> Option<R>) -> R {
    for _ in 0..64 {
        if let Some(value) = ready() {
            return value;
        }
        spin_loop();
    }
    loop {
        if let Some(value) = ready() {
            return value;
        }
        yield_thread();
    }
}
