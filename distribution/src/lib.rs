//! Nodes that meet over QUIC: identities, associations, channels.
#![expect(dead_code, reason = "the upper half uses it")]

mod config;
mod connection;
mod identity;
mod wire;

pub use config::{Limits, LimitsError};
pub use connection::channel::{Channel, ChannelsError, Priority};
pub use connection::network::Network;
pub use connection::transport::ListenError;
pub use identity::{
    Authority, AuthorityError, AuthorityPem, CertificateError, Identity, IdentityError, IdentityPem,
};
pub use wire::handshake::NameError;
