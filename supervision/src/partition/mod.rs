//! One actor, divided: so many equal processes behind one name, each with its share of the keys. Elixir's
//! `PartitionSupervisor`.
//!
//! ```text
//!   carts.of(&user) ──▶ place ──▶ "carts/3" ──▶ the process that has that name now
//! ```
//!
//! The supervisor is a plain one, of the strategy one_for_one. Its children are called by their numbers, and registered under
//! the supervisor's name with the number behind it, from before their first instruction. So a key always leads to the same
//! partition, and to whichever process that is.
//!
//! # Where to look
//! ```text
//!   supervisor   a partition supervisor, written down and started
//!   handle       the running partitions: whom a key leads to
//!   place        which partition a key belongs to                   (pure)
//! ```
//!
//! # Not here
//! Another number of partitions while they run: keys would change their place.

mod handle;
mod place;
mod supervisor;

pub use handle::{FindPartitions, Partitions};
pub use supervisor::{Partition, PartitionStartError, PartitionSupervisor};
