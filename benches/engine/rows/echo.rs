//! An echo server with a hundred connections, beside clients that are an OS process of their own.
//!
//! ```text
//!   clients (this program, started again)          server (the round's OS process)
//!   a hundred tasks, one thread ── 64 bytes ──▶ a process, or a task, for each connection
//!                               ◀── the same ──
//!   "warm", then "done" on stdout ───────────▶ the main thread, which is no worker, looks at the clocks
//! ```
//!
//! The clients are the same for either contender, and so is the code of a connection. What differs is who
//! waits for the sockets, and who runs what is woken.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use biotope::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::cpu;
use crate::host::{Biotope, tokio_runtime};

/// The hidden first argument: `ADDRESS ECHOES` follow.
pub(crate) const CLIENTS: &str = "--echo-clients";

const CONNECTIONS: usize = 100;
const SIZE: usize = 64;

/// Two figures: time for an echo, and the processor's time that the server needs for it.
pub(crate) fn on_biotope(echoes: u64) -> Vec<f64> {
    let biotope = Biotope::new();
    let address = biotope.run(async {
        let (listener, address) = listen().await?;
        spawn_process(async move |_: Process<()>| {
            loop {
                let stream = accept(&listener).await?;
                spawn_process(async move |_: Process<()>| Ok(serve(stream).await?));
            }
        });
        Ok(address)
    });
    time_the_clients(address, echoes)
}

pub(crate) fn on_tokio(echoes: u64) -> Vec<f64> {
    let runtime = tokio_runtime();
    let (listener, address) = runtime.block_on(listen()).expect("loopback has a free port");
    runtime.spawn(async move {
        loop {
            let stream = accept(&listener).await.expect("the clients connect");
            tokio::spawn(serve(stream));
        }
    });
    let figures = time_the_clients(address, echoes);
    std::mem::forget(runtime);
    figures
}

async fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One connection, until the client closes it.
async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
    }
}

/// Starts the clients and reads the clocks when they say that they are warm, and done.
fn time_the_clients(address: SocketAddr, echoes: u64) -> Vec<f64> {
    let program = std::env::current_exe().expect("it was started from somewhere");
    let clients = Command::new(program)
        .args([CLIENTS, &address.to_string(), &echoes.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut clients = clients.expect("this program starts again");
    let figures = time_what_they_say(&mut clients, echoes);
    let status = clients.wait().expect("it ends");
    assert!(status.success(), "the clients: {status}");
    figures
}

fn time_what_they_say(clients: &mut Child, echoes: u64) -> Vec<f64> {
    let mut said = BufReader::new(clients.stdout.take().expect("its stdout is piped"));
    wait_for("warm", &mut said);
    let (start, cpu_before) = (Instant::now(), cpu::time());
    wait_for("done", &mut said);
    let (lasted, cpu_used) = (start.elapsed(), cpu::time() - cpu_before);
    let each = |whole: Duration| whole.as_nanos() as f64 / echoes as f64;
    vec![each(lasted), each(cpu_used)]
}

fn wait_for(word: &str, said: &mut BufReader<ChildStdout>) {
    let mut line = String::new();
    said.read_line(&mut line).expect("the clients say it");
    assert_eq!(line.trim_end(), word, "what the clients say");
}

/// The errand of the clients' OS process: a tenth of the echoes to warm up, then all.
pub(crate) fn run_clients(address: SocketAddr, echoes: u64) -> io::Result<()> {
    // One thread: the machine's other core is the server's, and a second one would take it away.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            connections.push(stream);
        }
        let connections = ask_all(connections, echoes / 10).await?;
        println!("warm");
        ask_all(connections, echoes).await?;
        println!("done");
        Ok(())
    })
}

/// `echoes` in all, on whichever connection has had its last one back.
async fn ask_all(connections: Vec<TcpStream>, echoes: u64) -> io::Result<Vec<TcpStream>> {
    let begun = Arc::new(AtomicU64::new(0));
    let asking: Vec<_> = connections
        .into_iter()
        .map(|mut stream| {
            let begun = begun.clone();
            tokio::spawn(async move {
                while begun.fetch_add(1, Ordering::Relaxed) < echoes {
                    ask(&mut stream).await?;
                }
                io::Result::Ok(stream)
            })
        })
        .collect();
    let mut connections = Vec::new();
    for connection in asking {
        connections.push(connection.await??);
    }
    Ok(connections)
}

async fn ask(stream: &mut TcpStream) -> io::Result<()> {
    let mut reply = [0; SIZE];
    stream.write_all(&[7; SIZE]).await?;
    stream.read_exact(&mut reply).await?;
    assert_eq!(reply, [7; SIZE], "an echo is what was said");
    Ok(())
}
