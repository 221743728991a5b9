//! The process of a task supervisor: it does what its [`Core`] decides.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use biotope_runtime::{ExitReason, Pid, Process, RegisterError, Result, Shutdown, StartError};
use tokio::sync::oneshot;

use super::client::{NewTask, StartTaskError, TaskRequest};
use super::core::{Action, Begun, Core};
use crate::child_spec::Child;
use crate::hearing::{Heard, Leaving};
use crate::report::{Context, Report};

/// Who waits for the supervisor to have started.
type Started = oneshot::Sender<std::result::Result<(), StartError>>;

struct Driver {
    me: Process<TaskRequest>,
    name: Option<Arc<str>>,
    /// How tasks are stopped that were not begun otherwise.
    shutdown: Shutdown,
    core: Core,
    leaving: Leaving,
    /// What reports call a child.
    child: Child,
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
    let driver = Driver { me, name, shutdown, core, leaving: Leaving::default(), child };
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
            let heard = self.leaving.hear(&mut self.me, self.core.deadline()).await;
            self.decide(heard, &mut actions);
            for action in actions.drain(..) {
                if let Action::End(reason) = action {
                    return reason;
                }
                self.apply(action);
            }
        }
    }

    fn decide(&mut self, heard: Heard<TaskRequest>, out: &mut Vec<Action>) {
        let now = self.me.node().runtime().now();
        match heard {
            Heard::Request(request) => self.core.on_request(now, request, out),
            Heard::Ended(pid, reason) => self.core.on_ended(now, pid, reason, out),
            Heard::Stop(reason) => self.core.on_stop(now, reason, out),
            Heard::Deadline => self.core.on_deadline(now, out),
        }
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Begin(task) => self.begin(task),
            Action::Again(begun) => {
                if let Some(again) = &begun.again {
                    let pid = again(self.me.node(), self.me.pid(), begun.restarts);
                    self.core.on_begun(pid, begun);
                }
            }
            Action::Refuse(task, error) => refuse_task(task, error),
            Action::Stop(pid) => self.leaving.send_away(&self.me, pid, ExitReason::Shutdown),
            Action::Kill(pid) => self.leaving.send_away(&self.me, pid, ExitReason::Kill),
            Action::Report(pid, begun, context) => self.report(pid, &begun, context),
            Action::Answer(reply, was_child) => reply.send(was_child),
            Action::List(reply, children) => reply.send(children),
            Action::End(_) => unreachable!("the end is done by the loop"),
        }
    }

    fn begin(&mut self, NewTask { restart, shutdown, again, begin }: NewTask) {
        let begun = Begun { restart, shutdown: shutdown.unwrap_or(self.shutdown), again, restarts: 0 };
        // A future that nobody waits for any more is dropped there: it is the user's, and may panic.
        let place = Ok((self.me.node(), self.me.pid()));
        if let Ok(Some(pid)) = catch_unwind(AssertUnwindSafe(|| begin(place))) {
            self.core.on_begun(pid, begun);
        }
    }

    fn report(&self, pid: Pid, begun: &Begun, context: Context) {
        let child = self.child.clone().restart(begun.restart).shutdown(begun.shutdown);
        Report { child, pid: Some(pid), restarts: begun.restarts, context }.emit(&self.me, self.name.as_deref());
    }
}

/// Tells that `task` is not begun, and drops it: what is dropped is the user's, and may panic.
fn refuse_task(task: NewTask, error: StartTaskError) {
    let _ = catch_unwind(AssertUnwindSafe(|| (task.begin)(Err(error))));
}
