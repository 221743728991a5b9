//! Does what the core decides: sockets, TLS, streams. This file and its three parts are the only ones that import quinn.
//!
//! - [`mod@endpoint`]: the socket, and what QUIC is told about it.
//! - [`inward`]: what comes in, one task per stream of the peer.
//! - [`outward`]: what goes out, one task per channel.
//!
//! Everything here runs on the network thread, so the hub is shared by `Rc` and borrowed for the length of a call.
//! No borrow is held across an await or across a call of the upper half.
//!
//! # The tasks
//! - One per node for accepting, one for its commands, one for its deadline.
//! - Per connection: `serve`, which waits for its end; the reader and the writer of the control stream; while the
//!   association is up, one that accepts streams, one reader per accepted stream, the writer of signals.
//!
//! # The order of the end
//! `serve` sees the end of a connection first. It waits for the readers, which read what has arrived and then see the
//! end too, and only then tells the core. So `Down` comes after every frame that had arrived.

mod endpoint;
mod inward;
mod outward;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use quinn::VarInt;
use rustls::pki_types::CertificateDer;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, spawn_local};
use tokio::time::{sleep_until, timeout};

use self::endpoint::{ended, endpoint, refuses};
use self::outward::write_control;
use super::close::{Close, CloseCode, Ended};
use super::core::{Action, ConnectionId, Core, Me};
use super::counters::count;
use super::lane::{Lane, Room};
use super::peer::Peer;
use super::transport::{Answer, Command, Event, JoinError, ListenError, Shared};
use crate::config::Limits;
use crate::identity::Identity;
use crate::wire::frame::Kind;
use crate::wire::handshake::{Agreement, Hello};

/// What may wait in the control channel. Only a peer that reads nothing for minutes could fill it.
const CONTROL_QUEUE_BYTES: usize = 64 << 10;

/// How long the closes at the end of a node may take to be acknowledged.
const LAST_CLOSES: Duration = Duration::from_secs(1);

/// All that a driver starts with.
pub(super) struct Begin {
    pub(super) me: Me,
    pub(super) identity: Identity,
    pub(super) listen: SocketAddr,
    pub(super) limits: Limits,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) events: Events,
}

pub(super) type Events = Box<dyn Fn(Event) + Send + Sync>;

/// Binds the socket and starts the driver; must be called on the network thread. Answers the address.
pub(super) fn begin(begin: Begin) -> Result<SocketAddr, ListenError> {
    let (endpoint, client) = endpoint(&begin)?;
    let addr = endpoint.local_addr().map_err(|source| ListenError::Bind { addr: begin.listen, source })?;
    let hub = Rc::new(Hub {
        core: RefCell::new(Core::new(begin.me, begin.limits.clone())),
        entries: RefCell::default(),
        joinings: RefCell::default(),
        shutdowns: RefCell::default(),
        roots: RefCell::default(),
        next: Cell::new(0),
        shutting_down: Cell::new(false),
        finished: Cell::new(false),
        handshakes: Cell::new(0),
        deadline_moved: Notify::new(),
        identity: begin.identity,
        limits: begin.limits,
        shared: begin.shared,
        events: begin.events,
        endpoint,
        client,
    });
    for task in [spawn_local(hub.clone().accept()).abort_handle(), spawn_local(hub.clone().keep_time()).abort_handle()]
    {
        hub.roots.borrow_mut().push(task);
    }
    spawn_local(hub.obey(begin.commands));
    Ok(addr)
}

/// One node on the network thread.
struct Hub {
    core: RefCell<Core>,
    entries: RefCell<BTreeMap<ConnectionId, Entry>>,
    /// Who waits for a target to be joined.
    joinings: RefCell<BTreeMap<Arc<str>, Vec<Answer>>>,
    /// Who waits for the shutdown.
    shutdowns: RefCell<Vec<oneshot::Sender<()>>>,
    /// The tasks that end with the node and not with a connection.
    roots: RefCell<Vec<AbortHandle>>,
    next: Cell<u64>,
    shutting_down: Cell<bool>,
    finished: Cell<bool>,
    /// Accepted connections that are still in their TLS handshake.
    handshakes: Cell<usize>,
    deadline_moved: Notify,
    identity: Identity,
    limits: Limits,
    shared: Arc<Shared>,
    events: Events,
    endpoint: quinn::Endpoint,
    client: quinn::ClientConfig,
}

/// One connection.
struct Entry {
    connection: quinn::Connection,
    control: Rc<Lane>,
    peer: Option<Arc<Peer>>,
    /// Tasks that read. They end by themselves when the connection does.
    readers: Vec<JoinHandle<()>>,
    /// The writer of signals, while the association is up.
    writer: Option<JoinHandle<Option<quinn::SendStream>>>,
    control_writer: Option<JoinHandle<Option<quinn::SendStream>>>,
    /// All tasks, to end them with the association.
    tasks: Vec<AbortHandle>,
    /// Whether the peer has a stream for signals.
    has_signals: bool,
    unknown_streams: usize,
}

impl Hub {
    // ---- the core's events and actions

    fn feed(self: &Rc<Self>, event: impl FnOnce(&mut Core, Instant, &mut Vec<Action>)) {
        let mut out = Vec::new();
        event(&mut self.core.borrow_mut(), Instant::now(), &mut out);
        // Counted first: whoever is told of an end finds its cause among the counters.
        for action in &out {
            if let Action::Close { close, .. } = action {
                self.shared.tally.count_close(close.code);
            }
        }
        for action in out {
            self.act(action);
        }
        self.deadline_moved.notify_one();
    }

    fn fault(self: &Rc<Self>, id: ConnectionId, code: CloseCode, text: impl std::fmt::Display) {
        let close = Close::new(code, text);
        self.feed(|core, now, out| core.on_fault(id, close, now, out));
    }

    fn act(self: &Rc<Self>, action: Action) {
        match action {
            Action::Dial { target } => {
                count(&self.shared.tally.dials);
                let task = spawn_local(self.clone().dial(target)).abort_handle();
                let mut roots = self.roots.borrow_mut();
                roots.retain(|task| !task.is_finished());
                roots.push(task);
            }
            Action::Hello { on, hello } => self.send_control(on, 0, Kind::HELLO, &hello.encode()),
            Action::Welcome { on, epoch } => {
                self.send_control(on, epoch, Kind::WELCOME, &epoch.to_be_bytes());
            }
            Action::Up { on, hello, agreement } => self.up(on, &hello, agreement),
            Action::Joined { target, on } => {
                let entries = self.entries.borrow();
                let Some(peer) = entries.get(&on).and_then(|entry| entry.peer.as_ref()) else {
                    return;
                };
                for answer in self.joinings.borrow_mut().remove(&target).unwrap_or_default() {
                    // Whoever asked may have stopped waiting.
                    let _ = answer.send(Ok(peer.clone()));
                }
            }
            Action::NotJoined { target, text } => {
                tracing::warn!(%target, text, "not joined");
                for answer in self.joinings.borrow_mut().remove(&target).unwrap_or_default() {
                    let _ = answer.send(Err(JoinError::Refused { target: target.to_string(), text: text.clone() }));
                }
            }
            Action::Heartbeat { on, beat } => {
                let epoch = self.peer(on).map_or(0, |peer| peer.epoch);
                self.send_control(on, epoch, Kind::HEARTBEAT, &beat.encode());
            }
            Action::Probe { on } => {
                if let Some(peer) = self.peer(on) {
                    spawn_local(self.clone().probe(on, peer.addr));
                }
            }
            Action::Drain { on } => self.drain(on),
            Action::Goodbye { on, streams } => {
                let epoch = self.peer(on).map_or(0, |peer| peer.epoch);
                self.send_control(on, epoch, Kind::GOODBYE, &streams.to_be_bytes());
                if let Some(entry) = self.entries.borrow().get(&on) {
                    entry.control.drain();
                }
            }
            Action::Down { on, cause } => {
                let Some(peer) = self.peer(on) else { return };
                peer.end();
                let mut directory = self.shared.directory.write();
                if directory.get(&peer.name).is_some_and(|up| up.connection == on) {
                    directory.remove(&peer.name);
                }
                drop(directory);
                count(&self.shared.tally.downs);
                tracing::info!(peer = %peer.name, epoch = peer.epoch, %cause, "down");
                self.tell(Event::Down { peer, cause });
                // Nothing reads or writes for this association any more.
                self.forget(on, None);
            }
            Action::Close { on, close } => {
                tracing::debug!(connection = on.0, ?close, "closing");
                self.forget(on, Some(&close));
            }
            Action::Finished => {
                spawn_local(self.clone().finish());
            }
        }
    }

    fn up(self: &Rc<Self>, on: ConnectionId, hello: &Hello, agreement: Agreement) {
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries.get_mut(&on) else {
            return;
        };
        let peer = Arc::new(Peer {
            name: hello.node.clone(),
            incarnation: hello.incarnation,
            epoch: agreement.epoch,
            addr: entry.connection.remote_address(),
            connection: on,
            frame_limit: hello.frame_limit as usize,
            lane: Lane::with_limit(self.limits.queue_bytes),
            up: AtomicBool::new(true),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            tally: self.shared.tally.clone(),
        });
        entry.peer = Some(peer.clone());
        let writer = spawn_local(self.clone().write_signals(entry.connection.clone(), peer.clone()));
        entry.tasks.push(writer.abort_handle());
        entry.writer = Some(writer);
        let acceptor = spawn_local(self.clone().accept_streams(entry.connection.clone(), peer.clone()));
        entry.tasks.push(acceptor.abort_handle());
        entry.readers.push(acceptor);
        drop(entries);

        count(&self.shared.tally.ups);
        tracing::info!(peer = %peer.name, epoch = peer.epoch, addr = %peer.addr, "up");
        let mut directory = self.shared.directory.write();
        directory.insert(peer.name.clone(), peer.clone());
        drop(directory);
        self.tell(Event::Up { peer });
    }

    fn drain(self: &Rc<Self>, on: ConnectionId) {
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries.get_mut(&on) else {
            return;
        };
        let Some(peer) = &entry.peer else { return };
        peer.lane.drain();
        let writer = entry.writer.take();
        let control = entry.control_writer.take();
        let hub = self.clone();
        let task = spawn_local(async move {
            let mut streams = Vec::new();
            if let Some(writer) = writer {
                streams.extend(writer.await.ok().flatten());
            }
            let used = streams.len() as u32;
            hub.feed(|core, _, out| core.on_drained(on, used, out));
            if let Some(control) = control {
                streams.extend(control.await.ok().flatten());
            }
            for stream in &mut streams {
                // An error says that the connection is gone or the peer did not want the rest; both are an end.
                let _ = stream.stopped().await;
            }
            hub.feed(|core, now, out| core.on_flushed(on, now, out));
        });
        entry.tasks.push(task.abort_handle());
    }

    // Ends the tasks of a connection, and with a close the connection too.
    fn forget(&self, on: ConnectionId, close: Option<&Close>) {
        let entry = match close {
            Some(_) => self.entries.borrow_mut().remove(&on),
            None => None,
        };
        if let (Some(entry), Some(close)) = (&entry, close) {
            let code = VarInt::from_u32(close.code.number());
            entry.connection.close(code, close.text.as_bytes());
        }
        let entries = self.entries.borrow();
        if let Some(entry) = entry.as_ref().or_else(|| entries.get(&on)) {
            for task in &entry.tasks {
                task.abort();
            }
        }
    }

    fn tell(&self, event: Event) {
        // The upper half's fault must not end the reader of a peer, or the thread of all nodes.
        if catch_unwind(AssertUnwindSafe(|| (self.events)(event))).is_err() {
            count(&self.shared.tally.panics);
            tracing::error!("the upper half panicked while it was told of an event");
        }
    }

    fn send_control(self: &Rc<Self>, on: ConnectionId, epoch: u32, kind: Kind, body: &[u8]) {
        if let Some(entry) = self.entries.borrow().get(&on) {
            // The control lane only ever fills for a peer that reads nothing, and then silence ends it.
            let _ = entry.control.push_copy(epoch, kind, body, Room::Limited);
        }
    }

    fn peer(&self, on: ConnectionId) -> Option<Arc<Peer>> {
        self.entries.borrow().get(&on)?.peer.clone()
    }

    // ---- the tasks of the node

    async fn obey(self: Rc<Self>, mut commands: mpsc::UnboundedReceiver<Command>) {
        while let Some(command) = commands.recv().await {
            match command {
                // Without its answer a joining knows that the node has left.
                Command::Join { .. } if self.shutting_down.get() => {}
                Command::Join { target, answer } => {
                    let mut joinings = self.joinings.borrow_mut();
                    joinings.entry(target.clone()).or_default().push(answer);
                    drop(joinings);
                    self.feed(|core, _, out| core.on_join(&target, out));
                }
                Command::Leave { target } => {
                    self.joinings.borrow_mut().remove(&target);
                    self.feed(|core, _, _| core.on_leave(&target));
                }
                Command::Disconnect { connection } => {
                    self.feed(|core, now, out| core.on_disconnect(connection, now, out));
                }
                Command::Shutdown { done } if self.finished.get() => {
                    // Whoever asked may have stopped waiting.
                    let _ = done.send(());
                }
                Command::Shutdown { done } => {
                    self.shutdowns.borrow_mut().push(done);
                    self.shutting_down.set(true);
                    self.joinings.borrow_mut().clear();
                    self.feed(|core, now, out| core.on_shutdown(now, out));
                }
            }
        }
        self.shutting_down.set(true);
        self.feed(|core, now, out| core.on_abandoned(now, out));
    }

    async fn keep_time(self: Rc<Self>) {
        loop {
            let deadline = self.core.borrow().deadline();
            let due = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.deadline_moved.notified() => {}
                () = due => self.feed(|core, now, out| core.on_timeout(now, out)),
            }
        }
    }

    async fn finish(self: Rc<Self>) {
        // After a shutdown nobody dials or accepts any more.
        for task in self.roots.borrow_mut().drain(..) {
            task.abort();
        }
        self.endpoint.close(VarInt::from_u32(CloseCode::ShuttingDown.number()), b"the node has ended");
        // Past this time the peers learn of the end by silence.
        let _ = timeout(LAST_CLOSES, self.endpoint.wait_idle()).await;
        self.finished.set(true);
        for done in self.shutdowns.borrow_mut().drain(..) {
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
    }

    async fn accept(self: Rc<Self>) {
        while let Some(incoming) = self.endpoint.accept().await {
            let waiting = self.handshakes.get() + self.core.borrow().greeting_count();
            let limit = self.limits.greeting_connections;
            if waiting >= limit {
                count(&self.shared.tally.busy);
                tracing::warn!(from = %incoming.remote_address(), "too many connections without hello");
                incoming.refuse();
            } else if waiting > limit / 2 && incoming.may_retry() {
                // A flood must at least come from addresses that its sender can be reached at.
                let _ = incoming.retry();
            } else {
                self.handshakes.set(self.handshakes.get() + 1);
                spawn_local(self.clone().admit(incoming));
            }
        }
    }

    async fn admit(self: Rc<Self>, incoming: quinn::Incoming) {
        let from = incoming.remote_address();
        let admitted = match incoming.accept() {
            Ok(connecting) => timeout(self.limits.greeting, connecting).await,
            Err(error) => Ok(Err(error)),
        };
        self.handshakes.set(self.handshakes.get() - 1);
        match admitted {
            Ok(Ok(connection)) => self.serve(connection, None).await,
            Ok(Err(error)) => {
                let ended = ended(error);
                let counter = match ended {
                    Ended::Distrusted(_) => &self.shared.tally.strangers,
                    _ => &self.shared.tally.handshakes_failed,
                };
                count(counter);
                tracing::warn!(%from, why = ended.into_text(), "not admitted");
            }
            Err(_) => {
                count(&self.shared.tally.handshakes_failed);
                tracing::warn!(%from, "not admitted: the TLS handshake took too long");
            }
        }
    }

    async fn dial(self: Rc<Self>, target: Arc<str>) {
        let reached = timeout(self.limits.dial, self.reach(&target)).await;
        let ended = match reached {
            Ok(Ok(connection)) => return self.serve(connection, Some(target)).await,
            Ok(Err(ended)) => ended,
            Err(_) => Ended::Lost(format!("nobody answered within {:?}", self.limits.dial)),
        };
        count(&self.shared.tally.dials_failed);
        self.feed(|core, now, out| core.on_dial_failed(&target, ended, now, out));
    }

    async fn reach(&self, target: &str) -> Result<quinn::Connection, Ended> {
        let lost = |error: &dyn std::fmt::Display| Ended::Lost(error.to_string());
        let addresses = tokio::net::lookup_host(target).await.map_err(|error| lost(&error))?;
        let mut last = Ended::Lost(format!("{target} has no address"));
        for address in addresses {
            let connecting = self.endpoint.connect_with(self.client.clone(), address, &self.identity.server_name());
            match connecting {
                Err(error) => last = lost(&error),
                Ok(connecting) => match connecting.await {
                    Ok(connection) => return Ok(connection),
                    Err(error) => last = ended(error),
                },
            }
        }
        Err(last)
    }

    // ---- the tasks of a connection

    async fn probe(self: Rc<Self>, id: ConnectionId, addr: SocketAddr) {
        if refuses(addr).await {
            self.feed(|core, now, out| core.on_refused(id, now, out));
        }
    }

    async fn serve(self: Rc<Self>, connection: quinn::Connection, target: Option<Arc<str>>) {
        let chain = connection
            .peer_identity()
            .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
            .unwrap_or_default();
        let name = match self.identity.peer_node(&chain) {
            Ok(name) => name,
            Err(error) => {
                let text = format!("the certificate is not taken: {error}");
                count(&self.shared.tally.refused);
                tracing::warn!(from = %connection.remote_address(), text, "refused");
                let code = VarInt::from_u32(CloseCode::Refused.number());
                connection.close(code, text.as_bytes());
                if let Some(target) = target {
                    let ended = Ended::Distrusted(text);
                    self.feed(|core, now, out| core.on_dial_failed(&target, ended, now, out));
                }
                return;
            }
        };

        let id = ConnectionId(self.next.get());
        self.next.set(id.0 + 1);
        let control = Rc::new(Lane::with_limit(CONTROL_QUEUE_BYTES));
        let writer = spawn_local(write_control(connection.clone(), control.clone()));
        let reader = spawn_local(self.clone().read_control(id, connection.clone()));
        let entry = Entry {
            connection: connection.clone(),
            control,
            peer: None,
            tasks: vec![writer.abort_handle(), reader.abort_handle()],
            readers: vec![reader],
            writer: None,
            control_writer: Some(writer),
            has_signals: false,
            unknown_streams: 0,
        };
        self.entries.borrow_mut().insert(id, entry);
        self.feed(|core, now, out| core.on_connected(id, name, target, now, out));

        let ended = ended(connection.closed().await);
        // A reader may start another one, and all of them end by themselves now.
        loop {
            let reader = self.entries.borrow_mut().get_mut(&id).and_then(|entry| entry.readers.pop());
            let Some(reader) = reader else { break };
            // It was aborted or has ended; a panic in it was told by the panic hook.
            let _ = reader.await;
        }
        self.feed(|core, now, out| core.on_closed(id, ended, now, out));
        if let Some(entry) = self.entries.borrow_mut().remove(&id) {
            for task in entry.tasks {
                task.abort();
            }
        }
    }
}
