//! ractor at the same work as the rows of the bench `engine`, a file for each of its files.
//!
//! An actor is spawned as its documentation shows, is told with `cast` and asked with `call!`. What never changes is in
//! the actor itself, the rest in its state. Spans do not travel with messages: the feature for that is off.

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
const VERSION: &str = "ractor 0.16.5";

/// There is no `links`: an actor has one supervisor, and whoever is supervised by one that ends is killed untold.
const FORMS: &[Form] = &[
    form("ping_pong", |n| measured(n, ping_pong::run)),
    form("crowd", crowd::run),
    form("ask", |n| measured(n, ask::run)),
    form("one_to_one", |n| measured(n, flood::one)),
    form("fan_in", |n| measured(n, flood::many)),
    form("ring_1", |n| measured(n, |n| ring::run(1, n))),
    form("ring_100", |n| measured(n, |n| ring::run(100, n))),
    form("big", |n| measured(n, big::run)),
    form("chameneos", |n| measured(n, chameneos::run)),
    form("fork_join", |n| measured(n, fork_join::run)),
    form("spawn_latency", |n| measured(n, spawning::latency)),
    form("spawn", |n| measured(n, spawning::run)),
    form("monitors", |n| measured(n, watching::monitors)),
    form("idle_bytes", idle::bytes),
    form("idle_cpu", idle::cpu),
    form("fair_10us", |n| latency::run(n, Crowd::Hogs(Duration::from_micros(10)))),
    form("fair_1ms", |n| latency::run(n, Crowd::Hogs(Duration::from_millis(1)))),
    form("blocked", |n| latency::run(n, Crowd::Blockers)),
];

/// Mailboxes have no limit: there is but one form of each.
const fn form(workload: &'static str, work: fn(u64) -> Vec<f64>) -> Form {
    Form { workload, name: "actor", work }
}

fn main() -> ExitCode {
    peer::run(VERSION, FORMS)
}
