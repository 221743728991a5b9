//! Where the work is done, and what all of it has in common.

use std::future::Future;

use ractor::concurrency::{OneshotReceiver, oneshot};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::runtime::{Builder, Runtime};

/// What a handler gives.
pub(crate) type Handled = Result<(), ActorProcessingErr>;

/// What `work` needs for one of `count` units, after a tenth as many to warm up.
pub(crate) fn measured<F, Fut>(count: u64, work: F) -> Vec<f64>
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
pub(crate) fn on_workers<T, F>(work: F) -> T
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
        .worker_threads(peer::WORKERS)
        .enable_all()
        .build()
        .expect("the machine gives two threads")
}

/// Spawns an actor without a name. When this returns it has run its `pre_start`.
pub(crate) async fn spawn<A: Actor>(actor: A, arguments: A::Arguments) -> ActorRef<A::Msg> {
    let (actor, _handle) = A::spawn(None, actor, arguments).await.expect("it starts");
    actor
}

/// A port for a reply that is not awaited at once, and where it arrives: `call` sends nothing before it is awaited.
pub(crate) fn reply_port<T>() -> (RpcReplyPort<T>, OneshotReceiver<T>) {
    let (port, reply) = oneshot();
    (port.into(), reply)
}
