//! A handle that follows a name from one process to the next.

use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use crate::actor::Actor;
use crate::address::ActorRef;
use crate::node::Node;
use crate::pid::Pid;
use crate::time;

/// A name on a node, for an actor of type `A`: leads to whoever has the name when it is asked, so also to the one that a
/// supervisor has started in the place of one that crashed. Made by [`Node::named`].
///
/// An [`ActorRef`] leads to one process and to no other. This one gives, each time, the reference of the moment:
///
/// - [`now`](Self::now) fails at once if nobody has the name;
/// - [`within`](Self::within) waits for somebody to have it, as while a process is being restarted.
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
///     Ok(())
/// }
/// ```
pub struct Named<A> {
    node: Node,
    name: Arc<str>,
    actor: PhantomData<fn() -> A>,
}

/// Why a name leads to no process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No process has the name, or none had it within the time. One may have it later.
    #[error("no process is registered as `{0}`")]
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
    pub(crate) fn new(node: Node, name: Arc<str>) -> Self {
        Self { node, name, actor: PhantomData }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whoever has the name at this moment.
    ///
    /// # Errors
    /// [`LookupError`], at once.
    pub fn now(&self) -> Result<ActorRef<A>, LookupError> {
        let holder = self.node.whereis(&self.name);
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
        let mut holder = pin!(self.node.names().holder(&self.name));
        let found = poll_fn(|cx| {
            let holder = ready!(holder.as_mut().poll(cx));
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

impl<A> Clone for Named<A> {
    fn clone(&self) -> Self {
        Self { node: self.node.clone(), name: self.name.clone(), actor: PhantomData }
    }
}

impl<A> fmt::Debug for Named<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Named({} on {})", self.name, self.node.name())
    }
}
