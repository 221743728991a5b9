//! What code can ask without being told: which process it runs in.
//!
//! A worker's turns are the answer ([`process::turn`](crate::process::turn)). It is what makes `spawn(…)`
//! work without a node in the hand, and what links a crash's report to the panic. Nothing of it lives
//! longer than a turn.

#![expect(unsafe_code, reason = "what is abandoned is reached through a thread-local pointer")]

use std::cell::{Cell, RefCell};

use crate::call::CallFailed;
use crate::exit::ExitReason;
use crate::node::Node;
use crate::panics;
use crate::pid::Pid;
use crate::process::turn::with_process;

thread_local! {
    static DECODING: RefCell<Option<Node>> = const { RefCell::new(None) };
    static COMES_THROUGH: Cell<bool> = const { Cell::new(false) };
    static ABANDONING: Cell<Abandoning> = const { Cell::new(Abandoning::Nothing) };
}

/// Why what is dropped here was not handled.
#[derive(Clone, Copy)]
enum Abandoning {
    Nothing,
    /// It was not delivered.
    Failing(*const CallFailed),
    /// The process that had it ends.
    Ending(*const ExitReason),
}

/// Runs `f` for `node`, outside any process.
pub(crate) fn decoding<T>(node: &Node, f: impl FnOnce() -> T) -> T {
    struct Leave(Option<Node>);
    impl Drop for Leave {
        fn drop(&mut self) {
            drop(DECODING.replace(self.0.take()));
        }
    }
    let _leave = Leave(DECODING.replace(Some(node.clone())));
    f()
}

/// Runs `f`, in which messages are dropped unhandled; the calls among them fail with `failed`.
pub(crate) fn abandoning<T>(failed: CallFailed, f: impl FnOnce() -> T) -> T {
    let _leave = Leave(ABANDONING.replace(Abandoning::Failing(&raw const failed)));
    f()
}

/// Runs `f`, which drops what a process had that ends with `reason`; the calls that it owed a reply fail with it.
#[inline]
pub(crate) fn ending<T>(reason: &ExitReason, f: impl FnOnce() -> T) -> T {
    let _leave = Leave(ABANDONING.replace(Abandoning::Ending(reason)));
    f()
}

/// Runs `f`; what it sends comes in where mailboxes are full: what timers do, and sources.
pub(crate) fn coming_through<T>(f: impl FnOnce() -> T) -> T {
    struct Leave(bool);
    impl Drop for Leave {
        fn drop(&mut self) {
            COMES_THROUGH.set(self.0);
        }
    }
    let _leave = Leave(COMES_THROUGH.replace(true));
    f()
}

/// Whether what is sent here comes in where a mailbox is full.
pub(crate) fn comes_through() -> bool {
    COMES_THROUGH.get()
}

/// Takes the pointer back before what it leads to is gone.
struct Leave(Abandoning);

impl Drop for Leave {
    #[inline]
    fn drop(&mut self) {
        ABANDONING.set(self.0);
    }
}

/// The process that runs here.
pub(crate) fn current() -> Option<(Node, Pid)> {
    with_process(|running| running.map(|(_, process)| (process.node().clone(), process.pid())))
}

/// The pid of the process that runs here.
pub(crate) fn current_pid() -> Option<Pid> {
    with_process(|running| running.map(|(_, process)| process.pid()))
}

/// Whether `pid` is the process that runs here.
#[inline]
pub(crate) fn is_current(pid: Pid) -> bool {
    with_process(|running| {
        running.is_some_and(|(_, process)| process.place() == (pid.slot(), pid.generation()) && process.pid() == pid)
    })
}

/// The node on whose behalf something is read here.
pub(crate) fn decoding_node() -> Option<Node> {
    DECODING.with_borrow(Clone::clone).or_else(|| current().map(|(node, _)| node))
}

/// What a call fails with whose reply is dropped here.
pub(crate) fn why_abandoned() -> CallFailed {
    if let Some(reason) = panics::unwinding() {
        return CallFailed::Died(reason);
    }
    // SAFETY: whoever set the pointer takes it back before what it leads to is gone.
    unsafe {
        match ABANDONING.get() {
            Abandoning::Nothing => CallFailed::NoReply,
            Abandoning::Failing(failed) => (*failed).clone(),
            Abandoning::Ending(reason) => CallFailed::Died((*reason).clone()),
        }
    }
}
