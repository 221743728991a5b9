//! The process of an application: it calls its callbacks, starts its tree, and hears when it is to stop.
//!
//! It is the root supervisor's parent, and the controller's child. Whatever it waits for, it hears at the same time that it
//! is to stop or to be killed, so that a callback that hangs holds up nobody.

use std::collections::BTreeSet;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Instant;

use biotope_runtime::{
    Address, Down, ExitReason, Info, MonitorRef, Node, Pid, Process, ReceiveError, Received, Restart, SpawnOptions,
};

use super::app::App;
use super::callbacks::Life;
use super::config::Env;
use super::controller::Request;
use super::core::End;
use super::errors::{AppFailure, Callback, Straggler};
use super::kill_tree::KillTree;
use super::order::Name;
use super::report;
use super::stragglers::stragglers;
use crate::caught::caught;
use crate::config::{KILL_GRACE, ORPHANS_END_WITHIN, PROGRESS_EVERY};
use crate::supervisor::SupervisorRef;

/// What a master is told.
pub(crate) enum Command {
    Stop,
    Kill,
}

/// Spawns the master of an application, as a child of `parent`.
pub(crate) fn spawn(
    node: &Node,
    parent: Pid,
    app: &App,
    env: Env,
    kind: Restart,
    controller: Address<Request>,
) -> Address<Command> {
    let app = app.clone();
    node.spawn_process_with(options(parent, &app), move |me| async move {
        let life = Life::new(app.callbacks.clone(), env);
        Master::new(me, controller, app).run(kind, life).await;
        Ok(())
    })
}

/// Spawns who follows a master that was killed, for `reason`: it waits for what that one has left, and tells the end.
pub(crate) fn spawn_heir(
    node: &Node,
    parent: Pid,
    app: &App,
    killed: Pid,
    reason: ExitReason,
    controller: Address<Request>,
) -> Address<Command> {
    let app = app.clone();
    node.spawn_process_with(options(parent, &app), move |me| async move {
        Master::new(me, controller, app).inherit(killed, reason).await;
        Ok(())
    })
}

fn options(parent: Pid, app: &App) -> SpawnOptions {
    SpawnOptions {
        label: Some(format!("application {}", app.name()).into()),
        trap_exit: true,
        ..SpawnOptions::linked_to(parent)
    }
}

struct Master {
    me: Process<Command>,
    controller: Address<Request>,
    app: App,
    /// The root supervisor, while it is there.
    root: Option<Root>,
    /// What is there after it.
    left: Option<Left>,
    /// Since it was told to stop.
    stopping: Option<Stopping>,
    /// When it is next told who is waited for.
    progress: Option<Instant>,
    /// The callback that it is in.
    doing: Option<Callback>,
}

struct Root {
    supervisor: SupervisorRef,
    monitor: MonitorRef,
}

/// What a process has left that was killed.
struct Left {
    parent: Pid,
    reason: ExitReason,
    /// Of its children. They end as their parent has: each after its own.
    monitors: BTreeSet<MonitorRef>,
    /// When they are killed.
    deadline: Instant,
}

struct Stopping {
    /// `None` if it has any time.
    deadline: Option<Instant>,
}

/// What came of something that the master waited for.
enum Turn<T> {
    Done(T),
    /// It is to stop; it hears of that once.
    Stop,
    /// It is to be killed, or had its time.
    Kill,
    /// The root supervisor has ended; once more when all that it has left has.
    RootEnded(ExitReason),
}

/// What breaks off the way through a life.
enum Off {
    Failed(AppFailure),
    Stopped,
    Ended(ExitReason),
    Killed,
}

impl Master {
    fn new(me: Process<Command>, controller: Address<Request>, app: App) -> Self {
        Self { me, controller, app, root: None, left: None, stopping: None, progress: None, doing: None }
    }

    async fn run(mut self, kind: Restart, mut life: Life) {
        let off = self.live(kind, &mut life).await;
        let is_by_itself = matches!(off, Off::Ended(_)) && self.stopping.is_none();
        let end = match off {
            Off::Killed => self.kill().await,
            off => self.wind_up(off, &mut life).await,
        };
        report::ended(&self.me, &self.app.name, kind, &end, is_by_itself);
        self.tell(end);
    }

    async fn inherit(mut self, killed: Pid, reason: ExitReason) {
        self.begin_stopping();
        self.left = self.left_by(killed, reason.clone());
        let end = match self.until_gone().await {
            Turn::Kill => self.kill().await,
            _ => End { reason, failure: None, killed: None },
        };
        self.tell(end);
    }

    /// The last thing that it does.
    fn tell(self, end: End) {
        self.controller.cast(Request::Ended(self.me.pid(), self.app.name, end));
    }

    /// From the start to whatever breaks it off.
    async fn live(&mut self, kind: Restart, life: &mut Life) -> Off {
        match self.start(life).await {
            Err(off) => return off,
            Ok(root) => {
                report::started(&self.me, &self.app.name, kind);
                self.controller.cast(Request::Up(self.me.pid(), self.app.name.clone(), root));
            }
        }
        match self.during(pending::<()>()).await {
            Turn::Stop => {}
            Turn::RootEnded(reason) => return Off::Ended(reason),
            Turn::Kill => return Off::Killed,
            Turn::Done(()) => unreachable!("nothing is waited for"),
        }
        match self.call(Callback::BeforeStop, life.before_stop()).await {
            Turn::Done(_) | Turn::Stop => Off::Stopped,
            Turn::RootEnded(reason) => Off::Ended(reason),
            Turn::Kill => Off::Killed,
        }
    }

    async fn start(&mut self, life: &mut Life) -> Result<SupervisorRef, Off> {
        let supervisor = self.started(Callback::Start, life.start()).await?;
        report::starts(&self.me, &self.app.name, &supervisor);
        let options = SpawnOptions::linked_to(self.me.pid());
        let (root, starting) = supervisor.launch(self.me.node(), options).map_err(|error| Off::Failed(error.into()))?;
        self.root = Some(Root { supervisor: root.clone(), monitor: self.me.monitor(root.pid()) });
        match self.during(starting).await {
            Turn::Done(Ok(())) => {}
            Turn::Done(Err(error)) => return Err(Off::Failed(error.into())),
            Turn::RootEnded(reason) => return Err(Off::Failed(AppFailure::Ended(reason))),
            Turn::Stop => return Err(Off::Stopped),
            Turn::Kill => return Err(Off::Killed),
        }
        for (at, phase) in life.phases().into_iter().enumerate() {
            self.started(phase, life.phase(at)).await?;
        }
        Ok(root)
    }

    /// Calls what belongs to the start: if it fails, that has failed.
    async fn started<T>(
        &mut self,
        callback: Callback,
        future: impl Future<Output = biotope_runtime::Result<T>>,
    ) -> Result<T, Off> {
        match self.call(callback.clone(), future).await {
            Turn::Done(Ok(value)) => Ok(value),
            Turn::Done(Err(reason)) => Err(Off::Failed(AppFailure::Callback { callback, reason })),
            Turn::RootEnded(reason) => Err(Off::Failed(AppFailure::Ended(reason))),
            Turn::Stop => Err(Off::Stopped),
            Turn::Kill => Err(Off::Killed),
        }
    }

    /// Stops the tree, if it is there, and calls what comes last.
    async fn wind_up(&mut self, off: Off, life: &mut Life) -> End {
        // Whoever tells it to stop from here on tells it nothing new.
        self.begin_stopping();
        if let Some(root) = &self.root {
            self.me.exit(&root.supervisor, ExitReason::Shutdown);
        }
        let mut reason = match &off {
            Off::Ended(reason) => Some(reason.clone()),
            _ => None,
        };
        match self.until_gone().await {
            Turn::RootEnded(ended) => reason = reason.or(Some(ended)),
            Turn::Kill => return self.kill().await,
            Turn::Done(()) | Turn::Stop => {}
        }
        if life.has_started()
            && let Turn::Kill = self.call(Callback::AfterStop, life.after_stop()).await
        {
            return self.kill().await;
        }
        let failure = match off {
            Off::Failed(failure) => Some(failure),
            _ => None,
        };
        End { reason: reason.unwrap_or(ExitReason::Shutdown), failure, killed: None }
    }

    /// Waits until nothing of the tree is there.
    async fn until_gone(&mut self) -> Turn<()> {
        let mut last = Turn::Done(());
        while self.root.is_some() || self.left.is_some() {
            match self.during(pending()).await {
                Turn::Kill => return Turn::Kill,
                turn => last = turn,
            }
        }
        last
    }

    /// The children of `parent`, which has ended, if there are any: if it was killed.
    fn left_by(&self, parent: Pid, reason: ExitReason) -> Option<Left> {
        let left = self.me.node().children(parent);
        let monitors: BTreeSet<MonitorRef> = left.into_iter().map(|pid| self.me.monitor(pid)).collect();
        let deadline = self.me.node().runtime().now() + ORPHANS_END_WITHIN;
        (!monitors.is_empty()).then_some(Left { parent, reason, monitors, deadline })
    }

    fn begin_stopping(&mut self) {
        let now = self.me.node().runtime().now();
        self.stopping.get_or_insert(Stopping { deadline: self.app.stop_within.and_then(|time| now.checked_add(time)) });
        self.progress.get_or_insert(now + PROGRESS_EVERY);
    }

    /// Kills the tree, having looked who did not stop.
    async fn kill(&mut self) -> End {
        let left = self.waited_for();
        report::kills(&self.me, &self.app.name);
        let root = self.root.take().map(|root| root.supervisor.pid());
        if let Some(top) = root.or(self.left.take().map(|left| left.parent)) {
            self.kill_tree(top).await;
        }
        report::killed(&self.me, &self.app.name, &left);
        End { reason: ExitReason::Killed, failure: Some(AppFailure::Killed), killed: Some(left) }
    }

    /// Kills what stems from `top`, and `top` if it is there.
    async fn kill_tree(&mut self, top: Pid) {
        let mut tree = KillTree::begin(&self.me, top);
        loop {
            match self.me.receive_any().timeout(KILL_GRACE).await {
                Ok(Received::Info(Info::Down(down))) if tree.on_down(&self.me, down.reference) => return,
                Err(ReceiveError::Timeout) => {
                    report::blocked(&self.me, &self.app.name);
                    return;
                }
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Waits for a callback; what it fails with is logged, unless it belongs to the start.
    async fn call<T>(
        &mut self,
        callback: Callback,
        future: impl Future<Output = biotope_runtime::Result<T>>,
    ) -> Turn<Result<T, ExitReason>> {
        self.doing = Some(callback.clone());
        let turn = self.during(caught(future)).await;
        if !matches!(turn, Turn::Kill) {
            self.doing = None;
        }
        if let (Turn::Done(Err(reason)), Callback::BeforeStop | Callback::AfterStop) = (&turn, &callback) {
            report::callback_failed(&self.me, &self.app.name, &callback, reason);
        }
        turn
    }

    /// Waits for `future`, or for something that concerns its life.
    async fn during<T>(&mut self, future: impl Future<Output = T>) -> Turn<T> {
        let mut future = pin!(future);
        loop {
            match self.next(future.as_mut()).await {
                Next::Done(value) => return Turn::Done(value),
                Next::Kill => return Turn::Kill,
                Next::Down(down) => match (&self.root, &mut self.left) {
                    (Some(root), _) if root.monitor == down.reference => {
                        self.left = self.left_by(root.supervisor.pid(), down.reason.clone());
                        self.root = None;
                        return Turn::RootEnded(down.reason);
                    }
                    (_, Some(left)) => {
                        left.monitors.remove(&down.reference);
                        if left.monitors.is_empty()
                            && let Some(left) = self.left.take()
                        {
                            return Turn::RootEnded(left.reason);
                        }
                    }
                    _ => {}
                },
                Next::Stop if self.stopping.is_none() => {
                    self.begin_stopping();
                    return Turn::Stop;
                }
                Next::Time => {
                    let now = self.me.node().runtime().now();
                    if self.stopping.as_ref().and_then(|stopping| stopping.deadline).is_some_and(|at| at <= now) {
                        return Turn::Kill;
                    }
                    if let Some(left) = self.left.take_if(|left| left.deadline <= now) {
                        self.kill_tree(left.parent).await;
                        return Turn::RootEnded(left.reason);
                    }
                    if self.progress.is_none_or(|at| now < at) {
                        continue;
                    }
                    self.progress = Some(now + PROGRESS_EVERY);
                    report::still_stopping(&self.me, &self.app.name, &self.waited_for());
                }
                Next::Stop | Next::Nothing => {}
            }
        }
    }

    async fn next<T>(&mut self, mut future: Pin<&mut impl Future<Output = T>>) -> Next<T> {
        let runtime = self.me.node().runtime().clone();
        let myself = self.me.pid();
        let deadline = self.stopping.as_ref().and_then(|stopping| stopping.deadline);
        let orphans = self.left.as_ref().map(|left| left.deadline);
        let wake = [deadline, orphans, self.progress].into_iter().flatten().min();
        let mut sleep = wake.map(|at| runtime.sleep(at.saturating_duration_since(runtime.now())));
        let mut receive = pin!(self.me.receive_any());
        poll_fn(move |cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Next::Done(value));
            }
            if let Poll::Ready(received) = receive.as_mut().poll(cx) {
                return Poll::Ready(match received {
                    Ok(Received::Message(Command::Stop)) => Next::Stop,
                    Ok(Received::Message(Command::Kill)) => Next::Kill,
                    Ok(Received::Info(Info::Down(down))) => Next::Down(down),
                    // From itself: sent by `Node::exit`, from outside any process.
                    Ok(Received::Info(Info::Exit(exit))) if exit.from == myself => Next::Stop,
                    Ok(Received::Info(_)) | Err(ReceiveError::Timeout) => Next::Nothing,
                    // The controller ends, or somebody has asked it to stop.
                    Err(_) => Next::Stop,
                });
            }
            match &mut sleep {
                Some(sleep) => Pin::new(sleep).poll(cx).map(|()| Next::Time),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Who was told to stop and is waited for: those of the tree, or a callback.
    fn waited_for(&self) -> Vec<Straggler> {
        let name: &Name = &self.app.name;
        if self.stopping.is_none() {
            return Vec::new();
        }
        match (&self.doing, &self.root) {
            (None, Some(root)) => stragglers(self.me.node(), name, root.supervisor.pid()),
            (None, None) => {
                let left = self.left.as_ref().map(|left| self.me.node().children(left.parent));
                let left = left.into_iter().flatten();
                left.flat_map(|orphan| stragglers(self.me.node(), name, orphan)).collect()
            }
            (Some(callback), _) => vec![Straggler {
                application: name.clone(),
                pid: self.me.pid(),
                name: format!("callback {callback}").into(),
                handler: None,
                since: None,
            }],
        }
    }
}

/// What comes next.
enum Next<T> {
    Done(T),
    Stop,
    Kill,
    Down(Down),
    /// A deadline, or the time to tell who is waited for.
    Time,
    Nothing,
}
