//! Partitions that run, and whom a key leads to.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;

use biotope_runtime::{Actor, ActorRef, LookupError, Named, Node};
use futures_util::future::{Either, select};
use parking_lot::RwLock;

use super::place::place_of;
use crate::client::ChildStatus;
use crate::config::PARTITIONS_LOOKED_AT_EVERY;
use crate::supervisor::{Supervisor, SupervisorRef};

/// The partitions of a running [`PartitionSupervisor`](crate::PartitionSupervisor). Cloning gives another handle to the same;
/// it neither keeps them alive nor ends them.
///
/// # Which partition a key belongs to
/// An integer, also one in a newtype, belongs to the partition of its absolute value modulo their number. Any other key belongs
/// to the one that a fixed hash says: the same in every process, on every machine, and in every version. Whoever chooses keys
/// can choose many for one partition, too.
///
/// # Examples
/// ```
/// use biotope::multi_call;
/// use biotope::prelude::*;
///
/// #[derive(Actor)]
/// struct Shelf {
///     number: usize,
/// }
///
/// #[handlers]
/// impl Shelf {
///     #[start]
///     fn start(number: usize) -> Self {
///         Self { number }
///     }
///     fn number(&self) -> usize {
///         self.number
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let shelves = PartitionSupervisor::new("shelves", |n| Shelf::spec_with(move || n)).partitions(3).start_link().await?;
///     assert_eq!(shelves.of(&-1).number().await?, 1);
///     assert_eq!(shelves.of("Ada").number().await?, shelves.place_of("Ada"));
///     // All of them, at once:
///     let numbers = multi_call(shelves.all(), |shelf| shelf.number().send()).await;
///     assert_eq!(numbers.into_iter().filter_map(|(_, number)| number.ok()).sum::<usize>(), 3);
///     // And from elsewhere:
///     let found = node().partitions::<Shelf>("shelves").await?;
///     assert_eq!(found.of("Ada"), shelves.of("Ada"));
///     Ok(())
/// }
/// ```
pub struct Partitions<A: Actor> {
    node: Node,
    name: Arc<str>,
    supervisor: SupervisorRef,
    places: Arc<[Place<A>]>,
}

/// Where one partition is.
struct Place<A: Actor> {
    named: Named<A>,
    /// Who it was when somebody looked.
    last: RwLock<ActorRef<A>>,
}

/// What the partition of this number is registered as.
pub(super) fn name_of(name: &str, number: usize) -> Arc<str> {
    format!("{name}/{number}").into()
}

impl<A: Actor> Partitions<A> {
    /// The partitions of `supervisor`, each as soon as it runs. `None` if the supervisor ends before.
    pub(super) async fn find(
        node: &Node,
        name: &Arc<str>,
        supervisor: SupervisorRef,
        partitions: usize,
    ) -> Result<Option<Self>, LookupError> {
        let mut places = Vec::with_capacity(partitions);
        for number in 0..partitions {
            let named = node.named::<A>(name_of(name, number));
            let first = match named.now() {
                Ok(first) => first,
                // It is being started again.
                Err(nobody @ LookupError::NotRegistered(_)) => {
                    match Self::wait(node, &named, &supervisor, number, nobody).await? {
                        Some(first) => first,
                        None => return Ok(None),
                    }
                }
                Err(other) => return Err(other),
            };
            places.push(Place { named, last: RwLock::new(first) });
        }
        Ok(Some(Self { node: node.clone(), name: name.clone(), supervisor, places: places.into() }))
    }

    /// Waits for a partition that has no process, unless somebody has terminated it. `None` if there is no supervisor any more.
    async fn wait(
        node: &Node,
        named: &Named<A>,
        supervisor: &SupervisorRef,
        number: usize,
        nobody: LookupError,
    ) -> Result<Option<ActorRef<A>>, LookupError> {
        loop {
            let Ok(children) = supervisor.which_children().await else { return Ok(None) };
            let id = number.to_string();
            match children.iter().find(|child| *child.id == *id).map(|child| child.status) {
                None | Some(ChildStatus::Stopped) => return Err(nobody),
                Some(ChildStatus::Running(_) | ChildStatus::Restarting) => {}
            }
            // From time to time it is looked whether it is still to come.
            match select(pin!(named.within(PARTITIONS_LOOKED_AT_EVERY)), node.ended(supervisor)).await {
                Either::Left((Err(LookupError::NotRegistered(_)), _)) => {}
                Either::Left((found, _)) => return found.map(Some),
                Either::Right(_) => return Ok(None),
            }
        }
    }

    /// The process of the partition that `key` belongs to, at this moment: `carts.of(&user).add(item).await?`.
    ///
    /// While that is being started again, it is the one that was there last: calls of it fail with
    /// [`NoProc`](biotope_runtime::CallFailed::NoProc), and casts to it are dead letters. What is to follow the partition, or to
    /// wait for it, is [`named`](Self::named).
    pub fn of<K: Hash + ?Sized>(&self, key: &K) -> ActorRef<A> {
        self.at(&self.places[self.place_of(key)])
    }

    /// The partition that `key` belongs to, as a name: to be kept, and to be waited for.
    /// `carts.named(&user).within(secs(1)).await?.add(item).await?`.
    pub fn named<K: Hash + ?Sized>(&self, key: &K) -> Named<A> {
        self.places[self.place_of(key)].named.clone()
    }

    /// The number of the partition that `key` belongs to.
    pub fn place_of<K: Hash + ?Sized>(&self, key: &K) -> usize {
        place_of(key, self.places.len())
    }

    /// One that has little to do, for work that any of them can do: of two that are drawn, the one in whose mailbox fewer
    /// messages wait (M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).
    pub fn any(&self) -> ActorRef<A> {
        let count = self.places.len();
        let drawn = self.node.runtime().random();
        let first = drawn as u32 as usize % count;
        if count == 1 {
            return self.at(&self.places[first]);
        }
        let second = (first + 1 + (drawn >> 32) as usize % (count - 1)) % count;
        let [first, second] = [first, second].map(|number| self.at(&self.places[number]));
        // One that is not there has no room at all.
        let load = |partition: &ActorRef<A>| self.node.mailbox_len(partition).unwrap_or(usize::MAX);
        if load(&second) < load(&first) { second } else { first }
    }

    /// All of them, in the order of their numbers. Whoever wants to call all has
    /// [`multi_call`](biotope_runtime::multi_call): `multi_call(carts.all(), |cart| cart.count().send()).await`.
    pub fn all(&self) -> Vec<ActorRef<A>> {
        self.places.iter().map(|place| self.at(place)).collect()
    }

    /// Runs `action` with the client of each of them, here: `carts.cast(|cart| cart.forget())`.
    ///
    /// # Delivery
    /// That of a cast, to each of them.
    pub fn cast(&self, mut action: impl FnMut(&A::Client)) {
        self.all().iter().for_each(|partition| action(partition));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// The name of their supervisor.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Their supervisor, whose children they are under the ids `0`, `1`, and so on.
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// Who is there now; or was last.
    fn at(&self, place: &Place<A>) -> ActorRef<A> {
        let last = place.last.read().clone();
        if self.node.is_alive(&last) {
            return last;
        }
        match place.named.now() {
            Ok(now) => {
                *place.last.write() = now.clone();
                now
            }
            Err(_) => last,
        }
    }
}

/// Finds partitions by the name of their supervisor.
pub trait FindPartitions {
    /// The partitions that are known by `name` on this node and are actors of type `A`. If one of them is being started just
    /// now, this waits for it.
    ///
    /// # Errors
    /// [`LookupError`]: there are no such partitions, or they take other messages.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has done nothing.
    fn partitions<A: Actor>(
        &self,
        name: impl Into<Arc<str>>,
    ) -> impl Future<Output = Result<Partitions<A>, LookupError>> + Send;
}

impl FindPartitions for Node {
    fn partitions<A: Actor>(
        &self,
        name: impl Into<Arc<str>>,
    ) -> impl Future<Output = Result<Partitions<A>, LookupError>> + Send {
        let (node, name): (_, Arc<str>) = (self.clone(), name.into());
        async move {
            let nobody = || LookupError::NotRegistered(name.clone());
            let supervisor = node.lookup::<Supervisor>(&name).ok_or_else(nobody)?;
            let children = supervisor.which_children().await.map_err(|_| nobody())?;
            let is_partition = |(number, id): &(usize, &str)| number.to_string() == **id;
            let partitions = children.iter().map(|child| &*child.id).enumerate().take_while(is_partition).count();
            if partitions == 0 {
                return Err(nobody());
            }
            Partitions::find(&node, &name, supervisor, partitions).await?.ok_or_else(nobody)
        }
    }
}

impl<A: Actor> Clone for Partitions<A> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            name: self.name.clone(),
            supervisor: self.supervisor.clone(),
            places: self.places.clone(),
        }
    }
}

impl<A: Actor> fmt::Debug for Partitions<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partitions({} of {}, {})", self.places.len(), self.name, A::NAME)
    }
}
