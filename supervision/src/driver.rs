//! The supervisor's process: it does what its [`Core`] decides.
//!
//! It waits for three things at once: its mailbox, the one start that may be under way, and the next
//! deadline. So it answers while a child starts or stops, and a start that never returns keeps it from ending no
//! longer than the child's shutdown allows.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use biotope_runtime::{ExitReason, Pid, Process, RegisterError, Result, StartError};
use tokio::sync::oneshot;

use crate::caught::{begin_caught, dropped, poll_caught};
use crate::child_spec::Starting;
use crate::client::Request;
use crate::core::{Action, Core, End, Key, Target};
use crate::hearing::{Heard, Leaving};
use crate::supervisor::SupervisorStartError;

/// Who waits for the supervisor to have started.
type Started = oneshot::Sender<std::result::Result<(), SupervisorStartError>>;

struct Driver {
    me: Process<Request>,
    name: Option<Arc<str>>,
    /// Who is linked to the supervisor from the beginning: its starter.
    link: Option<Pid>,
    core: Core,
    started: Option<Started>,
    /// The start under way.
    start: Option<(Key, Starting)>,
    leaving: Leaving,
}

enum Event {
    Started(Key, std::result::Result<Pid, StartError>),
    Heard(Heard<Request>),
}

/// The body of a supervisor.
pub(crate) async fn run(
    me: Process<Request>,
    name: Option<Arc<str>>,
    link: Option<Pid>,
    core: Core,
    started: Started,
) -> Result<()> {
    me.trap_exits(true);
    let driver = Driver { me, name, link, core, started: Some(started), start: None, leaving: Leaving::default() };
    Err(driver.run().await.into())
}

impl Driver {
    async fn run(mut self) -> ExitReason {
        if let Some(name) = self.name.clone()
            && let Err(error) = self.me.node().register(name, self.me.pid())
        {
            return self.not_registered(&error);
        }
        let mut actions = Vec::new();
        self.core.begin(self.now(), &mut actions);
        loop {
            while !actions.is_empty() {
                for action in std::mem::take(&mut actions) {
                    if let Action::End(end) = action {
                        return self.end(end);
                    }
                    self.apply(action, &mut actions);
                }
            }
            let event = self.next().await;
            self.decide(event, &mut actions);
        }
    }

    async fn next(&mut self) -> Event {
        let Self { me, core, start, leaving, .. } = self;
        let mut hear = pin!(leaving.hear(me, core.deadline()));
        poll_fn(|cx| {
            // The start first: what it spawned may have ended already, which is then in the mailbox.
            if let Some((key, starting)) = start
                && let Poll::Ready(outcome) = poll_caught(starting, cx)
            {
                let key = *key;
                dropped(start.take());
                return Poll::Ready(Event::Started(key, outcome));
            }
            hear.as_mut().poll(cx).map(Event::Heard)
        })
        .await
    }

    fn decide(&mut self, event: Event, out: &mut Vec<Action>) {
        let now = self.now();
        match event {
            Event::Started(key, outcome) => {
                match outcome {
                    // A start that did not link its child is made good here.
                    Ok(pid) => self.me.link(pid),
                    // Whatever a start has left that failed is nobody's child.
                    Err(_) => self.strays().into_iter().for_each(|pid| self.me.exit(pid, ExitReason::Kill)),
                }
                self.core.on_started(now, key, outcome, out);
            }
            Event::Heard(Heard::Request(request)) => self.core.on_request(now, request, out),
            Event::Heard(Heard::Ended(pid, reason)) => self.core.on_ended(now, pid, reason, out),
            Event::Heard(Heard::Stop(reason)) => self.core.on_stop(now, reason, out),
            Event::Heard(Heard::Deadline) => self.core.on_deadline(now, out),
        }
    }

    /// Does what was decided; `more` takes what is decided about it at once.
    fn apply(&mut self, action: Action, more: &mut Vec<Action>) {
        match action {
            Action::Start(key, child, restarts) => self.start = Some((key, begin_caught(&child, &self.me, restarts))),
            Action::Stop(target) => self.signal(target, &ExitReason::Shutdown),
            Action::Kill(target) => self.signal(target, &ExitReason::Kill),
            Action::Look(key, circuit) => {
                let is_up = circuit.is_up(self.me.node());
                self.core.on_looked(self.now(), key, is_up, more);
            }
            Action::FindOrphans(key, killed) => {
                let left: BTreeSet<Pid> = self.me.node().children(killed).into_iter().collect();
                left.iter().for_each(|orphan| self.leaving.watch(&self.me, *orphan));
                self.core.on_orphans(self.now(), key, left, more);
            }
            Action::Abandon => dropped(self.start.take()),
            Action::Ready => {
                if let Some(started) = self.started.take() {
                    let _ = started.send(Ok(()));
                }
            }
            Action::Report(report) => report.emit(&self.me, self.name.as_deref()),
            Action::Reply(reply) => reply.send(),
            Action::End(_) => unreachable!("the end is done by the loop"),
        }
    }

    /// Sends `target` an exit signal. Of the end of a child it hears.
    fn signal(&mut self, target: Target, reason: &ExitReason) {
        match target {
            Target::Process(pid) => self.leaving.send_away(&self.me, pid, reason.clone()),
            Target::Start(_) => self.strays().into_iter().for_each(|pid| self.me.exit(pid, reason.clone())),
        }
    }

    /// What the start under way has spawned: processes linked to this one as their parent that are not
    /// known as children. The start tells its pid only when it is done.
    fn strays(&self) -> Vec<Pid> {
        let node = self.me.node();
        let links = node.peek(self.me.pid()).map(|info| info.links).unwrap_or_default();
        let is_stray = |pid: &Pid| {
            let parent = node.peek(*pid).and_then(|info| info.parent);
            parent == Some(self.me.pid()) && !self.core.knows(*pid)
        };
        links.into_iter().filter(is_stray).collect()
    }

    fn not_registered(mut self, error: &RegisterError) -> ExitReason {
        let reason = ExitReason::ShutdownWith(error.to_string().into());
        let refused = match error {
            RegisterError::Taken(holder) => SupervisorStartError::AlreadyStarted(*holder),
            _ => SupervisorStartError::Died(reason.clone()),
        };
        self.refuse(refused);
        reason
    }

    fn end(mut self, end: End) -> ExitReason {
        let refused = match end.failed {
            Some((id, error)) => SupervisorStartError::Child { id, error },
            None => SupervisorStartError::Died(end.reason.clone()),
        };
        self.refuse(refused);
        end.reason
    }

    /// Tells whoever waits for the start, if anybody still does, that there will be no supervisor.
    fn refuse(&mut self, error: SupervisorStartError) {
        let Some(started) = self.started.take() else { return };
        // Unlinked first: whoever waits must not be ended by what it is about to be told.
        if let Some(link) = self.link {
            self.me.unlink(link);
        }
        // And the name is free by then, so that it can try again at once.
        if let Some(name) = &self.name
            && self.me.node().whereis(name) == Some(self.me.pid())
        {
            // Nobody else has taken it: it was this supervisor's.
            let _ = self.me.node().unregister(name);
        }
        let _ = started.send(Err(error));
    }

    fn now(&self) -> Instant {
        self.me.node().runtime().now()
    }
}
