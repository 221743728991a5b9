use std::collections::{BTreeMap, BTreeSet};

use biotope_runtime::{ExitReason, Restart};
use proptest::prelude::*;

use super::*;
use crate::application::errors::{AppFailure, StartAppError, StopAppError};

/// A world in which applications start and stop when they are told to, if they are asked to go on.
#[derive(Default)]
struct World {
    core: Core,
    actions: Vec<Action>,
    /// Told to start, and have not yet.
    starting: BTreeSet<Name>,
    running: BTreeSet<Name>,
    /// Told to stop or killed, and have not yet ended.
    stopping: BTreeSet<Name>,
    needs: BTreeMap<Name, Vec<Name>>,
    refusing: BTreeSet<Name>,
    /// What was done, in order.
    log: Vec<String>,
    started: BTreeMap<Ticket, Result<Vec<Name>, StartAppError>>,
    stopped: BTreeMap<Ticket, Result<(), StopAppError>>,
    over: Vec<(Ticket, Result<(), AppError>)>,
    /// The last run of each name.
    runs: BTreeMap<Name, Ticket>,
    halted: Vec<Name>,
    ends: usize,
    tickets: u64,
}

fn name(text: &str) -> Name {
    text.into()
}

fn names(list: &[Name]) -> Vec<&str> {
    list.iter().map(|name| &**name).collect()
}

fn end(reason: ExitReason) -> End {
    End { reason, failure: None, killed: None }
}

impl World {
    fn with(apps: &[(&str, &[&str])]) -> Self {
        let mut world = Self::default();
        for (app, needs) in apps {
            world.load(name(app), needs.iter().map(|need| name(need)).collect(), None);
        }
        world
    }

    fn load(&mut self, app: Name, needs: Vec<Name>, kind: Option<Restart>) {
        self.core.load(app.clone(), needs.clone(), kind);
        self.needs.insert(app, needs);
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn act(&mut self, f: impl FnOnce(&mut Core, &mut Vec<Action>)) {
        f(&mut self.core, &mut self.actions);
        for action in std::mem::take(&mut self.actions) {
            match action {
                Action::Start(app, _) => {
                    for need in &self.needs[&app] {
                        assert!(self.running.contains(need), "{app} starts without {need}");
                    }
                    self.log.push(format!("start {app}"));
                    assert!(self.starting.insert(app.clone()) && !self.running.contains(&app), "{app} starts twice");
                }
                Action::Stop(app) => {
                    let is_there = self.starting.remove(&app) || self.running.remove(&app);
                    assert!(is_there && self.stopping.insert(app.clone()), "{app} is stopped and is not there");
                    self.log.push(format!("stop {app}"));
                }
                Action::Kill(app) => {
                    let is_there = self.starting.remove(&app) || self.running.remove(&app);
                    assert!(is_there | !self.stopping.insert(app.clone()), "{app} is killed and is not there");
                    self.log.push(format!("kill {app}"));
                }
                Action::Started(ticket, outcome) => {
                    assert!(self.started.insert(ticket, outcome).is_none(), "answered twice");
                }
                Action::Stopped(ticket, outcome) => {
                    assert!(self.stopped.insert(ticket, outcome).is_none(), "answered twice");
                }
                Action::Over(run, outcome) => self.over.push((run, outcome)),
                Action::Unload(app) => self.log.push(format!("unload {app}")),
                Action::Report(app, ..) => self.log.push(format!("report {app}")),
                Action::Halt(app, ..) => self.halted.push(app),
                Action::End => self.ends += 1,
            }
        }
    }

    /// One that was told to start or stop does so; false if there is none. `which` chooses.
    fn go_on(&mut self, which: usize) -> bool {
        let all: Vec<Name> = self.starting.iter().chain(&self.stopping).cloned().collect();
        let Some(app) = all.get(which % all.len().max(1)).cloned() else { return false };
        if self.stopping.remove(&app) {
            self.log.push(format!("stopped {app}"));
            self.act(|core, out| core.on_ended(&app, &end(ExitReason::Shutdown), out));
        } else if self.starting.remove(&app) {
            if self.refusing.contains(&app) {
                let failure = Some(AppFailure::Killed);
                self.act(|core, out| core.on_ended(&app, &End { failure, ..end(ExitReason::Killed) }, out));
            } else {
                self.running.insert(app.clone());
                self.act(|core, out| core.on_started(&app, out));
            }
        }
        true
    }

    fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.go_on(0) {
                return;
            }
        }
        panic!("it does not come to rest: {:?}", self.log);
    }

    fn ensure(&mut self, app: &str) -> Ticket {
        let ticket = self.ticket();
        self.act(|core, out| core.on_ensure(ticket, &name(app), None, out));
        ticket
    }

    fn start(&mut self, app: &str) -> Ticket {
        let ticket = self.ticket();
        self.act(|core, out| core.on_start(ticket, &name(app), None, out));
        ticket
    }

    fn stop(&mut self, app: &str) -> Ticket {
        let ticket = self.ticket();
        self.act(|core, out| core.on_stop(ticket, &name(app), out));
        ticket
    }

    fn run(&mut self, app: &str) -> Ticket {
        let ticket = self.ticket();
        self.runs.insert(name(app), ticket);
        self.act(|core, out| core.on_run(ticket, name(app), None, vec![name(app)], out));
        ticket
    }

    fn ends(&mut self, app: &str, reason: ExitReason) {
        assert!(self.running.remove(app));
        self.act(|core, out| core.on_ended(&name(app), &end(reason), out));
    }
}

const CHAIN: [(&str, &[&str]); 3] = [("f1", &[]), ("f2", &["f1"]), ("f3", &["f2"])];

#[test]
fn what_is_needed_starts_first_and_stops_last() {
    let mut world = World::with(&CHAIN);
    let early = world.start("f3");
    let all = world.ensure("f3");
    world.settle();
    assert_eq!(world.started[&early], Err(StartAppError::NotStarted { name: name("f3"), needs: name("f2") }));
    assert_eq!(world.started[&all].as_deref().map(names), Ok(vec!["f1", "f2", "f3"]));
    let again = world.ensure("f3");
    let twice = world.start("f1");
    assert_eq!(world.started[&again], Ok(vec![]));
    assert_eq!(world.started[&twice], Err(StartAppError::AlreadyStarted(name("f1"))));
    let stop = world.stop("f2");
    world.settle();
    assert_eq!(world.stopped[&stop], Ok(()));
    assert_eq!(world.log[3..], ["stop f3", "stopped f3", "stop f2", "stopped f2"]);
    assert_eq!(names(world.core.order()), ["f1"]);
}

#[test]
fn a_start_that_fails_undoes_its_own_part_only() {
    let mut world = World::with(&CHAIN);
    world.ensure("f1");
    world.settle();
    world.refusing.insert(name("f3"));
    let failing = world.ensure("f3");
    world.settle();
    let Err(StartAppError::Failed { name: failed, .. }) = &world.started[&failing] else { panic!("it started") };
    assert_eq!(&**failed, "f3");
    assert_eq!(names(world.core.order()), ["f1"]);
}

#[test]
fn what_others_rely_on_by_now_stays_when_its_start_is_called_off() {
    let mut world = World::with(&[("a", &[]), ("b", &["a"]), ("c", &["a"])]);
    let run = world.run("b");
    world.go_on(0);
    let other = world.start("c");
    world.act(|core, out| core.on_run_stop(run, out));
    world.settle();
    assert_eq!(world.started[&run], Err(StartAppError::Stopped(name("b"))));
    assert_eq!(world.started[&other].as_deref().map(names), Ok(vec!["c"]));
    assert_eq!(names(world.core.order()), ["a", "c"]);
    // It was permanent for the run's sake.
    world.ends("a", ExitReason::Killed);
    assert!(world.halted.is_empty());
}

#[test]
fn circles_and_strangers_are_named() {
    let mut world = World::with(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &["e"])]);
    let circle = world.ensure("a");
    let stranger = world.ensure("d");
    let text = |ticket| world.started[&ticket].as_ref().unwrap_err().to_string();
    assert_eq!(text(circle), "applications need each other in a circle: b needs c needs b");
    assert_eq!(text(stranger), "no application `e` is loaded, which `d` needs");
}

#[test]
fn a_need_that_ends_while_others_start_fails_the_start() {
    let mut world = World::with(&CHAIN);
    let all = world.ensure("f3");
    world.go_on(0);
    world.go_on(0);
    world.ends("f2", ExitReason::value("boom"));
    world.settle();
    assert_eq!(world.started[&all].as_deref().map(names), Ok(vec!["f1", "f2", "f3"]), "it was started by then");
    let mut world = World::with(&[("a", &[]), ("b", &[]), ("c", &["a", "b"])]);
    let all = world.ensure("c");
    world.go_on(0);
    world.ends("a", ExitReason::value("boom"));
    world.settle();
    assert_eq!(world.started[&all], Err(StartAppError::NotStarted { name: name("c"), needs: name("a") }));
    assert!(world.running.is_empty(), "{:?}", world.log);
}

#[test]
fn a_stop_calls_a_start_off() {
    let mut world = World::with(&CHAIN);
    let all = world.ensure("f3");
    world.go_on(0);
    let stop = world.stop("f1");
    world.settle();
    assert_eq!(world.started[&all], Err(StartAppError::Stopped(name("f2"))));
    assert_eq!(world.stopped[&stop], Ok(()));
    assert!(world.running.is_empty());
}

#[test]
fn what_is_to_stop_before_it_has_begun_to_start_is_started_and_stopped_at_once() {
    let mut world = World::with(&[("a", &[])]);
    world.ensure("a");
    world.settle();
    let first = world.stop("a");
    world.ensure("a");
    world.stop("a");
    let mut actions = Vec::new();
    world.core.on_ended(&name("a"), &end(ExitReason::Shutdown), &mut actions);
    let stopped = Action::Stopped(first, Ok(()));
    assert_eq!(actions, [stopped, Action::Start(name("a"), Restart::Temporary), Action::Stop(name("a"))]);
}

#[test]
fn what_the_end_of_an_application_means() {
    use Restart::{Permanent, Temporary, Transient};
    let reasons = [ExitReason::Normal, ExitReason::Shutdown, ExitReason::value("boom")];
    for (kind, fatal) in
        [(Permanent, [true, true, true]), (Transient, [false, true, true]), (Temporary, [false, false, false])]
    {
        for (reason, is_halted) in reasons.iter().zip(fatal) {
            let mut world = World::default();
            world.load(name("a"), vec![], Some(kind));
            world.ensure("a");
            world.settle();
            world.ends("a", reason.clone());
            assert_eq!(!world.halted.is_empty(), is_halted, "{kind:?} with {reason}");
            assert!(world.log.contains(&"report a".to_owned()));
        }
    }
}

#[test]
fn a_run_ends_with_its_root_and_with_what_it_cannot_do_without() {
    for (ends, reason, is_well) in
        [("f3", ExitReason::Normal, true), ("f3", ExitReason::Shutdown, false), ("f1", ExitReason::Normal, false)]
    {
        let mut world = World::with(&CHAIN);
        let run = world.run("f3");
        world.settle();
        world.ends(ends, reason.clone());
        world.settle();
        let expected = if is_well { Ok(()) } else { Err(AppError::Ended { name: name(ends), reason: reason.clone() }) };
        assert_eq!(world.over, [(run, expected)], "{ends} with {reason}");
        assert!(world.running.is_empty() && world.halted.is_empty());
        assert!(!world.core.is_loaded("f3"), "what was loaded for it goes with it");
    }
}

#[test]
fn a_run_whose_need_ends_while_it_starts_does_not_start() {
    let mut world = World::with(&CHAIN);
    let run = world.run("f3");
    world.go_on(0);
    world.ends("f1", ExitReason::Killed);
    world.settle();
    let error = StartAppError::Failed { name: name("f1"), why: AppFailure::Ended(ExitReason::Killed) };
    assert_eq!(world.started[&run], Err(error.clone()));
    assert_eq!(world.over, [(run, Err(error.into()))]);
    assert!(world.running.is_empty() && world.halted.is_empty());
}

#[test]
fn a_run_whose_root_is_stopped_ends_in_order_with_all_that_was_started_for_it() {
    for target in ["f1", "f3"] {
        let mut world = World::with(&CHAIN);
        let run = world.run("f3");
        world.settle();
        let stop = world.stop(target);
        world.settle();
        assert_eq!(world.stopped[&stop], Ok(()));
        assert_eq!(world.over, [(run, Ok(()))]);
        assert!(world.running.is_empty() && !world.core.is_loaded("f3"));
        // What comes too late for it does not concern the next one.
        world.load(name("f3"), vec![name("f2")], None);
        world.run("f3");
        world.settle();
        world.act(|core, out| core.on_run_stop(run, out));
        world.act(|core, out| core.on_run_kill(run, out));
        world.settle();
        assert_eq!((world.running.len(), world.over.len()), (3, 1));
    }
}

#[test]
fn a_run_that_is_killed_leaves_nothing() {
    for steps in 0..6 {
        let mut world = World::with(&CHAIN);
        let run = world.run("f3");
        for _ in 0..steps {
            world.go_on(0);
        }
        world.act(|core, out| core.on_run_kill(run, out));
        world.settle();
        assert_eq!(world.over.len(), 1);
        assert!(world.running.is_empty(), "after {steps}: {:?}", world.log);
    }
}

/// What may happen to a controller.
#[derive(Clone, Debug)]
enum Event {
    Start(usize),
    Ensure(usize),
    Stop(usize),
    Run(usize),
    StopRun(usize),
    KillRun(usize),
    Ends(usize, bool),
    GoOn(usize),
    Shutdown,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..6_usize).prop_map(Event::Start),
        (0..6_usize).prop_map(Event::Ensure),
        (0..6_usize).prop_map(Event::Stop),
        (0..6_usize).prop_map(Event::Run),
        (0..6_usize).prop_map(Event::StopRun),
        (0..6_usize).prop_map(Event::KillRun),
        (0..6_usize, any::<bool>()).prop_map(|(app, is_normal)| Event::Ends(app, is_normal)),
        (0..9_usize).prop_map(Event::GoOn),
        (0..9_usize).prop_map(Event::GoOn),
        (0..9_usize).prop_map(Event::GoOn),
        Just(Event::Shutdown),
    ]
}

/// Six applications, each of which needs some of those before it.
fn graph() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(0..6_usize, 0..4), 6..7)
}

fn app(n: usize) -> String {
    format!("a{n}")
}

fn world_of(graph: &[Vec<usize>]) -> World {
    let mut world = World::default();
    for (n, needs) in graph.iter().enumerate() {
        let mut needs: Vec<Name> = needs.iter().filter(|need| **need < n).map(|need| name(&app(*need))).collect();
        needs.sort();
        needs.dedup();
        world.load(name(&app(n)), needs, None);
    }
    world
}

/// What `root` needs, by the plainest of ways: all that can be reached.
fn reachable(graph: &[Vec<usize>], root: usize) -> BTreeSet<String> {
    let mut reached = BTreeSet::from([root]);
    loop {
        let next: BTreeSet<usize> =
            reached.iter().flat_map(|n| graph[*n].iter().copied().filter(move |need| need < n).chain([*n])).collect();
        if next == reached {
            return reached.into_iter().map(app).collect();
        }
        reached = next;
    }
}

proptest! {
    /// Goal: exactly what is needed starts, each after what it needs, and a shutdown stops it in reverse.
    #[test]
    fn all_that_is_needed_starts_in_order_and_stops_in_reverse(graph in graph(), root in 0..6_usize) {
        let mut world = world_of(&graph);
        let ticket = world.ensure(&app(root));
        world.settle();
        let started = world.started[&ticket].clone().expect("nothing refuses");
        let as_set: BTreeSet<String> = started.iter().map(ToString::to_string).collect();
        prop_assert_eq!(as_set, reachable(&graph, root));
        world.log.clear();
        world.act(Core::on_shutdown);
        world.settle();
        let expected: Vec<String> =
            started.iter().rev().flat_map(|app| [format!("stop {app}"), format!("stopped {app}")]).collect();
        prop_assert_eq!(&world.log, &expected);
        prop_assert_eq!(world.ends, 1);
    }

    /// Goal: if one refuses, what ran before still runs, and nothing else does.
    #[test]
    fn a_start_that_fails_leaves_what_ran_before(
        graph in graph(),
        before in 0..6_usize,
        root in 0..6_usize,
        refusing in 0..6_usize,
    ) {
        let mut world = world_of(&graph);
        world.ensure(&app(before));
        world.settle();
        let ran = world.running.clone();
        world.refusing.insert(name(&app(refusing)));
        let ticket = world.ensure(&app(root));
        world.settle();
        let is_refused = !ran.contains(&*app(refusing)) && reachable(&graph, root).contains(&app(refusing));
        prop_assert_eq!(world.started[&ticket].is_err(), is_refused);
        if is_refused {
            prop_assert_eq!(&world.running, &ran);
        }
    }

    /// Goal: whatever happens in whatever order, each request is answered once, nothing is stuck, and after a shutdown
    /// nothing is left. That each starts after what it needs and is stopped once, the world asserts.
    #[test]
    fn whatever_happens_all_is_answered_and_nothing_is_stuck(
        graph in graph(),
        refusing in prop::collection::btree_set(0..6_usize, 0..2),
        events in prop::collection::vec(event(), 0..40),
    ) {
        let mut world = world_of(&graph);
        world.refusing = refusing.into_iter().map(|n| name(&app(n))).collect();
        let (mut starts, mut stops, mut runs) = (vec![], vec![], 0);
        for event in events {
            match event {
                Event::Start(n) => starts.push(world.start(&app(n))),
                Event::Ensure(n) => starts.push(world.ensure(&app(n))),
                Event::Stop(n) => stops.push(world.stop(&app(n))),
                Event::Run(n) => {
                    // As the driver has it: one run of a name at a time.
                    let is_free = world.core.runs.iter().all(|run| *run.root != *app(n));
                    if is_free && world.core.is_loaded(&app(n)) {
                        starts.push(world.run(&app(n)));
                        runs += 1;
                    }
                }
                Event::StopRun(n) => {
                    if let Some(run) = world.runs.get(&*app(n)).copied() {
                        world.act(|core, out| core.on_run_stop(run, out));
                    }
                }
                Event::KillRun(n) => {
                    if let Some(run) = world.runs.get(&*app(n)).copied() {
                        world.act(|core, out| core.on_run_kill(run, out));
                    }
                }
                Event::Ends(n, is_normal) => {
                    if world.running.contains(&*app(n)) {
                        world.ends(&app(n), if is_normal { ExitReason::Normal } else { ExitReason::Killed });
                    }
                }
                Event::GoOn(which) => {
                    world.go_on(which);
                }
                Event::Shutdown => world.act(Core::on_shutdown),
            }
        }
        world.settle();
        for ticket in &starts {
            prop_assert!(world.started.contains_key(ticket), "{:?} was not answered", ticket);
        }
        for ticket in &stops {
            prop_assert!(world.stopped.contains_key(ticket), "{:?} was not answered", ticket);
        }
        prop_assert!(world.starting.is_empty() && world.stopping.is_empty());
        prop_assert!(world.halted.is_empty(), "what is permanent belongs to a run: {:?}", world.log);
        world.act(Core::on_shutdown);
        world.settle();
        prop_assert!(world.running.is_empty(), "{:?}", world.log);
        prop_assert_eq!((world.ends, world.over.len()), (1, runs));
        prop_assert!(world.core.jobs.is_empty() && world.core.runs.is_empty());
    }
}
