//! One process on one machine: what it needs to live, receive, wait and die.
//!
//! ```text
//!   actor, context, spec        what a user's type is; what its handlers may do; how to start it
//!   runs_on                     where its processes run: on the workers, or on threads of their own
//!   child                       how it is to be supervised
//!   machine/                    actors whose handlers depend on a state
//!   address, call, message      references, calls, free-standing messages
//!   caller                      whom a process works for, and who hears of its end without a message
//!   source                      a stream, a socket, the result of a future, as messages
//!   topic                       what is published, and heard by all who are subscribed
//!   room                        what of a message lies in a box
//!   signal, exit, pid           what processes send each other; why they end; what they are called
//!   process/                    one process: cell, turn, body, end
//!   mailbox/                    everything that is sent to it, in order of arrival
//!   scheduler/                  who runs next: threads, or one order drawn from a seed
//!   node, names, registry       a name, a process table, local names, what peers may reach
//!   keys                        what processes register under keys, with values
//!   groups                      who is a member of which process group, told as it changes
//!   gateway                     the one door to other nodes
//!   iolist                      bytes in pieces, on their way to a socket
//!   runtime, clock, timer, time what nodes run on; real and virtual time
//!   inspect, report, panics     what can be seen of a process, alive and dead
//!   storm                       crashes that are too many to be logged one by one
//!   shown                       what a state says of itself
//!   trace, visit                what one process does; a look at its state, between two handlers
//!   observe                     hooks into what processes do, if they are compiled in
//!   director                    whoever chooses who runs, and comes between a process and its messages: a test kit
//!   stats                       what a runtime and a node have done, in numbers
//!   ambient, spawn, entry       `spawn(…)` without a node in the hand; programs
//!   memory, lease, sync         what all of it is made of; what processes allocate, counted
//! ```
//!
//! This crate knows no network, no codec and no supervisor. To read it, follow a message: `call` →
//! `address` → `process::cell` → `mailbox` → `process::state` → `scheduler` → `process::run` →
//! `process::actor` → `actor`.

#[cfg(panic = "abort")]
compile_error!("biotope keeps a panic to its process by unwinding: build with `panic = \"unwind\"`");

mod actor;
mod address;
mod ambient;
mod call;
mod caller;
mod child;
mod clock;
mod config;
mod context;
mod dead_letters;
mod director;
mod entry;
mod exit;
mod gateway;
mod groups;
mod inspect;
mod iolist;
mod keys;

mod lease;
mod lints;
mod machine;
mod mailbox;
pub mod memory;
mod message;
mod named;
mod names;
mod node;
mod observe;
mod panics;
mod pid;
mod priority;
mod process;
mod registry;
mod report;
mod room;
mod runs_on;
mod runtime;
mod scheduler;
mod shown;
mod signal;
mod source;
mod spawn;
mod spec;
mod stats;
mod storm;
mod sync;
pub mod time;
mod timer;
mod topic;
mod trace;
mod visit;

pub use actor::{
    Actor, Bounded, Client, Declared, Handle, HandleOwnThread, Movable, Options, Outcome, Overflow, Refused, Start,
    Step,
};
pub use address::{ActorRef, Address, SendError};
pub use call::{Call, CallCycle, CallError, CallFailed, CycleMember, Fate, ReplyTo, Request, Requests, multi_call};
pub use caller::{Caller, Told, settle, spawn_for};
pub use child::{Restart, Shutdown};
pub use config::DEFAULT_CALL_TIMEOUT;
pub use context::Context;
pub use dead_letters::{DeadLetter, DeadLetterEvent, DeadLetterEvents};
pub use director::{Choices, Director, Meeting};
#[doc(hidden)]
pub use entry::{MainOptions, main};
pub use entry::{run, run_on};
pub use exit::{Coded, Error, ExitReason, Exited, PanicReport, Reason, Result};
pub use gateway::{
    Carrier, DecodeError, FarFuture, FarReply, Gateway, Incoming, MethodId, Outgoing, PendingReply, Remote, StartFar,
    Wire,
};
pub use groups::{Group, GroupChange, GroupEvent, Groups, LeaveError, NotLocal};
pub use inspect::{MessageCounts, Observed, ProcessInfo, ProcessStatus, Status};
pub use iolist::IoList;
pub use keys::{AlreadyRegistered, Keys};
pub use lints::{Lint, LintEvent, LintEvents};
pub use machine::{Entering, Event, Rule, State, StateMachine, Treatment, When};
pub use message::{Accepts, Envelope, Message, Recipient, RecipientCall};
pub use named::{LookupError, Named};
pub use names::{NotRegistered, RegisterError};
pub use node::{Ended, Extension, NoSuchName, Node, NodeBuilder, NodeError, SpawnOptions, Stalls, WeakNode};
#[cfg(feature = "observe")]
pub use observe::Observer;
pub use pid::{NodeId, Pid};
pub use priority::Priority;
#[doc(hidden)]
pub use process::any;
pub use process::{
    Alias, AliasEnd, HandlerSizes, Me, PriorityAlias, Process, Receive, ReceiveError, Received, Sizes, sizes,
};
pub use registry::{RemoteActors, StartableActors};
pub use report::{CrashReport, CrashReports};
#[doc(hidden)]
pub use room::{Held, Hold, Packed, Room, fits};
pub use runs_on::{OwnThread, RunsOn, Shared};
pub use runtime::{Runtime, RuntimeBuilder, RuntimeError};
#[doc(hidden)]
pub use shown::{ByDebug, ByNothing, Shown};
pub use signal::{Down, Exit, Info, MonitorRef, NodeEvent, Signal, Target};
pub use source::{NotHandled, Source, SourceBuilder};
pub use spawn::{blocking, exit_now, node, spawn, spawn_link, spawn_monitor, spawn_process, this_pid, with_me};
pub use spec::{Code, Configured, Spawn, Spec, StartError, options, process};
pub use stats::{NodeStats, RuntimeStats, WorkerStats};
#[doc(hidden)]
pub use storm::Occurrence;
pub use time::{reduce, yield_now};
pub use timer::TimerRef;
pub use topic::{Heard, Lag, PublishError, Subscription, Topic, TopicStats};
pub use trace::{TraceEvent, TraceFeed, Traced, TracesLost};
pub use visit::VisitError;
