//! GpBinaryV16: big-endian, counts of 16 bits.
//!
//! A typed value is one type code (an ASCII letter) and a body; where a type is declared beforehand only bodies follow.
//! Quirks that the reader accepts and the writer never makes: see [`decode`] and [`encode`].

mod decode;
mod encode;

use crate::binary::Binary;
use crate::reader::Reader;
use crate::sink::Sink;
use crate::{DecodeError, EncodeError, Value};

/// Type codes.
mod code {
    pub(super) const UNKNOWN: u8 = 0;
    pub(super) const NULL: u8 = b'*';
    pub(super) const BOOL: u8 = b'o';
    pub(super) const BYTE: u8 = b'b';
    pub(super) const SHORT: u8 = b'k';
    pub(super) const INT: u8 = b'i';
    pub(super) const LONG: u8 = b'l';
    pub(super) const FLOAT: u8 = b'f';
    pub(super) const DOUBLE: u8 = b'd';
    pub(super) const STRING: u8 = b's';
    pub(super) const BYTE_ARRAY: u8 = b'x';
    pub(super) const ARRAY: u8 = b'y';
    pub(super) const OBJECT_ARRAY: u8 = b'z';
    pub(super) const STRING_ARRAY: u8 = b'a';
    pub(super) const INT_ARRAY: u8 = b'n';
    pub(super) const HASHTABLE: u8 = b'h';
    pub(super) const DICTIONARY: u8 = b'D';
    pub(super) const CUSTOM: u8 = b'c';
    pub(super) const EVENT: u8 = b'e';
    pub(super) const REQUEST: u8 = b'q';
    pub(super) const RESPONSE: u8 = b'p';
}

#[derive(Debug)]
pub(crate) enum V16 {}

impl Binary for V16 {
    const NULLS: &'static [u8] = &[code::NULL, code::UNKNOWN];
    const STRING: u8 = code::STRING;
    const EMPTY_STRING: &'static [u8] = &[code::STRING, 0, 0];

    fn value<S: Sink>(r: &mut Reader<'_>) -> Result<S::Value, DecodeError> {
        decode::value::<S>(r)
    }

    fn parameter_count(r: &mut Reader<'_>) -> Result<usize, DecodeError> {
        decode::count(r)
    }

    fn short(r: &mut Reader<'_>) -> Result<i16, DecodeError> {
        r.array("a return code").map(i16::from_be_bytes)
    }

    fn put_value(out: &mut Vec<u8>, value: &Value) -> Result<(), EncodeError> {
        encode::value(out, value)
    }

    fn put_parameter_count(out: &mut Vec<u8>, count: usize) -> Result<(), EncodeError> {
        encode::count(out, "a parameter table", count)
    }

    fn put_short(out: &mut Vec<u8>, value: i16) {
        out.extend_from_slice(&value.to_be_bytes());
    }
}
