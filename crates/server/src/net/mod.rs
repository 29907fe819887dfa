//! The workers' poll loops and sockets: they move bytes, time and wake-ups, and decide nothing about the protocol.

pub(crate) mod accept;
mod actions;
pub(crate) mod bind;
mod datagram;
pub(crate) mod driver;
pub(crate) mod failure;
pub(crate) mod handshakes;
pub(crate) mod post;
mod stream;
