//! A look at a state machine from outside, between two events.

use super::StateMachine;
use super::driver::Machine;
use crate::address::ActorRef;
use crate::process;
use crate::visit::VisitError;

/// A look at a state machine, for whoever mends or examines a running system.
impl<M: StateMachine> ActorRef<M> {
    /// Runs `f` with the state and the data of the machine, as [`with_state`](Self::with_state) does with the data alone. A
    /// state that it puts in the place of the other is *set*, and not gone over into: nothing is entered, no timeout cancelled,
    /// and what is postponed stays so. OTP's `sys:replace_state`.
    ///
    /// # Errors
    /// [`VisitError`], as for [`with_state`](Self::with_state).
    ///
    /// # Cancel safety
    /// Dropped before it is done, `f` may still run.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[derive(State, Clone, Debug, PartialEq)]
    /// enum Lock {
    ///     Locked,
    ///     Unlocked,
    /// }
    ///
    /// #[derive(Actor, Default)]
    /// struct Safe {
    ///     tries: u32,
    /// }
    ///
    /// #[machine(state = Lock, initial = Locked, otherwise = crash)]
    /// impl Safe {
    ///     #[on(Locked)]
    ///     pub fn tries(&self) -> u32 {
    ///         self.tries
    ///     }
    /// }
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let safe = spawn(Safe::default());
    ///     safe.with_machine(|state, safe| {
    ///         *state = Lock::Unlocked;
    ///         safe.tries = 7;
    ///     })
    ///     .await?;
    ///     assert_eq!(safe.machine_state().await?, Lock::Unlocked);
    ///     Ok(())
    /// }
    /// ```
    pub async fn with_machine<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut M::State, &mut M) -> R + Send + 'static,
    ) -> Result<R, VisitError> {
        let looked = self
            .with_state(|data| process::visit_machine(|machine: &mut Machine<M>| f(machine.core.state_mut(), data)));
        looked.await?.ok_or(VisitError::OtherActor)
    }

    /// The state of the machine: see [`with_machine`](Self::with_machine).
    ///
    /// # Errors
    /// [`VisitError`].
    pub async fn machine_state(&self) -> Result<M::State, VisitError> {
        self.with_machine(|state, _| state.clone()).await
    }
}
