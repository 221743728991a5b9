//! The beginning of a task: its process, tied to its owner before either can run.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use biotope_runtime::{Caller, MonitorRef, Node, Pid, Process, SpawnOptions, Told, process, settle, spawn_for};

use super::place::Place;

/// Whose task it is, and how it is tied.
pub(super) struct Tie {
    /// Who wants what comes of it.
    pub(super) owner: Pid,
    /// Whether it is linked to the owner.
    pub(super) link: bool,
    /// The supervisor whose child it is, if it is not the owner's.
    pub(super) supervisor: Option<Pid>,
    /// Where it was asked for.
    pub(super) place: &'static Location<'static>,
}

/// A task that was begun for its owner.
pub(super) struct Begun<T> {
    pub(super) pid: Pid,
    pub(super) owner: Pid,
    pub(super) monitor: Option<MonitorRef>,
    pub(super) place: Arc<Place<T>>,
}

impl Tie {
    /// A child of its owner, linked to it.
    pub(super) fn own(owner: Pid, place: &'static Location<'static>) -> Self {
        Self { owner, link: true, supervisor: None, place }
    }

    pub(super) fn options(&self, told: Option<Arc<dyn Told>>) -> SpawnOptions {
        let caller = Some(Caller { pid: self.owner, link: self.link, told, place: self.place });
        let parent = Some(self.supervisor.unwrap_or(self.owner));
        SpawnOptions { parent, link: self.supervisor, caller, ..SpawnOptions::default() }
    }
}

/// Begins a task whose value goes to its owner.
pub(super) fn awaited<M, T, B, F>(node: &Node, tie: &Tie, body: B) -> Begun<T>
where
    M: Send + 'static,
    T: Send + 'static,
    B: FnOnce(Process<M>) -> F + Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let place = Arc::new(Place::new());
    let to = place.clone();
    let code = process(async move |me: Process<M>| {
        let value = body(me).await;
        // Nothing of the user's runs between the two: the value comes, and the end of the task is nothing to the owner.
        settle();
        to.put(Ok(value));
        Ok(())
    });
    let (task, monitor) = spawn_for(code, node, &tie.options(Some(place.clone())));
    Begun { pid: task.pid(), owner: tie.owner, monitor, place }
}

/// Begins a task that nobody awaits.
pub(super) fn alone<F>(node: &Node, options: &SpawnOptions, future: F) -> Pid
where
    F: Future<Output: Send> + Send + 'static,
{
    let code = process(async move |_: Process<()>| {
        future.await;
        Ok(())
    });
    spawn_for(code, node, options).0.pid()
}
