//! Values and messages of the protocol, to bytes and back.
//!
//! Three serializations say the same things: [`Protocol::GpBinaryV16`], [`Protocol::GpBinaryV18`] and
//! [`Protocol::Json`]. A connection speaks one of them for its whole life. This crate knows nothing of
//! connections, rooms or meaning: it turns bytes into [`Value`]s and [`Message`]s and back, within [`Limits`].
//!
//! Two ways to read:
//! * **build** it: [`Protocol::decode_value`], [`Message::decode`] give owned values;
//! * **skim** it: [`RawRequest`] checks every byte and remembers where each parameter lies, so that a payload can be
//!   forwarded as it came ([`RawValue`], [`Payload`]) and only what the server needs is built.

mod binary;
mod error;
mod json;
mod limits;
mod message;
mod payload;
mod protocol;
mod raw;
mod reader;
mod sink;
mod v16;
mod v18;
mod value;

pub mod coerce;

pub use error::{DecodeError, EncodeError};
pub use limits::Limits;
pub use message::{
    Disconnect, Event, EventWriter, Message, MessageHead, MessageKind, OperationRequest, OperationResponse, Parameters,
};
pub use payload::Payload;
pub use protocol::Protocol;
pub use raw::{RawParameters, RawRequest, RawValue};
pub use value::{Dictionary, DictionaryType, Hashtable, TypeCode, Value};
