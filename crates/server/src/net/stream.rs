//! One TCP connection, with or without TLS: bytes between a socket and the node.
//!
//! ```text
//!           +-> Announcing -+   +-> Handshaking -+
//! accepted -+               +---+                +-> Open -> Closing -> Lingering -> gone
//!           +---------------+   +----------------+
//! ```
//! Announcing: a proxy that the operator trusts says whose connection it is. What it says replaces the socket's own
//! addresses for everything that comes after.
//!
//! Lingering: all is written and our end is shut; what the peer still sends is read and dropped until it shuts its
//! end, because closing a socket with unread input makes the system discard the last answer on its way.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lampyris_engine::{ConnectionKey, ListenerId, Worker};
use lampyris_tls::challenge::ALPN_ACME;
use lampyris_transport::{CloseCause, proxy};
use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};

use super::failure::HandshakeFailure;
use super::handshakes::Place;

slotmap::new_key_type! {
    /// Name of a stream on its worker's driver.
    pub(crate) struct StreamKey;
}

/// Read at once from a socket; also the work that one stream may cause in one turn.
const READ_BYTES: usize = 64 << 10;
/// Encrypted output that waits for a slow peer's socket; the rest waits unencrypted with the node, under its limit.
const TLS_OUTPUT_BYTES: usize = 32 << 10;
/// How a TLS handshake begins: its record type, and the first byte of every version.
const TLS_HELLO: [u8; 2] = [0x16, 0x03];
const PLAIN_HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 55\r\nConnection: close\r\n\r\nthis port speaks TLS only: use https:// or wss:// here\n";

/// A TCP connection.
pub(crate) struct Stream {
    pub(crate) socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    /// What was read of a proxy's header, with the TLS that follows it.
    announcement: Option<Box<Announcement>>,
    /// Its place among the half-open connections, as long as it is one.
    place: Option<Place>,
    pub(crate) listener: ListenerId,
    pub(crate) ends: Ends,
    pub(crate) phase: Phase,
    /// The system said that the peer's end is shut: read on after a short read, up to the end.
    pub(crate) read_closed: bool,
    /// The socket did not take everything; wait for it to be writable.
    pub(crate) blocked: bool,
    /// Already in the driver's list of streams to read from.
    pub(crate) queued: bool,
    /// The first bytes were looked at.
    greeted: bool,
}

/// Both ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// A proxy speaks TLS with the client and passes on what is in it.
    pub(crate) secure_at_proxy: bool,
}

struct Announcement {
    bytes: Vec<u8>,
    tls: Option<Arc<ServerConfig>>,
}

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A proxy's header is awaited.
    Announcing,
    /// TLS is being set up; the node does not know of it yet.
    Handshaking {
        /// The first bytes were TLS.
        started: bool,
    },
    /// The node's connection.
    Open(ConnectionKey),
    /// The node is done with it; output is being written.
    Closing(ConnectionKey),
    /// Everything was written; waiting for the peer's end.
    Lingering,
}

/// What became of a stream by reading from it.
#[derive(Debug)]
pub(crate) enum Progress {
    /// All was read.
    Drained,
    /// There may be more to read.
    More,
    /// The peer sent no more, or the connection broke.
    Ended(CloseCause),
    /// Nothing more to do here: drop the stream.
    Finished,
    /// The node refused the connection.
    Refused,
    /// It failed before a client was there.
    Failed(HandshakeFailure, String),
    /// The peer speaks plain HTTP to a secure port; the answer was written.
    PlainHttp,
}

/// The scratch space of a worker's streams.
pub(crate) struct Buffers {
    raw: Box<[u8]>,
    clear: Box<[u8]>,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self { raw: vec![0; READ_BYTES].into(), clear: vec![0; READ_BYTES].into() }
    }
}

enum Fill {
    Some { count: usize, more: bool },
    End,
    Lost(io::Error),
}

impl Stream {
    /// A stream without TLS; the node has opened it.
    pub(crate) fn plain(socket: TcpStream, listener: ListenerId, ends: Ends, key: ConnectionKey) -> Self {
        Self::new(socket, listener, ends, Phase::Open(key), None)
    }

    /// A stream that begins with a TLS handshake.
    pub(crate) fn secure(
        socket: TcpStream,
        listener: ListenerId,
        ends: Ends,
        config: Arc<ServerConfig>,
        place: Place,
    ) -> Result<Self, rustls::Error> {
        let mut stream = Self::new(socket, listener, ends, Phase::Handshaking { started: false }, Some(place));
        stream.tls = Some(server_connection(config)?);
        Ok(stream)
    }

    /// A stream that begins with a proxy's header, and then with a TLS handshake if there is a configuration for it.
    pub(crate) fn announced(
        socket: TcpStream,
        listener: ListenerId,
        ends: Ends,
        tls: Option<Arc<ServerConfig>>,
        place: Place,
    ) -> Self {
        let mut stream = Self::new(socket, listener, ends, Phase::Announcing, Some(place));
        stream.announcement = Some(Box::new(Announcement { bytes: Vec::new(), tls }));
        stream
    }

    fn new(socket: TcpStream, listener: ListenerId, ends: Ends, phase: Phase, place: Option<Place>) -> Self {
        let (tls, announcement) = (None, None);
        let (read_closed, blocked, queued, greeted) = (false, false, false, false);
        Self { socket, tls, announcement, place, listener, ends, phase, read_closed, blocked, queued, greeted }
    }

    /// Whether the node does not know of it yet.
    pub(crate) const fn is_half_open(&self) -> bool {
        matches!(self.phase, Phase::Announcing | Phase::Handshaking { .. })
    }

    /// Why it is still half open when its time is over.
    pub(crate) const fn overdue(&self) -> HandshakeFailure {
        match self.phase {
            Phase::Announcing => HandshakeFailure::ProxyHeader,
            _ => HandshakeFailure::Timeout,
        }
    }

    /// Reads once and gives what came to the node.
    pub(crate) fn receive(&mut self, now: Duration, worker: &mut Worker, buffers: &mut Buffers) -> Progress {
        let (count, more) = match self.fill(&mut buffers.raw) {
            Fill::Some { count, more } => (count, more),
            Fill::End | Fill::Lost(_) if self.phase == Phase::Lingering => return Progress::Finished,
            Fill::End => return self.ended(CloseCause::ByPeer),
            Fill::Lost(error) => return self.ended(CloseCause::Lost(error.to_string())),
        };
        let drained = if more { Progress::More } else { Progress::Drained };
        let input = buffers.raw.get_mut(..count).unwrap_or_default();
        if self.phase == Phase::Lingering || input.is_empty() {
            return drained;
        }
        let special = match &mut self.announcement {
            Some(announcement) => {
                announcement.bytes.extend_from_slice(input);
                self.announce(now, &mut buffers.clear, worker)
            }
            None => self.take(now, input, &mut buffers.clear, worker),
        };
        special.unwrap_or(drained)
    }

    /// What the end of the stream means.
    fn ended(&self, cause: CloseCause) -> Progress {
        let failure = match self.phase {
            // Health checks connect and go.
            Phase::Handshaking { started: false } => return Progress::Finished,
            Phase::Announcing if self.announcement.as_ref().is_none_or(|header| header.bytes.is_empty()) => {
                return Progress::Finished;
            }
            Phase::Announcing => HandshakeFailure::ProxyHeader,
            Phase::Handshaking { started: true } => {
                let was_answered = self.tls.as_ref().is_some_and(|tls| tls.protocol_version().is_some());
                if was_answered { HandshakeFailure::ClosedAfterHello } else { HandshakeFailure::ClosedBeforeHello }
            }
            Phase::Open(_) | Phase::Closing(_) | Phase::Lingering => return Progress::Ended(cause),
        };
        Progress::Failed(failure, cause.to_string())
    }

    /// Reads the proxy's header as far as it is there, and goes on with what follows it; `None` = nothing special.
    fn announce(&mut self, now: Duration, clear: &mut [u8], worker: &mut Worker) -> Option<Progress> {
        let announcement = self.announcement.as_deref_mut()?;
        let (header, length) = match proxy::parse(&announcement.bytes) {
            Ok(Some(complete)) => complete,
            Ok(None) => return None,
            Err(error) => return Some(Progress::Failed(HandshakeFailure::ProxyHeader, error.to_string())),
        };
        let Announcement { mut bytes, tls } = *self.announcement.take()?;
        if let proxy::Header::Proxied { client, reached, tls } = header {
            self.ends = Ends { local: reached, remote: client, secure_at_proxy: tls };
            if self.place.as_mut().is_some_and(|place| !place.count_for(client.ip())) {
                return Some(Progress::Refused);
            }
        }
        match tls.map(server_connection).transpose() {
            Ok(Some(tls)) => {
                self.tls = Some(tls);
                self.phase = Phase::Handshaking { started: false };
            }
            Ok(None) => {
                if !self.open(now, worker) {
                    return Some(Progress::Refused);
                }
            }
            Err(error) => return Some(Progress::Failed(HandshakeFailure::Other, error.to_string())),
        }
        match bytes.get_mut(length..) {
            Some(rest @ [_, ..]) => self.take(now, rest, clear, worker),
            _ => None,
        }
    }

    /// Tells the node of the connection; `false` if it has no room for it.
    fn open(&mut self, now: Duration, worker: &mut Worker) -> bool {
        self.place = None;
        let Some(key) = worker.open_stream(now, self.listener, self.ends.local, self.ends.remote) else { return false };
        if self.ends.secure_at_proxy {
            worker.secured_at_proxy(key);
        }
        self.phase = Phase::Open(key);
        true
    }

    /// Takes what came, behind a proxy's header; `None` = nothing special.
    fn take(&mut self, now: Duration, input: &mut [u8], clear: &mut [u8], worker: &mut Worker) -> Option<Progress> {
        if !std::mem::replace(&mut self.greeted, true)
            && let Some(guest) = self.wrong_guest(input)
        {
            return Some(guest);
        }
        if self.tls.is_some() {
            return self.decrypt(now, input, clear, worker);
        }
        if let Phase::Open(key) = self.phase {
            worker.receive(now, key, input);
        }
        None
    }

    /// Whether the first bytes are those of another protocol than that of the port.
    fn wrong_guest(&mut self, input: &[u8]) -> Option<Progress> {
        if proxy::is_header(input) {
            return Some(Progress::Failed(HandshakeFailure::UnexpectedProxyHeader, String::new()));
        }
        if self.tls.is_none() {
            let is_tls = input.starts_with(&TLS_HELLO);
            return is_tls.then(|| Progress::Failed(HandshakeFailure::TlsOnPlainPort, String::new()));
        }
        if !input.first().is_some_and(u8::is_ascii_uppercase) {
            return None;
        }
        // The answer fits in any socket buffer; a peer that takes less does not get it.
        let _ = self.socket.write(PLAIN_HTTP_ANSWER);
        self.tls = None;
        self.place = None;
        Some(Progress::PlainHttp)
    }

    /// With edge-triggered readiness a short read has emptied the socket, unless the peer's end is shut.
    fn fill(&mut self, buffer: &mut [u8]) -> Fill {
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Fill::End,
                Ok(count) => return Fill::Some { count, more: count == buffer.len() || self.read_closed },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Fill::Some { count: 0, more: false };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Fill::Lost(error),
            }
        }
    }

    /// Gives TLS what came and the node what that holds; `None` = nothing special.
    fn decrypt(&mut self, now: Duration, mut input: &[u8], clear: &mut [u8], worker: &mut Worker) -> Option<Progress> {
        if self.phase == (Phase::Handshaking { started: false }) {
            self.phase = Phase::Handshaking { started: true };
        }
        while !input.is_empty() {
            let tls = self.tls.as_mut()?;
            let taken = match tls.read_tls(&mut input) {
                Ok(taken) => taken,
                Err(error) => return Some(self.ended(CloseCause::Lost(error.to_string()))),
            };
            let state = match tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // Tells the peer why, if its socket takes it.
                    let _ = tls.write_tls(&mut self.socket);
                    return Some(match self.phase {
                        Phase::Handshaking { .. } => Progress::Failed(HandshakeFailure::of(&error), error.to_string()),
                        _ => Progress::Ended(CloseCause::Violation(error.to_string())),
                    });
                }
            };
            if matches!(self.phase, Phase::Handshaking { .. }) && !tls.is_handshaking() {
                if tls.alpn_protocol() == Some(ALPN_ACME) {
                    // The handshake was the answer; nothing is spoken behind it.
                    let _ = self.flush_tls();
                    return Some(Progress::Finished);
                }
                if !self.open(now, worker) {
                    return Some(Progress::Refused);
                }
            }
            let tls = self.tls.as_mut()?;
            while state.plaintext_bytes_to_read() > 0
                && let Ok(count @ 1..) = tls.reader().read(clear)
            {
                if let (Phase::Open(key), Some(bytes)) = (self.phase, clear.get_mut(..count)) {
                    worker.receive(now, key, bytes);
                }
            }
            if state.peer_has_closed() || taken == 0 {
                return Some(self.ended(CloseCause::ByPeer));
            }
        }
        match self.flush_tls() {
            Ok(_) => None,
            Err(error) => Some(self.ended(CloseCause::Lost(error.to_string()))),
        }
    }

    /// Writes the node's output; `true` = all of it.
    pub(crate) fn flush(&mut self, worker: &mut Worker, key: ConnectionKey) -> io::Result<bool> {
        if self.tls.is_some() { self.flush_secure(worker, key) } else { self.flush_plain(worker, key) }
    }

    fn flush_plain(&mut self, worker: &mut Worker, key: ConnectionKey) -> io::Result<bool> {
        while !self.blocked {
            let output = worker.output(key);
            if output.is_empty() {
                return Ok(true);
            }
            match self.socket.write(output) {
                Ok(count) => {
                    // A short write has filled the socket's buffer.
                    self.blocked = count < output.len();
                    worker.consume_output(key, count);
                }
                Err(error) => self.note_write_error(error)?,
            }
        }
        Ok(false)
    }

    fn flush_secure(&mut self, worker: &mut Worker, key: ConnectionKey) -> io::Result<bool> {
        while self.flush_tls()? {
            let output = worker.output(key);
            if output.is_empty() {
                return Ok(true);
            }
            let Some(tls) = &mut self.tls else { return Ok(false) };
            let count = tls.writer().write(output)?;
            worker.consume_output(key, count);
        }
        Ok(false)
    }

    /// Writes what TLS has ready; `true` = all of it.
    fn flush_tls(&mut self) -> io::Result<bool> {
        while let Some(tls) = &mut self.tls
            && tls.wants_write()
        {
            if self.blocked {
                return Ok(false);
            }
            if let Err(error) = tls.write_tls(&mut self.socket) {
                self.note_write_error(error)?;
            }
        }
        Ok(true)
    }

    fn note_write_error(&mut self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::WouldBlock => self.blocked = true,
            io::ErrorKind::Interrupted => {}
            _ => return Err(error),
        }
        Ok(())
    }

    /// Whether the peer is there by TLS.
    pub(crate) const fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Goes on with handshake output that the socket did not take before.
    pub(crate) fn flush_handshake(&mut self) -> io::Result<()> {
        self.flush_tls().map(|_| ())
    }

    /// Shuts our end after everything was written.
    pub(crate) fn shut(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.socket);
        }
        let _ = self.socket.shutdown(Shutdown::Write);
        self.phase = Phase::Lingering;
    }
}

fn server_connection(config: Arc<ServerConfig>) -> Result<Box<ServerConnection>, rustls::Error> {
    let mut tls = ServerConnection::new(config)?;
    tls.set_buffer_limit(Some(TLS_OUTPUT_BYTES));
    Ok(Box::new(tls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_plain_http_has_the_length_it_says() {
        let text = std::str::from_utf8(PLAIN_HTTP_ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
        assert_eq!(body.lines().count(), 1);
    }
}
