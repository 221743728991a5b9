//! What a runtime and a node have done so far, in numbers.
//!
//! Numbers cost nothing on the way of a message: what a worker counts, it alone writes; what a node has had is
//! read off the generations of its process table; a long turn is seen by the ticker, which looks anyway.

use std::time::Duration;

use crate::dead_letters::DeadLetter;

/// What a runtime has done; made by [`Runtime::stats`](crate::Runtime::stats).
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let stats = node().runtime().stats();
///     let turns: u64 = stats.workers.iter().map(|worker| worker.turns).sum();
///     assert!(turns > 0, "this process has one");
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeStats {
    /// How often a handler was found to block its worker.
    pub blocked: u64,
    /// How many spare workers were ever needed at once.
    pub spares: usize,
    /// How many timers are set and have not fired, of all nodes; an interval is one.
    pub timers: usize,
    /// How many pieces of its memory are in use: what processes, the blocks of their mailboxes and the records of what is rare
    /// with them lie in. Those that a worker holds free for itself count; a seeded run that nobody waits for holds none. Under
    /// `--cfg biotope_malloc`, none at all.
    pub pieces: usize,
    /// Each worker, spares last.
    pub workers: Vec<WorkerStats>,
}

/// What one worker has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Turns of processes, with the one that runs.
    pub turns: u64,
    /// Processes that it took from others.
    pub steals: u64,
    /// How often it went to sleep.
    pub parks: u64,
    /// The longest turn that was seen. No clock is read for it: the ticker looks once a millisecond, so a turn of less
    /// than two milliseconds may be missed, and one that is seen was up to two milliseconds longer than this says.
    /// Time in which the worker's thread waited for a core counts.
    pub longest_turn: Duration,
}

/// What a node has done; made by [`Node::stats`](crate::Node::stats).
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let before = node().stats();
///     let short = spawn_process(async |_: Process<()>| Ok(()));
///     node().ended(&short).await;
///     let after = node().stats();
///     assert!(after.ended > before.ended);
///     assert_eq!(after.spawned, after.ended + after.processes as u64);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStats {
    /// How many processes there are.
    pub processes: usize,
    /// How many processes were ever spawned: those that there are, and those that have ended.
    pub spawned: u64,
    /// How many have ended, for whatever reason.
    pub ended: u64,
    /// How many of them left a [`CrashReport`](crate::CrashReport).
    pub crashed: u64,
    /// How many messages were not handled, by reason; those that there were none of, too.
    pub dead_letters: Vec<(DeadLetter, u64)>,
}
