//! Aliases: revocable addresses of a process.
//!
//! What is sent by an alias is *received*, like a signal, and only then becomes a message: if the alias
//! no longer stands at that moment, the message vanishes. So nothing of a finished conversation shows up
//! later, and what was in the mailbox before an alias was revoked stays there.

use std::fmt;

use super::reference::CellRef;
use crate::mailbox::Special;
use crate::pid::Pid;

/// When an alias ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AliasEnd {
    /// Only when it is revoked, or its process ends.
    Explicit,
    /// With the monitor that it was made with: when that is taken back, or has told.
    WithMonitor,
    /// With the first message that comes by it; the monitor that it was made with ends then too.
    FirstReply,
}

/// A revocable address, made by [`Process::alias`](crate::Process::alias) and its siblings.
///
/// # Delivery
/// At most once, and not at all if the alias no longer stands when the message is received.
pub struct Alias<M> {
    cell: CellRef<M>,
    number: u64,
}

/// An alias by which messages may go before all others; made by
/// [`Process::priority_alias`](crate::Process::priority_alias). Priority is the receiver's to grant.
pub struct PriorityAlias<M>(Alias<M>);

impl<M: Send + 'static> Alias<M> {
    pub(super) fn new(cell: CellRef<M>, number: u64) -> Self {
        Self { cell, number }
    }

    /// The process that made it.
    pub fn pid(&self) -> Pid {
        self.cell.header().pid()
    }

    /// Sends `message`. It vanishes if the alias was revoked, or its process has ended.
    pub fn cast(&self, message: M) {
        self.send(message, false);
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn send(&self, message: M, urgent: bool) {
        // A message that nobody will have vanishes: that is what an alias is for.
        let _ = self.cell.push_special(Special::ByAlias { number: self.number, message, urgent });
    }
}

impl<M: Send + 'static> PriorityAlias<M> {
    pub(crate) fn new(alias: Alias<M>) -> Self {
        Self(alias)
    }

    /// The process that made it.
    pub fn pid(&self) -> Pid {
        self.0.pid()
    }

    /// Sends `message` as one among others.
    pub fn cast(&self, message: M) {
        self.0.cast(message);
    }

    /// Sends `message` to be read before all that came without priority.
    pub fn cast_urgent(&self, message: M) {
        self.0.send(message, true);
    }

    pub(super) fn alias(&self) -> &Alias<M> {
        &self.0
    }
}

impl<M> Clone for Alias<M> {
    fn clone(&self) -> Self {
        Self { cell: self.cell.clone(), number: self.number }
    }
}

impl<M> Clone for PriorityAlias<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Send + 'static> fmt::Debug for Alias<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alias({}#{})", self.pid(), self.number)
    }
}

impl<M: Send + 'static> fmt::Debug for PriorityAlias<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Priority{:?}", self.0)
    }
}
