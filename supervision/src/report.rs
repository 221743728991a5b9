//! What a supervisor tells of its children: one `tracing` event each.
//!
//! A process that crashes is reported by the runtime, at length and once. These events are one line and
//! say what it meant to the supervisor. The message of each begins with its context, in OTP's words:
//! `progress`, `child_terminated`, `start_error`, `shutdown`, `shutdown_error`; and in ours for what OTP does not have:
//! `backoff`, `circuit`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{ExitReason, Me, Pid};

use crate::child_spec::Child;

/// Something about a child that somebody may want to know.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) child: Child,
    pub(crate) pid: Option<Pid>,
    pub(crate) context: Context,
}

/// What happened to the child.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Context {
    /// It started.
    Progress,
    /// It ended by itself.
    ChildTerminated(ExitReason),
    /// It did not start.
    StartError(ExitReason),
    /// It ended, and was one restart too many.
    ReachedMaxRestartIntensity,
    /// It was significant, and its end is that of the supervisor.
    AutoShutdown,
    /// It stays down for so long before it is started again.
    Backoff(Duration),
    /// It stays down until this is up, which it needs.
    CircuitOpen(Arc<str>),
    /// It was to stop and ended otherwise, or had to be killed.
    ShutdownError(ExitReason),
}

impl Report {
    /// Gives it to `tracing`, as an event of the supervisor `me`.
    pub(crate) fn emit(&self, me: &Me, supervisor: Option<&str>) {
        let Self { child, pid, context } = self;
        let node = me.node().name();
        let by = me.pid();
        let pid = Shown(*pid);
        let (id, restart, shutdown, kind) = (&*child.id, child.restart, child.shutdown, child.kind);
        macro_rules! tell {
            ($level:ident, $($text:tt)*) => {
                tracing::$level!(
                    node, supervisor, supervisor_pid = %by, child = id, pid = %pid, ?restart, ?shutdown, ?kind, $($text)*
                )
            };
        }
        match context {
            Context::Progress => tell!(info, "progress: child started"),
            Context::ChildTerminated(reason) => tell!(error, %reason, "child_terminated: child ended"),
            Context::StartError(reason) => tell!(error, %reason, "start_error: child did not start"),
            Context::ReachedMaxRestartIntensity => tell!(
                error,
                reason = "reached_max_restart_intensity",
                "shutdown: too many restarts, the supervisor gives up"
            ),
            Context::AutoShutdown => {
                tell!(info, reason = "auto_shutdown", "shutdown: a significant child is done, the supervisor ends");
            }
            Context::Backoff(wait) => tell!(info, ?wait, "backoff: child is started again later"),
            Context::CircuitOpen(needs) => {
                tell!(warn, needs = &**needs, "circuit: child stays down while that is down");
            }
            Context::ShutdownError(reason) => tell!(error, %reason, "shutdown_error: child did not stop in order"),
        }
    }
}

/// A pid, or that there is none.
struct Shown(Option<Pid>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "{pid}"),
            None => f.write_str("none"),
        }
    }
}
