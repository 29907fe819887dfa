//! Writing JSON text.

use std::borrow::Cow;
use std::io::Write;

use indexmap::IndexMap;

use super::number::number_text;
use super::text::put_string;
use crate::{EncodeError, Protocol, Value};

type Result<T = ()> = std::result::Result<T, EncodeError>;

/// Appends one value.
pub(crate) fn put_value(out: &mut Vec<u8>, value: &Value) -> Result {
    match value {
        // A custom body means nothing to a receiver without its type, and must not cost it the rest of the message.
        Value::Null | Value::Custom { .. } => out.extend_from_slice(b"null"),
        Value::Bool(v) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
        Value::Byte(v) => put_int(out, *v),
        Value::Short(v) => put_int(out, *v),
        Value::Int(v) => put_int(out, *v),
        Value::Long(v) => put_int(out, *v),
        Value::Float(v) => put_float(out, *v),
        Value::Double(v) => put_double(out, *v),
        Value::String(text) => put_string(out, text),
        Value::ByteArray(bytes) => leaves(out, bytes.iter(), |out, v| put_int(out, *v))?,
        Value::BoolArray(v) => list(out, v, |out, v| put_value(out, &Value::Bool(*v)))?,
        Value::ShortArray(v) => leaves(out, v, |out, v| put_int(out, *v))?,
        Value::IntArray(v) => leaves(out, v, |out, v| put_int(out, *v))?,
        Value::LongArray(v) => leaves(out, v, |out, v| put_int(out, *v))?,
        Value::FloatArray(v) => leaves(out, v, |out, v| put_float(out, *v))?,
        Value::DoubleArray(v) => leaves(out, v, |out, v| put_double(out, *v))?,
        Value::StringArray(texts) => leaves(out, texts, |out, text| put_string(out, text))?,
        Value::CustomArray { elements, .. } => list(out, elements, |out, _| put_value(out, &Value::Null))?,
        Value::ObjectArray(elements) | Value::ArrayOfArrays(elements) => list(out, elements, put_value)?,
        Value::HashtableArray(tables) => list(out, tables, |out, table| object(out, table.iter()))?,
        Value::DictionaryArray { elements, .. } => list(out, elements, |out, entries| object(out, entries.iter()))?,
        Value::Hashtable(table) => object(out, table.iter())?,
        Value::Dictionary(dictionary) => object(out, dictionary.entries.iter())?,
        Value::OperationRequest(_) | Value::OperationResponse(_) | Value::Event(_) => {
            return Err(EncodeError::NoForm { what: value.type_name(), protocol: Protocol::Json.name() });
        }
    }
    Ok(())
}

pub(super) fn put_int(out: &mut Vec<u8>, number: impl Into<i64>) {
    // Writing to a vector cannot fail.
    let _infallible = write!(out, "{}", number.into());
}

fn put_float(out: &mut Vec<u8>, number: f32) {
    if number.is_finite() {
        out.extend_from_slice(&number_text(number));
    } else {
        out.extend_from_slice(b"null");
    }
}

fn put_double(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        out.extend_from_slice(&number_text(number));
    } else {
        out.extend_from_slice(b"null");
    }
}

fn list<T>(
    out: &mut Vec<u8>,
    elements: impl IntoIterator<Item = T>,
    mut put: impl FnMut(&mut Vec<u8>, T) -> Result,
) -> Result {
    out.push(b'[');
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put(out, element)?;
    }
    out.push(b']');
    Ok(())
}

/// A list whose elements always have a form.
fn leaves<T>(out: &mut Vec<u8>, elements: impl IntoIterator<Item = T>, mut put: impl FnMut(&mut Vec<u8>, T)) -> Result {
    list(out, elements, |out, element| {
        put(out, element);
        Ok(())
    })
}

fn object<'a>(out: &mut Vec<u8>, entries: impl Iterator<Item = (&'a Value, &'a Value)> + Clone) -> Result {
    if entries.clone().all(|(key, _)| matches!(key, Value::String(_))) {
        return members(out, entries.filter_map(|(key, value)| Some((key.as_str()?, value))));
    }
    // Keys of several types can have the same text, and a reader would take the last of them.
    let mut distinct = IndexMap::new();
    distinct.extend(entries.filter_map(|(key, value)| Some((key_text(key)?, value))));
    members(out, distinct.iter().map(|(key, value)| (key.as_ref(), *value)))
}

fn members<'a>(out: &mut Vec<u8>, members: impl Iterator<Item = (&'a str, &'a Value)>) -> Result {
    out.push(b'{');
    for (index, (key, value)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put_string(out, key);
        out.push(b':');
        put_value(out, value)?;
    }
    out.push(b'}');
    Ok(())
}

/// The member name for a key; none for null and for what has no text, whose entry is left out.
fn key_text(key: &Value) -> Option<Cow<'_, str>> {
    let number = |text: &[u8]| Some(String::from_utf8_lossy(text).into_owned().into());
    match key {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Byte(v) => Some(v.to_string().into()),
        Value::Short(v) => Some(v.to_string().into()),
        Value::Int(v) => Some(v.to_string().into()),
        Value::Long(v) => Some(v.to_string().into()),
        Value::Float(v) if v.is_finite() => number(&number_text(*v)),
        Value::Double(v) if v.is_finite() => number(&number_text(*v)),
        Value::Float(v) => Some(non_finite_text((*v).into())),
        Value::Double(v) => Some(non_finite_text(*v)),
        Value::Bool(true) => Some("True".into()),
        Value::Bool(false) => Some("False".into()),
        _ => None,
    }
}

fn non_finite_text(number: f64) -> Cow<'static, str> {
    if number.is_nan() {
        "NaN".into()
    } else if number > 0.0 {
        "Infinity".into()
    } else {
        "-Infinity".into()
    }
}
