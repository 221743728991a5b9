//! A TCP server that sends back what it is sent, with a process for each connection, and a load for it.
//!
//! ```text
//! cargo run --release --example echo                              both, 10,000 connections
//! cargo run --release --example echo -- --connections 500         fewer
//! cargo run --release --example echo -- serve 127.0.0.1:7000      the server alone, until Ctrl-C
//! cargo run --release --example echo -- load 127.0.0.1:7000       the load alone, also for other echo servers
//! ```
//!
//! An acceptor spawns the connections' processes and is linked to them, so that it hears of each end and they do not
//! outlive it. A client that sends nothing, reads nothing, closes one direction or breaks off costs its own process and
//! nobody else's. The load runs in an OS process of its own: each connection takes a descriptor at both ends, and the
//! limit of open files is raised as far as the system allows. The memory is that of the OS process, without what the system
//! itself keeps for a socket. Prints:
//!
//! ```text
//! 10000 connections are open: 1621 bytes of the server's memory for each
//! 100000 echoes of 64 bytes were as sent: 95066 echoes/s, 6.08 MB/s in each direction
//! 50 % within 429 µs, 90 % within 1337 µs, 99 % within 2604 µs, the last 16207 µs
//! the connections are closed: 0 of 10000 processes are left
//! ```

mod descriptors;
mod load;
#[path = "../memory/mod.rs"]
mod memory;
#[cfg(test)]
#[path = "../promise/mod.rs"]
mod promise;
mod server;

use std::io::BufRead;
use std::net::{Ipv4Addr, SocketAddr};

use biotope::prelude::*;
use clap::{Args, Parser, Subcommand};

use load::{Load, Told};
use server::{Acceptor, Limits};

/// Sends back what it is sent. Without a command: a server, and a load for it.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    load: Load,
}

#[derive(Subcommand)]
enum Command {
    /// The server alone, until Ctrl-C.
    Serve {
        /// Where it listens.
        address: SocketAddr,
        #[command(flatten)]
        limits: ServerLimits,
    },
    /// The load alone.
    Load {
        /// Where the server listens.
        address: SocketAddr,
        #[command(flatten)]
        load: Load,
        /// Waits for a line on the standard input when all connections are open.
        #[arg(long)]
        wait: bool,
    },
}

#[derive(Args)]
struct ServerLimits {
    /// How many connections are open at most. Others wait for one of them to end.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// How many seconds a client may take to send something, or to read what it is sent.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    patience: u64,
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    let Options { command, load } = Options::parse();
    let print = |line| println!("{line}");
    match command {
        None => {
            descriptors::make_room_for(load.connections)?;
            let run_load = move |address, boss| load::run_elsewhere(address, load, boss);
            demonstrate(load, run_load, print).await
        }
        Some(Command::Serve { address, limits: ServerLimits { connections, patience } }) => {
            descriptors::make_room_for(connections)?;
            let limits = Limits { connections: connections as usize, patience: secs(patience) };
            let acceptor = Acceptor::spec_with(move || (address, limits)).named("acceptor");
            App::new("echo").supervisor(Supervisor::one_for_one().child(acceptor)).run().await
        }
        Some(Command::Load { address, load, wait }) => {
            descriptors::make_room_for(load.connections)?;
            report(address, load, wait, print).await
        }
    }
}

/// A server, and what `run_load` makes of it, line by line.
async fn demonstrate<Fut>(
    load: Load,
    run_load: impl FnOnce(SocketAddr, Address<Told>) -> Fut + Send + 'static,
    mut print: impl FnMut(String) + Send + 'static,
) -> biotope::Result<()>
where
    Fut: Future<Output = biotope::Result<()>> + Send + 'static,
{
    let demonstration = spawn_link(process(async move |mut me: Process<Told>| {
        let limits = Limits { connections: load.connections as usize, patience: secs(60) };
        let acceptor = Acceptor::spec_with(move || ((Ipv4Addr::LOCALHOST, 0).into(), limits)).start_link().await?;
        let address = acceptor.listens_at().await?;
        let (memory, processes) = (memory::resident_bytes(), children_of(&acceptor));

        let boss = me.address();
        spawn_link(process(move |_: Process<()>| run_load(address, boss)));
        loop {
            match me.receive().await? {
                Told::Connected(go_on) => {
                    let count = load.connections;
                    assert_eq!(children_of(&acceptor) - processes, count as usize);
                    print(match (memory, memory::resident_bytes()) {
                        (Some(before), Some(now)) => {
                            let each = now.saturating_sub(before) / u64::from(count);
                            format!("{count} connections are open: {each} bytes of the server's memory for each")
                        }
                        _ => format!("{count} connections are open: this system does not say what memory they take"),
                    });
                    go_on.send(());
                }
                Told::Line(line) => print(line),
                Told::Closed => break,
            }
        }
        acceptor.none_left().timeout(secs(30)).await?;
        let left = children_of(&acceptor) - processes;
        print(format!("the connections are closed: {left} of {} processes are left", load.connections));
        assert_eq!(left, 0);
        Ok(())
    }));
    match node().ended(&demonstration).await {
        ExitReason::Normal => Ok(()),
        reason => Err(reason.into()),
    }
}

/// How many processes the acceptor has spawned that have not ended.
fn children_of(acceptor: &ActorRef<Acceptor>) -> usize {
    node().processes().iter().filter(|info| info.parent == Some(acceptor.pid())).count()
}

/// A load on the server at `address`, line by line.
async fn report(
    address: SocketAddr,
    load: Load,
    wait: bool,
    mut print: impl FnMut(String) + Send + 'static,
) -> biotope::Result<()> {
    let report = spawn_link(process(async move |mut me: Process<Told>| {
        let boss = me.address();
        spawn_link(process(move |_: Process<()>| load::run(address, load, boss)));
        loop {
            match me.receive().await? {
                Told::Connected(go_on) => {
                    print(format!("{} connections are open", load.connections));
                    if wait {
                        blocking(|| std::io::stdin().lock().read_line(&mut String::new())).await?;
                    }
                    go_on.send(());
                }
                Told::Line(line) => print(line),
                Told::Closed => return Ok(()),
            }
        }
    }));
    match node().ended(&report).await {
        ExitReason::Normal => Ok(()),
        reason => Err(reason.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Other figures than the header's, but the same words. The load is in this OS process.
    #[biotope::test(allow_leftovers)]
    async fn it_prints_what_its_header_promises() -> biotope::Result<()> {
        let load = Load { connections: 200, rounds: 5, size: 64, at_once: 20 };
        let (printer, printed) = mpsc::channel();
        let run_load = move |address, boss| load::run(address, load, boss);
        demonstrate(load, run_load, move |line| printer.send(line).expect("the test reads it")).await?;
        let printed: Vec<String> = printed.try_iter().collect();
        let promised = promise::in_header(include_str!("main.rs")).into_iter().map(without_figures);
        let promised: Vec<String> = promised.collect();
        let promised: Vec<&str> = promised.iter().map(String::as_str).collect();
        assert_eq!(promise::kept(&printed.join("\n"), &promised), Ok(()));
        assert!(printed[1].starts_with("1000 echoes of 64 bytes were as sent: "), "{}", printed[1]);
        assert_eq!(printed[3], "the connections are closed: 0 of 200 processes are left");
        Ok(())
    }

    fn without_figures(line: &str) -> String {
        let words = line.split(' ').map(|word| if word.starts_with(|c: char| c.is_ascii_digit()) { "…" } else { word });
        words.collect::<Vec<_>>().join(" ")
    }
}
