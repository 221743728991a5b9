//! Every limit and default of this crate.

use std::time::Duration;

/// How long a call waits for its reply when it does not say so itself. Then it fails with `Timeout`.
pub const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How many reductions a process has for one turn; then it goes to the back of the run queue. A
/// handled message costs one.
pub(crate) const REDUCTIONS_PER_TURN: u32 = 4_000;

/// How long a node that shuts down waits for its processes to end before it kills them.
pub(crate) const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How many characters of a panic's message or an error are kept.
pub(crate) const LONGEST_REASON: usize = 4_096;
