//! Threads that take turns from one run queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use super::{Runnable, Submit};

pub(crate) struct Workers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<RunQueue>,
    work: Condvar,
}

#[derive(Default)]
struct RunQueue {
    ready: VecDeque<Arc<dyn Runnable>>,
    parked: usize,
    closed: bool,
}

impl Workers {
    /// Starts `count` workers, all within `tokio`, so that its sockets and timers work in any process.
    pub(crate) fn start(count: usize, tokio: &tokio::runtime::Handle) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { queue: Mutex::default(), work: Condvar::new() });
        let workers = Self { shared, threads: Mutex::default() };
        for number in 0..count {
            let shared = workers.shared.clone();
            let tokio = tokio.clone();
            // If a thread cannot be had, dropping `workers` ends those that were started.
            let thread = thread::Builder::new().name(format!("biotope-worker-{number}")).spawn(move || {
                let _tokio = tokio.enter();
                shared.work();
            })?;
            workers.threads.lock().push(thread);
        }
        Ok(workers)
    }

    /// Ends the workers after their current turns. What is still queued is dropped.
    pub(crate) fn close(&self) {
        let mut queue = self.shared.queue.lock();
        queue.closed = true;
        let abandoned = std::mem::take(&mut queue.ready);
        drop(queue);
        self.shared.work.notify_all();
        drop(abandoned);
        let me = thread::current().id();
        for worker in self.threads.lock().drain(..) {
            // The last handle of a runtime can be dropped by one of its own workers.
            if worker.thread().id() != me {
                let _ = worker.join();
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.close();
    }
}

impl Submit for Workers {
    fn submit(&self, process: Arc<dyn Runnable>) {
        let mut queue = self.shared.queue.lock();
        if queue.closed {
            // A process that comes too late is dropped, but not under the lock.
            drop(queue);
            return;
        }
        queue.ready.push_back(process);
        let somebody_sleeps = queue.parked > 0;
        drop(queue);
        if somebody_sleeps {
            self.shared.work.notify_one();
        }
    }
}

impl Shared {
    fn work(&self) {
        while let Some(process) = self.pick() {
            process.run();
        }
    }

    fn pick(&self) -> Option<Arc<dyn Runnable>> {
        let mut queue = self.queue.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(process) = queue.ready.pop_front() {
                return Some(process);
            }
            queue.parked += 1;
            self.work.wait(&mut queue);
            queue.parked -= 1;
        }
    }
}
