//! Messages that are not handled: counted by reason, and told to whoever asks.
//!
//! A flood of them is one event: a subscriber has one place for each reason, in which those that it has not heard of are
//! added up, and hears of each reason once a second at most. So no subscriber costs more than its places, however slow it is.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::pid::Pid;
use crate::runtime::Runtime;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::time::{Sleep, sleep_on};

/// How long a subscriber hears nothing more of a reason.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a message was not handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DeadLetter {
    /// There was no such process.
    NoProc,
    /// The mailbox, or the way to it, was full.
    Full,
    /// It was dropped from a full mailbox, or before it came into one, as the mailbox's owner has chosen.
    Dropped,
    /// It came by an alias that did not stand any more, or its caller's deadline passed before there was room for it.
    Expired,
    /// The process ended with the message in its mailbox.
    Stopped,
    /// It came from another node and could not be decoded.
    Malformed,
    /// It came from another node with a method that the actor does not have.
    UnknownMethod,
    /// It came from another node for an actor that is not registered.
    NotRegistered,
    /// It was for a node that is not connected.
    NoConnection,
}

impl DeadLetter {
    const ALL: [Self; 9] = [
        Self::NoProc,
        Self::Full,
        Self::Dropped,
        Self::Expired,
        Self::Stopped,
        Self::Malformed,
        Self::UnknownMethod,
        Self::NotRegistered,
        Self::NoConnection,
    ];
}

/// Messages that were not handled for one reason, since the last such event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterEvent {
    /// The reason.
    pub why: DeadLetter,
    /// How many.
    pub count: u64,
    /// Whom the last of them was for, if that is known.
    pub to: Option<Pid>,
}

/// What a subscriber hears of dead letters; see [`Node::subscribe_dead_letters`](crate::Node::subscribe_dead_letters).
pub struct DeadLetterEvents {
    runtime: Runtime,
    places: Arc<Mutex<Places>>,
    /// When each reason was told last.
    told: [Option<Instant>; DeadLetter::ALL.len()],
    pause: Option<Sleep>,
}

/// What one subscriber has not heard of.
#[derive(Default)]
struct Places {
    unheard: [Option<DeadLetterEvent>; DeadLetter::ALL.len()],
    waker: Option<Waker>,
}

/// The dead letters of a node.
#[derive(Default)]
pub(crate) struct DeadLetters {
    counts: [AtomicU64; DeadLetter::ALL.len()],
    has_subscribers: AtomicU32,
    subscribers: Mutex<Vec<Weak<Mutex<Places>>>>,
}

impl DeadLetters {
    pub(crate) fn count(&self, why: DeadLetter, to: Option<Pid>) {
        self.counts[why as usize].fetch_add(1, Ordering::Relaxed);
        if self.has_subscribers.load(Ordering::Relaxed) != 0 {
            self.tell(why, to);
        }
    }

    #[cold]
    fn tell(&self, why: DeadLetter, to: Option<Pid>) {
        let mut subscribers = self.subscribers.lock();
        let mut woken = Vec::new();
        subscribers.retain(|subscriber| {
            let Some(places) = subscriber.upgrade() else { return false };
            let mut places = places.lock();
            let unheard = &mut places.unheard[why as usize];
            let count = unheard.map_or(0, |event| event.count) + 1;
            *unheard = Some(DeadLetterEvent { why, count, to });
            if count == 1 {
                woken.extend(places.waker.take());
            }
            true
        });
        self.has_subscribers.store(u32::from(!subscribers.is_empty()), Ordering::Relaxed);
        drop(subscribers);
        woken.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn subscribe(&self, runtime: &Runtime) -> DeadLetterEvents {
        let places = Arc::default();
        let mut subscribers = self.subscribers.lock();
        subscribers.retain(|subscriber| subscriber.strong_count() > 0);
        subscribers.push(Arc::downgrade(&places));
        self.has_subscribers.store(1, Ordering::Relaxed);
        DeadLetterEvents { runtime: runtime.clone(), places, told: [None; DeadLetter::ALL.len()], pause: None }
    }

    pub(crate) fn of(&self, why: DeadLetter) -> u64 {
        self.counts[why as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn all(&self) -> Vec<(DeadLetter, u64)> {
        DeadLetter::ALL.into_iter().map(|why| (why, self.of(why))).collect()
    }
}

impl DeadLetterEvents {
    /// The next event: at once for a reason that was not told for a second, and else when that is over, with all that have
    /// come meanwhile.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has taken nothing.
    pub async fn next(&mut self) -> DeadLetterEvent {
        poll_fn(|cx| {
            loop {
                let now = self.runtime.now();
                let mut earliest: Option<Instant> = None;
                {
                    let mut places = self.places.lock();
                    for (unheard, told) in places.unheard.iter_mut().zip(&mut self.told) {
                        let due = told.map_or(now, |told| told + PAUSE);
                        if unheard.is_none() {
                            continue;
                        }
                        if due > now {
                            earliest = Some(earliest.map_or(due, |earliest| earliest.min(due)));
                        } else if let Some(event) = unheard.take() {
                            *told = Some(now);
                            return Poll::Ready(event);
                        }
                    }
                    places.waker = Some(cx.waker().clone());
                }
                let Some(due) = earliest else {
                    self.pause = None;
                    return Poll::Pending;
                };
                let runtime = &self.runtime;
                let pause = self.pause.insert(sleep_on(runtime, due));
                if Pin::new(pause).poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

impl fmt::Debug for DeadLetterEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeadLetterEvents")
    }
}
