//! Requests that were checked but not built.

use smallvec::SmallVec;

use crate::{DecodeError, Limits, Payload, Protocol, Value};

/// One checked value, still as bytes.
#[derive(Clone, Copy, Debug)]
pub struct RawValue<'a> {
    protocol: Protocol,
    bytes: &'a [u8],
    canonical: bool,
    limits: &'a Limits,
}

impl<'a> RawValue<'a> {
    /// The protocol of the bytes.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The typed value as it came (JSON: its text).
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the bytes are exactly what our encoder would write, so that they may be forwarded untouched.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.canonical
    }

    /// Builds the value.
    ///
    /// # Errors
    /// None for bytes that the skim accepted, short of a fault of ours.
    pub fn decode(&self) -> Result<Value, DecodeError> {
        self.protocol.decode_value(self.bytes, self.limits)
    }

    /// An owned copy that can be kept and forwarded; re-encoded if the bytes are not canonical.
    ///
    /// # Errors
    /// As [`RawValue::decode`].
    pub fn to_payload(&self) -> Result<Payload, DecodeError> {
        todo!()
    }
}

/// The parameter table of a checked request: where each value lies.
#[derive(Clone, Debug)]
pub struct RawParameters<'a> {
    entries: SmallVec<[(u8, RawValue<'a>); 8]>,
}

impl<'a> RawParameters<'a> {
    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: u8) -> Option<RawValue<'a>> {
        self.entries.iter().find(|(k, _)| *k == key).map(|(_, value)| *value)
    }

    /// Entries in wire order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u8, RawValue<'a>)> {
        self.entries.iter().copied()
    }
}

/// A request whose every byte was checked and of which nothing was built.
#[derive(Clone, Debug)]
pub struct RawRequest<'a> {
    /// Whether it is an internal request (key exchange, ping) and not an operation.
    pub internal: bool,
    /// Operation code.
    pub code: u8,
    /// Where its parameters lie.
    pub parameters: RawParameters<'a>,
}

impl<'a> RawRequest<'a> {
    /// Checks the body of a binary request: the bytes after the head, in clear.
    ///
    /// # Errors
    /// The first defect, with its offset.
    pub fn parse_body(
        protocol: Protocol,
        internal: bool,
        body: &'a [u8],
        limits: &'a Limits,
    ) -> Result<Self, DecodeError> {
        let _ = (protocol, internal, body, limits);
        todo!()
    }

    /// Checks a JSON request: the text with its `~j~`.
    ///
    /// # Errors
    /// The first defect, with its offset.
    pub fn parse_json(text: &'a [u8], limits: &'a Limits) -> Result<Self, DecodeError> {
        let _ = (text, limits);
        todo!()
    }
}
