//! The run queues of the strict priorities: max before high, high before everything else.
//!
//! One queue each for all workers, behind one count, so that who finds nothing here looks at one number.

use crossbeam_queue::SegQueue;

use crate::priority::Priority;
use crate::process::Ready;
use crate::sync::{AtomicUsize, Ordering};

#[derive(Default)]
pub(crate) struct Strict {
    ready: AtomicUsize,
    max: SegQueue<Ready>,
    high: SegQueue<Ready>,
}

impl Strict {
    pub(crate) fn push(&self, ready: Ready, priority: Priority) {
        let queue = if priority == Priority::Max { &self.max } else { &self.high };
        queue.push(ready);
        // After the push, so that who sees the count finds something.
        self.ready.fetch_add(1, Ordering::Release);
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<Ready> {
        if self.ready.load(Ordering::Acquire) == 0 {
            return None;
        }
        let found = self.max.pop().or_else(|| self.high.pop())?;
        self.ready.fetch_sub(1, Ordering::Relaxed);
        Some(found)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.load(Ordering::Acquire) == 0
    }
}
