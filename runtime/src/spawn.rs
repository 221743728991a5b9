//! `spawn(…)` and its kin without a node in the hand: they act for the process that runs here.

use std::future::Future;

use crate::address::Address;
use crate::exit::{Error, ExitReason};
use crate::node::{Node, SpawnOptions};
use crate::panics::{self, Unwound};
use crate::pid::Pid;
use crate::process::turn::with_process;
use crate::process::{self, Me, Process};
use crate::signal::MonitorRef;
use crate::spec::{self, Spawn, process};

/// Spawns a process: an actor, a [`Spec`](crate::Spec) of one, or straight-line code
/// ([`process`](crate::process)). The running process is its parent.
///
/// # Panics
/// Outside a process. There, use [`Node::spawn`].
#[track_caller]
pub fn spawn<S: Spawn>(what: S) -> S::Ref {
    running("spawn", |node, me| what.spawn_on(node, &SpawnOptions::child_of(me)).0)
}

/// Spawns a process and links it to the running one, in one step.
///
/// # Panics
/// Outside a process.
#[track_caller]
pub fn spawn_link<S: Spawn>(what: S) -> S::Ref {
    running("spawn_link", |node, me| what.spawn_on(node, &SpawnOptions::linked_to(me)).0)
}

/// Spawns a process that the running one monitors, in one step.
///
/// # Panics
/// Outside a process.
#[track_caller]
pub fn spawn_monitor<S: Spawn>(what: S) -> (S::Ref, MonitorRef) {
    running("spawn_monitor", |node, me| spec::spawn_monitored(what, node, me))
}

/// Spawns a process in straight-line code. The running process is its parent.
///
/// # Panics
/// Outside a process. There, use [`Node::spawn_process`].
#[track_caller]
pub fn spawn_process<M, F, Fut>(body: F) -> Address<M>
where
    M: Send + 'static,
    F: FnOnce(Process<M>) -> Fut,
    Fut: Future<Output = Result<(), Error>> + Send + 'static,
{
    running("spawn_process", |node, me| process(body).spawn_on(node, &SpawnOptions::child_of(me)).0)
}

/// Ends the running process with `reason`, now. An actor's `terminate` runs; the rest of the handler does
/// not.
///
/// # Panics
/// Outside a process. Inside, it unwinds, quietly.
#[track_caller]
pub fn exit_now(reason: ExitReason) -> ! {
    running("exit_now", |_, _| ());
    panics::unwind(Unwound::ByChoice(reason))
}

/// Runs `work`, which blocks its thread, on a thread for such work, and waits for what it returns.
///
/// How many run at once is limited ([`RuntimeBuilder::blocking_threads`](crate::RuntimeBuilder)); more
/// wait. In a seeded run there are no such threads: `work` runs at once, in the process's turn.
///
/// # Cancel safety
/// Dropped, also by the end of the process, it gives up the result, not the work.
///
/// # Panics
/// Outside a process; and if `work` panics, with what it says.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let node = node_for("blocking");
    let Some(tokio) = node.runtime().tokio() else { return work() };
    match tokio.spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(payload) => std::panic::resume_unwind(payload),
            Err(_) => panic!("blocking work was called off: the runtime is ending"),
        },
    }
}

/// The node that the running process lives on.
///
/// # Panics
/// Outside a process.
#[track_caller]
pub fn node() -> Node {
    node_for("node")
}

/// The pid of the running process.
///
/// # Panics
/// Outside a process.
#[track_caller]
pub fn this_pid() -> Pid {
    running("this_pid", |_, me| me)
}

/// Runs `f` with the running process, as that sees itself: for code that was given neither a [`Context`](crate::Context) nor
/// a [`Process`], as the body of `main` or of a task. `None` outside a process.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
/// use biotope::with_me;
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     with_me(|me| me.trap_exits(true));
///     let linked = spawn_link(process(async |_: Process<()>| Err(ExitReason::Killed.into())));
///     assert_eq!(node().ended(linked.pid()).await, ExitReason::Killed);
///     Ok(())
/// }
/// ```
pub fn with_me<R>(f: impl FnOnce(&Me) -> R) -> Option<R> {
    with_process(|running| running.map(|(_, process)| f(process::me_of(process))))
}

#[track_caller]
fn node_for(what: &str) -> Node {
    running(what, |node, _| node.clone())
}

/// Runs `f` with the node and the pid of the process that runs here.
#[track_caller]
#[inline]
fn running<R>(what: &str, f: impl FnOnce(&Node, Pid) -> R) -> R {
    let done = with_process(|running| running.map(|(_, process)| f(process.node(), process.pid())));
    match done {
        Some(done) => done,
        // Not in the closure, which would be where it panics.
        None => not_in_a_process(what),
    }
}

#[cold]
#[track_caller]
fn not_in_a_process(what: &str) -> ! {
    panic!("`{what}` works in processes only; outside, use the methods of a `Node`, as `node.spawn`")
}
