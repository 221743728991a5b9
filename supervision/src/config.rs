//! Every limit and default of this crate.

use std::time::{Duration, Instant};

/// How long a worker has to stop when its child specification does not say so itself. Then it is killed.
pub const DEFAULT_SHUTDOWN: Duration = Duration::from_secs(5);

/// How many restarts a supervisor allows within [`DEFAULT_PERIOD`]. At one more it gives up.
pub const DEFAULT_INTENSITY: u32 = 1;

/// The window in which restarts are counted.
pub const DEFAULT_PERIOD: Duration = Duration::from_secs(5);

/// How often a supervisor looks whether what a child needs is up again, while it is down.
pub const DEFAULT_CIRCUIT_CHECK: Duration = Duration::from_secs(1);

/// How long the calls wait that start or stop a child, when the caller does not say so itself: more than
/// [`DEFAULT_SHUTDOWN`], so that the reply comes when a child has to be killed.
pub const DEFAULT_CHILD_CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How often whoever waits for a partition looks whether it is still to come.
pub(crate) const PARTITIONS_LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

/// As long as anybody waits: ten years. What is asked to take longer takes that long.
const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The time after `wait`; a time that no clock can show counts as far away.
pub(crate) fn later(now: Instant, wait: Duration) -> Instant {
    now + wait.min(FAR)
}

/// How long a supervisor waits for the children of one of its supervisors that was killed, before it kills them and starts that
/// one again.
pub(crate) const ORPHANS_END_WITHIN: Duration = Duration::from_secs(5);

/// How long a supervisor that ends waits for a child's start to return, after it has killed what the
/// start had spawned. Then it no longer waits.
pub(crate) const ABANDON_START_AFTER: Duration = Duration::from_secs(1);

/// How long a tree that is looked at waits for what its supervisors say. Of one that has not answered by then it shows what is
/// seen from outside.
pub(crate) const SUPERVISORS_ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// How long an application that is killed waits for its processes to be gone. One that blocks its thread
/// is not waited for longer.
pub(crate) const KILL_GRACE: Duration = Duration::from_secs(1);

/// How soon after the first signal to stop an equal one is the same: who signals a process and its group signals it twice.
pub(crate) const SAME_SIGNAL_WITHIN: Duration = Duration::from_millis(500);

/// How often an application that stops says whom it waits for.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// How long a check of readiness, and a root supervisor's answer, may take. Then it counts as failed.
pub(crate) const CHECK_TIME: Duration = Duration::from_secs(1);

/// How long a stranger at the probe has for its request and the answer. Then it is hung up on.
pub(crate) const PROBE_TIME: Duration = Duration::from_secs(3);

/// How long the head of a request to the probe may be. Of a longer one it is said that it is too long.
pub(crate) const PROBE_BYTES: usize = 4096;

/// How many strangers the probe answers at once. Others are hung up on.
pub(crate) const PROBE_CONNECTIONS: usize = 16;
