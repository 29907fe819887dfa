//! Accepting TCP connections.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::sync::Arc;
use std::time::Duration;

use lampyris_engine::{ListenerId, LogRate};
use lampyris_tls::Secured;
use mio::net::{TcpListener, TcpStream};
use rustix::io::Errno;

use super::driver::Driver;
use super::stream::{Ends, Stream};
use crate::Proxies;

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
    door: Door,
    /// Connections may be waiting.
    pub(crate) ready: bool,
}

impl TcpPort {
    pub(crate) fn new(listener: ListenerId, socket: StdTcpListener, door: Door) -> Self {
        Self { listener, socket: TcpListener::from_std(socket), door, ready: false }
    }
}

/// What stands between a socket and the node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Door {
    /// TLS, if the listener is secure.
    pub(crate) tls: Option<Arc<Secured>>,
    pub(crate) proxies: Proxies,
}

/// Waiting for files or memory.
#[derive(Debug)]
pub(crate) struct AcceptPause {
    /// No accepting before.
    pub(crate) until: Option<Duration>,
    log: LogRate,
}

impl Default for AcceptPause {
    fn default() -> Self {
        Self { until: None, log: LogRate::new(1, LOG_EVERY) }
    }
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
                if let Err(error) = self.admit(now, index, socket, remote) {
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
                if self.accept_pause.log.admit(now).is_some() {
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

    fn admit(&mut self, now: Duration, index: usize, socket: TcpStream, remote: SocketAddr) -> io::Result<()> {
        let Some(port) = self.tcp.get(index) else { return Ok(()) };
        let ends = Ends { local: socket.local_addr()?, remote, secure_at_proxy: false };
        let (listener, tls) = (port.listener, port.door.tls.as_ref().map(|secured| secured.config()));
        let is_proxy = port.door.proxies.trust(remote.ip());
        let is_announced = is_proxy && port.door.proxies.announce;
        if tls.is_none() && !is_announced {
            let Some(key) = self.worker.open_stream(now, listener, ends.local, remote) else {
                self.counters.refused.increment();
                return Ok(());
            };
            return self.insert(now, Stream::plain(socket, listener, ends, key)).map(|_| ());
        }
        let place =
            self.entrance.place().and_then(|mut place| (is_proxy || place.count_for(remote.ip())).then_some(place));
        let Some(place) = place else {
            self.counters.refused.increment();
            return Ok(());
        };
        let stream = match tls {
            Some(config) if !is_announced => {
                Stream::secure(socket, listener, ends, config, place).map_err(io::Error::other)?
            }
            tls => Stream::announced(socket, listener, ends, tls, place),
        };
        let key = self.insert(now, stream)?;
        self.deadlines.watch(now, key);
        Ok(())
    }
}

/// Whether the system has no files or memory for another connection.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|errno| shortages.contains(&errno))
}
