//! Reading operation parameters leniently: JavaScript sends every number as a double and every array as `object[]`.
//!
//! Each function gives `None` for a value that does not fit: wrong kind, out of range, not a whole number.

use std::sync::Arc;

use bytes::Bytes;

use crate::Value;

/// Any numeric value that is whole, as 64 bits.
#[must_use]
pub fn long(value: &Value) -> Option<i64> {
    let _ = value;
    todo!()
}

/// Any whole number in the range of an `int`.
#[must_use]
pub fn int(value: &Value) -> Option<i32> {
    long(value).and_then(|v| v.try_into().ok())
}

/// Any whole number in the range of a `byte`.
#[must_use]
pub fn byte(value: &Value) -> Option<u8> {
    long(value).and_then(|v| v.try_into().ok())
}

/// A truth value; numbers are none.
#[must_use]
pub fn bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(v) => Some(*v),
        _ => None,
    }
}

/// Text.
#[must_use]
pub fn string(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::String(v) => Some(v.clone()),
        _ => None,
    }
}

/// `string[]`, or an `object[]` of strings.
#[must_use]
pub fn strings(value: &Value) -> Option<Vec<Arc<str>>> {
    let _ = value;
    todo!()
}

/// `int[]`, or an array of whole numbers in range.
#[must_use]
pub fn ints(value: &Value) -> Option<Vec<i32>> {
    let _ = value;
    todo!()
}

/// `byte[]`, or an array of whole numbers 0..=255.
#[must_use]
pub fn bytes(value: &Value) -> Option<Bytes> {
    let _ = value;
    todo!()
}
