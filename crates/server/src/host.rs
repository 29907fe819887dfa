//! What the machine says of itself.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The machine's host name; empty if it has none that fits in a certificate.
#[must_use]
pub fn host_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_str().map(str::to_owned).unwrap_or_default()
}

/// Addresses of the machine's interfaces, without loopback and without those valid on one link only.
#[must_use]
pub fn interface_addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot list the addresses of this machine; the certificate will not cover them");
        Vec::new()
    });
    interfaces
        .into_iter()
        .filter(|interface| !interface.is_loopback() && !interface.is_link_local())
        .map(|interface| interface.ip())
        .collect()
}

/// The address that this machine uses towards the rest of the world, if it has a way there. Nothing is sent.
#[must_use]
pub fn outgoing_ipv4() -> Option<Ipv4Addr> {
    // An address for documentation: nobody's, and beyond the local network.
    const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(ELSEWHERE).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) if !ip.is_unspecified() => Some(ip),
        _ => None,
    }
}

/// Raises the soft limit of open files to the hard one: each connection is a file.
pub(crate) fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        Ok(()) => tracing::debug!(limit = limit.maximum, "raised the limit of open files"),
        Err(error) => tracing::warn!(%error, limit = limit.current, "cannot raise the limit of open files"),
    }
}
