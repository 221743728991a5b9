//! A place for a reply of its own: for calls from outside processes, and for more than one at a time.

use std::sync::Arc;
use std::task::{Context as TaskContext, Waker};

use parking_lot::Mutex;

use super::CallFailed;
use super::cycle::Waits;
use crate::sync::{AtomicU8, Ordering};

pub(super) struct Slot<R> {
    state: Mutex<State<R>>,
    is_postponed: AtomicU8,
}

enum State<R> {
    Empty,
    Waiting(Waker),
    Done(Result<R, CallFailed>),
    Taken,
}

impl<R> Slot<R> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::Empty), is_postponed: AtomicU8::new(0) }
    }

    /// The outcome, once; until it is there, the task is woken for it.
    pub(super) fn poll(&self, cx: &TaskContext<'_>) -> Option<Result<R, CallFailed>> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Done(outcome) => Some(outcome),
            State::Taken => None,
            State::Empty | State::Waiting(_) => {
                *state = State::Waiting(cx.waker().clone());
                None
            }
        }
    }

    /// Keeps the first outcome; later ones are dropped.
    pub(super) fn complete(&self, outcome: Result<R, CallFailed>) {
        if let Some(waker) = self.put(outcome) {
            waker.wake();
        }
    }

    /// As [`complete`](Self::complete); whoever waits is still to be woken.
    fn put(&self, outcome: Result<R, CallFailed>) -> Option<Waker> {
        let mut state = self.state.lock();
        if matches!(*state, State::Done(_) | State::Taken) {
            return None;
        }
        match std::mem::replace(&mut *state, State::Done(outcome)) {
            State::Waiting(waker) => Some(waker),
            _ => None,
        }
    }

    /// Nobody waits any more.
    pub(super) fn give_up(&self) {
        let before = std::mem::replace(&mut *self.state.lock(), State::Taken);
        drop(before);
    }

    /// The reply may come from elsewhere than the callee.
    pub(super) fn postpone(&self) {
        self.is_postponed.store(1, Ordering::Relaxed);
    }

    /// Whether nobody will read what is sent here: the caller holds the other handle while it waits.
    pub(super) fn is_abandoned(slot: &Arc<Self>) -> bool {
        Arc::strong_count(slot) == 1 || matches!(*slot.state.lock(), State::Done(_) | State::Taken)
    }
}

impl<R: Send> Waits for Slot<R> {
    fn is_awaited(&self) -> bool {
        self.is_postponed.load(Ordering::Relaxed) == 0 && matches!(*self.state.lock(), State::Waiting(_))
    }

    fn fail(&self, failed: CallFailed) -> Option<Waker> {
        self.put(Err(failed))
    }
}
