//! The memory of one process: what everybody may see, its mailbox, its body.

use std::any::{Any, TypeId};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Wake;

use parking_lot::Mutex;

use super::state::{Cause, State};
use super::{Control, Mailbox, Pushed};
use crate::exit::ExitReason;
use crate::inspect::{DeadLetter, ProcessInfo};
use crate::node::Node;
use crate::pid::Pid;
use crate::scheduler::Runnable;
use crate::signal::{Info, Request, Signal, Slot};

pub(crate) type Body = Pin<Box<dyn Future<Output = ExitReason> + Send>>;

/// A process that takes messages of type `M`.
pub(crate) struct Cell<M> {
    pub(crate) header: Header,
    pub(crate) mailbox: Mailbox<M>,
    /// `None` before the start and after the end.
    pub(crate) body: Mutex<Option<Body>>,
}

/// What does not depend on the message type.
pub(crate) struct Header {
    pub(crate) pid: Pid,
    pub(crate) node: Node,
    /// What it runs: the actor's name.
    pub(crate) actor: &'static str,
    pub(crate) parent: Option<Pid>,
    pub(crate) state: State,
    pub(crate) control: Mutex<Control>,
    /// Set once, when it ends.
    pub(crate) fate: OnceLock<ExitReason>,
    pub(crate) reductions: AtomicU64,
    /// What is left of this turn's budget.
    pub(crate) budget: AtomicU32,
    /// Whether the body, when last polled, asked for a message and found none.
    pub(crate) wants_message: AtomicBool,
    /// What its code logs is logged within.
    pub(crate) span: tracing::Span,
    /// Whether its end is reported if it is abnormal; a refused start is reported by whoever started it.
    pub(crate) quiet: AtomicBool,
}

/// A process, whatever its messages.
pub(crate) trait AnyCell: Runnable {
    fn header(&self) -> &Header;
    fn push_signal(self: Arc<Self>, signal: Signal) -> Result<(), Signal>;
    fn push_info(self: Arc<Self>, info: Info);
    fn mailbox_len(&self) -> usize;
    fn message_type(&self) -> TypeId;
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<M: Send + 'static> Cell<M> {
    pub(crate) fn pid(&self) -> Pid {
        self.header.pid
    }

    pub(crate) fn node(&self) -> &Node {
        &self.header.node
    }

    /// Sends `slot` to this process: into the mailbox, and the process onto a run queue if it was idle.
    pub(crate) fn push(self: &Arc<Self>, slot: Slot<M>) -> Pushed<M> {
        let cause = if matches!(slot, Slot::Signal(_)) { Cause::Signal } else { Cause::Message };
        match self.mailbox.push(slot) {
            Pushed::Queued => {
                self.notify(cause);
                Pushed::Queued
            }
            Pushed::Full(Slot::Message(message)) => Pushed::Full(message),
            Pushed::Closed(Slot::Message(message)) => Pushed::Closed(message),
            // What is not a user's message is never counted as full, and to a process that has ended
            // it means nothing; signals take `push_signal`, which hands them back.
            Pushed::Full(_) | Pushed::Closed(_) => Pushed::Queued,
        }
    }

    pub(crate) fn push_request(self: &Arc<Self>, request: Request) {
        let Pushed::Queued = self.push(Slot::Request(request)) else {
            unreachable!("only a user's message is handed back")
        };
    }

    pub(crate) fn notify(self: &Arc<Self>, cause: Cause) {
        if self.header.state.notify(cause) {
            self.header.node.runtime().submit(self.clone());
        }
    }

    /// Counts what was left in the mailbox.
    pub(crate) fn count_undelivered(&self, messages: usize) {
        for _ in 0..messages {
            self.header.node.count_dead_letter(DeadLetter::Stopped);
        }
    }
}

impl<M: Send + 'static> AnyCell for Cell<M> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn push_signal(self: Arc<Self>, signal: Signal) -> Result<(), Signal> {
        match self.mailbox.push(Slot::Signal(signal)) {
            Pushed::Queued => {
                self.notify(Cause::Signal);
                Ok(())
            }
            Pushed::Full(Slot::Signal(signal)) | Pushed::Closed(Slot::Signal(signal)) => Err(signal),
            Pushed::Full(_) | Pushed::Closed(_) => unreachable!("what is handed back is what was pushed"),
        }
    }

    fn push_info(self: Arc<Self>, info: Info) {
        let Pushed::Queued = self.push(Slot::Info(info)) else { unreachable!("only a user's message is handed back") };
    }

    fn mailbox_len(&self) -> usize {
        self.mailbox.len()
    }

    fn message_type(&self) -> TypeId {
        TypeId::of::<M>()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// The waker of the body's futures. It holds the cell, not the state: that is dropped at the end,
/// whoever still holds wakers.
impl<M: Send + 'static> Wake for Cell<M> {
    fn wake(self: Arc<Self>) {
        self.notify(Cause::Wake);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.notify(Cause::Wake);
    }
}

impl Header {
    pub(crate) fn info(&self, mailbox_len: usize) -> ProcessInfo {
        let control = self.control.lock();
        ProcessInfo {
            pid: self.pid,
            name: control.name.clone(),
            actor: self.actor,
            parent: self.parent,
            status: self.state.status(),
            mailbox_len,
            reductions: self.reductions.load(Ordering::Relaxed),
            links: control.links.iter().copied().collect(),
            monitors: control.monitors.values().copied().collect(),
            monitored_by: control.monitored_by.iter().map(|reference| reference.owner).collect(),
            trap_exit: control.trap_exit,
        }
    }
}
