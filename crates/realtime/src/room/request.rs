//! What clients ask of a room, parsed.
//!
//! The join request is the same on the master server and on the game server; each of the two uses the fields that
//! concern it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lampyris_wire::{Hashtable, RawParameters, RawValue, Value, coerce};

use crate::codes::{Refusal, event, key, operation};
use crate::parameters::Fields;
use crate::properties::{self, Usage, room_key};

/// Longest name of a room or a lobby and longest user id, in bytes.
pub const MAX_NAME_BYTES: usize = 1024;
/// Most user ids in one list of expected users.
pub const MAX_EXPECTED_USERS: usize = 1000;
/// The highest lobby type: default, channel, SQL, async random.
pub const MAX_LOBBY_TYPE: u8 = 3;

/// Room options as the clients' bit mask (parameter 191).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RoomFlags(pub i32);

impl RoomFlags {
    /// A user may be in the room once only, and is known by user id.
    pub const CHECK_USER_ON_JOIN: Self = Self(0x01);
    /// A leaver's cached events go with him.
    pub const DELETE_CACHE_ON_LEAVE: Self = Self(0x02);
    /// No events Join and Leave.
    pub const SUPPRESS_ROOM_EVENTS: Self = Self(0x04);
    /// Actors see each other's user id.
    pub const PUBLISH_USER_ID: Self = Self(0x08);
    /// Setting a property to null removes it.
    pub const DELETE_NULL_PROPERTIES: Self = Self(0x10);
    /// The setter of a property gets the event, too.
    pub const BROADCAST_PROPERTIES_TO_ALL: Self = Self(0x20);
    /// No list and no properties of other players.
    pub const SUPPRESS_PLAYER_INFO: Self = Self(0x40);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other` set if `on`.
    #[must_use]
    pub const fn with(self, other: Self, on: bool) -> Self {
        if on { Self(self.0 | other.0) } else { self }
    }

    /// As an operator forces and forbids bits.
    #[must_use]
    pub const fn masked(self, and: Self, or: Self) -> Self {
        Self((self.0 & and.0) | or.0)
    }
}

/// What to do when the room is missing, or the user is in it already (parameter 215).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum JoinMode {
    /// Join as a new actor.
    #[default]
    Default,
    /// Create the room if it is missing, else as default.
    CreateIfNotExists,
    /// Come back if there is an inactive actor, else join as a new one.
    JoinOrRejoin,
    /// Come back only.
    RejoinOnly,
}

impl JoinMode {
    /// Whether it asks to come back.
    #[must_use]
    pub const fn rejoins(self) -> bool {
        matches!(self, Self::JoinOrRejoin | Self::RejoinOnly)
    }

    fn parse(value: &Value) -> Option<Self> {
        let number = match value {
            // The oldest JavaScript client's way to say "create if missing".
            Value::Bool(create) => u8::from(*create),
            other => coerce::byte(other)?,
        };
        match number {
            0 => Some(Self::Default),
            1 => Some(Self::CreateIfNotExists),
            2 => Some(Self::JoinOrRejoin),
            3 => Some(Self::RejoinOnly),
            _ => None,
        }
    }
}

/// Milliseconds that an inactive actor or an empty room stays, as clients say it: -1 and the highest int mean for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ttl(i32);

impl Ttl {
    /// Not at all.
    pub const ZERO: Self = Self(0);

    /// From milliseconds; `None` below -1.
    #[must_use]
    pub const fn from_millis(ms: i32) -> Option<Self> {
        if ms >= -1 { Some(Self(ms)) } else { None }
    }

    /// As it came.
    #[must_use]
    pub const fn as_millis(self) -> i32 {
        self.0
    }

    /// Whether it is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// How long; `None` for ever.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        match self.0 {
            i32::MAX => None,
            ms => u64::try_from(ms).ok().map(Duration::from_millis),
        }
    }
}

/// Operations 227 CreateGame and 226 JoinGame.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// [`operation::CREATE_GAME`] or [`operation::JOIN_GAME`]; the response carries it.
    pub operation: u8,
    /// Name of the room; only CreateGame on the master server may leave it out.
    pub room_name: Option<Arc<str>>,
    /// Name of the lobby of a new room.
    pub lobby_name: Option<Arc<str>>,
    /// Type of that lobby, 0..=3.
    pub lobby_type: Option<u8>,
    /// What to do when the room is missing or the user known. CreateGame: default.
    pub mode: JoinMode,
    /// User ids to keep a slot for; no duplicates, none empty.
    pub expected_users: Vec<Arc<str>>,
    /// First properties of a new room, normalised.
    pub game_properties: Hashtable,
    /// Properties of the joining actor, normalised.
    pub actor_properties: Hashtable,
    /// Whether event Join carries the actor's properties.
    pub broadcast: bool,
    /// Options of a new room, as asked.
    pub flags: RoomFlags,
    /// Life of inactive actors in a new room.
    pub player_ttl: Ttl,
    /// Life of a new room without actors.
    pub empty_room_ttl: Ttl,
    /// Plugins that the room must have: `None` for any.
    pub plugins: Option<Vec<Arc<str>>>,
    /// Actor number to come back as, 0 for none.
    pub actor: i32,
    /// First cache slice to get.
    pub slice: Option<i32>,
    /// Whether to take over an active actor of the same user.
    pub force_rejoin: bool,
    /// What web hooks get.
    pub web_flags: u8,
}

impl JoinRequest {
    /// Reads CreateGame, JoinGame or the legacy Join.
    ///
    /// # Errors
    /// A parameter of another type; a name too long or with control characters; an empty user id; more expected users
    /// than players; a well-known property of another type.
    pub fn parse(operation: u8, parameters: &RawParameters<'_>) -> Result<Self, Refusal> {
        let fields = Fields(parameters);
        let create = operation == operation::CREATE_GAME;
        let actor = if create { 0 } else { fields.int(key::ACTOR_NR, "ActorNr")?.unwrap_or(0).max(0) };
        let mode = match fields.get(key::JOIN_MODE, "JoinMode", "a join mode 0..=3", JoinMode::parse)? {
            _ if create => JoinMode::Default,
            Some(JoinMode::RejoinOnly) => JoinMode::RejoinOnly,
            _ if actor != 0 => JoinMode::JoinOrRejoin,
            mode => mode.unwrap_or_default(),
        };
        let game_properties =
            properties::game(fields.table(key::GAME_PROPERTIES, "GameProperties")?.unwrap_or_default(), Usage::Create)?;
        let expected_users = expected_users(fields)?;
        let most = max_players(&game_properties).unwrap_or(0);
        if most > 0 && expected_users.len() > usize::try_from(most).unwrap_or(usize::MAX) {
            return Err(Refusal::invalid(format!(
                "parameter 238 (ExpectedUsers): expected at most {most} (MaxPlayers), got {}",
                expected_users.len()
            )));
        }
        Ok(Self {
            operation: if create { operation } else { operation::JOIN_GAME },
            room_name: name(fields, key::ROOM_NAME, "RoomName")?.filter(|name| !name.is_empty()),
            lobby_name: name(fields, key::LOBBY_NAME, "LobbyName")?,
            lobby_type: fields.get(key::LOBBY_TYPE, "LobbyType", "a lobby type 0..=3", |value| {
                coerce::byte(value).filter(|kind| *kind <= MAX_LOBBY_TYPE)
            })?,
            mode,
            expected_users,
            player_ttl: ttl(fields, key::PLAYER_TTL, room_key::PLAYER_TTL, &game_properties)?,
            empty_room_ttl: ttl(fields, key::EMPTY_ROOM_TTL, room_key::EMPTY_ROOM_TTL, &game_properties)?,
            game_properties,
            actor_properties: properties::actor(
                fields.table(key::ACTOR_PROPERTIES, "PlayerProperties")?.unwrap_or_default(),
            )?,
            broadcast: fields.bool(key::BROADCAST, "Broadcast")?.unwrap_or(false),
            flags: flags(fields)?,
            plugins: fields.strings(key::PLUGINS, "Plugins")?,
            actor,
            slice: fields.int(key::CACHE_SLICE_INDEX, "CacheSliceIndex")?,
            force_rejoin: fields.bool(key::FORCE_REJOIN, "ForceRejoin")?.unwrap_or(false),
            web_flags: fields.web_flags(key::WEB_FLAGS)?,
        })
    }

    /// The room's name, or the refusal that asks for it.
    ///
    /// # Errors
    /// No name came.
    pub fn require_room_name(&self) -> Result<&Arc<str>, Refusal> {
        self.room_name.as_ref().ok_or_else(|| Refusal::invalid("parameter 255 (RoomName) is missing"))
    }
}

/// The most players that a normalised table of room properties names; 0 for no limit.
#[must_use]
pub fn max_players(table: &Hashtable) -> Option<i32> {
    let wide = table.get_byte(room_key::MAX_PLAYERS_INT).and_then(coerce::int).filter(|most| *most > 0);
    wide.or_else(|| table.get_byte(room_key::MAX_PLAYERS).and_then(coerce::int))
        .or_else(|| table.get_byte(room_key::MAX_PLAYERS_INT).and_then(coerce::int))
}

/// A name without control characters (they have no place in logs and lists) and of bounded length.
///
/// # Errors
/// Another type, too long, or a control character.
pub fn name(fields: Fields<'_, '_>, key: u8, what: &str) -> Result<Option<Arc<str>>, Refusal> {
    let Some(text) = fields.string(key, what)? else { return Ok(None) };
    check_name(&text).map_err(|fault| Refusal::invalid(format!("parameter {key} ({what}): {fault}")))?;
    Ok(Some(text))
}

/// Expected users (parameter 238): no duplicates, in the order they came.
///
/// # Errors
/// Not a list of texts, an empty or overlong user id, more than [`MAX_EXPECTED_USERS`].
pub fn expected_users(fields: Fields<'_, '_>) -> Result<Vec<Arc<str>>, Refusal> {
    let users = fields.strings(key::EXPECTED_USERS, "ExpectedUsers")?.unwrap_or_default();
    check_users(users).map_err(|fault| Refusal::invalid(format!("parameter 238 (ExpectedUsers): {fault}")))
}

/// Removes duplicates from a list of user ids and refuses what is none.
///
/// # Errors
/// What is wrong, as text.
pub(crate) fn check_users(users: Vec<Arc<str>>) -> Result<Vec<Arc<str>>, String> {
    if users.len() > MAX_EXPECTED_USERS {
        return Err(format!("expected at most {MAX_EXPECTED_USERS} user ids, got {}", users.len()));
    }
    let mut seen = HashSet::new();
    let mut unique = Vec::new();
    for user in users {
        if user.is_empty() {
            return Err("expected user ids, got an empty one".to_owned());
        }
        check_name(&user)?;
        if seen.insert(Arc::clone(&user)) {
            unique.push(user);
        }
    }
    Ok(unique)
}

fn check_name(text: &str) -> Result<(), String> {
    if text.len() > MAX_NAME_BYTES {
        return Err(format!("expected at most {MAX_NAME_BYTES} bytes, got {}", text.len()));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(control) => Err(format!("expected no control characters, got {control:?}")),
        None => Ok(()),
    }
}

fn flags(fields: Fields<'_, '_>) -> Result<RoomFlags, Refusal> {
    let bit = |key, name| fields.bool(key, name).map(|on| on.unwrap_or(false));
    let single = RoomFlags::default()
        .with(RoomFlags::CHECK_USER_ON_JOIN, bit(key::CHECK_USER_ON_JOIN, "CheckUserOnJoin")?)
        .with(RoomFlags::DELETE_CACHE_ON_LEAVE, bit(key::CLEANUP_CACHE_ON_LEAVE, "CleanupCacheOnLeave")?)
        .with(RoomFlags::SUPPRESS_ROOM_EVENTS, bit(key::SUPPRESS_ROOM_EVENTS, "SuppressRoomEvents")?)
        .with(RoomFlags::PUBLISH_USER_ID, bit(key::PUBLISH_USER_ID, "PublishUserId")?);
    Ok(fields.int(key::ROOM_OPTION_FLAGS, "RoomOptionFlags")?.map_or(single, RoomFlags))
}

fn ttl(fields: Fields<'_, '_>, key: u8, property: u8, table: &Hashtable) -> Result<Ttl, Refusal> {
    let read = |value: &Value| coerce::int(value).and_then(Ttl::from_millis);
    let parameter = fields.get(key, "Ttl", "int (milliseconds, -1 or more)", read)?;
    Ok(parameter.or_else(|| table.get_byte(property).and_then(read)).unwrap_or_default())
}

/// How a raised event goes out: as its request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Channel of the request.
    pub channel: u8,
    /// Whether it must arrive.
    pub reliable: bool,
    /// Whether it keeps its place among the others of its channel.
    pub sequenced: bool,
    /// Whether the request was encrypted.
    pub encrypted: bool,
    /// Whether it is to be sent without delay (parameter 243).
    pub flush: bool,
}

/// What to do with the event cache (parameter 247).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheOperation {
    /// Nothing.
    #[default]
    DoNotCache,
    /// Merge the data in the sender's entry for this code.
    Merge,
    /// Replace the sender's entry for this code.
    Replace,
    /// Remove the sender's entry for this code.
    Remove,
    /// Append to the current slice.
    AddToRoom,
    /// Append to the current slice as nobody's event.
    AddToRoomGlobal,
    /// Remove matching events from all slices.
    RemoveFromRoom,
    /// Remove events of actors that are not here.
    RemoveFromRoomForActorsLeft,
    /// Go on to the next slice.
    SliceIncrease,
    /// Make a slice the current one.
    SliceSet,
    /// Remove one slice.
    SlicePurge,
    /// Remove all slices below one.
    SlicePurgeUpTo,
}

impl CacheOperation {
    fn parse(value: &Value) -> Option<Self> {
        Some(match coerce::byte(value)? {
            0 => Self::DoNotCache,
            1 => Self::Merge,
            2 => Self::Replace,
            3 => Self::Remove,
            4 => Self::AddToRoom,
            5 => Self::AddToRoomGlobal,
            6 => Self::RemoveFromRoom,
            7 => Self::RemoveFromRoomForActorsLeft,
            10 => Self::SliceIncrease,
            11 => Self::SliceSet,
            12 => Self::SlicePurge,
            13 => Self::SlicePurgeUpTo,
            _ => return None,
        })
    }
}

/// Who gets an event that names neither actors nor a group (parameter 246).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReceiverGroup {
    /// All but the sender.
    #[default]
    Others,
    /// All.
    All,
    /// The master client.
    MasterClient,
}

/// Operation 253 RaiseEvent.
#[derive(Clone, Debug)]
pub struct RaiseEvent<'a> {
    /// Event code, 0..=240.
    pub code: u8,
    /// The payload, never built on the way to receivers.
    pub data: Option<RawValue<'a>>,
    /// What the cache does with it.
    pub cache: CacheOperation,
    /// Receivers, if nothing more exact is given.
    pub receivers: ReceiverGroup,
    /// Interest group of receivers, 0 for none; wins over `receivers`.
    pub group: u8,
    /// Receivers by number, ascending and unique, or actors of a cache filter; wins over all. `None` if not given or
    /// empty.
    pub actors: Option<Vec<i32>>,
    /// How many numbers came in `actors`, duplicates counted.
    pub listed: usize,
    /// Slice of the slice operations.
    pub slice: Option<i32>,
    /// What web hooks get.
    pub web_flags: u8,
    /// How it came and goes out.
    pub route: Route,
}

impl<'a> RaiseEvent<'a> {
    /// Reads it; `route` is the request's, its `flush` is read here.
    ///
    /// # Errors
    /// A parameter of another type, a code of the server, an unknown cache operation or receiver group.
    pub fn parse(parameters: &RawParameters<'a>, route: Route) -> Result<Self, Refusal> {
        let fields = Fields(parameters);
        let code = fields.byte(key::CODE, "Code")?.unwrap_or(0);
        if code > event::MAX_RAISED {
            return Err(Refusal::invalid(format!(
                "parameter 244 (Code): expected an event code up to {}, got {code}",
                event::MAX_RAISED
            )));
        }
        let receivers = |value: &Value| match coerce::byte(value)? {
            0 => Some(ReceiverGroup::Others),
            1 => Some(ReceiverGroup::All),
            2 => Some(ReceiverGroup::MasterClient),
            _ => None,
        };
        let mut actors = fields.ints(key::ACTORS, "ActorList")?.filter(|actors| !actors.is_empty());
        let listed = actors.as_ref().map_or(0, Vec::len);
        if let Some(actors) = &mut actors {
            actors.sort_unstable();
            actors.dedup();
        }
        Ok(Self {
            code,
            data: fields.raw(key::DATA),
            listed,
            cache: fields
                .get(key::CACHE, "Cache", "a cache operation 0..=7 or 10..=13", CacheOperation::parse)?
                .unwrap_or_default(),
            receivers: fields
                .get(key::RECEIVER_GROUP, "ReceiverGroup", "a receiver group 0..=2", receivers)?
                .unwrap_or_default(),
            group: fields.byte(key::GROUP, "Group")?.unwrap_or(0),
            actors,
            slice: fields.int(key::CACHE_SLICE_INDEX, "CacheSliceIndex")?,
            web_flags: fields.web_flags(key::WEB_FLAGS)?,
            route: Route { flush: fields.bool(key::FLUSH, "Flush")?.unwrap_or(false), ..route },
        })
    }
}

/// Whose properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PropertyTarget {
    /// The room's.
    Room,
    /// An actor's.
    Actor(i32),
}

/// Operation 252 SetProperties.
#[derive(Clone, Debug)]
pub struct SetProperties {
    /// Whose.
    pub target: PropertyTarget,
    /// New values, normalised.
    pub properties: Hashtable,
    /// Values that must be there for the change to be made, normalised; empty for no condition.
    pub expected: Hashtable,
    /// Whether others are told.
    pub broadcast: bool,
    /// What web hooks get.
    pub web_flags: u8,
}

impl SetProperties {
    /// Reads it.
    ///
    /// # Errors
    /// No properties; a parameter or a well-known property of another type.
    pub fn parse(parameters: &RawParameters<'_>) -> Result<Self, Refusal> {
        let fields = Fields(parameters);
        let target = match fields.int(key::ACTOR_NR, "ActorNr")? {
            Some(actor) if actor > 0 => PropertyTarget::Actor(actor),
            _ => PropertyTarget::Room,
        };
        let properties = fields
            .table(key::PROPERTIES, "Properties")?
            .ok_or_else(|| Refusal::invalid("parameter 251 (Properties) is missing"))?;
        let expected = fields.table(key::EXPECTED_VALUES, "ExpectedValues")?.unwrap_or_default();
        let (properties, expected) = match target {
            PropertyTarget::Room => {
                (properties::game(properties, Usage::Change)?, properties::game(expected, Usage::Condition)?)
            }
            PropertyTarget::Actor(_) => (properties::actor(properties)?, properties::actor(expected)?),
        };
        Ok(Self {
            target,
            properties,
            expected,
            broadcast: fields.bool(key::BROADCAST, "Broadcast")?.unwrap_or(false),
            web_flags: fields.web_flags(key::WEB_FLAGS)?,
        })
    }
}

/// Operation 251 GetProperties.
#[derive(Clone, Debug)]
pub struct GetProperties {
    /// Whether the room's are wanted.
    pub game: bool,
    /// Whether actors' are wanted.
    pub actors: bool,
    /// Keys of the room, `None` for all.
    pub game_keys: Option<Vec<Value>>,
    /// Keys of actors, `None` for all.
    pub actor_keys: Option<Vec<Value>>,
    /// Which actors, ascending and unique; `None` for all active ones.
    pub actor_list: Option<Vec<i32>>,
}

impl GetProperties {
    /// Reads it.
    ///
    /// # Errors
    /// A parameter of another type.
    pub fn parse(parameters: &RawParameters<'_>) -> Result<Self, Refusal> {
        const GAME: u8 = 1;
        const ACTOR: u8 = 2;
        let fields = Fields(parameters);
        let mask = fields.byte(key::PROPERTIES, "PropertiesType")?.unwrap_or(GAME | ACTOR);
        let keys = |keys: Option<Vec<Value>>, normal: fn(Value) -> Value| {
            keys.map(|keys| keys.into_iter().map(normal).collect())
        };
        let mut actor_list = fields.ints(key::ACTORS, "ActorList")?;
        if let Some(actors) = &mut actor_list {
            actors.sort_unstable();
            actors.dedup();
        }
        Ok(Self {
            game: mask & GAME != 0,
            actors: mask & ACTOR != 0,
            game_keys: keys(fields.values(key::GAME_PROPERTIES, "GameProperties")?, properties::normal_game_key),
            actor_keys: keys(fields.values(key::ACTOR_PROPERTIES, "ActorProperties")?, properties::normal_actor_key),
            actor_list,
        })
    }
}

/// Operation 248 ChangeGroups. In each list: `None` changes nothing, an empty one means all groups.
#[derive(Clone, Debug)]
pub struct ChangeGroups {
    /// Groups to leave, done first.
    pub remove: Option<Bytes>,
    /// Groups to enter.
    pub add: Option<Bytes>,
}

impl ChangeGroups {
    /// Reads it.
    ///
    /// # Errors
    /// A parameter of another type.
    pub fn parse(parameters: &RawParameters<'_>) -> Result<Self, Refusal> {
        let fields = Fields(parameters);
        Ok(Self { remove: fields.bytes(key::GROUPS_REMOVE, "Remove")?, add: fields.bytes(key::GROUPS_ADD, "Add")? })
    }
}

/// Operation 254 Leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leave {
    /// Whether to stay as an inactive actor.
    pub will_come_back: bool,
    /// What web hooks get.
    pub web_flags: u8,
}

impl Leave {
    /// Reads it. A malformed one is a plain one: who wants to go may go.
    #[must_use]
    pub fn parse(parameters: &RawParameters<'_>) -> Self {
        let fields = Fields(parameters);
        Self {
            will_come_back: fields.bool(key::IS_INACTIVE, "IsInactive").ok().flatten().unwrap_or(false),
            web_flags: fields.web_flags(key::WEB_FLAGS).unwrap_or_default(),
        }
    }
}
