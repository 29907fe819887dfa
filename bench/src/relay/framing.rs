//! As much of the framings as forwarding needs. Peers are the generator's own clients: what they never send is not
//! understood, and ends the connection.

use anyhow::{Context as _, Result, bail};
use lampyris_transport::init::INIT_RESPONSE;
use lampyris_transport::{Delivery, tcp, ws};

/// How messages lie in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Tcp,
    Ws,
}

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// To be answered with what was appended to the sender's output.
    Answered,
    /// To be forwarded: as framed for receivers.
    Forward,
}

const TCP_PING: u8 = 0xF0;
const TCP_MESSAGE: u8 = 0xFB;
const WS_BINARY: u8 = 0x82;
const WS_LENGTH_16: u8 = 126;
const WS_MASK_BYTES: usize = 4;

impl Framing {
    /// Takes the first whole frame of `input`: appends its answer to `answer` or writes it to `framed` as receivers
    /// get it. Gives what it was and how many bytes it took; `None` = its end has not come.
    pub(crate) fn next(
        self,
        is_open: &mut bool,
        input: &mut [u8],
        answer: &mut Vec<u8>,
        framed: &mut Vec<u8>,
    ) -> Result<Option<(Frame, usize)>> {
        match self {
            Self::Tcp => next_tcp(is_open, input, answer, framed),
            Self::Ws if *is_open => next_ws(input, framed),
            Self::Ws => upgrade(is_open, input, answer),
        }
    }
}

fn next_tcp(
    is_open: &mut bool,
    input: &[u8],
    answer: &mut Vec<u8>,
    framed: &mut Vec<u8>,
) -> Result<Option<(Frame, usize)>> {
    match *input {
        [TCP_PING, a, b, c, d, ..] => {
            answer.extend_from_slice(&[TCP_PING, 0, 0, 0, 0, a, b, c, d]);
            Ok(Some((Frame::Answered, 5)))
        }
        [TCP_MESSAGE, a, b, c, d, ..] => {
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d]))?;
            let Some(frame) = input.get(..length) else { return Ok(None) };
            if !std::mem::replace(is_open, true) {
                tcp::write_frame(answer, 0, Delivery::Reliable, &INIT_RESPONSE);
                return Ok(Some((Frame::Answered, length)));
            }
            framed.extend_from_slice(frame);
            Ok(Some((Frame::Forward, length)))
        }
        [TCP_PING | TCP_MESSAGE, ..] | [] => Ok(None),
        [other, ..] => bail!("expected a TCP frame, got one that starts with {other:02X}"),
    }
}

fn next_ws(input: &mut [u8], framed: &mut Vec<u8>) -> Result<Option<(Frame, usize)>> {
    let (head, length) = match *input {
        [WS_BINARY, length, a, b, ..] if length & 0x7F == WS_LENGTH_16 => (4, usize::from(u16::from_be_bytes([a, b]))),
        [WS_BINARY, length, ..] if length & 0x7F < WS_LENGTH_16 => (2, usize::from(length & 0x7F)),
        [WS_BINARY, ..] | [] => return Ok(None),
        [other, ..] => bail!("expected a whole binary message, got a frame that starts with {other:02X}"),
    };
    let Some(rest) = input.get_mut(head..) else { return Ok(None) };
    let Some((mask, payload)) = rest.split_first_chunk_mut::<WS_MASK_BYTES>() else { return Ok(None) };
    let Some(payload) = payload.get_mut(..length) else { return Ok(None) };
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    ws::write_frame(framed, ws::Opcode::Binary, payload);
    Ok(Some((Frame::Forward, head + WS_MASK_BYTES + length)))
}

fn upgrade(is_open: &mut bool, input: &[u8], answer: &mut Vec<u8>) -> Result<Option<(Frame, usize)>> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = input.windows(END.len()).position(|window| window == END) else { return Ok(None) };
    let head = std::str::from_utf8(input.get(..end).unwrap_or_default())?;
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    ws::write_switching_protocols(key.context("expected a Sec-WebSocket-Key in the upgrade")?, None, answer);
    ws::write_frame(answer, ws::Opcode::Binary, &INIT_RESPONSE);
    *is_open = true;
    Ok(Some((Frame::Answered, end + END.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(framing: Framing, is_open: &mut bool, input: &[u8]) -> (Option<(Frame, usize)>, Vec<u8>, Vec<u8>) {
        let (mut input, mut answer, mut framed) = (input.to_vec(), Vec::new(), Vec::new());
        let taken = framing.next(is_open, &mut input, &mut answer, &mut framed).unwrap();
        (taken, answer, framed)
    }

    #[test]
    fn a_masked_message_is_forwarded_in_clear_once_it_is_whole() {
        for message in [&b"hello"[..], &[7; 300]] {
            let (mut input, mut expected) = (Vec::new(), Vec::new());
            ws::write_masked_frame(&mut input, ws::Opcode::Binary, [1, 2, 3, 4], message);
            ws::write_frame(&mut expected, ws::Opcode::Binary, message);
            for cut in 0..input.len() {
                assert_eq!(take(Framing::Ws, &mut true, &input[..cut]).0, None);
            }
            let (taken, _, framed) = take(Framing::Ws, &mut true, &input);
            assert_eq!(taken, Some((Frame::Forward, input.len())));
            assert_eq!(framed, expected);
        }
    }

    #[test]
    fn the_first_tcp_frame_is_answered_and_the_next_ones_are_forwarded() {
        let (mut is_open, mut input) = (false, Vec::new());
        tcp::write_frame(&mut input, 0, Delivery::Reliable, b"message");
        let (taken, answer, _) = take(Framing::Tcp, &mut is_open, &input);
        assert_eq!(taken, Some((Frame::Answered, input.len())));
        assert!(answer.ends_with(&INIT_RESPONSE));
        let (taken, answer, framed) = take(Framing::Tcp, &mut is_open, &input);
        assert_eq!(taken, Some((Frame::Forward, input.len())));
        assert_eq!((answer, framed), (Vec::new(), input));
    }
}
