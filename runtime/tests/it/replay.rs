//! One seed is one run, to the event, also in another OS process.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use biotope_runtime::{
    Address, Call, ExitReason, Node, Priority, Process, Received, ReplyTo, Result, Runtime, node, options, process,
    spawn, spawn_monitor, spawn_process,
};
use tokio::sync::oneshot;

enum Msg {
    Work(u64),
    Report(ReplyTo<u64>),
}

/// Waits at random, works, and calls.
async fn worker(mut me: Process<u64>, hub: Address<Msg>, report: Address<u64>, number: u64) -> Result<()> {
    me.link(&hub);
    me.monitor(&hub);
    let _ = node().register(format!("worker {}", number % 7), me.pid());
    for step in 0..10 {
        let pause = Duration::from_micros(node().runtime().random() % 300);
        if me.receive().timeout(pause).await.is_ok_and(|wanted| wanted == step) {
            break;
        }
        hub.cast(Msg::Work(step));
    }
    report.cast(Call::new(&hub, Msg::Report).await?);
    Ok(())
}

/// Processes of all priorities that wait, call, link to each other, are killed, and hold names. More than a few
/// of them watch one, so that every form of table is in it.
async fn something_of_everything(mut me: Process<u64>) -> Result<()> {
    me.trap_exits(true);
    let hub = spawn_process(async |mut hub: Process<Msg>| {
        hub.trap_exits(true);
        let mut sum = 0;
        loop {
            match hub.receive_any().await? {
                Received::Message(Msg::Work(_)) if sum > 5_000 => {}
                Received::Message(Msg::Work(n)) => sum += n,
                Received::Message(Msg::Report(reply)) => reply.send(sum),
                Received::Info(_) => sum += 1,
            }
        }
    });
    let mut workers = Vec::new();
    for number in 0..40_u64 {
        let (hub, report) = (hub.clone(), me.address());
        let priority = [Priority::Low, Priority::Normal, Priority::Normal, Priority::High][number as usize % 4];
        let body = move |me| worker(me, hub, report, number);
        workers.push(spawn(options(process(body)).priority(priority)));
    }
    for (number, worker) in workers.iter().enumerate().filter(|(number, _)| number % 5 == 0) {
        worker.cast(number as u64 / 5);
        if number % 10 == 0 {
            me.exit(worker.pid(), ExitReason::Kill);
        }
    }
    let (_, short) = spawn_monitor(process(async |_: Process<()>| panic!("enough")));
    me.receive_info(|info| match info {
        biotope_runtime::Info::Down(down) if down.reference == short => Ok(()),
        other => Err(other),
    })
    .await?;
    for _ in 0..30 {
        // Killed ones report nothing.
        if me.receive().timeout(Duration::from_millis(50)).await.is_err() {
            break;
        }
    }
    me.exit(hub.pid(), ExitReason::value("done"));
    Ok(())
}

/// The hash of all events, seed by seed.
fn traces() -> Vec<u64> {
    let trace = |seed| {
        let runtime = Runtime::builder().seeded(seed).build().expect("a seeded runtime needs nothing");
        runtime.block_on(async {
            let node = Node::builder("replayed").runtime(runtime.clone()).start().await.expect("it starts");
            let (tell, told) = oneshot::channel();
            node.spawn_process(async move |me: Process<u64>| {
                let outcome = something_of_everything(me).await;
                let _ = tell.send(());
                outcome
            });
            told.await.expect("it comes to its end");
            node.shutdown().await;
        });
        runtime.trace_hash().expect("the run is seeded")
    };
    (0..24).map(trace).collect()
}

const TEST: &str = "replay::sched_rule_one_seed_is_one_run_in_every_os_process";
const CHILD: &str = "BIOTOPE_PRINT_TRACES";

/// The same seed gives the same run, to the event: in this OS process, again in it, and in two others. Each seed
/// gives another run.
#[test]
fn sched_rule_one_seed_is_one_run_in_every_os_process() {
    let ours = traces();
    if std::env::var_os(CHILD).is_some() {
        println!("traces {ours:x?}");
        return;
    }
    assert_eq!(ours, traces());
    assert_eq!(ours.iter().collect::<BTreeSet<_>>().len(), ours.len(), "two seeds gave the same run");
    for _ in 0..2 {
        let program = std::env::current_exe().expect("a test has an executable");
        let output = Command::new(program).args([TEST, "--exact", "--nocapture"]).env(CHILD, "1").output();
        let output = output.expect("a test can run itself");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(&format!("traces {ours:x?}")), "another run in another OS process:\n{said}");
    }
}
