//! What the kit promises: what fails a test, what is printed then, and what a test asks with.

mod again;
mod asking;
mod failing;
mod meddling;
mod outside;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use biotope::test::{TestOptions, TestResult, test};

/// What the kit says of a test of these options that fails.
#[track_caller]
fn failure<F, O>(options: TestOptions, body: impl Fn() -> F) -> String
where
    F: Future<Output = O> + Send + 'static,
    O: TestResult,
{
    let failed = catch_unwind(AssertUnwindSafe(|| test(options, body)));
    let panic = failed.expect_err("the kit lets it pass");
    panic.downcast_ref::<String>().expect("a text").clone()
}

/// Under seeds from 0 on.
fn seeded(seeds: u64) -> TestOptions {
    TestOptions { name: "kit::it", seeds: Some(seeds), ..TestOptions::default() }
}

/// On the real scheduler.
fn real() -> TestOptions {
    TestOptions { name: "kit::it", ..TestOptions::default() }
}
