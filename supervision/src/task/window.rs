//! What a stream of tasks decides: how many run, and whose outcome is next.
//!
//! ```text
//!   begin (at most `limit` at once) ──▶ running ──▶ done, and kept until its turn ──▶ given
//! ```
//!
//! In order, an outcome is kept until all before it were given; so many are kept at most as may run, then nothing is begun:
//! a slow one at the front does not let the others run away from it.

use std::collections::VecDeque;

pub(super) struct Window<T> {
    limit: usize,
    is_ordered: bool,
    running: usize,
    /// Those that are begun and not given: in order of their beginning, or only those that are done, in the order of that.
    kept: VecDeque<Option<T>>,
    /// The number of the first of `kept`, in order.
    first: u64,
    /// The number of the next to be begun.
    next: u64,
}

impl<T> Window<T> {
    pub(super) fn new(limit: usize, is_ordered: bool) -> Self {
        Self { limit, is_ordered, running: 0, kept: VecDeque::new(), first: 0, next: 0 }
    }

    /// Whether another may be begun now.
    pub(super) fn has_room(&self) -> bool {
        self.running < self.limit && self.kept.len() < self.limit.saturating_mul(2)
    }

    /// One is begun. Returns its number.
    pub(super) fn on_begun(&mut self) -> u64 {
        self.running += 1;
        if self.is_ordered {
            self.kept.push_back(None);
        }
        self.next += 1;
        self.next - 1
    }

    /// The one of this number is done.
    pub(super) fn on_done(&mut self, number: u64, outcome: T) {
        self.running -= 1;
        if !self.is_ordered {
            return self.kept.push_back(Some(outcome));
        }
        let at = (number - self.first) as usize;
        self.kept[at] = Some(outcome);
    }

    /// The outcome whose turn it is, if it is there.
    pub(super) fn give(&mut self) -> Option<T> {
        let outcome = self.kept.front_mut()?.take()?;
        self.kept.pop_front();
        self.first += 1;
        Some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Goal: all that is begun is given once, in its order, and never do more run or wait than may.
        /// Method: whoever is done next is drawn; a plain list is what should be given.
        #[test]
        fn it_gives_what_a_list_would(limit in 1_usize..6, ordered: bool, picks in prop::collection::vec((any::<u8>(), any::<bool>()), 1..80)) {
            let mut window = Window::new(limit, ordered);
            let (mut running, mut done, mut given) = (BTreeSet::new(), Vec::new(), Vec::new());
            for (pick, gives) in picks {
                while window.has_room() {
                    running.insert(window.on_begun());
                }
                prop_assert!(running.len() <= limit);
                let most = if ordered { 2 * limit } else { 3 * limit };
                prop_assert!(running.len() + done.len() - given.len() <= most);
                if let Some(&number) = running.iter().nth(usize::from(pick) % running.len().max(1)) {
                    running.remove(&number);
                    done.push(number);
                    window.on_done(number, number);
                }
                if gives {
                    given.extend(std::iter::from_fn(|| window.give()));
                }
            }
            for number in std::mem::take(&mut running) {
                done.push(number);
                window.on_done(number, number);
            }
            given.extend(std::iter::from_fn(|| window.give()));
            let mut expected = done;
            if ordered {
                expected.sort_unstable();
            }
            prop_assert_eq!(given, expected);
        }
    }

    #[test]
    fn a_slow_one_at_the_front_lets_as_many_be_kept_as_may_run() {
        let mut window = Window::new(2, true);
        let slow = window.on_begun();
        let mut begun = 1;
        while window.has_room() {
            let number = window.on_begun();
            begun += 1;
            window.on_done(number, number);
        }
        assert_eq!((begun, window.give()), (4, None));
        window.on_done(slow, slow);
        assert_eq!(window.give(), Some(slow));
        assert!(window.has_room());
    }
}
