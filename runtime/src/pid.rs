//! Names of processes and of nodes.
//!
//! A [`Pid`] means the same process wherever it is read: it carries the identity of its node, so it
//! can travel inside a message and come back. It is never reused: a slot of the process table that is
//! used again has another generation, a node that starts again has another incarnation.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One incarnation of a node: a hash of its name, and a number that differs at every start.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId {
    name_hash: u64,
    incarnation: u64,
}

impl NodeId {
    /// The identity of the node `name` in its incarnation `incarnation`.
    pub fn new(name: &str, incarnation: u64) -> Self {
        Self { name_hash: stable_hash(name.as_bytes()), incarnation }
    }

    /// The number that differs at every start of the node.
    pub fn incarnation(self) -> u64 {
        self.incarnation
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", (self.name_hash ^ self.incarnation) as u32)
    }
}

/// The name of one process, on this node or another.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// # #[biotope::main]
/// # async fn main() -> biotope::Result<()> {
/// let idle = spawn_process(async |mut me: Process<()>| {
///     me.receive().await?;
///     Ok(())
/// });
/// assert!(node().is_alive(idle.pid()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pid {
    node: NodeId,
    slot: u32,
    generation: u32,
}

impl Pid {
    /// The process at `slot` of the node's table, in that slot's `generation`.
    #[inline]
    pub fn new(node: NodeId, slot: u32, generation: u32) -> Self {
        Self { node, slot, generation }
    }

    /// The node that the process lives on.
    #[inline]
    pub fn node(self) -> NodeId {
        self.node
    }

    /// Its place in the node's process table.
    #[inline]
    pub fn slot(self) -> u32 {
        self.slot
    }

    /// How often that place was used before.
    #[inline]
    pub fn generation(self) -> u32 {
        self.generation
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{:?}.{}.{}>", self.node, self.slot, self.generation)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// FNV-1a, 64 bits: the same on every machine and in every build, and usable in constants.
pub(crate) const fn stable_hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // The published test vector of FNV-1a for "foobar".
        assert_eq!(stable_hash(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn another_incarnation_is_another_node() {
        assert_ne!(NodeId::new("a", 1), NodeId::new("a", 2));
        assert_ne!(NodeId::new("a", 1), NodeId::new("b", 1));
    }
}
