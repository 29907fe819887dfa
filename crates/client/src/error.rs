//! What can go wrong, by whose fault.

use lampyris_transport::CloseCause;
use lampyris_transport::udp::SendError;
use lampyris_wire::{DecodeError, EncodeError};

use crate::{AddressError, State};

/// Why a call did nothing: the caller's fault, or a connection that is too slow.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The call makes no sense now.
    #[error("expected {expected}, found the client {found:?}")]
    State {
        /// Where it would make sense.
        expected: &'static str,
        /// Where the client is.
        found: State,
    },
    /// A value has no form in the client's serialization.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The transport did not take the message.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The message is to be encrypted, and there is no key for it.
    #[error("the message is to be encrypted, but the connection has no key")]
    NoKey,
}

/// Why a client is no longer connected.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DisconnectCause {
    /// The application asked for it.
    #[error("disconnected by the application")]
    Application,
    /// The server refused the client.
    #[error("the server refused operation {operation}: {code} {message}")]
    Refused {
        /// The operation that was refused.
        operation: u8,
        /// Return code.
        code: i16,
        /// The server's text.
        message: String,
    },
    /// The server said why it ends the connection.
    #[error("the server ended the connection: {code} {message}")]
    Server {
        /// Return code.
        code: i16,
        /// The server's text.
        message: String,
    },
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Violation(String),
    /// The connection ended, or could not be made.
    #[error(transparent)]
    Transport(CloseCause),
    /// The server did not answer in time.
    #[error("the server did not finish the login in time")]
    OpeningTimeout,
    /// The configuration allows no connection.
    #[error("the connection has no form: {0}")]
    Config(EncodeError),
}

impl From<DecodeError> for DisconnectCause {
    fn from(error: DecodeError) -> Self {
        Self::Violation(error.to_string())
    }
}

impl From<AddressError> for DisconnectCause {
    fn from(error: AddressError) -> Self {
        Self::Violation(error.to_string())
    }
}
