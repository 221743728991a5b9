//! Two cores and a network between them that does as the schedule says: virtual time, no sockets.
//!
//! A schedule is a list of numbers; each chooses one of the things that could happen next. So proptest can try
//! orders that no real network would show, and shrink what fails.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// What is under way to one end of a wire.
#[derive(Clone, Debug)]
enum Packet {
    /// The acceptor's side of the TLS handshake.
    Connect,
    Hello(Hello),
    Welcome(u32),
    Heartbeat(Heartbeat),
    Close(Close),
    Lost,
}

/// A connection: what is under way to each end, and whether that end still has it.
#[derive(Debug, Default)]
struct Wire {
    to: [VecDeque<Packet>; 2],
    open: [bool; 2],
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Dial(usize),
    Deliver { wire: u64, end: usize },
}

struct Side {
    core: Core,
    dials: VecDeque<Arc<str>>,
    /// The association that is up: its wire and epoch.
    up: Option<(u64, u32)>,
    last_epoch: u32,
    ups: usize,
    downs: usize,
    joined: bool,
}

struct World {
    sides: [Side; 2],
    wires: BTreeMap<u64, Wire>,
    next: u64,
    now: Instant,
}

const NAMES: [&str; 2] = ["a", "b"];

fn core(side: usize, incarnation: u64) -> Core {
    let me = Me { cluster: "shop".into(), node: NAMES[side].into(), incarnation };
    Core::new(me, Limits::default())
}

impl World {
    fn new() -> World {
        let side = |number| Side {
            core: core(number, 1),
            dials: VecDeque::new(),
            up: None,
            last_epoch: 0,
            ups: 0,
            downs: 0,
            joined: false,
        };
        World { sides: [side(0), side(1)], wires: BTreeMap::new(), next: 0, now: Instant::now() }
    }

    fn feed(&mut self, side: usize, event: impl FnOnce(&mut Core, Instant, &mut Vec<Action>)) {
        let mut out = Vec::new();
        event(&mut self.sides[side].core, self.now, &mut out);
        for action in out {
            self.act(side, action);
        }
    }

    fn join(&mut self, side: usize) {
        let target = Arc::from(NAMES[1 - side]);
        self.feed(side, |core, _, out| core.on_join(&target, out));
    }

    fn act(&mut self, side: usize, action: Action) {
        match action {
            Action::Dial { target } => self.sides[side].dials.push_back(target),
            Action::Hello { on, hello } => self.send(side, on, Packet::Hello(hello)),
            Action::Welcome { on, epoch } => self.send(side, on, Packet::Welcome(epoch)),
            Action::Heartbeat { on, beat } => self.send(side, on, Packet::Heartbeat(beat)),
            Action::Close { on, close } => {
                self.send(side, on, Packet::Close(close));
                self.wires.get_mut(&on.0).unwrap().open[side] = false;
            }
            Action::Up { on, agreement, .. } => {
                let side = &mut self.sides[side];
                assert_eq!(side.up, None, "an up while another association is up");
                assert!(agreement.epoch > side.last_epoch, "an epoch came back");
                side.last_epoch = agreement.epoch;
                side.up = Some((on.0, agreement.epoch));
                side.ups += 1;
            }
            Action::Down { on, .. } => {
                let side = &mut self.sides[side];
                let up = side.up.take();
                assert_eq!(up.map(|(wire, _)| wire), Some(on.0), "a down of what was not up");
                side.downs += 1;
            }
            Action::Joined { on, .. } => {
                let side = &mut self.sides[side];
                assert_eq!(side.up.map(|(wire, _)| wire), Some(on.0));
                side.joined = true;
            }
            Action::NotJoined { text, .. } => panic!("given up: {text}"),
            Action::Probe { .. } | Action::Drain { .. } | Action::Goodbye { .. } | Action::Finished => {}
        }
    }

    fn send(&mut self, from: usize, on: ConnectionId, packet: Packet) {
        let wire = self.wires.get_mut(&on.0).unwrap();
        if wire.open[from] {
            wire.to[1 - from].push_back(packet);
        }
    }

    fn steps(&self) -> Vec<Step> {
        let dials = (0..2).filter(|side| !self.sides[*side].dials.is_empty()).map(Step::Dial);
        let deliveries = self.wires.iter().flat_map(|(wire, state)| {
            let ends = (0..2).filter(|end| !state.to[*end].is_empty());
            ends.map(|end| Step::Deliver { wire: *wire, end })
        });
        dials.chain(deliveries).collect()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Dial(side) => {
                let target = self.sides[side].dials.pop_front();
                let wire = self.next;
                self.next += 1;
                let mut state = Wire::default();
                state.open[side] = true;
                state.to[1 - side].push_back(Packet::Connect);
                self.wires.insert(wire, state);
                self.connect(side, wire, target);
            }
            Step::Deliver { wire, end } => {
                let state = self.wires.get_mut(&wire).unwrap();
                let packet = state.to[end].pop_front().unwrap();
                if let Packet::Connect = packet {
                    state.open[end] = true;
                    return self.connect(end, wire, None);
                }
                if !state.open[end] {
                    return;
                }
                let id = ConnectionId(wire);
                match packet {
                    Packet::Connect => unreachable!("handled above"),
                    Packet::Hello(hello) => {
                        self.feed(end, |core, now, out| core.on_hello(id, hello, now, out));
                    }
                    Packet::Welcome(epoch) => {
                        self.feed(end, |core, now, out| core.on_welcome(id, epoch, now, out));
                    }
                    Packet::Heartbeat(beat) => {
                        self.feed(end, |core, now, _| core.on_heartbeat(id, beat, now));
                    }
                    Packet::Close(close) => self.closed(end, wire, Ended::ByPeer(close)),
                    Packet::Lost => self.closed(end, wire, Ended::Lost("cut".to_owned())),
                }
            }
        }
    }

    fn connect(&mut self, side: usize, wire: u64, target: Option<Arc<str>>) {
        let peer = Arc::from(NAMES[1 - side]);
        let id = ConnectionId(wire);
        self.feed(side, |core, now, out| core.on_connected(id, peer, target, now, out));
    }

    fn closed(&mut self, side: usize, wire: u64, ended: Ended) {
        self.wires.get_mut(&wire).unwrap().open[side] = false;
        let id = ConnectionId(wire);
        self.feed(side, |core, now, out| core.on_closed(id, ended, now, out));
    }

    /// Both ends of a wire will learn that it is gone, each in its own time; what is under way is lost.
    fn cut(&mut self, wire: u64) {
        let state = self.wires.get_mut(&wire).unwrap();
        for end in 0..2 {
            // An acceptor that has not even heard of the connection never will.
            let unheard = matches!(state.to[end].front(), Some(Packet::Connect));
            state.to[end].clear();
            if !unheard {
                state.to[end].push_back(Packet::Lost);
            }
        }
    }

    /// The OS process of one side is killed and starts again: its peer hears nothing from the old wires.
    fn restart(&mut self, side: usize, incarnation: u64) {
        for state in self.wires.values_mut() {
            state.open[side] = false;
            state.to[side].clear();
        }
        let side_ = &mut self.sides[side];
        side_.core = core(side, incarnation);
        side_.dials.clear();
        side_.up = None;
        // Epochs grow between two incarnations; a peer that never knew of the last one does not remember it.
        side_.last_epoch = 0;
        side_.joined = false;
        self.join(side);
    }

    /// Everything that can happen without time passing, in the order of the schedule.
    fn settle(&mut self, schedule: &mut impl Iterator<Item = usize>) {
        for _ in 0..10_000 {
            let steps = self.steps();
            if steps.is_empty() {
                return;
            }
            let chosen = schedule.next().unwrap_or(0) % steps.len();
            self.step(steps[chosen]);
        }
        panic!("the two never come to rest");
    }

    fn pass(&mut self, time: Duration, schedule: &mut impl Iterator<Item = usize>) {
        let end = self.now + time;
        self.settle(schedule);
        loop {
            let due = (0..2).filter_map(|side| self.sides[side].core.deadline());
            let Some(at) = due.min().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            for side in 0..2 {
                self.feed(side, |core, now, out| core.on_timeout(now, out));
            }
            self.settle(schedule);
        }
    }

    /// Both ends have one association: on the same wire, which is the only one that is open, with the same epoch.
    fn assert_one(&self) {
        let [a, b] = &self.sides;
        assert!(a.up.is_some(), "not up");
        assert_eq!(a.up, b.up, "the two ends differ");
        let open: Vec<&u64> =
            self.wires.iter().filter(|(_, wire)| wire.open.contains(&true)).map(|(wire, _)| wire).collect();
        assert_eq!(open, [&a.up.unwrap().0]);
    }
}

fn schedules() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0usize..8, 0..60)
}

proptest! {
    /// Whichever order things happen in, one connection survives two dials, and nobody sees a down.
    #[test]
    fn of_two_connections_dialled_at_once_one_survives(schedule in schedules(), more in 0usize..3) {
        let mut schedule = schedule.into_iter();
        let mut world = World::new();
        world.join(0);
        world.join(1);
        // Further names for the same address make further dials.
        for number in 0..more {
            let target = Arc::from(format!("alias-{number}"));
            world.feed(number % 2, |core, _, out| core.on_join(&target, out));
        }

        world.settle(&mut schedule);

        world.assert_one();
        for side in &world.sides {
            prop_assert_eq!((side.ups, side.downs, side.joined), (1, 0, true));
        }
    }

    /// Whatever is cut and whenever, the two end up with one association, and a quiet one stays up.
    #[test]
    fn after_any_cuts_the_two_meet_again(
        schedule in schedules(),
        faults in prop::collection::vec((0usize..20, any::<prop::sample::Index>()), 0..6),
    ) {
        let mut schedule = schedule.into_iter();
        let mut world = World::new();
        world.join(0);
        world.join(1);
        for (steps, which) in faults {
            for _ in 0..steps {
                let possible = world.steps();
                if possible.is_empty() {
                    world.pass(Duration::from_millis(70), &mut std::iter::empty());
                    break;
                }
                let chosen = schedule.next().unwrap_or(0) % possible.len();
                world.step(possible[chosen]);
            }
            if !world.wires.is_empty() {
                let wires: Vec<u64> = world.wires.keys().copied().collect();
                world.cut(*which.get(&wires));
            }
        }

        world.pass(Duration::from_secs(30), &mut schedule);

        world.assert_one();
        let before = world.sides[0].ups;
        world.pass(Duration::from_secs(30), &mut schedule);
        world.assert_one();
        prop_assert_eq!(world.sides[0].ups, before);
    }

    /// A killed node that comes back is met again, whether or not the other one has noticed its death.
    #[test]
    fn a_node_that_comes_back_is_met_again(
        schedule in schedules(),
        side in 0usize..2,
        steps in 0usize..20,
        millis in 0u64..8_000,
    ) {
        let mut schedule = schedule.into_iter();
        let mut world = World::new();
        world.join(0);
        world.join(1);
        for _ in 0..steps {
            let possible = world.steps();
            if possible.is_empty() {
                break;
            }
            let chosen = schedule.next().unwrap_or(0) % possible.len();
            world.step(possible[chosen]);
        }
        world.restart(side, 2);
        world.pass(Duration::from_millis(millis), &mut schedule);
        world.pass(Duration::from_secs(30), &mut schedule);
        // Wires that the dead incarnation had are closed on the living side only.
        prop_assert!(world.sides[0].up.is_some());
        prop_assert_eq!(world.sides[0].up, world.sides[1].up);
    }
}
