//! What the ends tell each other.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::sync::Arc;

use lampyris_realtime::directory::{Transport, Transports};
use lampyris_realtime::report::RoomReport;

/// Longest name, host name and path, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// A running game server: a random number that it draws when it starts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity(pub [u8; 16]);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where clients reach a game server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// Host name.
    pub host: Option<Arc<str>>,
    /// UDP port.
    pub udp: Option<NonZeroU16>,
    /// TCP port.
    pub tcp: Option<NonZeroU16>,
    /// WebSocket port.
    pub ws: Option<NonZeroU16>,
    /// Port for WebSocket over TLS.
    pub wss: Option<NonZeroU16>,
    /// Path of WebSocket addresses, without the slash at its beginning; empty for none.
    pub path: Arc<str>,
}

impl Addresses {
    /// The port of a transport.
    #[must_use]
    pub fn port(&self, transport: Transport) -> Option<NonZeroU16> {
        match transport {
            Transport::Udp => self.udp,
            Transport::Tcp => self.tcp,
            Transport::Ws => self.ws,
            Transport::Wss => self.wss,
        }
    }

    /// The transports that some client can use. WebSocket over TLS needs a name that a certificate can cover.
    #[must_use]
    pub fn transports(&self) -> Transports {
        let placed = self.ipv4.is_some() || self.ipv6.is_some() || self.host.is_some();
        let usable = |transport: &Transport| {
            self.port(*transport).is_some() && placed && (*transport != Transport::Wss || self.host.is_some())
        };
        Transport::ALL.into_iter().filter(usable).collect()
    }

    /// Whether a client that is sent to one could come out at the other.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> bool {
        let same_port =
            |transport: Transport| self.port(transport).is_some() && self.port(transport) == other.port(transport);
        let same_ip = self.ipv4.is_some() && self.ipv4 == other.ipv4 || self.ipv6.is_some() && self.ipv6 == other.ipv6;
        let same_name = self.host.is_some() && self.host == other.host;
        // Clients on sockets are told an IP if there is one, those on WebSocket a name.
        let has_ip = |one: &Self| one.ipv4.is_some() || one.ipv6.is_some();
        let same_machine = same_ip || same_name && !(has_ip(self) && has_ip(other));
        let same_site = same_name || same_ip && !(self.host.is_some() && other.host.is_some());
        // Behind a proxy that ends TLS several game servers share host and port and differ in the path.
        let same_page = same_site && self.path == other.path;
        same_machine && (same_port(Transport::Udp) || same_port(Transport::Tcp))
            || same_page && (same_port(Transport::Ws) || same_port(Transport::Wss))
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = [self.ipv4.map(|ip| ip.to_string()), self.ipv6.map(|ip| ip.to_string())];
        let places = places.into_iter().flatten().chain(self.host.as_deref().map(str::to_owned));
        write!(f, "{}", places.collect::<Vec<_>>().join(", "))?;
        for transport in Transport::ALL {
            if let Some(port) = self.port(transport) {
                write!(f, " {} {port}", transport.name())?;
            }
        }
        if !self.path.is_empty() {
            write!(f, " path /{}", self.path)?;
        }
        Ok(())
    }
}

/// Whether a game server takes new rooms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It does.
    #[default]
    Normal,
    /// It does not; the rooms it has go on.
    OutOfRotation,
    /// It does not, and its rooms are not to be told to clients any more.
    Offline,
}

/// How a game server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether it takes new rooms.
    pub state: State,
    /// 0 is idle, 9 is full.
    pub load_level: u8,
    /// Clients connected to it.
    pub peers: u32,
}

/// What a game server says of itself when the link comes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Which process it is.
    pub identity: Identity,
    /// For logs.
    pub name: Arc<str>,
    /// Where clients reach it.
    pub addresses: Addresses,
    /// Servers of a larger priority get rooms only when those of smaller ones are loaded or gone.
    pub priority: u8,
    /// How it is.
    pub status: Status,
}

/// What a game server tells once it is registered.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// What changed in rooms, by name, in order.
    Reports(Vec<(Arc<str>, RoomReport)>),
    /// Every room that it has was reported; what the Master knows besides is gone.
    Synced,
    /// How it is.
    Status(Status),
    /// It stops.
    Leaving,
}
