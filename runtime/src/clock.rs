//! What time it is: the machine's, or a virtual one that a seeded run moves.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A clock that is either the machine's or stands still until it is moved.
pub(crate) enum Clock {
    System,
    /// The instant that a seeded run has reached.
    Virtual(Mutex<Instant>),
}

impl Clock {
    pub(crate) fn virtual_from_now() -> Self {
        Self::Virtual(Mutex::new(Instant::now()))
    }

    pub(crate) fn now(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            Self::Virtual(now) => *now.lock(),
        }
    }

    /// Moves a virtual clock forward; the machine's moves by itself.
    pub(crate) fn advance_to(&self, instant: Instant) {
        if let Self::Virtual(now) = self {
            let mut now = now.lock();
            *now = instant.max(*now);
        }
    }

    /// Moves a virtual clock by the cost of a turn, so that a busy process cannot stop time.
    pub(crate) fn advance_by(&self, duration: Duration) {
        if let Self::Virtual(now) = self {
            *now.lock() += duration;
        }
    }
}
