//! What the programs of all peers have in common: how they are asked for a figure, and how they measure it.
//!
//! ```text
//!   program    what the runner asks a peer's program for, and how it answers
//!   countdown  how the end of many is awaited at little cost
//!   measure    nanoseconds for each unit; percentiles; memory; the processor's time
//!   beat       how long messages wait while others keep the workers busy
//!   pace       where threads sleep, and burn time
//! ```

pub mod beat;
pub mod countdown;
pub mod measure;
pub mod pace;
mod program;

pub use program::{Form, run};

use std::time::Duration;

/// Threads that run processes, or as many as the peer's form has.
pub const WORKERS: usize = 2;

/// For calls that are answered when the work is done. The round is given up sooner.
pub const LONG: Duration = Duration::from_secs(600);
