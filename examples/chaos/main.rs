//! A tree of a thousand processes that does jobs, while somebody kills it.
//!
//! ```text
//! cargo run --release --example chaos                                              ten seconds
//! cargo run --release --example chaos -- --processes 1000 --seconds 60 --json     as long as one likes
//! ```
//!
//! The tree is a tower: floors, on which are rooms, in which are clerks who do jobs. Floors and rooms are supervisors of all three
//! strategies. Fifty times a second one of all these processes, whatever it is, is killed, panics or is told to exit; but not the
//! root, which nobody here would start again. What goes wrong too often in a room ends the room, and is its floor's concern.
//! Clients look for clerks by name, and ask again when an attempt fails, until each job has its answer. In the end the tree is
//! stopped, and nothing may be left of it.
//!
//! Crash reports go to standard error: of each kind the first, and then a line which says how many more there were. So does
//! what happens meanwhile. It exits with 1 if an answer is missing or wrong, or if anything is left. Prints:
//!
//! ```text
//! a tower of 1000 processes: 10 floors, 90 rooms, 899 clerks
//! … of them were ended: … killed, … by a panic, … told to exit
//! … processes were started in the place of others
//! … jobs, each answered once; … attempts failed
//! what is left of it: Footprint { processes: 0, names: 0, links: 0, monitors: 0, timers: 0 }
//! {"killed":…,"jobs":…,"answered_once":…,"missing":0,"restarts":…,"leaked":0}
//! ```

mod clients;
mod dice;
mod footprint;
#[cfg(test)]
#[path = "../promise/mod.rs"]
mod promise;
mod tower;

use std::time::Instant;

use biotope::prelude::*;
use biotope::{SpawnOptions, run, run_on};
use clap::Parser;
use serde::Serialize;
use tokio::sync::oneshot;

use clients::{Tally, client};
use dice::Dice;
use footprint::Footprint;
use tower::{Clerk, Tower};

/// Kills processes of a tree that does jobs.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// How many processes the tree has.
    #[arg(long, default_value_t = 1000)]
    processes: usize,
    /// For how long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many of them are ended in a second.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// How many clients there are.
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Which processes are ended when, and which clerks are asked.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prints the last line only.
    #[arg(long)]
    json: bool,
}

/// The last line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Summary {
    killed: u64,
    jobs: u64,
    answered_once: u64,
    missing: u64,
    restarts: u64,
    leaked: usize,
}

/// How processes were ended.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    killed: u64,
    panicked: u64,
    exited: u64,
}

impl Ended {
    fn all(self) -> u64 {
        self.killed + self.panicked + self.exited
    }
}

/// What has happened on the node of the tree.
struct Happened {
    ended: Ended,
    tally: Tally,
    restarts: u64,
    left: Footprint,
}

/// Ends processes of the tower until `end`. One that is being started again is nobody, and is not counted.
async fn kill(tower: Vec<String>, mut dice: Dice, rate: u32, end: Instant) -> Ended {
    let mut ended = Ended::default();
    let mut next = time::now();
    while next < end {
        next += secs(1) / rate;
        time::sleep(next.saturating_duration_since(time::now())).await;
        let name = dice.pick(&tower);
        let Some(pid) = node().whereis(name) else { continue };
        match (dice.below(3), node().actor::<Clerk>(pid)) {
            (0, Some(clerk)) => {
                clerk.break_down();
                ended.panicked += 1;
            }
            (1, _) => {
                node().exit(pid, ExitReason::value("chaos"));
                ended.exited += 1;
            }
            _ => {
                node().exit(pid, ExitReason::Kill);
                ended.killed += 1;
            }
        }
    }
    ended
}

/// Says now and then what is happening, until `end`.
async fn watch(processes: usize, end: Instant) {
    let begin = time::now();
    while time::now() < end {
        time::sleep(secs(5).min(end - time::now())).await;
        let (stats, seconds) = (node().stats(), (time::now() - begin).as_secs_f64().round());
        eprintln!(
            "{seconds} s: {} processes for {processes} in the tree, {} have crashed",
            stats.processes, stats.crashed
        );
    }
}

/// All that happens on the node of the tree.
async fn chaos(options: Options) -> biotope::Result<Happened> {
    let baseline = Footprint::of(&node());
    let tower = Tower::of(options.processes);
    let root = tower.root.start_on(&node(), SpawnOptions::child_of(this_pid())).await?;
    let spawned = node().stats().spawned;
    let end = time::now() + secs(options.seconds);

    let mut dice = Dice::new(options.seed);
    let all = [&*tower.floors, &*tower.rooms, &*tower.clerks].concat();
    let killer = Task::spawn(kill(all, dice.others(), options.rate, end));
    let clients: Vec<_> =
        (0..options.clients).map(|_| Task::spawn(client(tower.clerks.clone(), dice.others(), end))).collect();
    let watcher = Task::spawn(watch(tower.processes(), end));
    let tasks = clients.len() as u64 + 2;

    let patience = secs(options.seconds + 60);
    let ended = killer.timeout(patience).await?;
    let mut tally = Tally::default();
    Task::await_many(clients).timeout(patience).await?.into_iter().for_each(|theirs| tally.add(theirs));
    watcher.timeout(patience).await?;
    let restarts = node().stats().spawned - spawned - tasks;

    let reason = root.stop_and_wait(ExitReason::Shutdown).await;
    if reason != ExitReason::Shutdown {
        return Err(ExitReason::value(format!("the tower fell: {reason}")).into());
    }
    // Whoever ends takes a moment to be gone.
    let end = time::now() + secs(5);
    let left = loop {
        let left = Footprint::of(&node()).above(baseline);
        if left == Footprint::default() || time::now() >= end {
            break left;
        }
        time::sleep(millis(10)).await;
    };
    Ok(Happened { ended, tally, restarts, left })
}

/// All that this shows, line by line. The tree has a node of its own, so that its timers can be counted when that is gone.
async fn show(options: Options, mut print: impl FnMut(String)) -> biotope::Result<()> {
    let runtime = node().runtime().clone();
    let timers = runtime.stats().timers;
    let inner = Node::builder("tower").runtime(runtime.clone()).start().await?;
    let (sender, happened) = oneshot::channel();
    let (json, plan) = (options.json, options.clone());
    let outcome = run_on(&inner, async move {
        let _ = sender.send(chaos(plan).await?);
        Ok(())
    });
    outcome.await?;
    inner.shutdown().await;
    let Happened { ended, tally, restarts, left } = happened.await?;
    let leaked = left.sum() + runtime.stats().timers.saturating_sub(timers);

    let Tally { jobs, answered_once, wrong, retried, missing } = tally;
    let summary = Summary { killed: ended.all(), jobs, answered_once, missing, restarts, leaked };
    if !json {
        let tower = Tower::of(options.processes);
        let [floors, rooms, clerks] = [&tower.floors, &tower.rooms, &tower.clerks].map(Vec::len);
        print(format!("a tower of {} processes: {floors} floors, {rooms} rooms, {clerks} clerks", tower.processes()));
        let Ended { killed, panicked, exited } = ended;
        print(format!(
            "{} of them were ended: {killed} killed, {panicked} by a panic, {exited} told to exit",
            ended.all()
        ));
        print(format!("{restarts} processes were started in the place of others"));
        print(format!("{jobs} jobs, each answered once; {retried} attempts failed"));
        print(format!("what is left of it: {left:?}"));
    }
    print(serde_json::to_string(&summary)?);
    if missing == 0 && leaked == 0 && wrong == 0 && answered_once == jobs {
        Ok(())
    } else {
        Err(ExitReason::value(format!("{missing} answers are missing, {wrong} are wrong, {leaked} leaked")).into())
    }
}

fn main() -> biotope::Result<()> {
    let options = Options::parse();
    // Of each kind of crash one report, and how many more there were: every half a minute.
    let builder = Runtime::builder().log_at_most(1, secs(30));
    Ok(run(builder, "chaos", show(options, |line| println!("{line}")))??)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn options(processes: usize, seed: u64) -> Options {
        Options { processes, seconds: 3, rate: 20, clients: 2, seed, json: false }
    }

    /// Runs it, and returns what it prints.
    async fn printed(options: Options) -> biotope::Result<String> {
        let (printer, printed) = mpsc::channel();
        show(options, move |line| printer.send(line).expect("the test reads it")).await?;
        Ok(printed.try_iter().collect::<Vec<_>>().join("\n"))
    }

    #[biotope::test(seeds = 20, real = 1, allow_crashes)]
    async fn whoever_is_killed_each_job_is_answered_once_and_nothing_is_left() -> biotope::Result<()> {
        let text = printed(options(60, node().runtime().random())).await?;
        let promised = promise::in_header(include_str!("main.rs"));
        let mut lines: Vec<&str> = text.lines().collect();
        lines[0] = promised[0];
        assert_eq!(promise::kept(&lines.join("\n"), &promised), Ok(()));
        Ok(())
    }

    #[biotope::test(seed = 3, allow_crashes)]
    async fn with_json_there_is_one_line_of_it() -> biotope::Result<()> {
        let text = printed(Options { json: true, ..options(20, 1) }).await?;
        let summary: serde_json::Value = serde_json::from_str(&text)?;
        let fields: Vec<&str> = ["killed", "jobs", "answered_once", "missing", "restarts", "leaked"].into();
        assert!(fields.iter().all(|field| summary[field].is_u64()), "{text}");
        assert!(summary["killed"].as_u64() > Some(40) && summary["jobs"].as_u64() > Some(1_000), "{text}");
        assert_eq!((&summary["jobs"], summary["missing"].as_u64()), (&summary["answered_once"], Some(0)));
        Ok(())
    }
}
