//! Frames of RFC 6455: heads, masks, close bodies.
//!
//! ```text
//! FIN RSV RSV RSV opcode(4) | MASK length(7) | length(16 or 64) if 126 or 127 | mask(32) if MASK | payload
//! ```

use super::Failure;

/// Longest payload of a control frame (section 5.5).
pub const MAX_CONTROL_BYTES: usize = 125;

/// Longest head: both length bytes, 64-bit length, mask.
pub(super) const MAX_HEAD_BYTES: usize = 14;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A later fragment of a message.
    Continuation = 0,
    /// A message of UTF-8, or its first fragment.
    Text = 1,
    /// A message of bytes, or its first fragment.
    Binary = 2,
    /// The end.
    Close = 8,
    /// Wants a [`Opcode::Pong`].
    Ping = 9,
    /// Answers a [`Opcode::Ping`].
    Pong = 10,
}

impl Opcode {
    fn parse(bits: u8) -> Result<Self, Failure> {
        match bits {
            0 => Ok(Self::Continuation),
            1 => Ok(Self::Text),
            2 => Ok(Self::Binary),
            8 => Ok(Self::Close),
            9 => Ok(Self::Ping),
            10 => Ok(Self::Pong),
            _ => Err(Failure::protocol("reserved opcode")),
        }
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Which end of the connection this is: only clients mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads masked frames.
    Server,
    /// Reads frames without mask.
    Client,
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) opcode: Opcode,
    pub(super) last: bool,
    pub(super) mask: [u8; 4],
    pub(super) length: u64,
}

impl Head {
    /// The head that `bytes` begins with and its length; `None` if it is not all there. What is wrong with the first
    /// two bytes is said as soon as they are there.
    pub(super) fn parse(bytes: &[u8], role: Role) -> Result<Option<(Self, usize)>, Failure> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & RESERVED != 0 {
            return Err(Failure::protocol("reserved bit set without an extension"));
        }
        let opcode = Opcode::parse(first & 0x0F)?;
        let last = first & FIN != 0;
        match (role, second & MASKED != 0) {
            (Role::Server, false) => return Err(Failure::protocol("client frame without a mask")),
            (Role::Client, true) => return Err(Failure::protocol("server frame with a mask")),
            _ => {}
        }
        let short = second & !MASKED;
        if opcode.is_control() && (!last || usize::from(short) > MAX_CONTROL_BYTES) {
            return Err(Failure::protocol("control frame in fragments or over 125 bytes"));
        }
        let Some((length, rest)) = parse_length(short, rest)? else { return Ok(None) };
        let (mask, rest) = match role {
            Role::Client => ([0; 4], rest),
            Role::Server => match rest.split_first_chunk::<4>() {
                Some((mask, rest)) => (*mask, rest),
                None => return Ok(None),
            },
        };
        Ok(Some((Self { opcode, last, mask, length }, bytes.len() - rest.len())))
    }
}

fn parse_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Failure> {
    let (length, least, rest) = match short {
        LENGTH_16 => match rest.split_first_chunk::<2>() {
            Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), 126, rest),
            None => return Ok(None),
        },
        LENGTH_64 => match rest.split_first_chunk::<8>() {
            Some((bytes, rest)) => (u64::from_be_bytes(*bytes), 0x1_0000, rest),
            None => return Ok(None),
        },
        short => (u64::from(short), 0, rest),
    };
    if length < least || length >> 63 != 0 {
        return Err(Failure::protocol("frame length not in its shortest form or over 63 bits"));
    }
    Ok(Some((length, rest)))
}

/// Appends the head of an unfragmented frame from a server; the payload follows as it is. The same for every receiver,
/// so a fan-out writes it once.
pub fn write_head(out: &mut Vec<u8>, opcode: Opcode, payload_len: usize) {
    write_head_masked(out, opcode, payload_len, 0);
}

fn write_head_masked(out: &mut Vec<u8>, opcode: Opcode, payload_len: usize, masked: u8) {
    out.push(FIN | opcode as u8);
    if let Some(short) = u8::try_from(payload_len).ok().filter(|short| *short < LENGTH_16) {
        out.push(masked | short);
    } else if let Ok(length) = u16::try_from(payload_len) {
        out.push(masked | LENGTH_16);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(masked | LENGTH_64);
        out.extend_from_slice(&(payload_len as u64).to_be_bytes());
    }
}

/// Appends a whole frame from a server.
pub fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    write_head(out, opcode, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a whole frame from a client.
pub fn write_masked_frame(out: &mut Vec<u8>, opcode: Opcode, mask: [u8; 4], payload: &[u8]) {
    write_head_masked(out, opcode, payload.len(), MASKED);
    out.extend_from_slice(&mask);
    let start = out.len();
    out.extend_from_slice(payload);
    apply_mask(out.get_mut(start..).unwrap_or_default(), mask, 0);
}

/// Masks or unmasks a part of a payload that begins `offset` bytes into it; eight bytes a step.
pub(super) fn apply_mask(part: &mut [u8], mut mask: [u8; 4], offset: usize) {
    mask.rotate_left(offset % 4);
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = part.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// The payload of a close frame; the reason is cut to what a control frame holds. Code 1005 means none.
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    if code == super::close_code::NONE {
        return Vec::new();
    }
    let mut payload = code.to_be_bytes().to_vec();
    let cut = reason.floor_char_boundary(MAX_CONTROL_BYTES - payload.len());
    payload.extend_from_slice(reason.get(..cut).unwrap_or_default().as_bytes());
    payload
}

/// Code and reason of a received close frame (section 7.4); 1005 for an empty one.
pub(super) fn parse_close(payload: &[u8]) -> Result<(u16, &str), Failure> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return match payload {
            [] => Ok((super::close_code::NONE, "")),
            _ => Err(Failure::protocol("close frame of one byte")),
        };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Failure::protocol("close code that must not be sent"));
    }
    std::str::from_utf8(reason).map(|reason| (code, reason)).map_err(|_| Failure::invalid_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Failure> {
        Head::parse(bytes, Role::Client)
    }

    #[test]
    fn the_examples_of_the_standard_are_read_and_written() {
        let hello = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let mut out = Vec::new();
        write_frame(&mut out, Opcode::Text, b"Hello");
        assert_eq!(out, hello);
        out.clear();
        write_masked_frame(&mut out, Opcode::Text, [0x37, 0xfa, 0x21, 0x3d], b"Hello");
        assert_eq!(out, masked);
        let head = Head { opcode: Opcode::Text, last: true, mask: [0x37, 0xfa, 0x21, 0x3d], length: 5 };
        assert_eq!(Head::parse(&masked, Role::Server), Ok(Some((head, 6))));
        assert_eq!(parse(&hello), Ok(Some((Head { mask: [0; 4], ..head }, 2))));
    }

    #[test]
    fn lengths_are_written_and_required_in_their_shortest_form() {
        for (length, head_bytes) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = Vec::new();
            write_head(&mut out, Opcode::Binary, length);
            assert_eq!(out.len(), head_bytes);
            let (head, consumed) = parse(&out).unwrap().unwrap();
            assert_eq!((head.length, consumed), (length as u64, head_bytes));
            for cut in 0..head_bytes {
                assert_eq!(parse(&out[..cut]), Ok(None));
            }
        }
        for long in [
            &[0x82, 126, 0, 125][..],
            &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
            &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(parse(long).unwrap_err().code, 1002, "{long:02x?}");
        }
    }

    #[test]
    fn forbidden_heads_are_refused_at_their_second_byte() {
        for first in [0xC1, 0xA1, 0x91, 0x83, 0x87, 0x8B, 0x8F, 0x09, 0x08] {
            assert_eq!(parse(&[first, 0]).unwrap_err().code, 1002, "{first:02x}");
        }
        assert!(parse(&[0x89, 126]).is_err() && parse(&[0x89, 125]).is_ok());
        assert!(parse(&[0x81, 0x80]).is_err(), "masked, from a server");
        assert!(Head::parse(&[0x81, 0], Role::Server).is_err(), "not masked, from a client");
    }

    #[test]
    fn close_codes_and_reasons_are_checked() {
        for code in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999] {
            assert_eq!(parse_close(&close_payload(code, "bye")), Ok((code, "bye")));
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16] {
            assert_eq!(parse_close(&code.to_be_bytes()).unwrap_err().code, 1002, "{code}");
        }
        assert_eq!(parse_close(&[]), Ok((1005, "")));
        assert_eq!(parse_close(&[3]).unwrap_err().code, 1002);
        assert_eq!(parse_close(&[3, 0xE8, 0xFF]).unwrap_err().code, 1007);
        let long = close_payload(1000, &"é".repeat(70));
        assert_eq!(long.len(), 124, "cut between characters");
        assert!(parse_close(&long).is_ok());
    }

    proptest! {
        #[test]
        fn a_mask_applied_in_parts_is_the_mask(bytes in prop::collection::vec(any::<u8>(), 0..100), mask: [u8; 4], at in 0..100usize) {
            let expected: Vec<u8> = bytes.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]).collect();
            let mut masked = bytes;
            let at = at.min(masked.len());
            let (first, second) = masked.split_at_mut(at);
            apply_mask(first, mask, 0);
            apply_mask(second, mask, at);
            prop_assert_eq!(masked, expected);
        }
    }
}
