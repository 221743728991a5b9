//! What an application reads its configuration from.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use biotope_runtime::Node;
use parking_lot::RwLock;
use serde::de::DeserializeOwned;

use super::de::{self, Learned};
use super::error::ConfigError;
use super::tree::{Item, folded};

/// What an application knows of itself: its name, its node and its configuration. Cheap to clone.
///
/// Reading is quick and waits for nobody. What is set while the application is loaded is seen by the next read. A handle
/// that was kept still reads when the application is no longer loaded.
///
/// # Examples
/// ```
/// use biotope::prelude::*;
///
/// #[biotope::main]
/// async fn main() -> biotope::Result<()> {
///     let shop = App::new("shop").default("http.port", 80).set("http.host", "::1");
///     let applications = node().applications();
///     applications.load(shop).await?;
///     let env = applications.env("shop").await.expect("it is loaded");
///     assert_eq!(env.get::<u16>("http.port")?, Some(80));
///     assert_eq!(env.get_or("http.threads", 4)?, 4);
///     applications.unload("shop").await?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Env(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    node: Node,
    settings: RwLock<Settings>,
}

/// The values of an application, layer on layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    values: Option<Item>,
    /// The keys of what is not to be shown, [`folded`].
    secrets: BTreeSet<String>,
}

/// The parts of keys that are not shown, whether or not they were said to be secret.
const SECRET_WORDS: [&str; 4] = ["password", "passphrase", "secret", "token"];

impl Settings {
    pub(crate) fn new(values: Item, secrets: impl IntoIterator<Item = String>) -> Self {
        let mut settings = Self { values: Some(values), ..Self::default() };
        settings.hide(secrets);
        settings
    }

    fn hide(&mut self, keys: impl IntoIterator<Item = String>) {
        self.secrets.extend(keys.into_iter().map(|key| folded(&key).collect::<String>()));
    }

    fn is_secret(&self, key: &str) -> bool {
        let key: String = folded(key).collect();
        let is_within = |secret: &String| {
            key.strip_prefix(secret.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.secrets.iter().any(is_within) || SECRET_WORDS.iter().any(|word| key.contains(word))
    }

    /// Whether there are secrets within `key`, as in a list.
    fn has_secrets(&self, key: &str) -> bool {
        let within: String = folded(key).chain(['.']).collect();
        self.secrets.iter().any(|secret| secret.starts_with(&within))
    }

    /// What is said of a value; of a secret, not which one.
    fn shown(&self, error: ConfigError) -> ConfigError {
        match error {
            ConfigError::Value { origin, key, .. } if self.is_secret(&key) => {
                ConfigError::Value { origin, key, message: "the secret is refused".into() }
            }
            other => other,
        }
    }
}

impl Env {
    pub(crate) fn new(name: Arc<str>, node: Node, settings: Settings) -> Self {
        Self(Arc::new(Inner { name, node, settings: RwLock::new(settings) }))
    }

    /// The application's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The node that the application is loaded on.
    pub fn node(&self) -> &Node {
        &self.0.node
    }

    /// The whole configuration as a `T`.
    ///
    /// # Errors
    /// [`ConfigError`], which says where the wrong value was said, and what is allowed.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        self.checked().map(|(config, _)| config)
    }

    /// The value at `key`, as in `http.port`; `None` if there is none.
    ///
    /// # Errors
    /// [`ConfigError`] if it is no `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ConfigError> {
        let settings = self.0.settings.read();
        match settings.values.as_ref().and_then(|values| values.at(key)) {
            None => Ok(None),
            Some(item) => {
                let read = de::read(&self.0.name, key, item, &mut Learned::default());
                read.map(Some).map_err(|error| settings.shown(error))
            }
        }
    }

    /// The value at `key`, or `default`.
    ///
    /// # Errors
    /// [`ConfigError`] if there is one that is no `T`.
    pub fn get_or<T: DeserializeOwned>(&self, key: &str, default: T) -> Result<T, ConfigError> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// Each value with its key and where it was said, for people: `http.port = 80 (shop.toml:3:1)`. Secrets are not
    /// shown.
    pub fn describe(&self) -> Vec<String> {
        let settings = self.0.settings.read();
        let leaves = settings.values.iter().flat_map(Item::leaves);
        let line = |(key, item): (String, &Item)| {
            let value = if settings.is_secret(&key) || settings.has_secrets(&key) {
                "***".to_owned()
            } else {
                item.value.to_string()
            };
            format!("{key} = {value} ({})", item.origin)
        };
        leaves.map(line).collect()
    }

    /// The configuration as a `T`, and the environment variables that name none of its keys.
    pub(crate) fn checked<T: DeserializeOwned>(&self) -> Result<(T, BTreeSet<Arc<str>>), ConfigError> {
        let mut learned = Learned::default();
        let empty = Item::empty();
        let config = {
            let settings = self.0.settings.read();
            let values = settings.values.as_ref().unwrap_or(&empty);
            de::read(&self.0.name, "", values, &mut learned).map_err(|error| settings.shown(error))?
        };
        if !learned.secrets.is_empty() {
            self.0.settings.write().hide(learned.secrets);
        }
        Ok((config, learned.strangers))
    }

    pub(crate) fn set(&self, key: &str, item: Item) {
        self.0.settings.write().values.get_or_insert_with(Item::empty).put(key, item);
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Env({}: {})", self.0.name, self.describe().join(", "))
    }
}
