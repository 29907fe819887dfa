//! The walk over GpBinaryV16.
//!
//! | code | type | body |
//! |---|---|---|
//! | `*`, 0 | null | |
//! | `o` `b` `k` `i` `l` `f` `d` | bool, byte, short, int, long, float, double | 1, 1, 2, 4, 8, 4, 8 bytes |
//! | `s` | string | `i16` length, UTF-8 |
//! | `x` | `byte[]` | `i32` count, bytes |
//! | `y` | typed array | `i16` count, element code, bodies |
//! | `z` | `object[]` | `i16` count, typed values |
//! | `a`, `n` | `string[]`, `int[]` of old writers | `i16` or `i32` count, bodies |
//! | `h` | hashtable | `i16` count, typed key and value each |
//! | `D` | dictionary | key code, value code, `i16` count, entries |
//! | `c` | custom | `u8` code, `i16` length, bytes |
//! | `e` `q` `p` | event, request, response | see [`crate::binary`] |

use super::{V16, code};
use crate::binary::{self, Duplicates};
use crate::reader::Reader;
use crate::sink::Sink;
use crate::{DecodeError, DictionaryType, MessageKind, TypeCode, Value};
use bytes::Bytes;

type Result<T> = std::result::Result<T, DecodeError>;

/// The static type of an array, as far as the encoder needs it to tell whether the arrays in an array agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape<'a> {
    levels: u32,
    element: u8,
    /// The custom type code, or the header of a dictionary.
    detail: &'a [u8],
}

pub(super) fn value<S: Sink>(r: &mut Reader<'_>) -> Result<S::Value> {
    let offset = r.offset();
    let code = r.u8("a type code")?;
    body::<S>(r, code, offset)
}

/// An `i16` count or length.
pub(super) fn count(r: &mut Reader<'_>) -> Result<usize> {
    let offset = r.offset();
    let found = r.array("a count").map(i16::from_be_bytes)?;
    usize::try_from(found).map_err(|_| DecodeError::NegativeCount { offset, found: found.into() })
}

fn long_count(r: &mut Reader<'_>) -> Result<usize> {
    let offset = r.offset();
    let found = r.array("a count").map(i32::from_be_bytes)?;
    usize::try_from(found).map_err(|_| DecodeError::NegativeCount { offset, found })
}

/// Reads what follows the type code at `offset`, or the same without its code where the type was declared.
fn body<S: Sink>(r: &mut Reader<'_>, code: u8, offset: usize) -> Result<S::Value> {
    Ok(match code {
        code::NULL => S::value(|| Value::Null),
        code::UNKNOWN => {
            r.canonical = false;
            S::value(|| Value::Null)
        }
        code::BOOL => {
            let byte = r.u8("a bool")?;
            r.canonical &= byte < 2;
            S::value(|| Value::Bool(byte != 0))
        }
        code::BYTE => {
            let byte = r.u8("a byte")?;
            S::value(|| Value::Byte(byte))
        }
        code::SHORT => {
            let bytes = r.array("a short")?;
            S::value(|| Value::Short(i16::from_be_bytes(bytes)))
        }
        code::INT => {
            let bytes = r.array("an int")?;
            S::value(|| Value::Int(i32::from_be_bytes(bytes)))
        }
        code::LONG => {
            let bytes = r.array("a long")?;
            S::value(|| Value::Long(i64::from_be_bytes(bytes)))
        }
        code::FLOAT => {
            let bytes = r.array("a float")?;
            S::value(|| Value::Float(f32::from_be_bytes(bytes)))
        }
        code::DOUBLE => {
            let bytes = r.array("a double")?;
            S::value(|| Value::Double(f64::from_be_bytes(bytes)))
        }
        code::STRING => {
            let len = count(r)?;
            let text = r.text(len)?;
            S::value(|| Value::String(text.to_arc()))
        }
        code::BYTE_ARRAY => {
            let len = long_count(r)?;
            let bytes = r.take(len, "a byte array")?;
            S::value(|| Value::ByteArray(Bytes::copy_from_slice(bytes)))
        }
        code::ARRAY => array::<S>(r)?.0,
        code::OBJECT_ARRAY => {
            let count = count(r)?;
            object_array::<S>(r, count)?
        }
        code::STRING_ARRAY => {
            r.canonical = false;
            let count = count(r)?;
            strings::<S>(r, count)?
        }
        code::INT_ARRAY => {
            r.canonical = false;
            let count = long_count(r)?;
            ints::<S>(r, count)?
        }
        code::HASHTABLE => {
            let count = count(r)?;
            S::hashtable(binary::hashtable_entries::<V16, S>(r, count)?)
        }
        code::DICTIONARY => dictionary::<S>(r)?,
        code::CUSTOM => {
            let code = r.u8("a custom type code")?;
            let len = count(r)?;
            let bytes = r.custom(len)?;
            S::value(|| Value::Custom { code, bytes: Bytes::copy_from_slice(bytes) })
        }
        code::EVENT => binary::nested::<V16, S>(r, MessageKind::Event)?,
        code::REQUEST => binary::nested::<V16, S>(r, MessageKind::OperationRequest)?,
        code::RESPONSE => binary::nested::<V16, S>(r, MessageKind::OperationResponse)?,
        code => return Err(DecodeError::UnknownType { offset, expected: "a value", code }),
    })
}

fn object_array<S: Sink>(r: &mut Reader<'_>, count: usize) -> Result<S::Value> {
    r.elements(count, 1)?;
    r.enter(1)?;
    let mut list = S::list(count);
    for _ in 0..count {
        let element = value::<S>(r)?;
        S::push(&mut list, || element);
    }
    r.leave(1);
    Ok(S::values(list, Value::ObjectArray))
}

fn strings<S: Sink>(r: &mut Reader<'_>, len: usize) -> Result<S::Value> {
    r.elements(len, 2)?;
    let mut list = S::list(len);
    for _ in 0..len {
        let len = count(r)?;
        let text = r.text(len)?;
        S::push(&mut list, || text.to_arc());
    }
    Ok(S::array(list, Value::StringArray))
}

fn ints<S: Sink>(r: &mut Reader<'_>, count: usize) -> Result<S::Value> {
    let chunks = r.chunks(count, "an int array")?;
    Ok(S::value(|| Value::IntArray(chunks.iter().map(|v| i32::from_be_bytes(*v)).collect())))
}

/// Reads the body of a typed array: count, element code, bodies.
fn array<'a, S: Sink>(r: &mut Reader<'a>) -> Result<(S::Value, Shape<'a>)> {
    let count = count(r)?;
    let offset = r.offset();
    let element = r.u8("an element type code")?;
    let shape = |element| Shape { levels: 0, element, detail: &[] };
    let value = match element {
        code::NULL | code::UNKNOWN => {
            // The elements have no bytes; what bounds them is the count of 16 bits and the value budget.
            r.canonical = false;
            r.spend(count)?;
            let mut list = S::list(count);
            for _ in 0..count {
                S::push(&mut list, || S::value(|| Value::Null));
            }
            return Ok((S::values(list, Value::ObjectArray), shape(code::OBJECT_ARRAY)));
        }
        code::BOOL => {
            let bytes = r.take(count, "a bool array")?;
            r.canonical &= bytes.iter().all(|byte| *byte < 2);
            S::value(|| Value::BoolArray(bytes.iter().map(|byte| *byte != 0).collect()))
        }
        code::BYTE => {
            r.canonical = false;
            let bytes = r.take(count, "a byte array")?;
            let value = S::value(|| Value::ByteArray(Bytes::copy_from_slice(bytes)));
            return Ok((value, shape(code::BYTE_ARRAY)));
        }
        code::SHORT => {
            let chunks = r.chunks(count, "a short array")?;
            S::value(|| Value::ShortArray(chunks.iter().map(|v| i16::from_be_bytes(*v)).collect()))
        }
        code::INT => ints::<S>(r, count)?,
        code::LONG => {
            let chunks = r.chunks(count, "a long array")?;
            S::value(|| Value::LongArray(chunks.iter().map(|v| i64::from_be_bytes(*v)).collect()))
        }
        code::FLOAT => {
            let chunks = r.chunks(count, "a float array")?;
            S::value(|| Value::FloatArray(chunks.iter().map(|v| f32::from_be_bytes(*v)).collect()))
        }
        code::DOUBLE => {
            let chunks = r.chunks(count, "a double array")?;
            S::value(|| Value::DoubleArray(chunks.iter().map(|v| f64::from_be_bytes(*v)).collect()))
        }
        code::STRING => strings::<S>(r, count)?,
        code::HASHTABLE => hashtables::<S>(r, count)?,
        code::CUSTOM => {
            let start = r.mark();
            let value = customs::<S>(r, count)?;
            let detail = r.since(start).get(..1).unwrap_or_default();
            return Ok((value, Shape { levels: 0, element, detail }));
        }
        code::DICTIONARY => return dictionaries::<S>(r, count),
        code::ARRAY | code::BYTE_ARRAY | code::OBJECT_ARRAY | code::STRING_ARRAY | code::INT_ARRAY => {
            return arrays::<S>(r, count, element);
        }
        code => return Err(DecodeError::UnknownType { offset, expected: "an array element", code }),
    };
    Ok((value, shape(element)))
}

fn hashtables<S: Sink>(r: &mut Reader<'_>, len: usize) -> Result<S::Value> {
    r.elements(len, 2)?;
    r.enter(1)?;
    let mut list = S::list(len);
    for _ in 0..len {
        let count = count(r)?;
        let table = binary::hashtable_entries::<V16, S>(r, count)?;
        S::push(&mut list, || table);
    }
    r.leave(1);
    Ok(S::hashtables(list))
}

fn customs<S: Sink>(r: &mut Reader<'_>, len: usize) -> Result<S::Value> {
    let code = r.u8("a custom type code")?;
    r.elements(len, 2)?;
    let mut list = S::list(len);
    for _ in 0..len {
        let len = count(r)?;
        let bytes = r.custom(len)?;
        S::push(&mut list, || Bytes::copy_from_slice(bytes));
    }
    Ok(S::array(list, |elements| Value::CustomArray { code, elements }))
}

/// Reads `count` arrays whose bodies are those of the code `element`.
fn arrays<'a, S: Sink>(r: &mut Reader<'a>, len: usize, element: u8) -> Result<(S::Value, Shape<'a>)> {
    let min_size = match element {
        code::ARRAY => 3,
        code::BYTE_ARRAY | code::INT_ARRAY => 4,
        _ => 2,
    };
    r.elements(len, min_size)?;
    r.enter(1)?;
    // The encoder writes an empty one, and one whose elements are of several types, as an object array.
    r.canonical &= len > 0;
    let mut common: Option<Shape<'a>> = None;
    let mut list = S::list(len);
    for _ in 0..len {
        let (value, shape) = if element == code::ARRAY {
            array::<S>(r)?
        } else {
            let offset = r.offset();
            let as_written = match element {
                code::STRING_ARRAY => code::STRING,
                code::INT_ARRAY => code::INT,
                element => element,
            };
            (body::<S>(r, element, offset)?, Shape { levels: 0, element: as_written, detail: &[] })
        };
        // A byte array or object array under `y` would be written under a code of its own.
        r.canonical &= *common.get_or_insert(shape) == shape;
        S::push(&mut list, || value);
    }
    r.leave(1);
    let inner = common.unwrap_or(Shape { levels: 0, element, detail: &[] });
    Ok((S::values(list, Value::ArrayOfArrays), Shape { levels: inner.levels + 1, ..inner }))
}

/// The declared types of a dictionary, as codes.
#[derive(Clone, Copy, Debug)]
struct Header {
    key: u8,
    value: u8,
}

impl Header {
    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let key_offset = r.offset();
        let key = r.u8("a key type code")?;
        let value_offset = r.offset();
        let value = r.u8("a value type code")?;
        // Null stands for "object" here. Containers as value types are read, but written as "object": C# readers
        // take some of them and fail on others.
        r.canonical &= !matches!(key, code::NULL)
            && !matches!(
                value,
                code::NULL | code::ARRAY | code::OBJECT_ARRAY | code::STRING_ARRAY | code::INT_ARRAY | code::DICTIONARY
            );
        let object = |code| if code == code::NULL { code::UNKNOWN } else { code };
        let header = Self { key: object(key), value: object(value) };
        if !matches!(
            header.key,
            code::UNKNOWN
                | code::BOOL
                | code::BYTE
                | code::SHORT
                | code::INT
                | code::LONG
                | code::FLOAT
                | code::DOUBLE
                | code::STRING
                | code::HASHTABLE
        ) {
            return Err(DecodeError::UnknownType { offset: key_offset, expected: "a key type", code: key });
        }
        if body_size(header.value).is_none() {
            return Err(DecodeError::UnknownType { offset: value_offset, expected: "a value type", code: value });
        }
        Ok(header)
    }

    fn types<'v>(self, values: impl Iterator<Item = &'v Value>) -> DictionaryType {
        DictionaryType {
            key: type_code(self.key).unwrap_or(TypeCode::Object),
            // What an array or nested dictionary is exactly stands in each value; it is the type of all if they agree.
            value: type_code(self.value).or_else(|| TypeCode::common(values)).unwrap_or(TypeCode::Object),
        }
    }
}

/// The least size of a body with a declared type; none for a type that cannot be declared.
fn body_size(code: u8) -> Option<usize> {
    Some(match code {
        code::UNKNOWN | code::BOOL | code::BYTE => 1,
        code::SHORT | code::STRING | code::OBJECT_ARRAY | code::STRING_ARRAY | code::HASHTABLE => 2,
        code::ARRAY | code::CUSTOM => 3,
        code::INT | code::FLOAT | code::BYTE_ARRAY | code::INT_ARRAY | code::DICTIONARY => 4,
        code::LONG | code::DOUBLE => 8,
        _ => return None,
    })
}

/// The neutral name of a declared type; none where the header leaves it open.
fn type_code(code: u8) -> Option<TypeCode> {
    Some(match code {
        code::UNKNOWN => TypeCode::Object,
        code::BOOL => TypeCode::Bool,
        code::BYTE => TypeCode::Byte,
        code::SHORT => TypeCode::Short,
        code::INT => TypeCode::Int,
        code::LONG => TypeCode::Long,
        code::FLOAT => TypeCode::Float,
        code::DOUBLE => TypeCode::Double,
        code::STRING => TypeCode::String,
        code::BYTE_ARRAY => TypeCode::ByteArray,
        code::OBJECT_ARRAY => TypeCode::ObjectArray,
        code::STRING_ARRAY => TypeCode::StringArray,
        code::INT_ARRAY => TypeCode::IntArray,
        code::HASHTABLE => TypeCode::Hashtable,
        code::CUSTOM => TypeCode::Custom,
        _ => return None,
    })
}

fn dictionary<S: Sink>(r: &mut Reader<'_>) -> Result<S::Value> {
    let header = Header::read(r)?;
    let table = dictionary_entries::<S>(r, header)?;
    Ok(S::dictionary(table, |entries| header.types(entries.values())))
}

fn dictionary_entries<'a, S: Sink>(r: &mut Reader<'a>, header: Header) -> Result<S::Entries> {
    let count = count(r)?;
    r.check_count(count, body_size(header.key).unwrap_or(1) + body_size(header.value).unwrap_or(1))?;
    r.spend(count.saturating_mul(2))?;
    r.enter(1)?;
    let read = |code| {
        move |r: &mut Reader<'a>| match code {
            code::UNKNOWN => value::<S>(r),
            _ => {
                let offset = r.offset();
                body::<S>(r, code, offset)
            }
        }
    };
    let typed_keys = header.key == code::UNKNOWN;
    let (key, value) = (read(header.key), read(header.value));
    let table = binary::entries::<V16, S>(r, count, Duplicates::Refused, typed_keys, key, value)?;
    r.leave(1);
    Ok(table)
}

fn dictionaries<'a, S: Sink>(r: &mut Reader<'a>, count: usize) -> Result<(S::Value, Shape<'a>)> {
    let start = r.mark();
    let header = Header::read(r)?;
    let detail = r.since(start);
    r.elements(count, 2)?;
    r.enter(1)?;
    let mut list = S::list(count);
    for _ in 0..count {
        let table = dictionary_entries::<S>(r, header)?;
        S::push(&mut list, || table);
    }
    r.leave(1);
    let value = S::dictionaries(list, |elements| header.types(elements.iter().flat_map(|entries| entries.values())));
    Ok((value, Shape { levels: 0, element: code::DICTIONARY, detail }))
}
