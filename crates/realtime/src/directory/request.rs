//! What clients ask of the directory, parsed. Create and join requests are
//! [`JoinRequest`]s, the same as on the game server.

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

#[cfg(test)]
mod tests {
    use lampyris_wire::{Limits, Message, MessageHead, OperationRequest, Parameters, Protocol, RawRequest};

    use super::*;

    /// What `parse` makes of a request that went over the wire.
    fn over_wire<T>(parameters: Parameters, parse: impl FnOnce(&RawParameters<'_>) -> T) -> T {
        let message = Message::OperationRequest(OperationRequest { code: 0, parameters });
        let mut bytes = Vec::new();
        message.encode(Protocol::GpBinaryV18, &mut bytes).unwrap();
        let body = &bytes[MessageHead::LEN..];
        let request = RawRequest::parse_body(Protocol::GpBinaryV18, false, body, &Limits::DEFAULT).unwrap();
        parse(&request.parameters)
    }

    fn json<T>(text: &str, parse: impl FnOnce(&RawParameters<'_>) -> T) -> T {
        parse(&RawRequest::parse_json(text.as_bytes(), &Limits::DEFAULT).unwrap().parameters)
    }

    fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>, text: &str) {
        let refusal = result.unwrap_err();
        assert_eq!(refusal.code.0, -2);
        assert!(refusal.message.contains(text), "{}", refusal.message);
    }

    #[test]
    fn a_random_join_without_parameters_is_a_plain_one() {
        let request = over_wire(Parameters::new(), JoinRandomRequest::parse).unwrap();
        assert_eq!(request.mode, MatchmakingMode::FillRoom);
        assert!(request.lobby.is_none() && request.sql_filter.is_none() && !request.create);
        assert!(request.filter.0.is_empty() && request.expected_users.is_empty());
    }

    #[test]
    fn a_random_join_of_the_javascript_client_reads_doubles_and_text_keys() {
        let text = r#"~j~{"req":225,"vals":[223,1,248,{"255":4,"map":"desert"},213,"arena",212,0,215,1,
            255,"mine",251,{"255":8},232,true,238,["bob","bob","eve"]]}"#;
        let request = json(text, JoinRandomRequest::parse).unwrap();
        assert_eq!(request.mode, MatchmakingMode::Serial);
        assert_eq!(request.lobby, Some(LobbyKey::new("arena", LobbyType::Default)));
        assert_eq!(request.filter.0.get_byte(255), Some(&Value::Byte(4)));
        assert_eq!(request.room_name.as_deref(), Some("mine"));
        assert!(request.create && request.check_user_on_join);
        assert_eq!(request.max_players, 8);
        assert_eq!(request.expected_users, [Arc::from("bob"), Arc::from("eve")]);
    }

    #[test]
    fn room_flags_win_over_the_single_option() {
        let flags = Parameters::from([(key::ROOM_OPTION_FLAGS, Value::Int(0)), (key::CHECK_USER_ON_JOIN, true.into())]);
        assert!(!over_wire(flags, JoinRandomRequest::parse).unwrap().check_user_on_join);
    }

    #[test]
    fn an_empty_query_is_none() {
        let query = |text: &str| Parameters::from([(key::SQL_FILTER, text)]);
        assert_eq!(over_wire(query(" "), JoinRandomRequest::parse).unwrap().sql_filter, None);
        let request = over_wire(query("C0 = 1"), JoinRandomRequest::parse).unwrap();
        assert_eq!(request.sql_filter.as_deref(), Some("C0 = 1"));
    }

    #[test]
    fn parameters_of_another_type_or_range_are_refused_by_name() {
        let random = |key: u8, value: Value| over_wire(Parameters::from([(key, value)]), JoinRandomRequest::parse);
        refused(random(key::MATCHMAKING_TYPE, Value::Byte(3)), "matchmaking mode 0..=2");
        refused(random(key::GAME_PROPERTIES, Value::Int(1)), "expected hashtable, got int");
        refused(random(key::LOBBY_TYPE, Value::Byte(4)), "lobby type 0..=3");
        refused(random(key::ROOM_NAME, Value::from("a\nb")), "control characters");
        let many: Hashtable = (0..101).map(|key: i32| (key.to_string(), true)).collect();
        refused(random(key::GAME_PROPERTIES, many.into()), "at most 100 properties, got 101");
    }

    #[test]
    fn a_lobby_without_a_name_is_the_default_one() {
        let lobby = |parameters| over_wire(parameters, JoinLobbyRequest::parse).unwrap().lobby;
        assert_eq!(lobby(Parameters::new()), LobbyKey::default());
        assert_eq!(lobby(Parameters::from([(key::LOBBY_TYPE, 2_u8)])), LobbyKey::default());
        assert_eq!(lobby(Parameters::from([(key::LOBBY_NAME, "x")])), LobbyKey::new("x", LobbyType::Default));
        let both = Parameters::from([(key::LOBBY_NAME, Value::from("x")), (key::LOBBY_TYPE, Value::Byte(3))]);
        assert_eq!(lobby(both), LobbyKey::new("x", LobbyType::AsyncRandom));
    }

    #[test]
    fn the_number_of_rooms_wanted_is_read_and_a_negative_one_is_none() {
        let most = |count: i32| {
            over_wire(Parameters::from([(key::GAME_COUNT, count)]), JoinLobbyRequest::parse).unwrap().most_rooms
        };
        assert_eq!((most(3), most(-1)), (Some(3), None));
    }

    #[test]
    fn lobby_statistics_need_a_type_for_each_name() {
        let names = || Value::from(vec![Arc::<str>::from("a"), Arc::from("b")]);
        let ask = |types: Vec<u8>| {
            let parameters = Parameters::from([(key::LOBBY_NAME, names()), (key::LOBBY_TYPE, types.into())]);
            over_wire(parameters, LobbyStatsRequest::parse)
        };
        let keys = ask(vec![0, 2]).unwrap().lobbies.unwrap();
        assert_eq!(keys, [LobbyKey::new("a", LobbyType::Default), LobbyKey::new("b", LobbyType::Sql)]);
        refused(ask(vec![0]), "expected 2 types, as many as names, got 1");
        refused(ask(vec![0, 9]), "lobby types 0..=3, got 9");
        refused(over_wire(Parameters::from([(key::LOBBY_NAME, names())]), LobbyStatsRequest::parse), "got 0");
        assert!(over_wire(Parameters::new(), LobbyStatsRequest::parse).unwrap().lobbies.is_none());
    }

    #[test]
    fn finding_friends_has_options_and_a_limit() {
        let ask = |count: usize, options: i32| {
            let users: Vec<Arc<str>> = (0..count).map(|number| number.to_string().into()).collect();
            let parameters =
                Parameters::from([(key::FRIENDS, Value::from(users)), (key::FRIENDS_OPTIONS, options.into())]);
            over_wire(parameters, FindFriendsRequest::parse)
        };
        let request = ask(512, 5).unwrap();
        assert_eq!(request.users.len(), 512);
        assert!(request.created_only && !request.visible_only && request.open_only);
        refused(ask(513, 0), "at most 512 user ids, got 513");
        refused(over_wire(Parameters::new(), FindFriendsRequest::parse), "missing");
    }
}
