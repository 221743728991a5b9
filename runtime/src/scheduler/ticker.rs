//! Once a millisecond, while any worker is awake: timers, turns that are too long, workers that are stuck.
//!
//! The ticker is a thread of its own. When all workers are asleep it sleeps until the next timer, or, once memory that
//! nobody needs has been given back, for ever: an idle runtime uses no CPU. Whoever wakes the first worker, or sets
//! an earlier timer, wakes it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::trimming::Trimming;
use super::worker::Workers;
use crate::config::{BLOCKED_AFTER, NEVER_YIELDS, TICK};
use crate::lints::Lint;
use crate::process::turn::Seen;
use crate::sync::{AtomicU32, Ordering};

/// The thread that ticks, as others see it.
pub(crate) struct Ticker {
    /// 1 while it sleeps until it is told.
    dormant: AtomicU32,
    told: Mutex<bool>,
    changed: Condvar,
}

/// What the ticker remembers of a worker from tick to tick.
#[derive(Clone, Copy, Default)]
struct Watched {
    /// The turn that it is in.
    turn: Option<WatchedTurn>,
    /// The handler that it is in.
    handler: Option<(Seen, Lasting)>,
    reported: bool,
    /// That it takes long was told.
    linted: bool,
    /// The worker ran no process, and something waited in its queue: how much it had handled then.
    waited: Option<u64>,
}

#[derive(Clone, Copy)]
struct WatchedTurn {
    number: u64,
    lasting: Lasting,
    /// That it does not end was told.
    linted: bool,
}

/// Something that a worker is at.
#[derive(Clone, Copy)]
struct Lasting {
    /// When it was first seen.
    since: Instant,
    /// How long the worker's thread had waited for a core, soon after that.
    starved: Option<Duration>,
}

impl Lasting {
    /// Whoever lasts no longer than this is not asked how long it waits for a core: most are over before.
    const BRIEF: Duration = Duration::from_millis(5);

    fn new(now: Instant) -> Self {
        Self { since: now, starved: None }
    }

    /// How long it has run, if that is `long` or more. Time in which the thread waited for a core does not count, once it has
    /// got one.
    fn has_run(&mut self, long: Duration, now: Instant, starved: impl Fn() -> Duration) -> Option<Duration> {
        let lasted = now - self.since;
        if lasted < Self::BRIEF {
            return None;
        }
        let before = *self.starved.get_or_insert_with(&starved);
        if lasted < long {
            return None;
        }
        let run = lasted.saturating_sub(starved().saturating_sub(before));
        (run >= long).then_some(run)
    }
}

impl Ticker {
    pub(crate) fn new() -> Self {
        Self { dormant: AtomicU32::new(0), told: Mutex::new(false), changed: Condvar::new() }
    }

    /// Whether the ticker sleeps until it is told.
    #[inline]
    pub(crate) fn is_dormant(&self) -> bool {
        self.dormant.load(Ordering::SeqCst) != 0
    }

    /// Wakes the ticker, if it sleeps until it is told.
    #[inline]
    pub(crate) fn wake(&self) {
        if self.is_dormant() {
            self.tell();
        }
    }

    /// Wakes the ticker in any case.
    #[cold]
    pub(crate) fn tell(&self) {
        *self.told.lock() = true;
        self.changed.notify_one();
    }

    /// Ticks, until the workers are closed. The body of the ticker's thread.
    pub(crate) fn run(&self, workers: &Workers) {
        let mut watched = vec![Watched::default(); workers.seats()];
        let mut trimming = Trimming::new(workers.clock().refresh());
        while !workers.is_closed() {
            let now = workers.clock().refresh();
            workers.timers().fire_until(now);
            let is_anybody_awake = workers.is_anybody_awake();
            if trimming.is_due(now, !is_anybody_awake) {
                workers.trim_memory();
            }
            if is_anybody_awake {
                self.watch(workers, now, &mut watched);
                let mut told = self.told.lock();
                if !*told {
                    self.changed.wait_for(&mut told, TICK);
                }
                *told = false;
                continue;
            }
            self.dormant.store(1, Ordering::SeqCst);
            let mut told = self.told.lock();
            // Looked at again: who woke a worker before `dormant` was set did not tell.
            if !*told && !workers.is_anybody_awake() && !workers.is_closed() {
                match workers.timers().next_deadline().into_iter().chain(trimming.next()).min() {
                    Some(deadline) => {
                        self.changed.wait_until(&mut told, deadline);
                    }
                    None => self.changed.wait(&mut told),
                }
            }
            *told = false;
            drop(told);
            self.dormant.store(0, Ordering::SeqCst);
            watched.fill(Watched::default());
        }
    }

    /// Ends turns that have lasted a tick, and finds workers that are stuck in a handler.
    fn watch(&self, workers: &Workers, now: Instant, watched: &mut [Watched]) {
        let is_look_due = workers.is_look_due();
        for (number, watched) in watched.iter_mut().enumerate() {
            let Some(board) = workers.board(number) else { continue };
            // The process before the turn: it is that of the turn, if that is still the same.
            let (seen, turn) = (board.seen(), board.turn());
            watched.turn = match watched.turn {
                Some(same) if turn == Some(same.number) => {
                    workers.note_turn(number, now - same.lasting.since);
                    Some(same)
                }
                _ => turn.map(|number| WatchedTurn { number, lasting: Lasting::new(now), linted: false }),
            };
            let Some((seen, class)) = seen else {
                // It may be held up among the sockets, by something that is no process.
                let waits = workers.has_waiting(number).then_some(board.handled());
                if waits.is_some() && watched.waited == waits {
                    workers.share(number);
                }
                *watched = Watched { turn: watched.turn, waited: waits, ..Watched::default() };
                continue;
            };
            board.end_turn();
            workers.look_soon(number, is_look_due);
            let starved = || workers.starved(number);
            if let Some(turn) = &mut watched.turn
                && !turn.linted
                && let Some(lasted) = turn.lasting.has_run(NEVER_YIELDS, now, starved)
            {
                turn.linted = true;
                workers.lint(seen, Lint::NeverYields { handler: class.handler(seen.handler), lasted });
            }
            let Some((_, handler)) = watched.handler.as_mut().filter(|(before, _)| *before == seen) else {
                let handler = Some((seen, Lasting::new(now)));
                *watched = Watched { turn: watched.turn, handler, ..Watched::default() };
                continue;
            };
            workers.note_handler(number, seen.handled, handler.since);
            if watched.reported {
                workers.hand_over(number);
                continue;
            }
            // A worker within one handler for a tick, with work queued: somebody else may take it.
            workers.share(number);
            let Some(run) = handler.has_run(BLOCKED_AFTER / 2, now, starved) else { continue };
            let lasted = now - handler.since;
            if !std::mem::replace(&mut watched.linted, true) {
                workers.lint(seen, Lint::LongTurn { handler: class.handler(seen.handler), lasted: run });
            }
            if lasted >= BLOCKED_AFTER {
                watched.reported = true;
                workers.on_blocked(number, seen, class, lasted);
                workers.hand_over(number);
            }
        }
    }
}
