//! A partition supervisor, written down and started.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{
    Actor, ExitReason, LookupError, Node, Restart, RunsOn, SpawnOptions, Spec, Start, StartError, node, this_pid,
};

use super::handle::{Partitions, name_of};
use crate::backoff::Backoff;
use crate::child_spec::{Child, IntoChild};
use crate::dynamic::DynamicSupervisor;
use crate::supervisor::{Supervisor, SupervisorStartError};
use crate::task::TaskSupervisor;
use crate::tree::Declared;

/// A process with so many equal children behind one name, each with its share of the keys: what would be one actor, and is too
/// much for one. Elixir's `PartitionSupervisor`.
///
/// Its children may be supervisors too: of [`DynamicSupervisor`]s, as many start children at once as there are partitions.
/// Started, it gives [`Partitions`], by which keys lead to partitions; [`FindPartitions`](super::FindPartitions) finds those elsewhere.
///
/// The partitions are `0` to `n - 1`, each registered as `name/number`. Each is started again by itself when it ends, for
/// whatever reason. This is a specification: cheap to clone, and startable more than once, also as the child of a
/// [`Supervisor`].
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor, Default)]
/// struct Cart {
///     items: u32,
/// }
///
/// #[handlers]
/// impl Cart {
///     fn add(&mut self, items: u32) -> u32 {
///         self.items += items;
///         self.items
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let carts = PartitionSupervisor::new("carts", |_| Cart::spec()).partitions(4).start_link().await?;
///     assert_eq!(carts.of("ann").add(2).await?, 2);
///     assert_eq!(carts.of("ann").add(1).await?, 3);
///     Ok(())
/// }
/// ```
#[must_use = "a partition supervisor does nothing until it is started"]
pub struct PartitionSupervisor<A> {
    name: Arc<str>,
    partitions: Option<usize>,
    /// Without children.
    supervisor: Supervisor,
    child: Arc<MakeChild>,
    change: Arc<ChangeChild>,
    actor: PhantomData<fn() -> A>,
}

/// Makes the child of this number, which is registered under this name.
type MakeChild = dyn Fn(usize, Arc<str>) -> Child + Send + Sync;
type ChangeChild = dyn Fn(Child) -> Child + Send + Sync;

/// What can be a partition: the specification of an actor, or a supervisor.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a partition",
    note = "give the specification of an actor, as `Cart::spec()`, or a supervisor; how it is stopped is said for all \
            partitions, by `PartitionSupervisor::children`"
)]
pub trait Partition: IntoChild {
    /// Whose messages it takes.
    type Actor: Actor;

    /// The same, registered under this name, whatever its name was.
    fn at(self, name: Arc<str>) -> Self;
}

impl<A: Start, K: RunsOn<A>> Partition for Spec<A, K> {
    type Actor = A;

    fn at(self, name: Arc<str>) -> Self {
        self.named(name)
    }
}

impl Partition for Supervisor {
    type Actor = Self;

    fn at(self, name: Arc<str>) -> Self {
        self.named(name)
    }
}

impl Partition for DynamicSupervisor {
    type Actor = Self;

    fn at(self, name: Arc<str>) -> Self {
        self.named(name)
    }
}

impl Partition for TaskSupervisor {
    type Actor = Self;

    fn at(self, name: Arc<str>) -> Self {
        self.named(name)
    }
}

/// Why there are no partitions. None is left running.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PartitionStartError {
    /// There are to be none. Nothing was started.
    #[error("no partitions: there must be one at least")]
    NoPartitions,
    /// The supervisor did not start; among other reasons because a partition did not, which has its number as its id.
    #[error(transparent)]
    Supervisor(#[from] SupervisorStartError),
    /// The name of a partition leads to a process that takes other messages. The supervisor is as it was.
    #[error(transparent)]
    Partition(#[from] LookupError),
}

impl<A: Actor> PartitionSupervisor<A> {
    /// Partitions that are known by `name`, each as `child` makes it of its number: `|n| Cart::spec_with(move || n)`. Without
    /// anything else, there are as many as the runtime has workers.
    pub fn new<S>(name: impl Into<Arc<str>>, child: impl Fn(usize) -> S + Send + Sync + 'static) -> Self
    where
        S: Partition<Actor = A>,
    {
        let name = name.into();
        Self {
            supervisor: Supervisor::one_for_one().named(name.clone()),
            name,
            partitions: None,
            child: Arc::new(move |number, name| child(number).at(name).into_child()),
            change: Arc::new(|child| child),
            actor: PhantomData,
        }
    }

    /// How many partitions there are; at least one.
    pub fn partitions(mut self, partitions: usize) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// How many restarts are allowed within `period`, of all partitions together: see [`Supervisor::intensity`].
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.supervisor = self.supervisor.intensity(restarts, period);
        self
    }

    /// How long a partition stays down before it is started again: see [`Supervisor::backoff`].
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.supervisor = self.supervisor.backoff(backoff);
        self
    }

    /// What else its children are to be: `.children(|child| child.shutdown(secs(1)))`. Their ids and names, and that they are
    /// permanent, this does not change.
    pub fn children(mut self, change: impl Fn(Child) -> Child + Send + Sync + 'static) -> Self {
        self.change = Arc::new(change);
        self
    }

    /// The name that it is registered under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts it, linked to the running process, which is its parent: it ends when that ends. Waits until all partitions have
    /// started.
    ///
    /// # Errors
    /// [`PartitionStartError`]; nothing is left.
    ///
    /// # Panics
    /// Outside a process. There, use [`start_on`](Self::start_on).
    #[track_caller]
    pub fn start_link(&self) -> impl Future<Output = Result<Partitions<A>, PartitionStartError>> + Send + use<A> {
        let me = this_pid();
        self.start_on(&node(), SpawnOptions::linked_to(me))
    }

    /// Starts it on `node` and waits until all partitions have started.
    ///
    /// # Errors
    /// [`PartitionStartError`]; nothing is left.
    pub fn start_on(
        &self,
        node: &Node,
        options: SpawnOptions,
    ) -> impl Future<Output = Result<Partitions<A>, PartitionStartError>> + Send + use<A> {
        let (node, name) = (node.clone(), self.name.clone());
        let written = self.written(&node);
        let started = written.map(|(supervisor, partitions)| (supervisor.start_on(&node, options), partitions));
        async move {
            let (started, partitions) = started?;
            let supervisor = started.await?;
            match Partitions::find(&node, &name, supervisor, partitions).await? {
                Some(partitions) => Ok(partitions),
                None => Err(SupervisorStartError::Died(ExitReason::Shutdown).into()),
            }
        }
    }

    /// The supervisor with its children, and how many those are.
    fn written(&self, node: &Node) -> Result<(Supervisor, usize), PartitionStartError> {
        let partitions = self.partitions.unwrap_or_else(|| node.runtime().worker_count());
        if partitions == 0 {
            return Err(PartitionStartError::NoPartitions);
        }
        let children = (0..partitions).map(|number| {
            let child = (self.child)(number, name_of(&self.name, number));
            permanent(number, (self.change)(child))
        });
        Ok((self.supervisor.clone().children(children), partitions))
    }
}

/// `child` as the partition of this number: it is started again whatever happens, and its start is not ignored.
fn permanent(number: usize, child: Child) -> Child {
    let start = child.clone();
    let mut partition = Child::with(number.to_string(), move |node, options| {
        let started = start.start(&node, options);
        async move {
            started.await.map_err(|error| match error {
                StartError::Ignored => {
                    StartError::Refused(ExitReason::ShutdownWith("a partition has something to do".into()))
                }
                error => error,
            })
        }
    });
    partition.restart = Restart::Permanent;
    (partition.shutdown, partition.kind) = (child.shutdown, child.kind);
    (partition.backoff, partition.circuit) = (child.backoff, child.circuit);
    partition
}

impl<A: Actor> IntoChild for PartitionSupervisor<A> {
    fn into_child(self) -> Child {
        let id = self.name.clone();
        let declared = Declared::new(match self.partitions {
            Some(partitions) => format!("{partitions} partitions"),
            None => "a partition for each worker of the runtime".to_owned(),
        });
        let child = Child::supervisor_with(id, move |node, options| {
            let started = self.start_on(&node, options);
            async move {
                match started.await {
                    Ok(partitions) => Ok(partitions.supervisor().pid()),
                    Err(PartitionStartError::Supervisor(error)) => Err(error.into()),
                    Err(error) => Err(StartError::Refused(ExitReason::ShutdownWith(error.to_string().into()))),
                }
            }
        });
        child.declared(declared)
    }
}

impl<A> Clone for PartitionSupervisor<A> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            partitions: self.partitions,
            supervisor: self.supervisor.clone(),
            child: self.child.clone(),
            change: self.change.clone(),
            actor: PhantomData,
        }
    }
}

impl<A: Actor> fmt::Debug for PartitionSupervisor<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionSupervisor")
            .field("name", &self.name)
            .field("partitions", &self.partitions)
            .field("actor", &A::NAME)
            .finish_non_exhaustive()
    }
}
