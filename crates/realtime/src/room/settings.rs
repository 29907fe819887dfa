//! What an operator decides for all rooms of an application, with the reference product's defaults.

use std::time::Duration;

use super::request::RoomFlags;

/// Options and limits of rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomSettings {
    /// Room options that clients may set.
    pub flags_and: RoomFlags,
    /// Room options that are always set.
    pub flags_or: RoomFlags,
    /// The longest life of an empty room; a client that asks for more is refused (-2).
    pub max_empty_room_ttl: Duration,
    /// A room without active actors ends after this, whatever else is said.
    pub abandoned_after: Duration,
    /// Most actors, active and inactive, of a room without a player limit of its own; more are refused (32765).
    pub actors: usize,
    /// Most properties in one table of a request, and most keys in one list; more are refused (-2).
    pub property_keys_per_request: usize,
    /// Most bytes of properties in one table of a request; more are refused (-2).
    pub property_bytes_per_request: usize,
    /// Most different keys that one peer may set; more are refused (32743) and the peer is disconnected.
    pub property_keys_per_peer: usize,
    /// Most bytes of all properties of a room and its actors. A change beyond is refused (-2), the room is closed to
    /// newcomers and all are told (event 251); a join beyond is refused only.
    pub property_bytes_per_room: usize,
    /// Most cached events of a room. One more discards the cache for good, closes the room to newcomers and tells all
    /// (event 251).
    pub cached_events: usize,
    /// Most events of a room that are cached by actor; at the limit as above.
    pub cached_actor_events: usize,
    /// Most bytes of cached events of a room; at the limit as above.
    pub cached_bytes: usize,
    /// Most cache slices of a room; more are refused (-2).
    pub cache_slices: usize,
}

impl RoomSettings {
    /// The settings of a server that was not told otherwise. The number of actors and the bytes of cached events have
    /// no limit in the reference product; here nothing is without.
    pub const DEFAULT: Self = Self {
        flags_and: RoomFlags(-1),
        flags_or: RoomFlags(0),
        max_empty_room_ttl: Duration::from_secs(60),
        abandoned_after: Duration::from_secs(3600),
        actors: 10_000,
        property_keys_per_request: 100,
        property_bytes_per_request: 10_000,
        property_keys_per_peer: 1000,
        property_bytes_per_room: 51_000,
        cached_events: 50_000,
        cached_actor_events: 50_000,
        cached_bytes: 64 << 20,
        cache_slices: 1000,
    };
}

impl Default for RoomSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}
