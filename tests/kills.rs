//! Whatever dies when, nothing is left of a supervision tree.
//!
//! Each test runs a tree once and counts what is seen of its processes; and then once for each of these events, in which
//! whoever did it ends with it: while it starts, while it runs, while something is restarted, and while it stops. After each
//! run there are no processes, names, timers, links and monitors, and as much of the runtime's memory is in use (cells of
//! processes, blocks of mailboxes, records) as after the run in which nobody was ended.
//!
//! ```text
//! cargo test --test kills                       each step under 5 orders
//! BIOTOPE_SEEDS=100 cargo test --test kills     under 100
//! ```

use biotope::prelude::*;
use biotope::{SpawnOptions, test};

/// Answers, crashes, and has what must not stay behind: a name, a timer, a process that is linked and monitored.
#[derive(Actor)]
#[actor(trap_exit)]
struct Careful {
    helper: Address<()>,
}

#[handlers]
impl Careful {
    #[start]
    async fn open(cx: &mut Context<Self>) -> Self {
        cx.tell_after(secs(3600), |me| me.tick());
        time::sleep(millis(10)).await;
        let helper = node().spawn_process_with(SpawnOptions::linked_to(cx.pid()), helper);
        cx.monitor(&helper);
        Self { helper }
    }

    fn ask(&self) -> u32 {
        7
    }

    #[cast]
    fn crash(&self) {
        panic!("told to")
    }

    #[cast]
    fn tick(&self) {}

    #[terminate]
    async fn close(&mut self) {
        self.helper.cast(());
        time::sleep(millis(10)).await;
    }
}

async fn helper(mut me: Process<()>) -> biotope::Result<()> {
    me.receive().await?;
    Ok(())
}

/// Dies of whatever reaches it.
#[derive(Actor, Default)]
struct Plain;

#[handlers]
impl Plain {
    fn ask(&self) -> u32 {
        7
    }

    #[cast]
    fn crash(&self) {
        panic!("told to")
    }
}

/// A process in straight-line code that traps exits: of its parent's end it hears when it receives.
fn stubborn() -> Child {
    Child::with("stubborn", |node, options| async move {
        let body = async |mut me: Process<()>| {
            me.trap_exits(true);
            loop {
                me.receive_any().await?;
            }
        };
        Ok(node.spawn_process_with(options, body).pid())
    })
    .shutdown(millis(100))
}

/// A tree with all strategies, all kinds of children and all that is not OTP's.
fn tree() -> Supervisor {
    let chain = Supervisor::rest_for_one()
        .intensity(10, secs(5))
        .child(Careful::spec().named("first"))
        .child(Plain::spec().named("second").backoff(Backoff::new(millis(20), millis(100))))
        .child(stubborn());
    let group = Supervisor::one_for_all()
        .intensity(10, secs(5))
        .auto_shutdown(AutoShutdown::AllSignificant)
        .child(Careful::spec().named("third").restart(Transient).significant())
        .child(Plain::spec().named("fourth").circuit(Circuit::registered("first").check_every(millis(50))));
    Supervisor::one_for_one()
        .intensity(10, secs(5))
        .named("top")
        .child(chain.named("chain"))
        .child(group.named("group"))
        .child(TaskSupervisor::new().named("tasks"))
        .child(Plain::spec().named("brutal").shutdown(Shutdown::BrutalKill))
}

/// Starts the tree, uses it, lets parts of it crash, changes it, and stops it; each as far as others let it.
async fn run_and_stop() {
    let Ok(top) = tree().start_on(&node(), SpawnOptions::default()).await else { return };
    use_it(&top).await;
    top.stop_and_wait(ExitReason::Normal).await;
}

async fn use_it(top: &SupervisorRef) {
    let _ = node().named::<Careful>("first").call(|first| first.ask()).await;
    if let Some(second) = node().lookup::<Plain>("second") {
        second.crash();
    }
    if let Some(third) = node().lookup::<Careful>("third") {
        third.crash();
    }
    if let Some(tasks) = node().lookup::<TaskSupervisor>("tasks") {
        let _ = tasks.start_child(time::sleep(secs(1))).await;
    }
    time::sleep(millis(200)).await;
    let _ = top.start_child(Plain::spec().named("late")).await;
    let _ = top.terminate_child("brutal").await;
    let _ = top.restart_child("brutal").await;
    let _ = node().named::<Plain>("fourth").call(|fourth| fourth.ask()).await;
    let _ = top.terminate_child("late").await;
    let _ = top.delete_child("late").await;
}

fn seeds() -> u64 {
    std::env::var("BIOTOPE_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(5)
}

#[test]
fn nothing_is_left_whoever_is_killed_when() {
    let steps = test::at_every_event().seeds(seeds()).kill(run_and_stop);
    // If this fails, the tree is no longer what it was.
    assert!(steps > 70, "{steps} steps");
    println!("killed at each of {steps} steps under {} seeds", seeds());
}

/// Children that come and go, partitions, and who waits for them.
async fn run_many_and_stop() {
    let rooms = DynamicSupervisor::new().intensity(10, secs(5)).named("rooms");
    let shards = PartitionSupervisor::new("shards", |_| Careful::spec()).partitions(2).intensity(10, secs(5));
    let top = Supervisor::rest_for_one().intensity(10, secs(5)).child(rooms).child(shards);
    let Ok(top) = top.start_on(&node(), SpawnOptions::default()).await else { return };
    if let Some(rooms) = node().lookup::<DynamicSupervisor>("rooms") {
        let slow = rooms.start_child(Careful::spec().restart(Temporary)).send();
        let _ = rooms.start_child(Plain::spec().named("room")).await;
        let _ = rooms.start_child(Supervisor::one_for_one().child(Plain::spec())).await;
        if let Some(room) = node().lookup::<Plain>("room") {
            room.crash();
        }
        if let Ok(Some(slow)) = slow.await {
            let _ = rooms.terminate_child(slow).await;
        }
    }
    if let Ok(shards) = node().partitions::<Careful>("shards").await {
        let _ = shards.of("key").ask().await;
        shards.of("key").crash();
        let _ = shards.named("key").within(secs(1)).await;
    }
    let waiting = spawn_process(async |_: Process<()>| {
        node().named::<Plain>("nobody").within(millis(10)).await?;
        Ok(())
    });
    node().ended(&waiting).await;
    top.stop_and_wait(ExitReason::Normal).await;
}

#[test]
fn nothing_is_left_of_many_whoever_is_killed_when() {
    let steps = test::at_every_event().seeds(seeds()).kill(run_many_and_stop);
    assert!(steps > 50, "{steps} steps");
    test::at_every_event().seeds(seeds()).exit(&ExitReason::Shutdown, run_many_and_stop);
}

/// An application and one that it needs: the controller, the masters, the callbacks' helpers, the trees.
async fn run_an_application() {
    let store = App::new("store").supervisor(Supervisor::one_for_one().child(Careful::spec().named("stock")));
    let shop = App::new("shop")
        .needs(store)
        .supervisor(Supervisor::one_for_one().intensity(10, secs(5)).child(Careful::spec().named("till")))
        .phase("warm", async |_env| {
            time::sleep(millis(5)).await;
            Ok(())
        })
        .before_stop(async |_env| {
            time::sleep(millis(5)).await;
            Ok(())
        })
        .after_stop(async |_env| Ok(()));
    let Ok(shop) = shop.start_on(&node()).await else { return };
    if let Some(till) = node().lookup::<Careful>("till") {
        till.crash();
    }
    time::sleep(millis(50)).await;
    let _ = shop.stop().await;
}

#[test]
fn nothing_is_left_of_an_application_whoever_is_killed_when() {
    let steps = test::at_every_event().seeds(seeds()).kill(run_an_application);
    assert!(steps > 40, "{steps} steps");
    test::at_every_event().seeds(seeds()).exit(&ExitReason::Shutdown, run_an_application);
}

/// A supervisor that ends for any other reason than a kill stops its children in order.
#[test]
fn nothing_is_left_whoever_is_told_to_exit_when() {
    for reason in [ExitReason::Shutdown, ExitReason::value("struck")] {
        test::at_every_event().seeds(seeds()).exit(&reason, run_and_stop);
    }
}

/// A node that is shut down in the midst of all that asks everybody to stop, and is empty then.
#[test]
fn nothing_is_left_of_a_tree_that_nobody_stops_but_its_node() {
    let steps = test::at_every_event().seeds(seeds()).kill(|| async {
        let other = Node::builder("other").runtime(node().runtime().clone()).start().await?;
        if let Ok(_top) = tree().start_on(&other, SpawnOptions::default()).await {
            time::sleep(millis(50)).await;
        }
        other.shutdown().await;
        assert_eq!(other.stats().processes, 0);
        Ok::<_, biotope::Error>(())
    });
    assert!(steps > 30, "{steps} steps");
}

/// The body's own process is the parent here, and traps exits: it hears of the end of what it has started.
#[test]
fn nothing_is_left_of_a_tree_that_is_linked_to_its_parent() {
    test::at_every_event().seeds(seeds()).kill(|| async {
        let parent = spawn_process(async |_: Process<()>| {
            let top = tree().start_link().await?;
            use_it(&top).await;
            // It ends, and with it the tree.
            Err(ExitReason::value("enough").into())
        });
        node().ended(&parent).await;
        // What is linked to it ends after it.
        time::sleep(secs(10)).await;
    });
}
