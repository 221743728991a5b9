//! Things that happen at an instant: wakers of sleeping futures, deadlines of calls, delayed messages.
//!
//! One ordered queue for each runtime. On the real clock a thread of its own waits for the earliest
//! deadline and sleeps when there is none; in a seeded run the scheduler moves the clock to the
//! earliest deadline whenever nothing can run. Timers never fire early.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

type Fire = Box<dyn FnOnce() + Send>;

pub(crate) struct Timers {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    /// By deadline, then in the order of insertion.
    waiting: BTreeMap<(Instant, u64), Fire>,
    inserted: u64,
    closed: bool,
}

/// A timer that is cancelled when this is dropped.
#[must_use = "a timer is cancelled when its key is dropped"]
pub(crate) struct TimerKey {
    timers: Weak<Timers>,
    key: (Instant, u64),
}

impl Timers {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), changed: Condvar::new() })
    }

    /// Runs `fire` at `deadline`, unless the key is dropped before.
    pub(crate) fn at(self: &Arc<Self>, deadline: Instant, fire: impl FnOnce() + Send + 'static) -> TimerKey {
        let mut queue = self.queue.lock();
        let key = (deadline, queue.inserted);
        queue.inserted += 1;
        let is_first = queue.waiting.first_key_value().is_none_or(|(first, _)| key < *first);
        queue.waiting.insert(key, Box::new(fire));
        drop(queue);
        if is_first {
            self.changed.notify_one();
        }
        TimerKey { timers: Arc::downgrade(self), key }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.queue.lock().waiting.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Fires everything that is due at `now`.
    pub(crate) fn fire_until(&self, now: Instant) {
        loop {
            let mut queue = self.queue.lock();
            let Some(first) = queue.waiting.first_entry().filter(|first| first.key().0 <= now) else { return };
            let fire = first.remove();
            // Firing may wake a process, which may set a timer: not under the lock.
            drop(queue);
            fire();
        }
    }

    /// Waits for deadlines and fires them, until the timers are closed. The body of the timer thread.
    pub(crate) fn run(&self) {
        let mut queue = self.queue.lock();
        while !queue.closed {
            match queue.waiting.first_key_value().map(|((deadline, _), _)| *deadline) {
                None => self.changed.wait(&mut queue),
                Some(deadline) if deadline > Instant::now() => {
                    self.changed.wait_until(&mut queue, deadline);
                }
                Some(_) => {
                    drop(queue);
                    self.fire_until(Instant::now());
                    queue = self.queue.lock();
                }
            }
        }
    }

    pub(crate) fn close(&self) {
        let mut queue = self.queue.lock();
        queue.closed = true;
        let abandoned = std::mem::take(&mut queue.waiting);
        drop(queue);
        self.changed.notify_all();
        drop(abandoned);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.queue.lock().waiting.len()
    }
}

impl Drop for TimerKey {
    fn drop(&mut self) {
        if let Some(timers) = self.timers.upgrade() {
            let cancelled = timers.queue.lock().waiting.remove(&self.key);
            // What the closure held is dropped after the lock is released.
            drop(cancelled);
        }
    }
}

impl fmt::Debug for TimerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimerKey")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timers_fire_in_the_order_of_deadlines_and_never_early() {
        let timers = Timers::new();
        let start = Instant::now();
        let fired = Arc::new(Mutex::new(Vec::new()));
        let _keys = [30, 10, 20, 10].map(|ms| {
            let fired = fired.clone();
            timers.at(start + Duration::from_millis(ms), move || fired.lock().push(ms))
        });
        timers.fire_until(start + Duration::from_millis(9));
        assert!(fired.lock().is_empty());
        timers.fire_until(start + Duration::from_millis(20));
        assert_eq!(*fired.lock(), [10, 10, 20]);
        assert_eq!(timers.len(), 1);
    }

    #[test]
    fn a_dropped_key_cancels_its_timer() {
        let timers = Timers::new();
        let key = timers.at(Instant::now(), || panic!("cancelled timers do not fire"));
        drop(key);
        timers.fire_until(Instant::now());
        assert_eq!(timers.len(), 0);
    }
}
