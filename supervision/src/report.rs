//! What a supervisor tells of its children: one `tracing` event each, in one line.
//!
//! A process that crashes is reported by the runtime, at length and once. These events say what it meant to the supervisor,
//! with the pid that is the number of that report. The message of each begins with its context, in OTP's words:
//! `progress`, `child_terminated`, `start_error`, `shutdown`, `shutdown_error`; and in ours for what OTP does not have:
//! `backoff`, `circuit`.
//!
//! Of too many of one kind, for one kind of reason, the rest is [summarised](biotope_runtime::RuntimeBuilder::log_at_most),
//! as the reports are; a first start is always told.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{ExitReason, Me, Occurrence, Pid};
use tracing::Level;

use crate::child_spec::Child;

/// Something about a child that somebody may want to know.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) child: Child,
    pub(crate) pid: Option<Pid>,
    /// How often it had been started again.
    pub(crate) restarts: u64,
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
        let occurrence = self.occurrence();
        let is_heard = match occurrence.level {
            Level::ERROR => tracing::enabled!(Level::ERROR),
            Level::WARN => tracing::enabled!(Level::WARN),
            _ => tracing::enabled!(Level::INFO),
        };
        if !is_heard {
            return;
        }
        if self.context == Context::Progress && self.restarts == 0 {
            self.log(me, supervisor);
        } else {
            me.node().log_unless_storm(&occurrence, || self.log(me, supervisor));
        }
    }

    fn log(&self, me: &Me, supervisor: Option<&str>) {
        let Self { child, pid, restarts, context } = self;
        let node = me.node().name();
        let by = me.pid();
        let pid = Shown(*pid);
        let (id, restart, shutdown, kind) = (&*child.id, child.restart, child.shutdown, child.kind);
        macro_rules! tell {
            ($level:ident, $($text:tt)*) => {
                tracing::$level!(
                    node, supervisor, supervisor_pid = %by, child = id, pid = %pid, ?restart, ?shutdown, ?kind, restarts,
                    $($text)*
                )
            };
        }
        let reason = self.context.reason().map(ExitReason::in_one_line);
        let reason = reason.as_ref().map(tracing::field::display);
        match context {
            Context::Progress => tell!(info, "progress: child started"),
            Context::ChildTerminated(_) => tell!(error, reason, "child_terminated: child ended"),
            Context::StartError(_) => tell!(error, reason, "start_error: child did not start"),
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
            Context::ShutdownError(_) => tell!(error, reason, "shutdown_error: child did not stop in order"),
        }
    }

    /// The same, for whoever counts what is too much.
    fn occurrence(&self) -> Occurrence {
        let (what, level) = match self.context {
            Context::Progress => ("restarts (progress)", Level::INFO),
            Context::ChildTerminated(_) => ("ends of children (child_terminated)", Level::ERROR),
            Context::StartError(_) => ("failures to start (start_error)", Level::ERROR),
            Context::ReachedMaxRestartIntensity => ("supervisors that gave up (shutdown)", Level::ERROR),
            Context::AutoShutdown => ("supervisors that were done (shutdown)", Level::INFO),
            Context::Backoff(_) => ("restarts that wait (backoff)", Level::INFO),
            Context::CircuitOpen(_) => ("children that stay down (circuit)", Level::WARN),
            Context::ShutdownError(_) => ("stops out of order (shutdown_error)", Level::ERROR),
        };
        let reason = self.context.reason().cloned();
        Occurrence { what, actor: None, handler: None, reason, pid: self.pid, level }
    }
}

impl Context {
    fn reason(&self) -> Option<&ExitReason> {
        match self {
            Self::ChildTerminated(reason) | Self::StartError(reason) | Self::ShutdownError(reason) => Some(reason),
            Self::Progress
            | Self::ReachedMaxRestartIntensity
            | Self::AutoShutdown
            | Self::Backoff(_)
            | Self::CircuitOpen(_) => None,
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
