//! The intake against a list: whatever is pushed, taken and waited for in whatever order, both agree.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;

use proptest::prelude::*;

use super::queue::{Back, Before, FEW, Front, Held, Kind, Look, Position, Pushed, Queue, Visit, Walked};
use crate::config::NOTED_MAILBOX;
use crate::memory::Memory;

/// Memory that keeps what is given back until the end: whoever reads it finds nonsense, and whoever writes
/// to it is found out.
#[derive(Default)]
struct Kept(RefCell<Vec<Piece>>);

struct Piece {
    at: NonNull<u8>,
    layout: Layout,
    is_out: bool,
}

const NONSENSE: u8 = 0x5a;

impl Kept {
    fn pieces(&self) -> usize {
        self.0.borrow().iter().filter(|piece| piece.is_out).count()
    }

    fn assert_untouched(&self) {
        for piece in self.0.borrow().iter().filter(|piece| !piece.is_out) {
            // SAFETY: the piece is kept, and was written all over when it was given back.
            let bytes = unsafe { std::slice::from_raw_parts(piece.at.as_ptr(), piece.layout.size()) };
            assert!(bytes.iter().all(|byte| *byte == NONSENSE), "a block was written to after it was given back");
        }
    }
}

impl Memory for Kept {
    fn allocate(&self, layout: Layout) -> NonNull<u8> {
        // SAFETY: a block has a size.
        let at = NonNull::new(unsafe { alloc(layout) }).expect("there is memory");
        self.0.borrow_mut().push(Piece { at, layout, is_out: true });
        at
    }

    unsafe fn release(&self, at: NonNull<u8>, layout: Layout) {
        let mut pieces = self.0.borrow_mut();
        let found = pieces.iter_mut().find(|piece| piece.at == at).expect("it came from here");
        assert!(found.is_out, "a block was given back twice");
        assert_eq!(found.layout, layout);
        found.is_out = false;
        // SAFETY: the piece is this large, and nobody uses it any more.
        unsafe { at.as_ptr().write_bytes(NONSENSE, layout.size()) };
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for piece in self.0.get_mut() {
            // SAFETY: it was allocated with this layout, and the queue is gone.
            unsafe { dealloc(piece.at.as_ptr(), piece.layout) };
        }
    }
}

/// A value that is counted while it lives; of this size, because large ones make other blocks.
#[derive(Debug)]
struct Value<const SIZE: usize> {
    number: u64,
    _alive: Arc<()>,
    _bytes: [u8; SIZE],
}

/// What is done to the queue.
#[derive(Clone, Debug)]
enum Op {
    /// So many values of a kind come.
    Push(Kind, usize),
    Drain,
    /// The owner takes so many from the head, unless one is urgent.
    Pop(usize),
    /// It walks on with one of the positions that it holds, and treats the values that it comes to like this.
    Walk(usize, Vec<Treat>),
    /// It forgets how far it has walked.
    Forget(usize),
    Trim,
    Sweep,
    /// It says that it waits for anything.
    Wait,
    /// It says that it waits for what comes behind a position.
    WaitAt(usize),
}

#[derive(Clone, Copy, Debug)]
enum Treat {
    Keep,
    KeepAs(Kind),
    Take,
    TakeLast,
    Stop,
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![4 => Just(Kind::ORDINARY), 1 => Just(Kind::SYSTEM), 1 => Just(Kind::URGENT)]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let treat = prop_oneof![
        4 => Just(Treat::Keep),
        1 => kinds().prop_map(Treat::KeepAs),
        5 => Just(Treat::Take),
        1 => Just(Treat::TakeLast),
        1 => Just(Treat::Stop),
    ];
    let op = prop_oneof![
        8 => (kinds(), 1..12_usize).prop_map(|(kind, count)| Op::Push(kind, count)),
        1 => (kinds(), 30..80_usize).prop_map(|(kind, count)| Op::Push(kind, count)),
        6 => (1..20_usize).prop_map(Op::Pop),
        1 => (30..80_usize).prop_map(Op::Pop),
        8 => (0..2_usize, prop::collection::vec(treat, 0..60)).prop_map(|(which, treats)| Op::Walk(which, treats)),
        2 => (0..2_usize).prop_map(Op::Forget),
        2 => Just(Op::Trim),
        2 => Just(Op::Sweep),
        4 => Just(Op::Wait),
        4 => (0..2_usize).prop_map(Op::WaitAt),
    ];
    // A queue that drains takes little: at most one case in four comes to that.
    (prop::collection::vec(op, 0..100), 0..400_usize).prop_map(|(mut ops, drain_at)| {
        if drain_at < ops.len() {
            ops.insert(drain_at, Op::Drain);
        }
        ops
    })
}

/// What the next sender is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    No,
    ToBeScheduled,
    ToBeWoken,
}

/// A queue that is in one piece.
struct Whole<T> {
    back: Back,
    front: Front,
    before: Before,
    values: PhantomData<T>,
}

impl<T> Whole<T> {
    fn new() -> Self {
        Self { back: Back::new(), front: Front::new(), before: Before::new(), values: PhantomData }
    }

    fn queue(&self) -> Queue<'_, T> {
        // SAFETY: nobody else gets hold of the parts.
        unsafe { Queue::of(&self.back, &self.front, &self.before) }
    }
}

/// The queue and the list side by side.
struct Both<const SIZE: usize> {
    whole: Whole<Value<SIZE>>,
    memory: Kept,
    held: [Position; 2],
    alive: Arc<()>,

    list: VecDeque<(Kind, u64)>,
    pushed: u64,
    waits: Waits,
    is_draining: bool,
    /// Everything below this was looked at with the position, unless that is at the head again.
    looked_at: [u64; 2],
    /// At most so many used up places count as waiting.
    used_up: usize,
}

impl<const SIZE: usize> Both<SIZE> {
    fn new() -> Self {
        Self {
            whole: Whole::new(),
            memory: Kept::default(),
            held: [Position::HEAD; 2],
            alive: Arc::new(()),
            list: VecDeque::new(),
            pushed: 0,
            waits: Waits::No,
            is_draining: false,
            looked_at: [0; 2],
            used_up: 0,
        }
    }

    fn run(mut self, ops: Vec<Op>) {
        for op in ops {
            self.step(op);
            self.check();
        }
        self.close();
    }

    fn check(&self) {
        let (list, queue) = (self.list.len(), self.whole.queue().len());
        assert!(list <= queue && queue <= list + self.used_up, "{list} wait, and {queue} are said to");
        assert_eq!(Arc::strong_count(&self.alive), 1 + list, "each value lives as long as it waits");
        assert_eq!(self.whole.back.is_waiting(), self.waits != Waits::No);
        self.memory.assert_untouched();
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Push(kind, count) => (0..count).for_each(|_| self.push(kind)),
            Op::Drain => {
                self.whole.back.drain();
                self.is_draining = true;
            }
            // From here on, the owner's: it is none while it waits to be scheduled.
            _ if self.waits == Waits::ToBeScheduled => {}
            Op::Pop(count) => (0..count).for_each(|_| self.pop()),
            Op::Walk(which, treats) => self.walk(which, &treats),
            Op::Forget(which) => self.held[which] = Position::HEAD,
            Op::Trim => {
                let held = self.held.as_mut_ptr();
                // SAFETY: this is the owner, and all that is held is told; and so everywhere below.
                unsafe { self.whole.queue().trim(&self.memory, || all(held)) };
            }
            Op::Sweep => {
                let held = self.held.as_mut_ptr();
                // SAFETY: see above.
                unsafe { self.whole.queue().sweep(&self.memory, &mut all(held)) };
                // All but the first and the last have something in them.
                assert!(self.memory.pieces() <= self.list.len() + 2);
            }
            Op::Wait => self.wait(),
            Op::WaitAt(which) => self.wait_at(which),
        }
    }

    fn push(&mut self, kind: Kind) {
        let number = self.pushed;
        let value = Value { number, _alive: self.alive.clone(), _bytes: [0; SIZE] };
        match self.whole.queue().push(kind, value, &self.memory).apart_from_high().0 {
            Pushed::Closed(value) => {
                assert!(self.is_draining && kind == Kind::ORDINARY, "it was refused");
                assert_eq!(value.number, number);
                return;
            }
            Pushed::High { .. } => unreachable!("it was set apart"),
            Pushed::Queued => assert_eq!(self.waits, Waits::No),
            Pushed::Schedule => assert_eq!(self.waits, Waits::ToBeScheduled),
            Pushed::Wake => assert_eq!(self.waits, Waits::ToBeWoken),
        }
        assert!(!self.is_draining || kind != Kind::ORDINARY, "it was not refused");
        self.waits = Waits::No;
        self.list.push_back((kind, number));
        self.pushed += 1;
    }

    fn pop(&mut self) {
        let held = self.held.as_mut_ptr();
        // SAFETY: see above.
        match unsafe { self.whole.queue().pop(&self.memory, || all(held)) } {
            Look::Value(kind, value) => {
                // SAFETY: it is read once, before the queue is called again.
                let value = unsafe { value.read() };
                assert_ne!(kind, Kind::URGENT);
                assert_eq!(self.list.pop_front(), Some((kind, value.number)));
            }
            Look::Urgent => assert!(self.list.front().is_some_and(|(kind, _)| *kind == Kind::URGENT)),
            Look::End => assert!(self.list.is_empty()),
            Look::Hole => panic!("nobody is writing"),
        }
    }

    fn walk(&mut self, which: usize, treats: &[Treat]) {
        let from = if self.held[which] == Position::HEAD { 0 } else { self.looked_at[which] };
        let mut treats = treats.iter().copied();
        let mut met = Vec::new();
        let mut left = VecDeque::new();
        let mut was_last = false;
        let visit = |kind: Kind, place: &mut MaybeUninit<Value<SIZE>>| {
            // SAFETY: the place is written; it is again, unless the value is taken.
            let value = unsafe { place.assume_init_read() };
            let number = value.number;
            met.push((kind, number));
            match treats.next().unwrap_or(Treat::Keep) {
                Treat::Take => Visit::Take,
                Treat::TakeLast => {
                    was_last = true;
                    Visit::TakeLast
                }
                treat => {
                    place.write(value);
                    let kept = if let Treat::KeepAs(kind) = treat { kind } else { kind };
                    left.push_back((kept, number));
                    if matches!(treat, Treat::Stop) { Visit::Stop } else { Visit::Keep(kept) }
                }
            }
        };
        // SAFETY: see above; the position was held since its last walk.
        let walked = unsafe { self.whole.queue().walk(&mut self.held[which], visit) };
        let begin = self.list.partition_point(|(_, number)| *number < from);
        let behind = self.list.split_off(begin);
        let mut behind = behind.into_iter();
        assert_eq!(
            met,
            behind.by_ref().take(met.len()).collect::<Vec<_>>(),
            "it met what it had not looked at, in order"
        );
        self.looked_at[which] = match walked {
            Walked::End => {
                assert_eq!(behind.len(), 0, "it ended too soon");
                self.pushed
            }
            Walked::Stopped => met.last().expect("it stopped at something").1 + u64::from(was_last),
            Walked::Hole => panic!("nobody is writing"),
        };
        self.used_up += met.len() - left.len();
        self.list.append(&mut left);
        self.list.extend(behind);
    }

    fn wait(&mut self) {
        // As an actor does: it waits when it has found nothing.
        if self.list.is_empty() {
            self.pop();
        }
        let held = self.held.as_mut_ptr();
        // SAFETY: see above.
        let waits = unsafe { self.whole.queue().wait_empty(false, &self.memory, || all(held)) };
        assert_eq!(waits, self.list.is_empty());
        if waits {
            self.waits = Waits::ToBeScheduled;
            self.used_up = 0;
            assert_eq!(self.memory.pieces(), 0, "a queue that waits needs no memory");
        }
    }

    fn wait_at(&mut self, which: usize) {
        let at = self.held[which];
        let has_seen_all =
            if at == Position::HEAD { self.list.is_empty() } else { self.looked_at[which] == self.pushed };
        let held = self.held.as_mut_ptr();
        // SAFETY: see above.
        let waits = unsafe { self.whole.queue().wait_at(at, &self.memory, || all(held)) };
        assert_eq!(waits, has_seen_all, "it waits if it has looked at everything");
        if waits {
            self.waits = Waits::ToBeWoken;
        }
    }

    fn close(mut self) {
        if self.waits == Waits::ToBeScheduled {
            self.push(Kind::SYSTEM);
        }
        let mut left = VecDeque::new();
        // SAFETY: this is the owner, for the last time.
        unsafe { self.whole.queue().close(&self.memory, |kind, value| left.push_back((kind, value.number))) };
        assert_eq!(left, self.list);
        self.whole.back.drain();
        for kind in [Kind::ORDINARY, Kind::SYSTEM, Kind::URGENT] {
            let value = Value { number: 0, _alive: self.alive.clone(), _bytes: [0; SIZE] };
            assert!(matches!(self.whole.queue().push(kind, value, &self.memory), Pushed::Closed(_)));
        }
        assert_eq!((self.whole.queue().len(), self.memory.pieces()), (0, 0));
        assert_eq!(Arc::strong_count(&self.alive), 1);
        self.memory.assert_untouched();
    }
}

/// Memory that hands out at once what it was given back last, and lets something happen meanwhile.
#[derive(Default)]
struct Reused {
    free: RefCell<Option<(NonNull<u8>, Layout)>>,
    meanwhile: RefCell<Option<Box<dyn FnOnce()>>>,
}

impl Memory for Reused {
    fn allocate(&self, layout: Layout) -> NonNull<u8> {
        match self.free.take() {
            Some((piece, free)) if free == layout => piece,
            other => {
                self.free.replace(other);
                // SAFETY: a block has a size.
                NonNull::new(unsafe { alloc(layout) }).expect("there is memory")
            }
        }
    }

    unsafe fn release(&self, piece: NonNull<u8>, layout: Layout) {
        if let Some((piece, layout)) = self.free.replace(Some((piece, layout))) {
            // SAFETY: it was allocated with this layout, and nobody uses it any more.
            unsafe { dealloc(piece.as_ptr(), layout) };
        }
        let meanwhile = self.meanwhile.take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
    }
}

impl Drop for Reused {
    fn drop(&mut self) {
        if let Some((piece, layout)) = self.free.take() {
            // SAFETY: as above.
            unsafe { dealloc(piece.as_ptr(), layout) };
        }
    }
}

#[test]
fn a_block_that_comes_again_at_the_same_address_is_not_taken_for_the_one_looked_at() {
    let whole = Rc::new(Whole::<u64>::new());
    let queue = whole.queue();
    let memory = Rc::new(Reused::default());
    let push = |count: u64, queue: Queue<'_, u64>, memory: &Reused| {
        for number in 0..count {
            let _ = queue.push(Kind::ORDINARY, number, memory);
        }
    };
    // Two full blocks, of which the second is looked at to its end.
    push(FEW as u64 + 32, whole.queue(), &memory);
    for _ in 0..FEW + 32 {
        // SAFETY: this is the owner, here and below; no position is held yet.
        assert!(matches!(unsafe { queue.pop(&*memory, Held::default) }, Look::Value(..)));
    }
    let mut position = Position::HEAD;
    // SAFETY: as above.
    let walked = unsafe { queue.walk(&mut position, |_, _| unreachable!("all were taken")) };
    assert_eq!(walked, Walked::End);
    // A third comes; and if the second is given back, a fourth just like it, in the same place.
    push(1, whole.queue(), &memory);
    let (same, reused) = (whole.clone(), memory.clone());
    memory.meanwhile.replace(Some(Box::new(move || push(31 + 32, same.queue(), &reused))));
    let (at, held) = (position, &raw mut position);
    // SAFETY: as above; the position is held.
    let waits = unsafe { queue.wait_at(at, &*memory, || Held([Some(&mut *held), None])) };
    assert!(!waits, "it waits although much was not looked at");
    memory.meanwhile.take();
    // SAFETY: as above, for the last time.
    unsafe { queue.close(&*memory, |_, _| ()) };
}

/// What a sender of each block is told, and nobody else; also if the owner waits behind what it does not want.
#[test]
fn whoever_brings_a_block_to_many_values_learns_that_they_are_many() {
    const ALL: usize = 1_500;
    let (whole, memory) = (Whole::<u64>::new(), Kept::default());
    let queue = whole.queue();
    let mut position = Position::HEAD;
    let mut last_high = None;
    for number in 0..ALL {
        let waits = number % 7 == 0 && number > 0;
        if waits {
            // SAFETY: this is the owner, here and below; what is held is told.
            let walked = unsafe { queue.walk(&mut position, |kind, _| Visit::Keep(kind)) };
            assert_eq!(walked, Walked::End);
            let (at, held) = (position, &raw mut position);
            // SAFETY: as above.
            assert!(unsafe { queue.wait_at(at, &memory, || Held([Some(&mut *held), None])) });
        }
        let brings = number % 32 == FEW;
        match queue.push(Kind::ORDINARY, number as u64, &memory) {
            Pushed::High { wakes } => {
                assert!(brings && number >= NOTED_MAILBOX && wakes == waits, "{number}");
                last_high = Some(number);
            }
            other => {
                assert!(!brings || number < NOTED_MAILBOX, "{number}");
                assert_eq!(other, if waits { Pushed::Wake } else { Pushed::Queued });
            }
        }
    }
    assert!(last_high.is_some_and(|last| ALL - last <= 32));
    // SAFETY: as above, for the last time.
    unsafe { queue.close(&memory, |_, _| ()) };
}

/// # Safety
/// `held` leads to two positions, and nobody else uses them as long as what is returned.
unsafe fn all<'a>(held: *mut Position) -> Held<'a> {
    // SAFETY: the caller's promise.
    unsafe { Held([Some(&mut *held), Some(&mut *held.add(1))]) }
}

proptest! {
    #[test]
    fn the_intake_does_what_a_list_does(ops in ops()) {
        Both::<0>::new().run(ops);
    }

    #[test]
    fn the_intake_does_what_a_list_does_with_large_values(ops in ops()) {
        Both::<200>::new().run(ops);
    }
}
