//! What the end of an application means.

use biotope_runtime::{ExitReason, Node, Pid, Runtime, node};
use biotope_supervision::{App, AppError, Permanent, Restart, Supervisor, Temporary, Transient};

use crate::support::*;
use crate::tools::*;

/// An application whose root supervisor gives up when its worker ends.
fn fragile(stage: &Stage, name: &'static str) -> App {
    let root = Supervisor::one_for_one().intensity(0, secs(5)).named(name).child(worker(stage, name));
    App::new(name).supervisor(root)
}

/// The process that tells the controller of the end of the application with this root supervisor: when it has ended, the
/// controller knows.
fn master_of(node: &Node, root: &str) -> Pid {
    let root = node.whereis(root).and_then(|root| node.peek(root));
    root.and_then(|root| root.parent).expect("it runs")
}

/// Ends the root supervisor `name` with `reason`, as if by itself.
fn end_root(node: &Node, stage: &Stage, name: &str, reason: &ExitReason) {
    match reason {
        ExitReason::Normal => node.lookup::<Supervisor>(name).expect("it runs").stop_with(ExitReason::Normal),
        // It gives up.
        ExitReason::Shutdown => node.exit(stage.pid(name), ExitReason::Kill),
        reason => node.exit(node.whereis(name).expect("it runs"), reason.clone()),
    }
}

async fn other_node() -> biotope_runtime::Result<Node> {
    Ok(Node::builder("other").runtime(node().runtime().clone()).start().await?)
}

/// Goal: the end of an application ends its node, or is only told, by its kind and by its reason.
/// Method: `normal` by a stop of the root supervisor from elsewhere, `shutdown` by its giving up, and a kill.
#[test]
fn app_05_the_node_stops_with_a_permanent_application() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let reasons = [ExitReason::Normal, ExitReason::Shutdown, ExitReason::Kill];
        let kinds: [(Restart, [bool; 3]); 3] =
            [(Permanent, [true, true, true]), (Transient, [false, true, true]), (Temporary, [false, false, false])];
        for (kind, fatal) in kinds {
            for (reason, is_fatal) in reasons.iter().zip(fatal) {
                let other = other_node().await?;
                let (stage, others) = (Stage::new(), Stage::new());
                let applications = other.applications();
                applications.load(fragile(&stage, "ends")).await?;
                applications.load(telling(&others, "beside")).await?;
                applications.start_as("ends", kind).await?;
                applications.start("beside").await?;
                stage.expect(["start ends"]).await;
                others.expect(["start beside"]).await;
                let master = other.ended(master_of(&other, "ends"));
                end_root(&other, &stage, "ends", reason);
                if is_fatal {
                    // All others stop in order, and nobody asked for it here.
                    let [first, second, third] = stop_of("beside");
                    others.expect([&first, &second, &third]).await;
                    other.shutdown().await;
                    let halted = other.halt_reason().expect("it was halted").to_string();
                    let ended = if *reason == ExitReason::Kill { &ExitReason::Killed } else { reason };
                    let error = AppError::Ended { name: "ends".into(), reason: ended.clone() };
                    assert_eq!(halted, error.to_string());
                } else {
                    master.await;
                    let left = applications.which_applications().await;
                    assert_eq!(left.iter().map(|app| &*app.name).collect::<Vec<_>>(), ["beside"]);
                    assert_eq!(other.halt_reason(), None);
                    other.shutdown().await;
                }
            }
        }
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_05_an_explicit_stop_never_stops_the_node() {
    everywhere(|mut me| async move {
        let before = Before::now();
        let applications = node().applications();
        let stage = Stage::new();
        applications.load(telling(&stage, "a").permanent()).await?;
        applications.start("a").await?;
        applications.stop("a").await?;
        applications.unload("a").await?;
        assert_eq!(node().halt_reason(), None);
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_05_a_run_ends_with_what_it_cannot_do_without() {
    everywhere(|mut me| async move {
        let before = Before::now();
        for kind in [Permanent, Temporary] {
            let stage = Stage::new();
            let store = fragile(&stage, "store");
            let store = if kind == Permanent { store } else { store.temporary() };
            let shop = telling(&stage, "shop").needs(store).start_on(&node()).await?;
            stage.expect(["start store", "start shop"]).await;
            let master = me.monitor(master_of(&node(), "store"));
            end_root(&node(), &stage, "store", &ExitReason::Shutdown);
            down(&mut me, master).await?;
            if kind == Permanent {
                let error = shop.ended().await.unwrap_err();
                assert_eq!(error, AppError::Ended { name: "store".into(), reason: ExitReason::Shutdown });
            } else {
                assert_eq!(running().await, ["shop"]);
                shop.stop().await?;
            }
            let [first, second, third] = stop_of("shop");
            stage.expect([&first, &second, &third]).await;
            assert_eq!(node().halt_reason(), None);
        }
        before.is_restored(&mut me).await
    });
}

#[test]
fn app_05_a_program_whose_node_is_halted_ends_with_the_reason() {
    let outcome = biotope_runtime::run(Runtime::builder(), "shop", async {
        let stage = Stage::new();
        let applications = node().applications();
        applications.load(fragile(&stage, "shop").permanent()).await?;
        applications.start("shop").await?;
        end_root(&node(), &stage, "shop", &ExitReason::Shutdown);
        std::future::pending().await
    });
    let reason = outcome.expect("there is a runtime").unwrap_err();
    assert_eq!(
        reason.to_string(),
        "application `shop` ended by itself: shutdown, after too many restarts or the end of a significant child: see the log"
    );
    assert_eq!(reason.exit_code(), 1);
}
