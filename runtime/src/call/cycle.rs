//! Cycles of calls: processes of which each awaits the next one's reply, and so for ever.
//!
//! A process that awaits a call notes whom it called ([`Calling`]): one number, written where it waits anyway. Whoever looks
//! goes from caller to callee, and finds a cycle where it comes back to a process that it has passed.
//!
//! Where cycles are found while they happen, each process looks when it begins to wait, after it has noted that it does: of
//! those that close a cycle at once, one is last to note it, and finds the others. It tells each member's call, which fails
//! with the whole cycle.
//!
//! # What counts
//! That a process waits for a call within a handler, or in straight-line code; also if it waits for something else at the same
//! time. A reply that may come from elsewhere ([`ReplyTo::postpone`](super::ReplyTo::postpone)) is not waited for at the
//! callee. Only calls within one node count.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Weak};
use std::task::Waker;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::CallFailed;
use super::word::{Claim, Writing};
use crate::lints::Lint;
use crate::node::Node;
use crate::pid::Pid;
use crate::process::{AnyRef, Header, turn};
use crate::sync::{AtomicU8, AtomicU64, Ordering, fence};

/// Processes of which each awaits the reply of the next, and the last that of the first.
///
/// It begins with the process of the lowest number, so that all members tell the same.
///
/// A process counts as waiting while a handler, or straight-line code, awaits the reply, even if it awaits something else at
/// the same time, which could end the wait. A handler that takes a `ReplyTo` may have its reply come from elsewhere: who calls
/// it does not count ([`ReplyTo::postpone`](crate::ReplyTo::postpone)), and neither does who calls a process of another node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCycle(Vec<CycleMember>);

/// One process of a [`CallCycle`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CycleMember {
    /// The process.
    pub pid: Pid,
    /// What it is called: its name, or else what it runs, and its pid.
    pub process: String,
    /// The handler that waits; `None` in straight-line code.
    pub handler: Option<String>,
}

impl CallCycle {
    /// The processes, each before the one that it calls.
    pub fn members(&self) -> &[CycleMember] {
        &self.0
    }

    fn of(links: &[Link]) -> Self {
        let mut members: Vec<_> = links.iter().map(|link| CycleMember::of(&link.process)).collect();
        let first = members.iter().enumerate().min_by_key(|(_, member)| member.pid).map_or(0, |(at, _)| at);
        members.rotate_left(first);
        Self(members)
    }
}

impl fmt::Display for CallCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for member in &self.0 {
            write!(f, "{member} calls ")?;
        }
        self.0.first().map_or(Ok(()), |first| f.write_str(&first.process))
    }
}

impl CycleMember {
    fn of(process: &Header) -> Self {
        let handler = (process.class().activity)(process).map(|(handler, _)| handler.to_owned());
        Self { pid: process.pid(), process: process.describe(), handler }
    }
}

impl fmt::Display for CycleMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.process)?;
        self.handler.as_ref().map_or(Ok(()), |handler| write!(f, " in `{handler}`"))
    }
}

/// A process of the caller's node, as a number; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Callee(u64);

impl Callee {
    pub(super) const NONE: Self = Self(0);

    /// The process at `header`, as a caller of `node` notes it.
    #[inline]
    pub(super) fn of(header: &Header, node: &Node) -> Self {
        if header.node().id() != node.id() {
            return Self::NONE;
        }
        let (slot, generation) = header.place();
        Self((u64::from(slot) + 1) << 32 | u64::from(generation))
    }

    fn on(self, node: &Node) -> Option<AnyRef> {
        let slot = (self.0 >> 32).checked_sub(1)?;
        node.process(Pid::new(node.id(), slot as u32, self.0 as u32))
    }
}

/// Whom a process waits for.
#[derive(Default)]
pub(crate) struct Calling {
    /// Who is to answer by the reply word.
    callee: AtomicU64,
    /// The claim that `callee` is of.
    of: AtomicU64,
    /// The claim of the word whose reply may come from elsewhere.
    postponed: AtomicU64,
    /// There is something in `more`.
    has_more: AtomicU8,
    more: Mutex<More>,
}

#[derive(Default)]
struct More {
    /// Calls that have slots of their own.
    slots: Vec<(Callee, Weak<dyn Waits>)>,
    /// The cycle that the call of the word is part of, which is its answer.
    found: Option<CallCycle>,
}

/// The place of a reply that a process waits for, whatever its type.
pub(super) trait Waits: Send + Sync {
    /// Whether somebody waits, and for the callee.
    fn is_awaited(&self) -> bool;
    /// Answers whoever waits. It is to be woken then.
    fn fail(&self, failed: CallFailed) -> Option<Waker>;
}

impl Calling {
    /// The reply to the call of this claim may come from elsewhere.
    pub(super) fn postpone(&self, claim: Claim) {
        self.postponed.fetch_max(claim.number(), Ordering::Relaxed);
    }

    /// The handler is over: what it still waits for, it does not await.
    #[inline]
    pub(crate) fn over(&self) {
        if self.callee.load(Ordering::Relaxed) != 0 {
            self.callee.store(0, Ordering::Relaxed);
        }
        if self.has_more.load(Ordering::Relaxed) != 0 {
            self.has_more.store(0, Ordering::Relaxed);
            self.more.lock().slots.clear();
        }
    }

    /// Who is to answer the call of this claim, as long as its handler is not over; nobody, if that may come from elsewhere. If the
    /// word has another claim afterwards, this says nothing.
    fn callee_of(&self, claim: Claim) -> Option<Callee> {
        let is_noted = self.of.load(Ordering::Acquire) == claim.number();
        let callee = Callee(self.callee.load(Ordering::Acquire));
        let is_postponed = self.postponed.load(Ordering::Relaxed) == claim.number();
        Some(callee).filter(|callee| is_noted && !is_postponed && *callee != Callee::NONE)
    }

    /// The cycle that the call of the word is part of, as its answer says.
    pub(super) fn take_found(&self) -> CallFailed {
        self.more.lock().found.take().map_or(CallFailed::NoReply, CallFailed::Cycle)
    }
}

/// `process`, whose code runs here, begins to wait for the reply of `callee` by its word.
#[inline]
pub(super) fn awaits(process: &Header, callee: Callee, claim: Claim) {
    let extra = process.extra();
    let looks = callee != Callee::NONE && process.node().runtime().finds_call_cycles();
    if looks {
        note_handler(process);
    }
    extra.calling.callee.store(callee.0, Ordering::Relaxed);
    // Release: whoever finds this claim finds its callee, or one that came later, which the word tells.
    extra.calling.of.store(claim.number(), Ordering::Release);
    if looks {
        look_from(process, callee, || Some(Waiting::ByWord(claim)));
    }
}

/// `process`, whose code runs here, begins to wait for the reply of `callee` by a slot.
pub(super) fn awaits_by_slot(process: &Header, callee: Callee, slot: Weak<dyn Waits>) {
    if callee == Callee::NONE {
        return;
    }
    let looks = process.node().runtime().finds_call_cycles();
    if looks {
        note_handler(process);
    }
    let calling = &process.extra().calling;
    {
        let slots = &mut calling.more.lock().slots;
        if slots.len() == slots.capacity() {
            slots.retain(|(_, slot)| slot.upgrade().is_some_and(|slot| slot.is_awaited()));
        }
        slots.push((callee, slot.clone()));
    }
    calling.has_more.store(1, Ordering::Relaxed);
    if looks {
        look_from(process, callee, || slot.upgrade().map(Waiting::BySlot));
    }
}

/// Notes which handler waits, before others may see that it does.
fn note_handler(process: &Header) {
    turn::with_process(|running| {
        if let Some((turn, _)) = running {
            process.extra().handler.store(turn.handler(), Ordering::Relaxed);
        }
    });
}

/// Fails all calls of the cycle that `process` has closed with this call of `callee`, if it has.
#[cold]
fn look_from(process: &Header, callee: Callee, call: impl FnOnce() -> Option<Waiting>) {
    // Whoever closes the same cycle at this moment finds what was noted before this, or is found below.
    fence(Ordering::SeqCst);
    let Some(callee) = callee.on(process.node()).filter(|callee| may_lead_to(callee, process)) else { return };
    let target = process.pid();
    let closes = |_: &[Step], next: &Header| (next.pid() == target).then_some(0);
    let Some((mut links, call)) = links_from(callee, &mut HashSet::new(), closes).zip(call()) else { return };
    links.push(Link { process: AnyRef::of(process), call });
    if !stand(&links) {
        return;
    }
    let cycle = CallCycle::of(&links);
    process.lint(Lint::CallCycle(cycle.clone()));
    // All are answered before the first goes on: what that does then must not reach another before this.
    let answered: Vec<_> = links.into_iter().filter_map(|link| link.answer(&cycle)).collect();
    answered.into_iter().for_each(Answered::wake);
}

/// Whether all of these calls stood at one moment: that of the fence. They were found one after another, and each of them is made
/// once only.
fn stand(links: &[Link]) -> bool {
    fence(Ordering::SeqCst);
    links.iter().all(Link::stands)
}

/// Whether `process` may wait for `target`, by way of others. Most are called who wait for nobody: that is seen here, without
/// memory.
fn may_lead_to(process: &AnyRef, target: &Header) -> bool {
    /// How far it is looked.
    const FAR: usize = 16;

    let mut at = process.clone();
    for _ in 0..FAR {
        let Some(extra) = at.extra_if_any() else { return false };
        if extra.calling.has_more.load(Ordering::Relaxed) != 0 {
            return true;
        }
        let callee = extra.reply.awaited().and_then(|claim| extra.calling.callee_of(claim));
        match callee.and_then(|callee| callee.on(at.node())) {
            Some(callee) if callee.pid() == target.pid() => return true,
            Some(callee) => at = callee,
            None => return false,
        }
    }
    true
}

/// The cycles of calls on `node`, at this moment.
pub(crate) fn cycles_on(node: &Node) -> Vec<CallCycle> {
    let mut passed = HashSet::new();
    let processes = node.table().all().into_iter();
    let closes = |path: &[Step], next: &Header| path.iter().position(|step| step.link.process.pid() == next.pid());
    let cycles = processes.filter_map(|process| links_from(process, &mut passed, closes).filter(|links| stand(links)));
    cycles.map(|links| CallCycle::of(&links)).collect()
}

/// A process, and a call of its that waits for the next.
struct Link {
    process: AnyRef,
    call: Waiting,
}

enum Waiting {
    ByWord(Claim),
    BySlot(Arc<dyn Waits>),
}

impl Link {
    /// Whether the call still waits.
    fn stands(&self) -> bool {
        match &self.call {
            Waiting::BySlot(slot) => slot.is_awaited(),
            Waiting::ByWord(claim) => {
                let extra = self.process.extra();
                extra.calling.callee_of(*claim).is_some() && extra.reply.is_awaited(*claim)
            }
        }
    }

    /// Answers the call with the cycle, if it still waits.
    fn answer(self, cycle: &CallCycle) -> Option<Answered> {
        match self.call {
            Waiting::BySlot(slot) => Some(Answered::BySlot(slot.fail(CallFailed::Cycle(cycle.clone())))),
            Waiting::ByWord(claim) => {
                let writing = self.process.extra().reply.begin_write(claim)?;
                self.process.extra().calling.more.lock().found = Some(cycle.clone());
                Some(Answered::ByWord { process: self.process, claim, writing })
            }
        }
    }
}

/// A call that has its answer, and does not know it yet.
enum Answered {
    ByWord { process: AnyRef, claim: Claim, writing: Writing },
    BySlot(Option<Waker>),
}

impl Answered {
    fn wake(self) {
        match self {
            Self::ByWord { process, claim, writing } => super::end_answer(&process, claim, writing, super::IN_A_CYCLE),
            Self::BySlot(waker) => {
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        }
    }
}

/// The calls that `process` waits for, and of whom.
fn calls_of(process: &Header) -> Vec<(AnyRef, Waiting)> {
    let Some(extra) = process.extra_if_any() else { return Vec::new() };
    let (calling, node) = (&extra.calling, process.node());
    let mut calls = Vec::new();
    if let Some(claim) = extra.reply.awaited() {
        let callee = calling.callee_of(claim);
        // Of the same call: the word was not free meanwhile.
        if extra.reply.awaited() == Some(claim) {
            let callee = callee.and_then(|callee| callee.on(node));
            calls.extend(callee.map(|callee| (callee, Waiting::ByWord(claim))));
        }
    }
    if calling.has_more.load(Ordering::Relaxed) != 0 {
        for (callee, slot) in &calling.more.lock().slots {
            let slot = slot.upgrade().filter(|slot| slot.is_awaited());
            calls.extend(callee.on(node).zip(slot.map(Waiting::BySlot)));
        }
    }
    calls
}

/// A call on the way from process to process, and the calls of the same process that were not followed.
struct Step {
    link: Link,
    others: Vec<(AnyRef, Waiting)>,
}

/// The calls that lead from `start` to a process that closes what is looked for: `closes` says with which step of the way that
/// begins. Processes that were passed before are not looked at again.
fn links_from(
    start: AnyRef,
    passed: &mut HashSet<Pid>,
    closes: impl Fn(&[Step], &Header) -> Option<usize>,
) -> Option<Vec<Link>> {
    let mut path: Vec<Step> = Vec::new();
    let mut others = if passed.insert(start.pid()) { calls_of(&start) } else { Vec::new() };
    let mut at = start;
    loop {
        match others.pop() {
            Some((callee, call)) => {
                path.push(Step { link: Link { process: at, call }, others });
                if let Some(from) = closes(&path, &callee) {
                    return Some(path.drain(from..).map(|step| step.link).collect());
                }
                others = if passed.insert(callee.pid()) { calls_of(&callee) } else { Vec::new() };
                at = callee;
            }
            None => Step { link: Link { process: at, .. }, others } = path.pop()?,
        }
    }
}
