//! One peer's life: from an address that somebody wants to join, over a connection, to an association and its end.
//!
//! ```text
//!   any thread                         network thread (one for all nodes of an OS process)
//!   ──────────                         ───────────────────────────────────────────────────
//!   Transport ── commands ──────────▶  driver ── on_… ──▶ core (pure)
//!       join, disconnect, shutdown        ◀── actions ──┘   which connection is the association,
//!                                         │                 which epoch, who is silent, when to dial
//!   Peer::send ─▶ Lane ── wakes ──────▶   ├─ one writer per channel ⇒ QUIC stream
//!                                         ├─ one reader per stream  ⇐ QUIC stream
//!   events(Up, Frame, Room, Down) ◀────── ┘
//! ```
//!
//! # The parts
//! - [`core`]: decides. It knows connections by number and peers by name, takes `now`, and gives actions and a deadline;
//!   `association` is its part that knows who has heard whom, `targets` the one that knows when to dial.
//! - `driver`: does. Nothing else imports quinn; all of it runs on the network thread, so nothing in it is shared.
//! - [`channel`] names the ordered lanes between two nodes; `lane` is what waits in one of them towards one peer, where
//!   senders and the writer meet.
//! - [`transport`] and [`peer`]: the face for the upper half. [`network`] owns the thread. [`counters`] and [`close`] say
//!   what went wrong, to programs and to people.
//!
//! # What is promised
//! - `Up` comes before any frame of its association, `Down` exactly once and after all of them, before the next `Up` of that
//!   peer. The two ends agree on the epoch, which grows with each association of a pair; a frame of another
//!   epoch is dropped and counted.
//! - Frames of one channel arrive in order. What had arrived before the connection ended is delivered before `Down`.
//! - A goodbye comes after everything queued before it, unless that takes longer than `Limits::goodbye`.
//! - Whatever a stranger or a faulty peer sends ends its own stream or connection, with a text that it can read and a counter
//!   here, and touches nobody else.
//!
//! # Why some faults end a stream, and others the association
//! A stream that names an unknown channel is turned away alone: its sender is told, and nothing that was promised is
//! lost. A frame over the limit, a broken header or a stream that ends inside a frame leaves a gap in a
//! channel of the association. Links and monitors rely on there being none, so the association ends with it: its
//! processes hear of it as a lost connection, and never wait for what cannot come.
//!
//! # Not here
//! What a frame means (the upper half), who should be joined (discovery, membership), and credit: a receiver that
//! does not keep up is not yet felt by the sender before the receiver's memory is.

mod association;
pub(crate) mod channel;
pub(crate) mod close;
pub(crate) mod core;
pub(crate) mod counters;
mod driver;
mod lane;
pub(crate) mod network;
pub(crate) mod peer;
mod targets;
pub(crate) mod transport;

#[cfg(test)]
mod tests;
