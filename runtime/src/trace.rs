//! What one process does, told while it runs ([`Node::trace`](crate::Node::trace)), or kept to be looked at later
//! ([`Node::keep_events`](crate::Node::keep_events)).
//!
//! Such a process is one with a bit in its header, which is looked at anyway; others pay nothing. What a traced one tells
//! goes into a ring of fixed size, from which each reader takes at its own pace: who is too slow loses the oldest, and is
//! told how many. What is kept belongs to the process and goes with it.

use std::collections::VecDeque;
use std::time::Instant;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::config::TRACES_KEPT;
use crate::exit::ExitReason;
use crate::pid::Pid;

/// One thing that a traced process did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TraceEvent {
    /// When, by the clock of its runtime.
    pub at: Instant,
    /// Which process.
    pub pid: Pid,
    /// What.
    pub what: Traced,
}

/// What a traced process did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Traced {
    /// It took a message out of its mailbox, for this handler; in straight-line code, a message of this type.
    Received(&'static str),
    /// This handler is done. Straight-line code has none.
    Handled(&'static str),
    /// It sent a message to a process of its runtime, which may have refused it.
    Sent(Pid),
    /// It replied to a call of this process. `None`, if the call came from outside processes, or from another node.
    Replied(Option<Pid>),
    /// It spawned a process.
    Spawned(Pid),
    /// It linked to a process.
    Linked(Pid),
    /// It removed its link to a process.
    Unlinked(Pid),
    /// It has ended.
    Exited(ExitReason),
}

/// Nothing was read, for this reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TracesLost {
    /// The reader was too slow for so many, the oldest. The next read goes on behind them.
    #[error("{0} events were lost: they came faster than they were read")]
    TooSlow(u64),
    /// The node is gone, and nothing will come any more.
    #[error("the node is gone")]
    Over,
}

/// The last things that one process did, as many as are kept.
pub(crate) struct Events {
    limit: usize,
    kept: VecDeque<TraceEvent>,
}

impl Events {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, kept: VecDeque::new() }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Keeps `event`, in the place of the oldest if there are as many as are kept.
    pub(crate) fn push(&mut self, event: TraceEvent) {
        if self.kept.len() == self.limit {
            self.kept.pop_front();
        }
        self.kept.push_back(event);
    }

    /// All of them, in order.
    pub(crate) fn all(&self) -> Vec<TraceEvent> {
        self.kept.iter().cloned().collect()
    }
}

/// Where what a node's traced processes tell goes.
pub(crate) struct Traces(broadcast::Sender<TraceEvent>);

impl Traces {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(TRACES_KEPT))
    }

    pub(crate) fn subscribe(&self) -> TraceFeed {
        TraceFeed(self.0.subscribe())
    }

    pub(crate) fn tell(&self, event: TraceEvent) {
        // Without a reader it goes nowhere.
        let _ = self.0.send(event);
    }
}

/// What traced processes of a node do, for one reader; made by [`Node::traces`](crate::Node::traces).
#[derive(Debug)]
pub struct TraceFeed(broadcast::Receiver<TraceEvent>);

impl TraceFeed {
    /// Waits for the next event. A process that reads what itself does gives itself no end of work.
    ///
    /// # Errors
    /// [`TracesLost`].
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has taken nothing.
    pub async fn next(&mut self) -> Result<TraceEvent, TracesLost> {
        self.0.recv().await.map_err(|error| match error {
            RecvError::Lagged(lost) => TracesLost::TooSlow(lost),
            RecvError::Closed => TracesLost::Over,
        })
    }

    /// The next event, if one is there; waits for nothing.
    ///
    /// # Errors
    /// [`TracesLost`].
    pub fn try_next(&mut self) -> Result<Option<TraceEvent>, TracesLost> {
        match self.0.try_recv() {
            Ok(event) => Ok(Some(event)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Lagged(lost)) => Err(TracesLost::TooSlow(lost)),
            Err(TryRecvError::Closed) => Err(TracesLost::Over),
        }
    }
}
