//! Messages of RFC 6455: frames in, whole messages and control frames out.

use bytes::Bytes;

use super::Failure;
use super::frame::{Head, MAX_HEAD_BYTES, Opcode, Role, apply_mask, parse_close};
use crate::Body;

/// What was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole text message, checked to be UTF-8.
    Text(Body),
    /// A whole binary message.
    Binary(Body),
    /// To be answered with a pong of the same payload.
    Ping(Body),
    /// A sign of life.
    Pong,
    /// The peer closes: to be answered with a close frame of the same code, the last frame in either direction.
    Close {
        /// 1005 if it gave none.
        code: u16,
        /// For people; may be empty.
        reason: String,
    },
}

/// Limits of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// Largest message, all fragments together.
    pub bytes: usize,
    /// Most frames that one message may come in.
    pub fragments: u32,
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self { bytes: lampyris_wire::Limits::DEFAULT.message_bytes, fragments: 4096 }
    }
}

/// The reading half of a WebSocket, after the upgrade. Without extensions.
///
/// A message whose only frame lies whole in the input is unmasked and handed out in place. All else is gathered in
/// buffers that exist only until the message is whole, and text is checked as it comes, so that a wrong byte ends the
/// connection at once and not at the end of a long message.
#[derive(Debug)]
pub struct Codec {
    role: Role,
    limits: MessageLimits,
    head: PartialHead,
    /// The frame whose payload is not all there.
    frame: Option<Frame>,
    /// The message whose last frame is not all there.
    message: Option<Message>,
    /// The payload of a control frame that is not all there; it may interrupt a message.
    control: Vec<u8>,
}

#[derive(Debug, Default)]
struct PartialHead {
    bytes: [u8; MAX_HEAD_BYTES],
    length: usize,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    last: bool,
    mask: [u8; 4],
    length: usize,
    received: usize,
}

#[derive(Debug)]
struct Message {
    text: bool,
    frames: u32,
    bytes: Vec<u8>,
    /// So many of `bytes` are whole characters.
    checked: usize,
}

impl Codec {
    /// Reads what a peer of the opposite role sends.
    #[must_use]
    pub fn new(role: Role, limits: MessageLimits) -> Self {
        Self { role, limits, head: PartialHead::default(), frame: None, message: None, control: Vec::new() }
    }

    /// The next event in `input` from `at` on, which moves on; `None` when all is taken in. A [`Body::Input`] is
    /// unmasked in place.
    ///
    /// # Errors
    /// What to close the connection with; the codec is of no more use then.
    pub fn next(&mut self, input: &mut [u8], at: &mut usize) -> Result<Option<Event>, Failure> {
        loop {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.take_head(input, at)? {
                    Some(head) => self.begin_frame(head)?,
                    None => return Ok(None),
                },
            };
            let event = self.take_payload(frame, input, at)?;
            if event.is_some() || self.frame.is_some() {
                return Ok(event);
            }
        }
    }

    fn take_head(&mut self, input: &[u8], at: &mut usize) -> Result<Option<Head>, Failure> {
        let rest = input.get(*at..).unwrap_or_default();
        if self.head.length == 0
            && let Some((head, length)) = Head::parse(rest, self.role)?
        {
            *at += length;
            return Ok(Some(head));
        }
        for byte in rest {
            *at += 1;
            if let Some(place) = self.head.bytes.get_mut(self.head.length) {
                *place = *byte;
                self.head.length += 1;
            }
            let gathered = self.head.bytes.get(..self.head.length).unwrap_or_default();
            if let Some((head, _)) = Head::parse(gathered, self.role)? {
                self.head.length = 0;
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    fn begin_frame(&mut self, head: Head) -> Result<Frame, Failure> {
        if !head.opcode.is_control() {
            let new = |text| Message { text, frames: 0, bytes: Vec::new(), checked: 0 };
            let message = match (head.opcode, &mut self.message) {
                (Opcode::Continuation, None) => return Err(Failure::protocol("continuation of no message")),
                (Opcode::Continuation, Some(message)) => message,
                (_, Some(_)) => return Err(Failure::protocol("new message inside a fragmented one")),
                (opcode, none) => none.insert(new(opcode == Opcode::Text)),
            };
            message.frames = message.frames.saturating_add(1);
            if message.frames > self.limits.fragments {
                return Err(Failure::too_big("message in too many fragments"));
            }
            if (self.limits.bytes.saturating_sub(message.bytes.len()) as u64) < head.length {
                return Err(Failure::too_big("message too long"));
            }
        }
        let length = usize::try_from(head.length).map_err(|_| Failure::too_big("message too long"))?;
        Ok(Frame { opcode: head.opcode, last: head.last, mask: head.mask, length, received: 0 })
    }

    fn take_payload(&mut self, mut frame: Frame, input: &mut [u8], at: &mut usize) -> Result<Option<Event>, Failure> {
        let start = *at;
        let end = start.saturating_add(frame.length - frame.received).min(input.len());
        let part = input.get_mut(start..end).unwrap_or_default();
        if self.role == Role::Server {
            apply_mask(part, frame.mask, frame.received);
        }
        *at = end;
        let whole = (part.len() == frame.length).then_some(Body::Input(start..end));
        frame.received += part.len();
        let complete = frame.received == frame.length;
        if !complete {
            self.frame = Some(frame);
        }
        if frame.opcode.is_control() {
            if whole.is_none() {
                self.control.extend_from_slice(part);
            }
            if !complete {
                return Ok(None);
            }
            let body = whole.unwrap_or_else(|| Body::Stored(Bytes::from(std::mem::take(&mut self.control))));
            return control_event(frame.opcode, body, input).map(Some);
        }
        let Some(message) = &mut self.message else { return Err(Failure::protocol("payload of no message")) };
        let last = complete && frame.last;
        let body = match whole {
            Some(body) if last && message.bytes.is_empty() => {
                if message.text && std::str::from_utf8(part).is_err() {
                    return Err(Failure::invalid_utf8());
                }
                body
            }
            _ => {
                message.append(part, last)?;
                if !last {
                    return Ok(None);
                }
                Body::Stored(Bytes::from(std::mem::take(&mut message.bytes)))
            }
        };
        let text = message.text;
        self.message = None;
        Ok(Some(if text { Event::Text(body) } else { Event::Binary(body) }))
    }
}

impl Message {
    fn append(&mut self, part: &[u8], last: bool) -> Result<(), Failure> {
        self.bytes.extend_from_slice(part);
        if !self.text {
            return Ok(());
        }
        match std::str::from_utf8(self.bytes.get(self.checked..).unwrap_or_default()) {
            Ok(_) => self.checked = self.bytes.len(),
            Err(error) if error.error_len().is_none() && !last => self.checked += error.valid_up_to(),
            Err(_) => return Err(Failure::invalid_utf8()),
        }
        Ok(())
    }
}

fn control_event(opcode: Opcode, body: Body, input: &[u8]) -> Result<Event, Failure> {
    match opcode {
        Opcode::Ping => Ok(Event::Ping(body)),
        Opcode::Pong => Ok(Event::Pong),
        _ => {
            let (code, reason) = parse_close(body.bytes(input))?;
            Ok(Event::Close { code, reason: reason.to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::frame::{close_payload, write_masked_frame};
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq)]
    enum Seen {
        Text(String),
        Binary(Vec<u8>),
        Ping(Vec<u8>),
        Pong,
        Close(u16, String),
        Failed(u16),
    }

    const LIMITS: MessageLimits = MessageLimits { bytes: 300, fragments: 5 };

    fn feed(codec: &mut Codec, wire: &[u8], seen: &mut Vec<Seen>) {
        let mut input = wire.to_vec();
        let mut at = 0;
        while !matches!(seen.last(), Some(Seen::Failed(_) | Seen::Close(..))) {
            let event = match codec.next(&mut input, &mut at) {
                Ok(Some(event)) => event,
                Ok(None) => return assert_eq!(at, input.len()),
                Err(failure) => return seen.push(Seen::Failed(failure.code)),
            };
            seen.push(match event {
                Event::Text(body) => Seen::Text(String::from_utf8(body.bytes(&input).to_vec()).unwrap()),
                Event::Binary(body) => Seen::Binary(body.bytes(&input).to_vec()),
                Event::Ping(body) => Seen::Ping(body.bytes(&input).to_vec()),
                Event::Pong => Seen::Pong,
                Event::Close { code, reason } => Seen::Close(code, reason),
            });
        }
    }

    fn read(wire: &[u8]) -> Vec<Seen> {
        let mut seen = Vec::new();
        feed(&mut Codec::new(Role::Server, LIMITS), wire, &mut seen);
        seen
    }

    fn frame(opcode: Opcode, last: bool, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_masked_frame(&mut out, opcode, [1, 2, 3, 4], payload);
        if !last {
            out[0] &= 0x7F;
        }
        out
    }

    use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};

    #[test]
    fn fragments_become_one_message_and_control_frames_pass_between_them() {
        let wire = [
            frame(Text, false, "Ž".as_bytes()),
            frame(Ping, true, b"a"),
            frame(Continuation, false, b""),
            frame(Pong, true, b"x"),
            frame(Continuation, true, b"luna"),
            frame(Binary, true, &[0xFF]),
            frame(Close, true, &close_payload(1000, "ws close")),
            frame(Binary, true, &[1]),
        ];
        let expected = [
            Seen::Ping(b"a".to_vec()),
            Seen::Pong,
            Seen::Text("Žluna".into()),
            Seen::Binary(vec![0xFF]),
            Seen::Close(1000, "ws close".into()),
        ];
        assert_eq!(read(&wire.concat()), expected);
    }

    #[test]
    fn characters_may_be_cut_by_fragments_but_not_by_the_end() {
        let (first, second) = "κόσμε".as_bytes().split_at(3);
        let wire = [frame(Text, false, first), frame(Continuation, true, second)].concat();
        assert_eq!(read(&wire), [Seen::Text("κόσμε".into())]);
        assert_eq!(read(&frame(Text, true, first)), [Seen::Failed(1007)]);
        let wire = [frame(Text, false, first), frame(Continuation, true, b"")].concat();
        assert_eq!(read(&wire), [Seen::Failed(1007)]);
    }

    #[test]
    fn a_wrong_byte_in_text_fails_when_it_comes_and_not_at_the_end() {
        let whole = frame(Text, true, b"\xce\xba\xf4\x90\x80\x80edited");
        assert_eq!(read(&whole[..6 + 3]), []);
        assert_eq!(read(&whole[..6 + 4]), [Seen::Failed(1007)]);
        let wire = [frame(Text, false, b"ok\xff"), Vec::new()].concat();
        assert_eq!(read(&wire), [Seen::Failed(1007)]);
    }

    #[test]
    fn fragments_out_of_order_are_refused() {
        assert_eq!(read(&frame(Continuation, true, b"x")), [Seen::Failed(1002)]);
        let wire = [frame(Text, false, b"x"), frame(Text, true, b"y")].concat();
        assert_eq!(read(&wire), [Seen::Failed(1002)]);
        let wire = [frame(Text, true, b"x"), frame(Continuation, true, b"y")].concat();
        assert_eq!(read(&wire), [Seen::Text("x".into()), Seen::Failed(1002)]);
    }

    #[test]
    fn message_limits_hold_for_one_frame_and_for_many() {
        for (length, fine) in [(299, true), (300, true), (301, false)] {
            let expected = if fine { Seen::Binary(vec![7; length]) } else { Seen::Failed(1009) };
            assert_eq!(read(&frame(Binary, true, &vec![7; length])), std::slice::from_ref(&expected), "{length}");
            let (first, second) = ([7; 200], vec![7; length - 200]);
            let wire = [frame(Binary, false, &first), frame(Continuation, true, &second)].concat();
            assert_eq!(read(&wire), [expected], "{length} in two");
        }
        let huge = [0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
        assert_eq!(read(&huge), [Seen::Failed(1009)]);
        for (frames, fine) in [(4, true), (5, true), (6, false)] {
            let mut wire = frame(Binary, false, b"");
            (2..frames).for_each(|_| wire.extend(frame(Continuation, false, b"")));
            wire.extend(frame(Continuation, true, b""));
            let expected = if fine { Seen::Binary(vec![]) } else { Seen::Failed(1009) };
            assert_eq!(read(&wire), [expected], "{frames} frames");
        }
    }

    #[test]
    fn an_idle_codec_holds_no_buffer() {
        let mut codec = Codec::new(Role::Server, LIMITS);
        let mut seen = Vec::new();
        let wire = [frame(Text, false, b"abc"), frame(Ping, true, b"abc"), frame(Continuation, true, b"d")].concat();
        wire.chunks(2).for_each(|piece| feed(&mut codec, piece, &mut seen));
        assert_eq!(seen, [Seen::Ping(b"abc".to_vec()), Seen::Text("abcd".into())]);
        assert!(codec.message.is_none() && codec.control.capacity() == 0);
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let opcode = prop::sample::select(vec![Text, Text, Binary, Continuation, Continuation, Ping, Pong]);
        let payload = prop_oneof!["\\PC{0,40}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..40)];
        (opcode, any::<bool>(), payload).prop_map(|(opcode, last, payload)| {
            frame(opcode, last || opcode.is_control(), &payload[..payload.len().min(120)])
        })
    }

    proptest! {
        #[test]
        fn the_way_a_stream_is_cut_does_not_matter(
            pieces in prop::collection::vec(piece(), 0..8), cuts in prop::collection::vec(1..20usize, 1..10)
        ) {
            let wire = pieces.concat();
            let whole = read(&wire);
            let mut codec = Codec::new(Role::Server, LIMITS);
            let mut seen = Vec::new();
            let mut rest = &wire[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() || matches!(seen.last(), Some(Seen::Failed(_))) {
                    break;
                }
                let (first, tail) = rest.split_at((*cut).min(rest.len()));
                feed(&mut codec, first, &mut seen);
                rest = tail;
            }
            prop_assert_eq!(seen, whole);
        }

        #[test]
        fn no_bytes_make_a_codec_panic(wire in prop::collection::vec(any::<u8>(), 0..100)) {
            read(&wire);
        }
    }
}
