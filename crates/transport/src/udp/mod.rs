//! Reliable UDP (transports.md, section 3).
//!
//! [`Listener`] is one per socket: it answers handshakes without state, and says which peer a datagram is for.
//! [`Peer`] is one per connection, at either end of it. [`command`] is the bytes of both.
//!
//! ```text
//! datagram -> Listener::classify -> Known(handle)   -> Peer::receive -> Incoming...
//!                                -> Accept(..)      -> Peer::accept, Listener::insert, Peer::receive
//!                                -> Reply           -> to be sent back
//! end of the loop turn: Peer::poll_transmit until false, Peer::next_timeout
//! ```

pub mod command;

mod assembly;
mod config;
mod crc;
mod lane;
mod listener;
mod peer;
mod receiver;
mod rtt;
mod sender;
mod stats;
mod timer;

pub use command::Protection;
pub use config::Config;
pub use listener::{Handshake, IgnoreReason, Listener, ListenerLimits, ListenerStats, PeerHandle, Route};
pub use peer::{DisconnectReason, Peer, SendError};
pub use stats::Stats;

/// Smallest MTU that a client can ask for.
pub const MIN_MTU: u16 = 576;

/// How far `number` is ahead of `from`, in a counter that wraps.
fn ahead(from: u32, number: u32) -> i32 {
    number.wrapping_sub(from).cast_signed()
}
