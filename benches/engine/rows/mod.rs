//! The work, each file with both contenders side by side.
//!
//! Biotope's half is what its users would write: `#[derive(Actor)]` and `#[handlers]`, plain `fn` where
//! nothing is awaited, straight-line processes where the code is a line. Tokio's half is what tokio's
//! users would write for the same: a task with an unbounded channel for each process.

mod allocations;
mod ask;
mod backlog;
mod big;
mod chameneos;
mod crowd;
mod echo;
mod flood;
mod fork_join;
mod idle;
mod latency;
mod ping_pong;
mod ring;
mod shares;
mod spawning;
mod timers;
mod watching;

use std::time::Duration;

use biotope::Priority::{High, Normal};

pub(crate) use self::echo::{CLIENTS as ECHO_CLIENTS, run_clients as run_echo_clients};
use self::latency::Crowd::{Blockers, BlockingWork, Hogs, LongQueues};
use crate::host::{biotope, tokio};
use crate::row::Row;

/// Messages of the rows about latency, one for each millisecond.
const BEATS: (u64, u64) = (10_000, 2_000);

/// How long shares are watched, in milliseconds.
const WATCHED: (u64, u64) = (5_000, 1_000);

const SHORT: Duration = Duration::from_micros(10);
const LONG: Duration = Duration::from_millis(1);

/// All rows, in the order of the table.
pub(crate) fn all() -> Vec<Row> {
    vec![
        Row::new("ping_pong", "ns per round trip", (1_000_000, 200_000), |n| biotope(n, ping_pong::on_biotope))
            .against(|n| tokio(n, ping_pong::on_tokio)),
        Row::new("ping_pong_straight", "ns per round trip", (1_000_000, 200_000), |n| {
            biotope(n, ping_pong::straight_on_biotope)
        }),
        Row::new("crowd", "ns per round trip", (1_000_000, 200_000), crowd::on_biotope)
            .against(crowd::on_tokio)
            .at_most(3),
        Row::new("ask", "ns per call", (1_000_000, 200_000), |n| biotope(n, ask::on_biotope))
            .against(|n| tokio(n, ask::on_tokio)),
        Row::new("one_to_one", "ns per message", (4_000_000, 1_000_000), |n| biotope(n, flood::one_on_biotope))
            .against(|n| tokio(n, flood::one_on_tokio)),
        Row::new("one_to_one_bounded", "ns per message", (4_000_000, 1_000_000), |n| {
            biotope(n, flood::one_bounded_on_biotope)
        })
        .against(|n| tokio(n, flood::one_bounded_on_tokio)),
        Row::new("fan_in", "ns per message", (3_000_000, 1_000_000), |n| biotope(n, flood::many_on_biotope))
            .against(|n| tokio(n, flood::many_on_tokio)),
        Row::new("ring_1", "ns per hop", (2_000_000, 400_000), |n| biotope(n, |n| ring::on_biotope(1, n)))
            .against(|n| tokio(n, |n| ring::on_tokio(1, n))),
        Row::new("ring_100", "ns per hop", (4_000_000, 1_000_000), |n| biotope(n, |n| ring::on_biotope(100, n)))
            .against(|n| tokio(n, |n| ring::on_tokio(100, n))),
        Row::new("ring_1_straight", "ns per hop", (2_000_000, 400_000), |n| {
            biotope(n, |n| ring::straight_on_biotope(1, n))
        }),
        Row::new("ring_100_straight", "ns per hop", (4_000_000, 1_000_000), |n| {
            biotope(n, |n| ring::straight_on_biotope(100, n))
        }),
        Row::new("big", "ns per message", (2_000_000, 800_000), |n| biotope(n, big::on_biotope))
            .against(|n| tokio(n, big::on_tokio)),
        Row::new("chameneos", "ns per meeting", (500_000, 100_000), |n| biotope(n, chameneos::on_biotope))
            .against(|n| tokio(n, chameneos::on_tokio)),
        Row::new("fork_join", "ns per message", (4_000_000, 800_000), |n| biotope(n, fork_join::on_biotope))
            .against(|n| tokio(n, fork_join::on_tokio)),
        Row::new("spawn_latency", "ns per process", (200_000, 50_000), |n| biotope(n, spawning::latency_on_biotope))
            .against(|n| tokio(n, spawning::latency_on_tokio)),
        Row::new("spawn", "ns per process", (500_000, 100_000), |n| biotope(n, spawning::on_biotope))
            .against(|n| tokio(n, spawning::on_tokio)),
        Row::new("spawn_straight", "ns per process", (500_000, 100_000), |n| biotope(n, spawning::straight_on_biotope)),
        Row::new("monitors", "ns per watcher", (100_000, 50_000), |n| biotope(n, watching::monitors_on_biotope))
            .against(|n| tokio(n, watching::on_tokio)),
        Row::new("monitors_bare", "ns per watcher", (100_000, 50_000), |n| biotope(n, watching::monitors_on_biotope))
            .against(|n| tokio(n, watching::on_tokio_bare)),
        Row::new("links", "ns per watcher", (100_000, 50_000), |n| biotope(n, watching::links_on_biotope)),
        Row::new("idle_bytes", "bytes per process", (1_000_000, 200_000), idle::bytes_on_biotope)
            .against(idle::bytes_on_tokio)
            .figures(&["idle_bytes", "idle_bytes_used", "idle_bytes_rested"])
            .at_most(3),
        Row::new("idle_cpu", "CPU ms per second", (1_000_000, 200_000), idle::cpu_on_biotope)
            .against(idle::cpu_on_tokio)
            .at_most(3),
        Row::new("allocs", "per million", (500_000, 100_000), allocations::on_biotope).figures(&[
            "allocs_cast",
            "allocs_call",
            "allocs_async",
        ]),
        Row::new("echo", "ns per echo", (300_000, 50_000), echo::on_biotope)
            .against(echo::on_tokio)
            .figures(&["echo", "echo_cpu"]),
        Row::new("fair_10us", "µs", BEATS, |n| latency::on_biotope(n, Hogs(SHORT), Normal))
            .against(|n| latency::on_tokio(n, Hogs(SHORT)))
            .figures(&["fair_10us_p50", "fair_10us_p99", "fair_10us_max"])
            .at_most(3),
        Row::new("fair_10us_high", "µs", BEATS, |n| latency::on_biotope(n, Hogs(SHORT), High))
            .figures(&["fair_10us_high_p50", "fair_10us_high_p99", "fair_10us_high_max"])
            .at_most(3),
        Row::new("fair_1ms", "µs", BEATS, |n| latency::on_biotope(n, Hogs(LONG), Normal))
            .against(|n| latency::on_tokio(n, Hogs(LONG)))
            .figures(&["fair_1ms_p50", "fair_1ms_p99", "fair_1ms_max"])
            .at_most(3),
        Row::new("fair_1ms_high", "µs", BEATS, |n| latency::on_biotope(n, Hogs(LONG), High))
            .figures(&["fair_1ms_high_p50", "fair_1ms_high_p99", "fair_1ms_high_max"])
            .at_most(3),
        Row::new("fair_queues", "µs", BEATS, |n| latency::on_biotope(n, LongQueues, Normal))
            .against(|n| latency::on_tokio(n, LongQueues))
            .figures(&["fair_queues_p50", "fair_queues_p99", "fair_queues_max"])
            .at_most(3),
        Row::new("blocked", "µs", BEATS, |n| latency::on_biotope(n, Blockers, Normal))
            .against(|n| latency::on_tokio(n, Blockers))
            .figures(&["blocked_p50", "blocked_p99", "blocked_max"])
            .at_most(3),
        Row::new("blocked_high", "µs", BEATS, |n| latency::on_biotope(n, Blockers, High))
            .figures(&["blocked_high_p50", "blocked_high_p99", "blocked_high_max"])
            .at_most(3),
        Row::new("blocking", "µs", BEATS, |n| latency::on_biotope(n, BlockingWork, Normal))
            .against(|n| latency::on_tokio(n, BlockingWork))
            .figures(&["blocking_p50", "blocking_p99", "blocking_max"])
            .at_most(3),
        Row::new("shares", "most/least", WATCHED, shares::on_biotope).against(shares::on_tokio).at_most(3),
        Row::new("tick", "µs late", (500, 100), shares::ticks_on_biotope)
            .against(shares::ticks_on_tokio)
            .figures(&["tick_p50", "tick_p99", "tick_max"])
            .at_most(3),
        Row::new("low_share", "normal/low", WATCHED, shares::low_on_biotope).at_most(3),
        Row::new("backlog_call", "times as long", (500_000, 100_000), backlog::calls_on_biotope),
        Row::new("backlog_match", "ns per message", (500_000, 100_000), |n| biotope(n, backlog::searches_on_biotope)),
        Row::new("timers", "ns per pair", (1_000_000, 200_000), timers::on_biotope).at_most(3),
    ]
}
