//! What the launcher and its nodes tell each other: one JSON object a line, over the nodes' standard
//! input and output.

use serde::{Deserialize, Serialize};

use crate::Options;

/// To a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Join the node at this address.
    Join(String),
    /// You are the first node: make the atlas, on these nodes.
    Survey { options: Box<Options>, nodes: Vec<String> },
}

/// From a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Told {
    /// It listens at this address.
    Listening(String),
    /// It has joined this node.
    Joined(String),
    /// So many files of how many are done, and how many by which node.
    Progress { done: usize, of: usize, by: Vec<(String, u64)> },
    /// The fault plan wants this node killed.
    Kill(String),
    /// The atlas is made.
    Done(Box<Done>),
    /// The node cannot go on.
    Failed(String),
}

/// A finished atlas, ready to be shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    /// For people; empty if only the summary is wanted.
    pub(crate) text: String,
    pub(crate) summary: crate::report::Summary,
    /// Edges that carried results although the wiring does not have them.
    pub(crate) strays: Vec<String>,
}
