//! The inside of JSON strings.
//!
//! Written: printable ASCII as it is; quote, backslash and the five control characters that have one as short escapes;
//! everything else as `\uxxxx`, with surrogate pairs. Read: all of RFC 8259; half a surrogate pair becomes U+FFFD.

use crate::DecodeError;
use crate::reader::{Reader, Text, lossy_len};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Short escapes and what they stand for, `\/` apart, which is read but not written.
const SHORT_ESCAPES: [(u8, u8); 7] =
    [(b'"', b'"'), (b'\\', b'\\'), (b'b', 0x08), (b'f', 0x0C), (b'n', b'\n'), (b'r', b'\r'), (b't', b'\t')];

/// One escape sequence.
struct Escape {
    character: char,
    /// Its length, backslash included.
    len: usize,
    /// Whether the writer would write the character just so.
    canonical: bool,
}

/// Reads the escape that `text` begins with; none if it is malformed.
fn escape(text: &[u8]) -> Option<Escape> {
    let [b'\\', kind, ..] = text else { return None };
    if *kind == b'u' {
        return unicode_escape(text);
    }
    let short = SHORT_ESCAPES.iter().find(|(letter, _)| letter == kind).map(|(_, byte)| *byte);
    let byte = short.or_else(|| (*kind == b'/').then_some(b'/'))?;
    Some(Escape { character: byte.into(), len: 2, canonical: short.is_some() })
}

fn unicode_escape(text: &[u8]) -> Option<Escape> {
    let (first, lower) = code_unit(text)?;
    let second = text.get(6..).and_then(code_unit);
    let (units, len, lower) = match second {
        Some((second, second_lower)) if is_high(first) && is_low(second) => {
            ([first, second], 12, lower && second_lower)
        }
        _ => ([first, 0], 6, lower),
    };
    let decoded = char::decode_utf16(units).next()?.ok();
    let character = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
    let printable = matches!(first, 0x20..0x7F);
    let short = SHORT_ESCAPES.iter().any(|(_, byte)| u16::from(*byte) == first);
    Some(Escape { character, len, canonical: decoded.is_some() && lower && !printable && !short })
}

fn is_high(unit: u16) -> bool {
    matches!(unit, 0xD800..=0xDBFF)
}

fn is_low(unit: u16) -> bool {
    matches!(unit, 0xDC00..=0xDFFF)
}

/// Reads `\uxxxx`; also tells whether the letters in it are lower case.
fn code_unit(text: &[u8]) -> Option<(u16, bool)> {
    let [b'\\', b'u', digits @ ..] = text else { return None };
    let digits: &[u8; 4] = digits.first_chunk()?;
    let mut unit = 0;
    let mut lower = true;
    for digit in digits {
        let value = char::from(*digit).to_digit(16)?;
        unit = unit << 4 | u16::try_from(value).ok()?;
        lower &= !digit.is_ascii_uppercase();
    }
    Some((unit, lower))
}

/// Reads a string whose opening quote was read, up to and with the closing one.
pub(super) fn string<'a>(r: &mut Reader<'a>) -> Result<Text<'a>, DecodeError> {
    let start = r.mark();
    let mut escaped = false;
    let mut ascii = true;
    // Length of the text that the escapes stand for, less the length of the escapes.
    let mut shrunk = 0;
    loop {
        let plain = r.rest().iter().take_while(|byte| !matches!(**byte, b'"' | b'\\' | 0..0x20 | 0x7F..)).count();
        r.skip(plain);
        match r.peek() {
            Some(b'"') => break,
            Some(b'\\') => {
                let escape = escape(r.rest()).ok_or_else(|| DecodeError::Unexpected {
                    offset: r.offset(),
                    expected: "an escape sequence",
                    found: b'\\',
                })?;
                r.canonical &= escape.canonical;
                escaped = true;
                shrunk += escape.len - escape.character.len_utf8();
                r.skip(escape.len);
            }
            Some(0x7F..) => {
                r.canonical = false;
                ascii = false;
                r.skip(1);
            }
            _ => return Err(r.unexpected("a character of a string or its closing quote")),
        }
    }
    let raw = r.since(start);
    r.skip(1);
    let plain = if ascii || !escaped { std::str::from_utf8(raw).ok() } else { None };
    let len = plain.map_or_else(|| lossy_len(raw), str::len) - shrunk;
    r.check_len("a string", len, r.limits().string_bytes)?;
    Ok(match plain {
        _ if escaped => Text::Escaped(raw),
        Some(text) => Text::Plain(text),
        None => Text::Lossy(raw),
    })
}

/// The text that the inside of a checked string stands for.
pub(crate) fn unescape(mut raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    while !raw.is_empty() {
        let plain = raw.iter().take_while(|byte| **byte != b'\\').count();
        let (chunk, rest) = raw.split_at_checked(plain).unwrap_or((raw, &[]));
        text.push_str(&String::from_utf8_lossy(chunk));
        raw = rest;
        if let Some(escape) = escape(raw) {
            text.push(escape.character);
            raw = raw.get(escape.len..).unwrap_or_default();
        }
    }
    text
}

/// Appends a string with its quotes.
pub(super) fn put_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        let short = SHORT_ESCAPES.iter().find(|(_, byte)| char::from(*byte) == character);
        match (short, u8::try_from(character)) {
            (Some((letter, _)), _) => out.extend_from_slice(&[b'\\', *letter]),
            (None, Ok(byte @ 0x20..0x7F)) => out.push(byte),
            _ => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                out.extend_from_slice(b"\\u");
                let nibble = |shift: u16| HEX.get(usize::from(unit >> shift & 0xF)).copied();
                out.extend([12, 8, 4, 0].into_iter().filter_map(nibble));
            }),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn read(text: &str) -> Result<(String, bool), DecodeError> {
        let mut r = Reader::new(text.as_bytes(), &Limits::DEFAULT)?;
        let text = string(&mut r)?;
        r.finish()?;
        Ok((text.to_arc().as_ref().to_owned(), r.canonical))
    }

    #[test]
    fn escapes_stand_for_their_characters_and_only_the_writers_own_are_canonical() {
        for (raw, text, canonical) in [
            ("abc\"", "abc", true),
            ("\"", "", true),
            ("\\\"\\\\\\b\\f\\n\\r\\t\"", "\"\\\u{8}\u{c}\n\r\t", true),
            ("\\/\"", "/", false),
            ("\\u0041\"", "A", false),
            ("\\u000a\"", "\n", false),
            ("\\u0000\"", "\0", true),
            ("\\u007f\"", "\u{7f}", true),
            ("\\u00e9\"", "é", true),
            ("\\u00E9\"", "é", false),
            ("é\"", "é", false),
            ("é\\n\"", "é\n", false),
            ("\\ud83d\\ude00\"", "😀", true),
            ("\\ud83dx\"", "\u{fffd}x", false),
            ("\\ude00\\ud83d\"", "\u{fffd}\u{fffd}", false),
        ] {
            assert_eq!(read(raw), Ok((text.to_owned(), canonical)), "{raw}");
        }
    }

    #[test]
    fn malformed_strings_are_refused() {
        for raw in ["", "a", "a\nb\"", "\\x\"", "\\", "\\u12\"", "\\u12g4\"", "\0\""] {
            assert!(read(raw).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn the_length_limit_counts_the_text_and_not_its_escapes() {
        let limits = Limits { string_bytes: 2, ..Limits::DEFAULT };
        let read = |raw: &[u8]| string(&mut Reader::new(raw, &limits).unwrap()).map(Text::to_arc);
        assert!(read(b"\\u0041\\u0041\"").is_ok());
        assert!(read(b"\\u0041\\u0041\\u0041\"").is_err());
        assert!(read(b"\\u00e9\"").is_ok());
        assert!(read(b"\\u00e9\\n\"").is_err());
        assert!(read(b"\xFF\"").is_err());
    }
}
