//! What waits in a mailbox that drops the oldest when it is full.
//!
//! The intake can be emptied by the owner only, and so cannot lose its oldest message to a sender. Such a mailbox keeps
//! its messages here, under a lock, and in the intake a *ticket* for each: a ticket says that it is some message's turn,
//! not which one's.
//!
//! ```text
//!   intake   [ ticket ][ Down ][ ticket ][ ticket ]          what is no message keeps its place among them
//!   shelf    void 1    [ b ][ c ]                             `a` was dropped: the first ticket leads to nothing
//! ```
//!
//! When the oldest is dropped, its ticket is left without a message, and the new message brings one of its own: so all that
//! a sender sends stays in order. If nothing but messages came since the oldest one, that order needs no new ticket: all of
//! them move up by one. So however long the owner does not come, there are at most as many tickets as the limit says, and as
//! many again for each other thing that waits.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// The messages of a mailbox of a limited length.
pub(crate) struct Shelf<M>(Mutex<Inner<M>>);

struct Inner<M> {
    limit: usize,
    /// So many of the oldest tickets lead to nothing.
    void: usize,
    /// Oldest first; each with how many other things had been sent when it was put here.
    messages: VecDeque<(u64, M)>,
}

/// What putting a message on the shelf came to.
pub(crate) enum Shelved<M> {
    /// It is there; if there was no room for it, the oldest is not.
    There(Option<M>),
    /// Its ticket was refused.
    Refused(M),
}

impl<M> Shelf<M> {
    /// An empty one.
    pub(crate) fn new(limit: usize) -> Self {
        Self(Mutex::new(Inner { limit, void: 0, messages: VecDeque::new() }))
    }

    /// Puts `message` on the shelf. `others` says how many other things have been sent: it is asked when the messages of all
    /// others are on the shelf or will come later. `ticket` puts a ticket into the intake; it returns whether that was taken.
    pub(crate) fn put(&self, message: M, others: impl FnOnce() -> u64, ticket: impl FnOnce() -> bool) -> Shelved<M> {
        let mut inner = self.0.lock();
        let others = others();
        let Inner { limit, void, messages } = &mut *inner;
        let dropped = if messages.len() < *limit { None } else { messages.pop_front() };
        let moves_up = dropped.as_ref().is_some_and(|(before, _)| *before == others);
        if !moves_up {
            if !ticket() {
                if let Some(dropped) = dropped {
                    messages.push_front(dropped);
                }
                return Shelved::Refused(message);
            }
            *void += usize::from(dropped.is_some());
        }
        messages.push_back((others, message));
        Shelved::There(dropped.map(|(_, message)| message))
    }

    /// Takes what the oldest ticket leads to.
    pub(crate) fn take(&self) -> Option<M> {
        let mut inner = self.0.lock();
        if inner.void > 0 {
            inner.void -= 1;
            return None;
        }
        inner.messages.pop_front().map(|(_, message)| message)
    }

    /// Shows what is there, oldest first.
    pub(crate) fn look(&self, mut see: impl FnMut(&M)) {
        self.0.lock().messages.iter().for_each(|(_, message)| see(message));
    }

    /// How many messages are there.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().messages.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a sender or the owner does.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Message,
        Other,
        Take,
    }

    /// What lies in the intake.
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum InIntake {
        Ticket,
        Other(u64),
    }

    proptest! {
        /// One sender, whose messages and other things are numbered: what the owner gets is in order, no message is lost but
        /// the oldest of those that waited, and the intake stays short.
        #[test]
        fn all_stays_in_order_and_the_oldest_goes(
            limit in 1..5_usize,
            steps in prop::collection::vec(
                prop_oneof![6 => Just(Step::Message), 1 => Just(Step::Other), 3 => Just(Step::Take)], 0..200),
        ) {
            let shelf = Shelf::new(limit);
            let mut intake = VecDeque::new();
            let (mut sent, mut others) = (0, 0);
            // The model: all that waits, in order; a message that is dropped is taken out.
            let mut waiting: VecDeque<(bool, u64)> = VecDeque::new();
            let take = |intake: &mut VecDeque<InIntake>, waiting: &mut VecDeque<(bool, u64)>| {
                let got = match intake.pop_front() {
                    None => return Ok(false),
                    Some(InIntake::Other(number)) => Some((false, number)),
                    Some(InIntake::Ticket) => shelf.take().map(|number| (true, number)),
                };
                if let Some(got) = got {
                    prop_assert_eq!(Some(got), waiting.pop_front());
                }
                Ok(true)
            };
            for step in steps {
                match step {
                    Step::Other => {
                        others += 1;
                        sent += 1;
                        intake.push_back(InIntake::Other(sent));
                        waiting.push_back((false, sent));
                    }
                    Step::Message => {
                        sent += 1;
                        let put = shelf.put(sent, || others, || { intake.push_back(InIntake::Ticket); true });
                        let oldest = waiting.iter().position(|(is_message, _)| *is_message);
                        let is_full = waiting.iter().filter(|(is_message, _)| *is_message).count() == limit;
                        let Shelved::There(dropped) = put else { panic!("it was taken") };
                        prop_assert_eq!(dropped.is_some(), is_full);
                        if let Some(dropped) = dropped {
                            prop_assert_eq!(oldest.and_then(|at| waiting.remove(at)), Some((true, dropped)));
                        }
                        waiting.push_back((true, sent));
                    }
                    Step::Take => { take(&mut intake, &mut waiting)?; }
                }
                let other = waiting.iter().filter(|(is_message, _)| !is_message).count();
                prop_assert!(intake.len() <= (limit + 1) * (other + 1), "{} tickets", intake.len() - other);
                prop_assert!(shelf.len() <= limit);
            }
            while take(&mut intake, &mut waiting)? {}
            prop_assert!(waiting.is_empty());
        }
    }

    #[test]
    fn a_refused_message_is_handed_back_and_drops_nothing() {
        let shelf = Shelf::new(1);
        assert!(matches!(shelf.put('a', || 0, || true), Shelved::There(None)));
        assert!(matches!(shelf.put('b', || 1, || false), Shelved::Refused('b')));
        assert_eq!(shelf.take(), Some('a'));
        assert_eq!(shelf.take(), None);
    }
}
