//! Where the work is done, and what all of it has in common.

use std::future::Future;

use kameo::prelude::{Actor, ActorRef, Message, Spawn, mailbox};
use tokio::runtime::{Builder, Runtime};

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

/// Spawns an actor whose mailbox has no limit. It ends when the last reference to it is dropped.
pub(crate) fn spawn<A: Actor<Args = A>>(actor: A) -> ActorRef<A> {
    spawn_with(actor)
}

/// Likewise, one that makes itself from arguments.
pub(crate) fn spawn_with<A: Actor>(arguments: A::Args) -> ActorRef<A> {
    A::spawn_with_mailbox(arguments, mailbox::unbounded())
}

/// Tells an actor whose mailbox has no limit.
pub(crate) fn tell<A: Message<M>, M: Send + 'static>(actor: &ActorRef<A>, message: M) {
    actor.tell(message).try_send().expect("whoever is told lives");
}
