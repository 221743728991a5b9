//! What a process is tied to: links, monitors, its name, its timers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::exit::ExitReason;
use crate::pid::Pid;
use crate::signal::{Down, Exit, Info, MonitorRef, Signal};
use crate::timer::TimerKey;

#[derive(Default)]
pub(crate) struct Control {
    pub(crate) trap_exit: bool,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) links: BTreeSet<Pid>,
    /// Whom this process monitors, by the number of the monitor.
    pub(crate) monitors: BTreeMap<u64, Pid>,
    /// Who monitors this process.
    pub(crate) monitored_by: BTreeSet<MonitorRef>,
    pub(crate) timers: BTreeMap<u64, TimerKey>,
    numbers: u64,
}

/// What a received signal means for the process.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// It is done.
    Nothing,
    /// The process is told, in the signal's place in the mailbox.
    Tell(Info),
    /// The process is asked to stop, in the signal's place in the mailbox.
    Stop(ExitReason),
    /// The process ends.
    End(ExitReason),
}

impl Control {
    /// A number that names a monitor or timer of this process.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Receives `signal` as process `me`.
    pub(crate) fn receive(&mut self, me: Pid, signal: Signal) -> Effect {
        match signal {
            Signal::Link { from } => {
                self.links.insert(from);
                Effect::Nothing
            }
            Signal::Unlink { from } => {
                self.links.remove(&from);
                Effect::Nothing
            }
            Signal::Monitor { reference, .. } => {
                self.monitored_by.insert(reference);
                Effect::Nothing
            }
            Signal::Demonitor { reference } => {
                self.monitored_by.remove(&reference);
                Effect::Nothing
            }
            Signal::Down { reference, from, reason } => {
                // A monitor that was taken back meanwhile tells nothing.
                match self.monitors.remove(&reference.number) {
                    Some(_) => Effect::Tell(Info::Down(Down { reference, pid: from, reason })),
                    None => Effect::Nothing,
                }
            }
            Signal::Exit { from, reason, link } => self.receive_exit(me, from, reason, link),
            Signal::Stop { reason } => Effect::Stop(reason),
        }
    }

    /// The table of what an exit signal does (Erlang/OTP, "Receiving Exit Signals").
    fn receive_exit(&mut self, me: Pid, from: Pid, reason: ExitReason, link: bool) -> Effect {
        // A link that was removed meanwhile tells nothing.
        if link && !self.links.remove(&from) {
            return Effect::Nothing;
        }
        match reason {
            // Only an explicitly sent kill is special; over a link it is a reason like others.
            ExitReason::Kill if !link => Effect::End(ExitReason::Killed),
            reason if self.trap_exit => Effect::Tell(Info::Exit(Exit { from, reason })),
            ExitReason::Normal if from != me || link => Effect::Nothing,
            reason => Effect::End(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pid::NodeId;

    fn pid(slot: u32) -> Pid {
        Pid::new(NodeId::new("n", 1), slot, 0)
    }

    fn exit(from: u32, reason: ExitReason, link: bool) -> Signal {
        Signal::Exit { from: pid(from), reason, link }
    }

    /// EXIT-01, -02, -03, -04, -05: the table, row by row.
    #[test]
    fn exit_signals_follow_the_table() {
        use ExitReason as R;
        let me = pid(0);
        let mut plain = Control::default();
        assert_eq!(plain.receive(me, exit(1, R::Shutdown, false)), Effect::End(R::Shutdown));
        assert_eq!(plain.receive(me, exit(1, R::Normal, false)), Effect::Nothing);
        assert_eq!(plain.receive(me, exit(0, R::Normal, false)), Effect::End(R::Normal));
        assert_eq!(plain.receive(me, exit(1, R::Kill, false)), Effect::End(R::Killed));
        let mut trapping = Control { trap_exit: true, ..Control::default() };
        for reason in [R::Shutdown, R::Normal] {
            let told = Effect::Tell(Info::Exit(Exit { from: pid(1), reason: reason.clone() }));
            assert_eq!(trapping.receive(me, exit(1, reason, false)), told);
        }
        assert_eq!(trapping.receive(me, exit(1, R::Kill, false)), Effect::End(R::Killed));
    }

    /// EXIT-06, EXIT-08, and `kill` as a reason over a link.
    #[test]
    fn an_exit_over_a_link_acts_only_while_the_link_stands() {
        use ExitReason as R;
        let me = pid(0);
        let mut plain = Control::default();
        assert_eq!(plain.receive(me, exit(1, R::Shutdown, true)), Effect::Nothing);
        plain.receive(me, Signal::Link { from: pid(1) });
        assert_eq!(plain.receive(me, exit(1, R::Normal, true)), Effect::Nothing);
        assert!(plain.links.is_empty());
        plain.receive(me, Signal::Link { from: pid(1) });
        assert_eq!(plain.receive(me, exit(1, R::Kill, true)), Effect::End(R::Kill));
    }

    #[test]
    fn a_monitor_tells_once_and_not_after_it_was_taken_back() {
        let me = pid(0);
        let reference = MonitorRef { owner: me, number: 1 };
        let down = Signal::Down { reference, from: pid(1), reason: ExitReason::Normal };
        let mut control = Control::default();
        control.monitors.insert(1, pid(1));
        assert!(matches!(control.receive(me, down.clone()), Effect::Tell(Info::Down(_))));
        assert_eq!(control.receive(me, down), Effect::Nothing);
    }
}
