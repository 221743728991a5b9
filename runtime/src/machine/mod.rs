//! State machines: actors whose handlers depend on a state, OTP's `gen_statem`.
//!
//! ```text
//!   the engine                    driver.rs                                     the user's
//!   next event ──────────────────▶ is it for this state? ──▶ handle, info ─────▶ cx.goto, cx.then, cx.state_timeout
//!   (what waits ahead, then        │ postponed, ignored,      (context.rs)                     │
//!    the mailbox)                  │ not expected             ◀─────────────────────────────────┘
//!                                  ▼
//!                    core.rs: which state, which events next      enter (entering.rs)
//!                    timeouts.rs: which run, which have come
//! ```
//!
//! A machine is an actor like any other. What it has beside the user's type, a [`Machine`](driver::Machine), is kept with its
//! process and not in it; the engine knows no more of that than a [`Machinery`]. [`StateMachine`] is what the user implements;
//! from there on it is a [`Handle`](crate::Handle), implemented here once and for all.
//!
//! - `core`, `timeouts` and [`rules`] decide, and know no process; `diagram` draws what the rules say.
//! - `driver` brings events to handlers, and does what they ask for.
//! - `context` is what handlers may do, `entering` what enter actions may, `look` what others may from outside.
//!
//! # What is promised
//! A change to another *value* of the state, and nothing else, gives back what was postponed, ends the timeout of the state,
//! and enters. Events that a handler inserts come first, then those that were postponed, oldest first, then what waited
//! ahead of the mailbox, then timeouts of nothing, then the mailbox. A timeout that was cancelled or set again is never heard
//! of, however late that was.
//!
//! # Not here
//! Machines on threads of their own, and events that come from elsewhere: those are messages and infos, as for every actor.

mod context;
mod core;
mod diagram;
mod driver;
mod entering;
mod look;
mod rules;
mod timeouts;

use std::fmt;
use std::future::Future;

pub use context::When;
pub(crate) use core::put_first;
pub(crate) use driver::Machinery;
pub use entering::Entering;
pub use rules::Rule;
pub(crate) use timeouts::Timeout;

use crate::actor::{Actor, Movable, Refused};
use crate::context::Context;
use crate::exit::ExitReason;
use crate::signal::Info;

/// What a state machine is in: one of a few, with names. Derived for an enum by `#[derive(State)]`.
///
/// Two values are the same state if they are equal, payload and all; their name is that of the variant.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(State, Clone, Debug, PartialEq)]
/// enum Phase {
///     Idle,
///     Moving { to: u8 },
/// }
///
/// assert_eq!(Phase::NAMES, ["Idle", "Moving"]);
/// assert_eq!(Phase::Moving { to: 3 }.name(), "Moving");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the state of a machine",
    note = "write `#[derive(State, Clone, Debug, PartialEq)]` on the enum"
)]
pub trait State: Clone + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// The names of all states, in the order of the diagram.
    const NAMES: &'static [&'static str];

    /// Which of [`NAMES`](Self::NAMES) this one has.
    fn name(&self) -> &'static str;
}

/// What a machine handles: a message, or what the runtime tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<M> {
    /// A message: a call, a cast, a timeout, or what the machine inserted itself.
    Message(M),
    /// A `Down`, an `Exit`, a node's coming and going.
    Info(Info),
}

/// What becomes of an event in a state, before a handler sees it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Treatment<S> {
    /// It is handled.
    Handled,
    /// It is put aside until the state changes.
    Postponed,
    /// It is put aside, and the state is this one: where the event is handled as soon as that is entered.
    PostponedTo(S),
    /// It is dropped; a caller is told that there is [no reply](crate::CallFailed::NoReply).
    Ignored,
    /// Nobody has said what to do with it: the machine panics.
    Unexpected,
}

/// An actor whose handlers depend on a state: OTP's `gen_statem`.
///
/// `#[machine]` writes it; by hand it is a message enum, as for [`Handle`](crate::Handle), and a handler that looks at
/// [`cx.state()`](Context::state) and says [`cx.goto(…)`](Context::goto). The type that implements this is the machine's
/// data. It is an actor like any other: spawned, linked, supervised, named, called and looked at as such.
///
/// # Transitions
/// What a handler asks for takes place when it is over: [`goto`](Context::goto), [`repeat`](Context::repeat),
/// [`postpone`](Context::postpone), [`then`](Context::then) and timeouts. If it asked for a state of another value,
///
/// 1. what was postponed is taken up again, oldest first, behind what the handler inserted;
/// 2. the timeout of the state is cancelled, unless the handler has set a new one;
/// 3. [`enter`](Self::enter) runs, before any other event.
///
/// A handler that panics changes nothing: [`terminate`](Self::terminate) finds the state as it was, and the data as the handler
/// left it.
///
/// # Calls
/// A call of a machine has a deadline like every other, 5 seconds unless it says otherwise; in OTP it has none. A call that is
/// postponed keeps its caller waiting, and is handled even if that has given up; then its reply is dropped.
///
/// # Full mailboxes
/// What is postponed has left the mailbox, and does not count there, so that the event which changes the state can come in.
/// Where the mailbox has a limit, as many messages may be postponed again: if there are more, the newest becomes a dead letter
/// ([`Full`](crate::DeadLetter::Full)), or the oldest under [`DropOldest`](crate::Overflow::DropOldest), and its caller is told.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
/// use biotope::{Event, Rule};
///
/// #[derive(State, Clone, Debug, PartialEq)]
/// enum Light {
///     Off,
///     On,
/// }
///
/// struct Switch {
///     count: u32,
/// }
///
/// enum Message {
///     Push(ReplyTo<Light>),
///     Count(ReplyTo<u32>),
/// }
///
/// impl Actor for Switch {
///     type Msg = Message;
///     type Client = Address<Message>;
///     const NAME: &'static str = "Switch";
/// }
///
/// impl StateMachine for Switch {
///     type State = Light;
///
///     fn initial() -> Light {
///         Light::Off
///     }
///
///     async fn handle(&mut self, message: Message, cx: &mut Context<Self>) {
///         match message {
///             Message::Push(reply) => {
///                 let next = match cx.state() {
///                     Light::Off => Light::On,
///                     Light::On => Light::Off,
///                 };
///                 cx.goto(next.clone());
///                 reply.send(next);
///             }
///             Message::Count(reply) => reply.send(self.count),
///         }
///     }
///
///     async fn enter(&mut self, _old: &Light, cx: &mut Entering<Self>) {
///         if *cx.state() == Light::On {
///             self.count += 1;
///         }
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let switch = spawn(Switch { count: 0 });
///     assert_eq!(Call::new(&switch, Message::Push).await?, Light::On);
///     assert_eq!(switch.machine_state().await?, Light::On);
///     assert_eq!(Call::new(&switch, Message::Count).await?, 1);
///     Ok(())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state machine",
    note = "write `#[machine(state = …)]` on the `impl` block with its events, or implement `StateMachine`"
)]
pub trait StateMachine: Actor + Movable {
    /// What the machine is in.
    type State: State;

    /// What may become of which event in which state. Where there are rules, a transition that they do not name is a panic, and
    /// [`diagram`](Self::diagram) draws them. Without rules everything is allowed, and the diagram has no arrows.
    const RULES: &'static [Rule] = &[];

    /// Whether [`enter`](Self::enter) is called at all.
    const ENTERS: bool = true;

    /// As [`Handle::TERMINATES`](crate::Handle::TERMINATES).
    const TERMINATES: bool = true;

    /// The state to begin in. One that depends on the data is gone to from [`init`](Self::init).
    fn initial() -> Self::State;

    /// Runs before the first event, as [`Handle::init`](crate::Handle::init). The state that it goes to, or else the initial
    /// one, is entered after it.
    fn init(&mut self, cx: &mut Context<Self>) -> impl Future<Output = Result<(), Refused>> + Send {
        let _ = cx;
        async { Ok(()) }
    }

    /// What becomes of an event in a state, before a handler sees it.
    fn treat(&self, event: &Event<Self::Msg>, state: &Self::State) -> Treatment<Self::State> {
        let _ = (event, state);
        Treatment::Handled
    }

    /// Handles a message. Nothing else is handled until the future is done.
    fn handle(&mut self, message: Self::Msg, cx: &mut Context<Self>) -> impl Future<Output = ()> + Send;

    /// Handles a message, or hands it back if that needs a future: then [`handle`](Self::handle) does. Written by `#[machine]`,
    /// so that plain handlers run at once.
    #[inline]
    fn handle_at_once(&mut self, message: Self::Msg, cx: &mut Context<Self>) -> Option<Self::Msg> {
        let _ = cx;
        Some(message)
    }

    /// Handles a `Down`, an `Exit` or a node's coming and going. What is not expected is logged.
    fn info(&mut self, info: Info, cx: &mut Context<Self>) -> impl Future<Output = ()> + Send {
        cx.log_unexpected(&info);
        async {}
    }

    /// Runs when a state is entered: the first, with itself as the `old` one, and each that another goes over into, and after
    /// [`repeat`](Context::repeat), with itself as the `old` one. No event comes between.
    fn enter(&mut self, old: &Self::State, cx: &mut Entering<Self>) -> impl Future<Output = ()> + Send {
        let _ = (old, cx);
        async {}
    }

    /// What the data says of itself, as [`Handle::show_state`](crate::Handle::show_state).
    fn show_state(&self) -> Option<String> {
        None
    }

    /// As [`Handle::terminate`](crate::Handle::terminate). [`cx.state()`](Context::state) is the last state.
    fn terminate(&mut self, reason: &ExitReason, cx: &mut Context<Self>) -> impl Future<Output = ()> + Send {
        let _ = (reason, cx);
        async {}
    }

    /// What the rules call an event: its handler's name, or what the runtime tells.
    fn name_of(event: &Event<Self::Msg>) -> &'static str {
        match event {
            Event::Message(message) => {
                Self::HANDLERS.get(Self::handler_of(message) as usize).copied().unwrap_or("event")
            }
            Event::Info(Info::Down(_)) => "Down",
            Event::Info(Info::Exit(_)) => "Exit",
            Event::Info(Info::Node(_)) => "NodeEvent",
            Event::Info(Info::Group(_)) => "GroupEvent",
        }
    }

    /// The machine as a diagram, `stateDiagram-v2` of Mermaid, drawn from the [`RULES`](Self::RULES).
    fn diagram() -> String {
        diagram::draw(Self::State::NAMES, Self::initial().name(), Self::RULES)
    }
}
