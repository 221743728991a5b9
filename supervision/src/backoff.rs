//! How long a child stays down before it is started again.

use std::fmt;
use std::time::Duration;

/// How long a supervisor waits before it starts a child again that has ended by itself.
///
/// OTP's supervisors do not wait, and neither do these without being told. A back-off is for children that fail because of
/// something that takes its time: a database that comes up, a port that is still in use. The first wait of a run of failures is
/// the shortest, each further one is twice as long, up to the longest. A child that has lived for [`calm`](Self::calm) begins
/// a new run. Each restart counts against the supervisor's intensity as ever.
///
/// With jitter, a wait is drawn between that part of it and the whole, so that a thousand clients of one server do not
/// come back in one instant: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 (all of the wait is
/// drawn there; half of it by default here, so that there is always one).
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor, Default)]
/// struct Link;
///
/// #[handlers]
/// impl Link {}
///
/// let patient = Backoff::new(millis(100), secs(30));
/// let links = Supervisor::one_for_one().intensity(100, secs(60)).child(Link::spec().backoff(patient));
/// assert_eq!(patient.longest_wait(1), millis(100));
/// assert_eq!(patient.longest_wait(4), millis(800));
/// assert_eq!(patient.longest_wait(40), secs(30));
/// # let _ = links;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    /// In parts of 256.
    jitter: u16,
    calm: Duration,
}

/// The shortest and the longest wait.
impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, longest, .. } = self;
        if first == longest { write!(f, "{first:?}") } else { write!(f, "{first:?} to {longest:?}") }
    }
}

/// What the jitter is a part of.
const WHOLE: u16 = 256;

impl Backoff {
    /// Waits `first` after the first failure, twice as long after each further one, `longest` at most; of each wait one half
    /// is jitter. A child that has lived for `longest` begins anew.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest: longest.max(first), jitter: WHOLE / 2, calm: longest.max(first) }
    }

    /// Waits as long after each failure, without jitter.
    pub fn constant(wait: Duration) -> Self {
        Self { jitter: 0, ..Self::new(wait, wait) }
    }

    /// Which part of each wait is drawn: 0.0 for none of it, 1.0 for all of it. What is less or more counts as these.
    pub fn jitter(self, part: f64) -> Self {
        Self { jitter: (part.clamp(0.0, 1.0) * f64::from(WHOLE)) as u16, ..self }
    }

    /// How long a child must have lived for its next failure to count as the first of a run.
    pub fn calm(self, calm: Duration) -> Self {
        Self { calm, ..self }
    }

    /// How long the wait is at most after failure number `failures` of a run, counted from 1.
    pub fn longest_wait(&self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.longest)
    }

    /// How long the wait is after failure number `failures` of a run: `drawn` is a random number.
    pub(crate) fn wait(&self, failures: u32, drawn: u64) -> Duration {
        let longest = self.longest_wait(failures);
        let jitter = longest / u32::from(WHOLE) * u32::from(self.jitter);
        // 2^16 steps are as fine as anybody can tell.
        longest - jitter / (1 << 16) * (drawn as u16).into()
    }

    /// Whether a child that has lived for `life` has left its failures behind.
    pub(crate) fn is_calm(&self, life: Duration) -> bool {
        life >= self.calm
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_is_within_its_jitter_and_never_longer_than_the_longest(
            first in 0_u64..10_000, longest in 0_u64..100_000, part in 0.0..=1.0, failures in 1_u32..200, drawn: u64,
        ) {
            let (first, longest) = (Duration::from_millis(first), Duration::from_millis(longest));
            let backoff = Backoff::new(first, longest).jitter(part);
            // In numbers that lose nothing.
            let whole = (first.as_secs_f64() * 2_f64.powi(failures as i32 - 1)).min(longest.max(first).as_secs_f64());
            let wait = backoff.wait(failures, drawn).as_secs_f64();
            prop_assert!(wait <= whole + 1e-6, "{wait} of {whole}");
            prop_assert!(wait >= whole * (1.0 - part) - 1e-3, "{wait} of {whole}, {part} of it jitter");
        }

        #[test]
        fn a_constant_wait_is_that(millis in 0_u64..10_000, failures in 1_u32..200, drawn: u64) {
            let wait = Duration::from_millis(millis);
            prop_assert_eq!(Backoff::constant(wait).wait(failures, drawn), wait);
        }
    }

    #[test]
    fn all_of_a_wait_can_be_drawn() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1)).jitter(1.0);
        let mut waits: Vec<_> =
            (0..1_000_u64).map(|n| backoff.wait(1, n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
        waits.sort_unstable();
        assert!(waits[0] < Duration::from_millis(20) && waits[999] > Duration::from_millis(980));
        assert!(waits[499] > Duration::from_millis(400) && waits[499] < Duration::from_millis(600));
    }
}
