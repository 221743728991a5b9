//! A start and stop unit over one root supervisor.
//!
//! Between the application and whoever runs it stands a process of its own, the root supervisor's parent:
//! it outlives neither, hears of both ends, and knows whether an end was asked for.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use biotope_runtime::{
    Address, ExitReason, Info, MonitorRef, Node, Pid, Process, ReceiveError, Received, SpawnOptions, node, this_pid,
};
use tokio::sync::{oneshot, watch};

use crate::config::KILL_GRACE;
use crate::shutdown::KillTree;
use crate::signals::{OsSignals, StopSignals};
use crate::supervisor::{Supervisor, SupervisorRef, SupervisorStartError};

/// A program, or a part of one, that is started and stopped as a whole.
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
///     let shop = App::new("shop").supervisor(Supervisor::one_for_one().child(Cart::spec()));
///     let shop = shop.start_on(&node()).await?;      // a program would `run` it
///     assert_eq!(shop.supervisor().count_children().await?.active, 1);
///     shop.stop().await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "an application does nothing until it is run or started"]
pub struct App {
    name: Arc<str>,
    supervisor: Supervisor,
}

/// A running application. It neither keeps the application alive nor ends it.
#[derive(Clone)]
pub struct AppRef {
    name: Arc<str>,
    supervisor: SupervisorRef,
    running: Running,
}

/// Why an application did not start, or ended otherwise than it was asked to.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// Its root supervisor did not start. Nothing is left running.
    #[error("the application did not start: {0}")]
    Start(#[from] SupervisorStartError),
    /// Its root supervisor ended though nobody asked for it; with `Shutdown`, after too many restarts.
    #[error("the application ended by itself: {0}")]
    Ended(ExitReason),
    /// It was killed before its children had stopped.
    #[error("the application was killed before its children had stopped")]
    Killed,
    /// The operating system did not let it listen for signals. Nothing was started.
    #[error("the application cannot listen for signals: {0}")]
    Signals(Arc<str>),
}

type Outcome = Result<(), AppError>;

impl App {
    /// An application without children.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), supervisor: Supervisor::one_for_one() }
    }

    /// What it starts and stops.
    pub fn supervisor(mut self, supervisor: Supervisor) -> Self {
        self.supervisor = supervisor;
        self
    }

    /// Runs it until SIGTERM or Ctrl-C, then stops its children in reverse order. A second signal kills
    /// them. It also ends with the process that runs it. In a seeded run, which has no outside, there are
    /// no signals.
    ///
    /// # Errors
    /// [`AppError`], as the exit reason: if it did not start, ended by itself, or was killed by a second
    /// signal. As the result of `main`, that is exit code 1; an orderly stop is exit code 0.
    ///
    /// # Panics
    /// Outside a process. If the runtime was built on a tokio runtime that has no I/O driver.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the application running until the process ends.
    pub async fn run(self) -> biotope_runtime::Result<()> {
        let signals = OsSignals::install(node().runtime());
        let signals = signals.map_err(|error| AppError::Signals(error.to_string().into()))?;
        Ok(self.run_with(signals).await?)
    }

    /// Like [`run`](Self::run), until `stop` is done instead of a signal.
    ///
    /// # Errors
    /// [`AppError`] if it did not start or ended by itself.
    ///
    /// # Panics
    /// Outside a process.
    pub async fn run_until(self, stop: impl Future<Output = ()> + Send) -> Result<(), AppError> {
        self.run_with(Until(Some(Box::pin(stop)))).await
    }

    /// Like [`run`](Self::run), with signals from elsewhere than the operating system.
    ///
    /// # Errors
    /// [`AppError`].
    ///
    /// # Panics
    /// Outside a process.
    pub async fn run_with(self, mut signals: impl StopSignals) -> Result<(), AppError> {
        let (running, _) = self.spawn(&node(), Some(this_pid()));
        let mut ended = pin!(running.ended());
        let mut commands = [Command::Stop, Command::Kill].into_iter();
        loop {
            let mut signal = pin!(signals.next());
            let outcome = std::future::poll_fn(|cx| match ended.as_mut().poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending => signal.as_mut().poll(cx).map(|()| None),
            });
            match (outcome.await, commands.next()) {
                (Some(outcome), _) => return outcome,
                (None, Some(command)) => running.master.cast(command),
                // There is nothing worse than a kill.
                (None, None) => return ended.await,
            }
        }
    }

    /// Starts it on `node`, where it runs until it is stopped or the node ends. Waits until all children
    /// have started.
    ///
    /// # Errors
    /// [`AppError::Start`]; nothing is left running.
    pub async fn start_on(self, node: &Node) -> Result<AppRef, AppError> {
        let name = self.name.clone();
        let (running, started) = self.spawn(node, None);
        match started.await {
            Ok(supervisor) => Ok(AppRef { name, supervisor, running }),
            Err(_) => Err(running.ended().await.err().unwrap_or(AppError::Killed)),
        }
    }

    /// Spawns the process that starts the application. It ends when `owner` ends.
    fn spawn(self, node: &Node, owner: Option<Pid>) -> (Running, oneshot::Receiver<SupervisorRef>) {
        let (started, starting) = oneshot::channel();
        let (sender, outcome) = watch::channel(None);
        let options = SpawnOptions { parent: owner, ..SpawnOptions::default() };
        let master = node.spawn_process_with(options, move |mut me: Process<Command>| async move {
            let outcome = self.master(&mut me, owner, started).await;
            tell_end(&me, &self.name, &outcome);
            sender.send_replace(Some(outcome));
            Ok(())
        });
        (Running { master, outcome }, starting)
    }

    /// From the start of the root supervisor to its end.
    async fn master(
        &self,
        me: &mut Process<Command>,
        owner: Option<Pid>,
        started: oneshot::Sender<SupervisorRef>,
    ) -> Outcome {
        me.trap_exits(true);
        let owner = owner.map(|owner| me.monitor(owner));
        let options = SpawnOptions::linked_to(me.pid());
        let (root, starting) = self.supervisor.launch(me.node(), options)?;
        let root_end = me.monitor(root.pid());
        let mut starting = Some(pin!(starting));
        let mut started = Some(started);
        let mut refused = None;
        let mut is_stopping = false;
        let mut killing: Option<KillTree> = None;
        loop {
            match next(me, &mut starting, killing.is_some()).await {
                Event::Started(Ok(())) => {
                    tracing::info!(application = &*self.name, node = me.node().name(), "application started");
                    if let Some(started) = started.take() {
                        let _ = started.send(root.clone());
                    }
                }
                Event::Started(Err(error)) => refused = Some(error),
                Event::Command(Command::Kill) => {
                    tracing::warn!(application = &*self.name, "application is killed");
                    killing.get_or_insert_with(|| KillTree::begin(me, root.pid()));
                }
                Event::Down(monitor, reason) => match &mut killing {
                    Some(tree) => {
                        let is_done = tree.on_down(me, monitor);
                        if is_done {
                            return Err(AppError::Killed);
                        }
                    }
                    None if monitor == root_end => return outcome(is_stopping, refused, reason),
                    None if Some(monitor) == owner => stop(me, &root, &mut is_stopping),
                    None => {}
                },
                Event::KillTimeout => {
                    tracing::error!(application = &*self.name, "killed processes block their threads: not waited for");
                    return Err(AppError::Killed);
                }
                Event::Command(Command::Stop) => stop(me, &root, &mut is_stopping),
                Event::Other => {}
            }
        }
    }
}

impl AppRef {
    /// The application's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its root supervisor.
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// Stops it, children in reverse order, and waits until it has ended.
    ///
    /// # Errors
    /// [`AppError`], if it had ended by itself or is killed meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the request back.
    pub async fn stop(&self) -> Result<(), AppError> {
        self.running.master.cast(Command::Stop);
        self.ended().await
    }

    /// Kills it, with all that its processes have spawned. Nothing has a chance to clean up.
    pub fn kill(&self) {
        self.running.master.cast(Command::Kill);
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// [`AppError`], if it ended otherwise than by an orderly stop.
    pub async fn ended(&self) -> Result<(), AppError> {
        self.running.ended().await
    }
}

impl fmt::Debug for AppRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppRef({})", self.name)
    }
}

/// What can be done with an application that is at least being started.
#[derive(Clone)]
struct Running {
    master: Address<Command>,
    outcome: watch::Receiver<Option<Outcome>>,
}

enum Command {
    Stop,
    Kill,
}

impl Running {
    fn ended(&self) -> impl Future<Output = Outcome> + Send + use<> {
        let mut outcome = self.outcome.clone();
        async move {
            match outcome.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone().unwrap_or(Err(AppError::Killed)),
                // The process between was killed, and the application with it.
                Err(_) => Err(AppError::Killed),
            }
        }
    }
}

enum Event {
    Started(Result<(), SupervisorStartError>),
    Command(Command),
    Down(MonitorRef, ExitReason),
    KillTimeout,
    Other,
}

async fn next<F>(me: &mut Process<Command>, starting: &mut Option<Pin<&mut F>>, is_killing: bool) -> Event
where
    F: Future<Output = Result<(), SupervisorStartError>>,
{
    let myself = me.pid();
    let mut receive = me.receive_any();
    if is_killing {
        receive = receive.timeout(KILL_GRACE);
    }
    std::future::poll_fn(move |cx| {
        if let Some(start) = starting
            && let Poll::Ready(started) = start.as_mut().poll(cx)
        {
            *starting = None;
            return Poll::Ready(Event::Started(started));
        }
        Pin::new(&mut receive).poll(cx).map(|received| match received {
            Ok(Received::Message(command)) => Event::Command(command),
            Ok(Received::Info(Info::Down(down))) => Event::Down(down.reference, down.reason),
            // From itself: sent by `Node::exit`, from outside any process.
            Ok(Received::Info(Info::Exit(exit))) if exit.from == myself => Event::Command(Command::Stop),
            Ok(Received::Info(_)) => Event::Other,
            Err(ReceiveError::Timeout) => Event::KillTimeout,
            Err(_) => Event::Command(Command::Stop),
        })
    })
    .await
}

fn stop(me: &Process<Command>, root: &SupervisorRef, is_stopping: &mut bool) {
    if !std::mem::replace(is_stopping, true) {
        me.exit(root, ExitReason::Shutdown);
    }
}

/// What the end of the root supervisor means.
fn outcome(is_stopping: bool, refused: Option<SupervisorStartError>, reason: ExitReason) -> Outcome {
    match refused {
        Some(error) if !is_stopping => Err(AppError::Start(error)),
        _ if is_stopping && !reason.is_abnormal() || reason == ExitReason::Normal => Ok(()),
        _ => Err(AppError::Ended(reason)),
    }
}

fn tell_end(me: &Process<Command>, name: &str, outcome: &Outcome) {
    let node = me.node().name();
    match outcome {
        Ok(()) => tracing::info!(application = name, node, "application stopped"),
        Err(error) => tracing::error!(application = name, node, %error, "application ended"),
    }
}

/// A future as the only signal.
struct Until<F>(Option<Pin<Box<F>>>);

impl<F: Future<Output = ()> + Send> StopSignals for Until<F> {
    async fn next(&mut self) {
        match &mut self.0 {
            Some(stop) => stop.await,
            None => std::future::pending().await,
        }
        self.0 = None;
    }
}
