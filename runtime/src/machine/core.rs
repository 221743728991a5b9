//! What a state machine is at, and what follows a handler: which state, and which events.
//!
//! ```text
//!   inserted by the handler │ postponed, if the state has changed │ what waited ahead │ zero timeouts │ the mailbox
//!   ───────────────────────── first ──────────────────────────────────────────────────────────────── last ─────▶
//! ```

use std::collections::VecDeque;

/// The state of a machine, and the events that it has put aside.
pub(super) struct Core<S, E> {
    state: S,
    next: Next<S>,
    postponed: VecDeque<E>,
}

/// What the handler that runs has asked for.
enum Next<S> {
    Keep,
    Repeat,
    Goto(S),
}

/// What comes of a handler.
#[derive(Debug, PartialEq)]
pub(super) enum After<S> {
    /// The state is the same, and nothing is entered.
    Kept,
    /// The same state is entered again.
    Repeated,
    /// Another state is entered, from this one.
    Changed(S),
}

impl<S: Clone + PartialEq, E> Core<S, E> {
    pub(super) fn new(state: S) -> Self {
        Self { state, next: Next::Keep, postponed: VecDeque::new() }
    }

    pub(super) fn state(&self) -> &S {
        &self.state
    }

    /// For whoever mends a running machine: nothing follows.
    pub(super) fn state_mut(&mut self) -> &mut S {
        &mut self.state
    }

    /// After the handler the state is this one.
    pub(super) fn goto(&mut self, state: S) {
        self.next = Next::Goto(state);
    }

    /// After the handler the state is entered again.
    pub(super) fn repeat(&mut self) {
        self.next = Next::Repeat;
    }

    /// Puts an event aside until the state changes.
    pub(super) fn postpone(&mut self, event: E) {
        self.postponed.push_back(event);
    }

    /// How many events are put aside.
    pub(super) fn postponed(&self) -> usize {
        self.postponed.len()
    }

    /// Takes the oldest of the events that `may` be taken from those put aside.
    pub(super) fn take_oldest(&mut self, may: impl Fn(&E) -> bool) -> Option<E> {
        let oldest = self.postponed.iter().position(may)?;
        self.postponed.remove(oldest)
    }

    /// Whether the handler has asked for no state.
    pub(super) fn is_keeping(&self) -> bool {
        matches!(self.next, Next::Keep)
    }

    /// The handler is over.
    pub(super) fn settle(&mut self) -> After<S> {
        match std::mem::replace(&mut self.next, Next::Keep) {
            Next::Keep => After::Kept,
            Next::Repeat => After::Repeated,
            Next::Goto(state) if state == self.state => After::Kept,
            Next::Goto(state) => After::Changed(std::mem::replace(&mut self.state, state)),
        }
    }

    /// What was put aside, oldest first: the state has changed.
    pub(super) fn take_postponed(&mut self) -> VecDeque<E> {
        std::mem::take(&mut self.postponed)
    }
}

/// Puts what has come into the queue since it held `waiting`, and then `retried`, before what waited.
pub(crate) fn put_first<E>(queue: &mut VecDeque<E>, waiting: usize, retried: VecDeque<E>) {
    let inserted = queue.len() - waiting;
    queue.rotate_left(waiting);
    if retried.is_empty() {
        return;
    }
    let mut waited = queue.split_off(inserted);
    queue.extend(retried);
    queue.append(&mut waited);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_value_of_the_state_is_a_change_and_the_same_is_none() {
        let mut core = Core::<_, ()>::new(("moving", 1));
        assert_eq!(core.settle(), After::Kept);
        core.goto(("moving", 1));
        assert_eq!(core.settle(), After::Kept);
        core.goto(("moving", 2));
        assert_eq!(core.settle(), After::Changed(("moving", 1)));
        assert_eq!(core.state(), &("moving", 2));
        assert_eq!(core.settle(), After::Kept);
    }

    #[test]
    fn of_what_a_handler_asks_for_the_last_counts() {
        let mut core = Core::<_, ()>::new('a');
        core.repeat();
        core.goto('b');
        core.goto('c');
        assert_eq!(core.settle(), After::Changed('a'));
        core.goto('a');
        core.repeat();
        assert_eq!(core.settle(), After::Repeated);
        assert_eq!(core.state(), &'c');
    }

    #[test]
    fn inserted_events_come_first_then_postponed_ones_then_what_waited() {
        let mut queue = VecDeque::from(["w1", "w2"]);
        queue.extend(["i1", "i2"]);
        put_first(&mut queue, 2, VecDeque::from(["p1", "p2"]));
        assert_eq!(queue, ["i1", "i2", "p1", "p2", "w1", "w2"]);
        put_first(&mut queue, 6, VecDeque::new());
        assert_eq!(queue, ["i1", "i2", "p1", "p2", "w1", "w2"]);
        queue.push_back("i3");
        put_first(&mut queue, 6, VecDeque::new());
        assert_eq!(queue.front(), Some(&"i3"));
    }

    #[test]
    fn the_oldest_that_may_be_taken_is() {
        let mut core = Core::new('a');
        [1, 2, 3, 4].into_iter().for_each(|event| core.postpone(event));
        assert_eq!(core.take_oldest(|event| event % 2 == 0), Some(2));
        assert_eq!((core.postponed(), core.take_oldest(|event| *event > 9)), (3, None));
        assert_eq!(core.take_postponed(), [1, 3, 4]);
    }
}
