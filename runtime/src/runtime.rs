//! Worker threads, a clock, randomness and a tokio handle: what nodes run on.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::clock::Clock;
use crate::config::{ALIKE_WITHIN, BLOCKING_THREADS, LOGGED_ALIKE};
use crate::director::{Directed, Director};
use crate::memory::{Pool, Unneeded};
use crate::node::{Node, WeakNode};
use crate::observe::Chosen;
use crate::process::turn::{After, Turn, handler_on};
use crate::process::{Header, Ready};
use crate::scheduler::{Directory, Home, Io, Seeded, Settings, Workers};
use crate::stats::{RuntimeStats, WorkerStats};
use crate::storm::StormLimit;
use crate::sync::AtomicU32;
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
    clock: Arc<Clock>,
    timers: Arc<Timers>,
    memory: Arc<Pool>,
    nodes: Arc<Directory>,
    node_numbers: AtomicU32,
    finds_call_cycles: bool,
    storm_limit: StormLimit,
    random: Mutex<StdRng>,
    director: Directed,
    #[cfg_attr(not(feature = "observe"), expect(dead_code, reason = "nobody asks for it"))]
    observer: Chosen,
}

enum Executor {
    Workers(Arc<Workers>),
    /// Boxed: its random numbers would make every runtime large.
    Seeded(Box<Seeded>),
}

/// A runtime before it is built.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct RuntimeBuilder {
    workers: Option<usize>,
    tokio: Option<tokio::runtime::Handle>,
    blocking_threads: Option<usize>,
    seed: Option<u64>,
    find_call_cycles: Option<bool>,
    storm_limit: Option<StormLimit>,
    director: Directed,
    observer: Chosen,
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

    /// Uses this tokio runtime for sockets and tokio's timers, and relies on it being driven; a
    /// current-thread runtime drives nothing while its thread does something else. Without this, the
    /// workers drive one of their own, also inside a program that already runs tokio.
    pub fn tokio(mut self, handle: tokio::runtime::Handle) -> Self {
        self.tokio = Some(handle);
        self
    }

    /// How many threads run [`blocking`](crate::blocking) work at once, at most; without this, 512. More
    /// work waits.
    pub fn blocking_threads(mut self, threads: usize) -> Self {
        self.blocking_threads = Some(threads.max(1));
        self
    }

    /// No threads: one order of turns, drawn from `seed`, in virtual time, while
    /// [`block_on`](Runtime::block_on) runs. Seed 0 is plain first in, first out.
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Whether a cycle of calls is found while it happens, and each of its calls fails with
    /// [`CallFailed::Cycle`](crate::CallFailed::Cycle). Without this, it is in debug builds and in seeded runs. It costs each
    /// call that waits a look at the process that it waits for.
    ///
    /// [`Node::call_cycles`](crate::Node::call_cycles) finds them on demand, always.
    pub fn find_call_cycles(mut self, find: bool) -> Self {
        self.find_call_cycles = Some(find);
        self
    }

    /// Logs `events` crashes of one kind one by one within `period`, and of more only how many there were, in one line when the
    /// period is over; without this, 10 within 5 seconds. `usize::MAX` logs all. Of one kind are crashes of one actor in one
    /// handler, by a panic in one place, or for reasons of one type; and so is what supervisors say of children.
    ///
    /// [`Node::crash_reports`](crate::Node::crash_reports) tells of all of them, whatever this says. A crash that is not logged
    /// and that nobody reads costs no report.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// # fn main() -> biotope::Result<()> {
    /// let runtime = Runtime::builder().log_at_most(3, secs(60));
    /// biotope::run(runtime, "shop", async {
    ///     // … of a thousand crashes within a minute, three are in the log, and that there were 997 more …
    ///     Ok(())
    /// })??;
    /// # Ok(())
    /// # }
    /// ```
    pub fn log_at_most(mut self, events: usize, period: Duration) -> Self {
        self.storm_limit = Some(StormLimit { logged: events, within: period });
        self
    }

    /// Lets `observer` see what all processes of this runtime do. With the cargo feature `observe` only: without it,
    /// nothing of this is compiled. `#[biotope::main]` makes a runtime without one; a program that wants one gives this
    /// builder to [`run`](crate::run).
    #[cfg(feature = "observe")]
    pub fn observer(mut self, observer: Arc<dyn crate::observe::Observer>) -> Self {
        self.observer = Chosen(Some(observer));
        self
    }

    /// Lets `director` see what all processes of this runtime do, choose who has the next turn in a seeded run, and come
    /// between processes and their messages: see [`Director`]. It costs each message a few hundred nanoseconds.
    pub fn director(mut self, director: Arc<dyn Director>) -> Self {
        self.director = Directed(Some(director));
        self
    }

    /// Builds it and starts its threads.
    ///
    /// # Errors
    /// [`RuntimeError`]; nothing is left running.
    pub fn build(self) -> Result<Runtime, RuntimeError> {
        let memory = Arc::new(Pool::new());
        let nodes = Arc::<Directory>::default();
        let node_numbers = AtomicU32::new(0);
        let finds_call_cycles = self.find_call_cycles.unwrap_or(cfg!(debug_assertions) || self.seed.is_some());
        let storm_limit = self.storm_limit.unwrap_or(StormLimit { logged: LOGGED_ALIKE, within: ALIKE_WITHIN });
        if let Some(seed) = self.seed {
            let clock = Arc::new(Clock::virtual_from_now());
            return Ok(Runtime(Arc::new(Inner {
                executor: Executor::Seeded(Box::new(Seeded::new(seed))),
                timers: Arc::new(Timers::new(clock.start())),
                clock,
                memory,
                nodes,
                node_numbers,
                finds_call_cycles,
                storm_limit,
                random: Mutex::new(StdRng::seed_from_u64(seed)),
                director: self.director,
                observer: self.observer,
            })));
        }
        let count = match self.workers {
            Some(0) => return Err(RuntimeError::NoWorkers),
            Some(workers) => workers,
            None => thread::available_parallelism().map_or(1, usize::from),
        };
        let io = match self.tokio {
            Some(handle) => Io::foreign(handle),
            None => Io::own(self.blocking_threads.unwrap_or(BLOCKING_THREADS))?,
        };
        let clock = Arc::new(Clock::system());
        let timers = Arc::new(Timers::new(clock.start()));
        let settings = Settings {
            count,
            io,
            clock: clock.clone(),
            timers: timers.clone(),
            pool: memory.clone(),
            nodes: nodes.clone(),
        };
        let workers = Workers::start(settings)?;
        let told = Arc::downgrade(&workers);
        timers.on_added(move || {
            if let Some(workers) = told.upgrade() {
                workers.ticker().wake();
            }
        });
        Ok(Runtime(Arc::new(Inner {
            executor: Executor::Workers(workers),
            clock,
            timers,
            memory,
            nodes,
            node_numbers,
            finds_call_cycles,
            storm_limit,
            random: Mutex::new(rand::make_rng()),
            director: self.director,
            observer: self.observer,
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

    /// The instant that is `delay` from now; in a hundred years, if it is further away than instants reach.
    pub(crate) fn now_and(&self, delay: Duration) -> Instant {
        const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        let now = self.now();
        now + delay.min(FAR)
    }

    /// Waits for `duration` by this runtime's clock.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        sleep_on(self, self.now_and(duration))
    }

    /// A random number: in a seeded run, the same in every run of the seed.
    pub fn random(&self) -> u64 {
        self.0.random.lock().next_u64()
    }

    /// Whether this is a seeded run, in virtual time.
    #[inline]
    pub fn is_seeded(&self) -> bool {
        matches!(self.0.executor, Executor::Seeded(_))
    }

    /// The nodes that live on it.
    pub fn nodes(&self) -> Vec<Node> {
        self.0.nodes.all()
    }

    /// Who directs it, if that is a `D`: see [`RuntimeBuilder::director`].
    pub fn director<D: Director>(&self) -> Option<Arc<D>> {
        let director: Arc<dyn Any + Send + Sync> = self.0.director.0.clone()?;
        director.downcast().ok()
    }

    /// Who directs it.
    pub(crate) fn directed(&self) -> Option<&dyn Director> {
        self.0.director.0.as_deref()
    }

    /// Whether cycles of calls are found while they happen.
    #[inline]
    pub(crate) fn finds_call_cycles(&self) -> bool {
        self.0.finds_call_cycles
    }

    /// How much of one kind is logged one by one.
    pub(crate) fn storm_limit(&self) -> StormLimit {
        self.0.storm_limit
    }

    /// Where sockets and tokio's timers live; `None` in a seeded run.
    pub fn tokio(&self) -> Option<&tokio::runtime::Handle> {
        match &self.0.executor {
            Executor::Workers(workers) => Some(workers.io().handle()),
            Executor::Seeded(_) => None,
        }
    }

    /// How many workers there are, without spares. One in a seeded run.
    pub fn worker_count(&self) -> usize {
        match &self.0.executor {
            Executor::Workers(workers) => workers.count(),
            Executor::Seeded(_) => 1,
        }
    }

    /// Gives memory back to the operating system, as far as no process needs it now: what processes and mailboxes
    /// lay in that are gone. It takes about 100 ns for each of them, on this thread.
    ///
    /// The runtime does that by itself with what nobody has needed for a second or two. This is for whoever wants it now,
    /// and for seeded runs, which give nothing back by themselves. What a worker has at hand it keeps: of each size up to
    /// 128 pieces. On systems other than Linux it does nothing.
    ///
    /// ```
    /// use biotope::prelude::*;
    ///
    /// let runtime = Runtime::builder().workers(2).build()?;
    /// // … after a million processes have ended …
    /// runtime.trim_memory();
    /// # Ok::<(), biotope::Error>(())
    /// ```
    pub fn trim_memory(&self) {
        self.0.memory.all_free().into_iter().for_each(Unneeded::trim);
    }

    /// What the workers have done so far. A seeded run has one, of which the turns are counted.
    pub fn stats(&self) -> RuntimeStats {
        let pieces = self.0.memory.in_use();
        match &self.0.executor {
            Executor::Workers(workers) => RuntimeStats { pieces, ..workers.stats() },
            Executor::Seeded(seeded) => RuntimeStats {
                timers: self.0.timers.len(),
                pieces,
                workers: vec![WorkerStats { turns: seeded.board.turns(), ..WorkerStats::default() }],
                ..RuntimeStats::default()
            },
        }
    }

    /// In a seeded run, a hash of all that happened so far: which process had each turn, and how much it
    /// did. Two runs of one seed have the same.
    pub fn trace_hash(&self) -> Option<u64> {
        match &self.0.executor {
            Executor::Workers(_) => None,
            Executor::Seeded(seeded) => Some(seeded.trace()),
        }
    }

    /// Waits for `future` on this thread. In a seeded run, this is what takes the turns.
    ///
    /// # Panics
    /// In a seeded run, if the future waits and nothing else can run or will ever be due.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        match &self.0.executor {
            Executor::Workers(_) => {
                let _tokio = self.tokio().map(tokio::runtime::Handle::enter);
                block_thread_on(future)
            }
            Executor::Seeded(seeded) => self.take_turns(seeded, future),
        }
    }

    /// The handler that the process runs, and since when, if it is seen to run; read from the boards of the workers.
    pub(crate) fn running(&self, header: &Header) -> (Option<&'static str>, Option<Instant>) {
        match &self.0.executor {
            Executor::Workers(workers) => workers.running(header),
            Executor::Seeded(seeded) => (handler_on(&seeded.board, header).and_then(|(handler, _)| handler), None),
        }
    }

    /// Who sees what processes do.
    #[cfg(feature = "observe")]
    #[inline]
    pub(crate) fn observer(&self) -> &Chosen {
        &self.0.observer
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.0.timers
    }

    pub(crate) fn memory(&self) -> &Arc<Pool> {
        &self.0.memory
    }

    /// When this runtime's clock began.
    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn next_node_number(&self) -> u32 {
        self.0.node_numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn enter_node(&self, number: u32, node: WeakNode) {
        self.0.nodes.enter(number, node);
    }

    /// What tells this runtime's workers from those of another.
    pub(crate) fn home(&self) -> *const () {
        match &self.0.executor {
            Executor::Workers(workers) => workers.home(),
            Executor::Seeded(seeded) => std::ptr::from_ref::<Seeded>(seeded).cast(),
        }
    }

    /// Puts a process at the back of a run queue. `worker` is the worker of this runtime that runs here, if
    /// one does.
    pub(crate) fn submit(&self, ready: Ready, worker: Option<&Turn<'_>>) {
        match &self.0.executor {
            Executor::Workers(workers) => workers.submit(ready, worker),
            Executor::Seeded(seeded) => seeded.submit(ready),
        }
    }

    /// Where a process has its turns that has a thread of its own.
    pub(crate) fn home_for_one(&self) -> std::io::Result<Home> {
        match &self.0.executor {
            Executor::Workers(workers) => workers.start_own_thread(),
            Executor::Seeded(_) => Ok(Home::Seeded(OnceLock::new())),
        }
    }

    /// The processes that there are, and what they are at.
    fn who_waits(&self) -> String {
        let processes = self.nodes().into_iter().flat_map(|node| node.processes());
        let lines = processes.map(|info| {
            let at = info.activity.map(|handler| format!(" in `{handler}`")).unwrap_or_default();
            format!("\n  {} {}: {:?}{at}", info.name.as_deref().unwrap_or(info.actor), info.pid, info.status)
        });
        // Enough to see who it is about.
        lines.take(20).collect()
    }

    fn take_turns<T>(&self, seeded: &Seeded, future: impl Future<Output = T>) -> T {
        let turn = Turn::new(&seeded.board, &self.0.memory, self.home());
        turn.enter(|| self.take_turns_until(seeded, &turn, future))
    }

    #[expect(unsafe_code, reason = "a picked process is run once")]
    fn take_turns_until<T>(&self, seeded: &Seeded, turn: &Turn<'_>, future: impl Future<Output = T>) -> T {
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
            if let Some(ready) = seeded.pick(self.directed()) {
                turns += 1;
                if turns > TURNS_PER_INSTANT {
                    clock.advance_by(Duration::from_micros(1));
                    timers.fire_until(clock.now());
                }
                if let Some(home) = ready.header().home() {
                    home.assert_here();
                }
                let (slot, generation) = ready.header().place();
                let node = ready.header().node().number();
                if let Some(director) = self.directed() {
                    turn.set_budget(director.budget());
                }
                let before = seeded.board.handled();
                // SAFETY: it was picked from the queue, where it was once.
                if unsafe { ready.run(turn) } == After::Again {
                    seeded.submit(ready);
                }
                let done = seeded.board.handled() - before;
                seeded.note(&[u64::from(node), u64::from(slot) << 32 | u64::from(generation), done]);
            } else if !woken.raised.load(Ordering::Acquire) {
                let Some(deadline) = timers.next_deadline() else {
                    let who = self.who_waits();
                    if let Some(director) = self.directed() {
                        director.stuck(&who);
                    }
                    panic!("nothing can run and no timer is set: this would wait for ever{who}");
                };
                turns = 0;
                clock.advance_to(deadline);
                timers.fire_until(clock.now());
                seeded.note(&[(deadline - clock.start()).as_nanos() as u64]);
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.timers.close();
        if let Executor::Workers(workers) = &self.executor {
            workers.close();
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
