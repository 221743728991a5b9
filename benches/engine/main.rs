//! What the engine costs, beside tokio's tasks and channels, in one run.
//!
//! ```text
//! cargo bench --bench engine                              all rows
//! cargo bench --bench engine -- --quick ping_pong ring    small counts, three rounds, three rows
//! ```
//!
//! ```text
//!   program   what was asked for; a child's errand
//!   row       what is measured: a name, a count, the work of each contender
//!   contest   rounds, contenders in turn, each in an OS process of its own
//!   table     median and range of what they said
//!   host      two workers for each contender; warm-up; nanoseconds per unit
//!   ball      what goes to and fro between random pairs
//!   countdown how the end of many is awaited at little cost
//!   counting  the allocator that counts
//!   cpu       the processor's time that was used
//!   pace      where threads sleep, and burn time
//!   rows/     the work
//! ```
//!
//! # Not here
//! Judgement. A figure that is too high is not an error; a child that fails, or does not end, is.

mod ball;
mod contest;
mod countdown;
mod counting;
mod cpu;
mod host;
mod pace;
mod program;
mod row;
mod rows;
mod table;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

fn main() -> ExitCode {
    program::run()
}
