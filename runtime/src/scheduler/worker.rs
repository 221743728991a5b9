//! The threads that take turns.
//!
//! Each has a run queue of its own, from which the others steal; so there is no place that hides work. A
//! worker that is stuck in a handler is replaced by a spare one, and what is in its queue goes to the
//! others; when it comes back there is one too many, and the next spare that ends a turn retires.
#![expect(unsafe_code, reason = "a picked process is run once")]

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_deque::{Injector, Steal, Worker as Deque};
use parking_lot::Mutex;

use super::idle::Idle;
use super::io::Io;
use super::own_thread::{Home, OwnThreads};
use super::park::Parker;
use super::run_queue::{RunQueue, Shared};
use super::strict::Strict;
use super::ticker::Ticker;
use crate::clock::{AtomicMoment, Clock, Moment};
use crate::config::{HANDED_OVER, MAX_SPARES, TURNS_BETWEEN_LOOKS};
use crate::lints::Lint;
use crate::memory::Pool;
use crate::node::WeakNode;
use crate::priority::Priority;
use crate::process::turn::{After, Board, Seen, Turn, handler_on};
use crate::process::{Class, Header, Ready};
use crate::stats::{RuntimeStats, WorkerStats};
use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::timer::Timers;

/// What the workers need from their runtime.
pub(crate) struct Settings {
    pub(crate) count: usize,
    pub(crate) io: Io,
    pub(crate) clock: Arc<Clock>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) nodes: Arc<Directory>,
}

/// The nodes of a runtime, by the number that boards show.
#[derive(Default)]
pub(crate) struct Directory(Mutex<BTreeMap<u32, WeakNode>>);

impl Directory {
    /// Enters a node.
    pub(crate) fn enter(&self, number: u32, node: WeakNode) {
        let mut nodes = self.0.lock();
        nodes.retain(|_, node| node.upgrade().is_some());
        nodes.insert(number, node);
    }

    /// Those that there are.
    pub(crate) fn all(&self) -> Vec<crate::Node> {
        self.0.lock().values().filter_map(WeakNode::upgrade).collect()
    }

    fn get(&self, number: u32) -> Option<crate::Node> {
        self.0.lock().get(&number).and_then(WeakNode::upgrade)
    }
}

/// All workers of one runtime.
pub(crate) struct Workers {
    count: usize,
    seats: Box<[Seat]>,
    /// How many of them have a thread: the first.
    started: AtomicUsize,
    injector: Injector<Ready>,
    strict: Strict,
    own: OwnThreads,
    idle: Idle,
    io: Io,
    clock: Arc<Clock>,
    timers: Arc<Timers>,
    pool: Arc<Pool>,
    nodes: Arc<Directory>,
    ticker: Ticker,
    closed: AtomicU32,
    me: Weak<Self>,
    /// Spare workers that have nothing to replace.
    resting: Mutex<Vec<usize>>,
    /// How many workers there are too many.
    surplus: AtomicU32,
    /// How often a worker was found stuck.
    blocked: AtomicU64,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The worker was found stuck in a handler, and is counted out until it comes back.
const STUCK: u32 = 1;
/// It is to look around: for what came from outside and from sockets, and for queues longer than its own.
const LOOK: u32 = 1 << 1;
/// Something came from outside, and everybody was busy: it goes next.
const OUTSIDE: u32 = 1 << 2;

/// One worker, as others see it.
struct Seat {
    board: Board,
    parker: Parker,
    queue: Shared,
    /// The owner's half of the queue, until the worker's thread takes it.
    owned: Mutex<Option<Deque<Ready>>>,
    /// What the ticker wants of the worker, after the turn that it is in.
    notes: AtomicU32,
    thread_id: AtomicU32,
    steals: AtomicU64,
    parks: AtomicU64,
    /// In nanoseconds. Only the ticker writes it.
    longest_turn: AtomicU64,
    /// Since when the worker is in the handler that it began when it had handled so much. Only the ticker writes it.
    since: AtomicMoment,
    since_handled: AtomicU64,
}

impl Workers {
    /// Starts them, and the ticker.
    pub(crate) fn start(settings: Settings) -> std::io::Result<Arc<Self>> {
        let Settings { count, io, clock, timers, pool, nodes } = settings;
        let seats = (0..count + MAX_SPARES).map(|_| Seat::new()).collect();
        let workers = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            count,
            seats,
            started: AtomicUsize::new(0),
            injector: Injector::new(),
            strict: Strict::default(),
            own: OwnThreads::default(),
            idle: Idle::new(),
            io,
            clock,
            timers,
            pool,
            nodes,
            ticker: Ticker::new(),
            closed: AtomicU32::new(0),
            resting: Mutex::default(),
            surplus: AtomicU32::new(0),
            blocked: AtomicU64::new(0),
            threads: Mutex::default(),
        });
        for number in 0..count {
            if let Err(error) = workers.start_seat(number) {
                workers.close();
                return Err(error);
            }
        }
        let ticking = workers.clone();
        let ticker = thread::Builder::new().name("biotope-ticker".into()).spawn(move || ticking.ticker.run(&ticking));
        match ticker {
            Ok(thread) => workers.threads.lock().push(thread),
            Err(error) => {
                workers.close();
                return Err(error);
            }
        }
        Ok(workers)
    }

    fn start_seat(self: &Arc<Self>, number: usize) -> std::io::Result<()> {
        let workers = self.clone();
        let name = if number < self.count { "worker" } else { "spare" };
        let thread = thread::Builder::new().name(format!("biotope-{name}-{number}")).spawn(move || {
            let seat = &workers.seats[number];
            // Taken here, so that it is still there if there is no thread.
            if let Some(owned) = seat.owned.lock().take() {
                let queue = RunQueue::new(owned, &seat.queue);
                Worker { workers: &workers, seat, number, queue: &queue }.work();
            }
        })?;
        self.started.fetch_max(number + 1, Ordering::Release);
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Ends the workers after their current turns. What is still queued is not run.
    pub(crate) fn close(&self) {
        self.closed.store(1, Ordering::SeqCst);
        for seat in &self.seats {
            seat.board.end_turn();
            seat.parker.unpark();
        }
        self.ticker.tell();
        self.own.close();
        let me = thread::current().id();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // The last handle of a runtime can be dropped by one of its own workers; and one that is stuck
            // in a handler is not waited for.
            let is_stuck = || self.seats.iter().any(|seat| seat.notes.load(Ordering::Relaxed) & STUCK != 0);
            if thread.thread().id() != me && !is_stuck() {
                let _ = thread.join();
            }
        }
    }

    /// Puts a process at the back of a run queue. `worker` is the worker that runs here, if one does.
    pub(crate) fn submit(&self, ready: Ready, worker: Option<&Turn<'_>>) {
        let priority = ready.header().priority();
        if priority.is_strict() {
            return self.submit_strict(ready, priority, worker);
        }
        let Some((turn, queue)) = worker.and_then(|turn| Some((turn, turn.queue()?))) else {
            return self.submit_from_outside(ready);
        };
        self.push_onto(queue, ready);
        if turn.is_leading() {
            self.unpark(turn.number());
        }
    }

    /// Puts a process at the back of its own worker's queue, and wakes somebody if more than one waits then.
    fn push_onto(&self, queue: &RunQueue<'_>, ready: Ready) {
        if queue.push(ready)
            && let Some(woken) = self.idle.whom_to_wake_if_seen()
        {
            self.unpark(woken);
        }
    }

    #[cold]
    fn submit_from_outside(&self, ready: Ready) {
        let is_first = self.injector.is_empty();
        self.injector.push(ready);
        match self.idle.whom_to_wake() {
            Some(woken) => self.unpark(woken),
            // Everybody is busy: it does not wait behind all that is queued already. If it is not the first,
            // that has been said.
            None if is_first => {
                for seat in self.seated() {
                    seat.notes.fetch_or(OUTSIDE, Ordering::Relaxed);
                    seat.board.end_turn();
                }
            }
            None => {}
        }
    }

    /// The workers that have a thread.
    fn seated(&self) -> &[Seat] {
        &self.seats[..self.started.load(Ordering::Acquire)]
    }

    #[cold]
    fn submit_strict(&self, ready: Ready, priority: Priority, worker: Option<&Turn<'_>>) {
        if let Some(Home::Thread(own)) = ready.header().home() {
            return own.submit(ready);
        }
        self.strict.push(ready, priority);
        match self.idle.whom_to_wake() {
            Some(woken) => self.unpark(woken),
            // Nobody sleeps: turns of lower priority end after the handler that they are in.
            None => {
                for seat in self.seated() {
                    seat.board.end_turn();
                }
            }
        }
        if let Some(turn) = worker.filter(|turn| turn.is_leading()) {
            self.unpark(turn.number());
        }
    }

    fn wake_one(&self) {
        if let Some(woken) = self.idle.whom_to_wake() {
            self.unpark(woken);
        }
    }

    fn unpark(&self, number: usize) {
        self.seats[number].parker.unpark();
    }

    pub(crate) fn home(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }

    /// A thread for a process that is about to be made.
    pub(crate) fn start_own_thread(&self) -> std::io::Result<Home> {
        let closing = || std::io::Error::other("the runtime is closing");
        self.own.start(self.me.upgrade().ok_or_else(closing)?)
    }

    pub(super) fn own_threads(&self) -> &OwnThreads {
        &self.own
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn io(&self) -> &Io {
        &self.io
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn ticker(&self) -> &Ticker {
        &self.ticker
    }

    pub(crate) fn stats(&self) -> RuntimeStats {
        let seats = self.seated();
        RuntimeStats {
            blocked: self.blocked.load(Ordering::Relaxed),
            spares: seats.len().saturating_sub(self.count),
            timers: self.timers.len(),
            workers: seats
                .iter()
                .map(|seat| WorkerStats {
                    turns: seat.board.turns(),
                    steals: seat.steals.load(Ordering::Relaxed),
                    parks: seat.parks.load(Ordering::Relaxed),
                    longest_turn: Duration::from_nanos(seat.longest_turn.load(Ordering::Relaxed)),
                })
                .collect(),
            ..RuntimeStats::default()
        }
    }

    /// The handler that a worker runs of the process at `header`, and since when, if that was seen.
    pub(crate) fn running(&self, header: &Header) -> (Option<&'static str>, Option<Instant>) {
        let found = |seat: &Seat| {
            let (handler, handled) = handler_on(&seat.board, header)?;
            let is_it = seat.since_handled.load(Ordering::Acquire) == handled;
            let since = (is_it && handled == seat.board.handled()).then(|| seat.since.get());
            Some((handler, since.filter(|since| *since != Moment::NEVER).map(|since| self.clock.instant(since))))
        };
        let on_its_own = || self.own.find(|board| Some((handler_on(board, header)?.0, None)));
        self.seated().iter().find_map(found).or_else(on_its_own).unwrap_or_default()
    }

    /// Whether there is work for one more worker. What is alone in the queue of another is not.
    fn has_work(&self) -> bool {
        !self.strict.is_empty() || !self.injector.is_empty() || self.seated().iter().any(|seat| seat.queue.len() > 1)
    }
}

/// For the ticker.
impl Workers {
    pub(super) fn seats(&self) -> usize {
        self.seats.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst) != 0
    }

    /// Gives memory of the runtime's back that nobody has needed since the time before; where it may take a while.
    pub(super) fn trim_memory(&self) {
        for unneeded in self.pool.unneeded() {
            self.io.handle().spawn_blocking(|| unneeded.trim());
        }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(super) fn is_anybody_awake(&self) -> bool {
        let resting = self.resting.lock().len();
        self.idle.sleeping() + resting < self.seated().len()
    }

    pub(super) fn board(&self, number: usize) -> Option<&Board> {
        self.seated().get(number).map(|seat| &seat.board)
    }

    /// Whether workers are to look around after their turns: nobody waits among the sockets, or one has much
    /// less to do than another.
    pub(super) fn is_look_due(&self) -> bool {
        let lens = || self.seated().iter().map(|seat| seat.queue.len());
        !self.io.is_taken() || lens().max().unwrap_or(0) > lens().min().unwrap_or(0) + 1
    }

    /// This worker looks around after its turn.
    pub(super) fn look_soon(&self, number: usize, is_due: bool) {
        if is_due || !self.injector.is_empty() {
            self.seats[number].notes.fetch_or(LOOK, Ordering::Relaxed);
        }
    }

    /// The handler that this worker runs is the one that it ran at the tick before.
    pub(super) fn note_handler(&self, number: usize, handled: u64, since: Instant) {
        let seat = &self.seats[number];
        seat.since.set(self.clock.moment(since));
        seat.since_handled.store(handled, Ordering::Release);
    }

    /// A turn of this worker has lasted so long, and goes on.
    pub(super) fn note_turn(&self, number: usize, lasted: Duration) {
        self.seats[number].longest_turn.fetch_max(lasted.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Whether something waits in this worker's queue.
    pub(super) fn has_waiting(&self, number: usize) -> bool {
        !self.seats[number].queue.is_empty()
    }

    /// Wakes somebody for what waits in this worker's queue, be it alone.
    pub(super) fn share(&self, number: usize) {
        let queue = &self.seats[number].queue;
        if !queue.is_empty()
            && let Some(woken) = self.idle.whom_to_wake()
        {
            if let Some(ready) = queue.take_over() {
                self.injector.push(ready);
            }
            self.unpark(woken);
        }
    }

    /// How long the worker's thread has waited for a core so far, if the system tells.
    pub(super) fn starved(&self, number: usize) -> Duration {
        let thread = self.seats[number].thread_id.load(Ordering::Relaxed);
        let told = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"));
        let nanos = told.ok().and_then(|text| text.split_whitespace().nth(1)?.parse().ok());
        Duration::from_nanos(nanos.unwrap_or(0))
    }

    /// Tells what is amiss with the process that a worker was seen to run.
    pub(super) fn lint(&self, seen: Seen, lint: Lint) {
        if let Some(process) = self.nodes.get(seen.node).and_then(|node| node.process(seen.pid_on(&node))) {
            process.lint(lint);
        }
    }

    /// A worker is stuck in a handler: it is reported, and replaced until it comes back.
    pub(super) fn on_blocked(&self, number: usize, seen: Seen, class: &'static Class, lasted: Duration) {
        let seat = &self.seats[number];
        seat.board.end_turn();
        seat.notes.fetch_or(STUCK, Ordering::SeqCst);
        self.blocked.fetch_add(1, Ordering::Relaxed);
        let node = self.nodes.get(seen.node);
        let pid = node.as_ref().map(|node| seen.pid_on(node));
        let name = node.as_ref().zip(pid).and_then(|(node, pid)| node.peek(pid)).and_then(|info| info.name);
        let handler = class.handler(seen.handler);
        if let Some(process) = node.as_ref().zip(pid).and_then(|(node, pid)| node.process(pid)) {
            process.tell_lint(&Lint::BlockedWorker { handler, lasted });
        }
        tracing::warn!(
            node = node.as_ref().map(crate::Node::name),
            pid = pid.map(tracing::field::display),
            name = name.as_deref(),
            actor = class.actor(),
            handler,
            for_ms = lasted.as_millis() as u64,
            "a handler blocks its worker: use `blocking`, or `yield_now` in long loops"
        );
        let resting = self.resting.lock().pop();
        match resting {
            Some(spare) => self.unpark(spare),
            None => self.start_spare(),
        }
    }

    /// What waits in the queue of a worker that is stuck goes to the others, some of it: one that always has
    /// work of its own never steals.
    pub(super) fn hand_over(&self, number: usize) {
        let mut is_any = false;
        for _ in 0..HANDED_OVER {
            let Some(ready) = self.seats[number].queue.take_over() else { break };
            self.injector.push(ready);
            is_any = true;
        }
        if is_any {
            self.wake_one();
        }
    }

    fn start_spare(&self) {
        let next = self.seated().len();
        if next >= self.seats.len() {
            tracing::error!(spares = MAX_SPARES, "every spare worker is in use: processes may wait for long");
            return;
        }
        let Some(workers) = self.me.upgrade() else { return };
        if let Err(error) = workers.start_seat(next) {
            tracing::error!(%error, "no thread for a spare worker: processes may wait for long");
        }
    }
}

impl Seat {
    fn new() -> Self {
        let (queue, owned) = Shared::new();
        Self {
            board: Board::default(),
            parker: Parker::new(),
            queue,
            owned: Mutex::new(Some(owned)),
            notes: AtomicU32::new(0),
            thread_id: AtomicU32::new(0),
            steals: AtomicU64::new(0),
            parks: AtomicU64::new(0),
            longest_turn: AtomicU64::new(0),
            since: AtomicMoment::default(),
            since_handled: AtomicU64::new(0),
        }
    }
}

/// One worker, in its thread.
struct Worker<'a> {
    workers: &'a Workers,
    seat: &'a Seat,
    number: usize,
    queue: &'a RunQueue<'a>,
}

impl Worker<'_> {
    fn work(&self) {
        let _tokio = self.workers.io.handle().enter();
        self.seat.thread_id.store(thread_id(), Ordering::Relaxed);
        let turn = Turn::new(&self.seat.board, &self.workers.pool, self.workers.home());
        turn.sit(self.queue, self.number);
        turn.enter(|| self.turns(&turn));
    }

    fn turns(&self, turn: &Turn<'_>) {
        let mut until_look = TURNS_BETWEEN_LOOKS;
        let mut searching = false;
        // While a strict process waits, others do not come before it.
        let mut outside_first = false;
        while !self.workers.is_closed() {
            if self.seat.notes.load(Ordering::Relaxed) != 0 {
                outside_first |= self.read_notes();
            }
            if self.is_spare() && self.workers.surplus.load(Ordering::Relaxed) > 0 && self.retires(turn, &mut searching)
            {
                continue;
            }
            if until_look == 0 {
                until_look = TURNS_BETWEEN_LOOKS;
                self.look_around();
                outside_first = true;
            }
            let Some(ready) = self.pick(&mut outside_first, &mut searching) else {
                until_look = TURNS_BETWEEN_LOOKS;
                searching = self.sleep(turn, searching);
                continue;
            };
            until_look -= 1;
            if searching {
                searching = false;
                if self.workers.idle.found() && self.workers.has_work() {
                    self.workers.wake_one();
                }
            }
            // SAFETY: it was picked from a queue, where it was once.
            if unsafe { ready.run(turn) } == After::Again {
                self.requeue(ready);
            }
        }
        // Whoever closes does not run what is left.
    }

    /// Takes the process whose turn it is.
    #[inline]
    fn pick(&self, outside_first: &mut bool, searching: &mut bool) -> Option<Ready> {
        if let Some(ready) = self.workers.strict.pop() {
            return Some(ready);
        }
        if std::mem::take(outside_first)
            && let Some(ready) = self.take_injected()
        {
            if ready.header().priority() != Priority::Low {
                return Some(ready);
            }
            self.queue.push(ready);
        }
        while let Some(ready) = self.queue.pop() {
            ready.prefetch_rest();
            let header = ready.header();
            if header.priority() == Priority::Low && header.is_passed_over() {
                self.queue.push(ready);
                continue;
            }
            return Some(ready);
        }
        self.pick_elsewhere(searching)
    }

    #[cold]
    fn pick_elsewhere(&self, searching: &mut bool) -> Option<Ready> {
        if let Some(ready) = self.take_injected() {
            return Some(ready);
        }
        self.workers.io.look_in();
        if let Some(ready) = self.queue.pop() {
            return Some(ready);
        }
        if !*searching {
            *searching = self.workers.idle.begin_search(self.workers.count);
        }
        if *searching { self.steal() } else { None }
    }

    fn take_injected(&self) -> Option<Ready> {
        self.queue.take_injected(&self.workers.injector)
    }

    fn steal(&self) -> Option<Ready> {
        let seats = self.workers.seated();
        let mut again = true;
        while again {
            again = false;
            for step in 1..seats.len() {
                let victim = &seats[(self.number + step) % seats.len()];
                match self.queue.steal(&victim.queue) {
                    Steal::Success(ready) => {
                        self.seat.steals.fetch_add(1, Ordering::Relaxed);
                        return Some(ready);
                    }
                    Steal::Empty => {}
                    Steal::Retry => again = true,
                }
            }
        }
        None
    }

    fn requeue(&self, ready: Ready) {
        let priority = ready.header().priority();
        if priority.is_strict() {
            self.workers.strict.push(ready, priority);
            return;
        }
        self.workers.push_onto(self.queue, ready);
    }

    /// Once in a while: what sockets tell must not wait for the own queue to be empty, nor must processes
    /// wait in a long queue while others are short.
    #[cold]
    fn look_around(&self) {
        self.workers.io.look_in();
        let own = self.queue.len();
        let longest = self.workers.seated().iter().max_by_key(|seat| seat.queue.len());
        if let Some(longest) = longest.filter(|seat| seat.queue.len() > own + 1) {
            let half = longest.queue.len().saturating_sub(own) / 2;
            self.queue.take_from(&longest.queue, half.max(1));
        }
    }

    /// Sleeps until there may be work. Returns whether it counts as searching.
    fn sleep(&self, turn: &Turn<'_>, searching: bool) -> bool {
        let workers = self.workers;
        // With the last reference a node may go, and what it held may send something.
        turn.rest();
        if !self.queue.is_empty() {
            return searching;
        }
        workers.idle.lie_down(self.number, searching);
        if workers.has_work() {
            workers.idle.get_up_to_search(self.number);
            return true;
        }
        if workers.is_closed() {
            return workers.idle.get_up(self.number);
        }
        self.seat.parks.fetch_add(1, Ordering::Relaxed);
        if workers.io.try_take() {
            turn.set_leading(true);
            self.seat.parker.lead(workers.io());
            turn.set_leading(false);
            workers.io.release();
        } else {
            self.seat.parker.park();
        }
        let woken = workers.idle.get_up(self.number);
        if workers.ticker.is_dormant() {
            workers.clock.refresh();
            workers.ticker.wake();
        }
        woken
    }

    fn is_spare(&self) -> bool {
        self.number >= self.workers.count
    }

    /// Returns whether what came from outside goes next.
    #[cold]
    fn read_notes(&self) -> bool {
        let notes = self.seat.notes.swap(0, Ordering::SeqCst);
        if notes & STUCK != 0 {
            // The handler has returned: there is a worker too many now.
            self.workers.surplus.fetch_add(1, Ordering::SeqCst);
        }
        if notes & LOOK != 0 {
            self.look_around();
        }
        notes & (OUTSIDE | LOOK) != 0
    }

    /// Rests until another worker is stuck, if there is one too many. Leaves nothing in its queue.
    #[cold]
    fn retires(&self, turn: &Turn<'_>, searching: &mut bool) -> bool {
        let workers = self.workers;
        let one_less = |surplus: u32| surplus.checked_sub(1);
        if workers.surplus.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_err() {
            return false;
        }
        turn.rest();
        while let Some(ready) = self.queue.pop() {
            workers.injector.push(ready);
        }
        if std::mem::take(searching) {
            let _ = workers.idle.found();
        }
        workers.wake_one();
        workers.resting.lock().push(self.number);
        if !workers.is_closed() {
            self.seat.parker.park();
        }
        workers.resting.lock().retain(|resting| *resting != self.number);
        workers.ticker.wake();
        true
    }
}

/// The system's number of this thread; 0 where it does not tell.
fn thread_id() -> u32 {
    let link = std::fs::read_link("/proc/thread-self").ok();
    link.and_then(|link| link.file_name()?.to_str()?.parse().ok()).unwrap_or(0)
}
