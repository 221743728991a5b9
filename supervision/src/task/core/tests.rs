//! The laws of the core, against tasks that do anything at any time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use biotope_runtime::NodeId;
use proptest::prelude::{ProptestConfig, any, prop, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy as Generator};

use super::*;

/// What happens to the supervisor.
#[derive(Clone, Debug)]
enum Happens {
    Asked {
        restart: Restart,
        shutdown: usize,
    },
    /// A task ends, by itself or because it was told to.
    Ends {
        which: usize,
        abnormally: bool,
    },
    Terminated {
        which: usize,
    },
    TimePasses {
        millis: u64,
    },
    ToldToStop,
}

fn happens() -> impl Generator<Value = Happens> {
    let restart =
        prop_oneof![1 => Just(Restart::Permanent), 1 => Just(Restart::Transient), 4 => Just(Restart::Temporary)];
    prop_oneof![
        6 => (restart, 0_usize..3).prop_map(|(restart, shutdown)| Happens::Asked { restart, shutdown }),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(which, abnormally)| Happens::Ends { which, abnormally }),
        2 => any::<usize>().prop_map(|which| Happens::Terminated { which }),
        2 => (0_u64..800).prop_map(|millis| Happens::TimePasses { millis }),
        1 => Just(Happens::ToldToStop),
    ]
}

const SHUTDOWNS: [Shutdown; 3] =
    [Shutdown::BrutalKill, Shutdown::Timeout(Duration::from_millis(500)), Shutdown::Infinity];

/// The tasks' side of the world, and what the laws say of it.
struct World {
    core: Core,
    limit: usize,
    now: Instant,
    /// Those that live, each with how it is stopped, and when it was told to, if it was.
    alive: BTreeMap<Pid, (Shutdown, Option<Instant>)>,
    pids: u32,
    asked: usize,
    answered: Arc<AtomicUsize>,
    refused: Option<StartTaskError>,
    is_stopping: bool,
    ends: Vec<ExitReason>,
}

impl World {
    fn new(limit: usize) -> Self {
        let intensity = Intensity::new(3, Duration::from_secs(1));
        Self {
            core: Core::new(Some(limit), intensity),
            limit,
            now: Instant::now(),
            alive: BTreeMap::new(),
            pids: 0,
            asked: 0,
            answered: Arc::default(),
            refused: None,
            is_stopping: false,
            ends: Vec::new(),
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

    fn begin(&mut self, begun: Begun) {
        assert!(!self.is_stopping && self.alive.len() < self.limit, "a task was begun that may not be");
        self.pids += 1;
        let pid = Pid::new(NodeId::new("test", 1), self.pids, 0);
        self.alive.insert(pid, (begun.shutdown, None));
        self.core.on_begun(pid, begun);
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            assert!(self.ends.is_empty(), "something was done after the end");
            match action {
                Action::Begin(NewTask { restart, shutdown, begin, .. }) => {
                    drop(begin);
                    self.begin(Begun { restart, shutdown: shutdown.unwrap(), again: None, restarts: 0 });
                }
                Action::Again(begun) => self.begin(begun),
                Action::Refuse(_, error) => self.refused = Some(error),
                Action::Stop(pid) => {
                    let (shutdown, told) = self.alive.get_mut(&pid).expect("who is told to stop lives");
                    assert!(*shutdown != Shutdown::BrutalKill && told.is_none());
                    *told = Some(self.now);
                }
                Action::Kill(pid) => {
                    let (shutdown, told) = self.alive.remove(&pid).expect("who is killed lives");
                    match shutdown {
                        Shutdown::BrutalKill => assert_eq!(told, None),
                        Shutdown::Timeout(time) => assert!(told.is_some_and(|told| told + time <= self.now)),
                        Shutdown::Infinity => panic!("it has as long as it takes"),
                    }
                    self.on(|core, now, out| core.on_ended(now, pid, ExitReason::Killed, out));
                }
                Action::Report(..) => {}
                Action::Answer(reply, _) => reply.send(true),
                Action::List(reply, children) => {
                    assert!(children.iter().eq(self.alive.keys()), "children are listed in order");
                    reply.send(children);
                }
                Action::End(reason) => {
                    assert!(self.alive.is_empty(), "a supervisor ends after its tasks");
                    self.ends.push(reason);
                }
            }
        }
    }

    fn on(&mut self, event: impl FnOnce(&mut Core, Instant, &mut Vec<Action>)) {
        let mut out = Vec::new();
        event(&mut self.core, self.now, &mut out);
        // Too many restarts stop it, too.
        self.is_stopping |= !matches!(self.core.phase, Phase::Running);
        self.act(out);
    }

    fn happen(&mut self, happens: Happens) {
        let one = |which: usize, world: &Self| world.alive.keys().nth(which % world.alive.len().max(1)).copied();
        match happens {
            Happens::Asked { restart, shutdown } => {
                let is_full = self.alive.len() >= self.limit;
                let shutdown = Some(SHUTDOWNS[shutdown]);
                let task = NewTask { restart, shutdown, again: None, begin: Box::new(|_| None) };
                self.on(|core, now, out| core.on_request(now, TaskRequest::Start(task), out));
                let expected = match (self.is_stopping, is_full) {
                    (true, _) => Some(StartTaskError::Stopping),
                    (false, true) => Some(StartTaskError::MaxChildren(self.limit)),
                    (false, false) => None,
                };
                assert_eq!(self.refused.take(), expected);
            }
            Happens::Ends { which, abnormally } => {
                if let Some(pid) = one(which, self) {
                    self.alive.remove(&pid);
                    let reason = if abnormally { ExitReason::Killed } else { ExitReason::Normal };
                    self.on(|core, now, out| core.on_ended(now, pid, reason, out));
                }
            }
            Happens::Terminated { which } => {
                let stranger = Pid::new(NodeId::new("test", 1), 0, 0);
                let pid = one(which, self).unwrap_or(stranger);
                let reply = self.reply();
                self.on(|core, now, out| core.on_request(now, TaskRequest::Terminate(pid, reply), out));
            }
            Happens::TimePasses { millis } => {
                self.now += Duration::from_millis(millis);
                if self.core.deadline().is_some_and(|deadline| deadline <= self.now) {
                    self.on(|core, now, out| core.on_deadline(now, out));
                }
            }
            Happens::ToldToStop => self.on(|core, now, out| core.on_stop(now, ExitReason::Shutdown, out)),
        }
        if self.ends.is_empty() {
            let reply = self.reply();
            self.on(|core, now, out| core.on_request(now, TaskRequest::Children(reply), out));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_happens_the_laws_hold_and_a_stop_leaves_nothing(
        limit in 0_usize..6,
        all in prop::collection::vec(happens(), 0..60),
    ) {
        let mut world = World::new(limit);
        for happens in all {
            if world.ends.is_empty() {
                world.happen(happens);
            }
        }
        if world.ends.is_empty() {
            world.on(|core, now, out| core.on_stop(now, ExitReason::Shutdown, out));
        }
        while let Some((&pid, (shutdown, told))) = world.alive.first_key_value() {
            assert!(told.is_some() || *shutdown == Shutdown::BrutalKill, "all are told");
            world.alive.remove(&pid);
            world.on(|core, now, out| core.on_ended(now, pid, ExitReason::Shutdown, out));
        }
        assert_eq!(world.ends.len(), 1);
        assert_eq!(world.core.deadline(), None);
        assert_eq!(world.answered.load(Ordering::Relaxed), world.asked);
    }
}
