//! WebSocket: RFC 6455 without extensions, and the two sessions on top of it (transports.md, sections 5 and 6).
//!
//! | sub-protocol | messages | session begins with |
//! | --- | --- | --- |
//! | `GpBinaryV16`, `GpBinaryV18` | one bare message per binary message | the init response, pushed right after the upgrade; with `xInit` in the query a framed init comes first |
//! | `Json`, or none | one `~m~LENGTH~m~` frame per text message | a session id, pushed right after the upgrade |
//!
//! [`Codec`] is the plain protocol. [`ServerConnection`] and [`ClientConnection`] add upgrade, session and deadlines.

mod client;
mod codec;
mod frame;
mod json;
mod route;
mod server;
mod upgrade;

use std::time::Duration;

use lampyris_wire::Limits;

use crate::CloseCause;

pub use client::{Address, ClientConnection};
pub use codec::{Codec, Event, MessageLimits};
pub use frame::{MAX_CONTROL_BYTES, Opcode, Role, close_payload, write_frame, write_head, write_masked_frame};
pub use json::write_json_frame;
pub use route::{Pattern, Route};
pub use server::ServerConnection;
pub use upgrade::{accept_key, write_switching_protocols};

/// Close codes of RFC 6455, section 7.4.1.
pub mod close_code {
    /// All is done.
    pub const NORMAL: u16 = 1000;
    /// This side goes away, or gave up waiting.
    pub const GOING_AWAY: u16 = 1001;
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// Text where binary is spoken, or the reverse.
    pub const UNSUPPORTED_DATA: u16 = 1003;
    /// Stands for no code; never sent.
    pub const NONE: u16 = 1005;
    /// Text that is no UTF-8.
    pub const INVALID_DATA: u16 = 1007;
    /// A message over the limit.
    pub const TOO_BIG: u16 = 1009;
    /// A fault of ours.
    pub const INTERNAL_ERROR: u16 = 1011;
}

/// How long the peer may take to answer a close frame.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What all connections of a listener share.
#[derive(Clone, Debug)]
pub struct Config {
    /// `message_bytes` bounds a message with all its fragments, the rest holds when a token is read.
    pub limits: Limits,
    /// Most fragments of a message.
    pub fragments: u32,
    /// A connection that receives nothing for so long, pongs included, or is not open after so long, is closed.
    pub inactivity: Duration,
    /// Server side: the paths that are served; the first that matches counts.
    pub routes: Vec<Route>,
}

impl Default for Config {
    /// The timeouts of the reference product.
    fn default() -> Self {
        Self {
            limits: Limits::DEFAULT,
            fragments: MessageLimits::default().fragments,
            inactivity: Duration::from_secs(10),
            routes: vec![Route::every_path()],
        }
    }
}

impl Config {
    /// The first route that serves a path, with its place in the list.
    #[must_use]
    pub fn route(&self, path: &str) -> Option<(usize, &Route)> {
        self.routes.iter().enumerate().find(|(_, route)| route.pattern.matches(path))
    }

    fn message_limits(&self) -> MessageLimits {
        MessageLimits { bytes: self.limits.message_bytes, fragments: self.fragments }
    }
}

/// Why a connection must be closed, in the words of its close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} (close code {code})")]
pub struct Failure {
    /// One of [`close_code`].
    pub code: u16,
    /// What was wrong.
    pub text: &'static str,
}

impl Failure {
    pub(crate) const fn protocol(text: &'static str) -> Self {
        Self { code: close_code::PROTOCOL_ERROR, text }
    }

    pub(crate) const fn invalid_utf8() -> Self {
        Self { code: close_code::INVALID_DATA, text: "text that is no UTF-8" }
    }

    pub(crate) const fn too_big(text: &'static str) -> Self {
        Self { code: close_code::TOO_BIG, text }
    }

    fn into_cause(self) -> CloseCause {
        match self.code {
            close_code::TOO_BIG => CloseCause::Limit(self.text),
            _ => CloseCause::Violation(format!("WebSocket: {}", self.text)),
        }
    }
}

/// A close code for what ends a connection, and the text for its close frame.
fn close_frame_for(cause: &CloseCause) -> (u16, String) {
    let code = match cause {
        CloseCause::Violation(_) => close_code::PROTOCOL_ERROR,
        CloseCause::Limit(_) => close_code::TOO_BIG,
        CloseCause::Timeout(_) => close_code::GOING_AWAY,
        _ => close_code::NORMAL,
    };
    (code, cause.to_string())
}
