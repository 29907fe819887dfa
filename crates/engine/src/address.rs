//! Addresses told to clients (operations.md, section 1.5).

use std::net::{IpAddr, SocketAddr};

use crate::{Config, HostName, Role, Transport};

/// How a client reached us, which is how it can reach the next server.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    /// Our own end of the client's connection.
    pub(crate) local: SocketAddr,
    /// The `Host` header without port, WebSocket only; IPv6 literals without brackets.
    pub(crate) host: Option<Box<str>>,
}

impl Reached {
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

impl Config {
    /// The address of the server that plays `role` for a client of `transport`; `None` if no listener does.
    pub(crate) fn address_for(&self, role: Role, transport: Transport, reached: &Reached) -> Option<String> {
        let listener = self.listener(role, transport)?;
        let local_ip = reached.local.ip().to_canonical();
        let ip = self.addresses.public_ip.filter(|ip| ip.is_ipv4() == local_ip.is_ipv4()).unwrap_or(local_ip);
        Some(match transport {
            Transport::Udp | Transport::Tcp => SocketAddr::new(ip, listener.port).to_string(),
            Transport::Ws | Transport::Wss => {
                let host = match &self.addresses.public_host {
                    HostName::Fixed(name) => bracketed(name),
                    HostName::Auto => reached.host.as_deref().map_or_else(|| bracketed(&ip.to_string()), bracketed),
                };
                format!("{}://{host}:{}", transport.name(), listener.port)
            }
        })
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
}
