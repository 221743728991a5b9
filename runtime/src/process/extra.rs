//! What a process needs seldom: made when it is first needed.
#![expect(unsafe_code, reason = "a part of it is the owner's, without a lock")]

use std::alloc::Layout;
use std::any::Any;
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::task::Waker;

use parking_lot::Mutex;

use super::bound::{Bound, Stall};
use super::control::Control;
use super::silence::Silence;
use super::teardown::Farewell;
use super::turn;
use crate::call::{Calling, ReplyWord};
use crate::clock::AtomicMoment;
use crate::exit::Ending;
use crate::machine::Machinery;
use crate::mailbox::Position;
use crate::memory::Memory;
use crate::node::Node;
use crate::report::Last;
use crate::scheduler::Home;
use crate::spec::Launching;
use crate::sync::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64};
use crate::timer::TimerRef;

/// What a process needs seldom.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) control: Mutex<Control>,
    pub(crate) reply: ReplyWord,
    /// Where the reply goes, or the box that it came in.
    pub(crate) place: AtomicPtr<()>,
    /// In which way it came.
    pub(crate) answer: AtomicU8,
    /// The moment when the process is to be woken to see to its deadlines.
    pub(crate) alarm: AtomicMoment,
    /// The timer of that.
    pub(super) alarm_timer: Mutex<Option<TimerRef>>,
    /// Whom it waits for.
    pub(crate) calling: Calling,
    /// Who awaits the reply, if that is not the process itself.
    pub(crate) waiter: Mutex<Option<Waker>>,
    /// Where it has all its turns, if it has a thread of its own.
    pub(super) home: Option<Home>,
    /// How many messages may be in the mailbox, if that is limited.
    pub(super) bound: Option<Box<Bound>>,
    /// The most messages that waited, as far as it was noted.
    pub(super) high_water: AtomicU64,
    /// Which lints were told of it.
    pub(super) linted: AtomicU8,
    /// [`SUSPENDED`], [`HIBERNATING`], which the owner writes, and [`TOLD`].
    pub(super) rest: AtomicU8,
    /// Whose mailbox has no room for what it has sent.
    pub(super) stall: Mutex<Option<Box<Stall>>>,
    pub(super) reductions_high: AtomicU32,
    /// The number of the handler that awaits something, and since when it does. The owner writes them.
    pub(crate) handler: AtomicU32,
    pub(crate) awaits_since: AtomicMoment,
    /// Messages that it has taken and sent while they were counted.
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
    /// Since when they are counted.
    pub(super) counted_since: AtomicMoment,
    /// How often its supervisor has started it again.
    pub(super) restarts: u64,
    pub(super) owned: UnsafeCell<Owned>,
}

/// In `rest`: it was asked to handle no messages.
pub(super) const SUSPENDED: u8 = 1;
/// In `rest`: it has given back what it could, and waits.
pub(super) const HIBERNATING: u8 = 2;

/// In `rest`: whoever listens is told what it does. Anybody may write it.
pub(super) const TOLD: u8 = 4;

/// The span of a process.
pub(crate) struct Logged {
    pub(crate) span: tracing::Span,
    /// Whether the span has the process's name.
    pub(crate) has_name: bool,
}

/// The part of [`Extra`] that only the owner touches.
#[derive(Default)]
pub(crate) struct Owned {
    /// Up to where the mailbox has been looked through for what must be received.
    pub(crate) received: Position,
    /// Messages that are read before all others.
    pub(crate) ahead: Option<Box<dyn Any + Send>>,
    /// What it has beside its state, if it is a state machine.
    pub(super) machine: Option<Box<dyn Machinery>>,
    /// What it does when nothing comes, if that was asked for.
    pub(super) silence: Option<Box<Silence>>,
    /// What its code logs is logged within, once somebody listens.
    pub(crate) logged: Option<Box<Logged>>,
    /// Why it is to end after the handler that it awaits, by way of `terminate`.
    pub(crate) stopping: Option<Ending>,
    /// What is still to be settled of its start.
    pub(crate) launching: Option<Box<Launching>>,
    /// Its end is reported by somebody else.
    pub(crate) quiet: bool,
    /// What it was at when it came to its end, if that was its own doing.
    pub(crate) last: Option<Box<Last>>,
    /// Who must still be told of its end.
    pub(super) farewell: Option<Box<Farewell>>,
    /// How much a straight-line process has taken from behind messages that stay, since the last sweep.
    pub(crate) taken_from_behind: usize,
}

impl Extra {
    /// Moves it to where it stays.
    pub(crate) fn place(self, node: &Node) -> *mut Self {
        turn::with_worker_of(node, |worker| {
            let place = turn::stock(worker, node).allocate(Layout::new::<Self>()).cast::<Self>();
            // SAFETY: the memory has this layout, and is nobody else's.
            unsafe { place.write(self) };
            place.as_ptr()
        })
    }

    /// # Safety
    /// It was placed for a cell of the same node, and nobody refers to it.
    pub(super) unsafe fn free(place: NonNull<Self>, node: &Node) {
        // SAFETY: the caller's promise.
        unsafe {
            place.drop_in_place();
            turn::with_worker_of(node, |worker| {
                turn::stock(worker, node).release(place.cast(), Layout::new::<Self>());
            });
        }
    }
}

// SAFETY: `owned` is touched by the owner only; all else is Sync by itself. What it holds is Send.
unsafe impl Sync for Extra {}
// SAFETY: as above.
unsafe impl Send for Extra {}
