//! The neutral value type that every serialization maps to and from.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;

use crate::message::{Event, OperationRequest, OperationResponse};

/// One value of the protocol.
///
/// Equality is what the protocol's compare-and-swap means by it: same type and same content; floats compare by their
/// bits, so that `NaN` equals itself and `-0.0` differs from `0.0`.
#[derive(Clone, Debug)]
pub enum Value {
    /// No value.
    Null,
    /// Truth value.
    Bool(bool),
    /// Unsigned 8 bits.
    Byte(u8),
    /// Signed 16 bits.
    Short(i16),
    /// Signed 32 bits.
    Int(i32),
    /// Signed 64 bits.
    Long(i64),
    /// IEEE 754, 32 bits; the bit pattern travels unchanged.
    Float(f32),
    /// IEEE 754, 64 bits; the bit pattern travels unchanged.
    Double(f64),
    /// Text.
    String(Arc<str>),
    /// An application's own type, carried as code and bytes.
    Custom {
        /// The application's type code.
        code: u8,
        /// The body, never looked into.
        bytes: Bytes,
    },
    /// `byte[]`.
    ByteArray(Bytes),
    /// `bool[]`.
    BoolArray(Vec<bool>),
    /// `short[]`.
    ShortArray(Vec<i16>),
    /// `int[]`.
    IntArray(Vec<i32>),
    /// `long[]`.
    LongArray(Vec<i64>),
    /// `float[]`.
    FloatArray(Vec<f32>),
    /// `double[]`.
    DoubleArray(Vec<f64>),
    /// `string[]`.
    StringArray(Vec<Arc<str>>),
    /// `object[]`: elements of any type.
    ObjectArray(Vec<Self>),
    /// `Hashtable[]`.
    HashtableArray(Vec<Hashtable>),
    /// An array of dictionaries that share one declared type.
    DictionaryArray {
        /// The declared types of every element.
        types: DictionaryType,
        /// The entries of each element, in wire order.
        elements: Vec<IndexMap<Self, Self>>,
    },
    /// An array of one custom type.
    CustomArray {
        /// The application's type code.
        code: u8,
        /// The bodies.
        elements: Vec<Bytes>,
    },
    /// An array whose elements are arrays.
    ArrayOfArrays(Vec<Self>),
    /// An untyped table.
    Hashtable(Hashtable),
    /// A table with declared key and value types.
    Dictionary(Box<Dictionary>),
    /// A nested operation request.
    OperationRequest(Box<OperationRequest>),
    /// A nested operation response.
    OperationResponse(Box<OperationResponse>),
    /// A nested event.
    Event(Box<Event>),
}

/// An untyped table: keys and values of any type, in insertion order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashtable(IndexMap<Value, Value>);

impl Hashtable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn from_map(entries: IndexMap<Value, Value>) -> Self {
        Self(entries)
    }

    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: &Value) -> Option<&Value> {
        self.0.get(key)
    }

    /// The value under the byte key `key`, the form of all well-known keys.
    #[must_use]
    pub fn get_byte(&self, key: u8) -> Option<&Value> {
        self.0.get(&Value::Byte(key))
    }

    /// Puts `value` under `key`; a key that is already there keeps its place. Gives back what was there.
    pub fn insert(&mut self, key: impl Into<Value>, value: impl Into<Value>) -> Option<Value> {
        self.0.insert(key.into(), value.into())
    }

    /// Takes `key` out, keeping the order of the others.
    pub fn remove(&mut self, key: &Value) -> Option<Value> {
        self.0.shift_remove(key)
    }

    /// Whether `key` is there.
    #[must_use]
    pub fn contains_key(&self, key: &Value) -> bool {
        self.0.contains_key(key)
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Entries in insertion order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Value, &Value)> + Clone {
        self.0.iter()
    }

    /// Keeps only the entries for which `keep` says so.
    pub fn retain(&mut self, keep: impl FnMut(&Value, &mut Value) -> bool) {
        self.0.retain(keep);
    }
}

impl IntoIterator for Hashtable {
    type Item = (Value, Value);
    type IntoIter = indexmap::map::IntoIter<Value, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Hashtable {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl<K: Into<Value>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Hashtable {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

/// The declared types of a dictionary.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DictionaryType {
    /// Declared key type.
    pub key: TypeCode,
    /// Declared value type.
    pub value: TypeCode,
}

/// A declared type in a dictionary header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TypeCode {
    /// Every key or value carries its own type.
    Object,
    /// See [`Value::Bool`].
    Bool,
    /// See [`Value::Byte`].
    Byte,
    /// See [`Value::Short`].
    Short,
    /// See [`Value::Int`].
    Int,
    /// See [`Value::Long`].
    Long,
    /// See [`Value::Float`].
    Float,
    /// See [`Value::Double`].
    Double,
    /// See [`Value::String`].
    String,
    /// See [`Value::ByteArray`].
    ByteArray,
    /// See [`Value::BoolArray`].
    BoolArray,
    /// See [`Value::ShortArray`].
    ShortArray,
    /// See [`Value::IntArray`].
    IntArray,
    /// See [`Value::LongArray`].
    LongArray,
    /// See [`Value::FloatArray`].
    FloatArray,
    /// See [`Value::DoubleArray`].
    DoubleArray,
    /// See [`Value::StringArray`].
    StringArray,
    /// See [`Value::ObjectArray`].
    ObjectArray,
    /// See [`Value::HashtableArray`].
    HashtableArray,
    /// See [`Value::Hashtable`].
    Hashtable,
    /// See [`Value::Custom`].
    Custom,
    /// A nested dictionary type.
    Dictionary(Box<DictionaryType>),
    /// An array whose elements are arrays of the inner type.
    ArrayOfArrays(Box<Self>),
}

impl TypeCode {
    /// The declared type that exactly `value` fits; none for what cannot be declared, and for arrays of arrays whose
    /// elements have no type in common.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Bool(_) => Self::Bool,
            Value::Byte(_) => Self::Byte,
            Value::Short(_) => Self::Short,
            Value::Int(_) => Self::Int,
            Value::Long(_) => Self::Long,
            Value::Float(_) => Self::Float,
            Value::Double(_) => Self::Double,
            Value::String(_) => Self::String,
            Value::ByteArray(_) => Self::ByteArray,
            Value::BoolArray(_) => Self::BoolArray,
            Value::ShortArray(_) => Self::ShortArray,
            Value::IntArray(_) => Self::IntArray,
            Value::LongArray(_) => Self::LongArray,
            Value::FloatArray(_) => Self::FloatArray,
            Value::DoubleArray(_) => Self::DoubleArray,
            Value::StringArray(_) => Self::StringArray,
            Value::ObjectArray(_) => Self::ObjectArray,
            Value::HashtableArray(_) => Self::HashtableArray,
            Value::Hashtable(_) => Self::Hashtable,
            Value::Custom { .. } => Self::Custom,
            Value::Dictionary(dictionary) => Self::Dictionary(Box::new(dictionary.types.clone())),
            Value::ArrayOfArrays(elements) => Self::ArrayOfArrays(Box::new(Self::common(elements.iter())?)),
            Value::Null
            | Value::CustomArray { .. }
            | Value::DictionaryArray { .. }
            | Value::OperationRequest(_)
            | Value::OperationResponse(_)
            | Value::Event(_) => return None,
        })
    }

    /// The one declared type that all of `values` fit, if there is one.
    pub(crate) fn common<'a>(values: impl IntoIterator<Item = &'a Value>) -> Option<Self> {
        let mut types = values.into_iter().map(Self::of);
        let first = types.next()??;
        types.all(|other| other.as_ref() == Some(&first)).then_some(first)
    }

    /// Its name, as error texts use it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Bool => "bool",
            Self::Byte => "byte",
            Self::Short => "short",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::String => "string",
            Self::ByteArray => "byte[]",
            Self::BoolArray => "bool[]",
            Self::ShortArray => "short[]",
            Self::IntArray => "int[]",
            Self::LongArray => "long[]",
            Self::FloatArray => "float[]",
            Self::DoubleArray => "double[]",
            Self::StringArray => "string[]",
            Self::ObjectArray => "object[]",
            Self::HashtableArray => "hashtable[]",
            Self::Hashtable => "hashtable",
            Self::Custom => "custom",
            Self::Dictionary(_) => "dictionary",
            Self::ArrayOfArrays(_) => "array[]",
        }
    }
}

/// A table with declared key and value types, which are part of the value: a receiver casts to exactly that type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dictionary {
    /// Declared types.
    pub types: DictionaryType,
    /// Entries in wire order.
    pub entries: IndexMap<Value, Value>,
}

impl Value {
    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The table, if it is one.
    #[must_use]
    pub fn as_hashtable(&self) -> Option<&Hashtable> {
        match self {
            Self::Hashtable(table) => Some(table),
            _ => None,
        }
    }

    /// Whether it is [`Value::Null`].
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The name of its type, as error texts use it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Byte(_) => "byte",
            Self::Short(_) => "short",
            Self::Int(_) => "int",
            Self::Long(_) => "long",
            Self::Float(_) => "float",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Custom { .. } => "custom",
            Self::ByteArray(_) => "byte[]",
            Self::BoolArray(_) => "bool[]",
            Self::ShortArray(_) => "short[]",
            Self::IntArray(_) => "int[]",
            Self::LongArray(_) => "long[]",
            Self::FloatArray(_) => "float[]",
            Self::DoubleArray(_) => "double[]",
            Self::StringArray(_) => "string[]",
            Self::ObjectArray(_) => "object[]",
            Self::HashtableArray(_) => "hashtable[]",
            Self::DictionaryArray { .. } => "dictionary[]",
            Self::CustomArray { .. } => "custom[]",
            Self::ArrayOfArrays(_) => "array[]",
            Self::Hashtable(_) => "hashtable",
            Self::Dictionary(_) => "dictionary",
            Self::OperationRequest(_) => "operation request",
            Self::OperationResponse(_) => "operation response",
            Self::Event(_) => "event",
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Byte(a), Self::Byte(b)) => a == b,
            (Self::Short(a), Self::Short(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Long(a), Self::Long(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Double(a), Self::Double(b)) => a.to_bits() == b.to_bits(),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Custom { code: a, bytes: x }, Self::Custom { code: b, bytes: y }) => a == b && x == y,
            (Self::ByteArray(a), Self::ByteArray(b)) => a == b,
            (Self::BoolArray(a), Self::BoolArray(b)) => a == b,
            (Self::ShortArray(a), Self::ShortArray(b)) => a == b,
            (Self::IntArray(a), Self::IntArray(b)) => a == b,
            (Self::LongArray(a), Self::LongArray(b)) => a == b,
            (Self::FloatArray(a), Self::FloatArray(b)) => {
                a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
            }
            (Self::DoubleArray(a), Self::DoubleArray(b)) => {
                a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
            }
            (Self::StringArray(a), Self::StringArray(b)) => a == b,
            (Self::ObjectArray(a), Self::ObjectArray(b)) | (Self::ArrayOfArrays(a), Self::ArrayOfArrays(b)) => a == b,
            (Self::HashtableArray(a), Self::HashtableArray(b)) => a == b,
            (Self::DictionaryArray { types: a, elements: x }, Self::DictionaryArray { types: b, elements: y }) => {
                a == b && x == y
            }
            (Self::CustomArray { code: a, elements: x }, Self::CustomArray { code: b, elements: y }) => {
                a == b && x == y
            }
            (Self::Hashtable(a), Self::Hashtable(b)) => a == b,
            (Self::Dictionary(a), Self::Dictionary(b)) => a == b,
            (Self::OperationRequest(a), Self::OperationRequest(b)) => a == b,
            (Self::OperationResponse(a), Self::OperationResponse(b)) => a == b,
            (Self::Event(a), Self::Event(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    /// Scalars and strings hash by content; containers by kind and length only, which is enough for the rare table
    /// that has one as a key, and keeps a hostile nest from costing more than its size.
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Bool(v) => v.hash(state),
            Self::Byte(v) => v.hash(state),
            Self::Short(v) => v.hash(state),
            Self::Int(v) => v.hash(state),
            Self::Long(v) => v.hash(state),
            Self::Float(v) => v.to_bits().hash(state),
            Self::Double(v) => v.to_bits().hash(state),
            Self::String(v) => v.hash(state),
            Self::Custom { code, bytes } => {
                code.hash(state);
                bytes.hash(state);
            }
            Self::ByteArray(v) => v.hash(state),
            Self::ObjectArray(v) | Self::ArrayOfArrays(v) => v.len().hash(state),
            Self::IntArray(v) => v.hash(state),
            Self::Hashtable(v) => v.len().hash(state),
            _ => {}
        }
    }
}

macro_rules! value_from {
    ($($from:ty => |$v:ident| $to:expr),+ $(,)?) => {
        $(impl From<$from> for Value {
            fn from($v: $from) -> Self {
                $to
            }
        })+
    };
}

value_from! {
    bool => |v| Self::Bool(v),
    u8 => |v| Self::Byte(v),
    i16 => |v| Self::Short(v),
    i32 => |v| Self::Int(v),
    i64 => |v| Self::Long(v),
    f32 => |v| Self::Float(v),
    f64 => |v| Self::Double(v),
    &str => |v| Self::String(v.into()),
    String => |v| Self::String(v.into()),
    Arc<str> => |v| Self::String(v),
    Bytes => |v| Self::ByteArray(v),
    Vec<u8> => |v| Self::ByteArray(v.into()),
    Vec<i32> => |v| Self::IntArray(v),
    Vec<Arc<str>> => |v| Self::StringArray(v),
    Vec<Value> => |v| Self::ObjectArray(v),
    Hashtable => |v| Self::Hashtable(v),
    Dictionary => |v| Self::Dictionary(Box::new(v)),
}
