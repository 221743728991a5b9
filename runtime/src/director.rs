//! The seam for whoever directs a runtime: a test kit.
//!
//! A director sees what all processes of a runtime do, chooses who has the next turn in a seeded run, and may come between a
//! process and a message that it is about to handle. All of it hangs on bits that are looked at anyway (that a process
//! is traced, that something of a node is counted), so that a runtime without a director pays nothing.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::inspect::Observed;
use crate::process::Ready;
use crate::report::CrashReport;
use crate::trace::TraceEvent;

/// Directs a runtime; given to [`RuntimeBuilder::director`](crate::RuntimeBuilder::director).
///
/// The methods run where it happens. They must not block, and what they send is seen too.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use biotope_runtime::{Choices, Director, Node, Process, Runtime, run};
///
/// /// Whoever was spawned last has the next turn.
/// struct LastIn;
///
/// impl Director for LastIn {
///     fn pick(&self, choices: &Choices<'_>) -> usize {
///         choices.len() - 1
///     }
/// }
///
/// let outcome = run(Runtime::builder().seeded(1).director(Arc::new(LastIn)), "directed", async { Ok(()) })?;
/// assert!(outcome.is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Director: Any + Send + Sync {
    /// In a seeded run: which of those that could have the next turn has it. What is not among them counts as the first.
    ///
    /// # Panics
    /// If it panics, so does [`Runtime::block_on`](crate::Runtime::block_on).
    fn pick(&self, choices: &Choices<'_>) -> usize {
        choices.drawn()
    }

    /// In a seeded run: after how much work the turn is over of the one that was picked; a handled message counts 1. It has
    /// its budget as elsewhere, if this is `None`.
    fn budget(&self) -> Option<u32> {
        None
    }

    /// A process begins; it has had no turn yet.
    fn spawned(&self, process: Observed<'_>) {
        let _ = process;
    }

    /// A process has done something.
    fn seen(&self, process: Observed<'_>, event: &TraceEvent) {
        let _ = (process, event);
    }

    /// A process has ended out of order. Returns whether that is told elsewhere: then it is not logged.
    fn crashed(&self, report: &CrashReport) -> bool {
        let _ = report;
        false
    }

    /// In a seeded run: nothing can run and nothing will ever be due, while [`Runtime::block_on`](crate::Runtime::block_on)
    /// waits, which panics after this. `who` says what the processes wait for.
    fn stuck(&self, who: &str) {
        let _ = who;
    }

    /// A process is about to handle a message that came into its mailbox in the common way: not one that it went on with,
    /// and not what links, monitors and timers of the runtime's own say.
    fn meet(&self, process: Observed<'_>, handler: &'static str) -> Meeting {
        let _ = (process, handler);
        Meeting::Handle
    }

    /// What a process has lost by [`Meeting::Lose`]. As long as it is kept, whoever waits for a reply to it waits.
    fn lost(&self, message: Box<dyn Any + Send>) {
        drop(message);
    }
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Meeting {
    /// It is handled.
    Handle,
    /// It is handled so much later, and what lies behind it after it. Straight-line code handles it at once.
    Delay(Duration),
    /// It is lost. In straight-line code it is dropped where it is taken, and the next one is received.
    Lose,
    /// The handler panics with this text instead.
    Panic(String),
    /// The process is killed instead.
    Kill,
}

/// Those of which one has the next turn: of one priority, in the order in which they became ready.
pub struct Choices<'a> {
    ready: &'a [Ready],
    drawn: usize,
}

impl<'a> Choices<'a> {
    pub(crate) fn new(ready: &'a [Ready], drawn: usize) -> Self {
        Self { ready, drawn }
    }

    /// How many there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.ready.len()
    }

    /// The one at `place`, which is less than [`len`](Self::len).
    ///
    /// # Panics
    /// If it is not.
    pub fn at(&self, place: usize) -> Observed<'a> {
        Observed::new(self.ready[place].header())
    }

    /// The place that the seed has drawn.
    pub fn drawn(&self) -> usize {
        self.drawn
    }
}

impl fmt::Debug for Choices<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((0..self.len()).map(|place| self.at(place))).finish()
    }
}

/// The director of a runtime, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Directed(pub(crate) Option<Arc<dyn Director>>);

impl fmt::Debug for Directed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "a director" } else { "none" })
    }
}
