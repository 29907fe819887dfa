//! Writing GpBinaryV16, in the one form that C# clients write, where they can read it back.
//!
//! They cannot read everything that they write. So an empty array of arrays, and one whose elements are of several
//! types, goes as an object array; an array of object arrays has the element code `z`; a dictionary that declares
//! arrays (other than `byte[]`) or dictionaries as its values goes with the value type "object".

use super::{V16, code};
use crate::binary;
use crate::{DictionaryType, EncodeError, Hashtable, Protocol, TypeCode, Value};
use indexmap::IndexMap;

type Result<T = ()> = std::result::Result<T, EncodeError>;

const PROTOCOL: &str = Protocol::GpBinaryV16.name();

pub(super) fn value(out: &mut Vec<u8>, value: &Value) -> Result {
    match value {
        Value::ArrayOfArrays(elements) if shape(value).is_none() => {
            out.push(code::OBJECT_ARRAY);
            object_array(out, elements)
        }
        _ => {
            out.push(type_code(value));
            body(out, value)
        }
    }
}

/// A count or length of 16 bits.
pub(super) fn count(out: &mut Vec<u8>, what: &'static str, count: usize) -> Result {
    const LIMIT: i16 = i16::MAX;
    let short = i16::try_from(count).map_err(|_| EncodeError::TooLong {
        what,
        protocol: PROTOCOL,
        found: count,
        limit: LIMIT.unsigned_abs().into(),
    })?;
    out.extend_from_slice(&short.to_be_bytes());
    Ok(())
}

fn type_code(value: &Value) -> u8 {
    match value {
        Value::Null => code::NULL,
        Value::Bool(_) => code::BOOL,
        Value::Byte(_) => code::BYTE,
        Value::Short(_) => code::SHORT,
        Value::Int(_) => code::INT,
        Value::Long(_) => code::LONG,
        Value::Float(_) => code::FLOAT,
        Value::Double(_) => code::DOUBLE,
        Value::String(_) => code::STRING,
        Value::Custom { .. } => code::CUSTOM,
        Value::ByteArray(_) => code::BYTE_ARRAY,
        Value::ObjectArray(_) => code::OBJECT_ARRAY,
        Value::Hashtable(_) => code::HASHTABLE,
        Value::Dictionary(_) => code::DICTIONARY,
        Value::OperationRequest(_) => code::REQUEST,
        Value::OperationResponse(_) => code::RESPONSE,
        Value::Event(_) => code::EVENT,
        Value::BoolArray(_)
        | Value::ShortArray(_)
        | Value::IntArray(_)
        | Value::LongArray(_)
        | Value::FloatArray(_)
        | Value::DoubleArray(_)
        | Value::StringArray(_)
        | Value::HashtableArray(_)
        | Value::DictionaryArray { .. }
        | Value::CustomArray { .. }
        | Value::ArrayOfArrays(_) => code::ARRAY,
    }
}

/// What follows the type code.
fn body(out: &mut Vec<u8>, value: &Value) -> Result {
    match value {
        Value::Null => {}
        Value::Bool(v) => out.push((*v).into()),
        Value::Byte(v) => out.push(*v),
        Value::Short(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Long(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Float(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Double(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::String(text) => return string(out, text),
        Value::Custom { code, bytes } => {
            out.push(*code);
            return short_bytes(out, "a custom body", bytes);
        }
        Value::ByteArray(bytes) => return byte_array(out, bytes),
        Value::ObjectArray(elements) => return object_array(out, elements),
        Value::Hashtable(table) => return hashtable(out, table),
        Value::Dictionary(dictionary) => {
            let header = header(&dictionary.types);
            out.extend_from_slice(&header);
            return dictionary_entries(out, header, &dictionary.types, &dictionary.entries);
        }
        Value::OperationRequest(request) => return binary::put_request::<V16>(out, request),
        Value::OperationResponse(response) => return binary::put_response::<V16>(out, response),
        Value::Event(event) => return binary::put_event::<V16>(out, event),
        array => return typed_array(out, array),
    }
    Ok(())
}

fn short_bytes(out: &mut Vec<u8>, what: &'static str, bytes: &[u8]) -> Result {
    count(out, what, bytes.len())?;
    out.extend_from_slice(bytes);
    Ok(())
}

fn string(out: &mut Vec<u8>, text: &str) -> Result {
    short_bytes(out, "a string", text.as_bytes())
}

fn byte_array(out: &mut Vec<u8>, bytes: &[u8]) -> Result {
    const LIMIT: i32 = i32::MAX;
    let len = i32::try_from(bytes.len()).map_err(|_| EncodeError::TooLong {
        what: "byte[]",
        protocol: PROTOCOL,
        found: bytes.len(),
        limit: usize::try_from(LIMIT).unwrap_or(usize::MAX),
    })?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn object_array(out: &mut Vec<u8>, elements: &[Value]) -> Result {
    count(out, "object[]", elements.len())?;
    elements.iter().try_for_each(|element| value(out, element))
}

/// Entries whose key is null are left out: C# receivers drop them.
fn hashtable(out: &mut Vec<u8>, table: &Hashtable) -> Result {
    count(out, "a hashtable", table.iter().filter(|(key, _)| !key.is_null()).count())?;
    for (key, entry) in table.iter().filter(|(key, _)| !key.is_null()) {
        value(out, key)?;
        value(out, entry)?;
    }
    Ok(())
}

/// Count, element type code, bodies.
fn typed_array(out: &mut Vec<u8>, array: &Value) -> Result {
    match array {
        Value::BoolArray(v) => numbers(out, array, code::BOOL, v.iter().map(|v| [u8::from(*v)])),
        Value::ShortArray(v) => numbers(out, array, code::SHORT, v.iter().map(|v| v.to_be_bytes())),
        Value::IntArray(v) => numbers(out, array, code::INT, v.iter().map(|v| v.to_be_bytes())),
        Value::LongArray(v) => numbers(out, array, code::LONG, v.iter().map(|v| v.to_be_bytes())),
        Value::FloatArray(v) => numbers(out, array, code::FLOAT, v.iter().map(|v| v.to_be_bytes())),
        Value::DoubleArray(v) => numbers(out, array, code::DOUBLE, v.iter().map(|v| v.to_be_bytes())),
        Value::StringArray(texts) => {
            array_head(out, array, texts.len(), code::STRING)?;
            texts.iter().try_for_each(|text| string(out, text))
        }
        Value::HashtableArray(tables) => {
            array_head(out, array, tables.len(), code::HASHTABLE)?;
            tables.iter().try_for_each(|table| hashtable(out, table))
        }
        Value::CustomArray { code, elements } => {
            array_head(out, array, elements.len(), code::CUSTOM)?;
            out.push(*code);
            elements.iter().try_for_each(|bytes| short_bytes(out, "a custom body", bytes))
        }
        Value::DictionaryArray { types, elements } => {
            array_head(out, array, elements.len(), code::DICTIONARY)?;
            let header = header(types);
            out.extend_from_slice(&header);
            elements.iter().try_for_each(|entries| dictionary_entries(out, header, types, entries))
        }
        Value::ArrayOfArrays(elements) => {
            let element = elements.first().map_or(code::ARRAY, type_code);
            array_head(out, array, elements.len(), element)?;
            elements.iter().try_for_each(|element| body(out, element))
        }
        other => Err(EncodeError::TypeMismatch { expected: "an array", found: other.type_name() }),
    }
}

fn array_head(out: &mut Vec<u8>, array: &Value, len: usize, element: u8) -> Result {
    count(out, array.type_name(), len)?;
    out.push(element);
    Ok(())
}

fn numbers<const N: usize>(
    out: &mut Vec<u8>,
    array: &Value,
    element: u8,
    numbers: impl ExactSizeIterator<Item = [u8; N]>,
) -> Result {
    array_head(out, array, numbers.len(), element)?;
    out.reserve(numbers.len() * N);
    numbers.for_each(|number| out.extend_from_slice(&number));
    Ok(())
}

/// The number of levels above the innermost arrays and one of these, if all of them are of one type.
fn shape(array: &Value) -> Option<(u32, &Value)> {
    match array {
        Value::ArrayOfArrays(elements) => {
            let mut shapes = elements.iter().map(shape);
            let (levels, innermost) = shapes.next()??;
            let agrees = |shape: Option<(u32, &Value)>| {
                shape.is_some_and(|(l, array)| l == levels && same_array_type(array, innermost))
            };
            shapes.all(agrees).then_some((levels + 1, innermost))
        }
        Value::ByteArray(_) | Value::ObjectArray(_) => Some((0, array)),
        _ if type_code(array) == code::ARRAY => Some((0, array)),
        _ => None,
    }
}

fn same_array_type(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::CustomArray { code: a, .. }, Value::CustomArray { code: b, .. }) => a == b,
        (Value::DictionaryArray { types: a, .. }, Value::DictionaryArray { types: b, .. }) => header(a) == header(b),
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

/// The key and value type codes that a dictionary is written with.
fn header(types: &DictionaryType) -> [u8; 2] {
    let declared = |type_code: &TypeCode| match type_code {
        TypeCode::Bool => code::BOOL,
        TypeCode::Byte => code::BYTE,
        TypeCode::Short => code::SHORT,
        TypeCode::Int => code::INT,
        TypeCode::Long => code::LONG,
        TypeCode::Float => code::FLOAT,
        TypeCode::Double => code::DOUBLE,
        TypeCode::String => code::STRING,
        TypeCode::ByteArray => code::BYTE_ARRAY,
        TypeCode::Hashtable => code::HASHTABLE,
        TypeCode::Custom => code::CUSTOM,
        _ => code::UNKNOWN,
    };
    let key = match declared(&types.key) {
        code::BYTE_ARRAY | code::CUSTOM => code::UNKNOWN,
        key => key,
    };
    [key, declared(&types.value)]
}

fn dictionary_entries(
    out: &mut Vec<u8>,
    [key_code, value_code]: [u8; 2],
    types: &DictionaryType,
    entries: &IndexMap<Value, Value>,
) -> Result {
    count(out, "a dictionary", entries.keys().filter(|key| !key.is_null()).count())?;
    for (key, entry) in entries.iter().filter(|(key, _)| !key.is_null()) {
        declared_body(out, key_code, &types.key, key)?;
        declared_body(out, value_code, &types.value, entry)?;
    }
    Ok(())
}

fn declared_body(out: &mut Vec<u8>, code: u8, declared: &TypeCode, entry: &Value) -> Result {
    match code {
        code::UNKNOWN => value(out, entry),
        code if code == type_code(entry) => body(out, entry),
        _ => Err(EncodeError::TypeMismatch { expected: declared.name(), found: entry.type_name() }),
    }
}
