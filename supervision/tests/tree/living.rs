//! A look at a node while it lives.

use std::collections::BTreeSet;

use biotope_runtime::{ExitReason, Pid, Process, node, process, spawn_link, spawn_process, time};
use biotope_supervision::{Branch, ChildStatus, IntoChild, Kind, Supervisor, SupervisorRef, Transient, Tree, Trees};

use crate::support::*;

fn branch<'a>(tree: &'a Tree, name: &str) -> &'a Branch {
    tree.named(name).unwrap_or_else(|| panic!("no {name} in:\n{tree}"))
}

#[test]
fn each_process_is_below_its_supervisor_or_whoever_has_spawned_it() {
    everywhere(|me| async move {
        let stage = Stage::new();
        let helper = biotope_supervision::Child::with("helped", |node, options| async move {
            let (ready, is_ready) = tokio::sync::oneshot::channel();
            let helped = node.spawn_process_with(options, async move |mut me: Process<()>| {
                let helper = me.spawn_link(process(async |mut me: Process<()>| Ok(me.receive().await?)));
                node_register("helper", helper.pid())?;
                let _ = ready.send(());
                Ok(me.receive().await?)
            });
            let _ = is_ready.await;
            Ok(helped.pid())
        });
        let tills =
            Supervisor::one_for_one().child(worker(&stage, "till 1")).child(worker(&stage, "till 2")).id("tills");
        let shop = Supervisor::rest_for_one().named("shop").child(helper).child(tills.restart(Transient));
        let shop = shop.start_link().await?;
        let tills: SupervisorRef = node().actor(pid_of(&shop, "tills").await.unwrap()).unwrap();
        tills.terminate_child("till 2").await?;

        let tree = node().tree().await;
        let mine = tree.of(me.pid()).expect("whoever looks is seen");
        let outline =
            "shop (supervisor)\n  helped\n    helper\n  tills (supervisor)\n    till 1\n    till 2: stopped\n";
        let below = node().tree_below(&shop).await;
        assert_eq!(below.outline(), outline);
        let at = tree.branches.iter().position(|branch| branch.pid() == Some(shop.pid())).unwrap();
        let (theirs, here): (Vec<_>, Vec<_>) = below
            .branches
            .iter()
            .zip(&tree.branches[at..])
            .map(|(one, other)| ((one.name(), one.depth), (other.name(), other.depth - mine.depth - 1)))
            .unzip();
        assert_eq!(theirs, here, "{tree}");

        let tills = branch(&tree, "tills");
        assert_eq!(tills.process.as_ref().map(|process| process.actor), Some("Supervisor"));
        assert_eq!((tills.kind, tills.is_silent), (Kind::Supervisor, false));
        assert_eq!(tills.child.as_ref().map(|child| child.restart), Some(Transient));
        let first = branch(&tree, "till 1");
        assert_eq!((first.pid(), first.kind), (Some(stage.pid("till 1")), Kind::Worker));
        let info = first.process.as_ref().expect("it runs");
        assert!((info.actor, info.mailbox_len) == ("Worker", 0) && info.reductions > 0 && info.memory > 0);
        let second = branch(&tree, "till 2");
        assert_eq!((second.process.as_ref(), second.pid()), (None, None));
        assert_eq!(second.child.as_ref().map(|child| child.status), Some(ChildStatus::Stopped));
        assert!(branch(&tree, "helper").child.is_none());

        let text = tree.to_string();
        let head = text.lines().next().unwrap();
        for column in ["node test", "pid", "actor", "restart", "state", "restarts", "mailbox", "reductions", "bytes"] {
            assert!(head.contains(column), "{text}");
        }
        assert_eq!(text.lines().count(), tree.branches.len() + 1, "{text}");
        let line = text.lines().find(|line| line.contains("─ till 1 ")).expect("it is shown");
        assert!(
            line.contains(&format!(" {}  Worker ", first.pid().unwrap())) && line.contains(" permanent "),
            "{text}"
        );
        Ok(())
    });
}

fn node_register(name: &str, pid: Pid) -> biotope_runtime::Result<()> {
    Ok(node().register(name, pid)?)
}

#[test]
fn restarts_are_counted_in_the_list_the_tree_and_the_report() {
    everywhere(|_me| async move {
        let stage = Stage::new();
        let mut reports = node().crash_reports();
        let supervisor = Supervisor::one_for_all().intensity(5, secs(5));
        let supervisor = supervisor.child(worker(&stage, "a")).child(worker(&stage, "b")).start_link().await?;
        stage.expect(["start a", "start b"]).await;
        for restarts in 0..3 {
            stage.end("a", ExitReason::value("boom"));
            assert_eq!(reports.next().await.map(|report| report.restarts), Some(restarts));
            stage.expect(["stop a: \"boom\"", "stop b: shutdown", "start a", "start b"]).await;
            let children = supervisor.which_children().await?;
            assert!(children.iter().all(|child| child.restarts == restarts + 1), "its siblings are, too: {children:?}");
        }
        let tree = node().tree_below(&supervisor).await;
        let of = |name| branch(&tree, name).process.as_ref().map(|process| process.restarts);
        assert_eq!((of("a"), of("b")), (Some(3), Some(3)));
        // One that was stopped and is started because somebody asks for it is started again, too.
        supervisor.terminate_child("b").await?;
        supervisor.restart_child("b").await?;
        assert_eq!(supervisor.which_children().await?[1].restarts, 4);
        Ok(())
    });
}

#[test]
fn a_supervisor_that_does_not_answer_is_shown_as_it_is_seen_from_outside() {
    virtually(|_me| async move {
        let stage = Stage::new();
        let silent = Supervisor::one_for_one().named("silent").child(worker(&stage, "a")).start_link().await?;
        let _other = Supervisor::one_for_one().named("other").child(worker(&stage, "b")).start_link().await?;
        node().suspend(&silent);
        settle().await;
        let begin = time::now();
        let tree = node().tree().await;
        let took = time::now() - begin;
        assert!(took >= millis(500) && took < millis(501), "{took:?}");
        let silent = branch(&tree, "silent");
        assert_eq!((silent.kind, silent.is_silent), (Kind::Supervisor, true));
        assert!(tree.to_string().contains("suspended, no answer"), "{tree}");
        let a = tree.of(stage.pid("a")).expect("it is seen");
        assert_eq!((a.depth, a.child.as_ref(), a.name()), (silent.depth + 1, None, "Worker"));
        assert!(branch(&tree, "b").child.is_some() && !branch(&tree, "other").is_silent);
        node().resume(silent.pid().unwrap());
        assert!(node().tree().await.named("a").is_some());
        Ok(())
    });
}

/// Goal: whatever changes meanwhile, each process is there once, and a child is below the supervisor that says so.
#[test]
fn a_look_while_children_die_shows_everything_once() {
    biotope_testkit::everywhere("a look while children die", 200, 20, || async {
        let stage = Stage::new();
        let inner = |id: &'static str, children: [&'static str; 2]| {
            let children = children.map(|id| worker(&stage, id));
            Supervisor::one_for_all().intensity(1, secs(5)).children(children).id(id)
        };
        let top = Supervisor::rest_for_one().intensity(100, secs(5));
        let top = top.child(inner("left", ["1", "2"])).child(inner("right", ["3", "4"])).start_link().await?;
        let killer = {
            let stage = stage.clone();
            spawn_link(process(async move |_: Process<()>| {
                for number in 0..12 {
                    stage.kill(["1", "2", "3", "4"][number % 4]);
                    time::yield_now().await;
                }
                Ok(())
            }))
        };
        let end = node().ended(killer.pid());
        for _ in 0..6 {
            let tree = node().tree().await;
            let pids: Vec<Pid> = tree.branches.iter().filter_map(Branch::pid).collect();
            assert_eq!(pids.iter().collect::<BTreeSet<_>>().len(), pids.len(), "{tree}");
            let mut above: Vec<&Branch> = Vec::new();
            for branch in &tree.branches {
                assert!(branch.depth <= above.len(), "{tree}");
                above.truncate(branch.depth);
                let parent = above.last();
                assert!(
                    branch.child.is_none() || parent.is_some_and(|parent| parent.kind == Kind::Supervisor),
                    "{tree}"
                );
                // While no other has a turn, it is as the tree says.
                if let Some(pid) = branch.pid().filter(|_| node().runtime().is_seeded()) {
                    let is_child = parent.is_some_and(|parent| parent.kind == Kind::Supervisor);
                    assert!(branch.child.is_some() || !is_child || node().is_alive(pid), "forgotten and gone: {tree}");
                    assert!(branch.process.is_some() || !node().is_alive(pid), "it is new, and lives: {tree}");
                }
                above.push(branch);
            }
            time::yield_now().await;
        }
        end.await;
        drop(top);
        Ok::<(), biotope_runtime::Error>(())
    });
}

/// Who looks at many pays for each once: if it were not so, this would take minutes.
#[test]
fn a_hundred_thousand_processes_are_one_look_each() {
    let body = async {
        let wide: Vec<_> =
            (0..80_000).map(|_| spawn_process(async |mut me: Process<()>| Ok(me.receive().await?))).collect();
        // Each spawns the next.
        let (sender, last) = tokio::sync::oneshot::channel();
        let deep = spawn_process(async move |me: Process<()>| link_of_a_chain(me, 20_000, sender).await);
        last.await?;
        let tree = node().tree().await;
        assert!(tree.branches.len() > 100_000);
        assert!(tree.branches.iter().any(|branch| branch.depth > 20_000));
        assert!(tree.to_string().lines().count() > 100_000);
        for process in wide.iter().chain([&deep]) {
            node().exit(process.pid(), ExitReason::Shutdown);
        }
        Ok::<(), biotope_runtime::Error>(())
    };
    biotope_testkit::once(biotope_runtime::Runtime::builder(), body).unwrap();
}

fn link_of_a_chain(
    mut me: Process<()>,
    left: usize,
    last: tokio::sync::oneshot::Sender<()>,
) -> std::pin::Pin<Box<dyn Future<Output = biotope_runtime::Result<()>> + Send>> {
    Box::pin(async move {
        match left {
            0 => drop(last.send(())),
            left => drop(me.spawn_link(process(move |me| link_of_a_chain(me, left - 1, last)))),
        }
        Ok(me.receive().await?)
    })
}
