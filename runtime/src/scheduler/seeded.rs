//! One thread whose order of turns is drawn from a seed.
//!
//! The same seed gives the same order, so a failure can be replayed. Seed 0 is plain first in, first
//! out. There is no thread here: [`Runtime::block_on`](crate::Runtime::block_on) takes the turns.

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::director::{Choices, Director};
use crate::priority::Priority;
use crate::process::Ready;
use crate::process::turn::Board;

pub(crate) struct Seeded {
    pub(crate) board: Board,
    state: Mutex<State>,
}

struct State {
    /// By priority: low and normal, high, max.
    ready: [Vec<Ready>; 3],
    /// `None` for seed 0.
    choices: Option<StdRng>,
    trace: u64,
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        let choices = (seed != 0).then(|| StdRng::seed_from_u64(seed));
        // FNV-1a's offset; see `note`.
        let state = State { ready: Default::default(), choices, trace: 0xcbf2_9ce4_8422_2325 };
        Self { board: Board::default(), state: Mutex::new(state) }
    }

    /// Takes the process whose turn it is, as the seed has drawn it, or as `director` says.
    pub(crate) fn pick(&self, director: Option<&dyn Director>) -> Option<Ready> {
        let State { ready, choices, .. } = &mut *self.state.lock();
        for class in ready.iter_mut().rev() {
            while !class.is_empty() {
                let drawn = choices.as_mut().map_or(0, |choices| choices.random_range(0..class.len()));
                let chosen = director.map_or(drawn, |director| director.pick(&Choices::new(class, drawn)));
                let ready = class.remove(if chosen < class.len() { chosen } else { 0 });
                if ready.header().priority() == Priority::Low && ready.header().is_passed_over() {
                    class.push(ready);
                    continue;
                }
                return Some(ready);
            }
        }
        None
    }

    pub(crate) fn submit(&self, ready: Ready) {
        let class = match ready.header().priority() {
            Priority::Low | Priority::Normal => 0,
            Priority::High => 1,
            Priority::Max => 2,
        };
        self.state.lock().ready[class].push(ready);
    }

    /// Notes an event: the hash of all of them tells two runs apart.
    pub(crate) fn note(&self, event: &[u64]) {
        let mut state = self.state.lock();
        for byte in event.iter().flat_map(|number| number.to_le_bytes()) {
            state.trace = (state.trace ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// The hash of all events so far.
    pub(crate) fn trace(&self) -> u64 {
        self.state.lock().trace
    }
}
