//! Whom a process works for: who asked for it, where, and how that one hears of its end without a message.
//!
//! A parent spawns a process; a caller wants what comes of it. As a rule they are one, but for what is spawned under a
//! supervisor. Reports name both, as Elixir's `$callers` do.
//!
//! What this offers is for whoever builds on it, as `Task` of the supervision: a spawn on behalf of a caller ties the two
//! before either can run, and [`settle`] takes the ties back when the work is done. A monitor that is set this way tells a
//! [`Told`], in its place among the signals that the caller receives: after the exit signal of the link, and with nothing
//! in the mailbox.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::exit::ExitReason;
use crate::node::{Node, SpawnOptions};
use crate::pid::Pid;
use crate::process::{Header, turn};
use crate::signal::MonitorRef;
use crate::spec::Spawn;

/// The process that another works for, to be named in [`SpawnOptions::caller`]. It is one of the same node.
#[derive(Clone)]
pub struct Caller {
    /// The process.
    pub pid: Pid,
    /// Whether it is linked to the one that works for it.
    pub link: bool,
    /// What hears, when the caller receives it, that the process which works for it has ended; if anything is to.
    pub told: Option<Arc<dyn Told>>,
    /// Where it asked for the work.
    pub place: &'static Location<'static>,
}

/// What hears of the end of a process, once: in a turn of the process that monitors it.
pub trait Told: Send + Sync {
    /// The process has ended.
    fn ended(&self, reason: ExitReason);
}

/// Whom a process works for, as it keeps it.
pub(crate) struct WorksFor {
    pub(crate) caller: Pid,
    /// The number of the caller's monitor, if it has one.
    pub(crate) monitor: Option<u64>,
    pub(crate) place: &'static Location<'static>,
}

/// Spawns `what` on `node` for the caller that `options` name. Returns the caller's monitor with it: `None` if it wants to
/// be told of nothing, or has ended.
pub fn spawn_for<S: Spawn>(what: S, node: &Node, options: &SpawnOptions) -> (S::Ref, Option<MonitorRef>) {
    let (reference, number) = what.spawn_on(node, options);
    let monitor = options.caller.as_ref().zip(number);
    (reference, monitor.map(|(caller, number)| MonitorRef { owner: caller.pid, number: number.get() }))
}

/// The running process has done what it was asked for: link and monitor between it and its caller are gone, at both ends
/// and at once, so that its end is nothing to the caller.
pub fn settle() {
    turn::with_process(|running| {
        if let Some((_, process)) = running {
            process.settle();
        }
    });
}

impl Header {
    /// See [`settle`].
    fn settle(&self) {
        let Some(extra) = self.extra_if_any() else { return };
        let (caller, reference) = {
            let mut ours = extra.control.lock();
            let Some(&WorksFor { caller, monitor, .. }) = ours.works_for.as_deref() else { return };
            let reference = monitor.map(|number| MonitorRef { owner: caller, number });
            ours.links.remove(&caller);
            if let Some(reference) = reference {
                ours.monitored_by.remove(&reference);
            }
            (caller, reference)
        };
        let theirs = self.node().process(caller);
        let Some(theirs) = theirs.as_ref().and_then(|caller| caller.extra_if_any()) else { return };
        let monitor = {
            let mut theirs = theirs.control.lock();
            theirs.links.remove(&self.pid());
            reference.and_then(|reference| theirs.remove_monitor(reference.number))
        };
        // Not under the lock: with it goes what was to be told.
        drop(monitor);
    }

    /// The process that this one works for.
    pub(crate) fn caller(&self) -> Option<Pid> {
        Some(self.extra_if_any()?.control.lock().works_for.as_ref()?.caller)
    }

    /// Where that process asked for it.
    pub(crate) fn asked_at(&self) -> Option<&'static Location<'static>> {
        Some(self.extra_if_any()?.control.lock().works_for.as_ref()?.place)
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("pid", &self.pid)
            .field("link", &self.link)
            .field("told", &self.told.is_some())
            .field("place", &format_args!("{}", self.place))
            .finish()
    }
}
