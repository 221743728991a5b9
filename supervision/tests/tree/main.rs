//! Trees as they are declared, and as they live.

mod declared;
mod living;
#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "../it/support.rs"]
mod support;
