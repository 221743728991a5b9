//! When memory that nobody needs goes back to the operating system.
//!
//! Each time that it is due, what nobody has needed since the time before is given back. So what a busy runtime needs now
//! and then it keeps; and one that has fallen idle is seen to twice, and then no more.

use std::time::Instant;

use crate::config::MEMORY_KEPT;

/// When memory is next given back.
pub(super) struct Trimming {
    due: Instant,
    /// How often it is still due while nothing runs.
    left: u8,
}

/// What was needed before the runtime fell idle is found unneeded the second time.
const ONCE_IDLE: u8 = 2;

impl Trimming {
    pub(super) fn new(now: Instant) -> Self {
        Self { due: now + MEMORY_KEPT, left: 0 }
    }

    /// Whether it is due. `is_idle`: nothing runs.
    pub(super) fn is_due(&mut self, now: Instant, is_idle: bool) -> bool {
        if !is_idle {
            self.left = ONCE_IDLE;
        }
        if now < self.due || self.left == 0 {
            return false;
        }
        self.due = now + MEMORY_KEPT;
        if is_idle {
            self.left -= 1;
        }
        true
    }

    /// When to look again, if nothing runs until then.
    pub(super) fn next(&self) -> Option<Instant> {
        (self.left > 0).then_some(self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_now_and_then_while_anything_runs() {
        let start = Instant::now();
        let mut trimming = Trimming::new(start);
        assert!(!trimming.is_due(start, false));
        for round in 1..10 {
            assert!(trimming.is_due(start + MEMORY_KEPT * round, false));
            assert!(!trimming.is_due(start + MEMORY_KEPT * round, false), "once is enough");
        }
    }

    #[test]
    fn it_is_due_twice_once_nothing_runs_and_then_no_more() {
        let start = Instant::now();
        let mut trimming = Trimming::new(start);
        assert_eq!(trimming.next(), None, "nothing has run yet");
        assert!(!trimming.is_due(start + MEMORY_KEPT, true));
        for round in [2, 12] {
            assert!(trimming.is_due(start + MEMORY_KEPT * round, false));
            for idle in 1..=2 {
                assert_eq!(trimming.next(), Some(start + MEMORY_KEPT * (round + idle)));
                assert!(trimming.is_due(start + MEMORY_KEPT * (round + idle), true));
            }
            assert_eq!(trimming.next(), None);
            assert!(!trimming.is_due(start + MEMORY_KEPT * (round + 3), true));
        }
    }
}
