//! The one thread on which all sockets of an OS process live.

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc;
use tokio::task::LocalSet;

/// The network thread. Share one among all nodes of an OS process.
///
/// Two busy threads for sockets put milliseconds into the tail, because the kernel takes turns between them; one
/// thread carries more than a gigabyte a second. The thread ends when the last clone is gone and no node listens on
/// it any more.
#[derive(Clone)]
pub struct Network {
    jobs: mpsc::UnboundedSender<Job>,
    /// Says by its count how many still use the thread; for `Debug` only.
    users: Arc<()>,
}

/// Work that is begun on the network thread. What it needs longer, it spawns there.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// The network thread has ended, which it does only when its OS process could not run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the network thread has ended")]
pub(crate) struct NetworkGone;

impl Network {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the operating system says when it has no thread or no poller left.
    pub fn start() -> io::Result<Network> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        thread::Builder::new().name("biotope-network".to_owned()).spawn(move || {
            let local = LocalSet::new();
            local.block_on(&runtime, async move {
                while let Some(job) = queue.recv().await {
                    job();
                }
            });
        })?;
        Ok(Network { jobs, users: Arc::new(()) })
    }

    /// Begins `job` on the thread, where `tokio::task::spawn_local` works.
    pub(crate) fn begin(&self, job: impl FnOnce() + Send + 'static) -> Result<(), NetworkGone> {
        self.jobs.send(Box::new(job)).map_err(|_| NetworkGone)
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("users", &Arc::strong_count(&self.users)).finish_non_exhaustive()
    }
}
