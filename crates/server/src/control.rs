//! How an operator talks with a running server: a Unix socket of its user alone, a line of JSON for a line of JSON.
//!
//! ```text
//! {"command":"status"}      -> {"status":{...}}
//! {"command":"reload"}      -> {"reload":{...}}
//! ```

pub(crate) mod plane;
mod recent;
mod socket;
mod status;

pub use plane::Operator;
pub use recent::{RECENT_LINES, Recent};
pub use socket::{Answer, AskError, Request, Socket, SocketError, ask, socket_path};
pub use status::{CertificateStatus, Line, Reloaded, Renewal, Status};
