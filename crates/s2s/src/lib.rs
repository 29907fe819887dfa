//! The link between a Master and a game server in another process, without sockets.
//!
//! The game server calls. Both ends are state machines: bytes and `now` go in, bytes, events and the next deadline come
//! out. A link that breaks the protocol, is silent or cannot prove that it knows the installation's secret ends, and
//! nothing else does.
//!
//! # Frames
//!
//! | bytes | content |
//! | --- | --- |
//! | 4 | length of the rest, big-endian; at most [`MAX_FRAME_BYTES`], before registration [`MAX_HANDSHAKE_BYTES`] |
//! | 1 | kind |
//! | n | fields, in the order of the table below; integers big-endian, text and tables behind their length |
//!
//! | kind | from | name | fields |
//! | --- | --- | --- | --- |
//! | 1 | game | Hello | `LS2S`, major, minor, nonce of 32 bytes, time between pings in ms |
//! | 2 | Master | Challenge | `LS2S`, major, minor, nonce of 32 bytes, time between pings in ms |
//! | 3 | game | Register | proof of 32 bytes, identity, name, addresses, priority, status |
//! | 4 | Master | Welcome | proof of 32 bytes |
//! | 5 | game | Reports | rooms' names and what changed in them, in order |
//! | 6 | game | Synced | every room has been reported |
//! | 7 | game | Status | state, load, peers |
//! | 8 | game | Leaving | |
//! | 9 | Master | Goodbye | |
//! | 10 | both | Ping | |
//! | 255 | Master | Refused | text for people |
//!
//! # States
//!
//! ```text
//! game    Hello ->             Register ->            Reports.. Synced Reports.. Leaving ->
//! Master          <- Challenge             <- Welcome                                     <- Goodbye
//! ```
//!
//! # Versions
//!
//! Ends of one major version whose minor versions differ by one at most understand each other: a later minor version adds
//! kinds, which the other end skips, and fields at the end, which it does not read.
//!
//! # Proof
//!
//! Each end shows with an HMAC over both nonces that it knows the secret; that of the game server covers the
//! registration too. TLS keeps the link secret and whole, the proof keeps strangers out even without TLS. It does not keep
//! out who can change bytes on their way: for that there is TLS.

mod channel;
mod codec;
mod game;
mod master;
mod message;
mod proof;
mod registry;
mod workload;

use std::time::Duration;

pub use channel::LinkError;
pub use codec::CodecError;
pub use game::{GameEnd, GameEvent};
pub use master::{MasterEnd, MasterEvent};
pub use message::{Addresses, Identity, MAX_NAME_BYTES, News, Registration, State, Status};
pub use proof::Key;
pub use registry::{LinkId, MAX_GAME_SERVERS, Refusal, Registry};
pub use workload::{Controller, LOAD_LEVELS, LevelBound, LoadInput, Measured, Workload};

/// Bytes of a random number that makes each proof another one.
pub const NONCE_BYTES: usize = 32;
/// Largest frame of a registered game server.
pub const MAX_FRAME_BYTES: usize = 4 << 20;
/// Largest frame before that.
pub const MAX_HANDSHAKE_BYTES: usize = 4 << 10;
/// Pings that may be missing before a link is lost.
const PINGS_MISSING: u32 = 4;
/// An end that pings more rarely is not waited for.
const PING_INTERVAL_AT_MOST: Duration = Duration::from_secs(60);
/// Time for a link to come up.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What both ends of an installation share.
#[derive(Clone, Debug)]
pub struct Config {
    /// Knowing it lets a game server in.
    pub key: Key,
    /// Silence of our own after which we ping. The link is lost when four pings of the slower end did not come.
    pub ping_interval: Duration,
}
