//! The workers: each examines one file at a time.

use std::path::PathBuf;

use biotope::prelude::*;

use crate::facts::Outcome;
use crate::parser::Parser;

/// Examines files. It parses on a thread for blocking work, so that its node stays responsive.
#[derive(Actor, Default)]
pub(crate) struct Examiner {
    /// Lent to the thread while a file is examined.
    parser: Option<Parser>,
}

#[handlers(remote)]
impl Examiner {
    /// The facts of the file at `path`, as this node's disk has it.
    pub(crate) async fn examine(&mut self, path: PathBuf) -> Outcome {
        let mut parser = self.parser.take().unwrap_or_else(Parser::new);
        let node = node();
        let tokio = node.runtime().tokio().expect("examiners run on real threads");
        let examined = tokio.spawn_blocking(move || {
            let outcome = parser.examine(&path);
            (parser, outcome)
        });
        let (parser, outcome) = examined.await.expect("the parser catches its own panics");
        self.parser = Some(parser);
        // An error here is this machine's, not the file's: crash, and let another worker have it.
        outcome.expect("a thread for the parser")
    }

    /// Panics: part of the fault plan.
    #[cast]
    pub(crate) fn fall_over(&mut self) {
        panic!("an examiner falls over, as the fault plan says");
    }
}

/// Says how much a node has sent to its peers.
#[derive(Actor, Default)]
pub(crate) struct Gauge;

#[handlers(remote)]
impl Gauge {
    /// Bytes of frames sent to all peers.
    pub(crate) fn bytes_sent(&self) -> u64 {
        use biotope::distribution::Distributed;
        node().connections().iter().map(|connection| connection.bytes_sent).sum()
    }
}
