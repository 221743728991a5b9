//! Values, each with its origin; how one layer covers another.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where a value of a configuration was said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// In the specification of the application, as a default.
    Default,
    /// In a file.
    File {
        /// The file, as it was named.
        path: Arc<str>,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// In an environment variable.
    Environment(Arc<str>),
    /// By the program, above files and environment.
    Builder,
    /// By the program, while the application was loaded.
    Set,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File { path, line, column } => write!(f, "{path}:{line}:{column}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Builder => f.write_str("the program"),
            Self::Set => f.write_str("set by the program"),
        }
    }
}

/// A value, and where it was said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// A part of a key, as it is spelled. Spellings that differ in case, or in `-` for `_`, are equal, since an environment
/// variable has neither small letters nor hyphens.
#[derive(Clone, Debug)]
pub(crate) struct Part(String);

impl Part {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn letters(&self) -> impl Iterator<Item = char> {
        folded(&self.0)
    }
}

impl From<&str> for Part {
    fn from(part: &str) -> Self {
        Self(part.to_owned())
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Part {}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Part {
    fn cmp(&self, other: &Self) -> Ordering {
        self.letters().cmp(other.letters())
    }
}

/// A key without what its spellings differ in.
pub(crate) fn folded(key: &str) -> impl Iterator<Item = char> {
    key.chars().flat_map(char::to_lowercase).map(|letter| if letter == '-' { '_' } else { letter })
}

pub(crate) type Table = BTreeMap<Part, Item>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Table(Table),
    Array(Vec<Item>),
    String(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// What has no type of its own, as in an environment variable: it is read as what is asked for.
    Text(String),
}

impl Item {
    pub(crate) fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// A configuration without any value.
    pub(crate) fn empty() -> Self {
        Self::new(Value::Table(BTreeMap::new()), Origin::Default)
    }

    /// The value at `key`, as in `http.port`; the whole at the key that is empty.
    pub(crate) fn at(&self, key: &str) -> Option<&Self> {
        let mut item = self;
        for part in parts(key) {
            let Value::Table(table) = &item.value else { return None };
            item = table.get(&part.into())?;
        }
        Some(item)
    }

    /// Puts `item` at `key`. Tables on the way are made; what is no table there gives way.
    pub(crate) fn put(&mut self, key: &str, item: Self) {
        let mut place = self;
        for part in parts(key) {
            if !matches!(place.value, Value::Table(_)) {
                place.value = Value::Table(BTreeMap::new());
            }
            let Value::Table(table) = &mut place.value else { unreachable!("it has just been made one") };
            let origin = item.origin.clone();
            place = table.entry(part.into()).or_insert_with(|| Self::new(Value::Table(BTreeMap::new()), origin));
        }
        place.cover(item);
    }

    /// Puts `over` on top: of two tables key by key, of other values the one on top. A key keeps the spelling that it has
    /// below.
    pub(crate) fn cover(&mut self, over: Self) {
        match (&mut self.value, over.value) {
            (Value::Table(below), Value::Table(above)) => {
                for (key, item) in above {
                    match below.get_mut(&key) {
                        Some(covered) => covered.cover(item),
                        None => drop(below.insert(key, item)),
                    }
                }
                // A table is where something was said last, and not where its defaults are.
                self.origin = over.origin;
            }
            (_, value) => *self = Self::new(value, over.origin),
        }
    }

    /// Each value that is no table, with its key, in order.
    pub(crate) fn leaves(&self) -> Vec<(String, &Self)> {
        let mut leaves = Vec::new();
        self.gather(String::new(), &mut leaves);
        leaves
    }

    fn gather<'a>(&'a self, key: String, out: &mut Vec<(String, &'a Self)>) {
        match &self.value {
            Value::Table(table) => table.iter().for_each(|(part, item)| item.gather(join(&key, part.as_str()), out)),
            _ => out.push((key, self)),
        }
    }
}

impl Value {
    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::Array(_) => "an array",
            Self::String(_) | Self::Text(_) => "text",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Bool(_) => "a boolean",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => {
                f.write_str("{ ")?;
                for (at, (key, item)) in table.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{} = {}", key.as_str(), item.value)?;
                }
                f.write_str(" }")
            }
            Self::Array(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", item.value)?;
                }
                f.write_str("]")
            }
            Self::String(text) | Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Float(n) => write!(f, "{n}"),
            Self::Bool(b) => write!(f, "{b}"),
        }
    }
}

/// The key `part` in the table `key`. Either may be the whole.
pub(crate) fn join(key: &str, part: &str) -> String {
    match (key, part) {
        ("", whole) | (whole, "") => whole.to_owned(),
        _ => format!("{key}.{part}"),
    }
}

fn parts(key: &str) -> impl Iterator<Item = &str> {
    key.split('.').filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(n: i64, origin: Origin) -> Item {
        Item::new(Value::Integer(n), origin)
    }

    #[test]
    fn a_layer_covers_key_by_key() {
        let mut config = Item::empty();
        config.put("http.port", said(1, Origin::Default));
        config.put("http.threads", said(2, Origin::Default));
        let mut over = Item::empty();
        over.put("http.port", said(3, Origin::Builder));
        config.cover(over);
        assert_eq!(config.at("http.port"), Some(&said(3, Origin::Builder)));
        assert_eq!(config.at("http.threads"), Some(&said(2, Origin::Default)));
        assert_eq!(config.at("http.nothing"), None);
        assert_eq!(config.at("http.port.deeper"), None);
    }

    proptest! {
        /// Whatever the layers say, each key has what the last one says that speaks of it.
        #[test]
        fn the_last_layer_that_speaks_of_a_key_wins(
            layers in prop::collection::vec(prop::collection::btree_map("[ab]\\.[cd]|[ef]", 0_i64..9, 0..5), 0..6),
        ) {
            let mut config = Item::empty();
            let mut expected = BTreeMap::new();
            for layer in layers {
                let mut item = Item::empty();
                for (key, n) in layer {
                    item.put(&key, said(n, Origin::Builder));
                    expected.insert(key, n);
                }
                config.cover(item);
            }
            let leaves: Vec<(String, Value)> =
                config.leaves().into_iter().map(|(key, item)| (key, item.value.clone())).collect();
            let expected: Vec<(String, Value)> =
                expected.into_iter().map(|(key, n)| (key, Value::Integer(n))).collect();
            prop_assert_eq!(leaves, expected);
        }
    }
}
