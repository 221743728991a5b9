//! Building an ecosystem, giving it work, looking at it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use biotope_runtime::{
    ActorRef, Call, CallFailed, ExitReason, Handle, Node, Pid, Remote, Request, SpawnOptions, Spec, Start, StartError,
    Wire, node, this_pid,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::coordinator::{Coordinator, Local, Message, Snapshot};
use super::job::Template;
use super::member::{Member, MemberReport};
use super::relay::Edge;
use super::site::{Site, SiteArgs};
use super::topology::{Topology, Wiring};
use crate::{IntoChild, Supervisor, SupervisorRef, SupervisorStartError};

/// An ecosystem before it is spawned: workers of type `W`, made from `W::Args`, under one coordinator.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
/// use biotope::supervision::{Ecosystem, Topology};
///
/// #[derive(Actor, Default)]
/// struct Pricer;
///
/// #[handlers(remote)]
/// impl Pricer {
///     pub fn price(&mut self, item: String) -> u64 {
///         item.len() as u64
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let pricing = Ecosystem::<Pricer>::named("pricing").workers(4).topology(Topology::Ring).spawn().await?;
///     let items = ["a", "bb", "ccc"].map(String::from);
///     let mut work = pricing.coordinate_work(items, |worker, item| worker.price(item));
///     let mut total = 0;
///     while let Some((_, price)) = work.next().await {
///         total += price?;
///     }
///     assert_eq!(total, 6);
///     pricing.stop().await;
///     Ok(())
/// }
/// ```
#[must_use = "an ecosystem does nothing until it is spawned"]
pub struct Ecosystem<W: Start> {
    name: String,
    topology: Topology,
    places: Vec<String>,
    workers: usize,
    args: Option<W::Args>,
}

/// A running ecosystem.
///
/// It is linked to the process that spawned it: the end of that process ends the ecosystem, and a
/// coordinator's crash reaches that process.
pub struct EcosystemRef<W> {
    node: Node,
    supervisor: SupervisorRef,
    coordinator: ActorRef<Coordinator>,
    sites: Vec<Pid>,
    places: Vec<String>,
    topology: Topology,
    workers: PhantomData<fn() -> W>,
}

/// Why an ecosystem did not come up. What had been started is ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EcosystemError {
    /// It has no worker or no place for one.
    #[error("an ecosystem needs at least one worker and one place: check `.workers` and `.on`")]
    Empty,
    /// `.args` is missing.
    #[error("its workers are made from arguments: give them with `.args`")]
    NoArgs,
    /// The coordinator did not start.
    #[error("the coordinator did not start: {0}")]
    Coordinator(#[from] SupervisorStartError),
    /// A site did not start.
    #[error("node {node} holds no part of the ecosystem: {error}")]
    Site {
        /// The node.
        node: String,
        /// Why.
        error: StartError,
    },
    /// The coordinator ended, or not all members reported in time.
    #[error("not all members came up: {0}")]
    Members(#[from] CallFailed),
}

impl<W> Ecosystem<W>
where
    W: Remote + Handle + Start,
    W::Args: Wire + Clone + Sync,
{
    /// An ecosystem of this name: one worker, on the node that spawns it, in a mesh.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), topology: Topology::Mesh, places: Vec::new(), workers: 1, args: None }
    }

    /// How many workers each member has; a member stands at each place of [`on`](Self::on).
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// What the workers are made from. Not needed if that is `()`.
    pub fn args(mut self, args: W::Args) -> Self {
        self.args = Some(args);
        self
    }

    /// How the members are wired.
    pub fn topology(mut self, topology: Topology) -> Self {
        self.topology = topology;
        self
    }

    /// The places of the members, in the order of the wiring: names of nodes, the spawning node among
    /// them or not. A node that is named twice holds two members.
    pub fn on<N: Into<String>>(mut self, nodes: impl IntoIterator<Item = N>) -> Self {
        self.places = nodes.into_iter().map(Into::into).collect();
        self
    }

    /// Starts it, linked to the running process, and waits until all members are up.
    ///
    /// # Errors
    /// [`EcosystemError`].
    ///
    /// # Panics
    /// Outside a process.
    pub async fn spawn(self) -> Result<EcosystemRef<W>, EcosystemError> {
        let (node, me) = (node(), this_pid());
        let args = match self.args {
            Some(args) => args,
            None => unit().ok_or(EcosystemError::NoArgs)?,
        };
        let places = if self.places.is_empty() { vec![node.name().to_owned()] } else { self.places };
        if self.workers == 0 {
            return Err(EcosystemError::Empty);
        }
        let topology = self.topology;
        let coordinator_name = format!("{}/coordinator", self.name);
        let supervisor = Supervisor::one_for_one()
            .intensity(0, Duration::from_secs(1))
            .child(Spec::<Coordinator>::new(move || topology).named(coordinator_name.clone()).id("coordinator"))
            .start_on(&node, SpawnOptions::linked_to(me))
            .await?;
        let coordinator = node.lookup::<Coordinator>(&coordinator_name);
        let coordinator = coordinator.ok_or(EcosystemError::Members(CallFailed::NoProc))?;
        let workers = PhantomData::<fn() -> W>;
        let sites = Vec::new();
        let mut ecosystem = EcosystemRef { node, supervisor, coordinator, sites, places, topology, workers };
        match ecosystem.settle(&self.name, self.workers, args).await {
            Ok(()) => Ok(ecosystem),
            Err(error) => {
                ecosystem.stop().await;
                Err(error)
            }
        }
    }
}

/// `()`, where that is what `T` is.
fn unit<T: 'static>() -> Option<T> {
    let unit: Box<dyn std::any::Any> = Box::new(());
    unit.downcast().ok().map(|unit| *unit)
}

impl<W> EcosystemRef<W>
where
    W: Remote + Handle + Start,
    W::Args: Wire + Clone + Sync,
{
    async fn settle(&mut self, name: &str, workers: usize, args: W::Args) -> Result<(), EcosystemError> {
        for (number, place) in self.places.iter().enumerate() {
            let args = SiteArgs {
                ecosystem: name.to_owned(),
                coordinator: self.coordinator.clone(),
                number: number as u64,
                workers,
                args: args.clone(),
            };
            let started = self.node.start_on::<Site<W>>(place, args, Some(self.coordinator.pid())).await;
            let site = started.map_err(|error| EcosystemError::Site { node: place.clone(), error })?;
            self.sites.push(site.pid());
        }
        let count = self.places.len();
        let all_up = Call::new(self.coordinator.address(), |reply| Local::AwaitMembers(count, reply).into());
        Ok(all_up.await?)
    }
}

impl<W: Remote> EcosystemRef<W> {
    /// Hands in one job for each item: the call that `call` makes of a worker. The closure stays here
    /// and only builds a message. Results come from [`Work::next`], as they are ready.
    pub fn coordinate_work<I, R, T, E>(
        &self,
        items: impl IntoIterator<Item = I>,
        call: impl for<'a> Fn(&'a W::Client, I) -> Call<'a, W::Msg, R, T, E>,
    ) -> Work<R, T, E>
    where
        R: Send + 'static,
    {
        let template = Template::<W>::new(&self.node, self.coordinator.pid());
        let waiting = FuturesUnordered::new();
        let mut jobs = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let (job, request) = template.job(|worker| call(worker, item));
            jobs.extend(job);
            waiting.push(Indexed { index, request });
        }
        self.coordinator.cast(Message::from(Local::Submit(jobs)));
        Work { waiting }
    }
}

impl<W> EcosystemRef<W> {
    /// Where the work stands.
    ///
    /// # Errors
    /// [`CallFailed`] if the coordinator does not answer.
    pub async fn progress(&self) -> Result<Progress, CallFailed> {
        let snapshot = self.look().await?;
        let member = |(number, member, held): (u64, ActorRef<Member>, usize)| MemberState {
            number,
            place: self.places[number as usize].clone(),
            pid: member.pid(),
            held,
        };
        Ok(Progress {
            members: snapshot.members.into_iter().map(member).collect(),
            answered: snapshot.answered,
            open: snapshot.open,
            reassigned: snapshot.reassigned,
            given_up: snapshot.given_up,
        })
    }

    /// What the live members tell, together with every wiring that was in force.
    ///
    /// # Errors
    /// [`CallFailed`] if the coordinator does not answer. A member that does not is left out.
    pub async fn report(&self) -> Result<EcosystemReport, CallFailed> {
        let snapshot = self.look().await?;
        let mut members = BTreeMap::new();
        let mut traffic: BTreeMap<Edge, u64> = BTreeMap::new();
        for (number, member, ..) in &snapshot.members {
            let Ok(report) = Member::report(member).await else { continue };
            for (edge, bytes) in &report.traffic {
                // Both ends of an edge count it; an end that was lost has told nothing.
                let known = traffic.entry(*edge).or_default();
                *known = (*known).max(*bytes);
            }
            members.insert(*number, report);
        }
        Ok(EcosystemReport {
            places: self.places.clone(),
            topology: self.topology,
            wirings: snapshot.wirings,
            members,
            answered: snapshot.answered,
            traffic,
            reassigned: snapshot.reassigned,
            given_up: snapshot.given_up,
        })
    }

    /// What the member `number` tells; `None` if it is not up.
    ///
    /// # Errors
    /// [`CallFailed`] if the coordinator or the member does not answer.
    pub async fn report_of(&self, number: u64) -> Result<Option<MemberReport>, CallFailed> {
        let snapshot = self.look().await?;
        match snapshot.members.iter().find(|(known, ..)| *known == number) {
            Some((_, member, ..)) => Member::report(member).await.map(Some),
            None => Ok(None),
        }
    }

    /// The coordinator's pid.
    pub fn coordinator(&self) -> Pid {
        self.coordinator.pid()
    }

    /// Ends it: the coordinator, then, over their links, all sites, each after its workers. Waits until
    /// all have ended, or their nodes are lost.
    pub async fn stop(&self) {
        let parts = std::iter::once(self.supervisor.pid()).chain(self.sites.iter().copied());
        let ended: Vec<_> = parts.map(|pid| self.node.ended(pid)).collect();
        self.supervisor.address().stop(ExitReason::Normal);
        for ended in ended {
            ended.await;
        }
    }

    async fn look(&self) -> Result<Snapshot, CallFailed> {
        Call::new(self.coordinator.address(), |reply| Local::Look(reply).into()).await
    }
}

impl<W> fmt::Debug for EcosystemRef<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcosystemRef({:?} on {:?})", self.coordinator, self.places)
    }
}

/// Work that was handed in. Dropping it gives up the results that are still to come.
#[must_use = "results come from `next`"]
pub struct Work<R, T, E> {
    waiting: FuturesUnordered<Indexed<R, T, E>>,
}

impl<R: Send + 'static, T, E> Work<R, T, E> {
    /// The next result that is ready, with the position of its item; `None` after the last.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has taken nothing.
    pub async fn next(&mut self) -> Option<(usize, Result<T, E>)> {
        self.waiting.next().await
    }

    /// How many results are still to come.
    pub fn open(&self) -> usize {
        self.waiting.len()
    }
}

impl<R: Send + 'static, T, E> fmt::Debug for Work<R, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Work({} open)", self.open())
    }
}

struct Indexed<R, T, E> {
    index: usize,
    request: Request<R, T, E>,
}

impl<R: Send + 'static, T, E> Future for Indexed<R, T, E> {
    type Output = (usize, Result<T, E>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let index = self.index;
        Pin::new(&mut self.request).poll(cx).map(|result| (index, result))
    }
}

/// Where the work of an ecosystem stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The members that are up.
    pub members: Vec<MemberState>,
    /// Jobs by the place that answered them, as numbers of members; lost members stay.
    pub answered: BTreeMap<u64, u64>,
    /// Jobs that are not answered.
    pub open: usize,
    /// How many times a job was taken back and handed out again.
    pub reassigned: u64,
    /// Jobs that were given up.
    pub given_up: u64,
}

/// One member that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberState {
    /// Its position among the places.
    pub number: u64,
    /// Its node.
    pub place: String,
    /// Its pid.
    pub pid: Pid,
    /// Jobs that it has and that are not acknowledged.
    pub held: usize,
}

/// What an ecosystem tells of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EcosystemReport {
    /// The places of the members, by number.
    pub places: Vec<String>,
    /// How they are wired.
    pub topology: Topology,
    /// The live members of each version of the wiring; the first has version 1.
    pub wirings: Vec<Vec<u64>>,
    /// What each live member tells.
    pub members: BTreeMap<u64, MemberReport>,
    /// Jobs by the place that answered them, as numbers of members; lost members stay.
    pub answered: BTreeMap<u64, u64>,
    /// Bytes of results by wiring version, sender and receiver.
    pub traffic: BTreeMap<(u64, u64, u64), u64>,
    /// How many times a job was taken back and handed out again.
    pub reassigned: u64,
    /// Jobs that were given up.
    pub given_up: u64,
}

impl EcosystemReport {
    /// The edges that carried results although the wiring then in force does not have them: none, if
    /// all is well.
    pub fn strays(&self) -> Vec<(u64, u64, u64)> {
        let is_wired = |&&(version, from, to): &&(u64, u64, u64)| {
            let Some(live) = (version as usize).checked_sub(1).and_then(|at| self.wirings.get(at)) else {
                return false;
            };
            let position = |number: u64| live.iter().position(|live| *live == number);
            match (position(from), position(to)) {
                (Some(from), Some(to)) => Wiring::new(self.topology, live.len()).has_edge(from, to),
                _ => false,
            }
        };
        self.traffic.keys().filter(|edge| !is_wired(edge)).copied().collect()
    }

    /// Bytes of results by the names of the sender's and the receiver's node.
    pub fn bytes_by_edge(&self) -> BTreeMap<(String, String), u64> {
        let mut by_edge = BTreeMap::new();
        for ((_, from, to), bytes) in &self.traffic {
            let place = |number: u64| self.places[number as usize].clone();
            *by_edge.entry((place(*from), place(*to))).or_default() += bytes;
        }
        by_edge
    }
}
