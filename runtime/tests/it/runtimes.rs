//! No process-wide singletons: runtimes and nodes do not know of each other.

use biotope_runtime::{ExitReason, Info, Node, Process, Runtime, run_on};

use crate::probe::{Msg, Probe};

/// Two runtimes with two nodes each, of equal names: no cross-talk.
#[test]
fn nodes_of_equal_names_in_two_runtimes_do_not_meet() {
    let nodes: Vec<(Runtime, Node)> = (0..4)
        .map(|n| {
            let runtime = Runtime::builder().workers(1).build().unwrap();
            let name = if n % 2 == 0 { "even" } else { "odd" };
            let node = runtime.block_on(Node::builder(name).runtime(runtime.clone()).start()).unwrap();
            (runtime, node)
        })
        .collect();
    let pids: Vec<_> = nodes
        .iter()
        .map(|(_, node)| {
            let probe = node.spawn(Probe::new());
            node.register("probe", &probe).unwrap();
            probe.pid()
        })
        .collect();
    for (at, (runtime, node)) in nodes.iter().enumerate() {
        assert_eq!(node.whereis("probe"), Some(pids[at]));
        assert_eq!(node.processes().len(), 1);
        for (other, pid) in pids.iter().enumerate() {
            assert_eq!(node.is_alive(*pid), at == other, "{node:?} sees a process of another node");
        }
        // A signal to a pid of the other node of this name is for a node that is not connected.
        let foreign = pids[(at + 2) % 4];
        let (sender, reason) = tokio::sync::oneshot::channel();
        node.spawn_process(async move |mut me: Process<()>| {
            me.monitor(foreign);
            let down = me.receive_info(|info| match info {
                Info::Down(down) => Ok(down),
                other => Err(other),
            });
            let _ = sender.send(down.await?.reason);
            Ok(())
        });
        assert_eq!(runtime.block_on(reason).unwrap(), ExitReason::NoConnection);
    }
    for (runtime, node) in &nodes {
        runtime.block_on(node.shutdown());
        assert!(node.processes().is_empty());
    }
}

/// Inside an existing tokio program, of either kind.
#[test]
fn a_node_works_inside_a_tokio_program() {
    for mut builder in [tokio::runtime::Builder::new_current_thread(), tokio::runtime::Builder::new_multi_thread()] {
        let tokio = builder.enable_all().build().unwrap();
        tokio.block_on(async {
            let node = Node::builder("guest").start().await.unwrap();
            let probe = node.spawn(Probe::new());
            probe.cast(Msg::Number(1));
            assert_eq!(crate::probe::seen(&probe).await.unwrap().len(), 1);
            // tokio's sockets and timers work in a process, although the host's runtime is busy here.
            let echoed = run_on(&node, async {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
                let mut client = tokio::net::TcpStream::connect(listener.local_addr()?).await?;
                let (mut server, _) = listener.accept().await?;
                client.write_all(b"hi").await?;
                let mut bytes = [0; 2];
                server.read_exact(&mut bytes).await?;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                assert_eq!(&bytes, b"hi");
                Ok(())
            });
            echoed.await.unwrap();
            node.shutdown().await;
        });
    }
}

/// The same seed gives the same order; another seed gives another.
#[test]
fn a_seed_replays_its_order() {
    let order = |seed| {
        let (sender, receiver) = std::sync::mpsc::channel();
        biotope_testkit::once(Runtime::builder().seeded(seed), async move {
            for n in 0..20 {
                let sender = sender.clone();
                biotope_runtime::spawn_process(async move |_: Process<()>| {
                    let _ = sender.send(n);
                    Ok(())
                });
            }
        })
        .unwrap();
        receiver.iter().collect::<Vec<i32>>()
    };
    assert_eq!(order(7), order(7));
    assert_ne!(order(7), order(8));
    assert_eq!(order(0), (0..20).collect::<Vec<_>>());
}

/// A test that waits for ever fails loudly in a seeded run.
#[test]
#[should_panic(expected = "would wait for ever")]
fn a_deadlock_in_a_seeded_run_is_noticed() {
    let _ = biotope_testkit::once(Runtime::builder().seeded(1), std::future::pending::<()>());
}
