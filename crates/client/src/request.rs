//! What an application asks for, and how that looks on the wire.

use std::sync::Arc;
use std::time::Duration;

use lampyris_transport::Delivery;
use lampyris_wire::{Hashtable, Parameters, Value};

use crate::codes::{key, room_property};

/// A lobby: name and type number (0 default, 2 SQL, 3 asynchronous random).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lobby {
    /// Empty is the default lobby.
    pub name: String,
    /// Type number.
    pub kind: u8,
}

impl Lobby {
    pub(crate) fn write(&self, parameters: &mut Parameters) {
        if !self.name.is_empty() {
            parameters.insert(key::LOBBY_NAME, self.name.as_str());
            parameters.insert(key::LOBBY_TYPE, self.kind);
        }
    }
}

/// What a room is made with.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomOptions {
    /// Most players; 0 is no limit.
    pub max_players: u8,
    /// Whether lobbies list it.
    pub visible: bool,
    /// Whether others can join.
    pub open: bool,
    /// How long an inactive player stays; `Duration::MAX` is for ever.
    pub player_ttl: Duration,
    /// How long the room stays when the last one left.
    pub empty_room_ttl: Duration,
    /// The application's own properties.
    pub properties: Hashtable,
    /// Names of the properties that lobbies see.
    pub lobby_properties: Vec<Arc<str>>,
    /// Whether what an actor cached goes when it leaves.
    pub cleanup_cache_on_leave: bool,
    /// Whether actors see each other's user ids.
    pub publish_user_id: bool,
    /// Whether a user may be in the room only once.
    pub check_user_on_join: bool,
    /// Whether join and leave events are left out.
    pub suppress_room_events: bool,
    /// Whether a property that is set to null goes.
    pub delete_null_properties: bool,
    /// Whether changes of properties are told to the one who made them, too.
    pub broadcast_properties_to_all: bool,
}

impl Default for RoomOptions {
    fn default() -> Self {
        Self {
            max_players: 0,
            visible: true,
            open: true,
            player_ttl: Duration::ZERO,
            empty_room_ttl: Duration::ZERO,
            properties: Hashtable::new(),
            lobby_properties: Vec::new(),
            cleanup_cache_on_leave: true,
            publish_user_id: false,
            check_user_on_join: true,
            suppress_room_events: false,
            delete_null_properties: false,
            broadcast_properties_to_all: true,
        }
    }
}

impl RoomOptions {
    /// The flags of the protocol (operations.md, section 2.4).
    #[must_use]
    pub fn flags(&self) -> i32 {
        [
            (self.check_user_on_join, 0x01),
            (self.cleanup_cache_on_leave, 0x02),
            (self.suppress_room_events, 0x04),
            (self.publish_user_id, 0x08),
            (self.delete_null_properties, 0x10),
            (self.broadcast_properties_to_all, 0x20),
        ]
        .into_iter()
        .filter_map(|(set, flag)| set.then_some(flag))
        .sum()
    }

    fn write(&self, parameters: &mut Parameters) {
        let mut properties = self.properties.clone();
        properties.insert(room_property::IS_OPEN, self.open);
        properties.insert(room_property::IS_VISIBLE, self.visible);
        if self.max_players > 0 {
            properties.insert(room_property::MAX_PLAYERS, self.max_players);
        }
        if !self.lobby_properties.is_empty() {
            properties.insert(room_property::LOBBY_PROPERTIES, Value::StringArray(self.lobby_properties.clone()));
        }
        parameters.insert(key::GAME_PROPERTIES, properties);
        parameters.insert(key::CLEANUP_CACHE_ON_LEAVE, self.cleanup_cache_on_leave);
        parameters.insert(key::CHECK_USER_ON_JOIN, self.check_user_on_join);
        parameters.insert(key::ROOM_OPTION_FLAGS, self.flags());
        for (name, on) in
            [(key::SUPPRESS_ROOM_EVENTS, self.suppress_room_events), (key::PUBLISH_USER_ID, self.publish_user_id)]
        {
            if on {
                parameters.insert(name, true);
            }
        }
        for (name, time) in [(key::PLAYER_TTL, self.player_ttl), (key::EMPTY_ROOM_TTL, self.empty_room_ttl)] {
            if !time.is_zero() {
                parameters.insert(name, i32::try_from(time.as_millis()).unwrap_or(i32::MAX));
            }
        }
    }
}

/// Which room to enter, and how.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A new room; without a name the server makes one.
    Create {
        /// Name.
        name: Option<String>,
        /// What it is made with.
        options: RoomOptions,
    },
    /// A room that is there.
    Join {
        /// Name.
        name: String,
    },
    /// A room that is there, or a new one.
    JoinOrCreate {
        /// Name.
        name: String,
        /// What a new one is made with.
        options: RoomOptions,
    },
    /// The actor that one was before in that room.
    Rejoin {
        /// Name.
        name: String,
    },
    /// Any room that fits.
    Random(Matching),
    /// Any room that fits, or a new one.
    RandomOrCreate {
        /// What fits.
        matching: Matching,
        /// Name of a new one; without it the server makes one.
        name: Option<String>,
        /// What a new one is made with.
        options: RoomOptions,
    },
}

/// What a random join looks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// Properties that the room has.
    pub properties: Hashtable,
    /// Most players that the room has; 0 is any.
    pub max_players: u8,
    /// 0 fill, 1 serial, 2 random.
    pub mode: u8,
    /// Filter of an SQL lobby.
    pub sql: Option<String>,
}

/// A wish to be in a room.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinRequest {
    /// Which room.
    pub entry: Entry,
    /// The lobby of a new room, or to look in.
    pub lobby: Lobby,
    /// The player's own properties.
    pub player_properties: Hashtable,
    /// Users to keep places for.
    pub expected_users: Vec<Arc<str>>,
}

impl From<Entry> for JoinRequest {
    fn from(entry: Entry) -> Self {
        Self { entry, lobby: Lobby::default(), player_properties: Hashtable::new(), expected_users: Vec::new() }
    }
}

/// Joins a room, or makes it.
const CREATE_IF_NOT_EXISTS: u8 = 1;
const REJOIN_ONLY: u8 = 3;

impl JoinRequest {
    /// The operation on that server, and its parameters. `name` is the room that the Master found.
    pub(crate) fn operation(&self, on: Stage<'_>) -> (u8, Parameters) {
        use crate::codes::operation::{CREATE_GAME, JOIN_GAME, JOIN_RANDOM_GAME};
        let mut parameters = Parameters::new();
        let (own_name, mode, options) = match &self.entry {
            Entry::Create { name, options } => (name.as_ref(), 0, Some(options)),
            Entry::Join { name } => (Some(name), 0, None),
            Entry::JoinOrCreate { name, options } => (Some(name), CREATE_IF_NOT_EXISTS, Some(options)),
            Entry::Rejoin { name } => (Some(name), REJOIN_ONLY, None),
            Entry::Random(_) => (None, 0, None),
            Entry::RandomOrCreate { name, options, .. } => (name.as_ref(), CREATE_IF_NOT_EXISTS, Some(options)),
        };
        let name = match on {
            Stage::Master => own_name.map(String::as_str),
            Stage::Game { room } => Some(room),
        };
        if let Some(name) = name {
            parameters.insert(key::ROOM_NAME, name);
        }
        if mode != 0 {
            parameters.insert(key::JOIN_MODE, mode);
        }
        self.lobby.write(&mut parameters);
        if !self.expected_users.is_empty() {
            parameters.insert(key::ADD, Value::StringArray(self.expected_users.clone()));
        }
        let code = match (&self.entry, on) {
            (Entry::Create { .. }, _) => CREATE_GAME,
            (Entry::Random(matching) | Entry::RandomOrCreate { matching, .. }, Stage::Master) => {
                matching.write(&mut parameters);
                JOIN_RANDOM_GAME
            }
            _ => JOIN_GAME,
        };
        if matches!(on, Stage::Game { .. }) {
            parameters.insert(key::BROADCAST, true);
            if !self.player_properties.is_empty() {
                parameters.insert(key::ACTOR_PROPERTIES, self.player_properties.clone());
            }
            if let Some(options) = options {
                options.write(&mut parameters);
            }
        }
        (code, parameters)
    }
}

impl Matching {
    fn write(&self, parameters: &mut Parameters) {
        let mut filter = self.properties.clone();
        if self.max_players > 0 {
            filter.insert(room_property::MAX_PLAYERS, self.max_players);
        }
        if !filter.is_empty() {
            parameters.insert(key::GAME_PROPERTIES, filter);
        }
        if self.mode != 0 {
            parameters.insert(key::MATCHMAKING_MODE, self.mode);
        }
        if let Some(sql) = &self.sql {
            parameters.insert(key::DATA, sql.as_str());
        }
    }
}

/// The server that a join is asked of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage<'a> {
    Master,
    Game { room: &'a str },
}

/// Who gets an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Receivers {
    /// Everybody else in the room.
    #[default]
    Others,
    /// Everybody in the room.
    All,
    /// The master client.
    MasterClient,
    /// These actors.
    Actors(Vec<i32>),
    /// Everybody else who is in this interest group.
    Group(u8),
}

/// How an event is raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaiseOptions {
    /// How it travels.
    pub delivery: Delivery,
    /// Its channel.
    pub channel: u8,
    /// Who gets it.
    pub receivers: Receivers,
    /// What the room keeps of it: the numbers of operations.md, section 4.9; 0 keeps nothing.
    pub cache: u8,
    /// Whether it is encrypted; on TLS it is anyway.
    pub encrypt: bool,
}

impl Default for RaiseOptions {
    fn default() -> Self {
        Self { delivery: Delivery::Reliable, channel: 0, receivers: Receivers::Others, cache: 0, encrypt: false }
    }
}

impl RaiseOptions {
    pub(crate) fn parameters(&self, code: u8, payload: Value) -> Parameters {
        let mut parameters = Parameters::new().with(key::CODE, code);
        match &self.receivers {
            Receivers::Others => {}
            Receivers::All => parameters.insert(key::RECEIVER_GROUP, 1u8),
            Receivers::MasterClient => parameters.insert(key::RECEIVER_GROUP, 2u8),
            Receivers::Actors(actors) => parameters.insert(key::ACTORS, Value::IntArray(actors.clone())),
            Receivers::Group(group) => parameters.insert(key::GROUP, *group),
        }
        if self.cache != 0 {
            parameters.insert(key::CACHE, self.cache);
        }
        if !payload.is_null() {
            parameters.insert(key::DATA, payload);
        }
        parameters
    }
}

/// A change of properties of a room or an actor.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyChange {
    /// The actor; 0 is the room.
    pub actor: i32,
    /// What to set.
    pub properties: Hashtable,
    /// What must hold for it (compare and swap).
    pub expected: Option<Hashtable>,
}

impl PropertyChange {
    pub(crate) fn parameters(self) -> Parameters {
        let mut parameters = Parameters::new().with(key::PROPERTIES, self.properties).with(key::BROADCAST, true);
        if self.actor > 0 {
            parameters.insert(key::ACTOR_NR, self.actor);
        }
        if let Some(expected) = self.expected {
            parameters.insert(key::EXPECTED_VALUES, expected);
        }
        parameters
    }
}
