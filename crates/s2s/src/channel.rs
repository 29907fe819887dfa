//! What both ends have: frames, output, and when each end was heard last.

use std::time::Duration;

use crate::codec::{CodecError, LENGTH_BYTES, MAJOR, MINOR, write_ping};
use crate::{Config, HANDSHAKE_TIMEOUT, MAX_FRAME_BYTES, MAX_HANDSHAKE_BYTES, PING_INTERVAL_AT_MOST, PINGS_MISSING};

/// Why a link ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The other end broke the protocol.
    #[error("the other end does not speak the link's protocol: {0}")]
    Violation(#[from] CodecError),
    /// The other end said something that has no place here.
    #[error("the other end sent {0} out of turn")]
    OutOfTurn(&'static str),
    /// A frame is too long.
    #[error("expected a frame of 1 to {limit} bytes, found {found}")]
    FrameLength {
        /// How long it may be.
        limit: usize,
        /// How long it is.
        found: usize,
    },
    /// The other end is of another time.
    #[error(
        "the other end speaks version {major}.{minor} of the link, this one {MAJOR}.{MINOR}; \
         run versions of the server on both machines that are not more than one apart"
    )]
    Version {
        /// Its major version.
        major: u8,
        /// Its minor version.
        minor: u8,
    },
    /// The other end does not know the secret.
    #[error(
        "the other end does not know this installation's secret; write the same AuthTokenKey and HMACTokenKey into \
         Nameserver.xml.config, Master.xml.config and GameServer.xml.config on every machine"
    )]
    Proof,
    /// The Master refused.
    #[error("the Master refused: {0}")]
    Refused(String),
    /// The handshake took too long.
    #[error("the link was not up within {} s", HANDSHAKE_TIMEOUT.as_secs())]
    HandshakeTimeout,
    /// Nothing was heard for too long.
    #[error("nothing was heard for {} ms", .0.as_millis())]
    Silent(Duration),
    /// The other end said goodbye.
    #[error("the other end said goodbye")]
    Goodbye,
}

/// The state that both ends share.
#[derive(Debug)]
pub(crate) struct Channel {
    input: Vec<u8>,
    /// So many bytes of `input` were read.
    read: usize,
    output: Vec<u8>,
    /// So many bytes of `output` were written.
    written: usize,
    opened: Duration,
    last_sent: Duration,
    last_received: Duration,
    /// Silence of the other end after which the link is lost.
    silence: Duration,
    /// Whether the handshake is over.
    pub(crate) is_up: bool,
}

impl Channel {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            input: Vec::new(),
            read: 0,
            output: Vec::new(),
            written: 0,
            opened: now,
            last_sent: now,
            last_received: now,
            silence: HANDSHAKE_TIMEOUT,
            is_up: false,
        }
    }

    /// The other end is silent for so long at most.
    pub(crate) fn expect_pings(&mut self, own: Duration, other: Duration) {
        self.silence = own.max(other.min(PING_INTERVAL_AT_MOST)).saturating_mul(PINGS_MISSING);
    }

    pub(crate) fn receive(&mut self, now: Duration, input: &[u8]) {
        self.last_received = now;
        self.input.drain(..std::mem::take(&mut self.read));
        self.input.extend_from_slice(input);
    }

    /// The next whole frame, without its length.
    pub(crate) fn frame(&mut self) -> Result<Option<Vec<u8>>, LinkError> {
        let rest = self.input.get(self.read..).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let found = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let limit = if self.is_up { MAX_FRAME_BYTES } else { MAX_HANDSHAKE_BYTES };
        if !(1..=limit).contains(&found) {
            return Err(LinkError::FrameLength { limit, found });
        }
        let Some(frame) = rest.get(..found) else { return Ok(None) };
        let frame = frame.to_vec();
        self.read += LENGTH_BYTES + found;
        Ok(Some(frame))
    }

    /// The buffer that the next frame is written to.
    pub(crate) fn writing(&mut self, now: Duration) -> &mut Vec<u8> {
        self.last_sent = now;
        &mut self.output
    }

    pub(crate) fn output(&self) -> &[u8] {
        self.output.get(self.written..).unwrap_or_default()
    }

    pub(crate) fn consume_output(&mut self, count: usize) {
        self.written = self.written.saturating_add(count);
        if self.written >= self.output.len() {
            self.output.clear();
            self.written = 0;
        }
    }

    pub(crate) fn next_timeout(&self, config: &Config) -> Duration {
        if self.is_up {
            (self.last_sent + config.ping_interval).min(self.last_received + self.silence)
        } else {
            self.opened + HANDSHAKE_TIMEOUT
        }
    }

    /// Pings, or says why the link is lost.
    pub(crate) fn handle_timeout(&mut self, now: Duration, config: &Config) -> Result<(), LinkError> {
        if !self.is_up {
            let over = now >= self.opened + HANDSHAKE_TIMEOUT;
            return if over { Err(LinkError::HandshakeTimeout) } else { Ok(()) };
        }
        if now >= self.last_received + self.silence {
            return Err(LinkError::Silent(self.silence));
        }
        if now >= self.last_sent + config.ping_interval {
            write_ping(self.writing(now));
        }
        Ok(())
    }
}
