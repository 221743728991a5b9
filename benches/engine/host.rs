//! Where the work is done: two workers for either contender.

use std::future::Future;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use biotope::prelude::*;

const WORKERS: usize = 2;

/// For calls that are answered when the work is done. The round is given up sooner.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// A node of biotope, alone on its runtime.
pub(crate) struct Biotope {
    runtime: Runtime,
    node: Node,
}

impl Biotope {
    pub(crate) fn new() -> Self {
        Self::with_workers(WORKERS)
    }

    /// With another number of workers, where shares of one are what is measured.
    pub(crate) fn with_workers(workers: usize) -> Self {
        let builder = observed(Runtime::builder().workers(workers));
        let runtime = builder.build().expect("the machine gives two threads");
        let node = runtime.block_on(Node::builder("bench").runtime(runtime.clone()).start()).expect("the node starts");
        node.statistics(std::env::var_os("BIOTOPE_STATISTICS").is_some());
        Self { runtime, node }
    }

    /// Runs `body` as a process and returns what it gives.
    pub(crate) fn run<T, F>(&self, body: F) -> T
    where
        T: Send + 'static,
        F: Future<Output = biotope::Result<T>> + Send + 'static,
    {
        let (sender, value) = mpsc::channel();
        let body = async move {
            // The receiver waits below.
            let _ = sender.send(body.await?);
            Ok(())
        };
        self.runtime.block_on(biotope::run_on(&self.node, body)).expect("the work is done without an error");
        value.recv().expect("work that ends without an error gives a value")
    }
}

/// With the feature `observe` and the environment variable `BIOTOPE_OBSERVER`, an observer that counts messages.
#[cfg(feature = "observe")]
fn observed(builder: biotope::RuntimeBuilder) -> biotope::RuntimeBuilder {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Apart, so that who sends and who handles do not share a line.
    #[derive(Default)]
    struct Counts(Apart, Apart);

    #[derive(Default)]
    #[repr(align(128))]
    struct Apart(AtomicU64);

    impl biotope::Observer for Counts {
        fn message_sent(&self, _: Option<biotope::Observed<'_>>, _: biotope::Observed<'_>) {
            self.0.0.fetch_add(1, Ordering::Relaxed);
        }
        fn message_handled(&self, _: biotope::Observed<'_>, _: &'static str) {
            self.1.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    if std::env::var_os("BIOTOPE_OBSERVER").is_none() { builder } else { builder.observer(Arc::new(Counts::default())) }
}

#[cfg(not(feature = "observe"))]
fn observed(builder: biotope::RuntimeBuilder) -> biotope::RuntimeBuilder {
    builder
}

/// What `work` on biotope needs for one of `count` units, after a tenth as many to warm up.
pub(crate) fn biotope<F, Fut>(count: u64, work: F) -> Vec<f64>
where
    F: Fn(u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = biotope::Result<f64>> + Send,
{
    Biotope::new().run(async move {
        work(count / 10).await?;
        Ok(vec![work(count).await?])
    })
}

/// The same, on tokio. The work begins in a task, on a worker, as on biotope it begins in a process.
pub(crate) fn tokio<F, Fut>(count: u64, work: F) -> Vec<f64>
where
    F: Fn(u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = f64> + Send,
{
    let runtime = tokio_runtime();
    let task = runtime.spawn(async move {
        work(count / 10).await;
        vec![work(count).await]
    });
    let figures = runtime.block_on(task).expect("the work is done without a panic");
    // The child exits; to drop the runtime would wait for tasks that are of no more interest.
    std::mem::forget(runtime);
    figures
}

pub(crate) fn tokio_runtime() -> ::tokio::runtime::Runtime {
    let mut builder = ::tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(WORKERS).enable_all().build().expect("the machine gives two threads")
}

/// Nanoseconds since `start` for one of `units`.
pub(crate) fn nanos_each(start: Instant, units: u64) -> f64 {
    start.elapsed().as_nanos() as f64 / units as f64
}

/// The median, the 99th percentile and the longest, in microseconds.
pub(crate) fn percentiles(mut durations: Vec<Duration>) -> Vec<f64> {
    durations.sort();
    let last = (durations.len() - 1) as f64;
    let at = |share: f64| durations[(last * share).round() as usize].as_nanos() as f64 / 1_000.0;
    vec![at(0.5), at(0.99), at(1.0)]
}
