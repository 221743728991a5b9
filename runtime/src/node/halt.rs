//! The end of a node, for whoever cannot wait for it: its own processes.

use super::Node;
use crate::exit::ExitReason;
use crate::process::Process;

impl Node {
    /// Ends the node as [`shutdown`](Self::shutdown) does, and says why; the first reason stands. It does not wait, so
    /// processes of the node may call it. A program whose node is halted ends with the reason.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// let runtime = Runtime::new()?;
    /// let node = runtime.block_on(Node::builder("shop").runtime(runtime.clone()).start())?;
    /// node.halt(ExitReason::value("burnt down"));
    /// runtime.block_on(node.shutdown());
    /// assert_eq!(node.halt_reason(), Some(ExitReason::value("burnt down")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn halt(&self, reason: ExitReason) {
        if self.0.halted.set(reason).is_err() {
            return;
        }
        // A process cannot wait for the end of all processes of its own node: this one is on a node aside.
        let aside = Self::builder(self.name()).build(self.runtime().clone());
        let node = self.clone();
        aside.spawn_process(async move |_: Process<()>| {
            node.shutdown().await;
            Ok(())
        });
    }

    /// Why the node was [halted](Self::halt), if it was.
    pub fn halt_reason(&self) -> Option<ExitReason> {
        self.0.halted.get().cloned()
    }
}
