//! Ports for programs that have to be told theirs.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below those that the system gives to outgoing connections, of which other tests have many.
const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

/// Ports that nobody has, on UDP and TCP alike; no two calls of a process get the same one soon.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    // Processes that run side by side begin in different places.
    let next = NEXT.get_or_init(|| {
        let start = std::process::id().wrapping_mul(2_654_435_761) >> 16;
        AtomicU16::new(u16::try_from(start).unwrap())
    });
    let is_free = |port: &u16| {
        let address = (Ipv4Addr::LOCALHOST, *port);
        TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
    };
    let mut ports = std::iter::repeat_with(|| FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT).filter(is_free);
    std::array::from_fn(|_| ports.next().unwrap())
}
