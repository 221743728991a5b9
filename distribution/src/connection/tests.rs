//! Real sockets on loopback: two or three nodes, or a node and a stranger.
//!
//! Every test waits for events, never for time. What must not happen is shown by something that happens after it.

mod nodes;
mod pairs;
mod strangers;
