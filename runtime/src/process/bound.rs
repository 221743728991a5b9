//! Mailboxes of a limited length, and who waits until there is room in one.
//!
//! ```text
//!   a process casts more than fits:  it goes on to the end of its handler, or to its next await, and is not run
//!                                    again until there is room: it is *stalled*            (header: STALLED; Extra: Stall)
//!   a call, or anybody that can await:  is not sent until there is room                 (a waker)
//!   all others:                      what does not fit is rejected or dropped, as the owner of the mailbox chose
//! ```
//!
//! What is counted are messages, and not what has to come through: exits and `Down`s, what timers and sources send, what comes
//! by an alias, requests.

use std::any::Any;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;

use super::header::Header;
use super::quota::{Quota, Waiting};
use super::reference::AnyRef;
use super::state::Cause;
use super::turn::{self, Turn};
use crate::actor::{Bounded, Overflow};
use crate::config::STALLED_AT_MOST;
use crate::lints::Lint;
use crate::mailbox::Shelf;
use crate::pid::Pid;
use crate::sync::{AtomicU64, Ordering};
use crate::timer::{Action, TimerRef};

/// The limit of a mailbox, and how near it is.
pub(crate) struct Bound {
    overflow: Overflow,
    /// Of messages in the mailbox that count.
    quota: Quota<Waiter>,
    /// The most that there were.
    high_water: AtomicU64,
    /// What else was sent, for the order on the shelf.
    others: AtomicU64,
    /// An `Arc<Shelf<M>>`, of a mailbox that drops the oldest.
    shelf: Option<Box<dyn Any + Send + Sync>>,
}

/// Who waits for room.
enum Waiter {
    Process(AnyRef),
    Task(Waker),
}

impl Waiting for Waiter {
    fn wake(self) {
        match self {
            Self::Process(process) => process.note(Cause::Wake),
            Self::Task(waker) => waker.wake(),
        }
    }
}

/// A place among those who wait for room in a mailbox, given up when it is dropped: who waits no more leaves nothing behind.
pub(crate) struct Spot {
    owner: AnyRef,
    place: u64,
}

impl Spot {
    fn new(owner: &Header, bound: &Bound) -> Self {
        Self { owner: AnyRef::of(owner), place: bound.quota.place() }
    }
}

impl Drop for Spot {
    fn drop(&mut self) {
        if let Some(bound) = self.owner.bound() {
            bound.quota.give_up(self.place);
        }
    }
}

/// How much a sender may put into a full mailbox.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    /// Nothing.
    None,
    /// Nothing, and its message is counted already.
    Reserved,
    /// As much again as the limit: it is stalled for it, and cannot stop half-way.
    AsMuchAgain,
}

/// What became of a message at the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admitted {
    /// It fits.
    Yes,
    /// It is more than fits; its sender is to be stalled.
    InExcess,
    No,
}

impl Bound {
    pub(crate) fn new<M: Send + 'static>(limit: Bounded) -> Self {
        let Bounded { messages, overflow } = limit;
        let messages = messages.max(1);
        let shelf = (overflow == Overflow::DropOldest)
            .then(|| Box::new(Arc::new(Shelf::<M>::new(messages))) as Box<dyn Any + Send + Sync>);
        Self {
            overflow,
            quota: Quota::new(messages as u64),
            high_water: AtomicU64::new(0),
            others: AtomicU64::new(0),
            shelf,
        }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.quota.limit()
    }

    pub(crate) fn overflow(&self) -> Overflow {
        self.overflow
    }

    pub(crate) fn high_water(&self) -> u64 {
        self.high_water.load(Ordering::Relaxed)
    }

    /// Where the messages are, if the mailbox drops the oldest.
    pub(crate) fn shelf<M: 'static>(&self) -> Option<&Arc<Shelf<M>>> {
        self.shelf.as_ref()?.downcast_ref()
    }

    /// Something that is no message was sent just now: after it was, so that no message of the same sender comes between, and
    /// whoever puts a message of that sender's on the shelf finds it counted.
    pub(crate) fn other_sent(&self) {
        self.others.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn others_sent(&self) -> u64 {
        self.others.load(Ordering::SeqCst)
    }

    /// There were so many messages at once.
    pub(crate) fn note_length(&self, messages: u64) {
        // Most are not more than there ever were, and to read costs next to nothing.
        if messages > self.high_water.load(Ordering::Relaxed) {
            self.high_water.fetch_max(messages, Ordering::Relaxed);
        }
    }

    /// Counts one more message, if it may come in.
    pub(crate) fn admit(&self, excess: Excess) -> Admitted {
        let limit = self.quota.limit();
        let most = match excess {
            Excess::Reserved => return Admitted::Yes,
            Excess::None => limit,
            Excess::AsMuchAgain => limit.saturating_mul(2),
        };
        let Some(before) = self.quota.admit(most) else { return Admitted::No };
        self.note_length(before + 1);
        if before < limit { Admitted::Yes } else { Admitted::InExcess }
    }

    /// One message less: whoever waits for room may go on.
    pub(crate) fn leave(&self) {
        self.quota.leave();
    }

    /// The owner is gone: nobody waits for room any more.
    pub(crate) fn wake_all(&self) {
        self.quota.wake_all();
    }

    /// Reserves room for a message of whoever has `waker`. If there is none, that is woken when it may look again, as long as
    /// it has its `spot`. For a mailbox that suspends nobody, or is nobody's any more, nothing is reserved: it takes or
    /// refuses the message at once.
    pub(crate) fn room(&self, owner: &Header, waker: &Waker, spot: &mut Option<Spot>) -> Poll<Excess> {
        // Who waits for room in its own mailbox can make none meanwhile.
        let may_wait = self.overflow == Overflow::Suspend && !owner.is_gone() && !owner.is_running_here();
        if may_wait && self.admit(Excess::None) == Admitted::No {
            let spot = spot.get_or_insert_with(|| Spot::new(owner, self));
            self.wait(spot.place, Waiter::Task(waker.clone()), owner);
            return Poll::Pending;
        }
        *spot = None;
        Poll::Ready(if may_wait { Excess::Reserved } else { Excess::None })
    }

    /// Lets `waiter` wait for room in the mailbox of `owner`, whose limit this is. If there is room by now, it is woken, and
    /// looks again.
    fn wait(&self, place: u64, waiter: Waiter, owner: &Header) {
        self.quota.wait(place, waiter, || owner.is_gone());
    }
}

/// A process that has sent more than fitted, and waits for room.
pub(crate) struct Stall {
    /// Among those who wait for room in the mailbox that it is stalled by.
    spot: Spot,
    since: Instant,
    timer: TimerRef,
}

impl Stall {
    /// By which process's mailbox it is stalled.
    pub(crate) fn by(&self) -> Pid {
        self.spot.owner.pid()
    }
}

/// `sender`, which runs in `turn`, has sent more to `receiver` than fitted. It is not run again, after its handler, until
/// there is room.
#[cold]
pub(super) fn stall(turn: &Turn<'_>, sender: &Header, receiver: &Header, bound: &Bound) {
    if sender.has_ended() {
        // What it owned sends its last; nothing of it is run again.
        return;
    }
    let spot = Spot::new(receiver, bound);
    let place = spot.place;
    {
        let mut stalled = sender.extra().stall.lock();
        if stalled.is_some() {
            // For the first.
            return;
        }
        let runtime = sender.node().runtime();
        let process = AnyRef::of(sender);
        let wake = Box::new(move |_| process.note(Cause::Wake));
        // From one look at the clock: it is woken once for the time, and must find then that it is up.
        let since = runtime.now();
        let timer = runtime.timers().at(since + STALLED_AT_MOST, Action::Fire(None, wake));
        *stalled = Some(Box::new(Stall { spot, since, timer }));
    }
    if let Some(circle) = circle_of(sender, receiver) {
        // It would be found again with each message that the handler goes on to send.
        if !sender.is_told(Lint::FULL_MAILBOXES) {
            // On nobody's account.
            let circle = turn::uncharged(|| circle.iter().map(|process| process.describe()).collect());
            sender.lint(Lint::FullMailboxes { circle });
        }
        sender.node().stall_counts().count(StallEvent::InCircle);
        return release(sender);
    }
    sender.node().stall_counts().count(StallEvent::Begun);
    sender.state.stall();
    turn.end();
    bound.wait(place, Waiter::Process(AnyRef::of(sender)), receiver);
}

/// The processes that are stalled by one another, if `sender` is among those whom `receiver` waits for. Each says whom it waits
/// for before it looks; so of those that make a circle at one time, one sees it.
fn circle_of(sender: &Header, receiver: &Header) -> Option<Vec<AnyRef>> {
    /// Longer ones are left to their deadlines.
    const LONGEST: usize = 64;
    let mut circle = vec![AnyRef::of(sender), AnyRef::of(receiver)];
    while circle.len() < LONGEST {
        let next = circle.last()?.extra_if_any()?.stall.lock().as_ref().map(|stalled| stalled.spot.owner.clone())?;
        let is_closed = std::ptr::eq::<Header>(&*next, sender);
        circle.push(next);
        if is_closed {
            return Some(circle);
        }
    }
    None
}

/// Whether the process is still stalled: there is no room yet, and it has not waited for too long. For the owner.
#[cold]
pub(super) fn is_stalled_still(header: &Header) -> bool {
    // What else woke it is polled when it goes on.
    header.state.take_woken();
    let look = |stalled: &Stall| (stalled.spot.owner.clone(), stalled.spot.place, stalled.since);
    let Some((by, place, since)) = header.extra().stall.lock().as_deref().map(look) else { return false };
    if let Some(bound) = by.bound()
        && !bound.quota.has_room()
        && !by.is_gone()
    {
        let waited = header.node().runtime().now().saturating_duration_since(since);
        if waited >= STALLED_AT_MOST {
            let (pid, by) = (header.pid(), by.describe());
            tracing::warn!(%pid, by, ?waited, "there was no room in a mailbox for too long; its sender goes on");
            header.node().stall_counts().count(StallEvent::TooLong);
        } else {
            // It was woken for room that another took.
            bound.wait(place, Waiter::Process(AnyRef::of(header)), &by);
            return true;
        }
    }
    release(header);
    false
}

/// The process goes on.
pub(super) fn release(header: &Header) {
    let stalled = header.extra_if_any().and_then(|extra| extra.stall.lock().take());
    let Some(stalled) = stalled else { return };
    header.node().runtime().timers().cancel(stalled.timer);
    header.state.release();
    // It was not polled meanwhile.
    let _ = header.state.note(Cause::Wake);
}

/// What is counted of processes that are stalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StallEvent {
    Begun,
    TooLong,
    InCircle,
}

/// How often processes were stalled.
#[derive(Default)]
pub(crate) struct StallCounts([AtomicU64; 3]);

impl StallCounts {
    pub(crate) fn count(&self, what: StallEvent) {
        self.0[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn of(&self, what: StallEvent) -> u64 {
        self.0[what as usize].load(Ordering::Relaxed)
    }
}
