//! One TCP connection, with or without TLS: bytes between a socket and the node.
//!
//! ```text
//!           +-> Handshaking -+
//! accepted -+                +-> Open -> Closing -> Lingering -> gone
//!           +----------------+
//! ```
//! Lingering: all is written and our end is shut; what the peer still sends is read and dropped until it shuts its
//! end, because closing a socket with unread input makes the system discard the last answer on its way.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lampyris_engine::{ConnectionKey, ListenerId, Worker};
use lampyris_transport::CloseCause;
use mio::net::TcpStream;
use rustls::{ServerConfig, ServerConnection};

slotmap::new_key_type! {
    /// Name of a stream on its worker's driver.
    pub(crate) struct StreamKey;
}

/// Read at once from a socket; also the work that one stream may cause in one turn.
const READ_BYTES: usize = 64 << 10;
/// Encrypted output that waits for a slow peer's socket; the rest waits unencrypted with the node, under its limit.
const TLS_OUTPUT_BYTES: usize = 32 << 10;
const PLAIN_HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 55\r\nConnection: close\r\n\r\nthis port speaks TLS only: use https:// or wss:// here\n";

/// A TCP connection.
pub(crate) struct Stream {
    pub(crate) socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    pub(crate) listener: ListenerId,
    local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) phase: Phase,
    /// The system said that the peer's end is shut: read on after a short read, up to the end.
    pub(crate) read_closed: bool,
    /// The socket did not take everything; wait for it to be writable.
    pub(crate) blocked: bool,
    /// Already in the driver's list of streams to read from.
    pub(crate) queued: bool,
}

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
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
    /// The handshake failed.
    HandshakeFailed(rustls::Error),
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
    pub(crate) fn plain(
        socket: TcpStream,
        listener: ListenerId,
        (local, remote): (SocketAddr, SocketAddr),
        key: ConnectionKey,
    ) -> Self {
        Self::new(socket, None, listener, (local, remote), Phase::Open(key))
    }

    /// A stream that begins with a TLS handshake.
    pub(crate) fn secure(
        socket: TcpStream,
        listener: ListenerId,
        (local, remote): (SocketAddr, SocketAddr),
        config: &Arc<ServerConfig>,
    ) -> Result<Self, rustls::Error> {
        let mut tls = ServerConnection::new(Arc::clone(config))?;
        tls.set_buffer_limit(Some(TLS_OUTPUT_BYTES));
        let phase = Phase::Handshaking { started: false };
        Ok(Self::new(socket, Some(Box::new(tls)), listener, (local, remote), phase))
    }

    fn new(
        socket: TcpStream,
        tls: Option<Box<ServerConnection>>,
        listener: ListenerId,
        (local, remote): (SocketAddr, SocketAddr),
        phase: Phase,
    ) -> Self {
        Self { socket, tls, listener, local, remote, phase, read_closed: false, blocked: false, queued: false }
    }

    pub(crate) const fn is_handshaking(&self) -> bool {
        matches!(self.phase, Phase::Handshaking { .. })
    }

    /// Reads once and gives what came to the node.
    pub(crate) fn receive(&mut self, now: Duration, worker: &mut Worker, buffers: &mut Buffers) -> Progress {
        let (count, more) = match self.fill(&mut buffers.raw) {
            Fill::Some { count, more } => (count, more),
            Fill::End if self.phase == Phase::Lingering => return Progress::Finished,
            Fill::End => return Progress::Ended(CloseCause::ByPeer),
            Fill::Lost(_) if self.phase == Phase::Lingering => return Progress::Finished,
            Fill::Lost(error) => return Progress::Ended(CloseCause::Lost(error.to_string())),
        };
        let drained = if more { Progress::More } else { Progress::Drained };
        let input = buffers.raw.get_mut(..count).unwrap_or_default();
        if self.phase == Phase::Lingering || input.is_empty() {
            return drained;
        }
        if self.tls.is_some() {
            return self.decrypt(now, input, &mut buffers.clear, worker).unwrap_or(drained);
        }
        if let Phase::Open(key) = self.phase {
            worker.receive(now, key, input);
        }
        drained
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
            if input.first().is_some_and(u8::is_ascii_uppercase) {
                // The answer fits in any socket buffer; a peer that takes less does not get it.
                let _ = self.socket.write(PLAIN_HTTP_ANSWER);
                self.tls = None;
                return Some(Progress::PlainHttp);
            }
            self.phase = Phase::Handshaking { started: true };
        }
        let tls = self.tls.as_mut()?;
        while !input.is_empty() {
            let taken = match tls.read_tls(&mut input) {
                Ok(taken) => taken,
                Err(error) => return Some(Progress::Ended(CloseCause::Lost(error.to_string()))),
            };
            let state = match tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // Tells the peer why, if its socket takes it.
                    let _ = tls.write_tls(&mut self.socket);
                    return Some(match self.phase {
                        Phase::Handshaking { .. } => Progress::HandshakeFailed(error),
                        _ => Progress::Ended(CloseCause::Violation(error.to_string())),
                    });
                }
            };
            if matches!(self.phase, Phase::Handshaking { .. }) && !tls.is_handshaking() {
                let Some(key) = worker.open_stream(now, self.listener, self.local, self.remote) else {
                    return Some(Progress::Refused);
                };
                self.phase = Phase::Open(key);
            }
            while state.plaintext_bytes_to_read() > 0
                && let Ok(count @ 1..) = tls.reader().read(clear)
            {
                if let (Phase::Open(key), Some(bytes)) = (self.phase, clear.get_mut(..count)) {
                    worker.receive(now, key, bytes);
                }
            }
            if state.peer_has_closed() || taken == 0 {
                return Some(Progress::Ended(CloseCause::ByPeer));
            }
        }
        match self.flush_tls() {
            Ok(_) => None,
            Err(error) => Some(Progress::Ended(CloseCause::Lost(error.to_string()))),
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
