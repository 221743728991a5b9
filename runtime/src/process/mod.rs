//! One process: its memory, its states, its turn and its end.
//!
//! ```text
//!   senders (any thread)                              owner (one worker at a time)
//!   cell.rs: push ──▶ mailbox/ ──▶ state.rs           run.rs: one turn
//!                     (the one intake)  │               1. what must be received          (receive.rs, control.rs)
//!                                       ▼               2. the body                       (actor.rs, straight.rs)
//!                             scheduler::submit         3. it waits, or is submitted again; or ends (teardown.rs)
//! ```
//!
//! # Who may touch what
//! Whoever has the turn of a process is its owner: it alone touches the body, takes from the mailbox, and
//! changes what is marked as owned (`extra.rs`). That there is one at most is kept by two words: the
//! mailbox's, when the process waits for messages alone, and the state word, when it waits for anything
//! else. Links, monitors, aliases and the like ([`Control`]) are behind a lock; nobody holds it while it
//! sends.
//!
//! # Not here
//! Which process runs when ([`scheduler`](crate::scheduler)), and what a pid of another node means
//! ([`Node::signal`](crate::Node::signal)).

mod accounts;
mod actor;
mod alias;
mod allotment;
mod bound;
mod cell;
mod control;
mod extra;
mod header;
mod machinery;
mod me;
mod placed;
mod quota;
mod receive;
mod reference;
mod run;
mod silence;
mod sizes;
mod spawn;
mod state;
mod straight;
mod table;
mod teardown;
mod ties;
pub(crate) mod turn;

pub use alias::{Alias, AliasEnd, PriorityAlias};
pub(crate) use bound::{Excess, Spot, StallCounts, StallEvent};
pub(crate) use cell::{Awaited, Class, SendFailed};
pub(crate) use control::Holds;
pub(crate) use extra::Extra;
pub(crate) use header::{Activity, Header};
pub(crate) use machinery::{
    begin_machine, insert, is_stopping, machine, machine_mut, mailbox_limit, put_first, time_out, visit_machine,
    waiting_ahead,
};
pub use me::Me;
pub(crate) use me::{
    alias, at as me_of, attach, hibernate, is_linked, me_at, monitor, monitor_as, unalias, unwatch, watch, when_idle,
};
pub(crate) use reference::{AnyRef, CellRef, Ready};
pub use sizes::{HandlerSizes, Sizes, any, sizes};
pub(crate) use spawn::{ByActor, ByFunction, launch_actor, launch_own_thread, launch_spec, launch_straight};
pub use straight::{Process, Receive, ReceiveError, Received};
pub(crate) use table::Table;
