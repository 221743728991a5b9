//! Nodes that meet over QUIC: what processes on different nodes see of each other.

use biotope::distribution::{Authority, Limits, Network};
use biotope::prelude::*;
use biotope::{DeadLetter, MonitorRef, StartError};

#[derive(Actor, Default)]
struct Counter {
    total: u64,
    seen: Vec<String>,
}

#[handlers(remote)]
impl Counter {
    fn add(&mut self, n: u64) -> u64 {
        self.total += n;
        self.total
    }

    fn divide(&mut self, by: u64) -> Result<u64, String> {
        self.total.checked_div(by).ok_or_else(|| "by zero".to_owned())
    }

    #[cast]
    fn note(&mut self, text: &str) {
        self.seen.push(text.to_owned());
    }

    fn notes(&self) -> Vec<String> {
        self.seen.clone()
    }

    fn hold(&mut self, reply: ReplyTo<u64>) {
        std::mem::forget(reply);
    }

    /// Calls another counter, wherever it is.
    async fn add_to(&mut self, other: ActorRef<Counter>, n: u64) -> u64 {
        other.add(n).await.unwrap_or(0)
    }

    #[cast]
    fn crash(&mut self) {
        panic!("boom");
    }
}

/// Not registered with any node.
#[derive(Actor, Default)]
struct Private;

#[handlers(remote)]
impl Private {
    fn secret(&self) -> u64 {
        42
    }
}

struct Cluster {
    runtime: Runtime,
    nodes: Vec<Node>,
}

impl Cluster {
    /// Nodes of these names on one runtime and one network thread, each joined with each before it.
    fn of(names: &[&str]) -> Self {
        let runtime = Runtime::builder().workers(2).build().unwrap();
        let network = Network::start().unwrap();
        let authority = Authority::new("test").unwrap();
        let mut nodes: Vec<Node> = Vec::new();
        for name in names {
            let mut limits = Limits::default();
            limits.heartbeat = millis(100);
            limits.down_after = millis(1_000);
            let node = Node::builder(*name)
                .runtime(runtime.clone())
                .network(network.clone())
                .identity(authority.issue(name).unwrap().identity().unwrap())
                .listen("127.0.0.1:0")
                .limits(limits)
                .startable::<(Counter,)>();
            let node = runtime.block_on(node.start()).unwrap();
            for other in &nodes {
                let joined = runtime.block_on(node.join(other.listen_addr().unwrap().to_string())).unwrap();
                assert_eq!(&*joined, other.name());
            }
            nodes.push(node);
        }
        let cluster = Self { runtime, nodes };
        cluster.await_mesh();
        cluster
    }

    /// A join is known at its own end first; waits until each node knows each.
    fn await_mesh(&self) {
        let count = self.nodes.len() - 1;
        for node in &self.nodes {
            let (sender, all_up) = tokio::sync::oneshot::channel();
            node.spawn_process(async move |mut me: Process<()>| {
                me.node().monitor_nodes(me.pid());
                while me.node().nodes().len() < count {
                    me.receive_info(|info| if matches!(info, Info::Node(_)) { Ok(()) } else { Err(info) }).await?;
                }
                let _ = sender.send(());
                Ok(())
            });
            self.runtime.block_on(all_up).unwrap();
        }
    }

    /// Runs `body` as a process of the first node.
    fn run<F>(&self, body: impl FnOnce(Process<()>) -> F + Send + 'static)
    where
        F: Future<Output = biotope::Result<()>> + Send + 'static,
    {
        let (sender, outcome) = tokio::sync::oneshot::channel();
        self.nodes[0].spawn_process(|me| {
            let running = body(me);
            async {
                let _ = sender.send(running.await);
                Ok(())
            }
        });
        self.runtime.block_on(outcome).expect("the body panicked; see the crash report").unwrap();
    }

    fn end(self) {
        for node in self.nodes.iter().rev() {
            self.runtime.block_on(node.shutdown());
        }
    }
}

async fn down(me: &mut Process<()>, watch: MonitorRef) -> biotope::Result<ExitReason> {
    let down = me.receive_info(move |info| match info {
        Info::Down(down) if down.reference == watch => Ok(down.reason),
        other => Err(other),
    });
    Ok(down.timeout(secs(30)).await?)
}

/// The same calls, the same errors, wherever the process lives.
#[test]
fn calls_and_casts_reach_a_process_of_another_node() {
    let cluster = Cluster::of(&["a", "b"]);
    let b = cluster.nodes[1].clone();
    cluster.run(async move |mut me| {
        let there = node().start_on::<Counter>("b", (), None).await?;
        assert_ne!(there.pid().node(), node().id());
        assert_eq!(there.add(2).await?, 2);
        assert_eq!(there.add(3).await?, 5);
        assert_eq!(there.divide(0).await, Err(CallError::Reply("by zero".into())));
        assert_eq!(there.divide(5).await?, 1);

        // Order between a pair: casts and calls, one after the other.
        for n in 0..500 {
            there.note(n.to_string());
        }
        let expected: Vec<String> = (0..500).map(|n: u32| n.to_string()).collect();
        assert_eq!(there.notes().await?, expected);

        // A deadline is the caller's own.
        assert_eq!(there.hold().timeout(millis(20)).await, Err(CallFailed::Timeout));

        // References travel: back home, and to a process of the node that reads them.
        let here = spawn(Counter::default());
        node().register("here", &here)?;
        let second = node().start_on::<Counter>("b", (), None).await?;
        assert_eq!(there.add_to(second.clone(), 7).await?, 7);
        assert_eq!(second.add(0).await?, 7);
        // Node a offers `Counter`, so a process of b may call one here.
        assert_eq!(there.add_to(here.clone(), 9).await?, 9);
        assert_eq!(here.add(0).await?, 9);

        // After its end, a far process is what a near one is.
        let watch = me.monitor(&there);
        there.stop();
        assert_eq!(down(&mut me, watch).await?, ExitReason::Normal);
        assert_eq!(there.add(1).await, Err(CallFailed::NoProc));
        there.note("nobody");
        assert_eq!(second.add(0).await?, 7);
        // The call and the cast.
        assert_eq!(b.dead_letters_of(DeadLetter::NoProc), 2);
        Ok(())
    });
    cluster.end();
}

/// DIST-04, MON-01, MON-02: monitors across nodes.
#[test]
fn monitors_tell_the_reason_across_nodes() {
    let cluster = Cluster::of(&["a", "b"]);
    cluster.run(async move |mut me| {
        let there = node().start_on::<Counter>("b", (), None).await?;
        let (watch, second, taken_back) = (me.monitor(&there), me.monitor(&there), me.monitor(&there));
        me.demonitor(taken_back);
        there.crash();
        for watch in [watch, second] {
            let ExitReason::Panic(report) = down(&mut me, watch).await? else { panic!("no panic") };
            assert_eq!(report.message, "boom");
            assert!(report.location.as_deref().is_some_and(|at| at.contains("cluster")));
        }
        let late = me.monitor(&there);
        assert_eq!(down(&mut me, late).await?, ExitReason::NoProc);
        Ok(())
    });
    cluster.end();
}

/// EXIT-01, EXIT-05, LINK-01, DIST-06: links and exit signals across nodes.
#[test]
fn links_and_exit_signals_cross_nodes() {
    let cluster = Cluster::of(&["a", "b"]);
    cluster.run(async move |mut me| {
        me.trap_exits(true);
        let there = node().start_on::<Counter>("b", (), Some(me.pid())).await?;
        me.exit(&there, ExitReason::Kill);
        let exit = me.receive_info(|info| match info {
            Info::Exit(exit) => Ok(exit),
            other => Err(other),
        });
        let exit = exit.timeout(secs(30)).await?;
        assert_eq!((exit.from, exit.reason), (there.pid(), ExitReason::Killed));

        me.link(&there);
        let exit = me.receive_info(|info| match info {
            Info::Exit(exit) => Ok(exit),
            other => Err(other),
        });
        assert_eq!(exit.timeout(secs(30)).await?.reason, ExitReason::NoProc);

        let local = spawn(Counter::default());
        let far = node().start_on::<Counter>("b", (), Some(local.pid())).await?;
        let watch = me.monitor(&local);
        me.exit(&far, ExitReason::value("why"));
        let ExitReason::Remote { text, .. } = down(&mut me, watch).await? else { panic!("not remote") };
        assert_eq!(&*text, "\"why\"");
        Ok(())
    });
    cluster.end();
}

/// DIST-01, DIST-02, DIST-05: a node that goes takes its processes along, once, after all they sent.
#[test]
fn a_lost_node_is_the_end_of_everything_on_it() {
    let cluster = Cluster::of(&["a", "b"]);
    let b = cluster.nodes[1].clone();
    let runtime = cluster.runtime.clone();
    cluster.run(async move |mut me| {
        me.trap_exits(true);
        me.node().monitor_nodes(me.pid());
        let there = node().start_on::<Counter>("b", (), Some(me.pid())).await?;
        let unanswered = there.hold().timeout(secs(30)).send();
        let watch = me.monitor(&there);
        assert_eq!(there.add(1).await?, 1);
        let _tokio = runtime.tokio();
        let goodbye = b.clone();
        node().spawn_process(async move |_: Process<()>| {
            goodbye.shutdown().await;
            Ok(())
        });
        // Its processes end first, as it shuts down; then the connection.
        let reason = down(&mut me, watch).await?;
        assert!([ExitReason::Shutdown, ExitReason::NoConnection].contains(&reason), "{reason}");
        let unanswered = unanswered.await.unwrap_err();
        assert!(matches!(unanswered, CallFailed::Died(_) | CallFailed::NoConnection), "{unanswered}");
        let went = me.receive_info(|info| match info {
            Info::Node(event) => Ok(event),
            other => Err(other),
        });
        assert_eq!(went.timeout(secs(30)).await?, NodeEvent::Down("b".into()));
        assert!(node().nodes().is_empty());
        assert_eq!(there.add(1).await, Err(CallFailed::NoConnection));
        let gone = me.monitor(&there);
        assert_eq!(down(&mut me, gone).await?, ExitReason::NoConnection);
        Ok(())
    });
    cluster.end();
}

/// Invariant 9: what is not registered is not reached and not started, and its caller hears why.
#[test]
fn only_registered_actors_are_reached_and_started() {
    let cluster = Cluster::of(&["a", "b"]);
    let b = cluster.nodes[1].clone();
    let private = b.spawn(Private);
    let pid = private.pid();
    b.register("private", &private).unwrap();
    cluster.run(async move |_| {
        assert!(private.secret().await? == 42, "from anywhere in this OS process");
        let far = ActorRef::<Private>::at(&node(), pid).expect("a pid of another node");
        let refused = far.secret().await;
        assert!(matches!(refused, Err(CallFailed::Malformed(_))), "{refused:?}");
        assert_eq!(b.dead_letters_of(DeadLetter::NotRegistered), 1);
        let refused = node().start_on::<Private>("b", (), None).await;
        assert_eq!(refused.err(), Some(StartError::NotStartable("Private".into())));

        // A counter's message to a process that is none: found by name, and counted as unknown.
        let there = node().start_on::<Counter>("b", (), None).await?;
        let wrong = ActorRef::<Private>::at(&node(), there.pid()).expect("a pid of another node");
        assert_eq!(wrong.secret().await, Err(CallFailed::UnknownMethod));
        assert_eq!(b.dead_letters_of(DeadLetter::UnknownMethod), 1);
        assert_eq!(there.add(1).await?, 1, "nobody else suffers");
        Ok(())
    });
    cluster.end();
}

#[test]
fn a_name_is_found_on_another_node() {
    let cluster = Cluster::of(&["a", "b", "c"]);
    let counter = cluster.nodes[2].spawn(Counter::default());
    cluster.nodes[2].register("counter", &counter).unwrap();
    cluster.run(async move |_| {
        let found = node().lookup_on::<Counter>("c", "counter").await;
        assert_eq!(found.unwrap().expect("it is registered").add(4).await?, 4);
        assert!(node().lookup_on::<Counter>("b", "counter").await.unwrap().is_none());
        let nowhere = node().lookup_on::<Counter>("z", "counter").await;
        assert_eq!(nowhere.err(), Some(ExitReason::NoConnection));
        Ok(())
    });
    cluster.end();
}

/// SIG-02 across nodes: an exit signal keeps its place.
#[test]
fn an_exit_signal_keeps_its_place_across_nodes() {
    let cluster = Cluster::of(&["a", "b"]);
    cluster.run(async move |mut me| {
        for _ in 0..100 {
            let there = node().start_on::<Counter>("b", (), None).await?;
            let watch = me.monitor(&there);
            there.note("early");
            me.exit(&there, ExitReason::ShutdownWith("good".into()));
            there.crash();
            assert_eq!(down(&mut me, watch).await?, ExitReason::ShutdownWith("good".into()));
        }
        Ok(())
    });
    cluster.end();
}
