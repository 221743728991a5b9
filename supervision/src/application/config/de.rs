//! Values as types of the program, read with serde.
//!
//! serde says what is wrong; here it is said where: an error gets the place of the innermost value that it is about. A
//! struct says what its keys are called, so a key that it does not have is refused, whether or not it says so itself.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::ConfigError;
use super::tree::{Item, Origin, Part, Table, Value, join};
use super::{duration, read, secret};

/// What was learned while a type was read.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// The keys of values that are not to be shown.
    pub(super) secrets: BTreeSet<String>,
    /// The variables of the environment that look as if they were meant, and name no key. They may be others' business.
    pub(super) strangers: BTreeSet<Arc<str>>,
}

/// Reads the item at `key` of the application `name` as a `T`.
pub(super) fn read<T: DeserializeOwned>(
    name: &str,
    key: &str,
    item: &Item,
    learned: &mut Learned,
) -> Result<T, ConfigError> {
    let place = Place { name, key: key.to_owned(), is_secret: false };
    T::deserialize(Reader { item, place: place.clone(), learned })
        .map_err(|fault| fault.located(&place, &item.origin).into_error())
}

/// Where a value is.
#[derive(Clone)]
struct Place<'a> {
    name: &'a str,
    key: String,
    is_secret: bool,
}

impl Place<'_> {
    fn within(&self, part: &str) -> Self {
        Self { key: join(&self.key, part), ..self.clone() }
    }
}

/// What is wrong, as serde says it, until it is known where.
#[derive(Debug)]
enum Fault {
    Said(String),
    Mismatch { expected: String, found: String },
    Missing(&'static str),
    Located(ConfigError),
}

impl Fault {
    fn located(self, place: &Place<'_>, origin: &Origin) -> Self {
        let key: Arc<str> = place.key.as_str().into();
        let message = match self {
            Self::Located(error) => return Self::Located(error),
            Self::Missing(field) => {
                let key = join(&place.key, field);
                let section = join(place.name, &place.key).into();
                let variable = read::variable(place.name, &key).into();
                return Self::Located(ConfigError::Missing { key: key.into(), section, variable });
            }
            Self::Mismatch { expected, .. } if place.is_secret => format!("expected {expected}"),
            Self::Said(_) if place.is_secret => "the secret is refused".to_owned(),
            Self::Mismatch { expected, found } => format!("expected {expected}, found {found}"),
            Self::Said(message) => message,
        };
        Self::Located(ConfigError::Value { origin: origin.clone(), key, message: message.into() })
    }

    fn into_error(self) -> ConfigError {
        match self {
            Self::Located(error) => error,
            _ => unreachable!("whoever returns it has said where it is"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(message) => f.write_str(message),
            Self::Mismatch { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::Missing(field) => write!(f, "`{field}` is missing"),
            Self::Located(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Said(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Mismatch { expected: expected.to_string(), found: found.to_string() }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

/// One value, to be read.
struct Reader<'a> {
    item: &'a Item,
    place: Place<'a>,
    learned: &'a mut Learned,
}

impl<'a> Reader<'a> {
    /// Reads it as `f` does; what that finds wrong is wrong here.
    fn here<T>(self, f: impl FnOnce(Self) -> Result<T, Fault>) -> Result<T, Fault> {
        let (place, origin) = (self.place.clone(), &self.item.origin);
        f(self).map_err(|fault| fault.located(&place, origin))
    }

    fn plain<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.item.value {
            Value::Table(table) => visitor.visit_map(Entries::new(table, None, self.place.clone(), self.learned)),
            Value::Array(items) => self.list(items, visitor),
            Value::String(text) => visitor.visit_str(text),
            Value::Integer(integer) => visitor.visit_i64(*integer),
            Value::Float(float) => visitor.visit_f64(*float),
            Value::Bool(boolean) => visitor.visit_bool(*boolean),
            Value::Text(text) => match (text.parse(), text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(boolean), _, _) => visitor.visit_bool(boolean),
                (_, Ok(integer), _) => visitor.visit_i64(integer),
                (_, _, Ok(float)) => visitor.visit_f64(float),
                _ => visitor.visit_str(text),
            },
        }
    }

    fn list<'de, V: Visitor<'de>>(self, items: &[Item], visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(Items { items: items.iter(), at: 0, place: self.place.clone(), learned: self.learned })
    }

    /// Fails for a key that is none of `fields`.
    fn check(&mut self, table: &Table, fields: &'static [&'static str]) -> Result<(), Fault> {
        for (key, item) in table {
            if field_of(key, fields).is_some() {
                continue;
            }
            if let (Origin::Environment(variable), "") = (&item.origin, self.place.key.as_str()) {
                self.learned.strangers.insert(variable.clone());
                continue;
            }
            return Err(Fault::Located(ConfigError::UnknownKey {
                origin: item.origin.clone(),
                key: join(&self.place.key, key.as_str()).into(),
                allowed: fields.iter().map(|field| (*field).into()).collect(),
            }));
        }
        Ok(())
    }
}

/// The field that `key` stands for.
fn field_of(key: &Part, fields: &'static [&'static str]) -> Option<&'static str> {
    fields.iter().find(|field| Part::from(**field) == *key).copied()
}

/// Reads numbers and booleans: text of the environment is parsed.
macro_rules! parsed {
    ($($method:ident: $type:ty => $visit:ident),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.here(|reader| match &reader.item.value {
                Value::Text(text) => match text.trim().parse::<$type>() {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => Err(Fault::invalid_value(Unexpected::Str(text), &visitor)),
                },
                _ => reader.plain(visitor),
            })
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    parsed! {
        deserialize_bool: bool => visit_bool,
        deserialize_i8: i64 => visit_i64,
        deserialize_i16: i64 => visit_i64,
        deserialize_i32: i64 => visit_i64,
        deserialize_i64: i64 => visit_i64,
        deserialize_u8: u64 => visit_u64,
        deserialize_u16: u64 => visit_u64,
        deserialize_u32: u64 => visit_u64,
        deserialize_u64: u64 => visit_u64,
        deserialize_f32: f64 => visit_f64,
        deserialize_f64: f64 => visit_f64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.here(|reader| reader.plain(visitor))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.here(|reader| match &reader.item.value {
            Value::Text(text) => visitor.visit_str(text),
            _ => reader.plain(visitor),
        })
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.here(|reader| match &reader.item.value {
            // A list in an environment variable: `a, b`.
            Value::Text(text) => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                let item = |part: &str| Item::new(Value::Text(part.to_owned()), reader.item.origin.clone());
                let items: Vec<Item> = parts.map(item).collect();
                reader.list(&items, visitor)
            }
            _ => reader.plain(visitor),
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == secret::NAME {
            self.place.is_secret = true;
            self.learned.secrets.insert(self.place.key.clone());
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.here(|mut reader| match &reader.item.value {
            Value::String(text) | Value::Text(text) if name == "Duration" => match duration::parse(text) {
                Some(duration) => visitor.visit_seq(serde::de::value::SeqDeserializer::new(
                    [duration.as_secs(), u64::from(duration.subsec_nanos())].into_iter(),
                )),
                None => Err(Fault::invalid_value(Unexpected::Str(text), &duration::ALLOWED)),
            },
            Value::Table(table) => {
                reader.check(table, fields)?;
                visitor.visit_map(Entries::new(table, Some(fields), reader.place.clone(), reader.learned))
            }
            _ => reader.plain(visitor),
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.here(|reader| match &reader.item.value {
            Value::String(text) | Value::Text(text) => {
                let text: StrDeserializer<'_, Fault> = text.as_str().into_deserializer();
                visitor.visit_enum(text)
            }
            Value::Table(table) if table.len() == 1 => {
                let entries = Entries::new(table, None, reader.place.clone(), reader.learned);
                visitor.visit_enum(MapAccessDeserializer::new(entries))
            }
            other => Err(Fault::invalid_type(Unexpected::Other(other.kind()), &"a name, or a table of one key")),
        })
    }

    forward_to_deserialize_any! {
        bytes byte_buf unit unit_struct tuple_struct map identifier ignored_any
    }
}

/// The entries of a table.
struct Entries<'a> {
    entries: std::collections::btree_map::Iter<'a, Part, Item>,
    /// What a struct calls its keys.
    fields: Option<&'static [&'static str]>,
    next: Option<(&'a str, &'a Item)>,
    place: Place<'a>,
    learned: &'a mut Learned,
}

impl<'a> Entries<'a> {
    fn new(
        table: &'a Table,
        fields: Option<&'static [&'static str]>,
        place: Place<'a>,
        learned: &'a mut Learned,
    ) -> Self {
        Self { entries: table.iter(), fields, next: None, place, learned }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        for (key, item) in self.entries.by_ref() {
            let key = match self.fields {
                Some(fields) => match field_of(key, fields) {
                    Some(field) => field,
                    // Passed over: see `check`.
                    None => continue,
                },
                None => key.as_str(),
            };
            self.next = Some((key, item));
            let key: StrDeserializer<'_, Fault> = key.into_deserializer();
            return seed.deserialize(key).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((key, item)) = self.next.take() else { unreachable!("serde asks for a key first") };
        let place = self.place.within(key);
        let reader = Reader { item, place: place.clone(), learned: self.learned };
        seed.deserialize(reader).map_err(|fault| fault.located(&place, &item.origin))
    }
}

/// The items of an array.
struct Items<'a> {
    items: std::slice::Iter<'a, Item>,
    at: usize,
    place: Place<'a>,
    learned: &'a mut Learned,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let place = self.place.within(&self.at.to_string());
        self.at += 1;
        let reader = Reader { item, place: place.clone(), learned: self.learned };
        seed.deserialize(reader).map(Some).map_err(|fault| fault.located(&place, &item.origin))
    }
}
