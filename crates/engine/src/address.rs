//! Addresses told to clients (operations.md, section 1.5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;

use lampyris_realtime::directory::Transport;
use lampyris_s2s::Addresses as Announced;

/// How a client reached us, which is how it can reach the next server.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    /// Our own end of the client's connection.
    pub(crate) local: SocketAddr,
    /// The `Host` header without port, WebSocket only; IPv6 literals without brackets.
    pub(crate) host: Option<Box<str>>,
    /// The client says that it speaks IPv6.
    pub(crate) claims_ipv6: bool,
}

impl Reached {
    /// By a client that has not said anything yet.
    pub(crate) fn at(local: SocketAddr) -> Self {
        Self { local, host: None, claims_ipv6: false }
    }

    /// The host part of a `Host` header. Scheme and port are cut; some clients put the whole address there, and some
    /// write an IPv6 host without brackets.
    pub(crate) fn host_of_header(header: &str) -> Option<Box<str>> {
        let header = header.split_once("://").map_or(header, |(_, rest)| rest);
        let header = header.split(['/', '?']).next().unwrap_or_default();
        let host = match header.strip_prefix('[') {
            Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
            None => match header.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
                _ => header,
            },
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        (!host.is_empty() && host.len() <= 253 && host.chars().all(plain)).then(|| host.into())
    }
}

/// Where clients are told to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The regions and their Masters. A code may stand several times: one of them is drawn for each client.
    pub regions: Vec<Region>,
    /// The Game server of this node.
    pub game: Endpoint,
}

/// A region and its Master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its code, in lower case; `None` = an unnamed region, which answers to every code.
    pub code: Option<String>,
    /// Where its Master is.
    pub master: Endpoint,
}

/// Where clients are told to find a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its machine.
    pub host: Host,
    /// Its ports.
    pub ports: Ports,
    /// The path of its WebSocket addresses, without a slash at either end.
    pub path: String,
}

impl Default for Endpoint {
    /// Where the client itself came to, without a port yet.
    fn default() -> Self {
        let host = Host::AsReached { public_ip: None, public_host: HostName::Auto };
        Self { host, ports: Ports::default(), path: String::new() }
    }
}

/// The machine of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// This one, as the client reached it.
    AsReached {
        /// Told to UDP and TCP clients instead, if it is of their address family.
        public_ip: Option<IpAddr>,
        /// Told to WebSocket clients.
        public_host: HostName,
    },
    /// The one with these addresses.
    Fixed {
        /// For clients on IPv4.
        ipv4: Option<Ipv4Addr>,
        /// For clients on IPv6.
        ipv6: Option<Ipv6Addr>,
        /// For WebSocket clients. Without one there is no secure WebSocket, since certificates name hosts.
        name: Option<String>,
    },
}

/// The host name that WebSocket clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    /// The one in the client's own `Host` header.
    Auto,
    /// Always this one.
    Fixed(String),
}

/// A port for each transport that a server offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Reliable UDP.
    pub udp: Option<u16>,
    /// TCP.
    pub tcp: Option<u16>,
    /// WebSocket.
    pub ws: Option<u16>,
    /// Secure WebSocket.
    pub wss: Option<u16>,
}

impl Ports {
    /// Asks for the port of each transport.
    pub fn of(port: impl Fn(Transport) -> Option<u16>) -> Self {
        Self {
            udp: port(Transport::Udp),
            tcp: port(Transport::Tcp),
            ws: port(Transport::Ws),
            wss: port(Transport::Wss),
        }
    }

    /// The port of a transport.
    #[must_use]
    pub const fn get(self, transport: Transport) -> Option<u16> {
        match transport {
            Transport::Udp => self.udp,
            Transport::Tcp => self.tcp,
            Transport::Ws => self.ws,
            Transport::Wss => self.wss,
        }
    }

    /// Sets the port of a transport.
    pub const fn set(&mut self, transport: Transport, port: Option<u16>) {
        match transport {
            Transport::Udp => self.udp = port,
            Transport::Tcp => self.tcp = port,
            Transport::Ws => self.ws = port,
            Transport::Wss => self.wss = port,
        }
    }
}

impl Endpoint {
    /// What a client of `transport` is told that came as `reached` says; `None` if the server does not offer that.
    pub(crate) fn told(&self, transport: Transport, reached: &Reached) -> Option<String> {
        let port = self.ports.get(transport)?;
        Some(match transport {
            Transport::Udp | Transport::Tcp => format!("{}:{port}", self.socket_host(reached)?),
            Transport::Ws | Transport::Wss => {
                let host = self.web_host(transport, reached)?;
                let slash = if self.path.is_empty() { "" } else { "/" };
                format!("{}://{host}:{port}{slash}{}", transport.name(), self.path)
            }
        })
    }

    /// What a Master in another process is told, which this server reaches from `local`.
    #[must_use]
    pub fn announced(&self, local: IpAddr) -> Announced {
        let (ipv4, ipv6, name) = match &self.host {
            Host::Fixed { ipv4, ipv6, name } => (*ipv4, *ipv6, name.clone()),
            Host::AsReached { public_ip, public_host } => {
                let name = match public_host {
                    HostName::Auto => None,
                    HostName::Fixed(name) => Some(name.clone()),
                };
                match public_ip.unwrap_or(local).to_canonical() {
                    IpAddr::V4(ip) => (Some(ip), None, name),
                    IpAddr::V6(ip) => (None, Some(ip), name),
                }
            }
        };
        let port = |transport| self.ports.get(transport).and_then(NonZeroU16::new);
        Announced {
            ipv4,
            ipv6,
            host: name.map(Into::into),
            udp: port(Transport::Udp),
            tcp: port(Transport::Tcp),
            ws: port(Transport::Ws),
            wss: port(Transport::Wss),
            path: self.path.as_str().into(),
        }
    }

    fn socket_host(&self, reached: &Reached) -> Option<String> {
        let local = reached.local.ip().to_canonical();
        match &self.host {
            Host::AsReached { public_ip, .. } => {
                let ip = public_ip.filter(|ip| ip.is_ipv4() == local.is_ipv4()).unwrap_or(local);
                Some(bracketed(&ip.to_string()))
            }
            Host::Fixed { ipv4, ipv6, name } => {
                let (v4, v6) = (ipv4.map(|ip| ip.to_string()), ipv6.map(|ip| format!("[{ip}]")));
                let name = name.as_deref().map(bracketed);
                match (local.is_ipv6(), reached.claims_ipv6) {
                    (true, _) => v6.or(name).or(v4),
                    // A bridge between the families is on the way: only a name leads over it.
                    (false, true) => name.or(v4),
                    (false, false) => v4.or(name),
                }
            }
        }
    }

    fn web_host(&self, transport: Transport, reached: &Reached) -> Option<String> {
        match &self.host {
            Host::AsReached { public_host: HostName::Fixed(name), .. } => Some(bracketed(name)),
            Host::AsReached { public_host: HostName::Auto, .. } => {
                reached.host.as_deref().map(bracketed).or_else(|| self.socket_host(reached))
            }
            Host::Fixed { name: Some(name), .. } => Some(bracketed(name)),
            Host::Fixed { name: None, .. } if transport == Transport::Ws => self.socket_host(reached),
            Host::Fixed { name: None, .. } => None,
        }
    }
}

impl From<&Announced> for Endpoint {
    fn from(announced: &Announced) -> Self {
        let name = announced.host.as_deref().map(str::to_owned);
        Self {
            host: Host::Fixed { ipv4: announced.ipv4, ipv6: announced.ipv6, name },
            ports: Ports::of(|transport| announced.port(transport).map(NonZeroU16::get)),
            path: announced.path.to_string(),
        }
    }
}

fn bracketed(host: &str) -> String {
    match host.parse() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_header_is_read_in_every_form_clients_write() {
        for (header, host) in [
            ("127.0.0.1:9093", Some("127.0.0.1")),
            ("photon.example.com", Some("photon.example.com")),
            ("ws://10.0.0.5:9090", Some("10.0.0.5")),
            ("[::1]:9090", Some("::1")),
            ("::1:9090", Some("::1")),
            ("", None),
            ("evil\"host", None),
        ] {
            assert_eq!(Reached::host_of_header(header).as_deref(), host, "{header}");
        }
    }

    const PORTS: Ports = Ports { udp: Some(5056), tcp: Some(4531), ws: Some(9091), wss: Some(19091) };

    fn fixed(ipv4: &str, ipv6: &str, name: &str) -> Endpoint {
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        let host = Host::Fixed { ipv4: ipv4.parse().ok(), ipv6: ipv6.parse().ok(), name };
        Endpoint { host, ports: PORTS, path: String::new() }
    }

    /// How a client came: `v4`, `v6`, over a mapped address, or over a bridge from IPv6.
    fn reached(way: &str) -> Reached {
        let ip: IpAddr = match way {
            "v6" => "2001:db8::1".parse().unwrap(),
            "mapped" => "::ffff:192.0.2.1".parse().unwrap(),
            _ => "192.0.2.1".parse().unwrap(),
        };
        Reached { claims_ipv6: way == "bridge", ..Reached::at(SocketAddr::new(ip, 4530)) }
    }

    #[test]
    fn each_client_is_told_the_form_of_its_transport_and_address_family() {
        use Transport::{Tcp, Udp, Ws, Wss};
        let all = fixed("203.0.113.7", "2001:db8::7", "play.example.org");
        let only_v4 = fixed("203.0.113.7", "", "");
        let named = fixed("203.0.113.7", "", "play.example.org");
        let v6_name = fixed("203.0.113.7", "", "2001:db8::9");
        let table = [
            (&all, Udp, "v4", Some("203.0.113.7:5056")),
            (&all, Tcp, "mapped", Some("203.0.113.7:4531")),
            (&all, Udp, "v6", Some("[2001:db8::7]:5056")),
            (&all, Tcp, "v6", Some("[2001:db8::7]:4531")),
            (&all, Udp, "bridge", Some("play.example.org:5056")),
            (&all, Ws, "v4", Some("ws://play.example.org:9091")),
            (&all, Ws, "v6", Some("ws://play.example.org:9091")),
            (&all, Wss, "v6", Some("wss://play.example.org:19091")),
            (&named, Tcp, "v6", Some("play.example.org:4531")),
            (&only_v4, Tcp, "v6", Some("203.0.113.7:4531")),
            (&only_v4, Udp, "bridge", Some("203.0.113.7:5056")),
            (&only_v4, Ws, "v4", Some("ws://203.0.113.7:9091")),
            (&only_v4, Wss, "v4", None),
            (&v6_name, Ws, "v4", Some("ws://[2001:db8::9]:9091")),
        ];
        for (endpoint, transport, way, expected) in table {
            assert_eq!(endpoint.told(transport, &reached(way)).as_deref(), expected, "{transport:?} {way}");
        }
    }

    #[test]
    fn the_path_follows_in_web_addresses_alone() {
        let endpoint = Endpoint { path: "game/1".to_owned(), ..fixed("203.0.113.7", "", "play.example.org") };
        let told = |transport| endpoint.told(transport, &reached("v4")).unwrap();
        assert_eq!(told(Transport::Wss), "wss://play.example.org:19091/game/1");
        assert_eq!(told(Transport::Ws), "ws://play.example.org:9091/game/1");
        assert_eq!(told(Transport::Udp), "203.0.113.7:5056");
    }

    #[test]
    fn a_transport_without_a_port_has_no_address() {
        let endpoint = Endpoint { ports: Ports { tcp: None, ..PORTS }, ..fixed("203.0.113.7", "", "a") };
        assert_eq!(endpoint.told(Transport::Tcp, &reached("v4")), None);
        assert_eq!(Endpoint::default().told(Transport::Udp, &reached("v4")), None);
    }
}
