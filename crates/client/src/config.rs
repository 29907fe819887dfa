//! What a client is told before it connects.

use std::sync::Arc;
use std::time::Duration;

use lampyris_transport::{tcp, udp, ws};
use lampyris_wire::{Limits, Protocol, Value};

use crate::ServerAddress;

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Reliable UDP.
    Udp,
    /// TCP frames.
    Tcp,
    /// WebSocket in clear.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 4] = [Self::Udp, Self::Tcp, Self::Ws, Self::Wss];

    /// The scheme of its addresses.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// Whether it is WebSocket.
    #[must_use]
    pub const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// Its number in the authentication request.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Udp => 0,
            Self::Tcp => 1,
            Self::Ws => 4,
            Self::Wss => 5,
        }
    }
}

/// How a client proves to Master and Game who it is (operations.md, section 1.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthMode {
    /// An operation on each server, after a key exchange on each connection that is not TLS.
    #[default]
    Auth,
    /// One operation on the NameServer; its token opens the connections to come, and its keys encrypt them.
    AuthOnce,
}

/// The first server of a client's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// A NameServer, which says where the Master is.
    NameServer(ServerAddress),
    /// A Master. [`AuthMode::AuthOnce`] needs a NameServer; without one it is [`AuthMode::Auth`].
    Master(ServerAddress),
}

impl Start {
    /// Where that is.
    #[must_use]
    pub fn address(&self) -> &ServerAddress {
        match self {
            Self::NameServer(address) | Self::Master(address) => address,
        }
    }
}

/// Proof for a custom authentication service.
#[derive(Clone, Debug, PartialEq)]
pub struct Credentials {
    /// Kind of service; 0 is the operator's own.
    pub kind: u8,
    /// Query string, URL-encoded.
    pub parameters: String,
    /// Data to be posted: text, bytes or a table.
    pub data: Option<Value>,
}

/// What a client is told before it connects; shared by many.
#[derive(Clone, Debug)]
pub struct Config {
    /// The first server.
    pub start: Start,
    /// The transport on Master and Game. Another one than the NameServer's needs [`AuthMode::AuthOnce`].
    pub transport: Transport,
    /// The serialization; a binary one.
    pub protocol: Protocol,
    /// How the client authenticates.
    pub auth: AuthMode,
    /// Application id.
    pub application: String,
    /// Version of the application.
    pub app_version: String,
    /// Region to ask the NameServer for; empty takes the first.
    pub region: String,
    /// User id; `None` lets the server make one.
    pub user_id: Option<String>,
    /// Proof for a custom authentication service.
    pub credentials: Option<Credentials>,
    /// Version of the client library that is told to servers.
    pub library_version: String,
    /// Channels on UDP.
    pub channels: u8,
    /// Whether datagrams have a checksum.
    pub crc: bool,
    /// Longest time from opening a connection to being authenticated on it.
    pub opening_timeout: Duration,
    /// Limits of the bytes below.
    pub limits: TransportLimits,
}

/// Limits and times of the transports, shared by all connections of all clients that have them.
#[derive(Clone, Debug)]
pub struct TransportLimits {
    /// Of messages from the server.
    pub wire: Limits,
    /// Of UDP.
    pub udp: Arc<udp::Config>,
    /// Of TCP.
    pub tcp: Arc<tcp::Config>,
    /// Of WebSocket.
    pub ws: Arc<ws::Config>,
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self { wire: Limits::DEFAULT, udp: Arc::new(udp::Config::CLIENT), tcp: Arc::default(), ws: Arc::default() }
    }
}

impl Config {
    /// What most need: the transport of the first server, the newest serialization, two channels.
    #[must_use]
    pub fn new(start: Start, application: impl Into<String>) -> Self {
        Self {
            transport: start.address().transport,
            start,
            protocol: Protocol::GpBinaryV18,
            auth: AuthMode::default(),
            application: application.into(),
            app_version: "1.0".to_owned(),
            region: String::new(),
            user_id: None,
            credentials: None,
            library_version: "4.1.8.16".to_owned(),
            channels: 2,
            crc: false,
            opening_timeout: Duration::from_secs(20),
            limits: TransportLimits::default(),
        }
    }

    /// How this client authenticates on Master and Game.
    pub(crate) fn auth_mode(&self) -> AuthMode {
        match self.start {
            Start::NameServer(_) => self.auth,
            Start::Master(_) => AuthMode::Auth,
        }
    }
}
