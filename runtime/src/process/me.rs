//! What a running process may do as itself. [`Context`](crate::Context) and
//! [`Process`](crate::Process) deref to it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::AnyCell;
use crate::actor::Actor;
use crate::address::{ActorRef, Address};
use crate::exit::ExitReason;
use crate::node::{Node, SpawnOptions};
use crate::pid::Pid;
use crate::signal::{MonitorRef, Signal};
use crate::spec::Spawn;

/// The running process, seen by itself.
pub struct Me {
    pub(super) cell: Arc<dyn AnyCell>,
}

impl Me {
    /// The name of this process.
    pub fn pid(&self) -> Pid {
        self.cell.header().pid
    }

    /// The node it runs on.
    pub fn node(&self) -> &Node {
        &self.cell.header().node
    }

    /// The process that spawned it, if it was spawned by one.
    pub fn parent(&self) -> Option<Pid> {
        self.cell.header().parent
    }

    /// Spawns a process: an actor, or a specification of one. It has this one as its parent.
    pub fn spawn<S: Spawn>(&self, what: S) -> S::Ref {
        what.spawn_on(self.node(), SpawnOptions { parent: Some(self.pid()), link: None })
    }

    /// Spawns a process and links to it, in one step.
    pub fn spawn_link<S: Spawn>(&self, what: S) -> S::Ref {
        what.spawn_on(self.node(), SpawnOptions { parent: Some(self.pid()), link: Some(self.pid()) })
    }

    /// Links to `to`: the end of either reaches the other. If there is no such process, an exit
    /// signal with [`ExitReason::NoProc`] comes back. Linking twice, or to oneself, changes nothing.
    pub fn link(&self, to: impl Into<Pid>) {
        let to = to.into();
        if to != self.pid() && self.cell.header().control.lock().links.insert(to) {
            self.node().signal(to, Signal::Link { from: self.pid() });
        }
    }

    /// Removes the link to `to`, if there is one. Its end no longer reaches this process; what is
    /// already in the mailbox stays.
    pub fn unlink(&self, to: impl Into<Pid>) {
        let to = to.into();
        if self.cell.header().control.lock().links.remove(&to) {
            self.node().signal(to, Signal::Unlink { from: self.pid() });
        }
    }

    /// Asks for a [`Down`](crate::Down) when `target` ends; at once, with
    /// [`ExitReason::NoProc`], if there is no such process.
    pub fn monitor(&self, target: impl Into<Pid>) -> MonitorRef {
        let target = target.into();
        let reference = {
            let mut control = self.cell.header().control.lock();
            let number = control.next_number();
            control.monitors.insert(number, target);
            MonitorRef { owner: self.pid(), number }
        };
        self.node().signal(target, Signal::Monitor { from: self.pid(), reference });
        reference
    }

    /// Takes a monitor back. A `Down` that is already in the mailbox stays; no other comes.
    pub fn demonitor(&self, reference: MonitorRef) {
        if reference.owner != self.pid() {
            return;
        }
        let target = self.cell.header().control.lock().monitors.remove(&reference.number);
        if let Some(target) = target {
            self.node().signal(target, Signal::Demonitor { reference });
        }
    }

    /// Sends `to` an exit signal. [`ExitReason::Kill`] cannot be trapped.
    pub fn exit(&self, to: impl Into<Pid>, reason: ExitReason) {
        self.node().signal(to.into(), Signal::Exit { from: self.pid(), reason, link: false });
    }

    /// From now on, exit signals become [`Exit`](crate::Exit) messages (or no longer do).
    pub fn trap_exits(&self, trap: bool) {
        self.cell.header().control.lock().trap_exit = trap;
    }

    /// Counts `n` units of work against this turn's budget; 0 left ends the turn at the next message.
    pub fn consume_reductions(&self, n: u32) {
        let header = self.cell.header();
        header.reductions.fetch_add(u64::from(n), Ordering::Relaxed);
        let left = header.budget.load(Ordering::Relaxed).saturating_sub(n);
        header.budget.store(left, Ordering::Relaxed);
    }

    /// Runs `action` with the client of `to` after `delay`. The timer belongs to this process and ends with it.
    pub fn after<A: Actor>(
        &self,
        delay: Duration,
        to: &ActorRef<A>,
        action: impl FnOnce(&A::Client) + Send + 'static,
    ) -> TimerRef {
        let to = to.clone();
        self.set_timer(delay, move || action(&to))
    }

    /// Sends `message` to `to` after `delay`. The timer belongs to this process and ends with it.
    pub fn send_after<M: Send + 'static>(&self, delay: Duration, to: &Address<M>, message: M) -> TimerRef {
        let to = to.clone();
        self.set_timer(delay, move || to.cast(message))
    }

    /// Cancels a timer. Returns whether it had not fired yet.
    pub fn cancel_timer(&self, timer: TimerRef) -> bool {
        let cancelled = self.cell.header().control.lock().timers.remove(&timer.0);
        cancelled.is_some()
    }

    fn set_timer(&self, delay: Duration, fire: impl FnOnce() + Send + 'static) -> TimerRef {
        let runtime = self.node().runtime();
        let cell = Arc::downgrade(&self.cell);
        // Held until the key is in its place: a timer that is due at once waits here, and finds it.
        let mut control = self.cell.header().control.lock();
        let number = control.next_number();
        let key = runtime.timers().at(runtime.now() + delay, move || {
            let Some(cell) = cell.upgrade() else { return };
            // Removed first: a timer that fires is no longer one that can be cancelled.
            let key = cell.header().control.lock().timers.remove(&number);
            if key.is_some() {
                fire();
            }
        });
        control.timers.insert(number, key);
        TimerRef(number)
    }
}

impl fmt::Debug for Me {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Me({})", self.pid())
    }
}

/// One timer of a process; made by [`Me::after`] and [`Me::send_after`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerRef(u64);
