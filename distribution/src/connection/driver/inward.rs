//! What comes in: one task per stream of the peer.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quinn::{ReadError, VarInt};
use tokio::task::{spawn_local, yield_now};

use super::Hub;
use crate::connection::channel::{CONTROL, SIGNALS};
use crate::connection::close::{Close, CloseCode};
use crate::connection::core::ConnectionId;
use crate::connection::counters::count;
use crate::connection::lane::WRITE_BYTES;
use crate::connection::peer::Peer;
use crate::connection::transport::Event;
use crate::wire::frame::{Frame, FrameDecoder, FrameError, Kind, PrefaceError, decode_preface};
use crate::wire::handshake::{Heartbeat, Hello, decode_number};

/// The longest body of a control frame. They are all short.
const CONTROL_FRAME_BYTES: usize = 4 << 10;

/// How many pieces one read takes at most. With packets of 1.2 KiB this is about one write of the peer.
const READ_PIECES: usize = 64;

/// The stream error that turns a stream of an unknown channel away.
const UNKNOWN_CHANNEL: VarInt = VarInt::from_u32(1);

impl Hub {
    pub(super) async fn read_control(self: Rc<Self>, id: ConnectionId, connection: quinn::Connection) {
        // QUIC gives streams in the order in which the peer opened them, and control is the first.
        let Ok(mut stream) = connection.accept_uni().await else {
            return;
        };
        let mut decoder = FrameDecoder::with_limit(CONTROL_FRAME_BYTES);
        match read_preface(&mut stream, &mut decoder).await {
            Ok(name) if name == CONTROL => {}
            Ok(name) => {
                let text = format!("the first stream must be channel \"{CONTROL}\", not \"{name}\"");
                return self.fault(id, CloseCode::BadHello, text);
            }
            Err(Unread::Preface(error)) => return self.fault(id, CloseCode::BadHello, error),
            Err(Unread::Stream(error)) => return self.stream_fault(id, &error),
        }
        let mut greeted = false;
        let mut said_goodbye = false;
        let mut pieces = no_pieces();
        loop {
            loop {
                let frame = match decoder.next_frame() {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(error) if greeted => return self.frame_fault(id, &error),
                    Err(error) => return self.fault(id, CloseCode::BadHello, error),
                };
                if !greeted && frame.kind != Kind::HELLO {
                    let text = "the first frame on a new connection must be a hello";
                    return self.fault(id, CloseCode::BadHello, text);
                }
                greeted = true;
                said_goodbye |= frame.kind == Kind::GOODBYE;
                self.control_frame(id, frame);
            }
            match stream.read_chunks(&mut pieces).await {
                Ok(Some(read)) => {
                    for piece in &mut pieces[..read] {
                        decoder.push(std::mem::take(piece));
                    }
                    self.core.borrow_mut().on_heard(id, Instant::now());
                }
                Ok(None) if said_goodbye => return,
                Ok(None) => {
                    let text = "the control stream ended without a goodbye";
                    return self.fault(id, CloseCode::Truncated, text);
                }
                Err(error) => return self.stream_fault(id, &error),
            }
        }
    }

    fn control_frame(self: &Rc<Self>, id: ConnectionId, frame: Frame) {
        let body = &frame.body[..];
        let epoch = self.peer(id).map(|peer| peer.epoch);
        let bad = |what: &str| Close::new(CloseCode::BadFrame, format!("a malformed {what} came"));
        match frame.kind {
            Kind::HELLO => match Hello::decode(body) {
                Ok(hello) => self.feed(|core, now, out| core.on_hello(id, hello, now, out)),
                Err(error) => self.fault(id, CloseCode::BadHello, error),
            },
            Kind::WELCOME => match decode_number(body) {
                Some(epoch) => self.feed(|core, now, out| core.on_welcome(id, epoch, now, out)),
                None => self.feed(|core, now, out| core.on_fault(id, bad("welcome"), now, out)),
            },
            _ if epoch.is_some_and(|epoch| epoch != frame.epoch) => {
                count(&self.shared.tally.foreign_epochs);
            }
            Kind::HEARTBEAT => match Heartbeat::decode(body) {
                Some(beat) => self.core.borrow_mut().on_heartbeat(id, beat, Instant::now()),
                None => self.feed(|core, now, out| core.on_fault(id, bad("heartbeat"), now, out)),
            },
            Kind::GOODBYE => match decode_number(body) {
                Some(streams) => {
                    self.feed(|core, now, out| core.on_goodbye(id, streams, now, out));
                }
                None => self.feed(|core, now, out| core.on_fault(id, bad("goodbye"), now, out)),
            },
            // A later version may have more to say. It does not count on being understood.
            _ => count(&self.shared.tally.unknown_kinds),
        }
    }

    pub(super) async fn accept_streams(self: Rc<Self>, connection: quinn::Connection, peer: Arc<Peer>) {
        while let Ok(stream) = connection.accept_uni().await {
            let reader = spawn_local(self.clone().read_stream(peer.clone(), stream));
            let mut entries = self.entries.borrow_mut();
            match entries.get_mut(&peer.connection) {
                Some(entry) => {
                    entry.readers.retain(|reader| !reader.is_finished());
                    entry.tasks.retain(|task| !task.is_finished());
                    entry.tasks.push(reader.abort_handle());
                    entry.readers.push(reader);
                }
                None => reader.abort(),
            }
        }
    }

    async fn read_stream(self: Rc<Self>, peer: Arc<Peer>, mut stream: quinn::RecvStream) {
        let id = peer.connection;
        let mut decoder = FrameDecoder::with_limit(self.limits.frame_bytes);
        let name = match read_preface(&mut stream, &mut decoder).await {
            Ok(name) => name,
            Err(Unread::Preface(error)) => return self.fault(id, CloseCode::BadFrame, error),
            Err(Unread::Stream(error)) => return self.stream_fault(id, &error),
        };
        if name != CONTROL && name != SIGNALS {
            return self.turn_away(&peer, &name, stream);
        }
        let again = match self.entries.borrow_mut().get_mut(&id) {
            Some(entry) if name == SIGNALS => std::mem::replace(&mut entry.has_signals, true),
            // The peer has begun with it.
            Some(_) => true,
            None => return,
        };
        if again {
            let text = format!("channel \"{name}\" has a stream already: each has one per direction");
            return self.fault(id, CloseCode::Streams, text);
        }
        match self.read_frames(&peer, stream, decoder).await {
            Ok(()) => self.feed(|core, now, out| core.on_stream_ended(id, now, out)),
            Err(Broken::Frame(error)) => self.frame_fault(id, &error),
            Err(Broken::Stream(error)) => self.stream_fault(id, &error),
        }
    }

    async fn read_frames(
        &self,
        peer: &Arc<Peer>,
        mut stream: quinn::RecvStream,
        mut decoder: FrameDecoder,
    ) -> Result<(), Broken> {
        let mut pieces = no_pieces();
        loop {
            self.deliver(peer, &mut decoder)?;
            let Some(read) = stream.read_chunks(&mut pieces).await? else {
                return Ok(decoder.finish()?);
            };
            let mut bytes = 0;
            for piece in &mut pieces[..read] {
                bytes += piece.len();
                decoder.push(std::mem::take(piece));
                self.deliver(peer, &mut decoder)?;
            }
            // Relaxed: a figure for people, which orders nothing.
            peer.received.fetch_add(bytes as u64, Ordering::Relaxed);
            self.core.borrow_mut().on_heard(peer.connection, Instant::now());
            if read == READ_PIECES {
                // There is probably more; the other streams come first.
                yield_now().await;
            }
        }
    }

    fn deliver(&self, peer: &Arc<Peer>, decoder: &mut FrameDecoder) -> Result<(), FrameError> {
        while let Some(frame) = decoder.next_frame()? {
            if !peer.is_up() {
                return Ok(());
            }
            if frame.epoch != peer.epoch {
                count(&self.shared.tally.foreign_epochs);
            } else if frame.kind.is_control() {
                count(&self.shared.tally.unknown_kinds);
            } else {
                self.tell(Event::Frame { peer: peer.clone(), kind: frame.kind, body: frame.body });
            }
        }
        Ok(())
    }

    // A stream of a channel that this node does not have. Its sender is told, and nobody else is touched.
    fn turn_away(self: &Rc<Self>, peer: &Peer, name: &str, mut stream: quinn::RecvStream) {
        let id = peer.connection;
        count(&self.shared.tally.unknown_channels);
        tracing::warn!(peer = %peer.name, channel = name, "a channel that this node does not have");
        // An error says that the stream is gone already.
        let _ = stream.stop(UNKNOWN_CHANNEL);
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries.get_mut(&id) else {
            return;
        };
        entry.unknown_streams += 1;
        let too_many = entry.unknown_streams > self.limits.unknown_streams;
        drop(entries);
        if too_many {
            let text = format!("channel \"{name}\" is unknown here, like many before");
            return self.fault(id, CloseCode::Streams, text);
        }
        self.feed(|core, now, out| core.on_stream_ended(id, now, out));
    }

    fn frame_fault(self: &Rc<Self>, id: ConnectionId, error: &FrameError) {
        let code = match error {
            FrameError::TooLarge { .. } => CloseCode::FrameTooLarge,
            FrameError::UnknownFlags(_) => CloseCode::BadFrame,
            FrameError::Truncated { .. } => CloseCode::Truncated,
        };
        self.fault(id, code, error);
    }

    // The end of a whole connection is `serve`'s to tell.
    fn stream_fault(self: &Rc<Self>, id: ConnectionId, error: &ReadError) {
        if let ReadError::Reset(code) = error {
            self.fault(id, CloseCode::Truncated, format!("a stream was reset with code {code}"));
        }
    }
}

/// Why a stream did not even say which channel it is.
enum Unread {
    Preface(PrefaceError),
    Stream(ReadError),
}

/// Why the frames of a stream ended other than in order.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Stream(#[from] ReadError),
}

/// Reads the name of the channel; what follows it goes into `decoder`.
async fn read_preface(stream: &mut quinn::RecvStream, decoder: &mut FrameDecoder) -> Result<String, Unread> {
    let mut begun = BytesMut::new();
    loop {
        if let Some((name, length)) = decode_preface(&begun).map_err(Unread::Preface)? {
            let name = name.to_owned();
            let _ = begun.split_to(length);
            decoder.push(begun.freeze());
            return Ok(name);
        }
        match stream.read_chunk(WRITE_BYTES, true).await {
            Ok(Some(chunk)) => begun.extend_from_slice(&chunk.bytes),
            Ok(None) => return Err(Unread::Preface(PrefaceError::Truncated)),
            Err(error) => return Err(Unread::Stream(error)),
        }
    }
}

fn no_pieces() -> Vec<Bytes> {
    vec![Bytes::new(); READ_PIECES]
}
