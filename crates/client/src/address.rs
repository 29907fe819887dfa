//! Where servers are.

use std::fmt;
use std::str::FromStr;

use crate::Transport;

/// The address of a server: `ip:port` or `host:port` on UDP and TCP, a URL on WebSocket (operations.md, section 1.5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// What is spoken there.
    pub transport: Transport,
    /// Host name or literal address; IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path of a WebSocket URL, with its leading `/`; empty otherwise.
    pub path: String,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found \"{found}\"")]
pub struct AddressError {
    expected: &'static str,
    found: String,
}

impl ServerAddress {
    /// An address without a path.
    #[must_use]
    pub fn new(transport: Transport, host: impl Into<String>, port: u16) -> Self {
        Self { transport, host: host.into(), port, path: String::new() }
    }

    /// Reads an address as servers give it: a `ws` or `wss` scheme decides the transport, without one it is `default`.
    ///
    /// # Errors
    /// Another scheme, no port where none is known, a host that is empty.
    pub fn parse(text: &str, default: Transport) -> Result<Self, AddressError> {
        let fail = |expected| AddressError { expected, found: text.to_owned() };
        let (transport, rest) = match text.split_once("://") {
            None => (default, text),
            Some(("udp", rest)) => (Transport::Udp, rest),
            Some(("tcp", rest)) => (Transport::Tcp, rest),
            Some(("ws", rest)) => (Transport::Ws, rest),
            Some(("wss", rest)) => (Transport::Wss, rest),
            Some(_) => return Err(fail("a scheme of udp, tcp, ws or wss")),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (host, port) = bracketed.split_once(']').ok_or_else(|| fail("a closing bracket"))?;
                (host, port.strip_prefix(':'))
            }
            None => authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() || host.contains(':') && !authority.starts_with('[') {
            return Err(fail("a host, IPv6 in brackets"));
        }
        let port = match (port, transport) {
            (Some(port), _) => port.parse().map_err(|_| fail("a port from 0 to 65535"))?,
            (None, Transport::Ws) => 80,
            (None, Transport::Wss) => 443,
            (None, Transport::Udp | Transport::Tcp) => return Err(fail("a host and a port")),
        };
        let path = if transport.is_websocket() { path.to_owned() } else { String::new() };
        Ok(Self { transport, host: host.to_owned(), port, path })
    }

    /// Host and port, as a `Host` header says them.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.transport.scheme(), self.authority(), self.path)
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    /// As [`ServerAddress::parse`], UDP without a scheme.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text, Transport::Udp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_give() {
        for (text, default, expected) in [
            ("10.0.0.1:5055", Transport::Udp, "udp://10.0.0.1:5055"),
            ("10.0.0.1:4530", Transport::Tcp, "tcp://10.0.0.1:4530"),
            ("[::1]:5055", Transport::Udp, "udp://[::1]:5055"),
            ("ws://game.example:9090/Master", Transport::Udp, "ws://game.example:9090/Master"),
            ("wss://game.example", Transport::Ws, "wss://game.example:443"),
            ("ws://[::1]:9090", Transport::Udp, "ws://[::1]:9090"),
        ] {
            assert_eq!(ServerAddress::parse(text, default).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn refuses_what_names_no_place() {
        for text in ["", ":5055", "host", "host:70000", "http://host:1", "[::1:5055", "::1:5055"] {
            assert!(ServerAddress::parse(text, Transport::Udp).is_err(), "{text}");
        }
    }
}
