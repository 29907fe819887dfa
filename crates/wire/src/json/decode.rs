//! The walk over JSON text.

use super::{number, text};
use crate::binary::{self, Duplicates};
use crate::reader::Reader;
use crate::sink::{KeyBytes, Sink};
use crate::{DecodeError, Value};

type Result<T> = std::result::Result<T, DecodeError>;

/// Whole numbers of up to so many digits are exact in a double and written digit by digit.
const EXACT_DIGITS: usize = 15;

/// Skips white space, which the writer never makes.
pub(crate) fn space(r: &mut Reader<'_>) {
    let count = r.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    if count > 0 {
        r.canonical = false;
        r.skip(count);
    }
}

/// Takes `byte`, with white space around it, if it is next.
pub(super) fn accept(r: &mut Reader<'_>, byte: u8) -> bool {
    space(r);
    let next = r.peek() == Some(byte);
    if next {
        r.skip(1);
        space(r);
    }
    next
}

pub(super) fn expect(r: &mut Reader<'_>, byte: u8, expected: &'static str) -> Result<()> {
    if accept(r, byte) { Ok(()) } else { Err(r.unexpected(expected)) }
}

/// Reads one value, without white space around it.
pub(crate) fn value<S: Sink>(r: &mut Reader<'_>) -> Result<S::Value> {
    match r.peek() {
        Some(b'"') => {
            r.skip(1);
            let text = text::string(r)?;
            Ok(S::value(|| Value::String(text.to_arc())))
        }
        Some(b'{') => object::<S>(r),
        Some(b'[') => array::<S>(r),
        Some(b't') => literal::<S>(r, b"true", Value::Bool(true)),
        Some(b'f') => literal::<S>(r, b"false", Value::Bool(false)),
        Some(b'n') => literal::<S>(r, b"null", Value::Null),
        Some(b'-' | b'0'..=b'9') => {
            let number = number(r)?;
            Ok(S::value(|| Value::Double(number)))
        }
        _ => Err(r.unexpected("a JSON value")),
    }
}

fn literal<S: Sink>(r: &mut Reader<'_>, text: &'static [u8], value: Value) -> Result<S::Value> {
    if !r.rest().starts_with(text) {
        return Err(r.unexpected("true, false or null"));
    }
    r.skip(text.len());
    Ok(S::value(|| value))
}

fn digits(r: &mut Reader<'_>) -> Result<usize> {
    let count = r.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return Err(r.unexpected("a digit"));
    }
    r.skip(count);
    Ok(count)
}

/// Reads a finite number.
pub(super) fn number(r: &mut Reader<'_>) -> Result<f64> {
    let offset = r.offset();
    let start = r.mark();
    if r.peek() == Some(b'-') {
        r.skip(1);
    }
    let leading_zero = r.peek() == Some(b'0');
    let count = digits(r)?;
    if leading_zero && count > 1 {
        return Err(DecodeError::Unexpected { offset, expected: "a number without leading zeros", found: b'0' });
    }
    let mut whole = true;
    if r.peek() == Some(b'.') {
        whole = false;
        r.skip(1);
        digits(r)?;
    }
    if matches!(r.peek(), Some(b'e' | b'E')) {
        whole = false;
        r.skip(1);
        if matches!(r.peek(), Some(b'+' | b'-')) {
            r.skip(1);
        }
        digits(r)?;
    }
    let text = r.since(start);
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    let number = number
        .filter(|number| number.is_finite())
        .ok_or(DecodeError::NumberOutOfRange { offset, expected: "a finite number" })?;
    let surely = whole && count <= EXACT_DIGITS;
    r.canonical &= surely || number::number_text(number).as_slice() == text;
    Ok(number)
}

/// Reads a whole number from 0 to 255.
pub(super) fn code(r: &mut Reader<'_>, expected: &'static str) -> Result<u8> {
    let offset = r.offset();
    if !matches!(r.peek(), Some(b'-' | b'0'..=b'9')) {
        return Err(r.unexpected(expected));
    }
    let number = number(r)?;
    crate::coerce::byte(&Value::Double(number)).ok_or(DecodeError::NumberOutOfRange { offset, expected })
}

fn array<S: Sink>(r: &mut Reader<'_>) -> Result<S::Value> {
    r.skip(1);
    r.enter(1)?;
    let mut list = S::list(0);
    space(r);
    if r.peek() == Some(b']') {
        r.skip(1);
    } else {
        loop {
            r.spend(1)?;
            let element = value::<S>(r)?;
            S::push(&mut list, || element);
            if !accept(r, b',') {
                break;
            }
        }
        close(r, b']', "a comma or the end of the array")?;
    }
    r.leave(1);
    Ok(S::values(list, Value::ObjectArray))
}

/// Takes the closing bracket, but not the white space behind it, which is no part of the value.
fn close(r: &mut Reader<'_>, bracket: u8, expected: &'static str) -> Result<()> {
    space(r);
    if r.peek() != Some(bracket) {
        return Err(r.unexpected(expected));
    }
    r.skip(1);
    Ok(())
}

fn object<'a, S: Sink>(r: &mut Reader<'a>) -> Result<S::Value> {
    r.skip(1);
    r.enter(1)?;
    let mut table = S::table(0);
    space(r);
    if r.peek() == Some(b'}') {
        r.skip(1);
    } else {
        loop {
            r.spend(2)?;
            let (key_bytes, key) = key::<S>(r)?;
            expect(r, b':', "a colon")?;
            let value = value::<S>(r)?;
            binary::insert::<S>(r, &mut table, key_bytes, key, value, Duplicates::LastWins)?;
            if !accept(r, b',') {
                break;
            }
        }
        close(r, b'}', "a comma or the end of the object")?;
    }
    r.leave(1);
    Ok(S::hashtable(S::entries(table)))
}

fn key<'a, S: Sink>(r: &mut Reader<'a>) -> Result<(KeyBytes<'a>, S::Value)> {
    let before = std::mem::replace(&mut r.canonical, true);
    let start = r.mark();
    if r.peek() != Some(b'"') {
        return Err(r.unexpected("a member name"));
    }
    r.skip(1);
    let text = text::string(r)?;
    let key_bytes = KeyBytes { bytes: r.since(start), canonical: r.canonical };
    r.canonical &= before;
    Ok((key_bytes, S::value(|| Value::String(text.to_arc()))))
}
