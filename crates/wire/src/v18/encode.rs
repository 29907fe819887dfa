//! Writing GpBinaryV18, in the one form that C# clients write, where they can read it back.
//!
//! Declared types that no client can read go as "object": bool keys, custom types, and arrays of anything but numbers,
//! strings and hashtables.

use super::{V18, code, decode};
use crate::binary;
use crate::{DictionaryType, EncodeError, Hashtable, Protocol, TypeCode, Value};
use indexmap::IndexMap;
use smallvec::SmallVec;

type Result<T = ()> = std::result::Result<T, EncodeError>;

const PROTOCOL: &str = Protocol::GpBinaryV18.name();

/// The longest string that clients write.
const STRING_LIMIT: usize = 32_767;

pub(super) fn value(out: &mut Vec<u8>, value: &Value) -> Result {
    match value {
        Value::Bool(false) => out.push(code::FALSE),
        Value::Bool(true) => out.push(code::TRUE),
        Value::Byte(0) => out.push(code::BYTE_ZERO),
        Value::Short(0) => out.push(code::SHORT_ZERO),
        Value::Int(v) => {
            let codes = [code::INT_ZERO, code::INT_1, code::INT_1_NEGATIVE, code::INT_2, code::INT_2_NEGATIVE];
            if !short_integer(out, codes, (*v).into()) {
                out.push(code::INT);
                return body(out, value);
            }
        }
        Value::Long(v) => {
            let codes = [code::LONG_ZERO, code::LONG_1, code::LONG_1_NEGATIVE, code::LONG_2, code::LONG_2_NEGATIVE];
            if !short_integer(out, codes, *v) {
                out.push(code::LONG);
                return body(out, value);
            }
        }
        Value::Custom { code, bytes } => {
            match code.checked_add(code::SLIM_CUSTOM) {
                Some(slim) if slim < code::SLIM_CUSTOM_LAST => out.push(slim),
                _ => out.extend_from_slice(&[code::CUSTOM, *code]),
            }
            return byte_run(out, "a custom body", bytes);
        }
        _ => {
            out.push(type_code(value));
            return body(out, value);
        }
    }
    Ok(())
}

/// Writes zero, or the sign and a magnitude of one or two bytes, if the number fits; tells whether it did.
fn short_integer(out: &mut Vec<u8>, codes: [u8; 5], number: i64) -> bool {
    let [zero, positive_1, negative_1, positive_2, negative_2] = codes;
    let negative = number < 0;
    if number == 0 {
        out.push(zero);
    } else if let Ok(magnitude) = u8::try_from(number.unsigned_abs()) {
        out.extend_from_slice(&[if negative { negative_1 } else { positive_1 }, magnitude]);
    } else if let Ok(magnitude) = u16::try_from(number.unsigned_abs()) {
        out.push(if negative { negative_2 } else { positive_2 });
        out.extend_from_slice(&magnitude.to_le_bytes());
    } else {
        return false;
    }
    true
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
        Value::BoolArray(_) => code::BOOL_ARRAY,
        Value::ShortArray(_) => code::SHORT_ARRAY,
        Value::IntArray(_) => code::INT_ARRAY,
        Value::LongArray(_) => code::LONG_ARRAY,
        Value::FloatArray(_) => code::FLOAT_ARRAY,
        Value::DoubleArray(_) => code::DOUBLE_ARRAY,
        Value::StringArray(_) => code::STRING_ARRAY,
        Value::ObjectArray(_) => code::OBJECT_ARRAY,
        Value::HashtableArray(_) => code::HASHTABLE_ARRAY,
        Value::DictionaryArray { .. } => code::DICTIONARY_ARRAY,
        Value::CustomArray { .. } => code::CUSTOM_ARRAY,
        Value::ArrayOfArrays(_) => code::ARRAY_OF_ARRAYS,
        Value::Hashtable(_) => code::HASHTABLE,
        Value::Dictionary(_) => code::DICTIONARY,
        Value::OperationRequest(_) => code::REQUEST,
        Value::OperationResponse(_) => code::RESPONSE,
        Value::Event(_) => code::EVENT,
    }
}

/// What follows the type code, in the form that it has where the type was declared.
fn body(out: &mut Vec<u8>, value: &Value) -> Result {
    match value {
        Value::Null => {}
        Value::Bool(v) => out.push((*v).into()),
        Value::Byte(v) => out.push(*v),
        Value::Short(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Int(v) => zigzag(out, (*v).into()),
        Value::Long(v) => zigzag(out, *v),
        Value::Float(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Double(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::String(text) => return string(out, text),
        Value::Custom { code, bytes } => {
            out.push(*code);
            return byte_run(out, "a custom body", bytes);
        }
        Value::ByteArray(bytes) => return byte_run(out, "byte[]", bytes),
        Value::BoolArray(v) => {
            count(out, "bool[]", v.len())?;
            out.extend(v.chunks(8).map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))));
        }
        Value::ShortArray(v) => return numbers(out, value, v.iter().map(|v| v.to_le_bytes())),
        Value::FloatArray(v) => return numbers(out, value, v.iter().map(|v| v.to_le_bytes())),
        Value::DoubleArray(v) => return numbers(out, value, v.iter().map(|v| v.to_le_bytes())),
        Value::IntArray(v) => {
            count(out, "int[]", v.len())?;
            v.iter().for_each(|v| zigzag(out, (*v).into()));
        }
        Value::LongArray(v) => {
            count(out, "long[]", v.len())?;
            v.iter().for_each(|v| zigzag(out, *v));
        }
        Value::StringArray(texts) => {
            count(out, "string[]", texts.len())?;
            return texts.iter().try_for_each(|text| string(out, text));
        }
        Value::ObjectArray(elements) => {
            count(out, "object[]", elements.len())?;
            return elements.iter().try_for_each(|element| self::value(out, element));
        }
        Value::ArrayOfArrays(elements) => return arrays(out, elements, &[]),
        Value::Hashtable(table) => return hashtable(out, table),
        Value::HashtableArray(tables) => {
            count(out, "hashtable[]", tables.len())?;
            return tables.iter().try_for_each(|table| hashtable(out, table));
        }
        Value::CustomArray { code, elements } => {
            count(out, "custom[]", elements.len())?;
            out.push(*code);
            return elements.iter().try_for_each(|bytes| byte_run(out, "a custom body", bytes));
        }
        Value::Dictionary(dictionary) => {
            let header = header(&dictionary.types);
            out.extend_from_slice(&header);
            return dictionary_entries(out, &header, &dictionary.entries);
        }
        Value::DictionaryArray { types, elements } => {
            let header = header(types);
            out.extend_from_slice(&header);
            count(out, "dictionary[]", elements.len())?;
            return elements.iter().try_for_each(|entries| dictionary_entries(out, &header, entries));
        }
        Value::OperationRequest(request) => return binary::put_request::<V18>(out, request),
        Value::OperationResponse(response) => return binary::put_response::<V18>(out, response),
        Value::Event(event) => return binary::put_event::<V18>(out, event),
    }
    Ok(())
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7F);
            return;
        }
        out.push(low | 0x80);
    }
}

/// For numbers in the range of an int the result is the same in 32 and in 64 bits.
fn zigzag(out: &mut Vec<u8>, value: i64) {
    varint(out, (value << 1 ^ value >> 63).cast_unsigned());
}

fn count(out: &mut Vec<u8>, what: &'static str, count: usize) -> Result {
    let short = u32::try_from(count).map_err(|_| EncodeError::TooLong {
        what,
        protocol: PROTOCOL,
        found: count,
        limit: usize::try_from(u32::MAX).unwrap_or(usize::MAX),
    })?;
    varint(out, short.into());
    Ok(())
}

fn byte_run(out: &mut Vec<u8>, what: &'static str, bytes: &[u8]) -> Result {
    count(out, what, bytes.len())?;
    out.extend_from_slice(bytes);
    Ok(())
}

fn string(out: &mut Vec<u8>, text: &str) -> Result {
    if text.len() > STRING_LIMIT {
        let (found, limit) = (text.len(), STRING_LIMIT);
        return Err(EncodeError::TooLong { what: "a string", protocol: PROTOCOL, found, limit });
    }
    byte_run(out, "a string", text.as_bytes())
}

fn numbers<const N: usize>(
    out: &mut Vec<u8>,
    array: &Value,
    numbers: impl ExactSizeIterator<Item = [u8; N]>,
) -> Result {
    count(out, array.type_name(), numbers.len())?;
    out.reserve(numbers.len() * N);
    numbers.for_each(|number| out.extend_from_slice(&number));
    Ok(())
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

/// Writes typed arrays or nulls; `declared` is what the header of a dictionary says of them, nothing outside of one.
fn arrays(out: &mut Vec<u8>, elements: &[Value], declared: &[u8]) -> Result {
    count(out, "array[]", elements.len())?;
    for element in elements {
        let code = type_code(element);
        match (declared, element) {
            (_, Value::Null) => out.push(code),
            ([code::ARRAY_OF_ARRAYS, inner @ ..], Value::ArrayOfArrays(elements)) => {
                out.push(code);
                arrays(out, elements, inner)?;
            }
            ([expected, ..], _) if *expected != code => return Err(mismatch(declared, element)),
            _ if !decode::is_array(code) => return Err(mismatch(&[code::ARRAY_OF_ARRAYS], element)),
            _ => value(out, element)?,
        }
    }
    Ok(())
}

fn mismatch(declared: &[u8], found: &Value) -> EncodeError {
    EncodeError::TypeMismatch { expected: decode::type_code(declared).name(), found: found.type_name() }
}

/// A declared type as the bytes that spell it.
type Spelling = SmallVec<[u8; 8]>;

/// The header that a dictionary is written with.
fn header(types: &DictionaryType) -> Spelling {
    let mut header = Spelling::new();
    spell_header(&mut header, types);
    header
}

fn spell_header(out: &mut Spelling, types: &DictionaryType) {
    out.push(match types.key {
        TypeCode::Byte => code::BYTE,
        TypeCode::Short => code::SHORT,
        TypeCode::Int => code::INT,
        TypeCode::Long => code::LONG,
        TypeCode::Float => code::FLOAT,
        TypeCode::Double => code::DOUBLE,
        TypeCode::String => code::STRING,
        _ => code::OBJECT,
    });
    match &types.value {
        TypeCode::Dictionary(inner) => {
            out.push(code::DICTIONARY);
            spell_header(out, inner);
        }
        TypeCode::ArrayOfArrays(inner) => spell_arrays(out, inner),
        simple => out.push(simple_code(simple)),
    }
}

/// Array of arrays of `inner`; "object" if its innermost type cannot stand there.
fn spell_arrays(out: &mut Spelling, mut inner: &TypeCode) {
    let start = out.len();
    out.push(code::ARRAY_OF_ARRAYS);
    while let TypeCode::ArrayOfArrays(next) = inner {
        out.push(code::ARRAY_OF_ARRAYS);
        inner = next;
    }
    match simple_code(inner) {
        innermost @ (code::BOOL_ARRAY..=code::STRING_ARRAY
        | code::INT_ARRAY
        | code::LONG_ARRAY
        | code::HASHTABLE_ARRAY) => out.push(innermost),
        _ => {
            out.truncate(start);
            out.push(code::OBJECT);
        }
    }
}

fn simple_code(type_code: &TypeCode) -> u8 {
    match type_code {
        TypeCode::Bool => code::BOOL,
        TypeCode::Byte => code::BYTE,
        TypeCode::Short => code::SHORT,
        TypeCode::Int => code::INT,
        TypeCode::Long => code::LONG,
        TypeCode::Float => code::FLOAT,
        TypeCode::Double => code::DOUBLE,
        TypeCode::String => code::STRING,
        TypeCode::ByteArray => code::BYTE_ARRAY,
        TypeCode::BoolArray => code::BOOL_ARRAY,
        TypeCode::ShortArray => code::SHORT_ARRAY,
        TypeCode::IntArray => code::INT_ARRAY,
        TypeCode::LongArray => code::LONG_ARRAY,
        TypeCode::FloatArray => code::FLOAT_ARRAY,
        TypeCode::DoubleArray => code::DOUBLE_ARRAY,
        TypeCode::StringArray => code::STRING_ARRAY,
        TypeCode::ObjectArray => code::OBJECT_ARRAY,
        TypeCode::HashtableArray => code::HASHTABLE_ARRAY,
        TypeCode::Hashtable => code::HASHTABLE,
        TypeCode::Object | TypeCode::Custom | TypeCode::Dictionary(_) | TypeCode::ArrayOfArrays(_) => code::OBJECT,
    }
}

fn dictionary_entries(out: &mut Vec<u8>, header: &[u8], entries: &IndexMap<Value, Value>) -> Result {
    let (key_type, value_type) = header.split_at_checked(1).unwrap_or_default();
    count(out, "a dictionary", entries.keys().filter(|key| !key.is_null()).count())?;
    for (key, entry) in entries.iter().filter(|(key, _)| !key.is_null()) {
        declared_body(out, key_type, key)?;
        declared_body(out, value_type, entry)?;
    }
    Ok(())
}

fn declared_body(out: &mut Vec<u8>, declared: &[u8], entry: &Value) -> Result {
    match (declared, entry) {
        ([code::OBJECT], _) => value(out, entry),
        ([code::DICTIONARY, inner @ ..], Value::Dictionary(dictionary)) if *inner == *header(&dictionary.types) => {
            out.extend_from_slice(inner);
            dictionary_entries(out, inner, &dictionary.entries)
        }
        ([code::ARRAY_OF_ARRAYS, inner @ ..], Value::ArrayOfArrays(elements)) => {
            out.push(code::ARRAY_OF_ARRAYS);
            arrays(out, elements, inner)
        }
        ([expected], _) if *expected == type_code(entry) => body(out, entry),
        _ => Err(mismatch(declared, entry)),
    }
}
