//! The 64 bytes that every event carries, and when it should have been sent.
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | a mark |
//! | 8 | nanoseconds on the generator's clock at which the event was due, big-endian |
//! | 48 | zero |
//!
//! In a raise request and in the event made of it the data is the last parameter, so the payload is the last 64 bytes
//! of either: the generator finds it without decoding, from a server and from a relay alike.

use std::time::Duration;

use anyhow::Result;
use lampyris_realtime::codes::{key, operation};
use lampyris_wire::{Message, OperationRequest, Parameters, Protocol, Value};

/// Length of an event's data.
pub(crate) const PAYLOAD_BYTES: usize = 64;

const MARK: [u8; 8] = *b"lampyris";
const EVENT_CODE: u8 = 1;

/// A raise request whose time can be set again and again.
#[derive(Debug)]
pub(crate) struct RaiseRequest(Vec<u8>);

impl RaiseRequest {
    pub(crate) fn new() -> Result<Self> {
        let mut payload = MARK.to_vec();
        payload.resize(PAYLOAD_BYTES, 0);
        let parameters = Parameters::new()
            .with(key::CODE, Value::Byte(EVENT_CODE))
            .with(key::DATA, Value::ByteArray(payload.into()));
        let request = OperationRequest { code: operation::RAISE_EVENT, parameters };
        let mut bytes = Vec::new();
        Message::OperationRequest(request).encode(Protocol::GpBinaryV18, &mut bytes)?;
        Ok(Self(bytes))
    }

    /// The message of an event that is due at that time.
    pub(crate) fn due_at(&mut self, due: Duration) -> &[u8] {
        let nanoseconds = u64::try_from(due.as_nanos()).unwrap_or(u64::MAX).to_be_bytes();
        if let Some(payload) = self.0.last_chunk_mut::<PAYLOAD_BYTES>()
            && let Some(time) = payload.get_mut(MARK.len()..MARK.len() + nanoseconds.len())
        {
            time.copy_from_slice(&nanoseconds);
        }
        &self.0
    }
}

/// When the event in a message was due; `None` for any other message.
pub(crate) fn due_time(message: &[u8]) -> Option<Duration> {
    let payload = message.last_chunk::<PAYLOAD_BYTES>()?;
    let (mark, rest) = payload.split_first_chunk::<8>()?;
    let time = rest.first_chunk::<8>()?;
    (*mark == MARK).then(|| Duration::from_nanos(u64::from_be_bytes(*time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_request_is_found_at_its_end() {
        let mut request = RaiseRequest::new().unwrap();
        for due in [Duration::from_nanos(1), Duration::from_secs(77)] {
            assert_eq!(due_time(request.due_at(due)), Some(due));
        }
        assert_eq!(due_time(&[0; 100]), None);
        assert_eq!(due_time(&[]), None);
    }
}
