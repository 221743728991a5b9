//! What the bytes between two nodes mean. Nothing here does I/O or reads a clock.
//!
//! ```text
//!   one QUIC stream (one direction, one channel)
//!   ┌─────────┬──────────────┬──────────────┬───
//!   │ preface │ header, body │ header, body │ …        preface: which channel this stream is
//!   └─────────┴──────────────┴──────────────┴───       header: length, epoch, kind
//! ```
//!
//! - [`frame`]: the preface, the fixed header, and a decoder that takes a stream in any pieces.
//! - [`handshake`]: the hello that both ends send first, and what two hellos agree on.
//!
//! Everything that decodes is a function of bytes that a stranger may have written: it answers with a
//! typed error and never panics.

pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod process;
