//! `spawn(…)` and its kin without a node in the hand: they act for the process that runs here.

use std::future::Future;

use crate::address::Address;
use crate::ambient;
use crate::exit::Error;
use crate::node::{Node, SpawnOptions};
use crate::pid::Pid;
use crate::process::Process;
use crate::spec::Spawn;

/// Spawns a process: an actor, or a [`Spec`](crate::Spec) of one. The running process is its parent.
///
/// # Panics
/// Outside a process. There, use [`Node::spawn`].
pub fn spawn<S: Spawn>(what: S) -> S::Ref {
    let (node, me) = current("spawn");
    what.spawn_on(&node, SpawnOptions { parent: Some(me), link: None })
}

/// Spawns a process and links it to the running one, in one step.
///
/// # Panics
/// Outside a process.
pub fn spawn_link<S: Spawn>(what: S) -> S::Ref {
    let (node, me) = current("spawn_link");
    what.spawn_on(&node, SpawnOptions { parent: Some(me), link: Some(me) })
}

/// Spawns a process in straight-line code. The running process is its parent.
///
/// # Panics
/// Outside a process. There, use [`Node::spawn_process`].
pub fn spawn_process<M, F, Fut>(body: F) -> Address<M>
where
    M: Send + 'static,
    F: FnOnce(Process<M>) -> Fut,
    Fut: Future<Output = Result<(), Error>> + Send + 'static,
{
    let (node, me) = current("spawn_process");
    node.spawn_process_with(SpawnOptions { parent: Some(me), link: None }, body)
}

/// The node that the running process lives on.
///
/// # Panics
/// Outside a process.
pub fn node() -> Node {
    current("node").0
}

/// The pid of the running process.
///
/// # Panics
/// Outside a process.
pub fn this_pid() -> Pid {
    current("this_pid").1
}

fn current(what: &str) -> (Node, Pid) {
    ambient::current().unwrap_or_else(|| {
        panic!("`{what}` works in processes only; outside, use the methods of a `Node`, as `node.spawn`")
    })
}
