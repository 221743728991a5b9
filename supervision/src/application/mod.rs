//! What is started and stopped as a whole: applications.
//!
//! An application has a name, a configuration, a root supervisor, and others that it needs. A node has one process that
//! starts and stops them, the controller. Between it and a root supervisor stands the master, a process for each
//! application that runs: it calls the application's callbacks, and hears meanwhile that it is to stop.
//!
//! ```text
//!   controller (one of a node) ──▶ master (one of an application) ──▶ root supervisor ──▶ children
//! ```
//!
//! ```text
//!   app, callbacks         an application written down; what it does itself
//!   applications           what a node can be asked about its applications
//!   running, signals       an application as a program: until SIGTERM or Ctrl-C
//!   order                  in which order applications start, by what they need           (pure)
//!   core/                  every decision of the controller: events in, actions out       (pure)
//!   controller, master     the processes that do what is decided
//!   stragglers, kill_tree  who has not stopped; the end of a whole tree by force
//!   config/                values, each with the place where it was said
//!   health, probe, systemd whether all is well, as data, by HTTP, for systemd
//!   errors, report         what goes wrong; what is told of it
//! ```
//!
//! # What is promised
//! - An application starts after all that it needs, and stops before it. A start that fails leaves nothing behind.
//! - The counterpart of a successful `start` is called: `after_stop` has the last word, unless the application is killed.
//! - No callback holds up a stop: one that hangs is given up, or killed when its application's time is over.
//! - A library ends no OS process: when a permanent application ends, its node is [halted](biotope_runtime::Node::halt), with
//!   the reason.
//!
//! # Not here
//! Included applications, takeover and failover between nodes; a start kind for each node; changes of a configuration that
//! an application is told of.

mod app;
mod applications;
mod callbacks;
mod config;
mod controller;
mod core;
mod errors;
mod health;
mod kill_tree;
mod master;
mod order;
mod probe;
mod report;
mod running;
mod signals;
mod stragglers;
mod systemd;

pub use app::{App, Need};
pub use applications::{AppInfo, AppState, Applications, HostApplications};
pub use callbacks::Application;
pub use config::{ConfigError, Env, Origin, Secret};
pub use errors::{
    AppError, AppFailure, Callback, LoadError, SetEnvError, StartAppError, StopAppError, Straggler, UnloadError,
    exit_code,
};
pub use health::{AppHealth, Health};
pub use running::AppRef;
pub use signals::{StopSignal, StopSignals};
