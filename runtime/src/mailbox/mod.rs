//! Where everything that is sent to a process waits, in order of arrival.
//!
//! ```text
//!   senders (any thread)                                  owner (one worker at a time)
//!   push(message) ─┐                                 ┌──▶ next()              the first, for actors
//!   push_special() ┴──▶ queue.rs ───────────────────┴──▶ walk(), wait_at()   selective receive
//!                       one intake, no lock          └──▶ receive()           signals, wherever they are
//! ```
//!
//! A message lies in its place as it is. Everything else is a [`Special`] in memory of its own. Of these,
//! infos and requests wait for their turn among the messages; the others are *received*: they act at the
//! owner's next turn, however many messages lie before them, and nothing behind one is taken before it.
//!
//! # Not here
//! The mailbox never schedules its owner. It answers [`Pushed`], and the sender acts on it.
#![expect(unsafe_code, reason = "a place holds a message or a parcel, and its kind says which")]

mod parcel;
mod queue;
mod shelf;
#[cfg(test)]
mod tests;

use std::mem::{ManuallyDrop, MaybeUninit};
use std::sync::Arc;

use parcel::{Emptied, Parcel};
pub(crate) use queue::{Back, Before, Front, Held, Position, Pushed, Walked};
use queue::{Kind, Look, Queue, Visit};
pub(crate) use shelf::{Shelf, Shelved};

use crate::ReplyTo;
use crate::groups::GroupEvent;
use crate::inspect::ProcessInfo;
use crate::machine::Timeout;
use crate::memory::{Memory, relocate};
use crate::signal::{Info, Request, Signal};

/// The intake of one process.
pub(crate) struct Mailbox<'a, M>(Queue<'a, Place<M>>);

/// What is in a place: its kind says which.
union Place<M> {
    /// `Kind::ORDINARY`.
    message: ManuallyDrop<M>,
    /// All other kinds.
    special: ManuallyDrop<Parcel<M>>,
}

/// What may be sent beside a message.
pub(crate) enum Special<M> {
    /// What does not depend on the type of messages.
    Notice(Notice),
    /// A message that came by an alias, which must still stand when it is received.
    ByAlias {
        /// Which alias.
        number: u64,
        /// The message.
        message: M,
        /// Whether it is read before all that came the ordinary way.
        urgent: bool,
    },
    /// A message that does not count where messages are limited.
    Apart(M),
    /// It is the turn of a message that is on the shelf.
    Ticket(Arc<Shelf<M>>),
}

impl<M> Special<M> {
    /// This, as the owner takes it out; it waited for its turn among the messages. A ticket may lead to nothing.
    #[cold]
    pub(crate) fn into_taken(self) -> Option<Taken<M>> {
        Some(match self {
            Self::Notice(Notice::Info(info)) => Taken::Info(info),
            Self::Notice(Notice::Request(request)) => Taken::Request(request),
            Self::Notice(Notice::Timeout(timeout)) => Taken::Timeout(timeout),
            Self::Apart(message) => Taken::Message(message),
            Self::Ticket(shelf) => Taken::Message(shelf.take()?),
            Self::Notice(_) | Self::ByAlias { .. } => unreachable!("what is received is not taken"),
        })
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Notice(notice) => notice.kind(),
            Self::ByAlias { .. } => Kind::URGENT,
            Self::Apart(_) | Self::Ticket(_) => Kind::APART,
        }
    }

    /// Whether it is received rather than taken.
    pub(crate) fn is_received(&self) -> bool {
        self.kind() == Kind::URGENT
    }
}

/// What may be sent to any process, whatever its messages.
pub(crate) enum Notice {
    /// Acts when it is received.
    Signal(Signal),
    /// A question that is answered when it is received.
    Inspect(ReplyTo<ProcessInfo>),
    /// A change of a group, told if its monitor still stands when it is received.
    Group(GroupEvent),
    /// Waits for its turn, and is then handled.
    Info(Info),
    /// Waits for its turn, and is then done by the engine.
    Request(Request),
    /// Waits for its turn, and is then done by the process's state machine.
    Timeout(Timeout),
}

impl Notice {
    fn kind(&self) -> Kind {
        match self {
            Self::Signal(_) | Self::Inspect(_) | Self::Group(_) => Kind::URGENT,
            Self::Info(_) | Self::Request(_) | Self::Timeout(_) => Kind::SYSTEM,
        }
    }
}

/// What the owner takes out. Public for the types of receives, and not reachable by name.
pub enum Taken<M> {
    /// A message.
    Message(M),
    /// Something of ours that is handled like one.
    Info(Info),
    /// Something that the engine does.
    Request(Request),
    /// What a timer says to a state machine.
    Timeout(Timeout),
}

/// What is next for the owner.
pub(crate) enum Next<M> {
    /// A message. It has been taken out and lies where this points to: who asked reads it, once, before it
    /// asks anything else of the mailbox. So a message is moved once, to where it is handled.
    Message(*const M),
    /// Something of ours; it has been taken out.
    Special(Parcel<M>),
    /// Something that must be received first.
    ReceiveFirst,
    /// Nothing.
    Empty,
    /// A sender is about to write it. Try again later.
    NotYet,
}

/// What comes of a look at the first.
pub(crate) enum First<T> {
    /// It is wanted.
    Taken(T),
    /// There is nothing.
    Empty,
    /// It is no message, or is not wanted, or not yet written: it takes a walk.
    Other,
}

/// What becomes of something that was received.
pub(crate) enum Becomes<M> {
    /// It is done.
    Nothing,
    /// It takes its place among the messages.
    Taken(Taken<M>),
}

impl<M> Clone for Mailbox<'_, M> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Mailbox<'_, M> {}

impl<'a, M> Mailbox<'a, M> {
    /// The mailbox that has these parts.
    ///
    /// # Safety
    /// They are the parts of one mailbox, and its messages are of this type.
    #[inline]
    pub(crate) unsafe fn of(back: &'a Back, front: &'a Front, before: &'a Before) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { Queue::of(back, front, before) })
    }

    /// Puts the message at `message` at the back. It is moved to its place and not before: a message that
    /// was made just now costs as much to move as a locked instruction.
    ///
    /// # Safety
    /// There is a message. It is not the caller's any more, unless the mailbox is closed.
    #[inline]
    pub(crate) unsafe fn push(self, message: *const M, memory: &impl Memory) -> Pushed<()> {
        // SAFETY: the caller's promise: it is read once.
        let write = |place: *mut MaybeUninit<Place<M>>| unsafe {
            relocate(message, (&raw mut (*place.cast::<Place<M>>()).message).cast::<M>());
        };
        // SAFETY: that writes the place.
        unsafe { self.0.push_with(Kind::ORDINARY, write, memory) }
    }

    /// Puts something else at the back.
    pub(crate) fn push_special(self, special: Special<M>, memory: &impl Memory) -> Pushed<Special<M>> {
        let kind = special.kind();
        let pushed = self.0.push(kind, Place { special: ManuallyDrop::new(Parcel::of(special, memory)) }, memory);
        // SAFETY: what is handed back is what was pushed.
        pushed.map_closed(|place| ManuallyDrop::into_inner(unsafe { place.special }).open(memory))
    }

    /// About how many wait.
    pub(crate) fn len(self) -> usize {
        self.0.len()
    }

    /// About how many bytes its blocks take.
    pub(crate) fn bytes(self) -> usize {
        self.0.bytes()
    }
}

/// For the owner alone: each of these methods asks that nobody else calls one of them meanwhile.
impl<M> Mailbox<'_, M> {
    /// Takes the first.
    ///
    /// # Safety
    /// The caller is the owner.
    #[inline]
    pub(crate) unsafe fn next<'p>(self, memory: &impl Memory, held: impl Fn() -> Held<'p>) -> Next<M> {
        // SAFETY: the caller's promise.
        match unsafe { self.0.pop(memory, held) } {
            // SAFETY: the place is there until the queue is called again. Its kind says what is in it.
            Look::Value(Kind::ORDINARY, place) => Next::Message(unsafe { &raw const (*place).message }.cast()),
            // SAFETY: the place is read once, and its kind says that a parcel is in it.
            Look::Value(_, place) => Next::Special(ManuallyDrop::into_inner(unsafe { place.read().special })),
            Look::Urgent => Next::ReceiveFirst,
            Look::End => Next::Empty,
            Look::Hole => Next::NotYet,
        }
    }

    /// Moves the head over what was taken out of order. To be called before a take from the head.
    ///
    /// # Safety
    /// The caller is the owner.
    #[inline]
    pub(crate) unsafe fn trim<'p>(self, memory: &impl Memory, held: impl Fn() -> Held<'p>) {
        // SAFETY: the caller's promise.
        unsafe { self.0.trim(memory, held) };
    }

    /// Takes the first, if that is a message which `wants` turns into something. Most are. A walk need not look at
    /// a message that is not: `position` is behind it then.
    ///
    /// # Safety
    /// The caller is the owner.
    #[inline]
    pub(crate) unsafe fn take_first<'p, T>(
        self,
        position: &mut Position,
        memory: &impl Memory,
        held: impl Fn() -> Held<'p>,
        wants: impl FnOnce(Taken<M>) -> Result<T, Taken<M>>,
    ) -> First<T> {
        // SAFETY: the caller's promise. A value that was popped is read once, by its kind, and is nobody's
        // until it is put back.
        unsafe {
            match self.0.pop(memory, held) {
                Look::Value(Kind::ORDINARY, place) => {
                    let message: *const M = (&raw const (*place).message).cast();
                    match wants(Taken::Message(message.read())) {
                        Ok(taken) => First::Taken(taken),
                        Err(Taken::Message(message)) => {
                            *position = self.0.unpop(Place { message: ManuallyDrop::new(message) });
                            First::Other
                        }
                        Err(_) => unreachable!("what is handed back is what was given"),
                    }
                }
                Look::Value(_, place) => {
                    let _ = self.0.unpop(place.read());
                    First::Other
                }
                Look::End => First::Empty,
                Look::Urgent | Look::Hole => First::Other,
            }
        }
    }

    /// Takes the first, from `from` on, that `wants` turns into something; what it hands back stays. With it comes whether
    /// it was a message that counts. `Err` says how the walk ended without.
    ///
    /// # Safety
    /// The caller is the owner; `from` was held in every call since its last walk.
    pub(crate) unsafe fn take<T>(
        self,
        from: &mut Position,
        memory: &impl Memory,
        wants: impl FnMut(Taken<M>) -> Result<T, Taken<M>>,
    ) -> Result<(T, bool), Walked> {
        // SAFETY: the caller's promise.
        unsafe { self.take_among(from, memory, |_| true, wants) }
    }

    /// Takes the first request, from `from` on. Messages stay where they are, and as they are.
    ///
    /// # Safety
    /// As for [`take`](Self::take).
    pub(crate) unsafe fn take_request(self, from: &mut Position, memory: &impl Memory) -> Result<Request, Walked> {
        let wants = |taken| match taken {
            Taken::Request(request) => Ok(request),
            other => Err(other),
        };
        // SAFETY: the caller's promise.
        unsafe { self.take_among(from, memory, |kind| kind == Kind::SYSTEM, wants) }.map(|(request, _)| request)
    }

    /// As [`take`](Self::take), of what is `among` those that are looked at.
    ///
    /// # Safety
    /// As for [`take`](Self::take).
    unsafe fn take_among<T>(
        self,
        from: &mut Position,
        memory: &impl Memory,
        among: impl Fn(Kind) -> bool,
        mut wants: impl FnMut(Taken<M>) -> Result<T, Taken<M>>,
    ) -> Result<(T, bool), Walked> {
        let mut found = None;
        let visit = |kind: Kind, place: &mut MaybeUninit<Place<M>>| {
            if kind == Kind::URGENT {
                return Visit::Stop;
            }
            if !among(kind) {
                return Visit::Keep(kind);
            }
            // SAFETY: the place is written, and the kind says with what. It counts as used up until it is
            // written again below.
            let value = unsafe { place.assume_init_read() };
            let (value, emptied) = if kind == Kind::ORDINARY {
                // SAFETY: as above.
                (Taken::Message(ManuallyDrop::into_inner(unsafe { value.message })), None)
            } else {
                // SAFETY: as above.
                let (special, emptied) = ManuallyDrop::into_inner(unsafe { value.special }).empty(memory);
                let Some(taken) = special.into_taken() else { return Visit::Take };
                (taken, Some(emptied))
            };
            match wants(value) {
                Ok(value) => {
                    found = Some((value, kind == Kind::ORDINARY));
                    Visit::TakeLast
                }
                Err(value) => Visit::Keep(put(value, emptied, place)),
            }
        };
        // SAFETY: the caller's promise.
        let walked = unsafe { self.0.walk(from, visit) };
        found.ok_or(walked)
    }

    /// Receives what must be received, from `from` on: `receive` says what becomes of each; it may say
    /// that it is the last.
    ///
    /// # Safety
    /// As for [`take`](Self::take). `receive` may look at the mailbox with [`look`](Self::look).
    pub(crate) unsafe fn receive<E>(
        self,
        from: &mut Position,
        memory: &impl Memory,
        mut receive: impl FnMut(Special<M>) -> Result<Becomes<M>, E>,
    ) -> Result<Walked, E> {
        let mut last = None;
        let visit = |kind: Kind, place: &mut MaybeUninit<Place<M>>| {
            if kind != Kind::URGENT {
                return Visit::Keep(kind);
            }
            // SAFETY: the place is written, and the kind says with a parcel. It counts as used up until it is
            // written again below.
            let (special, emptied) =
                ManuallyDrop::into_inner(unsafe { place.assume_init_read().special }).empty(memory);
            match receive(special) {
                Ok(Becomes::Nothing) => Visit::Take,
                Ok(Becomes::Taken(value)) => Visit::Keep(put(value, Some(emptied), place)),
                Err(end) => {
                    last = Some(end);
                    Visit::TakeLast
                }
            }
        };
        // SAFETY: the caller's promise.
        let walked = unsafe { self.0.walk(from, visit) };
        match last {
            Some(end) => Err(end),
            None => Ok(walked),
        }
    }

    /// Shows all messages that wait, in order.
    ///
    /// # Safety
    /// The caller is the owner.
    pub(crate) unsafe fn look(self, mut see: impl FnMut(&M)) {
        let mut from = Position::HEAD;
        let visit = |kind: Kind, place: &mut MaybeUninit<Place<M>>| {
            // SAFETY: the place is written, and the kind says with what.
            unsafe {
                match kind {
                    Kind::ORDINARY => see(&place.assume_init_ref().message),
                    Kind::APART => {
                        if let Special::Apart(message) = place.assume_init_ref().special.get() {
                            see(message);
                        }
                    }
                    _ => {}
                }
            }
            Visit::Keep(kind)
        };
        // SAFETY: the caller's promise.
        let _ = unsafe { self.0.walk(&mut from, visit) };
    }

    /// Says that the owner waits for anything, if there is nothing.
    ///
    /// # Safety
    /// The caller is the owner, and no longer if this returns true.
    #[inline]
    pub(crate) unsafe fn wait_empty<'p>(self, memory: &impl Memory, held: impl FnOnce() -> Held<'p>) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.0.wait_empty(false, memory, held) }
    }

    /// Says that the owner waits, parked, for what comes behind `at`. It stays the owner.
    ///
    /// # Safety
    /// The caller is the owner; a [`take`](Self::take) has ended at `at` with [`Walked::End`]. That the
    /// owner is woken, and not scheduled, is what makes it stay the owner until it is parked.
    pub(crate) unsafe fn wait_at<'p>(self, at: Position, memory: &impl Memory, held: impl Fn() -> Held<'p>) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.0.wait_at(at, memory, held) }
    }

    /// Whether `position` is in another block than the head.
    pub(crate) fn is_behind(self, position: &Position) -> bool {
        self.0.is_behind(position)
    }

    /// Gives memory back behind messages that nobody has taken.
    ///
    /// # Safety
    /// The caller is the owner.
    pub(crate) unsafe fn sweep(self, memory: &impl Memory, held: &mut Held<'_>) {
        // SAFETY: the caller's promise.
        unsafe { self.0.sweep(memory, held) }
    }

    /// Refuses everything from now on, and hands over what is left.
    ///
    /// # Safety
    /// The caller is the owner, now and for ever.
    pub(crate) unsafe fn close(self, memory: &impl Memory, mut left: impl FnMut(Result<M, Special<M>>)) {
        let take = |kind: Kind, place: Place<M>| {
            left(match kind {
                // SAFETY: the kind says what is in the place.
                Kind::ORDINARY => Ok(ManuallyDrop::into_inner(unsafe { place.message })),
                // SAFETY: as above.
                _ => Err(ManuallyDrop::into_inner(unsafe { place.special }).open(memory)),
            });
        };
        // SAFETY: the caller's promise.
        unsafe { self.0.close(memory, take) }
    }
}

/// Writes `value` into `place`; returns its kind. What is no message came in a parcel, of which this is the
/// memory.
fn put<M, A: Memory>(value: Taken<M>, emptied: Option<Emptied<'_, M, A>>, place: &mut MaybeUninit<Place<M>>) -> Kind {
    let special = match (value, &emptied) {
        (Taken::Message(message), None) => {
            place.write(Place { message: ManuallyDrop::new(message) });
            return Kind::ORDINARY;
        }
        // It came in another way than most, and does not count.
        (Taken::Message(message), Some(_)) => Special::Apart(message),
        (Taken::Info(info), _) => Special::Notice(Notice::Info(info)),
        (Taken::Request(request), _) => Special::Notice(Notice::Request(request)),
        (Taken::Timeout(timeout), _) => Special::Notice(Notice::Timeout(timeout)),
    };
    let Some(emptied) = emptied else { unreachable!("what is handed back is what was given") };
    let kind = special.kind();
    place.write(Place { special: ManuallyDrop::new(emptied.fill(special)) });
    kind
}
