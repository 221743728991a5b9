//! Brings events to a state machine, and does what its handlers ask for.

use std::any::Any;
use std::future::Future;
use std::time::Duration;

use super::context::{Moment, When};
use super::core::{After, Core};
use super::entering::Entering;
use super::timeouts::{Kind, Timeout, Timeouts};
use super::{Event, State, StateMachine, Treatment};
use crate::actor::{Actor, Client, Handle, Overflow, Refused, Step};
use crate::address::Address;
use crate::ambient;
use crate::call::CallFailed;
use crate::context::Context;
use crate::dead_letters::DeadLetter;
use crate::exit::ExitReason;
use crate::process::{self, AnyRef, Me};
use crate::signal::Info;

/// What is done when a timeout has come.
pub(crate) type Action = Box<dyn FnOnce(&Me) + Send>;

/// What the engine knows of a machine.
pub(crate) trait Machinery: Any + Send {
    /// The state, beside what the data says of itself.
    fn show(&self, data: Option<String>) -> String;

    /// How many events are put aside.
    fn postponed(&self) -> usize;

    /// A timer says this. Returns what is to be done, unless it is stale.
    fn on_timer(&mut self, timeout: &Timeout) -> Option<Action>;
}

/// What a process has that runs the machine `M`.
pub(super) struct Machine<M: StateMachine> {
    pub(super) core: Core<M::State, Event<M::Msg>>,
    timeouts: Timeouts<Action>,
    /// The timeouts that the handler has asked for: when each is to come, or that it is taken back.
    pub(super) asked: Vec<(Kind, Option<(When, Action)>)>,
    /// What is handled, by name.
    pub(super) event: &'static str,
    /// How many events waited ahead of the mailbox when the handler began.
    waiting: usize,
}

impl<M: StateMachine> Machine<M> {
    fn new() -> Self {
        Self {
            core: Core::new(M::initial()),
            timeouts: Timeouts::default(),
            asked: Vec::new(),
            event: "init",
            waiting: 0,
        }
    }

    pub(super) fn state(&self) -> &M::State {
        self.core.state()
    }

    /// Whether no timeouts are to be started or to come at once.
    fn is_quiet(&self) -> bool {
        self.asked.is_empty() && self.timeouts.has_no_zero()
    }
}

impl<M: StateMachine> Machinery for Machine<M> {
    fn show(&self, data: Option<String>) -> String {
        let state = self.state();
        let shown = match data {
            Some(data) => format!("({state:?}, {data})"),
            None => format!("{state:?}"),
        };
        match self.core.postponed() {
            0 => shown,
            postponed => format!("{shown}, {postponed} postponed"),
        }
    }

    fn postponed(&self) -> usize {
        self.core.postponed()
    }

    fn on_timer(&mut self, timeout: &Timeout) -> Option<Action> {
        self.timeouts.on_timer(timeout)
    }
}

/// The client by which a process puts something ahead of its mailbox.
pub(super) fn client_ahead<A: Actor>(me: &Me) -> A::Client {
    match AnyRef::of(me.header()).typed() {
        Some(cell) => A::Client::from_address(Address::ahead_of(cell)),
        None => unreachable!("what a machine asks for is done in its own process"),
    }
}

#[diagnostic::do_not_recommend]
impl<M: StateMachine> Handle for M {
    const TERMINATES: bool = M::TERMINATES;

    async fn init(&mut self, cx: &mut Context<Self>) -> Result<(), Refused> {
        process::begin_machine(cx, Box::new(Machine::<M>::new()));
        StateMachine::init(self, cx).await?;
        settle(cx);
        if enters::<M>(cx) {
            let first = cx.state().clone();
            self.enter(&first, Entering::of(cx)).await;
        }
        conclude(cx);
        Ok(())
    }

    async fn handle(&mut self, message: M::Msg, cx: &mut Context<Self>) {
        if let Step::Async(rest) = Handle::step(self, message, cx) {
            rest.await;
        }
    }

    #[inline]
    fn step(&mut self, message: M::Msg, cx: &mut Context<Self>) -> Step<impl Future<Output = ()> + Send> {
        if let Some(Event::Message(message)) = admit(self, Event::Message(message), cx)
            && let Some(message) = self.handle_at_once(message, cx)
        {
            return Step::Async(go_on(self, Rest::Handle(message), cx));
        }
        match settled(cx) {
            Some(old) => Step::Async(go_on(self, Rest::Enter(old), cx)),
            None => Step::Done,
        }
    }

    async fn info(&mut self, info: Info, cx: &mut Context<Self>) {
        if let Some(Event::Info(info)) = admit(self, Event::Info(info), cx) {
            StateMachine::info(self, info, cx).await;
        }
        if let Some(old) = settled(cx) {
            go_on(self, Rest::Enter(old), cx).await;
        }
    }

    fn show_state(&self) -> Option<String> {
        StateMachine::show_state(self)
    }

    fn terminate(&mut self, reason: &ExitReason, cx: &mut Context<Self>) -> impl Future<Output = ()> + Send {
        StateMachine::terminate(self, reason, cx)
    }
}

/// What is left to do of an event.
enum Rest<M: StateMachine> {
    /// The message needs a future.
    Handle(M::Msg),
    /// A state is to be entered, from this one.
    Enter(M::State),
}

async fn go_on<M: StateMachine>(machine: &mut M, rest: Rest<M>, cx: &mut Context<M>) {
    let old = match rest {
        Rest::Enter(old) => Some(old),
        Rest::Handle(message) => {
            StateMachine::handle(machine, message, cx).await;
            settled(cx)
        }
    };
    if let Some(old) = old {
        machine.enter(&old, Entering::of(cx)).await;
        conclude(cx);
    }
}

/// An event has come. Returns it if it is to be handled in this state.
#[inline]
fn admit<M: StateMachine>(data: &M, event: Event<M::Msg>, cx: &mut Context<M>) -> Option<Event<M::Msg>> {
    let waiting = process::waiting_ahead(cx);
    let machine = process::machine_mut::<M, Machine<M>>(cx);
    machine.waiting = waiting;
    if const { !M::RULES.is_empty() } {
        machine.event = M::name_of(&event);
    }
    let treatment = data.treat(&event, machine.state());
    if !machine.timeouts.is_empty() {
        cancel(cx, &Kind::Event);
    }
    match treatment {
        Treatment::Handled => return Some(event),
        Treatment::Ignored => drop(event),
        Treatment::Postponed => postpone(cx, event),
        Treatment::PostponedTo(state) => {
            postpone(cx, event);
            cx.goto(state);
        }
        Treatment::Unexpected => {
            let (name, state) = (M::name_of(&event), cx.state().name());
            panic!("{}: `{name}` is not expected in the state `{state}`", M::NAME);
        }
    }
    None
}

/// The handler is over. Returns the state that is left, if one is to be entered; if not, all is done.
#[inline]
fn settled<M: StateMachine>(cx: &mut Context<M>) -> Option<M::State> {
    // As most are: nothing was asked for, and nothing waits that what is inserted would have to go before.
    let machine = process::machine_mut::<M, Machine<M>>(cx);
    if machine.core.is_keeping() && machine.waiting == 0 && machine.is_quiet() {
        return None;
    }
    let old = settle(cx);
    if old.is_some() && enters::<M>(cx) {
        return old;
    }
    conclude(cx);
    None
}

/// Whether states are entered. A machine that is about to stop enters none.
fn enters<M: StateMachine>(cx: &Context<M>) -> bool {
    M::ENTERS && !process::is_stopping(cx)
}

/// Changes the state, if that was asked for, and puts the events in order. Returns the state that is left.
#[inline]
fn settle<M: StateMachine>(cx: &mut Context<M>) -> Option<M::State> {
    let machine = process::machine_mut::<M, Machine<M>>(cx);
    let waiting = machine.waiting;
    match machine.core.settle() {
        After::Kept => {
            process::put_first(cx, waiting, Default::default());
            None
        }
        After::Repeated => {
            let state = machine.state().clone();
            process::put_first(cx, waiting, Default::default());
            Some(state)
        }
        After::Changed(old) => {
            let retried = machine.core.take_postponed();
            process::put_first(cx, waiting, retried);
            cancel(cx, &Kind::State);
            Some(old)
        }
    }
}

/// The event is done with: starts the timeouts that were asked for, and lets those of nothing come if nothing else is to.
#[inline]
fn conclude<M: StateMachine>(cx: &mut Context<M>) {
    let machine = process::machine_mut::<M, Machine<M>>(cx);
    if machine.is_quiet() {
        return;
    }
    start_timeouts(cx);
    while process::waiting_ahead(cx) == 0 {
        let Some(action) = process::machine_mut::<M, Machine<M>>(cx).timeouts.take_zero() else { return };
        action(cx);
    }
}

fn start_timeouts<M: StateMachine>(cx: &mut Context<M>) {
    let mut asked = std::mem::take(&mut process::machine_mut::<M, Machine<M>>(cx).asked);
    for (kind, setting) in asked.drain(..) {
        cancel(cx, &kind);
        let Some((When(moment), action)) = setting else { continue };
        let runtime = cx.node().runtime();
        let at = match moment {
            Moment::After(Duration::MAX) => continue,
            Moment::After(Duration::ZERO) => None,
            Moment::After(delay) => Some(runtime.now_and(delay)),
            Moment::At(instant) => (instant > runtime.now()).then_some(instant),
        };
        let timeouts = &mut process::machine_mut::<M, Machine<M>>(cx).timeouts;
        match at {
            None => timeouts.set_zero(kind, action),
            Some(at) => {
                let timeout = timeouts.set(kind.clone(), action);
                let timer = process::time_out(cx, at, timeout);
                process::machine_mut::<M, Machine<M>>(cx).timeouts.started(&kind, timer);
            }
        }
    }
    // So that the next one finds room.
    process::machine_mut::<M, Machine<M>>(cx).asked = asked;
}

fn cancel<M: StateMachine>(cx: &mut Context<M>, kind: &Kind) {
    if let Some(timer) = process::machine_mut::<M, Machine<M>>(cx).timeouts.cancel(kind) {
        cx.node().cancel_timer(timer);
    }
}

/// Puts an event aside, or one in its place if there are too many.
#[track_caller]
pub(super) fn postpone<M: StateMachine>(cx: &mut Context<M>, event: Event<M::Msg>) {
    let limit = process::mailbox_limit(cx);
    let machine = process::machine_mut::<M, Machine<M>>(cx);
    // What has to come through is not dropped, and does not count.
    let is_message = |event: &Event<M::Msg>| matches!(event, Event::Message(_));
    let Some((limit, overflow)) = limit.filter(|_| is_message(&event)) else { return machine.core.postpone(event) };
    if (machine.core.postponed() as u64) < limit {
        return machine.core.postpone(event);
    }
    let (lost, why) = match overflow {
        Overflow::DropOldest => {
            let oldest = machine.core.take_oldest(is_message);
            machine.core.postpone(event);
            (oldest, DeadLetter::Dropped)
        }
        Overflow::DropNewest => (Some(event), DeadLetter::Dropped),
        Overflow::Reject | Overflow::Suspend => (Some(event), DeadLetter::Full),
    };
    if let Some(lost) = lost {
        cx.node().count_dead_letter_to(why, cx.pid());
        ambient::abandoning(CallFailed::Full, || drop(lost));
    }
}
