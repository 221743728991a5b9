//! The run queue of one worker: what comes next, and the rest, in order.
//!
//! ```text
//!   push ──▶ next, if nothing waits ──▶ pop                 take_over, from an owner that is stuck
//!      └───▶ rest, first in first out ──▶ pop               steal, while the owner is busy
//! ```
//!
//! What waits alone is not for others: it comes next anyway, and whoever sent to it is about to wait for it, as
//! a rule. To tear the two apart costs more than it gains.
#![expect(unsafe_code, reason = "what comes next is kept as a pointer")]

use crossbeam_deque::{Injector, Steal, Stealer, Worker};

use super::next::Next;
use crate::process::{Header, Ready};

/// A run queue, for its owner.
pub(crate) struct RunQueue<'a> {
    rest: Worker<Ready>,
    shared: &'a Shared,
}

/// A run queue, for all others.
pub(crate) struct Shared {
    next: Next<Header>,
    rest: Stealer<Ready>,
}

impl Shared {
    /// A new run queue, and the half that its owner will make a [`RunQueue`] of.
    pub(crate) fn new() -> (Self, Worker<Ready>) {
        let rest = Worker::new_fifo();
        (Self { next: Next::new(), rest: rest.stealer() }, rest)
    }

    /// About how many wait.
    pub(crate) fn len(&self) -> usize {
        self.rest.len() + usize::from(!self.next.is_empty())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.next.is_empty() && self.rest.is_empty()
    }

    /// Takes the first, also if it is alone.
    pub(crate) fn take_over(&self) -> Option<Ready> {
        if let Some(ready) = taken(&self.next) {
            return Some(ready);
        }
        loop {
            match self.rest.steal() {
                Steal::Success(ready) => return Some(ready),
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }
}

impl<'a> RunQueue<'a> {
    pub(crate) fn new(rest: Worker<Ready>, shared: &'a Shared) -> Self {
        Self { rest, shared }
    }

    /// Puts a process at the back. Returns whether there is work for others now: more than one waits.
    pub(crate) fn push(&self, ready: Ready) -> bool {
        if self.push_alone(ready) {
            return false;
        }
        self.rest.push(ready);
        true
    }

    /// Puts a process here if none is. Returns whether it did.
    #[inline]
    pub(crate) fn push_alone(&self, ready: Ready) -> bool {
        let is_alone = self.shared.next.is_empty() && self.rest.is_empty();
        if is_alone {
            self.shared.next.put(ready.into_raw());
        }
        is_alone
    }

    /// Takes the first. The second comes next, and its memory is asked for, while the first has its turn; unless it
    /// is the last, which others may take.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Ready> {
        let first = taken(&self.shared.next).or_else(|| self.rest.pop())?;
        if self.rest.len() > 1
            && let Some(second) = self.rest.pop()
        {
            second.prefetch();
            self.shared.next.put(second.into_raw());
        }
        Some(first)
    }

    pub(crate) fn len(&self) -> usize {
        self.shared.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shared.is_empty()
    }

    /// Takes the first of what came from outside, and puts some of what follows at the back.
    pub(crate) fn take_injected(&self, injector: &Injector<Ready>) -> Option<Ready> {
        loop {
            match injector.steal_batch_and_pop(&self.rest) {
                Steal::Success(ready) => return Some(ready),
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }

    /// Takes the first that is not alone in the queue of another, and puts some of what follows at the back.
    pub(crate) fn steal(&self, from: &Shared) -> Steal<Ready> {
        from.rest.steal_batch_and_pop(&self.rest)
    }

    /// Puts up to `limit` of another's queue at the back.
    pub(crate) fn take_from(&self, other: &Shared, limit: usize) {
        let _ = other.rest.steal_batch_with_limit(&self.rest, limit);
    }
}

#[inline]
fn taken(next: &Next<Header>) -> Option<Ready> {
    // SAFETY: it was put there by `push`, as what it is, and of many who take one has it.
    next.take().map(|raw| unsafe { Ready::from_raw(raw) })
}

#[cfg(test)]
mod tests {
    use std::ptr::NonNull;

    use super::*;

    /// Something to be told apart. Nobody looks at what it leads to.
    fn ready(number: usize) -> Ready {
        let address = NonNull::without_provenance(std::num::NonZero::new(number * 64).expect("numbers begin at 1"));
        // SAFETY: it is compared, and not run.
        unsafe { Ready::from_raw(address) }
    }

    fn number(ready: Ready) -> usize {
        ready.into_raw().addr().get() / 64
    }

    #[test]
    fn what_is_pushed_comes_in_order() {
        let (shared, owned) = Shared::new();
        let queue = RunQueue::new(owned, &shared);
        assert!(!queue.push(ready(1)), "it is alone");
        assert!(queue.push(ready(2)) && queue.push(ready(3)));
        assert_eq!(shared.len(), 3);
        assert_eq!(queue.pop().map(number), Some(1));
        assert!(queue.push(ready(4)));
        for expected in 2..=4 {
            assert_eq!(queue.pop().map(number), Some(expected));
        }
        assert!(queue.pop().is_none() && shared.is_empty() && queue.is_empty());
    }

    #[test]
    fn what_waits_alone_is_taken_over_and_not_stolen() {
        let (shared, owned) = Shared::new();
        let queue = RunQueue::new(owned, &shared);
        let (other, owned) = Shared::new();
        let thief = RunQueue::new(owned, &other);
        queue.push(ready(1));
        assert!(thief.steal(&shared).is_empty());
        assert_eq!(shared.take_over().map(number), Some(1));
        assert!(queue.pop().is_none());
    }

    /// While one has its turn, the last of two can be stolen: two that always have something to do get two workers.
    #[test]
    fn the_last_behind_one_that_runs_can_be_stolen() {
        let (shared, owned) = Shared::new();
        let queue = RunQueue::new(owned, &shared);
        let (other, owned) = Shared::new();
        let thief = RunQueue::new(owned, &other);
        queue.push(ready(1));
        queue.push(ready(2));
        assert_eq!(queue.pop().map(number), Some(1));
        assert_eq!(thief.steal(&shared).success().map(number), Some(2));
    }
}
