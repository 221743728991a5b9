//! Supervisors, by their public faces.
//!
//! Tests are named after the cases of the specification that they show. Those of races run in virtual
//! time under many seeds, and on the real scheduler.

mod declared;
mod held;
mod listing;
mod managing;
mod restarting;
mod significant;
mod slow;
mod stopping;
mod storms;
mod support;
mod tree;
