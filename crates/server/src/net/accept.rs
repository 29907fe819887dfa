//! Accepting TCP connections.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::sync::Arc;
use std::time::Duration;

use lampyris_engine::ListenerId;
use mio::net::{TcpListener, TcpStream};
use rustix::io::Errno;
use rustls::ServerConfig;

use super::driver::Driver;
use super::stream::Stream;
use crate::secure::ListenerTls;

/// Connections accepted per listener and turn, so that a storm of them leaves time for those that are there.
const ACCEPTS_PER_TURN: usize = 64;
/// Pause after `accept` failed for want of files or memory.
const PAUSE: Duration = Duration::from_millis(100);
/// Least time between two log lines about failing accepts.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// A TCP listener.
pub(crate) struct TcpPort {
    listener: ListenerId,
    pub(crate) socket: TcpListener,
    /// TLS, if the listener is secure.
    tls: Option<ListenerTls>,
    /// Connections may be waiting.
    pub(crate) ready: bool,
}

impl TcpPort {
    pub(crate) fn new(listener: ListenerId, socket: StdTcpListener, tls: Option<ListenerTls>) -> Self {
        Self { listener, socket: TcpListener::from_std(socket), tls, ready: false }
    }
}

/// Waiting for files or memory.
#[derive(Debug, Default)]
pub(crate) struct AcceptPause {
    /// No accepting before.
    pub(crate) until: Option<Duration>,
    next_log: Duration,
}

impl Driver {
    /// Accepts on every listener that has connections waiting.
    pub(crate) fn accept_all(&mut self, now: Duration) {
        if self.accept_pause.until.is_some_and(|until| now < until) {
            return;
        }
        self.accept_pause.until = None;
        for index in 0..self.tcp.len() {
            for _ in 0..ACCEPTS_PER_TURN {
                if !self.accept_one(now, index) {
                    break;
                }
            }
        }
    }

    /// `false` = enough for this turn.
    fn accept_one(&mut self, now: Duration, index: usize) -> bool {
        let Some(port) = self.tcp.get_mut(index).filter(|port| port.ready) else { return false };
        match port.socket.accept() {
            Ok((socket, remote)) => {
                self.counters.accepted.increment();
                let (listener, tls) = (port.listener, port.tls.as_ref().map(ListenerTls::current));
                if let Err(error) = self.admit(now, listener, tls, socket, remote) {
                    tracing::debug!(%remote, %error, "a new connection broke");
                }
                true
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                port.ready = false;
                false
            }
            Err(error) if is_shortage(&error) => {
                self.counters.accept_failures.increment();
                self.accept_pause.until = Some(now + PAUSE);
                if now >= self.accept_pause.next_log {
                    self.accept_pause.next_log = now + LOG_EVERY;
                    tracing::warn!(%error, "cannot accept connections; raise the limit of open files (ulimit -n)");
                }
                false
            }
            // The peer was gone before we came to it.
            Err(_) => {
                self.counters.accept_failures.increment();
                true
            }
        }
    }

    fn admit(
        &mut self,
        now: Duration,
        listener: ListenerId,
        tls: Option<Arc<ServerConfig>>,
        socket: TcpStream,
        remote: SocketAddr,
    ) -> io::Result<()> {
        let ends = (socket.local_addr()?, remote);
        let Some(config) = tls else {
            let Some(key) = self.worker.open_stream(now, listener, ends.0, remote) else {
                self.counters.refused.increment();
                return Ok(());
            };
            return self.insert(now, Stream::plain(socket, listener, ends, key)).map(|_| ());
        };
        if !self.handshakes.begin(remote.ip()) {
            self.counters.refused.increment();
            return Ok(());
        }
        let inserted = Stream::secure(socket, listener, ends, &config)
            .map_err(io::Error::other)
            .and_then(|stream| self.insert(now, stream));
        match inserted {
            Ok(key) => {
                self.handshakes.watch(now, key);
                Ok(())
            }
            Err(error) => {
                self.handshakes.end(remote.ip());
                Err(error)
            }
        }
    }
}

/// Whether the system has no files or memory for another connection.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| shortages.contains(&errno))
}
