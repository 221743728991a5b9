//! What code can ask without being told: which process it runs in.
//!
//! The engine sets it for each turn. It is what makes `spawn(…)` work without a node in the hand, and
//! what links a crash's report to the panic. Nothing of it lives longer than a turn.

use std::cell::{Cell, RefCell};

use crate::call::CallFailed;
use crate::node::Node;
use crate::panics;
use crate::pid::Pid;

thread_local! {
    static CURRENT: RefCell<Option<(Node, Pid)>> = const { RefCell::new(None) };
    static DECODING: RefCell<Option<Node>> = const { RefCell::new(None) };
    static ABANDONING: Cell<Option<CallFailed>> = const { Cell::new(None) };
}

/// Runs `f` as process `pid` of `node`.
pub(crate) fn within<T>(node: &Node, pid: Pid, f: impl FnOnce() -> T) -> T {
    let before = CURRENT.replace(Some((node.clone(), pid)));
    let _restore = Restore(Some(|| drop(CURRENT.replace(before))));
    f()
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
    CURRENT.with_borrow(Clone::clone)
}

/// The pid of the process that runs here.
pub(crate) fn current_pid() -> Option<Pid> {
    CURRENT.with_borrow(|current| current.as_ref().map(|(_, pid)| *pid))
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
