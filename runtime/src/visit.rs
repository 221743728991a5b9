//! A look at an actor's state by somebody else, in its process, between two handlers: what OTP's `sys:get_state` and
//! `sys:replace_state` do.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::ReplyTo;
use crate::call::{CallFailed, Fate};
use crate::exit::ExitReason;
use crate::panics;

/// Why a state was not looked at, or not to the end.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VisitError {
    /// The process lives on another node: its state is not here.
    #[error("the process lives on another node")]
    Far,
    /// The process runs no such actor, but something else that takes the same messages.
    #[error("the process runs another actor")]
    OtherActor,
    /// What was to look at the state panicked, or ended itself. The process goes on, with the state as it was left.
    #[error("what looked at the state did not come to its end: {0}")]
    Panicked(ExitReason),
    /// The process was not reached, or ended before it came to this.
    #[error(transparent)]
    Failed(CallFailed),
}

impl VisitError {
    /// What became of the look. One that panicked has looked.
    pub fn fate(&self) -> Fate {
        match self {
            Self::Far | Self::OtherActor => Fate::NotHandled,
            Self::Panicked(_) => Fate::Handled,
            Self::Failed(failed) => failed.fate(),
        }
    }

    /// Whether the same look may succeed if it is tried again.
    pub fn can_retry(&self) -> bool {
        matches!(self, Self::Failed(failed) if failed.can_retry())
    }

    /// Why the process ended, if that is what happened.
    pub fn reason(&self) -> Option<&ExitReason> {
        match self {
            Self::Failed(failed) => failed.reason(),
            Self::Far | Self::OtherActor | Self::Panicked(_) => None,
        }
    }
}

/// Runs with the state of an actor, when its process comes to it.
pub struct Visit(Box<Visitor>);

/// What it runs, with a state if there is one.
type Visitor = dyn FnOnce(Option<&mut dyn Any>) + Send;

impl Visit {
    /// A visit to an actor `A` by `f`, whose result goes to `reply`.
    pub(crate) fn new<A, R>(f: impl FnOnce(&mut A) -> R + Send + 'static, reply: ReplyTo<Result<R, VisitError>>) -> Self
    where
        A: 'static,
        R: Send + 'static,
    {
        Self(Box::new(move |state| {
            let Some(state) = state.and_then(|state| state.downcast_mut::<A>()) else {
                return reply.answer(Err(VisitError::OtherActor));
            };
            let done = catch_unwind(AssertUnwindSafe(|| f(state)));
            reply.answer(done.map_err(|payload| VisitError::Panicked(panics::unwound(payload).into_reason())));
        }))
    }

    /// Runs `f`, if there is a process that comes to it.
    pub(crate) fn in_process(f: impl FnOnce() + Send + 'static) -> Self {
        Self(Box::new(|state| {
            if state.is_some() {
                f();
            }
        }))
    }

    /// Looks at `state`.
    pub(crate) fn visit(self, state: &mut dyn Any) {
        (self.0)(Some(state));
    }

    /// There is no state to look at.
    pub(crate) fn refuse(self) {
        (self.0)(None);
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Visit")
    }
}
