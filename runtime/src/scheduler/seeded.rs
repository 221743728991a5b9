//! One thread whose order of turns is drawn from a seed.
//!
//! The same seed gives the same order, so a failure can be replayed. Seed 0 is plain first in, first
//! out. There is no thread here: [`Runtime::block_on`](crate::Runtime::block_on) takes the turns.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Runnable, Submit};

pub(crate) struct Seeded {
    state: Mutex<State>,
}

struct State {
    ready: Vec<Arc<dyn Runnable>>,
    /// `None` for seed 0.
    choices: Option<StdRng>,
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        let choices = (seed != 0).then(|| StdRng::seed_from_u64(seed));
        Self { state: Mutex::new(State { ready: Vec::new(), choices }) }
    }

    /// Takes the process whose turn it is.
    pub(crate) fn pick(&self) -> Option<Arc<dyn Runnable>> {
        let State { ready, choices } = &mut *self.state.lock();
        if ready.is_empty() {
            return None;
        }
        let chosen = choices.as_mut().map_or(0, |choices| choices.random_range(0..ready.len()));
        Some(ready.remove(chosen))
    }

    /// Drops what is still queued.
    pub(crate) fn close(&self) {
        let abandoned = std::mem::take(&mut self.state.lock().ready);
        drop(abandoned);
    }
}

impl Submit for Seeded {
    fn submit(&self, process: Arc<dyn Runnable>) {
        self.state.lock().ready.push(process);
    }
}
