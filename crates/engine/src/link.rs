//! The transport of one connection, whichever it is.

use std::time::Duration;

use bytes::Bytes;
use lampyris_transport::{CloseCause, Delivery, Incoming, tcp, udp, ws};
use lampyris_wire::Protocol;

/// The transport state of one connection.
#[derive(Debug)]
pub(crate) enum Link {
    /// Reliable UDP.
    Udp(Box<udp::Peer>),
    /// TCP frames.
    Tcp(Box<tcp::ServerConnection>),
    /// WebSocket, in clear or over TLS.
    Ws(Box<ws::ServerConnection>),
}

impl Link {
    /// Takes what arrived; see the contract of the transport crate.
    pub(crate) fn receive(
        &mut self,
        now: Duration,
        input: &mut [u8],
        incoming: &mut Vec<Incoming>,
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Udp(peer) => peer.receive(now, input, incoming),
            Self::Tcp(connection) => connection.receive(now, input, incoming, out),
            Self::Ws(connection) => connection.receive(now, input, incoming, out),
        }
    }

    /// Sends one message that only this peer gets.
    pub(crate) fn send(
        &mut self,
        now: Duration,
        protocol: Protocol,
        channel: u8,
        delivery: Delivery,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), CloseCause> {
        match self {
            Self::Udp(peer) => {
                return peer.send(now, channel, delivery, &Bytes::copy_from_slice(message)).map_err(Into::into);
            }
            Self::Tcp(_) => tcp::write_frame(out, 0, Delivery::Reliable, message),
            Self::Ws(_) => ws::write_message(out, protocol, message),
        }
        Ok(())
    }

    /// When [`Link::handle_timeout`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        match self {
            Self::Udp(peer) => peer.next_timeout(),
            Self::Tcp(connection) => connection.next_timeout(),
            Self::Ws(connection) => connection.next_timeout(),
        }
    }

    /// Time passed.
    pub(crate) fn handle_timeout(&mut self, now: Duration, incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        match self {
            Self::Udp(peer) => peer.handle_timeout(now, incoming),
            Self::Tcp(connection) => connection.handle_timeout(now, incoming, out),
            Self::Ws(connection) => connection.handle_timeout(now, incoming, out),
        }
    }

    /// Says goodbye in the transport's own way.
    pub(crate) fn close(&mut self, now: Duration, reason: &str, out: &mut Vec<u8>) {
        match self {
            Self::Udp(peer) => peer.disconnect(now, udp::DisconnectReason::ServerLogic),
            Self::Tcp(_) => {}
            Self::Ws(connection) => connection.close(ws::CLOSE_NORMAL, reason, out),
        }
    }

    /// Whether it is reliable UDP.
    pub(crate) fn is_udp(&self) -> bool {
        matches!(self, Self::Udp(_))
    }
}
