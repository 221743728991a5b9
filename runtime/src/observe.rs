//! Hooks into what processes do, for whoever measures or records a whole system.
//!
//! They are compiled in by the cargo feature `observe`. Without it the functions below are empty, and the engine's code
//! is the same as if they were not there. With it, and without an observer, each place asks whether there is one: a
//! few loads and a comparison.
//!
//! For one process of a running system there is [`Node::trace`](crate::Node::trace), which needs no feature.

#[cfg(feature = "observe")]
pub use installed::Observer;
pub(crate) use installed::{Chosen, exited, message_handled, message_sent, spawned, turn};

#[cfg(feature = "observe")]
mod installed {
    use std::fmt;
    use std::sync::Arc;

    use crate::exit::ExitReason;
    use crate::inspect::Observed;
    use crate::process::{Header, turn as turns};

    /// Sees what the processes of a runtime do; given to
    /// [`RuntimeBuilder::observer`](crate::RuntimeBuilder::observer).
    ///
    /// The methods run where it happens, on the workers' own time: what they do, each message waits for. They must not
    /// block and must not panic, and what they send is observed too.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// use biotope_runtime::{Node, Observed, Observer, Process, Runtime};
    ///
    /// #[derive(Default)]
    /// struct Spawns(AtomicU64);
    ///
    /// impl Observer for Spawns {
    ///     fn spawned(&self, _process: Observed<'_>) {
    ///         self.0.fetch_add(1, Ordering::Relaxed);
    ///     }
    /// }
    ///
    /// let spawns = Arc::new(Spawns::default());
    /// let runtime = Runtime::builder().seeded(0).observer(spawns.clone()).build()?;
    /// let node = runtime.block_on(Node::builder("seen").runtime(runtime.clone()).start())?;
    /// node.spawn_process(async |_: Process<()>| Ok(()));
    /// assert_eq!(spawns.0.load(Ordering::Relaxed), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub trait Observer: Send + Sync + 'static {
        /// A process begins; it has had no turn yet.
        fn spawned(&self, process: Observed<'_>) {
            let _ = process;
        }

        /// A process has ended: its state is dropped, its name is free, and who links to it or monitors it has not been told
        /// yet. Who sends to it may know already.
        fn exited(&self, process: Observed<'_>, reason: &ExitReason) {
            let _ = (process, reason);
        }

        /// A message is about to be put into the mailbox of `to`, which may refuse it. `from` is the process whose
        /// code sends it; `None`, if that is no code of a process. A message for another node is not seen.
        fn message_sent(&self, from: Option<Observed<'_>>, to: Observed<'_>) {
            let _ = (from, to);
        }

        /// A process has taken a message out of its mailbox, for this handler; in straight-line code, for a receive:
        /// then it is the type of the message.
        fn message_handled(&self, process: Observed<'_>, handler: &'static str) {
            let _ = (process, handler);
        }

        /// A process is about to have a turn on the worker of this number.
        fn turn(&self, process: Observed<'_>, worker: usize) {
            let _ = (process, worker);
        }
    }

    /// The observer of a runtime, if it has one.
    #[derive(Clone, Default)]
    pub(crate) struct Chosen(pub(crate) Option<Arc<dyn Observer>>);

    impl fmt::Debug for Chosen {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(if self.0.is_some() { "an observer" } else { "none" })
        }
    }

    #[inline]
    fn observer(process: &Header) -> Option<&dyn Observer> {
        process.node().runtime().observer().0.as_deref()
    }

    #[inline]
    pub(crate) fn spawned(process: &Header) {
        if let Some(observer) = observer(process) {
            observer.spawned(Observed::new(process));
        }
    }

    #[inline]
    pub(crate) fn exited(process: &Header, reason: &ExitReason) {
        if let Some(observer) = observer(process) {
            observer.exited(Observed::new(process), reason);
        }
    }

    #[inline]
    pub(crate) fn message_sent(to: &Header) {
        if let Some(observer) = observer(to) {
            turns::with_process(|running| {
                observer.message_sent(running.map(|(_, process)| Observed::new(process)), Observed::new(to));
            });
        }
    }

    #[inline]
    pub(crate) fn message_handled(process: &Header, handler: impl FnOnce() -> &'static str) {
        if let Some(observer) = observer(process) {
            observer.message_handled(Observed::new(process), handler());
        }
    }

    #[inline]
    pub(crate) fn turn(process: &Header, worker: usize) {
        if let Some(observer) = observer(process) {
            observer.turn(Observed::new(process), worker);
        }
    }
}

/// The same, and nothing.
#[cfg(not(feature = "observe"))]
mod installed {
    use crate::exit::ExitReason;
    use crate::process::Header;

    /// No observer.
    #[derive(Clone, Copy, Debug, Default)]
    pub(crate) struct Chosen;

    #[inline(always)]
    pub(crate) fn spawned(_: &Header) {}

    #[inline(always)]
    pub(crate) fn exited(_: &Header, _: &ExitReason) {}

    #[inline(always)]
    pub(crate) fn message_sent(_: &Header) {}

    #[inline(always)]
    pub(crate) fn message_handled(_: &Header, _: impl FnOnce() -> &'static str) {}

    #[inline(always)]
    pub(crate) fn turn(_: &Header, _: usize) {}
}
