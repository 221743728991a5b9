//! On what it was measured.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::contender::{HERE, said};

/// The machine, the day and the code.
#[derive(Serialize, Deserialize)]
pub(crate) struct Rig {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) date: String,
    pub(crate) commit: String,
}

pub(crate) fn look() -> Outcome<Rig> {
    let cpus = fs::read_to_string("/proc/cpuinfo").map_err(|error| format!("/proc/cpuinfo: {error}"))?;
    let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Ok(Rig {
        cpu: cpu.map_or("unknown", |(_, name)| name.trim()).to_owned(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: said(Command::new("uname").arg("-sr"))?,
        date: said(Command::new("date").arg("+%F"))?,
        // Without git, or outside a checkout, there is none.
        commit: said(Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(HERE)).unwrap_or_default(),
    })
}
