//! A node of the atlas: an OS process that does what the launcher asks over standard input, and ends
//! when that ends, also when the launcher was killed.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use biotope::distribution::{Distribute, Distributed, IdentityPem, Limits};
use biotope::prelude::*;
use biotope::supervision::HostEcosystems;

use crate::examiner::{Examiner, Gauge};
use crate::protocol::{Ask, Told};
use crate::{Failure, survey};

/// How long a node may take to stop, after the launcher has let go of it.
const LONGEST_STOP: Duration = Duration::from_secs(10);

/// Runs the node `name`, whose certificate is in `folder`, until standard input ends.
pub(crate) fn run(name: &str, folder: &Path) -> Result<ExitCode, Failure> {
    let runtime = Runtime::new()?;
    let mut limits = Limits::default();
    // On loopback a second of silence is long; the default is made for real networks.
    limits.heartbeat = Duration::from_millis(200);
    limits.down_after = Duration::from_millis(1500);
    let node = Node::builder(name)
        .runtime(runtime.clone())
        .listen("127.0.0.1:0")
        .identity(IdentityPem::read_from(folder)?.identity()?)
        .limits(limits)
        .hosts::<Examiner>()
        .actors::<(Gauge,)>();
    let node = runtime.block_on(node.start())?;
    let gauge = node.spawn(Gauge);
    node.register("gauge", &gauge)?;
    let addr = node.listen_addr().ok_or("the node does not listen")?;
    tell(&Told::Listening(addr.to_string()));

    let asks = asked();
    while let Ok(ask) = asks.recv() {
        match ask {
            Ask::Join(addr) => {
                // In a process: joining keeps trying, and this thread must see standard input end.
                let joining = node.join(addr);
                node.spawn_process(async move |_: Process<()>| {
                    match joining.await {
                        Ok(peer) => tell(&Told::Joined(peer.to_string())),
                        Err(error) => tell(&Told::Failed(error.to_string())),
                    }
                    Ok(())
                });
            }
            Ask::Survey { options, nodes } => {
                node.spawn_process(async move |mut me: Process<()>| {
                    await_peers(&mut me, nodes.len() - 1).await?;
                    match survey::make(&options, &nodes, |told| tell(&told)).await {
                        Ok(done) => tell(&Told::Done(Box::new(done))),
                        Err(error) => tell(&Told::Failed(error.to_string())),
                    }
                    Ok(())
                });
            }
        }
    }
    for process in node.processes() {
        tracing::debug!(?process, "still here when the launcher lets go");
    }
    // Whatever hangs, no OS process is left behind.
    thread::spawn(|| {
        thread::park_timeout(LONGEST_STOP);
        std::process::exit(1);
    });
    runtime.block_on(node.shutdown());
    Ok(ExitCode::SUCCESS)
}

/// Waits until so many nodes are connected.
async fn await_peers(me: &mut Process<()>, count: usize) -> biotope::Result<()> {
    me.node().monitor_nodes(me.pid());
    while me.node().nodes().len() < count {
        let event = me.receive_info(|info| match info {
            Info::Node(event) => Ok(event),
            other => Err(other),
        });
        event.timeout(secs(30)).await?;
    }
    Ok(())
}

/// What the launcher asks, until standard input ends.
fn asked() -> Receiver<Ask> {
    let (sender, asks) = channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match serde_json::from_str(&line) {
                Ok(ask) => {
                    if sender.send(ask).is_err() {
                        return;
                    }
                }
                Err(error) => tell(&Told::Failed(format!("a line that is no request: {error}"))),
            }
        }
    });
    asks
}

fn tell(told: &Told) {
    let Ok(line) = serde_json::to_string(told) else { return };
    let mut out = std::io::stdout().lock();
    // A launcher that is gone is noticed at standard input.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
