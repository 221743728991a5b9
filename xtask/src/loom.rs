//! The models of `runtime/loom`: a workspace of its own, which compiles the shipped files with loom.

use std::path::Path;

use crate::step::{Failure, Steps, cargo_in, root};

/// What cargo is told to build and run the models.
pub(crate) const MODELS: [&str; 4] = ["--manifest-path", "runtime/loom/Cargo.toml", "--release", "--lib"];

/// Where they are built, from the root of the workspace.
pub(crate) const BUILT_IN: &str = "target/loom";

/// Lets loom try every interleaving of each model.
pub(crate) fn check(steps: &mut Steps) -> Result<(), Failure> {
    let mut command = cargo_in(&root(), ["test", "--target-dir"]);
    command.arg(Path::new(BUILT_IN)).args(MODELS).arg("models::");
    steps.run("loom", command)
}
