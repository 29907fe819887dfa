//! Requests that were checked but not built.

use smallvec::SmallVec;

use crate::binary::{self, Binary};
use crate::reader::Reader;
use crate::sink::{Build, Skim};
use crate::v16::V16;
use crate::v18::V18;
use crate::{DecodeError, Limits, Payload, Protocol, Value, json};

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
        if self.canonical {
            return Ok(Payload::from_canonical(self.protocol, self.bytes));
        }
        Ok(Payload::encode(self.protocol, &self.decode()?)?)
    }

    /// Bytes that this crate wrote.
    pub(crate) fn own(protocol: Protocol, bytes: &'a [u8]) -> Self {
        Self { protocol, bytes, canonical: true, limits: &Limits::OWN_BYTES }
    }

    /// Checks the value at the reader's place and steps over it.
    pub(crate) fn skim(protocol: Protocol, r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = r.mark();
        (r.canonical, r.undecided) = (true, false);
        protocol.walk::<Skim>(r)?;
        if r.undecided {
            // Only equality of values can tell whether keys repeat.
            r.rewind(start);
            protocol.walk::<Build>(r)?;
        }
        Ok(Self { protocol, bytes: r.since(start), canonical: r.canonical, limits: r.limits() })
    }
}

/// The parameter table of a checked request: where each value lies.
#[derive(Clone, Debug)]
pub struct RawParameters<'a> {
    entries: SmallVec<[(u8, RawValue<'a>); 8]>,
}

impl<'a> RawParameters<'a> {
    pub(crate) fn new(entries: SmallVec<[(u8, RawValue<'a>); 8]>) -> Self {
        Self { entries }
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

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
    /// Checks the body of a binary request: the bytes after the head, in clear. (JSON text is taken as by
    /// [`RawRequest::parse_json`], which tells for itself whether it is internal.)
    ///
    /// # Errors
    /// The first defect, with its offset.
    pub fn parse_body(
        protocol: Protocol,
        internal: bool,
        body: &'a [u8],
        limits: &'a Limits,
    ) -> Result<Self, DecodeError> {
        match protocol {
            Protocol::GpBinaryV16 => Self::parse::<V16>(protocol, internal, body, limits),
            Protocol::GpBinaryV18 => Self::parse::<V18>(protocol, internal, body, limits),
            Protocol::Json => Self::parse_json(body, limits),
        }
    }

    fn parse<F: Binary>(
        protocol: Protocol,
        internal: bool,
        body: &'a [u8],
        limits: &'a Limits,
    ) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body, limits)?;
        let code = r.u8("an operation code")?;
        let mut entries = SmallVec::new();
        binary::each_parameter::<F>(&mut r, |r, key| {
            entries.push((key, RawValue::skim(protocol, r)?));
            Ok(())
        })?;
        r.finish()?;
        Ok(Self { internal, code, parameters: RawParameters::new(entries) })
    }

    /// Checks a JSON request: the text with its `~j~`.
    ///
    /// # Errors
    /// The first defect, with its offset.
    pub fn parse_json(text: &'a [u8], limits: &'a Limits) -> Result<Self, DecodeError> {
        json::parse_request(text, limits)
    }
}
