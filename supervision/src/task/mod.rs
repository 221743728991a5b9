//! Tasks: processes that compute one value, for the process that began them or for nobody. Elixir's `Task` and
//! `Task.Supervisor`.
//!
//! ```text
//!   owner ──spawn──▶ task                     link and monitor, in one step
//!     ▲               │ value
//!     │               ├── settle              both ties gone, at once
//!     │               └── put ──▶ Place ──▶ await, yield, shutdown
//!     └─ or: it ended ── exit, then Down ──▶ Place
//! ```
//!
//! A task's value comes by no mailbox: it goes to a place that the owner's [`Task`] has. So does the `Down` of one that
//! ends without a value: the runtime hands it to the place when the owner receives it ([`Told`](biotope_runtime::Told)),
//! after the exit signal of the link. An owner that does not trap exits has ended by then, and one that does has the `Exit`
//! in its mailbox.
//!
//! # Where to look
//! ```text
//!   handle              a task in its owner's hands: await, yield, shutdown, and what a drop does
//!   begin, place        its process and its ties; where its outcome waits
//!   many                many, awaited together
//!   stream, window      one task for each item, so many at once; what decides how many    (window: pure)
//!   supervisor, client  a task supervisor written down; what a running one can be asked
//! ```
//!
//! The process of a task supervisor is that of a [dynamic supervisor](crate::dynamic), of which tasks are children.
//!
//! # What it costs
//! A process in straight-line code, whose memory comes from the runtime's pool, and beside it two allocations: the place,
//! and whom it works for. An await that has to wait sets a timer; awaiting many, and streams, allocate once more for each
//! task. To ask a supervisor for one is a call.
//!
//! # Not here
//! Tasks on other nodes: code does not travel. Whoever wants work done there calls an actor.

mod begin;
mod client;
mod handle;
mod many;
mod place;
mod stream;
mod supervisor;
mod window;

pub use client::{StartTaskCall, StartTaskChildCall, StartTaskError, TaskSupervisorClient};
pub use handle::Task;
pub use many::AwaitMany;
pub use stream::{OnTimeout, TaskStream};
pub use supervisor::{TaskSupervisor, TaskSupervisorRef};
