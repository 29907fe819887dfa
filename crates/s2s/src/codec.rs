//! Frames to messages and back.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use lampyris_realtime::report::RoomReport;
use lampyris_realtime::room::request::RoomFlags;
use lampyris_wire::{Hashtable, Limits, Protocol, Value};

use crate::message::{Addresses, Identity, MAX_NAME_BYTES, News, Registration, State, Status};
use crate::proof::PROOF_BYTES;
use crate::{Config, LOAD_LEVELS, MAX_FRAME_BYTES, NONCE_BYTES};

const MAGIC: [u8; 4] = *b"LS2S";
/// Ends of different ones cannot talk.
pub(crate) const MAJOR: u8 = 1;
/// Ends whose minor versions differ by more than one cannot talk.
pub(crate) const MINOR: u8 = 0;

/// Where a frame's length ends.
pub(crate) const LENGTH_BYTES: usize = 4;
/// Reports of one frame; a receiver's work between two looks at its other sockets.
const MAX_REPORTS: usize = 4096;
/// A frame that has so much is full.
const FULL_FRAME_BYTES: usize = 64 << 10;
/// Longest name of a room or user.
const MAX_TEXT_BYTES: usize = 65_535;
/// Most users in a list of expected ones.
const MAX_USERS: usize = 65_535;
/// Longest text for people.
const MAX_REASON_BYTES: usize = 1024;

const HELLO: u8 = 1;
const CHALLENGE: u8 = 2;
const REGISTER: u8 = 3;
const WELCOME: u8 = 4;
const REPORTS: u8 = 5;
const SYNCED: u8 = 6;
const STATUS: u8 = 7;
const LEAVING: u8 = 8;
const GOODBYE: u8 = 9;
const PING: u8 = 10;
const REFUSED: u8 = 255;

const CREATED: u8 = 1;
const PROPERTIES_CHANGED: u8 = 2;
const ACTOR_JOINED: u8 = 3;
const ACTOR_INACTIVE: u8 = 4;
const ACTOR_LEFT: u8 = 5;
const JOIN_FAILED: u8 = 6;
const EXPECTED_USERS: u8 = 7;
const EXCLUDED: u8 = 8;
const CLOSED: u8 = 9;

/// The values of a report come from rooms, which have limits of their own; these bound memory.
const TABLE_LIMITS: Limits = Limits {
    message_bytes: MAX_FRAME_BYTES,
    values: 1 << 20,
    string_bytes: MAX_FRAME_BYTES,
    custom_bytes: MAX_FRAME_BYTES,
    ..Limits::DEFAULT
};

/// Why a frame could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The frame ends within a field.
    #[error("expected {0}, found the end of the frame")]
    Short(&'static str),
    /// Something else than expected.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// More than there may be.
    #[error("expected at most {limit} {what}, found {found}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much there may be.
        limit: usize,
        /// How much there is.
        found: usize,
    },
    /// A table of properties is malformed or has no form.
    #[error("a table of properties: {0}")]
    Table(String),
}

type Result<T> = std::result::Result<T, CodecError>;

/// Both ends begin with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) major: u8,
    pub(crate) minor: u8,
    pub(crate) nonce: [u8; NONCE_BYTES],
    /// How often this end pings.
    pub(crate) ping_interval: Duration,
}

impl Hello {
    pub(crate) fn new(nonce: [u8; NONCE_BYTES], config: &Config) -> Self {
        Self { major: MAJOR, minor: MINOR, nonce, ping_interval: config.ping_interval }
    }

    /// Whether the ends understand each other.
    pub(crate) fn is_compatible(&self) -> bool {
        self.major == MAJOR && self.minor.abs_diff(MINOR) <= 1
    }
}

/// From a game server.
#[derive(Debug, PartialEq)]
pub(crate) enum FromGame {
    Hello(Hello),
    /// The registration as it came, because the proof covers its bytes.
    Register {
        proof: [u8; PROOF_BYTES],
        signed: Vec<u8>,
        registration: Box<Registration>,
    },
    News(News),
    Ping,
    /// Of a later version.
    Unknown,
}

/// From a Master.
#[derive(Debug, PartialEq)]
pub(crate) enum FromMaster {
    Challenge(Hello),
    Welcome {
        proof: [u8; PROOF_BYTES],
    },
    Refused(String),
    Goodbye,
    Ping,
    /// Of a later version.
    Unknown,
}

impl FromGame {
    /// Reads kind and fields. `later`: the sender may be of a later version.
    pub(crate) fn read(frame: &[u8], later: bool) -> Result<Self> {
        let mut r = Reader { rest: frame };
        let message = match r.u8("a kind")? {
            HELLO => return r.hello().map(Self::Hello),
            REGISTER => {
                let (proof, signed) = (r.array("a proof")?, r.rest.to_vec());
                Self::Register { proof, signed, registration: Box::new(r.registration()?) }
            }
            REPORTS => Self::News(News::Reports(r.reports(later)?)),
            SYNCED => Self::News(News::Synced),
            STATUS => Self::News(News::Status(r.status()?)),
            LEAVING => Self::News(News::Leaving),
            PING => Self::Ping,
            _ if later => return Ok(Self::Unknown),
            kind => return Err(unexpected("a kind that a game server sends", kind)),
        };
        r.finish(later)?;
        Ok(message)
    }
}

impl FromMaster {
    /// Reads kind and fields. `later`: the sender may be of a later version.
    pub(crate) fn read(frame: &[u8], later: bool) -> Result<Self> {
        let mut r = Reader { rest: frame };
        let message = match r.u8("a kind")? {
            CHALLENGE => return r.hello().map(Self::Challenge),
            WELCOME => Self::Welcome { proof: r.array("a proof")? },
            REFUSED => return r.text("a reason", MAX_REASON_BYTES).map(|text| Self::Refused(text.to_string())),
            GOODBYE => Self::Goodbye,
            PING => Self::Ping,
            _ if later => return Ok(Self::Unknown),
            kind => return Err(unexpected("a kind that a Master sends", kind)),
        };
        r.finish(later)?;
        Ok(message)
    }
}

/// Appends a length and what `write` appends. Nothing is appended if that fails or is too long.
fn sized(out: &mut Vec<u8>, what: &'static str, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    let written = write(out).and_then(|()| length(out.len() - start - LENGTH_BYTES, MAX_FRAME_BYTES, what));
    match written {
        Ok(length) => {
            let place = out.iter_mut().skip(start);
            place.zip(length.to_be_bytes()).for_each(|(place, byte)| *place = byte);
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    sized(out, "bytes of a frame", |out| {
        out.push(kind);
        write(out)
    })
}

fn plain(out: &mut Vec<u8>, kind: u8) {
    out.extend_from_slice(&[0, 0, 0, 1, kind]);
}

pub(crate) fn write_hello(out: &mut Vec<u8>, hello: &Hello) {
    hello_frame(out, HELLO, hello);
}

pub(crate) fn write_challenge(out: &mut Vec<u8>, hello: &Hello) {
    hello_frame(out, CHALLENGE, hello);
}

fn hello_frame(out: &mut Vec<u8>, kind: u8, hello: &Hello) {
    const LENGTH: u8 = 1 + 4 + 2 + 32 + 4;
    let ping_ms = u32::try_from(hello.ping_interval.as_millis()).unwrap_or(u32::MAX);
    out.extend_from_slice(&[0, 0, 0, LENGTH, kind]);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[hello.major, hello.minor]);
    out.extend_from_slice(&hello.nonce);
    out.extend_from_slice(&ping_ms.to_be_bytes());
}

/// The bytes of a registration, which the proof covers.
pub(crate) fn registration_bytes(registration: &Registration) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let Registration { identity, name, addresses, priority, status } = registration;
    out.extend_from_slice(&identity.0);
    put_text(&mut out, name, MAX_NAME_BYTES)?;
    put_optional(&mut out, addresses.ipv4.map(|ip| ip.octets()).as_ref().map(<[u8; 4]>::as_slice));
    put_optional(&mut out, addresses.ipv6.map(|ip| ip.octets()).as_ref().map(<[u8; 16]>::as_slice));
    put_text(&mut out, addresses.host.as_deref().unwrap_or_default(), MAX_NAME_BYTES)?;
    for port in [addresses.udp, addresses.tcp, addresses.ws, addresses.wss] {
        out.extend_from_slice(&port.map_or(0, NonZeroU16::get).to_be_bytes());
    }
    put_text(&mut out, &addresses.path, MAX_NAME_BYTES)?;
    out.push(*priority);
    put_status(&mut out, status);
    Ok(out)
}

pub(crate) fn write_register(out: &mut Vec<u8>, proof: &[u8; PROOF_BYTES], registration: &[u8]) -> Result<()> {
    frame(out, REGISTER, |out| {
        out.extend_from_slice(proof);
        out.extend_from_slice(registration);
        Ok(())
    })
}

pub(crate) fn write_welcome(out: &mut Vec<u8>, proof: &[u8; PROOF_BYTES]) -> Result<()> {
    frame(out, WELCOME, |out| {
        out.extend_from_slice(proof);
        Ok(())
    })
}

/// Text that is too long is cut.
pub(crate) fn write_refused(out: &mut Vec<u8>, reason: &str) -> Result<()> {
    let end = reason.floor_char_boundary(MAX_REASON_BYTES);
    let reason: String = reason.get(..end).unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    frame(out, REFUSED, |out| put_text(out, &reason, MAX_REASON_BYTES))
}

pub(crate) fn write_goodbye(out: &mut Vec<u8>) {
    plain(out, GOODBYE);
}

pub(crate) fn write_ping(out: &mut Vec<u8>) {
    plain(out, PING);
}

/// Appends news, reports in as many frames as they need. Gives how many reports have no form and were left out.
pub(crate) fn write_news(out: &mut Vec<u8>, news: &News) -> u64 {
    match news {
        News::Reports(reports) => return write_reports(out, reports),
        News::Synced => plain(out, SYNCED),
        News::Leaving => plain(out, LEAVING),
        News::Status(status) => {
            // A status is of fixed length and cannot be too long.
            let _ = frame(out, STATUS, |out| {
                put_status(out, status);
                Ok(())
            });
        }
    }
    0
}

fn write_reports(out: &mut Vec<u8>, mut reports: &[(Arc<str>, RoomReport)]) -> u64 {
    let mut left_out = 0;
    while !reports.is_empty() {
        let mut taken = 0;
        let _ = frame(out, REPORTS, |out| {
            let start = out.len();
            for (name, report) in reports.iter().take(MAX_REPORTS) {
                let before = out.len();
                let written = put_text(out, name, MAX_TEXT_BYTES)
                    .and_then(|()| sized(out, "bytes of a report", |out| put_report(out, report)));
                if written.is_err() || out.len() - before >= MAX_FRAME_BYTES {
                    out.truncate(before);
                    left_out += 1;
                } else if out.len() - start >= MAX_FRAME_BYTES {
                    // It goes into the next frame.
                    out.truncate(before);
                    break;
                }
                taken += 1;
                if out.len() - start >= FULL_FRAME_BYTES {
                    break;
                }
            }
            Ok(())
        });
        reports = reports.get(taken..).unwrap_or_default();
    }
    left_out
}

fn put_report(out: &mut Vec<u8>, report: &RoomReport) -> Result<()> {
    let mut user = |kind: u8, actor: Option<i32>, user: &str| {
        out.push(kind);
        if let Some(actor) = actor {
            out.extend_from_slice(&actor.to_be_bytes());
        }
        put_text(out, user, MAX_TEXT_BYTES)
    };
    match report {
        RoomReport::ActorJoined { actor, user_id, rejoined } => {
            user(ACTOR_JOINED, Some(*actor), user_id)?;
            out.push(u8::from(*rejoined));
        }
        RoomReport::ActorInactive { actor, user_id } => user(ACTOR_INACTIVE, Some(*actor), user_id)?,
        RoomReport::ActorLeft { actor, user_id } => user(ACTOR_LEFT, Some(*actor), user_id)?,
        RoomReport::JoinFailed { user_id } => user(JOIN_FAILED, None, user_id)?,
        RoomReport::Excluded { user_id } => user(EXCLUDED, None, user_id)?,
        RoomReport::Created { flags, lobby_name, lobby_type, properties } => {
            out.push(CREATED);
            out.extend_from_slice(&flags.0.to_be_bytes());
            out.push(u8::from(lobby_name.is_some()));
            put_text(out, lobby_name.as_deref().unwrap_or_default(), MAX_TEXT_BYTES)?;
            out.push(*lobby_type);
            put_table(out, properties)?;
        }
        RoomReport::PropertiesChanged(changes) => {
            out.push(PROPERTIES_CHANGED);
            put_table(out, changes)?;
        }
        RoomReport::ExpectedUsers(users) => {
            out.push(EXPECTED_USERS);
            let count = length(users.len(), MAX_USERS, "expected users")?;
            out.extend_from_slice(&count.to_be_bytes());
            users.iter().try_for_each(|user| put_text(out, user, MAX_TEXT_BYTES))?;
        }
        RoomReport::Closed => out.push(CLOSED),
    }
    Ok(())
}

fn put_status(out: &mut Vec<u8>, status: &Status) {
    let state = match status.state {
        State::Normal => 0,
        State::OutOfRotation => 1,
        State::Offline => 2,
    };
    out.extend_from_slice(&[state, status.load_level]);
    out.extend_from_slice(&status.peers.to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str, limit: usize) -> Result<()> {
    let found = text.len();
    let too_much = || CodecError::TooMuch { what: "bytes of a text", limit, found };
    let length = u16::try_from(found).ok().filter(|_| found <= limit).ok_or_else(too_much)?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn put_optional(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.push(u8::from(bytes.is_some()));
    out.extend_from_slice(bytes.unwrap_or_default());
}

fn put_table(out: &mut Vec<u8>, table: &Hashtable) -> Result<()> {
    let value = Value::from(table.clone());
    sized(out, "bytes of properties", |out| {
        Protocol::GpBinaryV18.encode_value(&value, out).map_err(|error| CodecError::Table(error.to_string()))
    })
}

fn length(found: usize, limit: usize, what: &'static str) -> Result<u32> {
    let fits = u32::try_from(found).ok().filter(|_| found <= limit);
    fits.ok_or(CodecError::TooMuch { what, limit, found })
}

fn unexpected(expected: &'static str, found: impl ToString) -> CodecError {
    CodecError::Unexpected { expected, found: found.to_string() }
}

/// A checked cursor over one frame.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CodecError::Short(what))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(CodecError::Short(what))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8> {
        self.array(what).map(|[byte]| byte)
    }

    fn u16(&mut self, what: &'static str) -> Result<u16> {
        self.array(what).map(u16::from_be_bytes)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32> {
        self.array(what).map(u32::from_be_bytes)
    }

    fn size(&mut self, what: &'static str, limit: usize) -> Result<usize> {
        let size = self.u32(what)?;
        let found = usize::try_from(size).unwrap_or(usize::MAX);
        if found > limit { Err(CodecError::TooMuch { what, limit, found }) } else { Ok(found) }
    }

    fn i32(&mut self, what: &'static str) -> Result<i32> {
        self.array(what).map(i32::from_be_bytes)
    }

    fn bool(&mut self, what: &'static str) -> Result<bool> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(unexpected(what, other)),
        }
    }

    fn text(&mut self, what: &'static str, limit: usize) -> Result<Arc<str>> {
        let found = usize::from(self.u16(what)?);
        if found > limit {
            return Err(CodecError::TooMuch { what, limit, found });
        }
        let bytes = self.take(found, what)?;
        std::str::from_utf8(bytes).map(Arc::from).map_err(|_| unexpected(what, "bytes that are no UTF-8"))
    }

    /// Text that is printed, or told to clients as part of an address.
    fn plain_text(&mut self, what: &'static str) -> Result<Arc<str>> {
        let text = self.text(what, MAX_NAME_BYTES)?;
        match text.chars().find(|c| c.is_control() || c.is_whitespace() && *c != ' ') {
            Some(found) => Err(unexpected(what, format!("the character {found:?} in it"))),
            None => Ok(text),
        }
    }

    fn table(&mut self, what: &'static str) -> Result<Hashtable> {
        let size = self.size("bytes of properties", MAX_FRAME_BYTES)?;
        let bytes = self.take(size, what)?;
        match Protocol::GpBinaryV18.decode_value(bytes, &TABLE_LIMITS) {
            Ok(Value::Hashtable(table)) => Ok(table),
            Ok(_) => Err(CodecError::Table("expected a hashtable, found another value".to_owned())),
            Err(error) => Err(CodecError::Table(error.to_string())),
        }
    }

    fn hello(&mut self) -> Result<Hello> {
        let magic: [u8; MAGIC.len()] = self.array("the magic bytes")?;
        if magic != MAGIC {
            return Err(unexpected("a link between servers", "something else"));
        }
        let (major, minor, nonce) = (self.u8("a version")?, self.u8("a version")?, self.array("a nonce")?);
        let ping_interval = Duration::from_millis(self.u32("a time between pings")?.into());
        Ok(Hello { major, minor, nonce, ping_interval })
    }

    fn registration(&mut self) -> Result<Registration> {
        let identity = Identity(self.array("an identity")?);
        let name = self.plain_text("a name")?;
        let ipv4 = if self.bool("an IPv4 address")? { Some(self.array::<4>("an IPv4 address")?.into()) } else { None };
        let ipv6 = if self.bool("an IPv6 address")? { Some(self.array::<16>("an IPv6 address")?.into()) } else { None };
        let host = self.plain_text("a host name")?;
        if host.contains(['/', ' ', '@', '?', '#']) {
            return Err(unexpected("a host name", format!("{host:?}")));
        }
        let mut port = || self.u16("a port").map(NonZeroU16::new);
        let (udp, tcp, ws, wss) = (port()?, port()?, port()?, port()?);
        let path = self.plain_text("a path")?;
        let host = Some(host).filter(|host| !host.is_empty());
        let addresses = Addresses { ipv4, ipv6, host, udp, tcp, ws, wss, path };
        Ok(Registration { identity, name, addresses, priority: self.u8("a priority")?, status: self.status()? })
    }

    fn status(&mut self) -> Result<Status> {
        let state = match self.u8("a state")? {
            0 => State::Normal,
            1 => State::OutOfRotation,
            2 => State::Offline,
            other => return Err(unexpected("a state from 0 to 2", other)),
        };
        let load_level = self.u8("a load level")?;
        if load_level >= LOAD_LEVELS {
            return Err(unexpected("a load level from 0 to 9", load_level));
        }
        Ok(Status { state, load_level, peers: self.u32("a number of peers")? })
    }

    fn reports(&mut self, later: bool) -> Result<Vec<(Arc<str>, RoomReport)>> {
        let mut reports = Vec::new();
        while !self.rest.is_empty() {
            if reports.len() >= MAX_REPORTS {
                let (what, limit, found) = ("reports of a frame", MAX_REPORTS, reports.len() + 1);
                return Err(CodecError::TooMuch { what, limit, found });
            }
            let name = self.text("the name of a room", MAX_TEXT_BYTES)?;
            let size = self.size("bytes of a report", MAX_FRAME_BYTES)?;
            let mut r = Reader { rest: self.take(size, "a report")? };
            if let Some(report) = r.report(later)? {
                r.finish(later)?;
                reports.push((name, report));
            }
        }
        Ok(reports)
    }

    fn user(&mut self) -> Result<Arc<str>> {
        self.text("a user id", MAX_TEXT_BYTES)
    }

    /// `None` for one that only later versions have.
    fn report(&mut self, later: bool) -> Result<Option<RoomReport>> {
        const ACTOR: &str = "an actor number";
        Ok(Some(match self.u8("a kind of report")? {
            CREATED => {
                let flags = RoomFlags(self.i32("room options")?);
                let named = self.bool("the name of a lobby")?;
                let lobby_name = Some(self.text("the name of a lobby", MAX_TEXT_BYTES)?).filter(|_| named);
                let (lobby_type, properties) = (self.u8("the type of a lobby")?, self.table("properties")?);
                RoomReport::Created { flags, lobby_name, lobby_type, properties }
            }
            PROPERTIES_CHANGED => RoomReport::PropertiesChanged(self.table("properties")?),
            ACTOR_JOINED => {
                let (actor, user_id) = (self.i32(ACTOR)?, self.user()?);
                RoomReport::ActorJoined { actor, user_id, rejoined: self.bool("a flag")? }
            }
            ACTOR_INACTIVE => RoomReport::ActorInactive { actor: self.i32(ACTOR)?, user_id: self.user()? },
            ACTOR_LEFT => RoomReport::ActorLeft { actor: self.i32(ACTOR)?, user_id: self.user()? },
            JOIN_FAILED => RoomReport::JoinFailed { user_id: self.user()? },
            EXPECTED_USERS => {
                let count = self.size("expected users", MAX_USERS)?;
                RoomReport::ExpectedUsers((0..count).map(|_| self.user()).collect::<Result<_>>()?)
            }
            EXCLUDED => RoomReport::Excluded { user_id: self.user()? },
            CLOSED => RoomReport::Closed,
            _ if later => return Ok(None),
            other => return Err(unexpected("a kind of report", other)),
        }))
    }

    /// Later versions have more fields.
    fn finish(&self, later: bool) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            _ if later => Ok(()),
            more => Err(unexpected("the end of the frame", format!("{more} more bytes"))),
        }
    }
}
