//! One connection: its transport, what its client is doing, and its output.

use std::net::SocketAddr;
use std::time::Duration;

use lampyris_transport::crypto::PayloadCipher;
use lampyris_transport::{CloseCause, Delivery};
use lampyris_wire::Protocol;

use crate::address::Reached;
use crate::link::Link;
use crate::message::Home;
use crate::session::Session;
use crate::timers::Armed;
use crate::{ListenerId, Role, Transport};

/// How a request came, which is how its answer goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyMode {
    pub(crate) channel: u8,
    pub(crate) delivery: Delivery,
    pub(crate) encrypted: bool,
}

impl ReplyMode {
    /// For what the server says on its own.
    pub(crate) const UNASKED: Self = Self { channel: 0, delivery: Delivery::Reliable, encrypted: false };
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) listener: ListenerId,
    pub(crate) role: Role,
    pub(crate) transport: Transport,
    pub(crate) remote: SocketAddr,
    pub(crate) reached: Reached,
    pub(crate) protocol: Protocol,
    pub(crate) link: Link,
    pub(crate) session: Session,
    pub(crate) cipher: Option<PayloadCipher>,
    pub(crate) out: Output,
    pub(crate) rate: MessageRate,
    pub(crate) key_exchanges: u8,
    /// Until when the client must have authenticated, and later until when it must have gone.
    pub(crate) deadline: Option<(Duration, Deadline)>,
    pub(crate) armed: Armed,
    /// Whether it is in the worker's list of connections with output.
    pub(crate) dirty: bool,
    /// UDP only: where its datagrams arrive, if it moved here from another worker.
    pub(crate) home: Option<Home>,
    pub(crate) ended: Option<CloseCause>,
}

/// What happens when a connection's own deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// The client did not authenticate: it is told so and closed. Set when the connection opens, stopped by a success.
    Authenticate,
    /// The client did not close by itself after its last answer: we close. Set by the last answer.
    Close(&'static str),
}

impl Connection {
    /// Whether the transport itself is encrypted, so that payload encryption is off whatever its flag says.
    pub(crate) fn is_secure(&self) -> bool {
        self.transport == Transport::Wss
    }

    /// The next time it wants to be woken.
    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        let own = self.deadline.map(|(at, _)| at);
        own.into_iter().chain(self.link.next_timeout()).min()
    }
}

/// Bytes that wait for a stream's socket.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) buffer: Vec<u8>,
    written: usize,
    /// The driver was told and has not yet written everything.
    pub(crate) flushing: bool,
}

impl Output {
    /// What was not yet written.
    pub(crate) fn pending(&self) -> &[u8] {
        self.buffer.get(self.written..).unwrap_or_default()
    }

    /// `count` more bytes were written. Gives the buffer back when all are, so that an idle connection holds none.
    pub(crate) fn consume(&mut self, count: usize) -> Option<Vec<u8>> {
        self.written = self.written.saturating_add(count).min(self.buffer.len());
        if self.written < self.buffer.len() {
            return None;
        }
        self.written = 0;
        self.flushing = false;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        Some(buffer)
    }
}

/// Counts a peer's messages in the running second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MessageRate {
    second: u64,
    count: u32,
}

impl MessageRate {
    /// Counts one message; `false` if it is one too many.
    pub(crate) fn admit(&mut self, now: Duration, per_second: u32) -> bool {
        if self.second != now.as_secs() {
            *self = Self { second: now.as_secs(), count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= per_second
    }
}
