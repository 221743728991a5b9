//! Who starts, stops and restarts whom.
//!
//! # Principles
//!
//! **A process that fails ends, and somebody else starts it again from its beginning.** Code that meets what it
//! did not expect does not guess; it ends with a reason. A [`Supervisor`] does nothing but watch: so it is simple
//! enough not to fail itself.
//!
//! **Children start in order and stop in reverse.** Each may rely on those before it, from its first instruction
//! to its last. A start that fails rolls back what had started.
//!
//! **What cannot be mended is passed up.** A supervisor restarts so many times within a period; at one more it
//! stops its children and ends, and its own supervisor decides. At the top is the [`App`], which ends with it.
//!
//! **An end is asked for, waited for, and enforced.** A child is told to stop with an exit `Shutdown`, has its
//! time, and is then killed. A supervisor that is itself killed takes its children along through their links, and is started again
//! when they are gone.
//!
//! **A supervisor answers at any time**, also while a child starts or stops slowly, and can be stopped meanwhile.
//!
//! # Where to look
//!
//! ```text
//!   child_spec             what to start, how to stop it, when to restart it
//!   supervisor, client     a supervisor written down; what a running one can be asked
//!   strategy, intensity    who is affected; how many restarts are too many               (pure)
//!   backoff, circuit, past how long a child stays down that failed; what keeps it down; what is behind it
//!   core/                  every decision of a supervisor: events in, actions out        (pure)
//!   driver                 the process that does what the core decides
//!   hearing                what a supervisor of either kind waits for, and how it sends children away
//!   report                 one `tracing` event for each thing worth knowing
//!   tree/                  a tree as text, as it is declared and as it lives
//!   application/           the top of the tree: what is started and stopped as a whole, and its configuration
//!   caught                 the user's code, in a process that survives its panics
//!   events/                an event manager, whose handlers come and go and crash alone
//!   dynamic/               children that are begun while the program runs, however many
//!   partition/             one actor divided: equal processes behind one name, each with its share of the keys
//!   task/                  processes that compute one value, alone or under a supervisor of their own
//!   ecosystem/             a coordinator and its workers, wired as a mesh, ring, tree or star
//! ```
//!
//! To read it, follow a death: the child's exit reaches `driver` (`decide`), `core` (`ended`, `failed`, `step`)
//! asks `intensity` and `strategy`, and `driver` (`apply`) stops and starts.
//!
//! # Not here
//! How a process ends and whom that reaches is the runtime's. A process on another node can be a child as any
//! other; what to do about a node that is lost is not decided here.

#![forbid(unsafe_code)]

mod application;
mod backoff;
mod caught;
mod child_spec;
mod circuit;
mod client;
mod config;
mod core;
mod driver;
pub mod dynamic;
pub mod ecosystem;
mod events;
mod hearing;
mod intensity;
mod partition;
mod past;
mod report;
mod strategy;
mod supervisor;
pub mod task;
mod tree;

pub use application::{
    App, AppError, AppFailure, AppHealth, AppInfo, AppRef, AppState, Application, Applications, Callback, ConfigError,
    Env, Health, HostApplications, LoadError, Need, Origin, Secret, SetEnvError, StartAppError, StopAppError,
    StopSignal, StopSignals, Straggler, UnloadError, exit_code,
};
pub use backoff::Backoff;
pub use biotope_runtime::Restart::{Permanent, Temporary, Transient};
pub use biotope_runtime::{Restart, Shutdown};
pub use child_spec::{Child, IntoChild, Kind, Starting};
pub use circuit::Circuit;
pub use client::{
    ChangeChildCall, ChangeChildError, ChildCounts, ChildInfo, ChildStatus, DeleteChildCall, DeleteChildError, Request,
    RestartChildCall, RestartChildError, StartChildCall, StartChildError, SupervisorClient, TerminateChildCall,
    TerminateChildError,
};
pub use config::{
    DEFAULT_CHILD_CALL_TIMEOUT, DEFAULT_CIRCUIT_CHECK, DEFAULT_INTENSITY, DEFAULT_PERIOD, DEFAULT_SHUTDOWN,
};
pub use dynamic::{DynamicSupervisor, DynamicSupervisorRef};
pub use ecosystem::{Ecosystem, EcosystemError, EcosystemRef, EcosystemReport, HostEcosystems, Topology, Wiring};
pub use events::{
    AddHandlerCall, DeleteHandlerCall, DeleteHandlerError, Event, EventClient, EventManager, HandlerInfo,
    SwapHandlerCall, SwapHandlerError,
};
pub use partition::{FindPartitions, Partition, PartitionStartError, PartitionSupervisor, Partitions};
pub use strategy::{AutoShutdown, SpecError, Strategy};
pub use supervisor::{Supervisor, SupervisorRef, SupervisorStartError};
pub use task::{Task, TaskSupervisor, TaskSupervisorRef};
pub use tree::{Branch, Declared, Tree, Trees};
