//! The walk over GpBinaryV18.
//!
//! | code | type | body |
//! |---|---|---|
//! | 2..=6 | bool, byte, short, float, double | 1, 1, 2, 4, 8 bytes |
//! | 7 | string | varint length, UTF-8 |
//! | 8 | null | |
//! | 9, 10 | int, long | zigzag varint |
//! | 11..=18 | int and long of 1 or 2 bytes, positive and negative | magnitude |
//! | 19, 128..=228 | custom; in the latter the code is the type code less 128 | `u8` code, varint length, bytes |
//! | 20 | dictionary | header, varint count, entries |
//! | 21, 85 | hashtable, array of them | varint count, typed key and value each |
//! | 23 | `object[]` | varint count, typed values |
//! | 24, 25, 26 | request, response, event | see [`crate::binary`] |
//! | 27..=34 | false, true, zeros | |
//! | 64 | array of arrays | varint count, typed arrays or null |
//! | 66..=71, 73, 74 | arrays of bool, byte, short, float, double, string, int, long | varint count, bodies |
//! | 83 | array of one custom type | varint count, `u8` code, length and bytes each |
//! | 84 | array of dictionaries | header, varint count, count and entries each |
//!
//! A dictionary's header is a key type code and a value type. The value type is a code, 0 for typed values; or 20 and
//! another header; or 64 for each level of arrays above the code of the innermost. It is handled here as the bytes
//! that spell it, so that a skim need not build it and the repetition in front of each nested dictionary can be
//! compared.

use super::{V18, code};
use crate::binary::{self, Binary, Duplicates};
use crate::reader::Reader;
use crate::sink::Sink;
use crate::{DecodeError, DictionaryType, MessageKind, TypeCode, Value};
use bytes::Bytes;

type Result<T> = std::result::Result<T, DecodeError>;

pub(super) fn value<S: Sink>(r: &mut Reader<'_>) -> Result<S::Value> {
    let offset = r.offset();
    let code = r.u8("a type code")?;
    body::<S>(r, code, offset, true)
}

/// A varint of at most 32 bits.
fn varint_32(r: &mut Reader<'_>) -> Result<u32> {
    let offset = r.offset();
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let byte = r.u8("a variable-length integer")?;
        if shift == 28 && byte > 0x0F {
            break;
        }
        value |= u32::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            r.canonical &= byte != 0 || shift == 0;
            return Ok(value);
        }
    }
    Err(DecodeError::VarintOverflow { offset, bits: 32 })
}

/// A varint of at most 64 bits.
fn varint_64(r: &mut Reader<'_>) -> Result<u64> {
    let offset = r.offset();
    let mut value = 0;
    for shift in (0..=63).step_by(7) {
        let byte = r.u8("a variable-length integer")?;
        if shift == 63 && byte > 0x01 {
            break;
        }
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            r.canonical &= byte != 0 || shift == 0;
            return Ok(value);
        }
    }
    Err(DecodeError::VarintOverflow { offset, bits: 64 })
}

fn zigzag_32(r: &mut Reader<'_>) -> Result<i32> {
    varint_32(r).map(|v| (v >> 1).cast_signed() ^ -(v & 1).cast_signed())
}

fn zigzag_64(r: &mut Reader<'_>) -> Result<i64> {
    varint_64(r).map(|v| (v >> 1).cast_signed() ^ -(v & 1).cast_signed())
}

fn count(r: &mut Reader<'_>) -> Result<usize> {
    varint_32(r).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

/// Magnitude of one byte; zero has a code of its own.
fn magnitude_1(r: &mut Reader<'_>) -> Result<i32> {
    let magnitude = r.u8("an integer of one byte")?;
    r.canonical &= magnitude != 0;
    Ok(magnitude.into())
}

/// Magnitude of two bytes; smaller ones have one.
fn magnitude_2(r: &mut Reader<'_>) -> Result<i32> {
    let magnitude = r.array("an integer of two bytes").map(u16::from_le_bytes)?;
    r.canonical &= magnitude > 0xFF;
    Ok(magnitude.into())
}

/// Reads what follows the type code at `offset`. `typed` is whether the code stood in front of this very value: then
/// some values have shorter forms, which alone are canonical.
fn body<S: Sink>(r: &mut Reader<'_>, code: u8, offset: usize, typed: bool) -> Result<S::Value> {
    Ok(match code {
        code::BOOL => {
            let byte = r.u8("a bool")?;
            r.canonical &= !typed && byte < 2;
            S::value(|| Value::Bool(byte != 0))
        }
        code::FALSE | code::TRUE => S::value(|| Value::Bool(code == code::TRUE)),
        code::BYTE => {
            let byte = r.u8("a byte")?;
            r.canonical &= !typed || byte != 0;
            S::value(|| Value::Byte(byte))
        }
        code::BYTE_ZERO => S::value(|| Value::Byte(0)),
        code::SHORT => {
            let short = r.array("a short").map(i16::from_le_bytes)?;
            r.canonical &= !typed || short != 0;
            S::value(|| Value::Short(short))
        }
        code::SHORT_ZERO => S::value(|| Value::Short(0)),
        code::FLOAT => {
            let bytes = r.array("a float")?;
            S::value(|| Value::Float(f32::from_le_bytes(bytes)))
        }
        code::FLOAT_ZERO => {
            r.canonical = false;
            S::value(|| Value::Float(0.0))
        }
        code::DOUBLE => {
            let bytes = r.array("a double")?;
            S::value(|| Value::Double(f64::from_le_bytes(bytes)))
        }
        code::DOUBLE_ZERO => {
            r.canonical = false;
            S::value(|| Value::Double(0.0))
        }
        code::STRING => {
            let len = count(r)?;
            let text = r.text(len)?;
            S::value(|| Value::String(text.to_arc()))
        }
        code::NULL => S::value(|| Value::Null),
        code::INT | code::INT_ZERO | code::INT_1..=code::INT_2_NEGATIVE => {
            let int = int(r, code, typed)?;
            S::value(|| Value::Int(int))
        }
        code::LONG | code::LONG_ZERO | code::LONG_1..=code::LONG_2_NEGATIVE => {
            let long = long(r, code, typed)?;
            S::value(|| Value::Long(long))
        }
        code::CUSTOM => {
            let custom_code = r.u8("a custom type code")?;
            r.canonical &= custom_code >= code::SLIM_CUSTOM_LAST - code::SLIM_CUSTOM;
            custom::<S>(r, custom_code)?
        }
        code::SLIM_CUSTOM..=code::SLIM_CUSTOM_LAST => {
            r.canonical &= code < code::SLIM_CUSTOM_LAST;
            custom::<S>(r, code - code::SLIM_CUSTOM)?
        }
        code::DICTIONARY => {
            let header = Header::read(r)?;
            let table = dictionary_entries::<S>(r, header)?;
            S::dictionary(table, |_| header.types())
        }
        code::HASHTABLE => {
            let count = count(r)?;
            S::hashtable(binary::hashtable_entries::<V18, S>(r, count)?)
        }
        code::OBJECT_ARRAY => object_array::<S>(r)?,
        code::REQUEST => binary::nested::<V18, S>(r, MessageKind::OperationRequest)?,
        code::RESPONSE => binary::nested::<V18, S>(r, MessageKind::OperationResponse)?,
        code::EVENT => binary::nested::<V18, S>(r, MessageKind::Event)?,
        code::ARRAY_OF_ARRAYS..=code::HASHTABLE_ARRAY => array::<S>(r, code, offset)?,
        code => return Err(DecodeError::UnknownType { offset, expected: "a value", code }),
    })
}

fn int(r: &mut Reader<'_>, code: u8, typed: bool) -> Result<i32> {
    Ok(match code {
        code::INT_1 => magnitude_1(r)?,
        code::INT_1_NEGATIVE => -magnitude_1(r)?,
        code::INT_2 => magnitude_2(r)?,
        code::INT_2_NEGATIVE => -magnitude_2(r)?,
        code::INT => {
            let int = zigzag_32(r)?;
            r.canonical &= !typed || int.unsigned_abs() > 0xFFFF;
            int
        }
        _ => 0,
    })
}

fn long(r: &mut Reader<'_>, code: u8, typed: bool) -> Result<i64> {
    Ok(match code {
        code::LONG_1 => magnitude_1(r)?.into(),
        code::LONG_1_NEGATIVE => (-magnitude_1(r)?).into(),
        code::LONG_2 => magnitude_2(r)?.into(),
        code::LONG_2_NEGATIVE => (-magnitude_2(r)?).into(),
        code::LONG => {
            let long = zigzag_64(r)?;
            r.canonical &= !typed || long.unsigned_abs() > 0xFFFF;
            long
        }
        _ => 0,
    })
}

fn custom<S: Sink>(r: &mut Reader<'_>, code: u8) -> Result<S::Value> {
    let len = count(r)?;
    let bytes = r.custom(len)?;
    Ok(S::value(|| Value::Custom { code, bytes: Bytes::copy_from_slice(bytes) }))
}

fn object_array<S: Sink>(r: &mut Reader<'_>) -> Result<S::Value> {
    let count = count(r)?;
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

fn array<S: Sink>(r: &mut Reader<'_>, code: u8, offset: usize) -> Result<S::Value> {
    if code == code::DICTIONARY_ARRAY {
        return dictionaries::<S>(r);
    }
    if !is_array(code) {
        return Err(DecodeError::UnknownType { offset, expected: "a value", code });
    }
    let count = count(r)?;
    Ok(match code {
        code::BOOL_ARRAY => bools::<S>(r, count)?,
        code::BYTE_ARRAY => {
            let bytes = r.take(count, "a byte array")?;
            S::value(|| Value::ByteArray(Bytes::copy_from_slice(bytes)))
        }
        code::SHORT_ARRAY => {
            let chunks = r.chunks(count, "a short array")?;
            S::value(|| Value::ShortArray(chunks.iter().map(|v| i16::from_le_bytes(*v)).collect()))
        }
        code::FLOAT_ARRAY => {
            let chunks = r.chunks(count, "a float array")?;
            S::value(|| Value::FloatArray(chunks.iter().map(|v| f32::from_le_bytes(*v)).collect()))
        }
        code::DOUBLE_ARRAY => {
            let chunks = r.chunks(count, "a double array")?;
            S::value(|| Value::DoubleArray(chunks.iter().map(|v| f64::from_le_bytes(*v)).collect()))
        }
        code::STRING_ARRAY => strings::<S>(r, count)?,
        code::INT_ARRAY => varints::<S, _>(r, count, zigzag_32, Value::IntArray)?,
        code::LONG_ARRAY => varints::<S, _>(r, count, zigzag_64, Value::LongArray)?,
        code::CUSTOM_ARRAY => customs::<S>(r, count)?,
        code::HASHTABLE_ARRAY => hashtables::<S>(r, count)?,
        _ => arrays::<S>(r, count, &[])?,
    })
}

/// Whether a type code is one of an array, `object[]` included.
pub(super) fn is_array(code: u8) -> bool {
    matches!(
        code,
        code::OBJECT_ARRAY
            | code::ARRAY_OF_ARRAYS
            | code::BOOL_ARRAY..=code::STRING_ARRAY
            | code::INT_ARRAY
            | code::LONG_ARRAY
            | code::CUSTOM_ARRAY..=code::HASHTABLE_ARRAY
    )
}

/// Eight to a byte, the first in the lowest bit.
fn bools<S: Sink>(r: &mut Reader<'_>, count: usize) -> Result<S::Value> {
    let bytes = r.take(count.div_ceil(8), "a bool array")?;
    let padding = match count % 8 {
        0 => 0,
        used => bytes.last().map_or(0, |last| last >> used),
    };
    r.canonical &= padding == 0;
    Ok(S::value(|| {
        let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        Value::BoolArray(bits.take(count).collect())
    }))
}

fn strings<S: Sink>(r: &mut Reader<'_>, len: usize) -> Result<S::Value> {
    r.elements(len, 1)?;
    let mut list = S::list(len);
    for _ in 0..len {
        let len = count(r)?;
        let text = r.text(len)?;
        S::push(&mut list, || text.to_arc());
    }
    Ok(S::array(list, Value::StringArray))
}

fn varints<S: Sink, T>(
    r: &mut Reader<'_>,
    count: usize,
    read: fn(&mut Reader<'_>) -> Result<T>,
    wrap: fn(Vec<T>) -> Value,
) -> Result<S::Value> {
    r.check_count(count, 1)?;
    let mut list = S::list(count);
    for _ in 0..count {
        let number = read(r)?;
        S::push(&mut list, || number);
    }
    Ok(S::array(list, wrap))
}

fn customs<S: Sink>(r: &mut Reader<'_>, len: usize) -> Result<S::Value> {
    let code = r.u8("a custom type code")?;
    r.elements(len, 1)?;
    let mut list = S::list(len);
    for _ in 0..len {
        let len = count(r)?;
        let bytes = r.custom(len)?;
        S::push(&mut list, || Bytes::copy_from_slice(bytes));
    }
    Ok(S::array(list, |elements| Value::CustomArray { code, elements }))
}

fn hashtables<S: Sink>(r: &mut Reader<'_>, len: usize) -> Result<S::Value> {
    r.elements(len, 1)?;
    r.enter(1)?;
    let mut list = S::list(len);
    for _ in 0..len {
        let count = count(r)?;
        let table = binary::hashtable_entries::<V18, S>(r, count)?;
        S::push(&mut list, || table);
    }
    r.leave(1);
    Ok(S::hashtables(list))
}

/// Reads `count` typed arrays or nulls. `declared` is what the header of a dictionary says of the elements: their
/// levels and innermost type; nothing outside of one.
fn arrays<S: Sink>(r: &mut Reader<'_>, count: usize, declared: &[u8]) -> Result<S::Value> {
    r.elements(count, 1)?;
    r.enter(1)?;
    let mut list = S::list(count);
    for _ in 0..count {
        let offset = r.offset();
        let code = r.u8("a type code")?;
        let fits = match declared.first() {
            Some(expected) => code == *expected,
            None => is_array(code),
        };
        if !fits && code != code::NULL {
            return Err(DecodeError::UnknownType { offset, expected: "an array of the declared type", code });
        }
        let element = match declared {
            [code::ARRAY_OF_ARRAYS, inner @ ..] if code == code::ARRAY_OF_ARRAYS => declared_arrays::<S>(r, inner)?,
            _ => body::<S>(r, code, offset, true)?,
        };
        S::push(&mut list, || element);
    }
    r.leave(1);
    Ok(S::values(list, Value::ArrayOfArrays))
}

fn declared_arrays<S: Sink>(r: &mut Reader<'_>, declared: &[u8]) -> Result<S::Value> {
    let count = count(r)?;
    arrays::<S>(r, count, declared)
}

/// The declared types of a dictionary, as the bytes that spell them.
#[derive(Clone, Copy, Debug)]
struct Header<'a> {
    key: u8,
    value: &'a [u8],
}

impl<'a> Header<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self> {
        let key = key_type(r)?;
        let start = r.mark();
        let mut levels = 0;
        // Not recursive: each level counts as depth, but only the bodies nest.
        loop {
            let offset = r.offset();
            let code = r.u8("a value type code")?;
            match code {
                code::DICTIONARY => {
                    key_type(r)?;
                    levels += 1;
                }
                code::ARRAY_OF_ARRAYS => {
                    levels += 1;
                    Self::innermost_array(r, &mut levels)?;
                    break;
                }
                _ if body_size(code).is_some() => {
                    r.canonical &= !is_alias(code);
                    break;
                }
                code => return Err(DecodeError::UnknownType { offset, expected: "a value type", code }),
            }
            r.enter(levels)?;
            r.leave(levels);
        }
        r.enter(levels)?;
        r.leave(levels);
        Ok(Self { key, value: r.since(start) })
    }

    /// `object[]`, custom types and dictionaries cannot be innermost: no client can read such a header.
    fn innermost_array(r: &mut Reader<'a>, levels: &mut u32) -> Result<()> {
        loop {
            let offset = r.offset();
            match r.u8("an array type code")? {
                code::ARRAY_OF_ARRAYS => {
                    *levels += 1;
                    r.enter(*levels)?;
                    r.leave(*levels);
                }
                code::BOOL_ARRAY..=code::STRING_ARRAY | code::INT_ARRAY | code::LONG_ARRAY | code::HASHTABLE_ARRAY => {
                    return Ok(());
                }
                code => return Err(DecodeError::UnknownType { offset, expected: "a declared array type", code }),
            }
        }
    }

    fn types(self) -> DictionaryType {
        DictionaryType { key: type_code(&[self.key]), value: type_code(self.value) }
    }
}

fn key_type(r: &mut Reader<'_>) -> Result<u8> {
    let offset = r.offset();
    let code = r.u8("a key type code")?;
    // C# writes dictionaries with bool keys but refuses to read them; they are written with typed keys.
    r.canonical &= !is_alias(code) && code != code::BOOL;
    match code {
        code::OBJECT
        | code::BOOL..=code::STRING
        | code::INT..=code::LONG_2_NEGATIVE
        | code::FALSE..=code::BYTE_ZERO => Ok(code),
        code => Err(DecodeError::UnknownType { offset, expected: "a key type", code }),
    }
}

/// Whether a code is a short form of another one; readers take it as a declared type, writers never declare it.
fn is_alias(code: u8) -> bool {
    matches!(code, code::INT_1..=code::LONG_2_NEGATIVE | code::FALSE..=code::BYTE_ZERO)
}

/// The least size of a body with a declared type of one code; none for a code that cannot be declared.
fn body_size(code: u8) -> Option<usize> {
    Some(match code {
        code::FALSE..=code::BYTE_ZERO => 0,
        code::OBJECT | code::BOOL | code::BYTE | code::STRING | code::INT | code::LONG => 1,
        code::INT_1 | code::INT_1_NEGATIVE | code::LONG_1 | code::LONG_1_NEGATIVE => 1,
        code::SHORT | code::INT_2 | code::INT_2_NEGATIVE | code::LONG_2 | code::LONG_2_NEGATIVE => 2,
        code::FLOAT => 4,
        code::DOUBLE => 8,
        code::HASHTABLE | code::OBJECT_ARRAY | code::HASHTABLE_ARRAY => 1,
        code::BOOL_ARRAY..=code::STRING_ARRAY | code::INT_ARRAY | code::LONG_ARRAY => 1,
        _ => return None,
    })
}

/// The least size of a value with the declared type that `declared` spells.
fn min_size(declared: &[u8]) -> usize {
    match declared {
        [code::DICTIONARY, header @ ..] => header.len() + 1,
        [code::ARRAY_OF_ARRAYS, ..] => 2,
        _ => declared.first().and_then(|code| body_size(*code)).unwrap_or(1),
    }
}

/// The neutral name of the declared type that `declared` spells.
pub(super) fn type_code(declared: &[u8]) -> TypeCode {
    match declared {
        [code::DICTIONARY, key, value @ ..] => {
            TypeCode::Dictionary(Box::new(DictionaryType { key: type_code(&[*key]), value: type_code(value) }))
        }
        [code::ARRAY_OF_ARRAYS, inner @ ..] => TypeCode::ArrayOfArrays(Box::new(type_code(inner))),
        [code, ..] => match *code {
            code::BOOL | code::FALSE | code::TRUE => TypeCode::Bool,
            code::BYTE | code::BYTE_ZERO => TypeCode::Byte,
            code::SHORT | code::SHORT_ZERO => TypeCode::Short,
            code::INT | code::INT_ZERO | code::INT_1..=code::INT_2_NEGATIVE => TypeCode::Int,
            code::LONG | code::LONG_ZERO | code::LONG_1..=code::LONG_2_NEGATIVE => TypeCode::Long,
            code::FLOAT | code::FLOAT_ZERO => TypeCode::Float,
            code::DOUBLE | code::DOUBLE_ZERO => TypeCode::Double,
            code::STRING => TypeCode::String,
            code::HASHTABLE => TypeCode::Hashtable,
            code::OBJECT_ARRAY => TypeCode::ObjectArray,
            code::BOOL_ARRAY => TypeCode::BoolArray,
            code::BYTE_ARRAY => TypeCode::ByteArray,
            code::SHORT_ARRAY => TypeCode::ShortArray,
            code::FLOAT_ARRAY => TypeCode::FloatArray,
            code::DOUBLE_ARRAY => TypeCode::DoubleArray,
            code::STRING_ARRAY => TypeCode::StringArray,
            code::INT_ARRAY => TypeCode::IntArray,
            code::LONG_ARRAY => TypeCode::LongArray,
            code::HASHTABLE_ARRAY => TypeCode::HashtableArray,
            _ => TypeCode::Object,
        },
        [] => TypeCode::Object,
    }
}

fn dictionary_entries<'a, S: Sink>(r: &mut Reader<'a>, header: Header<'_>) -> Result<S::Entries> {
    let count = count(r)?;
    r.check_count(count, min_size(&[header.key]) + min_size(header.value))?;
    r.spend(count.saturating_mul(2))?;
    r.enter(1)?;
    let typed_keys = header.key == code::OBJECT;
    let key = |r: &mut Reader<'a>| declared_body::<S>(r, &[header.key]);
    let value = |r: &mut Reader<'a>| declared_body::<S>(r, header.value);
    let table = binary::entries::<V18, S>(r, count, Duplicates::Refused, typed_keys, key, value)?;
    r.leave(1);
    Ok(table)
}

fn declared_body<S: Sink>(r: &mut Reader<'_>, declared: &[u8]) -> Result<S::Value> {
    let offset = r.offset();
    match declared {
        [code::DICTIONARY, header @ ..] => {
            if r.take(header.len(), "the header of a nested dictionary")? != header {
                return Err(DecodeError::HeaderMismatch { offset });
            }
            let (key, value) = header.split_first().unwrap_or((&code::OBJECT, &[]));
            let header = Header { key: *key, value };
            let table = dictionary_entries::<S>(r, header)?;
            Ok(S::dictionary(table, |_| header.types()))
        }
        [code::ARRAY_OF_ARRAYS, inner @ ..] => match r.u8("an array of arrays")? {
            code::ARRAY_OF_ARRAYS => declared_arrays::<S>(r, inner),
            code => Err(DecodeError::UnknownType { offset, expected: "an array of arrays", code }),
        },
        [code::OBJECT] | [] => V18::value::<S>(r),
        [code, ..] => body::<S>(r, *code, offset, false),
    }
}

fn dictionaries<S: Sink>(r: &mut Reader<'_>) -> Result<S::Value> {
    let header = Header::read(r)?;
    let len = count(r)?;
    r.elements(len, 1)?;
    r.enter(1)?;
    let mut list = S::list(len);
    for _ in 0..len {
        let table = dictionary_entries::<S>(r, header)?;
        S::push(&mut list, || table);
    }
    r.leave(1);
    Ok(S::dictionaries(list, |_| header.types()))
}
