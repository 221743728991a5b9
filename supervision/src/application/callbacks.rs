//! What an application does itself: when it starts, in its phases, and around its stop.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use biotope_runtime::Result;

use super::config::Env;
use super::errors::Callback;
use crate::supervisor::Supervisor;

/// An application with a state of its own, which its callbacks share. [`App::of`](crate::App::of) makes one.
///
/// Each start makes a new state. The callbacks run in a process of the application, which also hears when it is to stop:
/// that drops a start or a phase that has not returned. A panic in one is an error that names it.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
/// use biotope::supervision::{Application, Env};
///
/// struct Shop {
///     opened: u32,
/// }
///
/// impl Application for Shop {
///     const PHASES: &'static [&'static str] = &["open"];
///
///     async fn start(_env: &Env) -> biotope::Result<(Self, Supervisor)> {
///         Ok((Shop { opened: 0 }, Supervisor::one_for_one()))
///     }
///
///     async fn phase(&mut self, _phase: &str, _env: &Env) -> biotope::Result<()> {
///         self.opened += 1;
///         Ok(())
///     }
///
///     async fn after_stop(self, _env: &Env) -> biotope::Result<()> {
///         assert_eq!(self.opened, 1);
///         Ok(())
///     }
/// }
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let shop = App::of::<Shop>("shop").start_on(&node()).await?;
///     Ok(shop.stop().await?)
/// }
/// ```
pub trait Application: Sized + Send + 'static {
    /// Its start phases, in order.
    const PHASES: &'static [&'static str] = &[];

    /// Makes the state, and the tree that is to be started.
    fn start(env: &Env) -> impl Future<Output = Result<(Self, Supervisor)>> + Send;

    /// Does what is done in a start phase, when all children have started.
    fn phase(&mut self, phase: &str, env: &Env) -> impl Future<Output = Result<()>> + Send {
        let _ = (phase, env);
        async { Ok(()) }
    }

    /// Does what is done before the children stop. What it fails with is logged; the stop goes on.
    fn before_stop(&mut self, env: &Env) -> impl Future<Output = Result<()>> + Send {
        let _ = env;
        async { Ok(()) }
    }

    /// Does what is done when the children have stopped, whether they were told to or have ended. It has the last word
    /// whenever `start` had succeeded, unless the application is killed.
    fn after_stop(self, env: &Env) -> impl Future<Output = Result<()>> + Send {
        let _ = env;
        async { Ok(()) }
    }
}

type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;
type Does<T> = Arc<dyn Fn(Env) -> Doing<'static, T> + Send + Sync>;

/// What is to be called, as it is written down.
#[derive(Clone, Default)]
pub(crate) struct Callbacks {
    start: Start,
    phases: Vec<(Callback, Does<()>)>,
    before_stop: Vec<Does<()>>,
    after_stop: Vec<Does<()>>,
}

#[derive(Clone)]
enum Start {
    Tree(Supervisor),
    Closure(Does<Supervisor>),
    Application { start: Begins, phases: &'static [&'static str] },
}

/// Makes a state, and the tree that goes with it.
type Begins = fn(Env) -> Doing<'static, (Box<dyn Lives>, Supervisor)>;

impl Default for Start {
    fn default() -> Self {
        Self::Tree(Supervisor::one_for_one())
    }
}

fn boxed<T, F, Fut>(callback: F) -> Does<T>
where
    F: Fn(Env) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T>> + Send + 'static,
{
    Arc::new(move |env| Box::pin(callback(env)))
}

impl Callbacks {
    pub(super) fn of<A: Application>() -> Self {
        let start = |env: Env| -> Doing<'static, (Box<dyn Lives>, Supervisor)> {
            Box::pin(async move {
                let (application, supervisor) = A::start(&env).await?;
                let lives: Box<dyn Lives> = Box::new(application);
                Ok((lives, supervisor))
            })
        };
        Self { start: Start::Application { start, phases: A::PHASES }, ..Self::default() }
    }

    pub(super) fn tree(&mut self, supervisor: Supervisor) {
        self.start = Start::Tree(supervisor);
    }

    pub(super) fn start<F, Fut>(&mut self, callback: F)
    where
        F: Fn(Env) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Supervisor>> + Send + 'static,
    {
        self.start = Start::Closure(boxed(callback));
    }

    pub(super) fn phase<F, Fut>(&mut self, name: Arc<str>, callback: F)
    where
        F: Fn(Env) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.phases.push((Callback::Phase(name), boxed(callback)));
    }

    pub(super) fn before_stop<F, Fut>(&mut self, callback: F)
    where
        F: Fn(Env) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.before_stop.push(boxed(callback));
    }

    pub(super) fn after_stop<F, Fut>(&mut self, callback: F)
    where
        F: Fn(Env) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.after_stop.push(boxed(callback));
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phases: Vec<String> = self.phases.iter().map(|(phase, _)| phase.to_string()).collect();
        f.debug_struct("Callbacks").field("phases", &phases).finish_non_exhaustive()
    }
}

/// An application's state, whatever its type.
trait Lives: Send {
    fn phase<'a>(&'a mut self, phase: &'static str, env: &'a Env) -> Doing<'a, ()>;
    fn before_stop<'a>(&'a mut self, env: &'a Env) -> Doing<'a, ()>;
    fn after_stop<'a>(self: Box<Self>, env: &'a Env) -> Doing<'a, ()>;
}

impl<A: Application> Lives for A {
    fn phase<'a>(&'a mut self, phase: &'static str, env: &'a Env) -> Doing<'a, ()> {
        Box::pin(Application::phase(self, phase, env))
    }

    fn before_stop<'a>(&'a mut self, env: &'a Env) -> Doing<'a, ()> {
        Box::pin(Application::before_stop(self, env))
    }

    fn after_stop<'a>(self: Box<Self>, env: &'a Env) -> Doing<'a, ()> {
        Box::pin(Application::after_stop(*self, env))
    }
}

/// One life of an application, from its start to its end: its callbacks, with the state that they share.
pub(super) struct Life {
    callbacks: Callbacks,
    env: Env,
    state: Option<Box<dyn Lives>>,
    has_started: bool,
}

impl Life {
    pub(super) fn new(callbacks: Callbacks, env: Env) -> Self {
        Self { callbacks, env, state: None, has_started: false }
    }

    pub(super) async fn start(&mut self) -> Result<Supervisor> {
        let supervisor = match &self.callbacks.start {
            Start::Tree(supervisor) => supervisor.clone(),
            Start::Closure(start) => start(self.env.clone()).await?,
            Start::Application { start, .. } => {
                let (state, supervisor) = start(self.env.clone()).await?;
                self.state = Some(state);
                supervisor
            }
        };
        self.has_started = true;
        Ok(supervisor)
    }

    /// Whether the callback `start` has succeeded, to which the last one is the counterpart.
    pub(super) fn has_started(&self) -> bool {
        self.has_started
    }

    /// Its phases: those of the type first.
    pub(super) fn phases(&self) -> Vec<Callback> {
        let own = self.own_phases().iter().map(|name| Callback::Phase((*name).into()));
        own.chain(self.callbacks.phases.iter().map(|(phase, _)| phase.clone())).collect()
    }

    /// The phase at `at` among [`phases`](Self::phases).
    pub(super) async fn phase(&mut self, at: usize) -> Result<()> {
        let own = self.own_phases();
        match (own.get(at), &mut self.state) {
            (Some(phase), Some(state)) => state.phase(phase, &self.env).await,
            _ => self.callbacks.phases[at - own.len()].1(self.env.clone()).await,
        }
    }

    pub(super) async fn before_stop(&mut self) -> Result<()> {
        for callback in &self.callbacks.before_stop {
            callback(self.env.clone()).await?;
        }
        match &mut self.state {
            Some(state) => state.before_stop(&self.env).await,
            None => Ok(()),
        }
    }

    pub(super) async fn after_stop(&mut self) -> Result<()> {
        if let Some(state) = self.state.take() {
            state.after_stop(&self.env).await?;
        }
        for callback in &self.callbacks.after_stop {
            callback(self.env.clone()).await?;
        }
        Ok(())
    }

    fn own_phases(&self) -> &'static [&'static str] {
        match &self.callbacks.start {
            Start::Application { phases, .. } => phases,
            _ => &[],
        }
    }
}
