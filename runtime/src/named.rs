//! A handle that follows a name from one process to the next.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::actor::Actor;
use crate::address::ActorRef;
use crate::call::{Call, CallFailed};
use crate::node::Node;
use crate::pid::Pid;
use crate::time;

/// A name, for an actor of type `A`: leads to whoever has the name when it is asked, so also to the one that a supervisor has
/// started in the place of one that crashed. It is a name of a node ([`Node::named`]), or a unique key of
/// [`Keys`](crate::Keys) ([`Node::keyed`]); a process has it from its start by [`Spec::named`](crate::Spec::named) or
/// [`Spec::keyed`](crate::Spec::keyed).
///
/// An [`ActorRef`] leads to one process and to no other. This one gives, each time, the reference of the moment:
///
/// - [`now`](Self::now) fails at once if nobody has the name;
/// - [`within`](Self::within) waits for somebody to have it, as while a process is being restarted;
/// - [`call`](Self::call) is a call of whoever has it now.
///
/// # Delivery
/// A call that was sent to a process which then ends fails with [`Died`](crate::CallFailed::Died). It may have been handled,
/// and so is never sent to the next one by itself: whoever calls knows whether that would be right. A process has its name from
/// before its first instruction, so a call that comes by way of this may wait in the mailbox of one that is still being
/// started.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor, Default)]
/// struct Counter(u64);
///
/// #[handlers]
/// impl Counter {
///     pub fn next(&mut self) -> u64 {
///         self.0 += 1;
///         self.0
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let counter = node().named::<Counter>("counter");
///     assert!(counter.now().is_err());
///     let first = spawn(Counter::default());
///     node().register("counter", &first)?;
///     assert_eq!(counter.now()?.next().await?, 1);
///     // Another has the name now: it begins anew, and the handle follows.
///     node().unregister("counter")?;
///     node().register("counter", spawn(Counter::default()))?;
///     assert_eq!(counter.within(secs(1)).await?.next().await?, 1);
///     assert_eq!(counter.call(|counter| counter.next()).await?, 2);
///     Ok(())
/// }
/// ```
pub struct Named<A> {
    node: Node,
    name: Arc<str>,
    place: Arc<dyn Place>,
    actor: PhantomData<fn() -> A>,
}

/// Where a name stands, or does not.
pub(crate) trait Place: Send + Sync {
    /// Who has the name.
    fn holder(&self) -> Option<Pid>;
    /// Who has it. If nobody has, whoever has `waker` is woken once when somebody gets it, until it is forgotten.
    fn watch(&self, number: &mut Option<u64>, waker: &Waker) -> Option<Pid>;
    /// The one of this number waits no more.
    fn forget(&self, number: u64);
}

/// A name of a node.
struct OnNode {
    node: Node,
    name: Arc<str>,
}

impl Place for OnNode {
    fn holder(&self) -> Option<Pid> {
        self.node.whereis(&self.name)
    }

    fn watch(&self, number: &mut Option<u64>, waker: &Waker) -> Option<Pid> {
        self.node.names().watch(&self.name, number, waker)
    }

    fn forget(&self, number: u64) {
        self.node.names().forget(&self.name, number);
    }
}

/// Waits for somebody to have a name, until it is dropped.
struct Watch<'a> {
    place: &'a dyn Place,
    number: Option<u64>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.place.forget(number);
        }
    }
}

/// Why a name leads to no process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No process has the name, or none had it within the time. One may have it later.
    #[error("noproc: no process is registered as `{0}`")]
    NotRegistered(Arc<str>),
    /// The process that has the name takes other messages. Asking again helps only if another process gets the name.
    #[error("`{name}` is registered by {holder}, which takes other messages")]
    OtherMessages {
        /// The name.
        name: Arc<str>,
        /// Who has it.
        holder: Pid,
    },
}

impl<A: Actor> Named<A> {
    /// The name of a node.
    pub(crate) fn on_node(node: Node, name: Arc<str>) -> Self {
        let place = Arc::new(OnNode { node: node.clone(), name: name.clone() });
        Self::at(node, name, place)
    }

    /// The name that stands in `place`, and is shown so.
    pub(crate) fn at(node: Node, name: Arc<str>, place: Arc<dyn Place>) -> Self {
        Self { node, name, place, actor: PhantomData }
    }

    /// The name; of a key, what its `Debug` says.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whoever has the name at this moment.
    ///
    /// # Errors
    /// [`LookupError`], at once.
    pub fn now(&self) -> Result<ActorRef<A>, LookupError> {
        let holder = self.place.holder();
        holder.and_then(|holder| self.reference(holder)).unwrap_or_else(|| Err(self.nobody()))
    }

    /// Whoever has the name, or gets it within `patience`, by the clock of the node's runtime.
    ///
    /// # Errors
    /// [`LookupError`]: nobody got it in time; or, at once, that who has it takes other messages.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has done nothing.
    pub async fn within(&self, patience: Duration) -> Result<ActorRef<A>, LookupError> {
        let mut watch = Watch { place: &*self.place, number: None };
        let found = poll_fn(move |cx| {
            // All of it: what is copied out of it would not be taken back when it is dropped.
            let watch = &mut watch;
            let Some(holder) = watch.place.watch(&mut watch.number, cx.waker()) else { return Poll::Pending };
            match self.reference(holder) {
                Some(found) => Poll::Ready(found),
                None => {
                    // It is ending; its name is about to be free.
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        });
        let sleep = self.node.runtime().sleep(patience);
        time::unless_over(sleep, found).await.unwrap_or_else(|time::Elapsed| Err(self.nobody()))
    }

    /// Calls whoever has the name at this moment: `counter.call(|counter| counter.add(2)).await`.
    ///
    /// # Errors
    /// Those of the call; [`CallFailed::NoProc`] also if nobody has the name, or it takes other messages.
    ///
    /// # Cancel safety
    /// That of the call.
    pub async fn call<R, T, E>(
        &self,
        call: impl for<'a> FnOnce(&'a A::Client) -> Call<'a, A::Msg, R, T, E>,
    ) -> Result<T, E>
    where
        R: Send + 'static,
        E: From<CallFailed>,
    {
        let holder = self.now().map_err(CallFailed::from)?;
        call(&holder).await
    }

    /// The reference to `holder`; `None` if there is no such process any more.
    fn reference(&self, holder: Pid) -> Option<Result<ActorRef<A>, LookupError>> {
        if let Some(address) = self.node.local(holder) {
            return Some(Ok(ActorRef::new(address)));
        }
        self.node.process(holder).map(|_| Err(LookupError::OtherMessages { name: self.name.clone(), holder }))
    }

    fn nobody(&self) -> LookupError {
        LookupError::NotRegistered(self.name.clone())
    }
}

impl LookupError {
    /// Whether the same may succeed if it is tried again: another process may have the name then.
    pub fn can_retry(&self) -> bool {
        match self {
            Self::NotRegistered(_) | Self::OtherMessages { .. } => true,
        }
    }
}

/// For whoever calls, nobody is there.
impl From<LookupError> for CallFailed {
    fn from(_: LookupError) -> Self {
        Self::NoProc
    }
}

impl<A: Actor> Clone for Named<A> {
    fn clone(&self) -> Self {
        Self::at(self.node.clone(), self.name.clone(), self.place.clone())
    }
}

impl<A> fmt::Debug for Named<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Named({} on {})", self.name, self.node.name())
    }
}
