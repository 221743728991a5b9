//! Area SM, case by case: state machines, by hand and by `#[machine]`.
//!
//! Each test's name begins with the ID of its case. A case about a delay or about something that never happens runs in
//! virtual time; all else runs under 200 seeds and on the real scheduler.

mod events;
mod life;
mod limits;
mod looks;
mod probe;
mod timeouts;
mod transitions;
