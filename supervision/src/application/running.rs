//! The life of a program: an application that runs until it is told to stop.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Instant;

use biotope_runtime::{Address, Error, ExitReason, Node, Pid, node, this_pid};
use tokio::sync::{oneshot, watch};

use super::app::App;
use super::applications::HostApplications;
use super::controller::{NewRun, Request, RunOutcome};
use super::core::Ticket;
use super::errors::{AppError, StartAppError};
use super::order::Name;
use super::probe::Probe;
use super::signals::{OsSignals, StopSignal, StopSignals};
use super::systemd::Systemd;
use crate::config::SAME_SIGNAL_WITHIN;
use crate::supervisor::SupervisorRef;

/// A running application, with all that was started for it. It neither keeps the application alive nor ends it.
#[derive(Clone)]
pub struct AppRef {
    supervisor: SupervisorRef,
    running: Running,
}

impl App {
    /// Runs it, with all that it needs, until SIGTERM or Ctrl-C, then stops all of that in the reverse of the order in which
    /// it was started. A second signal kills what has not stopped yet, unless it is the same within half a second. It also
    /// ends with the process that runs it, and when it, or a permanent application that it needs, ends by itself. In a
    /// seeded run, which has no outside, there are no signals.
    ///
    /// A stop that takes long says every five seconds whom it waits for.
    ///
    /// # Errors
    /// [`AppError`], as the exit reason. As the result of `main`, it is one of the [exit codes](crate::exit_code); an
    /// orderly stop is exit code 0.
    ///
    /// # Panics
    /// Outside a process. If the runtime was built on a tokio runtime that has no I/O driver.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the application running until the process ends.
    pub async fn run(self) -> biotope_runtime::Result<()> {
        self.run_as_program().await.map_err(|error| Error::from(error.into_reason()))
    }

    async fn run_as_program(self) -> RunOutcome {
        let signals = OsSignals::install(node().runtime());
        let signals = signals.map_err(|error| AppError::Signals(error.to_string().into()))?;
        let probe = match &self.probe {
            Some(address) if !node().runtime().is_seeded() => {
                let probe = Probe::start(&node(), this_pid(), address).await;
                let refused = |error: std::io::Error| AppError::Probe {
                    address: address.clone(),
                    error: error.to_string().into(),
                };
                Some(probe.map_err(refused)?)
            }
            _ => None,
        };
        let systemd = if self.tells_systemd { Systemd::from_environment() } else { None };
        let outcome = self.run_beside(signals, systemd).await;
        if let Some(probe) = probe {
            node().exit(probe, ExitReason::Shutdown);
        }
        outcome
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
    pub async fn run_with(self, signals: impl StopSignals) -> Result<(), AppError> {
        self.run_beside(signals, None).await
    }

    pub(super) async fn run_beside(self, mut signals: impl StopSignals, systemd: Option<Systemd>) -> RunOutcome {
        let (running, started) = self.begin(&node(), Some(this_pid())).await?;
        let mut accompanied = Some(Box::pin(accompany(systemd.clone(), started)));
        let mut ended = pin!(running.ended());
        let runtime = node().runtime().clone();
        let mut heard = Heard::default();
        loop {
            let mut signal = pin!(signals.next());
            let next = poll_fn(|cx| {
                if accompanied.as_mut().is_some_and(|telling| telling.as_mut().poll(cx).is_ready()) {
                    accompanied = None;
                }
                match ended.as_mut().poll(cx) {
                    Poll::Ready(outcome) => Poll::Ready(Err(outcome)),
                    Poll::Pending => signal.as_mut().poll(cx).map(Ok),
                }
            });
            match next.await {
                Err(outcome) => return outcome.map_err(|error| hurried(error, heard.second)),
                Ok(signal) => match heard.hear(signal, runtime.now()) {
                    Means::Stop => {
                        if let Some(systemd) = &systemd {
                            systemd.tell("STOPPING=1");
                        }
                        running.command(Request::StopRun);
                    }
                    Means::Kill => running.command(Request::KillRun),
                    Means::Nothing => {}
                },
            }
        }
    }

    /// Starts it on `node`, with all that it needs, where it runs until it is stopped, it ends or the node does. Waits until
    /// its children have started and its phases are over.
    ///
    /// # Errors
    /// [`AppError::Start`]; nothing is left running.
    pub async fn start_on(self, node: &Node) -> Result<AppRef, AppError> {
        let (running, started) = self.begin(node, None).await?;
        match started.await {
            Ok(Ok(supervisor)) => Ok(AppRef { supervisor, running }),
            // When this is told, nothing is left.
            _ => Err(running.ended().await.err().unwrap_or_else(|| StartAppError::Stopped(self.name).into())),
        }
    }

    /// Begins to run it. It ends when `owner` ends.
    async fn begin(&self, node: &Node, owner: Option<Pid>) -> Result<(Running, Started), AppError> {
        let apps = self.prepare(node).map_err(StartAppError::from)?;
        let mut heard = None;
        let applications = node.applications();
        let taken = applications.ask(|taken| {
            let (started, starting) = oneshot::channel();
            let (sender, outcome) = watch::channel(None);
            heard = Some((starting, outcome));
            Request::Run(NewRun { apps: apps.clone(), owner, started, outcome: sender, taken })
        });
        match (taken.await, heard) {
            (Some((controller, ticket)), Some((starting, outcome))) => {
                Ok((Running { name: self.name.clone(), ticket, controller, outcome }, starting))
            }
            _ => Err(StartAppError::Stopping.into()),
        }
    }
}

type Started = oneshot::Receiver<Result<SupervisorRef, StartAppError>>;

/// The signals that were heard.
#[derive(Default)]
struct Heard {
    first: Option<(StopSignal, Instant)>,
    /// The one that hurried.
    second: Option<StopSignal>,
}

/// What a signal means.
enum Means {
    Stop,
    Kill,
    Nothing,
}

impl Heard {
    fn hear(&mut self, signal: StopSignal, now: Instant) -> Means {
        match self.first {
            None => {
                self.first = Some((signal, now));
                Means::Stop
            }
            Some((first, at)) if first == signal && now.saturating_duration_since(at) < SAME_SIGNAL_WITHIN => {
                Means::Nothing
            }
            Some(_) if self.second.is_none() => {
                self.second = Some(signal);
                Means::Kill
            }
            // There is nothing worse than a kill.
            Some(_) => Means::Nothing,
        }
    }
}

/// The signal that a kill was due to.
fn hurried(error: AppError, second: Option<StopSignal>) -> AppError {
    match error {
        AppError::Killed { by: None, left } => AppError::Killed { by: second, left },
        other => other,
    }
}

/// Tells systemd that the application has started, then that it lives.
async fn accompany(systemd: Option<Systemd>, started: Started) {
    if let (Some(systemd), Ok(Ok(root))) = (systemd, started.await) {
        systemd.accompany(root).await;
    }
}

impl AppRef {
    /// The application's name.
    pub fn name(&self) -> &str {
        &self.running.name
    }

    /// Its root supervisor.
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// Stops it and what was started for it, children in reverse order, and waits until all has ended.
    ///
    /// # Errors
    /// [`AppError`], if it had ended by itself or is killed meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the request back.
    pub async fn stop(&self) -> Result<(), AppError> {
        self.running.command(Request::StopRun);
        self.ended().await
    }

    /// Kills it, with all that its processes have spawned. Nothing has a chance to clean up.
    pub fn kill(&self) {
        self.running.command(Request::KillRun);
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
        write!(f, "AppRef({})", self.name())
    }
}

/// What can be done with an application that is at least being started.
#[derive(Clone)]
struct Running {
    name: Name,
    ticket: Ticket,
    controller: Address<Request>,
    outcome: watch::Receiver<Option<RunOutcome>>,
}

impl Running {
    fn command(&self, request: impl FnOnce(Ticket) -> Request) {
        self.controller.cast(request(self.ticket));
    }

    fn ended(&self) -> impl Future<Output = RunOutcome> + Send + use<> {
        let mut outcome = self.outcome.clone();
        async move {
            let killed = Err(AppError::Killed { by: None, left: Vec::new() });
            match outcome.wait_for(Option::is_some).await {
                Ok(outcome) => outcome.clone().unwrap_or(killed),
                // The controller was killed, and its applications stop with it.
                Err(_) => killed,
            }
        }
    }
}

/// A future as the only signal.
struct Until<F>(Option<Pin<Box<F>>>);

impl<F: Future<Output = ()> + Send> StopSignals for Until<F> {
    async fn next(&mut self) -> StopSignal {
        match &mut self.0 {
            Some(stop) => stop.await,
            None => std::future::pending().await,
        }
        self.0 = None;
        StopSignal::Terminate
    }
}
