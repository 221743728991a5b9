//! What the programs of all peers have in common: how they are asked for a figure, and how they measure it.
//!
//! ```text
//!   host       two workers of tokio's, for peers that are libraries on it
//!   program    what the runner asks a peer's program for, and how it answers
//!   ball       what goes to and fro between random pairs                   (the engine bench's)
//!   countdown  how the end of many is awaited at little cost               (the engine bench's)
//!   started    where idle actors count when they have started
//!   measure    nanoseconds for each unit; percentiles; memory; the processor's time
//!   beat       how long messages wait while others keep the workers busy
//!   pace       where threads sleep, and burn time                           (the engine bench's)
//! ```

#[path = "../../../engine/ball.rs"]
pub mod ball;
pub mod beat;
#[path = "../../../engine/countdown.rs"]
pub mod countdown;
pub mod host;
pub mod measure;
#[path = "../../../engine/pace.rs"]
pub mod pace;
mod program;
pub mod started;

pub use program::{Form, run};

use std::time::Duration;

/// Threads that run processes, or as many as the peer's form has.
pub const WORKERS: usize = 2;

/// For calls that are answered when the work is done. The round is given up sooner.
pub const LONG: Duration = Duration::from_secs(600);
