//! What a client tells its application.

use lampyris_transport::Delivery;
use lampyris_wire::{Hashtable, OperationResponse, Parameters, Value};

use crate::DisconnectCause;
use crate::codes::{event, key, room_property};

/// What a client tells its application.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The Master knows the client: lobbies and rooms can be entered. Comes again after each room.
    ConnectedToMaster,
    /// The client is in a lobby.
    LobbyJoined,
    /// The client is in no lobby any more.
    LobbyLeft,
    /// Rooms of the lobby.
    RoomList {
        /// Whether these are all; otherwise those that changed.
        all: bool,
        /// Room names and what lobbies see of them; a room that left the list has the property 251 set.
        rooms: Hashtable,
    },
    /// How full the application is.
    AppStats {
        /// Players in rooms.
        players: i32,
        /// Rooms.
        rooms: i32,
        /// Players on the Master.
        on_master: i32,
    },
    /// The client is in a room; events of the room follow.
    RoomEntered(Box<RoomEntered>),
    /// No room was entered; the client is on the Master.
    RoomRefused {
        /// Return code.
        code: i16,
        /// The server's text.
        message: String,
    },
    /// The client left the room and goes back to the Master.
    RoomLeft,
    /// An actor is in the room; the client's own comes, too.
    ActorJoined {
        /// Its number.
        actor: i32,
        /// Numbers of all active actors.
        actors: Vec<i32>,
        /// Its properties.
        properties: Hashtable,
    },
    /// An actor left the room.
    ActorLeft {
        /// Its number.
        actor: i32,
        /// Numbers of the active actors that remain.
        actors: Vec<i32>,
        /// Whether it may come back.
        inactive: bool,
        /// The new master client, if it changed.
        master_client: Option<i32>,
    },
    /// Properties changed.
    PropertiesChanged {
        /// Whose: an actor's, or 0 for the room's.
        target: i32,
        /// Who changed them.
        sender: i32,
        /// What changed.
        properties: Hashtable,
    },
    /// An actor raised an event.
    Raised {
        /// Its code.
        code: u8,
        /// Who raised it; 0 is the server.
        sender: i32,
        /// Its payload.
        payload: Value,
        /// The channel it came on.
        channel: u8,
        /// How it came.
        delivery: Delivery,
    },
    /// The answer to an operation that has no event of its own.
    Response(Box<OperationResponse>),
    /// The client is connected no more.
    Disconnected(DisconnectCause),
}

/// A room as it was when the client entered it.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomEntered {
    /// Its name.
    pub name: String,
    /// The client's actor number.
    pub actor: i32,
    /// Numbers of all actors, active ones first.
    pub actors: Vec<i32>,
    /// Properties of the room.
    pub room_properties: Hashtable,
    /// Properties of other actors, by actor number.
    pub actor_properties: Hashtable,
    /// Flags of the room.
    pub flags: i32,
}

impl RoomEntered {
    pub(crate) fn read(name: String, mut parameters: Parameters) -> Self {
        Self {
            name,
            actor: int(&parameters, key::ACTOR_NR),
            actors: take_ints(&mut parameters, key::ACTORS),
            room_properties: take_table(&mut parameters, key::GAME_PROPERTIES),
            actor_properties: take_table(&mut parameters, key::ACTOR_PROPERTIES),
            flags: int(&parameters, key::ROOM_OPTION_FLAGS),
        }
    }

    /// The actor number of the master client.
    #[must_use]
    pub fn master_client(&self) -> Option<i32> {
        match self.room_properties.get_byte(room_property::MASTER_CLIENT_ID) {
            Some(Value::Int(actor)) => Some(*actor),
            _ => None,
        }
    }
}

impl Event {
    /// An event of the protocol, except those that the client keeps for itself.
    pub(crate) fn read(code: u8, mut parameters: Parameters, channel: u8, delivery: Delivery) -> Self {
        let p = &mut parameters;
        match code {
            event::JOIN => Self::ActorJoined {
                actor: int(p, key::ACTOR_NR),
                actors: take_ints(p, key::ACTORS),
                properties: take_table(p, key::ACTOR_PROPERTIES),
            },
            event::LEAVE => Self::ActorLeft {
                actor: int(p, key::ACTOR_NR),
                actors: take_ints(p, key::ACTORS),
                inactive: matches!(p.get(key::IS_INACTIVE), Some(Value::Bool(true))),
                master_client: p.get(key::MASTER_CLIENT_ID).map(|_| int(p, key::MASTER_CLIENT_ID)),
            },
            event::PROPERTIES_CHANGED => Self::PropertiesChanged {
                target: int(p, key::TARGET_ACTOR_NR),
                sender: int(p, key::ACTOR_NR),
                properties: take_table(p, key::PROPERTIES),
            },
            event::GAME_LIST | event::GAME_LIST_UPDATE => {
                Self::RoomList { all: code == event::GAME_LIST, rooms: take_table(p, key::GAME_LIST) }
            }
            event::APP_STATS => Self::AppStats {
                players: int(p, key::PEER_COUNT),
                rooms: int(p, key::GAME_COUNT),
                on_master: int(p, key::MASTER_PEER_COUNT),
            },
            _ => {
                let sender = int(p, key::ACTOR_NR);
                let payload = p.take(if code == event::ERROR_INFO { key::INFO } else { key::DATA });
                Self::Raised { code, sender, payload: payload.unwrap_or(Value::Null), channel, delivery }
            }
        }
    }
}

/// A number that older servers leave out where it is 0.
fn int(parameters: &Parameters, key: u8) -> i32 {
    match parameters.get(key) {
        Some(Value::Int(number)) => *number,
        _ => 0,
    }
}

fn take_ints(parameters: &mut Parameters, key: u8) -> Vec<i32> {
    match parameters.take(key) {
        Some(Value::IntArray(numbers)) => numbers,
        _ => Vec::new(),
    }
}

fn take_table(parameters: &mut Parameters, key: u8) -> Hashtable {
    match parameters.take(key) {
        Some(Value::Hashtable(table)) => table,
        _ => Hashtable::new(),
    }
}
