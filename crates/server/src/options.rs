//! What an operator chooses.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lampyris_engine::{
    Applications, GameConfig, HostName, Limits, ListenerConfig, MasterConfig, NameServerConfig, Role, SealError,
    Transport, UdpConfig, secret_of_keys,
};
use lampyris_tls::Settings;
use lampyris_tls::store::CertificateFiles;

use crate::StartError;
use crate::s2s::S2s;

/// What an operator chooses.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where certificates and secrets are kept between starts.
    pub state_dir: PathBuf,
    /// Where clients connect.
    pub listeners: Vec<Listener>,
    /// Whether a key that others may read is an error.
    pub strict: bool,
    /// The roles to play.
    pub applications: Applications,
    /// Where clients are told to go.
    pub addresses: Addresses,
    /// What holds on the NameServer.
    pub name_server: NameServerConfig,
    /// What holds on the Master.
    pub master: MasterConfig,
    /// What holds on the Game server.
    pub game: GameConfig,
    /// Seals tokens; `None` = a secret of this installation, kept in the state folder.
    pub token_secret: Option<TokenSecret>,
    /// Certificates from an authority.
    pub acme: Option<lampyris_acme::Settings>,
    /// Number of worker threads.
    pub workers: u16,
    /// Limits of each worker.
    pub limits: Limits,
    /// Times and rates of UDP clients.
    pub udp: UdpConfig,
    /// Time that clients have for closing when the server stops.
    pub stop_grace: Duration,
    /// Links with servers in other processes.
    pub s2s: S2s,
}

impl Options {
    /// The built-in defaults for these listeners: every role, told where clients reached it.
    #[must_use]
    pub fn new(state_dir: PathBuf, listeners: Vec<Listener>) -> Self {
        Self {
            state_dir,
            listeners,
            strict: false,
            applications: Applications::default(),
            addresses: Addresses::OfListeners { public_ip: None, public_host: HostName::Auto },
            name_server: NameServerConfig::default(),
            master: MasterConfig::default(),
            game: GameConfig::default(),
            token_secret: None,
            acme: None,
            workers: 1,
            limits: Limits::default(),
            udp: UdpConfig::SERVER,
            stop_grace: Duration::from_secs(5),
            s2s: S2s::default(),
        }
    }
}

/// A secret that seals tokens; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(pub [u8; 32]);

impl TokenSecret {
    /// The secret that belongs to the keys in the files of all roles.
    ///
    /// # Errors
    /// The cryptographic library failed.
    pub fn of_keys(token_key: &str, mac_key: &str) -> Result<Self, SealError> {
        secret_of_keys(token_key, mac_key).map(Self)
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(..)")
    }
}

/// Where clients are told to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// To this server's own listeners, on the address that they reached.
    OfListeners {
        /// Told to UDP and TCP clients instead.
        public_ip: Option<IpAddr>,
        /// Told to WebSocket clients.
        public_host: HostName,
    },
    /// As configured.
    Told(lampyris_engine::Addresses),
}

/// A port to listen on.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Addresses to listen on; none = all of the machine's.
    pub bind: Vec<IpAddr>,
    /// What is served there; port 0 = a free one, see [`crate::Server::addresses`].
    pub node: ListenerConfig,
    /// TLS, if it is spoken there.
    pub tls: Option<Tls>,
    /// Settings of its sockets.
    pub sockets: SocketSettings,
    /// Where it is configured.
    pub place: Option<String>,
}

impl Listener {
    /// A listener of one role on every address; a secure one has the server's own certificate.
    #[must_use]
    pub fn of_role(role: Role, transport: Transport, port: u16) -> Self {
        Self {
            bind: Vec::new(),
            node: ListenerConfig::of_role(role, transport, port),
            tls: (transport == Transport::Wss).then_some(Tls::Own),
            sockets: SocketSettings::default(),
            place: None,
        }
    }

    /// What it speaks, for people.
    pub(crate) fn speaks(&self) -> &'static str {
        self.node.transport().map_or("policy files", Transport::name)
    }
}

/// Settings of a listener's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketSettings {
    /// Whether small packets are sent at once.
    pub no_delay: bool,
    /// Size of the receive buffer; `None` = ours for UDP, the system's for TCP.
    pub receive_buffer_bytes: Option<usize>,
    /// Size of the send buffer; `None` = ours for UDP, the system's for TCP.
    pub send_buffer_bytes: Option<usize>,
}

impl Default for SocketSettings {
    fn default() -> Self {
        Self { no_delay: true, receive_buffer_bytes: None, send_buffer_bytes: None }
    }
}

/// TLS of a listener.
#[derive(Clone, Debug)]
pub enum Tls {
    /// With the certificate that the server makes for itself, or the operator's own in its place.
    Own,
    /// With the operator's files.
    Files(TlsFiles),
}

/// The operator's files and settings for a secure listener.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificates; at least one.
    pub certificates: Vec<CertificateFiles>,
    /// The name whose certificate a client gets that asks for none that is covered.
    pub default_domain: Option<String>,
    /// Versions and suites.
    pub settings: Settings,
}

/// Ports by role and transport as the reference product has them; the first of a pair is told to clients.
const DEFAULT_PORTS: [(Role, Transport, u16); 15] = [
    (Role::NameServer, Transport::Udp, 5058),
    (Role::NameServer, Transport::Udp, 27000),
    (Role::NameServer, Transport::Tcp, 4533),
    (Role::NameServer, Transport::Ws, 9093),
    (Role::NameServer, Transport::Wss, 19093),
    (Role::Master, Transport::Udp, 5055),
    (Role::Master, Transport::Udp, 27001),
    (Role::Master, Transport::Tcp, 4530),
    (Role::Master, Transport::Ws, 9090),
    (Role::Master, Transport::Wss, 19090),
    (Role::Game, Transport::Udp, 5056),
    (Role::Game, Transport::Udp, 27002),
    (Role::Game, Transport::Tcp, 4531),
    (Role::Game, Transport::Ws, 9091),
    (Role::Game, Transport::Wss, 19091),
];

/// Where newer C# clients look for a WebSocket NameServer when their port field is 0.
const WEB_PORTS: [(Role, Transport, u16); 2] =
    [(Role::NameServer, Transport::Ws, 80), (Role::NameServer, Transport::Wss, 443)];

/// The default listeners, each port moved up by `offset`; with `web_ports` the NameServer also listens on 80 and 443,
/// which no offset moves, because clients look for exactly these.
///
/// # Errors
/// If a port would be over 65535.
pub fn default_listeners(offset: u16, web_ports: bool) -> Result<Vec<Listener>, StartError> {
    let mut listeners = DEFAULT_PORTS
        .into_iter()
        .map(|(role, transport, base)| {
            let port = base.checked_add(offset).ok_or(StartError::PortRange { role, transport, base, offset })?;
            Ok(Listener::of_role(role, transport, port))
        })
        .collect::<Result<Vec<_>, StartError>>()?;
    if web_ports {
        listeners.extend(WEB_PORTS.map(|(role, transport, port)| Listener::of_role(role, transport, port)));
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed_out(listeners: &[Listener], role: Role, transport: Transport) -> u16 {
        let applications = Applications::default();
        let is_it = |node: &ListenerConfig| node.transport() == Some(transport) && node.serves(&applications, role);
        listeners.iter().find(|listener| is_it(&listener.node)).unwrap().node.port
    }

    #[test]
    fn the_first_port_of_a_role_and_transport_is_the_one_clients_know() {
        let listeners = default_listeners(0, true).unwrap();
        assert_eq!(listeners.len(), 17);
        assert_eq!(handed_out(&listeners, Role::NameServer, Transport::Udp), 5058);
        assert_eq!(handed_out(&listeners, Role::NameServer, Transport::Ws), 9093);
        assert_eq!(handed_out(&listeners, Role::Game, Transport::Wss), 19091);
    }

    #[test]
    fn the_offset_moves_every_default_port_and_stops_at_the_last_one() {
        let listeners = default_listeners(100, false).unwrap();
        assert_eq!(handed_out(&listeners, Role::Master, Transport::Tcp), 4630);
        assert!(default_listeners(65535 - 27002, false).is_ok());
        let error = default_listeners(65535 - 27001, false).unwrap_err();
        assert!(error.to_string().contains("27002"), "{error}");
    }
}
