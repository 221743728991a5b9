//! One process: its memory, its states, its turn and its end.
//!
//! ```text
//!   senders (any thread)                          owner (one worker at a time)
//!   Cell::push ──▶ mailbox.rs ──▶ state.rs        run.rs: one turn
//!                  (the one intake)  │              1. signals that arrived are received  (signals.rs)
//!                                    ▼              2. the body is polled                 (body.rs)
//!                          scheduler::submit        3. idle, or submitted again; or the end (teardown.rs)
//! ```
//!
//! # Who may touch what
//! - the mailbox: any sender, under its lock; only the owner takes out;
//! - the body: the worker that holds `RUNNING` in the state word, or the teardown that it runs;
//! - links, monitors, timers ([`Control`]): the owner, and readers of `ProcessInfo`, under a lock that
//!   is taken after the mailbox's and never before it.
//!
//! # Not here
//! Which process runs when ([`scheduler`](crate::scheduler)), and what a pid of another node means
//! ([`Node::signal`](crate::Node::signal)).

mod body;
mod cell;
mod control;
mod mailbox;
mod me;
mod run;
mod signals;
mod spawn;
mod state;
mod table;
mod teardown;

pub(crate) use body::run_actor;
pub use body::{Process, Receive, ReceiveError, Received};
pub(crate) use cell::{AnyCell, Cell, Header};
pub(crate) use control::Control;
pub(crate) use mailbox::{Mailbox, Pushed};
pub use me::{Me, TimerRef};
pub(crate) use spawn::{Launch, launch, launch_actor};
pub use state::Status;
pub(crate) use table::Table;
