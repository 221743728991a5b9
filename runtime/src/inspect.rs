//! What can be seen of a node and its processes from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::pid::Pid;
pub use crate::process::Status;

/// One process, at the moment it was looked at.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// Its pid.
    pub pid: Pid,
    /// The name it is registered under.
    pub name: Option<Arc<str>>,
    /// What it runs: the actor's name.
    pub actor: &'static str,
    /// The process that spawned it.
    pub parent: Option<Pid>,
    /// What it is doing.
    pub status: Status,
    /// How many messages wait.
    pub mailbox_len: usize,
    /// How much work it has done: a handled message counts 1, and what the code reports itself.
    pub reductions: u64,
    /// Whom it is linked to.
    pub links: Vec<Pid>,
    /// Whom it monitors.
    pub monitors: Vec<Pid>,
    /// Who monitors it.
    pub monitored_by: Vec<Pid>,
    /// Whether exit signals become messages.
    pub trap_exit: bool,
}

/// Why a message was not handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DeadLetter {
    /// There was no such process.
    NoProc,
    /// The mailbox, or the way to it, was full.
    Full,
    /// The process ended with the message in its mailbox.
    Stopped,
    /// It came from another node and could not be decoded.
    Malformed,
    /// It came from another node with a method that the actor does not have.
    UnknownMethod,
    /// It came from another node for an actor that is not registered.
    NotRegistered,
    /// It was for a node that is not connected.
    NoConnection,
}

impl DeadLetter {
    const ALL: [Self; 7] = [
        Self::NoProc,
        Self::Full,
        Self::Stopped,
        Self::Malformed,
        Self::UnknownMethod,
        Self::NotRegistered,
        Self::NoConnection,
    ];
}

#[derive(Default)]
pub(crate) struct DeadLetters([AtomicU64; DeadLetter::ALL.len()]);

impl DeadLetters {
    pub(crate) fn count(&self, why: DeadLetter) {
        self.0[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn of(&self, why: DeadLetter) -> u64 {
        self.0[why as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn all(&self) -> Vec<(DeadLetter, u64)> {
        DeadLetter::ALL.into_iter().map(|why| (why, self.of(why))).collect()
    }
}
