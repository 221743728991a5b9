//! What time it is: the machine's, or a virtual one that a seeded run moves.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::sync::{AtomicU64, Ordering};

/// A clock that is either the machine's or stands still until it is moved.
pub(crate) struct Clock {
    start: Instant,
    /// In nanoseconds since the start: where the ticker last saw the machine's clock.
    coarse: AtomicU64,
    /// The instant that a seeded run has reached; `None` is the machine's.
    virtually: Option<Mutex<Instant>>,
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self { start: Instant::now(), coarse: AtomicU64::new(0), virtually: None }
    }

    pub(crate) fn virtual_from_now() -> Self {
        let start = Instant::now();
        Self { start, coarse: AtomicU64::new(0), virtually: Some(Mutex::new(start)) }
    }

    pub(crate) fn now(&self) -> Instant {
        match &self.virtually {
            None => Instant::now(),
            Some(now) => *now.lock(),
        }
    }

    /// When this clock began.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// An instant that is at most [`COARSE`](crate::config::COARSE) before now as long as the ticker is not
    /// held up. It costs a load, where `now` costs a system's clock.
    #[inline]
    pub(crate) fn coarse_now(&self) -> Instant {
        match &self.virtually {
            None => self.start + Duration::from_nanos(self.coarse.load(Ordering::Relaxed)),
            Some(now) => *now.lock(),
        }
    }

    /// Brings the coarse instant up to the machine's, and returns that.
    pub(crate) fn refresh(&self) -> Instant {
        let now = self.now();
        self.coarse.fetch_max((now - self.start).as_nanos() as u64, Ordering::Relaxed);
        now
    }

    /// Moves a virtual clock forward; the machine's moves by itself.
    pub(crate) fn advance_to(&self, instant: Instant) {
        if let Some(now) = &self.virtually {
            let mut now = now.lock();
            *now = instant.max(*now);
        }
    }

    /// Moves a virtual clock by the cost of a turn, so that a busy process cannot stop time.
    pub(crate) fn advance_by(&self, duration: Duration) {
        if let Some(now) = &self.virtually {
            *now.lock() += duration;
        }
    }
}
