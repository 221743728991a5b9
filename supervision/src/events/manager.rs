//! The manager: the process that events go through.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::time::Duration;

use biotope_runtime::{
    Actor, Context, Down, ExitReason, Handle, Info, MonitorRef, Node, Options, Pid, Recipient, Refused, ReplyTo,
    SpawnOptions, Start,
};
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::client::{Ask, Event, EventClient, HandlerInfo, Message, Started};
use super::roster::{Roster, Seat};

/// A process that gives each event to all of its handlers, which are added and removed while it runs: OTP's `gen_event`.
///
/// A handler is an actor with a `#[message]` handler for the event, and a process of its own: it crashes alone. The manager is
/// told what to do by the methods of [`EventClient`]. It can be a child of a supervisor, and have a name, as every actor:
/// `EventManager::<Alarm>::spec().named("alarms")`.
///
/// For events that many parts of a program hear, each at its own pace, there is [`Topic`](biotope_runtime::Topic).
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Clone, Message)]
/// struct Alarm(&'static str);
///
/// /// Counts alarms.
/// #[derive(Actor, Default)]
/// struct Tally {
///     alarms: usize,
/// }
///
/// #[handlers]
/// impl Tally {
///     #[message]
///     fn on_alarm(&mut self, alarm: Alarm) {
///         assert_ne!(alarm.0, "flood");
///         self.alarms += 1;
///     }
///
///     pub fn alarms(&self) -> usize {
///         self.alarms
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let alarms = EventManager::<Alarm>::spec().start_link().await?;
///     let tally = alarms.add_handler(Tally::spec()).await?;
///     alarms.notify(Alarm("fire"));
///     assert_eq!(alarms.call(&tally, |tally| tally.alarms()).await?, 1);
///     alarms.sync_notify(Alarm("smoke")).await?;
///     assert_eq!(alarms.delete_handler(&tally, |tally| tally.alarms).await?, 2);
///     assert!(alarms.which_handlers().await?.is_empty());
///     Ok(())
/// }
/// ```
pub struct EventManager<E: Event> {
    roster: Roster<Handler<E>, Kept<E>>,
    /// Of those who handlers go with.
    adders: BTreeMap<Pid, MonitorRef>,
}

struct Handler<E: Event> {
    to: Recipient<E>,
    actor: &'static str,
}

/// An event for a handler that is still to come.
struct Kept<E> {
    event: E,
    /// Told when it was handled; dropped, if it is not going to be.
    handled: Option<oneshot::Sender<()>>,
}

impl<E: Event> EventManager<E> {
    /// A manager without handlers.
    pub fn new() -> Self {
        Self { roster: Roster::default(), adders: BTreeMap::new() }
    }

    fn on_notify(&mut self, event: E) {
        let now = self.roster.on_event(|| Kept { event: event.clone(), handled: None });
        for handler in now {
            handler.to.cast(event.clone());
        }
    }

    fn on_sync_notify(&mut self, event: E, reply: ReplyTo<()>, cx: &Context<Self>) {
        let mut later = Vec::new();
        let now = self.roster.on_event(|| {
            let (sender, handled) = oneshot::channel();
            later.push(handled);
            Kept { event: event.clone(), handled: Some(sender) }
        });
        let requests: Vec<_> = now.iter().map(|handler| ask(&handler.to, event.clone())).collect();
        // One that has ended has handled all that it ever will.
        let all = async { (join_all(requests).await, join_all(later).await) };
        cx.pipe(all, |_, _| reply.send(()));
    }

    /// A handler has started. It may have ended since, and so may the process that it goes with: the monitors tell.
    fn on_added(&mut self, started: Started<E>, adder: Option<Pid>, cx: &Context<Self>) {
        let Started { handler: to, actor, tell } = started;
        let pid = to.pid();
        cx.monitor(pid);
        if let Some(adder) = adder {
            self.adders.entry(adder).or_insert_with(|| cx.monitor(adder));
        }
        self.roster.on_added(pid, Handler { to, actor }, adder);
        tell(true);
    }

    fn on_swapped(&mut self, seat: Seat, started: Option<Started<E>>, cx: &Context<Self>) {
        let Some(Started { handler: to, actor, tell }) = started else {
            self.roster.on_not_swapped(seat);
            return self.forget_adders(cx);
        };
        let (pid, handler) = (to.pid(), Handler { to: to.clone(), actor });
        let Some(kept) = self.roster.on_swapped(seat, pid, handler) else {
            cx.node().stop(pid, ExitReason::Shutdown);
            return tell(false);
        };
        cx.monitor(pid);
        for Kept { event, handled } in kept {
            match handled {
                None => to.cast(event),
                Some(handled) => drop(cx.pipe(ask(&to, event), |_, ()| handled.send(()).unwrap_or_default())),
            }
        }
        tell(true);
    }

    /// A process has ended: a handler, or one that handlers go with.
    fn on_ended(&mut self, pid: Pid, cx: &Context<Self>) {
        for orphan in self.roster.on_ended(pid) {
            cx.node().stop(orphan, ExitReason::Shutdown);
        }
        self.forget_adders(cx);
    }

    /// Whoever no handler goes with is not monitored.
    fn forget_adders(&mut self, cx: &Context<Self>) {
        for adder in self.roster.take_left() {
            if let Some(monitor) = self.adders.remove(&adder) {
                cx.demonitor(monitor);
            }
        }
    }

    /// The processes that end before the manager: its handlers, those that are being started or removed, and what awaits
    /// something for it.
    fn dependents(&self, cx: &Context<Self>) -> BTreeSet<Pid> {
        let (node, me) = (cx.node(), cx.pid());
        let links = node.peek(me).map(|info| info.links).unwrap_or_default();
        let is_child = |pid: &Pid| node.peek(*pid).is_some_and(|info| info.parent == Some(me));
        let handlers = self.roster.handlers().map(|(pid, ..)| pid);
        links.into_iter().filter(is_child).chain(handlers).collect()
    }

    /// Where, and how, a handler is started.
    fn place(cx: &Context<Self>) -> (Node, SpawnOptions) {
        (cx.node().clone(), SpawnOptions::linked_to(cx.pid()))
    }

    fn listed(&self) -> Vec<HandlerInfo> {
        let handlers = self.roster.handlers();
        handlers.map(|(pid, handler, adder)| HandlerInfo::new(pid, handler.actor, adder)).collect()
    }
}

/// Gives `event` to `handler`. What this returns is done when it was handled, or the handler has ended.
fn ask<E: Event>(handler: &Recipient<E>, event: E) -> impl Future<Output = ()> + Send + use<E> {
    let request = handler.call(event).timeout(Duration::MAX).send();
    async { drop(request.await) }
}

impl<E: Event> Actor for EventManager<E> {
    type Msg = Message<E>;
    type Client = EventClient<E>;
    const NAME: &'static str = "EventManager";
    // The end of a handler must not end the manager.
    const OPTIONS: Options = Options { trap_exit: true, ..Options::DEFAULT };
}

impl<E: Event> Start for EventManager<E> {
    type Args = ();

    async fn start((): (), _cx: &mut Context<Self>) -> Result<Self, Refused> {
        Ok(Self::new())
    }
}

impl<E: Event> Handle for EventManager<E> {
    async fn handle(&mut self, message: Message<E>, cx: &mut Context<Self>) {
        match message.0 {
            Ask::Notify(event) => self.on_notify(event),
            Ask::SyncNotify(event, reply) => self.on_sync_notify(event, reply, cx),
            Ask::Add(begin, adder) => {
                let (node, options) = Self::place(cx);
                cx.pipe(begin(&node, options), move |me, started| me.tell(Ask::Added(started, adder)));
            }
            Ask::Added(started, adder) => {
                if let Some(started) = started {
                    self.on_added(started, adder, cx);
                }
            }
            Ask::Delete(handler, delete) => {
                let is_handler = self.roster.on_delete(handler);
                self.forget_adders(cx);
                cx.pipe(delete(is_handler), |_, ()| {});
            }
            Ask::Swap(handler, swap) => match self.roster.on_swap(handler) {
                None => drop(cx.pipe(swap(None), |_, _| {})),
                Some(seat) => {
                    let swapped = swap(Some(Self::place(cx)));
                    cx.pipe(swapped, move |me, started| me.tell(Ask::Swapped(seat, started)));
                }
            },
            Ask::Swapped(seat, started) => self.on_swapped(seat, started, cx),
            Ask::Which(reply) => reply.send(self.listed()),
            Ask::Flush(reply) => reply.send(()),
        }
    }

    async fn info(&mut self, info: Info, cx: &mut Context<Self>) {
        // Ends of what is linked come too: of handlers, which are monitored, and of what awaits something.
        let Info::Down(Down { target, .. }) = info else { return };
        if let Some(pid) = target.pid() {
            self.on_ended(pid, cx);
        }
    }

    /// Handlers end before the manager, each by way of its `terminate`.
    async fn terminate(&mut self, _reason: &ExitReason, cx: &mut Context<Self>) {
        let node = cx.node();
        let mut ends = Vec::new();
        for pid in self.dependents(cx) {
            ends.push(node.ended(pid));
            node.stop(pid, ExitReason::Shutdown);
        }
        join_all(ends).await;
    }
}

impl<E: Event> Clone for Handler<E> {
    fn clone(&self) -> Self {
        Self { to: self.to.clone(), actor: self.actor }
    }
}

impl<E: Event> Default for EventManager<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Event> fmt::Debug for EventManager<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventManager").field("handlers", &self.listed()).finish()
    }
}
