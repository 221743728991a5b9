//! What goes out: one task per channel, which takes what waits in its lane.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use quinn::WriteError;
use tokio::task::yield_now;

use super::Hub;
use crate::connection::channel::{CONTROL, SIGNALS};
use crate::connection::close::CloseCode;
use crate::connection::lane::{Lane, Taken, WRITE_BYTES};
use crate::connection::peer::Peer;
use crate::connection::transport::Event;
use crate::wire::frame::encode_preface;

/// Control goes before signals.
const CONTROL_PRIORITY: i32 = 1;
const SIGNALS_PRIORITY: i32 = 0;

impl Hub {
    // Gives the ended stream if there ever was one.
    pub(super) async fn write_signals(
        self: Rc<Self>,
        connection: quinn::Connection,
        peer: Arc<Peer>,
    ) -> Option<quinn::SendStream> {
        let lane = &peer.lane;
        let mut stream = None;
        let mut batch = Vec::new();
        loop {
            match lane.take(&mut batch, WRITE_BYTES) {
                Taken::Wait => lane.ready().await,
                Taken::Batch { bytes, room } => {
                    if room {
                        self.tell(Event::Room { peer: peer.clone() });
                    }
                    let written = match &mut stream {
                        Some(stream) => write(stream, &mut batch).await,
                        None => match open(&connection, SIGNALS, SIGNALS_PRIORITY).await {
                            Ok(opened) => write(stream.insert(opened), &mut batch).await,
                            Err(error) => Err(error),
                        },
                    };
                    match written {
                        Ok(()) => {}
                        Err(WriteError::Stopped(_)) => {
                            // What it does not read is a gap, as with a stream of its own that breaks.
                            let text = format!("channel \"{SIGNALS}\" was stopped by the peer");
                            self.fault(peer.connection, CloseCode::Truncated, text);
                            return None;
                        }
                        Err(_) => return None,
                    }
                    // Relaxed: a figure for people, which orders nothing.
                    peer.sent.fetch_add(bytes as u64, Ordering::Relaxed);
                    // quinn takes megabytes at once; packets must leave and others write in between.
                    yield_now().await;
                }
                Taken::Drained => {
                    if let Some(stream) = &mut stream {
                        // An error says that the stream has ended already.
                        let _ = stream.finish();
                    }
                    return stream;
                }
                Taken::Overrun => {
                    let text = "too many system signals waited for the peer";
                    self.fault(peer.connection, CloseCode::Overrun, text);
                    return None;
                }
                Taken::Closed => return stream,
            }
        }
    }
}

pub(super) async fn write_control(connection: quinn::Connection, lane: Rc<Lane>) -> Option<quinn::SendStream> {
    // A peer that allows no stream gets no hello, and its time to greet runs out.
    let mut stream = open(&connection, CONTROL, CONTROL_PRIORITY).await.ok()?;
    let mut batch = Vec::new();
    loop {
        match lane.take(&mut batch, WRITE_BYTES) {
            Taken::Wait => lane.ready().await,
            // An error is the end of the connection, which `serve` sees.
            Taken::Batch { .. } => write(&mut stream, &mut batch).await.ok()?,
            Taken::Drained => {
                // An error says that the stream has ended already.
                let _ = stream.finish();
                return Some(stream);
            }
            Taken::Overrun | Taken::Closed => return None,
        }
    }
}

async fn open(connection: &quinn::Connection, channel: &str, priority: i32) -> Result<quinn::SendStream, WriteError> {
    let mut stream = connection.open_uni().await?;
    // An error says that the stream has ended already.
    let _ = stream.set_priority(priority);
    let mut preface = BytesMut::new();
    encode_preface(channel, &mut preface);
    stream.write_chunk(preface.freeze()).await?;
    Ok(stream)
}

async fn write(stream: &mut quinn::SendStream, batch: &mut Vec<Bytes>) -> Result<(), WriteError> {
    let written = stream.write_all_chunks(batch).await;
    batch.clear();
    written
}
