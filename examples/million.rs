//! A million processes on one machine: what one of them costs in memory and in time.
//!
//! ```text
//! cargo run --release --example million                      1,000,000 processes
//! cargo run --release --example million -- --count 10000     fewer
//! ```
//!
//! Each has a `u64` of its own, is called once and answers. Progress goes to standard error. Prints:
//!
//! ```text
//! 1000000 processes: 0.568 µs for each to be spawned
//! resident memory: 110 bytes for each, and 110 when it has answered
//! 1000000 answers: 0.197 µs for each call
//! after the node's shutdown: 0 processes
//! ```

use std::time::Instant;

use biotope::prelude::*;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

mod memory;

use memory::resident_bytes;

/// Spawns very many processes, and has each answer.
#[derive(Parser)]
struct Options {
    /// How many.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
}

/// Its number is all that it has.
#[derive(Actor)]
struct Idler {
    number: u64,
}

#[handlers]
impl Idler {
    fn number(&self) -> u64 {
        self.number
    }
}

/// How often the bar moves.
const STEP: u64 = 10_000;

fn main() -> biotope::Result<()> {
    let Options { count } = Options::parse();
    let runtime = Runtime::builder().build()?;
    let node = runtime.block_on(Node::builder("million").runtime(runtime.clone()).start())?;
    runtime.block_on(biotope::run_on(&node, measure(count)))?;
    // Each ends as it would anywhere, and this waits for the last.
    runtime.block_on(node.shutdown());
    let left = node.processes().len();
    println!("after the node's shutdown: {left} processes");
    assert_eq!(left, 0);
    Ok(())
}

async fn measure(count: u64) -> biotope::Result<()> {
    // The place for the references is resident before the first look.
    let mut idlers: Vec<Option<ActorRef<Idler>>> = vec![None; usize::try_from(count)?];
    let bar = bar(count, "spawned")?;
    let before = resident_bytes();
    let start = Instant::now();
    for (number, idler) in (0..).zip(&mut idlers) {
        *idler = Some(spawn(Idler { number }));
        if number % STEP == 0 {
            bar.inc(STEP);
            time::yield_now().await;
        }
    }
    let spawned = start.elapsed();
    bar.finish_and_clear();
    println!("{count} processes: {:.3} µs for each to be spawned", spawned.as_secs_f64() * 1e6 / count as f64);
    // A process that has been called has begun: the last to be spawned is the last to begin.
    if let Some(Some(last)) = idlers.last() {
        last.number().await?;
    }
    let idle = resident_bytes();

    let bar = self::bar(count, "answered")?;
    let start = Instant::now();
    for (number, idler) in (0..).zip(idlers.iter().flatten()) {
        assert_eq!(idler.number().await?, number);
        if number % STEP == 0 {
            bar.inc(STEP);
        }
    }
    let answered = start.elapsed();
    bar.finish_and_clear();
    let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / count as f64;
    match (before, idle, resident_bytes()) {
        (Some(before), Some(idle), Some(used)) => println!(
            "resident memory: {:.0} bytes for each, and {:.0} when it has answered",
            each(idle, before),
            each(used, before)
        ),
        _ => println!("resident memory: this system does not say, or not where Linux does"),
    }
    println!("{count} answers: {:.3} µs for each call", answered.as_secs_f64() * 1e6 / count as f64);
    Ok(())
}

/// Goes to standard error, and nowhere if that is no terminal.
fn bar(count: u64, what: &'static str) -> biotope::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len}")?;
    Ok(ProgressBar::new(count).with_style(style).with_message(what))
}
