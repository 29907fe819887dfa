//! One event to many receivers: encoded once per protocol, framed once per transport, appended to each output.

use bytes::Bytes;
use lampyris_realtime::codes::key;
use lampyris_transport::{Delivery, tcp, ws};
use lampyris_wire::{EncodeError, Event, EventWriter, Message, MessageHead, Protocol, RawValue, Value};

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outgoing<'a> {
    /// An event of the server's own making.
    Event(&'a Event),
    /// An event that an actor raised; its data goes on as it came where receiver and sender speak the same protocol.
    Raised { code: u8, sender: i32, data: Option<RawValue<'a>> },
    /// A response or another single message.
    Message(&'a Message),
}

impl Outgoing<'_> {
    /// Appends the whole message in clear.
    ///
    /// `decoded` keeps the data of a raised event once it had to be built for a receiver of another protocol.
    fn encode(&self, protocol: Protocol, decoded: &mut Option<Value>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match *self {
            Self::Message(message) => message.encode(protocol, out),
            Self::Event(event) => {
                let count = u8::try_from(event.parameters.len()).unwrap_or(u8::MAX);
                let mut writer = EventWriter::new(protocol, out, event.code, count);
                for (key, value) in event.parameters.iter() {
                    writer.value(key, value)?;
                }
                writer.finish();
                Ok(())
            }
            Self::Raised { code, sender, data } => {
                let mut writer = EventWriter::new(protocol, out, code, 1 + u8::from(data.is_some()));
                writer.value(key::ACTOR_NR, &Value::Int(sender))?;
                match data {
                    Some(raw) if raw.protocol() == protocol && raw.is_canonical() => {
                        writer.raw(key::DATA, raw);
                    }
                    Some(raw) => {
                        let value = match decoded {
                            Some(value) => value,
                            None => decoded.insert(raw.decode().unwrap_or(Value::Null)),
                        };
                        writer.value(key::DATA, value)?;
                    }
                    None => {}
                }
                writer.finish();
                Ok(())
            }
        }
    }
}

/// Encodings of the event that is being sent; the buffers stay from event to event.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    by_protocol: [Encoding; Protocol::ALL.len()],
    decoded: Option<Value>,
}

#[derive(Debug, Default)]
struct Encoding {
    state: State,
    /// The message in clear, head included.
    message: Vec<u8>,
    /// The same in a TCP frame.
    tcp: Vec<u8>,
    /// The same in a WebSocket frame.
    ws: Vec<u8>,
    /// The same as a buffer that UDP peers share until each has acknowledged it.
    shared: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Missing,
    Ready,
    /// This protocol cannot say it.
    NoForm,
}

impl FanOut {
    /// Forgets the last event.
    pub(crate) fn clear(&mut self) {
        self.decoded = None;
        for encoding in &mut self.by_protocol {
            if encoding.state != State::Missing {
                encoding.state = State::Missing;
                encoding.message.clear();
                encoding.tcp.clear();
                encoding.ws.clear();
                encoding.shared = None;
            }
        }
    }

    fn encoding(&mut self, protocol: Protocol, outgoing: &Outgoing<'_>) -> Option<&mut Encoding> {
        let encoding = self.by_protocol.get_mut(protocol.index())?;
        if encoding.state == State::Missing {
            let encoded = outgoing.encode(protocol, &mut self.decoded, &mut encoding.message);
            encoding.state = if encoded.is_ok() { State::Ready } else { State::NoForm };
        }
        (encoding.state == State::Ready).then_some(encoding)
    }

    /// The message in clear; `None` if the protocol cannot say it.
    pub(crate) fn message(&mut self, protocol: Protocol, outgoing: &Outgoing<'_>) -> Option<&[u8]> {
        self.encoding(protocol, outgoing).map(|encoding| &*encoding.message)
    }

    /// The message in a TCP frame.
    pub(crate) fn tcp(&mut self, protocol: Protocol, outgoing: &Outgoing<'_>) -> Option<&[u8]> {
        let encoding = self.encoding(protocol, outgoing)?;
        if encoding.tcp.is_empty() {
            tcp::write_frame(&mut encoding.tcp, 0, Delivery::Reliable, &encoding.message);
        }
        Some(&encoding.tcp)
    }

    /// The message in a WebSocket frame.
    pub(crate) fn ws(&mut self, protocol: Protocol, outgoing: &Outgoing<'_>) -> Option<&[u8]> {
        let encoding = self.encoding(protocol, outgoing)?;
        if encoding.ws.is_empty() {
            match protocol {
                Protocol::Json => ws::write_json_frame(&mut encoding.ws, &encoding.message),
                _ => ws::write_frame(&mut encoding.ws, ws::Opcode::Binary, &encoding.message),
            }
        }
        Some(&encoding.ws)
    }

    /// The message as a shared buffer.
    pub(crate) fn shared(&mut self, protocol: Protocol, outgoing: &Outgoing<'_>) -> Option<Bytes> {
        let encoding = self.encoding(protocol, outgoing)?;
        Some(encoding.shared.get_or_insert_with(|| Bytes::copy_from_slice(&encoding.message)).clone())
    }
}

/// Splits an encoded message in clear in its head with the encrypted bit set, and its body.
pub(crate) fn encrypted_head(message: &[u8]) -> Option<(MessageHead, &[u8])> {
    let (head, body) = MessageHead::split(message).ok()?;
    Some((MessageHead { encrypted: true, ..head }, body))
}
