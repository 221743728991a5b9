//! The one intake of a process, where everything that is sent to it waits in order of arrival.
//!
//! One queue for all kinds: separate lanes for exits or downs would break the order that one sender's
//! signals and messages have. Signals do not wait for the messages before them; [`signals`](super::signals)
//! finds them where they are.

use std::collections::VecDeque;

use parking_lot::{Mutex, MutexGuard};

use crate::signal::{Signal, Slot};

pub(crate) struct Mailbox<M> {
    intake: Mutex<Intake<M>>,
    limit: Option<usize>,
}

pub(crate) struct Intake<M> {
    /// `None` is a place whose signal has been received.
    queue: VecDeque<Option<Slot<M>>>,
    /// Users' messages in `queue`: what the limit counts.
    messages: usize,
    /// Signals in `queue` that have not been received.
    signals: usize,
    closed: bool,
}

/// What became of a push. What was not queued is handed back.
#[must_use = "what was not queued is handed back"]
pub(crate) enum Pushed<T> {
    Queued,
    Full(T),
    Closed(T),
}

impl<M> Mailbox<M> {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        let intake = Intake { queue: VecDeque::new(), messages: 0, signals: 0, closed: false };
        Self { intake: Mutex::new(intake), limit }
    }

    pub(crate) fn push(&self, slot: Slot<M>) -> Pushed<Slot<M>> {
        let mut intake = self.intake.lock();
        if intake.closed {
            return Pushed::Closed(slot);
        }
        match &slot {
            Slot::Message(_) => {
                if self.limit.is_some_and(|limit| intake.messages >= limit) {
                    return Pushed::Full(slot);
                }
                intake.messages += 1;
            }
            Slot::Signal(_) => intake.signals += 1,
            Slot::Info(_) | Slot::Request(_) => {}
        }
        intake.queue.push_back(Some(slot));
        Pushed::Queued
    }

    /// Closes the mailbox; later pushes are refused. Returns what was in it.
    pub(crate) fn close(&self) -> Vec<Slot<M>> {
        let mut intake = self.intake.lock();
        intake.closed = true;
        std::mem::take(&mut intake.queue).into_iter().flatten().collect()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Intake<M>> {
        self.intake.lock()
    }

    /// How many users' messages wait.
    pub(crate) fn len(&self) -> usize {
        self.intake.lock().messages
    }
}

/// What a look for a message found.
pub(crate) enum Found<T> {
    Some(T),
    /// Nothing that fits. The next push may.
    Nothing,
    /// A signal that has not been received: nothing behind it may be taken before it.
    SignalFirst,
}

impl<M> Intake<M> {
    /// Takes the first slot that `wants` turns into something; what it hands back stays in place.
    pub(crate) fn take_first<T>(&mut self, mut wants: impl FnMut(Slot<M>) -> Result<T, Slot<M>>) -> Found<T> {
        self.drop_received();
        for at in 0..self.queue.len() {
            let Some(slot) = self.queue[at].take() else { continue };
            if matches!(slot, Slot::Signal(_)) {
                self.queue[at] = Some(slot);
                return Found::SignalFirst;
            }
            let is_message = matches!(slot, Slot::Message(_));
            match wants(slot) {
                Ok(found) => {
                    self.messages -= usize::from(is_message);
                    self.queue.remove(at);
                    self.give_back_memory();
                    return Found::Some(found);
                }
                Err(slot) => self.queue[at] = Some(slot),
            }
        }
        Found::Nothing
    }

    /// Receives the signals in order; `receive` may put a message in a signal's place. Stops after a
    /// signal for which it returns an end.
    pub(crate) fn receive_signals<E>(
        &mut self,
        mut receive: impl FnMut(Signal) -> Result<Option<Slot<M>>, E>,
    ) -> Result<(), E> {
        let mut at = 0;
        while self.signals > 0 {
            let Some(place) = self.queue.get_mut(at) else { break };
            at += 1;
            match place.take() {
                Some(Slot::Signal(signal)) => {
                    self.signals -= 1;
                    *place = receive(signal)?;
                }
                other => *place = other,
            }
        }
        Ok(())
    }

    fn drop_received(&mut self) {
        while let Some(None) = self.queue.front() {
            self.queue.pop_front();
        }
    }

    /// A mailbox that was once long does not stay large.
    fn give_back_memory(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > 32 {
            self.queue = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitReason;
    use crate::pid::{NodeId, Pid};

    fn signal() -> Slot<u32> {
        let from = Pid::new(NodeId::new("n", 1), 0, 0);
        Slot::Signal(Signal::Exit { from, reason: ExitReason::Shutdown, link: false })
    }

    fn any(slot: Slot<u32>) -> Result<u32, Slot<u32>> {
        match slot {
            Slot::Message(n) => Ok(n),
            other => Err(other),
        }
    }

    fn next(mailbox: &Mailbox<u32>) -> Option<u32> {
        match mailbox.lock().take_first(any) {
            Found::Some(n) => Some(n),
            Found::Nothing | Found::SignalFirst => None,
        }
    }

    #[test]
    fn a_full_mailbox_queues_nothing_and_still_takes_signals() {
        let mailbox = Mailbox::new(Some(1));
        assert!(matches!(mailbox.push(Slot::Message(1)), Pushed::Queued));
        assert!(matches!(mailbox.push(Slot::Message(2)), Pushed::Full(Slot::Message(2))));
        assert!(matches!(mailbox.push(signal()), Pushed::Queued));
        assert_eq!(mailbox.len(), 1);
    }

    #[test]
    fn nothing_behind_a_signal_is_taken_before_it_is_received() {
        let mailbox = Mailbox::new(None);
        for slot in [Slot::Message(1), signal(), Slot::Message(2)] {
            assert!(matches!(mailbox.push(slot), Pushed::Queued));
        }
        assert_eq!(next(&mailbox), Some(1));
        assert!(matches!(mailbox.lock().take_first(any), Found::SignalFirst));
        let received: Result<(), ()> = mailbox.lock().receive_signals(|_| Ok(None));
        assert_eq!(received, Ok(()));
        assert_eq!(next(&mailbox), Some(2));
        assert_eq!(next(&mailbox), None);
    }

    #[test]
    fn a_signal_that_becomes_a_message_keeps_its_place() {
        let mailbox = Mailbox::new(None);
        for slot in [Slot::Message(1), signal(), Slot::Message(3)] {
            assert!(matches!(mailbox.push(slot), Pushed::Queued));
        }
        let received: Result<(), ()> = mailbox.lock().receive_signals(|_| Ok(Some(Slot::Message(2))));
        assert_eq!(received, Ok(()));
        let mut intake = mailbox.lock();
        let mut order = Vec::new();
        // The replaced slot is not counted as a user's message, as an `Info` is not.
        intake.messages += 1;
        while let Found::Some(n) = intake.take_first(any) {
            order.push(n);
        }
        assert_eq!(order, [1, 2, 3]);
    }

    #[test]
    fn a_closed_mailbox_hands_back_what_was_in_it_and_refuses_the_rest() {
        let mailbox = Mailbox::new(None);
        assert!(matches!(mailbox.push(Slot::Message(1)), Pushed::Queued));
        assert!(matches!(mailbox.close().as_slice(), [Slot::Message(1)]));
        assert!(matches!(mailbox.push(Slot::Message(2)), Pushed::Closed(Slot::Message(2))));
    }
}
