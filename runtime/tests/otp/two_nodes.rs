//! Two nodes of one runtime that reach each other without a network.
//!
//! What one node sends to the other arrives in the order sent, as over a real association. Over the direct
//! wire it arrives at once; over the queued one a courier takes it some time later, so that what both nodes
//! send can cross on the way.

use std::any::Any;
use std::sync::Arc;

use biotope_runtime::{
    ActorRef, CallFailed, Carrier, DeadLetter, DecodeError, ExitReason, FarFuture, FarReply, Gateway, Incoming,
    MethodId, Node, NodeId, Outgoing, PendingReply, Pid, Process, Remote, Result, Signal, StartError, StartFar,
    WeakNode, node,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::puppets::{Awaiting, Order, Puppet};

/// How things get from one node to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// At once, in the sender's turn.
    Direct,
    /// Some time later, in the order sent.
    Queued,
}

pub(crate) const WIRES: [Wire; 2] = [Wire::Direct, Wire::Queued];

/// Two nodes of the runtime of the process that asks for them.
pub(crate) struct Pair {
    pub(crate) here: Node,
    pub(crate) there: Node,
}

impl Pair {
    pub(crate) async fn start(wire: Wire) -> Result<Self> {
        let runtime = node().runtime().clone();
        let start = |name| Node::builder(name).runtime(runtime.clone()).actors::<(Awaiting,)>().start();
        let pair = Self { here: start("here").await?, there: start("there").await? };
        let (to_there, to_here) = (Way::new(wire, &pair.there), Way::new(wire, &pair.here));
        install(&pair.here, &to_there, &to_here);
        install(&pair.there, &to_here, &to_there);
        Ok(pair)
    }

    /// Ends both nodes.
    pub(crate) async fn end(self) {
        self.here.shutdown().await;
        self.there.shutdown().await;
    }
}

/// The puppet `pid`, which lives on another node, seen from `node`. It can be sent notes only.
pub(crate) fn far(node: &Node, pid: impl Into<Pid>) -> Puppet {
    match ActorRef::<Awaiting>::at(node, pid.into()) {
        Some(reference) => Puppet::of(reference.address().clone()),
        None => panic!("it does not live on another node"),
    }
}

fn install(node: &Node, out: &Arc<Way>, back: &Arc<Way>) {
    let door = Door { node: node.downgrade(), out: out.clone(), back: back.clone() };
    assert!(node.install_gateway(Arc::new(door)), "a node has one door");
}

/// The way to one node.
struct Way {
    to: WeakNode,
    name: Arc<str>,
    id: NodeId,
    queue: Option<UnboundedSender<Parcel>>,
}

/// What goes from one node to the other.
enum Parcel {
    Signal(Pid, Signal),
    Message { to: Pid, method: MethodId, arguments: Vec<u8>, reply: Option<(PendingReply, Arc<Way>)> },
    Reply(PendingReply, std::result::Result<Vec<u8>, CallFailed>),
}

impl Way {
    fn new(wire: Wire, to: &Node) -> Arc<Self> {
        let queue = match wire {
            Wire::Direct => None,
            Wire::Queued => {
                let (sender, parcels) = unbounded_channel();
                let weak = to.downgrade();
                to.spawn_process(async move |_: Process<()>| courier(parcels, weak).await);
                Some(sender)
            }
        };
        Arc::new(Self { to: to.downgrade(), name: to.name().into(), id: to.id(), queue })
    }

    fn send(&self, parcel: Parcel) {
        match &self.queue {
            // If the courier is gone, so is the node that it belongs to.
            Some(queue) => drop(queue.send(parcel)),
            None => parcel.arrive(&self.to),
        }
    }
}

async fn courier(mut parcels: UnboundedReceiver<Parcel>, to: WeakNode) -> Result<()> {
    while let Some(parcel) = parcels.recv().await {
        parcel.arrive(&to);
    }
    Ok(())
}

impl Parcel {
    fn arrive(self, at: &WeakNode) {
        let Some(node) = at.upgrade() else { return };
        match self {
            Self::Signal(to, signal) => node.signal(to, signal),
            Self::Message { to, method, arguments, reply } => {
                let reply = reply.map(|(pending, back)| {
                    let answer: FarReply = Box::new(move |answer| {
                        let answer = answer.map(encoded);
                        back.send(Self::Reply(pending, answer));
                    });
                    answer
                });
                let mut decoder = rmp_serde::Deserializer::new(&arguments[..]);
                let mut decoder = <dyn erased_serde::Deserializer<'_>>::erase(&mut decoder);
                node.accept_message(to, Incoming::new(method, &mut decoder, reply));
            }
            Self::Reply(pending, Err(failed)) => pending.complete(Err(failed)),
            Self::Reply(pending, Ok(bytes)) => {
                let mut decoder = rmp_serde::Deserializer::new(&bytes[..]);
                let mut decoder = <dyn erased_serde::Deserializer<'_>>::erase(&mut decoder);
                pending.complete(Ok(&mut decoder));
            }
        }
    }
}

fn encoded(value: &dyn erased_serde::Serialize) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("what tests send can be encoded")
}

/// A node's door to the other one.
struct Door {
    node: WeakNode,
    out: Arc<Way>,
    back: Arc<Way>,
}

impl Carrier for Door {
    fn cast(&self, to: Pid, method: MethodId, arguments: &dyn erased_serde::Serialize) {
        if to.node() == self.out.id {
            self.out.send(Parcel::Message { to, method, arguments: encoded(arguments), reply: None });
        } else if let Some(node) = self.node.upgrade() {
            node.count_dead_letter(DeadLetter::NoConnection);
        }
    }

    fn call(&self, to: Pid, method: MethodId, arguments: &dyn erased_serde::Serialize, reply: PendingReply) {
        if to.node() == self.out.id {
            let reply = Some((reply, self.back.clone()));
            self.out.send(Parcel::Message { to, method, arguments: encoded(arguments), reply });
        } else {
            reply.complete(Err(CallFailed::NoConnection));
        }
    }
}

impl Gateway for Door {
    fn signal(&self, to: Pid, signal: Signal) {
        if to.node() == self.out.id {
            self.out.send(Parcel::Signal(to, signal));
        } else if let Some(node) = self.node.upgrade() {
            node.answer_for_the_dead(to, signal, &ExitReason::NoConnection);
        }
    }

    fn start(&self, _node: &str, _request: StartFar) -> FarFuture<std::result::Result<Pid, StartError>> {
        Box::pin(std::future::ready(Err(StartError::NoConnection)))
    }

    fn whereis(&self, node: &str, name: &str) -> FarFuture<std::result::Result<Option<Pid>, ExitReason>> {
        let found = match self.out.to.upgrade() {
            Some(other) if *self.out.name == *node => Ok(other.whereis(name)),
            _ => Err(ExitReason::NoConnection),
        };
        Box::pin(std::future::ready(found))
    }

    fn nodes(&self) -> Vec<Arc<str>> {
        vec![self.out.name.clone()]
    }

    fn name_of(&self, id: NodeId) -> Option<Arc<str>> {
        (id == self.out.id).then(|| self.out.name.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_carrier(self: Arc<Self>) -> Arc<dyn Carrier> {
        self
    }

    fn close(&self) -> FarFuture<()> {
        Box::pin(std::future::ready(()))
    }
}

const NOTE: MethodId = MethodId::of("note", 1);

/// Of what a puppet is told, a note can travel.
impl Remote for Awaiting {
    fn encode(order: Order, out: Outgoing<'_>) {
        match order {
            Order::Note(n) => out.cast(NOTE, &n),
            _ => unreachable!("from another node, a puppet is sent notes only"),
        }
    }

    fn decode(incoming: Incoming<'_, '_>) -> std::result::Result<Order, DecodeError> {
        match incoming.method() {
            NOTE => incoming.cast().map(Order::Note),
            _ => Err(incoming.unknown()),
        }
    }
}
