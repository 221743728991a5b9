//! Once a millisecond, while any worker is awake: timers, turns that are too long, workers that are stuck.
//!
//! The ticker is a thread of its own. When all workers are asleep it sleeps until the next timer, or, once memory that
//! nobody needs has been given back, for ever: an idle runtime uses no CPU. Whoever wakes the first worker, or sets
//! an earlier timer, wakes it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::trimming::Trimming;
use super::worker::Workers;
use crate::config::{BLOCKED_AFTER, TICK};
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
    /// The turn that it is in, and since when it was seen.
    turn: Option<(u64, Instant)>,
    seen: Option<Seen>,
    /// Since when the worker is in the handler that it is in.
    since: Option<Instant>,
    /// How long its thread had waited for a core then.
    starved: Duration,
    reported: bool,
    /// That it takes long was told.
    linted: bool,
    /// The worker ran no process, and something waited in its queue: how much it had handled then.
    waited: Option<u64>,
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
            match (watched.turn, board.turn()) {
                (Some((before, since)), Some(turn)) if before == turn => workers.note_turn(number, now - since),
                (_, turn) => watched.turn = turn.map(|turn| (turn, now)),
            }
            let turn = watched.turn;
            let seen = board.seen();
            let Some((seen, class)) = seen else {
                // It may be held up among the sockets, by something that is no process.
                let waits = workers.has_waiting(number).then_some(board.handled());
                if waits.is_some() && watched.waited == waits {
                    workers.share(number);
                }
                *watched = Watched { turn, waited: waits, ..Watched::default() };
                continue;
            };
            board.end_turn();
            workers.look_soon(number, is_look_due);
            if watched.seen != Some(seen) {
                *watched = Watched { turn, seen: Some(seen), since: Some(now), ..Watched::default() };
                continue;
            }
            let Some(since) = watched.since else { continue };
            let lasted = now - since;
            workers.note_handler(number, seen.handled, since);
            if watched.reported {
                workers.hand_over(number);
                continue;
            }
            // A worker within one handler for a tick, with work queued: somebody else may take it.
            workers.share(number);
            if lasted < BLOCKED_AFTER / 2 {
                continue;
            }
            let handler = class.handler(seen.handler);
            if !std::mem::replace(&mut watched.linted, true) {
                workers.lint(seen, Lint::LongTurn { handler, lasted });
            }
            if watched.starved.is_zero() {
                watched.starved = workers.starved(number).max(Duration::from_nanos(1));
            }
            // A thread that waits for a core is not blocked.
            let starved = workers.starved(number).saturating_sub(watched.starved);
            if lasted >= BLOCKED_AFTER && lasted - starved.min(lasted) >= BLOCKED_AFTER / 2 {
                watched.reported = true;
                workers.on_blocked(number, seen, class, lasted);
                workers.hand_over(number);
            }
        }
    }
}
