//! The runtime's tests under the sanitizers of the compiler.
//!
//! They are switched on by an option that the stable compiler has and does not offer;
//! `RUSTC_BOOTSTRAP` makes it. The standard library is not built anew, so ThreadSanitizer does not see
//! what it does: `runtime/tests/tsan.supp` says what it reports for want of that.

use std::process::Command;

use crate::step::{Failure, Steps, cargo, root};

/// Named, so that what runs in the compiler (macros, build scripts) is built without the sanitizer.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// How many seeds a test is run with, and how often on threads at most: a sanitizer makes each run
/// several times as long, and finds what it finds in the first few.
const REPETITIONS: &str = "12";

/// What watches the memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sanitizer {
    /// Use after free, overflows, double frees.
    Address,
    /// Data races.
    Thread,
}

impl Sanitizer {
    pub(crate) const ALL: [Self; 2] = [Self::Address, Self::Thread];

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sanitizer| sanitizer.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Thread => "thread",
        }
    }

    /// Makes `command`, which is cargo's, build for this sanitizer.
    pub(crate) fn build_with(self, command: &mut Command) {
        let name = self.name();
        // `biotope_sanitized`: the sanitizer has functions of its own in the places of the C library's.
        // `biotope_malloc`: every cell and every block is a piece that the sanitizer knows.
        let flags = format!(
            "-Zsanitizer={name} -Cunsafe-allow-abi-mismatch=sanitizer --cfg biotope_malloc --cfg biotope_sanitized \
             -Cforce-frame-pointers=yes"
        );
        command.args(["--target", TARGET]).env("RUSTC_BOOTSTRAP", "1");
        command.env_remove("RUSTFLAGS").env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", flags);
    }

    /// Tells the sanitizer what it needs to know in the program that `command` runs.
    pub(crate) fn run_with(self, command: &mut Command) {
        command.env("BIOTOPE_SEEDS", REPETITIONS).env("PROPTEST_CASES", "64");
        match self {
            Self::Address => command.env("ASAN_OPTIONS", "detect_leaks=0"),
            Self::Thread => {
                let known = root().join("runtime/tests/tsan.supp");
                command.env("TSAN_OPTIONS", format!("suppressions={} history_size=4", known.display()))
            }
        };
    }
}

/// Runs all tests of the runtime but those in its documentation.
pub(crate) fn check(steps: &mut Steps, sanitizer: Sanitizer) -> Result<(), Failure> {
    let name = sanitizer.name();
    let mut command = cargo(["test", "-p", "biotope-runtime", "--tests", "--no-fail-fast", "--target-dir"]);
    command.arg(root().join("target").join(name));
    sanitizer.build_with(&mut command);
    sanitizer.run_with(&mut command);
    steps.run(&format!("{name} sanitizer"), command)
}
