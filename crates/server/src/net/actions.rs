//! What the node asks for, at the end of a turn: writing, closing, handing over.

use std::time::Duration;

use lampyris_engine::{Action, ConnectionKey, Moved, WorkerId};
use lampyris_transport::CloseCause;

use super::driver::{CLOSE_WAIT, Driver};
use super::post::Letter;
use super::stream::{Phase, Stream, StreamKey};

/// Streams closed within [`CLOSE_WAIT`] that may linger; beyond, sockets are closed at once.
const LINGERING: usize = 65_536;

impl Driver {
    /// Does what the node asks for, until it asks for nothing more; the end of a turn.
    pub(super) fn act(&mut self, now: Duration) {
        self.take_actions(now);
        while let Some((key, cause)) = self.ended.pop() {
            if let Some(Phase::Open(connection)) = self.streams.get(key).map(|stream| stream.phase) {
                self.worker.stream_ended(now, connection, cause);
            }
            self.remove(key);
            self.take_actions(now);
        }
        self.outbox.send_all(&self.udp, now, &mut self.worker, &self.counters);
        self.deferred = self.post.flush();
    }

    fn take_actions(&mut self, now: Duration) {
        while let Some(action) = self.worker.poll_action() {
            match action {
                Action::Flush(connection) => {
                    if let Some(&key) = self.by_connection.get(connection) {
                        self.flush(key);
                    }
                }
                Action::Close(connection) => self.close(now, connection),
                Action::Move(connection, to) => self.hand_over(connection, to),
                Action::Send(to, message) => {
                    self.post.send(to, Letter::Message(Box::new(message)), &self.counters);
                }
                Action::TellMaster(link, news) => {
                    if let Some(master) = &self.master {
                        master.tell(link, news);
                    }
                }
            }
        }
    }

    /// Writes as much as the socket takes.
    pub(super) fn flush(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let result = match stream.phase {
            Phase::Open(connection) => stream.flush(&mut self.worker, connection).map(|_| None),
            Phase::Closing(connection) => {
                stream.flush(&mut self.worker, connection).map(|all| all.then_some(connection))
            }
            Phase::Handshaking { .. } => stream.flush_handshake().map(|()| None),
            Phase::Announcing | Phase::Lingering => return,
        };
        match result {
            Ok(None) => {}
            Ok(Some(connection)) => {
                stream.shut();
                self.by_connection.remove(connection);
                self.worker.forget(connection);
            }
            Err(error) => self.ended.push((key, CloseCause::Lost(error.to_string()))),
        }
    }

    fn close(&mut self, now: Duration, connection: ConnectionKey) {
        let Some(&key) = self.by_connection.get(connection) else {
            self.worker.forget(connection);
            return;
        };
        if let Some(stream) = self.streams.get_mut(key) {
            stream.phase = Phase::Closing(connection);
        }
        self.flush(key);
        self.watch_close(now, key);
    }

    pub(super) fn linger(&mut self, now: Duration, key: StreamKey) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.shut();
            self.watch_close(now, key);
        }
    }

    fn watch_close(&mut self, now: Duration, key: StreamKey) {
        if self.closing.len() < LINGERING {
            self.closing.push_back((now + CLOSE_WAIT, key));
        } else {
            self.remove(key);
        }
    }

    fn hand_over(&mut self, connection: ConnectionKey, to: WorkerId) {
        let Some(mut stream) = self.by_connection.remove(connection).and_then(|key| self.streams.remove(key)) else {
            return;
        };
        let Some(moved) = self.worker.detach(connection) else { return };
        if let Err(error) = self.poll.registry().deregister(&mut stream.socket) {
            tracing::warn!(%error, "a moving stream's socket was not watched");
        }
        stream.queued = false;
        stream.blocked = false;
        self.counters.streams_moved.increment();
        self.post.send(to, Letter::Stream(Box::new(stream), moved), &self.counters);
    }

    /// A stream that another worker handed over goes on here.
    pub(super) fn take_in(&mut self, now: Duration, mut stream: Stream, moved: Moved) {
        let connection = self.worker.attach(now, moved);
        stream.phase = Phase::Open(connection);
        match self.insert(now, stream) {
            Ok(key) => self.flush(key),
            Err(error) => tracing::warn!(%error, "cannot watch the socket of a stream that moved here"),
        }
    }
}
