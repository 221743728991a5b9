//! What an action that enters a state may do: less than a handler.
#![expect(unsafe_code, reason = "a context stands where its process's cell begins, and so does what shows less of it")]

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::ptr;

use super::context::{self, When};
use super::timeouts::Kind;
use super::{State, StateMachine};
use crate::address::ActorRef;
use crate::context::Context;
use crate::exit::ExitReason;
use crate::process::Me;
use crate::source::Source;

/// The process around a machine that enters a state, given to [`enter`](StateMachine::enter). Derefs to [`Me`]: links, monitors,
/// spawning.
///
/// Entering is no event: it cannot go over into another state, postpone or insert anything. It may set timeouts, one of nothing
/// for what is to come next, and stop the machine.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(State, Clone, Debug, PartialEq)]
/// enum Lamp {
///     Red,
///     Green,
/// }
///
/// #[derive(Actor, Default)]
/// struct Crossing {
///     changes: u32,
/// }
///
/// #[machine(state = Lamp, initial = Red)]
/// impl Crossing {
///     #[enter(_)]
///     fn wait(&mut self, cx: &mut Entering<Self>) {
///         cx.state_timeout(millis(10), |me| me.change());
///     }
///
///     #[cast]
///     #[on(Red => Green)]
///     #[on(Green => Red)]
///     fn change(&mut self, cx: &mut Context<Self>) {
///         self.changes += 1;
///         cx.goto(if *cx.state() == Lamp::Red { Lamp::Green } else { Lamp::Red });
///         if self.changes == 3 {
///             cx.stop(ExitReason::Normal);
///         }
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let crossing = spawn(Crossing::default());
///     node().ended(&crossing).await;
///     Ok(())
/// }
/// ```
///
/// What it may not do it does not have:
///
/// ```compile_fail
/// # use biotope::prelude::*;
/// # #[derive(State, Clone, Debug, PartialEq)]
/// # enum Lamp { Red, Green }
/// # #[derive(Actor, Default)]
/// # struct Crossing;
/// #[machine(state = Lamp, initial = Red)]
/// impl Crossing {
///     #[enter(Red)]
///     fn skip(&mut self, cx: &mut Entering<Self>) {
///         cx.goto(Lamp::Green);
///     }
/// }
/// ```
#[repr(transparent)]
pub struct Entering<M: StateMachine>(Context<M>);

impl<M: StateMachine> Entering<M> {
    /// `cx`, of which less can be seen.
    pub(super) fn of(cx: &mut Context<M>) -> &mut Self {
        // SAFETY: it is laid out as what it holds, which is borrowed as long as this is.
        unsafe { &mut *ptr::from_mut(cx).cast() }
    }

    /// The state that is entered.
    pub fn state(&self) -> &M::State {
        self.0.state()
    }

    /// As [`Context::myself`].
    pub fn myself(&self) -> ActorRef<M> {
        self.0.myself()
    }

    /// As [`Context::stop`].
    #[track_caller]
    pub fn stop(&mut self, reason: ExitReason) {
        self.0.stop(reason);
    }

    /// As [`Context::hibernate`].
    pub fn hibernate(&mut self) {
        self.0.hibernate();
    }

    /// As [`Context::pipe`].
    pub fn pipe<F>(&self, future: F, done: impl FnOnce(&M::Client, F::Output) + Send + 'static) -> Source
    where
        F: Future + Send + 'static,
    {
        self.0.pipe(future, done)
    }

    /// As [`Context::state_timeout`], for the state that is entered.
    pub fn state_timeout(&mut self, when: impl Into<When>, action: impl FnOnce(&M::Client) + Send + 'static) {
        context::set(&mut self.0, Kind::State, when.into(), action);
    }

    /// As [`Context::cancel_state_timeout`].
    pub fn cancel_state_timeout(&mut self) {
        context::cancel(&mut self.0, Kind::State);
    }

    /// As [`Context::event_timeout`].
    pub fn event_timeout(&mut self, when: impl Into<When>, action: impl FnOnce(&M::Client) + Send + 'static) {
        context::set(&mut self.0, Kind::Event, when.into(), action);
    }

    /// As [`Context::cancel_event_timeout`].
    pub fn cancel_event_timeout(&mut self) {
        context::cancel(&mut self.0, Kind::Event);
    }

    /// As [`Context::timeout`].
    pub fn timeout(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        when: impl Into<When>,
        action: impl FnOnce(&M::Client) + Send + 'static,
    ) {
        context::set(&mut self.0, Kind::Named(name.into()), when.into(), action);
    }

    /// As [`Context::cancel_timeout`].
    pub fn cancel_timeout(&mut self, name: impl Into<Cow<'static, str>>) {
        context::cancel(&mut self.0, Kind::Named(name.into()));
    }
}

impl<M: StateMachine> Deref for Entering<M> {
    type Target = Me;

    fn deref(&self) -> &Me {
        &self.0
    }
}

impl<M: StateMachine> fmt::Debug for Entering<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entering({} {} {})", M::NAME, self.pid(), self.state().name())
    }
}
