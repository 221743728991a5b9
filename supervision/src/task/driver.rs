//! The process of a task supervisor: it does what its [`Core`] decides.
//!
//! Every child is linked, and monitored from when it is told to stop: one that has taken its link back is waited for like
//! the others.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use biotope_runtime::{
    ExitReason, Info, MonitorRef, Pid, Process, ReceiveError, Received, RegisterError, Result, Shutdown, StartError,
};
use tokio::sync::oneshot;

use super::client::{NewTask, StartTaskError, TaskRequest};
use super::core::{Action, Begun, Core};
use crate::child_spec::Child;
use crate::report::{Context, Report};

/// Who waits for the supervisor to have started.
type Started = oneshot::Sender<std::result::Result<(), StartError>>;

struct Driver {
    me: Process<TaskRequest>,
    name: Option<Arc<str>>,
    /// How tasks are stopped that were not begun otherwise.
    shutdown: Shutdown,
    core: Core,
    /// Of the children that were told to stop.
    monitors: BTreeMap<Pid, MonitorRef>,
    /// What reports call a child.
    child: Child,
}

enum Event {
    Received(Received<TaskRequest>),
    Stop(ExitReason),
    Deadline,
}

/// The body of a task supervisor, which `link` has started and is linked to, if anybody is.
pub(super) async fn run(
    me: Process<TaskRequest>,
    name: Option<Arc<str>>,
    link: Option<Pid>,
    shutdown: Shutdown,
    core: Core,
    started: Started,
) -> Result<()> {
    if let Some(name) = &name
        && let Err(error) = me.node().register(name.clone(), me.pid())
    {
        return Err(refuse(&me, link, &error, started).into());
    }
    let _ = started.send(Ok(()));
    let child = Child::with("task", |_, _| async { Err(StartError::Ignored) });
    let driver = Driver { me, name, shutdown, core, monitors: BTreeMap::new(), child };
    Err(driver.run().await.into())
}

/// Tells whoever waits for the start, if anybody still does, that there will be no supervisor.
fn refuse(me: &Process<TaskRequest>, link: Option<Pid>, error: &RegisterError, started: Started) -> ExitReason {
    let reason = ExitReason::ShutdownWith(error.to_string().into());
    let refused = match error {
        RegisterError::Taken(holder) => StartError::AlreadyStarted(*holder),
        _ => StartError::Refused(reason.clone()),
    };
    // Unlinked first: whoever waits must not be ended by what it is about to be told.
    if let Some(link) = link {
        me.unlink(link);
    }
    let _ = started.send(Err(refused));
    reason
}

impl Driver {
    async fn run(mut self) -> ExitReason {
        let mut actions = Vec::new();
        loop {
            let event = self.next().await;
            self.decide(event, &mut actions);
            for action in actions.drain(..) {
                if let Action::End(reason) = action {
                    return reason;
                }
                self.apply(action);
            }
        }
    }

    async fn next(&mut self) -> Event {
        let Self { me, core, .. } = self;
        let runtime = me.node().runtime().clone();
        let mut sleep = core.deadline().map(|at| runtime.sleep(at.saturating_duration_since(runtime.now())));
        let mut receive = pin!(me.receive_any());
        poll_fn(|cx| {
            match receive.as_mut().poll(cx) {
                Poll::Ready(Ok(received)) => return Poll::Ready(Event::Received(received)),
                Poll::Ready(Err(ReceiveError::Stopped(reason))) => return Poll::Ready(Event::Stop(reason)),
                Poll::Ready(Err(_)) => unreachable!("this receive has no timeout"),
                Poll::Pending => {}
            }
            match &mut sleep {
                Some(sleep) => Pin::new(sleep).poll(cx).map(|()| Event::Deadline),
                None => Poll::Pending,
            }
        })
        .await
    }

    fn decide(&mut self, event: Event, out: &mut Vec<Action>) {
        let now = self.now();
        match event {
            Event::Received(Received::Message(request)) => self.core.on_request(now, request, out),
            Event::Received(Received::Info(Info::Exit(exit))) => {
                // From itself: sent by `Node::exit`, from outside any process. From the parent: whoever it is a part of
                // ends.
                if exit.from == self.me.pid() || Some(exit.from) == self.me.parent() {
                    return self.core.on_stop(now, exit.reason, out);
                }
                if let Some(monitor) = self.monitors.remove(&exit.from) {
                    self.me.demonitor(monitor);
                }
                self.core.on_ended(now, exit.from, exit.reason, out);
            }
            Event::Received(Received::Info(Info::Down(down))) => {
                if let Some(pid) = down.pid()
                    && self.monitors.remove(&pid).is_some()
                {
                    self.core.on_ended(now, pid, down.reason, out);
                }
            }
            Event::Received(Received::Info(_)) => {}
            Event::Stop(reason) => self.core.on_stop(now, reason, out),
            Event::Deadline => self.core.on_deadline(now, out),
        }
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Begin(task) => self.begin(task),
            Action::Again(begun) => {
                if let Some(again) = &begun.again {
                    let pid = again(self.me.node(), self.me.pid());
                    self.core.on_begun(pid, begun);
                }
            }
            Action::Refuse(task, error) => refuse_task(task, error),
            Action::Stop(pid) => self.signal(pid, ExitReason::Shutdown),
            Action::Kill(pid) => self.signal(pid, ExitReason::Kill),
            Action::Report(pid, begun, context) => self.report(pid, &begun, context),
            Action::Answer(reply, was_child) => reply.send(was_child),
            Action::List(reply, children) => reply.send(children),
            Action::End(_) => unreachable!("the end is done by the loop"),
        }
    }

    fn begin(&mut self, NewTask { restart, shutdown, again, begin }: NewTask) {
        let begun = Begun { restart, shutdown: shutdown.unwrap_or(self.shutdown), again };
        // A future that nobody waits for any more is dropped there: it is the user's, and may panic.
        let place = Ok((self.me.node(), self.me.pid()));
        if let Ok(Some(pid)) = catch_unwind(AssertUnwindSafe(|| begin(place))) {
            self.core.on_begun(pid, begun);
        }
    }

    /// Sends a child an exit signal, and sees to it that its end is heard of.
    fn signal(&mut self, pid: Pid, reason: ExitReason) {
        let me = &self.me;
        self.monitors.entry(pid).or_insert_with(|| me.monitor(pid));
        self.me.exit(pid, reason);
    }

    fn report(&self, pid: Pid, begun: &Begun, context: Context) {
        let child = self.child.clone().restart(begun.restart).shutdown(begun.shutdown);
        Report { child, pid: Some(pid), context }.emit(&self.me, self.name.as_deref());
    }

    fn now(&self) -> Instant {
        self.me.node().runtime().now()
    }
}

/// Tells that `task` is not begun, and drops it: what is dropped is the user's, and may panic.
fn refuse_task(task: NewTask, error: StartTaskError) {
    let _ = catch_unwind(AssertUnwindSafe(|| (task.begin)(Err(error))));
}
