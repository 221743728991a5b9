//! The part of a process that does not depend on its messages or its body: counts, words and bits that are looked at
//! from everywhere.
#![expect(unsafe_code, reason = "references are counted by hand, and cells know their type by a class")]

use std::any::Any;
use std::mem::offset_of;
use std::ptr::{self, NonNull};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::bound::{Bound, Excess, Spot, Stall};
use super::cell::Class;
use super::control::Rare;
use super::extra::{Extra, HIBERNATING, Owned, SUSPENDED, TOLD};
use super::reference::Ready;
use super::silence;
use super::state::{Cause, State};
use super::turn::{self, Turn};
use crate::clock::Stamp;
use crate::config::LONG_MAILBOX;
use crate::director::{Director, Meeting};
use crate::exit::{Ending, ExitReason};
use crate::inspect::{MessageCounts, Observed};
use crate::lease::Lease;
use crate::lints::{Lint, LintEvent};
use crate::mailbox::{Back, Before, Front, Held, Mailbox, Notice, Position};
use crate::memory::{self, Account};
use crate::node::Node;
use crate::pid::Pid;
use crate::priority::Priority;
use crate::scheduler::Home;
use crate::signal::{MonitorRef, Signal};
use crate::spec::StartError;
use crate::sync::{AtomicPtr, AtomicU8, AtomicU32, Ordering};
use crate::timer::TimerRef;
use crate::trace::{Events, TraceEvent, Traced};

/// What does not depend on the type of messages or of the body.
///
/// In this order: first what a sender needs, last what the owner needs for each message. Wherever the cell lies, the two ends
/// are on different cache lines, so that a process which is sent to while it runs does not fight for one.
#[repr(C)]
pub(crate) struct Header {
    back: Back,
    node: Lease<Node>,
    slot: u32,
    generation: u32,
    /// Its priority, and what else is a bit.
    rank: AtomicU8,
    /// What can be seen of it from outside.
    activity: AtomicU8,
    /// How often a process of low priority was passed over since its last turn.
    skips: AtomicU8,
    /// What its body is at; the body's own.
    phase: AtomicU8,
    pub(crate) state: State,
    references: AtomicU32,
    /// The low half of what it has done; the high half is in `Extra`.
    reductions: AtomicU32,
    class: &'static Class,
    parent: Parent,
    born: Stamp,
    before: Before,
    front: Front,
    extra: AtomicPtr<Extra>,
}

const _: () = {
    const LINE: usize = 64;
    // A cell begins anywhere in a line that is a multiple of 16; of 96 bytes, at its begin or in its middle.
    assert!(offset_of!(Header, front) >= LINE, "the ends of the mailbox are on different lines");
    assert!(offset_of!(Header, state) + size_of::<State>() <= LINE / 2, "what a sender needs is on one line");
};

/// The bits of the rank that are no priority.
const BOUNDED: u8 = 0x80;
/// A waker of the process was cloned: it can be woken by whoever has that.
const WAKER_OUT: u8 = 0x40;
/// It belongs to a group that has a leader.
const LED: u8 = 0x20;
/// Its messages are counted.
const COUNTED: u8 = 0x10;
/// It tells what it does, or keeps it.
const TRACED: u8 = 0x08;
/// What it handles next breaks a silence.
const SILENT: u8 = 0x04;
const RANK_BITS: u8 = BOUNDED | WAKER_OUT | LED | COUNTED | TRACED | SILENT;

/// The parent, if it is of the same node: without its node's identity it takes half the room.
#[derive(Clone, Copy)]
struct Parent {
    slot: u32,
    generation: u32,
}

const NO_PARENT: u32 = u32::MAX;

/// What a process is doing, as far as its state words do not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Activity {
    /// It waits for something, or for a worker.
    Resting = 0,
    /// A worker runs it.
    Running = 1,
    /// It has ended.
    Ended = 2,
    /// It has ended, and its state is dropped; whoever is refused by its mailbox finds it no more.
    Gone = 3,
}

/// What a process is made with.
pub(crate) struct Birth {
    pub(crate) node: Lease<Node>,
    pub(crate) pid: Pid,
    pub(crate) parent: Option<Pid>,
    pub(crate) priority: Priority,
    /// It belongs to a group that has a leader.
    pub(crate) is_led: bool,
    /// Its mailbox has a limit.
    pub(crate) is_bounded: bool,
    pub(crate) extra: *mut Extra,
    /// How many references its body begins with.
    pub(crate) references: u32,
}

impl Header {
    /// How much of it is its mailbox.
    pub(super) const MAILBOX: usize = size_of::<Back>() + size_of::<Before>() + size_of::<Front>();

    /// The header of a process that is born.
    #[inline(always)]
    pub(super) fn new(class: &'static Class, birth: Birth) -> Self {
        let Birth { node, pid, parent, priority, is_led, is_bounded, extra, references } = birth;
        let parent = parent.filter(|parent| parent.node() == node.id());
        let bounded = if is_bounded { BOUNDED } else { 0 };
        let led = if is_led { LED } else { 0 };
        let born = node.runtime().clock().coarse_moment().stamp();
        Self {
            back: Back::new(),
            node,
            slot: pid.slot(),
            generation: pid.generation(),
            rank: AtomicU8::new(priority as u8 | bounded | led),
            activity: AtomicU8::new(Activity::Resting as u8),
            skips: AtomicU8::new(0),
            phase: AtomicU8::new(0),
            state: State::submitted(),
            // The process itself, and the reference that is returned.
            references: AtomicU32::new(2 + references),
            reductions: AtomicU32::new(0),
            class,
            parent: parent.map_or(Parent { slot: NO_PARENT, generation: 0 }, |parent| Parent {
                slot: parent.slot(),
                generation: parent.generation(),
            }),
            born,
            before: Before::new(),
            front: Front::new(),
            extra: AtomicPtr::new(extra),
        }
    }

    /// Its mailbox.
    ///
    /// # Safety
    /// The process takes messages of this type.
    #[inline]
    pub(super) unsafe fn mailbox<M>(&self) -> Mailbox<'_, M> {
        // SAFETY: the parts are used as this type's only, as the caller promises.
        unsafe { Mailbox::of(&self.back, &self.front, &self.before) }
    }

    /// Frees what the header holds; returns the node, which keeps the pool alive. What else is in it needs no drop.
    ///
    /// # Safety
    /// Nobody refers to the process any more, and this is done once.
    pub(super) unsafe fn take_apart(header: NonNull<Self>) -> Lease<Node> {
        // SAFETY: the caller's promise.
        unsafe {
            let extra = header.as_ref().extra.load(Ordering::Relaxed);
            let node = (&raw const (*header.as_ptr()).node).read();
            if let Some(extra) = NonNull::new(extra) {
                Extra::free(extra, &node);
            }
            node
        }
    }
}

impl Header {
    #[inline]
    pub(crate) fn pid(&self) -> Pid {
        Pid::new(self.node.id(), self.slot, self.generation)
    }

    #[inline]
    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    #[inline]
    pub(crate) fn class(&self) -> &'static Class {
        self.class
    }

    /// What it runs: the actor's name, or the function that straight-line code was written in.
    pub(crate) fn actor(&self) -> &'static str {
        self.class.actor()
    }

    /// How many bytes it takes, as far as they are counted.
    pub(crate) fn memory(&self) -> usize {
        let extra = if self.extra_if_any().is_some() { size_of::<Extra>() } else { 0 };
        // SAFETY: the class is the one of this cell's type.
        self.class.layout.size() + extra + unsafe { (self.class.mailbox_bytes)(self) }
    }

    /// How many bytes it has allocated that nobody has freed, if that is counted.
    pub(crate) fn allocated(&self) -> Option<u64> {
        let account = Some(self).filter(|header| !header.is_gone()).and_then(Self::account);
        memory::is_installed().then(|| account.map_or(0, Account::bytes))
    }

    /// Limits what it may allocate. Before its first turn, which looks at the limit if nothing is counted.
    #[cold]
    pub(super) fn limit_memory(&self, bytes: usize) {
        self.node.table().limit_account(self.slot, bytes as u64);
        if !memory::is_installed() {
            // It is not parked: it has not begun.
            let _ = self.state.note(Cause::Receive);
        }
    }

    /// Why it is to end, if it has allocated more than it may. For the owner.
    pub(super) fn over_limit(&self) -> Option<ExitReason> {
        let account = self.account()?;
        let limit = account.limit()?;
        if !memory::is_installed() {
            return Some(ExitReason::error(StartError::MemoryNotCounted));
        }
        let used = account.bytes();
        (used > limit).then_some(ExitReason::MemoryLimit { limit, used })
    }

    fn account(&self) -> Option<&'static Account> {
        self.node.table().account(self.slot)
    }

    #[inline]
    pub(crate) fn parent(&self) -> Option<Pid> {
        let Parent { slot, generation } = self.parent;
        (slot != NO_PARENT).then(|| Pid::new(self.node.id(), slot, generation))
    }

    #[inline]
    pub(crate) fn priority(&self) -> Priority {
        Priority::from_number(self.rank.load(Ordering::Relaxed) & !RANK_BITS)
    }

    /// Where it has all its turns, if it has a thread of its own. It has a strict priority then, so that no worker picks it.
    pub(crate) fn home(&self) -> Option<&Home> {
        self.extra_if_any()?.home.as_ref()
    }

    /// Sets its priority, from its next turn on; returns the one before.
    pub(crate) fn set_priority(&self, priority: Priority) -> Priority {
        let priority = Home::priority(self.home(), priority);
        let change = |rank: u8| Some(rank & RANK_BITS | priority as u8);
        let before = self.rank.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
        Priority::from_number(before.unwrap_or_else(|rank| rank) & !RANK_BITS)
    }

    /// Whether something else than its mailbox may wake the process: a waker, or a reply. An alarm is for calls, and
    /// there is a reply to come as long as one is awaited. For the owner.
    #[inline]
    pub(crate) fn may_be_woken(&self) -> bool {
        self.rank.load(Ordering::Relaxed) & WAKER_OUT != 0
            || self.state.has_notes()
            || self.extra_if_any().is_some_and(|extra| !extra.reply.is_free())
    }

    /// Whether it belongs to a group that has a leader.
    #[inline]
    pub(crate) fn is_led(&self) -> bool {
        self.rank.load(Ordering::Relaxed) & LED != 0
    }

    /// It belongs to such a group from now on.
    pub(crate) fn note_leader(&self) {
        self.rank.fetch_or(LED, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn note_waker(&self) {
        if self.rank.load(Ordering::Relaxed) & WAKER_OUT == 0 {
            self.rank.fetch_or(WAKER_OUT, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn is_bounded(&self) -> bool {
        self.rank.load(Ordering::Relaxed) & BOUNDED != 0
    }

    /// Whether there is something to do for each message that it takes, in its next turn.
    #[inline]
    pub(super) fn is_taking_noted(&self) -> bool {
        self.rank.load(Ordering::Relaxed) & (BOUNDED | COUNTED | TRACED | SILENT) != 0
    }

    /// Whether there is something to do for each message that it sends, in its next turn.
    #[inline]
    pub(super) fn is_sending_noted(&self) -> bool {
        self.rank.load(Ordering::Relaxed) & (COUNTED | TRACED) != 0
    }

    /// What its body is at. For the body.
    #[inline]
    pub(crate) fn phase(&self) -> u8 {
        self.phase.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set_phase(&self, phase: u8) {
        self.phase.store(phase, Ordering::Relaxed);
    }

    /// Passes a process of low priority over; returns whether it is still not its turn.
    pub(crate) fn is_passed_over(&self) -> bool {
        // Only the worker that holds the process on its queue changes this.
        let skips = self.skips.load(Ordering::Relaxed);
        let next = if skips + 1 < crate::config::LOW_IS_PASSED_OVER { skips + 1 } else { 0 };
        self.skips.store(next, Ordering::Relaxed);
        next != 0
    }

    #[inline]
    pub(crate) fn activity(&self) -> Activity {
        match self.activity.load(Ordering::Relaxed) {
            0 => Activity::Resting,
            1 => Activity::Running,
            2 => Activity::Ended,
            _ => Activity::Gone,
        }
    }

    #[inline]
    pub(crate) fn set_activity(&self, activity: Activity) {
        self.activity.store(activity as u8, Ordering::Release);
    }

    /// Whether the process has ended, or is about to announce its end.
    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        // SeqCst: see `extra_at_end`.
        self.activity.load(Ordering::SeqCst) >= Activity::Ended as u8
    }

    /// Whether its state is dropped too.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        self.activity.load(Ordering::Acquire) == Activity::Gone as u8
    }

    /// What it has done so far.
    pub(crate) fn reductions(&self) -> u64 {
        let high = || self.extra_if_any().map_or(0, |extra| extra.reductions_high.load(Ordering::Acquire));
        loop {
            let before = high();
            let low = self.reductions.load(Ordering::Acquire);
            if before == high() {
                return u64::from(before) << 32 | u64::from(low);
            }
        }
    }

    /// Adds what a turn has done. For the owner.
    #[inline]
    pub(crate) fn add_reductions(&self, done: u64) {
        let before = self.reductions.load(Ordering::Relaxed);
        let now = u64::from(before) + done;
        if now >> 32 != 0 {
            self.carry_reductions((now >> 32) as u32);
        }
        self.reductions.store(now as u32, Ordering::Release);
    }

    #[cold]
    fn carry_reductions(&self, carry: u32) {
        self.extra().reductions_high.fetch_add(carry, Ordering::AcqRel);
    }

    /// What it needs seldom; made now if it was not needed before.
    #[inline]
    pub(crate) fn extra(&self) -> &Extra {
        match self.extra_if_any() {
            Some(extra) => extra,
            None => self.make_extra(),
        }
    }

    /// Asks for what its turn will find in other places: its messages, and what it needs seldom, if there is something to be
    /// received.
    #[inline]
    pub(super) fn prefetch_rest(&self) {
        self.back.prefetch();
        if self.state.has_notes() {
            self.prefetch_extra();
        }
    }

    #[cold]
    fn prefetch_extra(&self) {
        if let Some(extra) = NonNull::new(self.extra.load(Ordering::Relaxed)) {
            memory::lines(extra.cast(), size_of::<Extra>()).for_each(memory::prefetch);
        }
    }

    #[inline]
    pub(crate) fn extra_if_any(&self) -> Option<&Extra> {
        // SeqCst: see `extra_at_end`.
        // SAFETY: what the pointer leads to was made by `make_extra` and lives as long as the cell.
        unsafe { self.extra.load(Ordering::SeqCst).as_ref() }
    }

    /// Says that the process has ended, and looks for what it needed seldom. Of two, one is first: either who
    /// makes that later sees the end ([`has_ended`](Self::has_ended)), or it is found here. All four steps are
    /// SeqCst; a swap costs a tenth of a fence.
    pub(super) fn extra_at_end(&self) -> Option<&Extra> {
        self.activity.swap(Activity::Ended as u8, Ordering::SeqCst);
        // SAFETY: as in `extra_if_any`.
        unsafe { self.extra.load(Ordering::SeqCst).as_ref() }
    }

    #[cold]
    fn make_extra(&self) -> &Extra {
        let made = Extra::default().place(&self.node);
        match self.extra.compare_exchange(ptr::null_mut(), made, Ordering::SeqCst, Ordering::Acquire) {
            // SAFETY: it lives as long as the cell from now on.
            Ok(_) => unsafe { &*made },
            Err(theirs) => {
                // SAFETY: nobody else knows ours; theirs lives as long as the cell.
                unsafe {
                    Extra::free(NonNull::new_unchecked(made), &self.node);
                    &*theirs
                }
            }
        }
    }

    /// The part that only the owner touches, if there is one.
    ///
    /// # Safety
    /// The caller is the owner, and holds no other reference to it.
    #[expect(clippy::mut_from_ref, reason = "the owner is alone; see Safety")]
    #[inline]
    pub(crate) unsafe fn owned_if_any(&self) -> Option<&mut Owned> {
        // SAFETY: the caller's promise.
        self.extra_if_any().map(|extra| unsafe { &mut *extra.owned.get() })
    }

    /// The part that only the owner touches.
    ///
    /// # Safety
    /// As for [`owned_if_any`](Self::owned_if_any).
    #[expect(clippy::mut_from_ref, reason = "the owner is alone; see Safety")]
    pub(crate) unsafe fn owned(&self) -> &mut Owned {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.extra().owned.get() }
    }

    /// The positions in the mailbox that outlive a turn: the header's, and one of the body's.
    ///
    /// # Safety
    /// The caller is the owner, and holds no reference to either.
    #[inline]
    pub(crate) unsafe fn held<'a>(&'a self, other: Option<&'a mut Position>) -> Held<'a> {
        // SAFETY: the caller's promise.
        Held([unsafe { self.owned_if_any() }.map(|owned| &mut owned.received), other])
    }

    /// Drops what only the owner touches.
    ///
    /// # Safety
    /// As for [`owned_if_any`](Self::owned_if_any).
    pub(crate) unsafe fn forget_owned(&self) {
        // SAFETY: the caller's promise.
        if let Some(owned) = unsafe { self.owned_if_any() } {
            drop(std::mem::take(owned));
        }
    }

    /// Removes the links to those of which this holds, at both ends.
    pub(crate) fn unlink_if(&self, holds: impl Fn(Pid) -> bool) {
        let Some(extra) = self.extra_if_any() else { return };
        // Not under the lock: it looks at others, which may be linking themselves to this.
        let links: Vec<Pid> = extra.control.lock().links.iter().map(|(&peer, ())| peer).collect();
        links.into_iter().filter(|peer| holds(*peer)).for_each(|peer| self.unlink(peer));
    }

    /// Whether an exit signal to `peer` is a message there, as far as that is known on this node.
    pub(crate) fn is_trapped_by(&self, peer: Pid) -> bool {
        self.node
            .process(peer)
            .is_none_or(|peer| peer.extra_if_any().is_some_and(|extra| extra.control.lock().trap_exit))
    }

    /// Removes the link to `peer`, at both ends.
    pub(crate) fn unlink(&self, peer: Pid) {
        if let Some(extra) = self.extra_if_any()
            && extra.control.lock().links.remove(&peer).is_some()
        {
            self.unlink_there(peer);
        }
    }

    fn unlink_there(&self, peer: Pid) {
        self.node.signal(peer, Signal::Unlink { from: self.pid(), id: 0 });
        // Whoever is about to be told by other means must not be ended by the link before.
        if let Some(peer) = self.node.process(peer)
            && let Some(extra) = peer.extra_if_any()
        {
            extra.control.lock().links.remove(&self.pid());
        }
    }

    /// Whether its own code runs here.
    #[inline]
    pub(crate) fn is_running_here(&self) -> bool {
        turn::with_process(|running| running.is_some_and(|(_, process)| ptr::eq(process, self)))
    }

    /// Takes what the monitor `reference` has told out of the mailbox.
    pub(crate) fn flush(&self, reference: MonitorRef) {
        turn::with_process(|running| {
            if let Some((turn, header)) = running
                && ptr::eq(header, self)
            {
                // SAFETY: the process's own code runs here, so this thread is the owner; the class is the
                // one of this cell's type.
                unsafe { (self.class.flush)(self, reference, turn) };
            }
        });
    }

    /// Whether it was asked to handle no messages.
    #[inline]
    pub(crate) fn is_suspended(&self) -> bool {
        self.rests(SUSPENDED)
    }

    /// For the owner.
    pub(super) fn set_suspended(&self, suspended: bool) {
        self.set_rest(SUSPENDED, suspended);
    }

    /// It ends in order: that it was asked to handle no messages counts no more. For the owner.
    pub(super) fn end_suspension(&self) {
        if self.is_suspended() {
            self.set_suspended(false);
        }
    }

    /// Whether it has given back what it could, and waits.
    pub(crate) fn is_hibernating(&self) -> bool {
        self.rests(HIBERNATING)
    }

    /// Gives back what is not needed while nothing happens.
    pub(super) fn hibernate(&self) {
        self.extra().control.lock().shrink();
        self.set_hibernating(true);
    }

    /// For the process's own code.
    pub(crate) fn set_hibernating(&self, hibernating: bool) {
        self.set_rest(HIBERNATING, hibernating);
    }

    #[inline]
    fn rests(&self, bit: u8) -> bool {
        self.extra_if_any().is_some_and(|extra| extra.rest.load(Ordering::Relaxed) & bit != 0)
    }

    fn set_rest(&self, bit: u8, is_set: bool) {
        let rest = &self.extra().rest;
        if is_set {
            rest.fetch_or(bit, Ordering::Relaxed);
        } else {
            rest.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// Asks the process to end after the handler that runs, by way of `terminate`. For its own code.
    #[track_caller]
    pub(crate) fn stop_after_handler(&self, reason: Ending) {
        let asked = turn::with_process(|running| {
            let (turn, _) = running.filter(|(_, header)| ptr::eq(*header, self))?;
            turn.stop_process(reason);
            Some(())
        });
        assert!(asked.is_some(), "a context stops its process in the process's own code only");
    }

    /// Takes over the timer of the process's alarm; returns the one before.
    pub(crate) fn exchange_alarm(&self, timer: Option<TimerRef>) -> Option<TimerRef> {
        std::mem::replace(&mut self.extra().alarm_timer.lock(), timer)
    }

    /// As the process's waker does.
    #[inline]
    pub(crate) fn note_wake(&self) {
        self.note(Cause::Wake);
    }

    /// Notes `cause`, and submits the process if that is now the caller's to do.
    #[inline]
    pub(crate) fn note(&self, cause: Cause) {
        if self.state.note(cause) {
            self.submit();
        }
    }

    /// Puts the process on a run queue. Only for whoever ended its wait.
    #[inline]
    pub(crate) fn submit(&self) {
        turn::with_worker_of(&self.node, |worker| self.submit_by(worker));
    }

    #[inline(always)]
    pub(super) fn submit_by(&self, worker: Option<&Turn<'_>>) {
        // Most go to a process that waits, from one that is about to.
        if !worker.is_some_and(|turn| turn.run_next(self.ready())) {
            self.node.runtime().submit(self.ready(), worker);
        }
    }

    /// The process as a run queue has it.
    #[inline]
    pub(crate) fn ready(&self) -> Ready {
        Ready::of(self)
    }

    /// The address of the cell.
    #[inline]
    pub(crate) fn ready_ptr(&self) -> NonNull<Self> {
        // SAFETY: a reference is not null; the provenance of the whole cell was exposed when it was made.
        unsafe { NonNull::new_unchecked(ptr::with_exposed_provenance_mut(ptr::from_ref(self).addr())) }
    }

    /// Its slot and generation in the node's table.
    #[inline]
    pub(crate) fn place(&self) -> (u32, u32) {
        (self.slot, self.generation)
    }

    /// Sends something that any process takes.
    ///
    /// # Errors
    /// Hands it back if the process has ended.
    pub(crate) fn push_notice(&self, notice: Notice) -> Result<(), Notice> {
        // SAFETY: the class is the one of this cell's type.
        unsafe { (self.class.push)(self, notice) }
    }

    /// About how many messages wait.
    pub(crate) fn mailbox_len(&self) -> usize {
        // SAFETY: as above.
        unsafe { (self.class.len)(self) }
    }

    /// Whether the process waits for its mailbox.
    pub(crate) fn is_waiting(&self) -> bool {
        self.back.is_waiting()
    }

    /// Lets the mailbox refuse messages, but not what else there is.
    pub(crate) fn drain_mailbox(&self) {
        self.back.drain();
    }

    /// The limit of its mailbox, if it has one.
    pub(crate) fn bound(&self) -> Option<&Bound> {
        if !self.is_bounded() {
            return None;
        }
        self.extra_if_any()?.bound.as_deref()
    }

    /// Room in the mailbox, for a message of whoever has `waker`: see [`Bound::room`].
    pub(crate) fn room(&self, waker: &Waker, spot: &mut Option<Spot>) -> Poll<Excess> {
        self.bound().map_or(Poll::Ready(Excess::None), |bound| bound.room(self, waker, spot))
    }

    /// A message that counts was taken out of the mailbox, for this handler. That is to be noted.
    #[cold]
    pub(super) fn note_taken(&self, handler: &'static str) {
        self.note_left();
        self.message_noted(handler);
    }

    /// A message that counts where they are limited is in the mailbox no more. That is to be noted.
    pub(super) fn note_left(&self) {
        if self.is_bounded() {
            self.message_left();
        }
    }

    /// It is resumed after so long.
    pub(super) fn resume_after(&self, delay: Duration) {
        let runtime = self.node.runtime();
        let (node, pid) = (self.node.downgrade(), self.pid());
        runtime.timers().fire_at(runtime.now_and(delay), self, move |_| {
            if let Some(node) = node.upgrade() {
                node.resume(pid);
            }
        });
    }

    /// A message, whether it counts where they are limited or not, is about to be handled.
    #[cold]
    pub(super) fn message_noted(&self, handler: &'static str) {
        // SAFETY: only its owner takes its messages.
        unsafe { self.break_silence() };
        if self.rank.load(Ordering::Relaxed) & COUNTED != 0 {
            self.extra().received.fetch_add(1, Ordering::Relaxed);
        }
        self.trace(|| Traced::Received(handler));
    }

    /// What it handles next breaks a silence, or none.
    pub(super) fn set_silent(&self, silent: bool) {
        self.set_rank(SILENT, silent);
    }

    /// Something is about to be handled.
    ///
    /// # Safety
    /// The caller is the owner.
    #[inline]
    pub(super) unsafe fn break_silence(&self) {
        if self.rank.load(Ordering::Relaxed) & SILENT != 0 {
            // SAFETY: the caller's promise.
            unsafe { silence::broken(self) };
        }
    }

    /// It sends `to` a message. In its own code.
    pub(super) fn note_sent(&self, to: &Self) {
        self.count_sent();
        self.trace(|| Traced::Sent(to.pid()));
    }

    /// It replies to a call of `to`. In its own code.
    pub(super) fn note_replied(&self, to: Option<Pid>) {
        self.count_sent();
        self.trace(|| Traced::Replied(to));
    }

    fn count_sent(&self) {
        if self.rank.load(Ordering::Relaxed) & COUNTED != 0 {
            self.extra().sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts its messages from now on, or no more. What was counted before stays.
    pub(crate) fn count_messages(&self, count: bool) {
        if count && self.rank.load(Ordering::Relaxed) & COUNTED == 0 {
            self.extra().counted_since.set(self.node.runtime().clock().coarse_moment());
        }
        self.set_rank(COUNTED, count);
    }

    /// When it was spawned.
    pub(crate) fn born(&self) -> Stamp {
        self.born
    }

    /// How many messages it has taken and sent, if they are counted.
    pub(crate) fn message_counts(&self) -> Option<MessageCounts> {
        let is_counted = self.rank.load(Ordering::Relaxed) & COUNTED != 0;
        // It was made when the counting began.
        let extra = self.extra_if_any().filter(|_| is_counted)?;
        Some(MessageCounts {
            received: extra.received.load(Ordering::Relaxed),
            sent: extra.sent.load(Ordering::Relaxed),
            since: self.node.runtime().clock().instant(extra.counted_since.get()),
        })
    }

    /// Lets it tell what it does from now on, or no more.
    pub(crate) fn set_traced(&self, traced: bool) {
        self.change_traces(|_| self.set_rest(TOLD, traced));
    }

    /// Whether it tells what it does.
    pub(crate) fn is_traced(&self) -> bool {
        self.rests(TOLD)
    }

    /// Keeps the last `limit` things that it does from now on; none, and no more, if that is 0.
    pub(crate) fn keep_events(&self, limit: usize) {
        let events = (limit > 0).then(|| Events::new(limit));
        let before = self.change_traces(|rare| std::mem::replace(&mut rare.events, events));
        drop(before);
    }

    /// Changes who is told of what it does.
    fn change_traces<R>(&self, change: impl FnOnce(&mut Rare) -> R) -> R {
        let mut control = self.extra().control.lock();
        let rare = control.rare_mut();
        let before = change(rare);
        // Under the lock: of two who change it, the last one knows.
        self.set_rank(TRACED, self.is_traced() || rare.events.is_some() || self.director().is_some());
        before
    }

    /// Who directs it.
    fn director(&self) -> Option<&dyn Director> {
        self.node.runtime().directed()
    }

    /// It is directed from its first turn on.
    pub(crate) fn direct(&self) {
        self.set_rank(TRACED, true);
        if let Some(director) = self.director() {
            turn::uncharged(|| director.spawned(Observed::new(self)));
        }
    }

    /// What becomes of the message that it is about to handle. For the owner.
    pub(super) fn meet(&self, handler: &'static str) -> Meeting {
        let director = if self.rank.load(Ordering::Relaxed) & TRACED != 0 { self.director() } else { None };
        director.map_or(Meeting::Handle, |director| director.meet(Observed::new(self), handler))
    }

    /// It has lost `message`, as its director wanted.
    pub(super) fn lose(&self, message: Box<dyn Any + Send>) {
        match self.director() {
            Some(director) => director.lost(message),
            None => drop(message),
        }
    }

    /// What it says of the things that it did last, if they are kept.
    pub(crate) fn events<R>(&self, of: impl FnOnce(&Events) -> R) -> Option<R> {
        self.extra_if_any()?.control.lock().rare()?.events.as_ref().map(of)
    }

    /// Tells whoever listens, if it is traced, and keeps it, if that is asked for.
    #[inline]
    pub(crate) fn trace(&self, what: impl FnOnce() -> Traced) {
        if self.rank.load(Ordering::Relaxed) & TRACED != 0 {
            self.tell_trace(what());
        }
    }

    #[cold]
    fn tell_trace(&self, what: Traced) {
        let event = TraceEvent { at: self.node.runtime().now(), pid: self.pid(), what };
        if let Some(director) = self.director() {
            turn::uncharged(|| director.seen(Observed::new(self), &event));
        }
        let Some(extra) = self.extra_if_any() else { return };
        if let Some(events) = extra.control.lock().rare_if_any().and_then(|rare| rare.events.as_mut()) {
            // On nobody's account: the process has not asked for it.
            turn::uncharged(|| events.push(event.clone()));
        }
        if self.is_traced() {
            self.node.tell_trace(event);
        }
    }

    fn set_rank(&self, bit: u8, is_set: bool) {
        if is_set {
            self.rank.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.rank.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    #[cold]
    fn message_left(&self) {
        if let Some(bound) = self.bound() {
            bound.leave();
        }
    }

    /// Whose mailbox has no room for what it has sent.
    pub(crate) fn stalled_by(&self) -> Option<Pid> {
        self.extra_if_any()?.stall.lock().as_deref().map(Stall::by)
    }

    /// A handler that awaited something is over. For the owner.
    #[inline]
    pub(super) fn handler_over(&self) {
        if let Some(extra) = self.extra_if_any() {
            extra.calling.over();
        }
    }

    /// Tells and logs what is amiss with it, if that was not told before.
    #[cold]
    pub(crate) fn lint(&self, lint: Lint) {
        if self.tell_lint(&lint) {
            // Not within the span of whoever has sent it something.
            tracing::warn!(parent: None, node = self.node.name(), pid = %self.pid(), process = self.describe(), "{lint}");
        }
    }

    /// Whether what this bit stands for was told of it.
    pub(super) fn is_told(&self, bit: u8) -> bool {
        self.extra().linted.load(Ordering::Relaxed) & bit != 0
    }

    /// Tells what is amiss with it, and is in the log otherwise. Returns whether it was not told before.
    pub(crate) fn tell_lint(&self, lint: &Lint) -> bool {
        let is_new = self.extra().linted.fetch_or(lint.bit(), Ordering::Relaxed) & lint.bit() == 0;
        if is_new {
            // On nobody's account: it may be the sender of a message that tells.
            let process = turn::uncharged(|| self.describe());
            self.node.tell_lint(LintEvent { pid: self.pid(), process, lint: lint.clone() });
        }
        is_new
    }

    /// Many messages wait in its mailbox: notes how many. For whoever has sent one.
    #[cold]
    pub(super) fn note_high_water(&self) {
        let messages = self.mailbox_len();
        let before = self.extra().high_water.fetch_max(messages as u64, Ordering::Relaxed) as usize;
        if before < LONG_MAILBOX && messages >= LONG_MAILBOX {
            self.lint(Lint::LongMailbox { messages });
        }
    }

    /// The most messages that waited in its mailbox at once: all that count, if it is bounded; else if they were many.
    pub(crate) fn high_water(&self) -> Option<usize> {
        let noted =
            || self.extra_if_any().map(|extra| extra.high_water.load(Ordering::Relaxed)).filter(|most| *most > 0);
        self.bound().map(Bound::high_water).or_else(noted).map(|most| most as usize)
    }

    /// How often its supervisor has started it again.
    pub(crate) fn restarts(&self) -> u64 {
        self.extra_if_any().map_or(0, |extra| extra.restarts)
    }

    /// What lists and reports call it.
    pub(crate) fn describe(&self) -> String {
        let name = self.extra_if_any().and_then(|extra| extra.control.lock().name.clone());
        match name {
            Some(name) => format!("{name} {}", self.pid()),
            None => format!("{} {}", self.actor(), self.pid()),
        }
    }

    #[inline]
    pub(super) fn count(&self, more: u32) {
        // Relaxed: a new reference is made from one that is there.
        if self.references.fetch_add(more, Ordering::Relaxed) > u32::MAX / 2 {
            // More references than that are leaked ones; one more could free the cell under them.
            std::process::abort();
        }
    }

    /// # Safety
    /// One reference is given up with this.
    #[inline]
    pub(super) unsafe fn uncount(header: NonNull<Self>) {
        // SAFETY: the reference that is given up keeps the cell alive until here.
        unsafe {
            // Release, and Acquire for the last: it sees all that others did with the cell. A load and no fence, of
            // which ThreadSanitizer knows nothing.
            let references = &header.as_ref().references;
            // Nobody makes a new one of the last.
            if references.load(Ordering::Acquire) != 1 {
                if references.fetch_sub(1, Ordering::Release) != 1 {
                    return;
                }
                references.load(Ordering::Acquire);
            }
            (header.as_ref().class.free)(header);
        }
    }
}
