//! A task supervisor, written down and started.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{Actor, ActorRef, Node, Shutdown, SpawnOptions, StartError, node, this_pid};

use super::client::TaskSupervisorClient;
use crate::child_spec::{Child, IntoChild};
use crate::config::DEFAULT_SHUTDOWN;
use crate::dynamic::{DynamicRequest, DynamicSupervisor};

/// A process under which tasks run, so that they are known, limited, and stopped with the part of the program that they
/// belong to. Elixir's `Task.Supervisor`. It is a [`DynamicSupervisor`] of which children are tasks.
///
/// Its children are tasks, begun while it runs; those that have ended are gone from it. When it stops it tells all of
/// them at once, waits for them, each for as long as its shutdown allows, and kills those that are not done by then. A task
/// whose supervisor is killed dies over the link.
///
/// This is its specification: cheap to clone, and startable more than once, also as the child of a
/// [`Supervisor`](crate::Supervisor). It is also the actor that a [`TaskSupervisorRef`] refers to, so that
/// `node.lookup::<TaskSupervisor>("fetches")` finds a named one.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let _shop = Supervisor::one_for_one()
///         .child(TaskSupervisor::new().named("fetches").max_children(100))
///         .start_link()
///         .await?;
///     let fetches = node().lookup::<TaskSupervisor>("fetches").ok_or(ExitReason::NoProc)?;
///     let page = fetches.spawn(async { "a page" }).await?;
///     assert_eq!(page.await?, "a page");
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a task supervisor does nothing until it is started"]
pub struct TaskSupervisor {
    supervisor: DynamicSupervisor,
    shutdown: Shutdown,
}

/// A reference to a running task supervisor; its methods are those of [`TaskSupervisorClient`].
pub type TaskSupervisorRef = ActorRef<TaskSupervisor>;

impl TaskSupervisor {
    /// One without a limit, whose tasks have 5 seconds to stop.
    pub fn new() -> Self {
        Self { supervisor: DynamicSupervisor::new(), shutdown: Shutdown::Timeout(DEFAULT_SHUTDOWN) }
    }

    /// How many tasks it may have at once. More are refused with
    /// [`StartTaskError::MaxChildren`](super::StartTaskError::MaxChildren).
    pub fn max_children(mut self, tasks: usize) -> Self {
        self.supervisor = self.supervisor.max_children(tasks);
        self
    }

    /// How many restarts are allowed within `period`, of all tasks together that are to be restarted; without this, as for
    /// any [`Supervisor`](crate::Supervisor). At one more, it stops its tasks and ends with `Shutdown`.
    ///
    /// # Panics
    /// If `period` is zero.
    #[track_caller]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.supervisor = self.supervisor.intensity(restarts, period);
        self
    }

    /// How its tasks are stopped, if they are not [begun otherwise](TaskSupervisorClient::with_shutdown); without this,
    /// within 5 seconds.
    pub fn task_shutdown(mut self, how: impl Into<Shutdown>) -> Self {
        self.shutdown = how.into();
        self
    }

    /// Registers it under `name` on its node.
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.supervisor = self.supervisor.named(name);
        self
    }

    /// The name that it is registered under.
    pub fn name(&self) -> Option<&str> {
        self.supervisor.name()
    }

    /// Starts it, linked to the running process, which is its parent: it ends when that ends.
    ///
    /// # Errors
    /// [`StartError::AlreadyStarted`] if another process has its name; nothing is left.
    ///
    /// # Panics
    /// Outside a process. There, use [`start_on`](Self::start_on).
    #[track_caller]
    pub fn start_link(&self) -> impl Future<Output = Result<TaskSupervisorRef, StartError>> + Send + use<> {
        let me = this_pid();
        self.start_on(&node(), SpawnOptions::linked_to(me))
    }

    /// Starts it on `node`.
    ///
    /// # Errors
    /// As [`start_link`](Self::start_link).
    pub fn start_on(
        &self,
        node: &Node,
        options: SpawnOptions,
    ) -> impl Future<Output = Result<TaskSupervisorRef, StartError>> + Send + use<> {
        let task = Child::with("task", |_, _| async { Err(StartError::Ignored) }).shutdown(self.shutdown);
        self.supervisor.launch(node, options, task)
    }
}

impl Default for TaskSupervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Actor for TaskSupervisor {
    type Msg = DynamicRequest;
    type Client = TaskSupervisorClient;
    const NAME: &'static str = "TaskSupervisor";
}

impl IntoChild for TaskSupervisor {
    fn into_child(self) -> Child {
        let id: Arc<str> = self.name().unwrap_or("task supervisor").into();
        let declared = self.supervisor.as_declared("tasks");
        let child = Child::supervisor_with(id, move |node, options| {
            let started = self.start_on(&node, options);
            async move { Ok(started.await?.pid()) }
        });
        child.declared(declared)
    }
}
