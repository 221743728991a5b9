//! A meter that is fed by a connection and by a clock, and is given no more than it can handle.
//!
//! ```text
//! cargo run --example streams
//! ```
//!
//! The lines of a TCP connection and the ticks of a clock are streams, which the meter attaches: their items become calls of
//! its own. Each line takes a while, in which it hears the clock. No line is read before the one ahead of it has been
//! answered, so the connection fills up, and whoever writes to it has to wait. With the meter its sources end, and so does the
//! connection. Prints:
//!
//! ```text
//! the clock has ticked 5 times
//! meanwhile 4 lines have been handled, in order
//! 1702 of 20000 lines have been written: the peer has to wait
//! the meter ended: normal
//! the peer heard of it: 1702 lines were written in the end
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use biotope::prelude::*;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, unfold};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How many lines the peer would write, and how long each is: more than fits into the buffers of a connection.
const LINES: u64 = 20_000;
const LENGTH: usize = 4_000;
/// How long a line takes, and from one tick to the next.
const WORK: Duration = millis(25);
const PERIOD: Duration = millis(20);

/// Handles numbered lines, and counts ticks.
#[derive(Actor, Default)]
struct Meter {
    lines: u64,
    ticks: u64,
    /// Who is told when there were so many ticks.
    waits: Option<(u64, ReplyTo<u64>)>,
}

#[handlers]
impl Meter {
    /// Begins to take lines, and to hear a clock.
    fn attach(&mut self, lines: BoxStream<'static, io::Result<String>>, cx: &mut Context<Self>) {
        cx.attach(lines, |me, line| me.on_line(line));
        cx.attach(ticks(), |me, ()| me.on_tick());
    }

    /// Answers when the line is handled. Meanwhile this can handle other messages, and is given no other line.
    fn on_line(&mut self, line: io::Result<String>, reply: ReplyTo<biotope::Result<()>>, cx: &mut Context<Self>) {
        let number = line.map_err(biotope::Error::from).and_then(|line| Ok(line.trim_end().parse()?));
        match number {
            Ok(number) => drop(cx.pipe(work(number), |me, number| me.on_worked((number, reply)))),
            // The answer ends the source, which ends the meter.
            Err(error) => reply.send(Err(error)),
        }
    }

    #[cast]
    fn on_worked(&mut self, (number, reply): (u64, ReplyTo<biotope::Result<()>>)) {
        assert_eq!(number, self.lines, "lines come in order");
        self.lines += 1;
        reply.send(Ok(()));
    }

    fn on_tick(&mut self) {
        self.ticks += 1;
        if let Some((ticks, told)) = self.waits.take_if(|(ticks, _)| *ticks <= self.ticks) {
            told.send(ticks);
        }
    }

    /// Answers when the clock has ticked so many times.
    fn until(&mut self, ticks: u64, told: ReplyTo<u64>) {
        self.waits = Some((ticks, told));
    }

    fn lines(&self) -> u64 {
        self.lines
    }
}

/// What a line takes: here, time.
async fn work(number: u64) -> u64 {
    time::sleep(WORK).await;
    number
}

fn ticks() -> BoxStream<'static, ()> {
    unfold((), async |()| Some((time::sleep(PERIOD).await, ()))).boxed()
}

/// The lines that come over a connection, until it is closed.
fn lines_of(socket: TcpStream) -> BoxStream<'static, io::Result<String>> {
    let lines = BufReader::new(socket).lines();
    unfold(lines, async |mut lines| Some((lines.next_line().await.transpose()?, lines))).boxed()
}

/// Writes lines for as long as the other end is open, counts them, and tells how many there were.
async fn peer(mut me: Process<ReplyTo<u64>>, mut socket: TcpStream, written: Arc<AtomicU64>) -> biotope::Result<()> {
    for number in 0..LINES {
        if socket.write_all(format!("{number:<LENGTH$}\n").as_bytes()).await.is_err() {
            break;
        }
        written.store(number + 1, Relaxed);
    }
    me.receive().await?.send(written.load(Relaxed));
    Ok(())
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (outgoing, written) = (TcpStream::connect(listener.local_addr()?).await?, Arc::new(AtomicU64::new(0)));
    let counter = written.clone();
    let peer = spawn_process(async move |me: Process<ReplyTo<u64>>| peer(me, outgoing, counter).await);
    let (incoming, _) = listener.accept().await?;

    let meter = spawn(Meter::default());
    meter.attach(lines_of(incoming).boxed()).await?;
    println!("the clock has ticked {} times", meter.until(5).timeout(secs(60)).await?);
    let (handled, so_far) = (meter.lines().await?, written.load(Relaxed));
    println!("meanwhile {handled} lines have been handled, in order");
    println!("{so_far} of {LINES} lines have been written: the peer has to wait");
    assert!(so_far < LINES);

    // Who waits for an answer learns of the end.
    let waits = meter.until(u64::MAX).send();
    meter.stop();
    let Err(CallFailed::Died(reason)) = waits.await else { panic!("it was stopped") };
    println!("the meter ended: {reason}");
    let in_the_end = Call::new(&peer, |reply| reply).timeout(secs(60)).await?;
    println!("the peer heard of it: {in_the_end} lines were written in the end");
    assert!(in_the_end < LINES);
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::stream::iter;

    use super::*;

    fn numbered(lines: u64) -> BoxStream<'static, io::Result<String>> {
        iter((0..lines).map(|number| Ok(number.to_string()))).boxed()
    }

    /// A line takes 25 ms, and the clock ticks every 20.
    #[biotope::test(seeds = 50)]
    async fn one_line_at_a_time_is_handled_and_the_clock_is_heard_meanwhile() {
        let meter = biotope::test::spawn(Meter::default());
        let _ = meter.attach(numbered(100)).await;
        assert_eq!(meter.until(10).await, Ok(10));
        assert!((6..=8).contains(&meter.lines().await.unwrap()));
    }

    #[biotope::test(seeds = 50)]
    async fn a_line_that_is_no_number_ends_the_meter() {
        biotope::test::expect_crash("invalid digit");
        let meter = spawn(Meter::default());
        let waits = meter.until(u64::MAX).send();
        let _ = meter.attach(iter([Ok("0".to_owned()), Ok("one".to_owned())]).boxed()).await;
        let Err(CallFailed::Died(reason)) = waits.await else { panic!("it ends") };
        assert_eq!(reason.to_string(), "invalid digit found in string");
    }

    #[biotope::test]
    async fn the_lines_of_a_connection_come_until_it_is_closed() -> biotope::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut outgoing = TcpStream::connect(listener.local_addr()?).await?;
        let lines = lines_of(listener.accept().await?.0);
        outgoing.write_all(b"0\n1\n2").await?;
        drop(outgoing);
        let lines: Vec<_> = lines.map(|line| line.ok()).collect().await;
        assert_eq!(lines, ["0", "1", "2"].map(|line| Some(line.to_owned())));
        Ok(())
    }
}
