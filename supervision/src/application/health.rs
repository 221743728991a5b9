//! Whether applications live, and whether they are ready.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use biotope_runtime::{ExitReason, Node, Result};
use futures_util::future::join_all;

use super::applications::AppState;
use super::config::Env;
use super::controller::Listed;
use crate::caught::caught;
use crate::config::CHECK_TIME;
use crate::supervisor::SupervisorRef;

/// How the applications of a node are that were started; those that are merely loaded do not count.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let shop = App::new("shop").ready_when("stock", async |_env| Err(ExitReason::value("sold out").into()));
///     let shop = shop.start_on(&node()).await?;
///     let health = node().applications().health().await;
///     assert!(health.is_alive() && !health.is_ready());
///     assert_eq!(health.to_string(), "shop: running, not ready (stock: \"sold out\")");
///     Ok(shop.stop().await?)
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Each application, in the order in which they were started.
    pub applications: Vec<AppHealth>,
}

/// How one application is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AppHealth {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it runs.
    pub state: AppState,
    /// Whether its root supervisor answers, as far as it has one.
    pub is_alive: bool,
    /// The checks of readiness that have failed, with the reason: [`Timeout`](ExitReason::Timeout) of one that took
    /// longer than a second. They are not called unless it runs and lives.
    pub failed: Vec<(Arc<str>, ExitReason)>,
}

impl Health {
    /// Whether all of them live.
    pub fn is_alive(&self) -> bool {
        self.applications.iter().all(|app| app.is_alive)
    }

    /// Whether all of them are ready, and there is one.
    pub fn is_ready(&self) -> bool {
        !self.applications.is_empty() && self.applications.iter().all(AppHealth::is_ready)
    }
}

impl AppHealth {
    /// Whether it has started, phases included, is not stopping, lives, and no check has failed.
    pub fn is_ready(&self) -> bool {
        self.state == AppState::Running && self.is_alive && self.failed.is_empty()
    }
}

/// A line for each application.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, app) in self.applications.iter().enumerate() {
            let newline = if at == 0 { "" } else { "\n" };
            write!(f, "{newline}{app}")?;
        }
        Ok(())
    }
}

impl fmt::Display for AppHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            AppState::Loaded => "loaded",
            AppState::Starting => "starting",
            AppState::Running => "running",
            AppState::Stopping => "stopping",
        };
        write!(f, "{}: {state}", self.name)?;
        match (self.is_alive, self.is_ready()) {
            (false, _) => f.write_str(", does not answer"),
            (true, true) => f.write_str(", ready"),
            (true, false) => {
                f.write_str(", not ready")?;
                for (at, (name, reason)) in self.failed.iter().enumerate() {
                    let before = if at == 0 { " (" } else { "; " };
                    write!(f, "{before}{name}: {reason}")?;
                }
                f.write_str(if self.failed.is_empty() { "" } else { ")" })
            }
        }
    }
}

type Checking = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A check of readiness.
#[derive(Clone)]
pub(crate) struct Check {
    name: Arc<str>,
    check: Arc<dyn Fn(Env) -> Checking + Send + Sync>,
}

impl Check {
    pub(super) fn new<F, Fut>(name: Arc<str>, check: F) -> Self
    where
        F: Fn(Env) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        Self { name, check: Arc::new(move |env| Box::pin(check(env))) }
    }

    /// What is wrong, if anything is.
    async fn failure(self, node: &Node, env: Env) -> Option<(Arc<str>, ExitReason)> {
        let checked = caught(async { (self.check)(env).await });
        match within(node, CHECK_TIME, checked).await {
            Some(Ok(())) => None,
            Some(Err(reason)) => Some((self.name, reason)),
            None => Some((self.name, ExitReason::Timeout)),
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Check({})", self.name)
    }
}

/// How these are; all are asked at the same time.
pub(super) async fn of(node: &Node, listed: Vec<Listed>) -> Health {
    let started = listed.into_iter().filter(|listed| listed.info.state != AppState::Loaded);
    Health { applications: join_all(started.map(|listed| of_one(node, listed))).await }
}

async fn of_one(node: &Node, listed: Listed) -> AppHealth {
    let Listed { info, env, checks } = listed;
    let is_alive = match &info.supervisor {
        Some(root) => answers(node, root).await,
        // It has none yet, or none any more: it is on its way.
        None => true,
    };
    let failed = if info.state == AppState::Running && is_alive {
        join_all(checks.into_iter().map(|check| check.failure(node, env.clone()))).await
    } else {
        Vec::new()
    };
    AppHealth { name: info.name, state: info.state, is_alive, failed: failed.into_iter().flatten().collect() }
}

/// Whether a supervisor answers within a second.
pub(super) async fn answers(node: &Node, supervisor: &SupervisorRef) -> bool {
    matches!(within(node, CHECK_TIME, supervisor.count_children().into_future()).await, Some(Ok(_)))
}

async fn within<T>(node: &Node, time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut sleep = node.runtime().sleep(time);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Pin::new(&mut sleep).poll(cx).map(|()| None),
    })
    .await
}
