//! Receiving: what acts when the process next has a turn, however many messages lie before it.
#![expect(unsafe_code, reason = "the owner looks through its mailbox")]

use std::any::Any;
use std::collections::VecDeque;

use super::bound::Bound;
use super::cell::Body;
use super::control::{ByAlias, Effect};
use super::header::Header;
use super::reference::InTurn;
use super::turn::Turn;
use crate::dead_letters::DeadLetter;
use crate::exit::ExitReason;
use crate::inspect::{ProcessInfo, activity_of};
use crate::machine::{self, Event};
use crate::mailbox::{Becomes, Notice, Position, Special, Taken, Walked};
use crate::signal::{MonitorRef, Request, Signal};

/// Receives all that is in the mailbox to be received, in order. Says how far it came, or the reason if
/// something of it ends the process.
///
/// # Safety
/// The caller is the owner.
pub(super) unsafe fn receive<M: Send + 'static, B: Body<M>>(
    local: InTurn<M>,
    turn: &Turn<'_>,
) -> Result<Walked, ExitReason> {
    let header = local.header();
    // SAFETY: the caller's promise. A copy: the mailbox is walked with it while others look at the rest.
    let mut from = unsafe { header.owned() }.received;
    let receive = |special| match special {
        Special::Notice(Notice::Signal(signal)) => {
            let effect = header.extra().control.lock().receive(header.pid(), signal);
            act(header, effect)
        }
        Special::Notice(Notice::Group(event)) => {
            let effect = header.extra().control.lock().receive_group(event);
            act(header, effect)
        }
        Special::Notice(Notice::Inspect(reply)) => {
            // SAFETY: the caller's promise.
            reply.answer(unsafe { inspect::<M, B>(local, turn) });
            Ok(Becomes::Nothing)
        }
        Special::Notice(Notice::Info(info)) => Ok(Becomes::Taken(Taken::Info(info))),
        Special::Notice(Notice::Request(request)) => Ok(Becomes::Taken(Taken::Request(request))),
        Special::Notice(Notice::Timeout(timeout)) => Ok(Becomes::Taken(Taken::Timeout(timeout))),
        // SAFETY: the caller's promise.
        Special::ByAlias { number, message, urgent } => Ok(unsafe { by_alias(header, number, message, urgent) }),
        Special::Apart(_) | Special::Ticket(_) => unreachable!("what is taken is not received"),
    };
    // SAFETY: the caller's promise; `received` was held in every call since its last walk.
    let walked = unsafe { local.mailbox().receive(&mut from, turn.memory(), receive) };
    // SAFETY: as above.
    unsafe { header.owned() }.received = if walked.is_ok() { from } else { Position::HEAD };
    walked
}

/// Does what was received. `Control` is not locked.
fn act<M: Send + 'static>(header: &Header, effect: Effect) -> Result<Becomes<M>, ExitReason> {
    Ok(match effect {
        Effect::Nothing => Becomes::Nothing,
        Effect::Answer(to, answer) => {
            header.node().signal(to, answer);
            Becomes::Nothing
        }
        Effect::Tell(info) => Becomes::Taken(Taken::Info(info)),
        Effect::TellTo(told, reason) => {
            told.ended(reason);
            Becomes::Nothing
        }
        Effect::TellAs(make, down) => match make(down).downcast::<M>() {
            Ok(message) => Becomes::Taken(Taken::Message(*message)),
            Err(_) => unreachable!("a tag makes messages of its own process"),
        },
        Effect::Stop(reason) => Becomes::Taken(Taken::Request(Request::Stop(reason))),
        Effect::End(reason) => return Err(reason),
    })
}

/// # Safety
/// The caller is the owner.
unsafe fn by_alias<M: Send + 'static>(header: &Header, number: u64, message: M, urgent: bool) -> Becomes<M> {
    let by_alias = header.extra().control.lock().receive_by_alias(number);
    match by_alias {
        ByAlias::Dropped => {
            header.node().count_dead_letter_to(DeadLetter::Expired, header.pid());
            return Becomes::Nothing;
        }
        ByAlias::Taken => {}
        ByAlias::TakenWithMonitor(number) => demonitor(header, number),
    }
    if urgent {
        // SAFETY: the caller's promise.
        unsafe { ahead::<M>(header) }.urgent.push_back(message);
        return Becomes::Nothing;
    }
    Becomes::Taken(Taken::Message(message))
}

/// Takes a monitor back: no `Down` comes any more.
pub(super) fn demonitor(header: &Header, number: u64) {
    let monitor = header.extra().control.lock().remove_monitor(number);
    if let Some(pid) = monitor.and_then(|monitor| monitor.pid) {
        let reference = MonitorRef { owner: header.pid(), number };
        header.node().signal(pid, Signal::Demonitor { reference });
    }
}

/// What is read before all that is in the mailbox.
struct Ahead<M> {
    /// What an actor goes on with; before what is urgent.
    continued: VecDeque<Event<M>>,
    /// What came with priority.
    urgent: VecDeque<M>,
}

impl<M> Ahead<M> {
    fn is_empty(&self) -> bool {
        self.continued.is_empty() && self.urgent.is_empty()
    }
}

/// What is read before all that is in the mailbox.
///
/// # Safety
/// The caller is the owner, and holds no other reference to it.
#[expect(clippy::mut_from_ref, reason = "the owner is alone; see Safety")]
unsafe fn ahead<M: Send + 'static>(header: &Header) -> &mut Ahead<M> {
    let none = || Box::new(Ahead::<M> { continued: VecDeque::new(), urgent: VecDeque::new() });
    // SAFETY: the caller's promise.
    let ahead = unsafe { header.owned() }.ahead.get_or_insert_with(|| none());
    let ahead: &mut dyn Any = &mut **ahead;
    match ahead.downcast_mut() {
        Some(ahead) => ahead,
        None => unreachable!("a process has one type of messages"),
    }
}

/// The process goes on with `event`, after what it goes on with already.
///
/// # Safety
/// The caller is the owner, of a process that takes such messages.
pub(super) unsafe fn go_on_with<M: Send + 'static>(header: &Header, event: Event<M>) {
    // SAFETY: the caller's promise.
    unsafe { ahead::<M>(header) }.continued.push_back(event);
}

/// How much there is that the process goes on with.
///
/// # Safety
/// The caller is the owner, of a process that takes such messages, and holds no reference to it.
#[inline]
pub(super) unsafe fn waiting_ahead<M: Send + 'static>(header: &Header) -> usize {
    // SAFETY: the caller's promise, here and below.
    unsafe { if has_ahead(header) { ahead::<M>(header).continued.len() } else { 0 } }
}

/// Puts what the process goes on with since so much was `waiting`, and then what is `retried`, before that.
///
/// # Safety
/// As for [`waiting_ahead`].
pub(super) unsafe fn put_first<M: Send + 'static>(header: &Header, waiting: usize, retried: VecDeque<Event<M>>) {
    // SAFETY: the caller's promise.
    machine::put_first(unsafe { &mut ahead::<M>(header).continued }, waiting, retried);
}

/// Messages of which some were looked at; those are put back, also if `wants` panics.
struct Looked<'a, M> {
    kept: VecDeque<M>,
    urgent: &'a mut VecDeque<M>,
}

impl<M> Drop for Looked<'_, M> {
    fn drop(&mut self) {
        self.kept.append(self.urgent);
        std::mem::swap(&mut self.kept, self.urgent);
    }
}

/// Whether there is something to do for the process: a message, or what was noted for it.
///
/// # Safety
/// The caller is the owner.
#[cold]
pub(super) unsafe fn has_more(header: &Header) -> bool {
    // SAFETY: the caller's promise.
    header.mailbox_len() > 0 || header.state.has_notes() || unsafe { has_ahead(header) }
}

/// Whether there is something that is read before all that is in the mailbox.
///
/// # Safety
/// The caller is the owner.
#[inline]
pub(super) unsafe fn has_ahead(header: &Header) -> bool {
    // SAFETY: the caller's promise.
    unsafe { header.owned_if_any() }.is_some_and(|owned| owned.ahead.is_some())
}

/// Takes the first of what is read before all that is in the mailbox.
///
/// # Safety
/// The caller is the owner.
pub(super) unsafe fn take_ahead<M: Send + 'static>(header: &Header) -> Option<Event<M>> {
    // SAFETY: the caller's promise, here and below.
    unsafe {
        header.owned_if_any()?.ahead.as_ref()?;
        let ahead = ahead::<M>(header);
        let first = ahead.continued.pop_front().or_else(|| ahead.urgent.pop_front().map(Event::Message));
        forget_ahead::<M>(header);
        first
    }
}

/// Keeps no place for what there is not.
///
/// # Safety
/// The caller is the owner.
unsafe fn forget_ahead<M: Send + 'static>(header: &Header) {
    // SAFETY: the caller's promise.
    unsafe {
        if ahead::<M>(header).is_empty() {
            header.owned().ahead = None;
        }
    }
}

/// Takes the first of the urgent messages for which `wants` has a use.
///
/// # Safety
/// The caller is the owner.
pub(super) unsafe fn take_urgent<M: Send + 'static, T>(
    header: &Header,
    mut wants: impl FnMut(M) -> Result<T, M>,
) -> Option<T> {
    // SAFETY: the caller's promise.
    unsafe { header.owned_if_any() }?.ahead.as_ref()?;
    // SAFETY: as above.
    let urgent = unsafe { &mut ahead::<M>(header).urgent };
    let mut found = None;
    {
        let mut looked = Looked { kept: VecDeque::new(), urgent };
        while let Some(message) = looked.urgent.pop_front() {
            match wants(message) {
                Ok(value) => {
                    found = Some(value);
                    break;
                }
                Err(message) => looked.kept.push_back(message),
            }
        }
    }
    // SAFETY: as above.
    unsafe { forget_ahead::<M>(header) };
    found
}

/// What there is to know of the process, for somebody who asked it.
///
/// # Safety
/// The caller is the owner, and is between two pieces of the process's code.
pub(super) unsafe fn inspect<M: Send + 'static, B: Body<M>>(local: InTurn<M>, turn: &Turn<'_>) -> ProcessInfo {
    let header = local.header();
    turn.account(header);
    let mut info = ProcessInfo::of(header);
    let mut messages = Vec::new();
    // SAFETY: the caller's promise.
    unsafe { see_messages(local, |message| messages.push(B::describe(message).to_owned())) };
    info.status = B::status(header, messages.len()).of_resting(header);
    (info.activity, info.since) = activity_of(header, B::activity(header));
    info.mailbox_len = messages.len();
    info.messages = messages;
    info
}

/// Shows all messages that the process has not taken, in the order in which it would.
///
/// # Safety
/// The caller is the owner.
pub(super) unsafe fn see_messages<M: Send + 'static>(local: InTurn<M>, mut see: impl FnMut(&M)) {
    let header = local.header();
    // SAFETY: the caller's promise.
    unsafe {
        if has_ahead(header) {
            let ahead = ahead::<M>(header);
            let continued = ahead.continued.iter().filter_map(|event| match event {
                Event::Message(message) => Some(message),
                Event::Info(_) => None,
            });
            continued.chain(&ahead.urgent).for_each(&mut see);
        }
        local.mailbox().look(&mut see);
    }
    if let Some(shelf) = header.bound().and_then(Bound::shelf::<M>) {
        shelf.look(see);
    }
}
