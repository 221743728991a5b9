//! Applications, by their public face.
//!
//! Tests are named after the cases of the specification that they show. Those of races run in virtual
//! time under many seeds, and on the real scheduler.

mod config;
mod health;
mod kinds;
mod races;
mod running;
mod starting;
mod stopping;
#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "../it/support.rs"]
mod support;
mod tools;
