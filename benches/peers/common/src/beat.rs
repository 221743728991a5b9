//! How long a message waits until it is handled, while others keep the workers busy.
//!
//! A thread that is no worker sends the victim a message each millisecond, with the time. What is measured is from there to
//! the victim's handler.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::{measure, pace};

/// Each time the victim is sent a message.
const BEAT: Duration = Duration::from_millis(1);

/// Who blocks begins once a second, all of them at the same time.
const BEATS_BETWEEN_BLOCKS: u64 = 1_000;

/// A victim that has not handled all by so long after the last was sent is starved.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many always have a next message, whose handling burns time.
pub const HOGS: usize = 100;
/// How many block at the same time.
pub const BLOCKERS: usize = 2;
/// For how long they do.
pub const BLOCKED: Duration = Duration::from_millis(500);

/// Where the victim notes how long its messages have waited.
pub struct Waits {
    waited: Vec<Duration>,
    warm_up: u64,
    expected: u64,
    all: mpsc::Sender<Vec<Duration>>,
}

impl Waits {
    /// For `count` that count, after a tenth as many that do not.
    pub fn for_count(count: u64) -> (Self, mpsc::Receiver<Vec<Duration>>) {
        let (all, waited) = mpsc::channel();
        (Self { waited: Vec::with_capacity(count as usize), warm_up: count / 10, expected: count, all }, waited)
    }

    /// The message that was sent at this moment is handled now.
    pub fn note(&mut self, sent: Instant) {
        let waited = sent.elapsed();
        if self.warm_up > 0 {
            self.warm_up -= 1;
            return;
        }
        self.waited.push(waited);
        if self.waited.len() as u64 == self.expected {
            // Whoever does not wait for it has given the round up.
            let _ = self.all.send(std::mem::take(&mut self.waited));
        }
    }
}

/// Sends the victim its messages, each with the time, and once a second tells the blockers to begin. Returns the
/// [`percentiles`](measure::percentiles) of what they waited, in microseconds; of a victim that is starved, infinity.
pub fn beat(count: u64, waited: &mpsc::Receiver<Vec<Duration>>, send: impl Fn(Instant), block: impl Fn()) -> Vec<f64> {
    let mut due = Instant::now();
    for n in 0..count + count / 10 {
        pace::sleep_until(due);
        if n % BEATS_BETWEEN_BLOCKS == 0 {
            block();
        }
        send(Instant::now());
        due += BEAT;
    }
    waited.recv_timeout(PATIENCE).map_or(vec![f64::INFINITY; 3], measure::percentiles)
}
