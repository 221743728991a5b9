//! Who is given an event, for whom it is kept, who is removed with whom: every decision of an event manager.

use std::collections::{BTreeMap, BTreeSet};

use biotope_runtime::Pid;

/// The handlers of a manager, each `H` with a seat.
pub(super) struct Roster<H, E> {
    seats: BTreeMap<Seat, Seated<H, E>>,
    /// The seat of each handler.
    found: BTreeMap<Pid, Seat>,
    /// The seats that go with a process.
    added: BTreeMap<Pid, BTreeSet<Seat>>,
    /// Processes with which the last handler that went with them is gone.
    left: Vec<Pid>,
    numbers: Seat,
}

/// The number of a seat; they are in the order in which handlers were added.
pub(super) type Seat = u64;

struct Seated<H, E> {
    /// The process that the handler goes with.
    adder: Option<Pid>,
    holder: Holder<H, E>,
}

enum Holder<H, E> {
    Handler(Pid, H),
    /// One has left, and the next has not come: what comes meanwhile is kept for it.
    Next(Vec<E>),
}

impl<H, E> Default for Roster<H, E> {
    fn default() -> Self {
        Self { seats: BTreeMap::new(), found: BTreeMap::new(), added: BTreeMap::new(), left: Vec::new(), numbers: 0 }
    }
}

impl<H: Clone, E> Roster<H, E> {
    /// A handler has started.
    pub(super) fn on_added(&mut self, pid: Pid, handler: H, adder: Option<Pid>) {
        self.numbers += 1;
        self.seats.insert(self.numbers, Seated { adder, holder: Holder::Handler(pid, handler) });
        self.found.insert(pid, self.numbers);
        if let Some(adder) = adder {
            self.added.entry(adder).or_default().insert(self.numbers);
        }
    }

    /// An event came. Returns those who are given it now; for each of the others it is kept, as `keep` makes it.
    pub(super) fn on_event(&mut self, mut keep: impl FnMut() -> E) -> Vec<H> {
        let mut now = Vec::new();
        for seated in self.seats.values_mut() {
            match &mut seated.holder {
                Holder::Handler(_, handler) => now.push(handler.clone()),
                Holder::Next(kept) => kept.push(keep()),
            }
        }
        now
    }

    /// A handler is to be removed. Returns whether it is one; it is given nothing more.
    pub(super) fn on_delete(&mut self, pid: Pid) -> bool {
        self.found.get(&pid).copied().is_some_and(|seat| self.remove(seat).is_some())
    }

    /// A handler is to be replaced. Returns its seat, which is kept for the next; it is given nothing more.
    pub(super) fn on_swap(&mut self, pid: Pid) -> Option<Seat> {
        let seat = self.found.remove(&pid)?;
        self.seats.get_mut(&seat)?.holder = Holder::Next(Vec::new());
        Some(seat)
    }

    /// The next has come. Returns what was kept for it; `None` if whoever it would have gone with has ended.
    pub(super) fn on_swapped(&mut self, seat: Seat, pid: Pid, handler: H) -> Option<Vec<E>> {
        let seated = self.seats.get_mut(&seat)?;
        self.found.insert(pid, seat);
        match std::mem::replace(&mut seated.holder, Holder::Handler(pid, handler)) {
            Holder::Next(kept) => Some(kept),
            Holder::Handler(..) => unreachable!("a seat is kept for one at a time"),
        }
    }

    /// There is no next. What was kept is for nobody.
    pub(super) fn on_not_swapped(&mut self, seat: Seat) {
        self.remove(seat);
    }

    /// A process has ended: a handler, or one that handlers go with. Returns those that are to be stopped.
    pub(super) fn on_ended(&mut self, pid: Pid) -> Vec<Pid> {
        self.on_delete(pid);
        let orphans = self.added.get(&pid).cloned().unwrap_or_default();
        orphans.into_iter().filter_map(|seat| self.remove(seat)?.pid()).collect()
    }

    /// Those with whom no handler goes any more, since this was asked last.
    pub(super) fn take_left(&mut self) -> Vec<Pid> {
        let mut left = std::mem::take(&mut self.left);
        left.retain(|pid| !self.added.contains_key(pid));
        left
    }

    /// The handlers, in the order in which they were added, each with whom it goes with.
    pub(super) fn handlers(&self) -> impl Iterator<Item = (Pid, &H, Option<Pid>)> {
        self.seats.values().filter_map(|seated| match &seated.holder {
            Holder::Handler(pid, handler) => Some((*pid, handler, seated.adder)),
            Holder::Next(_) => None,
        })
    }

    fn remove(&mut self, seat: Seat) -> Option<Seated<H, E>> {
        let seated = self.seats.remove(&seat)?;
        if let Some(pid) = seated.pid() {
            self.found.remove(&pid);
        }
        if let Some(adder) = seated.adder
            && let Some(seats) = self.added.get_mut(&adder)
        {
            seats.remove(&seat);
            if seats.is_empty() {
                self.added.remove(&adder);
                self.left.push(adder);
            }
        }
        Some(seated)
    }
}

impl<H, E> Seated<H, E> {
    fn pid(&self) -> Option<Pid> {
        match &self.holder {
            Holder::Handler(pid, _) => Some(*pid),
            Holder::Next(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use biotope_runtime::NodeId;

    use super::*;

    fn pid(slot: u32) -> Pid {
        Pid::new(NodeId::new("n", 0), slot, 0)
    }

    fn listed(roster: &Roster<char, u32>) -> String {
        roster.handlers().map(|(_, handler, _)| *handler).collect()
    }

    #[test]
    fn events_are_kept_for_the_next_while_a_handler_is_replaced() {
        let mut roster = Roster::default();
        roster.on_added(pid(1), 'a', None);
        roster.on_added(pid(2), 'b', None);
        assert_eq!(roster.on_event(|| 1), ['a', 'b']);
        let seat = roster.on_swap(pid(1)).expect("it is a handler");
        assert_eq!(roster.on_swap(pid(1)), None, "it is none any more");
        assert_eq!(roster.on_ended(pid(1)), []);
        assert_eq!((roster.on_event(|| 2), roster.on_event(|| 3)), (vec!['b'], vec!['b']));
        assert_eq!(roster.on_swapped(seat, pid(3), 'c'), Some(vec![2, 3]));
        assert_eq!((roster.on_event(|| 4), listed(&roster)), (vec!['c', 'b'], "cb".to_owned()));
        let seat = roster.on_swap(pid(3)).expect("it is a handler");
        roster.on_not_swapped(seat);
        assert_eq!(listed(&roster), "b");
    }

    #[test]
    fn handlers_go_with_whoever_has_added_them() {
        let mut roster = Roster::<char, u32>::default();
        for (at, handler) in (1..).zip(['a', 'b', 'c']) {
            roster.on_added(pid(at), handler, (handler != 'b').then(|| pid(9)));
        }
        let seat = roster.on_swap(pid(3)).expect("it is a handler");
        assert_eq!(roster.take_left(), []);
        assert_eq!(roster.on_ended(pid(9)), [pid(1)]);
        assert_eq!((roster.take_left(), roster.take_left()), (vec![pid(9)], vec![]));
        assert_eq!(roster.on_swapped(seat, pid(4), 'd'), None, "nobody waits for it any more");
        assert!(roster.on_delete(pid(2)) && !roster.on_delete(pid(2)) && !roster.on_delete(pid(1)));
        assert_eq!(listed(&roster), "");
    }
}
