//! An application, written down.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{Node, Restart, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::callbacks::{Application, Callbacks};
use super::config::{ConfigError, Env, Item, Origin, Sections, Settings, environment, of_value};
use super::errors::LoadError;
use super::health::Check;
use super::order::Name;
use crate::supervisor::Supervisor;

/// A program, or a part of one, that is started and stopped as a whole: its name, what it needs, what it is configured
/// with, what it starts.
///
/// This is its specification: it can be started more than once. [`run`](Self::run) is the whole life of a program;
/// [`Applications`](crate::Applications) holds several on one node.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[derive(Actor, Default)]
/// struct Cart;
///
/// #[handlers]
/// impl Cart {}
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let shop = App::new("shop").supervisor(Supervisor::one_for_one().child(Cart::spec()));
///     let shop = shop.start_on(&node()).await?;      // a program would `run` it
///     assert_eq!(shop.supervisor().count_children().await?.active, 1);
///     shop.stop().await?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
#[must_use = "an application does nothing until it is run or started"]
pub struct App {
    pub(super) name: Name,
    pub(super) description: Option<Arc<str>>,
    pub(super) version: Option<Arc<str>>,
    pub(super) kind: Option<Restart>,
    pub(super) needs: Vec<Need>,
    pub(super) callbacks: Callbacks,
    pub(super) stop_within: Option<Duration>,
    pub(super) checks: Vec<Check>,
    pub(super) probe: Option<Arc<str>>,
    pub(super) tells_systemd: bool,
    values: Vec<(Arc<str>, std::result::Result<Item, ConfigError>)>,
    files: Vec<File>,
    environment: Option<Vec<(String, String)>>,
    secrets: Vec<Arc<str>>,
    check: Option<Tries>,
}

/// Tries to read a configuration as it is to be read.
type Tries = fn(&Env) -> std::result::Result<(), ConfigError>;

/// What an application needs: another one by its name, or the other one itself, which is loaded with it.
#[derive(Clone, Debug)]
pub struct Need {
    pub(super) name: Name,
    pub(super) app: Option<Box<App>>,
}

#[derive(Clone)]
struct File {
    path: PathBuf,
    is_optional: bool,
}

impl App {
    /// An application without children.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            description: None,
            version: None,
            kind: None,
            needs: Vec::new(),
            callbacks: Callbacks::default(),
            stop_within: None,
            checks: Vec::new(),
            probe: None,
            tells_systemd: false,
            values: Vec::new(),
            files: Vec::new(),
            environment: None,
            secrets: Vec::new(),
            check: None,
        }
    }

    /// An application with a state of its own. Callbacks that are given as closures as well are called after the type's;
    /// of those before a stop, before it.
    pub fn of<A: Application>(name: impl Into<Arc<str>>) -> Self {
        Self { callbacks: Callbacks::of::<A>(), ..Self::new(name) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is, for people.
    pub fn description(mut self, description: impl Into<Arc<str>>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Which version of it this is, as `env!("CARGO_PKG_VERSION")`.
    pub fn version(mut self, version: impl Into<Arc<str>>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// It needs another application, which starts before it and stops after it: a name of one that is loaded, or an `App`,
    /// which is loaded with this one unless one of its name is.
    pub fn needs(mut self, other: impl Into<Need>) -> Self {
        self.needs.push(other.into());
        self
    }

    /// Whenever it ends by itself, its node ends.
    pub fn permanent(self) -> Self {
        self.kind(Restart::Permanent)
    }

    /// When it ends by itself otherwise than with `Normal`, its node ends.
    pub fn transient(self) -> Self {
        self.kind(Restart::Transient)
    }

    /// When it ends by itself, that is told and nothing else. So is what says nothing of this, unless
    /// [`run`](Self::run) has started it.
    pub fn temporary(self) -> Self {
        self.kind(Restart::Temporary)
    }

    fn kind(self, kind: Restart) -> Self {
        Self { kind: Some(kind), ..self }
    }

    /// What it starts and stops.
    pub fn supervisor(mut self, supervisor: Supervisor) -> Self {
        self.callbacks.tree(supervisor);
        self
    }

    /// What makes the tree that it starts and stops, with the configuration at hand.
    ///
    /// # Examples
    /// ```
    /// use biotope::prelude::*;
    ///
    /// #[derive(Actor, Default)]
    /// struct Till;
    ///
    /// #[handlers]
    /// impl Till {}
    ///
    /// # #[biotope::main]
    /// # async fn main() -> biotope::Result<()> {
    /// let shop = App::new("shop").default("tills", 2).start(async |env| {
    ///     let tills: usize = env.get_or("tills", 1)?;
    ///     Ok(Supervisor::one_for_one().children((0..tills).map(|n| Till::spec().id(format!("till {n}")))))
    /// });
    /// let shop = shop.start_on(&node()).await?;
    /// assert_eq!(shop.supervisor().count_children().await?.active, 2);
    /// # Ok(shop.stop().await?)
    /// # }
    /// ```
    pub fn start<F, Fut>(mut self, start: F) -> Self
    where
        F: Fn(Env) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Supervisor>> + Send + 'static,
    {
        self.callbacks.start(start);
        self
    }

    /// What is done when all children have started, after the phases before. The application has started when the last
    /// phase is over; if one fails, it has not.
    pub fn phase<F, Fut>(mut self, name: impl Into<Arc<str>>, phase: F) -> Self
    where
        F: Fn(Env) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.callbacks.phase(name.into(), phase);
        self
    }

    /// What is done before the children stop. What it fails with is logged, and the stop goes on.
    pub fn before_stop<F, Fut>(mut self, callback: F) -> Self
    where
        F: Fn(Env) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.callbacks.before_stop(callback);
        self
    }

    /// What is done when the children have stopped, or have ended; not if they are killed.
    pub fn after_stop<F, Fut>(mut self, callback: F) -> Self
    where
        F: Fn(Env) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.callbacks.after_stop(callback);
        self
    }

    /// How long its whole stop may take, callbacks included. Then it is killed, and it is told who had not stopped. Without
    /// this, it takes as long as its children may.
    pub fn stop_within(mut self, time: Duration) -> Self {
        self.stop_within = Some(time);
        self
    }

    /// It is ready only if `check` succeeds, which is called whenever somebody asks, and has a second each time.
    pub fn ready_when<F, Fut>(mut self, name: impl Into<Arc<str>>, check: F) -> Self
    where
        F: Fn(Env) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.checks.push(Check::new(name.into(), check));
        self
    }

    /// While it is [run](Self::run), answers HTTP on `address` (as `127.0.0.1:8080`): `/healthz` says whether it lives,
    /// `/readyz` whether it is ready. In a seeded run, which has no outside, it does not.
    pub fn probe(mut self, address: impl Into<Arc<str>>) -> Self {
        self.probe = Some(address.into());
        self
    }

    /// While it is [run](Self::run), tells systemd that it is ready, that it stops, and, if the unit has a watchdog, that it
    /// lives. Without systemd, it tells nobody.
    pub fn systemd(mut self) -> Self {
        self.tells_systemd = true;
        self
    }
}

/// Its configuration. [`docs/applications.md`] has the layers.
///
/// [`docs/applications.md`]: https://github.com/biotope-rs/biotope/blob/main/docs/applications.md
impl App {
    /// The default of one key, as in `http.port`.
    pub fn default(self, key: impl Into<Arc<str>>, value: impl Serialize) -> Self {
        self.value(key.into(), value, Origin::Default)
    }

    /// The defaults of all keys of a value, as a struct of the program's.
    pub fn defaults(self, value: impl Serialize) -> Self {
        self.value("".into(), value, Origin::Default)
    }

    /// The value of one key, whatever files and environment say.
    pub fn set(self, key: impl Into<Arc<str>>, value: impl Serialize) -> Self {
        self.value(key.into(), value, Origin::Builder)
    }

    fn value(mut self, key: Arc<str>, value: impl Serialize, origin: Origin) -> Self {
        let item = of_value(&key, value, origin);
        self.values.push((key, item));
        self
    }

    /// A TOML file with a section for this application, as `[shop]`, and for those that it needs. It must exist. Of several
    /// files the later ones win.
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(File { path: path.into(), is_optional: false });
        self
    }

    /// Like [`config_file`](Self::config_file), of a file that need not exist.
    pub fn config_file_if_any(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(File { path: path.into(), is_optional: true });
        self
    }

    /// The variables to be looked at instead of those of the OS process.
    pub fn environment<K: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.environment = Some(variables.into_iter().map(|(name, text)| (name.into(), text.into())).collect());
        self
    }

    /// What its configuration is read as. It is tried when it is loaded: a wrong key or type is told before anything
    /// starts. [`Env::config`] reads it.
    pub fn config<T: DeserializeOwned>(mut self) -> Self {
        self.check = Some(|env| {
            let (_, strangers) = env.checked::<T>()?;
            for variable in strangers {
                tracing::warn!(application = env.name(), %variable, "an environment variable names no key: passed over");
            }
            Ok(())
        });
        self
    }

    /// The value of this key is shown nowhere.
    pub fn secret(mut self, key: impl Into<Arc<str>>) -> Self {
        self.secrets.push(key.into());
        self
    }
}

impl App {
    /// This application, and those that it brings with it; each before what needs it, and with its configuration. Reads
    /// files.
    pub(super) fn prepare(&self, node: &Node) -> std::result::Result<Vec<Prepared>, LoadError> {
        let mut all = Vec::new();
        self.gather(&mut all);
        let mut known: Vec<Name> = all.iter().flat_map(|app| app.needs.iter().map(|need| need.name.clone())).collect();
        known.insert(0, self.name.clone());
        known.extend(all.iter().map(|app| app.name.clone()));
        known.sort();
        known.dedup();
        let files = self.sections(&known)?;
        let prepared = all.into_iter().map(|app| {
            let own = if app.name == self.name { Vec::new() } else { app.sections(&known)? };
            let env = app.configure(node, files.iter().chain(&own));
            let env = env.map_err(|error| LoadError::Config { name: app.name.clone(), error })?;
            Ok(Prepared { app: app.clone(), env })
        });
        prepared.collect()
    }

    fn gather<'a>(&'a self, out: &mut Vec<&'a Self>) {
        for app in self.needs.iter().filter_map(|need| need.app.as_deref()) {
            app.gather(out);
        }
        if !out.iter().any(|app| app.name == self.name) {
            out.push(self);
        }
    }

    fn sections(&self, known: &[Name]) -> std::result::Result<Vec<Sections>, LoadError> {
        let read = self.files.iter().filter(|file| !file.is_optional || file.path.exists()).map(|file| {
            let sections = Sections::read(&file.path)?;
            sections.check(known).map(|()| sections)
        });
        let read: std::result::Result<_, ConfigError> = read.collect();
        read.map_err(|error| LoadError::Config { name: self.name.clone(), error })
    }

    fn configure<'a>(
        &self,
        node: &Node,
        files: impl Iterator<Item = &'a Sections>,
    ) -> std::result::Result<Env, ConfigError> {
        let mut values = Item::empty();
        self.cover(&mut values, &Origin::Default)?;
        for section in files.filter_map(|sections| sections.of(&self.name)) {
            values.cover(section.clone());
        }
        let layer = match &self.environment {
            Some(variables) => environment(&self.name, variables.iter().cloned()),
            // What is no Unicode says nothing.
            None => environment(&self.name, std::env::vars_os().filter_map(unicode)),
        };
        values.cover(layer);
        self.cover(&mut values, &Origin::Builder)?;
        let secrets = self.secrets.iter().map(ToString::to_string);
        let env = Env::new(self.name.clone(), node.clone(), Settings::new(values, secrets));
        if let Some(check) = self.check {
            check(&env)?;
        }
        for line in env.describe() {
            tracing::debug!(application = &*self.name, "configured: {line}");
        }
        Ok(env)
    }

    /// Puts what the program says on top.
    fn cover(&self, values: &mut Item, origin: &Origin) -> std::result::Result<(), ConfigError> {
        for (key, item) in &self.values {
            let item = item.clone()?;
            if item.origin == *origin {
                values.put(key, item);
            }
        }
        Ok(())
    }
}

fn unicode((name, text): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, text.into_string().ok()?))
}

/// An application with its configuration.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) app: App,
    pub(super) env: Env,
}

impl From<&str> for Need {
    fn from(name: &str) -> Self {
        Self { name: name.into(), app: None }
    }
}

impl From<Name> for Need {
    fn from(name: Name) -> Self {
        Self { name, app: None }
    }
}

impl From<App> for Need {
    fn from(app: App) -> Self {
        Self { name: app.name.clone(), app: Some(Box::new(app)) }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs: Vec<&str> = self.needs.iter().map(|need| &*need.name).collect();
        f.debug_struct("App")
            .field("name", &self.name)
            .field("needs", &needs)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
