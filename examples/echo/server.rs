//! The server: an acceptor, and a process for each connection.
//!
//! ```text
//!   acceptor ──link── listener              waits for clients, and asks for room for each
//!      └───────link── connection, …         sends back what it reads, until there is no more
//! ```

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::ready;

use biotope::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// How much is read at a time.
const PIECE: usize = 4096;

/// How long the listener rests when it could accept nobody, as when the system has no more descriptors.
const REST: Duration = millis(100);

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many connections are open at most. Others wait until one of them has ended.
    pub(crate) connections: usize,
    /// How long a client may take to send something, and to read what it is sent.
    pub(crate) patience: Duration,
}

/// Knows how many connections there are. It traps exits: theirs are no reason for it to end, and its own is one for them.
#[derive(Actor)]
#[actor(trap_exit)]
pub(crate) struct Acceptor {
    address: SocketAddr,
    listener: Pid,
    limits: Limits,
    open: usize,
    /// The listener, while there is no room for one more.
    full: Option<ReplyTo<()>>,
    /// Who wants to know when there is none.
    curious: Vec<ReplyTo<()>>,
}

#[handlers]
impl Acceptor {
    #[start]
    async fn listen((address, limits): (SocketAddr, Limits), cx: &mut Context<Self>) -> Result<Self, io::Error> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let me = cx.myself();
        let listener = cx.spawn_link(process(move |_: Process<()>| accept(listener, me))).pid();
        Ok(Self { address, listener, limits, open: 0, full: None, curious: Vec::new() })
    }

    pub(crate) fn listens_at(&self) -> SocketAddr {
        self.address
    }

    /// Serves a connection, and answers when there is room for another one.
    fn admit(&mut self, stream: TcpStream, room: ReplyTo<()>, cx: &mut Context<Self>) {
        let patience = self.limits.patience;
        cx.spawn_link(process(move |_: Process<()>| serve(stream, patience)));
        self.open += 1;
        self.full = Some(room);
        self.tell();
    }

    /// Answers when no connection is open.
    pub(crate) fn none_left(&mut self, reply: ReplyTo<()>) {
        self.curious.push(reply);
        self.tell();
    }

    #[info]
    fn on_exit(&mut self, exit: Exit, cx: &mut Context<Self>) {
        if exit.from == self.listener || exit.from == cx.pid() {
            return cx.stop(exit.reason);
        }
        self.open -= 1;
        self.tell();
    }
}

impl Acceptor {
    /// Answers whoever waits for what is so now.
    fn tell(&mut self) {
        if self.open < self.limits.connections
            && let Some(room) = self.full.take()
        {
            room.send(());
        }
        if self.open == 0 {
            self.curious.drain(..).for_each(|reply| reply.send(()));
        }
    }
}

/// The listener. While there is no room, clients wait in the system's queue.
async fn accept(listener: TcpListener, acceptor: ActorRef<Acceptor>) -> biotope::Result<()> {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // An echo should not wait for the next to fill a packet. Where that cannot be had, it waits.
                let _ = stream.set_nodelay(true);
                acceptor.admit(stream).timeout(Duration::MAX).await?;
            }
            // That client is gone, or there are no descriptors; the next may fare better.
            Err(_) => time::sleep(REST).await,
        }
    }
}

/// The process of a connection. What a client does wrong is no crash of ours, so it ends in order.
async fn serve(stream: TcpStream, patience: Duration) -> biotope::Result<()> {
    let served = echo(stream, patience).await;
    served.map_err(|error| ExitReason::ShutdownWith(error.to_string().into()).into())
}

/// Sends back what is read, until there is no more. Reads nothing as long as the client does not read.
pub(crate) async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin, patience: Duration) -> biotope::Result<()> {
    loop {
        let piece = time::timeout(patience, piece_of(&mut stream)).await??;
        if piece.is_empty() {
            return Ok(());
        }
        time::timeout(patience, stream.write_all(&piece)).await??;
    }
}

/// What there is to be read, or nothing at the end. While it waits it has no buffer, so an idle connection has none.
async fn piece_of(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    poll_fn(|cx| {
        let mut buffer = [0; PIECE];
        let mut read = ReadBuf::new(&mut buffer);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
        Ok(read.filled().to_vec()).into()
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    use super::*;

    const PATIENCE: Duration = secs(60);

    async fn server(connections: usize) -> biotope::Result<(ActorRef<Acceptor>, SocketAddr)> {
        let limits = Limits { connections, patience: PATIENCE };
        let acceptor = Acceptor::spec_with(move || ((Ipv4Addr::LOCALHOST, 0).into(), limits)).start_link().await?;
        let address = acceptor.listens_at().await?;
        Ok((acceptor, address))
    }

    /// What waits for ever fails.
    async fn soon(body: impl Future<Output = biotope::Result<()>>) -> biotope::Result<()> {
        time::timeout(secs(30), body).await?
    }

    /// The processes of listener and connections.
    fn children_of(acceptor: &ActorRef<Acceptor>) -> BTreeSet<Pid> {
        let children = node().processes().into_iter().filter(|info| info.parent == Some(acceptor.pid()));
        children.map(|info| info.pid).collect()
    }

    /// Fails if what is said does not come back.
    async fn ask(stream: &mut TcpStream, said: &[u8]) -> io::Result<()> {
        stream.write_all(said).await?;
        let mut heard = vec![0; said.len()];
        stream.read_exact(&mut heard).await?;
        if heard == said { Ok(()) } else { Err(io::Error::other("another echo")) }
    }

    #[biotope::test]
    async fn a_client_that_misbehaves_disturbs_no_other() -> biotope::Result<()> {
        soon(async {
            let (acceptor, address) = server(100).await?;
            let mut good = TcpStream::connect(address).await?;
            ask(&mut good, b"first").await?;

            // Says more than there is room for on the way, and reads nothing.
            let deaf = TcpStream::connect(address).await?;
            deaf.writable().await?;
            while deaf.try_write(&[7; 1 << 16]).is_ok() {}
            ask(&mut good, b"beside one that reads nothing").await?;

            // Has said all, and hears all.
            let mut half = TcpStream::connect(address).await?;
            half.write_all(b"the last words").await?;
            half.shutdown().await?;
            let mut heard = Vec::new();
            half.read_to_end(&mut heard).await?;
            assert_eq!(heard, b"the last words");
            ask(&mut good, b"beside one that closed one direction").await?;

            // Breaks off, with a reset: it has not read what it was sent.
            let mut broken = TcpStream::connect(address).await?;
            broken.write_all(&[7; 100]).await?;
            broken.readable().await?;
            drop(broken);
            ask(&mut good, &[0, 0xFF, 0x80, b'\n']).await?;

            // Its process is killed.
            let others = children_of(&acceptor);
            let mut unlucky = TcpStream::connect(address).await?;
            ask(&mut unlucky, b"here").await?;
            let its: Vec<Pid> = children_of(&acceptor).difference(&others).copied().collect();
            assert_eq!(its.len(), 1, "a connection is a process");
            node().exit(its[0], ExitReason::Kill);
            assert!(!matches!(unlucky.read(&mut [0]).await, Ok(1)), "there is nothing more to be heard");
            ask(&mut good, b"beside one that was killed").await?;

            drop((deaf, good));
            acceptor.none_left().timeout(secs(30)).await?;
            assert_eq!(children_of(&acceptor).len(), 1, "the listener goes on");
            assert_eq!(node().stats().crashed, 1, "what a client does is no crash");
            Ok(())
        })
        .await
    }

    #[biotope::test]
    async fn beyond_the_limit_a_client_waits_until_another_has_gone() -> biotope::Result<()> {
        soon(async {
            let (acceptor, address) = server(1).await?;
            let mut first = TcpStream::connect(address).await?;
            ask(&mut first, b"first").await?;
            let mut second = TcpStream::connect(address).await?;
            second.write_all(b"second").await?;
            for _ in 0..100 {
                ask(&mut first, b"as before").await?;
            }
            assert_eq!(children_of(&acceptor).len(), 2, "the listener and one connection");
            drop(first);
            let mut heard = [0; 6];
            second.read_exact(&mut heard).await?;
            assert_eq!(&heard, b"second");
            Ok(())
        })
        .await
    }

    #[biotope::test(allow_crashes)]
    async fn the_connections_end_with_the_acceptor_and_it_ends_with_its_listener() -> biotope::Result<()> {
        soon(async {
            let owner = spawn_process(async |mut me: Process<ReplyTo<(ActorRef<Acceptor>, SocketAddr)>>| {
                let reply = me.receive().await?;
                me.trap_exits(true);
                reply.send(server(100).await?);
                me.receive_info(Ok).await?;
                Ok(())
            });
            let (acceptor, address) = Call::new(&owner, |reply| reply).await?;
            let mut client = TcpStream::connect(address).await?;
            ask(&mut client, b"here").await?;
            let children = children_of(&acceptor);
            let listener = children.iter().next().copied().expect("there is a listener");
            node().exit(listener, ExitReason::Kill);
            node().ended(&owner).await;
            assert!(!node().is_alive(&acceptor));
            assert!(!matches!(client.read(&mut [0]).await, Ok(1)));
            Ok(())
        })
        .await
    }

    /// Serves the other end of what this returns; and when that began.
    fn served() -> (DuplexStream, Address<()>, std::time::Instant) {
        let (client, server) = duplex(8);
        (client, spawn_process(async move |_: Process<()>| echo(server, PATIENCE).await), time::now())
    }

    #[biotope::test(seeds = 20, allow_crashes)]
    async fn who_says_nothing_or_reads_nothing_for_too_long_is_cut_off() -> biotope::Result<()> {
        let (client, silent, start) = served();
        node().ended(&silent).await;
        assert_eq!(time::now() - start, PATIENCE);
        drop(client);

        let (mut client, tardy, start) = served();
        time::sleep(secs(40)).await;
        client.write_all(b"late").await?;
        client.read_exact(&mut [0; 4]).await?;
        node().ended(&tardy).await;
        assert_eq!(time::now() - start, secs(40) + PATIENCE);

        // Eight bytes are on their way back, and eight are not.
        let (mut client, deaf, start) = served();
        client.write_all(&[7; 16]).await?;
        node().ended(&deaf).await;
        assert_eq!(time::now() - start, PATIENCE);
        Ok(())
    }
}
