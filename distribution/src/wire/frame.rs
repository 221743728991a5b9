//! The preface of a stream, the fixed header of a frame, and the decoder for a stream of them.
//!
//! ```text
//!   preface   0xB1 | length u8 | name of the channel, UTF-8
//!   header    length of the body u32 | epoch u32 | kind u8 | flags u8     (big endian)
//! ```
//!
//! Flags are zero in version 1. A header with a flag that this node does not know cannot be skipped
//! safely, because the flag may change what the length means; a *kind* that it does not know can.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 10;

/// The longest name that a channel may have, in bytes.
const CHANNEL_NAME_BYTES: usize = 32;

const PREFACE_MARK: u8 = 0xB1;

/// What a frame is about.
///
/// The numbers below `0x10` are control frames: they belong to the association, travel on the control
/// channel only and never reach the upper half. All others belong to the upper half, which alone knows
/// what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Kind(u8);

impl Kind {
    pub(crate) const HELLO: Kind = Kind(0x01);
    pub(crate) const WELCOME: Kind = Kind(0x02);
    pub(crate) const HEARTBEAT: Kind = Kind(0x03);
    pub(crate) const GOODBYE: Kind = Kind(0x04);

    const FIRST_OF_PROCESSES: u8 = 0x10;

    /// A kind of the upper half. Below `0x10` this panics; in a `const`, that is at compile time.
    pub(crate) const fn process(number: u8) -> Kind {
        assert!(number >= Self::FIRST_OF_PROCESSES, "kinds below 0x10 are control frames");
        Kind(number)
    }

    pub(crate) const fn number(self) -> u8 {
        self.0
    }

    pub(crate) const fn is_control(self) -> bool {
        self.0 < Self::FIRST_OF_PROCESSES
    }
}

/// One unit on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) epoch: u32,
    pub(crate) kind: Kind,
    pub(crate) body: Bytes,
}

/// Why a stream cannot be read any further. What came before it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// Nothing of the body was buffered.
    #[error(
        "a frame of {length} bytes is over the limit of {limit} bytes: send it in parts, or raise the receiver's `Limits::frame_bytes`"
    )]
    TooLarge { length: usize, limit: usize },
    #[error(
        "a frame header carries the unknown flags {0:#04x}: the peer speaks another version, or the stream lost its framing"
    )]
    UnknownFlags(u8),
    #[error("the stream ended inside a frame: {missing} bytes are missing")]
    Truncated { missing: usize },
}

/// Why a stream is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PrefaceError {
    #[error("a stream began with {0:#04x}, not with a biotope preface: is the peer a biotope node?")]
    NotAPreface(u8),
    #[error("a stream's preface names a channel of {0} bytes: names have 1 to {CHANNEL_NAME_BYTES}")]
    NameLength(usize),
    #[error("a stream's preface names a channel in bytes that are not UTF-8")]
    NameNotText,
    #[error("a stream ended inside its preface")]
    Truncated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    length: usize,
    epoch: u32,
    kind: Kind,
}

/// Appends the header of a frame whose body has `length` bytes.
pub(crate) fn encode_header(length: usize, epoch: u32, kind: Kind, out: &mut BytesMut) {
    let length = u32::try_from(length).expect("the limit of a frame is below 4 GiB");
    out.reserve(HEADER_BYTES);
    out.put_u32(length);
    out.put_u32(epoch);
    out.put_u8(kind.0);
    out.put_u8(0);
}

/// Appends a whole frame.
#[cfg(test)]
pub(crate) fn encode_frame(epoch: u32, kind: Kind, body: &[u8], out: &mut BytesMut) {
    encode_header(body.len(), epoch, kind, out);
    out.extend_from_slice(body);
}

/// Reads a header from the front of `bytes`; `None` until there are enough of them.
fn decode_header(bytes: &[u8], limit: usize) -> Result<Option<Header>, FrameError> {
    let Some(mut header) = bytes.get(..HEADER_BYTES) else {
        return Ok(None);
    };
    let length = header.get_u32() as usize;
    let epoch = header.get_u32();
    let kind = Kind(header.get_u8());
    let flags = header.get_u8();
    // Flags first: with an unknown flag the length may mean something else.
    if flags != 0 {
        return Err(FrameError::UnknownFlags(flags));
    }
    if length > limit {
        return Err(FrameError::TooLarge { length, limit });
    }
    Ok(Some(Header { length, epoch, kind }))
}

/// Appends the preface of a stream that carries channel `name`.
pub(crate) fn encode_preface(name: &str, out: &mut BytesMut) {
    assert!((1..=CHANNEL_NAME_BYTES).contains(&name.len()), "a channel has a name that fits into a preface");
    out.put_u8(PREFACE_MARK);
    out.put_u8(name.len() as u8);
    out.extend_from_slice(name.as_bytes());
}

/// Reads a preface from the front of `bytes`: the channel's name and how many bytes the preface takes.
/// `None` until there are enough bytes.
pub(crate) fn decode_preface(bytes: &[u8]) -> Result<Option<(&str, usize)>, PrefaceError> {
    match bytes {
        [] => Ok(None),
        [PREFACE_MARK] => Ok(None),
        [PREFACE_MARK, length, rest @ ..] => {
            let length = usize::from(*length);
            if !(1..=CHANNEL_NAME_BYTES).contains(&length) {
                return Err(PrefaceError::NameLength(length));
            }
            let Some(name) = rest.get(..length) else {
                return Ok(None);
            };
            let name = std::str::from_utf8(name).map_err(|_| PrefaceError::NameNotText)?;
            Ok(Some((name, 2 + length)))
        }
        [other, ..] => Err(PrefaceError::NotAPreface(*other)),
    }
}

/// Takes a stream in pieces as they come, gives frames.
///
/// A body that lies within one piece is a slice of it; only a frame that spans pieces is copied, and the
/// copy grows with what has arrived, not with what the header announced.
#[derive(Debug)]
pub(crate) struct FrameDecoder {
    limit: usize,
    /// The rest of the latest piece.
    piece: Bytes,
    /// A frame that began in an earlier piece. Empty, or shorter than its frame.
    begun: BytesMut,
}

impl FrameDecoder {
    pub(crate) fn with_limit(limit: usize) -> FrameDecoder {
        FrameDecoder { limit, piece: Bytes::new(), begun: BytesMut::new() }
    }

    /// Adds the next bytes of the stream.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if self.piece.is_empty() {
            self.piece = piece;
        } else {
            let mut joined = BytesMut::from(std::mem::take(&mut self.piece));
            joined.extend_from_slice(&piece);
            self.piece = joined.freeze();
        }
    }

    /// The next whole frame; `None` until more bytes come. After an error the stream is lost.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if !self.begun.is_empty() {
            return self.next_begun();
        }
        let Some(header) = decode_header(&self.piece, self.limit)? else {
            self.begin();
            return Ok(None);
        };
        if self.piece.len() < HEADER_BYTES + header.length {
            self.begin();
            return Ok(None);
        }
        self.piece.advance(HEADER_BYTES);
        let body = self.piece.split_to(header.length);
        Ok(Some(Frame { epoch: header.epoch, kind: header.kind, body }))
    }

    /// The stream has ended here.
    pub(crate) fn finish(&self) -> Result<(), FrameError> {
        let have = self.begun.len() + self.piece.len();
        if have == 0 {
            return Ok(());
        }
        // `next_frame` was asked until it had no more, so what is left lies in `begun`.
        let missing = match decode_header(&self.begun, self.limit)? {
            Some(header) => (HEADER_BYTES + header.length).saturating_sub(have),
            None => HEADER_BYTES.saturating_sub(have),
        };
        Err(FrameError::Truncated { missing })
    }

    fn begin(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        self.begun.extend_from_slice(&piece);
    }

    fn next_begun(&mut self) -> Result<Option<Frame>, FrameError> {
        self.fill_to(HEADER_BYTES);
        let Some(header) = decode_header(&self.begun, self.limit)? else {
            return Ok(None);
        };
        let whole = HEADER_BYTES + header.length;
        self.fill_to(whole);
        if self.begun.len() < whole {
            return Ok(None);
        }
        let mut body = self.begun.split().freeze();
        body.advance(HEADER_BYTES);
        Ok(Some(Frame { epoch: header.epoch, kind: header.kind, body }))
    }

    fn fill_to(&mut self, length: usize) {
        let missing = length.saturating_sub(self.begun.len());
        let take = missing.min(self.piece.len());
        self.begun.extend_from_slice(&self.piece.split_to(take));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CAST: Kind = Kind::process(0x10);

    fn encoded(epoch: u32, kind: Kind, body: &[u8]) -> Bytes {
        let mut out = BytesMut::new();
        encode_frame(epoch, kind, body, &mut out);
        out.freeze()
    }

    fn all_frames(decoder: &mut FrameDecoder) -> Result<Vec<Frame>, FrameError> {
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn a_body_within_one_piece_is_not_copied() {
        let piece = encoded(7, CAST, b"hello");
        let mut decoder = FrameDecoder::with_limit(64);
        decoder.push(piece.clone());

        let frame = decoder.next_frame().unwrap().unwrap();

        assert_eq!(frame.body.as_ptr(), piece[HEADER_BYTES..].as_ptr());
        assert_eq!((frame.epoch, frame.kind), (7, CAST));
        assert_eq!(decoder.finish(), Ok(()));
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_a_byte_of_the_body() {
        let mut header = BytesMut::new();
        encode_header(65, 1, CAST, &mut header);
        let mut decoder = FrameDecoder::with_limit(64);
        decoder.push(header.freeze());

        assert_eq!(decoder.next_frame(), Err(FrameError::TooLarge { length: 65, limit: 64 }));
    }

    #[test]
    fn a_frame_of_exactly_the_limit_passes() {
        let mut decoder = FrameDecoder::with_limit(64);
        decoder.push(encoded(1, CAST, &[0; 64]));
        assert_eq!(decoder.next_frame().unwrap().unwrap().body.len(), 64);
    }

    #[test]
    fn an_unknown_flag_ends_the_stream() {
        let mut bytes = BytesMut::from(&encoded(1, CAST, b"x")[..]);
        bytes[9] = 0x80;
        let mut decoder = FrameDecoder::with_limit(64);
        decoder.push(bytes.freeze());
        assert_eq!(decoder.next_frame(), Err(FrameError::UnknownFlags(0x80)));
    }

    #[test]
    fn a_kind_that_nobody_knows_is_a_frame_like_others() {
        let mut decoder = FrameDecoder::with_limit(64);
        decoder.push(encoded(1, Kind(0xFF), b"?"));
        decoder.push(encoded(1, CAST, b"next"));
        let kinds: Vec<u8> = all_frames(&mut decoder).unwrap().iter().map(|frame| frame.kind.number()).collect();
        assert_eq!(kinds, [0xFF, 0x10]);
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_says_how_much_is_missing() {
        let bytes = encoded(1, CAST, b"hello");
        for (cut, missing) in [(4, 6), (10, 5), (12, 3)] {
            let mut decoder = FrameDecoder::with_limit(64);
            decoder.push(bytes.slice(..cut));
            assert_eq!(decoder.next_frame(), Ok(None));
            assert_eq!(decoder.finish(), Err(FrameError::Truncated { missing }));
        }
    }

    #[test]
    fn a_preface_comes_back_and_says_its_length() {
        let mut out = BytesMut::new();
        encode_preface("signals", &mut out);
        for cut in 0..out.len() {
            assert_eq!(decode_preface(&out[..cut]), Ok(None));
        }
        out.extend_from_slice(b"rest");
        assert_eq!(decode_preface(&out), Ok(Some(("signals", 9))));
    }

    #[test]
    fn a_foreign_preface_is_refused_at_its_first_byte() {
        assert_eq!(decode_preface(b"GET /"), Err(PrefaceError::NotAPreface(b'G')));
        assert_eq!(decode_preface(&[PREFACE_MARK, 0]), Err(PrefaceError::NameLength(0)));
        assert_eq!(decode_preface(&[PREFACE_MARK, 2, 0xC3, 0x28]), Err(PrefaceError::NameNotText));
    }

    /// The plainest decoder there is, for whole input: what the incremental one is compared with.
    fn reference(mut bytes: &[u8], limit: usize) -> (Vec<Frame>, Result<(), FrameError>) {
        let mut frames = Vec::new();
        loop {
            let header = match decode_header(bytes, limit) {
                Err(error) => return (frames, Err(error)),
                Ok(None) if bytes.is_empty() => return (frames, Ok(())),
                Ok(None) => {
                    let missing = HEADER_BYTES - bytes.len();
                    return (frames, Err(FrameError::Truncated { missing }));
                }
                Ok(Some(header)) => header,
            };
            let rest = &bytes[HEADER_BYTES..];
            if rest.len() < header.length {
                let missing = header.length - rest.len();
                return (frames, Err(FrameError::Truncated { missing }));
            }
            frames.push(Frame {
                epoch: header.epoch,
                kind: header.kind,
                body: Bytes::copy_from_slice(&rest[..header.length]),
            });
            bytes = &rest[header.length..];
        }
    }

    fn in_pieces(bytes: &[u8], cuts: &[usize], limit: usize) -> (Vec<Frame>, Result<(), FrameError>) {
        let mut decoder = FrameDecoder::with_limit(limit);
        let mut frames = Vec::new();
        let mut rest = Bytes::copy_from_slice(bytes);
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let cut = cuts.next().map_or(1, |cut| *cut).clamp(1, rest.len());
            decoder.push(rest.split_to(cut));
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Err(error)),
                }
            }
        }
        let end = decoder.finish();
        (frames, end)
    }

    fn some_frames() -> impl Strategy<Value = Vec<u8>> {
        let frame = (any::<u32>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..40));
        prop::collection::vec(frame, 0..8).prop_map(|frames| {
            let mut out = BytesMut::new();
            for (epoch, kind, body) in frames {
                encode_frame(epoch, Kind(kind), &body, &mut out);
            }
            out.to_vec()
        })
    }

    proptest! {
        #[test]
        fn however_a_stream_is_cut_the_frames_are_the_same(
            bytes in some_frames(),
            end in 0usize..400,
            cuts in prop::collection::vec(1usize..30, 1..12),
        ) {
            let bytes = &bytes[..bytes.len().saturating_sub(end % 13)];
            prop_assert_eq!(in_pieces(bytes, &cuts, 64), reference(bytes, 64));
        }

        #[test]
        fn garbage_is_an_error_or_a_frame_and_never_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cuts in prop::collection::vec(1usize..30, 1..12),
        ) {
            let _ = decode_preface(&bytes);
            prop_assert_eq!(in_pieces(&bytes, &cuts, 64), reference(&bytes, 64));
            prop_assert_eq!(
                in_pieces(&bytes, &cuts, usize::MAX >> 1).0,
                reference(&bytes, usize::MAX >> 1).0
            );
        }
    }
}
