//! Does what the core decides: sockets, TLS, streams. The only file that imports quinn.
//!
//! Everything here runs on the network thread, so the hub is shared by `Rc` and borrowed for the length of a call.
//! No borrow is held across an await or across a call of the upper half.
//!
//! # The tasks
//! - One per node for accepting, one for its commands, one for its deadline.
//! - Per connection: `serve`, which waits for its end; the reader and the writer of the control stream; while the
//!   association is up, one that accepts streams, one reader per accepted stream, one writer per channel.
//!
//! # The order of the end
//! `serve` sees the end of a connection first. It waits for the readers, which read what has arrived and then see the
//! end too, and only then tells the core. So `Down` comes after every frame that had arrived.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ConnectionError, ReadError, VarInt, WriteError};
use rustls::pki_types::CertificateDer;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, spawn_local, yield_now};
use tokio::time::{sleep_until, timeout};

use super::channel::{ChannelId, Lane, Room, Taken, WRITE_BYTES};
use super::close::{Close, CloseCode, Ended};
use super::core::{Action, ConnectionId, Core, Me};
use super::counters::count;
use super::peer::Peer;
use super::transport::{Answer, Command, Event, JoinError, ListenError, Shared};
use crate::config::Limits;
use crate::identity::Identity;
use crate::wire::frame::{
    Frame, FrameDecoder, FrameError, Kind, PrefaceError, decode_preface, encode_preface,
};
use crate::wire::handshake::{Agreement, Heartbeat, Hello, decode_number};

/// Socket buffers: with the usual 208 KiB a burst of bulk loses thousands of packets a second.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// The packet size that path discovery tries to reach; it never starts there.
const MTU_UPPER_BOUND: u16 = 6500;

/// What the first retransmission waits for. Under loss the usual 333 ms makes a handshake take ten seconds.
const INITIAL_RTT: Duration = Duration::from_millis(50);

/// When nothing at all has come from a connection for so long, QUIC gives it up. The heartbeat of the association is
/// faster; this is for connections that have none yet.
const IDLE: Duration = Duration::from_secs(10);

/// QUIC's own sign of life, which only connections without heartbeat ever send.
const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// Streams that a peer may have beside one per channel: for channels that this node does not have.
const SPARE_STREAMS: u32 = 4;

/// The longest body of a control frame. They are all short.
const CONTROL_FRAME_BYTES: usize = 4 << 10;

/// What may wait in the control channel. Only a peer that reads nothing for minutes could fill it.
const CONTROL_QUEUE_BYTES: usize = 64 << 10;

/// How many pieces one read takes at most. With packets of 1.2 KiB this is about one write of the peer.
const READ_PIECES: usize = 64;

/// How long the closes at the end of a node may take to be acknowledged.
const LAST_CLOSES: Duration = Duration::from_secs(1);

/// The stream error that turns a stream of an unknown channel away.
const UNKNOWN_CHANNEL: VarInt = VarInt::from_u32(1);

/// Control goes before every channel.
const CONTROL_PRIORITY: i32 = 100;

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
    let addr = endpoint.local_addr().map_err(|source| ListenError::Bind {
        addr: begin.listen,
        source,
    })?;
    let hub = Rc::new(Hub {
        core: RefCell::new(Core::new(begin.me, begin.limits.clone())),
        entries: RefCell::default(),
        joinings: RefCell::default(),
        shutdowns: RefCell::default(),
        roots: RefCell::default(),
        next: Cell::new(0),
        handshakes: Cell::new(0),
        deadline_moved: Notify::new(),
        identity: begin.identity,
        limits: begin.limits,
        shared: begin.shared,
        events: begin.events,
        endpoint,
        client,
    });
    for task in [
        spawn_local(hub.clone().accept()).abort_handle(),
        spawn_local(hub.clone().keep_time()).abort_handle(),
    ] {
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
    writers: Vec<JoinHandle<Option<quinn::SendStream>>>,
    control_writer: Option<JoinHandle<Option<quinn::SendStream>>>,
    /// All tasks, to end them with the association.
    tasks: Vec<AbortHandle>,
    /// The channels on which the peer has a stream.
    incoming: Vec<ChannelId>,
    unknown_streams: usize,
}

impl Hub {
    // ---- the core's events and actions

    fn feed(self: &Rc<Self>, event: impl FnOnce(&mut Core, Instant, &mut Vec<Action>)) {
        let mut out = Vec::new();
        event(&mut self.core.borrow_mut(), Instant::now(), &mut out);
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
            Action::Up {
                on,
                hello,
                agreement,
            } => self.up(on, &hello, agreement),
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
                    let _ = answer.send(Err(JoinError::Refused {
                        target: target.to_string(),
                        text: text.clone(),
                    }));
                }
            }
            Action::Heartbeat { on, beat } => {
                let epoch = self.peer(on).map_or(0, |peer| peer.epoch);
                self.send_control(on, epoch, Kind::HEARTBEAT, &beat.encode());
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
                self.shared.tally.count_close(close.code);
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
        let lanes = (0..self.shared.channels.len()).map(|_| Lane::with_limit(self.limits.queue_bytes));
        let peer = Arc::new(Peer {
            name: hello.node.clone(),
            incarnation: hello.incarnation,
            epoch: agreement.epoch,
            addr: entry.connection.remote_address(),
            connection: on,
            frame_limit: hello.frame_limit as usize,
            lanes: lanes.collect(),
            up: AtomicBool::new(true),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            tally: self.shared.tally.clone(),
        });
        entry.peer = Some(peer.clone());
        for channel in self.shared.channels.of_processes() {
            let writer = self.clone().write_channel(entry.connection.clone(), peer.clone(), channel);
            let writer = spawn_local(writer);
            entry.tasks.push(writer.abort_handle());
            entry.writers.push(writer);
        }
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
        for lane in &peer.lanes {
            lane.drain();
        }
        let writers = std::mem::take(&mut entry.writers);
        let control = entry.control_writer.take();
        let hub = self.clone();
        let task = spawn_local(async move {
            let mut streams = Vec::new();
            for writer in writers {
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
                Command::Shutdown { done } => {
                    self.shutdowns.borrow_mut().push(done);
                    self.feed(|core, now, out| core.on_shutdown(now, out));
                }
            }
        }
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
        self.joinings.borrow_mut().clear();
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
        let addresses = tokio::net::lookup_host(target)
            .await
            .map_err(|error| lost(&error))?;
        let mut last = Ended::Lost(format!("{target} has no address"));
        for address in addresses {
            let connecting = self.endpoint.connect_with(
                self.client.clone(),
                address,
                &self.identity.server_name(),
            );
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
            writers: Vec::new(),
            control_writer: Some(writer),
            incoming: Vec::new(),
            unknown_streams: 0,
        };
        self.entries.borrow_mut().insert(id, entry);
        self.feed(|core, now, out| core.on_connected(id, name, target, now, out));

        let ended = ended(connection.closed().await);
        // A reader may start another one, and all of them end by themselves now.
        loop {
            let reader = self
                .entries
                .borrow_mut()
                .get_mut(&id)
                .and_then(|entry| entry.readers.pop());
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

    async fn read_control(self: Rc<Self>, id: ConnectionId, connection: quinn::Connection) {
        // QUIC gives streams in the order in which the peer opened them, and control is the first.
        let Ok(mut stream) = connection.accept_uni().await else {
            return;
        };
        let mut decoder = FrameDecoder::with_limit(CONTROL_FRAME_BYTES);
        match read_preface(&mut stream, &mut decoder).await {
            Ok(name) if name == "control" => {}
            Ok(name) => {
                let text = format!("the first stream must be channel \"control\", not \"{name}\"");
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

    async fn accept_streams(self: Rc<Self>, connection: quinn::Connection, peer: Arc<Peer>) {
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
        let Some(channel) = self.shared.channels.id(&name) else {
            return self.turn_away(&peer, &name, stream);
        };
        let again = match self.entries.borrow_mut().get_mut(&id) {
            Some(entry) if entry.incoming.contains(&channel) => true,
            Some(entry) => {
                entry.incoming.push(channel);
                false
            }
            None => return,
        };
        if again || channel == ChannelId::CONTROL {
            let text = format!("channel \"{name}\" has a stream already: each has one per direction");
            return self.fault(id, CloseCode::Streams, text);
        }
        match self.read_frames(&peer, channel, stream, decoder).await {
            Ok(()) => self.feed(|core, now, out| core.on_stream_ended(id, now, out)),
            Err(Broken::Frame(error)) => self.frame_fault(id, &error),
            Err(Broken::Stream(error)) => self.stream_fault(id, &error),
        }
    }

    async fn read_frames(
        &self,
        peer: &Arc<Peer>,
        channel: ChannelId,
        mut stream: quinn::RecvStream,
        mut decoder: FrameDecoder,
    ) -> Result<(), Broken> {
        let mut pieces = no_pieces();
        loop {
            self.deliver(peer, channel, &mut decoder)?;
            let Some(read) = stream.read_chunks(&mut pieces).await? else {
                return Ok(decoder.finish()?);
            };
            let mut bytes = 0;
            for piece in &mut pieces[..read] {
                bytes += piece.len();
                decoder.push(std::mem::take(piece));
                self.deliver(peer, channel, &mut decoder)?;
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

    fn deliver(
        &self,
        peer: &Arc<Peer>,
        channel: ChannelId,
        decoder: &mut FrameDecoder,
    ) -> Result<(), FrameError> {
        while let Some(frame) = decoder.next_frame()? {
            if !peer.is_up() {
                return Ok(());
            }
            if frame.epoch != peer.epoch {
                count(&self.shared.tally.foreign_epochs);
            } else if frame.kind.is_control() {
                count(&self.shared.tally.unknown_kinds);
            } else {
                self.tell(Event::Frame {
                    peer: peer.clone(),
                    channel,
                    kind: frame.kind,
                    body: frame.body,
                });
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

    // Gives the ended stream if there ever was one.
    async fn write_channel(
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
                        self.tell(Event::Room {
                            peer: peer.clone(),
                            channel,
                        });
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
                    let text = format!(
                        "too many system signals waited in channel \"{}\"",
                        settings.name()
                    );
                    self.fault(peer.connection, CloseCode::Overrun, text);
                    return None;
                }
                Taken::Closed => return stream,
            }
        }
    }
}

async fn write_control(
    connection: quinn::Connection,
    lane: Rc<Lane>,
) -> Option<quinn::SendStream> {
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

async fn open(
    connection: &quinn::Connection,
    channel: &str,
    priority: i32,
) -> Result<quinn::SendStream, WriteError> {
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
async fn read_preface(
    stream: &mut quinn::RecvStream,
    decoder: &mut FrameDecoder,
) -> Result<String, Unread> {
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

/// What the end of a connection means for the association and its target.
fn ended(error: ConnectionError) -> Ended {
    // TLS alerts travel as QUIC error codes from 0x100 to 0x1ff.
    let is_tls = |code: u64| (0x100..0x200).contains(&code);
    match error {
        ConnectionError::ApplicationClosed(close) => Ended::ByPeer(Close {
            code: CloseCode::from_number(close.error_code.into_inner()),
            text: String::from_utf8_lossy(&close.reason).into_owned(),
        }),
        ConnectionError::TransportError(error) if is_tls(error.code.into()) => {
            Ended::Distrusted(format!("its certificate is not taken: {}", error.reason))
        }
        ConnectionError::ConnectionClosed(close) if is_tls(close.error_code.into()) => {
            Ended::Distrusted(format!(
                "it does not take our certificate: {}",
                String::from_utf8_lossy(&close.reason)
            ))
        }
        error => Ended::Lost(error.to_string()),
    }
}

fn endpoint(begin: &Begin) -> Result<(quinn::Endpoint, quinn::ClientConfig), ListenError> {
    let tls = |error: &dyn std::fmt::Display| ListenError::Tls(error.to_string());
    let transport = Arc::new(transport(begin));

    let server = QuicServerConfig::try_from(begin.identity.server()).map_err(|error| tls(&error))?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(server));
    server.transport_config(transport.clone());
    server.max_incoming(2 * begin.limits.greeting_connections);

    let client = QuicClientConfig::try_from(begin.identity.client()).map_err(|error| tls(&error))?;
    let mut client = quinn::ClientConfig::new(Arc::new(client));
    client.transport_config(transport);

    let bind = |source| ListenError::Bind {
        addr: begin.listen,
        source,
    };
    let socket = socket(begin.listen).map_err(bind)?;
    let endpoint = quinn::Endpoint::new(
        quinn::EndpointConfig::default(),
        Some(server),
        socket,
        Arc::new(quinn::TokioRuntime),
    )
    .map_err(bind)?;
    Ok((endpoint, client))
}

fn transport(begin: &Begin) -> quinn::TransportConfig {
    let mut discovery = quinn::MtuDiscoveryConfig::default();
    discovery.upper_bound(MTU_UPPER_BOUND);
    // Silence is for the association to judge, so QUIC gives up later.
    let idle = IDLE.max(begin.limits.down_after * 2);
    let mut config = quinn::TransportConfig::default();
    config
        .max_concurrent_uni_streams(VarInt::from_u32(
            begin.shared.channels.len() as u32 + SPARE_STREAMS,
        ))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(Some(discovery))
        .initial_rtt(INITIAL_RTT)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(idle.try_into().ok());
    config
}

fn socket(addr: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let domain = socket2::Domain::for_address(addr);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if addr.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    // The operating system may allow less, which costs speed and nothing else.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&addr.into())?;
    Ok(socket.into())
}
