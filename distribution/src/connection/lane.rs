//! What waits in a channel towards one peer.
//!
//! ```text
//!   senders (any thread)                       the channel's writer (network thread)
//!   push(frame) ──▶ queue, coalesced ──▶ take(up to 64 KiB) ──▶ one write
//!        └── wakes the writer only if it waits
//! ```
//!
//! # Who may touch what
//! - `push`: anybody, under one short lock; small bodies are copied into the tail, large ones are not copied.
//! - `take`: the writer only.
//!
//! # Why frames are coalesced
//! quinn keeps each write as a piece of its own and searches them in a line, so that small writes behind a slow
//! peer cost quadratic time.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::channel::SendError;
use crate::wire::frame::{HEADER_BYTES, Kind, encode_header};

/// How many bytes one write takes at most, unless a single body is larger.
pub(crate) const WRITE_BYTES: usize = 64 << 10;

/// Bodies from here on are queued as they are; smaller ones are copied together.
const COPY_BELOW: usize = 4 << 10;

/// Whether a frame must obey the queue's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// At the limit the frame is handed back.
    Limited,
    /// The frame may go over the limit by as much again. If even that is full, the lane is overrun.
    System,
}

/// What the writer has got, or must do instead.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Write the batch. With `room`, somebody was refused before and has room now.
    Batch { bytes: usize, room: bool },
    /// Nothing is there. Wait in [`Lane::ready`].
    Wait,
    /// Nothing is there and nothing will come: end the stream.
    Drained,
    /// A system signal found no room: end the association.
    Overrun,
    /// The association is over.
    Closed,
}

/// What waits in a channel towards one peer.
#[derive(Debug)]
pub(crate) struct Lane {
    queue: Mutex<Queue>,
    ready: Notify,
    limit: usize,
}

#[derive(Debug)]
struct Queue {
    pieces: VecDeque<Bytes>,
    /// Small frames, copied together.
    tail: BytesMut,
    /// All of the above, in bytes.
    bytes: usize,
    state: State,
    writer_waits: bool,
    somebody_was_refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Takes no more; what is there is still written.
    Draining,
    Overrun,
    Closed,
}

impl Lane {
    pub(crate) fn with_limit(limit: usize) -> Lane {
        Lane {
            queue: Mutex::new(Queue {
                pieces: VecDeque::new(),
                tail: BytesMut::new(),
                bytes: 0,
                state: State::Open,
                writer_waits: false,
                somebody_was_refused: false,
            }),
            ready: Notify::new(),
            limit,
        }
    }

    /// Queues one frame, its body copied.
    pub(crate) fn push_copy(&self, epoch: u32, kind: Kind, body: &[u8], room: Room) -> Result<(), SendError> {
        self.push_with(body.len(), room, |queue| {
            encode_header(body.len(), epoch, kind, &mut queue.tail);
            queue.tail.extend_from_slice(body);
        })
    }

    /// Queues one frame; a large body is not copied.
    pub(crate) fn push(&self, epoch: u32, kind: Kind, body: Bytes, room: Room) -> Result<(), SendError> {
        if body.len() < COPY_BELOW {
            return self.push_copy(epoch, kind, &body, room);
        }
        self.push_with(body.len(), room, |queue| {
            encode_header(body.len(), epoch, kind, &mut queue.tail);
            queue.cut_tail();
            queue.pieces.push_back(body);
        })
    }

    /// Takes no more frames. What is there is still written.
    pub(crate) fn drain(&self) {
        self.change(State::Draining);
    }

    /// The association is over: what is there is dropped.
    pub(crate) fn close(&self) {
        self.change(State::Closed);
    }

    /// Waits until there may be something to take.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Moves up to `most` bytes into `batch`, or one piece if that is longer.
    pub(crate) fn take(&self, batch: &mut Vec<Bytes>, most: usize) -> Taken {
        let mut queue = self.queue.lock();
        match queue.state {
            State::Open | State::Draining => {}
            State::Overrun => return Taken::Overrun,
            State::Closed => return Taken::Closed,
        }
        if queue.bytes == 0 {
            if queue.state == State::Draining {
                return Taken::Drained;
            }
            queue.writer_waits = true;
            return Taken::Wait;
        }
        queue.cut_tail();
        let mut bytes = 0;
        while let Some(piece) = queue.pieces.front() {
            if bytes > 0 && bytes + piece.len() > most {
                break;
            }
            bytes += piece.len();
            batch.extend(queue.pieces.pop_front());
        }
        queue.bytes -= bytes;
        let room = queue.somebody_was_refused && queue.bytes <= self.limit / 2;
        if room {
            queue.somebody_was_refused = false;
        }
        Taken::Batch { bytes, room }
    }

    fn push_with(&self, body: usize, room: Room, put: impl FnOnce(&mut Queue)) -> Result<(), SendError> {
        let frame = HEADER_BYTES + body;
        let mut queue = self.queue.lock();
        match queue.state {
            State::Open => {}
            State::Draining | State::Overrun | State::Closed => {
                return Err(SendError::NoConnection);
            }
        }
        // A frame always fits into an empty queue: the limit of a frame may be the higher one.
        let over = |limit: usize| queue.bytes > 0 && queue.bytes + frame > limit;
        if over(self.limit) {
            match room {
                Room::Limited => {
                    queue.somebody_was_refused = true;
                    return Err(SendError::Full);
                }
                Room::System if over(self.limit * 2) => {
                    drop(queue);
                    self.change(State::Overrun);
                    return Err(SendError::NoConnection);
                }
                Room::System => {}
            }
        }
        put(&mut queue);
        queue.bytes += frame;
        if queue.tail.len() >= WRITE_BYTES {
            queue.cut_tail();
        }
        let wake = std::mem::take(&mut queue.writer_waits);
        drop(queue);
        if wake {
            self.ready.notify_one();
        }
        Ok(())
    }

    fn change(&self, to: State) {
        let mut queue = self.queue.lock();
        // The states come in this order and never go back; an overrun stays visible until it is closed.
        let forward = match to {
            State::Open => false,
            State::Draining | State::Overrun => queue.state == State::Open,
            State::Closed => true,
        };
        if !forward {
            return;
        }
        queue.state = to;
        if to != State::Draining {
            queue.pieces = VecDeque::new();
            queue.tail = BytesMut::new();
            queue.bytes = 0;
        }
        queue.writer_waits = false;
        drop(queue);
        self.ready.notify_one();
    }
}

impl Queue {
    fn cut_tail(&mut self) {
        if !self.tail.is_empty() {
            let piece = self.tail.split().freeze();
            self.pieces.push_back(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::FrameDecoder;

    const CAST: Kind = Kind::process(0x10);

    fn push(lane: &Lane, body: &[u8]) -> Result<(), SendError> {
        lane.push_copy(1, CAST, body, Room::Limited)
    }

    fn taken(lane: &Lane) -> (Taken, Vec<Bytes>) {
        let mut batch = Vec::new();
        (lane.take(&mut batch, WRITE_BYTES), batch)
    }

    #[test]
    fn small_frames_leave_in_one_piece_and_in_order() {
        let lane = Lane::with_limit(1 << 20);
        for number in 0..100u8 {
            push(&lane, &[number]).unwrap();
        }

        let (_, batch) = taken(&lane);

        assert_eq!(batch.len(), 1);
        let mut decoder = FrameDecoder::with_limit(16);
        decoder.push(batch[0].clone());
        for number in 0..100u8 {
            assert_eq!(decoder.next_frame().unwrap().unwrap().body[..], [number]);
        }
        assert_eq!(taken(&lane).0, Taken::Wait);
    }

    #[test]
    fn a_large_body_is_not_copied_and_keeps_its_place() {
        let lane = Lane::with_limit(1 << 20);
        let large = Bytes::from(vec![7; COPY_BELOW]);
        push(&lane, b"before").unwrap();
        lane.push(1, CAST, large.clone(), Room::Limited).unwrap();
        push(&lane, b"after").unwrap();

        let (_, batch) = taken(&lane);

        assert!(batch.iter().any(|piece| piece.as_ptr() == large.as_ptr()));
        let mut decoder = FrameDecoder::with_limit(1 << 20);
        let mut bodies = Vec::new();
        for piece in batch {
            decoder.push(piece);
            while let Some(frame) = decoder.next_frame().unwrap() {
                bodies.push(frame.body);
            }
        }
        assert_eq!(bodies, [Bytes::from("before"), large, Bytes::from("after")]);
    }

    #[test]
    fn one_batch_is_no_longer_than_one_write() {
        let lane = Lane::with_limit(1 << 20);
        for _ in 0..200 {
            push(&lane, &[0; 1000]).unwrap();
        }
        let mut batches = Vec::new();
        while let (Taken::Batch { bytes, .. }, batch) = taken(&lane) {
            assert_eq!(bytes, batch.iter().map(Bytes::len).sum::<usize>());
            batches.push(bytes);
        }
        assert_eq!(batches.iter().sum::<usize>(), 200 * 1010);
        assert!(batches.iter().all(|bytes| *bytes < WRITE_BYTES + 1010), "{batches:?}");
    }

    #[test]
    fn at_the_limit_a_frame_is_handed_back_and_nothing_is_queued() {
        let lane = Lane::with_limit(100);
        push(&lane, &[0; 80]).unwrap();
        assert_eq!(push(&lane, &[0; 1]), Err(SendError::Full));
        let (taken, _) = taken(&lane);
        assert_eq!(taken, Taken::Batch { bytes: 90, room: true });
        push(&lane, &[0; 80]).unwrap();
    }

    #[test]
    fn room_is_told_once_and_only_to_those_who_were_refused() {
        let lane = Lane::with_limit(100);
        push(&lane, &[0; 40]).unwrap();
        assert!(matches!(taken(&lane).0, Taken::Batch { room: false, .. }));
        push(&lane, &[0; 80]).unwrap();
        push(&lane, &[0; 80]).unwrap_err();
        assert!(matches!(taken(&lane).0, Taken::Batch { room: true, .. }));
        push(&lane, &[0; 40]).unwrap();
        assert!(matches!(taken(&lane).0, Taken::Batch { room: false, .. }));
    }

    #[test]
    fn a_frame_longer_than_the_limit_fits_into_an_empty_queue() {
        let lane = Lane::with_limit(100);
        push(&lane, &[0; 500]).unwrap();
        assert_eq!(push(&lane, b"x"), Err(SendError::Full));
    }

    #[test]
    fn a_system_signal_goes_over_the_limit_and_an_overrun_is_not_silent() {
        let lane = Lane::with_limit(100);
        let system = |length| lane.push_copy(1, CAST, &vec![0; length], Room::System);
        push(&lane, &[0; 80]).unwrap();
        system(90).unwrap();
        assert_eq!(system(90), Err(SendError::NoConnection));
        assert_eq!(taken(&lane).0, Taken::Overrun);
        assert_eq!(push(&lane, b"x"), Err(SendError::NoConnection));
    }

    #[test]
    fn a_draining_lane_gives_what_it_has_and_takes_nothing() {
        let lane = Lane::with_limit(100);
        push(&lane, b"last").unwrap();
        lane.drain();
        assert_eq!(push(&lane, b"late"), Err(SendError::NoConnection));
        assert!(matches!(taken(&lane).0, Taken::Batch { bytes: 14, .. }));
        assert_eq!(taken(&lane).0, Taken::Drained);
    }

    #[test]
    fn a_closed_lane_drops_what_it_has_and_takes_nothing() {
        let lane = Lane::with_limit(100);
        push(&lane, b"lost").unwrap();
        lane.close();
        assert_eq!(push(&lane, b"x"), Err(SendError::NoConnection));
        assert_eq!(taken(&lane).0, Taken::Closed);
    }
}
