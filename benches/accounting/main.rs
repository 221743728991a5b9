//! The rows of [`engine`](../engine/main.rs), with the allocator installed that charges processes. What it costs is the
//! difference between the two.
//!
//! ```text
//! cargo bench --bench accounting -- ping_pong ask ring
//! ```

#[path = "../engine/ball.rs"]
mod ball;
#[path = "../engine/contest.rs"]
mod contest;
#[path = "../engine/countdown.rs"]
mod countdown;
#[path = "../engine/counting.rs"]
mod counting;
#[path = "../engine/cpu.rs"]
mod cpu;
#[path = "../engine/host.rs"]
mod host;
#[path = "../engine/pace.rs"]
mod pace;
#[path = "../engine/program.rs"]
mod program;
#[path = "../engine/row.rs"]
mod row;
#[path = "../engine/rows/mod.rs"]
mod rows;
#[path = "../engine/table.rs"]
mod table;

use std::process::ExitCode;

use biotope::memory::Accounting;

#[global_allocator]
static ALLOCATOR: Accounting<counting::Counting> = Accounting::over(counting::Counting);

fn main() -> ExitCode {
    program::run()
}
