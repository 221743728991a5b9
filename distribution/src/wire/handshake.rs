//! The hello that each end of a connection sends first, and what two hellos agree on.
//!
//! ```text
//!   magic "BIOT" | lowest version u8 | highest version u8 | incarnation u64 | proposal u32 | holding u32
//!   | frame limit u32 | length u8, cluster | length u8, node | whatever later versions add
//! ```
//!
//! [`agree`] gives both ends the same answer from the same two hellos, so neither has to ask the other.
//! Who decides between two connections of one pair, and when an epoch begins, is in `connection/core.rs`.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The lowest version of the protocol that this node speaks.
pub(crate) const LOWEST_VERSION: u8 = 1;
/// The highest version of the protocol that this node speaks.
pub(crate) const HIGHEST_VERSION: u8 = 1;

/// The longest name that a cluster or a node may have: what fits into one label of a DNS name.
pub(crate) const NAME_BYTES: usize = 63;

/// Epochs stop here, far below what their field holds, so that one more always fits.
const HIGHEST_EPOCH: u32 = u32::MAX / 2;

const MAGIC: &[u8; 4] = b"BIOT";

/// What a node says about itself on a new connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) lowest_version: u8,
    pub(crate) highest_version: u8,
    pub(crate) cluster: Arc<str>,
    pub(crate) node: Arc<str>,
    pub(crate) incarnation: u64,
    /// One more than the last epoch that this node has had with this peer.
    pub(crate) proposal: u32,
    /// The epoch of the association with this peer that is up at this node; 0 for none.
    pub(crate) holding: u32,
    /// The longest body that this node takes, in bytes.
    pub(crate) frame_limit: u32,
}

/// What two nodes have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreement {
    pub(crate) version: u8,
    pub(crate) epoch: u32,
}

/// Why two nodes do not meet. Trying again cannot help until somebody changes something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "this node belongs to cluster \"{ours}\", the peer to \"{theirs}\": join an address of your own cluster, or give both identities of one authority"
    )]
    OtherCluster { ours: Arc<str>, theirs: Arc<str> },
    #[error(
        "no common version of the protocol: this node speaks {ours_lowest} to {ours_highest}, the peer {theirs_lowest} to {theirs_highest}; update the older one"
    )]
    NoCommonVersion { ours_lowest: u8, ours_highest: u8, theirs_lowest: u8, theirs_highest: u8 },
    #[error("node \"{node}\" has dialled itself: leave its own address out of those it joins")]
    Itself { node: Arc<str> },
    #[error("another node is called \"{node}\" too: give each node of a cluster a name and a certificate of its own")]
    NameTaken { node: Arc<str> },
    #[error(
        "the certificate is made out to node \"{certificate}\", but the peer calls itself \"{hello}\": start it with the identity of its own name"
    )]
    CertificateOfAnother { certificate: Arc<str>, hello: Arc<str> },
    #[error("the peer proposes epoch {epoch}, which is out of range: restart it")]
    EpochOutOfRange { epoch: u32 },
}

/// Why bytes are not a hello.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HelloError {
    #[error("the first frame is not a hello of a biotope node")]
    NotAHello,
    #[error("the hello ends too early")]
    Truncated,
    #[error("the hello carries a name that no node can have: {0}")]
    Name(#[from] NameError),
}

/// Why a text cannot be the name of a node or a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name has no characters, or more than fit into one label of a DNS name.
    #[error("a name has 1 to {NAME_BYTES} characters, this one has {0}")]
    Length(usize),
    /// The name has a character that certificates do not carry unchanged.
    #[error("\"{0}\" is not a name: use lower case letters, digits and hyphens, and no hyphen at either end")]
    Characters(String),
}

/// Whether `name` can stand in a certificate as one label of a DNS name.
pub(crate) fn check_name(name: &str) -> Result<(), NameError> {
    if !(1..=NAME_BYTES).contains(&name.len()) {
        return Err(NameError::Length(name.len()));
    }
    let plain = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !plain || name.starts_with('-') || name.ends_with('-') {
        return Err(NameError::Characters(name.to_owned()));
    }
    Ok(())
}

/// What two nodes agree on. `agree(a, b)` and `agree(b, a)` are the same, or are refused for the same cause.
pub(crate) fn agree(ours: &Hello, theirs: &Hello) -> Result<Agreement, Refusal> {
    if ours.cluster != theirs.cluster {
        return Err(Refusal::OtherCluster { ours: ours.cluster.clone(), theirs: theirs.cluster.clone() });
    }
    if ours.node == theirs.node {
        let node = ours.node.clone();
        return Err(if ours.incarnation == theirs.incarnation {
            Refusal::Itself { node }
        } else {
            Refusal::NameTaken { node }
        });
    }
    let version = ours.highest_version.min(theirs.highest_version);
    if version < ours.lowest_version.max(theirs.lowest_version) {
        return Err(Refusal::NoCommonVersion {
            ours_lowest: ours.lowest_version,
            ours_highest: ours.highest_version,
            theirs_lowest: theirs.lowest_version,
            theirs_highest: theirs.highest_version,
        });
    }
    let epoch = ours.proposal.max(theirs.proposal);
    if !(1..=HIGHEST_EPOCH).contains(&epoch) {
        return Err(Refusal::EpochOutOfRange { epoch });
    }
    Ok(Agreement { version, epoch })
}

impl Hello {
    /// Whether the name in this hello is the one that the peer's certificate is made out to.
    pub(crate) fn check_certificate(&self, certificate: &Arc<str>) -> Result<(), Refusal> {
        if self.node == *certificate {
            return Ok(());
        }
        Err(Refusal::CertificateOfAnother { certificate: certificate.clone(), hello: self.node.clone() })
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(160);
        out.extend_from_slice(MAGIC);
        out.put_u8(self.lowest_version);
        out.put_u8(self.highest_version);
        out.put_u64(self.incarnation);
        out.put_u32(self.proposal);
        out.put_u32(self.holding);
        out.put_u32(self.frame_limit);
        for name in [&self.cluster, &self.node] {
            debug_assert!(check_name(name).is_ok(), "names come from a certificate");
            out.put_u8(name.len() as u8);
            out.extend_from_slice(name.as_bytes());
        }
        out.freeze()
    }

    /// Reads a hello. What follows it is left to later versions.
    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Hello, HelloError> {
        let bytes = &mut bytes;
        if !bytes.starts_with(MAGIC) {
            return Err(HelloError::NotAHello);
        }
        bytes.advance(MAGIC.len());
        let short = |_| HelloError::Truncated;
        Ok(Hello {
            lowest_version: bytes.try_get_u8().map_err(short)?,
            highest_version: bytes.try_get_u8().map_err(short)?,
            incarnation: bytes.try_get_u64().map_err(short)?,
            proposal: bytes.try_get_u32().map_err(short)?,
            holding: bytes.try_get_u32().map_err(short)?,
            frame_limit: bytes.try_get_u32().map_err(short)?,
            cluster: decode_name(bytes)?,
            node: decode_name(bytes)?,
        })
    }
}

/// A heartbeat: the sender's own count, and the highest count that it has heard from the peer.
///
/// The echo is what makes silence visible at both ends when only one direction is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) count: u64,
    pub(crate) echo: u64,
}

impl Heartbeat {
    pub(crate) fn encode(self) -> [u8; 16] {
        let mut out = [0; 16];
        out[..8].copy_from_slice(&self.count.to_be_bytes());
        out[8..].copy_from_slice(&self.echo.to_be_bytes());
        out
    }

    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Heartbeat> {
        Some(Heartbeat { count: bytes.try_get_u64().ok()?, echo: bytes.try_get_u64().ok()? })
    }
}

/// Reads the number that a welcome (the epoch) or a goodbye (the number of streams) carries.
pub(crate) fn decode_number(mut bytes: &[u8]) -> Option<u32> {
    bytes.try_get_u32().ok()
}

fn decode_name(bytes: &mut &[u8]) -> Result<Arc<str>, HelloError> {
    let length = bytes.try_get_u8().map_err(|_| HelloError::Truncated)?;
    let name = bytes.split_off(..usize::from(length)).ok_or(HelloError::Truncated)?;
    let name = String::from_utf8_lossy(name);
    check_name(&name)?;
    Ok(Arc::from(&*name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::mem::discriminant;

    fn hello(node: &str) -> Hello {
        Hello {
            lowest_version: 1,
            highest_version: 1,
            cluster: "shop".into(),
            node: node.into(),
            incarnation: 5,
            proposal: 1,
            holding: 0,
            frame_limit: 1024,
        }
    }

    #[test]
    fn two_nodes_of_one_cluster_agree_on_the_higher_epoch() {
        let ours = hello("a");
        let theirs = Hello { proposal: 9, ..hello("b") };
        let agreement = Agreement { version: 1, epoch: 9 };
        assert_eq!(agree(&ours, &theirs), Ok(agreement));
    }

    #[test]
    fn the_highest_common_version_is_taken() {
        let ours = Hello { highest_version: 4, ..hello("a") };
        let theirs = Hello { lowest_version: 2, highest_version: 3, ..hello("b") };
        assert_eq!(agree(&ours, &theirs).unwrap().version, 3);

        let older = hello("c");
        assert!(matches!(agree(&theirs, &older), Err(Refusal::NoCommonVersion { .. })));
    }

    #[test]
    fn a_node_of_another_cluster_is_refused_with_both_names() {
        let theirs = Hello { cluster: "bank".into(), ..hello("b") };
        let text = agree(&hello("a"), &theirs).unwrap_err().to_string();
        assert!(text.contains("\"shop\"") && text.contains("\"bank\""), "{text}");
    }

    #[test]
    fn itself_and_a_namesake_are_told_apart_by_the_incarnation() {
        assert!(matches!(agree(&hello("a"), &hello("a")), Err(Refusal::Itself { .. })));
        let namesake = Hello { incarnation: 6, ..hello("a") };
        assert!(matches!(agree(&hello("a"), &namesake), Err(Refusal::NameTaken { .. })));
    }

    #[test]
    fn a_hello_in_another_name_than_the_certificate_is_refused() {
        assert_eq!(hello("a").check_certificate(&"a".into()), Ok(()));
        assert!(matches!(hello("a").check_certificate(&"b".into()), Err(Refusal::CertificateOfAnother { .. })));
    }

    #[test]
    fn an_epoch_that_leaves_no_room_for_the_next_is_refused() {
        let theirs = Hello { proposal: u32::MAX, ..hello("b") };
        assert!(matches!(agree(&hello("a"), &theirs), Err(Refusal::EpochOutOfRange { .. })));
    }

    #[test]
    fn what_a_later_version_adds_is_left_alone() {
        let mut bytes = BytesMut::from(&hello("a").encode()[..]);
        bytes.extend_from_slice(b"more");
        assert_eq!(Hello::decode(&bytes), Ok(hello("a")));
    }

    #[test]
    fn names_are_labels_of_a_certificate() {
        for good in ["a", "shop-1", "0", &"x".repeat(63)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "ä", "a b", &"x".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    fn any_hello() -> impl Strategy<Value = Hello> {
        let names = prop::sample::select(vec!["a", "b", "c"]);
        let clusters = prop::sample::select(vec!["shop", "shop", "shop", "bank"]);
        (names, clusters, 1u8..4, 0u8..4, 0u64..3, any::<(u32, u32, u32)>(), 0u32..4).prop_map(
            |(node, cluster, lowest, more, incarnation, (big, holding, frame_limit), small)| Hello {
                lowest_version: lowest,
                highest_version: lowest + more,
                cluster: cluster.into(),
                node: node.into(),
                incarnation,
                proposal: if small == 0 { big } else { small },
                holding,
                frame_limit,
            },
        )
    }

    proptest! {
        #[test]
        fn both_ends_come_to_the_same_answer(a in any_hello(), b in any_hello()) {
            match (agree(&a, &b), agree(&b, &a)) {
                (Ok(one), Ok(other)) => prop_assert_eq!(one, other),
                (Err(one), Err(other)) => prop_assert_eq!(discriminant(&one), discriminant(&other)),
                (one, other) => prop_assert!(false, "{:?} against {:?}", one, other),
            }
        }

        #[test]
        fn what_is_agreed_suits_both(a in any_hello(), b in any_hello()) {
            if let Ok(agreement) = agree(&a, &b) {
                for hello in [&a, &b] {
                    prop_assert!(agreement.epoch >= hello.proposal);
                    prop_assert!(agreement.version >= hello.lowest_version);
                    prop_assert!(agreement.version <= hello.highest_version);
                }
            }
        }

        #[test]
        fn a_hello_comes_back(a in any_hello()) {
            prop_assert_eq!(Hello::decode(&a.encode()), Ok(a));
        }

        #[test]
        fn a_hello_that_is_cut_short_is_an_error(a in any_hello(), cut in 0usize..30) {
            let bytes = a.encode();
            let cut = cut.min(bytes.len() - 1);
            prop_assert!(Hello::decode(&bytes[..cut]).is_err());
        }

        #[test]
        fn garbage_is_never_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), magic: bool) {
            if magic && bytes.len() >= 4 {
                bytes[..4].copy_from_slice(MAGIC);
            }
            let _ = Hello::decode(&bytes);
            let _ = Heartbeat::decode(&bytes);
            let _ = decode_number(&bytes);
        }
    }
}
