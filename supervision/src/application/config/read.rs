//! Layers from TOML, from the environment, from values of the program.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::tree::{Item, Origin, Part, Table, Value};

/// What a file says, application by application.
pub(crate) struct Sections(Table);

impl Sections {
    /// Reads the file at `path`. It blocks its thread meanwhile.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let shown: Arc<str> = path.display().to_string().into();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File { path: shown.clone(), error: error.to_string().into() })?;
        Self::parse(&shown, &text)
    }

    pub(crate) fn parse(path: &Arc<str>, text: &str) -> Result<Self, ConfigError> {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at);
        let lines = std::iter::once(0).chain(newlines.map(|at| at + 1)).collect();
        let source = Source { path, text, lines };
        let parsed = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            origin: source.origin(error.span().unwrap_or(0..0)),
            message: error.message().replace('\n', ", ").into(),
        })?;
        Ok(Self(source.table(parsed.get_ref())?))
    }

    /// The section of the application `name`.
    pub(crate) fn of(&self, name: &str) -> Option<&Item> {
        self.0.get(&name.into())
    }

    /// Fails if it speaks of an application that is not in `known`.
    pub(crate) fn check(&self, known: &[Arc<str>]) -> Result<(), ConfigError> {
        let is_known = |name: &Part| known.iter().any(|known| Part::from(&**known) == *name);
        match self.0.iter().find(|(name, item)| !is_known(name) || !matches!(item.value, Value::Table(_))) {
            None => Ok(()),
            Some((name, item)) => Err(ConfigError::UnknownKey {
                origin: item.origin.clone(),
                key: name.as_str().into(),
                allowed: known.iter().map(|name| format!("[{name}]").into()).collect(),
            }),
        }
    }
}

/// A text that is read, and what it is called.
struct Source<'a> {
    path: &'a Arc<str>,
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Source<'_> {
    fn origin(&self, span: Range<usize>) -> Origin {
        let at = span.start.min(self.text.len());
        // The first begins at 0, so there is one.
        let line = self.lines.partition_point(|begins| *begins <= at);
        let column = String::from_utf8_lossy(&self.text.as_bytes()[self.lines[line - 1]..at]).chars().count();
        Origin::File { path: self.path.clone(), line, column: column + 1 }
    }

    /// A table says where its keys are: that is where somebody looks who has written a wrong one.
    fn table(&self, table: &DeTable<'_>) -> Result<Table, ConfigError> {
        let mut items = Table::new();
        for (key, value) in table {
            let (part, origin) = (Part::from(&**key.get_ref()), self.origin(key.span()));
            if let Some((other, item)) = items.get_key_value(&part) {
                let message = format!("it is said as `{}` as well ({})", other.as_str(), item.origin).into();
                return Err(ConfigError::Value { origin, key: part.as_str().into(), message });
            }
            items.insert(part, Item::new(self.value(key.get_ref(), value)?, origin));
        }
        Ok(items)
    }

    fn value(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<Value, ConfigError> {
        let out_of_range = |message: String| ConfigError::Value {
            origin: self.origin(value.span()),
            key: key.into(),
            message: message.into(),
        };
        Ok(match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(integer) => Value::Integer(integer),
                Err(error) => return Err(out_of_range(format!("{} is no integer: {error}", integer.as_str()))),
            },
            DeValue::Float(float) => match float.as_str().parse() {
                Ok(float) => Value::Float(float),
                Err(error) => return Err(out_of_range(format!("{} is no number: {error}", float.as_str()))),
            },
            DeValue::Boolean(boolean) => Value::Bool(*boolean),
            DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| Ok(Item::new(self.value(key, item)?, self.origin(item.span()))));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => Value::Table(self.table(table)?),
        })
    }
}

/// So many parts a key has at most that the environment says.
const DEEPEST_KEY: usize = 32;

/// What the environment says of the application `name`: `SHOP_HTTP__PORT` of `http.port` of `shop`.
pub(crate) fn environment(name: &str, variables: impl IntoIterator<Item = (String, String)>) -> Item {
    let prefix = prefix(name);
    let mut layer = Item::empty();
    let mut named: Vec<(String, String)> =
        variables.into_iter().filter(|(variable, _)| variable.starts_with(&prefix)).collect();
    // One that is within another comes after it, whatever order the environment has.
    named.sort();
    for (variable, text) in named {
        let key = variable[prefix.len()..].to_lowercase().replace("__", ".");
        let mut parts = key.split('.');
        // One that names no key is somebody else's, as is one that goes deeper than any configuration does.
        if parts.clone().count() <= DEEPEST_KEY && parts.all(|part| !part.is_empty()) {
            layer.put(&key, Item::new(Value::Text(text), Origin::Environment(variable.into())));
        }
    }
    layer
}

/// The environment variable that says `key` of the application `name`.
pub(super) fn variable(name: &str, key: &str) -> String {
    prefix(name) + &key.to_uppercase().replace('-', "_").replace('.', "__")
}

fn prefix(name: &str) -> String {
    name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_") + "_"
}

/// A value of the program's, for `key`.
pub(crate) fn of_value(key: &str, value: impl Serialize, origin: Origin) -> Result<Item, ConfigError> {
    let refused = |message: String| ConfigError::Program { key: key.into(), message: message.into() };
    let value = toml::Value::try_from(value).map_err(|error| refused(error.to_string()))?;
    of_toml(value, &origin).map_err(refused)
}

/// Fails with what is wrong.
fn of_toml(value: toml::Value, origin: &Origin) -> Result<Item, String> {
    let value = match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(integer) => Value::Integer(integer),
        toml::Value::Float(float) => Value::Float(float),
        toml::Value::Boolean(boolean) => Value::Bool(boolean),
        toml::Value::Datetime(datetime) => Value::String(datetime.to_string()),
        toml::Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| of_toml(item, origin)).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(table) => {
            let mut items = Table::new();
            for (key, value) in table {
                let part = Part::from(key.as_str());
                if let Some((other, _)) = items.get_key_value(&part) {
                    return Err(format!("`{}` and `{key}` are one key", other.as_str()));
                }
                items.insert(part, of_toml(value, origin)?);
            }
            Value::Table(items)
        }
    };
    Ok(Item::new(value, origin.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(text: &str) -> Result<Sections, ConfigError> {
        Sections::parse(&"shop.toml".into(), text)
    }

    #[test]
    fn a_value_of_a_file_knows_its_line() {
        let sections = sections("[shop]\nname = 'corner'\n\n[shop.http]\n  port = 0x50\n").unwrap();
        let port = sections.of("shop").and_then(|shop| shop.at("http.port")).unwrap();
        assert_eq!(port.value, Value::Integer(80));
        assert_eq!(port.origin.to_string(), "shop.toml:5:3");
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_place() {
        let error = sections("[shop]\nport = = 1\n").err().unwrap().to_string();
        assert!(error.starts_with("shop.toml:2:8: "), "{error}");
        let error = sections("[shop]\nport = 99999999999999999999\n").err().unwrap().to_string();
        assert!(error.starts_with("shop.toml:2:8: `port`: 99999999999999999999 is no integer"), "{error}");
    }

    #[test]
    fn a_section_of_nobody_is_refused() {
        let sections = sections("[shpo]\nport = 1\n").unwrap();
        let error = sections.check(&["shop".into(), "store".into()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "shop.toml:1:2: nothing is called `shpo`, did you mean `[shop]`?; allowed: [shop], [store]"
        );
    }

    #[test]
    fn the_environment_says_keys_by_its_names() {
        let variables = [("SHOP_HTTP__PORT", "80"), ("SHOP_NAME", "corner"), ("SHOPPING", "no"), ("HOME", "no")];
        let layer = environment("shop", variables.map(|(name, text)| (name.to_owned(), text.to_owned())));
        let said: Vec<String> = layer.leaves().iter().map(|(key, item)| format!("{key} = {}", item.value)).collect();
        assert_eq!(said, [r#"http.port = "80""#, r#"name = "corner""#]);
        assert_eq!(variable("my-shop", "http.max-size"), "MY_SHOP_HTTP__MAX_SIZE");
    }
}
