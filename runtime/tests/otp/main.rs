//! Process semantics, case by case: each test's name begins with the ID of its case.
//!
//! The cases are those of Erlang/OTP that Biotope promises. A case about a delay or about something that
//! never happens runs in virtual time; all else runs on the real scheduler, and over seeds where an order
//! could matter.

mod acts;
mod alias;
mod ends;
mod exit;
mod gs;
mod gs_steps;
mod info;
mod link;
mod log;
mod mon;
mod proc;
mod puppets;
mod recv;
mod reg;
mod runs;
mod sched;
mod sig;
mod sys;
mod time;
mod two_nodes;
