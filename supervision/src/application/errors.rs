//! What keeps an application from starting, running and stopping.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{Coded, ExitReason, Pid};

use super::config::ConfigError;
use super::signals::StopSignal;
use crate::supervisor::SupervisorStartError;

/// Why an application did not start. Whatever this start had started is stopped again, in reverse order.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartAppError {
    /// No application of this name is loaded.
    #[error("no application `{name}` is loaded{}", NeededBy(.needed_by))]
    NotLoaded {
        /// The name.
        name: Arc<str>,
        /// Which application needs it, if it was not asked for itself.
        needed_by: Option<Arc<str>>,
    },
    /// It needs an application that does not run. [`ensure_all_started`](crate::Applications::ensure_all_started)
    /// starts that first.
    #[error("application `{name}` needs `{needs}`, which is not started")]
    NotStarted {
        /// The application.
        name: Arc<str>,
        /// What it needs.
        needs: Arc<str>,
    },
    /// It runs, or is being started.
    #[error("already started: application `{0}` runs")]
    AlreadyStarted(Arc<str>),
    /// Applications need each other in a circle; the first is named again as the last.
    #[error("applications need each other in a circle: {}", .0.join(" needs "))]
    Cycle(Vec<Arc<str>>),
    /// It, or one that it needs, could not be loaded. Nothing was started.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It did not come up.
    #[error("application `{name}` did not start: {why}")]
    Failed {
        /// The application: the one that was asked for, or one that it needs.
        name: Arc<str>,
        /// Why.
        why: AppFailure,
    },
    /// It was told to stop before it had started.
    #[error("application `{0}` was stopped before it had started")]
    Stopped(Arc<str>),
    /// The node, or its applications, are stopping. Nothing more is started.
    #[error("the applications of the node are stopping, and none is started")]
    Stopping,
}

/// What went wrong while an application started.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AppFailure {
    /// A callback of the application failed or panicked.
    #[error("its {callback} failed: {reason}")]
    Callback {
        /// Which one: `start`, or a phase by its name.
        callback: Callback,
        /// What it failed with; a panic as [`ExitReason::Panic`].
        reason: ExitReason,
    },
    /// Its root supervisor did not start.
    #[error(transparent)]
    Supervisor(#[from] SupervisorStartError),
    /// Its root supervisor ended before the start was complete.
    #[error("its root supervisor ended meanwhile: {}", GaveUp(.0))]
    Ended(ExitReason),
    /// It was killed.
    #[error("it was killed")]
    Killed,
}

/// A callback of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Callback {
    /// What builds the tree.
    Start,
    /// A start phase.
    Phase(Arc<str>),
    /// What is done before the children stop.
    BeforeStop,
    /// What is done when they have stopped.
    AfterStop,
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("`start`"),
            Self::Phase(name) => write!(f, "phase `{name}`"),
            Self::BeforeStop => f.write_str("`before_stop`"),
            Self::AfterStop => f.write_str("`after_stop`"),
        }
    }
}

/// Why an application was not loaded. Nothing was.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// One of its name is loaded.
    #[error("already loaded: there is an application `{0}`")]
    AlreadyLoaded(Arc<str>),
    /// Its configuration cannot be used.
    #[error("configuration of `{name}`: {error}")]
    Config {
        /// The application.
        name: Arc<str>,
        /// What is wrong, and where it was said.
        error: ConfigError,
    },
    /// The node, or its applications, are stopping.
    #[error("the applications of the node are stopping, and none is loaded")]
    Stopping,
}

/// Why an application was not unloaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnloadError {
    /// None of its name is loaded.
    #[error("no application `{0}` is loaded")]
    NotLoaded(Arc<str>),
    /// It runs, or is being started or stopped.
    #[error("running: application `{0}` is to be stopped first")]
    Running(Arc<str>),
}

/// Why an application was not stopped in order.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StopAppError {
    /// It does not run.
    #[error("not started: application `{0}` does not run")]
    NotStarted(Arc<str>),
    /// It, or one that had to stop before it, had not stopped in its time, and was killed.
    #[error("killed: it had not stopped{}", Waited(.0))]
    Killed(Vec<Straggler>),
}

/// Why a value was not set.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SetEnvError {
    /// The value cannot be part of a configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The node, or its applications, are stopping.
    #[error("the applications of the node are stopping")]
    Stopping,
}

/// A process that did not stop, and what it did instead.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Straggler {
    /// The application that it is a part of.
    pub application: Arc<str>,
    /// Its pid.
    pub pid: Pid,
    /// The name that it is registered under, or else what it runs.
    pub name: Arc<str>,
    /// The handler that it was in.
    pub handler: Option<&'static str>,
    /// For how long it had been in it, if that is known.
    pub since: Option<Duration>,
}

impl fmt::Display for Straggler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of `{}`", self.name, self.pid, self.application)?;
        match (self.handler, self.since) {
            (Some(handler), Some(since)) => write!(f, ", in `{handler}` for {since:.1?}"),
            (Some(handler), None) => write!(f, ", in `{handler}`"),
            (None, _) => Ok(()),
        }
    }
}

/// Why an application that was run did not start, or ended otherwise than it was asked to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// It did not start. Nothing is left running.
    #[error(transparent)]
    Start(#[from] StartAppError),
    /// It, or an application that it cannot do without, ended though nobody asked for it; with `Shutdown`, after too many
    /// restarts, or with a significant child.
    #[error("application `{name}` ended by itself: {}", GaveUp(.reason))]
    Ended {
        /// The application.
        name: Arc<str>,
        /// What its root supervisor ended with.
        reason: ExitReason,
    },
    /// It was killed before its children had stopped.
    #[error("the application was killed before its children had stopped{}", Waited(.left))]
    Killed {
        /// The signal that hurried it; `None` if its time was over, or somebody killed it.
        by: Option<StopSignal>,
        /// Who had been told to stop by then, and had not.
        left: Vec<Straggler>,
    },
    /// The operating system did not let it listen for signals. Nothing was started.
    #[error("the application cannot listen for signals: {0}")]
    Signals(Arc<str>),
    /// The address of its probe could not be listened on. Nothing was started.
    #[error("the probe cannot listen on `{address}`: {error}")]
    Probe {
        /// The address.
        address: Arc<str>,
        /// What the operating system said.
        error: Arc<str>,
    },
}

impl AppError {
    /// The exit code that stands for it, which [`App::run`](crate::App::run) ends its program with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Start(StartAppError::Load(LoadError::Config { .. })) => exit_code::CONFIGURATION,
            Self::Start(StartAppError::Failed {
                why: AppFailure::Callback { reason: ExitReason::Error(error), .. },
                ..
            }) if error.is::<ConfigError>() => exit_code::CONFIGURATION,
            Self::Start(_) | Self::Ended { .. } => exit_code::FAILED,
            Self::Killed { by: Some(signal), .. } => exit_code::SIGNAL + signal.number(),
            Self::Killed { by: None, .. } => exit_code::NOT_STOPPED,
            Self::Signals(_) | Self::Probe { .. } => exit_code::OPERATING_SYSTEM,
        }
    }
}

impl AppError {
    /// As a reason that `main` ends its program with the right exit code for.
    pub(crate) fn into_reason(self) -> ExitReason {
        ExitReason::error(Coded::new(self.exit_code(), self))
    }
}

/// The exit codes of a program that runs an application. Those that there are names for are BSD's (`sysexits.h`).
pub mod exit_code {
    /// It stopped in order, or its root supervisor ended with `Normal`.
    pub const STOPPED: u8 = 0;
    /// It did not start, ended by itself, or the program failed otherwise.
    pub const FAILED: u8 = 1;
    /// What was given by the operating system was not enough: signals, or the address of the probe.
    pub const OPERATING_SYSTEM: u8 = 71;
    /// Its configuration cannot be used.
    pub const CONFIGURATION: u8 = 78;
    /// It had not stopped within its own time, and was killed.
    pub const NOT_STOPPED: u8 = 124;
    /// With the number of the signal added: it had not stopped when a second signal came, and was killed. 130 after
    /// SIGINT, 143 after SIGTERM.
    pub const SIGNAL: u8 = 128;
}

struct NeededBy<'a>(&'a Option<Arc<str>>);

impl fmt::Display for NeededBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, ", which `{name}` needs"),
            None => Ok(()),
        }
    }
}

/// What a root supervisor ended with that nobody has told to stop.
struct GaveUp<'a>(&'a ExitReason);

impl fmt::Display for GaveUp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        match self.0 {
            ExitReason::Shutdown => {
                f.write_str(", after too many restarts or the end of a significant child: see the log")
            }
            _ => Ok(()),
        }
    }
}

/// Who was waited for.
struct Waited<'a>(&'a [Straggler]);

impl fmt::Display for Waited<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, straggler) in self.0.iter().enumerate() {
            let before = if at == 0 { ": waited for " } else { "; " };
            write!(f, "{before}{straggler}")?;
        }
        Ok(())
    }
}
