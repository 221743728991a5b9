//! Topics: what one process publishes, any number hear, each as fast as it handles it.
//!
//! ```text
//!   publish ──▶ a turn: all who suspend publishers have room, and nobody asked before
//!      │
//!      ▼              of each subscriber: what waits for it
//!    core  ──▶ lane ──▶ Subscription, a stream ──▶ the code that takes from it
//!          ──▶ lane ──▶ Subscription ──▶ a source ──▶ calls of an actor, one at a time
//!          ──▶ lane …
//! ```
//!
//! The event itself is kept once, and shared. An actor hears it by way of a [`Source`], which takes the next
//! event when the one before has been handled; so what waits for a subscriber is what it has not begun to handle, and
//! nothing of it is in its mailbox but the one event that is its turn.
//!
//! # What is promised
//! An event is published in one step: all who are subscribed then are given it, and none before the others. So all
//! hear events in one order, in which those of each publisher are in the order in which it published them. Those that a
//! subscriber misses leave gaps, and it is told of a gap where it is.
//!
//! A publisher that waits has published nothing. If it ends, nothing of it is left.
//!
//! # Who may touch what
//! [`Core`] is behind one lock, under which nobody's code runs: who is woken is woken afterwards, and events are dropped
//! after it.
//!
//! # Not here
//! Other nodes. And names: a topic is a value that publishers and subscribers are given.

mod core;
mod subscription;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use parking_lot::{Mutex, MutexGuard};

use self::core::{After, Core, Place, Turn};
pub use self::subscription::{Heard, Subscription};
use crate::actor::{Actor, Outcome};
use crate::ambient;
use crate::call::Call;
use crate::context::Context;
use crate::pid::Pid;
use crate::process::turn::with_process;
use crate::process::{Holds, Me};
use crate::source::{NotHandled, Source};
use crate::time;

/// Where events of type `T` are published, on one node. Cloning gives another handle to the same.
///
/// Publishers and subscribers do not know each other. A subscriber hears what is published while it is subscribed: an
/// actor by [`Context::subscribe`], in a handler of its own; other code by [`subscribe`](Self::subscribe), as a stream. How
/// far it may fall behind, and what happens then, it says itself, by its [`Lag`].
///
/// Events are kept once and shared, however many hear them. When the last handle is dropped, subscriptions end after what
/// waits.
///
/// # Delivery
/// To everybody who is subscribed, in one order for all; so the events of each publisher come in the order in which it
/// published them. None is lost on the way; what a subscriber misses because of its lag it is told of.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// struct Price(u32);
///
/// /// Sees only the newest, if prices come faster than it draws them.
/// #[derive(Actor)]
/// struct Chart {
///     prices: Topic<Price>,
///     drawn: Vec<u32>,
/// }
///
/// #[handlers]
/// impl Chart {
///     #[init]
///     fn begin(&mut self, cx: &mut Context<Self>) {
///         cx.subscribe(&self.prices, Lag::DropOldest(1), |me, heard| me.on_price(heard));
///     }
///
///     fn on_price(&mut self, heard: Heard<Price>) {
///         if let Heard::Event(price) = heard {
///             self.drawn.push(price.0);
///         }
///     }
///
///     pub fn last(&self) -> Option<u32> {
///         self.drawn.last().copied()
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let prices = Topic::new();
///     // This one misses nothing: whoever publishes waits for it.
///     let mut ledger = prices.subscribe(Lag::Suspend(1));
///     let chart = spawn(Chart { prices: prices.clone(), drawn: Vec::new() });
///     assert_eq!(chart.last().await?, None);
///
///     for price in [12, 13] {
///         assert_eq!(prices.publish(Price(price)).await?, 2);
///         let Some(Heard::Event(booked)) = ledger.next().await else { panic!("it misses nothing") };
///         assert_eq!(booked.0, price);
///     }
///     while chart.last().await? != Some(13) {}
///     Ok(())
/// }
/// ```
pub struct Topic<T>(Arc<Handle<T>>);

/// How far a subscriber may fall behind, and what happens then. The number is how many events wait for it at most, beside
/// the one that it handles; it is at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lag {
    /// Whoever publishes waits until there is room, and so do those who hear the same. It misses nothing.
    Suspend(usize),
    /// The oldest that waits is dropped. It is told how many it has [missed](Heard::Missed), before the next that it is given.
    DropOldest(usize),
    /// It is unsubscribed, is still given what waits, and is told last that it was [cut off](Heard::CutOff).
    CutOff(usize),
}

impl Lag {
    fn limit(self) -> usize {
        match self {
            Self::Suspend(limit) | Self::DropOldest(limit) | Self::CutOff(limit) => limit,
        }
    }
}

/// Why an event was not published. Every variant hands it back; nobody has heard it.
#[derive(PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError<T> {
    /// A subscriber suspends publishers now, or others wait to publish. Publishing again later may succeed. Only
    /// [`try_publish`](Topic::try_publish) says so.
    #[error("a subscriber that suspends publishers has no room, or others wait")]
    Full(T),
    /// The subscriber without room is the process that publishes: it would wait for itself. It makes room when its handler is
    /// over.
    #[error("the process would wait for itself: it is subscribed, and there is no room before its handler is over")]
    SelfWait(T),
}

impl<T> PublishError<T> {
    /// The event.
    pub fn into_event(self) -> T {
        match self {
            Self::Full(event) | Self::SelfWait(event) => event,
        }
    }

    /// Whether the same may succeed if it is tried again; after a [`SelfWait`](Self::SelfWait) not in the same handler.
    pub fn can_retry(&self) -> bool {
        match self {
            Self::Full(_) | Self::SelfWait(_) => true,
        }
    }
}

impl<T> fmt::Debug for PublishError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a topic has done, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStats {
    /// How many are subscribed, without those that were cut off.
    pub subscribers: usize,
    /// How many publishers wait for room.
    pub suspended: usize,
    /// How many events were published, also when nobody was subscribed.
    pub published: u64,
    /// How many events subscribers have missed, all together.
    pub dropped: u64,
    /// How many subscribers were cut off.
    pub cut_off: u64,
}

impl<T: Send + Sync + 'static> Topic<T> {
    /// A topic that nobody is subscribed to.
    pub fn new() -> Self {
        Self(Arc::new(Handle(Arc::new(Shared { core: Mutex::default() }))))
    }

    /// Publishes `event`, as soon as all who [suspend](Lag::Suspend) publishers have room; those who waited before come first.
    /// Returns how many subscribers it is for. There is no deadline: [`time::timeout`](crate::time::timeout) sets one.
    ///
    /// In a handler, it is awaited as everything is: the process handles nothing else meanwhile. It costs a reduction, and one for
    /// each subscriber.
    ///
    /// # Errors
    /// [`PublishError::SelfWait`], with the event, of an actor that is subscribed itself and lets publishers wait.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has published nothing. One that has begun to wait, and is kept without being awaited, keeps
    /// those behind it waiting.
    pub async fn publish(&self, event: T) -> Result<usize, PublishError<T>> {
        // Whoever publishes all the time has room all the time, as a rule, and would not let others run.
        time::reduce_if_process(1).await;
        let mut wait = Wait { shared: self.shared(), place: None };
        let mut event = Some(event);
        poll_fn(|cx| wait.poll(&mut event, cx.waker())).await
    }

    /// Publishes `event` if that can be done now.
    ///
    /// # Errors
    /// [`PublishError`], with the event.
    pub fn try_publish(&self, event: T) -> Result<usize, PublishError<T>> {
        let core = self.shared().core.lock();
        match core.turn(None, ambient::current_pid()) {
            Turn::Now => Ok(publish(core, event)),
            Turn::Later => Err(PublishError::Full(event)),
            Turn::Never => Err(PublishError::SelfWait(event)),
        }
    }

    /// Subscribes, for as long as what this returns is kept: a stream of what is heard.
    ///
    /// # Panics
    /// If `lag` lets no event wait.
    #[track_caller]
    pub fn subscribe(&self, lag: Lag) -> Subscription<T> {
        self.subscribe_for(lag, None)
    }

    /// As [`subscribe`](Self::subscribe), for the process `me`: the subscription is over with the end of that, at the latest,
    /// before anybody is told of it. It is what [`Context::subscribe`] takes from.
    ///
    /// # Panics
    /// If `lag` lets no event wait.
    #[track_caller]
    pub fn subscribe_as(&self, me: &Me, lag: Lag) -> Subscription<T> {
        let subscription = self.subscribe_for(lag, Some(me.pid()));
        let holds: Arc<dyn Holds> = self.shared().clone();
        if !me.attach(Arc::downgrade(&holds)) {
            // It has ended, which only code that carried its `Process` elsewhere can meet.
            self.shared().release(me.pid());
        }
        subscription
    }

    #[track_caller]
    fn subscribe_for(&self, lag: Lag, owner: Option<Pid>) -> Subscription<T> {
        assert!(lag.limit() > 0, "at least one event waits for a subscriber");
        let lane = self.shared().core.lock().on_subscribe(lag, owner);
        Subscription::new(self.shared().clone(), lane)
    }

    /// What it has done so far.
    pub fn stats(&self) -> TopicStats {
        let core = self.shared().core.lock();
        let counts = core.counts();
        TopicStats {
            subscribers: core.subscribers(),
            suspended: core.publishers(),
            published: counts.published,
            dropped: counts.dropped,
            cut_off: counts.cut_off,
        }
    }

    fn shared(&self) -> &Arc<Shared<T>> {
        &self.0.0
    }
}

impl<A: Actor> Context<A> {
    /// Subscribes this actor to `topic`: it is called with what it hears, `cx.subscribe(&prices, Lag::Suspend(8), |me, heard|
    /// me.on_price(heard))`, and the next comes when it has answered. That is so for as long as it lives, or until what this
    /// returns is [cancelled](Source::cancel).
    ///
    /// It is short for [`attach`](Self::attach) of [`Topic::subscribe_as`]; with choices:
    /// `cx.source(prices.subscribe_as(cx, Lag::Suspend(8)), |me, heard| me.on_price(heard)).ahead(4).attach()`. What is
    /// [ahead](crate::SourceBuilder::ahead) is with the actor, and does not count as lag.
    ///
    /// # Panics
    /// If `lag` lets no event wait.
    #[track_caller]
    pub fn subscribe<T, F, R, O, E>(&self, topic: &Topic<T>, lag: Lag, handler: F) -> Source
    where
        T: Send + Sync + 'static,
        F: for<'a> FnMut(&'a A::Client, Heard<T>) -> Call<'a, A::Msg, R, O, E> + Send + 'static,
        R: Send + 'static,
        O: Outcome + 'static,
        E: Into<NotHandled> + 'static,
    {
        self.attach(topic.subscribe_as(self, lag), handler)
    }
}

/// Puts the event into all lanes, counts that as work of the process that runs here, and wakes whoever waited for it.
fn publish<T>(mut core: MutexGuard<'_, Core<T>>, event: T) -> usize {
    let event = Arc::new(event);
    let (reached, after) = core.on_publish(&event);
    drop(core);
    after.run();
    with_process(|running| {
        if let Some((turn, _)) = running {
            turn.charge(u32::try_from(reached).unwrap_or(u32::MAX));
        }
    });
    reached
}

/// A publisher, until it has published or is dropped.
struct Wait<'a, T: Send + Sync + 'static> {
    shared: &'a Shared<T>,
    place: Option<Place>,
}

impl<T: Send + Sync + 'static> Wait<'_, T> {
    fn poll(&mut self, event: &mut Option<T>, waker: &Waker) -> Poll<Result<usize, PublishError<T>>> {
        let mut core = self.shared.core.lock();
        let from = ambient::current_pid();
        let turn = core.turn(self.place, from);
        if turn == Turn::Later {
            self.place = Some(core.on_wait(self.place, from, waker));
            return Poll::Pending;
        }
        let Some(event) = event.take() else { panic!("an event is published once") };
        Poll::Ready(match turn {
            Turn::Never => Err(PublishError::SelfWait(event)),
            _ => Ok(publish(core, event)),
        })
    }
}

impl<T: Send + Sync + 'static> Drop for Wait<'_, T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            // After it has published, so that the next one sees what room is left.
            let after = self.shared.core.lock().on_leave(place);
            after.run();
        }
    }
}

/// What all handles to a topic have together: when it goes, nobody can publish any more.
struct Handle<T>(Arc<Shared<T>>);

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        let after = self.0.core.lock().on_close();
        after.run();
    }
}

/// What handles and subscriptions have together.
struct Shared<T> {
    core: Mutex<Core<T>>,
}

impl<T: Send + Sync + 'static> Holds for Shared<T> {
    fn release(&self, pid: Pid) {
        let after = self.core.lock().on_ended(pid);
        after.into_iter().for_each(After::run);
    }
}

impl<T: Send + Sync + 'static> Default for Topic<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({:?})", self.stats())
    }
}
