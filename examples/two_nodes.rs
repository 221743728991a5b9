//! Two nodes, each an OS process of its own, that meet over QUIC. Start it twice:
//!
//! ```text
//! cargo run --example two_nodes -- shop                 in one terminal
//! cargo run --example two_nodes -- visitor              in another one
//! cargo run --example two_nodes -- demo                 or both by itself
//! ```
//!
//! The shop makes the authority of a cluster and a certificate for each of the two: nobody without one
//! gets in. It writes the visitor's, and where it listens, into a folder that both know (below the
//! system's temporary one; another can be given as the last argument). The visitor joins, finds the
//! shop's counter by its name, calls it as if it were its own, and sees it end. Then both end. The
//! visitor prints:
//!
//! ```text
//! visitor: joined the node shop
//! visitor: the counter over there says 1, 2, 3
//! visitor: a process with no such name is nobody
//! visitor: the counter ended: normal
//! visitor: a call to it now fails
//! ```

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use biotope::distribution::{Authority, IdentityPem};
use biotope::prelude::*;

type Failure = Box<dyn Error + Send + Sync>;

/// Counts visits. The shop lets peers send it messages; only what it registers can be reached.
#[derive(Actor, Default)]
struct Counter {
    visits: u64,
}

#[handlers(remote)]
impl Counter {
    fn visit(&mut self) -> u64 {
        self.visits += 1;
        self.visits
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next();
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("biotope-two-nodes"), PathBuf::from);
    let outcome = match role.as_deref() {
        Some("shop") => shop(&folder),
        Some("visitor") => visitor(&folder),
        Some("demo") => demo(),
        _ => {
            eprintln!("start it twice, in two terminals:");
            eprintln!("  cargo run --example two_nodes -- shop");
            eprintln!("  cargo run --example two_nodes -- visitor");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("two_nodes: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The node that listens. It ends when its counter has been told to stop.
fn shop(folder: &Path) -> Result<(), Failure> {
    let authority = Authority::new("market")?;
    let runtime = Runtime::new()?;
    let node = Node::builder("shop")
        .runtime(runtime.clone())
        .listen("127.0.0.1:0")
        .identity(authority.issue("shop")?.identity()?)
        .actors::<(Counter,)>();
    let node = runtime.block_on(node.start())?;
    let counter = node.spawn(Counter::default());
    node.register("counter", &counter)?;

    let addr = node.listen_addr().ok_or("a node that was told to listen does")?;
    fs::create_dir_all(folder)?;
    authority.issue("visitor")?.write_to(folder)?;
    fs::write(folder.join("address"), addr.to_string())?;
    println!("shop: listening on {addr}, waiting for a visitor");

    let reason = runtime.block_on(node.ended(&counter));
    println!("shop: the counter ended: {reason}");
    assert_eq!(reason, ExitReason::Normal);
    // The visitor hears of the end before it hears the goodbye: what was sent first comes first.
    runtime.block_on(node.shutdown());
    fs::remove_file(folder.join("address"))?;
    Ok(())
}

/// The node that joins.
fn visitor(folder: &Path) -> Result<(), Failure> {
    let addr = fs::read_to_string(folder.join("address"))
        .map_err(|error| format!("no shop has written where it listens, start it first: {error}"))?;
    let runtime = Runtime::new()?;
    let node = Node::builder("visitor")
        .runtime(runtime.clone())
        .listen("127.0.0.1:0")
        .identity(IdentityPem::read_from(folder)?.identity()?);
    let node = runtime.block_on(node.start())?;

    let (sender, outcome) = std::sync::mpsc::channel();
    node.spawn_process(async move |mut me: Process<()>| {
        let _ = sender.send(visit(&mut me, addr).await.map_err(|error| error.to_string()));
        Ok(())
    });
    outcome.recv()??;
    runtime.block_on(node.shutdown());
    Ok(())
}

async fn visit(me: &mut Process<()>, addr: String) -> biotope::Result<()> {
    // A join goes on until the other node is there; here it is, or the visit has failed.
    let shop = time::timeout(secs(30), node().join(addr)).await??;
    println!("visitor: joined the node {shop}");

    let counter = node().lookup_on::<Counter>(&shop, "counter").await?;
    let counter = counter.expect("the shop registers it before it listens to anybody");
    let visits = [counter.visit().await?, counter.visit().await?, counter.visit().await?];
    println!("visitor: the counter over there says {}, {}, {}", visits[0], visits[1], visits[2]);
    assert_eq!(visits, [visits[0], visits[0] + 1, visits[0] + 2]);

    assert!(node().lookup_on::<Counter>(&shop, "till").await?.is_none());
    println!("visitor: a process with no such name is nobody");

    let watch = me.monitor(&counter);
    counter.stop();
    let down = me.receive_info(move |info| match info {
        Info::Down(down) if down.reference == watch => Ok(down),
        other => Err(other),
    });
    let reason = down.timeout(secs(30)).await?.reason;
    println!("visitor: the counter ended: {reason}");
    assert_eq!(reason, ExitReason::Normal);

    // The shop ends as well, so either the process or its whole node is gone.
    let failed = counter.visit().await;
    assert!(matches!(failed, Err(CallFailed::NoProc | CallFailed::NoConnection)), "{failed:?}");
    println!("visitor: a call to it now fails");
    Ok(())
}

/// Both, in a folder of their own, each as an OS process.
fn demo() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let program = std::env::current_exe()?;
    let start = |role: &str| {
        let mut command = Command::new(&program);
        command.arg(role).arg(folder.path());
        command
    };
    let mut shop = start("shop").stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(shop.stdout.take().ok_or("its output is piped")?).lines();
    // Its first line comes when there is a door to knock at.
    let first = lines.next().ok_or("the shop ended before it listened")??;
    println!("{first}");
    let visited = start("visitor").status()?;
    if !visited.success() {
        shop.kill()?;
    }
    for line in lines {
        println!("{}", line?);
    }
    let sold = shop.wait()?;
    if visited.success() && sold.success() { Ok(()) } else { Err(format!("visitor: {visited}, shop: {sold}").into()) }
}
