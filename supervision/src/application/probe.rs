//! Health and readiness by HTTP, for whoever runs services.
//!
//! It reads one request line, answers it, and closes. What a stranger sends is bounded in bytes and in time, and so is how
//! many are answered at once; who comes while too many are is hung up on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use biotope_runtime::{Info, Node, Pid, Process, SpawnOptions, time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::applications::HostApplications;
use crate::config::{PROBE_BYTES, PROBE_CONNECTIONS, PROBE_TIME};

/// A process that answers `/healthz` and `/readyz`.
pub(super) struct Probe;

impl Probe {
    /// Starts one that ends with `owner`.
    pub(super) async fn start(node: &Node, owner: Pid, address: &str) -> io::Result<Pid> {
        let listener = TcpListener::bind(address).await?;
        let local = listener.local_addr()?;
        tracing::info!(node = node.name(), address = %local, "health is told by HTTP: /healthz, /readyz");
        let options = SpawnOptions { label: Some("health probe".into()), ..SpawnOptions::child_of(owner) };
        let probe = node.spawn_process_with(options, async move |mut me: Process<()>| {
            let owner = me.monitor(owner);
            let open = Arc::new(AtomicUsize::new(0));
            loop {
                let accepted = {
                    let mut accept = std::pin::pin!(listener.accept());
                    let mut over = me.receive_info(|info| match info {
                        Info::Down(down) if down.reference == owner => Ok(()),
                        other => Err(other),
                    });
                    std::future::poll_fn(|cx| {
                        use std::future::Future;
                        use std::task::Poll;
                        match std::pin::Pin::new(&mut over).poll(cx) {
                            Poll::Ready(_) => Poll::Ready(None),
                            Poll::Pending => accept.as_mut().poll(cx).map(Some),
                        }
                    })
                    .await
                };
                match accepted {
                    None => return Ok(()),
                    Some(Ok((stream, _))) => answer_apart(&me, stream, &open),
                    // No descriptor is left, as a rule: others may give one back.
                    Some(Err(_)) => time::sleep(PROBE_TIME).await,
                }
            }
        });
        Ok(probe.pid())
    }
}

/// Answers in a process of its own, unless too many do.
fn answer_apart(me: &Process<()>, stream: TcpStream, open: &Arc<AtomicUsize>) {
    let place = Place::among(open);
    let Some(place) = place else { return };
    let options = SpawnOptions::linked_to(me.pid());
    me.node().spawn_process_with(options, async move |me: Process<()>| {
        let _place = place;
        // A stranger who is slow or gone is no fault of ours.
        let _ = time::timeout(PROBE_TIME, answer(me.node(), stream)).await;
        Ok(())
    });
}

/// One of the places for connections, taken until it is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn among(open: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(open.clone());
        // One process takes places; others only give them back.
        (open.fetch_add(1, Ordering::Relaxed) < PROBE_CONNECTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn answer(node: &Node, mut stream: TcpStream) -> io::Result<()> {
    let request = read(&mut stream).await?;
    let (status, text) = match &request {
        Request::For { path, .. } => match &**path {
            "/healthz" | "/readyz" => {
                let health = node.applications().health().await;
                let is_well = if *path == "/healthz" { health.is_alive() } else { health.is_ready() };
                (if is_well { "200 OK" } else { "503 Service Unavailable" }, health.to_string())
            }
            _ => ("404 Not Found", "there are /healthz and /readyz".to_owned()),
        },
        Request::Method => ("405 Method Not Allowed", "ask with GET".to_owned()),
        Request::Bad => ("400 Bad Request", "that is no HTTP".to_owned()),
        Request::TooLong => ("431 Request Header Fields Too Large", "that is too long".to_owned()),
    };
    let length = text.len() + 1;
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    if !matches!(request, Request::For { is_head: true, .. }) {
        stream.write_all(format!("{text}\n").as_bytes()).await?;
    }
    stream.shutdown().await
}

#[derive(Debug, PartialEq)]
enum Request {
    /// Of `HEAD` the answer has no body.
    For {
        path: String,
        is_head: bool,
    },
    Method,
    Bad,
    TooLong,
}

/// Reads up to the empty line that ends a request's head.
async fn read(stream: &mut TcpStream) -> io::Result<Request> {
    let mut head = Vec::new();
    let mut piece = [0; 512];
    loop {
        let read = stream.read(&mut piece).await?;
        head.extend_from_slice(&piece[..read]);
        let is_whole = head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n");
        if is_whole || read == 0 {
            return Ok(parse(&head));
        }
        if head.len() > PROBE_BYTES {
            return Ok(Request::TooLong);
        }
    }
}

fn parse(head: &[u8]) -> Request {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return Request::Bad };
    let words: Vec<&str> = line.trim_end_matches('\r').split(' ').collect();
    match words[..] {
        [method, path, version] if version.starts_with("HTTP/1.") && path.starts_with('/') => match method {
            "GET" | "HEAD" => {
                let path = path.split('?').next().unwrap_or_default().to_owned();
                Request::For { path, is_head: method == "HEAD" }
            }
            _ => Request::Method,
        },
        _ => Request::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_understood_and_nothing_else() {
        let path = |path: &str| Request::For { path: path.into(), is_head: false };
        assert_eq!(parse(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), path("/healthz"));
        assert_eq!(parse(b"GET /readyz?verbose HTTP/1.0\n\n"), path("/readyz"));
        assert_eq!(parse(b"POST /readyz HTTP/1.1\r\n\r\n"), Request::Method);
        for bad in
            [&b""[..], b"\r\n\r\n", b"GET\r\n\r\n", b"GET /a b HTTP/1.1\r\n", b"GET x HTTP/1.1\r\n", b"\xff\xff\xff"]
        {
            assert_eq!(parse(bad), Request::Bad);
        }
    }
}
