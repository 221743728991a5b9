//! The beginning of a process.

use std::future::Future;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::body::caught;
use super::state::{Cause, State};
use super::{AnyCell, Cell, Control, Header, Mailbox, Process, run_actor};
use crate::actor::{Handle, Refused};
use crate::context::Context;
use crate::exit::ExitReason;
use crate::node::{Node, SpawnOptions};
use crate::signal::Signal;
use crate::spec::StartError;

/// What is settled before the first turn.
pub(crate) struct Launch {
    pub(crate) actor: &'static str,
    pub(crate) options: SpawnOptions,
    pub(crate) mailbox_limit: Option<usize>,
    pub(crate) trap_exit: bool,
}

/// Makes a process of the future that `body` returns, and gives it its first turn.
pub(crate) fn launch<M, F, Fut>(node: &Node, launch: Launch, body: F) -> Arc<Cell<M>>
where
    M: Send + 'static,
    F: FnOnce(Arc<Cell<M>>) -> Fut,
    Fut: Future<Output = ExitReason> + Send + 'static,
{
    let pid = node.table().reserve();
    let mut control = Control::default();
    control.trap_exit = launch.trap_exit;
    // Linked before either can run: an end in the first instruction finds the link in place.
    if let Some(parent) = launch.options.link {
        control.links.insert(parent);
        if let Some(parent) = node.process(parent) {
            parent.header().control.lock().links.insert(pid);
        }
    }
    let header = Header {
        pid,
        node: node.clone(),
        actor: launch.actor,
        parent: launch.options.parent,
        state: State::idle(),
        control: Mutex::new(control),
        fate: OnceLock::new(),
        reductions: AtomicU64::new(0),
        budget: AtomicU32::new(0),
        wants_message: AtomicBool::new(false),
        span: tracing::info_span!(
            "process",
            node = node.name(),
            %pid,
            actor = launch.actor,
            name = tracing::field::Empty
        ),
        quiet: AtomicBool::new(false),
    };
    let cell = Arc::new(Cell { header, mailbox: Mailbox::new(launch.mailbox_limit), body: Mutex::new(None) });
    let future = body(cell.clone());
    *cell.body.lock() = Some(Box::pin(future));
    if !node.table().insert(cell.clone()) {
        // The node is shutting down; the process is taken down before it does anything.
        let late = Signal::Exit { from: pid, reason: ExitReason::Kill, link: false };
        let _ = cell.clone().push_signal(late);
    }
    cell.notify(Cause::Wake);
    cell
}

/// Makes a process of the actor that `make` makes in it. `started` is told when its `init` is done.
pub(crate) fn launch_actor<A, F, Fut>(
    node: &Node,
    options: SpawnOptions,
    name: Option<Arc<str>>,
    started: Option<oneshot::Sender<Result<(), StartError>>>,
    make: F,
) -> Arc<Cell<A::Msg>>
where
    A: Handle,
    F: FnOnce(Context<A>) -> Fut + Send + 'static,
    Fut: Future<Output = (Context<A>, Result<A, Refused>)> + Send,
{
    let settings =
        Launch { actor: A::NAME, options, mailbox_limit: A::OPTIONS.mailbox, trap_exit: A::OPTIONS.trap_exit };
    launch(node, settings, move |cell| async move {
        let begun = begin(&cell, name, make).await;
        match begun {
            Ok((actor, cx)) => {
                if let Some(started) = started {
                    let _ = started.send(Ok(()));
                }
                run_actor(actor, cx).await
            }
            Err(error) => refuse(&cell, error, started),
        }
    })
}

async fn begin<A, F, Fut>(
    cell: &Arc<Cell<A::Msg>>,
    name: Option<Arc<str>>,
    make: F,
) -> Result<(A, Context<A>), StartError>
where
    A: Handle,
    F: FnOnce(Context<A>) -> Fut,
    Fut: Future<Output = (Context<A>, Result<A, Refused>)>,
{
    if let Some(name) = name {
        cell.node().register_as(&name, cell.pid()).map_err(|taken| StartError::AlreadyStarted(taken.holder))?;
    }
    let cx = Context::new(Process::new(cell.clone()));
    let (mut cx, made) = caught(make(cx)).await.map_err(StartError::Refused)?;
    let mut actor = made?;
    caught(actor.init(&mut cx)).await.map_err(StartError::Refused)??;
    Ok((actor, cx))
}

/// Ends a process that did not start. Whoever waits for the start reports it, so the end itself is
/// quiet and not linked; if nobody waits, it ends as any process does.
fn refuse<M: Send + 'static>(
    cell: &Arc<Cell<M>>,
    error: StartError,
    started: Option<oneshot::Sender<Result<(), StartError>>>,
) -> ExitReason {
    let reason = match &error {
        StartError::Ignored => ExitReason::Normal,
        StartError::Refused(reason) => reason.clone(),
        other => ExitReason::error(other.clone()),
    };
    let Some(started) = started else { return reason };
    let header = &cell.header;
    header.quiet.store(true, Ordering::Relaxed);
    // Unlinked first: whoever waits must not be ended by what it is about to be told.
    let links = std::mem::take(&mut header.control.lock().links);
    for peer in links {
        header.node.signal(peer, Signal::Unlink { from: header.pid });
        if let Some(peer) = header.node.process(peer) {
            peer.header().control.lock().links.remove(&header.pid);
        }
    }
    let _ = started.send(Err(error));
    reason
}

impl From<Refused> for StartError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Ignore => Self::Ignored,
            Refused::Error(reason) => Self::Refused(reason),
        }
    }
}

/// A refused start as an exit reason.
impl From<StartError> for ExitReason {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Refused(reason) | StartError::Died(reason) => reason,
            other => ExitReason::error(other),
        }
    }
}
