//! The server's end of a WebSocket connection: upgrade, session, deadlines.

use std::sync::Arc;
use std::time::Duration;

use lampyris_wire::Protocol;

use super::codec::{Codec, Event};
use super::frame::{Opcode, Role, close_payload, write_frame};
use super::upgrade::{Request, gather_head, init_from_request, read_request, write_switching_protocols};
use super::{CLOSE_TIMEOUT, Config, Failure, close_code, close_frame_for, json, write_json_frame};
use crate::http::{HttpRequest, Method, Refusal, write_response};
use crate::init::{self, INIT_RESPONSE};
use crate::{Body, CloseCause, Delivery, Incoming, tcp};

/// The server's end of a WebSocket connection, or of an HTTP request that came to its port.
///
/// ```text
/// Upgrading --plain request--> Answering --respond_http--> Closed
///     |
///     +--xInit--> AwaitingInit --init--> Open --close--> Closing --close frame, timeout--> Closed
///     +----------- otherwise -----------^
/// ```
///
/// Call [`receive`](Self::receive) with what was read, write `out`, call [`handle_timeout`](Self::handle_timeout) when
/// [`next_timeout`](Self::next_timeout) is reached, and [`end_of_stream`](Self::end_of_stream) when the peer closed its
/// end of the stream. Messages are sent by appending frames to the output: [`write_frame`], [`write_json_frame`].
#[derive(Debug)]
pub struct ServerConnection {
    config: Arc<Config>,
    phase: Phase,
    last_received: Duration,
    last_ping: Duration,
    /// Place of the route in [`Config::routes`].
    route: usize,
    ping_after: Option<Duration>,
}

#[derive(Debug)]
enum Phase {
    Upgrading { head: Vec<u8>, session_id: [u8; 16], since: Duration },
    Answering { method: Method, since: Duration },
    AwaitingInit { codec: Codec, upgrade: Box<(Protocol, HttpRequest)>, since: Duration },
    Open { codec: Codec, protocol: Protocol },
    Closing { codec: Codec, reason: &'static str, since: Duration },
    Closed,
}

impl ServerConnection {
    /// A connection that was just accepted. `session_id` are fresh random bytes: a JSON client gets them to see.
    #[must_use]
    pub fn new(now: Duration, config: Arc<Config>, session_id: [u8; 16]) -> Self {
        let phase = Phase::Upgrading { head: Vec::new(), session_id, since: now };
        Self { config, phase, last_received: now, last_ping: now, route: 0, ping_after: None }
    }

    /// The route by which the peer came, as its place in [`Config::routes`]; known when the session is open.
    #[must_use]
    pub fn route(&self) -> usize {
        self.route
    }

    /// Takes what was read, unmasking it in place; appends what it meant to `incoming` and what is owed to the peer to
    /// `out`.
    pub fn receive(&mut self, now: Duration, input: &mut [u8], incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        if input.is_empty() || matches!(self.phase, Phase::Closed) {
            return;
        }
        self.last_received = now;
        let mut at = 0;
        if let Phase::Upgrading { .. } = self.phase
            && let Err(cause) = self.receive_head(now, input, &mut at, incoming, out)
        {
            return self.finish(cause, incoming);
        }
        loop {
            let codec = match &mut self.phase {
                Phase::AwaitingInit { codec, .. } | Phase::Open { codec, .. } | Phase::Closing { codec, .. } => codec,
                Phase::Upgrading { .. } | Phase::Answering { .. } | Phase::Closed => return,
            };
            let done = match codec.next(input, &mut at) {
                Ok(Some(event)) => self.handle_event(event, input, incoming, out),
                Ok(None) => return,
                Err(failure) => Err(failure.into()),
            };
            if let Err(end) = done {
                return self.end(end, incoming, out);
            }
        }
    }

    /// Reads the HTTP request and opens the session, as far as it is there.
    fn receive_head(
        &mut self,
        now: Duration,
        input: &[u8],
        at: &mut usize,
        incoming: &mut Vec<Incoming>,
        out: &mut Vec<u8>,
    ) -> Result<(), CloseCause> {
        let Phase::Upgrading { head, session_id, .. } = &mut self.phase else { return Ok(()) };
        let session_id = *session_id;
        if head.is_empty() {
            refuse_other_protocols(input)?;
        }
        let request = match gather_head(head, input, at) {
            Ok(false) => return Ok(()),
            Ok(true) => read_request(head),
            Err(refusal) => Err(refusal),
        };
        match request.and_then(|request| self.take_route(request)) {
            Err(refusal) => {
                refusal.write(out);
                Err(CloseCause::Violation(format!("HTTP {}: {}", refusal.status, refusal.help)))
            }
            Ok(Request::Plain(request)) => {
                self.phase = Phase::Answering { method: request.method, since: now };
                incoming.push(Incoming::Http(Box::new(request)));
                Ok(())
            }
            Ok(Request::Upgrade { request, key, protocol, echo_subprotocol }) => {
                write_switching_protocols(&key, echo_subprotocol.then_some(protocol.name()), out);
                let codec = Codec::new(Role::Server, self.config.message_limits());
                if protocol != Protocol::Json && request.query_value("xInit").is_some() {
                    self.phase = Phase::AwaitingInit { codec, upgrade: Box::new((protocol, request)), since: now };
                    return Ok(());
                }
                match protocol {
                    Protocol::Json => write_json_frame(out, guid(session_id).as_bytes()),
                    _ => write_frame(out, Opcode::Binary, &INIT_RESPONSE),
                }
                self.phase = Phase::Open { codec, protocol };
                incoming.push(Incoming::Opened(Box::new(init_from_request(protocol, request))));
                Ok(())
            }
        }
    }

    /// Remembers the route of an upgrade; without one there is none.
    fn take_route(&mut self, request: Request) -> Result<Request, Refusal> {
        if let Request::Upgrade { request, .. } = &request {
            let Some((place, route)) = self.config.route(&request.path).filter(|(_, route)| route.web_socket) else {
                let served = self.config.routes.iter().filter(|route| route.web_socket);
                let served = served.map(|route| route.pattern.written()).collect::<Vec<_>>().join(", ");
                return Err(Refusal::new(404, format!("no game is served at {}; paths are {served}", request.path)));
            };
            (self.route, self.ping_after) = (place, route.ping_after);
        }
        Ok(request)
    }

    fn handle_event(
        &mut self,
        event: Event,
        input: &[u8],
        incoming: &mut Vec<Incoming>,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        if let Phase::Closing { reason, .. } = self.phase {
            // Our close frame is out: nothing may follow it, and what the peer still sends has no meaning any more.
            return if let Event::Close { .. } = event { Err(End::Silent(CloseCause::ByUs(reason))) } else { Ok(()) };
        }
        match event {
            Event::Ping(body) => write_frame(out, Opcode::Pong, body.bytes(input)),
            Event::Pong => {}
            Event::Close { code, .. } => {
                write_frame(out, Opcode::Close, &close_payload(code, ""));
                return Err(End::Silent(CloseCause::ByPeer));
            }
            Event::Text(body) => {
                let Phase::Open { protocol: Protocol::Json, .. } = self.phase else {
                    return Err(End::Failed(wrong_data("text message on a binary sub-protocol")));
                };
                incoming.push(message(json::unframe(body, input)?));
            }
            Event::Binary(body) => {
                self.handle_binary(body, input, incoming, out)?;
            }
        }
        Ok(())
    }

    fn handle_binary(
        &mut self,
        body: Body,
        input: &[u8],
        incoming: &mut Vec<Incoming>,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        match &self.phase {
            Phase::Open { protocol: Protocol::Json, .. } => {
                return Err(End::Failed(wrong_data("binary message on the sub-protocol Json")));
            }
            Phase::AwaitingInit { upgrade, .. } => {
                let (protocol, request) = upgrade.as_ref();
                let body = tcp::unframe(body, input)?;
                let mut init = init::parse(body.bytes(input), &self.config.limits)?;
                if init.protocol != *protocol {
                    let (said, fixed) = (init.protocol.name(), protocol.name());
                    return Err(CloseCause::Violation(format!("expected an init in {fixed}, found {said}")).into());
                }
                init.http = Some(request.clone());
                write_frame(out, Opcode::Binary, &INIT_RESPONSE);
                incoming.push(Incoming::Opened(Box::new(init)));
            }
            _ => {
                let body = tcp::unframe(body, input)?;
                init::check_message(body.bytes(input))?;
                incoming.push(message(body));
                return Ok(());
            }
        }
        if let Phase::AwaitingInit { codec, upgrade, .. } = std::mem::replace(&mut self.phase, Phase::Closed) {
            self.phase = Phase::Open { codec, protocol: upgrade.0 };
        }
        Ok(())
    }

    /// Answers the request that came as [`Incoming::Http`]. Write `out` and close the socket: nothing comes any more.
    pub fn respond_http(
        &mut self,
        status: u16,
        content_type: &str,
        extra_headers: &[(&str, &str)],
        body: &[u8],
        out: &mut Vec<u8>,
    ) {
        if let Phase::Answering { method, .. } = self.phase {
            write_response(method, status, content_type, extra_headers, body, out);
            self.phase = Phase::Closed;
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` once closed.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Upgrading { since, .. } | Phase::Answering { since, .. } | Phase::AwaitingInit { since, .. } => {
                Some(since.saturating_add(self.config.inactivity))
            }
            Phase::Open { .. } => {
                let ping = self.next_ping().unwrap_or(Duration::MAX);
                Some(self.silence_deadline().min(ping))
            }
            Phase::Closing { since, .. } => Some(since.saturating_add(CLOSE_TIMEOUT)),
            Phase::Closed => None,
        }
    }

    fn silence_deadline(&self) -> Duration {
        self.last_received.saturating_add(self.config.inactivity)
    }

    fn next_ping(&self) -> Option<Duration> {
        Some(self.last_received.max(self.last_ping).saturating_add(self.ping_after?))
    }

    /// Does what is due: pings a silent peer, ends a connection whose time is over. May be called at any time.
    pub fn handle_timeout(&mut self, now: Duration, incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        if self.next_timeout().is_none_or(|deadline| now < deadline) {
            return;
        }
        let cause = match &self.phase {
            Phase::Upgrading { .. } => CloseCause::Timeout("no request"),
            Phase::Answering { .. } => CloseCause::Timeout("no answer to a request"),
            Phase::AwaitingInit { .. } => CloseCause::Timeout("no init"),
            Phase::Closing { reason, .. } => CloseCause::ByUs(reason),
            Phase::Open { .. } if now >= self.silence_deadline() => CloseCause::Timeout("nothing received"),
            Phase::Open { .. } => {
                self.last_ping = now;
                return write_frame(out, Opcode::Ping, &[]);
            }
            Phase::Closed => return,
        };
        self.end(cause.into(), incoming, out);
    }

    /// Closes with a close frame and waits for the peer's; [`Incoming::Closed`] comes when it has come, or after
    /// [`CLOSE_TIMEOUT`]. A connection that is not open yet is over at once.
    pub fn close(
        &mut self,
        now: Duration,
        code: u16,
        reason: &'static str,
        incoming: &mut Vec<Incoming>,
        out: &mut Vec<u8>,
    ) {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Open { codec, .. } | Phase::AwaitingInit { codec, .. } => {
                write_frame(out, Opcode::Close, &close_payload(code, reason));
                self.phase = Phase::Closing { codec, reason, since: now };
            }
            Phase::Upgrading { .. } | Phase::Answering { .. } => {
                incoming.push(Incoming::Closed(CloseCause::ByUs(reason)));
            }
            phase @ (Phase::Closing { .. } | Phase::Closed) => self.phase = phase,
        }
    }

    /// The peer closed its end of the stream.
    pub fn end_of_stream(&mut self, incoming: &mut Vec<Incoming>) {
        let cause = match self.phase {
            Phase::Closing { reason, .. } => CloseCause::ByUs(reason),
            _ => CloseCause::ByPeer,
        };
        self.finish(cause, incoming);
    }

    fn end(&mut self, end: End, incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        let speaks_websocket = matches!(self.phase, Phase::Open { .. } | Phase::AwaitingInit { .. });
        let (cause, frame) = match end {
            End::Silent(cause) => (cause, None),
            End::Failed(failure) => (failure.into_cause(), Some((failure.code, failure.text.to_owned()))),
            End::Caused(cause) => {
                let frame = close_frame_for(&cause);
                (cause, Some(frame))
            }
        };
        if let (true, Some((code, text))) = (speaks_websocket, frame) {
            write_frame(out, Opcode::Close, &close_payload(code, &text));
        }
        let cause = match self.phase {
            Phase::Closing { reason, .. } => CloseCause::ByUs(reason),
            _ => cause,
        };
        self.finish(cause, incoming);
    }

    fn finish(&mut self, cause: CloseCause, incoming: &mut Vec<Incoming>) {
        if !matches!(self.phase, Phase::Closed) {
            self.phase = Phase::Closed;
            incoming.push(Incoming::Closed(cause));
        }
    }
}

/// How a connection ends: whether a close frame is still owed, and which.
enum End {
    Silent(CloseCause),
    Failed(Failure),
    Caused(CloseCause),
}

impl From<CloseCause> for End {
    fn from(cause: CloseCause) -> Self {
        Self::Caused(cause)
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn wrong_data(text: &'static str) -> Failure {
    Failure { code: close_code::UNSUPPORTED_DATA, text }
}

fn message(body: Body) -> Incoming {
    Incoming::Message { channel: 0, delivery: Delivery::Reliable, body }
}

/// Tells the usual wrong guests what this port is.
fn refuse_other_protocols(input: &[u8]) -> Result<(), CloseCause> {
    let cause = match input.first() {
        Some(b'A'..=b'Z') | None => return Ok(()),
        Some(&tcp::TLS_HANDSHAKE) => {
            "client speaks TLS on a plain port: use a ws:// address here, or a port that has a certificate".into()
        }
        Some(&tcp::MESSAGE_FRAME) => "client speaks TCP framing on a WebSocket port: TCP has a port of its own".into(),
        Some(other) => format!("expected an HTTP request, found first byte {other:02X}"),
    };
    Err(CloseCause::Violation(cause))
}

/// The text of a GUID, which is what clients get from the reference product.
fn guid(bytes: [u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    let mut text = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
