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
use crate::{Choice, ListenerConfig, ListenerId, ListenerLimits, MessageRates, Role, Service, Transport};

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
    /// Known once the client has opened its session.
    pub(crate) role: Option<Role>,
    pub(crate) transport: Transport,
    pub(crate) remote: SocketAddr,
    pub(crate) reached: Reached,
    pub(crate) protocol: Protocol,
    pub(crate) link: Link,
    pub(crate) session: Session,
    pub(crate) cipher: Option<PayloadCipher>,
    pub(crate) out: Output,
    pub(crate) limits: ConnectionLimits,
    /// When its last message came.
    pub(crate) last_message: Duration,
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

/// Limits of one connection: those of its listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    pub(crate) outbound_message_bytes: usize,
    pub(crate) queued_bytes: usize,
    pub(crate) app_data_inactivity: Duration,
    pub(crate) close_grace: Duration,
}

impl From<&ListenerLimits> for ConnectionLimits {
    fn from(limits: &ListenerLimits) -> Self {
        Self {
            outbound_message_bytes: limits.outbound_message_bytes,
            queued_bytes: limits.queued_bytes,
            app_data_inactivity: limits.app_data_inactivity,
            close_grace: limits.close_grace,
        }
    }
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

    /// Which applications the listener, or the route by which the client came, has for it.
    pub(crate) fn choice(&self, listener: &ListenerConfig) -> Option<Choice> {
        match (&listener.service, &self.link) {
            (Service::Udp(choice) | Service::Tcp { choice, .. }, _) => Some(*choice),
            (Service::WebSocket { routes, .. }, Link::Ws(link)) => routes.get(link.route()).map(|route| route.choice),
            _ => None,
        }
    }

    /// The name of its role, for logs.
    pub(crate) fn role_name(&self) -> &'static str {
        self.role.map_or("none", Role::name)
    }

    /// When it has been too long without a message.
    pub(crate) fn app_data_deadline(&self) -> Duration {
        match self.session {
            Session::Opening | Session::Ended => Duration::MAX,
            _ => self.last_message.saturating_add(self.limits.app_data_inactivity),
        }
    }

    /// The next time it wants to be woken; a deadline that is never reached is none.
    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        let own = self.deadline.map_or(Duration::MAX, |(at, _)| at);
        let link = self.link.next_timeout().unwrap_or(Duration::MAX);
        Some(own.min(link).min(self.app_data_deadline())).filter(|at| *at < Duration::MAX)
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
    bytes: usize,
}

impl MessageRate {
    /// Counts one message.
    pub(crate) fn admit(&mut self, now: Duration, bytes: usize, most: MessageRates) -> Result<(), CloseCause> {
        if self.second != now.as_secs() {
            *self = Self { second: now.as_secs(), ..Self::default() };
        }
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.count > most.messages {
            return Err(CloseCause::Limit("messages per second"));
        }
        if u32::try_from(self.bytes).is_ok_and(|bytes| bytes <= most.bytes) {
            return Ok(());
        }
        Err(CloseCause::Limit("bytes of messages per second"))
    }
}
