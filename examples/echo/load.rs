//! The load: many connections, each with a process, of which so many at a time say something and wait for the echo.

use std::io;
use std::net::SocketAddr;
use std::process::Stdio;

use biotope::Requests;
use biotope::prelude::*;
use clap::Args;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

/// How much of it there is.
#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
pub(crate) struct Load {
    /// How many connections are open at once.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// How often each says something.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// How many bytes that is. Not more than a socket takes before anybody reads.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub(crate) size: u32,
    /// How many wait for an echo at once.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) at_once: u32,
}

/// What a load tells whoever runs it.
pub(crate) enum Told {
    /// All connections are open. It goes on when this is answered.
    Connected(ReplyTo<()>),
    /// Something that it has found out.
    Line(String),
    /// It has closed the connections.
    Closed,
}

/// How long a step of it may take.
const PATIENCE: Duration = secs(60);

/// One end of a connection.
#[derive(Actor)]
struct Client {
    number: u32,
    stream: TcpStream,
}

#[handlers]
impl Client {
    /// Says something and waits for the echo. Returns how long that took. What is said differs from client to client and from
    /// round to round.
    async fn ask(&mut self, round: u32, size: u32) -> io::Result<Duration> {
        let words = [self.number.to_le_bytes(), round.to_le_bytes()].concat();
        let said: Vec<u8> = words.into_iter().cycle().take(size as usize).collect();
        let mut heard = vec![0; said.len()];
        let start = time::now();
        self.stream.write_all(&said).await?;
        self.stream.read_exact(&mut heard).await?;
        let took = time::now() - start;
        if heard == said {
            Ok(took)
        } else {
            Err(io::Error::other(format!("client {} heard other things", self.number)))
        }
    }
}

/// Connects all clients, lets each speak, and closes.
pub(crate) async fn run(address: SocketAddr, load: Load, boss: Address<Told>) -> biotope::Result<()> {
    let mut clients = Vec::new();
    for number in 0..load.connections {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        clients.push(spawn_link(Client { number, stream }));
    }
    // The last has spoken, so the server has accepted all: they come in order.
    if let Some(last) = clients.last() {
        last.ask(u32::MAX, load.size).timeout(PATIENCE).await??;
    }
    Call::new(&boss, Told::Connected).timeout(PATIENCE).await?;

    let start = time::now();
    let mut latencies = ask_all(&clients, load).await?;
    let seconds = (time::now() - start).as_secs_f64();
    latencies.sort_unstable();
    let (count, size) = (latencies.len() as f64, load.size);
    boss.cast(Told::Line(format!(
        "{count} echoes of {size} bytes were as sent: {:.0} echoes/s, {:.2} MB/s in each direction",
        count / seconds,
        count * f64::from(size) / seconds / 1e6
    )));
    let within = |percent| percentile(&latencies, percent).as_micros();
    boss.cast(Told::Line(format!(
        "50 % within {} µs, 90 % within {} µs, 99 % within {} µs, the last {} µs",
        within(50),
        within(90),
        within(99),
        within(100)
    )));

    clients.iter().for_each(|client| client.stop());
    boss.cast(Told::Closed);
    Ok(())
}

/// Lets each client speak in each round, so many at once. Returns how long each echo took.
async fn ask_all(clients: &[ActorRef<Client>], load: Load) -> biotope::Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(clients.len() * load.rounds as usize);
    let mut asked: Requests<(), io::Result<Duration>> = Requests::new();
    for round in 0..load.rounds {
        for client in clients {
            if asked.len() == load.at_once as usize
                && let Some(((), latency)) = asked.next().await
            {
                latencies.push(latency??);
            }
            asked.add((), client.ask(round, load.size).timeout(PATIENCE).send());
        }
    }
    while let Some(((), latency)) = asked.next().await {
        latencies.push(latency??);
    }
    Ok(latencies)
}

/// The smallest of `sorted` that so many percent of them do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The same, in another OS process: this program, started again.
pub(crate) async fn run_elsewhere(address: SocketAddr, load: Load, boss: Address<Told>) -> biotope::Result<()> {
    let Load { connections, rounds, size, at_once } = load;
    let options = [("--connections", connections), ("--rounds", rounds), ("--size", size), ("--at-once", at_once)];
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["load", &address.to_string(), "--wait"]);
    command.args(options.iter().flat_map(|(name, value)| [name.to_string(), value.to_string()]));
    let mut elsewhere = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;

    let nothing = || io::Error::other("the load has no standard input or output");
    let mut stdin = elsewhere.stdin.take().ok_or_else(nothing)?;
    let mut lines = BufReader::new(elsewhere.stdout.take().ok_or_else(nothing)?).lines();
    // The first line says that all are connected.
    if lines.next_line().await?.is_some() {
        Call::new(&boss, Told::Connected).timeout(PATIENCE).await?;
        stdin.write_all(b"\n").await?;
    }
    while let Some(line) = lines.next_line().await? {
        boss.cast(Told::Line(line));
    }
    let status = elsewhere.wait().await?;
    if !status.success() {
        return Err(io::Error::other(format!("the load: {status}")).into());
    }
    boss.cast(Told::Closed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<Duration> = (1..=200).map(millis).collect();
        assert_eq!([1, 50, 99, 100].map(|percent| percentile(&values, percent)), [2, 100, 198, 200].map(millis));
        assert_eq!(percentile(&values[..1], 50), millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    /// Goal: a load that hears what it did not say fails, and says so.
    #[biotope::test]
    async fn a_load_notices_a_wrong_echo() -> biotope::Result<()> {
        let liar = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = liar.local_addr()?;
        spawn_link(process(async move |_: Process<()>| {
            let (mut stream, _) = liar.accept().await?;
            let mut heard = [0; 8];
            stream.read_exact(&mut heard).await?;
            heard[7] ^= 1;
            stream.write_all(&heard).await?;
            // Until the client has gone.
            Ok(stream.read_exact(&mut heard).await.map(drop)?)
        }));
        let boss = biotope::test::spawn(process(async |mut me: Process<Told>| {
            me.receive().await?;
            Ok(())
        }));
        let load = Load { connections: 1, rounds: 1, size: 8, at_once: 1 };
        let failed = run(address, load, boss).await.expect_err("the echo is wrong");
        assert_eq!(failed.to_string(), "client 0 heard other things");
        Ok(())
    }
}
