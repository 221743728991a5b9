//! What a child has behind it, as far as it matters to how it is started again.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;

/// What a supervisor remembers of a child's former processes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Past {
    /// Since when it runs.
    up_since: Option<Instant>,
    /// How often it has failed in this run of failures.
    failures: u32,
    /// How often it has started.
    starts: u32,
    /// Somebody was told that it stays down because what it needs is down.
    pub(crate) is_held_back: bool,
}

impl Past {
    /// It has started.
    pub(crate) fn on_started(&mut self, now: Instant) {
        self.up_since = Some(now);
        self.starts = self.starts.saturating_add(1);
    }

    /// It has failed, or its start has: how long it waits. `drawn` is a random number.
    pub(crate) fn on_failed(&mut self, now: Instant, backoff: Backoff, drawn: u64) -> Duration {
        let life = self.up_since.take().map(|since| now.saturating_duration_since(since));
        if life.is_some_and(|life| backoff.is_calm(life)) {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        backoff.wait(self.failures, drawn)
    }

    /// How often it has started.
    pub(crate) fn starts(&self) -> u64 {
        self.starts.into()
    }

    /// How often it has started again.
    pub(crate) fn restarts(&self) -> u64 {
        self.starts().saturating_sub(1)
    }
}
