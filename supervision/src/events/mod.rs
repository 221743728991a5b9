//! Event managers: handlers that are added and removed while events come, each of which crashes alone. OTP's `gen_event`.
//!
//! ```text
//!   notify, sync_notify ──▶ manager ──▶ roster: who is given it now, for whom it is kept      (pure)
//!                              │
//!                              ├──▶ handler     an actor that takes the events as messages
//!                              ├──▶ handler
//!                              └──▶ …
//!
//!   client     what a running manager can be asked
//! ```
//!
//! # A handler is a process
//! In OTP all handlers are modules that run in the manager's process, and it catches what they throw. Here each is an actor
//! with a process of its own. So a handler that crashes, is killed, blocks or has too much memory touches no other, not even by
//! keeping it waiting; it has an init, a terminate, calls, a mailbox with a limit, and a report of its crash, as every actor
//! has; and what it is called by is its [`ActorRef`](biotope_runtime::ActorRef).
//!
//! # What is promised
//! Each handler is given the events of the manager in the order in which the manager took them, from when it was added to when
//! it is removed. Between two handlers there is no order: they run at once. `sync_notify` returns when all have handled it.
//!
//! Handlers are linked to their manager, and stopped before it ends. One that ends is removed, and not started again: whoever
//! has added it may monitor it, and decide.

mod client;
mod manager;
mod roster;

pub use client::{
    AddHandlerCall, DeleteHandlerCall, DeleteHandlerError, Event, EventClient, HandlerInfo, SwapHandlerCall,
    SwapHandlerError,
};
pub use manager::EventManager;
