//! Datagrams and the commands in them (transports.md, sections 3.1 to 3.3). All integers are big-endian.
//!
//! | offset | size | datagram header |
//! |---|---|---|
//! | 0 | 2 | peer id: `FFFF` or `FFFE` before the server assigned one; 0 from the server |
//! | 2 | 1 | `00` plain, `CC` with checksum, `01` encrypted |
//! | 3 | 1 | number of commands |
//! | 4 | 4 | sender's time in milliseconds |
//! | 8 | 4 | challenge |
//! | 12 | 4 | checksum, only with `CC` |
//!
//! | offset | size | command header |
//! |---|---|---|
//! | 0 | 1 | type |
//! | 1 | 1 | channel, `FF` = control |
//! | 2 | 1 | bit 0 reliable, bit 1 unsequenced |
//! | 3 | 1 | `04`; the reason in a disconnect |
//! | 4 | 4 | size of the whole command |
//! | 8 | 4 | reliable sequence number |

use std::ops::Range;

use super::crc;

/// Bytes of a datagram before its commands, the checksum aside.
pub const HEADER_BYTES: usize = 12;
/// Bytes that the checksum adds.
pub const CRC_BYTES: usize = 4;
/// Bytes of every command before what its type adds.
pub const COMMAND_HEADER_BYTES: usize = 12;
/// The channel of the connection itself.
pub const CONTROL_CHANNEL: u8 = 0xFF;
/// The peer id of a client that was not assigned one.
pub const UNASSIGNED_PEER_ID: u16 = 0xFFFF;
/// The same of a client that asks for server tracing.
pub const TRACING_PEER_ID: u16 = 0xFFFE;
/// Most commands in one datagram that we write: clients log an error above it.
pub const MAX_COMMANDS_SENT: u8 = 100;
/// Most commands in one datagram that we read. A full datagram of 1,400 bytes holds 115 of the smallest.
pub const MAX_COMMANDS_RECEIVED: u8 = 128;
/// The reserved byte of every command but disconnect.
pub const RESERVED: u8 = 4;
/// Command flag: wants an acknowledgement.
pub const RELIABLE: u8 = 1;
/// Command flag: any order will do.
pub const UNSEQUENCED: u8 = 2;

const FLAGS_PLAIN: u8 = 0x00;
const FLAGS_ENCRYPTED: u8 = 0x01;
const FLAGS_CRC: u8 = 0xCC;
const ACK_BYTES: usize = 8;
const FRAGMENT_BYTES: usize = 20;
/// Bytes of the payload of connect and verifyConnect.
pub const CONNECT_BYTES: usize = 32;

/// How a connection's datagrams are protected. An encrypted form would be a third.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Not at all.
    Plain,
    /// By a checksum.
    Crc,
}

impl Protection {
    /// Bytes before the first command.
    #[must_use]
    pub const fn header_bytes(self) -> usize {
        match self {
            Self::Plain => HEADER_BYTES,
            Self::Crc => HEADER_BYTES + CRC_BYTES,
        }
    }
}

/// Why a whole datagram was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatagramError {
    /// Shorter than its header.
    #[error("expected a header of {expected} bytes, found {found} bytes")]
    Truncated {
        /// Bytes that the header takes.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// The peer encrypts its datagrams, which was not agreed on.
    #[error("expected a datagram in clear, found an encrypted one")]
    Encrypted,
    /// Not a form of datagram.
    #[error("expected datagram flags 00, 01 or cc, found {0:02x}")]
    Flags(u8),
    /// The number of commands makes no sense.
    #[error("expected 1 to {MAX_COMMANDS_RECEIVED} commands, found {0}")]
    CommandCount(u8),
    /// Damaged on the way.
    #[error("expected checksum {expected:08x}, found {found:08x}")]
    Checksum {
        /// Of the bytes that came.
        expected: u32,
        /// In the header.
        found: u32,
    },
}

/// Why the rest of a datagram was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The header says more commands than there are.
    #[error("expected a command at byte {at}, found {found} bytes left")]
    Truncated {
        /// Offset in the datagram.
        at: usize,
        /// Bytes left there.
        found: usize,
    },
    /// The size field is below the header of its type or beyond the datagram.
    #[error("command of type {kind} at byte {at}: expected {minimum} to {maximum} bytes, found size {found}")]
    Size {
        /// Offset in the datagram.
        at: usize,
        /// The command's type byte.
        kind: u8,
        /// Bytes that a command of this type takes at least.
        minimum: usize,
        /// Bytes left in the datagram.
        maximum: usize,
        /// The size field.
        found: u32,
    },
}

/// The header of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Assigned id, [`UNASSIGNED_PEER_ID`], [`TRACING_PEER_ID`], or 0 from a server.
    pub peer_id: u16,
    /// Form of the datagram.
    pub protection: Protection,
    /// Sender's clock, wraps around.
    pub sent_ms: i32,
    /// The random number that the client chose for the connection.
    pub challenge: u32,
}

/// A datagram whose header, and checksum if it has one, were found right.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Its header.
    pub header: Header,
    /// How many commands it says it has.
    pub command_count: u8,
    bytes: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// What is wrong with the datagram as a whole.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DatagramError> {
        let truncated = |expected| DatagramError::Truncated { expected, found: bytes.len() };
        let Some(&[id_high, id_low, flags, command_count, s0, s1, s2, s3, c0, c1, c2, c3]) = bytes.first_chunk() else {
            return Err(truncated(HEADER_BYTES));
        };
        let protection = match flags {
            FLAGS_PLAIN => Protection::Plain,
            FLAGS_CRC => Protection::Crc,
            FLAGS_ENCRYPTED => return Err(DatagramError::Encrypted),
            other => return Err(DatagramError::Flags(other)),
        };
        if protection == Protection::Crc {
            let found = u32_at(bytes, HEADER_BYTES).ok_or_else(|| truncated(protection.header_bytes()))?;
            let expected = checksum(bytes);
            if expected != found {
                return Err(DatagramError::Checksum { expected, found });
            }
        }
        if !(1..=MAX_COMMANDS_RECEIVED).contains(&command_count) {
            return Err(DatagramError::CommandCount(command_count));
        }
        let header = Header {
            peer_id: u16::from_be_bytes([id_high, id_low]),
            protection,
            sent_ms: i32::from_be_bytes([s0, s1, s2, s3]),
            challenge: u32::from_be_bytes([c0, c1, c2, c3]),
        };
        Ok(Self { header, command_count, bytes })
    }

    /// The commands, each with the place of its payload in the datagram. Ends at the first error.
    #[must_use]
    pub fn commands(&self) -> Commands<'a> {
        Commands { bytes: self.bytes, at: self.header.protection.header_bytes(), left: self.command_count }
    }
}

/// The checksum of a datagram as if its checksum field were zero.
fn checksum(bytes: &[u8]) -> u32 {
    let state = crc::update(crc::START, bytes.get(..HEADER_BYTES).unwrap_or_default());
    let state = crc::update(state, &[0; CRC_BYTES]);
    crc::update(state, bytes.get(HEADER_BYTES + CRC_BYTES..).unwrap_or_default())
}

/// The parameters of a connection, from the payload of connect and verifyConnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectParameters {
    /// The assigned id; 0 in connect.
    pub peer_id: u16,
    /// Largest datagram that the client takes.
    pub mtu: u16,
    /// Channels that the client has, the control channel aside.
    pub channels: u32,
}

impl ConnectParameters {
    /// Reads what matters of the payload; bandwidths, window and throttle are history.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let payload: &[u8; CONNECT_BYTES] = payload.first_chunk()?;
        Some(Self { peer_id: u16_at(payload, 0)?, mtu: u16_at(payload, 2)?, channels: u32_at(payload, 8)? })
    }

    /// The payload as clients write it. A server's answer must not echo the client's bytes: newer clients take offsets
    /// 4 and 12 for features of the server.
    #[must_use]
    pub fn to_bytes(self) -> [u8; CONNECT_BYTES] {
        const WINDOW: u16 = 0x8000;
        const THROTTLE: [u32; 3] = [5_000, 2, 2];
        let mut out = [0; CONNECT_BYTES];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            for (place, byte) in out.iter_mut().skip(at).zip(bytes) {
                *place = *byte;
            }
            at += bytes.len();
        };
        put(&self.peer_id.to_be_bytes());
        put(&self.mtu.to_be_bytes());
        put(&0u16.to_be_bytes());
        put(&WINDOW.to_be_bytes());
        put(&self.channels.to_be_bytes());
        put(&[0; 8]);
        THROTTLE.iter().for_each(|number| put(&number.to_be_bytes()));
        out
    }
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Sequence number of the message's first fragment.
    pub start: u32,
    /// Fragments of the message.
    pub count: u32,
    /// This one, from 0.
    pub number: u32,
    /// Bytes of the message.
    pub total_bytes: u32,
    /// Where in the message this fragment's bytes begin.
    pub offset: u32,
}

/// What a command is, with the fields that only its type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 1, or 16 for commands of the unsequenced counter: the numbered command has arrived.
    Ack {
        /// Type 16.
        unsequenced: bool,
        /// Sequence number of what arrived.
        acked: u32,
        /// Time in the header of the datagram that brought it.
        sent_ms: i32,
    },
    /// 2: a client wants a connection.
    Connect,
    /// 3: the server assigns a peer id.
    VerifyConnect,
    /// 4: the connection is over; the reserved byte says why.
    Disconnect,
    /// 5: wants nothing but its acknowledgement.
    Ping,
    /// 6: a message, in order.
    Reliable,
    /// 7: a message that may be lost.
    Unreliable {
        /// Its own number; the command's sequence is that of the reliable command before it.
        number: u32,
    },
    /// 8: a piece of a message, in order.
    Fragment(Part),
    /// 11: a message that may be lost or reordered.
    Unsequenced {
        /// Its own number.
        group: u32,
    },
    /// 12: a ping for the header time of the acknowledgement.
    ServerTime,
    /// 14: a message, in any order.
    ReliableUnsequenced,
    /// 15: a piece of a message, in any order.
    FragmentUnsequenced(Part),
    /// A type that is not ours; skipped by its size.
    Unknown(u8),
}

impl Kind {
    /// The type byte.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ack { unsequenced: false, .. } => 1,
            Self::Ack { unsequenced: true, .. } => 16,
            Self::Connect => 2,
            Self::VerifyConnect => 3,
            Self::Disconnect => 4,
            Self::Ping => 5,
            Self::Reliable => 6,
            Self::Unreliable { .. } => 7,
            Self::Fragment(_) => 8,
            Self::Unsequenced { .. } => 11,
            Self::ServerTime => 12,
            Self::ReliableUnsequenced => 14,
            Self::FragmentUnsequenced(_) => 15,
            Self::Unknown(code) => code,
        }
    }

    /// Bytes of the fields that only this type has.
    #[must_use]
    pub const fn extra_bytes(self) -> usize {
        extra_bytes(self.code())
    }

    /// The type with that byte; `extra` are its own fields.
    fn parse(code: u8, extra: &[u8]) -> Option<Self> {
        Some(match code {
            1 | 16 => Self::Ack {
                unsequenced: code == 16,
                acked: u32_at(extra, 0)?,
                sent_ms: u32_at(extra, 4)?.cast_signed(),
            },
            2 => Self::Connect,
            3 => Self::VerifyConnect,
            4 => Self::Disconnect,
            5 => Self::Ping,
            6 => Self::Reliable,
            7 => Self::Unreliable { number: u32_at(extra, 0)? },
            8 => Self::Fragment(Part::parse(extra)?),
            11 => Self::Unsequenced { group: u32_at(extra, 0)? },
            12 => Self::ServerTime,
            14 => Self::ReliableUnsequenced,
            15 => Self::FragmentUnsequenced(Part::parse(extra)?),
            other => Self::Unknown(other),
        })
    }
}

const fn extra_bytes(code: u8) -> usize {
    match code {
        1 | 16 => ACK_BYTES,
        7 | 11 => 4,
        8 | 15 => FRAGMENT_BYTES,
        _ => 0,
    }
}

impl Part {
    fn parse(extra: &[u8]) -> Option<Self> {
        Some(Self {
            start: u32_at(extra, 0)?,
            count: u32_at(extra, 4)?,
            number: u32_at(extra, 8)?,
            total_bytes: u32_at(extra, 12)?,
            offset: u32_at(extra, 16)?,
        })
    }
}

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// Type and the fields of the type.
    pub kind: Kind,
    /// Channel, or [`CONTROL_CHANNEL`].
    pub channel: u8,
    /// [`RELIABLE`] and [`UNSEQUENCED`].
    pub flags: u8,
    /// [`RESERVED`], or why the connection is over.
    pub reserved: u8,
    /// Number in the counter that the type uses.
    pub sequence: u32,
    /// What follows the headers.
    pub payload: &'a [u8],
}

/// Iterator over the commands of a datagram.
#[derive(Clone, Debug)]
pub struct Commands<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u8,
}

impl<'a> Commands<'a> {
    fn read(&mut self) -> Result<(Range<usize>, Command<'a>), CommandError> {
        let at = self.at;
        let rest = self.bytes.get(at..).unwrap_or_default();
        let Some(&[code, channel, flags, reserved, z0, z1, z2, z3, q0, q1, q2, q3]) = rest.first_chunk() else {
            return Err(CommandError::Truncated { at, found: rest.len() });
        };
        let size = u32::from_be_bytes([z0, z1, z2, z3]);
        let head = COMMAND_HEADER_BYTES + extra_bytes(code);
        let wrong = CommandError::Size { at, kind: code, minimum: head, maximum: rest.len(), found: size };
        let body = usize::try_from(size).ok().and_then(|size| rest.get(..size)).ok_or(wrong)?;
        let extra = body.get(COMMAND_HEADER_BYTES..head).ok_or(wrong)?;
        let payload = body.get(head..).ok_or(wrong)?;
        let kind = Kind::parse(code, extra).ok_or(wrong)?;
        self.at += body.len();
        let sequence = u32::from_be_bytes([q0, q1, q2, q3]);
        Ok((at + head..self.at, Command { kind, channel, flags, reserved, sequence, payload }))
    }
}

impl<'a> Iterator for Commands<'a> {
    type Item = Result<(Range<usize>, Command<'a>), CommandError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let item = self.read();
        if item.is_err() {
            self.left = 0;
        }
        Some(item)
    }
}

/// Appends one datagram to a lent buffer.
#[derive(Debug)]
pub struct DatagramWriter<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    end: usize,
    count: u8,
    protection: Protection,
}

impl<'a> DatagramWriter<'a> {
    /// Starts a datagram of at most `mtu` bytes.
    pub fn new(out: &'a mut Vec<u8>, header: Header, mtu: usize) -> Self {
        let start = out.len();
        let flags = match header.protection {
            Protection::Plain => FLAGS_PLAIN,
            Protection::Crc => FLAGS_CRC,
        };
        out.extend_from_slice(&header.peer_id.to_be_bytes());
        out.extend_from_slice(&[flags, 0]);
        out.extend_from_slice(&header.sent_ms.to_be_bytes());
        out.extend_from_slice(&header.challenge.to_be_bytes());
        if header.protection == Protection::Crc {
            out.extend_from_slice(&[0; CRC_BYTES]);
        }
        Self { out, start, end: start + mtu, count: 0, protection: header.protection }
    }

    /// Appends a command; false if it does not fit.
    pub fn push(&mut self, command: &Command<'_>) -> bool {
        let head = COMMAND_HEADER_BYTES + command.kind.extra_bytes();
        let bytes = head + command.payload.len();
        let Ok(size) = u32::try_from(bytes) else { return false };
        if self.count >= MAX_COMMANDS_SENT || self.out.len() + bytes > self.end {
            return false;
        }
        self.count += 1;
        let [z0, z1, z2, z3] = size.to_be_bytes();
        let [q0, q1, q2, q3] = command.sequence.to_be_bytes();
        let Command { kind, channel, flags, reserved, .. } = *command;
        self.out.extend_from_slice(&[kind.code(), channel, flags, reserved, z0, z1, z2, z3, q0, q1, q2, q3]);
        match kind {
            Kind::Ack { acked, sent_ms, .. } => {
                self.out.extend_from_slice(&acked.to_be_bytes());
                self.out.extend_from_slice(&sent_ms.to_be_bytes());
            }
            Kind::Unreliable { number } | Kind::Unsequenced { group: number } => {
                self.out.extend_from_slice(&number.to_be_bytes());
            }
            Kind::Fragment(part) | Kind::FragmentUnsequenced(part) => {
                for field in [part.start, part.count, part.number, part.total_bytes, part.offset] {
                    self.out.extend_from_slice(&field.to_be_bytes());
                }
            }
            _ => {}
        }
        self.out.extend_from_slice(command.payload);
        true
    }

    /// Fills in the number of commands and the checksum; gives the bytes of the datagram. A datagram without commands
    /// is taken back: 0.
    pub fn finish(self) -> usize {
        if self.count == 0 {
            self.out.truncate(self.start);
            return 0;
        }
        let datagram = self.out.get_mut(self.start..).unwrap_or_default();
        if let Some(count) = datagram.get_mut(3) {
            *count = self.count;
        }
        if self.protection == Protection::Crc {
            let sum = checksum(datagram).to_be_bytes();
            if let Some(place) = datagram.get_mut(HEADER_BYTES..HEADER_BYTES + CRC_BYTES) {
                place.copy_from_slice(&sum);
            }
        }
        datagram.len()
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}
