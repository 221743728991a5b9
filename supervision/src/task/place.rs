//! Where a task's outcome waits for its owner.
//!
//! Two may fill it, and the first counts: the task, with its value, and the owner itself, when it receives that the task has
//! ended. A task that has given its value is untied from its owner before, so that there is nothing to receive then.

use std::mem;
use std::task::{Context, Poll, Waker};

use biotope_runtime::{ExitReason, Told};
use parking_lot::Mutex;

/// What came of a task: its value, or why it has none.
pub(super) type Outcome<T> = Result<T, ExitReason>;

pub(super) struct Place<T>(Mutex<State<T>>);

enum State<T> {
    Empty,
    /// Its owner waits.
    Awaited(Waker),
    There(Outcome<T>),
    /// It was taken, or nobody wants it.
    Closed,
}

impl<T> Place<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State::Empty))
    }

    /// Fills it, if it is open and empty.
    pub(super) fn put(&self, outcome: Outcome<T>) {
        let mut state = self.0.lock();
        let waker = match &*state {
            State::There(_) | State::Closed => {
                // Not under the lock: with it goes what is the user's.
                drop(state);
                return drop(outcome);
            }
            State::Empty | State::Awaited(_) => mem::replace(&mut *state, State::There(outcome)),
        };
        drop(state);
        if let State::Awaited(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the outcome, if it is there.
    pub(super) fn take(&self) -> Option<Outcome<T>> {
        let mut state = self.0.lock();
        match mem::replace(&mut *state, State::Closed) {
            State::There(outcome) => Some(outcome),
            before => {
                *state = before;
                None
            }
        }
    }

    /// Whether the outcome is there; until then, whoever polled last is woken for it.
    pub(super) fn poll_there(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        match &*state {
            State::There(_) => Poll::Ready(()),
            State::Closed => Poll::Pending,
            State::Empty | State::Awaited(_) => {
                *state = State::Awaited(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Takes the outcome; until it is there, whoever polled last is woken for it.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<Outcome<T>> {
        let mut state = self.0.lock();
        match mem::replace(&mut *state, State::Closed) {
            State::There(outcome) => Poll::Ready(outcome),
            State::Closed => Poll::Pending,
            State::Empty | State::Awaited(_) => {
                *state = State::Awaited(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Nobody wants the outcome any more.
    pub(super) fn close(&self) {
        let before = mem::replace(&mut *self.0.lock(), State::Closed);
        drop(before);
    }
}

impl<T: Send> Told for Place<T> {
    fn ended(&self, reason: ExitReason) {
        self.put(Err(reason));
    }
}
