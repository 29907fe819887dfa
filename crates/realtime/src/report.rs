//! What a game server tells the master about its rooms.

use std::sync::Arc;

use lampyris_wire::Hashtable;

/// One change of a room. Reports of a room come in the order of the changes; the room's name goes beside them.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomReport {
    /// The room exists from now on. Also sent for each room when the link to a master comes up again, followed by
    /// [`Self::ActorJoined`] and [`Self::ActorInactive`] for each actor.
    Created {
        /// Name of its lobby.
        lobby_name: Arc<str>,
        /// Type of its lobby: parameter 212.
        lobby_type: u8,
        /// Whether a user may be in it once only.
        check_user_on_join: bool,
        /// What the lobby shows.
        listing: RoomListing,
    },
    /// What the lobby shows changed.
    ListingChanged(RoomListing),
    /// The users with a reserved slot, present or not: the whole list.
    ExpectedUsers(Vec<Arc<str>>),
    /// An actor is active from now on: a new one, or one that came back.
    ActorJoined {
        /// Its number.
        actor: i32,
        /// Its user.
        user: Arc<str>,
    },
    /// An actor is inactive from now on.
    ActorInactive {
        /// Its number.
        actor: i32,
    },
    /// An actor is gone.
    ActorLeft {
        /// Its number.
        actor: i32,
    },
    /// A user who was sent here was refused, so nobody will come for the reservation.
    JoinFailed {
        /// The user.
        user: Arc<str>,
    },
    /// A user may not come back.
    UserExcluded {
        /// The user.
        user: Arc<str>,
    },
    /// The room is gone, or could not be created.
    Closed,
}

/// What a lobby shows of a room and matchmaking looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomListing {
    /// Whether it can be joined.
    pub open: bool,
    /// Whether it is shown and found at all.
    pub visible: bool,
    /// Most players, 0 for no limit.
    pub max_players: u32,
    /// The properties that the lobby knows, as the room's property 250 picks them; none of them null.
    pub properties: Hashtable,
}

impl Default for RoomListing {
    fn default() -> Self {
        Self { open: true, visible: true, max_players: 0, properties: Hashtable::new() }
    }
}
