//! The process of an application: it calls its callbacks, starts its tree, and hears when it is to stop.
//!
//! It is the root supervisor's parent, and the controller's child. Whatever it waits for, it hears at the same time that it
//! is to stop or to be killed, so that a callback that hangs holds up nobody.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Instant;

use biotope_runtime::{
    Address, ExitReason, Info, MonitorRef, Node, Pid, Process, ReceiveError, Received, Restart, SpawnOptions,
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
use crate::config::{KILL_GRACE, PROGRESS_EVERY};
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
    let options = SpawnOptions {
        label: Some(format!("application {}", app.name()).into()),
        trap_exit: true,
        ..SpawnOptions::linked_to(parent)
    };
    let app = app.clone();
    node.spawn_process_with(options, move |me| async move {
        let life = Life::new(app.callbacks.clone(), env);
        let master = Master { me, controller, app, kind, root: None, stopping: None, progress: None, doing: None };
        master.run(life).await;
        Ok(())
    })
}

struct Master {
    me: Process<Command>,
    controller: Address<Request>,
    app: App,
    kind: Restart,
    /// The root supervisor, while it is there.
    root: Option<Root>,
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

struct Stopping {
    deadline: Option<Instant>,
}

/// What came of something that the master waited for.
enum Turn<T> {
    Done(T),
    /// It is to stop; it hears of that once.
    Stop,
    /// It is to be killed, or had its time.
    Kill,
    /// The root supervisor has ended.
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
    async fn run(mut self, mut life: Life) {
        let off = self.live(&mut life).await;
        let is_by_itself = matches!(off, Off::Ended(_)) && self.stopping.is_none();
        let end = match off {
            Off::Killed => self.kill().await,
            off => self.wind_up(off, &mut life).await,
        };
        let name = self.app.name.clone();
        report::ended(&self.me, &name, self.kind, &end, is_by_itself);
        self.controller.cast(Request::Ended(self.me.pid(), name, end));
    }

    /// From the start to whatever breaks it off.
    async fn live(&mut self, life: &mut Life) -> Off {
        match self.start(life).await {
            Err(off) => return off,
            Ok(root) => {
                report::started(&self.me, &self.app.name, self.kind);
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
        while self.root.is_some() {
            match self.during(pending::<()>()).await {
                Turn::RootEnded(ended) => reason = reason.or(Some(ended)),
                Turn::Kill => return self.kill().await,
                Turn::Done(()) | Turn::Stop => {}
            }
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

    fn begin_stopping(&mut self) {
        let now = self.me.node().runtime().now();
        self.stopping.get_or_insert(Stopping { deadline: self.app.stop_within.map(|time| now + time) });
        self.progress.get_or_insert(now + PROGRESS_EVERY);
    }

    /// Kills the tree, having looked who did not stop.
    async fn kill(&mut self) -> End {
        let left = self.waited_for();
        report::kills(&self.me, &self.app.name);
        if let Some(root) = self.root.take() {
            let mut tree = KillTree::begin(&self.me, root.supervisor.pid());
            loop {
                match self.me.receive_any().timeout(KILL_GRACE).await {
                    Ok(Received::Info(Info::Down(down))) if tree.on_down(&self.me, down.reference) => break,
                    Err(ReceiveError::Timeout) => {
                        report::blocked(&self.me, &self.app.name);
                        break;
                    }
                    Ok(_) | Err(_) => {}
                }
            }
        }
        report::killed(&self.me, &self.app.name, &left);
        End { reason: ExitReason::Killed, failure: Some(AppFailure::Killed), killed: Some(left) }
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
                Next::RootEnded(reason) => {
                    self.root = None;
                    return Turn::RootEnded(reason);
                }
                Next::Stop if self.stopping.is_none() => {
                    self.begin_stopping();
                    return Turn::Stop;
                }
                Next::Time => {
                    let now = self.me.node().runtime().now();
                    if self.stopping.as_ref().and_then(|stopping| stopping.deadline).is_some_and(|at| at <= now) {
                        return Turn::Kill;
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
        let root = self.root.as_ref().map(|root| root.monitor);
        let deadline = self.stopping.as_ref().and_then(|stopping| stopping.deadline);
        let wake = [deadline, self.progress].into_iter().flatten().min();
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
                    Ok(Received::Info(Info::Down(down))) if Some(down.reference) == root => {
                        Next::RootEnded(down.reason)
                    }
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
            (None, None) => Vec::new(),
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
    RootEnded(ExitReason),
    /// The deadline, or the time to tell who is waited for.
    Time,
    Nothing,
}
