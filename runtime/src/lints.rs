//! What is amiss with a process that runs: told once for each process and kind, to whoever asks and to the log.
//!
//! Nothing goes looking for it: a long mailbox is seen by whoever sends what makes it longer, whatever its process does
//! meanwhile; a handler that takes long by the ticker, which watches workers anyway; a call to itself where it is made. So
//! an idle system pays nothing.

use std::fmt;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::call::CallCycle;
use crate::pid::Pid;

/// How many are kept for a subscriber that does not read them. Of more, the oldest are lost.
const KEPT: usize = 256;

/// What is amiss with a process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lint {
    /// So many messages wait in its mailbox, 10,000 or some more: more come than it handles, or it leaves them there, or
    /// awaits something meanwhile. A mailbox that must not become so long can be [`Bounded`](crate::Bounded).
    LongMailbox {
        /// How many.
        messages: usize,
    },
    /// A handler has run for 10 ms, and still runs: everything else that would run on its worker waits. At twice this it
    /// counts as [blocked](Self::BlockedWorker), and after a second as one that [never yields](Self::NeverYields).
    LongTurn {
        /// Which one; `handle` in straight-line code, and while none of the actor's handlers runs.
        handler: &'static str,
        /// How long it has run so far, without what it waited for a core.
        lasted: Duration,
    },
    /// A handler has blocked its worker, which was replaced.
    BlockedWorker {
        /// Which one; `handle` in straight-line code, and while none of the actor's handlers runs.
        handler: &'static str,
        /// How long it has taken so far.
        lasted: Duration,
    },
    /// It has kept its worker for a whole second, within one handler, or between two awaits in which it truly waits: at this
    /// rate it never yields. As long as it does not, it receives nothing, not even that it is to end.
    ///
    /// A loop that computes for long yields with [`time::yield_now`](crate::time::yield_now) now and then; to
    /// [`consume_reductions`](crate::Me::consume_reductions) makes the awaits of this crate yield, and a loop without an
    /// await needs one. What waits for the system, or computes in code of others, is for [`blocking`](crate::blocking),
    /// which is never meant by this.
    NeverYields {
        /// Which handler.
        handler: &'static str,
        /// How long it has run so far, without what it waited for a core.
        lasted: Duration,
    },
    /// It called itself. The call has failed: it would have waited for ever.
    SelfCall,
    /// It called a process that waits for a reply of its, or of one that does, and so on. Their calls have failed: they would
    /// have waited for ever.
    CallCycle(CallCycle),
    /// It has sent more than fitted into a mailbox whose owner waits for room in its mailbox, or for somebody who does, and so
    /// on. They would all have waited for each other; so it was not suspended.
    FullMailboxes {
        /// What the processes are called that wait for one another: it is the first, and the last.
        circle: Vec<String>,
    },
}

impl Lint {
    /// The bit of [`FullMailboxes`](Self::FullMailboxes), for who looks before it makes one.
    pub(crate) const FULL_MAILBOXES: u8 = 1 << 4;

    /// A bit for each kind.
    pub(crate) fn bit(&self) -> u8 {
        match self {
            Self::LongMailbox { .. } => 1,
            Self::LongTurn { .. } => 1 << 1,
            Self::BlockedWorker { .. } => 1 << 2,
            Self::SelfCall => 1 << 3,
            Self::FullMailboxes { .. } => Self::FULL_MAILBOXES,
            Self::NeverYields { .. } => 1 << 5,
            Self::CallCycle(_) => 1 << 6,
        }
    }
}

/// What is amiss with one process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LintEvent {
    /// The process.
    pub pid: Pid,
    /// What it is called: its name, or else what it runs, and its pid.
    pub process: String,
    /// What.
    pub lint: Lint,
}

/// What is amiss with the processes of a node, for one reader; made by [`Node::lints`](crate::Node::lints).
#[derive(Debug)]
pub struct LintEvents(broadcast::Receiver<LintEvent>);

impl LintEvents {
    /// The next one. If the reader was too slow, those that are lost are skipped: all of them are in the log too.
    /// `None` when the node is gone.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has taken nothing.
    pub async fn next(&mut self) -> Option<LintEvent> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// The readers of a node's lints.
pub(crate) struct Lints(broadcast::Sender<LintEvent>);

impl Lints {
    pub(crate) fn subscribe(&self) -> LintEvents {
        LintEvents(self.0.subscribe())
    }

    pub(crate) fn tell(&self, event: LintEvent) {
        // Without a reader it goes to the log alone.
        let _ = self.0.send(event);
    }
}

impl Default for Lints {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LongMailbox { messages } => write!(f, "{messages} messages wait in its mailbox"),
            Self::LongTurn { handler, lasted } => write!(f, "`{handler}` has run for {} ms", lasted.as_millis()),
            Self::BlockedWorker { handler, lasted } => {
                write!(f, "`{handler}` has blocked its worker for {} ms", lasted.as_millis())
            }
            Self::NeverYields { handler, lasted } => {
                write!(
                    f,
                    "`{handler}` has not yielded for {} ms: use `blocking`, or `yield_now` in long loops",
                    lasted.as_millis()
                )
            }
            Self::SelfCall => f.write_str("it called itself"),
            Self::CallCycle(cycle) => write!(f, "it closed a cycle of calls: {cycle}"),
            Self::FullMailboxes { circle } => {
                write!(f, "it would wait for room in a circle of full mailboxes, and goes on: {}", circle.join(" -> "))
            }
        }
    }
}
