//! What time it is: the machine's, or a virtual one that a seeded run moves.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::sync::{AtomicU64, Ordering};

/// An instant of a runtime's life, in nanoseconds since its start: half as large as an `Instant`, and later by
/// one addition.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Moment(u64);

impl Moment {
    /// After all others.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// The moment `delay` later; `NEVER`, if it is further away than moments reach.
    #[inline]
    pub(crate) const fn later(self, delay: Duration) -> Self {
        // Of a constant delay the compiler makes a number.
        let nanos = delay.as_nanos();
        Self(self.0.saturating_add(if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }))
    }

    #[inline]
    pub(crate) const fn stamp(self) -> Stamp {
        Stamp((self.0 >> Stamp::LEFT_OUT) as u32)
    }
}

/// A moment in half the room, rounded down to 17 ms. What is longer ago than two years seems to be less long ago.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp(pub(crate) u32);

impl Stamp {
    /// So many bits of a moment are left out below, and what is above the 32 that follow: an age has no more.
    const LEFT_OUT: u32 = 24;
}

/// A moment that several threads read and set. At first it is `NEVER`.
pub(crate) struct AtomicMoment(AtomicU64);

impl AtomicMoment {
    #[inline]
    pub(crate) fn get(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, moment: Moment) {
        self.0.store(moment.0, Ordering::Relaxed);
    }
}

impl Default for AtomicMoment {
    fn default() -> Self {
        Self(AtomicU64::new(Moment::NEVER.0))
    }
}

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

    /// The moment of `instant`; that of the start, if it was before.
    pub(crate) fn moment(&self, instant: Instant) -> Moment {
        Moment(0).later(instant.saturating_duration_since(self.start))
    }

    /// When `moment` is, which is not `NEVER`.
    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        self.start + Duration::from_nanos(moment.0)
    }

    /// When `stamp` was, which was made of a moment of this clock's.
    pub(crate) fn instant_of(&self, stamp: Stamp) -> Instant {
        let now = self.moment(self.now());
        let age = now.stamp().0.wrapping_sub(stamp.0);
        let then = (now.0 >> Stamp::LEFT_OUT).saturating_sub(age.into());
        self.instant(Moment(then << Stamp::LEFT_OUT))
    }

    /// A moment that is at most [`COARSE`](crate::config::COARSE) before now as long as the ticker is not
    /// held up. It costs a load, where `now` costs a system's clock.
    #[inline]
    pub(crate) fn coarse_moment(&self) -> Moment {
        match &self.virtually {
            None => Moment(self.coarse.load(Ordering::Relaxed)),
            Some(now) => self.moment(*now.lock()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_rounded_down_and_stands_for_its_instant_however_long_the_clock_has_run() {
        let clock = Clock::virtual_from_now();
        for _ in 0..10 {
            clock.advance_by(Duration::from_secs(300 * 24 * 3_600) + Duration::from_millis(5));
            let (then, stamp) = (clock.now(), clock.coarse_moment().stamp());
            clock.advance_by(Duration::from_secs(700 * 24 * 3_600));
            let late = then - clock.instant_of(stamp);
            assert!(late < Duration::from_millis(17), "{late:?}");
        }
    }
}
