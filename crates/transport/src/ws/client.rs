//! The client's end of a binary WebSocket connection.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lampyris_wire::{EncodeError, Protocol};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::codec::{Codec, Event};
use super::frame::{Opcode, Role, close_payload, write_masked_frame};
use super::upgrade::gather_head;
use super::{CLOSE_TIMEOUT, Config, accept_key, close_frame_for};
use crate::init::{self, Init};
use crate::{CloseCause, Delivery, Incoming, tcp};

/// Most header fields of a response.
const MAX_HEADERS: usize = 64;

/// Where a client connects to.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    /// `ws` or `wss`.
    pub scheme: &'a str,
    /// Host and port, as the `Host` header says them.
    pub host: &'a str,
    /// Path before the query, such as `/` or `/Master/`.
    pub path: &'a str,
}

/// The client's end of a WebSocket connection in a binary protocol.
///
/// Driven as [`super::ServerConnection`] is; messages are sent with [`write_message`](Self::write_message). The pings
/// of the protocol are internal operations, which the owner sends.
#[derive(Debug)]
pub struct ClientConnection {
    config: Arc<Config>,
    /// For masks, which must not be foreseeable.
    rng: StdRng,
    phase: Phase,
    last_received: Duration,
}

#[derive(Debug)]
enum Phase {
    Upgrading { head: Vec<u8>, accept: String, init: Box<Init>, init_message: Option<Vec<u8>> },
    AwaitingInitResponse { codec: Codec, init: Box<Init> },
    Open { codec: Codec },
    Closing { codec: Codec, reason: &'static str, since: Duration },
    Closed,
}

impl ClientConnection {
    /// A connection that was just made; appends the upgrade request to `out`. A token in `init` makes an init follow.
    ///
    /// # Errors
    /// The init has no form: see [`init::write_http_style`].
    pub fn new(
        now: Duration,
        config: Arc<Config>,
        init: Init,
        address: Address<'_>,
        rng: &mut impl Rng,
        out: &mut Vec<u8>,
    ) -> Result<Self, EncodeError> {
        let init_message = match &init.token {
            None => None,
            Some(_) => {
                let mut message = Vec::new();
                init::write_http_style(&init, &format!("{}://{}", address.scheme, address.host), &mut message)?;
                let mut framed = Vec::new();
                tcp::write_frame(&mut framed, 0, Delivery::Reliable, &message);
                Some(framed)
            }
        };
        let target_safe = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if init.protocol == Protocol::Json
            || ![address.host, address.path, &init.application, &init.client_version].into_iter().all(target_safe)
        {
            return Err(EncodeError::NoForm { what: "this upgrade request", protocol: init.protocol.name() });
        }
        let mut rng = StdRng::from_rng(rng);
        let key = STANDARD.encode(rng.random::<[u8; 16]>());
        let request = format!(
            "GET {}?libversion={}&sid={}&app={}{} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
            address.path,
            init.client_version,
            init.sdk_id << 1,
            init.application,
            if init_message.is_some() { "&xInit=" } else { "" },
            address.host,
            init.protocol.name()
        );
        out.extend_from_slice(request.as_bytes());
        let (head, accept) = (Vec::new(), accept_key(&key));
        let phase = Phase::Upgrading { head, accept, init: Box::new(init), init_message };
        Ok(Self { config, rng, phase, last_received: now })
    }

    /// As [`super::ServerConnection::receive`].
    pub fn receive(&mut self, now: Duration, input: &mut [u8], incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        if input.is_empty() || matches!(self.phase, Phase::Closed) {
            return;
        }
        self.last_received = now;
        let mut at = 0;
        if let Phase::Upgrading { .. } = self.phase
            && let Err(cause) = self.receive_head(input, &mut at, out)
        {
            return self.finish(cause, incoming);
        }
        loop {
            let codec = match &mut self.phase {
                Phase::AwaitingInitResponse { codec, .. } | Phase::Open { codec } | Phase::Closing { codec, .. } => {
                    codec
                }
                Phase::Upgrading { .. } | Phase::Closed => return,
            };
            let done = match codec.next(input, &mut at) {
                Ok(Some(event)) => self.handle_event(event, input, incoming, out),
                Ok(None) => return,
                Err(failure) => Err(failure.into_cause()),
            };
            if let Err(cause) = done {
                return self.end(cause, incoming, out);
            }
        }
    }

    fn receive_head(&mut self, input: &[u8], at: &mut usize, out: &mut Vec<u8>) -> Result<(), CloseCause> {
        let Phase::Upgrading { head, accept, init, .. } = &mut self.phase else { return Ok(()) };
        if !gather_head(head, input, at).map_err(|refusal| CloseCause::Violation(refusal.help))? {
            return Ok(());
        }
        check_response(head, accept, init.protocol)?;
        let codec = Codec::new(Role::Client, self.config.message_limits());
        if let Phase::Upgrading { init, init_message, .. } = std::mem::replace(&mut self.phase, Phase::Closed) {
            self.phase = Phase::AwaitingInitResponse { codec, init };
            if let Some(message) = init_message {
                self.write_frame(Opcode::Binary, &message, out);
            }
        }
        Ok(())
    }

    fn handle_event(
        &mut self,
        event: Event,
        input: &[u8],
        incoming: &mut Vec<Incoming>,
        out: &mut Vec<u8>,
    ) -> Result<(), CloseCause> {
        if let Phase::Closing { reason, .. } = self.phase {
            return if let Event::Close { .. } = event { Err(CloseCause::ByUs(reason)) } else { Ok(()) };
        }
        match event {
            Event::Ping(body) => self.write_frame(Opcode::Pong, body.bytes(input), out),
            Event::Pong => {}
            Event::Close { code, .. } => {
                self.write_frame(Opcode::Close, &close_payload(code, ""), out);
                return Err(CloseCause::ByPeer);
            }
            Event::Text(_) => {
                return Err(CloseCause::Violation("expected a binary message, found a text message".into()));
            }
            Event::Binary(body) => match std::mem::replace(&mut self.phase, Phase::Closed) {
                Phase::AwaitingInitResponse { codec, init } => {
                    self.phase = Phase::Open { codec };
                    if !init::is_response(body.bytes(input)) {
                        return Err(CloseCause::Violation("expected an init response first".into()));
                    }
                    incoming.push(Incoming::Opened(init));
                }
                phase => {
                    self.phase = phase;
                    init::check_message(body.bytes(input))?;
                    incoming.push(Incoming::Message { channel: 0, delivery: Delivery::Reliable, body });
                }
            },
        }
        Ok(())
    }

    /// Appends one message, once the connection is open.
    pub fn write_message(&mut self, message: &[u8], out: &mut Vec<u8>) {
        self.write_frame(Opcode::Binary, message, out);
    }

    fn write_frame(&mut self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
        write_masked_frame(out, opcode, self.rng.random(), payload);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` once closed.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Closing { since, .. } => Some(since.saturating_add(CLOSE_TIMEOUT)),
            Phase::Closed => None,
            _ => Some(self.last_received.saturating_add(self.config.inactivity)),
        }
    }

    /// Ends a connection whose time is over. May be called at any time.
    pub fn handle_timeout(&mut self, now: Duration, incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        if self.next_timeout().is_some_and(|deadline| now >= deadline) {
            self.end(CloseCause::Timeout("nothing received"), incoming, out);
        }
    }

    /// Closes with a close frame and waits for the peer's; [`Incoming::Closed`] comes when it has come, or after
    /// [`CLOSE_TIMEOUT`]. A connection that is not upgraded yet is over at once.
    pub fn close(
        &mut self,
        now: Duration,
        code: u16,
        reason: &'static str,
        incoming: &mut Vec<Incoming>,
        out: &mut Vec<u8>,
    ) {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Open { codec } | Phase::AwaitingInitResponse { codec, .. } => {
                self.write_frame(Opcode::Close, &close_payload(code, reason), out);
                self.phase = Phase::Closing { codec, reason, since: now };
            }
            Phase::Upgrading { .. } => incoming.push(Incoming::Closed(CloseCause::ByUs(reason))),
            phase @ (Phase::Closing { .. } | Phase::Closed) => self.phase = phase,
        }
    }

    /// The peer closed its end of the stream.
    pub fn end_of_stream(&mut self, incoming: &mut Vec<Incoming>) {
        self.finish(CloseCause::ByPeer, incoming);
    }

    fn end(&mut self, cause: CloseCause, incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        let owes_close = matches!(self.phase, Phase::Open { .. } | Phase::AwaitingInitResponse { .. });
        if owes_close && cause != CloseCause::ByPeer {
            let (code, text) = close_frame_for(&cause);
            self.write_frame(Opcode::Close, &close_payload(code, &text), out);
        }
        self.finish(cause, incoming);
    }

    fn finish(&mut self, cause: CloseCause, incoming: &mut Vec<Incoming>) {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Closed => {}
            Phase::Closing { reason, .. } => incoming.push(Incoming::Closed(CloseCause::ByUs(reason))),
            _ => incoming.push(Incoming::Closed(cause)),
        }
    }
}

/// A server may leave the sub-protocol out, as the reference client allows, but may not choose another.
fn check_response(head: &[u8], accept: &str, protocol: Protocol) -> Result<(), CloseCause> {
    let violation = |text: String| Err(CloseCause::Violation(text));
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    if let Err(error) = response.parse(head) {
        return violation(format!("not an HTTP response: {error}"));
    }
    if response.code != Some(101) {
        let (code, reason) = (response.code.unwrap_or_default(), response.reason.unwrap_or_default());
        return violation(format!("expected HTTP status 101, found {code} {reason}"));
    }
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    if !header("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return violation("expected Upgrade: websocket in the response".into());
    }
    if header("Sec-WebSocket-Accept") != Some(accept) {
        return violation(format!("expected Sec-WebSocket-Accept {accept} in the response"));
    }
    match header("Sec-WebSocket-Protocol") {
        Some(name) if name != protocol.name() => {
            violation(format!("expected sub-protocol {}, found {name}", protocol.name()))
        }
        _ => Ok(()),
    }
}
