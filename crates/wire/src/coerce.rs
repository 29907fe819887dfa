//! Reading operation parameters leniently: JavaScript sends every number as a double and every array as `object[]`.
//!
//! Each function gives `None` for a value that does not fit: wrong kind, out of range, not a whole number.

use std::sync::Arc;

use bytes::Bytes;

use crate::Value;

/// Any numeric value that is whole, as 64 bits.
#[must_use]
pub fn long(value: &Value) -> Option<i64> {
    match value {
        Value::Byte(v) => Some((*v).into()),
        Value::Short(v) => Some((*v).into()),
        Value::Int(v) => Some((*v).into()),
        Value::Long(v) => Some(*v),
        Value::Float(v) => whole((*v).into()),
        Value::Double(v) => whole(*v),
        _ => None,
    }
}

fn whole(number: f64) -> Option<i64> {
    /// 2^63, the first whole number above the range.
    const END: f64 = 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
    let long = || number as i64;
    (number.trunc() == number && (-END..END).contains(&number)).then(long)
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

/// Any number; a `long` beyond 2^53 is rounded as JavaScript would round it.
#[must_use]
pub fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Byte(v) => Some((*v).into()),
        Value::Short(v) => Some((*v).into()),
        Value::Int(v) => Some((*v).into()),
        Value::Long(v) => Some(*v as f64),
        Value::Float(v) => Some((*v).into()),
        Value::Double(v) => Some(*v),
        _ => None,
    }
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
    match value {
        Value::StringArray(v) => Some(v.clone()),
        Value::ObjectArray(v) => v.iter().map(string).collect(),
        _ => None,
    }
}

/// `int[]`, or an array of whole numbers in range.
#[must_use]
pub fn ints(value: &Value) -> Option<Vec<i32>> {
    match value {
        Value::IntArray(v) => Some(v.clone()),
        Value::ByteArray(v) => Some(v.iter().map(|v| (*v).into()).collect()),
        _ => whole_numbers(value, |v| v.try_into().ok()),
    }
}

/// `byte[]`, or an array of whole numbers 0..=255.
#[must_use]
pub fn bytes(value: &Value) -> Option<Bytes> {
    match value {
        Value::ByteArray(v) => Some(v.clone()),
        _ => whole_numbers(value, |v| u8::try_from(v).ok()).map(Bytes::from),
    }
}

/// The elements of any array of numbers other than `byte[]`, if all are whole and `narrow` takes them.
fn whole_numbers<T>(value: &Value, narrow: impl Fn(i64) -> Option<T>) -> Option<Vec<T>> {
    match value {
        Value::ShortArray(v) => v.iter().map(|v| narrow((*v).into())).collect(),
        Value::IntArray(v) => v.iter().map(|v| narrow((*v).into())).collect(),
        Value::LongArray(v) => v.iter().map(|v| narrow(*v)).collect(),
        Value::FloatArray(v) => v.iter().map(|v| narrow(whole((*v).into())?)).collect(),
        Value::DoubleArray(v) => v.iter().map(|v| narrow(whole(*v)?)).collect(),
        Value::ObjectArray(v) => v.iter().map(|v| narrow(long(v)?)).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_of_every_type_are_taken_and_others_refused() {
        let fits =
            [Value::Byte(7), Value::Short(7), Value::Int(7), Value::Long(7), Value::Float(7.0), Value::Double(7.0)];
        for value in fits {
            assert_eq!(byte(&value), Some(7), "{value:?}");
        }
        for value in [
            Value::Double(7.5),
            Value::Double(256.0),
            Value::Double(-1.0),
            Value::Double(f64::NAN),
            Value::Double(f64::INFINITY),
            Value::Bool(true),
            Value::from("7"),
            Value::Null,
        ] {
            assert_eq!(byte(&value), None, "{value:?}");
        }
    }

    #[test]
    fn the_ends_of_the_long_range_are_exact() {
        assert_eq!(long(&Value::Double(-9_223_372_036_854_775_808.0)), Some(i64::MIN));
        assert_eq!(long(&Value::Double(9_223_372_036_854_775_808.0)), None);
        assert_eq!(int(&Value::Double(2_147_483_647.0)), Some(i32::MAX));
        assert_eq!(int(&Value::Double(2_147_483_648.0)), None);
    }

    #[test]
    fn javascript_arrays_become_typed_ones_if_every_element_fits() {
        let numbers = Value::ObjectArray(vec![Value::Double(1.0), Value::Double(255.0)]);
        assert_eq!(ints(&numbers), Some(vec![1, 255]));
        assert_eq!(bytes(&numbers), Some(Bytes::from_static(&[1, 255])));
        assert_eq!(strings(&numbers), None);
        assert_eq!(bytes(&Value::IntArray(vec![1, 256])), None);
        assert_eq!(ints(&Value::DoubleArray(vec![0.5])), None);
        let names = Value::ObjectArray(vec![Value::from("a"), Value::from("b")]);
        assert_eq!(strings(&names), Some(vec!["a".into(), "b".into()]));
        assert_eq!(strings(&Value::ObjectArray(vec![Value::from("a"), Value::Null])), None);
    }
}
