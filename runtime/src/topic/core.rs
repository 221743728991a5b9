//! What waits for which subscriber, and who may publish now: every decision of a topic.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::{Heard, Lag};
use crate::pid::Pid;

pub(super) struct Core<T> {
    lanes: BTreeMap<LaneId, Lane<T>>,
    /// The lanes that publishers wait for: of those who suspend them, the ones without room.
    full: BTreeSet<LaneId>,
    /// The publishers that wait, in the order in which they asked.
    publishers: BTreeMap<Place, Waiting>,
    numbers: u64,
    /// Nobody can publish any more.
    is_closed: bool,
    counts: Counts,
}

/// A publisher that waits.
struct Waiting {
    waker: Waker,
    /// The process that it runs in.
    from: Option<Pid>,
}

/// One subscription.
pub(super) type LaneId = u64;

/// The place of a publisher among those that wait.
pub(super) type Place = u64;

/// The events that wait for one subscriber.
struct Lane<T> {
    lag: Lag,
    /// The process that the subscription belongs to.
    owner: Option<Pid>,
    events: VecDeque<Arc<T>>,
    /// How many were dropped from the front, of which it has not heard.
    missed: u64,
    cut: Cut,
    waker: Option<Waker>,
}

/// Whether a subscriber was cut off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    No,
    /// It is told when it has taken what waited.
    Untold,
    Told,
}

/// What has been done, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) published: u64,
    pub(super) dropped: u64,
    pub(super) cut_off: u64,
}

/// Whether a publisher may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Now.
    Now,
    /// When it is woken, it may ask again.
    Later,
    /// It would wait for itself.
    Never,
}

/// What is to be done under no lock: it runs code that is not known here.
#[must_use = "some wait until they are woken"]
pub(super) struct After<T> {
    /// Those who wait no more.
    wakers: Vec<Waker>,
    /// What nobody hears any more.
    gone: VecDeque<Arc<T>>,
}

impl<T> After<T> {
    pub(super) fn run(self) {
        self.wakers.into_iter().for_each(Waker::wake);
    }

    fn wake(wakers: impl IntoIterator<Item = Waker>) -> Self {
        Self { wakers: wakers.into_iter().collect(), gone: VecDeque::new() }
    }
}

impl<T> Default for Core<T> {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            full: BTreeSet::new(),
            publishers: BTreeMap::new(),
            numbers: 0,
            is_closed: false,
            counts: Counts::default(),
        }
    }
}

impl<T> Core<T> {
    /// Somebody subscribes. It is given what is published from now on.
    pub(super) fn on_subscribe(&mut self, lag: Lag, owner: Option<Pid>) -> LaneId {
        let id = self.next_number();
        let lane = Lane { lag, owner, events: VecDeque::new(), missed: 0, cut: Cut::No, waker: None };
        self.lanes.insert(id, lane);
        id
    }

    /// A subscription is over; what waited is for nobody.
    pub(super) fn on_unsubscribe(&mut self, id: LaneId) -> After<T> {
        let lane = self.lanes.remove(&id);
        let makes_room = self.full.remove(&id);
        let next = self.first_publisher().filter(|_| makes_room);
        let (waker, gone) = lane.map_or_else(Default::default, |lane| (lane.waker, lane.events));
        After { gone, ..After::wake(waker.into_iter().chain(next)) }
    }

    /// A process has ended: its subscriptions are over.
    pub(super) fn on_ended(&mut self, pid: Pid) -> Vec<After<T>> {
        let own = self.lanes.iter().filter(|(_, lane)| lane.owner == Some(pid)).map(|(id, _)| *id);
        let own: Vec<LaneId> = own.collect();
        own.into_iter().map(|id| self.on_unsubscribe(id)).collect()
    }

    /// Whether the publisher that waits at `place`, or has none yet, and runs in the process `from`, may publish now.
    pub(super) fn turn(&self, place: Option<Place>, from: Option<Pid>) -> Turn {
        if self.full.is_empty() {
            let is_first = match place {
                Some(place) => self.publishers.first_key_value().is_some_and(|(first, _)| *first == place),
                None => self.publishers.is_empty(),
            };
            return if is_first { Turn::Now } else { Turn::Later };
        }
        let own = |id: &LaneId| from.is_some() && self.lanes.get(id).is_some_and(|lane| lane.owner == from);
        if self.full.iter().any(own) { Turn::Never } else { Turn::Later }
    }

    /// A publisher that runs in the process `from` waits, at `place` if it has one already. Returns its place.
    pub(super) fn on_wait(&mut self, place: Option<Place>, from: Option<Pid>, waker: &Waker) -> Place {
        let place = place.unwrap_or_else(|| self.next_number());
        self.publishers.insert(place, Waiting { waker: waker.clone(), from });
        place
    }

    /// The publisher at `place` waits no more: it publishes, or has given up.
    pub(super) fn on_leave(&mut self, place: Place) -> After<T> {
        let was_first = self.publishers.first_key_value().is_some_and(|(first, _)| *first == place);
        self.publishers.remove(&place);
        // Whoever stood behind the first may have its turn; behind another, nothing has changed.
        After::wake(self.first_publisher().filter(|_| was_first))
    }

    /// Puts `event` into all lanes; the publisher has its turn. Returns how many subscribers it is for.
    pub(super) fn on_publish(&mut self, event: &Arc<T>) -> (usize, After<T>) {
        let (mut reached, mut after) = (0, After::wake(None));
        self.counts.published += 1;
        for (id, lane) in &mut self.lanes {
            if lane.cut != Cut::No {
                continue;
            }
            let is_full = lane.events.len() >= lane.lag.limit();
            match lane.lag {
                Lag::CutOff(_) if is_full => {
                    lane.cut = Cut::Untold;
                    self.counts.cut_off += 1;
                    after.wakers.extend(lane.waker.take());
                    continue;
                }
                Lag::DropOldest(_) if is_full => {
                    after.gone.extend(lane.events.pop_front());
                    lane.missed += 1;
                    self.counts.dropped += 1;
                }
                _ => {}
            }
            lane.events.push_back(event.clone());
            reached += 1;
            after.wakers.extend(lane.waker.take());
            if let Lag::Suspend(limit) = lane.lag
                && lane.events.len() >= limit
            {
                self.full.insert(*id);
                // Of those who wait, its owner would wait for itself from now on, and is to hear so.
                let own =
                    self.publishers.values().filter(|waiting| waiting.from.is_some() && waiting.from == lane.owner);
                after.wakers.extend(own.map(|waiting| waiting.waker.clone()));
            }
        }
        (reached, after)
    }

    /// The subscriber takes the next. `None` if its subscription is over.
    pub(super) fn on_take(&mut self, id: LaneId, waker: &Waker) -> (Poll<Option<Heard<T>>>, After<T>) {
        let given = match self.lanes.get_mut(&id) {
            Some(lane) => lane.take(self.is_closed, waker),
            None => Poll::Ready(None),
        };
        // Whatever is taken makes room.
        let makes_room = given.is_ready() && self.full.remove(&id);
        (given, After::wake(self.first_publisher().filter(|_| makes_room)))
    }

    /// Nobody can publish any more: when all is taken, subscriptions are over.
    pub(super) fn on_close(&mut self) -> After<T> {
        self.is_closed = true;
        After::wake(self.lanes.values_mut().filter_map(|lane| lane.waker.take()))
    }

    /// Whoever waits longest, if it may publish.
    fn first_publisher(&self) -> Option<Waker> {
        let (_, first) = self.publishers.first_key_value()?;
        self.full.is_empty().then(|| first.waker.clone())
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// How many are given what is published.
    pub(super) fn subscribers(&self) -> usize {
        self.lanes.values().filter(|lane| lane.cut == Cut::No).count()
    }

    /// How many wait to publish.
    pub(super) fn publishers(&self) -> usize {
        self.publishers.len()
    }

    /// How many events wait for `id`.
    pub(super) fn waiting(&self, id: LaneId) -> usize {
        self.lanes.get(&id).map_or(0, |lane| lane.events.len())
    }
}

impl<T> Lane<T> {
    /// Takes the next: what was missed is older than what waits, and what waits than that it was cut off.
    fn take(&mut self, is_closed: bool, waker: &Waker) -> Poll<Option<Heard<T>>> {
        if self.missed > 0 {
            return Poll::Ready(Some(Heard::Missed(std::mem::take(&mut self.missed))));
        }
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(Some(Heard::Event(event)));
        }
        match self.cut {
            Cut::Untold => {
                self.cut = Cut::Told;
                Poll::Ready(Some(Heard::CutOff))
            }
            Cut::Told => Poll::Ready(None),
            Cut::No if is_closed => Poll::Ready(None),
            Cut::No => {
                self.waker = Some(waker.clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pid::NodeId;

    fn take(core: &mut Core<u32>, id: LaneId) -> Poll<Option<Heard<u32>>> {
        let (given, after) = core.on_take(id, Waker::noop());
        after.run();
        given
    }

    fn publish(core: &mut Core<u32>, event: u32) -> usize {
        assert_eq!(core.turn(None, None), Turn::Now);
        let (reached, after) = core.on_publish(&Arc::new(event));
        after.run();
        reached
    }

    fn event(event: u32) -> Poll<Option<Heard<u32>>> {
        Poll::Ready(Some(Heard::Event(Arc::new(event))))
    }

    #[test]
    fn the_oldest_go_and_are_told_of_before_the_rest() {
        let mut core = Core::default();
        let lane = core.on_subscribe(Lag::DropOldest(2), None);
        for number in 1..=5 {
            assert_eq!(publish(&mut core, number), 1);
        }
        assert_eq!(take(&mut core, lane), Poll::Ready(Some(Heard::Missed(3))));
        assert_eq!((take(&mut core, lane), take(&mut core, lane)), (event(4), event(5)));
        assert_eq!(take(&mut core, lane), Poll::Pending);
        assert_eq!(core.counts(), Counts { published: 5, dropped: 3, cut_off: 0 });
    }

    #[test]
    fn who_is_cut_off_takes_what_waited_and_is_told_last() {
        let mut core = Core::default();
        let lane = core.on_subscribe(Lag::CutOff(1), None);
        assert_eq!([1, 2, 3].map(|number| publish(&mut core, number)), [1, 0, 0]);
        assert_eq!(core.subscribers(), 0);
        assert_eq!(take(&mut core, lane), event(1));
        assert_eq!(take(&mut core, lane), Poll::Ready(Some(Heard::CutOff)));
        assert_eq!(take(&mut core, lane), Poll::Ready(None));
        assert_eq!(core.counts().cut_off, 1);
    }

    /// Goal: a publisher that waits hears that it would wait for itself also if its own lane fills while it waits.
    #[test]
    fn a_publisher_is_woken_when_its_own_lane_fills() {
        let mut core = Core::default();
        let (own, other) = (Pid::new(NodeId::new("n", 0), 1, 0), Pid::new(NodeId::new("n", 0), 2, 0));
        core.on_subscribe(Lag::Suspend(2), Some(own));
        let slow = core.on_subscribe(Lag::Suspend(1), None);
        publish(&mut core, 1);
        assert_eq!(core.turn(None, Some(own)), Turn::Later);
        let place = core.on_wait(None, Some(own), Waker::noop());
        core.on_wait(None, Some(other), Waker::noop());
        assert_eq!(take(&mut core, slow), event(1));
        let (_, after) = core.on_publish(&Arc::new(2));
        assert_eq!(after.wakers.len(), 1, "its lane is full, and it is woken");
        assert_eq!(core.turn(Some(place), Some(own)), Turn::Never);
    }

    /// Each way in which the last lane without room goes, or gets room, wakes the first publisher and no other.
    #[test]
    fn publishers_have_their_turns_in_the_order_in_which_they_asked() {
        let mut core = Core::default();
        let lane = core.on_subscribe(Lag::Suspend(1), None);
        publish(&mut core, 1);
        let (first, second) = (core.on_wait(None, None, Waker::noop()), core.on_wait(None, None, Waker::noop()));
        assert_eq!(core.turn(Some(first), None), Turn::Later);
        let (given, after) = core.on_take(lane, Waker::noop());
        assert_eq!((given, after.wakers.len()), (event(1), 1));
        let turns = [None, Some(second), Some(first)].map(|place| core.turn(place, None));
        assert_eq!(turns, [Turn::Later, Turn::Later, Turn::Now]);
        assert_eq!(core.on_leave(first).wakers.len(), 1, "it is the second one's turn");
        let _ = core.on_publish(&Arc::new(2));
        assert_eq!(core.turn(Some(second), None), Turn::Later);
        assert_eq!(core.on_unsubscribe(lane).wakers.len(), 1);
        assert_eq!(core.turn(Some(second), None), Turn::Now);
    }

    #[test]
    fn a_process_does_not_wait_for_itself() {
        let process = |slot| Pid::new(NodeId::new("n", 0), slot, 0);
        let pid = |slot| Some(process(slot));
        let mut core = Core::default();
        core.on_subscribe(Lag::Suspend(1), pid(1));
        publish(&mut core, 1);
        assert_eq!([pid(1), pid(2), None].map(|from| core.turn(None, from)), [Turn::Never, Turn::Later, Turn::Later]);
        assert_eq!(core.on_ended(process(1)).len(), 1);
        assert_eq!(core.turn(None, pid(1)), Turn::Now);
    }

    #[test]
    fn what_waited_is_given_when_nobody_can_publish_any_more() {
        let mut core = Core::default();
        let (busy, idle) = (core.on_subscribe(Lag::Suspend(2), None), core.on_subscribe(Lag::DropOldest(1), None));
        publish(&mut core, 1);
        assert_eq!((take(&mut core, idle), take(&mut core, idle)), (event(1), Poll::Pending));
        assert_eq!(core.on_close().wakers.len(), 1);
        assert_eq!(take(&mut core, idle), Poll::Ready(None));
        assert_eq!((take(&mut core, busy), take(&mut core, busy)), (event(1), Poll::Ready(None)));
    }
}
