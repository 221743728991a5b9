//! The applications of a node, as a program sees them.

use std::fmt;
use std::sync::Arc;

use biotope_runtime::{Node, Restart};
use serde::Serialize;
use tokio::sync::oneshot;

use super::app::App;
use super::config::{Env, Origin, of_value};
use super::controller::{Listed, Request, controller};
use super::errors::{LoadError, SetEnvError, StartAppError, StopAppError, UnloadError};
use super::health::{self, Health};
use super::order::Name;
use crate::supervisor::SupervisorRef;

/// How often a controller is asked that ends just then, because nothing was loaded any more.
const TRIES: usize = 8;

/// What a node has applications by: `node.applications()`.
pub trait HostApplications {
    /// Its applications.
    fn applications(&self) -> Applications;
}

impl HostApplications for Node {
    fn applications(&self) -> Applications {
        Applications { node: self.clone() }
    }
}

/// The applications of one node, which are started and stopped by one process of it, as by OTP's
/// `application_controller`. Cheap to clone.
///
/// One that is loaded has a configuration. It starts when all that it needs runs, and is stopped after all that needs it.
/// When the node is shut down, they stop one after the other, in the reverse of the order in which they started.
///
/// # Cancel safety
/// Dropping a future takes no request back.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let applications = node().applications();
///     applications.load(App::new("shop").needs(App::new("store"))).await?;
///     let started = applications.ensure_all_started("shop").await?;
///     assert_eq!(started.iter().map(|name| &**name).collect::<Vec<_>>(), ["store", "shop"]);
///     applications.stop("store").await?;             // and before it the shop, which needs it
///     assert!(applications.which_applications().await.is_empty());
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Applications {
    node: Node,
}

/// An application that is loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AppInfo {
    /// Its name.
    pub name: Arc<str>,
    /// What it is.
    pub description: Option<Arc<str>>,
    /// Which version of it this is.
    pub version: Option<Arc<str>>,
    /// Whether it runs.
    pub state: AppState,
    /// What its end means, as it was started.
    pub kind: Option<Restart>,
    /// Its root supervisor, if it runs.
    pub supervisor: Option<SupervisorRef>,
}

/// Whether an application runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppState {
    /// It does not.
    Loaded,
    /// It is being started: its children start, or it is in a phase.
    Starting,
    /// It does.
    Running,
    /// It is being stopped.
    Stopping,
}

impl Applications {
    /// Loads an application, with those that it brings along as needed ones, unless one of their name is loaded. Reads its
    /// files.
    ///
    /// # Errors
    /// [`LoadError`]; nothing was loaded.
    pub async fn load(&self, app: App) -> Result<(), LoadError> {
        let apps = app.prepare(&self.node)?;
        self.ask(|reply| Request::Load(apps.clone(), reply)).await.unwrap_or(Err(LoadError::Stopping))
    }

    /// Forgets an application that does not run, with its configuration.
    ///
    /// # Errors
    /// [`UnloadError`].
    pub async fn unload(&self, name: &str) -> Result<(), UnloadError> {
        let name = Name::from(name);
        let asked = self.ask(|reply| Request::Unload(name.clone(), reply)).await;
        asked.unwrap_or(Err(UnloadError::NotLoaded(name)))
    }

    /// Starts an application, all of whose needs run. Waits until its children have started and its phases are over.
    ///
    /// # Errors
    /// [`StartAppError`]; nothing of it is left running.
    pub async fn start(&self, name: &str) -> Result<(), StartAppError> {
        self.ask_start(name, None, false).await.map(drop)
    }

    /// Like [`start`](Self::start), with another start kind than it declares.
    ///
    /// # Errors
    /// As there.
    pub async fn start_as(&self, name: &str, kind: Restart) -> Result<(), StartAppError> {
        self.ask_start(name, Some(kind), false).await.map(drop)
    }

    /// Starts an application, and before it all that it needs and that does not run. Returns what was started, in order.
    ///
    /// # Errors
    /// [`StartAppError`], which names the application that did not start. What this call had started is stopped again.
    pub async fn ensure_all_started(&self, name: &str) -> Result<Vec<Arc<str>>, StartAppError> {
        self.ask_start(name, None, true).await
    }

    /// Like [`ensure_all_started`](Self::ensure_all_started), with this start kind for all that it starts.
    ///
    /// # Errors
    /// As there.
    pub async fn ensure_all_started_as(&self, name: &str, kind: Restart) -> Result<Vec<Arc<str>>, StartAppError> {
        self.ask_start(name, Some(kind), true).await
    }

    /// Stops an application, and before it what needs it. It stays loaded.
    ///
    /// # Errors
    /// [`StopAppError`].
    pub async fn stop(&self, name: &str) -> Result<(), StopAppError> {
        let name = Name::from(name);
        let asked = self.ask(|reply| Request::Stop(name.clone(), reply)).await;
        asked.unwrap_or(Err(StopAppError::NotStarted(name)))
    }

    /// Those that run, in the order in which they were started.
    pub async fn which_applications(&self) -> Vec<AppInfo> {
        let mut all = self.loaded_applications().await;
        all.retain(|info| info.state == AppState::Running);
        all
    }

    /// All that are loaded: first those that run, in the order in which they were started.
    pub async fn loaded_applications(&self) -> Vec<AppInfo> {
        self.list().await.into_iter().map(|listed| listed.info).collect()
    }

    /// The configuration of an application, if it is loaded.
    pub async fn env(&self, name: &str) -> Option<Env> {
        let name = Name::from(name);
        self.ask(|reply| Request::Env(name.clone(), reply)).await.flatten()
    }

    /// Sets the value at `key` of an application that is loaded, until it is unloaded. Of one that is not, it sets
    /// nothing: what is loaded comes with values of its own.
    ///
    /// # Errors
    /// [`SetEnvError`].
    pub async fn set_env(&self, name: &str, key: &str, value: impl Serialize) -> Result<(), SetEnvError> {
        self.set(name, key, value, false).await
    }

    /// Sets the value at `key` of an application, whether it is loaded or not. It lasts as long as the node, and covers
    /// what the application comes with whenever it is loaded.
    ///
    /// # Errors
    /// [`SetEnvError`].
    pub async fn set_env_persistent(&self, name: &str, key: &str, value: impl Serialize) -> Result<(), SetEnvError> {
        self.set(name, key, value, true).await
    }

    /// How the applications that were started are. Each check of readiness is called, and has a second.
    pub async fn health(&self) -> Health {
        health::of(&self.node, self.list().await).await
    }

    async fn set(&self, name: &str, key: &str, value: impl Serialize, persistent: bool) -> Result<(), SetEnvError> {
        let (name, key) = (Name::from(name), key.to_owned());
        let item = of_value(&key, value, Origin::Set)?;
        let request =
            |reply| Request::Set { name: name.clone(), key: key.clone(), item: item.clone(), persistent, reply };
        self.ask(request).await.unwrap_or(Err(SetEnvError::Stopping))
    }

    async fn ask_start(
        &self,
        name: &str,
        kind: Option<Restart>,
        with_needs: bool,
    ) -> Result<Vec<Arc<str>>, StartAppError> {
        let name = Name::from(name);
        let asked = self.ask(|reply| Request::Start { name: name.clone(), kind, with_needs, reply }).await;
        asked.unwrap_or(Err(StartAppError::Stopping))
    }

    async fn list(&self) -> Vec<Listed> {
        self.ask(Request::List).await.unwrap_or_default()
    }

    /// Asks the controller. `None` if there is none, because the node ends.
    pub(super) async fn ask<T>(&self, mut request: impl FnMut(oneshot::Sender<T>) -> Request) -> Option<T> {
        for _ in 0..TRIES {
            let (reply, asked) = oneshot::channel();
            let controller = controller(&self.node);
            controller.cast(request(reply));
            if let Ok(answer) = asked.await {
                return Some(answer);
            }
            // It has ended just then: the next one is asked when it is gone.
            self.node.ended(controller.pid()).await;
        }
        None
    }
}

impl fmt::Debug for Applications {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Applications({})", self.node.name())
    }
}
