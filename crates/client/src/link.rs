//! The transport of one connection, whichever it is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lampyris_transport::udp::{self, Protection};
use lampyris_transport::{CloseCause, Delivery, Incoming, Init, init, tcp, ws};
use lampyris_wire::Value;
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::{Config, DisconnectCause, Error, ServerAddress, Transport};

/// The id that the C# library gives for itself.
const SDK_ID: u8 = 15;

/// The path of a WebSocket server whose address has none.
const ROOT: &str = "/";

/// The transport of one connection.
#[derive(Debug)]
pub(crate) enum Link {
    Udp(Box<udp::Peer>),
    Tcp(Box<tcp::ClientConnection>),
    Ws(Box<ws::ClientConnection>),
}

impl Link {
    /// Starts a connection on a socket that was just opened; streams have their first bytes in `out` then.
    pub(crate) fn start(
        now: Duration,
        config: &Config,
        address: &ServerAddress,
        token: Option<Value>,
        rng: &mut StdRng,
        out: &mut Vec<u8>,
    ) -> Result<Self, DisconnectCause> {
        let init = Init {
            protocol: config.protocol,
            application: config.application.clone(),
            client_version: config.library_version.clone(),
            sdk_id: SDK_ID,
            ipv6: address.host.contains(':'),
            token,
            custom_data: None,
            http: None,
        };
        let limits = &config.limits;
        let host = address.authority();
        Ok(match address.transport {
            Transport::Udp => {
                let mut message = Vec::new();
                init::write(&init, &host, &mut message).map_err(DisconnectCause::Config)?;
                let protection = if config.crc { Protection::Crc } else { Protection::Plain };
                let challenge = rng.random::<u32>() >> 1;
                let (channels, mtu) = (config.channels, limits.udp.mtu);
                let udp = Arc::clone(&limits.udp);
                let peer = udp::Peer::connect(now, challenge, channels, mtu, message.into(), protection, udp);
                Self::Udp(Box::new(peer.map_err(DisconnectCause::Transport)?))
            }
            Transport::Tcp => {
                let connection = tcp::ClientConnection::new(now, Arc::clone(&limits.tcp), init, &host, out);
                Self::Tcp(Box::new(connection.map_err(DisconnectCause::Config)?))
            }
            Transport::Ws | Transport::Wss => {
                let path = if address.path.is_empty() { ROOT } else { &address.path };
                let at = ws::Address { scheme: address.transport.scheme(), host: &host, path };
                let connection = ws::ClientConnection::new(now, Arc::clone(&limits.ws), init, at, rng, out);
                Self::Ws(Box::new(connection.map_err(DisconnectCause::Config)?))
            }
        })
    }

    pub(crate) fn receive(&mut self, now: Duration, input: &mut [u8], incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        match self {
            Self::Udp(peer) => {
                peer.receive(now, input, incoming);
            }
            Self::Tcp(connection) => connection.receive(now, input, incoming),
            Self::Ws(connection) => connection.receive(now, input, incoming, out),
        }
    }

    pub(crate) fn send(
        &mut self,
        now: Duration,
        channel: u8,
        delivery: Delivery,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match self {
            Self::Udp(peer) => peer.send(now, channel, delivery, &Bytes::copy_from_slice(message))?,
            Self::Tcp(_) => tcp::write_frame(out, channel, delivery, message),
            Self::Ws(connection) => connection.write_message(message, out),
        }
        Ok(())
    }

    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        match self {
            Self::Udp(peer) => peer.next_timeout(),
            Self::Tcp(connection) => connection.next_timeout(),
            Self::Ws(connection) => connection.next_timeout(),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration, incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        match self {
            Self::Udp(peer) => peer.handle_timeout(now, incoming),
            Self::Tcp(connection) => connection.handle_timeout(now, incoming, out),
            Self::Ws(connection) => connection.handle_timeout(now, incoming, out),
        }
    }

    /// Says goodbye in the transport's own way.
    pub(crate) fn close(&mut self, now: Duration, incoming: &mut Vec<Incoming>, out: &mut Vec<u8>) {
        const REASON: &str = "the client leaves";
        match self {
            Self::Udp(peer) => peer.disconnect(now, udp::DisconnectReason::Client),
            Self::Tcp(connection) => connection.close(CloseCause::ByUs(REASON), incoming),
            Self::Ws(connection) => connection.close(now, ws::close_code::NORMAL, REASON, incoming, out),
        }
    }

    /// Whether nothing more comes or goes; `closed` is whether [`Incoming::Closed`] came.
    pub(crate) fn is_finished(&self, closed: bool) -> bool {
        match self {
            Self::Udp(peer) => peer.is_finished(),
            Self::Tcp(_) | Self::Ws(_) => closed,
        }
    }
}
