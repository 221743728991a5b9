//! Who runs next.
//!
//! ```text
//!                          ┌─ run_queue.rs, next.rs   its own, in order ◀── steal ── other workers
//!   process ── submit ──▶ ─┼─ strict.rs   max, then high: one queue each for all workers
//!                          └─ injector    from threads that are no workers
//!                                │
//!   worker.rs:  pick ──▶ process::run (one turn) ──▶ again? to the back
//!                │ nothing to do
//!                ▼
//!   idle.rs: who sleeps, who searches    park.rs, io.rs: sleeping, one of them among the sockets
//!
//!   ticker.rs: once a millisecond, while anybody is awake: timers, long turns, blocked workers
//!   own_thread.rs: a process that has a thread to itself, and is on no run queue
//!   seeded.rs: instead of all this one thread, whose order is drawn from a seed
//! ```
//!
//! # What is promised
//! - A process is on one run queue at most, and only one worker has its turn.
//! - While a process of a strict priority is ready, no worker picks one of a lower priority.
//! - Work that is ready is picked as long as a worker is awake, and one is awake as long as there is work.
//! - When nothing can run, no thread runs.
//!
//! # Not here
//! What a turn does, and when it is over ([`process::turn`](crate::process::turn)).

mod idle;
mod io;
mod next;
mod own_thread;
mod park;
mod run_queue;
mod seeded;
mod strict;
mod ticker;
mod trimming;
mod worker;

pub(crate) use io::Io;
pub(crate) use own_thread::Home;
pub(crate) use run_queue::RunQueue;
pub(crate) use seeded::Seeded;
pub(crate) use worker::{Directory, Settings, Workers};
