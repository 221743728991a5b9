//! What goes out: one task per channel, which takes what waits in its lane.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use quinn::WriteError;
use tokio::task::yield_now;

use super::Hub;
use crate::connection::channel::ChannelId;
use crate::connection::close::CloseCode;
use crate::connection::lane::{Lane, Taken, WRITE_BYTES};
use crate::connection::peer::Peer;
use crate::connection::transport::Event;
use crate::wire::frame::encode_preface;

/// Control goes before every channel.
const CONTROL_PRIORITY: i32 = 100;

impl Hub {
    // Gives the ended stream if there ever was one.
    pub(super) async fn write_channel(
        self: Rc<Self>,
        connection: quinn::Connection,
        peer: Arc<Peer>,
        channel: ChannelId,
    ) -> Option<quinn::SendStream> {
        let lane = &peer.lanes[channel.index()];
        let settings = self.shared.channels.channel(channel);
        let mut stream = None;
        let mut batch = Vec::new();
        loop {
            match lane.take(&mut batch, WRITE_BYTES) {
                Taken::Wait => lane.ready().await,
                Taken::Batch { bytes, room } => {
                    if room {
                        self.tell(Event::Room { peer: peer.clone(), channel });
                    }
                    let written = match &mut stream {
                        Some(stream) => write(stream, &mut batch).await,
                        None => {
                            let opened = open(&connection, settings.name(), settings.stream_priority());
                            match opened.await {
                                Ok(opened) => write(stream.insert(opened), &mut batch).await,
                                Err(error) => Err(error),
                            }
                        }
                    };
                    match written {
                        Ok(()) => {}
                        Err(WriteError::Stopped(_)) => {
                            tracing::warn!(peer = %peer.name, channel = settings.name(), "the peer has no such channel");
                            lane.refuse();
                            return stream;
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
                    let text = format!("too many system signals waited in channel \"{}\"", settings.name());
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
    let mut stream = open(&connection, "control", CONTROL_PRIORITY).await.ok()?;
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
