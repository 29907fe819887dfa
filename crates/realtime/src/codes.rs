//! The numbers of the protocol: operations, parameter keys, events, return codes.
//!
//! One key number means different things in different operations; the constants carry the name that the operation
//! gives it, so several constants share a number.

use std::borrow::Cow;
use std::fmt;

use lampyris_wire::{OperationResponse, Parameters};

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)+) => {
        $($(#[$doc])* pub const $name: u8 = $number;)+
    };
}

/// Operation codes.
pub mod operation {
    numbers! {
        /// Legacy join of the first clients; handled as [`JOIN_GAME`].
        JOIN = 255;
        /// Leave the room.
        LEAVE = 254;
        /// Send an event to others in the room.
        RAISE_EVENT = 253;
        /// Set properties of the room or of an actor.
        SET_PROPERTIES = 252;
        /// Read properties of the room and of actors.
        GET_PROPERTIES = 251;
        /// Answered with an empty response.
        PING = 249;
        /// Change interest group membership.
        CHANGE_GROUPS = 248;
        /// One authentication for a whole session; name server.
        AUTHENTICATE_ONCE = 231;
        /// Authenticate with credentials or with a token.
        AUTHENTICATE = 230;
        /// Enter a lobby.
        JOIN_LOBBY = 229;
        /// Leave the lobby.
        LEAVE_LOBBY = 228;
        /// Create a room.
        CREATE_GAME = 227;
        /// Join a room by name.
        JOIN_GAME = 226;
        /// Join any room that matches.
        JOIN_RANDOM_GAME = 225;
        /// Diagnostics; always refused.
        DEBUG_GAME = 223;
        /// Where are these users.
        FIND_FRIENDS = 222;
        /// Numbers of peers and rooms per lobby.
        GET_LOBBY_STATS = 221;
        /// Regions and their master servers; name server.
        GET_REGIONS = 220;
        /// Call of a web service.
        WEB_RPC = 219;
        /// Settings of a connection; has no response.
        SERVER_SETTINGS = 218;
        /// Rooms of a SQL lobby.
        GET_GAME_LIST = 217;
    }
}

/// Event codes of the server.
pub mod event {
    numbers! {
        /// An actor joined the room.
        JOIN = 255;
        /// An actor left the room or became inactive.
        LEAVE = 254;
        /// Properties changed.
        PROPERTIES_CHANGED = 253;
        /// Something went wrong that all in the room should know of.
        ERROR_INFO = 251;
        /// The index of the current cache slice changed.
        CACHE_SLICE_CHANGED = 250;
        /// Rooms of the lobby, on joining it.
        GAME_LIST = 230;
        /// Changed rooms of the lobby.
        GAME_LIST_UPDATE = 229;
        /// Totals of the application.
        APP_STATS = 226;
        /// Totals per lobby.
        LOBBY_STATS = 224;
        /// A fresh token.
        AUTH_EVENT = 223;
        /// The highest event code that a client may raise.
        MAX_RAISED = 240;
    }
}

/// Parameter keys of operations, responses and events.
pub mod key {
    numbers! {
        /// Name of a room (`GameId`).
        ROOM_NAME = 255;
        /// An actor number: of oneself, of a target, of an event's sender.
        ACTOR_NR = 254;
        /// In event PropertiesChanged: whose properties, 0 for the room.
        TARGET_ACTOR_NR = 253;
        /// Actor numbers: of a room, or of receivers.
        ACTORS = 252;
        /// Properties to set; mask of kinds to get; properties of the room to create in join-random.
        PROPERTIES = 251;
        /// Whether others are told.
        BROADCAST = 250;
        /// Properties of actors.
        ACTOR_PROPERTIES = 249;
        /// Properties of a room.
        GAME_PROPERTIES = 248;
        /// What to do with the event cache.
        CACHE = 247;
        /// Which receiver group.
        RECEIVER_GROUP = 246;
        /// Payload of an event.
        DATA = 245;
        /// Code of an event.
        CODE = 244;
        /// Send without delay.
        FLUSH = 243;
        /// Whether a leaver's cached events are removed.
        CLEANUP_CACHE_ON_LEAVE = 241;
        /// Interest group.
        GROUP = 240;
        /// Interest groups to leave.
        GROUPS_REMOVE = 239;
        /// Interest groups to enter.
        GROUPS_ADD = 238;
        /// Whether actors see each other's user id.
        PUBLISH_USER_ID = 239;
        /// User ids to keep a slot for.
        EXPECTED_USERS = 238;
        /// Whether events Join and Leave are sent.
        SUPPRESS_ROOM_EVENTS = 237;
        /// Life of an empty room, in milliseconds.
        EMPTY_ROOM_TTL = 236;
        /// Life of an inactive actor, in milliseconds.
        PLAYER_TTL = 235;
        /// What web hooks get.
        WEB_FLAGS = 234;
        /// Whether an actor stays as inactive.
        IS_INACTIVE = 233;
        /// Whether a user may be in the room once only.
        CHECK_USER_ON_JOIN = 232;
        /// Compare-and-swap condition.
        EXPECTED_VALUES = 231;
        /// Address of a server.
        ADDRESS = 230;
        /// Number of players or peers.
        PEER_COUNT = 229;
        /// Number of rooms; most rooms wanted.
        GAME_COUNT = 228;
        /// Number of peers on the master server.
        MASTER_PEER_COUNT = 227;
        /// Take over an active actor of the same user.
        FORCE_REJOIN = 229;
        /// User id.
        USER_ID = 225;
        /// Application id.
        APPLICATION_ID = 224;
        /// Position in a queue.
        POSITION = 223;
        /// Matchmaking mode.
        MATCHMAKING_TYPE = 223;
        /// List of rooms.
        GAME_LIST = 222;
        /// Token.
        TOKEN = 221;
        /// Application version.
        APP_VERSION = 220;
        /// Node of a game server.
        NODE_ID = 219;
        /// Text of an error event.
        INFO = 218;
        /// Kind of authentication.
        CLIENT_AUTH_TYPE = 217;
        /// Authentication parameters, URL-encoded.
        CLIENT_AUTH_PARAMETERS = 216;
        /// How to join.
        JOIN_MODE = 215;
        /// Authentication data to post.
        CLIENT_AUTH_DATA = 214;
        /// Name of a lobby.
        LOBBY_NAME = 213;
        /// Type of a lobby.
        LOBBY_TYPE = 212;
        /// Whether lobby statistics are wanted.
        LOBBY_STATS = 211;
        /// Region.
        REGION = 210;
        /// Path of a web service.
        URI_PATH = 209;
        /// Parameters for a web service, or its data.
        RPC_DATA = 208;
        /// Result code of a web service.
        RPC_RESULT = 207;
        /// Message of a web service.
        RPC_MESSAGE = 206;
        /// Index of a cache slice.
        CACHE_SLICE_INDEX = 205;
        /// Names of plugins.
        PLUGINS = 204;
        /// New master client.
        MASTER_CLIENT_ID = 203;
        /// Nickname.
        NICKNAME = 202;
        /// Name of the room's plugin.
        PLUGIN_NAME = 201;
        /// Version of the room's plugin.
        PLUGIN_VERSION = 200;
        /// Flags of an authentication.
        AUTH_FLAGS = 199;
        /// Cluster.
        CLUSTER = 196;
        /// Protocol for the next servers, of AuthenticateOnce.
        EXPECTED_PROTOCOL = 195;
        /// Encryption mode, of AuthenticateOnce.
        ENCRYPTION_MODE = 193;
        /// Secrets for datagram or payload encryption.
        ENCRYPTION_DATA = 192;
        /// Room options as a bit mask.
        ROOM_OPTION_FLAGS = 191;
        /// Matchmaking ticket.
        TICKET = 190;
        /// Matchmaking group.
        MATCHMAKING_GROUP_ID = 189;
        /// Whether a match may repeat.
        ALLOW_REPEATS = 188;
        /// Whether quality of service is to be reported.
        REPORT_QOS = 187;
        /// Data of the authentication service.
        AUTH_SERVICE_DATA = 245;
        /// Filter of SQL lobbies.
        SQL_FILTER = 245;
        /// FindFriends: user ids; its response: who is online.
        FRIENDS = 1;
        /// FindFriends: options; its response: room names.
        FRIENDS_OPTIONS = 2;
        /// ServerSettings: lobby statistics on or off.
        SETTINGS_LOBBY_STATS = 0;
    }
}

/// The result of an operation as clients see it; 0 is success.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReturnCode(pub i16);

macro_rules! return_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)+) => {
        impl ReturnCode {
            $($(#[$doc])* pub const $name: Self = Self($number);)+

            /// The code's name, as metrics and logs label it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($number => $text,)+
                    _ => "Unknown",
                }
            }
        }
    };
}

return_codes! {
    /// Success.
    OK = 0, "Ok";
    /// A fault of the server, and a few refusals that the reference reports this way.
    INTERNAL_SERVER_ERROR = -1, "InternalServerError";
    /// Unknown operation, bad parameter, condition not met.
    OPERATION_INVALID = -2, "OperationInvalid";
    /// Not now or not here.
    OPERATION_DENIED = -3, "OperationDenied";
    /// A list is longer than allowed.
    ARGUMENT_OUT_OF_RANGE = -4, "ArgumentOutOfRange";
    /// Parameters that contradict each other.
    INVALID_REQUEST_PARAMETERS = -6, "InvalidRequestParameters";
    /// The name server has no master server for the client's transport.
    PROTOCOL_NOT_SUPPORTED = 3, "ProtocolNotSupported";
    /// Unknown application, bad or missing token.
    INVALID_AUTHENTICATION = 32767, "InvalidAuthentication";
    /// The room name is taken.
    GAME_ID_ALREADY_EXISTS = 32766, "GameIdAlreadyExists";
    /// No free slot.
    GAME_FULL = 32765, "GameFull";
    /// The room is not open.
    GAME_CLOSED = 32764, "GameClosed";
    /// No game server.
    SERVER_FULL = 32762, "ServerFull";
    /// The user is banned from the application.
    USER_BLOCKED = 32761, "UserBlocked";
    /// No room matches.
    NO_MATCH_FOUND = 32760, "NoMatchFound";
    /// There is no such room.
    GAME_ID_NOT_EXISTS = 32758, "GameIdNotExists";
    /// Too many users at once.
    MAX_CCU_REACHED = 32757, "MaxCcuReached";
    /// No such region.
    INVALID_REGION = 32756, "InvalidRegion";
    /// The authentication service refused.
    CUSTOM_AUTHENTICATION_FAILED = 32755, "CustomAuthenticationFailed";
    /// The authentication service has too much to do.
    CUSTOM_AUTHENTICATION_OVERLOAD = 32754, "CustomAuthenticationOverload";
    /// The token is too old.
    AUTHENTICATION_TOKEN_EXPIRED = 32753, "AuthenticationTokenExpired";
    /// The room's plugin refused.
    PLUGIN_REPORTED_ERROR = 32752, "PluginReportedError";
    /// The room's plugin is another one.
    PLUGIN_MISMATCH = 32751, "PluginMismatch";
    /// This connection or user is in the room already.
    JOIN_FAILED_PEER_ALREADY_JOINED = 32750, "JoinFailedPeerAlreadyJoined";
    /// The user is in the room as inactive and must rejoin.
    JOIN_FAILED_FOUND_INACTIVE_JOINER = 32749, "JoinFailedFoundInactiveJoiner";
    /// There is nobody to come back as.
    JOIN_FAILED_WITH_REJOINER_NOT_FOUND = 32748, "JoinFailedWithRejoinerNotFound";
    /// The user is banned from the room.
    JOIN_FAILED_FOUND_EXCLUDED_USER_ID = 32747, "JoinFailedFoundExcludedUserId";
    /// The user is active in the room.
    JOIN_FAILED_FOUND_ACTIVE_JOINER = 32746, "JoinFailedFoundActiveJoiner";
    /// Too many calls of web services.
    HTTP_LIMIT_REACHED = 32745, "HttpLimitReached";
    /// A web service failed.
    EXTERNAL_HTTP_CALL_FAILED = 32744, "ExternalHttpCallFailed";
    /// Too many operations; the client disconnects on it.
    OPERATION_LIMIT_REACHED = 32743, "OperationLimitReached";
    /// Slots cannot be reserved.
    SLOT_ERROR = 32742, "SlotError";
    /// Encryption parameters are wrong.
    INVALID_ENCRYPTION_PARAMETERS = 32741, "InvalidEncryptionParameters";
    /// A secure transport is required.
    SECURE_CONNECTION_REQUIRED = 32740, "SecureConnectionRequired";
    /// The room's event cache was discarded, so nobody can come back.
    EVENT_CACHE_EXCEEDED = 32739, "EventCacheExceeded";
    /// The token names another game server.
    EXPECTED_GS_CHECK_FAILURE = 32738, "ExpectedGSCheckFailure";
    /// The token names another room.
    EXPECTED_GAME_CHECK_FAILURE = 32737, "ExpectedGameCheckFailure";
    /// Authentication took too long.
    AUTH_REQUEST_WAIT_TIMEOUT = 32736, "AuthRequestWaitTimeout";
    /// Disconnect code: another connection took the actor over.
    CONNECTION_SWITCH = 32735, "ConnectionSwitch";
    /// Disconnect code: removed from the room.
    ACTOR_REMOVED = 32734, "ActorRemoved";
}

impl fmt::Debug for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.name())
    }
}

/// Why an operation is not done: the return code and the text for developers. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The return code.
    pub code: ReturnCode,
    /// What was expected and what came.
    pub message: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with this code and text.
    pub fn new(code: ReturnCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// A refusal with [`ReturnCode::OPERATION_INVALID`].
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ReturnCode::OPERATION_INVALID, message)
    }

    /// A refusal with [`ReturnCode::OPERATION_DENIED`].
    pub fn denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ReturnCode::OPERATION_DENIED, message)
    }

    /// The response that tells the client.
    #[must_use]
    pub fn into_response(self, operation: u8) -> OperationResponse {
        OperationResponse {
            code: operation,
            return_code: self.code.0,
            debug_message: Some(self.message.into_owned()),
            parameters: Parameters::new(),
        }
    }
}

/// The response of an operation that was done.
#[must_use]
pub fn success(operation: u8, parameters: Parameters) -> OperationResponse {
    OperationResponse { code: operation, return_code: ReturnCode::OK.0, debug_message: None, parameters }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_return_code_says_its_number_and_name() {
        assert_eq!(format!("{:?}", ReturnCode::GAME_FULL), "32765 GameFull");
        assert_eq!(ReturnCode(77).name(), "Unknown");
    }

    #[test]
    fn a_refusal_becomes_a_response_without_parameters() {
        let response = Refusal::invalid("parameter 255: expected string, got int").into_response(operation::JOIN_GAME);
        assert_eq!((response.code, response.return_code), (226, -2));
        assert_eq!(response.debug_message.as_deref(), Some("parameter 255: expected string, got int"));
        assert!(response.parameters.is_empty());
    }
}
