//! Ways to run a test. The program that it is part of says whether the tests' processes trap exits.

use std::future::Future;
use std::time::Duration;

use biotope_runtime::{ExitReason, Pid, Process, Result, node, spawn_process};
use tokio::sync::oneshot;

use crate::support::TRAPS;

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A reason of the tests' own.
pub(crate) fn reason(text: &'static str) -> ExitReason {
    ExitReason::value(text)
}

/// Runs `body` as a process, in virtual time under 200 seeds.
pub(crate) fn virtually<F, Fut>(body: F)
where
    F: Fn(Process<()>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let name = std::any::type_name::<F>();
    biotope_testkit::under_seeds(name, 200, || in_process(body.clone()));
}

/// As [`virtually`], and on the real scheduler as well.
pub(crate) fn everywhere<F, Fut>(body: F)
where
    F: Fn(Process<()>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let name = std::any::type_name::<F>();
    biotope_testkit::everywhere(name, 200, 20, || in_process(body.clone()));
}

async fn in_process<F, Fut>(body: F) -> Result<()>
where
    F: FnOnce(Process<()>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let body = async move |me: Process<()>| {
        me.trap_exits(TRAPS);
        body(me).await
    };
    match owner(body).1.await {
        ExitReason::Normal => Ok(()),
        reason => Err(reason.into()),
    }
}

/// A process that runs `body`, and what will tell why it has ended. Nobody is linked to it.
pub(crate) fn owner<F, Fut>(body: F) -> (Pid, impl Future<Output = ExitReason> + Send)
where
    F: FnOnce(Process<()>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let (begin, begun) = oneshot::channel::<()>();
    let owner = spawn_process(async move |me: Process<()>| {
        let _ = begun.await;
        body(me).await
    });
    // It is watched before it does anything.
    let ended = node().ended(owner.pid());
    let _ = begin.send(());
    (owner.pid(), ended)
}
