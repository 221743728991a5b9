//! The end of a process. The order is the promise: names are free, and the pid names nobody, before
//! anybody hears of the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Cell;
use crate::ambient;
use crate::call::CallFailed;
use crate::exit::ExitReason;
use crate::report::CrashReport;
use crate::signal::{MonitorRef, Signal, Slot};

impl<M: Send + 'static> Cell<M> {
    /// Ends the process with `reason`. Called by the worker that has its turn.
    pub(super) fn end(self: Arc<Self>, reason: ExitReason) {
        let header = &self.header;
        let node = &header.node;
        let report = CrashReport::of(&self, &reason);

        header.state.end();
        let _ = header.fate.set(reason.clone());
        let left = self.mailbox.close();
        let unreceived = self.drop_state(&reason, left);

        let mut control = std::mem::take(&mut *header.control.lock());
        // The name goes before links are told: a supervisor that restarts at once must find it free.
        if let Some(name) = control.name.take() {
            node.names().remove(&name, header.pid);
        }
        node.forget(header.pid);
        if let Some(report) = report {
            node.report_crash(&report);
        }

        // Links and monitors that came too late to be received are told like the others.
        for signal in unreceived {
            node.answer_for_the_dead(header.pid, signal, &reason);
        }
        for peer in control.links {
            node.signal(peer, Signal::Exit { from: header.pid, reason: reason.clone(), link: true });
        }
        for reference in control.monitored_by {
            node.signal(reference.owner, Signal::Down { reference, from: header.pid, reason: reason.clone() });
        }
        for (number, target) in control.monitors {
            node.signal(target, Signal::Demonitor { reference: MonitorRef { owner: header.pid, number } });
        }
    }

    /// Drops the body and what was left in the mailbox, but for signals, which it returns. Calls that
    /// waited in either learn the reason.
    fn drop_state(&self, reason: &ExitReason, left: Vec<Slot<M>>) -> Vec<Signal> {
        let body = self.body.lock().take();
        let dropped = ambient::within(&self.header.node, self.header.pid, || {
            ambient::abandoning(CallFailed::Died(reason.clone()), || catch_unwind(AssertUnwindSafe(|| drop(body))))
        });
        if dropped.is_err() {
            tracing::error!(pid = %self.header.pid, "the state of a process panicked while it was dropped");
        }
        let mut undelivered = 0;
        let mut unreceived = Vec::new();
        for slot in left {
            match slot {
                Slot::Message(message) => {
                    undelivered += 1;
                    let _ = ambient::abandoning(CallFailed::Died(reason.clone()), || {
                        catch_unwind(AssertUnwindSafe(|| drop(message)))
                    });
                }
                Slot::Signal(signal) => unreceived.push(signal),
                Slot::Info(_) | Slot::Request(_) => {}
            }
        }
        self.count_undelivered(undelivered);
        unreceived
    }
}
