//! Everything one process may send another, and what of it a handler sees.
//!
//! All of it goes through one intake per process, so that whatever one process sends to another
//! arrives in the order sent. A [`Signal`] acts when it is received, at the receiver's next turn; a
//! message, an [`Info`] and a request wait in the mailbox until their turn comes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ReplyTo;
use crate::exit::ExitReason;
use crate::groups::GroupEvent;
use crate::inspect::ProcessStatus;
use crate::pid::{NodeId, Pid};
use crate::visit::Visit;

/// What takes its turn in the mailbox and is done by the engine.
#[derive(Debug)]
pub enum Request {
    /// End with this reason.
    Stop(ExitReason),
    /// Handle no messages until told to resume.
    Suspend,
    /// Go on.
    Resume,
    /// Let somebody look at the state.
    Visit(Visit),
    /// Say what there is to know, the state included.
    Status(ReplyTo<ProcessStatus>),
}

/// What acts on a process when it is received, wherever it was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Signal {
    /// `from` links to the receiver.
    Link {
        /// The other end.
        from: Pid,
    },
    /// `from` removes the link. It is answered with [`Unlinked`](Self::Unlinked); until then `from` takes
    /// no link from the receiver, whose older ones may still be on their way.
    Unlink {
        /// The other end.
        from: Pid,
        /// Which unlink of its it is.
        id: u64,
    },
    /// `from` wants to hear of the receiver's end.
    Monitor {
        /// Who is told.
        from: Pid,
        /// Which monitor it is.
        reference: MonitorRef,
    },
    /// `from` no longer wants to hear of it.
    Demonitor {
        /// Which monitor it is.
        reference: MonitorRef,
    },
    /// The receiver is to end, or to be told if it traps exits.
    Exit {
        /// Who sent it, or which linked process ended.
        from: Pid,
        /// Why.
        reason: ExitReason,
        /// Whether it came over a link.
        link: bool,
    },
    /// A process that the receiver monitors has ended.
    Down {
        /// Which monitor it is.
        reference: MonitorRef,
        /// The process that ended.
        from: Pid,
        /// Why.
        reason: ExitReason,
    },
    /// The receiver is asked to end, when it comes to this in its mailbox.
    Stop {
        /// The reason to end with.
        reason: ExitReason,
    },
    /// `from` has received the unlink.
    Unlinked {
        /// The other end.
        from: Pid,
        /// Which unlink of the receiver's it was.
        id: u64,
    },
}

/// One monitor: made by [`Me::monitor`](crate::Me::monitor), found again in its [`Down`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MonitorRef {
    pub(crate) owner: Pid,
    pub(crate) number: u64,
}

impl MonitorRef {
    /// The process that asked for the monitor.
    pub fn owner(self) -> Pid {
        self.owner
    }
}

/// What can arrive beside an actor's own messages.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Info {
    /// A monitored process ended.
    Down(Down),
    /// An exit signal, to a process that traps exits.
    Exit(Exit),
    /// A node came or went; see [`Node::monitor_nodes`](crate::Node::monitor_nodes).
    Node(NodeEvent),
    /// Processes joined or left a group; see [`Groups::monitor`](crate::Groups::monitor).
    Group(GroupEvent),
}

/// A monitored process has ended. There is exactly one for each monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct Down {
    /// The monitor that this is the end of.
    pub reference: MonitorRef,
    /// What was monitored.
    pub target: Target,
    /// Why: `NoProc` if it had ended before, `NoConnection` if its node was lost.
    pub reason: ExitReason,
}

impl Down {
    /// The process, if it was monitored by its pid.
    pub fn pid(&self) -> Option<Pid> {
        self.target.pid()
    }
}

/// What a monitor is set on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Target {
    /// A process.
    Pid(Pid),
    /// Whatever process has this name when the monitor is set.
    Name {
        /// The name.
        name: Arc<str>,
        /// The node that it is registered on; `None` is that of whoever monitors.
        node: Option<NodeId>,
    },
}

impl Target {
    /// The process that is registered as `name` on the node of whoever monitors.
    pub fn name(name: impl Into<Arc<str>>) -> Self {
        Self::Name { name: name.into(), node: None }
    }

    /// The process, if it was given by its pid.
    pub fn pid(&self) -> Option<Pid> {
        match self {
            Self::Pid(pid) => Some(*pid),
            Self::Name { .. } => None,
        }
    }
}

impl<P: Into<Pid>> From<P> for Target {
    fn from(pid: P) -> Self {
        Self::Pid(pid.into())
    }
}

impl PartialEq<Pid> for Target {
    fn eq(&self, pid: &Pid) -> bool {
        self.pid() == Some(*pid)
    }
}

/// An exit signal that reached a process which traps exits.
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// The linked process that ended, or who sent the signal.
    pub from: Pid,
    /// Why.
    pub reason: ExitReason,
}

/// A node came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// The node of this name is connected; this comes before anything that its processes send.
    Up(Arc<str>),
    /// It is no longer connected; this comes after everything that its processes sent.
    Down(Arc<str>),
}
