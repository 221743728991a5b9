//! Who starts, stops and restarts whom.

#![forbid(unsafe_code)]

mod application;
mod child_spec;
mod client;
mod config;
mod core;
mod driver;
pub mod ecosystem;
mod intensity;
mod report;
mod shutdown;
mod signals;
mod strategy;
mod supervisor;

pub use application::{App, AppError, AppRef};
pub use child_spec::Restart::{Permanent, Temporary, Transient};
pub use child_spec::{Child, IntoChild, Kind, Restart, Shutdown, Starting};
pub use client::{
    ChildCounts, ChildInfo, ChildStatus, DeleteChildCall, DeleteChildError, Request, RestartChildCall,
    RestartChildError, StartChildCall, StartChildError, SupervisorClient, TerminateChildCall, TerminateChildError,
};
pub use config::{DEFAULT_CHILD_CALL_TIMEOUT, DEFAULT_INTENSITY, DEFAULT_PERIOD, DEFAULT_SHUTDOWN};
pub use ecosystem::{Ecosystem, EcosystemError, EcosystemRef, EcosystemReport, HostEcosystems, Topology, Wiring};
pub use signals::StopSignals;
pub use strategy::Strategy;
pub use supervisor::{Supervisor, SupervisorRef, SupervisorStartError};
