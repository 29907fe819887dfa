//! GpBinaryV18: little-endian, counts and most integers of variable length.
//!
//! A typed value is one type code and a body; small integers have codes of their own that shorten the body or spare it.

mod decode;
mod encode;

use crate::binary::Binary;
use crate::reader::Reader;
use crate::sink::Sink;
use crate::{DecodeError, EncodeError, Protocol, Value};

/// Type codes.
mod code {
    pub(super) const OBJECT: u8 = 0;
    pub(super) const BOOL: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const SHORT: u8 = 4;
    pub(super) const FLOAT: u8 = 5;
    pub(super) const DOUBLE: u8 = 6;
    pub(super) const STRING: u8 = 7;
    pub(super) const NULL: u8 = 8;
    pub(super) const INT: u8 = 9;
    pub(super) const LONG: u8 = 10;
    pub(super) const INT_1: u8 = 11;
    pub(super) const INT_1_NEGATIVE: u8 = 12;
    pub(super) const INT_2: u8 = 13;
    pub(super) const INT_2_NEGATIVE: u8 = 14;
    pub(super) const LONG_1: u8 = 15;
    pub(super) const LONG_1_NEGATIVE: u8 = 16;
    pub(super) const LONG_2: u8 = 17;
    pub(super) const LONG_2_NEGATIVE: u8 = 18;
    pub(super) const CUSTOM: u8 = 19;
    pub(super) const DICTIONARY: u8 = 20;
    pub(super) const HASHTABLE: u8 = 21;
    pub(super) const OBJECT_ARRAY: u8 = 23;
    pub(super) const REQUEST: u8 = 24;
    pub(super) const RESPONSE: u8 = 25;
    pub(super) const EVENT: u8 = 26;
    pub(super) const FALSE: u8 = 27;
    pub(super) const TRUE: u8 = 28;
    pub(super) const SHORT_ZERO: u8 = 29;
    pub(super) const INT_ZERO: u8 = 30;
    pub(super) const LONG_ZERO: u8 = 31;
    pub(super) const FLOAT_ZERO: u8 = 32;
    pub(super) const DOUBLE_ZERO: u8 = 33;
    pub(super) const BYTE_ZERO: u8 = 34;
    pub(super) const ARRAY_OF_ARRAYS: u8 = 64;
    pub(super) const BOOL_ARRAY: u8 = 66;
    pub(super) const BYTE_ARRAY: u8 = 67;
    pub(super) const SHORT_ARRAY: u8 = 68;
    pub(super) const FLOAT_ARRAY: u8 = 69;
    pub(super) const DOUBLE_ARRAY: u8 = 70;
    pub(super) const STRING_ARRAY: u8 = 71;
    pub(super) const INT_ARRAY: u8 = 73;
    pub(super) const LONG_ARRAY: u8 = 74;
    pub(super) const CUSTOM_ARRAY: u8 = 83;
    pub(super) const DICTIONARY_ARRAY: u8 = 84;
    pub(super) const HASHTABLE_ARRAY: u8 = 85;
    /// The first of the codes that hold the custom type code themselves.
    pub(super) const SLIM_CUSTOM: u8 = 128;
    /// The last one that readers take; writers stop one short of it.
    pub(super) const SLIM_CUSTOM_LAST: u8 = 228;
}

#[derive(Debug)]
pub(crate) enum V18 {}

impl Binary for V18 {
    const NULLS: &'static [u8] = &[code::NULL];
    const STRING: u8 = code::STRING;
    const EMPTY_STRING: &'static [u8] = &[code::STRING, 0];

    fn value<S: Sink>(r: &mut Reader<'_>) -> Result<S::Value, DecodeError> {
        decode::value::<S>(r)
    }

    /// One plain byte, also from 128 on.
    fn parameter_count(r: &mut Reader<'_>) -> Result<usize, DecodeError> {
        r.u8("a parameter count").map(usize::from)
    }

    fn short(r: &mut Reader<'_>) -> Result<i16, DecodeError> {
        r.array("a return code").map(i16::from_le_bytes)
    }

    fn put_value(out: &mut Vec<u8>, value: &Value) -> Result<(), EncodeError> {
        encode::value(out, value)
    }

    fn put_parameter_count(out: &mut Vec<u8>, count: usize) -> Result<(), EncodeError> {
        out.push(u8::try_from(count).map_err(|_| EncodeError::TooLong {
            what: "a parameter table",
            protocol: Protocol::GpBinaryV18.name(),
            found: count,
            limit: u8::MAX.into(),
        })?);
        Ok(())
    }

    fn put_short(out: &mut Vec<u8>, value: i16) {
        out.extend_from_slice(&value.to_le_bytes());
    }
}
