//! The laws of the core, against children that do anything at any time, and beside a model that keeps a plain list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use biotope_runtime::{NodeId, Restart};
use proptest::prelude::{ProptestConfig, any, prop, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy as Generator};

use super::*;
use crate::child_spec::Kind;
use crate::client::ChildStatus;

/// What happens to the supervisor.
#[derive(Clone, Debug)]
enum Happens {
    Asked {
        restart: Restart,
        shutdown: usize,
        kind: Kind,
        waits: bool,
        needs: bool,
    },
    /// For a child that is begun at once, or is not.
    AskedAtOnce {
        restart: Restart,
        shutdown: usize,
        begins: bool,
    },
    /// A start under way returns.
    Starts {
        which: usize,
        outcome: Outcome,
    },
    /// A process ends, by itself or because it was told to.
    Ends {
        which: usize,
        abnormally: bool,
    },
    /// Whoever is known by a pid is to be terminated; or one that was known by it.
    Terminated {
        which: usize,
    },
    TimePasses {
        millis: u64,
    },
    /// What some children need goes, or comes back.
    Flips,
    /// One ends that a supervisor has left which was killed.
    OrphanEnds {
        which: usize,
    },
    ToldToStop,
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Well,
    Ignored,
    Failed,
}

fn happens() -> impl Generator<Value = Happens> {
    let restart = || prop_oneof![Just(Restart::Permanent), Just(Restart::Transient), Just(Restart::Temporary)];
    let kind = prop_oneof![3 => Just(Kind::Worker), 1 => Just(Kind::Supervisor)];
    let outcome = prop_oneof![5 => Just(Outcome::Well), 1 => Just(Outcome::Ignored), 2 => Just(Outcome::Failed)];
    prop_oneof![
        5 => (restart(), 0_usize..3, kind, any::<bool>(), any::<bool>()).prop_map(
            |(restart, shutdown, kind, waits, needs)| Happens::Asked { restart, shutdown, kind, waits, needs }
        ),
        2 => (restart(), 0_usize..3, any::<bool>())
            .prop_map(|(restart, shutdown, begins)| Happens::AskedAtOnce { restart, shutdown, begins }),
        7 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Happens::Starts { which, outcome }),
        5 => (any::<usize>(), any::<bool>()).prop_map(|(which, abnormally)| Happens::Ends { which, abnormally }),
        3 => any::<usize>().prop_map(|which| Happens::Terminated { which }),
        3 => (0_u64..900).prop_map(|millis| Happens::TimePasses { millis }),
        1 => Just(Happens::Flips),
        3 => any::<usize>().prop_map(|which| Happens::OrphanEnds { which }),
        1 => Just(Happens::ToldToStop),
    ]
}

const TIMEOUT: Duration = Duration::from_millis(500);
const SHUTDOWNS: [Shutdown; 3] = [Shutdown::BrutalKill, Shutdown::Timeout(TIMEOUT), Shutdown::Infinity];
const PERIOD: Duration = Duration::from_secs(1);
const RESTARTS: usize = 3;
const WAIT: Duration = Duration::from_millis(300);
const EVERY: Duration = Duration::from_millis(200);

/// A child as the model has it.
#[derive(Clone, Debug)]
struct Modelled {
    restart: Restart,
    shutdown: Shutdown,
    kind: Kind,
    process: Option<Pid>,
    /// The pid that it has, or had.
    known: Option<Pid>,
    told: Option<Instant>,
    killed: Option<Instant>,
    /// It has a back-off, or a circuit.
    waits: bool,
    needs: bool,
    /// Until when it is not started.
    held: Option<Instant>,
    /// Who must be gone before.
    orphans: BTreeSet<Pid>,
}

impl Modelled {
    fn is_held(&self) -> bool {
        self.held.is_some() || !self.orphans.is_empty()
    }
}

struct World {
    core: Core,
    limit: usize,
    now: Instant,
    /// In the order of their keys.
    model: BTreeMap<Key, Modelled>,
    restarts: Vec<Instant>,
    pids: u32,
    gone: Vec<Pid>,
    /// What the child that is asked for is like.
    asked_for: Option<Modelled>,
    asked: usize,
    answered: Arc<AtomicUsize>,
    refused: Option<Refusal>,
    is_stopping: bool,
    is_up: bool,
    ends: usize,
    listed: Option<(Vec<ChildInfo>, ChildCounts)>,
}

fn start(_: biotope_runtime::Node, _: biotope_runtime::SpawnOptions) -> std::future::Pending<Result<Pid, StartError>> {
    std::future::pending()
}

impl World {
    fn new(limit: usize) -> Self {
        let policy = Policy {
            max_children: Some(limit),
            intensity: Intensity::new(RESTARTS as u32, PERIOD),
            backoff: None,
            at_once: Child::with("at once", start),
            chance: Box::new(|| 0),
        };
        Self {
            core: Core::new(policy),
            limit,
            now: Instant::now(),
            model: BTreeMap::new(),
            restarts: Vec::new(),
            pids: 0,
            gone: Vec::new(),
            asked_for: None,
            asked: 0,
            answered: Arc::default(),
            refused: None,
            is_stopping: false,
            is_up: true,
            ends: 0,
            listed: None,
        }
    }

    /// A reply that counts when it is given.
    fn reply<R: Send + 'static>(&mut self) -> ReplyTo<R> {
        self.asked += 1;
        let answered = self.answered.clone();
        ReplyTo::from_fn(move |outcome| {
            assert!(outcome.is_ok(), "a request was dropped");
            answered.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn new_pid(&mut self) -> Pid {
        self.pids += 1;
        Pid::new(NodeId::new("test", 1), self.pids, 0)
    }

    fn on(&mut self, event: impl FnOnce(&mut Core, Instant, &mut Vec<Action>)) {
        let mut out = Vec::new();
        event(&mut self.core, self.now, &mut out);
        // Too many restarts stop it, too: the model says when.
        for action in out {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        assert_eq!(self.ends, 0, "something was done after the end");
        match action {
            Action::Start(key, child, restarts) => match self.model.get(&key) {
                Some(again) => {
                    assert!(again.process.is_none() && again.known.is_some() && again.told.is_none());
                    assert!(
                        again.orphans.is_empty() && again.held.is_none_or(|until| until <= self.now),
                        "it was to wait"
                    );
                    assert_eq!(child.restart, again.restart);
                    assert!(restarts > 0);
                }
                None => {
                    assert_eq!(restarts, 0);
                    self.admit(key);
                }
            },
            Action::Begin(key, begin) => {
                drop(begin);
                let begins = self.asked_for.as_ref().is_some_and(|asked_for| asked_for.known.is_some());
                self.admit(key);
                let pid = begins.then(|| self.new_pid());
                match pid {
                    Some(_) => self.model.entry(key).and_modify(|child| (child.process, child.known) = (pid, pid)),
                    None => {
                        self.model.remove(&key);
                        return self.on(|core, now, out| core.on_begun(now, key, None, out));
                    }
                };
                self.on(|core, now, out| core.on_begun(now, key, pid, out));
            }
            Action::Refuse(_, refusal) => self.refused = Some(refusal),
            Action::Stop(target) => {
                let now = self.now;
                let child = self.target(target);
                assert!(child.shutdown != Shutdown::BrutalKill && child.killed.is_none());
                child.told.get_or_insert(now);
            }
            Action::Kill(Target::Process(pid)) if self.model.values().any(|child| child.orphans.contains(&pid)) => {}
            Action::Kill(target) => {
                let now = self.now;
                let child = self.target(target);
                match child.shutdown {
                    Shutdown::BrutalKill => {}
                    Shutdown::Timeout(time) => assert!(child.told.is_some_and(|told| told + time <= now)),
                    Shutdown::Infinity => panic!("it has as long as it takes"),
                }
                child.told.get_or_insert(now);
                child.killed.get_or_insert(now);
            }
            Action::Look(key, circuit) => {
                assert_eq!(circuit.needs(), "power");
                let child = self.model.get_mut(&key).expect("who needs something is there");
                assert!(child.orphans.is_empty() && child.held.is_none_or(|until| until <= self.now));
                if self.is_up {
                    child.held = None;
                    self.starts_again(key);
                } else {
                    child.held = Some(self.now + EVERY);
                }
                let is_up = self.is_up;
                self.on(|core, now, out| core.on_looked(now, key, is_up, out));
            }
            Action::FindOrphans(key, killed) => {
                let child = self.model.get_mut(&key).expect("who was killed is there");
                assert!(child.kind == Kind::Supervisor && child.known == Some(killed));
                // One in two has left somebody, and so waits.
                let orphans =
                    if self.pids.is_multiple_of(2) { BTreeSet::new() } else { [self.new_pid(), self.new_pid()].into() };
                if orphans.is_empty() {
                    self.fails(key);
                } else {
                    self.model.entry(key).and_modify(|child| child.orphans = orphans.clone());
                }
                self.on(|core, now, out| core.on_orphans(now, key, orphans, out));
            }
            Action::Abandon(key) => {
                let Some(child) = self.model.remove(&key) else { panic!("a start to abandon") };
                assert!(child.process.is_none());
                assert!(child.killed.is_some_and(|killed| killed + ABANDON_START_AFTER <= self.now));
            }
            Action::Report(_) => {}
            Action::Reply(Reply::Start(reply, answer)) => {
                if let Err(error) = &answer {
                    self.refused = match error {
                        StartDynamicChildError::MaxChildren(limit) => Some(Refusal::MaxChildren(*limit)),
                        StartDynamicChildError::Stopping => Some(Refusal::Stopping),
                        StartDynamicChildError::Failed(_) | StartDynamicChildError::Spec(_) => None,
                    };
                }
                reply.send(answer);
            }
            Action::Reply(Reply::Which(reply, answer)) => {
                self.listed = Some((answer.clone(), ChildCounts::default()));
                reply.send(answer);
            }
            Action::Reply(Reply::Count(reply, answer)) => {
                if let Some(listed) = &mut self.listed {
                    listed.1 = answer;
                }
                reply.send(answer);
            }
            Action::Reply(Reply::Children(reply, answer)) => {
                assert!(answer.iter().eq(self.model.values().filter_map(|child| child.process.as_ref())));
                reply.send(answer);
            }
            Action::Reply(reply) => reply.send(),
            Action::End(_) => {
                assert!(self.model.is_empty(), "a supervisor ends after its children");
                self.ends += 1;
            }
        }
    }

    fn admit(&mut self, key: Key) {
        assert!(!self.is_stopping && self.model.len() < self.limit, "a child was begun that may not be");
        let child = self.asked_for.take().expect("a child that nobody asked for");
        assert!(self.model.last_key_value().is_none_or(|(last, _)| *last < key));
        self.model.insert(key, Modelled { known: None, ..child });
    }

    fn target(&mut self, target: Target) -> &mut Modelled {
        let found = match target {
            Target::Start(key) => self.model.get_mut(&key).filter(|child| child.process.is_none()),
            Target::Process(pid) => self.model.values_mut().find(|child| child.process == Some(pid)),
        };
        found.expect("who is told to stop is there")
    }

    /// The model's own count of restarts: whether one more is one too many.
    fn is_one_too_many(&mut self) -> bool {
        let (now, restarts) = (self.now, &mut self.restarts);
        let within = restarts.iter().filter(|at| now - **at <= PERIOD).count();
        restarts.push(now);
        within >= RESTARTS
    }

    /// The child of this key has failed: in the model, before the core is told.
    fn fails(&mut self, key: Key) {
        let child = self.model.get_mut(&key).expect("who fails is there");
        child.process = None;
        if !child.needs {
            self.starts_again(key);
        }
    }

    /// The child of this key is started again, if that is not once too often.
    fn starts_again(&mut self, key: Key) {
        if self.is_one_too_many() {
            self.is_stopping = true;
            self.model.remove(&key);
            // Nobody waits any more for what has no process and no start under way.
            self.model.retain(|_, child| !child.is_held());
            return;
        }
        let until = self.now + WAIT;
        self.model.entry(key).and_modify(|child| child.held = child.waits.then_some(until));
    }

    fn happen(&mut self, happens: Happens) {
        match happens {
            Happens::Asked { restart, shutdown, kind, waits, needs } => {
                let shutdown = SHUTDOWNS[shutdown];
                let child = Modelled { restart, shutdown, kind, waits, needs, ..modelled() };
                let reply = self.reply();
                let mut spec = Child::with("child", start).restart(restart).shutdown(shutdown);
                spec.kind = kind;
                spec.backoff = waits.then(|| Backoff::constant(WAIT));
                spec.circuit = needs.then(|| Circuit::when("power", |_| unreachable!()).check_every(EVERY));
                self.ask(child, DynamicRequest::Start(spec, reply));
            }
            Happens::AskedAtOnce { restart, shutdown, begins } => {
                let shutdown = SHUTDOWNS[shutdown];
                // That it has a pid already says here that it will have one.
                let known = begins.then(|| self.new_pid());
                let child = Modelled { restart, shutdown, known, ..modelled() };
                let begin: Box<Begin> = Box::new(|_| None);
                let again = None;
                self.ask(child, DynamicRequest::Begin(AtOnce { restart, shutdown: Some(shutdown), again, begin }));
            }
            Happens::Starts { which, outcome } => self.start_returns(which, outcome),
            Happens::Ends { which, abnormally } => {
                let alive: Vec<_> = self.model.iter().filter_map(|(key, child)| Some((*key, child.process?))).collect();
                if !alive.is_empty() {
                    let (key, pid) = alive[which % alive.len()];
                    self.end(key, pid, abnormally);
                }
            }
            Happens::Terminated { which } => {
                let mut pids: Vec<_> = self.model.values().filter_map(|child| child.known).collect();
                pids.extend(self.gone.last());
                let stranger = Pid::new(NodeId::new("test", 1), 0, 0);
                pids.push(stranger);
                let pid = pids[which % pids.len()];
                let reply = self.reply();
                self.model.retain(|_, child| child.known != Some(pid) || !child.is_held());
                self.on(|core, now, out| core.on_request(now, DynamicRequest::Terminate(pid, reply), out));
                if let Some(child) = self.model.values().find(|child| child.known == Some(pid)) {
                    assert!(child.told.is_some(), "who is terminated is told");
                }
            }
            Happens::TimePasses { millis } => {
                self.now += Duration::from_millis(millis);
                self.on(|core, now, out| core.on_deadline(now, out));
                let now = self.now;
                self.model.values_mut().for_each(|child| child.held = child.held.filter(|until| *until > now));
                for child in self.model.values() {
                    if let (Shutdown::Timeout(time), Some(told)) = (child.shutdown, child.told) {
                        assert!(told + time > self.now || child.killed.is_some(), "it has had its time");
                    }
                    let is_start = child.process.is_none();
                    if let Some(killed) = child.killed.filter(|_| is_start) {
                        assert!(killed + ABANDON_START_AFTER > self.now, "a start that was killed is given up");
                    }
                }
                assert!(self.core.deadline().is_none_or(|deadline| deadline > self.now), "a deadline was missed");
            }
            Happens::OrphanEnds { which } => {
                let orphans = |(key, child): (&Key, &Modelled)| {
                    let key = *key;
                    child.orphans.iter().map(|orphan| (key, *orphan)).collect::<Vec<_>>()
                };
                let all: Vec<_> = self.model.iter().flat_map(orphans).collect();
                if !all.is_empty() {
                    let (key, orphan) = all[which % all.len()];
                    let child = self.model.get_mut(&key).expect("who has left it is there");
                    child.orphans.remove(&orphan);
                    if child.orphans.is_empty() {
                        self.fails(key);
                    }
                    self.on(|core, now, out| core.on_ended(now, orphan, ExitReason::Killed, out));
                }
            }
            Happens::Flips => self.is_up = !self.is_up,
            Happens::ToldToStop => self.stop(),
        }
        if self.ends == 0 {
            self.compare();
        }
    }

    fn stop(&mut self) {
        self.is_stopping = true;
        self.model.retain(|_, child| !child.is_held());
        self.on(|core, now, out| core.on_stop(now, ExitReason::Shutdown, out));
        assert!(self.model.values().all(|child| child.told.is_some()), "all are told at once");
    }

    fn ask(&mut self, child: Modelled, request: DynamicRequest) {
        let expected = match (self.is_stopping, self.model.len() >= self.limit) {
            (true, _) => Some(Refusal::Stopping),
            (false, true) => Some(Refusal::MaxChildren(self.limit)),
            (false, false) => None,
        };
        (self.asked_for, self.refused) = (Some(child), None);
        self.on(|core, now, out| core.on_request(now, request, out));
        assert_eq!(self.refused.take(), expected);
    }

    fn start_returns(&mut self, which: usize, outcome: Outcome) {
        let starting = self.model.iter().filter(|(_, child)| child.process.is_none() && !child.is_held());
        let starting: Vec<_> = starting.map(|(key, _)| *key).collect();
        if starting.is_empty() {
            return;
        }
        let key = starting[which % starting.len()];
        let child = self.model[&key].clone();
        let pid = self.new_pid();
        let returned = match outcome {
            Outcome::Well => Ok(pid),
            Outcome::Ignored => Err(StartError::Ignored),
            Outcome::Failed => Err(StartError::Refused(ExitReason::value("nope"))),
        };
        match (outcome, child.told) {
            (Outcome::Well, told) => {
                let child = self.model.entry(key);
                // One that was killed as a start is killed again by its name.
                child.and_modify(|child| (child.process, child.known) = (Some(pid), Some(pid)));
                self.on(|core, now, out| core.on_started(now, key, returned, out));
                assert!(told.is_none() || self.model[&key].told.is_some());
                return;
            }
            (Outcome::Failed, None) if child.known.is_some() => self.fails(key),
            (Outcome::Ignored | Outcome::Failed, _) => {
                self.model.remove(&key);
            }
        }
        self.on(|core, now, out| core.on_started(now, key, returned, out));
    }

    fn end(&mut self, key: Key, pid: Pid, abnormally: bool) {
        let child = self.model[&key].clone();
        let restarts = match child.restart {
            Restart::Permanent => true,
            Restart::Transient => abnormally,
            Restart::Temporary => false,
        };
        if child.told.is_none() && restarts && abnormally && child.kind == Kind::Supervisor {
            self.model.entry(key).and_modify(|child| child.process = None);
        } else if child.told.is_none() && restarts {
            self.fails(key);
        } else {
            self.model.remove(&key);
        }
        self.gone.push(pid);
        let reason = if abnormally { ExitReason::Killed } else { ExitReason::Normal };
        self.on(|core, now, out| core.on_ended(now, pid, reason, out));
        // The `Down` after the `Exit`, or the other way round: it concerns nobody.
        self.on(|core, now, out| core.on_ended(now, pid, ExitReason::NoProc, out));
    }

    /// What is listed and counted is what the model has.
    fn compare(&mut self) {
        let (which, count, children) = (self.reply(), self.reply(), self.reply());
        for request in [DynamicRequest::Which(which), DynamicRequest::Count(count), DynamicRequest::Children(children)]
        {
            self.on(|core, now, out| core.on_request(now, request, out));
        }
        let (listed, counts) = self.listed.take().expect("it is listed");
        let shown = |child: &Modelled| {
            let status = child.process.map_or(ChildStatus::Restarting, ChildStatus::Running);
            (status, child.kind, child.restart, child.shutdown)
        };
        let listed = listed.iter().map(|info| (info.status, info.kind, info.restart, info.shutdown));
        assert!(listed.eq(self.model.values().map(shown)));
        let many = |is_so: fn(&Modelled) -> bool| self.model.values().filter(|child| is_so(child)).count();
        let expected = ChildCounts {
            specs: self.model.len(),
            active: many(|child| child.process.is_some()),
            supervisors: many(|child| child.kind == Kind::Supervisor),
            workers: many(|child| child.kind == Kind::Worker),
        };
        assert_eq!(counts, expected);
    }
}

fn modelled() -> Modelled {
    Modelled {
        restart: Restart::Permanent,
        shutdown: Shutdown::Infinity,
        kind: Kind::Worker,
        process: None,
        known: None,
        told: None,
        killed: None,
        waits: false,
        needs: false,
        held: None,
        orphans: BTreeSet::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_happens_the_laws_hold_and_a_stop_leaves_nothing(
        limit in 0_usize..7,
        all in prop::collection::vec(happens(), 0..80),
    ) {
        let mut world = World::new(limit);
        for happens in all {
            if world.ends == 0 {
                world.happen(happens);
            }
        }
        if world.ends == 0 {
            world.stop();
        }
        while world.ends == 0 {
            match world.model.values().find_map(|child| child.process) {
                Some(_) => world.happen(Happens::Ends { which: 0, abnormally: false }),
                None => world.happen(Happens::Starts { which: 0, outcome: Outcome::Well }),
            }
        }
        assert_eq!(world.core.deadline(), None);
        assert_eq!(world.answered.load(Ordering::Relaxed), world.asked, "each request is answered once");
    }
}
