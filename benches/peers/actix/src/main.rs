//! actix at the same work.
//!
//! An arbiter is a thread with actors; they never move to another. So each workload comes in two forms: `one-arbiter`, where
//! the second core is idle, and `two-arbiters`, with the actors split over two threads as suits the work best. The work
//! begins in a future on the first of them.
//!
//! An actor goes on for as long as it has messages, and those that it sends itself are no exception. Where others should
//! have their turn it must wait for `yield_now`, as a task of tokio does. `fair` and `spawn` are given without that
//! (`one-arbiter`) and with it (`one-arbiter-yielding`).
//!
//! There is nothing like `monitors` and `links`.

mod arbiters;
mod ask;
mod big;
mod chameneos;
mod crowd;
mod flood;
mod fork_join;
mod idle;
mod latency;
mod ping_pong;
mod ring;
mod spawning;

use std::process::ExitCode;
use std::time::Duration;

use peer::Form;

use self::arbiters::{once, warm};
use self::latency::Crowd::{Blockers, Hogs, YieldingHogs};

const SHORT: Duration = Duration::from_micros(10);
const LONG: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    let form = |workload, name, work| Form { workload, name, work };
    let one = |workload, work| form(workload, "one-arbiter", work);
    let two = |workload, work| form(workload, "two-arbiters", work);
    peer::run(
        "actix 0.13.5",
        &[
            one("spawn", |n| warm(1, n, spawning::all_at_once)),
            form("spawn", "one-arbiter-yielding", |n| warm(1, n, spawning::by_hundreds)),
            two("spawn", |n| warm(2, n, spawning::all_at_once)),
            form("spawn", "two-arbiters-yielding", |n| warm(2, n, spawning::by_hundreds)),
            one("idle_bytes", |n| once(1, n, idle::bytes)),
            two("idle_bytes", |n| once(2, n, idle::bytes)),
            one("ping_pong", |n| warm(1, n, ping_pong::work)),
            two("ping_pong", |n| warm(2, n, ping_pong::work)),
            one("ask", |n| warm(1, n, ask::work)),
            two("ask", |n| warm(2, n, ask::work)),
            one("one_to_one", |n| warm(1, n, flood::one)),
            two("one_to_one", |n| warm(2, n, flood::one)),
            one("fan_in", |n| warm(1, n, flood::many)),
            two("fan_in", |n| warm(2, n, flood::many)),
            one("ring_1", |n| warm(1, n, async |arbiters, n| ring::work(arbiters, 1, n).await)),
            two("ring_1", |n| warm(2, n, async |arbiters, n| ring::work(arbiters, 1, n).await)),
            one("ring_100", |n| warm(1, n, async |arbiters, n| ring::work(arbiters, 100, n).await)),
            two("ring_100", |n| warm(2, n, async |arbiters, n| ring::work(arbiters, 100, n).await)),
            one("big", |n| warm(1, n, big::work)),
            two("big", |n| warm(2, n, big::work)),
            one("chameneos", |n| warm(1, n, chameneos::work)),
            two("chameneos", |n| warm(2, n, chameneos::work)),
            one("fork_join", |n| warm(1, n, fork_join::work)),
            two("fork_join", |n| warm(2, n, fork_join::work)),
            one("spawn_latency", |n| warm(1, n, spawning::one_by_one)),
            two("spawn_latency", |n| warm(2, n, spawning::one_by_one)),
            one("fair_10us", |n| latency::of_victim(1, n, Hogs(SHORT))),
            form("fair_10us", "one-arbiter-yielding", |n| latency::of_victim(1, n, YieldingHogs(SHORT))),
            two("fair_10us", |n| latency::of_victim(2, n, Hogs(SHORT))),
            form("fair_10us", "two-arbiters-yielding", |n| latency::of_victim(2, n, YieldingHogs(SHORT))),
            one("fair_1ms", |n| latency::of_victim(1, n, Hogs(LONG))),
            form("fair_1ms", "one-arbiter-yielding", |n| latency::of_victim(1, n, YieldingHogs(LONG))),
            two("fair_1ms", |n| latency::of_victim(2, n, Hogs(LONG))),
            form("fair_1ms", "two-arbiters-yielding", |n| latency::of_victim(2, n, YieldingHogs(LONG))),
            one("blocked", |n| latency::of_victim(1, n, Blockers)),
            two("blocked", |n| latency::of_victim(2, n, Blockers)),
            one("crowd", |n| once(1, n, crowd::work)),
            two("crowd", |n| once(2, n, crowd::work)),
            one("idle_cpu", |n| once(1, n, idle::cpu)),
            two("idle_cpu", |n| once(2, n, idle::cpu)),
        ],
    )
}
