//! A site: one node's part of an ecosystem, started there by the coordinator's node.

use std::marker::PhantomData;

use biotope_runtime::{
    Actor, ActorRef, Address, Context, DecodeError, ExitReason, Handle, Incoming, Info, NodeBuilder, Options, Outgoing,
    Refused, Remote, SpawnOptions, Spec, Start, Wire,
};
use serde::{Deserialize, Serialize};

use super::coordinator::Coordinator;
use super::member::{Here, Local, Member, MemberArgs, Message as ToMemberMessage};
use crate::{Child, IntoChild, Supervisor, SupervisorRef};

/// The process that a node's part of an ecosystem of `W`s hangs on. It is linked to the coordinator:
/// the end of either ends the site, after its workers have ended in order.
pub struct Site<W> {
    tree: SupervisorRef,
    worker: PhantomData<fn() -> W>,
}

/// What a site starts from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SiteArgs<T> {
    pub(crate) ecosystem: String,
    pub(crate) coordinator: ActorRef<Coordinator>,
    pub(crate) number: u64,
    pub(crate) workers: usize,
    pub(crate) args: T,
}

/// Lets a node hold members of ecosystems whose coordinator is on another node.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
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
/// let builder = Node::builder("shop-2").hosts::<Pricer>();
/// # let _ = builder;
/// ```
pub trait HostEcosystems {
    /// Lets other nodes start workers of type `W` here.
    fn hosts<W>(self) -> Self
    where
        W: Remote + Handle + Start,
        W::Args: Wire + Clone + Sync;
}

impl HostEcosystems for NodeBuilder {
    fn hosts<W>(self) -> Self
    where
        W: Remote + Handle + Start,
        W::Args: Wire + Clone + Sync,
    {
        self.actors::<(W, Member, Coordinator)>().startable::<(Site<W>,)>()
    }
}

impl<W: Actor> Site<W> {
    /// "Site of W", made at compile time because a name is a constant.
    const NAME_BYTES: ([u8; 128], usize) = concatenated("Site of ", W::NAME);
}

impl<W: Actor> Actor for Site<W> {
    type Msg = ();
    type Client = Address<()>;
    // The end of the coordinator reaches it as a message, so that it can end in order.
    const OPTIONS: Options = Options { trap_exit: true, ..Options::DEFAULT };
    const NAME: &'static str = {
        let (bytes, length) = &Self::NAME_BYTES;
        match std::str::from_utf8(bytes.split_at(*length).0) {
            Ok(name) => name,
            Err(_) => panic!("a whole name is text"),
        }
    };
}

impl<W: Actor> Remote for Site<W> {
    fn encode((): (), _out: Outgoing<'_>) {}

    fn decode(incoming: Incoming<'_, '_>) -> Result<(), DecodeError> {
        Err(incoming.unknown())
    }
}

impl<W: Actor> Handle for Site<W> {
    async fn handle(&mut self, (): (), _cx: &mut Context<Self>) {}

    async fn info(&mut self, info: Info, cx: &mut Context<Self>) {
        if let Info::Exit(exit) = info {
            cx.stop(exit.reason);
        }
    }

    async fn terminate(&mut self, _reason: &ExitReason, cx: &mut Context<Self>) {
        let ended = cx.node().ended(&self.tree);
        self.tree.address().stop(ExitReason::Shutdown);
        ended.await;
    }
}

impl<W> Start for Site<W>
where
    W: Remote + Handle + Start,
    W::Args: Clone + Sync,
{
    type Args = SiteArgs<W::Args>;

    async fn start(args: Self::Args, cx: &mut Context<Self>) -> Result<Self, Refused> {
        let own = SpawnOptions::linked_to(cx.pid());
        let tree = tree::<W>(&args).start_on(cx.node(), own).await?;
        Ok(Self { tree, worker: PhantomData })
    }
}

/// The member, then its workers: when the member is started again, its workers are too, and find it.
fn tree<W>(args: &SiteArgs<W::Args>) -> Supervisor
where
    W: Remote + Handle + Start,
    W::Args: Clone + Sync,
{
    let member_name = format!("{}/member-{}", args.ecosystem, args.number);
    let member = MemberArgs { number: args.number, coordinator: args.coordinator.clone(), workers: args.workers };
    let mut workers = Supervisor::one_for_one().intensity(10, std::time::Duration::from_secs(10));
    for index in 0..args.workers {
        workers = workers.child(worker::<W>(index, member_name.clone(), args.args.clone()));
    }
    Supervisor::rest_for_one()
        .child(Spec::<Member>::new(move || member.clone()).named(member_name).id("member"))
        .child(workers.into_child().id("workers"))
}

/// A worker that presents itself to its member each time it is started.
fn worker<W>(index: usize, member_name: String, args: W::Args) -> Child
where
    W: Remote + Handle + Start,
    W::Args: Clone + Sync,
{
    Child::with(format!("worker-{index}"), move |node, options| {
        let args = args.clone();
        let started = Spec::<W>::new(move || args.clone()).start_on(&node, options);
        let member_name = member_name.clone();
        async move {
            let worker = started.await?;
            let pid = worker.pid();
            if let Some(member) = node.lookup::<Member>(&member_name) {
                let deliver = Box::new(move |incoming: Incoming<'_, '_>| worker.accept(incoming));
                member.cast(ToMemberMessage::Here(Here(Local::WorkerUp { index, pid, deliver })));
            }
            Ok(pid)
        }
    })
}

const fn concatenated(first: &str, second: &str) -> ([u8; 128], usize) {
    let (first, second) = (first.as_bytes(), second.as_bytes());
    let mut bytes = [0; 128];
    assert!(first.len() + second.len() <= bytes.len(), "the actor's name is longer than 120 bytes");
    let mut at = 0;
    while at < first.len() + second.len() {
        bytes[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
        at += 1;
    }
    (bytes, at)
}
