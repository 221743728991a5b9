//! A turn: one stay of a process on a worker.
//!
//! A turn has a budget of reductions. It is over when they are used up, or sooner: when the worker's
//! ticker says that a millisecond has passed, when something of higher priority waits, when the process
//! has sent itself a message, or when it asks for it. All of these lower one number, the limit, so that
//! there is one comparison per message.
//!
//! What a worker is at is written on its [`Board`], which others read: how much it has handled, which
//! process and handler it runs. A board's `handled` only ever grows, so that whoever looks twice knows
//! whether a worker is stuck in one handler.
#![expect(unsafe_code, reason = "the process that runs here is reached through a thread-local pointer")]

mod charge;

use std::cell::{Cell, RefCell};
use std::ptr::{self, NonNull};

use super::allotment::Allotment;
use super::cell::Class;
use super::header::Header;
use super::reference::Ready;
use crate::config::REDUCTIONS_PER_TURN;
use crate::exit::Ending;
use crate::mailbox::Position;
use crate::memory::{Arena, Magazine, Pool, Stock};
use crate::node::{Node, SpawnOptions};
use crate::pid::Pid;
use crate::scheduler::RunQueue;
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use crate::trace::Traced;

use self::charge::Payer;
pub(crate) use self::charge::{charge, charge_more, uncharged};

thread_local! {
    static CURRENT: Cell<*const Turn<'static>> = const { Cell::new(ptr::null()) };
}

/// The number under which a worker publishes that no handler has begun in this turn.
pub(crate) const NO_HANDLER: u32 = u32::MAX - 1;

/// What a worker lets others see.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Board {
    /// Reductions since the worker started. Only the worker writes it.
    handled: AtomicU64,
    /// A turn is over when `handled` has reached this. The worker sets it; anybody may lower it to 0.
    limit: AtomicU64,
    /// Turns since the worker started. Only the worker writes it.
    turns: AtomicU64,
    /// The number of the handler that runs.
    handler: AtomicU32,
    /// The number of the node whose process runs, in the runtime's list.
    node: AtomicU32,
    /// Slot and generation of the process that runs, and its type; null between turns.
    process: AtomicU64,
    class: AtomicPtr<Class>,
}

/// What a board shows of the process that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) handled: u64,
    pub(crate) handler: u32,
    pub(crate) node: u32,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl Seen {
    /// The pid of the process, which is one of `node`.
    pub(crate) fn pid_on(&self, node: &Node) -> Pid {
        Pid::new(node.id(), self.slot, self.generation)
    }
}

impl Board {
    /// Ends the turn that runs, after the handler that runs.
    pub(crate) fn end_turn(&self) {
        self.limit.store(0, Ordering::Relaxed);
    }

    /// How much the worker has handled.
    pub(crate) fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    /// How many turns the worker has begun.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// The number of the turn that runs; `None` between turns.
    pub(crate) fn turn(&self) -> Option<u64> {
        // Before the class, as in `begin`: a number may be older than the process, and never newer.
        let turn = self.turns();
        (!self.class.load(Ordering::Acquire).is_null()).then_some(turn)
    }

    /// Which process runs; `None` between turns.
    pub(crate) fn seen(&self) -> Option<(Seen, &'static Class)> {
        let handled = self.handled.load(Ordering::Acquire);
        // SAFETY: a class is a static, or null.
        let class = unsafe { self.class.load(Ordering::Acquire).as_ref() }?;
        let process = self.process.load(Ordering::Relaxed);
        let seen = Seen {
            handled,
            handler: self.handler.load(Ordering::Relaxed),
            node: self.node.load(Ordering::Relaxed),
            slot: (process >> 32) as u32,
            generation: process as u32,
        };
        Some((seen, class))
    }
}

/// The handler that `board` shows for the process at `header`, and how much its worker has handled; `None`, if it shows
/// another process.
pub(crate) fn handler_on(board: &Board, header: &Header) -> Option<(Option<&'static str>, u64)> {
    let (seen, class) = board.seen()?;
    let is_it = (seen.slot, seen.generation) == header.place() && seen.node == header.node().number();
    is_it.then(|| (class.handler_if_any(seen.handler), seen.handled))
}

/// What is to become of a process after its turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    /// Nothing: it waits, or has ended. It may be gone already.
    Nothing,
    /// It goes to the back of a run queue.
    Again,
}

/// What a straight-line process waits for, beside what it awaits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wants {
    /// Nothing of its mailbox.
    Nothing,
    /// What comes behind the position that it holds.
    More,
    /// That the engine receives what comes next.
    Receive,
    /// That a sender ends writing.
    Writer,
}

/// The turns of one worker. One is on each worker's stack, and `CURRENT` leads to it.
pub(crate) struct Turn<'a> {
    board: &'a Board,
    magazine: Magazine<'a>,
    /// Whose processes run here, to compare.
    home: *const (),
    /// The worker's number and run queue; none in a seeded run.
    number: Cell<usize>,
    queue: Cell<Option<&'a RunQueue<'a>>>,
    /// Whether the worker waits among the sockets.
    leading: Cell<bool>,
    /// The process that runs; `None` between turns.
    process: Cell<Option<NonNull<Header>>>,
    /// Which bits of a receiver's address say that it is the process itself: all, or none, so that each message that is
    /// sent from here is noted.
    compared: Cell<usize>,
    /// There is something to do for each message that it takes.
    taking_noted: Cell<bool>,
    handled: Cell<u64>,
    /// How much of `handled` is no work of this turn: with no more than that it is not over.
    begun: Cell<u64>,
    /// Nothing was polled in this turn.
    is_unpolled: Cell<bool>,
    /// How much of `handled` is on the account of the process.
    accounted: Cell<u64>,
    allotment: RefCell<Option<Allotment>>,
    /// How much work is a turn.
    budget: Cell<u32>,
    /// The position that a straight-line process holds in its mailbox.
    position: Cell<*mut Position>,
    /// Why the process that runs is to end after its handler, by way of `terminate`.
    stopping: Cell<Option<Ending>>,
    wants: Cell<Wants>,
    /// Who pays for what is allocated here, as far as it was asked.
    payer: Cell<Payer>,
    scratch: Arena,
}

impl<'a> Turn<'a> {
    /// The turns of a worker of the scheduler `home`.
    pub(crate) fn new(board: &'a Board, pool: &'a Pool, home: *const ()) -> Self {
        let handled = board.handled();
        Self {
            board,
            magazine: Magazine::new(pool),
            home,
            number: Cell::new(0),
            queue: Cell::new(None),
            leading: Cell::new(false),
            process: Cell::new(None),
            compared: Cell::new(usize::MAX),
            taking_noted: Cell::new(false),
            handled: Cell::new(handled),
            begun: Cell::new(handled),
            is_unpolled: Cell::new(true),
            accounted: Cell::new(handled),
            allotment: RefCell::default(),
            budget: Cell::new(REDUCTIONS_PER_TURN),
            position: Cell::new(ptr::null_mut()),
            stopping: Cell::new(None),
            wants: Cell::new(Wants::Nothing),
            payer: Cell::new(Payer::NOBODY),
            scratch: Arena::default(),
        }
    }

    /// Takes the worker's place: its number, and its run queue.
    pub(crate) fn sit(&self, queue: &'a RunQueue<'a>, number: usize) {
        self.queue.set(Some(queue));
        self.number.set(number);
    }

    /// The worker's run queue; none in a seeded run.
    #[inline]
    pub(crate) fn queue(&self) -> Option<&'a RunQueue<'a>> {
        self.queue.get()
    }

    /// Runs `ready` next on this worker, if nothing waits here, and nothing but its turn does it wait for.
    /// Returns whether it does.
    #[inline]
    pub(crate) fn run_next(&self, ready: Ready) -> bool {
        !ready.header().priority().is_strict()
            && !self.leading.get()
            && self.queue.get().is_some_and(|queue| queue.push_alone(ready))
    }

    /// Uses what this worker has at hand of `node`.
    #[inline]
    pub(crate) fn with_allotment<R>(&self, node: &Node, f: impl FnOnce(&mut Allotment) -> R) -> R {
        loop {
            match &mut *self.allotment.borrow_mut() {
                Some(at_hand) if at_hand.is_of(node) => return f(at_hand),
                _ => {}
            }
            self.turn_to(node);
        }
    }

    #[cold]
    fn turn_to(&self, node: &Node) {
        // With what is left of another node that may go, and much with it: not while this is borrowed.
        let other = self.allotment.replace(Some(Allotment::of(node)));
        drop(other);
    }

    /// The worker has nothing to do.
    pub(crate) fn rest(&self) {
        // Until there are none: with these a node may go, and what it drops may take some.
        loop {
            let leases = self.allotment.borrow_mut().as_mut().and_then(Allotment::rest);
            if leases.is_none() {
                return;
            }
            drop(leases);
        }
    }

    /// How much work the turns are that begin from now on; as ever, if this is `None`.
    pub(crate) fn set_budget(&self, reductions: Option<u32>) {
        self.budget.set(reductions.unwrap_or(REDUCTIONS_PER_TURN));
    }

    /// The worker's number.
    pub(crate) fn number(&self) -> usize {
        self.number.get()
    }

    /// Whether the worker waits among the sockets.
    #[inline]
    pub(crate) fn is_leading(&self) -> bool {
        self.leading.get()
    }

    pub(crate) fn set_leading(&self, leading: bool) {
        self.leading.set(leading);
    }

    /// Runs `f` as this worker: `current` finds it.
    pub(crate) fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Leave(*const Turn<'static>);
        impl Drop for Leave {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        // The lifetime is forgotten here and kept by `Leave`, which takes the pointer back first.
        let _leave = Leave(CURRENT.replace(ptr::from_ref(self).cast()));
        f()
    }

    /// The process `header` begins its turn.
    #[inline]
    pub(crate) fn begin(&self, header: &Header) {
        self.process.set(Some(header.ready_ptr()));
        self.compared.set(if header.is_sending_noted() { 0 } else { usize::MAX });
        self.taking_noted.set(header.is_taking_noted());
        self.open();
        let board = self.board;
        let pid = header.place();
        board.process.store(u64::from(pid.0) << 32 | u64::from(pid.1), Ordering::Relaxed);
        board.node.store(header.node().number(), Ordering::Relaxed);
        board.handler.store(NO_HANDLER, Ordering::Relaxed);
        board.turns.store(board.turns() + 1, Ordering::Relaxed);
        board.class.store(ptr::from_ref(header.class()).cast_mut(), Ordering::Release);
    }

    /// What is to be noted of the process that runs has changed.
    pub(crate) fn look_again(&self, header: &Header) {
        self.taking_noted.set(header.is_taking_noted());
    }

    #[inline]
    fn open(&self) {
        let handled = self.handled.get();
        self.begun.set(handled);
        self.is_unpolled.set(true);
        self.accounted.set(handled);
        self.board.limit.store(handled + u64::from(self.budget.get()), Ordering::Relaxed);
    }

    /// No process runs any more.
    #[inline]
    pub(crate) fn leave(&self) {
        self.process.set(None);
        self.compared.set(usize::MAX);
        self.board.class.store(ptr::null_mut(), Ordering::Release);
    }

    /// Counts one message, about to be handled by the handler of this number.
    #[inline]
    pub(crate) fn handle(&self, handler: u32) {
        self.board.handler.store(handler, Ordering::Relaxed);
        self.charge(1);
    }

    /// Counts a poll of straight-line code. The first of a turn is no work by itself: what it receives is.
    #[inline]
    pub(crate) fn poll(&self) {
        self.handle(0);
        if self.is_unpolled.replace(false) {
            self.begun.set(self.handled.get());
        }
    }

    /// The handler of this number goes on.
    #[inline]
    pub(crate) fn go_on_with(&self, handler: u32) {
        self.board.handler.store(handler, Ordering::Relaxed);
    }

    /// The number of the handler that runs.
    pub(crate) fn handler(&self) -> u32 {
        self.board.handler.load(Ordering::Relaxed)
    }

    /// Counts `n` reductions.
    #[inline]
    pub(crate) fn charge(&self, n: u32) {
        let handled = self.handled.get() + u64::from(n);
        self.handled.set(handled);
        self.board.handled.store(handled, Ordering::Release);
    }

    /// Whether the turn is over. One in which nothing was done yet is not, unless the process ended it: others meant the
    /// turn before, and the process would go to the back of its queue for nothing.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        let handled = self.handled.get();
        handled >= self.board.limit.load(Ordering::Relaxed) && handled != self.begun.get()
    }

    /// A message is sent from here. One to itself ends a process's turn, so that none stays by feeding itself.
    #[inline]
    pub(crate) fn sends_to(&self, header: &Header) {
        let process = self.process.get().map_or(0, |process| process.addr().get());
        if (process ^ ptr::from_ref(header).addr()) & self.compared.get() == 0 {
            self.note_sent(header);
        }
    }

    /// Whether there is something to do for each message that the process takes. Kept here, because where it says so others
    /// write for each message that they send.
    #[inline]
    pub(crate) fn is_taking_noted(&self) -> bool {
        self.taking_noted.get()
    }

    /// A call is replied to from here; `caller` says whose it was.
    #[inline]
    pub(crate) fn replies(&self, caller: impl FnOnce() -> Option<Pid>) {
        if self.compared.get() == 0 {
            self.note_replied(caller());
        }
    }

    #[cold]
    fn note_replied(&self, to: Option<Pid>) {
        if let Some(process) = self.process() {
            process.note_replied(to);
        }
    }

    /// A message is sent to itself, or by a process of which that is noted.
    #[cold]
    fn note_sent(&self, to: &Header) {
        let Some(process) = self.process() else { return };
        if ptr::eq(process, to) {
            self.end();
        }
        process.note_sent(to);
    }

    /// The process that runs here has spawned `child`, if that is to be noted.
    #[inline]
    pub(crate) fn note_spawned(&self, options: &SpawnOptions, child: &Header) {
        if self.compared.get() == 0
            && let Some(process) = self.process()
            && options.parent == Some(process.pid())
        {
            process.trace(|| Traced::Spawned(child.pid()));
            let is_linked = options.caller.as_ref().is_some_and(|caller| caller.link && caller.pid == process.pid());
            if is_linked || options.link == options.parent {
                process.trace(|| Traced::Linked(child.pid()));
            }
        }
    }

    /// The process that runs is to end after its handler. The first reason counts.
    #[inline]
    pub(crate) fn stop_process(&self, reason: Ending) {
        let before = self.stopping.take();
        self.stopping.set(Some(before.unwrap_or(reason)));
        self.end();
    }

    /// Whether the process that runs is to end after its handler.
    pub(crate) fn is_stopping(&self) -> bool {
        let stopping = self.stopping.take();
        let is_stopping = stopping.is_some();
        self.stopping.set(stopping);
        is_stopping
    }

    /// Why the process that runs is to end after its handler.
    #[inline]
    pub(crate) fn take_stopping(&self) -> Option<Ending> {
        self.stopping.take()
    }

    /// The process ends its turn at the next chance.
    pub(crate) fn end(&self) {
        self.begun.set(u64::MAX);
        self.board.end_turn();
    }

    /// Puts what was done on the account of the process that runs.
    #[inline]
    pub(crate) fn account(&self, header: &Header) {
        let handled = self.handled.get();
        header.add_reductions(handled - self.accounted.get());
        self.accounted.set(handled);
    }

    /// The memory that this worker has at hand.
    #[inline]
    pub(crate) fn memory(&self) -> &Magazine<'a> {
        &self.magazine
    }

    /// Memory for what does not outlive the code that runs.
    pub(super) fn scratch(&self) -> &Arena {
        &self.scratch
    }

    /// Whether this is a worker of the runtime that `node` runs on.
    #[inline]
    pub(crate) fn is_at(&self, node: &Node) -> bool {
        // Nearly always it is the node whose process runs here.
        self.process().is_some_and(|process| process.node().is(node)) || self.is_home_of(node)
    }

    fn is_home_of(&self, node: &Node) -> bool {
        ptr::eq(self.home, node.runtime().home())
    }

    /// The process that runs.
    #[inline]
    pub(crate) fn process(&self) -> Option<&Header> {
        // SAFETY: a process is alive during its turn.
        self.process.get().map(|header| unsafe { header.as_ref() })
    }

    /// Lends the position that a straight-line process holds to its receives, for one poll.
    pub(crate) fn lend_position(&self, position: *mut Position) {
        self.position.set(position);
        self.wants.set(Wants::Nothing);
    }

    /// The poll is over: nobody uses the position any more.
    pub(crate) fn lend_position_back(&self) {
        self.position.set(ptr::null_mut());
    }

    /// The position that was lent; null if none was.
    pub(crate) fn position(&self) -> *mut Position {
        self.position.get()
    }

    /// Says what the process that is being polled waits for.
    pub(crate) fn want(&self, wants: Wants) {
        self.wants.set(wants);
    }

    /// What the process that was polled waits for.
    pub(crate) fn wants(&self) -> Wants {
        self.wants.get()
    }
}

/// Runs `f` with the turns of this thread, if it is a worker.
#[inline]
pub(crate) fn with_current<R>(f: impl FnOnce(Option<&Turn<'_>>) -> R) -> R {
    let current = CURRENT.get();
    // SAFETY: whoever set the pointer sees to it that it is taken back before what it leads to is gone, and
    // `f` cannot keep it.
    f(unsafe { current.as_ref() })
}

/// Runs `f` with the turns of this thread, if it is a worker of the runtime that `node` runs on.
#[inline]
pub(crate) fn with_worker_of<R>(node: &Node, f: impl FnOnce(Option<&Turn<'_>>) -> R) -> R {
    with_current(|turn| f(turn.filter(|turn| turn.is_at(node))))
}

/// Where this thread has memory of `node` from, being `worker`.
#[inline]
pub(crate) fn stock<'s>(worker: Option<&'s Turn<'_>>, node: &'s Node) -> Stock<'s> {
    match worker {
        Some(turn) => Stock::Magazine(&turn.magazine),
        None => Stock::Pool(node.memory()),
    }
}

/// Runs `f` with the process that runs here, if one does.
#[inline]
pub(crate) fn with_process<R>(f: impl FnOnce(Option<(&Turn<'_>, &Header)>) -> R) -> R {
    with_current(|turn| f(turn.and_then(|turn| turn.process().map(|process| (turn, process)))))
}

/// Ends the turn of the process whose code runs here, after its handler.
pub(crate) fn end_here() {
    with_process(|running| {
        if let Some((turn, _)) = running {
            turn.end();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_in_which_nothing_was_done_is_not_over() {
        let (board, pool) = (Board::default(), Pool::new());
        let turn = Turn::new(&board, &pool, ptr::null());
        turn.charge(7);
        turn.open();
        board.end_turn();
        assert!(!turn.is_over());
        turn.charge(1);
        assert!(turn.is_over());
        turn.open();
        turn.poll();
        board.end_turn();
        assert!(!turn.is_over(), "it has received nothing yet");
        turn.poll();
        assert!(turn.is_over(), "who wakes itself in each poll does not stay");
        turn.open();
        turn.end();
        assert!(turn.is_over(), "the process has said so");
        turn.open();
        turn.charge(REDUCTIONS_PER_TURN - 1);
        assert!(!turn.is_over());
        turn.charge(1);
        assert!(turn.is_over());
    }
}
