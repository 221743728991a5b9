//! Children that are begun while the program runs: Elixir's `DynamicSupervisor`, OTP's `simple_one_for_one`.
//!
//! ```text
//!   start_child ──▶ core ──Start──▶ starts      each start is under way by itself, beside all others
//!                    ▲  ◀──started─────┘
//!                    │
//!   ends, deadlines ─┘──Stop, Kill──▶ the child
//! ```
//!
//! Its children do not depend on each other. So there is no order: they start side by side, one that takes long holds up
//! nobody, and at the end all are told to stop at once. A child is known by its pid. While it is started again it is known by
//! the pid that it had, and keeps its place among `max_children`.
//!
//! A [`TaskSupervisor`](crate::TaskSupervisor) is one whose children are tasks: begun at once, by code that runs once.
//!
//! # Where to look
//! ```text
//!   supervisor, client   a dynamic supervisor written down; what a running one can be asked
//!   core/                what it decides; its children, found by whatever is known of them   (pure)
//!   driver               the process that does it
//!   starts               the starts that are under way, and what each has spawned
//! ```
//!
//! # What it costs
//! Nothing that is done to one child looks at the others: with `n` of them, a start, an end and a stop take O(log n). To list
//! them takes O(n).
//!
//! # Not here
//! What a restart does to siblings: there is none of that. Children that need each other are those of a
//! [`Supervisor`](crate::Supervisor).

mod client;
mod core;
mod driver;
mod starts;
mod supervisor;

pub(crate) use self::client::Refusal;
pub use self::client::{
    AtOnce, DynamicRequest, DynamicSupervisorClient, NoSuchChild, StartDynamicChildCall, StartDynamicChildError,
    TerminateDynamicChildCall,
};
pub use self::supervisor::{DynamicSupervisor, DynamicSupervisorRef};
