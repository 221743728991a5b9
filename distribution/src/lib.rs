//! Whatever needs a peer: nodes that meet over QUIC.
//!
//! ```text
//!   setup.rs      settings on the node's builder; what can be asked of a node
//!   gateway.rs    out: runtime's gateway ──▶ frames
//!   inbound.rs    in: frames ──▶ local signals
//!   wire/         frames, hello, bodies: pure
//!   connection/   associations, channels, sockets
//!   identity/     certificates of one cluster authority
//! ```
//!
//! # Promises
//! - Nobody unknown gets in: both ends of a connection show a certificate of the cluster's authority
//!   before a byte of user data is read. There is no plaintext mode.
//! - Signals between two processes arrive in the order sent, within one association. What belongs to
//!   an old association is never delivered after it.
//! - A lost node looks like the end, with `NoConnection`, of everything on it.
//! - What arrives is data: messages for registered actors, by stable ids. Anything else is counted and
//!   skipped, and nobody else suffers.

#![forbid(unsafe_code)]

mod config;
mod connection;
mod gateway;
mod identity;
mod inbound;
mod setup;
mod wire;

pub use config::{Limits, LimitsError};
pub use connection::counters::Counters;
pub use connection::network::Network;
pub use connection::transport::{JoinError, ListenError};
pub use identity::{Authority, AuthorityError, AuthorityPem, CertificateError, Identity, IdentityError, IdentityPem};
pub use setup::{Connection, Distribute, Distributed, DistributionError};
pub use wire::handshake::NameError;
