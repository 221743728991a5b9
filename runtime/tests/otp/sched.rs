//! Area SCHED: who runs, and how much. Shares are counted in turns and reductions in virtual time, where
//! one worker has all of them; figures in real time belong to benches. On the real scheduler the tests prove
//! what must come about, by waiting for it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use biotope_runtime::{
    Actor, Address, Call, Context, ExitReason, Handle, Lint, Pid, Priority, Process, Refused, ReplyTo, Result, Runtime,
    Step, blocking, node, options, process, reduce, spawn, spawn_monitor, spawn_process, time, yield_now,
};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{mpsc, oneshot};

use crate::acts::{Echo, Log, Puppet, act, acted, down, dropping, puppet};
use crate::runs::{SEEDS, everywhere, is_virtual, millis, once, secs, under_seeds, until};

/// What OTP gives a process for one turn, and about what we do.
const BUDGET: u64 = 4_000;

/// How many messages each of several has handled, or loops it has made.
type Counts = Arc<[AtomicU64]>;

fn counts(of: usize) -> Counts {
    (0..of).map(|_| AtomicU64::new(0)).collect()
}

fn all(counts: &Counts) -> Vec<u64> {
    counts.iter().map(|count| count.load(Ordering::Relaxed)).collect()
}

// ---- SCHED-01

/// The ways in which code that only computes can be written.
#[derive(Clone, Copy, Debug)]
enum Busy {
    /// A loop that says what it works.
    Reduce,
    /// A loop that lets others go first.
    Yield,
    /// Straight-line code that sends itself a message for each step.
    Receive,
    /// An actor that does.
    Tell,
    /// A loop of calls to a process of its own.
    Call,
}

const BUSY: [Busy; 5] = [Busy::Reduce, Busy::Yield, Busy::Receive, Busy::Tell, Busy::Call];

/// Sends itself the next message until it is told to end.
struct Telling {
    step: Box<dyn FnMut() -> bool + Send>,
}

impl Actor for Telling {
    type Msg = ();
    type Client = Address<()>;
    const NAME: &'static str = "Telling";
}

impl Handle for Telling {
    async fn handle(&mut self, (): (), cx: &mut Context<Self>) {
        if (self.step)() {
            cx.myself().cast(());
        } else {
            cx.stop(ExitReason::Normal);
        }
    }
}

impl Busy {
    /// A process that calls `step` for ever, or until that says that it is enough.
    fn spawn(self, mut step: impl FnMut() -> bool + Send + 'static) -> Pid {
        match self {
            Self::Reduce => spawn_process(async move |_: Process<()>| {
                while step() {
                    reduce(100).await;
                }
                Ok(())
            })
            .pid(),
            Self::Yield => spawn_process(async move |_: Process<()>| {
                while step() {
                    yield_now().await;
                }
                Ok(())
            })
            .pid(),
            Self::Receive => spawn_process(async move |mut me: Process<()>| {
                while step() {
                    me.address().cast(());
                    me.receive().await?;
                }
                Ok(())
            })
            .pid(),
            Self::Tell => {
                let telling = spawn(Telling { step: Box::new(step) });
                telling.cast(());
                telling.pid()
            }
            Self::Call => spawn_process(async move |_: Process<()>| {
                let echo = spawn(Echo);
                let mut n = 0;
                while step() {
                    n += 1;
                    assert_eq!(Call::new(&echo, |reply| (n, reply)).await?, n);
                }
                echo.stop();
                Ok(())
            })
            .pid(),
        }
    }

    /// About how many steps it makes in a turn.
    fn steps_per_turn(self) -> u64 {
        match self {
            Self::Reduce => BUDGET / 100,
            _ => 1,
        }
    }
}

/// Whatever the framework's construct: when the first has had 400 turns, no other has had less than half.
#[test]
fn sched_01_processes_that_only_compute_have_equal_shares() {
    under_seeds(SEEDS, async |mut me: Process<Vec<u64>>| {
        const PROCESSES: usize = 4;
        for busy in BUSY {
            let counts = counts(PROCESSES);
            let enough = 400 * busy.steps_per_turn();
            for own in 0..PROCESSES {
                let (counts, report) = (counts.clone(), me.address());
                busy.spawn(move || {
                    let mine = counts[own].fetch_add(1, Ordering::Relaxed) + 1;
                    if mine == enough {
                        report.cast(all(&counts));
                    }
                    mine < enough
                });
            }
            let shares = me.receive().await?;
            let (least, most) = (shares.iter().min().copied(), shares.iter().max().copied());
            assert!(most <= least.map(|least| 2 * least), "{busy:?}: {shares:?}");
            // The others come to their end, too.
            for _ in 1..PROCESSES {
                me.receive().await?;
            }
        }
        Ok(())
    });
}

/// All of them together: what a process counts as its work is what it gets its share of.
#[test]
fn sched_01_long_steps_do_not_buy_a_greater_share() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        let costs = [10_u32, 100, 1_000, 4_000];
        let stop = Arc::new(AtomicBool::new(false));
        let pids: Vec<Pid> = costs
            .into_iter()
            .map(|cost| {
                let (stop, report) = (stop.clone(), me.address());
                let mut work = 0;
                spawn_process(async move |_: Process<()>| {
                    while !stop.load(Ordering::Relaxed) {
                        work += cost;
                        if work == 1_600_000 {
                            report.cast(());
                        }
                        reduce(cost).await;
                    }
                    Ok(())
                })
                .pid()
            })
            .collect();
        me.receive().await?;
        let work: Vec<u64> = pids.iter().map(|pid| node().peek(*pid).expect("it lives").reductions).collect();
        stop.store(true, Ordering::Relaxed);
        let (least, most) = (work.iter().min().copied(), work.iter().max().copied());
        assert!(most <= least.map(|least| 2 * least), "{work:?}");
        Ok(())
    });
}

/// A ticker beside them ticks: time goes on though all are busy, and it waits a few turns at most.
#[test]
fn sched_01_a_ticker_ticks_beside_them() {
    under_seeds(3, async |_: Process<()>| {
        for busy in BUSY {
            let stop = Arc::new(AtomicBool::new(false));
            let counts = counts(4);
            for own in 0..4 {
                let (counts, stop) = (counts.clone(), stop.clone());
                busy.spawn(move || {
                    counts[own].fetch_add(1, Ordering::Relaxed);
                    !stop.load(Ordering::Relaxed)
                });
            }
            let begin = time::now();
            let (tell, told) = oneshot::channel();
            let ticker = spawn_process(async move |mut me: Process<()>| {
                let mut late = Vec::new();
                for n in 1..=10_u32 {
                    me.receive().await?;
                    late.push((time::now() - begin).checked_sub(millis(10) * n));
                }
                let _ = tell.send(late);
                Ok(())
            });
            node().send_interval(millis(10), &ticker, || ());
            let late = told.await?;
            stop.store(true, Ordering::Relaxed);
            assert!(late.iter().all(|late| late.is_some_and(|late| late <= millis(20))), "{busy:?}: {late:?}");
            let shares = all(&counts);
            assert!(shares.iter().max() <= shares.iter().min().map(|least| least * 2).as_ref(), "{busy:?}: {shares:?}");
        }
        Ok(())
    });
}

/// On threads: four times as many as workers are busy for ever, each goes on, and a ticker ticks.
#[test]
fn sched_01_on_threads_each_goes_on_and_a_ticker_ticks() {
    for busy in BUSY {
        once(Runtime::builder().workers(2), async move |_: Process<()>| {
            let stop = Arc::new(AtomicBool::new(false));
            let counts = counts(8);
            for own in 0..8 {
                let (counts, stop) = (counts.clone(), stop.clone());
                busy.spawn(move || {
                    counts[own].fetch_add(1, Ordering::Relaxed);
                    !stop.load(Ordering::Relaxed)
                });
            }
            let ticks = Arc::new(AtomicU32::new(0));
            let counted = ticks.clone();
            let ticker = spawn_process(async move |mut me: Process<()>| {
                loop {
                    me.receive().await?;
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
            node().send_interval(millis(10), &ticker, || ());
            until(|| ticks.load(Ordering::Relaxed) >= 10 && all(&counts).iter().all(|count| *count >= 20)).await;
            stop.store(true, Ordering::Relaxed);
            Ok(())
        });
    }
}

/// The rule: a process that never ends its turn by itself is interrupted when its budget is used up, and not
/// much before.
#[test]
fn sched_01_a_turn_is_about_a_budget() {
    under_seeds(SEEDS, async |_: Process<()>| {
        let steps: Log<usize> = Log::new();
        for who in 0..2 {
            let steps = steps.clone();
            spawn_process(async move |_: Process<()>| {
                for _ in 0..50 * BUDGET / 100 {
                    steps.push(who);
                    reduce(100).await;
                }
                Ok(())
            });
        }
        until(|| steps.len() as u64 == 100 * BUDGET / 100).await;
        // Who ran, with how many steps at a time: one turn, or several by the luck of the draw.
        let stays: Vec<u64> = steps.all().chunk_by(|a, b| a == b).map(|stay| stay.len() as u64).collect();
        assert!(stays.len() >= 6, "they did not take turns: {stays:?}");
        let shortest = stays.iter().min().copied();
        assert!(shortest.is_some_and(|steps| (BUDGET / 200..=BUDGET / 100 + 1).contains(&steps)), "{stays:?}");
        Ok(())
    });
}

// ---- SCHED-02

/// Counts its messages, each of which costs so many reductions. It sends them all to itself before it handles the
/// first.
struct Draining {
    messages: u64,
    full: Option<oneshot::Sender<()>>,
    handled: Arc<AtomicU64>,
    cost: u32,
}

impl Actor for Draining {
    type Msg = ();
    type Client = Address<()>;
    const NAME: &'static str = "Draining";
}

impl Handle for Draining {
    async fn init(&mut self, cx: &mut Context<Self>) -> std::result::Result<(), Refused> {
        let myself = cx.myself();
        for _ in 0..self.messages {
            myself.cast(());
        }
        let _ = self.full.take().map(|full| full.send(()));
        Ok(())
    }

    async fn handle(&mut self, (): (), _cx: &mut Context<Self>) {
        unreachable!("`step` handles all");
    }

    fn step(&mut self, (): (), cx: &mut Context<Self>) -> Step<impl Future<Output = ()> + Send> {
        self.handled.fetch_add(1, Ordering::Relaxed);
        if self.cost > 1 {
            cx.consume_reductions(self.cost - 1);
        }
        Step::<std::future::Ready<()>>::Done
    }
}

/// Spawns a process that has `messages` to handle, all of them at hand, and returns how many it has handled.
async fn drains(messages: u64, cost: u32, is_actor: bool) -> Result<Arc<AtomicU64>> {
    let handled = Arc::new(AtomicU64::new(0));
    let counted = handled.clone();
    let (full, is_full) = oneshot::channel();
    if is_actor {
        spawn(Draining { messages, full: Some(full), handled: counted, cost });
    } else {
        spawn_process(async move |mut me: Process<()>| {
            let myself = me.address();
            for _ in 0..messages {
                myself.cast(());
            }
            let _ = full.send(());
            loop {
                me.receive().await?;
                counted.fetch_add(1, Ordering::Relaxed);
                if cost > 1 {
                    me.consume_reductions(cost - 1);
                }
            }
        });
    }
    is_full.await?;
    Ok(handled)
}

/// Asks `echo` so often, and returns how many messages were handled meanwhile, each time.
async fn handled_per_question(echo: &Address<(u64, ReplyTo<u64>)>, handled: &AtomicU64) -> Result<Vec<u64>> {
    let mut each = Vec::new();
    for n in 0..20 {
        let before = handled.load(Ordering::Relaxed);
        assert_eq!(Call::new(echo, |reply| (n, reply)).await?, n);
        each.push(handled.load(Ordering::Relaxed) - before);
    }
    Ok(each)
}

/// A long queue, and every message of it at hand: others wait for a turn of it, not for its end. A question
/// is two turns of others; with the luck of the draw, so many turns at most may lie between.
#[test]
fn sched_02_a_process_with_a_long_queue_lets_others_run() {
    const MESSAGES: u64 = 20_000;
    const COST: u64 = 40;
    const AT_MOST: u64 = 60;
    under_seeds(SEEDS, async |_: Process<()>| {
        for is_actor in [true, false] {
            let echo = spawn(Echo);
            let handled = drains(MESSAGES, COST as u32, is_actor).await?;
            let each = handled_per_question(&echo, &handled).await?;
            assert!(each.iter().all(|n| *n <= AT_MOST * (BUDGET / COST + 1)), "{each:?}");
            until(|| handled.load(Ordering::Relaxed) == MESSAGES).await;
        }
        Ok(())
    });
}

/// The case itself: a million messages with handlers that do next to nothing. First in, first out (seed 0), a
/// question waits for two turns of the long queue, and never for more than that.
#[test]
fn sched_02_a_million_messages_do_not_delay_others() {
    const MESSAGES: u64 = 1_000_000;
    under_seeds(1, async |_: Process<()>| {
        for is_actor in [true, false] {
            let echo = spawn(Echo);
            let handled = drains(MESSAGES, 1, is_actor).await?;
            let each = handled_per_question(&echo, &handled).await?;
            assert!(each.iter().all(|n| *n <= 2 * BUDGET + 2), "{each:?}");
            until(|| handled.load(Ordering::Relaxed) == MESSAGES).await;
        }
        Ok(())
    });
    for is_actor in [true, false] {
        // One worker has them all: if the queue went first, the questions were answered after it.
        once(Runtime::builder().workers(1), async move |_: Process<()>| {
            let echo = spawn(Echo);
            let handled = drains(MESSAGES, 1, is_actor).await?;
            handled_per_question(&echo, &handled).await?;
            let meanwhile = handled.load(Ordering::Relaxed);
            assert!(meanwhile < MESSAGES, "the questions waited for the whole queue");
            until(|| handled.load(Ordering::Relaxed) == MESSAGES).await;
            Ok(())
        });
    }
}

/// A process that feeds itself does not stay: messages to oneself end the turn.
#[test]
fn sched_02_a_process_that_feeds_itself_lets_others_run() {
    under_seeds(SEEDS, async |_: Process<()>| {
        let (steps, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        for busy in [Busy::Tell, Busy::Receive] {
            let (steps, stop) = (steps.clone(), stop.clone());
            busy.spawn(move || {
                steps.fetch_add(1, Ordering::Relaxed);
                !stop.load(Ordering::Relaxed)
            });
        }
        let echo = spawn(Echo);
        let each = handled_per_question(&echo, &steps).await?;
        // One step a turn: by no luck of the draw a whole budget of them.
        assert!(each.iter().all(|n| *n < 500), "{each:?}");
        stop.store(true, Ordering::Relaxed);
        Ok(())
    });
}

/// Answers, and has used its whole turn up with that.
struct Weary;

impl Actor for Weary {
    type Msg = (u64, ReplyTo<u64>);
    type Client = Address<(u64, ReplyTo<u64>)>;
    const NAME: &'static str = "Weary";
}

impl Handle for Weary {
    async fn handle(&mut self, (n, reply): Self::Msg, cx: &mut Context<Self>) {
        cx.consume_reductions(BUDGET as u32);
        reply.send(n);
    }
}

/// A process that has used its turn up and has nothing more to do waits. At the back of the queue, its next message would
/// wait there for all others. In virtual time: in real time a turn may be cut short, and take two.
#[test]
fn sched_02_a_turn_that_is_used_up_by_the_last_message_is_the_last() {
    const CALLS: u64 = 100;
    under_seeds(SEEDS, async |_: Process<()>| {
        let turns = || node().runtime().stats().workers.iter().map(|worker| worker.turns).sum::<u64>();
        let straight = spawn_process(async |mut me: Process<(u64, ReplyTo<u64>)>| {
            loop {
                let (n, reply) = me.receive().await?;
                me.consume_reductions(BUDGET as u32);
                reply.send(n);
            }
        });
        for weary in [spawn(Weary).address().clone(), straight] {
            let before = turns();
            for n in 0..CALLS {
                assert_eq!(Call::new(&weary, |reply| (n, reply)).await?, n);
            }
            let took = turns() - before;
            // One of each side.
            assert!(took <= 2 * CALLS + CALLS / 2, "{took} turns");
        }
        Ok(())
    });
}

// ---- SCHED-03

/// A loop of calls to `server` at this priority, until `enough` says so.
fn calls_in_a_loop(
    server: &Address<(u64, ReplyTo<u64>)>,
    priority: Priority,
    count: impl Fn() -> bool + Send + 'static,
) {
    let server = server.clone();
    let body = async move |_: Process<()>| {
        while count() {
            Call::new(&server, |reply| (1, reply)).timeout(secs(300)).await?;
        }
        Ok(())
    };
    spawn(options(process(body)).priority(priority));
}

/// Low against normal, by what each has done when normal has done enough: between a sixteenth and a quarter.
#[test]
fn sched_03_low_has_a_small_share_beside_normal() {
    const ENOUGH: u64 = 4_000;
    under_seeds(SEEDS, async |mut me: Process<Vec<u64>>| {
        for of_each in [1, 4] {
            let server = spawn(options(Echo).priority(Priority::High));
            // Normal first, then low.
            let counts = counts(2);
            let stop = Arc::new(AtomicBool::new(false));
            for class in [0, 1] {
                for _ in 0..of_each {
                    let (counts, stop, report) = (counts.clone(), stop.clone(), me.address());
                    let priority = [Priority::Normal, Priority::Low][class];
                    calls_in_a_loop(&server, priority, move || {
                        let done = counts[class].fetch_add(1, Ordering::Relaxed) + 1;
                        if class == 0 && done == ENOUGH {
                            report.cast(all(&counts));
                            stop.store(true, Ordering::Relaxed);
                        }
                        !stop.load(Ordering::Relaxed)
                    });
                }
            }
            let shares = me.receive().await?;
            let low = shares[1];
            assert!((ENOUGH / 16..=ENOUGH / 4).contains(&low), "{low} beside {ENOUGH}, {of_each} of each");
        }
        Ok(())
    });
}

/// The same with code that computes, in reductions.
#[test]
fn sched_03_low_has_a_small_share_in_reductions() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        let stop = Arc::new(AtomicBool::new(false));
        let spawn_busy = |priority| {
            let (stop, report) = (stop.clone(), me.address());
            let mut steps = 0;
            let body = async move |_: Process<()>| {
                while !stop.load(Ordering::Relaxed) {
                    reduce(1_000).await;
                    steps += 1;
                    if priority == Priority::Normal && steps == 3_200 {
                        report.cast(());
                    }
                }
                Ok(())
            };
            spawn(options(process(body)).priority(priority)).pid()
        };
        let (low, normal) = (spawn_busy(Priority::Low), spawn_busy(Priority::Normal));
        me.receive().await?;
        let work = |pid: Pid| node().peek(pid).expect("it lives").reductions;
        let (low, normal) = (work(low), work(normal));
        stop.store(true, Ordering::Relaxed);
        assert!(low >= normal / 16 && low <= normal / 4, "{low} beside {normal}");
        Ok(())
    });
}

/// Never zero: one low process among many normal ones comes to its end, with one worker and with more.
#[test]
fn sched_03_low_is_never_starved_by_normal() {
    let body = async |_: Process<()>| {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..10 {
            let stop = stop.clone();
            Busy::Reduce.spawn(move || !stop.load(Ordering::Relaxed));
        }
        let (tell, told) = oneshot::channel();
        let body = async move |_: Process<()>| {
            for _ in 0..10 {
                yield_now().await;
            }
            let _ = tell.send(());
            Ok(())
        };
        spawn(options(process(body)).priority(Priority::Low));
        told.await?;
        stop.store(true, Ordering::Relaxed);
        Ok(())
    };
    under_seeds(SEEDS, body);
    for workers in [1, 4] {
        once(Runtime::builder().workers(workers), body);
    }
}

/// Without normal work, low has all it wants.
#[test]
fn sched_03_low_alone_goes_on() {
    everywhere(async |me: Process<()>| {
        me.set_priority(Priority::Low);
        let echo = spawn(options(Echo).priority(Priority::Low));
        for n in 0..50 {
            assert_eq!(Call::new(&echo, |reply| (n, reply)).await?, n);
        }
        Ok(())
    });
}

// ---- SCHED-04

/// A process of this priority that enters its name when it gets a message.
fn enters(log: &Log<&'static str>, name: &'static str, priority: Priority) -> Address<()> {
    let log = log.clone();
    let body = async move |mut me: Process<()>| {
        loop {
            me.receive().await?;
            log.push(name);
        }
    };
    spawn(options(process(body)).priority(priority))
}

/// As long as a high process has something to do, and however often it lets others go first, nobody below has
/// a turn. Then they catch up.
#[test]
fn sched_04_high_is_strict() {
    under_seeds(SEEDS, async |_: Process<()>| {
        let log = Log::new();
        let below: Vec<Address<()>> =
            [Priority::Normal, Priority::Low].into_iter().map(|priority| enters(&log, "below", priority)).collect();
        time::sleep(millis(1)).await;
        let (tell, told) = oneshot::channel();
        let entered = log.clone();
        let body = async move |_: Process<()>| {
            for _ in 0..100 {
                below.iter().for_each(|below| below.cast(()));
                for _ in 0..10 {
                    yield_now().await;
                }
                reduce(10_000).await;
            }
            let _ = tell.send(entered.len());
            Ok(())
        };
        spawn(options(process(body)).priority(Priority::High));
        assert_eq!(told.await?, 0, "nobody below has run");
        until(|| log.len() == 200).await;
        Ok(())
    });
}

/// The case in its own words: a second of high work, in virtual time, beside tickers.
#[test]
fn sched_04_tickers_below_wait_and_catch_up() {
    under_seeds(3, async |_: Process<()>| {
        let begin = time::now();
        let ticks: Log<(Priority, Instant)> = Log::new();
        for priority in [Priority::Normal, Priority::Low] {
            let ticks = ticks.clone();
            let body = async move |mut me: Process<()>| {
                loop {
                    me.receive().await?;
                    ticks.push((priority, time::now()));
                }
            };
            let ticker = spawn(options(process(body)).priority(priority));
            node().send_interval(millis(10), &ticker, || ());
        }
        let body = async move |_: Process<()>| {
            while time::now() - begin < secs(1) {
                yield_now().await;
            }
            Ok(())
        };
        spawn(options(process(body)).priority(Priority::High));
        time::sleep(secs(1) + millis(5)).await;
        // What was due in that second has been handled by now, and nothing of it during that second.
        let ticks = ticks.all();
        assert!(ticks.iter().all(|(_, at)| *at - begin >= secs(1)), "a ticker ran before high was done");
        for priority in [Priority::Normal, Priority::Low] {
            assert_eq!(ticks.iter().filter(|tick| tick.0 == priority).count(), 100, "{priority:?} caught up");
        }
        Ok(())
    });
}

/// Whoever is woken at a higher priority goes before all that wait at a lower one.
#[test]
fn sched_04_who_is_urgent_goes_before_all_who_wait() {
    under_seeds(SEEDS, async |_: Process<()>| {
        let log = Log::new();
        let high = enters(&log, "high", Priority::High);
        let max = enters(&log, "max", Priority::Max);
        time::sleep(millis(1)).await;
        for n in 0..10 {
            let (log, high, max) = (log.clone(), high.clone(), max.clone());
            spawn_process(async move |_: Process<()>| {
                log.push("normal");
                if n == 5 {
                    high.cast(());
                    max.cast(());
                    log.push("sent");
                }
                Ok(())
            });
        }
        until(|| log.len() == 13).await;
        let log = log.all();
        let sent = log.iter().position(|entry| *entry == "sent").expect("it was sent");
        assert_eq!(log[sent + 1..sent + 3], ["max", "high"], "{log:?}");
        Ok(())
    });
}

/// Max goes before high, also when high is at work already, and as strictly.
#[test]
fn sched_04_max_goes_before_high() {
    under_seeds(SEEDS, async |_: Process<()>| {
        let log = Log::new();
        let worker = |name: &'static str, priority| {
            let log = log.clone();
            let body = async move |mut me: Process<()>| {
                me.receive().await?;
                for _ in 0..50 {
                    log.push(name);
                    yield_now().await;
                }
                Ok(())
            };
            spawn(options(process(body)).priority(priority))
        };
        let max = [worker("max", Priority::Max), worker("max", Priority::Max)];
        let high = [worker("high", Priority::High), worker("high", Priority::High)];
        time::sleep(millis(1)).await;
        high.iter().chain(&max).for_each(|worker| worker.cast(()));
        until(|| log.len() == 200).await;
        assert_eq!(log.all(), [["max"; 100], ["high"; 100]].concat());

        // And in the middle of it.
        let log = Log::new();
        let max = enters(&log, "max", Priority::Max);
        time::sleep(millis(1)).await;
        let entered = log.clone();
        let body = async move |_: Process<()>| {
            for n in 0..20 {
                entered.push("high");
                if n == 7 {
                    max.cast(());
                }
                yield_now().await;
            }
            Ok(())
        };
        spawn(options(process(body)).priority(Priority::High));
        until(|| log.len() == 21).await;
        assert_eq!(log.all().iter().position(|entry| *entry == "max"), Some(8));
        Ok(())
    });
}

/// On threads, with one worker: what is ready at one moment runs in the order of its priority.
#[test]
fn sched_04_on_one_worker_the_urgent_go_first() {
    for _ in 0..20 {
        once(Runtime::builder().workers(1), async |_: Process<()>| {
            let log = Log::new();
            let classes = [
                ("low", Priority::Low),
                ("normal", Priority::Normal),
                ("high", Priority::High),
                ("max", Priority::Max),
            ];
            let all: Vec<Address<()>> =
                (0..40).map(|n| classes[n % 4]).map(|(name, priority)| enters(&log, name, priority)).collect();
            // All wait for their message.
            for address in &all {
                let pid = address.pid();
                until(move || node().peek(pid).is_some_and(|info| info.status == biotope_runtime::Status::Waiting))
                    .await;
            }
            // In one turn of the most urgent, so that no other has one in between.
            let body = async move |_: Process<()>| {
                all.iter().for_each(|address| address.cast(()));
                Ok(())
            };
            spawn(options(process(body)).priority(Priority::Max));
            until(|| log.len() == 40).await;
            let log = log.all();
            // Normal and low share what is left; a spare worker would let two run at once.
            if node().runtime().stats().spares == 0 {
                assert_eq!(log[..20], [["max"; 10], ["high"; 10]].concat(), "{log:?}");
            }
            Ok(())
        });
    }
}

// ---- SCHED-05

/// A value that is none is excluded by the type.
#[test]
fn sched_05_setting_the_priority_returns_the_one_before() {
    everywhere(async |_: Process<()>| {
        let p = puppet();
        let set = |priority| acted(&p, move |me| me.set_priority(priority));
        let seen = async || node().process_info(&p).await.map(|info| info.priority);
        assert_eq!(seen().await, Some(Priority::Normal));
        let mut before = Priority::Normal;
        for priority in [Priority::High, Priority::Low, Priority::Max, Priority::Max, Priority::Normal, Priority::High]
        {
            assert_eq!(set(priority).await?, before);
            assert_eq!(seen().await, Some(priority));
            before = priority;
        }
        // A child begins as normal, whatever its parent is.
        let (child, by_link) = acted(&p, |me| {
            let link = biotope_runtime::spawn_link(process(async |mut me: Process<()>| Ok(me.receive().await?)));
            assert_eq!(me.set_priority(Priority::High), Priority::High);
            (puppet(), link)
        })
        .await?;
        for pid in [child.pid(), by_link.pid()] {
            let info = node().process_info(pid).await.expect("it lives");
            assert_eq!((info.priority, info.parent), (Priority::Normal, Some(p.pid())));
        }
        assert_eq!(acted(&child, |me| me.set_priority(Priority::Low)).await?, Priority::Normal);
        assert_eq!(Priority::default(), Priority::Normal);
        child.stop(ExitReason::Normal);
        Ok(())
    });
}

/// It counts from the next turn on: one that makes itself low stops going first.
#[test]
fn sched_05_a_new_priority_counts_from_the_next_turn() {
    under_seeds(SEEDS, async |_: Process<()>| {
        let log = Log::new();
        let normal = enters(&log, "normal", Priority::Normal);
        time::sleep(millis(1)).await;
        let entered = log.clone();
        let body = async move |me: Process<()>| {
            normal.cast(());
            for _ in 0..20 {
                entered.push("high");
                yield_now().await;
            }
            assert_eq!(me.set_priority(Priority::Low), Priority::High);
            for _ in 0..200 {
                yield_now().await;
                entered.push("low");
            }
            Ok(())
        };
        spawn(options(process(body)).priority(Priority::High));
        until(|| log.len() == 221).await;
        let log = log.all();
        assert_eq!(log[..20], ["high"; 20]);
        assert!(log.iter().position(|entry| *entry == "normal").is_some_and(|at| at < 200), "{log:?}");
        Ok(())
    });
}

// ---- SCHED-06

/// Blocking work waits here until it is let go.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn wait(&self) {
        let (is_open, opened) = &*self.0;
        let mut is_open = is_open.lock();
        while !*is_open {
            opened.wait(&mut is_open);
        }
    }

    fn open(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }
}

/// Opens the gate when the test is over, however that is: a runtime waits for its blocking threads.
struct OpenAtLast(Gate);

impl Drop for OpenAtLast {
    fn drop(&mut self) {
        self.0.open();
    }
}

struct Reader {
    gate: Gate,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Actor for Reader {
    type Msg = Question;
    type Client = Address<Question>;
    const NAME: &'static str = "Reader";
}

type Question = (u64, ReplyTo<u64>);

impl Handle for Reader {
    async fn handle(&mut self, (n, reply): Question, _cx: &mut Context<Self>) {
        let (gate, running, most) = (self.gate.clone(), self.running.clone(), self.most.clone());
        let read = blocking(move || {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            gate.wait();
            running.fetch_sub(1, Ordering::SeqCst);
            n * n
        });
        reply.send(read.await);
    }
}

/// A hundred handlers block at once: as many as the limit allows, and nobody else waits for them.
#[test]
fn sched_06_blocking_work_leaves_others_alone_and_has_a_limit() {
    const LIMIT: usize = 4;
    once(Runtime::builder().workers(2).blocking_threads(LIMIT), async |_: Process<()>| {
        let gate = Gate::default();
        let _open = OpenAtLast(gate.clone());
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut requests = Vec::new();
        for n in 0..100_u64 {
            let reader = spawn(Reader { gate: gate.clone(), running: running.clone(), most: most.clone() });
            requests.push(Call::new(&reader, |reply| (n, reply)).timeout(secs(300)).send());
        }
        until(|| running.load(Ordering::SeqCst) == LIMIT).await;
        // Others go on, while all hundred block or wait to.
        let echo = spawn(Echo);
        for n in 0..1_000 {
            assert_eq!(Call::new(&echo, |reply| (n, reply)).await?, n);
        }
        assert_eq!(running.load(Ordering::SeqCst), LIMIT);
        gate.open();
        for (n, request) in (0..).zip(requests) {
            assert_eq!(request.await?, n * n);
        }
        assert_eq!(most.load(Ordering::SeqCst), LIMIT, "the limit was reached, and kept");
        Ok(())
    });
}

/// A process that is killed in blocking work is announced as dead while that goes on; what it returns is
/// dropped.
#[test]
fn sched_06_a_kill_does_not_wait_for_blocking_work() {
    for _ in 0..5 {
        once(Runtime::builder().workers(2), async |mut me: Process<()>| {
            let gate = Gate::default();
            let _open = OpenAtLast(gate.clone());
            let (begin, begun) = oneshot::channel();
            let (result, dropped) = dropping();
            let went_on = Arc::new(AtomicBool::new(false));
            let (waiting, noted) = (gate.clone(), went_on.clone());
            let (process, monitor) = spawn_monitor(process(async move |_: Process<()>| {
                let result = blocking(move || {
                    let _ = begin.send(());
                    waiting.wait();
                    result
                });
                let result = result.await;
                noted.store(true, Ordering::Relaxed);
                drop(result);
                Ok(())
            }));
            begun.await?;
            me.exit(&process, ExitReason::Kill);
            // The gate is closed: the work is not over.
            assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Killed);
            assert!(!node().is_alive(&process));
            gate.open();
            dropped.await?;
            assert!(!went_on.load(Ordering::Relaxed));
            Ok(())
        });
    }
}

/// Also one whose work waits for its turn: its end does not wait, and nobody gets a result.
#[test]
fn sched_06_a_kill_does_not_wait_for_work_that_has_not_begun() {
    once(Runtime::builder().workers(2).blocking_threads(1), async |mut me: Process<()>| {
        let gate = Gate::default();
        let _open = OpenAtLast(gate.clone());
        let (begin, begun) = oneshot::channel();
        let waiting = gate.clone();
        let first = spawn_process(async move |_: Process<()>| {
            blocking(move || {
                let _ = begin.send(());
                waiting.wait();
            })
            .await;
            Ok(())
        });
        begun.await?;
        let (result, dropped) = dropping();
        let (process, monitor) = spawn_monitor(process(async move |_: Process<()>| {
            drop(blocking(move || result).await);
            Ok(())
        }));
        let pid = process.pid();
        until(move || node().peek(pid).is_some_and(|info| info.status == biotope_runtime::Status::Awaiting)).await;
        me.exit(&process, ExitReason::Kill);
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Killed);
        let monitor = me.monitor(&first);
        gate.open();
        dropped.await?;
        // The work before it is not disturbed.
        assert!([ExitReason::Normal, ExitReason::NoProc].contains(&down(&mut me, monitor).await?.reason));
        Ok(())
    });
}

/// Its result comes back, and its panic is the process's own, in virtual time too.
#[test]
fn sched_06_results_and_panics_of_blocking_work_come_back() {
    everywhere(async |mut me: Process<()>| {
        let text = String::from("read");
        assert_eq!(blocking(move || text + " it").await, "read it");
        let (_, monitor) = spawn_monitor(process(async |_: Process<()>| {
            blocking::<()>(|| panic!("in blocking work")).await;
            Ok(())
        }));
        let reason = down(&mut me, monitor).await?.reason;
        let ExitReason::Panic(report) = reason else { panic!("{reason}") };
        assert_eq!(report.message, "in blocking work");
        // The process after it is none the worse.
        assert_eq!(blocking(|| 7).await, 7);
        Ok(())
    });
}

/// The rule, against code that does not keep to it: a handler that blocks its worker is noticed, counted once,
/// and the worker's other processes go on elsewhere. Here only they can end the block.
#[test]
fn sched_06_a_handler_that_blocks_its_worker_holds_up_nobody_else() {
    for _ in 0..5 {
        once(Runtime::builder().workers(1), async |me: Process<ReplyTo<()>>| {
            let mut lints = node().lints();
            let gate = Gate::default();
            let _open = OpenAtLast(gate.clone());
            let (tell, told) = oneshot::channel();
            let waiting = gate.clone();
            let offender: Puppet = puppet();
            let began = Arc::new(AtomicBool::new(false));
            let begun = began.clone();
            act(&offender, move |_| {
                begun.store(true, Ordering::Release);
                waiting.wait();
                let _ = tell.send(());
            });
            until(|| began.load(Ordering::Acquire)).await;
            // The only worker is in that handler, and this goes on.
            let echo = spawn(Echo);
            for n in 0..100 {
                assert_eq!(Call::new(&echo, |reply| (n, reply)).await?, n);
            }
            let stats = node().runtime().stats();
            assert!(stats.blocked >= 1 && stats.spares >= 1, "{stats:?}");
            gate.open();
            told.await?;
            // It was told once. What the machine has held up meanwhile may have been told of others.
            let _ = Call::new(&me.address(), |reply| reply).await;
            let mut blocked = 0;
            loop {
                let event = lints.next().await.expect("the node lives");
                match event.lint {
                    Lint::BlockedWorker { .. } if event.pid == offender.pid() => blocked += 1,
                    Lint::SelfCall => break,
                    _ => {}
                }
            }
            assert_eq!(blocked, 1);
            // Afterwards all is as before.
            assert_eq!(acted(&offender, |_| 7).await?, 7);
            Ok(())
        });
    }
}

/// A lock that is held by one who waits for a worker is no deadlock: several handlers block at once.
#[test]
fn sched_06_several_handlers_that_block_are_each_replaced() {
    const BLOCKING: usize = 5;
    once(Runtime::builder().workers(1), async |_: Process<()>| {
        let gate = Gate::default();
        let _open = OpenAtLast(gate.clone());
        let (report, mut reports) = mpsc::unbounded_channel();
        let began = Arc::new(AtomicUsize::new(0));
        for _ in 0..BLOCKING {
            let (gate, report, began) = (gate.clone(), report.clone(), began.clone());
            act(&puppet(), move |_| {
                began.fetch_add(1, Ordering::Release);
                gate.wait();
                let _ = report.send(());
            });
        }
        until(|| began.load(Ordering::Acquire) == BLOCKING).await;
        assert!(!is_virtual());
        gate.open();
        for _ in 0..BLOCKING {
            assert_eq!(reports.recv().await, Some(()));
        }
        Ok(())
    });
}

/// What waits in the queue of a worker that is stuck is run, although the worker that replaces it always has
/// work of its own and never comes to stealing.
#[test]
fn sched_06_what_waits_behind_a_handler_that_blocks_is_run_by_those_that_are_busy() {
    const WAITING: usize = 100;
    once(Runtime::builder().workers(1), async |_: Process<()>| {
        let gate = Gate::default();
        let _open = OpenAtLast(gate.clone());
        let (ran, went) = (Arc::new(AtomicUsize::new(0)), gate.clone());
        let behind: Vec<Puppet> = (0..WAITING).map(|_| puppet()).collect();
        for puppet in &behind {
            acted(puppet, |_| ()).await?;
        }
        let counted = ran.clone();
        act(&puppet(), move |_| {
            for puppet in &behind {
                let counted = counted.clone();
                act(puppet, move |_| {
                    counted.fetch_add(1, Ordering::Release);
                });
            }
            went.wait();
        });
        // This process is what keeps the other worker busy: it is ready all the time.
        until(|| ran.load(Ordering::Acquire) == WAITING).await;
        gate.open();
        Ok(())
    });
}
