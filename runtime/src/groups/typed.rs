//! A group, for members that take the messages of one actor.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::{Groups, LeaveError, NotLocal};
use crate::actor::Actor;
use crate::address::ActorRef;

/// A group whose members on this node can be sent messages: made by [`Groups::group`]. It is a handle to whoever is a member
/// at the moment when it is used.
///
/// What it joins are actors of type `A`. By the same name others may have joined as well: those that take other messages are
/// passed over.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor, Default)]
/// struct Cache {
///     epoch: u64,
/// }
///
/// #[handlers]
/// impl Cache {
///     #[cast]
///     pub fn forget(&mut self, epoch: u64) {
///         self.epoch = epoch;
///     }
///
///     pub fn epoch(&self) -> u64 {
///         self.epoch
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let caches = node().groups("shop").group::<Cache>("caches");
///     for _ in 0..3 {
///         caches.join(&spawn(Cache::default()))?;
///     }
///     assert_eq!(caches.cast(|cache| cache.forget(7)), 3);
///     for cache in caches.members() {
///         assert_eq!(cache.epoch().await?, 7);
///     }
///     Ok(())
/// }
/// ```
pub struct Group<A> {
    groups: Groups,
    name: Arc<str>,
    actor: PhantomData<fn() -> A>,
}

impl Groups {
    /// The group `name`, for members that take the messages of an `A`.
    pub fn group<A: Actor>(&self, name: impl Into<Arc<str>>) -> Group<A> {
        Group { groups: self.clone(), name: name.into(), actor: PhantomData }
    }
}

impl<A: Actor> Group<A> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The groups that it is one of.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// As [`Groups::join`].
    ///
    /// # Errors
    /// [`NotLocal`].
    pub fn join(&self, member: &ActorRef<A>) -> Result<(), NotLocal> {
        self.groups.join(self.name.clone(), member)
    }

    /// As [`Groups::leave`].
    ///
    /// # Errors
    /// [`LeaveError`].
    pub fn leave(&self, member: &ActorRef<A>) -> Result<(), LeaveError> {
        self.groups.leave(&self.name, member)
    }

    /// The members on this node that take the messages of an `A`, each as often as it has joined.
    pub fn members(&self) -> Vec<ActorRef<A>> {
        let node = &self.groups.node;
        self.groups.members(&self.name).into_iter().filter_map(|pid| node.local(pid)).map(ActorRef::new).collect()
    }

    /// Runs `action` with the client of each of the [`members`](Self::members), here: `caches.cast(|cache| cache.forget(7))`.
    /// Returns how many there were. A member that has joined twice is sent it twice.
    ///
    /// # Delivery
    /// That of a cast, to each of them.
    pub fn cast(&self, mut action: impl FnMut(&A::Client)) -> usize {
        let members = self.members();
        members.iter().for_each(|member| action(member));
        members.len()
    }
}

impl<A> Clone for Group<A> {
    fn clone(&self) -> Self {
        Self { groups: self.groups.clone(), name: self.name.clone(), actor: PhantomData }
    }
}

impl<A> fmt::Debug for Group<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({} of {:?})", self.name, self.groups)
    }
}
