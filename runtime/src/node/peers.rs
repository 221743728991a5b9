//! Other nodes: signals and messages to them and from them. The layer that connects nodes comes in here, and what it brings
//! is checked here.

use std::sync::Arc;

use super::{Node, SpawnOptions};
use crate::CallFailed;
use crate::ambient;
use crate::dead_letters::DeadLetter;
use crate::exit::ExitReason;
use crate::gateway::{Carrier, DecodeError, FarFuture, Gateway, Incoming, MethodId, PendingReply};
use crate::mailbox::Notice;
use crate::pid::{NodeId, Pid};
use crate::registry::Delivered;
use crate::signal::{Info, MonitorRef, NodeEvent, Signal};
use crate::spec::StartError;

impl Node {
    /// The names of the nodes that are connected, without this one.
    pub fn nodes(&self) -> Vec<Arc<str>> {
        self.0.gateway.get().map(|gateway| gateway.nodes()).unwrap_or_default()
    }

    /// The name of the node that `id` belongs to: this one, or one that is or was connected.
    pub fn name_of(&self, id: NodeId) -> Option<Arc<str>> {
        if id == self.0.id {
            return Some(self.0.name.clone());
        }
        self.0.gateway.get().and_then(|gateway| gateway.name_of(id))
    }

    /// From now on, `process` gets a [`NodeEvent`] for each node that comes or goes.
    pub fn monitor_nodes(&self, process: impl Into<Pid>) {
        self.0.node_monitors.lock().insert(process.into());
    }
}

/// For the layer that connects nodes. What it calls with is data from a peer and is checked here.
impl Node {
    /// Installs the door to other nodes. Returns whether there was none yet.
    pub fn install_gateway(&self, gateway: Arc<dyn Gateway>) -> bool {
        self.0.gateway.set(gateway).is_ok()
    }

    /// The door to other nodes, if one is installed.
    pub fn gateway(&self) -> Option<&Arc<dyn Gateway>> {
        self.0.gateway.get()
    }

    /// Counts a message that the layer could not deliver.
    pub fn count_dead_letter(&self, why: DeadLetter) {
        self.0.dead_letters.count(why, None);
    }

    /// Runs `f`, in which references are read for this node.
    pub fn decoding<T>(&self, f: impl FnOnce() -> T) -> T {
        ambient::decoding(self, f)
    }

    /// Delivers a message that came from another node. What cannot be delivered is counted, and its
    /// caller told.
    pub fn accept_message(&self, to: Pid, incoming: Incoming<'_, '_>) {
        let Some(process) = self.process(to) else {
            incoming.no_proc();
            return self.count_dead_letter(DeadLetter::NoProc);
        };
        let delivered = ambient::decoding(self, || self.0.registry.deliver(process, incoming));
        let dead = match delivered {
            Ok(Delivered::Queued) => return,
            Ok(Delivered::Full) => DeadLetter::Full,
            Ok(Delivered::NoProc) => DeadLetter::NoProc,
            Err(error) => {
                tracing::warn!(node = self.name(), %to, %error, "a message from another node was not delivered");
                match error {
                    DecodeError::UnknownMethod(_) => DeadLetter::UnknownMethod,
                    DecodeError::NotRegistered => DeadLetter::NotRegistered,
                    DecodeError::Malformed(_) | DecodeError::NoReplyPath => DeadLetter::Malformed,
                }
            }
        };
        self.count_dead_letter(dead);
    }

    /// Starts a registered actor for another node.
    ///
    /// # Errors
    /// [`StartError`], at once or from the future.
    pub fn accept_start(
        &self,
        actor: &str,
        arguments: &mut dyn erased_serde::Deserializer<'_>,
        link: Option<Pid>,
    ) -> Result<FarFuture<Result<Pid, StartError>>, StartError> {
        let options = SpawnOptions { link, ..SpawnOptions::default() };
        ambient::decoding(self, || self.0.registry.start(self, actor, arguments, options))
    }

    /// Sends a signal to a process, here or on another node.
    pub fn signal(&self, to: Pid, signal: Signal) {
        if to.node() != self.id() {
            match self.0.gateway.get() {
                Some(gateway) => gateway.signal(to, signal),
                None => self.answer_for_the_dead(to, signal, &ExitReason::NoConnection),
            }
            return;
        }
        let refused = match self.process(to) {
            Some(process) => process.push_notice(Notice::Signal(signal)).err(),
            None => Some(Notice::Signal(signal)),
        };
        if let Some(Notice::Signal(signal)) = refused {
            self.answer_for_the_dead(to, signal, &ExitReason::NoProc);
        }
    }

    /// Answers `signal` in the place of `to`, which cannot: whoever links or monitors must be told.
    pub fn answer_for_the_dead(&self, to: Pid, signal: Signal, reason: &ExitReason) {
        match signal {
            Signal::Link { from } => {
                self.signal(from, Signal::Exit { from: to, reason: reason.clone(), link: true });
            }
            Signal::Monitor { from, reference } => {
                self.signal(from, Signal::Down { reference, from: to, reason: reason.clone() });
            }
            Signal::Unlink { from, id } => self.signal(from, Signal::Unlinked { from: to, id }),
            _ => {}
        }
    }

    /// Tells who asked for it that a node came.
    pub fn node_up(&self, name: &Arc<str>) {
        self.tell_node_monitors(&NodeEvent::Up(name.clone()));
    }

    /// Ends what ties processes of this node to those of `id`: links and monitors tell `NoConnection`, and these leave all
    /// groups.
    /// Then tells who asked for it that the node went.
    pub fn node_down(&self, id: NodeId, name: &Arc<str>) {
        for process in self.0.table.all() {
            let mut ends = Vec::new();
            if let Some(extra) = process.extra_if_any() {
                let mut control = extra.control.lock();
                control.forget_node(id);
                let reason = ExitReason::NoConnection;
                for (&from, ()) in control.links.iter().filter(|(peer, ())| peer.node() == id) {
                    ends.push(Signal::Exit { from, reason: reason.clone(), link: true });
                }
                for (&number, monitor) in control.monitors.iter() {
                    let Some(from) = monitor.pid.filter(|target| target.node() == id) else { continue };
                    let reference = MonitorRef { owner: process.pid(), number };
                    ends.push(Signal::Down { reference, from, reason: reason.clone() });
                }
            }
            for signal in ends {
                // A process that has just ended needs no telling.
                let _ = process.push_notice(Notice::Signal(signal));
            }
        }
        for scope in self.group_scopes() {
            self.groups(scope).far_lost(id);
        }
        self.tell_node_monitors(&NodeEvent::Down(name.clone()));
    }

    fn tell_node_monitors(&self, event: &NodeEvent) {
        let monitors = self.0.node_monitors.lock().clone();
        for pid in monitors {
            match self.process(pid) {
                Some(process) => {
                    let _ = process.push_notice(Notice::Info(Info::Node(event.clone())));
                }
                None => {
                    self.0.node_monitors.lock().remove(&pid);
                }
            }
        }
    }
}

impl Node {
    /// What takes messages to other nodes; without a gateway, nothing does.
    pub(crate) fn carrier(&self) -> Arc<dyn Carrier> {
        match self.0.gateway.get() {
            Some(gateway) => gateway.clone().as_carrier(),
            None => Arc::new(Nowhere { node: self.clone(), why: DeadLetter::NoConnection }),
        }
    }

    /// What takes messages to a process that has ended.
    pub(crate) fn dead_carrier(&self) -> Arc<dyn Carrier> {
        Arc::new(Nowhere { node: self.clone(), why: DeadLetter::NoProc })
    }
}

/// A carrier that delivers nothing and says why.
struct Nowhere {
    node: Node,
    why: DeadLetter,
}

impl Carrier for Nowhere {
    fn cast(&self, _to: Pid, _method: MethodId, _arguments: &dyn erased_serde::Serialize) {
        self.node.count_dead_letter(self.why);
    }

    fn call(&self, _to: Pid, _method: MethodId, _arguments: &dyn erased_serde::Serialize, reply: PendingReply) {
        reply.complete(Err(match self.why {
            DeadLetter::NoConnection => CallFailed::NoConnection,
            _ => CallFailed::NoProc,
        }));
    }
}
