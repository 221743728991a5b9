//! The busiest processes of a running system, as `top` shows those of a machine.
//!
//! ```text
//! cargo run --release --example top              every second, until Ctrl-C
//! cargo run --release --example top -- --once    one table
//! ```
//!
//! What it shows is what any program can ask of its node: `Node::processes` is a look from outside, which costs no
//! process a turn. Where the output is no terminal it prints one table. The processes are of its own: mills that always
//! have work, a clerk with a slow customer, and one that sleeps. Prints:
//!
//! ```text
//! 2 workers: 915522 turns/s, 1 steals, 1 parks, longest turn 14 ms
//! 6 processes: 6 spawned, 0 ended, 0 crashed
//! process         actor           state     handler   age   mailbox   most   reductions/s   bytes
//! fine mill       Mill            Running   grind      1s         0                827462     888
//! coarse mill     Mill            Runnable             1s         1                 88049     888
//! …
//! ```

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Instant;

use biotope::prelude::*;
use biotope::{ProcessInfo, Status};
use comfy_table::{Cell, CellAlignment, Table, presets};

/// How many processes are shown.
const SHOWN: usize = 5;

/// Always has work: each piece of it is a message to itself.
#[derive(Actor)]
struct Mill {
    grain: u64,
    ground: u64,
}

#[handlers]
impl Mill {
    #[cast]
    fn grind(&mut self, cx: &mut Context<Self>) {
        for n in 0..self.grain {
            self.ground = self.ground.wrapping_mul(31).wrapping_add(n);
        }
        cx.myself().grind();
    }
}

/// Waits for a customer most of the time, while others queue.
#[derive(Actor, Default)]
struct Clerk {
    served: u64,
}

#[handlers]
impl Clerk {
    #[cast]
    async fn serve(&mut self) {
        time::sleep(millis(100)).await;
        self.served += 1;
    }
}

/// What a look shows of the time between it and the one before.
struct Look {
    at: Instant,
    turns: u64,
    reductions: BTreeMap<Pid, u64>,
}

impl Look {
    /// Looks, and prints what has changed since.
    fn on(node: &Node, before: Option<&Self>) -> Self {
        let (runtime, processes) = (node.runtime().stats(), node.processes());
        let turns: u64 = runtime.workers.iter().map(|worker| worker.turns).sum();
        let reductions = processes.iter().map(|info| (info.pid, info.reductions)).collect();
        let look = Self { at: time::now(), turns, reductions };
        let Some(before) = before else { return look };

        let seconds = (look.at - before.at).as_secs_f64();
        let steals: u64 = runtime.workers.iter().map(|worker| worker.steals).sum();
        let parks: u64 = runtime.workers.iter().map(|worker| worker.parks).sum();
        let longest = runtime.workers.iter().map(|worker| worker.longest_turn).max().unwrap_or_default();
        println!(
            "{} workers: {:.0} turns/s, {steals} steals, {parks} parks, longest turn {} ms",
            runtime.workers.len(),
            (turns - before.turns) as f64 / seconds,
            longest.as_millis()
        );
        let stats = node.stats();
        println!(
            "{} processes: {} spawned, {} ended, {} crashed",
            stats.processes, stats.spawned, stats.ended, stats.crashed
        );
        let mut rows: Vec<(f64, ProcessInfo)> = processes
            .into_iter()
            .map(|info| {
                let done = info.reductions - before.reductions.get(&info.pid).copied().unwrap_or(0);
                (done as f64 / seconds, info)
            })
            .collect();
        rows.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        rows.truncate(SHOWN);
        println!("{}", table(look.at, &rows));
        look
    }
}

fn table(now: Instant, rows: &[(f64, ProcessInfo)]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "process",
        "actor",
        "state",
        "handler",
        "age",
        "mailbox",
        "most",
        "reductions/s",
        "bytes",
    ]);
    for (per_second, info) in rows {
        let called = info.name.as_deref().or(info.label.as_deref());
        // What code of no actor runs is named by its path, of which the end tells most.
        let actor = info.actor.rsplit("::").next().unwrap_or(info.actor);
        let figures = [
            format!("{}s", (now - info.spawned).as_secs()),
            info.mailbox_len.to_string(),
            info.high_water.map_or_else(String::new, |most| most.to_string()),
            format!("{per_second:.0}"),
            info.memory.to_string(),
        ];
        let texts = [
            called.map_or_else(|| info.pid.to_string(), str::to_owned),
            actor.to_owned(),
            format!("{:?}", info.status),
            info.activity.unwrap_or("").to_owned(),
        ];
        let figures = figures.map(|text| Cell::new(text).set_alignment(CellAlignment::Right));
        table.add_row(texts.map(Cell::new).into_iter().chain(figures));
    }
    table
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    let node = node();
    for (name, grain) in [("coarse mill", 20_000), ("fine mill", 2_000)] {
        let mill = spawn(Mill { grain, ground: 0 });
        node.register(name, &mill)?;
        mill.grind();
    }
    let clerk = spawn(Clerk::default());
    node.register("clerk", &clerk)?;
    for _ in 0..1_000 {
        clerk.serve();
    }
    let sleeper = spawn_process(async |mut me: Process<()>| Ok(me.receive().await?));
    node.register("sleeper", &sleeper)?;

    let is_live = std::io::stdout().is_terminal() && std::env::args().all(|argument| argument != "--once");
    let mut before = Look::on(&node, None);
    loop {
        time::sleep(secs(1)).await;
        if is_live {
            // The screen is cleared, and what follows begins at its top.
            print!("\x1b[2J\x1b[H");
        }
        before = Look::on(&node, Some(&before));
        if !is_live {
            let info = node.processes().into_iter().find(|info| info.pid == clerk.pid());
            assert!(info.is_some_and(|info| info.status == Status::Awaiting && info.activity == Some("serve")));
            assert!(before.reductions.len() >= SHOWN);
            return Ok(());
        }
    }
}
