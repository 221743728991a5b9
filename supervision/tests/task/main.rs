//! Tasks, case by case: each test of a case has a name that begins with its ID.
//!
//! A case about a delay, or about something that never happens, runs in virtual time; all else on the real scheduler too,
//! and over seeds.

mod awaiting;
mod ends;
#[path = "../shared/runs.rs"]
mod runs;
mod streams;
mod supervised;
mod support;
