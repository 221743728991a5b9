//! Out: from the runtime's gateway to frames, and the table of what is awaited from peers.
//!
//! ```text
//!   runtime::Gateway ──▶ gateway.rs ──▶ wire::process ──▶ connection::Peer ══▶ network
//!                         awaited: call number ─▶ reply     ▲
//!   connection::Event ──▶ inbound.rs ──────────────────────┘  answers
//! ```

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use biotope_runtime::{
    CallFailed, Carrier, DeadLetter, ExitReason, FarFuture, Gateway, MethodId, Node, NodeId, PendingReply, Pid, Signal,
    StartError, StartFar, WeakNode,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::connection::channel::SendError;
use crate::connection::peer::Peer;
use crate::connection::transport::Transport;
use crate::inbound::Inbound;
use crate::wire::frame::Kind;
use crate::wire::process::{self, CALL, CAST, Found, SIGNAL, START, Started, WHEREIS, Writer};

/// A node's door to its peers.
pub(crate) struct QuicGateway {
    pub(crate) node: WeakNode,
    pub(crate) transport: Transport,
    pub(crate) inbound: Arc<Inbound>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    peers: BTreeMap<NodeId, Arc<Peer>>,
    awaited: BTreeMap<u64, (NodeId, Awaited)>,
    numbers: u64,
    /// When so many answers are awaited, those that nobody waits for any more are looked for.
    sweep_at: usize,
}

/// An answer that a peer owes.
pub(crate) enum Awaited {
    Reply(PendingReply),
    Started(oneshot::Sender<Started>),
    Found(oneshot::Sender<Result<Found, ExitReason>>),
}

impl Awaited {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Reply(reply) => reply.is_abandoned(),
            Self::Started(sender) => sender.is_closed(),
            Self::Found(sender) => sender.is_closed(),
        }
    }

    fn lose(self, failed: CallFailed) {
        match self {
            Self::Reply(reply) => reply.complete(Err(failed)),
            Self::Started(sender) => {
                let _ = sender.send(Err(StartError::NoConnection));
            }
            Self::Found(sender) => {
                let _ = sender.send(Err(ExitReason::NoConnection));
            }
        }
    }
}

/// The least number of awaited answers at which a sweep is worth its while.
const FIRST_SWEEP: usize = 1024;

impl QuicGateway {
    pub(crate) fn new(node: &Node, transport: Transport, inbound: Arc<Inbound>) -> Self {
        let state = State { sweep_at: FIRST_SWEEP, ..State::default() };
        Self { node: node.downgrade(), transport, inbound, state: Mutex::new(state) }
    }

    pub(crate) fn add_peer(&self, id: NodeId, peer: Arc<Peer>) {
        self.state.lock().peers.insert(id, peer);
    }

    /// The peer is lost, and with it every answer that it owed.
    pub(crate) fn remove_peer(&self, id: NodeId) {
        let mut lost = Vec::new();
        {
            let mut state = self.state.lock();
            state.peers.remove(&id);
            let numbers: Vec<u64> =
                state.awaited.iter().filter(|(_, (owner, _))| *owner == id).map(|(number, _)| *number).collect();
            for number in numbers {
                lost.extend(state.awaited.remove(&number));
            }
        }
        for (_, awaited) in lost {
            awaited.lose(CallFailed::NoConnection);
        }
    }

    /// Takes what `number` awaits, if it is `peer` that owes it.
    pub(crate) fn take_awaited(&self, peer: NodeId, number: u64) -> Option<Awaited> {
        let mut state = self.state.lock();
        let (owner, _) = state.awaited.get(&number)?;
        if *owner != peer {
            return None;
        }
        state.awaited.remove(&number).map(|(_, awaited)| awaited)
    }

    fn peer(&self, id: NodeId) -> Option<Arc<Peer>> {
        self.state.lock().peers.get(&id).cloned()
    }

    fn peer_named(&self, name: &str) -> Option<(NodeId, Arc<Peer>)> {
        let state = self.state.lock();
        state.peers.iter().find(|(_, peer)| &**peer.name() == name).map(|(id, peer)| (*id, peer.clone()))
    }

    /// Notes what is awaited from `peer`. `None`, with what is awaited told so, if it is not connected.
    fn await_from(&self, peer: NodeId, awaited: Awaited) -> Option<u64> {
        let mut state = self.state.lock();
        if !state.peers.contains_key(&peer) {
            drop(state);
            awaited.lose(CallFailed::NoConnection);
            return None;
        }
        if state.awaited.len() >= state.sweep_at {
            state.awaited.retain(|_, (_, awaited)| !awaited.is_abandoned());
            state.sweep_at = (state.awaited.len() * 2).max(FIRST_SWEEP);
        }
        state.numbers += 1;
        let number = state.numbers;
        state.awaited.insert(number, (peer, awaited));
        Some(number)
    }

    /// Sends `body`; what was awaited as its answer is told if it cannot be sent.
    fn ask(&self, id: NodeId, peer: &Peer, kind: Kind, number: u64, body: Result<Writer, process::NotEncoded>) {
        let failed = match body {
            Ok(body) => match peer.send(kind, body.body().into()) {
                Ok(()) => return,
                Err(SendError::Full) => CallFailed::Full,
                Err(SendError::TooLarge { limit }) => CallFailed::Malformed(too_large(limit)),
                Err(_) => CallFailed::NoConnection,
            },
            Err(error) => CallFailed::Malformed(error.to_string()),
        };
        if let Some(awaited) = self.take_awaited(id, number) {
            awaited.lose(failed);
        }
    }

    fn count_dead_letter(&self, why: DeadLetter) {
        if let Some(node) = self.node.upgrade() {
            node.count_dead_letter(why);
        }
    }
}

impl Carrier for QuicGateway {
    fn cast(&self, to: Pid, method: MethodId, arguments: &dyn erased_serde::Serialize) {
        let Some(peer) = self.peer(to.node()) else { return self.count_dead_letter(DeadLetter::NoConnection) };
        let sent = match Writer::to(to).method(method).erased(arguments) {
            Ok(body) => peer.send(CAST, body.body().into()),
            Err(error) => {
                tracing::warn!(%to, %error, "a message was not sent");
                return self.count_dead_letter(DeadLetter::Malformed);
            }
        };
        match sent {
            Ok(()) => {}
            Err(SendError::Full) => self.count_dead_letter(DeadLetter::Full),
            Err(SendError::TooLarge { limit }) => {
                tracing::warn!(%to, "a message was not sent: {}", too_large(limit));
                self.count_dead_letter(DeadLetter::Malformed);
            }
            Err(_) => self.count_dead_letter(DeadLetter::NoConnection),
        }
    }

    fn call(&self, to: Pid, method: MethodId, arguments: &dyn erased_serde::Serialize, reply: PendingReply) {
        let id = to.node();
        let Some(peer) = self.peer(id) else { return reply.complete(Err(CallFailed::NoConnection)) };
        let Some(number) = self.await_from(id, Awaited::Reply(reply)) else { return };
        self.ask(id, &peer, CALL, number, Writer::to(to).method(method).number(number).erased(arguments));
    }
}

impl Gateway for QuicGateway {
    fn signal(&self, to: Pid, signal: Signal) {
        let body = Writer::to(to).value(&signal);
        let sent = match (self.peer(to.node()), body) {
            (Some(peer), Ok(body)) => peer.send_system(SIGNAL, &body.body()).is_ok(),
            (Some(_), Err(error)) => {
                tracing::error!(%to, %error, "a signal was not sent");
                false
            }
            (None, _) => false,
        };
        if !sent && let Some(node) = self.node.upgrade() {
            node.answer_for_the_dead(to, signal, &ExitReason::NoConnection);
        }
    }

    fn start(&self, node: &str, request: StartFar) -> FarFuture<Result<Pid, StartError>> {
        let (sender, started) = oneshot::channel();
        if let Some((id, peer)) = self.peer_named(node)
            && let Some(number) = self.await_from(id, Awaited::Started(sender))
        {
            let body = Writer::numbered(number)
                .value(&(&*request.actor, request.link))
                .and_then(|body| body.erased(&*request.arguments));
            self.ask(id, &peer, START, number, body);
        }
        Box::pin(async { started.await.unwrap_or(Err(StartError::NoConnection)) })
    }

    fn whereis(&self, node: &str, name: &str) -> FarFuture<Result<Option<Pid>, ExitReason>> {
        let (sender, found) = oneshot::channel();
        if let Some((id, peer)) = self.peer_named(node)
            && let Some(number) = self.await_from(id, Awaited::Found(sender))
        {
            self.ask(id, &peer, WHEREIS, number, Writer::numbered(number).value(&name));
        }
        Box::pin(async { found.await.unwrap_or(Err(ExitReason::NoConnection)) })
    }

    fn nodes(&self) -> Vec<Arc<str>> {
        self.state.lock().peers.values().map(|peer| peer.name().clone()).collect()
    }

    fn name_of(&self, id: NodeId) -> Option<Arc<str>> {
        self.state.lock().peers.get(&id).map(|peer| peer.name().clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_carrier(self: Arc<Self>) -> Arc<dyn Carrier> {
        self
    }

    fn close(&self) -> FarFuture<()> {
        let transport = self.transport.clone();
        Box::pin(async move { transport.shutdown().await })
    }
}

fn too_large(limit: usize) -> String {
    format!("it is longer than the {limit} bytes that a frame may have; send it in parts")
}
