//! What code can ask without being told: which process it runs in.
//!
//! A worker's turns are the answer ([`process::turn`](crate::process::turn)). It is what makes `spawn(…)`
//! work without a node in the hand, and what links a crash's report to the panic. Nothing of it lives
//! longer than a turn.

use std::cell::{Cell, RefCell};

use crate::call::CallFailed;
use crate::node::Node;
use crate::panics;
use crate::pid::Pid;
use crate::process::turn::with_process;

thread_local! {
    static DECODING: RefCell<Option<Node>> = const { RefCell::new(None) };
    static ABANDONING: Cell<Option<CallFailed>> = const { Cell::new(None) };
}

/// Runs `f` for `node`, outside any process.
pub(crate) fn decoding<T>(node: &Node, f: impl FnOnce() -> T) -> T {
    let before = DECODING.replace(Some(node.clone()));
    let _restore = Restore(Some(|| drop(DECODING.replace(before))));
    f()
}

/// Runs `f`, in which messages are dropped unhandled; the calls among them fail with `failed`.
pub(crate) fn abandoning<T>(failed: CallFailed, f: impl FnOnce() -> T) -> T {
    let before = ABANDONING.replace(Some(failed));
    let _restore = Restore(Some(|| drop(ABANDONING.replace(before))));
    f()
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
    let failed = ABANDONING.take();
    ABANDONING.set(failed.clone());
    match panics::unwinding() {
        Some(reason) => CallFailed::Died(reason),
        None => failed.unwrap_or(CallFailed::NoReply),
    }
}

/// Runs its closure when it is dropped, also by a panic.
struct Restore<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for Restore<F> {
    fn drop(&mut self) {
        if let Some(restore) = self.0.take() {
            restore();
        }
    }
}
