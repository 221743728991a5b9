//! What a process is tied to: links, monitors, aliases, its name, timers that will fire at it.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Weak};

use super::alias::AliasEnd;
use super::ties::Ties;
use crate::caller::{Told, WorksFor};
use crate::exit::ExitReason;
use crate::groups::GroupEvent;
use crate::pid::{NodeId, Pid};
use crate::signal::{Down, Exit, Info, MonitorRef, Signal, Target};
use crate::timer::TimerRef;
use crate::trace::Events;

/// What a process is tied to.
#[derive(Default)]
pub(crate) struct Control {
    pub(crate) trap_exit: bool,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) links: Ties<Pid>,
    /// Whom this process monitors, by the number of the monitor.
    pub(crate) monitors: Ties<u64, Monitor>,
    /// Who monitors this process.
    pub(crate) monitored_by: Ties<MonitorRef>,
    /// Whom it works for, if that is known.
    pub(crate) works_for: Option<Box<WorksFor>>,
    numbers: u64,
    rare: Option<Box<Rare>>,
}

/// What few processes have.
#[derive(Default)]
pub(crate) struct Rare {
    pub(crate) label: Option<Arc<str>>,
    pub(crate) group_leader: Option<Pid>,
    /// Unlinks that were not answered yet: links that come from there are older.
    unlinking: BTreeMap<Pid, u64>,
    /// The aliases that stand, by number.
    pub(crate) aliases: BTreeMap<u64, Alias>,
    /// Timers that will fire at this process.
    pub(crate) timers: BTreeSet<TimerRef>,
    /// The process's own values, one for each type.
    pub(crate) dictionary: BTreeMap<TypeId, Box<dyn Entry>>,
    /// Its monitors of groups that stand, by number.
    pub(crate) watching: BTreeSet<u64>,
    /// Where else its name stands, to be struck out when it ends.
    pub(crate) held: Vec<Weak<dyn Holds>>,
    /// The last things that it did, if they are kept.
    pub(crate) events: Option<Events>,
}

/// One monitor, at the side that is told.
pub(crate) struct Monitor {
    /// What was asked for.
    pub(crate) target: Target,
    /// The process that was meant; `None` if there was none.
    pub(crate) pid: Option<Pid>,
    /// What is to be made of the `Down`, if it is not to come as an info.
    pub(crate) tag: Option<Tag>,
}

/// What is made of a `Down`.
pub(crate) enum Tag {
    /// A message of the process's own; boxed, because the type of messages is not known here.
    Message(MakeMessage),
    /// Nothing that the process would see: this hears of it.
    Told(Arc<dyn Told>),
}

/// Makes a message of a `Down`.
pub(crate) type MakeMessage = Box<dyn FnOnce(Down) -> Box<dyn Any + Send> + Send>;

/// One alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alias {
    /// When it ends by itself.
    pub(crate) end: AliasEnd,
    /// The monitor that it was made with.
    pub(crate) monitor: Option<u64>,
}

/// A value of a process's dictionary.
pub(crate) trait Entry: Any + fmt::Debug + Send {}

impl<T: Any + fmt::Debug + Send> Entry for T {}

/// Something that knows processes by more than their pid and forgets them before their end is announced.
pub(crate) trait Holds: Send + Sync {
    /// Forgets `pid`.
    fn release(&self, pid: Pid);
}

/// What a received signal means for the process.
pub(crate) enum Effect {
    /// It is done.
    Nothing,
    /// This goes back to that process.
    Answer(Pid, Signal),
    /// The process is told, in the signal's place in the mailbox.
    Tell(Info),
    /// The process is told by a message of its own, which this makes; not under the lock.
    TellAs(MakeMessage, Down),
    /// This hears of it, in the place of the process; not under the lock.
    TellTo(Arc<dyn Told>, ExitReason),
    /// The process is asked to stop, in the signal's place in the mailbox.
    Stop(ExitReason),
    /// The process ends.
    End(ExitReason),
}

/// What becomes of a message that came by an alias.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ByAlias {
    /// The alias stands: the message is taken.
    Taken,
    /// It is taken, and was the last; this monitor ends too.
    TakenWithMonitor(u64),
    /// The alias was revoked.
    Dropped,
}

impl Control {
    /// What few processes have, if this one has any of it.
    pub(crate) fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    /// The same, to change what is there.
    pub(crate) fn rare_if_any(&mut self) -> Option<&mut Rare> {
        self.rare.as_deref_mut()
    }

    /// The same; made now if it was not needed before.
    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn is_unlinking(&self, from: Pid) -> bool {
        self.rare().is_some_and(|rare| rare.unlinking.contains_key(&from))
    }

    /// Forgets all that ties it to processes of `node`, but for links and monitors of its own.
    pub(crate) fn forget_node(&mut self, node: NodeId) {
        self.monitored_by.retain(|reference| reference.owner.node() != node);
        if let Some(rare) = self.rare_if_any() {
            rare.unlinking.retain(|peer, _| peer.node() != node);
        }
    }

    /// A number that names a monitor or alias of this process.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Notes that something holds the process, until that is dropped or the process ends.
    pub(crate) fn attach(&mut self, holds: Weak<dyn Holds>) {
        let held = &mut self.rare_mut().held;
        if !held.iter().any(|held| held.ptr_eq(&holds)) {
            held.retain(|held| held.strong_count() > 0);
            held.push(holds);
        }
    }

    /// Gives back what it has room for and does not need.
    pub(crate) fn shrink(&mut self) {
        if let Some(rare) = self.rare_if_any() {
            rare.held.retain(|held| held.strong_count() > 0);
            rare.held.shrink_to_fit();
        }
    }

    /// Adds a link. Returns whether there was none.
    pub(crate) fn link(&mut self, to: Pid) -> bool {
        if let Some(rare) = self.rare_if_any() {
            rare.unlinking.remove(&to);
        }
        self.links.insert(to, ())
    }

    /// Removes a link. Returns the number of the unlink that is to be sent, if there was one.
    pub(crate) fn unlink(&mut self, from: Pid) -> Option<u64> {
        self.links.remove(&from)?;
        let id = self.next_number();
        self.rare_mut().unlinking.insert(from, id);
        Some(id)
    }

    /// Removes a monitor, and the aliases that end with it.
    pub(crate) fn remove_monitor(&mut self, number: u64) -> Option<Monitor> {
        let monitor = self.monitors.remove(&number)?;
        let Some(rare) = self.rare_if_any() else { return Some(monitor) };
        rare.aliases.retain(|_, alias| alias.monitor != Some(number) || alias.end == AliasEnd::Explicit);
        Some(monitor)
    }

    /// Receives a message that came by the alias `number`.
    pub(crate) fn receive_by_alias(&mut self, number: u64) -> ByAlias {
        let Some(rare) = self.rare_if_any() else { return ByAlias::Dropped };
        let Some(alias) = rare.aliases.get(&number).copied() else { return ByAlias::Dropped };
        if alias.end != AliasEnd::FirstReply {
            return ByAlias::Taken;
        }
        rare.aliases.remove(&number);
        match alias.monitor.filter(|number| self.monitors.contains_key(number)) {
            Some(monitor) => ByAlias::TakenWithMonitor(monitor),
            None => ByAlias::Taken,
        }
    }

    /// Receives `signal` as process `me`.
    pub(crate) fn receive(&mut self, me: Pid, signal: Signal) -> Effect {
        match signal {
            // A link that crossed an unlink is older than that, and both ends forget it (Erlang/OTP, "Link
            // Protocol").
            Signal::Link { from } if self.is_unlinking(from) => Effect::Nothing,
            Signal::Link { from } => {
                self.links.insert(from, ());
                Effect::Nothing
            }
            Signal::Unlink { from, id } => {
                self.links.remove(&from);
                Effect::Answer(from, Signal::Unlinked { from: me, id })
            }
            Signal::Unlinked { from, id } => {
                if let Some(rare) = self.rare_if_any()
                    && rare.unlinking.get(&from) == Some(&id)
                {
                    rare.unlinking.remove(&from);
                }
                Effect::Nothing
            }
            Signal::Monitor { reference, .. } => {
                self.monitored_by.insert(reference, ());
                Effect::Nothing
            }
            Signal::Demonitor { reference } => {
                self.monitored_by.remove(&reference);
                Effect::Nothing
            }
            Signal::Down { reference, reason, .. } => {
                // A monitor that was taken back meanwhile tells nothing.
                let Some(monitor) = self.remove_monitor(reference.number) else { return Effect::Nothing };
                let down = Down { reference, target: monitor.target, reason };
                match monitor.tag {
                    None => Effect::Tell(Info::Down(down)),
                    Some(Tag::Message(make)) => Effect::TellAs(make, down),
                    Some(Tag::Told(told)) => Effect::TellTo(told, down.reason),
                }
            }
            Signal::Exit { from, reason, link } => self.receive_exit(from, reason, link),
            Signal::Stop { reason } => Effect::Stop(reason),
        }
    }

    /// Receives what one of its monitors of groups tells. One that was taken back meanwhile tells nothing.
    pub(crate) fn receive_group(&self, event: GroupEvent) -> Effect {
        match self.rare() {
            Some(rare) if rare.watching.contains(&event.reference.number) => Effect::Tell(Info::Group(event)),
            _ => Effect::Nothing,
        }
    }

    /// The table of what an exit signal does (Erlang/OTP, "Receiving Exit Signals").
    fn receive_exit(&mut self, from: Pid, reason: ExitReason, link: bool) -> Effect {
        // A link that was removed meanwhile tells nothing.
        if link && self.links.remove(&from).is_none() {
            return Effect::Nothing;
        }
        match reason {
            // Only an explicitly sent kill is special; over a link it is a reason like others.
            ExitReason::Kill if !link => Effect::End(ExitReason::Killed),
            reason if self.trap_exit => Effect::Tell(Info::Exit(Exit { from, reason })),
            // From oneself it would end the process: then it is no signal (see `Me::exit`).
            ExitReason::Normal => Effect::Nothing,
            reason => Effect::End(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(slot: u32) -> Pid {
        Pid::new(NodeId::new("n", 1), slot, 0)
    }

    /// An effect that can be compared.
    #[derive(Debug, PartialEq)]
    enum Said {
        Nothing,
        Tell(Info),
        End(ExitReason),
        Other,
    }

    fn said(effect: Effect) -> Said {
        match effect {
            Effect::Nothing => Said::Nothing,
            Effect::Tell(info) => Said::Tell(info),
            Effect::End(reason) => Said::End(reason),
            Effect::Answer(..) | Effect::TellAs(..) | Effect::TellTo(..) | Effect::Stop(_) => Said::Other,
        }
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
        assert_eq!(said(plain.receive(me, exit(1, R::Shutdown, false))), Said::End(R::Shutdown));
        assert_eq!(said(plain.receive(me, exit(1, R::Normal, false))), Said::Nothing);
        assert_eq!(said(plain.receive(me, exit(1, R::Kill, false))), Said::End(R::Killed));
        let mut trapping = Control { trap_exit: true, ..Control::default() };
        for reason in [R::Shutdown, R::Normal] {
            let told = Said::Tell(Info::Exit(Exit { from: pid(1), reason: reason.clone() }));
            assert_eq!(said(trapping.receive(me, exit(1, reason, false))), told);
        }
        assert_eq!(said(trapping.receive(me, exit(1, R::Kill, false))), Said::End(R::Killed));
    }

    /// EXIT-06, EXIT-08, and `kill` as a reason over a link.
    #[test]
    fn an_exit_over_a_link_acts_only_while_the_link_stands() {
        use ExitReason as R;
        let me = pid(0);
        let mut plain = Control::default();
        assert_eq!(said(plain.receive(me, exit(1, R::Shutdown, true))), Said::Nothing);
        plain.receive(me, Signal::Link { from: pid(1) });
        assert_eq!(said(plain.receive(me, exit(1, R::Normal, true))), Said::Nothing);
        assert_eq!(plain.links.iter().count(), 0);
        plain.receive(me, Signal::Link { from: pid(1) });
        assert_eq!(said(plain.receive(me, exit(1, R::Kill, true))), Said::End(R::Kill));
    }

    #[test]
    fn a_monitor_tells_once_and_not_after_it_was_taken_back() {
        let me = pid(0);
        let reference = MonitorRef { owner: me, number: 1 };
        let down = Signal::Down { reference, from: pid(1), reason: ExitReason::Normal };
        let mut control = Control::default();
        control.monitors.insert(1, Monitor { target: Target::Pid(pid(1)), pid: Some(pid(1)), tag: None });
        assert!(matches!(control.receive(me, down.clone()), Effect::Tell(Info::Down(_))));
        assert_eq!(said(control.receive(me, down)), Said::Nothing);
    }

    /// A link that was on its way when an unlink was sent does not come back to life at one end.
    #[test]
    fn a_link_that_crosses_an_unlink_is_forgotten_at_both_ends() {
        let (left, right) = (pid(1), pid(2));
        let (mut a, mut b) = (Control::default(), Control::default());
        assert!(a.link(right));
        assert!(b.link(left));
        let id = a.unlink(right).expect("it was linked");
        b.receive(right, Signal::Link { from: left });
        let Effect::Answer(to, answer) = b.receive(right, Signal::Unlink { from: left, id }) else {
            panic!("an unlink is answered")
        };
        assert_eq!(to, left);
        a.receive(left, Signal::Link { from: right });
        a.receive(left, answer);
        assert!(a.links.iter().chain(b.links.iter()).next().is_none() && !a.is_unlinking(right));
        a.receive(left, Signal::Link { from: right });
        assert!(a.links.contains_key(&right), "a newer link counts");
    }

    #[test]
    fn an_alias_that_ends_with_its_first_message_takes_its_monitor_along() {
        let mut control = Control::default();
        control.monitors.insert(1, Monitor { target: Target::Pid(pid(1)), pid: Some(pid(1)), tag: None });
        control.rare_mut().aliases.insert(2, Alias { end: AliasEnd::FirstReply, monitor: Some(1) });
        assert_eq!(control.receive_by_alias(2), ByAlias::TakenWithMonitor(1));
        assert_eq!(control.receive_by_alias(2), ByAlias::Dropped);
        control.rare_mut().aliases.insert(3, Alias { end: AliasEnd::WithMonitor, monitor: Some(1) });
        control.rare_mut().aliases.insert(4, Alias { end: AliasEnd::Explicit, monitor: Some(1) });
        assert_eq!(control.receive_by_alias(3), ByAlias::Taken);
        assert!(control.remove_monitor(1).is_some());
        assert_eq!(control.receive_by_alias(3), ByAlias::Dropped);
        assert_eq!(control.receive_by_alias(4), ByAlias::Taken);
    }
}
