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
    /// Bytes that are known to be one canonical value.
    pub(crate) fn from_canonical(protocol: Protocol, bytes: &[u8]) -> Self {
        Self { protocol, bytes: Bytes::copy_from_slice(bytes) }
    }

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
        RawValue::own(self.protocol, &self.bytes)
    }

    /// The same value in `protocol`; built and written again unless it is there already.
    ///
    /// # Errors
    /// The value has no form in `protocol` ([`DecodeError::NotEncodable`]).
    pub fn encode_for(&self, protocol: Protocol) -> Result<Self, DecodeError> {
        if protocol == self.protocol {
            return Ok(self.clone());
        }
        Ok(Self::encode(protocol, &self.decode()?)?)
    }

    /// Builds the value.
    ///
    /// # Errors
    /// None for a payload made by this crate, short of a fault of ours.
    pub fn decode(&self) -> Result<Value, DecodeError> {
        self.protocol.decode_value(&self.bytes, &Limits::OWN_BYTES)
    }
}
