//! JSON as the JavaScript clients speak it.
//!
//! | JSON | value when read | written from |
//! |---|---|---|
//! | number | double, always | every number |
//! | string | string | string |
//! | `true`, `false`, `null` | bool, null | bool; null, custom types, NaN, infinity |
//! | array | `object[]` | every array, `byte[]` included |
//! | object | hashtable with string keys | hashtable, dictionary |
//!
//! Reading is strict RFC 8259. What is written is pure ASCII, so that its length is the same in bytes and in the
//! UTF-16 units that frame heads count.

mod decode;
mod encode;
mod message;
mod number;
mod text;

pub(crate) use decode::{space, value};
pub(crate) use encode::put_value;
pub(crate) use message::{decode_message, parse_request, put_end, put_event_start, put_message, put_parameter_key};
pub(crate) use text::unescape;
