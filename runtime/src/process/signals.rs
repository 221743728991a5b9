//! Receiving signals: each acts when the process next has a turn, however many messages lie before it.

use super::control::Effect;
use super::{AnyCell, Cell};
use crate::exit::ExitReason;
use crate::signal::{Request, Slot};

impl<M: Send + 'static> Cell<M> {
    /// Receives all signals in the mailbox, in order. Returns the reason, if one of them ends the process.
    pub(super) fn receive_signals(&self) -> Option<ExitReason> {
        let me = self.pid();
        let received =
            self.mailbox.lock().receive_signals(|signal| match self.header().control.lock().receive(me, signal) {
                Effect::Nothing => Ok(None),
                Effect::Tell(info) => Ok(Some(Slot::Info(info))),
                Effect::Stop(reason) => Ok(Some(Slot::Request(Request::Stop(reason)))),
                Effect::End(reason) => Err(reason),
            });
        received.err()
    }
}
