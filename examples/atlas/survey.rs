//! The work: an ecosystem of examiners on the given nodes, and what they find, put together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use biotope::prelude::*;
use biotope::supervision::{Ecosystem, EcosystemReport, Topology};

use crate::atlas::{Added, Atlas};
use crate::examiner::{Examiner, Gauge};
use crate::protocol::{Done, Told};
use crate::report::{self, NodeRow, Summary};
use crate::{Options, faults, sources};

/// How many examiners each node has.
const EXAMINERS: usize = 2;

/// Progress is told after so many files.
const PROGRESS_EVERY: usize = 50;

/// Makes the atlas on `nodes`, of which this is the first; `tell` hears how it goes.
pub(crate) async fn make(options: &Options, nodes: &[String], tell: impl Fn(Told)) -> biotope::Result<Done> {
    let start = Instant::now();
    let files = sources::find(&options.paths, Path::new(env!("CARGO_MANIFEST_DIR")))?;
    let ecosystem =
        Ecosystem::<Examiner>::named("atlas").workers(EXAMINERS).topology(options.topology).on(nodes).spawn().await?;

    let mut survey = Survey { atlas: Atlas::default(), bytes_sent: BTreeMap::new(), lost: 0 };
    let mut work = ecosystem.coordinate_work(&files, |worker, file| worker.examine(file.path.clone()));
    let has_faults = !options.no_faults && nodes.len() > 1;
    let faults_at = if has_faults { files.len() / 3 } else { usize::MAX };
    let (mut done, mut panics) = (0, 0);
    while let Some((index, outcome)) = work.next().await {
        done += 1;
        match outcome {
            Ok(outcome) if !(options.drop_result && done == 1) => {
                let key = files[index].key.clone();
                if survey.atlas.add(key.clone(), outcome) == Added::Contradiction {
                    return Err(std::io::Error::other(format!("two different results for {key}")).into());
                }
            }
            // Given up after too many attempts, or dropped on purpose: counted as lost below.
            _ => {}
        }
        if done == faults_at.max(1) && has_faults {
            let progress = ecosystem.progress().await?;
            if let Some(victims) = faults::choose(&progress) {
                panics += u64::from(faults::panic_one(&ecosystem, victims.panicking).await?);
                tell(Told::Kill(victims.killed));
            }
        }
        if done % PROGRESS_EVERY == 0 || done == files.len() {
            let progress = ecosystem.progress().await?;
            let answered = |number: usize| progress.answered.get(&(number as u64)).copied().unwrap_or_default();
            let by = nodes.iter().enumerate().map(|(number, node)| (node.clone(), answered(number))).collect();
            tell(Told::Progress { done, of: files.len(), by });
            survey.read_gauges(nodes).await;
        }
    }
    survey.lost = files.len() as u64 - survey.atlas.totals().files;
    let report = faults::restarted(&ecosystem, panics).await?;
    let done = survey.finish(options, nodes, &report, start);
    ecosystem.stop().await;
    Ok(done)
}

struct Survey {
    atlas: Atlas,
    /// What each node last said it had sent.
    bytes_sent: BTreeMap<String, u64>,
    lost: u64,
}

impl Survey {
    /// Asks every node how much it has sent; one that was killed has said so before.
    async fn read_gauges(&mut self, nodes: &[String]) {
        for name in nodes {
            let Ok(Some(gauge)) = node().lookup_on::<Gauge>(name, "gauge").await else { continue };
            if let Ok(bytes) = gauge.bytes_sent().timeout(secs(1)).await {
                self.bytes_sent.insert(name.clone(), bytes);
            }
        }
    }

    fn finish(&self, options: &Options, nodes: &[String], report: &EcosystemReport, start: Instant) -> Done {
        let totals = self.atlas.totals();
        let restarts = |number: usize| report.members.get(&(number as u64)).map_or(0, |member| member.restarts);
        let panicked = (0..nodes.len()).map(restarts).sum();
        let edges = report.bytes_by_edge().into_iter().filter(|((from, to), _)| from != to);
        let summary = Summary {
            files: totals.files,
            unparsed: totals.unparsed,
            items: totals.items,
            digest: self.atlas.digest(),
            topology: if nodes.len() == 1 { "local".to_owned() } else { options.topology.to_string() },
            nodes: nodes.len() as u64,
            // The launcher counts those whom it killed.
            killed: 0,
            panicked,
            reassigned: report.reassigned,
            lost: self.lost,
            edges: edges.map(|((from, to), bytes)| (format!("{from}-{to}"), bytes)).collect(),
            seconds: start.elapsed().as_secs_f64(),
        };
        Done { text: self.text(options, nodes, report), summary, strays: strays(report) }
    }

    fn text(&self, options: &Options, nodes: &[String], report: &EcosystemReport) -> String {
        if let Some(name) = &options.query {
            return report::answer(&self.atlas, name);
        }
        if options.json {
            return String::new();
        }
        let row = |(number, node): (usize, &String)| {
            let member = report.members.get(&(number as u64));
            NodeRow {
                node: node.clone(),
                is_lost: member.is_none(),
                files: report.answered.get(&(number as u64)).copied().unwrap_or_default(),
                restarts: member.map_or(0, |member| member.restarts),
                bytes_sent: self.bytes_sent.get(node).copied().unwrap_or_default(),
            }
        };
        let rows: Vec<NodeRow> = nodes.iter().enumerate().map(row).collect();
        report::tables(&self.atlas, &rows)
    }
}

/// The edges that carried results without being in the wiring then in force. Drawn by hand below, so
/// that the library that wired them is not its own witness.
fn strays(report: &EcosystemReport) -> Vec<String> {
    let mut strays = Vec::new();
    for &(version, from, to) in report.traffic.keys() {
        let live: &[u64] = match (version as usize).checked_sub(1).and_then(|at| report.wirings.get(at)) {
            Some(live) => live,
            None => &[],
        };
        if !drawn(report.topology, live).contains(&(from, to)) {
            strays.push(format!("{from}-{to} under wiring {version} of {live:?}"));
        }
    }
    strays
}

/// The edges among at most three live nodes, as one draws them.
fn drawn(topology: Topology, live: &[u64]) -> BTreeSet<(u64, u64)> {
    let edges: Vec<(u64, u64)> = match (topology, live) {
        (_, [] | [_]) => vec![],
        (_, &[a, b]) => vec![(a, b), (b, a)],
        (Topology::Ring, &[a, b, c]) => vec![(a, b), (b, c), (c, a)],
        (Topology::Tree { fanout: 1 }, &[a, b, c]) => vec![(a, b), (b, a), (b, c), (c, b)],
        (Topology::Star | Topology::Tree { .. }, &[a, b, c]) => vec![(a, b), (b, a), (a, c), (c, a)],
        (_, live) => live.iter().flat_map(|&from| live.iter().map(move |&to| (from, to))).collect(),
    };
    edges.into_iter().filter(|(from, to)| from != to).collect()
}
