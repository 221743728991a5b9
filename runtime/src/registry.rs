//! Which actors other nodes may reach and start here. Closed when the node is built: what arrives is
//! data, never code.

use std::any::TypeId;
use std::collections::BTreeMap;

use crate::actor::{Handle, Start};
use crate::address::Address;
use crate::gateway::{DecodeError, FarFuture, Incoming, Remote, Wire};
use crate::node::{Node, SpawnOptions};
use crate::pid::Pid;
use crate::process::{AnyRef, SendFailed};
use crate::spec::{Spec, StartError};

#[derive(Default)]
pub struct Registry {
    /// By message type, because that is what a process is known to have.
    reachable: BTreeMap<TypeId, Deliver>,
    /// By the actor's name, because that is what a peer asks for.
    startable: BTreeMap<&'static str, StartHere>,
}

type Deliver = fn(AnyRef, Incoming<'_, '_>) -> Result<Delivered, DecodeError>;
type StartHere = fn(
    &Node,
    &mut dyn erased_serde::Deserializer<'_>,
    SpawnOptions,
) -> Result<FarFuture<Result<Pid, StartError>>, StartError>;

/// What became of a message that could be decoded.
pub(crate) enum Delivered {
    Queued,
    Full,
    NoProc,
}

/// A set of remote actors: one, or a tuple of up to eight.
pub trait RemoteActors {
    #[doc(hidden)]
    fn register(registry: &mut Registry);
}

/// A set of remote actors that can be started from arguments that travel.
pub trait StartableActors {
    #[doc(hidden)]
    fn register(registry: &mut Registry);
}

impl Registry {
    pub(crate) fn deliver(&self, to: AnyRef, incoming: Incoming<'_, '_>) -> Result<Delivered, DecodeError> {
        match self.reachable.get(&to.class().message_type()) {
            Some(deliver) => deliver(to, incoming),
            None => Err(incoming.refuse(DecodeError::NotRegistered)),
        }
    }

    pub(crate) fn start(
        &self,
        node: &Node,
        actor: &str,
        arguments: &mut dyn erased_serde::Deserializer<'_>,
        options: SpawnOptions,
    ) -> Result<FarFuture<Result<Pid, StartError>>, StartError> {
        match self.startable.get(actor) {
            Some(start) => start(node, arguments, options),
            None => Err(StartError::NotStartable(actor.to_owned())),
        }
    }

    fn add_reachable<A: Remote>(&mut self) {
        self.reachable.insert(TypeId::of::<A::Msg>(), deliver::<A>);
    }

    fn add_startable<A>(&mut self)
    where
        A: Remote + Handle + Start,
        A::Args: Wire + Clone + Sync,
    {
        self.add_reachable::<A>();
        self.startable.insert(A::NAME, start_here::<A>);
    }
}

fn deliver<A: Remote>(to: AnyRef, incoming: Incoming<'_, '_>) -> Result<Delivered, DecodeError> {
    let Some(cell) = to.typed::<A::Msg>() else { unreachable!("it was found by its message type") };
    Ok(match Address::local(cell).deliver(A::decode(incoming)?) {
        Ok(()) => Delivered::Queued,
        Err(SendFailed::Full | SendFailed::Dropped) => Delivered::Full,
        Err(SendFailed::Closed) => Delivered::NoProc,
    })
}

fn start_here<A>(
    node: &Node,
    arguments: &mut dyn erased_serde::Deserializer<'_>,
    options: SpawnOptions,
) -> Result<FarFuture<Result<Pid, StartError>>, StartError>
where
    A: Remote + Handle + Start,
    A::Args: Wire + Clone + Sync,
{
    let args: A::Args =
        erased_serde::deserialize(arguments).map_err(|error| StartError::Malformed(error.to_string()))?;
    let started = Spec::<A>::new(move || args.clone()).start_on(node, options);
    Ok(Box::pin(async { started.await.map(|reference| reference.pid()) }))
}

macro_rules! sets {
    ($($actor:ident),+) => {
        impl<$($actor: Remote),+> RemoteActors for ($($actor,)+) {
            fn register(registry: &mut Registry) {
                $(registry.add_reachable::<$actor>();)+
            }
        }

        impl<$($actor),+> StartableActors for ($($actor,)+)
        where
            $($actor: Remote + Handle + Start, $actor::Args: Wire + Clone + Sync,)+
        {
            fn register(registry: &mut Registry) {
                $(registry.add_startable::<$actor>();)+
            }
        }
    };
}

sets!(A);
sets!(A, B);
sets!(A, B, C);
sets!(A, B, C, D);
sets!(A, B, C, D, E);
sets!(A, B, C, D, E, F);
sets!(A, B, C, D, E, F, G);
sets!(A, B, C, D, E, F, G, H);
