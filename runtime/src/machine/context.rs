//! What the handlers of a state machine may do beside what those of every actor may.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::driver::{Machine, client_ahead};
use super::timeouts::Kind;
use super::{Event, State, StateMachine, rules};
use crate::context::Context;
use crate::process;

/// When a timeout is to come: after a `Duration`, or at an `Instant` of `biotope::time`.
///
/// After nothing, or at what has passed, it comes before anything else is taken from the mailbox. After
/// [`Duration::MAX`] it never comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When(pub(super) Moment);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    After(Duration),
    At(Instant),
}

impl From<Duration> for When {
    fn from(delay: Duration) -> Self {
        Self(Moment::After(delay))
    }
}

impl From<Instant> for When {
    fn from(instant: Instant) -> Self {
        Self(Moment::At(instant))
    }
}

/// In the handlers of a state machine. What they ask for takes place when the handler is over; of one kind, the last that was
/// asked for counts.
///
/// # Panics
/// All of these: before [`init`](StateMachine::init), as in `#[start]`, and outside the process's own code.
impl<M: StateMachine> Context<M> {
    /// The state, as it is while the handler runs.
    #[track_caller]
    pub fn state(&self) -> &M::State {
        process::machine::<M, Machine<M>>(self).state()
    }

    /// Goes over into `state` after this handler. If that is the value of the state as it is, nothing changes.
    ///
    /// # Panics
    /// If there are [rules](StateMachine::RULES), and they do not say that this event leads there. It is a panic of the handler:
    /// its caller and whoever watches the machine learn state, event and target.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[derive(State, Clone, Debug, PartialEq)]
    /// enum Door {
    ///     Closed,
    ///     Open,
    /// }
    ///
    /// #[derive(Actor, Default)]
    /// struct Gate;
    ///
    /// #[machine(state = Door, initial = Closed, otherwise = ignore)]
    /// impl Gate {
    ///     #[on(Closed => Open)]
    ///     pub fn open(&mut self, cx: &mut Context<Self>) {
    ///         cx.goto(Door::Open);
    ///         cx.state_timeout(millis(20), |me| me.close());
    ///     }
    ///
    ///     #[cast]
    ///     #[on(Open => Closed)]
    ///     fn close(&mut self, cx: &mut Context<Self>) {
    ///         cx.goto(Door::Closed);
    ///     }
    /// }
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let gate = spawn(Gate);
    ///     gate.open().await?;
    ///     assert_eq!(gate.machine_state().await?, Door::Open);
    ///     assert!(Gate::diagram().contains("Closed --> Open: open"));
    ///     Ok(())
    /// }
    /// ```
    #[track_caller]
    pub fn goto(&mut self, state: M::State) {
        let machine = process::machine_mut::<M, Machine<M>>(self);
        let (from, to, event) = (machine.state().name(), state.name(), machine.event);
        assert!(
            *machine.state() == state || rules::allow(M::RULES, event, from, to),
            "{}: `{event}` does not lead from `{from}` to `{to}`, as it is declared",
            M::NAME,
        );
        machine.core.goto(state);
    }

    /// Enters the state again after this handler, as if it had been left. Nothing else changes: what is postponed stays so, and
    /// the timeout of the state runs on. OTP's `repeat_state`.
    #[track_caller]
    pub fn repeat(&mut self) {
        process::machine_mut::<M, Machine<M>>(self).core.repeat();
    }

    /// Puts an event aside until the state changes, which may be after this handler: then it is handled again, before what waits
    /// in the mailbox. `#[postpone(…)]` does so by itself.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    /// use biotope::Event;
    ///
    /// # #[derive(State, Clone, Debug, PartialEq)]
    /// # enum Line { Down, Up }
    /// # struct Phone;
    /// # enum Message { Say(String), Connect }
    /// # impl Actor for Phone {
    /// #     type Msg = Message;
    /// #     type Client = Address<Message>;
    /// #     const NAME: &'static str = "Phone";
    /// # }
    /// impl StateMachine for Phone {
    /// #   type State = Line;
    /// #   fn initial() -> Line { Line::Down }
    ///     async fn handle(&mut self, message: Message, cx: &mut Context<Self>) {
    ///         match message {
    ///             Message::Connect => cx.goto(Line::Up),
    ///             Message::Say(_) if *cx.state() == Line::Down => cx.postpone(Event::Message(message)),
    ///             Message::Say(words) => println!("{words}"),
    ///         }
    ///     }
    /// }
    /// ```
    #[track_caller]
    pub fn postpone(&mut self, event: Event<M::Msg>) {
        super::driver::postpone(self, event);
    }

    /// Inserts an event: it comes after this handler, and after what this handler has inserted before, ahead of all others.
    /// [`then`](Self::then) does so with a message, by way of the client.
    pub fn insert(&mut self, event: Event<M::Msg>) {
        process::insert(self, event);
    }

    /// Casts by `action` when the machine has been in the state for so long: in the one that it goes over into by this handler, or
    /// in the one that it is in. A change of the state cancels it, and so does asking again.
    pub fn state_timeout(&mut self, when: impl Into<When>, action: impl FnOnce(&M::Client) + Send + 'static) {
        set(self, Kind::State, when.into(), action);
    }

    /// Takes the timeout of the state back.
    pub fn cancel_state_timeout(&mut self) {
        cancel(self, Kind::State);
    }

    /// Casts by `action` if no event comes for so long. Each cancels it, also one that is postponed, ignored or inserted, and so
    /// does asking again.
    pub fn event_timeout(&mut self, when: impl Into<When>, action: impl FnOnce(&M::Client) + Send + 'static) {
        set(self, Kind::Event, when.into(), action);
    }

    /// Takes the timeout of events back.
    pub fn cancel_event_timeout(&mut self) {
        cancel(self, Kind::Event);
    }

    /// Casts by `action` then, whatever the state is. It is cancelled by [`cancel_timeout`](Self::cancel_timeout) with its name
    /// only, and by asking again for one of this name.
    pub fn timeout(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        when: impl Into<When>,
        action: impl FnOnce(&M::Client) + Send + 'static,
    ) {
        set(self, Kind::Named(name.into()), when.into(), action);
    }

    /// Takes the timeout of this name back.
    pub fn cancel_timeout(&mut self, name: impl Into<Cow<'static, str>>) {
        cancel(self, Kind::Named(name.into()));
    }
}

#[track_caller]
pub(super) fn set<M: StateMachine>(
    cx: &mut Context<M>,
    kind: Kind,
    when: When,
    action: impl FnOnce(&M::Client) + Send + 'static,
) {
    let machine = process::machine_mut::<M, Machine<M>>(cx);
    machine.asked.push((kind, Some((when, Box::new(|me| action(&client_ahead::<M>(me)))))));
}

#[track_caller]
pub(super) fn cancel<M: StateMachine>(cx: &mut Context<M>, kind: Kind) {
    process::machine_mut::<M, Machine<M>>(cx).asked.push((kind, None));
}
