//! A value that is kept and forwarded in its serialized form.

use bytes::Bytes;

use crate::{DecodeError, EncodeError, Limits, Protocol, RawValue, Value};

/// One canonical serialized value; what event caches hold. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct Payload {
    protocol: Protocol,
    bytes: Bytes,
}

impl Payload {
    /// Serializes `value`.
    ///
    /// # Errors
    /// The value has no form in this protocol.
    pub fn encode(protocol: Protocol, value: &Value) -> Result<Self, EncodeError> {
        let mut out = Vec::new();
        protocol.encode_value(value, &mut out)?;
        Ok(Self { protocol, bytes: out.into() })
    }

    /// The protocol of the bytes.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The serialized value, type code first.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same value as a borrowed raw one.
    #[must_use]
    pub fn as_raw(&self) -> RawValue<'_> {
        todo!()
    }

    /// Builds the value.
    ///
    /// # Errors
    /// None for a payload made by this crate, short of a fault of ours.
    pub fn decode(&self) -> Result<Value, DecodeError> {
        self.protocol.decode_value(&self.bytes, &Limits::DEFAULT)
    }
}
