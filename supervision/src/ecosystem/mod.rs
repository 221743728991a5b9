//! Ecosystems: a coordinator and its workers, wired as a mesh, ring, tree or star, on one node or many.
//!
//! ```text
//!   first node                               every node of the ecosystem
//!   supervisor                               site (linked to the coordinator)
//!   └─ coordinator ──── assign ────────────▶ └─ supervisor, rest_for_one
//!        ▲   dispatch.rs decides                  ├─ member      relay.rs decides
//!        │                                        └─ supervisor, one_for_one
//!        └──── results, along the wiring ◀────         └─ workers: the user's actor
//! ```
//!
//! Members ask for work, one job for each worker that becomes free. A job is a message of the user's
//! actor, encoded by whoever hands the work in; members and the coordinator see bytes. Results go from
//! member to member along the wiring, merged on the way, and are kept by the member that made them
//! until the coordinator has acknowledged them.
//!
//! # Promises
//! - One result for each item, while the process that handed the work in and the coordinator live;
//!   effects at least once. A job whose member is lost, or whose worker crashes, is handed out again,
//!   at most [`ATTEMPTS`] times in all.
//! - Results travel along edges of the wiring in force only. When a member comes or goes, the wiring is
//!   computed anew.
//!
//! # Not here
//! Changing the wiring or the size of a running ecosystem.

mod coordinator;
mod dispatch;
mod handle;
mod job;
mod member;
mod relay;
mod site;
mod topology;

pub use coordinator::Coordinator;
pub use dispatch::ATTEMPTS;
pub use handle::{Ecosystem, EcosystemError, EcosystemRef, EcosystemReport, MemberState, Progress, Work};
pub use member::{Member, MemberReport};
pub use site::{HostEcosystems, Site};
pub use topology::{Topology, UnknownTopology, Wiring};
