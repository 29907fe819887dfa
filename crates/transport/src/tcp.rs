//! TCP framing (transports.md, section 4).
//!
//! | first byte | direction | layout |
//! | --- | --- | --- |
//! | `FB` | both | `FB`, u32 length of the whole frame, u8 channel, u8 delivery, one message |
//! | `F0` | to the server | `F0`, i32 client time: a ping, 5 bytes |
//! | `F0` | to the client | `F0`, i32 server time, i32 client time: its answer, 9 bytes |
//!
//! The first frame of a client is its init. A frame that lies whole in the input is handed out where it lies; one that
//! is cut is kept until its rest comes, in a buffer that exists only for that time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lampyris_wire::{EncodeError, Limits};

use crate::http::Refusal;
use crate::init::{self, INIT_RESPONSE, Init};
use crate::{Body, CloseCause, Delivery, Incoming, server_time_ms};

/// Length of the header before a message.
pub const HEADER_BYTES: usize = 7;

pub(crate) const MESSAGE_FRAME: u8 = 0xFB;
const PING_FRAME: u8 = 0xF0;
const PING_BYTES: usize = 5;
const PING_RESULT_BYTES: usize = 9;
pub(crate) const TLS_HANDSHAKE: u8 = 0x16;

/// Shortest message: magic byte and type.
const MIN_MESSAGE_BYTES: usize = 2;

/// How often a client pings.
pub const PING_INTERVAL: Duration = Duration::from_secs(1);

/// What all connections of a listener share.
#[derive(Clone, Debug)]
pub struct Config {
    /// `message_bytes` is checked on a frame's length field, the rest when a token is read.
    pub limits: Limits,
    /// A connection that receives nothing for so long, or is not open after so long, is closed.
    pub inactivity: Duration,
}

impl Config {
    /// The inactivity timeout of the reference product.
    pub const DEFAULT_INACTIVITY: Duration = Duration::from_secs(10);
}

impl Default for Config {
    fn default() -> Self {
        Self { limits: Limits::DEFAULT, inactivity: Self::DEFAULT_INACTIVITY }
    }
}

/// Appends the header of a frame for a message of `message_len` bytes, which the caller appends next.
///
/// A message over 4 GiB has no frame; the message limit is far below.
pub fn write_head(out: &mut Vec<u8>, channel: u8, delivery: Delivery, message_len: usize) {
    let length = u32::try_from(message_len.saturating_add(HEADER_BYTES)).unwrap_or(u32::MAX);
    out.push(MESSAGE_FRAME);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[channel, delivery as u8]);
}

/// Appends one frame with `message` in it.
pub fn write_frame(out: &mut Vec<u8>, channel: u8, delivery: Delivery, message: &[u8]) {
    out.reserve(HEADER_BYTES + message.len());
    write_head(out, channel, delivery, message.len());
    out.extend_from_slice(message);
}

/// The server's end of a TCP connection.
///
/// Call [`receive`](Self::receive) with what was read, write `out`, call [`handle_timeout`](Self::handle_timeout) when
/// [`next_timeout`](Self::next_timeout) is reached, and [`end_of_stream`](Self::end_of_stream) when the peer closed.
#[derive(Debug)]
pub struct ServerConnection {
    config: Arc<Config>,
    frames: Frames,
    phase: Phase,
    last_received: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    AwaitingInit { since: Duration },
    Open,
    Closed,
}

impl ServerConnection {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(now: Duration, config: Arc<Config>) -> Self {
        Self { config, frames: Frames::default(), phase: Phase::AwaitingInit { since: now }, last_received: now }
    }

    /// Whether nothing has come yet.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        matches!(self.phase, Phase::AwaitingInit { .. }) && self.frames.is_empty()
    }

    /// Takes what was read; appends what it meant to `incoming` and what is owed to the peer to `out`.
    pub fn receive(&mut self, now: Duration, input: &[u8], incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        if self.phase == Phase::Closed || input.is_empty() {
            return;
        }
        self.last_received = now;
        if let Err(cause) = self.receive_frames(now, input, incoming, out) {
            self.close(cause, incoming);
        }
    }

    fn receive_frames(
        &mut self,
        now: Duration,
        input: &[u8],
        incoming: &mut Vec<Incoming>,
        out: &mut Vec<u8>,
    ) -> Result<(), CloseCause> {
        if let (Phase::AwaitingInit { .. }, true, Some(first)) = (self.phase, self.frames.is_empty(), input.first()) {
            refuse_other_protocols(*first, out)?;
        }
        let mut at = 0;
        while let Some(frame) = self.frames.next(input, &mut at, PING_BYTES, self.config.limits.message_bytes)? {
            let frame = Frame::parse(frame, input)?;
            match (self.phase, frame) {
                (Phase::AwaitingInit { .. }, Frame::Message { body, .. }) => {
                    let init = init::parse(body.bytes(input), &self.config.limits)?;
                    write_frame(out, 0, Delivery::Reliable, &INIT_RESPONSE);
                    self.phase = Phase::Open;
                    incoming.push(Incoming::Opened(Box::new(init)));
                }
                (Phase::AwaitingInit { .. }, Frame::Ping(_)) => {
                    return Err(CloseCause::Violation("expected an init as the first frame, found a ping".into()));
                }
                (_, Frame::Ping(times)) => {
                    out.push(PING_FRAME);
                    out.extend_from_slice(&server_time_ms(now).to_be_bytes());
                    out.extend_from_slice(times.bytes(input));
                }
                (_, Frame::Message { channel, delivery, body }) => {
                    init::check_message(body.bytes(input))?;
                    incoming.push(Incoming::Message { channel, delivery, body });
                }
            }
        }
        Ok(())
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` once closed.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::AwaitingInit { since } => Some(since.saturating_add(self.config.inactivity)),
            Phase::Open => Some(self.last_received.saturating_add(self.config.inactivity)),
            Phase::Closed => None,
        }
    }

    /// Closes the connection if its time is over. May be called at any time.
    pub fn handle_timeout(&mut self, now: Duration, incoming: &mut Vec<Incoming>) {
        if self.next_timeout().is_some_and(|deadline| now >= deadline) {
            let what = if self.phase == Phase::Open { "nothing received" } else { "no init" };
            self.close(CloseCause::Timeout(what), incoming);
        }
    }

    /// The peer closed its end of the stream.
    pub fn end_of_stream(&mut self, incoming: &mut Vec<Incoming>) {
        self.close(CloseCause::ByPeer, incoming);
    }

    /// Ends the connection for `cause`, once.
    pub fn close(&mut self, cause: CloseCause, incoming: &mut Vec<Incoming>) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Closed;
            self.frames = Frames::default();
            incoming.push(Incoming::Closed(cause));
        }
    }
}

/// The client's end of a TCP connection.
#[derive(Debug)]
pub struct ClientConnection {
    config: Arc<Config>,
    frames: Frames,
    /// What was sent, until the init response comes.
    init: Option<Box<Init>>,
    closed: bool,
    last_received: Duration,
    last_ping: Duration,
    round_trip: Option<Duration>,
    /// Server time minus the clock of `now`, both as [`server_time_ms`].
    server_time_offset: Option<i32>,
}

impl ClientConnection {
    /// A connection that was just made; appends the init to `out`. `host` is the server's address as the user gave it.
    ///
    /// # Errors
    /// The init has no form: see [`init::write`].
    pub fn new(
        now: Duration,
        config: Arc<Config>,
        init: Init,
        host: &str,
        out: &mut Vec<u8>,
    ) -> Result<Self, EncodeError> {
        let mut message = Vec::new();
        init::write(&init, host, &mut message)?;
        write_frame(out, 0, Delivery::Reliable, &message);
        Ok(Self {
            config,
            frames: Frames::default(),
            init: Some(Box::new(init)),
            closed: false,
            last_received: now,
            last_ping: now,
            round_trip: None,
            server_time_offset: None,
        })
    }

    /// As [`ServerConnection::receive`]; a client owes no answers, so there is no `out`.
    pub fn receive(&mut self, now: Duration, input: &[u8], incoming: &mut Vec<Incoming>) {
        if self.closed || input.is_empty() {
            return;
        }
        self.last_received = now;
        if let Err(cause) = self.receive_frames(now, input, incoming) {
            self.close(cause, incoming);
        }
    }

    fn receive_frames(&mut self, now: Duration, input: &[u8], incoming: &mut Vec<Incoming>) -> Result<(), CloseCause> {
        let mut at = 0;
        while let Some(frame) = self.frames.next(input, &mut at, PING_RESULT_BYTES, self.config.limits.message_bytes)? {
            match Frame::parse(frame, input)? {
                Frame::Ping(times) => self.handle_ping_result(now, times.bytes(input)),
                Frame::Message { channel, delivery, body } => {
                    let message = body.bytes(input);
                    match self.init.take() {
                        Some(init) if init::is_response(message) => incoming.push(Incoming::Opened(init)),
                        Some(_) => {
                            return Err(CloseCause::Violation("expected an init response first".into()));
                        }
                        None => {
                            init::check_message(message)?;
                            incoming.push(Incoming::Message { channel, delivery, body });
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The first answer sets the clock, later ones only the round trip time: as the reference client does.
    fn handle_ping_result(&mut self, now: Duration, times: &[u8]) {
        let (Some((server, rest)), now_ms) = (times.split_first_chunk::<4>(), server_time_ms(now)) else { return };
        let Some(client) = rest.first_chunk::<4>() else { return };
        let round_trip_ms = now_ms.wrapping_sub(i32::from_be_bytes(*client)).max(0);
        self.round_trip = Some(Duration::from_millis(u64::from(round_trip_ms.unsigned_abs())));
        self.server_time_offset
            .get_or_insert_with(|| i32::from_be_bytes(*server).wrapping_add(round_trip_ms / 2).wrapping_sub(now_ms));
    }

    /// The last measured round trip time.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The server's millisecond clock, once the first ping was answered.
    #[must_use]
    pub fn server_time_ms(&self, now: Duration) -> Option<i32> {
        self.server_time_offset.map(|offset| server_time_ms(now).wrapping_add(offset))
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` once closed.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        (!self.closed).then(|| {
            (self.last_received.saturating_add(self.config.inactivity))
                .min(self.last_ping.saturating_add(PING_INTERVAL))
        })
    }

    /// Pings the server and closes a connection that is silent for too long, when it is time. May be called at any
    /// time.
    pub fn handle_timeout(&mut self, now: Duration, incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        if self.closed {
            return;
        }
        if now >= self.last_received.saturating_add(self.config.inactivity) {
            self.close(CloseCause::Timeout("nothing received"), incoming);
        } else if now >= self.last_ping.saturating_add(PING_INTERVAL) {
            self.last_ping = now;
            out.push(PING_FRAME);
            out.extend_from_slice(&server_time_ms(now).to_be_bytes());
        }
    }

    /// The peer closed its end of the stream.
    pub fn end_of_stream(&mut self, incoming: &mut Vec<Incoming>) {
        self.close(CloseCause::ByPeer, incoming);
    }

    /// Ends the connection for `cause`, once.
    pub fn close(&mut self, cause: CloseCause, incoming: &mut Vec<Incoming>) {
        if !self.closed {
            self.closed = true;
            self.frames = Frames::default();
            incoming.push(Incoming::Closed(cause));
        }
    }
}

/// Tells the usual wrong guests what this port is.
fn refuse_other_protocols(first: u8, out: &mut Vec<u8>) -> Result<(), CloseCause> {
    match first {
        TLS_HANDSHAKE => Err(CloseCause::Violation(
            "client speaks TLS on a plain port: use a plain address here, or a port that has a certificate".into(),
        )),
        b'A'..=b'Z' => {
            let help = "this port speaks the game protocol over TCP; browsers and WebSocket clients use another port";
            Refusal::new(400, help).write(out);
            Err(CloseCause::Violation("client speaks HTTP on a TCP port: WebSocket has ports of its own".into()))
        }
        _ => Ok(()),
    }
}

/// One whole frame, taken apart.
enum Frame {
    /// What follows `F0`.
    Ping(Body),
    Message {
        channel: u8,
        delivery: Delivery,
        body: Body,
    },
}

impl Frame {
    fn parse(frame: Body, input: &[u8]) -> Result<Self, CloseCause> {
        match *frame.bytes(input) {
            [MESSAGE_FRAME, _, _, _, _, channel, delivery, ..] => Ok(Self::Message {
                channel,
                delivery: delivery_from(delivery)?,
                body: frame.without_head(HEADER_BYTES),
            }),
            _ => Ok(Self::Ping(frame.without_head(1))),
        }
    }
}

/// Takes the frame header off a message that may carry one, as the init does on WebSocket.
pub(crate) fn unframe(body: Body, input: &[u8]) -> Result<Body, CloseCause> {
    let bytes = body.bytes(input);
    let &[MESSAGE_FRAME, a, b, c, d, ..] = bytes else { return Ok(body) };
    let (length, found) = (u32::from_be_bytes([a, b, c, d]), bytes.len());
    if usize::try_from(length) != Ok(found) || found < HEADER_BYTES {
        return Err(CloseCause::Violation(format!("expected a frame of {length} bytes, found {found}")));
    }
    Ok(body.without_head(HEADER_BYTES))
}

fn delivery_from(byte: u8) -> Result<Delivery, CloseCause> {
    match byte {
        0 => Ok(Delivery::Unreliable),
        1 => Ok(Delivery::Reliable),
        2 => Ok(Delivery::UnreliableUnsequenced),
        3 => Ok(Delivery::ReliableUnsequenced),
        other => Err(CloseCause::Violation(format!("expected delivery 0 to 3, found {other}"))),
    }
}

/// Cuts the stream into frames.
#[derive(Debug, Default)]
struct Frames {
    /// The beginning of a frame whose rest has not come.
    partial: Vec<u8>,
}

impl Frames {
    fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }

    /// The next whole frame of what was kept and `input` from `at` on; `None` when all is taken in.
    fn next(
        &mut self,
        input: &[u8],
        at: &mut usize,
        ping_bytes: usize,
        max_message: usize,
    ) -> Result<Option<Body>, CloseCause> {
        loop {
            let rest = input.get(*at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(None);
            }
            if self.partial.is_empty() {
                let length = frame_length(rest, ping_bytes, max_message)?;
                if rest.len() < length {
                    self.partial.extend_from_slice(rest);
                    *at = input.len();
                    return Ok(None);
                }
                let start = *at;
                *at += length;
                return Ok(Some(Body::Input(start..*at)));
            }
            let missing = frame_length(&self.partial, ping_bytes, max_message)?.saturating_sub(self.partial.len());
            let taken = rest.get(..missing).unwrap_or(rest);
            self.partial.extend_from_slice(taken);
            *at += taken.len();
            if self.partial.len() >= frame_length(&self.partial, ping_bytes, max_message)? {
                return Ok(Some(Body::Stored(Bytes::from(std::mem::take(&mut self.partial)))));
            }
        }
    }
}

/// How long the frame that begins with `prefix` is, as far as `prefix` tells; never more than is surely needed.
fn frame_length(prefix: &[u8], ping_bytes: usize, max_message: usize) -> Result<usize, CloseCause> {
    match *prefix {
        [PING_FRAME, ..] => Ok(ping_bytes),
        [MESSAGE_FRAME, a, b, c, d, ..] => {
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            if length < HEADER_BYTES + MIN_MESSAGE_BYTES {
                let least = HEADER_BYTES + MIN_MESSAGE_BYTES;
                return Err(CloseCause::Violation(format!(
                    "expected a frame of at least {least} bytes, found {length}"
                )));
            }
            if length - HEADER_BYTES > max_message {
                return Err(CloseCause::Limit("message size"));
            }
            Ok(length)
        }
        [MESSAGE_FRAME, ..] | [] => Ok(HEADER_BYTES),
        [other, ..] => {
            Err(CloseCause::Violation(format!("expected a frame that starts with FB or F0, found {other:02X}")))
        }
    }
}

#[cfg(test)]
mod tests;
