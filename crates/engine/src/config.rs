//! What a node is told at start.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use lampyris_realtime::directory::Transport;

/// The part a listener plays in the way of a client: NameServer, then Master, then Game.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Tells clients where the Master is, and authenticates them.
    NameServer,
    /// Lobbies and matchmaking.
    Master,
    /// Rooms.
    Game,
}

impl Role {
    /// Every role, in the order clients meet them.
    pub const ALL: [Self; 3] = [Self::NameServer, Self::Master, Self::Game];

    /// The name as the configuration files and logs write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NameServer => "NameServer",
            Self::Master => "Master",
            Self::Game => "Game",
        }
    }
}

/// Index of a listener in [`Config::listeners`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub usize);

/// One port that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// The role played there.
    pub role: Role,
    /// The transport spoken there.
    pub transport: Transport,
    /// The port that clients are told. The first listener of a role and transport is the one handed out.
    pub port: u16,
}

/// The host name that WebSocket clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    /// The one in the client's own `Host` header.
    Auto,
    /// Always this one.
    Fixed(String),
}

/// How clients are told where the next server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The address for UDP and TCP clients; `None` = the local address of the client's own connection.
    pub public_ip: Option<IpAddr>,
    /// The host name for WebSocket clients.
    pub public_host: HostName,
}

/// A file that the WebSocket ports serve to a browser.
#[derive(Clone, Debug)]
pub struct Asset {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The file.
    pub body: Bytes,
}

/// What a node is told at start; shared by its workers.
#[derive(Debug)]
pub struct Config {
    /// Number of workers.
    pub workers: u16,
    /// The listeners.
    pub listeners: Vec<ListenerConfig>,
    /// How clients are told where the next server is.
    pub addresses: Addresses,
    /// Region code told to clients; `None` = one unnamed region that answers to every code.
    pub region: Option<String>,
    /// Secret that seals tokens, shared by all roles.
    pub token_secret: [u8; 32],
    /// Life of a token.
    pub token_lifetime: Duration,
    /// Unix time at which the process's clock started.
    pub clock_started_at_unix: Duration,
    /// Secret of the UDP handshake, shared by all workers.
    pub udp_secret: [u8; 32],
    /// Files served over plain HTTP on the WebSocket ports, by path.
    pub assets: HashMap<String, Asset>,
    /// Limits.
    pub limits: Limits,
}

/// Limits of a node; the defaults are those operators know from the reference product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message, both ways, in bytes.
    pub message_bytes: usize,
    /// Most outgoing bytes queued for one peer; beyond, the peer is too slow and is disconnected.
    pub queued_bytes_per_peer: usize,
    /// Most messages a peer may send in a second.
    pub messages_per_second: u32,
    /// Most connections of a worker.
    pub connections_per_worker: usize,
    /// Most connections from one address, half-open ones included.
    pub connections_per_address: usize,
    /// Time a peer has for authenticating.
    pub authentication_timeout: Duration,
    /// Silence after which a stream connection is dropped.
    pub inactivity_timeout: Duration,
    /// Time between an answer that ends a connection and the server's closing of it.
    pub close_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 512_000,
            queued_bytes_per_peer: 512_000,
            messages_per_second: 5_000,
            connections_per_worker: 100_000,
            connections_per_address: 100_000,
            authentication_timeout: Duration::from_secs(20),
            inactivity_timeout: Duration::from_secs(10),
            close_grace: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// The listener that is handed out for a role and transport.
    #[must_use]
    pub fn listener(&self, role: Role, transport: Transport) -> Option<&ListenerConfig> {
        self.listeners.iter().find(|listener| listener.role == role && listener.transport == transport)
    }
}
