//! Trees, to be looked at.
//!
//! ```text
//!   declared   as a tree is written down: `println!("{supervisor}")`
//!   here       as it lives: `node.tree().await`
//!   grow       what is below what                              (pure)
//!   rows       lines, branches and columns                     (pure)
//! ```
//!
//! A living tree has two sources. The process table has each process and who spawned it; what its children are called, how often
//! they were started again, and which of them have no process, a supervisor says. All supervisors are asked at once. One that
//! does not answer is shown as the table has it: a look does not wait for what it looks at.

mod declared;
mod grow;
mod rows;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use biotope_runtime::{Node, Pid, ProcessInfo, Request};

pub use self::declared::Declared;
use self::grow::Answers;
use self::rows::{Cell, Rows};
use crate::child_spec::Kind;
use crate::client::{ChildInfo, ChildStatus};
use crate::config::SUPERVISORS_ANSWER_WITHIN;
use crate::dynamic::DynamicSupervisor;
use crate::supervisor::Supervisor;

/// The processes of a node at one moment, each below its supervisor, or else below the process that spawned it; made by
/// [`Trees::tree`]. What changes while it is made is in it as before or as after.
///
/// Its `Display` has a line for each, and [`outline`](Self::outline) no more than what is below what.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tree {
    /// The node.
    pub node: Arc<str>,
    /// All that is in it: each before what is below it, children of a supervisor in start order.
    pub branches: Vec<Branch>,
}

/// A process of a tree, or a child that has none.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Branch {
    /// How many are above it.
    pub depth: usize,
    /// What its supervisor says of it, if it has one that says something.
    pub child: Option<ChildInfo>,
    /// Its process, if it has one on this node.
    pub process: Option<ProcessInfo>,
    /// Whether it is a supervisor, or says so of itself.
    pub kind: Kind,
    /// Whether it was asked for its children and has not answered in time. Then those below it are shown as processes that it
    /// has spawned.
    pub is_silent: bool,
}

/// Looks at the trees of a node.
pub trait Trees {
    /// All processes, as a tree. Supervisors are asked, within half a second; everything else is seen from outside.
    ///
    /// It looks once at all processes: with a hundred thousand it takes some tenths of a second.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has changed nothing.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[derive(Actor, Default)]
    /// struct Cart;
    ///
    /// #[handlers]
    /// impl Cart {}
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let carts = Supervisor::one_for_one().named("carts").child(Cart::spec().id("first"));
    ///     Supervisor::rest_for_one().named("shop").child(carts).start_link().await?;
    ///     let tree = node().tree().await;
    ///     println!("{tree}");
    ///     let first = tree.named("first").expect("it runs");
    ///     assert_eq!(first.child.as_ref().map(|child| child.restarts), Some(0));
    ///     assert!(tree.outline().contains("shop (supervisor)\n    carts (supervisor)\n      first\n"));
    ///     Ok(())
    /// }
    /// ```
    fn tree(&self) -> impl Future<Output = Tree> + Send;

    /// The part of [`tree`](Self::tree) that is below the process `root`, with it. Without branches, if there is no such process.
    ///
    /// # Cancel safety
    /// As [`tree`](Self::tree).
    fn tree_below(&self, root: impl Into<Pid> + Send) -> impl Future<Output = Tree> + Send;
}

impl Trees for Node {
    async fn tree(&self) -> Tree {
        let processes = self.processes();
        let answers = ask(self, &processes).await;
        Tree { node: self.name().into(), branches: grow::grow(seen(self, processes, &answers), answers) }
    }

    async fn tree_below(&self, root: impl Into<Pid> + Send) -> Tree {
        let root = root.into();
        let Tree { node, branches } = self.tree().await;
        let is_root = |branch: &Branch| branch.process.as_ref().is_some_and(|process| process.pid == root);
        let mut below = branches.into_iter().skip_while(|branch| !is_root(branch));
        let mut branches = Vec::new();
        if let Some(root) = below.next() {
            let above = root.depth;
            branches.push(root);
            branches.extend(below.take_while(|branch| branch.depth > above));
            branches.iter_mut().for_each(|branch| branch.depth -= above);
        }
        Tree { node, branches }
    }
}

/// Asks all supervisors at once.
async fn ask(node: &Node, processes: &[ProcessInfo]) -> Answers {
    let asked: Vec<_> =
        processes.iter().filter_map(|process| Some((process.pid, children_of(node, process.pid)?))).collect();
    let mut answers = Answers::new();
    for (pid, children) in asked {
        // All have the same deadline: the first that does not answer is waited for, and then none.
        answers.insert(pid, children.await.ok());
    }
    answers
}

/// Asks a process for its children, if it is one that can say.
fn children_of(node: &Node, pid: Pid) -> Option<Request<Vec<ChildInfo>>> {
    if let Some(supervisor) = node.actor::<Supervisor>(pid) {
        return Some(supervisor.which_children().timeout(SUPERVISORS_ANSWER_WITHIN).send());
    }
    // Those of tasks answer to the same question.
    let supervisor = node.actor::<DynamicSupervisor>(pid)?;
    Some(supervisor.which_children().timeout(SUPERVISORS_ANSWER_WITHIN).send())
}

/// The processes, as the answers have them: with children that are new, and without those that have ended since and that their
/// supervisor has forgotten.
fn seen(node: &Node, mut processes: Vec<ProcessInfo>, answers: &Answers) -> Vec<ProcessInfo> {
    let listed: BTreeSet<Pid> = answers.values().flatten().flatten().filter_map(ChildInfo::pid).collect();
    let has_answered = |pid: Option<Pid>| pid.and_then(|pid| answers.get(&pid)).is_some_and(Option::is_some);
    let is_there = |process: &ProcessInfo| {
        listed.contains(&process.pid) || !has_answered(process.parent) || node.is_alive(process.pid)
    };
    processes.retain(is_there);
    let known: BTreeSet<Pid> = processes.iter().map(|process| process.pid).collect();
    processes.extend(listed.difference(&known).filter_map(|pid| node.peek(*pid)));
    processes
}

impl Tree {
    /// What is called `name`: by its supervisor, or else by itself. The first, if there are several.
    pub fn named(&self, name: &str) -> Option<&Branch> {
        self.branches.iter().find(|branch| branch.name() == name)
    }

    /// What the process `pid` is in it.
    pub fn of(&self, pid: impl Into<Pid>) -> Option<&Branch> {
        let pid = pid.into();
        self.branches.iter().find(|branch| branch.pid() == Some(pid))
    }

    /// What is below what, by names that are the same in every run: a line for each, two blanks deeper for each level.
    ///
    /// ```text
    /// shop (supervisor)
    ///   prices
    ///   tills (supervisor)
    ///     till 1
    ///     till 2: stopped
    /// ```
    pub fn outline(&self) -> String {
        let mut text = String::new();
        for branch in &self.branches {
            let is_plain = branch.kind == Kind::Worker || branch.name() == Supervisor::UNNAMED;
            let kind = if is_plain { "" } else { " (supervisor)" };
            let state = match branch.child.as_ref().map(|child| child.status) {
                Some(ChildStatus::Restarting) => ": restarting",
                Some(ChildStatus::Stopped) => ": stopped",
                _ => "",
            };
            text.extend([&*"  ".repeat(branch.depth), branch.name(), kind, state, "\n"]);
        }
        text
    }
}

impl Branch {
    /// What it is called: by its supervisor, by its registered name, by its label, or else what it runs.
    pub fn name(&self) -> &str {
        let process = self.process.as_ref();
        let own = || process.and_then(|process| process.name.as_deref().or(process.label.as_deref()));
        let what = || match self.kind {
            Kind::Supervisor => Supervisor::UNNAMED,
            Kind::Worker => process.map_or("", |process| process.actor),
        };
        self.child.as_ref().map(|child| &*child.id).or_else(own).unwrap_or_else(what)
    }

    /// The pid of its process, if it has one.
    pub fn pid(&self) -> Option<Pid> {
        let listed = self.child.as_ref().and_then(ChildInfo::pid);
        self.process.as_ref().map(|process| process.pid).or(listed)
    }

    fn state(&self) -> String {
        let state = match (self.child.as_ref().map(|child| child.status), &self.process) {
            (Some(ChildStatus::Restarting), _) => "restarting".to_owned(),
            (Some(ChildStatus::Stopped), _) => "stopped".to_owned(),
            (_, Some(process)) => format!("{:?}", process.status).to_lowercase(),
            // On another node, or over since its supervisor has answered.
            (_, None) => "not here".to_owned(),
        };
        if self.is_silent { format!("{state}, no answer") } else { state }
    }

    fn cells(&self) -> [Cell; 9] {
        let (child, process) = (self.child.as_ref(), self.process.as_ref());
        let number =
            |of: fn(&ProcessInfo) -> u64| Cell::number(process.map(of).map_or(String::new(), |n| n.to_string()));
        let restarts = child.map(|child| child.restarts.to_string());
        [
            Cell::text(self.name()),
            Cell::text(self.pid().map_or(String::new(), |pid| pid.to_string())),
            Cell::text(process.map_or("", |process| process.actor)),
            Cell::text(child.map_or(String::new(), |child| child.restart.to_string())),
            Cell::text(self.state()),
            Cell::number(restarts.unwrap_or_default()),
            number(|process| process.mailbox_len as u64),
            number(|process| process.reductions),
            number(|process| process.memory as u64 + process.allocated.unwrap_or(0)),
        ]
    }
}

/// A line for each: what it is called, its pid, what it runs, when it is started again, what it does, how often it was started
/// again, and how many messages wait, how much work it has done, how many bytes it has.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = Rows::default();
        let head = [format!("node {}", self.node), "pid".into(), "actor".into(), "restart".into(), "state".into()];
        let numbers = ["restarts", "mailbox", "reductions", "bytes"];
        rows.push(0, head.into_iter().map(Cell::text).chain(numbers.map(Cell::number)));
        for branch in &self.branches {
            rows.push(branch.depth + 1, branch.cells());
        }
        rows.fmt(f)
    }
}
