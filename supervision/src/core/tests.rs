//! The laws of the core, against children that do anything at any time.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use biotope_runtime::{NodeId, SpawnOptions};
use proptest::prelude::{Just, ProptestConfig, prop, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::client::Request;

/// What happens to the supervisor.
#[derive(Clone, Debug)]
enum Happens {
    /// The start under way returns.
    Starts(Outcome),
    /// A child that runs ends by itself.
    Ends {
        which: usize,
        abnormally: bool,
    },
    /// A child that was told to stop does.
    Stops {
        which: usize,
    },
    TimePasses {
        millis: u64,
    },
    /// One that was left by a supervisor that was killed ends.
    OrphanEnds,
    /// What children need comes up, or goes down.
    NeedIs {
        up: bool,
    },
    Asked(Question),
    ToldToStop,
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Well,
    Ignored,
    Failed,
    /// It has ended before its start returned.
    AlreadyOver,
}

#[derive(Clone, Debug)]
enum Question {
    Start(usize, Restart),
    Terminate(usize),
    Restart(usize),
    Delete(usize),
}

fn happens() -> impl Generator<Value = Happens> {
    let outcome = prop_oneof![
        6 => Just(Outcome::Well), 1 => Just(Outcome::Ignored), 1 => Just(Outcome::Failed), 1 => Just(Outcome::AlreadyOver)
    ];
    let restart = || prop_oneof![Just(Restart::Permanent), Just(Restart::Transient), Just(Restart::Temporary)];
    let question = prop_oneof![
        (0_usize..8, restart()).prop_map(|(id, restart)| Question::Start(id, restart)),
        (0_usize..8).prop_map(Question::Terminate),
        (0_usize..8).prop_map(Question::Restart),
        (0_usize..8).prop_map(Question::Delete),
    ];
    prop_oneof![
        12 => outcome.prop_map(Happens::Starts),
        3 => (0_usize..8, prop::bool::ANY).prop_map(|(which, abnormally)| Happens::Ends { which, abnormally }),
        6 => (0_usize..8).prop_map(|which| Happens::Stops { which }),
        2 => (0_u64..2_000).prop_map(|millis| Happens::TimePasses { millis }),
        2 => prop::bool::ANY.prop_map(|up| Happens::NeedIs { up }),
        3 => Just(Happens::OrphanEnds),
        4 => question.prop_map(Happens::Asked),
        1 => Just(Happens::ToldToStop),
    ]
}

/// The children's side of the world, and what the laws say of it.
struct World {
    core: Core,
    strategy: Strategy,
    now: Instant,
    is_up: bool,
    /// Processes, with the position of their key and whether they were told to stop.
    alive: BTreeMap<Pid, (Key, Told)>,
    starting: Option<(Key, Told)>,
    /// What was left by supervisors that were killed.
    orphans: BTreeMap<Pid, Key>,
    killed_orphans: BTreeSet<Pid>,
    /// Whose children were looked for.
    searched: BTreeSet<Pid>,
    pids: u32,
    asked: usize,
    answered: Rc<Cell<usize>>,
    ready: usize,
    ended: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Nothing,
    Stop,
    Kill,
}

fn child(id: usize, restart: Restart) -> Child {
    let shutdown = [Shutdown::BrutalKill, Shutdown::Timeout(Duration::from_millis(500)), Shutdown::Infinity][id % 3];
    let start = |_: biotope_runtime::Node, _: SpawnOptions| std::future::pending();
    // The end of a supervisor may leave orphans.
    let make = if id % 4 == 2 { Child::supervisor_with } else { Child::with };
    let child = make(id.to_string(), start).restart(restart).shutdown(shutdown);
    match id % 4 {
        1 => child.backoff(Backoff::constant(Duration::from_millis(300))),
        3 => child.circuit(Circuit::when("something", |_| unreachable!("the world looks by itself"))),
        _ => child,
    }
}

/// As above, and significant if it may be.
fn significant(id: usize, restart: Restart) -> Child {
    let child = child(id, restart);
    if restart == Restart::Permanent { child } else { child.significant() }
}

fn policy(strategy: Strategy, limit: u32, auto_shutdown: AutoShutdown) -> Policy {
    let intensity = Intensity::new(limit, Duration::from_secs(1));
    Policy { strategy, intensity, auto_shutdown, backoff: None, chance: Box::new(|| 7) }
}

fn pid(number: u32) -> Pid {
    // A pid is made by a node only; one that travels is data.
    let node = NodeId::new("test", 1);
    let bytes = rmp_serde::to_vec(&(node, number, 0_u32)).unwrap();
    rmp_serde::from_slice(&bytes).unwrap()
}

impl World {
    fn new(strategy: Strategy, restarts: &[Restart], limit: u32) -> Self {
        let children = restarts.iter().enumerate().map(|(id, restart)| child(id, *restart)).collect();
        Self::of(policy(strategy, limit, AutoShutdown::Never), children)
    }

    fn of(policy: Policy, children: Vec<Child>) -> Self {
        let strategy = policy.strategy;
        let core = Core::new(policy, children);
        let mut world = Self {
            core,
            strategy,
            now: Instant::now(),
            is_up: true,
            alive: BTreeMap::new(),
            starting: None,
            orphans: BTreeMap::new(),
            killed_orphans: BTreeSet::new(),
            searched: BTreeSet::new(),
            pids: 0,
            asked: 0,
            answered: Rc::default(),
            ready: 0,
            ended: 0,
        };
        world.act(|core, now, out| core.begin(now, out));
        world
    }

    fn act(&mut self, event: impl FnOnce(&mut Core, Instant, &mut Vec<Action>)) {
        let mut actions = Vec::new();
        event(&mut self.core, self.now, &mut actions);
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            assert_eq!(self.ended, 0, "{action:?} after the end");
            match action {
                Action::Start(key, ..) => {
                    assert_eq!(self.starting, None, "one start at a time");
                    assert!(self.alive.values().all(|(alive, _)| *alive != key), "a second process for one child");
                    assert!(!self.is_held_up(key), "it is started though its restart is held up");
                    assert!(self.orphans.values().all(|bereft| *bereft != key), "it is started beside its orphans");
                    self.starting = Some((key, Told::Nothing));
                }
                Action::Stop(target) => self.tell(target, Told::Stop),
                Action::Kill(Target::Process(pid)) if self.orphans.contains_key(&pid) => {
                    self.killed_orphans.insert(pid);
                }
                Action::Kill(target) => self.tell(target, Told::Kill),
                Action::Look(key, _) => {
                    let mut more = Vec::new();
                    self.core.on_looked(self.now, key, self.is_up, &mut more);
                    actions.extend(more);
                }
                Action::FindOrphans(key, killed) => {
                    // The children of one that was killed: some are gone already.
                    if self.searched.insert(killed) {
                        let orphans = (0..self.pids % 3).map(|number| (pid(1_000_000 + 3 * self.pids + number), key));
                        self.orphans.extend(orphans);
                    }
                    let left = self.orphans.iter().filter(|(_, bereft)| **bereft == key).map(|(orphan, _)| *orphan);
                    let mut more = Vec::new();
                    self.core.on_orphans(self.now, key, left.collect(), &mut more);
                    actions.extend(more);
                }
                Action::Abandon => {
                    let (_, told) = self.starting.take().expect("a start to abandon");
                    assert_eq!(told, Told::Kill);
                }
                Action::Ready => self.ready += 1,
                Action::Report(_) => {}
                Action::Reply(reply) => {
                    self.answered.set(self.answered.get() + 1);
                    reply.send();
                }
                Action::End(_) => {
                    assert!(self.alive.is_empty() && self.starting.is_none(), "it left children behind");
                    self.ended += 1;
                }
            }
        }
        self.check();
    }

    /// Whether a child that waits for its back-off, or for what it needs, affects this one.
    fn is_held_up(&self, key: Key) -> bool {
        let place = |key: Key| self.core.children.iter().position(|entry| entry.key == key);
        self.core.children.iter().any(|entry| {
            let (is_held, is_for_a_need) = match entry.state {
                State::Held(Hold::Looking | Hold::Circuit(_)) => (true, true),
                State::Held(_) => (true, false),
                _ => (false, false),
            };
            let is_behind = place(key) >= place(entry.key);
            is_held
                && match self.strategy {
                    Strategy::OneForOne => entry.key == key,
                    Strategy::OneForAll => is_behind || !is_for_a_need,
                    Strategy::RestForOne => is_behind,
                }
        })
    }

    fn tell(&mut self, target: Target, told: Told) {
        let (key, before) = match target {
            Target::Process(pid) => self.alive.get_mut(&pid).expect("only a process that is alive is told to stop"),
            Target::Start(_) => self.starting.as_mut().expect("only a start under way is stopped"),
        };
        assert_ne!(*before, Told::Kill, "killed twice");
        let is_first = std::mem::replace(before, told) == Told::Nothing;
        let key = *key;
        // A supervisor that ends stops the last one first, and no other before that is gone.
        if is_first && matches!(self.core.phase, Phase::Ending(_)) {
            let mut others = self.alive.values().chain(&self.starting).filter(|(other, _)| *other != key);
            assert!(others.all(|(other, told)| *other < key && *told == Told::Nothing));
        }
    }

    fn check(&self) {
        let mut all = self.alive.values().chain(&self.starting);
        if matches!(self.core.phase, Phase::Ending(_)) {
            assert!(all.any(|(_, told)| *told != Told::Nothing), "it waits for nobody");
        }
        if self.strategy == Strategy::OneForOne {
            assert!(self.core.children.iter().all(|entry| entry.then != Then::Restart));
        }
    }

    fn happen(&mut self, event: Happens) {
        match event {
            Happens::Starts(outcome) => self.start_returns(outcome),
            Happens::OrphanEnds => {
                let orphan = self.killed_orphans.pop_first().or_else(|| self.orphans.keys().next().copied());
                if let Some(orphan) = orphan {
                    self.orphans.remove(&orphan);
                    self.act(|core, now, out| core.on_ended(now, orphan, ExitReason::Killed, out));
                }
            }
            Happens::Ends { which, abnormally } => {
                let reason = match (abnormally, which % 2) {
                    (false, _) => ExitReason::Normal,
                    (true, 0) => ExitReason::value("crash"),
                    (true, _) => ExitReason::Killed,
                };
                self.end(which, |told| told == Told::Nothing, reason);
            }
            Happens::Stops { which } => self.end(which, |told| told != Told::Nothing, ExitReason::Shutdown),
            Happens::TimePasses { millis } => {
                self.now += Duration::from_millis(millis);
                self.act(|core, now, out| core.on_deadline(now, out));
                assert!(self.core.deadline().is_none_or(|deadline| deadline > self.now), "a deadline was missed");
            }
            Happens::NeedIs { up } => self.is_up = up,
            Happens::Asked(question) => self.ask(question),
            Happens::ToldToStop => self.act(|core, now, out| core.on_stop(now, ExitReason::Shutdown, out)),
        }
    }

    fn start_returns(&mut self, outcome: Outcome) {
        let Some((key, told)) = self.starting else { return };
        self.pids += 1;
        let pid = pid(self.pids);
        let is_over = matches!(outcome, Outcome::AlreadyOver);
        let outcome = match outcome {
            Outcome::Well | Outcome::AlreadyOver => Ok(pid),
            Outcome::Ignored => Err(StartError::Ignored),
            Outcome::Failed => Err(StartError::Refused(ExitReason::value("nope"))),
        };
        if is_over {
            self.act(|core, now, out| core.on_ended(now, pid, ExitReason::value("early"), out));
        }
        self.starting = None;
        if outcome.is_ok() {
            // What was killed as a start is killed again by its name.
            self.alive.insert(pid, (key, if told == Told::Kill { Told::Stop } else { told }));
        }
        let mut actions = Vec::new();
        self.core.on_started(self.now, key, outcome, &mut actions);
        if is_over {
            self.alive.remove(&pid);
            actions.retain(|action| !matches!(action, Action::Stop(Target::Process(to)) | Action::Kill(Target::Process(to)) if *to == pid));
        }
        self.act(|_, _, out| *out = actions);
    }

    fn end(&mut self, which: usize, concerned: impl Fn(Told) -> bool, reason: ExitReason) {
        let candidates: Vec<Pid> =
            self.alive.iter().filter(|(_, (_, told))| concerned(*told)).map(|(pid, _)| *pid).collect();
        let Some(&pid) = candidates.get(which % candidates.len().max(1)) else { return };
        self.alive.remove(&pid);
        self.act(|core, now, out| core.on_ended(now, pid, reason, out));
        // The `Down` after the `Exit`, or the other way round: it concerns nobody.
        self.act(|core, now, out| core.on_ended(now, pid, ExitReason::NoProc, out));
    }

    fn ask(&mut self, question: Question) {
        if self.ended > 0 {
            return;
        }
        self.asked += 1;
        let request = match question {
            Question::Start(id, restart) => Request::Start(child(id, restart), ReplyTo::from_fn(drop)),
            Question::Terminate(id) => Request::Terminate(id.to_string().into(), ReplyTo::from_fn(drop)),
            Question::Restart(id) => Request::Restart(id.to_string().into(), ReplyTo::from_fn(drop)),
            Question::Delete(id) => Request::Delete(id.to_string().into(), ReplyTo::from_fn(drop)),
        };
        self.act(|core, now, out| core.on_request(now, request, out));
    }

    /// Everything that is under way comes to its end, as it would if nobody disturbed it.
    fn calm_down(&mut self) {
        self.is_up = true;
        for _ in 0..1_000 {
            let is_busy = self.starting.is_some()
                || !self.orphans.is_empty()
                || self.alive.values().any(|(_, told)| *told != Told::Nothing);
            match self.core.deadline() {
                None if !is_busy => return,
                // What is held is waited for.
                Some(deadline) if !is_busy => self.now = deadline,
                _ => {}
            }
            self.act(|core, now, out| core.on_deadline(now, out));
            self.happen(Happens::OrphanEnds);
            self.happen(Happens::Starts(Outcome::Well));
            self.happen(Happens::Stops { which: 0 });
        }
        panic!("it does not come to rest");
    }
}

/// Found by the laws below: such a child's failure ended the supervisor, and its request had no answer.
#[test]
fn a_child_whose_first_start_was_called_off_may_fail_when_it_is_started_by_request() {
    let mut world = World::new(Strategy::OneForOne, &[Restart::Permanent; 2], 1);
    world.happen(Happens::Asked(Question::Terminate(1)));
    world.happen(Happens::Asked(Question::Restart(1)));
    world.happen(Happens::Starts(Outcome::Well));
    world.happen(Happens::Starts(Outcome::Failed));
    assert_eq!((world.ended, world.ready), (0, 1));
    assert_eq!(world.answered.get(), 2);
}

/// A child that waits before it is started again is not started before that, and its siblings wait with it.
#[test]
fn a_back_off_holds_up_those_whom_the_restart_affects() {
    let wait = |world: &World| world.core.deadline().map(|deadline| (deadline - world.now).as_millis());
    for (strategy, expected) in [(Strategy::OneForOne, 3), (Strategy::OneForAll, 0), (Strategy::RestForOne, 1)] {
        let plain = |id: &str| Child::with(id, |_, _| std::future::pending());
        let slow = plain("b").backoff(Backoff::new(Duration::from_millis(100), Duration::from_secs(1)).jitter(0.0));
        let children = vec![plain("a"), slow, plain("c"), plain("d")];
        let mut world = World::of(policy(strategy, 10, AutoShutdown::Never), children);
        world.calm_down();
        for millis in [100, 200, 400, 800, 1_000, 1_000] {
            let pid = world.core.children[1].pid().unwrap();
            world.alive.remove(&pid);
            world.act(|core, now, out| core.on_ended(now, pid, ExitReason::Killed, out));
            while world.alive.values().any(|(_, told)| *told != Told::Nothing) {
                world.happen(Happens::Stops { which: 0 });
            }
            assert_eq!((wait(&world), world.starting), (Some(millis), None), "{strategy:?}");
            assert_eq!(world.alive.len(), expected);
            world.happen(Happens::TimePasses { millis: millis as u64 - 1 });
            assert_eq!(world.starting, None);
            world.happen(Happens::TimePasses { millis: 1 });
            assert!(world.starting.is_some());
            world.calm_down();
            assert_eq!(world.alive.len(), 4);
        }
        // A life of a second is calm: the next failure is the first of a new run.
        world.now += Duration::from_secs(1);
        let pid = world.core.children[1].pid().unwrap();
        world.alive.remove(&pid);
        world.act(|core, now, out| core.on_ended(now, pid, ExitReason::Killed, out));
        assert_eq!(wait(&world), Some(100));
    }
}

/// One that waits for its own back-off does so also when one before it fails, which takes it along.
#[test]
fn a_back_off_lasts_though_a_sibling_is_restarted() {
    let plain = |id: &str| Child::with(id, |_, _| std::future::pending());
    let children = vec![plain("a"), plain("b").backoff(Backoff::constant(Duration::from_millis(300)))];
    let mut world = World::of(policy(Strategy::RestForOne, 10, AutoShutdown::Never), children);
    world.calm_down();
    for at in [1, 0] {
        let pid = world.core.children[at].pid().unwrap();
        world.alive.remove(&pid);
        world.act(|core, now, out| core.on_ended(now, pid, ExitReason::Killed, out));
    }
    world.happen(Happens::Starts(Outcome::Well));
    assert_eq!((world.alive.len(), world.starting), (1, None));
    world.happen(Happens::TimePasses { millis: 300 });
    assert!(world.starting.is_some());
}

/// One that is to be stopped with its siblings and is faster than that comes back with them.
#[test]
fn a_significant_child_that_ends_while_its_siblings_are_stopped_ends_nobody() {
    let plain = |id: &str| Child::with(id, |_, _| std::future::pending()).restart(Restart::Transient);
    let children = vec![plain("a").significant(), plain("b"), plain("c")];
    let mut world = World::of(policy(Strategy::OneForAll, 10, AutoShutdown::AnySignificant), children);
    world.calm_down();
    for (at, reason) in [(1, ExitReason::Killed), (0, ExitReason::Normal)] {
        let pid = world.core.children[at].pid().unwrap();
        world.alive.remove(&pid);
        world.act(|core, now, out| core.on_ended(now, pid, reason, out));
    }
    world.calm_down();
    assert_eq!((world.alive.len(), world.ended), (3, 0));
}

/// While what it needs is down, a child is not started again, and nothing is counted.
#[test]
fn a_circuit_keeps_a_child_down_without_counting() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let plain = |id: &str| Child::with(id, |_, _| std::future::pending());
        let circuit = Circuit::when("db", |_| unreachable!("the world looks by itself"));
        let children = vec![plain("a"), plain("b").circuit(circuit), plain("c")];
        let mut world = World::of(policy(strategy, 1, AutoShutdown::Never), children);
        world.calm_down();
        let pid = world.core.children[1].pid().unwrap();
        world.alive.remove(&pid);
        world.is_up = false;
        world.act(|core, now, out| core.on_ended(now, pid, ExitReason::Killed, out));
        for _ in 0..10 {
            world.happen(Happens::Stops { which: 0 });
            world.happen(Happens::TimePasses { millis: 1_000 });
            assert_eq!(world.starting, None, "{strategy:?}");
        }
        // Those before it go on: what it needs may be among them.
        let live = if strategy == Strategy::OneForOne { 2 } else { 1 };
        assert_eq!((world.alive.len(), world.ended), (live, 0));
        world.calm_down();
        assert_eq!((world.alive.len(), world.ended), (3, 0));
        // That was the one restart that there may be within a second.
        let pid = world.core.children[1].pid().unwrap();
        world.alive.remove(&pid);
        world.act(|core, now, out| core.on_ended(now, pid, ExitReason::Killed, out));
        world.calm_down();
        assert_eq!(world.ended, 1);
    }
}

/// What a child needs may be a sibling that has ended with it: that one comes back, whatever the strategy.
#[test]
fn a_sibling_that_is_needed_comes_back_though_the_one_that_needs_it_is_held() {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        let plain = |id: &str| Child::with(id, |_, _| std::future::pending());
        let circuit = Circuit::when("db", |_| unreachable!("the world looks by itself"));
        let children = vec![plain("db"), plain("writer").circuit(circuit)];
        let mut world = World::of(policy(strategy, 10, AutoShutdown::Never), children);
        world.calm_down();
        world.is_up = false;
        for at in [1, 0] {
            let pid = world.core.children[at].pid().unwrap();
            world.alive.remove(&pid);
            world.act(|core, now, out| core.on_ended(now, pid, ExitReason::Killed, out));
        }
        assert_eq!(world.starting.map(|(key, _)| key), Some(world.core.children[0].key), "{strategy:?}");
        world.calm_down();
        assert_eq!(world.alive.len(), 2);
    }
}

/// Whoever takes the circuit from a child that is held lets it start again.
#[test]
fn a_held_child_that_needs_nothing_any_more_is_started_again() {
    let plain = |id: &str| Child::with(id, |_, _| std::future::pending());
    let circuit = Circuit::when("db", |_| unreachable!("the world looks by itself"));
    let mut world = World::of(policy(Strategy::OneForOne, 10, AutoShutdown::Never), vec![plain("a").circuit(circuit)]);
    world.calm_down();
    world.is_up = false;
    let pid = world.core.children[0].pid().unwrap();
    world.alive.remove(&pid);
    world.act(|core, now, out| core.on_ended(now, pid, ExitReason::Killed, out));
    world.act(|core, now, out| core.on_request(now, Request::Change(plain("a"), ReplyTo::from_fn(drop)), out));
    assert_eq!(world.starting, None);
    world.happen(Happens::TimePasses { millis: 1_000 });
    assert!(world.starting.is_some());
}

/// A start that hangs is called off as a whole supervisor's end would do it.
#[test]
fn a_child_that_is_terminated_while_it_starts_has_its_time_and_no_more() {
    let plain = |id: &str| Child::with(id, |_, _| std::future::pending()).shutdown(Duration::from_millis(100));
    let mut world = World::of(policy(Strategy::OneForOne, 10, AutoShutdown::Never), vec![]);
    world.calm_down();
    world.asked += 2;
    world.act(|core, now, out| core.on_request(now, Request::Start(plain("a"), ReplyTo::from_fn(drop)), out));
    world.act(|core, now, out| core.on_request(now, Request::Terminate("a".into(), ReplyTo::from_fn(drop)), out));
    assert_eq!(world.starting.map(|(_, told)| told), Some(Told::Stop));
    world.happen(Happens::TimePasses { millis: 100 });
    assert_eq!(world.starting.map(|(_, told)| told), Some(Told::Kill));
    world.happen(Happens::TimePasses { millis: 1_000 });
    assert_eq!((world.starting, world.answered.get(), world.core.children.len()), (None, 2, 0));
}

/// Times that no clock shows are far away, and no error.
#[test]
fn the_longest_of_times_is_no_overflow() {
    let plain = |id: &str| Child::with(id, |_, _| std::future::pending());
    let children = vec![plain("a").shutdown(Duration::MAX), plain("b").backoff(Backoff::constant(Duration::MAX))];
    let mut world = World::of(policy(Strategy::OneForOne, 10, AutoShutdown::Never), children);
    world.calm_down();
    let pid = world.core.children[1].pid().unwrap();
    world.alive.remove(&pid);
    world.act(|core, now, out| core.on_ended(now, pid, ExitReason::Killed, out));
    world.happen(Happens::TimePasses { millis: 1_000_000 });
    assert_eq!((world.alive.len(), world.starting), (1, None));
    world.act(|core, now, out| core.on_request(now, Request::Terminate("a".into(), ReplyTo::from_fn(drop)), out));
    assert_eq!(world.alive.values().map(|(_, told)| *told).collect::<Vec<_>>(), [Told::Stop]);
}

/// Two children of which the starts have found one process: the second has none.
#[test]
fn a_start_that_finds_another_childs_process_has_failed() {
    let plain = |id: &str| Child::with(id, |_, _| std::future::pending());
    let mut world = World::of(policy(Strategy::OneForOne, 10, AutoShutdown::Never), vec![plain("a")]);
    world.calm_down();
    world.act(|core, now, out| core.on_request(now, Request::Start(plain("b"), ReplyTo::from_fn(drop)), out));
    let (key, _) = world.starting.take().unwrap();
    let pid = world.core.children[0].pid().unwrap();
    world.act(|core, now, out| core.on_started(now, key, Ok(pid), out));
    assert_eq!((world.core.children.len(), world.answered.get()), (1, 1));
}

/// A supervisor that was killed has children that still end. Their names are taken, and their work may be in two hands.
#[test]
fn a_supervisor_that_was_killed_is_started_again_when_its_children_are_gone() {
    for (is_patient, by_request) in [(true, false), (false, false), (true, true)] {
        let child = Child::supervisor_with("s", |_, _| std::future::pending());
        let mut world = World::of(policy(Strategy::OneForOne, 10, AutoShutdown::Never), vec![child]);
        world.calm_down();
        // So many orphans it has in this world.
        world.pids = 2;
        let pid = world.core.children[0].pid().unwrap();
        world.alive.remove(&pid);
        world.act(|core, now, out| core.on_ended(now, pid, ExitReason::Killed, out));
        assert_eq!((world.orphans.len(), world.starting), (2, None));
        if by_request {
            // Who asks for it by hand does not come before them either.
            world.act(|core, now, out| {
                core.on_request(now, Request::Terminate("s".into(), ReplyTo::from_fn(drop)), out);
            });
            world.act(|core, now, out| core.on_request(now, Request::Restart("s".into(), ReplyTo::from_fn(drop)), out));
            assert_eq!(world.starting, None);
        }
        if is_patient {
            world.happen(Happens::OrphanEnds);
            assert_eq!((world.orphans.len(), world.starting), (1, None));
            world.happen(Happens::TimePasses { millis: 4_999 });
            assert!(world.killed_orphans.is_empty());
        } else {
            world.happen(Happens::TimePasses { millis: 5_000 });
            assert_eq!((world.killed_orphans.len(), world.starting), (2, None));
            world.happen(Happens::OrphanEnds);
        }
        world.happen(Happens::OrphanEnds);
        assert!(world.orphans.is_empty() && world.starting.is_some());
    }
}

fn restarts() -> impl Generator<Value = Vec<Restart>> {
    let restart =
        prop_oneof![4 => Just(Restart::Permanent), 1 => Just(Restart::Transient), 1 => Just(Restart::Temporary)];
    prop::collection::vec(restart, 0..5)
}

fn strategies() -> impl Generator<Value = Strategy> {
    prop_oneof![Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_happens_the_laws_hold_and_a_stop_leaves_nothing(
        strategy in strategies(),
        children in restarts(),
        limit in 0_u32..4,
        auto_shutdown in prop_oneof![
            2 => Just(AutoShutdown::Never), 1 => Just(AutoShutdown::AnySignificant), 1 => Just(AutoShutdown::AllSignificant)
        ],
        events in prop::collection::vec(happens(), 0..60),
    ) {
        let make = if auto_shutdown == AutoShutdown::Never { child } else { significant };
        let children = children.into_iter().enumerate().map(|(id, restart)| make(id, restart)).collect();
        let mut world = World::of(policy(strategy, limit, auto_shutdown), children);
        for event in events {
            world.happen(event);
        }
        world.calm_down();
        if world.ended == 0 {
            assert_eq!(world.ready, 1, "at rest, it has started");
            // At rest, every child that must run does, and the core and the world agree on who that is.
            for entry in &world.core.children {
                assert!(matches!(entry.state, State::Up(_) | State::Down), "child {} is not at rest", entry.child.id);
                assert_eq!(entry.then, Then::Nothing);
            }
            let known: BTreeSet<Pid> = world.core.children.iter().filter_map(Entry::pid).collect();
            assert!(known.iter().eq(world.alive.keys()));
            assert_eq!(world.core.deadline(), None);
        }
        world.happen(Happens::ToldToStop);
        world.calm_down();
        assert_eq!(world.ended, 1);
        assert_eq!(world.answered.get(), world.asked, "each request is answered once");
    }

    /// SUP-17, -18: the naive model knows which significant children have a process.
    #[test]
    fn sup_17_the_supervisor_ends_with_its_first_or_its_last_significant_child(
        strategy in strategies(),
        is_all in prop::bool::ANY,
        children in prop::collection::vec((prop::bool::ANY, prop::bool::ANY), 1..6),
        ends in prop::collection::vec((0_usize..6, prop::bool::ANY, prop::bool::ANY), 1..8),
    ) {
        let auto_shutdown = if is_all { AutoShutdown::AllSignificant } else { AutoShutdown::AnySignificant };
        let specs = children.iter().enumerate().map(|(at, (is_significant, is_transient))| {
            let restart = if *is_transient { Restart::Transient } else { Restart::Temporary };
            let child = Child::with(at.to_string(), |_, _| std::future::pending()).restart(restart);
            if *is_significant { child.significant() } else { child }
        });
        let mut world = World::of(policy(strategy, 1_000, auto_shutdown), specs.collect());
        world.calm_down();
        let mut live: BTreeSet<usize> = (0..children.len()).collect();
        for (which, abnormally, is_asked) in ends {
            let which = which % children.len();
            if !live.contains(&which) {
                continue;
            }
            let (is_significant, is_transient) = children[which];
            let entry = world.core.children.iter().find(|entry| *entry.child.id == which.to_string());
            let pid = entry.and_then(Entry::pid).expect("the model knows that it runs");
            if is_asked {
                world.happen(Happens::Asked(Question::Terminate(which)));
                live.remove(&which);
            } else {
                world.alive.remove(&pid);
                let reason = if abnormally { ExitReason::value("crash") } else { ExitReason::Normal };
                world.act(|core, now, out| core.on_ended(now, pid, reason, out));
                if is_transient && abnormally {
                    // It comes back, and others with it: all that its strategy affects and that are still listed.
                    for at in strategy.affected(which, children.len()) {
                        if children[at].1 {
                            live.insert(at);
                        }
                    }
                    // A temporary one that is stopped with its siblings is gone.
                    live.retain(|at| children[*at].1 || !strategy.affected(which, children.len()).contains(at));
                } else {
                    live.remove(&which);
                    let others = live.iter().any(|at| children[*at].0);
                    let is_over = is_significant && (!is_all || !others);
                    world.calm_down();
                    assert_eq!(world.ended, usize::from(is_over));
                    if is_over {
                        return Ok(());
                    }
                }
            }
            world.calm_down();
            assert_eq!(world.ended, 0);
        }
    }

    /// SUP-01, -06, -07: which children are stopped and started, and in which order.
    #[test]
    fn a_crash_stops_the_affected_in_reverse_and_starts_them_in_order(
        strategy in strategies(),
        count in 1_usize..6,
        pick in 0_usize..6,
    ) {
        let plain = |id: usize| Child::with(id.to_string(), |_, _| std::future::pending());
        let mut world = World::of(policy(strategy, 1, AutoShutdown::Never), (0..count).map(plain).collect());
        world.calm_down();
        let position = |world: &World, key: Key| world.core.children.iter().position(|entry| entry.key == key).unwrap();
        let died = pick % count;
        let affected = strategy.affected(died, count);
        let pid = world.core.children[died].pid().unwrap();
        world.alive.remove(&pid);
        world.act(|core, now, out| core.on_ended(now, pid, ExitReason::Killed, out));
        for expected in affected.clone().rev().filter(|at| *at != died) {
            let told: Vec<_> = world.alive.values().filter(|(_, told)| *told != Told::Nothing).map(|(key, _)| *key).collect();
            assert_eq!(told.len(), 1);
            assert_eq!(position(&world, told[0]), expected);
            assert_eq!(world.starting, None);
            world.happen(Happens::Stops { which: 0 });
        }
        for expected in affected {
            let (key, _) = world.starting.expect("a start");
            assert_eq!(position(&world, key), expected);
            world.happen(Happens::Starts(Outcome::Well));
        }
        assert_eq!(world.starting, None);
        assert_eq!(world.alive.len(), count);
    }
}
