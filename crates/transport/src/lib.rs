//! The bytes below the operations: reliable UDP, TCP framing, WebSocket, key exchange and encryption.
//!
//! Everything here is a state machine without sockets, clocks or randomness of its own: it takes bytes and `now`, and
//! gives bytes, [`Incoming`]s and the next deadline. `now` is the time since the process's clock started; it never
//! goes back. The clock that clients see ([`server_time_ms`]) is derived from it, one for all transports.
//!
//! Contract shared by every connection type ([`tcp`], [`ws`], [`udp`]):
//! 1. `receive` takes what arrived and appends to a lent list of [`Incoming`], in order; answers that the transport
//!    itself owes (acknowledgements, pongs, the init response) are queued for output by then.
//! 2. A [`Body::Input`] is a range of the very slice that was given to `receive`; it is valid until the caller reuses
//!    that slice.
//! 3. After [`Incoming::Closed`] nothing more comes, and `receive` ignores its input.

pub mod crypto;
pub mod http;
pub mod init;
pub mod policy;
pub mod proxy;
pub mod tcp;
pub mod udp;
pub mod ws;

#[cfg(test)]
mod golden;

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

pub use http::HttpRequest;
pub use init::Init;

/// How a message was or is to be delivered. The numbers are those of the TCP frame's delivery byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Delivery {
    /// May be lost; never overtakes nor arrives behind a reliable message of its channel.
    Unreliable = 0,
    /// Arrives once and in order.
    Reliable = 1,
    /// May be lost and reordered; never twice.
    UnreliableUnsequenced = 2,
    /// Arrives once, in any order.
    ReliableUnsequenced = 3,
}

/// Where the bytes of a received message are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// In the slice given to `receive`.
    Input(Range<usize>),
    /// In a buffer of their own, because they were reassembled, decrypted or held back.
    Stored(Bytes),
}

impl Body {
    /// The bytes; `input` is the slice that was given to `receive`.
    #[must_use]
    pub fn bytes<'a>(&'a self, input: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Input(range) => input.get(range.clone()).unwrap_or_default(),
            Self::Stored(bytes) => bytes,
        }
    }

    /// The same bytes without the first `count` of them.
    pub(crate) fn without_head(self, count: usize) -> Self {
        match self {
            Self::Input(range) => Self::Input(range.start.saturating_add(count).min(range.end)..range.end),
            Self::Stored(bytes) => Self::Stored(bytes.slice(count.min(bytes.len())..)),
        }
    }
}

/// What a connection tells its owner.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// Server side: the init was read (or stands for itself, as on WebSocket without a token) and the init response is
    /// queued. Client side: the init response has come. Comes once, before any message.
    Opened(Box<Init>),
    /// One whole message: binary with its `F3` head, JSON with its `~j~`. Never an init or init response.
    Message {
        /// Channel, 0 on TCP and WebSocket unless the frame says otherwise.
        channel: u8,
        /// How it came.
        delivery: Delivery,
        /// Its bytes.
        body: Body,
    },
    /// WebSocket listeners, server side: a plain HTTP request, not an upgrade. The owner answers it with
    /// [`ws::ServerConnection::respond_http`]; the connection ends with that.
    Http(Box<HttpRequest>),
    /// The connection is over for this reason. Stream transports: bytes queued so far (a close frame, an HTTP error
    /// answer) should still be written before the socket is closed.
    Closed(CloseCause),
}

/// Why a connection ended. Peer's faults carry what was wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseCause {
    /// The peer said goodbye: UDP disconnect command, WebSocket close frame, end of the TCP stream.
    #[error("closed by the peer")]
    ByPeer,
    /// The peer told us that it gave up waiting for us.
    #[error("the peer timed out waiting for us")]
    PeerTimeout,
    /// Nothing came from the peer, or it acknowledged nothing, for too long.
    #[error("timed out: {0}")]
    Timeout(&'static str),
    /// We closed it.
    #[error("closed by this side: {0}")]
    ByUs(&'static str),
    /// The socket broke.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The peer broke the protocol.
    #[error("protocol violation: {0}")]
    Violation(String),
    /// A limit was reached.
    #[error("limit reached: {0}")]
    Limit(&'static str),
}

/// The millisecond clock that clients see, in all transports of a process: wraps around.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the protocol's clock is the low 32 bits")]
pub fn server_time_ms(now: Duration) -> i32 {
    now.as_millis() as i32
}
