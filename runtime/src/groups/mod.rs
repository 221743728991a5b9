//! Process groups: who is a member of what, told as it changes. OTP's `pg`.
//!
//! ```text
//!   join, leave, the end of a process, a lost node
//!        │
//!        ▼
//!   core      who is a member, how often; who watches        (pure)
//!        │   what has changed, and who is to be told, under the one lock of the scope
//!        ▼
//!   Notice::Group, in the mailbox of whoever watches         ──▶ Info::Group, if the monitor still stands
//!
//!   typed     a group whose members take the messages of one actor
//! ```
//!
//! # What is promised
//! Whoever watches is told of every change once, in the order in which they were made, as if it had made them itself:
//! what it was given when it began to watch, with all changes since, is what the group is.
//!
//! A process leaves all groups before its end is announced, as it gives back its [keys](crate::Keys), and by the same way
//! ([`Holds`]). One that joins while it ends either comes before that, and leaves, or has ended, and does not join.
//!
//! # Who may touch what
//! There is one order of locks: a scope, then a process's [`Control`](crate::process::Control). Changes are told under the
//! lock of the scope: to send takes no lock of anybody's, and runs nobody's code.
//!
//! # Not here
//! The network. A member is a pid, of whichever node; whoever connects nodes hears of the changes here as everybody does, and
//! brings those of other nodes ([`Groups::far_joined`]).

mod core;
mod typed;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use self::core::{Core, Notice};
pub use self::typed::Group;
use crate::mailbox;
use crate::node::{Node, WeakNode};
use crate::pid::{NodeId, Pid};
use crate::process::{self, Holds, Me};
use crate::signal::MonitorRef;

/// The process groups of one scope, of which a node has any number, each apart from the others: [`Node::groups`]. Cloning
/// gives another handle to the same. This is OTP's `pg`.
///
/// A group has a name and members. It begins with its first member, and is over when the last has left. A process is a
/// member as often as it has joined, of as many groups as it likes. It leaves all of them with its end, before a
/// [`Down`](crate::Down) or an [`Exit`](crate::Exit) tells of that.
///
/// Members are listed in the order of their pids, each as often as it has joined.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor, Default)]
/// struct Till;
///
/// #[handlers]
/// impl Till {}
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let shop = node().groups("shop");
///     let (one, other) = (spawn(Till), spawn(Till));
///     shop.join("tills", &one)?;
///     shop.join_all("tills", [&one, &other])?;
///     assert_eq!(shop.members("tills"), [one.pid(), one.pid(), other.pid()]);
///
///     one.stop_and_wait(ExitReason::Shutdown).await;
///     assert_eq!(shop.members("tills"), [other.pid()]);
///     shop.leave("tills", &other)?;
///     assert!(shop.all().is_empty());
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Groups {
    node: Node,
    scope: Arc<Scope>,
}

/// Processes joined or left a group that this process monitors.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GroupEvent {
    /// The monitor that tells it.
    pub reference: MonitorRef,
    /// The group.
    pub group: Arc<str>,
    /// What has changed.
    pub change: GroupChange,
}

/// One change of a group: all that was done by one call, or that went with the end of one process or one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// These joined, each as often as it is named.
    Joined(Arc<[Pid]>),
    /// These left, each as often as it is named.
    Left(Arc<[Pid]>),
}

/// The process is one of another node, and joins there. Nobody has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} lives on another node: a process joins and leaves on its own")]
pub struct NotLocal(pub Pid);

/// Why nobody left a group. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaveError {
    /// The process is one of another node, and leaves there.
    #[error(transparent)]
    NotLocal(#[from] NotLocal),
    /// None of the processes is a member.
    #[error("not joined: no such process is a member of the group")]
    NotJoined,
}

impl LeaveError {
    /// Whether the same may succeed if it is tried again: a process may join later.
    pub fn can_retry(&self) -> bool {
        match self {
            Self::NotJoined => true,
            Self::NotLocal(_) => false,
        }
    }
}

/// Joining and leaving. Anybody on the node may do both for any of its processes.
impl Groups {
    /// `member` joins `group`, once more if it is a member. One that has ended does not join, and that is no error: it would
    /// have left again.
    ///
    /// # Errors
    /// [`NotLocal`].
    pub fn join(&self, group: impl Into<Arc<str>>, member: impl Into<Pid>) -> Result<(), NotLocal> {
        self.join_all(group, [member])
    }

    /// All of these join, in one change. One that is named twice joins twice.
    ///
    /// # Errors
    /// [`NotLocal`], with the first that is; nobody has joined.
    pub fn join_all<P: Into<Pid>>(
        &self,
        group: impl Into<Arc<str>>,
        members: impl IntoIterator<Item = P>,
    ) -> Result<(), NotLocal> {
        let (group, mut pids) = (group.into(), self.local(members)?);
        let holds: Arc<dyn Holds> = self.scope.clone();
        let mut core = self.scope.core.write();
        // Asked under the lock: a release that has not seen this membership yet comes after it.
        pids.retain(|pid| {
            self.node.process(*pid).is_some_and(|process| process::attach(&process, Arc::downgrade(&holds)))
        });
        tell(&self.node, core.on_join(&group, &pids));
        Ok(())
    }

    /// `member` leaves `group`, once.
    ///
    /// # Errors
    /// [`LeaveError`].
    pub fn leave(&self, group: &str, member: impl Into<Pid>) -> Result<(), LeaveError> {
        self.leave_all(group, [member])
    }

    /// All of these leave that are members, in one change. One that is named twice leaves twice.
    ///
    /// # Errors
    /// [`LeaveError`]: `NotJoined` if nobody has left.
    pub fn leave_all<P: Into<Pid>>(&self, group: &str, members: impl IntoIterator<Item = P>) -> Result<(), LeaveError> {
        let pids = self.local(members)?;
        let mut core = self.scope.core.write();
        let notice = core.on_leave(group, &pids).ok_or(LeaveError::NotJoined)?;
        tell(&self.node, [notice]);
        Ok(())
    }

    fn local<P: Into<Pid>>(&self, members: impl IntoIterator<Item = P>) -> Result<Vec<Pid>, NotLocal> {
        let is_local = |pid: Pid| if self.is_local(pid) { Ok(pid) } else { Err(NotLocal(pid)) };
        members.into_iter().map(|member| is_local(member.into())).collect()
    }

    fn is_local(&self, pid: Pid) -> bool {
        pid.node() == self.node.id()
    }
}

/// What anybody may ask. Each answer is that of one moment.
impl Groups {
    /// The name of the scope.
    pub fn scope(&self) -> &str {
        &self.scope.name
    }

    /// The members of `group`, on whichever node.
    pub fn members(&self, group: &str) -> Vec<Pid> {
        self.scope.core.read().members(group)
    }

    /// The members of `group` that are processes of this node.
    pub fn local_members(&self, group: &str) -> Vec<Pid> {
        let mut members = self.members(group);
        members.retain(|pid| self.is_local(*pid));
        members
    }

    /// The groups that have members, in the order of their names.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.scope.core.read().groups(|_| true)
    }

    /// The groups that have members on this node, in the order of their names.
    pub fn local_names(&self) -> Vec<Arc<str>> {
        self.scope.core.read().groups(|pid| self.is_local(pid))
    }

    /// All groups, with their members.
    pub fn all(&self) -> BTreeMap<Arc<str>, Vec<Pid>> {
        self.scope.core.read().all()
    }

    /// The groups that `pid` is a member of.
    pub fn groups_of(&self, pid: impl Into<Pid>) -> Vec<Arc<str>> {
        self.scope.core.read().groups_of(pid.into())
    }
}

/// Watching. What is told comes as a [`GroupEvent`]: to an `#[info]` handler, to [`receive_info`](crate::Process::receive_info).
impl Groups {
    /// From now on this process is told who joins and leaves `group`, which need not have members yet. Returns those that it
    /// has now: nothing is told of them, and nothing after them is left out.
    ///
    /// # Panics
    /// If the process is one of another node.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// /// Knows the tills of the shop.
    /// #[derive(Actor, Default)]
    /// struct Board {
    ///     tills: Vec<Pid>,
    /// }
    ///
    /// #[handlers]
    /// impl Board {
    ///     #[init]
    ///     fn begin(&mut self, cx: &mut Context<Self>) {
    ///         (_, self.tills) = cx.node().groups("shop").monitor(cx, "tills");
    ///     }
    ///
    ///     #[info]
    ///     fn on_group(&mut self, event: GroupEvent) {
    ///         match event.change {
    ///             GroupChange::Joined(pids) => self.tills.extend_from_slice(&pids),
    ///             GroupChange::Left(pids) => self.tills.retain(|till| !pids.contains(till)),
    ///         }
    ///     }
    ///
    ///     pub fn tills(&self) -> usize {
    ///         self.tills.len()
    ///     }
    /// }
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let board = spawn(Board::default());
    ///     assert_eq!(board.tills().await?, 0);
    ///     node().groups("shop").join("tills", this_pid())?;
    ///     assert_eq!(board.tills().await?, 1);
    ///     Ok(())
    /// }
    /// ```
    #[track_caller]
    pub fn monitor(&self, me: &Me, group: impl Into<Arc<str>>) -> (MonitorRef, Vec<Pid>) {
        let group = group.into();
        let mut core = self.scope.core.write();
        let reference = self.watch(me, &mut core, Some(group.clone()));
        (reference, core.members(&group))
    }

    /// As [`monitor`](Self::monitor), of all groups, also those that are still to come.
    ///
    /// # Panics
    /// If the process is one of another node.
    #[track_caller]
    pub fn monitor_all(&self, me: &Me) -> (MonitorRef, BTreeMap<Arc<str>, Vec<Pid>>) {
        let mut core = self.scope.core.write();
        let reference = self.watch(me, &mut core, None);
        (reference, core.all())
    }

    #[track_caller]
    fn watch(&self, me: &Me, core: &mut Core, watched: Option<Arc<str>>) -> MonitorRef {
        assert!(self.is_local(me.pid()), "a process watches groups on its own node");
        let reference = process::watch(me.header());
        let holds: Arc<dyn Holds> = self.scope.clone();
        // One that has ended, which only code that carried its `Process` elsewhere can meet, is told nothing.
        if me.attach(Arc::downgrade(&holds)) {
            core.on_monitor(reference, watched);
        }
        reference
    }

    /// Takes a monitor back, and what it has told out of the mailbox: nothing of it is heard after this, but what a state machine
    /// had postponed already. Returns whether it stood.
    ///
    /// # Panics
    /// Outside this process's own code.
    #[track_caller]
    pub fn demonitor(&self, me: &Me, reference: MonitorRef) -> bool {
        if reference.owner() != me.pid() || !self.scope.core.write().on_demonitor(reference) {
            return false;
        }
        process::unwatch(me, reference);
        true
    }
}

/// For the layer that connects nodes. What it calls with is data from a peer and is checked here.
impl Groups {
    /// Processes of other nodes have joined `group` there. Those of this node are left out.
    pub fn far_joined(&self, group: impl Into<Arc<str>>, members: &[Pid]) {
        let (group, far) = (group.into(), self.far(members));
        let mut core = self.scope.core.write();
        tell(&self.node, core.on_join(&group, &far));
    }

    /// Processes of other nodes have left `group` there. Those of this node are left out.
    pub fn far_left(&self, group: &str, members: &[Pid]) {
        let far = self.far(members);
        let mut core = self.scope.core.write();
        tell(&self.node, core.on_leave(group, &far));
    }

    /// A node is lost: its processes are members of nothing.
    pub(crate) fn far_lost(&self, node: NodeId) {
        let mut core = self.scope.core.write();
        tell(&self.node, core.on_lost(node));
    }

    fn far(&self, members: &[Pid]) -> Vec<Pid> {
        members.iter().copied().filter(|pid| !self.is_local(*pid)).collect()
    }
}

impl Node {
    /// The process groups of the scope `name` on this node. It is there from when it is first asked for until the node ends.
    pub fn groups(&self, name: impl Into<Arc<str>>) -> Groups {
        let name = name.into();
        let new = || Arc::new(Scope { name: name.clone(), node: self.downgrade(), core: RwLock::default() });
        let scope = self.scopes().lock().entry(name.clone()).or_insert_with(new).clone();
        Groups { node: self.clone(), scope }
    }

    /// The scopes of groups that there are on this node.
    pub fn group_scopes(&self) -> Vec<Arc<str>> {
        self.scopes().lock().keys().cloned().collect()
    }
}

/// What a node has of groups: its scopes, by name.
pub(crate) type Scopes = BTreeMap<Arc<str>, Arc<Scope>>;

pub(crate) struct Scope {
    name: Arc<str>,
    node: WeakNode,
    core: RwLock<Core>,
}

impl Holds for Scope {
    fn release(&self, pid: Pid) {
        let Some(node) = self.node.upgrade() else { return };
        let mut core = self.core.write();
        tell(&node, core.on_ended(pid));
    }
}

/// Tells whoever watches. Under the lock of the scope, so that all hear of changes in the order in which they were made.
fn tell(node: &Node, notices: impl IntoIterator<Item = Notice>) {
    for event in notices.into_iter().flat_map(Notice::events) {
        if let Some(process) = node.process(event.reference.owner()) {
            // One that has just ended needs no telling.
            let _ = process.push_notice(mailbox::Notice::Group(event));
        }
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Groups({} on {})", self.scope.name, self.node.name())
    }
}
