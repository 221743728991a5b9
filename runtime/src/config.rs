//! Every limit and default of this crate.

use std::time::Duration;

/// How long a call waits for its reply when it does not say so itself. Then it fails with `Timeout`.
pub const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How many reductions a process has for one turn; then it goes to the back of the run queue. A
/// handled message costs one.
pub(crate) const REDUCTIONS_PER_TURN: u32 = 4_000;

/// Of so many times that a process of low priority is at the front, one is its turn: OTP's 8.
pub(crate) const LOW_IS_PASSED_OVER: u8 = 8;

/// How often the ticker ticks while any worker is awake: about so long is the longest turn.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// How long a worker is in one handler before it counts as blocked, is reported, and is replaced.
pub(crate) const BLOCKED_AFTER: Duration = Duration::from_millis(20);

/// How long a process keeps its worker before it counts as one that never yields.
pub(crate) const NEVER_YIELDS: Duration = Duration::from_secs(1);

/// How many workers may be blocked at once and still be replaced. More than that stay unreplaced, and
/// what is in their run queues waits for the others.
pub(crate) const MAX_SPARES: usize = 32;

/// How many processes that wait behind a blocked handler are handed to other workers in a tick. They also
/// steal, if they have nothing else to do.
pub(crate) const HANDED_OVER: usize = 256;

/// After so many turns a worker looks for what came from outside and from sockets, also if it has work.
/// 61 is what Go and tokio use.
pub(crate) const TURNS_BETWEEN_LOOKS: u32 = 61;

/// How far the coarse clock may be behind, and so how much later a default deadline is than it says.
pub(crate) const COARSE: Duration = Duration::from_millis(50);

/// How many events of traced processes wait for whoever reads them. Of more, the oldest are lost, and the reader is told
/// how many.
pub(crate) const TRACES_KEPT: usize = 1_024;

/// How many events of one process are kept at most, however many are asked for.
pub(crate) const MOST_EVENTS_KEPT: usize = 1_024;

/// How many crash reports wait for whoever reads them. Of more, the oldest are lost; all of them are in the log, or counted
/// there.
pub(crate) const REPORTS_KEPT: usize = 64;

/// How many crashes of one kind are logged one by one within [`ALIKE_WITHIN`], unless the runtime is told otherwise. Of more the
/// log says how many there were.
pub(crate) const LOGGED_ALIKE: usize = 10;

/// In how short a time crashes of one kind are too many to be logged one by one.
pub(crate) const ALIKE_WITHIN: Duration = Duration::from_secs(5);

/// How many kinds of crashes are told apart at once. Of more, what was counted of the kind that began first is told early.
pub(crate) const KINDS_IN_STORM: usize = 64;

/// How many of the messages that were left, and of the processes above it, a crash report names.
pub(crate) const NAMED_IN_REPORT: usize = 16;

/// How many bytes of what a state says of itself are shown.
pub(crate) const LONGEST_STATE: usize = 4_096;

/// How many threads may run blocking work at once, unless the runtime is told otherwise. More waits.
pub(crate) const BLOCKING_THREADS: usize = 512;

/// How many bytes of scratch memory a worker keeps when the code that used it is over. What is more goes back to the
/// global allocator.
pub(crate) const SCRATCH_KEPT: usize = 256 * 1_024;

/// How long memory of the runtime's that nobody needs is kept, before it goes back to the operating system; twice as long at
/// most.
pub(crate) const MEMORY_KEPT: Duration = Duration::from_secs(1);

/// How long a node that shuts down waits for its processes to end before it kills them.
pub(crate) const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// After so long a node that shuts down looks again, for the first time, for processes that nobody has asked to stop.
pub(crate) const SHUTDOWN_FIRST_LOOK: Duration = Duration::from_millis(10);

/// How many messages wait in a mailbox that is long. More are taken all the same; that it is so long is told once.
pub(crate) const LONG_MAILBOX: usize = 10_000;

/// From how many messages on it is noted how many wait in a mailbox. Fewer than these take less memory than the note.
pub(crate) const NOTED_MAILBOX: usize = 1_000;

/// How long a process is stalled because of a mailbox that is full. Then it goes on, and what it sends is taken or lost as if
/// it had been stalled just now.
pub(crate) const STALLED_AT_MOST: Duration = Duration::from_secs(5);

/// How many characters of a panic's message or an error are kept.
pub(crate) const LONGEST_REASON: usize = 4_096;
