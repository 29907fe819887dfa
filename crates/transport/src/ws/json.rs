//! The frame around JSON text: `~m~LENGTH~m~PAYLOAD`, one per WebSocket message; LENGTH counts UTF-16 code units, as
//! JavaScript does (transports.md, section 6).

use std::io::Write;

use super::frame::{Opcode, write_head};
use crate::{Body, CloseCause};

const MARK: &[u8; 3] = b"~m~";
const JSON_MARK: &[u8; 3] = b"~j~";

/// More digits than the length of any message has.
const MAX_LENGTH_DIGITS: usize = 9;

/// Appends a whole WebSocket frame around `payload`, which is UTF-8: JSON text with its `~j~`, or a session id. The
/// same for every receiver, so a fan-out writes it once.
pub fn write_json_frame(out: &mut Vec<u8>, payload: &[u8]) {
    let length = utf16_len(payload);
    let digits = length.checked_ilog10().map_or(1, |log| log as usize + 1);
    write_head(out, Opcode::Text, 2 * MARK.len() + digits + payload.len());
    out.extend_from_slice(MARK);
    let _ = write!(out, "{length}");
    out.extend_from_slice(MARK);
    out.extend_from_slice(payload);
}

/// The JSON text inside a received frame, with its `~j~`. `input` is what [`Body::Input`] refers to.
pub(super) fn unframe(body: Body, input: &[u8]) -> Result<Body, CloseCause> {
    let payload = payload(body.bytes(input))?;
    let head = body.bytes(input).len() - payload.len();
    Ok(body.without_head(head))
}

fn payload(message: &[u8]) -> Result<&[u8], CloseCause> {
    let violation = |text: String| Err(CloseCause::Violation(text));
    let Some(rest) = message.strip_prefix(MARK) else {
        return violation("expected a text frame that starts with ~m~".into());
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = rest.split_at_checked(digits).unwrap_or_default();
    let length: Option<usize> =
        std::str::from_utf8(number).ok().filter(|_| digits <= MAX_LENGTH_DIGITS).and_then(|n| n.parse().ok());
    let (Some(length), Some(payload)) = (length, rest.strip_prefix(MARK)) else {
        return violation(format!("expected ~m~LENGTH~m~, found {digits} digits and something else"));
    };
    let found = utf16_len(payload);
    if found != length {
        return violation(format!("expected {length} UTF-16 units after ~m~{length}~m~, found {found}"));
    }
    if !payload.starts_with(JSON_MARK) {
        return violation("expected a payload that starts with ~j~".into());
    }
    Ok(payload)
}

/// Every character that begins, and once more those beyond the basic plane, which take four bytes here and two units
/// there.
fn utf16_len(utf8: &[u8]) -> usize {
    utf8.iter().map(|byte| usize::from(byte & 0xC0 != 0x80) + usize::from(*byte >= 0xF0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{case, text, vectors};
    use proptest::prelude::*;

    fn framed(payload: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_json_frame(&mut out, payload.as_bytes());
        out
    }

    #[test]
    fn captured_frames_are_read_and_written() {
        let file = vectors("transport-ws-json.json");
        for packet in case(&file, "session")["packets"].as_array().unwrap() {
            let Some(message) = packet["text"].as_str() else { continue };
            let content = message.splitn(3, "~m~").nth(2).unwrap();
            assert_eq!(&framed(content)[2..], message.as_bytes(), "{}", text(&packet["dir"]));
            if text(&packet["dir"]) == "client->server" {
                assert_eq!(payload(message.as_bytes()).unwrap(), content.as_bytes());
            }
        }
        let two = text(&case(&file, "two-frames-in-one-message")["packets"][0]["text"]).to_owned();
        assert!(payload(two.as_bytes()).is_err());
    }

    #[test]
    fn lengths_count_utf16_units_and_must_match_exactly() {
        for fine in ["~m~3~m~~j~", "~m~4~m~~j~é", "~m~5~m~~j~😀", "~m~04~m~~j~€"] {
            assert!(payload(fine.as_bytes()).is_ok(), "{fine}");
        }
        for bad in [
            "",
            "~m~",
            "~m~3",
            "~m~3~m",
            "~m~2~m~~j~",
            "~m~4~m~~j~",
            "~m~~m~~j~",
            "~m~-3~m~~j~",
            "~m~+3~m~~j~",
            "~m~0000000003~m~~j~",
            "~m~5~m~~j~é",
            "~m~2~m~ok",
            "{\"req\":1}",
            "~m~0~m~",
        ] {
            assert!(matches!(payload(bad.as_bytes()), Err(CloseCause::Violation(_))), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_framed_comes_out_again(content in "\\PC{0,300}") {
            let content = format!("~j~{content}");
            let wire = framed(&content);
            let head = wire.len() - wire.windows(3).position(|w| w == b"~m~").map(|at| wire.len() - at).unwrap();
            prop_assert_eq!(payload(&wire[head..]).unwrap(), content.as_bytes());
            prop_assert_eq!(utf16_len(content.as_bytes()), content.encode_utf16().count());
        }
    }
}
