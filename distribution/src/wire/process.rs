//! What processes send each other, as frames: a fixed binary header of ours, then rmp-serde.
//!
//! ```text
//!   CAST     slot u32 │ generation u32 │ method u32 │ arguments
//!   CALL     slot u32 │ generation u32 │ method u32 │ call u64 │ arguments
//!   REPLY    call u64 │ 0 │ value              or   call u64 │ 1 │ CallFailed
//!   SIGNAL   slot u32 │ generation u32 │ Signal
//!   START    request u64 │ (actor, link) │ arguments
//!   STARTED  request u64 │ Result<Pid, StartError>
//!   WHEREIS  request u64 │ name
//!   FOUND    request u64 │ Option<Pid>
//! ```
//!
//! Numbers are big-endian. The node of a receiver is not in the frame: it is the end of the association
//! that the frame came over.

use biotope_runtime::{CallFailed, MethodId, NodeId, Pid, Signal, StartError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::frame::Kind;

/// How deep a value from a peer may nest; deeper ones are malformed.
const DEEPEST_NESTING: usize = 64;

pub(crate) const CAST: Kind = Kind::process(0x10);
pub(crate) const CALL: Kind = Kind::process(0x11);
pub(crate) const REPLY: Kind = Kind::process(0x12);
pub(crate) const SIGNAL: Kind = Kind::process(0x13);
pub(crate) const START: Kind = Kind::process(0x14);
pub(crate) const STARTED: Kind = Kind::process(0x15);
pub(crate) const WHEREIS: Kind = Kind::process(0x16);
pub(crate) const FOUND: Kind = Kind::process(0x17);

/// A frame's body that is not what its kind promises. Nothing of it was acted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the frame ends in the middle of its header")]
    Short,
    #[error("the value in the frame cannot be read: {0}")]
    Value(String),
    #[error("the frame's kind {0:#04x} is unknown here")]
    UnknownKind(u8),
    #[error("a peer may speak for its own processes only")]
    NotItsOwn,
}

/// A value that could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value cannot be encoded: {0}")]
pub(crate) struct NotEncoded(String);

/// The beginning of a body that is being written.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn to(pid: Pid) -> Self {
        let mut body = Vec::with_capacity(64);
        body.extend_from_slice(&pid.slot().to_be_bytes());
        body.extend_from_slice(&pid.generation().to_be_bytes());
        Self(body)
    }

    pub(crate) fn numbered(number: u64) -> Self {
        Self(number.to_be_bytes().to_vec())
    }

    pub(crate) fn method(mut self, method: MethodId) -> Self {
        self.0.extend_from_slice(&method.to_bits().to_be_bytes());
        self
    }

    pub(crate) fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(crate) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(crate) fn value<T: Serialize>(mut self, value: &T) -> Result<Self, NotEncoded> {
        rmp_serde::encode::write(&mut self.0, value).map_err(|error| NotEncoded(error.to_string()))?;
        Ok(self)
    }

    pub(crate) fn erased(mut self, value: &dyn erased_serde::Serialize) -> Result<Self, NotEncoded> {
        let mut serializer = rmp_serde::Serializer::new(&mut self.0);
        value
            .erased_serialize(&mut <dyn erased_serde::Serializer>::erase(&mut serializer))
            .map_err(|error| NotEncoded(error.to_string()))?;
        Ok(self)
    }

    pub(crate) fn body(self) -> Vec<u8> {
        self.0
    }
}

/// What is left of a body that is being read.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    pub(crate) fn pid(&mut self, node: NodeId) -> Result<Pid, Malformed> {
        let slot = u32::from_be_bytes(self.take()?);
        Ok(Pid::new(node, slot, u32::from_be_bytes(self.take()?)))
    }

    pub(crate) fn method(&mut self) -> Result<MethodId, Malformed> {
        Ok(MethodId::from_bits(u32::from_be_bytes(self.take()?)))
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.take()?))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.take()?;
        Ok(byte)
    }

    pub(crate) fn value<T: DeserializeOwned>(&mut self) -> Result<T, Malformed> {
        // Reading through the slice moves it on.
        let mut deserializer = rmp_serde::Deserializer::new(&mut self.0);
        deserializer.set_max_depth(DEEPEST_NESTING);
        T::deserialize(&mut deserializer).map_err(|error| Malformed::Value(error.to_string()))
    }

    /// What is left, to be read by whoever knows its type.
    pub(crate) fn deserializer(&self) -> Deserializer<'a> {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(self.0);
        deserializer.set_max_depth(DEEPEST_NESTING);
        deserializer
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(*head)
    }
}

pub(crate) type Deserializer<'a> = rmp_serde::Deserializer<rmp_serde::decode::ReadRefReader<'a, [u8]>>;

/// Checks that `signal` speaks for processes of `peer` only, and to `local` about what is its own.
pub(crate) fn check_source(signal: &Signal, peer: NodeId, local: NodeId) -> Result<(), Malformed> {
    let honest = match signal {
        Signal::Link { from }
        | Signal::Unlink { from, .. }
        | Signal::Unlinked { from, .. }
        | Signal::Exit { from, .. } => from.node() == peer,
        Signal::Monitor { from, reference } => from.node() == peer && reference.owner() == *from,
        Signal::Demonitor { reference } => reference.owner().node() == peer,
        Signal::Down { from, reference, .. } => from.node() == peer && reference.owner().node() == local,
        Signal::Stop { .. } => true,
        // A signal that this version does not know is not acted on.
        _ => false,
    };
    if honest { Ok(()) } else { Err(Malformed::NotItsOwn) }
}

/// The answers that travel in STARTED and FOUND.
pub(crate) type Started = Result<Pid, StartError>;
/// See [`Started`].
pub(crate) type Found = Option<Pid>;

/// The body of a REPLY that says why there is no value.
pub(crate) fn failed_reply(call: u64, failed: &CallFailed) -> Vec<u8> {
    match Writer::numbered(call).byte(1).value(failed) {
        Ok(writer) => writer.body(),
        // A failure is made of numbers and texts; if it cannot be written after all, the caller's
        // deadline tells it.
        Err(_) => Writer::numbered(call).byte(1).body(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pid(node: &str, slot: u32) -> Pid {
        Pid::new(NodeId::new(node, 1), slot, 7)
    }

    #[test]
    fn a_cast_has_the_layout_that_is_written_above() {
        let writer = Writer::to(pid("b", 0x0102_0304)).method(MethodId::from_bits(0x0506_0708));
        let body = writer.value(&(1_u8, "x")).unwrap().body();
        assert_eq!(body, [1, 2, 3, 4, 0, 0, 0, 7, 5, 6, 7, 8, 0x92, 1, 0xa1, b'x']);
    }

    #[test]
    fn a_peer_may_not_speak_for_others() {
        let (ours, theirs, third) = (NodeId::new("a", 1), NodeId::new("b", 1), pid("c", 1));
        let forged = Signal::Exit { from: third, reason: biotope_runtime::ExitReason::Shutdown, link: true };
        assert_eq!(check_source(&forged, theirs, ours), Err(Malformed::NotItsOwn));
        assert_eq!(check_source(&Signal::Link { from: pid("b", 1) }, theirs, ours), Ok(()));
    }

    #[test]
    fn a_value_that_nests_too_deep_is_malformed() {
        let mut deep = vec![0x91_u8; 100_000];
        deep.push(0xc0);
        let read = Reader::new(&deep).value::<Signal>();
        assert!(matches!(read, Err(Malformed::Value(_))), "{read:?}");
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_and_never_a_panic(bytes: Vec<u8>) {
            let node = NodeId::new("a", 1);
            let mut reader = Reader::new(&bytes);
            let _ = reader.pid(node).and_then(|_| reader.value::<Signal>());
            let _ = Reader::new(&bytes).value::<Started>();
            let _ = Reader::new(&bytes).value::<Found>();
            let _ = Reader::new(&bytes).value::<CallFailed>();
        }

        #[test]
        fn what_is_written_is_read(slot: u32, number: u64, text: String) {
            let to = pid("a", slot);
            let body = Writer::to(to).number(number).value(&text).unwrap().body();
            let mut reader = Reader::new(&body);
            prop_assert_eq!(reader.pid(to.node()).unwrap(), to);
            prop_assert_eq!(reader.number().unwrap(), number);
            prop_assert_eq!(reader.value::<String>().unwrap(), text);
        }
    }
}
