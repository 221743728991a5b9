//! The process of a dynamic supervisor: it does what its [`Core`] decides.
//!
//! It waits for its mailbox, for the starts that are under way, and for the next deadline, all at once.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use biotope_runtime::{ExitReason, Pid, Process, RegisterError, Result, StartError, time};
use tokio::sync::oneshot;

use super::client::{Begin, DynamicRequest, Refusal};
use super::core::{Action, Core, Key, Target};
use super::starts::{Started, Starts};
use crate::hearing::{Heard, Leaving};

/// Who waits for the supervisor to have started.
type Ready = oneshot::Sender<std::result::Result<(), StartError>>;

struct Driver {
    me: Process<DynamicRequest>,
    name: Option<Arc<str>>,
    core: Core,
    starts: Starts,
    leaving: Leaving,
    /// Whether starts are looked at before the mailbox this time: they take turns.
    starts_first: bool,
}

enum Event {
    Started(Started),
    Heard(Heard<DynamicRequest>),
}

/// The body of a dynamic supervisor, which `link` has started and is linked to, if anybody is.
pub(super) async fn run(
    me: Process<DynamicRequest>,
    name: Option<Arc<str>>,
    link: Option<Pid>,
    core: Core,
    ready: Ready,
) -> Result<()> {
    if let Some(name) = &name
        && let Err(error) = me.node().register(name.clone(), me.pid())
    {
        return Err(refuse(&me, link, &error, ready).into());
    }
    let _ = ready.send(Ok(()));
    let (starts, leaving) = (Starts::default(), Leaving::default());
    let driver = Driver { me, name, core, starts, leaving, starts_first: false };
    Err(driver.run().await.into())
}

/// Tells whoever waits for the start, if anybody still does, that there will be no supervisor.
fn refuse(me: &Process<DynamicRequest>, link: Option<Pid>, error: &RegisterError, ready: Ready) -> ExitReason {
    let reason = ExitReason::ShutdownWith(error.to_string().into());
    let refused = match error {
        RegisterError::Taken(holder) => StartError::AlreadyStarted(*holder),
        _ => StartError::Refused(reason.clone()),
    };
    // Unlinked first: whoever waits must not be ended by what it is about to be told.
    if let Some(link) = link {
        me.unlink(link);
    }
    let _ = ready.send(Err(refused));
    reason
}

impl Driver {
    async fn run(mut self) -> ExitReason {
        let (mut actions, mut more) = (Vec::new(), Vec::new());
        loop {
            let event = self.next().await;
            let has_failed = matches!(&event, Event::Started(started) if started.outcome.is_err());
            self.decide(event, &mut actions);
            while !actions.is_empty() {
                for action in actions.drain(..) {
                    if let Action::End(reason) = action {
                        self.end_strays();
                        return reason;
                    }
                    self.apply(action, &mut more);
                }
                std::mem::swap(&mut actions, &mut more);
            }
            // What fails at once may fail at once again: others run in between, and so whoever could stop it.
            if has_failed {
                time::yield_now().await;
            }
        }
    }

    async fn next(&mut self) -> Event {
        let Self { me, core, starts, leaving, starts_first, .. } = self;
        *starts_first = !*starts_first;
        let mut hear = pin!(leaving.hear(me, core.deadline()));
        poll_fn(|cx| {
            if *starts_first && let Poll::Ready(started) = starts.poll(cx) {
                return Poll::Ready(Event::Started(started));
            }
            if let Poll::Ready(heard) = hear.as_mut().poll(cx) {
                return Poll::Ready(Event::Heard(heard));
            }
            starts.poll(cx).map(Event::Started)
        })
        .await
    }

    fn decide(&mut self, event: Event, out: &mut Vec<Action>) {
        let now = self.now();
        match event {
            Event::Started(started) => self.started(started, out),
            Event::Heard(Heard::Request(request)) => self.core.on_request(now, request, out),
            Event::Heard(Heard::Ended(pid, reason)) => {
                self.starts.on_ended(pid, &reason);
                self.core.on_ended(now, pid, reason, out);
            }
            Event::Heard(Heard::Stop(reason)) => self.core.on_stop(now, reason, out),
            Event::Heard(Heard::Deadline) => self.core.on_deadline(now, out),
        }
    }

    fn started(&mut self, Started { key, outcome, ended, left }: Started, out: &mut Vec<Action>) {
        let now = self.now();
        // Whatever a start has left that failed is nobody's child.
        left.into_iter().for_each(|pid| self.me.exit(pid, ExitReason::Kill));
        let child = outcome.as_ref().ok().copied();
        self.core.on_started(now, key, outcome, out);
        match (child, ended) {
            (Some(pid), Some(reason)) => self.core.on_ended(now, pid, reason, out),
            // A start that did not link its child is made good here.
            (Some(pid), None) => self.me.link(pid),
            (None, _) => {}
        }
    }

    /// Does it; what the core decides next because of that goes to `out`.
    fn apply(&mut self, action: Action, out: &mut Vec<Action>) {
        match action {
            Action::Start(key, child, restarts) => {
                if let Some(started) = self.starts.begin(&self.me, key, &child, restarts) {
                    self.started(started, out);
                }
            }
            Action::Begin(key, begin) => {
                let place = Ok((self.me.node(), self.me.pid()));
                // A future that nobody waits for any more is dropped there: it is the user's, and may panic.
                let begun = catch_unwind(AssertUnwindSafe(|| begin(place))).ok().flatten();
                self.core.on_begun(self.now(), key, begun, out);
            }
            Action::Refuse(begin, refusal) => refuse_child(begin, refusal),
            Action::Stop(target) => self.signal(target, &ExitReason::Shutdown),
            Action::Kill(target) => self.signal(target, &ExitReason::Kill),
            Action::Look(key, circuit) => {
                let is_up = circuit.is_up(self.me.node());
                self.core.on_looked(self.now(), key, is_up, out);
            }
            Action::FindOrphans(key, killed) => {
                let left: BTreeSet<Pid> = self.me.node().children(killed).into_iter().collect();
                left.iter().for_each(|orphan| self.leaving.watch(&self.me, *orphan));
                self.core.on_orphans(self.now(), key, left, out);
            }
            Action::Abandon(key) => self.starts.abandon(key),
            Action::Report(report) => report.emit(&self.me, self.name.as_deref()),
            Action::Reply(reply) => reply.send(),
            Action::End(_) => unreachable!("the end is done by the loop"),
        }
    }

    /// Sends `target` an exit signal. Of the end of a child it hears.
    fn signal(&mut self, target: Target, reason: &ExitReason) {
        match target {
            Target::Process(pid) => self.leaving.send_away(&self.me, pid, reason.clone()),
            Target::Start(key) => self.spawned(key).into_iter().for_each(|pid| self.me.exit(pid, reason.clone())),
        }
    }

    /// What a start under way has spawned as children of the supervisor.
    fn spawned(&self, key: Key) -> Vec<Pid> {
        self.starts.spawned(key).iter().copied().filter(|pid| self.is_parent_of(*pid)).collect()
    }

    /// Ends whatever is linked to the supervisor as a child of its, and is none: what a start has spawned that was given up.
    fn end_strays(&self) {
        let links = self.me.node().peek(self.me.pid()).map(|info| info.links).unwrap_or_default();
        let strays = links.into_iter().filter(|pid| self.is_parent_of(*pid));
        strays.for_each(|pid| self.me.exit(pid, ExitReason::Kill));
    }

    fn is_parent_of(&self, pid: Pid) -> bool {
        self.me.node().peek(pid).and_then(|info| info.parent) == Some(self.me.pid())
    }

    fn now(&self) -> Instant {
        self.me.node().runtime().now()
    }
}

/// Tells that a child is not begun, and drops it: what is dropped is the user's, and may panic.
fn refuse_child(begin: Box<Begin>, refusal: Refusal) {
    let _ = catch_unwind(AssertUnwindSafe(|| begin(Err(refusal))));
}
