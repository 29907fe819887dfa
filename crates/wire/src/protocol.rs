//! The three serializations.

use crate::binary::Binary;
use crate::reader::Reader;
use crate::sink::{Build, Sink};
use crate::v16::V16;
use crate::v18::V18;
use crate::{DecodeError, EncodeError, Limits, Value, json};

/// The serialization that a connection speaks, fixed for its whole life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Binary 1.6, big-endian.
    GpBinaryV16,
    /// Binary 1.8, little-endian with variable-length integers.
    GpBinaryV18,
    /// JSON text, WebSocket only.
    Json,
}

impl Protocol {
    /// Every protocol, in the order of [`Protocol::index`].
    pub const ALL: [Self; 3] = [Self::GpBinaryV16, Self::GpBinaryV18, Self::Json];

    /// A small dense number, for tables with a place per protocol.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name of the protocol as a WebSocket sub-protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GpBinaryV16 => "GpBinaryV16",
            Self::GpBinaryV18 => "GpBinaryV18",
            Self::Json => "Json",
        }
    }

    /// The protocol with that WebSocket sub-protocol name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// Builds the one typed value that `bytes` is; bytes left over are an error.
    ///
    /// # Errors
    /// The first defect, with its offset.
    pub fn decode_value(self, bytes: &[u8], limits: &Limits) -> Result<Value, DecodeError> {
        let mut r = Reader::new(bytes, limits)?;
        let value = self.read_value(&mut r)?;
        r.finish()?;
        Ok(value)
    }

    /// Builds the typed value that `bytes` starts with; gives it and how many bytes it took.
    ///
    /// # Errors
    /// The first defect, with its offset.
    pub fn decode_value_prefix(self, bytes: &[u8], limits: &Limits) -> Result<(Value, usize), DecodeError> {
        let mut r = Reader::new(bytes, limits)?;
        let value = self.read_value(&mut r)?;
        Ok((value, r.offset()))
    }

    /// One value that stands alone; JSON may have white space around it.
    fn read_value(self, r: &mut Reader<'_>) -> Result<Value, DecodeError> {
        r.spend(1)?;
        if self == Self::Json {
            json::space(r);
        }
        let value = self.walk::<Build>(r)?;
        if self == Self::Json {
            json::space(r);
        }
        Ok(value)
    }

    /// Reads one typed value.
    pub(crate) fn walk<S: Sink>(self, r: &mut Reader<'_>) -> Result<S::Value, DecodeError> {
        match self {
            Self::GpBinaryV16 => V16::value::<S>(r),
            Self::GpBinaryV18 => V18::value::<S>(r),
            Self::Json => json::value::<S>(r),
        }
    }

    /// Appends `value`, type code first, in the canonical form.
    ///
    /// # Errors
    /// The value has no form in this protocol or exceeds what its lengths can say; `out` is then as it was before.
    pub fn encode_value(self, value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        let result = match self {
            Self::GpBinaryV16 => V16::put_value(out, value),
            Self::GpBinaryV18 => V18::put_value(out, value),
            Self::Json => json::put_value(out, value),
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}
