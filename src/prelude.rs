//! The names that an application types: `use biotope::prelude::*;`.

pub use std::time::Duration;

pub use crate::{
    Actor, ActorRef, Address, Call, CallError, CallFailed, Client, Context, Down, Entering, Exit, ExitReason, Fate,
    Group, GroupChange, GroupEvent, Groups, Handle, HandleOwnThread, Heard, Info, IoList, Keys, Lag, Message,
    MonitorRef, Named, Node, NodeEvent, Pid, Priority, Process, Received, Recipient, ReplyTo, Requests, Runtime, Spec,
    Start, State, StateMachine, Target, Topic, blocking, exit_now, handlers, machine, node, options, process, spawn,
    spawn_link, spawn_monitor, spawn_process, this_pid, time,
};

pub use crate::distribution::{Distribute, Distributed};
pub use crate::supervision::{
    App, AppRef, AutoShutdown, Backoff, Child, Circuit, DynamicSupervisor, DynamicSupervisorRef, Env, EventManager,
    FindPartitions, HostApplications, HostEcosystems, IntoChild, PartitionSupervisor, Partitions, Permanent, Restart,
    Shutdown, Supervisor, SupervisorRef, Task, TaskSupervisor, TaskSupervisorRef, Temporary, Transient, Trees,
};

/// `n` seconds.
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `n` milliseconds.
pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}
