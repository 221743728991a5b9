//! kameo at the same work as the rows of the bench `engine`, a file for each of its files.
//!
//! An actor implements `Message` for each kind of message, as its documentation shows. It is told with `try_send`, which
//! waits for nothing as mailboxes have no limit, and asked with `send`: to await the request itself would box a future. A
//! reply that comes later is delegated. The feature `tracing` is off.

mod ask;
mod big;
mod chameneos;
mod crowd;
mod flood;
mod fork_join;
mod host;
mod idle;
mod latency;
mod ping_pong;
mod ring;
mod spawning;
mod watching;

use std::process::ExitCode;
use std::time::Duration;

use peer::Form;
use peer::host::measured;

use latency::Crowd;

/// As it is pinned in the workspace.
const VERSION: &str = "kameo 0.22.2";

const FORMS: &[Form] = &[
    unbounded("ping_pong", |n| measured(n, ping_pong::run)),
    unbounded("crowd", crowd::run),
    unbounded("ask", |n| measured(n, ask::run)),
    unbounded("one_to_one", |n| measured(n, flood::one)),
    Form { workload: "one_to_one", name: "bounded", work: |n| measured(n, flood::one_bounded) },
    unbounded("fan_in", |n| measured(n, flood::many)),
    unbounded("ring_1", |n| measured(n, |n| ring::run(1, n))),
    unbounded("ring_100", |n| measured(n, |n| ring::run(100, n))),
    unbounded("big", |n| measured(n, big::run)),
    unbounded("chameneos", |n| measured(n, chameneos::run)),
    unbounded("fork_join", |n| measured(n, fork_join::run)),
    unbounded("spawn_latency", |n| measured(n, spawning::latency)),
    unbounded("spawn", |n| measured(n, spawning::run)),
    unbounded("monitors", |n| measured(n, watching::monitors)),
    unbounded("links", |n| measured(n, watching::links)),
    unbounded("idle_bytes", idle::bytes),
    unbounded("idle_cpu", idle::cpu),
    unbounded("fair_10us", |n| latency::run(n, Crowd::Hogs(Duration::from_micros(10)))),
    unbounded("fair_1ms", |n| latency::run(n, Crowd::Hogs(Duration::from_millis(1)))),
    unbounded("blocked", |n| latency::run(n, Crowd::Blockers)),
];

/// With mailboxes that have no limit.
const fn unbounded(workload: &'static str, work: fn(u64) -> Vec<f64>) -> Form {
    Form { workload, name: "unbounded", work }
}

fn main() -> ExitCode {
    peer::run(VERSION, FORMS)
}
