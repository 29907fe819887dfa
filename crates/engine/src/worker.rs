//! One worker: its connections, its rooms, on worker 0 the directory.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lampyris_transport::CloseCause;

use crate::{Config, ListenerId, Moved, Stats, WorkerId, WorkerMessage};

slotmap::new_key_type! {
    /// Name of a connection on its worker; never used again for another one.
    pub struct ConnectionKey;
}

/// What the driver has to do.
#[derive(Debug)]
pub enum Action {
    /// The stream has output: write [`Worker::output`] and tell [`Worker::consume_output`] how much went. If not all
    /// of it went, go on when the socket takes more; this action does not come again for the rest.
    Flush(ConnectionKey),
    /// Write what [`Worker::output`] still has, without waiting for a slow peer more than a moment, then close the
    /// socket and call [`Worker::forget`].
    Close(ConnectionKey),
    /// The stream goes to another worker: [`Worker::detach`] it here, hand it over with its socket (and TLS state, and
    /// input that was read but not yet given to [`Worker::receive`]), [`Worker::attach`] it there.
    Move(ConnectionKey, WorkerId),
    /// Carry a message to another worker's [`Worker::handle_message`], in order per pair of workers.
    Send(WorkerId, WorkerMessage),
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// The listener whose socket it leaves by.
    pub listener: ListenerId,
    /// Destination.
    pub to: SocketAddr,
    /// Source address to use: the local address the peer spoke to.
    pub from: Option<IpAddr>,
}

/// One worker of a node; see the crate's contract.
#[derive(Debug)]
pub struct Worker {
    config: Arc<Config>,
}

impl Worker {
    /// A worker without connections. `seed` is fresh secret randomness (in tests: any number).
    #[must_use]
    pub fn new(id: WorkerId, config: Arc<Config>, seed: [u8; 32]) -> Self {
        let _ = (id, seed);
        Self { config }
    }

    /// A stream was accepted (TCP, or TCP with TLS to come: call it once the handshake is done). `None`: refused by a
    /// limit, close the socket.
    pub fn open_stream(
        &mut self,
        now: Duration,
        listener: ListenerId,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Option<ConnectionKey> {
        let _ = (now, listener, local, remote, &self.config);
        todo!()
    }

    /// Bytes came on a stream; in clear. They are changed in place.
    pub fn receive(&mut self, now: Duration, key: ConnectionKey, bytes: &mut [u8]) {
        let _ = (now, key, bytes);
        todo!()
    }

    /// The stream ended or broke; `key` is forgotten, no [`Action::Close`] follows.
    pub fn stream_ended(&mut self, now: Duration, key: ConnectionKey, cause: CloseCause) {
        let _ = (now, key, cause);
        todo!()
    }

    /// Output of a stream that was not yet written.
    #[must_use]
    pub fn output(&self, key: ConnectionKey) -> &[u8] {
        let _ = key;
        todo!()
    }

    /// The first `count` bytes of [`Worker::output`] were written.
    pub fn consume_output(&mut self, key: ConnectionKey, count: usize) {
        let _ = (key, count);
        todo!()
    }

    /// The driver closed the socket after [`Action::Close`].
    pub fn forget(&mut self, key: ConnectionKey) {
        let _ = key;
        todo!()
    }

    /// A datagram came.
    pub fn receive_datagram(
        &mut self,
        now: Duration,
        listener: ListenerId,
        local: Option<IpAddr>,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        let _ = (now, listener, local, from, bytes);
        todo!()
    }

    /// The next datagram to send, appended to `out`; call until `None` at the end of each turn.
    pub fn poll_datagram(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Datagram> {
        let _ = (now, out);
        todo!()
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        todo!()
    }

    /// Takes a stream out of this worker, as [`Action::Move`] asked.
    pub fn detach(&mut self, key: ConnectionKey) -> Option<Box<Moved>> {
        let _ = key;
        todo!()
    }

    /// Takes in a stream that another worker detached.
    pub fn attach(&mut self, now: Duration, moved: Box<Moved>) -> ConnectionKey {
        let _ = (now, moved);
        todo!()
    }

    /// A message of another worker.
    pub fn handle_message(&mut self, now: Duration, message: WorkerMessage) {
        let _ = (now, message);
        todo!()
    }

    /// When [`Worker::handle_timeout`] wants to be called at the latest.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Duration> {
        todo!()
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        let _ = now;
        todo!()
    }

    /// Tells every client that the server stops and closes their connections; open no new ones. Done when
    /// [`Worker::connection_count`] is 0 (give it a moment at most).
    pub fn shut_down(&mut self, now: Duration) {
        let _ = now;
        todo!()
    }

    /// Connections that are open or closing.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        todo!()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        todo!()
    }
}
