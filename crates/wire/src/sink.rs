//! What a walk over bytes makes of them.
//!
//! Each protocol has one walk, generic over a [`Sink`]: with [`Build`] it gives owned values, with [`Skim`] it checks
//! the same bytes by the same rules and gives nothing. So the two cannot disagree about what is well formed.

use indexmap::IndexMap;

use crate::{Dictionary, DictionaryType, Hashtable, Parameters, Value};

/// A key as it lies in the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyBytes<'a> {
    pub(crate) bytes: &'a [u8],
    /// Then, and only then, equal keys have equal bytes.
    pub(crate) canonical: bool,
}

/// What became of an entry of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    New,
    Duplicate,
    /// The sink cannot tell.
    Unknown,
}

pub(crate) trait Sink {
    type Value;
    type List<T>;
    /// A table that is being read.
    type Table<'a>;
    /// One that was read.
    type Entries;
    type Parameters: Default;

    /// A value that has no values inside.
    fn value(make: impl FnOnce() -> Value) -> Self::Value;

    fn list<T>(capacity: usize) -> Self::List<T>;
    fn push<T>(list: &mut Self::List<T>, item: impl FnOnce() -> T);
    fn array<T>(list: Self::List<T>, wrap: impl FnOnce(Vec<T>) -> Value) -> Self::Value;
    fn values(list: Self::List<Self::Value>, wrap: impl FnOnce(Vec<Value>) -> Value) -> Self::Value;

    fn table<'a>(capacity: usize) -> Self::Table<'a>;
    fn insert<'a>(
        table: &mut Self::Table<'a>,
        key_bytes: KeyBytes<'a>,
        key: Self::Value,
        value: Self::Value,
    ) -> Inserted;
    fn entries(table: Self::Table<'_>) -> Self::Entries;
    fn hashtable(entries: Self::Entries) -> Self::Value;
    fn hashtables(list: Self::List<Self::Entries>) -> Self::Value;
    fn dictionary(entries: Self::Entries, types: impl FnOnce(&IndexMap<Value, Value>) -> DictionaryType)
    -> Self::Value;
    fn dictionaries(
        list: Self::List<Self::Entries>,
        types: impl FnOnce(&[IndexMap<Value, Value>]) -> DictionaryType,
    ) -> Self::Value;

    fn parameter(parameters: &mut Self::Parameters, key: u8, value: Self::Value);
    fn message(
        parameters: Self::Parameters,
        debug_message: Option<Self::Value>,
        wrap: impl FnOnce(Parameters, Option<String>) -> Value,
    ) -> Self::Value;
}

/// Gives owned values.
#[derive(Debug)]
pub(crate) enum Build {}

impl Sink for Build {
    type Value = Value;
    type List<T> = Vec<T>;
    type Table<'a> = IndexMap<Value, Value>;
    type Entries = IndexMap<Value, Value>;
    type Parameters = Parameters;

    fn value(make: impl FnOnce() -> Value) -> Value {
        make()
    }

    fn list<T>(capacity: usize) -> Vec<T> {
        Vec::with_capacity(capacity)
    }

    fn push<T>(list: &mut Vec<T>, item: impl FnOnce() -> T) {
        list.push(item());
    }

    fn array<T>(list: Vec<T>, wrap: impl FnOnce(Vec<T>) -> Value) -> Value {
        wrap(list)
    }

    fn values(list: Vec<Value>, wrap: impl FnOnce(Vec<Value>) -> Value) -> Value {
        wrap(list)
    }

    fn table<'a>(capacity: usize) -> Self::Table<'a> {
        IndexMap::with_capacity(capacity)
    }

    fn insert(table: &mut IndexMap<Value, Value>, _: KeyBytes<'_>, key: Value, value: Value) -> Inserted {
        match table.insert(key, value) {
            None => Inserted::New,
            Some(_) => Inserted::Duplicate,
        }
    }

    fn entries(table: IndexMap<Value, Value>) -> IndexMap<Value, Value> {
        table
    }

    fn hashtable(entries: IndexMap<Value, Value>) -> Value {
        Value::Hashtable(Hashtable::from_map(entries))
    }

    fn hashtables(list: Vec<IndexMap<Value, Value>>) -> Value {
        Value::HashtableArray(list.into_iter().map(Hashtable::from_map).collect())
    }

    fn dictionary(
        entries: IndexMap<Value, Value>,
        types: impl FnOnce(&IndexMap<Value, Value>) -> DictionaryType,
    ) -> Value {
        Value::Dictionary(Box::new(Dictionary { types: types(&entries), entries }))
    }

    fn dictionaries(
        elements: Vec<IndexMap<Value, Value>>,
        types: impl FnOnce(&[IndexMap<Value, Value>]) -> DictionaryType,
    ) -> Value {
        Value::DictionaryArray { types: types(&elements), elements }
    }

    fn parameter(parameters: &mut Parameters, key: u8, value: Value) {
        parameters.insert(key, value);
    }

    fn message(
        parameters: Parameters,
        debug_message: Option<Value>,
        wrap: impl FnOnce(Parameters, Option<String>) -> Value,
    ) -> Value {
        wrap(parameters, debug_message.and_then(debug_text))
    }
}

/// The text of a debug message; one that is empty or of another type is none, as clients read it.
pub(crate) fn debug_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.as_ref().to_owned()),
        _ => None,
    }
}

/// Checks, and gives nothing.
#[derive(Debug)]
pub(crate) enum Skim {}

/// Tables up to this size are checked for equal keys pair by pair; larger ones have to be built.
const MOST_COMPARED_KEYS: usize = 16;

/// The keys of a table that is being skimmed.
#[derive(Debug)]
pub(crate) struct SkimmedKeys<'a> {
    keys: [&'a [u8]; MOST_COMPARED_KEYS],
    len: usize,
}

impl Sink for Skim {
    type Value = ();
    type List<T> = ();
    type Table<'a> = SkimmedKeys<'a>;
    type Entries = ();
    type Parameters = ();

    fn value(_: impl FnOnce() -> Value) {}
    fn list<T>(_: usize) {}
    fn push<T>((): &mut (), _: impl FnOnce() -> T) {}
    fn array<T>((): (), _: impl FnOnce(Vec<T>) -> Value) {}
    fn values((): (), _: impl FnOnce(Vec<Value>) -> Value) {}

    fn table<'a>(_: usize) -> SkimmedKeys<'a> {
        SkimmedKeys { keys: [&[]; MOST_COMPARED_KEYS], len: 0 }
    }

    fn insert<'a>(table: &mut SkimmedKeys<'a>, key: KeyBytes<'a>, (): (), (): ()) -> Inserted {
        let (seen, free) = table.keys.split_at_mut(table.len);
        match free.first_mut() {
            Some(_) if !key.canonical => Inserted::Unknown,
            Some(_) if seen.contains(&key.bytes) => Inserted::Duplicate,
            Some(place) => {
                *place = key.bytes;
                table.len += 1;
                Inserted::New
            }
            None => Inserted::Unknown,
        }
    }

    fn entries(_: SkimmedKeys<'_>) {}
    fn hashtable((): ()) {}
    fn hashtables((): ()) {}
    fn dictionary((): (), _: impl FnOnce(&IndexMap<Value, Value>) -> DictionaryType) {}
    fn dictionaries((): (), _: impl FnOnce(&[IndexMap<Value, Value>]) -> DictionaryType) {}
    fn parameter((): &mut (), _: u8, (): ()) {}
    fn message((): (), _: Option<()>, _: impl FnOnce(Parameters, Option<String>) -> Value) {}
}
