//! How the end of many is awaited, at little cost to each of them.
//!
//! A million processes that count in one place would measure that place. They count in batches of a
//! thousand, and the batches count as one. `benches/peers` compiles this file too.
#![allow(unreachable_pub, reason = "in `benches/peers` it is part of a library")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

const BATCH: u64 = 1_000;

/// Counts down from a number, and then tells whoever waits. Lives as long as the OS process, so that
/// those who count hold one pointer and no reference count.
pub struct Countdown {
    batches: Vec<Batch>,
}

/// Where up to a thousand count. A cache line of its own.
#[repr(align(128))]
pub struct Batch {
    left: AtomicU64,
    whole: &'static Whole,
}

struct Whole {
    batches: AtomicU64,
    done: Mutex<Option<oneshot::Sender<()>>>,
}

impl Countdown {
    /// Counts down from `count`; the receiver is told when it is at zero.
    pub fn from(count: u64) -> (&'static Self, oneshot::Receiver<()>) {
        let (sender, done) = oneshot::channel();
        let batches = count.div_ceil(BATCH);
        let whole = Whole { batches: batches.into(), done: Mutex::new(Some(sender)) };
        let whole: &'static Whole = Box::leak(Box::new(whole));
        let batches = (0..batches).map(|n| Batch { left: BATCH.min(count - n * BATCH).into(), whole }).collect();
        (Box::leak(Box::new(Self { batches })), done)
    }

    /// Where the one with this number, from 0 on, counts.
    pub fn batch(&'static self, number: u64) -> &'static Batch {
        &self.batches[(number / BATCH) as usize]
    }
}

impl Batch {
    /// One less.
    pub fn count(&self) {
        // AcqRel: whoever is told at zero sees what all others did before they counted.
        if self.left.fetch_sub(1, Ordering::AcqRel) != 1 || self.whole.batches.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        let waiting = self.whole.done.lock().expect("nobody panics with it").take();
        if let Some(waiting) = waiting {
            // If nobody waits, nobody need be told.
            let _ = waiting.send(());
        }
    }
}
