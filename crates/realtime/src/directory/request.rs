//! What clients ask of the directory, parsed. Create and join requests are
//! [`JoinRequest`](crate::room::request::JoinRequest)s, the same as on the game server.

use std::sync::Arc;

use lampyris_wire::{Hashtable, RawParameters, Value, coerce};

use super::lobby::{LobbyKey, LobbyType, MatchmakingMode};
use super::room::Room;
use crate::codes::{Refusal, key};
use crate::parameters::Fields;
use crate::properties::{self, Usage, room_key, same};
use crate::room::request::{JoinRequest, RoomFlags, expected_users, max_players, name};

/// Most properties in one matchmaking filter.
pub const MAX_FILTER_KEYS: usize = 100;
/// Most user ids in one FindFriends, as many as the clients send.
pub const MAX_FRIENDS: usize = 512;

/// What a room must be like to be found.
#[derive(Clone, Debug, Default)]
pub struct Filter(Hashtable);

impl Filter {
    /// From a table of expected properties.
    ///
    /// # Errors
    /// Too many keys; a well-known key with a value of another type.
    pub fn new(expected: Hashtable) -> Result<Self, Refusal> {
        if expected.len() > MAX_FILTER_KEYS {
            return Err(Refusal::invalid(format!(
                "parameter 248 (filter): expected at most {MAX_FILTER_KEYS} properties, got {}",
                expected.len()
            )));
        }
        properties::game(expected, Usage::Condition).map(Self)
    }

    /// Whether every expected property is one that the lobby knows of the room, with that value.
    pub(super) fn matches(&self, room: &Room) -> bool {
        let listing = &room.listing;
        self.0.iter().all(|(key, wanted)| match key {
            // As in the room's list entry: a limit beyond a byte is 0 here and stands under its other key.
            Value::Byte(room_key::MAX_PLAYERS) => {
                same(wanted, &Value::Byte(u8::try_from(listing.max_players).unwrap_or_default()))
            }
            Value::Byte(room_key::MAX_PLAYERS_INT) => {
                coerce::int(wanted).is_some_and(|most| u32::try_from(most) == Ok(listing.max_players))
            }
            Value::Byte(room_key::IS_OPEN) => same(wanted, &Value::Bool(listing.open)),
            Value::Byte(room_key::PLAYER_COUNT) => same(wanted, &room.player_count()),
            _ => listing.get(key).is_some_and(|value| same(wanted, value)),
        })
    }
}

/// Operation 225 JoinRandomGame.
#[derive(Clone, Debug, Default)]
pub struct JoinRandomRequest {
    /// Properties that the room must have.
    pub filter: Filter,
    /// Where the search starts.
    pub mode: MatchmakingMode,
    /// The lobby, if one was named.
    pub lobby: Option<LobbyKey>,
    /// The query of a SQL lobby, empty for none.
    pub sql_filter: Option<Arc<str>>,
    /// User ids to keep a slot for.
    pub expected_users: Vec<Arc<str>>,
    /// Whether to create a room if none matches.
    pub create: bool,
    /// The name of that room.
    pub room_name: Option<Arc<str>>,
    /// Its limit of players, 0 for none.
    pub max_players: u32,
    /// Whether it lets a user in once only.
    pub check_user_on_join: bool,
}

impl JoinRandomRequest {
    /// Reads it.
    ///
    /// # Errors
    /// A parameter or a well-known property of another type, a bad name or user id, too many filter keys.
    pub fn parse(parameters: &RawParameters<'_>) -> Result<Self, Refusal> {
        let fields = Fields(parameters);
        let mode = |value: &Value| match coerce::byte(value)? {
            0 => Some(MatchmakingMode::FillRoom),
            1 => Some(MatchmakingMode::Serial),
            2 => Some(MatchmakingMode::Random),
            _ => None,
        };
        let create = |value: &Value| match value {
            Value::Bool(create) => Some(*create),
            other => coerce::byte(other).map(|mode| mode == 1),
        };
        let created =
            properties::game(fields.table(key::PROPERTIES, "Properties")?.unwrap_or_default(), Usage::Create)?;
        let flags = fields.int(key::ROOM_OPTION_FLAGS, "RoomOptionFlags")?.map(RoomFlags);
        let check_users = fields.bool(key::CHECK_USER_ON_JOIN, "CheckUserOnJoin")?.unwrap_or(false);
        Ok(Self {
            filter: Filter::new(fields.table(key::GAME_PROPERTIES, "filter")?.unwrap_or_default())?,
            mode: fields
                .get(key::MATCHMAKING_TYPE, "MatchmakingType", "a matchmaking mode 0..=2", mode)?
                .unwrap_or_default(),
            lobby: lobby(fields)?,
            sql_filter: fields.string(key::SQL_FILTER, "SqlFilter")?.filter(|filter| !filter.trim().is_empty()),
            expected_users: expected_users(fields)?,
            create: fields.get(key::JOIN_MODE, "JoinMode", "a join mode", create)?.unwrap_or(false),
            room_name: name(fields, key::ROOM_NAME, "RoomName")?.filter(|name| !name.is_empty()),
            max_players: player_limit(&created),
            check_user_on_join: flags.map_or(check_users, |flags| flags.contains(RoomFlags::CHECK_USER_ON_JOIN)),
        })
    }
}

/// Operation 229 JoinLobby.
#[derive(Clone, Debug, Default)]
pub struct JoinLobbyRequest {
    /// Which.
    pub lobby: LobbyKey,
    /// Most rooms wanted in the first list.
    pub most_rooms: Option<usize>,
}

impl JoinLobbyRequest {
    /// Reads it.
    ///
    /// # Errors
    /// A parameter of another type, an unknown lobby type, a bad name.
    pub fn parse(parameters: &RawParameters<'_>) -> Result<Self, Refusal> {
        let fields = Fields(parameters);
        Ok(Self {
            lobby: lobby(fields)?.unwrap_or_default(),
            most_rooms: fields.int(key::GAME_COUNT, "GameCount")?.and_then(|most| usize::try_from(most).ok()),
        })
    }
}

/// Operation 221 GetLobbyStats.
#[derive(Clone, Debug, Default)]
pub struct LobbyStatsRequest {
    /// Which lobbies; all if none.
    pub lobbies: Option<Vec<LobbyKey>>,
}

impl LobbyStatsRequest {
    /// Reads it.
    ///
    /// # Errors
    /// A parameter of another type, names without as many types, an unknown lobby type.
    pub fn parse(parameters: &RawParameters<'_>) -> Result<Self, Refusal> {
        let fields = Fields(parameters);
        let Some(names) = fields.strings(key::LOBBY_NAME, "LobbyName")? else { return Ok(Self::default()) };
        let types = fields.bytes(key::LOBBY_TYPE, "LobbyType")?.unwrap_or_default();
        if names.len() != types.len() {
            return Err(Refusal::invalid(format!(
                "parameter 212 (LobbyType): expected {} types, as many as names, got {}",
                names.len(),
                types.len()
            )));
        }
        let keys = names.into_iter().zip(types).map(|(name, number)| {
            let kind = LobbyType::from_byte(number).ok_or_else(|| {
                Refusal::invalid(format!("parameter 212 (LobbyType): expected lobby types 0..=3, got {number}"))
            })?;
            Ok(LobbyKey::new(name, kind))
        });
        Ok(Self { lobbies: Some(keys.collect::<Result<_, Refusal>>()?) })
    }
}

/// Operation 222 FindFriends.
#[derive(Clone, Debug, Default)]
pub struct FindFriendsRequest {
    /// Whom to look for.
    pub users: Vec<Arc<str>>,
    /// Only rooms that exist on their game server.
    pub created_only: bool,
    /// Only visible rooms.
    pub visible_only: bool,
    /// Only open rooms.
    pub open_only: bool,
}

impl FindFriendsRequest {
    /// Reads it.
    ///
    /// # Errors
    /// A parameter of another type, no list of users, more than [`MAX_FRIENDS`].
    pub fn parse(parameters: &RawParameters<'_>) -> Result<Self, Refusal> {
        let fields = Fields(parameters);
        let users = fields
            .strings(key::FRIENDS, "UserIds")?
            .ok_or_else(|| Refusal::invalid("parameter 1 (UserIds) is missing"))?;
        if users.len() > MAX_FRIENDS {
            return Err(Refusal::invalid(format!(
                "parameter 1 (UserIds): expected at most {MAX_FRIENDS} user ids, got {}",
                users.len()
            )));
        }
        let options = fields.int(key::FRIENDS_OPTIONS, "Options")?.unwrap_or(0);
        Ok(Self { users, created_only: options & 1 != 0, visible_only: options & 2 != 0, open_only: options & 4 != 0 })
    }
}

fn lobby(fields: Fields<'_, '_>) -> Result<Option<LobbyKey>, Refusal> {
    let name = name(fields, key::LOBBY_NAME, "LobbyName")?;
    let kind = fields.get(key::LOBBY_TYPE, "LobbyType", "a lobby type 0..=3", |value| {
        coerce::byte(value).and_then(LobbyType::from_byte)
    })?;
    Ok(lobby_key(name.as_ref(), kind))
}

fn lobby_key(name: Option<&Arc<str>>, kind: Option<LobbyType>) -> Option<LobbyKey> {
    if name.is_none() && kind.is_none() {
        return None;
    }
    Some(LobbyKey::new(name.map_or_else(|| "".into(), Arc::clone), kind.unwrap_or(LobbyType::Default)))
}

/// The lobby that a create or join request names for a new room.
pub(super) fn lobby_of(request: &JoinRequest) -> LobbyKey {
    lobby_key(request.lobby_name.as_ref(), request.lobby_type.and_then(LobbyType::from_byte)).unwrap_or_default()
}

/// The limit of players in a table of room properties, 0 for none.
pub(super) fn player_limit(properties: &Hashtable) -> u32 {
    max_players(properties).and_then(|most| u32::try_from(most).ok()).unwrap_or(0)
}
