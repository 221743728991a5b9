//! What is measured, how much of it is done, and what the figures are called.

use crate::Outcome;

/// One workload. What each is can be read in `benches/README.md`.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// What a unit is.
    pub(crate) unit: &'static str,
    /// How many units a round is, in a full run and in a quick one.
    counts: (u64, u64),
    /// No more rounds than so many, of what takes long and hardly differs from one to the next.
    at_most: usize,
    pub(crate) parts: &'static [Part],
}

/// What a contender's program is asked for, and the metrics that its figures are; those without a name are left out.
pub(crate) struct Part {
    pub(crate) asked: &'static str,
    pub(crate) metrics: &'static [&'static str],
}

const ROUNDS: usize = 5;
const QUICK_ROUNDS: usize = 3;

const LATENCY: &[&str] = &["p50_us", "p99_us", "max_us"];
/// With the victim at high priority.
const HIGH: &[&str] = &["", "high_p99_us", ""];

impl Workload {
    pub(crate) fn count(&self, quick: bool) -> u64 {
        if quick { self.counts.1 } else { self.counts.0 }
    }

    pub(crate) fn rounds(&self, quick: bool) -> usize {
        if quick { QUICK_ROUNDS } else { ROUNDS }.min(self.at_most)
    }

    /// The metrics, in the order of the table.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = &'static str> {
        self.parts.iter().flat_map(|part| part.metrics).copied().filter(|metric| !metric.is_empty())
    }
}

/// All, in the order of the table.
pub(crate) fn all() -> Vec<Workload> {
    macro_rules! workload {
        ($name:literal, $unit:literal, $counts:expr, $metrics:expr) => {
            workload!($name, $unit, $counts, ROUNDS, &[Part { asked: $name, metrics: $metrics }])
        };
        ($name:literal, $unit:literal, $counts:expr, $at_most:expr, $parts:expr) => {
            Workload { name: $name, unit: $unit, counts: $counts, at_most: $at_most, parts: $parts }
        };
    }
    vec![
        workload!("spawn", "process", (500_000, 50_000), &["ns"]),
        workload!("spawn_latency", "process", (200_000, 20_000), &["ns"]),
        workload!(
            "idle_bytes",
            "process",
            (1_000_000, 200_000),
            3,
            &[Part { asked: "idle_bytes", metrics: &["bytes"] }]
        ),
        workload!("ping_pong", "round trip", (1_000_000, 100_000), &["ns"]),
        workload!("crowd", "round trip", (1_000_000, 100_000), 3, &[Part { asked: "crowd", metrics: &["ns"] }]),
        workload!("ask", "call", (1_000_000, 100_000), &["ns"]),
        workload!("one_to_one", "message", (4_000_000, 500_000), &["ns"]),
        workload!("fan_in", "message", (3_000_000, 500_000), &["ns"]),
        workload!("ring_1", "hop", (2_000_000, 200_000), &["ns"]),
        workload!("ring_100", "hop", (4_000_000, 500_000), &["ns"]),
        workload!("big", "message", (2_000_000, 800_000), &["ns"]),
        workload!("chameneos", "meeting", (500_000, 50_000), &["ns"]),
        workload!("fork_join", "message", (4_000_000, 400_000), &["ns"]),
        workload!("monitors", "watcher", (100_000, 50_000), &["ns"]),
        workload!("links", "watcher", (100_000, 50_000), &["ns"]),
        workload!(
            "fair_10us",
            "message",
            (10_000, 1_000),
            3,
            &[Part { asked: "fair_10us", metrics: LATENCY }, Part { asked: "fair_10us_high", metrics: HIGH },]
        ),
        workload!(
            "fair_1ms",
            "message",
            (10_000, 1_000),
            3,
            &[Part { asked: "fair_1ms", metrics: LATENCY }, Part { asked: "fair_1ms_high", metrics: HIGH },]
        ),
        workload!("blocked", "message", (10_000, 1_500), 3, &[Part { asked: "blocked", metrics: LATENCY }]),
        workload!(
            "idle_cpu",
            "second",
            (1_000_000, 50_000),
            3,
            &[Part { asked: "idle_cpu", metrics: &["cpu_ms_per_s"] }]
        ),
    ]
}

/// Those of a list of names, with commas between them.
pub(crate) fn named(names: &str) -> Outcome<Vec<Workload>> {
    let known: Vec<&str> = all().iter().map(|workload| workload.name).collect();
    for name in names.split(',') {
        if !known.contains(&name) {
            return Err(format!("there is no workload `{name}`; there are {}", known.join(", ")));
        }
    }
    Ok(all().into_iter().filter(|workload| names.split(',').any(|name| name == workload.name)).collect())
}
