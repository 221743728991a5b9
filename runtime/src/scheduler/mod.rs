//! Who runs next.
//!
//! ```text
//!   process::Cell ── submit ──▶ Scheduler ── pick ──▶ Runnable::run   (one turn)
//!                               ├─ workers.rs   threads and one shared run queue
//!                               └─ seeded.rs    one thread, the order drawn from a seed
//! ```
//!
//! A process knows the scheduler only as [`Submit`], so that its own parts can be tested without
//! threads. The run queue is one queue for all workers, first in, first out: plain, fair, and the part
//! that will be replaced first.

mod seeded;
mod workers;

use std::sync::Arc;

pub(crate) use seeded::Seeded;
pub(crate) use workers::Workers;

/// Something that can have a turn: a process.
pub(crate) trait Runnable: Send + Sync {
    /// One turn. Afterwards it is idle, or has submitted itself again.
    fn run(self: Arc<Self>);
}

/// Where a process goes when it has something to do.
pub(crate) trait Submit: Send + Sync {
    /// Puts `process` at the back of a run queue; exactly one worker will run it.
    fn submit(&self, process: Arc<dyn Runnable>);
}
