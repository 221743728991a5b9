//! The names of a node's processes, and who is reached by one.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use super::Node;
use crate::RegisterError;
use crate::address::ActorRef;
use crate::dead_letters::DeadLetter;
use crate::exit::ExitReason;
use crate::gateway::Remote;
use crate::keys::Keys;
use crate::named::Named;
use crate::names::{NameTaken, NotRegistered};
use crate::pid::Pid;
use crate::process::Process;

impl Node {
    /// Registers the process `pid` of this node under `name`. Its end frees the name.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing has changed.
    pub fn register(&self, name: impl Into<Arc<str>>, pid: impl Into<Pid>) -> Result<(), RegisterError> {
        let pid = pid.into();
        let process = self.process(pid).ok_or(RegisterError::NoProc)?;
        let name = name.into();
        let mut control = process.extra().control.lock();
        // The end of a process takes this lock before it frees the name: it finds this one, or has been
        // found by now.
        if process.has_ended() {
            return Err(RegisterError::NoProc);
        }
        if let Some(has) = &control.name {
            return Err(RegisterError::HasName(has.to_string()));
        }
        let waited = self.0.names.insert(&name, pid).map_err(|NameTaken { holder }| RegisterError::Taken(holder))?;
        control.name = Some(name);
        drop(control);
        waited.wake();
        Ok(())
    }

    /// Frees `name`.
    ///
    /// # Errors
    /// [`NotRegistered`] if no process has it.
    pub fn unregister(&self, name: &str) -> Result<(), NotRegistered> {
        let process = self.whereis(name).and_then(|pid| self.process(pid)).ok_or(NotRegistered)?;
        let mut control = process.extra().control.lock();
        if !self.0.names.remove(name, process.pid()) {
            return Err(NotRegistered);
        }
        control.name = None;
        Ok(())
    }

    /// Sends `message` to the process that is registered as `name` on this node.
    ///
    /// # Errors
    /// [`NoSuchName`] hands the message back, if no process that takes such messages has the name.
    pub fn send_to<M: Send + 'static>(&self, name: &str, message: M) -> Result<(), NoSuchName<M>> {
        match self.whereis(name).and_then(|pid| self.local::<M>(pid)) {
            Some(address) => {
                address.cast(message);
                Ok(())
            }
            None => Err(NoSuchName(message)),
        }
    }

    /// Sends `message` to the process that is registered as `name` on the node `node`, which may be this
    /// one. Whether there is one is known there only: if not, it is a dead letter.
    pub fn send_to_on<A: Remote>(&self, node: &str, name: &str, message: A::Msg)
    where
        A::Msg: Send,
    {
        if node == self.name() {
            if self.send_to(name, message).is_err() {
                self.count_dead_letter(DeadLetter::NoProc);
            }
            return;
        }
        let found = match self.0.gateway.get() {
            Some(gateway) => gateway.whereis(node, name),
            None => return self.count_dead_letter(DeadLetter::NoConnection),
        };
        let here = self.clone();
        self.spawn_process(async move |_: Process<()>| {
            match found.await.ok().flatten().and_then(|pid| ActorRef::<A>::at(&here, pid)) {
                Some(reference) => reference.address().cast(message),
                None => here.count_dead_letter(DeadLetter::NoProc),
            }
            Ok(())
        });
    }

    /// The process that is registered as `name` on this node.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.0.names.get(name)
    }

    /// All registered names of this node.
    pub fn registered(&self) -> Vec<Arc<str>> {
        self.0.names.all()
    }

    /// The process `pid` of this node, if it takes the messages of an `A`: for what is known by its pid only, like a child that a
    /// supervisor has started.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[derive(Actor, Default)]
    /// struct Session;
    ///
    /// #[handlers]
    /// impl Session {
    ///     pub fn say(&self) -> u32 {
    ///         7
    ///     }
    /// }
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let sessions = Supervisor::one_for_one().start_link().await?;
    ///     let started = sessions.start_child(Session::spec().named("ann")).await?;
    ///     let session = started.and_then(|pid| node().actor::<Session>(pid)).expect("it runs");
    ///     assert_eq!(session.say().await?, 7);
    ///     Ok(())
    /// }
    /// ```
    pub fn actor<A: crate::Actor>(&self, pid: Pid) -> Option<ActorRef<A>> {
        self.local(pid).map(ActorRef::new)
    }

    /// The process that is registered as `name` on this node, if it takes the messages of an `A`.
    pub fn lookup<A: crate::Actor>(&self, name: &str) -> Option<ActorRef<A>> {
        self.whereis(name).and_then(|pid| self.local(pid)).map(ActorRef::new)
    }

    /// The process that is registered as `name` on the node `node`. That it is an `A` is known there
    /// only: messages that it does not take are dead letters of its node.
    ///
    /// # Errors
    /// [`ExitReason::NoConnection`] if the node is not connected.
    pub async fn lookup_on<A: Remote>(&self, node: &str, name: &str) -> Result<Option<ActorRef<A>>, ExitReason> {
        if node == self.name() {
            return Ok(self.lookup(name));
        }
        let gateway = self.0.gateway.get().ok_or(ExitReason::NoConnection)?;
        let found = gateway.whereis(node, name).await?;
        Ok(found.and_then(|pid| ActorRef::at(self, pid)))
    }

    /// A handle to whoever is registered as `name` on this node at the moment when it is used, if it takes the messages of an
    /// `A`. Nobody need be yet.
    pub fn named<A: crate::Actor>(&self, name: impl Into<Arc<str>>) -> Named<A> {
        Named::on_node(self.clone(), name.into())
    }

    /// A handle to whoever holds the unique `key` of `keys` at the moment when it is used, if it takes the messages of an `A`.
    /// Nobody need hold it yet. With keys that are not unique, it leads to nobody.
    ///
    /// # Panics
    /// If the keys are those of another node.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[derive(Actor, Default)]
    /// struct Room(u32);
    ///
    /// #[handlers]
    /// impl Room {
    ///     pub fn enter(&mut self) -> u32 {
    ///         self.0 += 1;
    ///         self.0
    ///     }
    /// }
    ///
    /// #[biotope::main]
    /// async fn main() -> biotope::Result<()> {
    ///     let rooms = Keys::unique(&node());
    ///     Room::spec().keyed(&rooms, ("lobby", 1), "ground floor").start().await?;
    ///     let lobby = node().keyed::<Room, _, _>(&rooms, ("lobby", 1));
    ///     assert_eq!(lobby.call(|room| room.enter()).await?, 1);
    ///     assert_eq!(lobby.now()?.enter().await?, 2);
    ///     Ok(())
    /// }
    /// ```
    #[track_caller]
    pub fn keyed<A, K, V>(&self, keys: &Keys<K, V>, key: K) -> Named<A>
    where
        A: crate::Actor,
        K: Hash + Eq + Clone + fmt::Debug + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
    {
        assert!(self.id() == keys.node(), "a node knows the holders of its own keys");
        let name = format!("{key:?}").into();
        Named::at(self.clone(), name, Arc::new(keys.place(key)))
    }

    pub(crate) fn register_as(&self, name: &Arc<str>, pid: Pid) -> Result<(), NameTaken> {
        let Some(process) = self.process(pid) else { return Ok(()) };
        let waited = self.0.names.insert(name, pid)?;
        process.extra().control.lock().name = Some(name.clone());
        waited.wake();
        Ok(())
    }
}

/// No process that takes such messages has the name; the message is handed back. Another may have the name later.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("no process that takes such messages is registered under this name")]
pub struct NoSuchName<M>(pub M);

impl<M> fmt::Debug for NoSuchName<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
