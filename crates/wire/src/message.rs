//! Messages: the unit that UDP commands, TCP frames and WebSocket frames carry.
//!
//! Binary protocols: `F3`, one byte of kind with bit 7 for an encrypted body, the body.
//! JSON: the text after the `~m~<length>~m~` frame head, `~j~` included.

use smallvec::SmallVec;

use crate::reader::Reader;
use crate::v16::V16;
use crate::v18::V18;
use crate::{DecodeError, EncodeError, Limits, Protocol, RawValue, Value, binary, json};

/// Kind of a message: the low 7 bits of its second byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageKind {
    /// First message of a client.
    Init = 0,
    /// The server's answer to it.
    InitResponse = 1,
    /// A client asks for an operation.
    OperationRequest = 2,
    /// The server answers it.
    OperationResponse = 3,
    /// The server tells of an event.
    Event = 4,
    /// The server says why it is about to end the connection.
    Disconnect = 5,
    /// A request below the application: key exchange, ping.
    InternalRequest = 6,
    /// Its answer.
    InternalResponse = 7,
    /// One serialized value.
    Message = 8,
    /// Bytes without a serialization.
    RawMessage = 9,
}

impl MessageKind {
    /// The kind with that number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Init,
            1 => Self::InitResponse,
            2 => Self::OperationRequest,
            3 => Self::OperationResponse,
            4 => Self::Event,
            5 => Self::Disconnect,
            6 => Self::InternalRequest,
            7 => Self::InternalResponse,
            8 => Self::Message,
            9 => Self::RawMessage,
            _ => return None,
        })
    }
}

/// The two bytes at the front of a binary message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageHead {
    /// What the message is.
    pub kind: MessageKind,
    /// Whether the body is one block of ciphertext.
    pub encrypted: bool,
}

impl MessageHead {
    /// Length of the head in bytes.
    pub const LEN: usize = 2;

    const MAGIC: u8 = 0xF3;
    const ENCRYPTED: u8 = 0x80;

    /// Splits a binary message in head and body.
    ///
    /// # Errors
    /// Shorter than two bytes, wrong magic byte, unknown kind.
    pub fn split(message: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let [magic, kind, body @ ..] = message else {
            return Err(DecodeError::Truncated { offset: message.len(), expected: "a message head of two bytes" });
        };
        if *magic != Self::MAGIC {
            return Err(DecodeError::Unexpected { offset: 0, expected: "the magic byte 0xf3", found: *magic });
        }
        let encrypted = kind & Self::ENCRYPTED != 0;
        let kind = MessageKind::from_code(kind & !Self::ENCRYPTED).ok_or(DecodeError::Unexpected {
            offset: 1,
            expected: "a message kind from 0 to 9",
            found: *kind,
        })?;
        Ok((Self { kind, encrypted }, body))
    }

    /// Appends the head.
    pub fn write(self, out: &mut Vec<u8>) {
        let encrypted = if self.encrypted { Self::ENCRYPTED } else { 0 };
        out.extend_from_slice(&[Self::MAGIC, self.kind as u8 | encrypted]);
    }
}

/// The parameter table of a message: byte keys, each at most once, in wire order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(SmallVec<[(u8, Value); 4]>);

impl Parameters {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The table with `value` under `key`, replacing what was there.
    #[must_use]
    pub fn with(mut self, key: u8, value: impl Into<Value>) -> Self {
        self.insert(key, value);
        self
    }

    /// Puts `value` under `key`, replacing what was there.
    pub fn insert(&mut self, key: u8, value: impl Into<Value>) {
        let value = value.into();
        match self.0.iter_mut().find(|(k, _)| *k == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: u8) -> Option<&Value> {
        self.0.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// Takes the value under `key` out; the order of the others may change.
    pub fn take(&mut self, key: u8) -> Option<Value> {
        let at = self.0.iter().position(|(k, _)| *k == key)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Entries in wire order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u8, &Value)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }
}

impl<V: Into<Value>, const N: usize> From<[(u8, V); N]> for Parameters {
    fn from(entries: [(u8, V); N]) -> Self {
        let mut parameters = Self::new();
        for (key, value) in entries {
            parameters.insert(key, value);
        }
        parameters
    }
}

/// A client's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationRequest {
    /// Operation code.
    pub code: u8,
    /// Parameters.
    pub parameters: Parameters,
}

/// The server's answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationResponse {
    /// Operation code of the request.
    pub code: u8,
    /// 0 is success.
    pub return_code: i16,
    /// Text for developers; empty is written as none.
    pub debug_message: Option<String>,
    /// Parameters.
    pub parameters: Parameters,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Event code.
    pub code: u8,
    /// Parameters.
    pub parameters: Parameters,
}

/// Why the server is about to end the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// Return code.
    pub code: i16,
    /// Text for developers.
    pub debug_message: Option<String>,
    /// Parameters.
    pub parameters: Parameters,
}

/// A whole message in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// See [`MessageKind::InitResponse`]. In JSON it is the session id frame, which is the transport's business.
    InitResponse,
    /// See [`MessageKind::OperationRequest`].
    OperationRequest(OperationRequest),
    /// See [`MessageKind::OperationResponse`].
    OperationResponse(OperationResponse),
    /// See [`MessageKind::Event`].
    Event(Event),
    /// See [`MessageKind::Disconnect`].
    Disconnect(Disconnect),
    /// See [`MessageKind::InternalRequest`].
    InternalRequest(OperationRequest),
    /// See [`MessageKind::InternalResponse`].
    InternalResponse(OperationResponse),
}

impl Message {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::InitResponse => MessageKind::InitResponse,
            Self::OperationRequest(_) => MessageKind::OperationRequest,
            Self::OperationResponse(_) => MessageKind::OperationResponse,
            Self::Event(_) => MessageKind::Event,
            Self::Disconnect(_) => MessageKind::Disconnect,
            Self::InternalRequest(_) => MessageKind::InternalRequest,
            Self::InternalResponse(_) => MessageKind::InternalResponse,
        }
    }

    /// Builds a message from all its bytes: binary with its head, JSON with its `~j~`. Body in clear.
    ///
    /// # Errors
    /// The first defect, with its offset.
    pub fn decode(protocol: Protocol, message: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        if protocol == Protocol::Json {
            return json::decode_message(message, limits);
        }
        match MessageHead::split(message)? {
            (MessageHead { encrypted: true, .. }, _) => Err(DecodeError::Encrypted),
            (MessageHead { kind, .. }, body) => Self::decode_body(protocol, kind, body, limits),
        }
    }

    /// Builds a message of a binary protocol from the bytes after the head (as they are after decryption). JSON has no
    /// head: there it does what [`Message::decode`] does.
    ///
    /// # Errors
    /// The first defect, with its offset; a kind that has no body of parameters.
    pub fn decode_body(
        protocol: Protocol,
        kind: MessageKind,
        body: &[u8],
        limits: &Limits,
    ) -> Result<Self, DecodeError> {
        match protocol {
            Protocol::GpBinaryV16 => binary::message::<V16>(&mut Reader::new(body, limits)?, kind),
            Protocol::GpBinaryV18 => binary::message::<V18>(&mut Reader::new(body, limits)?, kind),
            Protocol::Json => json::decode_message(body, limits),
        }
    }

    /// Appends the whole message, head included, in clear.
    ///
    /// # Errors
    /// A value without a form in this protocol; `out` is then as it was before.
    pub fn encode(&self, protocol: Protocol, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        let head = MessageHead { kind: self.kind(), encrypted: false };
        let result = match protocol {
            Protocol::GpBinaryV16 => {
                head.write(out);
                binary::put_message::<V16>(out, self)
            }
            Protocol::GpBinaryV18 => {
                head.write(out);
                binary::put_message::<V18>(out, self)
            }
            Protocol::Json => json::put_message(out, self),
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

/// Writes one event message field by field, so that payload bytes go in as they came.
#[derive(Debug)]
pub struct EventWriter<'a> {
    protocol: Protocol,
    out: &'a mut Vec<u8>,
    left: u8,
    first: bool,
}

impl<'a> EventWriter<'a> {
    /// Starts an event with `count` parameters: head, code and count are written.
    pub fn new(protocol: Protocol, out: &'a mut Vec<u8>, code: u8, count: u8) -> Self {
        let head = MessageHead { kind: MessageKind::Event, encrypted: false };
        match protocol {
            Protocol::GpBinaryV16 => {
                head.write(out);
                out.extend_from_slice(&[code, 0, count]);
            }
            Protocol::GpBinaryV18 => {
                head.write(out);
                out.extend_from_slice(&[code, count]);
            }
            Protocol::Json => json::put_event_start(out, code),
        }
        Self { protocol, out, left: count, first: true }
    }

    /// One parameter from a value.
    ///
    /// # Errors
    /// The value has no form in this protocol. The caller drops what was written.
    pub fn value(&mut self, key: u8, value: &Value) -> Result<(), EncodeError> {
        self.key(key);
        self.protocol.encode_value(value, self.out)
    }

    /// One parameter from bytes that are one canonical typed value of this protocol.
    pub fn raw(&mut self, key: u8, value: RawValue<'_>) {
        debug_assert_eq!(value.protocol(), self.protocol, "bytes of another protocol");
        debug_assert!(value.is_canonical(), "bytes that must be written anew");
        self.key(key);
        self.out.extend_from_slice(value.bytes());
    }

    fn key(&mut self, key: u8) {
        debug_assert!(self.left > 0, "more parameters than were announced");
        self.left = self.left.saturating_sub(1);
        match self.protocol {
            Protocol::GpBinaryV16 | Protocol::GpBinaryV18 => self.out.push(key),
            Protocol::Json => json::put_parameter_key(self.out, key, self.first),
        }
        self.first = false;
    }

    /// Ends the event.
    pub fn finish(self) {
        debug_assert_eq!(self.left, 0, "fewer parameters than were announced");
        if self.protocol == Protocol::Json {
            json::put_end(self.out);
        }
    }
}
