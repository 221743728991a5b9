//! The life of every connection and association of one node, decided. Nothing here does I/O or reads a clock.
//!
//! ```text
//!                on_connected         on_hello / on_welcome              on_drained
//!   target ──▶ dialling ──▶ greeting ───────────────────▶ up ──▶ leaving ──▶ …
//!      ▲                       │ hello missing, refused    │ silent, closed, replaced, goodbye
//!      └────── waiting ◀───────┴───────────────────────────┘
//! ```
//!
//! # One association out of several connections
//! Both ends may dial at once, and each then sees two connections in its own order. So that they never choose
//! differently, one of them decides alone: **the node whose name is smaller chooses**. It takes the first connection on
//! which it has agreed, says so in a welcome on that connection, and closes the others as duplicates. The other
//! node is up when it reads the welcome, and not before; it never chooses.
//!
//! # Epochs
//! Each hello proposes one more than the last epoch that its sender has had with the peer, and says which one it
//! holds now. The epoch is the higher proposal. By these two numbers the choosing node knows a peer that has lost
//! the association and dials anew (it proposes more than the epoch that is up, and holds nothing) from one that
//! has merely dialled twice.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::association::{Association, Due};
use super::close::{Close, CloseCode, DownCause, Ended};
use super::targets::Targets;
use crate::config::Limits;
use crate::wire::handshake::{Agreement, HIGHEST_VERSION, Heartbeat, Hello, LOWEST_VERSION, agree};

/// A connection of this node, for as long as the node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// What the driver must do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Try to reach `target` and tell `on_connected` or `on_dial_failed`.
    Dial {
        target: Arc<str>,
    },
    /// Send this hello on the control channel.
    Hello {
        on: ConnectionId,
        hello: Hello,
    },
    /// Send a welcome with this epoch on the control channel.
    Welcome {
        on: ConnectionId,
        epoch: u32,
    },
    /// The association is up: tell the upper half, then let frames in.
    Up {
        on: ConnectionId,
        hello: Hello,
        agreement: Agreement,
    },
    /// A target has been reached: its association is the one on this connection.
    Joined {
        target: Arc<str>,
        on: ConnectionId,
    },
    /// A target has been given up.
    NotJoined {
        target: Arc<str>,
        text: String,
    },
    Heartbeat {
        on: ConnectionId,
        beat: Heartbeat,
    },
    /// Send something outside of the connection to the peer's port, and tell `on_refused` if nobody listens there.
    Probe {
        on: ConnectionId,
    },
    /// Take no more frames from this node's processes, send what waits, end the streams, and tell `on_drained`.
    Drain {
        on: ConnectionId,
    },
    /// Send a goodbye on the control channel, end it too, and tell `on_flushed` when the peer has it all.
    Goodbye {
        on: ConnectionId,
        streams: u32,
    },
    /// Let no more frames in, then tell the upper half.
    Down {
        on: ConnectionId,
        cause: DownCause,
    },
    /// Close the connection. Nothing will be asked of it any more.
    Close {
        on: ConnectionId,
        close: Close,
    },
    /// All is closed after `on_shutdown`.
    Finished,
}

/// What a node says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Me {
    pub(crate) cluster: Arc<str>,
    pub(crate) node: Arc<str>,
    pub(crate) incarnation: u64,
}

/// All connections of one node.
#[derive(Debug)]
pub(crate) struct Core {
    me: Me,
    limits: Limits,
    connections: BTreeMap<ConnectionId, Connection>,
    /// The connection of each association that is up, by the peer's name.
    associations: BTreeMap<Arc<str>, ConnectionId>,
    /// The last epoch with each peer, also of those that are down.
    epochs: BTreeMap<Arc<str>, u32>,
    targets: Targets,
    shutting_down: bool,
}

#[derive(Debug)]
struct Connection {
    /// The name in the peer's certificate.
    peer: Arc<str>,
    /// The target that was dialled; `None` if the peer dialled.
    target: Option<Arc<str>>,
    state: State,
}

#[derive(Debug)]
enum State {
    Greeting { until: Instant, ours: Box<Hello>, theirs: Option<(Box<Hello>, Agreement)> },
    Up(Association),
}

impl Core {
    pub(crate) fn new(me: Me, limits: Limits) -> Core {
        Core {
            targets: Targets::new(&limits),
            me,
            limits,
            connections: BTreeMap::new(),
            associations: BTreeMap::new(),
            epochs: BTreeMap::new(),
            shutting_down: false,
        }
    }

    /// Somebody wants this node to be joined with whoever answers at `target`. Once this node shuts down, nobody is
    /// joined any more, and the driver tells so all who wait.
    pub(crate) fn on_join(&mut self, target: &Arc<str>, out: &mut Vec<Action>) {
        if self.shutting_down {
            return;
        }
        self.targets.on_join(target, &self.associations, out);
    }

    /// Nobody wants `target` any more. An association that is up stays up.
    pub(crate) fn on_leave(&mut self, target: &Arc<str>) {
        self.targets.forget(target);
    }

    pub(crate) fn on_dial_failed(&mut self, target: &Arc<str>, ended: Ended, now: Instant, out: &mut Vec<Action>) {
        self.targets.on_failed(target, ended, &self.associations, now, out);
    }

    /// TLS is done on a new connection, with a peer whose certificate is made out to `peer`. `target` is what was
    /// dialled, if this node dialled.
    pub(crate) fn on_connected(
        &mut self,
        id: ConnectionId,
        peer: Arc<str>,
        target: Option<Arc<str>>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if let Some(target) = &target {
            self.targets.on_connected(target, &peer);
        }
        let holding = self.association(&peer).map_or(0, |(_, up)| up.epoch);
        let ours = Hello {
            lowest_version: LOWEST_VERSION,
            highest_version: HIGHEST_VERSION,
            cluster: self.me.cluster.clone(),
            node: self.me.node.clone(),
            incarnation: self.me.incarnation,
            proposal: self.last_epoch(&peer).saturating_add(1),
            holding,
            frame_limit: u32::try_from(self.limits.frame_bytes).unwrap_or(u32::MAX),
        };
        let connection = Connection {
            peer,
            target,
            state: State::Greeting { until: now + self.limits.greeting, ours: Box::new(ours.clone()), theirs: None },
        };
        let before = self.connections.insert(id, connection);
        assert!(before.is_none(), "the driver gives each connection an id of its own");
        if self.shutting_down {
            let close = Close::new(CloseCode::ShuttingDown, "the node is shutting down");
            return self.end(id, close, now, out);
        }
        out.push(Action::Hello { on: id, hello: ours });
    }

    /// The peer's hello has come.
    pub(crate) fn on_hello(&mut self, id: ConnectionId, hello: Hello, now: Instant, out: &mut Vec<Action>) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let State::Greeting { ours, theirs, .. } = &mut connection.state else {
            let close = Close::new(CloseCode::BadFrame, "a second hello came");
            return self.end(id, close, now, out);
        };
        if theirs.is_some() {
            let close = Close::new(CloseCode::BadFrame, "a second hello came");
            return self.end(id, close, now, out);
        }
        let agreement = match hello.check_certificate(&connection.peer).and_then(|()| agree(ours, &hello)) {
            Ok(agreement) => agreement,
            Err(refusal) => {
                let close = Close::new(CloseCode::Refused, refusal);
                return self.end(id, close, now, out);
            }
        };
        if self.me.node < hello.node {
            self.choose(id, hello, agreement, now, out);
        } else {
            *theirs = Some((Box::new(hello), agreement));
        }
    }

    /// The peer, which chooses, has chosen this connection.
    pub(crate) fn on_welcome(&mut self, id: ConnectionId, epoch: u32, now: Instant, out: &mut Vec<Action>) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let agreed = match &mut connection.state {
            State::Greeting { theirs, .. } => theirs.take(),
            State::Up(_) => None,
        };
        let Some((hello, agreement)) = agreed.filter(|(_, agreed)| agreed.epoch == epoch) else {
            let text = format!("a welcome to epoch {epoch} came, on which nobody has agreed");
            return self.end(id, Close::new(CloseCode::BadFrame, text), now, out);
        };
        let current = self.association(&hello.node);
        let outlived = current.is_some_and(|(_, up)| hello.incarnation < up.incarnation);
        if outlived || agreement.epoch <= self.last_epoch(&hello.node) {
            let close = Close::new(CloseCode::Stale, "an association newer than this hello is known");
            return self.end(id, close, now, out);
        }
        if let Some((old, _)) = current {
            self.replace(old, hello.incarnation, now, out);
        }
        self.up(id, *hello, agreement, now, out);
    }

    /// Anything at all has come from the peer.
    pub(crate) fn on_heard(&mut self, id: ConnectionId, now: Instant) {
        if let Some(up) = self.up_mut(id) {
            up.on_heard(now);
        }
    }

    pub(crate) fn on_heartbeat(&mut self, id: ConnectionId, beat: Heartbeat, now: Instant) {
        if let Some(up) = self.up_mut(id) {
            up.on_heartbeat(beat, now);
        }
    }

    /// A probe was refused: nobody listens at the peer's port.
    pub(crate) fn on_refused(&mut self, id: ConnectionId, now: Instant, out: &mut Vec<Action>) {
        let limits = &self.limits;
        let Some(State::Up(up)) = self.connections.get_mut(&id).map(|connection| &mut connection.state) else {
            return;
        };
        if up.on_refused(limits, now) {
            self.end(id, Close::new(CloseCode::Gone, "nobody listens at the peer's address any more"), now, out);
        }
    }

    /// The peer says goodbye: it has ended `streams` streams, and what they hold still counts.
    pub(crate) fn on_goodbye(&mut self, id: ConnectionId, streams: u32, now: Instant, out: &mut Vec<Action>) {
        let until = now + self.limits.goodbye;
        let Some(up) = self.up_mut(id) else {
            let close = Close::new(CloseCode::BadFrame, "a goodbye came before the welcome");
            return self.end(id, close, now, out);
        };
        up.on_goodbye(streams, until);
        self.end_if_said(id, now, out);
    }

    /// A stream of the peer has been read to its end.
    pub(crate) fn on_stream_ended(&mut self, id: ConnectionId, now: Instant, out: &mut Vec<Action>) {
        if let Some(up) = self.up_mut(id) {
            up.on_stream_ended();
            self.end_if_said(id, now, out);
        }
    }

    /// Everything that waited has been written after `Action::Drain`, on `streams` streams.
    pub(crate) fn on_drained(&mut self, id: ConnectionId, streams: u32, out: &mut Vec<Action>) {
        if self.up_mut(id).is_some() {
            out.push(Action::Goodbye { on: id, streams });
        }
    }

    /// The peer's end of the connection has everything, the goodbye too.
    pub(crate) fn on_flushed(&mut self, id: ConnectionId, now: Instant, out: &mut Vec<Action>) {
        if let Some(up) = self.up_mut(id) {
            up.on_flushed();
            self.end_if_said(id, now, out);
        }
    }

    /// The driver has found a fault that this connection cannot go on with.
    pub(crate) fn on_fault(&mut self, id: ConnectionId, close: Close, now: Instant, out: &mut Vec<Action>) {
        self.end(id, close, now, out);
    }

    /// The connection is gone.
    pub(crate) fn on_closed(&mut self, id: ConnectionId, ended: Ended, now: Instant, out: &mut Vec<Action>) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        match connection.state {
            State::Greeting { .. } => {
                if let Some(target) = &connection.target {
                    self.targets.on_failed(target, ended, &self.associations, now, out);
                }
            }
            State::Up(up) => {
                let cause = match ended {
                    _ if up.is_leaving() => DownCause::ShutDown,
                    Ended::ByPeer(close) if close.code == CloseCode::Goodbye => DownCause::Goodbye,
                    Ended::ByPeer(close) if close.code == CloseCode::Silent => DownCause::Silent,
                    ended => DownCause::Closed(ended.into_text()),
                };
                self.down(id, &connection.peer, cause, now, out);
            }
        }
        self.finish_if_empty(out);
    }

    /// This node ends one association, and stops joining that peer.
    pub(crate) fn on_disconnect(&mut self, id: ConnectionId, now: Instant, out: &mut Vec<Action>) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        if matches!(connection.state, State::Up(_)) {
            self.targets.forget_peer(&connection.peer);
            self.leave(id, now, out);
        }
    }

    /// This node ends all its associations, then is `Action::Finished`.
    pub(crate) fn on_shutdown(&mut self, now: Instant, out: &mut Vec<Action>) {
        if mem::replace(&mut self.shutting_down, true) {
            return;
        }
        self.targets.forget_all();
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            if self.up_mut(id).is_some() {
                self.leave(id, now, out);
            } else {
                let close = Close::new(CloseCode::ShuttingDown, "the node is shutting down");
                self.end(id, close, now, out);
            }
        }
        self.finish_if_empty(out);
    }

    /// Nobody is left who could use this node: all connections end at once, without goodbye.
    pub(crate) fn on_abandoned(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.shutting_down = true;
        self.targets.forget_all();
        while let Some((id, _)) = self.connections.first_key_value() {
            let close = Close::new(CloseCode::ShuttingDown, "the node has ended");
            self.end(*id, close, now, out);
        }
        self.finish_if_empty(out);
    }

    /// Time has reached `now`; appends what is due.
    pub(crate) fn on_timeout(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.targets.on_timeout(now, out);
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            self.connection_timeout(id, now, out);
        }
    }

    /// When `on_timeout` is due next; `None` if nothing is.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let connections = self.connections.values().map(|connection| match &connection.state {
            State::Greeting { until, .. } => *until,
            State::Up(up) => up.deadline(&self.limits),
        });
        connections.chain(self.targets.deadline()).min()
    }

    /// How many accepted connections have no agreed hello yet.
    pub(crate) fn greeting_count(&self) -> usize {
        let greeting = |connection: &&Connection| {
            connection.target.is_none() && matches!(connection.state, State::Greeting { .. })
        };
        self.connections.values().filter(greeting).count()
    }

    // This node is the one that chooses, and `id` is a connection that it may choose.
    fn choose(&mut self, id: ConnectionId, theirs: Hello, agreement: Agreement, now: Instant, out: &mut Vec<Action>) {
        let close = match self.association(&theirs.node) {
            // A leaving association takes nothing any more, and a peer that comes back waits until it is gone.
            Some((_, up)) if up.is_leaving() => {
                Some(Close::new(CloseCode::Stale, "the association with this peer is just being ended"))
            }
            Some((_, up)) if theirs.incarnation < up.incarnation => Some(Close::new(
                CloseCode::Stale,
                format!("incarnation {} of this node is already known", up.incarnation),
            )),
            Some((old, up)) => {
                let same = theirs.incarnation == up.incarnation;
                let lost_it = theirs.proposal > up.epoch && theirs.holding != up.epoch;
                if same && !lost_it {
                    Some(Close::new(CloseCode::Duplicate, "this pair has another connection already"))
                } else {
                    self.replace(old, theirs.incarnation, now, out);
                    None
                }
            }
            None if self.associations.len() >= self.limits.peers => Some(Close::new(
                CloseCode::Busy,
                format!("this node has its {} peers: raise `Limits::peers`, or join another", self.limits.peers),
            )),
            None => None,
        };
        // An association began and ended between the two hellos: their agreement is behind it.
        let behind = agreement.epoch <= self.last_epoch(&theirs.node);
        let close =
            close.or_else(|| behind.then(|| Close::new(CloseCode::Stale, "the hello is older than the last epoch")));
        if let Some(close) = close {
            return self.end(id, close, now, out);
        }
        out.push(Action::Welcome { on: id, epoch: agreement.epoch });
        self.up(id, theirs, agreement, now, out);
    }

    fn up(&mut self, id: ConnectionId, hello: Hello, agreement: Agreement, now: Instant, out: &mut Vec<Action>) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let peer = connection.peer.clone();
        connection.state = State::Up(Association::new(hello.incarnation, agreement.epoch, now));
        self.associations.insert(peer.clone(), id);
        self.remember(&peer, agreement.epoch);
        out.push(Action::Up { on: id, hello, agreement });
        self.targets.on_up(&peer, id, out);
    }

    fn replace(&mut self, old: ConnectionId, incarnation: u64, now: Instant, out: &mut Vec<Action>) {
        let Some(connection) = self.connections.remove(&old) else {
            return;
        };
        let cause = DownCause::Replaced { incarnation };
        self.down(old, &connection.peer, cause, now, out);
        let close = Close::new(CloseCode::Replaced, "the peer has come back on a newer connection");
        out.push(Action::Close { on: old, close });
    }

    // The end of a connection that this node closes.
    fn end(&mut self, id: ConnectionId, close: Close, now: Instant, out: &mut Vec<Action>) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        match &connection.state {
            State::Greeting { .. } => {
                if let Some(target) = &connection.target {
                    let ended = Ended::ByPeer(close.clone());
                    self.targets.on_failed(target, ended, &self.associations, now, out);
                }
            }
            State::Up(up) => {
                let cause = match close.code {
                    _ if up.is_leaving() => DownCause::ShutDown,
                    CloseCode::Goodbye => DownCause::Goodbye,
                    CloseCode::Silent => DownCause::Silent,
                    CloseCode::ShuttingDown => DownCause::ShutDown,
                    _ => DownCause::Closed(close.text.clone()),
                };
                self.down(id, &connection.peer, cause, now, out);
            }
        }
        out.push(Action::Close { on: id, close });
        self.finish_if_empty(out);
    }

    fn down(&mut self, id: ConnectionId, peer: &Arc<str>, cause: DownCause, now: Instant, out: &mut Vec<Action>) {
        if self.associations.get(peer) == Some(&id) {
            self.associations.remove(peer);
        }
        out.push(Action::Down { on: id, cause });
        self.targets.on_down(peer, now);
    }

    fn leave(&mut self, id: ConnectionId, now: Instant, out: &mut Vec<Action>) {
        let until = now + self.limits.goodbye;
        if let Some(up) = self.up_mut(id)
            && up.leave(until)
        {
            out.push(Action::Drain { on: id });
        }
    }

    // Closes when the peer has said goodbye, all it sent is here, and all that this node sent is there.
    fn end_if_said(&mut self, id: ConnectionId, now: Instant, out: &mut Vec<Action>) {
        if self.up_mut(id).is_some_and(|up| up.is_said()) {
            self.end(id, Close::new(CloseCode::Goodbye, "goodbye"), now, out);
        }
    }

    fn finish_if_empty(&self, out: &mut Vec<Action>) {
        if self.shutting_down && self.connections.is_empty() {
            out.push(Action::Finished);
        }
    }

    fn connection_timeout(&mut self, id: ConnectionId, now: Instant, out: &mut Vec<Action>) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let close = match &mut connection.state {
            State::Greeting { until, .. } if *until <= now => {
                let time = self.limits.greeting;
                let text = format!("no agreed hello within {time:?}: is the peer a biotope node?");
                Close::new(CloseCode::HelloTimeout, text)
            }
            State::Greeting { .. } => return,
            State::Up(up) => match up.on_timeout(&self.limits, now) {
                Due::Nothing => return,
                Due::Probe => return out.push(Action::Probe { on: id }),
                Due::Beat(beat) => return out.push(Action::Heartbeat { on: id, beat }),
                Due::Silence(silence) => Close::new(CloseCode::Silent, format!("nothing was heard for {silence:?}")),
                Due::GoodbyeOver => Close::new(CloseCode::Goodbye, "the time for a goodbye is over"),
            },
        };
        self.end(id, close, now, out);
    }

    fn remember(&mut self, peer: &Arc<str>, epoch: u32) {
        self.epochs.insert(peer.clone(), epoch);
        if self.epochs.len() > self.limits.remembered_peers {
            let absent = self.epochs.keys().find(|name| !self.associations.contains_key(*name)).cloned();
            if let Some(absent) = absent {
                self.epochs.remove(&absent);
            }
        }
    }

    fn up_mut(&mut self, id: ConnectionId) -> Option<&mut Association> {
        match &mut self.connections.get_mut(&id)?.state {
            State::Up(up) => Some(up),
            State::Greeting { .. } => None,
        }
    }

    fn association(&self, peer: &Arc<str>) -> Option<(ConnectionId, &Association)> {
        let id = *self.associations.get(peer)?;
        match &self.connections.get(&id)?.state {
            State::Up(up) => Some((id, up)),
            State::Greeting { .. } => None,
        }
    }

    fn last_epoch(&self, peer: &Arc<str>) -> u32 {
        self.epochs.get(peer).copied().unwrap_or(0)
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "core_pair_tests.rs"]
mod pair_tests;
