//! One subscriber's end of a topic.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_util::Stream;

use super::Shared;
use super::core::LaneId;
use crate::time;

/// What a subscriber hears.
#[derive(PartialEq, Eq)]
pub enum Heard<T> {
    /// What was published. All who hear it share it.
    Event(Arc<T>),
    /// So many events were dropped here, because as many waited as [may](super::Lag::DropOldest).
    Missed(u64),
    /// More was published than [may](super::Lag::CutOff) wait: the subscription is over. It is the last that is heard.
    CutOff,
}

/// A subscription to a topic, until it is dropped: a stream of what is heard. Made by
/// [`Topic::subscribe`](super::Topic::subscribe).
///
/// It ends when it was cut off, and when the last handle to the topic is dropped; after what waits in both cases.
pub struct Subscription<T> {
    shared: Arc<Shared<T>>,
    lane: LaneId,
}

impl<T> Subscription<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, lane: LaneId) -> Self {
        Self { shared, lane }
    }

    /// The next that is heard; `None` if the subscription is over.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has taken nothing.
    pub async fn next(&mut self) -> Option<Heard<T>> {
        // There may always be a next.
        time::reduce_if_process(1).await;
        poll_fn(|cx| self.poll(cx)).await
    }

    /// How many events wait.
    pub fn waiting(&self) -> usize {
        self.shared.core.lock().waiting(self.lane)
    }

    fn poll(&self, cx: &TaskContext<'_>) -> Poll<Option<Heard<T>>> {
        let (heard, after) = self.shared.core.lock().on_take(self.lane, cx.waker());
        after.run();
        heard
    }
}

impl<T> Stream for Subscription<T> {
    type Item = Heard<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Heard<T>>> {
        self.poll(cx)
    }
}

impl<T> Drop for Subscription<T> {
    fn drop(&mut self) {
        let after = self.shared.core.lock().on_unsubscribe(self.lane);
        after.run();
    }
}

impl<T> Clone for Heard<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Event(event) => Self::Event(event.clone()),
            Self::Missed(events) => Self::Missed(*events),
            Self::CutOff => Self::CutOff,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Heard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => write!(f, "Event({event:?})"),
            Self::Missed(events) => write!(f, "Missed({events})"),
            Self::CutOff => f.write_str("CutOff"),
        }
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({} wait)", self.waiting())
    }
}
