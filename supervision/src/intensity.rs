//! How many restarts are too many.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Counts restarts within a window that ends now.
#[derive(Clone, Debug)]
pub(crate) struct Intensity {
    limit: usize,
    period: Duration,
    /// The restarts within the window, oldest first: never more than `limit`.
    restarts: VecDeque<Instant>,
}

/// Whether one more restart is within the limit.
#[must_use = "past the limit, nothing may be restarted"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Restart,
    GiveUp,
}

impl Intensity {
    pub(crate) fn new(limit: u32, period: Duration) -> Self {
        Self { limit: limit as usize, period, restarts: VecDeque::new() }
    }

    /// Counts a restart at `now`.
    pub(crate) fn record(&mut self, now: Instant) -> Verdict {
        // A restart that is exactly one period old still counts, as in OTP.
        while self.restarts.front().is_some_and(|&first| now.saturating_duration_since(first) > self.period) {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= self.limit {
            return Verdict::GiveUp;
        }
        self.restarts.push_back(now);
        Verdict::Restart
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_limit_of_zero_allows_no_restart() {
        let mut intensity = Intensity::new(0, Duration::from_secs(5));
        assert_eq!(intensity.record(Instant::now()), Verdict::GiveUp);
    }

    proptest! {
        /// The naive model keeps every instant and counts those within the window.
        #[test]
        fn it_gives_up_when_the_naive_model_does(
            limit in 0_u32..6,
            period in 1_u64..50,
            gaps in prop::collection::vec(0_u64..30, 1..60),
        ) {
            let start = Instant::now();
            let period = Duration::from_millis(period);
            let mut intensity = Intensity::new(limit, period);
            let mut all = Vec::new();
            let mut elapsed = Duration::ZERO;
            for gap in gaps {
                elapsed += Duration::from_millis(gap);
                let now = start + elapsed;
                all.push(now);
                let within = all.iter().filter(|&&at| now - at <= period).count();
                let expected = if within > limit as usize { Verdict::GiveUp } else { Verdict::Restart };
                prop_assert_eq!(intensity.record(now), expected);
                // A supervisor that gives up is at its end; so is this run.
                if expected == Verdict::GiveUp {
                    break;
                }
            }
        }
    }
}
