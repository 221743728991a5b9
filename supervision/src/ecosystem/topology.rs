//! Wiring as data: who hands results to whom, on the way to the coordinator's member.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the members of an ecosystem are wired. The first member is the one beside the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Topology {
    /// Each member with each other.
    Mesh,
    /// Each member to its successor only; the last to the first.
    Ring,
    /// Each member with its parent and its children.
    Tree {
        /// How many children a member has at most; at least 1, which makes a chain.
        fanout: usize,
    },
    /// The first member with each other.
    Star,
}

/// The wiring of `count` members: members are their positions, the first is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wiring {
    topology: Topology,
    count: usize,
}

impl Wiring {
    /// The wiring of `count` members as `topology` says. A fanout of 0 counts as 1.
    pub fn new(topology: Topology, count: usize) -> Self {
        let topology = match topology {
            Topology::Tree { fanout } => Topology::Tree { fanout: fanout.max(1) },
            other => other,
        };
        Self { topology, count }
    }

    /// Whether `from` may send to `to`.
    pub fn has_edge(&self, from: usize, to: usize) -> bool {
        if from == to || from >= self.count || to >= self.count {
            return false;
        }
        match self.topology {
            Topology::Mesh => true,
            Topology::Ring => to == (from + 1) % self.count,
            Topology::Tree { fanout } => parent(from, fanout) == Some(to) || parent(to, fanout) == Some(from),
            Topology::Star => from == 0 || to == 0,
        }
    }

    /// All edges, in order.
    pub fn edges(&self) -> BTreeSet<(usize, usize)> {
        let pairs = (0..self.count).flat_map(|from| (0..self.count).map(move |to| (from, to)));
        pairs.filter(|&(from, to)| self.has_edge(from, to)).collect()
    }

    /// To whom `member` hands results, so that they come to the first member: none for the first itself.
    pub fn next_hop(&self, member: usize) -> Option<usize> {
        if member == 0 || member >= self.count {
            return None;
        }
        match self.topology {
            Topology::Mesh | Topology::Star => Some(0),
            Topology::Ring => Some((member + 1) % self.count),
            Topology::Tree { fanout } => parent(member, fanout),
        }
    }
}

fn parent(member: usize, fanout: usize) -> Option<usize> {
    (member > 0).then(|| (member - 1) / fanout)
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mesh => f.write_str("mesh"),
            Self::Ring => f.write_str("ring"),
            Self::Tree { fanout: 1 } => f.write_str("tree"),
            Self::Tree { fanout } => write!(f, "tree:{fanout}"),
            Self::Star => f.write_str("star"),
        }
    }
}

/// The text is no topology.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no topology; write mesh, ring, star, tree or tree:FANOUT")]
pub struct UnknownTopology(String);

impl FromStr for Topology {
    type Err = UnknownTopology;

    fn from_str(text: &str) -> Result<Self, UnknownTopology> {
        match text {
            "mesh" => Ok(Self::Mesh),
            "ring" => Ok(Self::Ring),
            "star" => Ok(Self::Star),
            "tree" => Ok(Self::Tree { fanout: 1 }),
            _ => {
                let fanout = text.strip_prefix("tree:").and_then(|fanout| fanout.parse().ok());
                match fanout {
                    Some(fanout) if fanout > 0 => Ok(Self::Tree { fanout }),
                    _ => Err(UnknownTopology(text.to_owned())),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edges(topology: Topology) -> Vec<(usize, usize)> {
        Wiring::new(topology, 3).edges().into_iter().collect()
    }

    #[test]
    fn three_members_are_wired_as_drawn() {
        assert_eq!(edges(Topology::Mesh), [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]);
        assert_eq!(edges(Topology::Ring), [(0, 1), (1, 2), (2, 0)]);
        assert_eq!(edges(Topology::Tree { fanout: 1 }), [(0, 1), (1, 0), (1, 2), (2, 1)]);
        assert_eq!(edges(Topology::Star), [(0, 1), (0, 2), (1, 0), (2, 0)]);
    }

    #[test]
    fn a_topology_is_read_as_it_is_written() {
        for text in ["mesh", "ring", "star", "tree", "tree:4"] {
            assert_eq!(text.parse::<Topology>().unwrap().to_string(), text);
        }
        assert!("tree:0".parse::<Topology>().is_err());
        assert!("torus".parse::<Topology>().is_err());
    }

    fn topologies() -> impl Strategy<Value = Topology> {
        prop_oneof![
            Just(Topology::Mesh),
            Just(Topology::Ring),
            (0_usize..5).prop_map(|fanout| Topology::Tree { fanout }),
            Just(Topology::Star),
        ]
    }

    proptest! {
        /// Whatever the wiring, results come home along its edges, in fewer hops than there are members.
        #[test]
        fn results_come_home_along_edges(topology in topologies(), count in 1_usize..40, start in 0_usize..40) {
            let wiring = Wiring::new(topology, count);
            let mut at = start % count;
            for _ in 0..count {
                let Some(next) = wiring.next_hop(at) else { break };
                prop_assert!(wiring.has_edge(at, next));
                at = next;
            }
            prop_assert_eq!(at, 0);
        }
    }
}
