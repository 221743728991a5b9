//! How an actor is to be supervised, as it says itself. Nothing here acts on it: that is a supervisor's.

use std::fmt;
use std::time::Duration;

/// When a child of a supervisor that ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// When it ended abnormally: not with `Normal`, `Shutdown` or `ShutdownWith`.
    Transient,
    /// Never. Its specification goes when it ends.
    Temporary,
}

/// How a child of a supervisor is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// By a kill. It has no chance to clean up.
    BrutalKill,
    /// By an exit with `Shutdown`; by a kill if it has not ended after this time.
    Timeout(Duration),
    /// By an exit with `Shutdown`, however long it takes.
    Infinity,
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
            Self::Temporary => "temporary",
        })
    }
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BrutalKill => f.write_str("brutal kill"),
            Self::Timeout(time) => write!(f, "{time:?}"),
            Self::Infinity => f.write_str("infinity"),
        }
    }
}

impl From<Duration> for Shutdown {
    fn from(time: Duration) -> Self {
        Self::Timeout(time)
    }
}
