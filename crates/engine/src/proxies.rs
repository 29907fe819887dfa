//! Proxies that stand between clients and a listener.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use lampyris_transport::HttpRequest;

use crate::{ConnectionKey, Transport, Worker};

/// Which proxies of a listener are believed, and how they tell whose connection it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Their addresses. What anybody else says of an address is no more than talk.
    pub trusted: Vec<IpNet>,
    /// They begin each connection with a header of the PROXY protocol.
    pub announce: bool,
}

impl Proxies {
    /// Whether this is a proxy that is believed.
    #[must_use]
    pub fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|network| network.contains(&address))
    }
}

impl Proxies {
    /// The client that a list of `X-Forwarded-For` names: the last address that is no proxy of ours, since those before
    /// it may be anybody's invention. `None` if there is no such list.
    fn client_of(&self, forwarded_for: &str) -> Option<IpAddr> {
        let mut last = None;
        for entry in forwarded_for.rsplit(',') {
            let Some(address) = address_of(entry.trim()) else { break };
            last = Some(address);
            if !self.trust(address) {
                break;
            }
        }
        last
    }
}

/// An address as proxies write it: also with a port, and IPv6 in brackets.
fn address_of(text: &str) -> Option<IpAddr> {
    let address =
        text.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok().or_else(|| {
            let bracketed = text.strip_prefix('[')?.strip_suffix(']')?;
            bracketed.parse().ok()
        })?;
    Some(IpAddr::to_canonical(&address))
}

impl Worker {
    /// A proxy speaks TLS with this client and passes on what is in it: the client is to be sent to secure addresses.
    pub fn secured_at_proxy(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connection_mut(key)
            && connection.transport == Transport::Ws
        {
            connection.transport = Transport::Wss;
        }
    }

    /// Takes what a trusted proxy says of the client in its request; `false` if the client's address has all the
    /// connections that it may have.
    pub(crate) fn believe_proxy(&mut self, key: ConnectionKey, request: &HttpRequest) -> bool {
        let config = Arc::clone(&self.config);
        let Some(connection) = self.connection_mut(key) else { return true };
        let Some(listener) = config.listeners.get(connection.listener.0) else { return true };
        let proxy = connection.remote.ip();
        if !listener.proxies.trust(proxy) {
            return true;
        }
        let client = request.forwarded_for.as_deref().and_then(|list| listener.proxies.client_of(list));
        if let Some(client) = client {
            connection.remote.set_ip(client);
        }
        if request.forwarded_proto.as_deref().is_some_and(|scheme| matches!(scheme, "https" | "wss")) {
            self.secured_at_proxy(key);
        }
        client.is_none_or(|client| self.recount(proxy, client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t28_the_last_address_that_is_no_proxy_of_ours_is_the_client() {
        let trusted = ["10.0.0.0/8", "::1/128"].map(|network| network.parse().unwrap()).into();
        let proxies = Proxies { trusted, announce: false };
        let client = |list: &str| proxies.client_of(list).map(|address| address.to_string());
        for (list, expected) in [
            ("203.0.113.9", Some("203.0.113.9")),
            ("1.2.3.4, 203.0.113.9", Some("203.0.113.9")),
            ("1.2.3.4,203.0.113.9, 10.0.0.1,10.0.0.2", Some("203.0.113.9")),
            ("10.0.0.7, 10.0.0.1", Some("10.0.0.7")),
            ("203.0.113.9:5000", Some("203.0.113.9")),
            ("[2001:db8::9]:5000", Some("2001:db8::9")),
            ("[2001:db8::9], ::1", Some("2001:db8::9")),
            ("::ffff:203.0.113.9", Some("203.0.113.9")),
            ("unknown, 10.0.0.1", Some("10.0.0.1")),
            ("203.0.113.9, unknown", None),
            ("", None),
        ] {
            assert_eq!(client(list).as_deref(), expected, "{list}");
        }
    }

    #[test]
    fn t28_networks_are_trusted_and_nobody_else() {
        let trusted = ["10.0.0.0/8", "192.168.1.5/32", "2001:db8::/32"].map(|network| network.parse().unwrap()).into();
        let proxies = Proxies { trusted, announce: true };
        let trust = |address: &str| proxies.trust(address.parse().unwrap());
        assert!(["10.255.0.1", "192.168.1.5", "2001:db8::7", "::ffff:10.0.0.1"].into_iter().all(trust));
        assert!(!["11.0.0.1", "192.168.1.6", "2001:db9::7", "127.0.0.1"].into_iter().any(trust));
        assert!(!Proxies::default().trust("127.0.0.1".parse().unwrap()));
    }
}
