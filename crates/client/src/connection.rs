//! A connection to one server: transport, cipher and output.

use std::time::Duration;

use lampyris_transport::crypto::PayloadCipher;
use lampyris_transport::{Delivery, Incoming, server_time_ms};
use lampyris_wire::{Message, MessageHead, OperationRequest, OperationResponse, Parameters, Protocol, Value};
use rand::rngs::StdRng;

use crate::codes::operation;
use crate::link::Link;
use crate::{Config, DisconnectCause, Error, ServerAddress, Transport};

/// How often a WebSocket client pings; TCP and UDP have pings of their own.
const WEBSOCKET_PING_INTERVAL: Duration = Duration::from_secs(1);

/// Keys of the internal operations.
const INTERNAL_FIRST: u8 = 1;
const INTERNAL_SECOND: u8 = 2;

/// A message and how it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) channel: u8,
    pub(crate) delivery: Delivery,
    pub(crate) encrypt: bool,
}

impl Mode {
    /// As most operations are sent.
    pub(crate) const PLAIN: Self = Self { channel: 0, delivery: Delivery::Reliable, encrypt: false };
    /// As operations with secrets are sent.
    pub(crate) const SECRET: Self = Self { encrypt: true, ..Self::PLAIN };
}

/// What the pings of a WebSocket connection measured.
#[derive(Clone, Copy, Debug, Default)]
struct WebSocketClock {
    ping_at: Option<Duration>,
    round_trip: Option<Duration>,
    server_offset_ms: Option<i32>,
}

/// A connection to one server.
#[derive(Debug)]
pub(crate) struct Connection {
    transport: Transport,
    protocol: Protocol,
    pub(crate) link: Link,
    pub(crate) cipher: Option<PayloadCipher>,
    /// What streams have to write, from `written` on.
    pub(crate) out: Vec<u8>,
    written: usize,
    /// Whether the transport reported its end.
    pub(crate) closed: bool,
    clock: WebSocketClock,
}

impl Connection {
    pub(crate) fn start(
        now: Duration,
        config: &Config,
        address: &ServerAddress,
        token: Option<Value>,
        rng: &mut StdRng,
    ) -> Result<Self, DisconnectCause> {
        let mut out = Vec::new();
        let link = Link::start(now, config, address, token, rng, &mut out)?;
        Ok(Self {
            transport: address.transport,
            protocol: config.protocol,
            link,
            cipher: None,
            out,
            written: 0,
            closed: false,
            clock: WebSocketClock::default(),
        })
    }

    /// Whether the bytes below are encrypted anyway.
    pub(crate) fn is_secure(&self) -> bool {
        self.transport == Transport::Wss
    }

    /// The transport is open: the pings that it does not send by itself begin.
    pub(crate) fn opened(&mut self, now: Duration) {
        if matches!(self.link, Link::Ws(_)) {
            self.clock.ping_at = Some(now);
        }
    }

    /// Sends a request.
    pub(crate) fn request(
        &mut self,
        now: Duration,
        mode: Mode,
        internal: bool,
        request: OperationRequest,
        buffers: &mut Buffers,
    ) -> Result<(), Error> {
        let message = if internal { Message::InternalRequest(request) } else { Message::OperationRequest(request) };
        let Buffers { message: bytes, cipher_text } = buffers;
        bytes.clear();
        message.encode(self.protocol, bytes)?;
        let bytes = if mode.encrypt && !self.is_secure() {
            cipher_text.clear();
            MessageHead { kind: message.kind(), encrypted: true }.write(cipher_text);
            let body = bytes.get(MessageHead::LEN..).unwrap_or_default();
            let cipher = self.cipher.as_ref().ok_or(Error::NoKey)?;
            cipher.encrypt(body, cipher_text).map_err(|_| Error::NoKey)?;
            cipher_text
        } else {
            bytes
        };
        self.link.send(now, mode.channel, mode.delivery, bytes, &mut self.out)
    }

    /// Builds a message that came.
    pub(crate) fn decode(
        &self,
        message: &[u8],
        config: &Config,
        plain: &mut Vec<u8>,
    ) -> Result<Message, DisconnectCause> {
        let limits = &config.limits.wire;
        let (head, body) = MessageHead::split(message)?;
        if !head.encrypted || self.is_secure() {
            return Ok(Message::decode_body(self.protocol, head.kind, body, limits)?);
        }
        plain.clear();
        let unopened = || DisconnectCause::Violation("an encrypted message that no key opens".to_owned());
        let cipher = self.cipher.as_ref().ok_or_else(unopened)?;
        cipher.decrypt(body, plain).map_err(|_| unopened())?;
        Ok(Message::decode_body(self.protocol, head.kind, plain, limits)?)
    }

    /// Sends the ping of a WebSocket connection, when it is time.
    pub(crate) fn ping_if_due(&mut self, now: Duration, buffers: &mut Buffers) -> Result<(), Error> {
        if self.closed || self.clock.ping_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        self.clock.ping_at = Some(now + WEBSOCKET_PING_INTERVAL);
        let parameters = Parameters::new().with(INTERNAL_FIRST, server_time_ms(now));
        let request = OperationRequest { code: operation::PING, parameters };
        self.request(now, Mode::PLAIN, true, request, buffers)
    }

    /// The answer to a ping: the first sets the clock, as on TCP.
    pub(crate) fn pong(&mut self, now: Duration, response: &OperationResponse) {
        let int = |key| match response.parameters.get(key) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        };
        let (Some(sent), Some(server)) = (int(INTERNAL_FIRST), int(INTERNAL_SECOND)) else { return };
        let now_ms = server_time_ms(now);
        let round_trip = now_ms.wrapping_sub(sent).max(0);
        self.clock.round_trip = Some(Duration::from_millis(u64::from(round_trip.unsigned_abs())));
        self.clock.server_offset_ms.get_or_insert_with(|| server.wrapping_add(round_trip / 2).wrapping_sub(now_ms));
    }

    /// The last round-trip time, smoothed on UDP.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        match &self.link {
            Link::Udp(peer) => Some(peer.rtt()),
            Link::Tcp(connection) => connection.round_trip(),
            Link::Ws(_) => self.clock.round_trip,
        }
    }

    /// The server's millisecond clock.
    pub(crate) fn server_time_ms(&self, now: Duration) -> Option<i32> {
        match &self.link {
            Link::Udp(peer) => peer.server_time(now),
            Link::Tcp(connection) => connection.server_time_ms(now),
            Link::Ws(_) => Some(server_time_ms(now).wrapping_add(self.clock.server_offset_ms?)),
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        let ping_at = self.clock.ping_at.filter(|_| !self.closed);
        [self.link.next_timeout(), ping_at].into_iter().flatten().min()
    }

    pub(crate) fn pending(&self) -> &[u8] {
        self.out.get(self.written..).unwrap_or_default()
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.written = self.written.saturating_add(count);
        if self.written >= self.out.len() {
            self.out.clear();
            self.written = 0;
        }
    }

    pub(crate) fn close(&mut self, now: Duration, incoming: &mut Vec<Incoming>) {
        self.link.close(now, incoming, &mut self.out);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.link.is_finished(self.closed) && self.pending().is_empty()
    }
}

/// Buffers that are used within one call and kept for the next.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    message: Vec<u8>,
    cipher_text: Vec<u8>,
}

/// The public key in a message of the key exchange.
pub(crate) fn key_exchange_request(public_key: &[u8]) -> OperationRequest {
    let parameters = Parameters::new().with(INTERNAL_FIRST, public_key.to_vec());
    OperationRequest { code: operation::INIT_ENCRYPTION, parameters }
}

/// The server's public key.
pub(crate) fn public_key(response: &OperationResponse) -> Option<&[u8]> {
    match (response.return_code, response.parameters.get(INTERNAL_FIRST)) {
        (0, Some(Value::ByteArray(key))) => Some(key),
        _ => None,
    }
}
