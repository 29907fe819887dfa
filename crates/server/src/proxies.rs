//! Proxies that stand between clients and a listener.

use std::net::IpAddr;

use ipnet::IpNet;

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

#[cfg(test)]
mod tests {
    use super::*;

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
