//! In: from a peer's frames to local signals. Runs on the network thread and never blocks it.
//!
//! Bytes of a peer never panic. A frame that is not what its kind promises is counted and skipped, and
//! nothing else is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use biotope_runtime::{CallFailed, FarReply, Incoming, Node, NodeId, Pid, Process, Signal, StartError};
use parking_lot::Mutex;

use crate::connection::peer::Peer;
use crate::connection::transport::Event;
use crate::gateway::{Awaited, QuicGateway};
use crate::wire::frame::Kind;
use crate::wire::process::{self, FOUND, Malformed, REPLY, Reader, STARTED, Started, Writer};

/// Turns events of the transport into what processes see.
pub(crate) struct Inbound {
    feed: Mutex<Feed>,
    malformed: AtomicU64,
}

enum Feed {
    /// The transport listens already, the gateway is not made yet: a peer may be quicker.
    Waiting(Vec<Event>),
    Connected(Weak<QuicGateway>),
}

impl Inbound {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { feed: Mutex::new(Feed::Waiting(Vec::new())), malformed: AtomicU64::new(0) })
    }

    /// From now on events reach `gateway`; first those that have waited.
    pub(crate) fn connect(&self, gateway: &Arc<QuicGateway>) {
        let mut feed = self.feed.lock();
        // The lock is held, so that no later event overtakes these.
        if let Feed::Waiting(events) = std::mem::replace(&mut *feed, Feed::Connected(Arc::downgrade(gateway))) {
            events.into_iter().for_each(|event| self.pass(gateway, event));
        }
    }

    /// Frames of peers that were not what their kind promises.
    pub(crate) fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }

    pub(crate) fn on_event(&self, event: Event) {
        let gateway = match &mut *self.feed.lock() {
            Feed::Waiting(events) => return events.push(event),
            Feed::Connected(gateway) => gateway.upgrade(),
        };
        if let Some(gateway) = gateway {
            self.pass(&gateway, event);
        }
    }

    fn pass(&self, gateway: &Arc<QuicGateway>, event: Event) {
        let Some(node) = gateway.node.upgrade() else { return };
        match event {
            Event::Up { peer } => {
                tracing::info!(node = node.name(), peer = %peer.name(), epoch = peer.epoch(), "node up");
                gateway.add_peer(id_of(&peer), peer.clone());
                node.node_up(peer.name());
            }
            Event::Down { peer, cause } => {
                tracing::info!(node = node.name(), peer = %peer.name(), ?cause, "node down");
                let id = id_of(&peer);
                gateway.remove_peer(id);
                node.node_down(id, peer.name());
            }
            Event::Frame { peer, kind, body, .. } => {
                let from = Frame { gateway, node: &node, peer: &peer, id: id_of(&peer) };
                if let Err(error) = from.accept(kind, &body) {
                    self.malformed.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(node = node.name(), peer = %peer.name(), %error, "a frame was skipped");
                }
            }
            Event::Room { .. } => {}
        }
    }
}

fn id_of(peer: &Peer) -> NodeId {
    NodeId::new(peer.name(), peer.incarnation())
}

/// One frame's surroundings.
struct Frame<'a> {
    gateway: &'a Arc<QuicGateway>,
    node: &'a Node,
    peer: &'a Arc<Peer>,
    id: NodeId,
}

impl Frame<'_> {
    fn accept(&self, kind: Kind, body: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(body);
        match kind {
            process::CAST => {
                let to = reader.pid(self.node.id())?;
                self.deliver(to, &mut reader, false)
            }
            process::CALL => {
                let to = reader.pid(self.node.id())?;
                self.deliver(to, &mut reader, true)
            }
            process::REPLY => self.reply(&mut reader),
            process::SIGNAL => {
                let to = reader.pid(self.node.id())?;
                let signal: Signal = self.node.decoding(|| reader.value())?;
                process::check_source(&signal, self.id, self.node.id())?;
                self.node.signal(to, signal);
                Ok(())
            }
            process::START => self.start(&mut reader),
            process::STARTED => {
                let number = reader.number()?;
                let started: Started = reader.value()?;
                if let Some(Awaited::Started(sender)) = self.gateway.take_awaited(self.id, number) {
                    let _ = sender.send(started);
                }
                Ok(())
            }
            process::WHEREIS => {
                let number = reader.number()?;
                let name: String = reader.value()?;
                self.answer(FOUND, Writer::numbered(number).value(&self.node.whereis(&name)));
                Ok(())
            }
            process::FOUND => {
                let number = reader.number()?;
                let found = reader.value()?;
                if let Some(Awaited::Found(sender)) = self.gateway.take_awaited(self.id, number) {
                    let _ = sender.send(Ok(found));
                }
                Ok(())
            }
            other => Err(Malformed::UnknownKind(other.number())),
        }
    }

    fn deliver(&self, to: Pid, reader: &mut Reader<'_>, is_call: bool) -> Result<(), Malformed> {
        let method = reader.method()?;
        let reply = if is_call { Some(self.reply_path(reader.number()?)) } else { None };
        let mut arguments = reader.deserializer();
        let mut arguments = <dyn erased_serde::Deserializer<'_>>::erase(&mut arguments);
        self.node.accept_message(to, Incoming::new(method, &mut arguments, reply));
        Ok(())
    }

    /// Where the reply to the peer's call `number` goes. Replies never count as full: a caller waits.
    fn reply_path(&self, number: u64) -> FarReply {
        let peer = self.peer.clone();
        Box::new(move |outcome| {
            let encoded = match outcome {
                Ok(value) => Writer::numbered(number).byte(0).erased(value),
                Err(failed) => {
                    let body = process::failed_reply(number, &failed);
                    // A lost connection has told the caller already.
                    let _ = peer.send_system(REPLY, &body);
                    return;
                }
            };
            let body = match encoded {
                Ok(writer) => writer.body(),
                Err(error) => process::failed_reply(number, &CallFailed::Malformed(error.to_string())),
            };
            if let Err(error) = peer.send_system(REPLY, &body) {
                let failed = CallFailed::Malformed(format!("the reply could not be sent: {error}"));
                let _ = peer.send_system(REPLY, &process::failed_reply(number, &failed));
            }
        })
    }

    fn reply(&self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let number = reader.number()?;
        let is_failure = reader.byte()? != 0;
        // A reply that nobody awaits came after its caller's deadline.
        let Some(Awaited::Reply(pending)) = self.gateway.take_awaited(self.id, number) else { return Ok(()) };
        if is_failure {
            let failed = reader.value();
            pending.complete(Err(failed.clone().unwrap_or(CallFailed::NoReply)));
            return failed.map(drop);
        }
        let mut value = reader.deserializer();
        let mut value = <dyn erased_serde::Deserializer<'_>>::erase(&mut value);
        self.node.decoding(|| pending.complete(Ok(&mut value)));
        Ok(())
    }

    fn start(&self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let number = reader.number()?;
        let (actor, link): (String, Option<Pid>) = reader.value()?;
        if link.is_some_and(|link| link.node() != self.id) {
            return Err(Malformed::NotItsOwn);
        }
        let mut arguments = reader.deserializer();
        let mut arguments = <dyn erased_serde::Deserializer<'_>>::erase(&mut arguments);
        match self.node.accept_start(&actor, &mut arguments, link) {
            Err(error) => self.answer(STARTED, Writer::numbered(number).value(&Started::Err(error))),
            Ok(starting) => {
                let peer = self.peer.clone();
                // The start may take its time; a process of its own waits for it.
                self.node.spawn_process(async move |_: Process<()>| {
                    let started: Result<Pid, StartError> = starting.await;
                    if let Ok(body) = Writer::numbered(number).value(&started) {
                        let _ = peer.send_system(STARTED, &body.body());
                    }
                    Ok(())
                });
            }
        }
        Ok(())
    }

    fn answer(&self, kind: Kind, body: Result<Writer, process::NotEncoded>) {
        match body {
            // A lost connection has told the peer already.
            Ok(body) => drop(self.peer.send_system(kind, &body.body())),
            Err(error) => tracing::error!(peer = %self.peer.name(), %error, "an answer was not sent"),
        }
    }
}
