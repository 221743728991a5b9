//! Whether applications live and are ready, as data and by HTTP.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use biotope_runtime::{ExitReason, node, time};
use biotope_supervision::{App, Supervisor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;
use crate::tools::*;

async fn health() -> String {
    node().applications().health().await.to_string()
}

#[test]
fn it_is_ready_when_its_phases_are_over_and_its_checks_succeed() {
    virtually(|mut me| async move {
        let before = Before::now();
        let stage = Stage::new();
        let is_open = Arc::new(AtomicBool::new(false));
        let seen = is_open.clone();
        let app = App::new("shop")
            .supervisor(Supervisor::one_for_one().child(worker(&stage, "a")))
            .phase("warm", |_| pause(secs(10)))
            .ready_when("open", move |_| {
                let is_open = seen.load(Ordering::Relaxed);
                async move { if is_open { Ok(()) } else { Err(ExitReason::value("closed").into()) } }
            })
            .before_stop(|_| pause(secs(10)));
        assert!(!node().applications().health().await.is_ready(), "there is nothing");
        let starting = node().spawn_process(async move |_: biotope_runtime::Process<()>| {
            let app = app.start_on(&node()).await?;
            time::sleep(secs(5)).await;
            app.stop().await?;
            Ok(())
        });
        stage.expect(["start a"]).await;
        assert_eq!(health().await, "shop: starting, not ready");
        time::sleep(secs(11)).await;
        assert_eq!(health().await, "shop: running, not ready (open: \"closed\")");
        is_open.store(true, Ordering::Relaxed);
        let now = node().applications().health().await;
        assert_eq!((now.is_alive(), now.is_ready(), &*now.to_string()), (true, true, "shop: running, ready"));
        time::sleep(secs(5)).await;
        assert_eq!(health().await, "shop: stopping, not ready");
        let end = me.monitor(&starting);
        assert_eq!(down(&mut me, end).await?, ExitReason::Normal);
        before.is_restored(&mut me).await
    });
}

#[test]
fn a_check_that_hangs_or_panics_has_failed_and_a_supervisor_that_says_nothing_does_not_live() {
    virtually(|mut me| async move {
        let before = Before::now();
        let app = App::new("shop")
            .supervisor(Supervisor::one_for_one().named("shop"))
            .ready_when("hangs", async |_| pending().await)
            .ready_when("bursts", async |_| {
                let _bomb = Bomb;
                pending().await
            })
            .ready_when("panics", async |_| panic!("boom"));
        let app = app.start_on(&node()).await?;
        let at = time::now();
        assert_eq!(
            health().await,
            "shop: running, not ready (hangs: timeout; bursts: timeout; panics: panicked: boom)"
        );
        assert_eq!(time::now() - at, secs(1));
        node().suspend(app.supervisor());
        let now = node().applications().health().await;
        assert_eq!((now.is_alive(), &*now.to_string()), (false, "shop: running, does not answer"));
        node().resume(app.supervisor());
        app.stop().await?;
        before.is_restored(&mut me).await
    });
}

/// What is answered to these bytes, to the end of the connection.
async fn answer(address: std::net::SocketAddr, request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // One that is refused early may be closed before all is sent.
    let _ = stream.write_all(request).await;
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text).await;
    Ok(text)
}

#[test]
fn a_probe_answers_http_and_bears_with_strangers() {
    biotope_testkit::on_threads("probe", || {
        in_process(|_me| async move {
            // A port that is free, as a rule also a moment later.
            let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
            let is_open = Arc::new(AtomicBool::new(false));
            let seen = is_open.clone();
            let (started, has_started) = tokio::sync::oneshot::channel();
            let started = Arc::new(std::sync::Mutex::new(Some(started)));
            let app = App::new("shop")
                .probe(address.to_string())
                .ready_when("open", move |_| {
                    let is_open = seen.load(Ordering::Relaxed);
                    async move { if is_open { Ok(()) } else { Err(ExitReason::value("closed").into()) } }
                })
                .phase("tell", move |_| {
                    let started = started.lock().unwrap().take();
                    async move {
                        started.expect("it starts once").send(()).expect("the test waits");
                        Ok(())
                    }
                });
            let runner = node().spawn_process(async move |_: biotope_runtime::Process<()>| app.run().await);
            has_started.await?;
            let healthy = answer(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await?;
            assert!(healthy.starts_with("HTTP/1.1 200 OK\r\n"), "{healthy}");
            let head = answer(address, b"HEAD /healthz HTTP/1.1\r\n\r\n").await?;
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
            // Whoever reads this asks until it runs: the phase is over a moment later.
            let closed = answer(address, b"GET /readyz HTTP/1.1\r\n\r\n").await?;
            assert!(closed.starts_with("HTTP/1.1 503 "), "{closed}");
            is_open.store(true, Ordering::Relaxed);
            while !answer(address, b"GET /readyz HTTP/1.1\r\n\r\n").await?.starts_with("HTTP/1.1 200 OK\r\n") {}
            for (request, status) in [
                (&b"GET /nothing HTTP/1.1\r\n\r\n"[..], "404"),
                (b"POST /healthz HTTP/1.1\r\n\r\n", "405"),
                (b"\x16\x03\x01\xff\xff\xff\r\n\r\n", "400"),
                (b"hello\n\n", "400"),
                (&[b'a'; 10_000], "431"),
            ] {
                let text = answer(address, request).await?;
                // One that is hung up on with bytes unread may see a reset instead of the answer.
                assert!(
                    text.is_empty() && status == "431" || text.starts_with(&format!("HTTP/1.1 {status} ")),
                    "{text}"
                );
            }
            // Those who say nothing keep nobody from being answered, up to a limit.
            let mut silent = Vec::new();
            for _ in 0..10 {
                silent.push(TcpStream::connect(address).await?);
            }
            let healthy = answer(address, b"GET /healthz HTTP/1.1\r\n\r\n").await?;
            assert!(healthy.starts_with("HTTP/1.1 200 OK\r\n"), "{healthy}");
            let runner_ended = node().ended(&runner);
            node().exit(&runner, ExitReason::Kill);
            runner_ended.await;
            Ok(())
        })
    });
}

#[test]
fn an_address_that_is_taken_starts_nothing() {
    biotope_testkit::on_threads("taken", || {
        in_process(|_me| async move {
            let taken = TcpListener::bind("127.0.0.1:0").await?;
            let app = App::new("shop").probe(taken.local_addr()?.to_string());
            let reason = app.run().await.unwrap_err().into_reason();
            assert_eq!(reason.exit_code(), 71, "{reason}");
            Ok(())
        })
    });
}
