//! Where the work of a library on tokio is done: a runtime with two workers.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

/// What `work` needs for one of `count` units, after a tenth as many to warm up.
pub fn measured<F, Fut>(count: u64, work: F) -> Vec<f64>
where
    F: Fn(u64) -> Fut + Send + 'static,
    Fut: Future<Output = f64> + Send,
{
    on_workers(async move {
        work(count / 10).await;
        vec![work(count).await]
    })
}

/// Begins `work` in a task, on a worker, and returns what it gives.
pub fn on_workers<T, F>(work: F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let runtime = tokio_runtime();
    let task = runtime.spawn(work);
    let value = runtime.block_on(task).expect("the work is done without a panic");
    // Its actors live on, and the program ends without waiting for them.
    std::mem::forget(runtime);
    value
}

fn tokio_runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(crate::WORKERS)
        .enable_all()
        .build()
        .expect("the machine gives two threads")
}
