//! The client's end of a connection, as far as a test needs it: frames, the key exchange, what came.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lampyris_engine::{ConnectionKey, ListenerId, Transport};
use lampyris_transport::crypto::{KeyExchange, PayloadCipher};
use lampyris_transport::udp::{self, Protection};
use lampyris_transport::{CloseCause, Delivery, Incoming, tcp};
use lampyris_wire::{Disconnect, Event, Limits, Message, MessageHead, OperationResponse, Protocol};

/// What a client was told.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are messages")]
pub(crate) enum Told {
    /// The init response.
    Opened,
    /// The first frame of a JSON connection.
    SessionId(String),
    /// A message in clear or decrypted, and how it came.
    Message { message: Message, encrypted: bool, channel: u8, delivery: Delivery },
    /// The answer to a ping of the TCP framing: its two times.
    Pong { server: i32, client: i32 },
}

impl Told {
    pub(crate) fn message(&self) -> Option<&Message> {
        match self {
            Self::Message { message, .. } => Some(message),
            _ => None,
        }
    }
}

/// The transport's own state.
#[derive(Debug)]
pub(crate) enum End {
    Tcp { unread: Vec<u8> },
    Ws { unread: Vec<u8>, upgraded: bool, closed: Option<u16>, answered: bool },
    Udp { peer: Option<Box<udp::Peer>> },
}

/// One client's end of one connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) listener: ListenerId,
    pub(crate) transport: Transport,
    pub(crate) remote: SocketAddr,
    pub(crate) protocol: Protocol,
    pub(crate) end: End,
    /// The worker that its socket, or its datagrams, come to.
    pub(crate) worker: usize,
    /// Streams: its name there; `None` once the socket is closed.
    pub(crate) key: Option<ConnectionKey>,
    /// Whether the server closed the socket, or said goodbye over UDP.
    pub(crate) closed: bool,
    /// A reader that takes nothing.
    pub(crate) stalled: bool,
    pub(crate) inbox: VecDeque<Told>,
    pub(crate) exchange: Option<KeyExchange>,
    pub(crate) cipher: Option<PayloadCipher>,
}

pub(crate) const MASK: [u8; 4] = [0x11, 0x92, 0x33, 0xD4];

impl Client {
    pub(crate) fn new(listener: ListenerId, transport: Transport, remote: SocketAddr, protocol: Protocol) -> Self {
        let end = match transport {
            Transport::Udp => End::Udp { peer: None },
            Transport::Tcp => End::Tcp { unread: Vec::new() },
            Transport::Ws | Transport::Wss => {
                End::Ws { unread: Vec::new(), upgraded: false, closed: None, answered: false }
            }
        };
        Self {
            listener,
            transport,
            remote,
            protocol,
            end,
            worker: 0,
            key: None,
            closed: false,
            stalled: false,
            inbox: VecDeque::new(),
            exchange: None,
            cipher: None,
        }
    }

    /// The bytes of one message on this stream.
    pub(crate) fn frame(&self, message: &[u8]) -> Vec<u8> {
        match (&self.end, self.protocol) {
            (End::Tcp { .. }, _) => tcp_frame(message),
            (_, Protocol::Json) => {
                let text = std::str::from_utf8(message).unwrap();
                let framed = format!("~m~{}~m~{text}", text.encode_utf16().count());
                ws_frame(0x1, framed.as_bytes())
            }
            _ => ws_frame(0x2, message),
        }
    }

    /// The answer to the server's close frame, once.
    pub(crate) fn close_answer(&mut self) -> Option<Vec<u8>> {
        match &mut self.end {
            End::Ws { closed: Some(code), answered, .. } if !*answered => {
                *answered = true;
                Some(ws_frame(0x8, &code.to_be_bytes()))
            }
            _ => None,
        }
    }

    /// Takes bytes of a stream.
    pub(crate) fn read_stream(&mut self, bytes: &[u8]) {
        match &mut self.end {
            End::Tcp { unread } => unread.extend_from_slice(bytes),
            End::Ws { unread, .. } => unread.extend_from_slice(bytes),
            End::Udp { .. } => panic!("a stream's bytes for a UDP client"),
        }
        loop {
            let read = match &mut self.end {
                End::Tcp { unread } => next_tcp(unread),
                End::Ws { unread, upgraded, closed, .. } => next_ws(unread, upgraded, closed),
                End::Udp { .. } => None,
            };
            match read {
                None => return,
                Some(Frame::Pong { server, client }) => self.inbox.push_back(Told::Pong { server, client }),
                Some(Frame::Message(body)) => self.read_message(0, Delivery::Reliable, &body),
            }
        }
    }

    /// Opens the UDP connection with that init message.
    pub(crate) fn connect_udp(&mut self, now: Duration, challenge: u32, init: &[u8]) {
        let config = Arc::new(udp::Config::CLIENT);
        let init = Bytes::copy_from_slice(init);
        let peer = udp::Peer::connect(now, challenge, 2, 1200, init, Protection::Plain, config).unwrap();
        self.end = End::Udp { peer: Some(Box::new(peer)) };
    }

    pub(crate) fn peer(&mut self) -> Option<&mut udp::Peer> {
        match &mut self.end {
            End::Udp { peer } => peer.as_deref_mut(),
            _ => None,
        }
    }

    pub(crate) fn read_incoming(&mut self, incoming: Vec<Incoming>, input: &[u8]) {
        for item in incoming {
            match item {
                Incoming::Opened(_) => self.inbox.push_back(Told::Opened),
                Incoming::Message { channel, delivery, body } => {
                    self.read_message(channel, delivery, body.bytes(input));
                }
                Incoming::Http(_) => panic!("HTTP over UDP"),
                Incoming::Closed(CloseCause::ByUs(_)) => {}
                Incoming::Closed(_) => self.closed = true,
            }
        }
    }

    fn read_message(&mut self, channel: u8, delivery: Delivery, bytes: &[u8]) {
        let limits = Limits::default();
        if self.protocol == Protocol::Json {
            let text = std::str::from_utf8(bytes).unwrap();
            let (length, payload) = text.strip_prefix("~m~").and_then(|rest| rest.split_once("~m~")).unwrap();
            assert_eq!(length.parse(), Ok(payload.encode_utf16().count()), "the frame's own length");
            if !payload.starts_with("~j~") {
                return self.inbox.push_back(Told::SessionId(payload.to_owned()));
            }
            let message = Message::decode(Protocol::Json, payload.as_bytes(), &limits).unwrap();
            return self.inbox.push_back(Told::Message { message, encrypted: false, channel, delivery });
        }
        if bytes.starts_with(&[0xF3, 0x01]) {
            return self.inbox.push_back(Told::Opened);
        }
        let (head, body) = MessageHead::split(bytes).unwrap();
        let mut plain = Vec::new();
        let body = if head.encrypted {
            self.cipher.as_ref().expect("an encrypted message needs a key").decrypt(body, &mut plain).unwrap();
            plain.as_slice()
        } else {
            body
        };
        let message = Message::decode_body(self.protocol, head.kind, body, &limits).unwrap();
        self.inbox.push_back(Told::Message { message, encrypted: head.encrypted, channel, delivery });
    }

    /// What came since the last time.
    pub(crate) fn take(&mut self) -> Vec<Told> {
        self.inbox.drain(..).collect()
    }

    /// The messages that came since the last time.
    pub(crate) fn messages(&mut self) -> Vec<Message> {
        self.take().into_iter().filter_map(|told| told.message().cloned()).collect()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        let events = self.messages().into_iter();
        events.filter_map(|message| if let Message::Event(event) = message { Some(event) } else { None }).collect()
    }

    pub(crate) fn disconnect_message(&mut self) -> Option<Disconnect> {
        let messages = self.messages().into_iter();
        messages.filter_map(|m| if let Message::Disconnect(told) = m { Some(told) } else { None }).next()
    }

    /// Takes the first response to an operation out of what came.
    pub(crate) fn response(&mut self, code: u8) -> Option<OperationResponse> {
        let at = self.inbox.iter().position(|told| match told.message() {
            Some(Message::OperationResponse(response)) => response.code == code,
            _ => false,
        })?;
        match self.inbox.remove(at) {
            Some(Told::Message { message: Message::OperationResponse(response), .. }) => Some(response),
            _ => None,
        }
    }
}

pub(crate) fn tcp_frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    tcp::write_frame(&mut out, 0, Delivery::Reliable, message);
    out
}

/// A whole frame as a client sends it: masked.
pub(crate) fn ws_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | opcode];
    match payload.len() {
        length @ ..=125 => out.push(0x80 | u8::try_from(length).unwrap()),
        length @ ..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

enum Frame {
    Message(Vec<u8>),
    Pong { server: i32, client: i32 },
}

fn next_tcp(unread: &mut Vec<u8>) -> Option<Frame> {
    let big_endian = |at: usize| i32::from_be_bytes(unread[at..at + 4].try_into().unwrap());
    match unread.first()? {
        0xF0 if unread.len() >= 9 => {
            let pong = Frame::Pong { server: big_endian(1), client: big_endian(5) };
            unread.drain(..9);
            Some(pong)
        }
        0xFB if unread.len() >= 7 => {
            let length = usize::try_from(big_endian(1)).unwrap();
            (unread.len() >= length).then(|| Frame::Message(unread.drain(..length).skip(7).collect()))
        }
        0xF0 | 0xFB => None,
        other => panic!("a TCP frame that starts with {other:02x}"),
    }
}

fn next_ws(unread: &mut Vec<u8>, upgraded: &mut bool, closed: &mut Option<u16>) -> Option<Frame> {
    if !*upgraded {
        let end = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
        if !unread.starts_with(b"HTTP/1.1 101") {
            return None;
        }
        *upgraded = true;
        unread.drain(..end);
    }
    loop {
        let [head, length, ..] = unread.as_slice() else { return None };
        let (opcode, length) = (head & 0x0F, *length);
        assert_eq!(head & 0xF0, 0x80, "whole frames only");
        let (start, length) = match length {
            126 => (4, usize::from(u16::from_be_bytes(unread.get(2..4)?.try_into().unwrap()))),
            127 => (10, usize::try_from(u64::from_be_bytes(unread.get(2..10)?.try_into().unwrap())).unwrap()),
            short => (2, usize::from(short)),
        };
        if unread.len() < start + length {
            return None;
        }
        let payload: Vec<u8> = unread.drain(..start + length).skip(start).collect();
        match opcode {
            0x1 | 0x2 => return Some(Frame::Message(payload)),
            0x8 => *closed = Some(u16::from_be_bytes(payload[..2].try_into().unwrap())),
            0x9 | 0xA => {}
            other => panic!("a WebSocket frame of opcode {other}"),
        }
    }
}
