//! What a handler may do beside working on its state.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use crate::actor::Actor;
use crate::address::ActorRef;
use crate::exit::ExitReason;
use crate::process::{Me, Process, TimerRef};
use crate::signal::Info;

/// The process around an actor, given to its handlers. Derefs to [`Me`]: links, monitors, spawning.
pub struct Context<A: Actor> {
    pub(crate) process: Process<A::Msg>,
    pub(crate) stopping: Option<ExitReason>,
}

impl<A: Actor> Context<A> {
    pub(crate) fn new(process: Process<A::Msg>) -> Self {
        Self { process, stopping: None }
    }

    /// The reference to this process.
    pub fn myself(&self) -> ActorRef<A> {
        ActorRef::new(self.process.address())
    }

    /// Ends the process with `reason` after this handler, by way of `terminate`.
    pub fn stop(&mut self, reason: ExitReason) {
        self.stopping.get_or_insert(reason);
    }

    /// Sends this process a message after `delay`: `cx.tell_after(secs(1), |me| me.tick())`.
    pub fn tell_after(&self, delay: Duration, action: impl FnOnce(&A::Client) + Send + 'static) -> TimerRef {
        self.after(delay, &self.myself(), action)
    }

    /// Logs an info that no handler takes.
    pub fn log_unexpected(&self, info: &Info) {
        tracing::warn!(pid = %self.pid(), actor = A::NAME, ?info, "no handler takes this");
    }
}

impl<A: Actor> Deref for Context<A> {
    type Target = Me;

    fn deref(&self) -> &Me {
        &self.process
    }
}

impl<A: Actor> fmt::Debug for Context<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({} {})", A::NAME, self.pid())
    }
}
