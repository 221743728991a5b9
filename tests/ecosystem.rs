//! Ecosystems on one node: the same code as on many, over seeds and on the real scheduler.

use std::collections::BTreeSet;

use biotope::prelude::*;
use biotope::supervision::ecosystem::ATTEMPTS;
use biotope::supervision::{Ecosystem, EcosystemError, EcosystemRef, Topology};
use biotope::test::{on_threads, under_seeds};

#[derive(Actor, Default)]
struct Squarer;

#[handlers(remote)]
impl Squarer {
    async fn square(&mut self, n: u64) -> u64 {
        // Some jobs take longer than others.
        time::sleep(millis(n % 7)).await;
        n * n
    }

    fn poisoned(&mut self, n: u64) -> u64 {
        assert!(n != 3, "three is poison");
        n
    }

    #[cast]
    fn fall_over(&mut self) {
        panic!("told to");
    }
}

const TOPOLOGIES: [Topology; 5] =
    [Topology::Mesh, Topology::Ring, Topology::Tree { fanout: 1 }, Topology::Tree { fanout: 2 }, Topology::Star];

async fn spawned(topology: Topology, members: usize) -> Result<EcosystemRef<Squarer>, EcosystemError> {
    let here = node().name().to_owned();
    Ecosystem::named("squares").workers(2).topology(topology).on(vec![here; members]).spawn().await
}

async fn squares(ecosystem: &EcosystemRef<Squarer>, items: std::ops::Range<u64>) -> biotope::Result<BTreeSet<u64>> {
    let mut work = ecosystem.coordinate_work(items.clone(), |worker, n| worker.square(n));
    let mut indexes = BTreeSet::new();
    while let Some((index, square)) = work.next().await {
        let n = items.start + index as u64;
        assert_eq!(square?, n * n);
        assert!(indexes.insert(index as u64), "two results for one item");
    }
    Ok(indexes)
}

/// Each item has one result, whatever the wiring, and results use edges of the wiring only.
async fn each_item_has_one_result() -> biotope::Result<()> {
    for topology in TOPOLOGIES {
        let ecosystem = spawned(topology, 5).await?;
        assert_eq!(squares(&ecosystem, 0..100).await?.len(), 100);
        let report = ecosystem.report().await?;
        assert_eq!(report.strays(), []);
        let carried: BTreeSet<(u64, u64)> = report.traffic.keys().map(|(_, from, to)| (*from, *to)).collect();
        // A ring relays: its last edge carries results although nobody there made all of them.
        let relayed = match topology {
            Topology::Ring => (1..5).map(|n| (n, (n + 1) % 5)).collect(),
            Topology::Tree { fanout: 1 } => (1..5).map(|n| (n, n - 1)).collect(),
            Topology::Tree { .. } => (1..5).map(|n| (n, (n - 1) / 2)).collect(),
            _ => (1..5).map(|n| (n, 0)).collect(),
        };
        assert_eq!(carried, relayed, "{topology}");
        ecosystem.stop().await;
    }
    Ok(())
}

#[test]
fn each_item_has_one_result_over_seeds() {
    under_seeds("each_item_has_one_result", 100, each_item_has_one_result);
}

#[test]
fn each_item_has_one_result_on_threads() {
    for _ in 0..5 {
        on_threads("each_item_has_one_result", each_item_has_one_result);
    }
}

/// Members and workers that are killed at any moment lose nothing.
async fn deaths_lose_nothing() -> biotope::Result<()> {
    for topology in [Topology::Mesh, Topology::Ring, Topology::Tree { fanout: 1 }] {
        let ecosystem = spawned(topology, 3).await?;
        let mut work = ecosystem.coordinate_work(0..60_u64, |worker, n| worker.square(n));
        let mut results = 0;
        while let Some((index, square)) = work.next().await {
            assert_eq!(square?, (index as u64) * (index as u64));
            results += 1;
            if results == 20 {
                let progress = ecosystem.progress().await?;
                // Any member but the one beside the coordinator, and that one too.
                let victim = node().runtime().random() as usize % progress.members.len();
                node().exit(progress.members[victim].pid, ExitReason::Kill);
            }
            if results == 30 {
                let report = ecosystem.report().await?;
                let worker = report.members.values().find_map(|member| member.workers.first().copied());
                if let Some(worker) = worker.and_then(|pid| ActorRef::<Squarer>::at(&node(), pid)) {
                    worker.fall_over();
                }
            }
        }
        assert_eq!(results, 60);
        let report = ecosystem.report().await?;
        assert_eq!(report.given_up, 0);
        assert_eq!(report.strays(), []);
        assert!(report.wirings.len() > 3, "the wiring is computed anew after a death: {:?}", report.wirings);
        ecosystem.stop().await;
    }
    Ok(())
}

#[test]
fn deaths_lose_nothing_over_seeds() {
    under_seeds("deaths_lose_nothing", 200, deaths_lose_nothing);
}

#[test]
fn deaths_lose_nothing_on_threads() {
    for _ in 0..5 {
        on_threads("deaths_lose_nothing", deaths_lose_nothing);
    }
}

/// A job that ends every worker it meets is given up, and its caller hears of it; the others are done.
#[biotope::test(seeds = 100, allow_crashes)]
async fn a_poison_job_is_given_up_after_its_attempts() -> biotope::Result<()> {
    let ecosystem = spawned(Topology::Mesh, 2).await?;
    let mut work = ecosystem.coordinate_work(0..10_u64, |worker, n| worker.poisoned(n));
    let mut failed = Vec::new();
    let mut done = 0;
    while let Some((index, outcome)) = work.next().await {
        match outcome {
            Ok(n) => {
                assert_eq!(n, index as u64);
                done += 1;
            }
            Err(error) => failed.push((index, error)),
        }
    }
    assert_eq!(done, 9);
    assert!(matches!(&failed[..], [(3, CallFailed::Died(ExitReason::Panic(_)))]), "{failed:?}");
    let report = ecosystem.report().await?;
    assert_eq!((report.given_up, report.reassigned >= u64::from(ATTEMPTS) - 1), (1, true));
    ecosystem.stop().await;
    Ok(())
}

/// The end of an ecosystem leaves no process and no name.
#[biotope::test(seeds = 100)]
async fn an_ecosystem_that_is_stopped_leaves_nothing() -> biotope::Result<()> {
    let before = node().processes().len();
    let ecosystem = spawned(Topology::Ring, 3).await?;
    squares(&ecosystem, 0..10).await?;
    assert!(node().processes().len() > before + 3 * 4);
    ecosystem.stop().await;
    // Sites end over their links, one after the other; nothing else runs here meanwhile.
    while node().processes().len() > before {
        time::sleep(millis(1)).await;
    }
    assert!(node().registered().is_empty(), "{:?}", node().registered());
    Ok(())
}

#[biotope::test(seed = 0)]
async fn an_ecosystem_without_workers_is_refused() -> biotope::Result<()> {
    let refused = Ecosystem::<Squarer>::named("none").workers(0).spawn().await;
    assert!(matches!(refused, Err(EcosystemError::Empty)));
    Ok(())
}
