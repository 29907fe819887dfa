//! The numbers of the protocol: operations, events, parameter keys, well-known properties, return codes.
//!
//! One key number means different things in different operations, so several constants share a number.

/// Operation codes.
pub mod operation {
    /// Asks for something below the application: key exchange. An internal request.
    pub(crate) const INIT_ENCRYPTION: u8 = 0;
    /// Measures the round trip on WebSocket. An internal request.
    pub(crate) const PING: u8 = 1;
    /// Gets properties of a room and its actors.
    pub const GET_PROPERTIES: u8 = 251;
    /// Sets properties of a room or an actor.
    pub const SET_PROPERTIES: u8 = 252;
    /// Raises an event in the room.
    pub const RAISE_EVENT: u8 = 253;
    /// Leaves the room.
    pub const LEAVE: u8 = 254;
    /// Joins and leaves interest groups.
    pub const CHANGE_GROUPS: u8 = 248;
    /// Authenticates and hands out a token that is presented in the init of the servers to come.
    pub const AUTHENTICATE_ONCE: u8 = 231;
    /// Authenticates.
    pub const AUTHENTICATE: u8 = 230;
    /// Joins a lobby.
    pub const JOIN_LOBBY: u8 = 229;
    /// Leaves the lobby.
    pub const LEAVE_LOBBY: u8 = 228;
    /// Creates a room.
    pub const CREATE_GAME: u8 = 227;
    /// Joins a room by name.
    pub const JOIN_GAME: u8 = 226;
    /// Joins any room that fits.
    pub const JOIN_RANDOM_GAME: u8 = 225;
    /// Asks where friends are.
    pub const FIND_FRIENDS: u8 = 222;
    /// Asks how full lobbies are.
    pub const GET_LOBBY_STATS: u8 = 221;
    /// Asks for the regions of a NameServer.
    pub const GET_REGIONS: u8 = 220;
}

/// Event codes; applications have 0 to 199.
pub mod event {
    /// An actor joined.
    pub const JOIN: u8 = 255;
    /// An actor left.
    pub const LEAVE: u8 = 254;
    /// Properties changed.
    pub const PROPERTIES_CHANGED: u8 = 253;
    /// Something went wrong in the room.
    pub const ERROR_INFO: u8 = 251;
    /// All rooms of the lobby.
    pub const GAME_LIST: u8 = 230;
    /// Rooms of the lobby that changed.
    pub const GAME_LIST_UPDATE: u8 = 229;
    /// How full the application is.
    pub const APP_STATS: u8 = 226;
    /// A new token.
    pub const AUTH_EVENT: u8 = 223;
}

/// Parameter keys.
pub mod key {
    /// Room name.
    pub const ROOM_NAME: u8 = 255;
    /// Actor number.
    pub const ACTOR_NR: u8 = 254;
    /// Actor whose properties changed.
    pub const TARGET_ACTOR_NR: u8 = 253;
    /// Actor numbers.
    pub const ACTORS: u8 = 252;
    /// Properties, or the mask of what to get.
    pub const PROPERTIES: u8 = 251;
    /// Tell the others.
    pub const BROADCAST: u8 = 250;
    /// Properties of the player who joins, or of the other actors.
    pub const ACTOR_PROPERTIES: u8 = 249;
    /// Properties of the room, or the filter of a random join.
    pub const GAME_PROPERTIES: u8 = 248;
    /// Caching of an event.
    pub const CACHE: u8 = 247;
    /// Receivers of an event.
    pub const RECEIVER_GROUP: u8 = 246;
    /// Payload of an event, or the SQL filter of a random join.
    pub const DATA: u8 = 245;
    /// Code of an event.
    pub const CODE: u8 = 244;
    /// Delete what an actor cached when it leaves.
    pub const CLEANUP_CACHE_ON_LEAVE: u8 = 241;
    /// Interest group.
    pub const GROUP: u8 = 240;
    /// Publish user ids; in `ChangeGroups` the groups to leave.
    pub const PUBLISH_USER_ID: u8 = 239;
    /// Interest groups to leave.
    pub const REMOVE: u8 = 239;
    /// Interest groups to join, or the users expected in a room.
    pub const ADD: u8 = 238;
    /// No join and leave events.
    pub const SUPPRESS_ROOM_EVENTS: u8 = 237;
    /// How long an empty room stays, in milliseconds.
    pub const EMPTY_ROOM_TTL: u8 = 236;
    /// How long an inactive player stays, in milliseconds.
    pub const PLAYER_TTL: u8 = 235;
    /// A user joins only once.
    pub const CHECK_USER_ON_JOIN: u8 = 232;
    /// Stay as an inactive player.
    pub const IS_INACTIVE: u8 = 233;
    /// What must hold for a change of properties.
    pub const EXPECTED_VALUES: u8 = 231;
    /// Address of the next server.
    pub const ADDRESS: u8 = 230;
    /// Numbers of players.
    pub const PEER_COUNT: u8 = 229;
    /// Numbers of rooms.
    pub const GAME_COUNT: u8 = 228;
    /// Number of players on the Master.
    pub const MASTER_PEER_COUNT: u8 = 227;
    /// User id.
    pub const USER_ID: u8 = 225;
    /// Application id.
    pub const APPLICATION_ID: u8 = 224;
    /// How a random join looks for a room.
    pub const MATCHMAKING_MODE: u8 = 223;
    /// Rooms of a lobby.
    pub const GAME_LIST: u8 = 222;
    /// Token.
    pub const TOKEN: u8 = 221;
    /// Version of the application.
    pub const APP_VERSION: u8 = 220;
    /// Text of an `ErrorInfo` event.
    pub const INFO: u8 = 218;
    /// Kind of authentication.
    pub const CLIENT_AUTHENTICATION_TYPE: u8 = 217;
    /// Query string for authentication.
    pub const CLIENT_AUTHENTICATION_PARAMETERS: u8 = 216;
    /// What a join does when the room or the actor is or is not there.
    pub const JOIN_MODE: u8 = 215;
    /// Data for authentication.
    pub const CLIENT_AUTHENTICATION_DATA: u8 = 214;
    /// Name of a lobby.
    pub const LOBBY_NAME: u8 = 213;
    /// Type of a lobby.
    pub const LOBBY_TYPE: u8 = 212;
    /// Tell how full the lobbies are.
    pub const LOBBY_STATS: u8 = 211;
    /// Region.
    pub const REGION: u8 = 210;
    /// New master client.
    pub const MASTER_CLIENT_ID: u8 = 203;
    /// Transport of the servers to come.
    pub const EXPECTED_PROTOCOL: u8 = 195;
    /// What to encrypt.
    pub const ENCRYPTION_MODE: u8 = 193;
    /// Keys for the servers to come.
    pub const ENCRYPTION_DATA: u8 = 192;
    /// Flags of a room.
    pub const ROOM_OPTION_FLAGS: u8 = 191;
    /// User ids to look for, and whether they are online.
    pub const FRIENDS: u8 = 1;
    /// Rooms of friends.
    pub const FRIEND_ROOMS: u8 = 2;
}

/// Well-known keys of room properties.
pub mod room_property {
    /// Most players; 0 is no limit.
    pub const MAX_PLAYERS: u8 = 255;
    /// Whether the room is listed.
    pub const IS_VISIBLE: u8 = 254;
    /// Whether the room can be joined.
    pub const IS_OPEN: u8 = 253;
    /// Players in the room; in lists.
    pub const PLAYER_COUNT: u8 = 252;
    /// The room left the list; in updates.
    pub const REMOVED: u8 = 251;
    /// Names of the properties that lobbies see.
    pub const LOBBY_PROPERTIES: u8 = 250;
    /// Actor number of the master client.
    pub const MASTER_CLIENT_ID: u8 = 248;
}

/// Well-known keys of actor properties.
pub mod actor_property {
    /// Nickname.
    pub const NICKNAME: u8 = 255;
    /// Whether the actor is inactive.
    pub const IS_INACTIVE: u8 = 254;
    /// User id.
    pub const USER_ID: u8 = 253;
}

/// Return codes of operation responses; 0 is success.
pub mod return_code {
    /// Done.
    pub const OK: i16 = 0;
    /// A value was wrong, or a compare-and-swap failed.
    pub const INVALID_OPERATION: i16 = -2;
    /// Not now.
    pub const OPERATION_DENIED: i16 = -3;
    /// The room is there already.
    pub const GAME_ID_ALREADY_EXISTS: i16 = 32_766;
    /// The room is full.
    pub const GAME_FULL: i16 = 32_765;
    /// The room is closed.
    pub const GAME_CLOSED: i16 = 32_764;
    /// No room fits.
    pub const NO_MATCH_FOUND: i16 = 32_760;
    /// There is no such room.
    pub const GAME_DOES_NOT_EXIST: i16 = 32_758;
    /// The token is too old.
    pub const AUTHENTICATION_TICKET_EXPIRED: i16 = 32_753;
    /// The user is in the room already.
    pub const JOIN_FAILED_PEER_ALREADY_JOINED: i16 = 32_750;
    /// The user is in the room, but inactive.
    pub const JOIN_FAILED_FOUND_INACTIVE_JOINER: i16 = 32_749;
    /// There is no such actor to take up again.
    pub const JOIN_FAILED_WITH_REJOINER_NOT_FOUND: i16 = 32_748;
}
