//! One turn of a process: the signals that arrived, then its body, until the budget ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll, Waker};

use super::Cell;
use crate::ambient;
use crate::config::REDUCTIONS_PER_TURN;
use crate::exit::ExitReason;
use crate::panics;
use crate::scheduler::Runnable;

impl<M: Send + 'static> Runnable for Cell<M> {
    fn run(self: Arc<Self>) {
        let due = self.header.state.start_turn();
        // Signals first: a process must not handle more work after it was told to end.
        let mut end = if due.signals { self.receive_signals() } else { None };
        // A signal may have become a message, which a body that waits for one must see.
        let wants_told = due.signals && self.header.wants_message.load(Ordering::Relaxed);
        let mut parked = None;
        if end.is_none() && (due.body || wants_told) {
            end = self.poll_body();
            parked = Some(!self.header.wants_message.load(Ordering::Relaxed));
        }
        match end {
            Some(reason) => self.end(reason),
            None => {
                if self.header.state.end_turn(parked) {
                    let runtime = self.header.node.runtime().clone();
                    runtime.submit(self);
                }
            }
        }
    }
}

impl<M: Send + 'static> Cell<M> {
    fn poll_body(self: &Arc<Self>) -> Option<ExitReason> {
        self.header.budget.store(REDUCTIONS_PER_TURN, Ordering::Relaxed);
        self.header.wants_message.store(false, Ordering::Relaxed);
        let waker = Waker::from(self.clone());
        let mut body = self.body.lock();
        let polled = ambient::within(&self.header.node, self.header.pid, || {
            let body = body.as_mut()?;
            let _span = self.header.span.enter();
            // A panic that no handler's own net caught ends the process here.
            Some(catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(&mut TaskContext::from_waker(&waker)))))
        });
        match polled? {
            Ok(Poll::Pending) => None,
            Ok(Poll::Ready(reason)) => Some(reason),
            Err(payload) => Some(panics::reason(payload)),
        }
    }
}
