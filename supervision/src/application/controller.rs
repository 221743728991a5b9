//! The process that starts and stops the applications of a node: OTP's `application_controller`.
//!
//! It does what the [core](super::core) decides. It waits for nobody, so it answers at any time. There is one on a node
//! while there is anything for it to know; who needs it spawns it ([`Applications`](super::applications::Applications)), and
//! it ends by itself.

use std::collections::BTreeMap;

use biotope_runtime::{Actor, Address, Info, MonitorRef, Node, Pid, Process, Received, Restart, Result as Outcome};
use tokio::sync::{oneshot, watch};

use super::app::{App, Prepared};
use super::applications::{AppInfo, AppState};
use super::config::{Env, Item};
use super::core::{Action, Core, End, State, Ticket};
use super::errors::{AppError, LoadError, SetEnvError, StartAppError, StopAppError, UnloadError};
use super::health::Check;
use super::master::{self, Command};
use super::order::Name;
use super::report;
use crate::supervisor::SupervisorRef;

/// What the controller is registered as.
pub(crate) const NAME: &str = "application_controller";

/// The actor that a reference to the controller is one to.
pub(crate) struct Controller;

impl Actor for Controller {
    type Msg = Request;
    type Client = Address<Request>;
    const NAME: &'static str = "Applications";
}

type Reply<T> = oneshot::Sender<T>;
type StartReply = Reply<std::result::Result<Vec<Name>, StartAppError>>;
type StopReply = Reply<std::result::Result<(), StopAppError>>;

/// How a run ends.
pub(crate) type RunOutcome = std::result::Result<(), AppError>;

/// What a controller is asked, and what its applications tell it.
pub(crate) enum Request {
    Load(Vec<Prepared>, Reply<std::result::Result<(), LoadError>>),
    Unload(Name, Reply<std::result::Result<(), UnloadError>>),
    Start {
        name: Name,
        kind: Option<Restart>,
        with_needs: bool,
        reply: StartReply,
    },
    Stop(Name, StopReply),
    Run(NewRun),
    StopRun(Ticket),
    KillRun(Ticket),
    Env(Name, Reply<Option<Env>>),
    Set {
        name: Name,
        key: String,
        item: Item,
        persistent: bool,
        reply: Reply<std::result::Result<(), SetEnvError>>,
    },
    List(Reply<Vec<Listed>>),
    /// An application has started.
    Up(Pid, Name, SupervisorRef),
    /// An application has ended, or did not start.
    Ended(Pid, Name, End),
}

/// A run that is to begin.
pub(crate) struct NewRun {
    /// What is to be loaded, unless it is; the last one is the run's.
    pub(crate) apps: Vec<Prepared>,
    /// The process that it ends with.
    pub(crate) owner: Option<Pid>,
    pub(crate) started: Reply<std::result::Result<SupervisorRef, StartAppError>>,
    pub(crate) outcome: watch::Sender<Option<RunOutcome>>,
    /// Told when the run has been taken on, and by what ticket it goes.
    pub(crate) taken: Reply<(Address<Request>, Ticket)>,
}

/// An application, with what it takes to ask how it is.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) info: AppInfo,
    pub(crate) env: Env,
    pub(crate) checks: Vec<Check>,
}

struct Driver {
    me: Process<Request>,
    core: Core,
    known: BTreeMap<Name, Known>,
    /// What was set to last, by application: it covers whatever is loaded.
    persistent: BTreeMap<Name, Vec<(String, Item)>>,
    tickets: u64,
    starts: BTreeMap<Ticket, StartReply>,
    stops: BTreeMap<Ticket, StopReply>,
    runs: BTreeMap<Ticket, Waiting>,
    owners: BTreeMap<MonitorRef, Pid>,
    has_ended: bool,
}

struct Known {
    app: App,
    env: Env,
    master: Option<Address<Command>>,
    /// Whether that follows one that was killed: then nobody follows it.
    is_heir: bool,
    root: Option<SupervisorRef>,
}

/// Who waits for a run.
struct Waiting {
    name: Name,
    started: Option<Reply<std::result::Result<SupervisorRef, StartAppError>>>,
    outcome: watch::Sender<Option<RunOutcome>>,
    owner: Option<MonitorRef>,
}

/// The controller of `node`. If there is none, there is one now.
pub(crate) fn controller(node: &Node) -> Address<Request> {
    match node.lookup::<Controller>(NAME) {
        Some(controller) => controller.address().clone(),
        None => node.spawn_process(run),
    }
}

async fn run(me: Process<Request>) -> Outcome<()> {
    me.trap_exits(true);
    // Another one was faster: whoever has asked this one asks again.
    if me.node().register(NAME, me.pid()).is_err() {
        return Ok(());
    }
    let driver = Driver {
        me,
        core: Core::default(),
        known: BTreeMap::new(),
        persistent: BTreeMap::new(),
        tickets: 0,
        starts: BTreeMap::new(),
        stops: BTreeMap::new(),
        runs: BTreeMap::new(),
        owners: BTreeMap::new(),
        has_ended: false,
    };
    driver.run().await;
    Ok(())
}

impl Driver {
    async fn run(mut self) {
        let mut actions = Vec::new();
        loop {
            let received = self.me.receive_any().await;
            match received {
                Ok(Received::Message(request)) => self.on_request(request, &mut actions),
                Ok(Received::Info(info)) => self.on_info(info, &mut actions),
                Err(_) => self.core.on_shutdown(&mut actions),
            }
            for action in actions.drain(..) {
                self.apply(action);
            }
            let is_idle = self.core.is_empty() && self.persistent.is_empty() && self.masters().is_empty();
            if is_idle || self.has_ended {
                return;
            }
        }
    }

    fn on_request(&mut self, request: Request, out: &mut Vec<Action>) {
        match request {
            Request::Load(apps, reply) => {
                let _ = reply.send(self.load(apps));
            }
            Request::Unload(name, reply) => {
                let unloaded = self.core.unload(&name);
                if unloaded.is_ok() {
                    self.known.remove(&name);
                }
                let _ = reply.send(unloaded);
            }
            Request::Start { name, kind, with_needs, reply } => {
                let ticket = self.ticket();
                self.starts.insert(ticket, reply);
                if with_needs {
                    self.core.on_ensure(ticket, &name, kind, out);
                } else {
                    self.core.on_start(ticket, &name, kind, out);
                }
            }
            Request::Stop(name, reply) => {
                let ticket = self.ticket();
                self.stops.insert(ticket, reply);
                self.core.on_stop(ticket, &name, out);
            }
            Request::Run(run) => self.begin_run(run, out),
            Request::StopRun(run) => self.core.on_run_stop(run, out),
            Request::KillRun(run) => self.core.on_run_kill(run, out),
            Request::Env(name, reply) => {
                let _ = reply.send(self.known.get(&name).map(|known| known.env.clone()));
            }
            Request::Set { name, key, item, persistent, reply } => {
                let _ = reply.send(self.set(name, key, item, persistent));
            }
            Request::List(reply) => {
                let _ = reply.send(self.list());
            }
            Request::Up(master, name, root) => {
                if let Some(known) = self.known_of(master, &name) {
                    known.root = Some(root);
                    self.core.on_started(&name, out);
                }
            }
            Request::Ended(master, name, end) => self.ended(master, &name, &end, out),
        }
    }

    fn on_info(&mut self, info: Info, out: &mut Vec<Action>) {
        match info {
            // From itself: sent by `Node::exit`, from outside any process.
            Info::Exit(exit) if exit.from == self.me.pid() => self.core.on_shutdown(out),
            // A master that told nothing before was killed: its heir tells the end, when nothing is left of it.
            Info::Exit(exit) => {
                let (pid, address) = (self.me.pid(), self.me.address());
                let killed = self.known.iter_mut().find(|(_, known)| known.is_led_by(exit.from));
                let Some((name, known)) = killed else { return };
                if known.is_heir {
                    let name = name.clone();
                    self.ended(exit.from, &name, &End { reason: exit.reason, failure: None, killed: None }, out);
                } else {
                    let node = self.me.node();
                    known.master = Some(master::spawn_heir(node, pid, &known.app, exit.from, exit.reason, address));
                    known.is_heir = true;
                }
            }
            Info::Down(down) => {
                if let Some(owner) = self.owners.remove(&down.reference) {
                    self.core.on_owner_ended(owner, out);
                }
            }
            _ => {}
        }
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Start(name, kind) => self.start(&name, kind),
            Action::Stop(name) => self.command(&name, Command::Stop),
            Action::Kill(name) => self.command(&name, Command::Kill),
            Action::Started(ticket, outcome) => self.answer_start(ticket, outcome),
            Action::Stopped(ticket, outcome) => {
                if let Some(reply) = self.stops.remove(&ticket) {
                    let _ = reply.send(outcome);
                }
            }
            Action::Over(run, outcome) => self.end_run(run, outcome),
            Action::Unload(name) => drop(self.known.remove(&name)),
            Action::Report(name, kind, reason) => report::ended_by_itself(&self.me, &name, kind, &reason),
            Action::Halt(name, kind, reason) => {
                report::halts(&self.me, &name, kind, &reason);
                let error = AppError::Ended { name, reason };
                self.me.node().halt(error.into_reason());
            }
            Action::End => self.has_ended = true,
        }
    }

    fn load(&mut self, apps: Vec<Prepared>) -> std::result::Result<(), LoadError> {
        if self.core.is_ending() {
            return Err(LoadError::Stopping);
        }
        let asked = apps.last().map(|last| last.app.name.clone());
        if let Some(name) = asked.filter(|name| self.core.is_loaded(name)) {
            return Err(LoadError::AlreadyLoaded(name));
        }
        self.load_missing(apps);
        Ok(())
    }

    /// Loads those of which none of the name is loaded, and returns their names.
    fn load_missing(&mut self, apps: Vec<Prepared>) -> Vec<Name> {
        let mut loaded = Vec::new();
        for Prepared { app, env } in apps {
            let name = app.name.clone();
            if self.core.is_loaded(&name) {
                continue;
            }
            for (key, item) in self.persistent.get(&name).into_iter().flatten() {
                env.set(key, item.clone());
            }
            let needs = app.needs.iter().map(|need| need.name.clone()).collect();
            self.core.load(name.clone(), needs, app.kind);
            self.known.insert(name.clone(), Known { app, env, master: None, is_heir: false, root: None });
            loaded.push(name);
        }
        loaded
    }

    fn begin_run(&mut self, run: NewRun, out: &mut Vec<Action>) {
        let NewRun { apps, owner, started, outcome, taken } = run;
        let ticket = self.ticket();
        let _ = taken.send((self.me.address(), ticket));
        let Some(name) = apps.last().map(|last| last.app.name.clone()) else {
            unreachable!("a run is that of an application")
        };
        let refused = if self.core.is_ending() {
            Some(StartAppError::Stopping)
        } else if self.core.is_loaded(&name) {
            Some(LoadError::AlreadyLoaded(name.clone()).into())
        } else {
            None
        };
        if let Some(error) = refused {
            outcome.send_replace(Some(Err(error.clone().into())));
            let _ = started.send(Err(error));
            return;
        }
        let loaded = self.load_missing(apps);
        let monitor = owner.map(|owner| self.me.monitor(owner));
        if let (Some(monitor), Some(owner)) = (monitor, owner) {
            self.owners.insert(monitor, owner);
        }
        self.runs.insert(ticket, Waiting { name: name.clone(), started: Some(started), outcome, owner: monitor });
        self.core.on_run(ticket, name, owner, loaded, out);
    }

    fn answer_start(&mut self, ticket: Ticket, outcome: std::result::Result<Vec<Name>, StartAppError>) {
        if let Some(reply) = self.starts.remove(&ticket) {
            let _ = reply.send(outcome);
            return;
        }
        let Some(waiting) = self.runs.get_mut(&ticket) else { return };
        let name = &waiting.name;
        let root = self.known.get(name).and_then(|known| known.root.clone());
        if let Some(started) = waiting.started.take() {
            let _ = started.send(outcome.and_then(|_| root.ok_or_else(|| StartAppError::Stopped(name.clone()))));
        }
    }

    fn end_run(&mut self, run: Ticket, outcome: RunOutcome) {
        let Some(waiting) = self.runs.remove(&run) else { return };
        if let Some(monitor) = waiting.owner {
            self.owners.remove(&monitor);
            self.me.demonitor(monitor);
        }
        if let Some(started) = waiting.started {
            let error = match &outcome {
                Err(AppError::Start(error)) => error.clone(),
                _ => StartAppError::Stopped(waiting.name),
            };
            let _ = started.send(Err(error));
        }
        waiting.outcome.send_replace(Some(outcome));
    }

    fn start(&mut self, name: &Name, kind: Restart) {
        let (pid, address) = (self.me.pid(), self.me.address());
        let Some(known) = self.known.get_mut(name) else { return };
        let master = master::spawn(self.me.node(), pid, &known.app, known.env.clone(), kind, address);
        known.master = Some(master);
        known.is_heir = false;
        known.root = None;
    }

    fn command(&self, name: &Name, command: Command) {
        if let Some(master) = self.known.get(name).and_then(|known| known.master.as_ref()) {
            master.cast(command);
        }
    }

    fn ended(&mut self, master: Pid, name: &Name, end: &End, out: &mut Vec<Action>) {
        if let Some(known) = self.known_of(master, name) {
            known.master = None;
            known.root = None;
            // What it tells is the last thing that it does: its exit is nothing new.
            self.me.unlink(master);
            self.core.on_ended(name, end, out);
        }
    }

    fn set(&mut self, name: Name, key: String, item: Item, persistent: bool) -> std::result::Result<(), SetEnvError> {
        if self.core.is_ending() {
            return Err(SetEnvError::Stopping);
        }
        if let Some(known) = self.known.get(&name) {
            known.env.set(&key, item.clone());
        }
        if persistent {
            let items = self.persistent.entry(name).or_default();
            items.retain(|(other, _)| *other != key);
            items.push((key, item));
        }
        Ok(())
    }

    /// All that are loaded: those that run in the order in which they were started, then the others by their names.
    fn list(&self) -> Vec<Listed> {
        let order = self.core.order();
        let started = order.iter().filter_map(|name| self.known.get_key_value(name));
        let others = self.known.iter().filter(|(name, _)| !order.contains(name));
        let listed = started.chain(others).map(|(name, known)| {
            let (state, kind) = match self.core.state(name) {
                Some(State::Starting { kind, .. }) => (AppState::Starting, Some(kind)),
                Some(State::Running { kind }) => (AppState::Running, Some(kind)),
                Some(State::Stopping { .. }) => (AppState::Stopping, None),
                Some(State::Loaded) | None => (AppState::Loaded, None),
            };
            let info = AppInfo {
                name: name.clone(),
                description: known.app.description.clone(),
                version: known.app.version.clone(),
                state,
                kind,
                supervisor: known.root.clone(),
            };
            Listed { info, env: known.env.clone(), checks: known.app.checks.clone() }
        });
        listed.collect()
    }

    fn known_of(&mut self, master: Pid, name: &Name) -> Option<&mut Known> {
        self.known.get_mut(name).filter(|known| known.is_led_by(master))
    }

    fn masters(&self) -> Vec<&Address<Command>> {
        self.known.values().filter_map(|known| known.master.as_ref()).collect()
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }
}

impl Known {
    fn is_led_by(&self, pid: Pid) -> bool {
        self.master.as_ref().is_some_and(|master| master.pid() == pid)
    }
}
