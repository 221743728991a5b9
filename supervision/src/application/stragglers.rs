//! Who is waited for while a tree stops.

use std::sync::Arc;

use biotope_runtime::{Node, Pid, Target};

use super::errors::Straggler;
use super::order::Name;

/// The processes that were told to stop and have not, below the root supervisor `root`.
///
/// A supervisor monitors a child from when it tells it to stop, so its monitors lead to them. What is in a handler is
/// waited for itself.
pub(crate) fn stragglers(node: &Node, application: &Name, root: Pid) -> Vec<Straggler> {
    let mut found = Vec::new();
    descend(node, application, root, &mut found);
    found
}

fn descend(node: &Node, application: &Name, pid: Pid, out: &mut Vec<Straggler>) {
    let Some(info) = node.peek(pid) else { return };
    let told = info.monitors.iter().filter_map(|target| match target {
        Target::Pid(child) if node.peek(*child).is_some_and(|child| child.parent == Some(pid)) => Some(*child),
        _ => None,
    });
    let told: Vec<Pid> = told.collect();
    if info.activity.is_none() && !told.is_empty() {
        told.into_iter().for_each(|child| descend(node, application, child, out));
        return;
    }
    let now = node.runtime().now();
    out.push(Straggler {
        application: application.clone(),
        pid,
        name: info.name.or(info.label).unwrap_or_else(|| Arc::from(info.actor)),
        handler: info.activity,
        since: info.since.map(|since| now.saturating_duration_since(since)),
    });
}
