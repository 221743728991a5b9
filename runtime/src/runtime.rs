//! Worker threads, a clock, randomness and a tokio handle: what nodes run on.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::clock::Clock;
use crate::scheduler::{Runnable, Seeded, Submit, Workers};
use crate::time::{Sleep, sleep_on};
use crate::timer::Timers;

/// What processes run on. Cloning gives another handle to the same one; the last one dropped ends its
/// threads.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// // Inside any program, also one that already runs tokio:
/// let runtime = Runtime::builder().workers(2).build()?;
/// let node = runtime.block_on(Node::builder("inner").runtime(runtime.clone()).start())?;
/// # runtime.block_on(node.shutdown());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Runtime(Arc<Inner>);

struct Inner {
    executor: Executor,
    clock: Clock,
    timers: Arc<Timers>,
    random: Mutex<StdRng>,
    /// Where sockets and tokio's timers live; none in a seeded run.
    tokio: Option<tokio::runtime::Handle>,
    own_tokio: Mutex<Option<tokio::runtime::Runtime>>,
}

enum Executor {
    Workers(Workers),
    /// Boxed: its random numbers would make every runtime large.
    Seeded(Box<Seeded>),
}

/// A runtime before it is built.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RuntimeBuilder {
    workers: Option<usize>,
    tokio: Option<tokio::runtime::Handle>,
    seed: Option<u64>,
}

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The operating system gave no thread or no poller.
    #[error("the runtime could not be started: {0}")]
    Io(#[from] std::io::Error),
    /// `workers(0)` was asked for.
    #[error("a runtime needs at least one worker")]
    NoWorkers,
}

impl RuntimeBuilder {
    /// How many worker threads; without this, one for each core.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Uses this tokio runtime for sockets and tokio's timers; without this, one of its own with one
    /// thread. A current-thread runtime drives nothing while its thread does something else.
    pub fn tokio(mut self, handle: tokio::runtime::Handle) -> Self {
        self.tokio = Some(handle);
        self
    }

    /// No threads: one order of turns, drawn from `seed`, in virtual time, while
    /// [`block_on`](Runtime::block_on) runs. Seed 0 is plain first in, first out.
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Builds it and starts its threads.
    ///
    /// # Errors
    /// [`RuntimeError`]; nothing is left running.
    pub fn build(self) -> Result<Runtime, RuntimeError> {
        if let Some(seed) = self.seed {
            return Ok(Runtime(Arc::new(Inner {
                executor: Executor::Seeded(Box::new(Seeded::new(seed))),
                clock: Clock::virtual_from_now(),
                timers: Timers::new(),
                random: Mutex::new(StdRng::seed_from_u64(seed)),
                tokio: None,
                own_tokio: Mutex::new(None),
            })));
        }
        let workers = match self.workers {
            Some(0) => return Err(RuntimeError::NoWorkers),
            Some(workers) => workers,
            None => thread::available_parallelism().map_or(1, usize::from),
        };
        let (tokio, own_tokio) = match self.tokio {
            Some(handle) => (handle, None),
            None => {
                let own = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .thread_name("biotope-io")
                    .enable_all()
                    .build()?;
                (own.handle().clone(), Some(own))
            }
        };
        let timers = Timers::new();
        let driven = timers.clone();
        let executor = Executor::Workers(Workers::start(workers, &tokio)?);
        thread::Builder::new().name("biotope-timers".into()).spawn(move || driven.run())?;
        Ok(Runtime(Arc::new(Inner {
            executor,
            clock: Clock::System,
            timers,
            random: Mutex::new(rand::make_rng()),
            tokio: Some(tokio),
            own_tokio: Mutex::new(own_tokio),
        })))
    }
}

impl Runtime {
    /// A runtime with one worker for each core.
    ///
    /// # Errors
    /// [`RuntimeError`] if the operating system gives no threads.
    pub fn new() -> Result<Self, RuntimeError> {
        Self::builder().build()
    }

    /// A runtime, to be configured.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// The current instant, real or virtual.
    pub fn now(&self) -> Instant {
        self.0.clock.now()
    }

    /// Waits for `duration` by this runtime's clock.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        sleep_on(self, self.now() + duration)
    }

    /// A random number: in a seeded run, the same in every run of the seed.
    pub fn random(&self) -> u64 {
        self.0.random.lock().next_u64()
    }

    /// Whether this is a seeded run, in virtual time.
    pub fn is_seeded(&self) -> bool {
        matches!(self.0.executor, Executor::Seeded(_))
    }

    /// Where sockets and tokio's timers live; `None` in a seeded run.
    pub fn tokio(&self) -> Option<&tokio::runtime::Handle> {
        self.0.tokio.as_ref()
    }

    /// Waits for `future` on this thread. In a seeded run, this is what takes the turns.
    ///
    /// # Panics
    /// In a seeded run, if the future waits and nothing else can run or will ever be due.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        match &self.0.executor {
            Executor::Workers(_) => {
                let _tokio = self.0.tokio.as_ref().map(tokio::runtime::Handle::enter);
                block_thread_on(future)
            }
            Executor::Seeded(seeded) => self.take_turns(seeded, future),
        }
    }

    pub(crate) fn timers(&self) -> &Arc<Timers> {
        &self.0.timers
    }

    pub(crate) fn submit(&self, process: Arc<dyn Runnable>) {
        match &self.0.executor {
            Executor::Workers(workers) => workers.submit(process),
            Executor::Seeded(seeded) => seeded.submit(process),
        }
    }

    fn take_turns<T>(&self, seeded: &Seeded, future: impl Future<Output = T>) -> T {
        /// So many turns may pass without the clock moving; from then on each costs a microsecond, so
        /// that a busy process cannot stop time. Delays are exact as long as nobody is that busy.
        const TURNS_PER_INSTANT: u32 = 10_000;

        let Inner { clock, timers, .. } = &*self.0;
        let woken = Arc::new(Flag { raised: AtomicBool::new(true), thread: None });
        let waker = Waker::from(woken.clone());
        let mut future = pin!(future);
        let mut turns = 0;
        loop {
            if woken.raised.swap(false, Ordering::Acquire)
                && let Poll::Ready(value) = future.as_mut().poll(&mut TaskContext::from_waker(&waker))
            {
                return value;
            }
            if let Some(process) = seeded.pick() {
                turns += 1;
                if turns > TURNS_PER_INSTANT {
                    clock.advance_by(Duration::from_micros(1));
                    timers.fire_until(clock.now());
                }
                process.run();
            } else if !woken.raised.load(Ordering::Acquire) {
                let Some(deadline) = timers.next_deadline() else {
                    panic!("nothing can run and no timer is set: this would wait for ever");
                };
                turns = 0;
                clock.advance_to(deadline);
                timers.fire_until(clock.now());
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.timers.close();
        match &self.executor {
            Executor::Workers(workers) => workers.close(),
            Executor::Seeded(seeded) => seeded.close(),
        }
        if let Some(tokio) = self.own_tokio.lock().take() {
            // Not waited for: the last handle may be dropped inside one of tokio's own tasks.
            tokio.shutdown_background();
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_seeded() { "Runtime(seeded)" } else { "Runtime" })
    }
}

fn block_thread_on<T>(future: impl Future<Output = T>) -> T {
    let woken = Arc::new(Flag { raised: AtomicBool::new(true), thread: Some(thread::current()) });
    let waker = Waker::from(woken.clone());
    let mut future = pin!(future);
    loop {
        if woken.raised.swap(false, Ordering::Acquire) {
            if let Poll::Ready(value) = future.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
                return value;
            }
        } else {
            // `unpark` before `park` lets `park` return at once, so no wake is lost in between.
            thread::park();
        }
    }
}

/// A waker that raises a flag, and unparks a thread if there is one.
struct Flag {
    raised: AtomicBool,
    thread: Option<Thread>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.raised.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}
