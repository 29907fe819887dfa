//! Reading the parameters of an operation into typed fields.
//!
//! Clients of different kinds spell one value differently (JavaScript sends doubles and `object[]` only), so every
//! read goes through [`lampyris_wire::coerce`]. An explicit null is the same as a missing parameter.

use std::sync::Arc;

use bytes::Bytes;
use lampyris_wire::{Hashtable, RawParameters, RawValue, Value, coerce};

use crate::codes::Refusal;

/// The parameters of one request. Each getter gives `None` for a missing or null parameter and refuses another type
/// with a text that names key and type.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'p, 'a>(pub &'p RawParameters<'a>);

impl<'a> Fields<'_, 'a> {
    /// The parameter as it came, null included.
    #[must_use]
    pub fn raw(self, key: u8) -> Option<RawValue<'a>> {
        self.0.get(key)
    }

    /// The parameter, built.
    ///
    /// # Errors
    /// Bytes that cannot be built.
    pub fn value(self, key: u8, name: &str) -> Result<Option<Value>, Refusal> {
        let Some(raw) = self.0.get(key) else { return Ok(None) };
        match raw.decode() {
            Ok(Value::Null) => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(Refusal::invalid(format!("parameter {key} ({name}): {error}"))),
        }
    }

    /// The parameter as `read` understands it; `expected` is the type's name for the error text.
    ///
    /// # Errors
    /// `read` gave `None`.
    pub fn get<T>(
        self,
        key: u8,
        name: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.value(key, name)? else { return Ok(None) };
        match read(&value) {
            Some(read) => Ok(Some(read)),
            None => Err(Refusal::invalid(format!(
                "parameter {key} ({name}): expected {expected}, got {}",
                value.type_name()
            ))),
        }
    }

    /// A truth value.
    ///
    /// # Errors
    /// Another type.
    pub fn bool(self, key: u8, name: &str) -> Result<Option<bool>, Refusal> {
        self.get(key, name, "bool", coerce::bool)
    }

    /// A whole number 0..=255.
    ///
    /// # Errors
    /// Another type or out of range.
    pub fn byte(self, key: u8, name: &str) -> Result<Option<u8>, Refusal> {
        self.get(key, name, "byte (0..=255)", coerce::byte)
    }

    /// A whole number of 32 bits.
    ///
    /// # Errors
    /// Another type or out of range.
    pub fn int(self, key: u8, name: &str) -> Result<Option<i32>, Refusal> {
        self.get(key, name, "int (a whole number of 32 bits)", coerce::int)
    }

    /// Text.
    ///
    /// # Errors
    /// Another type.
    pub fn string(self, key: u8, name: &str) -> Result<Option<Arc<str>>, Refusal> {
        self.get(key, name, "string", coerce::string)
    }

    /// A list of texts.
    ///
    /// # Errors
    /// Another type.
    pub fn strings(self, key: u8, name: &str) -> Result<Option<Vec<Arc<str>>>, Refusal> {
        self.get(key, name, "string[]", coerce::strings)
    }

    /// A list of whole numbers of 32 bits.
    ///
    /// # Errors
    /// Another type.
    pub fn ints(self, key: u8, name: &str) -> Result<Option<Vec<i32>>, Refusal> {
        self.get(key, name, "int[]", coerce::ints)
    }

    /// A list of whole numbers 0..=255.
    ///
    /// # Errors
    /// Another type.
    pub fn bytes(self, key: u8, name: &str) -> Result<Option<Bytes>, Refusal> {
        self.get(key, name, "byte[]", coerce::bytes)
    }

    /// A list of values of any type.
    ///
    /// # Errors
    /// Not an array of numbers, texts or objects.
    pub fn values(self, key: u8, name: &str) -> Result<Option<Vec<Value>>, Refusal> {
        self.get(key, name, "object[]", |value| match value {
            Value::ObjectArray(values) => Some(values.clone()),
            Value::StringArray(texts) => Some(texts.iter().cloned().map(Value::String).collect()),
            Value::ByteArray(bytes) => Some(bytes.iter().copied().map(Value::Byte).collect()),
            Value::IntArray(ints) => Some(ints.iter().copied().map(Value::Int).collect()),
            _ => None,
        })
    }

    /// An untyped table.
    ///
    /// # Errors
    /// Another type.
    pub fn table(self, key: u8, name: &str) -> Result<Option<Hashtable>, Refusal> {
        match self.value(key, name)? {
            None => Ok(None),
            Some(Value::Hashtable(table)) => Ok(Some(table)),
            Some(other) => Err(Refusal::invalid(format!(
                "parameter {key} ({name}): expected hashtable, got {}",
                other.type_name()
            ))),
        }
    }

    /// Web flags: a byte, or `true` for the lowest bit as the oldest JavaScript client sends it.
    ///
    /// # Errors
    /// Another type.
    pub fn web_flags(self, key: u8) -> Result<u8, Refusal> {
        self.get(key, "WebFlags", "byte or bool", |value| match value {
            Value::Bool(forward) => Some(u8::from(*forward)),
            other => coerce::byte(other),
        })
        .map(Option::unwrap_or_default)
    }
}
