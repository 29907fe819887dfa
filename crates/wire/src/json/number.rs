//! Numbers as JavaScript writes them, which keeps the text of numbers that come from there.

use std::fmt::{self, LowerExp, Write};

use smallvec::SmallVec;

/// The text of a number.
pub(crate) type NumberText = SmallVec<[u8; 32]>;

struct Ascii(NumberText);

impl Write for Ascii {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// The shortest text that reads back as the same finite number: digits up to 21 places before the point and 6 zeros
/// behind it, an exponent beyond (ECMAScript, `Number::toString`). Unlike there, -0 keeps its sign.
pub(crate) fn number_text(number: impl LowerExp) -> NumberText {
    let mut scientific = Ascii(NumberText::new());
    // Writing to it cannot fail.
    let _infallible = write!(scientific, "{number:e}");
    let (mut text, digits, exponent) = split(&scientific.0);
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |n: i32| std::iter::repeat_n(b'0', usize::try_from(n).unwrap_or(0));
    // Where the decimal point stands, counted from the first digit.
    let point = exponent + 1;
    if count <= point && point <= 21 {
        text.extend_from_slice(&digits);
        text.extend(zeros(point - count));
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0).min(digits.len()));
        text.extend_from_slice(whole);
        text.push(b'.');
        text.extend_from_slice(fraction);
    } else if -6 < point && point <= 0 {
        text.extend_from_slice(b"0.");
        text.extend(zeros(-point));
        text.extend_from_slice(&digits);
    } else {
        let (first, rest) = digits.split_at(1.min(digits.len()));
        text.extend_from_slice(first);
        if !rest.is_empty() {
            text.push(b'.');
            text.extend_from_slice(rest);
        }
        let mut exponent_text = Ascii(text);
        let _infallible = write!(exponent_text, "e{exponent:+}");
        text = exponent_text.0;
    }
    text
}

/// Splits `-d.ddde-x` in the sign, the digits and the exponent.
fn split(scientific: &[u8]) -> (NumberText, NumberText, i32) {
    let mut sign = NumberText::new();
    let mut digits = NumberText::new();
    let mut parts = scientific.split(|byte| *byte == b'e');
    for byte in parts.next().unwrap_or_default() {
        match byte {
            b'-' => sign.push(b'-'),
            b'.' => {}
            digit => digits.push(*digit),
        }
    }
    let exponent = parts.next().and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| text.parse().ok());
    (sign, digits, exponent.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_text_that_javascript_gives_them() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (4_294_967_296.0, "4294967296"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.25e-7, "1.25e-7"),
            (0.1, "0.1"),
            (100.25, "100.25"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            assert_eq!(std::str::from_utf8(&number_text(number)), Ok(text));
        }
    }

    #[test]
    fn floats_have_the_shortest_text_for_their_own_width() {
        assert_eq!(number_text(0.1_f32).as_slice(), b"0.1");
        assert_eq!(number_text(f32::MAX).as_slice(), b"3.4028235e+38");
    }
}
