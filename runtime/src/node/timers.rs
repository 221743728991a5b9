//! Timers that are set from outside a process.

use std::time::Duration;

use super::Node;
use crate::address::{ActorRef, Address};
use crate::timer::{Action, TimerRef};

impl Node {
    /// Sends `message` to `to` after `delay`. The timer belongs to `to` and ends with it.
    pub fn send_after<M: Send + 'static>(&self, delay: Duration, to: &Address<M>, message: M) -> TimerRef {
        self.start_timer(delay, to, |_| message)
    }

    /// Sends `to`, after `delay`, what `message` makes of the timer's reference.
    ///
    /// `message` runs on the thread of the timers and in no process: it must not block, and cannot `spawn`. Its panic ends
    /// nothing.
    pub fn start_timer<M: Send + 'static>(
        &self,
        delay: Duration,
        to: &Address<M>,
        message: impl FnOnce(TimerRef) -> M + Send + 'static,
    ) -> TimerRef {
        let address = to.clone();
        self.set_timer(delay, to, move |timer| address.cast(message(timer)))
    }

    /// Runs `action` with the client of `to` after `delay`. The timer belongs to `to` and ends with it.
    ///
    /// `action` runs on the thread of the timers and in no process: it must not block, and cannot `spawn`. Its panic ends
    /// nothing.
    pub fn after<A: crate::Actor>(
        &self,
        delay: Duration,
        to: &ActorRef<A>,
        action: impl FnOnce(&A::Client) + Send + 'static,
    ) -> TimerRef {
        let reference = to.clone();
        self.set_timer(delay, to.address(), move |_| action(&reference))
    }

    /// Sends `to` what `message` makes, every `period` from now, until `to` ends or the timer is cancelled.
    /// To a process of another node, once.
    ///
    /// `message` runs on the thread of the timers and in no process: it must not block, and cannot `spawn`. Its panic ends
    /// nothing.
    pub fn send_interval<M: Send + 'static>(
        &self,
        period: Duration,
        to: &Address<M>,
        mut message: impl FnMut() -> M + Send + 'static,
    ) -> TimerRef {
        let address = to.clone();
        let runtime = self.runtime();
        match to.cell() {
            Some(cell) => {
                runtime.timers().fire_every(runtime.now(), period, cell.header(), move || address.cast(message()))
            }
            None => self.set_timer(period, to, move |_| address.cast(message())),
        }
    }

    /// How long it is until a timer fires; `None` if it has fired or was cancelled.
    pub fn read_timer(&self, timer: TimerRef) -> Option<Duration> {
        let runtime = self.runtime();
        let deadline = runtime.timers().deadline(timer)?;
        Some(deadline.saturating_duration_since(runtime.now()))
    }

    /// Cancels a timer. Returns how long it would have been until it fired; `None` if it is too late.
    pub fn cancel_timer(&self, timer: TimerRef) -> Option<Duration> {
        let runtime = self.runtime();
        let deadline = runtime.timers().cancel(timer)?;
        Some(deadline.saturating_duration_since(runtime.now()))
    }

    fn set_timer<M: Send + 'static>(
        &self,
        delay: Duration,
        to: &Address<M>,
        fire: impl FnOnce(TimerRef) + Send + 'static,
    ) -> TimerRef {
        let runtime = self.runtime();
        let deadline = runtime.now_and(delay);
        match to.cell() {
            Some(cell) => runtime.timers().fire_at(deadline, cell.header(), fire),
            // A process of another node: its end is not known here in time, and is a dead letter.
            None => runtime.timers().at(deadline, Action::Fire(None, Box::new(fire))),
        }
    }
}
