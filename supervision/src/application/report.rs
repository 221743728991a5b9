//! What is told of applications: one `tracing` event each, in one line. The tree that one starts is shown as a tree.

use biotope_runtime::{ExitReason, Me, Restart};

use super::core::End;
use super::errors::{AppFailure, Callback, Straggler};
use crate::supervisor::Supervisor;

pub(super) fn starts(me: &Me, application: &str, tree: &Supervisor) {
    tracing::info!(application, node = me.node().name(), "application starts\n{tree}");
}

pub(super) fn started(me: &Me, application: &str, kind: Restart) {
    tracing::info!(application, node = me.node().name(), ?kind, "application started");
}

/// It has ended: because it was asked to, by itself, or before it had started. By itself, `Shutdown` is no orderly end.
pub(super) fn ended(me: &Me, application: &str, kind: Restart, end: &End, is_by_itself: bool) {
    let (node, reason) = (me.node().name(), &end.reason);
    match &end.failure {
        Some(AppFailure::Killed) => {
            tracing::error!(application, node, %reason, ?kind, "application exited: it was killed");
        }
        Some(failure) => {
            tracing::error!(application, node, %reason, ?kind, error = %failure, "application exited: it did not start");
        }
        None if reason.is_abnormal() || (is_by_itself && *reason != ExitReason::Normal) => {
            tracing::error!(application, node, %reason, ?kind, "application exited");
        }
        None => tracing::info!(application, node, %reason, ?kind, "application exited"),
    }
}

pub(super) fn halts(me: &Me, application: &str, kind: Restart, reason: &ExitReason) {
    let node = me.node().name();
    tracing::error!(application, node, %reason, ?kind, "application ended by itself: the node stops");
}

pub(super) fn ended_by_itself(me: &Me, application: &str, kind: Restart, reason: &ExitReason) {
    let node = me.node().name();
    tracing::warn!(application, node, %reason, ?kind, "application ended by itself");
}

pub(super) fn callback_failed(me: &Me, application: &str, callback: &Callback, reason: &ExitReason) {
    let node = me.node().name();
    tracing::error!(application, node, %callback, %reason, "a callback of the application failed: the stop goes on");
}

pub(super) fn still_stopping(me: &Me, application: &str, left: &[Straggler]) {
    let node = me.node().name();
    for straggler in left {
        tracing::warn!(application, node, waits_for = %straggler, "application is still stopping");
    }
}

pub(super) fn kills(me: &Me, application: &str) {
    tracing::warn!(application, node = me.node().name(), "application is killed");
}

/// Told when the crash reports of all that was killed have been: it would be lost before them.
pub(super) fn killed(me: &Me, application: &str, left: &[Straggler]) {
    let node = me.node().name();
    for straggler in left {
        tracing::error!(application, node, process = %straggler, "did not stop, and was killed");
    }
}

pub(super) fn blocked(me: &Me, application: &str) {
    let node = me.node().name();
    tracing::error!(application, node, "killed processes block their threads: not waited for");
}
