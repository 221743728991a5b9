//! The one readable report of a crash.

use std::fmt;
use std::sync::Arc;

use crate::exit::ExitReason;
use crate::inspect::ProcessInfo;
use crate::pid::Pid;
use crate::process::Header;

/// What is known of a process that ended abnormally. Its `Display` is the report that people read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CrashReport {
    /// The process.
    pub pid: Pid,
    /// The name of its node.
    pub node: Arc<str>,
    /// What it ran: the actor's name.
    pub actor: &'static str,
    /// The name it was registered under.
    pub name: Option<Arc<str>>,
    /// What it called itself.
    pub label: Option<Arc<str>>,
    /// The process that spawned it.
    pub parent: Option<Pid>,
    /// Why it ended.
    pub reason: ExitReason,
    /// How many messages were left.
    pub mailbox_len: usize,
    /// How much work it had done.
    pub reductions: u64,
    /// Whom it was linked to, and who is told.
    pub links: Vec<Pid>,
}

impl CrashReport {
    /// The report of the process at `header`, which is about to end with `reason`, out of order.
    #[cold]
    pub(crate) fn of(header: &Header, reason: &ExitReason) -> Self {
        let info = ProcessInfo::of(header);
        Self {
            pid: info.pid,
            node: header.node().name().into(),
            actor: info.actor,
            name: info.name,
            label: info.label,
            parent: info.parent,
            reason: reason.clone(),
            mailbox_len: info.mailbox_len,
            reductions: info.reductions,
            links: info.links,
        }
    }
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().map(|name| format!(" \"{name}\"")).unwrap_or_default();
        writeln!(f, "{}{name} {} on node {} crashed", self.actor, self.pid, self.node)?;
        if let Some(label) = &self.label {
            writeln!(f, "  label       {label}")?;
        }
        writeln!(f, "  reason      {}", self.reason)?;
        match self.parent {
            Some(parent) => writeln!(f, "  parent      {parent}")?,
            None => writeln!(f, "  parent      none")?,
        }
        writeln!(f, "  links       {:?}", self.links)?;
        writeln!(f, "  mailbox     {} unhandled", self.mailbox_len)?;
        write!(f, "  reductions  {}", self.reductions)?;
        if let ExitReason::Panic(panic) = &self.reason
            && let Some(backtrace) = &panic.backtrace
        {
            write!(f, "\n{backtrace}")?;
        }
        Ok(())
    }
}
