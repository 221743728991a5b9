//! Where the processes of an actor run: on the workers, or each on a thread of its own.

use std::num::NonZeroU64;
use std::sync::Arc;

use crate::actor::{Actor, Handle, HandleOwnThread, Start};
use crate::address::Address;
use crate::node::{Node, SpawnOptions};
use crate::process::{launch_own_thread, launch_spec};
use crate::spec::{Launching, Registration};

/// Where the processes of an actor run: [`Shared`] or [`OwnThread`].
pub trait RunsOn<A: Actor>: Launch<A> + 'static {}

/// On the workers, as most do: an actor that implements [`Handle`].
#[derive(Debug)]
pub struct Shared(());

/// Each on a thread of its own: an actor that implements [`HandleOwnThread`].
#[derive(Debug)]
pub struct OwnThread(());

impl<A: Actor, K: Launch<A> + 'static> RunsOn<A> for K {}

/// How a process of an actor is made. Not for others to implement.
pub trait Launch<A: Actor> {
    /// Whether `terminate` is called at all.
    const TERMINATES: bool;

    /// What the actor's state says of itself.
    fn show_state(actor: &A) -> Option<String>;

    /// Makes one.
    fn launch(node: &Node, options: &SpawnOptions, beginning: Beginning<A>) -> (Address<A::Msg>, Option<NonZeroU64>)
    where
        A: Start;
}

/// What an actor is made from, in its process.
pub struct Beginning<A: Start> {
    pub(crate) registration: Registration,
    pub(crate) launching: Option<Box<Launching>>,
    pub(crate) args: Arc<dyn Fn() -> A::Args + Send + Sync>,
}

impl<A: Handle> Launch<A> for Shared {
    const TERMINATES: bool = A::TERMINATES;

    fn show_state(actor: &A) -> Option<String> {
        actor.show_state()
    }

    fn launch(node: &Node, options: &SpawnOptions, beginning: Beginning<A>) -> (Address<A::Msg>, Option<NonZeroU64>)
    where
        A: Start,
    {
        let (cell, monitor) = launch_spec(node, options, beginning);
        (Address::local(cell), monitor)
    }
}

impl<A: HandleOwnThread> Launch<A> for OwnThread {
    const TERMINATES: bool = A::TERMINATES;

    fn show_state(actor: &A) -> Option<String> {
        actor.show_state()
    }

    fn launch(node: &Node, options: &SpawnOptions, beginning: Beginning<A>) -> (Address<A::Msg>, Option<NonZeroU64>)
    where
        A: Start,
    {
        let (cell, monitor) = launch_own_thread(node, options, beginning);
        (Address::local(cell), monitor)
    }
}
