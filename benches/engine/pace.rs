//! Real time passes: the only place of this bench where a thread sleeps. `benches/peers` compiles this file too.
#![allow(unreachable_pub, reason = "in `benches/peers` it is part of a library")]

use std::thread;
use std::time::{Duration, Instant};

/// Sleeps until `due`, on a thread that is no worker, or to block one on purpose.
#[expect(clippy::disallowed_methods, reason = "that real time passes, and on which thread, is what is measured")]
pub fn sleep_until(due: Instant) {
    thread::sleep(due.saturating_duration_since(Instant::now()));
}

/// Sleeps for `duration`, likewise.
pub fn sleep(duration: Duration) {
    sleep_until(Instant::now() + duration);
}

/// Keeps the core busy for so long.
pub fn burn(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        std::hint::spin_loop();
    }
}
