//! Very many children of a dynamic supervisor: they start, crash at random, and stop, in bounded memory.
//!
//! ```text
//! cargo test -p biotope-supervision --test many                            20,000 of them
//! BIOTOPE_CHILDREN=100000 cargo test -p biotope-supervision --test many -- --nocapture
//! ```
//!
//! With `--nocapture` it tells what a child takes.

use biotope::SpawnOptions;
use biotope::memory::Accounting;
use biotope::prelude::*;

#[global_allocator]
static ALLOCATOR: Accounting = Accounting::new();

/// How many children there are.
fn children() -> usize {
    std::env::var("BIOTOPE_CHILDREN").ok().and_then(|number| number.parse().ok()).unwrap_or(20_000)
}

#[derive(Actor, Default)]
struct Session {
    _state: u64,
}

#[handlers]
impl Session {
    #[cast]
    fn fail(&mut self, cx: &mut Context<Self>) {
        cx.stop(ExitReason::value("crash"));
    }
}

/// What there is of a supervisor and its children.
#[derive(Debug)]
struct Seen {
    /// What the supervisor has allocated, and nobody has freed.
    allocated: u64,
    /// What a child takes that lies in the runtime's memory.
    of_a_child: usize,
}

async fn see(sessions: &DynamicSupervisorRef) -> biotope::Result<Seen> {
    let info = node().process_info(sessions.pid()).await.ok_or(ExitReason::NoProc)?;
    let one = sessions.which_children().await?.first().and_then(|child| child.pid());
    let of_a_child = one.and_then(|pid| node().peek(pid)).map_or(0, |info| info.memory);
    Ok(Seen { allocated: info.allocated.ok_or(ExitReason::NoProc)?, of_a_child })
}

/// Makes up for those that are gone for good, waits until all others that crashed are there again, and returns their pids.
async fn all_up(sessions: &DynamicSupervisorRef) -> biotope::Result<Vec<Pid>> {
    loop {
        let counts = sessions.count_children().await?;
        for _ in counts.specs..children() {
            sessions.start_child(Session::spec().restart(Temporary)).await?;
        }
        if counts.specs == children() && counts.active == counts.specs {
            return Ok(sessions.which_children().await?.iter().filter_map(|child| child.pid()).collect());
        }
        time::sleep(millis(1)).await;
    }
}

async fn rounds() -> biotope::Result<()> {
    let many = children();
    let sessions = DynamicSupervisor::new().intensity(u32::MAX, secs(1));
    let sessions = sessions.start_on(&node(), SpawnOptions::default()).await?;
    let before = see(&sessions).await?.allocated;
    for number in 0..many {
        let restart = if number % 2 == 0 { Permanent } else { Temporary };
        sessions.start_child(Session::spec().restart(restart)).await?;
    }
    let up = see(&sessions).await?;
    let each = (up.allocated - before) / many as u64;
    println!("{many} children: {each} bytes of the supervisor's for each, {} of the child's own", up.of_a_child);
    assert!(each < 700, "a child takes {each} bytes of its supervisor's");

    for _ in 0..4 {
        // A quarter of them crash, as they are drawn.
        for pid in all_up(&sessions).await? {
            match node().runtime().random() % 8 {
                0 => node().exit(pid, ExitReason::Kill),
                // It may have crashed since.
                1 => node().actor::<Session>(pid).iter().for_each(|session| session.fail()),
                _ => {}
            }
        }
        time::sleep(secs(10)).await;
        all_up(&sessions).await?;
        let now = see(&sessions).await?.allocated;
        assert!(now < up.allocated + up.allocated / 4, "it has grown from {} bytes to {now}", up.allocated);
    }

    assert!(node().stats().ended > many as u64 / 2, "a quarter has crashed, four times");
    sessions.stop_and_wait(ExitReason::Shutdown).await;
    assert_eq!(node().processes().iter().filter(|process| process.parent == Some(sessions.pid())).count(), 0);
    Ok(())
}

/// In virtual time, so that nothing is waited for; and so that no worker holds free pieces for itself.
#[test]
fn very_many_children_start_crash_and_stop_in_bounded_memory() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = Runtime::builder().seeded(9).build()?;
    let node = runtime.block_on(Node::builder("many").runtime(runtime.clone()).start())?;
    let before = runtime.stats();
    runtime.block_on(biotope::run_on(&node, rounds())).map_err(|error| error.to_string())?;
    let after = runtime.stats();
    assert_eq!(
        (after.pieces, after.timers),
        (before.pieces, before.timers),
        "cells, blocks and records are given back"
    );
    assert_eq!(node.stats().processes, 0);
    Ok(())
}
