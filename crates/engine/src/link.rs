//! The transport of one connection, whichever it is.

use std::time::Duration;

use bytes::Bytes;
use lampyris_transport::{CloseCause, Delivery, Incoming, policy, tcp, udp, ws};

use crate::connection::ReplyMode;

/// The transport state of one connection.
#[derive(Debug)]
pub(crate) enum Link {
    /// Reliable UDP.
    Udp(Box<udp::Peer>),
    /// TCP frames.
    Tcp(Box<tcp::ServerConnection>),
    /// WebSocket, in clear or over TLS.
    Ws(Box<ws::ServerConnection>),
    /// A policy file is asked for and sent, nothing else.
    Policy(Box<policy::ServerConnection>),
}

impl Link {
    /// Takes what arrived; see the contract of the transport crate. `true` if a UDP peer made progress, so that the
    /// address it came from is the peer's.
    pub(crate) fn receive(
        &mut self,
        now: Duration,
        input: &mut [u8],
        incoming: &mut Vec<Incoming>,
        out: &mut Vec<u8>,
    ) -> bool {
        match self {
            Self::Udp(peer) => return peer.receive(now, input, incoming),
            Self::Tcp(connection) => connection.receive(now, input, incoming, out),
            Self::Ws(connection) => connection.receive(now, input, incoming, out),
            Self::Policy(connection) => connection.receive(input, incoming, out),
        }
        false
    }

    /// Sends one message that only this peer gets. A message that a UDP peer cannot be sent any more is dropped, as a
    /// stream's output would be.
    pub(crate) fn send(
        &mut self,
        now: Duration,
        mode: ReplyMode,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CloseCause> {
        match self {
            Self::Udp(peer) => return send_udp(peer, now, mode, &Bytes::copy_from_slice(message)),
            Self::Tcp(_) => tcp::write_frame(out, 0, Delivery::Reliable, message),
            Self::Ws(_) => ws::write_frame(out, ws::Opcode::Binary, message),
            Self::Policy(_) => {}
        }
        Ok(())
    }

    /// When [`Link::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        match self {
            Self::Udp(peer) => peer.next_timeout(),
            Self::Tcp(connection) => connection.next_timeout(),
            Self::Ws(connection) => connection.next_timeout(),
            Self::Policy(connection) => connection.next_timeout(),
        }
    }

    /// Time passed.
    pub(crate) fn handle_timeout(&mut self, now: Duration, incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        match self {
            Self::Udp(peer) => peer.handle_timeout(now, incoming),
            Self::Tcp(connection) => connection.handle_timeout(now, incoming),
            Self::Ws(connection) => connection.handle_timeout(now, incoming, out),
            Self::Policy(connection) => connection.handle_timeout(now, incoming),
        }
    }

    /// Says goodbye in the transport's own way; [`Incoming::Closed`] comes at once or when the peer has answered.
    pub(crate) fn close(
        &mut self,
        now: Duration,
        reason: &'static str,
        incoming: &mut Vec<Incoming>,
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Udp(peer) => peer.disconnect(now, udp::DisconnectReason::ServerLogic),
            Self::Tcp(connection) => connection.close(CloseCause::ByUs(reason), incoming),
            Self::Ws(connection) => connection.close(now, ws::close_code::NORMAL, reason, incoming, out),
            Self::Policy(connection) => connection.close(CloseCause::ByUs(reason), incoming),
        }
    }

    /// Whether it is reliable UDP.
    pub(crate) fn is_udp(&self) -> bool {
        matches!(self, Self::Udp(_))
    }
}

/// Queues a message for a UDP peer; it shares the bytes with the peer's other holders.
pub(crate) fn send_udp(
    peer: &mut udp::Peer,
    now: Duration,
    mode: ReplyMode,
    message: &Bytes,
) -> Result<(), CloseCause> {
    match peer.send(now, mode.channel, mode.delivery, message) {
        Ok(()) | Err(udp::SendError::NotOpen) => Ok(()),
        Err(udp::SendError::TooLong { .. }) => Err(CloseCause::Limit("bytes of an outgoing message")),
        Err(_) => Err(CloseCause::Limit("queued output per peer")),
    }
}
